"""Commands that may write only so much: what is there then is whole, and the rest goes on later."""

import math
import os
import subprocess

from campaign.outcome import Outcome
from campaign.world import World

SMALLEST_BYTES = 100
LARGEST_BYTES = 1_000_000
RUN_SEED = 3
COMMANDS = {
    "run": ["run", "stub.ipynb", "-p", f"seed={RUN_SEED}", "--output", "out"],
    "sweep": ["sweep", "stub.ipynb", "--set", "seed=0:2", "--workers", "1", "--output", "out"],
}
# All documented statuses of a command that nobody interrupts.
STATUSES = {0, 1, 2}


def one_round(rng):
    """Run a command where writing fails at some point, then once more where it does not.

    Parameters
    ----------
    rng : random.Random

    Returns
    -------
    list of Outcome
    """
    name = rng.choice(list(COMMANDS))
    size = int(math.exp(rng.uniform(math.log(SMALLEST_BYTES), math.log(LARGEST_BYTES))))
    # Only root may make a disk. Without one, files may be no larger than `size`.
    has_disk = os.name == "posix" and os.geteuid() == 0 and rng.random() < 0.5
    kind = f"{name}, {'disk' if has_disk else 'file'}"
    with World() as world:
        try:
            if has_disk:
                _fill_disk(world, name, size)
            else:
                status, text = world.run(COMMANDS[name], limit=size)
                assert status in STATUSES, f"status {status}: {text}"
                world.check_processes()
                world.check_files()
            _finish(world, name)
        except Exception as error:
            return [Outcome("disks", kind, f"{size} bytes: {type(error).__name__}: {error}")]
    return [Outcome("disks", kind)]


def _fill_disk(world, name, size):
    disk = world.folder / "out"
    disk.mkdir()
    options = f"size={size},nr_inodes=200"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], check=True)
    try:
        status, text = world.run(COMMANDS[name])
        assert status in STATUSES, f"status {status}: {text}"
        world.check_processes()
        world.check_files()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _finish(world, name):
    arguments = list(COMMANDS[name])
    if name == "sweep":
        arguments.append("--retry-failed")
    status, text = world.run(arguments)
    assert status == 0, f"it does not go on: status {status}: {text}"
    if name == "run":
        world.check_run("out", RUN_SEED)
    else:
        world.check_sweep("out", range(2))
    world.check_files()
    world.check_leftovers()
