"""Damaged and absurd inputs at each boundary: a result, or a documented error of one sentence."""

import contextlib
import io
import json
import os
import struct
import tempfile
import time
import zipfile
from pathlib import Path

import nbformat
import numpy as np
from numpy.lib import format as npy_format
from support.notebooks import PARAMETERS, code, record_cell
from support.picture_files import FILES
from support.sweep_stub import make_scored

from campaign.outcome import Outcome
from mnist_course.__main__ import main
from mnist_course.notebooks import read_notebook
from mnist_course.pages import export_page
from mnist_course.parameters import check_parameters, read_parameters
from mnist_course.sweep.grid import check_grid, parse_values, read_grid
from mnist_helpers.data import load_mnist
from mnist_helpers.drawing import find_digits, prepare_drawing
from mnist_helpers.record import read_record
from mnist_helpers.saving import load_model

INPUTS_IN_A_ROUND = 500
# The 5 seconds, and what a busy machine adds.
MOST_CPU_SECONDS = 6
DEFAULTS = {
    "seed": 7,
    "rate": 0.5,
    "units": [512, 512],
    "flag": True,
    "data": "",
    "extra": None,
}
# What is put in between: numbers and marks that mean something somewhere.
TOKENS = [
    *["[", "]", "{", "}", ":", ",", "-", "&a", "*a", "!!python/object", "<<", "|", ">", "#", "%"],
    *["0", "1", "-1", "1e999", "nan", ".inf", "9" * 400, "0x10", "1:30", "0:5", "0:99999999999"],
    *["true", "no", "null", "~", "''", '"', "'", "\\", "\n", "\t", "\0", "\x1b[31m", "\u202e", "é"],
    *["seed", "rate", "units", "flag", "data", "extra", "results_dir", "__class__", "=", "$", "`"],
]
HTML = [
    *["<meta http-equiv=refresh content='0;url=http://x.test/'>", "<script>x()</script>", "<!--"],
    *["<base href=//x.test>", "<form action=//x.test>", "<iframe src=//x.test>", "<plaintext>"],
    *["<svg onload=x()>", "<img src=//x.test/a onerror=x()>", "<a href='javascript:x()'>", "</p>"],
    *["<style>*{background:url(//x.test)}</style>", "<textarea>", "</textarea>", "<table>", "&lt;"],
    *["<object data=//x.test>", "<link rel=stylesheet href=//x.test>", "plain text", "</main>"],
]


# --- damages -----------------------------------------------------------------------------------


def damage_bytes(rng, data):
    """Flip, overwrite, cut out, repeat or append some bytes, up to six times."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(max(1, len(data)))
        if rng.random() < 0.5:
            # Headers are where it hurts.
            at %= 80
        size = rng.randint(1, 40)
        damage = rng.choice(["flip", "bytes", "ones", "cut", "end", "repeat"])
        if damage == "flip" and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif damage == "bytes":
            data[at : at + size] = rng.randbytes(size)
        elif damage == "ones":
            data[at : at + 4] = b"\xff\xff\xff\x7f"
        elif damage == "cut":
            del data[at : at + size]
        elif damage == "end":
            del data[at:]
        elif damage == "repeat":
            data[at:at] = data[at : at + size]
    return bytes(data)


def random_text(rng, tokens=TOKENS, longest=12):
    return "".join(rng.choice(tokens) for _ in range(rng.randint(0, longest)))


def random_json(rng, depth=3):
    """Return any value that JSON knows, also NaN."""
    kind = rng.choice(["number", "text", "list", "dict", "null", "flag"])
    if kind == "number":
        return rng.choice([0, -1, 2**70, 1.5, float("nan"), float("inf")])
    if kind == "text":
        return random_text(rng)
    if kind == "list" and depth:
        return [random_json(rng, depth - 1) for _ in range(rng.randint(0, 3))]
    if kind == "dict" and depth:
        return {random_text(rng): random_json(rng, depth - 1) for _ in range(rng.randint(0, 3))}
    if kind == "flag":
        return rng.random() < 0.5
    return None


def damage_json(rng, value):
    """Return a copy in which some parts are replaced by others, or gone."""
    if rng.random() < 0.08:
        return random_json(rng)
    if isinstance(value, dict):
        changed = {}
        for key, item in value.items():
            if rng.random() > 0.04:
                changed[key] = damage_json(rng, item)
        return changed
    if isinstance(value, list):
        return [damage_json(rng, item) for item in value if rng.random() > 0.04]
    return value


# --- the boundaries ----------------------------------------------------------------------------


def try_picture(rng, folder):
    name = rng.choice(list(FILES))
    function = rng.choice([prepare_drawing, prepare_drawing, find_digits])
    picture = damage_bytes(rng, FILES[name])
    if rng.random() < 0.2:
        path = folder / "picture"
        path.write_bytes(picture)
        picture = path
    x = function(picture)
    assert np.isfinite(x).all(), "an input that is not finite"
    assert 0 <= x.min() <= x.max() <= 1, "an input beyond 0 to 1"


def try_parameter(rng, folder):
    name = rng.choice([*DEFAULTS, "unknown", random_text(rng)])
    text = random_text(rng)
    if rng.random() < 0.5:
        check_parameters({name: text}, DEFAULTS)
    else:
        parse_values(name, text, DEFAULTS.get(name))


def try_grid_file(rng, folder):
    path = folder / "grid.yaml"
    good = b"- seed: [1, 2]\n  rate: 1e-3\n- units: [[16, 8], [4]]\n"
    if rng.random() < 0.5:
        path.write_bytes(damage_bytes(rng, good))
    else:
        path.write_text(random_text(rng, longest=40), encoding="utf-8")
    check_grid(read_grid(path), DEFAULTS)


def try_notebook(rng, folder):
    path = folder / "stub.ipynb"
    good = nbformat.v4.new_notebook(cells=[code(PARAMETERS, "parameters"), record_cell()])
    if rng.random() < 0.5:
        path.write_text(json.dumps(damage_json(rng, good)), encoding="utf-8")
    else:
        path.write_bytes(damage_bytes(rng, nbformat.writes(good).encode()))
    read_parameters(read_notebook(path))


def try_parameters_cell(rng, folder):
    lines = PARAMETERS.splitlines()
    lines[rng.randrange(len(lines))] = random_text(rng)
    cell = code("\n".join(lines), "parameters")
    read_parameters(nbformat.v4.new_notebook(cells=[cell]))


def try_record(rng, folder):
    record = {
        "schema": 1,
        "notebook": "stub",
        "parameters": {"seed": 1},
        "digits": {"name": "MNIST", "train": 1, "test": 1, "sha256": "", "text": ""},
        "metrics": {"test_accuracy": 0.9},
        "seconds": {"fit": 1.0},
        "versions": dict.fromkeys(["python", "keras", "backend", "backend_version"], "1"),
    }
    bundle = {"application/vnd.mnist-helpers.record+json": damage_json(rng, record)}
    output = nbformat.v4.new_output("display_data", data=bundle)
    cell = nbformat.v4.new_code_cell("", outputs=[output])
    read_record(nbformat.v4.new_notebook(cells=[cell]))


def try_results(rng, folder):
    """A sweep's folder with a good and a damaged result: `collect` must tell of the good one."""
    runs = folder / f"out{rng.randrange(10**9)}" / "runs"
    runs.mkdir(parents=True)
    record = {
        "schema": 1,
        "notebook": "stub",
        "parameters": {"seed": 1},
        "digits": {"name": "MNIST", "train": 1, "test": 1, "sha256": "", "text": ""},
        "seconds": {"fit": 1.0},
        "versions": {
            **dict.fromkeys(["python", "keras", "backend", "backend_version"], "1"),
            "numpy": "1",
            "mnist_helpers": "1",
        },
    }
    for number, is_damaged in enumerate([False, True]):
        result = make_scored(f"{number:016x}", 0.9, seed=number)
        result["record"] = {**record, "metrics": {"val_accuracy": 0.9}}
        text = json.dumps(result)
        if is_damaged and rng.random() < 0.5:
            text = json.dumps(damage_json(rng, result))
        elif is_damaged:
            text = damage_bytes(rng, text.encode()).decode("latin-1")
        (runs / f"{result['run']}.json").write_text(text, encoding="utf-8")
    status, out = call_main(["collect", str(runs.parent)])
    assert status in (0, 1), f"status {status}: {out}"
    assert "good run" in out, f"the good run is not told: {out}"


def try_model(rng, folder):
    path = folder / "model.keras"
    good = _good_model(folder)
    if rng.random() < 0.3:
        path.write_bytes(damage_bytes(rng, good.read_bytes()))
    else:
        with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w") as target:
            for name in source.namelist():
                content = source.read(name)
                if name.endswith(".json"):
                    content = json.dumps(damage_json(rng, json.loads(content))).encode()
                elif rng.random() < 0.5:
                    content = damage_bytes(rng, content)
                target.writestr(name, content)
    load_model(path)


def _good_model(folder):
    path = folder.parent / "good.keras"
    if not path.exists():
        import keras

        layers = keras.layers
        stack = [keras.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)]
        keras.Sequential(stack).save(path)
    return path


def try_data_file(rng, folder):
    """An npz file or original files whose headers are damaged; none of them is MNIST."""
    place = folder / "data"
    place.mkdir(exist_ok=True)
    shapes = {"x_train": (60000, 28, 28), "y_train": (60000,)}
    shapes |= {"x_test": (10000, 28, 28), "y_test": (10000,)}
    if rng.random() < 0.5:
        path = place / "mnist.npz"
        with zipfile.ZipFile(path, "w") as archive:
            for name, shape in shapes.items():
                stream = io.BytesIO()
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                npy_format.write_array_header_1_0(stream, header)
                archive.writestr(f"{name}.npy", damage_bytes(rng, stream.getvalue()))
        if rng.random() < 0.5:
            path.write_bytes(damage_bytes(rng, path.read_bytes()))
        path = rng.choice([path, place])
    else:
        path = place
        names = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"]
        for name, shape in zip(names, shapes.values(), strict=True):
            header = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
            (place / f"{name}-ubyte").write_bytes(damage_bytes(rng, header))
    load_mnist(path)


def try_page(rng, folder):
    markup = random_text(rng, HTML)
    output = nbformat.v4.new_output("display_data", data={"text/html": markup})
    cells = [
        nbformat.v4.new_markdown_cell(random_text(rng, HTML)),
        nbformat.v4.new_code_cell("1", outputs=[output]),
    ]
    outcome = {"notebook": "x", "record": None, "seconds": 1.0, "cell": None, "error": None}
    path = folder / "page.html"
    export_page(nbformat.v4.new_notebook(cells=cells), outcome, path)
    page = path.read_text(encoding="utf-8").lower()
    body = page.partition("<body")[2]
    for word in ("<meta", "<base", "<form", "<iframe", "<script", "<object"):
        assert word not in body, f"{word} came through: {markup}"


def try_command_line(rng, folder):
    words = [rng.choice(["run", "sweep", "collect", "read", random_text(rng)])]
    options = ["-p", "--set", "--params", "--output", "--workers", "--timeout", "--json", "--yes"]
    for _ in range(rng.randint(0, 5)):
        words.append(rng.choice([random_text(rng), rng.choice(options), "stub", "--", "seed=1"]))
    status, out = call_main(words)
    assert status in (0, 1, 2), f"status {status} of {words}: {out}"
    assert "Traceback" not in out, f"{words}: {out}"


def call_main(words):
    """Call the command line in this process; return its status, and all that it has printed."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            status = main(words)
        except SystemExit as end:
            status = end.code
    return status, text.getvalue()


# How many of a hundred inputs go to each.
BOUNDARIES = {
    "pictures": (try_picture, 46),
    "parameter values": (try_parameter, 12),
    "parameter files": (try_grid_file, 10),
    "parameter cells": (try_parameters_cell, 8),
    "notebooks": (try_notebook, 6),
    "records": (try_record, 6),
    "data files": (try_data_file, 4),
    "command lines": (try_command_line, 3),
    "results of sweeps": (try_results, 3),
    "models": (try_model, 1),
    "pages": (try_page, 1),
}
# What may come out of a function; the command line turns all of them into one line.
DOCUMENTED = (ValueError, TypeError, OSError)


def one_round(rng):
    """Try some hundreds of inputs.

    Parameters
    ----------
    rng : random.Random

    Returns
    -------
    list of Outcome
    """
    names = list(BOUNDARIES)
    weights = [weight for _, weight in BOUNDARIES.values()]
    outcomes = []
    before = os.getcwd()
    # The time to import it is no input's.
    import keras  # noqa: F401

    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        try:
            for number in range(INPUTS_IN_A_ROUND):
                name = rng.choices(names, weights)[0]
                folder = Path(place, str(number % 10))
                folder.mkdir(exist_ok=True)
                fault = _try(rng, name, folder)
                if fault:
                    fault = f"input {number}: {fault}"
                outcomes.append(Outcome("inputs", name, fault))
        finally:
            os.chdir(before)
    return outcomes


def _try(rng, name, folder):
    """Return what fell, or an empty text."""
    function, _ = BOUNDARIES[name]
    begin = time.process_time()
    try:
        function(rng, folder)
    except DOCUMENTED as error:
        if not str(error):
            return f"{type(error).__name__} without a word"
    except BaseException as error:
        # Also SystemExit and whatever else no input may cause.
        return f"{type(error).__name__}: {str(error)[:500]}"
    seconds = time.process_time() - begin
    if seconds > MOST_CPU_SECONDS:
        return f"{seconds:.1f} CPU seconds"
    return ""
