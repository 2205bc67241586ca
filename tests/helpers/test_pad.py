"""The pad without a browser: what the kernel does with a drawing, and what stands in its place."""

import json
import re

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.formatters import DisplayFormatter
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from mnist_course.pages import export_page
from mnist_course.store import normalize
from mnist_helpers import pad as pad_module
from mnist_helpers.drawing import NoInkError, find_digits, prepare_drawing
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


class WithoutTextError(Exception):
    """An error whose own text fails."""

    def __str__(self):
        raise RuntimeError("no text")


class WithoutText:
    """An answer that is no text, and cannot be made one."""

    def __str__(self):
        raise WithoutTextError


def fail_with(error):
    def function(image):
        raise error

    return function


ODD_ANSWERS = {
    "an error without a text": (fail_with(WithoutTextError()), "work. WithoutTextError, whose own"),
    "an answer without a text": (lambda image: WithoutText(), "work. WithoutTextError, whose own"),
    "exit": (fail_with(SystemExit("bye")), "This did not work. SystemExit: bye"),
    "an interrupt": (fail_with(KeyboardInterrupt()), "This did not work. KeyboardInterrupt: "),
    "half a character": (lambda image: "a\ud800b", r"a\ud800b"),
    "control characters": (lambda image: "a\x1b[31m\0\u202eb", r"a\x1b[31m\x00\u202eb"),
    "lines": (lambda image: "7\n\té", "7\n\té"),
}


@pytest.mark.parametrize(("function", "answer"), ODD_ANSWERS.values(), ids=ODD_ANSWERS)
def test_whatever_a_function_does_there_is_an_answer_to_read(sent, function, answer):
    pad = DigitPad()
    pad.on_submit(function)
    submit(pad, a_drawing())
    (message,) = sent
    assert answer in message["answer"]
    # As it goes to the page.
    json.dumps(message, ensure_ascii=False).encode()


@pytest.mark.parametrize("function", [lambda image: "a" * 10**7, fail_with(OSError("a" * 10**7))])
def test_a_long_answer_is_cut(sent, function):
    pad = DigitPad()
    pad.on_submit(function)
    submit(pad, a_drawing())
    (message,) = sent
    assert len(message["answer"]) == 2002
    assert message["answer"].endswith("aaa …")


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


# --- any drawing --------------------------------------------------------------------------------

# Corners and borders, and a little beyond them: the pointer may leave the page.
PLACES = st.one_of(st.sampled_from([-10, 0, 1, 10, 140, 270, 279, 280, 290]), st.integers(0, 279))
STROKES = st.lists(st.lists(st.tuples(PLACES, PLACES), min_size=1, max_size=6), max_size=4)


def draw_strokes(strokes, width):
    page = np.full((SIZE, SIZE), 255, np.uint8)
    for stroke in strokes:
        cv2.polylines(page, [np.int32(stroke)], False, 0, width, cv2.LINE_AA)
    return page


@settings(max_examples=120, derandomize=True, database=None, deadline=None)
@given(STROKES, st.sampled_from([1, 20, 20, 280]), st.booleans())
def test_any_drawing_gives_inputs_or_shows_no_ink(strokes, width, is_light):
    page = draw_strokes(strokes, width)
    if is_light:
        page = 255 - page
    for function in (prepare_drawing, find_digits):
        try:
            x = function(page)
        except NoInkError:
            continue
        assert x.shape[-2:] == (28, 28)
        assert x.min() == 0
        assert x.max() == 1
