import re

import keras
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from mnist_helpers import training


@pytest.mark.parametrize(
    ("epochs", "n_images", "expected"),
    [(5, 54_000, 5), (5, 1_350, 200), (20, 1_350, 800), (5, 60_000, 5), (1, 100_000, 1)],
)
def test_few_images_get_as_many_updates_as_many(epochs, n_images, expected):
    assert training.scale_epochs(epochs, n_images) == expected


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="received 0"):
        training.scale_epochs(5, 0)


def small_fit(**options):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).random((64, 8), dtype="float32")
    y = keras.utils.to_categorical(np.arange(64) % 2)
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2, activation="softmax")])
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model.fit(x, y, batch_size=16, verbose=0, callbacks=[training.LiveView()], **options)


def test_outside_a_notebook_each_epoch_is_one_plain_line(capsys):
    history = small_fit(epochs=3, validation_split=0.25).history
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("epoch 3/3  ")
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert f" {name} {history[name][2]:.4f}" in lines[2]
    assert re.search(r"\d\.\d s$", lines[2])


NOTEBOOK = """
from mnist_helpers import quietly
with quietly():
    import keras
import numpy as np
from mnist_helpers import training
x, y = np.ones((64, 8), dtype="float32"), keras.utils.to_categorical(np.arange(64) % 2)
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2, activation="softmax")])
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
options = {"epochs": 4, "batch_size": 4, "validation_split": 0.25, "verbose": 0}
history = model.fit(x, y, callbacks=[training.LiveView()], **options)
"""


@pytest.fixture(scope="module")
def stored():
    """What a training leaves in a notebook, and every message it sent on the way."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOK)])
    updates = []

    class Watching(NotebookClient):
        def process_message(self, msg, *args, **kwargs):
            if msg["msg_type"] == "update_display_data":
                updates.append(msg["content"]["data"])
            return super().process_message(msg, *args, **kwargs)

    Watching(notebook, timeout=120).execute()
    return notebook.cells[0].outputs, updates


def test_in_a_notebook_one_line_and_one_figure_stay(stored):
    line, figure = stored[0]
    assert re.fullmatch(r"4 epochs in \d+ s", line.data["text/plain"])
    assert "text/html" not in line.data
    assert figure.data["text/plain"].startswith("Curves by epoch, 1 to 4:")
    assert figure.metadata["image/png"]["alt"] == figure.data["text/plain"]
    assert len(str(stored[0])) < 100_000


def test_while_it_runs_there_is_a_bar_with_the_seconds_left(stored):
    bars = [data["text/html"] for data in stored[1] if "text/html" in data]
    assert bars
    assert all("<progress" in bar and re.search(r"about \d+ s left", bar) for bar in bars)


def test_the_figure_is_updated_in_place(stored):
    figures = [data for data in stored[1] if "image/png" in data]
    assert len(figures) >= 2  # one while it ran, one at the end


# --- the rate, and varied digits ---------------------------------------------------------------


def test_the_rate_rises_to_its_peak_and_falls_to_zero():
    rate = training.OneCycle(peak=0.02, n_steps=100, rise=0.3)
    rates = [float(rate(step)) for step in range(121)]
    assert rates[0] == pytest.approx(0.02 / 25)
    assert np.argmax(rates) == 30 and rates[30] == pytest.approx(0.02)
    assert np.allclose(np.diff(rates[:31]), 0.96 * 0.02 / 30, atol=1e-7)
    assert np.allclose(np.diff(rates[30:101]), -0.02 / 70, atol=1e-7)
    assert np.allclose(rates[100:], 0, atol=1e-8) and min(rates) >= 0


def test_the_rate_is_rebuilt_from_its_config():
    rate = training.OneCycle(0.02, 100, rise=0.4)
    again = training.OneCycle.from_config(rate.get_config())
    assert [float(again(step)) for step in (0, 40, 70)] == [
        float(rate(step)) for step in (0, 40, 70)
    ]


@pytest.mark.parametrize(
    ("peak", "n_steps", "rise"), [(0, 10, 0.3), (0.1, 0, 0.3), (0.1, 10, 0), (0.1, 10, 1)]
)
def test_a_rate_that_cannot_be_is_refused(peak, n_steps, rise):
    with pytest.raises(ValueError, match=rf"need peak > 0.*received {peak}, {n_steps} and {rise}"):
        training.OneCycle(peak, n_steps, rise)


def blot():
    """Return an image with ink in the middle, heavier at its upper left."""
    image = np.zeros((28, 28, 1), "float32")
    image[9:19, 11:17] = 0.5
    image[9:13, 11:13] = 1
    return image


def centre(images):
    """Return the rows and columns of the centres of the ink."""
    places = np.mgrid[:28, :28].reshape(2, -1)
    weights = images.reshape(len(images), 784)
    return (weights @ places.T / weights.sum(axis=1, keepdims=True)).T


STILL = {"turn": 0, "slant": 0, "stretch": 0, "shift": 0, "wave": 0, "pen": 0}


def warp_blot(n=400, **settings):
    keras.utils.set_random_seed(0)
    warp = training.RandomWarp(**STILL | settings)
    return np.array(warp(np.repeat(blot()[None], n, axis=0), training=True))


def test_digits_are_varied_in_training_only():
    images = np.repeat(blot()[None], 3, axis=0)
    warp = training.RandomWarp()
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
    moved = np.array(training.RandomWarp(**STILL | {"shift": 1})(dot, training=True))
    down = moved.sum(axis=(2, 3))
    spread = down @ np.arange(28) ** 2 - (down @ np.arange(28)) ** 2
    softened = np.array(training.RandomWarp()(dot[:1]))
    across = softened.sum(axis=(0, 1, 3))
    assert across.sum() == pytest.approx(1)
    assert across @ (np.arange(28) - 14) ** 2 == pytest.approx(spread.mean(), rel=0.02)


@pytest.mark.parametrize("shape", [(2, 784), (2, 28, 28), (2, 32, 32, 1), (2, 28, 28, 3)])
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"must have shape \(n, 28, 28, 1\); received .*to_images"):
        training.RandomWarp()(np.zeros(shape, "float32"), training=True)


def test_a_network_that_varies_digits_is_saved_and_loaded(tmp_path):
    warp = training.RandomWarp(turn=5, wave=0.2)
    model = keras.Sequential([keras.Input((28, 28, 1)), warp])
    model.save(tmp_path / "a.keras")
    known = {"RandomWarp": training.RandomWarp}
    loaded = keras.saving.load_model(tmp_path / "a.keras", custom_objects=known).layers[0]
    assert loaded.get_config() == warp.get_config()
    assert (loaded.turn, loaded.wave) == (np.deg2rad(5), 0.2)


def test_without_any_change_a_digit_stays_what_it_is():
    assert np.allclose(warp_blot(n=2), blot(), atol=1e-5)


def test_a_shift_goes_as_far_as_it_may_in_all_directions():
    moved = centre(warp_blot(shift=2)) - centre(blot()[None])
    assert -2.001 < moved.min() < -1.9 and 1.9 < moved.max() < 2.001
    assert abs(moved.mean(axis=1)).max() < 0.2
    assert abs(np.corrcoef(moved)[0, 1]) < 0.15


@pytest.mark.parametrize("change", [{"turn": 20}, {"slant": 0.3}, {"stretch": 0.2}])
def test_the_middle_of_the_picture_stays_where_it_is(change):
    image = np.zeros((400, 28, 28, 1), "float32")
    image[:, 13:15, 13:15] = 1
    keras.utils.set_random_seed(0)
    varied = np.array(training.RandomWarp(**STILL | change)(image, training=True))
    assert np.abs(centre(varied) - 13.5).max() < 0.05


def inertia(images):
    """Return the ink's squared distances from its centre: down, across and both, (3, n)."""
    down, across = np.mgrid[:28, :28].reshape(2, 1, -1) - centre(images)[..., None]
    weights = images.reshape(len(images), 784)
    products = np.stack([down**2, across**2, down * across])
    return (products * weights).sum(axis=-1) / weights.sum(axis=1)


def test_a_turn_turns_and_keeps_the_size():
    bar = np.zeros((400, 28, 28, 1), "float32")
    bar[:, 5:23, 13:15] = 1
    keras.utils.set_random_seed(0)
    down, across, both = inertia(
        np.array(training.RandomWarp(**STILL | {"turn": 10})(bar, training=True))
    )
    angles = np.rad2deg(np.arctan2(2 * both, down - across) / 2)
    assert -10.3 < angles.min() < -9 and 9 < angles.max() < 10.3
    assert np.allclose(down + across, inertia(bar[:1])[:2].sum(), rtol=0.05)


def test_a_slant_moves_rows_apart_and_keeps_them_level():
    down, _, both = inertia(warp_blot(slant=0.2))
    old_down, _, old_both = inertia(blot()[None])
    assert np.allclose(down, old_down, rtol=0.02)
    slants = (both - old_both) / old_down
    assert -0.21 < slants.min() < -0.15 and 0.15 < slants.max() < 0.21


def test_a_stretch_changes_height_and_width_each_on_its_own():
    down, across, _ = inertia(warp_blot(stretch=0.2)) / inertia(blot()[None])
    tall = np.sqrt(down)
    assert 0.8 < tall.min() < 0.86 and 1.2 < tall.max() < 1.28
    assert abs(np.corrcoef(down, across)[0, 1]) < 0.15


def test_waves_bend_lines_by_about_the_pixels_asked_for():
    line = np.zeros((400, 28, 28, 1), "float32")
    line[:, :, 14] = 1
    keras.utils.set_random_seed(0)
    waved = np.array(training.RandomWarp(**STILL | {"wave": 0.5})(line, training=True))[..., 0]
    columns = waved[:, 5:23] @ np.arange(28) / waved[:, 5:23].sum(axis=2)
    assert 0.4 < np.std(columns) < 0.65
    assert np.std(columns[:, :2].mean(axis=1) - columns[:, -2:].mean(axis=1)) > 0.4
    assert np.std(np.diff(columns, axis=1)) < 0.25  # bent, not torn


def test_the_pen_is_thicker_or_thinner_by_as_much_as_asked_for():
    line = np.zeros((400, 28, 28, 1), "float32")
    line[:, :, 12:15] = 0.8
    keras.utils.set_random_seed(0)
    drawn = np.array(training.RandomWarp(**STILL | {"pen": 0.5})(line, training=True))
    widths = drawn.sum(axis=(2, 3)) / 0.8
    assert np.ptp(widths, axis=1).max() < 1e-4  # the same from top to bottom, edges included
    assert 1.99 < widths.min() < 2.1 and 3.9 < widths.max() < 4.01
    assert abs(widths.mean() - 3) < 0.15
    assert drawn.max() <= 0.8 + 1e-5 and drawn.min() >= 0


def test_one_call_for_many_updates_where_it_pays(monkeypatch):
    for backend in ("torch", "jax"):
        monkeypatch.setattr(keras.config, "backend", lambda name=backend: name)
        assert training.steps_per_call(100) == 1
    monkeypatch.setattr(keras.config, "backend", lambda: "tensorflow")
    assert training.steps_per_call(100) == 100


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("flags\t\t: fpu avx512_bf16 sse\n", True),
        ("Features\t: fp asimd bf16 sve\n", True),
        ("flags\t\t: fpu avx512_fp16 sse\n", False),
        (None, False),
    ],
)
def test_bfloat16_is_looked_for_among_the_processor_s_flags(text, has, tmp_path, monkeypatch):
    flags = tmp_path / "cpuinfo"
    if text is not None:
        flags.write_text(text)
    monkeypatch.setattr(training, "Path", lambda name: flags)
    assert training.has_bfloat16() is has
