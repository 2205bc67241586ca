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

import nbformat
import papermill
import psutil

from mnist_course.run import read_notebook
from mnist_course.sweep import engine, local_cluster, sweep
from mnist_course.sweep.worker import THREAD_VARIABLES

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "02_convolutional_network.ipynb"
TABLE = Path(__file__).with_suffix(".csv")
STUBS = 5_000


def loop(first, last):
    """Call papermill for each seed, as one would without the sweep."""
    with tempfile.TemporaryDirectory() as folder:
        source, copy = Path(folder, "source.ipynb"), Path(folder, "copy.ipynb")
        nbformat.write(read_notebook(NOTEBOOK), source)
        for seed in range(first, last):
            values = {"seed": seed, "data": "mnist", "results_dir": folder}
            papermill.execute_notebook(source, copy, values, kernel_name="python3")


def swept(n_runs, n_workers):
    grid = {"seed": range(n_runs), "data": ["mnist"]}
    with tempfile.TemporaryDirectory() as folder:
        rows = sweep(NOTEBOOK, grid, output=folder, cluster=local_cluster(n_workers, 1))
    assert {row["result"] for row in rows} == {"good"}


def stubs():
    size = NOTEBOOK.stat().st_size

    def stub(name, text, parameters, *, expected, threads, timeout):
        record = {"metrics": {"val_accuracy": 0.5}, "seconds": {}, "versions": {}}
        outcome = {"record": record, "seconds": 0.0, "cell": None, "error": None}
        return outcome | {"notebook": " " * size}

    engine.run_notebook = stub
    grid = {"seed": range(STUBS), "data": ["digits"]}
    with tempfile.TemporaryDirectory() as folder:
        assert len(sweep(NOTEBOOK, grid, output=folder, cluster=local_cluster(2, 1))) == STUBS
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def measure(*commands):
    """Run this file with these arguments, all at once.

    Returns the CPU-seconds of the kernels, those of all other processes, and wall seconds.
    """
    started, seen = time.perf_counter(), {}
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, "1")
    running = [
        psutil.Popen([sys.executable, __file__, *map(str, command)], env=environment)
        for command in commands
    ]
    while any(process.poll() is None for process in running):
        for process in running:
            with contextlib.suppress(psutil.Error):
                for part in (process, *process.children(recursive=True)):
                    with contextlib.suppress(psutil.Error):
                        kernel = "ipykernel_launcher" in " ".join(part.cmdline())
                        seen[part.pid] = kernel, sum(part.cpu_times()[:2])
        time.sleep(0.1)
    assert not any(process.returncode for process in running)
    kernels, others = (sum(cpu for k, cpu in seen.values() if k == kind) for kind in (True, False))
    return kernels, others, time.perf_counter() - started


def compare_cpu(n_runs):
    """Measure what the sweep takes beside the kernels, and what plain loops take."""
    half = n_runs // 2
    kernels, engine, _ = measure(("sweep", n_runs, 2))
    loop_kernels, loops, _ = measure(("loop", 0, half), ("loop", half, n_runs))
    return {
        "CPU-seconds a run, kernels of the sweep": kernels / n_runs,
        "CPU-seconds a run, kernels of the loops": loop_kernels / n_runs,
        "CPU-seconds a run, the sweep beside them": engine / n_runs,
        "CPU-seconds a run, papermill in loops beside them": loops / n_runs,
        "what the sweep adds, over all CPU time of the loops": (engine - loops)
        / (loop_kernels + loops),
    }


def compare_workers(n_runs):
    """Measure the runs an hour of two workers and of one."""
    (*_, two), (*_, one) = measure(("sweep", n_runs, 2)), measure(("sweep", n_runs // 2, 1))
    found = {"two workers": 3600 * n_runs / two, "one worker": 3600 * (n_runs // 2) / one}
    found["two workers over one"] = found["two workers"] / found["one worker"]
    return {f"runs an hour, {name}": value for name, value in found.items()}


def count_client():
    """Measure what the client takes for runs that do nothing."""
    printed = subprocess.check_output([sys.executable, __file__, "stub"], text=True)
    cpu, memory = map(float, printed.split())
    return {
        "client's CPU-milliseconds a run, 5,000 stubs": 1000 * cpu / STUBS,
        "client's peak memory in MB, 5,000 stubs": memory,
    }


def keep(n_runs, found):
    """Add what was found to the table, and print it."""
    about = [datetime.date.today(), os.cpu_count(), version("tensorflow"), n_runs]
    new = not TABLE.exists()
    with TABLE.open("a", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        if new:
            table.writerow(["date", "cores", "tensorflow", "runs", "what", "value"])
        for what, value in found.items():
            table.writerow([*about, what, f"{value:.4g}"])
            print(f"{what}: {value:.4g}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["loop", first, last]:
            loop(int(first), int(last))
        case ["sweep", n_runs, n_workers]:
            swept(int(n_runs), int(n_workers))
        case ["stub"]:
            stubs()
        case ["cpu", n_runs]:
            keep(n_runs, compare_cpu(int(n_runs)))
        case ["workers", n_runs]:
            keep(n_runs, compare_workers(int(n_runs)))
        case ["client"]:
            keep(STUBS, count_client())
        case _:
            print(__doc__)
