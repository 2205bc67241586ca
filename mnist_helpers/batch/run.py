"""Notebooks executed through papermill, each in a kernel of this environment."""

import logging
import os
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import nbformat

from mnist_helpers.batch.files import written_whole
from mnist_helpers.batch.pages import cell_name, export_index, export_page, read_outcome
from mnist_helpers.batch.parameters import check_parameters, read_parameters
from mnist_helpers.batch.record import read_record


def find_notebooks(names):
    """Find notebooks by path, or by name in ``notebooks/``; all numbered ones there by default.

    Returns
    -------
    list of pathlib.Path

    Raises
    ------
    FileNotFoundError
        If there is no such notebook, or none at all.
    """
    known = {path.stem: path for path in sorted(Path("notebooks").glob("[0-9]*.ipynb"))}
    paths = [known.get(str(name), Path(name)) for name in names] or list(known.values())
    missing = [str(path) for path in paths if not path.is_file()]
    if missing or not paths:
        wanted, here = " or ".join(missing) or "to run", ", ".join(known) or "none"
        raise FileNotFoundError(f"there is no notebook {wanted}; notebooks/ here has: {here}")
    return paths


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
        What `pages.read_outcome` says of each run.

    Raises
    ------
    ValueError, OSError
        If a notebook, a parameter or the folder is refused; nothing has been run then.
    """
    paths, output = find_notebooks(notebooks), Path(output)
    if len({path.stem for path in paths}) < len(paths):
        received = ", ".join(map(str, paths))
        raise ValueError(f"each notebook needs a name of its own; received {received}")
    inside = output.resolve().is_relative_to(Path("notebooks").resolve())
    if inside or output.resolve() in [path.resolve().parent for path in paths]:
        raise ValueError(f"results may not lie among the notebooks themselves; received {output}")
    plans = [_plan(path, dict(parameters or {}), output) for path in paths]
    output.mkdir(parents=True, exist_ok=True)
    for plan in plans:
        _run(*plan)
    export_index(output)
    return [read_outcome(copy) for _, copy, _ in plans]


def execute(notebook, copy, *, parameters, folder=None, **environment):
    """Execute a notebook through papermill into the file `copy`; a bar names each cell.

    The kernel works in `folder` (by default where this process does) and has `environment`'s
    variables. When a cell fails or the kernel dies, what papermill raises goes on.
    """
    import papermill
    from papermill.engines import NBClientEngine, papermill_engines
    from traitlets.config import Config

    class NamingEngine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **options):
            numbers = {id(cell): number for number, cell in enumerate(nb_man.nb.cells, 1)}
            # papermill's own bar asks this for words.
            nb_man.get_cell_description = lambda cell: (
                f"{copy.stem}: {cell_name(cell, numbers[id(cell)])}"
            )
            super().execute_managed_notebook(nb_man, kernel_name, **options)

    papermill_engines.register("mnist_helpers", NamingEngine)
    # papermill would keep a notebook object given as input in the output's metadata: give a file.
    nbformat.write(notebook, copy)
    path = str(copy).replace("{", "{{").replace("}", "}}")  # it takes paths for format strings
    options = {"engine_name": "mnist_helpers", "kernel_name": "python3", "language": "python"}
    options["progress_bar"] = {"desc": f"Executing {copy.stem}", "file": sys.stderr}
    options["resources"] = {"metadata": {"path": folder}}  # papermill's cwd= moves this process
    # Others on the machine could listen to a kernel that does not encrypt.
    options["config"] = Config({"KernelManager": {"transport_encryption": "auto"}})
    # What a kernel logs when it is interrupted says nothing of the notebook.
    options["extra_arguments"] = ["--log-level=CRITICAL"]
    with _kernel_environment(JUPYTER_PREFER_ENV_PATH="1", **environment):
        papermill.execute_notebook(path, path, parameters, **options)


def describe_failure(failure):
    """Say in one line what `execute` raised: the error's name and its last line."""
    if type(failure).__name__ == "DeadKernelError":
        return "the kernel died (killed, or out of memory)"
    name = getattr(failure, "ename", type(failure).__name__)
    lines = getattr(failure, "evalue", str(failure)).strip().splitlines()
    return f"{name}: {lines[-1]}" if lines else name


@contextmanager
def _kernel_environment(**variables):
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    logger = logging.getLogger("papermill")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)  # failures are told once, in the table
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _plan(path, parameters, output):
    try:
        notebook = nbformat.read(path, as_version=4)
        defaults = read_parameters(notebook)
        values = check_parameters(parameters, defaults)
    except (ValueError, AttributeError) as error:  # the latter when it is JSON, but no notebook
        raise ValueError(f"{path.stem}: {str(error).splitlines()[0]}") from None
    if "results_dir" in (defaults or {}):
        values.setdefault("results_dir", (output / path.stem).as_posix())
    for number, cell in enumerate(notebook.cells):
        if "complete-program" in cell.metadata.get("tags", []):
            # The same steps as the cells before it: to be read, not to be trained twice.
            text = f"````python\n{cell.source}\n````"
            shown = nbformat.v4.new_markdown_cell(text, id=cell.id, metadata=cell.metadata)
            notebook.cells[number] = shown
    return notebook, output / path.name, values


def _run(notebook, copy, values):
    error = None
    try:
        execute(notebook, copy, parameters=values)
    except Exception as failure:  # whatever it is, the other notebooks still run
        error = describe_failure(failure)
    executed = nbformat.read(copy, as_version=4)
    marker = "papermill-error-cell-tag"  # the page has its own words for a failure
    executed.cells = [c for c in executed.cells if marker not in c.metadata.get("tags", [])]
    last = None
    for number, cell in enumerate(executed.cells, 1):
        if cell.cell_type == "code" and cell.metadata.papermill.get("start_time"):
            last = cell_name(cell, number)
    # A dead kernel can leave cells that all read "completed"; only the last one writes a record.
    try:
        if error is None and read_record(executed) is None:
            error = "no record: the last cell must call record_run"
    except ValueError as invalid:
        error = f"no valid record: {invalid}"
    seconds = executed.metadata.papermill.get("duration") or 0.0
    outcome = {"seconds": seconds, "cell": last if error else None, "error": error}
    executed.metadata.mnist_helpers = outcome
    with written_whole(copy) as part:
        nbformat.write(executed, part)
    export_page(copy, copy.with_suffix(".html"))
