"""What `make notebooks` calls: executes the notebooks and stores their outputs in them."""

import sys

if __name__ == "__main__":
    from mnist_course.signals import leave_on_interrupt

    leave_on_interrupt()

import copy
import os
from pathlib import Path

import nbformat

from mnist_course.notebooks import (
    OUTCOME_KEY,
    cell_name,
    find_notebooks,
    hide_paths,
    load_notebook,
)
from mnist_course.run import execute, write_executed
from mnist_course.signals import run_program
from mnist_course.terminal import guard_output
from mnist_helpers.scratch import scratch_folder

# What differs between computers and runs, in the metadata of a notebook and of a cell.
VOLATILE_NOTEBOOK_KEYS = ["widgets", "papermill", OUTCOME_KEY]
VOLATILE_CELL_KEYS = ["papermill", "execution"]
WIDGET_TYPE = "application/vnd.jupyter.widget-view+json"

KERNELSPEC = {
    "display_name": "Python 3 (ipykernel)",
    "language": "python",
    "name": "python3",
}


def normalize(notebook, folder="."):
    """Return a copy of a notebook without what differs between computers and runs.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
    folder : str or pathlib.Path
        Where the kernel worked; in outputs it becomes ``.``, and the home directory ``~``.

    Returns
    -------
    nbformat.NotebookNode

    Examples
    --------
    >>> notebook = nbformat.v4.new_notebook(metadata={"papermill": {"duration": 1.5}})
    >>> sorted(normalize(notebook).metadata)
    ['kernelspec', 'language_info']
    """
    notebook = nbformat.v4.upgrade(copy.deepcopy(notebook))
    for key in VOLATILE_NOTEBOOK_KEYS:
        notebook.metadata.pop(key, None)
    notebook.metadata["kernelspec"] = dict(KERNELSPEC)
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        for key in VOLATILE_CELL_KEYS:
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            outputs = hide_paths(cell.outputs, folder)
            cell.outputs = nbformat.from_dict(_normalize_outputs(outputs))
    return notebook


def _normalize_outputs(outputs):
    """Drop widgets, which need their kernel, and join what a stream printed piece by piece."""
    normalized = []
    for output in outputs:
        output.get("data", {}).pop(WIDGET_TYPE, None)
        # Only streams, stdout and stderr, have a name. Where one is cut is a matter of chance.
        stream = output.get("name")
        if stream and normalized and normalized[-1].get("name") == stream:
            normalized[-1]["text"] += output["text"]
        else:
            normalized.append(output)
    return normalized


def store(path):
    """Execute the notebook at `path` on real MNIST and write its outputs into it.

    Parameters
    ----------
    path : pathlib.Path

    Raises
    ------
    OSError, ValueError
        If it cannot be read or written, a cell fails, an output is on stderr, or the digits were
        not MNIST; the file is then as it was.
    """
    notebook = load_notebook(path)
    # A folder of its own, so that nothing the notebook writes stays behind.
    with scratch_folder() as private_folder:
        folder = private_folder / "work"
        folder.mkdir()
        executed = _execute(notebook, path.stem, folder)
        for cell, executed_cell in zip(notebook.cells, executed.cells, strict=True):
            if cell.cell_type == "code":
                cell.outputs = executed_cell.outputs
                cell.execution_count = executed_cell.execution_count
        notebook = normalize(notebook, folder)
    _check_streams(notebook)
    nbformat.validate(notebook)
    write_executed(notebook, path)


def _execute(notebook, name, folder):
    """Execute a notebook on MNIST; its kernel works in `folder`."""
    dataset = os.environ.get("MNIST_HELPERS_DATA") or "mnist"
    # A path from here, because the kernel works in another folder.
    if Path(dataset).exists():
        dataset = str(Path(dataset).resolve())
    executed, outcome = execute(
        notebook,
        name,
        parameters={},
        folder=str(folder),
        environment={"MNIST_HELPERS_DATA": dataset},
    )
    if outcome["error"]:
        raise ValueError(f"{outcome['error']} in {outcome['cell']}")
    used = outcome["record"]["digits"]
    if used["name"] != "MNIST":
        raise ValueError(f"stored outputs must be from MNIST; received {used['text']}")
    return executed


def _check_streams(notebook):
    """Raise a ValueError if a cell has printed a warning or an error."""
    for number, cell in enumerate(notebook.cells, 1):
        for output in cell.get("outputs", []):
            if output.output_type == "error" or output.get("name") == "stderr":
                raise ValueError(f"{cell_name(cell, number)} has an error, or output on stderr")


def main(names):
    """Store the outputs of the named notebooks, or of all; return the exit status.

    Parameters
    ----------
    names : list of str
        As `find_notebooks` takes them.

    Returns
    -------
    int
        0 when all are stored, 1 when one is not, 2 when there is no such notebook; 130, or 128
        and a signal's number, when it was stopped.
    """
    with guard_output():
        return run_program("make notebooks", lambda: _store_all(names))


def _store_all(names):
    status = 0
    for path in find_notebooks(names):
        try:
            store(path)
        except Exception as error:
            # Whatever it is, the next notebook may be good.
            print(f"{path.stem} is not stored: {error}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
