"""What keeps a sweep's files from the other users of a machine."""

import os
from contextlib import contextmanager

# What nobody but the owner may do with a new file: read, write, execute.
_OWNER_ONLY = 0o077


@contextmanager
def private_files():
    """Make all files and folders private from the start, as long as a ``with`` block runs.

    It holds for this process and those that it starts meanwhile: only this user can read or change
    what they make, whatever the user's umask allows. What was there before stays as it is.

    Examples
    --------
    >>> from mnist_helpers.scratch import scratch_folder
    >>> with private_files(), scratch_folder() as folder:
    ...     _ = (folder / "result.json").write_text("for my eyes only")
    """
    before = os.umask(_OWNER_ONLY)
    try:
        yield
    finally:
        os.umask(before)
