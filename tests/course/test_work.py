"""Your own copies of the notebooks: they can be written, and are never overwritten."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from support.project import ROOT

from mnist_course import work as work_module
from mnist_course.files import MAX_BYTES
from mnist_course.work import copy_notebooks, main, start_again


@pytest.fixture
def source(tmp_path):
    """Return a folder of notebooks from which nobody may take writing for granted."""
    source = tmp_path / "notebooks"
    source.mkdir()
    for name in ("01 a.ipynb", "02_b.ipynb"):
        (source / name).write_text("new")
        (source / name).chmod(0o444)
    source.chmod(0o555)
    yield source
    source.chmod(0o755)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_copies_of_what_is_read_only_can_be_written(source, tmp_path):
    copy_notebooks(source, tmp_path / "work")
    assert (tmp_path / "work").stat().st_mode & stat.S_IWUSR
    for copy in (tmp_path / "work").iterdir():
        assert copy.stat().st_mode & stat.S_IWUSR
        assert copy.stat().st_mode & stat.S_IXUSR == 0


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077, 0o277, 0o777])
def test_a_copy_is_its_owners_whatever_the_mask(source, tmp_path, umask):
    (tmp_path / "work").mkdir()
    before = os.umask(umask)
    try:
        copy_notebooks(source, tmp_path / "work")
    finally:
        os.umask(before)
    mode = stat.S_IMODE((tmp_path / "work" / "02_b.ipynb").stat().st_mode)
    assert mode == (0o666 & ~umask) | 0o600


@pytest.mark.parametrize("stop", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fsync", "link"])
def test_what_was_stopped_is_not_there(source, tmp_path, monkeypatch, stop, step):
    def fail(*_):
        raise stop

    monkeypatch.setattr(os, step, fail)
    if step == "link":
        # Where a disk has no links.
        monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(type(stop)) as stopped:
        copy_notebooks(source, tmp_path / "work")
    if isinstance(stop, OSError):
        copy = tmp_path / "work" / "01 a.ipynb"
        reason = "(No space left on device): free some disk space"
        assert str(stopped.value) == f"{copy} cannot be written {reason}"
    assert names(tmp_path / "work") == []


def test_a_disk_without_links_will_do(source, tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    copy_notebooks(source, tmp_path / "work")
    assert names(tmp_path / "work") == ["01 a.ipynb", "02_b.ipynb"]


def test_a_copy_that_another_process_has_just_made_stays(source, tmp_path, monkeypatch):
    link = os.link

    def come_late(part, copy):
        Path(copy).write_text("mine")
        link(part, copy)

    monkeypatch.setattr(os, "link", come_late)
    copy_notebooks(source, tmp_path / "work")
    assert (tmp_path / "work" / "01 a.ipynb").read_text() == "mine"


def test_what_a_killed_process_has_left_is_removed_unless_one_copies(source, tmp_path, monkeypatch):
    monkeypatch.setattr(work_module, "LONGEST_WAIT", 0)
    work = tmp_path / "work"
    left = [work / ".mnist-copy-1-abcdefgh.part", tmp_path / ".mnist-copy-1-abcdefgh.part"]
    with work_module._one_at_a_time(work):
        work.mkdir()
        (work / ".mine.part").touch()
        left[0].touch()
        left[1].mkdir()
        copy_notebooks(source, work)
        assert left[0].exists() and left[1].exists()
    copy_notebooks(source, work)
    assert names(work) == [".mine.part", "01 a.ipynb", "02_b.ipynb"]
    assert names(tmp_path) == ["notebooks", "work"]


def test_of_two_at_once_one_waits(source, tmp_path, monkeypatch):
    work = tmp_path / "work"
    work.mkdir()
    waiting = Event()
    monkeypatch.setattr("time.sleep", lambda seconds: waiting.set())
    with ThreadPoolExecutor() as pool:
        with work_module._one_at_a_time(work):
            other = pool.submit(start_again, source, work)
            assert waiting.wait(60)
            (work / "mine").touch()
            assert names(tmp_path) == ["notebooks", "work"]
        kept = other.result(timeout=60)
    assert names(kept) == ["mine"]
    assert names(work) == ["01 a.ipynb", "02_b.ipynb"]


def test_what_is_there_is_never_touched(source, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    (work / "01 a.ipynb").write_text("mine")
    # A link that leads nowhere is somebody's, too.
    (work / "02_b.ipynb").symlink_to("elsewhere")
    copy_notebooks(source, work)
    assert (work / "01 a.ipynb").read_text() == "mine"
    assert not (work / "02_b.ipynb").exists()


def test_a_folder_set_aside_gets_a_name_of_its_own(source, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    (work / "mine").touch()
    kept = []
    for _ in range(3):  # all within one second or two
        kept.append(start_again(source, work))
        assert names(work) == ["01 a.ipynb", "02_b.ipynb"]
    assert len(set(kept)) == 3 and names(kept[0]) == ["mine"]
    assert names(kept[1]) == names(work)


def test_fresh_copies_take_the_place_of_the_old_ones_whole_or_not_at_all(
    source, tmp_path, monkeypatch
):
    work = tmp_path / "work"
    work.mkdir()
    (work / "mine").touch()
    rename = Path.rename

    def stop(path, new):
        if path.suffix == ".part":
            raise KeyboardInterrupt
        return rename(path, new)

    monkeypatch.setattr(Path, "rename", stop)
    with pytest.raises(KeyboardInterrupt):
        start_again(source, work)
    assert names(tmp_path) == ["notebooks", "work"] and names(work) == ["mine"]
    (source / "02_b.ipynb").unlink()
    (source / "02_b.ipynb").mkdir()
    with pytest.raises(OSError, match="02_b.ipynb cannot be read"):
        start_again(source, work)
    assert names(tmp_path) == ["notebooks", "work"] and names(work) == ["mine"]


@pytest.mark.parametrize("function", ["mkdir", "mkdtemp"])
def test_where_nothing_can_be_written_it_says_so_in_one_line(
    source, tmp_path, monkeypatch, capsys, function
):
    monkeypatch.chdir(tmp_path)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "work")

    monkeypatch.setattr(Path, "mkdir", refuse)
    arguments = []
    if function == "mkdtemp":
        os.mkdir("work")
        monkeypatch.setattr("tempfile.mkdtemp", refuse)
        arguments = ["--reset"]
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("make: work cannot be written (Permission denied): copy the whole")


def spoil(path, kind):
    """Put something in the place of a notebook that cannot be read."""
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("nowhere")
    elif kind == "device":
        path.symlink_to(os.devnull)
    elif kind == "large":
        path.touch()
        os.truncate(path, MAX_BYTES + 1)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such files")
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("pipe", "it is a pipe, a socket or a device, not a file): replace it"),
        ("device", "it is a pipe, a socket or a device, not a file): replace it"),
        ("folder", "it is a folder, not a file): replace it with a good copy"),
        ("link", "No such file or directory): put it back"),
        ("large", "it has more than 100,000,000 bytes): replace it"),
    ],
)
def test_a_notebook_that_cannot_be_read_is_named_and_the_others_are_copied(
    source, tmp_path, monkeypatch, capsys, kind, words
):
    monkeypatch.chdir(tmp_path)
    source.chmod(0o755)
    spoil(source / "01 a.ipynb", kind)
    assert main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"make: notebooks/01 a.ipynb cannot be read ({words}")
    assert names(tmp_path / "work") == ["02_b.ipynb"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such names")
def test_a_name_cannot_forge_a_line(source, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source.chmod(0o755)
    (source / "03\n\x1b[31m.ipynb").mkdir()
    assert main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(r"make: notebooks/03\n\x1b[31m.ipynb cannot be read")


def test_a_full_disk_is_told_with_the_final_place(source, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "work").mkdir()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    for arguments in ([], ["--reset"]):
        assert main(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        words = "make: work/01 a.ipynb cannot be written (No space left on device): free some"
        assert line.startswith(words)
    assert names(tmp_path) == ["notebooks", "work"]


@pytest.mark.parametrize("arguments", [[], ["--reset"]])
@pytest.mark.parametrize("kind", ["none", "empty", "file"])
def test_where_no_notebooks_are_nothing_is_made(tmp_path, monkeypatch, capsys, kind, arguments):
    monkeypatch.chdir(tmp_path)
    words = "there is no notebook in notebooks: start this in the course's own folder"
    if kind == "empty":
        Path("notebooks").mkdir()
        Path("notebooks/._01.ipynb").touch()
    elif kind == "file":
        Path("notebooks").touch()
        words = "notebooks cannot be read (Not a directory): give that file another name"
    if arguments:
        Path("work").mkdir()
    before = names(tmp_path)
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"make: {words}\n"
    assert names(tmp_path) == before


def test_a_byte_order_mark_is_left_out(source, tmp_path):
    source.chmod(0o755)
    (source / "03.ipynb").write_bytes(b"\xef\xbb\xbf{}")
    copy_notebooks(source, tmp_path / "work")
    assert (tmp_path / "work" / "03.ipynb").read_bytes() == b"{}"


# --- as a program ------------------------------------------------------------------------------

# It needs nothing that is installed, and nothing from a folder that somebody may write into.
PROGRAM = [sys.executable, "-I", "-S", "mnist_course/work.py"]


@pytest.fixture
def course(source, tmp_path):
    """Return a folder with the course's modules, notebooks, and files that hide Python's."""
    for package in ("mnist_course", "mnist_helpers"):
        (tmp_path / package).mkdir()
        for path in (ROOT / package).glob("*.py"):
            shutil.copy(path, tmp_path / package)
    for module in ("types", "enum", "random", "signal", "tempfile"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit(f'hidden by {__name__}')")
    return tmp_path


def test_a_file_that_hides_a_module_of_python_does_no_harm(course):
    run = subprocess.run(PROGRAM, cwd=course, capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert names(course / "work") == ["01 a.ipynb", "02_b.ipynb"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_output_that_cannot_be_written_takes_no_copy_away(course):
    (course / "work").mkdir()
    with open("/dev/full", "w") as full:
        run = subprocess.run([*PROGRAM, "--reset"], cwd=course, stdout=full, stderr=subprocess.PIPE)
    (line,) = run.stderr.decode().splitlines()
    assert run.returncode == 2 and "the output cannot be written" in line
    assert names(course / "work") == ["01 a.ipynb", "02_b.ipynb"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signal")
def test_a_closed_pipe_takes_no_copy_away(course):
    (course / "work").mkdir()
    receiving, sending = os.pipe()
    os.close(receiving)
    run = subprocess.run([*PROGRAM, "--reset"], cwd=course, stdout=sending, stderr=subprocess.PIPE)
    os.close(sending)
    assert (run.returncode, run.stderr) == (141, b"")
    assert names(course / "work") == ["01 a.ipynb", "02_b.ipynb"]
    assert len(list(course.glob("work-*"))) == 1


# It stops in the midst of a copy, and says so.
SLOW = """
import os, sys, time
sys.path[:0] = [sys.argv.pop(1)]
from mnist_course import work

def wait(descriptor):
    print("copying", flush=True)
    time.sleep(60)

os.fsync = wait
sys.exit(work.main())
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals")
@pytest.mark.parametrize("arguments", [[], ["--reset"]])
@pytest.mark.parametrize(
    ("number", "status", "words"),
    [
        (signal.SIGINT, 130, "make: interrupted"),
        (signal.SIGTERM, 143, "make: stopped by SIGTERM"),
        (signal.SIGHUP, 129, "make: stopped by SIGHUP"),
    ],
)
def test_a_signal_leaves_nothing_half_done(source, tmp_path, number, status, words, arguments):
    if arguments:
        (tmp_path / "work").mkdir()
        (tmp_path / "work" / "mine").touch()
    before = names(tmp_path)
    program = [sys.executable, "-c", SLOW, ROOT, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(program, cwd=tmp_path, **pipes) as process:
        assert process.stdout.readline() == b"copying\n"
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    assert (process.returncode, error.decode().strip()) == (status, words)
    assert set(names(tmp_path)) == {*before, "work"}
    assert names(tmp_path / "work") == (["mine"] if arguments else [])
