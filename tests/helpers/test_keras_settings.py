"""Whatever a user's settings of Keras say, the course's networks are the same."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.project import ROOT

from mnist_helpers import keras_settings
from mnist_helpers.keras_settings import DEFAULTS, KerasSettingsError, check_settings, read_settings

HOSTILE = {"floatx": "float16", "epsilon": 0.5, "image_data_format": "channels_first"}


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Return the path of Keras' settings file, which is not there yet; no variable is set."""
    for name in list(os.environ):
        if name.startswith("KERAS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path / "keras.json"


# --- what is read ------------------------------------------------------------------------------


def test_without_any_settings_they_are_keras_own(file):
    assert read_settings() == ({"backend": "tensorflow"} | DEFAULTS, file)
    assert keras_settings.overridden_settings() == []


def test_variables_outrank_the_file(file, monkeypatch):
    file.write_text(json.dumps(HOSTILE | {"backend": "jax", "nnx_enabled": True}), "utf-8")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("KERAS_NNX_ENABLED", "0")
    monkeypatch.setenv("KERAS_MAX_EPOCHS", "1")
    received, _ = read_settings()
    others = {"backend": "torch", "nnx_enabled": False, "max_epochs": "1"}
    assert received == DEFAULTS | HOSTILE | others
    assert keras_settings.overridden_settings() == [
        f"floatx = 'float16' in {file}",
        f"epsilon = 0.5 in {file}",
        f"image_data_format = 'channels_first' in {file}",
        "max_epochs = '1' in the variable KERAS_MAX_EPOCHS",
    ]


def test_an_empty_variable_says_nothing(file, monkeypatch):
    for name in ("KERAS_BACKEND", "KERAS_MAX_EPOCHS", "KERAS_NNX_ENABLED"):
        monkeypatch.setenv(name, "")
    assert read_settings() == ({"backend": "tensorflow"} | DEFAULTS, file)


def test_the_file_lies_in_the_home_folder_even_if_that_cannot_be_written(file, monkeypatch):
    # Keras itself would take /tmp/.keras, which anybody can make.
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: str(path).replace("~", "/home/me"))
    assert read_settings()[1] == Path("/home/me/.keras/keras.json")


def test_a_user_without_a_home_has_no_settings(file, monkeypatch):
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: str(path))
    received, path = read_settings()
    assert received == {"backend": "tensorflow"} | DEFAULTS
    assert path.is_absolute()


@pytest.mark.parametrize("text", ["", "{", "\ufeff{}", b"\xff\xfe", "9" * 5000])
def test_what_keras_passes_over_says_nothing(file, text):
    if isinstance(text, str):
        text = text.encode()
    file.write_bytes(text)
    assert read_settings() == ({"backend": "tensorflow"} | DEFAULTS, file)


# --- what keeps Keras from starting ------------------------------------------------------------


@pytest.mark.parametrize("text", ["[]", "null", '"x"', "3", "[" * 100_000])
def test_a_file_that_is_no_object_is_named(file, text):
    file.write_text(text, "utf-8")
    with pytest.raises(KerasSettingsError, match="must hold an object") as error:
        read_settings()
    assert str(file) in str(error.value)


def test_what_is_no_plain_file_is_named_and_not_opened(file):
    file.mkdir()
    with pytest.raises(KerasSettingsError, match=f"{file}.* must be a plain file"):
        read_settings()
    file.rmdir()
    # Whoever opens it waits for ever.
    os.mkfifo(file)
    with pytest.raises(KerasSettingsError, match=f"{file}.* must be a plain file"):
        read_settings()


def test_a_file_that_may_not_be_read_is_named(file, monkeypatch):
    file.write_text("{}", "utf-8")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(KerasSettingsError, match=f"{file}.*: Permission denied: mend it"):
        read_settings()


@pytest.mark.parametrize(
    ("stored", "complaint"),
    [
        ({"backend": "theano"}, "'theano', but the course runs on tensorflow, jax, torch"),
        ({"backend": "numpy"}, "'numpy', but"),
        ({"backend": None}, "None, but"),
        ({"backend": "jax"}, "'jax', which is not installed"),
        ({"floatx": "float8"}, "'floatx' must be one of float16, float32, float64"),
        ({"floatx": ["float32"]}, "'floatx' must be one of"),
        ({"image_data_format": "tf"}, "'image_data_format' must be one of"),
        ({"epsilon": 1}, "'epsilon' must be a number with a decimal point"),
    ],
)
def test_a_setting_that_keeps_keras_from_starting_is_named_with_its_file(
    file, monkeypatch, stored, complaint
):
    monkeypatch.setattr(keras_settings, "_is_installed", lambda module: False)
    file.write_text(json.dumps(stored), "utf-8")
    with pytest.raises(KerasSettingsError, match=complaint) as error:
        check_settings(*read_settings())
    assert str(file) in str(error.value)


def test_a_back_end_from_a_variable_is_named_with_it(file, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "cntk")
    with pytest.raises(KerasSettingsError, match="the variable KERAS_BACKEND names .* 'cntk'"):
        check_settings(*read_settings())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(keras_settings.FILE_SETTINGS) | st.text(), inner, max_size=5
        )
    ),
)
contents = json_values.map(lambda value: json.dumps(value).encode()) | st.binary()


@given(content=contents)
@settings(derandomize=True, deadline=None)
def test_whatever_the_file_holds_it_is_taken_or_named(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "keras.json"
    file.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_HOME", str(file.parent))
        patch.delenv("KERAS_BACKEND", raising=False)
        try:
            received, _ = read_settings()
            check_settings(received, file)
        except KerasSettingsError as error:
            assert str(file) in str(error)
            assert len(str(error).splitlines()) == 1
        else:
            assert received["backend"] in keras_settings.BACKENDS


# --- what Keras then has -----------------------------------------------------------------------

PROGRAM = """\
import json, os
from mnist_helpers import augmentation
from mnist_helpers.keras_settings import current_settings, keras_defaults

with keras_defaults():
    import keras
layer = keras.layers.Conv2D(1, 1)
first = [current_settings(), layer.compute_dtype, layer.data_format]
variable = os.environ["KERAS_MAX_EPOCHS"]
keras.config.set_floatx("float64")
keras.config.set_dtype_policy("mixed_bfloat16")
with keras_defaults():
    import keras
print(json.dumps([first, variable, current_settings()]))
"""


@pytest.mark.slow
def test_networks_are_the_same_whatever_the_settings_say(file, monkeypatch):
    file.write_text(json.dumps(HOSTILE), "utf-8")
    monkeypatch.setenv("KERAS_MAX_EPOCHS", "1")
    monkeypatch.setenv("KERAS_MAX_STEPS_PER_EPOCH", "no number")
    monkeypatch.setenv("KERAS_NNX_ENABLED", "true")
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    first, variable, later = json.loads(run.stdout)
    usual = {name: value for name, value in DEFAULTS.items() if name != "nnx_enabled"}
    usual["dtype_policy"] = "float32"
    assert first == [usual, "float32", "channels_last"]
    # The variables are there for what this program starts.
    assert variable == "1"
    # What a notebook sets after the import stays, and is said.
    assert later == usual | {"floatx": "float64", "dtype_policy": "mixed_bfloat16"}


def test_a_file_that_has_only_keras_name_is_named(file, tmp_path):
    (tmp_path / "keras.py").write_text("", "utf-8")
    code = "from mnist_helpers.keras_settings import keras_defaults\n"
    code += "with keras_defaults():\n    import keras"
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    error = f"ImportError: {tmp_path}/keras.py is not Keras, but has its name: rename it"
    assert run.stderr.splitlines()[-1] == error


def keras_imports(code):
    """Return the lines that import Keras, and those of them inside `with keras_defaults()`."""
    tree = ast.parse(code)
    lines = {node.lineno for node in ast.walk(tree) if _imports_keras(node)}
    inside = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.With) and ast.unparse(node.items[0]).startswith("keras_defaults("):
            inside |= {child.lineno for child in node.body if _imports_keras(child)}
    return lines, inside


def _imports_keras(node):
    if isinstance(node, ast.Import):
        return any(alias.name.partition(".")[0] == "keras" for alias in node.names)
    return isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "keras"


def test_a_plain_import_of_keras_is_seen():
    plain = "def f():\n    import keras\n\nwith keras_defaults():\n    from keras import ops\n"
    assert keras_imports(plain) == ({2, 5}, {5})


def test_the_packages_and_benchmarks_import_keras_with_its_defaults_alone():
    found = 0
    for package in ("mnist_helpers", "mnist_course", "benchmarks"):
        for path in (ROOT / package).rglob("*.py"):
            lines, inside = keras_imports(path.read_text("utf-8"))
            assert lines == inside, path
            found += len(lines)
    assert found > 0


@pytest.mark.parametrize("number", ["01", "02", "03", "04", "05", "06"])
def test_a_notebook_first_imports_keras_with_its_defaults(number):
    (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    cells = json.loads(path.read_text("utf-8"))["cells"]
    for cell in cells:
        if cell["cell_type"] != "code" or "keras" not in "".join(cell["source"]):
            continue
        lines, inside = keras_imports("".join(cell["source"]))
        if lines:
            # Later cells find it imported.
            assert inside and min(lines) in inside
            return
    pytest.fail("it does not import Keras")
