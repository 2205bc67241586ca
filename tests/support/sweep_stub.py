"""What the tests of sweeps share: a notebook whose seeds make trouble, and a Dask cluster."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from enum import IntEnum
from pathlib import Path

import nbformat
import psutil
from distributed.security import Security
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mnist_helpers.data import describe, load_mnist


class Seed(IntEnum):
    """The seeds whose runs are no plain good runs."""

    WAITS_FOR_FILE = 10  # until there is a file named `go`
    WAITS_FOR_SECOND = 20  # until both of these run
    WAITS_FOR_FIRST = 21
    RAISES = 100
    KILLS_KERNEL = 101
    NEVER_ENDS = 102
    LACKS_MEMORY = 103
    TAKES_ALL_MEMORY = 104
    OTHER_DIGITS = 105
    NO_RECORD = 106
    KILLS_WORKER_ONCE = 107
    KILLS_EVERY_WORKER = 108


PARAMETERS = """\
seed = 7  # which run
pause = 0.0  # seconds it sleeps
rate = 0.5  # a share
units = [4, 2]  # sizes
flag = True  # a switch
word = ''  # a text
extra = None  # anything
data = ''  # which digits
results_dir = 'results'  # where results go"""
WORK = """\
import os, pathlib, time
folder = pathlib.Path(<FOLDER>)
log = folder / 'log.txt'
with log.open('a') as file:
    file.write(f'{seed} {os.getpid()} {os.getppid()}\\n')
def count_starts(number):
    return ('\\n' + log.read_text()).count(f'\\n{number} ')
print((rate, units, flag, word, extra))
print({name: os.environ.get(name) for name in ('TF_NUM_INTRAOP_THREADS', 'OMP_NUM_THREADS')})
while seed == WAITS_FOR_FILE and not (folder / 'go').exists():
    time.sleep(0.05)
while seed == WAITS_FOR_SECOND and not count_starts(WAITS_FOR_FIRST):
    time.sleep(0.05)
while seed == WAITS_FOR_FIRST and not count_starts(WAITS_FOR_SECOND):
    time.sleep(0.05)
if seed == RAISES:
    raise ValueError('unlucky')
if seed == KILLS_KERNEL:
    os.kill(os.getpid(), 9)
if seed == NEVER_ENDS:
    time.sleep(3600)
if seed == LACKS_MEMORY:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))
    bytearray(2**34)
if seed == TAKES_ALL_MEMORY:
    memory = b'1' * 2**31
if seed == KILLS_EVERY_WORKER or (seed == KILLS_WORKER_ONCE and count_starts(seed) == 1):
    os.kill(os.getppid(), 9)
    time.sleep(3600)
time.sleep(pause)"""
RECORD = """\
import json
from mnist_helpers.record import record_run
digits = json.loads(<DATASET>)
if seed == OTHER_DIGITS:
    digits['sha256'] = '0' * 64
if seed != NO_RECORD:
    record_run('stub', parameters={'seed': seed, 'rate': rate, 'units': units}, digits=digits,
               metrics={'val_accuracy': 0.9 + seed / 1000}, seconds={'work': pause})"""


def write_stub(folder):
    """Write stub.ipynb into a folder; each of its runs adds a line to log.txt there.

    A line holds the seed and the process numbers of the kernel and its parent, the worker.
    """
    digits = json.dumps(describe(load_mnist("digits")))
    seeds = "".join(f"{seed.name} = {seed.value}\n" for seed in Seed)
    work = seeds + WORK.replace("<FOLDER>", repr(str(folder)))
    record = RECORD.replace("<DATASET>", repr(digits))
    cells = [
        new_markdown_cell("# Stub"),
        new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
        new_code_cell(work, metadata={"tags": ["work"]}),
        new_code_cell(record),
    ]
    nbformat.write(new_notebook(cells=cells), folder / "stub.ipynb")


def write_certificate(folder):
    """Write a certificate and its key, with which a Dask cluster's processes know each other."""
    security = Security.temporary()
    (folder / "cert.pem").write_text(security.tls_scheduler_cert)
    (folder / "key.pem").write_text(security.tls_scheduler_key)


def tls_files(folder):
    """Return the options of `join_cluster` that name that certificate."""
    return {
        "tls_ca_file": folder / "cert.pem",
        "tls_cert": folder / "cert.pem",
        "tls_key": folder / "key.pem",
    }


def tls_options(folder):
    """Return the command line's options that name that certificate."""
    options = []
    for name, path in tls_files(folder).items():
        options += [f"--{name.replace('_', '-')}", str(path)]
    return options


def make_result(run, *, program="aaaaaaaa", digits="MNIST", error=None, metrics=None, **parameters):
    """Return a result as `results.read_results` does, of a run that never was."""
    result = {
        "run": f"{program}-{run}",
        "notebook": "01_stub",
        "parameters": parameters,
        "digits": digits,
        "seconds": 2.0,
        "error": error,
    }
    if error:
        return {**result, "cell": "fit", "record": None}
    versions = {"python": "3.11", "keras": "3.13", "backend": "jax", "backend_version": "0.7"}
    record = {
        "schema": 1,
        "notebook": "01_stub",
        "parameters": parameters,
        "digits": {"name": digits, "train": 60000, "test": 10000, "sha256": "", "text": digits},
        "metrics": metrics or {},
        "seconds": {"fit": 1.5},
        "versions": {**versions, "numpy": "2.1", "mnist_helpers": "1.0"},
    }
    return {**result, "cell": None, "record": record}


def make_scored(run, val_accuracy, **others):
    metrics = {"test_accuracy": 0.5, "val_accuracy": val_accuracy}
    return make_result(run, metrics=metrics, **others)


def read_log(folder):
    """Return (seed, kernel, parent) of each run that was started."""
    path = folder / "log.txt"
    if not path.exists():
        return []
    lines = path.read_text().splitlines()
    # A line that is being written has fewer spaces.
    return [tuple(map(int, line.split())) for line in lines if line.count(" ") == 2]


def started_seeds(folder):
    return [seed for seed, _, _ in read_log(folder)]


def kernels(folder):
    return [kernel for _, kernel, _ in read_log(folder)]


def finished(folder):
    return sorted(path.stem for path in Path(folder, "out", "runs").glob("*.json"))


def start(folder, *arguments, prefix=(), **variables):
    """Start `sweep stub.ipynb` in a folder, as a shell in a terminal would."""
    command = [*prefix, sys.executable, "-m", "mnist_course", "sweep", "stub.ipynb"]
    return subprocess.Popen(
        [*command, "--set", "data=digits", "--output", "out", *arguments],
        cwd=folder,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Started in the background of a shell, the tests have been told to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def finish(process, timeout=120):
    """Wait for a sweep and return (exit status, standard output, standard error)."""
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def wait_until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


def gone(*processes):
    """Tell whether these have ended; a zombie whom nobody has buried yet has."""
    for number in processes:
        try:
            if psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
                return False
        except psutil.NoSuchProcess:
            pass
    return True


class Cluster:
    """A Dask cluster's processes, which end with the test; what they print goes into files."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"tls://127.0.0.1:{port}"

    def add(self, *command, prefix=(), **variables):
        place = self.folder / f"process-{len(self.processes)}"
        place.mkdir()
        with open(place / "log.txt", "w") as log:
            process = subprocess.Popen(
                [*prefix, sys.executable, *command, *tls_options(self.folder)],
                cwd=place,
                env=os.environ | variables,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def scheduler(self, host="127.0.0.1", **more):
        port = self.address.rpartition(":")[2]
        options = ["--host", host, "--port", port, "--no-dashboard"]
        return self.add("-m", "dask", "scheduler", *options, **more)

    def worker(self, threads=1, address=None, start=("-m", "dask"), **more):
        options = ["--nthreads", str(threads), "--no-nanny", "--no-dashboard"]
        return self.add(*start, "worker", address or self.address, *options, **more)

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()


def logs(folder, *numbers):
    return [(folder / f"process-{number}" / "log.txt").read_text() for number in numbers]
