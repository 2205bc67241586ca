"""What keeps a sweep's files from the other users of a machine."""

import os
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path

from mnist_helpers.scratch import scratch_folder

# What nobody but the owner may do with a new file: read, write, execute.
_OWNER_ONLY = 0o077
_ROOT = 0


@contextmanager
def private_files():
    """Make all files and folders private from the start, as long as a ``with`` block runs.

    It holds for this process and those that it starts meanwhile: only this user can read or change
    what they make, whatever the user's umask allows. What was there before stays as it is.

    Examples
    --------
    >>> with private_files():
    ...     _ = Path(tempfile.mkdtemp(), "result.json").write_text("for my eyes only")
    """
    before = os.umask(_OWNER_ONLY)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def private_folder():
    """Make a temporary folder that only this user may enter; it goes away with the block.

    Yields
    ------
    str
        Its path, which nobody knows beforehand.

    Raises
    ------
    PermissionError
        If another user could put another folder in its place.
    """
    refuse_foreign_folder(tempfile.gettempdir())
    with scratch_folder() as folder:
        yield str(folder)


def refuse_foreign_folder(folder):
    """Refuse a folder that another user made, or that lies in one, for everybody to write into.

    Such a user could read what is written there, and put something else in its place.

    Parameters
    ----------
    folder : str or path-like
        It need not exist; then the folders above it are what counts.

    Raises
    ------
    PermissionError

    Examples
    --------
    >>> refuse_foreign_folder(tempfile.mkdtemp())
    """
    if os.name != "posix":
        return
    # Symbolic links are followed first: what they lead to is what counts.
    place = Path(folder).resolve()
    for part in (place, *place.parents):
        if part.exists() and _is_foreign(part.stat()):
            raise PermissionError(
                f"another user made {part} and lets everybody write into it, so results there "
                "could be read and changed by others: name another folder, or take that right "
                f"away (chmod o-w {part})"
            )


def _is_foreign(status):
    is_open = bool(status.st_mode & stat.S_IWOTH)
    return is_open and status.st_uid not in (os.getuid(), _ROOT)
