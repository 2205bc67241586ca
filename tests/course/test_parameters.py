"""Values for the parameters cell."""

import pytest
from nbformat.v4 import new_notebook
from support.notebooks import code

from mnist_course.parameters import check_parameters, check_value, read_parameters

# Parameters.

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
    with pytest.raises(ValueError, match=f"{expected}.*"):
        check_parameters({name: text}, DEFAULTS)


def test_values_from_python_are_checked_too():
    assert check_value("rate", 1, 0.5) == 1.0
    for value, default in ((True, 7), (1, True), ("1", 7), ((1, 2), [1]), (float("nan"), 0.5)):
        with pytest.raises(ValueError, match="must be"):
            check_value("name", value, default)


def test_defaults_are_read_from_the_tagged_cell():
    def cells(*sources):
        return new_notebook(cells=[code(source, "parameters") for source in sources])

    assert read_parameters(cells("a = -1  # one\n\nb = [1e-3]\nc = None")) == {
        "a": -1,
        "b": [0.001],
        "c": None,
    }
    assert read_parameters(cells("")) == {}
    assert read_parameters(new_notebook(cells=[code("a = 1")])) is None
    for source in (
        "a = 1 + x",
        "import os",
        "a = b = 1; print(a)",
        "a = (1, 2)",
        "a, b = 1, 2",
        "a.b = 1",
        "a = {}",
        "a =",
    ):
        with pytest.raises(ValueError, match="only lines `name = value`"):
            read_parameters(cells(source))
    with pytest.raises(ValueError, match="one cell"):
        read_parameters(cells("a = 1", "b = 1"))
