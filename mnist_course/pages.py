"""Executed notebooks as pages that stand alone, and an index of them."""

import base64
import copy
import html
import importlib.metadata
import os
import re
import sys
from pathlib import Path
from urllib.parse import quote

import jinja2
import nbformat

from mnist_course.markup import MAX_WRITTEN_CHARACTERS, clean_markup, shorten_text
from mnist_course.notebooks import cell_name, hide_paths, outcome_texts, read_outcome
from mnist_helpers.saving import atomic_write

TEMPLATES = Path(__file__).parent / "template"

# One of the files that nbconvert is installed with, below ``share/jupyter``.
TEMPLATE_OF_NBCONVERT = ("nbconvert", "templates", "base", "null.j2")

# The first of these that an output has is in the page; scripts and widgets never are.
OUTPUT_TYPES = [
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/plain",
]

# Longer texts are shown without their colors.
MAX_COLORED_CHARACTERS = 50_000

# What is wider does not fit on a phone, and scrolls there: pixels, and characters in a line.
MAX_FIGURE_WIDTH = 640
MAX_LINE_LENGTH = 30

# Where a PNG file has its width; in base64, the file's first 24 bytes are 32 characters.
PNG_WIDTH_BYTES = slice(16, 20)
PNG_HEAD_CHARACTERS = 32

# The Tab key stops here, so that the arrow keys can scroll; screen readers say the label.
TAB_STOP = 'tabindex="0" role="group" aria-label="{label}"'


def export_page(notebook, outcome, page):
    """Write the page of an executed notebook; it asks no other host for anything.

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
    >>> import tempfile
    >>> notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Digits")])
    >>> outcome = {"notebook": "01", "record": None, "seconds": 1.5, "cell": None, "error": None}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = Path(folder, "01.html")
    ...     export_page(notebook, outcome, page)
    ...     "<title>Digits</title>" in page.read_text(encoding="utf-8")
    True
    """
    notebook = copy.deepcopy(notebook)
    # Nothing else of it is for readers: of widgets, nbconvert would write all code into the page.
    title = _find_title(notebook) or outcome["notebook"]
    notebook.metadata = nbformat.from_dict({"title": title})
    for number, cell in enumerate(notebook.cells, 1):
        _prepare_cell(cell, number)
    exporter = _make_exporter()
    resources = {"outcome": hide_paths(outcome)}
    body, _ = exporter.from_notebook_node(notebook, resources)
    with atomic_write(page) as part:
        _write_page(part, _add_tab_stops(body))


def _make_exporter():
    """Return nbconvert's exporter with our template; nothing of the user's own is in it."""
    # nbconvert takes long to import.
    from nbconvert import HTMLExporter

    class PageExporter(HTMLExporter):
        def get_prefix_root_dirs(self):
            # Jupyter would look into JUPYTER_PATH and the home directory first: a template `lab`
            # there would replace the one that ours extends.
            return [str(_installed_share())]

    exporter = PageExporter(
        template_name="page",
        extra_template_basedirs=[str(TEMPLATES)],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        sanitize_html=True,
    )
    # nbconvert's own would take tables apart. Prose, outputs and code all go through it.
    exporter.register_filter("clean_html", clean_markup)
    exporter.register_filter("ansi2html", _color_text)
    exporter.config.NbConvertBase.display_data_priority = OUTPUT_TYPES
    return exporter


def _installed_share():
    """Return the folder ``share/jupyter`` that nbconvert was installed with."""
    # Not always in `sys.prefix`: a user's own packages lie elsewhere.
    for file in importlib.metadata.files("nbconvert") or []:
        if file.parts[-4:] == TEMPLATE_OF_NBCONVERT:
            return Path(file.locate()).resolve().parents[3]
    return Path(sys.prefix, "share", "jupyter")


def _color_text(text):
    """Return a text output as HTML; a long one loses its colors, and its end.

    The time that nbconvert takes for colors grows with the square of the length: 160,000 colored
    lines took a minute.
    """
    from nbconvert.filters import ansi2html, strip_ansi

    if len(text) > MAX_COLORED_CHARACTERS:
        text = shorten_text(strip_ansi(text))
    return ansi2html(text)


def _write_page(path, text):
    """Write a page; of a name that is not UTF-8, what cannot be written becomes a question mark."""
    path.write_text(text, encoding="utf-8", errors="replace")


def _find_title(notebook):
    """Return the text of the first heading in the prose, or None."""
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    heading = re.search(r"^# +(.+)$", prose, re.MULTILINE)
    return heading[1] if heading else None


def _prepare_cell(cell, number):
    """Put into a cell's metadata what the template asks for, and hide this computer's folders."""
    timing = cell.metadata.get("papermill", {})
    if not isinstance(timing, dict):
        timing = {}
    cell.metadata.name = cell_name(cell, number)
    # papermill gives a duration even to cells that were not run.
    cell.metadata.seconds = timing.get("duration") if timing.get("start_time") else None
    if "outputs" in cell:
        cell.outputs = nbformat.from_dict(hide_paths(cell.outputs))
        for output in cell.outputs:
            if "data" in output:
                output.data = _shown_data(output.data)
                output.metadata = _shown_metadata(output.get("metadata"))
        cell.metadata.wide = any(_png_width(output) > MAX_FIGURE_WIDTH for output in cell.outputs)
    if not _are_pictures(cell.get("attachments", {})):
        del cell["attachments"]
    if "injected-parameters" in cell.metadata.get("tags", []):
        cell.source = hide_paths(cell.source)


def _are_pictures(attachments):
    """Say whether a cell's attachments are as they should be: by name, then by type, as texts."""
    if not isinstance(attachments, dict):
        return False
    for by_type in attachments.values():
        if not isinstance(by_type, dict):
            return False
        if not all(isinstance(data, str) for data in by_type.values()):
            return False
    return True


def _shown_metadata(metadata):
    """Return of an output's metadata what a page shows: alternatives, and sizes that are numbers.

    nbconvert writes a size into a tag as it is, so that one could bring attributes along.
    """
    shown = nbformat.NotebookNode()
    for output_type in OUTPUT_TYPES:
        about = metadata.get(output_type) if isinstance(metadata, dict) else None
        if isinstance(about, dict):
            kept = nbformat.NotebookNode()
            for name, value in about.items():
                is_size = name in ("width", "height") and type(value) is int
                if is_size or (name == "alt" and isinstance(value, str)):
                    kept[name] = value
            shown[output_type] = kept
    return shown


def _shown_data(data):
    """Return of an output's data what a page can show: texts only, whatever the notebook sent."""
    shown = nbformat.NotebookNode()
    for output_type in OUTPUT_TYPES:
        value = data.get(output_type)
        if isinstance(value, list):
            value = "".join(str(line) for line in value)
        if isinstance(value, str):
            shown[output_type] = value
    markdown = shown.get("text/markdown", "")
    if len(markdown) > MAX_WRITTEN_CHARACTERS:
        # Some of it would take for ever to be made into markup.
        del shown["text/markdown"]
        shown.setdefault("text/plain", markdown)
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


def _add_tab_stops(body):
    """Let the Tab key stop where arrow keys may have to scroll, on a phone at least."""
    text_stop = TAB_STOP.format(label="Text")
    figure_stop = TAB_STOP.format(label="Figure")
    table_stop = TAB_STOP.format(label="Table")

    def add_to_wide_text(match):
        block = match[0]
        text = html.unescape(re.sub("<[^>]*>", "", block))
        if any(len(line) > MAX_LINE_LENGTH for line in text.splitlines()):
            block = block.replace("<pre", f"<pre {text_stop}", 1)
        return block

    # nbconvert lets the key stop at every cell.
    body = re.sub(r'(<div\b[^>]*) tabindex="0"', r"\1", body)
    body = re.sub(r"<pre\b.*?</pre>", add_to_wide_text, body, flags=re.DOTALL)
    body = re.sub(r"(<div [^>]*\bwide\b[^>]*)>", rf"\1 {figure_stop}>", body)
    body = re.sub(r"<table\b", f'<div class="table" {table_stop}><table', body)
    return body.replace("</table>", "</table></div>")


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
    loader = jinja2.FileSystemLoader(TEMPLATES)
    template = jinja2.Environment(loader=loader, autoescape=True).get_template("page/runs.html.j2")
    with atomic_write(folder / "index.html") as part:
        _write_page(part, template.render(rows=rows))


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
