"""The folder of a sweep: the result of each run, written whole or not at all, and tables of them.

A result is a dict: `run` (its `fingerprint.run_key`), `notebook` (a name), `parameters`, `digits`
(which, in words), `seconds`, `record` (as `record.record_run` wrote it, or None), and `cell` and
`error` (both None, if the run was good). Where the run's kernel did not even start, for a reason
that is the machine's and not the run's, `started` is False.
"""

import csv
import json
import math
import os
import statistics
import sys
import tempfile
from pathlib import Path

from mnist_course.errors import reason_of
from mnist_course.files import describe_os_error, has_mark
from mnist_course.terminal import one_line
from mnist_helpers.foreign_files import open_plain
from mnist_helpers.record import format_metrics, validate_record
from mnist_helpers.saving import atomic_write
from mnist_helpers.tables import group_rows

# The metric by which settings are sorted. Test digits are left out of a table that has it.
CHOOSE_BY = "val_accuracy"
_VERSIONS = ("keras", "backend", "backend_version")
# The columns of runs.csv beside parameters and metrics.
COLUMNS = {"run", "result", "program", "seconds", "digits", *_VERSIONS, "cell", "error"}
# The parts of a result and their types. Others may stand beside them.
_TEXT_OR_NONE = (str, type(None))
_TYPES = {
    "run": str,
    "notebook": str,
    "parameters": dict,
    "digits": str,
    "seconds": (int, float),
    "record": (dict, type(None)),
    "cell": _TEXT_OR_NONE,
    "error": _TEXT_OR_NONE,
}
# What a result may be, for a stranger's must not fill the memory. Those of this course's notebooks
# have 2 to 4 kilobytes, some 70 values and 4 levels; a metric for each of 100 epochs fits, too.
_MAX_RESULT_BYTES = 1_000_000
_MAX_VALUES = 5_000
_MAX_LEVELS = 20
# A table has as many cells as rows times columns.
_MAX_COLUMNS = 1_000
# A record, which a kernel may fill with anything, may not fill the memory together with others
# either. Results of this size are those of 50,000 runs, and take 1 GB.
_MAX_BYTES_TOGETHER = 200_000_000
# Runs write at most 500 characters of a failure, and less in the other texts.
_MAX_TEXT = 1_000
_TEXTS = ("notebook", "digits", "cell", "error")
TABLE = "runs.csv"
# How each table begins.
_TABLE_MARK = b"run,result,"
_UNREADABLE = ".unreadable"
_MISSING = "missing"
# What begins so is a formula to a spreadsheet, and may come from a stranger's record.
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def check_folder(folder):
    """Check that results can be written into a sweep's folder, before anything is run.

    A table there that no sweep has written is not replaced.

    Parameters
    ----------
    folder : str or path-like

    Raises
    ------
    OSError
    """
    _refuse_strange_table(Path(folder, TABLE))
    runs = Path(folder, "runs")
    try:
        runs.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=runs):
            pass
    except OSError as error:
        raise OSError(
            f"no results can be written into {runs} ({reason_of(error)}): make way, or name "
            "another folder for them"
        ) from None


def _refuse_strange_table(path):
    if path.is_file() and not has_mark(path, _TABLE_MARK):
        raise FileExistsError(
            f"{path} was not written by a sweep, and would be replaced: move it, or rename it"
        )


def is_finished(result):
    """Tell whether a run need not be done again.

    A run that began and failed is finished: it would fail again. One whose kernel did not start,
    whose worker was killed, or whose worker's disk was full has failed by the machine's fault.

    Parameters
    ----------
    result : dict
        See this module.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_finished({"error": "ValueError: no"})
    True
    >>> is_finished({"error": "the kernel did not start", "started": False})
    False
    """
    return result.get("started", True)


def write_result(folder, result, executed):
    """Write what a run leaves behind: its notebook first, then ``runs/<run>.json``.

    The run is finished once the latter is there.

    Parameters
    ----------
    folder : str or path-like
        The sweep's.
    result : dict
        See this module.
    executed : str or None
        The executed notebook's text, if there is one.

    Raises
    ------
    OSError
        If a file cannot be written, as on a full disk.
    """
    runs = Path(folder, "runs")
    try:
        if executed is not None:
            _write_text(runs / f"{result['run']}.ipynb", executed)
        _write_text(runs / f"{result['run']}.json", json.dumps(result))
    except OSError as error:
        raise OSError(
            f"{describe_os_error(folder, error)}. What was finished before is kept: the same "
            "command then goes on where this one stopped"
        ) from None


def _write_text(path, text):
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


def read_results(folder, *, set_aside=False):
    """Read the result of each finished run.

    A file that holds no result is named in a line on standard error and left out; so is one with
    which the table would have too many columns.

    Parameters
    ----------
    folder : str or path-like
        The sweep's; it need not exist.
    set_aside : bool
        Whether to give such a file another name, too, so that its run is done again and the file
        can be looked at. Only who has locked the folder may ask for it.

    Returns
    -------
    dict of str to dict
        The results by run, sorted; see this module.

    Raises
    ------
    OSError
        If the folder is there and cannot be listed.
    ValueError
        If all results together would fill the memory.
    """
    runs = Path(folder, "runs")
    results = {}
    n_bytes = 0
    columns = set()
    for path in sorted(_list_folder(runs)):
        if path.suffix != ".json":
            continue
        try:
            result = read_result(path)
            columns = _add_columns_of(result, columns)
            results[path.stem] = result
            n_bytes += path.stat().st_size
        except (ValueError, OSError) as error:
            end = _set_aside(path) if set_aside else "it is left out"
            place = one_line(str(path))
            print(f"{place} holds no result ({reason_of(error)}): {end}", file=sys.stderr)
        if n_bytes > _MAX_BYTES_TOGETHER:
            raise ValueError(
                f"the results in {runs} have more than {_MAX_BYTES_TOGETHER:,} bytes together: "
                "move some of them to another folder's runs/"
            )
    return results


def _add_columns_of(result, columns):
    """Return the columns of a table with one result more, or raise a ValueError."""
    together = columns.union(result_row(result))
    if len(together) > _MAX_COLUMNS:
        raise ValueError(f"with its names, the table has more than {_MAX_COLUMNS:,} columns")
    return together


def _list_folder(folder):
    # Path.glob would take a folder that may not be listed for an empty one.
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def read_result(path):
    """Read the result of one run.

    Parameters
    ----------
    path : pathlib.Path
        A file ``runs/<run>.json``.

    Returns
    -------
    dict
        See this module.

    Raises
    ------
    ValueError, OSError
        If it cannot be read, or if its content is no result or that of another run.
    """
    with open_plain(path) as file:
        content = file.read(_MAX_RESULT_BYTES + 1)
    if len(content) > _MAX_RESULT_BYTES:
        raise ValueError(f"it has more than {_MAX_RESULT_BYTES:,} bytes")
    try:
        result = json.loads(content, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("its brackets are nested too deep") from None
    check_result(result)
    if result["run"] != path.stem:
        raise ValueError(f"it is of the run {result['run']!r}")
    return result


def _refuse_constant(text):
    raise ValueError(f"{text} is no number")


def check_result(result):
    """Check that this is a result of a usual size, whose numbers can be put into tables.

    Parameters
    ----------
    result : object

    Raises
    ------
    ValueError
        Saying what is wrong.

    Examples
    --------
    >>> check_result({"run": 1})
    Traceback (most recent call last):
    ValueError: `notebook` is missing
    """
    if not isinstance(result, dict):
        raise ValueError(f"a result is a JSON object; received {type(result).__name__}")
    _check_extent(result)
    missing = [name for name in _TYPES if name not in result]
    if missing:
        raise ValueError(f"`{missing[0]}` is missing")
    for name, types in _TYPES.items():
        # True is an int to Python, but no number of seconds.
        if not isinstance(result[name], types) or isinstance(result[name], bool):
            raise ValueError(f"`{name}` has the wrong type: {type(result[name]).__name__}")
    for name in _TEXTS:
        if len(result[name] or "") > _MAX_TEXT:
            raise ValueError(f"`{name}` has more than {_MAX_TEXT:,} characters")
    if not isinstance(result.get("started", True), bool):
        raise ValueError("`started` must be true or false")
    _check_numbers({"seconds": result["seconds"]})
    record = result["record"]
    if record is not None:
        validate_record(record)
        _check_numbers(record["metrics"])
        _check_numbers(record["seconds"])
    if result["error"] is None and record is None:
        raise ValueError("a good run has a record; this one has none")
    if result["error"] == "":
        raise ValueError("`error` is empty")


def _check_extent(result):
    """Check how many values lie in a result, how deep, and how long they are as text."""
    level = [result]
    n_values = 0
    n_levels = 0
    while level:
        n_levels += 1
        if n_levels > _MAX_LEVELS:
            raise ValueError("its brackets are nested too deep")
        below = []
        for value in level:
            if isinstance(value, dict):
                below += value.values()
            elif isinstance(value, list):
                below += value
        n_values += len(below)
        if n_values > _MAX_VALUES:
            raise ValueError(f"it holds more than {_MAX_VALUES:,} values")
        level = below
    if len(json.dumps(result)) > _MAX_RESULT_BYTES:
        raise ValueError(f"it has more than {_MAX_RESULT_BYTES:,} bytes")


def _check_numbers(numbers):
    """Check that each number, if it is known, is one that a mean can be taken of."""
    for name, number in numbers.items():
        if number is None:
            continue
        try:
            is_finite = math.isfinite(number)
        except OverflowError:
            raise ValueError(f"{name} is too large a number") from None
        if not is_finite:
            raise ValueError(f"{name} is no finite number")


def _set_aside(path):
    """Give a file a name under which no result is looked for; say in words what became of it."""
    target = path.with_name(path.name + _UNREADABLE)
    number = 1
    # Nothing is ever replaced: it may be the only trace of what went wrong.
    while os.path.lexists(target):
        number += 1
        target = path.with_name(f"{path.name}{_UNREADABLE}-{number}")
    try:
        path.rename(target)
    except OSError as error:
        return f"its run is done again, but it could not be renamed ({reason_of(error)})"
    return f"it is now {one_line(target.name)}, and its run is done again"


def result_row(result):
    """Lay out a result as one row of a table.

    Parameters
    ----------
    result : dict
        See this module.

    Returns
    -------
    dict
        `run`, `result` ("good" or "failed"), the parameters, the metrics, the recorded seconds,
        `seconds`, `digits`, the versions, `cell` and `error`. A metric whose name is taken is
        called ``NAME_metric``.
    """
    record = result["record"] or {"metrics": {}, "seconds": {}, "versions": {}}
    row = {
        "run": result["run"],
        "result": "failed" if result["error"] else "good",
        **result["parameters"],
    }
    _add_columns(row, record["metrics"], "_metric")
    seconds = {f"{name}_seconds": value for name, value in record["seconds"].items()}
    _add_columns(row, seconds, "_recorded")
    versions = {name: record["versions"].get(name) for name in _VERSIONS}
    row |= {
        "seconds": result["seconds"],
        "digits": result["digits"],
        **versions,
        "cell": result["cell"],
        "error": result["error"],
    }
    return row


def _add_columns(row, values, suffix):
    """Add values to a row; a name that is taken gets a suffix, so that nothing is replaced."""
    for name, value in values.items():
        column = name
        while column in row or column in COLUMNS:
            column += suffix
        row[column] = value


def write_csv(results, path):
    """Write a table with a row for each result.

    Parameters
    ----------
    results : iterable of dict
        See this module.
    path : str or path-like
        The CSV file.

    Raises
    ------
    OSError
        If it cannot be written, as where a folder or somebody's own file has its name.
    """
    _refuse_strange_table(Path(path))
    rows = [result_row(_with_nan(result)) for result in results]
    try:
        with atomic_write(path) as part:
            _write_rows(part, rows)
    except OSError as error:
        raise OSError(
            f"{path} cannot be written ({reason_of(error)}). All results are kept in runs/ beside "
            f"it: make way, then give the command mnist-course collect {Path(path).parent}"
        ) from None


def _with_nan(result):
    """Return a result with NaN for each metric that is not finite, unlike one not recorded."""
    if result["record"] is None:
        return result
    metrics = {}
    for name, value in result["record"]["metrics"].items():
        metrics[name] = math.nan if value is None else value
    return {**result, "record": {**result["record"], "metrics": metrics}}


def _write_rows(path, rows):
    # An error's text can hold what UTF-8 has no sign for, such as half of a pair of surrogates.
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        names = _unique_names(rows)
        csv.writer(file).writerow([_to_cell(name) for name in names])
        table = csv.DictWriter(file, names)
        for row in rows:
            table.writerow(to_csv_row(row))


def to_csv_row(row):
    """Turn a row's values into texts.

    Parameters
    ----------
    row : dict

    Returns
    -------
    dict of str to str
        Text stays, None is empty, and all else is written as JSON. Text that a spreadsheet would
        take for a formula gets an apostrophe before it.

    Examples
    --------
    >>> to_csv_row({"name": "x", "units": [16, 32], "flag": True, "error": None})
    {'name': 'x', 'units': '[16, 32]', 'flag': 'true', 'error': ''}
    """
    texts = {}
    for name, value in row.items():
        texts[name] = "" if value is None else _to_cell(value)
    return texts


def _to_cell(value):
    if isinstance(value, str) and value.startswith(_FORMULA_SIGNS):
        return f"'{value}"
    return _to_text(value)


def _to_text(value):
    return value if isinstance(value, str) else json.dumps(value)


def summary_table(results):
    """Summarize the good results: a row for each setting, over its seeds.

    Rows are sorted by the mean validation accuracy, the highest first. A table with validation
    accuracies leaves out what was measured on test digits, by which nothing should be chosen.

    Parameters
    ----------
    results : iterable of dict
        See this module.

    Returns
    -------
    list of list of str
        The first row has the columns' names.
    """
    good = [result for result in results if result["error"] is None]
    varied = varied_parameters([_setting(result) for result in good])
    metrics = _metrics_to_show(good)
    groups = _group_by_setting(good)
    if CHOOSE_BY in metrics:
        # Groups with the same mean keep their order, in reverse too.
        groups.sort(key=_mean_choose_by, reverse=True)
    shown = [f"{name} metric" if name in varied else name for name in metrics]
    names = [*varied, "runs", *shown, "seconds"]
    table = [[name.replace("_", " ") for name in names]]
    for group in groups:
        table.append(_summary_row(group, varied, metrics))
    return table


def varied_parameters(settings):
    """Find the parameters that were varied.

    Parameters
    ----------
    settings : list of dict

    Returns
    -------
    list of str
        The names, in their order, whose values differ; a missing value counts as None.

    Examples
    --------
    >>> varied_parameters([{"seed": 1, "rate": 0.5}, {"seed": 2, "rate": 0.5}])
    ['seed']
    """
    varied = []
    for name in _unique_names(settings):
        # As JSON, lists can stand in a set too, and 1 is neither 1.0 nor true.
        values = {json.dumps(setting.get(name)) for setting in settings}
        if len(values) > 1:
            varied.append(name)
    return varied


def _unique_names(dicts):
    """Return the names in some dicts, each once, in the order in which they first occur."""
    names = {}
    for one in dicts:
        names.update(dict.fromkeys(one))
    return list(names)


def _setting(result):
    """Return all that tells a run from others, except its seed."""
    setting = {
        **result["parameters"],
        "digits": result["digits"],
        "program": result["run"].partition("-")[0],
    }
    setting.pop("seed", None)
    return setting


def _group_by_setting(results):
    """Return a list of results for each setting."""
    rows = []
    for result in results:
        # Lists, of which a setting may have some, cannot be the key of a group, but text can.
        setting = json.dumps(_setting(result), sort_keys=True)
        rows.append({"setting": setting, "result": result})
    groups = []
    for group in group_rows(rows, "setting").values():
        groups.append([row["result"] for row in group])
    return groups


def _metrics_to_show(results):
    """Return the names of the metrics, in the order of their columns."""
    names = _unique_names([result["record"]["metrics"] for result in results])
    if CHOOSE_BY not in names:
        return names
    shown = [CHOOSE_BY]
    for name in names:
        if name != CHOOSE_BY and not name.startswith("test_"):
            shown.append(name)
    return shown


def _numbers(group, metric):
    """Return a metric's numbers: None for one that is not finite, `_MISSING` for none at all."""
    return [result["record"]["metrics"].get(metric, _MISSING) for result in group]


def _mean_choose_by(group):
    """Return a group's mean, or minus infinity if a number is missing or not finite."""
    numbers = _numbers(group, CHOOSE_BY)
    if None in numbers or _MISSING in numbers:
        return -math.inf
    return statistics.mean(numbers)


def _summary_row(group, varied, metrics):
    setting = _setting(group[0])
    values = [_to_text(setting.get(name)) for name in varied]
    spreads = [_format_spread(_numbers(group, metric)) for metric in metrics]
    seconds = statistics.mean(result["seconds"] for result in group)
    return [*values, str(len(group)), *spreads, f"{seconds:.1f}"]


def _format_spread(numbers):
    """Write the mean, the lowest and the highest of some numbers; only one if all are the same."""
    n_missing = numbers.count(_MISSING)
    if n_missing == len(numbers):
        return "not recorded"
    if n_missing:
        return f"not recorded by {n_missing} of {len(numbers)}"
    if None in numbers:
        return "not finite"
    low = _format_number(min(numbers))
    high = _format_number(max(numbers))
    if low == high:
        return low
    mean = _format_number(statistics.mean(numbers))
    return f"{mean} ({low} to {high})"


def _format_number(number):
    """Write a number as it stands in a record."""
    _, text = format_metrics({"": number})[0]
    return text
