"""How much too good a figure is when test digits helped to choose: makes measured/optimism.csv.

    python benchmarks/optimism.py

trains notebook 01's network with seeds 1 to 50 for 20 epochs, each time on the first 6,000 digits
of MNIST, and notes after each epoch which test digits are read right: some fifteen minutes on two
cores. What is done is not done again; delete results/optimism to start afresh.

Then the test digits are dealt into two halves, a hundred times. One half chooses, the other says
what the chosen one is worth; then they change places. A row of the table is the mean over all
deals: `selection`, the accuracy on the half that chose, and `held_out`, the accuracy on the other.
"""

from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
from table import write_table

from mnist_helpers.data import load_mnist
from mnist_helpers.models import build_mlp
from mnist_helpers.preprocessing import one_hot, scale_pixels, to_vectors

SEEDS, EPOCHS, DIGITS, GROUP, DEALS = range(1, 51), 20, 6000, 10, 100
RESULTS = Path("results/optimism")


def train(seed, digits):
    """Train once, unless it has been; return right or not, shape (epochs, test digits)."""
    path = RESULTS / f"{seed}.npy"
    if path.exists():
        return np.load(path)
    (x_train, y_train), (x_test, y_test) = digits
    x, y = to_vectors(scale_pixels(x_train[:DIGITS])), one_hot(y_train[:DIGITS])
    vectors_test = to_vectors(scale_pixels(x_test))
    keras.utils.set_random_seed(seed)
    model = build_mlp()
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    right = []
    for _ in range(EPOCHS):
        model.fit(x, y, batch_size=128, verbose=0)
        read = model.predict(vectors_test, batch_size=1000, verbose=0).argmax(axis=1)
        right.append(read == y_test)
    RESULTS.mkdir(parents=True, exist_ok=True)
    np.save(path, right)
    return np.array(right)


def judge(candidates):
    """Choose the best of `candidates`, shape (n, test digits), on one half and on the other."""
    deal = np.random.default_rng(0)
    seen, unseen = [], []
    for _ in range(DEALS):
        halves = np.array_split(deal.permutation(candidates.shape[1]), 2)
        for chooser, other in (halves, halves[::-1]):
            scores = candidates[:, chooser].mean(axis=1)
            seen.append(scores.max())
            unseen.append(candidates[scores.argmax(), other].mean())
    return {"selection": round(np.mean(seen), 6), "held_out": round(np.mean(unseen), 6)}


if __name__ == "__main__":
    digits = load_mnist("mnist")
    right = np.array([train(seed, digits) for seed in SEEDS])
    groups = right.reshape(-1, GROUP, *right.shape[1:])
    choices = {
        "epoch": right,
        "seed": groups[:, :, -1],
        "epoch and seed": groups.reshape(len(groups), GROUP * EPOCHS, -1),
    }
    backend = keras.config.backend()
    versions = {"keras": keras.__version__, "backend": backend, "backend_version": version(backend)}
    rows = [
        {"choice": choice, "candidates": len(candidates), **judge(candidates), **versions}
        for choice, all_candidates in choices.items()
        for candidates in all_candidates
    ]
    write_table("optimism", rows)
