"""The kept results: tables that this project measured, in ``measured/``."""

import csv
import json
from importlib import resources


def load_table(table, *, latest=False):
    """Read a table of results that this project measured and keeps.

    Parameters
    ----------
    table : str
        ``"articles"``: both articles' networks over five seeds; ``"architectures"``: ten designs
        of the second over five seeds; ``"notebooks"``: time and memory of each notebook;
        ``"optimism"``: what choosing by the digits that judge flatters; ``"sameness"``: one seed
        under other threads and libraries; ``"own_digits"``: people's own digits, read in several
        ways; ``"reader"``: how sure the reader is of held-out digits, and how often it was right;
        ``"reading_cost"``: what a reading costs; ``"ladder"``: notebook 06's rungs, ``"rates"``:
        its rates and batches, both from ``benchmarks/ladder.py``; ``"speed"``: both articles'
        recipes beside ours; ``"accuracy"``: the large network of notebook 06; ``"tries"``: what
        else was tried there.
        ``python benchmarks/<table>.py`` makes each of the others.
    latest : bool
        Only each back end's last ``run``, of a table to which every run adds its rows.

    Returns
    -------
    list of dict
        One for each row; numbers are int or float, lists are lists, all else is text.

    Raises
    ------
    FileNotFoundError
        If there is no such table.
    """
    path = resources.files("mnist_helpers") / "measured" / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    if latest:
        last = {row["backend"]: row["run"] for row in rows}
        rows = [row for row in rows if row["run"] == last[row["backend"]]]
    return [{name: _value(text) for name, text in row.items()} for row in rows]


def group_rows(rows, *names):
    """Sort rows of a table into lists, by what stands in one column or in several.

    Returns
    -------
    dict
        The rows by value, or by tuple of values where several `names` are given; in the order in
        which the values first occur.
    """
    groups = {}
    for row in rows:
        value = tuple(row[name] for name in names)
        groups.setdefault(value if len(names) > 1 else value[0], []).append(row)
    return groups


def _value(text):
    try:
        return json.loads(text)
    except ValueError:
        return text
