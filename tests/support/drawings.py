"""Digits drawn for tests: how they are drawn, encoded as files, and compared."""

import io

import cv2
import numpy as np
from PIL import Image, ImageDraw

from mnist_helpers.drawing import prepare_drawing

# --- Digits of polylines on a page of 200×200 pixels: corners as (x, y). ------------------------

STROKES = {
    1: [[(75, 40), (105, 20), (105, 180)]],
    2: [[(55, 60), (75, 25), (115, 25), (135, 60), (55, 175), (145, 175)]],
    4: [[(65, 20), (55, 110), (145, 110)], [(120, 60), (120, 180)]],
    5: [[(65, 45), (60, 95), (115, 90), (135, 130), (110, 170), (55, 165)], [(72, 25), (140, 25)]],
    7: [[(55, 25), (145, 25), (85, 180)]],
}


def draw_digit(digit, width=14):
    """Return ink from 0 to 255, light on dark, (200, 200)."""
    page = np.zeros((200, 200), "uint8")
    for stroke in STROKES[digit]:
        corners = np.array(stroke)
        cv2.polylines(page, [corners], False, 255, width, cv2.LINE_AA)
    return page


INK = draw_digit(2)
PAPER = 255 - INK
# What the plain picture gives.
PLAIN = prepare_drawing(PAPER)


def picture(mode):
    return Image.fromarray(PAPER).convert(mode)


def encode(image, file_format, **options):
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def difference(x, plain=PLAIN):
    """Return the mean absolute difference, 0 for the same picture."""
    return np.abs(x - plain).mean()


def with_opacity(color, opacity):
    colors = np.full((*INK.shape, 3), color, "uint8")
    return np.dstack([colors, opacity])


# --- Pages of 280×280 pixels, as the pad gives them. --------------------------------------------


def draw_lines(*lines, size=280, width=14):
    """Return black lines on white; a line is x, y of each of its corners."""
    page = Image.new("L", (size, size), 255)
    for line in lines:
        ImageDraw.Draw(page).line(line, fill=0, width=width, joint="curve")
    return np.array(page)


SEVEN = draw_lines((70, 60, 200, 60, 120, 230))
FOUR = draw_lines((150, 40, 80, 150, 210, 150), (165, 100, 165, 240))
LETTER = draw_lines((60, 230, 60, 60, 140, 150, 220, 60, 220, 230))
EMPTY = draw_lines()


def write_pictures(folder):
    """Write the pages as PNG files, and text.png, which is no picture."""
    pages = {"seven": SEVEN, "four": FOUR, "letter": LETTER, "empty": EMPTY}
    for name, page in pages.items():
        Image.fromarray(page).save(folder / f"{name}.png")
    (folder / "text.png").write_text("no picture")
