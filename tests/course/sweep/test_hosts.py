"""What needs root: a sweep over hosts of its own, a full disk, a machine without memory.

`make test-cluster` runs these. Where the system does not give hosts of their own (network
namespaces), the workers are separate processes, and one of them is killed instead of cut off.
"""

import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from support.sweep_stub import (
    Seed,
    finish,
    finished,
    gone,
    kernels,
    logs,
    start,
    started_seeds,
    tls_options,
    wait_until,
)

from mnist_course.sweep.results import read_results

pytestmark = pytest.mark.root


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


def must(*command):
    done = run(*command)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr}"


@pytest.fixture
def hosts():
    """Return the names of three hosts, or None where the system gives none.

    The first has a line to each of the others, at 10.77.1.1 and 10.77.2.1.
    """
    hub, first, second = (f"sweep-{os.getpid()}-{number}" for number in range(3))
    has_command = shutil.which("ip") is not None
    if not has_command and os.environ.get("CI") == "true":
        pytest.fail("the command ip is missing: install iproute2")
    if not has_command or run("ip", "netns", "add", hub).returncode != 0:
        yield None
        return
    try:
        must("ip", "-n", hub, "link", "set", "lo", "up")
        for number, host in enumerate([first, second], 1):
            must("ip", "netns", "add", host)
            must("ip", "-n", host, "link", "set", "lo", "up")
            connect(hub, host, number)
        yield hub, first, second
    finally:
        for host in (hub, first, second):
            run("ip", "netns", "del", host)


def connect(hub, host, number):
    """Lay a line from the hub, at 10.77.number.1, to a host, at 10.77.number.2."""
    near = f"hub{number}"
    far = "eth0"
    line = ["type", "veth", "peer", "name", far, "netns", host]
    must("ip", "-n", hub, "link", "add", near, *line)
    must("ip", "-n", hub, "addr", "add", f"10.77.{number}.1/24", "dev", near)
    must("ip", "-n", host, "addr", "add", f"10.77.{number}.2/24", "dev", far)
    must("ip", "-n", hub, "link", "set", near, "up")
    must("ip", "-n", host, "link", "set", far, "up")


def inside(host):
    """Return the beginning of a command that runs on a host."""
    return ("ip", "netns", "exec", host)


# By default, a lost host is noticed after 30 seconds.
SOON = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s"}


def start_on_hosts(cluster, hub, first, second):
    """Start a scheduler and two workers; return the scheduler's address and the last worker."""
    port = cluster.address.rpartition(":")[2]
    cluster.scheduler(host="0.0.0.0", prefix=inside(hub), **SOON)
    cluster.worker(address=f"tls://10.77.1.1:{port}", prefix=inside(first), **SOON)
    last = cluster.worker(address=f"tls://10.77.2.1:{port}", prefix=inside(second), **SOON)
    return f"tls://10.77.1.1:{port}", last


def start_here(cluster):
    cluster.scheduler()
    cluster.worker()
    return cluster.address, cluster.worker()


def test_a_host_that_is_cut_off_loses_nothing_and_doubles_nothing(folder, cluster, hosts):
    if hosts:
        address, last_worker = start_on_hosts(cluster, *hosts)
        prefix = inside(hosts[0])
    else:
        address, last_worker = start_here(cluster)
        prefix = ()
    wait_until(lambda: all("Registered" in log for log in logs(folder, 1, 2)))
    grid = ["--set", "seed=0:8", "--set", "pause=3"]
    options = ["--scheduler", address, *tls_options(folder)]
    process = start(folder, *grid, *options, prefix=prefix, **SOON)
    wait_until(lambda: len(finished(folder)) >= 2 and len(started_seeds(folder)) >= 4)
    kept = finished_seeds(folder)
    if hosts:
        must("ip", "-n", hosts[0], "link", "set", "hub2", "down")
    else:
        last_worker.kill()
    status, out, err = finish(process, 200)
    assert status == 0, err
    assert "8 good runs, 0 failed" in out
    assert "Traceback" not in err
    assert sorted(finished_seeds(folder)) == list(range(8))
    starts = started_seeds(folder)
    repeated = {seed for seed in starts if starts.count(seed) > 1}
    assert repeated.isdisjoint(kept)
    assert 8 < len(starts) <= 10, "only what ran or waited on the lost host was done again"
    wait_until(lambda: last_worker.poll() is not None)
    wait_until(lambda: gone(*kernels(folder)))


def finished_seeds(folder):
    return [result["parameters"]["seed"] for result in read_results(folder / "out").values()]


def test_a_full_disk_is_told_and_leaves_nothing_half(folder):
    out = folder / "out"
    out.mkdir()
    # Room for the notebooks of two runs or three.
    if run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", out).returncode != 0:
        pytest.skip("this system lets nobody mount a small disk")
    n_runs = 8
    options = ["--set", f"seed=0:{n_runs}", "--workers", "1"]
    try:
        status, printed, err = finish(start(folder, *options))
        assert (status, printed) == (2, "")
        message = err.splitlines()[-1]
        assert "No space left on device" in message
        assert "What was finished before is kept" in message
        assert "Traceback" not in err
        kept = finished(folder)
        assert 0 < len(kept) < n_runs
        for name in kept:
            assert json.loads((out / "runs" / f"{name}.json").read_text())["error"] is None
            nbformat.validate(nbformat.read(out / "runs" / f"{name}.ipynb", 4))
        n_started = len(started_seeds(folder))
        must("mount", "-o", "remount,size=10m", out)
        status, _, err = finish(start(folder, *options))
        assert status == 0, err
        assert len(finished(folder)) == n_runs
        assert len(started_seeds(folder)) == n_started + n_runs - len(kept)
    finally:
        run("umount", out)


@contextlib.contextmanager
def little_memory(n_bytes):
    """Give the beginning of a command that runs with so much memory and no more."""
    root = Path("/sys/fs/cgroup")
    # Version 1 of control groups has a folder for each kind of limit.
    is_version_1 = (root / "memory").is_dir()
    parent = root / "memory" if is_version_1 else root
    file = "memory.limit_in_bytes" if is_version_1 else "memory.max"
    group = parent / f"sweep-{os.getpid()}"
    try:
        group.mkdir()
        (group / file).write_text(str(n_bytes))
    except OSError as error:
        pytest.skip(f"this system lets nobody limit memory: {error}")
    try:
        yield ("sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh")
    finally:
        wait_until(lambda: (group / "cgroup.procs").read_text() == "")
        group.rmdir()


def test_a_kernel_that_takes_all_memory_fails_alone(folder):
    seeds = f"seed=1,{Seed.TAKES_ALL_MEMORY},2"
    with little_memory(900_000_000) as prefix:
        process = start(folder, "--set", seeds, "--workers", "1", "--threads", "1", prefix=prefix)
        status, out, err = finish(process)
    assert status == 1, err
    (line,) = [line for line in out.splitlines() if line.startswith("FAILED")]
    assert "in work: the kernel died (the system was out of memory)" in line
    assert f"seed={Seed.TAKES_ALL_MEMORY}" in line
    assert "2 good runs, 1 failed" in out
    assert gone(*kernels(folder))
