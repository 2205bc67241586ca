"""The hand-outs: what is in them and what is not, and that they run from top to bottom."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from support.handouts import (
    code_cells,
    instructor_faults,
    learner_faults,
    machine_names,
    names_found,
    printed,
    tags,
)
from support.project import ROOT

from mnist_course.handout import (
    atomic_folder,
    read_notes,
    write_instructor,
    write_learner,
)
from mnist_course.parameters import read_parameters
from mnist_course.run import read_notebook, run_copy

SOURCE = ROOT / "notebooks"
NOTEBOOKS = sorted(SOURCE.glob("[0-9]*.ipynb"))
SHORT = {"epochs": 1, "n_seeds": 1, "n_members": 1, "data": "digits"}
SHORT |= {"validation_fraction": 0.1, "hidden_units": [64, 32]}
SHORT |= {"conv_filters": [8, 4], "dense_units": [32, 16]}
FOLDED = {"jupyter": {"source_hidden": True, "outputs_hidden": True}}
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
    output = new_output("stream", text="Right: two.\n")
    return new_notebook(
        cells=[
            new_markdown_cell("# Count", id="title"),
            new_code_cell("1", id="count", execution_count=1),
            new_markdown_cell("How many?", id="task"),
            new_code_cell("n = 0", id="n", metadata={"tags": ["exercise", "n"]}, execution_count=2),
            new_markdown_cell("Two.", id="told", metadata={"tags": ["solution"]}),
            new_code_cell(
                "n = 2",
                id="n-solution",
                metadata={"tags": ["solution", "n-solution"], **FOLDED},
                outputs=[output],
                execution_count=3,
            ),
        ]
    )


HANDOUTS = {
    "learner": (write_learner, learner_faults),
    "instructor": (write_instructor, instructor_faults),
}


@pytest.fixture
def source(tmp_path):
    """Return a folder with two small notebooks, a guide, and what is no numbered notebook."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("01_small", "02_other", "scratch"):
        nbformat.write(small_notebook(), source / f"{name}.ipynb")
    (source / "TEACHING.md").write_text(GUIDE, "utf-8")
    return source


def test_learners_get_everything_but_solutions_and_outputs(source, tmp_path):
    write_learner(source, tmp_path)
    assert sorted(p.name for p in tmp_path.glob("*.ipynb")) == ["01_small.ipynb", "02_other.ipynb"]
    notebook = nbformat.read(tmp_path / "01_small.ipynb", 4)
    nbformat.validate(notebook)
    assert [cell.id for cell in notebook.cells] == ["title", "count", "task", "n"]
    assert learner_faults(notebook) == []
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
    assert printed(notebook.cells[-1]) == "Right: two.\n"
    assert tags(notebook.cells[-1]) == ["solution", "n-solution"]
    assert "jupyter" not in notebook.cells[-1].metadata


def test_paths_in_outputs_are_hidden_from_all(source, tmp_path):
    notebook = small_notebook()
    notebook.cells[1].outputs = [new_output("stream", text=f"in {Path.home()}/a, {ROOT}/b\n")]
    nbformat.write(notebook, source / "01_small.ipynb")
    write_instructor(source, tmp_path)
    text = (tmp_path / "01_small.ipynb").read_text("utf-8")
    assert "in ~/a" in text and names_found(text, machine_names()) == []


@pytest.mark.parametrize(
    ("guide", "complaint"),
    [
        (None, "no note on 01_small: write it under `### 01_small` in `## Notebook notes`"),
        (GUIDE.replace("### 02_other", "### 02_another"), "no note on 02_other"),
        (GUIDE.replace("Skip it when late.", ""), "no note on 02_other"),
        (GUIDE.replace("## Notebook notes", "## Notes"), "no note on 01_small"),
        (GUIDE.replace("Skip it", "#### When late\nSkip it"), "02_other has '#### When late'"),
    ],
)
def test_a_missing_note_is_told(source, tmp_path, guide, complaint):
    (source / "TEACHING.md").unlink()
    if guide:
        (source / "TEACHING.md").write_text(guide, "utf-8")
    with pytest.raises(ValueError, match=re.escape(complaint)):
        write_instructor(source, tmp_path)


def test_a_note_ends_where_the_next_section_starts():
    assert read_notes(GUIDE)["02_other"].strip() == "Skip it when late."
    assert "Not a note" not in read_notes(GUIDE)["01_small"]


def test_a_folder_without_notebooks_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no numbered notebook in"):
        write_learner(tmp_path, tmp_path)


def test_a_folder_is_replaced_whole_or_stays(tmp_path):
    target = tmp_path / "dist" / "learner"
    with atomic_folder(target) as part:
        (part / "old").touch()
    with pytest.raises(ZeroDivisionError), atomic_folder(target) as part:
        (part / "half").touch()
        raise ZeroDivisionError
    assert [path.name for path in target.iterdir()] == ["old"]
    with atomic_folder(target) as part:
        (part / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert [path.name for path in target.parent.iterdir()] == ["learner"]


def run_module(folder):
    command = [sys.executable, "-m", "mnist_course", "handout"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_command_writes_both_hand_outs_or_neither(source, tmp_path):
    source.rename(tmp_path / "notebooks")
    assert run_module(tmp_path).returncode == 0
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("dist/*/*")}
    notebooks = {f"dist/{who}/{n}" for who in ("learner", "instructor") for n in written_names()}
    assert written == notebooks | {"dist/instructor/TEACHING.md"}
    (tmp_path / "notebooks/TEACHING.md").unlink()
    (tmp_path / "notebooks/02_other.ipynb").unlink()
    run = run_module(tmp_path)
    assert run.returncode == 2 and run.stderr.startswith("mnist-course: TEACHING.md has no note")
    assert len(run.stderr.splitlines()) == 1
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("dist/*/*")} == written


def written_names():
    return ["01_small.ipynb", "02_other.ipynb"]


def plant_solution(notebook):
    notebook.cells[-1].metadata = {"tags": ["solution"]}


def plant_promise(notebook):
    notebook.cells[2].source += " Below lies a folded solution."


def plant_output(notebook):
    code_cells(notebook)[0].outputs = [new_output("stream", text="1")]


def plant_count(notebook):
    code_cells(notebook)[0].execution_count = 1


def fold(notebook):
    notebook.cells[-1].metadata |= FOLDED


def forget_to_run(notebook):
    code_cells(notebook)[-1].execution_count = None


def lose_the_note(notebook):
    del notebook.cells[1]


@pytest.mark.parametrize(
    ("plant", "name", "complaint"),
    [
        (plant_solution, "learner", "a solution"),
        (plant_promise, "learner", "speaks of a solution"),
        (plant_output, "learner", "executed"),
        (plant_count, "learner", "executed"),
        (fold, "learner", "folded"),
        (fold, "instructor", "folded"),
        (forget_to_run, "instructor", "not executed"),
        (lose_the_note, "instructor", "no note after the title"),
    ],
)
def test_a_planted_mistake_is_seen(source, tmp_path, plant, name, complaint):
    write, faults = HANDOUTS[name]
    write(source, tmp_path)
    notebook = nbformat.read(tmp_path / "01_small.ipynb", 4)
    assert faults(notebook) == []
    plant(notebook)
    assert complaint in "\n".join(faults(notebook))


# --- the real ones -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def handouts(tmp_path_factory):
    """Return the folders with the real hand-outs."""
    folder = tmp_path_factory.mktemp("dist")
    for name, (write, _) in HANDOUTS.items():
        with atomic_folder(folder / name) as part:
            write(SOURCE, part)
    return folder


@pytest.fixture(scope="module")
def executed(handouts):
    """Run all notebooks of both, two at a time; return {(hand-out, name): (outcome, notebook)}."""
    paths = sorted(handouts.glob("*/*.ipynb"))
    with ThreadPoolExecutor(2) as pool:
        return dict(
            zip([(p.parent.name, p.stem) for p in paths], pool.map(run, paths), strict=True)
        )


def run(path):
    notebook, copy = read_notebook(path), path.parent / "executed" / path.name
    copy.parent.mkdir(exist_ok=True)
    defaults = read_parameters(notebook) or {}
    values = {name: value for name, value in SHORT.items() if name in defaults}
    variables = {"MNIST_HELPERS_DATA": "digits"}
    options = {"folder": path.parent, "timeout": 900, "environment": variables}
    outcome = run_copy(notebook, copy, parameters=values, **options)
    return outcome, nbformat.read(copy, 4)


def test_the_real_hand_outs_hold_what_they_should(handouts):
    for path in NOTEBOOKS:
        original = nbformat.read(path, 4)
        learner = nbformat.read(handouts / "learner" / path.name, 4)
        teacher = nbformat.read(handouts / "instructor" / path.name, 4)
        assert learner_faults(learner) == instructor_faults(teacher) == [], path.stem
        kept = [cell.id for cell in original.cells if "solution" not in tags(cell)]
        assert [cell.id for cell in learner.cells] == kept
        assert [c.id for c in teacher.cells if c.id != "teacher-note"] == [
            cell.id for cell in original.cells
        ]
        if path.stem < "04":
            assert len(code_cells(learner, "exercise")) >= 3, path.stem
            assert len(code_cells(teacher, "solution")) >= 3, path.stem


def test_nothing_in_the_real_hand_outs_names_this_machine(handouts):
    files = [
        path for path in handouts.rglob("*") if path.is_file() and path.parent.parent == handouts
    ]
    assert len(files) == 2 * len(NOTEBOOKS) + 1
    for path in files:
        assert names_found(path.read_text("utf-8"), machine_names()) == [], path.name


def test_a_planted_name_of_the_machine_is_seen():
    for name in machine_names():
        assert names_found(f"read {name}/x on {name}.", machine_names()), name
    assert names_found("/srv/adam ~/x", {"/srv/ada"}) == []


def test_every_notebook_of_both_hand_outs_runs_to_its_end(executed):
    assert len(executed) == 2 * len(NOTEBOOKS)
    for (handout, name), (outcome, _) in executed.items():
        assert outcome["error"] is None, f"{handout}/{name}, {outcome['cell']}: {outcome['error']}"
        assert outcome["record"]["digits"]["name"] == "bundled digits", f"{handout}/{name}"


def test_every_solution_is_right_and_no_open_exercise_is(executed):
    for (handout, name), (_, notebook) in executed.items():
        for cell in code_cells(notebook, "solution"):
            assert printed(cell).startswith("Right"), f"{handout}/{name}: {cell.id} {printed(cell)}"
        for cell in code_cells(notebook, "exercise"):
            assert printed(cell) and "Right" not in printed(cell), f"{handout}/{name}: {cell.id}"
