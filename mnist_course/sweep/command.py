"""What the commands ``mnist-course sweep`` and ``mnist-course collect`` do."""

import contextlib
import os
import sys
from pathlib import Path

from mnist_course.files import lock_folder
from mnist_course.parameters import split_assignments
from mnist_course.sweep.cluster import check_workers, join_cluster, local_cluster
from mnist_course.sweep.engine import run_plan
from mnist_course.sweep.fingerprint import describe_environment
from mnist_course.sweep.grid import merge_grids, read_grid
from mnist_course.sweep.plan import plan_sweep
from mnist_course.sweep.private import private_files
from mnist_course.sweep.results import (
    TABLE,
    is_finished,
    read_results,
    summary_table,
    varied_parameters,
    write_csv,
)
from mnist_course.terminal import LONGEST_MESSAGE, one_line, printable, table_lines

# The most runs that need no --yes.
_MAX_RUNS = 1_000
# The exit status where the table is printed, but could not be written.
_NOT_WRITTEN = 2
# The most settings of the table that are printed.
_MAX_SETTINGS = 30


def sweep_command(options):
    """Run a sweep, or list its runs, and print a report.

    Parameters
    ----------
    options : argparse.Namespace
        The command line's: see ``mnist-course sweep --help``.

    Returns
    -------
    int
        The exit status: 1 if a run failed, else 0.

    Raises
    ------
    ValueError, OSError, RuntimeError
        As `sweep` raises them, and for options that do not go together.
    """
    plan = _read_plan(options)
    cluster = _prepare_cluster(options)
    output = plan.default_output
    if options.output is not None:
        output = Path(options.output)
    if options.dry_run:
        _print_runs(plan, cluster if options.scheduler is not None else None, output)
        return 0
    results = run_plan(
        plan,
        output=output,
        cluster=cluster,
        timeout=options.timeout,
        retry_failed=options.retry_failed,
    )
    return _report(results, output / TABLE)


def collect_command(options):
    """Write the table of a sweep's finished runs anew, and print a report.

    Parameters
    ----------
    options : argparse.Namespace
        `folder` is the sweep's.

    Returns
    -------
    int
        The exit status: 2 if the table could only be printed; else 1 if a run failed, else 0.

    Raises
    ------
    FileNotFoundError
        If there are no finished runs in the folder.
    """
    folder = Path(options.folder)
    if not (folder / "runs").is_dir():
        raise FileNotFoundError(f"there are no finished runs in {folder}")
    results, problem = _collect(folder)
    if not results:
        raise FileNotFoundError(f"there are no finished runs in {folder}")
    if problem is None:
        return _report(results, folder / TABLE)
    _report(results)
    print(f"mnist-course: {one_line(problem, LONGEST_MESSAGE)}", file=sys.stderr)
    return _NOT_WRITTEN


def _collect(folder):
    """Read a sweep's results and write their table.

    Returns
    -------
    results : list of dict
    problem : str or None
        Why the table could not be written.
    """
    if not os.access(folder, os.W_OK):
        problem = (
            f"{folder / TABLE} is not written, for you may not write there: copy {folder} to "
            "a place of your own, and collect there"
        )
        return list(read_results(folder).values()), problem
    try:
        with lock_folder(folder):
            return _read_and_write(folder, set_aside=True)
    except RuntimeError:
        # A sweep is writing there now. It alone may give its files other names.
        outcome = _read_and_write(folder, set_aside=False)
    except OSError as error:
        return list(read_results(folder).values()), str(error)
    # Has it ended meanwhile, with a table that this one has just replaced?
    with contextlib.suppress(RuntimeError, OSError), lock_folder(folder):
        outcome = _read_and_write(folder, set_aside=True)
    return outcome


def _read_and_write(folder, set_aside):
    """Do what `_collect` does, with the folder's lock or without."""
    results = list(read_results(folder, set_aside=set_aside).values())
    problem = None
    if results:
        try:
            with private_files():
                write_csv(results, folder / TABLE)
        except OSError as error:
            problem = str(error)
    return results, problem


def _read_plan(options):
    """Plan what --params and --set ask for."""
    values = split_assignments("--set", options.set)
    grids = [{}]
    if options.params is not None:
        grids = read_grid(options.params)
    plan = plan_sweep(options.notebook, merge_grids(grids, values))
    n_runs = plan.count_runs()
    if n_runs > _MAX_RUNS and not options.yes:
        raise ValueError(f"that is {n_runs:,} runs; add --yes if you mean it")
    return plan


def _prepare_cluster(options):
    """Return the workers that the options ask for; none has been started yet."""
    if options.scheduler is None:
        return local_cluster(options.workers, options.threads)
    if options.workers is not None:
        raise ValueError("--workers is for this machine; a cluster has the workers it has")
    return join_cluster(
        options.scheduler,
        threads=options.threads,
        tls_ca_file=options.tls_ca_file,
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
    )


def _print_runs(plan, cluster, output):
    """Print a line for each run. Without a cluster, this process stands for all workers."""
    if cluster is None:
        environment = describe_environment(plan.data)
    else:
        with cluster as (client, _):
            environment = check_workers(client, plan.data)
    if environment["dataset_warning"]:
        print(one_line(environment["dataset_warning"], LONGEST_MESSAGE), file=sys.stderr)
    runs = plan.list_runs(environment)
    finished = read_results(output)
    text = environment["dataset"]["text"]
    n_runs = _count(len(runs), "run")
    print(one_line(f"{n_runs} of {plan.name} on {text}, into {output}:", LONGEST_MESSAGE))
    for run, parameters in runs.items():
        state = _state(finished.get(run))
        changed = plan.changed_parameters(parameters)
        # "failed" is the longest state.
        print(one_line(f"{run}  {state:6}  {_format_parameters(changed)}", LONGEST_MESSAGE))


def _state(result):
    if result is None or not is_finished(result):
        return "to do"
    return "failed" if result["error"] else "done"


def _report(results, path=None):
    """Print the table of results, what failed, and a last line; return the exit status.

    `path` is where the table has been written, if it has.
    """
    _print_table(summary_table(results))
    failed = [result for result in results if result["error"]]
    varied = varied_parameters([result["parameters"] for result in results])
    for result in failed:
        print(one_line(_describe_failure(result, varied), LONGEST_MESSAGE))
    # Such as "MNIST" of "MNIST: 60,000 training and 10,000 test digits".
    names = {result["digits"].partition(":")[0] for result in results}
    digits = one_line(" and ".join(sorted(names)))
    n_good = len(results) - len(failed)
    line = f"{_count(n_good, 'good run')}, {len(failed)} failed, on {digits}"
    if path is not None:
        line += f": {printable(str(path))}"
    print(f"\n{line}")
    return 1 if failed else 0


def _print_table(table):
    """Print the head and the first rows of a table, its columns aligned."""
    print("\n".join(table_lines(table[: 1 + _MAX_SETTINGS])))
    n_more = len(table) - 1 - _MAX_SETTINGS
    if n_more > 0:
        print(f"and {n_more:,} more settings")


def _describe_failure(result, varied):
    """Say which run failed, by the parameters that differ between runs, and where and why."""
    words = [f"FAILED {result['run']}"]
    if varied:
        values = {name: result["parameters"].get(name) for name in varied}
        words.append(f"({_format_parameters(values)})")
    if result["cell"]:
        words.append(f"in {result['cell']}")
    return f"{' '.join(words)}: {result['error']}"


def _count(number, noun):
    plural = "" if number == 1 else "s"
    return f"{number:,} {noun}{plural}"


def _format_parameters(parameters):
    return ", ".join(f"{name}={value!r}" for name, value in parameters.items())
