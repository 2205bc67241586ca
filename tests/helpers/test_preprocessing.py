"""From raw digits to what a network takes: values, shapes, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from support.odd_values import ODD_VALUES, Unreadable, one_line_errors

from mnist_helpers.preprocessing import (
    as_array,
    check_number,
    one_hot,
    scale_pixels,
    split_validation,
    to_images,
    to_vectors,
)

PIXELS = np.arange(5 * 784, dtype="uint32").astype("uint8").reshape(5, 28, 28)


def test_scaling_maps_0_to_0_and_255_to_1():
    scaled = scale_pixels(np.array([[0, 51, 255]], dtype="uint8"))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [[0, 0.2, 1]])


def test_scaling_leaves_its_input_as_it_is():
    before = PIXELS.copy()
    scale_pixels(PIXELS)
    np.testing.assert_array_equal(PIXELS, before)


def test_a_second_scaling_is_refused_with_the_reason():
    with pytest.raises(TypeError, match="received float32 from 0 to 1.*scaled already"):
        scale_pixels(scale_pixels(PIXELS))


@pytest.mark.parametrize("dtype", ["int64", "float64"])
def test_other_types_are_refused_with_what_to_do(dtype):
    with pytest.raises(TypeError, match=f"received {dtype}.*astype"):
        scale_pixels(PIXELS.astype(dtype))


def test_a_vector_is_the_rows_end_to_end():
    vectors = to_vectors(PIXELS)
    assert vectors.shape == (5, 784)
    np.testing.assert_array_equal(vectors[2, 28:56], PIXELS[2, 1])


def test_images_get_a_channel_at_the_end():
    images = to_images(PIXELS)
    assert images.shape == (5, 28, 28, 1)
    np.testing.assert_array_equal(images[..., 0], PIXELS)


@pytest.mark.parametrize("convert", [to_vectors, to_images])
def test_one_image_alone_is_refused_with_the_cure(convert):
    with pytest.raises(ValueError, match=r"received \(28, 28\).*images\[None\]"):
        convert(PIXELS[0])


@pytest.mark.parametrize("convert", [to_vectors, to_images])
def test_another_size_is_refused(convert):
    with pytest.raises(ValueError, match=r"\(n, 28, 28\); received \(5, 784\)"):
        convert(PIXELS.reshape(5, 784))


def test_one_hot_has_its_1_at_the_digits_own_index():
    vectors = one_hot([5, 0, 9])
    assert vectors.shape == (3, 10)
    np.testing.assert_array_equal(vectors.argmax(axis=1), [5, 0, 9])
    np.testing.assert_array_equal(vectors.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([3, 10], "received 3 to 10"),
        ([-1, 3], "received -1 to 3"),
        ([0.5, 1], "float64"),
        ([[1, 2]], r"\(1, 2\)"),
    ],
)
def test_one_hot_refuses_what_is_no_digit(labels, message):
    with pytest.raises(ValueError, match=message):
        one_hot(labels)


LABELS = np.repeat(np.arange(10), [100, 200, 100, 100, 100, 100, 100, 100, 50, 50])
INDICES = np.arange(len(LABELS))


def test_the_split_keeps_each_digit_in_its_proportion():
    (x_fit, y_fit), (x_val, y_val) = split_validation(INDICES, LABELS, 0.1, seed=3)
    assert np.bincount(y_val).tolist() == [10, 20, 10, 10, 10, 10, 10, 10, 5, 5]
    assert sorted([*x_fit, *x_val]) == INDICES.tolist()
    np.testing.assert_array_equal(LABELS[x_fit], y_fit)
    np.testing.assert_array_equal(LABELS[x_val], y_val)


def test_the_seed_decides_the_split():
    def drawn(seed):
        return split_validation(INDICES, LABELS, 0.1, seed=seed)[1][0].tolist()

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert drawn(np.int64(1)) == drawn(1)


def test_one_hot_labels_are_split_alike():
    plain = split_validation(INDICES, LABELS, 0.1, seed=1)
    vectors = split_validation(INDICES, one_hot(LABELS), 0.1, seed=1)
    np.testing.assert_array_equal(plain[1][0], vectors[1][0])
    np.testing.assert_array_equal(plain[1][1], vectors[1][1].argmax(axis=1))


def test_no_fraction_sets_nothing_aside():
    (x_fit, _), (x_val, y_val) = split_validation(INDICES, LABELS, 0)
    assert len(x_fit) == len(LABELS)
    assert len(x_val) == len(y_val) == 0


@pytest.mark.parametrize("fraction", [-0.1, 1, 1.5])
def test_impossible_fractions_are_refused(fraction):
    with pytest.raises(ValueError, match="`fraction` must be"):
        split_validation(INDICES, LABELS, fraction)


def test_too_few_of_each_digit_are_refused_in_a_short_line():
    with pytest.raises(ValueError, match="^`y` has too few of some digit to be split: ") as caught:
        split_validation(np.arange(10**4), np.arange(10**4), 0.1)
    assert len(str(caught.value)) < 300


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="received 1000 and 999"):
        split_validation(INDICES, LABELS[1:], 0.1)


@pytest.mark.parametrize("seed", [-1, 2**32, 10**400, float("nan"), float("inf")])
def test_impossible_seeds_are_refused(seed):
    with pytest.raises(ValueError, match="`seed` must be"):
        split_validation(INDICES, LABELS, 0.1, seed=seed)


@pytest.mark.parametrize("values", [[[1], [2, 3]], Unreadable()])
def test_what_is_no_array_is_named(values):
    with pytest.raises(ValueError, match=r"^`x` must be an array; received a \w+ of which NumPy"):
        as_array("x", values)


@pytest.mark.parametrize("value", [None, "1", [1], np.zeros(2), 1j, Unreadable()])
def test_what_is_no_number_is_named(value):
    with pytest.raises(TypeError, match=r"^`n` must be a number; received a \w+\.$"):
        check_number("n", value)


@pytest.mark.parametrize("value", [1, -0.5, True, np.float32(1), np.int64(3), np.array(2)])
def test_numbers_of_all_kinds_pass(value):
    check_number("n", value)


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(ODD_VALUES, ODD_VALUES)
def test_whatever_comes_in_there_is_a_result_or_one_line(value, other):
    for convert in (scale_pixels, to_vectors, to_images, one_hot):
        one_line_errors(convert, value)
    one_line_errors(split_validation, value, other, 0.5)
    one_line_errors(split_validation, INDICES, LABELS, value, seed=other)


def test_a_seed_is_a_whole_number():
    with pytest.raises(ValueError, match="`seed` must be a whole number"):
        split_validation(INDICES, LABELS, 0.5, seed=1.5)
