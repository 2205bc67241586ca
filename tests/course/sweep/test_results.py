"""The folder of a sweep: its results, and the tables of them."""

import csv
import json
import math
import os
import re

import pytest
from support.sweep_stub import make_result, make_scored

from mnist_course.sweep import results
from mnist_course.sweep.results import (
    check_folder,
    read_results,
    result_row,
    summary_table,
    write_csv,
    write_result,
)


def test_a_run_is_finished_when_its_json_is_there(tmp_path):
    good = make_scored(1, 0.9, units=[1], name="é")
    bad = make_result(2, error="E: no", seed=1)
    write_result(tmp_path, good, "the notebook")
    write_result(tmp_path, bad, None)
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
    message = re.escape(f"{tmp_path} cannot be written (No space left on device): make room")
    with pytest.raises(OSError, match=message):
        write_result(tmp_path, make_result(1), "the notebook")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == left
    assert read_results(tmp_path) == {}


needs_posix = pytest.mark.skipif(os.name != "posix", reason="this system has other files")

GOOD = make_scored(1, 0.9, seed=1)
NAME = "aaaaaaaa-1.json"


def without(name):
    return {key: value for key, value in GOOD.items() if key != name}


def with_record(**changes):
    return GOOD | {"record": GOOD["record"] | changes}


BAD_CONTENTS = {
    "": "Expecting value",
    "{": "Expecting property name",
    json.dumps(GOOD)[:-20]: "Unterminated string",
    json.dumps(GOOD) + "{}": "Extra data",
    "null": "a result is a JSON object; received NoneType",
    "[]": "a result is a JSON object; received list",
    "{}": "`run` is missing",
    '"text"': "received str",
    "[" * 200_000: "nested too deep",
    '{"a":' * 200_000: "nested too deep",
    json.dumps(GOOD | {"seconds": math.nan}): "NaN is no number",
    json.dumps(GOOD).replace("2.0", "1e999"): "seconds is no finite number",
    json.dumps(GOOD).replace("2.0", "1" * 400): "seconds is too large a number",
    json.dumps(GOOD).replace("2.0", "1" * 5000): "Exceeds the limit",
    json.dumps(without("notebook")): "`notebook` is missing",
    json.dumps(GOOD | {"run": "aaaaaaaa-2"}): "it is of the run 'aaaaaaaa-2'",
    json.dumps(GOOD | {"run": 7}): "`run` has the wrong type: int",
    json.dumps(GOOD | {"parameters": [1]}): "`parameters` has the wrong type: list",
    json.dumps(GOOD | {"seconds": True}): "`seconds` has the wrong type: bool",
    json.dumps(GOOD | {"seconds": "2"}): "`seconds` has the wrong type: str",
    json.dumps(GOOD | {"digits": None}): "`digits` has the wrong type: NoneType",
    json.dumps(GOOD | {"error": 1}): "`error` has the wrong type: int",
    json.dumps(GOOD | {"error": ""}): "`error` is empty",
    json.dumps(GOOD | {"record": None}): "a good run has a record",
    json.dumps(GOOD | {"record": {}}): "record must have the keys",
    json.dumps(GOOD | {"started": "no"}): "`started` must be true or false",
    json.dumps(with_record(schema=2)): "record must have the keys",
    json.dumps(with_record(metrics={"a": "b"})): "metrics['a'] has the wrong type",
    json.dumps(with_record(metrics={"a": "b" * 900_000})): "metrics['a'] has the wrong type",
    json.dumps(with_record(metrics={"a": 10**400})): "must be a number that a float can hold",
    json.dumps(with_record(seconds=[])): "seconds",
    json.dumps(with_record(notebook="b" * 1_000_000)): "it has more than 1,000,000 bytes",
    json.dumps(GOOD | {"parameters": {"a": [[]] * 5_000}}): "it holds more than 5,000 values",
    json.dumps(GOOD | {"parameters": {"a": json.loads("[" * 20 + "]" * 20)}}): "nested too deep",
    "\udcff": "can't decode",
    json.dumps(GOOD | {"error": "x" * 990_000}): "`error` has more than 1,000 characters",
    json.dumps(GOOD | {"cell": "x" * 1_001}): "`cell` has more than 1,000 characters",
}


@pytest.mark.parametrize(("content", "reason"), BAD_CONTENTS.items(), ids=range(len(BAD_CONTENTS)))
def test_what_is_no_result_is_named_in_one_line_and_set_aside(tmp_path, capsys, content, reason):
    other = make_result(2, error="E: no")
    write_result(tmp_path, GOOD, "the notebook")
    write_result(tmp_path, other, None)
    bad = tmp_path / "runs" / NAME
    bad.write_text(content, encoding="utf-8", errors="surrogateescape")
    before = bad.read_bytes()
    assert read_results(tmp_path) == {"aaaaaaaa-2": other}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{bad} holds no result (")
    assert line.endswith("): it is left out")
    assert reason in line
    assert len(line) < 500
    assert read_results(tmp_path, set_aside=True) == {"aaaaaaaa-2": other}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f": it is now {NAME}.unreadable, and its run is done again")
    assert (tmp_path / "runs" / f"{NAME}.unreadable").read_bytes() == before
    assert read_results(tmp_path, set_aside=True) == {"aaaaaaaa-2": other}
    assert capsys.readouterr().err == ""


def test_a_table_has_a_bounded_number_of_columns(tmp_path, capsys):
    for run in range(5):
        names = {f"name_{run}_{number}": 0 for number in range(300)}
        write_result(tmp_path, make_scored(run, 0.5, **names), None)
    write_result(tmp_path, make_scored(7, 0.5, seed=1), None)
    read = read_results(tmp_path)
    assert sorted(read) == [f"aaaaaaaa-{run}" for run in (0, 1, 2, 7)]
    lines = capsys.readouterr().err.splitlines()
    names = [line.partition(" holds no result")[0] for line in lines]
    assert names == [f"{tmp_path}/runs/aaaaaaaa-{run}.json" for run in (3, 4)]
    assert all("the table has more than 1,000 columns" in line for line in lines)


def test_all_results_together_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "_MAX_BYTES_TOGETHER", 30_000)
    write_result(tmp_path, make_scored(1, 0.5, name="x" * 10_000), None)
    assert len(read_results(tmp_path)) == 1
    write_result(tmp_path, make_scored(2, 0.5, name="x" * 10_000), None)
    with pytest.raises(ValueError, match="more than 30,000 bytes together: move some of them"):
        read_results(tmp_path)


def test_a_table_that_no_sweep_has_written_is_not_replaced(tmp_path):
    table = tmp_path / "runs.csv"
    write_csv([GOOD], table)
    check_folder(tmp_path)
    write_csv([GOOD], table)
    table.write_text("my own runs")
    with pytest.raises(OSError, match="runs.csv was not written by a sweep"):
        check_folder(tmp_path)
    with pytest.raises(OSError, match="runs.csv was not written by a sweep"):
        write_csv([GOOD], table)
    assert table.read_text() == "my own runs"


def make_folder(path):
    path.mkdir()
    (path / "inside").touch()


def make_huge(path):
    with path.open("wb") as file:
        # It takes no room on the disk.
        file.truncate(10**9)


NO_FILES = [
    make_folder,
    make_huge,
    lambda path: os.mkfifo(path),
    lambda path: path.symlink_to("nowhere"),
    lambda path: path.symlink_to(path.name),
    lambda path: path.symlink_to("/dev/zero"),
]


@needs_posix
@pytest.mark.parametrize("make", NO_FILES, ids=range(len(NO_FILES)))
def test_what_is_no_plain_file_is_set_aside_unread(tmp_path, capsys, make):
    (tmp_path / "runs").mkdir()
    make(tmp_path / "runs" / NAME)
    assert read_results(tmp_path, set_aside=True) == {}
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [f"{NAME}.unreadable"]


@needs_posix
@pytest.mark.parametrize("name", ["a\nb.json", "\x1b[31mred.json", "\udcff.json", "ü b'.json"])
def test_odd_names_stay_in_one_line_and_send_a_terminal_no_codes(tmp_path, capsys, name):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / name).touch()
    assert read_results(tmp_path, set_aside=True) == {}
    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable()
    assert os.listdir(tmp_path / "runs") == [f"{name}.unreadable"]


def test_nothing_that_was_set_aside_is_replaced(tmp_path, capsys):
    bad = tmp_path / "runs" / NAME
    bad.parent.mkdir()
    for content in ("1", "22", "333"):
        bad.write_text(content)
        read_results(tmp_path, set_aside=True)
    contents = [path.read_text() for path in sorted(bad.parent.iterdir())]
    assert contents == ["1", "22", "333"]


@needs_posix
def test_what_cannot_be_renamed_is_said_to_stay(tmp_path, capsys):
    # With the ending, the name is longer than a file system takes.
    name = "a" * 245 + ".json"
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / name).touch()
    assert read_results(tmp_path, set_aside=True) == {}
    (line,) = capsys.readouterr().err.splitlines()
    assert "its run is done again, but it could not be renamed (File name too long)" in line


@needs_posix
def test_a_folder_for_results_is_checked_before_anything_runs(tmp_path):
    check_folder(tmp_path)
    assert list((tmp_path / "runs").iterdir()) == []
    (tmp_path / "runs").rmdir()
    (tmp_path / "runs").touch()
    with pytest.raises(OSError, match=r"into .*runs \(File exists\): make way, or name another"):
        check_folder(tmp_path)


@needs_posix
def test_a_table_that_cannot_be_written_is_told_in_one_line(tmp_path):
    (tmp_path / "runs.csv").mkdir()
    with pytest.raises(OSError) as error:
        write_csv([GOOD], tmp_path / "runs.csv")
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{tmp_path}/runs.csv cannot be written (Is a directory)")
    assert f"mnist-course collect {tmp_path}" in str(error.value)
    assert os.listdir(tmp_path) == ["runs.csv"]


def test_half_a_pair_of_surrogates_does_not_stop_the_table(tmp_path):
    bad = make_result(2, error="E: \udcff")
    write_result(tmp_path, bad, None)
    assert read_results(tmp_path) == {"aaaaaaaa-2": bad}
    write_csv([bad], tmp_path / "runs.csv")
    assert "E: \\udcff" in (tmp_path / "runs.csv").read_text(encoding="utf-8")


def test_no_text_of_a_record_is_a_formula_to_a_spreadsheet(tmp_path):
    result = make_scored(1, None, name="=HYPERLINK(0)", rate=-0.5)
    result["record"]["metrics"]["@SUM(1)"] = 0.25
    write_csv([result, make_result(2, error="+1")], tmp_path / "runs.csv")
    with (tmp_path / "runs.csv").open(encoding="utf-8", newline="") as file:
        good_row, bad_row = csv.DictReader(file)
    assert good_row["name"] == "'=HYPERLINK(0)"
    assert good_row["'@SUM(1)"] == "0.25"
    assert bad_row["error"] == "'+1"
    # Numbers stay numbers; what was not recorded stays apart from what was not finite.
    assert good_row["rate"] == "-0.5"
    assert good_row["val_accuracy"] == "NaN"
    assert bad_row["val_accuracy"] == ""


def test_the_csv_file_has_a_row_for_each_run_with_all_that_is_known(tmp_path):
    text = 'a, "b"\nc\r\nd'
    good = make_scored(1, None, units=[16, 32], flag=True, name=text)
    bad = make_result(2, error="é\r1")
    path = tmp_path / "new" / "runs.csv"
    write_csv([good, bad], path)
    with path.open(encoding="utf-8", newline="") as file:
        names, good_row, bad_row = csv.reader(file)
    assert ",".join(names) == (
        "run,result,units,flag,name,test_accuracy,val_accuracy,fit_seconds,seconds,digits,"
        "keras,backend,backend_version,cell,error"
    )
    assert good_row[:7] == ["aaaaaaaa-1", "good", "[16, 32]", "true", text, "0.5", "NaN"]
    assert good_row[7:] == ["1.5", "2.0", "MNIST", "3.13", "jax", "0.7", "", ""]
    assert bad_row[:2] == ["aaaaaaaa-2", "failed"]
    assert bad_row[2:8] == [""] * 6
    assert bad_row[8:] == ["2.0", "MNIST", "", "", "", "fit", "é\r1"]
    assert result_row(good)["units"] == [16, 32]
    assert result_row(good)["val_accuracy"] is None


def test_settings_are_compared_by_validation_over_their_seeds():
    table = summary_table(
        [
            make_scored(0, 0.5, rate=0.1, seed=1, name="x"),
            make_scored(0, 0.9, rate=0.2, seed=1, name="x"),
            make_scored(0, None, rate=0.3, seed=1, name="x"),
            make_scored(0, 0.99, rate=0.3, seed=2, name="x"),
            make_scored(0, 0.7, rate=0.2, seed=2, name="x"),
            make_scored(0, 0.6, rate=0.4, seed=1, name="x"),
            make_result(0, error="E: no", rate=0.5, name="y"),
        ]
    )
    assert [" | ".join(row) for row in table] == [
        "rate | runs | val accuracy | seconds",
        "0.2 | 2 | 0.8000 (0.7000 to 0.9000) | 2.0",
        "0.4 | 1 | 0.6000 | 2.0",
        "0.1 | 1 | 0.5000 | 2.0",
        "0.3 | 2 | not finite | 2.0",
    ]


def test_a_metric_that_was_never_recorded_is_told_as_such():
    table = summary_table(
        [
            make_result(1, metrics={"a": 0.5, "b": None}, rate=0.1, seed=1),
            make_result(2, metrics={"a": 0.5, "b": 0.5}, rate=0.1, seed=2),
            make_result(3, metrics={"a": 0.5}, rate=0.2, seed=1),
            make_result(4, metrics={"a": 0.5, "val_accuracy": 0.5}, rate=0.3, seed=1),
            make_result(5, metrics={"a": 0.5, "b": 0.5}, rate=0.3, seed=2),
        ]
    )
    assert [" | ".join(row) for row in table] == [
        "rate | runs | val accuracy | a | b | seconds",
        "0.1 | 2 | not recorded | 0.5000 | not finite | 2.0",
        "0.2 | 1 | not recorded | 0.5000 | not recorded | 2.0",
        "0.3 | 2 | not recorded by 1 of 2 | 0.5000 | not recorded by 1 of 2 | 2.0",
    ]


def test_without_validation_the_order_and_the_test_digits_stay():
    tests = [make_result(n, metrics={"test_accuracy": n / 10}, units=[n]) for n in (1, 3, 2)]
    head, *rows = summary_table(tests)
    assert head == ["units", "runs", "test accuracy", "seconds"]
    assert [row[::2] for row in rows] == [["[1]", "0.1000"], ["[3]", "0.3000"], ["[2]", "0.2000"]]


def test_other_programs_and_digits_are_not_averaged():
    others = [
        make_scored(1, 0.3, seed=1),
        make_scored(1, 0.2, seed=2, program="bbbbbbbb"),
        make_scored(2, 0.1, seed=3, digits="bundled digits"),
    ]
    head, *rows = [" ".join(row[:3]) for row in summary_table(others)]
    assert head == "digits program runs"
    assert rows == ["MNIST aaaaaaaa 1", "MNIST bbbbbbbb 1", "bundled digits aaaaaaaa 1"]


def test_no_metric_takes_the_place_of_a_parameter_or_of_the_runs_own_columns(tmp_path):
    metrics = {"epochs": 3, "run": 7, "fit_seconds": 1, "val_accuracy": 0.9}
    results = [make_result(number, metrics=metrics, epochs=number) for number in (5, 6)]
    row = result_row(results[0])
    assert row["run"] == "aaaaaaaa-5" and row["run_metric"] == 7
    assert row["epochs"] == 5 and row["epochs_metric"] == 3
    assert row["fit_seconds"] == 1 and row["fit_seconds_recorded"] == 1.5
    assert summary_table(results)[0][:3] == ["epochs", "runs", "val accuracy"]
    assert "epochs metric" in summary_table(results)[0]
