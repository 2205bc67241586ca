"""A sweep on a Dask cluster that was started by hand: scheduler and workers of their own."""

import shutil
from pathlib import Path

import pytest
from distributed import LocalCluster
from support.sweep_stub import (
    Cluster,
    finish,
    finished,
    gone,
    logs,
    read_log,
    start,
    sweep,
    wait_until,
)

import mnist_helpers
from mnist_course.sweep import join_cluster
from mnist_helpers.data import load_mnist

WITHOUT_PACKAGE = (
    "import sys\nsys.modules['mnist_course'] = None\nfrom dask.__main__ import main\nmain()"
)


def test_the_notebook_travels_and_the_results_come_back(folder, cluster):
    cluster.scheduler()
    cluster.worker(threads=2)
    cluster.worker()
    process = start(folder, "--set", "seed=0:6", "--set", "pause=1.5", *cluster.arguments)
    wait_until(lambda: len(read_log(folder)) == 3)
    parents = [parent for *_, parent in read_log(folder)]
    assert len({*parents}) == 2, "two runs at once in the worker with two threads"
    status, out, err = finish(process)
    assert (status, "6 good runs" in out, "Traceback" in err) == (0, True, False)
    assert "tls://" not in err
    assert sorted(seed for seed, *_ in read_log(folder)) == list(range(6))
    assert len(list((folder / "out" / "runs").glob("*.ipynb"))) == 6
    for number in range(3):  # they keep nothing
        left = {path.name for path in (folder / f"process-{number}").rglob("*") if path.is_file()}
        assert not [name for name in left if name.endswith((".ipynb", ".json"))]


def test_a_cluster_that_another_package_made_is_joined_with_its_own_certificates(recwarn):
    options = {"processes": False, "protocol": "tls://", "dashboard_address": None}
    with LocalCluster(1, security=True, **options) as made:
        with join_cluster(made, threads=3) as (client, threads):
            assert threads == 3 and client.submit(sum, [1, 2]).result() == 3
    assert not [warning for warning in recwarn if "tls" in str(warning.message)]


def test_a_plain_address_is_warned_of(folder):
    cluster = Cluster(folder, protocol="tcp")
    cluster.scheduler()
    cluster.worker()
    try:
        status, out, err = sweep(folder, "--set", "seed=1", *cluster.arguments)
    finally:
        cluster.end()
    assert status == 0 and "1 good run," in out
    warning = err.splitlines()[0]
    assert warning.startswith(f"mnist-course: {cluster.address} is not a tls:// address")
    assert "run any program" in warning


def test_no_scheduler_there_is_said_in_one_line(folder, cluster):
    status, out, err = sweep(folder, "--set", "seed=1", *cluster.arguments)
    assert (status, out) == (2, "")
    assert f"no scheduler answers at {cluster.address}" in err and err.count("\n") == 1


@pytest.mark.parametrize("fault", ["no package", "another version", "no digits", "other digits"])
def test_a_worker_that_is_not_like_the_others_stops_the_sweep_before_it_starts(
    folder, cluster, fault
):
    cluster.scheduler()
    data = []
    if fault == "no package":
        cluster.worker(start=("-c", WITHOUT_PACKAGE))
        expected = "it has no mnist_helpers: install this project there too"
    elif fault == "another version":
        package = Path(mnist_helpers.__file__).parent
        shutil.copytree(package, folder / "other" / "mnist_helpers")
        code = (package / "__init__.py").read_text()
        changed = code.replace(f'"{mnist_helpers.__version__}"', '"0.1"')
        (folder / "other" / "mnist_helpers" / "__init__.py").write_text(changed)
        cluster.worker(PYTHONPATH=str(folder / "other"))
        expected = f"it has mnist_helpers 0.1, not {mnist_helpers.__version__}"
    elif fault == "no digits":
        cluster.worker(MNIST_HELPERS_DATA=str(folder / "nothing.npz"))
        data = ["--set", 'data=""']
        expected = "nothing.npz"
    else:
        try:
            load_mnist("mnist")
        except OSError:
            pytest.skip("needs real MNIST beside the bundled digits")
        cluster.worker()
        data = ["--set", 'data=""']
        expected = "it has MNIST, not bundled digits|it has bundled digits, not MNIST"
    cluster.worker(MNIST_HELPERS_DATA="digits")
    wait_until(lambda: all("Registered" in log for log in logs(folder, 1, 2)))
    status, out, err = sweep(folder, "--set", "seed=1", *data, *cluster.arguments)
    assert (status, out, read_log(folder)) == (2, "", [])
    assert "nothing was run, for workers must be alike" in err
    assert any(words in err for words in expected.split("|"))
    assert "Traceback" not in err and finished(folder) == []


def test_when_the_scheduler_is_gone_what_is_finished_is_kept(folder, cluster):
    scheduler = cluster.scheduler()
    worker = cluster.worker()
    arguments = ("--set", "seed=0:4", "--set", "pause=2", *cluster.arguments)
    process = start(folder, *arguments)
    wait_until(lambda: len(finished(folder)) == 1 and len(read_log(folder)) == 2)
    scheduler.kill()
    status, out, err = finish(process)
    assert (status, out) == (2, "")
    (line,) = [line for line in err.splitlines() if line.startswith("mnist-course")]
    assert "the scheduler does not answer any more. What was finished is kept" in line
    assert "Traceback" not in err
    wait_until(lambda: worker.poll() is not None)
    wait_until(lambda: gone(*(kernel for _, kernel, _ in read_log(folder))), 10)
    done, started = len(finished(folder)), len(read_log(folder))
    assert done in (1, 2)

    cluster.scheduler()
    cluster.worker()
    status, out, _ = sweep(folder, *arguments)
    assert status == 0 and "4 good runs" in out
    assert len(read_log(folder)) - started == 4 - done
