from collections import Counter

import numpy as np
import pytest

from mnist_helpers import tables


def test_the_kept_table_is_complete():
    rows = tables.load_table("baselines")
    keys = {(row["network"], row["validation_fraction"], row["seed"]) for row in rows}
    networks, fractions = {"mlp", "cnn"}, {0.1, 0.0}
    assert keys == {(n, f, s) for n in networks for f in fractions for s in range(1, 6)}
    assert len(rows) == 20
    assert all(0.97 < row["test_accuracy"] < 1 for row in rows)
    assert all(isinstance(row["keras"], str) for row in rows)


def test_the_measured_designs_have_five_seeds_each_and_one_was_tested():
    rows = tables.load_table("architectures")
    names = ("conv_filters", "kernel_sizes", "dense_units", "dropout", "dropout_place")
    runs = Counter((row["evaluate_on"], *(str(row[name]) for name in names)) for row in rows)
    assert sorted(runs.values()) == [5] * 11
    (tested,) = [design for design in runs if design[0] == "test"]
    judged = {}
    for row in rows:
        assert (row["evaluate_on"] == "test") == isinstance(row["test_accuracy"], float)
        assert row["seed"] in range(1, 6) and isinstance(row["conv_filters"], list)
        design = tuple(str(row[name]) for name in names)
        judged.setdefault(design, []).append(row["val_accuracy"])
    assert tested[1:] == max(judged, key=lambda design: np.mean(judged[design]))


def test_an_unknown_table_is_not_found():
    with pytest.raises(FileNotFoundError, match="nosuch"):
        tables.load_table("nosuch")


def test_rows_are_grouped_by_one_column_or_several_in_their_order():
    rows = [{"a": 2, "b": "x"}, {"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    assert tables.group_rows(rows, "a") == {2: [rows[0], rows[2]], 1: [rows[1]]}
    assert list(tables.group_rows(rows, "a")) == [2, 1]
    assert tables.group_rows(rows, "b", "a") == {
        ("x", 2): [rows[0]],
        ("x", 1): [rows[1]],
        ("y", 2): [rows[2]],
    }


def test_of_a_table_that_grows_each_back_end_s_last_run_can_be_had(tmp_path, monkeypatch):
    (tmp_path / "measured").mkdir()
    table = tmp_path / "measured" / "speed.csv"
    table.write_text("run,backend,a\n1,tensorflow,1\n2,jax,2\n3,tensorflow,3\n3,tensorflow,4\n")
    monkeypatch.setattr(tables.resources, "files", lambda package: tmp_path)
    assert [row["a"] for row in tables.load_table("speed")] == [1, 2, 3, 4]
    assert [row["a"] for row in tables.load_table("speed", latest=True)] == [2, 3, 4]
