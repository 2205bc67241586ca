import subprocess
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from sklearn.metrics import confusion_matrix
from support.odd_values import ODD_VALUES, one_line_errors

from mnist_helpers import models, plotting


@pytest.fixture(autouse=True)
def clean_figures():
    with plotting.course_style():
        yield
    plt.close("all")


DIGITS = np.random.default_rng(0).integers(0, 256, (7, 28, 28), dtype="uint8")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_every_image_is_drawn_and_spare_axes_are_hidden():
    axes = plotting.plot_digits(DIGITS, list("abcdefg"), n_cols=3)
    assert axes.shape == (3, 3)
    drawn = [ax for ax in axes.flat if ax.images]
    assert len(drawn) == 7
    assert [ax.get_title() for ax in drawn] == list("abcdefg")
    for ax, image in zip(drawn, DIGITS, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), image)
    assert not any(ax.axison for ax in axes.flat)


@pytest.mark.parametrize("shape", [(7, 784), (7, 28, 28, 1)])
def test_vectors_and_channels_are_drawn_as_pictures(shape):
    axes = plotting.plot_digits(DIGITS.reshape(shape))
    np.testing.assert_array_equal(axes[0, 1].images[0].get_array(), DIGITS[1])


def test_all_digits_share_the_range_of_their_type():
    dark = np.full((2, 28, 28), 9, dtype="uint8")
    assert plotting.plot_digits(dark)[0, 0].images[0].get_clim() == (0, 255)
    assert plotting.plot_digits(dark / 255)[0, 0].images[0].get_clim() == (0, 1)


@pytest.mark.parametrize("images", [np.zeros((0, 28, 28)), np.zeros((2, 10, 10))])
def test_what_is_no_digit_is_refused(images):
    with pytest.raises(ValueError, match="28×28"):
        plotting.plot_digits(images)


def test_titles_must_be_as_many_as_images():
    with pytest.raises(ValueError, match="7 images.*received 2"):
        plotting.plot_digits(DIGITS, ["a", "b"])


def test_each_pixel_has_its_number():
    ax = plotting.plot_pixels(DIGITS[0])
    assert texts(ax) == [str(gray_level) for gray_level in DIGITS[0].ravel()]
    assert ax.get_xlabel() == "column"
    assert ax.get_ylabel() == "row"


def test_the_number_on_a_pixel_can_be_read_on_its_gray():
    image = np.zeros((28, 28), dtype="uint8")
    image[0, 1] = 1
    image[0, 2] = 127
    image[0, 3] = 128
    ax = plotting.plot_pixels(image)
    colors = [text.get_color() for text in ax.texts[:4]]
    assert colors == ["0.45", "white", "white", "black"]


def test_the_histogram_counts_every_pixel():
    ax = plotting.plot_histogram(DIGITS[0])
    assert sum(bar.get_height() for bar in ax.patches) == 784
    assert ax.get_yscale() == "log"
    assert "gray level" in ax.get_xlabel()


def test_class_counts_show_every_digit_also_a_missing_one():
    ax = plotting.plot_class_counts(np.array([1, 1, 3]))
    assert [bar.get_height() for bar in ax.patches] == [0, 2, 0, 1, 0, 0, 0, 0, 0, 0]
    assert texts(ax)[1] == "2"


HISTORY = {
    "accuracy": [0.9, 0.95, 0.97],
    "loss": [0.4, 0.2, 0.1],
    "val_accuracy": [0.93, 0.95, 0.96],
    "val_loss": [0.3, 0.2, 0.25],
}


def test_curves_are_drawn_by_epoch_and_named():
    accuracy, loss = plotting.plot_history(HISTORY)
    assert accuracy.get_ylabel() == "accuracy"
    assert loss.get_ylabel() == "loss"
    training, validation = loss.lines
    assert training.get_xdata().tolist() == [1, 2, 3]
    assert list(training.get_ydata()) == HISTORY["loss"]
    assert list(validation.get_ydata()) == HISTORY["val_loss"]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "validation"]
    # Told apart without color.
    assert training.get_linestyle() != validation.get_linestyle()


def test_curves_without_validation():
    training_only = {"accuracy": HISTORY["accuracy"], "loss": HISTORY["loss"]}
    axes = plotting.plot_history(training_only)
    assert [len(ax.lines) for ax in axes] == [1, 1]
    assert "validation" not in plotting.history_in_words(training_only)


def test_the_words_for_the_curves_carry_the_numbers():
    words = plotting.history_in_words(HISTORY)
    assert "1 to 3" in words
    assert "training loss goes from 0.4000 to 0.1000" in words
    assert "validation accuracy goes from 0.9300 to 0.9600" in words


def test_the_diagram_names_every_layer_with_shape_and_parameters():
    ax = plotting.plot_network(models.build_cnn())
    words = texts(ax)
    assert "Conv\n24×24×30\n780" in words
    assert "MaxPool\n5×5×15\n–" in words
    assert "Dropout\n5×5×15\nrate 0.2" in words
    assert "Dense\n128\n48,128" in words
    # The input, nine layers, and the names of the three lines.
    assert len(words) == 11
    assert ax.get_title() == "CNN: 59,933 parameters"


def test_the_diagram_of_the_dense_network():
    ax = plotting.plot_network(models.build_mlp([32, 16], 0.5))
    assert "Dense\n32\n25,120" in texts(ax)
    assert "Dropout\n16\nrate 0.5" in texts(ax)
    n_open = []
    for circles in ax.collections:
        is_white = (circles.get_facecolors()[:, :3] == 1).all(axis=1)
        n_open.append(is_white.sum())
    # Half of the ten circles drawn for each dropout.
    assert n_open == [0, 0, 5, 0, 5, 0]
    # Lines go into the three dense layers only, 10 to 10 circles each.
    assert len(ax.lines) == 300


def test_predictions_are_titled_with_both_digits():
    axes = plotting.plot_predictions(DIGITS[:2], [3, 5], [3, 8])
    assert [ax.get_title() for ax in axes.flat[:2]] == ["read 3, is 3", "read 8, is 5"]


def test_confusion_shows_every_count_and_no_nan_for_an_empty_row():
    matrix = confusion_matrix([1, 1, 1], [1, 1, 7], labels=range(10))
    ax = plotting.plot_confusion(matrix)
    # Ten texts a row: 11 is the ones read as 1, 17 the ones read as 7.
    assert texts(ax)[11] == "2"
    assert texts(ax)[17] == "1"
    assert ax.texts[17].get_color() == "white"
    shades = np.asarray(ax.images[0].get_array())
    assert np.isfinite(shades).all()
    assert shades[1, 7] == shades.max()
    assert shades[1, 1] == 0
    assert ax.get_xlabel() == "predicted digit"
    assert ax.get_ylabel() == "true digit"


def test_confusion_leaves_the_matrix_as_it_is():
    matrix = np.full((10, 10), 3)
    plotting.plot_confusion(matrix)
    assert (matrix == 3).all()


def test_probabilities_mark_the_true_digit_without_color():
    ax = plotting.plot_probabilities(np.full(10, 0.1), 4)
    assert [bool(bar.get_hatch()) for bar in ax.patches] == [digit == 4 for digit in range(10)]
    assert ax.patches[0].get_height() == pytest.approx(0.1)


def test_axes_given_are_the_axes_drawn_on():
    _, ax = plt.subplots()
    assert plotting.plot_histogram(DIGITS[0], ax) is ax
    assert plotting.plot_class_counts([1], ax) is ax
    assert len(plt.get_fignums()) == 1


ALT = "A histogram with one bar for each of sixteen ranges of gray levels."


def test_a_shown_figure_carries_its_words(monkeypatch):
    calls = []

    def record_call(data, **options):
        calls.append((data, options))

    monkeypatch.setattr("IPython.display.display", record_call)
    plotting.show(plotting.plot_histogram(DIGITS[0]), ALT)
    assert len(calls) == 1
    data, options = calls[0]
    assert data["text/plain"] == ALT
    assert data["image/png"].startswith(b"\x89PNG")
    assert options["metadata"]["image/png"]["alt"] == ALT
    assert plt.get_fignums() == []


@pytest.mark.parametrize("alt", ["", "a histogram", " " * 60])
def test_words_that_say_nothing_are_refused(alt):
    with pytest.raises(ValueError, match="`alt` must say"):
        plotting.show(plotting.plot_histogram(DIGITS[0]), alt)


def test_loading_and_drawing_digits_needs_no_keras():
    code = """
import sys
from mnist_helpers import evaluation, plotting, preprocessing
from mnist_helpers.data import load_mnist
(images, labels), _ = load_mnist("digits")
plotting.plot_digits(images[:9], labels[:9])
plotting.plot_pixels(images[0])
plotting.plot_class_counts(labels)
preprocessing.to_vectors(preprocessing.scale_pixels(images))
print(sorted({"keras", "tensorflow"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "[]\n", run.stderr


# --- what cannot be drawn ----------------------------------------------------------------------

REFUSED = {
    "one image alone": (lambda: plotting.plot_digits(DIGITS[0]), r"images\[None\]"),
    "a number": (lambda: plotting.plot_digits(3), "28×28 pixels"),
    "too many images": (
        lambda: plotting.plot_digits(np.zeros((501, 28, 28), "uint8")),
        "up to 500 `images`; received 501",
    ),
    "integers": (lambda: plotting.plot_digits(DIGITS.astype(int)), "received int64"),
    "gray levels as float": (lambda: plotting.plot_digits(DIGITS / 1), "between 0 and 1"),
    "NaN": (lambda: plotting.plot_digits(DIGITS * np.nan), "NaN or infinity"),
    "infinity": (lambda: plotting.plot_digits(np.full((1, 784), np.inf)), "NaN or infinity"),
    "complex": (lambda: plotting.plot_digits(DIGITS * 1j), "received complex128"),
    "text": (lambda: plotting.plot_digits(np.full((1, 784), "x")), "received <U1"),
    "no column": (lambda: plotting.plot_digits(DIGITS, n_cols=0), "`n_cols` must be a whole"),
    "half a column": (lambda: plotting.plot_digits(DIGITS, n_cols=2.5), "received 2.5"),
    "a million columns": (lambda: plotting.plot_digits(DIGITS, n_cols=10**6), "from 1 to 50"),
    "titles without end": (lambda: plotting.plot_digits(DIGITS, iter("abc")), "`titles` must be"),
    "pixels in a row": (lambda: plotting.plot_pixels(DIGITS[0].ravel()), r"shape \(28, 28\)"),
    "pixels as float": (
        lambda: plotting.plot_pixels(DIGITS[0] / 255),
        "as uint8; received float64",
    ),
    "shares of gray": (lambda: plotting.plot_histogram(DIGITS[0] / 255), "received float64"),
    "no pixel": (lambda: plotting.plot_histogram(DIGITS[:0]), r"received uint8 \(0, 28, 28\)"),
    "rows of ten": (lambda: plotting.plot_class_counts(np.eye(10, dtype=int)), "argmax"),
    "a label of 10": (lambda: plotting.plot_class_counts([1, 10]), "received 1 to 10"),
    "a label below 0": (lambda: plotting.plot_class_counts([-1]), "received -1 to -1"),
    "labels in float": (lambda: plotting.plot_class_counts([1.0]), "received float64"),
    "a history's object": (lambda: plotting.plot_history(object()), "`history` must be a dict"),
    "no loss": (lambda: plotting.plot_history({"accuracy": [1]}), "must have a loss"),
    "no epoch": (lambda: plotting.plot_history({"loss": []}), r"history\['loss'\] must be a list"),
    "one number": (lambda: plotting.history_in_words({"loss": 0.1}), "one number for each epoch"),
    "losses in text": (lambda: plotting.history_in_words({"loss": ["a"]}), "received <U1"),
    "three axes": (lambda: plotting.plot_history(HISTORY, plt.subplots(1, 3)[1]), "two Axes"),
    "a label too few": (lambda: plotting.plot_predictions(DIGITS, [1] * 6, [1] * 7), "`labels`"),
    "a row of ten": (lambda: plotting.plot_predictions(DIGITS, [1] * 7, np.eye(7)), "argmax"),
    "a table of shares": (lambda: plotting.plot_confusion(np.eye(10)), "received float64"),
    "two digits": (lambda: plotting.plot_confusion([[1, 2], [3, 4]]), r"\(2, 2\)"),
    "counts below 0": (lambda: plotting.plot_confusion(-np.eye(10, dtype=int)), "received -1"),
    "eleven": (lambda: plotting.plot_probabilities([0.1] * 11), r"received float64 \(11,\)"),
    "percent": (lambda: plotting.plot_probabilities([10] * 10), "received 10 to 10"),
    "NaN in it": (lambda: plotting.plot_probabilities([0.1] * 9 + [np.nan]), "NaN or infinity"),
    "no such digit": (
        lambda: plotting.plot_probabilities([0.1] * 10, 10),
        "`label` must be a digit",
    ),
    "no axes": (lambda: plotting.plot_confusion(np.eye(10, dtype=int), plt), "received a module"),
    "no model": (lambda: plotting.plot_network(None), "received a NoneType"),
    "nothing to show": (lambda: plotting.show(None, ALT), "`axes` must be"),
    "no figure": (lambda: plotting.png_bundle(None, ALT), "`figure` must be"),
    "no words": (lambda: plotting.png_bundle(plt.figure(), None), "`alt` must be text"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_drawn_is_refused_in_one_line(kind):
    draw, words = REFUSED[kind]
    n_figures = len(plt.get_fignums())
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        draw()
    assert len(str(caught.value).splitlines()) == 1
    # No empty figure is left, which Jupyter would show.
    if kind not in ("three axes", "no words"):
        assert len(plt.get_fignums()) == n_figures


@given(value=ODD_VALUES, other=ODD_VALUES)
@settings(max_examples=60, derandomize=True, database=None, deadline=None)
def test_whatever_is_drawn_there_is_a_drawing_or_one_line(value, other):
    with plotting.course_style():
        one_line_errors(plotting.plot_digits, value)
        one_line_errors(plotting.plot_digits, DIGITS[:2], value)
        one_line_errors(plotting.plot_digits, DIGITS[:1], n_cols=value)
        one_line_errors(plotting.plot_pixels, value)
        one_line_errors(plotting.plot_histogram, value, other)
        one_line_errors(plotting.plot_class_counts, value)
        one_line_errors(plotting.plot_history, value)
        one_line_errors(plotting.plot_history, {"loss": value, "val_loss": other})
        one_line_errors(plotting.history_in_words, {"loss": value, "accuracy": other})
        one_line_errors(plotting.plot_predictions, DIGITS[:1], value, other)
        one_line_errors(plotting.plot_confusion, value, other)
        one_line_errors(plotting.plot_probabilities, value)
        one_line_errors(plotting.plot_probabilities, [0.1] * 10, value)
        one_line_errors(plotting.plot_network, value)
        one_line_errors(plotting.show, value, ALT)
        plt.close("all")


def test_a_loss_that_is_no_number_leaves_a_gap(recwarn):
    broken = {"loss": [2.0, np.inf, np.nan], "accuracy": [0.1, 0.1, 0.1], "extra": "x"}
    axes = plotting.plot_history(broken)
    plotting.png_bundle(axes[0].figure, ALT)
    assert "training loss goes from 2.0000 to nan" in plotting.history_in_words(broken)
    assert list(recwarn) == []


def test_a_history_without_accuracy_is_drawn_without_a_warning(recwarn):
    accuracy, loss = plotting.plot_history({"loss": [2.0, 1.0]})
    assert (len(accuracy.lines), len(loss.lines)) == (0, 1)
    assert list(recwarn) == []


def test_titles_are_shown_as_they_are():
    odd = ["$x$", "a_b^{", "two\nlines", "\ud800half", "\u202eturned", "x" * 10**6, "\\frac"]
    axes = plotting.plot_digits(DIGITS, odd)
    titles = [ax.get_title() for ax in axes.flat[:7]]
    assert titles[:5] == ["$x$", "a_b^{", "two\nlines", " half", " turned"]
    assert len(titles[5]) == 100
    # Nothing is taken for a formula.
    assert not any(ax.title.get_parse_math() for ax in axes.flat[:7])
    data, _ = plotting.png_bundle(axes[0, 0].figure, ALT)
    assert data["image/png"].startswith(b"\x89PNG")


def long_names():
    from keras import Input, Sequential, layers

    parts = [
        layers.SeparableConv2D(8, 3),
        layers.BatchNormalization(),
        layers.LayerNormalization(),
        layers.SpatialDropout2D(0.3),
        layers.GlobalAveragePooling2D(),
        layers.ActivityRegularization(),
        layers.GaussianNoise(0.1),
        layers.Dense(10),
    ]
    # As many as the largest networks have, without their memory.
    parts[-1].count_params = lambda: 175_000_000_000
    return Sequential([Input((28, 28, 1)), *parts], name="a_$x$_net")


@pytest.mark.parametrize("build", [long_names, models.build_reader, models.build_cnn])
def test_the_captions_of_a_network_stand_apart(build):
    ax = plotting.plot_network(build())
    figure = ax.figure
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    *columns, row_names = boxes
    in_a_row = [row_names, *columns]
    for left, right in zip(in_a_row[:-1], in_a_row[1:], strict=True):
        assert left.x1 < right.x0
    # They end above the lower edge of the figure.
    assert min(box.y0 for box in boxes) > 0
    last_lines = {len(text.get_text().split("\n")) for text in ax.texts}
    assert len(last_lines) == 1


def test_a_long_kind_of_layer_is_broken_at_its_capitals():
    words = texts(plotting.plot_network(long_names()))
    assert "\nSeparable\nConv\n26×26×8\n25" in words
    assert "\n\nBatchNorm\n26×26×8\n32" in words
    assert "\nSpatial\nDropout2D\n26×26×8\nrate 0.3" in words
    assert "Global\nAverage\nPool\n8\n–" in words
    assert "\nActivity\nRegulariz…\n8\n–" in words
    assert words[-1] == "\n\nlayer\noutput\nparameters"


def unbuilt():
    from keras import Sequential, layers

    return Sequential([layers.Dense(3)])


def of_any_size():
    from keras import Input, Sequential, layers

    return Sequential([Input((None, None, 1)), layers.Conv2D(8, 3)])


def deep():
    from keras import Input, Sequential, layers

    return Sequential([Input((4,)), *[layers.ReLU() for _ in range(101)]])


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (unbuilt, "must be built"),
        (of_any_size, "the input has"),
        (deep, "at most 100 layers; received 101"),
    ],
)
def test_a_model_that_has_no_diagram_is_refused(build, words):
    model = build()
    with pytest.raises(ValueError, match=words):
        plotting.plot_network(model)
    assert plt.get_fignums() == []


# --- settings of the user ----------------------------------------------------------------------

HOSTILE = {
    "text.usetex": True,
    "text.color": "red",
    "text.parse_math": False,
    "font.family": ["No Such Font"],
    "font.size": 30,
    "mathtext.default": "regular",
    "figure.dpi": 20,
    "figure.figsize": (1, 1),
    "figure.facecolor": "black",
    "figure.autolayout": True,
    "savefig.dpi": 30,
    "savefig.bbox": "tight",
    "savefig.transparent": True,
    "savefig.format": "pdf",
    "axes.labelcolor": "white",
    "axes.titlelocation": "left",
    "axes.xmargin": 0.4,
    "axes.grid": True,
    "axes.autolimit_mode": "round_numbers",
    "axes.formatter.use_locale": True,
    "image.cmap": "viridis",
    "image.origin": "lower",
    "image.interpolation": "bilinear",
    "image.aspect": "auto",
    "lines.marker": "*",
    "lines.linestyle": ":",
    "legend.loc": "lower left",
    "legend.fontsize": 40,
    "hatch.color": "red",
    "scatter.marker": "s",
    "patch.linewidth": 9,
    "xtick.top": True,
    "ytick.labelsize": 30,
    "path.sketch": (9, 9, 9),
}
DRAWINGS = {
    "digits": lambda: plotting.plot_digits(DIGITS, list("abcdefg")),
    "pixels": lambda: plotting.plot_pixels(DIGITS[0]),
    "histogram": lambda: plotting.plot_histogram(DIGITS[0]),
    "class_counts": lambda: plotting.plot_class_counts(np.array([1, 1, 3])),
    "history": lambda: plotting.plot_history(HISTORY),
    "predictions": lambda: plotting.plot_predictions(DIGITS[:2], [1, 2], [3, 2]),
    "confusion": lambda: plotting.plot_confusion(np.eye(10, dtype=int)),
    "probabilities": lambda: plotting.plot_probabilities([0.1] * 10, label=4),
    "network": lambda: plotting.plot_network(models.build_mlp(hidden_units=[32])),
}


def drawn(name):
    """Return a figure's picture, and its texts, limits and size."""
    axes = np.ravel(DRAWINGS[name]())
    figure = axes[0].figure
    data, _ = plotting.png_bundle(figure, ALT)
    words = [text.get_text() for text in figure.findobj(matplotlib.text.Text)]
    limits = [ax.axis() for ax in axes]
    return data["image/png"], words, limits, figure.get_size_inches().tolist()


def test_every_drawing_function_is_tried():
    names = {name.removeprefix("plot_") for name in dir(plotting) if name.startswith("plot_")}
    assert names == set(DRAWINGS)


@pytest.mark.parametrize("name", list(DRAWINGS))
def test_a_figure_is_the_same_whatever_the_user_s_matplotlibrc_says(name, recwarn):
    expected = drawn(name)
    plt.rcParams.update(HOSTILE)
    plotting.use_style()
    assert drawn(name) == expected
    # In a block, too; afterwards the user's settings are back.
    plt.rcParams.update(HOSTILE)
    with plotting.course_style():
        assert drawn(name) == expected
    assert plt.rcParams["image.origin"] == "lower"
    assert list(recwarn) == []


def test_a_style_sheet_of_the_user_does_not_take_the_place_of_the_course_s(monkeypatch):
    for name in ("mnist_helpers.style", "style", "default"):
        monkeypatch.setitem(plt.style.library, name, {"font.size": 99})
    plotting.use_style()
    assert plt.rcParams["font.size"] == 10


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("tkagg", plotting.INLINE_BACKEND),
        ("pdf", plotting.INLINE_BACKEND),
        (None, plotting.INLINE_BACKEND),
        (plotting.INLINE_BACKEND, plotting.INLINE_BACKEND),
        ("module://ipympl.backend_nbagg", "module://ipympl.backend_nbagg"),
    ],
)
def test_in_a_notebook_figures_stay_in_the_notebook(monkeypatch, chosen, expected):
    switched = []
    monkeypatch.setattr(plotting, "in_notebook", lambda: True)
    monkeypatch.setattr(matplotlib, "get_backend", lambda auto_select: chosen)
    monkeypatch.setattr(plt, "switch_backend", switched.append)
    plotting.use_style()
    assert switched == [expected]
