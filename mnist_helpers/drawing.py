"""From a person's own digit, drawn or photographed, to what a network takes."""

import cv2
import numpy as np

from mnist_helpers.pictures import read_gray


class NoInkError(ValueError):
    """Nothing in the picture stands out from its background."""


def prepare_drawing(image, *, steps=False):
    """Bring a picture of one digit to the form of MNIST's digits, in the way they were made.

    Parameters
    ----------
    image : str, Path, bytes, Pillow image or ndarray
        A file in one of the formats of `pictures.FORMATS`, its bytes, or a picture. An array is
        gray (h, w) or (h, w, 1), RGB (h, w, 3) or RGBA (h, w, 4), from 0 to 1, 255 or 65535.
    steps : bool
        Return the pictures in between too: a dict of 2-D float32, in the order of making.

    Returns
    -------
    ndarray of float32, shape (28, 28); with ``steps=True`` a tuple of it and the dict
        0 is background, 1 full ink.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file; if it is no picture, cannot be read, or shows no ink.
    """
    gray = read_gray(image, 200)
    ink, level = _find_ink(gray)
    digit = _cut_out(ink, level, _find_pieces(ink >= level, 0.1))
    box = _fit_box(digit)
    x = _center(box)
    made = {"gray": gray, "ink": ink, "digit": digit, "box": box, "centered": x}
    return (x, made) if steps else x


def find_digits(image):
    """Cut a picture of several digits into single ones, row by row, each from left to right.

    Takes and raises what `prepare_drawing` does. Strokes close above each other are one digit.

    Returns
    -------
    ndarray of float32, shape (n, 28, 28)
    """
    ink, level = _find_ink(read_gray(image, 800))
    pieces = _find_pieces(ink >= level, 0.03)
    tall = np.median(cv2.connectedComponentsWithStats(pieces)[2][1:, cv2.CC_STAT_HEIGHT])
    joined = cv2.dilate(pieces, np.ones((1 + int(tall / 8), 1)))
    _, labels, stats, centers = cv2.connectedComponentsWithStats(joined)
    order = 1 + np.argsort(centers[1:, 1])
    row = np.cumsum(np.diff(centers[order, 1], prepend=0) > tall / 2)
    order = order[np.lexsort((stats[order, cv2.CC_STAT_LEFT], row))]
    digits = (_cut_out(ink, level, pieces * np.uint8(labels == label)) for label in order)
    return np.stack([_center(_fit_box(digit)) for digit in digits])


def _find_ink(gray):
    """Take the paper away, whatever the light: the ink, and its level half way up the edges."""
    small = _scale(gray, 128)
    around = cv2.GaussianBlur(small, (0, 0), 26, borderType=cv2.BORDER_REPLICATE)
    if (_steepness(small) * (around - small)).sum() < 0:  # most of what is around ink is paper
        gray, small = 1 - gray, 1 - small
    stroke = np.ones((51, 51))  # no stroke is wider
    paper = cv2.morphologyEx(small, cv2.MORPH_CLOSE, stroke)
    light = cv2.GaussianBlur(paper, (0, 0), 26)
    paper = np.minimum(paper, light + cv2.morphologyEx(small - light, cv2.MORPH_CLOSE, stroke))
    gray = (gray + 0.05) / (cv2.resize(paper, gray.shape[::-1]) + 0.05)  # what part comes back
    ink = np.maximum(1 - gray, 0)
    fine = _scale(ink, max(200, *ink.shape))
    steepest = _steepness(fine) ** 2 + 1e-30
    level = (steepest * fine).sum() / steepest.sum()
    if level < max(0.01, 3 * np.median(abs(np.diff(gray, append=gray[:, -1:])))):
        raise NoInkError("the picture must show a digit; nothing stands out from the background")
    return ink, level


def _steepness(gray):
    """How steep each pixel is, faded out towards the border, where tables and frames begin."""
    inner = np.outer(*(np.hanning(n + 2)[1:-1] for n in gray.shape))
    return inner * (cv2.Sobel(gray, -1, 1, 0) ** 2 + cv2.Sobel(gray, -1, 0, 1) ** 2)


def _find_pieces(mask, least):
    """Keep the strokes: not specks, nor what meets the border if something else is large enough."""
    joined = cv2.dilate(np.uint8(mask), None, iterations=int(max(mask.shape) > 100))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(joined)
    x, y, w, h, _ = stats.T
    size = np.maximum(w, h)
    size[0] = 0  # the background
    border = (x == 0) | (y == 0) | (x + w == mask.shape[1]) | (y + h == mask.shape[0])
    if size[~border].max(initial=0) >= least * max(mask.shape):
        size[border] = 0
    return np.uint8(size >= 0.2 * size.max())[labels]


def _cut_out(ink, level, piece):
    full = np.percentile(ink[(piece > 0) & (ink >= level)], 75)
    return np.minimum(ink / full, 1) * cv2.dilate(piece, None)


def _fit_box(digit):
    """Crop, and scale the longer side to 20 pixels; strokes too thin for MNIST are widened."""
    digit = _crop(digit)
    fine = np.pad(_scale(digit, 160), 10)
    fine = fine > fine.max() / 2
    inside = cv2.distanceTransform(np.uint8(fine), cv2.DIST_L2, 5)
    stroke = 4 * inside[fine].mean() - 2  # a quarter of the width lies between pixel and edge
    if stroke < 11 or max(digit.shape) < 20:
        outside = cv2.distanceTransform(np.uint8(~fine), cv2.DIST_L2, 5)
        digit = _crop(np.clip(max(18 - stroke, 0) / 2 + 1 - outside, 0, 1))
    box = _scale(digit, 20)
    return box / box.max()


def _crop(digit):
    rows, columns = (np.flatnonzero(digit.max(axis) > 0.1) for axis in (1, 0))
    return digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _scale(image, side):
    """Resize, so that the longer side has `side` pixels."""
    scale = side / max(image.shape)
    size = [max(1, round(n * scale)) for n in image.shape[::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _center(box):
    """Put the box into 28×28 with its center of mass on pixel 14, as MNIST's digits have it."""
    height, width = box.shape
    y = np.average(np.arange(height), weights=box.sum(axis=1))
    x = np.average(np.arange(width), weights=box.sum(axis=0))
    top, left = np.clip([round(14 - y), round(14 - x)], 0, [28 - height, 28 - width])
    return np.pad(box, ((top, 28 - height - top), (left, 28 - width - left)))
