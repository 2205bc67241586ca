"""Drawing digits, data, networks and results, on axes it is given or on new ones.

Every function returns the Axes; `show` puts a figure under its cell together with words that say
what is to be seen in it.
"""

import io

import matplotlib.pyplot as plt
import numpy as np

MIN_ALT = 40  # characters; less cannot say what is to be seen


def show(axes, alt):
    """Show the figure of `axes` under the cell, with `alt` stored beside the picture.

    Parameters
    ----------
    axes : matplotlib Axes, or ndarray of them
        Any axes of the figure; it is closed afterwards.
    alt : str
        What is to be seen, for those who cannot see it; at least 40 characters.

    Raises
    ------
    ValueError
        If `alt` is too short to say anything.
    """
    from IPython.display import display

    figure = np.ravel(axes)[0].figure
    data, metadata = png_bundle(figure, alt)
    plt.close(figure)
    display(data, metadata=metadata, raw=True)


def png_bundle(figure, alt):
    """Give the figure as Jupyter's mime data and metadata, with `alt` in both."""
    if len(alt.strip()) < MIN_ALT:
        raise ValueError(f"`alt` must say in {MIN_ALT} characters what is to be seen; got {alt!r}.")
    png = io.BytesIO()
    figure.savefig(png, format="png", facecolor="white")
    return {"image/png": png.getvalue(), "text/plain": alt}, {"image/png": {"alt": alt}}


def plot_digits(images, titles=None, *, n_cols=3):
    """Draw every image in a grid, gray, all on the range of their type.

    Parameters
    ----------
    images : ndarray, shape (n, 28, 28) or (n, 784) or (n, 28, 28, 1)
        uint8 in 0..255 or float in 0..1.
    titles : sequence, optional
        One for each image.
    n_cols : int
        Columns; the spare axes of the last row are hidden.

    Returns
    -------
    ndarray of Axes, shape (n_rows, n_cols)

    Raises
    ------
    ValueError
        If there is no image, or titles and images are not equally many.
    """
    images = np.asarray(images)
    if len(images) == 0 or images[0].size != 784:
        raise ValueError(f"`images` must be one or more of 28×28 pixels; received {images.shape}.")
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"{len(images)} images need as many `titles`; received {len(titles)}.")
    n_rows = -(-len(images) // n_cols)
    size = (1.5 * n_cols, (1.5 if titles is None else 1.75) * n_rows)
    _, axes = plt.subplots(n_rows, n_cols, figsize=size, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for i, (ax, image) in enumerate(zip(axes.flat, images, strict=False)):
        _draw_digit(ax, image)
        if titles is not None:
            ax.set_title(titles[i])
    return axes


def plot_pixels(image, ax=None):
    """Draw one digit with the gray level of each pixel written in it.

    Parameters
    ----------
    image : ndarray of uint8, shape (28, 28)
    ax : Axes, optional
    """
    ax = ax or plt.subplots(figsize=(7.5, 7.5))[1]
    _draw_digit(ax, image)
    for (row, col), value in np.ndenumerate(image):
        shade = "black" if value > 127 else "white" if value else "0.45"
        ax.text(col, row, value, ha="center", va="center", fontsize=6.5, color=shade)
    ax.set(xlabel="column", ylabel="row", xticks=range(0, 28, 9), yticks=range(0, 28, 9))
    return ax


def plot_histogram(image, ax=None):
    """Draw how often each gray level occurs in one image of uint8 pixels, on a log scale."""
    ax = ax or plt.subplots()[1]
    ax.hist(np.ravel(image), bins=np.arange(0, 257, 16), color="0.4", edgecolor="white")
    ax.set(xlabel="gray level", ylabel="pixels (log scale)", yscale="log", xlim=(0, 256))
    ax.set_xticks(range(0, 257, 64))
    return ax


def plot_class_counts(labels, ax=None):
    """Draw how many times each digit occurs in `labels`, integers of shape (n,)."""
    ax = ax or plt.subplots()[1]
    bars = ax.bar(range(10), np.bincount(labels, minlength=10), color="0.6", edgecolor="black")
    ax.bar_label(bars, fmt="{:,.0f}", fontsize=8)
    ax.set(xlabel="digit", ylabel="images", xticks=range(10))
    return ax


def plot_history(history, axes=None):
    """Draw accuracy and loss by epoch, training and (where there is one) validation.

    Parameters
    ----------
    history : dict of str to sequence of float
        As in ``model.fit(...).history``: ``accuracy``, ``loss``, and these with ``val_`` before.
    axes : two Axes, optional

    Returns
    -------
    ndarray of two Axes
    """
    axes = plt.subplots(1, 2, figsize=(8, 3.2))[1] if axes is None else axes
    for ax, name in zip(axes, ("accuracy", "loss"), strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            if key in history:
                epochs = range(1, len(history[key]) + 1)
                ax.plot(epochs, history[key], label=label, marker="o" if len(epochs) < 30 else "")
        ax.set(xlabel="epoch", ylabel=name)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()
    return axes


def history_in_words(history):
    """Say what `plot_history` shows: where each curve begins and ends."""
    names = {"accuracy": "training accuracy", "loss": "training loss"}
    names |= {f"val_{key}": name.replace("training", "validation") for key, name in names.items()}
    words = [
        f"{name} goes from {history[key][0]:.4f} to {history[key][-1]:.4f}"
        for key, name in names.items()
        if key in history
    ]
    return f"Curves by epoch, 1 to {len(history['loss'])}: {'; '.join(words)}."


def plot_network(model, ax=None):
    """Draw a Sequential model layer by layer: kind, output shape and number of parameters.

    Stacks of squares are feature maps, columns of circles are vectors (of long ones only some
    units); open circles are dropped ones. Lines join the layers in which all units meet.

    Parameters
    ----------
    model : keras.Sequential
        Built, with outputs (n,) or (height, width, channels).
    ax : Axes, optional
    """
    columns = [("Input", model.input_shape[1:], 0, 0.0)]
    for layer in model.layers:
        shape = tuple(layer.output.shape[1:])
        rate = getattr(layer, "rate", 0.0)
        columns.append((type(layer).__name__, shape, layer.count_params(), rate))
    ax = ax or plt.subplots(figsize=(0.88 * len(columns) + 1, 3))[1]
    before = []
    for x, (kind, shape, n_params, rate) in enumerate(columns):
        units = _draw_maps(ax, x, shape) if len(shape) == 3 else _draw_units(ax, x, shape[0], rate)
        if kind == "Dense":
            ends = np.array([(y0, y1) for y0 in before for y1 in units]).reshape(-1, 2).T
            ax.plot([x - 1, x], ends, color="0.8", linestyle="-", linewidth=0.5, zorder=0)
        before = units
        size = "×".join(map(str, shape))
        words = [kind.replace("Pooling2D", "Pool").replace("Conv2D", "Conv"), size]
        words.append(f"{n_params:,}" if n_params else f"rate {rate:g}" if rate else "–")
        ax.text(x, -1.15, "\n".join(words), ha="center", va="top", fontsize=9)
    ax.text(-0.6, -1.15, "layer\noutput\nparameters", ha="right", va="top", fontsize=9)
    ax.set(xlim=(-1.5, len(columns) - 0.4), ylim=(-1.62, 1.05), aspect="equal")
    ax.set_title(f"{model.name.replace('_', ' ')}: {model.count_params():,} parameters")
    ax.axis("off")
    return ax


def plot_predictions(images, labels, predicted, *, n_cols=3):
    """Draw digits (n, 28, 28), each titled with its entry of `predicted` and of `labels`, (n,)."""
    titles = [f"read {p}, is {t}" for p, t in zip(predicted, labels, strict=True)]
    return plot_digits(images, titles, n_cols=n_cols)


def plot_confusion(counts, ax=None):
    """Draw confusion counts, shape (10, 10): true digits in rows, predicted ones in columns.

    The shade is the share of the row, so that the eye finds the mistakes: those off the diagonal
    are drawn on a scale of their own.
    """
    ax = ax or plt.subplots(figsize=(6, 5.4))[1]
    counts = np.asarray(counts)
    mistakes = np.where(np.eye(10, dtype=bool), 0, counts) / np.maximum(counts.sum(1), 1)[:, None]
    top = mistakes.max() or 1
    ax.imshow(mistakes, cmap="Greys", vmin=0, vmax=top)
    for (row, col), n in np.ndenumerate(counts):
        shade = "white" if mistakes[row, col] > 0.55 * top else "black"
        weight = "bold" if row == col else "normal"
        text = f"{n}" if n else "·"
        ax.text(col, row, text, ha="center", va="center", color=shade, weight=weight, fontsize=9)
    ax.set(xlabel="predicted digit", ylabel="true digit", xticks=range(10), yticks=range(10))
    return ax


def plot_probabilities(probabilities, label=None, ax=None):
    """Draw one image's probabilities, shape (10,), as bars; the bar of digit `label` is hatched."""
    ax = ax or plt.subplots(figsize=(4.5, 3))[1]
    hatches = ["///" if digit == label else "" for digit in range(10)]
    bars = ax.bar(range(10), probabilities, color="0.75", edgecolor="black", hatch=hatches)
    ax.bar_label(bars, [f"{p:.2f}" if p >= 0.005 else "" for p in probabilities], fontsize=8)
    ax.set(xlabel="digit", ylabel="probability", xticks=range(10), ylim=(0, 1.08))
    return ax


def _draw_digit(ax, image):
    image = np.reshape(image, (28, 28))
    ax.imshow(image, vmin=0, vmax=255 if image.dtype == np.uint8 else 1, cmap="gray")


def _draw_maps(ax, x, shape):
    height, _, channels = shape
    side, n = 0.16 + 0.56 * height / 28, min(channels, 5)
    for i in range(n):
        shift = 0.045 * (i - (n - 1) / 2)
        corner = (x + shift - side / 2, -shift - side / 2)
        ax.add_patch(plt.Rectangle(corner, side, side, fc="0.92", ec="black", zorder=2 + i))
    return []


def _draw_units(ax, x, n_units, rate):
    n = min(n_units, 10)
    ys = np.linspace(0.9, -0.9, n)
    dropped = [rate > 0 and int((i + 1) * rate) > int(i * rate) for i in range(n)]
    faces = ["white" if d else "0.35" for d in dropped]
    ax.scatter([x] * n, ys, s=55, c=faces, edgecolors="black", zorder=3)
    return ys
