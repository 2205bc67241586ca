import keras
import numpy as np
import pytest

from mnist_helpers import augmentation


def blot():
    """Return an image with ink in the middle, heavier at its upper left."""
    image = np.zeros((28, 28, 1), "float32")
    image[9:19, 11:17] = 0.5
    image[9:13, 11:13] = 1
    return image


def center(images):
    """Return the rows and columns of the centers of the ink."""
    places = np.mgrid[:28, :28].reshape(2, -1)
    weights = images.reshape(len(images), 784)
    return (weights @ places.T / weights.sum(axis=1, keepdims=True)).T


STILL = {"rotation": 0, "shear": 0, "zoom": 0, "translation": 0, "elastic": 0, "stroke": 0}


def warp_blot(n=400, **settings):
    keras.utils.set_random_seed(0)
    warp = augmentation.RandomWarp(**STILL | settings)
    return np.array(warp(np.repeat(blot()[None], n, axis=0), training=True))


def test_digits_are_varied_in_training_only():
    images = np.repeat(blot()[None], 3, axis=0)
    warp = augmentation.RandomWarp()
    assert np.array_equal(warp(images), warp(images, training=False))
    varied = np.array(warp(images, training=True))
    assert varied.shape == images.shape and varied.dtype == np.float32
    assert 0 <= varied.min() and varied.max() <= 1
    assert not np.allclose(varied[0], varied[1]) and not np.allclose(varied, images)
    assert not np.allclose(warp(images, training=True), varied)


def test_outside_of_training_digits_are_as_soft_as_moved_ones_on_average():
    dot = np.zeros((20_000, 28, 28, 1), "float32")
    dot[:, 14, 14] = 1
    keras.utils.set_random_seed(0)
    moved = np.array(augmentation.RandomWarp(**STILL | {"translation": 1})(dot, training=True))
    down = moved.sum(axis=(2, 3))
    spread = down @ np.arange(28) ** 2 - (down @ np.arange(28)) ** 2
    softened = np.array(augmentation.RandomWarp()(dot[:1]))
    across = softened.sum(axis=(0, 1, 3))
    assert across.sum() == pytest.approx(1)
    assert across @ (np.arange(28) - 14) ** 2 == pytest.approx(spread.mean(), rel=0.02)


@pytest.mark.parametrize("shape", [(2, 784), (2, 28, 28), (2, 32, 32, 1), (2, 28, 28, 3)])
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"must have shape \(n, 28, 28, 1\); received .*to_images"):
        augmentation.RandomWarp()(np.zeros(shape, "float32"), training=True)


def test_a_network_that_varies_digits_is_saved_and_loaded(tmp_path):
    warp = augmentation.RandomWarp(rotation=5, elastic=0.2)
    model = keras.Sequential([keras.Input((28, 28, 1)), warp])
    model.save(tmp_path / "a.keras")
    known = {"RandomWarp": augmentation.RandomWarp}
    loaded = keras.saving.load_model(tmp_path / "a.keras", custom_objects=known).layers[0]
    assert loaded.get_config() == warp.get_config()
    assert (loaded.rotation, loaded.elastic) == (np.deg2rad(5), 0.2)


def test_without_any_change_a_digit_stays_what_it_is():
    assert np.allclose(warp_blot(n=2), blot(), atol=1e-5)


def test_a_shift_goes_as_far_as_it_may_in_all_directions():
    moved = center(warp_blot(translation=2)) - center(blot()[None])
    assert -2.001 < moved.min() < -1.9 and 1.9 < moved.max() < 2.001
    assert abs(moved.mean(axis=1)).max() < 0.2
    assert abs(np.corrcoef(moved)[0, 1]) < 0.15


@pytest.mark.parametrize("change", [{"rotation": 20}, {"shear": 0.3}, {"zoom": 0.2}])
def test_the_middle_of_the_picture_stays_where_it_is(change):
    image = np.zeros((400, 28, 28, 1), "float32")
    image[:, 13:15, 13:15] = 1
    keras.utils.set_random_seed(0)
    varied = np.array(augmentation.RandomWarp(**STILL | change)(image, training=True))
    assert np.abs(center(varied) - 13.5).max() < 0.05


def inertia(images):
    """Return the ink's squared distances from its center: down, across and both, (3, n)."""
    down, across = np.mgrid[:28, :28].reshape(2, 1, -1) - center(images)[..., None]
    weights = images.reshape(len(images), 784)
    products = np.stack([down**2, across**2, down * across])
    return (products * weights).sum(axis=-1) / weights.sum(axis=1)


def test_a_turn_turns_and_keeps_the_size():
    bar = np.zeros((400, 28, 28, 1), "float32")
    bar[:, 5:23, 13:15] = 1
    keras.utils.set_random_seed(0)
    down, across, both = inertia(
        np.array(augmentation.RandomWarp(**STILL | {"rotation": 10})(bar, training=True))
    )
    angles = np.rad2deg(np.arctan2(2 * both, down - across) / 2)
    assert -10.3 < angles.min() < -9 and 9 < angles.max() < 10.3
    assert np.allclose(down + across, inertia(bar[:1])[:2].sum(), rtol=0.05)


def test_a_slant_moves_rows_apart_and_keeps_them_level():
    down, _, both = inertia(warp_blot(shear=0.2))
    old_down, _, old_both = inertia(blot()[None])
    assert np.allclose(down, old_down, rtol=0.02)
    slants = (both - old_both) / old_down
    assert -0.21 < slants.min() < -0.15 and 0.15 < slants.max() < 0.21


def test_a_stretch_changes_height_and_width_each_on_its_own():
    down, across, _ = inertia(warp_blot(zoom=0.2)) / inertia(blot()[None])
    tall = np.sqrt(down)
    assert 0.8 < tall.min() < 0.86 and 1.2 < tall.max() < 1.28
    assert abs(np.corrcoef(down, across)[0, 1]) < 0.15


def test_waves_bend_lines_by_about_the_pixels_asked_for():
    line = np.zeros((400, 28, 28, 1), "float32")
    line[:, :, 14] = 1
    keras.utils.set_random_seed(0)
    waved = np.array(augmentation.RandomWarp(**STILL | {"elastic": 0.5})(line, training=True))[
        ..., 0
    ]
    columns = waved[:, 5:23] @ np.arange(28) / waved[:, 5:23].sum(axis=2)
    assert 0.4 < np.std(columns) < 0.65
    assert np.std(columns[:, :2].mean(axis=1) - columns[:, -2:].mean(axis=1)) > 0.4
    assert np.std(np.diff(columns, axis=1)) < 0.25  # bent, not torn


def test_the_pen_is_thicker_or_thinner_by_as_much_as_asked_for():
    line = np.zeros((400, 28, 28, 1), "float32")
    line[:, :, 12:15] = 0.8
    keras.utils.set_random_seed(0)
    drawn = np.array(augmentation.RandomWarp(**STILL | {"stroke": 0.5})(line, training=True))
    widths = drawn.sum(axis=(2, 3)) / 0.8
    assert np.ptp(widths, axis=1).max() < 1e-4  # the same from top to bottom, edges included
    assert 1.99 < widths.min() < 2.1 and 3.9 < widths.max() < 4.01
    assert abs(widths.mean() - 3) < 0.15
    assert drawn.max() <= 0.8 + 1e-5 and drawn.min() >= 0
