"""What goes with ``fit``: how long and how fast to train, and a live view of the training."""

import time
from pathlib import Path

from mnist_helpers import in_notebook, plotting
from mnist_helpers.keras_settings import keras_defaults
from mnist_helpers.library_settings import matplotlib_defaults
from mnist_helpers.preprocessing import check_number

with matplotlib_defaults():
    from matplotlib.figure import Figure

with keras_defaults():
    import keras
    from keras import ops

# The training digits of MNIST that are left after a tenth is held out.
N_FIT_IMAGES = 54_000

# Linux lists what the processor can do here; x86 and ARM have names of their own for bfloat16.
CPU_INFO = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}

# A one-cycle training begins at a twenty-fifth of its peak.
START_SHARE = 0.04

# Seconds between two updates in a notebook: often enough to look alive, and cheap. The curves are
# a new picture each time, the bar is one line of text.
BAR_SECONDS = 0.25
CURVES_SECONDS = 1.0


def scale_epochs(epochs, n_images):
    """Lengthen a training on few images to as many updates as `epochs` give on MNIST.

    Parameters
    ----------
    epochs : int
        Epochs meant for the 54,000 images that are left of MNIST after a tenth is held out.
    n_images : int
        Images there really are, at least 1.

    Returns
    -------
    int
        `epochs` times 54,000 / `n_images`, rounded; never fewer than `epochs`.

    Raises
    ------
    ValueError
        If there are no images, `epochs` is negative, or one of the two is no whole number.
    TypeError
        If one of the two is no number.

    Examples
    --------
    >>> scale_epochs(5, n_images=1350)
    200
    """
    check_number("epochs", epochs)
    check_number("n_images", n_images)
    _check_whole("epochs", epochs)
    _check_whole("n_images", n_images)
    if epochs < 0:
        raise ValueError(f"`epochs` must be at least 0; received {epochs}.")
    if n_images < 1:
        raise ValueError(f"`n_images` must be at least 1; received {n_images}.")
    return max(epochs, round(epochs * N_FIT_IMAGES / n_images))


def _check_whole(name, value):
    if int(value) != value:
        raise ValueError(f"`{name}` must be a whole number; received {value}.")


def steps_per_execution(n_steps):
    """Return the ``steps_per_execution`` for ``compile``: `n_steps` on TensorFlow, elsewhere 1.

    Many updates in one call of the back end save the way to Python and back. Keras refuses this on
    PyTorch, and on JAX it compiles as many copies of the update, which takes minutes.

    Parameters
    ----------
    n_steps : int
        Updates of one epoch, at least 1.

    Returns
    -------
    int

    Raises
    ------
    ValueError, TypeError
        If `n_steps` is below 1, or no whole number.

    Examples
    --------
    >>> steps_per_execution(100) in (1, 100)
    True
    """
    check_number("n_steps", n_steps)
    _check_whole("n_steps", n_steps)
    if n_steps < 1:
        raise ValueError(f"`n_steps` must be at least 1; received {n_steps}.")
    if keras.config.backend() == "tensorflow":
        return n_steps
    return 1


def has_bfloat16():
    """Return whether the processor itself computes with bfloat16.

    Returns
    -------
    bool
        Always False where the system cannot be asked this way: on others than Linux, and where
        the list may not be read.

    Examples
    --------
    >>> isinstance(has_bfloat16(), bool)
    True
    """
    try:
        words = CPU_INFO.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False
    return not BFLOAT16_FLAGS.isdisjoint(words)


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Raise the learning rate in a straight line to a peak, then lower it in another to zero.

    Parameters
    ----------
    peak_learning_rate : float
        The highest learning rate, above 0. The training begins at a twenty-fifth of it.
    n_steps : int
        Updates of the whole training, batches times epochs; at least 1. After them the learning
        rate is 0.
    warmup_fraction : float
        Share of the updates after which the peak is reached, 0 < warmup_fraction < 1.

    Raises
    ------
    ValueError, TypeError
        If a value is out of range, or no number.

    Examples
    --------
    >>> learning_rate = OneCycle(peak_learning_rate=0.02, n_steps=100)
    >>> [round(float(learning_rate(step)), 4) for step in (0, 30, 65, 100)]
    [0.0008, 0.02, 0.01, 0.0]
    """

    def __init__(self, peak_learning_rate, n_steps, warmup_fraction=0.3):
        check_number("peak_learning_rate", peak_learning_rate)
        check_number("n_steps", n_steps)
        check_number("warmup_fraction", warmup_fraction)
        if not (peak_learning_rate > 0 and n_steps >= 1 and 0 < warmup_fraction < 1):
            raise ValueError(
                "need peak_learning_rate > 0, n_steps >= 1 and 0 < warmup_fraction < 1; "
                f"received {peak_learning_rate}, {n_steps} and {warmup_fraction}."
            )
        self.peak_learning_rate = peak_learning_rate
        self.n_steps = n_steps
        self.warmup_fraction = warmup_fraction

    def __call__(self, step):
        progress = ops.cast(step, "float32") / self.n_steps
        # Before the peak the rising line is the lower one, after it the falling one.
        rising = START_SHARE + (1 - START_SHARE) * progress / self.warmup_fraction
        falling = (1 - progress) / (1 - self.warmup_fraction)
        # After the last update the falling line goes below 0.
        share = ops.maximum(ops.minimum(rising, falling), 0.0)
        return self.peak_learning_rate * share

    def get_config(self):
        return {
            "peak_learning_rate": self.peak_learning_rate,
            "n_steps": self.n_steps,
            "warmup_fraction": self.warmup_fraction,
        }


class LivePlot(keras.callbacks.Callback):
    """Show a training while it runs.

    In a notebook it shows a bar with the seconds left, and one figure with the curves of loss and
    accuracy; both are redrawn in place. One line and the last figure stay stored. Elsewhere it
    prints one line for each epoch.

    Examples
    --------
    An example that runs would train; this is how it is handed over::

        model.fit(x, y, verbose=0, callbacks=[LivePlot()])
    """

    def on_train_begin(self, logs=None):
        self.history = {}
        self.steps_done = 0
        self.started = time.perf_counter()
        self.epoch_started = self.started
        self.shown_at = {"bar": 0.0, "curves": 0.0}
        self.displays = None
        if in_notebook():
            self.displays = {"bar": _new_display(), "curves": _new_display()}

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch_started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.steps_done += 1
        if self._is_due("bar", BAR_SECONDS):
            self._show_bar()

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        if self.displays is None:
            self._print_epoch(epoch, logs)
        elif self._is_due("curves", CURVES_SECONDS):
            self._show_curves()

    def on_train_end(self, logs=None):
        if self.displays is None or not self.history:
            return
        n_epochs = len(self.history["loss"])
        unit = "epoch"
        if n_epochs > 1:
            unit = "epochs"
        seconds = time.perf_counter() - self.started
        text = f"{n_epochs} {unit} in {seconds:.0f} s"
        self.displays["bar"].update({"text/plain": text}, raw=True)
        self._show_curves()

    def _is_due(self, name, seconds):
        """Return whether a display is to be redrawn now, and remember it if so."""
        if self.displays is None:
            return False
        now = time.perf_counter()
        if now - self.shown_at[name] < seconds:
            return False
        self.shown_at[name] = now
        return True

    def _print_epoch(self, epoch, logs):
        numbers = "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
        seconds = time.perf_counter() - self.epoch_started
        print(f"epoch {epoch + 1}/{self.params['epochs']}  {numbers}  {seconds:.1f} s")

    def _show_bar(self):
        n_epochs = self.params["epochs"]
        # Keras does not know how many batches a generator will give.
        steps_per_epoch = self.params["steps"] or 1
        n_steps = n_epochs * steps_per_epoch
        seconds = time.perf_counter() - self.started
        seconds_left = max(seconds * (n_steps / self.steps_done - 1), 0)
        epoch = 1 + len(self.history.get("loss", []))
        text = f"epoch {epoch} of {n_epochs}, about {seconds_left:.0f} s left"
        bar = (
            f'<progress value="{self.steps_done}" max="{n_steps}" aria-label="training"></progress>'
        )
        data = {"text/html": f"{bar} {text}", "text/plain": text}
        self.displays["bar"].update(data, raw=True)

    def _show_curves(self):
        # Not a figure of pyplot's, which Jupyter would show a second time.
        figure = Figure(figsize=(8, 3.2))
        plotting.plot_history(self.history, figure.subplots(1, 2))
        alt = plotting.history_in_words(self.history)
        data, metadata = plotting.png_bundle(figure, alt)
        self.displays["curves"].update(data, metadata=metadata, raw=True)


def _new_display():
    """Return an empty place under the cell that can be updated."""
    from IPython.display import display

    return display({"text/plain": ""}, raw=True, display_id=True)
