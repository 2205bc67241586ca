"""A sweep on this machine, and what may happen to it: each fault is brought about for real."""

import os
import signal
import time
import urllib.error
import urllib.request

import nbformat
import psutil
import pytest
from support.sweep_stub import (
    finish,
    finished,
    gone,
    read_log,
    start,
    sweep,
    wait_until,
    write_stub,
)

from mnist_course.sweep import local_cluster
from mnist_course.sweep.cluster import fit_machine
from mnist_course.sweep.results import read_results


def by_seed(folder):
    results = read_results(folder / "out").values()
    return {result["parameters"]["seed"]: result for result in results}


def printed(folder, result):
    cells = nbformat.read(folder / "out" / "runs" / f"{result['run']}.ipynb", 4).cells
    return "".join(o.get("text", "") for cell in cells for o in cell.get("outputs", []))


def no_traceback(err):
    return "Traceback" not in err and "distributed" not in err


# One sweep has good runs and all kinds of bad ones; the tests after it each look at one thing.


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("with {braces}")
    write_stub(folder)
    values = ["rate=1e-3", "units=[16,32]", "flag=false", "word=0123", "extra=null"]
    sets = [part for value in values for part in ("--set", value)]
    seeds = "seed=0:2,100:104,105,106"
    done = sweep(folder, "--set", seeds, *sets, "--timeout", "8", "--threads", "1")
    return folder, done


def test_failed_runs_are_told_with_their_cell_and_reason(mixed):
    folder, (status, out, err) = mixed
    assert status == 1 and no_traceback(err), err
    lines = [line for line in out.splitlines() if line.startswith("FAILED")]
    expected = {
        100: "(seed=100) in work: ValueError: unlucky",
        101: "in work: the kernel died (killed)",
        102: "in work: time-out: the run was not done after 8 seconds",
        103: "in work: MemoryError",
        105: "other digits than the sweep's were used",
        106: "no record: the last cell must call record_run",
    }
    assert len(lines) == len(expected)
    for seed, words in expected.items():
        assert [line for line in lines if words in line and f"seed={seed}" in line], seed
    assert "2 good runs, 6 failed, on bundled digits: out/runs.csv" in out
    assert "bundled digits: |" in err and "8 of 8 done, 6 failed" in err
    table = (folder / "out" / "runs.csv").read_text()
    assert table.count("\n") == 9 and table.count(",failed,") == 6


def test_failed_runs_keep_their_partial_notebook(mixed):
    folder, _ = mixed
    for seed in (100, 102, 103):
        assert "0.001" in printed(folder, by_seed(folder)[seed])


def test_no_kernel_is_left_behind(mixed):
    log = read_log(mixed[0])
    assert sorted(seed for seed, *_ in log) == [0, 1, 100, 101, 102, 103, 105, 106]
    assert gone(*(kernel for _, kernel, _ in log))


def test_values_arrive_typed_and_threads_are_set(mixed):
    folder, _ = mixed
    text = printed(folder, by_seed(folder)[1])
    assert "(0.001, [16, 32], False, '0123', None)" in text
    assert "{'TF_NUM_INTRAOP_THREADS': '1', 'OMP_NUM_THREADS': '1'}" in text


def test_finished_runs_are_not_repeated_and_failed_ones_only_on_demand(mixed):
    folder, _ = mixed
    values = ["rate=1e-3", "units=[16,32]", "flag=false", "word=0123", "extra=null"]
    sets = [part for value in values for part in ("--set", value)]
    before = read_log(folder)
    status, out, _ = sweep(folder, "--set", "seed=0:2,100", *sets)
    assert status == 1 and read_log(folder) == before
    assert "2 good runs, 1 failed" in out
    status, out, _ = sweep(folder, "--set", "seed=0:2,100", *sets, "--retry-failed")
    assert status == 1 and [seed for seed, *_ in read_log(folder)[len(before) :]] == [100]


def test_changed_code_is_never_already_done(folder):
    assert sweep(folder, "--set", "seed=0:2")[0] == 0
    notebook = nbformat.read(folder / "stub.ipynb", 4)
    notebook.cells[0].source = "# Other prose"
    nbformat.write(notebook, folder / "stub.ipynb")
    assert sweep(folder, "--set", "seed=0:3")[0] == 0
    assert sorted(seed for seed, *_ in read_log(folder)) == [0, 1, 2]
    notebook.cells[2].source += "\npass"
    nbformat.write(notebook, folder / "stub.ipynb")
    assert sweep(folder, "--set", "seed=0:2")[0] == 0
    assert sorted(seed for seed, *_ in read_log(folder)) == [0, 0, 1, 1, 2]


# --- processes that are killed -----------------------------------------------------------------


def test_a_run_whose_worker_is_killed_is_done_again(folder):
    process = start(folder, "--set", "seed=0:4", "--set", "pause=2", "--workers", "2")
    wait_until(lambda: len(read_log(folder)) == 2)
    seed, kernel, worker = read_log(folder)[0]
    os.kill(worker, signal.SIGKILL)
    status, _, err = finish(process)
    assert status == 0 and no_traceback(err), err
    starts = [started for started, *_ in read_log(folder)]
    assert sorted({*starts}) == [0, 1, 2, 3] and starts.count(seed) == 2 and len(starts) == 5
    assert len(finished(folder)) == 4 and gone(kernel)


def test_what_kills_every_worker_is_given_up(folder):
    process = start(folder, "--set", "seed=0:2", "--set", "pause=3,0", "--workers", "1")
    killed = set()

    def kill_worker_of_0():
        for seed, _, worker in read_log(folder):
            if seed == 0 and worker not in killed and len(killed) < 4:
                killed.add(worker)
                if not gone(worker):
                    os.kill(worker, signal.SIGKILL)
        return process.poll() is not None

    wait_until(kill_worker_of_0, 120)
    status, out, _ = finish(process)
    assert status == 1 and "each of the 4 workers it was given to was killed" in out
    assert len(finished(folder)) == 4


def test_a_worker_that_is_killed_again_and_again_comes_back():
    with local_cluster(1, 1) as (client, _):
        end = time.monotonic() + 25  # Dask looks for lost workers 15 seconds later
        while time.monotonic() < end:
            if client.nthreads():
                for child in psutil.Process().children():
                    if "spawn_main" in " ".join(child.cmdline()):
                        child.kill()
            time.sleep(0.1)
        assert client.submit(int, "7").result(timeout=30) == 7


def test_after_kill_9_of_the_command_the_rest_is_done_and_nothing_twice(folder):
    arguments = ("--set", "seed=0:6", "--set", "pause=1.5", "--workers", "2")
    process = start(folder, *arguments)
    wait_until(lambda: len(finished(folder)) >= 2)
    family = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = len(finished(folder))
    wait_until(lambda: gone(*family), 10)
    started = len(read_log(folder))
    status, out, _ = sweep(folder, *arguments)
    assert status == 0 and "6 good runs, 0 failed" in out
    assert len(read_log(folder)) - started == 6 - done
    assert len(finished(folder)) == 6
    assert not [path for path in (folder / "out" / "runs").iterdir() if path.name.startswith(".")]


def test_ctrl_c_ends_all_that_was_started(folder):
    arguments = ("--set", "seed=0:6", "--set", "pause=2", "--workers", "2")
    process = start(folder, *arguments)
    wait_until(lambda: len(finished(folder)) >= 1)
    family = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    os.killpg(process.pid, signal.SIGINT)
    status, out, err = finish(process)
    assert status == 130 and out == "" and no_traceback(err), err
    assert err.splitlines()[-1] == "mnist-course: interrupted; what was finished is kept"
    wait_until(lambda: gone(*family), 10)
    done, started = len(finished(folder)), len(read_log(folder))
    assert sweep(folder, *arguments)[0] == 0
    assert len(read_log(folder)) - started == 6 - done


def test_a_second_sweep_into_the_same_folder_is_refused(folder):
    first = start(folder, "--set", "seed=0:2", "--set", "pause=4")
    wait_until(lambda: read_log(folder))
    status, out, err = sweep(folder, "--set", "seed=5")
    assert (status, out) == (2, "")
    assert err == "mnist-course: another sweep is writing into out: wait, or name another\n"
    assert finish(first)[0] == 0 and len(finished(folder)) == 2


def fail_at_first(folder, starts):
    """Let this many kernels end as soon as Python reads this module at its start."""
    (folder / "sitecustomize.py").write_text(
        "import os, pathlib, sys\n"
        "if 'ipykernel_launcher' in ' '.join(sys.orig_argv):\n"
        f"    starts = pathlib.Path({str(folder / 'starts')!r})\n"
        "    starts.write_text((starts.read_text() if starts.exists() else '') + '.')\n"
        f"    if len(starts.read_text()) <= {starts}:\n"
        "        os.write(2, b'Traceback: at home\\nKernelError: no luck\\n')\n"
        "        os._exit(1)\n"
    )
    return {"PYTHONPATH": str(folder)}


def test_a_kernel_that_does_not_start_is_started_again(folder):
    status, out, err = sweep(folder, "--set", "seed=1", **fail_at_first(folder, 2))
    assert status == 0 and "1 good run," in out and no_traceback(err), err
    assert (folder / "starts").read_text() == "..."


def test_why_a_kernel_does_not_start_is_told(folder):
    status, out, err = sweep(folder, "--set", "seed=1", **fail_at_first(folder, 9))
    assert status == 1 and no_traceback(err), err
    assert ": RuntimeError: the kernel did not start: KernelError: no luck\n" in out
    assert (folder / "starts").read_text() == "..."


# --- what can be reached from outside ----------------------------------------------------------


def test_nothing_listens_beyond_this_machine_and_nothing_answers_without_certificates():
    from distributed import Client

    with local_cluster(2, 1) as (client, threads):
        assert threads == 1 and sorted(client.nthreads().values()) == [1, 1]
        me = psutil.Process()
        listening = [
            connection.laddr
            for process in (me, *me.children(recursive=True))
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert len(listening) >= 6
        assert {address.ip for address in listening} == {"127.0.0.1"}
        assert client.scheduler.address.startswith("tls://")
        with pytest.raises(OSError):
            Client(client.scheduler.address.replace("tls://", "tcp://"), timeout=2)
        for address in listening:
            with pytest.raises((urllib.error.HTTPError, OSError)):
                urllib.request.urlopen(f"http://127.0.0.1:{address.port}/status", timeout=2)


def test_workers_times_threads_fit_the_cores(monkeypatch):
    monkeypatch.setattr("dask.system.CPU_COUNT", 8)
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", 64e9)
    assert fit_machine() == (8, 1)
    assert fit_machine(workers=2) == (2, 4)
    assert fit_machine(threads=4) == (2, 4)
    assert fit_machine(workers=3, threads=5) == (3, 5)
    assert fit_machine(workers=20) == (20, 1)
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", 5e9)
    assert fit_machine() == (2, 4)
    for wrong in ({"workers": 0}, {"threads": -1}):
        with pytest.raises(ValueError, match="must be above 0"):
            fit_machine(**wrong)
