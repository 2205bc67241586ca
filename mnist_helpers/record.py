"""What a notebook's last cell records of its run, and how to find it again."""

import html
import json
import math
import platform
import sys
from importlib.metadata import version

MIME_TYPE = "application/vnd.mnist-helpers.record+json"
_KEYS = {"schema": int, "notebook": str}
_KEYS |= dict.fromkeys(["parameters", "digits", "metrics", "seconds", "versions"], dict)
_DIGITS = {"name": str, "train": int, "test": int, "sha256": str, "text": str}
_SOFTWARE = ["python", "keras", "backend", "backend_version", "numpy", "mnist_helpers"]


def record_run(notebook, *, parameters, digits, metrics, seconds):
    """Record what this run was and found, as JSON beside a table; a notebook's last cell.

    Parameters
    ----------
    notebook : str
        Its name, such as ``"01_dense_network"``.
    parameters : dict of str to number, bool, str, None or list
        `results_dir` and `data` are dropped: they are places on one computer.
    digits : dict
        What ``data.describe`` returns.
    metrics : dict of str to number
        Headline numbers. NaN and infinity become None: a training that diverged is a result,
        but JSON has no word for it.
    seconds : dict of str to number
        What took how long, such as ``{"fit": 41.2}``.

    Raises
    ------
    TypeError, ValueError
        If a value is of another type; NumPy's numbers and tuples are converted.
    """
    from IPython import get_ipython
    from IPython.display import display

    parameters = {k: v for k, v in parameters.items() if k not in ("results_dir", "data")}
    metrics = {k: v if v is None or math.isfinite(v) else None for k, v in metrics.items()}
    record = {"schema": 1, "notebook": notebook, "parameters": parameters, "digits": digits}
    record |= {"metrics": metrics, "seconds": seconds, "versions": library_versions()}
    record = json.loads(json.dumps(record, default=_plain))
    validate_record(record)
    rows = _rows(record)
    text = "\n".join(f"{name:<{max(len(n) for n, _ in rows)}}  {value}" for name, value in rows)
    if get_ipython() is None:
        print(text)
        return
    row = '<tr><th scope="row">{}</th><td>{}</td></tr>'
    lines = [row.format(html.escape(name), html.escape(value)) for name, value in rows]
    table = "\n".join(["<table>", "<caption>Record of this run</caption>", *lines, "</table>"])
    display({MIME_TYPE: record, "text/html": table, "text/plain": text}, raw=True)


def validate_record(record):
    """Check the schema version, keys and types of a record.

    Raises
    ------
    ValueError
        Saying what is wrong.
    """
    _check("record", record, _KEYS)
    if record["schema"] != 1:
        raise ValueError(f"schema 1 can be read; this record has schema {record['schema']}")
    _check("digits", record["digits"], _DIGITS)
    _check("versions", record["versions"], dict.fromkeys(_SOFTWARE, (str, type(None))))
    _check("metrics", record["metrics"], dict.fromkeys(record["metrics"], (int, float, type(None))))
    _check("seconds", record["seconds"], dict.fromkeys(record["seconds"], (int, float)))
    try:
        json.dumps(record, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"a record must be JSON, without NaN and infinity: {error}") from None


def read_record(notebook):
    """Find the record in an executed notebook, given as NotebookNode or path.

    Returns
    -------
    dict or None
        The last record among the outputs; None when there is none.

    Raises
    ------
    ValueError
        If that record is not valid.
    """
    if not hasattr(notebook, "cells"):
        import nbformat

        notebook = nbformat.read(notebook, as_version=4)
    found = None
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            found = output.get("data", {}).get(MIME_TYPE, found)
    if found is not None:
        validate_record(found)
    return found


def format_metrics(metrics):
    """Name each number of `metrics` with four digits after the point, as (name, text) pairs."""
    texts = {type(None): "not finite", int: "{:,}", float: "{:.4f}"}
    return [(k.replace("_", " "), texts[type(v)].format(v)) for k, v in metrics.items()]


def _check(part, found, expected):
    if not isinstance(found, dict) or set(found) != set(expected):
        keys = ", ".join(map(str, found)) if isinstance(found, dict) else type(found).__name__
        raise ValueError(f"{part} must have the keys {', '.join(expected)}; received {keys}")
    for key, kinds in expected.items():
        # True is an int to Python, but no count and no measurement.
        if not isinstance(found[key], kinds) or isinstance(found[key], bool):
            raise ValueError(f"{part}[{key!r}] has the wrong type: received {found[key]!r}")


def _plain(value):
    if not hasattr(value, "tolist"):  # what NumPy's scalars and arrays have
        raise TypeError(
            "a record holds numbers, text, True, False, None and lists of these; "
            f"received {value!r}"
        )
    return value.tolist()


def library_versions():
    """Return the versions of Python, Keras, its back end, NumPy and this package."""
    # Only what the run has imported is asked for: a notebook without Keras has none to record.
    keras = sys.modules.get("keras")
    backend = keras.config.backend() if keras else None
    versions = [getattr(sys.modules.get(name), "__version__", None) for name in ("keras", backend)]
    ours = sys.modules["mnist_helpers"].__version__
    found = [platform.python_version(), versions[0], backend, versions[1], version("numpy"), ours]
    return dict(zip(_SOFTWARE, found, strict=True))


def _rows(record):
    versions = [f"{k.replace('_', ' ')} {v}" for k, v in record["versions"].items() if v]
    return [
        ("digits", record["digits"]["text"]),
        *format_metrics(record["metrics"]),
        *((f"seconds: {name}", f"{value:.1f}") for name, value in record["seconds"].items()),
        ("parameters", ", ".join(f"{k} = {v!r}" for k, v in record["parameters"].items())),
        ("versions", ", ".join(versions)),
    ]
