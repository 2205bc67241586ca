"""What a network got right and wrong, and how far such a figure can be trusted."""

import csv
import json
from importlib import resources

import numpy as np


def predict_digits(model, inputs):
    """Read each input as the digit to which the model gives the largest probability.

    Parameters
    ----------
    model : keras.Model
        With ten outputs; `inputs` as it takes them, shape (n, 784) or (n, 28, 28, 1), in [0, 1].

    Returns
    -------
    digits : ndarray of int, shape (n,)
    probabilities : ndarray of float32, shape (n, 10)

    Raises
    ------
    ValueError
        If the model has other than ten outputs.
    """
    probabilities = model.predict(inputs, batch_size=1000, verbose=0)
    if probabilities.ndim != 2 or probabilities.shape[1] != 10:
        raise ValueError(f"`model` must give shape (n, 10); received {probabilities.shape}.")
    return probabilities.argmax(axis=1), probabilities


def right_and_wrong(labels, predicted):
    """Say which predictions were right and which were wrong.

    Parameters
    ----------
    labels, predicted : ndarray of int, shape (n,)
        True and predicted digits.

    Returns
    -------
    right, wrong : ndarray of int
        Indices into `labels`, ascending; together they are all of them.

    Raises
    ------
    ValueError
        If the shapes are not (n,) both; one-hot labels or probabilities need ``argmax(axis=1)``.
    """
    labels, predicted = _check_digits(labels, predicted)
    return np.flatnonzero(labels == predicted), np.flatnonzero(labels != predicted)


def per_class_accuracy(labels, predicted):
    """Share of each digit that was read right.

    Returns
    -------
    ndarray of float64, shape (10,)
        In [0, 1]; 0 for a digit that does not occur. Parameters and errors as `right_and_wrong`.
    """
    counts = confusion_counts(labels, predicted)
    return counts.diagonal() / np.maximum(counts.sum(axis=1), 1)


def confusion_counts(labels, predicted):
    """Count how often each digit (row) was read as each digit (column).

    Returns
    -------
    ndarray of int64, shape (10, 10)
        Rows are true digits, columns predicted ones. Parameters and errors as `right_and_wrong`.
    """
    labels, predicted = _check_digits(labels, predicted)
    counts = np.zeros((10, 10), dtype="int64")
    np.add.at(counts, (labels, predicted), 1)
    return counts


def accuracy_interval(n_right, n):
    """Give the 95 % interval of an accuracy (Wilson's, for `n_right` successes in `n` tries).

    Parameters
    ----------
    n_right, n : int
        0 <= n_right <= n, n at least 1.

    Returns
    -------
    low, high : float
        In [0, 1]. It speaks of the choice of test images, not of the seed of the training.

    Raises
    ------
    ValueError
        If the counts are impossible.
    """
    from scipy.stats import binomtest

    if not (n >= 1 and 0 <= n_right <= n):
        raise ValueError(f"need 0 <= n_right <= n and n >= 1; received {n_right} of {n}.")
    interval = binomtest(int(n_right), int(n)).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def measured(table, *, latest=False):
    """Read a table of results that this project measured and keeps.

    Parameters
    ----------
    table : str
        ``"articles"``: both articles' networks over five seeds; ``"architectures"``: ten designs
        of the second over five seeds; ``"notebooks"``: time and memory of each notebook;
        ``"optimism"``: what choosing by the digits that judge flatters; ``"sameness"``: one seed
        under other threads and libraries; ``"own_digits"``: people's own digits, read in several
        ways; ``"reader"``: how sure the reader is of held-out digits, and how often it was right;
        ``"reading_cost"``: what a reading costs; ``"ladder"``: notebook 06's rungs, ``"rates"``:
        its rates and batches, both from ``benchmarks/ladder.py``; ``"speed"``: both articles'
        recipes beside ours; ``"accuracy"``: the large network of notebook 06; ``"tries"``: what
        else was tried there.
        ``python benchmarks/<table>.py`` makes each of the others.
    latest : bool
        Only each back end's last ``run``, of a table to which every run adds its rows.

    Returns
    -------
    list of dict
        One for each row; numbers are int or float, lists are lists, all else is text.

    Raises
    ------
    FileNotFoundError
        If there is no such table.
    """
    path = resources.files("mnist_helpers") / "measured" / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    if latest:
        last = {row["backend"]: row["run"] for row in rows}
        rows = [row for row in rows if row["run"] == last[row["backend"]]]
    return [{name: _value(text) for name, text in row.items()} for row in rows]


def group(rows, *names):
    """Sort rows of a table into lists, by what stands in one column or in several.

    Returns
    -------
    dict
        The rows by value, or by tuple of values where several `names` are given; in the order in
        which the values first occur.
    """
    groups = {}
    for row in rows:
        value = tuple(row[name] for name in names)
        groups.setdefault(value if len(names) > 1 else value[0], []).append(row)
    return groups


def _value(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def _check_digits(labels, predicted):
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    if labels.ndim != 1 or labels.shape != predicted.shape:
        raise ValueError(
            "`labels` and `predicted` must both be digits of shape (n,); "
            f"received {labels.shape} and {predicted.shape}. Rows of ten need argmax(axis=1) first."
        )
    return labels, predicted
