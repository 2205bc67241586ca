"""Executed notebooks as pages that stand alone, and an index of them."""

import base64
import html
import re
from pathlib import Path

import nbformat

from mnist_course.notebooks import cell_name, hide_paths, read_outcome, summarize
from mnist_helpers.saving import atomic_write

_TEMPLATES = Path(__file__).parent / "template"
_FOCUSABLE = 'tabindex="0" role="group" aria-label='


def export_page(executed, page):
    """Write the page of an executed notebook; it asks no other host for anything.

    Parameters
    ----------
    executed, page : str or pathlib.Path
        The notebook, and the HTML file to write.
    """
    from nbconvert import HTMLExporter

    notebook = nbformat.read(executed, as_version=4)
    notebook.metadata.pop("widgets", None)  # nbconvert would write all of their code into the page
    for number, cell in enumerate(notebook.cells, 1):
        timing = cell.metadata.get("papermill", {})
        cell.metadata.name = cell_name(cell, number)
        cell.metadata.seconds = timing.get("duration") if timing.get("start_time") else None
        if "outputs" in cell:
            cell.outputs = nbformat.from_dict(hide_paths(cell.outputs))
            cell.metadata.wide = any(_png_width(output) > 640 for output in cell.outputs)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.source = hide_paths(cell.source)
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    title = re.search(r"^# +(.+)$", prose, re.MULTILINE)
    notebook.metadata.title = title[1] if title else Path(executed).stem
    exporter = HTMLExporter(template_name="page", extra_template_basedirs=[str(_TEMPLATES)])
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    # The first of these that an output has is shown; scripts and widgets never are.
    kinds = "text/html text/markdown image/svg+xml image/png image/jpeg text/plain"
    exporter.config.NbConvertBase.display_data_priority = kinds.split()
    outcome = hide_paths(read_outcome(executed))
    body, _ = exporter.from_notebook_node(notebook, {"outcome": outcome})
    with atomic_write(page) as part:
        part.write_text(_let_keys_scroll(body), encoding="utf-8")


def _let_keys_scroll(body):
    """Let the Tab key stop where arrow keys may have to scroll, on a phone at least."""

    def stop(block):
        text = html.unescape(re.sub("<[^>]*>", "", block[0]))
        wide = max(map(len, text.splitlines()), default=0) > 30
        return block[0].replace("<pre", f'<pre {_FOCUSABLE}"Text"', 1) if wide else block[0]

    body = re.sub(r'(<div\b[^>]*) tabindex="0"', r"\1", body)  # nbconvert stops at every cell
    body = re.sub(r"<pre\b.*?</pre>", stop, body, flags=re.DOTALL)
    body = re.sub(r"(<div [^>]*\bwide\b[^>]*)>", rf'\1 {_FOCUSABLE}"Figure">', body)
    body = re.sub(r"<table\b", f'<div class="table" {_FOCUSABLE}"Table"><table', body)
    return body.replace("</table>", "</table></div>")


def _png_width(output):
    png = output.get("data", {}).get("image/png", "")
    return int.from_bytes(base64.b64decode(png[:32])[16:20], "big")


def export_index(folder):
    """Write ``index.html``, which lists every notebook executed into `folder`."""
    import jinja2

    outcomes = [read_outcome(path) for path in sorted(Path(folder).glob("*.ipynb"))]
    whole = [outcome for outcome in outcomes if outcome["seconds"] is not None]
    rows = [(outcome["error"], hide_paths(list(summarize(outcome)))) for outcome in whole]
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True)
    with atomic_write(Path(folder) / "index.html") as part:
        part.write_text(environment.get_template("page/runs.html.j2").render(rows=rows), "utf-8")
