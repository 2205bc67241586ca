"""How well people's own digits are read: shrunk as they are, prepared like MNIST, by the reader.

    OWN_DIGITS=FOLDER python benchmarks/own_digits.py

FOLDER holds images/ and labels.csv with the columns file, label, kind and writer. The networks are
that of notebook 02, which ships, and the reader from each seed that reader.py trained; what the
shipped one reads goes into its card. Nothing is chosen here. Beside it, MNIST's test digits.
"""

import collections
import csv
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from pretrained import count_right, update_cards
from reader import NONE, SEEDS, load_weights
from table import write_table

from mnist_helpers import models
from mnist_helpers.data import load_mnist
from mnist_helpers.keras_settings import keras_defaults
from mnist_helpers.preprocessing import scale_pixels, to_images
from mnist_helpers.reading import prepare_or_blank

with keras_defaults():
    import keras

READER = "prepared, reader"
N_MISTAKES = 20  # kinds of mistake that are named


class Candidate(NamedTuple):
    """A network, and how pictures are made ready for it."""

    preparation: str
    seed: int | str
    network: keras.Model
    prepared: bool = True


def shrink(path):
    """Do what a first try does: gray, 28×28, dark and light changed over."""
    picture = Image.open(path).convert("RGBA")
    page = Image.new("RGBA", picture.size, "white")
    gray = Image.alpha_composite(page, picture).convert("L").resize((28, 28))
    return 1 - np.asarray(gray, "float32") / 255


def load_trained_reader(training, seed):
    """Load the reader as it was at the end of its training, before it was calibrated."""
    network = models.build_reader()
    network.set_weights(load_weights(training, seed, phase_number=2))
    return network


def load_candidates():
    """Load the networks one after the other."""
    cnn = models.load_pretrained("cnn")
    yield Candidate("shrunk, notebook 02", "shipped", cnn, prepared=False)
    yield Candidate("prepared, notebook 02", "shipped", cnn)
    unvaried = load_trained_reader("plain", SEEDS[0])
    yield Candidate("prepared, unvaried reader", SEEDS[0], unvaried)
    for seed in SEEDS:
        yield Candidate(READER, seed, load_trained_reader("varied", seed))
    yield Candidate(READER, "shipped", models.load_pretrained("reader"))


def describe_mistakes(predicted, labels):
    """Say which digit was read as which, and how often."""
    pairs = collections.Counter()
    for label, digit in zip(labels, predicted, strict=True):
        if digit == NONE:
            pairs[f"{label} as none"] += 1
        elif digit != label:
            pairs[f"{label} as {digit}"] += 1
    texts = []
    for pair, n in pairs.most_common(N_MISTAKES):
        if n > 1:
            pair += f" ({n} times)"
        texts.append(pair)
    return "; ".join(texts)


def read_table(folder):
    """Return the files of the pictures, their labels and their kinds."""
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    files = [folder / "images" / row["file"] for row in rows]
    labels = np.array([int(row["label"]) for row in rows])
    kinds = np.array([row["kind"] for row in rows])
    return files, labels, kinds


def split_kinds(inputs, labels, kinds):
    """Return {name: (inputs, labels)} of all pictures and of each kind."""
    picture_sets = {"own digits": (inputs, labels)}
    for kind in np.unique(kinds):
        chosen = kinds == kind
        picture_sets[str(kind)] = (inputs[chosen], labels[chosen])
    return picture_sets


def load_picture_sets(folder):
    """Return {name: (inputs, labels)} of pictures that are only shrunk, and of prepared ones."""
    files, labels, kinds = read_table(folder)
    _, (mnist_images, mnist_labels) = load_mnist("mnist")
    mnist_prepared = np.array([prepare_or_blank(image) for image in mnist_images])
    mnist_sets = {
        "MNIST, test": (scale_pixels(mnist_images), mnist_labels),
        "MNIST, test, prepared again": (mnist_prepared, mnist_labels),
    }
    shrunk = np.array([shrink(file) for file in files])
    prepared = np.array([prepare_or_blank(file) for file in files])
    return (
        split_kinds(shrunk, labels, kinds) | mnist_sets,
        split_kinds(prepared, labels, kinds) | mnist_sets,
    )


def read_all(folder):
    """Read every picture with every candidate, and return the rows of the table."""
    shrunk_sets, prepared_sets = load_picture_sets(folder)
    rows = []
    for candidate in load_candidates():
        picture_sets = prepared_sets
        if not candidate.prepared:
            picture_sets = shrunk_sets
        for name, (inputs, labels) in picture_sets.items():
            images = to_images(inputs)
            probabilities = candidate.network.predict(images, batch_size=1000, verbose=0)
            predicted = probabilities.argmax(axis=1)
            row = {
                "preparation": candidate.preparation,
                "seed": candidate.seed,
                "pictures": name,
                **count_right(predicted, labels),
                "refused": int((predicted == NONE).sum()),
                "mistakes": describe_mistakes(predicted, labels),
            }
            rows.append(row)
    return rows


def main():
    rows = read_all(Path(os.environ["OWN_DIGITS"]))
    write_table("own_digits", rows)
    accuracy = {}
    for row in rows:
        if row["preparation"] == READER and row["seed"] == "shipped":
            shares = {key: row[key] for key in ("right", "of", "share", "low", "high")}
            accuracy[row["pictures"]] = shares
    card = models.read_card("reader")
    card["accuracy"] = card["accuracy"] | accuracy
    update_cards({"reader": card})


if __name__ == "__main__":
    main()
