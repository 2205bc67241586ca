"""Whatever is given, a valid input comes out or one clear error: arrays, bytes, damaged files."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from support.picture_files import FILES, gives_input
from support.project import ROOT

from mnist_helpers.decoder import MAX_PIXELS
from mnist_helpers.drawing import find_digits

bounded = settings(
    max_examples=150,
    derandomize=True,
    database=None,
    # `gives_input` has a deadline of its own.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


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
    gives_input(array)
    gives_input(array, find_digits)


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
    gives_input(array)
    gives_input(array, find_digits)


@bounded
@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(1, 400), st.integers(0, 4))
def test_any_scribble_gives_an_input_or_an_error(seed, height, width, strokes):
    rng = np.random.default_rng(seed)
    page = np.full((height, width), rng.integers(256), "uint8")
    for _ in range(strokes):
        top = rng.integers(height)
        left = rng.integers(width)
        bottom = top + rng.integers(1, 90)
        right = left + rng.integers(1, 90)
        page[top:bottom, left:right] = rng.integers(256)
    gives_input(page)
    gives_input(page, find_digits)


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (2, 9000), (1, 1), (2, 2), (3, 1)])
def test_narrow_and_tiny_pictures_give_an_input_or_an_error(shape):
    for seed in range(5):
        page = np.random.default_rng(seed).integers(0, 256, shape).astype("uint8")
        gives_input(page)
        gives_input(page, find_digits)
        gives_input(np.where(page > 250, 0, 255).astype("uint8"))


# --- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_read_before_they_are_damaged(name):
    assert gives_input(FILES[name])


@st.composite
def damaged(draw, data):
    """Flip, overwrite, cut out, repeat or splice bytes of a file, up to six times."""
    damages = ["flip", "bytes", "ones", "cut", "end", "repeat", "splice"]
    data = bytearray(data)
    other = FILES[draw(st.sampled_from(sorted(FILES)))]
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        if draw(st.booleans()):
            # Headers are where it hurts.
            at %= 80
        n = draw(st.integers(1, 40))
        damage = draw(st.sampled_from(damages))
        if damage == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif damage == "bytes":
            data[at : at + n] = draw(st.binary(min_size=n, max_size=n))
        elif damage == "ones":
            data[at : at + 4] = b"\xff\xff\xff\x7f"
        elif damage == "cut":
            del data[at : at + n]
        elif damage == "end":
            del data[at:]
        elif damage == "repeat":
            data[at:at] = data[at : at + n]
        elif damage == "splice":
            data[at : at + n] = other[at : at + n]
    return bytes(data)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_gives_an_input_or_an_error(name):
    outcomes = []

    @settings(bounded, max_examples=100)
    @given(damaged(FILES[name]))
    def check(data):
        outcomes.append(gives_input(data))

    check()
    assert not all(outcomes), "nothing was refused: nothing was damaged"


@bounded
@given(st.binary(max_size=300))
def test_any_bytes_give_an_error(data):
    assert not gives_input(data)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_anywhere_gives_an_input_or_an_error(name):
    data = FILES[name]
    for end in range(0, len(data), max(1, len(data) // 60)):
        gives_input(data[:end])


# Run in a process of its own: the peak of this one holds what all other tests have taken.
PEAK_MEMORY = """
import resource

from mnist_helpers import decoder
from support.picture_files import FILES, gives_input


def peak():
    # Of the largest process that has ended.
    decoder._decoder.stop()
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024


gives_input(FILES["PNG"])
before = peak()
for data in FILES.values():
    for at in range(0, 90, 2):
        for claim in (b"\\xff\\xff", b"\\x00\\x7f", b"\\xff\\xff\\xff\\x7f"):
            end = at + len(claim)
            gives_input(data[:at] + claim + data[end:])
print(peak() - before)
"""


def test_files_that_claim_much_take_no_more_memory_than_the_largest_picture():
    command = [sys.executable, "-c", PEAK_MEMORY]
    # With `-c`, Python finds `support` in the folder where it is started.
    done = subprocess.run(command, cwd=ROOT / "tests", capture_output=True, text=True, check=True)
    megabytes = int(done.stdout)
    # 16 bytes for each pixel.
    assert megabytes < 16 * MAX_PIXELS / 2**20
