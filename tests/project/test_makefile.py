"""What `make` does, tried with a Python that only pretends."""

import os
import re
import shutil
import subprocess

import pytest
from support.pretender import read_calls, write_pretender
from support.project import ROOT
from support.tools import lacking

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    """Return a folder, with a space in its name, that holds what make needs."""
    if not shutil.which("make"):
        lacking("there is no make here")
    folder = tmp_path / "a folder"
    (folder / "notebooks").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy2(ROOT / name, folder)
    write_pretender(folder / "python", version="3.12")
    return folder


def make(folder, *arguments, python="./python", **settings):
    outer = ("MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS", "PYTHON", "ARGS")
    environment = {key: value for key, value in os.environ.items() if key not in outer}
    return subprocess.run(
        ["make", "-C", folder, "--no-print-directory", *arguments, f"PYTHON={python}"],
        env=environment | settings,
        capture_output=True,
        text=True,
        check=False,
    )


FIRST = ["venv .venv", "requirements.lock", ".", "mnist_course run"]


def test_make_help_lists_every_target(folder):
    targets = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
    phony = set(re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[1].split())
    assert targets == phony - {"FORCE"} and {"run", "test", "lab"} < targets
    shown = make(folder)
    assert {line.split()[1] for line in shown.stdout.splitlines()} == targets
    assert shown.stdout == make(folder, "help").stdout
    assert all(len(line.split()) > 4 for line in shown.stdout.splitlines())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"VERSION": "3.10"}, "is Python 3.10"),
        ({"VERSION": "3.14"}, "is Python 3.14"),
        ({"VERSION": "2.7"}, "is Python 2.7"),
        ({"python": "no-such-python"}, '"no-such-python" does not run'),
        ({"NO_VENV": "1"}, "apt install python3.12-venv"),
        ({"VENV_FAILS": "1"}, "could not make a virtual environment"),
    ],
)
def test_a_python_that_will_not_do_gets_one_clear_sentence(folder, settings, words):
    run = make(folder, "run", **settings)
    sentence, own = run.stderr.splitlines()
    assert run.returncode != 0 and run.stdout == ""
    assert words in sentence and own.startswith("make: ***")
    if "VENV_FAILS" not in settings:
        assert "make run PYTHON=python3.12" in sentence
    assert not (folder / ".venv").exists()
    assert make(folder, "run").returncode == 0


def test_the_environment_is_made_once_and_again_when_it_must(folder):
    assert make(folder, "run").returncode == 0
    assert read_calls(folder) == FIRST
    make(folder, "run")
    assert read_calls(folder) == ["mnist_course run"]

    make(folder, ".venv/ready-dev")
    assert read_calls(folder) == ["requirements-dev.lock", "."]
    make(folder, "run", ".venv/ready-dev")  # what the tests need satisfies the notebooks
    assert read_calls(folder) == ["mnist_course run"]

    later = (folder / ".venv/ready").stat().st_mtime + 10
    os.utime(folder / "requirements.lock", (later, later))
    make(folder, "run")
    assert read_calls(folder) == FIRST[1:]

    moved = folder.rename(folder.with_name("elsewhere"))
    make(moved, "run")
    assert read_calls(moved) == FIRST
    (moved / ".venv/bin/python").unlink()
    make(moved, "run")
    assert read_calls(moved) == FIRST


def test_an_installation_that_was_stopped_is_done_again(folder):
    run = make(folder, "run", PIP="offline")
    assert run.returncode != 0 and "ERROR: no network" in run.stderr
    assert read_calls(folder) == FIRST[:2]
    make(folder, "run")  # nothing was installed yet, so what is there will do
    assert read_calls(folder) == FIRST[1:]

    assert make(folder, ".venv/ready-dev", PIP="killed").returncode != 0
    assert read_calls(folder) == ["requirements-dev.lock"]
    make(folder, ".venv/ready-dev")  # half a package may be there
    assert read_calls(folder) == ["venv .venv", "requirements-dev.lock", "."]


def test_working_copies_are_never_overwritten(folder):
    tracked, work = folder / "notebooks", folder / "work"
    (tracked / "01 a.ipynb").write_text("new")
    assert make(folder, "work").returncode == 0
    assert (work / "01 a.ipynb").read_text() == "new"

    (work / "01 a.ipynb").write_text("mine")
    (work / "notes.txt").write_text("mine")
    (tracked / "02_b.ipynb").write_text("new")
    make(folder, "work")
    assert (work / "01 a.ipynb").read_text() == "mine"
    assert (work / "02_b.ipynb").read_text() == "new"

    for count in (1, 2):  # the second one may come within the same second
        assert make(folder, "reset").returncode == 0
        assert len(list(folder.glob("work-*"))) == count
        assert (work / "01 a.ipynb").read_text() == "new" and not (work / "notes.txt").exists()
        (work / "01 a.ipynb").write_text("mine")
    kept = [path.read_text() for path in folder.glob("work-*/01 a.ipynb")]
    assert kept == ["mine", "mine"]
    assert not list(folder.glob("*/work"))

    make(folder, "clean")
    assert (work / "01 a.ipynb").read_text() == "mine"
