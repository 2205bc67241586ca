"""Your own copies of the notebooks: ``make work`` makes those that are missing, ``make reset`` all.

It needs the standard library alone, so that it works before anything is installed.
"""

import os
import sys

if __name__ == "__main__":
    # `make` starts this file where nothing need be installed. The project's folder comes last,
    # so that no file of somebody's own in it, such as random.py, hides one of Python's.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    from mnist_course.signals import leave_on_interrupt

    leave_on_interrupt()

import argparse
import codecs
import errno
import shutil
import stat
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from mnist_course.files import read_file, reading
from mnist_course.signals import run_program
from mnist_course.terminal import guard_output

NOTEBOOKS = Path("notebooks")
WORK = Path("work")

FULL = (errno.ENOSPC, errno.EDQUOT)
NOT_A_FOLDER = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR)

# What is not complete yet has such a name, with the number of the process that makes it.
PART_PREFIX = ".mnist-copy-"
PART_SUFFIX = ".part"

# How long another process that copies in the same folder is waited for, and between two looks.
LONGEST_WAIT = 20
WAIT_STEP = 0.05


def main(arguments=None):
    """Copy the notebooks of this folder, and return the exit status: 0, or 2 after a message.

    It is 130 or more when a signal has stopped it, 141 when nobody reads its output; see
    `mnist_course.__main__.main`.
    """
    parser = argparse.ArgumentParser(prog="mnist_course.work", description=__doc__)
    parser.add_argument("--reset", action="store_true", help="keep the old copies under a new name")
    options = parser.parse_args(arguments)
    with guard_output():
        return run_program("make", lambda: _copy(options.reset))


def _copy(is_reset):
    try:
        if is_reset and os.path.lexists(WORK):
            kept = start_again(NOTEBOOKS, WORK)
            # All is done by now, should nobody read this.
            print(f"Your notebooks are kept in {kept}.")
        else:
            copy_notebooks(NOTEBOOKS, WORK)
    except OSError as error:
        raise OSError(describe(error, WORK)) from None
    return 0


def describe(error, place=None):
    """Say what could not be written, why, and what to do about it.

    Parameters
    ----------
    error : OSError
    place : str or path-like, optional
        What was to be written, where the error does not name it.

    Returns
    -------
    str

    Examples
    --------
    >>> describe(OSError(errno.ENOSPC, "No space left on device", "work"))
    'work cannot be written (No space left on device): free some disk space'
    """
    # A copy that failed has two names: of what was read, and of what could not be written.
    name = error.filename2 or error.filename or place
    # Others say all of it themselves.
    if name is None or not error.strerror:
        return str(error)
    advice = "copy the whole folder to where you may write"
    if error.errno in FULL:
        advice = "free some disk space"
    if error.errno in NOT_A_FOLDER:
        advice = "give what has that name another one"
    return f"{name} cannot be written ({error.strerror}): {advice}"


# --- copies ------------------------------------------------------------------------------------


def copy_notebooks(source, work):
    """Copy the notebooks that are not there yet; one that is there is never touched.

    Parameters
    ----------
    source, work : pathlib.Path
        The folder of the notebooks, and the one for the copies; it is made when it is missing.

    Raises
    ------
    OSError
        If there are no notebooks, or a copy cannot be made. None is there in part; all others
        that can be made are there.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as place:
    ...     source = Path(place, "notebooks")
    ...     source.mkdir()
    ...     _ = (source / "01.ipynb").write_text("a notebook")
    ...     copy_notebooks(source, Path(place, "work"))
    ...     Path(place, "work", "01.ipynb").read_text()
    'a notebook'
    """
    paths = _find_notebooks(source)
    with _one_at_a_time(work):
        _make_folder(work)
        _copy_missing(paths, work, work)


def _copy_missing(paths, folder, work):
    """Copy notebooks into a folder, which is `work` or will be; messages name only that one."""
    problem = None
    for path in paths:
        try:
            if not os.path.lexists(folder / path.name):
                with _writing(work / path.name):
                    _copy_writable(path, folder / path.name)
        except OSError as error:
            problem = problem or error
    if problem:
        raise problem


def _find_notebooks(source):
    names = []
    if os.path.lexists(source):
        with reading(source):
            names = sorted(os.listdir(source))
    # Of files that start with a dot, systems make some beside each file.
    names = [name for name in names if name.endswith(".ipynb") and not name.startswith(".")]
    if not names:
        raise FileNotFoundError(
            f"there is no notebook in {source}: start this in the course's own folder"
        )
    return [source / name for name in names]


def _make_folder(folder):
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        folder.chmod(_usual_mode(0o777, stat.S_IRWXU))


def _copy_writable(path, copy):
    """Copy a file whole or not at all; its owner may write the copy, whatever the mode was."""
    # JupyterLab takes no byte-order mark, which some editors put in front.
    content = read_file(path).removeprefix(codecs.BOM_UTF8)
    descriptor, part = tempfile.mkstemp(PART_SUFFIX, _own_prefix(), copy.parent)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    os.chmod(part, _usual_mode(0o666, stat.S_IRUSR | stat.S_IWUSR))
    _give_name(part, copy)


@contextmanager
def _writing(path):
    """Let an OSError in the block name this: the name of a part would tell nobody anything."""
    try:
        yield
    except OSError as error:
        # What could not be read has said so itself.
        if not error.strerror:
            raise
        raise OSError(describe(OSError(error.errno, error.strerror, str(path)))) from None


def _give_name(part, copy):
    """Give a file its final name, unless another process has just made a file of that name."""
    try:
        os.link(part, copy)
    except FileExistsError:
        pass
    except OSError:
        # Not every disk has links.
        os.replace(part, copy)


def _usual_mode(mode, least):
    """Return the mode that what is new has here; its owner has at least these rights."""
    umask = os.umask(0)
    os.umask(umask)
    return mode & ~umask | least


# --- fresh copies ------------------------------------------------------------------------------


def start_again(source, work):
    """Put fresh copies in the place of a folder, which gets a dated name; or change nothing.

    Parameters
    ----------
    source, work : pathlib.Path
        The folder of the notebooks, and the one for the copies, which is there.

    Returns
    -------
    pathlib.Path
        The folder's new name.

    Raises
    ------
    OSError
        As `copy_notebooks` does.
    """
    paths = _find_notebooks(source)
    with _one_at_a_time(work):
        with _writing(work):
            part = Path(tempfile.mkdtemp(PART_SUFFIX, _own_prefix(), work.parent))
            part.chmod(_usual_mode(0o777, stat.S_IRWXU))
        _copy_missing(paths, part, work)
        with _writing(work):
            return _swap(work, part)


def _swap(work, part):
    """Put one folder in the place of another, or change nothing; return the other's new name."""
    kept = _unused_name(work)
    try:
        work.rename(kept)
        part.rename(work)
    except BaseException:
        if os.path.lexists(kept) and not os.path.lexists(work):
            kept.rename(work)
        raise
    return kept


def _unused_name(folder):
    """Return a dated name for a folder that no other has."""
    name = f"{folder.name}-{time.strftime('%Y-%m-%d-%H%M%S')}"
    while os.path.lexists(folder.with_name(name)):
        name += "-again"
    return folder.with_name(name)


# --- what is not complete ----------------------------------------------------------------------


def _own_prefix():
    return f"{PART_PREFIX}{os.getpid()}-"


@contextmanager
def _one_at_a_time(work):
    """Wait until no other process copies here; what one that was killed has left is removed.

    At the end, nothing is left of what this process has not completed.
    """
    # A folder that is open can be locked as a file can, and nothing is left of such a lock.
    lock = _open_folder(work.parent)
    try:
        if _take_lock(lock):
            _remove_parts(work, PART_PREFIX)
        yield
    finally:
        _remove_parts(work, _own_prefix())
        if lock is not None:
            os.close(lock)


def _open_folder(folder):
    if os.name == "posix":
        with suppress(OSError):
            return os.open(folder, os.O_RDONLY)
    return None


def _take_lock(descriptor):
    """Try for a while to lock a folder, and say whether this process has it; some disks cannot."""
    if descriptor is None:
        return False
    import fcntl

    end = time.monotonic() + LONGEST_WAIT
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            # Not waited for without end: another user might hold it.
            if time.monotonic() > end:
                return False
            time.sleep(WAIT_STEP)
        except OSError:
            return False


def _remove_parts(work, prefix):
    """Remove parts of copies in the folder for copies, and of this folder beside it."""
    for folder in (work.parent, work):
        with suppress(OSError):
            for name in os.listdir(folder):
                if name.startswith(prefix) and name.endswith(PART_SUFFIX):
                    _remove(folder / name)


def _remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()


if __name__ == "__main__":
    sys.exit(main())
