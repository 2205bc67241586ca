"""What is written down in more than one place is the same everywhere, and names no one machine."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from support.project import ROOT
from support.tools import lacking

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DEPENDENCIES = PYPROJECT["project"]["dependencies"]
EXTRAS = PYPROJECT["project"]["optional-dependencies"]


# --- the conda environment ---------------------------------------------------------------------


def conda_faults(text, requires_python):
    environment = yaml.safe_load(text)
    *conda, last = environment["dependencies"]
    faults = []
    if environment["name"] != "mnist-keras":
        faults.append("the environment is not called mnist-keras")
    if sorted(re.split("[=<> ]", line)[0] for line in conda) != ["pip", "python"]:
        faults.append("conda gives more or less than python and pip")
    python = re.search(r"^python=(\d+\.\d+)$", "\n".join(conda), re.MULTILINE)
    if not python or python[1] not in SpecifierSet(requires_python):
        faults.append(f"python is not one of {requires_python}")
    if last != {"pip": ["-r requirements.lock"]}:
        faults.append("pip does not take exactly the lock")
    return faults


CONDA = (ROOT / "environment.yml").read_text(encoding="utf-8")


def test_environment_yml():
    assert conda_faults(CONDA, PYPROJECT["project"]["requires-python"]) == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("name: mnist-keras", "name: keras", "not called"),
        ("  - pip\n", "  - pip\n  - numpy\n", "more or less"),
        ("  - pip\n", "", "more or less"),
        ("python=3.12", "python=3.14", "not one of"),
        ("python=3.12", "python", "not one of"),
        ("-r requirements.lock", "-r requirements-dev.lock", "exactly the lock"),
        ("      - -r requirements.lock", "      - -r requirements.lock\n      - keras", "exactly"),
    ],
)
def test_a_mistake_in_environment_yml_is_seen(old, new, complaint):
    assert old in CONDA
    assert complaint in "\n".join(conda_faults(CONDA.replace(old, new), ">=3.11,<3.14"))


# --- Pythons, extras, version, installation ----------------------------------------------------


def python_faults(requires_python, classifiers, makefile, readme):
    """Compare the places that say which Pythons will do."""
    minors = [f"3.{n}" for n in range(30) if f"3.{n}" in SpecifierSet(requires_python)]
    faults = []
    if classifiers != [f"Programming Language :: Python :: {minor}" for minor in minors]:
        faults.append("the classifiers name other Pythons than requires-python")
    if f" in {' | '.join(minors)}) " not in makefile:
        faults.append("the Makefile checks for other Pythons than requires-python")
    if not re.search(rf"{re.escape(minors[0])}\b.*\b{re.escape(minors[-1])}\b", readme):
        faults.append(f"README.md does not say Python {minors[0]} to {minors[-1]}")
    return faults


def test_the_same_pythons_are_named_everywhere():
    project = PYPROJECT["project"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    given = project["requires-python"], project["classifiers"], makefile, readme
    assert python_faults(*given) == []
    assert len(python_faults(">=3.12,<3.14", *given[1:])) == 3


def test_extras_and_version():
    assert set(EXTRAS) == {"course", "dev", "gpu", "jax", "torch"}
    (gpu,) = map(Requirement, EXTRAS["gpu"])
    (plain,) = [r for r in map(Requirement, DEPENDENCIES) if r.name == "tensorflow"]
    assert (gpu.name, gpu.extras, gpu.specifier) == (plain.name, {"and-cuda"}, plain.specifier)

    version = re.search(
        r'^__version__ = "(.+)"$', (ROOT / "mnist_helpers/__init__.py").read_text(), re.MULTILINE
    )
    assert version[1] == PYPROJECT["project"]["version"]


def test_the_project_is_installed_the_same_way_everywhere():
    for name in ("environment.yml", "postBuild"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "--no-deps --no-build-isolation -e ." in text, name
    # What `make` and the kit call; tests/project/test_makefile.py tries it.
    installer = (ROOT / "mnist_course/install.py").read_text(encoding="utf-8")
    for option in ('"--no-deps"', '"--no-build-isolation", "-e"'):
        assert option in installer
    for name in (".ci/run", "postBuild"):
        assert os.access(ROOT / name, os.X_OK), f"{name} must be executable"


# --- places ------------------------------------------------------------------------------------


def place_faults(files, here):
    """Say which files, {path: text}, name a place that only exists on one machine."""
    faults = []
    own = r"(?<![\w./-])(?:" + "|".join(map(re.escape, here)) + r")(?![\w-])"
    homes = r"(?<![\w./-])/(?:home|Users)/\w+|\b[A-Z]:\\+Users\\"
    for path, text in files.items():
        if "../" + "shared" in text and path != ".ci/run":
            faults.append(f"{path} names a folder beside the project")
        # Tests of what hides such paths need examples.
        if re.search(own, text) or not path.startswith("tests/") and re.search(homes, text):
            faults.append(f"{path} names an absolute path of one machine")
    return faults


def tracked_files():
    """Return {path: text} of the files that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        lacking("this is no git checkout: which files belong to the project is not known")
    found = {}
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.is_file():
            found[name] = path.read_text(encoding="utf-8", errors="ignore")
    return found


def test_no_file_names_a_place_on_one_machine():
    here = {str(place) for place in (Path.home(), ROOT) if place != Path("/")}
    assert place_faults(tracked_files(), here) == []


def test_a_place_on_one_machine_is_seen():
    beside = "../" + "shared/data"
    home = "/home" + "/ada"
    here = {"/src/mnist"}
    assert place_faults({".ci/run": beside, "a": "/src/mnist-2 ~/x /usr/bin"}, here) == []
    assert place_faults({"tests/test_a.py": home, "b": "a/home/b"}, here) == []
    for text in (beside, f"in {home}/x", "C:\\" + "Users\\ada", "at /src/mnist/a"):
        assert len(place_faults({"README.md": text}, here)) == 1, text
