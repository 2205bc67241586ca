import re

import keras
import nbformat
import numpy as np
import pytest
from hypothesis import given, settings
from nbclient import NotebookClient
from support.odd_values import ODD_VALUES, one_line_errors

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


@pytest.mark.parametrize("epochs", [-1, float("inf"), float("nan"), 10**400])
def test_impossible_epochs_are_refused(epochs):
    with pytest.raises(ValueError, match="`epochs` must be"):
        training.scale_epochs(epochs, 5)


@pytest.mark.parametrize("n_steps", [0, -1, float("nan")])
def test_no_steps_are_refused(n_steps):
    with pytest.raises(ValueError, match="`n_steps` must be"):
        training.steps_per_execution(n_steps)


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(ODD_VALUES, ODD_VALUES)
def test_whatever_comes_in_there_is_a_result_or_one_line(value, other):
    one_line_errors(training.scale_epochs, value, other)
    one_line_errors(training.steps_per_execution, value)
    one_line_errors(training.OneCycle, value, other)
    one_line_errors(training.OneCycle, 0.1, 10, value)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (training.scale_epochs, (2.5, 1350)),
        (training.scale_epochs, (5, 1350.5)),
        (training.steps_per_execution, (2.5,)),
    ],
)
def test_what_is_counted_is_whole(function, arguments):
    with pytest.raises(ValueError, match="must be a whole number; received"):
        function(*arguments)


def small_fit(**options):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).random((64, 8), dtype="float32")
    y = keras.utils.to_categorical(np.arange(64) % 2)
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2, activation="softmax")])
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model.fit(x, y, batch_size=16, verbose=0, callbacks=[training.LivePlot()], **options)


def test_outside_a_notebook_each_epoch_is_one_plain_line(capsys):
    history = small_fit(epochs=3, validation_split=0.25).history
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("epoch 3/3  ")
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert f" {name} {history[name][2]:.4f}" in lines[2]
    assert re.search(r"\d\.\d s$", lines[2])


NOTEBOOK = """
from mnist_helpers.keras_settings import keras_defaults
with keras_defaults():
    import keras
import numpy as np
from mnist_helpers import training
x = np.ones((64, 8), dtype="float32")
y = keras.utils.to_categorical(np.arange(64) % 2)
model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2, activation="softmax")])
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(
    x,
    y,
    epochs=4,
    batch_size=4,
    validation_split=0.25,
    verbose=0,
    callbacks=[training.LivePlot()],
);
"""


class WatchingClient(NotebookClient):
    """A client that keeps what every update of a display shows."""

    def __init__(self, notebook, **options):
        super().__init__(notebook, **options)
        self.updates = []

    def process_message(self, message, *args, **kwargs):
        if message["msg_type"] == "update_display_data":
            self.updates.append(message["content"]["data"])
        return super().process_message(message, *args, **kwargs)


@pytest.fixture(scope="module")
def training_in_notebook():
    """Return what a training leaves in a notebook, and every update on the way."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOK)])
    client = WatchingClient(notebook, timeout=120)
    client.execute()
    return notebook.cells[0].outputs, client.updates


@pytest.mark.slow
def test_in_a_notebook_one_line_and_one_figure_stay(training_in_notebook):
    outputs, _ = training_in_notebook
    line, figure = outputs
    assert re.fullmatch(r"4 epochs in \d+ s", line.data["text/plain"])
    assert "text/html" not in line.data
    assert figure.data["text/plain"].startswith("Curves by epoch, 1 to 4:")
    assert figure.metadata["image/png"]["alt"] == figure.data["text/plain"]
    assert len(str(outputs)) < 100_000


@pytest.mark.slow
def test_while_it_runs_there_is_a_bar_with_the_seconds_left(training_in_notebook):
    _, updates = training_in_notebook
    bars = [data["text/html"] for data in updates if "text/html" in data]
    assert bars
    for bar in bars:
        assert "<progress" in bar
        assert re.search(r"epoch \d of 4, about \d+ s left", bar)


@pytest.mark.slow
def test_the_figure_is_updated_in_place(training_in_notebook):
    _, updates = training_in_notebook
    figures = [data for data in updates if "image/png" in data]
    # One while the training ran, one at the end.
    assert len(figures) >= 2


# --- the learning rate -------------------------------------------------------------------------


def learning_rates(schedule, steps):
    return np.array([float(schedule(step)) for step in steps])


def test_the_rate_rises_to_its_peak_and_falls_to_zero():
    schedule = training.OneCycle(peak_learning_rate=0.02, n_steps=100, warmup_fraction=0.3)
    rates = learning_rates(schedule, range(121))
    assert rates[0] == pytest.approx(0.02 / 25)
    assert np.argmax(rates) == 30
    assert rates[30] == pytest.approx(0.02)
    assert np.allclose(np.diff(rates[:31]), 0.96 * 0.02 / 30, atol=1e-7)
    assert np.allclose(np.diff(rates[30:101]), -0.02 / 70, atol=1e-7)
    assert np.allclose(rates[100:], 0, atol=1e-8)
    assert rates.min() >= 0


def test_the_rate_is_rebuilt_from_its_config():
    schedule = training.OneCycle(0.02, 100, warmup_fraction=0.4)
    again = training.OneCycle.from_config(schedule.get_config())
    steps = (0, 40, 70)
    assert np.array_equal(learning_rates(again, steps), learning_rates(schedule, steps))


@pytest.mark.parametrize(
    ("peak", "n_steps", "warmup"),
    [(0, 10, 0.3), (0.1, 0, 0.3), (0.1, 10, 0), (0.1, 10, 1), (-1, 10, 0.3)],
)
def test_a_rate_that_cannot_be_is_refused(peak, n_steps, warmup):
    message = f"need peak_learning_rate > 0.*received {peak}, {n_steps} and {warmup}"
    with pytest.raises(ValueError, match=message):
        training.OneCycle(peak, n_steps, warmup)


# --- what the back end and the processor can do ------------------------------------------------


@pytest.mark.parametrize(("backend", "steps"), [("tensorflow", 100), ("torch", 1), ("jax", 1)])
def test_one_call_for_many_updates_where_it_pays(backend, steps, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: backend)
    assert training.steps_per_execution(100) == steps


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("flags\t\t: fpu avx512_bf16 sse\n", True),
        ("Features\t: fp asimd bf16 sve\n", True),
        ("flags\t\t: fpu avx512_fp16 sse\n", False),
    ],
)
def test_bfloat16_is_looked_for_among_the_processor_s_flags(text, has, tmp_path, monkeypatch):
    cpu_info = tmp_path / "cpuinfo"
    cpu_info.write_text(text)
    monkeypatch.setattr(training, "CPU_INFO", cpu_info)
    assert training.has_bfloat16() is has


def test_a_system_that_lists_no_flags_has_no_bfloat16(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CPU_INFO", tmp_path / "cpuinfo")
    assert training.has_bfloat16() is False
    # What cannot be read lists none either: a folder stands here for a file without permission.
    monkeypatch.setattr(training, "CPU_INFO", tmp_path)
    assert training.has_bfloat16() is False
    (tmp_path / "cpuinfo").write_bytes(b"flags: \xff sse")
    monkeypatch.setattr(training, "CPU_INFO", tmp_path / "cpuinfo")
    assert training.has_bfloat16() is False
