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

KINDS = ("canvas", "paint28", "photo")
READER = "prepared, reader"


def rows_of(table, **wanted):
    return [
        row for row in load_table(table) if all(row[key] == value for key, value in wanted.items())
    ]


def test_the_reader_is_small_and_plain_keras():
    model = models.load_pretrained("reader")
    assert model.count_params() == 271_003 <= 300_000
    assert model.input_shape == (None, 28, 28, 1) and model.output_shape == (None, 11)
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
    assert models.build_reader().name == "reader"


# --- what was measured, by the commands in benchmarks/ -----------------------------------------


def test_people_s_own_digits_are_read_by_three_seeds():
    for kind, least in {"own digits": 0.985, **dict.fromkeys(KINDS, 0.97)}.items():
        rows = [row for row in rows_of("own_digits", preparation=READER, pictures=kind)]
        seeds = [row["share"] for row in rows if row["seed"] != "shipped"]
        assert len(seeds) == 3 and np.mean(seeds) >= least, kind
    for row in rows_of("own_digits", preparation=READER, pictures="own digits"):
        assert row["of"] == 419 and row["refused"] <= 0.01 * 419


def test_the_card_says_what_the_shipped_network_reads():
    accuracy = models.read_card("reader")["accuracy"]
    for name in ("own digits", *KINDS, "MNIST, test", "MNIST, test, prepared again"):
        (row,) = rows_of("own_digits", preparation=READER, seed="shipped", pictures=name)
        assert accuracy[name] == {key: row[key] for key in accuracy[name]}
    assert accuracy["own digits"]["share"] >= 0.985
    assert accuracy["MNIST, test"]["share"] >= 0.995


def test_mnist_is_hardly_ever_refused():
    for row in rows_of("own_digits", preparation=READER):
        if row["pictures"].startswith("MNIST"):
            assert row["refused"] <= 0.005 * row["of"] and row["of"] == 10_000


def test_preparing_helps_and_varied_digits_do():
    def mean(way):
        rows = rows_of("own_digits", preparation=way, pictures="own digits")
        return np.mean([row["share"] for row in rows])

    assert mean("shrunk, notebook 02") < mean("prepared, notebook 02") < mean(READER)
    assert mean("prepared, unvaried reader") < mean(READER)


def calibration(seed, name):
    rows = rows_of("reader", seed=seed, set=name)
    gaps = [abs(row["mean_confidence"] - row["share_right"]) for row in rows]
    return np.average(gaps, weights=[row["pictures"] for row in rows])


def test_confidences_are_calibrated_on_the_held_out_digits():
    shipped = models.read_card("reader")["parameters"]["seed"]
    assert {row["seed"] for row in load_table("reader")} == {1, 2, 3}
    for name in ("digits as they are", "digits varied"):
        assert sum(row["pictures"] for row in rows_of("reader", seed=shipped, set=name)) == 3000
        assert calibration(shipped, name) <= 0.01


@pytest.mark.parametrize("name", ["no digit, kinds trained on", "no digit, other kinds"])
def test_non_digits_were_refused(name):
    for seed in (1, 2, 3):
        rows = rows_of("reader", seed=seed, set=name)
        n = sum(row["pictures"] for row in rows)
        assert n == 1000
        assert sum(row["pictures"] * row["share_refused"] for row in rows) >= 0.9 * n


# --- and what the file that ships does here ----------------------------------------------------


@pytest.fixture(scope="module")
def strokes():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import strokes

        yield strokes
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


@pytest.mark.parametrize(("unseen", "least"), [(False, 0.92), (True, 0.88)])
def test_non_digits_are_refused(strokes, unseen, least):
    images, labels = map(np.concatenate, zip(*load_mnist("digits"), strict=True))
    rng = np.random.default_rng(2026)
    drawn = [strokes.draw_none(rng, images, labels, unseen=unseen) for _ in range(400)]
    answers = read_inputs(np.float32(drawn) / 255)
    assert np.mean([answer.digit is None for answer in answers]) >= least


def test_the_digits_that_train_it_are_varied_but_stay_what_they_are(strokes):
    images, labels = map(np.concatenate, zip(*load_mnist("digits"), strict=True))
    rng = np.random.default_rng(0)
    varied = np.array([strokes.vary(*pair, rng) for pair in zip(images, labels, strict=True)])
    assert varied.shape == images.shape and varied.dtype == np.uint8
    assert (varied != images).any(axis=(1, 2)).all() and varied.max(axis=(1, 2)).min() > 100
    again = [strokes.vary(images[0], labels[0], np.random.default_rng(7)) for _ in range(2)]
    np.testing.assert_array_equal(*again)


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
        assert abs(sum(right[kind]) - card[kind]["right"]) <= 1  # another processor


def test_the_readme_has_what_was_measured():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for way in dict.fromkeys(row["preparation"] for row in load_table("own_digits")):
        shares = []
        for kind in ("own digits", *KINDS):
            rows = rows_of("own_digits", preparation=way, pictures=kind)
            seeds = [row for row in rows if row["seed"] != "shipped"] or rows
            shares.append(f"{np.mean([100 * row['share'] for row in seeds]):.1f} %")
        assert f"| {' | '.join(shares)} |" in readme
    card = models.read_card("reader")["accuracy"]["own digits"]
    interval = f"{100 * card['low']:.1f} to {100 * card['high']:.1f} %"
    assert f"{card['right']} of {card['of']} ({interval})" in readme
    cost = {(row["picture"], row["format"]): row for row in load_table("reading_cost")}
    for (size, suffix), row in cost.items():
        assert row["first_wall_s"] < 8
        if size == "1 megapixel":
            assert row["further_cpu_ms"] < 30, suffix
    slowest = max(row["further_cpu_ms"] for row in cost.values())
    assert f"{slowest:.0f} ms" in readme
