"""Notebooks made for a test: their cells, a record, and what a run printed."""

import hashlib

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

DATASET = {
    "name": "MNIST",
    "train": 60000,
    "test": 10000,
    "sha256": "0" * 64,
    "text": "MNIST: 60,000 training and 10,000 test digits",
}
PARAMETERS = "\n".join(
    [
        "seed = 7  # the random seed",
        "rate = 0.5  # a share",
        "units = [512, 512]  # layer sizes",
        "flag = True  # a switch",
        "data = ''  # which digits",
        "extra = None  # anything",
        "results_dir = 'results'  # where results go",
    ]
)


def code(source, *tags):
    return new_code_cell(source, metadata={"tags": list(tags)} if tags else {})


def record_cell(digits=DATASET):
    return code(
        "from mnist_helpers.record import record_run\n"
        "record_run('stub', parameters={'seed': 1}, metrics={'test_accuracy': 0.98765},\n"
        f"           digits={digits!r}, seconds={{'fit': 1.5}})",
        "record",
    )


def write(path, *cells, parameters=PARAMETERS):
    cells = [new_markdown_cell("# Read digits"), code(parameters, "parameters"), *cells]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells), path)
    return path


def hashes(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.ipynb")}


def output_text(path):
    return "".join(
        output.get("text", "")
        for cell in nbformat.read(path, as_version=4).cells
        for output in cell.get("outputs", [])
    )
