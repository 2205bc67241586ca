"""The two articles' networks and their variants, the reader, and weights that are trained already.

Keras is imported where it is needed, so that reading a card does not cost its import.
"""

import hashlib
import io
import itertools
import json
from importlib import resources

import numpy as np

from mnist_helpers.keras_settings import keras_defaults

IMAGE_SIDE = 28
N_PIXELS = IMAGE_SIDE**2
N_DIGITS = 10
# More would build for minutes, or ask for more memory than there is.
MOST_UNITS = 10_000
MOST_LAYERS = 100
DROPOUT_PLACES = ("after_convolutions", "after_dense", "both")

READER_FILTERS = (16, 48, 64, 96, 128)
# Convolutions, counted from 1, after which the reader halves the image.
READER_POOLINGS = (1, 3)
READER_DROPOUT = 0.3
# The ten digits, and one more for pictures of no digit.
N_READER_OUTPUTS = N_DIGITS + 1

# A received value is quoted up to here.
_QUOTED_CHARACTERS = 80


def build_mlp(hidden_units=(512, 512), dropout=0.2):
    """Build a multilayer perceptron; the defaults are Gregor Koehler's (669,706 parameters).

    Parameters
    ----------
    hidden_units : sequence of int
        Units of each hidden layer, 1 to 10,000; one layer or more. Each is followed by ReLU and
        dropout.
    dropout : float
        Share of activations set to zero while training, 0 <= dropout < 1.

    Returns
    -------
    keras.Sequential
        Uncompiled. It takes vectors (n, 784) in [0, 1] and gives probabilities (n, 10).

    Raises
    ------
    ValueError
        If a value is out of range, or of another kind.

    Examples
    --------
    >>> build_mlp(hidden_units=[32]).count_params()
    25450
    """
    with keras_defaults():
        import keras

    hidden_units = _check_sizes("hidden_units", hidden_units)
    _check_dropout(dropout)
    layers = [keras.Input(shape=(N_PIXELS,), name="pixels")]
    for i, units in enumerate(hidden_units, start=1):
        layers.append(keras.layers.Dense(units, activation="relu", name=f"hidden_{i}"))
        layers.append(keras.layers.Dropout(dropout, name=f"dropout_{i}"))
    layers.append(keras.layers.Dense(N_DIGITS, activation="softmax", name="digit"))
    return keras.Sequential(layers, name="mlp")


def build_cnn(
    conv_filters=(30, 15),
    kernel_sizes=(5, 3),
    dense_units=(128, 50),
    dropout=0.2,
    dropout_place="after_convolutions",
):
    """Build a convolutional network; the defaults are Isaac Zepeda's (59,933 parameters).

    Parameters
    ----------
    conv_filters, kernel_sizes : sequence of int
        Filters, 1 to 10,000, and window size of each convolution, equally many. Each convolution
        is followed by ReLU and by 2×2 max pooling.
    dense_units : sequence of int
        Units of each dense layer between the convolutions and the output, one or more.
    dropout : float
        Share of activations set to zero while training, 0 <= dropout < 1.
    dropout_place : {"after_convolutions", "after_dense", "both"}
        Once before the flattening, as in the article; after each hidden dense layer; or both.

    Returns
    -------
    keras.Sequential
        Uncompiled. It takes images (n, 28, 28, 1) in [0, 1] and gives probabilities (n, 10).

    Raises
    ------
    ValueError
        If a value is out of range or of another kind, or if the convolutions leave nothing of a
        28×28 image.

    Examples
    --------
    >>> build_cnn(dense_units=[128]).count_params()
    54263
    """
    with keras_defaults():
        import keras

    conv_filters = _check_sizes("conv_filters", conv_filters)
    kernel_sizes = _check_sizes("kernel_sizes", kernel_sizes)
    dense_units = _check_sizes("dense_units", dense_units)
    _check_dropout(dropout)
    _check_convolutions(conv_filters, kernel_sizes)
    if not isinstance(dropout_place, str) or dropout_place not in DROPOUT_PLACES:
        raise ValueError(
            f"`dropout_place` must be one of {DROPOUT_PLACES}; received {_quote(dropout_place)}."
        )

    layers = [keras.Input(shape=(IMAGE_SIDE, IMAGE_SIDE, 1), name="image")]
    for i, (filters, size) in enumerate(zip(conv_filters, kernel_sizes, strict=True), start=1):
        convolution = keras.layers.Conv2D(filters, size, activation="relu", name=f"convolution_{i}")
        layers.append(convolution)
        layers.append(keras.layers.MaxPooling2D(2, name=f"pooling_{i}"))
    if dropout_place in ("after_convolutions", "both"):
        layers.append(keras.layers.Dropout(dropout, name="dropout"))
    layers.append(keras.layers.Flatten(name="flatten"))
    for i, units in enumerate(dense_units, start=1):
        layers.append(keras.layers.Dense(units, activation="relu", name=f"hidden_{i}"))
        if dropout_place in ("after_dense", "both"):
            layers.append(keras.layers.Dropout(dropout, name=f"dropout_{i}"))
    layers.append(keras.layers.Dense(N_DIGITS, activation="softmax", name="digit"))
    return keras.Sequential(layers, name="cnn")


def build_reader():
    """Build the network that reads people's own digits (271,003 parameters).

    Returns
    -------
    keras.Sequential
        Uncompiled. It takes images (n, 28, 28, 1) in [0, 1] and gives probabilities (n, 11): of
        the ten digits, and last that the image is no digit.

    Examples
    --------
    >>> build_reader().output_shape
    (None, 11)
    """
    with keras_defaults():
        import keras

    # A list, not `model.add`, which builds the model anew each time: a third of the time.
    layers = [keras.Input(shape=(IMAGE_SIDE, IMAGE_SIDE, 1), name="image")]
    for i, filters in enumerate(READER_FILTERS, start=1):
        # No bias: the normalization would subtract it again.
        convolution = keras.layers.Conv2D(
            filters, 3, padding="same", use_bias=False, name=f"convolution_{i}"
        )
        layers.append(convolution)
        layers.append(keras.layers.BatchNormalization(name=f"normalization_{i}"))
        layers.append(keras.layers.ReLU(name=f"relu_{i}"))
        if i in READER_POOLINGS:
            layers.append(keras.layers.MaxPooling2D(2, name=f"pooling_{i}"))
    layers.append(keras.layers.Flatten(name="flatten"))
    layers.append(keras.layers.Dropout(READER_DROPOUT, name="dropout"))
    # In float32 also where the rest is bfloat16, whose 8 bits are too few for probabilities.
    output = keras.layers.Dense(
        N_READER_OUTPUTS, activation="softmax", dtype="float32", name="digit_or_none"
    )
    layers.append(output)
    return keras.Sequential(layers, name="reader")


def load_pretrained(name):
    """Load a network that is trained already, to go on with after missing a notebook.

    Parameters
    ----------
    name : {"mlp", "cnn", "reader"}
        The network of notebook 01 or 02, trained on MNIST with the notebook's own parameters, or
        the one that reads people's own digits. `read_card` tells how each was trained, and how
        well it reads.

    Returns
    -------
    keras.Sequential
        As `build_mlp`, `build_cnn` or `build_reader` gives it, uncompiled; the weights were
        rounded to 16 bits.

    Raises
    ------
    ValueError
        If there is no such network, or if its file is missing or not the one that its card
        describes.

    Examples
    --------
    >>> load_pretrained("mlp").count_params()
    669706
    """
    card = read_card(name)
    path = resources.files("mnist_helpers") / "pretrained" / f"{name}.npz"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"the weights of {name!r} cannot be read ({error.strerror}): install the package again."
        ) from error
    expected = card["sha256"]
    received = hashlib.sha256(content).hexdigest()
    if received != expected:
        raise ValueError(
            f"the weights of {name!r} must have the sha256 {expected[:12]}…; received "
            f"{received[:12]}…: install the package again."
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        weights = [arrays[key].astype("float32") for key in arrays]
    builders = {"mlp": build_mlp, "cnn": build_cnn, "reader": build_reader}
    model = builders[name]()
    model.set_weights(weights)
    return model


def read_card(name):
    """Read what is known of a pretrained network.

    Parameters
    ----------
    name : {"mlp", "cnn", "reader"}

    Returns
    -------
    dict
        ``notebook``, ``parameters`` (with the seed), ``data``, ``versions``, ``sha256`` of the
        file, ``command`` that makes it again, and ``accuracy`` by set of digits: ``right``, ``of``,
        ``share`` and its 95 % interval ``low``, ``high``, measured with the weights in the file.
        The reader's also has ``inputs``: the range in which MNIST's training digits lie.

    Raises
    ------
    ValueError
        If there is no such network.

    Examples
    --------
    >>> read_card("mlp")["notebook"]
    '01_dense_network'
    """
    path = resources.files("mnist_helpers") / "pretrained" / "cards.json"
    cards = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(name, str) or name not in cards:
        raise ValueError(f"`name` must be one of {', '.join(cards)}; received {_quote(name)}.")
    return cards[name]


def _check_sizes(name, sizes):
    """Return sizes as a list of plain int."""
    expected = f"`{name}` must be a list of one or more whole numbers from 1 to {MOST_UNITS:,}"
    try:
        sizes = list(itertools.islice(sizes, MOST_LAYERS + 1))
    except Exception:
        raise ValueError(f"{expected}; received {_quote(sizes)}.") from None
    is_valid = 1 <= len(sizes) <= MOST_LAYERS
    for size in sizes:
        # To Python, True is the whole number 1.
        is_whole = isinstance(size, int | np.integer) and not isinstance(size, bool)
        if not is_whole or not 1 <= size <= MOST_UNITS:
            is_valid = False
    if not is_valid:
        raise ValueError(f"{expected}; received {_quote(sizes)}.")
    return [int(size) for size in sizes]


def _check_dropout(dropout):
    is_number = isinstance(dropout, int | float | np.integer | np.floating)
    if not is_number or not 0 <= dropout < 1:
        raise ValueError(
            f"`dropout` must be a number, at least 0 and below 1; received {_quote(dropout)}."
        )


def _quote(value):
    """Return the beginning of a value's repr, in one line."""
    try:
        text = repr(value)
    except Exception:
        return f"a {type(value).__name__}"
    return " ".join(text[:_QUOTED_CHARACTERS].split())


def _check_convolutions(conv_filters, kernel_sizes):
    """Refuse convolutions that do not match, or that leave nothing of an image."""
    if len(conv_filters) != len(kernel_sizes):
        raise ValueError(
            "`conv_filters` and `kernel_sizes` must be equally long; "
            f"received {list(conv_filters)} and {list(kernel_sizes)}."
        )
    side = IMAGE_SIDE
    for size in kernel_sizes:
        # A window fits in `side - size + 1` places; the pooling halves them.
        side = (side - size + 1) // 2
    if side < 1:
        raise ValueError(
            f"`kernel_sizes` {list(kernel_sizes)} with a 2×2 pooling after each leave nothing of a "
            "28×28 image; use fewer or smaller windows."
        )
