"""Pictures are read in order, alone or together; the answers in words and as a figure."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image
from support.drawings import EMPTY, FOUR, LETTER, SEVEN, write_pictures

from mnist_helpers.drawing import prepare_drawing
from mnist_helpers.reading import (
    Prediction,
    in_words,
    plot_reading,
    prepare_or_blank,
    read_digits,
    read_inputs,
)


@pytest.fixture
def pictures(tmp_path):
    write_pictures(tmp_path)
    return tmp_path


def test_each_picture_gets_one_answer_in_order(pictures):
    path = pictures / "four.png"
    kinds = [SEVEN, str(path), path, path.read_bytes(), Image.open(path), LETTER, EMPTY]
    answers = read_digits(kinds)
    assert [answer.digit for answer in answers] == [7, 4, 4, 4, 4, None, None]
    assert answers[0].confidence > 0.9


def test_the_confidence_is_the_largest_probability():
    meanings = [*range(10), None]
    for answer in read_digits([SEVEN, LETTER, EMPTY]):
        assert isinstance(answer, Prediction)
        assert answer.probabilities.shape == (11,)
        assert answer.probabilities.sum() == pytest.approx(1, abs=1e-4)
        first, second = np.argsort(-answer.probabilities)[:2]
        assert answer.confidence == pytest.approx(answer.probabilities[first])
        assert answer.digit == meanings[first]
        assert answer.runner_up == meanings[second]


def test_no_pictures_get_no_answers():
    assert read_digits([]) == []


def test_a_reading_does_not_depend_on_its_neighbors():
    seven = prepare_drawing(SEVEN)
    four = prepare_drawing(FOUR)
    # More than fit into one batch.
    together = read_inputs([seven, four] * 150)
    (alone,) = read_inputs([four])
    assert [answer.digit for answer in together] == [7, 4] * 150
    for answer in together[1::2]:
        np.testing.assert_allclose(answer.probabilities, alone.probabilities, atol=1e-5)


def test_one_bad_picture_is_named_and_no_answer_invented(pictures):
    with pytest.raises(ValueError, match=r"^`pictures\[1\]`: .* received: something else"):
        read_digits([SEVEN, pictures / "text.png"])
    with pytest.raises(FileNotFoundError, match="missing.png"):
        read_digits([pictures / "missing.png"])


def test_inputs_are_read_as_they_are():
    prepared = prepare_drawing(SEVEN)
    (answer,) = read_inputs([prepared])
    (expected,) = read_digits([SEVEN])
    np.testing.assert_allclose(answer.probabilities, expected.probabilities, atol=1e-5)
    assert read_inputs([np.zeros((28, 28), "float32")])[0].digit is None
    with pytest.raises(ValueError, match="28"):
        read_inputs(np.zeros((3, 27, 28), "float32"))


def test_an_empty_page_is_prepared_without_ink_and_without_steps():
    x, steps = prepare_or_blank(EMPTY, steps=True)
    np.testing.assert_array_equal(x, np.zeros((28, 28), "float32"))
    np.testing.assert_array_equal(prepare_or_blank(EMPTY), x)
    assert steps == {}


def test_the_strip_shows_every_step_and_all_probabilities():
    _, steps = prepare_drawing(SEVEN, steps=True)
    (answer,) = read_digits([SEVEN])
    axes = plot_reading(steps, answer)
    strip = axes[:-1]
    bars = axes[-1]
    assert [ax.get_title() for ax in strip] == list(steps)
    for ax, picture in zip(strip, steps.values(), strict=True):
        (image,) = ax.images
        np.testing.assert_array_equal(image.get_array(), picture)
        assert image.get_clim() == (0, 1)
    heights = [bar.get_height() for bar in bars.patches]
    np.testing.assert_allclose(heights, answer.probabilities)
    assert [tick.get_text() for tick in bars.get_xticklabels()] == [*"0123456789", "none"]
    assert bars.get_title() == in_words(answer)
    plt.close("all")


def test_a_reading_in_words():
    assert in_words(Prediction(7, 0.998, 1, None)) == "7 (99.8 %)"
    assert in_words(Prediction(None, 0.5, 0, None)) == "no digit (50.0 %)"
