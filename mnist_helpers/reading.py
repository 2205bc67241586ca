"""Read pictures of digits with the network that ships: the answers, in words and as a figure."""

import functools
from typing import NamedTuple

import numpy as np

from mnist_helpers.drawing import NoInkError, prepare_drawing
from mnist_helpers.keras_settings import keras_defaults
from mnist_helpers.library_settings import matplotlib_defaults
from mnist_helpers.models import load_pretrained
from mnist_helpers.preprocessing import to_images

# What each of the network's outputs stands for; the last one is for what is no digit.
ANSWERS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, None)
BATCH_SIZE = 256
# Sizes of `plot_reading`'s figure: of a step in inches, and of the bars as a multiple of a step.
STEP_WIDTH = 1.55
BARS_WIDTH = 1.9
STRIP_HEIGHT = 1.9


class Prediction(NamedTuple):
    """What a picture was read as.

    Attributes
    ----------
    digit : int or None
        The most probable answer; None if it looks like no digit.
    confidence : float
        The probability of that answer, 0 to 1.
    runner_up : int or None
        The second most probable answer.
    probabilities : ndarray of float32, shape (11,)
        Of the digits 0 to 9, and last of no digit.
    """

    digit: int | None
    confidence: float
    runner_up: int | None
    probabilities: np.ndarray


def read_digits(pictures):
    """Read pictures of one digit each.

    Parameters
    ----------
    pictures : iterable
        Each as `prepare_drawing` takes it: a path, bytes, a Pillow image or an array.

    Returns
    -------
    list of Prediction
        One for each picture; an empty page is no digit.

    Raises
    ------
    FileNotFoundError, ValueError
        As `prepare_drawing` does; the message says which of the pictures it was.

    Examples
    --------
    >>> import numpy as np
    >>> page = np.full((100, 100), 255, dtype="uint8")
    >>> page[20:80, 45:55] = 0
    >>> (prediction,) = read_digits([page])
    >>> prediction.digit
    1
    """
    inputs = []
    for number, picture in enumerate(pictures):
        try:
            inputs.append(prepare_or_blank(picture))
        except ValueError as error:
            raise ValueError(f"`pictures[{number}]`: {error}") from error
    return read_inputs(inputs)


def prepare_or_blank(picture, *, steps=False):
    """Prepare a picture as `prepare_drawing` does; an empty page gives an input without ink.

    Parameters
    ----------
    picture : str, Path, bytes, Pillow image or ndarray
        As `prepare_drawing` takes it.
    steps : bool
        Also return the pictures in between.

    Returns
    -------
    x : ndarray of float32, shape (28, 28)
        0 is background, 1 is full ink.
    steps : dict of str to ndarray
        Only with ``steps=True``: as `prepare_drawing` returns them; empty for an empty page.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a picture or cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> empty_page = np.full((100, 100), 255, dtype="uint8")
    >>> float(prepare_or_blank(empty_page).max())
    0.0
    """
    try:
        return prepare_drawing(picture, steps=steps)
    except NoInkError:
        blank = np.zeros((28, 28), "float32")
        if steps:
            return blank, {}
        return blank


def read_inputs(inputs):
    """Read inputs that have been prepared.

    Parameters
    ----------
    inputs : sequence of ndarray, shape (n, 28, 28)
        As `prepare_drawing` returns them: from 0 to 1, 1 is full ink.

    Returns
    -------
    list of Prediction
        One for each input.

    Raises
    ------
    ValueError
        If the inputs have another shape.

    Examples
    --------
    >>> import numpy as np
    >>> (prediction,) = read_inputs(np.zeros((1, 28, 28), dtype="float32"))
    >>> print(prediction.digit)
    None
    """
    with keras_defaults():
        import keras

    if len(inputs) == 0:
        return []
    images = to_images(inputs)
    predictions = []
    for start in range(0, len(images), BATCH_SIZE):
        batch = images[start : start + BATCH_SIZE]
        # Keras advises to call the network for a few inputs: `predict` compiles a loop first.
        outputs = _load_reader()(batch)
        for probabilities in keras.ops.convert_to_numpy(outputs):
            predictions.append(_to_prediction(probabilities))
    return predictions


@functools.cache
def _load_reader():
    return load_pretrained("reader")


def _to_prediction(probabilities):
    first, second = np.argsort(-probabilities)[:2]
    return Prediction(
        digit=ANSWERS[first],
        confidence=float(probabilities[first]),
        runner_up=ANSWERS[second],
        probabilities=probabilities,
    )


def in_words(prediction):
    """Say in a few words what a picture was read as.

    Parameters
    ----------
    prediction : Prediction

    Returns
    -------
    str
        The digit and the confidence.

    Examples
    --------
    >>> in_words(Prediction(digit=7, confidence=0.998, runner_up=1, probabilities=None))
    '7 (99.8 %)'
    >>> in_words(Prediction(digit=None, confidence=0.97, runner_up=0, probabilities=None))
    'no digit (97.0 %)'
    """
    answer = prediction.digit
    if answer is None:
        answer = "no digit"
    return f"{answer} ({100 * prediction.confidence:.1f} %)"


def plot_reading(steps, prediction, axes=None):
    """Draw the steps from a picture to the network's input, and the probabilities beside them.

    Parameters
    ----------
    steps : dict of str to ndarray
        As `prepare_drawing(image, steps=True)` returns them.
    prediction : Prediction
        As `read_digits` returns it.
    axes : sequence of Axes, optional
        One for each step, and one for the probabilities. The default is a figure of their own.

    Returns
    -------
    sequence of Axes

    Examples
    --------
    >>> import numpy as np
    >>> prediction = Prediction(7, 1.0, 1, np.eye(11)[7])
    >>> axes = plot_reading({"picture": np.zeros((28, 28))}, prediction)
    >>> [ax.get_title() for ax in axes]
    ['picture', '7 (100.0 %)']
    """
    if axes is None:
        with matplotlib_defaults():
            import matplotlib.pyplot as plt

        widths = strip_widths(len(steps))
        size = (STEP_WIDTH * sum(widths), STRIP_HEIGHT)
        _, axes = plt.subplots(1, len(widths), figsize=size, width_ratios=widths)
    for ax, (name, picture) in zip(axes[:-1], steps.items(), strict=True):
        ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
        ax.set(title=name, xticks=[], yticks=[])
    _plot_probabilities(axes[-1], prediction)
    return axes


def strip_widths(n_steps):
    """Return the relative widths of `plot_reading`'s axes.

    Parameters
    ----------
    n_steps : int
        How many steps are drawn.

    Returns
    -------
    list of float
        1 for each step, and the width of the bars.

    Examples
    --------
    >>> strip_widths(2)
    [1, 1, 1.9]
    """
    return [1] * n_steps + [BARS_WIDTH]


def _plot_probabilities(ax, prediction):
    names = [str(digit) for digit in ANSWERS[:-1]]
    names.append("none")
    ax.bar(names, prediction.probabilities, color="0.75", edgecolor="black")
    # A little above 1, so that the bar of a certain answer does not touch the frame.
    ax.set(title=in_words(prediction), ylabel="probability", ylim=(0, 1.05))
    ax.tick_params(axis="x", labelsize=8)
