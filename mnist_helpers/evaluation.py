"""What a network read correctly and incorrectly, and how far such a share can be trusted."""

import numpy as np

from mnist_helpers.preprocessing import as_array, check_number

N_DIGITS = 10
# The types of numbers: bool, int, unsigned, float.
NUMBER_KINDS = "biuf"


def predict_digits(model, inputs):
    """Read each input as the digit to which the model gives the largest probability.

    Parameters
    ----------
    model : keras.Model
        With ten outputs.
    inputs : ndarray
        As the model takes them: shape (n, 784) or (n, 28, 28, 1), in [0, 1].

    Returns
    -------
    digits : ndarray of int, shape (n,)
    probabilities : ndarray of float32, shape (n, 10)

    Raises
    ------
    ValueError
        If the model has other than ten outputs, or `inputs` are no numbers or none at all.
    TypeError
        If `model` is no model.

    Examples
    --------
    >>> import numpy as np
    >>> from mnist_helpers.models import build_mlp
    >>> digits, probabilities = predict_digits(build_mlp([32]), np.zeros((3, 784)))
    >>> digits.shape, probabilities.shape
    ((3,), (3, 10))
    """
    if not hasattr(model, "predict"):
        raise TypeError(f"`model` must be a Keras model; received a {type(model).__name__}.")
    inputs = as_array("inputs", inputs)
    if inputs.dtype.kind not in NUMBER_KINDS or inputs.size == 0:
        raise ValueError(
            "`inputs` must be numbers of shape (n, 784) or (n, 28, 28, 1), n at least 1; "
            f"received {inputs.dtype} {inputs.shape}."
        )
    probabilities = as_array("outputs", model.predict(inputs, batch_size=1000, verbose=0))
    if probabilities.ndim != 2 or probabilities.shape[1] != N_DIGITS:
        raise ValueError(f"`model` must give shape (n, 10); received {probabilities.shape}.")
    return probabilities.argmax(axis=1), probabilities


def correct_and_incorrect_indices(labels, predicted):
    """Return where predictions are correct and where they are not.

    Parameters
    ----------
    labels, predicted : ndarray of int, shape (n,)
        True and predicted digits.

    Returns
    -------
    correct, incorrect : ndarray of int
        Indices into `labels`, ascending. Each index is in one of the two.

    Raises
    ------
    ValueError
        If they are no numbers, or the shapes are not both (n,). One-hot labels and probabilities
        need ``argmax(axis=1)``.

    Examples
    --------
    >>> correct, incorrect = correct_and_incorrect_indices([7, 2, 1], [7, 3, 1])
    >>> correct
    array([0, 2])
    >>> incorrect
    array([1])
    """
    labels = as_array("labels", labels)
    predicted = as_array("predicted", predicted)
    for name, digits in (("labels", labels), ("predicted", predicted)):
        if digits.dtype.kind not in NUMBER_KINDS:
            raise ValueError(f"`{name}` must be digits from 0 to 9; received {digits.dtype}.")
    if labels.ndim != 1 or labels.shape != predicted.shape:
        raise ValueError(
            "`labels` and `predicted` must both be digits of shape (n,); "
            f"received {labels.shape} and {predicted.shape}. Rows of ten need argmax(axis=1) first."
        )
    is_correct = labels == predicted
    return np.flatnonzero(is_correct), np.flatnonzero(~is_correct)


def accuracy_interval(n_correct, n):
    """Return the 95 % interval of an accuracy.

    This is Wilson's interval. Near 100 %, plus or minus two standard errors could go above 1. It
    tells how the choice of test images moves the accuracy, not how the seed of the training does.

    Parameters
    ----------
    n_correct : int
        Images that were read correctly, 0 <= n_correct <= n.
    n : int
        Images in all, at least 1.

    Returns
    -------
    low, high : float
        In [0, 1].

    Raises
    ------
    ValueError
        If the counts are impossible.
    TypeError
        If they are no numbers.

    Examples
    --------
    >>> low, high = accuracy_interval(9822, 10_000)
    >>> print(f"{low:.4f} to {high:.4f}")
    0.9794 to 0.9846
    """
    # SciPy's statistics take a second to import, which drawing digits should not cost.
    from scipy.stats import binomtest

    check_number("n_correct", n_correct)
    check_number("n", n)
    is_possible = n >= 1 and 0 <= n_correct <= n
    if not is_possible or int(n) != n or int(n_correct) != n_correct:
        raise ValueError(
            f"need whole numbers 0 <= n_correct <= n and n >= 1; received {n_correct} of {n}."
        )
    # SciPy refuses counts that are floats, such as 9822.0.
    result = binomtest(int(n_correct), int(n))
    interval = result.proportion_ci(confidence_level=0.95, method="wilson")
    return float(interval.low), float(interval.high)
