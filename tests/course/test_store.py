"""Storing the outputs of notebooks."""

import json
import os
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook, new_output
from support.notebooks import DATASET, code, record_cell, write

from mnist_course import store

WIDGET = "application/vnd.jupyter.widget-view+json"
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def executed_notebook():
    cell = code("x", "a-name")
    cell.metadata |= {"papermill": {"duration": 1}, "execution": {"iopub": "t"}, "kept": 1}
    data = {
        WIDGET: {"model_id": "1"},
        "text/plain": f"{Path.cwd()}/z",
        "image/png": f"{Path.home()}/",
    }
    cell.outputs = [
        new_output("stream", text="a\n"),
        new_output("stream", text=f"{Path.home()}/b\n"),
        new_output("stream", name="stderr", text="c"),
        new_output("stream", text="/run/x/y"),
        new_output("display_data", data),
    ]
    metadata = {
        "widgets": {},
        "papermill": {},
        "mnist_helpers": {},
        "title": "T",
        "language_info": {"name": "python", "version": "3.11.1"},
    }
    return new_notebook(cells=[new_markdown_cell("b"), cell], metadata=metadata)


def test_normalizing_takes_out_what_differs_in_metadata():
    notebook = executed_notebook()
    result = store.normalize(notebook)
    language = {"name": "python"}
    expected = {"title": "T", "language_info": language, "kernelspec": KERNELSPEC}
    assert result.metadata == expected
    assert result.cells[1].metadata == {"tags": ["a-name"], "kept": 1}
    assert [cell.id for cell in result.cells] == [cell.id for cell in notebook.cells]
    assert result.nbformat_minor == 5


def test_normalizing_joins_streams_hides_paths_and_drops_widgets():
    notebook = executed_notebook()
    *streams, figure = store.normalize(notebook, "/run/x").cells[1].outputs
    texts = [(stream.name, stream.text) for stream in streams]
    assert texts == [("stdout", "a\n~/b\n"), ("stderr", "c"), ("stdout", "./y")]
    data = {"text/plain": "./z", "image/png": f"{Path.home()}/"}
    assert figure == {"output_type": "display_data", "metadata": {}, "data": data}


def test_normalizing_leaves_its_notebook_alone_and_is_done_once():
    notebook = executed_notebook()
    before = json.dumps(notebook)
    result = store.normalize(notebook)
    assert json.dumps(notebook) == before
    assert store.normalize(result) == result


def source_of(cell):
    return cell.id, cell.source, cell.metadata


@pytest.mark.slow
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
    text = path.read_text()
    after = nbformat.read(path, as_version=4)
    assert [source_of(cell) for cell in after.cells] == [source_of(cell) for cell in before.cells]
    assert after.cells[2].outputs[0].text == "mnist .\n~\n"
    assert [cell.get("execution_count") for cell in after.cells] == [None, 1, 2, 3]
    assert text.startswith('{\n "cells"') and text.endswith("}\n") and str(tmp_path) not in text
    assert [p.name for p in tmp_path.iterdir()] == ["01_stub.ipynb"]
    assert os.environ.get("MNIST_HELPERS_DATA") is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([code("import sys\nprint('x', file=sys.stderr)", "noisy"), record_cell()], "noisy"),
        ([code("raise ValueError('no')", "fit")], "ValueError: no in fit"),
        ([record_cell(DATASET | {"name": "bundled digits", "text": "bundled"})], "bundled"),
    ],
    ids=["stderr", "error", "digits"],
)
def test_storing_refuses(tmp_path, capsys, cells, message):
    path = write(tmp_path / "01_stub.ipynb", *cells)
    before = path.read_bytes()
    assert store.main([str(path)]) == 1
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert path.read_bytes() == before


def test_a_notebook_that_is_not_there_is_told(capsys):
    assert store.main(["03_none"]) == 2
    assert "there is no notebook 03_none" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such files")
@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]", b"null"])
def test_a_file_that_is_no_notebook_is_told_in_one_line(tmp_path, capsys, content):
    (tmp_path / "01_bad.ipynb").write_bytes(content)
    assert store.main([str(tmp_path / "01_bad.ipynb")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("01_bad is not stored: ") and "01_bad.ipynb cannot be read: " in line
