"""The checks of the exercises: each prints one sentence, `Right` and why, or a hint.

They look at what an answer is or does, never at how it is written. The replies to multiple choice
stand in choices.yaml.
"""

import copy
import functools
from importlib import resources

import numpy as np
import yaml

from mnist_helpers.tables import load_table


class _HintError(Exception):
    """Ends a check with the sentence to print."""


def _prints(check):
    @functools.wraps(check)
    def printing(answer):
        try:
            print("Right.", check(answer))
        except _HintError as hint:
            print(hint)
        except Exception as error:  # whatever was handed over, the notebook goes on
            print(f"This cannot be an answer ({_say(error)}). Read once more what is asked for.")

    return printing


# --- notebook 00 -------------------------------------------------------------------------------


def check_order(answer):
    """Check exercise 1 of notebook 00, a letter: what a changed cell does before it is run."""
    _choose("order", answer)


@_prints
def check_invert(invert):
    """Check exercise 2 of notebook 00, a function: white on black becomes black on white."""
    image = np.array([[0, 100, 255], [200, 10, 30]], dtype="uint8")
    below = "Pixels are uint8 and cannot lie below 0; they start again at 255. "
    mistakes = {
        "The picture comes back as it was. What should 0 become, and what 255?": image,
        below + "Which number must you subtract from?": -image,
        below + "The brightest pixel is not 1.": 1 - image,
        "The rows are turned upside down. Change values, not places.": image[::-1],
        "Left and right are exchanged. Change values, not places.": image[:, ::-1],
    }
    found = _array(_call(invert, image), image.shape)
    otherwise = f"The gray levels {image[0]} become {found[0]}. What should each become?"
    _compare(found, 255 - image.astype(float), mistakes, otherwise)
    return "Background and ink have changed places, and what was half gray stays about half gray."


@_prints
def check_count_sevens(count_sevens):
    """Check exercise 3 of notebook 00, a function: how many labels are a 7."""
    for labels in (np.array([7, 1, 7, 3, 7]), np.array([1, 2])):
        found = _number(_call(count_sevens, labels))
        mistakes = {
            "It still counts all labels: `labels == 7` has one True or False for each of them. "
            "What comes out when you add those up?": len(labels),
            "The labels themselves are added up. First ask which of them are a 7.": labels.sum(),
            "The sevens are added up, as if each were worth 7.": 7 * (labels == 7).sum(),
        }
        otherwise = f"For the labels {labels} it says {found:g}. Count the sevens by eye."
        _compare(found, (labels == 7).sum(), mistakes, otherwise)
    return "True counts as 1 and False as 0, so the sum of a comparison is a count."


@_prints
def check_average(average):
    """Check exercise 4 of notebook 00, a function: the mean picture of one digit."""
    images = np.random.default_rng(0).integers(0, 256, (6, 28, 28)).astype("uint8")
    labels = np.array([3, 5, 3, 3, 5, 1])
    found, chosen = np.asarray(_call(average, images, labels, 3)), images[labels == 3].astype(float)
    if found.shape == chosen.shape:
        raise _HintError(
            "These are the right images, all of them. What is their mean, pixel by pixel?"
        )
    if found.size == 1:
        raise _HintError(
            "One number comes back, the mean over everything. Along which axis do you go?"
        )
    mistakes = {
        "This is the mean of all digits. Choose those with the right label first.": images.mean(0),
        "The images are added up; the mean is smaller.": chosen.sum(axis=0),
    }
    otherwise = "It is 28×28, but not the mean of the images whose label is the digit asked for."
    _compare(_array(found, (28, 28)), chosen.mean(axis=0), mistakes, otherwise, tolerance=1)
    return "An average digit is blurred where people differ and sharp where they agree."


# --- notebook 01 -------------------------------------------------------------------------------


def check_batch_size(answer):
    """Check exercise 1 of notebook 01, a letter: what a larger batch changes."""
    _choose("batch_size", answer)


@_prints
def check_count_parameters(count_parameters):
    """Check exercise 2 of notebook 01, a function: the parameters of a dense network."""
    for sizes in ([784, 10], [784, 32, 10], [784, 512, 512, 10]):
        pairs = list(zip(sizes, sizes[1:], strict=False))
        weights, biases = sum(a * b for a, b in pairs), sum(sizes[1:])
        found, last = _number(_call(count_parameters, sizes)), sizes[-2] * 10 + 10
        mistakes = {
            "Those are the weights. What else does each unit add to its sum?": weights,
            "The pixels have been given biases, too. They learn nothing.": weights + sum(sizes),
            "That is one bias for each layer. Who has one?": weights + len(pairs),
            "A layer is missing: the ten units at the end learn, too.": weights + biases - last,
        }
        otherwise = f"For {sizes} it gives {found:,g}. Draw two small layers and count the lines."
        _compare(found, weights + biases, mistakes, otherwise)
    return "Inputs times units plus one bias a unit, layer by layer, as `summary()` counts."


@_prints
def check_shuffle(shuffle):
    """Check exercise 3 of notebook 01, a function: a new order, each digit with its own label."""
    images, labels = np.arange(50)[:, None] * np.ones(784), np.arange(50)
    found = _call(shuffle, images, labels)
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise _HintError("Two things must come back, as `return images, labels` does.")
    found_images, found_labels = map(_array, found)
    if found_images.shape != images.shape or sorted(found_labels.flat) != sorted(labels):
        raise _HintError("Some digits are lost or there twice: each must come back exactly once.")
    if (found_labels == labels).all():
        raise _HintError("The labels stand in the same order as before.")
    if (found_images[:, 0] != found_labels).any():
        raise _HintError(
            "Picture and label no longer belong together. How often is an order drawn?"
        )
    return (
        "One order for both. With two, no network could learn a thing, and no error would say so."
    )


def check_dropout(answer):
    """Check exercise 4 of notebook 01, a letter: why `fit` reports less than `evaluate`."""
    _choose("dropout", answer)


@_prints
def check_crossentropy(crossentropy):
    """Check exercise 5 of notebook 01, a function: the loss, computed by hand."""
    probabilities = np.array([[0.7, 0.2, 0.1], [0.25, 0.5, 0.25], [0.1, 0.1, 0.8], [0.6, 0.3, 0.1]])
    one_hot = np.eye(3)[[0, 1, 2, 1]]
    losses = -np.log((probabilities * one_hot).sum(axis=1))
    found = _array(_call(crossentropy, probabilities, one_hot))
    if found.size == len(losses):
        raise _HintError(
            "That is one loss for each digit. Keras reports one number for all of them."
        )
    found = _number(found)
    mistakes = {
        "The size is right and the sign is not: losses are positive.": -losses.mean(),
        "That grows with the number of digits. A mean would not.": losses.sum(),
        "Divided by the number of entries: how many digits are there?": losses.sum() / one_hot.size,
        "Keras takes the natural logarithm, and this is another one.": losses.mean() / np.log(10),
    }
    otherwise = f"It gives {found:.4f}. By hand: which probability did each true digit get?"
    _compare(found, losses.mean(), mistakes, otherwise)
    return "Only the probability of the true digit counts, and a small one costs a lot."


# --- notebook 02 -------------------------------------------------------------------------------


@_prints
def check_window(window):
    """Check exercise 1 of notebook 02, an array (3, 3): it answers at left edges only."""
    window = _array(window).squeeze()
    if window.shape != (3, 3):
        raise _HintError(f"The window must have 3×3 weights; received the shape {window.shape}.")
    if not _close(window.sum(), 0):
        raise _HintError("It answers on an even gray, too. What must the nine weights add up to?")
    if not _close(window.sum(axis=1), 0):
        raise _HintError(
            "It answers at upper or lower edges. In which direction should nothing change?"
        )
    left, middle, right = window.sum(axis=0)
    if right < 0 or left > 0:
        raise _HintError(
            "It answers where bright turns to dark from left to right: the other side."
        )
    if not left < 0 < right:
        raise _HintError("It answers at no left edge. Which column should count against the ink?")
    return "Minus on the left, plus on the right, and nothing to see where both sides are alike."


def check_windows(answer):
    """Check exercise 2 of notebook 02, a letter: the parameters with smaller windows."""
    _choose("windows", answer)


@_prints
def check_conv_parameters(conv_parameters):
    """Check exercise 3 of notebook 02, a function: the parameters of a convolution."""
    for n_filters, side, depth in ((30, 5, 1), (15, 3, 30)):
        found, weights = _number(_call(conv_parameters, n_filters, side, depth)), side**2 * depth
        mistakes = {
            "The weights are right. What else does each filter have?": n_filters * weights,
            "That is one bias for all filters together.": n_filters * weights + 1,
            "A window is as high as it is wide.": n_filters * (side * depth + 1),
            "A window goes through all the maps below it, not one.": n_filters * (side**2 + 1),
            "There is a bias for each map below. Who has one?": n_filters * (side**2 + 1) * depth,
        }
        otherwise = f"For {n_filters} filters of {side}×{side}×{depth} it gives {found:,g}."
        _compare(found, n_filters * (weights + 1), mistakes, otherwise)
    return "The size of the picture does not come in: all places share the same weights."


@_prints
def check_output_layer(model):
    """Check exercise 4 of notebook 02, a model: ten probabilities for each image."""
    import keras

    images = 50 * np.random.default_rng(0).random((20, 28, 28, 1), dtype="float32")
    found = _array(keras.ops.convert_to_numpy(_call(model, images)))
    if found.shape != (20, 10):
        raise _HintError(
            f"Each image gets outputs of shape {found.shape[1:]}. How many digits are there?"
        )
    if found.min() < 0:
        raise _HintError(
            "Some outputs are negative, which no probability is. What makes them positive?"
        )
    if found.max() > 1.001:
        raise _HintError(
            "Some outputs lie above 1, as no probability does. Which activation lets them?"
        )
    if not _close(found.sum(axis=1), 1, tolerance=1e-3):
        raise _HintError("Each output lies between 0 and 1, but the ten do not add up to 1.")
    return "All positive, together 1: the loss can take the logarithm of the true digit's share."


def check_shift(answer):
    """Check exercise 5 of notebook 02, a letter: why a shifted digit is read worse."""
    _choose("shift", answer)


# --- notebook 03 -------------------------------------------------------------------------------


def check_best_run(answer):
    """Check exercise 1 of notebook 03, a letter: what the best of many runs is worth."""
    _choose("best_run", answer)


@_prints
def check_n_runs(n_runs):
    """Check exercise 2 of notebook 03, a function: how many runs a grid makes."""
    for grid in ({"dropout": [0.0, 0.2, 0.5], "seed": range(5), "epochs": [5]}, {"seed": [1, 2]}):
        lengths = [len(values) for values in grid.values()]
        found = _number(_call(n_runs, grid))
        mistakes = {
            "That adds up the values. Does not every one meet every other?": sum(lengths),
            "That counts the parameters. How many values has each?": len(grid),
            "That is the longest list, as if the values went in step.": max(lengths),
        }
        otherwise = f"For {grid} it gives {found:g}. Write the combinations down and count them."
        _compare(found, np.prod(lengths), mistakes, otherwise)
    return "The product of the lengths: one more value in one list can mean many more runs."


@_prints
def check_fair(grid):
    """Check exercise 3 of notebook 03, a grid: a comparison that can be believed."""
    if not isinstance(grid, dict):
        raise _HintError("A grid is a dict: the name of each parameter, and a list of its values.")
    alone = [name for name, values in grid.items() if not isinstance(values, list | tuple | range)]
    if alone:
        raise _HintError(
            f"The values of {alone[0]} must stand in a list, also if there is only one."
        )
    if list(grid.get("evaluate_on", ["test"])) != ["validation"]:
        raise _HintError("The test digits take part in the choice. Which parameter keeps them out?")
    if len(set(grid.get("seed", [1]))) < 2:
        raise _HintError("As it stands, nobody can tell a better design from a lucky run.")
    changed = [name for name, values in grid.items() if name != "seed" and len(values) > 1]
    if len(changed) != 1:
        received = " and ".join(changed) or "nothing"
        raise _HintError(
            f"One thing at a time should change beside the seed; here it is {received}."
        )
    return "One change, several seeds, and judges that nobody will need again at the end."


@_prints
def check_flattery(points):
    """Check exercise 4 of notebook 03, a number: what the best run flatters by, in points."""
    found, scores = _number(points), {}
    for row in load_table("architectures"):
        if row["evaluate_on"] == "validation":
            names = ("conv_filters", "kernel_sizes", "dense_units", "dropout", "dropout_place")
            design = str([row[name] for name in names])
            scores.setdefault(design, []).append(100 * row["val_accuracy"])
    runs = max(scores.values(), key=max)
    flattery = max(runs) - np.mean(runs)
    mistakes = {
        "That is a share. How many points are one?": flattery / 100,
        "Turn the difference round: what flatters is above the mean.": -flattery,
        "That is the distance to the mean of the design on top. Whose is the highest run?": max(
            runs
        )
        - max(map(np.mean, scores.values())),
        "That is the highest run itself. How far is it above its own design's mean?": max(runs),
    }
    otherwise = "Find the highest of all fifty runs, then the mean of the five of its own design."
    _compare(found, flattery, mistakes, otherwise, tolerance=0.005 if found > 0.01 else 5e-5)
    return "So much of it is luck, which does not come along to the next digits."


@_prints
def check_paired_interval(paired_interval):
    """Check exercise 5 of notebook 03, a function: the interval of a difference, seed by seed."""
    from scipy import stats

    a, b = np.array([98.7, 98.9, 98.8, 98.6, 98.9]), np.array([98.5, 98.8, 98.5, 98.5, 98.6])
    found = _array(_call(paired_interval, a, b), (2,))
    mean, error = (a - b).mean(), stats.sem(a - b)
    t, both = stats.t.ppf(0.975, 4), np.array([-1, 1])
    unpaired = stats.ttest_ind(a, b).confidence_interval()
    mistakes = {
        "Those are two groups, as if no run had a partner. Take the differences first.": unpaired,
        "Those are the ends for b minus a.": -mean + t * error * both,
        "1.96 is for many runs. With few, Student's t is wider.": mean + 1.96 * error * both,
        "The spread is too small: around their own mean, only four of five are free.": mean
        + t * error * np.sqrt(0.8) * both,
    }
    otherwise = f"It gives {found.round(3)}, where the mean difference is {mean:.2f}."
    _compare(found, mean + t * error * both, mistakes, otherwise, tolerance=1e-3)
    return "What makes a seed's digits easy or hard drops out of each difference."


# --- what the checks share ---------------------------------------------------------------------


def _choose(name, answer):
    choices = (resources.files("mnist_helpers") / "choices.yaml").read_text(encoding="utf-8")
    choice = yaml.safe_load(choices)[name]
    letter = answer.strip().lower() if isinstance(answer, str) else ""
    if letter not in choice["replies"]:
        letters = ", ".join(choice["replies"])
        print(f"Not answered yet: write one of the letters {letters} in quotation marks.")
    else:
        print("Right." if letter == choice["right"] else "No.", choice["replies"][letter])


def _call(function, *arguments):
    if not callable(function):
        raise _HintError(
            f"Hand over the function itself, without brackets; received {_line(function)}"
        )
    try:
        found = function(*copy.deepcopy(arguments))
    except Exception as error:
        raise _HintError(f"It stops with {_say(error)}") from None
    if found is None or found is ...:
        raise _HintError(
            "Not solved yet: nothing comes back. Replace the three dots and run it again."
        )
    return found


def _say(error):
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _line(value):
    return " ".join(repr(value).split())[:60]


def _array(found, shape=None):
    if found is None or found is ...:
        raise _HintError("Not solved yet: replace the three dots and run it again.")
    try:
        found = np.asarray(found, dtype="float64")
    except (TypeError, ValueError):
        raise _HintError(f"Numbers are expected; received {_line(found)}") from None
    if shape is not None and found.shape != shape:
        raise _HintError(f"The shape {shape} is expected; received {found.shape}.")
    return found


def _number(found):
    found = _array(found)
    if found.size != 1:
        raise _HintError(f"One number is expected; received the shape {found.shape}.")
    return found.item()


def _close(found, expected, tolerance=1e-6):
    return np.allclose(found, expected, rtol=0, atol=tolerance)


def _compare(found, right, mistakes, otherwise, tolerance=1e-6):
    """Pass if `found` is `right`; else give the hint of the mistake, {hint: value}, that fits."""
    if not _close(found, right, tolerance):
        fitting = [hint for hint, value in mistakes.items() if _close(found, value, tolerance)]
        raise _HintError((*fitting, otherwise)[0])
