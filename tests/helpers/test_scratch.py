"""Temporary folders that nobody else enters, and that go away even when the program is killed."""

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from mnist_helpers import scratch
from mnist_helpers.scratch import (
    flush_to_disk,
    refuse_foreign_folder,
    remove_left_behind,
    scratch_folder,
)

HOLD_FOLDER = """
import sys
from mnist_helpers.scratch import scratch_folder
with scratch_folder(sys.argv[1]) as folder:
    (folder / "half").write_text("written")
    print(folder, flush=True)
    sys.stdin.read()
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def other_process(tmp_path):
    """A process that has a scratch folder in `tmp_path`, and that folder's path."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_FOLDER, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        folder = process.stdout.readline().strip()
        assert folder.startswith(str(tmp_path))
        yield process, folder
        process.kill()


def test_a_scratch_folder_is_private_and_goes_away(tmp_path):
    with pytest.raises(ZeroDivisionError), scratch_folder(tmp_path) as folder:
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "sub").mkdir()
        raise ZeroDivisionError
    assert names(tmp_path) == []


def test_what_a_killed_process_has_left_is_removed_by_the_next(tmp_path, other_process):
    process, folder = other_process
    process.kill()
    process.wait()
    assert os.path.exists(folder)
    with scratch_folder(tmp_path) as own:
        assert names(tmp_path) == [own.name]


def test_what_a_living_process_uses_stays(tmp_path, other_process):
    process, folder = other_process
    if os.name == "posix":
        # A cleaner of old temporary files has been there.
        for file in os.scandir(folder):
            os.unlink(file)
        os.mkdir(os.path.join(folder, "made later"))
    with scratch_folder(tmp_path):
        assert os.listdir(folder)
    process.communicate("", timeout=30)
    assert process.returncode == 0 and names(tmp_path) == []


def test_a_folder_of_an_earlier_version_that_locked_a_file_in_it_stays(tmp_path):
    host = hashlib.sha256(platform.node().encode()).hexdigest()
    folder = tmp_path / f".mnist-{host[:4]}-abc"
    folder.mkdir()
    remove_left_behind(tmp_path)
    assert folder.exists()


def test_many_threads_at_once_take_nothing_from_each_other(tmp_path):
    faults = []

    def work():
        for _ in range(30):
            try:
                with scratch_folder(tmp_path) as folder:
                    (folder / "file").write_text("mine")
                    assert (folder / "file").read_text() == "mine"
            except BaseException as error:
                faults.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == [] and names(tmp_path) == []


def test_a_folder_found_before_it_was_locked_is_replaced_by_another(tmp_path, monkeypatch):
    lock_folder = scratch._lock_folder
    found = []

    def clean_first(path):
        # As if another process came by between the folder and its lock.
        monkeypatch.setattr(scratch, "_lock_folder", lock_folder)
        found.append(path)
        remove_left_behind(tmp_path)
        return lock_folder(path)

    monkeypatch.setattr(scratch, "_lock_folder", clean_first)
    with scratch_folder(tmp_path) as folder:
        assert found != [str(folder)] and names(tmp_path) == [folder.name]
        assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.name != "posix", reason="this system has no such rights")
def test_folders_that_nothing_may_be_removed_from_go_too():
    # Root may remove everything.
    if os.getuid() == 0:
        from support.users import as_nobody

        assert as_nobody(leave_closed_folders) == []
    else:
        assert leave_closed_folders() == []


def leave_closed_folders():
    """Leave what a killed program may have left, remove it, and return what is still there."""
    with tempfile.TemporaryDirectory() as parent:
        for name in ("abc", f"abd{scratch._DOOMED}"):
            closed = Path(parent, f"{scratch._own_prefix()}{name}", "closed")
            closed.mkdir(parents=True)
            (closed / "file").touch()
            (closed / "inner").mkdir(mode=0)
            closed.chmod(0o500)
        remove_left_behind(parent)
        return os.listdir(parent)


def test_links_and_folders_of_others_stay(tmp_path, monkeypatch):
    target = tmp_path / "target"
    target.mkdir()
    (target / "file").touch()
    # Left by this program, but for the links and the owner.
    prefix = scratch._own_prefix()
    (tmp_path / f"{prefix}link").symlink_to(target)
    (tmp_path / f"{prefix}file").touch()
    remove_left_behind(tmp_path)
    assert names(tmp_path) == [f"{prefix}file", f"{prefix}link", "target"]
    assert names(target) == ["file"]
    (tmp_path / f"{prefix}folder").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    remove_left_behind(tmp_path)
    assert f"{prefix}folder" in names(tmp_path)


@pytest.mark.parametrize(("days", "stays"), [(1, True), (8, False)])
def test_what_another_computer_has_left_is_removed_when_it_is_old(tmp_path, days, stays):
    folder = tmp_path / ".mnist-ffff-abc"
    folder.mkdir()
    then = time.time() - days * 24 * 3600
    os.utime(folder, (then, then))
    remove_left_behind(tmp_path)
    assert folder.exists() == stays


def test_a_disk_without_locks_can_be_used_and_is_not_cleaned(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch, "_lock_folder", lambda path: None)
    (tmp_path / f"{scratch._own_prefix()}abc").mkdir()
    with scratch_folder(tmp_path) as folder:
        assert folder.is_dir()
    assert names(tmp_path) == [f"{scratch._own_prefix()}abc"]


def test_files_and_names_are_flushed(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda number: flushed.append(os.fstat(number).st_ino))
    file = tmp_path / "file"
    file.touch()
    flush_to_disk(file)
    flush_to_disk(tmp_path)
    assert flushed == [file.stat().st_ino, tmp_path.stat().st_ino]


needs_posix = pytest.mark.skipif(os.name != "posix", reason="this system has no such rights")


@needs_posix
def test_a_folder_where_everybody_may_replace_files_is_refused(tmp_path, monkeypatch):
    place = tmp_path / "open place"
    place.mkdir()
    (place / "inner").mkdir()
    (tmp_path / "link").symlink_to(place)
    (place / "way out").symlink_to(tmp_path)
    (tmp_path / "far").symlink_to(place / "way out")
    folders = [
        place,
        place / "inner" / "new",
        tmp_path / "link",
        place / "way out",
        tmp_path / "far",
    ]
    # What one has opened to everybody oneself is one's own to close.
    for mode in (0o700, 0o755, 0o777, 0o1777):
        place.chmod(mode)
        for folder in folders:
            refuse_foreign_folder(folder)
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    for mode in (0o700, 0o755, 0o775):
        place.chmod(mode)
        for folder in folders:
            refuse_foreign_folder(folder)
    place.chmod(0o777)
    for folder in folders:
        with pytest.raises(PermissionError, match=f"{place} .*everybody.*name another folder"):
            refuse_foreign_folder(folder)
    refuse_foreign_folder(tmp_path)


@pytest.mark.root
def test_the_owner_of_a_folder_above_could_replace_what_is_there():
    from support.users import NOBODY, as_nobody

    # `tmp_path` lies in a folder that other users may not enter.
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        above = Path(place, "above")
        own = above / "own"
        own.mkdir(parents=True)
        own.chmod(0o700)
        os.chown(own, NOBODY.pw_uid, NOBODY.pw_gid)
        assert as_nobody(try_to_use, str(own)) == "taken"
        os.chown(above, NOBODY.pw_uid - 1, NOBODY.pw_gid)
        above.chmod(0o755)
        refused = as_nobody(try_to_use, str(own))
        assert refused.startswith(f"{above} belongs to another user, who can replace what")
        # Shared with a group that one is in, or with another.
        above.chmod(0o775)
        assert as_nobody(try_to_use, str(own)) == "taken"
        os.chown(above, -1, NOBODY.pw_gid - 1)
        assert as_nobody(try_to_use, str(own)) == refused
        # In a container, root works in a folder of a user outside.
        assert try_to_use(str(own)) == "taken"


def try_to_use(folder):
    try:
        refuse_foreign_folder(folder)
    except PermissionError as error:
        return str(error)
    return "taken"


@needs_posix
@pytest.mark.parametrize(
    ("users", "answer"),
    [
        ("0 1000 1\n1000 0 1\n", "taken"),
        ("0 0 4294967295\n", "belongs to another user and lets everybody write into it"),
    ],
)
def test_what_a_container_does_not_know_counts_as_roots(tmp_path, monkeypatch, users, answer):
    place = tmp_path / "tmp"
    place.mkdir()
    place.chmod(0o1777)
    shown = place.stat().st_uid + 60_000
    (tmp_path / "map").write_text(users)
    (tmp_path / "number").write_text(f"{shown}\n")
    monkeypatch.setattr(scratch, "_USER_MAP", tmp_path / "map")
    monkeypatch.setattr(scratch, "_UNKNOWN_USER", tmp_path / "number")
    real = Path.stat

    def stat_outside(path, **options):
        status = list(real(path, **options))
        if path == place:
            status[4] = shown
        return os.stat_result(status)

    monkeypatch.setattr(Path, "stat", stat_outside)
    scratch._user_outside.cache_clear()
    try:
        assert answer in try_to_use(place)
    finally:
        scratch._user_outside.cache_clear()


@needs_posix
def test_a_link_to_itself_is_left_to_whoever_opens_it(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    refuse_foreign_folder(tmp_path / "loop" / "new")


@needs_posix
def test_temporary_files_go_into_no_folder_where_everybody_may_replace_them(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tmp_path.chmod(0o777)
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.raises(PermissionError, match="TMPDIR"), scratch_folder():
        pass
    assert names(tmp_path) == []
    monkeypatch.undo()
    # Whoever saves a file has chosen its folder.
    with scratch_folder(tmp_path):
        pass


@needs_posix
def test_a_scratch_folder_has_a_new_name_each_time_is_private_and_goes_away():
    with scratch_folder() as first, scratch_folder() as second:
        assert first != second
        assert first.stat().st_mode & 0o777 == 0o700
    assert not first.exists()
