"""Folders that are written whole or not at all, and by one command at a time; files that are read.

Importing it needs the standard library alone, since `work` does.
"""

import errno
import os
import stat
from contextlib import contextmanager
from pathlib import Path

from mnist_helpers.foreign_files import ForeignFileError, open_plain
from mnist_helpers.scratch import (
    flush_to_disk,
    refuse_foreign_folder,
    scratch_folder,
    take_lock,
)

_LOCK_NAME = ".lock"
# In a file's mode: what its group and all others may do with it.
_OTHERS = 0o077
_ADVICE = {
    errno.ENOSPC: "make room there, or name another folder",
    errno.EDQUOT: "make room there, or name another folder",
    errno.EFBIG: "allow larger files (ulimit -f unlimited)",
    errno.EMFILE: "allow more open files (ulimit -n 1024)",
}
_READING_ADVICE = {
    errno.ENOENT: "put it back",
    errno.EACCES: "make it readable",
    errno.EPERM: "make it readable",
    errno.ENOTDIR: "give that file another name",
}

# How much of a file is looked at for a mark. In a page, the mark comes after the title.
_MARKED_BYTES = 100_000

# The largest file of the course, mnist.npz, has 11 MB; a notebook with many pictures has a few. As
# JSON is read, it takes five times as much.
MAX_BYTES = 100_000_000


@contextmanager
def atomic_folder(path):
    """Give a new, empty folder that takes the place of `path` when the block succeeds.

    When the block raises, `path` is as it was.

    Parameters
    ----------
    path : pathlib.Path
        The folder to write. Missing folders above it are made.

    Yields
    ------
    pathlib.Path
        The folder to fill.

    Examples
    --------
    >>> with scratch_folder() as place:
    ...     folder = place / "handout"
    ...     with atomic_folder(folder) as part:
    ...         _ = Path(part, "README.md").write_text("hello")
    ...     [file.name for file in folder.iterdir()]
    ['README.md']
    """
    if os.path.lexists(path) and not path.is_dir():
        raise FileExistsError(errno.EEXIST, "it is no folder; rename it", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside `path`, so that both are on one file system and renaming is enough.
    with scratch_folder(path.parent) as beside:
        part = beside / "part"
        part.mkdir()
        yield part
        for file in [part, *part.rglob("*")]:
            if not file.is_symlink():
                flush_to_disk(file)
        _replace_folder(path, part, beside / "before")
        flush_to_disk(path.parent)


def _replace_folder(path, part, before):
    """Move `path`, if it is there, to `before`, and `part` to `path`; or change nothing."""
    if not path.exists():
        part.rename(path)
        return
    path.rename(before)
    try:
        part.rename(path)
    except BaseException:
        before.rename(path)
        raise


@contextmanager
def lock_folder(folder):
    """Keep a folder for one command, as long as a ``with`` block runs.

    Parameters
    ----------
    folder : str or path-like
        It is created where it is missing.

    Raises
    ------
    RuntimeError
        If another process, or another thread, has locked it.
    OSError
        If it cannot be created or written into, if other users could replace what is in it, or if
        it is locked with another user's file.
    """
    from filelock import Timeout

    folder = Path(folder)
    refuse_foreign_folder(folder)
    _refuse_bad_lock(folder / _LOCK_NAME)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _make_private(folder / _LOCK_NAME)
        # The system opens this lock when the process ends, however it ends.
        lock = take_lock(folder / _LOCK_NAME)
    except Timeout:
        raise RuntimeError(
            f"another run or sweep is writing into {folder}: wait, or name another"
        ) from None
    except OSError as error:
        raise OSError(describe_os_error(folder, error)) from None
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _refuse_bad_lock(path):
    """Refuse a lock that is no file, or one that only another user may lock, as in a group."""
    try:
        status = path.lstat()
    except OSError:
        # It is not there, or the folder is none: then locking tells what is wrong.
        return
    if not stat.S_ISREG(status.st_mode):
        raise FileExistsError(f"{path} is in the way, for it is no plain file: rename it")
    owner = status.st_uid
    if os.name != "posix" or owner == os.getuid() or os.access(path, os.R_OK | os.W_OK):
        return
    name = _user_name(owner)
    raise PermissionError(
        f"{path} belongs to {name}, so only {name} can write results into "
        f"{path.parent}: name another folder, or let {name} remove that file when nothing runs"
    )


def _user_name(number):
    # Windows has no such module.
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _make_private(path):
    """Take from others the right to read a lock file that is there: who can read it can lock it.

    Earlier versions of the course let everybody read it.
    """
    if os.name != "posix":
        return
    try:
        # Not through a link, and without waiting for who writes into a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        # It is not there; or it cannot be locked either, and that tells why.
        return
    try:
        status = os.fstat(descriptor)
        if status.st_uid == os.getuid() and stat.S_ISREG(status.st_mode):
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & ~_OTHERS)
    finally:
        os.close(descriptor)


def describe_os_error(path, error):
    """Say in one line why something cannot be written, and what to do.

    Parameters
    ----------
    path : str or path-like
        What was to be written.
    error : OSError

    Returns
    -------
    str

    Examples
    --------
    >>> describe_os_error("results", OSError(errno.ENOSPC, "No space left on device"))
    'results cannot be written (No space left on device): make room there, or name another folder'
    """
    reason = error.strerror or str(error)
    advice = _ADVICE.get(error.errno, "name a folder in which you may write")
    return f"{path} cannot be written ({reason}): {advice}"


def read_file(path):
    """Read a file; a pipe, a device or another special file is refused, and never waited for.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    bytes

    Raises
    ------
    OSError
        In one sentence that names the file, what is wrong with it, and what to do.

    Examples
    --------
    >>> with scratch_folder() as place:
    ...     _ = Path(place, "notes.txt").write_text("hello")
    ...     read_file(place / "notes.txt")
    b'hello'
    """
    with reading(path):
        try:
            with open_plain(path) as file:
                if os.fstat(file.fileno()).st_size > MAX_BYTES:
                    raise OSError(errno.EFBIG, f"it has more than {MAX_BYTES:,} bytes")
                return file.read()
        except ForeignFileError as error:
            raise OSError(errno.EINVAL, f"it is {error}, not a file") from None


def has_mark(path, mark):
    """Tell whether a file has, near its start, a mark by which this course knows its own files.

    Parameters
    ----------
    path : str or path-like
    mark : bytes

    Returns
    -------
    bool
        False also if it cannot be read.

    Examples
    --------
    >>> with scratch_folder() as place:
    ...     _ = Path(place, "runs.csv").write_text("run,result")
    ...     has_mark(place / "runs.csv", b"run,")
    True
    """
    try:
        with open_plain(path) as file:
            return mark in file.read(_MARKED_BYTES)
    except (OSError, ForeignFileError):
        return False


@contextmanager
def reading(path):
    """Let an OSError in the block say in one line that this cannot be read, why, and what to do.

    Parameters
    ----------
    path : str or path-like
        A file, or a folder whose files are listed.

    Raises
    ------
    OSError

    Examples
    --------
    >>> with reading("notebooks"):
    ...     raise PermissionError(errno.EACCES, "Permission denied")
    Traceback (most recent call last):
    OSError: notebooks cannot be read (Permission denied): make it readable
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        advice = _READING_ADVICE.get(error.errno, "replace it with a good copy")
        raise OSError(f"{path} cannot be read ({reason}): {advice}") from None
