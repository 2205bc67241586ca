"""Every notebook runs to its end on the back end that KERAS_BACKEND names; see the Makefile."""

import os

import pytest
from support.project import NOTEBOOKS

from mnist_course.run import run_notebooks

# Enough to run every cell once; the numbers do not matter here.
SHORT_RUNS = {
    "01_dense_network": {"epochs": 1},
    "02_convolutional_network": {"epochs": 1},
    "03_which_architecture": {"n_seeds": 1},
    "04_error_clinic": {"epochs": 1},
    "06_faster_and_further": {"n_members": 1},
}
WITHOUT_KERAS = {"00_start_here"}


@pytest.mark.backend
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_on_this_back_end(path, tmp_path):
    parameters = {"data": "digits", **SHORT_RUNS.get(path.stem, {})}
    (outcome,) = run_notebooks([path], parameters=parameters, output=tmp_path)
    assert outcome["error"] is None
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if path.stem in WITHOUT_KERAS:
        backend = None
    assert outcome["record"]["versions"]["backend"] == backend


def test_the_short_runs_are_of_notebooks_that_are_there():
    assert set(SHORT_RUNS) <= {path.stem for path in NOTEBOOKS}
