"""A second user of the machine, for tests that root runs."""

import contextlib
import json
import os

import pytest

# Windows has neither this module nor these rights.
pwd = pytest.importorskip("pwd", exc_type=ImportError)
NOBODY = pwd.getpwnam("nobody")


def as_nobody(function, *arguments):
    """Return what a function returns when the user nobody calls it."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.setgroups([])
            os.setgid(NOBODY.pw_gid)
            os.setuid(NOBODY.pw_uid)
            answer = json.dumps(function(*arguments))
            os.write(write_end, answer.encode())
        os._exit(0)
    os.close(write_end)
    with open(read_end, encoding="utf-8") as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text)
