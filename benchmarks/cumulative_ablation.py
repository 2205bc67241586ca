"""Notebook 06: its steps and its rates for batches; makes measured/cumulative_ablation.csv.

    python benchmarks/cumulative_ablation.py

climbs the notebook's ladder with seeds 1 to 5, all rungs in turn within each seed, and judges by
the held-out digits: some six minutes on two cores. Then the cheap network is trained with several
rates and batch sizes over three seeds, some five minutes.
"""

import itertools
import time

import numpy as np
from recipes import load_recipes
from table import append_table, describe_machine, write_table

from mnist_helpers.data import load_mnist
from mnist_helpers.evaluation import predict_digits
from mnist_helpers.preprocessing import scale_pixels, split_validation, to_images

BATCHES = {
    64: (0.001, 0.002, 0.004, 0.008, 0.016),
    256: (0.002, 0.004, 0.008, 0.016, 0.032),
    1024: (0.004, 0.008, 0.016, 0.032, 0.064),
}


def prepare():
    """Give training digits and held-out ones as the notebook does."""
    (images, labels), _ = load_mnist("mnist")
    x, y = to_images(scale_pixels(images)), labels.astype("int32")
    return split_validation(x, y, 0.1, seed=0)


def measure(recipes, digits, seed, recipe):
    """Train once and return what it took and how many held-out digits are read right."""
    (x, y), (x_val, y_val) = digits
    started = time.perf_counter()
    model, seconds = recipes.fit(x=x, y=y, seed=seed, **recipe)
    wall = time.perf_counter() - started
    right = float(np.mean(predict_digits(model, x_val)[0] == y_val))
    print(f"seed {seed}, {seconds:5.1f} CPU s, {right:.2%}", flush=True)
    times = {"cpu_seconds": round(seconds, 2), "wall_seconds": round(wall, 2)}
    return times | {"val_accuracy": round(right, 6)}


def main():
    recipes, digits, machine = load_recipes(), prepare(), describe_machine()
    rungs = dict(recipes.cumulate(recipes.RUNGS))
    for recipe in rungs.values():  # the first call of each prepares more than itself
        short = [(part[:512], labels[:512]) for part, labels in digits]
        measure(recipes, short, 0, recipe | {"epochs": 1})
    rows = [
        {"step": rung, "seed": seed} | measure(recipes, digits, seed, recipe) | machine
        for seed in range(1, 6)
        for rung, recipe in rungs.items()
    ]
    append_table("cumulative_ablation", rows)

    last = list(rungs.values())[-1]
    rows = []
    for (batch_size, peaks), seed in itertools.product(BATCHES.items(), (1, 2, 3)):
        for peak in peaks:
            recipe = last | {"batch_size": batch_size, "peak": peak}
            row = {"batch_size": batch_size, "peak_learning_rate": peak, "seed": seed}
            rows.append(row | measure(recipes, digits, seed, recipe) | machine)
    write_table("rates", rows)


if __name__ == "__main__":
    main()
