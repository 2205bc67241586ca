"""The bar of a sweep, in a terminal or in a notebook."""

import math
import sys
import time

from tqdm import tqdm

from mnist_helpers import in_notebook

# In a log, each step is a line: a sweep of a hundred thousand runs would fill a file.
_SECONDS_BETWEEN = 0.2
_FORMAT = "{desc}: |{bar:20}| {n_fmt} of {total_fmt} done{postfix}, {remaining} left"


class SweepBar(tqdm):
    """Shows how many runs are done, have failed and are running, and the time left.

    Parameters
    ----------
    total : int
        The number of runs.
    finished : iterable of dict
        The results of the runs that were finished before.
    environment : dict
        As `describe_environment` returns it. The bar names its digits. If they are not MNIST's, a
        line before the bar says why; in a notebook, `load_mnist` has already said so.
    """

    def __init__(self, total, finished, environment):
        failures = [bool(result["error"]) for result in finished]
        self.n_failed = sum(failures)
        self.n_running = 0
        self.time_shown = -math.inf
        if in_notebook():
            file = _NotebookLine()
        else:
            file = sys.stderr
            if environment["dataset_warning"]:
                print(environment["dataset_warning"], file=file)
        super().__init__(
            total=total,
            initial=len(failures),
            desc=environment["dataset"]["name"],
            bar_format=_FORMAT,
            postfix=self._counts(),
            file=file,
        )

    def add(self, result):
        """Count a run that has just finished; `show` shows it."""
        self.n += 1
        if result["error"]:
            self.n_failed += 1

    def show(self, n_running):
        """Show the present state, unless the bar was drawn a moment ago."""
        self.n_running = n_running
        now = time.monotonic()
        if now - self.time_shown > _SECONDS_BETWEEN:
            self.time_shown = now
            self.set_postfix_str(self._counts())

    def close(self):
        self.set_postfix_str(self._counts(), refresh=False)
        super().close()

    def _counts(self):
        return f"{self.n_failed} failed, {self.n_running} running"


class _NotebookLine:
    """A file for tqdm: one line among a cell's outputs, which each write replaces."""

    # tqdm asks for it, to choose the characters of the bar.
    encoding = "utf-8"

    def __init__(self):
        from IPython.display import display

        self.display = display({"text/plain": ""}, raw=True, display_id=True)

    def write(self, text):
        if text.strip():
            self.display.update({"text/plain": text.strip()}, raw=True)

    def flush(self):
        """Do nothing: what is written is shown at once."""
