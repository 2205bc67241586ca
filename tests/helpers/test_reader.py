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
from mnist_helpers.tables import load_table

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


# --- what was measured -------------------------------------------------------------------------
# By the commands in benchmarks/; these tests only read tables, the card and the README.

READER = "prepared, reader"


def select_rows(table, **wanted):
    """Return the rows of a table that have the wanted values."""
    rows = []
    for row in load_table(table):
        if all(row[column] == value for column, value in wanted.items()):
            rows.append(row)
    return rows


def mean_share(rows):
    return np.mean([row["share"] for row in rows])


@pytest.mark.parametrize(
    ("kind", "least"),
    [("own digits", 0.985), ("canvas", 0.97), ("paint28", 0.97), ("photo", 0.97)],
)
def test_people_s_own_digits_are_read_by_three_seeds(kind, least):
    rows = select_rows("own_digits", preparation=READER, pictures=kind)
    seeds = [row for row in rows if row["seed"] != "shipped"]
    assert len(seeds) == 3
    assert mean_share(seeds) >= least


def test_people_s_own_digits_are_hardly_ever_refused():
    for row in select_rows("own_digits", preparation=READER, pictures="own digits"):
        assert row["of"] == 419
        assert row["refused"] <= 0.01 * 419


def test_the_card_says_what_the_shipped_network_reads():
    accuracy = models.read_card("reader")["accuracy"]
    for name in ("own digits", *KINDS, "MNIST, test", "MNIST, test, prepared again"):
        (row,) = select_rows("own_digits", preparation=READER, seed="shipped", pictures=name)
        for key, value in accuracy[name].items():
            assert row[key] == value
    assert accuracy["own digits"]["share"] >= 0.985
    assert accuracy["MNIST, test"]["share"] >= 0.995


def test_mnist_is_hardly_ever_refused():
    for row in select_rows("own_digits", preparation=READER):
        if row["pictures"].startswith("MNIST"):
            assert row["of"] == 10_000
            assert row["refused"] <= 0.005 * row["of"]


def test_preparing_helps_and_varied_digits_do():
    def share_of(preparation):
        rows = select_rows("own_digits", preparation=preparation, pictures="own digits")
        return mean_share(rows)

    assert share_of("shrunk, notebook 02") < share_of("prepared, notebook 02")
    assert share_of("prepared, notebook 02") < share_of(READER)
    assert share_of("prepared, unvaried reader") < share_of(READER)


def expected_calibration_error(rows):
    """Return the mean gap between confidence and accuracy, weighted by the pictures in a bin."""
    gaps = []
    pictures = []
    for row in rows:
        gaps.append(abs(row["mean_confidence"] - row["share_right"]))
        pictures.append(row["pictures"])
    return np.average(gaps, weights=pictures)


@pytest.mark.parametrize("name", ["digits as they are", "digits varied"])
def test_confidences_are_calibrated_on_the_held_out_digits(name):
    shipped = models.read_card("reader")["parameters"]["seed"]
    assert {row["seed"] for row in load_table("reader")} == {1, 2, 3}
    rows = select_rows("reader", seed=shipped, set=name)
    assert sum(row["pictures"] for row in rows) == 3000
    assert expected_calibration_error(rows) <= 0.01


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", ["no digit, kinds trained on", "no digit, other kinds"])
def test_non_digits_were_refused(name, seed):
    rows = select_rows("reader", seed=seed, set=name)
    n_pictures = sum(row["pictures"] for row in rows)
    assert n_pictures == 1000
    n_refused = sum(row["pictures"] * row["share_refused"] for row in rows)
    assert n_refused >= 0.9 * n_pictures


def readme():
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_has_the_share_of_each_preparation():
    for preparation in {row["preparation"] for row in load_table("own_digits")}:
        shares = []
        for kind in ("own digits", *KINDS):
            rows = select_rows("own_digits", preparation=preparation, pictures=kind)
            # A network that was not trained here, with seeds of its own, is only there as shipped.
            seeds = [row for row in rows if row["seed"] != "shipped"]
            share = mean_share(seeds or rows)
            shares.append(f"{100 * share:.1f} %")
        line = " | ".join(shares)
        assert f"| {line} |" in readme()


def test_the_readme_has_the_interval_of_the_shipped_network():
    card = models.read_card("reader")["accuracy"]["own digits"]
    interval = f"{100 * card['low']:.1f} to {100 * card['high']:.1f} %"
    assert f"{card['right']} of {card['of']} ({interval})" in readme()


def test_reading_a_picture_is_fast_as_the_readme_says():
    rows = load_table("reading_cost")
    for row in rows:
        assert row["first_wall_s"] < 8
        if row["picture"] == "1 megapixel":
            assert row["further_cpu_ms"] < 30, row["format"]
    slowest = max(row["further_cpu_ms"] for row in rows)
    assert f"{slowest:.0f} ms" in readme()
