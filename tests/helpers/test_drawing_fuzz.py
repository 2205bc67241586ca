"""Whatever is given, a valid input comes out or one clear error: arrays, bytes, damaged files."""

import io
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from mnist_helpers.drawing import find_digits, prepare_drawing
from mnist_helpers.pictures import MAX_PIXELS

SECONDS = 10  # for one example, on a busy machine; 0.01 is usual
bounded = settings(
    max_examples=150,
    derandomize=True,
    database=None,
    deadline=None,  # `gives` has its own
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def gives(image, function=prepare_drawing):
    """Return whether an input came out, which is checked, or an error with a sentence."""
    begin = time.monotonic()
    try:
        with warnings.catch_warnings(action="error"):
            x = function(image)
    except ValueError as error:
        assert len(str(error)) > 20
        return False
    finally:
        assert time.monotonic() - begin < SECONDS
    assert isinstance(x, np.ndarray) and x.dtype == np.float32
    assert x.shape[-2:] == (28, 28) and x.ndim == (2 if function is prepare_drawing else 3)
    assert np.isfinite(x).all() and x.min() >= 0 and x.max() <= 1
    assert (x.max(axis=(-1, -2)) > 0.5).all() and len(x)
    return True


# --- arrays ------------------------------------------------------------------------------------

DTYPES = st.one_of(
    npst.boolean_dtypes(),
    npst.integer_dtypes(endianness="?"),
    npst.unsigned_integer_dtypes(endianness="?"),
    npst.floating_dtypes(endianness="?"),
    npst.complex_number_dtypes(),
    npst.datetime64_dtypes(),
    npst.byte_string_dtypes(),
    npst.unicode_string_dtypes(),
)


@bounded
@given(npst.arrays(DTYPES, npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=12)))
def test_any_array_gives_an_input_or_an_error(array):
    gives(array)
    gives(array, find_digits)


SHAPES = st.tuples(st.integers(1, 60), st.integers(1, 60)).flatmap(
    lambda size: st.sampled_from([size, (*size, 1), (*size, 3), (*size, 4)])
)
GRAYS = st.one_of(
    npst.arrays("uint8", SHAPES),
    npst.arrays("uint16", SHAPES),
    npst.arrays("bool", SHAPES),
    npst.arrays("float32", SHAPES, elements=st.floats(0, 1, width=32)),
)


@bounded
@given(GRAYS)
def test_any_picture_gives_an_input_or_an_error(array):
    gives(array)
    gives(array, find_digits)


@bounded
@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(1, 400), st.integers(0, 4))
def test_any_scribble_gives_an_input_or_an_error(seed, height, width, strokes):
    rng = np.random.default_rng(seed)
    page = np.full((height, width), rng.integers(256), "uint8")
    for _ in range(strokes):
        top, left = rng.integers(height), rng.integers(width)
        page[top : top + rng.integers(1, 90), left : left + rng.integers(1, 90)] = rng.integers(256)
    gives(page)
    gives(page, find_digits)


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (2, 9000), (1, 1), (2, 2), (3, 1)])
def test_narrow_and_tiny_pictures_give_an_input_or_an_error(shape):
    for seed in range(5):
        page = np.random.default_rng(seed).integers(0, 256, shape).astype("uint8")
        gives(page)
        gives(page, find_digits)
        gives(np.where(page > 250, 0, 255).astype("uint8"))


# --- files -------------------------------------------------------------------------------------


def real_files():
    """Return a digit in every format that is opened, several ways."""
    page = np.full((40, 36), 250, "uint8")
    page[6:10, 8:28] = page[10:34, 20:25] = 20
    gray = Image.fromarray(page)
    rgb = gray.convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    ways = {
        "PNG": (rgb, {}),
        "PNG palette": (gray.convert("P"), {"transparency": 0}),
        "PNG 16": (Image.fromarray(page.astype("uint16") * 257), {}),
        "PNG animated": (rgb, {"save_all": True, "append_images": [rgb.rotate(90)]}),
        "JPEG": (rgb, {"exif": exif}),
        "JPEG progressive": (rgb.convert("CMYK"), {"progressive": True}),
        "GIF": (gray, {"save_all": True, "append_images": [gray.rotate(90)]}),
        "TIFF": (rgb, {"exif": exif}),
        "TIFF lzw": (rgb, {"compression": "tiff_lzw"}),
        "TIFF jpeg": (rgb, {"compression": "jpeg"}),
        "TIFF fax": (gray.convert("1"), {"compression": "group4"}),
        "TIFF float": (Image.fromarray(page / np.float32(255)), {}),
        "WEBP": (rgb, {"exif": exif}),
        "WEBP lossless": (gray.convert("LA").convert("RGBA"), {"lossless": True}),
        "BMP": (rgb, {}),
        "BMP palette": (gray, {}),
        "PPM": (rgb, {}),
        "PPM 1": (gray.convert("1"), {}),
    }
    files = {}
    for way, (image, options) in ways.items():
        stream = io.BytesIO()
        image.save(stream, way.split()[0], **options)
        files[way] = stream.getvalue()
    return files


FILES = real_files()


@pytest.mark.parametrize("way", FILES)
def test_the_files_are_read_before_they_are_damaged(way):
    assert gives(FILES[way])


@st.composite
def damaged(draw, data):
    """Flip, overwrite, cut out, repeat or splice bytes of a file, up to six times."""
    data = bytearray(data)
    other = FILES[draw(st.sampled_from(sorted(FILES)))]
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        if draw(st.booleans()):
            at %= 80  # headers are where it hurts
        n = draw(st.integers(1, 40))
        how = draw(st.sampled_from(["flip", "bytes", "ones", "cut", "end", "repeat", "splice"]))
        if how == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "bytes":
            data[at : at + n] = draw(st.binary(min_size=n, max_size=n))
        elif how == "ones":
            data[at : at + 4] = b"\xff\xff\xff\x7f"
        elif how == "cut":
            del data[at : at + n]
        elif how == "end":
            del data[at:]
        elif how == "repeat":
            data[at:at] = data[at : at + n]
        elif how == "splice":
            data[at : at + n] = other[at : at + n]
    return bytes(data)


@pytest.mark.parametrize("way", FILES)
def test_a_damaged_file_gives_an_input_or_an_error(way):
    read = []

    @settings(bounded, max_examples=100)
    @given(damaged(FILES[way]))
    def check(data):
        read.append(gives(data))

    check()
    assert not all(read), "nothing was refused: nothing was damaged"


@bounded
@given(st.binary(max_size=300))
def test_any_bytes_give_an_error(data):
    assert not gives(data)


@pytest.mark.parametrize("way", FILES)
def test_a_file_cut_anywhere_gives_an_input_or_an_error(way):
    data = FILES[way]
    for end in range(0, len(data), max(1, len(data) // 60)):
        gives(data[:end])


PEAK = """
import resource, sys
sys.path.insert(0, {tests!r})
from test_drawing_fuzz import FILES, gives
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
for way, data in FILES.items():
    for at in range(0, 90, 2):
        for claim in (b"\\xff\\xff", b"\\x00\\x7f", b"\\xff\\xff\\xff\\x7f"):
            gives(data[:at] + claim + data[at + len(claim) :])
print(peak() - before)
"""


def test_files_that_claim_much_take_no_more_memory_than_the_largest_picture():
    code = PEAK.format(tests=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 16 * MAX_PIXELS / 2**20, "megabytes"
