"""The commands ``sweep`` and ``collect``."""

import sys
from pathlib import Path

from mnist_course.parameters import split_assignments
from mnist_course.sweep import plan_sweep, sweep
from mnist_course.sweep.cluster import check_workers, join_cluster, local_cluster
from mnist_course.sweep.fingerprint import describe_environment
from mnist_course.sweep.grid import count_runs, merge_grids, read_grid
from mnist_course.sweep.results import read_results, summary_table, varied_parameters, write_csv

MOST_RUNS = 1_000  # without --yes
_BEST = 30  # rows of the table that are printed


def sweep_command(options):
    """Run ``mnist-course sweep``."""
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


def collect_command(options):
    """Run ``mnist-course collect``."""
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
    table = summary_table(results)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table[: _BEST + 1]:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    if len(table) > _BEST + 1:
        print(f"and {len(table) - _BEST - 1:,} more settings")
    failed = [result for result in results if result["error"]]
    varied = varied_parameters([result["parameters"] for result in results])
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
