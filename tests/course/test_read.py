"""The command `read`: lines, JSON, the picture that explains, and what cannot be read."""

import json
import os
import re
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


ODD_NAMES = ["a$b$.png", "$_^{\\frac$.png", "l" * 250 + ".png", "数字.png", "-7.png"]
NOT_UTF8 = os.fsdecode(b"\xff\xfe.png")


@pytest.fixture
def odd_names(pictures, monkeypatch):
    """Return names of pictures in the current folder, in none of which a figure finds its end."""
    monkeypatch.chdir(pictures)
    names = [*ODD_NAMES, "two\nlines\x1b[31m.png"]
    # Windows and macOS have no such names.
    if sys.platform == "linux":
        names.append(NOT_UTF8)
    for name in names:
        os.link("seven.png", name)
    return names


def test_odd_names_are_printed_as_escapes_and_the_others_are_read(odd_names, capsys):
    assert main(["read", "--", *odd_names, "no\x1b[31m\udcff.png", "four.png"]) == 1
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert len(lines) == len(odd_names) + 1
    assert lines[0].startswith("a$b$.png ")
    assert lines[5].startswith(r"two\nlines\x1b[31m.png ")
    if NOT_UTF8 in odd_names:
        assert lines[6].startswith(r"\xff\xfe.png ")
    assert lines[-1].split()[:2] == ["four.png", "4"]
    for line in lines[:-1]:
        assert "  7 (" in line
    expected = "mnist-course: no\\x1b[31m\\xff.png: No such file or directory\n"
    assert printed.err == expected


def test_json_has_the_names_as_they_are(odd_names, capsys):
    assert main(["read", "--json", "--", *odd_names]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert [row["picture"] for row in json.loads(out)] == odd_names


def test_odd_names_are_drawn_in_the_figure(odd_names, pictures, capsys):
    assert main(["read", "--explain", "new/strip.svg", "--", *odd_names]) == 0
    assert capsys.readouterr().err == "mnist-course: new/strip.svg is drawn\n"
    # In an SVG, each text is also a comment.
    drawn = (pictures / "new" / "strip.svg").read_text(encoding="utf-8")
    for text in ("a$b$.png", r"$_^{\frac$.png", "l" * 23 + "…", r"two\nlines\x1b[31m.png"):
        assert f"<!-- {text} -->" in drawn


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("", "name ends in .png, .* received ''"),
        ("strip", "name ends in .png, .* received 'strip'"),
        ("strip.doc", "name ends in .png, .* received 'strip.doc'"),
        ("/dev/null", "name ends in .png, "),
        ("folder.png", "a folder, a pipe or a device"),
        ("pipe.png", "a folder, a pipe or a device"),
        ("seven.png", "would overwrite the picture seven.png"),
        ("./link.png", "would overwrite the picture ./link.png"),
        ("dangling.png", "dangling.png is a link to nothing: remove it"),
        ("text.png/strip.png", "text.png/strip.png cannot be written, because text.png is no fol"),
        ("text.png/a/strip.png", "text.png/a/strip.png cannot be written, because text.png is no"),
    ],
)
def test_a_figure_that_cannot_be_drawn_there_changes_nothing(
    out, reason, pictures, monkeypatch, capsys
):
    monkeypatch.chdir(pictures)
    os.mkdir("folder.png")
    os.mkfifo("pipe.png")
    os.link("seven.png", "link.png")
    os.symlink("nothing.png", "dangling.png")
    before = {path: path.lstat().st_mtime_ns for path in pictures.iterdir()}
    assert main(["read", "seven.png", f"--explain={out}"]) == 2
    printed = capsys.readouterr()
    assert re.search(reason, printed.err)
    # It is told before the work.
    assert printed.out == ""
    assert {path: path.lstat().st_mtime_ns for path in pictures.iterdir()} == before


def test_a_figure_is_written_whole_or_not_at_all(pictures, monkeypatch, capsys):
    from matplotlib.figure import Figure

    def fail(self, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Figure, "savefig", fail)
    out = pictures / "strip.png"
    out.write_bytes(b"before")
    assert main(["read", str(pictures / "seven.png"), "--explain", str(out)]) == 2
    printed = capsys.readouterr()
    assert printed.err == f"mnist-course: {out} cannot be written: No space left on device\n"
    assert " 7 (" in printed.out
    assert out.read_bytes() == b"before"


def test_one_picture_named_twice_is_told_twice_and_drawn_once(pictures, capsys):
    paths = 2 * [str(pictures / "seven.png")]
    out = pictures / "strip.png"
    assert main(["read", *paths, "--explain", str(out)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    with Image.open(out) as strip:
        assert strip.height < 300


def test_what_is_no_file_is_named_and_the_others_are_read(pictures, monkeypatch, capsys):
    monkeypatch.chdir(pictures)
    os.mkfifo("pipe.png")
    assert main(["read", "pipe.png", "/dev/zero", ".", "seven.png"]) == 1
    printed = capsys.readouterr()
    assert printed.out.split()[:2] == ["seven.png", "7"]
    assert len(printed.err.splitlines()) == 3


@pytest.mark.slow
def test_the_command_says_nothing_on_stderr_in_a_process_of_its_own(pictures):
    command = [sys.executable, "-m", "mnist_course", "read", "seven.png"]
    done = subprocess.run(command, cwd=pictures, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("seven.png  7 (")
