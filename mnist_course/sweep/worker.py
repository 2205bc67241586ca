"""What happens on a worker: one notebook is run, and what came of it travels back."""

import tempfile
from pathlib import Path

import nbformat

from mnist_course.run import run_copy
from mnist_course.sweep.fingerprint import describe_environment

THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
THREAD_VARIABLES += ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Runs that share a graphics card take memory as they need it, and none takes all of it.
_SHARE_GPU = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def run_notebook(name, text, parameters, *, expected, threads, timeout):
    """Run a notebook, given as text, in a temporary folder and send back what came of it.

    `expected` is the `describe_environment` of all workers, `threads` are for the kernel's
    computations, `timeout` is in seconds or None. Returns record, seconds, cell and error as
    `pages.read_outcome` does, and the executed notebook as text (None, if nothing was run).
    """
    fault = compare(describe_environment(parameters.get("data", "")), expected)
    if fault:
        error = f"this worker is not as the sweep began: {fault}"
        return {"record": None, "seconds": 0.0, "cell": None, "error": error, "notebook": None}
    kernel = dict.fromkeys(THREAD_VARIABLES, str(threads)) | _SHARE_GPU
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        if "results_dir" in parameters:
            parameters = parameters | {"results_dir": Path(folder, "results").as_posix()}
        copy = Path(folder, f"{name}.ipynb")
        notebook = nbformat.reads(text, as_version=4)
        outcome = run_copy(
            notebook, copy, parameters=parameters, timeout=timeout, environment=kernel
        )
        used = (outcome["record"] or expected)["digits"]
        if used["sha256"] != expected["digits"]["sha256"]:
            outcome["error"] = f"other digits than the sweep's were used: {used['text']}"
        return outcome | {"notebook": copy.read_text(encoding="utf-8")}


def compare(found, expected):
    """Say in words where two environments differ, or return an empty text."""
    if found["version"] != expected["version"]:
        return f"it has mnist_helpers {found['version']}, not {expected['version']}"
    if found["source"] != expected["source"]:
        return f"the code of its mnist_helpers {found['version']} differs"
    if found["backend"] != expected["backend"]:
        return f"its back end is {found['backend']}, not {expected['backend']}"
    names = sorted(found["packages"].items() ^ expected["packages"].items())
    if names:
        name = names[0][0]
        versions = [part["packages"].get(name, "no") for part in (found, expected)]
        return f"it has {versions[0]} {name}, not {versions[1]}"
    if found["digits"]["sha256"] != expected["digits"]["sha256"]:
        return f"it has {found['digits']['name']}, not {expected['digits']['name']}"
    return ""
