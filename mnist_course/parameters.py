"""A notebook's `parameters` cell, and values for it from a command line."""

import ast
import difflib
import keyword
import math
import re
import reprlib
import warnings

import yaml

from mnist_course.terminal import one_line

# The tag by which papermill, too, knows the cell.
PARAMETERS_TAG = "parameters"

PLAIN_VALUES = "a number, text, true, false, null or a list of these"
PLAIN_TYPES = (bool, int, float, str, type(None))

CELL_RULE = (
    "the cell tagged `parameters` may hold only lines `name = value`, "
    f"where the value is {PLAIN_VALUES}"
)

# What a text may ask for at most. PyYAML reads some 50,000 characters a second, and Python's own
# parser needs a thousand bytes of memory for some of them; a grid of a thousand lines has 30,000.
MAX_CHARACTERS = 100_000
# Lists in lists: shapes and settings of layers need two or three. PyYAML, `repr` and JSON call
# themselves for each, and Python's stack ends at some hundred.
MAX_DEPTH = 10
# The numbers and texts in one value, its lists counted as well.
MAX_ITEMS = 100_000
# No seed has more digits. Every int of so many becomes a float, and can be printed.
MAX_DIGITS = 100
# An error message quotes at most so much of what was received.
QUOTED_CHARACTERS = 200
# A name that is longer is no slip of the finger, and comparing it with others takes long.
MAX_SIMILAR_CHARACTERS = 50

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


class PlainNodes:
    """What both loaders below refuse: all that lets a short text stand for something huge.

    An alias stands for a whole list, and a list of aliases to a list of aliases, nine times over,
    for a billion values. A tag asks for another type, such as a Python object.
    """

    depth = 0

    def compose_node(self, parent, index):
        event = self.peek_event()
        if event.anchor is not None:
            raise _refuse(event, "anchors and aliases (& and *) are not read: write the values out")
        if event.tag is not None:
            raise _refuse(event, "tags (!) are not read: write a plain value")
        if self.depth > MAX_DEPTH:
            raise _refuse(event, f"lists in lists may be {MAX_DEPTH} deep")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node, deep=False):
        names = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refuse(key, "a name must be a plain text")
            if key.value in names:
                raise _refuse(node, f"{quote(key.value)} is there twice")
            names.add(key.value)
        return super().construct_mapping(node, deep)


def _refuse(place, problem):
    """Return PyYAML's own error, which knows the line."""
    return yaml.constructor.ConstructorError(problem=problem, problem_mark=place.start_mark)


class Yaml12(PlainNodes, yaml.SafeLoader):
    """A YAML loader that follows version 1.2 and refuses a name that is there twice.

    PyYAML follows version 1.1, where ``1e-3`` is text and ``no`` is false.
    """

    # A dict of this class' own; without it, the patterns below would go to every loader.
    yaml_implicit_resolvers = {}

    def construct_yaml_int(self, node):
        # Python refuses some thousands of digits itself, but says nothing of the line.
        if len(node.value) > MAX_DIGITS:
            raise _refuse(node, f"a whole number may have {MAX_DIGITS} digits")
        return super().construct_yaml_int(node)


class YamlTexts(PlainNodes, yaml.BaseLoader):
    """A YAML loader for which everything that is no list is text."""


for _name, _pattern in YAML_SCALARS.items():
    # Without the characters a value may begin with, PyYAML tries the pattern on every value.
    Yaml12.add_implicit_resolver(
        tag=f"tag:yaml.org,2002:{_name}",
        regexp=re.compile(f"({_pattern})$"),
        first=None,
    )
Yaml12.add_constructor("tag:yaml.org,2002:int", Yaml12.construct_yaml_int)


def load_yaml(text, loader=Yaml12):
    """Read a value from text as YAML, whatever the text is.

    Parameters
    ----------
    text : str or bytes
        Bytes are UTF-8, or UTF-16 that begins with a byte order mark.
    loader : type
        `Yaml12`, or `YamlTexts` where all values are texts.

    Returns
    -------
    object
        What YAML has: None, bool, int, float, str, and lists and dicts of these.

    Raises
    ------
    ValueError
        If the text is not YAML, is too long or too deep, or holds anchors, aliases or tags. It
        says what is wrong, and in which line.

    Examples
    --------
    >>> load_yaml("seed: [1, 2]")
    {'seed': [1, 2]}
    >>> load_yaml("[&x [1], *x]")
    Traceback (most recent call last):
    ...
    ValueError: line 1: anchors and aliases (& and *) are not read: write the values out
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"it may have {MAX_CHARACTERS:,} characters, and has more")
    try:
        return yaml.load(text, loader)
    except Exception as error:
        # PyYAML lets out errors of Python as well, such as an OverflowError for "\UFFFFFFFF".
        raise ValueError(_explain_yaml(error)) from None


def _explain_yaml(error):
    """Return in one line what PyYAML found, and where."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None)
    if mark is not None and problem is not None:
        return f"line {mark.line + 1}: {quote_text(problem)}"
    if isinstance(error, yaml.reader.ReaderError):
        return f"character {error.position + 1}: {error.reason}"
    return f"it is no YAML ({type(error).__name__}: {quote_text(str(error))})"


def quote(value):
    """Return a value's repr for an error message: in one line, and not too long.

    Examples
    --------
    >>> quote([512, 512])
    '[512, 512]'
    >>> len(quote("a" * 10**6)) <= QUOTED_CHARACTERS
    True
    """
    short = reprlib.Repr()
    short.maxlist = short.maxtuple = short.maxset = short.maxdict = 20
    short.maxstring = short.maxlong = short.maxother = QUOTED_CHARACTERS
    try:
        text = short.repr(value)
    except Exception:
        # An int of more digits than Python prints, or an object whose repr fails.
        text = f"a value of type {type(value).__name__}"
    return quote_text(text)


def quote_text(text):
    r"""Return a text for an error message: in one line, and not too long.

    Examples
    --------
    >>> quote_text("data=many\nlines")
    'data=many\\nlines'
    """
    return one_line(text, QUOTED_CHARACTERS)


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
            raise ValueError(f"{option} takes name=value, once a name; received {quote(text)}")
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
    cells = [cell for cell in notebook.cells if _has_tag(cell)]
    if not cells:
        return None
    if len(cells) > 1:
        raise ValueError(f"one cell may be tagged `parameters`; received {len(cells)}")
    return _read_assignments(cells[0].source)


def _has_tag(cell):
    tags = cell.metadata.get("tags", [])
    # nbformat reads a file whose tags are a number, too.
    return isinstance(tags, list) and PARAMETERS_TAG in tags


def _read_assignments(source):
    """Read lines ``name = literal``, in which no value is computed."""
    if len(source) > MAX_CHARACTERS:
        raise ValueError(f"{CELL_RULE}; it has more than {MAX_CHARACTERS:,} characters")
    try:
        # Python's words on `1if` or "\\d" name neither the notebook nor the line.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            statements = ast.parse(source).body
    except SyntaxError as error:
        raise ValueError(_explain_line(error.lineno or 1)) from None
    except (ValueError, RecursionError, MemoryError):
        # For a NUL, and for brackets in brackets without end, Python raises any of these.
        raise ValueError(CELL_RULE) from None
    values = {}
    for statement in statements:
        if not _assigns_one_name(statement):
            raise ValueError(_explain_line(statement.lineno))
        try:
            value = ast.literal_eval(statement.value)
            check_plain(value)
        except (TypeError, ValueError, RecursionError, MemoryError):
            raise ValueError(_explain_line(statement.lineno)) from None
        values[statement.targets[0].id] = value
    return values


def _explain_line(number):
    return f"{CELL_RULE}; line {number} is none of these"


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
            value = _load_value(name, value)
        checked[name] = check_value(name, value, default)
    return checked


def _load_value(name, text):
    try:
        return load_literal(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _check_name(name, defaults):
    """Raise a ValueError, unless `name` is a parameter that has a default."""
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"{quote(name)} cannot be the name of a parameter")
    if defaults is None:
        raise ValueError(f"no cell is tagged `parameters`, so {quote(name)} cannot be set")
    if name not in defaults:
        hint = ""
        similar = []
        if len(name) <= MAX_SIMILAR_CHARACTERS:
            similar = difflib.get_close_matches(name, defaults, n=1)
        if similar:
            hint = f" (did you mean {similar[0]!r}?)"
        known = quote_text(", ".join(defaults))
        raise ValueError(f"unknown parameter {quote(name)}{hint}; known: {known}")


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
        If it has another type, is infinite or NaN, or is larger than any record can hold.

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
            f"{name} must be {type_name} like its default {quote(default)}; received {quote(value)}"
        ) from None
    except ValueError as error:
        raise ValueError(f"{name} cannot be used: {error}") from None


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
    # Not `isinstance`: True is an int to Python, but no number of epochs.
    if type(value) is not type(default) and not _is_int_for_float(value, default):
        raise TypeError(f"expected {type(default).__name__}; received {quote(value)}")
    _check_scalar(value)
    if type(default) is float:
        return float(value)
    return value


def _is_int_for_float(value, default):
    return type(value) is int and type(default) is float


def check_plain(value):
    """Raise a TypeError unless `value` is a finite number, text, a bool, None or a list of these.

    Of too many digits, too many items or lists too deep a ValueError tells, and of text that is
    not Unicode.

    Examples
    --------
    >>> check_plain([1, "a", None])
    >>> check_plain({"a": 1})
    Traceback (most recent call last):
    ...
    TypeError: expected a number, text, true, false, null or a list of these; received {'a': 1}
    """
    level = [value]
    # One level of lists after the other: a list may hold itself.
    for _ in range(MAX_DEPTH + 1):
        lists = []
        for item in level:
            if isinstance(item, list):
                lists.append(item)
            else:
                _check_scalar(item)
        if sum(len(items) for items in lists) > MAX_ITEMS:
            raise ValueError(f"expected at most {MAX_ITEMS:,} values in lists; received more")
        level = []
        for items in lists:
            level += items
        if not level:
            return
    raise ValueError(f"expected lists in lists {MAX_DEPTH} deep; received deeper ones")


def _check_scalar(value):
    """Raise an error as `check_plain` does, unless a record, which is JSON, can hold the value."""
    if type(value) not in PLAIN_TYPES:
        raise TypeError(f"expected {PLAIN_VALUES}; received {quote(value)}")
    # JSON has no word for infinity and NaN.
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError(f"expected a finite number; received {value!r}")
    if isinstance(value, int) and abs(value) >= 10**MAX_DIGITS:
        raise ValueError(f"expected at most {MAX_DIGITS} digits; received more")
    if isinstance(value, str):
        _check_text(value)


def _check_text(text):
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"expected a text of at most {MAX_CHARACTERS:,} characters; received more")
    try:
        # What the command line gives for a byte that is not UTF-8 can be written to no file.
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"expected text in UTF-8; received {quote(text)}") from None


def load_literal(text):
    """Read a value from text, as YAML 1.2; see `load_yaml`.

    Raises
    ------
    ValueError
        If the text cannot be read; it quotes the text.

    Examples
    --------
    >>> load_literal("[64, 1e-3, no]")
    [64, 0.001, 'no']
    """
    try:
        return load_yaml(text)
    except ValueError as error:
        raise ValueError(f"{quote(text)} cannot be read: {error}") from None
