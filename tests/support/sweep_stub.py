"""What the tests of the sweep share: a notebook whose seeds make trouble, and a Dask cluster."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mnist_helpers.data import describe, load_mnist

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
import os, time
with open('LOG', 'a') as log:
    log.write(f'{seed} {os.getpid()} {os.getppid()}\\n')
print((rate, units, flag, word, extra))
print({name: os.environ.get(name) for name in ('TF_NUM_INTRAOP_THREADS', 'OMP_NUM_THREADS')})
if seed == 100:
    raise ValueError('unlucky')
if seed == 101:
    os.kill(os.getpid(), 9)
if seed == 102:
    while True:
        pass
if seed == 103:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))
    bytearray(2**34)
if seed == 104:
    memory = b'1' * 2**31
time.sleep(pause)"""
RECORD = """\
from mnist_helpers.record import record_run
digits = json.loads('DIGITS')
if seed == 105:
    digits['sha256'] = '0' * 64
if seed != 106:
    record_run('stub', parameters={'seed': seed, 'rate': rate, 'units': units}, digits=digits,
               metrics={'val_accuracy': 0.9 + seed / 1000}, seconds={'work': pause})"""


def write_stub(folder):
    """Write stub.ipynb into a folder; each of its runs adds a line to log.txt there.

    A line holds the seed and the process numbers of the kernel and its parent.
    """
    digits = json.dumps(describe(load_mnist("digits"))).replace("'", "\\'")
    cells = [
        new_markdown_cell("# Stub"),
        new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
        new_code_cell(WORK.replace("LOG", f"{folder}/log.txt"), metadata={"tags": ["work"]}),
        new_code_cell("import json\n" + RECORD.replace("DIGITS", digits)),
    ]
    nbformat.write(new_notebook(cells=cells), folder / "stub.ipynb")


def read_log(folder):
    """Return (seed, kernel, parent) of each run that was started."""
    path = folder / "log.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return [tuple(map(int, line.split())) for line in lines if line.count(" ") == 2]


def finished(folder):
    return sorted(path.stem for path in Path(folder, "out", "runs").glob("*.json"))


def start(folder, *arguments, prefix=(), **variables):
    """Start `sweep stub.ipynb` in a folder, as a shell in a terminal would."""
    command = [*prefix, sys.executable, "-m", "mnist_course", "sweep", "stub.ipynb"]
    data = () if any("data=" in str(part) for part in arguments) else ("--set", "data=digits")
    return subprocess.Popen(
        [*command, *data, "--output", "out", *arguments],
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


def sweep(folder, *arguments, **options):
    return finish(start(folder, *arguments, **options))


def wait_until(condition, seconds=60):
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


def tls(folder):
    files = {"ca-file": "cert.pem", "cert": "cert.pem", "key": "key.pem"}
    return [part for name, file in files.items() for part in (f"--tls-{name}", folder / file)]


class Cluster:
    """Processes that end with the test; what they print goes into files."""

    def __init__(self, folder, protocol="tls"):
        self.folder, self.processes = folder, []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"{protocol}://127.0.0.1:{port}"
        self.options = tls(folder) if protocol == "tls" else []
        self.arguments = ["--scheduler", self.address, *self.options]

    def add(self, *command, prefix=(), **variables):
        number = len(self.processes)
        place = self.folder / f"process-{number}"
        place.mkdir()
        with open(place / "log.txt", "w") as log:
            process = subprocess.Popen(
                [*prefix, sys.executable, *command, *self.options],
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
