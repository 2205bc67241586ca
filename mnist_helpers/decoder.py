"""Decode picture files in a process of its own, so that no file can cost more than is allowed.

What a file costs cannot be read from its header: 0.6 MB of JPEG may hold 5,000 passes over the
picture, and each format has such tricks of its own. So a small second process decodes. It has a
limit of computing time for each picture and a limit of memory, and when it is ended by one of
them, only this picture is lost. It is started with the first file, goes on for all others, and
ends with the process that started it.

This file is both ends: it is imported here, and run as a program there. Run so, it knows nothing
but the standard library and Pillow, which keeps it small (17 MB) and quick to start (0.1 s).
"""

import atexit
import io
import json
import math
import os
import signal
import struct
import subprocess
import sys
import threading
import warnings
from pathlib import Path

if __name__ == "__main__":
    # The process that decodes is told where Pillow lies.
    sys.path.append(sys.argv[1])

import PIL
from PIL import Image, ImageOps, UnidentifiedImageError

# Of the many formats that Pillow knows, only some that run no program: EPS would start one.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
MAX_PIXELS = 50_000_000
# Pillow keeps an address for each row of pixels: 50 million rows of one took 1.4 GB.
MAX_SIDE = 1_000_000
MAX_BYTES = 400_000_000

# The largest sound pictures (50 million pixels, all formats) took up to 2.8 s and 0.8 GB.
MAX_CPU_SECONDS = 3.5
MAX_MEMORY = 1_000_000_000
# For a process that does not compute: one that is stopped, or starved by others. Windows has no
# other limit of time.
MAX_WALL_SECONDS = 60
if sys.platform == "win32":
    MAX_WALL_SECONDS = 10
TOO_COSTLY = (
    f"`image` takes more than {MAX_CPU_SECONDS} seconds of computing or "
    f"{MAX_MEMORY / 1e9:.1f} GB of memory to decode: save it again, as PNG or JPEG"
)

# The value of white: in fractions, in 8 bits, in 16 bits.
WHITES = (1, 255, 65535)
# Values of an array that are converted at once: the whole in floats would need gigabytes.
VALUES_AT_ONCE = 4_000_000
# The numbers of the tags in which a TIFF says how large its tiles are.
TIFF_TILE_WIDTH = 322
TIFF_TILE_LENGTH = 323

# Between the two processes: how many bytes follow, and the longer side of the answer in pixels.
REQUEST = struct.Struct("<QI")
# How many bytes of JSON follow; after them come the pixels, when there are any.
REPLY = struct.Struct("<I")
BYTES_AT_ONCE = 2**20


class BadPictureError(ValueError):
    """What was given cannot be read as a picture."""


# --- what is done to a picture, in either process -----------------------------------------------


def describe_unsound(received):
    """Say what a picture must be, and what was received.

    Parameters
    ----------
    received : str or Exception

    Returns
    -------
    str
    """
    formats = ", ".join(FORMATS)
    return f"`image` must be a sound picture ({formats}); received: {received}"


def open_picture(data):
    """Open a picture file; only its header is read.

    Parameters
    ----------
    data : bytes
        The content of the file.

    Returns
    -------
    PIL.Image.Image

    Raises
    ------
    BadPictureError
        If it is in none of `FORMATS`. For other faults, Pillow raises errors of many kinds.
    """
    # HEIC and the formats of films begin with a box of this name.
    if data[4:8] == b"ftyp":
        raise BadPictureError(
            "`image` must not be HEIC, a phone's own format, nor a film: export it as JPEG, or "
            "set the phone's camera to 'Most compatible'"
        )
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise BadPictureError(describe_unsound("something else")) from error


def shrink(picture, side, *, is_ours):
    """Turn a picture upright, make it gray in 8 bits, and shrink it.

    Parameters
    ----------
    picture : PIL.Image.Image
    side : int
        The longer side of the result has at most this many pixels.
    is_ours : bool
        Whether `picture` may be changed in place, which saves time and memory.

    Returns
    -------
    PIL.Image.Image
        Of the mode L, or LA if it has an opacity.

    Raises
    ------
    BadPictureError
        If it is too large, or holds no gray levels. Pillow raises errors of many kinds besides.
    """
    _check_picture_size(picture)
    if is_ours:
        # A large JPEG need not be decoded whole.
        picture.draft("L", (2 * side, 2 * side))
        ImageOps.exif_transpose(picture, in_place=True)
    else:
        picture = ImageOps.exif_transpose(picture)
    # Pillow's modes I, I;16 and F hold 16 bits and more; `convert` would cut them off at 255.
    if picture.mode[0] in "IF":
        # Only for these: importing NumPy costs as much as all the rest of the second process.
        import numpy as np

        picture = from_array(np.asarray(picture))
    if picture.has_transparency_data:
        picture = picture.convert("LA")
    else:
        picture = picture.convert("L")
    picture.thumbnail((side, side), Image.Resampling.HAMMING)
    return picture


def _check_picture_size(picture):
    width, height = picture.size
    check_size(width, height)
    # A TIFF is decoded tile by tile, and a tile may claim to be larger than its picture.
    tags = getattr(picture, "tag_v2", {})
    tile_width = tags.get(TIFF_TILE_WIDTH, 1)
    tile_length = tags.get(TIFF_TILE_LENGTH, 1)
    check_size(tile_width, tile_length)


def check_size(width, height):
    """Refuse what has no pixels, more than `MAX_PIXELS`, or a side longer than `MAX_SIDE`.

    Parameters
    ----------
    width, height : int

    Raises
    ------
    BadPictureError
    """
    if not 0 < width * height <= MAX_PIXELS:
        raise BadPictureError(
            f"`image` must have 1 to {MAX_PIXELS:,} pixels; received {width} × {height}"
        )
    if max(width, height) > MAX_SIDE:
        raise BadPictureError(
            f"`image` must have sides of at most {MAX_SIDE:,} pixels; received {width} × {height}"
        )


def from_array(array):
    """Make an 8-bit picture of an array of numbers whose shape has been checked.

    Parameters
    ----------
    array : ndarray, shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4)
        From 0 to 1, 255 or 65535.

    Returns
    -------
    PIL.Image.Image

    Raises
    ------
    BadPictureError
        If it holds other values.
    """
    import numpy as np

    low = array.min()
    high = array.max()
    # NaN fails this comparison too.
    if not 0 <= low <= high <= WHITES[-1]:
        raise BadPictureError(
            f"`image` must hold finite values from 0 to 1, 255 or 65535; received {low} to {high}"
        )
    white = min(white for white in WHITES if high <= white)
    if array.dtype != np.uint8 or white == 1:
        array = _to_8_bits(array, white)
    if array.shape[2:] == (1,):
        array = array[..., 0]
    return Image.fromarray(array)


def _to_8_bits(array, white):
    import numpy as np

    levels = np.empty(array.shape, "uint8")
    values_in_row = array[0].size
    step = max(1, VALUES_AT_ONCE // values_in_row)
    for start in range(0, len(array), step):
        rows = array[start : start + step].astype("float32")
        levels[start : start + step] = np.rint(rows * (255 / white))
    return levels


# --- this end: the process that asks ------------------------------------------------------------


def decode_path(path, side):
    """Decode a picture file in the second process.

    Parameters
    ----------
    path : str or Path
    side : int
        The longer side of the result has at most this many pixels.

    Returns
    -------
    pixels : bytes
    shape : tuple of int
        (h, w) of gray levels, or (h, w, 2) of gray levels and opacities.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    BadPictureError
        If it is no picture, or cannot be decoded within the limits.
    """
    # Here, because this file alone is all that the other end knows.
    from mnist_helpers.foreign_files import open_plain

    try:
        with open_plain(path) as file:
            size = os.fstat(file.fileno()).st_size
            return _decoder.decode(file, size, side)
    except (FileNotFoundError, BadPictureError):
        raise
    except OSError as error:
        # Without the number and the path that `str` adds: the caller knows the path.
        raise BadPictureError(describe_unsound(error.strerror or error)) from error
    except ValueError as error:
        # A folder, a pipe or a device; or a path with a null character.
        raise BadPictureError(describe_unsound(error)) from error


def decode_bytes(data, side):
    """Decode a picture in the second process.

    Parameters
    ----------
    data : bytes
        The content of a picture file.
    side : int
        The longer side of the result has at most this many pixels.

    Returns
    -------
    pixels : bytes
    shape : tuple of int
        (h, w) of gray levels, or (h, w, 2) of gray levels and opacities.

    Raises
    ------
    BadPictureError
        If it is no picture, or cannot be decoded within the limits.
    """
    return _decoder.decode(io.BytesIO(data), len(data), side)


class _Decoder:
    """The second process, and the pipes to it."""

    def __init__(self):
        self._process = None
        # Pictures of several threads are decoded one after the other.
        self._lock = threading.Lock()

    def decode(self, file, size, side):
        """Return pixels and shape, as `decode_path` does, of `size` bytes in a file."""
        if size == 0:
            raise BadPictureError(describe_unsound("something else: it is empty"))
        if size > MAX_BYTES:
            raise BadPictureError(
                f"`image` must have at most {MAX_BYTES:,} bytes; received {size:,}"
            )
        with self._lock:
            reply, pixels = self._ask(file, size, side)
        if "error" in reply:
            raise BadPictureError(reply["error"])
        return pixels, tuple(reply["shape"])

    def _ask(self, file, size, side):
        if self._process is not None and self._process.poll() is not None:
            # Somebody ended it after the last picture.
            self.stop()
        if self._process is None:
            self._process = _start()
        process = self._process
        # Killing it is what ends every wait for it, on all systems.
        timer = threading.Timer(MAX_WALL_SECONDS, process.kill)
        timer.daemon = True
        timer.start()
        try:
            _send(process.stdin, REQUEST.pack(size, side))
            _send_file(process.stdin, file, size)
            return _receive_reply(process.stdout)
        except (BrokenPipeError, EOFError) as error:
            self.stop()
            raise BadPictureError(TOO_COSTLY) from error
        except BaseException:
            # After Ctrl-C, too, the rest of this answer would be taken for the next one.
            self.stop()
            raise
        finally:
            timer.cancel()

    def stop(self):
        """End the process; the next picture starts a new one."""
        process = self._process
        self._process = None
        if process is not None:
            process.kill()
            process.stdin.close()
            process.stdout.close()
            process.wait()

    def forget(self):
        """In a copy that `os.fork` made: leave the process to the one that started it."""
        process = self._process
        self._process = None
        self._lock = threading.Lock()
        if process is not None:
            # Open in the copy, the pipe would keep the process alive when its owner has ended.
            process.stdin.close()
            process.stdout.close()
            # It is not a child of the copy, which therefore must not look after it.
            process.returncode = 0


_decoder = _Decoder()
atexit.register(_decoder.stop)
# Windows has no fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_decoder.forget)


def _start():
    # -I: no variable and nothing in the current folder reaches in. -S: nor does what an
    # environment runs at each start. Pillow is found where it was found here.
    folder = Path(PIL.__file__).parents[1]
    limits = [str(MAX_CPU_SECONDS), str(MAX_MEMORY)]
    program = [sys.executable, "-I", "-S", __file__, str(folder), *limits]
    try:
        return subprocess.Popen(
            program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # The libraries below Pillow tell there what is odd about a file.
            stderr=subprocess.DEVNULL,
            bufsize=0,
            # Any folder but the current one, which Windows could not remove as long as it runs.
            cwd=Path(__file__).parent,
            # Ctrl-C is for the process that asks.
            start_new_session=True,
        )
    except OSError as error:
        reason = error.strerror or error
        raise BadPictureError(
            f"`image` cannot be decoded, because no process can be started: {reason}"
        ) from error


def _send(pipe, data):
    left = memoryview(data)
    while len(left) > 0:
        n_written = pipe.write(left)
        left = left[n_written:]


def _send_file(pipe, file, size):
    left = size
    while left > 0:
        data = file.read(min(left, BYTES_AT_ONCE))
        if not data:
            raise BadPictureError(describe_unsound("a file that was cut while it was read"))
        _send(pipe, data)
        left -= len(data)


def _receive(pipe, size):
    parts = []
    left = size
    while left > 0:
        data = pipe.read(left)
        if not data:
            raise EOFError
        parts.append(data)
        left -= len(data)
    return b"".join(parts)


def _receive_reply(pipe):
    (length,) = REPLY.unpack(_receive(pipe, REPLY.size))
    reply = json.loads(_receive(pipe, length))
    pixels = b""
    if "shape" in reply:
        pixels = _receive(pipe, math.prod(reply["shape"]))
    return reply, pixels


# --- the other end: the process that decodes ----------------------------------------------------


def _serve(requests, replies, max_cpu_seconds):
    """Decode pictures until the other end is closed."""
    while True:
        _limit_time(max_cpu_seconds)
        header = requests.read(REQUEST.size)
        if len(header) < REQUEST.size:
            return
        size, side = REQUEST.unpack(header)
        reply, pixels = _decode(requests.read(size), side)
        text = json.dumps(reply).encode()
        replies.write(REPLY.pack(len(text)))
        replies.write(text)
        replies.write(pixels)
        replies.flush()


def _decode(data, side):
    try:
        picture = shrink(open_picture(data), side, is_ours=True)
    except BadPictureError as error:
        return {"error": str(error)}, b""
    except MemoryError:
        return {"error": TOO_COSTLY}, b""
    except Exception as error:
        # Pillow's readers raise errors of many kinds when a file is damaged.
        return {"error": describe_unsound(error)}, b""
    width, height = picture.size
    shape = (height, width)
    if picture.mode == "LA":
        shape = (height, width, 2)
    return {"shape": shape}, picture.tobytes()


def _limit_time(max_cpu_seconds):
    # Windows has no such timer.
    if hasattr(signal, "setitimer"):
        # What ran before this one may have left the signal ignored or blocked.
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF])
        signal.setitimer(signal.ITIMER_PROF, max_cpu_seconds)


def _limit_memory(max_memory):
    try:
        import resource
    except ModuleNotFoundError:
        # Windows: there, the limits of pixels and bytes have to do.
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY:
        max_memory = min(max_memory, most)
    # macOS takes this limit and does not keep to it: there too, pixels and bytes have to do.
    resource.setrlimit(resource.RLIMIT_AS, (max_memory, most))


if __name__ == "__main__":
    _limit_memory(int(sys.argv[3]))
    # Pillow warns of oddities in a file; whoever reads a digit can do nothing about them.
    warnings.simplefilter("ignore")
    _serve(sys.stdin.buffer, sys.stdout.buffer, float(sys.argv[2]))
