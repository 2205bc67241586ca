"""Ten designs of notebook 02's network: makes mnist_helpers/measured/architectures.csv.

    python benchmarks/architectures.py

trains each over five seeds at the article's five epochs on real MNIST and judges them by the
held-out digits; then the best of them, and no other, over the same seeds by the test digits:
55 runs, some half an hour on two cores. It is the same as

    .venv/bin/mnist-course sweep 02_convolutional_network --params benchmarks/architectures.yaml \
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

GRID = Path(__file__).with_suffix(".yaml")
NOTEBOOK = "02_convolutional_network"
RESULTS = "results/architectures"
SEEDS = range(1, 6)
DESIGN_COLUMNS = ["conv_filters", "kernel_sizes", "dense_units", "dropout", "dropout_place"]
COLUMNS = [
    "evaluate_on",
    "seed",
    *DESIGN_COLUMNS,
    "trainable_parameters",
    "val_accuracy",
    "test_accuracy",
    "fit_seconds",
    "keras",
    "backend",
    "backend_version",
]


def measure(designs, evaluate_on):
    """Run the designs over five seeds and return a row for each run."""
    settings = {"seed": SEEDS, "evaluate_on": [evaluate_on], "data": ["mnist"]}
    grid = [design | settings for design in designs]
    rows = sweep(NOTEBOOK, grid, output=RESULTS)
    errors = [row["error"] for row in rows if row["result"] == "failed"]
    if errors:
        raise SystemExit(f"{len(errors)} runs failed; the first: {errors[0]}")
    return rows


def choose_design(rows):
    """Return the design with the highest mean validation accuracy, as a grid."""
    accuracies = {}
    for row in rows:
        # As JSON, because lists cannot be keys.
        design = json.dumps({name: [row[name]] for name in DESIGN_COLUMNS})
        accuracies.setdefault(design, []).append(row["val_accuracy"])
    best = max(accuracies, key=lambda design: statistics.mean(accuracies[design]))
    return json.loads(best)


def table_row(row):
    """Return the columns of a run that are kept, fractions rounded to six decimals."""
    kept = {}
    for name in COLUMNS:
        value = row.get(name)
        if isinstance(value, float):
            value = round(value, 6)
        kept[name] = value
    return to_csv_row(kept)


def main():
    rows = measure(read_grid(GRID), "validation")
    rows += measure([choose_design(rows)], "test")
    write_table("architectures", [table_row(row) for row in rows])


if __name__ == "__main__":
    main()
