"""Notebooks as files."""

import functools
import json
import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook, new_output
from support.notebooks import DATASET, code, write

from mnist_course.files import MAX_BYTES
from mnist_course.notebooks import (
    cell_name,
    find_notebooks,
    hide_paths,
    load_notebook,
    outcome_texts,
    read_notebook,
    read_outcome,
    strip_outputs,
)
from mnist_helpers.record import MIME_TYPE
from mnist_helpers.scratch import scratch_folder

RECORD = {
    "schema": 1,
    "notebook": "01_stub",
    "parameters": {},
    "digits": DATASET | {"text": "bundled digits: 9 digits (scikit-learn's copy)"},
    "metrics": {"test_accuracy": 0.98765},
    "seconds": {},
    "versions": {
        "python": "3.13.0",
        "keras": None,
        "backend": None,
        "backend_version": None,
        "numpy": "2.3.0",
        "mnist_helpers": "1.0.0",
    },
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with two notebooks in its ``notebooks/``, where this process then is."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "notebooks" / "01_stub.ipynb")
    write(tmp_path / "notebooks" / "02_stub.ipynb")
    return tmp_path


# --- finding and reading -----------------------------------------------------------------------


def test_a_name_is_looked_for_here_then_in_notebooks_then_in_the_project(here):
    (path,) = find_notebooks(["01_dense_network"])
    assert path.is_absolute() and path.parent.name == "notebooks"
    assert find_notebooks(["01_stub"]) == [Path("notebooks", "01_stub.ipynb")]
    write(here / "01_stub.ipynb")
    assert find_notebooks(["01_stub"]) == [Path("01_stub.ipynb")]


def test_without_names_all_numbered_notebooks_are_meant(here):
    (here / "notebooks" / "notes.ipynb").write_text("never read")
    assert [path.stem for path in find_notebooks([])] == ["01_stub", "02_stub"]


def test_a_path_is_taken_as_it_is(here):
    path = write(here / "elsewhere" / "plain.ipynb")
    assert find_notebooks([path, "02_stub"]) == [path, Path("notebooks", "02_stub.ipynb")]


def test_what_is_not_there_is_told(here):
    with pytest.raises(FileNotFoundError) as error:
        find_notebooks(["01_stub", "03_none", "here.ipynb"])
    assert str(error.value) == (
        "there is no notebook 03_none or here.ipynb; notebooks/ here has: 01_stub, 02_stub"
    )


def test_no_notebooks_at_all_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="no notebook to run; notebooks/ here has: none"):
        find_notebooks([])


def test_a_complete_program_becomes_prose(tmp_path):
    program = code("print('two trainings')", "complete-program", "whole")
    path = write(tmp_path / "01_stub.ipynb", program, code("1 + 1"))
    cells = read_notebook(path).cells
    assert cells[2].cell_type == "markdown"
    assert cells[2].source == "````python\nprint('two trainings')\n````"
    assert (cells[2].id, cells[2].metadata) == (program.id, program.metadata)
    assert cells[3].cell_type == "code"


def notebook_text(**changes):
    """Return the JSON of a notebook with one cell, in which some keys have another value."""
    cell = {"cell_type": "code", "source": "1", "outputs": [], "metadata": {}}
    cell |= {"execution_count": None, "id": "a"}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    for key, value in changes.items():
        if key in notebook:
            notebook[key] = value
        else:
            cell[key] = value
    return json.dumps(notebook)


DEEP = functools.reduce(lambda inner, _: [inner], range(150), 5)
BAD_FILES = {
    "it is no text in UTF-8 (byte 1)": b"{\xff}",
    "it is no text in UTF-8 (byte 0)": notebook_text().encode("utf-16"),
    "it is no JSON (Expecting": b"{",
    "it is no JSON (Exceeds the limit": b"9" * 5000,
    "it holds more than there is room for": b"[" * 100_000,
    "it is no notebook: get it again": b"null",
    "it is no notebook: get": b"[]",
    "it is no notebook: ": b"5",
    "it is no notebook": b"{}",
    "it is of an old notebook format (3): open it": notebook_text(nbformat=3),
    "it is of notebook format 5, and 4 is": notebook_text(nbformat=5),
    "it has no list of cells": notebook_text(cells=None),
    "its cell 1 is not of the type code": notebook_text(cells=[{"source": "1"}]),
    "it has 10,001 cells": notebook_text(cells=[5] * 10_001),
    "its cell 1 is not of the type code or": notebook_text(cells=[5]),
    "its cell 1 is not of the type": notebook_text(cell_type="heading"),
    "its cell 1 has a source that is no": notebook_text(source=5),
    "its cell 1 has a source": notebook_text(source=["1", None]),
    "its cell 1 has a source that": notebook_text(source={"a": "b"}),
    "it holds more than 100 lists in each other": notebook_text(metadata={"a": DEEP}),
    "it holds half a character": notebook_text(source="'\ud800'"),
    "it holds half a character, a lone": notebook_text(metadata={"\udfff": 1}),
    "it is no valid notebook ('x' is not of type 'integer'": notebook_text(execution_count="x"),
    "it is no valid notebook": notebook_text(metadata={"kernelspec": 5}),
}


@pytest.mark.parametrize("reason", BAD_FILES)
def test_a_file_that_is_no_notebook_is_told_in_one_line(tmp_path, reason):
    path = tmp_path / "01_bad.ipynb"
    content = BAD_FILES[reason]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError) as caught:
        load_notebook(path)
    message = str(caught.value)
    assert message.startswith(f"{path} cannot be read: {reason}")
    # The cause, and after it the cure.
    assert "\n" not in message and ": " in message.partition(reason[:5])[2]
    assert read_outcome(path)["seconds"] is None


def test_what_is_no_file_is_told_at_once(tmp_path, here):
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "01_pipe.ipynb")
        (path,) = find_notebooks([tmp_path / "01_pipe.ipynb"])
        with pytest.raises(OSError, match="01_pipe.ipynb cannot be read .it is a pipe"):
            read_notebook(path)
    (tmp_path / "01_folder.ipynb").mkdir()
    (path,) = find_notebooks([tmp_path / "01_folder.ipynb"])
    with pytest.raises(OSError, match="01_folder.ipynb cannot be read .it is a folder"):
        read_notebook(path)
    with pytest.raises(FileNotFoundError, match="there is no notebook .*01_none.ipynb"):
        read_notebook(tmp_path / "01_none.ipynb")


@pytest.mark.filterwarnings("error")
def test_cells_without_ids_or_with_the_same_are_mended_without_a_word(tmp_path):
    cell = json.loads(notebook_text())["cells"][0]
    path = tmp_path / "01.ipynb"
    path.write_text(notebook_text(cells=[cell, cell, cell | {"id": "b"}]))
    ids = [cell.id for cell in load_notebook(path).cells]
    assert len(set(ids)) == 3 and ids[2] == "b"


# --- cells -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        (["check", "nbval-ignore-output", "fit"], "fit"),
        (["raises-exception", "fit", "plot"], "fit"),
        (["parameters"], "cell 3"),
        ([], "cell 3"),
    ],
)
def test_a_cell_is_named_by_its_first_tag_that_is_not_for_tools(tags, name):
    assert cell_name(code("1 + 1", *tags), 3) == name


def test_outputs_and_execution_counts_are_taken_out():
    executed = code("print(1)", "fit")
    executed.outputs = [new_output("stream", text="1\n")]
    executed.execution_count = 3
    notebook = new_notebook(cells=[new_markdown_cell("# Title"), executed])
    strip_outputs(notebook)
    assert (executed.outputs, executed.execution_count) == ([], None)
    assert executed.source == "print(1)" and executed.metadata == {"tags": ["fit"]}
    nbformat.validate(notebook)


# --- paths -------------------------------------------------------------------------------------


@pytest.fixture
def home(monkeypatch):
    """A home directory; the real one may lie in the folder for temporary files."""
    monkeypatch.setattr(os.path, "expanduser", lambda path: path.replace("~", "/srv/ann"))
    return "/srv/ann"


def test_paths_are_hidden_only_where_they_end(home):
    assert hide_paths(f"{home}/a {home}s {home}") == f"~/a {home}s ~"


def test_the_folder_of_a_run_is_hidden_before_the_folder_it_lies_in(home):
    assert hide_paths(f"{home}/run/a {home}/b", f"{home}/run") == "./a ~/b"
    assert hide_paths(f"{Path.cwd()}/a") == "./a"


def test_texts_within_lists_and_dicts_are_replaced_but_pictures_are_not(home):
    outputs = [{"data": {"text/plain": home, "image/png": home}, "count": 3, "none": None}]
    assert hide_paths(outputs) == [
        {"data": {"text/plain": "~", "image/png": home}, "count": 3, "none": None}
    ]
    assert hide_paths([{"text": f"{sys.prefix}/lib"}]) != [{"text": f"{sys.prefix}/lib"}]


# --- outcomes ----------------------------------------------------------------------------------


def write_executed(path, record, **outcome):
    cell = code("record_run()")
    cell.outputs = [new_output("display_data", {MIME_TYPE: record})]
    metadata = {"mnist_helpers": outcome} if outcome else {}
    nbformat.write(new_notebook(cells=[cell], metadata=metadata), path)
    return path


def test_an_outcome_is_read_from_an_executed_notebook(tmp_path):
    outcome = {"seconds": 1.5, "cell": None, "error": None, "started": True}
    path = write_executed(tmp_path / "01_stub.ipynb", RECORD, **outcome)
    assert read_outcome(path) == {"notebook": "01_stub", "record": RECORD, **outcome}


def test_a_record_that_is_not_valid_is_passed_over(tmp_path):
    outcome = {"seconds": 1.5, "cell": "record", "error": "no record", "started": True}
    path = write_executed(tmp_path / "01_stub.ipynb", RECORD | {"schema": 2}, **outcome)
    assert read_outcome(path) == {"notebook": "01_stub", "record": None, **outcome}


def test_a_run_that_was_cut_short_has_no_seconds(tmp_path):
    interrupted = write_executed(tmp_path / "01_interrupted.ipynb", RECORD)
    assert read_outcome(interrupted)["seconds"] is None
    (tmp_path / "02_cut.ipynb").write_text('{"cells": [')
    outcome = read_outcome(tmp_path / "02_cut.ipynb")
    assert outcome == dict.fromkeys(outcome) | {"notebook": "02_cut"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "[" * 100_000,
        '{"nbformat": 9, "nbformat_minor": 0, "metadata": {}, "cells": []}',
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": null}',
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {"mnist_helpers": 5}, "cells": []}',
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {"mnist_helpers": {"seconds": "x"}},'
        ' "cells": []}',
    ],
)
def test_a_file_of_somebody_elses_is_no_outcome(tmp_path, text):
    path = tmp_path / "01.ipynb"
    path.write_text(text)
    outcome = read_outcome(path)
    assert outcome == dict.fromkeys(outcome) | {"notebook": "01"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_nobody_waits_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "01.ipynb")
    assert read_outcome(tmp_path / "01.ipynb")["seconds"] is None


@pytest.mark.parametrize(
    ("record", "cell", "error", "result", "digits"),
    [
        (RECORD, None, None, "test accuracy 0.9877", "bundled digits: 9 digits"),
        (RECORD, "fit", "E: no", "FAILED in fit: E: no", "bundled digits: 9 digits"),
        (None, None, "E: no", "FAILED: E: no", "not recorded"),
    ],
)
def test_an_outcome_becomes_four_texts(record, cell, error, result, digits):
    outcome = {"notebook": "01", "record": record, "seconds": 1.25, "cell": cell, "error": error}
    assert outcome_texts(outcome) == ["01", "1.2", result, digits]


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "01_large.ipynb"
    with path.open("wb") as file:
        # It takes no room on the disk.
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(
        OSError, match="01_large.ipynb cannot be read .it has more than 100,000,000"
    ):
        read_notebook(path)
    assert read_outcome(path)["seconds"] is None


def test_a_byte_order_mark_is_passed_over(tmp_path):
    path = tmp_path / "01_marked.ipynb"
    path.write_bytes(b"\xef\xbb\xbf" + nbformat.writes(new_notebook()).encode())
    assert read_notebook(path).cells == []


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such files")
def test_a_pipe_is_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "01_pipe.ipynb")
    with pytest.raises(OSError, match="01_pipe.ipynb cannot be read .it is a pipe, a socket"):
        read_notebook(tmp_path / "01_pipe.ipynb")


def test_a_kernels_own_temporary_folder_is_hidden_whatever_its_name():
    with scratch_folder() as folder:
        text = f"{folder / 'tmp'} and {folder / 'tmp' / 'a.png'} and {folder.parent / 'b.png'}"
        assert hide_paths(text) == "tmp and tmp/a.png and tmp/b.png"


def test_a_user_without_a_home_has_no_home_to_hide(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert hide_paths("~ and /srv/ann") == "~ and /srv/ann"
