"""What stands beside `fit`: how long and how fast to train, varied digits, and a live view."""

import time
from pathlib import Path

import keras
import numpy as np
from keras import ops
from matplotlib.figure import Figure

from mnist_helpers import in_notebook, plotting


def scale_epochs(epochs, n_images):
    """Lengthen a training on few images to as many updates as `epochs` give on MNIST.

    Parameters
    ----------
    epochs : int
        Epochs meant for the 54,000 images that are left of MNIST after a tenth is held out.
    n_images : int
        Images there really are.

    Returns
    -------
    int
        `epochs` times 54,000 / `n_images`, rounded; never fewer than `epochs`.

    Raises
    ------
    ValueError
        If there are no images.
    """
    if n_images < 1:
        raise ValueError(f"`n_images` must be at least 1; received {n_images}.")
    return max(epochs, round(epochs * 54_000 / n_images))


def steps_per_call(n_steps):
    """Give the ``steps_per_execution`` for `compile`: `n_steps` on TensorFlow, elsewhere 1.

    Many updates in one call of the back end save the way to Python and back. Keras refuses that on
    PyTorch, and on JAX it compiles as many copies of the update, which takes minutes.
    """
    return n_steps if keras.config.backend() == "tensorflow" else 1


def has_bfloat16():
    """Say whether the processor itself computes with bfloat16; only Linux is asked, else False."""
    flags = Path("/proc/cpuinfo")
    words = flags.read_text(encoding="utf-8").split() if flags.exists() else []
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(words)


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Raise the learning rate in a straight line to a peak, then lower it in another to zero.

    Parameters
    ----------
    peak : float
        The highest rate, above 0. It begins at a twenty-fifth of it.
    n_steps : int
        Updates of the whole training, batches times epochs; at least 1. After them the rate is 0.
    rise : float
        Share of the updates after which the peak is reached, 0 < rise < 1.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    def __init__(self, peak, n_steps, rise=0.3):
        if not (peak > 0 and n_steps >= 1 and 0 < rise < 1):
            raise ValueError(
                "need peak > 0, n_steps >= 1 and 0 < rise < 1; "
                f"received {peak}, {n_steps} and {rise}."
            )
        self.peak, self.n_steps, self.rise = peak, n_steps, rise

    def __call__(self, step):
        done = ops.cast(step, "float32") / self.n_steps
        up = 0.04 + 0.96 * done / self.rise
        down = (1 - done) / (1 - self.rise)
        return self.peak * ops.maximum(ops.minimum(up, down), 0.0)

    def get_config(self):
        return {"peak": self.peak, "n_steps": self.n_steps, "rise": self.rise}


class RandomWarp(keras.layers.Layer):
    """Give every image another form, in training only: turned, stretched, waved, thicker, thinner.

    It takes images of shape (n, 28, 28, 1), in [0, 1], and gives the same, as float32. All changes
    are drawn anew for each image at every call, evenly between minus and plus the value given here,
    waves from a normal distribution. One bilinear interpolation moves the ink, then it is thickened
    or thinned. Outside of training images are only softened, as the interpolation does on average:
    a network that never saw sharp edges misreads them.

    Parameters
    ----------
    turn : float
        Degrees.
    slant : float
        Columns that a row is moved by, for each row's distance from the middle.
    stretch : float
        Share by which height and width change, each on its own.
    shift : float
        Pixels, down and across.
    wave : float
        Pixels (standard deviation) by which points are moved in waves some eight pixels wide.
    pen : float
        Share by which each pixel goes towards the darkest (thinner) or the lightest (thicker) of
        itself and its eight neighbours; at most 1.

    Raises
    ------
    ValueError
        If the images have another shape.
    """

    def __init__(self, turn=10, slant=0.1, stretch=0.1, shift=2, wave=0.5, pen=0.5, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.turn, self.slant, self.stretch = np.deg2rad(turn), slant, stretch
        self.shift, self.wave, self.pen = shift, wave, pen
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
        pen = self.pen * keras.random.uniform((n, 1, 1, 1), -1, 1, seed=self.random)
        thicker, thinner = ops.maximum(pen, 0), ops.minimum(pen, 0)
        return moved + thicker * (lightest - moved) + thinner * (moved - darkest)

    def _source(self, n):
        """Say from which row and column, counted from the middle, each pixel is to be taken."""
        even = keras.random.uniform((n, 6), -1, 1, seed=self.random)
        angle, slant = even[:, 0] * self.turn, even[:, 1] * self.slant
        tall, wide = 1 + even[:, 2] * self.stretch, 1 + even[:, 3] * self.stretch
        cos, sin = ops.cos(angle), ops.sin(angle)
        rows = ops.stack([tall * cos, tall * sin], axis=1)
        columns = ops.stack([wide * (slant * cos - sin), wide * (slant * sin + cos)], axis=1)
        source = ops.matmul(self.pixels, ops.stack([rows, columns], axis=2))
        waves = keras.random.normal((n, self.bumps.shape[1], 2), seed=self.random)
        return source + self.shift * even[:, None, 4:] + self.wave * ops.matmul(self.bumps, waves)


class LiveView(keras.callbacks.Callback):
    """Show a training while it runs.

    In a notebook: a bar with the seconds left, and one figure with the curves of loss and
    accuracy, redrawn in place; what stays stored is one line and the last figure. Elsewhere: one
    line for each epoch. Hand it to ``model.fit(..., verbose=0, callbacks=[LiveView()])``.
    """

    def on_train_begin(self, logs=None):
        self.history = {}
        self.started = self.epoch_started = time.perf_counter()
        self.steps_done = 0
        self.shown_at = {"bar": 0.0, "curves": 0.0}
        self.displays = None
        if in_notebook():
            from IPython.display import display

            self.displays = {
                name: display({"text/plain": ""}, raw=True, display_id=True)
                for name in self.shown_at
            }

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch_started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.steps_done += 1
        if self._due("bar", 0.25):
            self._show_bar()

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        if self.displays is None:
            numbers = "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
            seconds = time.perf_counter() - self.epoch_started
            print(f"epoch {epoch + 1}/{self.params['epochs']}  {numbers}  {seconds:.1f} s")
        elif self._due("curves", 1.0):
            self._show_curves()

    def on_train_end(self, logs=None):
        if self.displays is not None and self.history:
            epochs = len(self.history["loss"])
            seconds = time.perf_counter() - self.started
            text = f"{epochs} epoch{'s' if epochs > 1 else ''} in {seconds:.0f} s"
            self.displays["bar"].update({"text/plain": text}, raw=True)
            self._show_curves()

    def _due(self, name, seconds):
        now = time.perf_counter()
        if self.displays is None or now - self.shown_at[name] < seconds:
            return False
        self.shown_at[name] = now
        return True

    def _show_bar(self):
        total = self.params["epochs"] * (self.params["steps"] or 1)
        left = (time.perf_counter() - self.started) * (total / self.steps_done - 1)
        text = f"epoch {len(self.history.get('loss', [])) + 1} of {self.params['epochs']}"
        text += f", about {max(left, 0):.0f} s left"
        bar = f'<progress value="{self.steps_done}" max="{total}" aria-label="training"></progress>'
        self.displays["bar"].update({"text/html": f"{bar} {text}", "text/plain": text}, raw=True)

    def _show_curves(self):
        figure = Figure(figsize=(8, 3.2))  # not pyplot's, which would show it a second time
        plotting.plot_history(self.history, figure.subplots(1, 2))
        data, metadata = plotting.png_bundle(figure, plotting.history_in_words(self.history))
        self.displays["curves"].update(data, metadata=metadata, raw=True)
