"""Commands that are killed at random moments, again and again, and then run to their end."""

import signal
import subprocess
import time

import psutil
from support.sweep_stub import started_seeds

from campaign.outcome import Outcome
from campaign.world import World

RUN_SEED = 3
SWEEP_SEEDS = range(4)
# From 10 on, the stub's seeds have a meaning of their own.
STORM_SEEDS = range(10)
# Seconds of work in a cell, so that a kill can meet one.
PAUSE_SECONDS = 0.3
PAUSE = f"pause={PAUSE_SECONDS}"
COMMANDS = {
    "run": ["run", "stub.ipynb", "-p", f"seed={RUN_SEED}", "-p", PAUSE, "--output", "out"],
    "sweep": [
        *["sweep", "stub.ipynb", "--set", "seed=0:4", "--set", PAUSE, "--output", "out"],
        # A kernel that was killed has failed its run.
        *["--workers", "2", "--retry-failed"],
    ],
}
# Who is ended, and how often.
ROLES = {
    "run": {"command": 9, "kernel": 1},
    "sweep": {"command": 6, "worker": 2, "kernel": 2},
}
# What the event belongs to that a process is ended at: see faults/sitecustomize.py.
PHASES = {
    "process": "start",
    "folder": "start",
    "write": "writing",
    "rename": "renaming",
    "remove": "end",
}
SIGNALS = {signal.SIGKILL: 6, signal.SIGTERM: 2, signal.SIGHUP: 1, signal.SIGINT: 1}
MOST_KILLS_IN_A_ROUND = 15
# How often a round is of each kind. A sweep takes longest to start.
KINDS = {"run": 6, "sweep": 1, "storm": 1}
# In a storm, kernels and workers of one sweep are ended every so many seconds.
LONGEST_CALM = 1.0
MOST_KILLS_IN_A_STORM = 25
LONGEST_DELAY = 0.01
# How often a kill is of each kind.
KILLS = {"at an event": 5, "in a cell": 2, "at some time": 3}
# How often is looked whether a notebook works.
BLINK_SECONDS = 0.02
# Of the kills at no event, those that meet any process of the command, not the command itself.
SHARE_OF_OTHER_VICTIMS = 0.3
# How many seconds a command takes; corrected by what is seen.
expected_seconds = {"run": 4.0, "sweep": 9.0}
# How many events of a kind there are in a process; corrected by what is seen.
expected_events = {}


def one_round(rng):
    """Kill one command several times, run it to its end, and check what it left.

    Parameters
    ----------
    rng : random.Random

    Returns
    -------
    list of Outcome
        One for each kill.
    """
    name = _choose(rng, KINDS)
    if name == "storm":
        return _storm(rng)
    outcomes = []
    with World() as world:
        try:
            for _ in range(rng.randint(1, MOST_KILLS_IN_A_ROUND)):
                kill = _choose(rng, KILLS)
                if kill == "at an event":
                    phase = _kill_at_an_event(world, name, rng)
                elif kill == "in a cell":
                    phase = _kill_in_a_cell(world, name, rng)
                else:
                    phase = _kill_at_some_time(world, name, rng)
                if phase:
                    outcomes.append(Outcome("kills", f"{name}, {phase}"))
                world.check_files()
            _finish(world, name)
        except Exception as error:
            last = outcomes.pop().kind if outcomes else f"{name}, not killed"
            outcomes.append(Outcome("kills", last, f"{type(error).__name__}: {error}"))
    return outcomes


def _choose(rng, weights):
    return rng.choices(list(weights), list(weights.values()))[0]


def _kill_at_an_event(world, name, rng):
    """Start the command, which is ended at some event; return the phase, or None if it was not."""
    role = _choose(rng, ROLES[name])
    event = rng.choice(list(PHASES))
    key = (name, role, event)
    number = rng.randint(1, expected_events.get(key, 3))
    delay = rng.choice([0, rng.uniform(0, LONGEST_DELAY)])
    token = world.folder / "h" / "token"
    token.touch()
    signal_number = int(_choose(rng, SIGNALS))
    fault = f"{role} {event} {number} {signal_number} {delay:.5f} {token}"
    process = world.start(COMMANDS[name], fault=fault)
    _wait(world, process, signal_number)
    was_killed = not token.exists()
    world.check_processes()
    if was_killed:
        expected_events[key] = max(expected_events.get(key, 3), number + 2)
        return PHASES[event]
    expected_events[key] = max(1, number - 1)
    return None


def _kill_at_some_time(world, name, rng):
    """Start the command and end it, or a process of its, after some time; return the phase."""
    begin = time.monotonic()
    n_started = len(started_seeds(world.folder))
    process = world.start(COMMANDS[name])
    try:
        process.wait(rng.uniform(0, expected_seconds[name]))
    except subprocess.TimeoutExpired:
        pass
    else:
        expected_seconds[name] = time.monotonic() - begin
        _wait(world, process, None)
        return None
    return _kill_now(world, process, n_started, rng)


def _kill_in_a_cell(world, name, rng):
    """Start the command and end one of its processes while a notebook works; return the phase."""
    n_started = len(started_seeds(world.folder))
    process = world.start(COMMANDS[name])
    while process.poll() is None and len(started_seeds(world.folder)) == n_started:
        time.sleep(BLINK_SECONDS)
    time.sleep(rng.uniform(0, PAUSE_SECONDS))
    if process.poll() is not None:
        _wait(world, process, None)
        return None
    return _kill_now(world, process, n_started, rng)


def _kill_now(world, process, n_started, rng):
    """End the command, or a process of its; return the phase that it was in."""
    phase = "start"
    if len(started_seeds(world.folder)) > n_started:
        phase = "cell" if _kernels(world) else "end"
    victims = _find_victims(world, process)
    signal_number = _choose(rng, SIGNALS)
    if victims and rng.random() < SHARE_OF_OTHER_VICTIMS:
        if not _end(rng.choice(victims), signal_number):
            phase = None
    else:
        process.send_signal(signal_number)
    _wait(world, process, signal_number)
    world.check_processes()
    return phase


def _storm(rng):
    """End kernels and workers of one sweep again and again while it goes on."""
    arguments = ["sweep", "stub.ipynb", "--output", "out", "--workers", "2"]
    arguments += ["--set", f"seed=0:{len(STORM_SEEDS)}", "--set", PAUSE]
    n_kills = 0
    fault = ""
    with World() as world:
        try:
            process = world.start(arguments)
            while process.poll() is None and n_kills < MOST_KILLS_IN_A_STORM:
                time.sleep(rng.uniform(0, LONGEST_CALM))
                victims = _find_victims(world, process)
                if _kernels(world) and victims:
                    n_kills += _end(rng.choice(victims), signal.SIGKILL)
            _wait(world, process, None)
            world.check_processes()
            status, text = world.run([*arguments, "--retry-failed"])
            assert status == 0, f"it does not go on: status {status}: {text[-1000:]}"
            world.check_sweep("out", STORM_SEEDS)
            world.check_processes()
            world.check_files()
            world.check_leftovers()
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
    outcomes = [Outcome("kills", "sweep, a worker or kernel")] * n_kills
    if fault:
        outcomes = [*outcomes[:-1], Outcome("kills", "sweep, a worker or kernel", fault)]
    return outcomes


def _find_victims(world, command):
    """Return the command's processes; not Python's own helper, which tells of it at length."""
    victims = []
    for process in world.find_processes():
        is_helper = "resource_tracker" in _command_line(process)
        if process.pid != command.pid and not is_helper:
            victims.append(process)
    return victims


def _end(process, signal_number):
    """Send a process a signal; say whether it was still there."""
    try:
        process.send_signal(signal_number)
    except psutil.Error:
        return False
    return True


def _kernels(world):
    return [one for one in world.find_processes() if "kernel_program" in _command_line(one)]


def _command_line(process):
    """Return how a process was started, or nothing if it has ended since it was found."""
    try:
        return str(process.cmdline())
    except psutil.Error:
        return ""


def _wait(world, process, signal_number):
    """Wait for the command's end; its status must be one that is documented."""
    allowed = {0, 1}
    if signal_number is not None:
        allowed |= {-signal_number, 128 + signal_number}
    try:
        status, text = world.finish(process)
    except AssertionError:
        # Python itself answers Ctrl-C with a traceback until it has read the command's code.
        if signal_number == signal.SIGINT and process.returncode in allowed:
            return
        raise
    assert status in allowed, f"status {status}: {text[-1000:]}"


def _finish(world, name):
    status, text = world.run(COMMANDS[name])
    assert status == 0, f"it does not go on: status {status}: {text[-1000:]}"
    if name == "run":
        world.check_run("out", RUN_SEED)
    else:
        world.check_sweep("out", SWEEP_SEEDS)
    world.check_processes()
    world.check_files()
    world.check_leftovers()
