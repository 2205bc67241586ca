"""What else was tried on notebook 06's two networks: makes mnist_helpers/measured/ablations.csv.

    python benchmarks/ablations.py

changes one thing at a time in the notebook's recipes, trains without the held-out tenth, and
counts the held-out digits that are read wrongly: the fast network with seeds 1 to 5, some two
minutes on two cores, the accurate one, its labels not smoothed, with seed 1, some five minutes for
each change. As many are trained side by side as there are cores, each on one thread. What stands
in the table is not trained again; delete it to start afresh.
"""

from functools import partial

import numpy as np
import recipes
from experiments import hold_out, load_prepared, run_side_by_side
from table import FOLDER, append_table, describe_machine

from mnist_helpers.augmentation import RandomWarp
from mnist_helpers.evaluation import predict_digits
from mnist_helpers.keras_settings import keras_defaults
from mnist_helpers.tables import load_table

with keras_defaults():
    import keras
    from keras import layers


def build_one_convolution():
    """Build the fast network without its second convolution."""
    stack = [
        keras.Input((28, 28, 1)),
        layers.Conv2D(16, 5, strides=2, use_bias=False),
        layers.MaxPooling2D(2),
        layers.BatchNormalization(momentum=0.9, scale=False),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dense(64, use_bias=False),
        layers.BatchNormalization(momentum=0.9, scale=False),
        layers.ReLU(),
        layers.Dense(10, activation="softmax", dtype="float32"),
    ]
    return keras.Sequential(stack)


def build_warped_fast_cnn():
    """Build the fast network with varied digits."""
    # First, because a layer draws its seed when it is created.
    warp = RandomWarp()
    fast = recipes.build_fast_cnn()
    return keras.Sequential([keras.Input((28, 28, 1)), warp, *fast.layers])


def build_without_warp():
    return recipes.build_accurate_cnn([layers.RandomErasing(**recipes.ERASING)])


def build_without_stroke():
    return recipes.build_accurate_cnn(
        [RandomWarp(**recipes.WARP, stroke=0), layers.RandomErasing(**recipes.ERASING)]
    )


def build_without_erasing():
    return recipes.build_accurate_cnn([RandomWarp(**recipes.WARP, stroke=0.5)])


def build_erased_first():
    return recipes.build_accurate_cnn(
        [layers.RandomErasing(**recipes.ERASING), RandomWarp(**recipes.WARP, stroke=0.5)]
    )


def max_pooling(maps):
    return layers.MaxPooling2D(2)(maps)


RECIPES = {"small": recipes.CNN_FAST, "large": recipes.CNN_ACCURATE | {"smoothing": 0}}
# What each change sets in the recipe, by its name in the table.
CHANGES = {
    "small": {
        "as it is": {},
        "one convolution": {"build": build_one_convolution},
        "32 filters first, not 16": {"build": partial(recipes.build_fast_cnn, filters=32)},
        "windows of 7, not 5": {"build": partial(recipes.build_fast_cnn, kernel_size=7)},
        "128 units, not 64": {"build": partial(recipes.build_fast_cnn, dense_units=128)},
        "batches of 512, rate x 2": {"batch_size": 512, "peak_learning_rate": 0.032},
        "labels not smoothed": {"smoothing": 0},
        "Adam's usual memories": {"beta_1": 0.9, "beta_2": 0.999},
        "varied digits": {"build": build_warped_fast_cnn},
    },
    # As it is, with smoothed labels, it stands in accuracy.csv, read on the same held-out digits.
    "large": {
        "labels not smoothed": {},
        "digits not varied": {"build": build_without_warp},
        "the pen as it is": {"build": build_without_stroke},
        "nothing erased": {"build": build_without_erasing},
        "erased, then varied": {"build": build_erased_first},
        "max pooling as usual": {"build": partial(recipes.build_accurate_cnn, pool=max_pooling)},
        "5 epochs": {"epochs": 5},
        "16 epochs": {"epochs": 16},
    },
}
SEEDS = {"small": range(1, 6), "large": [1]}


def count_wrong(network, change, seed):
    """Train without the held-out digits; return the table's row: cost, and digits misread."""
    train, _ = load_prepared()
    (x, y), (x_val, y_val) = hold_out(train)
    recipe = RECIPES[network] | CHANGES[network][change]
    model, cpu_seconds = recipes.fit_recipe(x=x, y=y, seed=seed, **recipe)
    predicted, _ = predict_digits(model, x_val)
    wrong = int(np.sum(predicted != y_val))
    print(f"{network}, {change}, seed {seed}: {cpu_seconds:.1f} CPU s, {wrong} misread", flush=True)
    return {
        "network": network,
        "change": change,
        "seed": seed,
        "cpu_seconds": round(cpu_seconds, 2),
        "wrong": wrong,
        "of": len(y_val),
        **describe_machine(),
    }


def list_runs():
    """Return (network, change, seed) of every run of the table."""
    runs = []
    for network, changes in CHANGES.items():
        for change in changes:
            runs += [(network, change, seed) for seed in SEEDS[network]]
    return runs


def main():
    rows = []
    if (FOLDER / "ablations.csv").exists():
        rows = load_table("ablations")
    done = {(row["network"], row["change"], row["seed"]) for row in rows}
    left = [run for run in list_runs() if run not in done]
    # Each row is written as soon as it is there: the runs take hours.
    for row in run_side_by_side(count_wrong, left):
        append_table("ablations", [row])


if __name__ == "__main__":
    main()
