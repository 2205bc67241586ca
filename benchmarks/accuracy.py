"""The large network of notebook 06 over several seeds: makes mnist_helpers/measured/accuracy.csv.

    python benchmarks/accuracy.py

trains it with seeds 1 to 5 on all training digits, as many side by side as there are cores, each
on one thread; some six minutes each. With seeds 1 and 2 it is trained once more without the
held-out tenth, which judges the averaging. What is in results/accuracy is not trained again.
"""

import json
from pathlib import Path

import keras
import numpy as np
from recipes import load_recipes, side_by_side
from table import describe_machine, write_table

from mnist_helpers.data import load_mnist
from mnist_helpers.preprocessing import scale_pixels, split_validation, to_images
from mnist_helpers.saving import atomic_write

RESULTS = Path("results/accuracy")
RUNS = [(seed, "test") for seed in range(1, 6)] + [(seed, "held-out") for seed in (1, 2)]


def digits(judges):
    """Give training digits and those that judge."""
    train, test = load_mnist("mnist")
    if judges == "test":
        return train, test
    return split_validation(*train, 0.1, seed=0)


def train(seed, judges):
    """Train, unless it has been, and keep the weights of the last epoch."""
    path = RESULTS / f"{judges}-{seed}.npz"
    if not path.exists():
        (images, labels), _ = digits(judges)
        recipes = load_recipes()
        x, y = to_images(scale_pixels(images)), labels.astype("int32")
        model, seconds = recipes.fit(x=x, y=y, seed=seed, **recipes.PRECISE)
        with atomic_write(path) as part:
            np.savez(part, np.array(seconds), *model.get_weights())


def read(seed, judges, images):
    """Give the seconds that the training took, and probabilities: plain, averaged, and sharp."""
    recipes = load_recipes()
    with np.load(RESULTS / f"{judges}-{seed}.npz") as arrays:
        seconds, *weights = arrays.values()
    model = recipes.precise()
    model.set_weights(weights)
    inputs = to_images(scale_pixels(images))
    keras.utils.set_random_seed(seed)
    warp = recipes.RandomWarp(**recipes.FORMS, stroke=0)
    varied = (np.array(warp(inputs, training=True)) for _ in range(recipes.N_FORMS))
    (own,) = (layer for layer in model.layers if isinstance(layer, recipes.RandomWarp))
    unsoftened = keras.Model(own.output, model.output)  # for forms, which are soft already
    averaged = sum(unsoftened.predict(form, batch_size=500, verbose=0) for form in varied)
    plain, sharp = (
        reader.predict(inputs, batch_size=500, verbose=0) for reader in (model, unsoftened)
    )
    return float(seconds), plain, averaged, sharp


def judge(labels, seconds, plain, averaged, sharp):
    """Give the columns of the table: what it cost, and what was read right and wrong."""
    wrong = np.flatnonzero(plain.argmax(axis=1) != labels)
    row = {
        "cpu_seconds": round(seconds, 1),
        "accuracy": round(1 - len(wrong) / len(labels), 6),
        "averaged": round(float(np.mean(averaged.argmax(axis=1) == labels)), 6),
        "sharp": round(float(np.mean(sharp.argmax(axis=1) == labels)), 6),
        "mistakes": json.dumps([[int(i), int(plain[i].argmax())] for i in wrong]),
    }
    print(*list(row.values())[:3], flush=True)
    return row


def main():
    list(side_by_side(train, RUNS))
    rows, tested = [], []
    for seed, judges in RUNS:
        _, (images, labels) = digits(judges)
        readings = read(seed, judges, images)
        rows.append({"evaluated_on": judges, "seed": seed} | judge(labels, *readings))
        if judges == "test":
            tested.append(readings)
    _, (_, labels) = digits("test")
    together = map(sum, zip(*tested, strict=True))
    rows.append({"evaluated_on": "test, all vote", "seed": "all"} | judge(labels, *together))
    machine = describe_machine()
    write_table("accuracy", [row | machine for row in rows])


if __name__ == "__main__":
    main()
