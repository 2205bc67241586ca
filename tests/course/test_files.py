"""Folders that are written whole or not at all, and by one command at a time."""

import subprocess
import sys

import pytest

from mnist_course.files import atomic_folder, lock_folder


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_a_folder_is_replaced_whole_or_stays(tmp_path):
    target = tmp_path / "dist" / "learner"
    with atomic_folder(target) as part:
        (part / "old").touch()
    with pytest.raises(ZeroDivisionError), atomic_folder(target) as part:
        (part / "half").touch()
        raise ZeroDivisionError
    assert names(target) == ["old"]
    with atomic_folder(target) as part:
        (part / "new").touch()
    assert names(target) == ["new"]
    # Nothing temporary is left beside it.
    assert names(target.parent) == ["learner"]


HOLD_LOCK = """
import sys
from mnist_course.files import lock_folder
with lock_folder("new"):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_locked_until_its_command_ends(tmp_path):
    for _ in range(2):
        with lock_folder(tmp_path / "new"):
            pass


def test_a_folder_is_locked_until_its_command_is_killed(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(
            RuntimeError, match="another run or sweep is writing into .*new: wait, or"
        ):
            with lock_folder(tmp_path / "new"):
                pass
        process.kill()
    with lock_folder(tmp_path / "new"):
        pass
