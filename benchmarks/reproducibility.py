"""What changes the last decimals on one machine: makes mnist_helpers/measured/reproducibility.csv.

    python benchmarks/reproducibility.py

runs notebooks 01 and 02 on real MNIST with one and the same seed, and changes nothing but how
TensorFlow computes: twelve runs, some ten minutes on two cores. Notebook 01 runs 5 epochs instead
of 20, to save time. What is done is not done again; delete results/reproducibility to start afresh.
"""

import os
from pathlib import Path

from table import write_table

from mnist_course.notebooks import find_notebooks, read_notebook
from mnist_course.run import execute, write_executed
from mnist_helpers.record import read_record
from mnist_helpers.saving import load_model

PARAMETERS = {"01_dense_network": {"epochs": 5}, "02_convolutional_network": {}}  # by notebook
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
NO_ONEDNN = {"TF_ENABLE_ONEDNN_OPTS": "0"}
SETTINGS = {  # variables of the environment
    "default": {},
    "default again": {},
    "one thread": ONE_THREAD,
    "without oneDNN": NO_ONEDNN,
    "one thread, without oneDNN": ONE_THREAD | NO_ONEDNN,
    "oneDNN as on an older processor": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
}
# Absolute, because a notebook is told where its results go.
RESULTS = Path("results/reproducibility").absolute()


def run_with(path, setting):
    """Run a notebook with a setting, unless it has been, and return the executed one's path."""
    folder = RESULTS / f"{path.stem}, {setting}"
    executed_path = folder / path.name
    if executed_path.exists() and read_record(executed_path) is not None:
        return executed_path
    folder.mkdir(parents=True, exist_ok=True)
    parameters = PARAMETERS[path.stem] | {"data": "mnist", "results_dir": str(folder)}
    notebook = read_notebook(path)
    executed, outcome = execute(
        notebook, path.stem, parameters=parameters, environment=SETTINGS[setting]
    )
    write_executed(executed, executed_path)
    if outcome["error"]:
        raise RuntimeError(f"{executed_path}: {outcome['error']}")
    return executed_path


def load_weights(folder):
    """Return all bits of the network that a notebook saved in a folder."""
    (saved,) = folder.glob("*.keras")
    weights = load_model(saved).get_weights()
    return b"".join(array.tobytes() for array in weights)


def make_row(executed, setting, weights_as):
    """Return the row of the table for an executed notebook."""
    record = read_record(executed)
    parameters = record["parameters"]
    metrics = record["metrics"]
    versions = record["versions"]
    variables = [f"{name}={value}" for name, value in SETTINGS[setting].items()]
    return {
        "notebook": executed.stem,
        "epochs": parameters["epochs"],
        "seed": parameters["seed"],
        "setting": setting,
        "variables": " ".join(variables),
        "test_accuracy": metrics["test_accuracy"],
        "test_loss": metrics["test_loss"],
        "weights_as": weights_as,
        "cores": os.cpu_count(),
        "keras": versions["keras"],
        versions["backend"]: versions["backend_version"],
    }


def compare_settings(path):
    """Run a notebook with all settings; each row says whose trained weights it has, bit by bit."""
    rows = []
    first_setting = {}  # by weights
    for setting in SETTINGS:
        executed = run_with(path, setting)
        weights = load_weights(executed.parent)
        weights_as = first_setting.setdefault(weights, setting)
        row = make_row(executed, setting, weights_as)
        print(f"{path.stem}, {setting}: {row['test_accuracy']}, {row['test_loss']}", flush=True)
        rows.append(row)
    return rows


def main():
    rows = []
    for path in find_notebooks(PARAMETERS):
        rows += compare_settings(path)
    write_table("reproducibility", rows)


if __name__ == "__main__":
    main()
