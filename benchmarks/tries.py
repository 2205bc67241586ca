"""What else was tried on notebook 06's two networks: makes mnist_helpers/measured/tries.csv.

    python benchmarks/tries.py

changes one thing at a time in the notebook's own cells, trains without the held-out tenth, and
counts the held-out digits that are read wrongly: the cheap network with seeds 1 to 5, some five
minutes on two cores, the large one with seed 1, some six minutes for each try. What stands in the
table is not trained again; delete it to start afresh.
"""

import itertools

import numpy as np
from recipes import load_recipes
from table import FOLDER, append_table, describe_machine

from mnist_helpers.data import load_mnist
from mnist_helpers.evaluation import measured, predict_digits
from mnist_helpers.preprocessing import scale_pixels, split_validation, to_images

FORMS = "turn=7, slant=0.07, stretch=0.07, shift=1, wave=0.4"
FIRST = "layers.Conv2D(16, 5, strides"
SMALL = {
    "as it is": ("", ""),
    "one convolution": ('        layers.Conv2D(64, 3, activation="relu"),\n', ""),
    "32 filters first, not 16": (FIRST, "layers.Conv2D(32, 5, strides"),
    "windows of 7, not 5": (FIRST, "layers.Conv2D(16, 7, strides"),
    "128 units, not 64": ("layers.Dense(64,", "layers.Dense(128,"),
    "batches of 512, rate x 2": ('256, "peak": 0.016', '512, "peak": 0.032'),
    "labels not smoothed": ('"smoothed labels": {"smoothing": 0.1}', '"smoothed labels": {}'),
    "Adam's usual memories": ('0.01, "beta_1": 0.7, "beta_2": 0.9', "0.01"),
    "varied digits": (f"        {FIRST}", f"        RandomWarp(),\n        {FIRST}"),
}
LARGE = {  # as it is, it stands in accuracy.csv, judged by the same digits
    "digits not varied": (f"    x = RandomWarp({FORMS})(x)\n", ""),
    "6 epochs": ('"epochs": 12', '"epochs": 6'),
    "smoothed labels": ('"weight_decay": 0.02', '"weight_decay": 0.02, "smoothing": 0.1'),
}


def count_wrong(recipes, network, seed):
    """Train without the held-out digits; give the table's columns: cost, and digits misread."""
    train, _ = load_mnist("mnist")
    (x, y), (x_val, y_val) = (
        (to_images(scale_pixels(images)), labels.astype("int32"))
        for images, labels in split_validation(*train, 0.1, seed=0)
    )
    *_, (_, small) = recipes.cumulate(recipes.RUNGS)
    recipe = {"small": small, "large": recipes.PRECISE}[network]
    model, seconds = recipes.fit(x=x, y=y, seed=seed, **recipe)
    wrong = int(np.sum(predict_digits(model, x_val)[0] != y_val))
    return {"cpu_seconds": round(seconds, 2), "wrong": wrong, "of": len(y_val)}


def main():
    rows = measured("tries") if (FOLDER / "tries.csv").exists() else []
    done = {(row["network"], row["change"], row["seed"]) for row in rows}
    plans = [("small", SMALL, range(1, 6)), ("large", LARGE, [1])]
    for network, changes, seeds in plans:
        for (change, (old, new)), seed in itertools.product(changes.items(), seeds):
            if (network, change, seed) in done:
                continue
            row = {"network": network, "change": change, "seed": seed}
            row |= count_wrong(load_recipes(old, new), network, seed)
            append_table("tries", [row | describe_machine()])


if __name__ == "__main__":
    main()
