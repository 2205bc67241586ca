"""Failures on purpose: shown in a notebook as one reads them, without stopping it."""

import contextlib
import re

from mnist_helpers.keras_settings import keras_defaults

# What a terminal is sent to change colors or weights of type.
_TERMINAL_CODE = r"\x1b\[[0-9;]*m"

# A stack of frames, as TensorFlow puts it into its messages: a line that names a file and a line
# number, and below it indented lines of code or blank lines.
_FRAME_LINE = r"^[ \t]*File \".*\", line \d+.*\n?"
_CODE_LINE = r"[ \t]+(?!File ).*\n?"
_FRAMES = rf"(?:{_FRAME_LINE}(?:{_CODE_LINE}|\n)*)+"

# A path begins with file:/, with / or ~/ before a name, or with a Windows drive. Within quotation
# marks it may hold spaces; elsewhere it ends at the next space, quotation mark or bracket.
_PATH_START = r"(?:file:/+|~?/(?=[A-Za-z_.~])|[A-Za-z]:[\\/]+)"
_QUOTED_PATH = rf"(?<=[\"']){_PATH_START}[^\"'\n]*"
_BARE_PATH = rf"(?<![\w./]){_PATH_START}[^\s\"'()<>\[\],;]*"
# Where an object lies in memory, which differs from run to run.
_ADDRESS = r"0x[0-9a-fA-F]+"

# A longer message is cut: nobody reads it, and it would fill the notebook.
_MOST_CHARACTERS = 5000


@contextlib.contextmanager
def expected_error(error_type, text):
    """Print the type and message of the error that the block must raise, and go on after it.

    A stack of frames within the message, paths and addresses are each printed as an ellipsis.

    Parameters
    ----------
    error_type : exception class, or tuple of them
        What the block must raise; a subclass will do.
    text : str
        What the message must contain on TensorFlow; other back ends have their own words.

    Raises
    ------
    AssertionError
        If the block raises nothing, or another type, or on TensorFlow another text.
    TypeError
        If `error_type` is no class of exceptions, or `text` is no text.

    Examples
    --------
    >>> history = {"accuracy": [0.9]}
    >>> with expected_error(KeyError, "acc"):
    ...     history["acc"]
    KeyError: 'acc'
    """
    kinds = error_type
    if not isinstance(error_type, tuple):
        kinds = (error_type,)
    if not kinds or not all(_is_exception(kind) for kind in kinds):
        raise TypeError("`error_type` must be a class of exceptions, or a tuple of them.")
    if not isinstance(text, str):
        raise TypeError(f"`text` must be text; received a {type(text).__name__}.")
    expected = f"this block must raise {_names(kinds)} with the text {text!r}"
    try:
        yield
    except Exception as error:
        name = type(error).__name__
        message = re.sub(_TERMINAL_CODE, "", _message_of(error))
        if not isinstance(error, error_type):
            raise AssertionError(f"{expected}; it raised {name}: {_cut(message)}") from error
        if text not in message and _on_tensorflow():
            raise AssertionError(
                f"{expected}; it raised {name} without it: {_cut(message)}"
            ) from error
        print(f"{name}: {_shorten(_cut(message))}")
    else:
        raise AssertionError(f"{expected}; it raised nothing")


def _is_exception(kind):
    return isinstance(kind, type) and issubclass(kind, BaseException)


def _message_of(error):
    try:
        return str(error)
    except Exception:
        return "(an error whose message cannot be shown)"


def _cut(message):
    if len(message) > _MOST_CHARACTERS:
        return message[:_MOST_CHARACTERS] + "…"
    return message


def _names(kinds):
    return " or ".join(kind.__name__ for kind in kinds)


def _on_tensorflow():
    with keras_defaults():
        import keras

    return keras.config.backend() == "tensorflow"


def _shorten(message):
    """Replace what differs from computer to computer by an ellipsis."""
    message = re.sub(_FRAMES, "…\n", message, flags=re.MULTILINE)
    message = re.sub(f"{_QUOTED_PATH}|{_BARE_PATH}|{_ADDRESS}", "…", message)
    return message.strip()
