"""From any picture, a file or an array, to gray levels: nothing is decoded before it is checked."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")  # none of them runs a program
SUFFIXES = tuple(".png .jpg .jpeg .gif .bmp .webp .tif .tiff .ppm .pgm .pbm".split())
MAX_PIXELS = 50_000_000
MAX_BYTES = 400_000_000


class BadPictureError(ValueError):
    """What was given cannot be read as a picture."""


def read_gray(image, side):
    """Read a picture as gray levels, shrunk to at most `side` pixels.

    Parameters
    ----------
    image : str, Path, bytes, Pillow image or ndarray
        As `drawing.prepare_drawing` takes it. A photograph is turned upright; of an animation
        the first frame is taken; what is transparent becomes white, or black under light ink.
    side : int
        Pixels of the longer side, at most.

    Returns
    -------
    ndarray of float32, shape (h, w)
        0 is black, 1 white.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file; if it is no picture, too large, or cannot be read.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            picture = _open(image)
            _check_size(*picture.size)
            tile = getattr(picture, "tag_v2", {})  # a TIFF's tile may be larger than its picture
            _check_size(tile.get(322, 1), tile.get(323, 1))
            if picture is not image:
                picture.draft("L", (2 * side, 2 * side))  # a large JPEG need not be decoded whole
            picture = ImageOps.exif_transpose(picture)
            if picture.mode[0] in "IF":  # 16 bits and more
                picture = _from_array(np.asarray(picture))
            picture = picture.convert("LA" if picture.has_transparency_data else "L")
            picture.thumbnail((side, side), Image.Resampling.HAMMING)
    except (FileNotFoundError, BadPictureError):
        raise
    except Exception as error:  # Pillow's readers raise many kinds
        came = "something else" if isinstance(error, UnidentifiedImageError) else error
        names = ", ".join(FORMATS)
        raise BadPictureError(
            f"`image` must be a sound picture ({names}); received: {came}"
        ) from error
    gray = np.asarray(picture, "float32") / 255
    if gray.ndim == 2:
        return gray
    inked, opacity = gray[..., 0] * gray[..., 1], gray[..., 1]
    return max(inked + 1 - opacity, inked, key=np.ptp)


def _open(image):
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if isinstance(image, (str, Path)):
        with open(image, "rb") as file:
            image = file.read(MAX_BYTES)
    if not isinstance(image, bytes):
        kind = type(image).__name__
        raise BadPictureError(
            f"`image` must be a path, bytes, a picture or an array; received {kind}"
        )
    if image[4:8] == b"ftyp":
        raise BadPictureError(
            "`image` must not be HEIC, a phone's own format, nor a film: export it as JPEG, or "
            "set the phone's camera to 'Most compatible'"
        )
    return Image.open(io.BytesIO(image), formats=FORMATS)


def _from_array(array):
    shape, kind = array.shape, array.dtype.kind
    if kind not in "buif" or array.ndim not in (2, 3) or shape[2:] not in ((), (1,), (3,), (4,)):
        raise BadPictureError(
            "`image` must be numbers of shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4); "
            f"received {array.dtype} {shape}"
        )
    _check_size(shape[1], shape[0])
    low, high = array.min(), array.max()
    if not 0 <= low <= high <= 65535:  # NaN is not either
        raise BadPictureError(
            f"`image` must hold finite values from 0 to 1, 255 or 65535; received {low} to {high}"
        )
    full = min(full for full in (1, 255, 65535) if high <= full)
    if array.dtype != np.uint8 or full == 1:
        array = np.rint(array.astype("float32") * (255 / full)).astype("uint8")
    return Image.fromarray(array[..., 0] if shape[2:] == (1,) else array)


def _check_size(width, height):
    if not 0 < width * height <= MAX_PIXELS:
        raise BadPictureError(
            f"`image` must have 1 to {MAX_PIXELS:,} pixels; received {width} × {height}"
        )
