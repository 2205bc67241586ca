"""What a hand-out must hold and must not: each check returns its complaints."""

import getpass
import re
import socket
import sys
import tempfile
from pathlib import Path

import nbformat

from support.project import NOTEBOOKS, ROOT

SOURCE = ROOT / "notebooks"


def tags(cell):
    return cell.metadata.get("tags", [])


def code_cells(notebook, tag=None):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [cell for cell in cells if tag is None or tag in tags(cell)]


def printed(cell):
    return "".join(output.get("text", "") for output in cell.outputs)


def machine_names():
    """Return what would tell on which machine, and by whom, a file was made."""
    places = {str(Path.home()), str(ROOT), tempfile.gettempdir(), sys.prefix, sys.base_prefix}
    files = [ROOT / "README.md", *SOURCE.glob("*.md"), *(ROOT / "mnist_helpers").rglob("*.py")]
    written = "\n".join(path.read_text("utf-8") for path in files)
    for path in NOTEBOOKS:
        written += "\n".join(cell.source for cell in nbformat.read(path, 4).cells)
    words = {socket.gethostname(), getpass.getuser()}  # some are words of ours, such as root
    return places - {"/"} | {word for word in words if word not in written}


def names_found(text, names):
    return [name for name in sorted(names) if re.search(rf"{re.escape(name)}(?![\w.-])", text)]


def learner_faults(notebook):
    faults = [f"{cell.id}: a solution" for cell in notebook.cells if "solution" in tags(cell)]
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and "solution" in cell.source.lower():
            faults.append(f"{cell.id}: speaks of a solution that is not there")
    for cell in code_cells(notebook):
        if cell.outputs or cell.execution_count is not None:
            faults.append(f"{cell.id}: executed")
    return faults + [f"{cell.id}: folded" for cell in notebook.cells if "jupyter" in cell.metadata]


def instructor_faults(notebook):
    faults = [f"{cell.id}: folded" for cell in notebook.cells if "jupyter" in cell.metadata]
    for cell in code_cells(notebook):
        if cell.execution_count is None:
            faults.append(f"{cell.id}: not executed")
    if not notebook.cells[1].source.startswith("**For the teacher**"):
        faults.append("no note after the title")
    return faults
