"""The bar of a sweep, in a terminal or in a notebook."""

import math
import sys
import time

from tqdm import tqdm

from mnist_helpers import in_notebook

_SECONDS = 0.2  # a log that shows each step of a hundred thousand runs is a file of its own


class SweepBar(tqdm):
    """Shows how many of `total` runs are done, have failed and are running, and the time left.

    `finished` are the results of those that were done before. The bar names the digits; but for a
    notebook, which has loaded them itself, it is preceded by the reason if they are not MNIST's.
    """

    def __init__(self, total, finished, environment):
        failed = [bool(result["error"]) for result in finished]
        self.failed, self.running, self.shown = sum(failed), 0, -math.inf
        shown = "{desc}: |{bar:20}| {n_fmt} of {total_fmt} done{postfix}, {remaining} left"
        options = {"bar_format": shown, "postfix": self._words(), "file": sys.stderr}
        if in_notebook():
            options["file"] = _NotebookLine()
        elif environment["notice"]:
            print(environment["notice"], file=sys.stderr)
        name = environment["digits"]["name"]
        super().__init__(total=total, initial=len(failed), desc=name, **options)

    def show(self):
        """Show the present state, unless it has just been shown."""
        now = time.monotonic()
        if now - self.shown > _SECONDS:
            self.shown = now
            self.set_postfix_str(self._words())

    def close(self):
        self.set_postfix_str(self._words(), refresh=False)
        super().close()

    def _words(self):
        return f"{self.failed} failed, {self.running} running"


class _NotebookLine:
    """A line among a cell's outputs; what is written takes the place of what was there."""

    encoding = "utf-8"  # tqdm asks for it

    def __init__(self):
        from IPython.display import display

        self.display = display({"text/plain": ""}, raw=True, display_id=True)

    def write(self, text):
        if text.strip():
            self.display.update({"text/plain": text.strip()}, raw=True)

    def flush(self):
        pass  # it is shown at once
