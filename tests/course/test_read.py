"""The command `read`, the picture that explains a reading, and the input doctor."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mnist_course.__main__ import main
from mnist_helpers.reading import in_words, read_digits


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
    assert first.startswith(f"mnist-course: {paths[0]}: ")
    assert second.startswith(f"mnist-course: {paths[1]}: ")


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
    command = [sys.executable, "-m", "mnist_course", "read", "seven.png"]
    done = subprocess.run(command, cwd=pictures, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("seven.png  7 (")
