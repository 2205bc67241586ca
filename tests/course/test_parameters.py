"""Values for the parameters cell."""

import pytest
from nbformat.v4 import new_notebook
from support.notebooks import code

from mnist_course.parameters import (
    check_parameters,
    check_value,
    load_literal,
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
    with pytest.raises(ValueError, match="only lines `name = value`"):
        read_parameters(notebook(source))


def test_two_tagged_cells_are_refused():
    with pytest.raises(ValueError, match="one cell"):
        read_parameters(notebook("a = 1", "b = 1"))
