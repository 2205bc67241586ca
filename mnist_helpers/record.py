"""What a notebook's last cell records of its run, and how to find it again."""

import contextlib
import html
import json
import math
import platform
import reprlib
import sys
from importlib.metadata import version

import mnist_helpers
from mnist_helpers.keras_settings import DEFAULT_POLICY, DEFAULTS, current_settings
from mnist_helpers.variables import number_variables

MIME_TYPE = "application/vnd.mnist-helpers.record+json"

_SCHEMA = 2
# Records of this schema have no settings; what they say else holds still.
_SCHEMA_WITHOUT_SETTINGS = 1
# The parts of a record, and the types of their values.
_RECORD_TYPES = {
    "schema": int,
    "notebook": str,
    "parameters": dict,
    "digits": dict,
    "metrics": dict,
    "seconds": dict,
    "versions": dict,
    "settings": dict,
    "variables": dict,
}
_DATASET_TYPES = {"name": str, "train": int, "test": int, "sha256": str, "text": str}
# A notebook that does not use Keras has no version of it to record.
_VERSION = (str, type(None))
_VERSION_TYPES = {
    "python": _VERSION,
    "keras": _VERSION,
    "backend": _VERSION,
    "backend_version": _VERSION,
    "numpy": _VERSION,
    "mnist_helpers": _VERSION,
}
_LIMIT = (int, type(None))
_SETTINGS_TYPES = {
    "floatx": str,
    "dtype_policy": str,
    "epsilon": (int, float),
    "image_data_format": str,
    "max_epochs": _LIMIT,
    "max_steps_per_epoch": _LIMIT,
}
# As many keys are named in a complaint.
_MOST_KEYS = 12
_USUAL_SETTINGS = DEFAULTS | {"dtype_policy": DEFAULT_POLICY}
_METRIC = (int, float, type(None))
_SECONDS = (int, float)
_HUGE = 1e15

# Parameters that name places on one computer.
_PLACES = ("results_dir", "data")

_TABLE = "<table>\n<caption>Record of this run</caption>\n{}\n</table>"
_TABLE_ROW = '<tr><th scope="row">{}</th><td>{}</td></tr>'


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

    Examples
    --------
    >>> dataset = {"name": "MNIST", "train": 60000, "test": 10000, "sha256": "", "text": "MNIST"}
    >>> record_run(
    ...     "stub", parameters={"seed": 1}, digits=dataset, metrics={"test_accuracy": 0.98},
    ...     seconds={"fit": 41.2},
    ... )  # doctest: +ELLIPSIS
    digits         MNIST
    test accuracy  0.9800
    seconds: fit   41.2
    parameters     seed = 1
    versions       python ..., numpy ..., mnist helpers ...
    """
    from IPython import get_ipython
    from IPython.display import display

    record = {
        "schema": _SCHEMA,
        "notebook": notebook,
        "parameters": _without_places(parameters),
        "digits": digits,
        "metrics": _finite_or_none(metrics),
        "seconds": seconds,
        "versions": library_versions(),
        "settings": current_settings(),
    }
    variables = number_variables()
    if variables:
        record["variables"] = variables
    # There and back, so that what is checked and shown is what a file will hold.
    record = json.loads(json.dumps(record, default=_to_plain))
    validate_record(record)
    rows = _table_rows(record)
    text = _as_text(rows)
    if get_ipython() is None:
        print(text)
        return
    bundle = {MIME_TYPE: record, "text/html": _as_html(rows), "text/plain": text}
    display(bundle, raw=True)


def validate_record(record):
    """Check the schema version, keys and types of a record.

    Parameters
    ----------
    record : dict

    Raises
    ------
    ValueError
        Saying what is wrong.

    Examples
    --------
    >>> validate_record({"schema": 1})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: record must have the keys schema, notebook, parameters, ...; received schema
    """
    types = dict(_RECORD_TYPES)
    if isinstance(record, dict) and record.get("schema") == _SCHEMA_WITHOUT_SETTINGS:
        del types["settings"]
    # Most users have set none, and records of others have none.
    if isinstance(record, dict) and "variables" not in record:
        del types["variables"]
    _check_part("record", record, types)
    schema = record["schema"]
    if schema not in (_SCHEMA_WITHOUT_SETTINGS, _SCHEMA):
        raise ValueError(f"schema {_SCHEMA} can be read; this record has schema {schema}")
    _check_part("digits", record["digits"], _DATASET_TYPES)
    _check_part("versions", record["versions"], _VERSION_TYPES)
    # A run that has not imported Keras has no settings.
    if record.get("settings"):
        _check_part("settings", record["settings"], _SETTINGS_TYPES)
    variables = record.get("variables", {})
    _check_part("variables", variables, dict.fromkeys(variables, str))
    _check_part("metrics", record["metrics"], dict.fromkeys(record["metrics"], _METRIC))
    _check_part("seconds", record["seconds"], dict.fromkeys(record["seconds"], _SECONDS))
    for name, value in [*record["metrics"].items(), *record["seconds"].items()]:
        _check_size(name, value)
    try:
        # Text that has half a character cannot be sent to a notebook or written to a file.
        json.dumps(record, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"a record must be JSON, without NaN and infinity: {error}") from None


def read_record(notebook):
    """Find the record in an executed notebook.

    Parameters
    ----------
    notebook : nbformat.NotebookNode, str or path-like
        The notebook, or its file.

    Returns
    -------
    dict or None
        The last record among the outputs; None when there is none.

    Raises
    ------
    ValueError
        If that record is not valid, or the file is no notebook.

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_notebook
    >>> read_record(new_notebook(cells=[new_code_cell("never executed")])) is None
    True
    """
    if not hasattr(notebook, "cells"):
        notebook = _read_notebook(notebook)
    record = None
    for cell in notebook.cells:
        # Only these are executed; what is written beside another's text, no run has shown.
        if cell.cell_type != "code":
            continue
        for output in cell.get("outputs", []):
            # Streams and errors have no data.
            data = output.get("data", {})
            if MIME_TYPE in data:
                record = data[MIME_TYPE]
    if record is not None:
        validate_record(record)
    return record


def format_metrics(metrics):
    """Write out metrics for people: four digits after the point, thousands with commas.

    Parameters
    ----------
    metrics : dict of str to int, float or None
        A record's.

    Returns
    -------
    list of (str, str)
        Names and texts.

    Examples
    --------
    >>> format_metrics({"test_accuracy": 0.98765, "trainable_parameters": 1234, "loss": None})
    [('test accuracy', '0.9877'), ('trainable parameters', '1,234'), ('loss', 'not finite')]
    """
    return [(_spaced(name), _format_metric(value)) for name, value in metrics.items()]


def library_versions():
    """Return the versions of Python, Keras, its back end, NumPy and this package.

    Returns
    -------
    dict of str to str or None
        With the keys ``python``, ``keras``, ``backend`` (its name), ``backend_version``, ``numpy``
        and ``mnist_helpers``; None for what this run has not imported.

    Examples
    --------
    >>> library_versions()["python"] == platform.python_version()
    True
    """
    versions = {
        "python": platform.python_version(),
        "keras": None,
        "backend": None,
        "backend_version": None,
        "numpy": version("numpy"),
        "mnist_helpers": mnist_helpers.__version__,
    }
    # Importing Keras here would record a version that the run has not used.
    keras = sys.modules.get("keras")
    if keras is not None:
        backend = keras.config.backend()
        versions["keras"] = keras.__version__
        versions["backend"] = backend
        versions["backend_version"] = getattr(sys.modules.get(backend), "__version__", None)
    return versions


def _read_notebook(path):
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except OSError:
        raise
    except Exception as error:
        # nbformat raises whatever comes of taking the file for a notebook.
        reason = f"{type(error).__name__}: {reprlib.repr(str(error))}"
        raise ValueError(f"{path} is not a Jupyter notebook ({reason})") from None
    return notebook


def _without_places(parameters):
    return {name: value for name, value in parameters.items() if name not in _PLACES}


def _finite_or_none(metrics):
    finite = {}
    for name, value in metrics.items():
        finite[name] = value
        # What is no number at all is told by `validate_record`.
        with contextlib.suppress(TypeError, OverflowError):
            if not math.isfinite(value):
                finite[name] = None
    return finite


def _to_plain(value):
    """Convert what JSON does not know: NumPy's scalars and arrays, which have a `tolist`."""
    if not hasattr(value, "tolist"):
        raise TypeError(
            "a record holds numbers, text, True, False, None and lists of these; "
            f"received {reprlib.repr(value)}"
        )
    return value.tolist()


def _check_part(name, part, types):
    """Check that a part of a record has these keys, and values of these types."""
    expected_keys = ", ".join(types)
    if not isinstance(part, dict):
        received = type(part).__name__
        raise ValueError(f"{name} must have the keys {expected_keys}; received {received}")
    if set(part) != set(types):
        received = _names_of_keys(part)
        raise ValueError(f"{name} must have the keys {expected_keys}; received {received}")
    for key, expected_types in types.items():
        value = part[key]
        # True is an int to Python, but no count and no measurement.
        if not isinstance(value, expected_types) or isinstance(value, bool):
            received = reprlib.repr(value)
            raise ValueError(f"{name}[{reprlib.repr(key)}] has the wrong type: received {received}")


def _names_of_keys(part):
    """Write out the keys of a part, as far as a line has room, without what breaks the line."""
    names = [reprlib.repr(str(key))[1:-1] for key in part]
    if len(names) > _MOST_KEYS:
        names[_MOST_KEYS:] = ["…"]
    return ", ".join(names)


def _check_size(name, value):
    """Check that a number can be written with decimals, as a float can."""
    if value is None:
        return
    try:
        float(value)
    except OverflowError:
        raise ValueError(f"{reprlib.repr(name)} must be a number that a float can hold") from None


def _format_metric(value):
    if value is None:
        return "not finite"
    # With all its digits, it would fill a line.
    if abs(value) >= _HUGE:
        return f"{float(value):.4e}"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}"


def _spaced(name):
    return name.replace("_", " ")


def _table_rows(record):
    """Return what people are shown of a record, as pairs of name and text."""
    rows = [("digits", record["digits"]["text"])]
    rows += format_metrics(record["metrics"])
    for name, value in record["seconds"].items():
        rows.append((f"seconds: {name}", f"{value:.1f}"))
    parameters = [f"{name} = {value!r}" for name, value in record["parameters"].items()]
    rows.append(("parameters", ", ".join(parameters)))
    versions = [f"{_spaced(name)} {text}" for name, text in record["versions"].items() if text]
    rows.append(("versions", ", ".join(versions)))
    unusual = []
    for name, value in record.get("settings", {}).items():
        if value != _USUAL_SETTINGS[name]:
            unusual.append(f"{_spaced(name)} = {value}")
    if unusual:
        rows.append(("settings of Keras", ", ".join(unusual)))
    variables = [f"{name} = {value}" for name, value in record.get("variables", {}).items()]
    if variables:
        rows.append(("variables", ", ".join(variables)))
    return rows


def _as_text(rows):
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)


def _as_html(rows):
    lines = [_TABLE_ROW.format(html.escape(name), html.escape(text)) for name, text in rows]
    return _TABLE.format("\n".join(lines))
