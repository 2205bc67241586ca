"""How much too good a figure is when test digits helped to choose: makes measured/optimism.csv.

    python benchmarks/optimism.py

trains notebook 01's network with seeds 1 to 50 for 20 epochs, each time on the first 6,000 digits
of MNIST, and notes after each epoch which test digits are read right: some fifteen minutes on two
cores. What is done is not done again; delete results/optimism to start afresh.

Then the test digits are dealt into two halves, a hundred times. One half chooses, the other says
what the chosen one is worth; then they change places. A row of the table is the mean over all
deals: `selection`, the accuracy on the half that chose, and `held_out`, that on the other.
"""

from importlib.metadata import version
from pathlib import Path

import numpy as np
from table import write_table

from mnist_helpers.data import load_mnist
from mnist_helpers.keras_settings import keras_defaults
from mnist_helpers.models import build_mlp
from mnist_helpers.preprocessing import one_hot, scale_pixels, to_vectors

with keras_defaults():
    import keras

SEEDS = range(1, 51)
EPOCHS = 20
N_DIGITS = 6000
SEEDS_PER_GROUP = 10
DEALS = 100
RESULTS = Path("results/optimism")


def train(seed, digits):
    """Train once and return which test digits are read right, shape (epochs, test digits)."""
    (x_train, y_train), (x_test, y_test) = digits
    x = to_vectors(scale_pixels(x_train[:N_DIGITS]))
    y = one_hot(y_train[:N_DIGITS])
    vectors_test = to_vectors(scale_pixels(x_test))
    keras.utils.set_random_seed(seed)
    model = build_mlp()
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    right = []
    for _ in range(EPOCHS):
        model.fit(x, y, batch_size=128, verbose=0)
        probabilities = model.predict(vectors_test, batch_size=1000, verbose=0)
        right.append(probabilities.argmax(axis=1) == y_test)
    return np.array(right)


def load_or_train(seed, digits):
    """Return what `train` returned the last time; train where it never did."""
    path = RESULTS / f"{seed}.npy"
    if not path.exists():
        RESULTS.mkdir(parents=True, exist_ok=True)
        np.save(path, train(seed, digits))
    return np.load(path)


def choose_and_judge(candidates):
    """Choose the best candidate on one half of the test digits, and judge it on the other.

    Parameters
    ----------
    candidates : numpy.ndarray
        Right or not, shape (n, test digits).

    Returns
    -------
    dict of str to float
        Mean accuracy over all deals on the half that chose, and on the other.
    """
    rng = np.random.default_rng(0)
    selection = []
    held_out = []
    for _ in range(DEALS):
        first, second = np.array_split(rng.permutation(candidates.shape[1]), 2)
        for chooser, judge in ((first, second), (second, first)):
            scores = candidates[:, chooser].mean(axis=1)
            best = scores.argmax()
            selection.append(scores[best])
            held_out.append(candidates[best, judge].mean())
    return {
        "selection": round(np.mean(selection), 6),
        "held_out": round(np.mean(held_out), 6),
    }


def list_candidates(right):
    """Return, by what is chosen, the groups among which the best is chosen.

    `right` has shape (seeds, epochs, test digits); each group has shape (n, test digits).
    """
    n_seeds, n_epochs, n_digits = right.shape
    groups = right.reshape(n_seeds // SEEDS_PER_GROUP, SEEDS_PER_GROUP, n_epochs, n_digits)
    return {
        "epoch": right,
        "seed": groups[:, :, -1],
        "epoch and seed": groups.reshape(len(groups), SEEDS_PER_GROUP * n_epochs, n_digits),
    }


def main():
    digits = load_mnist("mnist")
    right = np.array([load_or_train(seed, digits) for seed in SEEDS])
    backend = keras.config.backend()
    versions = {"keras": keras.__version__, "backend": backend, "backend_version": version(backend)}
    rows = []
    for choice, groups in list_candidates(right).items():
        for candidates in groups:
            row = {"choice": choice, "candidates": len(candidates)}
            rows.append(row | choose_and_judge(candidates) | versions)
    write_table("optimism", rows)


if __name__ == "__main__":
    main()
