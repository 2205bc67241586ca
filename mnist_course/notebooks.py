"""Notebooks as files: finding them, reading them, naming cells, and what became of a run."""

import re
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import nbformat

from mnist_helpers.record import format_metrics, read_record

_TOOL_TAGS = "parameters injected-parameters check solution exercise complete-program".split()
_TOOL_TAGS += ["misuse-demo", "raises-exception"]


def find_notebooks(names):
    """Find notebooks by path or by name; all numbered ones in ``notebooks/`` by default.

    A name is looked for here, then in ``notebooks/``, then in this project's own ``notebooks/``.

    Returns
    -------
    list of pathlib.Path

    Raises
    ------
    FileNotFoundError
        If there is no such notebook, or none at all.
    """
    usual = sorted(Path("notebooks").glob("[0-9]*.ipynb"))
    own = Path(__file__).parents[1] / "notebooks"
    places = [*own.glob("[0-9]*.ipynb"), *usual, *Path().glob("[0-9]*.ipynb")]
    known = {path.stem: path for path in places}
    paths = [known.get(str(name), Path(name)) for name in names] or usual
    missing = [str(path) for path in paths if not path.is_file()]
    if missing or not paths:
        wanted, here = " or ".join(missing) or "to run", ", ".join(p.stem for p in usual) or "none"
        raise FileNotFoundError(f"there is no notebook {wanted}; notebooks/ here has: {here}")
    return paths


def read_notebook(path):
    """Read a notebook to run it; a cell tagged `complete-program` becomes prose.

    It holds the same steps as the cells before it: to be read, not to be trained twice.

    Raises
    ------
    ValueError
        If the file is no notebook.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
    except (ValueError, AttributeError) as error:  # the latter when it is JSON, but no notebook
        raise ValueError(f"it cannot be read: {str(error).splitlines()[0]}") from None
    for number, cell in enumerate(notebook.cells):
        if "complete-program" in cell.metadata.get("tags", []):
            text = f"````python\n{cell.source}\n````"
            shown = nbformat.v4.new_markdown_cell(text, id=cell.id, metadata=cell.metadata)
            notebook.cells[number] = shown
    return notebook


def cell_name(cell, number):
    """Name a cell by its first tag that is not for tools, or else by its number."""
    for tag in cell.metadata.get("tags", []):
        if tag not in _TOOL_TAGS and not tag.startswith("nbval-"):
            return tag
    return f"cell {number}"


def hide_paths(value, folder="."):
    """Replace this computer's folders in a text, or in every text within lists and dicts.

    `folder` and this process' become ``.``, the home directory ``~``; pictures are passed over.
    """
    if isinstance(value, list):
        return [hide_paths(item, folder) for item in value]
    if isinstance(value, dict):
        shown = {key: item for key, item in value.items() if not key.startswith("image/")}
        return value | {key: hide_paths(item, folder) for key, item in shown.items()}
    if isinstance(value, str):
        places = {tempfile.gettempdir(): "tmp", sys.prefix: "environment", str(Path.home()): "~"}
        places |= {str(Path.cwd()): ".", str(Path(folder).resolve()): "."}
        for place in sorted(places, key=len, reverse=True):
            if len(place) > 1:  # else it is the root
                value = re.sub(rf"{re.escape(place)}(?![\w.-])", places[place], value)
    return value


def read_outcome(path):
    """Read what became of a run from its executed notebook.

    Returns
    -------
    dict
        notebook, record (or None), seconds (None, if the run was cut short), and cell and error
        (None, if it was good).
    """
    notebook, record = nbformat.v4.new_notebook(), None
    with suppress(ValueError):  # a file cut short, or a record that is not valid
        notebook = nbformat.read(path, as_version=4)
        record = read_record(notebook)
    run = notebook.metadata.get("mnist_helpers", {})
    parts = {key: run.get(key) for key in ("seconds", "cell", "error")}
    return {"notebook": Path(path).stem, "record": record, **parts}


def summarize(outcome):
    """Put an outcome into four texts: notebook, seconds, result, digits."""
    record = outcome["record"] or {"metrics": {}, "digits": {"text": "not recorded"}}
    result = ", ".join(f"{name} {value}" for name, value in format_metrics(record["metrics"]))
    if outcome["error"]:
        where = f" in {outcome['cell']}" if outcome["cell"] else ""
        result = f"FAILED{where}: {outcome['error']}"
    digits = record["digits"]["text"].partition(" (")[0]
    return (outcome["notebook"], f"{outcome['seconds']:.1f}", result, digits)


def strip_outputs(notebook):
    """Take the outputs and execution counts out of a notebook's code cells, in place."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
            cell.execution_count = None
