"""What the commands print: text from outside is shown, and never obeyed by the terminal.

A file's name or an error's text may hold codes that color, erase or forge lines of a terminal,
or characters that standard output cannot encode; and who reads the output may stop reading.
"""

# Only the standard library: the doctor prints where nothing else is installed.
import contextlib
import errno
import os
import sys

# What a shell reports for a program that a closed pipe ended: 128 + SIGPIPE.
CLOSED_PIPE = 141
CANNOT_WRITE = 2

LONGEST_MESSAGE = 2000
# A table, or a message that quotes several texts, has room for so much of each.
LONGEST_TEXT = 500
_CUT = " … "

HOME_ADVICE = "this user has no home folder: set the variable HOME to a folder that you can write"

# What Python takes for printable, although nothing is seen: joiners and fillers of letters, and an
# empty braille.
UNSEEN = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
# Scripts and emoji need these, behind a character of theirs: joiners (Persian, Hindi, families),
# and the selectors of a variant (a red heart, a rare form of a Chinese character).
JOINERS = "\u200c\u200d"
_VARIANTS = (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
# Bytes of a file's name that are no text: Python has U+DC80 to U+DCFF for them.
FIRST_BYTE_CODE = 0xDC00

# A stream may go on to the next line, and a progress bar back to the start of its own.
LAYOUT = "\n\r\t"


def printable(text, *, keep=""):
    r"""Show characters that a terminal would obey, or could not show, as escapes.

    Parameters
    ----------
    text : str
        A name or an error's text, from anywhere; in any script.
    keep : str
        Control characters that stay as they are.

    Returns
    -------
    str
        One line, unless `keep` has characters that end one.

    Examples
    --------
    >>> print(printable("\x1b[31m七.png\n"))
    \x1b[31m七.png\n
    """
    if text.isascii() and text.isprintable():
        return text
    shown = []
    before = ""
    for character in text:
        if _needs_escape(character, before) and character not in keep:
            character = _escape(character)
        shown.append(character)
        before = character
    return "".join(shown)


def shorten(text, longest=LONGEST_MESSAGE):
    """Leave out the middle of a text that would fill screens.

    Parameters
    ----------
    text : str
    longest : int
        Characters.

    Returns
    -------
    str
        At most `longest` characters.

    Examples
    --------
    >>> shorten("abcdefghij", longest=7)
    'ab … ij'
    """
    if len(text) <= longest:
        return text
    half = (longest - len(_CUT)) // 2
    return text[:half] + _CUT + text[-half:]


def one_line(text, longest=LONGEST_TEXT):
    r"""Show a text from outside, such as one in a record, in one line that is not too long.

    Parameters
    ----------
    text : str
        From anywhere, and of any length.
    longest : int
        Characters.

    Returns
    -------
    str
        What `printable` shows of it, without its middle where it is too long.

    Examples
    --------
    >>> print(one_line("digits\nOK", longest=20))
    digits\nOK
    """
    # Cut twice: of a text of megabytes only the ends are looked at, and an escape is longer than
    # the character that it stands for.
    return shorten(printable(shorten(text, longest)), longest)


def table_lines(rows, *, right=()):
    """Lay out a table whose columns are aligned; each cell is `one_line`.

    Parameters
    ----------
    rows : list of list of str
        All of one length.
    right : tuple of int
        The numbers of the columns that are aligned on the right, from 0.

    Returns
    -------
    list of str
        A line for each row.

    Examples
    --------
    >>> table_lines([["name", "seconds"], ["01", "7.5"]], right=(1,))
    ['name  seconds', '01        7.5']
    """
    shown = [[one_line(text) for text in row] for row in rows]
    columns = zip(*shown, strict=True)
    widths = [max(len(text) for text in column) for column in columns]
    lines = []
    for row in shown:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=True)]
        for number in right:
            cells[number] = row[number].rjust(widths[number])
        # Without the spaces that fill up the last column.
        lines.append("  ".join(cells).rstrip())
    return lines


def has_home():
    """Tell whether this user has a home folder, without which Jupyter does not start.

    Returns
    -------
    bool
    """
    # Where neither a variable nor the list of users names one, "~" stays what it is.
    return os.path.isabs(os.path.expanduser("~"))


@contextlib.contextmanager
def guard_output():
    """Let `print` write only what a terminal shows, and end quietly when nobody reads any more.

    Raises
    ------
    SystemExit
        With `CLOSED_PIPE`, when a program like ``head`` has closed the pipe; with `CANNOT_WRITE`,
        after a line on standard error, when the output cannot be written, as on a full disk.
    """
    _open_closed_descriptors()
    stdout = sys.stdout
    stderr = sys.stderr
    # A program whose standard output was closed before it began has None there.
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        sys.stdout = _Output(stdout or nowhere)
        sys.stderr = _Messages(stderr or nowhere)
        try:
            yield
        finally:
            # What is still in the buffer may be the first that cannot be written.
            try:
                sys.stderr.flush()
                sys.stdout.flush()
            finally:
                sys.stdout = stdout
                sys.stderr = stderr


class _Stream:
    """A text stream that shows what it cannot print."""

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        shown = printable(text, keep=LAYOUT)
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        try:
            encoded = shown.encode(encoding, "backslashreplace")
            self._stream.write(encoded.decode(encoding))
        except OSError as error:
            self._give_up(error)
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error):
        # Python flushes what is left when it ends; where that goes must not fail, too.
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


class _Output(_Stream):
    """Standard output: without it there is nothing left to do."""

    def _give_up(self, error):
        super()._give_up(error)
        if isinstance(error, BrokenPipeError) or _is_closed_pipe_of_windows(error):
            raise SystemExit(CLOSED_PIPE)
        reason = error.strerror or error
        print(f"mnist-course: the output cannot be written: {reason}", file=sys.stderr)
        raise SystemExit(CANNOT_WRITE)


class _Messages(_Stream):
    """Standard error: when nobody reads the messages, the work goes on."""


def _needs_escape(character, before):
    """Say whether a character is obeyed, or not seen, behind the one that is `before` it."""
    is_variant = any(ord(character) in block for block in _VARIANTS)
    if character in JOINERS or is_variant:
        # Behind ASCII they change nothing that is seen.
        return before == "" or before.isascii()
    # Python takes for unprintable what a terminal obeys or cannot be sent (controls, ends of lines,
    # halves of characters), what turns text around, and spaces that look like the usual one.
    return character in UNSEEN or not character.isprintable()


def _escape(character):
    code = ord(character)
    if FIRST_BYTE_CODE + 0x80 <= code <= FIRST_BYTE_CODE + 0xFF:
        return f"\\x{code - FIRST_BYTE_CODE:02x}"
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def _is_closed_pipe_of_windows(error):
    # Windows has no number of its own for it.
    return os.name == "nt" and error.errno == errno.EINVAL


def _open_closed_descriptors():
    """Let standard streams that are closed lead nowhere.

    Otherwise the next file that is opened would get their number, and what a kernel prints.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The system gives the lowest free number. What is started, as a kernel, gets it too.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
