"""One run on a worker: kernels that do not start, and workers that have changed."""

import pytest
from support.sweep_stub import gone, kernels, read_log, write_stub

from mnist_course.sweep.fingerprint import describe_environment
from mnist_course.sweep.worker import run_notebook

pytestmark = pytest.mark.slow


@pytest.fixture
def run_stub(tmp_path):
    """Return a function that runs the stub as a worker does."""
    write_stub(tmp_path)
    environment = describe_environment("digits")

    def run(**changes):
        return run_notebook(
            "stub",
            (tmp_path / "stub.ipynb").read_text(),
            {"seed": 1, "data": "digits"},
            expected={**environment, **changes},
            threads=1,
            timeout=None,
        )

    return run


@pytest.fixture
def fail_at_first(tmp_path, monkeypatch):
    """Return a function that lets so many kernels end as soon as their Python starts."""
    starts = tmp_path / "starts"
    starts.write_text("")

    def fail(n_failures):
        (tmp_path / "sitecustomize.py").write_text(
            "import os, pathlib, sys\n"
            "if 'ipykernel_launcher' in ' '.join(sys.orig_argv):\n"
            f"    starts = pathlib.Path({str(starts)!r})\n"
            "    starts.write_text(starts.read_text() + '.')\n"
            f"    if len(starts.read_text()) <= {n_failures}:\n"
            "        os.write(2, b'Traceback: at home\\nKernelError: no luck\\n')\n"
            "        os._exit(1)\n"
        )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
        return starts

    return fail


def test_a_kernel_that_does_not_start_is_started_again(tmp_path, run_stub, fail_at_first):
    starts = fail_at_first(2)
    outcome = run_stub()
    assert outcome["error"] is None
    assert outcome["record"]["metrics"] == {"val_accuracy": 0.901}
    assert "val_accuracy" in outcome["notebook"]
    assert starts.read_text() == "..."
    assert gone(*kernels(tmp_path))


def test_why_a_kernel_does_not_start_is_told(run_stub, fail_at_first):
    starts = fail_at_first(9)
    outcome = run_stub()
    assert outcome["error"] == "RuntimeError: the kernel did not start: KernelError: no luck"
    assert starts.read_text() == "..."


def test_a_worker_that_has_changed_runs_nothing(tmp_path, run_stub):
    outcome = run_stub(backend="another")
    assert "this worker has changed since the sweep began: its back end is" in outcome["error"]
    assert outcome["notebook"] is None
    assert read_log(tmp_path) == []
