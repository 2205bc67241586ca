"""What another user of the machine can do to a sweep: nothing."""

import contextlib
import os
import shutil
import socket
import ssl
import stat
import tempfile
from pathlib import Path

import psutil
import pytest
from support.sweep_stub import Seed, finish, start, started_seeds, wait_until, write_stub
from support.users import NOBODY, as_nobody

from mnist_course.sweep.private import private_files


def test_files_are_private_whatever_the_umask_allows(tmp_path):
    before = os.umask(0)
    try:
        with private_files():
            (tmp_path / "file").touch()
            (tmp_path / "folder").mkdir()
        (tmp_path / "later").touch()
    finally:
        os.umask(before)
    modes = {path.name: stat.filemode(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"file": "-rw-------", "folder": "drwx------", "later": "-rw-rw-rw-"}


def break_in(paths):
    """List what can be done with these paths: (what, path)."""
    done = []

    def attempt(what, path, function, *arguments):
        try:
            function(*arguments)
        except OSError:
            return
        done.append((what, path))

    for path in paths:
        attempt("listed", path, os.listdir, path)
        attempt("read", path, lambda path: open(path, "rb").read(1), path)
        attempt("changed", path, open, path, "ab")
        attempt("placed a file in", path, open, f"{path}/keras.py", "w")
        attempt("swapped", path, os.rename, path, f"{path}-before")
        attempt("connected to", path, socket.socket(socket.AF_UNIX).connect, path)
    return done


def talk(ports):
    """Return what each port answers to somebody without certificates, plainly and over TLS."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    answers = {}
    for port in ports:
        for wrap in (lambda plain: plain, context.wrap_socket):
            answer = b""
            with contextlib.suppress(OSError):
                plain = socket.create_connection(("127.0.0.1", port), timeout=2)
                with wrap(plain) as connection:
                    connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
                    while part := connection.recv(4096):
                        answer += part
            answers.setdefault(port, []).append(answer.hex())
    return answers


@pytest.fixture
def open_place():
    """Return a folder that everybody may enter, with a temporary folder as /tmp is one."""
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    place.chmod(0o755)
    (place / "tmp").mkdir()
    (place / "tmp").chmod(0o1777)
    (place / "work").mkdir()
    write_stub(place / "work")
    yield place
    shutil.rmtree(place)


def plant(place):
    """Let nobody make folders under the names that Dask would take, and return them."""
    planted = []
    for name in ("dask-scratch-space", f"dask-scratch-space-{os.getuid()}", "named"):
        folder = place / "tmp" / name
        folder.mkdir()
        folder.chmod(0o777)
        os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
        planted.append(folder)
    return planted


def list_files(family):
    """List the files that these processes have opened to write, and their sockets' paths."""
    paths = set()
    for process in family:
        for file in process.open_files():
            if file.mode != "r":
                paths.add(file.path)
        for connection in process.net_connections("unix"):
            if connection.laddr.startswith("/"):
                paths.add(connection.laddr)
    return paths


def list_ports(family):
    ports = []
    for process in family:
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip == "127.0.0.1"
                ports.append(connection.laddr.port)
    return ports


@pytest.mark.root
def test_another_user_can_read_place_and_swap_nothing_while_a_sweep_runs(open_place):
    work = open_place / "work"
    planted = plant(open_place)
    loaded = open_place / "loaded"
    code = open_place / "evil.py"
    code.write_text(f"open({str(loaded)!r}, 'a')\n")
    settings = {
        "TMPDIR": str(open_place / "tmp"),
        "DASK_TEMPORARY_DIRECTORY": str(planted[-1]),
        "DASK_DISTRIBUTED__WORKER__PRELOAD": str(code),
        "DASK_DISTRIBUTED__NANNY__PRELOAD": str(code),
        "DASK_DISTRIBUTED__SCHEDULER__PRELOAD": str(code),
        "DASK_DISTRIBUTED__CLIENT__PRELOAD": str(code),
    }
    open_umask = ("sh", "-c", 'umask 000; exec "$@"', "sh")
    seeds = f"seed=1,{Seed.WAITS_FOR_FILE}"
    process = start(work, "--set", seeds, "--workers", "1", prefix=open_umask, **settings)
    wait_until(lambda: len(started_seeds(work)) == 2)
    command = psutil.Process(process.pid)
    family = [command, *command.children(recursive=True)]
    paths = {str(path) for path in (open_place / "tmp").rglob("*")}
    paths |= {str(path) for path in (work / "out").rglob("*")} | {str(work / "out")}
    # The pipes and devices of a process have no path that another user could open.
    paths |= {path for path in list_files(family) if os.path.exists(path)}
    paths -= {str(path) for path in planted} | {"/dev/null"}
    assert any("/tmp/.mnist-" in path for path in paths)
    assert any(path.endswith(".json") and "/out/runs/" in path for path in paths)
    assert as_nobody(break_in, sorted(paths)) == []
    answers = as_nobody(talk, list_ports(family))
    assert len(answers) >= 3
    for port, (plain, encrypted) in answers.items():
        # At most the first bytes of a protocol, or an alert of TLS.
        assert len(plain) <= 2 * 64, port
        assert encrypted == "", port
    for folder in planted:
        assert list(folder.iterdir()) == []
    assert not loaded.exists()
    (work / "go").touch()
    status, _, err = finish(process)
    assert status == 0, err
    modes = {stat.filemode(path.stat().st_mode)[4:] for path in (work / "out").rglob("*")}
    assert modes == {"------"}
    assert sorted(path.name for path in (open_place / "tmp").iterdir()) == sorted(
        folder.name for folder in planted
    )
    assert not loaded.exists()
