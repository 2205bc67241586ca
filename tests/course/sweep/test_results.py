"""The folder of a sweep: its results, and the tables of them."""

import csv
import os

import pytest
from support.sweep_stub import make_result, make_scored

from mnist_course.sweep.results import (
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
    with pytest.raises(OSError, match="No space left"):
        write_result(tmp_path, make_result(1), "the notebook")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == left
    assert read_results(tmp_path) == {}


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
    assert good_row[:7] == ["aaaaaaaa-1", "good", "[16, 32]", "true", text, "0.5", ""]
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
