"""What changes the last decimals on one machine: makes mnist_helpers/measured/reproducibility.csv.

    python benchmarks/reproducibility.py

runs notebooks 01 and 02 on real MNIST with one and the same seed, and changes nothing but how
TensorFlow computes: twelve runs, some ten minutes on two cores. Notebook 01 runs 5 epochs instead
of 20, to save time. What is done is not done again; delete results/reproducibility to start afresh.
"""

import os
from pathlib import Path

from table import write_table

from mnist_course.run import find_notebooks, read_notebook, run_copy
from mnist_helpers.record import read_record
from mnist_helpers.saving import load_model

NOTEBOOKS = {"01_dense_network": {"epochs": 5}, "02_convolutional_network": {}}
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
NO_ONEDNN = {"TF_ENABLE_ONEDNN_OPTS": "0"}
SETTINGS = {
    "default": {},
    "default again": {},
    "one thread": ONE_THREAD,
    "without oneDNN": NO_ONEDNN,
    "one thread, without oneDNN": ONE_THREAD | NO_ONEDNN,
    "oneDNN as on an older processor": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
}
RESULTS = Path("results/reproducibility").absolute()


def measure(path, setting):
    """Run a notebook, unless it has been, and return its row of the table and its weights."""
    folder = RESULTS / f"{path.stem}, {setting}"
    copy = folder / path.name
    if not copy.exists() or read_record(copy) is None:
        folder.mkdir(parents=True, exist_ok=True)
        parameters = NOTEBOOKS[path.stem] | {"data": "mnist", "results_dir": str(folder)}
        notebook, variables = read_notebook(path), SETTINGS[setting]
        outcome = run_copy(notebook, copy, parameters=parameters, environment=variables)
        if outcome["error"]:
            raise RuntimeError(f"{copy}: {outcome['error']}")
    record, (saved,) = read_record(copy), folder.glob("*.keras")
    row = {
        "notebook": path.stem,
        "epochs": record["parameters"]["epochs"],
        "seed": record["parameters"]["seed"],
        "setting": setting,
        "variables": " ".join(f"{name}={value}" for name, value in SETTINGS[setting].items()),
        "test_accuracy": record["metrics"]["test_accuracy"],
        "test_loss": record["metrics"]["test_loss"],
    }
    row |= {"weights_as": None, "cores": os.cpu_count(), "keras": record["versions"]["keras"]}
    row[record["versions"]["backend"]] = record["versions"]["backend_version"]
    return row, b"".join(weights.tobytes() for weights in load_model(saved).get_weights())


def compare(path):
    """Measure a notebook under all settings; say of each whose trained weights it has, bit by bit.

    Returns
    -------
    list of dict
    """
    rows, first = [], {}
    for setting in SETTINGS:
        row, weights = measure(path, setting)
        row["weights_as"] = first.setdefault(weights, setting)
        print(f"{path.stem}, {setting}: {row['test_accuracy']}, {row['test_loss']}", flush=True)
        rows.append(row)
    return rows


if __name__ == "__main__":
    rows = [row for path in find_notebooks(NOTEBOOKS) for row in compare(path)]
    write_table("reproducibility", rows)
