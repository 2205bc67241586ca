"""Breaks the course on purpose, for as long as one likes: ``make campaign ARGS="--minutes 60"``.

Four parts take turns. `kills` ends commands at random moments and lets them go on; `inputs` gives
damaged and absurd inputs to every boundary; `pairs` starts two commands at once; `disks` lets
writing fail. At the end a table says how much was tried, survived and fell. Each fall is printed
with the number of its round, which ``--round`` repeats.
"""

import argparse
import collections
import os
import random
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait

# The share of the rounds of each part.
PARTS = {"kills": 6, "inputs": 3, "pairs": 1, "disks": 1}
SECONDS_A_MINUTE = 60
FALLS_TO_PRINT = 1_000


def main():
    """Run the campaign; the exit status is 1 if anything fell."""
    options = _parse()
    if options.round is not None:
        outcomes = one_round(options.part[0], options.seed, options.round)
        _print_falls(options.part[0], options.round, outcomes)
    else:
        outcomes = _run_all(options)
    print_table(outcomes)
    return 1 if any(outcome.fault for outcome in outcomes) else 0


def _parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long (default: 10)")
    parser.add_argument("--seed", type=int, default=1, help="of all random numbers (default: 1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="rounds at once")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this one")
    parser.add_argument("--round", type=int, help="only this round of --part, to look closer")
    options = parser.parse_args()
    if options.round is not None and len(options.part or []) != 1:
        parser.error("--round needs one --part")
    return options


def one_round(part, seed, number):
    """Do one round of a part; the same seed and number make the same choices."""
    import importlib

    module = importlib.import_module(f"campaign.{part}")
    return module.one_round(random.Random(f"{seed} {part} {number}"))


def _run_all(options):
    """Keep all jobs busy until the time is over; return all outcomes."""
    deadline = time.monotonic() + options.minutes * SECONDS_A_MINUTE
    parts = options.part or list(PARTS)
    choose = random.Random(options.seed)
    weights = [PARTS[part] for part in parts]
    numbers = dict.fromkeys(parts, 0)
    outcomes = []
    running = {}
    with ProcessPoolExecutor(options.jobs) as pool:
        while running or time.monotonic() < deadline:
            while len(running) < options.jobs and time.monotonic() < deadline:
                part = choose.choices(parts, weights)[0]
                number = numbers[part]
                numbers[part] += 1
                running[pool.submit(one_round, part, options.seed, number)] = (part, number)
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                part, number = running.pop(future)
                outcomes += future.result()
                _print_falls(part, number, future.result())
            _print_progress(outcomes)
    return outcomes


def _print_falls(part, number, outcomes):
    for outcome in outcomes:
        if outcome.fault:
            text = outcome.fault[:FALLS_TO_PRINT]
            print(f"\nFELL --part {part} --round {number}: {outcome.kind}: {text}", flush=True)


def _print_progress(outcomes):
    counts = collections.Counter(outcome.part for outcome in outcomes)
    words = ", ".join(f"{count:,} {part}" for part, count in sorted(counts.items()))
    print(f"\r{words}", end="", file=sys.stderr, flush=True)


def print_table(outcomes):
    """Print how often each kind was tried, survived and fell, as a Markdown table."""
    tried = collections.Counter((outcome.part, outcome.kind) for outcome in outcomes)
    fell = collections.Counter((o.part, o.kind) for o in outcomes if o.fault)
    totals = collections.Counter(outcome.part for outcome in outcomes)
    print("\n\n| part | what | tried | share | survived | fell |")
    print("|---|---|---|---|---|---|")
    for part in sorted(totals):
        for kind in sorted(kind for one, kind in tried if one == part):
            key = (part, kind)
            share = tried[key] / totals[part]
            survived = tried[key] - fell[key]
            print(
                f"| {part} | {kind} | {tried[key]:,} | {share:.0%} | {survived:,} | {fell[key]} |"
            )
        fallen = sum(count for (one, _), count in fell.items() if one == part)
        total = totals[part]
        print(f"| **{part}** | all | {total:,} | 100% | {total - fallen:,} | {fallen} |")


if __name__ == "__main__":
    sys.exit(main())
