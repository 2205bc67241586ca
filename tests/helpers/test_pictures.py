"""However a picture comes, it gives the same digit or is refused."""

import io
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile
from support.drawings import (
    INK,
    PAPER,
    PLAIN,
    difference,
    draw_digit,
    encode,
    picture,
    with_opacity,
)

from mnist_helpers import decoder
from mnist_helpers.drawing import find_digits, prepare_drawing
from mnist_helpers.pictures import BadPictureError

# --- every way a picture comes -----------------------------------------------------------------

OPAQUE = Image.new("L", (200, 200), 255)
# 65,535 is 257 times 255.
PAPER_16 = PAPER.astype("uint16") * 257
LOSSLESS = {
    "bytes of a PNG": encode(picture("L"), "PNG"),
    "RGB PNG": encode(picture("RGB"), "PNG"),
    "RGBA PNG, opaque": encode(picture("RGBA"), "PNG"),
    "black of varying opacity": encode(Image.fromarray(with_opacity(0, INK)), "PNG"),
    "white of varying opacity": encode(Image.fromarray(with_opacity(255, INK)), "PNG"),
    "gray with opacity": encode(Image.merge("LA", (picture("L"), OPAQUE)), "PNG"),
    "palette": encode(picture("L").convert("P"), "PNG"),
    "palette GIF": encode(picture("L").convert("P"), "GIF"),
    "16-bit PNG": encode(Image.fromarray(PAPER_16), "PNG"),
    "16-bit TIFF": encode(Image.fromarray(PAPER_16), "TIFF"),
    "16-bit PGM": encode(Image.fromarray(PAPER_16), "PPM"),
    "32-bit TIFF": encode(Image.fromarray(PAPER.astype("int32") * 257), "TIFF"),
    "float TIFF": encode(Image.fromarray(PAPER.astype("float32") / 255), "TIFF"),
    "CMYK TIFF": encode(picture("CMYK"), "TIFF"),
    "BMP": encode(picture("RGB"), "BMP"),
    "PPM": encode(picture("RGB"), "PPM"),
    "WEBP": encode(picture("RGB"), "WEBP", lossless=True),
    "a Pillow image": picture("L"),
    "a Pillow image, YCbCr": picture("YCbCr"),
    "a Pillow image, HSV": picture("HSV"),
    "a Pillow image, premultiplied": picture("RGBA").convert("RGBa"),
    "array": PAPER,
    "array, one channel": PAPER[..., None],
    "array, RGB": np.dstack([PAPER] * 3),
    "array, RGBA": with_opacity(0, INK),
    "array, int64": PAPER.astype("int64"),
    "array, 16-bit": PAPER_16,
    "array, 0 to 1": PAPER / 255,
    "array, 0 to 1, float16": (PAPER / 255).astype("float16"),
    "array, 0 to 255, float": PAPER.astype("float32"),
    "array, big-endian": PAPER.astype(">f4"),
    "array, column by column": np.asfortranarray(PAPER),
    "array, read only": np.broadcast_to(PAPER, PAPER.shape),
    "light on dark": INK,
}


@pytest.mark.parametrize("image", LOSSLESS.values(), ids=LOSSLESS)
def test_each_way_a_picture_comes_gives_what_the_plain_picture_gives(image):
    assert np.abs(prepare_drawing(image) - PLAIN).max() <= 0.02


LOSSY = {
    "gray JPEG": encode(picture("L"), "JPEG", quality=90),
    "RGB JPEG": encode(picture("RGB"), "JPEG", quality=90),
    "CMYK JPEG": encode(picture("CMYK"), "JPEG", quality=90),
    "progressive JPEG": encode(picture("RGB"), "JPEG", quality=90, progressive=True),
    "WEBP": encode(picture("RGB"), "WEBP", quality=90),
    "bool array": INK > 127,
    "array of 0 and 1": (INK > 127).astype("uint8"),
    "1-bit PNG": encode(Image.fromarray(PAPER > 127), "PNG"),
}


@pytest.mark.parametrize("image", LOSSY.values(), ids=LOSSY)
def test_what_loses_a_little_comes_close(image):
    assert difference(prepare_drawing(image)) <= 0.01


def test_a_path_is_a_str_or_a_path(tmp_path):
    path = tmp_path / "a picture.png"
    path.write_bytes(LOSSLESS["bytes of a PNG"])
    np.testing.assert_array_equal(prepare_drawing(path), PLAIN)
    np.testing.assert_array_equal(prepare_drawing(str(path)), PLAIN)


def test_the_content_tells_the_format_not_the_name(tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(LOSSLESS["bytes of a PNG"])
    np.testing.assert_array_equal(prepare_drawing(path), PLAIN)


def test_transparency_in_a_palette_is_paper():
    image = Image.fromarray(np.where(INK > 127, 1, 0).astype("uint8"))
    image.putpalette([0, 0, 0, 0, 0, 0])  # both are black: opacity alone holds the digit
    for file_format in ("PNG", "GIF"):
        data = encode(image, file_format, transparency=0)
        assert Image.open(io.BytesIO(data)).mode == "P"
        assert difference(prepare_drawing(data)) <= 0.01


@pytest.mark.parametrize("color", [0, 90, 200, 255])
def test_ink_of_any_gray_on_nothing_is_seen(color):
    assert difference(prepare_drawing(with_opacity(color, INK))) <= 0.01


# How a picture lies that its EXIF orientation, 1 to 8, brings upright.
ORIENTATION = 0x0112
TURNED = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: np.transpose,
    6: np.rot90,
    7: lambda a: np.rot90(a, 2).T,
    8: lambda a: np.rot90(a, 3),
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_photograph_is_turned_upright(orientation, file_format):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    lying = Image.fromarray(np.ascontiguousarray(TURNED[orientation](PAPER)))
    data = encode(lying.convert("RGB"), file_format, exif=exif)
    assert difference(prepare_drawing(data)) <= 0.01
    if orientation > 1:
        assert difference(prepare_drawing(np.asarray(lying))) > 0.02


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation_is_taken(file_format):
    later_frames = [Image.fromarray(255 - draw_digit(7)), Image.fromarray(255 - draw_digit(1))]
    data = encode(picture("L"), file_format, save_all=True, append_images=later_frames)
    assert Image.open(io.BytesIO(data)).n_frames == 3
    assert difference(prepare_drawing(data)) <= 0.01


# --- what is refused ---------------------------------------------------------------------------


def chunk(kind, data):
    """Return a chunk of a PNG file: its length, its kind, its data, and a checksum."""
    length = len(data).to_bytes(4, "big")
    checksum = zlib.crc32(kind + data).to_bytes(4, "big")
    return length + kind + data + checksum


def claiming(width, height):
    """A small PNG that says it is huge."""
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    header = chunk(b"IHDR", size + bytes([8, 0, 0, 0, 0]))
    rows = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + header + rows + chunk(b"IEND", b"")


PNG = LOSSLESS["bytes of a PNG"]
SHAPES = r"numbers of shape \(h, w\), \(h, w, 1\), \(h, w, 3\) or \(h, w, 4\); received "
VALUES = "finite values from 0 to 1, 255 or 65535; received "
REFUSED = {
    "no bytes": (b"", "must be a sound picture .*received: something else"),
    "text": (b"This is no picture.", "must be a sound picture .*received: something else"),
    "cut short": (PNG[: len(PNG) // 2], "must be a sound picture .*truncated"),
    "JPEG cut short": (LOSSY["RGB JPEG"][:2000], "must be a sound picture .*truncated"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "must be a sound picture"),
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "must not be HEIC.*export it as JPEG"),
    "huge": (claiming(60_000, 60_000), "must be a sound picture .*3600000000 pixels"),
    "too large": (claiming(10_000, 10_000), "1 to 50,000,000 pixels; received 10000 × 10000"),
    "no width": (np.zeros((20, 0)), "1 to 50,000,000 pixels; received 0 × 20"),
    "no pixels": (Image.new("L", (0, 0)), "1 to 50,000,000 pixels; received 0 × 0"),
    "huge array": (np.broadcast_to(0.5, (10**6, 10**6)), "received 1000000 × 1000000"),
    "a row": (np.zeros(784), SHAPES + r"float64 \(784,\)"),
    "a batch": (np.zeros((5, 28, 28), "uint8"), SHAPES + r"uint8 \(5, 28, 28\)"),
    "four axes": (np.zeros((1, 28, 28, 1), "uint8"), SHAPES + r"uint8 \(1, 28, 28, 1\)"),
    "complex": (np.zeros((28, 28), "complex64"), SHAPES + r"complex64 \(28, 28\)"),
    "objects": (np.full((28, 28), None), SHAPES + r"object \(28, 28\)"),
    "words": (np.full((28, 28), "a"), SHAPES + r"<U1 \(28, 28\)"),
    "NaN": (np.where(INK > 0, np.nan, 1), VALUES + "nan to nan"),
    "infinity": (np.where(INK > 0, np.inf, 1), VALUES + "1.0 to inf"),
    "below 0": (INK / 127.5 - 1, VALUES + r"-1.0 to 1.0"),
    "above 65535": (INK.astype("int64") * 1000, VALUES + "0 to 255000"),
    "float TIFF with NaN": (
        encode(Image.fromarray(np.full((9, 9), np.nan, "float32")), "TIFF"),
        VALUES + "nan",
    ),
    "None": (None, "must be a path, bytes, a picture or an array; received NoneType"),
    "a number": (7, "must be a path, bytes, a picture or an array; received int"),
    "a list": ([[0, 1], [1, 0]], "must be a path, bytes, a picture or an array; received list"),
}


@pytest.mark.parametrize(("image", "sentence"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("function", [prepare_drawing, find_digits])
def test_what_is_no_picture_is_refused_in_one_sentence(function, image, sentence):
    with pytest.raises(BadPictureError, match=sentence):
        function(image)


def test_no_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.png"):
        prepare_drawing(tmp_path / "nowhere.png")
    with pytest.raises(ValueError, match="must be a sound picture .*a folder"):
        prepare_drawing(tmp_path)
    with pytest.raises(ValueError, match="must be a sound picture .*null"):
        prepare_drawing("a\0b")


def test_a_closed_image_is_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    image = Image.open(path)
    image.close()
    with pytest.raises(ValueError, match="must be a sound picture"):
        prepare_drawing(image)


@pytest.fixture
def never_decoded(monkeypatch):
    # What the process that decodes does is done here.
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("it was decoded"))


@pytest.mark.usefixtures("never_decoded")
def test_a_picture_that_claims_to_be_huge_is_refused_before_it_is_decoded():
    picture = decoder.open_picture(claiming(9_000, 9_000))
    with pytest.raises(BadPictureError, match="received 9000 × 9000"):
        decoder.shrink(picture, 200, is_ours=True)


@pytest.mark.usefixtures("never_decoded")
def test_a_tiff_s_tile_that_claims_to_be_huge_is_refused_before_it_is_decoded():
    tags = {
        256: 20,  # width
        257: 20,  # height
        258: 8,  # bits of a sample
        259: 5,  # LZW
        262: 1,  # black is 0
        277: 1,  # samples of a pixel
        322: 40_000,  # width of a tile
        323: 40_000,  # height of a tile
        324: 8,  # where the one tile begins
        325: 0,  # how many bytes it has
    }
    data = struct.pack("<2sHIH", b"II", 42, 8, len(tags))
    for tag, value in tags.items():
        data += struct.pack("<HHII", tag, 4, 1, value)
    # There is no second directory.
    data += bytes(4)
    picture = decoder.open_picture(data)
    with pytest.raises(BadPictureError, match="received 40000 × 40000"):
        decoder.shrink(picture, 200, is_ours=True)


def test_twelve_megapixels_are_read():
    page = np.full((3000, 4000), 255, "uint8")
    page[500:2500, 1000:3000] = cv2.resize(PAPER, (2000, 2000), interpolation=cv2.INTER_CUBIC)
    assert difference(prepare_drawing(encode(Image.fromarray(page), "JPEG"))) <= 0.02


def test_a_large_array_is_not_copied_whole_as_floats():
    # It takes no memory itself.
    page = np.broadcast_to(np.linspace(0, 1, 5000), (5000, 5000))
    tracemalloc.start()
    try:
        prepare_drawing(page)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A byte for each pixel, twice, and what is converted at once.
    assert peak < 110_000_000


@pytest.mark.parametrize("shape", [(2_000_000, 1), (1, 2_000_000)])
def test_a_picture_of_one_endless_line_is_refused(shape):
    with pytest.raises(BadPictureError, match="sides of at most 1,000,000 pixels"):
        prepare_drawing(np.zeros(shape, "uint8"))
