import numpy as np
import pytest
from hypothesis import given, settings
from support.odd_values import ODD_VALUES, one_line_errors

from mnist_helpers import evaluation

LABELS = np.array([0, 1, 1, 2, 9])
PREDICTED = np.array([0, 1, 7, 2, 4])


class ModelStub:
    """A model that predicts the outputs it was made with, whatever the inputs."""

    def __init__(self, outputs):
        self.outputs = outputs

    def predict(self, inputs, **options):
        return np.asarray(self.outputs)


def test_a_digit_is_read_where_the_probability_is_largest():
    outputs = np.eye(10)[[3, 0]] * 0.7 + 0.03
    digits, probabilities = evaluation.predict_digits(ModelStub(outputs), np.zeros((2, 784)))
    assert digits.tolist() == [3, 0]
    np.testing.assert_array_equal(probabilities, outputs)


@pytest.mark.parametrize("shape", [(2, 9), (2,), (2, 10, 1)])
def test_a_model_without_ten_outputs_is_refused(shape):
    with pytest.raises(ValueError, match=r"must give shape \(n, 10\)"):
        evaluation.predict_digits(ModelStub(np.zeros(shape)), np.zeros((2, 784)))


def test_each_prediction_is_correct_or_incorrect():
    correct, incorrect = evaluation.correct_and_incorrect_indices(LABELS, PREDICTED)
    assert correct.tolist() == [0, 1, 3]
    assert incorrect.tolist() == [2, 4]


@pytest.mark.parametrize(
    ("labels", "predicted"),
    [(np.eye(10), PREDICTED), (LABELS, np.eye(10)[:5])],
)
def test_one_hot_digits_are_refused_with_the_cure(labels, predicted):
    with pytest.raises(ValueError, match="argmax"):
        evaluation.correct_and_incorrect_indices(labels, predicted)


def test_the_interval_agrees_with_the_formula():
    n_correct = 9822
    n = 10_000
    z = 1.959964
    p = n_correct / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    low, high = evaluation.accuracy_interval(n_correct, n)
    assert low == pytest.approx(middle - half, rel=1e-5)
    assert high == pytest.approx(middle + half, rel=1e-5)


def test_the_interval_stays_between_0_and_1():
    assert evaluation.accuracy_interval(5, 5)[1] == 1
    assert evaluation.accuracy_interval(0, 5)[0] == 0


@pytest.mark.parametrize(("n_correct", "n"), [(6, 5), (-1, 5), (0, 0), (2.5, 5), (2, 5.5)])
def test_impossible_counts_are_refused(n_correct, n):
    with pytest.raises(ValueError, match="0 <= n_correct <= n"):
        evaluation.accuracy_interval(n_correct, n)


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match="`model` must be a Keras model; received a NoneType"):
        evaluation.predict_digits(None, np.zeros((2, 784)))


@pytest.mark.parametrize("inputs", [np.zeros((0, 784)), np.array(["a"]), [object()]])
def test_inputs_that_no_model_takes_are_refused(inputs):
    with pytest.raises(ValueError, match="`inputs` must be numbers of shape"):
        evaluation.predict_digits(ModelStub(np.eye(10)), inputs)


@pytest.mark.parametrize("digits", [["7"] * 5, [object()] * 5, [7j] * 5])
def test_what_is_no_digit_is_refused(digits):
    with pytest.raises(ValueError, match="`labels` must be digits"):
        evaluation.correct_and_incorrect_indices(digits, PREDICTED)
    with pytest.raises(ValueError, match="`predicted` must be digits"):
        evaluation.correct_and_incorrect_indices(LABELS, digits)


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(ODD_VALUES, ODD_VALUES)
def test_whatever_comes_in_there_is_a_result_or_one_line(value, other):
    one_line_errors(evaluation.correct_and_incorrect_indices, value, other)
    one_line_errors(evaluation.accuracy_interval, value, other)
    one_line_errors(evaluation.accuracy_interval, value, 10)
    one_line_errors(evaluation.predict_digits, value, other)
    one_line_errors(evaluation.predict_digits, ModelStub(np.eye(10)), value)
    one_line_errors(evaluation.predict_digits, ModelStub([value]), np.eye(10))
