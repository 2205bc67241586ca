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


def write_weights(name, weights):
    """Write ``pretrained/<name>.npz``, as 16-bit floats, and return its SHA-256."""
    path = TARGET / f"{name}.npz"
    with atomic_write(path) as part:
        np.savez_compressed(part, *[array.astype("float16") for array in weights])
    return hashlib.sha256(path.read_bytes()).hexdigest()


def store(name):
    """Write the weights of a network, and return its card but for accuracies."""
    notebook = NOTEBOOKS[name]
    (saved,) = (RESULTS / notebook).glob("*.keras")
    sha256 = write_weights(name, load_model(saved).get_weights())
    record = read_record(RESULTS / f"{notebook}.ipynb")
    return {
        "notebook": notebook,
        "data": record["digits"]["text"],
        "parameters": record["parameters"],
        "versions": record["versions"],
        "command": "python benchmarks/pretrained.py",
        "sha256": sha256,
    }


def count_right(predicted, labels):
    """Return the count, and the share with its interval, as cards and tables have them."""
    n_right = int((predicted == labels).sum())
    n = len(labels)
    low, high = evaluation.accuracy_interval(n_right, n)
    return {"right": n_right, "of": n, "share": n_right / n, "low": low, "high": high}


def measure(name):
    """Count what the shipped network reads right, by set of digits."""
    model = models.load_pretrained(name)
    shape_inputs = to_images
    if name == "mlp":
        shape_inputs = to_vectors
    _, mnist_test = load_mnist("mnist")
    train, test = load_mnist("digits")
    all_images = np.concatenate([train[0], test[0]])
    all_labels = np.concatenate([train[1], test[1]])
    digit_sets = {"MNIST, test": mnist_test, "bundled, all": (all_images, all_labels)}

    accuracy = {}
    for digits_name, (images, labels) in digit_sets.items():
        inputs = shape_inputs(scale_pixels(images))
        probabilities = model.predict(inputs, batch_size=1000, verbose=0)
        accuracy[digits_name] = count_right(probabilities.argmax(axis=1), labels)
    return accuracy


def update_cards(cards):
    """Write these networks' cards beside those of the others."""
    path = TARGET / "cards.json"
    all_cards = json.loads(path.read_text(encoding="utf-8")) | cards
    path.write_text(json.dumps(all_cards, indent=2) + "\n", encoding="utf-8")


def main():
    run_notebooks(NOTEBOOKS.values(), parameters={"data": "mnist"}, output=RESULTS)
    cards = {name: store(name) for name in NOTEBOOKS}
    # A network is loaded, to be measured, only if its card has the checksum of its file.
    update_cards(cards)
    for name, card in cards.items():
        card["accuracy"] = measure(name)
    update_cards(cards)


if __name__ == "__main__":
    main()
