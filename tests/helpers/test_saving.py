"""Model files: written whole or not at all, and read without running what they bring along."""

import gc
import io
import json
import os
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_helpers import saving
from mnist_helpers.saving import atomic_write, load_model, save_model


def compiled(layer=None, loss="categorical_crossentropy"):
    """Return a small compiled model with parts of many kinds: a schedule, a penalty, metrics."""
    if layer is None:
        penalty = keras.regularizers.L2(1e-3)
        layer = keras.layers.Dense(3, activation="softmax", kernel_regularizer=penalty)
    model = keras.Sequential([keras.Input((4,)), layer])
    schedule = keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.9)
    model.compile(
        optimizer=keras.optimizers.RMSprop(schedule),
        loss=loss,
        metrics=["accuracy", keras.metrics.TopKCategoricalAccuracy(2)],
    )
    return model


@pytest.fixture(scope="module")
def good_model():
    return compiled()


@pytest.fixture(scope="module")
def good_members(good_model, tmp_path_factory):
    """The parts of a good model file, {name: bytes}."""
    path = save_model(good_model, tmp_path_factory.mktemp("good"), "good")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_archive(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


# --- saving ------------------------------------------------------------------------------------


def test_a_compiled_model_comes_back(good_model, tmp_path):
    path = save_model(good_model, tmp_path / "new" / "folder", "dense.v2")
    assert path == tmp_path / "new" / "folder" / "dense.v2.keras"
    assert os.listdir(path.parent) == ["dense.v2.keras"]
    x = np.ones((2, 4), "float32")
    y = np.eye(3, dtype="float32")[:2]
    results = load_model(path).evaluate(x, y, verbose=0)
    assert np.allclose(results, good_model.evaluate(x, y, verbose=0))


def test_a_functional_model_comes_back(tmp_path):
    image = keras.Input((8, 8, 1))
    features = keras.layers.Conv2D(2, 3, activation="relu")(image)
    vector = keras.layers.Flatten()(features)
    added = keras.layers.Dense(3)(vector) + keras.layers.Dense(3)(vector)
    path = save_model(keras.Model(image, added), tmp_path, "conv")
    assert load_model(path).count_params() > 0


class FullDisk:
    """A model whose saving breaks off in the middle."""

    def save(self, path):
        Path(path).write_text("half")
        raise OSError("disk full")


def test_saving_is_whole_or_not_at_all(good_model, tmp_path):
    path = save_model(good_model, tmp_path, "dense")
    before = path.read_bytes()
    with pytest.raises(OSError, match="disk full"):
        save_model(FullDisk(), tmp_path, "dense")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["", "a/b", "..", "dense.keras", "dense.h5"])
def test_a_name_with_a_folder_or_a_suffix_is_refused(name, good_model, tmp_path):
    with pytest.raises(ValueError, match="name"):
        save_model(good_model, tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_written_whole_leaves_nothing_of_a_failure(tmp_path):
    path = tmp_path / "folder" / "page.html"
    with pytest.raises(KeyError), atomic_write(path) as part:
        part.write_text("half")
        raise KeyError
    assert list(path.parent.iterdir()) == []


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    replace = os.replace
    monkeypatch.setattr(os, "fsync", lambda number: done.append(os.fstat(number).st_ino))
    monkeypatch.setattr(os, "replace", lambda *paths: done.append("name") or replace(*paths))
    with atomic_write(tmp_path / "file") as part:
        part.touch()
    assert done == [(tmp_path / "file").stat().st_ino, "name", tmp_path.stat().st_ino]


# --- files of another format, damaged ones, and ones that claim too much -------------------------


def test_a_missing_model_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="train it first"):
        load_model(tmp_path / "none.keras")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("m.h5", "HDF5"),
        ("m.hdf5", "HDF5"),
        ("m.weights.h5", "load_weights"),
        ("m.pkl", "pickle"),
        ("m.zip", "keras"),
        ("text.keras", "no whole"),
    ],
)
def test_another_format_is_refused_with_the_reason(name, reason, tmp_path):
    path = tmp_path / name
    path.write_text("no model")
    with pytest.raises(ValueError, match=reason):
        load_model(path)


@pytest.mark.parametrize("name", ["folder", "folder.keras"])
def test_a_folder_is_refused(name, tmp_path):
    (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match="SavedModel"):
        load_model(tmp_path / name)


def test_half_a_file_is_refused(good_model, tmp_path):
    path = save_model(good_model, tmp_path, "cut")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="no whole"):
        load_model(path)


def test_another_archive_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no whole"):
        load_model(write_archive(tmp_path / "other.keras", {"x": b""}))


def test_a_damaged_configuration_is_refused(good_members, tmp_path):
    path = write_archive(tmp_path / "bad.keras", good_members)
    content = bytearray(path.read_bytes())
    # The compressed bytes of the member begin after its header: 30 bytes and the name.
    start = content.index(b"config.json") + len("config.json")
    content[start : start + 50] = b"\xff" * 50
    path.write_bytes(content)
    with pytest.raises(ValueError, match="no whole"):
        load_model(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"config.json": b"{"},
        {"config.json": b"[]"},
        {"config.json": b"3"},
        {"config.json": b"\xff\xfe\xfd"},
        {"model.weights.h5": b"no HDF5"},
        {"model.weights.h5": b""},
    ],
)
def test_a_damaged_part_is_refused(changes, good_members, tmp_path):
    path = write_archive(tmp_path / "bad.keras", good_members | changes)
    with pytest.raises(ValueError, match=r"bad\.keras is damaged or needs code"):
        load_model(path)


def test_missing_weights_are_refused(good_members, tmp_path):
    members = {"config.json": good_members["config.json"]}
    with pytest.raises(ValueError, match="damaged"):
        load_model(write_archive(tmp_path / "bad.keras", members))


@pytest.fixture
def never_loaded(monkeypatch):
    def load(*_, **__):
        pytest.fail("the file went to Keras")

    monkeypatch.setattr(keras.saving, "load_model", load)


@pytest.mark.usefixtures("never_loaded")
@pytest.mark.parametrize("name", ["config.json", "metadata.json"])
def test_huge_json_is_refused_before_it_is_read(name, good_members, tmp_path):
    path = write_archive(tmp_path / "huge.keras", good_members | {name: b" " * 1_000_001})
    assert path.stat().st_size < 50_000
    with pytest.raises(ValueError, match=f"{name} may have at most 1,000,000 bytes"):
        load_model(path)


@pytest.mark.usefixtures("never_loaded")
def test_weights_that_claim_too_much_are_refused(good_members, tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "_MAX_TOTAL_BYTES", 1_000_000)
    members = good_members | {"model.weights.h5": bytes(600_000), "assets/more": bytes(600_000)}
    path = write_archive(tmp_path / "huge.keras", members)
    with pytest.raises(ValueError, match=r"content may have .* bytes; received 1,20\d,\d{3}"):
        load_model(path)


@pytest.mark.usefixtures("never_loaded")
@pytest.mark.parametrize(
    "config", [b"[" * 100_000, b'{"a":' * 201 + b"1" + b"}" * 201, b'["]]\\"]",' * 201]
)
def test_deep_json_is_refused_before_it_is_parsed(config, good_members, tmp_path):
    path = write_archive(tmp_path / "deep.keras", good_members | {"config.json": config})
    with pytest.raises(ValueError, match="levels deep"):
        load_model(path)


def test_brackets_in_a_text_are_not_levels(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name="[" * 300)
    assert load_model(save_model(model, tmp_path, "odd")).count_params() == 15


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.keras")
    (tmp_path / "device.keras").symlink_to("/dev/zero")
    for name in ("pipe.keras", "device.keras"):
        with pytest.raises(ValueError, match="a pipe, a socket or a device"):
            load_model(tmp_path / name)


def test_a_long_list_of_members_is_not_read(good_members, tmp_path):
    members = good_members | {f"{number}" * 50: b"" for number in range(500)}
    with pytest.raises(
        ValueError, match="no whole .keras file, but an archive made for more files"
    ):
        load_model(write_archive(tmp_path / "many.keras", members))


def test_odd_paths_are_refused(tmp_path):
    loop = tmp_path / "loop.keras"
    loop.symlink_to(loop)
    reasons = {loop: "Too many levels", "x" * 5000: "too long", "a\0.keras": "null"}
    for path, reason in reasons.items():
        with pytest.raises(ValueError, match=f"is no path of a file: .*{reason}"):
            load_model(path)
    with pytest.raises(FileNotFoundError, match="train it first"):
        load_model(write_archive(tmp_path / "file", {}) / "below.keras")
    with pytest.raises(FileNotFoundError, match="train it first"):
        load_model(b"\xff.keras".decode("utf-8", "surrogateescape"))


def test_a_compression_that_could_take_gigabytes_is_refused(good_members, tmp_path):
    path = tmp_path / "lzma.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, content in good_members.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match="must be stored or deflated"):
        load_model(path)


def test_what_is_no_model_is_refused(good_members, tmp_path):
    config = {"module": "keras.layers", "class_name": "ReLU", "config": {}}
    members = good_members | {"config.json": json.dumps(config | {"registered_name": None})}
    with pytest.raises(ValueError, match="must hold a model; it holds a ReLU"):
        load_model(write_archive(tmp_path / "layer.keras", members))


def of_keras(module, name, **config):
    """Return how a configuration names an object of Keras'."""
    names = {"module": f"keras.{module}", "class_name": name, "registered_name": None}
    return names | {"config": config}


def with_layers(config, *layers):
    config["config"]["layers"][1:] = layers


def with_metrics(config, *metrics):
    config["compile_config"]["metrics"] = list(metrics)


DENSE = of_keras("layers", "Dense", units=3)
SEPARABLE = of_keras("layers", "SeparableConv2D", filters=2, kernel_size=3, padding="same")
# How a functional model says that a layer is called with what another one returns.
CALL = {"args": [{"class_name": "__keras_tensor__", "config": {}}], "kwargs": {}}
HUGE = {
    "a wide layer": (
        lambda config: with_layers(config, of_keras("layers", "Dense", units=9_000_000)),
        "at most .* weights, because its file holds",
    ),
    "two wide layers": (
        lambda config: with_layers(
            config,
            of_keras("layers", "Dense", units=60_000),
            of_keras("layers", "Dense", units=60_000),
        ),
        "received 3,600,",
    ),
    "a wide layer that is compiled within": (
        lambda config: with_layers(config, inner_model(units=9_000_000)),
        "at most .* weights",
    ),
    "a number of units": (
        lambda config: with_layers(config, of_keras("layers", "Dense", units=10**12)),
        "at most .* weights, because its file holds .* received 5,000,000,000,002",
    ),
    "many layers in a row": (
        lambda config: with_layers(config, *[of_keras("layers", "ReLU")] * 100),
        "at most 5,000 steps to build, which are about 40 .*; received 1",
    ),
    # It took 6 s: as they are called again and again, without initializers to count.
    "80 layers in a row": (
        lambda config: with_layers(config, *[SEPARABLE] * 80),
        "at most 5,000 steps",
    ),
    # It took 10 s: each of them has an optimizer, with two variables for each weight.
    "compiled models in compiled models": (
        lambda config: with_layers(config, compiled_models(depth=10)),
        "at most 5,000 steps",
    ),
    "models in models": (
        lambda config: with_layers(config, *[inner_rows(30)] * 10),
        "at most 5,000 steps",
    ),
    "a model that is named again and again": (
        lambda config: with_layers(
            config,
            inner_rows(30) | {"shared_object_id": 5},
            *[of_keras("layers", "ReLU") | {"shared_object_id": 5}] * 10,
        ),
        "at most 5,000 steps",
    ),
    "a layer that is called very often": (
        lambda config: with_layers(config, *[DENSE | {"inbound_nodes": [CALL] * 900}] * 10),
        "at most 5,000 steps",
    ),
    "a shape with very many sides": (
        lambda config: with_layers(
            config, of_keras("layers", "Reshape", target_shape=[1] * 150_000)
        ),
        "a list of 150,000 entries, which load_model",
    ),
    "very many metrics": (
        lambda config: with_metrics(config, *[of_keras("metrics", "Mean")] * 900),
        "at most 5,000 steps",
    ),
}


def inner_rows(n_layers):
    layers = [of_keras("layers", "ReLU")] * n_layers
    inner = of_keras("models", "Sequential", layers=layers)
    inner["config"]["name"] = "inner"
    return inner


def compiled_models(depth):
    model = of_keras("models", "Functional", layers=[DENSE])
    for _ in range(depth):
        compile_config = {"optimizer": "adam", "loss": "mse", "metrics": []}
        model = of_keras("models", "Functional", layers=[model]) | {
            "compile_config": compile_config
        }
    return model


def inner_model(units):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    config = keras.saving.serialize_keras_object(model)
    config["config"]["layers"][1]["config"]["units"] = units
    return json.loads(json.dumps(config))


@pytest.mark.usefixtures("never_loaded")
@pytest.mark.parametrize(("change", "reason"), HUGE.values(), ids=HUGE)
def test_a_small_file_that_asks_for_much_is_refused_before_it_gets_it(
    change, reason, good_members, tmp_path
):
    config = json.loads(good_members["config.json"])
    change(config)
    members = good_members | {"config.json": json.dumps(config)}
    path = write_archive(tmp_path / "huge.keras", members)
    assert path.stat().st_size < 50_000
    with pytest.raises(ValueError, match=reason):
        load_model(path)


def operation(name, *args, **config):
    """Return how a functional model names an operation, and what it calls it with."""
    names = {"module": "keras.src.ops.numpy", "class_name": name, "registered_name": name}
    return names | {"config": config, "inbound_nodes": [{"args": list(args), "kwargs": {}}]}


TENSOR = {"class_name": "__tensor__", "config": {"value": [[1.0]], "dtype": "float32"}}
HIDDEN_CALL = {"args": [[1.0], [2.0]], "kwargs": {}, "unused": CALL}
SPREAD = of_keras("initializers", "RandomNormal", mean=[0.0, 1.0])
NOT_ON_THE_LIST = {
    "Tile": operation("Tile", CALL["args"][0], repeats=[10_000, 60]),
    "BroadcastTo": operation("BroadcastTo", TENSOR, shape=[600_000, 1000]),
    "Outer": operation("Outer", TENSOR, TENSOR),
    "__tensor__": operation("Add", CALL["args"][0], TENSOR),
    "called with constants": operation("Add", [[1.0], [2.0]], [1.0, 2.0]),
    "a layer that is called with constants": DENSE | {"inbound_nodes": [HIDDEN_CALL]},
    "that is called with constants": DENSE | {"inbound_nodes": [[["input", 0, 0, {}]]]},
    "IntegerLookup": of_keras("layers", "IntegerLookup", num_oov_indices=9_900_000),
    "LSTM": of_keras("layers", "LSTM", units=3, unroll=True),
    "MultiHeadAttention": of_keras("layers", "MultiHeadAttention", num_heads=2, key_dim=2),
    "Lambda": of_keras("layers", "Lambda"),
    "AUC": of_keras("metrics", "AUC", num_thresholds=9_900_000),
    "MeanIoU": of_keras("metrics", "MeanIoU", num_classes=3_000),
    "RandomNormal": of_keras("layers", "Dense", units=3, kernel_initializer=SPREAD),
    "Dense of None": {"class_name": "Dense", "config": {"units": 3}},
}


@pytest.mark.usefixtures("never_loaded")
@pytest.mark.parametrize(("name", "part"), NOT_ON_THE_LIST.items(), ids=NOT_ON_THE_LIST)
@pytest.mark.parametrize("place", [with_layers, with_metrics])
def test_what_a_network_for_pictures_is_not_made_of_is_refused(
    place, name, part, good_members, tmp_path, monkeypatch
):
    monkeypatch.setattr(keras.saving, "deserialize_keras_object", lambda *_, **__: pytest.fail())
    config = json.loads(good_members["config.json"])
    place(config, part)
    members = good_members | {"config.json": json.dumps(config)}
    with pytest.raises(ValueError, match=f"needs .*{name}.*, which load_model") as caught:
        load_model(write_archive(tmp_path / "other.keras", members))
    assert "usual layers for pictures" in str(caught.value)


@pytest.mark.parametrize("name", ["layers", "optimizers", "initializers", "constraints"])
def test_the_list_holds_what_keras_has(name):
    listed = set(saving._ALLOWED[f"keras.{name}"].split())
    assert listed - set(dir(getattr(keras, name))) == set()


def test_a_network_with_many_kinds_of_layers_comes_back(tmp_path):
    image = keras.Input((8, 8, 1))
    hidden = keras.layers.RandomRotation(0.1)(keras.layers.Rescaling(1 / 255)(image))
    start = keras.initializers.Constant(0.1)
    hidden = keras.layers.SeparableConv2D(2, 3, bias_initializer=start)(hidden)
    hidden = keras.layers.LeakyReLU()(keras.layers.BatchNormalization()(hidden))
    hidden = keras.layers.Concatenate()([hidden, hidden * 0.5])
    pooled = keras.layers.SpatialDropout2D(0.1)(keras.layers.MaxPooling2D()(hidden))
    vector = keras.layers.GlobalAveragePooling2D()(pooled)
    limit = keras.constraints.MaxNorm(2)
    digit = keras.layers.Dense(3, keras.activations.softmax, kernel_constraint=limit)(vector)
    model = keras.Model(image, digit)
    loss = keras.losses.SparseCategoricalCrossentropy()
    metrics = [keras.metrics.SparseCategoricalAccuracy(), "acc"]
    model.compile(keras.optimizers.AdamW(1e-3), loss, metrics=metrics)
    x = np.ones((2, 8, 8, 1), "float32")
    results = load_model(save_model(model, tmp_path, "many")).evaluate(x, np.ones(2), verbose=0)
    assert np.allclose(results, model.evaluate(x, np.ones(2), verbose=0))


@pytest.mark.usefixtures("never_loaded")
def test_a_matrix_that_would_take_minutes_to_make_orthogonal_is_refused(good_members, tmp_path):
    config = json.loads(good_members["config.json"])
    with_layers(config, *[of_keras("layers", "Dense", units=5_000)] * 2)
    # Zeros, which the file holds in a thousandth of their number.
    members = good_members | {"config.json": json.dumps(config), "assets/zeros": bytes(30_000_000)}
    with pytest.raises(ValueError, match=r"smallest side.*received the shape \(5000, 5000\)"):
        load_model(write_archive(tmp_path / "large.keras", members))


def test_a_deep_network_is_loaded_all_the_same(tmp_path):
    layers = [keras.Input((4,))]
    for _ in range(20):
        layers += [keras.layers.Dense(2), keras.layers.ReLU()]
    model = keras.Sequential(layers)
    model.compile("adam", "mse")
    path = save_model(model, tmp_path, "deep")
    assert load_model(path).count_params() == model.count_params()


def test_weighing_a_model_leaves_no_variables_behind(good_members, tmp_path):
    config = json.loads(good_members["config.json"])
    with_layers(config, of_keras("layers", "Dense", units=9_000_000))
    members = good_members | {"config.json": json.dumps(config)}
    with pytest.raises(ValueError, match="received 45,000,002"):
        load_model(write_archive(tmp_path / "huge.keras", members))
    gc.collect()
    # Keras would make them at the next opportunity.
    shapes = {tuple(x.shape) for x in gc.get_objects() if isinstance(x, keras.Variable)}
    assert (4, 9_000_000) not in shapes


def write_weights(fill):
    """Return the bytes of an HDF5 file that `fill` has filled."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        fill(file)
    return stream.getvalue()


def claim_much(file):
    file.create_dataset("layers/dense/vars/0", (10**9,), "float32")


def point_elsewhere(file):
    file.create_dataset("layers/dense/vars/0", (4, 3), "float32", external=[("/etc/passwd", 0, 48)])


def be_virtual(file):
    layout = h5py.VirtualLayout((4, 3), "float32")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(4, 3))
    file.create_virtual_dataset("layers/dense/vars/0", layout)


def be_many(file):
    # Each takes half a kilobyte and a tenth of a millisecond.
    for number in range(saving._MAX_ARRAYS + 1):
        file.create_group(f"{number}/layers")


def be_in_chunks(file):
    # Far larger than the array: the whole chunk would be unpacked for these two numbers.
    file.create_dataset("layers/dense/vars/1", (2,), "float32", chunks=(10**8,), maxshape=(None,))


def hold_lists(file):
    file.create_dataset("layers/dense/vars/0", (4, 3), h5py.vlen_dtype("float32"))


@pytest.mark.usefixtures("never_loaded")
@pytest.mark.parametrize(
    ("fill", "reason"),
    [
        (claim_much, "claim 4,000,000,000 bytes of"),
        (point_elsewhere, "must be numbers in the file itself"),
        (be_virtual, "must be numbers in the file itself"),
        (be_many, r"bad\.keras: its weights may be at most 5,000 arrays"),
        (be_in_chunks, r"in one piece; received float32, in chunks of \(100000000,\)"),
        (hold_lists, "must be numbers in the file itself"),
    ],
)
def test_weights_that_are_not_in_the_file_are_refused(fill, reason, good_members, tmp_path):
    members = good_members | {"model.weights.h5": write_weights(fill)}
    with pytest.raises(ValueError, match=reason):
        load_model(write_archive(tmp_path / "bad.keras", members))


# What is put in the place of any value of a configuration.
ODD_VALUES = [None, True, -1, 0, 2.5, 10**9, 2**70, "", "x", "\ud800", "a/b", "float16", "function"]
ODD_VALUES += [[], {}, [1], [None], {"a": 1}, 1e308, DENSE, {"class_name": "__numpy__"}]


def places_in(value, place=()):
    """Return the way to each value within a JSON value, as keys and indices."""
    places = []
    items = []
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        places.append((*place, key))
        places += places_in(item, (*place, key))
    return places


def test_a_configuration_with_anything_anywhere_is_loaded_or_refused(good_members, tmp_path):
    outcomes = set()

    @settings(max_examples=50, derandomize=True, database=None, deadline=None)
    @given(st.data())
    def check(data):
        name = data.draw(st.sampled_from(["config.json", "config.json", "metadata.json"]))
        value = json.loads(good_members[name])
        *way, last = data.draw(st.sampled_from(places_in(value)))
        parent = value
        for key in way:
            parent = parent[key]
        parent[last] = data.draw(st.sampled_from(ODD_VALUES))
        outcomes.add(is_loaded(good_members | {name: json.dumps(value)}, tmp_path))

    check()
    assert outcomes == {True, False}


def is_loaded(members, folder):
    try:
        model = load_model(write_archive(folder / "any.keras", members))
    except ValueError as error:
        assert len(str(error)) < 700
        return False
    assert isinstance(model, keras.Model)
    return True


def test_a_damaged_file_is_loaded_or_refused(good_model, tmp_path):
    content = save_model(good_model, tmp_path, "good").read_bytes()
    path = tmp_path / "damaged.keras"
    outcomes = set()

    @settings(max_examples=80, derandomize=True, database=None, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), min_size=1))
    def check(changes):
        damaged = bytearray(content)
        for place, byte in changes:
            damaged[place] = byte
        path.write_bytes(damaged)
        try:
            outcomes.add(isinstance(load_model(path), keras.Model))
        except ValueError:
            outcomes.add(False)

    check()
    assert outcomes == {True, False}


@pytest.mark.parametrize("file_name", ["\x1b[31m\n.h5", "\x1b[31m\n.keras"])
def test_no_message_steers_the_terminal(file_name, good_members, tmp_path):
    config = json.loads(good_members["config.json"])
    # With a slash, which Keras refuses and quotes.
    layer = of_keras("layers", "Dense", units=3)
    layer["config"]["name"] = "\x1b]0;mine\x07\n/"
    with_layers(config, layer)
    members = good_members | {"config.json": json.dumps(config)}
    path = tmp_path / file_name
    with pytest.raises(FileNotFoundError) as caught:
        load_model(path)
    assert str(caught.value).isprintable()
    with pytest.raises(ValueError, match="x1b") as caught:
        load_model(write_archive(path, members))
    assert str(caught.value).isprintable()
    # Python would show this too.
    assert caught.value.__cause__ is None or str(caught.value.__cause__).isprintable()


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ValueError(), "ValueError"), (KeyError(" "), "' '"), (ValueError("x" * 999), "x+ …")],
)
def test_keras_always_has_a_reason(error, reason, good_model, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise error

    path = save_model(good_model, tmp_path, "model")
    monkeypatch.setattr(keras.saving, "load_model", fail)
    with pytest.raises(ValueError, match=f"Keras says: {reason} Copy the file") as caught:
        load_model(path)
    assert len(str(caught.value)) < 600


# --- files that need code ------------------------------------------------------------------------


@pytest.fixture
def side_effect(tmp_path):
    """A file that each attack makes when it gets the chance."""
    return tmp_path / "it-ran"


def assert_refused(path, side_effect, reason):
    side_effect.unlink(missing_ok=True)
    with pytest.raises(ValueError, match=f"needs .*{reason}") as caught:
        load_model(path)
    assert not side_effect.exists()
    # Keras' own message ends with how to switch its safe mode off.
    assert "unsafe" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_lambda_layer_is_refused(tmp_path, side_effect):
    def touch(x):
        side_effect.touch()
        return x

    model = compiled(keras.layers.Lambda(lambda x: touch(x)))
    assert_refused(save_model(model, tmp_path, "model"), side_effect, "Lambda")


def test_a_lambda_as_loss_is_refused(tmp_path, side_effect):
    model = compiled(loss=lambda y_true, y_pred: y_true - y_pred)
    assert_refused(save_model(model, tmp_path, "model"), side_effect, "lambda")


def test_a_function_as_loss_is_refused(tmp_path, side_effect):
    def plain(y_true, y_pred):
        side_effect.touch()
        return y_true - y_pred

    assert_refused(save_model(compiled(loss=plain), tmp_path, "model"), side_effect, "plain")


def test_a_layer_of_somebodys_own_is_refused(tmp_path, side_effect):
    class Mine(keras.layers.Layer):
        def call(self, x):
            side_effect.touch()
            return x

    assert_refused(save_model(compiled(Mine()), tmp_path, "model"), side_effect, "Mine")


@pytest.fixture
def registered(side_effect):
    """A layer and a function that one program has registered with Keras, and another has not."""

    @keras.saving.register_keras_serializable("mine")
    class Registered(keras.layers.Layer):
        def call(self, x):
            side_effect.touch()
            return x

    @keras.saving.register_keras_serializable("mine")
    def activation(x):
        side_effect.touch()
        return x

    yield Registered, activation
    keras.saving.get_custom_objects().clear()


def test_what_this_program_has_not_registered_is_refused(registered, tmp_path, side_effect):
    layer, activation = registered
    layer_path = save_model(compiled(layer()), tmp_path, "layer")
    dense = keras.layers.Dense(3, activation=activation)
    activation_path = save_model(compiled(dense), tmp_path, "activation")
    keras.saving.get_custom_objects().clear()
    assert_refused(layer_path, side_effect, "Registered")
    assert_refused(activation_path, side_effect, "mine>activation")


def test_what_this_program_has_registered_itself_is_loaded(registered, tmp_path):
    layer, _ = registered
    path = save_model(compiled(layer()), tmp_path, "layer")
    assert isinstance(load_model(path).layers[0], layer)


def function(module, name):
    """Return how a configuration names a function."""
    return {"class_name": "function", "module": module, "config": name, "registered_name": name}


@pytest.mark.parametrize(
    "change",
    [
        {"module": "os"},
        {"module": "keras_hub.layers"},
        {"module": "kerasx"},
        {"module": None},
        {"registered_name": "mine>Dense"},
        {"class_name": "TFSMLayer"},
        {"class_name": "TorchModuleWrapper"},
        {"class_name": "JaxLayer"},
        {"class_name": "FlaxLayer"},
        {"class_name": ["Dense"]},
        {"config": {"units": 3, "activation": function("os", "system")}},
        {"config": {"units": 3, "activation": function("builtins", "eval")}},
        {"config": {"units": 3, "activation": function("kerasx", "Dense")}},
    ],
)
def test_a_doctored_configuration_is_refused(
    change, good_members, tmp_path, side_effect, monkeypatch
):
    # Here a package is waiting whose mere import would be noticed.
    monkeypatch.syspath_prepend(tmp_path)
    code = f"import pathlib\npathlib.Path({str(side_effect)!r}).touch()\nDense = print\n"
    (tmp_path / "kerasx.py").write_text(code)
    config = json.loads(good_members["config.json"])
    config["config"]["layers"][1].update(change)
    members = good_members | {"config.json": json.dumps(config)}
    assert_refused(write_archive(tmp_path / "bad.keras", members), side_effect, "")


def test_a_string_that_nobody_closes_is_read_once(tmp_path):
    path = tmp_path / "endless.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        # Tried from each of its quotes, it would take minutes.
        archive.writestr("config.json", b'"' + b'\\"' * 450_000)
    with pytest.raises(ValueError, match="is no JSON"):
        load_model(path)
