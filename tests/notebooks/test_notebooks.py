"""The notebooks keep to the rules, and each rule's check sees a mistake that is planted.

The mistakes are planted in a small notebook that is made here, so that the lesson can be rewritten
without a change to these tests. The cells themselves are run by nbval; see conftest.py.
"""

import copy
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook, new_output
from support import notebook_checks as checks
from support.notebooks import DATASET, code
from support.project import NOTEBOOKS

from mnist_helpers.record import MIME_TYPE

IGNORED_CELLS = (Path(__file__).parent / "ignored_cells.txt").read_text("utf-8").splitlines()


def find_complaints(notebook, name, text, listed=IGNORED_CELLS):
    return [
        *checks.check_headings(notebook),
        *checks.check_sizes(notebook),
        *checks.check_prose_between(notebook),
        *checks.check_executed(notebook),
        *checks.check_ignored(notebook, name, listed),
        *checks.check_nothing_hidden(notebook),
        *checks.check_parameters(notebook),
        *checks.check_paths(notebook),
        *checks.check_record(notebook),
        *checks.check_figures(notebook),
        *checks.check_privacy(notebook, text),
        *checks.check_solutions(notebook),
        *checks.check_test_set(notebook),
        *checks.check_imports(notebook, name),
    ]


# --- the lesson's notebooks --------------------------------------------------------------------


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_keeps_to_the_rules(path):
    text = path.read_text("utf-8")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    complaints = find_complaints(notebook, path.stem, text)
    assert not complaints, "\n".join(complaints)


def test_notebook_01_has_the_articles_cells():
    (path,) = [path for path in NOTEBOOKS if path.stem == "01_dense_network"]
    assert checks.check_article_names(nbformat.read(path, as_version=4)) == []


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == [
        "00_start_here",
        "01_dense_network",
        "02_convolutional_network",
        "03_which_architecture",
        "04_error_clinic",
        "05_your_own_digits",
        "06_faster_and_further",
    ]


def test_every_ignored_cell_has_its_reason():
    entries = [line for line in IGNORED_CELLS if line and not line.startswith("#")]
    for entry in entries:
        cell, _, reason = entry.partition(": ")
        assert len(cell.split()) == 2 and reason, entry
    assert {entry.split()[0] for entry in entries} <= {path.stem for path in NOTEBOOKS}


# --- a notebook without a fault ----------------------------------------------------------------

MADE_NAME = "made"
MADE_IGNORED = ["# Cells that are not compared.", "made train: training", "made record: seconds"]
FIRST_ALTERNATIVE = "Nine handwritten digits, white on black, three in each of three rows."
SECOND_ALTERNATIVE = "A falling line: the loss after each of twenty epochs, level at the end."


def prose(heading, n_words):
    return new_markdown_cell(f"{heading}\n\n" + "word " * n_words)


def printing(source, text, *cell_tags):
    cell = code(source, *cell_tags)
    cell.outputs = [new_output("stream", name="stdout", text=text)]
    return cell


def drawing(alternative, *cell_tags):
    cell = code("plotting.show(axes, alternative)", *cell_tags)
    output = new_output("display_data", {"image/png": "AAAA", "text/plain": alternative})
    output.metadata = {"image/png": {"alt": alternative}}
    cell.outputs = [output]
    return cell


def parameters_cell():
    source = [
        "seed = 1  # start of every random number",
        "epochs = 20  # passes over the digits",
        "validation_fraction = 0.1  # share held out",
        'data = ""  # where the digits are',
        'results_dir = "results"  # where the model is saved',
    ]
    return code("\n".join(source), "parameters")


def solution_cell():
    cell = printing("# Solution\ncheck_order('a')", "Right. It holds the 3.\n", "solution", "order")
    cell.metadata["jupyter"] = {"source_hidden": True, "outputs_hidden": True}
    return cell


def stored_record_cell():
    record = {
        "schema": 1,
        "notebook": MADE_NAME,
        "parameters": {"seed": 1, "epochs": 20, "validation_fraction": 0.1},
        "digits": dict(DATASET),
        "metrics": {"test_accuracy": 0.98},
        "seconds": {"fit": 1.5},
        "versions": {
            "python": "3.11",
            "keras": None,
            "backend": None,
            "backend_version": None,
            "numpy": "2.1",
            "mnist_helpers": "1.0",
        },
    }
    names = ["seed", "epochs", "validation_fraction"]
    values = ", ".join(f"{name!r}: {name}" for name in names)
    cell = code(f"record_run('made', parameters={{{values}}})", "record", checks.IGNORE)
    cell.outputs = [new_output("display_data", {MIME_TYPE: record})]
    return cell


def make_notebook():
    training = (
        "x_fit, y_fit, validation = prepare(data, validation_fraction, seed)\n"
        "history = model.fit(x_fit, y_fit, epochs=epochs, validation_data=validation)\n"
        "path = save_model(model, results_dir)\n"
        "print(history)"
    )
    cells = [
        prose("# Read digits", 60),
        parameters_cell(),
        prose("## Look at the digits first of all", 60),
        drawing(FIRST_ALTERNATIVE, "digits"),
        printing("print(counts)", "[5923 6742]\n", "counts"),
        code("assert counts.sum() == 12_665", "check"),
        prose("## Train", 60),
        printing(training, "0.01\n", "train", checks.IGNORE),
        prose("## The same in one piece", 20),
        code("fit(data, validation_fraction, seed, epochs=epochs)", "complete-program"),
        drawing(SECOND_ALTERNATIVE, "curve"),
        solution_cell(),
        prose("## Record", 60),
        stored_record_cell(),
    ]
    notebook = new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "python3"}
    for count, cell in enumerate(checks.code_cells(notebook), start=1):
        cell.execution_count = count
    return notebook


@pytest.fixture(scope="module")
def complaints_about():
    """Return a function that plants a mistake in the notebook and returns the complaints."""
    notebook = make_notebook()

    def plant_and_check(plant):
        planted = copy.deepcopy(notebook)
        plant(planted)
        text = nbformat.writes(planted)
        return find_complaints(planted, MADE_NAME, text, MADE_IGNORED)

    return plant_and_check


def test_the_made_notebook_has_no_fault(complaints_about):
    assert complaints_about(lambda notebook: None) == []


# --- mistakes ----------------------------------------------------------------------------------


def find(notebook, tag):
    return checks.tagged(notebook, tag)[0]


def skip_a_cell(notebook):
    find(notebook, "counts").execution_count = None


def forget_output(notebook):
    find(notebook, "counts").outputs = []


def store_stderr(notebook):
    output = new_output("stream", name="stderr", text="a warning")
    find(notebook, "counts").outputs.append(output)


def store_an_error(notebook):
    output = new_output("error", ename="NameError", evalue="", traceback=[])
    find(notebook, "counts").outputs.append(output)


def print_in_a_check(notebook):
    find(notebook, "check").outputs = [new_output("stream", name="stdout", text="good")]


def ignore_another(notebook):
    find(notebook, "counts").metadata.tags.append(checks.IGNORE)


def compare_training(notebook):
    find(notebook, "train").metadata.tags.remove(checks.IGNORE)


def hide_in_a_comment(notebook):
    find(notebook, "counts").source += "\n# NBVAL_SKIP"


def hide_behind_a_tag(notebook):
    find(notebook, "counts").metadata.tags.append("raises-exception")


def write_a_tag_in_capitals(notebook):
    find(notebook, "counts").metadata.tags.append("NBVAL_SKIP")


def change_parameters(notebook, old, new):
    cell = find(notebook, "parameters")
    assert old in cell.source
    cell.source = cell.source.replace(old, new)


def compute_a_parameter(notebook):
    change_parameters(notebook, "epochs = 20", "epochs = 4 * 5")


def change_a_parameter(notebook):
    change_parameters(notebook, "epochs = 20", "epochs = 8")


def lose_a_parameter(notebook):
    change_parameters(notebook, "results_dir", "folder")


def ignore_a_parameter(notebook):
    find(notebook, "parameters").source += "\nwidth = 3  # nothing looks at it"


def use_a_parameter_in_the_program_alone(notebook):
    find(notebook, "parameters").source += "\nwidth = 3  # only the program looks at it"
    find(notebook, "complete-program").source += "\nbuild(width)"


def forget_the_program(notebook):
    program = find(notebook, "complete-program")
    program.source = program.source.replace("epochs=epochs", "epochs=20")


def forget_to_record_a_parameter(notebook):
    record = find(notebook, "record")
    record.source = record.source.replace("'epochs': epochs, ", "")


def name_a_file_that_is_not_there(notebook):
    notebook.cells[0].source += "\n`python benchmarks/no_such_file.py` makes it again."


def lose_the_parameters(notebook):
    find(notebook, "parameters").metadata.tags.clear()


def lose_the_record(notebook):
    find(notebook, "record").outputs = []


def record_nothing(notebook):
    find(notebook, "record").source = "print(metrics)"


def record_other_digits(notebook):
    (output,) = find(notebook, "record").outputs
    output.data[MIME_TYPE]["digits"]["name"] = "bundled digits"


def lose_an_alternative(notebook):
    find(notebook, "digits").outputs[0].metadata.clear()


def set_alternative(notebook, alternative):
    (output,) = find(notebook, "curve").outputs
    output.metadata["image/png"].alt = alternative
    output.data["text/plain"] = alternative


def repeat_an_alternative(notebook):
    set_alternative(notebook, FIRST_ALTERNATIVE)


def add_little_to_an_alternative(notebook):
    set_alternative(notebook, FIRST_ALTERNATIVE.upper() + " And more.")


def hold_a_place(notebook):
    set_alternative(notebook, "No description has been provided for this image")


def repeat_the_heading(notebook):
    heading = "Look at the digits first of all"
    (output,) = find(notebook, "digits").outputs
    output.metadata["image/png"].alt = f"{heading}, {heading}!"
    output.data["text/plain"] = f"{heading}, {heading}!"


def say_something_else_beside_a_figure(notebook):
    find(notebook, "curve").outputs[0].data["text/plain"] = "<Figure size 640x480>"


def write_a_long_cell(notebook):
    find(notebook, "check").source += "\nx = 1" * checks.MAX_LINES


def write_long_cells(notebook):
    for cell in checks.code_cells(notebook):
        cell.source += "\nx = 1" * checks.MEDIAN_LINES


def leave_out_prose(notebook):
    notebook.cells = [notebook.cells[0], *checks.code_cells(notebook)]


def add_a_title(notebook):
    notebook.cells.append(new_markdown_cell("# Another title"))


def begin_without_a_title(notebook):
    notebook.cells.insert(0, new_markdown_cell("Welcome"))


def leave_a_path(notebook):
    find(notebook, "counts").outputs[0].text = "read /home/ada/mnist.npz"


def leave_timings(notebook):
    find(notebook, "counts").metadata["execution"] = {"iopub.status.busy": "now"}


def fold_another(notebook):
    find(notebook, "train").metadata["jupyter"] = {"source_hidden": True}


def name_another_kernel(notebook):
    notebook.metadata.kernelspec.name = "my-environment"


def store_too_much(notebook):
    find(notebook, "counts").outputs[0].text = "1" * checks.MAX_CHARACTERS


def open_a_solution(notebook):
    find(notebook, "solution").metadata.jupyter.source_hidden = False


def show_a_solution(notebook):
    cell = find(notebook, "solution")
    cell.source = cell.source.removeprefix("# Solution\n")


def spoil_a_solution(notebook):
    find(notebook, "solution").outputs[0].text = "The spread is too small."


def watch_the_test_set(notebook):
    cell = find(notebook, "train")
    cell.source = cell.source.replace("=validation", "=(x_test, y_test)")


def import_the_machinery(notebook):
    find(notebook, "check").source += "\nfrom mnist_course.sweep import sweep"


def import_the_machinery_as_a_module(notebook):
    find(notebook, "check").source += "\nimport mnist_course.run"


@pytest.mark.parametrize(
    ("plant", "complaint"),
    [
        (skip_a_cell, "not executed once, in order"),
        (forget_output, "has no stored output"),
        (store_stderr, "on stderr is stored"),
        (store_an_error, "an error or something"),
        (print_in_a_check, "a check prints something"),
        (ignore_another, "counts is ignored but not on the list"),
        (compare_training, "train is on the list but not ignored"),
        (hide_in_a_comment, "NBVAL_SKIP"),
        (hide_behind_a_tag, "raises-exception"),
        (write_a_tag_in_capitals, "NBVAL_SKIP"),
        (compute_a_parameter, "not `name = literal"),
        (change_a_parameter, "epochs: the parameters cell has 8 and the stored record 20"),
        (use_a_parameter_in_the_program_alone, "width is never used"),
        (forget_the_program, "complete-program: it does not use the parameter epochs"),
        (forget_to_record_a_parameter, "epochs is not both in the parameters cell and"),
        (lose_a_parameter, "results_dir is missing"),
        (ignore_a_parameter, "width is never used"),
        (name_a_file_that_is_not_there, "there is no benchmarks/no_such_file.py"),
        (lose_the_parameters, "0 cells are tagged parameters"),
        (lose_the_record, "no record is stored"),
        (record_nothing, "does not call record_run"),
        (record_other_digits, "not on MNIST"),
        (lose_an_alternative, "without a text alternative"),
        (repeat_an_alternative, "repeats another"),
        (add_little_to_an_alternative, "repeats another"),
        (hold_a_place, "a placeholder"),
        (repeat_the_heading, "repeats a title"),
        (say_something_else_beside_a_figure, "is not its alternative"),
        (write_a_long_cell, "over 25 lines"),
        (write_long_cells, "have a median of"),
        (leave_out_prose, "words of prose"),
        (leave_out_prose, "code cells without prose"),
        (add_a_title, "2 titles"),
        (begin_without_a_title, "the first cell is not the title"),
        (leave_a_path, "path of somebody's machine is stored: /home/ada"),
        (leave_timings, "metadata that a run left"),
        (fold_another, "metadata that a run left"),
        (name_another_kernel, "kernel my-environment, not python3"),
        (store_too_much, " characters"),
        (open_a_solution, "a solution that is not folded"),
        (show_a_solution, "must be `# Solution`"),
        (spoil_a_solution, "its solution is not right"),
        (watch_the_test_set, "x_test goes into fit"),
        (import_the_machinery, "imports mnist_course"),
        (import_the_machinery_as_a_module, "imports mnist_course"),
    ],
)
def test_a_planted_mistake_is_caught(plant, complaint, complaints_about):
    complaints = complaints_about(plant)
    assert any(complaint in line for line in complaints), complaints


def test_only_notebook_03_may_import_the_machinery():
    notebook = new_notebook(cells=[code("from mnist_course.sweep import sweep")])
    assert checks.check_imports(notebook, "03_which_architecture") == []
    assert checks.check_imports(notebook, "02_convolutional_network") != []


@pytest.mark.parametrize("mistake", ["renamed", "moved", "repeated"])
def test_the_articles_cells_are_each_there_once_and_in_order(mistake):
    names = list(checks.ARTICLE_CELLS)
    if mistake == "renamed":
        names[3] = "model"
    elif mistake == "moved":
        names.append(names.pop(3))
    else:
        names.append(names[3])
    right = new_notebook(cells=[code("", name) for name in checks.ARTICLE_CELLS])
    wrong = new_notebook(cells=[code("", name) for name in names])
    assert checks.check_article_names(right) == []
    assert checks.check_article_names(wrong) != []
