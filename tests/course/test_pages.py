"""The pages of executed notebooks, as files; test_pages_in_browser.py looks at them."""

import copy
import os
import tempfile
import time
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook, new_output, new_raw_cell
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


def test_the_time_is_bounded_however_long_a_colored_text_is(notebook, tmp_path):
    notebook.cells[2].outputs = [new_output("stream", text="\x1b[31mred\x1b[0m line\n" * 100_000)]
    start = time.process_time()
    page = page_of(notebook, OUTCOME, tmp_path)
    assert time.process_time() - start < 8
    assert "red line" in page and "it is in the notebook" in page


def test_templates_of_the_user_change_no_page(notebook, tmp_path, monkeypatch):
    before = page_of(notebook, OUTCOME, tmp_path)
    for name in ("lab/index.html.j2", "base/display_priority.j2"):
        template = tmp_path / "nbconvert" / "templates" / name
        template.parent.mkdir(parents=True)
        template.write_text("replaced")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert page_of(notebook, OUTCOME, tmp_path) == before


HOSTILE = (
    '<meta http-equiv="refresh" content="0;url=https://example.invalid/"><base href="//x">'
    "<script>x</script></div></main><form action=//x><iframe src=//x></iframe>"
    "<b onclick=x>bold</b><!-- swallowed <style> swallowed <svg> swallowed"
)


def output_cell(**data):
    cell = code("1")
    cell.outputs = [new_output("display_data", data=data)]
    return cell


@pytest.mark.parametrize(
    "cell",
    [
        new_markdown_cell(f"# Title {HOSTILE}\n\n{HOSTILE}"),
        new_raw_cell(HOSTILE, metadata={"raw_mimetype": "text/html"}),
        code(HOSTILE),
        output_cell(**{"text/html": HOSTILE}),
        output_cell(**{"text/markdown": HOSTILE}),
        output_cell(**{"image/svg+xml": f"<svg xmlns='x'>{HOSTILE}</svg>"}),
        output_cell(**{"image/png": f'">{HOSTILE}'}),
        output_cell(**{"image/jpeg": f'">{HOSTILE}'}),
        output_cell(**{"text/plain": HOSTILE}),
    ],
    ids=["prose", "raw", "code", "html", "markdown", "svg", "png", "jpeg", "text"],
)
def test_what_a_notebook_brings_does_nothing_in_its_page(cell, tmp_path):
    page = page_of(new_notebook(cells=[cell, code("'the next cell'")]), OUTCOME, tmp_path)
    soup = BeautifulSoup(page, "html.parser")
    # The page's own: the encoding, the width and the policy.
    assert len(soup.find_all("meta")) == 3
    assert soup.find_all(["base", "script", "form", "iframe", "svg"]) == []
    assert [tag for tag in soup.find_all() if "onclick" in tag.attrs] == []
    (main,) = soup.find_all("main")
    assert "the next cell" in main.get_text()


def test_what_is_no_text_is_left_out(notebook, tmp_path):
    notebook.cells[2].outputs = [
        NotebookNode(output_type="display_data", data={"text/html": 5}, metadata={}),
        NotebookNode(output_type="display_data", data={"text/html": ["a", "b"]}, metadata={}),
        NotebookNode(output_type="display_data", data={"image/png": "é"}, metadata={}),
    ]
    notebook.cells[1].attachments = {"a.png": 5}
    notebook.cells[2].metadata.papermill = "soon"
    notebook.metadata = NotebookNode(language_info="Python", title=5)
    page = page_of(notebook, OUTCOME, tmp_path)
    assert "<title>Read digits</title>" in page and ">\nab\n<" in page


# Markup as tests/course/test_markup.py tries it, and what Markdown makes markup of.
TEXTS = st.text(alphabet="<>/!-=\"'&;:`*_#[]()|$ \n\\abmets\0\ud800é", max_size=60)


@pytest.mark.slow
@given(markdown=TEXTS, output=TEXTS, name=TEXTS)
@settings(derandomize=True, deadline=None, max_examples=20)
def test_whatever_a_notebook_holds_the_rest_of_its_page_is_there(markdown, output, name):
    cells = [
        new_markdown_cell(markdown),
        output_cell(**{"text/html": output, "text/plain": output}),
        output_cell(**{"text/markdown": output}),
        code("'the last cell'"),
    ]
    outcome = OUTCOME | {"notebook": name, "cell": name, "error": name}
    with tempfile.TemporaryDirectory() as folder:
        page = page_of(new_notebook(cells=cells), outcome, Path(folder))
    soup = BeautifulSoup(page, "html.parser")
    assert len(soup.find_all("meta")) == 3
    (main,) = soup.find_all("main")
    assert "the last cell" in main.get_text()


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


ODD_NAMES = ["01 a&b <i>", "01_'\"", "01_100%_#1?", "01_é", "01_javascript:x", "01_\n", b"01_\xff"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_the_index_leads_to_notebooks_with_any_name(name, tmp_path):
    stem = os.fsdecode(name)
    export_index(tmp_path, [])
    nbformat.write(new_notebook(), tmp_path / f"{stem}.ipynb")
    export_page(new_notebook(), OUTCOME | {"notebook": stem}, tmp_path / f"{stem}.html")
    export_index(tmp_path, [OUTCOME | {"notebook": stem, "error": f"E: {stem}"}])
    soup = BeautifulSoup((tmp_path / "index.html").read_text(encoding="utf-8"), "html.parser")
    (link,) = soup.find_all("a")
    assert not urlsplit(link["href"]).scheme
    assert (tmp_path / os.fsdecode(unquote_to_bytes(link["href"]))).is_file()
    assert len(soup.find("tbody").find_all()) == 6


def test_each_page_says_that_nothing_is_fetched_sent_or_led_elsewhere(notebook, tmp_path):
    export_index(tmp_path)
    for text in (
        page_of(notebook, OUTCOME, tmp_path),
        (tmp_path / "index.html").read_text("utf-8"),
    ):
        policy = BeautifulSoup(text, "html.parser").find("meta", {"http-equiv": True})["content"]
        assert policy.startswith("default-src 'none'; ")
        assert policy.endswith("; base-uri 'none'; form-action 'none'")


def test_the_size_of_a_picture_brings_no_attributes_along(tmp_path):
    cell = code("show()")
    size = "1 style=position:fixed;top:0;left:0;width:100vw;height:100vh onload=x()"
    about = {"image/jpeg": {"width": size, "height": 7, "alt": "A seven."}}
    cell.outputs = [new_output("display_data", {"image/jpeg": "AAAA"}, metadata=about)]
    page = page_of(new_notebook(cells=[cell]), OUTCOME, tmp_path)
    (picture,) = BeautifulSoup(page, "html.parser").find_all("img")
    assert "style" not in picture.attrs and "onload" not in picture.attrs
    assert "width" not in picture.attrs and picture["height"] == "7"
