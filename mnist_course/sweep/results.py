"""The folder of a sweep: the result of each run, written whole or not at all, and tables of them.

A result is a dict: `run` (its `fingerprint.run_key`), `notebook` (a name), `parameters`, `digits`
(which, in words), `seconds`, `record` (as `record.record_run` wrote it, or None), and `cell` and
`error` (both None, if the run was good).
"""

import csv
import json
import math
import statistics
from pathlib import Path

from mnist_helpers.record import format_metrics
from mnist_helpers.saving import atomic_write
from mnist_helpers.tables import group_rows

# The metric by which settings are sorted. Test digits are left out of a table that has it.
CHOOSE_BY = "val_accuracy"
_VERSIONS = ("keras", "backend", "backend_version")
# The columns of runs.csv beside parameters and metrics.
COLUMNS = {"run", "result", "program", "seconds", "digits", *_VERSIONS, "cell", "error"}


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
            f"{error}. What was finished before is kept: make room, then give the same command "
            "again, which goes on where this one stopped"
        ) from None


def _write_text(path, text):
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


def read_results(folder):
    """Read the result of each finished run.

    Parameters
    ----------
    folder : str or path-like
        The sweep's; it need not exist.

    Returns
    -------
    dict of str to dict
        The results by run, sorted; see this module.
    """
    results = {}
    for path in sorted(Path(folder, "runs").glob("*.json")):
        results[path.stem] = json.loads(path.read_text(encoding="utf-8"))
    return results


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
        `seconds`, `digits`, the versions, `cell` and `error`.
    """
    record = result["record"] or {"metrics": {}, "seconds": {}, "versions": {}}
    seconds = {f"{name}_seconds": value for name, value in record["seconds"].items()}
    versions = {name: record["versions"].get(name) for name in _VERSIONS}
    return {
        "run": result["run"],
        "result": "failed" if result["error"] else "good",
        **result["parameters"],
        **record["metrics"],
        **seconds,
        "seconds": result["seconds"],
        "digits": result["digits"],
        **versions,
        "cell": result["cell"],
        "error": result["error"],
    }


def write_csv(results, path):
    """Write a table with a row for each result.

    Parameters
    ----------
    results : iterable of dict
        See this module.
    path : str or path-like
        The CSV file.
    """
    rows = [result_row(result) for result in results]
    with atomic_write(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, _unique_names(rows))
        table.writeheader()
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
        Text stays, None is empty, and all else is written as JSON.

    Examples
    --------
    >>> to_csv_row({"name": "x", "units": [16, 32], "flag": True, "error": None})
    {'name': 'x', 'units': '[16, 32]', 'flag': 'true', 'error': ''}
    """
    texts = {}
    for name, value in row.items():
        texts[name] = "" if value is None else _to_text(value)
    return texts


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
    names = [*varied, "runs", *metrics, "seconds"]
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
    return [result["record"]["metrics"].get(metric) for result in group]


def _mean_choose_by(group):
    """Return a group's mean, or minus infinity if a number is missing or not finite."""
    numbers = _numbers(group, CHOOSE_BY)
    if None in numbers:
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
