"""Ten designs of notebook 02's network: makes mnist_helpers/measured/architectures.csv.

    python benchmarks/architectures.py

trains each over five seeds at the article's five epochs on real MNIST and judges them by the
held-out digits; then the best of them, and no other, over the same seeds by the test digits:
55 runs, some half an hour on two cores. It is the same as

    python -m mnist_course sweep 02_convolutional_network --params benchmarks/architectures.yaml \
        --set seed=1:6 --set evaluate_on=validation --set data=mnist --output results/architectures

and once more with the best design. What is done is not done again.
"""

import json
import statistics
from pathlib import Path

from table import write_table

from mnist_course.sweep import sweep
from mnist_course.sweep.grid import read_grid
from mnist_course.sweep.results import to_csv_row

HERE = Path(__file__).parent
SETTINGS = ["conv_filters", "kernel_sizes", "dense_units", "dropout", "dropout_place"]
FOUND = ["trainable_parameters", "val_accuracy", "test_accuracy", "fit_seconds"]
VERSIONS = ["keras", "backend", "backend_version"]


def measure(designs, evaluate_on):
    """Run the designs over five seeds and return a row for each run."""
    more = {"seed": range(1, 6), "evaluate_on": [evaluate_on], "data": ["mnist"]}
    grid = [design | more for design in designs]
    rows = sweep("02_convolutional_network", grid, output="results/architectures")
    failed = [row["error"] for row in rows if row["result"] == "failed"]
    if failed:
        raise SystemExit(f"{len(failed)} runs failed; the first: {failed[0]}")
    return rows


def plain(value):
    return round(value, 6) if isinstance(value, float) else value


def choose(rows):
    """Return the design with the highest mean validation accuracy, as a grid."""
    accuracies = {}
    for row in rows:
        design = json.dumps({name: [row[name]] for name in SETTINGS})
        accuracies.setdefault(design, []).append(row["val_accuracy"])
    return json.loads(max(accuracies, key=lambda design: statistics.mean(accuracies[design])))


if __name__ == "__main__":
    rows = measure(read_grid(HERE / "architectures.yaml"), "validation")
    rows += measure([choose(rows)], "test")
    names = ["evaluate_on", "seed", *SETTINGS, *FOUND, *VERSIONS]
    write_table(
        "architectures",
        [to_csv_row({name: plain(row.get(name)) for name in names}) for row in rows],
    )
