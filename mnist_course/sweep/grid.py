"""The grid of a sweep: which values each parameter takes, all checked before anything runs."""

import itertools
import json
import math
import re

import yaml

from mnist_course.parameters import Yaml12, check_parameters, load_literal

_RANGE = r"(-?\d+):(-?\d+)"
_MOST_VALUES = 1_000_000


def check_grid(grid, defaults):
    """Check a grid against a notebook's defaults, as `parameters.read_parameters` returns them.

    `grid` is a dict of names and values, or a list of such dicts. A list or range holds a
    parameter's values, a text is read by `parse_values`, anything else is one value; of each dict
    all combinations are run. Returns the list of dicts with each value in its parameter's type.

    Raises a ValueError if there is nothing to run, a name is unknown, a value has the wrong type,
    or there is more than one choice of `data`.
    """
    grids = [grid] if isinstance(grid, dict) else list(grid)
    if defaults is None:
        raise ValueError("no cell is tagged `parameters`, so there is nothing to sweep over")
    if not grids or not all(isinstance(part, dict) and part for part in grids):
        raise ValueError("the grid is empty: name at least one parameter and its values")
    checked = [
        {name: _check_values(name, values, defaults) for name, values in part.items()}
        for part in grids
    ]
    choices = [part.get("data", [defaults.get("data")]) for part in checked]
    chosen = {json.dumps(value) for values in choices for value in values}
    if len(chosen) > 1:
        raise ValueError(
            "a sweep compares runs on the same digits, so `data` can have one value only; "
            f"received {', '.join(sorted(chosen))}"
        )
    return checked


def merge_grids(grids, more):
    """Add the dict `more` to each of the grids; a name that is in both is a ValueError."""
    twice = [name for grid in grids for name in grid if name in more]
    if twice:
        raise ValueError(f"{twice[0]} is in the grid file and given as well: name it once")
    return [{**grid, **more} for grid in grids]


def read_grid(path):
    """Read a YAML file: a mapping of names to values, or a list of such mappings."""
    try:
        with open(path, encoding="utf-8") as file:
            grid = yaml.load(file, Yaml12)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    grids = grid if isinstance(grid, list) else [grid]
    if not all(isinstance(part, dict) and all(isinstance(k, str) for k in part) for part in grids):
        raise ValueError(f"{path} must hold `name: [value, value]` lines, or a list of such grids")
    return grids


def parse_values(name, text, default):
    """Read the values of a parameter from a command line's text, as a list.

    Values are parted by commas; one that is a list stands in brackets, a text with a comma in
    quotes. Where `default` is an int, ``0:5`` stands for 0, 1, 2, 3, 4.
    """
    # A parameter that is text keeps what was typed, though it may look like a number.
    try:
        typed = isinstance(default, str)
        items = yaml.load(f"[{text}]", yaml.BaseLoader) if typed else load_literal(f"[{text}]")
    except (yaml.YAMLError, ValueError):
        raise ValueError(f"{name}={text} cannot be read: put texts into quotes") from None
    steps = [type(default) is int and re.fullmatch(_RANGE, str(item)) for item in items]
    parts = [
        range(*map(int, step.groups())) if step else [item]
        for step, item in zip(steps, items, strict=True)
    ]
    if any(part[:_MOST_VALUES] != part for part in parts):
        raise ValueError(f"{name}={text} has more than {_MOST_VALUES:,} values")
    return list(itertools.chain(*parts))


def count_runs(grids):
    """Count the runs of a checked grid, without listing them."""
    return sum(math.prod(len(values) for values in grid.values()) for grid in grids)


def list_runs(grids):
    """Yield the parameters of each run of a checked grid, the last name changing fastest."""
    for grid in grids:
        for values in itertools.product(*grid.values()):
            yield dict(zip(grid, values, strict=True))


def _check_values(name, values, defaults):
    if name == "results_dir":
        raise ValueError("results_dir cannot be set in a sweep: each run gets a folder of its own")
    if isinstance(values, str):
        check_parameters({name: defaults.get(name)}, defaults)  # the name first
        values = parse_values(name, values, defaults[name])
    elif not isinstance(values, list | tuple | range):
        values = [values]
    if not values:
        raise ValueError(f"{name} has no values: the grid is empty")
    return [check_parameters({name: value}, defaults)[name] for value in values]
