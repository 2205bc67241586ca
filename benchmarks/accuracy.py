"""The accurate network of notebook 06 over several seeds: makes measured/accuracy.csv.

    python benchmarks/accuracy.py

trains it with seeds 1 to 5 on all training digits, as many side by side as there are cores, each
on one thread; some six minutes each. With seeds 1 and 2 it is trained once more without the
held-out tenth, which judges the averaging. What is in results/accuracy is not trained again.
"""

import json
from pathlib import Path

import numpy as np
import recipes
from experiments import hold_out, load_prepared, run_side_by_side
from table import describe_machine, write_table

from mnist_helpers.augmentation import RandomWarp
from mnist_helpers.keras_settings import keras_defaults
from mnist_helpers.saving import atomic_write

with keras_defaults():
    import keras

RESULTS = Path("results/accuracy")
TEST_SEEDS = range(1, 6)
VALIDATION_SEEDS = (1, 2)
BATCH_SIZE = 500
COLUMNS = ("accuracy", "averaged", "sharp")


def load_digits(evaluated_on):
    """Return the digits to train on, and those that judge: the test set's or the held-out ones."""
    train, test = load_prepared()
    if evaluated_on == "test":
        return train, test
    return hold_out(train)


def weights_path(evaluated_on, seed):
    return RESULTS / f"{evaluated_on}-{seed}.npz"


def train(evaluated_on, seed):
    """Train, unless it has been, and keep the CPU seconds and the weights of the last epoch."""
    path = weights_path(evaluated_on, seed)
    if path.exists():
        return
    (x, y), _ = load_digits(evaluated_on)
    model, cpu_seconds = recipes.fit_recipe(x=x, y=y, seed=seed, **recipes.CNN_ACCURATE)
    with atomic_write(path) as part:
        np.savez(part, np.array(cpu_seconds), *model.get_weights())


def load_trained(evaluated_on, seed):
    """Return the network that `train` kept, and the CPU seconds that it took."""
    with np.load(weights_path(evaluated_on, seed)) as arrays:
        values = list(arrays.values())
    model = recipes.build_accurate_cnn()
    model.set_weights(values[1:])
    return model, float(values[0])


def without_softening(model):
    """Return the network without its first layer, which softens digits outside of training."""
    for layer in model.layers:
        if isinstance(layer, RandomWarp):
            return keras.Model(layer.output, model.output)
    raise ValueError("expected a network with a `RandomWarp` layer; received one without.")


def predict(model, inputs):
    return model.predict(inputs, batch_size=BATCH_SIZE, verbose=0)


def read_digits(model, inputs, seed):
    """Read digits in three ways.

    Parameters
    ----------
    model : keras.Model
        As `recipes.build_accurate_cnn` builds it, trained.
    inputs : numpy.ndarray
        Shape (n, 28, 28, 1), in [0, 1].
    seed : int
        Of the variations over which the readings are averaged.

    Returns
    -------
    dict of str to numpy.ndarray
        Probabilities, shape (n, 10), by column of the table; those of "averaged" are sums over
        `recipes.N_READINGS` readings.
    """
    sharp_model = without_softening(model)
    keras.utils.set_random_seed(seed)
    warp = RandomWarp(**recipes.WARP, stroke=0)
    averaged = np.zeros((len(inputs), 10), "float32")
    for _ in range(recipes.N_READINGS):
        # Varied digits are soft already: the interpolation did it.
        varied = np.array(warp(inputs, training=True))
        averaged = averaged + predict(sharp_model, varied)
    return {
        "accuracy": predict(model, inputs),
        "averaged": averaged,
        "sharp": predict(sharp_model, inputs),
    }


def make_row(evaluated_on, seed, cpu_seconds, readings, labels):
    """Return the row of the table: what the training cost, and what was read right and wrong."""
    row = {"evaluated_on": evaluated_on, "seed": seed, "cpu_seconds": round(cpu_seconds, 1)}
    for column in COLUMNS:
        predicted = readings[column].argmax(axis=1)
        row[column] = round(float(np.mean(predicted == labels)), 6)
    predicted = readings["accuracy"].argmax(axis=1)
    mistakes = [[int(i), int(predicted[i])] for i in np.flatnonzero(predicted != labels)]
    row["mistakes"] = json.dumps(mistakes)
    print(evaluated_on, seed, row["cpu_seconds"], row["accuracy"], row["averaged"], flush=True)
    return row


def vote(all_readings):
    """Add up the probabilities of several networks, by column."""
    return {column: sum(readings[column] for readings in all_readings) for column in COLUMNS}


def main():
    runs = [("test", seed) for seed in TEST_SEEDS]
    runs += [("held-out", seed) for seed in VALIDATION_SEEDS]
    for _ in run_side_by_side(train, runs):
        pass

    # From the files, because other processes trained the networks.
    rows = []
    test_readings = []
    test_seconds = 0.0
    for evaluated_on, seed in runs:
        _, (inputs, labels) = load_digits(evaluated_on)
        model, cpu_seconds = load_trained(evaluated_on, seed)
        readings = read_digits(model, inputs, seed)
        rows.append(make_row(evaluated_on, seed, cpu_seconds, readings, labels))
        if evaluated_on == "test":
            test_readings.append(readings)
            test_seconds += cpu_seconds
    _, (_, labels) = load_digits("test")
    rows.append(make_row("test, all vote", "all", test_seconds, vote(test_readings), labels))
    machine = describe_machine()
    write_table("accuracy", [row | machine for row in rows])


if __name__ == "__main__":
    main()
