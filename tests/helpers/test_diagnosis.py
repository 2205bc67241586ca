"""The command `read`, the picture that explains a reading, and the input doctor."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mnist_helpers.data import load_mnist
from mnist_helpers.diagnosis import diagnose_input
from mnist_helpers.drawing import prepare_drawing
from mnist_helpers.preprocessing import scale_pixels


def draw(*lines, size=280, width=14):
    page = Image.new("L", (size, size), 255)
    for line in lines:
        ImageDraw.Draw(page).line(line, fill=0, width=width, joint="curve")
    return np.array(page)


SEVEN = draw((70, 60, 200, 60, 120, 230))
FOUR = draw((150, 40, 80, 150, 210, 150), (165, 100, 165, 240))
LETTER = draw((60, 230, 60, 60, 140, 150, 220, 60, 220, 230))
EMPTY = draw()


@pytest.fixture
def pictures(tmp_path):
    for name, page in {"seven": SEVEN, "four": FOUR, "letter": LETTER, "empty": EMPTY}.items():
        Image.fromarray(page).save(tmp_path / f"{name}.png")
    (tmp_path / "text.png").write_text("no picture")
    return tmp_path


WELL = prepare_drawing(SEVEN)


def test_a_prepared_input_and_the_training_digits_are_well():
    fine = ["Nothing in it is unlike MNIST's training digits."]
    assert diagnose_input(WELL) == fine
    assert diagnose_input(WELL[None, ..., None]) == diagnose_input(WELL.reshape(784)) == fine
    try:
        (images, _), _ = load_mnist("mnist")
    except (OSError, ValueError) as error:
        pytest.skip(f"real MNIST is needed: {error}".splitlines()[0])
    complaints = sum(diagnose_input(image) != fine for image in scale_pixels(images[:1000]))
    assert complaints <= 15


@pytest.mark.parametrize(
    ("x", "words"),
    [
        ("seven.png", "not numbers"),
        (SEVEN, "The shape is (280, 280)"),
        (np.stack([WELL, WELL]), "The shape is (2, 28, 28)"),
        (np.where(WELL > 0.5, np.nan, WELL), "NaN"),
        (np.uint8(255 * WELL), "The type is uint8"),
        (255 * WELL, "from 0 to 255"),
        (2 * WELL - 1, "from -1 to 1"),
        (WELL / 255, "brightest pixel is 0.00"),
        (1 - WELL, "The edge is light"),
        (np.zeros((28, 28)), "nothing to read"),
        (np.pad(WELL[4:24:2, 4:24:2], 9), "pixels long; MNIST's are 20"),
        (np.roll(WELL, 4, axis=1), "column 18."),
        (np.roll(WELL, -3, axis=0), "row 10."),
        (np.where(WELL > 0.5, WELL, 0.3), "ink at the edge"),
        (np.maximum(WELL, np.pad(np.ones((20, 20)), 4)), "use a finer pen"),
        (np.pad(np.eye(20), 4)[:, ::-1] * np.eye(28)[:, ::-1], "use a broader pen"),
    ],
)
def test_what_is_wrong_is_said(x, words):
    assert words in " ".join(diagnose_input(x))


def test_each_fault_has_a_sentence_of_its_own():
    raw = 255 - 255 * np.roll(WELL, 4, axis=1)
    found = diagnose_input(np.uint8(raw))
    assert len(found) == 4  # the type, the range, dark on light, the place
    assert diagnose_input(np.eye(28)) != diagnose_input(np.eye(28)[::-1] * 0.5)
