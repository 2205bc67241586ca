"""The notebooks keep to the rules, and the checks that say so can fail.

The cells themselves are run by nbval (see conftest.py).
"""

import copy
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from support import notebook_checks as checks
from support.project import NOTEBOOKS as FILES

DENSE = FILES[1]
LISTED = (Path(__file__).parent / "ignored_cells.txt").read_text("utf-8").splitlines()


def complaints(notebook, name, text):
    found = [
        *checks.check_headings(notebook),
        *checks.check_sizes(notebook),
        *checks.check_executed(notebook),
        *checks.check_ignored(notebook, name, LISTED),
        *checks.check_parameters(notebook),
        *checks.check_record(notebook),
        *checks.check_figures(notebook),
        *checks.check_privacy(notebook, text),
        *checks.check_solutions(notebook),
        *checks.check_test_set(notebook),
    ]
    if name.startswith("01"):
        found += checks.check_article_names(notebook)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_notebook_keeps_to_the_rules(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert complaints(notebook, path.stem, path.read_text("utf-8")) == []


def test_there_are_notebooks():
    assert [path.stem for path in FILES] == [
        "00_start_here",
        "01_dense_network",
        "02_convolutional_network",
        "03_which_architecture",
        "04_error_clinic",
        "05_your_own_digits",
        "06_faster_and_further",
    ]


def test_every_listed_cell_has_its_reason():
    entries = [line for line in LISTED if line and not line.startswith("#")]
    assert all(len(entry.split(": ")) == 2 for entry in entries)
    assert {entry.split()[0] for entry in entries} <= {path.stem for path in FILES}


def find(notebook, tag):
    return checks.tagged(notebook, tag)[0]


def strip_output(notebook):
    find(notebook, "y-value-counts").execution_count = None


def forget_output(notebook):
    find(notebook, "y-value-counts").outputs = []


def store_stderr(notebook):
    output = nbformat.v4.new_output("stream", name="stderr", text="a warning")
    find(notebook, "y-value-counts").outputs.append(output)


def ignore_another(notebook):
    find(notebook, "y-value-counts").metadata.tags.append(checks.IGNORE)


def compare_training(notebook):
    find(notebook, "train-model").metadata.tags.remove(checks.IGNORE)


def hide_in_a_comment(notebook):
    find(notebook, "y-value-counts").source += "\n# NBVAL_SKIP"


def compute_a_parameter(notebook):
    cell = find(notebook, "parameters")
    cell.source = cell.source.replace("epochs = 20", "epochs = 4 * 5")


def change_a_parameter(notebook):
    cell = find(notebook, "parameters")
    cell.source = cell.source.replace("epochs = 20", "epochs = 8")


def lose_a_parameter(notebook):
    cell = find(notebook, "parameters")
    cell.source = "\n".join(line for line in cell.source.splitlines() if "results_dir" not in line)


def lose_the_record(notebook):
    checks.code_cells(notebook)[-1].outputs = []


def lose_an_alternative(notebook):
    find(notebook, "plot-examples").outputs[0].metadata.clear()


def repeat_an_alternative(notebook):
    first, second = find(notebook, "plot-examples"), find(notebook, "pixel-distribution")
    second.outputs = copy.deepcopy(first.outputs)


def set_alternative(notebook, tag, alt):
    (output,) = find(notebook, tag).outputs
    output.metadata["image/png"].alt = output.data["text/plain"] = alt


def hold_a_place(notebook):
    set_alternative(notebook, "plot-examples", "No description has been provided for this image")


def repeat_the_heading(notebook):
    set_alternative(notebook, "plot-examples", "Look at them, look at them, look at them!")


def add_little_to_an_alternative(notebook):
    alt = find(notebook, "plot-examples").outputs[0].data["text/plain"]
    set_alternative(notebook, "pixel-distribution", alt.upper() + " And more.")


def show_a_solution(notebook):
    cell = checks.tagged(notebook, "solution")[0]
    cell.source = cell.source.removeprefix("# Solution\n")


def watch_the_test_set(notebook):
    cell = find(notebook, "train-model")
    cell.source = cell.source.replace(
        "validation_data=validation", "validation_data=(vectors_test, one_hot_test)"
    )


def rename_a_cell(notebook):
    find(notebook, "nn-setup").metadata.tags[0] = "model"


def write_a_long_cell(notebook):
    find(notebook, "check").source += "\nx = 1" * 30


def leave_out_prose(notebook):
    notebook.cells = [notebook.cells[0], *checks.code_cells(notebook)]


def leave_a_path(notebook):
    find(notebook, "train-test-split").outputs[0].text = "read /home/ada/mnist.npz"


def leave_timings(notebook):
    find(notebook, "train-test-split").metadata["execution"] = {"iopub.status.busy": "now"}


def open_a_solution(notebook):
    checks.tagged(notebook, "solution")[0].metadata.jupyter.source_hidden = False


def spoil_a_solution(notebook):
    checks.tagged(notebook, "solution")[-1].outputs[0].text = "The spread is too small."


def fold_another(notebook):
    find(notebook, "train-model").metadata["jupyter"] = {"source_hidden": True}


def add_a_title(notebook):
    notebook.cells[1].source = "# Another title"


@pytest.mark.parametrize(
    ("plant", "complaint"),
    [
        (strip_output, "not executed once, in order"),
        (forget_output, "has no stored output"),
        (store_stderr, "on stderr is stored"),
        (ignore_another, "y-value-counts is ignored but not on the list"),
        (compare_training, "train-model is on the list but not ignored"),
        (hide_in_a_comment, "NBVAL_SKIP"),
        (compute_a_parameter, "not `name = literal"),
        (change_a_parameter, "are not the cell's"),
        (lose_a_parameter, "results_dir is missing"),
        (lose_the_record, "no record is stored"),
        (lose_an_alternative, "without a text alternative"),
        (repeat_an_alternative, "repeats another"),
        (add_little_to_an_alternative, "repeats another"),
        (hold_a_place, "a placeholder"),
        (repeat_the_heading, "repeats a title"),
        (show_a_solution, "must be `# Solution`"),
        (watch_the_test_set, "vectors_test goes into fit"),
        (rename_a_cell, "cell names are"),
        (write_a_long_cell, "over 25 lines"),
        (leave_out_prose, "words of prose"),
        (leave_a_path, "path of somebody's machine is stored: /home/ada"),
        (leave_timings, "metadata that a run left"),
        (open_a_solution, "a solution that is not folded"),
        (spoil_a_solution, "its solution is not right"),
        (fold_another, "metadata that a run left"),
        (add_a_title, "2 titles"),
    ],
)
def test_a_planted_mistake_is_caught(plant, complaint):
    notebook = nbformat.read(DENSE, as_version=4)
    plant(notebook)
    found = complaints(notebook, DENSE.stem, nbformat.writes(notebook))
    assert any(complaint in line for line in found), found


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """The first notebook up to its one-hot labels, its outputs stored on the bundled digits."""
    notebook = nbformat.read(DENSE, as_version=4)
    last = max(i for i, cell in enumerate(notebook.cells) if "one_hot_test.argmax" in cell.source)
    notebook.cells = notebook.cells[: last + 1]
    find(notebook, "parameters").source += '\ndata = "digits"'
    NotebookClient(notebook, timeout=300).execute(cwd=tmp_path_factory.mktemp("stored"))
    return notebook


def nbval(notebook, folder, mode="--nbval"):
    (folder / "copy.ipynb").write_text(nbformat.writes(notebook), "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", mode, "--nbval-current-env", "-p"]
    command += ["no:cacheprovider", "--rootdir", ".", "-c", os.devnull, "copy.ipynb"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return run.returncode, run.stdout


def test_what_is_stored_is_reproduced(head, tmp_path):
    status, output = nbval(head, tmp_path)
    assert status == 0, output


def test_a_changed_stored_count_is_caught(head, tmp_path):
    planted = copy.deepcopy(head)
    cell = find(planted, "y-value-counts")
    cell.outputs[0].text = cell.outputs[0].text.replace("1", "2", 1)
    status, output = nbval(planted, tmp_path)
    assert status == 1 and "Cell outputs differ" in output and "1 failed" in output


def test_a_changed_text_alternative_is_caught(head, tmp_path):
    planted = copy.deepcopy(head)
    output = find(planted, "plot-examples").outputs[0]
    output.data["text/plain"] = output.data["text/plain"].replace("Nine", "Eight")
    status, output = nbval(planted, tmp_path)
    assert status == 1 and "Cell outputs differ" in output


def test_a_broken_cell_is_caught_even_when_outputs_are_not_compared(head, tmp_path):
    planted = copy.deepcopy(head)
    find(planted, "y-value-counts").source = "np.unique(y_trian)"
    status, output = nbval(planted, tmp_path, "--nbval-lax")
    assert status == 1 and "y_trian" in output


def test_a_wrong_label_order_is_caught_by_the_notebooks_own_checks(head, tmp_path):
    planted = copy.deepcopy(head)
    cell = find(planted, "one-hot-encoding")
    cell.source = cell.source.replace("(y_train, 10)", "(9 - y_train, 10)")
    status, output = nbval(planted, tmp_path, "--nbval-lax")
    assert status == 1 and "AssertionError" in output
