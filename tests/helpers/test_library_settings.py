"""Libraries are imported with their own defaults, whatever their user has set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.project import ROOT

from mnist_helpers.library_settings import find_matplotlib_file

NO_TEXT = b"\xff\xfe\xfd"
DRAW = """
from mnist_helpers.library_settings import matplotlib_defaults
with matplotlib_defaults():
    import matplotlib.pyplot as plt
import os
print(matplotlib.rcParams["lines.linewidth"], os.getcwd(), matplotlib.rcParams["backend"])
""".replace("plt\n", "plt\nimport matplotlib\n")


def write(content):
    def make(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return make


def make_pipe(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


def draw(folder, code=DRAW, **variables):
    """Run code in a folder that is the home, too; return what it printed."""
    environment = {"HOME": str(folder), "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return run.stdout.split()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "file"),
    [
        (make_pipe, "matplotlibrc"),
        (write(NO_TEXT), ".config/matplotlib/matplotlibrc"),
        (write(b"lines.linewidth: 9"), "matplotlibrc"),
        (write(NO_TEXT), ".config/matplotlib/stylelib/mine.mplstyle"),
    ],
)
def test_matplotlib_is_imported_whatever_its_files_say(make, file, tmp_path):
    make(tmp_path / file)
    # 1.5 is matplotlib's own.
    assert draw(tmp_path, MPLBACKEND="svg") == ["1.5", str(tmp_path), "svg"]


@pytest.mark.slow
def test_a_back_end_that_matplotlib_does_not_know_is_passed_over(tmp_path):
    width, folder, backend = draw(tmp_path, MPLBACKEND="nope", MATPLOTLIBRC="/dev/null")
    assert width == "1.5"
    assert folder == str(tmp_path)
    assert backend != "nope"


@pytest.mark.slow
def test_progress_bars_are_imported_whatever_their_variables_say(tmp_path):
    code = "from mnist_helpers import data\nprint(data._own_cache().name)"
    assert draw(tmp_path, code, TQDM_MININTERVAL="abc") == ["mnist.npz"]


def test_the_file_of_matplotlib_is_the_one_that_it_would_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "config"))
    monkeypatch.delenv("MATPLOTLIBRC", raising=False)
    assert find_matplotlib_file() is None
    in_config = tmp_path / "config" / "matplotlibrc"
    write(b"")(in_config)
    assert find_matplotlib_file() == in_config
    named = tmp_path / "named"
    write(b"")(named)
    monkeypatch.setenv("MATPLOTLIBRC", "named")
    assert find_matplotlib_file() == Path("named")
    write(b"")(tmp_path / "matplotlibrc")
    assert find_matplotlib_file() == tmp_path / "matplotlibrc"


SHOW = """
import tempfile
from mnist_helpers.library_settings import writable_settings
tempfile.tempdir = %r
with writable_settings():
    from IPython.paths import get_ipython_dir
    import matplotlib
    print(get_ipython_dir(), matplotlib.get_configdir(), matplotlib.get_cachedir(), sep="\\n")
"""


def test_where_the_home_takes_no_folder_libraries_leave_none_behind(tmp_path):
    home = tmp_path / "a file, not a folder"
    home.touch()
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", SHOW % str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stderr == ""
    for folder in run.stdout.splitlines():
        assert Path(folder).parent.name.startswith(".mnist-")
    assert list(tmp_path.iterdir()) == [home]
