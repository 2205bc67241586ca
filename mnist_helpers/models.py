"""The two articles' networks, as uncompiled Keras models, and the variants around them."""

import hashlib
import io
import json
from importlib import resources

import numpy as np

DROPOUT_PLACES = ("after_convolutions", "after_dense", "both")


def build_mlp(hidden_units=(512, 512), dropout=0.2):
    """Build a dense network; the defaults are Gregor Koehler's (669,706 parameters).

    Parameters
    ----------
    hidden_units : sequence of int
        Units of each hidden layer, one or more; each is followed by ReLU and dropout.
    dropout : float
        Share of activations set to zero while training, 0 <= dropout < 1.

    Returns
    -------
    keras.Sequential
        Uncompiled; takes vectors (n, 784) in [0, 1], gives probabilities (n, 10).

    Raises
    ------
    ValueError
        If a value is out of range.
    """
    import keras

    _check_sizes("hidden_units", hidden_units)
    _check_dropout(dropout)
    layers = [keras.Input(shape=(784,), name="pixels")]
    for i, units in enumerate(hidden_units, start=1):
        layers += [
            keras.layers.Dense(units, activation="relu", name=f"hidden_{i}"),
            keras.layers.Dropout(dropout, name=f"dropout_{i}"),
        ]
    layers.append(keras.layers.Dense(10, activation="softmax", name="digit"))
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
        Filters and window size of each convolution, equally many; each convolution is followed by
        ReLU and by 2×2 max pooling.
    dense_units : sequence of int
        Units of each dense layer between the convolutions and the output, one or more.
    dropout : float
        Share of activations set to zero while training, 0 <= dropout < 1.
    dropout_place : {"after_convolutions", "after_dense", "both"}
        Once before the flattening, as in the article; after each hidden dense layer; or both.

    Returns
    -------
    keras.Sequential
        Uncompiled; takes images (n, 28, 28, 1) in [0, 1], gives probabilities (n, 10).

    Raises
    ------
    ValueError
        If a value is out of range, or the convolutions leave nothing of a 28×28 image.
    """
    import keras

    _check_sizes("conv_filters", conv_filters)
    _check_sizes("kernel_sizes", kernel_sizes)
    _check_sizes("dense_units", dense_units)
    _check_dropout(dropout)
    if len(conv_filters) != len(kernel_sizes):
        raise ValueError(
            "`conv_filters` and `kernel_sizes` must be equally long; "
            f"received {list(conv_filters)} and {list(kernel_sizes)}."
        )
    if dropout_place not in DROPOUT_PLACES:
        raise ValueError(f"`dropout_place` must be one of {DROPOUT_PLACES}; got {dropout_place!r}.")
    side = 28
    for size in kernel_sizes:
        side = (side - size + 1) // 2
    if side < 1:
        raise ValueError(
            f"`kernel_sizes` {list(kernel_sizes)} with a 2×2 pooling after each leave nothing of a "
            "28×28 image; use fewer or smaller windows."
        )

    layers = [keras.Input(shape=(28, 28, 1), name="image")]
    for i, (filters, size) in enumerate(zip(conv_filters, kernel_sizes, strict=True), start=1):
        layers += [
            keras.layers.Conv2D(filters, size, activation="relu", name=f"convolution_{i}"),
            keras.layers.MaxPooling2D(2, name=f"pooling_{i}"),
        ]
    if dropout_place != "after_dense":
        layers.append(keras.layers.Dropout(dropout, name="dropout"))
    layers.append(keras.layers.Flatten(name="flatten"))
    for i, units in enumerate(dense_units, start=1):
        layers.append(keras.layers.Dense(units, activation="relu", name=f"hidden_{i}"))
        if dropout_place != "after_convolutions":
            layers.append(keras.layers.Dropout(dropout, name=f"dropout_{i}"))
    layers.append(keras.layers.Dense(10, activation="softmax", name="digit"))
    return keras.Sequential(layers, name="cnn")


def build_reader():
    """Build the network that reads people's own digits (271,003 parameters).

    Returns
    -------
    keras.Sequential
        Uncompiled; takes images (n, 28, 28, 1) in [0, 1], gives probabilities (n, 11): ten digits,
        and last that it is none.
    """
    import keras

    layers = [keras.Input(shape=(28, 28, 1), name="image")]
    for i, filters in enumerate((16, 48, 64, 96, 128), start=1):
        layers += [
            keras.layers.Conv2D(
                filters, 3, padding="same", use_bias=False, name=f"convolution_{i}"
            ),
            keras.layers.BatchNormalization(name=f"normalization_{i}"),
            keras.layers.ReLU(name=f"relu_{i}"),
        ]
        if i in (1, 3):
            layers.append(keras.layers.MaxPooling2D(2, name=f"pooling_{i}"))
    layers += [
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dropout(0.3, name="dropout"),
        keras.layers.Dense(11, activation="softmax", dtype="float32", name="digit_or_none"),
    ]
    return keras.Sequential(layers, name="reader")


def load_pretrained(name):
    """Load a network that has been trained: whoever missed a notebook goes on from here.

    Parameters
    ----------
    name : {"mlp", "cnn", "reader"}
        The network of notebook 01 or 02, trained on MNIST at the notebook's own parameters, or the
        one that reads people's own digits; `read_card` says how, and how well it reads.

    Returns
    -------
    keras.Sequential
        As `build_mlp`, `build_cnn` or `build_reader` give it, uncompiled, weights rounded to 16
        bits.

    Raises
    ------
    ValueError
        If there is no such network, or its file is not the one that its card describes.
    """
    card = read_card(name)
    weights = (resources.files("mnist_helpers") / "pretrained" / f"{name}.npz").read_bytes()
    if hashlib.sha256(weights).hexdigest() != card["sha256"]:
        raise ValueError(
            f"the weights of {name!r} must have the sha256 {card['sha256'][:12]}…; received a file "
            "of other bytes: install the package again"
        )
    with np.load(io.BytesIO(weights), allow_pickle=False) as arrays:
        weights = [arrays[key].astype("float32") for key in arrays]
    model = {"mlp": build_mlp, "cnn": build_cnn, "reader": build_reader}[name]()
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
        The reader's also has ``inputs``: between which values MNIST's training digits lie.

    Raises
    ------
    ValueError
        If there is no such network.
    """
    path = resources.files("mnist_helpers") / "pretrained" / "cards.json"
    cards = json.loads(path.read_text(encoding="utf-8"))
    if name not in cards:
        raise ValueError(f"`name` must be one of {', '.join(cards)}; received {name!r}.")
    return cards[name]


def _check_sizes(name, sizes):
    whole = [isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in sizes]
    if not whole or not all(whole):
        raise ValueError(
            f"`{name}` must be one or more whole numbers above 0; received {list(sizes)}."
        )


def _check_dropout(dropout):
    if not 0 <= dropout < 1:
        raise ValueError(f"`dropout` must be at least 0 and below 1; received {dropout}.")
