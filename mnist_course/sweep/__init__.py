"""Many runs of one notebook, on all cores of this machine or on a cluster."""

from pathlib import Path
from typing import NamedTuple

import nbformat

from mnist_course.notebooks import find_notebooks, read_notebook
from mnist_course.parameters import read_parameters
from mnist_course.sweep.cluster import check_number, check_workers, join_cluster, local_cluster
from mnist_course.sweep.engine import run_all
from mnist_course.sweep.fingerprint import PLACES, program_fingerprint, run_key
from mnist_course.sweep.grid import check_grid, list_runs
from mnist_course.sweep.progress import SweepBar
from mnist_course.sweep.results import (
    COLUMNS,
    lock_folder,
    read_results,
    result_row,
    write_csv,
    write_result,
)

__all__ = ["join_cluster", "local_cluster", "plan_sweep", "sweep"]


class Plan(NamedTuple):
    """A notebook and a grid that have been checked."""

    name: str
    notebook: nbformat.NotebookNode
    defaults: dict
    grids: list

    @property
    def data(self):
        """Which digits are asked for, as `load_mnist` takes it."""
        return self.grids[0].get("data", [self.defaults.get("data", "")])[0]

    @property
    def output(self):
        """The folder for results of which no other was named."""
        return Path("results", "sweep", self.name)

    def name_runs(self, environment):
        """Return {run: parameters}; `environment` is what `describe_environment` returned."""
        program = program_fingerprint(self.notebook, environment)
        runs = (self.defaults | given for given in list_runs(self.grids))
        return {run_key(program, parameters): parameters for parameters in runs}


def plan_sweep(notebook, grid):
    """Read a notebook and check a grid against it, as `sweep` does before anything else."""
    (path,) = find_notebooks([notebook])
    try:
        source = read_notebook(path)
        defaults = read_parameters(source)
        taken = sorted(set(defaults or ()) & COLUMNS)
        if taken:
            raise ValueError(f"runs.csv has a column {taken[0]!r}: rename that parameter")
        return Plan(path.stem, source, defaults, check_grid(grid, defaults))
    except ValueError as error:
        raise ValueError(f"{path.stem}: {error}") from None


def sweep(notebook, grid, *, output=None, cluster=None, timeout=None, retry_failed=False):
    """Run a notebook once for each point of a grid, and keep what came of each run.

    Finished runs are not repeated, unless the notebook's code, the package, an installed version,
    the back end or the digits have changed since; so a sweep that was stopped, in whatever way,
    goes on when it is called again.

    In a script, call it below ``if __name__ == "__main__":``, for each worker imports the script.

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
        Seconds one run may take; then it has failed.
    retry_failed : bool
        Whether to repeat runs that failed an earlier time.

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
        into `output`; nothing has been run then.
    ConnectionError
        If the scheduler does not answer any more; what was finished is kept.
    """
    plan = plan_sweep(notebook, grid)
    check_number("timeout", timeout)
    output = Path(output or plan.output)
    with lock_folder(output), cluster or local_cluster() as (client, threads):
        environment = check_workers(client, plan.data)
        runs = plan.name_runs(environment)
        known = read_results(output)
        results = {run: known[run] for run in runs if run in known}
        if retry_failed:
            results = {run: result for run, result in results.items() if not result["error"]}
        todo = {run: values for run, values in runs.items() if run not in results}
        settings = {"expected": environment, "threads": threads, "timeout": timeout}
        with SweepBar(len(runs), results.values(), environment) as bar:
            for run, outcome in run_all(client, plan, todo, settings, bar):
                executed = outcome.pop("notebook")
                values = {k: v for k, v in runs[run].items() if k not in PLACES}
                about = {"run": run, "notebook": plan.name, "parameters": values}
                about["digits"] = environment["digits"]["text"]
                results[run] = about | outcome
                write_result(output, results[run], executed)
                bar.n, bar.failed = len(results), bar.failed + bool(outcome["error"])
    results = [results[run] for run in runs]
    write_csv(results, output / "runs.csv")
    return [result_row(result) for result in results]
