"""What `make` does, tried with a Python that only pretends."""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.pretender import read_calls, write_pretender
from support.project import ROOT
from support.tools import lacking

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def all_but_python(folder, names):
    return [name for name in names if not name.endswith(".py")]


@pytest.fixture
def folder(tmp_path):
    """Return a folder, with a space in its name, that holds what make needs."""
    if not shutil.which("make"):
        lacking("there is no make here")
    folder = tmp_path / "a folder"
    (folder / "notebooks").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy2(ROOT / name, folder)
    for package in ("mnist_course", "mnist_helpers"):
        shutil.copytree(ROOT / package, folder / package, ignore=all_but_python)
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


PYTHON = r'(?:python"?|"-\$version")'
START = re.compile(PYTHON + "((?: -[A-Z])*) (?:-m mnist_course|mnist_course/)")


def unsafe_starts(text):
    """Return the commands that would import from the folder in which they are started."""
    starts = list(START.finditer(text))
    assert starts
    return [start[0] for start in starts if not {"-P", "-I"} & set(start[1].split())]


def test_no_file_of_the_folder_hides_a_module_of_python():
    files = [ROOT / "Makefile", *(ROOT / "mnist_course/kit_files").glob("*install*")]
    files += (ROOT / "mnist_course/kit_files").glob("*start*")
    for path in files:
        text = path.read_text("utf-8")
        assert unsafe_starts(text) == [], path.name
        assert unsafe_starts(text.replace(" -P", "").replace(" -I", "")) != [], path.name


@pytest.mark.parametrize("program", ["mnist_course/install.py", "mnist_course/work.py"])
def test_what_make_starts_finds_its_modules_and_no_others(folder, program):
    for module in ("types", "enum", "random", "signal", "tempfile", "mnist_course"):
        (folder / f"{module}.py").write_text("raise SystemExit('hidden')")
    # As where nothing is installed.
    run = subprocess.run(
        [sys.executable, "-S", "-P", program, "--help"], cwd=folder, capture_output=True, text=True
    )
    assert (run.returncode, run.stderr) == (0, "") and "usage: " in run.stdout


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"VERSION": "3.10"}, "is Python 3.10"),
        ({"VERSION": "3.14"}, "is Python 3.14"),
        ({"VERSION": "2.7"}, "is Python 2.7"),
        ({"python": "no-such-python"}, '"no-such-python" does not run'),
        ({"NO_VENV": "1"}, "apt install python3.12-venv"),
        ({"VENV_FAILS": "1"}, "No environment could be made here"),
    ],
)
def test_a_python_that_will_not_do_gets_one_clear_sentence(folder, settings, words):
    run = make(folder, "run", **settings)
    sentence, own = run.stderr.splitlines()
    assert run.returncode != 0
    if "VENV_FAILS" not in settings:
        assert run.stdout == ""
    assert words in sentence and own.startswith("make: ***")
    if "VENV_FAILS" not in settings:
        assert "make run PYTHON=python3.12" in sentence
    assert not (folder / ".venv").exists()
    assert make(folder, "run").returncode == 0


@pytest.mark.parametrize("target", ["work", "reset"])
def test_copies_are_made_with_a_python_that_runs_or_one_sentence_says_that_there_is_none(
    folder, target
):
    (folder / "notebooks" / "01_a.ipynb").touch()
    broken = folder / ".venv/bin/python"
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/no/such/python\n")
    broken.chmod(0o755)
    run = make(folder, target, python="no-such-python")
    sentence, own = run.stderr.splitlines()
    assert sentence == (
        'A Python is needed and "no-such-python" does not run: '
        f"name one you have: make {target} PYTHON=python3.12"
    )
    assert own.startswith("make: ***")
    assert make(folder, target).returncode == 0
    assert (folder / "work" / "01_a.ipynb").exists()


def test_a_variable_that_is_set_for_something_else_changes_no_target(folder):
    assert make(folder, "run", ARGS="--output elsewhere").returncode == 0
    assert read_calls(folder)[-1] == "mnist_course run"
    make(folder, "run", "ARGS=--output results")
    assert read_calls(folder) == ["mnist_course run --output results"]
    assert "-n max" not in make(folder, "--dry-run", "test-fast", JOBS="max").stdout
    assert "-n 7 " in make(folder, "--dry-run", "test-fast", "JOBS=7").stdout


def test_no_variable_leads_cd_to_another_folder(folder):
    (folder / "show.mk").write_text("include Makefile\nshow:\n\t@cd tests && pwd\n")
    for place in (folder, folder / "other"):
        (place / "tests").mkdir(parents=True)
    run = make(folder, "--file", "show.mk", "show", CDPATH=str(folder / "other"))
    assert run.stdout.splitlines()[-1] == str(folder / "tests")


def environments(folder):
    return list(folder.glob(".venv.????????"))


def change(folder, lock="requirements.lock"):
    """Let a lock ask for more than before."""
    with open(folder / lock, "a") as file:
        file.write("# more\n")
    later = (folder / ".venv/ready").stat().st_mtime + 10
    os.utime(folder / lock, (later, later))


def test_the_environment_is_made_once_and_again_when_it_must(folder):
    assert make(folder, "run").returncode == 0
    assert read_calls(folder) == FIRST
    make(folder, "run")
    assert read_calls(folder) == ["mnist_course run"]

    make(folder, ".venv/ready-dev")
    assert read_calls(folder) == ["requirements-dev.lock"]
    make(folder, "run", ".venv/ready-dev")  # what the tests need satisfies the notebooks
    assert read_calls(folder) == ["mnist_course run"]

    change(folder, "pyproject.toml")
    make(folder, "run")
    assert read_calls(folder) == [".", "mnist_course run"]
    change(folder)
    make(folder, "run")
    assert read_calls(folder) == FIRST
    make(folder, "run", VERSION="3.13")  # the Python under it became another
    assert read_calls(folder) == FIRST

    moved = folder.rename(folder.with_name("elsewhere"))
    make(moved, "run")
    assert read_calls(moved) == FIRST
    (moved / ".venv/bin/python").unlink()
    make(moved, "run")
    assert read_calls(moved) == FIRST
    assert len(environments(moved)) == 1 and (moved / ".venv").is_symlink()


@pytest.mark.parametrize("status", ["offline", "full", "hashes", "stopped", "killed", "no venv"])
def test_the_environment_stays_until_the_next_one_is_complete(folder, status):
    assert make(folder, "run").returncode == 0
    (before,) = environments(folder)
    change(folder)
    read_calls(folder)
    settings = {"PIP": status}
    if status == "no venv":
        settings = {"VENV_FAILS": "1"}
    assert make(folder, "run", **settings).returncode != 0
    assert "mnist_course run" not in read_calls(folder)
    assert (folder / ".venv").samefile(before)
    assert (folder / ".venv/bin/python").exists() and (folder / ".venv/ready").exists()
    if status != "killed":  # that one could not clean up; the next one does
        assert environments(folder) == [before]

    assert make(folder, "run").returncode == 0
    assert read_calls(folder) == FIRST
    (after,) = environments(folder)
    assert after != before and (folder / ".venv").samefile(after)


def test_an_environment_of_an_earlier_version_or_of_ones_own_stays_too(folder):
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/mine").touch()
    assert make(folder, "run", PIP="offline").returncode != 0
    assert (folder / ".venv/bin/mine").exists()
    assert make(folder, "run").returncode == 0
    assert not (folder / ".venv/bin/mine").exists() and len(environments(folder)) == 1


def test_a_link_to_an_environment_elsewhere_is_replaced_and_what_it_leads_to_stays(folder):
    (folder.parent / "theirs/bin").mkdir(parents=True)
    (folder / ".venv").symlink_to(folder.parent / "theirs")
    assert make(folder, "run").returncode == 0
    assert (folder.parent / "theirs/bin").exists()
    assert (folder / ".venv").samefile(environments(folder)[0])


def test_an_installation_that_was_stopped_is_done_again(folder):
    run = make(folder, "run", PIP="offline")
    assert run.returncode != 0 and "ERROR: no network" in run.stderr
    assert "What was there before is as it was." in run.stderr
    assert not (folder / ".venv").exists() and environments(folder) == []
    read_calls(folder)
    assert make(folder, "run").returncode == 0

    # When packages are added, half a package may be there afterwards: pip takes it for a whole one.
    read_calls(folder)
    assert make(folder, ".venv/ready-dev", PIP="killed").returncode != 0
    assert read_calls(folder) == ["requirements-dev.lock"]
    assert make(folder, "run").returncode == 0  # what was there is as it was
    assert read_calls(folder) == ["mnist_course run"]
    make(folder, ".venv/ready-dev")
    assert read_calls(folder) == ["venv .venv", "requirements-dev.lock", "."]


def test_what_was_left_is_removed_and_what_is_somebodys_own_is_not(folder):
    assert make(folder, "run", PIP="killed").returncode != 0
    (left,) = environments(folder)
    (folder / ".venv.abcdefgh").mkdir()  # killed before there was anything in it
    mine = folder / ".venv.20260131"
    (mine / "bin").mkdir(parents=True)
    make(folder, "run")
    assert not left.exists() and not (folder / ".venv.abcdefgh").exists()
    assert (mine / "bin").exists() and len(environments(folder)) == 2


def test_of_two_at_once_one_installs_and_the_other_waits(folder):
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda _: make(folder, "run", PIP="slow"), range(2)))
    assert [run.returncode for run in runs] == [0, 0]
    assert sorted(read_calls(folder)) == sorted([*FIRST, "mnist_course run"])
    assert "waiting for its end" in runs[0].stdout + runs[1].stdout
    assert len(environments(folder)) == 1


def test_another_back_end_has_an_environment_of_its_own(folder):
    make(folder, ".venv/ready-dev")
    read_calls(folder)
    assert make(folder, ".venv-jax/ready", PIP="killed").returncode != 0
    assert not (folder / ".venv-jax").exists() and (folder / ".venv/bin/python").exists()
    read_calls(folder)
    assert make(folder, ".venv-jax/ready").returncode == 0
    assert read_calls(folder) == ["venv .venv-jax", "requirements-dev.lock", ".[jax]"]
    assert make(folder, ".venv-jax/ready").returncode == 0
    assert read_calls(folder) == [] and len(list(folder.glob(".venv-jax.*"))) == 1
    make(folder, "clean")
    assert list(folder.glob(".venv*")) == []


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
