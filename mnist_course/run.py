"""Notebooks executed through papermill, each in a kernel of this environment."""

import functools
import logging
import os
import re
import sys
import tempfile
import time
import warnings
from pathlib import Path

import nbformat

from mnist_course.notebooks import cell_name, find_notebooks, read_notebook, read_outcome
from mnist_course.pages import export_index, export_page
from mnist_course.parameters import check_parameters, read_parameters
from mnist_helpers.record import read_record
from mnist_helpers.saving import atomic_write

_STARTS = 3


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
    for notebook, copy, values in plans:
        bar = {"desc": f"Executing {copy.stem}", "file": sys.stderr}
        run_copy(notebook, copy, parameters=values, bar=bar)
        export_page(copy, copy.with_suffix(".html"))
    export_index(output)
    return [read_outcome(copy) for _, copy, _ in plans]


def run_copy(notebook, copy, *, parameters, folder=None, timeout=None, environment=None, bar=False):
    """Execute a notebook into the file `copy` and write into it what became of the run.

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
        What `pages.read_outcome` says of `copy`.
    """
    kills, error = _memory_kills(), None
    options = {"folder": folder, "environment": os.environ | (environment or {})}
    options |= {"end": time.monotonic() + timeout if timeout else None, "progress_bar": bar}
    try:
        _execute(notebook, copy, parameters, **options)
    except Exception as failure:  # whatever it is, other notebooks still run
        error = _describe(failure, timeout, _memory_kills() > kills)
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
    with atomic_write(copy) as part:
        nbformat.write(executed, part)
    return read_outcome(copy)


def _execute(notebook, copy, parameters, **options):
    import papermill
    from papermill.engines import papermill_engines

    # The kernel named python3 is this environment's, whatever else is installed for this user.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    papermill_engines.register("mnist_helpers", _engine())
    path = str(copy).replace("{", "{{").replace("}", "}}")  # it takes paths for format strings
    options |= {"engine_name": "mnist_helpers", "kernel_name": "python3", "language": "python"}
    for attempt in range(_STARTS):
        # papermill would keep a notebook object given as input in the output's metadata.
        nbformat.write(notebook, copy)
        with (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as private,
            # What a kernel says beside its outputs is of interest only if it does not start.
            open(Path(private, "said"), "w+", encoding="utf-8", errors="replace") as said,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            options |= {"connection": _connection(private, attempt), "stderr": said}
            try:
                papermill.execute_notebook(path, path, parameters, **options)
                return
            except RuntimeError as error:
                if "before replying" not in str(error):
                    raise
            said.seek(0)
            reason = said.read().strip().rpartition("\n")[2]
    raise RuntimeError(f"the kernel did not start: {reason or 'it gave no reason'}")


def _connection(private, attempt):
    """Say how to talk to a kernel so that no other user of this machine reaches or overhears it.

    `private` is a folder that only this user may enter.
    """
    socket = f"{private}/kernel"
    # Of ports, two kernels that start at once may be given the same; of sockets never.
    if attempt == 0 and os.name == "posix" and len(socket) < 100:  # systems allow few more
        return {"transport": "ipc", "ip": socket}
    return {"transport_encryption": "auto"}


@functools.cache
def _engine():
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import Engine
    from traitlets.config import Config

    logger = logging.getLogger(f"{__name__}.quiet")
    logger.setLevel(logging.CRITICAL + 1)  # failures are told once, in the table

    class KernelEngine(Engine):
        @classmethod
        def execute_managed_notebook(
            cls, nb_man, kernel_name, *, folder, environment, connection, stderr, end, **_
        ):
            numbers = {id(cell): number for number, cell in enumerate(nb_man.nb.cells, 1)}
            # papermill's own bar asks this for words.
            nb_man.get_cell_description = lambda cell: (
                f"{Path(nb_man.output_path).stem}: {cell_name(cell, numbers[id(cell)])}"
            )
            client = PapermillNotebookClient(
                nb_man,
                kernel_name=kernel_name,
                resources={"metadata": {"path": folder}},
                log=logger,
                timeout_func=lambda _: None if end is None else max(0, end - time.monotonic()),
                iopub_timeout=60,  # on a busy machine, outputs come seconds after their cell's end
                config=Config({"KernelManager": connection}),
                # What a kernel logs when it is interrupted says nothing of the notebook.
                extra_arguments=["--log-level=CRITICAL"],
            )
            client.execute(env=environment, stderr=stderr)

    return KernelEngine


def _describe(failure, timeout, out_of_memory):
    """Say in one line what ended a run: the error's name and its last line."""
    kind = type(failure).__name__
    if kind == "DeadKernelError":
        return f"the kernel died ({'the system was out of memory' if out_of_memory else 'killed'})"
    if kind == "CellTimeoutError":
        return f"time-out: the run was not done after {timeout:g} seconds"
    name = getattr(failure, "ename", kind)
    lines = getattr(failure, "evalue", str(failure)).strip().splitlines()
    return f"{name}: {lines[-1]}" if lines else name


def _memory_kills():
    """Count the processes that Linux has ended so far because memory ran out."""
    try:
        return int(re.search(r"^oom_kill (\d+)", Path("/proc/vmstat").read_text(), re.M)[1])
    except (OSError, TypeError):  # another system, or an old kernel
        return 0


def _plan(path, parameters, output):
    try:
        notebook = read_notebook(path)
        defaults = read_parameters(notebook)
        values = check_parameters(parameters, defaults)
    except ValueError as error:
        raise ValueError(f"{path.stem}: {error}") from None
    if "results_dir" in (defaults or {}):
        values.setdefault("results_dir", (output / path.stem).as_posix())
    return notebook, output / path.name, values
