"""The input doctor finds each fault, and none in what MNIST and `prepare_drawing` give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from support.drawings import SEVEN

from mnist_helpers.diagnosis import diagnose_input
from mnist_helpers.drawing import prepare_drawing
from mnist_helpers.preprocessing import scale_pixels

WELL = prepare_drawing(SEVEN)
FINE = ["Nothing in it is unlike MNIST's training digits."]


def test_a_prepared_input_is_well_in_any_shape():
    assert diagnose_input(WELL) == FINE
    assert diagnose_input(WELL[None, ..., None]) == FINE
    assert diagnose_input(WELL.reshape(784)) == FINE


def test_the_training_digits_are_well(mnist):
    (images, _), _ = mnist
    complaints = 0
    for image in scale_pixels(images[:1000]):
        if diagnose_input(image) != FINE:
            complaints += 1
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
    sentences = diagnose_input(np.uint8(raw))
    # The type, the range, dark on light, the place.
    assert len(sentences) == 4
    assert diagnose_input(np.eye(28)) != diagnose_input(np.eye(28)[::-1] * 0.5)


ANYTHING = st.one_of(
    npst.arrays(npst.scalar_dtypes(), st.sampled_from([(28, 28), (784,), (1, 28, 28, 1), (3,)])),
    npst.arrays("float64", (28, 28), elements=st.floats(allow_nan=False, allow_infinity=False)),
    st.none(),
    st.text(),
    st.lists(st.lists(st.floats())),
    st.dictionaries(st.text(), st.none()),
)


@settings(max_examples=150, derandomize=True, database=None, deadline=None)
@given(ANYTHING)
def test_anything_gets_sentences(x):
    sentences = diagnose_input(x)
    assert sentences
    for sentence in sentences:
        assert len(sentence) > 10


@pytest.mark.parametrize("top", [1e308, np.longdouble("1e4000"), 5e-324])
def test_the_largest_and_the_least_numbers_get_sentences(top):
    x = np.zeros((28, 28), np.asarray(top).dtype)
    x[10] = top
    x[20] = -top
    assert len(diagnose_input(x)) >= 1
