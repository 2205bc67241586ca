"""The commands ``sweep`` and ``collect``."""

import sys
from pathlib import Path

from mnist_helpers.batch.parameters import split_assignments
from mnist_helpers.sweep import plan_sweep, sweep
from mnist_helpers.sweep.cluster import check_workers, join_cluster, local_cluster
from mnist_helpers.sweep.grid import count_runs, merge_grids, read_grid
from mnist_helpers.sweep.identity import describe_environment
from mnist_helpers.sweep.results import find_varied, read_results, summarise, write_csv

MOST_RUNS = 1_000  # without --yes
_BEST = 30  # rows of the table that are printed


def add_sweep(commands):
    """Add the command ``sweep`` to argparse's subcommands."""
    about = "run a notebook once for each point of a grid, on all cores or on a cluster"
    parser = commands.add_parser("sweep", help=about, description=about)
    add = parser.add_argument
    add("notebook", metavar="NOTEBOOK", help="a path, or a name in notebooks/")
    add(
        "--set",
        action="append",
        default=[],
        metavar="name=values",
        help="a parameter and its values, parted by commas: --set epochs=1,2 --set seed=0:5 (that "
        "is 0 to 4) --set conv_filters=[30,15],[16,8]; all combinations are run",
    )
    add("--params", metavar="FILE", help="a YAML file with a grid, or a list of grids")
    add("--workers", type=int, metavar="N", help="runs side by side (default: as fits the cores)")
    add("--threads", type=int, metavar="N", help="threads of each run (default: as fits the cores)")
    add("--timeout", type=float, metavar="SECONDS", help="what one run may take (default: any)")
    add("--scheduler", metavar="ADDRESS", help="run on the Dask cluster with this scheduler")
    files = {"ca-file": "the authority's certificate", "cert": "yours", "key": "its key"}
    for name, what in files.items():
        add(f"--tls-{name}", metavar="FILE", help=f"for --scheduler: {what} (PEM)")
    add("--output", metavar="DIR", help="where results go (default: results/sweep/NOTEBOOK)")
    add("--dry-run", action="store_true", help="check everything, list the runs and run none")
    add("--retry-failed", action="store_true", help="repeat the runs that failed before")
    add("--yes", action="store_true", help=f"allow more than {MOST_RUNS:,} runs")
    parser.set_defaults(command=_sweep)


def add_collect(commands):
    """Add the command ``collect`` to argparse's subcommands."""
    about = "make runs.csv and the table of all runs in a sweep's folder, finished or not"
    parser = commands.add_parser("collect", help=about, description=about)
    parser.add_argument("folder", metavar="DIR", help="where the sweep's results are")
    parser.set_defaults(command=_collect)


def _sweep(options):
    values = split_assignments("--set", options.set)
    grids = merge_grids(read_grid(options.params) if options.params else [{}], values)
    plan = plan_sweep(options.notebook, grids)
    number = count_runs(plan.grids)
    if number > MOST_RUNS and not options.yes:
        raise ValueError(f"that is {number:,} runs; add --yes if you mean it")
    if options.scheduler:
        if options.workers is not None:
            raise ValueError("--workers is for this machine; a cluster has the workers it has")
        tls = {name: getattr(options, name) for name in ("tls_ca_file", "tls_cert", "tls_key")}
        cluster = join_cluster(options.scheduler, threads=options.threads, **tls)
    else:
        cluster = local_cluster(options.workers, options.threads)
    output = Path(options.output or plan.output)
    if options.dry_run:
        _list(plan, cluster if options.scheduler else None, output)
        return 0
    rows = sweep(
        options.notebook,
        grids,
        output=output,
        cluster=cluster,
        timeout=options.timeout,
        retry_failed=options.retry_failed,
    )
    return _report({row["run"] for row in rows}, output)


def _collect(options):
    results = read_results(options.folder)
    if not results:
        raise FileNotFoundError(f"there are no finished runs in {options.folder}")
    write_csv(results.values(), Path(options.folder, "runs.csv"))
    return _report(results, options.folder)


def _list(plan, cluster, output):
    if cluster:
        with cluster as (client, _):
            environment = check_workers(client, plan.data)
    else:
        environment = describe_environment(plan.data)
    if environment["notice"]:
        print(environment["notice"], file=sys.stderr)
    runs, known = plan.name_runs(environment), read_results(output)
    number, digits = _number(len(runs), "run"), environment["digits"]["text"]
    print(f"{number} of {plan.name} on {digits}, into {output}:")
    for run, parameters in runs.items():
        state = "failed" if run in known and known[run]["error"] else "done"
        changed = {k: v for k, v in parameters.items() if v != plan.defaults[k]}
        print(f"{run}  {state if run in known else 'to do':6}  {_words(changed)}")


def _report(runs, output):
    results = [result for run, result in read_results(output).items() if run in runs]
    table = summarise(results)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table[: _BEST + 1]:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    if len(table) > _BEST + 1:
        print(f"and {len(table) - _BEST - 1:,} more settings")
    failed = [result for result in results if result["error"]]
    varied = find_varied([result["parameters"] for result in results])
    for result in failed:
        where = f" in {result['cell']}" if result["cell"] else ""
        which = _words({name: result["parameters"].get(name) for name in varied})
        which = f" ({which})" if which else ""
        print(f"FAILED {result['run']}{which}{where}: {result['error']}")
    digits = " and ".join(sorted({result["digits"].partition(":")[0] for result in results}))
    good = _number(len(results) - len(failed), "good run")
    print(f"\n{good}, {len(failed)} failed, on {digits}: {output}/runs.csv")
    return int(bool(failed))


def _number(count, what):
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _words(parameters):
    return ", ".join(f"{name}={value!r}" for name, value in parameters.items())
