"""Values for the parameters cell."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_notebook
from support.notebooks import code

from mnist_course.parameters import (
    YamlTexts,
    check_parameters,
    check_value,
    load_literal,
    load_yaml,
    quote,
    read_parameters,
    split_assignments,
)

DEFAULTS = {
    "seed": 7,
    "rate": 0.5,
    "units": [512, 512],
    "flag": True,
    "data": "",
    "extra": None,
    "shares": [0.1],
    "nothing": [],
}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("seed", "3", 3),
        ("seed", "-3", -3),
        ("rate", "1e-3", 0.001),
        ("rate", "3", 3.0),
        ("flag", "false", False),
        ("data", "0123", "0123"),
        ("data", "true", "true"),
        ("data", "", ""),
        ("units", "[64,32]", [64, 32]),
        ("units", "[]", []),
        ("shares", "[1, 1e-2]", [1.0, 0.01]),
        ("extra", "null", None),
        ("extra", "1e-3", 0.001),
        ("extra", "yes", "yes"),
        ("extra", "0123", "0123"),
        ("extra", "[1, x]", [1, "x"]),
        ("nothing", "[1, a]", [1, "a"]),
    ],
)
def test_texts_become_what_the_default_says(name, text, value):
    typed = check_parameters({name: text}, DEFAULTS)[name]
    assert typed == value and type(typed) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("seed", "1.5", "an int"),
        ("seed", "true", "an int"),
        ("seed", "'3'", "an int"),
        ("seed", "", "an int"),
        ("rate", "much", "a float"),
        ("rate", "nan", "a float"),
        ("rate", "1e999", "a float"),
        ("flag", "1", "true or false"),
        ("flag", "False", "true"),
        ("flag", "yes", "true or false"),
        ("units", "64", "a list"),
        ("units", "[64, 1.5]", "a list"),
        ("units", "[[64]]", "a list"),
        ("extra", "{a: 1}", "a number"),
        ("seed", "[", "cannot be read"),
        ("extra", "!!python/name:os.system x", "cannot be read"),
    ],
)
def test_wrong_types_are_refused(name, text, expected):
    with pytest.raises(ValueError, match=expected):
        check_parameters({name: text}, DEFAULTS)


def test_an_int_from_python_becomes_a_float_where_the_default_is_one():
    value = check_value("rate", 1, 0.5)
    assert value == 1.0 and type(value) is float


@pytest.mark.parametrize(
    ("value", "default"),
    [
        (True, 7),
        (1, True),
        ("1", 7),
        ((1, 2), [1]),
        (float("nan"), 0.5),
        (float("inf"), None),
        ([1, {}], None),
        ([1, 1.5], [1]),
    ],
)
def test_values_from_python_of_another_type_are_refused(value, default):
    with pytest.raises(ValueError, match="^name must be .+ like its default .+; received "):
        check_value("name", value, default)


def test_a_name_given_twice_is_refused():
    with pytest.raises(ValueError, match="'a' is there twice"):
        load_literal("[{a: 1, a: 2}]")
    with pytest.raises(ValueError, match="^--set takes name=value, once a name; received 'a=2'$"):
        split_assignments("--set", ["a=1", "a=2"])


# --- what asks for too much --------------------------------------------------------------------

# Nine aliases in a list, nine lists deep: half a billion values from 250 characters.
LETTERS = "abcdefgh"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "\n".join(
    f"{name}: &{name} [{','.join([f'*{previous}'] * 9)}]"
    for previous, name in zip(LETTERS, LETTERS[1:], strict=False)
)

TOO_MUCH_YAML = {
    "line 1: anchors and aliases": [BOMB, "&a 1", "[&a [x], *a]", "{a: *b}"],
    "line 3: anchors and aliases": ["a: 1\nb:\n- &b 2"],
    "line 1: tags": ["!!python/name:os.system x", "!!set {a}", "! a", "!<tag:yaml.org,2002:int> 1"],
    "line 1: lists in lists may be 10 deep": ["[" * 12, "[" * 90_000, "- " * 12, "{a: " * 12],
    "may have 100,000 characters": ["x" * 100_001, "[" + "1," * 10**7 + "]"],
    "line 2: a whole number may have 100 digits": ["\n" + "1" * 400, "\n- " + "9" * 90_000],
    "line 1: a name must be a plain text": ["? [a]\n: 1", "{{}: 1}"],
    "character 2: ": ["a\0b", "a\x1bb"],
    "it is no YAML": ['"\\UFFFFFFFF"', f"%YAML {'9' * 5000}.1\n--- a"],
}


@pytest.mark.parametrize("message", TOO_MUCH_YAML)
def test_a_text_that_asks_for_too_much_is_refused_with_the_line(message):
    for text in TOO_MUCH_YAML[message]:
        with pytest.raises(ValueError) as caught:
            load_yaml(text)
        assert message in str(caught.value)
        assert len(str(caught.value)) < 300


def test_texts_alone_are_bounded_as_well():
    for text in (BOMB, "!!x a", "[" * 1000):
        with pytest.raises(ValueError, match="^line 1: "):
            load_yaml(text, YamlTexts)


@pytest.mark.parametrize("bytes_", [b"\xef\xbb\xbfa: 1", "a: 1".encode("utf-16")])
def test_a_byte_order_mark_is_understood(bytes_):
    assert load_yaml(bytes_) == {"a": 1}


def endless():
    items = []
    items += [items, items]
    return items


def deep():
    items = []
    for _ in range(100_000):
        items = [items]
    return items


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate", "1" * 400),
        ("rate", 10**400),
        ("rate", "1" * 90_000),
        ("seed", "1" * 400),
        ("seed", 10**5000),
        ("seed", -(10**5000)),
        ("seed", [10**5000]),
        ("seed", "x" * 10**7),
        ("data", "x" * 10**7),
        ("data", "\udcff"),
        ("extra", endless()),
        ("extra", deep()),
        ("extra", [0] * 10**6),
        ("extra", BOMB),
        ("extra", object()),
        ("", "1"),
        ("a\x1b[31m", "1"),
        ("s" * 10**6, "1"),
        ("__class__", "1"),
        (None, "1"),
        (("seed",), "1"),
    ],
    ids=lambda value: quote(value)[:20],
)
def test_what_no_record_can_hold_is_refused_in_a_short_line(name, value):
    with pytest.raises(ValueError) as caught:
        check_parameters({name: value}, DEFAULTS)
    message = str(caught.value)
    assert str(name)[:6] in message or repr(name) in message or ascii(name) in message
    assert message.isprintable()
    assert len(message) < 700


def test_errors_quote_little():
    for value in ("x" * 10**7, ["x" * 1000] * 1000, 10**5000, endless(), {"a": ["x"] * 10**5}):
        assert len(quote(value)) <= 200
    with pytest.raises(ValueError) as caught:
        split_assignments("-p", ["x" * 10**7])
    assert len(str(caught.value)) < 300
    many = {f"name_{number}": 1 for number in range(10_000)}
    with pytest.raises(ValueError, match="unknown parameter") as caught:
        check_parameters({"x": 1}, many)
    assert len(str(caught.value)) < 300


# --- whatever comes in -------------------------------------------------------------------------

bounded = settings(max_examples=100, derandomize=True, database=None, deadline=None)

# Pieces of YAML, so that more than one text in a thousand is nearly right.
PIECES = st.sampled_from(
    ["a", ": ", "[", "]", "{", "}", ",", "\n", "- ", "1", "e", ".", "&a ", "*a", "!!", "<<", "~"]
    + ["'", '"', "\\", "#", "%", "|", ">", "?", "@", "\t", "\0", "\ufeff", "\ud800", "0:9", "null"]
)
TEXTS = st.one_of(st.text(max_size=30), st.lists(PIECES, max_size=15).map("".join))
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS)
VALUES = st.recursive(PLAIN, lambda items: st.lists(items, max_size=4), max_leaves=6)
NAMES = st.one_of(st.sampled_from(sorted(DEFAULTS)), TEXTS)


@bounded
@given(st.dictionaries(NAMES, VALUES, max_size=3))
def test_any_values_are_typed_or_refused_in_one_line(values):
    try:
        checked = check_parameters(values, DEFAULTS)
    except ValueError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 700
        return
    assert list(checked) == list(values)
    for name, value in checked.items():
        if DEFAULTS[name] is not None:
            assert type(value) is type(DEFAULTS[name])
    assert json.loads(json.dumps(checked, allow_nan=False)) == checked


@bounded
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "é", "1"]), TEXTS | PLAIN.map(repr)), max_size=4)
)
def test_any_cell_has_plain_values_or_is_refused_in_one_line(lines):
    source = "\n".join(f"{name} = {value}" for name, value in lines)
    try:
        values = read_parameters(notebook(source))
    except ValueError as error:
        assert str(error).startswith("the cell tagged `parameters`")
        assert str(error).isprintable()
        return
    assert json.loads(json.dumps(values, allow_nan=False)) == values


# --- the cell ----------------------------------------------------------------------------------


def notebook(*sources):
    return new_notebook(cells=[code(source, "parameters") for source in sources])


def test_defaults_are_read_from_the_tagged_cell():
    source = "a = -1  # one\n\nb = [1e-3]\nc = None"
    assert read_parameters(notebook(source)) == {"a": -1, "b": [0.001], "c": None}
    assert read_parameters(notebook("")) == {}


def test_without_a_tagged_cell_there_are_no_defaults():
    assert read_parameters(new_notebook(cells=[code("a = 1")])) is None


@pytest.mark.parametrize(
    "source",
    [
        "a = 1 + x",
        "import os",
        "a = b = 1",
        "print(a)",
        "a = (1, 2)",
        "a, b = 1, 2",
        "a.b = 1",
        "a[0] = 1",
        "a: int = 1",
        "a += 1",
        "a = {}",
        "a = {[]: 1}",
        "a = 1e999",
        "a =",
        "a = '\0'",
    ],
)
def test_a_cell_with_anything_but_literals_is_refused(source):
    with pytest.raises(ValueError, match="only lines `name = value`.*; line 1 is none of these$"):
        read_parameters(notebook(source))


TOO_MUCH_PYTHON = {
    "minus": "a = " + "-" * 90_000 + "1",
    "sum": "a = " + "1 + " * 20_000 + "1",
    "product": 'a = "a" * 10**9',
    "power": "a = 10**9",
    "brackets": "a = " + "[" * 50_000,
    "lists": "a = " + "[" * 90 + "]" * 90,
    "tuples": "a = " + "(1, " * 80 + ")" * 80,
    "calls": "a = " + "f(" * 80 + ")" * 80,
    "digits": "a = " + "1" * 400,
    "more digits": "a = " + "1" * 90_000,
    "surrogate": r"a = '\ud800'",
    "characters": "a = 1\n" * 10**6,
    "complex": "a = 1j",
    "bytes": "a = b'x'",
    "set": "a = {1}",
    "f-string": "a = f'{1}'",
    "keys": "a = {1: 2}",
}


@pytest.mark.parametrize("source", TOO_MUCH_PYTHON.values(), ids=TOO_MUCH_PYTHON)
def test_a_cell_that_asks_for_too_much_is_refused(source):
    with pytest.raises(ValueError, match="^the cell tagged `parameters` may hold only") as caught:
        read_parameters(notebook(source))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("source", [r"a = 'C:\digits'", "a = 1if 2 else 3"])
def test_what_python_says_of_a_cell_is_not_shown(source, recwarn):
    with contextlib.suppress(ValueError):
        read_parameters(notebook(source))
    assert list(recwarn) == []


def test_the_line_that_is_wrong_is_named():
    with pytest.raises(ValueError, match="; line 3 is none of these$"):
        read_parameters(notebook("a = 1\n\nb = c"))


@pytest.mark.parametrize("tags", [None, 5, "parameters", {"parameters": 1}])
def test_tags_that_are_no_list_are_none(tags):
    cells = notebook("a = 1")
    cells.cells[0].metadata["tags"] = tags
    assert read_parameters(cells) is None


def test_two_tagged_cells_are_refused():
    with pytest.raises(ValueError, match="one cell"):
        read_parameters(notebook("a = 1", "b = 1"))
