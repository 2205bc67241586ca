"""The program of a kernel: ipykernel's, which drops no output and ends with its parent.

It also ends by itself when its cells have put out more than anybody could read.

``python -m mnist_course.kernel_program -f FILE`` takes ipykernel's own options.
"""

import ctypes
import os
import signal
import sys

import zmq
from ipykernel.kernelapp import IPKernelApp

from mnist_course.kernel_limits import MAX_OUTPUT_BYTES, TOO_MUCH_OUTPUT

# The number of an option of Linux' prctl: the signal that comes when the parent has ended.
PR_SET_PDEATHSIG = 1
# jupyter_client's: who has started the kernel.
PARENT_VARIABLE = "JPY_PARENT_PID"

# Each line counts as so many more: in a notebook's file it is a text of its own. 33 million short
# ones took 3 GB.
LINE_BYTES = 20
# An end of a line as messages have it, in JSON.
LINE_END = rb"\n"


class KernelApp(IPKernelApp):
    """A kernel that keeps every output until it is read."""

    def init_iopub(self, context):
        """Open the socket of the outputs."""
        # By itself it drops what comes too fast: of 10,000 lines printed one by one, hundreds were
        # lost without a word; and where the message that a cell is done was lost, the run failed.
        context.setsockopt(zmq.SNDHWM, 0)
        super().init_iopub(context)
        _limit_output(self.iopub_thread)


def _limit_output(thread):
    """Let the thread through which all outputs go end this process when there are too many.

    An error in the cell would not do: the code in it may catch it, and a child process that prints
    without end goes on.
    """
    send = thread.send_multipart
    n_bytes = 0

    def send_or_end(message, *args, **options):
        nonlocal n_bytes
        for part in message:
            data = bytes(part)
            n_bytes += len(data) + LINE_BYTES * data.count(LINE_END)
        if n_bytes > MAX_OUTPUT_BYTES:
            os._exit(TOO_MUCH_OUTPUT)
        send(message, *args, **options)

    thread.send_multipart = send_or_end


def end_with_parent():
    """Let this process end when the one that has started it does, whatever it is computing.

    ipykernel watches its parent in a thread, which waits as long as a cell computes in C.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = os.environ.get(PARENT_VARIABLE)
    # It may have been killed before it could be watched.
    if os.name == "posix" and parent is not None and os.getppid() != int(parent):
        os._exit(1)


if __name__ == "__main__":
    end_with_parent()
    KernelApp.launch_instance()
