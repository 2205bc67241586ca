"""What each notebook takes: makes mnist_helpers/measured/notebooks.csv, by which `doctor` judges.

    python benchmarks/notebooks.py                     # all of them, on MNIST and bundled digits
    python benchmarks/notebooks.py 01_dense_network    # this one anew; the other rows are kept

A quiet machine, and some fifteen minutes on two cores for all. Measured are the seconds; the most
memory that the kernel and its processes had at a time, looked at five times a second; the disk
that the results take; and, before and after, the doctor's own updates in a second.
"""

import contextlib
import statistics
import sys
import tempfile
import threading
from pathlib import Path

import psutil
from table import write_table

from mnist_course import doctor
from mnist_course.notebooks import find_notebooks
from mnist_course.run import run_notebooks
from mnist_helpers.tables import load_table

DATASETS = {"MNIST": "mnist", "bundled digits": "digits"}  # and what `data` calls them
WATCH_SECONDS = 0.2
MEGABYTE = 1e6


def memory_of_children():
    """Return the bytes that this process' descendants hold; what they share is counted once."""
    own = 0
    shared = 0
    for child in psutil.Process().children(recursive=True):
        # It may have ended meanwhile.
        with contextlib.suppress(psutil.Error):
            used = child.memory_full_info()
            own += used.uss
            shared = max(shared, used.rss - used.uss)
    return own + shared


@contextlib.contextmanager
def watch_memory():
    """Give a list whose greatest entry, after the block, is the most memory in bytes."""
    readings = [0]
    done = threading.Event()

    def watch():
        while not done.wait(WATCH_SECONDS):
            readings.append(memory_of_children())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield readings
    finally:
        done.set()
        watcher.join()


def updates_per_second():
    """Return how fast the doctor finds this machine."""
    return doctor.check_environment()["updates_per_second"]


def disk_usage(folder):
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def measure(notebook, dataset_name):
    """Run the notebook at its defaults and return a row of the table."""
    speed_before = updates_per_second()
    parameters = {"data": DATASETS[dataset_name]}
    with tempfile.TemporaryDirectory() as folder:
        with watch_memory() as memory:
            outcomes = run_notebooks([notebook], parameters=parameters, output=folder)
        disk = disk_usage(folder)
    outcome = outcomes[0]
    if outcome["error"]:
        raise SystemExit(f"{outcome['notebook']} on {dataset_name}: {outcome['error']}")
    speed = statistics.mean([speed_before, updates_per_second()])
    return {
        "notebook": outcome["notebook"],
        "digits": dataset_name,
        "seconds": round(outcome["seconds"], 1),
        "peak_mb": round(max(memory) / MEGABYTE),
        "disk_mb": round(disk / MEGABYTE, 1),
        "updates_per_second": round(speed),
    }


def main(arguments):
    notebooks = find_notebooks(arguments)
    rows = []
    for dataset_name in DATASETS:
        for notebook in notebooks:
            rows.append(measure(notebook, dataset_name))
    if arguments:
        measured = {row["notebook"] for row in rows}
        rows += [row for row in load_table("notebooks") if row["notebook"] not in measured]
    rows.sort(key=lambda row: (row["digits"], row["notebook"]))
    write_table("notebooks", rows)


if __name__ == "__main__":
    main(sys.argv[1:])
