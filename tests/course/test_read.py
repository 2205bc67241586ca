"""The command `read`: lines, JSON, the picture that explains, and what cannot be read."""

import json
import subprocess
import sys

import pytest
from PIL import Image
from support.drawings import FOUR, write_pictures

from mnist_course.__main__ import main
from mnist_helpers.reading import in_words, read_digits


@pytest.fixture
def pictures(tmp_path):
    write_pictures(tmp_path)
    return tmp_path


def test_the_command_prints_a_line_for_each_picture(pictures, capsys):
    paths = [str(pictures / f"{name}.png") for name in ("seven", "letter", "empty")]
    assert main(["read", *paths]) == 0
    lines = capsys.readouterr().out.splitlines()
    # letter.png is the longest of the names: the others are filled up to its length.
    width = len(paths[1])
    answers = read_digits(paths)
    for line, path, answer in zip(lines, paths, answers, strict=True):
        assert line == f"{path:<{width}}  {in_words(answer)}"
    assert in_words(answers[0]).startswith("7 (")
    assert in_words(answers[1]).startswith("no digit (")


def test_a_bad_picture_is_told_and_the_others_are_read(pictures, capsys):
    paths = [str(pictures / f"{name}.png") for name in ("text", "missing", "four")]
    assert main(["read", *paths]) == 1
    printed = capsys.readouterr()
    (answer,) = read_digits([FOUR])
    width = len(paths[1])
    assert printed.out.splitlines() == [f"{paths[2]:<{width}}  {in_words(answer)}"]
    first, second = printed.err.splitlines()
    assert first.startswith(f"mnist-course: {paths[0]}: ")
    assert second.startswith(f"mnist-course: {paths[1]}: ")


def test_the_command_writes_json(pictures, capsys):
    paths = [str(pictures / f"{name}.png") for name in ("seven", "text", "empty")]
    assert main(["read", "--json", *paths]) == 1
    seven, text, empty = json.loads(capsys.readouterr().out)
    assert [row["picture"] for row in (seven, text, empty)] == paths
    assert seven["digit"] == 7
    assert seven["error"] is None
    assert 0 < seven["confidence"] <= 1
    assert len(seven["probabilities"]) == 11
    assert seven["runner_up"] in [*range(10), None]
    assert set(text) == {"picture", "error"}
    assert text["error"]
    assert empty["digit"] is None


def test_the_command_explains(pictures, capsys):
    paths = [str(pictures / f"{name}.png") for name in ("seven", "four", "empty")]
    out = pictures / "strip.png"
    assert main(["read", *paths, "--explain", str(out)]) == 0
    with Image.open(out) as strip:
        # Two rows.
        assert strip.width > 3 * strip.height / 2
        assert strip.height > 300
    assert "empty.png shows no ink" in capsys.readouterr().err


def test_only_so_many_pictures_are_explained(pictures, capsys):
    paths = 31 * [str(pictures / "seven.png")]
    out = pictures / "strip.png"
    assert main(["read", *paths, "--explain", str(out)]) == 2
    assert "at most 30 pictures; received 31" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_says_nothing_on_stderr_in_a_process_of_its_own(pictures):
    command = [sys.executable, "-m", "mnist_course", "read", "seven.png"]
    done = subprocess.run(command, cwd=pictures, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("seven.png  7 (")
