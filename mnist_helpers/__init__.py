"""What the notebooks of this tutorial call; importing it imports nothing heavy."""

import contextlib
import os
import sys
import tempfile

__version__ = "1.0.0"


@contextlib.contextmanager
def silence_stderr():
    """Keep start-up notices out of a notebook: ``with silence_stderr(): import keras``.

    TensorFlow's C++ code writes several lines to file descriptor 2 when it is first imported,
    whatever the log level says. They are dropped; if the block raises, they are shown after all.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # for the notices that come later
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as notices:
        os.dup2(notices.fileno(), 2)
        try:
            yield
        except BaseException:
            notices.seek(0)
            os.write(stderr, notices.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def in_notebook():
    """Whether this runs in a Jupyter kernel, where outputs can be redrawn in place."""
    try:
        return hasattr(get_ipython(), "kernel")
    except NameError:  # plain Python knows no get_ipython
        return False
