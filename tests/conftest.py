"""How the notebooks are run as tests: strictly on real MNIST, laxly on the bundled digits.

Nothing here reaches for a network: downloads are sent to a closed port of this machine.
"""

import os
import shutil
from pathlib import Path

import pytest
from distributed.security import Security
from sweep_stub import Cluster, write_stub

from mnist_helpers.classroom.handout import write_learner
from mnist_helpers.data import load_mnist

RESULTS = Path(__file__).parent.parent / "notebooks" / "results"


def pytest_configure(config):
    os.environ["MNIST_HELPERS_URL"] = "http://127.0.0.1:9/"
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR"):  # model.summary() looks at these
        os.environ.pop(name, None)
    named = os.environ.get("MNIST_HELPERS_DATA", "")
    if os.path.exists(named):  # the notebooks' kernels work in another folder
        os.environ["MNIST_HELPERS_DATA"] = named = os.path.abspath(named)
    try:
        load_mnist("mnist")
        config.option.nbval = True
    except (OSError, ValueError) as error:
        if named not in ("", "digits", "mnist"):
            raise pytest.UsageError(str(error)) from None
        os.environ["MNIST_HELPERS_DATA"] = "digits"
        config.option.nbval_lax = True
    # Registered, because what stands here itself is only asked about the tests beside it.
    config.pluginmanager.register(NotebookSummary(config.option.nbval))
    if not RESULTS.exists():  # the notebooks save their models there
        config.add_cleanup(lambda: shutil.rmtree(RESULTS, ignore_errors=True))


@pytest.fixture(scope="module")
def browser():
    """Return a Chromium."""
    from browser import open_chromium  # only browser tests need Playwright

    with open_chromium() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """Return a JupyterLab that has the learners' notebooks."""
    from lab import ROOT, learners_lab

    folder = tmp_path_factory.mktemp("lab")
    (folder / "work").mkdir()
    write_learner(ROOT / "notebooks", folder / "work")
    with learners_lab(folder) as lab:
        yield lab


@pytest.fixture
def folder(tmp_path):
    """Return a folder with stub.ipynb, and a certificate for a Dask cluster."""
    write_stub(tmp_path)
    security = Security.temporary()
    (tmp_path / "cert.pem").write_text(security.tls_scheduler_cert)
    (tmp_path / "key.pem").write_text(security.tls_scheduler_key)
    return tmp_path


@pytest.fixture
def cluster(folder):
    """Return what starts a Dask cluster's processes; they end with the test."""
    cluster = Cluster(folder)
    yield cluster
    cluster.end()


class NotebookSummary:
    """Counts the notebook cells whose output was compared and those where it was not."""

    def __init__(self, strict):
        self.strict, self.compared, self.ignored = strict, 0, 0

    def pytest_runtest_call(self, item):
        if hasattr(item, "cell"):
            compared = item.options["check"]
            self.compared, self.ignored = self.compared + compared, self.ignored + (not compared)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter):
        if not self.compared + self.ignored:
            return
        terminalreporter.section("notebooks")
        digits = "real MNIST" if self.strict else "the bundled digits"
        terminalreporter.line(
            f"{self.compared + self.ignored} cells were run on {digits}: the outputs of "
            f"{self.compared} were compared with the stored ones, those of {self.ignored} were not."
        )
        if not self.strict:
            terminalreporter.line(
                "Real MNIST was not found, so stored outputs could not be compared. To compare "
                "them, let MNIST_HELPERS_DATA name an mnist.npz and run the tests again."
            )
