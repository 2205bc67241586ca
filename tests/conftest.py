"""What tests in several folders are given: real MNIST, a browser, a JupyterLab."""

import pytest
from support.project import ROOT

from mnist_course.handout import write_learner
from mnist_helpers.data import load_mnist


@pytest.fixture(scope="session")
def mnist():
    """Return real MNIST as `load_mnist` does, or skip."""
    try:
        return load_mnist("mnist")
    except (OSError, ValueError):
        pytest.skip("real MNIST is needed")


@pytest.fixture(scope="module")
def browser():
    """Return a Chromium."""
    from support.browser import open_chromium  # only browser tests need Playwright

    with open_chromium() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """Return a JupyterLab that has the learners' notebooks."""
    from support.lab import learners_lab

    folder = tmp_path_factory.mktemp("lab")
    # JupyterLab's start copies them into work/.
    (folder / "notebooks").mkdir()
    write_learner(ROOT / "notebooks", folder / "notebooks")
    with learners_lab(folder) as lab:
        yield lab
