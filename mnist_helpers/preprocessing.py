"""From raw digits to what a network takes: arrays in, arrays out, no files and no models."""

import math

import numpy as np

from mnist_helpers.keras_settings import keras_defaults

N_CLASSES = 10

_MAX_GRAY = 255
_IMAGE_SHAPE = (28, 28)
_N_PIXELS = 28 * 28

# The types of labels: bool, int, unsigned, float, text.
_LABEL_KINDS = "biufUS"
# scikit-learn takes seeds below this.
_MAX_SEED = 2**32
# Another library's error is quoted up to here.
_QUOTED_CHARACTERS = 200


def as_array(name, values):
    """Return values as an array, or say whose values are none.

    Parameters
    ----------
    name : str
        The parameter's name, for the error message.
    values : array_like

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If NumPy makes no array of them, as of rows of unequal length.

    Examples
    --------
    >>> as_array("labels", [[1], [2, 3]])
    Traceback (most recent call last):
    ...
    ValueError: `labels` must be an array; received a list of which NumPy makes none.
    """
    try:
        return np.asarray(values)
    except Exception:
        # Each library's tensors have errors of their own, where they hold no numbers yet.
        raise ValueError(
            f"`{name}` must be an array; received a {type(values).__name__} of which NumPy "
            "makes none."
        ) from None


def check_number(name, value):
    """Raise an error unless this is one finite number.

    Parameters
    ----------
    name : str
        The parameter's name, for the error message.
    value : float
        Anything that ``float`` takes, but no text.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is infinite, NaN, or too large for a float.

    Examples
    --------
    >>> check_number("n", [1, 2])
    Traceback (most recent call last):
    ...
    TypeError: `n` must be a number; received a list.
    """
    try:
        is_finite = math.isfinite(value)
    except OverflowError:
        is_finite = False
    except Exception:
        raise TypeError(f"`{name}` must be a number; received a {type(value).__name__}.") from None
    if not is_finite:
        raise ValueError(f"`{name}` must be a finite number; received another one.")


def scale_pixels(images):
    """Bring gray levels from 0..255 to 0..1.

    Parameters
    ----------
    images : ndarray of uint8
        Any shape; 0 is background and 255 full ink.

    Returns
    -------
    ndarray of float32
        Same shape, values in [0, 1].

    Raises
    ------
    TypeError
        If `images` are not uint8, most often because they have been scaled already.
    ValueError
        If they are no array.

    Examples
    --------
    >>> scale_pixels(np.array([0, 51, 255], dtype="uint8"))
    array([0. , 0.2, 1. ], dtype=float32)
    """
    images = as_array("images", images)
    if images.dtype != np.uint8:
        raise TypeError(_explain_type(images))
    return images.astype("float32") / _MAX_GRAY


def _explain_type(images):
    """Say what is wrong with images that are not uint8, and what to do."""
    received = str(images.dtype)
    advice = "Convert whole gray levels with images.astype('uint8')."
    is_float = images.dtype.kind == "f"
    # Gray levels that reach at most 1 have been divided by 255 before.
    if is_float and images.size > 0 and images.max() <= 1:
        received += f" from {images.min():g} to {images.max():g}"
        advice = "They are scaled already; dividing by 255 twice leaves them nearly black."
    return f"`images` must be uint8 pixels from 0 to 255; received {received}. {advice}"


def to_vectors(images):
    """Lay the 28 rows of each image end to end, as a dense network takes them.

    Parameters
    ----------
    images : ndarray, shape (n, 28, 28)

    Returns
    -------
    ndarray, shape (n, 784)

    Raises
    ------
    ValueError
        If `images` have another shape.

    Examples
    --------
    >>> to_vectors(np.zeros((5, 28, 28))).shape
    (5, 784)
    """
    images = _check_images(images)
    return images.reshape(len(images), _N_PIXELS)


def to_images(images):
    """Add the channel axis that a convolutional network takes, channels last.

    Parameters
    ----------
    images : ndarray, shape (n, 28, 28)

    Returns
    -------
    ndarray, shape (n, 28, 28, 1)

    Raises
    ------
    ValueError
        If `images` have another shape.

    Examples
    --------
    >>> to_images(np.zeros((5, 28, 28))).shape
    (5, 28, 28, 1)
    """
    return _check_images(images)[..., np.newaxis]


def _check_images(images):
    images = as_array("images", images)
    if images.ndim != 3 or images.shape[1:] != _IMAGE_SHAPE:
        message = f"`images` must have shape (n, 28, 28); received {images.shape}."
        if images.ndim == 2:
            message += " One image alone needs a batch axis: images[None]."
        raise ValueError(message)
    return images


def one_hot(labels):
    """Turn digits into vectors of ten, 1 at the digit's own index.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
        Digits from 0 to 9.

    Returns
    -------
    ndarray of float64, shape (n, 10)

    Raises
    ------
    ValueError
        If `labels` are not a row of whole numbers from 0 to 9.

    Examples
    --------
    >>> one_hot([2])
    array([[0., 0., 1., 0., 0., 0., 0., 0., 0., 0.]])
    """
    with keras_defaults():
        import keras

    labels = as_array("labels", labels)
    is_integer = labels.dtype.kind in "iu"
    if labels.ndim != 1 or not is_integer:
        received = f"{labels.dtype} {labels.shape}"
        raise ValueError(f"`labels` must be whole numbers of shape (n,); received {received}.")
    # An empty array has neither a smallest nor a largest label.
    if labels.size > 0:
        smallest = labels.min()
        largest = labels.max()
        # Keras would take -1 for the last class without a word.
        if smallest < 0 or largest >= N_CLASSES:
            raise ValueError(
                f"`labels` must lie between 0 and 9; received {smallest} to {largest}."
            )
    return keras.utils.to_categorical(labels, N_CLASSES)


def split_validation(x, y, fraction=0.1, *, seed=0):
    """Set a part of the training data aside, drawn at random, each digit in its proportion.

    Parameters
    ----------
    x : ndarray, shape (n, ...)
        Images.
    y : ndarray, shape (n,) or (n, 10)
        Their labels: digits, or one-hot vectors.
    fraction : float
        Share that is set aside, 0 <= fraction < 1; 0 sets nothing aside.
    seed : int
        The same seed gives the same split.

    Returns
    -------
    (x_fit, y_fit), (x_val, y_val)
        Both parts; with ``fraction=0`` the second is empty.

    Raises
    ------
    ValueError
        If `fraction` or `seed` is out of range, `x` and `y` are no arrays or of unequal length, or
        a part is too small for ten classes.
    TypeError
        If `fraction` or `seed` is no number.

    Examples
    --------
    >>> digits = np.repeat(np.arange(10), 20)
    >>> (x_fit, y_fit), (x_val, y_val) = split_validation(np.arange(200), digits, 0.1)
    >>> np.bincount(y_val)
    array([2, 2, 2, 2, 2, 2, 2, 2, 2, 2])
    """
    from sklearn.model_selection import train_test_split

    x = as_array("x", x)
    y = as_array("y", y)
    _check_labels(y)
    if x.ndim == 0:
        raise ValueError("`x` must be an array of images; received a single value.")
    if len(x) != len(y):
        raise ValueError(f"`x` and `y` must be equally long; received {len(x)} and {len(y)}.")
    check_number("fraction", fraction)
    check_number("seed", seed)
    if not 0 <= seed < _MAX_SEED or int(seed) != seed:
        raise ValueError(
            f"`seed` must be a whole number, at least 0 and below {_MAX_SEED}; received {seed}."
        )
    if not 0 <= fraction < 1:
        raise ValueError(f"`fraction` must be at least 0 and below 1; received {fraction}.")
    if fraction == 0:
        return (x, y), (x[:0], y[:0])
    digits = y
    if y.ndim != 1:
        digits = y.argmax(axis=1)
    # Splitting indices makes the split depend on the labels and the seed alone.
    try:
        fit, val = train_test_split(
            np.arange(len(y)), test_size=fraction, stratify=digits, random_state=int(seed)
        )
    except ValueError as error:
        # Its text lists the labels, a million of them if need be.
        reason = str(error)[:_QUOTED_CHARACTERS]
        raise ValueError(f"`y` has too few of some digit to be split: {reason}") from None
    return (x[fit], y[fit]), (x[val], y[val])


def _check_labels(y):
    """Refuse what is neither a row of labels nor one row of values for each."""
    is_row = y.ndim == 1
    has_rows = y.ndim == 2 and y.shape[1] > 0
    if not (is_row or has_rows) or y.dtype.kind not in _LABEL_KINDS:
        raise ValueError(
            f"`y` must be labels of shape (n,) or one-hot vectors; received {y.dtype} {y.shape}."
        )
