"""Draw the README's picture, .github/picture.png, from the digits and the network themselves."""

from pathlib import Path

import matplotlib.pyplot as plt

from mnist_helpers import models, plotting
from mnist_helpers.data import load_mnist

PICTURE = Path(__file__).parent.parent / ".github" / "picture.png"

if __name__ == "__main__":
    plt.style.use("mnist_helpers.style")
    (x_train, _), _ = load_mnist("mnist")
    figure = plt.figure(figsize=(11.5, 6))
    digits, network = figure.subfigures(2, 1, height_ratios=[1, 1.9])
    for ax, image in zip(digits.subplots(2, 12).flat, x_train, strict=False):
        ax.imshow(image)
        ax.axis("off")
    plotting.plot_network(models.build_cnn(), network.subplots())
    figure.savefig(PICTURE)
