"""Draw digits, data, networks and results, on the axes you pass or on new ones.

Every ``plot_`` function returns the Axes it drew on. `show` displays their figure under the cell,
with a text for readers who cannot see it.
"""

import contextlib
import io
import math
from pathlib import Path

import numpy as np

from mnist_helpers import in_notebook
from mnist_helpers.library_settings import matplotlib_defaults

with matplotlib_defaults():
    import matplotlib
    import matplotlib.pyplot as plt
    from matplotlib.backends import backend_registry

IMAGE_SIDE = 28
N_DIGITS = 10

# Characters. A shorter text cannot say what is to be seen.
MIN_ALT_LENGTH = 40

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
# A feature map as high as an image has a side of 0.16 + 0.56; the 0.16 keeps tiny maps visible.
SMALLEST_MAP = 0.16
MAP_GROWTH = 0.56
MAP_SHIFT = 0.045
MOST_MAPS = 5
MOST_UNITS = 10
HIGHEST_UNIT = 0.9
# Names of networks that are written in capitals in the title.
ACRONYMS = ("mlp", "cnn")


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

    Examples
    --------
    >>> import numpy as np
    >>> ax = plot_class_counts(np.array([1, 1, 3]))
    >>> show(ax, "A bar for each digit: two ones and one three.")  # doctest: +SKIP
    """
    from IPython.display import display

    figure = np.ravel(axes)[0].figure
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

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> data, metadata = png_bundle(Figure(), "An empty figure: nothing has been drawn yet.")
    >>> data["text/plain"]
    'An empty figure: nothing has been drawn yet.'
    """
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
        One title for each image.
    n_cols : int
        Columns of the grid. Spare axes of the last row are hidden.

    Returns
    -------
    ndarray of Axes, shape (n_rows, n_cols)

    Raises
    ------
    ValueError
        If there is no image, or if there are not as many titles as images.

    Examples
    --------
    >>> import numpy as np
    >>> axes = plot_digits(np.zeros((5, 28, 28), dtype="uint8"), n_cols=4)
    >>> axes.shape
    (2, 4)
    """
    images = np.asarray(images)
    if len(images) == 0 or images[0].size != IMAGE_SIDE**2:
        raise ValueError(f"`images` must be one or more of 28×28 pixels; received {images.shape}.")
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"{len(images)} images need as many `titles`; received {len(titles)}.")

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
            ax.set_title(title)
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

    Examples
    --------
    >>> import numpy as np
    >>> ax = plot_pixels(np.zeros((28, 28), dtype="uint8"))
    >>> len(ax.texts)
    784
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(7.5, 7.5))
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

    Examples
    --------
    >>> import numpy as np
    >>> ax = plot_histogram(np.zeros((28, 28), dtype="uint8"))
    >>> len(ax.patches)
    16
    """
    if ax is None:
        _, ax = plt.subplots()
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
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np
    >>> ax = plot_class_counts(np.array([1, 1, 3]))
    >>> int(ax.patches[1].get_height())
    2
    """
    if ax is None:
        _, ax = plt.subplots()
    digits = range(N_DIGITS)
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
        As in ``model.fit(...).history``: ``accuracy`` and ``loss``, perhaps also
        ``val_accuracy`` and ``val_loss``.
    axes : two Axes, optional

    Returns
    -------
    ndarray of two Axes

    Examples
    --------
    >>> axes = plot_history({"accuracy": [0.91, 0.95], "loss": [0.31, 0.17]})
    >>> axes[1].get_ylabel()
    'loss'
    """
    if axes is None:
        _, axes = plt.subplots(1, 2, figsize=(8, 3.2))
    for ax, name in zip(axes, ["accuracy", "loss"], strict=True):
        _draw_curve(ax, history.get(name), "training")
        _draw_curve(ax, history.get(f"val_{name}"), "validation")
        ax.set(xlabel="epoch", ylabel=name)
        ax.xaxis.get_major_locator().set_params(integer=True)
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

    Examples
    --------
    >>> history_in_words({"loss": [0.31, 0.17]})
    'Curves by epoch, 1 to 2: training loss goes from 0.3100 to 0.1700.'
    """
    names = {
        "accuracy": "training accuracy",
        "loss": "training loss",
        "val_accuracy": "validation accuracy",
        "val_loss": "validation loss",
    }
    curves = []
    for key, name in names.items():
        if key in history:
            first = history[key][0]
            last = history[key][-1]
            curves.append(f"{name} goes from {first:.4f} to {last:.4f}")
    n_epochs = len(history["loss"])
    return f"Curves by epoch, 1 to {n_epochs}: {'; '.join(curves)}."


def plot_network(model, ax=None):
    """Draw a Sequential model layer by layer: kind, output shape and number of parameters.

    Stacks of squares are feature maps. Columns of circles are the units of a vector (only some of
    a long one); open circles are dropped units. Lines join every unit of a dense layer to every
    unit of the layer before it.

    Parameters
    ----------
    model : keras.Sequential
        Built, with outputs of shape (n,) or (height, width, channels).
    ax : Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> from mnist_helpers.models import build_mlp
    >>> ax = plot_network(build_mlp(hidden_units=[32]))
    >>> print(ax.texts[1].get_text())
    Dense
    32
    25,120
    """
    n_columns = 1 + len(model.layers)
    if ax is None:
        margin_inches = 1
        _, ax = plt.subplots(figsize=(LAYER_INCHES * n_columns + margin_inches, 3))

    input_shape = model.input_shape[1:]
    ends = _draw_output(ax, 0, input_shape)
    _write_caption(ax, 0, "Input", input_shape, "–")
    for x, layer in enumerate(model.layers, start=1):
        ends = _draw_layer(ax, x, layer, ends)

    # Room on the left for the names of the three lines, and below for the captions.
    row_names = "layer\noutput\nparameters"
    ax.text(-0.6, CAPTION_Y, row_names, ha="right", va="top", fontsize=CAPTION_FONT_SIZE)
    ax.set(xlim=(-1.5, n_columns - 0.4), ylim=(-1.62, 1.05), aspect="equal")
    title = model.name.replace("_", " ")
    if title in ACRONYMS:
        title = title.upper()
    ax.set_title(f"{title}: {model.count_params():,} parameters")
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
        Columns of the grid.

    Returns
    -------
    ndarray of Axes, shape (n_rows, n_cols)

    Examples
    --------
    >>> import numpy as np
    >>> axes = plot_predictions(np.zeros((1, 28, 28)), labels=[5], predicted=[3])
    >>> axes[0, 0].get_title()
    'read 3, is 5'
    """
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

    Examples
    --------
    >>> import numpy as np
    >>> ax = plot_confusion(np.eye(10, dtype=int))
    >>> ax.get_ylabel()
    'true digit'
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(6, 5.4))
    counts = np.asarray(confusion_matrix)
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
        ax.text(column, row, text, ha="center", va="center", color=color, weight=weight, fontsize=9)
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

    Examples
    --------
    >>> ax = plot_probabilities([0.1] * 10, label=4)
    >>> ax.patches[4].get_hatch()
    '///'
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(4.5, 3))
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


def _draw_layer(ax, x, layer, ends_before):
    """Draw one layer in column `x` with its caption; return where lines to it can end.

    This is the place to add a kind of layer. Ask for its class name, as below: draw what tells it
    from others, and say in `details` what belongs in the last line of its caption.
    """
    kind = type(layer).__name__
    shape = layer.output.shape[1:]
    details = "–"
    if layer.count_params() > 0:
        details = f"{layer.count_params():,}"

    # Also SpatialDropout2D, GaussianDropout and the like: all of them have a rate.
    if "Dropout" in kind:
        if layer.rate > 0:
            details = f"rate {layer.rate:g}"
        ends = _draw_output(ax, x, shape, layer.rate)
    elif kind == "Dense":
        ends = _draw_output(ax, x, shape)
        _join(ax, x, ends_before, ends)
    else:
        ends = _draw_output(ax, x, shape)

    _write_caption(ax, x, kind, shape, details)
    return ends


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


def _write_caption(ax, x, kind, shape, details):
    short_kind = kind.replace("Pooling2D", "Pool").replace("Conv2D", "Conv")
    sizes = "×".join(str(size) for size in shape)
    caption = f"{short_kind}\n{sizes}\n{details}"
    ax.text(x, CAPTION_Y, caption, ha="center", va="top", fontsize=CAPTION_FONT_SIZE)
