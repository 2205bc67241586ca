"""What tests in several folders are given: browsers, a JupyterLab, a sweep's stub and cluster."""

import pytest
from distributed.security import Security
from support.project import ROOT
from support.sweep_stub import Cluster, write_stub

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
