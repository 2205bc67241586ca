"""Where the benchmarks keep what they measured: tables that `tables.load_table` reads."""

import csv
import os
import platform
from datetime import datetime
from pathlib import Path

from mnist_helpers.record import library_versions

FOLDER = Path(__file__).parent.parent / "mnist_helpers" / "measured"
CPU_INFO = Path("/proc/cpuinfo")  # on Linux only


def write_table(name, rows):
    """Write a list of dicts, all with the keys of the first, as ``measured/<name>.csv``."""
    path = FOLDER / f"{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        # Every system writes the same bytes.
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    print(f"{len(rows)} rows written to {name}.csv")


def append_table(name, rows):
    """Add rows to ``measured/<name>.csv``; what other runs measured stays."""
    path = FOLDER / f"{name}.csv"
    kept = []
    if path.exists():
        with path.open(encoding="utf-8", newline="") as lines:
            kept = list(csv.DictReader(lines))
    write_table(name, kept + rows)


def processor_name():
    """Return the processor's name, as precisely as this system tells it."""
    if CPU_INFO.exists():
        for line in CPU_INFO.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor()


def describe_machine():
    """Say when, on which processor and with which libraries this is measured, as columns.

    Call it after Keras was imported: only what a process has imported has a version.
    """
    versions = library_versions()
    return {
        "run": f"{datetime.now():%Y-%m-%d %H:%M}",
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "keras": versions["keras"],
        "backend": versions["backend"],
        "backend_version": versions["backend_version"],
    }
