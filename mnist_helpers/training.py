"""What stands beside `fit`: how long and how fast to train, varied digits, and a live view."""

import time
from pathlib import Path

import keras
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


def steps_per_execution(n_steps):
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
    peak_learning_rate : float
        The highest rate, above 0. It begins at a twenty-fifth of it.
    n_steps : int
        Updates of the whole training, batches times epochs; at least 1. After them the rate is 0.
    warmup_fraction : float
        Share of the updates after which the peak is reached, 0 < rise < 1.

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    def __init__(self, peak_learning_rate, n_steps, warmup_fraction=0.3):
        if not (peak_learning_rate > 0 and n_steps >= 1 and 0 < warmup_fraction < 1):
            raise ValueError(
                "need peak_learning_rate > 0, n_steps >= 1 and 0 < warmup_fraction < 1; "
                f"received {peak_learning_rate}, {n_steps} and {warmup_fraction}."
            )
        self.peak_learning_rate = peak_learning_rate
        self.n_steps = n_steps
        self.warmup_fraction = warmup_fraction

    def __call__(self, step):
        done = ops.cast(step, "float32") / self.n_steps
        up = 0.04 + 0.96 * done / self.warmup_fraction
        down = (1 - done) / (1 - self.warmup_fraction)
        return self.peak_learning_rate * ops.maximum(ops.minimum(up, down), 0.0)

    def get_config(self):
        return {
            "peak_learning_rate": self.peak_learning_rate,
            "n_steps": self.n_steps,
            "warmup_fraction": self.warmup_fraction,
        }


class LivePlot(keras.callbacks.Callback):
    """Show a training while it runs.

    In a notebook: a bar with the seconds left, and one figure with the curves of loss and
    accuracy, redrawn in place; what stays stored is one line and the last figure. Elsewhere: one
    line for each epoch. Hand it to ``model.fit(..., verbose=0, callbacks=[LivePlot()])``.
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
