"""A command that is told to stop cleans up first, as it does after Ctrl-C."""

import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress

# What a shell reports for a program that Ctrl-C ended.
INTERRUPTED = 130
_REFUSED = 2
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


def leave_on_interrupt():
    """Let Ctrl-C end this process at once, without a traceback: it has nothing to clean up yet.

    That is so while it imports, and at its end. `run_program` turns this off and on again.
    """
    # A program that a script has put into the background ignores Ctrl-C.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def raise_on_interrupt():
    """Undo `leave_on_interrupt`: from now on there may be something to clean up."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(number, frame):
    os._exit(INTERRUPTED)


def run_program(name, program):
    """Run what ``make`` has started; each way in which it can be stopped is told in one line.

    Parameters
    ----------
    name : str
        What the lines begin with.
    program : callable
        Called without arguments; it returns the exit status.

    Returns
    -------
    int
        The exit status: the program's own; 2 when it raised an OSError or a ValueError, or lacks
        a module; 130 after Ctrl-C; or 128 and the number of the signal that stopped it.

    Examples
    --------
    >>> run_program("make", lambda: 0)
    0
    """
    left_on_interrupt = signal.getsignal(signal.SIGINT) is _leave
    try:
        if left_on_interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        with stop_on_signals():
            return program()
    except Stopped as stopped:
        _tell(f"{name}: stopped by {stopped.signal_name}", "\n")
        return stopped.status
    except KeyboardInterrupt:
        # The terminal has just shown ^C: the message starts on a line of its own.
        _tell(f"{name}: interrupted", "\n")
        return INTERRUPTED
    except ModuleNotFoundError as error:
        _tell(f"{name}: {error.name} is missing: install the course with all it needs (README.md)")
        return _REFUSED
    except (OSError, ValueError) as error:
        _tell(f"{name}: {error}")
        return _REFUSED
    finally:
        if left_on_interrupt:
            signal.signal(signal.SIGINT, _leave)


def _tell(message, before=""):
    from mnist_course.terminal import printable

    # After a hang-up there may be nobody left to tell.
    with suppress(OSError):
        print(before + printable(message), file=sys.stderr, flush=True)


def _default_signals():
    """Return those signals that would end this process at once."""
    numbers = [getattr(signal, name, None) for name in _SIGNALS]
    return [number for number in numbers if number and signal.getsignal(number) == signal.SIG_DFL]
