"""Files that are imported instead of a module of Python or of a package."""

import os
import sys

import pytest
from support.project import ROOT

from mnist_course.hiding import find_hiding_files


@pytest.mark.parametrize(
    "name", ["keras", "numpy", "random", "json", "types", "yaml", "PIL", "mnist_helpers", "test"]
)
@pytest.mark.parametrize("form", ["{}.py", "{}/__init__.py"])
def test_a_file_or_package_with_a_module_s_name_is_named(tmp_path, name, form):
    file = tmp_path / form.format(name)
    file.parent.mkdir(exist_ok=True)
    file.touch()
    # What is named is what is to be renamed.
    named = tmp_path / form.format(name).removesuffix("/__init__.py")
    sentence = f"{named} is imported instead of the module {name}: rename it"
    assert find_hiding_files([tmp_path]) == [sentence]


def test_every_module_of_python_s_library_is_known(tmp_path):
    for name in sys.stdlib_module_names:
        (tmp_path / f"{name}.py").touch()
    sentences = find_hiding_files([tmp_path])
    hidden = {sentence.split()[-3].rstrip(":") for sentence in sentences}
    # All that Python does not carry within itself.
    assert {"random", "types", "enum", "argparse", "re", "json", "statistics"} <= hidden
    assert not {"sys", "builtins", "time", "os", "io", "abc"} & hidden


def test_what_hides_nothing_is_not_named(tmp_path):
    (tmp_path / "my_digits.py").touch()
    (tmp_path / "random.txt").touch()
    # Python carries this one within itself, and looks in no folder for it.
    (tmp_path / "time.py").touch()
    # A folder without an __init__.py gives way to the package.
    (tmp_path / "keras").mkdir()
    assert find_hiding_files([tmp_path, tmp_path / "gone"]) == []


def test_what_is_no_file_hides_nothing(tmp_path):
    (tmp_path / "keras.py").mkdir()
    (tmp_path / "numpy" / "__init__.py").mkdir(parents=True)
    (tmp_path / "random.py").symlink_to("none")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "json.py")
    assert find_hiding_files([tmp_path]) == []


def test_in_the_project_itself_nothing_hides_anything():
    assert find_hiding_files([ROOT, ROOT / "notebooks"]) == []
