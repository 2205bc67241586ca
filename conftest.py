"""How pytest runs the notebooks: strictly on real MNIST, laxly on the bundled digits.

This file lies beside `notebooks/` and `tests/`, so that pytest reads it whichever of them it is
given. Nothing here reaches for a network: downloads are sent to a closed port of this machine.
"""

import os
import shutil
import signal
from pathlib import Path

import pytest

from mnist_helpers.data import load_mnist

RESULTS = Path(__file__).parent / "notebooks" / "results"
CLOSED_PORT = "http://127.0.0.1:9/"
# `model.summary()` looks at these, so they would change what is compared.
TERMINAL_VARIABLES = ("COLUMNS", "FORCE_COLOR", "NO_COLOR")
THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


def pytest_configure(config):
    _take_signals()
    os.environ["MNIST_HELPERS_URL"] = CLOSED_PORT
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    for name in TERMINAL_VARIABLES:
        os.environ.pop(name, None)
    is_worker = hasattr(config, "workerinput")
    if is_worker:
        # Several processes share the cores: two threads on one small network waste half of both.
        for name in THREAD_VARIABLES:
            os.environ.setdefault(name, "1")
    has_mnist = _find_mnist()
    if not (config.option.nbval or config.option.nbval_lax):
        config.option.nbval = has_mnist
        config.option.nbval_lax = not has_mnist
    if not is_worker:
        config.pluginmanager.register(NotebookSummary(has_mnist))
        if not RESULTS.exists():  # the notebooks save their models there
            config.add_cleanup(lambda: shutil.rmtree(RESULTS, ignore_errors=True))


def _take_signals():
    """Let signals end what the tests start, also where pytest itself ignores them.

    A program in the background ignores Ctrl-C, one under `nohup` a closed terminal, and what they
    start does so too.
    """
    for name in ("SIGINT", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            usual = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
            signal.signal(number, usual)


def _find_mnist():
    """Say whether real MNIST is here; where it is not, make all tests take the bundled digits."""
    named = os.environ.get("MNIST_HELPERS_DATA", "")
    if os.path.exists(named):  # the notebooks' kernels work in another folder
        named = os.path.abspath(named)
        os.environ["MNIST_HELPERS_DATA"] = named
    try:
        load_mnist("mnist")
    except (OSError, ValueError) as error:
        if named not in ("", "digits", "mnist"):
            raise pytest.UsageError(str(error)) from None
        os.environ["MNIST_HELPERS_DATA"] = "digits"
        return False
    return True


def pytest_runtest_setup(item):
    if hasattr(item, "cell"):  # one of nbval's
        # The one thing of an item that reaches the process which writes the summary.
        item.user_properties.append(("compared", bool(item.options["check"])))


class NotebookSummary:
    """Counts the notebook cells whose output was compared and those where it was not."""

    def __init__(self, has_mnist):
        self.has_mnist = has_mnist
        self.compared = 0
        self.ignored = 0

    def pytest_runtest_logreport(self, report):
        if report.when != "call":
            return
        for name, compared in report.user_properties:
            if name == "compared" and compared:
                self.compared += 1
            elif name == "compared":
                self.ignored += 1

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter):
        n_cells = self.compared + self.ignored
        if n_cells == 0:
            return
        terminalreporter.section("notebooks")
        digits = "real MNIST" if self.has_mnist else "the bundled digits"
        terminalreporter.line(
            f"{n_cells} cells were run on {digits}: the outputs of {self.compared} were compared "
            f"with the stored ones, those of {self.ignored} were not."
        )
        if not self.has_mnist:
            terminalreporter.line(
                "Real MNIST was not found, so stored outputs could not be compared. To compare "
                "them, let MNIST_HELPERS_DATA name an mnist.npz and run the tests again."
            )
