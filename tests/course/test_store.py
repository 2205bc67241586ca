"""Storing the outputs of notebooks."""

import json
import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook, new_output
from support.notebooks import DATASET, code, record_cell, write

from mnist_course import store
from mnist_course.notebooks import cell_name, hide_paths

# Stored outputs.


def test_normalizing_takes_out_what_differs():
    widget = "application/vnd.jupyter.widget-view+json"
    cell = code("x", "a-name")
    cell.metadata |= {"papermill": {"duration": 1}, "execution": {"iopub": "t"}, "kept": 1}
    cell.outputs = [
        new_output("stream", text="a\n"),
        new_output("stream", text=f"{Path.home()}/b\n"),
        new_output("stream", name="stderr", text="c"),
        new_output("stream", text="/run/x/y"),
        new_output(
            "display_data",
            {
                widget: {"model_id": "1"},
                "text/plain": f"{Path.cwd()}/z",
                "image/png": f"{Path.home()}/",
            },
        ),
    ]
    notebook = new_notebook(
        cells=[new_markdown_cell("b"), cell],
        metadata={
            "widgets": {},
            "papermill": {},
            "title": "T",
            "language_info": {"name": "python", "version": "3.11.1"},
        },
    )
    before = json.dumps(notebook)
    result = store.normalize(notebook, "/run/x")
    assert json.dumps(notebook) == before
    assert result.metadata == {
        "title": "T",
        "language_info": {"name": "python"},
        "kernelspec": {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        },
    }
    assert result.cells[1].metadata == {"tags": ["a-name"], "kept": 1}
    assert [output.get("text") for output in result.cells[1].outputs] == [
        "a\n~/b\n",
        "c",
        "./y",
        None,
    ]
    assert result.cells[1].outputs[3] == {
        "output_type": "display_data",
        "metadata": {},
        "data": {"text/plain": "./z", "image/png": f"{Path.home()}/"},
    }
    assert [c.id for c in result.cells] == [c.id for c in notebook.cells]
    assert store.normalize(result) == result and result.nbformat_minor == 5


def test_paths_are_hidden_only_where_they_end(monkeypatch):
    home = "/srv/ann"  # the real one may lie in the folder for temporary files, hidden as "tmp"
    monkeypatch.setattr(Path, "home", lambda: Path(home))
    assert hide_paths(f"{home}/a {home}s {home}") == f"~/a {home}s ~"
    assert hide_paths([{"text": f"{sys.prefix}/lib"}])[0]["text"] != f"{sys.prefix}/lib"


@pytest.mark.parametrize(
    ("tags", "name"),
    [(["check", "nbval-ignore-output", "fit"], "fit"), (["parameters"], "cell 3"), ([], "cell 3")],
)
def test_cells_are_named_by_their_first_naming_tag(tags, name):
    assert cell_name(code("x", *tags), 3) == name


def test_storing_keeps_the_source_and_leaves_no_trace_of_here(tmp_path, monkeypatch):
    monkeypatch.delenv("MNIST_HELPERS_DATA", raising=False)
    path = write(
        tmp_path / "01_stub.ipynb",
        code(
            "import os\nprint(os.environ['MNIST_HELPERS_DATA'], os.getcwd())\n"
            "print(os.path.expanduser('~'))\nopen('made-here', 'w').close()"
        ),
        record_cell(),
    )
    before = nbformat.read(path, as_version=4)
    assert store.main([str(path)]) == 0
    text, after = path.read_text(), nbformat.read(path, as_version=4)
    assert [(c.id, c.source, c.metadata) for c in after.cells] == [
        (c.id, c.source, c.metadata) for c in before.cells
    ]
    assert after.cells[2].outputs[0].text == "mnist .\n~\n"
    assert [c.get("execution_count") for c in after.cells] == [None, 1, 2, 3]
    assert text.startswith('{\n "cells"') and text.endswith("}\n") and str(tmp_path) not in text
    assert [p.name for p in tmp_path.iterdir()] == ["01_stub.ipynb"]
    assert os.environ.get("MNIST_HELPERS_DATA") is None


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([code("import sys\nprint('x', file=sys.stderr)", "noisy"), record_cell()], "noisy"),
        ([code("raise ValueError('no')")], "ValueError: no"),
        ([record_cell(DATASET | {"name": "bundled digits", "text": "bundled"})], "bundled"),
        ([code("1")], "no record"),
    ],
    ids=["stderr", "error", "digits", "record"],
)
def test_storing_refuses(tmp_path, capsys, cells, message):
    path = write(tmp_path / "01_stub.ipynb", *cells)
    before = path.read_bytes()
    assert store.main([str(path)]) == 1
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert path.read_bytes() == before
