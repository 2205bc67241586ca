"""The plan of a sweep: a notebook and a grid that were checked, and the runs they ask for."""

import json
from dataclasses import dataclass
from pathlib import Path

import nbformat

from mnist_course.notebooks import find_notebooks, read_notebook
from mnist_course.parameters import read_parameters
from mnist_course.run import check_name, forget_earlier_run
from mnist_course.sweep.fingerprint import program_fingerprint, run_key
from mnist_course.sweep.grid import check_grid, count_runs, list_runs
from mnist_course.sweep.results import COLUMNS


@dataclass(frozen=True)
class Plan:
    """A notebook and a grid that were checked.

    Attributes
    ----------
    name : str
        The notebook's.
    notebook : nbformat.NotebookNode
        Without what an earlier run has left in it.
    defaults : dict of str to object
        The notebook's parameters.
    grids : list of dict
        As `check_grid` returns them.
    """

    name: str
    notebook: nbformat.NotebookNode
    defaults: dict
    grids: list

    @property
    def data(self):
        """Which digits all runs read, as `load_mnist` takes it."""
        values = self.grids[0].get("data", [self.defaults.get("data", "")])
        return values[0]

    @property
    def default_output(self):
        """The folder for the results when the user names none."""
        return Path("results", "sweep", self.name)

    def changed_parameters(self, parameters):
        """Return those of a run's parameters that do not have the notebook's default."""
        changed = {}
        for name, value in parameters.items():
            # As `run_key` tells values apart; to Python, 0.0 is -0.0, and 1 is True.
            if json.dumps(value) != json.dumps(self.defaults[name]):
                changed[name] = value
        return changed

    def count_runs(self):
        """Count the runs, without listing them."""
        return count_runs(self.grids)

    def list_runs(self, environment):
        """List the runs in the grid's order.

        Parameters
        ----------
        environment : dict
            As `describe_environment` returns it.

        Returns
        -------
        dict of str to dict
            All parameters of each run, by its `run_key`. Runs that are the same are listed once.
        """
        program = program_fingerprint(self.notebook, environment)
        runs = {}
        for given in list_runs(self.grids):
            parameters = {**self.defaults, **given}
            runs[run_key(program, parameters)] = parameters
        return runs


def plan_sweep(notebook, grid):
    """Read a notebook and check a grid against it; nothing is run and nothing written.

    Parameters
    ----------
    notebook : str or path-like
        As `find_notebooks` takes it.
    grid : dict of str to values, or list of such dicts
        As `check_grid` takes it.

    Returns
    -------
    Plan

    Raises
    ------
    ValueError, FileNotFoundError
        If the notebook or the grid is refused.
    """
    path = find_notebooks([notebook])[0]
    check_name(path)
    source = read_notebook(path)
    try:
        defaults = read_parameters(source)
        _check_columns(defaults or {})
        grids = check_grid(grid, defaults)
    except ValueError as error:
        raise ValueError(f"{path.stem}: {error}") from None
    forget_earlier_run(source)
    return Plan(path.stem, source, defaults, grids)


def _check_columns(defaults):
    taken = sorted(COLUMNS.intersection(defaults))
    if taken:
        raise ValueError(f"runs.csv has a column {taken[0]!r}: rename that parameter")
