"""Sweeps whose workers or scheduler are killed: nothing is lost, and nothing is done twice."""

import contextlib
import os
import tempfile
import threading

import nbformat
import pytest
from distributed.scheduler import KilledWorker
from support.sweep_stub import (
    Seed,
    finished,
    gone,
    kernels,
    started_seeds,
    tls_files,
    wait_until,
    write_stub,
)

from mnist_course.sweep import engine, join_cluster, local_cluster, servers, sweep

pytestmark = pytest.mark.slow


def test_a_sweep_returns_a_row_for_each_run_in_the_grids_order(folder, sweep_in_threads):
    rows = sweep_in_threads(folder, {"seed": [3, 1]})
    assert [row["seed"] for row in rows] == [3, 1]
    assert [row["val_accuracy"] for row in rows] == [0.903, 0.901]
    assert {row["result"] for row in rows} == {"good"}
    assert all("data" not in row and "results_dir" not in row for row in rows)
    # The runs are finished now, so that another order of the grid starts none.
    rows = sweep_in_threads(folder, {"seed": [1, 3]})
    assert [row["seed"] for row in rows] == [1, 3]
    assert sorted(started_seeds(folder)) == [1, 3]


def run_without_room(*arguments, **options):
    raise OSError(28, "No space left on device")


def test_what_fails_by_the_machines_fault_is_done_again(folder, sweep_in_threads, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("mnist_course.sweep.engine.run_notebook", run_without_room)
        (row,) = sweep_in_threads(folder, {"seed": 1})
    assert row["result"] == "failed"
    assert row["error"] == "the run could not go on: No space left on device"
    (row,) = sweep_in_threads(folder, {"seed": 1})
    assert row["result"] == "good"


def test_an_executed_notebook_with_notes_in_it_is_not_replaced(
    folder, sweep_in_threads, monkeypatch
):
    monkeypatch.setattr("mnist_course.sweep.engine.run_notebook", run_without_room)
    sweep_in_threads(folder, {"seed": 1})
    (result,) = (folder / "out" / "runs").glob("*.json")
    notes = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("notes")])
    notes.metadata["mnist_helpers"] = {"cells": "another checksum"}
    nbformat.write(notes, result.with_suffix(".ipynb"))
    with pytest.raises(ValueError, match=f"{result.stem}.ipynb has been edited since"):
        sweep_in_threads(folder, {"seed": 1})


def test_a_run_whose_record_could_not_be_read_again_has_failed(folder, sweep_in_threads):
    notebook = nbformat.read(folder / "stub.ipynb", 4)
    source = notebook.cells[3].source
    notebook.cells[3].source = source.replace("'units': units", "'units': [0] * 5000")
    nbformat.write(notebook, folder / "stub.ipynb")
    for _ in range(2):
        (row,) = sweep_in_threads(folder, {"seed": 1})
        assert row["error"] == "its record cannot be kept: it holds more than 5,000 values"
    # It is read again, and not run again.
    assert started_seeds(folder) == [1]


def test_a_bad_result_is_set_aside_and_its_run_done_again(folder, sweep_in_threads, capsys):
    sweep_in_threads(folder, {"seed": [1, 2]})
    runs = folder / "out" / "runs"
    first, second = sorted(runs.glob("*.json"))
    first.write_text("")
    rows = sweep_in_threads(folder, {"seed": [1, 2]})
    assert [row["result"] for row in rows] == ["good", "good"]
    assert sorted(path.name for path in runs.glob("*.json*")) == sorted(
        [first.name, f"{first.name}.unreadable", second.name]
    )
    assert len(started_seeds(folder)) == 3
    assert f"{first} holds no result" in capsys.readouterr().err


@pytest.fixture
def process_worker(monkeypatch):
    """Return a local cluster with one worker, which gives a run to two workers, not to four."""
    name = "distributed.scheduler.allowed-failures"
    monkeypatch.setitem(servers._SETTINGS, name, 1)
    # pytest's own folders have names that are too long for a kernel's sockets.
    with tempfile.TemporaryDirectory() as temporary:
        monkeypatch.setenv("TMPDIR", temporary)
        monkeypatch.setattr(tempfile, "tempdir", temporary)
        with local_cluster(1, 1) as client_and_threads:
            yield contextlib.nullcontext(client_and_threads)
        # Workers that were killed could not remove theirs.
        assert os.listdir(temporary) == []


def test_a_run_whose_worker_is_killed_is_done_again_but_not_for_ever(tmp_path, process_worker):
    write_stub(tmp_path)
    seeds = [Seed.KILLS_WORKER_ONCE.value, Seed.KILLS_EVERY_WORKER.value]
    rows = []
    # One sweep each: a run that waits at a worker which is killed counts as killed there too.
    for seed in seeds:
        rows += sweep(
            tmp_path / "stub.ipynb",
            {"seed": seed, "data": "digits"},
            output=tmp_path / "out",
            cluster=process_worker,
        )
    killed_once, always_killed = rows
    assert killed_once["result"] == "good"
    assert always_killed["error"] == "each of the 2 workers it was given to was killed"
    assert started_seeds(tmp_path) == [seeds[0], seeds[0], seeds[1], seeds[1]]
    wait_until(lambda: gone(*kernels(tmp_path)))


def sweep_cluster(folder, address, seeds):
    return sweep(
        folder / "stub.ipynb",
        {"seed": seeds, "data": "digits"},
        output=folder / "out",
        cluster=join_cluster(address, **tls_files(folder)),
    )


def test_when_the_scheduler_is_gone_what_is_finished_is_kept(folder, cluster, sweep_in_threads):
    seeds = [0, Seed.WAITS_FOR_FILE.value, 1]
    scheduler = cluster.scheduler()
    worker = cluster.worker()

    def kill_scheduler():
        wait_until(lambda: len(finished(folder)) == 1 and len(started_seeds(folder)) == 2)
        scheduler.kill()

    killer = threading.Thread(target=kill_scheduler)
    killer.start()
    with pytest.raises(ConnectionError, match="does not answer any more. What was finished is"):
        sweep_cluster(folder, cluster.address, seeds)
    killer.join()
    # A worker without a scheduler ends when its run has ended.
    (folder / "go").touch()
    wait_until(lambda: worker.poll() is not None and gone(*kernels(folder)))
    assert len(finished(folder)) == 1
    rows = sweep_in_threads(folder, {"seed": seeds})
    assert [row["result"] for row in rows] == ["good"] * 3
    assert started_seeds(folder).count(0) == 1
    assert len(started_seeds(folder)) == 4


def test_the_notebook_travels_and_a_worker_takes_a_run_for_each_of_its_threads(folder, cluster):
    cluster.scheduler()
    worker = cluster.worker(threads=2)
    # Each of these two waits for the other: one after the other, they would never end.
    seeds = [Seed.WAITS_FOR_SECOND.value, Seed.WAITS_FOR_FIRST.value]
    rows = sweep_cluster(folder, cluster.address, seeds)
    assert [row["result"] for row in rows] == ["good", "good"]
    assert sorted(started_seeds(folder)) == sorted(seeds)
    assert len(list((folder / "out" / "runs").glob("*.ipynb"))) == 2
    # The worker keeps nothing.
    assert worker.poll() is None
    kept = [path.suffix for path in (folder / "process-1").rglob("*")]
    assert ".ipynb" not in kept
    assert ".json" not in kept


def test_a_run_whose_workers_were_killed_is_a_failed_run_whatever_its_future_says():
    error = KilledWorker("task", None, 3)

    class LostFuture:
        # So seen in a sweep whose workers were killed again and again: not "error".
        status = "lost"

        def result(self):
            raise error

    outcome = engine._take_outcome(LostFuture())
    assert outcome["error"] == "each of the 4 workers it was given to was killed"
