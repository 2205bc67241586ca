"""Notebooks run one after the other, each in a kernel of its own, with a page for each."""

import copy
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from mnist_course.errors import count_memory_kills, describe_cell_error, describe_failure
from mnist_course.files import describe_os_error, has_mark, lock_folder
from mnist_course.notebooks import (
    CELLS_KEY,
    NOTEBOOKS,
    OUTCOME_KEY,
    cell_name,
    cells_checksum,
    find_notebooks,
    is_edited,
    outcome_texts,
    read_if_possible,
    read_notebook,
    strip_outputs,
)
from mnist_course.pages import export_index, export_page
from mnist_course.parameters import check_parameters, quote, read_parameters, split_assignments
from mnist_course.terminal import one_line, printable, table_lines
from mnist_helpers.record import read_record
from mnist_helpers.saving import atomic_write
from mnist_helpers.scratch import scratch_folder

HEADINGS = ["notebook", "seconds", "result", "digits"]
# All pages of a run have it, in the policy that lets them fetch nothing.
PAGE_MARK = b"default-src 'none'"
# A kernel starts where there is room for so much, as was tried, and dies where there are 4 kB.
KERNEL_FILE_BYTES = 16_000
SECONDS_COLUMN = HEADINGS.index("seconds")

# papermill's tag for the two cells with which it marks a failure.
PAPERMILL_ERROR_TAG = "papermill-error-cell-tag"
# Its tag for the cell with the parameters that a run was given.
INJECTED_TAG = "injected-parameters"


def command(options):
    """Run what ``mnist-course run`` asks for, and print a table of the outcomes.

    Parameters
    ----------
    options : argparse.Namespace
        Its ``notebooks``, a list of str; its ``parameters``, a list of texts ``name=value``; and
        its ``output``, a folder.

    Returns
    -------
    int
        The exit status: 1 if a notebook failed or could not be written, else 0.

    Raises
    ------
    ValueError, OSError, RuntimeError
        As `run_notebooks` does.
    """
    parameters = split_assignments("-p", options.parameters)
    output = Path(options.output)
    plans = _plan_all(options.notebooks, parameters, output)
    outcomes, problem = _run_all(plans, output)
    rows = [HEADINGS, *[outcome_texts(outcome) for outcome in outcomes]]
    print("\n".join(table_lines(rows, right=(SECONDS_COLUMN,))))
    if problem:
        print(f"mnist-course: {one_line(problem)}", file=sys.stderr)
        return 1
    print(f"\nPages: {printable(str(output))}/index.html")
    failed = any(outcome["error"] for outcome in outcomes)
    return 1 if failed else 0


def run_notebooks(notebooks=(), *, parameters=None, output="results"):
    """Run copies of notebooks, with a page for each and an index; a failure stops no other.

    Parameters
    ----------
    notebooks : list of str or pathlib.Path
        As `find_notebooks` takes them.
    parameters : dict of str to object, optional
        For every notebook; see `parameters.check_parameters`.
    output : str or pathlib.Path
        The folder for executed notebooks and pages, and a folder of results for each.

    Returns
    -------
    list of dict
        The outcome of each run, as `execute` returns it. A run is failed, too, when what it came
        to cannot be written.

    Raises
    ------
    ValueError
        If a notebook, a parameter or the folder is refused; nothing has been run then.
    RuntimeError
        If another run or sweep is writing into the folder; nothing has been run then.
    OSError
        If the folder or the index cannot be written.
    """
    output = Path(output)
    plans = _plan_all(notebooks, parameters or {}, output)
    outcomes, problem = _run_all(plans, output)
    if problem:
        raise OSError(problem)
    return outcomes


def _plan_all(notebooks, parameters, output):
    """Return what `_run_plan` takes, for each notebook."""
    paths = find_notebooks(notebooks)
    _check_names(paths)
    for path in [output, *paths]:
        _check_text(path)
    _check_output(output, paths)
    _check_replaced(output, paths)
    check_temporary_folder()
    return [_plan(path, parameters, output) for path in paths]


def _run_all(plans, output):
    """Run what was planned; return the outcomes, and what is wrong with the index or None."""
    with lock_folder(output):
        outcomes = [_run_plan(*plan) for plan in plans]
        try:
            export_index(output, outcomes)
        except Exception as error:
            return outcomes, _describe_problem(output / "index.html", error)
    return outcomes, None


def _run_plan(notebook, copy_path, parameters):
    """Run a notebook and write what it came to; return the outcome."""
    executed, outcome = execute(notebook, copy_path.stem, parameters=parameters, bar=True)
    path = copy_path
    try:
        write_executed(executed, path)
        path = copy_path.with_suffix(".html")
        export_page(executed, outcome, path)
    except Exception as error:
        # Whatever it is, the other notebooks are still run.
        problem = _describe_problem(path, error)
        if outcome["error"]:
            problem = f"{outcome['error']}; and {problem}"
        outcome["error"] = problem
    return outcome


def _describe_problem(path, error):
    if isinstance(error, OSError):
        return describe_os_error(path, error)
    return f"{path} cannot be written: {describe_failure(error)}"


def check_name(path):
    """Refuse a notebook's name that stands for a folder, or for what a run writes for another.

    Parameters
    ----------
    path : pathlib.Path

    Raises
    ------
    ValueError

    Examples
    --------
    >>> check_name(Path("01.html.ipynb"))
    Traceback (most recent call last):
    ValueError: a notebook may not be called '01.html': rename 01.html.ipynb
    """
    name = path.stem
    # Python takes ".ipynb" for the ending of "...ipynb", too. Some systems read no case.
    if name.startswith(".") or Path(name).suffix.lower() in (".html", ".ipynb"):
        raise ValueError(f"a notebook may not be called {name!r}: rename {path}")


def _check_names(paths):
    for path in paths:
        check_name(path)
        if path.suffix != ".ipynb":
            raise ValueError(f"a notebook's name ends in .ipynb; received {path}: rename it")
        # Its page would be index.html, which lists all pages; some systems read no case.
        if path.stem.lower() == "index":
            raise ValueError(f"index.html is the list of all pages; rename {path}")
    names = {path.stem for path in paths}
    if len(names) < len(paths):
        received = ", ".join(str(path) for path in paths)
        raise ValueError(f"each notebook needs a name of its own; received {received}")


def _check_text(path):
    """Refuse a name that no page could show."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ValueError(f"rename {quote(str(path))}: it is no text in UTF-8") from None


def _check_output(output, paths):
    """Refuse to write executed notebooks where notebooks to be run lie."""
    folder = output.resolve()
    is_inside = folder.is_relative_to(NOTEBOOKS.resolve())
    if is_inside or folder in [path.resolve().parent for path in paths]:
        raise ValueError(f"results may not lie among the notebooks themselves; received {output}")


def _check_replaced(output, paths):
    """Refuse to replace what no run has written, such as a learner's own copy or notes."""
    copies = [output / path.name for path in paths]
    pages = [copy_path.with_suffix(".html") for copy_path in copies]
    for path in copies:
        if path.is_file():
            notebook = read_if_possible(path)
            if OUTCOME_KEY not in notebook.metadata:
                raise _refusal(path, "was not written by a run")
            refuse_edited(path, notebook)
    for path in [*pages, output / "index.html"]:
        if path.is_file() and not has_mark(path, PAGE_MARK):
            raise _refusal(path, "was not written by a run")


def refuse_edited(path, notebook):
    """Refuse to replace an executed notebook into which somebody has written since.

    Parameters
    ----------
    path : pathlib.Path
        Where it lies, for the message.
    notebook : nbformat.NotebookNode

    Raises
    ------
    ValueError
    """
    if is_edited(notebook):
        raise _refusal(path, "has been edited since a run wrote it")


def _refusal(path, reason):
    return ValueError(f"{path} {reason}, and would be replaced: move it, or name another folder")


def check_temporary_folder():
    """Refuse a folder for temporary files that no kernel could use: each run would fail.

    Raises
    ------
    ValueError, OSError
        Saying what is wrong with the folder.
    """
    _check_text(tempfile.gettempdir())
    with scratch_folder() as folder:
        try:
            (folder / "room").write_bytes(bytes(KERNEL_FILE_BYTES))
        except OSError as error:
            # A kernel that has no room for its files ends without a word.
            place = f"{tempfile.gettempdir()} (for temporary files)"
            raise OSError(describe_os_error(place, error)) from None


def _plan(path, parameters, output):
    """Return a notebook, the file for its copy, and the values of its parameters."""
    notebook = read_notebook(path)
    try:
        defaults = read_parameters(notebook)
        values = check_parameters(parameters, defaults)
    except ValueError as error:
        raise ValueError(f"{path.stem}: {error}") from None
    if defaults is not None and "results_dir" in defaults:
        values.setdefault("results_dir", (output / path.stem).as_posix())
    return notebook, output / path.name, values


def execute(notebook, name, *, parameters, folder=None, timeout=None, environment=None, bar=False):
    """Execute a notebook; nothing is written but what its cells write.

    A run is good when no cell failed and the last one has left a valid record. Several may run at
    once, in threads or processes.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        It stays as it is.
    name : str
        The notebook's name.
    parameters : dict of str to object
    folder : path-like, optional
        Where the kernel works; by default where this process does.
    timeout : float, optional
        Seconds for the whole run; then its kernel is ended, and it has failed.
    environment : dict of str to str, optional
        Variables for the kernel, beside this process'.
    bar : bool
        Whether a progress bar names each cell.

    Returns
    -------
    executed : nbformat.NotebookNode
        After a failure it has the outputs of the cells that were run. Its metadata hold the
        outcome, which `notebooks.read_outcome` reads from its file.
    outcome : dict
        ``notebook``, its name; ``record``, or None; ``seconds``; ``cell`` and ``error``, both None
        after a good run; and ``started``, False when the kernel did not start and the same run may
        well be good another time.
    """
    # Only here, because papermill takes a second to import.
    from mnist_course.kernels import Execution, execute_notebook

    start = time.monotonic()
    deadline = start + timeout if timeout else None
    execution = Execution(name, folder, environment or {}, deadline, bar)
    kills_before = count_memory_kills()
    notebook = copy.deepcopy(notebook)
    forget_earlier_run(notebook)
    error = None
    try:
        execute_notebook(notebook, parameters, execution)
    except Exception as failure:
        # Whatever it is, the other notebooks are still run.
        error = describe_failure(
            failure,
            timeout=timeout if execution.is_over() else None,
            out_of_memory=count_memory_kills() > kills_before,
        )
    if execution.error_message is not None:
        error = describe_cell_error(execution.error_message, execution.failed_cell.outputs)
    executed = execution.notebook or notebook
    # The page has its own words for a failure.
    executed.cells = _cells_without_tags(executed, (PAPERMILL_ERROR_TAG,))
    record, record_error = _find_record(executed)
    if error is None:
        # A dead kernel can leave cells that all read "completed"; without a record, it was none.
        error = record_error
    outcome = {
        "seconds": round(time.monotonic() - start, 3),
        "cell": _last_started_cell(executed) if error else None,
        "error": error,
        "started": execution.started,
    }
    executed.metadata[OUTCOME_KEY] = {**outcome, CELLS_KEY: cells_checksum(executed)}
    return executed, {"notebook": name, "record": record, **outcome}


def write_executed(executed, path):
    """Write an executed notebook, whole or not at all.

    Parameters
    ----------
    executed : nbformat.NotebookNode
    path : str or pathlib.Path

    Raises
    ------
    OSError
        If it cannot be written.
    """
    with atomic_write(path) as part:
        nbformat.write(executed, part)


def forget_earlier_run(notebook):
    """Take out of a notebook, in place, what an earlier run has left in it.

    The parameters of that run would count in this one, and its outputs would pass for those of this
    one, should it fail early.

    Parameters
    ----------
    notebook : nbformat.NotebookNode

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_notebook
    >>> injected = new_code_cell("epochs = 1", metadata={"tags": ["injected-parameters"]})
    >>> notebook = new_notebook(cells=[injected, new_code_cell("print(epochs)")])
    >>> forget_earlier_run(notebook)
    >>> [cell.source for cell in notebook.cells]
    ['print(epochs)']
    """
    strip_outputs(notebook)
    notebook.cells = _cells_without_tags(notebook, (INJECTED_TAG, PAPERMILL_ERROR_TAG))
    notebook.metadata.pop(OUTCOME_KEY, None)
    for part in [notebook, *notebook.cells]:
        part.metadata.pop("papermill", None)


def _cells_without_tags(notebook, tags):
    """Return the cells that have none of some tags."""
    cells = []
    for cell in notebook.cells:
        own = cell.metadata.get("tags", [])
        if not any(tag in own for tag in tags):
            cells.append(cell)
    return cells


def _find_record(executed):
    """Return the record or None, and what is wrong with it or None."""
    try:
        record = read_record(executed)
    except ValueError as invalid:
        return None, one_line(f"no valid record: {invalid}")
    if record is None:
        return None, "no record: the last cell must call record_run"
    return record, None


def _last_started_cell(executed):
    name = None
    for number, cell in enumerate(executed.cells, 1):
        if cell.cell_type == "code" and cell.metadata.get("papermill", {}).get("start_time"):
            name = cell_name(cell, number)
    return name
