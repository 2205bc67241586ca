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
