"""An input doctor: says what in an array is unlike what the network was trained on."""

import numpy as np

from mnist_helpers.models import read_card

SIDE = 28
SHAPES = [(28, 28), (28, 28, 1), (1, 28, 28), (1, 28, 28, 1), (784,), (1, 784)]
REMEDY = "`prepare_drawing` does this"
# A mean above this at the edge means that the page is light, and the digit dark.
LIGHT_EDGE = 0.5
# Pixels above this share of the brightest one belong to the digit.
INK_SHARE = 1 / 10
# Larger numbers cannot be handed to a network, and overflow when they are compared.
LARGEST = float(np.finfo("float32").max)


def diagnose_input(x):
    """Compare one input with MNIST's training digits as the network saw them.

    Parameters
    ----------
    x : ndarray
        What would be handed to the network, for one digit.

    Returns
    -------
    list of str
        A sentence for each thing that is unlike MNIST, with what to do; or one that says that
        nothing is. Outside the range of 99.8 % of the training digits counts as unlike them.

    Examples
    --------
    >>> import numpy as np
    >>> for sentence in diagnose_input(np.zeros((28, 28), dtype="uint8")):
    ...     print(sentence)
    The type is uint8; the network learned from float32.
    All pixels are the same: there is nothing to read.
    """
    try:
        x = np.asarray(x)
    except ValueError:
        # Rows of different lengths, say.
        return ["It is no array of numbers: open the picture first."]
    obstacle = _find_obstacle(x)
    if obstacle is not None:
        return [obstacle]
    sentences = []
    if x.dtype.kind != "f":
        sentences.append(f"The type is {x.dtype}; the network learned from float32.")
    # Each fault is mended here once it is told, so that the next one is told for itself.
    image = np.reshape(x, (SIDE, SIDE)).astype("float64")
    low = image.min()
    high = image.max()
    if low < 0 or high > 1:
        sentences.append(
            f"The values go from {low:g} to {high:g}; they must lie between 0 and 1: "
            "divide gray levels by 255, once."
        )
        image = _bring_into_range(image)
    if low == high:
        sentences.append("All pixels are the same: there is nothing to read.")
        return sentences
    measures = describe_input(image)
    if measures["border"] > LIGHT_EDGE:
        sentences.append("The edge is light; the digit must be light and the page dark: use 1 - x.")
        measures = describe_input(image.max() - image)
    sentences += _compare(measures, read_card("reader")["inputs"])
    if not sentences:
        return ["Nothing in it is unlike MNIST's training digits."]
    return sentences


def _find_obstacle(x):
    """Say why an array cannot be compared at all; None if it can."""
    if x.dtype.kind not in "biuf":
        return f"The values are {x.dtype}, not numbers: open the picture first."
    if x.shape not in SHAPES:
        return f"The shape is {x.shape}; the network takes 28×28 pixels: {REMEDY}."
    if not np.isfinite(x).all():
        return "Some values are NaN or infinite: look for where they come from."
    if max(float(x.max()), -float(x.min())) > LARGEST:
        return "Some values are beyond what float32 holds: look for where they come from."
    return None


def _bring_into_range(image):
    """Scale to the range from 0 to 1; zero stays zero unless there is something below it."""
    low = min(image.min(), 0)
    high = image.max()
    # All pixels are the same, and not above 0: there is nothing to divide by.
    if low == high:
        return image
    return (image - low) / (high - low)


def describe_input(image):
    """Measure an input as the reader's card does for MNIST.

    Parameters
    ----------
    image : ndarray of float, shape (28, 28)
        From 0 to 1, light ink on a dark page.

    Returns
    -------
    dict of str to float
        ``border``, the mean of the outermost pixels; ``brightest``, the largest pixel; ``size``,
        the longer side of the digit in pixels; ``center_row`` and ``center_column``, where the
        center of mass lies; and ``ink``, the mean pixel. ``read_card("reader")["inputs"]`` has
        the range of each in MNIST.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.zeros((28, 28))
    >>> image[4:24, 12:16] = 1
    >>> measures = describe_input(image)
    >>> int(measures["size"]), float(measures["center_row"])
    (20, 13.5)
    """
    is_ink = image > image.max() * INK_SHARE
    rows = np.flatnonzero(is_ink.any(axis=1))
    columns = np.flatnonzero(is_ink.any(axis=0))
    top_and_bottom = image[[0, -1]].ravel()
    left_and_right = image[:, [0, -1]].ravel()
    positions = np.arange(SIDE)
    return {
        "border": np.concatenate([top_and_bottom, left_and_right]).mean(),
        "brightest": image.max(),
        "size": max(np.ptp(rows), np.ptp(columns)) + 1,
        "center_row": (image.sum(axis=1) @ positions) / image.sum(),
        "center_column": (image.sum(axis=0) @ positions) / image.sum(),
        "ink": image.mean(),
    }


def _compare(measures, usual):
    """Return a sentence for each measure that lies outside its usual range."""
    below = set()
    above = set()
    for name in usual:
        low, high = usual[name]
        if measures[name] < low:
            below.add(name)
        elif measures[name] > high:
            above.add(name)
    unusual = below | above
    sentences = []
    if "border" in above:
        sentences.append(f"There is ink at the edge, where MNIST has none: {REMEDY}.")
    if "brightest" in below:
        brightest = f"{measures['brightest']:.2f}"
        sentences.append(
            f"The brightest pixel is {brightest}; full ink is 1: divide by the largest value."
        )
    if "size" in unusual:
        size = measures["size"]
        usual_size = f"{usual['size'][0]:.0f}"
        sentences.append(f"The digit is {size} pixels long; MNIST's are {usual_size}: {REMEDY}.")
    if "center_row" in unusual or "center_column" in unusual:
        place = f"row {measures['center_row']:.1f}, column {measures['center_column']:.1f}"
        sentences.append(f"Its center of mass is in {place}; MNIST's are in 14, 14: {REMEDY}.")
    if "ink" in unusual:
        low, high = usual["ink"]
        pen = "broader"
        if "ink" in above:
            pen = "finer"
        sentences.append(
            f"The mean pixel is {measures['ink']:.2f}; MNIST's go from {low:.2f} to {high:.2f}: "
            f"use a {pen} pen."
        )
    return sentences
