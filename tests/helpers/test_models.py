import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from mnist_helpers import evaluation, models
from mnist_helpers.data import load_mnist
from mnist_helpers.preprocessing import scale_pixels, to_images, to_vectors


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def test_the_dense_network_is_the_articles():
    model = models.build_mlp()
    assert kinds(model) == ["Dense", "Dropout", "Dense", "Dropout", "Dense"]
    assert [layer.count_params() for layer in model.layers] == [401_920, 0, 262_656, 0, 5_130]
    assert model.count_params() == 669_706
    assert [layer.rate for layer in model.layers if hasattr(layer, "rate")] == [0.2, 0.2]


def test_the_convolutional_network_is_the_articles():
    model = models.build_cnn()
    assert kinds(model) == [
        *("Conv2D", "MaxPooling2D", "Conv2D", "MaxPooling2D"),
        *("Dropout", "Flatten", "Dense", "Dense", "Dense"),
    ]
    params = [layer.count_params() for layer in model.layers if layer.count_params()]
    assert params == [780, 4_065, 48_128, 6_450, 510]
    assert model.count_params() == 59_933


@pytest.mark.parametrize(
    ("model", "shape"), [(models.build_mlp, (3, 784)), (models.build_cnn, (3, 28, 28, 1))]
)
def test_answers_are_probabilities_and_the_model_is_not_compiled(model, shape):
    model = model()
    inputs = np.random.default_rng(0).random(shape, dtype="float32")
    answers = keras.ops.convert_to_numpy(model(inputs))
    assert answers.shape == (3, 10)
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)
    assert not model.compiled


def test_the_variants_of_the_second_article_are_within_reach():
    one_dense = models.build_cnn(dense_units=[128])
    assert kinds(one_dense).count("Dense") == 2
    deeper = models.build_cnn([8, 8, 8], [3, 3, 3])
    assert kinds(deeper).count("Conv2D") == 3
    assert [layer.filters for layer in models.build_cnn([7, 9]).layers if kinds_of(layer)] == [7, 9]


def kinds_of(layer):
    return type(layer).__name__ == "Conv2D"


@pytest.mark.parametrize(
    ("place", "n_dropout", "before_flatten"),
    [("after_convolutions", 1, True), ("after_dense", 2, False), ("both", 3, True)],
)
def test_dropout_goes_where_it_is_told(place, n_dropout, before_flatten):
    order = kinds(models.build_cnn(dropout_place=place))
    assert order.count("Dropout") == n_dropout
    assert ("Dropout" in order[: order.index("Flatten")]) == before_flatten


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: models.build_mlp([]), "`hidden_units`"),
        (lambda: models.build_mlp([512, 0]), r"received \[512, 0\]"),
        (lambda: models.build_mlp([5.0]), "whole numbers"),
        (lambda: models.build_mlp(dropout=1), "`dropout`"),
        (lambda: models.build_cnn([30]), "equally long"),
        (lambda: models.build_cnn(dense_units=[True]), "`dense_units`"),
        (lambda: models.build_cnn(dropout_place="nowhere"), "after_dense"),
        (lambda: models.build_cnn([8] * 4, [5] * 4), "leave nothing"),
    ],
)
def test_impossible_designs_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_what_is_just_possible_is_built():
    assert models.build_cnn([4, 4, 4], [5, 5, 3]).output_shape == (None, 10)


# --- networks that have been trained -----------------------------------------------------------

PRETRAINED = {"mlp": to_vectors, "cnn": to_images, "reader": to_images}
FOLDER = Path(models.__file__).parent / "pretrained"


def count_right(name, images, labels):
    inputs = PRETRAINED[name](scale_pixels(images))
    probabilities = models.load_pretrained(name).predict(inputs, batch_size=1000, verbose=0)
    return (probabilities.argmax(axis=1) == labels).sum()


@pytest.mark.parametrize("name", PRETRAINED)
def test_a_pretrained_network_reads_the_bundled_digits_as_its_card_says(name):
    images, labels = map(np.concatenate, zip(*load_mnist("digits"), strict=True))
    found = models.read_card(name)["accuracy"]["bundled, all"]
    assert found["of"] == len(labels) == 1797
    assert abs(count_right(name, images, labels) - found["right"]) <= 2  # another processor


@pytest.mark.parametrize("name", PRETRAINED)
def test_a_pretrained_network_reads_mnist_as_its_card_says(name):
    try:
        _, (images, labels) = load_mnist("mnist")
    except (OSError, ValueError) as error:
        pytest.skip(f"real MNIST is needed: {error}".splitlines()[0])
    found = models.read_card(name)["accuracy"]["MNIST, test"]
    assert found["of"] == len(labels) and found["share"] > 0.98
    assert abs(count_right(name, images, labels) - found["right"]) <= 3


@pytest.mark.parametrize("name", PRETRAINED)
def test_a_card_says_what_the_network_is(name):
    card, path = models.read_card(name), FOLDER / f"{name}.npz"
    root = FOLDER.parents[1]
    assert card["data"].startswith("MNIST: 60,000")
    assert (root / "notebooks" / f"{card['notebook']}.ipynb").is_file()
    assert {"seed", "epochs", "validation_fraction"} <= set(card["parameters"])
    assert {"keras", "backend", "backend_version", "numpy", "python"} <= set(card["versions"])
    assert (root / card["command"].removeprefix("python ")).is_file()
    for found in card["accuracy"].values():
        low, high = evaluation.accuracy_interval(found["right"], found["of"])
        assert (found["low"], found["high"]) == pytest.approx((low, high))
        assert found["share"] == found["right"] / found["of"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == card["sha256"]
    with np.load(path) as arrays:
        assert {array.dtype for array in arrays.values()} == {np.dtype("float16")}
    assert path.stat().st_size < 1_500_000
    model = models.load_pretrained(name)
    assert not model.compiled and model.get_weights()[0].dtype == "float32"


def test_an_unknown_or_damaged_network_is_refused(tmp_path, monkeypatch):
    for function in (models.load_pretrained, models.read_card):
        with pytest.raises(ValueError, match="one of mlp, cnn, reader; received 'resnet'"):
            function("resnet")
    shutil.copytree(FOLDER, tmp_path / "pretrained")
    weights = bytearray((FOLDER / "cnn.npz").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "pretrained" / "cnn.npz").write_bytes(weights)
    monkeypatch.setattr(models.resources, "files", lambda package: tmp_path)
    with pytest.raises(ValueError, match="install the package again"):
        models.load_pretrained("cnn")
    assert models.load_pretrained("mlp").count_params() == 669_706


def test_reading_a_card_imports_no_keras():
    code = "import sys; from mnist_helpers.models import read_card; read_card('mlp')\n"
    code += "assert 'keras' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
