"""Every notebook runs to its end on the back end that KERAS_BACKEND names; see the Makefile."""

import os

import pytest

from mnist_course.notebooks import find_notebooks
from mnist_course.run import run_notebooks

SHORT = {
    "01_dense_network": {"epochs": 1},
    "02_convolutional_network": {"epochs": 1},
    "03_which_architecture": {"n_seeds": 1},
    "04_error_clinic": {"epochs": 1},
    "06_faster_and_further": {"n_members": 1},
}
NAMES = [path.stem for path in find_notebooks(())]


@pytest.mark.backend
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_on_this_back_end(name, tmp_path):
    parameters = SHORT.get(name, {}) | {"data": "digits"}
    (outcome,) = run_notebooks([name], parameters=parameters, output=tmp_path)
    assert outcome["error"] is None
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if name == "00_start_here":  # needs no Keras
        backend = None
    assert outcome["record"]["versions"]["backend"] == backend


def test_the_short_runs_are_of_notebooks_that_are_there():
    assert set(SHORT) <= set(NAMES)
