"""Notebook 04 shows ten failures, each with its symptom, cause and cure."""

import re

import nbformat
from support.project import ROOT

CLINIC = ROOT / "notebooks" / "04_error_clinic.ipynb"


def named_cells():
    """Each cell with its name: its first tag, or the id of a cell that has none."""
    cells = nbformat.read(CLINIC, as_version=4).cells
    named = []
    for cell in cells:
        tags = cell.metadata.get("tags", [])
        named.append((tags[0] if tags else cell.id, cell))
    return named


def test_the_clinic_shows_ten_failures_each_with_symptom_cause_and_cure():
    parts = []
    for name, cell in named_cells():
        if re.fullmatch(r"(symptom|cause|cure)-\d+", name):
            parts.append((name, cell.cell_type))
    expected = []
    for number in range(1, 11):
        expected.append((f"symptom-{number}", "code"))
        expected.append((f"cause-{number}", "markdown"))
        expected.append((f"cure-{number}", "code"))
    assert parts == expected


def test_the_first_five_failures_are_errors_and_the_others_are_none():
    errors = {}
    for name, cell in named_cells():
        if re.fullmatch(r"symptom-\d+", name):
            text = "".join(output.get("text", "") for output in cell.outputs)
            errors[name] = re.match(r"(\w+Error): \S", text) is not None
    assert errors == {f"symptom-{n}": n <= 5 for n in range(1, 11)}


def test_every_failure_has_a_heading_and_a_line_of_the_index():
    cells = nbformat.read(CLINIC, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    headings = re.findall(r"^### (\d+)\. .+", prose, re.MULTILINE)
    index = re.findall(r"^\| .+ \| (\d+) \|$", prose, re.MULTILINE)
    assert headings == [str(number) for number in range(1, 11)]
    assert sorted(index, key=int) == headings
