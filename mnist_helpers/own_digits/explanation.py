"""A reading as a picture: from what was drawn to what the network saw, and what it made of it."""


def plot_reading(steps, reading, axes=None):
    """Draw the steps from a picture to the network's input, and the probabilities beside them.

    Parameters
    ----------
    steps : dict of str to ndarray
        As `prepare_drawing(image, steps=True)` gives them.
    reading : Reading
        As `read_digits` gives it.
    axes : sequence of Axes, optional
        One for each step and one for the probabilities.

    Returns
    -------
    sequence of Axes
    """
    if axes is None:
        import matplotlib.pyplot as plt

        widths = [1] * len(steps) + [1.9]
        size = (1.55 * sum(widths), 1.9)
        axes = plt.subplots(1, len(widths), figsize=size, width_ratios=widths)[1]
    *strip, bars = axes
    for ax, (name, picture) in zip(strip, steps.items(), strict=True):
        ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
        ax.set(title=name, xticks=[], yticks=[])
    names = [*map(str, range(10)), "none"]
    bars.bar(names, reading.probabilities, color="0.75", edgecolor="black")
    bars.set(title=in_words(reading), ylabel="probability", ylim=(0, 1.05))
    bars.tick_params(axis="x", labelsize=8)
    return axes


def in_words(reading):
    """Say a reading in a few words: ``7 (99.8 %)``, or ``no digit (97.0 %)``."""
    name = "no digit" if reading.digit is None else reading.digit
    return f"{name} ({100 * reading.confidence:.1f} %)"
