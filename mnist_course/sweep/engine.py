"""Sends the runs of a sweep to the workers, and keeps the results they send back."""

import itertools
from pathlib import Path

import nbformat

from mnist_course.errors import describe_failure, reason_of
from mnist_course.files import lock_folder
from mnist_course.notebooks import read_if_possible
from mnist_course.run import refuse_edited
from mnist_course.sweep.cluster import (
    MAX_SECONDS,
    SCHEDULER_LOST,
    check_number,
    check_workers,
    local_cluster,
)
from mnist_course.sweep.fingerprint import PLACES
from mnist_course.sweep.private import private_files
from mnist_course.sweep.progress import SweepBar
from mnist_course.sweep.results import (
    TABLE,
    check_folder,
    check_result,
    is_finished,
    read_results,
    write_csv,
    write_result,
)
from mnist_course.sweep.worker import nothing_run, run_notebook
from mnist_helpers.scratch import refuse_foreign_folder

# What `load_mnist` takes, by a dataset's name. Given this argument, it reads that dataset or
# fails; with its default, a worker that lacks MNIST would fall back on the bundled digits.
_DATA_ARGUMENT = {"MNIST": "mnist", "bundled digits": "digits"}


def run_plan(plan, *, output=None, cluster=None, timeout=None, retry_failed=False):
    """Run what a plan asks for and what has not been run yet.

    Parameters
    ----------
    plan : plan.Plan
    output, cluster, timeout, retry_failed
        As `sweep` takes them.

    Returns
    -------
    list of dict
        The result of each run, in the grid's order, as the module `results` describes it.

    Raises
    ------
    ValueError, RuntimeError, ConnectionError, OSError
        As `sweep` raises them.
    """
    check_number("timeout", timeout, MAX_SECONDS)
    if output is None:
        output = plan.default_output
    output = Path(output)
    refuse_foreign_folder(output / "runs")
    # The folder comes first: no workers are started for a sweep that may not write.
    with private_files(), lock_folder(output):
        check_folder(output)
        if cluster is None:
            cluster = local_cluster()
        with cluster as (client, threads):
            environment = check_workers(client, plan.data)
            runs = plan.list_runs(environment)
            results = _read_finished(output, runs, retry_failed)
            waiting = {run: runs[run] for run in runs if run not in results}
            for run in waiting:
                earlier = output / "runs" / f"{run}.ipynb"
                refuse_edited(earlier, read_if_possible(earlier))
            settings = {"expected": environment, "threads": threads, "timeout": timeout}
            with SweepBar(len(runs), results.values(), environment) as bar:
                for run, outcome in _run_all(client, plan, waiting, settings, bar):
                    executed = outcome.pop("notebook")
                    results[run] = {
                        "run": run,
                        "notebook": plan.name,
                        "parameters": _without_places(runs[run]),
                        "digits": environment["dataset"]["text"],
                        **outcome,
                    }
                    _check_result(results[run])
                    write_result(output, results[run], executed)
                    bar.add(results[run])
        # Results come back in any order.
        ordered = [results[run] for run in runs]
        write_csv(ordered, output / TABLE)
    return ordered


def _check_result(result):
    """Let a run fail whose result could not be read again."""
    try:
        check_result(result)
    except ValueError as error:
        result["record"] = None
        result["error"] = f"its record cannot be kept: {reason_of(error)}"


def _read_finished(output, runs, retry_failed):
    """Return the results of those runs that need not be run again."""
    finished = {}
    for run, result in read_results(output, set_aside=True).items():
        if run in runs and is_finished(result) and not (retry_failed and result["error"]):
            finished[run] = result
    return finished


def _without_places(parameters):
    return {name: value for name, value in parameters.items() if name not in PLACES}


def _run_all(client, plan, runs, settings, bar):
    """Yield (run, outcome) of each run as it finishes.

    `runs` are parameters by run, `settings` the keyword arguments of `worker.run_notebook`. Only a
    few runs are at the scheduler at one time, so that memory stays small for any number of them.
    """
    # Importing it takes a second, which `collect` need not wait for.
    from distributed import CancelledError, as_completed
    from distributed.comm import CommClosedError

    text = nbformat.writes(plan.notebook)
    places = _choose_places(plan, settings["expected"]["dataset"]["name"])
    waiting = iter(runs)
    running = {}
    completed = as_completed()
    try:
        while True:
            n_threads = sum(client.nthreads().values())
            # One run more for each thread waits at the worker, so that no thread stands idle.
            # When all workers are gone for a while, one run waits for the next worker.
            n_free = max(1, 2 * n_threads) - len(running)
            for run in itertools.islice(waiting, max(0, n_free)):
                values = {**plan.changed_parameters(runs[run]), **places}
                # Not pure: Dask would take two runs with the same arguments for one.
                future = client.submit(
                    run_notebook, plan.name, text, values, **settings, pure=False
                )
                running[future] = run
                completed.add(future)
            bar.show(min(len(running), n_threads))
            if not running:
                return
            future = next(completed)
            yield running.pop(future), _take_outcome(future)
    except (CancelledError, CommClosedError) as error:
        raise ConnectionError(SCHEDULER_LOST) from error


def _choose_places(plan, dataset_name):
    """Return the parameters that say where a run finds its digits and leaves its files."""
    places = {}
    if "data" in plan.defaults:
        places["data"] = plan.data or _DATA_ARGUMENT.get(dataset_name, "")
    if "results_dir" in plan.defaults:
        # The worker puts a temporary folder here.
        places["results_dir"] = ""
    return places


def _take_outcome(future):
    """Return what `run_notebook` returned, or an outcome that says why it could not."""
    from distributed.scheduler import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        n_workers = error.allowed_failures + 1
        return nothing_run(f"each of the {n_workers} workers it was given to was killed")
    except Exception as error:
        # Without a scheduler, what is raised is no error of the run.
        if future.status != "error":
            raise
        # Such as a full disk on the worker's machine.
        return nothing_run(describe_failure(error))
