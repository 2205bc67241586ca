"""The doctor's lines: each when all is well, and each when what it looks for is really broken."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import distributed.system
import psutil
import pytest
from support.notebooks import output_text
from support.project import ROOT

from mnist_course import doctor
from mnist_course.run import find_notebooks, read_notebook, run_copy
from mnist_helpers import tables

DOCTOR = ["-m", "mnist_course", "doctor"]
START = "00_start_here"
LINES = ["Python", "Kernel", "Packages", "Keras", "Digits", "Room", "Time"]
HASH = f"--hash=sha256:{'0' * 64}"
PYTHON = Path("Scripts/python.exe" if os.name == "nt" else "bin/python")


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    """Keep the settings of this computer out of it."""
    for name in list(os.environ):
        if name.startswith(("CONDA_", "JUPYTER_P", "KERAS_")) or name == "VIRTUAL_ENV":
            monkeypatch.delenv(name)
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))


@pytest.fixture
def facts():
    return {"data": "", "digits": "bundled digits", "updates_per_second": None}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Put the package, as far as the doctor can see, into a folder without an environment."""
    monkeypatch.setattr(doctor, "_PROJECT", tmp_path / "project")
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.fixture(scope="session")
def other(tmp_path_factory):
    """Return another environment, in which nothing is installed."""
    place = tmp_path_factory.mktemp("another") / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    return place


def run_doctor(python=sys.executable, **environment):
    command = [python, *DOCTOR]
    options = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 300}
    run = subprocess.run(command, env=os.environ | environment, **options)
    assert run.stderr == ""
    return run.returncode, run.stdout.splitlines()


def words(lines):
    return {line[6:].partition(":")[0]: line[:6].strip() for line in lines}


# --- all of it ---------------------------------------------------------------------------------


def test_where_all_is_well_every_line_says_ok_and_the_status_is_0():
    status, lines = run_doctor()
    assert words(lines) == dict.fromkeys(LINES, "OK"), lines
    assert status == 0 and len(lines) == len(LINES)
    assert lines[1].count(sys.prefix) == 2  # the kernel's Python, and where it belongs
    assert lines[2].endswith("all as requirements.lock asks")
    assert f" on tensorflow {metadata.version('tensorflow')}, device: cpu" in lines[3]
    for row in tables.load_table("notebooks"):
        assert f" {row['notebook'][:2]} " in lines[6]


def test_what_is_broken_gives_a_line_each_and_status_1(tmp_path):
    missing = str(tmp_path / "mnist.npz")
    status, lines = run_doctor(KERAS_BACKEND="nonsense", MNIST_HELPERS_DATA=missing)
    broken = dict.fromkeys(["Keras", "Digits", "Time"], "MEND")
    assert status == 1 and words(lines) == dict.fromkeys(LINES, "OK") | broken
    assert "Unable to import backend : nonsense" in lines[3]
    assert lines[3].endswith(": set the variable KERAS_BACKEND to tensorflow")
    assert f"{missing}: there is no such file" in lines[4]


def test_a_python_in_which_nothing_is_installed_is_told_so_without_a_traceback(other):
    status, lines = run_doctor(other / PYTHON)
    assert status == 1 and words(lines) == dict.fromkeys(LINES, "MEND")
    assert "mnist-helpers is not installed" in lines[0]
    cures = f"-m mnist_course doctor$|belongs to {re.escape(str(other))}"
    assert re.search(cures, lines[1]), lines
    assert "No module named 'keras'" in lines[3] and "-m pip install --require-hashes" in lines[3]


def test_a_check_that_fails_itself_is_a_line_and_stops_no_other(monkeypatch, capsys):
    def fail(facts):
        raise RuntimeError("one\ntwo")

    checks = {"One": fail, "Two": lambda facts: ("OK", "well"), "Three": lambda facts: ("NOTE", "")}
    monkeypatch.setattr(doctor, "_CHECKS", checks)
    assert doctor.check_environment("here")["lines_to_mend"] == 1
    one, two, three = capsys.readouterr().out.splitlines()
    assert one.startswith("MEND  One: this could not be checked (RuntimeError: one two): ")
    assert "pip install" in one and two == "OK    Two: well" and three == "NOTE  Three: "


def test_importing_it_imports_nothing_heavy():
    code = "import sys; from mnist_course import doctor; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {
        name for name in run.stdout.split() if name.startswith(("mnist_helpers", "mnist_course"))
    }
    assert ours == {"mnist_helpers", "mnist_course", "mnist_course.doctor"}
    assert not {"numpy", "keras", "jupyter_client", "packaging"} & set(run.stdout.split())


def test_the_notebook_shows_what_is_to_mend_and_reaches_its_end(tmp_path):
    (notebook,) = find_notebooks([START])
    copy = tmp_path / "copy.ipynb"
    variables = {"MNIST_HELPERS_DATA": "digits", "KERAS_BACKEND": "nonsense"}
    outcome = run_copy(
        read_notebook(notebook), copy, parameters={}, folder=tmp_path, environment=variables
    )
    assert outcome["error"] is None
    assert outcome["record"]["metrics"] == {"lines_to_mend": 2}
    text = output_text(copy)
    assert "MEND  Keras: " in text and "MEND  Time: " in text
    assert f"OK    Kernel: {sys.executable} belongs to {sys.prefix}" in text


# --- Python ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "word"), [((3, 12, 1), "OK"), ((3, 10, 9), "MEND")])
def test_the_version_of_python(monkeypatch, facts, version, word):
    monkeypatch.setattr(doctor, "sys", SimpleNamespace(version_info=(*version, "final", 0)))
    found, text = doctor._check_python(facts)
    assert found == word and text.startswith("3.") and ">=3.11" in text


# --- kernel ------------------------------------------------------------------------------------


def name_kernel(folder, program):
    (folder / "kernels" / "python3").mkdir(parents=True, exist_ok=True)
    spec = {"argv": [str(program), "-m", "ipykernel_launcher", "-f", "{connection_file}"]}
    spec |= {"display_name": "Python 3", "language": "python"}
    (folder / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec), "utf-8")
    return folder / "kernels" / "python3"


def test_a_kernel_of_another_python_is_seen_where_jupyter_would_take_it(
    tmp_path, project, other, facts, monkeypatch
):
    spec = name_kernel(tmp_path / "jupyter", other / PYTHON)
    assert doctor._check_kernel(facts)[0] == "OK"  # this environment's comes first
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    word, text = doctor._check_kernel(facts)
    assert word == "MEND" and f"{other / PYTHON} belongs to {other}, not to {sys.prefix}: " in text
    assert f": rename the folder {spec}, " in text
    spec.rename(tmp_path / "renamed")
    assert doctor._check_kernel(facts)[0] == "OK"


@pytest.mark.parametrize(
    ("program", "word"),
    [
        ("python", "OK"),
        ("python3", "OK"),
        (sys.executable, "OK"),
        (os.path.join(os.sep, "no", "such", "python"), "MEND"),
        (shutil.which("true") or "true", "MEND"),
    ],
)
def test_the_program_that_a_kernel_names(tmp_path, project, facts, monkeypatch, program, word):
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    name_kernel(tmp_path, program)
    found, text = doctor._check_kernel(facts)
    assert found == word
    assert ("belongs to nothing that runs, " in text) == (word == "MEND")


def test_an_environment_is_known_through_a_link(project, facts):
    (project / ".venv").symlink_to(sys.prefix, target_is_directory=True)
    assert doctor._check_kernel(facts)[0] == "OK"


def test_the_wrong_python_is_told_which_one_to_run(project, other, facts, monkeypatch):
    (project / ".venv").symlink_to(other, target_is_directory=True)
    monkeypatch.chdir(project)
    word, text = doctor._check_kernel(facts)
    assert word == "MEND" and f"{sys.executable} belongs to {sys.prefix}, " in text
    assert text.endswith(f": run {Path('.venv', PYTHON)} -m mnist_course doctor")


def test_the_environment_that_is_active_counts(project, other, facts, monkeypatch):
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.setenv(name, str(other))
        assert doctor._check_kernel(facts)[0] == "MEND"
        monkeypatch.setenv(name, str(other / "gone"))
        assert doctor._check_kernel(facts)[0] == "OK"
    monkeypatch.setenv("CONDA_PREFIX", str(other))
    monkeypatch.setenv("CONDA_DEFAULT_ENV", "base")  # it is active without anybody's wish
    assert doctor._check_kernel(facts)[0] == "OK"
    monkeypatch.setenv("VIRTUAL_ENV", str(other))
    monkeypatch.setattr(doctor, "_PROJECT", project / "site-packages")
    assert doctor._check_kernel(facts)[0] == "OK"  # the package lies in the one that runs


def test_another_back_ends_environment_in_the_project_will_do(project, other, monkeypatch):
    (project / ".venv").symlink_to(other, target_is_directory=True)
    monkeypatch.setattr(sys, "prefix", str(project / ".venv-jax"))
    assert doctor._environment() == (sys.prefix, sys.executable)
    for elsewhere in (project / "venv-jax", project.parent / ".venv-jax"):
        monkeypatch.setattr(sys, "prefix", str(elsewhere))
        assert doctor._environment()[0] == str(project / ".venv")


def test_in_a_notebook_the_kernel_is_the_python_that_runs(project, other, facts, monkeypatch):
    monkeypatch.setattr(doctor, "in_notebook", lambda: True)
    name_kernel(project, "/no/such/python")
    monkeypatch.setenv("JUPYTER_PATH", str(project))  # whatever another kernel would be
    assert doctor._check_kernel(facts)[0] == "OK"
    monkeypatch.setenv("VIRTUAL_ENV", str(other))
    word, text = doctor._check_kernel(facts)
    assert word == "MEND" and f"{other / PYTHON} -m jupyterlab" in text


# --- packages ----------------------------------------------------------------------------------


@pytest.fixture
def lock(tmp_path, monkeypatch):
    """Return what puts a lock beside the package: a function of its lines."""

    def write(*lines):
        path = tmp_path / "requirements.lock"
        path.write_text("".join(f"{line} \\\n    {HASH}\n" for line in lines), "utf-8")
        monkeypatch.setattr(doctor, "_LOCK", path)
        return path

    return write


def install(site, name, *, without="", requires=""):
    folder = site / f"{name}-1.0.dist-info"
    folder.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}"
    for file, content in {"METADATA": text, "RECORD": f"{name}.py,,\n"}.items():
        if file != without:
            (folder / file).write_text(content, "utf-8")


def test_packages_as_the_lock_has_them_are_well(lock, facts):
    numpy = metadata.version("numpy")
    lock(f"numpy=={numpy}", "nowhere==1.0 ; sys_platform == 'another'")
    assert doctor._check_packages(facts) == ("OK", "1 installed, all as requirements.lock asks")


def test_packages_that_do_not_fit_the_lock_are_named(lock, facts, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path / "site")
    install(tmp_path / "site", "damaged", without="METADATA")
    install(tmp_path / "site", "stopped", without="RECORD")
    install(tmp_path / "site", "whole")
    path = lock("absent==1.0", "damaged==1.0", "stopped==1.0", "numpy==1.0", "whole==1.0")
    word, text = doctor._check_packages(facts)
    assert word == "MEND" and text.startswith("4 of 5 are not as requirements.lock asks ")
    assert "(absent is missing, damaged is half installed, stopped is half installed and " in text
    assert " and 1 more): " in text
    assert text.endswith(f"-m pip install --require-hashes -r {path}")
    (path.parent / "wheels").mkdir()  # as in a kit
    assert f" --no-index --find-links {path.parent / 'wheels'} " in doctor._check_packages(facts)[1]
    lock("numpy==1.0")
    assert (
        f"(numpy is {metadata.version('numpy')}, not ==1.0): " in doctor._check_packages(facts)[1]
    )


def test_without_a_lock_the_package_says_what_it_needs(facts, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "_LOCK", None)
    word, text = doctor._check_packages(facts)
    assert word == "OK" and text.endswith("all as mnist-helpers asks")
    monkeypatch.syspath_prepend(tmp_path)
    asked = "Requires-Dist: numpy>=99\nRequires-Dist: absent; extra == 'gpu'\n"
    install(tmp_path, "demanding", requires=asked)
    monkeypatch.setattr(doctor, "_PACKAGE", "demanding")
    word, text = doctor._check_packages(facts)
    assert word == "MEND" and text.startswith("1 of 1 are not as demanding asks (numpy is ")
    assert text.endswith(": install the course again, as it was installed the first time")


# --- Keras -------------------------------------------------------------------------------------


def pretend_keras(folder, monkeypatch, code):
    (folder / "keras.py").write_text(code, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_a_keras_that_cannot_be_imported(tmp_path, facts, monkeypatch, capfd):
    pretend_keras(tmp_path, monkeypatch, "raise ImportError('DLL load failed')")
    word, text = doctor._check_keras(facts)
    assert word == "MEND" and text.startswith("ImportError: DLL load failed (status 1): ")
    assert "pip install" in text
    assert doctor._check_time(facts)[0] == "MEND"
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(os.name == "nt", reason="there it has other numbers")
def test_a_keras_that_ends_python(tmp_path, facts, monkeypatch, capfd):
    code = "import os\nos.write(2, b'this processor lacks AVX\\n')\nos.abort()"
    pretend_keras(tmp_path, monkeypatch, code)
    word, text = doctor._check_keras(facts)
    assert word == "MEND" and text.startswith("this processor lacks AVX (status -6): ")
    assert capfd.readouterr() == ("", "")


def test_a_keras_that_cannot_train(tmp_path, facts, monkeypatch):
    code = "from types import SimpleNamespace as S; __version__ = '9'\n"
    code += "array = S(device='/job:a/device:CPU:0')\n"
    code += "config, ops = S(backend=lambda: 'keras'), S(zeros=lambda n: array)\n"
    code += "def Input(**_): raise RuntimeError('no kernel image for this device')"
    pretend_keras(tmp_path, monkeypatch, code)
    assert doctor._check_keras(facts) == ("OK", "9 on keras 9, device: cpu:0")
    word, text = doctor._check_time(facts)
    assert word == "MEND" and "no kernel image for this device" in text


# --- digits ------------------------------------------------------------------------------------


def test_digits_that_are_damaged_are_not_used(tmp_path, facts):
    facts["data"] = str(tmp_path / "mnist.npz")
    Path(facts["data"]).write_bytes(b"PK\x03\x04 cut")
    word, text = doctor._check_digits(facts)
    assert word == "MEND" and "damaged" in text and "Give an mnist.npz" in text
    assert "\n" not in text and facts["data"] == "digits"


def test_digits_taken_because_mnist_could_not_be_had_are_worth_a_note(
    tmp_path, facts, monkeypatch, recwarn
):
    monkeypatch.delenv("MNIST_HELPERS_DATA", raising=False)
    for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "KERAS_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    word, text = doctor._check_digits(facts)
    assert word == "NOTE" and "\n" not in text
    assert text.startswith("bundled digits: 1,500 training and 297 test digits")
    assert "could not be had (http://127.0.0.1:9/ into " in text
    assert "Go online, set MNIST_HELPERS_DATA to an mnist.npz" in text
    assert facts["data"] == "digits" and not list(recwarn)


def test_digits_that_were_asked_for_are_well(facts):
    facts["data"] = "digits"
    word, text = doctor._check_digits(facts)
    assert word == "OK" and text.startswith("bundled digits: ") and facts["data"] == "digits"


# --- room and time -----------------------------------------------------------------------------

ROWS = [
    {"notebook": "00_a", "seconds": 30, "peak_mb": 400, "disk_mb": 5, "updates_per_second": 200},
    {"notebook": "02_b", "seconds": 90, "peak_mb": 900, "disk_mb": 20, "updates_per_second": 100},
]


@pytest.fixture
def room(monkeypatch):
    """Return what sets the free disk, the free memory and its limit, in MB."""
    rows = [row | {"digits": "bundled digits"} for row in ROWS]
    rows.append(ROWS[1] | {"digits": "MNIST", "peak_mb": 5000})
    monkeypatch.setattr(tables, "load_table", {"notebooks": rows}.__getitem__)

    def clear(disk, memory, limit=10_000):
        usage, seen = namedtuple("usage", "free"), namedtuple("seen", "available")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(disk * 1e6))
        monkeypatch.setattr(psutil, "virtual_memory", lambda: seen(memory * 1e6))
        monkeypatch.setattr(distributed.system, "MEMORY_LIMIT", limit * 1e6)

    return clear


@pytest.mark.parametrize(
    ("disk", "memory", "limit", "word"),
    [
        (25, 900, 900, "OK"),
        (24, 900, 900, "MEND"),
        (25, 899, 900, "MEND"),
        (25, 4000, 899, "MEND"),
    ],
)
def test_disk_and_memory_must_do_for_what_was_measured(room, facts, disk, memory, limit, word):
    room(disk, memory, limit)
    found, text = doctor._check_room(facts)
    assert found == word and f"{disk} MB of disk are free and 25 needed" in text
    assert f"{min(memory, limit)} MB of memory are free and 900 needed" in text
    assert ("close other programs" in text) == (word == "MEND")


def test_megabytes_are_said_without_decimals(room, facts, monkeypatch):
    room(25, 900)
    sizes = zip(ROWS, (5.1, 10.3), strict=True)  # their sum is 15.399999999999999
    rows = [row | {"digits": facts["digits"], "disk_mb": size} for row, size in sizes]
    monkeypatch.setattr(tables, "load_table", {"notebooks": rows}.__getitem__)
    assert "25 MB of disk are free and 15 needed, " in doctor._check_room(facts)[1]


def test_on_mnist_as_much_is_needed_as_was_measured_on_mnist(room, facts):
    room(25, 4999)
    assert doctor._check_room(facts)[0] == "OK"
    assert doctor._check_room(facts | {"digits": "MNIST"})[0] == "MEND"


def test_a_computer_twice_as_fast_takes_half_the_time(room, facts):
    for speed, minutes in {100: "00 1.0, 02 1.5", 200: "00 0.5, 02 0.8"}.items():
        word, text = doctor._check_time(facts | {"updates_per_second": speed})
        assert word == "OK" and text.startswith(f"{speed} updates in a second")
        assert text.endswith(f": {minutes}")


def test_the_table_has_what_the_doctor_asks_of_it():
    rows = tables.load_table("notebooks")
    names = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {row["notebook"] for row in rows} <= names
    assert {row["digits"] for row in rows} == {"MNIST", "bundled digits"}
    for row in rows:
        assert set(row) == {*ROWS[0], "digits"}
        assert all(row[name] > 0 for name in ROWS[0] if name != "notebook")
