"""A notebook's `parameters` cell, and values for it from a command line."""

import ast
import difflib
import keyword
import math
import re

import yaml

_ANY = "a number, text, true, false, null or a list of these"
_WORDS = {bool: "true or false", int: "an int", float: "a float", str: "text", list: "a list"}
_WORDS[type(None)] = _ANY
_SCALARS = {
    "null": "null|",
    "bool": "true|false",
    "int": "[-+]?(0|[1-9][0-9]*)",
    "float": r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=e))(e[-+]?[0-9]+)?",
}


class Yaml12(yaml.SafeLoader):
    """YAML 1.2, and no name twice; in version 1.1 ``1e-3`` is text and ``no`` is false."""

    yaml_implicit_resolvers = {}

    def construct_mapping(self, node, deep=False):
        names = [key.value for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{name!r} is there twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


for _tag, _text in _SCALARS.items():
    Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"({_text})$"), None)


def split_assignments(option, texts):
    """Split the texts ``name=value`` of a command's option; a name given twice is a ValueError."""
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name in values:
            raise ValueError(f"{option} takes name=value, once a name; received {text!r}")
        values[name] = value
    return values


def read_parameters(notebook):
    """Read the defaults from a notebook's cell tagged `parameters`.

    Returns
    -------
    dict of str to object, or None
        Name to default, in the cell's order; None when no cell has the tag.

    Raises
    ------
    ValueError
        If the cell holds anything but ``name = literal`` lines, or several cells have the tag.
    """
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if not cells:
        return None
    if len(cells) > 1:
        raise ValueError(f"one cell may be tagged `parameters`; received {len(cells)}")
    try:
        lines = [(line.targets, line.value) for line in ast.parse(cells[0].source).body]
        return {name.id: _convert(ast.literal_eval(value), None) for (name,), value in lines}
    except (SyntaxError, AttributeError, ValueError, TypeError):
        cell = "the cell tagged `parameters` may hold only lines `name = value`"
        raise ValueError(f"{cell}, where the value is {_ANY}") from None


def check_parameters(given, defaults):
    """Check values against a notebook's defaults, as `read_parameters` returns them.

    Text is read by `load_literal` where the default is not text; see `check_value`.

    Returns
    -------
    dict of str to object
        The values with the right types.

    Raises
    ------
    ValueError
        If a name is no identifier or unknown, or a value has the wrong type.
    """
    typed = {}
    for name, value in given.items():
        if not name.isidentifier() or keyword.iskeyword(name):
            raise ValueError(f"{name!r} cannot be the name of a parameter")
        if defaults is None:
            raise ValueError(f"no cell is tagged `parameters`, so {name!r} cannot be set")
        if name not in defaults:
            near = difflib.get_close_matches(name, defaults, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"unknown parameter {name!r}{hint}; known: {', '.join(defaults)}")
        text = isinstance(value, str) and not isinstance(defaults[name], str)
        typed[name] = check_value(name, load_literal(value) if text else value, defaults[name])
    return typed


def check_value(name, value, default):
    """Return `value` if it has the type of `default`; where that is a float, an int becomes one.

    A list's items must be like the default's first; a default of None takes any plain value.

    Raises
    ------
    ValueError
        Saying what was expected and what came.
    """
    try:
        return _convert(value, default)
    except TypeError:
        expected = f"{_WORDS[type(default)]} like its default {default!r}"
        raise ValueError(f"{name} must be {expected}; received {value!r}") from None


def load_literal(text):
    """Read a value; see `Yaml12`."""
    try:
        return yaml.load(text, Yaml12)
    except yaml.YAMLError as error:
        raise ValueError(f"{text!r} cannot be read: {' '.join(str(error).split())}") from None


def _convert(value, default):
    if isinstance(value, list) and (default is None or isinstance(default, list)):
        return [_convert(item, default[0] if default else None) for item in value]
    if type(default) is float and type(value) is int:
        return float(value)
    kinds = _WORDS if default is None else [type(default)]
    if type(value) not in kinds or (type(value) is float and not math.isfinite(value)):
        raise TypeError
    return value
