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

# One parameter of each type.
PARAMETERS = """\
seed = 7  # the random seed
rate = 0.5  # a share
units = [512, 512]  # layer sizes
flag = True  # a switch
data = ''  # which digits
extra = None  # anything
results_dir = 'results'  # where results go"""

RECORD = """\
from mnist_helpers.record import record_run
record_run(
    'stub',
    parameters={{'seed': 1}},
    metrics={{'test_accuracy': 0.98765}},
    digits={digits!r},
    seconds={{'fit': 1.5}},
)"""


def code(source, *tags):
    """Make a code cell; one without tags has no metadata at all."""
    metadata = {"tags": list(tags)} if tags else {}
    return new_code_cell(source, metadata=metadata)


def record_cell(digits=DATASET):
    """Make a cell that records a run on these digits."""
    return code(RECORD.format(digits=digits), "record")


def write(path, *cells, parameters=PARAMETERS):
    """Write a notebook with a title, a `parameters` cell and these cells; return its path."""
    cells = [new_markdown_cell("# Read digits"), code(parameters, "parameters"), *cells]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells), path)
    return path


def hashes(folder):
    """Return the hash of each notebook in a folder, by file name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.ipynb")
    }


def output_text(path):
    """Return all that the executed notebook in a file has printed."""
    return printed(nbformat.read(path, as_version=4))


def printed(executed):
    """Return all that an executed notebook has printed."""
    text = ""
    for cell in executed.cells:
        for output in cell.get("outputs", []):
            text += output.get("text", "")
    return text
