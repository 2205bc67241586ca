"""Draw the README's pictures, .github/*.png, from the digits and the networks themselves."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from mnist_helpers import models, plotting
from mnist_helpers.data import load_mnist
from mnist_helpers.drawing import prepare_drawing
from mnist_helpers.library_settings import matplotlib_defaults
from mnist_helpers.reading import plot_reading, read_digits

with matplotlib_defaults():
    import matplotlib.pyplot as plt

PICTURES = Path(__file__).parent.parent / ".github"
N_COLUMNS = 12
SIDE = 280  # pixels of the drawn page
PAPER = 230  # gray levels
INK = 60
PEN_WIDTH = 6


def draw_network():
    """Draw MNIST's first digits and the convolutional network."""
    (images, _), _ = load_mnist("mnist")
    figure = plt.figure(figsize=(11.5, 6))
    digits, network = figure.subfigures(2, 1, height_ratios=[1, 1.9])
    axes = digits.subplots(2, N_COLUMNS).flat
    for ax, image in zip(axes, images, strict=False):
        ax.imshow(image)
        ax.axis("off")
    plotting.plot_network(models.build_cnn(), network.subplots())
    figure.savefig(PICTURES / "picture.png")


def draw_nine():
    """Return a page with a 9 whose tail is curled."""
    page = Image.new("L", (SIDE, SIDE), PAPER)
    pen = ImageDraw.Draw(page)
    pen.arc((77, 50, 119, 92), 0, 360, fill=INK, width=PEN_WIDTH)
    pen.line((116, 71, 116, 134), fill=INK, width=PEN_WIDTH)
    pen.arc((65, 107, 119, 161), 0, 150, fill=INK, width=PEN_WIDTH)
    return np.array(page)


def photograph(page):
    """Return the page in a bad light, and with the grain of a camera."""
    from_top = np.linspace(0.75, 1, SIDE)
    from_left = np.linspace(0.45, 1, SIDE)
    light = np.outer(from_top, from_left)
    grain = np.random.default_rng(5).normal(0, 5, light.shape)
    return np.uint8(np.clip(page * light + grain, 0, 255))


def draw_reading():
    """Draw how a 9 with a curled tail, on paper in a bad light, is read."""
    photo = photograph(draw_nine())
    _, steps = prepare_drawing(photo, steps=True)
    (reading,) = read_digits([photo])
    axes = plot_reading(steps, reading)
    axes[0].figure.savefig(PICTURES / "reading.png")


if __name__ == "__main__":
    plotting.use_style()
    draw_network()
    draw_reading()
