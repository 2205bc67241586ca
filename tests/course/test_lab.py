"""`make lab` closes JupyterLab's kernels to other users, and copes with homes it cannot use."""

import json
import os
import signal
import stat
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
from support.lab import ask, learners_lab, run_in_kernel

from mnist_course import lab as lab_module
from mnist_course.lab import main
from mnist_helpers.scratch import scratch_folder

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no sockets of this kind")

ABOUT_ITSELF = """
import os, sys
print(sys.executable)
print(os.environ["JUPYTER_RUNTIME_DIR"])
print(open(next(word for word in sys.argv if word.endswith(".json"))).read())
"""
# Each class that JupyterLab's kernels are reached with, and those that it is made from.
MANAGERS = """
    KernelManager AsyncKernelManager AsyncIOLoopKernelManager ServerKernelManager
    MultiKernelManager AsyncMultiKernelManager MappingKernelManager AsyncMappingKernelManager
""".split()
LISTENING = psutil.CONN_LISTEN


def about_itself(lab, kernel):
    program, runtime, *connection = run_in_kernel(lab, kernel, ABOUT_ITSELF).splitlines()
    return program, Path(runtime), json.loads("\n".join(connection))


def start_kernel(lab):
    # As for a notebook that is opened: the kernel works in its folder.
    return ask(lab, "api/kernels", b'{"path": "01.ipynb"}')["id"]


@pytest.fixture
def other_kernel(tmp_path):
    """Return a place for JUPYTER_PATH where another kernel has the name of ours."""
    folder = tmp_path / "other" / "kernels" / "python3"
    folder.mkdir(parents=True)
    spec = {"argv": ["false"], "display_name": "Other", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    return str(tmp_path / "other")


def open_settings(folder):
    """Return a folder with settings that would let all local users listen to kernels."""
    lines = []
    for name in MANAGERS:
        lines += [f"c.{name}.transport = 'tcp'", f"c.{name}.transport_encryption = 'disabled'"]
    folder.mkdir()
    (folder / "jupyter_server_config.py").write_text("\n".join(lines))
    return str(folder)


@posix
@pytest.mark.slow
def test_kernels_are_this_python_and_are_reached_through_a_private_folder(tmp_path, other_kernel):
    folder = tmp_path / "ein Ördner"
    (folder / "notebooks").mkdir(parents=True)
    (folder / "notebooks" / "01.ipynb").write_text("{}")
    (folder / "notebooks" / "01.ipynb").chmod(0o444)
    # A learner's own, which would kill every kernel.
    (folder / "work").mkdir()
    (folder / "work" / "types.py").write_text("raise SystemExit")
    settings = open_settings(tmp_path / "settings")
    odd = {"SOURCE_DATE_EPOCH": "", "IPYTHON_SUPPRESS_CONFIG_ERRORS": "perhaps"}
    with learners_lab(folder, JUPYTER_PATH=other_kernel, JUPYTER_CONFIG_DIR=settings, **odd) as lab:
        kernels = [start_kernel(lab), start_kernel(lab)]
        program, runtime, connection = about_itself(lab, kernels[0])
        assert program == lab.process.cmdline()[0]
        assert connection["transport"] == "ipc" and connection["ip"].startswith(f"{runtime}/")
        assert stat.S_IMODE(runtime.stat().st_mode) & 0o077 == 0
        # Once it answers, it has opened its ports.
        assert run_in_kernel(lab, kernels[1], "print(6 * 7)") == "42\n"
        # Of a kernel's own ports the one remains that takes in what its child processes print.
        for process in lab.process.children():
            ports = [port for port in process.net_connections() if port.status == LISTENING]
            assert len(ports) == 1 and ports[0].laddr.ip == "127.0.0.1"
        ask(lab, f"api/kernels/{kernels[0]}/restart", b"{}")
        assert run_in_kernel(lab, kernels[0], "print(6 * 7)") == "42\n"
        # Its debugger would open a port that runs anything for anybody.
        spec = ask(lab, "api/kernelspecs")["kernelspecs"]["python3"]["spec"]
        assert spec["metadata"]["debugger"] is False
        assert ask(lab, "api/contents/01.ipynb?content=0")["writable"]
        # A terminal that is closed.
        lab.process.send_signal(signal.SIGHUP)
        assert lab.process.wait(30) == 0
    assert not runtime.exists()


@pytest.mark.slow
def test_settings_without_a_token_let_nobody_in(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01.ipynb").write_text("{}")
    settings = tmp_path / "settings"
    settings.mkdir()
    lines = ["c.IdentityProvider.token = ''", "c.ServerApp.disable_check_xsrf = True"]
    (settings / "jupyter_server_config.py").write_text("\n".join(lines))
    with learners_lab(tmp_path, JUPYTER_CONFIG_DIR=str(settings)) as lab:
        assert ask(lab, "api/contents")["type"] == "directory"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{lab.url}api/contents")


ENCRYPTED = """
import sys
import urllib.error
import urllib.request
from mnist_course import lab
lab._fits_sockets = lambda folder: False
sys.exit(lab.main())
"""


@pytest.mark.slow
def test_where_sockets_are_not_to_be_had_ports_are_encrypted(tmp_path, monkeypatch):
    monkeypatch.setattr("support.lab.COMMAND", [sys.executable, "-c", ENCRYPTED])
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01.ipynb").write_text("{}")
    settings = open_settings(tmp_path / "settings")
    home = str(tmp_path / "no-home")
    with learners_lab(tmp_path, HOME=home, JUPYTER_CONFIG_DIR=settings) as lab:
        _, runtime, connection = about_itself(lab, start_kernel(lab))
        assert connection["transport"] == "tcp" and connection["curve_publickey"]
        said = [line for line in lab.log.read_text().splitlines() if line.startswith("make lab:")]
        assert len(said) == 2
        assert f"no home folder here ({home!r})" in said[0] and "encrypted" in said[1]
        lab.process.kill()
        lab.process.wait()
    # The next start removes what that one left.
    assert runtime.exists()
    with scratch_folder(runtime.parent):
        assert not runtime.exists()


# --- a folder of one's own ---------------------------------------------------------------------


@posix
def test_a_temporary_folder_with_a_long_path_gives_way_to_a_short_one(tmp_path, monkeypatch):
    long = tmp_path / ("l" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    assert lab_module._temporary_folder() == lab_module.SHORT_FOLDER


def test_settings_are_kept_elsewhere_where_the_home_does_not_take_them(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("os.environ", {"HOME": str(tmp_path)})
    (tmp_path / ".jupyter").write_text("a file, not a folder")
    lab_module._replace_unwritable_folders(tmp_path / "private")
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{tmp_path}/.jupyter cannot be written" in line
    assert set(os.environ) == {"HOME", "JUPYTER_CONFIG_DIR"}


def test_where_no_notebooks_are_it_says_so_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("make lab: there is no notebook in notebooks: start this in")
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_it_says_so_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("notebooks").mkdir()
    Path("notebooks/01.ipynb").touch()
    Path("work").write_text("a file, not a folder")
    assert main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("make lab: work cannot be written (File exists): ")
