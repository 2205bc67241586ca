"""Sends the runs of a sweep to the workers and takes back what came of them."""

import copy
import itertools

import nbformat

from mnist_course.sweep.worker import run_notebook

# Called by its own name, a set of digits is taken or the run fails; no run falls back on others.
_DATA_ARGUMENT = {"MNIST": "mnist", "bundled digits": "digits"}
_SCHEDULER_LOST = (
    "the scheduler does not answer any more. What was finished is kept: start the scheduler "
)
_SCHEDULER_LOST += (
    "and its workers again, then the same command, which goes on where this one stopped"
)


def run_all(client, plan, runs, settings, bar):
    """Yield (run, outcome) as runs finish; what is on its way at one time is bounded.

    `runs` maps runs to parameters, `settings` are keyword arguments of `worker.run_notebook`. If
    the scheduler does not answer any more, a ConnectionError is raised.
    """
    from distributed import CancelledError, as_completed
    from distributed.comm import CommClosedError

    text = _without_outputs(plan.notebook)
    always = {}
    if "data" in plan.defaults:
        name = settings["expected"]["digits"]["name"]
        always["data"] = plan.data or _DATA_ARGUMENT.get(name, "")
    if "results_dir" in plan.defaults:
        always["results_dir"] = ""  # the worker names a folder

    waiting, running = iter(runs.items()), {}
    finished = as_completed()

    def send():
        threads = sum(client.nthreads().values())
        # One more for each thread waits at the worker, so that none stands idle. Where all workers
        # are gone for a while, one run waits for the next to come.
        room = max(1, 2 * threads) - len(running)
        for run, parameters in itertools.islice(waiting, max(0, room)):
            given = {k: v for k, v in parameters.items() if v != plan.defaults[k]} | always
            future = client.submit(run_notebook, plan.name, text, given, **settings, pure=False)
            running[future] = run
            finished.add(future)
        bar.running = min(len(running), threads)
        bar.show()

    try:
        send()
        for future in finished:
            yield running.pop(future), _take(future)
            send()
    except (CancelledError, CommClosedError) as error:
        raise ConnectionError(_SCHEDULER_LOST) from error


def _take(future):
    """Return what came of a run, or why it could not be done."""
    from distributed.scheduler import KilledWorker

    if future.status != "error":  # when the scheduler is gone, it is canceled
        return future.result()
    error = future.exception()
    reason = f"{type(error).__name__}: {error}"  # such as a full disk over there
    if isinstance(error, KilledWorker):
        reason = f"each of the {error.allowed_failures + 1} workers it was given to was killed"
    return {"record": None, "seconds": 0.0, "cell": None, "error": reason, "notebook": None}


def _without_outputs(notebook):
    bare = copy.deepcopy(notebook)
    for cell in bare.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nbformat.writes(bare)
