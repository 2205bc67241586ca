"""What a hand-out must hold and must not, beside the notebook it was made of.

Each check returns its complaints.
"""

import ast
import getpass
import re
import socket
import sys
import tempfile
from pathlib import Path

import nbformat

from support.project import NOTEBOOKS, ROOT

SOURCE = ROOT / "notebooks"
NOTE_TITLE = "**For the teacher**"


def tags(cell):
    return cell.metadata.get("tags", [])


def is_solution(cell):
    return "solution" in tags(cell)


def code_cells(notebook, tag=None):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if tag is None:
        return cells
    return [cell for cell in cells if tag in tags(cell)]


def printed(cell):
    return "".join(output.get("text", "") for output in cell.outputs)


def machine_names():
    """Return what would tell on which machine, and by whom, a file was made."""
    places = {str(Path.home()), str(ROOT), tempfile.gettempdir(), sys.prefix, sys.base_prefix}
    places -= {"/"}
    written = "\n".join(_our_texts())
    # Some are words of ours, such as root.
    words = {socket.gethostname(), getpass.getuser()}
    return places | {word for word in words if word not in written}


def _our_texts():
    texts = []
    for folder in ("mnist_helpers", "mnist_course"):
        texts += [path.read_text("utf-8") for path in (ROOT / folder).rglob("*.py")]
    for path in [ROOT / "README.md", *SOURCE.glob("*.md")]:
        texts.append(path.read_text("utf-8"))
    for path in NOTEBOOKS:
        texts += [cell.source for cell in nbformat.read(path, 4).cells]
    return texts


def names_found(text, names):
    return [name for name in sorted(names) if re.search(rf"{re.escape(name)}(?![\w.-])", text)]


def learner_faults(notebook, source):
    """Compare a learner's notebook with its source."""
    expected = [cell for cell in source.cells if not is_solution(cell)]
    faults = _differences(notebook.cells, expected)
    for cell in notebook.cells:
        if is_solution(cell):
            faults.append(f"{cell.id}: a solution")
        if cell.cell_type == "markdown" and "solution" in cell.source.lower():
            faults.append(f"{cell.id}: speaks of a solution that is not there")
    for cell in code_cells(notebook):
        if cell.outputs or cell.execution_count is not None:
            faults.append(f"{cell.id}: executed")
    return faults


def dependence_faults(source):
    """Say which cells need what only a solution has made: without solutions they would stop."""
    faults = []
    made_in_solutions = {}
    for cell in code_cells(source):
        stored, loaded = _names(cell)
        if is_solution(cell):
            for name in stored:
                made_in_solutions[name] = cell.id
            continue
        # An exercise is where the learner makes these things; what it leaves undone, it may use.
        if "exercise" not in tags(cell):
            for name in sorted(loaded & set(made_in_solutions)):
                faults.append(f"{cell.id}: needs {name}, which {made_in_solutions[name]} made")
        for name in stored:
            made_in_solutions.pop(name, None)
    return faults


def _names(cell):
    """Return the names that a cell makes, and those that it uses."""
    stored = set()
    loaded = set()
    for node in ast.walk(ast.parse(cell.source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            loaded.add(node.id)
        elif isinstance(node, ast.Name):
            stored.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            stored.add(node.name)
        elif isinstance(node, ast.alias):
            stored.add((node.asname or node.name).split(".")[0])
    return stored, loaded


def instructor_faults(notebook, source):
    """Compare the instructor's notebook with its source."""
    cells = list(notebook.cells)
    faults = []
    if cells[1].cell_type == "markdown" and cells[1].source.startswith(NOTE_TITLE):
        del cells[1]
    else:
        faults.append("no note after the title")
    faults += _differences(cells, source.cells)
    source_outputs = {cell.id: cell.outputs for cell in code_cells(source)}
    for cell in code_cells(notebook):
        if cell.execution_count is None:
            faults.append(f"{cell.id}: not executed")
        if len(cell.outputs) != len(source_outputs.get(cell.id, [])):
            faults.append(f"{cell.id}: other outputs than in the source")
        if is_solution(cell) and not printed(cell).startswith("Right. "):
            faults.append(f"{cell.id}: a solution that is not right")
    return faults


def _differences(cells, expected):
    """Compare cells one by one: number and order, types, sources and tags; and none is folded."""
    faults = [f"{cell.id}: folded" for cell in cells if "jupyter" in cell.metadata]
    ids = [cell.id for cell in cells]
    expected_ids = [cell.id for cell in expected]
    if ids != expected_ids:
        different = set(ids) ^ set(expected_ids)
        return [*faults, f"other cells, or another order: {sorted(different)}"]
    for cell, original in zip(cells, expected, strict=True):
        if cell.cell_type != original.cell_type:
            faults.append(f"{cell.id}: another type of cell")
        if cell.source != original.source:
            faults.append(f"{cell.id}: another source")
        if tags(cell) != tags(original):
            faults.append(f"{cell.id}: other tags")
    return faults
