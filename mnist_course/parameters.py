"""A notebook's `parameters` cell, and values for it from a command line."""

import ast
import difflib
import keyword
import math
import re

import yaml

# The tag by which papermill, too, knows the cell.
PARAMETERS_TAG = "parameters"

PLAIN_VALUES = "a number, text, true, false, null or a list of these"
PLAIN_TYPES = (bool, int, float, str, type(None))

CELL_RULE = (
    "the cell tagged `parameters` may hold only lines `name = value`, "
    f"where the value is {PLAIN_VALUES}"
)

# What an error message calls each type of a default.
TYPE_NAMES = {
    bool: "true or false",
    int: "an int",
    float: "a float",
    str: "text",
    list: "a list",
    type(None): PLAIN_VALUES,
}

# What YAML 1.2 takes for something other than text (its "core schema", less hexadecimal and
# octal numbers, infinity and NaN, none of which a notebook needs).
YAML_SCALARS = {
    "null": "null|",
    "bool": "true|false",
    "int": "[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=e))(e[-+]?[0-9]+)?",
}


class Yaml12(yaml.SafeLoader):
    """A YAML loader that follows version 1.2 and refuses a name that is there twice.

    PyYAML follows version 1.1, where ``1e-3`` is text and ``no`` is false.
    """

    # A dict of this class' own; without it, the patterns below would go to every loader.
    yaml_implicit_resolvers = {}

    def construct_mapping(self, node, deep=False):
        names = [key.value for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(
                    problem=f"{name!r} is there twice",
                    problem_mark=node.start_mark,
                )
        return super().construct_mapping(node, deep)


for _name, _pattern in YAML_SCALARS.items():
    # Without the characters a value may begin with, PyYAML tries the pattern on every value.
    Yaml12.add_implicit_resolver(
        tag=f"tag:yaml.org,2002:{_name}",
        regexp=re.compile(f"({_pattern})$"),
        first=None,
    )


def split_assignments(option, texts):
    """Split the texts ``name=value`` that a command's option received.

    Parameters
    ----------
    option : str
        The option's name, for the error message.
    texts : list of str

    Returns
    -------
    dict of str to str

    Raises
    ------
    ValueError
        If a text has no equals sign, or a name is given twice.

    Examples
    --------
    >>> split_assignments("-p", ["epochs=2", "hidden_units=[64,32]"])
    {'epochs': '2', 'hidden_units': '[64,32]'}
    """
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name in values:
            raise ValueError(f"{option} takes name=value, once a name; received {text!r}")
        values[name] = value
    return values


def read_parameters(notebook):
    r"""Read the defaults from a notebook's cell tagged `parameters`.

    Parameters
    ----------
    notebook : nbformat.NotebookNode

    Returns
    -------
    dict of str to object, or None
        Name to default, in the cell's order; None when no cell has the tag.

    Raises
    ------
    ValueError
        If the cell holds anything but ``name = literal`` lines, or several cells have the tag.

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_notebook
    >>> cell = new_code_cell("epochs = 5\nrate = 1e-3", metadata={"tags": ["parameters"]})
    >>> read_parameters(new_notebook(cells=[cell]))
    {'epochs': 5, 'rate': 0.001}
    """
    cells = [cell for cell in notebook.cells if PARAMETERS_TAG in cell.metadata.get("tags", [])]
    if not cells:
        return None
    if len(cells) > 1:
        raise ValueError(f"one cell may be tagged `parameters`; received {len(cells)}")
    return _read_assignments(cells[0].source)


def _read_assignments(source):
    """Read lines ``name = literal``, in which no value is computed."""
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError):
        raise ValueError(CELL_RULE) from None
    values = {}
    for statement in statements:
        if not _assigns_one_name(statement):
            raise ValueError(CELL_RULE)
        try:
            value = ast.literal_eval(statement.value)
            check_plain(value)
        except (TypeError, ValueError):
            raise ValueError(CELL_RULE) from None
        values[statement.targets[0].id] = value
    return values


def _assigns_one_name(statement):
    """Tell ``a = 1`` from all else, such as ``a = b = 1``, ``a, b = 1, 2`` and ``a.b = 1``."""
    if not isinstance(statement, ast.Assign):
        return False
    return len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name)


def check_parameters(given, defaults):
    """Check values against a notebook's defaults.

    Parameters
    ----------
    given : dict of str to object
        Text is read by `load_literal` where the default is not text.
    defaults : dict of str to object, or None
        What `read_parameters` returns.

    Returns
    -------
    dict of str to object
        The values with the types of their defaults; see `check_value`.

    Raises
    ------
    ValueError
        If a name is no identifier or unknown, or a value has the wrong type.

    Examples
    --------
    >>> check_parameters({"epochs": "3", "rate": 1}, {"epochs": 5, "rate": 0.5})
    {'epochs': 3, 'rate': 1.0}
    """
    checked = {}
    for name, value in given.items():
        _check_name(name, defaults)
        default = defaults[name]
        if isinstance(value, str) and not isinstance(default, str):
            value = load_literal(value)
        checked[name] = check_value(name, value, default)
    return checked


def _check_name(name, defaults):
    """Raise a ValueError, unless `name` is a parameter that has a default."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"{name!r} cannot be the name of a parameter")
    if defaults is None:
        raise ValueError(f"no cell is tagged `parameters`, so {name!r} cannot be set")
    if name not in defaults:
        hint = ""
        similar = difflib.get_close_matches(name, defaults, n=1)
        if similar:
            hint = f" (did you mean {similar[0]!r}?)"
        raise ValueError(f"unknown parameter {name!r}{hint}; known: {', '.join(defaults)}")


def check_value(name, value, default):
    """Return `value` if it has the type of `default`; where that is a float, an int becomes one.

    Parameters
    ----------
    name : str
        The parameter's name, for the error message.
    value : object
    default : object
        A list's items must be like the first item of `default`. Where `default` is None or an
        empty list, any plain values will do.

    Raises
    ------
    ValueError
        If it has another type, or is infinite or NaN.

    Examples
    --------
    >>> check_value("rate", 1, default=0.5)
    1.0
    >>> check_value("seed", 1.5, default=7)
    Traceback (most recent call last):
    ...
    ValueError: seed must be an int like its default 7; received 1.5
    """
    try:
        return convert_like(value, default)
    except TypeError:
        type_name = TYPE_NAMES[type(default)]
        raise ValueError(
            f"{name} must be {type_name} like its default {default!r}; received {value!r}"
        ) from None


def convert_like(value, default):
    """Convert `value` to the type of `default`, or raise a TypeError; see `check_value`.

    Examples
    --------
    >>> convert_like([1, 2.5], default=[0.1])
    [1.0, 2.5]
    """
    if default is None:
        check_plain(value)
        return value
    if isinstance(default, list) and isinstance(value, list):
        item_default = default[0] if default else None
        return [convert_like(item, item_default) for item in value]
    if type(default) is float and type(value) is int:
        return float(value)
    # Not `isinstance`: True is an int to Python, but no number of epochs.
    if type(value) is not type(default):
        raise TypeError(f"expected {type(default).__name__}; received {value!r}")
    _check_finite(value)
    return value


def check_plain(value):
    """Raise a TypeError unless `value` is a finite number, text, a bool, None or a list of these.

    Examples
    --------
    >>> check_plain([1, "a", None])
    >>> check_plain({"a": 1})
    Traceback (most recent call last):
    ...
    TypeError: expected a number, text, true, false, null or a list of these; received {'a': 1}
    """
    if isinstance(value, list):
        for item in value:
            check_plain(item)
        return
    if type(value) not in PLAIN_TYPES:
        raise TypeError(f"expected {PLAIN_VALUES}; received {value!r}")
    _check_finite(value)


def _check_finite(value):
    # A record is JSON, which has no word for infinity and NaN.
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError(f"expected a finite number; received {value!r}")


def load_literal(text):
    """Read a value from text, as YAML 1.2; see `Yaml12`.

    Raises
    ------
    ValueError
        If the text is not YAML, or asks for a Python object.

    Examples
    --------
    >>> load_literal("[64, 1e-3, no]")
    [64, 0.001, 'no']
    """
    try:
        return yaml.load(text, Yaml12)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{text!r} cannot be read: {reason}") from None
