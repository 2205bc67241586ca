"""From a picture to an input: MNIST's form, whatever the light, the paper and the pen."""

import cv2
import numpy as np
import pytest
from PIL import Image
from support.drawings import INK, PAPER, PLAIN, STROKES, difference, draw_digit, encode, picture

from mnist_helpers.drawing import NoInkError, TooManyDigitsError, find_digits, prepare_drawing

# --- what comes out ----------------------------------------------------------------------------


def test_the_plain_picture_gives_a_digit_as_mnist_has_them():
    assert PLAIN.dtype == np.float32
    assert PLAIN.shape == (28, 28)
    assert PLAIN.min() == 0
    assert PLAIN.max() == 1
    rows, columns = np.nonzero(PLAIN)
    assert max(np.ptp(rows), np.ptp(columns)) == 19
    for axis in (0, 1):
        center = np.average(np.arange(28), weights=PLAIN.sum(axis=1 - axis))
        assert 13.5 <= center <= 14.5
    digit = INK[17:184, 46:154]
    expected = cv2.resize(digit, (13, 20), interpolation=cv2.INTER_AREA) / 255
    assert difference(PLAIN[4:24, 8:21], expected) < 0.06


def test_mnist_digits_come_out_as_they_were(mnist):
    (images, _), _ = mnist
    images = images[:300]
    prepared = np.stack([prepare_drawing(image) for image in images])
    changed = np.abs(prepared - images / 255).mean(axis=(1, 2))
    assert np.median(changed) < 0.005
    assert np.mean(changed > 0.02) < 0.05


def test_the_steps_are_given_in_order_and_each_can_be_drawn():
    x, steps = prepare_drawing(PAPER, steps=True)
    assert list(steps) == ["gray", "ink", "digit", "box", "centered"]
    for step in steps.values():
        assert step.ndim == 2
        assert step.dtype == np.float32
        assert step.min() >= 0
        assert step.max() <= 1
    assert steps["gray"][0, 0] == 1
    assert steps["ink"][0, 0] == 0
    assert max(steps["box"].shape) == 20
    np.testing.assert_array_equal(steps["centered"], x)


def test_what_is_given_is_left_as_it_was():
    array = PAPER.copy()
    prepare_drawing(array)
    np.testing.assert_array_equal(array, PAPER)
    image = picture("RGB")
    prepare_drawing(image)
    assert image.size == (200, 200)
    assert image.mode == "RGB"


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
    assert difference(prepare_drawing(photograph(light=light, contrast=contrast))) <= 0.03
    assert difference(prepare_drawing(255 - photograph(light=light, contrast=contrast))) <= 0.03


@pytest.mark.parametrize("corner", [(10, 10), (90, 10), (10, 90)])
def test_faint_ink_at_the_dark_end_of_the_light_is_found(corner):
    page = np.zeros((200, 200), "uint8")
    small = cv2.resize(INK, (100, 100), interpolation=cv2.INTER_AREA)
    top, left = corner
    page[top : top + 100, left : left + 100] = small
    for light in (0.4 + 0.6 * Y, 0.5 + 0.25 * (X + Y)):
        assert difference(prepare_drawing(photograph(page, light, 0.25, noise=1))) <= 0.04


def test_specks_are_dropped():
    speckled = INK.copy()
    for y, x in np.random.default_rng(0).integers(0, 198, (30, 2)):
        if not INK[y - 8 : y + 10, x - 8 : x + 10].any():
            speckled[y : y + 2, x : x + 2] = 255
    assert np.count_nonzero(speckled) > np.count_nonzero(INK) + 40
    assert difference(prepare_drawing(photograph(speckled))) <= 0.02


def test_ruled_lines_a_table_and_a_frame_are_dropped():
    ruled = INK.copy()
    ruled[8::30] = np.maximum(ruled[8::30], 80)
    table = photograph()
    table[:, :14] = 50
    table[-12:] = 60
    framed = photograph()
    framed[:6] = 0
    framed[-6:] = 0
    framed[:, :6] = 0
    framed[:, -6:] = 0
    for image in (photograph(ruled), table, framed):
        assert difference(prepare_drawing(image)) <= 0.03


def shrink_to(box, ink):
    """Crop the ink and shrink it to the box; nothing else is done to it."""
    x, y, width, height = cv2.boundingRect(ink)
    digit = ink[y : y + height, x : x + width]
    return cv2.resize(digit, box.shape[::-1], interpolation=cv2.INTER_AREA) / 255


@pytest.mark.parametrize("digit", [4, 5])
def test_a_digit_of_several_strokes_stays_whole(digit):
    apart = draw_digit(digit)
    if digit == 4:
        apart[:, 96:106] = 0
    assert cv2.connectedComponents(np.uint8(apart > 127))[0] == 3, "background and two strokes"
    _, steps = prepare_drawing(255 - apart, steps=True)
    box = steps["box"]
    assert difference(box, shrink_to(box, apart)) < 0.05


@pytest.mark.parametrize("place", [(0, 0), (0, 300), (280, 20), (295, 295)])
def test_a_digit_anywhere_on_a_large_page_is_found(place):
    page = np.full((500, 500), 255, "uint8")
    top, left = place
    page[top : top + 200, left : left + 200] = PAPER
    assert difference(prepare_drawing(page)) <= 0.03


@pytest.mark.parametrize("side", [20, 28, 56, 1500])
def test_the_size_of_the_picture_does_not_matter(side):
    interpolation = cv2.INTER_CUBIC
    if side < 200:
        interpolation = cv2.INTER_AREA
    x = prepare_drawing(cv2.resize(PAPER, (side, side), interpolation=interpolation))
    # A pixel away, in any direction, counts as the same place.
    differences = []
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            moved = np.roll(x, (down, right), axis=(0, 1))
            differences.append(difference(moved))
    assert min(differences) <= 0.03


@pytest.mark.parametrize("side", [200, 600, 1000])
def test_a_pen_one_pixel_wide_gives_strokes_as_wide_as_mnist_s(side):
    thin = np.zeros((side, side), "uint8")
    for stroke in STROKES[2]:
        corners = np.array(stroke) * side // 200
        cv2.polylines(thin, [corners], False, 255, 1)
    x = prepare_drawing(255 - thin)
    assert x.max() == 1
    assert np.mean(x[x > 0.1] > 0.9) > 0.2
    assert 0.6 < x.sum() / PLAIN.sum() < 1.4


@pytest.mark.parametrize("digit", [2, 7])
def test_a_thick_pen_keeps_its_digit(digit):
    thick = draw_digit(digit, width=36)[:, 25:175]
    _, steps = prepare_drawing(255 - thick, steps=True)
    box = steps["box"]
    assert difference(box, shrink_to(box, thick)) < 0.05


# --- several digits ----------------------------------------------------------------------------


def test_several_digits_are_found_in_reading_order():
    first_row = np.hstack([draw_digit(5, 12), draw_digit(1, 12), draw_digit(4, 12)])
    second_row = np.hstack([draw_digit(7, 12), draw_digit(2, 12), draw_digit(5, 12)])
    page = np.pad(np.vstack([first_row, second_row]), 30)
    # The rows are not quite straight.
    page[:, 430:] = np.roll(page[:, 430:], -25, axis=0)
    digits = find_digits(photograph(page))
    assert digits.shape == (6, 28, 28)
    assert digits.dtype == np.float32
    for x, digit in zip(digits, (5, 1, 4, 7, 2, 5), strict=True):
        alone = prepare_drawing(255 - draw_digit(digit, 12))
        assert difference(x, alone) <= 0.05, digit


def test_one_digit_is_found_as_it_is_prepared():
    assert difference(find_digits(PAPER)[0]) <= 0.02


def draw_bars(side):
    """Return a page with `side` times `side` short bars."""
    step = 800 // side
    page = np.full((800, 800), 255, "uint8")
    for row in range(side):
        for column in range(side):
            top = row * step + step // 4
            left = column * step + step // 3
            page[top : top + step // 2, left : left + step // 4] = 0
    return page


def test_hundreds_of_digits_are_found():
    assert find_digits(draw_bars(20)).shape == (400, 28, 28)


@pytest.mark.parametrize("side", [34, 80, 150])
def test_more_digits_than_a_page_has_room_for_are_refused(side):
    with pytest.raises(TooManyDigitsError, match="at most 1,000 digits; it shows [1-9]"):
        find_digits(draw_bars(side))


# --- what is refused ---------------------------------------------------------------------------

NOISE = np.random.default_rng(0)
WITHOUT_INK = {
    "white": np.full((50, 50), 255, "uint8"),
    "black": Image.new("RGB", (50, 50)),
    "one color": encode(Image.new("RGB", (300, 200), "teal"), "JPEG"),
    "nothing at all": Image.new("RGBA", (50, 50)),
    "an empty sheet": photograph(np.zeros((200, 200)), LIGHT["from a corner"]),
    "noise": NOISE.integers(0, 256, (100, 100)).astype("uint8"),
    "faint noise": NOISE.normal(200, 3, (500, 500)).astype("uint8"),
    "one pixel": np.zeros((1, 1), "uint8"),
}


@pytest.mark.parametrize("image", WITHOUT_INK.values(), ids=WITHOUT_INK)
@pytest.mark.parametrize("function", [prepare_drawing, find_digits])
def test_a_picture_without_ink_is_refused(function, image):
    with pytest.raises(NoInkError, match="must show a digit"):
        function(image)


@pytest.mark.parametrize("size", [(100, 800), (7, 1500), (50, 300), (28, 200)])
def test_a_line_along_the_edge_gives_an_input_or_is_no_ink(size):
    page = np.full(size, 255, "uint8")
    page[0] = 0
    for function in (prepare_drawing, find_digits):
        try:
            assert function(page).shape[-2:] == (28, 28)
        except NoInkError as error:
            assert "nothing stands out" in str(error)
