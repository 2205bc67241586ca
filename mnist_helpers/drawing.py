"""From a person's own digit, drawn or photographed, to what a network takes."""

import cv2
import numpy as np

from mnist_helpers.pictures import read_gray

# MNIST's digits: 28×28 pixels, the digit in a box of 20 pixels, its center of mass on pixel 14.
SIDE = 28
BOX_SIDE = 20
CENTER = 14

# Larger pictures are shrunk to this; sides are always those of the longer side, in pixels.
DIGIT_PICTURE_SIDE = 200
PAGE_PICTURE_SIDE = 800

# The paper is estimated on a small picture: light changes slowly, and this is fast. There, no
# stroke is as wide as STROKE, and a blur of half that standard deviation leaves only the light.
WORK_SIZE = 128
STROKE = 51
LIGHT_BLUR = 26
# Added to gray and to paper before the division: else noise in a deep shadow would look like ink.
SHADOW_FLOOR = 0.05
# A smaller picture is enlarged before its edges are measured: they have too few pixels.
EDGE_SIDE = 200
# Keeps the weights of an even picture, which has no edges, from being all zero.
TINY = 1e-30
# Ink is seen when half its darkness is above this, and above so many times the pixel noise.
FAINTEST_LEVEL = 0.01
NOISE_FACTOR = 3

# A digit is at least this large, as a share of the picture's longer side.
LEAST_SINGLE_DIGIT = 0.1
LEAST_DIGIT_ON_PAGE = 0.03
# So many of the least digits fill a page; more pieces than that are noise or a pattern.
MOST_DIGITS = 1000
# In a picture larger than this, strokes a pixel apart belong together.
JOINING_SIDE = 100
# A piece smaller than this share of the largest one is a speck.
SPECK = 0.2
# Shares of a digit's height. The strokes of one digit may lie above each other with such a gap,
# as those of a 5 do; a digit whose center lies further below the last one's begins a new row.
GAP_IN_DIGIT = 1 / 8
GAP_OF_ROWS = 1 / 2
# The quartile of ink that counts as full: most of a stroke becomes 1, whatever the pen.
FULL_INK_PERCENTILE = 75
# Below this share of full ink, a row or column of pixels is cropped.
CROP_LEVEL = 0.1

# The width of strokes is measured on a digit 8 times as large as the box, with a margin. A stroke
# below THIN_STROKE is thinner than those of MNIST; it is widened to MNIST_STROKE.
FINE_SIDE = 8 * BOX_SIDE
FINE_MARGIN = 10
THIN_STROKE = 11
MNIST_STROKE = 18


_NO_INK = "the picture must show a digit; nothing stands out from the background"


class NoInkError(ValueError):
    """Nothing in the picture stands out from its background."""


class TooManyDigitsError(ValueError):
    """A page shows more pieces of ink than digits fit on it."""


def prepare_drawing(image, *, steps=False):
    """Bring a picture of one digit into the form of MNIST's digits.

    MNIST's digits were made the same way: a box of 20 pixels around the digit, and its center of
    mass in the middle of 28×28 pixels.

    Parameters
    ----------
    image : str, Path, bytes, Pillow image or ndarray
        A file in one of the formats of `decoder.FORMATS`, its bytes, or a picture. An array is
        gray (h, w) or (h, w, 1), RGB (h, w, 3) or RGBA (h, w, 4), from 0 to 1, 255 or 65535.
    steps : bool
        Also return the pictures in between.

    Returns
    -------
    x : ndarray of float32, shape (28, 28)
        0 is background, 1 is full ink.
    steps : dict of str to ndarray of float32, shape (h, w)
        Only with ``steps=True``: the pictures ``gray``, ``ink``, ``digit``, ``box`` and
        ``centered``, in the order in which they were made.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a picture, cannot be read, or (as `NoInkError`) shows no ink.

    Examples
    --------
    >>> import numpy as np
    >>> drawing = np.full((100, 100), 255, dtype="uint8")
    >>> drawing[20:80, 45:55] = 0
    >>> x = prepare_drawing(drawing)
    >>> x.shape
    (28, 28)
    >>> float(x.min()), float(x.max())
    (0.0, 1.0)
    """
    gray = read_gray(image, DIGIT_PICTURE_SIDE)
    ink, level = _find_ink(gray)
    pieces = _find_pieces(ink >= level, LEAST_SINGLE_DIGIT)
    digit = _cut_out(ink, level, pieces)
    box = _fit_box(digit)
    x = _center(box)
    if steps:
        return x, {"gray": gray, "ink": ink, "digit": digit, "box": box, "centered": x}
    return x


def find_digits(image):
    """Cut a picture of several digits into single ones, row by row, each from left to right.

    Strokes close above each other count as one digit.

    Parameters
    ----------
    image : str, Path, bytes, Pillow image or ndarray
        As `prepare_drawing` takes it.

    Returns
    -------
    ndarray of float32, shape (n, 28, 28)
        Each as `prepare_drawing` returns it.

    Raises
    ------
    FileNotFoundError, ValueError
        As `prepare_drawing` does; a ValueError also if there are more than `MOST_DIGITS`.

    Examples
    --------
    >>> import numpy as np
    >>> page = np.full((100, 300), 255, dtype="uint8")
    >>> page[20:80, 50:60] = 0
    >>> page[20:80, 150:160] = 0
    >>> find_digits(page).shape
    (2, 28, 28)
    """
    ink, level = _find_ink(read_gray(image, PAGE_PICTURE_SIDE))
    pieces = _find_pieces(ink >= level, LEAST_DIGIT_ON_PAGE)
    _, _, stats, _ = cv2.connectedComponentsWithStats(pieces)
    # The first component is the background.
    height = np.median(stats[1:, cv2.CC_STAT_HEIGHT])
    gap = int(height * GAP_IN_DIGIT)
    joined = cv2.dilate(pieces, np.ones((1 + gap, 1)))
    n_labels, labels, stats, centers = cv2.connectedComponentsWithStats(joined)
    # The first label is the background.
    if n_labels - 1 > MOST_DIGITS:
        raise TooManyDigitsError(
            f"the picture must show at most {MOST_DIGITS:,} digits; it shows {n_labels - 1:,} "
            "pieces of ink: take a picture of a part of the page"
        )
    digits = []
    for label in _sort_for_reading(stats, centers, height * GAP_OF_ROWS):
        # Only the digit's surroundings: each step over the whole page would take milliseconds.
        around = _find_surroundings(stats[label])
        piece = pieces[around] * np.uint8(labels[around] == label)
        digit = _cut_out(ink[around], level, piece)
        digits.append(_center(_fit_box(digit)))
    return np.stack(digits)


def _find_surroundings(stats):
    """Return the rows and columns of a component and of its soft edge, one pixel more each way."""
    left, top, width, height, _ = stats
    rows = slice(max(top - 1, 0), top + height + 1)
    columns = slice(max(left - 1, 0), left + width + 1)
    return rows, columns


def _sort_for_reading(stats, centers, row_gap):
    """Return the labels of the components row by row, each row from left to right."""
    # The first component is the background.
    labels = range(1, len(stats))
    rows = []
    previous = -np.inf
    for label in sorted(labels, key=lambda label: centers[label, 1]):
        y = centers[label, 1]
        if y - previous > row_gap:
            rows.append([])
        rows[-1].append(label)
        previous = y
    in_order = []
    for row in rows:
        in_order += sorted(row, key=lambda label: stats[label, cv2.CC_STAT_LEFT])
    return in_order


# --- from gray levels to ink -------------------------------------------------------------------


def _find_ink(gray):
    """Take the paper away, whatever the light.

    Returns the ink, 0 to 1 in the shape of `gray`, and the level that separates it from the paper.
    """
    small = _scale(gray, WORK_SIZE)
    if not _is_ink_dark(small):
        gray = 1 - gray
        small = 1 - small
    height, width = gray.shape
    paper = cv2.resize(_estimate_paper(small), (width, height))
    # The share of the light that comes back from each pixel: 1 from paper, less from ink.
    reflected = (gray + SHADOW_FLOOR) / (paper + SHADOW_FLOOR)
    ink = np.maximum(1 - reflected, 0)
    level = _edge_level(ink)
    if level < max(FAINTEST_LEVEL, NOISE_FACTOR * _pixel_noise(reflected)):
        raise NoInkError(_NO_INK)
    return ink, level


def _is_ink_dark(small):
    """Whether ink is darker than what surrounds it: most of what lies around ink is paper."""
    surround = cv2.GaussianBlur(small, (0, 0), LIGHT_BLUR, borderType=cv2.BORDER_REPLICATE)
    # Only edges count: there, ink meets paper.
    darker_than_surround = _steepness(small) * (surround - small)
    return darker_than_surround.sum() >= 0


def _estimate_paper(small):
    """Return what the picture would be without its dark ink."""
    # A gray closing fills what is dark and narrower than its square; strokes are, shadows are not.
    square = np.ones((STROKE, STROKE))
    paper = cv2.morphologyEx(small, cv2.MORPH_CLOSE, square)
    # A closing also lifts the dark end of the light, and faint ink there would be lost. Where the
    # light is taken out before the closing and put back after it, the estimate stays lower.
    light = cv2.GaussianBlur(paper, (0, 0), LIGHT_BLUR)
    evened_paper = light + cv2.morphologyEx(small - light, cv2.MORPH_CLOSE, square)
    return np.minimum(paper, evened_paper)


def _edge_level(ink):
    """Return the level halfway up the edges: the mean of the ink where it changes steeply."""
    fine = _scale(ink, max(EDGE_SIDE, *ink.shape))
    weights = _steepness(fine) ** 2 + TINY
    return np.average(fine, weights=weights)


def _pixel_noise(gray):
    """Return how much neighbors in a row differ; as most pixels are paper, this is noise."""
    # A picture one pixel wide has no neighbors: the last column is repeated.
    differences = np.diff(gray, append=gray[:, -1:])
    return np.median(abs(differences))


def _steepness(gray):
    """Return the squared gradient, faded out towards the border, where tables and frames begin."""
    height, width = gray.shape
    # The ends of a Hann window, which are 0, are left out: a picture may be one pixel wide.
    fade_rows = np.hanning(height + 2)[1:-1]
    fade_columns = np.hanning(width + 2)[1:-1]
    fade = np.outer(fade_rows, fade_columns)
    across = cv2.Sobel(gray, cv2.CV_32F, dx=1, dy=0)
    down = cv2.Sobel(gray, cv2.CV_32F, dx=0, dy=1)
    return fade * (across**2 + down**2)


# --- from ink to a digit -----------------------------------------------------------------------


def _find_pieces(mask, least):
    """Return the pieces of a digit as 1, all else as 0.

    Specks are left out. So is what meets the border, such as a table or a frame, if something
    else is at least `least` of the picture's longer side.
    """
    if not mask.any():
        # The level was measured on an enlarged picture, and no pixel of this one reaches it.
        raise NoInkError(_NO_INK)
    height, width = mask.shape
    mask = np.uint8(mask)
    if max(height, width) > JOINING_SIDE:
        mask = cv2.dilate(mask, None)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    left, top, widths, heights, _ = stats.T
    size = np.maximum(widths, heights)
    # The first component is the background.
    size[0] = 0
    meets_border = (left == 0) | (left + widths == width)
    meets_border |= (top == 0) | (top + heights == height)
    largest_inside = size[~meets_border].max(initial=0)
    if largest_inside >= least * max(height, width):
        size[meets_border] = 0
    is_kept = size >= SPECK * size.max()
    return np.uint8(is_kept)[labels]


def _cut_out(ink, level, piece):
    """Keep the ink of a piece and its soft edge, and bring it to 0 to 1."""
    strokes = ink[(piece > 0) & (ink >= level)]
    full_ink = np.percentile(strokes, FULL_INK_PERCENTILE)
    return np.minimum(ink / full_ink, 1) * cv2.dilate(piece, None)


# --- from a digit to MNIST's form --------------------------------------------------------------


def _fit_box(digit):
    """Crop, and scale the longer side to 20 pixels; strokes too thin for MNIST are widened."""
    digit = _crop(digit)
    fine = np.pad(_scale(digit, FINE_SIDE), FINE_MARGIN)
    is_ink = fine > fine.max() / 2
    stroke = _stroke_width(is_ink)
    # A digit smaller than the box is also drawn anew: enlarged, its edges would be blurred.
    if stroke < THIN_STROKE or max(digit.shape) < BOX_SIDE:
        missing = max(MNIST_STROKE - stroke, 0)
        digit = _crop(_widen(is_ink, missing / 2))
    box = _scale(digit, BOX_SIDE)
    return box / box.max()


def _stroke_width(is_ink):
    inside = _distance(is_ink)
    # The distance of a pixel at the edge is 1, to the next pixel; the edge itself is half as far.
    to_edge = inside[is_ink].mean() - 0.5
    # From the edge of a stroke to its middle, this grows from 0 to half the width: the mean
    # is a quarter of the width.
    return 4 * to_edge


def _widen(is_ink, margin):
    """Grow a shape by a margin; its edge falls from 1 to 0 within one pixel."""
    outside = _distance(~is_ink)
    return np.clip(margin + 1 - outside, 0, 1)


def _distance(mask):
    """Return how far each pixel in the mask is from the nearest one outside it, in pixels."""
    return cv2.distanceTransform(np.uint8(mask), cv2.DIST_L2, cv2.DIST_MASK_5)


def _crop(digit):
    rows = np.flatnonzero(digit.max(axis=1) > CROP_LEVEL)
    columns = np.flatnonzero(digit.max(axis=0) > CROP_LEVEL)
    top = rows[0]
    bottom = rows[-1] + 1
    left = columns[0]
    right = columns[-1] + 1
    return digit[top:bottom, left:right]


def _scale(image, side):
    """Resize, so that the longer side has `side` pixels."""
    height, width = image.shape
    scale = side / max(height, width)
    new_height = max(1, round(height * scale))
    new_width = max(1, round(width * scale))
    interpolation = cv2.INTER_LINEAR
    if scale < 1:
        interpolation = cv2.INTER_AREA
    return cv2.resize(image, (new_width, new_height), interpolation=interpolation)


def _center(box):
    """Put the box into 28×28 with its center of mass on pixel 14, as MNIST's digits have it."""
    height, width = box.shape
    top = _margin_before(box.sum(axis=1))
    left = _margin_before(box.sum(axis=0))
    bottom = SIDE - height - top
    right = SIDE - width - left
    return np.pad(box, ((top, bottom), (left, right)))


def _margin_before(profile):
    """Return how many pixels go before a profile, so that its center of mass comes to 14."""
    length = len(profile)
    center_of_mass = np.average(np.arange(length), weights=profile)
    margin = round(CENTER - center_of_mass)
    return min(max(margin, 0), SIDE - length)
