"""How well people's own digits are read: shrunk as they come, prepared like MNIST, by the reader.

    OWN_DIGITS=FOLDER python benchmarks/own_digits.py

FOLDER holds images/ and labels.csv with the columns file, label, kind and writer. The networks are
that of notebook 02, which ships, and the reader from each seed that reader.py trained; what the
shipped one reads goes into its card. Nothing is chosen here. Beside it, MNIST's test digits.
"""

import collections
import csv
import os
from pathlib import Path

import numpy as np
from PIL import Image
from pretrained import update_cards
from reader import RESULTS, SEEDS
from table import write_table

from mnist_helpers import models
from mnist_helpers.data import load_mnist
from mnist_helpers.evaluation import accuracy_interval
from mnist_helpers.preprocessing import scale_pixels, to_images
from mnist_helpers.reading import prepare_or_blank

READER = "prepared, reader"


def shrink(path):
    """Do what a first try does: gray, 28×28, dark and light changed over."""
    picture = Image.open(path).convert("RGBA")
    page = Image.new("RGBA", picture.size, "white")
    gray = Image.alpha_composite(page, picture).convert("L").resize((28, 28))
    return 1 - np.asarray(gray, "float32") / 255


def networks():
    """Give each way of reading: its name, the seed, whether pictures are prepared, the network."""
    plain = models.load_pretrained("cnn")
    yield "shrunk, notebook 02", "shipped", False, plain
    yield "prepared, notebook 02", "shipped", True, plain
    files = [("prepared, unvaried reader", "plain", SEEDS[0])]
    for way, name, seed in files + [(READER, "varied", seed) for seed in SEEDS]:
        network = models.build_reader()
        with np.load(RESULTS / f"{name}-{seed}-2.npz") as arrays:
            network.set_weights(list(arrays.values()))
        yield way, seed, True, network
    yield READER, "shipped", True, models.load_pretrained("reader")


def judge(predicted, labels):
    """Count what was read right; 'no digit', 10, is always wrong."""
    n_right, n = int((predicted == labels).sum()), len(labels)
    low, high = accuracy_interval(n_right, n)
    return {"right": n_right, "of": n, "share": n_right / n, "low": low, "high": high}


def mistakes(predicted, labels):
    """Say which digit was read as which, and how often."""
    wrong = zip(labels[predicted != labels], predicted[predicted != labels], strict=True)
    pairs = collections.Counter(
        f"{true} as {'none' if read == 10 else read}" for true, read in wrong
    )
    return "; ".join(f"{pair}" + f" ({n} times)" * (n > 1) for pair, n in pairs.most_common(20))


def read_all(folder):
    """Read every picture in every way."""
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as lines:
        table = list(csv.DictReader(lines))
    files = [folder / "images" / row["file"] for row in table]
    labels = np.array([int(row["label"]) for row in table])
    kinds = np.array([row["kind"] for row in table])
    _, (images, mnist_labels) = load_mnist("mnist")
    own = {
        False: np.array([shrink(file) for file in files]),
        True: np.array([prepare_or_blank(file) for file in files]),
    }
    mnist = {False: scale_pixels(images)}
    mnist[True] = np.array([prepare_or_blank(image) for image in images])

    rows = []
    for way, seed, prepared, network in networks():
        sets = {"own digits": (own[prepared], labels)}
        sets |= {
            kind: (own[prepared][kinds == kind], labels[kinds == kind]) for kind in np.unique(kinds)
        }
        sets |= {"MNIST, test": (mnist[False], mnist_labels)}
        sets |= {"MNIST, test, prepared again": (mnist[True], mnist_labels)}
        for name, (inputs, true) in sets.items():
            predicted = network.predict(to_images(inputs), batch_size=1000, verbose=0).argmax(
                axis=1
            )
            refused = int((predicted == 10).sum())
            row = {"preparation": way, "seed": seed, "pictures": name} | judge(predicted, true)
            rows.append(row | {"refused": refused, "mistakes": mistakes(predicted, true)})
    return rows


if __name__ == "__main__":
    rows = read_all(Path(os.environ["OWN_DIGITS"]))
    write_table("own_digits", rows)
    accuracy = {
        row["pictures"]: {key: row[key] for key in ("right", "of", "share", "low", "high")}
        for row in rows
        if (row["preparation"], row["seed"]) == (READER, "shipped")
    }
    card = models.read_card("reader")
    update_cards({"reader": card | {"accuracy": card["accuracy"] | accuracy}})
