"""Signals that tell a command to stop."""

import os
import signal

import pytest

from mnist_course.__main__ import main
from mnist_course.signals import Stopped, stop_on_signals


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
