"""The commands that run a notebook, papermill's and pytest's, work as they are; nbval can fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_notebook, new_output
from support.notebooks import code
from support.project import ROOT

from mnist_helpers.record import read_record

pytestmark = pytest.mark.slow

# One transparent pixel.
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5E"
    "rkJggg=="
)
ALTERNATIVE = "Three bars, the highest for the digit 7."

SETUP = """\
import numpy as np
from IPython.display import display

labels = np.array([7, 1, 7, 3, 7])"""
COUNT = "print((labels == 7).sum(), 'sevens')"
FIGURE = f"display({{'image/png': {PNG!r}, 'text/plain': {ALTERNATIVE!r}}}, raw=True)"
ONE_HOT = "one_hot = np.eye(10)[labels]"
CHECK = "assert (one_hot.argmax(axis=1) == labels).all()"


def make_notebook():
    """Return a notebook of NumPy alone that says what it prints and draws."""
    count = code(COUNT)
    count.outputs = [new_output("stream", name="stdout", text="3 sevens\n")]
    figure = code(FIGURE)
    bundle = {"image/png": PNG, "text/plain": ALTERNATIVE}
    figure.outputs = [new_output("display_data", bundle)]
    cells = [code(SETUP), count, figure, code(ONE_HOT), code(CHECK)]
    notebook = new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    for number, cell in enumerate(cells, start=1):
        cell.execution_count = number
    return notebook


def change_the_stored_count(notebook):
    notebook.cells[1].outputs[0].text = "4 sevens\n"


def change_the_text_alternative(notebook):
    notebook.cells[2].outputs[0].data["text/plain"] = "Four bars, the highest for the digit 7."


def break_a_cell(notebook):
    notebook.cells[1].source = "print(lables)"


def reverse_the_labels(notebook):
    notebook.cells[3].source = "one_hot = np.eye(10)[9 - labels]"


def run_nbval(notebook, folder, mode):
    (folder / "made.ipynb").write_text(nbformat.writes(notebook), "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", mode, "--nbval-current-env", "made.ipynb"]
    # Neither the project's settings nor its conftest.py nor other plugins: nbval alone is tried.
    command += ["-p", "nbval.plugin", "-p", "no:cacheprovider", "--rootdir", ".", "-c", os.devnull]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_nbval_passes_what_is_reproduced(tmp_path):
    run = run_nbval(make_notebook(), tmp_path, "--nbval")
    assert run.returncode == 0, run.stdout
    assert "5 passed" in run.stdout


@pytest.mark.parametrize(
    ("plant", "mode", "complaint"),
    [
        (change_the_stored_count, "--nbval", "Cell outputs differ"),
        (change_the_text_alternative, "--nbval", "Cell outputs differ"),
        (break_a_cell, "--nbval-lax", "'lables' is not defined"),
        (reverse_the_labels, "--nbval-lax", "AssertionError"),
    ],
)
def test_nbval_catches_a_planted_mistake(plant, mode, complaint, tmp_path):
    notebook = make_notebook()
    plant(notebook)
    run = run_nbval(notebook, tmp_path, mode)
    assert run.returncode == 1
    assert complaint in run.stdout and "1 failed" in run.stdout, run.stdout


def test_papermill_runs_a_notebook_with_no_help_of_ours(tmp_path):
    notebook = ROOT / "notebooks" / "01_dense_network.ipynb"
    command = [sys.executable, "-m", "papermill", str(notebook), "out.ipynb", "-p", "epochs", "1"]
    # So that it takes seconds: few digits, and a small network.
    command += ["-p", "data", "digits", "-y", "hidden_units: [32]"]
    environment = os.environ | {"JUPYTER_PREFER_ENV_PATH": "1"}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    record = read_record(tmp_path / "out.ipynb")
    assert record["parameters"]["epochs"] == 1
    assert record["parameters"]["hidden_units"] == [32]
    assert list((tmp_path / "results").iterdir())


def test_pytest_runs_a_notebook_when_only_that_is_named(tmp_path):
    # In a copy of the project's root: a run in the root itself removes the notebooks' results at
    # its end, which notebooks that other tests run at the same time may be about to read.
    for name in ("conftest.py", "pyproject.toml", "notebooks/00_start_here.ipynb"):
        copy = tmp_path / name
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, copy)
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [*command, str(Path("notebooks", "00_start_here.ipynb"))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout and "cells were run on" in run.stdout
