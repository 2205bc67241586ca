"""The plan of a sweep: which digits, which folder, which runs; nothing is run."""

import re
from pathlib import Path

import pytest
from nbformat.v4 import new_output
from support.notebooks import code, output_text, write

from mnist_course.sweep.plan import plan_sweep

ENVIRONMENT = {
    "source": "abc",
    "backend": "jax",
    "settings": {},
    "packages": {},
    "dataset": {"sha256": "0"},
}


def test_a_plan_has_the_runs_of_its_grid_with_all_parameters(tmp_path):
    cell = code("1")
    cell.outputs = [new_output("stream", text="old")]
    path = write(tmp_path / "01_stub.ipynb", cell)
    assert output_text(path) == "old"
    plan = plan_sweep(path, [{"seed": "0:2", "data": "digits"}, {"seed": 1, "data": "digits"}])
    assert plan.data == "digits"
    assert plan.default_output == Path("results/sweep/01_stub")
    assert plan.count_runs() == 3
    assert [cell.outputs for cell in plan.notebook.cells if "outputs" in cell] == [[], []]
    runs = plan.list_runs(ENVIRONMENT)
    # The second grid's run is in the first already.
    assert [parameters["seed"] for parameters in runs.values()] == [0, 1]
    assert {parameters["rate"] for parameters in runs.values()} == {0.5}
    assert all(re.fullmatch("[0-9a-f]{8}-[0-9a-f]{16}", run) for run in runs)


def test_a_notebook_that_was_run_before_is_the_same_program(tmp_path):
    path = write(tmp_path / "01_stub.ipynb", code("1"))
    runs = plan_sweep(path, {"seed": 1}).list_runs(ENVIRONMENT)
    write(path, code("seed = 9", "injected-parameters"), code("1"))
    assert plan_sweep(path, {"seed": 1}).list_runs(ENVIRONMENT) == runs


def test_without_a_choice_of_digits_the_notebook_chooses(tmp_path):
    path = write(tmp_path / "01_stub.ipynb", parameters="seed = 7\ndata = 'digits'")
    assert plan_sweep(path, {"seed": 1}).data == "digits"
    path = write(tmp_path / "01_stub.ipynb", parameters="seed = 7")
    assert plan_sweep(path, {"seed": 1}).data == ""


def test_a_parameter_with_the_name_of_a_column_is_refused(tmp_path):
    path = write(tmp_path / "01_stub.ipynb", parameters="error = 1")
    with pytest.raises(ValueError, match="01_stub: runs.csv has a column 'error': rename"):
        plan_sweep(path, {"error": 2})


def test_what_runs_is_what_the_table_says_also_where_python_takes_values_for_equal(tmp_path):
    parameters = "rate = 0.0  # a share\nextra = [None, 1]  # anything"
    path = write(tmp_path / "01_stub.ipynb", parameters=parameters)
    plan = plan_sweep(path, {"rate": [0.0, -0.0]})
    changed = [plan.changed_parameters(values) for values in plan.list_runs(ENVIRONMENT).values()]
    assert [str(values) for values in changed] == ["{}", "{'rate': -0.0}"]
    assert plan.changed_parameters({"extra": [None, True]}) == {"extra": [None, True]}
