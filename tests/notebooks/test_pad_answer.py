"""The function of notebook 05 that answers the pad has an answer to every drawing."""

import re

import nbformat
import numpy as np
import pytest
from support.drawings import EMPTY, SEVEN, draw_lines
from support.project import ROOT

DRAWINGS = {
    "a digit": (SEVEN, True),
    "an empty page": (EMPTY, False),
    # It counts as paper: there is ink, and none of a digit.
    "a stroke along three borders": (draw_lines((6, 0, 6, 279), width=24), False),
    "a faint dot": (np.where(np.arange(280 * 280) == 9, 254, 255).reshape(280, 280), False),
}


class Strip:
    """Stands in for the display that shows the steps."""

    def __init__(self):
        self.updates = 0

    def update(self, picture, **options):
        self.updates += 1


@pytest.mark.slow
def test_every_drawing_is_answered():
    namespace = {"strip": Strip()}
    notebook = nbformat.read(ROOT / "notebooks" / "05_your_own_digits.ipynb", as_version=4)
    for cell in notebook.cells:
        source = cell.source
        if "from mnist_helpers.pad import" in source:
            exec(source, namespace)
        if "def answer(image)" in source:
            exec(source[: source.index("pad = DigitPad()")], namespace)
    for name, (drawing, has_steps) in DRAWINGS.items():
        before = namespace["strip"].updates
        answer = namespace["answer"](drawing.astype("uint8"))
        assert re.fullmatch(r"(no digit|\d) \(\d+\.\d %\)", answer), name
        assert namespace["strip"].updates - before == int(has_steps), name
