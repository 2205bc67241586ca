"""The process that decodes: its limits, its end, and what is no file."""

import io
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image
from support.drawings import PAPER, encode, picture

from mnist_helpers import decoder
from mnist_helpers.decoder import BadPictureError, decode_bytes, decode_path

SIDE = 200
PNG = encode(picture("L"), "PNG")
# Windows has other signals and no limits of a process.
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals are needed")


@pytest.fixture
def new_process(monkeypatch):
    """Let the next picture start a process, with the limits that a test sets, and no later one."""
    decoder._decoder.stop()
    yield monkeypatch
    decoder._decoder.stop()


def assert_the_next_is_decoded():
    pixels, shape = decode_bytes(PNG, SIDE)
    np.testing.assert_array_equal(np.frombuffer(pixels, "uint8").reshape(shape), PAPER)


def jpeg_with_many_passes():
    """Half a megabyte that names the last pass over a large picture again and again."""
    stream = io.BytesIO()
    Image.new("L", (6000, 6000), 128).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    last_pass = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last_pass * (500_000 // len(last_pass)) + data[-2:]


def bmp_of_runs():
    """A bitmap whose rows are written pixel by pixel, each as a run of one, over and over."""
    side = 4000
    runs = b"\x01\x00" * 5_000_000
    palette = bytes(1024)
    sizes = (40).to_bytes(4, "little") + side.to_bytes(4, "little") * 2
    kind = (1).to_bytes(2, "little") + (8).to_bytes(2, "little") + (1).to_bytes(4, "little")
    header = sizes + kind + bytes(20)
    start = (14 + len(header) + len(palette)).to_bytes(4, "little")
    return b"BM" + bytes(8) + start + header + palette + runs


# Each of them takes more than a second when it is left alone.
COSTLY = {
    "JPEG": jpeg_with_many_passes,
    "BMP": bmp_of_runs,
    "PPM": lambda: b"P6\n#" + b"a" * 40_000_000,
    "PNG": lambda: b"\x89PNG\r\n\x1a\n" + PNG[8:33] + (bytes(4) + b"IDAT5\xaf\x06\x1e") * 1_500_000,
}


@pytest.mark.parametrize("name", COSTLY)
def test_what_takes_too_long_is_refused_and_the_next_picture_is_decoded(new_process, name):
    new_process.setattr(decoder, "MAX_CPU_SECONDS", 0.2)
    with pytest.raises(BadPictureError, match="seconds of computing or .* save it again"):
        decode_bytes(COSTLY[name](), SIDE)
    assert_the_next_is_decoded()


def seconds_of_ended_processes():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.slow
def test_the_limit_that_holds_is_below_five_seconds(new_process):
    data = jpeg_with_many_passes()
    before = seconds_of_ended_processes()
    with pytest.raises(BadPictureError, match=r"3\.5 seconds of computing"):
        decode_bytes(data, SIDE)
    assert seconds_of_ended_processes() - before < 4.2


def test_what_takes_too_much_memory_is_refused_and_the_next_picture_is_decoded(new_process):
    large = encode(Image.new("RGBA", (4000, 4000)), "PNG")
    decode_bytes(large, SIDE)
    decoder._decoder.stop()
    new_process.setattr(decoder, "MAX_MEMORY", 100_000_000)
    with pytest.raises(BadPictureError, match="GB of memory"):
        decode_bytes(large, SIDE)
    assert_the_next_is_decoded()


def test_a_process_that_is_stopped_is_not_waited_for(new_process):
    assert_the_next_is_decoded()
    new_process.setattr(decoder, "MAX_WALL_SECONDS", 0.2)
    os.kill(decoder._decoder._process.pid, signal.SIGSTOP)
    with pytest.raises(BadPictureError, match="save it again"):
        decode_bytes(PNG, SIDE)
    new_process.undo()
    assert_the_next_is_decoded()


def test_a_process_that_was_ended_is_replaced():
    assert_the_next_is_decoded()
    process = decoder._decoder._process
    process.kill()
    # Not yet taken note of: the pipe is all that tells.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert_the_next_is_decoded()
    assert decoder._decoder._process.pid != process.pid


def test_one_process_decodes_all_pictures():
    assert_the_next_is_decoded()
    process = decoder._decoder._process
    for data in (b"no picture", PNG, PNG[:100], PNG):
        try:
            decode_bytes(data, SIDE)
        except BadPictureError:
            pass
    assert decoder._decoder._process is process


def test_after_an_interrupt_no_picture_gets_the_answer_of_another(new_process):
    def interrupt(pipe):
        raise KeyboardInterrupt

    new_process.setattr(decoder, "_receive_reply", interrupt)
    with pytest.raises(KeyboardInterrupt):
        decode_bytes(encode(Image.new("L", (30, 30)), "PNG"), SIDE)
    new_process.undo()
    assert_the_next_is_decoded()


def test_threads_get_the_answers_to_their_own_pictures():
    shapes = {}

    def decode(height):
        data = encode(Image.new("L", (10, height)), "PNG")
        shapes[height] = {decode_bytes(data, SIDE)[1] for _ in range(10)}

    threads = [threading.Thread(target=decode, args=[height]) for height in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shapes == {height: {(height, 10)} for height in range(1, 9)}


def test_no_process_can_be_started(new_process):
    new_process.setattr(decoder.sys, "executable", "/nowhere/python")
    with pytest.raises(BadPictureError, match="no process can be started: No such file"):
        decode_bytes(PNG, SIDE)


# --- how it ends -------------------------------------------------------------------------------

DECODE = """
import os, sys, time
from mnist_helpers import decoder

path = sys.argv[1]
decoder.decode_path(path, 200)
print(decoder._decoder._process.pid, flush=True)
"""
ENDINGS = {
    "of itself": "",
    "killed": "os.kill(os.getpid(), 9)",
    "while a copy of it goes on": """
if os.fork() == 0:
    os.close(1)
    # As long as the pipe is open that the test holds.
    sys.stdin.read()
os._exit(0)
""",
}


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            # After the name of the program, in parentheses, comes the state; Z is a zombie.
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="/proc is needed")
@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_it_ends_with_the_process_that_started_it(ending, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    command = [sys.executable, "-c", DECODE + ending, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        pid = int(process.stdout.readline())
        process.wait()
        deadline = time.monotonic() + 30
        while is_running(pid):
            assert time.monotonic() < deadline, "it goes on"
            time.sleep(0.01)


COPIES = """
child = os.fork()
if child == 0:
    own = decoder.decode_path(path, 200)
    print(decoder._decoder._process.pid, flush=True)
    os._exit(0)
os.waitpid(child, 0)
decoder.decode_path(path, 200)
print(decoder._decoder._process.pid, flush=True)
"""


def test_a_copy_of_this_process_starts_one_of_its_own(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    command = [sys.executable, "-c", DECODE + COPIES, path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, of_the_copy, last = done.stdout.split()
    assert first == last != of_the_copy
    assert done.stderr == ""


def test_nothing_in_the_current_folder_reaches_in(new_process, tmp_path):
    for name in ("PIL", "json", "struct", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('mine')")
    new_process.chdir(tmp_path)
    new_process.setenv("PYTHONPATH", str(tmp_path))
    assert_the_next_is_decoded()


# --- what is no file ----------------------------------------------------------------------------


def test_pipes_sockets_devices_and_folders_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.png"))
    for path in (tmp_path / "pipe.png", tmp_path / "socket.png", "/dev/zero", "/dev/tty"):
        with pytest.raises(BadPictureError, match="received: a pipe, a socket or a device"):
            decode_path(path, SIDE)
    with pytest.raises(BadPictureError, match="received: a folder"):
        decode_path(tmp_path, SIDE)


def test_odd_paths_are_refused(tmp_path):
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    empty = tmp_path / "empty.png"
    empty.touch()
    reasons = {
        loop: "Too many levels of symbolic links",
        "x" * 5000: "File name too long",
        "a\0b": "null",
        empty: "it is empty",
    }
    for path, reason in reasons.items():
        with pytest.raises(BadPictureError, match=f"received: .*{reason}"):
            decode_path(path, SIDE)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        # Nothing is written: the file is one hole.
        file.truncate(10**12)
    with pytest.raises(
        BadPictureError, match="at most 400,000,000 bytes; received 1,000,000,000,000"
    ):
        decode_path(path, SIDE)


def test_a_file_that_is_cut_while_it_is_read_is_refused():
    with pytest.raises(BadPictureError, match="cut while it was read"):
        decoder._decoder.decode(io.BytesIO(PNG), len(PNG) + 1, SIDE)
    assert_the_next_is_decoded()


def test_a_side_of_millions_is_refused():
    with pytest.raises(BadPictureError, match="sides of at most 1,000,000 pixels"):
        decoder.check_size(1, 2_000_000)
