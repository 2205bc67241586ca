"""The grid of a sweep: values, combinations, files, and what is refused."""

import re
from pathlib import Path

import pytest

from mnist_course.sweep.grid import check_grid, count_runs, list_runs, merge_grids, read_grid

DEFAULTS = {
    "seed": 7,
    "rate": 0.5,
    "units": [512, 512],
    "flag": True,
    "data": "",
    "name": "x",
    "extra": None,
    "results_dir": "results",
}
RUNS_A_PROGRAM = "seed: !!python/object/apply:os.system [touch trace]"


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("seed", "0:5", [0, 1, 2, 3, 4]),
        ("seed", "1,5:8", [1, 5, 6, 7]),
        ("seed", "-2:1, -7", [-2, -1, 0, -7]),
        ("rate", "1e-3,1", [0.001, 1.0]),
        ("units", "[16,32]", [[16, 32]]),
        ("units", "[16,32],[8],[]", [[16, 32], [8], []]),
        ("flag", "false,true", [False, True]),
        ("extra", "null,0:5,1e-3,[1, b]", [None, "0:5", 0.001, [1, "b"]]),
        ("name", "0123,false,1e-3,0:5", ["0123", "false", "1e-3", "0:5"]),
        ("name", "'a,b','',c", ["a,b", "", "c"]),
        ("name", ["a,b", "0:5"], ["a,b", "0:5"]),
        ("seed", range(2, 4), [2, 3]),
        ("rate", (1, 0.1), [1.0, 0.1]),
        ("flag", False, [False]),
        ("extra", None, [None]),
        ("units", [[16, 32]], [[16, 32]]),
    ],
)
def test_values_come_in_their_parameters_type(name, values, expected):
    assert repr(check_grid({name: values}, DEFAULTS)) == repr([{name: expected}])


REFUSED = {
    "seed has no values: the grid is empty": [{"seed": ""}, {"seed": []}, {"seed": "5:0"}],
    "seed=0:99999999999999999999 has more than 1,000,000": [{"seed": "0:99999999999999999999"}],
    "rate must be a float like its default 0.5; received '0:5'": [{"rate": "0:5"}],
    "cannot be read: put texts into quotes": [{"seed": "["}, {"seed": "1], [2"}, {"name": "@x"}],
    "name must be text like its default 'x'; received": [{"name": "{a: b}"}, {"name": 5}],
    "seed must be an int like its default": [{"seed": "0:3:1"}, {"seed": True}, {"seed": [1, 1.5]}],
    "flag must be true or false": [{"flag": "1"}, {"flag": 0}],
    "units must be a list": [{"units": "16,32"}, {"units": [16, 32]}],
    "'rates' (did you mean 'rate'?); known: seed, rate,": [[{"seed": 1}, {"rates": "0:5"}]],
    "cannot be the name of a parameter": [{"a b": "1"}, {"x;import os": 1}, {"import": [1]}],
    "the grid is empty": [{}, [], [{}], [{"seed": 1}, {}]],
    "results_dir cannot be set in a sweep": [{"results_dir": "here"}],
    'received "digits", "mnist"': [{"data": "digits,mnist"}, {"data": ["mnist", "digits"]}],
    "`data` can have one value": [[{"data": "digits"}, {"data": "mnist", "seed": 1}]],
    'one value only; received "", "digits"': [[{"data": "digits"}, {"seed": 1}]],
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_run_is_refused(message):
    for grid in REFUSED[message]:
        with pytest.raises(ValueError, match=re.escape(message)):
            check_grid(grid, DEFAULTS)


def test_all_combinations_of_each_grid_are_listed_and_counted():
    grids = check_grid([{"seed": "0:2", "rate": [0.1, 1]}, {"units": "[1],[2],[3]"}], DEFAULTS)
    pairs = [{"seed": seed, "rate": rate} for seed in (0, 1) for rate in (0.1, 1.0)]
    assert list(list_runs(grids)) == pairs + [{"units": [units]} for units in (1, 2, 3)]
    assert count_runs(grids) == 7
    assert count_runs([{"a": range(10**9), "b": range(10**9)}]) == 10**18


def test_grid_files_are_read_as_yaml_1_2(tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text("seed: 0:3\nrate: [1e-3, 1]\nname: no\nextra: [on, 012]\n")
    expected = {"seed": [0, 1, 2], "rate": [0.001, 1.0], "name": ["no"], "extra": ["on", "012"]}
    assert repr(check_grid(read_grid(path), DEFAULTS)) == repr([expected])
    path.write_text("- {seed: 1, units: [[16, 32]]}\n- rate: 0.1\n")
    assert read_grid(path) == [{"seed": 1, "units": [[16, 32]]}, {"rate": 0.1}]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "- 1",
        "1: 2",
        "- {x: 1}\n- [2]",
        "a: [",
        "a: !!python/name:os.system",
        RUNS_A_PROGRAM,
    ],
)
def test_files_that_hold_no_grid_are_refused_and_run_nothing(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    Path("grid.yaml").write_text(text)
    with pytest.raises(ValueError, match="must hold `name:|cannot be read"):
        read_grid("grid.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["grid.yaml"]


def test_a_name_stands_in_the_file_or_on_the_command_line():
    merged = merge_grids([{"seed": 1}, {"rate": 0.1}], {"flag": "true"})
    assert merged == [{"seed": 1, "flag": "true"}, {"rate": 0.1, "flag": "true"}]
    with pytest.raises(ValueError, match="rate is in the grid file and given as well"):
        merge_grids(merged, {"rate": "1"})
