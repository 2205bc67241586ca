"""What ended a run, told in one line that fits into a table."""

import re
from pathlib import Path

from mnist_course.terminal import one_line, shorten

# The executed notebook has all of it.
MAX_CHARACTERS = 300
# A reason stands within a longer line; it may quote the content of a file.
MAX_REASON = 200
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_GROUP = re.compile(r"\([0-9]+ sub-exceptions?\)$")
# Python draws one such line above each error of a group.
_SUB_ERROR = re.compile(r"^[ |]*\+[-+]*-{16} [0-9.]+ -{16}$")
# The function of ipykernel that asks an error for its text.
_ASKS_FOR_TEXT = "_showtraceback"


def describe_failure(failure, *, timeout=None, out_of_memory=False):
    """Say in one line what ended a run, if it was no error in a cell.

    Parameters
    ----------
    failure : Exception
        What executing a notebook has raised.
    timeout : float, optional
        The seconds that the run was given, if they are over.
    out_of_memory : bool
        Whether the system has ended a process meanwhile because memory ran out.

    Returns
    -------
    str
        At most 300 characters.

    Examples
    --------
    >>> describe_failure(ValueError("no such layer"))
    'ValueError: no such layer'
    """
    kind = type(failure).__name__
    if kind == "DeadKernelError":
        reason = "the system was out of memory" if out_of_memory else "killed"
        return f"the kernel died ({reason})"
    is_late = kind == "KernelNotStarted" or isinstance(failure, TimeoutError)
    if timeout is not None and is_late:
        return f"time-out: the run was not done after {timeout:g} seconds"
    if kind == "KernelNotStarted":
        return shorten(_text_of(failure), MAX_CHARACTERS)
    if isinstance(failure, OSError) and _system_text(failure):
        # The number in front of the text says nothing to most people.
        place = f" ({failure.filename})" if failure.filename else ""
        told = f"the run could not go on: {_system_text(failure)}{place}"
        return shorten(told, MAX_CHARACTERS)
    return _name_and_text(kind, _text_of(failure))


def describe_cell_error(message, outputs):
    """Say in one line which error a cell has raised: its name, and the last line of its text.

    Parameters
    ----------
    message : dict
        What the kernel has told: ``ename`` and ``evalue``.
    outputs : list of nbformat.NotebookNode
        The cell's.

    Returns
    -------
    str
        At most 300 characters.

    Examples
    --------
    >>> describe_cell_error({"ename": "ValueError", "evalue": "no such layer"}, [])
    'ValueError: no such layer'
    """
    unprintable = _find_unprintable(outputs)
    if unprintable:
        return shorten(unprintable, MAX_CHARACTERS)
    text = _text_in(message, "evalue")
    if _GROUP.search(text):
        # Of a group, the text says only how many errors there are.
        text = f"{text}: {'; '.join(_find_sub_errors(outputs))}"
    return _name_and_text(_text_in(message, "ename"), text)


def _text_in(message, key):
    """Return a text of a message or an output; code in a cell can send anything in its place."""
    text = message.get(key)
    if isinstance(text, str):
        return text
    return ""


def _name_and_text(name, text):
    # A name is what code has called its class: it may be long, of several lines, or nothing.
    name = _last_line(name) or "an error without a name"
    line = _last_line(text)
    if line:
        name = f"{name}: {line}"
    told = shorten(name, MAX_CHARACTERS)
    # Python's texts can hold half characters, and no file can.
    return told.encode("utf-8", errors="replace").decode("utf-8")


def reason_of(error):
    """Say in one line what an error says, without the number and the paths that an OSError adds.

    Parameters
    ----------
    error : Exception

    Returns
    -------
    str
        At most 200 characters.

    Examples
    --------
    >>> reason_of(FileNotFoundError(2, "No such file or directory", "grid.yaml"))
    'No such file or directory'
    """
    text = _system_text(error) or _text_of(error) or type(error).__name__
    return one_line(" ".join(text.split()), MAX_REASON)


def _text_of(error):
    try:
        return str(error)
    except Exception:
        # Its own code fails; its name has to do.
        return ""


def _system_text(error):
    """Return what the system says of an OSError, without its number; of others, nothing."""
    try:
        return _last_line(error.strerror or "")
    except Exception:
        # It is of another kind, or its own code fails.
        return ""


def _last_line(text):
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""


def _find_sub_errors(outputs):
    """Return the first line of each error of a group, as Python has written it on stderr."""
    errors = []
    is_next = False
    for output in outputs:
        if output.get("name") != "stderr":
            continue
        for line in _COLOR.sub("", _text_in(output, "text")).splitlines():
            # Lines of a traceback are further to the right than the error itself.
            match = re.match(r"^[ |]*\| (\S.*)$", line)
            if _SUB_ERROR.match(line):
                is_next = True
            elif is_next and match and not match[1].startswith("Traceback (most"):
                errors.append(match[1])
                is_next = False
    return errors


def _find_unprintable(outputs):
    """Return the name of an error whose own text cannot be had, or None."""
    for output in outputs:
        lines = output.get("traceback")
        if not isinstance(lines, list):
            continue
        traceback = "\n".join(str(line) for line in lines)
        if _ASKS_FOR_TEXT in traceback:
            match = re.search(r"^(\w+) +Traceback", _COLOR.sub("", traceback), re.MULTILINE)
            return match[1] if match else None
    return None


def count_memory_kills():
    """Count the processes that Linux has ended so far because memory ran out.

    Returns
    -------
    int
        0 on another system.
    """
    try:
        statistics = Path("/proc/vmstat").read_text(encoding="ascii")
    except OSError:
        # Another system.
        return 0
    match = re.search(r"^oom_kill (\d+)", statistics, re.MULTILINE)
    # Old versions of Linux do not count.
    return int(match[1]) if match else 0
