"""The record that a run leaves behind."""

import json
import platform
import sys
import types
from pathlib import Path

import nbformat
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_markdown_cell, new_notebook, new_output
from support.notebooks import DATASET, code

import mnist_helpers
from mnist_helpers import record as record_module
from mnist_helpers.record import MIME_TYPE, format_metrics, read_record, record_run, validate_record

USUAL_SETTINGS = {
    "floatx": "float32",
    "dtype_policy": "float32",
    "epsilon": 1e-7,
    "image_data_format": "channels_last",
    "max_epochs": None,
    "max_steps_per_epoch": None,
}


def pretend_keras(monkeypatch, **changes):
    """Let this program have imported a Keras with these settings."""
    values = USUAL_SETTINGS | changes
    policy = types.SimpleNamespace(name=values["dtype_policy"])
    config = types.SimpleNamespace(backend=lambda: "abacus", dtype_policy=lambda: policy)
    for name in ("floatx", "epsilon", "image_data_format", "max_epochs", "max_steps_per_epoch"):
        setattr(config, name, lambda name=name: values[name])
    keras = types.SimpleNamespace(__version__="3.99", config=config)
    monkeypatch.setitem(sys.modules, "keras", keras)
    monkeypatch.setitem(sys.modules, "abacus", types.SimpleNamespace(__version__="7"))


def good_record(**changes):
    record = {
        "schema": 2,
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
        "settings": dict(USUAL_SETTINGS),
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
    pretend_keras(monkeypatch)
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
    record = displayed()[MIME_TYPE]
    assert record["settings"] == {}
    versions = record["versions"]
    assert versions["keras"] is versions["backend"] is versions["backend_version"] is None
    assert "keras" not in sys.modules


def test_settings_of_keras_are_recorded_and_shown_where_they_are_not_its_own(
    displayed, monkeypatch
):
    pretend_keras(monkeypatch, dtype_policy="mixed_bfloat16", max_epochs=1)
    bundle = displayed()
    changed = {"dtype_policy": "mixed_bfloat16", "max_epochs": 1}
    assert bundle[MIME_TYPE]["settings"] == USUAL_SETTINGS | changed
    last_line = bundle["text/plain"].splitlines()[-1]
    assert last_line == "settings of Keras  dtype policy = mixed_bfloat16, max epochs = 1"


def test_usual_settings_of_keras_are_recorded_and_not_shown(displayed, monkeypatch):
    pretend_keras(monkeypatch)
    bundle = displayed()
    assert bundle[MIME_TYPE]["settings"] == USUAL_SETTINGS
    assert "settings" not in bundle["text/plain"]


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
        ({"schema": 3}, "schema 3"),
        ({"settings": {"floatx": "float32"}}, "settings must have the keys floatx, dtype_policy"),
        ({"settings": USUAL_SETTINGS | {"max_epochs": "1"}}, "max_epochs"),
        ({"metrics": {"a": 10**400}}, "'a' must be a number that a float can hold"),
        ({"seconds": {"b": 10**5000}}, "'b' must be a number that a float can hold"),
        ({"parameters": {"a": "\ud800"}}, "must be JSON"),
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


def test_a_record_beside_a_text_is_none_of_the_run():
    record = good_record()
    cell = code("x")
    cell.outputs = [new_output("display_data", data={MIME_TYPE: record})]
    assert read_record(new_notebook(cells=[cell])) == record
    notebook = new_notebook(cells=[new_markdown_cell("x")])
    notebook.cells[0].outputs = cell.outputs
    assert read_record(notebook) is None


def test_a_record_of_before_without_settings_is_read():
    record = good_record(schema=1)
    del record["settings"]
    validate_record(record)
    with pytest.raises(ValueError, match="must have the keys schema, .*, settings; received"):
        validate_record(record | {"schema": 2})
    with pytest.raises(ValueError, match="must have the keys"):
        validate_record(good_record(schema=1))


@pytest.mark.parametrize(
    "content", ["", "[]", "null", "{}", '{"cells": 3}', '{"nbformat": 4, "cells": [{}]}', "\x00"]
)
def test_a_file_that_is_no_notebook_is_named(tmp_path, content):
    path = tmp_path / "x.ipynb"
    path.write_text(content, "utf-8")
    with pytest.raises(ValueError, match=f"{path} is not a Jupyter notebook"):
        read_record(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=5,
)


@given(
    part=st.sampled_from(list(good_record())),
    key=st.sampled_from(["a", "sha256", "floatx", "python"]) | st.text(),
    value=json_values,
    whole=st.booleans(),
)
@settings(derandomize=True, deadline=None)
def test_whatever_a_record_holds_it_can_be_shown_or_is_refused(part, key, value, whole):
    record = good_record()
    if whole or not isinstance(record[part], dict):
        record[part] = value
    else:
        record[part][key] = value
    cell = code("x")
    cell.outputs = [new_output("display_data", data={MIME_TYPE: record})]
    notebook = new_notebook(cells=[cell])
    try:
        received = read_record(notebook)
    except ValueError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert json.loads(json.dumps(received, allow_nan=False).encode()) == record
        rows = record_module._table_rows(received)
        record_module._as_html(rows).encode()
        record_module._as_text(rows).encode()


def test_variables_that_change_numbers_are_recorded_and_shown(monkeypatch, capsys):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true \udcff")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    written = []
    monkeypatch.setattr(record_module, "validate_record", written.append)
    record_run("stub", parameters={}, digits=DATASET, metrics={}, seconds={})
    assert written[0]["variables"]["XLA_FLAGS"] == r"--xla_cpu_enable_fast_math=true \udcff"
    assert "TF_CPP_MIN_LOG_LEVEL" not in written[0]["variables"]
    validate_record(written[0])
    assert "XLA_FLAGS = --xla_cpu_enable_fast_math=true" in capsys.readouterr().out


@pytest.mark.parametrize("variables", [["XLA_FLAGS"], {"XLA_FLAGS": 1}, None])
def test_variables_of_another_type_are_refused(variables):
    with pytest.raises(ValueError, match="variables"):
        validate_record(good_record(variables=variables))


def test_a_huge_metric_does_not_fill_a_line():
    texts = [text for _, text in format_metrics({"a": 1e300, "b": -(10**200), "c": 10**14})]
    assert texts == ["1.0000e+300", "-1.0000e+200", "100,000,000,000,000"]
