"""The pages of executed notebooks, as files; test_pages_in_browser.py looks at them."""

import copy
import os
import tempfile
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

from mnist_course import rendering
from mnist_course.pages import MAX_PARTS, export_index, export_page, prepare_page

OUTCOME = {"notebook": "01_stub", "record": None, "seconds": 1.5, "cell": None, "error": None}

# The page's own: the encoding, the width and the policy.
N_METAS = 3
HOSTILE = (
    '<meta http-equiv="refresh" content="0;url=https://example.invalid/"><base href="//x">'
    "<script>x</script></div></main><form action=//x><iframe src=//x></iframe>"
    "<b onclick=x>bold</b><!-- swallowed <style> swallowed <svg> swallowed"
)


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
    assert '<a href="#page-failed">fit</a>' in page and '<span id="page-failed">' in page
    assert "<code>E: no ./&lt;data&gt;</code>" in page


def test_a_page_hides_paths_and_widgets_and_its_notebook_stays_as_it_is(notebook, tmp_path):
    before = copy.deepcopy(notebook)
    page = page_of(notebook, OUTCOME, tmp_path)
    assert notebook == before
    assert "./model.keras" in page and str(Path.cwd()) not in page
    assert "application/x" not in page and "<script" not in page


AS_WRITTEN = "This page shows the notebook as it was written"


def test_a_text_with_many_colors_loses_them_and_its_end(notebook, tmp_path):
    notebook.cells[2].outputs = [new_output("stream", text="\x1b[31mred\x1b[0m line\n" * 100_000)]
    page = page_of(notebook, OUTCOME, tmp_path)
    assert AS_WRITTEN not in page
    assert "red line" in page and "it is in the notebook" in page


def seconds_of_page(cells, folder):
    """Return the CPU seconds that a page takes here and in its process, and the page."""
    times = os.times()
    page = page_of(NotebookNode(cells=cells), OUTCOME, folder)
    # The time of a process counts when it has ended.
    rendering._renderer.stop()
    seconds = 0
    for before, after in zip(times[:4], os.times()[:4], strict=True):
        seconds += after - before
    return seconds, page


@pytest.mark.parametrize(
    "cell",
    [
        new_markdown_cell("MARK" + "[" * 80_000),
        new_markdown_cell("MARK\n" + "|a|\n|-|\n" * 10_000),
        code("MARK" + "('" * 20_000),
        code("MARK\n" + "<\n" * 60_000),
    ],
    ids=["brackets", "tables", "one line", "tags"],
)
def test_one_long_cell_is_shown_as_written_and_the_others_as_ever(cell, tmp_path):
    pages = new_notebook(cells=[cell, new_markdown_cell("# Digits"), code("for i in x: pass")])
    soup = BeautifulSoup(page_of(pages, OUTCOME, tmp_path), "html.parser")
    shown = soup.find("pre").get_text()
    assert shown.strip() == cell.source.strip()
    assert rendering.SHOWN_AS_WRITTEN in soup.get_text()
    assert soup.find("h1").get_text() == "Digits¶"
    assert soup.find("span", class_="k").get_text() == "for"


def output_cell(**data):
    cell = code("1")
    cell.outputs = [new_output("display_data", data=data)]
    return cell


@pytest.mark.slow
@pytest.mark.parametrize(
    "cells",
    [
        [new_markdown_cell("MARK" + "[" * 14_000)] * 300,
        [code("MARK"), output_cell(**{"text/html": "<a" * 49_000})],
    ],
    ids=["brackets", "tags"],
)
def test_whatever_a_notebook_holds_its_page_takes_a_few_seconds(cells, tmp_path):
    seconds, page = seconds_of_page(cells, tmp_path)
    # With the start of another process.
    assert seconds < rendering.MAX_CPU_SECONDS + 5
    assert AS_WRITTEN in page and "MARK" in page
    # Nothing of it is left: the next page is as ever.
    assert AS_WRITTEN not in page_of(new_notebook(cells=[code("1")]), OUTCOME, tmp_path)


def test_a_cell_with_very_many_outputs_shows_the_first_of_them(tmp_path):
    many = code("'many'")
    many.outputs = [new_output("stream", text=".")] * (2 * MAX_PARTS)
    content = prepare_page(NotebookNode(cells=[many, code("'next'")]), OUTCOME)
    first, last = content["cells"]
    many_cells = NotebookNode(cells=[code("1")] * (2 * MAX_PARTS))
    assert len(prepare_page(many_cells, OUTCOME)["cells"]) == MAX_PARTS + 2
    assert first["source"] == "'many'" and len(first["outputs"]) == MAX_PARTS
    assert last["source"].startswith("[The notebook goes on")


@pytest.mark.parametrize("failure", ["error", "end", "no start"])
def test_a_page_that_cannot_be_made_shows_all_that_was_written(failure, tmp_path, monkeypatch):
    cell = code("plot()  # MARK", "fit")
    png = {"image/png": "AAAA", "text/plain": "<Figure>"}
    about = {"image/png": {"alt": 'A "seven".'}}
    cell.outputs = [
        new_output("display_data", png, metadata=about),
        new_output("display_data", {"image/png": '"><script>', "text/plain": HOSTILE}),
        new_output("stream", text="\x1b[31mred\x1b[0m"),
        new_output("error", ename="E", evalue="x", traceback=["one", HOSTILE]),
    ]
    cells = [new_markdown_cell(f"# Read {HOSTILE}"), cell]
    if failure == "error":
        # A tag is a text; whoever makes a page of this one raises.
        monkeypatch.setattr("mnist_course.pages._find_title", lambda notebook: ["no text"])
    elif failure == "end":
        monkeypatch.setattr(rendering, "PROGRAM", "import sys; sys.exit(1)")
    else:
        monkeypatch.setattr(rendering.sys, "executable", str(tmp_path / "none"))
    if failure != "error":
        rendering._renderer.stop()
    outcome = OUTCOME | {"cell": "fit", "error": "E: <x>"}
    page = page_of(new_notebook(cells=cells), outcome, tmp_path)
    soup = BeautifulSoup(page, "html.parser")
    assert AS_WRITTEN in page
    texts = [block.get_text() for block in soup.find_all("pre")]
    assert texts == [f"# Read {HOSTILE}", "plot()  # MARK", HOSTILE, "red", f"one\n{HOSTILE}"]
    (picture,) = soup.find_all("img")
    assert picture["src"] == "data:image/png;base64,AAAA" and picture["alt"] == 'A "seven".'
    assert soup.find_all(["base", "script", "form", "iframe", "svg"]) == []
    assert len(soup.find_all("meta")) == N_METAS
    assert (
        soup.find(id="page-failed")
        and soup.find(id="page-stopped").find("code").get_text() == "E: <x>"
    )


def test_a_picture_that_is_missing_leaves_its_text_and_a_word(tmp_path):
    prose = new_markdown_cell(
        "![a *seven*](attachment:lost.png) ![](attachment:empty.png) ![nine](attachment:a%20b.png)"
    )
    prose.attachments = {"empty.png": {}, "a b.png": {"image/png": "AAAA"}}
    output = output_cell(**{"text/markdown": "![an eight](attachment:x.png)"})
    page = page_of(new_notebook(cells=[prose, output]), OUTCOME, tmp_path)
    soup = BeautifulSoup(page, "html.parser")
    assert AS_WRITTEN not in page
    text = soup.get_text()
    assert "a seven [the picture lost.png is not in the notebook]" in text
    assert "[the picture empty.png is not in the notebook]" in text
    assert "an eight [the picture x.png is not in the notebook]" in text
    (picture,) = soup.find_all("img")
    assert picture["src"] == "data:image/png;base64,AAAA" and picture["alt"] == "nine"


def test_metadata_of_a_notebook_reach_no_template(tmp_path):
    odd = {"transient": 5, "raw_mimetype": 5, "magics_language": {}, "name": "<b>", "seconds": "x"}
    odd["papermill"] = {"start_time": "now", "duration": "<script>"}
    cells = [new_markdown_cell("words"), new_raw_cell("raw"), code("1")]
    odd["tags"] = ["a,b", "", "fit", "fit"]
    for cell in cells:
        cell.metadata = NotebookNode(odd)
        cell.id = 'a" onload="x'
    notebook = NotebookNode(cells=cells, metadata={"title": "<script>", "language_info": 5})
    page = page_of(notebook, OUTCOME, tmp_path)
    assert AS_WRITTEN not in page and "onload" not in page and "<script" not in page
    assert "words" in page


def test_templates_of_the_user_change_no_page(notebook, tmp_path, monkeypatch):
    before = page_of(notebook, OUTCOME, tmp_path)
    for name in ("lab/index.html.j2", "base/display_priority.j2"):
        template = tmp_path / "nbconvert" / "templates" / name
        template.parent.mkdir(parents=True)
        template.write_text("replaced")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert page_of(notebook, OUTCOME, tmp_path) == before


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
    assert len(soup.find_all("meta")) == N_METAS
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
    assert len(soup.find_all("meta")) == N_METAS
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
