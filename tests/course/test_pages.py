"""The pages of executed notebooks, as files; test_pages_in_browser.py looks at them."""

import copy
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook, new_output
from support.notebooks import code, write

from mnist_course.pages import export_index, export_page

OUTCOME = {"notebook": "01_stub", "record": None, "seconds": 1.5, "cell": None, "error": None}


@pytest.fixture
def notebook():
    cell = code("print(1)", "fit")
    cell.outputs = [new_output("stream", text=f"{Path.cwd()}/model.keras\n")]
    cell.metadata.papermill = {"start_time": "2026-01-01T00:00:00", "duration": 0.25}
    cells = [new_markdown_cell("Before the title"), new_markdown_cell("# Read digits"), cell]
    return new_notebook(cells=cells, metadata={"widgets": {"application/x": {"state": "W"}}})


def page_of(notebook, outcome, folder):
    page = folder / "page.html"
    export_page(notebook, outcome, page)
    return page.read_text(encoding="utf-8")


def test_a_page_has_the_title_and_each_cell_its_name_and_seconds(notebook, tmp_path):
    page = page_of(notebook, OUTCOME, tmp_path)
    assert "<title>Read digits</title>" in page
    assert '<p class="cell-name">fit · 0.25 s</p>' in page


def test_a_page_without_a_title_is_called_as_its_notebook(notebook, tmp_path):
    del notebook.cells[1]
    assert "<title>01_stub</title>" in page_of(notebook, OUTCOME, tmp_path)


def test_a_page_says_where_its_run_failed(notebook, tmp_path):
    outcome = OUTCOME | {"cell": "fit", "error": f"E: no {Path.cwd()}/<data>"}
    page = page_of(notebook, outcome, tmp_path)
    assert '<a href="#failed">fit</a>' in page and '<span id="failed">' in page
    assert "<code>E: no ./&lt;data&gt;</code>" in page


def test_a_page_hides_paths_and_widgets_and_its_notebook_stays_as_it_is(notebook, tmp_path):
    before = copy.deepcopy(notebook)
    page = page_of(notebook, OUTCOME, tmp_path)
    assert notebook == before
    assert "./model.keras" in page and str(Path.cwd()) not in page
    assert "application/x" not in page and "<script" not in page


# --- the index ---------------------------------------------------------------------------------


def write_executed(path, **outcome):
    nbformat.write(new_notebook(metadata={"mnist_helpers": outcome}), path)


def test_the_index_passes_over_runs_that_were_cut_short(tmp_path):
    (tmp_path / "01_cut.ipynb").write_text('{"cells": [')
    write(tmp_path / "02_interrupted.ipynb")
    export_index(tmp_path)
    assert ".html" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_the_index_lists_runs_of_now_and_of_earlier(tmp_path):
    write_executed(tmp_path / "00_earlier.ipynb", seconds=2.5, error="an earlier error")
    write_executed(tmp_path / "01_stub.ipynb", seconds=9.5, error="not to be read again")
    export_index(tmp_path, [OUTCOME | {"cell": "fit", "error": "<E>"}])
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'href="00_earlier.html"' in index and "FAILED: an earlier error" in index
    assert 'href="01_stub.html"' in index and "FAILED in fit: &lt;E&gt;" in index
    assert "not to be read again" not in index
