"""What `make notebooks` calls: executes the notebooks and stores their outputs in them."""

import copy
import os
import sys
import tempfile
from pathlib import Path

import nbformat

from mnist_course.notebooks import cell_name, find_notebooks, hide_paths
from mnist_course.run import run_copy
from mnist_helpers.record import read_record
from mnist_helpers.saving import atomic_write


def normalize(notebook, folder="."):
    """Return a copy of a notebook without what differs between computers and runs.

    In its outputs the kernel's working `folder` becomes ``.``, the home directory ``~``.
    """
    notebook = nbformat.v4.upgrade(copy.deepcopy(notebook))
    for key in ("widgets", "papermill", "mnist_helpers"):
        notebook.metadata.pop(key, None)
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook.metadata |= {"kernelspec": kernel, "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        merged = []
        for output in hide_paths(cell.get("outputs", []), folder):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
            if merged and "name" in output and merged[-1].get("name") == output["name"]:
                merged[-1]["text"] += output["text"]  # only streams have names
            else:
                merged.append(output)
        if cell.cell_type == "code":
            cell.outputs = nbformat.from_dict(merged)
    return notebook


def store(path):
    """Execute the notebook at `path` on real MNIST and write its outputs into it.

    Raises
    ------
    ValueError
        If a cell fails, an output is on stderr, or the digits were not MNIST; the file is then
        as it was.
    """
    notebook = nbformat.read(path, as_version=4)
    digits = os.environ.get("MNIST_HELPERS_DATA") or "mnist"
    if Path(digits).exists():  # the kernel works in another folder
        digits = str(Path(digits).resolve())
    with tempfile.TemporaryDirectory() as folder:
        executed = Path(folder) / path.name
        variables = {"MNIST_HELPERS_DATA": digits}
        outcome = run_copy(notebook, executed, parameters={}, folder=folder, environment=variables)
        if outcome["error"]:
            raise ValueError(f"{outcome['error']} in {outcome['cell']}")
        results = nbformat.read(executed, as_version=4).cells
        for cell, result in zip(notebook.cells, results, strict=True):
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = result.outputs, result.execution_count
        notebook = normalize(notebook, folder)
    for number, cell in enumerate(notebook.cells, 1):
        for output in cell.get("outputs", []):
            if output.output_type == "error" or output.get("name") == "stderr":
                raise ValueError(f"{cell_name(cell, number)} has an error, or output on stderr")
    record = read_record(notebook)
    if record is None or record["digits"]["name"] != "MNIST":
        received = record["digits"]["text"] if record else "no record"
        raise ValueError(f"stored outputs must be from MNIST; received {received}")
    nbformat.validate(notebook)
    with atomic_write(path) as part:
        nbformat.write(notebook, part)


def main(names):
    """Store the outputs of the named notebooks, or of all; return the exit status."""
    try:
        paths = find_notebooks(names)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    failed = 0
    for path in paths:
        try:
            store(path)
        except Exception as error:  # the next notebook may be good
            print(f"{path.stem} is not stored: {error}", file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
