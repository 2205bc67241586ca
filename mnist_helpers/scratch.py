"""Temporary folders that are private, and that go away even when the program was killed."""

import contextlib
import errno
import hashlib
import os
import platform
import shutil
import stat
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

_PREFIX = ".mnist-"
# Whoever uses a folder holds a lock on this file in it; the system opens the lock of a process
# that has ended, however it ended.
LOCK_NAME = "in-use.lock"
# How many characters of a name tell which computer made a folder.
_HOST_CHARACTERS = 4
# A shared disk may keep the locks of each computer apart. A folder that another computer made is
# left alone until nobody can be using it any more.
_OTHER_HOST_SECONDS = 7 * 24 * 3600
# Another process can be in the way once or twice, not always.
_MAX_TRIES = 100
# What systems say of a disk that knows no locks, as some shared ones do.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
_ROOT = 0
# A file's mode: its owner reads and writes it, others do nothing.
_OWNER_ONLY = 0o600


@contextmanager
def scratch_folder(parent=None):
    """Give a new folder that only this user may enter, and remove it when the block ends.

    What a killed program of this user has left in `parent` is removed first.

    Parameters
    ----------
    parent : str or path-like, optional
        Where the folder is made. The default is the system's folder for temporary files.

    Yields
    ------
    pathlib.Path
        The folder. It holds one file, `LOCK_NAME`, which says that it is in use.

    Raises
    ------
    OSError
        If the folder cannot be made, as on a full disk; or if the system's folder for temporary
        files is one that `refuse_foreign_folder` refuses.

    Examples
    --------
    >>> with scratch_folder() as folder:
    ...     _ = (folder / "notes.txt").write_text("for a while")
    >>> folder.exists()
    False
    """
    # A parent that is named is where somebody saves a file, such as a folder that a group shares.
    if parent is None:
        refuse_foreign_folder(tempfile.gettempdir())
    parent = Path(parent or tempfile.gettempdir()).absolute()
    remove_left_behind(parent)
    folder, lock = _make_folder(parent)
    try:
        yield Path(folder.name)
    finally:
        folder.cleanup()
        _release(lock)
        # Windows removes no file that is locked.
        shutil.rmtree(folder.name, ignore_errors=True)


def refuse_foreign_folder(folder):
    """Refuse a folder where another user could put something in the place of what is written.

    That is so if such a user may rename what lies in the folder, or in one on the way to it.
    Folders that a group may write into pass, for somebody has shared them on purpose.

    Parameters
    ----------
    folder : str or path-like
        It need not exist; then the folders above it are what counts.

    Raises
    ------
    PermissionError

    Examples
    --------
    >>> with scratch_folder() as folder:
    ...     refuse_foreign_folder(folder)
    """
    if os.name != "posix":
        return
    # What links lead to counts, and so do the folders that the links lie in.
    for part in _folders_on_the_way(folder):
        reason = _why_foreign(part.stat())
        if reason:
            raise PermissionError(
                f"{part} {reason}, so other users could read or change what is written there: "
                f"name another folder (for temporary files, in the variable TMPDIR)"
            )


def _folders_on_the_way(path):
    """Yield the folders that are there among `path`, those above it, and where links lead."""
    path = Path(os.path.abspath(path))
    for part in (path, *path.parents):
        # A link that leads back to itself does not exist either.
        if not os.path.exists(part):
            continue
        if part.is_symlink():
            yield from _folders_on_the_way(part.parent / part.readlink())
        else:
            yield part.resolve()


def _why_foreign(status):
    """Say why others could rename what lies in a folder, or return an empty text."""
    is_open = status.st_mode & stat.S_IWOTH
    # What its owner opened to everybody is the owner's to close; some file systems, such as those
    # of Windows seen from Linux, show all folders so.
    if not is_open or status.st_uid == os.getuid():
        return ""
    if status.st_uid != _ROOT:
        return "belongs to another user and lets everybody write into it"
    # In a sticky folder, such as that for temporary files, only its owner renames what belongs to
    # others.
    if not status.st_mode & stat.S_ISVTX:
        return "lets everybody replace what lies in it"
    return ""


def take_lock(path):
    """Lock a file, which is made where it is missing, for as long as this process lives.

    Only this user may read the file that is made: who can read a file can lock it, and keep others
    from it.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    filelock.FileLock or None
        Its `release` gives the lock up. None where the disk knows no locks.

    Raises
    ------
    filelock.Timeout
        If somebody else has locked it.
    OSError
        If the file cannot be made.

    Examples
    --------
    >>> with scratch_folder() as folder:
    ...     take_lock(folder / "lock").release()
    """
    # Importing it takes a tenth of a second, which a notebook need not wait for.
    import filelock

    lock = filelock.FileLock(path, mode=_OWNER_ONLY, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except OSError as error:
        # A `filelock.Timeout` is an OSError, too, but has no number.
        if error.errno in _NO_LOCKS:
            return None
        raise
    return lock


def remove_left_behind(parent):
    """Remove the scratch folders in `parent` that a killed program of this user has left.

    Parameters
    ----------
    parent : str or path-like
        What cannot be read or removed there stays.

    Examples
    --------
    >>> with scratch_folder() as parent:
    ...     Path(parent, f"{_own_prefix()}abc").mkdir()
    ...     remove_left_behind(parent)
    ...     sorted(os.listdir(parent))
    ['in-use.lock']
    """
    try:
        with os.scandir(parent) as entries:
            folders = [entry for entry in entries if entry.name.startswith(_PREFIX)]
    except OSError:
        return
    for entry in folders:
        with contextlib.suppress(OSError):
            if _may_be_left_behind(entry):
                _remove_unused(entry.path)


def flush_to_disk(path):
    """Wait until a file, or the names in a folder, would outlast a power cut.

    Parameters
    ----------
    path : str or path-like

    Raises
    ------
    OSError
        If the disk turns out to be full or broken only now.

    Examples
    --------
    >>> with scratch_folder() as folder:
    ...     flush_to_disk(folder / LOCK_NAME)
    """
    if not os.path.isdir(path):
        _flush(path)
    elif os.name == "posix":
        # Windows keeps names by itself; some shared disks cannot flush a folder.
        with contextlib.suppress(OSError):
            _flush(path)


def _flush(path):
    # Windows flushes no file that is opened only to be read.
    flags = os.O_RDONLY if os.name == "posix" else os.O_RDWR
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _own_prefix():
    """Return how the names of this computer's folders begin."""
    host = hashlib.sha256(platform.node().encode()).hexdigest()
    return f"{_PREFIX}{host[:_HOST_CHARACTERS]}-"


def _make_folder(parent):
    """Return a new, locked folder as a tempfile.TemporaryDirectory, and the lock or None."""
    from filelock import Timeout

    for _ in range(_MAX_TRIES):
        folder = tempfile.TemporaryDirectory(
            prefix=_own_prefix(), dir=parent, ignore_cleanup_errors=True
        )
        try:
            lock = take_lock(Path(folder.name, LOCK_NAME))
        except (Timeout, FileNotFoundError, FileExistsError):
            # Another process came upon the folder before it was locked, and is removing it.
            folder.cleanup()
            continue
        if _is_private(folder.name):
            return folder, lock
        # It had been removed already, and filelock may have made it again, open to others.
        _release(lock)
        folder.cleanup()
    raise OSError(f"no temporary folder stays in {parent}: does something else remove them?")


def _release(lock):
    if lock is not None:
        lock.release()


def _is_private(folder):
    """Say whether a folder is there, is this user's, and nobody else may read it."""
    try:
        status = os.stat(folder)
    except FileNotFoundError:
        return False
    if os.name != "posix":
        return True
    return status.st_uid == os.getuid() and status.st_mode & 0o077 == 0


def _may_be_left_behind(entry):
    """Say whether a folder is this user's, and this computer's or very old."""
    # Of a link, this is the link itself.
    status = entry.stat(follow_symlinks=False)
    if not entry.is_dir(follow_symlinks=False):
        return False
    if os.name == "posix" and status.st_uid != os.getuid():
        return False
    is_own = entry.name.startswith(_own_prefix())
    return is_own or time.time() - status.st_mtime > _OTHER_HOST_SECONDS


def _remove_unused(folder):
    """Remove a folder unless somebody uses it, or it is on a disk that knows no locks."""
    # It raises an OSError where the lock is held.
    lock = take_lock(Path(folder, LOCK_NAME))
    if lock is None:
        return
    if os.name == "posix":
        # Its maker may just be about to lock it: under its name there is nothing to lock any more.
        doomed = f"{folder}-old"
        os.rename(folder, doomed)
        shutil.rmtree(doomed, ignore_errors=True)
        lock.release()
    else:
        # Windows removes no file that is locked.
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)
