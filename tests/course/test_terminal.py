"""What reaches a terminal from outside, and what becomes of output that cannot be written."""

import io
import os
import subprocess
import sys

import pytest

from mnist_course.terminal import guard_output, one_line, printable, shorten, table_lines

COMMAND = [sys.executable, "-P", "-m", "mnist_course"]


# --- text from outside -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("bell\a", r"bell\x07"),
        ("a\nOK    Python: fine", r"a\nOK    Python: fine"),
        ("a\rb\x7f", r"a\rb\x7f"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("gnp\u202egpj", r"gnp\u202egpj"),
        ("\u2066a\u2069", r"\u2066a\u2069"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
        # Marks of direction, a soft hyphen, an invisible times, an end of a tag, a Hangul filler.
        ("\u200ea\u200f\u061c", r"\u200ea\u200f\u061c"),
        ("a\u00ad\u2062\U000e007f\u3164", r"a\xad\u2062\U000e007f\u3164"),
        # Joiners and selectors of a variant do nothing in a name of plain letters.
        ("mnist\u200d.npz\u200c", r"mnist\u200d.npz\u200c"),
        ("a\ufe0f\U000e0100.png", r"a\ufe0f\U000e0100.png"),
        # A byte of a file's name that is no text, and half a character.
        ("caf\udce9", r"caf\xe9"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_an_escape(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "plain.png",
        "Ziffer größer",
        "七.png",
        "שלום",
        "مرحبا",
        "می‌خواهم",
        "नमस्ते",
        "👩‍🏫",
        "❤️",
        "葛\U000e0100",
        "ᠠ᠋",
        "28×28 – “x”",
        "e\u0301",
    ],
)
def test_ordinary_text_stays_in_any_script(text):
    assert printable(text) == text


def test_of_a_long_text_the_middle_is_left_out():
    assert shorten("a" * 2000) == "a" * 2000
    assert shorten("a" * 5000 + "b" * 5000) == "a" * 998 + " … " + "b" * 998


@pytest.mark.parametrize("text", ["\x1b[2J" * 10**6, "\U0010ffff\udcff" * 10**6, "x" * 10**7])
def test_a_text_from_outside_is_one_line_that_is_not_too_long(text):
    line = one_line(text)
    assert len(line) <= 500 and " … " in line and "\x1b" not in line and "\udcff" not in line


def test_a_cell_of_a_table_is_one_line_that_is_not_too_long():
    head, line = table_lines([["digits", "x"], ["a\nb\u202e" + "y" * 10**6, "z"]])
    assert line.startswith(r"a\nb\u202ey") and line.endswith("y  z") and len(line) < 600
    assert head.endswith("  x") and len(head) == len(line)


# --- streams -----------------------------------------------------------------------------------


@pytest.fixture
def stream(monkeypatch):
    """Return what makes a stream of this encoding standard output, and gives its bytes."""

    def make(encoding):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding, newline="\n"))
        return raw

    return make


@pytest.mark.parametrize("encoding", ["cp437", "ascii", "latin-1", "utf-8", "utf-16-le"])
def test_what_the_output_cannot_encode_is_an_escape(stream, encoding):
    raw = stream(encoding)
    with guard_output():
        print("28×28 \udce9 \x1b[2J")
    shown = raw.getvalue().decode(encoding)
    expected = r"28×28 \xe9 \x1b[2J"
    if encoding in ("cp437", "ascii"):
        expected = r"28\xd728 \xe9 \x1b[2J"
    assert shown == expected + "\n"


def test_a_bar_may_go_back_and_a_table_may_have_lines(stream):
    raw = stream("utf-8")
    with guard_output():
        print("a\tb\r1%\n\n2")
    assert raw.getvalue() == b"a\tb\r1%\n\n2\n"


def test_the_streams_are_as_before_afterwards(capsys):
    before = (sys.stdout, sys.stderr)
    with pytest.raises(KeyError), guard_output():
        raise KeyError
    assert (sys.stdout, sys.stderr) == before


def test_without_streams_nothing_is_printed_and_nothing_fails(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with guard_output():
        print("out", flush=True)
        print("err", file=sys.stderr)
        assert sys.stdout.isatty() is False


# --- processes ---------------------------------------------------------------------------------


def run_help(**streams):
    """Run a cheap command with these streams; return its status and what it said."""
    with subprocess.Popen([*COMMAND, "--help"], **streams) as process:
        _, messages = process.communicate()
    return process.returncode, messages


def test_a_pipe_that_was_closed_before_the_first_line_ends_it_quietly():
    reader, writer = os.pipe()
    os.close(reader)
    assert run_help(stdout=writer, stderr=subprocess.PIPE) == (141, b"")
    os.close(writer)


# It prints more than a pipe holds after its first line has been read.
PROGRAM = """\
from mnist_course.terminal import guard_output
with guard_output():
    print("first", flush=True)
    input()
    try:
        print("more" * 100_000)
    except Exception:
        print("no handler may take it for an error of its own")
"""


def test_a_pipe_that_is_closed_after_the_first_line_ends_it_quietly():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], **pipes) as process:
        assert process.stdout.readline() == b"first\n"
        process.stdout.close()
        process.stdin.write(b"\n")
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_messages_that_nobody_reads_do_not_end_the_work(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(sys, "stderr", os.fdopen(writer, "w"))
    with guard_output():
        print("a warning", file=sys.stderr, flush=True)
        print("another", file=sys.stderr, flush=True)
    sys.stderr.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
def test_a_full_disk_is_one_line_and_status_2():
    with open("/dev/full", "w") as full:
        status, messages = run_help(stdout=full, stderr=subprocess.PIPE)
        message = b"mnist-course: the output cannot be written: No space left on device\n"
        assert (status, messages) == (2, message)
        assert run_help(stdout=full, stderr=full) == (2, None)


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_from_the_start_do_no_harm(redirection):
    script = f'"$@" {redirection}'
    run = subprocess.run(["sh", "-c", script, "-", *COMMAND, "--help"], capture_output=True)
    assert (run.returncode, run.stderr) == (0, b"")


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_what_is_started_has_the_streams_that_were_closed():
    code = "import os; from mnist_course.terminal import guard_output\n"
    code += (
        "with guard_output():\n    assert all(os.get_inheritable(number) for number in (0, 1, 2))"
    )
    script = '"$@" <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", script, "-", sys.executable, "-c", code]).returncode == 0


def test_a_stream_that_is_closed_is_no_place_for_the_next_file(tmp_path):
    code = "import sys; from mnist_course.terminal import guard_output\n"
    code += "with guard_output():\n    file = open(sys.argv[1], 'w')\n    assert file.fileno() > 2"
    script = '"$@" <&- >&- 2>&-'
    command = [sys.executable, "-c", code, tmp_path / "a"]
    assert subprocess.run(["sh", "-c", script, "-", *command]).returncode == 0
