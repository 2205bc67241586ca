"""Model files."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mnist_helpers.saving import atomic_write, load_model, save_model

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
    with pytest.raises(KeyError), atomic_write(path) as part:
        part.write_text("half")
        raise KeyError
    assert list(path.parent.iterdir()) == []
