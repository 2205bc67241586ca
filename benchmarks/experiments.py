"""What several benchmarks share: digits as a network takes them, and runs side by side."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

from mnist_helpers.data import load_mnist
from mnist_helpers.preprocessing import scale_pixels, split_validation, to_images

VALIDATION_FRACTION = 0.1
# One thread a run: so all cores together train more than when they share every batch.
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def load_prepared(shape_inputs=to_images):
    """Load real MNIST as a network takes it.

    Parameters
    ----------
    shape_inputs : callable
        `preprocessing.to_images` or `preprocessing.to_vectors`.

    Returns
    -------
    train, test : tuple of numpy.ndarray
        Each has inputs, float32 in [0, 1], and labels, int32.
    """
    prepared = []
    for images, labels in load_mnist("mnist"):
        inputs = shape_inputs(scale_pixels(images))
        prepared.append((inputs, labels.astype("int32")))
    train, test = prepared
    return train, test


def hold_out(train):
    """Split training digits as notebook 06 does: those to train on, and the held-out tenth."""
    inputs, labels = train
    return split_validation(inputs, labels, VALIDATION_FRACTION, seed=0)


def run_side_by_side(measure, runs):
    """Call `measure` for each run, as many at a time as there are cores, each on one thread.

    Parameters
    ----------
    measure : callable
        A function of a module, so that a new process finds it.
    runs : list of tuple
        The arguments of each call.

    Yields
    ------
    object
        What `measure` returned, in the order of the runs.
    """
    os.environ.update(ONE_THREAD)
    # A forked process would inherit a TensorFlow that has started its threads already.
    fresh_process = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), fresh_process) as workers:
        futures = [workers.submit(measure, *run) for run in runs]
        for future in futures:
            yield future.result()
