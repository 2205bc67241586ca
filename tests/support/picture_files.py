"""A digit as a file in every format that is opened, and what must hold for any picture at all."""

import io
import time
import warnings

import numpy as np
from PIL import Image

from mnist_helpers.drawing import prepare_drawing

# For one picture on a busy machine; 0.01 is usual.
MOST_SECONDS = 10
EXIF_ORIENTATION = 0x0112


def _write_files():
    page = np.full((40, 36), 250, "uint8")
    page[6:10, 8:28] = 20
    page[10:34, 20:25] = 20
    gray = Image.fromarray(page)
    rgb = gray.convert("RGB")
    gray_16 = Image.fromarray(page.astype("uint16") * 257)
    fractions = Image.fromarray(page / np.float32(255))
    rgba = gray.convert("LA").convert("RGBA")
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    # The first word of the name is the format.
    variants = {
        "PNG": (rgb, {}),
        "PNG palette": (gray.convert("P"), {"transparency": 0}),
        "PNG 16": (gray_16, {}),
        "PNG animated": (rgb, {"save_all": True, "append_images": [rgb.rotate(90)]}),
        "JPEG": (rgb, {"exif": exif}),
        "JPEG progressive": (rgb.convert("CMYK"), {"progressive": True}),
        "GIF": (gray, {"save_all": True, "append_images": [gray.rotate(90)]}),
        "TIFF": (rgb, {"exif": exif}),
        "TIFF lzw": (rgb, {"compression": "tiff_lzw"}),
        "TIFF jpeg": (rgb, {"compression": "jpeg"}),
        "TIFF fax": (gray.convert("1"), {"compression": "group4"}),
        "TIFF float": (fractions, {}),
        "WEBP": (rgb, {"exif": exif}),
        "WEBP lossless": (rgba, {"lossless": True}),
        "BMP": (rgb, {}),
        "BMP palette": (gray, {}),
        "PPM": (rgb, {}),
        "PPM 1": (gray.convert("1"), {}),
    }
    files = {}
    for name, (image, options) in variants.items():
        file_format = name.split()[0]
        stream = io.BytesIO()
        image.save(stream, file_format, **options)
        files[name] = stream.getvalue()
    return files


FILES = _write_files()


def gives_input(image, function=prepare_drawing):
    """Return True for an input, which is checked, and False for an error with a sentence."""
    begin = time.monotonic()
    try:
        with warnings.catch_warnings(action="error"):
            x = function(image)
    except ValueError as error:
        assert len(str(error)) > 20
        return False
    finally:
        assert time.monotonic() - begin < MOST_SECONDS
    assert isinstance(x, np.ndarray)
    assert x.dtype == np.float32
    assert x.shape[-2:] == (28, 28)
    if function is prepare_drawing:
        assert x.ndim == 2
    else:
        assert x.ndim == 3
        assert len(x) > 0
    assert np.isfinite(x).all()
    assert x.min() >= 0
    assert x.max() <= 1
    assert (x.max(axis=(-1, -2)) > 0.5).all()
    return True
