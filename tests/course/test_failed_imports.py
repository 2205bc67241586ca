"""A variable that keeps a library from being imported is named."""

import os
import subprocess
import sys

import cv2
import pytest
from support.project import ROOT

from mnist_course import failed_imports
from mnist_course.failed_imports import explain_failed_import, quoted_variables


def fail_in_an_import(folder, monkeypatch, code):
    """Import a module with this code, and return the error that comes of it."""
    (folder / "library_of_a_test.py").write_text(code, "utf-8")
    monkeypatch.syspath_prepend(folder)
    with pytest.raises(ValueError) as caught:
        __import__("library_of_a_test")
    return caught.value


def test_the_variable_whose_value_ends_an_import_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("LIBRARY_THREADS", "three")
    code = "import os\nint(os.environ['LIBRARY_THREADS'])"
    text = explain_failed_import(fail_in_an_import(tmp_path, monkeypatch, code))
    assert text == (
        "a library cannot be imported (invalid literal for int() with base 10: 'three'): "
        "unset the variable LIBRARY_THREADS"
    )


def test_other_errors_are_left_to_say_what_they_say(tmp_path, monkeypatch):
    error = fail_in_an_import(tmp_path, monkeypatch, "raise ValueError('of no variable')")
    assert explain_failed_import(error) is None
    monkeypatch.setenv("LESSON_NAME", "three")
    try:
        int("three")
    except ValueError as caught:
        # Not in an import: somebody has typed it.
        assert explain_failed_import(caught) is None


def test_a_variable_is_found_by_its_name_and_by_its_value_in_quotes(monkeypatch):
    monkeypatch.setattr(
        failed_imports.os, "environ", {"A": "abc", "LONG_NAME": "1", "OTHER_NAME": "2"}
    )
    assert quoted_variables("LONG_NAME 1 is not supported, nor is 'abc'") == ["A", "LONG_NAME"]
    assert quoted_variables("A cat says abc, not '3'") == []
    assert quoted_variables("expected '1' or '2'") == []


def test_a_variable_that_opencv_reads_at_its_first_use_is_named(monkeypatch):
    error = cv2.error("stoull")
    assert explain_failed_import(error) is None
    monkeypatch.setenv("OPENCV_FOR_THREADS_NUM", "abc")
    assert explain_failed_import(error) == (
        "cv2 has failed (stoull): unset the variable OPENCV_FOR_THREADS_NUM"
    )


@pytest.mark.slow
def test_a_command_that_a_variable_keeps_from_starting_names_it(tmp_path):
    environment = os.environ | {"NUMPY_MADVISE_HUGEPAGE": "nope", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mnist_course", "read", "digit.png"]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert line.endswith(": unset the variable NUMPY_MADVISE_HUGEPAGE")
