"""A command that is told to stop cleans up first, as it does after Ctrl-C."""

import signal
import threading
from contextlib import contextmanager

# What a shell reports for a program that Ctrl-C ended.
INTERRUPTED = 130
# What a shell adds to a signal's number to make the exit status of a program that it ended.
_STATUS_BASE = 128
# The second one says that the terminal is gone. Windows has neither: there, a program just ends.
_SIGNALS = ("SIGTERM", "SIGHUP")


class Stopped(KeyboardInterrupt):
    """A signal has told the command to stop; whatever handles Ctrl-C handles this.

    Attributes
    ----------
    signal_name : str
        Such as "SIGTERM".
    status : int
        The exit status that says so.
    """

    def __init__(self, number):
        super().__init__()
        self.signal_name = signal.Signals(number).name
        self.status = _STATUS_BASE + number


@contextmanager
def stop_on_signals():
    """Raise `Stopped` in the block when a signal tells this process to stop.

    A signal that is ignored stays so, as ``nohup`` has it. In another thread than the main one,
    where signals never arrive, this does nothing.

    Raises
    ------
    Stopped
        Also when the block has ended in another way after the signal: a library may have taken
        what was raised for an error of its own.

    Examples
    --------
    >>> import os
    >>> try:
    ...     with stop_on_signals():
    ...         os.kill(os.getpid(), signal.SIGTERM)
    ... except Stopped as stopped:
    ...     print(stopped.signal_name, stopped.status)
    SIGTERM 143
    """
    received = []

    def stop(number, frame):
        # Cleaning up has begun: a second signal must not cut it short.
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        received.append(Stopped(number))
        raise received[0]

    numbers = []
    if threading.current_thread() is threading.main_thread():
        numbers = _default_signals()
    for number in numbers:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
        if received:
            raise received[0]


def _default_signals():
    """Return those signals that would end this process at once."""
    numbers = [getattr(signal, name, None) for name in _SIGNALS]
    return [number for number in numbers if number and signal.getsignal(number) == signal.SIG_DFL]
