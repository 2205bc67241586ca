"""Where the benchmarks keep what they measured: tables that `tables.load_table` reads."""

import csv
import os
import platform
from datetime import datetime
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "mnist_helpers" / "measured"


def write_table(name, rows):
    """Write a list of dicts, all with the keys of the first, as ``measured/<name>.csv``."""
    with (FOLDER / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    print(f"{len(rows)} rows written to {name}.csv")


def append_table(name, rows):
    """Add rows to ``measured/<name>.csv``; what other runs measured stays."""
    path = FOLDER / f"{name}.csv"
    if path.exists():
        with path.open(encoding="utf-8", newline="") as lines:
            rows = [*csv.DictReader(lines), *rows]
    write_table(name, rows)


def describe_machine():
    """Say when, on which processor and with which libraries this is measured, as columns."""
    import keras

    from mnist_helpers.record import library_versions

    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    versions = library_versions()
    return {
        "run": f"{datetime.now():%Y-%m-%d %H:%M}",
        "processor": next(iter(names), platform.processor()),
        "cores": os.cpu_count(),
        "keras": keras.__version__,
        "backend": versions["backend"],
        "backend_version": versions["backend_version"],
    }
