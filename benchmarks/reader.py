"""Train the network that reads people's own digits: makes the reader of mnist_helpers/pretrained.

    python benchmarks/reader.py

trains it from three seeds on MNIST's training digits, varied anew in every epoch (strokes.py), and
on pictures of no digit: some quarter of an hour a seed on two cores. A tenth of the digits is held
out. On it each network is calibrated, and the one with the smallest loss there is shipped; nothing
else chooses. Then, to compare with, one seed on digits that are only shifted by a pixel. What is
in results/reader is not trained again. own_digits.py measures.
"""

import itertools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from pretrained import measure, update_cards, write_weights
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from strokes import NONE, draw_none, vary
from table import write_table

from mnist_helpers import models
from mnist_helpers.data import load_mnist
from mnist_helpers.diagnosis import describe_input
from mnist_helpers.keras_settings import keras_defaults
from mnist_helpers.preprocessing import scale_pixels, split_validation, to_images
from mnist_helpers.record import library_versions
from mnist_helpers.saving import atomic_write

with keras_defaults():
    import keras

RESULTS = Path("results/reader")
SEEDS = (1, 2, 3)
PARAMETERS = {
    "validation_fraction": 0.1,
    "batch_size": 128,
    "weight_decay": 0.01,
    "epochs": 20,
    # First many ways of writing, then those of MNIST more often: `unvaried` is the share of digits
    # that are only shifted by a pixel, `strength` how much the others are varied.
    "phases": [
        {"epochs": 14, "peak_rate": 3e-3, "unvaried": 0.3, "strength": 1, "none": 12_000},
        {"epochs": 6, "peak_rate": 1e-3, "unvaried": 0.5, "strength": 0.7, "none": 4_000},
    ],
}
START_RATE = 1e-4
PHASE_SEED_STEP = 100  # so that no two phases of the three seeds draw the same
VALIDATION_SEED = 99
N_NONE = 2000  # pictures of no digit in each validation set of them
N_BINS = 10  # of confidences
SMALLEST_PROBABILITY = 1e-30  # whose logarithm is finite
TEMPERATURES = (0.3, 3)
INPUT_QUANTILES = (0.001, 0.999)  # what lies outside of them is rare in MNIST


# --- training ----------------------------------------------------------------------------------


def hold_out():
    """Split MNIST's training digits, always the same way."""
    (images, labels), _ = load_mnist("mnist")
    return split_validation(images, labels, PARAMETERS["validation_fraction"], seed=0)


def make_epoch(seed, phase):
    """Vary all training digits, and draw pictures of no digit: images and labels of an epoch."""
    # Each worker process has one core.
    cv2.setNumThreads(1)
    (images, labels), _ = hold_out()
    rng = np.random.default_rng(seed)
    varied = []
    for image, label in zip(images, labels, strict=True):
        if rng.random() < phase["unvaried"]:
            shift = rng.integers(-1, 2, 2)
            varied.append(np.roll(image, shift, (0, 1)))
        else:
            varied.append(vary(image, label, rng, phase["strength"]))
    for _ in range(phase["none"]):
        varied.append(draw_none(rng, images, labels))
    none_labels = np.full(phase["none"], NONE, labels.dtype)
    return np.array(varied), np.append(labels, none_labels)


class VariedDigits(keras.utils.PyDataset):
    """All digits and pictures of none, each epoch varied anew and in another order."""

    def __init__(self, seed, phase):
        super().__init__()
        seeds = [(seed, epoch) for epoch in range(phase["epochs"])]
        # A forked process would inherit a TensorFlow that has started its threads already.
        fresh_process = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(2, fresh_process) as workers:
            self.epochs_left = list(workers.map(make_epoch, seeds, itertools.repeat(phase)))
        self.rng = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self):
        return len(self.order) // PARAMETERS["batch_size"]

    def __getitem__(self, step):
        start = step * PARAMETERS["batch_size"]
        chosen = self.order[start : start + PARAMETERS["batch_size"]]
        return to_images(scale_pixels(self.images[chosen])), self.labels[chosen]

    def on_epoch_end(self):
        # Keras calls this after the last epoch too, when none is left.
        if self.epochs_left:
            self.images, self.labels = self.epochs_left.pop()
        self.order = self.rng.permutation(len(self.labels))


def train(seed, phase, weights=None):
    """Train for one phase, from `weights` if there are any, and return the weights at its end."""
    data = VariedDigits(seed, phase)
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = models.build_reader()
    if weights:
        model.set_weights(weights)
    n_steps = phase["epochs"] * len(data)
    warmup_steps = n_steps // 10
    learning_rate = keras.optimizers.schedules.CosineDecay(
        START_RATE,
        n_steps - warmup_steps,
        warmup_target=phase["peak_rate"],
        warmup_steps=warmup_steps,
    )
    optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=PARAMETERS["weight_decay"])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(data, epochs=phase["epochs"], shuffle=False, verbose=2)
    keras.config.set_dtype_policy("float32")
    return model.get_weights()


def load_weights(training, seed, phase_number):
    """Load what `train_phases` kept: ``training`` is "varied" or "plain"; phases count from 1."""
    with np.load(weights_path(training, seed, phase_number)) as arrays:
        return list(arrays.values())


def weights_path(training, seed, phase_number):
    return RESULTS / f"{training}-{seed}-{phase_number}.npz"


def train_phases(training, seed, phases):
    """Train from one seed, phase by phase where that has not been done; return the weights."""
    weights = None
    for phase_number, phase in enumerate(phases, start=1):
        path = weights_path(training, seed, phase_number)
        if not path.exists():
            phase_seed = seed + PHASE_SEED_STEP * (phase_number - 1)
            weights = train(phase_seed, phase, weights)
            with atomic_write(path) as part:
                np.savez(part, *weights)
        weights = load_weights(training, seed, phase_number)
    return weights


# --- choosing and measuring --------------------------------------------------------------------


def make_validation_sets():
    """Return what judges a network, uint8 images and labels by name; none of it was trained on."""
    _, (images, labels) = hold_out()
    rng = np.random.default_rng(VALIDATION_SEED)
    varied = []
    for image, label in zip(images, labels, strict=True):
        varied.append(vary(image, label, rng))
    none_labels = np.full(N_NONE, NONE)
    known = [draw_none(rng, images, labels) for _ in range(N_NONE)]
    other = [draw_none(rng, images, labels, unseen=True) for _ in range(N_NONE)]
    return {
        "digits as they are": (images, labels),
        "digits varied": (np.array(varied), labels),
        "no digit, kinds trained on": (np.array(known), none_labels),
        "no digit, other kinds": (np.array(other), none_labels),
    }


def predict(model, images):
    return model.predict(to_images(scale_pixels(images)), batch_size=1000, verbose=0)


def calibrate(weights, validation_sets):
    """Divide the last layer by the temperature at which the labels are likeliest.

    Parameters
    ----------
    weights : list of numpy.ndarray
        Of `models.build_reader`.
    validation_sets : list of tuple
        Images and labels.

    Returns
    -------
    weights : list of numpy.ndarray
        With the last layer divided.
    loss : float
        The mean cross-entropy of the labels.
    """
    model = models.build_reader()
    model.set_weights(weights)
    images = np.concatenate([images for images, _ in validation_sets])
    labels = np.concatenate([labels for _, labels in validation_sets])
    logits = np.log(np.maximum(predict(model, images), SMALLEST_PROBABILITY))
    every_row = np.arange(len(labels))

    def loss(temperature):
        log_probabilities = log_softmax(logits / temperature, axis=1)
        return -log_probabilities[every_row, labels].mean()

    best = minimize_scalar(loss, bounds=TEMPERATURES, method="bounded")
    print(f"temperature {best.x:.3f}, loss {best.fun:.4f}")
    *body, kernel, bias = weights
    return [*body, kernel / best.x, bias / best.x], best.fun


def measure_reliability(seed, name, probabilities, labels):
    """Hold confidences against how often they were right, in ten bins: rows of the table."""
    confidence = probabilities.max(axis=1)
    predicted = probabilities.argmax(axis=1)
    right = predicted == labels
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    rows = []
    for i in np.unique(bins):
        inside = bins == i
        row = {
            "seed": seed,
            "set": name,
            "from": i / N_BINS,
            "to": (i + 1) / N_BINS,
            "pictures": int(inside.sum()),
            "mean_confidence": float(confidence[inside].mean()),
            "share_right": float(right[inside].mean()),
            "share_refused": float((predicted[inside] == NONE).mean()),
        }
        rows.append(row)
    return rows


def describe_training_inputs():
    """Say between which values nearly all of MNIST's training digits lie, for `diagnose_input`."""
    (images, _), _ = load_mnist("mnist")
    descriptions = [describe_input(image) for image in scale_pixels(images)]
    ranges = {}
    for name in descriptions[0]:
        values = [description[name] for description in descriptions]
        low, high = np.quantile(values, INPUT_QUANTILES)
        ranges[name] = [float(low), float(high)]
    return ranges


def round_to_16_bits(weights):
    """Return the weights as they are once they were stored."""
    return [array.astype("float16").astype("float32") for array in weights]


def measure_seeds(validation_sets):
    """Train, calibrate and measure each seed: rows of the table, and (loss, weights) by seed.

    Every second picture of each set calibrates, the others measure.
    """
    calibration_sets = [(x[0::2], y[0::2]) for x, y in validation_sets.values()]
    # The kinds that are never trained on are for measuring only.
    calibration_sets = calibration_sets[:3]
    rows = []
    networks = {}
    for seed in SEEDS:
        weights = train_phases("varied", seed, PARAMETERS["phases"])
        weights, loss = calibrate(weights, calibration_sets)
        networks[seed] = (loss, weights)
        model = models.build_reader()
        model.set_weights(round_to_16_bits(weights))
        for name, (images, labels) in validation_sets.items():
            probabilities = predict(model, images[1::2])
            rows += measure_reliability(seed, name, probabilities, labels[1::2])
    return rows, networks


def ship(seed, weights):
    """Write the weights and the card of the reader that ships."""
    card = {
        "notebook": "05_your_own_digits",
        "data": "MNIST: 60,000 training and 10,000 test digits",
        "parameters": PARAMETERS | {"seed": seed, "validation_seed": 0},
        "versions": library_versions(),
        "command": "python benchmarks/reader.py",
        "sha256": write_weights("reader", weights),
        "inputs": describe_training_inputs(),
    }
    # A network is loaded, to be measured, only if its card has the checksum of its file.
    update_cards({"reader": card})
    card["accuracy"] = measure("reader")
    update_cards({"reader": card})


def main():
    rows, networks = measure_seeds(make_validation_sets())
    write_table("reader", rows)
    losses = {seed: loss for seed, (loss, _) in networks.items()}
    best_seed = min(losses, key=losses.get)
    ship(best_seed, networks[best_seed][1])
    # Digits that are only shifted, to compare with.
    shifted_phases = [phase | {"unvaried": 1} for phase in PARAMETERS["phases"]]
    train_phases("plain", SEEDS[0], shifted_phases)


if __name__ == "__main__":
    main()
