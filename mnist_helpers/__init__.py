"""What the notebooks of this tutorial call; importing it imports nothing heavy."""

import contextlib
import os
import sys
import tempfile

__version__ = "1.0.0"

_STDERR_DESCRIPTOR = 2


@contextlib.contextmanager
def silence_stderr():
    """Keep start-up messages out of a notebook.

    TensorFlow's C++ code writes several lines to standard error when it is first imported,
    whatever the log level says. They are dropped; if the block raises, they are shown after all.

    Examples
    --------
    >>> with silence_stderr():
    ...     import keras
    """
    # The log level still matters for the messages that come later.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    # C++ code writes to the file descriptor itself, past Python's sys.stderr.
    real_stderr = os.dup(_STDERR_DESCRIPTOR)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), _STDERR_DESCRIPTOR)
        try:
            yield
        except BaseException:
            messages.seek(0)
            os.write(real_stderr, messages.read())
            raise
        finally:
            os.dup2(real_stderr, _STDERR_DESCRIPTOR)
            os.close(real_stderr)


def in_notebook():
    """Tell whether this runs in a Jupyter kernel, where outputs can be redrawn in place.

    Returns
    -------
    bool

    Examples
    --------
    >>> in_notebook()
    False
    """
    try:
        shell = get_ipython()
    except NameError:
        # IPython defines the name; plain Python does not know it.
        return False
    return hasattr(shell, "kernel")
