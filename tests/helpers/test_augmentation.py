import keras
import numpy as np
import pytest
from hypothesis import given, settings
from support.odd_values import ODD_VALUES, one_line_errors

from mnist_helpers import augmentation

NO_CHANGE = {
    "rotation": 0,
    "shear": 0,
    "zoom": 0,
    "translation": 0,
    "elastic": 0,
    "stroke": 0,
}
ROWS, COLUMNS = np.mgrid[:28, :28].reshape(2, -1)


def blot(n=1):
    """Return n images with ink in the middle, heavier at its upper left."""
    images = np.zeros((n, 28, 28, 1), dtype="float32")
    images[:, 9:19, 11:17] = 0.5
    images[:, 9:13, 11:13] = 1
    return images


def warp(images, **settings):
    """Warp images with the settings given, and with no other change."""
    keras.utils.set_random_seed(0)
    layer = augmentation.RandomWarp(**(NO_CHANGE | settings))
    return np.array(layer(images, training=True))


def center(images):
    """Return the rows and the columns of the centers of the ink, shape (2, n)."""
    weights = images.reshape(len(images), 784)
    total = weights.sum(axis=1)
    return np.stack([weights @ ROWS / total, weights @ COLUMNS / total])


def inertia(images):
    """Return the ink's mean squared distances from its center: down, across and both, (3, n)."""
    center_rows, center_columns = center(images)
    down = ROWS - center_rows[:, None]
    across = COLUMNS - center_columns[:, None]
    weights = images.reshape(len(images), 784)
    products = np.stack([down**2, across**2, down * across])
    return (products * weights).sum(axis=-1) / weights.sum(axis=1)


def test_digits_are_varied_in_training_only():
    images = blot(3)
    layer = augmentation.RandomWarp()
    assert np.array_equal(layer(images), layer(images, training=False))
    varied = np.array(layer(images, training=True))
    assert varied.shape == images.shape
    assert varied.dtype == np.float32
    assert 0 <= varied.min() and varied.max() <= 1
    assert not np.allclose(varied, images)
    assert not np.allclose(varied[0], varied[1])
    assert not np.allclose(varied, layer(images, training=True))


def test_outside_of_training_digits_are_as_soft_as_moved_ones_on_average():
    dots = np.zeros((4_000, 28, 28, 1), dtype="float32")
    dots[:, 14, 14] = 1
    ink_by_row = warp(dots, translation=1).sum(axis=(2, 3))
    positions = np.arange(28)
    variances = ink_by_row @ positions**2 - (ink_by_row @ positions) ** 2

    softened = np.array(augmentation.RandomWarp()(dots[:1]))
    ink_by_column = softened.sum(axis=(0, 1, 3))
    assert ink_by_column.sum() == pytest.approx(1)
    assert ink_by_column @ (positions - 14) ** 2 == pytest.approx(variances.mean(), rel=0.02)


@pytest.mark.parametrize("shape", [(2, 784), (2, 28, 28), (2, 32, 32, 1), (2, 28, 28, 3)])
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"must have shape \(n, 28, 28, 1\); received .*to_images"):
        augmentation.RandomWarp()(np.zeros(shape, dtype="float32"), training=True)


@pytest.mark.parametrize("name", NO_CHANGE)
def test_a_change_that_is_no_finite_number_is_refused(name):
    for value in (None, "1", [1, 2]):
        with pytest.raises(TypeError, match=f"`{name}` must be a number"):
            augmentation.RandomWarp(**{name: value})
    for value in (float("nan"), float("inf"), 10**400):
        with pytest.raises(ValueError, match=f"`{name}` must be a finite number"):
            augmentation.RandomWarp(**{name: value})


def test_a_stroke_beyond_all_ink_is_refused():
    with pytest.raises(ValueError, match="`stroke` must be at most 1; received 1.5"):
        augmentation.RandomWarp(stroke=1.5)


@settings(max_examples=30, derandomize=True, database=None, deadline=None)
@given(ODD_VALUES, ODD_VALUES)
def test_whatever_comes_in_there_is_a_result_or_one_line(value, other):
    one_line_errors(augmentation.RandomWarp, value, other)
    one_line_errors(augmentation.RandomWarp, stroke=value)


def test_a_network_that_varies_digits_is_saved_and_loaded(tmp_path):
    layer = augmentation.RandomWarp(rotation=5, elastic=0.2)
    model = keras.Sequential([keras.Input((28, 28, 1)), layer])
    model.save(tmp_path / "a.keras")
    known = {"RandomWarp": augmentation.RandomWarp}
    loaded = keras.saving.load_model(tmp_path / "a.keras", custom_objects=known).layers[0]
    assert loaded.get_config() == layer.get_config()
    assert loaded.rotation == np.deg2rad(5)
    assert loaded.elastic == 0.2


def test_without_any_change_a_digit_stays_what_it_is():
    assert np.allclose(warp(blot(2)), blot(2), atol=1e-5)


def test_one_seed_gives_the_same_changes_again():
    every_change = {
        "rotation": 10,
        "shear": 0.1,
        "zoom": 0.1,
        "translation": 2,
        "elastic": 0.5,
        "stroke": 0.5,
    }
    assert np.array_equal(warp(blot(3), **every_change), warp(blot(3), **every_change))


def test_a_translation_goes_as_far_as_it_may_in_all_directions():
    moved = center(warp(blot(400), translation=2)) - center(blot())
    assert -2.001 < moved.min() < -1.9
    assert 1.9 < moved.max() < 2.001
    assert abs(moved.mean(axis=1)).max() < 0.2
    assert abs(np.corrcoef(moved)[0, 1]) < 0.15


@pytest.mark.parametrize("change", [{"rotation": 20}, {"shear": 0.3}, {"zoom": 0.2}])
def test_the_middle_of_the_picture_stays_where_it_is(change):
    images = np.zeros((400, 28, 28, 1), dtype="float32")
    images[:, 13:15, 13:15] = 1
    assert np.abs(center(warp(images, **change)) - 13.5).max() < 0.05


def test_a_rotation_turns_and_keeps_the_size():
    bars = np.zeros((400, 28, 28, 1), dtype="float32")
    bars[:, 5:23, 13:15] = 1
    down, across, both = inertia(warp(bars, rotation=10))
    angles = np.rad2deg(np.arctan2(2 * both, down - across) / 2)
    assert -10.3 < angles.min() < -9
    assert 9 < angles.max() < 10.3
    old_down, old_across, _ = inertia(bars[:1])
    assert np.allclose(down + across, old_down + old_across, rtol=0.05)


def test_a_shear_moves_rows_apart_and_keeps_them_level():
    down, _, both = inertia(warp(blot(400), shear=0.2))
    old_down, _, old_both = inertia(blot())
    assert np.allclose(down, old_down, rtol=0.02)
    slants = (both - old_both) / old_down
    assert -0.21 < slants.min() < -0.15
    assert 0.15 < slants.max() < 0.21


def test_a_zoom_changes_height_and_width_each_on_its_own():
    down, across, _ = inertia(warp(blot(400), zoom=0.2)) / inertia(blot())
    heights = np.sqrt(down)
    assert 0.8 < heights.min() < 0.86
    assert 1.2 < heights.max() < 1.28
    assert abs(np.corrcoef(down, across)[0, 1]) < 0.15


def test_waves_bend_lines_by_about_the_pixels_asked_for():
    lines = np.zeros((400, 28, 28, 1), dtype="float32")
    lines[:, :, 14] = 1
    # The first and last rows are left out: the edge of the image cuts their waves.
    waved = warp(lines, elastic=0.5)[:, 5:23, :, 0]
    columns = waved @ np.arange(28) / waved.sum(axis=2)
    assert 0.4 < np.std(columns) < 0.65
    ends_apart = columns[:, :2].mean(axis=1) - columns[:, -2:].mean(axis=1)
    assert np.std(ends_apart) > 0.4
    # Bent, not torn: neighboring rows move together.
    assert np.std(np.diff(columns, axis=1)) < 0.25


def test_strokes_are_thicker_or_thinner_by_as_much_as_asked_for():
    lines = np.zeros((400, 28, 28, 1), dtype="float32")
    lines[:, :, 12:15] = 0.8
    drawn = warp(lines, stroke=0.5)
    widths = drawn.sum(axis=(2, 3)) / 0.8
    # The same width from top to bottom, the edges included.
    assert np.ptp(widths, axis=1).max() < 1e-4
    assert 1.99 < widths.min() < 2.1
    assert 3.9 < widths.max() < 4.01
    assert abs(widths.mean() - 3) < 0.15
    assert drawn.min() >= 0
    assert drawn.max() <= 0.8 + 1e-5
