"""What is told of an error, in one line."""

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_output

from mnist_course.errors import describe_cell_error, describe_failure

GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "cell.py", line 1, in <module>
  | ExceptionGroup: several (3 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "cell.py", line 5, in <module>
    |     try: g()
    |          ^^^
    | KeyError: 'q'
    +---------------- 2 ----------------
    | OSError: first line
    | last line
    +---------------- 3 ----------------
    | ExceptionGroup: in (1 sub-exception)
    +-+---------------- 1 ----------------
      | KeyError: 'x'
      +------------------------------------
"""


def test_a_group_of_errors_tells_each_of_them():
    message = {"ename": "ExceptionGroup", "evalue": "several (3 sub-exceptions)"}
    outputs = [new_output("stream", name="stderr", text=GROUP)]
    assert describe_cell_error(message, outputs) == (
        "ExceptionGroup: several (3 sub-exceptions): "
        "KeyError: 'q'; OSError: first line; ExceptionGroup: in (1 sub-exception); KeyError: 'x'"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "E"),
        (" \n", "E"),
        ("a\nb\n\n", "E: b"),
        ("x" * 10_000_000, f"E: {'x' * 145} … {'x' * 148}"),
    ],
)
def test_the_last_line_of_an_error_is_told_and_not_all_of_a_long_one(text, told):
    assert describe_cell_error({"ename": "E", "evalue": text}, []) == told


@pytest.mark.parametrize("odd", [None, 5, {}, [], "", ["a"], "\ud800", "a\nb", "x" * 1000])
def test_whatever_a_kernel_sends_is_told_in_one_line(odd):
    group = "several (3 sub-exceptions)"
    for message in ({"ename": odd, "evalue": odd}, {"ename": "E", "evalue": group}, {}):
        outputs = [
            NotebookNode(output_type="error", traceback=odd),
            NotebookNode(output_type="error", traceback=[odd, odd]),
            NotebookNode(output_type="stream", name="stderr", text=odd),
        ]
        told = describe_cell_error(message, outputs)
        assert 0 < len(told) <= 300 and len(told.splitlines()) == 1
        assert told.encode("utf-8")


def test_an_error_without_a_text_of_its_own_is_told_by_its_name():
    class OddError(Exception):
        def __str__(self):
            raise RuntimeError

    assert describe_failure(OddError()) == "OddError"


def test_a_full_disk_is_told_without_a_number():
    error = OSError(28, "No space left on device", "/tmp/x")
    assert describe_failure(error) == "the run could not go on: No space left on device (/tmp/x)"


@pytest.mark.parametrize("timeout", [None, 5])
def test_a_time_out_is_told_only_when_the_time_is_up(timeout):
    told = describe_failure(TimeoutError("no output"), timeout=timeout)
    assert told.startswith("time-out: the run was not done after 5") == (timeout is not None)
