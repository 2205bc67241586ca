"""The results that this project measured and keeps: the CSV files in ``measured/``."""

import csv
import json
from importlib import resources


def load_table(table, *, latest=False):
    """Read a table of results that this project measured and keeps.

    ====================== ===================================================================
    table                  what it tells
    ====================== ===================================================================
    `ablations`            notebook 06's two networks, with one thing changed at a time
    `accuracy`             the large network of notebook 06: its mistakes, over several seeds
    `architectures`        ten designs of the second article's network, over five seeds
    `baselines`            both articles' networks, over five seeds
    `cumulative_ablation`  notebook 06's steps from the article's network to the fast one
    `notebooks`            the time, memory and disk that each notebook takes
    `optimism`             how much too good an accuracy is on digits that helped to choose
    `own_digits`           how well people's own digits are read, prepared in several ways
    `rates`                notebook 06's fast network with several learning rates and batch sizes
    `reader`               how sure the reader is of held-out digits, and how often it is right
    `reading_cost`         the time and memory that it takes to read a picture
    `reproducibility`      one seed under other threads and libraries
    `speed`                both articles' recipes beside notebook 06's
    ====================== ===================================================================

    ``python benchmarks/<table>.py`` measures each of them again; ``rates`` comes from
    ``cumulative_ablation.py``.

    Parameters
    ----------
    table : str
        One of the names above.
    latest : bool
        Return only each back end's last ``run``. This is for the tables to which every run adds
        its rows: those with the columns ``run`` and ``backend``.

    Returns
    -------
    list of dict
        One for each row. Numbers are int or float, lists are lists, everything else is text.

    Raises
    ------
    FileNotFoundError
        If there is no such table.

    Examples
    --------
    >>> rows = load_table("baselines")
    >>> rows[0]["network"], rows[0]["seed"], rows[0]["test_accuracy"]
    ('mlp', 1, 0.9839)
    """
    path = resources.files("mnist_helpers") / "measured" / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    if latest:
        rows = _latest_rows(rows)
    return [{name: _parse(text) for name, text in row.items()} for row in rows]


def group_rows(rows, *names):
    """Sort the rows of a table into lists, by the value of one column or of several.

    Parameters
    ----------
    rows : list of dict
        As `load_table` returns them.
    *names : str
        Columns.

    Returns
    -------
    dict
        Lists of rows by value, or by tuple of values where several `names` are given; in the
        order in which the values first occur.

    Examples
    --------
    >>> groups = group_rows(load_table("baselines"), "network", "validation_fraction")
    >>> len(groups["mlp", 0.1])
    5
    """
    groups = {}
    for row in rows:
        values = tuple(row[name] for name in names)
        if len(names) == 1:
            key = values[0]
        else:
            key = values
        groups.setdefault(key, []).append(row)
    return groups


def _latest_rows(rows):
    """Return the rows of each back end's last run; later runs stand further down."""
    last_runs = {}
    for row in rows:
        last_runs[row["backend"]] = row["run"]
    return [row for row in rows if row["run"] == last_runs[row["backend"]]]


def _parse(text):
    # What is a number or a list in JSON is meant as one; all other text stays text.
    try:
        return json.loads(text)
    except ValueError:
        return text
