"""Notebooks run from the command line."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_notebook, new_output
from support.notebooks import DATASET, code, hashes, output_text, printed, record_cell, write

from mnist_course.__main__ import main
from mnist_course.files import lock_folder
from mnist_course.notebooks import cells_checksum, read_outcome
from mnist_course.run import _check_replaced, execute, run_notebooks
from mnist_helpers.record import read_record

# --- one command runs bad and good notebooks; each test looks at one thing it did ---------------

PARAMETERS = ["seed=3", "rate=1e-3", "units=[64,32]", "flag=false", "data=0123", "extra=[a, 1.5]"]


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    here = tmp_path_factory.mktemp("here")
    folder = here / "notebooks"
    write(
        folder / "01_fails.ipynb",
        code("print('kept')"),
        # Not even a cell that may fail in a notebook's own tests may fail in a run.
        code("raise ValueError('first line\\nlast line')", "raises-exception", "build-model"),
        record_cell(),
    )
    kill = code("import os\nos.kill(os.getpid(), 9)", "fit")
    write(folder / "02_killed.ipynb", kill, record_cell())
    write(folder / "03_silent.ipynb", code("1 + 1"))
    write(
        folder / "04_good.ipynb",
        code("print(repr((seed, rate, units, flag, data, extra, results_dir)))", "show"),
        code("raise SystemError('two trainings')", "complete-program"),
        record_cell(),
    )
    group = "raise ExceptionGroup('several', [ValueError('one'), KeyError('two')])"
    write(folder / "05_group.ipynb", code(group))
    odd = "class OddError(Exception):\n    def __str__(self):\n        raise RuntimeError"
    write(folder / "06_odd.ipynb", code(f"{odd}\nraise OddError", "line\nbreak"))
    (folder / "notes.ipynb").write_text("never read")
    before = hashes(folder)
    # No format string, no option and no address: a folder.
    arguments = ["--output", "./-out {seed}%s"]
    for parameter in PARAMETERS:
        arguments += ["-p", parameter]
    done = subprocess.run(
        [sys.executable, "-m", "mnist_course", "run", *arguments],
        cwd=here,
        capture_output=True,
        text=True,
        timeout=100,
    )
    return {"here": here, "done": done, "before": before, "out": here / "-out {seed}%s"}


@pytest.mark.slow
def test_values_arrive_typed(command):
    expected = (3, 0.001, [64, 32], False, "0123", ["a", 1.5], "-out {seed}%s/04_good")
    assert output_text(command["out"] / "04_good.ipynb") == f"{expected!r}\n"


@pytest.mark.slow
def test_one_failure_does_not_stop_the_others(command):
    assert command["done"].returncode == 1
    assert read_record(command["out"] / "04_good.ipynb")["digits"] == DATASET


@pytest.mark.slow
def test_the_table_names_numbers_digits_cell_and_error(command):
    lines = {line.split()[0]: line for line in command["done"].stdout.splitlines() if line}
    assert lines["notebook"].split() == ["notebook", "seconds", "result", "digits"]
    assert "FAILED in build-model: ValueError: last line" in lines["01_fails"]
    assert "FAILED in fit: the kernel died" in lines["02_killed"]
    assert "no record" in lines["03_silent"]
    assert "test accuracy 0.9877" in lines["04_good"] and DATASET["text"] in lines["04_good"]
    assert float(lines["04_good"].split()[1]) > 0
    group = "ExceptionGroup: several (2 sub-exceptions): ValueError: one; KeyError: 'two'"
    assert f"FAILED in cell 4: {group}" in lines["05_group"]
    assert "FAILED in cell 4: OddError  " in lines["06_odd"]


@pytest.mark.slow
def test_the_columns_of_the_table_are_aligned(command):
    head, *rows = command["done"].stdout.splitlines()[:5]
    result_column = head.index("result")
    for row in rows:
        assert row[result_column - 3].isdigit() and row[result_column - 2 : result_column] == "  "
        assert row[result_column] != " " and row == row.rstrip()


@pytest.mark.slow
def test_partial_notebooks_and_pages_are_kept(command):
    assert output_text(command["out"] / "01_fails.ipynb") == "kept\n"
    index = (command["out"] / "index.html").read_text(encoding="utf-8")
    for stem in ("01_fails", "02_killed", "03_silent", "04_good"):
        assert (command["out"] / f"{stem}.html").stat().st_size > 1000
        assert f'href="{stem}.html"' in index


@pytest.mark.slow
def test_an_executed_notebook_has_no_cells_but_its_own(command):
    executed = nbformat.read(command["out"] / "01_fails.ipynb", as_version=4)
    tags = [cell.metadata.get("tags", []) for cell in executed.cells]
    own = [[], ["parameters"], [], ["raises-exception", "build-model"], ["record"]]
    assert [each for each in tags if each != ["injected-parameters"]] == own


@pytest.mark.slow
def test_originals_stay_as_they_are(command):
    assert hashes(command["here"] / "notebooks") == command["before"]


@pytest.mark.slow
def test_the_complete_program_is_shown_but_not_run(command):
    notebook = nbformat.read(command["out"] / "04_good.ipynb", as_version=4)
    (cell,) = [cell for cell in notebook.cells if "SystemError" in cell.source]
    assert cell.cell_type == "markdown"
    assert "two trainings" in (command["out"] / "04_good.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_stderr_has_the_bar_and_nothing_else(command):
    lines = command["done"].stderr.replace("\r", "\n").splitlines()
    assert [line for line in lines if line.strip() and not line.startswith("Executing ")] == []
    assert any("01_fails: build-model" in line for line in lines)
    assert any("01_fails: cell 4" in line for line in lines)


# --- one run, called from Python ---------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with two notebooks in its ``notebooks/``, where this process then is."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "notebooks" / "01_stub.ipynb", record_cell())
    write(tmp_path / "notebooks" / "02_stub.ipynb", record_cell(), parameters="seed = 7")
    return tmp_path


@pytest.mark.slow
def test_a_good_run_returns_its_outcome(here):
    output = here / "out"
    earlier = {"seconds": 1.5, "cell": None, "error": "an earlier run's"}
    output.mkdir()
    nbformat.write(new_notebook(metadata={"mnist_helpers": earlier}), output / "00_earlier.ipynb")
    (outcome,) = run_notebooks(["01_stub"], parameters={"seed": 5}, output=output)
    assert outcome["error"] is None and outcome["record"]["metrics"] == {"test_accuracy": 0.98765}
    assert outcome == read_outcome(output / "01_stub.ipynb")
    executed = nbformat.read(output / "01_stub.ipynb", as_version=4)
    results = (output / "01_stub").as_posix()
    assert executed.metadata.papermill.parameters == {"seed": 5, "results_dir": results}
    assert executed.metadata.mnist_helpers.cells == cells_checksum(executed)
    # What was written by a run may be replaced by the next.
    _check_replaced(output, [here / "01_stub.ipynb"])
    index = (output / "index.html").read_text(encoding="utf-8")
    assert "an earlier run" in index and "test accuracy 0.9877" in index


INJECTED = code("seed = 100\nrate = 0.1", "injected-parameters")


@pytest.mark.slow
@pytest.mark.parametrize(("given", "shown"), [({}, "7 0.5\n"), ({"seed": 5}, "5 0.5\n")])
def test_parameters_of_an_earlier_run_do_not_count(given, shown):
    cells = [code("seed = 7\nrate = 0.5", "parameters"), INJECTED, code("print(seed, rate)")]
    executed, _ = execute(new_notebook(cells=cells), "stub", parameters=given)
    assert printed(executed) == shown


@pytest.mark.slow
def test_nothing_is_read_back_that_another_may_have_written(here):
    copy = here / "out" / "03_stub.ipynb"
    cell = code(f"open({str(copy)!r}, 'w').write('another run')")
    write(here / "notebooks" / "03_stub.ipynb", cell, record_cell())
    (outcome,) = run_notebooks(["03_stub"], output=here / "out")
    assert outcome["error"] is None and outcome == read_outcome(copy)


@pytest.mark.slow
def test_a_run_that_fails_before_its_kernel_starts_shows_nothing_of_an_earlier_one(monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    cell = record_cell()
    cell.metadata["papermill"] = {"start_time": "2018"}
    data = {"application/vnd.mnist-helpers.record+json": {}, "text/plain": "0.99"}
    cell.outputs = [new_output("display_data", data)]
    monkeypatch.setattr("mnist_course.kernels.execute_notebook", fail)
    executed, outcome = execute(new_notebook(cells=[cell]), "stub", parameters={})
    assert executed.cells[0].outputs == []
    assert outcome["record"] is None and outcome["cell"] is None
    assert "No space left on device" in outcome["error"]


def test_what_cannot_be_written_is_told_and_the_others_are_still_run(here):
    write(here / "notebooks" / "01_stub.ipynb", code("print('x' * 200_000)"), record_cell())
    # A file of more than 100 kB cannot be written, as when a disk is full.
    source = (
        "import resource, sys; from mnist_course.__main__ import main; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
        "sys.exit(main(['run', '--output', 'out']))"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
    notebook = Path("out", "01_stub.ipynb")
    assert f"FAILED: {notebook} cannot be written (File too large): " in lines[1]
    assert "test accuracy 0.9877" in lines[2]
    files = sorted(path.name for path in (here / "out").iterdir())
    assert files == [".lock", "02_stub.html", "02_stub.ipynb", "index.html"]


@pytest.mark.slow
def test_an_index_that_cannot_be_written_is_told_below_the_table(here, capsys):
    (here / "out" / "index.html").mkdir(parents=True)
    assert main(["run", "01_stub", "--output", "out"]) == 1
    out, error = capsys.readouterr()
    assert "test accuracy 0.9877" in out
    last_line = error.splitlines()[-1]
    assert last_line.startswith(f"mnist-course: {Path('out', 'index.html')} cannot be written (")


# --- what is refused before anything runs ------------------------------------------------------

# The names of files that a run of another notebook writes, or works with.
COLLIDING = (".lock.ipynb", "index.html.ipynb", "01_stub.HTML.ipynb", "01_stub.ipynb.ipynb")


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
        (["index.ipynb"], "index.html is the list of all pages; rename index.ipynb"),
        (["page.html"], "a notebook's name ends in .ipynb; received page.html"),
        (["plain"], "a notebook's name ends in .ipynb; received plain"),
        (["...ipynb"], "a notebook may not be called '..': rename ...ipynb"),
        ([".lock.ipynb"], "a notebook may not be called '.lock': rename .lock.ipynb"),
        (["index.html.ipynb"], "a notebook may not be called 'index.html'"),
        (["01_stub.HTML.ipynb"], "a notebook may not be called '01_stub.HTML'"),
        (["01_stub.ipynb.ipynb"], "a notebook may not be called '01_stub.ipynb'"),
        (["--output", "notebooks"], "results may not lie among the notebooks"),
        (["--output", "notebooks/results"], "results may not lie among the notebooks"),
    ],
)
def test_the_command_refuses_in_one_line(here, capsys, arguments, message):
    for name in ("index.ipynb", "page.html", "plain", "...ipynb", *COLLIDING):
        Path(name).write_bytes(Path("notebooks/01_stub.ipynb").read_bytes())
    before = sorted(here.iterdir())
    assert main(["run", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert sorted(here.iterdir()) == before


@pytest.mark.skipif(os.name != "posix", reason="this system has no such rights")
def test_a_temporary_folder_of_another_user_is_refused_before_anything_runs(
    here, capsys, monkeypatch
):
    foreign = here / "foreign"
    foreign.mkdir()
    foreign.chmod(0o777)
    monkeypatch.setattr(tempfile, "tempdir", str(foreign))
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    assert main(["run", "--output", "out"]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and "in the variable TMPDIR" in printed.err
    assert len(printed.err.splitlines()) == 1
    assert not (here / "out").exists()


def test_a_temporary_folder_without_room_is_refused(here, capsys, monkeypatch):
    def fail(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    assert main(["run", "01_stub", "--output", "out"]) == 2
    message = "(for temporary files) cannot be written (No space left on device): make room there"
    assert message in capsys.readouterr().err
    assert not (here / "out").exists()


@pytest.mark.parametrize("command", ["run 01_stub", "sweep 01_stub --set seed=1"])
def test_a_temporary_folder_whose_name_is_no_text_is_refused(here, capsys, monkeypatch, command):
    monkeypatch.setattr(tempfile, "tempdir", "a\udcff")
    assert main([*command.split(), "--output", "out"]) == 2
    assert "rename 'a\\udcff': it is no text in UTF-8" in capsys.readouterr().err
    assert not (here / "out").exists()


def test_a_folder_into_which_another_run_writes_is_refused(here, capsys):
    with lock_folder("out"):
        assert main(["run", "--output", "out"]) == 2
    error = capsys.readouterr().err
    message = "another run or sweep is writing into out: wait, or name another"
    assert error == f"mnist-course: {message}\n"
    assert [path.name for path in (here / "out").iterdir()] == [".lock"]


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_name_that_is_no_text_is_refused(here, capsys):
    (here / "notebooks" / "01_stub.ipynb").rename(os.fsdecode(b"\xff.ipynb"))
    assert main(["run", os.fsdecode(b"\xff.ipynb")]) == 2
    assert "rename '\\udcff.ipynb': it is no text in UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["01_plain.ipynb", "01_plain.html", "index.html"])
def test_what_no_run_has_written_is_not_replaced(here, capsys, name):
    write(here / "notebooks" / "01_plain.ipynb", record_cell())
    write(here / "work" / "01_plain.ipynb", code("'mine'"))
    (here / "work" / "01_plain.ipynb").rename(here / "work" / name)
    before = (here / "work" / name).read_bytes()
    assert main(["run", "01_plain", "--output", "work"]) == 2
    assert f"work/{name} was not written by a run" in capsys.readouterr().err
    assert (here / "work" / name).read_bytes() == before


def test_an_executed_notebook_with_notes_in_it_is_not_replaced(here, capsys):
    copy = here / "out" / "01_stub.ipynb"
    write(copy, code("'notes'"))
    executed = nbformat.read(copy, as_version=4)
    before = nbformat.v4.new_notebook(cells=executed.cells[:-1])
    outcome = {"seconds": 1.5, "cell": None, "error": None, "cells": cells_checksum(before)}
    executed.metadata["mnist_helpers"] = outcome
    nbformat.write(executed, copy)
    content = copy.read_bytes()
    assert main(["run", "01_stub", "--output", "out"]) == 2
    message = "01_stub.ipynb has been edited since a run wrote it, and would be replaced: move it"
    assert message in capsys.readouterr().err
    assert copy.read_bytes() == content


def test_results_may_not_lie_beside_a_notebook_given_by_its_path(here, capsys):
    path = write(here / "elsewhere" / "plain.ipynb", record_cell())
    assert main(["run", str(path), "--output", "elsewhere"]) == 2
    assert "results may not lie among the notebooks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (nbformat.writes(new_notebook(cells=[code("1")])), ": no cell is tagged `parameters`"),
        ("{", ".ipynb cannot be read: it is no JSON"),
        ("", ".ipynb cannot be read: it is no JSON"),
        ("null", ".ipynb cannot be read: it is no notebook"),
        ("[" * 100_000, ".ipynb cannot be read: it holds more"),
    ],
    ids=["no parameters", "no JSON", "empty", "no notebook", "deep"],
)
def test_a_notebook_that_cannot_be_run_is_named(here, capsys, text, message):
    (here / "plain.ipynb").write_text(text)
    assert main(["run", "plain.ipynb", "-p", "seed=1"]) == 2
    assert f"plain{message}" in capsys.readouterr().err


def test_help_names_the_command(capsys):
    with pytest.raises(SystemExit) as done:
        main(["run", "--help"])
    assert done.value.code == 0 and "-p name=value" in capsys.readouterr().out


@pytest.mark.slow
def test_importing_the_command_imports_nothing_slow():
    source = (
        "import sys, mnist_course.__main__, mnist_course.run, mnist_helpers.saving\n"
        "print([m for m in ('keras', 'matplotlib', 'nbconvert', 'papermill') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
