"""What a sweep costs, and what a second worker is worth: makes benchmarks/sweep.csv.

    python benchmarks/sweep.py cpu 20        # some twenty minutes on two cores, on real MNIST
    python benchmarks/sweep.py workers 20    # the same
    python benchmarks/sweep.py client        # two minutes

`cpu` and `workers` run notebook 02 at its defaults, with one thread each. `cpu` takes the
CPU-seconds of a sweep with two workers, its start included, and of papermill in two plain loops
side by side. The kernels run the same program in both, and their CPU time differs by more from one
hour to the next than either engine takes; so it is counted apart. `workers` compares the runs an
hour of two workers and of one. `client` sends 5,000 runs that do nothing, each with a result as
large as notebook 02's, through the same code; there the client's own CPU time and memory count.
"""

import contextlib
import csv
import datetime
import os
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import nbformat
import papermill
import psutil

from mnist_course.notebooks import read_notebook
from mnist_course.sweep import engine, local_cluster, sweep
from mnist_course.sweep.worker import THREAD_VARIABLES

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "02_convolutional_network.ipynb"
TABLE = Path(__file__).with_suffix(".csv")
COLUMNS = ["date", "cores", "tensorflow", "runs", "what", "value"]
N_STUBS = 5_000
WATCH_SECONDS = 0.1
SECONDS_PER_HOUR = 3600


class Cost(NamedTuple):
    """What commands took, together."""

    kernel_cpu_seconds: float
    other_cpu_seconds: float
    wall_seconds: float


# --- what is measured, each in a process of its own --------------------------------------------


def run_loop(first_seed, last_seed):
    """Call papermill for each seed, as one would without the sweep."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source.ipynb")
        copy = Path(folder, "copy.ipynb")
        nbformat.write(read_notebook(NOTEBOOK), source)
        for seed in range(first_seed, last_seed):
            parameters = {"seed": seed, "data": "mnist", "results_dir": folder}
            papermill.execute_notebook(source, copy, parameters, kernel_name="python3")


def run_sweep(n_runs, n_workers):
    """Run as many seeds in a sweep, each worker on one thread."""
    grid = {"seed": range(n_runs), "data": ["mnist"]}
    with tempfile.TemporaryDirectory() as folder:
        rows = sweep(NOTEBOOK, grid, output=folder, cluster=local_cluster(n_workers, 1))
    assert all(row["result"] == "good" for row in rows)


def run_stubs():
    """Send runs that do nothing through a sweep; print its CPU seconds and its memory in MB."""
    size = NOTEBOOK.stat().st_size

    def stub(name, text, parameters, *, expected, threads, timeout):
        return {
            "record": {"metrics": {"val_accuracy": 0.5}, "seconds": {}, "versions": {}},
            "seconds": 0.0,
            "cell": None,
            "error": None,
            "notebook": " " * size,
        }

    engine.run_notebook = stub
    grid = {"seed": range(N_STUBS), "data": ["digits"]}
    with tempfile.TemporaryDirectory() as folder:
        rows = sweep(NOTEBOOK, grid, output=folder, cluster=local_cluster(2, 1))
    assert len(rows) == N_STUBS
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


# --- measuring ---------------------------------------------------------------------------------


def note_cpu_seconds(process, cpu_seconds):
    """Note the CPU seconds of a process and its descendants: {(process, is a kernel): seconds}."""
    with contextlib.suppress(psutil.Error):
        for part in [process, *process.children(recursive=True)]:
            # It may have ended meanwhile; what was noted last stays.
            with contextlib.suppress(psutil.Error):
                is_kernel = "kernel_program" in " ".join(part.cmdline())
                times = part.cpu_times()
                cpu_seconds[part.pid] = (is_kernel, times.user + times.system)


def measure(*commands):
    """Run this file with these arguments, all at once, and return what they took."""
    started = time.perf_counter()
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, "1")
    running = []
    for command in commands:
        arguments = [str(argument) for argument in command]
        running.append(psutil.Popen([sys.executable, __file__, *arguments], env=environment))
    cpu_seconds = {}
    while any(process.poll() is None for process in running):
        for process in running:
            note_cpu_seconds(process, cpu_seconds)
        time.sleep(WATCH_SECONDS)
    wall_seconds = time.perf_counter() - started
    assert all(process.returncode == 0 for process in running)
    kernels = sum(seconds for is_kernel, seconds in cpu_seconds.values() if is_kernel)
    others = sum(seconds for is_kernel, seconds in cpu_seconds.values() if not is_kernel)
    return Cost(kernels, others, wall_seconds)


def compare_cpu(n_runs):
    """Measure what the sweep takes beside the kernels, and what plain loops take."""
    half = n_runs // 2
    swept = measure(("sweep", n_runs, 2))
    looped = measure(("loop", 0, half), ("loop", half, n_runs))
    extra = swept.other_cpu_seconds - looped.other_cpu_seconds
    looped_total = looped.kernel_cpu_seconds + looped.other_cpu_seconds
    return {
        "CPU-seconds a run, kernels of the sweep": swept.kernel_cpu_seconds / n_runs,
        "CPU-seconds a run, kernels of the loops": looped.kernel_cpu_seconds / n_runs,
        "CPU-seconds a run, the sweep beside them": swept.other_cpu_seconds / n_runs,
        "CPU-seconds a run, papermill in loops beside them": looped.other_cpu_seconds / n_runs,
        "what the sweep adds, over all CPU time of the loops": extra / looped_total,
    }


def compare_workers(n_runs):
    """Measure the runs an hour of two workers and of one."""
    half = n_runs // 2
    two_workers = measure(("sweep", n_runs, 2))
    one_worker = measure(("sweep", half, 1))
    two = SECONDS_PER_HOUR * n_runs / two_workers.wall_seconds
    one = SECONDS_PER_HOUR * half / one_worker.wall_seconds
    return {
        "runs an hour, two workers": two,
        "runs an hour, one worker": one,
        "runs an hour, two workers over one": two / one,
    }


def measure_client():
    """Measure what the client takes for runs that do nothing."""
    printed = subprocess.check_output([sys.executable, __file__, "stub"], text=True)
    cpu_seconds, memory = printed.split()
    return {
        "client's CPU-milliseconds a run, 5,000 stubs": 1000 * float(cpu_seconds) / N_STUBS,
        "client's peak memory in MB, 5,000 stubs": float(memory),
    }


def append_results(n_runs, results):
    """Add the results to the table, and print them."""
    about = [datetime.date.today(), os.cpu_count(), version("tensorflow"), n_runs]
    is_new = not TABLE.exists()
    with TABLE.open("a", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        if is_new:
            table.writerow(COLUMNS)
        for what, value in results.items():
            table.writerow([*about, what, f"{value:.4g}"])
            print(f"{what}: {value:.4g}")


def main(arguments):
    match arguments:
        case ["loop", first_seed, last_seed]:
            run_loop(int(first_seed), int(last_seed))
        case ["sweep", n_runs, n_workers]:
            run_sweep(int(n_runs), int(n_workers))
        case ["stub"]:
            run_stubs()
        case ["cpu", n_runs]:
            append_results(n_runs, compare_cpu(int(n_runs)))
        case ["workers", n_runs]:
            append_results(n_runs, compare_workers(int(n_runs)))
        case ["client"]:
            append_results(N_STUBS, measure_client())
        case _:
            print(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
