"""A folder with the stub notebook, and workers to run it: threads of this process or a cluster."""

import contextlib

import pytest
from distributed import Client, LocalCluster
from support.sweep_stub import Cluster, write_certificate, write_stub

from mnist_course.sweep import sweep


@pytest.fixture
def folder(tmp_path):
    """Return a folder with stub.ipynb, and a certificate for a Dask cluster."""
    write_stub(tmp_path)
    write_certificate(tmp_path)
    return tmp_path


@pytest.fixture
def cluster(folder):
    """Return what starts a Dask cluster's processes; they end with the test."""
    cluster = Cluster(folder)
    yield cluster
    cluster.end()


@pytest.fixture(scope="session")
def thread_workers():
    """Return a Dask cluster with two workers that are threads: it starts in no time.

    The kernels are processes all the same.
    """
    options = {"processes": False, "protocol": "tcp://", "dashboard_address": None}
    with LocalCluster(n_workers=2, threads_per_worker=1, **options) as workers:
        yield workers


@pytest.fixture(scope="session")
def sweep_in_threads(thread_workers):
    """Return `sweep` of a folder's stub notebook on those workers, with the bundled digits."""
    with Client(thread_workers) as client:

        def sweep_stub(folder, grid, **options):
            return sweep(
                folder / "stub.ipynb",
                {"data": "digits", **grid},
                output=folder / "out",
                cluster=contextlib.nullcontext((client, 1)),
                **options,
            )

        yield sweep_stub
