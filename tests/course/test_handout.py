"""The hand-outs: what is in them and what is not, and that the learner's run to their ends."""

import errno
import json
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from support.handouts import (
    code_cells,
    dependence_faults,
    instructor_faults,
    is_solution,
    learner_faults,
    machine_names,
    names_found,
    printed,
)
from support.project import NOTEBOOKS, ROOT

from mnist_course.__main__ import main
from mnist_course.files import atomic_folder
from mnist_course.handout import command, read_notes, write_instructor, write_learner
from mnist_course.notebooks import read_notebook
from mnist_course.parameters import read_parameters
from mnist_course.run import execute

SOURCE = ROOT / "notebooks"
NAMES = [path.stem for path in NOTEBOOKS]
# The shortest that all notebooks run with: small networks, and few, large batches.
SHORT = {
    "epochs": 1,
    "batch_size": 1000,
    "n_seeds": 1,
    "n_members": 1,
    "validation_fraction": 0.1,
    "hidden_units": [64, 32],
    "conv_filters": [8, 4],
    "dense_units": [32, 16],
    "data": "digits",
}
# One thread: more of them cost more than they gain on networks so small.
VARIABLES = {
    "MNIST_HELPERS_DATA": "digits",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}
EXECUTED = ["02_convolutional_network", "05_your_own_digits"]
SOLVE = new_code_cell("n = 1", id="solved", metadata={"tags": ["solution"]})
FOLDED = {"source_hidden": True, "outputs_hidden": True}
GUIDE = """\
# Teach this

## Notebook notes

### 01_small
Ask first.

```sh
# no heading
```

### 02_other

Skip it when late.

## Feedback

### 01_small
Not a note.
"""


def small_notebook():
    """Return a notebook with an exercise and its solution, executed."""
    exercise = new_code_cell(
        "n = 0",
        id="n",
        metadata={"tags": ["exercise", "n"]},
        execution_count=2,
    )
    told = new_markdown_cell("Two.", id="told", metadata={"tags": ["solution"]})
    solution = new_code_cell(
        "n = 2",
        id="n-solution",
        metadata={"tags": ["solution", "n-solution"], "jupyter": FOLDED},
        outputs=[new_output("stream", text="Right. It is two.\n")],
        execution_count=3,
    )
    return new_notebook(
        cells=[
            new_markdown_cell("# Count", id="title"),
            new_code_cell("1", id="count", execution_count=1),
            new_markdown_cell("How many?", id="task"),
            exercise,
            told,
            solution,
        ]
    )


@pytest.fixture
def source(tmp_path):
    """Return a folder with two small notebooks, a guide, and what is no numbered notebook."""
    source = tmp_path / "notebooks"
    source.mkdir()
    for name in ("01_small", "02_other", "scratch"):
        nbformat.write(small_notebook(), source / f"{name}.ipynb")
    (source / "TEACHING.md").write_text(GUIDE, "utf-8")
    return source


def test_a_file_of_somebodys_own_is_kept(source, monkeypatch, capsys):
    monkeypatch.chdir(source.parent)
    assert main(["handout"]) == 0
    own = Path("dist/learner/marks.csv")
    own.write_text("mine")
    assert main(["handout"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "dist/learner/marks.csv is no hand-out" in line and "move it elsewhere" in line
    assert own.read_text() == "mine"


def written_files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.glob("dist/*/*")}


def test_learners_get_everything_but_solutions_and_outputs(source, tmp_path):
    write_learner(source, tmp_path)
    assert sorted(p.name for p in tmp_path.glob("*.ipynb")) == ["01_small.ipynb", "02_other.ipynb"]
    notebook = nbformat.read(tmp_path / "01_small.ipynb", 4)
    nbformat.validate(notebook)
    assert [cell.id for cell in notebook.cells] == ["title", "count", "task", "n"]
    assert learner_faults(notebook, small_notebook()) == []
    assert not (tmp_path / "TEACHING.md").exists()


def test_teachers_get_open_solutions_outputs_and_notes(source, tmp_path):
    write_instructor(source, tmp_path)
    assert (tmp_path / "TEACHING.md").read_text("utf-8") == GUIDE
    notebook = nbformat.read(tmp_path / "01_small.ipynb", 4)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert ids == ["title", "teacher-note", "count", "task", "n", "told", "n-solution"]
    note = "**For the teacher**\n\nAsk first.\n\n```sh\n# no heading\n```"
    assert notebook.cells[1].source == note
    assert printed(notebook.cells[-1]) == "Right. It is two.\n"
    assert instructor_faults(notebook, small_notebook()) == []


def test_paths_in_outputs_are_hidden_from_all(source, tmp_path):
    notebook = small_notebook()
    notebook.cells[1].outputs = [new_output("stream", text=f"in {Path.home()}/a, {ROOT}/b\n")]
    nbformat.write(notebook, source / "01_small.ipynb")
    write_instructor(source, tmp_path)
    text = (tmp_path / "01_small.ipynb").read_text("utf-8")
    assert "in ~/a" in text
    assert names_found(text, machine_names()) == []


@pytest.mark.parametrize(
    ("guide", "complaint"),
    [
        ("", "no note on 01_small: write it under `### 01_small` in `## Notebook notes`"),
        (GUIDE.replace("### 02_other", "### 02_another"), "no note on 02_other"),
        (GUIDE.replace("Skip it when late.", ""), "no note on 02_other"),
        (GUIDE.replace("## Notebook notes", "## Notes"), "no note on 01_small"),
        (GUIDE.replace("Skip it", "#### When late\nSkip it"), "02_other has '#### When late'"),
    ],
)
def test_a_missing_note_is_told(source, tmp_path, guide, complaint):
    (source / "TEACHING.md").write_text(guide, "utf-8")
    with pytest.raises(ValueError, match=re.escape(complaint)):
        write_instructor(source, tmp_path)


def test_a_note_ends_where_the_next_section_starts():
    notes = read_notes(GUIDE)
    assert set(notes) == {"01_small", "02_other"}
    assert notes["02_other"].strip() == "Skip it when late."
    assert "Not a note" not in notes["01_small"]


def test_a_folder_without_notebooks_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no numbered notebook in"):
        write_learner(tmp_path, tmp_path)


def test_the_command_writes_both_hand_outs_or_neither(source, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command(SimpleNamespace()) == 0
    assert capsys.readouterr().out == "dist/learner/ and dist/instructor/ are written.\n"
    expected = {
        "dist/learner/01_small.ipynb",
        "dist/learner/02_other.ipynb",
        "dist/instructor/01_small.ipynb",
        "dist/instructor/02_other.ipynb",
        "dist/instructor/TEACHING.md",
    }
    assert written_files(tmp_path) == expected
    # Now the instructor's cannot be written, and the learner's would lack a notebook.
    (source / "TEACHING.md").write_text("")
    (source / "02_other.ipynb").unlink()
    with pytest.raises(ValueError, match="TEACHING.md has no note on 01_small"):
        command(SimpleNamespace())
    assert written_files(tmp_path) == expected


def notebook_with(**changes):
    """Return a notebook as JSON in which a cell is not as it should be."""
    notebook = small_notebook()
    notebook.cells[1] |= changes
    return json.dumps(notebook).encode()


@pytest.mark.parametrize("name", ["02_other.ipynb", "TEACHING.md"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("pipe", " cannot be read (it is a pipe, a socket or a device, not a file): replace it"),
        ("folder", " cannot be read (it is a folder, not a file): replace it with a good copy"),
        ("link", " cannot be read (No such file or directory): put it back"),
        (b"\xff\xfe{", " is no text in UTF-8 ("),
    ],
)
def test_a_file_that_cannot_be_read_is_named_in_one_line(
    source, tmp_path, monkeypatch, capsys, name, content, words
):
    monkeypatch.chdir(tmp_path)
    path = source / name
    path.unlink()
    if content == "pipe":
        os.mkfifo(path)
    elif content == "folder":
        path.mkdir()
    elif content == "link":
        path.symlink_to("nowhere")
    else:
        path.write_bytes(content)
    assert main(["handout"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mnist-course: notebooks/{name}") and words in line
    assert written_files(tmp_path) == set()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"cells": 1, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
        b"[" * 100_000,
        notebook_with(metadata={"tags": 5}),
        notebook_with(metadata=[]),
        notebook_with(source="\ud800"),
        notebook_with(outputs=7),
    ],
    ids=range(10),
)
def test_what_is_no_notebook_is_named_in_one_line(source, tmp_path, monkeypatch, capsys, content):
    monkeypatch.chdir(tmp_path)
    (source / "02_other.ipynb").write_bytes(content)
    assert main(["handout"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mnist-course: notebooks/02_other.ipynb cannot be read: ")
    assert line.endswith("get it again from where it came") or line.endswith("or get it again")
    assert written_files(tmp_path) == set()


def test_byte_order_marks_are_left_out(source, tmp_path):
    for name in ("01_small.ipynb", "TEACHING.md"):
        (source / name).write_bytes(b"\xef\xbb\xbf" + (source / name).read_bytes())
    write_instructor(source, tmp_path)
    for name in ("01_small.ipynb", "TEACHING.md"):
        assert not (tmp_path / name).read_text("utf-8").startswith("\ufeff")
    assert nbformat.read(tmp_path / "01_small.ipynb", 4).cells[1].id == "teacher-note"


def test_a_full_disk_is_told_with_the_place(source, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def fail(*_):
        # What writing into an open file raises names none.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("nbformat.write", fail)
    assert main(["handout"]) == 2
    words = "dist cannot be written (No space left on device): free some disk space"
    assert capsys.readouterr().err == f"mnist-course: {words}\n"


# --- mistakes that are planted -----------------------------------------------------------------


def find_cell(notebook, name):
    (cell,) = [cell for cell in notebook.cells if cell.id == name]
    return cell


def add_solution(notebook):
    notebook.cells.append(new_markdown_cell("Two.", metadata={"tags": ["solution"]}))


def promise_solution(notebook):
    find_cell(notebook, "task").source += " Below lies a folded solution."


def keep_output(notebook):
    find_cell(notebook, "count").outputs = [new_output("stream", text="1")]


def keep_count(notebook):
    find_cell(notebook, "count").execution_count = 1


def fold(notebook):
    find_cell(notebook, "n").metadata["jupyter"] = FOLDED


def change_source(notebook):
    find_cell(notebook, "count").source = "2"


def change_type(notebook):
    cells = notebook.cells
    place = cells.index(find_cell(notebook, "task"))
    cells[place] = new_code_cell("How many?", id="task", execution_count=1)


def lose_tags(notebook):
    find_cell(notebook, "n").metadata["tags"] = []


def lose_cell(notebook):
    notebook.cells.remove(find_cell(notebook, "task"))


def swap_cells(notebook):
    cells = notebook.cells
    cells[2], cells[3] = cells[3], cells[2]


def forget_to_run(notebook):
    find_cell(notebook, "count").execution_count = None


def lose_output(notebook):
    find_cell(notebook, "n-solution").outputs = []


def solve_wrongly(notebook):
    find_cell(notebook, "n-solution").outputs = [new_output("stream", text="Not yet.")]


def lose_note(notebook):
    notebook.cells.remove(find_cell(notebook, "teacher-note"))


@pytest.mark.parametrize(
    ("plant", "complaint"),
    [
        (add_solution, "a solution"),
        (promise_solution, "task: speaks of a solution"),
        (keep_output, "count: executed"),
        (keep_count, "count: executed"),
        (fold, "n: folded"),
        (change_source, "count: another source"),
        (change_type, "task: another type"),
        (lose_tags, "n: other tags"),
        (lose_cell, "other cells, or another order: ['task']"),
        (swap_cells, "other cells, or another order"),
    ],
)
def test_a_mistake_in_a_learners_notebook_is_seen(source, tmp_path, plant, complaint):
    write_learner(source, tmp_path)
    notebook = nbformat.read(tmp_path / "01_small.ipynb", 4)
    assert learner_faults(notebook, small_notebook()) == []
    plant(notebook)
    assert complaint in "\n".join(learner_faults(notebook, small_notebook()))


@pytest.mark.parametrize(
    ("plant", "complaint"),
    [
        (fold, "n: folded"),
        (change_source, "count: another source"),
        (change_type, "task: another type"),
        (lose_tags, "n: other tags"),
        (lose_cell, "other cells, or another order: ['task']"),
        (swap_cells, "other cells, or another order"),
        (forget_to_run, "count: not executed"),
        (lose_output, "n-solution: other outputs"),
        (solve_wrongly, "n-solution: a solution that is not right"),
        (lose_note, "no note after the title"),
    ],
)
def test_a_mistake_in_an_instructors_notebook_is_seen(source, tmp_path, plant, complaint):
    write_instructor(source, tmp_path)
    notebook = nbformat.read(tmp_path / "01_small.ipynb", 4)
    assert instructor_faults(notebook, small_notebook()) == []
    plant(notebook)
    assert complaint in "\n".join(instructor_faults(notebook, small_notebook()))


def test_a_planted_name_of_the_machine_is_seen():
    for name in machine_names():
        assert names_found(f"read {name}/x on {name}.", machine_names()), name
    assert names_found("/srv/adam ~/x", {"/srv/ada"}) == []


# --- the real ones -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def handouts(tmp_path_factory):
    """Return the folder with the real hand-outs."""
    folder = tmp_path_factory.mktemp("dist")
    with atomic_folder(folder / "learner") as learner:
        write_learner(SOURCE, learner)
    with atomic_folder(folder / "instructor") as instructor:
        write_instructor(SOURCE, instructor)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_the_real_hand_outs_hold_what_their_notebook_holds(handouts, name):
    original = nbformat.read(SOURCE / f"{name}.ipynb", 4)
    learner = nbformat.read(handouts / "learner" / f"{name}.ipynb", 4)
    instructor = nbformat.read(handouts / "instructor" / f"{name}.ipynb", 4)
    assert learner_faults(learner, original) == []
    assert instructor_faults(instructor, original) == []
    # The later notebooks have none.
    if name < "04":
        assert len(code_cells(learner, "exercise")) >= 3
        assert len(code_cells(instructor, "solution")) >= 3


def test_nothing_in_the_real_hand_outs_names_this_machine(handouts):
    files = [path for path in handouts.glob("*/*") if path.is_file()]
    assert len(files) == 2 * len(NOTEBOOKS) + 1
    names = machine_names()
    for path in files:
        assert names_found(path.read_text("utf-8"), names) == [], path.name


@pytest.mark.parametrize("name", NAMES)
def test_without_its_solutions_a_notebook_lacks_nothing(name):
    assert dependence_faults(nbformat.read(SOURCE / f"{name}.ipynb", 4)) == []


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        ([SOLVE, new_code_cell("n + 1", id="later")], "later: needs n, which solved made"),
        ([SOLVE, new_code_cell("def f():\n    return n", id="later")], "later: needs n"),
        ([new_code_cell("n = 0"), SOLVE, new_code_cell("n", id="later")], "later: needs n"),
    ],
)
def test_a_cell_that_needs_a_solution_is_seen(cells, complaint):
    assert complaint in "\n".join(dependence_faults(new_notebook(cells=cells)))


def test_a_cell_that_needs_no_solution_is_let_be():
    exercise = new_code_cell("n", metadata={"tags": ["exercise"]})
    again = new_code_cell("n = 2")
    notebook = new_notebook(cells=[SOLVE, exercise, again, new_code_cell("n + m")])
    assert dependence_faults(notebook) == []


# nbval executes the others with the same cells, and none of these needs a solution, as is proved
# above. tests/notebooks/test_commands.py runs 00, and 01 on the bundled digits; `make
# test-backends` runs all on them.
@pytest.mark.slow
@pytest.mark.parametrize("name", EXECUTED)
def test_a_learners_notebook_runs_to_its_end(handouts, tmp_path, name):
    path = tmp_path / f"{name}.ipynb"
    shutil.copyfile(handouts / "learner" / path.name, path)
    notebook = read_notebook(path)
    # After all that a learner has come the solutions, which need nothing but what is there; only
    # the record, which must be the last cell, is kept back.
    original = nbformat.read(SOURCE / path.name, 4)
    record = notebook.cells.pop()
    notebook.cells += [cell for cell in original.cells if is_solution(cell)]
    notebook.cells.append(record)
    defaults = read_parameters(notebook)
    executed, outcome = execute(
        notebook,
        name,
        parameters={key: value for key, value in SHORT.items() if key in defaults},
        folder=tmp_path,
        timeout=900,
        environment=VARIABLES,
    )
    assert outcome["error"] is None, f"{outcome['cell']}: {outcome['error']}"
    assert outcome["record"]["digits"]["name"] == "bundled digits"
    for cell in code_cells(executed, "exercise"):
        assert printed(cell)
        assert "Right" not in printed(cell), f"{cell.id}: {printed(cell)}"
    for cell in code_cells(executed, "solution"):
        assert printed(cell).startswith("Right. "), f"{cell.id}: {printed(cell)}"
