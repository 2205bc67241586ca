"""The grid of a sweep: which values each parameter takes, all checked before anything runs."""

import itertools
import json
import math
import re

import yaml

from mnist_course.parameters import Yaml12, check_parameters, load_literal

_RANGE = re.compile(r"(-?\d+):(-?\d+)")
# So that a slip of the finger, such as 0:99999999999, fills no memory.
_MAX_RANGE = 1_000_000


def check_grid(grid, defaults):
    """Check a grid against a notebook's defaults.

    Parameters
    ----------
    grid : dict of str to values, or list of such dicts
        A list, tuple or range holds a parameter's values; a text is read by `parse_values`;
        anything else is one value. All combinations of a dict's values are run.
    defaults : dict of str to object, or None
        As `parameters.read_parameters` returns them.

    Returns
    -------
    list of dict
        The grids, where each parameter has a list of values in its own type.

    Raises
    ------
    ValueError
        If there is nothing to run, a name is unknown, a value has the wrong type, or there is more
        than one choice of `data`.

    Examples
    --------
    >>> check_grid({"seed": "0:3", "rate": [0.1, 1]}, {"seed": 7, "rate": 0.5})
    [{'seed': [0, 1, 2], 'rate': [0.1, 1.0]}]
    """
    if defaults is None:
        raise ValueError("no cell is tagged `parameters`, so there is nothing to sweep over")
    grids = [grid] if isinstance(grid, dict) else list(grid)
    if not grids or not all(isinstance(part, dict) and part for part in grids):
        raise ValueError("the grid is empty: name at least one parameter and its values")
    checked = []
    for part in grids:
        values = {name: _check_values(name, part[name], defaults) for name in part}
        checked.append(values)
    _check_one_dataset(checked, defaults)
    return checked


def _check_values(name, values, defaults):
    """Return the values of one parameter as a list, each in the parameter's type."""
    if name == "results_dir":
        raise ValueError("results_dir cannot be set in a sweep: each run gets a folder of its own")
    if isinstance(values, str):
        # The name comes first: how a text is read depends on the parameter's default.
        check_parameters({name: defaults.get(name)}, defaults)
        values = parse_values(name, values, defaults[name])
    elif not isinstance(values, list | tuple | range):
        values = [values]
    if not values:
        raise ValueError(f"{name} has no values: the grid is empty")
    return [check_parameters({name: value}, defaults)[name] for value in values]


def _check_one_dataset(grids, defaults):
    choices = set()
    for grid in grids:
        values = grid.get("data", [defaults.get("data")])
        choices.update(json.dumps(value) for value in values)
    if len(choices) > 1:
        raise ValueError(
            "a sweep compares runs on the same digits, so `data` can have one value only; "
            f"received {', '.join(sorted(choices))}"
        )


def parse_values(name, text, default):
    """Read the values of a parameter from a command line's text.

    Parameters
    ----------
    name : str
        The parameter's name, for error messages.
    text : str
        Values separated by commas. A value that is a list stands in brackets, a text with a comma
        in quotes. Where `default` is an int, ``0:5`` stands for 0, 1, 2, 3, 4.
    default : object
        The parameter's default. If it is a text, so are all values.

    Returns
    -------
    list
        Values whose types have not been checked yet.

    Raises
    ------
    ValueError
        If the text cannot be read, or a range is longer than a million values.

    Examples
    --------
    >>> parse_values("seed", "1,5:8", 7)
    [1, 5, 6, 7]
    >>> parse_values("units", "[16,32],[8]", [512, 512])
    [[16, 32], [8]]
    """
    values = []
    for item in _read_items(name, text, default):
        # isinstance would not do: True is an int to Python, and a switch has no ranges.
        match = _RANGE.fullmatch(str(item)) if type(default) is int else None
        if match is None:
            values.append(item)
            continue
        start = int(match[1])
        stop = int(match[2])
        if stop - start > _MAX_RANGE:
            raise ValueError(f"{name}={text} has more than {_MAX_RANGE:,} values")
        values += range(start, stop)
    return values


def _read_items(name, text, default):
    """Read what the commas of a text separate."""
    try:
        # A parameter that is text keeps what was typed, though it may look like a number.
        if isinstance(default, str):
            return yaml.load(f"[{text}]", yaml.BaseLoader)
        return load_literal(f"[{text}]")
    except (yaml.YAMLError, ValueError):
        raise ValueError(f"{name}={text} cannot be read: put texts into quotes") from None


def read_grid(path):
    """Read a grid from a YAML file.

    Parameters
    ----------
    path : str or path-like
        A file with a mapping of names to values, or a list of such mappings.

    Returns
    -------
    list of dict
        The grids, not checked yet.

    Raises
    ------
    ValueError, OSError
        If the file holds no grid, or cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            grid = yaml.load(file, Yaml12)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be read: {reason}") from None
    grids = grid if isinstance(grid, list) else [grid]
    if not all(_has_names(part) for part in grids):
        raise ValueError(f"{path} must hold `name: [value, value]` lines, or a list of such grids")
    return grids


def _has_names(part):
    return isinstance(part, dict) and all(isinstance(name, str) for name in part)


def merge_grids(grids, more):
    """Add parameters to each of several grids.

    Parameters
    ----------
    grids : list of dict
    more : dict of str to values

    Returns
    -------
    list of dict

    Raises
    ------
    ValueError
        If one name is both in a grid and in `more`.

    Examples
    --------
    >>> merge_grids([{"seed": 1}, {"rate": 0.1}], {"epochs": 2})
    [{'seed': 1, 'epochs': 2}, {'rate': 0.1, 'epochs': 2}]
    """
    for grid in grids:
        for name in grid:
            if name in more:
                raise ValueError(f"{name} is in the grid file and given as well: name it once")
    return [{**grid, **more} for grid in grids]


def count_runs(grids):
    """Count the runs of checked grids, without listing them.

    Parameters
    ----------
    grids : list of dict
        As `check_grid` returns them.

    Returns
    -------
    int

    Examples
    --------
    >>> count_runs([{"seed": [0, 1, 2], "rate": [0.1, 1.0]}, {"seed": [9]}])
    7
    """
    return sum(math.prod(len(values) for values in grid.values()) for grid in grids)


def list_runs(grids):
    """List the runs of checked grids; the last name's values change fastest.

    Parameters
    ----------
    grids : list of dict
        As `check_grid` returns them.

    Yields
    ------
    dict of str to object
        The parameters of one run.

    Examples
    --------
    >>> for parameters in list_runs([{"seed": [0, 1], "rate": [0.5]}]):
    ...     print(parameters)
    {'seed': 0, 'rate': 0.5}
    {'seed': 1, 'rate': 0.5}
    """
    for grid in grids:
        for values in itertools.product(*grid.values()):
            yield dict(zip(grid, values, strict=True))
