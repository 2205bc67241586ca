"""The command `read`, the picture that explains a reading, and the input doctor."""

import json
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image, ImageDraw

from mnist_helpers.__main__ import main
from mnist_helpers.data import load_mnist
from mnist_helpers.drawing import Reading, prepare_drawing, read_digits, read_inputs
from mnist_helpers.own_digits.diagnosis import diagnose
from mnist_helpers.own_digits.explanation import in_words, plot_reading
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


# --- read_digits -------------------------------------------------------------------------------


def test_each_picture_gets_one_answer_in_order(pictures):
    path = pictures / "four.png"
    kinds = [SEVEN, str(path), path, path.read_bytes(), Image.open(path), LETTER, EMPTY]
    answers = read_digits(kinds)
    assert [answer.digit for answer in answers] == [7, 4, 4, 4, 4, None, None]
    for answer in answers:
        assert isinstance(answer, Reading) and answer.probabilities.shape == (11,)
        assert answer.probabilities.sum() == pytest.approx(1, abs=1e-4)
        first, second = np.argsort(-answer.probabilities)[:2]
        assert answer.confidence == pytest.approx(answer.probabilities[first])
        assert (answer.digit, answer.runner_up) == tuple(
            None if index == 10 else index for index in (first, second)
        )
    assert answers[0].confidence > 0.9


def test_no_pictures_get_no_answers():
    assert read_digits([]) == []


def test_a_reading_does_not_depend_on_its_neighbours():
    together = read_digits([SEVEN, FOUR] * 150)  # more than fit into one batch
    alone = read_digits([FOUR])[0]
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
    np.testing.assert_allclose(
        answer.probabilities, read_digits([SEVEN])[0].probabilities, atol=1e-5
    )
    assert read_inputs([np.zeros((28, 28), "float32")])[0].digit is None
    with pytest.raises(ValueError, match="28"):
        read_inputs(np.zeros((3, 27, 28), "float32"))


# --- the command -------------------------------------------------------------------------------


def test_the_command_prints_a_line_for_each_picture(pictures, capsys):
    paths = [str(pictures / f"{name}.png") for name in ("seven", "letter", "empty")]
    assert main(["read", *paths]) == 0
    lines = capsys.readouterr().out.splitlines()
    expected = [in_words(answer) for answer in read_digits(paths)]
    assert lines == [
        f"{path:<{max(map(len, paths))}}  {words}"
        for path, words in zip(paths, expected, strict=True)
    ]
    assert expected[0].startswith("7 (") and expected[1].startswith("no digit (")


def test_a_bad_picture_is_told_and_the_others_are_read(pictures, capsys):
    paths = [str(pictures / f"{name}.png") for name in ("text", "missing", "four")]
    assert main(["read", *paths]) == 1
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        f"{paths[2]:<{len(paths[1])}}  {in_words(read_digits([FOUR])[0])}"
    ]
    first, second = told.err.splitlines()
    assert first.startswith(f"mnist_helpers: {paths[0]}: ")
    assert second.startswith(f"mnist_helpers: {paths[1]}: ")


def test_the_command_writes_json(pictures, capsys):
    paths = [str(pictures / f"{name}.png") for name in ("seven", "text", "empty")]
    assert main(["read", "--json", *paths]) == 1
    seven, text, empty = json.loads(capsys.readouterr().out)
    assert [row["picture"] for row in (seven, text, empty)] == paths
    assert seven["digit"] == 7 and seven["error"] is None and 0 < seven["confidence"] <= 1
    assert len(seven["probabilities"]) == 11 and seven["runner_up"] in [*range(10), None]
    assert text == {"picture": paths[1], "error": text["error"]} and text["error"]
    assert empty["digit"] is None


def test_the_command_explains(pictures, capsys):
    paths = [str(pictures / f"{name}.png") for name in ("seven", "four", "empty")]
    out = pictures / "strip.png"
    assert main(["read", *paths, "--explain", str(out)]) == 0
    with Image.open(out) as strip:
        assert strip.width > 3 * strip.height / 2 and strip.height > 300  # two rows
    assert "empty.png shows no ink" in capsys.readouterr().err
    assert main(["read", *31 * paths[:1], "--explain", str(out)]) == 2
    assert "at most 30 pictures; received 31" in capsys.readouterr().err


def test_the_command_says_nothing_on_stderr_in_a_process_of_its_own(pictures):
    command = [sys.executable, "-m", "mnist_helpers", "read", "seven.png"]
    done = subprocess.run(command, cwd=pictures, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("seven.png  7 (")


# --- the explaining picture --------------------------------------------------------------------


def test_the_strip_shows_every_step_and_all_probabilities():
    _, steps = prepare_drawing(SEVEN, steps=True)
    (answer,) = read_digits([SEVEN])
    *strip, bars = plot_reading(steps, answer)
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
    assert in_words(Reading(7, 0.998, 1, None)) == "7 (99.8 %)"
    assert in_words(Reading(None, 0.5, 0, None)) == "no digit (50.0 %)"


# --- the input doctor --------------------------------------------------------------------------

WELL = prepare_drawing(SEVEN)


def test_a_prepared_input_and_the_training_digits_are_well():
    fine = ["Nothing in it is unlike MNIST's training digits."]
    assert diagnose(WELL) == fine
    assert diagnose(WELL[None, ..., None]) == diagnose(WELL.reshape(784)) == fine
    try:
        (images, _), _ = load_mnist("mnist")
    except (OSError, ValueError) as error:
        pytest.skip(f"real MNIST is needed: {error}".splitlines()[0])
    complaints = sum(diagnose(image) != fine for image in scale_pixels(images[:1000]))
    assert complaints <= 15


@pytest.mark.parametrize(
    ("x", "words"),
    [
        ("seven.png", "no numbers"),
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
    assert words in " ".join(diagnose(x))


def test_each_fault_has_a_sentence_of_its_own():
    raw = 255 - 255 * np.roll(WELL, 4, axis=1)
    found = diagnose(np.uint8(raw))
    assert len(found) == 4  # the type, the range, dark on light, the place
    assert diagnose(np.eye(28)) != diagnose(np.eye(28)[::-1] * 0.5)
