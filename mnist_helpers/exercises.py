"""The checks of the exercises: each prints one sentence, `Right` and why, or a hint.

To add one, write `check_<name>` under `@_prints`. A function is handed to `_judge` with examples,
the last of them drawn anew each time, and with what compares a result; then return the sentence
that follows `Right`. For a multiple choice, write the replies in choices.yaml and let the check
return `_choose("<name>", answer)`.

A check looks at what an answer is or does, never at how it is written.

An answer may be anything, such as a range of a billion numbers, or an object whose `==` never
returns. So a whole check runs in a thread of its own that is ended when its time is up
(`_sentence`), and no check looks at an answer before `_array`, `_number`, `_items` or `_plain` has
made plain values of it, up to a limit.

One thing holds the kernel until it is done: a single long step in C that lets no other thread run,
such as ``9 ** 10**9`` or a regular expression that tries everything. Only another process could
end it, and with it all that the learner has computed.
"""

import contextlib
import copy
import functools
import itertools
import math
import queue
import reprlib
import sys
import threading
from importlib import resources
from itertools import pairwise

import numpy as np
import yaml

from mnist_helpers.models import DROPOUT_PLACES
from mnist_helpers.tables import load_table
from mnist_helpers.threads import end_thread

# What tells one of notebook 03's ten designs from another, in the table "architectures".
_DESIGN_COLUMNS = ("conv_filters", "kernel_sizes", "dense_units", "dropout", "dropout_place")

# MNIST's images.
_IMAGE_SIDE = 28
_N_PIXELS = _IMAGE_SIDE**2

# How far an answer may lie from the expected value: rounding in another order, and float32, pass.
_TOLERANCE = 1e-6
# A rounded answer is told so; with more places it differs by less than the tolerances.
_MOST_PLACES = 5
# Logarithms in float32, as Keras takes them, differ by more.
_LOG_TOLERANCE = 1e-5

# Examples that are drawn anew each time: what is right by accident is not right for all of them.
_N_FRESH = 3

# Of a random order, more digits than this share keep neither their places nor their neighbors:
# of 40 digits, 10 would do so less than once in a million times.
_MOST_KEPT = 0.25

# A received value is quoted in a hint up to this many characters.
_QUOTED_CHARACTERS = 60
# Of an error's message there is more to learn.
_ERROR_CHARACTERS = 200
# Of an example, this many values are shown.
_SHOWN_VALUES = 12

# How long a check may take in all.
_CHECK_SECONDS = 20
# One that is told to end may come from one loop of an answer into another: it is told so again.
_ENDING_TRIES = 10
_ENDING_SECONDS = 0.1
# The most numbers that an answer has by right are those of 60 images of 784 pixels.
_MAX_NUMBERS = 100_000
# Lists in lists, as deep as arrays can be.
_MAX_DEPTH = 32
_NUMBER_TYPES = (bool, int, float)
_PLAIN_TYPES = (*_NUMBER_TYPES, str)

# What beginners are told of the errors that they will meet, by the name of the error.
_PLAIN_WORDS = {
    "OverflowError": "a number does not fit its type; uint8, for one, holds 0 to 255 only",
    "ZeroDivisionError": "something is divided by 0",
    "RecursionError": "the function calls itself, again and again without an end",
    "NameError": "there is nothing of that name; is it spelled as where it was defined?",
    "AttributeError": "what stands before the dot has nothing of the name behind it",
    "IndexError": "an index does not fit what it is used on",
    "KeyError": "a dict is asked for a key that it does not have",
    "ImportError": "something is imported that is not there",
    "MemoryError": "it asks for more memory than there is",
    "TypeError": "the kind of a value, or the number of values, does not fit the step",
    "ValueError": "the kind of a value fits, but its shape or its content does not",
    "AssertionError": "what an `assert` says does not hold",
    "StopIteration": "`next` finds nothing more",
    "SystemExit": "it ends the whole program; a function ends with `return`",
    "KeyboardInterrupt": "it was interrupted",
}
_OTHER_WORDS = "call it yourself in a cell of its own, to see in which line"


class _HintError(Exception):
    """Ends a check with the sentence to print."""


def _prints(check):
    """Make a check print its sentence: `Right.` and what it returns, or the hint it raises."""

    @functools.wraps(check)
    def printing_check(answer):
        print(_sentence(check, answer))

    return printing_check


def _sentence(check, answer):
    """Return what a check says of an answer, and end it when its time is up."""
    # Not `Thread.join`: what an answer does while it is cleared away would be waited for, too.
    said = queue.SimpleQueue()

    def run():
        # From `end_thread`: nobody waits for this thread any more.
        with contextlib.suppress(SystemExit):
            said.put(_say(check, answer))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        return said.get(timeout=_CHECK_SECONDS)
    except queue.Empty:
        fate = "It goes on until you restart the kernel."
        if _is_ended(thread):
            fate = "It was stopped."
        return (
            f"No answer came within {_CHECK_SECONDS} seconds. Is there a loop that never ends? "
            f"{fate}"
        )
    except BaseException:
        # Somebody who did not want to wait so long has interrupted the kernel.
        end_thread(thread.ident)
        raise


def _is_ended(thread):
    """End a thread, and say whether that came about."""
    for _ in range(_ENDING_TRIES):
        end_thread(thread.ident)
        thread.join(_ENDING_SECONDS)
        if not thread.is_alive():
            return True
    return False


def _say(check, answer):
    try:
        return f"Right. {check(answer)}"
    except _HintError as hint:
        return str(hint)
    # Whatever was handed over, the notebook goes on: Run All meets unsolved exercises, too.
    except BaseException as error:
        reason = _error_text(error)
        return f"This cannot be an answer ({reason}). Read once more what is asked for."


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
        It is called with an image, uint8 of shape (28, 28), gray levels 0 to 255, and returns
        gray levels of the same shape.

    Examples
    --------
    >>> check_invert(lambda image: image)
    The picture comes back as it was. What should 0 become, and what 255?
    """
    shape = (_IMAGE_SIDE, _IMAGE_SIDE)
    examples = [(np.random.default_rng(0).integers(0, 256, shape, dtype="uint8"),)]
    rng = np.random.default_rng()
    for _ in range(_N_FRESH):
        # Neither quite black nor quite white: a difference to the brightest pixel will not do.
        examples.append((rng.integers(20, 230, shape, dtype="uint8"),))
    remark = _judge(invert, examples, _compare_inverted)
    return (
        "Background and ink have changed places, and what was half gray stays about half gray."
        + remark
    )


def _compare_inverted(received, image):
    received = _array(received, image.shape)
    inverted = 255 - image.astype(float)
    below = "Pixels are uint8 and cannot lie below 0; they start again at 255. "
    # The wrong values are computed in uint8, since the learner's are, too.
    mistakes = {
        "The picture comes back as it was. What should 0 become, and what 255?": image,
        below + "Which number must you subtract from?": -image,
        below + "The brightest pixel is not 1.": 1 - image,
        "The brightest pixel of this picture is not white. What is white in any picture?": (
            image.max() - image
        ),
        "The rows are turned upside down. Change values, not places.": image[::-1],
        "Left and right are exchanged. Change values, not places.": image[:, ::-1],
    }
    wrong = np.abs(received - inverted) > _TOLERANCE
    before = _show(image[wrong][:3])
    after = _show(received[wrong][:3])
    otherwise = f"Gray levels such as {before} become {after}. What should they become?"
    _compare(received, inverted, mistakes, otherwise)


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
    examples = [(np.array([7, 1, 7, 3, 7]),), (np.array([1, 2]),), (np.array([8, 0, 7, 9]),)]
    rng = np.random.default_rng()
    # As many that a sum in uint8, the type of MNIST's labels, starts again at 0.
    for n_labels in (20, 30, 5000):
        examples.append((rng.integers(0, 10, n_labels, dtype="uint8"),))
    remark = _judge(count_sevens, examples, _compare_count)
    return "True counts as 1 and False as 0, so the sum of a comparison is a count." + remark


def _compare_count(received, labels):
    received = _number(received)
    n_sevens = (labels == 7).sum()
    mistakes = {
        "It still counts all labels: `labels == 7` has one True or False for each of them. "
        "What comes out when you add those up?": len(labels),
        "The labels themselves are added up. First ask which of them are a 7.": labels.sum(),
        "The sevens are added up, as if each were worth 7.": 7 * n_sevens,
        "Other digits are counted, too. Which comparison is true of a 7 alone?": (
            (labels >= 7).sum()
        ),
    }
    n_labels = f"{len(labels):,} labels"
    otherwise = f"For the {n_labels} {_show(labels)} it says {received:g}. Count the sevens by eye."
    if len(labels) > _SHOWN_VALUES:
        otherwise = f"Among {n_labels} with {n_sevens:,} sevens it finds {received:g}."
    _compare(received, n_sevens, mistakes, otherwise)


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
    labels = np.array([3, 5, 3, 3, 5, 1])
    examples = [(_gray_images(np.random.default_rng(0), len(labels)), labels, 3)]
    rng = np.random.default_rng()
    for digit in (3, 5, 8):
        labels = rng.permutation([3, 3, 3, 3, 5, 5, 5, 5, 5, 8, 8, 8])
        # Whoever takes the first digit or the last one finds another than is asked for.
        labels = np.array([1, *labels, 1])
        examples.append((_gray_images(rng, len(labels)), labels, digit))
    remark = _judge(average, examples, _compare_average)
    return "An average digit is blurred where people differ and sharp where they agree." + remark


def _gray_images(rng, n_images):
    return rng.integers(0, 256, (n_images, _IMAGE_SIDE, _IMAGE_SIDE), dtype="uint8")


def _compare_average(received, images, labels, digit):
    received = _array(received)
    chosen = images[labels == digit].astype(float)
    if received.shape == chosen.shape and _close(received, chosen):
        raise _HintError(
            "These are the right images, all of them. What is their mean, pixel by pixel?"
        )
    if received.size == 1:
        raise _HintError(
            "One number comes back, the mean over everything. Along which axis do you go?"
        )
    mistakes = {
        "This is the mean of all digits. Choose those with the right label first.": images.mean(0),
        "The images are added up; the mean is smaller.": chosen.sum(axis=0),
    }
    otherwise = (
        f"It is 28×28, but for the digit {digit} it is not the mean of the images with that label."
    )
    # A mean in float16 is rounded to a sixteenth.
    tolerance = 0.1
    # A mean turned into uint8 for the screen has lost its fraction, and is right.
    if _close(received, received.round()):
        tolerance = 1
    received = _array(received, images[0].shape)
    _compare(received, chosen.mean(axis=0), mistakes, otherwise, tolerance=tolerance)


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
    examples = [([784, 10],), ([784, 32, 10],), ([784, 512, 512, 10],)]
    rng = np.random.default_rng()
    for n_layers in range(2, 2 + _N_FRESH):
        examples.append((rng.integers(2, 60, n_layers + 1).tolist(),))
    remark = _judge(count_parameters, examples, _compare_dense)
    return (
        "Inputs times units plus one bias a unit, layer by layer, as `summary()` counts." + remark
    )


def _compare_dense(received, sizes):
    received = _number(received)
    weights = sum(n_inputs * n_units for n_inputs, n_units in pairwise(sizes))
    biases = sum(sizes[1:])
    n_layers = len(sizes) - 1
    last_layer = sizes[-2] * sizes[-1] + sizes[-1]
    mistakes = {
        "Those are the weights. What else does each unit add to its sum?": weights,
        "The pixels have been given biases, too. They learn nothing.": weights + sum(sizes),
        "That is one bias for each layer. Who has one?": weights + n_layers,
        "A layer is missing: the ten units at the end learn, too.": weights + biases - last_layer,
    }
    otherwise = f"For {sizes} it gives {received:,g}. Draw two small layers and count the lines."
    _compare(received, weights + biases, mistakes, otherwise)


@_prints
def check_shuffle(shuffle):
    """Check exercise 3 of notebook 01: a new order, each digit with its own label.

    Parameters
    ----------
    shuffle : callable
        It is called with images of shape (images, 784) and labels of shape (images,), and returns
        both in another order, which is a random one.

    Examples
    --------
    >>> check_shuffle(lambda images, labels: (images, labels))
    The labels stand in the same order as before.
    """
    examples = [(_numbered_images(50), np.arange(50))]
    rng = np.random.default_rng()
    for n_images in (41, 53, 60):
        examples.append((_numbered_images(n_images), rng.integers(0, 10, n_images)))
    remark = _judge(shuffle, examples, _compare_shuffled)
    return (
        "One order for both. With two, no network could learn a thing, and no error would say so."
        + remark
    )


def _numbered_images(n_images):
    """Return images of which each pixel says from which image it is: no two are alike."""
    return np.arange(n_images * _N_PIXELS, dtype=float).reshape(n_images, _N_PIXELS)


def _compare_shuffled(received, images, labels):
    received = _items(received) if isinstance(received, tuple | list) else []
    if len(received) != 2:
        raise _HintError("Two things must come back, as `return images, labels` does.")
    received_images = _array(received[0])
    received_labels = _array(received[1])
    is_complete = received_images.shape == images.shape and received_labels.shape == labels.shape
    if is_complete:
        # Whole numbers up to some thousands, which float32 and even their quotients keep exactly.
        order = received_images[:, 0] // _N_PIXELS
        is_complete = _are_equal_sets(order, range(len(images))) and _are_equal_sets(
            received_labels, labels
        )
    if not is_complete:
        raise _HintError("Some digits are lost or there twice: each must come back exactly once.")
    if (received_labels == labels).all():
        raise _HintError("The labels stand in the same order as before.")
    order = order.astype(int)
    if (received_images != images[order]).any():
        raise _HintError("The pixels of an image have changed. Only the images change places.")
    if (received_labels != labels[order]).any():
        raise _HintError(
            "Picture and label no longer belong together. How often is an order drawn?"
        )
    _check_random(order, received_labels)


def _are_equal_sets(values, others):
    return np.array_equal(np.sort(values), np.sort(others))


def _check_random(order, labels):
    """Hint at an order that is another one, but not a random one."""
    n_images = len(order)
    most = _MOST_KEPT * n_images
    if (order == np.arange(n_images)).sum() > most:
        raise _HintError("Many digits still stand where they stood. All of them must be mixed.")
    # From each digit to the one that now follows it: in a random order, any distance is rare.
    _, counts = np.unique(np.diff(order) % n_images, return_counts=True)
    if counts.max() > most:
        raise _HintError("The order is another one, but has a pattern. What draws a random one?")
    steps = np.diff(labels)
    if (steps >= 0).all() or (steps <= 0).all():
        raise _HintError("They come back sorted by their labels. What draws a random order?")


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
    examples = [(probabilities, np.eye(3)[[0, 1, 2, 1]])]
    rng = np.random.default_rng()
    for n_images in range(5, 5 + _N_FRESH):
        n_classes = 10
        # Away from 0, where Keras cuts off what has no logarithm.
        probabilities = 0.9 * rng.dirichlet(np.ones(n_classes), n_images) + 0.1 / n_classes
        one_hot = np.eye(n_classes)[rng.integers(0, n_classes, n_images)]
        examples.append((probabilities, one_hot))
    remark = _judge(crossentropy, examples, _compare_loss)
    return "Only the probability of the true digit counts, and a small one costs a lot." + remark


def _compare_loss(received, probabilities, one_hot):
    losses = -np.log((probabilities * one_hot).sum(axis=1))
    received = _array(received)
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
        "Keras takes the natural logarithm, and this one is of 2.": losses.mean() / np.log(2),
    }
    otherwise = f"It gives {received:.4f}. By hand: which probability did each true digit get?"
    _compare(received, losses.mean(), mistakes, otherwise, tolerance=_LOG_TOLERANCE)


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
    largest = np.abs(window).max()
    if largest == 0:
        raise _HintError("All weights are 0, so it answers nowhere.")
    # Brought to one size, so that weights of a millionth are not taken for 0.
    window = window / largest
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
    # One of the two may be 0: then the middle column has the other sign.
    if left == 0 and right == 0:
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
    examples = [(30, 5, 1), (15, 3, 30)]
    rng = np.random.default_rng()
    for side in range(2, 2 + _N_FRESH):
        n_filters, depth = rng.integers(5, 40, 2).tolist()
        examples.append((n_filters, side, depth))
    remark = _judge(conv_parameters, examples, _compare_convolution)
    return "The size of the picture does not come in: all places share the same weights." + remark


def _compare_convolution(received, n_filters, side, depth):
    received = _number(received)
    window = side**2
    weights = window * depth
    mistakes = {
        "The weights are right. What else does each filter have?": n_filters * weights,
        "That is one bias for all filters together.": n_filters * weights + 1,
        "A window is as high as it is wide.": n_filters * (side * depth + 1),
        "A window goes through all the maps below it, not one.": n_filters * (window + 1),
        "There is a bias for each map below. Who has one?": n_filters * (window + 1) * depth,
    }
    otherwise = f"For {n_filters} filters of {side}×{side}×{depth} it gives {received:,g}."
    _compare(received, n_filters * (weights + 1), mistakes, otherwise)


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
    Hand over the network itself, a model of Keras; received None
    """
    # Keras takes seconds to import; whoever hands over a model has imported it.
    keras_model = getattr(sys.modules.get("keras"), "Model", ())
    if not isinstance(model, keras_model):
        raise _HintError(
            f"Hand over the network itself, a model of Keras; received {_quote(model)}"
        )
    shape = (20, _IMAGE_SIDE, _IMAGE_SIDE, 1)
    # Far brighter than 1, so that outputs which can leave the range from 0 to 1 do.
    brightness = 50
    images = brightness * np.random.default_rng(0).random(shape, dtype="float32")
    fresh_images = np.random.default_rng().random(shape, dtype="float32")
    remark = _judge(model, [(images,), (fresh_images,)], _compare_outputs)
    return (
        "All positive, together 1: the loss can take the logarithm of the true digit's share."
        + remark
    )


def _compare_outputs(received, images):
    # The ten of a network in bfloat16, whose rounding adds up, still lie closer to 1 than this.
    tolerance = 0.01
    received = _array(received)
    if received.shape[:1] != images.shape[:1]:
        raise _HintError(
            f"For {len(images)} images come outputs of shape {received.shape}. Where is the row "
            "for each image?"
        )
    if received.shape[1:] != (10,):
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
    examples = [
        ({"dropout": [0.0, 0.2, 0.5], "seed": range(5), "epochs": [5]},),
        ({"seed": [1, 2]},),
    ]
    rng = np.random.default_rng()
    names = ["batch_size", "epochs", "units", "seed", "filters"]
    for n_names in range(2, 2 + _N_FRESH):
        grid = {name: list(range(rng.integers(1, 6))) for name in names[:n_names]}
        # At least one parameter changes.
        grid["dropout"] = [0.0, 0.2]
        examples.append((grid,))
    remark = _judge(n_runs, examples, _compare_n_runs)
    return (
        "The product of the lengths: one more value in one list can mean many more runs." + remark
    )


def _compare_n_runs(received, grid):
    received = _number(received)
    lengths = [len(values) for values in grid.values()]
    mistakes = {
        "That adds up the values. Does not every one meet every other?": sum(lengths),
        "That counts the parameters. How many values has each?": len(grid),
        "That is the longest list, as if the values went in step.": max(lengths),
    }
    otherwise = f"For {grid} it gives {received:g}. Write the combinations down and count them."
    _compare(received, np.prod(lengths), mistakes, otherwise)


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
    grid = _read_grid(grid)
    for name in grid:
        if name not in _GRID_VALUES:
            quoted = _one_line(name, _QUOTED_CHARACTERS)
            raise _HintError(
                f"Notebook 02 has no parameter {quoted}, so no run would change. How is it spelled?"
            )
    # A parameter that the grid leaves out keeps its default: the test digits, and a single seed.
    evaluate_on = grid.get("evaluate_on", ["test"])
    seeds = grid.get("seed", [1])
    if evaluate_on != ["validation"]:
        raise _HintError("The test digits take part in the choice. Which parameter keeps them out?")
    if len(set(seeds)) < 2:
        raise _HintError("As it stands, nobody can tell a better design from a lucky run.")
    changed = [name for name, values in grid.items() if name != "seed" and len(values) > 1]
    if changed != ["dropout"]:
        received = " and ".join(_one_line(name, _QUOTED_CHARACTERS) for name in changed[:5])
        raise _HintError(
            "The share of dropout, and nothing else, should change beside the seed; here it is "
            f"{received or 'nothing'}."
        )
    for name, values in grid.items():
        words, fits = _GRID_VALUES[name]
        if not all(fits(value) for value in values):
            raise _HintError(f"Each value of {name} must be {words}. One of these is not.")
    for name in ("dropout", "seed"):
        if len(set(grid[name])) < len(grid[name]):
            raise _HintError(f"A value of {name} stands there twice: the same run, made again.")
    return "One change, several seeds, and judges that nobody will need again at the end."


def _is_whole(value, lowest, highest=math.inf):
    return type(value) is int and lowest <= value <= highest


def _is_share(value):
    return type(value) in (int, float) and 0 <= value < 1


def _is_text(value):
    return type(value) is str


def _is_anything(_):
    # Lists, which `_read_grid` does not keep.
    return True


# What a grid may change in notebook 02: what each value must be, in words and as a test.
_GRID_VALUES = {
    "seed": ("a whole number from 0 to 4294967295", lambda seed: _is_whole(seed, 0, 2**32 - 1)),
    "epochs": ("a whole number, at least 1", lambda epochs: _is_whole(epochs, 1)),
    "batch_size": ("a whole number, at least 1", lambda size: _is_whole(size, 1)),
    "conv_filters": ("a list", _is_anything),
    "kernel_sizes": ("a list", _is_anything),
    "dense_units": ("a list", _is_anything),
    "dropout": ("a number from 0 to below 1", _is_share),
    "dropout_place": (" or ".join(DROPOUT_PLACES), lambda place: place in DROPOUT_PLACES),
    "validation_fraction": (
        "a number above 0 and below 1",
        lambda share: _is_share(share) and share > 0,
    ),
    "evaluate_on": ("a text", _is_text),
    "data": ("a text", _is_text),
}


def _read_grid(grid):
    """Return a grid as a plain dict of plain lists; what is no plain value becomes None."""
    if not isinstance(grid, dict):
        raise _HintError("A grid is a dict: the name of each parameter, and a list of its values.")
    # Those of `dict` itself: a dict of somebody's own may have others.
    pairs = list(itertools.islice(dict.items(grid), _MAX_NUMBERS + 1))
    _check_amount(len(pairs))
    plain = {}
    for name, values in pairs:
        if not isinstance(name, str):
            raise _HintError(
                f"The name of a parameter stands in quotation marks; received {_quote(name)}"
            )
        # Without what a class of somebody's own makes of `==` and `hash`.
        name = str.__str__(name)
        quoted = _one_line(name, _QUOTED_CHARACTERS)
        if not name.isidentifier():
            raise _HintError(f"No parameter can have the name {quoted!r}.")
        if not isinstance(values, list | tuple | range):
            raise _HintError(
                f"The values of {quoted} must stand in a list, also if there is only one."
            )
        plain[name] = _plain(_items(values))
        if not plain[name]:
            raise _HintError(f"The list of {quoted} is empty, so there is nothing to run.")
    return plain


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
    It gives 0, 1, where the mean difference is 0.20.
    """
    # SciPy's statistics take a second to import, and only this exercise needs them.
    from scipy import stats

    a = np.array([98.7, 98.9, 98.8, 98.6, 98.9])
    b = np.array([98.5, 98.8, 98.5, 98.5, 98.6])
    examples = [(a, b)]
    rng = np.random.default_rng()
    for n_seeds in (3, 7, 12):
        a = rng.normal(98, 1, n_seeds)
        examples.append((a, a - rng.normal(0.5, 1, n_seeds)))

    def compare(received, a, b):
        n_seeds = len(a)
        received = _array(received, (2,))
        mean = (a - b).mean()
        error = stats.sem(a - b)
        reach = stats.t.ppf(0.975, n_seeds - 1) * error
        ends = np.array([-1, 1])
        # NumPy's `std` divides by n where a sample of n wants n - 1.
        shrink = np.sqrt((n_seeds - 1) / n_seeds)
        mistakes = {
            "Those are two groups, as if no run had a partner. Take the differences first.": (
                stats.ttest_ind(a, b).confidence_interval()
            ),
            "Those are the ends for b minus a.": -mean + reach * ends,
            "1.96 is for many runs. With few, Student's t is wider.": mean + 1.96 * error * ends,
            "The spread is too small: around their own mean, only four of five are free.": (
                mean + reach * shrink * ends
            ),
            "The upper end comes first. Which of the two is asked for first?": mean - reach * ends,
        }
        otherwise = f"It gives {_show(received)}, where the mean difference is {mean:.2f}."
        _compare(received, mean + reach * ends, mistakes, otherwise, tolerance=1e-3)

    remark = _judge(paired_interval, examples, compare)
    return "What makes a seed's digits easy or hard drops out of each difference." + remark


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


def _judge(function, examples, compare):
    """Compare what a learner's function returns for each example.

    Parameters
    ----------
    function : callable
    examples : list of tuple
        The arguments of each call.
    compare : callable
        It is called with what was returned and with the arguments, and raises a `_HintError` if
        the one does not belong to the other.

    Returns
    -------
    str
        Nothing, or a remark if the function changes what it is given.
    """
    remark = ""
    for arguments in examples:
        # Copies: a function that changes its arguments must not change what it is compared with.
        given = copy.deepcopy(arguments)
        compare(_call(function, *given), *arguments)
        if not _are_unchanged(given, arguments):
            remark = " One thing more: it changes what it is given. Others may need that as it was."
    return remark


def _are_unchanged(given, arguments):
    try:
        return all(_ask(_is_same, *pair) for pair in zip(given, arguments, strict=True))
    except _AnswerError:
        return False


def _is_same(given, argument):
    if isinstance(argument, np.ndarray):
        return np.array_equal(given, argument)
    return given == argument


def _call(function, *arguments):
    """Return what a learner's function returns; where it cannot be called or fails, hint at it."""
    if not callable(function):
        raise _HintError(
            f"Hand over the function itself, without brackets; received {_quote(function)}"
        )
    try:
        returned = _ask(function, *arguments)
    except _AnswerError as failed:
        raise _HintError(_explain(failed.error)) from None
    if returned is ...:
        raise _HintError(
            "Not solved yet: nothing comes back. Replace the three dots and run it again."
        )
    if returned is None:
        raise _HintError("Not solved yet: nothing comes back. Is the result behind a `return`?")
    return returned


class _AnswerError(Exception):
    """Something that an answer itself raised."""

    def __init__(self, error):
        super().__init__()
        self.error = error


def _ask(function, *arguments):
    """Run what may run an answer's own code, and tell its errors from the checks' own."""
    try:
        # Infinity and NaN are wrong, which a hint says better than a warning. And what the code
        # may set NumPy to is set back.
        with np.errstate(all="ignore"):
            return function(*arguments)
    except _HintError:
        raise
    # Whatever it is: an `exit()` in an answer must not end the kernel.
    except BaseException as error:
        raise _AnswerError(error) from None


def _explain(error):
    """Say with which error a function stops, and what that means."""
    try:
        words = _ask(_plain_words, error)
    except _AnswerError:
        words = _OTHER_WORDS
    reason = _error_text(error).rstrip(" .:")
    return f"It stops with {reason}. In plain words: {words}."


def _plain_words(error):
    for kind in type.mro(type(error)):
        if kind.__name__ in _PLAIN_WORDS:
            return _PLAIN_WORDS[kind.__name__]
    return _OTHER_WORDS


def _error_text(error):
    """Return an error's name and message in one line."""
    return _text(_describe_error, error, _ERROR_CHARACTERS)


def _describe_error(error):
    return f"{type(error).__name__}: {error}"


def _quote(value):
    """Return the beginning of a value's repr, in one line."""
    return _text(_describe, value, _QUOTED_CHARACTERS)


def _describe(value):
    # The user may have set NumPy to write out all of a large array.
    if isinstance(value, np.ndarray):
        return f"an array of the type {value.dtype} and the shape {value.shape}"
    short = reprlib.Repr()
    short.maxlist = short.maxtuple = short.maxdict = short.maxset = _QUOTED_CHARACTERS
    short.maxstring = short.maxlong = short.maxother = 2 * _QUOTED_CHARACTERS
    text = short.repr(value)
    # An address in memory tells a beginner nothing.
    if " at 0x" in text:
        return f"something of the type {type(value).__name__}"
    return text


def _text(describe, value, n_characters):
    """Return the beginning of what `describe` says of a value, in one line."""
    try:
        text = _ask(describe, value)
    except _AnswerError:
        return "something that cannot be shown"
    return _one_line(text, n_characters)


def _one_line(text, n_characters):
    """Return the beginning of a text without line ends and other control characters."""
    characters = []
    for character in text[: 2 * n_characters]:
        if not character.isprintable():
            character = " "
        characters.append(character)
    return " ".join("".join(characters).split())[:n_characters]


def _show(values):
    """Return the first of an example's values, however NumPy is set to write arrays."""
    shown = ", ".join(f"{value:g}" for value in values[:_SHOWN_VALUES])
    if len(values) > _SHOWN_VALUES:
        shown += ", …"
    return shown


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
    return [_plain_value(item) for item in items]


def _plain_value(value):
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) in _PLAIN_TYPES:
        return value
    return None


def _array(received, shape=None):
    """Return an answer as float64, of the shape if one is given; anything else gets a hint."""
    if received is None or received is ...:
        raise _HintError("Not solved yet: replace the three dots and run it again.")
    try:
        array = _ask(_read_array, received)
    except _AnswerError as failed:
        if isinstance(failed.error, OverflowError):
            raise _HintError("A number is far too large, longer than 300 digits.") from None
        raise _HintError(f"Numbers are expected; received {_quote(received)}") from None
    if shape is not None and array.shape != shape:
        raise _HintError(f"The shape {shape} is expected; received {array.shape}.")
    if not np.isfinite(array).all():
        raise _HintError(
            "Among the numbers is an infinity or a NaN, which is none. What is divided by 0, or "
            "has no logarithm?"
        )
    return array


def _read_array(received):
    return np.asarray(_Reading().read(received), dtype="float64")


class _Reading:
    """The reading of one answer's numbers, up to a limit: a list may hold itself, and twice."""

    def __init__(self):
        self.n_read = 0

    def read(self, value, depth=0):
        """Return floats, float64 arrays and plain lists of these, or raise a TypeError."""
        if depth > _MAX_DEPTH:
            raise TypeError("lists in lists without end")
        if isinstance(value, list | tuple | range):
            items = _items(value)
            self._count(len(items))
            return [self.read(item, depth + 1) for item in items]
        if hasattr(type(value), "__array__"):
            return self._read_array(value, depth)
        # Not `np.asarray`, which would also take text, and what only has a length and items.
        if type(value) in _NUMBER_TYPES or hasattr(type(value), "__float__"):
            return float(value)
        raise TypeError("no numbers")

    def _read_array(self, value, depth):
        array = _numpy_array(value)
        self._count(array.size)
        # Each object could be anything, a text too.
        if array.dtype.kind == "O":
            return self.read(array.tolist(), depth + 1)
        # NumPy would drop an imaginary part, and read texts and times as numbers.
        if not np.can_cast(array.dtype, "float64", "same_kind"):
            raise TypeError("no real numbers")
        return array.astype("float64")

    def _count(self, amount):
        self.n_read += amount
        _check_amount(self.n_read)


def _numpy_array(value):
    if isinstance(value, np.ma.MaskedArray):
        # What is masked is no number; what lies behind the mask was not meant.
        return value.astype("float64").filled(np.nan)
    # Keras takes seconds to import; whoever hands over a tensor has imported it.
    ops = getattr(sys.modules.get("keras"), "ops", None)
    if ops is not None and ops.is_tensor(value):
        return ops.convert_to_numpy(value)
    return np.asarray(value)


def _number(received):
    """Return an answer as a float; anything but one number gets a hint."""
    array = _array(received)
    # A list of one number is refused as well: where a number is used, it would not do.
    if array.shape != ():
        raise _HintError(
            f"One number is expected, and no list or array; received the shape {array.shape}."
        )
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
    for n_places in range(1, _MOST_PLACES + 1):
        # 0 is what any small number is rounded to.
        if np.any(received) and _close(received, np.round(expected, n_places)):
            raise _HintError(
                "That is the right result, but rounded. Give it back as it was computed, and round "
                "only what you show."
            )
    raise _HintError(otherwise)
