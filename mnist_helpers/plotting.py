"""Draw digits, data, networks and results, on the axes you pass or on new ones.

Every ``plot_`` function returns the Axes it drew on. `show` displays their figure under the cell,
with a text for readers who cannot see it.
"""

import contextlib
import io
import math
import re
from pathlib import Path

import numpy as np

from mnist_helpers import in_notebook
from mnist_helpers.library_settings import matplotlib_defaults
from mnist_helpers.preprocessing import as_array, check_number

with matplotlib_defaults():
    import matplotlib
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes
    from matplotlib.backends import backend_registry
    from matplotlib.figure import FigureBase

IMAGE_SIDE = 28
N_DIGITS = 10

# Characters. A shorter text cannot say what is to be seen.
MIN_ALT_LENGTH = 40

# One figure holds so many at most: more would take minutes, and be a picture that nothing shows.
MOST_IMAGES = 500
MOST_COLUMNS = 50
MOST_LAYERS = 100
# A title is cut after this many characters.
MOST_TITLE_CHARACTERS = 100

# The types of numbers that are whole: int, unsigned.
WHOLE_KINDS = "iu"
# And those that are drawn as shares: bool, float.
SHARE_KINDS = "bf"
NUMBER_KINDS = WHOLE_KINDS + SHARE_KINDS
# Rounding, and an interpolation, leave shares a little outside of 0 to 1.
SHARE_TOLERANCE = 0.01

# Above this gray level black text reads best, at or below it white text does.
MIDDLE_GRAY = 127

# On a longer curve the markers would hide the line.
MOST_EPOCHS_WITH_MARKERS = 29

# A share of the darkest mistake; text on anything darker must be white.
WHITE_TEXT_ABOVE = 0.55

# A lower probability would be written as 0.00.
LOWEST_WRITTEN_PROBABILITY = 0.005

# The diagram of a network. Its axes measure x and y in the distance between two layers.
LAYER_INCHES = 0.88
CAPTION_Y = -1.15
CAPTION_FONT_SIZE = 9
# So many characters of this size fit between two layers.
CAPTION_CHARACTERS = 10
CAPTION_LINE_HEIGHT = 0.17
CAPTION_BOTTOM = -1.62
# A feature map as high as an image has a side of 0.16 + 0.56; the 0.16 keeps tiny maps visible.
SMALLEST_MAP = 0.16
MAP_GROWTH = 0.56
MAP_SHIFT = 0.045
MOST_MAPS = 5
MOST_UNITS = 10
HIGHEST_UNIT = 0.9
# Names of networks that are written in capitals in the title.
ACRONYMS = ("mlp", "cnn")

# What is drawn of a training's history, and how it is named.
CURVES = {
    "accuracy": "training accuracy",
    "loss": "training loss",
    "val_accuracy": "validation accuracy",
    "val_loss": "validation loss",
}

# The course's own look. Not by its name, which a style sheet of the user might have.
STYLE_SHEET = Path(__file__).with_name("style.mplstyle")
# It changes what differs from matplotlib's own defaults: a user's matplotlibrc may say anything.
STYLES = ("default", STYLE_SHEET)
# What Jupyter draws with; it needs no screen.
INLINE_BACKEND = "module://matplotlib_inline.backend_inline"


def use_style():
    """Let every figure from here on look as the course's do, whatever this user's settings say.

    A file ``matplotlibrc`` changes nothing any more: neither colors nor sizes, nor that text is
    handed to LaTeX. Nor is a window opened, where another back end than Jupyter's is set.

    Examples
    --------
    >>> use_style()
    >>> plt.rcParams["image.cmap"]
    'gray'
    """
    if in_notebook():
        # Loading a back end may change settings, so it comes before the style.
        plt.switch_backend(_jupyter_backend())
    plt.style.use(STYLES)


@contextlib.contextmanager
def course_style():
    """Draw in this block as `use_style` lets everything be drawn.

    Examples
    --------
    >>> with course_style():
    ...     ax = plot_class_counts(np.array([1, 1, 3]))
    """
    with plt.style.context(STYLES):
        yield


def show(axes, alt):
    """Show the figure of `axes` under the cell, and store `alt` beside the picture.

    Parameters
    ----------
    axes : matplotlib Axes, or ndarray of them
        Any axes of the figure. The figure is closed afterwards.
    alt : str
        What is to be seen, for readers who cannot see it; at least 40 characters.

    Raises
    ------
    ValueError
        If `alt` is too short to say anything.
    TypeError
        If `axes` are no Axes, or `alt` is no text.

    Examples
    --------
    >>> import numpy as np
    >>> ax = plot_class_counts(np.array([1, 1, 3]))
    >>> show(ax, "A bar for each digit: two ones and one three.")  # doctest: +SKIP
    """
    from IPython.display import display

    figure = _check_axes("axes", axes)[0].figure
    data, metadata = png_bundle(figure, alt)
    # Otherwise Jupyter shows the open figure a second time, without its text.
    plt.close(figure)
    display(data, metadata=metadata, raw=True)


def png_bundle(figure, alt):
    """Return a figure as Jupyter's MIME bundle, with `alt` both as text and as metadata.

    Parameters
    ----------
    figure : matplotlib Figure
    alt : str
        What is to be seen; at least 40 characters.

    Returns
    -------
    data, metadata : dict
        As ``IPython.display.display(data, metadata=metadata, raw=True)`` takes them.

    Raises
    ------
    ValueError
        If `alt` is too short to say anything.
    TypeError
        If `figure` is no figure, or `alt` is no text.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> data, metadata = png_bundle(Figure(), "An empty figure: nothing has been drawn yet.")
    >>> data["text/plain"]
    'An empty figure: nothing has been drawn yet.'
    """
    if not isinstance(figure, FigureBase):
        raise TypeError(f"`figure` must be a matplotlib Figure; received a {_kind(figure)}.")
    if not isinstance(alt, str):
        raise TypeError(
            f"`alt` must be text that says what is to be seen; received a {_kind(alt)}."
        )
    if len(alt.strip()) < MIN_ALT_LENGTH:
        raise ValueError(
            f"`alt` must say in {MIN_ALT_LENGTH} characters or more what is to be seen; "
            f"received {alt!r}."
        )
    png = io.BytesIO()
    figure.savefig(png, format="png", facecolor="white")
    data = {"image/png": png.getvalue(), "text/plain": alt}
    metadata = {"image/png": {"alt": alt}}
    return data, metadata


def plot_digits(images, titles=None, *, n_cols=3):
    """Draw images in a grid, in gray, all on the range of their type.

    Parameters
    ----------
    images : ndarray, shape (n, 28, 28), (n, 784) or (n, 28, 28, 1)
        uint8 in 0..255 or float in 0..1.
    titles : sequence, optional
        One title for each image. It is shown as it is: a ``$`` begins no formula.
    n_cols : int
        Columns of the grid, 1 to 50. Spare axes of the last row are hidden.

    Returns
    -------
    ndarray of Axes, shape (n_rows, n_cols)

    Raises
    ------
    ValueError
        If there is no image or more than 500, if images have another shape, type or range, if
        there are not as many titles as images, or if `n_cols` is out of range.
    TypeError
        If `n_cols` is no number.

    Examples
    --------
    >>> import numpy as np
    >>> axes = plot_digits(np.zeros((5, 28, 28), dtype="uint8"), n_cols=4)
    >>> axes.shape
    (2, 4)
    """
    images = _check_images(images)
    n_cols = _check_columns(n_cols)
    if titles is not None:
        titles = _check_titles(titles, len(images))

    n_rows = math.ceil(len(images) / n_cols)
    # Inches for each image; a title needs a little more.
    width = 1.5
    height = 1.5
    if titles is not None:
        height = 1.75
    figure_size = (width * n_cols, height * n_rows)
    _, axes = plt.subplots(n_rows, n_cols, figsize=figure_size, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, image in zip(axes.flat, images, strict=False):
        _draw_digit(ax, image)
    if titles is not None:
        for ax, title in zip(axes.flat, titles, strict=False):
            ax.set_title(title, parse_math=False)
    return axes


def plot_pixels(image, ax=None):
    """Draw one digit and write the gray level of each pixel in it.

    Parameters
    ----------
    image : ndarray of uint8, shape (28, 28)
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If `image` has another shape or type.
    TypeError
        If `ax` is no Axes.

    Examples
    --------
    >>> import numpy as np
    >>> ax = plot_pixels(np.zeros((28, 28), dtype="uint8"))
    >>> len(ax.texts)
    784
    """
    image = _check_gray_levels(image)
    if image.shape != (IMAGE_SIDE, IMAGE_SIDE):
        raise ValueError(f"`image` must have shape (28, 28); received {image.shape}.")
    ax = _axes(ax, (7.5, 7.5))
    _draw_digit(ax, image)
    for (row, column), gray_level in np.ndenumerate(image):
        ax.text(
            column,
            row,
            gray_level,
            ha="center",
            va="center",
            fontsize=6.5,
            color=_color_on(gray_level),
        )
    ticks = range(0, IMAGE_SIDE, 9)
    ax.set(xlabel="column", ylabel="row", xticks=ticks, yticks=ticks)
    return ax


def plot_histogram(image, ax=None):
    """Draw how often each range of gray levels occurs in one image, on a log scale.

    Parameters
    ----------
    image : ndarray of uint8, any shape
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If `image` has no pixels, or another type.
    TypeError
        If `ax` is no Axes.

    Examples
    --------
    >>> import numpy as np
    >>> ax = plot_histogram(np.zeros((28, 28), dtype="uint8"))
    >>> len(ax.patches)
    16
    """
    image = _check_gray_levels(image)
    ax = _axes(ax)
    edges = np.arange(0, 257, 16)
    ax.hist(np.ravel(image), bins=edges, color="0.4", edgecolor="white")
    ax.set(xlabel="gray level", ylabel="pixels (log scale)", yscale="log", xlim=(0, 256))
    ax.set_xticks(range(0, 257, 64))
    return ax


def plot_class_counts(labels, ax=None):
    """Draw how many times each digit occurs.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
        Digits from 0 to 9.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If `labels` are not a row of digits.
    TypeError
        If `ax` is no Axes.

    Examples
    --------
    >>> import numpy as np
    >>> ax = plot_class_counts(np.array([1, 1, 3]))
    >>> int(ax.patches[1].get_height())
    2
    """
    labels = as_array("labels", labels)
    if labels.ndim != 1 or labels.dtype.kind not in WHOLE_KINDS:
        raise ValueError(
            "`labels` must be whole numbers of shape (n,); received "
            f"{labels.dtype} {labels.shape}. Rows of ten need argmax(axis=1) first."
        )
    if labels.size > 0 and (labels.min() < 0 or labels.max() >= N_DIGITS):
        raise ValueError(
            f"`labels` must lie between 0 and 9; received {labels.min()} to {labels.max()}."
        )
    ax = _axes(ax)
    digits = range(N_DIGITS)
    # NumPy counts no unsigned 64-bit numbers.
    labels = labels.astype("int64")
    counts = np.bincount(labels, minlength=N_DIGITS)
    bars = ax.bar(digits, counts, color="0.6", edgecolor="black")
    ax.bar_label(bars, fmt="{:,.0f}", fontsize=8)
    ax.set(xlabel="digit", ylabel="images", xticks=digits)
    return ax


def plot_history(history, axes=None):
    """Draw accuracy and loss by epoch: training and, where there is one, validation.

    Parameters
    ----------
    history : dict of str to sequence of float
        As in ``model.fit(...).history``: ``loss``, perhaps also ``accuracy``, ``val_accuracy``
        and ``val_loss``. What is NaN or infinite leaves a gap.
    axes : two Axes, optional

    Returns
    -------
    ndarray of two Axes

    Raises
    ------
    ValueError
        If there is no loss, or what is drawn are no rows of numbers.
    TypeError
        If `history` is no dict, or `axes` are not two Axes.

    Examples
    --------
    >>> axes = plot_history({"accuracy": [0.91, 0.95], "loss": [0.31, 0.17]})
    >>> axes[1].get_ylabel()
    'loss'
    """
    curves = _check_history(history)
    if axes is None:
        _, axes = plt.subplots(1, 2, figsize=(8, 3.2))
    elif len(_check_axes("axes", axes)) != 2:
        raise TypeError("`axes` must be two Axes, for accuracy and loss; received another number.")
    for ax, name in zip(axes, ["accuracy", "loss"], strict=True):
        _draw_curve(ax, curves.get(name), "training")
        _draw_curve(ax, curves.get(f"val_{name}"), "validation")
        ax.set(xlabel="epoch", ylabel=name)
        ax.xaxis.get_major_locator().set_params(integer=True)
        # matplotlib warns of a legend that has nothing to name.
        if ax.lines:
            ax.legend()
    return axes


def history_in_words(history):
    """Say what `plot_history` shows: where each curve begins and ends.

    Parameters
    ----------
    history : dict of str to sequence of float
        As `plot_history` takes it.

    Returns
    -------
    str

    Raises
    ------
    ValueError, TypeError
        As `plot_history`.

    Examples
    --------
    >>> history_in_words({"loss": [0.31, 0.17]})
    'Curves by epoch, 1 to 2: training loss goes from 0.3100 to 0.1700.'
    """
    curves = _check_history(history)
    words = []
    for key, values in curves.items():
        words.append(f"{CURVES[key]} goes from {values[0]:.4f} to {values[-1]:.4f}")
    n_epochs = len(curves["loss"])
    return f"Curves by epoch, 1 to {n_epochs}: {'; '.join(words)}."


def plot_network(model, ax=None):
    """Draw a Sequential model layer by layer: kind, output shape and number of parameters.

    Stacks of squares are feature maps. Columns of circles are the units of a vector (only some of
    a long one); open circles are dropped units. Lines join every unit of a dense layer to every
    unit of the layer before it.

    Parameters
    ----------
    model : keras.Sequential
        Built, with outputs of shape (n,) or (height, width, channels); 100 layers at most.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the model is not built or has too many layers, or an output has another shape.
    TypeError
        If `model` is no model, or `ax` is no Axes.

    Examples
    --------
    >>> from mnist_helpers.models import build_mlp
    >>> ax = plot_network(build_mlp(hidden_units=[32]))
    >>> print(ax.texts[1].get_text())
    Dense
    32
    25,120
    """
    shapes = _layer_shapes(model)
    n_columns = len(shapes)
    margin_inches = 1
    ax = _axes(ax, (LAYER_INCHES * n_columns + margin_inches, 3))

    captions = [("Input", shapes[0], "–")]
    ends = _draw_output(ax, 0, shapes[0])
    for x, layer in enumerate(model.layers, start=1):
        ends = _draw_layer(ax, x, layer, shapes[x], ends)
        captions.append((type(layer).__name__, shapes[x], _details(layer)))
    bottom = _write_captions(ax, captions)

    # Room on the left for the names of the three lines, and below for the captions.
    ax.set(xlim=(-1.5, n_columns - 0.4), ylim=(bottom, 1.05), aspect="equal")
    title = _one_title(model.name).replace("_", " ")
    if title in ACRONYMS:
        title = title.upper()
    ax.set_title(f"{title}: {model.count_params():,} parameters", parse_math=False)
    ax.axis("off")
    return ax


def plot_predictions(images, labels, predicted, *, n_cols=3):
    """Draw digits, each under what was read and what it is.

    Parameters
    ----------
    images : ndarray, shape (n, 28, 28)
    labels, predicted : sequence of int, shape (n,)
        True and predicted digits.
    n_cols : int
        Columns of the grid, 1 to 50.

    Returns
    -------
    ndarray of Axes, shape (n_rows, n_cols)

    Raises
    ------
    ValueError, TypeError
        As `plot_digits`, and if there are not as many labels and predictions as images.

    Examples
    --------
    >>> import numpy as np
    >>> axes = plot_predictions(np.zeros((1, 28, 28)), labels=[5], predicted=[3])
    >>> axes[0, 0].get_title()
    'read 3, is 5'
    """
    images = _check_images(images)
    labels = as_array("labels", labels)
    predicted = as_array("predicted", predicted)
    for name, digits in (("labels", labels), ("predicted", predicted)):
        if digits.shape != (len(images),):
            raise ValueError(
                f"`{name}` must be one digit for each of the {len(images)} images; received "
                f"{digits.shape}. Rows of ten need argmax(axis=1) first."
            )
    titles = []
    for label, read in zip(labels, predicted, strict=True):
        titles.append(f"read {read}, is {label}")
    return plot_digits(images, titles, n_cols=n_cols)


def plot_confusion(confusion_matrix, ax=None):
    """Draw a confusion matrix: true digits in rows, predicted ones in columns.

    The shade of a square is its share of the row. The diagonal stays white, so that the mistakes
    have the whole range of grays to themselves and the eye finds them.

    Parameters
    ----------
    confusion_matrix : ndarray of int, shape (10, 10)
        As ``sklearn.metrics.confusion_matrix`` gives it.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If it has another shape, or other values than counts.
    TypeError
        If `ax` is no Axes.

    Examples
    --------
    >>> import numpy as np
    >>> ax = plot_confusion(np.eye(10, dtype=int))
    >>> ax.get_ylabel()
    'true digit'
    """
    counts = as_array("confusion_matrix", confusion_matrix)
    if counts.shape != (N_DIGITS, N_DIGITS) or counts.dtype.kind not in WHOLE_KINDS:
        raise ValueError(
            "`confusion_matrix` must be whole numbers of shape (10, 10); received "
            f"{counts.dtype} {counts.shape}."
        )
    if counts.min() < 0:
        raise ValueError(f"`confusion_matrix` must be counts; received {counts.min()}.")
    ax = _axes(ax, (6, 5.4))
    # A count of so many digits fits into its square; more of them are written smaller.
    n_fitting = 5
    font_size = 9 * n_fitting / max(n_fitting, len(str(counts.max())))
    shades = _mistake_shares(counts)
    # Without any mistake the scale must not end at 0.
    darkest = shades.max() or 1
    ax.imshow(shades, cmap="Greys", vmin=0, vmax=darkest)
    for (row, column), count in np.ndenumerate(counts):
        text = "·"
        if count > 0:
            text = str(count)
        color = "black"
        if shades[row, column] > WHITE_TEXT_ABOVE * darkest:
            color = "white"
        weight = "normal"
        if row == column:
            weight = "bold"
        ax.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            color=color,
            weight=weight,
            fontsize=font_size,
        )
    digits = range(N_DIGITS)
    ax.set(xlabel="predicted digit", ylabel="true digit", xticks=digits, yticks=digits)
    return ax


def plot_probabilities(probabilities, label=None, ax=None):
    """Draw the probabilities of one image as bars.

    Parameters
    ----------
    probabilities : sequence of float, shape (10,)
        In [0, 1], one for each digit.
    label : int, optional
        The true digit, whose bar is hatched.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If they are not ten numbers from 0 to 1, or `label` is no digit.
    TypeError
        If `ax` is no Axes.

    Examples
    --------
    >>> ax = plot_probabilities([0.1] * 10, label=4)
    >>> ax.patches[4].get_hatch()
    '///'
    """
    probabilities = as_array("probabilities", probabilities)
    if probabilities.shape != (N_DIGITS,) or probabilities.dtype.kind not in NUMBER_KINDS:
        raise ValueError(
            "`probabilities` must be ten numbers, one for each digit; received "
            f"{probabilities.dtype} {probabilities.shape}."
        )
    _check_shares("probabilities", probabilities)
    is_digit = isinstance(label, int | np.integer) and 0 <= label < N_DIGITS
    if label is not None and not is_digit:
        raise ValueError(
            f"`label` must be a digit from 0 to 9; received a {_kind(label)} of another value."
        )
    ax = _axes(ax, (4.5, 3))
    digits = range(N_DIGITS)
    bars = ax.bar(digits, probabilities, color="0.75", edgecolor="black")
    for digit, bar in enumerate(bars):
        if digit == label:
            # A hatch, not a color: it shows in print and to those who see no colors.
            bar.set_hatch("///")
    bar_labels = []
    for probability in probabilities:
        if probability >= LOWEST_WRITTEN_PROBABILITY:
            bar_labels.append(f"{probability:.2f}")
        else:
            bar_labels.append("")
    ax.bar_label(bars, bar_labels, fontsize=8)
    # Room above a bar of height 1 for its number.
    ax.set(xlabel="digit", ylabel="probability", xticks=digits, ylim=(0, 1.08))
    return ax


def _jupyter_backend():
    """Return the back end that draws under the cells: Jupyter's, or one that fits into it."""
    backend = matplotlib.get_backend(auto_select=False)
    # matplotlib's own ones open windows or write files; those of Jupyter come from elsewhere.
    if backend is None or backend.lower() in backend_registry.list_builtin():
        return INLINE_BACKEND
    return backend


# --- what is handed over -----------------------------------------------------------------------


def _kind(value):
    return type(value).__name__


def _axes(ax, figsize=None):
    """Return the axes that were handed over, or new ones."""
    if ax is None:
        _, ax = plt.subplots(figsize=figsize)
    elif not isinstance(ax, Axes):
        raise TypeError(f"`ax` must be matplotlib Axes; received a {_kind(ax)}.")
    return ax


def _check_axes(name, axes):
    """Return one or several Axes as a list."""
    axes = as_array(name, axes).ravel().tolist()
    if not axes or not all(isinstance(ax, Axes) for ax in axes):
        raise TypeError(f"`{name}` must be matplotlib Axes, or an array of them.")
    return axes


def _check_images(images):
    """Return images as an array, of gray levels in uint8 or of shares."""
    images = as_array("images", images)
    shapes = ((IMAGE_SIDE, IMAGE_SIDE), (IMAGE_SIDE**2,), (IMAGE_SIDE, IMAGE_SIDE, 1))
    if len(images.shape) == 0 or len(images) == 0 or images.shape[1:] not in shapes:
        message = f"`images` must be one or more of 28×28 pixels; received {images.shape}."
        if images.shape in shapes:
            message += " One image alone needs a batch axis: images[None]."
        raise ValueError(message)
    if len(images) > MOST_IMAGES:
        raise ValueError(
            f"one figure holds up to {MOST_IMAGES} `images`; received {len(images)}. Choose some "
            "of them, as images[:60]."
        )
    if images.dtype != np.uint8 and images.dtype.kind not in SHARE_KINDS:
        raise ValueError(
            f"`images` must be uint8 from 0 to 255 or float from 0 to 1; received {images.dtype}."
        )
    if images.dtype != np.uint8:
        _check_shares("images", images)
    return images


def _check_shares(name, values):
    if not np.isfinite(values).all():
        raise ValueError(f"`{name}` must be finite numbers; received NaN or infinity among them.")
    smallest = float(values.min())
    largest = float(values.max())
    if smallest < -SHARE_TOLERANCE or largest > 1 + SHARE_TOLERANCE:
        raise ValueError(
            f"`{name}` must lie between 0 and 1; received {smallest:g} to {largest:g}."
        )


def _check_gray_levels(image):
    image = as_array("image", image)
    if image.dtype != np.uint8 or image.size == 0:
        raise ValueError(
            "`image` must be gray levels from 0 to 255, as uint8; received "
            f"{image.dtype} {image.shape}."
        )
    return image


def _check_columns(n_cols):
    check_number("n_cols", n_cols)
    if int(n_cols) != n_cols or not 1 <= n_cols <= MOST_COLUMNS:
        raise ValueError(
            f"`n_cols` must be a whole number from 1 to {MOST_COLUMNS}; received {n_cols:g}."
        )
    return int(n_cols)


def _check_titles(titles, n_images):
    try:
        n_titles = len(titles)
        titles = [_one_title(title) for title in titles]
    except Exception:
        raise ValueError(
            f"`titles` must be a list with one for each image; received a {_kind(titles)} that is "
            "none, or holds what has no text."
        ) from None
    if n_titles != n_images:
        raise ValueError(f"{n_images} images need as many `titles`; received {n_titles}.")
    return titles


def _one_title(title):
    """Return a title's text without what no font can draw, and not too long."""
    characters = []
    for character in str(title)[:MOST_TITLE_CHARACTERS]:
        # matplotlib draws controls as boxes, and fails at halves of a character.
        if not character.isprintable() and character != "\n":
            character = " "
        characters.append(character)
    return "".join(characters)


def _check_history(history):
    """Return the curves of a history: a row of floats for each name of `CURVES` it has."""
    if not isinstance(history, dict):
        raise TypeError(
            f"`history` must be a dict, as model.fit(...).history is; received a {_kind(history)}."
        )
    if "loss" not in history:
        raise ValueError("`history` must have a loss, as model.fit(...).history has.")
    curves = {}
    for name in CURVES:
        if history.get(name) is None:
            continue
        values = as_array(f"history['{name}']", history[name])
        if values.ndim != 1 or values.size == 0 or values.dtype.kind not in NUMBER_KINDS:
            raise ValueError(
                f"history['{name}'] must be a list with one number for each epoch; received "
                f"{values.dtype} {values.shape}."
            )
        curves[name] = values.astype("float64")
    return curves


def _layer_shapes(model):
    """Return the shapes of a model's input and of each layer's output."""
    if not hasattr(model, "layers") or not hasattr(model, "count_params"):
        raise TypeError(f"`model` must be a Sequential model of Keras; received a {_kind(model)}.")
    if not model.built or not model.layers:
        raise ValueError("`model` must be built: begin with keras.Input, or call model.build.")
    if len(model.layers) > MOST_LAYERS:
        raise ValueError(
            f"`model` must have at most {MOST_LAYERS} layers; received {len(model.layers)}."
        )
    shapes = [_check_shape("the input", model.inputs[0].shape[1:])]
    for layer in model.layers:
        shapes.append(_check_shape(f"the layer {layer.name!r:.60}", _output_shape(layer)))
    return shapes


def _output_shape(layer):
    try:
        return layer.output.shape[1:]
    except (AttributeError, ValueError):
        # A layer that is used twice, or has several outputs, has no single one.
        return ()


def _check_shape(place, shape):
    shape = tuple(shape)
    if len(shape) not in (1, 2, 3) or None in shape:
        raise ValueError(
            "`model` must have outputs of shape (n,) or (height, width, channels), all of them "
            f"numbers; {place} has {shape}."
        )
    return shape


# --- parts of the figures ----------------------------------------------------------------------


def _draw_digit(ax, image):
    image = np.reshape(image, (IMAGE_SIDE, IMAGE_SIDE))
    brightest = 1
    if image.dtype == np.uint8:
        brightest = 255
    # Left to itself, imshow would stretch the grays of each image on its own.
    ax.imshow(image, vmin=0, vmax=brightest, cmap="gray")


def _color_on(gray_level):
    """Return the color of a text on a pixel: faint where there is no ink."""
    if gray_level > MIDDLE_GRAY:
        return "black"
    if gray_level > 0:
        return "white"
    return "0.45"


def _draw_curve(ax, values, label):
    """Draw one value for each epoch, or nothing where there are none."""
    if values is None:
        return
    epochs = range(1, len(values) + 1)
    marker = ""
    if len(values) <= MOST_EPOCHS_WITH_MARKERS:
        marker = "o"
    ax.plot(epochs, values, label=label, marker=marker)


def _mistake_shares(counts):
    """Return a confusion matrix as shares of its rows, with zeros on the diagonal."""
    mistakes = counts.copy()
    np.fill_diagonal(mistakes, 0)
    n_images = counts.sum(axis=1, keepdims=True)
    # A digit that does not occur has a row of zeros: 0 / 1, not 0 / 0.
    return mistakes / np.maximum(n_images, 1)


# --- the diagram of a network ------------------------------------------------------------------


def _draw_layer(ax, x, layer, shape, ends_before):
    """Draw one layer in column `x`; return where lines to it can end.

    This is the place to add a kind of layer. Ask for its class name, as below: draw what tells it
    from others, and say in `_details` what belongs in the last line of its caption.
    """
    kind = type(layer).__name__
    if "Dropout" in kind:
        return _draw_output(ax, x, shape, _dropout_rate(layer))
    ends = _draw_output(ax, x, shape)
    if kind == "Dense":
        _join(ax, x, ends_before, ends)
    return ends


def _details(layer):
    """Return the last line of a layer's caption."""
    if layer.count_params() > 0:
        return f"{layer.count_params():,}"
    if "Dropout" in type(layer).__name__ and _dropout_rate(layer) > 0:
        return f"rate {_dropout_rate(layer):g}"
    return "–"


def _dropout_rate(layer):
    # Also SpatialDropout2D, GaussianDropout and the like: all of Keras' have a rate.
    return getattr(layer, "rate", 0)


def _draw_output(ax, x, shape, dropout_rate=0.0):
    """Draw a layer's output as maps or as units; return the heights at which lines can end."""
    if len(shape) == 3:
        _draw_maps(ax, x, shape)
        # No line ends at a stack of maps: a dense layer does not follow one directly.
        return []
    return _draw_units(ax, x, shape[0], dropout_rate)


def _draw_maps(ax, x, shape):
    height, _, channels = shape
    side = SMALLEST_MAP + MAP_GROWTH * height / IMAGE_SIDE
    # More maps than these would only be a thicker stack.
    n_maps = min(channels, MOST_MAPS)
    for i in range(n_maps):
        # Each map lies in front of the one before, a little to the right and below.
        shift = MAP_SHIFT * (i - (n_maps - 1) / 2)
        left = x + shift - side / 2
        bottom = -shift - side / 2
        square = plt.Rectangle((left, bottom), side, side, fc="0.92", ec="black", zorder=2 + i)
        ax.add_patch(square)


def _draw_units(ax, x, n_units, dropout_rate):
    n_circles = min(n_units, MOST_UNITS)
    heights = np.linspace(HIGHEST_UNIT, -HIGHEST_UNIT, n_circles)
    colors = []
    for i in range(n_circles):
        # Spread evenly: circle i is dropped where the number dropped so far goes up by one.
        is_dropped = int((i + 1) * dropout_rate) > int(i * dropout_rate)
        colors.append("white" if is_dropped else "0.35")
    ax.scatter([x] * n_circles, heights, s=55, c=colors, edgecolors="black", zorder=3)
    return heights


def _join(ax, x, heights_before, heights):
    """Draw a line from each unit of the column before `x` to each unit in column `x`."""
    for y_before in heights_before:
        for y in heights:
            ax.plot([x - 1, x], [y_before, y], color="0.8", linestyle="-", linewidth=0.5, zorder=0)


def _write_captions(ax, captions):
    """Write each column's kind, shape and details below it; return where the lowest line ends."""
    kinds = [_break_kind(kind) for kind, _, _ in captions]
    n_lines = max(len(lines) for lines in kinds)
    columns = []
    for lines, (_, shape, details) in zip(kinds, captions, strict=True):
        sizes = "×".join(str(size) for size in shape)
        # A kind that takes fewer lines than others ends where they end.
        blank = [""] * (n_lines - len(lines))
        columns.append([*blank, *lines, sizes, details])

    longest = CAPTION_CHARACTERS
    for lines in columns:
        longest = max(longest, *[len(line) for line in lines])
    font_size = CAPTION_FONT_SIZE * CAPTION_CHARACTERS / longest
    options = {"va": "top", "fontsize": font_size, "parse_math": False}
    for x, lines in enumerate(columns):
        ax.text(x, CAPTION_Y, "\n".join(lines), ha="center", **options)
    row_names = "\n" * (n_lines - 1) + "layer\noutput\nparameters"
    ax.text(-0.6, CAPTION_Y, row_names, ha="right", **options)
    return CAPTION_BOTTOM - CAPTION_LINE_HEIGHT * (n_lines - 1)


def _break_kind(kind):
    """Return the name of a kind of layer in lines that fit between two layers."""
    short = kind.replace("Pooling2D", "Pool").replace("Conv2D", "Conv")
    short = short.replace("Normalization", "Norm")
    lines = [""]
    for word in re.findall(r"[^A-Z]+|[A-Z]+[^A-Z]*", short):
        if len(lines[-1] + word) > CAPTION_CHARACTERS:
            lines.append("")
        lines[-1] += word
    # The first word may be too long, and leave an empty line before it.
    lines = [line for line in lines if line]
    for number, line in enumerate(lines):
        if len(line) > CAPTION_CHARACTERS:
            lines[number] = line[: CAPTION_CHARACTERS - 1] + "…"
    return lines
