"""What else was tried on notebook 06's two networks: makes mnist_helpers/measured/ablations.csv.

    python benchmarks/ablations.py

changes one thing at a time in the notebook's own cells, trains without the held-out tenth, and
counts the held-out digits that are read wrongly: the cheap network with seeds 1 to 5, some two
minutes on two cores, the large one, its labels not smoothed, with seed 1, some five minutes for
each try. As many are trained side by side as there are cores, each on one thread. What stands in
the table is not trained again; delete it to start afresh.
"""

import itertools

import numpy as np
from recipes import load_recipes, side_by_side
from table import FOLDER, append_table, describe_machine

from mnist_helpers.data import load_mnist
from mnist_helpers.evaluation import predict_digits
from mnist_helpers.preprocessing import scale_pixels, split_validation, to_images
from mnist_helpers.tables import load_table

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
VARIED = "    x = RandomWarp(**FORMS, stroke=0.5)(x)\n"
ERASED = '    x = layers.RandomErasing(**PATCH, dtype="float32")(x)\n'
HALVED = 'layers.AveragePooling2D(2)(layers.MaxPooling2D(2, strides=1, padding="same")(maps))'
LARGE = {  # as it is, labels smoothed, it stands in accuracy.csv, judged by the same digits
    "labels not smoothed": ("", ""),
    "digits not varied": (VARIED, ""),
    "the pen as it is": ("stroke=0.5", "stroke=0"),
    "nothing erased": (ERASED, ""),
    "erased, then varied": (VARIED + ERASED, ERASED + VARIED),
    "max pooling as usual": (HALVED, "layers.MaxPooling2D(2)(maps)"),
    "5 epochs": ('"epochs": 10', '"epochs": 5'),
    "16 epochs": ('"epochs": 10', '"epochs": 16'),
}


def count_wrong(network, change, seed):
    """Train without the held-out digits; give the table's row: cost, and digits misread."""
    recipes = load_recipes(*(SMALL if network == "small" else LARGE)[change])
    train, _ = load_mnist("mnist")
    (x, y), (x_val, y_val) = (
        (to_images(scale_pixels(images)), labels.astype("int32"))
        for images, labels in split_validation(*train, 0.1, seed=0)
    )
    *_, (_, small) = recipes.cumulate(recipes.RUNGS)
    recipe = {"small": small, "large": recipes.PRECISE | {"smoothing": 0}}[network]
    model, seconds = recipes.fit(x=x, y=y, seed=seed, **recipe)
    wrong = int(np.sum(predict_digits(model, x_val)[0] != y_val))
    print(f"{network}, {change}, seed {seed}: {seconds:.1f} CPU s, {wrong} misread", flush=True)
    row = {"network": network, "change": change, "seed": seed}
    row |= {"cpu_seconds": round(seconds, 2), "wrong": wrong, "of": len(y_val)}
    return row | describe_machine()


def main():
    rows = load_table("ablations") if (FOLDER / "ablations.csv").exists() else []
    done = {(row["network"], row["change"], row["seed"]) for row in rows}
    runs = [*itertools.product(["small"], SMALL, range(1, 6)), *(("large", c, 1) for c in LARGE)]
    if left := [run for run in runs if run not in done]:
        for row in side_by_side(count_wrong, left):
            append_table("ablations", [row])


if __name__ == "__main__":
    main()
