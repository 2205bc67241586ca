import hashlib
import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from support.odd_values import ODD_VALUES, one_line_errors
from support.project import ROOT

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
    convolutions = ["Conv2D", "MaxPooling2D", "Conv2D", "MaxPooling2D"]
    assert kinds(model) == [*convolutions, "Dropout", "Flatten", "Dense", "Dense", "Dense"]
    params = [layer.count_params() for layer in model.layers if layer.count_params()]
    assert params == [780, 4_065, 48_128, 6_450, 510]
    assert model.count_params() == 59_933


@pytest.mark.parametrize(
    ("build", "shape"), [(models.build_mlp, (3, 784)), (models.build_cnn, (3, 28, 28, 1))]
)
def test_outputs_are_probabilities_and_the_model_is_not_compiled(build, shape):
    model = build()
    inputs = np.random.default_rng(0).random(shape, dtype="float32")
    outputs = keras.ops.convert_to_numpy(model(inputs))
    assert outputs.shape == (3, 10)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-5)
    assert not model.compiled


@pytest.mark.parametrize(
    ("build", "name"),
    [(models.build_mlp, "mlp"), (models.build_cnn, "cnn"), (models.build_reader, "reader")],
)
def test_each_network_has_the_name_that_tables_and_files_use(build, name):
    assert build().name == name


def test_the_variants_of_the_second_article_are_within_reach():
    one_dense = models.build_cnn(dense_units=[128])
    assert kinds(one_dense).count("Dense") == 2
    deeper = models.build_cnn([8, 8, 8], [3, 3, 3])
    assert kinds(deeper).count("Conv2D") == 3
    wider = models.build_cnn([7, 9])
    assert [layer.filters for layer in wider.layers if hasattr(layer, "filters")] == [7, 9]


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


@pytest.mark.parametrize(
    "sizes", [5, None, "32", [0], [2.0], [10**9], [32] * 101, itertools.count()]
)
def test_sizes_that_are_none_are_refused(sizes):
    with pytest.raises(ValueError, match="`hidden_units` must be a list of one or more whole"):
        models.build_mlp(sizes)


@given(value=ODD_VALUES)
@settings(max_examples=80, derandomize=True, database=None, deadline=None)
def test_whatever_a_design_is_made_of_there_is_a_network_or_one_line(value):
    one_line_errors(models.build_mlp, [1], value)
    one_line_errors(models.build_cnn, value, value)
    one_line_errors(models.build_cnn, dropout_place=value, dense_units=[1], conv_filters=[1, 1])
    one_line_errors(models.read_card, value)


def test_numpy_s_whole_numbers_are_sizes_too():
    network = models.build_mlp(np.array([32, 16]), np.float32(0.5))
    assert network.count_params() == models.build_mlp([32, 16], 0.5).count_params()


def test_what_is_just_possible_is_built():
    assert models.build_cnn([4, 4, 4], [5, 5, 3]).output_shape == (None, 10)


# --- networks that have been trained -----------------------------------------------------------

PRETRAINED = {"mlp": to_vectors, "cnn": to_images, "reader": to_images}
FOLDER = Path(models.__file__).parent / "pretrained"


@pytest.fixture(scope="module")
def bundled_digits():
    """Return all of the bundled digits: images and labels."""
    (x_train, y_train), (x_test, y_test) = load_mnist("digits")
    return np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])


def count_right(name, images, labels):
    inputs = PRETRAINED[name](scale_pixels(images))
    probabilities = models.load_pretrained(name).predict(inputs, batch_size=1000, verbose=0)
    return (probabilities.argmax(axis=1) == labels).sum()


@pytest.mark.parametrize("name", PRETRAINED)
def test_a_pretrained_network_reads_the_bundled_digits_as_its_card_says(name, bundled_digits):
    images, labels = bundled_digits
    accuracy = models.read_card(name)["accuracy"]["bundled, all"]
    assert accuracy["of"] == len(labels) == 1797
    # Another processor rounds otherwise, and a close call may go the other way.
    assert abs(count_right(name, images, labels) - accuracy["right"]) <= 2


@pytest.mark.parametrize("name", PRETRAINED)
def test_a_pretrained_network_reads_mnist_as_its_card_says(name, mnist):
    _, (images, labels) = mnist
    accuracy = models.read_card(name)["accuracy"]["MNIST, test"]
    assert accuracy["of"] == len(labels)
    assert accuracy["share"] > 0.98
    assert abs(count_right(name, images, labels) - accuracy["right"]) <= 3


@pytest.mark.parametrize("name", PRETRAINED)
def test_a_card_says_how_the_network_was_trained(name):
    card = models.read_card(name)
    assert card["data"].startswith("MNIST: 60,000")
    assert (ROOT / "notebooks" / f"{card['notebook']}.ipynb").is_file()
    assert {"seed", "epochs", "validation_fraction"} <= set(card["parameters"])
    assert {"keras", "backend", "backend_version", "numpy", "python"} <= set(card["versions"])
    assert (ROOT / card["command"].removeprefix("python ")).is_file()


@pytest.mark.parametrize("name", PRETRAINED)
def test_a_card_s_shares_and_intervals_follow_from_its_counts(name):
    for accuracy in models.read_card(name)["accuracy"].values():
        interval = evaluation.accuracy_interval(accuracy["right"], accuracy["of"])
        assert (accuracy["low"], accuracy["high"]) == pytest.approx(interval)
        assert accuracy["share"] == accuracy["right"] / accuracy["of"]


@pytest.mark.parametrize("name", PRETRAINED)
def test_a_pretrained_network_s_file_is_small_and_the_one_its_card_describes(name):
    path = FOLDER / f"{name}.npz"
    assert path.stat().st_size < 1_500_000
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert sha256 == models.read_card(name)["sha256"]
    with np.load(path) as arrays:
        assert {array.dtype for array in arrays.values()} == {np.dtype("float16")}
    model = models.load_pretrained(name)
    assert not model.compiled
    assert model.get_weights()[0].dtype == "float32"


@pytest.mark.parametrize("function", [models.load_pretrained, models.read_card])
def test_an_unknown_network_is_refused(function):
    with pytest.raises(ValueError, match="one of mlp, cnn, reader; received 'resnet'"):
        function("resnet")


def test_a_damaged_network_is_refused(tmp_path, monkeypatch):
    shutil.copytree(FOLDER, tmp_path / "pretrained")
    weights = bytearray((FOLDER / "cnn.npz").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "pretrained" / "cnn.npz").write_bytes(weights)
    monkeypatch.setattr(models.resources, "files", lambda package: tmp_path)
    with pytest.raises(ValueError, match="install the package again"):
        models.load_pretrained("cnn")
    (tmp_path / "pretrained" / "reader.npz").unlink()
    with pytest.raises(ValueError, match="No such file .*install the package again"):
        models.load_pretrained("reader")
    assert models.load_pretrained("mlp").count_params() == 669_706


def test_reading_a_card_imports_no_keras():
    code = "import sys; from mnist_helpers.models import read_card; read_card('mlp')\n"
    code += "assert 'keras' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
