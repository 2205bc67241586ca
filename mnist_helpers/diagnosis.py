"""An input doctor: says what in an array is unlike what the network was trained on."""

import numpy as np

from mnist_helpers.models import read_card

SHAPES = [(28, 28), (28, 28, 1), (1, 28, 28), (1, 28, 28, 1), (784,), (1, 784)]
REMEDY = "`prepare_drawing` does this"


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
        nothing is. What is outside 99.8 % of the training digits counts as unlike them.
    """
    x = np.asarray(x)
    if x.dtype.kind not in "biuf":
        return [f"These are no numbers but {x.dtype}: open the picture first."]
    if x.shape not in SHAPES:
        return [f"The shape is {x.shape}; the network takes 28×28 pixels: {REMEDY}."]
    if not np.isfinite(x).all():
        return ["Some values are NaN or infinite: look for where they come from."]
    found = []
    if x.dtype.kind != "f":
        found.append(f"The type is {x.dtype}; the network learned from float32.")
    image = np.reshape(x, (28, 28)).astype("float64")
    low, high = image.min(), image.max()
    if low < 0 or high > 1:
        found.append(
            f"The values go from {low:g} to {high:g}; they must lie between 0 and 1: "
            "divide gray levels by 255, once."
        )
        image = (image - min(low, 0)) / (high - min(low, 0))
    if low == high:
        return [*found, "All pixels are the same: there is nothing to read."]
    measures = describe_input(image)
    if measures["border"] > 0.5:
        found.append("The edge is light; the digit must be light and the page dark: use 1 - x.")
        measures = describe_input(image.max() - image)
    return found + _unlike(measures) or ["Nothing in it is unlike MNIST's training digits."]


def describe_input(image):
    """Measure an input, shape (28, 28), in [0, 1]; see `read_card("reader")["inputs"]`."""
    mask = image > image.max() / 10
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    edge = np.concatenate([image[[0, -1]].ravel(), image[:, [0, -1]].ravel()])
    return {
        "border": edge.mean(),
        "brightest": image.max(),
        "size": max(np.ptp(rows), np.ptp(columns)) + 1,
        "center_row": (image.sum(axis=1) @ np.arange(28)) / image.sum(),
        "center_column": (image.sum(axis=0) @ np.arange(28)) / image.sum(),
        "ink": image.mean(),
    }


def _unlike(measures):
    usual = read_card("reader")["inputs"]
    beyond = {
        name: int(measures[name] > high) - int(measures[name] < low)
        for name, (low, high) in usual.items()
    }
    found = []
    if beyond["border"] > 0:
        found.append(f"There is ink at the edge, where MNIST has none: {REMEDY}.")
    if beyond["brightest"] < 0:
        brightest = f"{measures['brightest']:.2f}"
        found.append(
            f"The brightest pixel is {brightest}; full ink is 1: divide by the largest value."
        )
    if beyond["size"]:
        size, usually = measures["size"], f"{usual['size'][0]:.0f}"
        found.append(f"The digit is {size} pixels long; MNIST's are {usually}: {REMEDY}.")
    if beyond["center_row"] or beyond["center_column"]:
        at = f"row {measures['center_row']:.1f}, column {measures['center_column']:.1f}"
        found.append(f"Its center of mass is in {at}; MNIST's are in 14, 14: {REMEDY}.")
    if beyond["ink"]:
        low, high = usual["ink"]
        pen = "finer" if beyond["ink"] > 0 else "broader"
        found.append(
            f"The mean pixel is {measures['ink']:.2f}; MNIST's go from {low:.2f} to {high:.2f}: "
            f"use a {pen} pen."
        )
    return found
