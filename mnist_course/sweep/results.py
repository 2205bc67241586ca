"""The folder of a sweep: what became of each run, written whole or not at all, and tables of it."""

import csv
import json
import math
import statistics
from contextlib import contextmanager
from pathlib import Path

from mnist_helpers.record import format_metrics
from mnist_helpers.saving import atomic_write

CHOOSE_BY = "val_accuracy"
_VERSIONS = ("keras", "backend", "backend_version")
COLUMNS = {"run", "result", "program", "seconds", "digits", *_VERSIONS, "cell", "error"}


@contextmanager
def lock_folder(folder):
    """Keep a folder for one sweep; a second one gets a RuntimeError as long as the block runs."""
    import filelock

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # The system frees it when the process ends, in whatever way.
        with filelock.FileLock(folder / ".lock", blocking=False):
            yield
    except filelock.Timeout:
        raise RuntimeError(
            f"another sweep is writing into {folder}: wait, or name another"
        ) from None


def write_result(folder, result, executed):
    """Write the executed notebook, if any, then ``runs/<run>.json``: with it the run is finished.

    `result` is as `read_results` returns it. Raises an OSError if a file cannot be written, as on
    a full disk.
    """
    try:
        for suffix, text in ((".ipynb", executed), (".json", json.dumps(result))):
            if text is not None:
                with atomic_write(Path(folder, "runs", result["run"] + suffix)) as part:
                    part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OSError(
            f"{error}. What was finished before is kept: make room, then give the same command "
            "again, which goes on where this one stopped"
        ) from None


def read_results(folder):
    """Read the result of each finished run in a sweep's folder, by run.

    A result is a dict: run, notebook (its name), parameters, digits (which, in words), error and
    cell (None, if the run was good), seconds, and record (`record.record_run` wrote it, or None).
    """
    paths = sorted((Path(folder) / "runs").glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def result_row(result):
    """Lay a result out as one row: run, result, parameters, metrics, seconds, versions, error."""
    record = result["record"] or {"metrics": {}, "seconds": {}, "versions": {}}
    row = {"run": result["run"], "result": "failed" if result["error"] else "good"}
    row |= result["parameters"] | record["metrics"]
    row |= {f"{name}_seconds": value for name, value in record["seconds"].items()}
    row |= {"seconds": result["seconds"], "digits": result["digits"]}
    row |= {name: record["versions"].get(name) for name in _VERSIONS}
    return row | {"cell": result["cell"], "error": result["error"]}


def write_csv(results, path):
    """Write a table with a line for each result."""
    rows = [result_row(result) for result in results]
    names = dict.fromkeys(name for row in rows for name in row)
    with atomic_write(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(map(to_csv_row, rows))


def to_csv_row(row):
    """Turn a row's values into texts: text stays, None is empty, all else is as in JSON."""
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in row.items()}
    return {name: "" if row[name] is None else text for name, text in texts.items()}


def summary_table(results):
    """Put the good results into a table of texts with a row for each setting, over its seeds.

    Rows are sorted by the mean validation accuracy, the highest first. Where there is one, what
    was found on test digits is left out, since nothing should be chosen by it.
    """
    good = [result for result in results if result["error"] is None]
    settings = [_setting(result) for result in good]
    varied = varied_parameters(settings)
    groups = {}
    for setting, result in zip(settings, good, strict=True):
        values = [setting.get(name) for name in varied]
        groups.setdefault(json.dumps(values), []).append(result)
    metrics = dict.fromkeys(name for result in good for name in result["record"]["metrics"])
    if CHOOSE_BY in metrics:
        metrics = [CHOOSE_BY, *(n for n in metrics if n != CHOOSE_BY and not n.startswith("test_"))]
    columns = {
        key: {name: [result["record"]["metrics"].get(name) for result in group] for name in metrics}
        for key, group in groups.items()
    }
    if CHOOSE_BY in metrics:
        groups = dict(sorted(groups.items(), key=lambda item: -_mean(columns[item[0]][CHOOSE_BY])))
    table = [[name.replace("_", " ") for name in (*varied, "runs", *metrics, "seconds")]]
    for key, group in groups.items():
        values = [v if isinstance(v, str) else json.dumps(v) for v in json.loads(key)]
        seconds = statistics.mean(result["seconds"] for result in group)
        numbers = [_spread(numbers) for numbers in columns[key].values()]
        table.append([*values, str(len(group)), *numbers, f"{seconds:.1f}"])
    return table


def varied_parameters(settings):
    """Return the names, in order, whose values differ among these dicts."""
    names = dict.fromkeys(name for setting in settings for name in setting)
    return [n for n in names if len({json.dumps(setting.get(n)) for setting in settings}) > 1]


def _setting(result):
    """Say what a run was, but for its seed."""
    parts = result["parameters"] | {"digits": result["digits"], "program": result["run"][:8]}
    return {name: value for name, value in parts.items() if name != "seed"}


def _mean(numbers):
    """Return the mean, or minus infinity if one of them is missing or not finite."""
    return -math.inf if None in numbers else statistics.mean(numbers)


def _spread(numbers):
    if None in numbers:
        return "not finite"
    low, mean, high = (
        format_metrics({"": number})[0][1]
        for number in (min(numbers), statistics.mean(numbers), max(numbers))
    )
    return low if low == high else f"{mean} ({low} to {high})"
