"""What a run is: what changes its fingerprint, what does not, and how environments differ."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from nbformat.v4 import new_markdown_cell, new_notebook, new_output
from support.notebooks import code
from support.project import ROOT

import mnist_course
import mnist_helpers
from mnist_course.sweep.fingerprint import (
    compare_environments,
    describe_environment,
    describe_package,
    program_fingerprint,
    run_key,
)

ENVIRONMENT = {
    "version": "1.0",
    "source": "abc",
    "backend": "jax",
    "settings": {"floatx": "float32", "max_epochs": None},
    "packages": {"Python": "3.11", "keras": "3.13", "numpy": "2.1"},
    "dataset": {"name": "MNIST", "sha256": "0"},
    "dataset_warning": "",
}
CHANGES = [
    (
        {"source": "abd"},
        "the code of its mnist_helpers 1.0 or of its mnist_course differs",
    ),
    ({"backend": "torch"}, "its back end is torch, not jax"),
    (
        {"settings": ENVIRONMENT["settings"] | {"floatx": "float16"}},
        "its setting of floatx is 'float16', not 'float32'",
    ),
    (
        {"settings": ENVIRONMENT["settings"] | {"max_epochs": 1}},
        "its setting of max_epochs is 1, not None",
    ),
    (
        {"settings": ENVIRONMENT["settings"] | {"XLA_FLAGS": ""}},
        "its setting of XLA_FLAGS is '', not unset",
    ),
    (
        {"packages": ENVIRONMENT["packages"] | {"Python": "3.12"}},
        "it has 3.12 Python, not 3.11",
    ),
    ({"packages": ENVIRONMENT["packages"] | {"keras": "3.14"}}, "it has 3.14 keras, not 3.13"),
    ({"packages": {"keras": "3.13", "Python": "3.11"}}, "it has no numpy, not 2.1"),
    ({"packages": ENVIRONMENT["packages"] | {"jax": "0.7"}}, "it has 0.7 jax, not no"),
    (
        {"dataset": {"name": "bundled digits", "sha256": "1"}},
        "it has bundled digits, not MNIST",
    ),
]


def notebook(source="x = 1", prose="# A", outputs=(), execution_count=None):
    cell = code(source, "fit")
    cell.execution_count = execution_count
    cell.outputs = list(outputs)
    return new_notebook(cells=[new_markdown_cell(prose), code("seed = 7", "parameters"), cell])


def test_a_program_is_its_code_whatever_surrounds_it():
    name = program_fingerprint(notebook(), ENVIRONMENT)
    assert re.fullmatch("[0-9a-f]{8}", name)
    outputs = [new_output("stream", text="x")]
    executed = notebook(prose="# B", outputs=outputs, execution_count=3)
    warned = ENVIRONMENT | {"dataset_warning": "x"}
    assert program_fingerprint(executed, warned) == name
    assert program_fingerprint(notebook("x = 2"), ENVIRONMENT) != name


@pytest.mark.parametrize("change", ["skipped", "parameters elsewhere", "text"])
def test_a_program_is_what_is_executed(change):
    changed = notebook()
    if change == "skipped":
        # nbclient's own tag.
        changed.cells[2].metadata.tags.append("skip-execution")
    elif change == "parameters elsewhere":
        # papermill puts a run's values behind the cell of this tag.
        changed.cells[1].metadata.tags, changed.cells[2].metadata.tags = ["fit"], ["parameters"]
    else:
        changed.cells[2] = new_markdown_cell(changed.cells[2].source)
    names = {program_fingerprint(one, ENVIRONMENT) for one in (notebook(), changed)}
    assert len(names) == 2


@pytest.mark.parametrize(("changes", "sentence"), CHANGES)
def test_whatever_decides_a_result_tells_programs_and_workers_apart(changes, sentence):
    changed = ENVIRONMENT | changes
    before = program_fingerprint(notebook(), ENVIRONMENT)
    assert program_fingerprint(notebook(), changed) != before
    assert compare_environments(changed, ENVIRONMENT) == sentence


def test_workers_may_differ_in_nothing_but_words():
    other_version = ENVIRONMENT | {"version": "2"}
    sentence = compare_environments(other_version, ENVIRONMENT)
    assert sentence == "it has mnist_helpers 2, not 1.0"
    same = ENVIRONMENT | {"dataset_warning": "x", "packages": dict(ENVIRONMENT["packages"])}
    assert compare_environments(same, ENVIRONMENT) == ""


def test_a_run_is_its_parameters_but_for_places():
    parameters = {
        "seed": 7,
        "rate": 0.5,
        "units": [512, 512],
        "flag": True,
        "data": "",
        "name": "x",
        "extra": None,
        "results_dir": "results",
    }
    name = run_key("01234567", parameters)
    assert re.fullmatch("01234567-[0-9a-f]{16}", name)
    elsewhere = parameters | {"data": "digits", "results_dir": "elsewhere"}
    in_other_order = dict(reversed(elsewhere.items()))
    assert run_key("01234567", in_other_order) == name
    changes = {
        "seed": 8,
        "rate": 0.25,
        "units": [512],
        "flag": False,
        "name": "y",
        "extra": "None",
    }
    names = {name}
    for key, value in changes.items():
        names.add(run_key("01234567", parameters | {key: value}))
    assert len(names) == 1 + len(changes)


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    for name in ("KERAS_BACKEND", "KERAS_NNX_ENABLED", "KERAS_MAX_EPOCHS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


def test_the_environment_is_what_the_lock_pins(keras_home):
    environment = describe_environment("digits")
    assert environment["dataset"]["name"] == "bundled digits"
    assert environment["dataset_warning"] == ""
    assert environment["version"] == mnist_helpers.__version__
    packages = dict(environment["packages"])
    assert packages.pop("mnist-helpers") == mnist_helpers.__version__
    assert packages.pop("Python") == ".".join(map(str, sys.version_info[:2]))
    assert {"tensorflow", "keras", "numpy", "papermill", "distributed"} <= set(packages)
    assert not {"pytest", "nbval", "ruff"} & set(packages)
    lock = (ROOT / "requirements.lock").read_text()
    # A name may be followed by extras, as in "coverage[toml]==7.1".
    locked = set(re.findall(r"(?m)^([\w.-]+)(?:\[[^]]+\])?==([^\s;]+)", lock))
    assert set(packages.items()) <= locked


def test_the_digits_are_those_that_are_asked_for(mnist):
    assert describe_environment("mnist")["dataset"]["name"] == "MNIST"
    assert describe_environment("digits")["dataset"]["name"] == "bundled digits"


def test_the_back_end_is_the_one_that_keras_would_take(keras_home, monkeypatch):
    def backend():
        return describe_environment("digits")["backend"]

    settings = keras_home / "keras.json"
    assert backend() == "tensorflow"
    settings.write_text("{}")
    assert backend() == "tensorflow"
    # Like jax and torch, pytest is not among what the project requires.
    monkeypatch.setattr("mnist_helpers.keras_settings.BACKENDS", ("tensorflow", "pytest", "pip"))
    settings.write_text('{"backend": "pytest"}')
    assert backend() == "pytest"
    assert describe_environment("digits")["packages"]["pytest"] == pytest.__version__
    monkeypatch.setenv("KERAS_BACKEND", "pip")
    assert backend() == "pip"
    monkeypatch.setenv("KERAS_BACKEND", "")
    assert backend() == "pytest"


SETTINGS = {
    "floatx": "float16",
    "epsilon": 1e-3,
    "image_data_format": "channels_first",
    "nnx_enabled": True,
}
VARIABLES = {
    "KERAS_NNX_ENABLED": ("TRUE", "nnx_enabled", True),
    "JAX_ENABLE_X64": ("1", "JAX_ENABLE_X64", "1"),
    "JAX_DEFAULT_PRNG_IMPL": ("rbg", "JAX_DEFAULT_PRNG_IMPL", "rbg"),
}


@pytest.mark.parametrize(("name", "value"), SETTINGS.items())
def test_what_keras_takes_from_its_file_is_part_of_a_run(keras_home, name, value):
    before = describe_environment("digits")
    (keras_home / "keras.json").write_text(json.dumps({name: value}))
    after = describe_environment("digits")
    assert after["settings"] == before["settings"] | {name: value}
    assert program_fingerprint(notebook(), after) != program_fingerprint(notebook(), before)


@pytest.mark.parametrize(("variable", "expected"), VARIABLES.items())
def test_variables_that_change_results_are_part_of_a_run(
    keras_home, monkeypatch, variable, expected
):
    text, name, value = expected
    before = describe_environment("digits")
    monkeypatch.setenv(variable, text)
    after = describe_environment("digits")
    assert after["settings"] == before["settings"] | {name: value}
    assert program_fingerprint(notebook(), after) != program_fingerprint(notebook(), before)


@pytest.mark.parametrize("content", ["null", '{"backend": "theano"}', '{"floatx": "float8"}'])
def test_a_settings_file_that_keras_cannot_take_is_named(keras_home, content):
    path = keras_home / "keras.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError) as error:
        describe_environment("digits")
    assert str(path) in str(error.value)


@pytest.mark.parametrize("package", [mnist_helpers, mnist_course])
def test_any_change_of_either_package_is_seen(tmp_path, monkeypatch, package):
    before = describe_package()
    folder = Path(package.__file__).parent
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(package, "__file__", str(copy / "__init__.py"))
    (copy / "notes.txt").write_text("x")
    (copy / ".notes.py.swp").write_text("x")
    assert describe_package() == before
    module = copy / "__init__.py"
    module.write_text(module.read_text() + "pass\n")
    changed = describe_package()
    module.rename(copy / "other.py")
    renamed = describe_package()
    (copy / "weights.npz").write_bytes(b"0")
    weights = describe_package()
    (copy / "weights.npz").write_bytes(b"1")
    sources = {one["source"] for one in (before, changed, renamed, weights, describe_package())}
    assert len(sources) == 5
