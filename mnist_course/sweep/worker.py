"""What a worker does: it runs one notebook and sends back the outcome."""

import nbformat

from mnist_course.run import execute
from mnist_course.sweep.fingerprint import compare_environments, describe_environment
from mnist_course.terminal import one_line
from mnist_helpers.scratch import scratch_folder

# What decides how many threads NumPy and the three back ends compute with.
THREAD_VARIABLES = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)
# Runs that share a graphics card take memory as they need it, and none takes all of it.
_SHARE_GPU = {
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}


def run_notebook(name, text, parameters, *, expected, threads, timeout):
    """Run a notebook in a temporary folder.

    Parameters
    ----------
    name, text : str
        The notebook's name, and its file's content.
    parameters : dict of str to object
        What differs from the notebook's defaults. `results_dir` is replaced by a temporary folder.
    expected : dict
        The `describe_environment` of all workers.
    threads : int
        How many threads the kernel computes with.
    timeout : float or None
        Seconds that the run may take.

    Returns
    -------
    dict
        `record`, `seconds`, `cell`, `error` and `started`, as `run.execute` returns them, and
        `notebook`, the executed notebook's text (None, if nothing was run). Where `started` is
        False, it is the machine's fault that the run failed, and not the run's.
    """
    difference = compare_environments(describe_environment(parameters.get("data", "")), expected)
    if difference:
        return nothing_run(f"this worker has changed since the sweep began: {difference}")
    notebook = nbformat.reads(text, as_version=4)
    environment = {**dict.fromkeys(THREAD_VARIABLES, str(threads)), **_SHARE_GPU}
    with scratch_folder() as folder:
        if "results_dir" in parameters:
            parameters = {**parameters, "results_dir": (folder / "results").as_posix()}
        executed, outcome = execute(
            notebook,
            name,
            parameters=parameters,
            timeout=timeout,
            environment=environment,
        )
    _check_digits(outcome, expected["dataset"])
    return {**outcome, "notebook": nbformat.writes(executed)}


def nothing_run(error):
    """Return the outcome of a run that could not begin, or that was lost with its worker.

    Parameters
    ----------
    error : str
        The reason.

    Returns
    -------
    dict
        As `run_notebook` returns it.

    Examples
    --------
    >>> nothing_run("no room")["error"]
    'no room'
    """
    return {
        "record": None,
        "seconds": 0.0,
        "cell": None,
        "error": error,
        "started": False,
        "notebook": None,
    }


def _check_digits(outcome, expected):
    """Let a run fail that recorded other digits than the sweep's."""
    record = outcome["record"]
    if record is not None and record["digits"]["sha256"] != expected["sha256"]:
        text = one_line(record["digits"]["text"])
        outcome["error"] = f"other digits than the sweep's were used: {text}"
