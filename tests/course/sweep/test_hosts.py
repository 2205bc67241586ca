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
from support.sweep_stub import finish, finished, gone, logs, read_log, start, sweep, tls, wait_until

pytestmark = pytest.mark.root


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


def must(*command):
    done = run(*command)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr}"


@pytest.fixture
def hosts(folder):
    """Give three hosts, each a prefix for commands, and a function that cuts off the last.

    The first has a line to each of the others, at 10.77.1.1 and 10.77.2.1.
    """
    names = [f"sweep-{os.getpid()}-{number}" for number in range(3)]
    if not shutil.which("ip") and os.environ.get("CI") == "true":
        pytest.fail("the command ip is missing: install iproute2")
    if not shutil.which("ip") or run("ip", "netns", "add", names[0]).returncode != 0:
        yield None
        return
    try:
        for name in names[1:]:
            must("ip", "netns", "add", name)
        for number in (1, 2):
            ends = [f"hub{number}", "eth0"]
            must("ip", "-n", names[0], "link", "add", ends[0], "type", "veth", "peer", "name",
                 ends[1], "netns", names[number])  # fmt: skip
            for name, end, last in zip((names[0], names[number]), ends, (1, 2), strict=True):
                must("ip", "-n", name, "addr", "add", f"10.77.{number}.{last}/24", "dev", end)
                must("ip", "-n", name, "link", "set", end, "up")
        for name in names:
            must("ip", "-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            run("ip", "netns", "del", name)


def test_a_host_that_is_cut_off_loses_nothing_and_doubles_nothing(folder, cluster, hosts):
    soon = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s"}
    if hosts:
        inside = [("ip", "netns", "exec", host) for host in hosts]
        port = cluster.address.rpartition(":")[2]
        addresses = [f"tls://10.77.{number}.1:{port}" for number in (1, 2)]
        cluster.scheduler(host="0.0.0.0", prefix=inside[0], **soon)
        workers = [
            cluster.worker(address=address, prefix=prefix, **soon)
            for address, prefix in zip(addresses, inside[1:], strict=True)
        ]
        options = ["--scheduler", addresses[0], *tls(folder)]
        prefix = inside[0]
    else:
        cluster.scheduler()
        workers = [cluster.worker(), cluster.worker()]
        options, prefix = cluster.arguments, ()
    wait_until(lambda: all("Registered" in log for log in logs(folder, 1, 2)))
    process = start(
        folder, "--set", "seed=0:8", "--set", "pause=3", *options, prefix=prefix, **soon
    )
    wait_until(lambda: len(finished(folder)) >= 2 and len(read_log(folder)) >= 4)
    kept = {result["parameters"]["seed"] for result in results(folder)}
    if hosts:
        must("ip", "-n", hosts[0], "link", "set", "hub2", "down")
    else:
        workers[1].kill()
    status, out, err = finish(process, 200)
    assert status == 0, err
    assert "8 good runs, 0 failed" in out and "Traceback" not in err
    assert sorted(result["parameters"]["seed"] for result in results(folder)) == list(range(8))
    starts = [seed for seed, *_ in read_log(folder)]
    assert {seed for seed in starts if starts.count(seed) > 1}.isdisjoint(kept)
    assert 8 < len(starts) <= 10, "only what ran or waited on the lost host was done again"
    wait_until(lambda: workers[1].poll() is not None, 60)
    wait_until(lambda: gone(*(kernel for _, kernel, _ in read_log(folder))), 10)


def results(folder):
    return [
        json.loads((folder / "out/runs" / f"{run}.json").read_text()) for run in finished(folder)
    ]


def test_a_full_disk_is_told_and_leaves_nothing_half(folder):
    out = folder / "out"
    out.mkdir()
    if run("mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", out).returncode != 0:
        pytest.skip("this system lets nobody mount a small disk")
    try:
        status, printed, err = sweep(folder, "--set", "seed=0:20", "--workers", "2")
        assert (status, printed) == (2, "")
        assert "No space left on device" in err.splitlines()[-1]
        assert "What was finished before is kept" in err.splitlines()[-1]
        assert "Traceback" not in err
        kept = finished(folder)
        assert 0 < len(kept) < 20
        for name in kept:
            assert json.loads((out / "runs" / f"{name}.json").read_text())["error"] is None
            nbformat.validate(nbformat.read(out / "runs" / f"{name}.ipynb", 4))
        started = len(read_log(folder))
        must("mount", "-o", "remount,size=10m", out)
        assert sweep(folder, "--set", "seed=0:20", "--workers", "2")[0] == 0
        assert len(finished(folder)) == 20 and len(read_log(folder)) == started + 20 - len(kept)
    finally:
        run("umount", out)


@contextlib.contextmanager
def little_memory(n_bytes):
    """Give a command's prefix that runs it with so much memory and no more."""
    root = Path("/sys/fs/cgroup")
    old = (root / "memory").is_dir()  # version 1 of control groups
    group = (root / "memory" if old else root) / f"sweep-{os.getpid()}"
    try:
        group.mkdir()
        limit = group / ("memory.limit_in_bytes" if old else "memory.max")
        limit.write_text(str(n_bytes))
    except OSError as error:
        pytest.skip(f"this system lets nobody limit memory: {error}")
    try:
        yield ("sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh")
    finally:
        wait_until(lambda: (group / "cgroup.procs").read_text() == "", 20)
        group.rmdir()


def test_a_kernel_that_takes_all_memory_fails_alone(folder):
    with little_memory(900_000_000) as prefix:
        status, out, err = sweep(
            folder, "--set", "seed=1,104,2", "--workers", "1", "--threads", "1", prefix=prefix
        )
    assert status == 1, err
    (line,) = [line for line in out.splitlines() if line.startswith("FAILED")]
    assert "in work: the kernel died (the system was out of memory)" in line and "seed=104" in line
    assert "2 good runs, 1 failed" in out
    assert gone(*(kernel for _, kernel, _ in read_log(folder)))
