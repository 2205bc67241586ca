"""Varied digits: a layer that gives every image another form while a network trains."""

import keras
import numpy as np
from keras import ops


class RandomWarp(keras.layers.Layer):
    """Give every image another form, in training only: turned, stretched, waved, thicker, thinner.

    It takes images of shape (n, 28, 28, 1), in [0, 1], and gives the same, as float32. All changes
    are drawn anew for each image at every call, evenly between minus and plus the value given here,
    waves from a normal distribution. One bilinear interpolation moves the ink, then it is thickened
    or thinned. Outside of training images are only softened, as the interpolation does on average:
    a network that never saw sharp edges misreads them.

    Parameters
    ----------
    rotation : float
        Degrees.
    shear : float
        Columns that a row is moved by, for each row's distance from the middle.
    zoom : float
        Share by which height and width change, each on its own.
    translation : float
        Pixels, down and across.
    elastic : float
        Pixels (standard deviation) by which points are moved in waves some eight pixels wide.
    stroke : float
        Share by which each pixel goes towards the darkest (thinner) or the lightest (thicker) of
        itself and its eight neighbors; at most 1.

    Raises
    ------
    ValueError
        If the images have another shape.
    """

    def __init__(
        self, rotation=10, shear=0.1, zoom=0.1, translation=2, elastic=0.5, stroke=0.5, **kwargs
    ):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.rotation, self.shear, self.zoom = np.deg2rad(rotation), shear, zoom
        self.translation, self.elastic, self.stroke = translation, elastic, stroke
        self.random = keras.random.SeedGenerator()
        middle = np.mgrid[:28, :28].reshape(2, -1).T - 13.5
        knots = np.mgrid[0:28:7j, 0:28:7j].reshape(2, -1).T - 13.5
        bumps = np.exp(-np.square(middle[:, None] - knots).sum(-1) / 32)
        bumps /= np.sqrt(np.square(bumps).sum(axis=1, keepdims=True))
        soft = np.array([1, 10, 1], "float32") / 12
        self.soft = np.outer(soft, soft)[..., None, None]
        self.pixels, self.bumps = middle.astype("float32"), bumps.astype("float32")

    def build(self, input_shape):
        if tuple(input_shape[1:]) != (28, 28, 1):
            raise ValueError(
                f"images must have shape (n, 28, 28, 1); received {tuple(input_shape)}. "
                "`preprocessing.to_images` gives them that shape."
            )

    def call(self, images, training=False):
        if not training:
            return ops.conv(images, self.soft, padding="same")
        n = ops.shape(images)[0]
        source = self._source(n) + 13.5
        source = ops.clip(source, 0, 26.999)  # the pixel to the right and the one below exist too
        corner = ops.floor(source)
        down, across = ops.split(source - corner, 2, axis=-1)
        corner = ops.cast(corner, "int32")
        place = corner[..., :1] * 28 + corner[..., 1:] + 784 * ops.arange(n)[:, None, None]
        values = ops.reshape(images, (-1, 1))
        above, right, below, last = (
            ops.take(values, place[..., 0] + k, axis=0) for k in (0, 1, 28, 29)
        )
        upper = above + (right - above) * across
        lower = below + (last - below) * across
        moved = ops.reshape(upper + (lower - upper) * down, (-1, 28, 28, 1))
        lightest, darkest = (
            sign * ops.max_pool(sign * moved, 3, strides=1, padding="same") for sign in (1, -1)
        )
        pen = self.stroke * keras.random.uniform((n, 1, 1, 1), -1, 1, seed=self.random)
        thicker, thinner = ops.maximum(pen, 0), ops.minimum(pen, 0)
        return moved + thicker * (lightest - moved) + thinner * (moved - darkest)

    def _source(self, n):
        """Say from which row and column, counted from the middle, each pixel is to be taken."""
        even = keras.random.uniform((n, 6), -1, 1, seed=self.random)
        angle, slant = even[:, 0] * self.rotation, even[:, 1] * self.shear
        tall, wide = 1 + even[:, 2] * self.zoom, 1 + even[:, 3] * self.zoom
        cos, sin = ops.cos(angle), ops.sin(angle)
        rows = ops.stack([tall * cos, tall * sin], axis=1)
        columns = ops.stack([wide * (slant * cos - sin), wide * (slant * sin + cos)], axis=1)
        source = ops.matmul(self.pixels, ops.stack([rows, columns], axis=2))
        waves = keras.random.normal((n, self.bumps.shape[1], 2), seed=self.random)
        return (
            source
            + self.translation * even[:, None, 4:]
            + self.elastic * ops.matmul(self.bumps, waves)
        )
