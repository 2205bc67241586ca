"""Opening files that anybody may have made, so that none of them can keep a program waiting."""

# Only the standard library: the doctor reads settings where all else is missing.
import os
import stat
import struct

# The end of a zip: the length of the list of members stands in its bytes 12 to 16. A comment of at
# most 64 KB may follow. Zip64, for files above 4 GB, adds a record before it.
_ZIP_END_MAGIC = b"PK\5\6"
_ZIP64_MAGIC = b"PK\6\7"
_ZIP_END_BYTES = 22
_ZIP64_BYTES = 20
_MAX_COMMENT_BYTES = 2**16
# Four to ten members need less than 1,000 bytes.
_MAX_LIST_BYTES = 2**16


class ForeignFileError(ValueError):
    """A file is refused before anything in it is read; the text says what was received."""


def open_plain(path):
    """Open a file to read its bytes; what is no plain file is refused.

    To open or to read a pipe or a device may take for ever.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    file object
        Binary. Whoever opens it closes it.

    Raises
    ------
    ForeignFileError
        If it is a folder, a pipe, a socket or a device.
    OSError
        If there is no such file, or if it may not be read.

    Examples
    --------
    >>> with open_plain(__file__) as file:
    ...     file.read(3)
    b'\"\"\"'
    """
    # First, because to open some devices does something, such as to rewind a tape.
    _refuse_special(os.stat(path))
    # Not blocking, because what has this name now may be a pipe by then.
    descriptor = os.open(path, os.O_RDONLY | _flag("O_NONBLOCK") | _flag("O_BINARY"))
    try:
        _refuse_special(os.fstat(descriptor))
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _flag(name):
    """Return a number for `os.open`, or 0 where the system has none of this name."""
    return getattr(os, name, 0)


def _refuse_special(status):
    if stat.S_ISDIR(status.st_mode):
        raise ForeignFileError("a folder")
    if not stat.S_ISREG(status.st_mode):
        raise ForeignFileError("a pipe, a socket or a device")


def check_zip_list(file):
    """Refuse an archive with a long list of members, which `zipfile` would read all at once.

    Parameters
    ----------
    file : file object
        Binary; it can be at any place, and is left at another.

    Raises
    ------
    ForeignFileError
        If the list has more than 64 KB, or if this is no zip file.

    Examples
    --------
    >>> import io
    >>> check_zip_list(io.BytesIO(b"PK"))
    Traceback (most recent call last):
    ...
    mnist_helpers.foreign_files.ForeignFileError: a damaged or cut file (it is not a zip file)
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _ZIP_END_BYTES - _MAX_COMMENT_BYTES, 0))
    tail = file.read()
    place = tail.rfind(_ZIP_END_MAGIC)
    end = tail[place : place + _ZIP_END_BYTES]
    if place < 0 or len(end) < _ZIP_END_BYTES:
        raise ForeignFileError("a damaged or cut file (it is not a zip file)")
    (list_bytes,) = struct.unpack("<I", end[12:16])
    is_zip64 = _ZIP64_MAGIC in tail[max(place - _ZIP64_BYTES, 0) : place]
    if list_bytes > _MAX_LIST_BYTES or is_zip64:
        raise ForeignFileError("an archive made for more files")
