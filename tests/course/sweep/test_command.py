"""The commands `sweep` and `collect`: what they refuse, list, run and print."""

import contextlib
import csv
import io
import os
import re
import signal
import stat
import warnings
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_notebook
from support.notebooks import code, output_text, record_cell, write
from support.sweep_stub import (
    Seed,
    finish,
    finished,
    gone,
    kernels,
    make_result,
    make_scored,
    start,
    started_seeds,
    wait_until,
    write_stub,
)

from mnist_course.__main__ import main
from mnist_course.files import lock_folder
from mnist_course.sweep.results import read_results, write_result


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "notebooks" / "01_stub.ipynb", record_cell())
    nbformat.write(new_notebook(cells=[code("1")]), tmp_path / "plain.ipynb")
    (tmp_path / "grid.yaml").write_text("seed: 0:2\n")
    write(tmp_path / "...ipynb", record_cell())
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("sweep 01_stub --set sed=1", "01_stub: unknown parameter 'sed' (did you mean 'seed'?)"),
        ("sweep 01_stub --set seed=1.5", "seed must be an int like its default 7"),
        ("sweep plain.ipynb --set seed=1", "plain: no cell is tagged `parameters`"),
        ("sweep 01_stub", "the grid is empty"),
        ("sweep 01_stub --set seed=5:0", "seed=5:0: there is no number in 5:0; 3:5 stands for"),
        ("sweep 01_stub --set seed=1,5:3", "seed=1,5:3: there is no number in 5:3; 3:5 stands"),
        ("sweep 01_stub --set seed=0:1001", "that is 1,001 runs; add --yes if you mean it"),
        ("sweep 01_stub --set seed=1 --set seed=2", "once a name; received 'seed=2'"),
        ("sweep 01_stub --set seed", "--set takes name=value"),
        ("sweep 01_stub --set seed=1 --params grid.yaml", "seed is in the grid file and given"),
        ("sweep 01_stub --params none.yaml", "there is no file 'none.yaml': --params takes the"),
        ("sweep 01_stub --set seed=1 --params=", "there is no file '': --params takes the name"),
        ("sweep 01_stub --params notebooks", "notebooks cannot be read: Is a directory"),
        ("sweep 01_stub --params grid.yaml/x", "grid.yaml/x cannot be read: Not a directory"),
        ("sweep ...ipynb --set seed=1", "a notebook may not be called '..': rename ...ipynb"),
        ("sweep 03_none --set seed=1", "there is no notebook 03_none; notebooks/ here has"),
        ("sweep 01_stub --set seed=1 --workers 2 --scheduler tls://x:9", "--workers is for this"),
        ("sweep 01_stub --set seed=1 --workers 0", "workers must be above 0; received 0"),
        ("sweep 01_stub --set seed=1 --workers 1001", "workers must not be above 1,000; received"),
        ("sweep 01_stub --set seed=1 --threads 1000000000", "threads must not be above 1,000; r"),
        ("sweep 01_stub --set seed=1 --timeout 0", "timeout must be above 0; received 0"),
        ("sweep 01_stub --set seed=1 --timeout nan", "timeout must be above 0; received nan"),
        ("sweep 01_stub --set seed=1 --timeout inf", "must not be above 31,536,000; received inf"),
        ("sweep 01_stub --set seed=1 --scheduler=", "must be such as tls://10.0.0.1:8786; rec"),
        ("sweep 01_stub --set seed=1 --scheduler x", "address must be such as tls://10.0.0.1:8786"),
        ("sweep 01_stub --set seed=1 --scheduler tls://x:99999", "received 'tls://x:99999'"),
        ("sweep 01_stub --set seed=1 --scheduler inproc://1:2", "received 'inproc://1:2'"),
        (
            "sweep 01_stub --set seed=1 --scheduler tls://x:9 --tls-key notebooks",
            "there is no certificate or key in notebooks: name a PEM file",
        ),
        ("sweep 01_stub --set seed=1 --set data=none --dry-run", "none: there is no such file"),
        ("collect none", "there are no finished runs in none"),
    ],
)
def test_the_commands_refuse_in_one_line_and_write_nothing(here, capsys, arguments, message):
    before = files(here)
    assert main(arguments.split()) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert files(here) == before


def test_a_folder_into_which_another_sweep_writes_is_refused(here, capsys):
    with lock_folder("out"):
        assert main("sweep 01_stub --set seed=1 --output out".split()) == 2
    error = capsys.readouterr().err
    assert (
        error == "mnist-course: another run or sweep is writing into out: wait, or name another\n"
    )


def test_a_dry_run_lists_what_would_be_run_and_writes_nothing(here, capsys):
    def list_runs():
        before = files(here)
        command = "sweep 01_stub --params grid.yaml --set rate=0.5,1 --set data=digits"
        assert main([*command.split(), "--output", "out", "--dry-run"]) == 0
        assert files(here) == before
        head, *lines = capsys.readouterr().out.splitlines()
        assert head.startswith("4 runs of 01_stub on bundled digits: 1,500 training")
        pattern = r"([0-9a-f-]{25})  (to do|done|failed)  +(.*), data='digits'"
        return [re.fullmatch(pattern, line).groups() for line in lines]

    runs = list_runs()
    assert [state for _, state, _ in runs] == ["to do"] * 4
    changed = [parameters for _, _, parameters in runs]
    assert changed == ["seed=0", "seed=0, rate=1.0", "seed=1", "seed=1, rate=1.0"]
    write_result("out", make_result(0) | {"run": runs[1][0]}, "the notebook")
    write_result("out", make_result(0, error="E: no") | {"run": runs[2][0]}, "the notebook")
    not_started = make_result(0, error="the kernel did not start") | {"started": False}
    write_result("out", not_started | {"run": runs[3][0]}, None)
    assert [state for _, state, _ in list_runs()] == ["to do", "done", "failed", "to do"]


def test_a_dry_run_names_what_is_no_result_and_leaves_it_there(here, capsys):
    Path("out", "runs").mkdir(parents=True)
    Path("out", "runs", "bad.json").touch()
    before = files(here)
    assert main("sweep 01_stub --set seed=1 --set data=digits --output out --dry-run".split()) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "bad.json holds no result" in line
    assert files(here) == before


def test_texts_of_results_stay_in_their_lines(here, capsys):
    text = "MNIST\nOK\u202e\x1b[2J" + "x" * 900
    good = make_scored(1, 0.5, rate=text + "x" * 100_000) | {"digits": text}
    bad = make_result(2, error=text, rate="") | {"cell": text}
    write_result("out", good, None)
    write_result("out", make_scored(3, 0.5, rate=0.1), None)
    write_result("out", bad, None)
    assert main(["collect", "out"]) == 1
    lines = capsys.readouterr().out.splitlines()
    starts = ["rate    ", r"MNIST\nO", "0.1     ", "FAILED a", "", "2 good r"]
    assert [line[:8] for line in lines] == starts
    assert all(len(line) <= 2000 for line in lines)
    assert r"on MNIST and MNIST\nOK\u202e\x1b[2Jxxx" in lines[-1]


def test_collecting_leaves_out_what_is_no_result(here, capsys):
    write_result("out", make_scored(1, 0.5), "the notebook")
    for content in ("{}", "[]", "null", ""):
        Path("out", "runs", "bad.json").write_text(content)
        # Meanwhile a sweep may be writing there, which alone may rename its files.
        with lock_folder("out"):
            assert main(["collect", "out"]) == 0
        printed = capsys.readouterr()
        assert "1 good run, 0 failed" in printed.out
        assert len(printed.err.splitlines()) == 1
        assert Path("out", "runs", "bad.json").exists()
    assert main(["collect", "out"]) == 0
    assert "it is now bad.json.unreadable" in capsys.readouterr().err
    assert main(["collect", "out"]) == 0
    assert capsys.readouterr().err == ""


def test_a_table_that_cannot_be_written_is_told_in_one_line(here, capsys):
    write_result("out", make_scored(1, 0.5), "the notebook")
    Path("out", "runs.csv").mkdir()
    assert main(["collect", "out"]) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert "runs.csv cannot be written (" in line
    # The table is printed all the same.
    assert printed.out.splitlines()[0].split() == ["runs", "val", "accuracy", "seconds"]
    assert printed.out.endswith("\n1 good run, 0 failed, on MNIST\n")


def test_results_of_others_are_printed_and_why_no_file_is_written(here, capsys, monkeypatch):
    write_result("out", make_scored(1, 0.5), None)
    before = files(here)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    assert main(["collect", "out"]) == 2
    printed = capsys.readouterr()
    assert printed.out.endswith("\n1 good run, 0 failed, on MNIST\n")
    (line,) = printed.err.splitlines()
    assert line.startswith("mnist-course: out/runs.csv is not written, for you may not write there")
    assert files(here) == before


def test_a_table_is_written_while_nobody_else_can_write_one(here, monkeypatch):
    write_result("out", make_scored(1, 0.5), None)
    states = []

    def write(results, path):
        try:
            with lock_folder("out"):
                states.append("open")
        except RuntimeError:
            states.append("locked")

    monkeypatch.setattr("mnist_course.sweep.command.write_csv", write)
    assert main(["collect", "out"]) == 0
    assert states == ["locked"]


def test_a_sweep_that_ends_meanwhile_is_collected_whole(here, monkeypatch):
    write_result("out", make_scored(1, 0.5), None)
    sweep = contextlib.ExitStack()
    sweep.enter_context(lock_folder("out"))
    tables = []

    def write(results, path):
        tables.append(len(results))
        if len(tables) == 1:
            # The sweep writes its last result and its table between reading and writing.
            write_result("out", make_scored(2, 0.5), None)
            sweep.close()

    monkeypatch.setattr("mnist_course.sweep.command.write_csv", write)
    assert main(["collect", "out"]) == 0
    assert tables == [1, 2]


def test_many_runs_need_a_yes(here, capsys):
    many = "sweep 01_stub --set seed=0:1001 --set data=digits --yes --dry-run"
    assert main(many.split()) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1002


def test_collecting_makes_both_tables(here, capsys):
    write_result("out", make_scored(1, 0.5, rate=0.5), "the notebook")
    write_result("out", make_scored(2, 0.9, rate=1.0), "the notebook")
    assert main(["collect", "out"]) == 0
    lines = [re.sub(" +", " ", line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "rate runs val accuracy seconds",
        "1.0 1 0.9000 2.0",
        "0.5 1 0.5000 2.0",
        "",
        "2 good runs, 0 failed, on MNIST: out/runs.csv",
    ]
    # As private as a sweep leaves it.
    if os.name == "posix":
        assert stat.S_IMODE(Path("out", "runs.csv").stat().st_mode) & 0o077 == 0
    write_result("out", make_result(3, error="ValueError: no", rate=0.1), "the notebook")
    assert main(["collect", "out"]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert "FAILED aaaaaaaa-3 (rate=0.1) in fit: ValueError: no" in printed
    with Path("out", "runs.csv").open(encoding="utf-8", newline="") as file:
        assert [row["rate"] for row in csv.DictReader(file)] == ["0.5", "1.0", "0.1"]


# One sweep has good runs and all kinds of bad ones; the tests after it each look at one thing.


FAILURES = {
    Seed.NEVER_ENDS: "in work: time-out: the run was not done after 15 seconds",
    Seed.RAISES: "in work: ValueError: unlucky",
    Seed.KILLS_KERNEL: "in work: the kernel died (killed)",
    Seed.LACKS_MEMORY: "in work: MemoryError",
    Seed.OTHER_DIGITS: "other digits than the sweep's were used",
    Seed.NO_RECORD: "no record: the last cell must call record_run",
}
OTHER_VALUES = "rate=1e-3 units=[16,32] flag=false word=0123 extra=null data=digits".split()


def run_sweep(folder, address, seeds, *options):
    """Return exit status, standard output and standard error of a sweep in this process."""
    arguments = ["sweep", "stub.ipynb", "--set", f"seed={seeds}", "--output", "out", *options]
    for assignment in OTHER_VALUES:
        arguments += ["--set", assignment]
    out = io.StringIO()
    err = io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        # pytest makes errors of this project's warnings.
        warnings.simplefilter("default")
        status = main([*arguments, "--scheduler", address])
    return status, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def mixed(thread_workers, tmp_path_factory):
    """Return the folder of a sweep, and what it printed."""
    folder = tmp_path_factory.mktemp("with {braces}")
    write_stub(folder)
    failing = ",".join(str(seed.value) for seed in FAILURES)
    address = thread_workers.scheduler_address
    return folder, run_sweep(folder, address, f"{failing},0,1", "--timeout", "15")


def notebook_of(folder, seed):
    for run, result in read_results(folder / "out").items():
        if result["parameters"]["seed"] == seed:
            return folder / "out" / "runs" / f"{run}.ipynb"


@pytest.mark.slow
def test_failed_runs_are_told_with_their_cell_and_reason(mixed):
    folder, (status, out, err) = mixed
    assert status == 1, err
    lines = [line for line in out.splitlines() if line.startswith("FAILED")]
    assert len(lines) == len(FAILURES)
    for line, (seed, reason) in zip(lines, FAILURES.items(), strict=True):
        assert f"(seed={seed})" in line
        assert reason in line
    assert "2 good runs, 6 failed, on bundled digits: out/runs.csv" in out
    assert "bundled digits: |" in err
    assert "8 of 8 done, 6 failed, 0 running" in err
    assert "Traceback" not in err
    table = (folder / "out" / "runs.csv").read_text()
    assert table.count("\n") == 9
    assert table.count(",failed,") == 6


@pytest.mark.slow
def test_a_plain_address_is_warned_of(mixed, thread_workers):
    _, (_, _, err) = mixed
    warning = err.splitlines()[0]
    address = thread_workers.scheduler_address
    assert warning.startswith(f"mnist-course: {address} is not a tls:// address")
    assert "run any program" in warning


@pytest.mark.slow
@pytest.mark.parametrize("seed", [Seed.RAISES, Seed.NEVER_ENDS, Seed.LACKS_MEMORY])
def test_failed_runs_keep_their_partial_notebook(mixed, seed):
    folder, _ = mixed
    assert "0.001" in output_text(notebook_of(folder, seed))


@pytest.mark.slow
def test_no_kernel_is_left_behind(mixed):
    folder, _ = mixed
    assert sorted(started_seeds(folder)) == sorted([0, 1, *FAILURES])
    assert gone(*kernels(folder))


@pytest.mark.slow
def test_values_arrive_typed_and_threads_are_set(mixed):
    folder, _ = mixed
    text = output_text(notebook_of(folder, 1))
    assert "(0.001, [16, 32], False, '0123', None)" in text
    assert "{'TF_NUM_INTRAOP_THREADS': '1', 'OMP_NUM_THREADS': '1'}" in text


@pytest.mark.slow
def test_finished_runs_are_repeated_only_on_demand_or_when_the_code_has_changed(
    mixed, thread_workers
):
    folder, _ = mixed
    address = thread_workers.scheduler_address
    before = len(started_seeds(folder))
    seeds = f"0:2,{Seed.RAISES}"
    notebook = nbformat.read(folder / "stub.ipynb", 4)
    notebook.cells[0].source = "# Other prose"
    nbformat.write(notebook, folder / "stub.ipynb")
    status, out, _ = run_sweep(folder, address, seeds)
    assert status == 1
    assert "2 good runs, 1 failed" in out
    assert started_seeds(folder)[before:] == []
    status, _, _ = run_sweep(folder, address, seeds, "--retry-failed")
    assert status == 1
    assert started_seeds(folder)[before:] == [Seed.RAISES]
    notebook.cells[2].source += "\npass"
    nbformat.write(notebook, folder / "stub.ipynb")
    status, _, _ = run_sweep(folder, address, "0")
    assert status == 0
    assert started_seeds(folder)[before:] == [Seed.RAISES, 0]


# A sweep that is stopped while seed 0 is done, another runs, and seed 1 waits.


def start_and_wait(folder):
    """Return the sweep's process, and all that it started."""
    seeds = f"seed=0,{Seed.WAITS_FOR_FILE},1"
    process = start(folder, "--set", seeds, "--workers", "1")
    wait_until(lambda: len(finished(folder)) == 1 and len(started_seeds(folder)) == 2)
    with pytest.raises(RuntimeError, match="another run or sweep is writing into"):
        with lock_folder(folder / "out"):
            pass
    family = psutil.Process(process.pid).children(recursive=True)
    return process, [child.pid for child in family]


def check_resumed(folder, sweep_in_threads):
    """Let the same sweep go on, and see that it does the rest and nothing twice."""
    (folder / "go").touch()
    rows = sweep_in_threads(folder, {"seed": [0, Seed.WAITS_FOR_FILE.value, 1]})
    assert [row["result"] for row in rows] == ["good"] * 3
    assert started_seeds(folder)[:2] == [0, Seed.WAITS_FOR_FILE]
    assert sorted(started_seeds(folder)[2:]) == [1, Seed.WAITS_FOR_FILE]
    assert len(finished(folder)) == 3
    assert not list((folder / "out" / "runs").glob(".*"))


@pytest.mark.slow
def test_after_kill_9_of_the_command_the_rest_is_done_and_nothing_twice(folder, sweep_in_threads):
    process, family = start_and_wait(folder)
    process.kill()
    process.communicate()
    wait_until(lambda: gone(*family))
    check_resumed(folder, sweep_in_threads)


@pytest.mark.slow
def test_ctrl_c_ends_all_that_was_started(folder, sweep_in_threads):
    process, family = start_and_wait(folder)
    os.killpg(process.pid, signal.SIGINT)
    status, out, err = finish(process)
    assert (status, out) == (130, "")
    assert "Traceback" not in err
    assert "distributed" not in err
    assert err.splitlines()[-1] == "mnist-course: interrupted; what was finished is kept"
    wait_until(lambda: gone(*family))
    check_resumed(folder, sweep_in_threads)


def has_workers(process):
    """Say whether a command has started processes that are to become its workers."""
    children = psutil.Process(process.pid).children()
    return any("spawn_main" in str(child.cmdline()) for child in children)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="this system has no such signals")
@pytest.mark.parametrize(
    ("number", "message"),
    [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "stopped by SIGTERM")],
)
def test_a_stop_while_the_workers_start_is_one_line(folder, number, message):
    process = start(folder, "--set", "seed=0:2", "--workers", "2")
    wait_until(lambda: has_workers(process))
    # Ctrl-C reaches all processes of a terminal.
    send = os.killpg if number == signal.SIGINT else os.kill
    send(process.pid, number)
    status, out, err = finish(process)
    assert (status, out) == (128 + number, "")
    assert err.split("\n") == ["", f"mnist-course: {message}; what was finished is kept", ""]
