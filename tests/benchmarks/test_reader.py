"""The network that reads people's own digits reaches what the project promises of it."""

import csv
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from support.project import ROOT

from mnist_helpers import models
from mnist_helpers.data import load_mnist
from mnist_helpers.reading import read_digits, read_inputs

# The three kinds of pictures that people's own digits are.
KINDS = ("canvas", "paint28", "photo")

# --- what the file that ships does here --------------------------------------------------------


@pytest.fixture(scope="module")
def strokes():
    """Return benchmarks/strokes.py, which varies digits and draws what is none."""
    benchmarks = str(ROOT / "benchmarks")
    sys.path.insert(0, benchmarks)
    try:
        import strokes

        yield strokes
    finally:
        sys.path.remove(benchmarks)


@pytest.fixture(scope="module")
def bundled():
    """Return all bundled digits: images and labels."""
    (train_images, train_labels), (test_images, test_labels) = load_mnist("digits")
    images = np.concatenate([train_images, test_images])
    labels = np.concatenate([train_labels, test_labels])
    return images, labels


def test_the_reader_is_small_and_plain_keras():
    model = models.load_pretrained("reader")
    assert model.count_params() == 271_003
    assert model.input_shape == (None, 28, 28, 1)
    assert model.output_shape == (None, 11)
    for layer in model.layers:
        assert type(layer).__module__.startswith("keras.")
    assert models.build_reader().name == "reader"


@pytest.mark.parametrize(("unseen", "least"), [(False, 0.92), (True, 0.88)])
def test_non_digits_are_refused(strokes, bundled, unseen, least):
    images, labels = bundled
    rng = np.random.default_rng(2026)
    drawn = [strokes.draw_none(rng, images, labels, unseen=unseen) for _ in range(400)]
    answers = read_inputs(np.float32(drawn) / 255)
    assert np.mean([answer.digit is None for answer in answers]) >= least


def test_the_digits_that_train_it_are_varied_but_stay_what_they_are(strokes, bundled):
    images, labels = bundled
    rng = np.random.default_rng(0)
    varied = []
    for image, label in zip(images, labels, strict=True):
        varied.append(strokes.vary(image, label, rng))
    varied = np.array(varied)
    assert varied.shape == images.shape
    assert varied.dtype == np.uint8
    assert (varied != images).any(axis=(1, 2)).all()
    assert varied.max(axis=(1, 2)).min() > 100


def test_the_same_seed_varies_a_digit_the_same_way(strokes, bundled):
    images, labels = bundled
    once = strokes.vary(images[0], labels[0], np.random.default_rng(7))
    again = strokes.vary(images[0], labels[0], np.random.default_rng(7))
    np.testing.assert_array_equal(once, again)


def test_people_s_own_digits_are_read_here():
    if "OWN_DIGITS" not in os.environ:
        pytest.skip("people's own digits are needed: OWN_DIGITS names no folder")
    folder = Path(os.environ["OWN_DIGITS"])
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    answers = read_digits([folder / "images" / row["file"] for row in rows])
    right = {kind: [] for kind in KINDS}
    for row, answer in zip(rows, answers, strict=True):
        right[row["kind"]].append(answer.digit == int(row["label"]))
    card = models.read_card("reader")["accuracy"]
    for kind in KINDS:
        assert len(right[kind]) == card[kind]["of"]
        # Another processor may round one answer over the edge.
        assert abs(sum(right[kind]) - card[kind]["right"]) <= 1
