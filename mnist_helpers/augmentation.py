"""Varied digits: a layer that changes every image a little while a network trains."""

import numpy as np

from mnist_helpers.keras_settings import keras_defaults

with keras_defaults():
    import keras
    from keras import ops

from mnist_helpers.preprocessing import check_number

IMAGE_SIDE = 28
N_PIXELS = IMAGE_SIDE**2
# Rows and columns are counted from 0 to 27, so the middle lies between 13 and 14.
MIDDLE = (IMAGE_SIDE - 1) / 2

# Where a pixel's neighbors stand in an image whose rows lie end to end.
UPPER_LEFT = 0
UPPER_RIGHT = 1
LOWER_LEFT = IMAGE_SIDE
LOWER_RIGHT = IMAGE_SIDE + 1
# Just under 27: the pixel to the right and the one below must exist, too.
LAST_POSITION = 26.999

# The elastic waves: a grid of 7 by 7 knots, each of which moves what lies near it.
N_KNOTS_PER_SIDE = 7
# Pixels. The standard deviation of the bump in which a knot's pull fades out.
BUMP_WIDTH = 4

# Random numbers for each image: angle, slant, height, width, and the shift down and across.
N_AFFINE_NUMBERS = 6


class RandomWarp(keras.layers.Layer):
    """Change every image at random, in training only: rotate, shear, zoom, shift, bend and thicken.

    The layer takes images of shape (n, 28, 28, 1), in [0, 1], and returns the same as float32. It
    draws all changes anew for each image at every call: evenly between minus and plus the value
    given here, and for `elastic` from a normal distribution. One bilinear interpolation moves the
    ink; then the strokes get thicker or thinner. Outside of training, images are only softened, as
    much as the interpolation does on average: a network that never saw sharp edges misreads them.

    Parameters
    ----------
    rotation : float
        Degrees.
    shear : float
        Columns by which a row is moved, for each row of distance from the middle.
    zoom : float
        Share by which height and width change, each on its own.
    translation : float
        Pixels, down and across.
    elastic : float
        Pixels (standard deviation) by which points are moved, in waves some eight pixels wide.
    stroke : float
        Share by which each pixel goes towards the darkest (thinner) or the lightest (thicker) of
        itself and its eight neighbors; at most 1.
    **kwargs
        Passed on to ``keras.layers.Layer``.

    Raises
    ------
    ValueError
        If the images have another shape, or a value is infinite, NaN or out of range.
    TypeError
        If a value is no number.

    Examples
    --------
    >>> import numpy as np
    >>> warp = RandomWarp(rotation=10)
    >>> images = np.zeros((2, 28, 28, 1), dtype="float32")
    >>> tuple(warp(images, training=True).shape)
    (2, 28, 28, 1)
    """

    def __init__(
        self,
        rotation=10,
        shear=0.1,
        zoom=0.1,
        translation=2,
        elastic=0.5,
        stroke=0.5,
        **kwargs,
    ):
        # In a bfloat16 model, too: a position in the image needs more than bfloat16's 8 bits.
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        amounts = {
            "rotation": rotation,
            "shear": shear,
            "zoom": zoom,
            "translation": translation,
            "elastic": elastic,
            "stroke": stroke,
        }
        for name, amount in amounts.items():
            check_number(name, amount)
        if abs(stroke) > 1:
            raise ValueError(f"`stroke` must be at most 1; received {stroke}.")
        self.rotation = np.deg2rad(rotation)
        self.shear = shear
        self.zoom = zoom
        self.translation = translation
        self.elastic = elastic
        self.stroke = stroke
        self.random = keras.random.SeedGenerator()
        positions = _grid(np.arange(IMAGE_SIDE))
        self.positions = positions.astype("float32")
        self.bumps = _bumps(positions).astype("float32")
        self.softening_kernel = _softening_kernel()

    def build(self, input_shape):
        if tuple(input_shape[1:]) != (IMAGE_SIDE, IMAGE_SIDE, 1):
            raise ValueError(
                f"images must have shape (n, 28, 28, 1); received {tuple(input_shape)}. "
                "`preprocessing.to_images` gives them that shape."
            )

    # One gather for all changes, written out: 10 ms of CPU time for 256 images. Four of Keras' own
    # layers take as long without waves, and 47 ms with RandomElasticTransform (Keras 3.15.1).
    def call(self, images, training=False):
        if not training:
            return ops.conv(images, self.softening_kernel, padding="same")
        n_images = ops.shape(images)[0]
        sources = self._affine(n_images) + self._elastic(n_images)
        moved = _bilinear_gather(images, sources + MIDDLE)
        return self._change_stroke(moved)

    def _affine(self, n_images):
        """Return each pixel's source, its row and column from the middle: (n, 784, 2)."""
        numbers = self._uniform((n_images, N_AFFINE_NUMBERS))
        angle = numbers[:, 0] * self.rotation
        slant = numbers[:, 1] * self.shear
        height = 1 + numbers[:, 2] * self.zoom
        width = 1 + numbers[:, 3] * self.zoom
        shift = self.translation * numbers[:, None, 4:]

        cos = ops.cos(angle)
        sin = ops.sin(angle)
        # How much a pixel's own row and column count in the row and in the column of its source.
        down_to_row = height * cos
        across_to_row = height * sin
        row_weights = ops.stack([down_to_row, across_to_row], axis=1)
        down_to_column = width * (slant * cos - sin)
        across_to_column = width * (slant * sin + cos)
        column_weights = ops.stack([down_to_column, across_to_column], axis=1)
        weights = ops.stack([row_weights, column_weights], axis=2)
        return ops.matmul(self.positions, weights) + shift

    def _elastic(self, n_images):
        """Return how far waves move each pixel's source, in rows and columns: (n, 784, 2)."""
        n_knots = self.bumps.shape[1]
        pulls = keras.random.normal((n_images, n_knots, 2), seed=self.random)
        return self.elastic * ops.matmul(self.bumps, pulls)

    def _change_stroke(self, images):
        """Make the strokes of each image thicker or thinner, by a random share."""
        lightest = ops.max_pool(images, 3, strides=1, padding="same")
        # Back ends have no minimum pooling: the minimum is the maximum of the negative image.
        darkest = -ops.max_pool(-images, 3, strides=1, padding="same")
        n_images = ops.shape(images)[0]
        share = self.stroke * self._uniform((n_images, 1, 1, 1))
        # Of each image, one of the two is 0.
        thicker = ops.maximum(share, 0)
        thinner = ops.minimum(share, 0)
        return images + thicker * (lightest - images) + thinner * (images - darkest)

    def _uniform(self, shape):
        return keras.random.uniform(shape, -1, 1, seed=self.random)


def _grid(coordinates):
    """Return all pairs of a row and a column, shape (n, 2), counted from the middle."""
    rows, columns = np.meshgrid(coordinates, coordinates, indexing="ij")
    return np.stack([rows.ravel(), columns.ravel()], axis=1) - MIDDLE


def _bumps(positions):
    """Return how strongly each knot moves each pixel, shape (784, 49)."""
    knots = _grid(np.linspace(0, IMAGE_SIDE, N_KNOTS_PER_SIDE))
    differences = positions[:, None] - knots
    squared_distances = np.square(differences).sum(axis=-1)
    bumps = np.exp(-squared_distances / (2 * BUMP_WIDTH**2))
    # Every pixel is moved equally far on average, whether near a knot or between knots.
    return bumps / np.sqrt(np.square(bumps).sum(axis=1, keepdims=True))


def _softening_kernel():
    """Return the 3×3 filter that blurs as much as the interpolation does on average."""
    # Halfway between two pixels a point is blurred most, on a pixel not at all. Over all positions
    # its variance is 1/6 on average, and so is the variance of this filter.
    weights = np.array([1, 10, 1], dtype="float32") / 12
    return np.outer(weights, weights)[:, :, None, None]


def _bilinear_gather(images, sources):
    """Take each pixel from between the four pixels around its source.

    Parameters
    ----------
    images : tensor, shape (n, 28, 28, 1)
    sources : tensor, shape (n, 784, 2)
        Row and column in the image; what lies outside is taken from the edge.

    Returns
    -------
    tensor, shape (n, 28, 28, 1)
    """
    n_images = ops.shape(images)[0]
    sources = ops.clip(sources, 0, LAST_POSITION)
    corners = ops.floor(sources)
    down, across = ops.split(sources - corners, 2, axis=-1)
    corners = ops.cast(corners, "int32")
    rows = corners[..., :1]
    columns = corners[..., 1:]

    # All images are one long list of pixels, so that one index finds a pixel of any of them.
    pixels = ops.reshape(images, (-1, 1))
    starts = N_PIXELS * ops.arange(n_images)[:, None, None]
    places = (IMAGE_SIDE * rows + columns + starts)[..., 0]
    upper_left = ops.take(pixels, places + UPPER_LEFT, axis=0)
    upper_right = ops.take(pixels, places + UPPER_RIGHT, axis=0)
    lower_left = ops.take(pixels, places + LOWER_LEFT, axis=0)
    lower_right = ops.take(pixels, places + LOWER_RIGHT, axis=0)

    upper = upper_left + (upper_right - upper_left) * across
    lower = lower_left + (lower_right - lower_left) * across
    values = upper + (lower - upper) * down
    return ops.reshape(values, (-1, IMAGE_SIDE, IMAGE_SIDE, 1))
