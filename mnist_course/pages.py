"""Executed notebooks as pages that stand alone, and an index of them."""

import base64
import os
import re
from pathlib import Path
from urllib.parse import quote

import jinja2

from mnist_course.markup import MAX_TAGS, shorten_text
from mnist_course.notebooks import cell_name, hide_paths, outcome_texts, read_outcome
from mnist_course.rendering import MAX_STYLED_CHARACTERS, OUTPUT_TYPES, TEMPLATES, render_page
from mnist_helpers.saving import atomic_write

# What is wider does not fit on a phone, and scrolls there: pixels.
MAX_FIGURE_WIDTH = 640

# Where a PNG file has its width; in base64, the file's first 24 bytes are 32 characters.
PNG_WIDTH_BYTES = slice(16, 20)
PNG_HEAD_CHARACTERS = 32

# Cells and outputs in one page. A lesson has some fifty; a page of more than this many could not
# be read by anybody, and each costs its time, however small it is.
MAX_PARTS = 10_000
REST_IS_LEFT_OUT = f"[The notebook goes on: a page shows {MAX_PARTS:,} cells and outputs.]"

# The course's cells have up to four.
MAX_TAGS_OF_CELL = 50

PICTURE_TYPES = ["image/png", "image/jpeg"]
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
# As the format of notebooks has them.
CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
# Colors of a terminal.
COLOR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def export_page(notebook, outcome, page):
    """Write the page of an executed notebook; it asks no other host for anything.

    Where that takes too long, as it may with a notebook of somebody else's, the page shows the
    notebook as it was written.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        It stays as it is.
    outcome : dict
        The outcome of its run, as `notebooks.read_outcome` returns it.
    page : str or pathlib.Path
        The HTML file to write.

    Examples
    --------
    >>> import nbformat, tempfile
    >>> notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Digits")])
    >>> outcome = {"notebook": "01", "record": None, "seconds": 1.5, "cell": None, "error": None}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = Path(folder, "01.html")
    ...     export_page(notebook, outcome, page)
    ...     "<title>Digits</title>" in page.read_text(encoding="utf-8")
    True
    """
    content = prepare_page(notebook, outcome)
    text = render_page(content)
    if text is None:
        text = _render_template("plain.html.j2", **_plain_content(content))
    with atomic_write(page) as part:
        _write_page(part, text)


def prepare_page(notebook, outcome):
    """Take out of an executed notebook what its page shows; the rest never reaches a template.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        It stays as it is.
    outcome : dict
        The outcome of its run, as `notebooks.read_outcome` returns it.

    Returns
    -------
    dict
        Of lists, dicts, texts and numbers, as `rendering.make_page` takes it.
    """
    cells = []
    n_left = MAX_PARTS
    for number, cell in enumerate(notebook.cells, 1):
        n_outputs = len(cell.get("outputs", []))
        cells.append(_shown_cell(cell, number, max_outputs=n_left))
        n_left -= 1 + n_outputs
        if n_left < 0:
            cells.append(_new_cell("markdown", REST_IS_LEFT_OUT, number + 1))
            break
    _make_ids_differ(cells)
    title = _find_title(notebook) or outcome["notebook"]
    return {"title": title, "cells": cells, "outcome": hide_paths(outcome)}


def _new_cell(cell_type, source, number):
    metadata = {"name": f"cell {number}", "seconds": None, "tags": [], "wide": False}
    return {"id": None, "cell_type": cell_type, "source": source, "metadata": metadata}


def _make_ids_differ(cells):
    """Give a cell whose id is no id, or is another cell's too, one of its own."""
    seen = set()
    for number, cell in enumerate(cells, 1):
        is_good = isinstance(cell["id"], str) and CELL_ID.fullmatch(cell["id"])
        if not is_good or cell["id"] in seen:
            cell["id"] = f"cell-{number}"
        seen.add(cell["id"])


def _render_template(name, **values):
    loader = jinja2.FileSystemLoader(TEMPLATES / "page")
    environment = jinja2.Environment(loader=loader, autoescape=True)
    return environment.get_template(name).render(**values)


def _write_page(path, text):
    """Write a page; of a name that is not UTF-8, what cannot be written becomes a question mark."""
    path.write_text(text, encoding="utf-8", errors="replace")


def _find_title(notebook):
    """Return the text of the first heading in the prose, or None."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = re.search(r"^# +(.+)$", cell.source, re.MULTILINE)
            if heading:
                return heading[1]
    return None


def _shown_cell(cell, number, max_outputs):
    """Return of a cell what a page shows, without this computer's folders."""
    shown = _new_cell(cell.cell_type, cell.source, number)
    shown["id"] = cell.get("id")
    metadata = shown["metadata"]
    metadata["name"] = cell_name(cell, number)
    metadata["tags"] = _shown_tags(cell.metadata.get("tags"))
    timing = cell.metadata.get("papermill", {})
    # papermill gives a duration even to cells that were not run.
    if isinstance(timing, dict) and timing.get("start_time"):
        seconds = timing.get("duration")
        if isinstance(seconds, int | float):
            metadata["seconds"] = seconds
    if "injected-parameters" in metadata["tags"]:
        shown["source"] = hide_paths(cell.source)
    if cell.cell_type == "code":
        outputs = cell.get("outputs", [])[:max_outputs]
        outputs = [_shown_output(output) for output in outputs]
        shown["outputs"] = hide_paths(outputs)
        shown["execution_count"] = None
        metadata["wide"] = any(_png_width(output) > MAX_FIGURE_WIDTH for output in outputs)
    else:
        shown["attachments"] = _shown_attachments(cell.get("attachments"))
    return shown


def _shown_tags(tags):
    """Return each tag once; nbconvert refuses what is no tag by the format of notebooks."""
    if not isinstance(tags, list):
        return []
    texts = [tag for tag in tags[:MAX_TAGS_OF_CELL] if isinstance(tag, str)]
    return [tag for tag in dict.fromkeys(texts) if tag and "," not in tag]


def _shown_attachments(attachments):
    """Return a cell's attachments that are as they should be: by name, then by type, as texts."""
    shown = {}
    if not isinstance(attachments, dict):
        return shown
    for name, by_type in attachments.items():
        if isinstance(by_type, dict):
            texts = {key: data for key, data in by_type.items() if isinstance(data, str)}
            if texts:
                shown[name] = texts
    return shown


def _shown_output(output):
    """Return of an output what a page shows, whatever the notebook sent."""
    kind = output.get("output_type")
    if kind == "stream":
        name = "stdout"
        if output.get("name") == "stderr":
            name = "stderr"
        return {"output_type": kind, "name": name, "text": _as_text(output.get("text"))}
    if kind == "error":
        lines = output.get("traceback")
        traceback = [_as_text(line) for line in lines] if isinstance(lines, list) else []
        return {"output_type": kind, "ename": "", "evalue": "", "traceback": traceback}
    return {
        "output_type": "display_data",
        "data": _shown_data(output.get("data")),
        "metadata": _shown_metadata(output.get("metadata")),
    }


def _as_text(value):
    """Return a text, or one in pieces; of anything else nothing is shown."""
    if isinstance(value, list):
        return "".join(str(piece) for piece in value)
    if isinstance(value, str):
        return value
    return ""


def _shown_metadata(metadata):
    """Return of an output's metadata what a page shows: alternatives, and sizes that are numbers.

    nbconvert writes a size into a tag as it is, so that one could bring attributes along.
    """
    shown = {}
    for output_type in OUTPUT_TYPES:
        about = metadata.get(output_type) if isinstance(metadata, dict) else None
        if isinstance(about, dict):
            shown[output_type] = {}
            for name, value in about.items():
                is_size = name in ("width", "height") and type(value) is int
                if is_size or (name == "alt" and isinstance(value, str)):
                    shown[output_type][name] = value
    return shown


def _shown_data(data):
    """Return of an output's data what a page can show: texts only."""
    shown = {}
    if not isinstance(data, dict):
        return shown
    for output_type in OUTPUT_TYPES:
        value = data.get(output_type)
        if isinstance(value, str | list):
            shown[output_type] = _as_text(value)
    # Where markup is too much for a page, the plain text beside it is easier to read.
    if "text/plain" in shown:
        if shown.get("text/html", "").count("<") > MAX_TAGS:
            del shown["text/html"]
        if len(shown.get("text/markdown", "")) > MAX_STYLED_CHARACTERS:
            del shown["text/markdown"]
    return shown


def _png_width(output):
    """Return the width in pixels of an output's picture, 0 when it has none."""
    png = output.get("data", {}).get("image/png", "")
    try:
        head = base64.b64decode(png[:PNG_HEAD_CHARACTERS])
    except ValueError:
        # It is no picture: the page shows what it is meant to show instead.
        return 0
    return int.from_bytes(head[PNG_WIDTH_BYTES], "big")


# --- the page of a notebook that takes too long -------------------------------------------------


def _plain_content(content):
    """Return what the template of a page asks for that shows a notebook as it was written."""
    cells = []
    for cell in content["cells"]:
        outputs = [_plain_output(output) for output in cell.get("outputs", [])]
        name = cell["metadata"]["name"]
        is_named = not name.startswith("cell ")
        text = shorten_text(cell["source"])
        cells.append({"name": name, "is_named": is_named, "text": text, "outputs": outputs})
    return content | {"cells": cells}


def _plain_output(output):
    """Return an output's picture as an address, or else its text."""
    data = output.get("data", {})
    plain = {"picture": None, "alt": "", "text": ""}
    for output_type in PICTURE_TYPES:
        picture = data.get(output_type, "")
        if picture and BASE64.fullmatch(picture):
            about = output["metadata"].get(output_type, {})
            plain["picture"] = f"data:{output_type};base64,{picture}"
            plain["alt"] = about.get("alt") or "Figure without a description"
            return plain
    text = output.get("text", "")
    if "traceback" in output:
        text = "\n".join(output["traceback"])
    for output_type in ("text/plain", "text/markdown", "text/html"):
        text = text or data.get(output_type, "")
    plain["text"] = shorten_text(COLOR.sub("", text))
    return plain


# --- the index ----------------------------------------------------------------------------------


def export_index(folder, outcomes=()):
    """Write ``index.html``, which lists every notebook executed into `folder`.

    Parameters
    ----------
    folder : str or pathlib.Path
    outcomes : list of dict
        Outcomes that are known already; those of other notebooks are read from their files.
    """
    folder = Path(folder)
    known = {outcome["notebook"]: outcome for outcome in outcomes}
    rows = []
    for path in sorted(folder.glob("*.ipynb")):
        outcome = known.get(path.stem) or read_outcome(path)
        # A run that was cut short has no page.
        if outcome["seconds"] is not None:
            rows.append(_index_row(outcome))
    with atomic_write(folder / "index.html") as part:
        _write_page(part, _render_template("runs.html.j2", rows=rows))


def _index_row(outcome):
    """Return what the template of the index asks for."""
    notebook, seconds, result, digits = hide_paths(outcome_texts(outcome))
    return {
        "notebook": notebook,
        # As bytes, because a file's name need not be UTF-8.
        "page": quote(os.fsencode(f"{outcome['notebook']}.html")),
        "seconds": seconds,
        "result": result,
        "digits": digits,
        "failed": outcome["error"] is not None,
    }
