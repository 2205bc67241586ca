"""Temporary folders that are private, and that go away even when the program was killed."""

import contextlib
import errno
import functools
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
# Windows locks no folders: whoever uses one locks this file in it.
_WINDOWS_LOCK = "in-use.lock"
# Earlier versions locked a file in the folder on all systems. Neither may take the other's folder
# for one that nobody uses, so to each the other's look like those of another computer.
_WAY_OF_LOCKING = "folder"
# What ends the name of a folder that is being removed.
_DOOMED = "-old"
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
# What Linux tells a process of the users that its container has.
_USER_MAP = Path("/proc/self/uid_map")
_UNKNOWN_USER = Path("/proc/sys/kernel/overflowuid")


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
        The folder. It is empty, but for the file of a lock on Windows.

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
    folder, release = _make_folder(parent)
    try:
        yield Path(folder.name)
    finally:
        folder.cleanup()
        release()
        # Windows removes no file that is locked.
        _remove_tree(folder.name)


def refuse_foreign_folder(folder):
    """Refuse a folder where another user could put something in the place of what is written.

    That is so if such a user may rename what lies in the folder, or in one on the way to it.
    Folders that a group may write into pass, for somebody has shared them on purpose; those of
    other users only where this user is in that group, or is root, who in a container has to work
    in folders of others.

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
    if status.st_uid == os.getuid():
        return ""
    if status.st_uid not in (_ROOT, _user_outside()):
        if is_open:
            return "belongs to another user and lets everybody write into it"
        if not _is_shared_with_us(status):
            return "belongs to another user, who can replace what lies in it"
        return ""
    # In a sticky folder, such as that for temporary files, only its owner renames what belongs to
    # others.
    if is_open and not status.st_mode & stat.S_ISVTX:
        return "lets everybody replace what lies in it"
    return ""


def _is_shared_with_us(status):
    if os.getuid() == _ROOT:
        return True
    groups = [os.getegid(), *os.getgroups()]
    return bool(status.st_mode & stat.S_IWGRP) and status.st_gid in groups


@functools.cache
def _user_outside():
    """Return the number that Linux shows for the system's root in a container that lacks it.

    It stands for all users that such a container does not know. With Apptainer, for one, the
    system's folder for temporary files belongs to it. Where every user is known, and on other
    systems, there is none.
    """
    try:
        number = int(_UNKNOWN_USER.read_text())
        lines = _USER_MAP.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        first, _, count = map(int, line.split())
        if first <= number < first + count:
            return None
    return number


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
    ...     any(name.endswith("abc") for name in os.listdir(parent))
    False
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
    ...     flush_to_disk(folder)
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
    host = hashlib.sha256(f"{platform.node()} {_WAY_OF_LOCKING}".encode()).hexdigest()
    return f"{_PREFIX}{host[:_HOST_CHARACTERS]}-"


def _make_folder(parent):
    """Return a new, locked folder as a tempfile.TemporaryDirectory, and what gives up the lock."""
    for _ in range(_MAX_TRIES):
        folder = tempfile.TemporaryDirectory(
            prefix=_own_prefix(), dir=parent, ignore_cleanup_errors=True
        )
        try:
            release = _lock_folder(folder.name)
        except (TimeoutError, BlockingIOError, FileNotFoundError, FileExistsError):
            # Another process came upon the folder before it was locked, and is removing it.
            folder.cleanup()
            continue
        if release is None:
            return folder, _do_nothing
        if os.path.exists(folder.name):
            return folder, release
        # It had another name already when it was locked.
        release()
    raise OSError(f"no temporary folder stays in {parent}: does something else remove them?")


def _do_nothing():
    pass


def _lock_folder(folder):
    """Lock a folder that is there, for as long as this process lives.

    Cleaners of temporary files could remove a lock that is a file in it, after some days. By its
    manual, systemd's cleaner leaves a locked folder alone, with all that is in it.

    Returns
    -------
    callable or None
        It gives the lock up. None where the disk knows no locks.

    Raises
    ------
    OSError
        If somebody else has locked it, or it is not there.
    """
    if os.name != "posix":
        lock = take_lock(Path(folder, _WINDOWS_LOCK))
        if lock is None:
            return None
        return lock.release
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        # Disks have several ways to say that they lock no folders.
        os.close(descriptor)
        return None
    return functools.partial(os.close, descriptor)


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
    release = _lock_folder(folder)
    if release is None:
        return
    if os.name == "posix":
        try:
            # Its maker may just be about to lock it: under its name there is nothing to lock any
            # more. What has the other name already could not be removed then.
            if not folder.endswith(_DOOMED):
                doomed = f"{folder}{_DOOMED}"
                os.rename(folder, doomed)
                folder = doomed
            _remove_tree(folder)
        finally:
            release()
    else:
        # Windows removes no file that is locked.
        release()
        _remove_tree(folder)


def _remove_tree(folder):
    """Remove a folder of this user's with all that is in it, as far as that can be done."""
    # From a folder that may not be written or entered nothing can be removed, but by root.
    for place, names, _ in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            # What a link leads to is left as it is.
            if not os.path.islink(path):
                with contextlib.suppress(OSError):
                    os.chmod(path, stat.S_IRWXU)
    shutil.rmtree(folder, ignore_errors=True)
