"""Signals that tell a command to stop."""

import os
import signal
import subprocess
import sys

import pytest
from support.project import ROOT

from mnist_course.__main__ import main
from mnist_course.signals import Stopped, run_program, stop_on_signals


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_raises_and_the_second_does_not(name):
    number = getattr(signal, name)
    with pytest.raises(Stopped) as stopped, stop_on_signals():
        try:
            os.kill(os.getpid(), number)
        finally:
            # Within what cleans up.
            os.kill(os.getpid(), number)
    assert stopped.value.status == 128 + number
    assert signal.getsignal(number) == signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_so(monkeypatch):
    # As under `nohup`.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_a_signal_is_told_even_when_a_library_takes_it_for_its_own_error(monkeypatch, capsys):
    def command(options):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except BaseException:
            raise ImportError("half loaded") from None

    monkeypatch.setattr("mnist_course.__main__._doctor", command)
    assert main(["doctor"]) == 128 + signal.SIGTERM
    error = capsys.readouterr().err
    assert error.strip() == "mnist-course: stopped by SIGTERM; what was finished is kept"


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OSError("a cannot be read"), 2, "make: a cannot be read"),
        (ValueError("no notebook"), 2, "make: no notebook"),
        (ModuleNotFoundError("x", name="keras"), 2, "make: keras is missing: install the course"),
        (KeyboardInterrupt(), 130, "make: interrupted"),
        (signal.SIGTERM, 143, "make: stopped by SIGTERM"),
        (signal.SIGHUP, 129, "make: stopped by SIGHUP"),
    ],
)
def test_what_stops_a_program_is_told_in_one_line(capsys, error, status, words):
    def program():
        if isinstance(error, int):
            os.kill(os.getpid(), error)
        raise error

    assert run_program("make", program) == status
    assert capsys.readouterr().err.strip().startswith(words)


WAIT = """
import os, signal, sys
sys.path[:0] = [sys.argv[1]]
from mnist_course.signals import leave_on_interrupt, run_program
leave_on_interrupt()
if sys.argv[2] == "within":
    run_program("make", lambda: os.kill(os.getpid(), signal.SIGINT))
    print("told", flush=True)
os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")
@pytest.mark.parametrize(
    ("moment", "told"), [("before", ("", "")), ("within", ("told\n", "\nmake: interrupted\n"))]
)
def test_ctrl_c_at_the_start_or_the_end_is_no_traceback(moment, told):
    program = [sys.executable, "-c", WAIT, ROOT, moment]
    run = subprocess.run(program, capture_output=True, text=True)
    assert run.returncode == 130
    assert (run.stdout, run.stderr) == told
