"""Grids, identities, results and tables of sweeps, and what the commands refuse: nothing is run."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook, new_output
from support.notebooks import code, record_cell, write
from support.project import ROOT

import mnist_helpers
from mnist_course.__main__ import main
from mnist_course.sweep.fingerprint import describe_environment, describe_package
from mnist_course.sweep.fingerprint import program_fingerprint as program
from mnist_course.sweep.fingerprint import run_key as run_name
from mnist_course.sweep.grid import check_grid, count_runs, list_runs, merge_grids, read_grid
from mnist_course.sweep.results import (
    lock_folder,
    read_results,
    result_row,
    summary_table,
    write_csv,
)
from mnist_course.sweep.results import write_result as save
from mnist_course.sweep.worker import compare

LOCK = ROOT / "requirements.lock"
DEFAULTS = {"seed": 7, "rate": 0.5, "units": [512, 512], "flag": True, "data": "", "name": "x"}
DEFAULTS |= {"extra": None, "results_dir": "results"}
SHELL = "seed: !!python/object/apply:os.system [touch trace]"


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*"))


# Grids.


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
    "text", ["", "x", "- 1", "1: 2", "- {x: 1}\n- [2]", "a: [", "a: !!python/name:os.system", SHELL]
)
def test_files_that_hold_no_grid_are_refused_and_run_nothing(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    Path("grid.yaml").write_text(text)
    with pytest.raises(ValueError, match="must hold `name:|cannot be read"):
        read_grid("grid.yaml")
    assert files(tmp_path) == ["grid.yaml"]


def test_a_name_stands_in_the_file_or_on_the_command_line():
    merged = merge_grids([{"seed": 1}, {"rate": 0.1}], {"flag": "true"})
    assert merged == [{"seed": 1, "flag": "true"}, {"rate": 0.1, "flag": "true"}]
    with pytest.raises(ValueError, match="rate is in the grid file and given as well"):
        merge_grids(merged, {"rate": "1"})


# What a run is.

HERE = {"version": "1.0", "source": "abc", "backend": "jax", "notice": ""}
HERE |= {"packages": {"keras": "3.13", "numpy": "2.1"}, "digits": {"name": "MNIST", "sha256": "0"}}
CHANGES = [
    ({"source": "abd"}, "the code of its mnist_helpers 1.0 differs"),
    ({"backend": "torch"}, "its back end is torch, not jax"),
    ({"packages": {"keras": "3.14", "numpy": "2.1"}}, "it has 3.14 keras, not 3.13"),
    ({"packages": {"keras": "3.13"}}, "it has no numpy, not 2.1"),
    ({"packages": HERE["packages"] | {"jax": "0.7"}}, "it has 0.7 jax, not no"),
    ({"digits": {"name": "bundled digits", "sha256": "1"}}, "it has bundled digits, not MNIST"),
]


def notebook(source="x = 1", prose="# A", count=None):
    cell = code(source, "fit")
    cell.execution_count = count
    cell.outputs = [new_output("stream", text="x")] * bool(count)
    return new_notebook(cells=[new_markdown_cell(prose), code("seed = 7", "parameters"), cell])


def test_a_program_is_its_code_whatever_surrounds_it():
    name = program(notebook(), HERE)
    assert re.fullmatch("[0-9a-f]{8}", name)
    assert program(notebook(prose="# B", count=3), HERE | {"notice": "x"}) == name
    assert program(notebook("x = 2"), HERE) != name


@pytest.mark.parametrize(("changes", "sentence"), CHANGES)
def test_whatever_decides_a_result_tells_programs_and_workers_apart(changes, sentence):
    assert program(notebook(), HERE | changes) != program(notebook(), HERE)
    assert compare(HERE | changes, HERE) == sentence


def test_workers_may_differ_in_nothing_but_words():
    assert compare(HERE | {"version": "2"}, HERE) == "it has mnist_helpers 2, not 1.0"
    assert compare(HERE | {"notice": "x", "packages": dict(HERE["packages"])}, HERE) == ""


def test_a_run_is_its_parameters_but_for_places():
    name = run_name("01234567", DEFAULTS)
    assert re.fullmatch("01234567-[0-9a-f]{16}", name)
    places = {"data": "digits", "results_dir": "elsewhere"}
    assert run_name("01234567", dict(reversed((DEFAULTS | places).items()))) == name
    others = {"seed": 8, "rate": 0.25, "units": [512], "flag": False, "name": "y", "extra": "None"}
    names = {run_name("01234567", DEFAULTS | {key: others[key]}) for key in others}
    assert len(names | {name}) == 7


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


def test_the_environment_is_what_the_lock_pins(keras_home):
    found = describe_environment("digits")
    assert (found["digits"]["name"], found["notice"]) == ("bundled digits", "")
    packages = dict(found["packages"])
    assert packages.pop("mnist-helpers") == found["version"] == mnist_helpers.__version__
    assert {"tensorflow", "keras", "numpy", "papermill", "distributed"} <= set(packages)
    assert not {"pytest", "nbval", "ruff"} & set(packages)
    assert packages.items() <= set(re.findall(r"(?m)^([\w.-]+)==([^\s;]+)", LOCK.read_text()))


def test_the_back_end_is_the_one_that_keras_would_take(keras_home, monkeypatch):
    found = [describe_environment("digits")["backend"]]
    for text in ("{", '{"backend": "torch"}'):
        (keras_home / "keras.json").write_text(text)
        found.append(describe_environment("digits")["backend"])
    for name in ("jax", ""):
        monkeypatch.setenv("KERAS_BACKEND", name)
        found.append(describe_environment("digits")["backend"])
    assert found == ["tensorflow", "tensorflow", "torch", "jax", "torch"]
    monkeypatch.setenv("KERAS_BACKEND", "pytest")  # as jax and torch, it is not required
    assert describe_environment("digits")["packages"]["pytest"] == pytest.__version__


def test_any_change_of_the_package_is_seen(tmp_path, monkeypatch):
    before, package = describe_package(), Path(mnist_helpers.__file__).parent
    copy = shutil.copytree(package, tmp_path / "x", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(mnist_helpers, "__file__", str(copy / "__init__.py"))
    (copy / "notes.txt").write_text("x")
    assert describe_package() == before
    module = copy / "data.py"
    module.write_text(module.read_text() + "pass")
    changed = describe_package()
    module.rename(copy / "data2.py")
    assert len({found["source"] for found in (before, changed, describe_package())}) == 3


# Results.


def result(run, *, program="aaaaaaaa", error=None, metrics=None, digits="MNIST", **parameters):
    versions = {"python": "3.11", "keras": "3.13", "backend": "jax", "backend_version": "0.7"}
    record = {"metrics": metrics or {}, "seconds": {"fit": 1.5}, "versions": versions}
    about = {"run": f"{program}-{run}", "notebook": "01_stub", "parameters": parameters}
    about |= {"digits": digits, "seconds": 2.0, "error": error, "cell": "fit" if error else None}
    return about | {"record": None if error else record}


def scored(run, accuracy, **others):
    return result(run, metrics={"test_accuracy": 0.5, "val_accuracy": accuracy}, **others)


def test_a_run_is_finished_when_its_json_is_there(tmp_path):
    good, bad = scored(1, 0.9, units=[1], name="é"), result(2, error="E: no", seed=1)
    save(tmp_path, good, "the notebook")
    save(tmp_path, bad, None)
    (tmp_path / "runs" / "aaaaaaaa-3.ipynb").write_text("cut short")
    assert read_results(tmp_path) == {"aaaaaaaa-1": good, "aaaaaaaa-2": bad}
    assert (tmp_path / "runs" / "aaaaaaaa-1.ipynb").read_text() == "the notebook"
    assert read_results(tmp_path / "none") == {}


@pytest.mark.parametrize(("full", "left"), [(".ipynb", []), (".json", ["aaaaaaaa-1.ipynb"])])
def test_a_full_disk_leaves_nothing_half(tmp_path, monkeypatch, full, left):
    def fail(source, target, replace=os.replace):
        if str(target).endswith(full):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr("mnist_helpers.saving.os.replace", fail)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, result(1), "the notebook")
    assert files(tmp_path / "runs") == left and read_results(tmp_path) == {}


@pytest.mark.parametrize("end", [subprocess.Popen.communicate, subprocess.Popen.kill])
def test_a_folder_is_held_as_long_as_its_sweep_lives(tmp_path, end):
    source = "import sys\nfrom mnist_course.sweep.results import lock_folder\n"
    source += "with lock_folder('new'):\n    print('held', flush=True)\n    sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", source], cwd=tmp_path, **pipes) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(RuntimeError, match="another sweep is writing into .*new: wait, or"):
            with lock_folder(tmp_path / "new"):
                pass
        end(process)
    with lock_folder(tmp_path / "new"):
        assert process.returncode == (-9 if end is subprocess.Popen.kill else 0)


def test_the_csv_file_has_a_row_for_each_run_with_all_that_is_known(tmp_path):
    text = 'a, "b"\nc\r\nd'
    good, bad = scored(1, None, units=[16, 32], flag=True, name=text), result(2, error="é\r1")
    write_csv([good, bad], tmp_path / "new" / "runs.csv")
    with (tmp_path / "new" / "runs.csv").open(encoding="utf-8", newline="") as file:
        names, found, failed = csv.reader(file)
    assert ",".join(names) == (
        "run,result,units,flag,name,test_accuracy,val_accuracy,fit_seconds,seconds,digits,"
        "keras,backend,backend_version,cell,error"
    )
    assert found[:7] == ["aaaaaaaa-1", "good", "[16, 32]", "true", text, "0.5", ""]
    assert found[7:] == ["1.5", "2.0", "MNIST", "3.13", "jax", "0.7", "", ""]
    assert failed == ["aaaaaaaa-2", "failed", *[""] * 6, "2.0", "MNIST", *[""] * 3, "fit", "é\r1"]
    assert result_row(good)["units"] == [16, 32] and result_row(good)["val_accuracy"] is None


def test_settings_are_compared_by_validation_over_their_seeds():
    runs = [(0.1, 1, 0.5), (0.2, 1, 0.9), (0.3, 1, None), (0.3, 2, 0.99), (0.2, 2, 0.7)]
    good = [scored(0, score, rate=rate, seed=seed, name="x") for rate, seed, score in runs]
    good += [scored(0, 0.6, rate=0.4, seed=1, name="x")]
    table = summary_table([*good, result(0, error="E: no", rate=0.5, name="y")])
    assert [" | ".join(row) for row in table] == [
        "rate | runs | val accuracy | seconds",
        "0.2 | 2 | 0.8000 (0.7000 to 0.9000) | 2.0",
        "0.4 | 1 | 0.6000 | 2.0",
        "0.1 | 1 | 0.5000 | 2.0",
        "0.3 | 2 | not finite | 2.0",
    ]


def test_without_validation_the_order_and_the_test_digits_stay():
    tests = [result(n, metrics={"test_accuracy": n / 10}, units=[n]) for n in (1, 3, 2)]
    head, *rows = summary_table(tests)
    assert head == ["units", "runs", "test accuracy", "seconds"]
    assert [row[::2] for row in rows] == [["[1]", "0.1000"], ["[3]", "0.3000"], ["[2]", "0.2000"]]


def test_other_programs_and_digits_are_not_averaged():
    others = [scored(1, 0.3, seed=1), scored(1, 0.2, seed=2, program="bbbbbbbb")]
    others += [scored(2, 0.1, seed=3, digits="bundled digits")]
    head, *rows = [" ".join(row[:3]) for row in summary_table(others)]
    assert head == "digits program runs"
    assert rows == ["MNIST aaaaaaaa 1", "MNIST bbbbbbbb 1", "bundled digits aaaaaaaa 1"]


# The commands.


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "notebooks" / "01_stub.ipynb", record_cell())
    nbformat.write(new_notebook(cells=[code("1")]), tmp_path / "plain.ipynb")
    (tmp_path / "grid.yaml").write_text("seed: 0:2\n")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("sweep 01_stub --set sed=1", "01_stub: unknown parameter 'sed' (did you mean 'seed'?)"),
        ("sweep 01_stub --set seed=1.5", "seed must be an int like its default 7"),
        ("sweep plain.ipynb --set seed=1", "plain: no cell is tagged `parameters`"),
        ("sweep 01_stub", "the grid is empty"),
        ("sweep 01_stub --set seed=5:0", "seed has no values: the grid is empty"),
        ("sweep 01_stub --set seed=0:1001", "that is 1,001 runs; add --yes if you mean it"),
        ("sweep 01_stub --set seed=1 --set seed=2", "once a name; received 'seed=2'"),
        ("sweep 01_stub --set seed", "--set takes name=value"),
        ("sweep 01_stub --set seed=1 --params grid.yaml", "seed is in the grid file and given"),
        ("sweep 01_stub --params none.yaml", "No such file or directory: 'none.yaml'"),
        ("sweep 03_none --set seed=1", "there is no notebook 03_none; notebooks/ here has"),
        ("sweep 01_stub --set seed=1 --workers 2 --scheduler tls://x:9", "--workers is for this"),
        ("sweep 01_stub --set seed=1 --workers 0", "workers must be above 0; received 0"),
        ("sweep 01_stub --set seed=1 --set data=none --dry-run", "none: there is no such file"),
        ("collect none", "there are no finished runs in none"),
    ],
)
def test_the_commands_refuse_in_one_line_and_write_nothing(here, capsys, arguments, message):
    before = files(here)
    assert main(arguments.split()) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert files(here) == before


def test_a_dry_run_lists_what_would_be_run_and_writes_nothing(here, capsys):
    command = "sweep 01_stub --params grid.yaml --set rate=0.5,1 --set data=digits --output out"

    def listed():
        before = files(here)
        assert main([*command.split(), "--dry-run"]) == 0 and files(here) == before
        head, *lines = capsys.readouterr().out.splitlines()
        assert head.startswith("4 runs of 01_stub on bundled digits: 1,500 training")
        return [re.fullmatch(r"([0-9a-f-]{25})  (to do|done|failed)  +(.*)", x) for x in lines]

    lines = listed()
    assert [line[2] for line in lines] == ["to do"] * 4
    changed = [line[3].removesuffix("data='digits'") for line in lines]
    assert changed == ["seed=0, ", "seed=0, rate=1.0, ", "seed=1, ", "seed=1, rate=1.0, "]
    for line, error in ((lines[1], None), (lines[2], "E: no")):
        save("out", result(0, error=error) | {"run": line[1]}, "the notebook")
    assert [line[2] for line in listed()] == ["to do", "done", "failed", "to do"]
    many = "sweep 01_stub --set seed=0:1001 --set data=digits --yes --dry-run"
    assert main(many.split()) == 0 and len(capsys.readouterr().out.splitlines()) == 1002


def test_collecting_makes_both_tables(here, capsys):
    for run, accuracy in ((1, 0.5), (2, 0.9)):
        save("out", scored(run, accuracy, rate=run / 2), "the notebook")
    assert main(["collect", "out"]) == 0
    lines = [re.sub(" +", " ", line) for line in capsys.readouterr().out.splitlines()]
    assert lines[:2] == ["rate runs val accuracy seconds", "1.0 1 0.9000 2.0"]
    assert lines[2:] == ["0.5 1 0.5000 2.0", "", "2 good runs, 0 failed, on MNIST: out/runs.csv"]
    save("out", result(3, error="ValueError: no", rate=0.1), "the notebook")
    assert main(["collect", "out"]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert "FAILED aaaaaaaa-3 (rate=0.1) in fit: ValueError: no" in printed
    with Path("out", "runs.csv").open(encoding="utf-8", newline="") as file:
        assert [row["rate"] for row in csv.DictReader(file)] == ["0.5", "1.0", "0.1"]
