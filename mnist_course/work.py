"""Your own copies of the notebooks: ``make work`` makes those that are missing, ``make reset`` all.

It needs the standard library alone, so that it works before anything is installed.
"""

import argparse
import errno
import os
import shutil
import stat
import sys
import tempfile
import time
from pathlib import Path

NOTEBOOKS = Path("notebooks")
WORK = Path("work")
_REFUSED = 2

FULL = (errno.ENOSPC, errno.EDQUOT)
NOT_A_FOLDER = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR)


def main(arguments=None):
    """Copy the notebooks of this folder, and return the exit status: 0, or 2 after a message."""
    parser = argparse.ArgumentParser(prog="mnist_course.work", description=__doc__)
    parser.add_argument("--reset", action="store_true", help="keep the old copies under a new name")
    options = parser.parse_args(arguments)
    try:
        if options.reset and WORK.exists():
            print(f"Your notebooks are kept in {set_aside(WORK)}.")
        copy_notebooks(NOTEBOOKS, WORK)
    except OSError as error:
        print(f"make: {describe(error)}", file=sys.stderr)
        return _REFUSED
    return 0


def describe(error):
    """Say what could not be written, why, and what to do about it.

    Parameters
    ----------
    error : OSError

    Returns
    -------
    str

    Examples
    --------
    >>> describe(OSError(errno.ENOSPC, "No space left on device", "work"))
    'work cannot be written (No space left on device): free some disk space'
    """
    # Others say all of it themselves.
    if error.filename is None or not error.strerror:
        return str(error)
    reason = error.strerror
    advice = "copy the whole folder to where you may write"
    if error.errno in FULL:
        advice = "free some disk space"
    if error.errno in NOT_A_FOLDER:
        advice = "give what has that name another one"
    # A copy that failed has two names: of what was read, and of what could not be written.
    return f"{error.filename2 or error.filename} cannot be written ({reason}): {advice}"


def copy_notebooks(source, work):
    """Copy the notebooks that are not there yet; one that is there is never touched.

    Parameters
    ----------
    source, work : pathlib.Path
        The folder of the notebooks, and the one for the copies; it is made when it is missing.

    Raises
    ------
    OSError
        If a copy cannot be made. None is there in part.

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
    work.mkdir(exist_ok=True)
    for path in sorted(source.glob("*.ipynb")):
        if not os.path.lexists(work / path.name):
            _copy_writable(path, work / path.name)


def _copy_writable(path, copy):
    """Copy a file whole or not at all; its owner may write the copy, whatever the mode was."""
    descriptor, part = tempfile.mkstemp(prefix=".", suffix=".part", dir=copy.parent)
    os.close(descriptor)
    try:
        # Not shutil.copy, which makes the copy of a read-only file read-only.
        shutil.copyfile(path, part)
        os.chmod(part, _usual_mode())
        os.replace(part, copy)
    except BaseException:
        os.unlink(part)
        raise


def _usual_mode():
    """Return the mode that a new file has here; its owner may read and write it."""
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask | stat.S_IRUSR | stat.S_IWUSR


def set_aside(folder):
    """Give a folder a dated name that no other has, and return it.

    Parameters
    ----------
    folder : pathlib.Path

    Returns
    -------
    pathlib.Path
    """
    name = f"{folder.name}-{time.strftime('%Y-%m-%d-%H%M%S')}"
    while os.path.lexists(folder.with_name(name)):
        name += "-again"
    return folder.rename(folder.with_name(name))


if __name__ == "__main__":
    sys.exit(main())
