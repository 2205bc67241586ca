"""Train the network that reads people's own digits: makes the reader of mnist_helpers/pretrained.

    python benchmarks/reader.py

trains it from three seeds on MNIST's training digits, in another form in every epoch (strokes.py),
and on pictures of no digit: some quarter of an hour a seed on two cores. A tenth of the digits is
held out. On it each network is calibrated, and the one with the smallest loss there is shipped;
nothing else chooses. Then, to compare with, one seed on digits that are only shifted by a pixel.
What is in results/reader is not trained again. own_digits.py measures.
"""

import hashlib
import itertools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import keras
import numpy as np
from pretrained import TARGET, measure, update_cards
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from strokes import NONE, draw_none, vary
from table import write_table

from mnist_helpers import models
from mnist_helpers.data import load_mnist
from mnist_helpers.diagnosis import describe_input
from mnist_helpers.preprocessing import scale_pixels, split_validation, to_images
from mnist_helpers.record import library_versions
from mnist_helpers.saving import atomic_write

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


def held_out():
    """Split MNIST's training digits, always the same way."""
    (images, labels), _ = load_mnist("mnist")
    return split_validation(images, labels, PARAMETERS["validation_fraction"], seed=0)


def make_form(seed, phase):
    """Give all training digits in another form, and pictures of no digit: images and labels."""
    cv2.setNumThreads(1)
    (images, labels), _ = held_out()
    rng = np.random.default_rng(seed)
    forms = []
    for image, label in zip(images, labels, strict=True):
        if rng.random() < phase["unvaried"]:
            forms.append(np.roll(image, rng.integers(-1, 2, 2), (0, 1)))
        else:
            forms.append(vary(image, label, rng, phase["strength"]))
    forms += [draw_none(rng, images, labels) for _ in range(phase["none"])]
    return np.array(forms), np.append(labels, np.full(phase["none"], NONE, labels.dtype))


class Forms(keras.utils.PyDataset):
    """All digits and pictures of none, each epoch in another form and another order."""

    def __init__(self, seed, phase):
        super().__init__()
        seeds = [(seed, i) for i in range(phase["epochs"])]
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as workers:
            self.forms = list(workers.map(make_form, seeds, itertools.repeat(phase)))
        self.rng = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self):
        return len(self.order) // PARAMETERS["batch_size"]

    def __getitem__(self, step):
        size = PARAMETERS["batch_size"]
        chosen = self.order[step * size : (step + 1) * size]
        return to_images(scale_pixels(self.images[chosen])), self.labels[chosen]

    def on_epoch_end(self):
        if self.forms:
            self.images, self.labels = self.forms.pop()
        self.order = self.rng.permutation(len(self.labels))


def train(seed, phase, weights=None):
    """Train for one phase, from `weights` if there are any, and return the weights at its end."""
    data = Forms(seed, phase)
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = models.build_reader()
    if weights:
        model.set_weights(weights)
    steps = phase["epochs"] * len(data)
    rate = keras.optimizers.schedules.CosineDecay(
        1e-4, steps - steps // 10, warmup_target=phase["peak_rate"], warmup_steps=steps // 10
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=PARAMETERS["weight_decay"])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(data, epochs=phase["epochs"], shuffle=False, verbose=2)
    keras.config.set_dtype_policy("float32")
    return model.get_weights()


def validation_sets():
    """Give what judges a network, uint8 images and labels by name; none of it was trained on."""
    _, (images, labels) = held_out()
    rng = np.random.default_rng(99)
    varied = np.array(
        [vary(image, label, rng) for image, label in zip(images, labels, strict=True)]
    )
    sets = {"digits as they are": (images, labels), "digits varied": (varied, labels)}
    for name, unseen in {
        "no digit, kinds trained on": False,
        "no digit, other kinds": True,
    }.items():
        drawn = np.array([draw_none(rng, images, labels, unseen=unseen) for _ in range(2000)])
        sets[name] = (drawn, np.full(2000, NONE))
    return sets


def predict(model, images):
    return model.predict(to_images(scale_pixels(images)), batch_size=1000, verbose=0)


def calibrate(weights, sets):
    """Divide the last layer by the temperature at which the labels of `sets` are likeliest."""
    model = models.build_reader()
    model.set_weights(weights)
    images, labels = map(np.concatenate, zip(*sets, strict=True))
    logits = np.log(np.maximum(predict(model, images), 1e-30))

    def loss(temperature):
        return -log_softmax(logits / temperature, axis=1)[np.arange(len(labels)), labels].mean()

    best = minimize_scalar(loss, bounds=(0.3, 3), method="bounded")
    print(f"temperature {best.x:.3f}, loss {best.fun:.4f}")
    return [*weights[:-2], weights[-2] / best.x, weights[-1] / best.x], best.fun


def reliability(seed, name, probabilities, labels):
    """Hold confidences against how often they were right, in ten steps."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    step = np.minimum((confidence * 10).astype(int), 9)
    return [
        {
            "seed": seed,
            "set": name,
            "from": i / 10,
            "to": (i + 1) / 10,
            "pictures": int((step == i).sum()),
            "mean_confidence": float(confidence[step == i].mean()),
            "share_right": float(right[step == i].mean()),
            "share_refused": float((probabilities[step == i].argmax(axis=1) == NONE).mean()),
        }
        for i in np.unique(step)
    ]


def training_inputs():
    """Say between which values nearly all of MNIST's training digits lie, for `diagnose`."""
    (images, _), _ = load_mnist("mnist")
    found = np.array([list(describe_input(image).values()) for image in scale_pixels(images)])
    low, high = np.quantile(found, [0.001, 0.999], axis=0)
    names = describe_input(scale_pixels(images[0]))
    return {name: [float(a), float(b)] for name, a, b in zip(names, low, high, strict=True)}


def trained(name, seed, phases):
    """Return the weights that were trained from one seed, phase by phase where there are none."""
    weights = None
    for number, phase in enumerate(phases, start=1):
        path = RESULTS / f"{name}-{seed}-{number}.npz"
        if not path.exists():
            weights = train(seed + 100 * (number - 1), phase, weights)
            with atomic_write(path) as part:
                np.savez(part, *weights)
        with np.load(path) as arrays:
            weights = list(arrays.values())
    return weights


def main():
    sets, networks, rows = validation_sets(), {}, []
    halves = [[(x[i::2], y[i::2]) for x, y in sets.values()] for i in (0, 1)]
    for seed in SEEDS:
        weights = trained("varied", seed, PARAMETERS["phases"])
        weights, loss = calibrate(weights, halves[0][:3])
        networks[seed] = loss, weights
        model = models.build_reader()
        model.set_weights([array.astype("float16").astype("float32") for array in weights])
        for name, (images, labels) in zip(sets, halves[1], strict=True):
            rows += reliability(seed, name, predict(model, images), labels)
    write_table("reader", rows)

    seed = min(networks, key=lambda seed: networks[seed][0])
    path = TARGET / "reader.npz"
    with atomic_write(path) as part:
        np.savez_compressed(part, *(array.astype("float16") for array in networks[seed][1]))
    card = {
        "notebook": "05_your_own_digits",
        "data": "MNIST: 60,000 training and 10,000 test digits",
        "parameters": PARAMETERS | {"seed": seed, "validation_seed": 0},
        "versions": library_versions(),
        "command": "python benchmarks/reader.py",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "inputs": training_inputs(),
    }
    update_cards({"reader": card})  # so that it can be loaded
    update_cards({"reader": card | {"accuracy": measure("reader")}})
    plain = [phase | {"unvaried": 1} for phase in PARAMETERS["phases"]]
    trained("plain", SEEDS[0], plain)  # to compare with


if __name__ == "__main__":
    main()
