"""Folders that are written whole or not at all, and by one command at a time."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

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


def test_a_folder_that_cannot_be_replaced_is_put_back(tmp_path, monkeypatch):
    target = tmp_path / "learner"
    with atomic_folder(target) as part:
        (part / "old").touch()
    rename = Path.rename

    def fail_at_last(path, new):
        if path.name == "part":
            raise PermissionError
        return rename(path, new)

    monkeypatch.setattr(Path, "rename", fail_at_last)
    with pytest.raises(PermissionError), atomic_folder(target) as part:
        (part / "new").touch()
    assert names(target) == ["old"]


def test_all_files_of_a_folder_are_flushed_before_it_has_its_name(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda number: flushed.append(os.fstat(number).st_ino))
    with atomic_folder(tmp_path / "learner") as part:
        (part / "sub").mkdir()
        (part / "sub" / "file").touch()
        inodes = {path.stat().st_ino for path in [part, part / "sub", part / "sub" / "file"]}
    assert set(flushed) == inodes | {tmp_path.stat().st_ino}


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_is_not_replaced(tmp_path, kind):
    path = tmp_path / "learner"
    if kind == "file":
        path.write_text("mine")
    else:
        path.symlink_to("nowhere")
    with pytest.raises(OSError, match="it is no folder; rename it"), atomic_folder(path):
        pytest.fail("it was filled")
    assert os.listdir(tmp_path) == ["learner"]


@pytest.mark.parametrize(
    ("place", "reason"),
    [("file", "File exists"), ("file/below", "Not a directory"), ("n" * 300, "too long")],
)
def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path, place, reason):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=reason) as refused, lock_folder(tmp_path / place):
        pass
    assert str(refused.value).startswith(f"{tmp_path / place} cannot be written (")


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


needs_posix = pytest.mark.skipif(os.name != "posix", reason="this system has no such rights")


@needs_posix
@pytest.mark.parametrize("before", [None, 0o644, 0o666, 0o600], ids=str)
def test_nobody_else_can_lock_a_folder(tmp_path, before):
    lock = tmp_path / ".lock"
    if before is not None:
        lock.touch()
        lock.chmod(before)
    umask = os.umask(0)
    try:
        with lock_folder(tmp_path):
            assert stat.S_IMODE(lock.stat().st_mode) == 0o600
    finally:
        os.umask(umask)


@needs_posix
def test_a_lock_that_is_a_link_changes_nothing_behind_it(tmp_path):
    (tmp_path / "mine").write_text("kept")
    (tmp_path / "mine").chmod(0o644)
    (tmp_path / ".lock").symlink_to("mine")
    with pytest.raises(OSError, match=r"/\.lock is in the way"), lock_folder(tmp_path):
        pass
    assert (tmp_path / "mine").read_text() == "kept"
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o644


def test_a_folder_in_the_place_of_the_lock_is_named(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(OSError, match="lock is in the way, for it is no plain file: rename it"):
        with lock_folder(tmp_path):
            pass


def try_to_lock(folder):
    """Say what comes of using a folder, and of locking its lock file when it can be read."""
    import fcntl

    answers = []
    try:
        with lock_folder(folder):
            answers.append("locked")
    except (OSError, RuntimeError) as error:
        answers.append(str(error))
    try:
        with open(Path(folder, ".lock")) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            answers.append("held")
    except OSError as error:
        answers.append(error.strerror)
    return answers


@pytest.mark.root
@pytest.mark.parametrize("before", [None, 0o644], ids=str)
def test_members_of_a_group_are_told_whose_folder_it_is(before):
    from support.users import NOBODY, as_nobody

    # `tmp_path` lies in a folder that other users may not enter.
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        folder = Path(place, "shared")
        folder.mkdir()
        os.chown(folder, -1, NOBODY.pw_gid)
        folder.chmod(0o2775)
        if before:
            (folder / ".lock").touch()
            (folder / ".lock").chmod(before)
        with lock_folder(folder):
            pass
        message, held = as_nobody(try_to_lock, str(folder))
        assert message.startswith(f"{folder}/.lock belongs to root, so only root can write")
        assert "\n" not in message and "name another folder" in message
        assert held == "Permission denied"
        # In turn: when root has removed it, and the other way round.
        (folder / ".lock").unlink()
        assert as_nobody(try_to_lock, str(folder)) == ["locked", "held"]
        with lock_folder(folder):
            pass


@needs_posix
def test_a_folder_where_everybody_may_replace_files_is_not_made(tmp_path, monkeypatch):
    tmp_path.chmod(0o777)
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.raises(PermissionError, match="everybody"):
        with lock_folder(tmp_path / "new"):
            pass
    assert names(tmp_path) == []
