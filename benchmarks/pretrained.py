"""Train the networks of notebooks 01 and 02 that ship: makes mnist_helpers/pretrained.

    python benchmarks/pretrained.py

runs notebooks 01 and 02 at their defaults on real MNIST, rounds the weights to 16 bits, and
measures what is then in the files: some two minutes on two cores. Nothing is chosen here.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from mnist_course.run import run_notebooks
from mnist_helpers import evaluation, models
from mnist_helpers.data import load_mnist
from mnist_helpers.preprocessing import scale_pixels, to_images, to_vectors
from mnist_helpers.record import read_record
from mnist_helpers.saving import atomic_write, load_model

RESULTS = Path("results/pretrained")
TARGET = Path(__file__).parent.parent / "mnist_helpers" / "pretrained"
NOTEBOOKS = {"mlp": "01_dense_network", "cnn": "02_convolutional_network"}


def store(name):
    """Write the weights of a network as 16-bit floats, and return its card but for accuracies."""
    notebook = NOTEBOOKS[name]
    (saved,) = (RESULTS / notebook).glob("*.keras")
    path = TARGET / f"{name}.npz"
    with atomic_write(path) as part:
        weights = load_model(saved).get_weights()
        np.savez_compressed(part, *(array.astype("float16") for array in weights))
    record = read_record(RESULTS / f"{notebook}.ipynb")
    return {
        "notebook": notebook,
        "data": record["digits"]["text"],
        "parameters": record["parameters"],
        "versions": record["versions"],
        "command": "python benchmarks/pretrained.py",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def measure(name):
    """Count what the shipped network reads right, by set of digits."""
    model, prepare = models.load_pretrained(name), to_vectors if name == "mlp" else to_images
    _, mnist = load_mnist("mnist")
    bundled = map(np.concatenate, zip(*load_mnist("digits"), strict=True))
    accuracy = {}
    for digits, (images, labels) in {"MNIST, test": mnist, "bundled, all": bundled}.items():
        probabilities = model.predict(prepare(scale_pixels(images)), batch_size=1000, verbose=0)
        predicted = probabilities.argmax(axis=1)
        right, n = int((predicted == labels).sum()), len(labels)
        low, high = evaluation.accuracy_interval(right, n)
        accuracy[digits] = {"right": right, "of": n, "share": right / n, "low": low, "high": high}
    return accuracy


def update_cards(cards):
    """Write these networks' cards beside those of the others."""
    path = TARGET / "cards.json"
    cards = json.loads(path.read_text(encoding="utf-8")) | cards
    path.write_text(json.dumps(cards, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_notebooks(NOTEBOOKS.values(), parameters={"data": "mnist"}, output=RESULTS)
    cards = {name: store(name) for name in NOTEBOOKS}
    update_cards(cards)  # so that the networks can be loaded
    update_cards({name: card | {"accuracy": measure(name)} for name, card in cards.items()})
