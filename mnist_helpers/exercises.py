"""The checks of the exercises: each prints one sentence, `Right` and why, or a hint.

To add one, write `check_<name>` under `@_prints`: call the answer with `_call`, compare what it
returns with `_compare`, and return the sentence that follows `Right`. For a multiple choice, write
the replies in choices.yaml and let the check return `_choose("<name>", answer)`.

A check looks at what an answer is or does, never at how it is written.

An answer may be anything, such as a range of a billion numbers, or an object whose `len` never
returns. So no check touches one before `_call`, `_array`, `_number` or `_items` has made plain
values of it; and whatever runs code of the answer goes through `_ask`, which has a time limit.
"""

import copy
import functools
import itertools
import reprlib
import sys
import threading
from importlib import resources
from itertools import pairwise

import numpy as np
import yaml

from mnist_helpers.tables import load_table

# What tells one of notebook 03's ten designs from another, in the table "architectures".
_DESIGN_COLUMNS = ("conv_filters", "kernel_sizes", "dense_units", "dropout", "dropout_place")

# How far an answer may lie from the expected value: rounding in another order, and float32, pass.
_TOLERANCE = 1e-6

# A received value is quoted in a hint up to this many characters.
_QUOTED_CHARACTERS = 60
# Of an error's message there is more to learn.
_ERROR_CHARACTERS = 200

# How long an answer may take: a function to return, an object to say what it is.
_CALL_SECONDS = 20
_READ_SECONDS = 2
# The most numbers that an answer has by right are those of 50 images of 784 pixels.
_MAX_NUMBERS = 100_000
# Lists in lists, as deep as arrays can be.
_MAX_DEPTH = 32
_PLAIN_TYPES = (bool, int, float, str)


class _HintError(Exception):
    """Ends a check with the sentence to print."""


def _prints(check):
    """Make a check print its sentence: `Right.` and what it returns, or the hint it raises."""

    @functools.wraps(check)
    def printing_check(answer):
        try:
            # Infinity and NaN are wrong, which a hint says better than a warning.
            with np.errstate(all="ignore"):
                print("Right.", check(answer))
        except _HintError as hint:
            print(hint)
        # Whatever was handed over, the notebook goes on: Run All meets unsolved exercises, too.
        except Exception as error:
            reason = _error_text(error)
            print(f"This cannot be an answer ({reason}). Read once more what is asked for.")

    return printing_check


# --- notebook 00 -------------------------------------------------------------------------------


@_prints
def check_order(answer):
    """Check exercise 1 of notebook 00: what a changed cell does before it is run.

    Parameters
    ----------
    answer : str
        The letter of an option.

    Examples
    --------
    >>> check_order(None)
    Not answered yet: write one of the letters a, b, c, d in quotation marks.
    """
    return _choose("order", answer)


@_prints
def check_invert(invert):
    """Check exercise 2 of notebook 00: white on black becomes black on white.

    Parameters
    ----------
    invert : callable
        It is called with an image, uint8 of shape (rows, columns), gray levels 0 to 255, and
        returns gray levels of the same shape.

    Examples
    --------
    >>> check_invert(lambda image: image)
    The picture comes back as it was. What should 0 become, and what 255?
    """
    image = np.array([[0, 100, 255], [200, 10, 30]], dtype="uint8")
    inverted = 255 - image.astype(float)
    below = "Pixels are uint8 and cannot lie below 0; they start again at 255. "
    # The wrong values are computed in uint8, since the learner's are, too.
    mistakes = {
        "The picture comes back as it was. What should 0 become, and what 255?": image,
        below + "Which number must you subtract from?": -image,
        below + "The brightest pixel is not 1.": 1 - image,
        "The rows are turned upside down. Change values, not places.": image[::-1],
        "Left and right are exchanged. Change values, not places.": image[:, ::-1],
    }
    received = _array(_call(invert, image), image.shape)
    otherwise = f"The gray levels {image[0]} become {received[0]}. What should each become?"
    _compare(received, inverted, mistakes, otherwise)
    return "Background and ink have changed places, and what was half gray stays about half gray."


@_prints
def check_count_sevens(count_sevens):
    """Check exercise 3 of notebook 00: how many labels are a 7.

    Parameters
    ----------
    count_sevens : callable
        It is called with labels, integers of shape (images,), and returns a number.

    Examples
    --------
    >>> check_count_sevens(lambda labels: labels.sum())
    The labels themselves are added up. First ask which of them are a 7.
    """
    # Labels without any 7 uncover a count that was written down after looking at the first ones.
    for labels in (np.array([7, 1, 7, 3, 7]), np.array([1, 2])):
        n_sevens = (labels == 7).sum()
        mistakes = {
            "It still counts all labels: `labels == 7` has one True or False for each of them. "
            "What comes out when you add those up?": len(labels),
            "The labels themselves are added up. First ask which of them are a 7.": labels.sum(),
            "The sevens are added up, as if each were worth 7.": 7 * n_sevens,
        }
        received = _number(_call(count_sevens, labels))
        otherwise = f"For the labels {labels} it says {received:g}. Count the sevens by eye."
        _compare(received, n_sevens, mistakes, otherwise)
    return "True counts as 1 and False as 0, so the sum of a comparison is a count."


@_prints
def check_average(average):
    """Check exercise 4 of notebook 00: the mean picture of one digit.

    Parameters
    ----------
    average : callable
        It is called with images, uint8 of shape (images, 28, 28), labels, integers of shape
        (images,), and a digit, and returns gray levels of shape (28, 28).

    Examples
    --------
    >>> check_average(lambda images, labels, digit: images.mean())
    One number comes back, the mean over everything. Along which axis do you go?
    """
    images = np.random.default_rng(0).integers(0, 256, (6, 28, 28)).astype("uint8")
    labels = np.array([3, 5, 3, 3, 5, 1])
    threes = images[labels == 3].astype(float)
    received = _array(_call(average, images, labels, 3))
    if received.shape == threes.shape:
        raise _HintError(
            "These are the right images, all of them. What is their mean, pixel by pixel?"
        )
    if received.size == 1:
        raise _HintError(
            "One number comes back, the mean over everything. Along which axis do you go?"
        )
    mistakes = {
        "This is the mean of all digits. Choose those with the right label first.": images.mean(0),
        "The images are added up; the mean is smaller.": threes.sum(axis=0),
    }
    otherwise = "It is 28×28, but not the mean of the images whose label is the digit asked for."
    # One gray level: a mean turned into uint8 for the screen has lost its fraction, and is right.
    gray_level = 1
    _compare(
        _array(received, (28, 28)), threes.mean(axis=0), mistakes, otherwise, tolerance=gray_level
    )
    return "An average digit is blurred where people differ and sharp where they agree."


# --- notebook 01 -------------------------------------------------------------------------------


@_prints
def check_batch_size(answer):
    """Check exercise 1 of notebook 01: what a larger batch changes.

    Parameters
    ----------
    answer : str
        The letter of an option.

    Examples
    --------
    >>> check_batch_size(None)
    Not answered yet: write one of the letters a, b, c, d in quotation marks.
    """
    return _choose("batch_size", answer)


@_prints
def check_count_parameters(count_parameters):
    """Check exercise 2 of notebook 01: the parameters of a dense network.

    Parameters
    ----------
    count_parameters : callable
        It is called with a list of int, the number of inputs and then the units of each layer,
        and returns a number.

    Examples
    --------
    >>> check_count_parameters(lambda sizes: sum(sizes))
    For [784, 10] it gives 794. Draw two small layers and count the lines.
    """
    for sizes in ([784, 10], [784, 32, 10], [784, 512, 512, 10]):
        weights = sum(n_inputs * n_units for n_inputs, n_units in pairwise(sizes))
        biases = sum(sizes[1:])
        n_layers = len(sizes) - 1
        last_layer = sizes[-2] * sizes[-1] + sizes[-1]
        mistakes = {
            "Those are the weights. What else does each unit add to its sum?": weights,
            "The pixels have been given biases, too. They learn nothing.": weights + sum(sizes),
            "That is one bias for each layer. Who has one?": weights + n_layers,
            "A layer is missing: the ten units at the end learn, too.": (
                weights + biases - last_layer
            ),
        }
        received = _number(_call(count_parameters, sizes))
        otherwise = (
            f"For {sizes} it gives {received:,g}. Draw two small layers and count the lines."
        )
        _compare(received, weights + biases, mistakes, otherwise)
    return "Inputs times units plus one bias a unit, layer by layer, as `summary()` counts."


@_prints
def check_shuffle(shuffle):
    """Check exercise 3 of notebook 01: a new order, each digit with its own label.

    Parameters
    ----------
    shuffle : callable
        It is called with images of shape (images, pixels) and labels of shape (images,), and
        returns both in another order.

    Examples
    --------
    >>> check_shuffle(lambda images, labels: (images, labels))
    The labels stand in the same order as before.
    """
    labels = np.arange(50)
    # Every pixel of an image is its label, so an image says which label it should have.
    images = labels[:, None] * np.ones(784)
    received = _call(shuffle, images, labels)
    received = _items(received) if isinstance(received, tuple | list) else []
    if len(received) != 2:
        raise _HintError("Two things must come back, as `return images, labels` does.")
    received_images = _array(received[0])
    received_labels = _array(received[1])
    labels_are_complete = sorted(received_labels.flat) == sorted(labels)
    if received_images.shape != images.shape or not labels_are_complete:
        raise _HintError("Some digits are lost or there twice: each must come back exactly once.")
    if (received_labels == labels).all():
        raise _HintError("The labels stand in the same order as before.")
    if (received_images[:, 0] != received_labels).any():
        raise _HintError(
            "Picture and label no longer belong together. How often is an order drawn?"
        )
    return (
        "One order for both. With two, no network could learn a thing, and no error would say so."
    )


@_prints
def check_dropout(answer):
    """Check exercise 4 of notebook 01: why `fit` reports less than `evaluate`.

    Parameters
    ----------
    answer : str
        The letter of an option.

    Examples
    --------
    >>> check_dropout(None)
    Not answered yet: write one of the letters a, b, c, d in quotation marks.
    """
    return _choose("dropout", answer)


@_prints
def check_crossentropy(crossentropy):
    """Check exercise 5 of notebook 01: the loss, computed by hand.

    Parameters
    ----------
    crossentropy : callable
        It is called with probabilities and one-hot labels, floats of shape (images, classes),
        and returns a number.

    Examples
    --------
    >>> check_crossentropy(lambda probabilities, one_hot: 0.5)
    It gives 0.5000. By hand: which probability did each true digit get?
    """
    probabilities = np.array([[0.7, 0.2, 0.1], [0.25, 0.5, 0.25], [0.1, 0.1, 0.8], [0.6, 0.3, 0.1]])
    labels = [0, 1, 2, 1]
    one_hot = np.eye(3)[labels]
    losses = -np.log((probabilities * one_hot).sum(axis=1))
    received = _array(_call(crossentropy, probabilities, one_hot))
    if received.size == len(losses):
        raise _HintError(
            "That is one loss for each digit. Keras reports one number for all of them."
        )
    received = _number(received)
    mistakes = {
        "The size is right and the sign is not: losses are positive.": -losses.mean(),
        "That grows with the number of digits. A mean would not.": losses.sum(),
        "Divided by the number of entries: how many digits are there?": losses.sum() / one_hot.size,
        "Keras takes the natural logarithm, and this is another one.": losses.mean() / np.log(10),
    }
    otherwise = f"It gives {received:.4f}. By hand: which probability did each true digit get?"
    _compare(received, losses.mean(), mistakes, otherwise)
    return "Only the probability of the true digit counts, and a small one costs a lot."


# --- notebook 02 -------------------------------------------------------------------------------


@_prints
def check_window(window):
    """Check exercise 1 of notebook 02: a window that answers at left edges only.

    Parameters
    ----------
    window : array_like
        3×3 weights; axes of length 1 are left out, so a layer's (3, 3, 1, 1) will do.

    Examples
    --------
    >>> check_window(np.ones((3, 3)))
    It answers on an even gray, too. What must the nine weights add up to?
    """
    window = _array(window).squeeze()
    if window.shape != (3, 3):
        raise _HintError(f"The window must have 3×3 weights; received the shape {window.shape}.")
    if not _close(window.sum(), 0):
        raise _HintError("It answers on an even gray, too. What must the nine weights add up to?")
    # Rows that add up to 0 one by one answer nothing where only the rows differ.
    if not _close(window.sum(axis=1), 0):
        raise _HintError(
            "It answers at upper or lower edges. In which direction should nothing change?"
        )
    columns = window.sum(axis=0)
    left = columns[0]
    right = columns[2]
    if right < 0 or left > 0:
        raise _HintError(
            "It answers where bright turns to dark from left to right: the other side."
        )
    if not left < 0 < right:
        raise _HintError("It answers at no left edge. Which column should count against the ink?")
    return "Minus on the left, plus on the right, and nothing to see where both sides are alike."


@_prints
def check_windows(answer):
    """Check exercise 2 of notebook 02: the parameters with smaller windows.

    Parameters
    ----------
    answer : str
        The letter of an option.

    Examples
    --------
    >>> check_windows(None)
    Not answered yet: write one of the letters a, b, c, d in quotation marks.
    """
    return _choose("windows", answer)


@_prints
def check_conv_parameters(conv_parameters):
    """Check exercise 3 of notebook 02: the parameters of a convolution.

    Parameters
    ----------
    conv_parameters : callable
        It is called with three int, the number of filters, the side of a window in pixels and
        the number of maps below, and returns a number.

    Examples
    --------
    >>> check_conv_parameters(lambda n_filters, side, depth: 0)
    For 30 filters of 5×5×1 it gives 0.
    """
    # The two convolutions of the article's network.
    for n_filters, side, depth in ((30, 5, 1), (15, 3, 30)):
        window = side**2
        weights = window * depth
        mistakes = {
            "The weights are right. What else does each filter have?": n_filters * weights,
            "That is one bias for all filters together.": n_filters * weights + 1,
            "A window is as high as it is wide.": n_filters * (side * depth + 1),
            "A window goes through all the maps below it, not one.": n_filters * (window + 1),
            "There is a bias for each map below. Who has one?": n_filters * (window + 1) * depth,
        }
        received = _number(_call(conv_parameters, n_filters, side, depth))
        otherwise = f"For {n_filters} filters of {side}×{side}×{depth} it gives {received:,g}."
        _compare(received, n_filters * (weights + 1), mistakes, otherwise)
    return "The size of the picture does not come in: all places share the same weights."


@_prints
def check_output_layer(model):
    """Check exercise 4 of notebook 02: ten probabilities for each image.

    Parameters
    ----------
    model : keras.Model
        It is called with images, float32 of shape (images, 28, 28, 1).

    Examples
    --------
    >>> check_output_layer(None)
    Hand over the function itself, without brackets; received None
    """
    # Far brighter than 1, so that outputs which can leave the range from 0 to 1 do.
    brightness = 50
    images = brightness * np.random.default_rng(0).random((20, 28, 28, 1), dtype="float32")
    tensor = _call(model, images)
    # Keras takes seconds to import; whoever hands over a model has imported it.
    keras = sys.modules.get("keras")
    if keras is not None and keras.ops.is_tensor(tensor):
        tensor = keras.ops.convert_to_numpy(tensor)
    tolerance = 1e-3
    received = _array(tensor)
    if received.shape != (20, 10):
        raise _HintError(
            f"Each image gets outputs of shape {received.shape[1:]}. How many digits are there?"
        )
    if received.min() < 0:
        raise _HintError(
            "Some outputs are negative, which no probability is. What makes them positive?"
        )
    if received.max() > 1 + tolerance:
        raise _HintError(
            "Some outputs lie above 1, as no probability does. Which activation lets them?"
        )
    if not _close(received.sum(axis=1), 1, tolerance):
        raise _HintError("Each output lies between 0 and 1, but the ten do not add up to 1.")
    return "All positive, together 1: the loss can take the logarithm of the true digit's share."


@_prints
def check_shift(answer):
    """Check exercise 5 of notebook 02: why a shifted digit is read worse.

    Parameters
    ----------
    answer : str
        The letter of an option.

    Examples
    --------
    >>> check_shift(None)
    Not answered yet: write one of the letters a, b, c, d in quotation marks.
    """
    return _choose("shift", answer)


# --- notebook 03 -------------------------------------------------------------------------------


@_prints
def check_best_run(answer):
    """Check exercise 1 of notebook 03: what the best of many runs is worth.

    Parameters
    ----------
    answer : str
        The letter of an option.

    Examples
    --------
    >>> check_best_run(None)
    Not answered yet: write one of the letters a, b, c, d in quotation marks.
    """
    return _choose("best_run", answer)


@_prints
def check_n_runs(n_runs):
    """Check exercise 2 of notebook 03: how many runs a grid makes.

    Parameters
    ----------
    n_runs : callable
        It is called with a grid, a dict of each parameter's values, and returns a number.

    Examples
    --------
    >>> check_n_runs(lambda grid: len(grid))
    That counts the parameters. How many values has each?
    """
    for grid in ({"dropout": [0.0, 0.2, 0.5], "seed": range(5), "epochs": [5]}, {"seed": [1, 2]}):
        lengths = [len(values) for values in grid.values()]
        mistakes = {
            "That adds up the values. Does not every one meet every other?": sum(lengths),
            "That counts the parameters. How many values has each?": len(grid),
            "That is the longest list, as if the values went in step.": max(lengths),
        }
        received = _number(_call(n_runs, grid))
        otherwise = f"For {grid} it gives {received:g}. Write the combinations down and count them."
        _compare(received, np.prod(lengths), mistakes, otherwise)
    return "The product of the lengths: one more value in one list can mean many more runs."


@_prints
def check_fair(grid):
    """Check exercise 3 of notebook 03: a comparison that can be believed.

    Parameters
    ----------
    grid : dict of str to list
        The values of each parameter.

    Examples
    --------
    >>> check_fair({"dropout": 0.2})
    The values of dropout must stand in a list, also if there is only one.
    """
    if not isinstance(grid, dict):
        raise _HintError("A grid is a dict: the name of each parameter, and a list of its values.")
    # Those of `dict` itself: a dict of somebody's own may have others.
    grid = dict(itertools.islice(dict.items(grid), _MAX_NUMBERS))
    for name, values in grid.items():
        if not isinstance(values, list | tuple | range):
            raise _HintError(
                f"The values of {_name(name)} must stand in a list, also if there is only one."
            )
        grid[name] = _items(values)
    # A parameter that the grid leaves out keeps its default: the test digits, and a single seed.
    evaluate_on = _plain(grid.get("evaluate_on", ["test"]))
    seeds = _plain(grid.get("seed", [1]))
    if evaluate_on != ["validation"]:
        raise _HintError("The test digits take part in the choice. Which parameter keeps them out?")
    if len(set(seeds)) < 2:
        raise _HintError("As it stands, nobody can tell a better design from a lucky run.")
    changed = [name for name, values in grid.items() if name != "seed" and len(values) > 1]
    if len(changed) != 1:
        received = " and ".join(_name(name) for name in changed) or "nothing"
        raise _HintError(
            f"One thing at a time should change beside the seed; here it is {received}."
        )
    return "One change, several seeds, and judges that nobody will need again at the end."


@_prints
def check_flattery(points):
    """Check exercise 4 of notebook 03: by how much the best run flatters.

    Parameters
    ----------
    points : float
        Percentage points.

    Examples
    --------
    >>> check_flattery(0.5)
    Find the highest of all fifty runs, then the mean of the five of its own design.
    """
    received = _number(points)
    scores = _validation_scores()
    highest_design = max(scores, key=lambda design: max(scores[design]))
    highest_run = max(scores[highest_design])
    flattery = highest_run - np.mean(scores[highest_design])
    best_mean = max(np.mean(design_scores) for design_scores in scores.values())
    mistakes = {
        "That is a share. How many points are one?": flattery / 100,
        "Turn the difference round: what flatters is above the mean.": -flattery,
        "That is the distance to the mean of the design on top. Whose is the highest run?": (
            highest_run - best_mean
        ),
        "That is the highest run itself. How far is it above its own design's mean?": highest_run,
    }
    otherwise = "Find the highest of all fifty runs, then the mean of the five of its own design."
    # An answer may be rounded to two places of a point; a share, 100 times smaller, to four.
    tolerance = 5e-5
    if received > 0.01:
        tolerance = 0.005
    _compare(received, flattery, mistakes, otherwise, tolerance)
    return "So much of it is luck, which does not come along to the next digits."


def _validation_scores():
    """Return the accuracies of each design of "architectures", in percent of validation digits."""
    scores = {}
    for row in load_table("architectures"):
        if row["evaluate_on"] == "validation":
            # A column of lists is no key of a dict, but its text is.
            design = str([row[name] for name in _DESIGN_COLUMNS])
            scores.setdefault(design, []).append(100 * row["val_accuracy"])
    return scores


@_prints
def check_paired_interval(paired_interval):
    """Check exercise 5 of notebook 03: the interval of a difference, seed by seed.

    Parameters
    ----------
    paired_interval : callable
        It is called with two arrays, the scores of two designs over the same seeds, in percent,
        and returns the two ends of the 95 % interval of their mean difference.

    Examples
    --------
    >>> check_paired_interval(lambda a, b: (0, 1))
    It gives [0. 1.], where the mean difference is 0.20.
    """
    # SciPy's statistics take a second to import, and only this exercise needs them.
    from scipy import stats

    a = np.array([98.7, 98.9, 98.8, 98.6, 98.9])
    b = np.array([98.5, 98.8, 98.5, 98.5, 98.6])
    received = _array(_call(paired_interval, a, b), (2,))
    n_seeds = len(a)
    mean = (a - b).mean()
    error = stats.sem(a - b)
    reach = stats.t.ppf(0.975, n_seeds - 1) * error
    ends = np.array([-1, 1])
    unpaired = stats.ttest_ind(a, b).confidence_interval()
    # NumPy's `std` divides by n where a sample of n wants n - 1.
    shrink = np.sqrt((n_seeds - 1) / n_seeds)
    mistakes = {
        "Those are two groups, as if no run had a partner. Take the differences first.": unpaired,
        "Those are the ends for b minus a.": -mean + reach * ends,
        "1.96 is for many runs. With few, Student's t is wider.": mean + 1.96 * error * ends,
        "The spread is too small: around their own mean, only four of five are free.": (
            mean + reach * shrink * ends
        ),
    }
    otherwise = f"It gives {received.round(3)}, where the mean difference is {mean:.2f}."
    _compare(received, mean + reach * ends, mistakes, otherwise, tolerance=1e-3)
    return "What makes a seed's digits easy or hard drops out of each difference."


# --- what the checks share ---------------------------------------------------------------------


def _choose(name, answer):
    """Return the reply to the right letter of a multiple choice; any other letter's is a hint."""
    text = (resources.files("mnist_helpers") / "choices.yaml").read_text(encoding="utf-8")
    choice = yaml.safe_load(text)[name]
    replies = choice["replies"]
    letter = ""
    if isinstance(answer, str):
        letter = str.strip(answer).lower()
    if letter not in replies:
        letters = ", ".join(replies)
        raise _HintError(
            f"Not answered yet: write one of the letters {letters} in quotation marks."
        )
    if letter != choice["right"]:
        raise _HintError(f"No. {replies[letter]}")
    return replies[letter]


def _call(function, *arguments):
    """Return what a learner's function returns; where it cannot be called or fails, hint at it."""
    if not callable(function):
        raise _HintError(
            f"Hand over the function itself, without brackets; received {_quote(function)}"
        )
    try:
        # Copies: a function that changes its arguments must not change what it is compared with.
        returned = _ask(_CALL_SECONDS, function, *copy.deepcopy(arguments))
    except _AnswerError as failed:
        raise _HintError(f"It stops with {_error_text(failed.error)}") from None
    if _is_unsolved(returned):
        raise _HintError(
            "Not solved yet: nothing comes back. Replace the three dots and run it again."
        )
    return returned


class _AnswerError(Exception):
    """Something that an answer itself raised."""

    def __init__(self, error):
        super().__init__()
        self.error = error


def _ask(seconds, function, *arguments):
    """Run what may run an answer's own code; leave it behind when the time is up."""
    returned = []
    raised = []

    def run():
        try:
            returned.append(function(*arguments))
        except BaseException as error:
            # Whatever it is: an `exit()` in an answer must not end the kernel.
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if returned:
        return returned[0]
    if not raised:
        raise _HintError(
            f"No answer came within {seconds} seconds. Is there a loop that never ends? "
            "It goes on until you restart the kernel."
        )
    if isinstance(raised[0], _HintError):
        raise raised[0]
    raise _AnswerError(raised[0])


def _is_unsolved(value):
    # An exercise has three dots where the answer goes, and a function without return gives None.
    return value is None or value is ...


def _error_text(error):
    """Return an error's name and message in one line."""
    return _text(_describe_error, error, _ERROR_CHARACTERS)


def _describe_error(error):
    return f"{type(error).__name__}: {error}"


def _quote(value):
    """Return the beginning of a value's repr, in one line."""
    short = reprlib.Repr()
    short.maxlist = short.maxtuple = short.maxdict = short.maxset = _QUOTED_CHARACTERS
    short.maxstring = short.maxlong = short.maxother = 2 * _QUOTED_CHARACTERS
    return _text(short.repr, value, _QUOTED_CHARACTERS)


def _text(describe, value, n_characters):
    """Return the beginning of what `describe` says of a value, in one line."""
    try:
        text = _ask(_READ_SECONDS, describe, value)
    except (_AnswerError, _HintError):
        return "something that cannot be shown"
    return " ".join(text[: 2 * n_characters].split())[:n_characters]


def _name(name):
    """Return the name of a parameter as a hint shows it."""
    if type(name) is str:
        return " ".join(name[:_QUOTED_CHARACTERS].split())
    return _quote(name)


def _items(values):
    """Return the items of a list, tuple or range as a plain list, if they are not too many."""
    base = next(kind for kind in (list, tuple, range) if isinstance(values, kind))
    # A subclass may have an `__iter__` without end.
    items = list(itertools.islice(base.__iter__(values), _MAX_NUMBERS + 1))
    _check_amount(len(items))
    return items


def _check_amount(amount):
    if amount > _MAX_NUMBERS:
        raise _HintError(f"That is more than {_MAX_NUMBERS:,} values. How many are asked for?")


def _plain(items):
    """Return those of a list's items that are plain values, and None for all others."""
    return [item if _is_plain(item) else None for item in items]


def _is_plain(value):
    return type(value) in _PLAIN_TYPES or isinstance(value, np.generic)


def _array(received, shape=None):
    """Return an answer as float64, of the shape if one is given; anything else gets a hint."""
    if _is_unsolved(received):
        raise _HintError("Not solved yet: replace the three dots and run it again.")
    try:
        array = _ask(_READ_SECONDS, _read_array, received)
    except _AnswerError:
        raise _HintError(f"Numbers are expected; received {_quote(received)}") from None
    if shape is not None and array.shape != shape:
        raise _HintError(f"The shape {shape} is expected; received {array.shape}.")
    return array


def _read_array(received):
    return np.asarray(_Reading().read(received), dtype="float64")


class _Reading:
    """The reading of one answer's numbers, up to a limit: a list may hold itself, and twice."""

    def __init__(self):
        self.n_read = 0

    def read(self, value, depth=0):
        """Return floats, float64 arrays and plain lists of these, or raise a TypeError."""
        if isinstance(value, list | tuple | range) and depth < _MAX_DEPTH:
            items = _items(value)
            self._count(len(items))
            return [self.read(item, depth + 1) for item in items]
        if hasattr(type(value), "__array__"):
            return self._read_array(value)
        # Not `np.asarray`, which would also take what only has a length and items.
        if type(value) in _PLAIN_TYPES or hasattr(type(value), "__float__"):
            return float(value)
        raise TypeError("no numbers")

    def _read_array(self, value):
        array = np.asarray(value)
        self._count(array.size)
        # NumPy would drop the imaginary part.
        if array.dtype.kind == "c":
            raise TypeError("complex numbers")
        return array.astype("float64")

    def _count(self, amount):
        self.n_read += amount
        _check_amount(self.n_read)


def _number(received):
    """Return an answer as a float; anything but one number gets a hint."""
    array = _array(received)
    if array.size != 1:
        raise _HintError(f"One number is expected; received the shape {array.shape}.")
    return array.item()


def _close(received, expected, tolerance=_TOLERANCE):
    return np.allclose(received, expected, rtol=0, atol=tolerance)


def _compare(received, expected, mistakes, otherwise, tolerance=_TOLERANCE):
    """Do nothing if an answer is right; else hint at the mistake it comes from.

    Parameters
    ----------
    received, expected : float or numpy.ndarray
    mistakes : dict of str to float or numpy.ndarray
        A hint, and the value to which its mistake leads. The first that fits is taken.
    otherwise : str
        The hint where no mistake fits.
    tolerance : float
        The largest difference between values that count as equal.
    """
    if _close(received, expected, tolerance):
        return
    for hint, value in mistakes.items():
        if _close(received, value, tolerance):
            raise _HintError(hint)
    raise _HintError(otherwise)
