"""Failures on purpose, told in one line."""

import keras
import pytest

from mnist_helpers import failures

# What TensorFlow 2.21 raises from inside `fit`: a stack of frames, then what matters.
GRAPH_ERROR = """Graph execution error:

Detected at node loss/Xent/Xent defined at (most recent call last):
  File "/home/ada/lesson.py", line 59, in <module>

  File "/home/ada/.venv/lib/python3.11/site-packages/keras/src/trainers/trainer.py", line 419, in f
    loss = self._loss_tracker(y)

Received a label value of 10 which is outside the valid range of [0, 10).
\t [[{{node loss/Xent/Xent}}]] [Op:__inference_step_68]"""


def printed(capsys, error, text="", kind=Exception):
    with failures.expected_error(kind, text):
        raise error
    out, err = capsys.readouterr()
    assert err == ""
    return out


@pytest.fixture(params=["jax", "torch"])
def other_backend(request, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: request.param)


@pytest.fixture(autouse=True)
def tensorflow(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "tensorflow")


def test_type_and_message_are_all_that_is_printed(capsys):
    out = printed(capsys, ValueError("shapes (3,) and (4,) differ"), "differ", ValueError)
    assert out == "ValueError: shapes (3,) and (4,) differ\n"
    assert printed(capsys, KeyError("acc"), "acc", KeyError) == "KeyError: 'acc'\n"


def test_what_follows_the_failure_in_the_block_is_not_reached(capsys):
    with failures.expected_error(ValueError, "stop"):
        raise ValueError("stop")
        print("went on")
    assert capsys.readouterr().out == "ValueError: stop\n"


def test_a_subclass_will_do_and_is_named_itself(capsys):
    out = printed(capsys, ModuleNotFoundError("No module named 'x'"), "x", ImportError)
    assert out == "ModuleNotFoundError: No module named 'x'\n"


def test_one_of_several_types_will_do(capsys):
    kinds = (ValueError, RuntimeError)
    assert printed(capsys, RuntimeError("too small"), "small", kinds) == "RuntimeError: too small\n"
    with pytest.raises(AssertionError, match="must raise ValueError or RuntimeError with"):
        printed(capsys, TypeError("too small"), "small", kinds)


def test_a_block_that_does_not_fail_is_a_failure(capsys):
    with pytest.raises(AssertionError) as caught:
        with failures.expected_error(AttributeError, "predict_classes"):
            pass
    assert str(caught.value) == (
        "this block must raise AttributeError with the text 'predict_classes'; it raised nothing"
    )
    assert capsys.readouterr().out == ""


def test_another_type_is_a_failure_that_shows_what_came(capsys):
    with pytest.raises(
        AssertionError, match="ValueError with the text 'x'; it raised TypeError: x"
    ):
        printed(capsys, TypeError("x"), "x", ValueError)
    assert capsys.readouterr().out == ""


def test_another_text_is_a_failure_on_tensorflow(capsys):
    with pytest.raises(AssertionError, match="'rank'; it raised ValueError without it: new words"):
        printed(capsys, ValueError("new words"), "rank", ValueError)
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("other_backend")
def test_other_back_ends_are_held_to_the_type_alone(capsys):
    out = printed(capsys, ValueError("own words"), "rank", ValueError)
    assert out == "ValueError: own words\n"
    with pytest.raises(AssertionError, match="it raised TypeError: rank"):
        printed(capsys, TypeError("rank"), "rank", ValueError)
    with pytest.raises(AssertionError, match="it raised nothing"):
        with failures.expected_error(ValueError, "rank"):
            pass


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_error_passes_through(error, capsys):
    with pytest.raises(error):
        printed(capsys, error())
    assert capsys.readouterr().out == ""


def test_a_stack_of_frames_becomes_an_ellipsis_and_the_rest_stays(capsys):
    out = printed(capsys, ValueError(GRAPH_ERROR), "outside the valid range")
    before, after = GRAPH_ERROR.index("  File"), GRAPH_ERROR.index("Received")
    assert out == f"ValueError: {GRAPH_ERROR[:before]}…\n{GRAPH_ERROR[after:]}\n"


def test_frames_at_the_end_are_cut_too(capsys):
    out = printed(capsys, ValueError('it broke:\n  File "a.py", line 1, in f\n    f(1)\n    ^^^^'))
    assert out == "ValueError: it broke:\n…\n"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("from 'keras.utils' (/home/ada/k/__init__.py)", "from 'keras.utils' (…)"),
        ("No such file or directory: '/home/ada l/m.h5'", "No such file or directory: '…'"),
        ('File "/home/ada/x.py" is missing', 'File "…" is missing'),
        ("read ~/mnist.npz, then stop", "read …, then stop"),
        (r"cannot read C:\Users\ada\m.npz", "cannot read …"),
        ("cannot read D:/ada/m.npz; stop", "cannot read …; stop"),
        ("at file:///home/ada/m.npz", "at …"),
        ("here:/home/ada", "here:…"),
        ("<keras.Sequential object at 0x7f314403ea90>", "<keras.Sequential object at …>"),
    ],
)
def test_no_path_and_no_address_is_printed(message, shown, capsys):
    assert printed(capsys, ValueError(message)) == f"ValueError: {shown}\n"


@pytest.mark.parametrize(
    "message",
    [
        "{{node network_1/convolution_1/convolution}} has input shapes: [28,28,1,1], [5,5,1,30].",
        "see https://keras.io/guides/sequential_model/ and divide by 255: x / 255, not 1/255",
        "first line\n\n  • inputs=tf.Tensor(shape=(32,), dtype=float32)\n  • mask=None",
        "expected input/output; File system full, line 3",
    ],
)
def test_the_rest_of_a_message_is_left_as_it_is(message, capsys):
    assert printed(capsys, ValueError(message)) == f"ValueError: {message}\n"


def test_codes_for_bold_type_are_not_text(capsys):
    out = printed(capsys, ValueError("\x1b[1mExpected shape\x1b[0m (None, 784)"), "shape (None")
    assert out == "ValueError: Expected shape (None, 784)\n"


@pytest.mark.parametrize("kind", ["ValueError", None, (), (ValueError, "x"), int, ValueError("x")])
def test_what_is_no_class_of_exceptions_is_refused(kind):
    with pytest.raises(TypeError, match="`error_type` must be a class of exceptions"):
        with failures.expected_error(kind, "x"):
            raise ValueError("x")


def test_the_text_must_be_text():
    with pytest.raises(TypeError, match="`text` must be text; received a NoneType"):
        with failures.expected_error(ValueError, None):
            raise ValueError("x")


class MuteError(Exception):
    def __str__(self):
        raise RuntimeError


def test_an_error_whose_message_raises_is_told_all_the_same(capsys):
    out = printed(capsys, MuteError())
    assert out == "MuteError: (an error whose message cannot be shown)\n"


def test_a_message_of_ten_megabytes_is_cut(capsys):
    assert len(printed(capsys, ValueError("x" * 10**7))) < 6000
    with pytest.raises(AssertionError) as caught:
        printed(capsys, ValueError("x" * 10**7), "y")
    assert len(str(caught.value)) < 6000
