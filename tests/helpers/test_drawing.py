"""From picture to input: however a picture comes, it gives the same digit or is refused.

The digits are drawn here, as white strokes on black; `PLAIN` is what the plain picture gives.
"""

import io
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile

from mnist_helpers.data import load_mnist
from mnist_helpers.drawing import NoInkError, find_digits, prepare_drawing

STROKES = {
    1: [[(75, 40), (105, 20), (105, 180)]],
    2: [[(55, 60), (75, 25), (115, 25), (135, 60), (55, 175), (145, 175)]],
    4: [[(65, 20), (55, 110), (145, 110)], [(120, 60), (120, 180)]],
    5: [[(65, 45), (60, 95), (115, 90), (135, 130), (110, 170), (55, 165)], [(72, 25), (140, 25)]],
    7: [[(55, 25), (145, 25), (85, 180)]],
}


def draw(digit, width=14):
    """Return ink from 0 to 255, (200, 200)."""
    page = np.zeros((200, 200), "uint8")
    for stroke in STROKES[digit]:
        cv2.polylines(page, [np.array(stroke)], False, 255, width, cv2.LINE_AA)
    return page


INK = draw(2)
PAPER = 255 - INK
PLAIN = prepare_drawing(PAPER)


def picture(mode):
    return Image.fromarray(PAPER).convert(mode)


def encoded(image, file_format, **options):
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def far(x, plain=PLAIN):
    """The mean absolute difference, 0 for the same picture."""
    return np.abs(x - plain).mean()


def with_opacity(color, opacity):
    return np.dstack([np.full((*INK.shape, 3), color, "uint8"), opacity])


# --- what comes out ----------------------------------------------------------------------------


def test_the_plain_picture_gives_a_digit_as_mnist_has_them():
    assert PLAIN.dtype == np.float32 and PLAIN.shape == (28, 28)
    assert PLAIN.min() == 0 and PLAIN.max() == 1
    rows, columns = np.nonzero(PLAIN)
    assert max(np.ptp(rows), np.ptp(columns)) == 19
    for axis in (0, 1):
        center = np.average(np.arange(28), weights=PLAIN.sum(axis=1 - axis))
        assert 13.5 <= center <= 14.5
    seen = cv2.resize(INK[17:184, 46:154], (13, 20), interpolation=cv2.INTER_AREA) / 255
    assert far(PLAIN[4:24, 8:21], seen) < 0.06


def test_mnist_digits_come_out_as_they_were():
    try:
        images = load_mnist("mnist")[0][0][:1000]
    except (OSError, ValueError) as error:
        pytest.skip(f"real MNIST is needed: {error}".splitlines()[0])
    prepared = np.stack([prepare_drawing(image) for image in images])
    changed = np.abs(prepared - images / 255).mean(axis=(1, 2))
    assert np.median(changed) < 0.005 and np.mean(changed > 0.02) < 0.05


def test_the_steps_are_given_in_order_and_each_can_be_drawn():
    x, steps = prepare_drawing(PAPER, steps=True)
    assert list(steps) == ["gray", "ink", "digit", "box", "centered"]
    assert all(step.ndim == 2 and step.dtype == np.float32 for step in steps.values())
    assert all(0 <= step.min() and step.max() <= 1 for step in steps.values())
    assert steps["gray"][0, 0] == 1 and steps["ink"][0, 0] == 0
    assert max(steps["box"].shape) == 20
    np.testing.assert_array_equal(steps["centered"], x)


def test_what_is_given_is_left_as_it_was():
    array, image = PAPER.copy(), picture("RGB")
    prepare_drawing(array)
    prepare_drawing(image)
    np.testing.assert_array_equal(array, PAPER)
    assert image.size == (200, 200) and image.mode == "RGB"


# --- every way a picture comes -----------------------------------------------------------------

LOSSLESS = {
    "bytes of a PNG": encoded(picture("L"), "PNG"),
    "RGB PNG": encoded(picture("RGB"), "PNG"),
    "RGBA PNG, opaque": encoded(picture("RGBA"), "PNG"),
    "black of varying opacity": encoded(Image.fromarray(with_opacity(0, INK)), "PNG"),
    "white of varying opacity": encoded(Image.fromarray(with_opacity(255, INK)), "PNG"),
    "gray with opacity": encoded(
        Image.merge("LA", (picture("L"), Image.new("L", (200, 200), 255))), "PNG"
    ),
    "palette": encoded(picture("L").convert("P"), "PNG"),
    "palette GIF": encoded(picture("L").convert("P"), "GIF"),
    "16-bit PNG": encoded(Image.fromarray(PAPER.astype("uint16") * 257), "PNG"),
    "16-bit TIFF": encoded(Image.fromarray(PAPER.astype("uint16") * 257), "TIFF"),
    "16-bit PGM": encoded(Image.fromarray(PAPER.astype("uint16") * 257), "PPM"),
    "32-bit TIFF": encoded(Image.fromarray(PAPER.astype("int32") * 257), "TIFF"),
    "float TIFF": encoded(Image.fromarray(PAPER.astype("float32") / 255), "TIFF"),
    "CMYK TIFF": encoded(picture("CMYK"), "TIFF"),
    "BMP": encoded(picture("RGB"), "BMP"),
    "PPM": encoded(picture("RGB"), "PPM"),
    "WEBP": encoded(picture("RGB"), "WEBP", lossless=True),
    "a Pillow image": picture("L"),
    "a Pillow image, YCbCr": picture("YCbCr"),
    "a Pillow image, HSV": picture("HSV"),
    "a Pillow image, premultiplied": picture("RGBA").convert("RGBa"),
    "array": PAPER,
    "array, one channel": PAPER[..., None],
    "array, RGB": np.dstack([PAPER] * 3),
    "array, RGBA": with_opacity(0, INK),
    "array, int64": PAPER.astype("int64"),
    "array, 16-bit": PAPER.astype("uint16") * 257,
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
    "gray JPEG": encoded(picture("L"), "JPEG", quality=90),
    "RGB JPEG": encoded(picture("RGB"), "JPEG", quality=90),
    "CMYK JPEG": encoded(picture("CMYK"), "JPEG", quality=90),
    "progressive JPEG": encoded(picture("RGB"), "JPEG", quality=90, progressive=True),
    "WEBP": encoded(picture("RGB"), "WEBP", quality=90),
    "bool array": INK > 127,
    "array of 0 and 1": (INK > 127).astype("uint8"),
    "1-bit PNG": encoded(Image.fromarray(PAPER > 127), "PNG"),
}


@pytest.mark.parametrize("image", LOSSY.values(), ids=LOSSY)
def test_what_loses_a_little_comes_close(image):
    assert far(prepare_drawing(image)) <= 0.01


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
        data = encoded(image, file_format, transparency=0)
        assert Image.open(io.BytesIO(data)).mode == "P"
        assert far(prepare_drawing(data)) <= 0.01


@pytest.mark.parametrize("color", [0, 90, 200, 255])
def test_ink_of_any_gray_on_nothing_is_seen(color):
    assert far(prepare_drawing(with_opacity(color, INK))) <= 0.01


TURNED = {  # how a picture lies that its orientation, 1 to 8, brings upright
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
    exif[0x0112] = orientation
    lying = Image.fromarray(np.ascontiguousarray(TURNED[orientation](PAPER)))
    data = encoded(lying.convert("RGB"), file_format, exif=exif)
    assert far(prepare_drawing(data)) <= 0.01
    if orientation > 1:
        assert far(prepare_drawing(np.asarray(lying))) > 0.02


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation_is_taken(file_format):
    other = [Image.fromarray(255 - draw(digit)) for digit in (7, 1)]
    data = encoded(picture("L"), file_format, save_all=True, append_images=other)
    assert Image.open(io.BytesIO(data)).n_frames == 3
    assert far(prepare_drawing(data)) <= 0.01


# --- photographs, thin pens, small pictures ----------------------------------------------------

Y, X = np.mgrid[0:1:200j, 0:1:200j]
LIGHT = {
    "from the left": 0.5 + 0.5 * X,
    "from a corner": 1 - 0.3 * X - 0.25 * Y,
    "a spot": 0.6 + 0.4 * np.exp(-((X - 0.3) ** 2 + (Y - 0.6) ** 2) / 0.1),
    "a shadow": np.where(X + Y > 1.1, 1, 0.7),
}


def photograph(ink=INK, light=1.0, contrast=0.6, noise=2.0):
    """Ink on paper that takes up the light unevenly, with the noise of a camera."""
    grain = np.random.default_rng(0).normal(0, noise, ink.shape)
    return np.clip(light * (220 - contrast * ink) + grain, 0, 255).astype("uint8")


@pytest.mark.parametrize("contrast", [0.6, 0.4])
@pytest.mark.parametrize("light", LIGHT.values(), ids=LIGHT)
def test_uneven_light_is_taken_out(light, contrast):
    assert far(prepare_drawing(photograph(light=light, contrast=contrast))) <= 0.03
    assert far(prepare_drawing(255 - photograph(light=light, contrast=contrast))) <= 0.03


@pytest.mark.parametrize("corner", [(10, 10), (90, 10), (10, 90)])
def test_faint_ink_at_the_dark_end_of_the_light_is_found(corner):
    page = np.zeros((200, 200), "uint8")
    small = cv2.resize(INK, (100, 100), interpolation=cv2.INTER_AREA)
    page[corner[0] : corner[0] + 100, corner[1] : corner[1] + 100] = small
    for light in (0.4 + 0.6 * Y, 0.5 + 0.25 * (X + Y)):
        assert far(prepare_drawing(photograph(page, light, 0.25, noise=1))) <= 0.04


def test_specks_are_dropped():
    speckled = INK.copy()
    for y, x in np.random.default_rng(0).integers(0, 198, (30, 2)):
        if not INK[y - 8 : y + 10, x - 8 : x + 10].any():
            speckled[y : y + 2, x : x + 2] = 255
    assert np.count_nonzero(speckled) > np.count_nonzero(INK) + 40
    assert far(prepare_drawing(photograph(speckled))) <= 0.02


def test_ruled_lines_a_table_and_a_frame_are_dropped():
    ruled = INK.copy()
    ruled[8::30] = np.maximum(ruled[8::30], 80)
    table = photograph()
    table[:, :14] = 50
    table[-12:] = 60
    framed = photograph()
    framed[:6] = framed[-6:] = framed[:, :6] = framed[:, -6:] = 0
    for image in (photograph(ruled), table, framed):
        assert far(prepare_drawing(image)) <= 0.03


def shown(ink, box):
    """What lies in the box, shrunk without more ado."""
    rows, columns = (np.flatnonzero(ink.max(axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return cv2.resize(ink, box.shape[::-1], interpolation=cv2.INTER_AREA) / 255


@pytest.mark.parametrize("digit", [4, 5])
def test_a_digit_of_several_strokes_stays_whole(digit):
    apart = draw(digit)
    if digit == 4:
        apart[:, 96:106] = 0
    assert cv2.connectedComponents(np.uint8(apart > 127))[0] == 3, "background and two strokes"
    box = prepare_drawing(255 - apart, steps=True)[1]["box"]
    assert far(box, shown(apart, box)) < 0.05


@pytest.mark.parametrize("place", [(0, 0), (0, 300), (280, 20), (295, 295)])
def test_a_digit_anywhere_on_a_large_page_is_found(place):
    page = np.full((500, 500), 255, "uint8")
    page[place[0] : place[0] + 200, place[1] : place[1] + 200] = PAPER
    assert far(prepare_drawing(page)) <= 0.03


@pytest.mark.parametrize("side", [20, 28, 56, 1500])
def test_the_size_of_the_picture_does_not_matter(side):
    how = cv2.INTER_AREA if side < 200 else cv2.INTER_CUBIC
    x = prepare_drawing(cv2.resize(PAPER, (side, side), interpolation=how))
    moved = [np.roll(x, shift, axis=(0, 1)) for shift in np.ndindex(3, 3)]
    assert min(far(np.roll(x, -1, axis=(0, 1))) for x in moved) <= 0.03  # a pixel away is the same


@pytest.mark.parametrize("side", [200, 600, 1000])
def test_a_pen_one_pixel_wide_gives_strokes_as_wide_as_mnist_s(side):
    thin = np.zeros((side, side), "uint8")
    for stroke in STROKES[2]:
        cv2.polylines(thin, [np.array(stroke) * side // 200], False, 255, 1)
    x = prepare_drawing(255 - thin)
    assert x.max() == 1 and np.mean(x[x > 0.1] > 0.9) > 0.2
    assert 0.6 < x.sum() / PLAIN.sum() < 1.4


@pytest.mark.parametrize("digit", [2, 7])
def test_a_thick_pen_keeps_its_digit(digit):
    thick = draw(digit, width=36)[:, 25:175]
    box = prepare_drawing(255 - thick, steps=True)[1]["box"]
    assert far(box, shown(thick, box)) < 0.05


# --- several digits, a folder ------------------------------------------------------------------


def test_several_digits_are_found_in_reading_order():
    order = [[5, 1, 4], [7, 2, 5]]
    page = np.vstack([np.hstack([draw(digit, 12) for digit in row]) for row in order])
    page = np.pad(page, 30)
    page[:, 430:] = np.roll(page[:, 430:], -25, axis=0)  # the line is not quite straight
    found = find_digits(photograph(page))
    assert found.shape == (6, 28, 28) and found.dtype == np.float32
    for x, digit in zip(found, sum(order, []), strict=True):
        assert far(x, prepare_drawing(255 - draw(digit, 12))) <= 0.05, digit


def test_one_digit_is_found_as_it_is_prepared():
    assert far(find_digits(PAPER)[0]) <= 0.02


# --- what is refused ---------------------------------------------------------------------------


def chunk(kind, data):
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def claiming(width, height):
    """A small PNG that says it is huge."""
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    rows = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PNG = LOSSLESS["bytes of a PNG"]
NOISE = np.random.default_rng(0)
SHAPES = r"numbers of shape \(h, w\), \(h, w, 1\), \(h, w, 3\) or \(h, w, 4\); received "
VALUES = "finite values from 0 to 1, 255 or 65535; received "
REFUSED = {
    "white": (np.full((50, 50), 255, "uint8"), "must show a digit"),
    "black": (Image.new("RGB", (50, 50)), "must show a digit"),
    "one color": (encoded(Image.new("RGB", (300, 200), "teal"), "JPEG"), "must show a digit"),
    "nothing at all": (Image.new("RGBA", (50, 50)), "must show a digit"),
    "an empty sheet": (
        photograph(np.zeros((200, 200)), LIGHT["from a corner"]),
        "must show a digit",
    ),
    "noise": (NOISE.integers(0, 256, (100, 100)).astype("uint8"), "must show a digit"),
    "faint noise": (NOISE.normal(200, 3, (500, 500)).astype("uint8"), "must show a digit"),
    "one pixel": (np.zeros((1, 1), "uint8"), "must show a digit"),
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
        encoded(Image.fromarray(np.full((9, 9), np.nan, "float32")), "TIFF"),
        VALUES + "nan",
    ),
    "None": (None, "must be a path, bytes, a picture or an array; received NoneType"),
    "a number": (7, "must be a path, bytes, a picture or an array; received int"),
    "a list": ([[0, 1], [1, 0]], "must be a path, bytes, a picture or an array; received list"),
}


@pytest.mark.parametrize(("image", "sentence"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("function", [prepare_drawing, find_digits])
def test_what_is_no_picture_of_a_digit_is_refused_in_one_sentence(function, image, sentence):
    with pytest.raises(ValueError, match=sentence) as refused:
        function(image)
    assert isinstance(refused.value, NoInkError) == (sentence == "must show a digit")


def test_no_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.png"):
        prepare_drawing(tmp_path / "nowhere.png")
    with pytest.raises(ValueError, match="must be a sound picture .*directory"):
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


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_picture_that_claims_to_be_huge_is_refused_before_it_is_decoded(monkeypatch, side):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(ValueError, match="pixels"):
        prepare_drawing(claiming(side, side))


def test_refusing_a_huge_picture_takes_no_memory(tmp_path):
    path = tmp_path / "huge.png"
    path.write_bytes(claiming(60_000, 60_000))
    code = (
        "import resource, sys\n"
        "from mnist_helpers.drawing import prepare_drawing\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: prepare_drawing(sys.argv[1])\n"
        "except ValueError: pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=True)
    assert int(done.stdout) < 20_000  # kilobytes on Linux, where the picture would take 3,600,000


def test_a_tiff_s_tile_that_claims_to_be_huge_is_refused_before_it_is_decoded(monkeypatch):
    size = {256: 20, 257: 20, 258: 8, 259: 5, 262: 1, 277: 1}
    tags = size | {322: 40_000, 323: 40_000, 324: 8, 325: 0}  # one tile, after 8 bytes, of 0 bytes
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    data = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(ValueError, match="received 40000 × 40000"):
        prepare_drawing(data)


def test_twelve_megapixels_are_read():
    page = np.full((3000, 4000), 255, "uint8")
    page[500:2500, 1000:3000] = cv2.resize(PAPER, (2000, 2000), interpolation=cv2.INTER_CUBIC)
    assert far(prepare_drawing(encoded(Image.fromarray(page), "JPEG"))) <= 0.02
