"""The record that a run leaves behind."""

import json
import platform
import sys
import types
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook, new_output
from support.notebooks import DATASET, code

import mnist_helpers
from mnist_helpers.record import MIME_TYPE, read_record, record_run, validate_record


def good_record(**changes):
    record = {
        "schema": 1,
        "notebook": "stub",
        "parameters": {"seed": 1},
        "digits": dict(DATASET),
        "metrics": {"test_accuracy": 0.9},
        "seconds": {"fit": 1.5},
        "versions": {
            "python": "3",
            "keras": None,
            "backend": None,
            "backend_version": None,
            "numpy": "2",
            "mnist_helpers": "1",
        },
    }
    record.update(changes)
    return record


@pytest.fixture
def displayed(monkeypatch):
    """Call `record_run` as inside IPython, and return what it displays."""
    bundles = []
    monkeypatch.setattr("IPython.get_ipython", lambda: "a shell")
    monkeypatch.setattr("IPython.display.display", lambda data, raw: bundles.append(data))

    def call(**changes):
        arguments = {
            "parameters": {},
            "digits": DATASET,
            "metrics": {"test_accuracy": 0.9},
            "seconds": {},
        }
        arguments.update(changes)
        record_run("stub", **arguments)
        (bundle,) = bundles
        return bundle

    return call


def test_a_record_is_plain_json_without_places(displayed):
    bundle = displayed(
        parameters={
            "seed": np.int64(3),
            "units": (1, np.int32(2)),
            "flag": np.bool_(True),
            "name": "<b>",
            "data": "/home/me",
            "results_dir": "/home/me",
        },
        metrics={"test_accuracy": np.float32(0.5), "loss": float("nan"), "worst": -np.inf},
        seconds={"fit": np.float64(1.25)},
    )
    record = bundle[MIME_TYPE]
    assert record["parameters"] == {"seed": 3, "units": [1, 2], "flag": True, "name": "<b>"}
    assert record["metrics"] == {"test_accuracy": 0.5, "loss": None, "worst": None}
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert "/home/me" not in json.dumps(bundle)
    assert '<th scope="row">test accuracy</th><td>0.5000</td>' in bundle["text/html"]
    assert "<b>" not in bundle["text/html"]
    assert "test accuracy  0.5000" in bundle["text/plain"]


def test_a_record_has_the_versions_of_what_the_run_used(displayed, monkeypatch):
    keras = types.SimpleNamespace(
        __version__="3.99", config=types.SimpleNamespace(backend=lambda: "abacus")
    )
    monkeypatch.setitem(sys.modules, "keras", keras)
    monkeypatch.setitem(sys.modules, "abacus", types.SimpleNamespace(__version__="7"))
    assert displayed()[MIME_TYPE]["versions"] == {
        "python": platform.python_version(),
        "keras": "3.99",
        "backend": "abacus",
        "backend_version": "7",
        "numpy": np.__version__,
        "mnist_helpers": mnist_helpers.__version__,
    }


def test_a_run_without_keras_records_none(displayed, monkeypatch):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    versions = displayed()[MIME_TYPE]["versions"]
    assert versions["keras"] is versions["backend"] is versions["backend_version"] is None
    assert "keras" not in sys.modules


def test_outside_ipython_the_table_is_printed(capsys):
    record_run("stub", parameters={"seed": 1}, digits=DATASET, metrics={"n": 1234}, seconds={})
    printed = capsys.readouterr().out
    assert DATASET["text"] in printed
    assert "1,234" in printed
    assert "seed = 1" in printed


@pytest.mark.parametrize(
    "changes",
    [
        {"parameters": {"path": Path("x")}},
        {"parameters": {"seed": {1, 2}}},
        {"metrics": {"accuracy": "good"}},
        {"seconds": {"fit": None}},
        {"seconds": {"fit": np.nan}},
        {"parameters": {"rate": float("inf")}},
        {"digits": "MNIST"},
        {"digits": {"name": "MNIST"}},
    ],
)
def test_wrong_records_are_not_written(displayed, changes):
    with pytest.raises((TypeError, ValueError)):
        displayed(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "schema 2"),
        ({"more": 1}, "must have the keys"),
        ({"notebook": 1}, "notebook"),
        ({"digits": DATASET | {"train": "60000"}}, "train"),
        ({"metrics": {"a": True}}, "'a'"),
        ({"versions": {}}, "versions"),
        ({"seconds": {"fit": float("nan")}}, "NaN"),
    ],
)
def test_validation_says_what_is_wrong(changes, message):
    validate_record(good_record())
    with pytest.raises(ValueError, match=message):
        validate_record(good_record(**changes))
    with pytest.raises(ValueError, match="record must have the keys"):
        validate_record([1])


def test_the_last_record_is_read(tmp_path):
    def output(record):
        return new_output("display_data", data={MIME_TYPE: record, "text/plain": "x"})

    cell = code("x")
    notebook = new_notebook(cells=[new_markdown_cell("x"), cell])
    assert read_record(notebook) is None
    cell.outputs = [
        new_output("stream", text="x"),
        output(good_record()),
        output(good_record(notebook="second")),
    ]
    nbformat.write(notebook, tmp_path / "x.ipynb")
    assert read_record(tmp_path / "x.ipynb")["notebook"] == "second"
    cell.outputs = [output({})]
    with pytest.raises(ValueError, match="keys"):
        read_record(notebook)
