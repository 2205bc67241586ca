"""The grid of a sweep: which values each parameter takes, all checked before anything runs."""

import itertools
import json
import math
import re
import threading

from mnist_course.errors import reason_of
from mnist_course.parameters import (
    MAX_CHARACTERS,
    MAX_DIGITS,
    Yaml12,
    YamlTexts,
    check_parameters,
    load_yaml,
    quote,
    quote_text,
)

# Python reads no int of more than some thousands of digits.
_RANGE = re.compile(rf"(-?\d{{1,{MAX_DIGITS}}}):(-?\d{{1,{MAX_DIGITS}}})")
# The values of all grids together: a slip of the finger, such as 0:99999999999, fills no memory.
_MAX_VALUES = 1_000_000
# The runs of a sweep, whoever allows them: with a second for each, a million take twelve days.
_MAX_RUNS = 1_000_000
# How long a grid file may take to come: `--params <(program)` is a pipe, and may stay empty.
_READ_SECONDS = 60


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
        If there is nothing to run, a name is unknown, a value has the wrong type, there are more
        than a million values or runs, or there is more than one choice of `data`.

    Examples
    --------
    >>> check_grid({"seed": "0:3", "rate": [0.1, 1]}, {"seed": 7, "rate": 0.5})
    [{'seed': [0, 1, 2], 'rate': [0.1, 1.0]}]
    """
    if defaults is None:
        raise ValueError("no cell is tagged `parameters`, so there is nothing to sweep over")
    checked = []
    n_values = 0
    for part in _list_grids(grid):
        grid_values = {}
        for name in part:
            values = _list_values(name, part[name], defaults)
            n_values += len(values)
            if n_values > _MAX_VALUES:
                raise ValueError(_too_many(_MAX_VALUES, "values"))
            grid_values[name] = [check_parameters({name: x}, defaults)[name] for x in values]
        checked.append(grid_values)
    if count_runs(checked) > _MAX_RUNS:
        raise ValueError(_too_many(_MAX_RUNS, "runs"))
    _check_one_dataset(checked, defaults)
    return checked


def _list_grids(grid):
    """Return a list of dicts, each of which names a parameter."""
    grids = grid
    if isinstance(grid, dict):
        grids = [grid]
    if not isinstance(grids, list | tuple):
        raise ValueError(f"a grid is a dict or a list of dicts; received {quote(grid)}")
    if not grids or not all(isinstance(part, dict) and part for part in grids):
        raise ValueError("the grid is empty: name at least one parameter and its values")
    return grids


def _too_many(limit, things):
    return f"the grid has more than {limit:,} {things}: split it into several sweeps"


def _list_values(name, values, defaults):
    """Return the values of one parameter as a list; their types have not been checked yet."""
    if name == "results_dir":
        raise ValueError("results_dir cannot be set in a sweep: each run gets a folder of its own")
    if isinstance(values, str):
        # The name comes first: how a text is read depends on the parameter's default.
        check_parameters({name: defaults.get(name)}, defaults)
        values = parse_values(name, values, defaults[name])
    elif isinstance(values, range):
        # Python cannot tell the length of the longest ranges.
        values = values[: _MAX_VALUES + 1]
    elif not isinstance(values, list | tuple):
        values = [values]
    if not values:
        raise ValueError(f"{name} has no values: the grid is empty")
    if len(values) > _MAX_VALUES:
        raise ValueError(f"{quote(name)} has more than {_MAX_VALUES:,} values")
    return values


def _check_one_dataset(grids, defaults):
    choices = set()
    for grid in grids:
        values = grid.get("data", [defaults.get("data")])
        choices.update(json.dumps(value) for value in values)
    if len(choices) > 1:
        raise ValueError(
            "a sweep compares runs on the same digits, so `data` can have one value only; "
            f"received {quote_text(', '.join(sorted(choices)))}"
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
        If the text cannot be read, or there are more than a million values.

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
        if stop <= start:
            raise ValueError(
                f"{_assignment(name, text)}: there is no number in {item}; 3:5 stands for 3 and 4"
            )
        if len(values) + stop - start > _MAX_VALUES:
            raise ValueError(f"{_assignment(name, text)} has more than {_MAX_VALUES:,} values")
        values += range(start, stop)
    return values


def _read_items(name, text, default):
    """Read what the commas of a text separate."""
    # A parameter that is text keeps what was typed, though it may look like a number.
    loader = Yaml12
    if isinstance(default, str):
        loader = YamlTexts
    try:
        return load_yaml(f"[{text}]", loader)
    except ValueError as error:
        raise ValueError(
            f"{_assignment(name, text)} cannot be read: put texts into quotes ({error})"
        ) from None


def _assignment(name, text):
    return quote_text(f"{name}={text}")


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
        grid = load_yaml(_read_file(path))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"there is no file {quote(str(path))}: --params takes the name of a YAML file with a "
            "grid (--set name=values needs none)"
        ) from None
    except TimeoutError:
        raise
    except (ValueError, OSError) as error:
        # Among them that of a path with a NUL.
        raise ValueError(f"{quote_text(str(path))} cannot be read: {reason_of(error)}") from None
    grids = grid if isinstance(grid, list) else [grid]
    if not all(_has_names(part) for part in grids):
        raise ValueError(
            f"{quote_text(str(path))} must hold `name: [value, value]` lines, "
            "or a list of such grids"
        )
    return grids


def _read_file(path):
    """Return the bytes of a file, a few more than `load_yaml` takes at most.

    A thread reads them, which is left behind when nothing comes: opening a pipe to which nobody
    writes takes for ever.
    """
    outcome = []
    place = quote_text(str(path))

    def read():
        try:
            with open(path, "rb") as file:
                outcome.append(file.read(MAX_CHARACTERS + 1))
        except Exception as error:
            outcome.append(error)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(_READ_SECONDS)
    if not outcome:
        raise TimeoutError(f"{place}: nothing came within {_READ_SECONDS} seconds")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


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
