"""Notebooks run from the command line."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_notebook
from support.notebooks import DATASET, code, hashes, output_text, record_cell, write

from mnist_course.__main__ import main
from mnist_course.notebooks import find_notebooks
from mnist_course.pages import export_index
from mnist_course.run import run_notebooks
from mnist_helpers.record import read_record

# One command runs good and bad notebooks; the tests after it each look at one thing it did.


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    home = tmp_path_factory.mktemp("here")
    folder = home / "notebooks"
    write(
        folder / "01_good.ipynb",
        code("print(repr((seed, rate, units, flag, data, extra, results_dir)))", "show"),
        code("raise SystemError('two trainings')", "complete-program"),
        record_cell(),
    )
    write(
        folder / "02_fails.ipynb",
        code("print('kept')"),
        code("raise ValueError('first line\\nlast line')", "nbval-ignore-output", "build-model"),
        record_cell(),
    )
    write(
        folder / "03_killed.ipynb", code("import os\nos.kill(os.getpid(), 9)", "fit"), record_cell()
    )
    write(folder / "04_silent.ipynb", code("1 + 1"))
    write(folder / "05_last.ipynb", code("print(results_dir)"), record_cell())
    (folder / "notes.ipynb").write_text("never read")
    before = hashes(folder)
    arguments = [
        "run",
        "-p",
        "seed=3",
        "-p",
        "rate=1e-3",
        "-p",
        "units=[64,32]",
        "-p",
        "flag=false",
        "-p",
        "data=0123",
        "-p",
        "extra=[a, 1.5]",
        "--output",
        "out {seed}",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "mnist_course", *arguments],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=100,
    )
    return {"home": home, "done": done, "before": before, "out": home / "out {seed}"}


def test_values_arrive_typed(command):
    expected = (3, 0.001, [64, 32], False, "0123", ["a", 1.5], "out {seed}/01_good")
    assert output_text(command["out"] / "01_good.ipynb") == f"{expected!r}\n"


def test_one_failure_does_not_stop_the_others(command):
    assert command["done"].returncode == 1
    assert output_text(command["out"] / "05_last.ipynb") == "out {seed}/05_last\n"
    assert read_record(command["out"] / "05_last.ipynb")["digits"] == DATASET


def test_the_table_names_numbers_digits_cell_and_error(command):
    lines = {line.split()[0]: line for line in command["done"].stdout.splitlines() if line}
    assert lines["notebook"].split() == ["notebook", "seconds", "result", "digits"]
    assert "test accuracy 0.9877" in lines["01_good"] and DATASET["text"] in lines["01_good"]
    assert "FAILED in build-model: ValueError: last line" in lines["02_fails"]
    assert "FAILED in fit: the kernel died" in lines["03_killed"]
    assert "no record" in lines["04_silent"]
    assert float(lines["05_last"].split()[1]) > 0


def test_partial_notebooks_and_pages_are_kept(command):
    assert output_text(command["out"] / "02_fails.ipynb") == "kept\n"
    for stem in ("01_good", "02_fails", "03_killed", "04_silent", "05_last"):
        assert (command["out"] / f"{stem}.html").stat().st_size > 1000
        assert f'href="{stem}.html"' in (command["out"] / "index.html").read_text()


def test_originals_stay_as_they_are(command):
    assert hashes(command["home"] / "notebooks") == command["before"]


def test_the_complete_program_is_shown_but_not_run(command):
    notebook = nbformat.read(command["out"] / "01_good.ipynb", as_version=4)
    (cell,) = [cell for cell in notebook.cells if "SystemError" in cell.source]
    assert cell.cell_type == "markdown" and cell.source.startswith("````python\n")
    assert "two trainings" in (command["out"] / "01_good.html").read_text()


def test_stderr_has_the_bar_and_nothing_else(command):
    lines = command["done"].stderr.replace("\r", "\n").splitlines()
    assert [line for line in lines if line.strip() and not line.startswith("Executing ")] == []
    assert any("02_fails: build-model" in line for line in lines)
    assert any("02_fails: cell 4" in line for line in lines)


# What is refused before anything runs.


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "notebooks" / "01_stub.ipynb", record_cell())
    write(tmp_path / "notebooks" / "02_stub.ipynb", record_cell(), parameters="seed = 7")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "sed=1"], "unknown parameter 'sed' (did you mean 'seed'?); known: seed, rate"),
        (["-p", "rate=0.1"], "02_stub: unknown parameter 'rate'"),
        (["-p", "seed=1.5"], "seed must be an int like its default 7; received 1.5"),
        (["-p", "seed=1", "-p", "seed=2"], "once a name"),
        (["-p", "seed"], "name=value"),
        (["-p", "a b=1"], "'a b' cannot be the name of a parameter"),
        (["-p", "import=1"], "'import' cannot be the name of a parameter"),
        (["03_none"], "there is no notebook 03_none; notebooks/ here has: 01_stub, 02_stub"),
        (["01_stub", "notebooks/01_stub.ipynb"], "a name of its own"),
        (["--output", "notebooks"], "results may not lie among the notebooks"),
        (["--output", "notebooks/results"], "results may not lie among the notebooks"),
    ],
)
def test_the_command_refuses_in_one_line(here, capsys, arguments, message):
    assert main(["run", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert sorted(path.name for path in here.iterdir()) == ["notebooks"]


def test_a_name_is_looked_for_here_then_in_notebooks_then_in_the_project(here):
    (own,) = find_notebooks(["01_dense_network"])
    assert own.is_absolute() and own.parent.name == "notebooks"
    assert find_notebooks(["01_stub"]) == [Path("notebooks", "01_stub.ipynb")]
    write(here / "01_stub.ipynb", record_cell())
    assert find_notebooks(["01_stub"]) == [Path("01_stub.ipynb")]
    assert [path.stem for path in find_notebooks([])] == ["01_stub", "02_stub"]


def test_no_notebooks_and_no_parameters_cell_are_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["run"]) == 2
    assert "no notebook to run" in capsys.readouterr().err
    nbformat.write(new_notebook(cells=[code("1")]), "plain.ipynb")
    assert main(["run", "plain.ipynb", "-p", "seed=1"]) == 2
    assert "plain: no cell is tagged `parameters`" in capsys.readouterr().err
    for text in ("{", "[]"):
        Path("broken.ipynb").write_text(text)
        assert main(["run", "broken.ipynb"]) == 2
        assert "broken: " in capsys.readouterr().err


def test_the_index_passes_over_runs_that_were_cut_short(tmp_path):
    (tmp_path / "01_cut.ipynb").write_text('{"cells": [')
    write(tmp_path / "02_interrupted.ipynb")
    export_index(tmp_path)
    assert ".html" not in (tmp_path / "index.html").read_text()


def test_help_names_the_command(capsys):
    with pytest.raises(SystemExit) as done:
        main(["run", "--help"])
    assert done.value.code == 0 and "-p name=value" in capsys.readouterr().out


def test_ctrl_c_leaves_no_kernel_behind(tmp_path):
    write(
        tmp_path / "notebooks" / "01_long.ipynb",
        code(
            "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\n"
            "time.sleep(60)",
            "wait",
        ),
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "mnist_course", "run"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        # Started in the background of a shell, the tests have been told to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in error
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_importing_costs_nothing():
    source = (
        "import sys, mnist_course.__main__, mnist_helpers.saving\n"
        "print([m for m in ('keras', 'matplotlib', 'papermill') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_a_good_run_returns_its_outcome(here):
    (outcome,) = run_notebooks(["01_stub"], parameters={"seed": 5}, output=here / "out")
    assert outcome["error"] is None and outcome["record"]["metrics"] == {"test_accuracy": 0.98765}
    executed = nbformat.read(here / "out" / "01_stub.ipynb", as_version=4)
    assert executed.metadata.papermill.parameters == {
        "seed": 5,
        "results_dir": (here / "out" / "01_stub").as_posix(),
    }


@pytest.mark.parametrize("long", [False, True], ids=["sockets", "ports"])
def test_no_other_user_reaches_or_overhears_a_kernel(here, monkeypatch, long):
    source = (
        "from ipykernel.connect import get_connection_info\nimport os\n"
        "info = get_connection_info(unpack=True)\n"
        "if info['transport'] == 'ipc':\n"
        "    print(oct(os.stat(os.path.dirname(info['ip'])).st_mode))\n"
        "else:\n"
        "    print(info['transport'], info['ip'], 'curve_publickey' in info)"
    )
    write(here / "notebooks" / "03_stub.ipynb", code(source), record_cell())
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "x" * 100 * long)  # the path of a socket may not be long
        place.mkdir(exist_ok=True)
        monkeypatch.setattr("tempfile.tempdir", str(place))
        (outcome,) = run_notebooks(["03_stub"])
        assert outcome["error"] is None and not list(place.iterdir())
    expected = "tcp 127.0.0.1 True" if long else "0o40700"
    assert output_text(here / "results" / "03_stub.ipynb").startswith(expected)
