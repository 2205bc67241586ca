"""Failures on purpose: shown in a notebook as one reads them, without stopping it."""

import contextlib
import re

_COLORS = r"\x1b\[[0-9;]*m"
_FRAMES = r"(?:^[ \t]*File \".*\", line \d+.*\n?(?:[ \t]+(?!File ).*\n?|\n)*)+"
_PLACE = r"(?:file:/+|~?/(?=[A-Za-z_.~])|[A-Za-z]:[\\/]+)"
_PATH = rf"(?<=[\"']){_PLACE}[^\"'\n]*|(?<![\w./]){_PLACE}[^\s\"'()<>\[\],;]*"
_ADDRESS = r"0x[0-9a-fA-F]+"


@contextlib.contextmanager
def expected_error(kind, text):
    """Print the type and message of the failure that the block must have, and go on after it.

    ``with failures.expected_error(KeyError, "acc"): history["acc"]`` prints ``KeyError: 'acc'``. A stack
    of frames within the message, paths and addresses are each printed as an ellipsis.

    Parameters
    ----------
    kind : exception class, or tuple of them
        What the block must raise; a subclass will do.
    text : str
        What the message must hold on TensorFlow; other back ends have their own words.

    Raises
    ------
    AssertionError
        If nothing is raised, or another type, or on TensorFlow another text.
    """
    import keras

    kinds = kind if isinstance(kind, tuple) else (kind,)
    names = " or ".join(kind.__name__ for kind in kinds)
    wanted = f"this block must raise {names} with the text {text!r}"
    try:
        yield
    except Exception as error:
        name, message = type(error).__name__, re.sub(_COLORS, "", str(error))
        if not isinstance(error, kinds):
            raise AssertionError(f"{wanted}; it raised {name}: {message}") from error
        if text not in message and keras.config.backend() == "tensorflow":
            raise AssertionError(f"{wanted}; it raised {name} without it: {message}") from error
        message = re.sub(_FRAMES, "…\n", message, flags=re.MULTILINE)
        print(f"{name}: {re.sub(f'{_PATH}|{_ADDRESS}', '…', message).strip()}")
    else:
        raise AssertionError(f"{wanted}; it raised nothing")
