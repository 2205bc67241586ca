"""What each notebook takes: makes mnist_helpers/measured/notebooks.csv, by which `doctor` judges.

    python benchmarks/notebooks.py                     # all of them, on MNIST and bundled digits
    python benchmarks/notebooks.py 01_dense_network    # this one anew; the other rows are kept

A quiet machine, and some fifteen minutes on two cores for all. Measured are the seconds; the most
memory that the kernel and its processes had at a time, looked at five times a second; the disk
that the results take; and, before and after, the doctor's own updates in a second.
"""

import contextlib
import sys
import tempfile
import threading
from pathlib import Path

import psutil
from table import write_table

from mnist_course import doctor
from mnist_course.run import find_notebooks, run_notebooks
from mnist_helpers.tables import load_table

DIGITS = {"MNIST": "mnist", "bundled digits": "digits"}  # and what `data` calls them


def memory_of_children():
    """Return the bytes that this process' descendants hold; what they share is counted once."""
    own, shared = 0, 0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            used = child.memory_full_info()
            own, shared = own + used.uss, max(shared, used.rss - used.uss)
    return own + shared


@contextlib.contextmanager
def watched():
    """Give a list whose greatest entry, after the block, is the most memory in bytes."""
    seen, done = [0], threading.Event()

    def watch():
        while not done.wait(0.2):
            seen.append(memory_of_children())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def speed():
    """Return the updates in a second that the doctor measures."""
    return doctor.check_environment()["updates_per_second"]


def measure(notebook, digits):
    """Run the notebook at its defaults and return a row of the table."""
    before = speed()
    with tempfile.TemporaryDirectory() as folder:
        with watched() as memory:
            (outcome,) = run_notebooks(
                [notebook], parameters={"data": DIGITS[digits]}, output=folder
            )
        disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    if outcome["error"]:
        raise SystemExit(f"{outcome['notebook']} on {digits}: {outcome['error']}")
    return {
        "notebook": outcome["notebook"],
        "digits": digits,
        "seconds": round(outcome["seconds"], 1),
        "peak_mb": round(max(memory) / 1e6),
        "disk_mb": round(disk / 1e6, 1),
        "updates_per_second": round((before + speed()) / 2),
    }


if __name__ == "__main__":
    notebooks = find_notebooks(sys.argv[1:])
    new = [measure(notebook, digits) for digits in DIGITS for notebook in notebooks]
    names = {row["notebook"] for row in new}
    if sys.argv[1:]:
        new += [row for row in load_table("notebooks") if row["notebook"] not in names]
    write_table("notebooks", sorted(new, key=lambda row: (row["digits"], row["notebook"])))
