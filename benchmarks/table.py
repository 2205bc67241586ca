"""Where the benchmarks keep what they measured: tables that `evaluation.measured` reads."""

import csv
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "mnist_helpers" / "measured"


def write_table(name, rows):
    """Write a list of dicts, all with the keys of the first, as ``measured/<name>.csv``."""
    with (FOLDER / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    print(f"{len(rows)} rows written to {name}.csv")
