"""Records, parameters, model files, and notebooks run from the command line."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import nbformat
import numpy as np
import pytest
import store_notebooks as store
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mnist_helpers.__main__ import main
from mnist_helpers.batch.files import load_model, save_model, written_whole
from mnist_helpers.batch.parameters import check_parameters, check_value, read_parameters
from mnist_helpers.batch.record import MIME_TYPE, read_record, record_run, validate_record
from mnist_helpers.batch.run import find_notebooks, run_notebooks
from mnist_helpers.pages import cell_name, export_index, hide_paths

DIGITS = {
    "name": "MNIST",
    "train": 60000,
    "test": 10000,
    "sha256": "0" * 64,
    "text": "MNIST: 60,000 training and 10,000 test digits",
}
PARAMETERS = "\n".join(
    [
        "seed = 7  # the random seed",
        "rate = 0.5  # a share",
        "units = [512, 512]  # layer sizes",
        "flag = True  # a switch",
        "data = ''  # which digits",
        "extra = None  # anything",
        "results_dir = 'results'  # where results go",
    ]
)


def code(source, *tags):
    return new_code_cell(source, metadata={"tags": list(tags)} if tags else {})


def record_cell(digits=DIGITS):
    return code(
        "from mnist_helpers.batch.record import record_run\n"
        "record_run('stub', parameters={'seed': 1}, metrics={'test_accuracy': 0.98765},\n"
        f"           digits={digits!r}, seconds={{'fit': 1.5}})",
        "record",
    )


def write(path, *cells, parameters=PARAMETERS):
    cells = [new_markdown_cell("# Read digits"), code(parameters, "parameters"), *cells]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells), path)
    return path


def hashes(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.ipynb")}


def output_text(path):
    return "".join(
        output.get("text", "")
        for cell in nbformat.read(path, as_version=4).cells
        for output in cell.get("outputs", [])
    )


# One command runs good and bad notebooks; the tests after it each look at one thing it did.


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    home = tmp_path_factory.mktemp("here")
    folder = home / "notebooks"
    write(
        folder / "01_good.ipynb",
        code("print(repr((seed, rate, units, flag, data, extra, results_dir)))", "show"),
        code("raise SystemError('two trainings')", "complete-program"),
        record_cell(),
    )
    write(
        folder / "02_fails.ipynb",
        code("print('kept')"),
        code("raise ValueError('first line\\nlast line')", "nbval-ignore-output", "build-model"),
        record_cell(),
    )
    write(
        folder / "03_killed.ipynb", code("import os\nos.kill(os.getpid(), 9)", "fit"), record_cell()
    )
    write(folder / "04_silent.ipynb", code("1 + 1"))
    write(folder / "05_last.ipynb", code("print(results_dir)"), record_cell())
    (folder / "notes.ipynb").write_text("never read")
    before = hashes(folder)
    arguments = [
        "run",
        "-p",
        "seed=3",
        "-p",
        "rate=1e-3",
        "-p",
        "units=[64,32]",
        "-p",
        "flag=false",
        "-p",
        "data=0123",
        "-p",
        "extra=[a, 1.5]",
        "--output",
        "out {seed}",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "mnist_helpers", *arguments],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=100,
    )
    return {"home": home, "done": done, "before": before, "out": home / "out {seed}"}


def test_values_arrive_typed(command):
    expected = (3, 0.001, [64, 32], False, "0123", ["a", 1.5], "out {seed}/01_good")
    assert output_text(command["out"] / "01_good.ipynb") == f"{expected!r}\n"


def test_one_failure_does_not_stop_the_others(command):
    assert command["done"].returncode == 1
    assert output_text(command["out"] / "05_last.ipynb") == "out {seed}/05_last\n"
    assert read_record(command["out"] / "05_last.ipynb")["digits"] == DIGITS


def test_the_table_names_numbers_digits_cell_and_error(command):
    lines = {line.split()[0]: line for line in command["done"].stdout.splitlines() if line}
    assert lines["notebook"].split() == ["notebook", "seconds", "result", "digits"]
    assert "test accuracy 0.9877" in lines["01_good"] and DIGITS["text"] in lines["01_good"]
    assert "FAILED in build-model: ValueError: last line" in lines["02_fails"]
    assert "FAILED in fit: the kernel died" in lines["03_killed"]
    assert "no record" in lines["04_silent"]
    assert float(lines["05_last"].split()[1]) > 0


def test_partial_notebooks_and_pages_are_kept(command):
    assert output_text(command["out"] / "02_fails.ipynb") == "kept\n"
    for stem in ("01_good", "02_fails", "03_killed", "04_silent", "05_last"):
        assert (command["out"] / f"{stem}.html").stat().st_size > 1000
        assert f'href="{stem}.html"' in (command["out"] / "index.html").read_text()


def test_originals_stay_as_they_are(command):
    assert hashes(command["home"] / "notebooks") == command["before"]


def test_the_complete_program_is_shown_but_not_run(command):
    notebook = nbformat.read(command["out"] / "01_good.ipynb", as_version=4)
    (cell,) = [cell for cell in notebook.cells if "SystemError" in cell.source]
    assert cell.cell_type == "markdown" and cell.source.startswith("````python\n")
    assert "two trainings" in (command["out"] / "01_good.html").read_text()


def test_stderr_has_the_bar_and_nothing_else(command):
    lines = command["done"].stderr.replace("\r", "\n").splitlines()
    assert [line for line in lines if line.strip() and not line.startswith("Executing ")] == []
    assert any("02_fails: build-model" in line for line in lines)
    assert any("02_fails: cell 4" in line for line in lines)


# What is refused before anything runs.


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "notebooks" / "01_stub.ipynb", record_cell())
    write(tmp_path / "notebooks" / "02_stub.ipynb", record_cell(), parameters="seed = 7")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "sed=1"], "unknown parameter 'sed' (did you mean 'seed'?); known: seed, rate"),
        (["-p", "rate=0.1"], "02_stub: unknown parameter 'rate'"),
        (["-p", "seed=1.5"], "seed must be an int like its default 7; received 1.5"),
        (["-p", "seed=1", "-p", "seed=2"], "once a name"),
        (["-p", "seed"], "name=value"),
        (["-p", "a b=1"], "'a b' cannot be the name of a parameter"),
        (["-p", "import=1"], "'import' cannot be the name of a parameter"),
        (["03_none"], "there is no notebook 03_none; notebooks/ here has: 01_stub, 02_stub"),
        (["01_stub", "notebooks/01_stub.ipynb"], "a name of its own"),
        (["--output", "notebooks"], "results may not lie among the notebooks"),
        (["--output", "notebooks/results"], "results may not lie among the notebooks"),
    ],
)
def test_the_command_refuses_in_one_line(here, capsys, arguments, message):
    assert main(["run", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert sorted(path.name for path in here.iterdir()) == ["notebooks"]


def test_a_name_is_looked_for_here_then_in_notebooks_then_in_the_project(here):
    (own,) = find_notebooks(["01_dense_network"])
    assert own.is_absolute() and own.parent.name == "notebooks"
    assert find_notebooks(["01_stub"]) == [Path("notebooks", "01_stub.ipynb")]
    write(here / "01_stub.ipynb", record_cell())
    assert find_notebooks(["01_stub"]) == [Path("01_stub.ipynb")]
    assert [path.stem for path in find_notebooks([])] == ["01_stub", "02_stub"]


def test_no_notebooks_and_no_parameters_cell_are_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["run"]) == 2
    assert "no notebook to run" in capsys.readouterr().err
    nbformat.write(new_notebook(cells=[code("1")]), "plain.ipynb")
    assert main(["run", "plain.ipynb", "-p", "seed=1"]) == 2
    assert "plain: no cell is tagged `parameters`" in capsys.readouterr().err
    for text in ("{", "[]"):
        Path("broken.ipynb").write_text(text)
        assert main(["run", "broken.ipynb"]) == 2
        assert "broken: " in capsys.readouterr().err


def test_the_index_passes_over_runs_that_were_cut_short(tmp_path):
    (tmp_path / "01_cut.ipynb").write_text('{"cells": [')
    write(tmp_path / "02_interrupted.ipynb")
    export_index(tmp_path)
    assert ".html" not in (tmp_path / "index.html").read_text()


def test_help_names_the_command(capsys):
    with pytest.raises(SystemExit) as done:
        main(["run", "--help"])
    assert done.value.code == 0 and "-p name=value" in capsys.readouterr().out


def test_ctrl_c_leaves_no_kernel_behind(tmp_path):
    write(
        tmp_path / "notebooks" / "01_long.ipynb",
        code(
            "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\n"
            "time.sleep(60)",
            "wait",
        ),
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "mnist_helpers", "run"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        # Started in the background of a shell, the tests have been told to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in error
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_importing_costs_nothing():
    source = (
        "import sys, mnist_helpers.__main__, mnist_helpers.batch.files\n"
        "print([m for m in ('keras', 'matplotlib', 'papermill') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_a_good_run_returns_its_outcome(here):
    (outcome,) = run_notebooks(["01_stub"], parameters={"seed": 5}, output=here / "out")
    assert outcome["error"] is None and outcome["record"]["metrics"] == {"test_accuracy": 0.98765}
    executed = nbformat.read(here / "out" / "01_stub.ipynb", as_version=4)
    assert executed.metadata.papermill.parameters == {
        "seed": 5,
        "results_dir": (here / "out" / "01_stub").as_posix(),
    }


# Parameters.

DEFAULTS = {
    "seed": 7,
    "rate": 0.5,
    "units": [512, 512],
    "flag": True,
    "data": "",
    "extra": None,
    "shares": [0.1],
    "nothing": [],
}


@pytest.mark.parametrize("long", [False, True], ids=["sockets", "ports"])
def test_no_other_user_reaches_or_overhears_a_kernel(here, monkeypatch, long):
    source = (
        "from ipykernel.connect import get_connection_info\nimport os\n"
        "info = get_connection_info(unpack=True)\n"
        "if info['transport'] == 'ipc':\n"
        "    print(oct(os.stat(os.path.dirname(info['ip'])).st_mode))\n"
        "else:\n"
        "    print(info['transport'], info['ip'], 'curve_publickey' in info)"
    )
    write(here / "notebooks" / "03_stub.ipynb", code(source), record_cell())
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "x" * 100 * long)  # the path of a socket may not be long
        place.mkdir(exist_ok=True)
        monkeypatch.setattr("tempfile.tempdir", str(place))
        (outcome,) = run_notebooks(["03_stub"])
        assert outcome["error"] is None and not list(place.iterdir())
    expected = "tcp 127.0.0.1 True" if long else "0o40700"
    assert output_text(here / "results" / "03_stub.ipynb").startswith(expected)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("seed", "3", 3),
        ("seed", "-3", -3),
        ("rate", "1e-3", 0.001),
        ("rate", "3", 3.0),
        ("flag", "false", False),
        ("data", "0123", "0123"),
        ("data", "true", "true"),
        ("data", "", ""),
        ("units", "[64,32]", [64, 32]),
        ("units", "[]", []),
        ("shares", "[1, 1e-2]", [1.0, 0.01]),
        ("extra", "null", None),
        ("extra", "1e-3", 0.001),
        ("extra", "yes", "yes"),
        ("extra", "0123", "0123"),
        ("extra", "[1, x]", [1, "x"]),
        ("nothing", "[1, a]", [1, "a"]),
    ],
)
def test_texts_become_what_the_default_says(name, text, value):
    typed = check_parameters({name: text}, DEFAULTS)[name]
    assert typed == value and type(typed) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("seed", "1.5", "an int"),
        ("seed", "true", "an int"),
        ("seed", "'3'", "an int"),
        ("seed", "", "an int"),
        ("rate", "much", "a float"),
        ("rate", "nan", "a float"),
        ("rate", "1e999", "a float"),
        ("flag", "1", "true or false"),
        ("flag", "False", "true"),
        ("flag", "yes", "true or false"),
        ("units", "64", "a list"),
        ("units", "[64, 1.5]", "a list"),
        ("units", "[[64]]", "a list"),
        ("extra", "{a: 1}", "a number"),
        ("seed", "[", "cannot be read"),
        ("extra", "!!python/name:os.system x", "cannot be read"),
    ],
)
def test_wrong_types_are_refused(name, text, expected):
    with pytest.raises(ValueError, match=f"{expected}.*"):
        check_parameters({name: text}, DEFAULTS)


def test_values_from_python_are_checked_too():
    assert check_value("rate", 1, 0.5) == 1.0
    for value, default in ((True, 7), (1, True), ("1", 7), ((1, 2), [1]), (float("nan"), 0.5)):
        with pytest.raises(ValueError, match="must be"):
            check_value("name", value, default)


def test_defaults_are_read_from_the_tagged_cell():
    def cells(*sources):
        return new_notebook(cells=[code(source, "parameters") for source in sources])

    assert read_parameters(cells("a = -1  # one\n\nb = [1e-3]\nc = None")) == {
        "a": -1,
        "b": [0.001],
        "c": None,
    }
    assert read_parameters(cells("")) == {}
    assert read_parameters(new_notebook(cells=[code("a = 1")])) is None
    for source in (
        "a = 1 + x",
        "import os",
        "a = b = 1; print(a)",
        "a = (1, 2)",
        "a, b = 1, 2",
        "a.b = 1",
        "a = {}",
        "a =",
    ):
        with pytest.raises(ValueError, match="only lines `name = value`"):
            read_parameters(cells(source))
    with pytest.raises(ValueError, match="one cell"):
        read_parameters(cells("a = 1", "b = 1"))


# Records.


def good_record(**changes):
    return {
        "schema": 1,
        "notebook": "stub",
        "parameters": {"seed": 1},
        "digits": dict(DIGITS),
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
    } | changes


def shown(monkeypatch, **changes):
    """What `record_run` displays inside IPython."""
    bundles = []
    monkeypatch.setattr("IPython.get_ipython", lambda: "a shell")
    monkeypatch.setattr("IPython.display.display", lambda data, raw: bundles.append(data))
    record_run(
        "stub",
        **{"parameters": {}, "digits": DIGITS, "metrics": {"test_accuracy": 0.9}, "seconds": {}}
        | changes,
    )
    (bundle,) = bundles
    return bundle


def test_a_record_is_plain_json_without_places(monkeypatch):
    bundle = shown(
        monkeypatch,
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


def test_outside_ipython_the_table_is_printed(capsys):
    record_run("stub", parameters={"seed": 1}, digits=DIGITS, metrics={"n": 1234}, seconds={})
    printed = capsys.readouterr().out
    assert DIGITS["text"] in printed and "1,234" in printed and "seed = 1" in printed


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
def test_wrong_records_are_not_written(monkeypatch, changes):
    with pytest.raises((TypeError, ValueError)):
        shown(monkeypatch, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "schema 2"),
        ({"more": 1}, "must have the keys"),
        ({"notebook": 1}, "notebook"),
        ({"digits": DIGITS | {"train": "60000"}}, "train"),
        ({"metrics": {"a": True}}, "'a'"),
        ({"versions": {}}, "versions"),
        ({"seconds": {"fit": float("nan")}}, "NaN"),
    ],
)
def test_validation_says_what_is_wrong(changes, message):
    validate_record(good_record())
    with pytest.raises(ValueError, match=message):
        validate_record(good_record() | changes)
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


# Model files, made by Keras itself.


@pytest.fixture(scope="module")
def keras():
    return pytest.importorskip("keras")


def compiled(keras, layer=None, loss="categorical_crossentropy"):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layer
            or keras.layers.Dense(
                3, activation="softmax", kernel_regularizer=keras.regularizers.L2(1e-3)
            ),
        ]
    )
    schedule = keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.9)
    model.compile(
        optimizer=keras.optimizers.RMSprop(schedule),
        loss=loss,
        metrics=["accuracy", keras.metrics.TopKCategoricalAccuracy(2)],
    )
    return model


def test_a_compiled_model_comes_back(keras, tmp_path):
    model = compiled(keras)
    path = save_model(model, tmp_path / "new" / "folder", "dense.v2")
    assert path == tmp_path / "new" / "folder" / "dense.v2.keras"
    assert [p.name for p in path.parent.iterdir()] == ["dense.v2.keras"]
    x, y = np.ones((2, 4), "float32"), np.eye(3, dtype="float32")[:2]
    loaded = load_model(path)
    assert np.allclose(loaded.evaluate(x, y, verbose=0), model.evaluate(x, y, verbose=0))


def test_a_functional_model_comes_back(keras, tmp_path):
    image = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(keras.layers.Conv2D(2, 3, activation="relu")(image))
    added = keras.layers.Dense(3)(flat) + keras.layers.Dense(3)(flat)
    path = save_model(keras.Model(image, added), tmp_path, "conv")
    assert load_model(path).count_params() > 0


def test_saving_is_whole_or_not_at_all(keras, tmp_path):
    class Full:
        def save(self, path):
            Path(path).write_text("half")
            raise OSError("disk full")

    path = save_model(compiled(keras), tmp_path, "dense")
    before = path.read_bytes()
    with pytest.raises(OSError, match="disk full"):
        save_model(Full(), tmp_path, "dense")
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    for name in ("", "a/b", "..", "dense.keras", "dense.h5"):
        with pytest.raises(ValueError, match="name"):
            save_model(Full(), tmp_path, name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("m.h5", "HDF5"),
        ("m.hdf5", "HDF5"),
        ("m.weights.h5", "load_weights"),
        ("m.pkl", "pickle"),
        ("m.zip", "keras"),
        ("folder", "SavedModel"),
        ("folder.keras", "SavedModel"),
        ("text.keras", "no whole"),
        ("cut.keras", "no whole"),
        ("other.keras", "no whole"),
        ("huge.keras", "bytes"),
        ("deep.keras", "no whole"),
    ],
)
def test_other_files_are_refused_with_the_reason(keras, tmp_path, name, reason):
    path = tmp_path / name
    if name.startswith("folder"):
        path.mkdir()
    elif name == "cut.keras":
        whole = save_model(compiled(keras), tmp_path, "whole").read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif name in ("other.keras", "huge.keras", "deep.keras"):
        member, text = {
            "other.keras": ("x", ""),
            "huge.keras": ("config.json", " " * 10**7 + " "),
            "deep.keras": ("config.json", "[" * 10**5),
        }[name]
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(member, text)
    else:
        path.write_text("no model")
    with pytest.raises(ValueError, match=reason):
        load_model(path)


def test_a_missing_model_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="train it first"):
        load_model(tmp_path / "none.keras")


def test_files_that_need_code_are_refused(keras, tmp_path):
    class Mine(keras.layers.Layer):
        pass

    @keras.saving.register_keras_serializable("mine")
    class Registered(keras.layers.Layer):
        pass

    @keras.saving.register_keras_serializable("mine")
    def activation(x):
        return x

    def plain(y_true, y_pred):
        return y_true - y_pred

    dense = keras.layers.Dense
    for model, named in (
        (compiled(keras, keras.layers.Lambda(lambda x: x)), "Lambda"),
        (compiled(keras, Mine()), "Mine"),
        (compiled(keras, Registered()), "Registered"),
        (compiled(keras, dense(3, activation=activation)), "mine>activation"),
        (compiled(keras, loss=lambda a, b: a - b), "__lambda__"),
        (compiled(keras, loss=plain), "plain"),
    ):
        path = save_model(model, tmp_path, "model")
        with pytest.raises(ValueError, match=f"code.*{named}"):
            load_model(path)


@pytest.mark.parametrize(
    "change",
    [
        {"module": "os"},
        {"module": "keras_hub.layers"},
        {"module": "kerasx"},
        {"module": None},
        {"registered_name": "mine>Dense"},
        {"class_name": "TFSMLayer"},
        {"class_name": ["Dense"]},
    ],
)
def test_a_doctored_configuration_is_refused(keras, tmp_path, change):
    good = save_model(compiled(keras), tmp_path, "good")
    with zipfile.ZipFile(good) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"][1] |= change
    with zipfile.ZipFile(tmp_path / "bad.keras", "w") as archive:
        for name, data in (members | {"config.json": json.dumps(config)}).items():
            archive.writestr(name, data)
    with pytest.raises(ValueError, match="needs code"):
        load_model(tmp_path / "bad.keras")


def test_written_whole_leaves_nothing_of_a_failure(tmp_path):
    path = tmp_path / "folder" / "page.html"
    with pytest.raises(KeyError), written_whole(path) as part:
        part.write_text("half")
        raise KeyError
    assert list(path.parent.iterdir()) == []


# Stored outputs.


def test_normalising_takes_out_what_differs():
    widget = "application/vnd.jupyter.widget-view+json"
    cell = code("x", "a-name")
    cell.metadata |= {"papermill": {"duration": 1}, "execution": {"iopub": "t"}, "kept": 1}
    cell.outputs = [
        new_output("stream", text="a\n"),
        new_output("stream", text=f"{Path.home()}/b\n"),
        new_output("stream", name="stderr", text="c"),
        new_output("stream", text="/run/x/y"),
        new_output(
            "display_data",
            {
                widget: {"model_id": "1"},
                "text/plain": f"{Path.cwd()}/z",
                "image/png": f"{Path.home()}/",
            },
        ),
    ]
    notebook = new_notebook(
        cells=[new_markdown_cell("b"), cell],
        metadata={
            "widgets": {},
            "papermill": {},
            "title": "T",
            "language_info": {"name": "python", "version": "3.11.1"},
        },
    )
    before = json.dumps(notebook)
    result = store.normalise(notebook, "/run/x")
    assert json.dumps(notebook) == before
    assert result.metadata == {
        "title": "T",
        "language_info": {"name": "python"},
        "kernelspec": {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        },
    }
    assert result.cells[1].metadata == {"tags": ["a-name"], "kept": 1}
    assert [output.get("text") for output in result.cells[1].outputs] == [
        "a\n~/b\n",
        "c",
        "./y",
        None,
    ]
    assert result.cells[1].outputs[3] == {
        "output_type": "display_data",
        "metadata": {},
        "data": {"text/plain": "./z", "image/png": f"{Path.home()}/"},
    }
    assert [c.id for c in result.cells] == [c.id for c in notebook.cells]
    assert store.normalise(result) == result and result.nbformat_minor == 5


def test_paths_are_hidden_only_where_they_end(monkeypatch):
    home = "/srv/ann"  # the real one may lie in the folder for temporary files, hidden as "tmp"
    monkeypatch.setattr(Path, "home", lambda: Path(home))
    assert hide_paths(f"{home}/a {home}s {home}") == f"~/a {home}s ~"
    assert hide_paths([{"text": f"{sys.prefix}/lib"}])[0]["text"] != f"{sys.prefix}/lib"


@pytest.mark.parametrize(
    ("tags", "name"),
    [(["check", "nbval-ignore-output", "fit"], "fit"), (["parameters"], "cell 3"), ([], "cell 3")],
)
def test_cells_are_named_by_their_first_naming_tag(tags, name):
    assert cell_name(code("x", *tags), 3) == name


def test_storing_keeps_the_source_and_leaves_no_trace_of_here(tmp_path, monkeypatch):
    monkeypatch.delenv("MNIST_HELPERS_DATA", raising=False)
    path = write(
        tmp_path / "01_stub.ipynb",
        code(
            "import os\nprint(os.environ['MNIST_HELPERS_DATA'], os.getcwd())\n"
            "print(os.path.expanduser('~'))\nopen('made-here', 'w').close()"
        ),
        record_cell(),
    )
    before = nbformat.read(path, as_version=4)
    assert store.main([str(path)]) == 0
    text, after = path.read_text(), nbformat.read(path, as_version=4)
    assert [(c.id, c.source, c.metadata) for c in after.cells] == [
        (c.id, c.source, c.metadata) for c in before.cells
    ]
    assert after.cells[2].outputs[0].text == "mnist .\n~\n"
    assert [c.get("execution_count") for c in after.cells] == [None, 1, 2, 3]
    assert text.startswith('{\n "cells"') and text.endswith("}\n") and str(tmp_path) not in text
    assert [p.name for p in tmp_path.iterdir()] == ["01_stub.ipynb"]
    assert os.environ.get("MNIST_HELPERS_DATA") is None


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([code("import sys\nprint('x', file=sys.stderr)", "noisy"), record_cell()], "noisy"),
        ([code("raise ValueError('no')")], "ValueError: no"),
        ([record_cell(DIGITS | {"name": "bundled digits", "text": "bundled"})], "bundled"),
        ([code("1")], "no record"),
    ],
    ids=["stderr", "error", "digits", "record"],
)
def test_storing_refuses(tmp_path, capsys, cells, message):
    path = write(tmp_path / "01_stub.ipynb", *cells)
    before = path.read_bytes()
    assert store.main([str(path)]) == 1
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert path.read_bytes() == before
