"""Ends a process of the course at a chosen moment.

Python imports a module of this name by itself when it starts, from the folders in PYTHONPATH. The
campaign puts this folder there, and the moment into a variable.
"""

import os
import sys
import threading

# How Python was started tells the processes of the course apart.
ROLES = {
    "kernel_program": "kernel",
    "multiprocessing": "worker",
    "mnist_course": "command",
}
# What Python announces before it does it ("audit events"), and what each belongs to.
EVENTS = {
    "subprocess.Popen": "process",
    "tempfile.mkdtemp": "folder",
    "os.mkdir": "folder",
    "open": "write",
    "os.rename": "rename",
    "os.remove": "remove",
    "os.rmdir": "remove",
    "shutil.rmtree": "remove",
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def find_role():
    """Return what this process is to the course, or an empty text."""
    words = " ".join(sys.orig_argv)
    for word, role in ROLES.items():
        if word in words:
            return role
    return ""


class Fault:
    """Ends this process at, or shortly after, the event that a variable names."""

    def __init__(self, role, event, number, signal_number, delay, token):
        self.role = role
        self.event = event
        self.number = int(number)
        self.signal_number = int(signal_number)
        self.delay = float(delay)
        # Who can remove this file is the one process that is ended.
        self.token = token

    def listen(self, name, details):
        """Count an event; Python calls this for each one."""
        if EVENTS.get(name) != self.event:
            return
        if name == "open" and not (details[2] or 0) & WRITING:
            return
        self.number -= 1
        if self.number == 0:
            self.strike()

    def strike(self):
        try:
            os.remove(self.token)
        except FileNotFoundError:
            return
        if self.delay:
            # The event goes on meanwhile: a file is half written, a folder half removed.
            threading.Timer(self.delay, self.end).start()
        else:
            self.end()

    def end(self):
        os.kill(os.getpid(), self.signal_number)


wanted = os.environ.get("CAMPAIGN_FAULT")
if wanted:
    fault = Fault(*wanted.split(" ", 5))
    if fault.role == find_role():
        sys.addaudithook(fault.listen)
