"""What the reader makes of a picture: its answer, in words and as a figure."""

import functools
from typing import NamedTuple

import numpy as np

from mnist_helpers.drawing import NoInkError, prepare_drawing
from mnist_helpers.models import load_pretrained
from mnist_helpers.preprocessing import to_images


class Prediction(NamedTuple):
    """What was read: a digit (None where it looks like none), and how sure that is, 0 to 1."""

    digit: int | None
    confidence: float
    runner_up: int | None
    probabilities: np.ndarray  # of the ten digits, and last of none


def read_digits(pictures):
    """Read pictures of one digit each.

    Parameters
    ----------
    pictures : iterable
        Each as `prepare_drawing` takes it.

    Returns
    -------
    list of Prediction
        One for each; an empty page is no digit.

    Raises
    ------
    FileNotFoundError, ValueError
        As `prepare_drawing`.
    """
    inputs = []
    for number, picture in enumerate(pictures):
        try:
            inputs.append(prepare_or_blank(picture))
        except ValueError as error:
            raise ValueError(f"`pictures[{number}]`: {error}") from error
    return read_inputs(inputs)


def prepare_or_blank(picture):
    """Prepare a picture as `prepare_drawing` does; an empty page gives an input without ink."""
    try:
        return prepare_drawing(picture)
    except NoInkError:
        return np.zeros((28, 28), "float32")


def read_inputs(inputs):
    """Read inputs, shape (n, 28, 28), in [0, 1], as they are: a Prediction for each."""
    import keras

    images = to_images(inputs) if len(inputs) else []
    batches = [images[i : i + 256] for i in range(0, len(images), 256)]
    found = [keras.ops.convert_to_numpy(_reader()(batch)) for batch in batches]
    return [_reading(probabilities) for batch in found for probabilities in batch]


@functools.cache
def _reader():
    return load_pretrained("reader")


def _reading(probabilities):
    names = [*range(10), None]
    first, second = np.argsort(-probabilities)[:2]
    return Prediction(names[first], float(probabilities[first]), names[second], probabilities)


def plot_reading(steps, reading, axes=None):
    """Draw the steps from a picture to the network's input, and the probabilities beside them.

    Parameters
    ----------
    steps : dict of str to ndarray
        As `prepare_drawing(image, steps=True)` gives them.
    reading : Prediction
        As `read_digits` gives it.
    axes : sequence of Axes, optional
        One for each step and one for the probabilities.

    Returns
    -------
    sequence of Axes
    """
    if axes is None:
        import matplotlib.pyplot as plt

        widths = [1] * len(steps) + [1.9]
        size = (1.55 * sum(widths), 1.9)
        axes = plt.subplots(1, len(widths), figsize=size, width_ratios=widths)[1]
    *strip, bars = axes
    for ax, (name, picture) in zip(strip, steps.items(), strict=True):
        ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
        ax.set(title=name, xticks=[], yticks=[])
    names = [*map(str, range(10)), "none"]
    bars.bar(names, reading.probabilities, color="0.75", edgecolor="black")
    bars.set(title=in_words(reading), ylabel="probability", ylim=(0, 1.05))
    bars.tick_params(axis="x", labelsize=8)
    return axes


def in_words(reading):
    """Say a reading in a few words: ``7 (99.8 %)``, or ``no digit (97.0 %)``."""
    name = "no digit" if reading.digit is None else reading.digit
    return f"{name} ({100 * reading.confidence:.1f} %)"
