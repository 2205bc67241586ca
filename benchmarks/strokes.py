"""What the reader is trained on beside MNIST as it is: its digits varied, and pictures of no digit.

All arrays are gray, ink 255 on 0. Pictures are drawn large (112×112) and brought to 28×28 the way
MNIST was made. Nobody's handwriting but MNIST's goes in; the variations are those by which people
are known to differ: slant, proportions, pens, and national forms such as the flagged 1, the
crossed 7 and the 9 with a curled tail.
"""

import cv2
import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont
from scipy.interpolate import CubicSpline

SIDE = 112  # pixels: three for each of MNIST's, and a margin
OFFSETS = np.float32(np.mgrid[:SIDE, :SIDE])[::-1] - SIDE / 2  # x and y of each pixel
NONE = 10  # the label of a picture of no digit

# Letters and signs that look like no digit. The second ones are only for measuring.
LETTERS, OTHER_LETTERS = "AEHKMRWkm", "FNXwx"
SIGNS, OTHER_SIGNS = "ЖЩЯДИΞΩΔΠ★♥☂♣♫→⇒∞∑√≠±#@&§€¥?☺⌂✂", "ШЮФЦΨΣ♠♦☀☎✈↔↑≈∫∀÷%¶£♪☹✓ℵ"
HERSHEY = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
)


def vary(image, label, rng, strength=1):
    """Give another form of one of MNIST's digits, as another person or pen might write it."""
    large = _enlarge(image)
    if rng.random() < 0.4 * strength:
        large = restyle(large, label, rng)
    large = bend(
        large,
        rng,
        rotation=15 * strength,
        shear=0.3 * strength,
        stretch=0.22 * strength,
        waves=4 * strength,
    )
    if rng.random() < 0.6 * strength:
        large = change_pen(large, rng)
    return shrink(large, rng)


def restyle(large, label, rng):
    """Add a stroke that some people make: flags, serifs, bars and curls."""
    rows, columns = np.nonzero(large > 127)
    if len(rows) == 0:
        return large
    top, bottom, height = rows.min(), rows.max(), np.ptp(rows)
    pen = max(round(pen_width(large)) - 1, 1)
    large = large.copy()

    def at(row, side=np.mean):
        near = columns[np.abs(rows - row) <= 3]
        return int(side(near)) if len(near) else int(columns.mean())

    def line(*points):
        cv2.polylines(large, [np.int32(points)], False, 255, pen, cv2.LINE_AA)

    def arc(center, radii, start, end):
        center, radii = tuple(map(int, center)), tuple(map(int, radii))
        cv2.ellipse(large, center, radii, 0, start, end, 255, pen, cv2.LINE_AA)

    if label == 1:
        if rng.random() < 0.8:
            tip, length = at(top + pen / 2), height * rng.uniform(0.15, 0.6)
            angle = np.radians(rng.uniform(25, 65))
            start = (tip - length * np.sin(angle), top + length * np.cos(angle))
            line(start, (tip, top + pen / 2))
        if rng.random() < 0.5:
            foot, half = at(bottom - pen / 2), height * rng.uniform(0.12, 0.32)
            line((foot - half, bottom), (foot + half * rng.uniform(0.7, 1.3), bottom))
    elif label == 7:
        if rng.random() < 0.8:
            row = top + height * rng.uniform(0.4, 0.62)
            half, tilt = height * rng.uniform(0.12, 0.28), rng.uniform(-4, 4)
            line((at(row) - half, row + tilt), (at(row) + half, row - tilt))
        if rng.random() < 0.3:
            left = columns[rows < top + 0.25 * height].min()
            line((left, top + pen), (left - 2, top + height * rng.uniform(0.1, 0.25)))
    elif label == 9:
        radius = height * rng.uniform(0.12, 0.3)
        flat = rng.uniform(0.5, 1)
        center = (at(bottom - 2) - radius, bottom - pen / 2)
        arc(center, (radius, radius * flat), 0, rng.uniform(90, 190))
    elif label == 6:
        radius = height * rng.uniform(0.15, 0.3)
        arc((at(top + 2) + radius, top + radius), (radius, radius), 200, rng.uniform(260, 350))
    elif label == 4:
        row = bottom - height * rng.uniform(0, 0.05)
        if rng.random() < 0.5:
            line((at(row) - height * 0.13, row), (at(row) + height * 0.13, row))
    elif label == 2:
        if rng.random() < 0.5:  # a base that runs out to the right
            right = columns[rows > bottom - 0.2 * height].max()
            line((right - 4, bottom - pen / 2), (right + height * 0.2, bottom - pen / 2))
    elif label == 0 and rng.random() < 0.3:
        low, high = (columns.min(), bottom), (columns.max(), top)
        line(low, high)
    return large


def pen_width(large):
    """Estimate the width of the strokes, in pixels, from the ink's area and its outline."""
    mask = (large > 127).astype("uint8")
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
    inside = depth[mask > 0]
    return 4 * inside.mean() - 2 if len(inside) else 0.0


def bend(large, rng, *, rotation, shear, stretch, waves):
    """Turn, slant, stretch and wave a picture; `waves` in pixels, the rest degrees and shares."""
    angle = np.radians(rng.uniform(-rotation, rotation))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    slant = np.array([[1, rng.uniform(-shear, shear)], [0, 1]])
    wide = np.exp(rng.uniform(-stretch, stretch))
    inverse = np.linalg.inv(turn @ slant @ np.diag([wide, 1 / wide]) * rng.uniform(0.85, 1))
    grid = np.float32(rng.normal(0, waves * rng.random(), (2, 5, 5)))
    wave_x, wave_y = (
        cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for part in grid
    )
    from_x, from_y = np.tensordot(np.float32(inverse), OFFSETS, 1) + SIDE / 2
    return cv2.remap(large, from_x + wave_x, from_y + wave_y, cv2.INTER_LINEAR)


def change_pen(large, rng):
    """Draw with a thinner or a broader pen, between one and five of MNIST's pixels."""
    width = pen_width(large)
    change = round(min(max(width * np.exp(rng.uniform(-0.7, 0.5)), 3), 15) - width)
    if abs(change) < 2:
        return large
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (abs(change) + 1, abs(change) + 1))
    if change > 0:
        return cv2.dilate(large, disc)
    thin = cv2.erode(large, disc)
    kept = cv2.countNonZero(cv2.inRange(thin, 128, 255))
    full = cv2.countNonZero(cv2.inRange(large, 128, 255))
    return thin if kept > 0.4 * full else large


def shrink(large, rng):
    """Bring a large picture to 28×28: box of some 20 pixels, center of mass, a pen's gray edge."""
    x, y, width, height = cv2.boundingRect(cv2.inRange(large, 64, 255))
    if not width:
        return np.zeros((28, 28), "uint8")
    box = rng.choice([19, 20, 20, 20, 20, 21])
    scale = box / max(width, height)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(large[y : y + height, x : x + width], size, interpolation=cv2.INTER_AREA)
    small = np.float32(small) / 255
    if rng.random() < 0.5:  # hard edges, or soft ones
        small = np.clip((small - 0.5) * np.exp(rng.uniform(-0.1, 1.5)) + 0.5, 0, 1) * (small > 0.05)
    mass = cv2.moments(small)
    center = np.array([mass["m10"], mass["m01"]]) / max(mass["m00"], 1e-6)
    drift = rng.normal(0, 0.7, 2) if rng.random() < 0.5 else rng.uniform(-0.5, 0.5, 2)
    to = np.clip(np.rint(14 - center + drift), 0, 28 - np.array(size)).astype(int)
    image = np.zeros((28, 28), "float32")
    image[to[1] : to[1] + size[1], to[0] : to[0] + size[0]] = small
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (3, 3), rng.uniform(0.3, 0.7))
    if rng.random() < 0.25:
        image *= rng.uniform(0.6, 1)
    return np.uint8(np.rint(255 * np.clip(image, 0, 1)))


def draw_none(rng, digits, labels, *, unseen=False):
    """Draw something that is no digit; with `unseen`, of the kinds that are only for measuring.

    `digits` and `labels` are some of MNIST's, uint8 (n, 28, 28) and (n,): several side by side or
    on top of each other, mirrored or lying ones are no digit either.
    """
    kinds = UNSEEN_KINDS if unseen else KINDS
    large = kinds[rng.integers(len(kinds))](rng, digits, labels)
    large = bend(large, rng, rotation=12, shear=0.25, stretch=0.15, waves=3)
    return shrink(change_pen(large, rng) if rng.random() < 0.4 else large, rng)


def _page():
    return np.zeros((SIDE, SIDE), "uint8")


def _letter(rng, digits, labels):
    page, font = _page(), HERSHEY[rng.integers(len(HERSHEY))]
    letter, pen = LETTERS[rng.integers(len(LETTERS))], int(rng.integers(3, 11))
    (width, height), _ = cv2.getTextSize(letter, font, 1, 1)
    scale = 76 / max(width, height)
    corner = (int(SIDE / 2 - width * scale / 2), int(SIDE / 2 + height * scale / 2))
    cv2.putText(page, letter, corner, font, scale, 255, pen, cv2.LINE_AA)
    return page


def _printed(rng, characters):
    faces = ["DejaVu Sans", "DejaVu Sans Mono", "DejaVu Serif"]
    weight = ["normal", "bold"][rng.integers(2)]
    character = characters[rng.integers(len(characters))]
    family = "DejaVu Sans" if character in SIGNS + OTHER_SIGNS else faces[rng.integers(3)]
    face = font_manager.FontProperties(family=family, weight=weight)
    font = ImageFont.truetype(font_manager.findfont(face), 84)
    page = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(page).text((SIDE / 2, SIDE / 2), character, 255, font, anchor="mm")
    return np.array(page)


def _sign(rng, digits, labels):
    return _printed(rng, SIGNS)


def _other_sign(rng, digits, labels):
    return _printed(rng, OTHER_SIGNS)


def _other_letter(rng, digits, labels):
    return _printed(rng, LETTERS + OTHER_LETTERS)


def _strokes(rng, digits, labels):
    """Four to seven straight and bent strokes, each somewhere: a letter that nobody knows."""
    page, pen = _page(), int(rng.integers(3, 10))
    for _ in range(rng.integers(4, 8)):
        points = rng.uniform(14, 98, (int(rng.integers(2, 4)), 2))
        path = np.int32(points) if len(points) == 2 else _curve(points)
        cv2.polylines(page, [path], False, 255, pen, cv2.LINE_AA)
    return page


def _turned(rng, digits, labels):
    """A 3, a 4 or a 7 in a mirror, or one of these or a 5 lying on its side."""
    lying = rng.random() < 0.5
    some = np.flatnonzero(np.isin(labels, [3, 4, 5, 7] if lying else [3, 4, 7]))
    digit = digits[rng.choice(some)]
    return _enlarge(np.rot90(digit, rng.choice([1, 3])) if lying else digit[:, ::-1])


def _overlaid(rng, digits, labels):
    """Two different digits written over each other; a 1 over another could pass for a style."""
    some = rng.choice(np.flatnonzero(labels != 1), 2)
    if labels[some[0]] == labels[some[1]]:
        return _turned(rng, digits, labels)
    shift = rng.integers(-5, 6, 2)
    return _enlarge(np.maximum(digits[some[0]], np.roll(digits[some[1]], shift, (0, 1))))


def _enlarge(image):
    """Give one of MNIST's images three times as large, with room around it."""
    large = cv2.resize(np.ascontiguousarray(image), (84, 84), interpolation=cv2.INTER_CUBIC)
    return np.pad(large, (SIDE - 84) // 2)


def _curve(points, n=60):
    """Points along a smooth curve through the given ones."""
    at = np.linspace(0, len(points) - 1, n)
    return np.int32(np.rint(CubicSpline(np.arange(len(points)), points)(at)))


def _scribble(rng, digits, labels):
    page, pen = _page(), int(rng.integers(3, 9))
    for _ in range(rng.integers(1, 3)):
        points = rng.uniform(16, 96, (int(rng.integers(7, 14)), 2))
        cv2.polylines(page, [_curve(points, 150)], False, 255, pen, cv2.LINE_AA)
    return page


def _marks(rng, digits, labels):
    """Crosses, hashes, stars, zigzags and ticks."""
    page, pen = _page(), int(rng.integers(3, 10))
    kind = rng.integers(5)
    if kind == 0:  # strokes through the middle: crosses and stars
        n, turn = int(rng.integers(2, 5)), rng.uniform(0, np.pi)
        for angle in turn + np.pi * np.arange(n) / n:
            reach = 40 * np.array([np.cos(angle), np.sin(angle)])
            ends = np.int32([56 - reach, 56 + reach])
            cv2.polylines(page, [ends], False, 255, pen, cv2.LINE_AA)
    elif kind == 1:  # a grid
        for at in np.linspace(30, 82, int(rng.integers(2, 4))):
            at = int(at)
            cv2.line(page, (at, 16), (at, 96), 255, pen, cv2.LINE_AA)
            cv2.line(page, (16, at), (96, at), 255, pen, cv2.LINE_AA)
    elif kind == 2:  # a zigzag
        n = int(rng.integers(5, 10))
        points = np.stack([np.linspace(14, 98, n), 56 + 34 * (-1.0) ** np.arange(n)], axis=1)
        points += rng.normal(0, 3, points.shape)
        cv2.polylines(page, [np.int32(points)], False, 255, pen, cv2.LINE_AA)
    elif kind == 3:  # parallel strokes
        for x in np.linspace(18, 94, int(rng.integers(3, 6))):
            top, bottom = (56 + side * rng.uniform(25, 42) for side in (-1, 1))
            ends = np.int32([(x, top), (x + rng.normal(0, 3), bottom)])
            cv2.polylines(page, [ends], False, 255, pen, cv2.LINE_AA)
    else:  # a spiral of three turns or more
        angle = np.linspace(0, 2 * np.pi * rng.uniform(3, 4.5), 150)
        points = 56 + (40 * angle / angle[-1]) * np.stack([np.cos(angle), np.sin(angle)])
        cv2.polylines(page, [np.int32(points.T)], False, 255, min(pen, 5), cv2.LINE_AA)
    return page


def _blots(rng, digits, labels):
    """What a shadow, a stain or an empty page leaves."""
    noise = np.float32(rng.normal(size=(SIDE, SIDE)))
    smooth = cv2.GaussianBlur(noise, (0, 0), rng.uniform(2, 9))
    return np.uint8(255 * (smooth > np.quantile(smooth, rng.uniform(0.45, 0.9))))


def _several(rng, digits, labels):
    count = int(rng.integers(2, 4))
    row = np.hstack([digits[i][:, 4:24] for i in rng.integers(len(digits), size=count)])
    page = _page()
    height = round(96 * 28 / row.shape[1])
    at = (SIDE - height) // 2
    page[at : at + height, 8:104] = cv2.resize(row, (96, height), interpolation=cv2.INTER_CUBIC)
    return page


def _tangle(rng, digits, labels):
    """A scribble of loops that wander over the page, as one tries a pen."""
    angle = np.linspace(0, 2 * np.pi * rng.uniform(4, 8), 300)
    path = np.linspace(30, 82, 300) + 26 * np.cos(angle), 56 + rng.uniform(12, 36) * np.sin(angle)
    page = _page()
    points = np.int32(np.stack(path, axis=1) + rng.normal(0, 1, (300, 2)))
    cv2.polylines(page, [points], False, 255, int(rng.integers(2, 7)), cv2.LINE_AA)
    return page


def _figure(rng, digits, labels):
    """A face, a house, an arrow, a stick figure or a music note."""
    page, pen = _page(), int(rng.integers(3, 8))
    style = (255, pen, cv2.LINE_AA)
    kind = rng.integers(4)
    if kind == 0:
        cv2.circle(page, (56, 56), 40, *style)
        cv2.circle(page, (42, 46), 4, *style)
        cv2.circle(page, (70, 46), 4, *style)
        cv2.ellipse(page, (56, 60), (20, 16), 0, 20, 160, *style)
    elif kind == 1:
        cv2.rectangle(page, (26, 52), (86, 96), *style)
        cv2.polylines(page, [np.int32([(20, 54), (56, 16), (92, 54)])], False, *style)
        cv2.rectangle(page, (48, 70), (64, 96), *style)
    elif kind == 2:
        cv2.line(page, (14, 56), (96, 56), *style)
        cv2.polylines(page, [np.int32([(66, 26), (96, 56), (66, 86)])], False, *style)
    else:
        cv2.circle(page, (56, 26), 13, *style)
        for start, end in (((56, 40), (56, 72)), ((30, 52), (82, 52))):
            cv2.line(page, start, end, *style)
        cv2.polylines(page, [np.int32([(34, 100), (56, 72), (78, 100)])], False, *style)
    return page


def _nothing(rng, digits, labels):
    return _page()


KINDS = (
    *(2 * (_letter, _scribble, _sign, _strokes)),
    *(_marks, _blots, _several, _turned, _overlaid, _nothing),
)
UNSEEN_KINDS = (_other_letter, _other_letter, _other_sign, _tangle, _figure)
