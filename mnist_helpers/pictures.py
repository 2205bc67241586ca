"""Read any picture, a file or an array, as gray levels; it is checked before it is decoded."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from mnist_helpers import decoder
from mnist_helpers.decoder import BadPictureError


def read_gray(image, side):
    """Read a picture as gray levels, shrunk to at most `side` pixels.

    A photograph is turned upright. Of an animation, the first frame is read. Transparent parts
    become white, or black where the ink is light. Files and bytes are decoded in a process of its
    own with limits of time and memory (`decoder`); a Pillow image that you opened yourself is
    decoded by Pillow, here and without them.

    Parameters
    ----------
    image : str, Path, bytes, Pillow image or ndarray
        A file in one of the formats of `decoder.FORMATS`, its bytes, or a picture. An array is
        gray (h, w) or (h, w, 1), RGB (h, w, 3) or RGBA (h, w, 4), from 0 to 1, 255 or 65535.
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
        If it is not a picture, is too large, takes too much to decode, or cannot be read. This is
        a ValueError.

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
    levels = _read_levels(image, side).astype("float32") / 255
    if levels.ndim == 3:
        return _lay_on_page(levels)
    return levels


def _read_levels(image, side):
    """Return gray levels, (h, w), or gray levels and opacities, (h, w, 2), from 0 to 255."""
    if isinstance(image, (Image.Image, np.ndarray)):
        return _shrink_here(image, side)
    if isinstance(image, (str, Path)):
        pixels, shape = decoder.decode_path(image, side)
    elif isinstance(image, bytes):
        pixels, shape = decoder.decode_bytes(image, side)
    else:
        kind = type(image).__name__
        raise BadPictureError(
            f"`image` must be a path, bytes, a picture or an array; received {kind}"
        )
    return np.frombuffer(pixels, "uint8").reshape(shape)


def _shrink_here(image, side):
    """Shrink a picture that is in memory already; Pillow may still have to decode it."""
    try:
        # Pillow warns of oddities in a file; whoever reads a digit can do nothing about them.
        with warnings.catch_warnings(action="ignore"):
            if isinstance(image, np.ndarray):
                _check_array(image)
                image = decoder.from_array(image)
            # The caller holds the picture: it must stay as it is.
            picture = decoder.shrink(image, side, is_ours=False)
    except BadPictureError:
        raise
    except Exception as error:
        # Pillow's readers raise errors of many kinds when a file is damaged.
        raise BadPictureError(decoder.describe_unsound(error)) from error
    return np.asarray(picture)


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
    decoder.check_size(width, height)


def _lay_on_page(gray_and_opacity):
    """Lay ink of varying opacity on white or on black paper, whichever shows more of it."""
    gray = gray_and_opacity[..., 0]
    opacity = gray_and_opacity[..., 1]
    on_black = gray * opacity
    on_white = on_black + 1 - opacity
    if np.ptp(on_black) > np.ptp(on_white):
        return on_black
    return on_white
