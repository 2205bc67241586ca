"""Executed notebooks as pages that stand alone, and an index of them."""

import base64
import html
import re
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import nbformat

from mnist_helpers.batch.files import written_whole
from mnist_helpers.batch.record import format_metrics, read_record

_TEMPLATES = Path(__file__).parent / "template"
_CONTROL = "parameters injected-parameters check solution exercise complete-program".split()
_CONTROL += ["misuse-demo", "raises-exception"]
_STOP = 'tabindex="0" role="group" aria-label='


def cell_name(cell, number):
    """Name a cell by its first tag that is not for tools, or else by its number."""
    for tag in cell.metadata.get("tags", []):
        if tag not in _CONTROL and not tag.startswith("nbval-"):
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


def summarise(outcome):
    """Put an outcome into four texts: notebook, seconds, result, digits."""
    record = outcome["record"] or {"metrics": {}, "digits": {"text": "not recorded"}}
    result = ", ".join(f"{name} {value}" for name, value in format_metrics(record["metrics"]))
    if outcome["error"]:
        where = f" in {outcome['cell']}" if outcome["cell"] else ""
        result = f"FAILED{where}: {outcome['error']}"
    digits = record["digits"]["text"].partition(" (")[0]
    return (outcome["notebook"], f"{outcome['seconds']:.1f}", result, digits)


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
    with written_whole(page) as part:
        part.write_text(_let_keys_scroll(body), encoding="utf-8")


def _let_keys_scroll(body):
    """Let the Tab key stop where arrow keys may have to scroll, on a phone at least."""

    def stop(block):
        text = html.unescape(re.sub("<[^>]*>", "", block[0]))
        wide = max(map(len, text.splitlines()), default=0) > 30
        return block[0].replace("<pre", f'<pre {_STOP}"Text"', 1) if wide else block[0]

    body = re.sub(r'(<div\b[^>]*) tabindex="0"', r"\1", body)  # nbconvert stops at every cell
    body = re.sub(r"<pre\b.*?</pre>", stop, body, flags=re.DOTALL)
    body = re.sub(r"(<div [^>]*\bwide\b[^>]*)>", rf'\1 {_STOP}"Figure">', body)
    body = re.sub(r"<table\b", f'<div class="table" {_STOP}"Table"><table', body)
    return body.replace("</table>", "</table></div>")


def _png_width(output):
    png = output.get("data", {}).get("image/png", "")
    return int.from_bytes(base64.b64decode(png[:32])[16:20], "big")


def export_index(folder):
    """Write ``index.html``, which lists every notebook executed into `folder`."""
    import jinja2

    outcomes = [read_outcome(path) for path in sorted(Path(folder).glob("*.ipynb"))]
    whole = [outcome for outcome in outcomes if outcome["seconds"] is not None]
    rows = [(outcome["error"], hide_paths(list(summarise(outcome)))) for outcome in whole]
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True)
    with written_whole(Path(folder) / "index.html") as part:
        part.write_text(environment.get_template("page/runs.html.j2").render(rows=rows), "utf-8")
