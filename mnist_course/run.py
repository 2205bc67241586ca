"""Notebooks run one after the other, each in a kernel of its own, with a page for each."""

import os
import re
import sys
import time
from pathlib import Path

import nbformat

from mnist_course.notebooks import (
    NOTEBOOKS,
    OUTCOME_KEY,
    cell_name,
    find_notebooks,
    outcome_texts,
    read_notebook,
)
from mnist_course.pages import export_index, export_page
from mnist_course.parameters import check_parameters, read_parameters, split_assignments
from mnist_helpers.record import read_record
from mnist_helpers.saving import atomic_write

HEADINGS = ["notebook", "seconds", "result", "digits"]
SECONDS_COLUMN = HEADINGS.index("seconds")

# papermill's tag for the two cells with which it marks a failure.
PAPERMILL_ERROR_TAG = "papermill-error-cell-tag"


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
        The exit status: 1 if a notebook failed, else 0.

    Raises
    ------
    ValueError, OSError
        As `run_notebooks` does.
    """
    parameters = split_assignments("-p", options.parameters)
    outcomes = run_notebooks(options.notebooks, parameters=parameters, output=options.output)
    _print_table([HEADINGS, *[outcome_texts(outcome) for outcome in outcomes]])
    print(f"\nPages: {options.output}/index.html")
    failed = any(outcome["error"] for outcome in outcomes)
    return 1 if failed else 0


def _print_table(rows):
    columns = zip(*rows, strict=True)
    widths = [max(len(text) for text in column) for column in columns]
    for row in rows:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=True)]
        cells[SECONDS_COLUMN] = row[SECONDS_COLUMN].rjust(widths[SECONDS_COLUMN])
        print("  ".join(cells).rstrip())


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
        The outcome of each run, as `run_copy` returns it.

    Raises
    ------
    ValueError, OSError
        If a notebook, a parameter or the folder is refused; nothing has been run then.
    """
    paths = find_notebooks(notebooks)
    output = Path(output)
    _check_names(paths)
    _check_output(output, paths)
    plans = [_plan(path, parameters or {}, output) for path in paths]
    output.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for notebook, copy, values in plans:
        bar = {"desc": f"Executing {copy.stem}", "file": sys.stderr}
        executed, outcome = _run(notebook, copy, parameters=values, bar=bar)
        export_page(executed, outcome, copy.with_suffix(".html"))
        outcomes.append(outcome)
    export_index(output, outcomes)
    return outcomes


def _check_names(paths):
    names = {path.stem for path in paths}
    if len(names) < len(paths):
        received = ", ".join(str(path) for path in paths)
        raise ValueError(f"each notebook needs a name of its own; received {received}")


def _check_output(output, paths):
    """Refuse to write executed notebooks where notebooks to be run lie."""
    folder = output.resolve()
    is_inside = folder.is_relative_to(NOTEBOOKS.resolve())
    if is_inside or folder in [path.resolve().parent for path in paths]:
        raise ValueError(f"results may not lie among the notebooks themselves; received {output}")


def _plan(path, parameters, output):
    """Return a notebook, the file for its copy, and the values of its parameters."""
    try:
        notebook = read_notebook(path)
        defaults = read_parameters(notebook)
        values = check_parameters(parameters, defaults)
    except ValueError as error:
        raise ValueError(f"{path.stem}: {error}") from None
    if defaults is not None and "results_dir" in defaults:
        values.setdefault("results_dir", (output / path.stem).as_posix())
    return notebook, output / path.name, values


def run_copy(notebook, copy, *, parameters, folder=None, timeout=None, environment=None, bar=False):
    """Execute a notebook into the file `copy`, and note there what the outcome was.

    A run is good when no cell failed and the last one has left a valid record. Several may run at
    once, in threads or processes.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
    copy : pathlib.Path
        After a failure it holds the cells that were run.
    parameters : dict of str to object
    folder : path-like, optional
        Where the kernel works; by default where this process does.
    timeout : float, optional
        Seconds for the whole run; then its kernel is ended, and it has failed.
    environment : dict of str to str, optional
        Variables for the kernel, beside this process'.
    bar : bool or dict
        Whether a bar names each cell; a dict holds options for tqdm.

    Returns
    -------
    dict
        ``notebook``, its name; ``record``, or None; ``seconds``; and ``cell`` and ``error``, both
        None after a good run. `notebooks.read_outcome` reads the same from `copy`.
    """
    _, outcome = _run(
        notebook,
        copy,
        parameters=parameters,
        folder=folder,
        timeout=timeout,
        environment=environment,
        bar=bar,
    )
    return outcome


def _run(notebook, copy, *, parameters, folder=None, timeout=None, environment=None, bar=False):
    """Do what `run_copy` does; return the executed notebook and the outcome."""
    # Only here, because papermill takes a second to import.
    from mnist_course.kernels import execute_notebook

    deadline = time.monotonic() + timeout if timeout else None
    kills_before = _count_memory_kills()
    error = None
    try:
        execute_notebook(
            notebook,
            copy,
            parameters,
            folder=folder,
            environment=os.environ | (environment or {}),
            deadline=deadline,
            bar=bar,
        )
    except Exception as failure:
        # Whatever it is, the other notebooks are still run.
        out_of_memory = _count_memory_kills() > kills_before
        error = _describe_failure(failure, timeout, out_of_memory)
    executed = nbformat.read(copy, as_version=4)
    _remove_papermill_cells(executed)
    record, record_error = _find_record(executed)
    if error is None:
        # A dead kernel can leave cells that all read "completed"; without a record, it was none.
        error = record_error
    outcome = {
        "seconds": executed.metadata.papermill.get("duration") or 0.0,
        "cell": _last_started_cell(executed) if error else None,
        "error": error,
    }
    executed.metadata[OUTCOME_KEY] = outcome
    with atomic_write(copy) as part:
        nbformat.write(executed, part)
    return executed, {"notebook": copy.stem, "record": record, **outcome}


def _remove_papermill_cells(executed):
    """Take out the cells that papermill adds to a failed run: the page has its own words."""
    executed.cells = [
        cell for cell in executed.cells if PAPERMILL_ERROR_TAG not in cell.metadata.get("tags", [])
    ]


def _find_record(executed):
    """Return the record or None, and what is wrong with it or None."""
    try:
        record = read_record(executed)
    except ValueError as invalid:
        return None, f"no valid record: {invalid}"
    if record is None:
        return None, "no record: the last cell must call record_run"
    return record, None


def _last_started_cell(executed):
    name = None
    for number, cell in enumerate(executed.cells, 1):
        if cell.cell_type == "code" and cell.metadata.papermill.get("start_time"):
            name = cell_name(cell, number)
    return name


def _describe_failure(failure, timeout, out_of_memory):
    """Say in one line what ended a run: the error's name and its last line."""
    kind = type(failure).__name__
    if kind == "DeadKernelError":
        reason = "the system was out of memory" if out_of_memory else "killed"
        return f"the kernel died ({reason})"
    if kind == "CellTimeoutError":
        return f"time-out: the run was not done after {timeout:g} seconds"
    # papermill's error has the name and the text of the error in the cell.
    name = getattr(failure, "ename", kind)
    text = getattr(failure, "evalue", str(failure)).strip()
    if not text:
        return name
    return f"{name}: {text.splitlines()[-1]}"


def _count_memory_kills():
    """Count the processes that Linux has ended so far because memory ran out."""
    try:
        statistics = Path("/proc/vmstat").read_text(encoding="ascii")
    except OSError:
        # Another system.
        return 0
    match = re.search(r"^oom_kill (\d+)", statistics, re.MULTILINE)
    # Old versions of Linux do not count.
    return int(match[1]) if match else 0
