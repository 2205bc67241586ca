"""What a sweep costs, and what a second worker is worth: makes benchmarks/sweep.csv.

    python benchmarks/sweep.py [RUNS]   # 20 runs by default: an hour on two cores, on real MNIST
    python benchmarks/sweep.py stubs    # only the client's part, two minutes

Notebook 02 is run at its defaults, with one thread each: in a sweep with two workers, by papermill
in two plain loops side by side, and half as many times in a sweep with one worker. CPU-seconds are
those of all processes together, kernels and the sweep's start included. Then 5,000 runs that do
nothing, each with a result as large as notebook 02's, go through the same code; there the client's
own CPU time and memory count.
"""

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

from mnist_helpers.batch.run import read_notebook
from mnist_helpers.sweep import engine, local_cluster, sweep
from mnist_helpers.sweep.worker import POOLS

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
    """Run this file with these arguments, all at once; return CPU-seconds and wall seconds."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = os.environ | dict.fromkeys(POOLS, "1")
    processes = [
        subprocess.Popen([sys.executable, __file__, *map(str, command)], env=environment)
        for command in commands
    ]
    assert not any(process.wait() for process in processes)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - started


def main(n_runs):
    found, half = {}, n_runs // 2
    if half:
        sweep_cpu, two_workers = measure(("sweep", n_runs, 2))
        loop_cpu, two_loops = measure(("loop", 0, half), ("loop", half, n_runs))
        _, one_worker = measure(("sweep", half, 1))
        found["CPU-seconds a run, sweep"] = sweep_cpu / n_runs
        found["CPU-seconds a run, papermill in loops"] = loop_cpu / n_runs
        found["CPU time of the sweep over the loops'"] = sweep_cpu / loop_cpu
        found["runs an hour, two workers"] = 3600 * n_runs / two_workers
        found["runs an hour, two loops side by side"] = 3600 * n_runs / two_loops
        found["runs an hour, one worker"] = 3600 * half / one_worker
        found["runs an hour, two workers over one"] = one_worker / half * n_runs / two_workers
    printed = subprocess.check_output([sys.executable, __file__, "stub"], text=True)
    cpu, memory = map(float, printed.split())
    found["client's CPU-milliseconds a run, 5,000 stubs"] = 1000 * cpu / STUBS
    found["client's peak memory in MB, 5,000 stubs"] = memory
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
        case ["stubs"]:
            main(0)
        case [n_runs]:
            main(int(n_runs))
        case _:
            main(20)
