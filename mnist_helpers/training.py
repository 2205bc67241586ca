"""What stands beside `fit`: how long to train, and a view of the training while it runs."""

import time

import keras
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
