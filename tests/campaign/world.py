"""A place of its own for each round: home, temporary folder, notebook; and what must hold there."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import psutil
from support.sweep_stub import write_stub

from mnist_helpers.record import read_record

# Processes that a round has started are known by this variable, wherever they have gone.
MARK = "CAMPAIGN_ROUND"
FAULTS = Path(__file__).parent / "faults"
# A command of these few seconds of work that is not done by then hangs.
PATIENCE_SECONDS = 180
# A kernel looks once a second whether its parent lives.
SECONDS_TO_END = 20


class World:
    """A folder with a home, a temporary folder and a notebook, for one round.

    Attributes
    ----------
    folder : pathlib.Path
        Where commands are started.
    """

    def __init__(self):
        # A short name: the path of a socket may have some hundred characters.
        self.folder = Path(tempfile.mkdtemp(prefix="c"))
        self.home = self.folder / "h"
        self.temporary = self.folder / "t"
        self.home.mkdir()
        self.temporary.mkdir()
        write_stub(self.folder)
        self.environment = os.environ | {
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "MPLCONFIGDIR": str(self.home / ".matplotlib"),
            "MNIST_HELPERS_DATA": "digits",
            # Without it, the folder with the faults would hide nothing but cost a look each.
            "PYTHONDONTWRITEBYTECODE": "1",
            MARK: self.folder.name,
        }
        paths = [str(FAULTS), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        self.environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.find_processes():
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, arguments, fault=None, limit=None):
        """Start a command of the course; `fault` is what faults/sitecustomize.py takes."""
        environment = dict(self.environment)
        if fault:
            environment["CAMPAIGN_FAULT"] = fault
        return subprocess.Popen(
            [sys.executable, "-m", "mnist_course", *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            preexec_fn=lambda: _prepare_child(limit),
        )

    def finish(self, process):
        """Wait for a command; return its status, and all that it has printed."""
        try:
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError("the command hangs") from None
        text = f"{out}\n{err}"
        assert "Traceback (most recent call last)" not in text, f"a traceback: {text[-2000:]}"
        return process.returncode, text

    def run(self, arguments, limit=None):
        """Run a command to its end."""
        return self.finish(self.start(arguments, limit=limit))

    def find_processes(self):
        """Return all living processes that the commands of this round have started."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() == psutil.STATUS_ZOMBIE:
                    continue
                if process.environ().get(MARK) == self.folder.name:
                    found.append(process)
            except psutil.Error:
                # It has ended meanwhile, or is somebody else's.
                continue
        return found

    def check_processes(self):
        """Raise an AssertionError if a process outlives its command."""
        end = time.monotonic() + SECONDS_TO_END
        while self.find_processes():
            names = [" ".join(process.cmdline())[:200] for process in self.find_processes()]
            assert time.monotonic() < end, f"processes were left behind: {names}"
            time.sleep(0.2)

    def check_files(self):
        """Raise an AssertionError unless each file with a final name is whole."""
        for path in self.folder.rglob("*"):
            inside = path.relative_to(self.folder).parts
            is_temporary = any(part.startswith(".") for part in inside) or inside[0] in ("h", "t")
            if is_temporary or not path.is_file():
                continue
            try:
                _check_whole(path)
            except Exception as error:
                raise AssertionError(f"{'/'.join(inside)} is not whole: {error!r}") from error

    def check_leftovers(self):
        """Raise an AssertionError if a finished command has left something temporary."""
        left = [str(path) for path in self.temporary.iterdir() if not _is_pythons_own(path)]
        runtime = self.home / ".local/share/jupyter/runtime"
        if runtime.exists():
            left += [str(path) for path in runtime.iterdir()]
        for path in self.folder.rglob(".*"):
            inside = path.relative_to(self.folder).parts
            if path.name != ".lock" and inside[0] not in ("h", "t"):
                left.append(str(path))
        assert not left, f"left behind: {left}"

    def check_run(self, output, seed):
        """Raise an AssertionError unless `run` has left the record of this seed in a folder."""
        record = read_record(self.folder / output / "stub.ipynb")
        assert record["parameters"]["seed"] == seed, f"another seed's record: {record}"

    def check_sweep(self, output, seeds):
        """Raise an AssertionError unless a sweep has these seeds' results, each its own."""
        with (self.folder / output / "runs.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [int(row["seed"]) for row in rows] == list(seeds), f"other runs: {rows}"
        for row in rows:
            expected = 0.9 + int(row["seed"]) / 1000
            assert row["result"] == "good", f"a run has failed: {row}"
            assert float(row["val_accuracy"]) == expected, f"another run's number: {row}"


def _is_pythons_own(path):
    """Say whether Python has written this file, to see whether the folder can be written.

    It removes it at once, unless it is killed in between, and uses no folder of ours for it.
    """
    return path.is_file() and path.read_bytes() in (b"", b"blat")


def _prepare_child(limit):
    # Of a shell's background, a command would have inherited that Ctrl-C is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if limit is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def _check_whole(path):
    if path.suffix == ".ipynb":
        nbformat.validate(nbformat.read(path, as_version=4))
    elif path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"))
    elif path.suffix == ".html":
        assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    elif path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        assert len({len(row) for row in rows}) == 1, "its rows are not alike"
    elif path.suffix == ".png":
        from PIL import Image

        Image.open(path).load()
