"""What the reader is trained on beside MNIST as it is: its digits varied, and pictures of no digit.

All arrays are gray, ink 255 on 0. Pictures are drawn large (112×112) and brought to 28×28 the way
MNIST was made. Nobody's handwriting but MNIST's goes in; the variations are those by which people
are known to differ: slant, proportions, pens, and national forms such as the flagged 1, the
crossed 7 and the 9 with a curled tail.

The order of the random draws is part of this program: with another one the same seeds would make
other pictures, and the reader that ships could not be trained again.
"""

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.interpolate import CubicSpline

from mnist_helpers.library_settings import matplotlib_defaults

with matplotlib_defaults():
    from matplotlib import font_manager

SMALL_SIDE = 28  # pixels of MNIST's images
ENLARGED_SIDE = 3 * SMALL_SIDE
SIDE = 112  # pixels of a large picture: three for each of MNIST's, and a margin
MIDDLE = SIDE // 2
OFFSETS = np.float32(np.mgrid[:SIDE, :SIDE])[::-1] - SIDE / 2  # x and y of each pixel
INK = 255
IS_INK = 127  # a pixel above it belongs to a stroke
NONE = 10  # the label of a picture of no digit

# Letters and signs that look like no digit. The second ones are only for measuring.
LETTERS = "AEHKMRWkm"
OTHER_LETTERS = "FNXwx"
SIGNS = "ЖЩЯДИΞΩΔΠ★♥☂♣♫→⇒∞∑√≠±#@&§€¥?☺⌂✂"
OTHER_SIGNS = "ШЮФЦΨΣ♠♦☀☎✈↔↑≈∫∀÷%¶£♪☹✓ℵ"
HERSHEY_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
)
# These come with Matplotlib, so that every machine has them; signs are taken from the first.
FONT_FAMILIES = ("DejaVu Sans", "DejaVu Sans Mono", "DejaVu Serif")
FONT_WEIGHTS = ("normal", "bold")
FONT_SIZE = 84


# --- digits, varied ----------------------------------------------------------------------------


def vary(image, label, rng, strength=1):
    """Vary one of MNIST's digits, as another person or pen might write it.

    Parameters
    ----------
    image : numpy.ndarray
        Shape (28, 28), uint8, light on dark.
    label : int
    rng : numpy.random.Generator
    strength : float
        1 for handwriting of all kinds; less for one that is closer to MNIST's.

    Returns
    -------
    numpy.ndarray
        Shape (28, 28), uint8.
    """
    large = enlarge(image)
    if rng.random() < 0.4 * strength:
        large = restyle(large, label, rng)
    large = bend(
        large,
        rng,
        rotation=15 * strength,
        shear=0.3 * strength,
        zoom=0.22 * strength,
        elastic=4 * strength,
    )
    if rng.random() < 0.6 * strength:
        large = change_pen(large, rng)
    return shrink(large, rng)


def enlarge(image):
    """Return one of MNIST's images three times as large, with room around it."""
    # OpenCV does not take a mirrored view.
    image = np.ascontiguousarray(image)
    size = (ENLARGED_SIDE, ENLARGED_SIDE)
    large = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    return np.pad(large, (SIDE - ENLARGED_SIDE) // 2)


def bend(large, rng, *, rotation, shear, zoom, elastic):
    """Rotate, shear, zoom and distort a picture, by random amounts.

    Parameters
    ----------
    large : numpy.ndarray
        Shape (112, 112), uint8.
    rng : numpy.random.Generator
    rotation : float
        Degrees at most.
    shear : float
        Pixels at most that a row moves aside, for each row's distance from the middle.
    zoom : float
        Logarithm of the most by which the width grows while the height shrinks, or the reverse.
    elastic : float
        Pixels (standard deviation, at most) by which points move in waves.

    Returns
    -------
    numpy.ndarray
        Shape (112, 112), uint8.
    """
    angle = np.radians(rng.uniform(-rotation, rotation))
    cos = np.cos(angle)
    sin = np.sin(angle)
    rotated = np.array([[cos, -sin], [sin, cos]])
    sheared = np.array([[1, rng.uniform(-shear, shear)], [0, 1]])
    width = np.exp(rng.uniform(-zoom, zoom))
    zoomed = np.diag([width, 1 / width])
    scale = rng.uniform(0.85, 1)
    # `remap` asks from where each pixel comes, hence the inverse.
    inverse = np.float32(np.linalg.inv(rotated @ sheared @ zoomed * scale))
    from_x, from_y = np.tensordot(inverse, OFFSETS, 1) + SIDE / 2
    wave_x, wave_y = draw_waves(rng, elastic * rng.random())
    return cv2.remap(large, from_x + wave_x, from_y + wave_y, cv2.INTER_LINEAR)


def draw_waves(rng, deviation):
    """Draw smooth displacements of all pixels, in x and in y, from five by five random ones."""
    knots = np.float32(rng.normal(0, deviation, (2, 5, 5)))
    size = (SIDE, SIDE)
    return [cv2.resize(part, size, interpolation=cv2.INTER_CUBIC) for part in knots]


def pen_width(large):
    """Estimate the width of the strokes, in pixels, from the ink's area and its outline."""
    mask = (large > IS_INK).astype("uint8")
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
    inside = depth[mask > 0]
    if len(inside) == 0:
        return 0.0
    # In a stroke of width w the mean distance to the edge is some w / 4 + 1 / 2.
    return 4 * inside.mean() - 2


def change_pen(large, rng):
    """Draw with a thinner or a broader pen, between one and five of MNIST's pixels."""
    width = pen_width(large)
    wanted = width * np.exp(rng.uniform(-0.7, 0.5))
    wanted = min(max(wanted, 3), 15)
    change = round(wanted - width)
    if abs(change) < 2:
        return large
    disc_size = (abs(change) + 1, abs(change) + 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, disc_size)
    if change > 0:
        return cv2.dilate(large, disc)
    thin = cv2.erode(large, disc)
    # A digit that would lose most of its ink stays as it is.
    if count_ink(thin) > 0.4 * count_ink(large):
        return thin
    return large


def count_ink(large):
    return cv2.countNonZero(cv2.inRange(large, IS_INK + 1, INK))


def shrink(large, rng):
    """Bring a large picture to 28×28: box of some 20 pixels, center of mass, a pen's gray edge."""
    x, y, width, height = cv2.boundingRect(cv2.inRange(large, 64, INK))
    if width == 0:
        return np.zeros((SMALL_SIDE, SMALL_SIDE), "uint8")
    box = rng.choice([19, 20, 20, 20, 20, 21])
    scale = box / max(width, height)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    cut = large[y : y + height, x : x + width]
    small = np.float32(cv2.resize(cut, size, interpolation=cv2.INTER_AREA)) / INK
    # Every second digit has harder edges.
    if rng.random() < 0.5:
        small = harden_edges(small, rng)
    image = center(small, rng)
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (3, 3), rng.uniform(0.3, 0.7))
    if rng.random() < 0.25:
        image *= rng.uniform(0.6, 1)
    return np.uint8(np.rint(INK * np.clip(image, 0, 1)))


def harden_edges(small, rng):
    """Raise the contrast around the middle of gray, and clear what is hardly gray at all."""
    contrast = np.exp(rng.uniform(-0.1, 1.5))
    hard = np.clip((small - 0.5) * contrast + 0.5, 0, 1)
    return np.where(small > 0.05, hard, 0)


def center(small, rng):
    """Put a small picture, in [0, 1], into MNIST's format by its center of mass, or near it."""
    moments = cv2.moments(small)
    mass = max(moments["m00"], 1e-6)
    center_of_mass = np.array([moments["m10"], moments["m01"]]) / mass
    if rng.random() < 0.5:
        drift = rng.normal(0, 0.7, 2)
    else:
        drift = rng.uniform(-0.5, 0.5, 2)
    height, width = small.shape
    room = SMALL_SIDE - np.array([width, height])
    corner = np.rint(SMALL_SIDE // 2 - center_of_mass + drift)
    left, top = np.clip(corner, 0, room).astype(int)
    image = np.zeros((SMALL_SIDE, SMALL_SIDE), "float32")
    image[top : top + height, left : left + width] = small
    return image


# --- strokes that some people add --------------------------------------------------------------


class Digit:
    """A large digit to which strokes are added with a pen like the one that wrote it.

    Parameters
    ----------
    large : numpy.ndarray
        Shape (112, 112), uint8, with some ink; it is copied.
    """

    def __init__(self, large):
        self.page = large.copy()
        self.rows, self.columns = np.nonzero(large > IS_INK)
        self.top = self.rows.min()
        self.bottom = self.rows.max()
        self.height = np.ptp(self.rows)
        self.pen = max(round(pen_width(large)) - 1, 1)

    def column_at(self, row):
        """Return the middle of the ink near a row, or of all ink where there is none."""
        near = self.columns[np.abs(self.rows - row) <= 3]
        if len(near) == 0:
            return int(self.columns.mean())
        return int(near.mean())

    def line(self, start, end):
        draw_path(self.page, [start, end], self.pen)

    def arc(self, middle, radii, start, end):
        """Draw a part of an ellipse, between two angles in degrees."""
        middle = (int(middle[0]), int(middle[1]))
        radii = (int(radii[0]), int(radii[1]))
        cv2.ellipse(self.page, middle, radii, 0, start, end, INK, self.pen, cv2.LINE_AA)


def restyle(large, label, rng):
    """Add a stroke that some people make: flags, serifs, bars and curls."""
    if not (large > IS_INK).any() or int(label) not in RESTYLES:
        return large
    digit = Digit(large)
    RESTYLES[int(label)](digit, rng)
    return digit.page


def restyle_0(digit, rng):
    """Strike the zero through."""
    if rng.random() < 0.3:
        digit.line((digit.columns.min(), digit.bottom), (digit.columns.max(), digit.top))


def restyle_1(digit, rng):
    """Give the one a flag, a foot, or both."""
    if rng.random() < 0.8:
        tip_row = digit.top + digit.pen / 2
        tip_column = digit.column_at(tip_row)
        length = digit.height * rng.uniform(0.15, 0.6)
        angle = np.radians(rng.uniform(25, 65))
        start = (tip_column - length * np.sin(angle), digit.top + length * np.cos(angle))
        digit.line(start, (tip_column, tip_row))
    if rng.random() < 0.5:
        foot = digit.column_at(digit.bottom - digit.pen / 2)
        half = digit.height * rng.uniform(0.12, 0.32)
        right = foot + half * rng.uniform(0.7, 1.3)
        digit.line((foot - half, digit.bottom), (right, digit.bottom))


def restyle_2(digit, rng):
    """Let the base run out to the right."""
    if rng.random() < 0.5:
        base = digit.rows > digit.bottom - 0.2 * digit.height
        right = digit.columns[base].max()
        row = digit.bottom - digit.pen / 2
        digit.line((right - 4, row), (right + digit.height * 0.2, row))


def restyle_4(digit, rng):
    """Give the four a foot."""
    row = digit.bottom - digit.height * rng.uniform(0, 0.05)
    if rng.random() < 0.5:
        column = digit.column_at(row)
        half = digit.height * 0.13
        digit.line((column - half, row), (column + half, row))


def restyle_6(digit, rng):
    """Curl the top of the six."""
    radius = digit.height * rng.uniform(0.15, 0.3)
    middle = (digit.column_at(digit.top + 2) + radius, digit.top + radius)
    digit.arc(middle, (radius, radius), 200, rng.uniform(260, 350))


def restyle_7(digit, rng):
    """Cross the seven, give it a serif, or both."""
    if rng.random() < 0.8:
        row = digit.top + digit.height * rng.uniform(0.4, 0.62)
        half = digit.height * rng.uniform(0.12, 0.28)
        tilt = rng.uniform(-4, 4)
        column = digit.column_at(row)
        digit.line((column - half, row + tilt), (column + half, row - tilt))
    if rng.random() < 0.3:
        bar = digit.rows < digit.top + 0.25 * digit.height
        left = digit.columns[bar].min()
        end_row = digit.top + digit.height * rng.uniform(0.1, 0.25)
        digit.line((left, digit.top + digit.pen), (left - 2, end_row))


def restyle_9(digit, rng):
    """Curl the tail of the nine."""
    radius = digit.height * rng.uniform(0.12, 0.3)
    flatness = rng.uniform(0.5, 1)
    middle = (digit.column_at(digit.bottom - 2) - radius, digit.bottom - digit.pen / 2)
    digit.arc(middle, (radius, radius * flatness), 0, rng.uniform(90, 190))


RESTYLES = {  # by label; nobody adds a stroke to the others
    0: restyle_0,
    1: restyle_1,
    2: restyle_2,
    4: restyle_4,
    6: restyle_6,
    7: restyle_7,
    9: restyle_9,
}


# --- pictures of no digit ----------------------------------------------------------------------
# Each kind takes the random generator and some of MNIST's images and labels, uint8 (n, 28, 28) and
# (n,), and returns a large picture.


def draw_none(rng, images, labels, *, unseen=False):
    """Draw something that is no digit.

    Parameters
    ----------
    rng : numpy.random.Generator
    images, labels : numpy.ndarray
        Some of MNIST's, uint8, shapes (n, 28, 28) and (n,): several side by side or on top of each
        other, mirrored or lying ones are no digit either.
    unseen : bool
        Whether to draw of the kinds that are only for measuring.

    Returns
    -------
    numpy.ndarray
        Shape (28, 28), uint8.
    """
    kinds = KINDS
    if unseen:
        kinds = UNSEEN_KINDS
    draw_kind = kinds[rng.integers(len(kinds))]
    large = draw_kind(rng, images, labels)
    large = bend(large, rng, rotation=12, shear=0.25, zoom=0.15, elastic=3)
    if rng.random() < 0.4:
        large = change_pen(large, rng)
    return shrink(large, rng)


def empty_page():
    return np.zeros((SIDE, SIDE), "uint8")


def draw_path(page, points, pen):
    """Draw straight strokes from point to point, (x, y) each, with a pen so many pixels wide."""
    cv2.polylines(page, [np.int32(points)], False, INK, pen, cv2.LINE_AA)


def draw_line(page, start, end, pen):
    cv2.line(page, start, end, INK, pen, cv2.LINE_AA)


def smooth_curve(points, n_points=60):
    """Return points along a smooth curve through the given ones."""
    positions = np.linspace(0, len(points) - 1, n_points)
    spline = CubicSpline(np.arange(len(points)), points)
    return np.int32(np.rint(spline(positions)))


def draw_nothing(rng, images, labels):
    return empty_page()


def draw_letter(rng, images, labels):
    """Draw a letter of single strokes, as OpenCV writes it."""
    font = HERSHEY_FONTS[rng.integers(len(HERSHEY_FONTS))]
    letter = LETTERS[rng.integers(len(LETTERS))]
    pen = int(rng.integers(3, 11))
    (width, height), _ = cv2.getTextSize(letter, font, 1, 1)
    scale = 76 / max(width, height)
    corner = (int(SIDE / 2 - width * scale / 2), int(SIDE / 2 + height * scale / 2))
    page = empty_page()
    cv2.putText(page, letter, corner, font, scale, INK, pen, cv2.LINE_AA)
    return page


def draw_printed(rng, characters):
    """Draw one of these characters, printed."""
    weight = FONT_WEIGHTS[rng.integers(len(FONT_WEIGHTS))]
    character = characters[rng.integers(len(characters))]
    family = FONT_FAMILIES[0]
    if character not in SIGNS + OTHER_SIGNS:
        family = FONT_FAMILIES[rng.integers(len(FONT_FAMILIES))]
    face = font_manager.FontProperties(family=family, weight=weight)
    font = ImageFont.truetype(font_manager.findfont(face), FONT_SIZE)
    page = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(page).text((SIDE / 2, SIDE / 2), character, INK, font, anchor="mm")
    return np.array(page)


def draw_sign(rng, images, labels):
    return draw_printed(rng, SIGNS)


def draw_other_sign(rng, images, labels):
    return draw_printed(rng, OTHER_SIGNS)


def draw_other_letter(rng, images, labels):
    return draw_printed(rng, LETTERS + OTHER_LETTERS)


def draw_unknown_letter(rng, images, labels):
    """Draw four to seven straight and bent strokes anywhere: a letter that nobody knows."""
    page = empty_page()
    pen = int(rng.integers(3, 10))
    for _ in range(rng.integers(4, 8)):
        n_points = int(rng.integers(2, 4))
        points = rng.uniform(14, 98, (n_points, 2))
        if n_points > 2:
            points = smooth_curve(points)
        draw_path(page, points, pen)
    return page


def draw_turned(rng, images, labels):
    """Draw a 3, a 4 or a 7 in a mirror, or one of these or a 5 lying on its side."""
    if rng.random() < 0.5:
        chosen = np.flatnonzero(np.isin(labels, [3, 4, 5, 7]))
        image = images[rng.choice(chosen)]
        quarter_turns = rng.choice([1, 3])
        return enlarge(np.rot90(image, quarter_turns))
    chosen = np.flatnonzero(np.isin(labels, [3, 4, 7]))
    image = images[rng.choice(chosen)]
    return enlarge(image[:, ::-1])


def draw_overlaid(rng, images, labels):
    """Draw two different digits over each other; a 1 over another could pass for a style."""
    first, second = rng.choice(np.flatnonzero(labels != 1), 2)
    if labels[first] == labels[second]:
        return draw_turned(rng, images, labels)
    shift = rng.integers(-5, 6, 2)
    shifted = np.roll(images[second], shift, (0, 1))
    return enlarge(np.maximum(images[first], shifted))


def draw_several(rng, images, labels):
    """Draw two or three digits side by side."""
    count = int(rng.integers(2, 4))
    chosen = rng.integers(len(images), size=count)
    # Without the empty columns at both sides.
    row = np.hstack([images[i][:, 4:24] for i in chosen])
    width = 96
    height = round(width * SMALL_SIDE / row.shape[1])
    top = (SIDE - height) // 2
    left = (SIDE - width) // 2
    page = empty_page()
    enlarged = cv2.resize(row, (width, height), interpolation=cv2.INTER_CUBIC)
    page[top : top + height, left : left + width] = enlarged
    return page


def draw_scribble(rng, images, labels):
    """Draw one or two long curves through random points."""
    page = empty_page()
    pen = int(rng.integers(3, 9))
    for _ in range(rng.integers(1, 3)):
        n_points = int(rng.integers(7, 14))
        points = rng.uniform(16, 96, (n_points, 2))
        draw_path(page, smooth_curve(points, 150), pen)
    return page


def draw_tangle(rng, images, labels):
    """Draw loops that wander over the page, as one tries a pen."""
    n_points = 300
    angle = np.linspace(0, 2 * np.pi * rng.uniform(4, 8), n_points)
    x = np.linspace(30, 82, n_points) + 26 * np.cos(angle)
    y = MIDDLE + rng.uniform(12, 36) * np.sin(angle)
    points = np.stack([x, y], axis=1) + rng.normal(0, 1, (n_points, 2))
    page = empty_page()
    draw_path(page, points, int(rng.integers(2, 7)))
    return page


def draw_blots(rng, images, labels):
    """Draw what a shadow, a stain or an empty page leaves."""
    noise = np.float32(rng.normal(size=(SIDE, SIDE)))
    smooth = cv2.GaussianBlur(noise, (0, 0), rng.uniform(2, 9))
    threshold = np.quantile(smooth, rng.uniform(0.45, 0.9))
    return np.uint8(INK * (smooth > threshold))


def draw_mark(rng, images, labels):
    """Draw a star or a cross, a grid, a zigzag, parallel strokes or a spiral."""
    page = empty_page()
    pen = int(rng.integers(3, 10))
    MARKS[rng.integers(len(MARKS))](page, pen, rng)
    return page


def draw_star(page, pen, rng):
    """Draw strokes through the middle; two of them are a cross."""
    n_strokes = int(rng.integers(2, 5))
    first_angle = rng.uniform(0, np.pi)
    for angle in first_angle + np.pi * np.arange(n_strokes) / n_strokes:
        reach = 40 * np.array([np.cos(angle), np.sin(angle)])
        draw_path(page, [MIDDLE - reach, MIDDLE + reach], pen)


def draw_grid(page, pen, rng):
    n_lines = int(rng.integers(2, 4))
    for position in np.linspace(30, 82, n_lines).astype(int).tolist():
        draw_line(page, (position, 16), (position, 96), pen)
        draw_line(page, (16, position), (96, position), pen)


def draw_zigzag(page, pen, rng):
    n_points = int(rng.integers(5, 10))
    x = np.linspace(14, 98, n_points)
    y = MIDDLE + 34 * (-1.0) ** np.arange(n_points)
    points = np.stack([x, y], axis=1)
    draw_path(page, points + rng.normal(0, 3, points.shape), pen)


def draw_parallel_strokes(page, pen, rng):
    n_strokes = int(rng.integers(3, 6))
    for x in np.linspace(18, 94, n_strokes):
        top = MIDDLE - rng.uniform(25, 42)
        bottom = MIDDLE + rng.uniform(25, 42)
        draw_path(page, [(x, top), (x + rng.normal(0, 3), bottom)], pen)


def draw_spiral(page, pen, rng):
    """Draw a spiral of three turns or more."""
    angle = np.linspace(0, 2 * np.pi * rng.uniform(3, 4.5), 150)
    radius = 40 * angle / angle[-1]
    points = MIDDLE + radius * np.stack([np.cos(angle), np.sin(angle)])
    # A broader pen could fill the space between the turns.
    draw_path(page, points.T, min(pen, 5))


MARKS = (draw_star, draw_grid, draw_zigzag, draw_parallel_strokes, draw_spiral)


def draw_figure(rng, images, labels):
    """Draw a face, a house, an arrow or a stick figure."""
    page = empty_page()
    pen = int(rng.integers(3, 8))
    FIGURES[rng.integers(len(FIGURES))](page, pen)
    return page


def draw_face(page, pen):
    style = (INK, pen, cv2.LINE_AA)
    cv2.circle(page, (56, 56), 40, *style)
    cv2.circle(page, (42, 46), 4, *style)
    cv2.circle(page, (70, 46), 4, *style)
    cv2.ellipse(page, (56, 60), (20, 16), 0, 20, 160, *style)


def draw_house(page, pen):
    cv2.rectangle(page, (26, 52), (86, 96), INK, pen, cv2.LINE_AA)
    draw_path(page, [(20, 54), (56, 16), (92, 54)], pen)
    cv2.rectangle(page, (48, 70), (64, 96), INK, pen, cv2.LINE_AA)


def draw_arrow(page, pen):
    draw_line(page, (14, 56), (96, 56), pen)
    draw_path(page, [(66, 26), (96, 56), (66, 86)], pen)


def draw_stick_figure(page, pen):
    cv2.circle(page, (56, 26), 13, INK, pen, cv2.LINE_AA)
    draw_line(page, (56, 40), (56, 72), pen)
    draw_line(page, (30, 52), (82, 52), pen)
    draw_path(page, [(34, 100), (56, 72), (78, 100)], pen)


FIGURES = (draw_face, draw_house, draw_arrow, draw_stick_figure)

# The first four stand twice, so that they are drawn twice as often.
KINDS = (
    draw_letter,
    draw_scribble,
    draw_sign,
    draw_unknown_letter,
    draw_letter,
    draw_scribble,
    draw_sign,
    draw_unknown_letter,
    draw_mark,
    draw_blots,
    draw_several,
    draw_turned,
    draw_overlaid,
    draw_nothing,
)
UNSEEN_KINDS = (
    draw_other_letter,
    draw_other_letter,
    draw_other_sign,
    draw_tangle,
    draw_figure,
)
