from collections import Counter

import numpy as np
import pytest

from mnist_helpers import evaluation

LABELS = np.array([0, 1, 1, 2, 9])
PREDICTED = np.array([0, 1, 7, 2, 4])


class Stub:
    def __init__(self, outputs):
        self.outputs = outputs

    def predict(self, inputs, **options):
        return np.asarray(self.outputs)


def test_a_digit_is_read_where_the_probability_is_largest():
    outputs = np.eye(10)[[3, 0]] * 0.7 + 0.03
    digits, probabilities = evaluation.predict_digits(Stub(outputs), np.zeros((2, 784)))
    assert digits.tolist() == [3, 0]
    np.testing.assert_array_equal(probabilities, outputs)


@pytest.mark.parametrize("shape", [(2, 9), (2,), (2, 10, 1)])
def test_a_model_without_ten_outputs_is_refused(shape):
    with pytest.raises(ValueError, match=r"must give shape \(n, 10\)"):
        evaluation.predict_digits(Stub(np.zeros(shape)), np.zeros((2, 784)))


def test_right_and_wrong_are_all_of_them():
    right, wrong = evaluation.right_and_wrong(LABELS, PREDICTED)
    assert right.tolist() == [0, 1, 3]
    assert wrong.tolist() == [2, 4]


def test_per_class_accuracy():
    shares = evaluation.per_class_accuracy(LABELS, PREDICTED)
    assert shares.tolist() == [1, 0.5, 1, 0, 0, 0, 0, 0, 0, 0]


def test_confusion_has_true_digits_in_rows():
    counts = evaluation.confusion_counts(LABELS, PREDICTED)
    assert counts.sum() == 5
    assert counts[1, 7] == counts[9, 4] == 1
    assert counts[7, 1] == 0


def test_one_hot_labels_are_refused_with_the_cure():
    with pytest.raises(ValueError, match="argmax"):
        evaluation.right_and_wrong(np.eye(10), PREDICTED)
    with pytest.raises(ValueError, match="argmax"):
        evaluation.confusion_counts(LABELS, np.eye(10)[:5])


def test_the_interval_agrees_with_the_formula():
    n_right, n, z = 9822, 10_000, 1.959964
    p = n_right / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    np.testing.assert_allclose(
        evaluation.accuracy_interval(n_right, n), (middle - half, middle + half), rtol=1e-5
    )


def test_the_interval_stays_between_0_and_1():
    assert evaluation.accuracy_interval(5, 5)[1] == 1
    assert evaluation.accuracy_interval(0, 5)[0] == 0


@pytest.mark.parametrize("counts", [(6, 5), (-1, 5), (0, 0)])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(ValueError, match="0 <= n_right <= n"):
        evaluation.accuracy_interval(*counts)


def test_the_kept_table_is_complete():
    rows = evaluation.measured("articles")
    keys = {(row["network"], row["validation_fraction"], row["seed"]) for row in rows}
    networks, fractions = {"dense", "convolutional"}, {0.1, 0.0}
    assert keys == {(n, f, s) for n in networks for f in fractions for s in range(1, 6)}
    assert len(rows) == 20
    assert all(0.97 < row["test_accuracy"] < 1 for row in rows)
    assert all(isinstance(row["keras"], str) for row in rows)


def test_the_measured_designs_have_five_seeds_each_and_one_was_tested():
    rows = evaluation.measured("architectures")
    names = ("conv_filters", "kernel_sizes", "dense_units", "dropout", "dropout_place")
    runs = Counter((row["evaluate_on"], *(str(row[name]) for name in names)) for row in rows)
    assert sorted(runs.values()) == [5] * 11
    (tested,) = [design for design in runs if design[0] == "test"]
    judged = {}
    for row in rows:
        assert (row["evaluate_on"] == "test") == isinstance(row["test_accuracy"], float)
        assert row["seed"] in range(1, 6) and isinstance(row["conv_filters"], list)
        design = tuple(str(row[name]) for name in names)
        judged.setdefault(design, []).append(row["val_accuracy"])
    assert tested[1:] == max(judged, key=lambda design: np.mean(judged[design]))


def test_an_unknown_table_is_not_found():
    with pytest.raises(FileNotFoundError, match="nosuch"):
        evaluation.measured("nosuch")


def test_rows_are_grouped_by_one_column_or_several_in_their_order():
    rows = [{"a": 2, "b": "x"}, {"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    assert evaluation.group(rows, "a") == {2: [rows[0], rows[2]], 1: [rows[1]]}
    assert list(evaluation.group(rows, "a")) == [2, 1]
    assert evaluation.group(rows, "b", "a") == {
        ("x", 2): [rows[0]],
        ("x", 1): [rows[1]],
        ("y", 2): [rows[2]],
    }


def test_of_a_table_that_grows_each_back_end_s_last_run_can_be_had(tmp_path, monkeypatch):
    (tmp_path / "measured").mkdir()
    table = tmp_path / "measured" / "speed.csv"
    table.write_text("run,backend,a\n1,tensorflow,1\n2,jax,2\n3,tensorflow,3\n3,tensorflow,4\n")
    monkeypatch.setattr(evaluation.resources, "files", lambda package: tmp_path)
    assert [row["a"] for row in evaluation.measured("speed")] == [1, 2, 3, 4]
    assert [row["a"] for row in evaluation.measured("speed", latest=True)] == [2, 3, 4]
