"""One run on a worker: what it sends back, and workers that have changed."""

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


def test_a_run_sends_back_its_record_and_its_notebook(tmp_path, run_stub):
    outcome = run_stub()
    assert outcome["error"] is None
    assert outcome["record"]["metrics"] == {"val_accuracy": 0.901}
    assert "val_accuracy" in outcome["notebook"]
    assert gone(*kernels(tmp_path))


def test_a_worker_that_has_changed_runs_nothing(tmp_path, run_stub):
    outcome = run_stub(backend="another")
    assert "this worker has changed since the sweep began: its back end is" in outcome["error"]
    assert outcome["notebook"] is None
    assert read_log(tmp_path) == []
