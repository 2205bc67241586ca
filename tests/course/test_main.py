"""The command line: where nothing is installed, what it hands on, and how it ends."""

import contextlib
import io
import os
import subprocess
import sys
import unicodedata
import warnings
import zipfile
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.project import ROOT

from mnist_course.__main__ import main

COMMANDS = ["run", "sweep", "collect", "read", "doctor", "handout", "kit"]
ARGUMENTS = {
    "run": [],
    "sweep": ["01"],
    "collect": ["out"],
    "read": ["1.png"],
    "doctor": [],
    "handout": [],
    "kit": [],
}
HANDLERS = {
    "run": ("mnist_course.run", "command"),
    "sweep": ("mnist_course.sweep.command", "sweep_command"),
    "collect": ("mnist_course.sweep.command", "collect_command"),
    "read": ("mnist_course.read", "command"),
    "doctor": ("mnist_course.doctor", "command"),
    "handout": ("mnist_course.handout", "command"),
    "kit": ("mnist_course.kit", "command"),
}


@pytest.fixture(autouse=True)
def usual_warnings(monkeypatch):
    """Take back, after each test, how `main` shows warnings."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)


@pytest.fixture
def handle(monkeypatch):
    """Return what puts a function in the place of a command's handler."""

    def replace(name, function):
        module, handler = HANDLERS[name]
        monkeypatch.setitem(sys.modules, module, SimpleNamespace(**{handler: function}))

    return replace


# --- where nothing is installed ----------------------------------------------------------------


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Return the `bin` of an environment that has this project's wheel and nothing it needs."""
    folder = tmp_path_factory.mktemp("bare")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, ROOT]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    install = ["--python", scripts / "python", "install", "--no-deps", "--no-index", wheel]
    subprocess.run([*pip, *install], check=True)
    return scripts


def run_in(folder, *command):
    foreign = ("PYTHON", "VIRTUAL_ENV", "CONDA_")
    environment = {}
    for name, value in os.environ.items():
        if not name.startswith(foreign):
            environment[name] = value
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_help_needs_nothing_that_does_not_come_with_python(bare, tmp_path):
    run = run_in(tmp_path, bare / "mnist-course", "--help")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("usage: mnist-course ")
    for name in COMMANDS:
        assert f"\n    {name} " in run.stdout
        run_command = run_in(tmp_path, bare / "mnist-course", name, "--help")
        assert (run_command.returncode, run_command.stderr) == (0, "")
        assert run_command.stdout.startswith(f"usage: mnist-course {name} ")


@pytest.mark.slow
def test_the_module_is_the_same_command(bare, tmp_path):
    by_name = run_in(tmp_path, bare / "mnist-course", "--help")
    by_module = run_in(tmp_path, bare / "python", "-m", "mnist_course", "--help")
    assert by_module.stdout == by_name.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "doctor"])
def test_what_is_missing_is_told_in_one_line(bare, tmp_path, name):
    run = run_in(tmp_path, bare / "mnist-course", name, *ARGUMENTS[name])
    (line,) = run.stderr.splitlines()
    assert run.returncode == 2
    assert line.startswith("mnist-course: ")
    assert " is missing: install the course with all it needs" in line
    assert "pip install -e '.[course]'" in line


@pytest.mark.slow
def test_the_doctor_runs_where_nothing_else_is_installed(bare, tmp_path):
    run = run_in(tmp_path, bare / "mnist-course", "doctor")
    assert (run.returncode, run.stderr) == (1, "")
    assert "MEND  Packages: " in run.stdout


# --- what it hands on --------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_calls_its_handler_and_returns_its_status(handle, name):
    handle(name, lambda options: 7)
    assert main([name, *ARGUMENTS[name]]) == 7


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["run"], {"notebooks": [], "parameters": [], "output": "results"}),
        (["run", "01", "02"], {"notebooks": ["01", "02"]}),
        (["run", "-p", "a=1", "-p", "b=2"], {"parameters": ["a=1", "b=2"]}),
        (["run", "--output", "out"], {"output": "out"}),
        (
            ["sweep", "01"],
            {
                "notebook": "01",
                "set": [],
                "params": None,
                "workers": None,
                "threads": None,
                "timeout": None,
                "scheduler": None,
                "tls_ca_file": None,
                "tls_cert": None,
                "tls_key": None,
                "output": None,
                "dry_run": False,
                "retry_failed": False,
                "yes": False,
            },
        ),
        (["sweep", "01", "--set", "a=1", "--set", "b=2"], {"set": ["a=1", "b=2"]}),
        (["sweep", "01", "--workers", "2", "--threads", "3"], {"workers": 2, "threads": 3}),
        (["sweep", "01", "--timeout", "0.5"], {"timeout": 0.5}),
        (["sweep", "01", "--tls-ca-file", "ca", "--tls-key", "k"], {"tls_ca_file": "ca"}),
        (["sweep", "01", "--dry-run", "--retry-failed", "--yes"], {"dry_run": True, "yes": True}),
        (["collect", "out"], {"folder": "out"}),
        (["read", "1.png"], {"pictures": ["1.png"], "explain": None, "json": False}),
        (["read", "1.png", "--explain", "a.png", "--json"], {"explain": "a.png", "json": True}),
        (["doctor"], {"data": ""}),
        (["doctor", "--data", "digits"], {"data": "digits"}),
        (["kit"], {"install_dataset": None}),
        (["kit", "--install-dataset", "mnist.npz"], {"install_dataset": "mnist.npz"}),
    ],
)
def test_the_handler_is_given_what_was_typed(handle, words, values):
    received = []
    handle(words[0], received.append)
    main(words)
    (options,) = received
    for name, value in values.items():
        assert getattr(options, name) == value, name


@pytest.mark.parametrize("words", [[], ["dance"], ["collect"], ["sweep"], ["read"], ["run", "-x"]])
def test_what_cannot_be_understood_ends_with_2_and_the_usage(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: mnist-course" in capsys.readouterr().err


# --- how it ends -------------------------------------------------------------------------------


def raiser(error):
    def fail(options):
        raise error

    return fail


@pytest.mark.parametrize("kind", [ValueError, FileNotFoundError, RuntimeError])
def test_what_cannot_be_done_is_one_line_and_status_2(handle, capsys, kind):
    handle("run", raiser(kind("there is no such thing")))
    assert main(["run"]) == 2
    assert capsys.readouterr() == ("", "mnist-course: there is no such thing\n")


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ZeroDivisionError("one\ntwo"), "ZeroDivisionError: one two ("),
        (RecursionError("deep"), "RecursionError: deep ("),
        (NotImplementedError(), "NotImplementedError: it says nothing more ("),
        (zipfile.BadZipFile("cut"), "BadZipFile: cut ("),
        (ImportError("cannot import name 'x'"), "ImportError: cannot import name 'x' ("),
    ],
)
def test_a_mistake_in_the_program_is_a_line_that_says_how_to_see_more(handle, capsys, error, name):
    handle("run", raiser(error))
    assert main(["run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mnist-course: {name}")
    assert "python -P -X dev -m mnist_course" in line


def test_in_python_s_development_mode_a_mistake_has_its_traceback(handle, monkeypatch):
    handle("run", raiser(ZeroDivisionError()))
    monkeypatch.setattr(sys, "flags", SimpleNamespace(dev_mode=True))
    with pytest.raises(ZeroDivisionError):
        main(["run"])


def test_too_little_memory_is_a_line(handle, capsys):
    handle("run", raiser(MemoryError()))
    assert main(["run"]) == 2
    assert capsys.readouterr().err.startswith("mnist-course: there is not enough memory")


def test_an_error_s_text_reaches_the_terminal_as_text_and_bounded(handle, capsys):
    handle("run", raiser(ValueError("\x1b[2J" + "a" * 10**6 + "\udce9")))
    assert main(["run"]) == 2
    text = capsys.readouterr().err
    assert text.startswith(r"mnist-course: \x1b[2Jaaa")
    assert text.endswith("aaa\\xe9\n")
    assert len(text) < 3000


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FileNotFoundError(2, "No such file or directory", "a.yaml"), "a.yaml: No such file or di"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (PermissionError(13, "Permission denied", "a\n\u202eb"), r"a\n\u202eb: Permission denied"),
        (OSError("its own words"), "its own words"),
    ],
)
def test_an_error_of_the_system_is_told_without_its_number(handle, capsys, error, line):
    handle("run", raiser(error))
    assert main(["run"]) == 2
    text = capsys.readouterr().err
    assert text.startswith(f"mnist-course: {line}") and "Errno" not in text
    assert len(text.splitlines()) == 1


def test_a_name_in_a_message_cannot_pass_for_a_line_of_its_own(handle, capsys):
    handle("run", raiser(ValueError("no a\nOK: fine; workers differ:\n  one: b\n  two: c\n")))
    assert main(["run"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines == [r"mnist-course: no a\nOK: fine; workers differ:", "  one: b", r"  two: c\n"]


@pytest.mark.parametrize("name", ["run", "sweep"])
def test_without_a_home_no_kernel_is_started(handle, capsys, monkeypatch, name):
    handle(name, raiser(AssertionError("it was called")))
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert main([name, *ARGUMENTS[name]]) == 2
    line = "mnist-course: this user has no home folder: set the variable HOME to a folder"
    assert capsys.readouterr().err.startswith(line)


def test_a_file_that_hides_a_module_is_named_where_a_run_failed(
    handle, capsys, monkeypatch, tmp_path
):
    (tmp_path / "random.py").touch()
    monkeypatch.chdir(tmp_path)
    handle("run", lambda options: 1)
    assert main(["run"]) == 1
    sentence = f"{tmp_path}/random.py is imported instead of the module random: rename it"
    assert capsys.readouterr().err == f"mnist-course: {sentence}\n"
    handle("run", lambda options: 0)
    assert main(["run"]) == 0
    assert capsys.readouterr().err == ""


def test_a_file_of_pythonpath_is_named_before_the_course_is_blamed(
    handle, capsys, monkeypatch, tmp_path
):
    (tmp_path / "cv2.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    handle("run", raiser(ImportError("undefined symbol")))
    assert main(["run"]) == 2
    named, error = capsys.readouterr().err.splitlines()
    assert named == f"mnist-course: {tmp_path}/cv2.py is imported instead of the module cv2: " + (
        "rename it"
    )
    assert error == "mnist-course: ImportError: undefined symbol"
    handle("run", raiser(ValueError("mine")))
    assert main(["run"]) == 2
    assert "cv2.py is imported" in capsys.readouterr().err


def test_in_a_folder_that_was_deleted_every_command_says_so(handle, capsys, monkeypatch, tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    handle("doctor", raiser(AssertionError("it was called")))
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err == (
        "mnist-course: the folder that you are in has been deleted: go to another one with cd\n"
    )
    # Before the folder for tests is cleaned up.
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_no_file_of_the_working_folder_gets_into_a_command(tmp_path):
    for name in ("argparse", "json", "keras", "numpy", "random", "nbformat"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')", "utf-8")
    command = [sys.executable, "-m", "mnist_course", "run", "nosuch"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith("mnist-course: there is no notebook nosuch")


words = st.lists(
    st.text(max_size=20)
    | st.sampled_from(
        [
            *COMMANDS,
            *["-p", "--output", "--set", "--params", "--workers", "--timeout", "--scheduler"],
            *["--explain", "--json", "--data", "--install-dataset", "--yes", "--help", "--", ""],
            *["a=1", "\udcff", "\0", "\x1b[31m", "x" * 100_000, "-", "1e999", "9" * 5000],
        ]
    ),
    max_size=5,
)
errors = st.sampled_from(
    [None, ValueError, FileNotFoundError, UnicodeError, MemoryError, RecursionError, KeyError]
    + [zipfile.BadZipFile, AttributeError, ImportError, ModuleNotFoundError, KeyboardInterrupt]
)


@given(words=words, error=errors, text=st.text(max_size=20))
@settings(derandomize=True, deadline=None)
def test_whatever_is_typed_and_whatever_happens_the_status_is_documented(words, error, text):
    def handler(options):
        if error is None:
            return 0
        raise error(text)

    out = io.StringIO()
    err = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for module, name in HANDLERS.values():
            patch.setitem(sys.modules, module, SimpleNamespace(**{name: handler}))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = main(words)
            except SystemExit as ended:
                status = ended.code
    assert status in (0, 2, 130)
    if error is None and status == 0:
        assert err.getvalue() == ""
    shown = out.getvalue() + err.getvalue()
    assert "Traceback" not in shown
    assert len(err.getvalue()) < 10_000
    assert not any(
        unicodedata.category(letter) in ("Cc", "Cs") for letter in shown if letter != "\n"
    )


def test_ctrl_c_ends_it_with_130(handle, capsys):
    handle("run", raiser(KeyboardInterrupt()))
    assert main(["run"]) == 130
    output = capsys.readouterr()
    assert output.err == "\nmnist-course: interrupted; what was finished is kept\n"


def test_a_warning_is_a_message_without_the_line_of_code(handle, capsys):
    def warn(options):
        warnings.warn("these digits are others", stacklevel=1)
        return 0

    handle("run", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["run"]) == 0
    assert capsys.readouterr().err == "mnist-course: these digits are others\n"


def test_settings_of_progress_bars_stop_nothing(monkeypatch, capsys):
    monkeypatch.setenv("TQDM_NCOLS", "x")
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert main(["collect", "no such folder"]) == 2
    assert "TQDM_NCOLS" not in os.environ and os.environ["TQDM_DISABLE"] == "1"


@pytest.mark.parametrize("words", [["run", "--output"], ["sweep", "x", "--output"], ["collect"]])
def test_a_folder_without_a_name_is_refused(words, capsys):
    with pytest.raises(SystemExit) as end:
        main([*words, ""])
    assert end.value.code == 2
    assert "a folder's name is expected; received ''" in capsys.readouterr().err


def test_what_a_command_starts_does_not_wait_for_typing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PYTHONINSPECT", "1")
    assert main(["collect", str(tmp_path)]) == 2
    assert "PYTHONINSPECT" not in os.environ
