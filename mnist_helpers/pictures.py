"""Read any picture, a file or an array, as gray levels; it is checked before it is decoded."""

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# Of the many formats that Pillow knows, only some that run no program: EPS would start one.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
MAX_PIXELS = 50_000_000
MAX_BYTES = 400_000_000

# The value of white: in fractions, in 8 bits, in 16 bits.
WHITES = (1, 255, 65535)
# The numbers of the tags in which a TIFF says how large its tiles are.
TIFF_TILE_WIDTH = 322
TIFF_TILE_LENGTH = 323


class BadPictureError(ValueError):
    """What was given cannot be read as a picture."""


def read_gray(image, side):
    """Read a picture as gray levels, shrunk to at most `side` pixels.

    A photograph is turned upright. Of an animation, the first frame is read. Transparent parts
    become white, or black where the ink is light.

    Parameters
    ----------
    image : str, Path, bytes, Pillow image or ndarray
        A file in one of `FORMATS`, its bytes, or a picture. An array is gray (h, w) or (h, w, 1),
        RGB (h, w, 3) or RGBA (h, w, 4), with values from 0 to 1, 255 or 65535.
    side : int
        The longer side of the result has at most this many pixels.

    Returns
    -------
    ndarray of float32, shape (h, w)
        0 is black, 1 is white.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    BadPictureError
        If it is not a picture, is too large, or cannot be read. This is a ValueError.

    Examples
    --------
    >>> import numpy as np
    >>> page = np.full((300, 400), 255, dtype="uint8")
    >>> gray = read_gray(page, side=200)
    >>> gray.shape
    (150, 200)
    >>> float(gray.min())
    1.0
    """
    try:
        # Pillow warns of oddities in a file; whoever reads a digit can do nothing about them.
        with warnings.catch_warnings(action="ignore"):
            picture = _open(image)
            _check_picture_size(picture)
            if picture is not image:
                # A large JPEG need not be decoded whole. This changes the picture in place, so
                # it is not done to one that the caller holds.
                picture.draft("L", (2 * side, 2 * side))
            picture = _to_8_bits(picture)
            picture.thumbnail((side, side), Image.Resampling.HAMMING)
    except (FileNotFoundError, BadPictureError):
        raise
    except UnidentifiedImageError as error:
        raise _unsound("something else") from error
    except Exception as error:
        # Pillow's readers raise errors of many kinds when a file is damaged.
        raise _unsound(error) from error
    gray = np.asarray(picture, "float32") / 255
    if gray.ndim == 3:
        gray = _lay_on_page(gray)
    return gray


def _unsound(received):
    formats = ", ".join(FORMATS)
    return BadPictureError(f"`image` must be a sound picture ({formats}); received: {received}")


def _open(image):
    """Return a Pillow image; of a file, only the header has been read."""
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
    # HEIC and the formats of films begin with a box of this name.
    if image[4:8] == b"ftyp":
        raise BadPictureError(
            "`image` must not be HEIC, a phone's own format, nor a film: export it as JPEG, or "
            "set the phone's camera to 'Most compatible'"
        )
    return Image.open(io.BytesIO(image), formats=FORMATS)


def _from_array(array):
    _check_array(array)
    low = array.min()
    high = array.max()
    # NaN fails this comparison too.
    if not 0 <= low <= high <= WHITES[-1]:
        raise BadPictureError(
            f"`image` must hold finite values from 0 to 1, 255 or 65535; received {low} to {high}"
        )
    white = min(white for white in WHITES if high <= white)
    if array.dtype != np.uint8 or white == 1:
        array = np.rint(array.astype("float32") * (255 / white)).astype("uint8")
    if array.shape[2:] == (1,):
        array = array[..., 0]
    return Image.fromarray(array)


def _check_array(array):
    is_numeric = array.dtype.kind in "buif"
    has_2_or_3_axes = array.ndim in (2, 3)
    channels = array.shape[2:]
    if not is_numeric or not has_2_or_3_axes or channels not in ((), (1,), (3,), (4,)):
        raise BadPictureError(
            "`image` must be numbers of shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4); "
            f"received {array.dtype} {array.shape}"
        )
    height, width = array.shape[:2]
    _check_size(width, height)


def _check_picture_size(picture):
    width, height = picture.size
    _check_size(width, height)
    # A TIFF is decoded tile by tile, and a tile may claim to be larger than its picture.
    tags = getattr(picture, "tag_v2", {})
    tile_width = tags.get(TIFF_TILE_WIDTH, 1)
    tile_length = tags.get(TIFF_TILE_LENGTH, 1)
    _check_size(tile_width, tile_length)


def _check_size(width, height):
    if not 0 < width * height <= MAX_PIXELS:
        raise BadPictureError(
            f"`image` must have 1 to {MAX_PIXELS:,} pixels; received {width} × {height}"
        )


def _to_8_bits(picture):
    """Turn a picture upright, and make it gray in 8 bits, with its opacity if it has one."""
    picture = ImageOps.exif_transpose(picture)
    # Pillow's modes I, I;16 and F hold 16 bits and more; `convert` would cut them off at 255.
    if picture.mode[0] in "IF":
        picture = _from_array(np.asarray(picture))
    if picture.has_transparency_data:
        return picture.convert("LA")
    return picture.convert("L")


def _lay_on_page(gray_and_opacity):
    """Lay ink of varying opacity on white or on black paper, whichever shows more of it."""
    gray = gray_and_opacity[..., 0]
    opacity = gray_and_opacity[..., 1]
    on_black = gray * opacity
    on_white = on_black + 1 - opacity
    if np.ptp(on_black) > np.ptp(on_white):
        return on_black
    return on_white
