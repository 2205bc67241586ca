"""Ending a thread that nobody waits for any more: Python itself knows no such thing."""

import ctypes


def end_thread(thread):
    """Let a thread end at its next step in Python; one that waits ends after that.

    Code that catches all errors, with ``except:`` alone, goes on all the same. While a debugger or
    coverage traces, Python 3.11 does nothing else until that thread has its turn: where it waits
    for something outside of Python, so does everything.

    Parameters
    ----------
    thread : int
        Its number, as ``threading.get_ident`` gives it. A thread that is over is no mistake.

    Examples
    --------
    >>> import threading
    >>> def count():
    ...     number = 0
    ...     while True:
    ...         number += 1
    >>> thread = threading.Thread(target=count)
    >>> thread.start()
    >>> end_thread(thread.ident)
    >>> thread.join()
    """
    set_error = ctypes.pythonapi.PyThreadState_SetAsyncExc
    set_error(ctypes.c_ulong(thread), ctypes.py_object(SystemExit))
