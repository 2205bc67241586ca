"""Draw the README's pictures, .github/*.png, from the digits and the networks themselves."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw

from mnist_helpers import models, plotting
from mnist_helpers.data import load_mnist
from mnist_helpers.drawing import prepare_drawing, read_digits
from mnist_helpers.reading import plot_reading

PICTURES = Path(__file__).parent.parent / ".github"


def draw_network():
    """Draw MNIST's first digits and the convolutional network."""
    (x_train, _), _ = load_mnist("mnist")
    figure = plt.figure(figsize=(11.5, 6))
    digits, network = figure.subfigures(2, 1, height_ratios=[1, 1.9])
    for ax, image in zip(digits.subplots(2, 12).flat, x_train, strict=False):
        ax.imshow(image)
        ax.axis("off")
    plotting.plot_network(models.build_cnn(), network.subplots())
    figure.savefig(PICTURES / "picture.png")


def draw_reading():
    """Draw how a 9 with a curled tail, on paper in a bad light, is read."""
    page = Image.new("L", (280, 280), 230)
    pen = ImageDraw.Draw(page)
    pen.arc((77, 50, 119, 92), 0, 360, fill=60, width=6)
    pen.line((116, 71, 116, 134), fill=60, width=6)
    pen.arc((65, 107, 119, 161), 0, 150, fill=60, width=6)
    light = np.outer(np.linspace(0.75, 1, 280), np.linspace(0.45, 1, 280))
    grain = np.random.default_rng(5).normal(0, 5, light.shape)
    photo = np.uint8(np.clip(page * light + grain, 0, 255))
    _, steps = prepare_drawing(photo, steps=True)
    axes = plot_reading(steps, read_digits([photo])[0])
    axes[0].figure.savefig(PICTURES / "reading.png")


if __name__ == "__main__":
    plt.style.use("mnist_helpers.style")
    draw_network()
    draw_reading()
