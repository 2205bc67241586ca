"""Many runs of one notebook, on all cores of this machine or on a cluster."""

from mnist_course.sweep.cluster import join_cluster, local_cluster
from mnist_course.sweep.engine import run_plan
from mnist_course.sweep.plan import plan_sweep
from mnist_course.sweep.results import result_row

__all__ = ["join_cluster", "local_cluster", "sweep"]


def sweep(notebook, grid, *, output=None, cluster=None, timeout=None, retry_failed=False):
    """Run a notebook once for each point of a grid, and keep the result of each run.

    Finished runs are not repeated, unless the notebook's code, this project's code, an installed
    version, the back end, a variable that changes numbers (see `mnist_helpers.variables`) or the
    digits have changed since. Modules of your own that a notebook imports do not count: when you
    change one, name another folder. So a sweep that was stopped, however that happened, goes on
    when you call it again. A run that began and failed is finished too; one
    that failed by the machine's fault (its kernel did not start, its worker was killed, the
    worker's disk was full) is done again.

    All that a sweep writes is private: only you can read it. To share results, give others that
    right (``chmod -R a+rX``).

    In a script, call it below ``if __name__ == "__main__":``, because each worker imports the
    script.

    Parameters
    ----------
    notebook : str or path-like
        As `find_notebooks` takes it.
    grid : dict of str to values, or list of such dicts
        As `grid.check_grid` takes it: ``{"epochs": [1, 2], "seed": range(5)}`` is ten runs.
    output : str or path-like, optional
        The folder for the results, by default ``results/sweep/`` and the notebook's name.
    cluster : context manager, optional
        What `local_cluster` (the default) or `join_cluster` returned.
    timeout : float, optional
        Seconds that one run may take; a run that takes longer has failed.
    retry_failed : bool
        Whether to repeat the runs that failed before.

    Returns
    -------
    list of dict
        A row for each run, in the grid's order, as in ``runs.csv``: run, result ("good" or
        "failed"), the parameters, metrics and seconds it recorded, digits, versions, and cell and
        error of a failure.

    Raises
    ------
    ValueError, FileNotFoundError, RuntimeError
        If the notebook or the grid is refused, the workers are not alike, or another sweep writes
        into `output`. Nothing has been run then.
    ConnectionError
        If the scheduler does not answer any more, or workers are lost again and again at the
        start. What was finished is kept.
    OSError
        If results cannot be written into `output`, or if another user made it for everybody.
    """
    plan = plan_sweep(notebook, grid)
    results = run_plan(
        plan,
        output=output,
        cluster=cluster,
        timeout=timeout,
        retry_failed=retry_failed,
    )
    return [result_row(result) for result in results]
