"""The notebooks' exercises: each has its check, and a solution that passes it."""

import ast
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml
from scipy import stats
from support.notebook_checks import code_cells, markdown_cells, tagged, tags
from support.project import ROOT

from mnist_helpers import exercises

NOTEBOOKS = {
    path.stem: nbformat.read(path, as_version=4)
    for path in sorted((ROOT / "notebooks").glob("0[0-3]*.ipynb"))
}
CHOICES = yaml.safe_load(Path(exercises.__file__).with_name("choices.yaml").read_text("utf-8"))
CHECKS = {name: check for name, check in vars(exercises).items() if name.startswith("check_")}


def checks_in(cell):
    """Return the names of the checks that a cell calls."""
    names = []
    for node in ast.walk(ast.parse(cell.source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            names.append(node.func.id)
    return [name for name in names if name.startswith("check_")]


def name_of(cell):
    """Return the tag that names an exercise or a solution."""
    others = {"exercise", "solution", "nbval-ignore-output"}
    (name,) = [tag for tag in tags(cell) if tag not in others]
    return name


def cells_by_name(tag):
    """Return the cells with a tag as {name: (notebook, cell)}, in the lesson's order."""
    found = {}
    for notebook_name, notebook in NOTEBOOKS.items():
        for cell in tagged(notebook, tag):
            found[name_of(cell)] = (notebook_name, cell)
    return found


# A cell that belongs to an exercise and calls no check shows what the question is about.
EXERCISES = {
    name: place for name, place in cells_by_name("exercise").items() if checks_in(place[1])
}
SOLUTIONS = cells_by_name("solution")


def check_name(exercise):
    return f"check_{exercise.replace('-', '_')}"


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_notebook_has_three_to_five_exercises_two_of_them_with_code(notebook):
    names = [name for name, place in EXERCISES.items() if place[0] == notebook]
    with_code = [name for name in names if name.replace("-", "_") not in CHOICES]
    assert 3 <= len(names) <= 5
    assert len(with_code) >= 2


def test_four_notebooks_have_exercises_with_checks():
    assert len(NOTEBOOKS) == 4


def test_each_exercise_calls_its_own_check():
    for name, (_, cell) in EXERCISES.items():
        assert checks_in(cell) == [check_name(name)]
    assert {check_name(name) for name in EXERCISES} == set(CHECKS)


def test_each_exercise_has_its_solution_right_below():
    assert list(SOLUTIONS) == [f"{name}-solution" for name in EXERCISES]
    for name, (notebook_name, cell) in EXERCISES.items():
        cells = NOTEBOOKS[notebook_name].cells
        below = cells[cells.index(cell) + 1]
        assert tags(below) == ["solution", f"{name}-solution"]


@pytest.fixture(scope="module")
def namespace():
    """Return what the notebooks have defined before their exercises, as far as these use it."""
    import keras

    names = {"np": np, "keras": keras, "stats": stats, "seed": 1, **CHECKS}
    exec("from mnist_helpers import evaluation, tables", names)
    for tag in ("designs", "collect"):
        (cell,) = tagged(NOTEBOOKS["03_which_architecture"], tag)
        exec(cell.source, names)
    return names


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_is_right_and_the_unsolved_cell_runs(name, namespace, capsys):
    _, unsolved = EXERCISES[name]
    exec(unsolved.source, dict(namespace))
    assert not capsys.readouterr().out.startswith("Right")
    _, solution = SOLUTIONS[f"{name}-solution"]
    exec(solution.source, dict(namespace))
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("Right. ")
    assert len(line) > 40


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_offers_the_letters_that_have_replies(name):
    notebook_name, _ = EXERCISES[name.replace("_", "-")]
    letters = list(CHOICES[name]["replies"])
    offers = []
    for cell in markdown_cells(NOTEBOOKS[notebook_name]):
        offers.append(re.findall(r"^- \*\*([a-z])\*\*: ", cell.source, re.MULTILINE))
    assert letters in offers


def test_no_hint_holds_a_line_of_a_solution():
    """A hint that held the solution's own line would leave nothing to find."""
    source = Path(exercises.__file__).read_text("utf-8")
    texts = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            texts.append(node.value)
    for _, cell in SOLUTIONS.values():
        for line in cell.source.splitlines():
            code = line.strip().removeprefix("return ").split(" = ")[-1]
            is_answer = len(code) > 8 and not code.startswith(("check_", "def "))
            if is_answer:
                assert not [text for text in texts if code in text], code


def test_code_cells_hold_no_answer_before_it_is_given():
    for notebook in NOTEBOOKS.values():
        for cell in code_cells(notebook):
            if "solution" not in tags(cell):
                assert "Right." not in str(cell.outputs)
