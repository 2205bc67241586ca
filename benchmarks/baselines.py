"""Both articles' networks over five seeds: makes mnist_helpers/measured/baselines.csv.

    python benchmarks/baselines.py

runs notebooks 01 and 02 at their defaults on real MNIST, with seeds 1 to 5, once with a tenth of
the training digits held out and once trained on all of them: twenty runs, some twenty minutes on
two cores. What is done is not done again; delete results/baselines to start afresh.
"""

from pathlib import Path

from table import write_table

from mnist_course.run import run_notebooks
from mnist_helpers.record import read_record

NOTEBOOKS = {"mlp": "01_dense_network", "cnn": "02_convolutional_network"}
VALIDATION_FRACTIONS = (0.1, 0.0)
SEEDS = range(1, 6)
RESULTS = Path("results/baselines")


def measure(network, validation_fraction, seed):
    """Run the network's notebook, unless it has been, and return a row of the table."""
    notebook = NOTEBOOKS[network]
    folder = RESULTS / f"{network}-{validation_fraction}-{seed}"
    executed = folder / f"{notebook}.ipynb"
    if not executed.exists() or read_record(executed) is None:
        parameters = {"seed": seed, "validation_fraction": validation_fraction, "data": "mnist"}
        run_notebooks([notebook], parameters=parameters, output=folder)
    record = read_record(executed)
    metrics = record["metrics"]
    versions = record["versions"]
    return {
        "network": network,
        "validation_fraction": validation_fraction,
        "seed": seed,
        "test_accuracy": round(metrics["test_accuracy"], 4),
        "test_loss": round(metrics["test_loss"], 4),
        "keras": versions["keras"],
        versions["backend"]: versions["backend_version"],
    }


def main():
    rows = []
    for network in NOTEBOOKS:
        for validation_fraction in VALIDATION_FRACTIONS:
            for seed in SEEDS:
                rows.append(measure(network, validation_fraction, seed))
    write_table("baselines", rows)


if __name__ == "__main__":
    main()
