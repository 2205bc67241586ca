"""The pad without a browser: what the kernel does with a drawing, and what stands in its place."""

import re

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from mnist_course.pages import export_page
from mnist_course.store import normalize
from mnist_helpers import pad as pad_module
from mnist_helpers.pad import HINT, SIZE, DigitPad

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def sent(monkeypatch):
    """Return what pads send to their pages, in order."""
    sent = []

    def send(self, content, buffers=None):
        sent.append(content)

    monkeypatch.setattr(DigitPad, "send", send)
    return sent


def submit(pad, drawing):
    """Bring `drawing` to the pad as a page's message does."""
    pad._handle_custom_msg({}, [memoryview(drawing.tobytes())])


def a_drawing():
    drawing = np.full((SIZE, SIZE), 255, np.uint8)
    drawing[40:240, 130:150] = 0
    drawing[0, -1] = 7
    return drawing


def test_a_drawing_arrives_as_it_was_drawn(sent):
    pad = DigitPad()
    assert pad.image is None
    submit(pad, a_drawing())
    assert pad.image.dtype == np.uint8
    np.testing.assert_array_equal(pad.image, a_drawing())
    assert sent == [{"answer": "The drawing has arrived: it is in the pad's `image`."}]


def test_the_image_is_a_copy(sent):
    received = []
    pad = DigitPad()
    pad.on_submit(received.append)
    submit(pad, a_drawing())
    received[0][:] = 1
    pad.image[:] = 1
    np.testing.assert_array_equal(pad.image, a_drawing())


def test_the_last_function_answers(sent):
    pad = DigitPad()
    pad.on_submit(lambda image: "never")
    pad.on_submit(lambda image: f"{(image < 128).sum()} pixels")
    submit(pad, a_drawing())
    pad.on_submit(lambda image: 7)
    submit(pad, a_drawing())
    assert sent == [{"answer": "4001 pixels"}, {"answer": "7"}]


def test_a_failure_is_told_and_the_next_drawing_is_answered(sent):
    def refuse(image):
        raise ValueError("the picture is empty")

    pad = DigitPad()
    pad.on_submit(refuse)
    submit(pad, a_drawing())
    pad.on_submit(lambda image: "read")
    submit(pad, a_drawing())
    complaint = "This did not work. ValueError: the picture is empty"
    assert sent == [{"answer": complaint}, {"answer": "read"}]


def test_what_is_no_drawing_changes_nothing(sent):
    pad = DigitPad()
    submit(pad, a_drawing())
    submit(pad, a_drawing()[1:])
    pad._handle_custom_msg({}, [])
    np.testing.assert_array_equal(pad.image, a_drawing())
    _, too_short, without_buffer = sent
    assert too_short["answer"].startswith("This did not work. ValueError:")
    assert without_buffer["answer"].startswith("This did not work. IndexError:")


def test_what_cannot_answer_is_refused():
    with pytest.raises(TypeError, match="must take a drawing and return a text; got 'seven'"):
        DigitPad().on_submit("seven")


def test_clear_empties_the_page_and_keeps_the_image(sent):
    pad = DigitPad()
    submit(pad, a_drawing())
    pad.clear()
    assert sent[-1] == {"clear": True}
    assert pad.image is not None


def test_a_sentence_stands_in_the_place_of_the_pad():
    data, _ = DisplayFormatter().format(DigitPad())
    assert set(data) == {"text/plain", WIDGET}
    assert data["text/plain"] == HINT
    assert "JupyterLab" in HINT


def test_a_stored_notebook_and_its_page_have_the_sentence_only(tmp_path):
    source = f"from {pad_module.__name__} import DigitPad\npad = DigitPad()\npad"
    notebook = new_notebook(cells=[new_code_cell(source)])
    NotebookClient(notebook, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert set(output.data) == {"text/plain", WIDGET}
    assert "widgets" in notebook.metadata
    (output,) = normalize(notebook).cells[0].outputs
    assert output.data == {"text/plain": HINT}
    outcome = {"notebook": "run", "record": None, "seconds": None, "cell": None, "error": None}
    export_page(notebook, outcome, tmp_path / "run.html")
    page = (tmp_path / "run.html").read_text(encoding="utf-8")
    body = page[page.index("<body") :]
    assert HINT in body
    assert "<canvas" not in body
    assert "<script" not in body


def test_the_page_and_the_kernel_agree_on_the_size():
    script = str(DigitPad._esm)
    assert re.findall(r"const SIZE = (\d+);", script) == [str(SIZE)]


def test_the_pad_loads_nothing_from_elsewhere():
    loading = r"//\w|\bimport\b|\bfetch\b|\burl\(|innerHTML|\beval\b"
    for text in (str(DigitPad._esm), str(DigitPad._css)):
        assert re.findall(loading, text) == []
