"""Two of everything at once: each tells its own numbers, or refuses in one line."""

import time

from campaign.outcome import Outcome
from campaign.world import World

FIRST_SEED = 11
SECOND_SEED = 12
SWEEP_SEEDS = range(2)
LONGEST_OFFSET = 3.0
GOOD = 0
REFUSED = 2


def _run(seed, output):
    return ["run", "stub.ipynb", "-p", f"seed={seed}", "-p", "pause=0.3", "--output", output]


SWEEP = ["sweep", "stub.ipynb", "--set", "seed=0:2", "--workers", "1", "--output", "out"]
PAIRS = {
    "run and run": (_run(FIRST_SEED, "out"), _run(SECOND_SEED, "out")),
    "run and run elsewhere": (_run(FIRST_SEED, "out"), _run(SECOND_SEED, "out2")),
    "run and sweep": (_run(FIRST_SEED, "out"), SWEEP),
    "sweep and sweep": (SWEEP, SWEEP),
    "sweep and collect": (SWEEP, ["collect", "out"]),
}


def one_round(rng):
    """Start two commands one shortly after the other, and check what both say and leave.

    Parameters
    ----------
    rng : random.Random

    Returns
    -------
    list of Outcome
    """
    name = rng.choice(list(PAIRS))
    commands = list(PAIRS[name])
    rng.shuffle(commands)
    with World() as world:
        try:
            _run_both(world, commands, rng.uniform(0, LONGEST_OFFSET))
        except Exception as error:
            return [Outcome("pairs", name, f"{type(error).__name__}: {error}")]
    return [Outcome("pairs", name)]


def _run_both(world, commands, offset):
    first = world.start(commands[0])
    time.sleep(offset)
    second = world.start(commands[1])
    answers = [world.finish(first), world.finish(second)]
    statuses = [status for status, _ in answers]
    assert set(statuses) <= {GOOD, REFUSED}, f"status {statuses}: {answers}"
    assert GOOD in statuses, f"neither was done: {answers}"
    for command, (status, text) in zip(commands, answers, strict=True):
        if status == GOOD:
            _check_answer(world, command, text)
    world.check_processes()
    world.check_files()
    world.check_leftovers()


def _check_answer(world, command, text):
    if command[0] == "run":
        seed = int(command[3].partition("=")[2])
        assert f"{0.9 + seed / 1000:.4f}" in text, f"another run's number: {text}"
    elif command[0] == "sweep":
        world.check_sweep("out", SWEEP_SEEDS)
