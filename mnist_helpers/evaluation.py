"""What a network got right and wrong, and how far such a figure can be trusted."""

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


def correct_and_incorrect_indices(labels, predicted):
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


def _check_digits(labels, predicted):
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    if labels.ndim != 1 or labels.shape != predicted.shape:
        raise ValueError(
            "`labels` and `predicted` must both be digits of shape (n,); "
            f"received {labels.shape} and {predicted.shape}. Rows of ten need argmax(axis=1) first."
        )
    return labels, predicted
