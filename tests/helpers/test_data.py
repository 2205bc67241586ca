"""Where digits come from, what is refused, and that nothing here reaches a real network."""

import base64
import contextlib
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
import zipfile
from multiprocessing.pool import ThreadPool
from pathlib import Path
from unittest import mock

import nbformat
import numpy as np
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from nbclient import NotebookClient

from mnist_helpers import data
from mnist_helpers.scratch import scratch_folder

NAMES = ("x_train", "y_train", "x_test", "y_test")
IDX_NAMES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
CLOSED_PORT = "http://127.0.0.1:1/mnist.npz"
PAGE = b"\xef\xbb\xbf\r\n <!DOCTYPE html><html><title>Log in to the campus network</title></html>"


# --- what the tests share ------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def isolated(tmp_path, monkeypatch):
    """Give each test a home of its own, no settings, and a network that refuses."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in ("MNIST_HELPERS_DATA", "KERAS_HOME"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("MNIST_HELPERS_URL", CLOSED_PORT)
    return home


@pytest.fixture
def own_cache(isolated):
    return isolated / "cache" / "mnist_helpers" / "mnist.npz"


@pytest.fixture
def keras_cache(isolated):
    return isolated / ".keras" / "datasets" / "mnist.npz"


@pytest.fixture
def fake(monkeypatch):
    """Put small arrays in MNIST's place, so that what is checked does not need the real one."""
    random = np.random.default_rng(0)
    shapes = {"x_train": (300, 28, 28), "y_train": (300,), "x_test": (20, 28, 28), "y_test": (20,)}
    arrays = {}
    table = {}
    for name, shape in shapes.items():
        arrays[name] = random.integers(0, 256, shape, dtype=np.uint8)
        table[name] = (shape, hashlib.sha256(arrays[name].tobytes()).hexdigest())
    monkeypatch.setattr(data, "_ARRAYS", table)
    return arrays


@pytest.fixture
def opened(monkeypatch):
    """The paths of the .npz files that are opened, in order."""
    paths = []
    real_open = data.open_plain

    def spy(path):
        if path.suffix == ".npz":
            paths.append(path)
        return real_open(path)

    monkeypatch.setattr(data, "open_plain", spy)
    return paths


def write_file(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def npz_bytes(arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def write_npz(path, arrays):
    return write_file(path, npz_bytes(arrays))


def idx_bytes(array):
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return struct.pack(">HBB", 0, 8, array.ndim) + sizes + array.tobytes()


def write_idx_folder(folder, arrays):
    for name, file_name in IDX_NAMES.items():
        write_file(folder / file_name, idx_bytes(arrays[name]))
    return folder


def assert_same(loaded, arrays):
    (x_train, y_train), (x_test, y_test) = loaded
    for name, array in zip(NAMES, (x_train, y_train, x_test, y_test), strict=True):
        np.testing.assert_array_equal(array, arrays[name], strict=True)


def is_bundled(loaded):
    return data.describe(loaded)["name"] == "bundled digits"


def fallback(match):
    """Load, and return the text of the warning, which has to match."""
    with pytest.warns(data.BundledDigitsWarning, match=match) as caught:
        assert is_bundled(data.load_mnist())
    (text,) = [str(w.message) for w in caught if w.category is data.BundledDigitsWarning]
    return text


def files_in(folder):
    if not folder.exists():
        return []
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def serve(monkeypatch):
    """Start a loopback server that answers with `reply(handler)`; return the paths asked for."""
    stop = threading.Event()
    servers = []

    def start(reply):
        asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                # The client may hang up, and in some tests it has to.
                with contextlib.suppress(OSError):
                    reply(self)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.stop = stop
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        monkeypatch.setenv("MNIST_HELPERS_URL", f"http://127.0.0.1:{server.server_port}/mnist.npz")
        return asked

    yield start
    stop.set()
    for server in servers:
        server.shutdown()
        server.server_close()


def answer(content, status=200, **headers):
    """Make a reply that sends the content with its length, or with other headers."""

    def reply(handler):
        handler.send_response(status)
        for name, value in ({"Content-Length": len(content)} | headers).items():
            handler.send_header(name, str(value))
        handler.end_headers()
        handler.wfile.write(content)

    return reply


# --- where digits come from ----------------------------------------------------------------------


def test_the_argument_comes_before_the_variable(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_HELPERS_DATA", str(tmp_path / "missing.npz"))
    path = write_npz(tmp_path / "a.npz", fake)
    assert_same(data.load_mnist(str(path)), fake)
    assert_same(data.load_mnist(path), fake)
    assert is_bundled(data.load_mnist("digits"))


@pytest.mark.parametrize("path", [None, ""])
def test_the_variable_comes_before_the_caches(
    path, fake, tmp_path, keras_cache, opened, monkeypatch
):
    write_npz(keras_cache, fake)
    named = write_npz(tmp_path / "b.npz", fake)
    monkeypatch.setenv("MNIST_HELPERS_DATA", str(named))
    opened.clear()
    assert_same(data.load_mnist(path), fake)
    assert opened == [named]


def test_what_the_variable_names_is_never_passed_over(fake, tmp_path, keras_cache, monkeypatch):
    write_npz(keras_cache, fake)
    monkeypatch.setenv("MNIST_HELPERS_DATA", str(tmp_path / "missing.npz"))
    with pytest.raises(FileNotFoundError, match=r"missing\.npz: there is no such file or folder"):
        data.load_mnist()


def test_keras_cache_comes_before_ours(fake, keras_cache, own_cache, opened, serve):
    asked = serve(answer(npz_bytes(fake)))
    write_npz(keras_cache, fake)
    write_npz(own_cache, fake)
    opened.clear()
    assert_same(data.load_mnist(), fake)
    assert opened == [keras_cache]
    assert asked == []


def test_keras_home_is_where_keras_keeps_its_cache(fake, tmp_path, keras_cache, monkeypatch):
    write_file(keras_cache, b"not here")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "k"))
    path = write_npz(tmp_path / "k" / "datasets" / "mnist.npz", fake)
    assert_same(data.load_mnist("mnist"), fake)
    path.unlink()
    with pytest.raises(FileNotFoundError) as caught:
        data.load_mnist("mnist")
    assert str(path) in str(caught.value)
    assert str(keras_cache) not in str(caught.value)


def test_our_cache_comes_before_a_download(fake, own_cache, serve):
    asked = serve(answer(npz_bytes(fake)))
    write_npz(own_cache, fake)
    assert_same(data.load_mnist(), fake)
    assert asked == []


def test_a_download_is_kept(fake, own_cache, serve, capsys):
    content = npz_bytes(fake)
    asked = serve(answer(content))
    assert_same(data.load_mnist(), fake)
    assert_same(data.load_mnist(), fake)
    assert asked == ["/mnist.npz"]
    assert own_cache.read_bytes() == content
    assert files_in(own_cache.parent) == ["mnist.npz"]
    assert capsys.readouterr() == ("", "")


def test_a_long_download_shows_its_progress_on_stdout_alone(fake, serve, capsys, monkeypatch):
    monkeypatch.setattr(data, "BAR_DELAY_SECONDS", 0)
    serve(answer(npz_bytes(fake)))
    assert_same(data.load_mnist(), fake)
    out, err = capsys.readouterr()
    assert "mnist.npz" in out
    assert "100%" in out
    assert err == ""


def without_length(content):
    def reply(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(content)

    return reply


def test_a_download_of_unknown_length_shows_no_share(fake, own_cache, serve, capsys, monkeypatch):
    monkeypatch.setattr(data, "BAR_DELAY_SECONDS", 0)
    content = npz_bytes(fake)
    serve(without_length(content))
    assert_same(data.load_mnist(), fake)
    assert own_cache.read_bytes() == content
    out = capsys.readouterr().out
    assert "mnist.npz" in out
    assert "%" not in out


def test_a_download_that_is_compressed_for_the_way_is_unpacked(
    fake, own_cache, serve, capsys, monkeypatch
):
    monkeypatch.setattr(data, "BAR_DELAY_SECONDS", 0)
    content = npz_bytes(fake)
    serve(answer(gzip.compress(content), **{"Content-Encoding": "gzip"}))
    assert_same(data.load_mnist(), fake)
    assert own_cache.read_bytes() == content
    assert "100%" in capsys.readouterr().out


def test_a_bad_file_in_our_cache_is_replaced_by_a_good_download(fake, own_cache, serve):
    content = npz_bytes(fake)
    serve(answer(content))
    write_file(own_cache, content[:100])
    assert_same(data.load_mnist(), fake)
    assert own_cache.read_bytes() == content


def test_without_network_the_bundled_digits_come_with_the_reasons(keras_cache, own_cache):
    text = fallback("THESE DIGITS ARE NOT MNIST")
    assert f"{keras_cache}: there is no such file" in text
    assert f"{own_cache}: there is no such file" in text
    assert f"{CLOSED_PORT} into {own_cache}: " in text
    assert "Connection refused" in text
    assert "Max retries" not in text
    assert " object at 0x" not in text
    assert "MNIST_HELPERS_DATA" in text
    assert 'load_mnist("digits")' in text
    assert files_in(own_cache.parent) == []


def test_the_warning_points_at_the_caller():
    with pytest.warns(data.BundledDigitsWarning) as caught:
        data.load_mnist()
    assert caught[0].filename == __file__


def count_warnings(calls):
    """Call `load_mnist` from one line of code, and count the warnings that are shown."""
    with warnings.catch_warnings(record=True) as caught:
        for _ in range(calls):
            data.load_mnist()
    return len(caught)


def test_the_warning_comes_each_time_and_obeys_a_filter():
    with warnings.catch_warnings():
        # As in a Python that was just started: a place in the code warns once.
        warnings.resetwarnings()
        assert count_warnings(calls=3) == 3
        warnings.simplefilter("ignore")
        assert count_warnings(calls=2) == 0
        warnings.simplefilter("error")
        with pytest.raises(data.BundledDigitsWarning):
            data.load_mnist()


# --- the two words -------------------------------------------------------------------------------


@pytest.mark.parametrize(("argument", "variable"), [("digits", ""), (None, "digits")])
def test_digits_takes_the_bundled_ones_without_a_warning(
    argument, variable, fake, keras_cache, monkeypatch
):
    write_npz(keras_cache, fake)
    monkeypatch.setenv("MNIST_HELPERS_DATA", variable)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert is_bundled(data.load_mnist(argument))


@pytest.mark.parametrize(
    ("argument", "variable"),
    [("mnist", ""), ("mnist", "digits"), ("mnist", "mnist"), (None, "mnist"), ("", "mnist")],
)
def test_mnist_searches_and_never_falls_back(argument, variable, fake, keras_cache, monkeypatch):
    monkeypatch.setenv("MNIST_HELPERS_DATA", variable)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FileNotFoundError, match="MNIST could not be had") as caught:
            data.load_mnist(argument)
        assert "Connection refused" in str(caught.value)
        write_npz(keras_cache, fake)
        assert_same(data.load_mnist(argument), fake)


def test_mnist_as_argument_takes_a_path_from_the_variable(fake, tmp_path, keras_cache, monkeypatch):
    write_npz(keras_cache, fake)
    monkeypatch.setenv("MNIST_HELPERS_DATA", str(tmp_path / "missing.npz"))
    with pytest.raises(FileNotFoundError, match=r"missing\.npz"):
        data.load_mnist("mnist")
    write_npz(tmp_path / "missing.npz", fake)
    keras_cache.unlink()
    assert_same(data.load_mnist("mnist"), fake)


# --- what a path may be --------------------------------------------------------------------------


def test_the_home_sign_is_expanded(fake, isolated, monkeypatch):
    write_npz(isolated / "a.npz", fake)
    assert_same(data.load_mnist("~/a.npz"), fake)
    monkeypatch.setenv("MNIST_HELPERS_DATA", "~/a.npz")
    assert_same(data.load_mnist(), fake)


@pytest.mark.parametrize("separator", ["-", "."])
def test_a_folder_of_idx_files(separator, fake, tmp_path):
    for name, file_name in IDX_NAMES.items():
        file_name = file_name.replace("-idx", f"{separator}idx")
        write_file(tmp_path / "idx" / file_name, idx_bytes(fake[name]))
    assert_same(data.load_mnist(tmp_path / "idx"), fake)


@pytest.mark.parametrize("separator", ["-", "."])
def test_a_folder_of_gzipped_idx_files(separator, fake, tmp_path):
    for name, file_name in IDX_NAMES.items():
        file_name = file_name.replace("-idx", f"{separator}idx") + ".gz"
        write_file(tmp_path / "idx" / file_name, gzip.compress(idx_bytes(fake[name])))
    assert_same(data.load_mnist(tmp_path / "idx"), fake)


def test_a_folder_with_an_npz(fake, tmp_path):
    write_npz(tmp_path / "folder" / "mnist.npz", fake)
    assert_same(data.load_mnist(tmp_path / "folder"), fake)


def test_another_container_with_the_same_values_is_good(fake, tmp_path):
    np.savez(tmp_path / "plain.npz", **dict(reversed(fake.items())))
    loaded = data.load_mnist(tmp_path / "plain.npz")
    assert_same(loaded, fake)
    # Writable, as the arrays that Keras loads are.
    loaded[0][0][0] = 0


def test_real_mnist_and_the_published_hashes_of_its_idx_files(mnist, tmp_path):
    (x_train, y_train), (x_test, y_test) = mnist
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    published = {
        "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    }
    for name, array in arrays.items():
        assert hashlib.sha256(idx_bytes(array)).hexdigest() == published[name]
    assert_same(data.load_mnist(write_idx_folder(tmp_path / "idx", arrays)), arrays)
    dataset = data.describe(mnist)
    assert dataset.pop("sha256").startswith("06b0d1f1")
    text = "MNIST: 60,000 training and 10,000 test digits"
    assert dataset == {"name": "MNIST", "train": 60000, "test": 10000, "text": text}


# --- what is refused -----------------------------------------------------------------------------


def assert_refused(path, match, kind=ValueError):
    """Load what is wrong, and check the error: its type, its words, where and what to do."""
    with pytest.raises(kind, match=match) as caught:
        data.load_mnist(path)
    message = str(caught.value)
    assert type(caught.value) is kind
    assert caught.value.__suppress_context__
    assert message.startswith(f"{path}: ")
    assert message.endswith("for a download.")
    assert len(message) < 700


def zip_bytes(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def npy_bytes(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def with_y_test(arrays, content):
    """Return the bytes of an archive in which y_test's member is replaced by these bytes."""
    members = {f"{name}.npy": npy_bytes(array) for name, array in arrays.items()}
    members["y_test.npy"] = content
    return zip_bytes(members)


def npy_header(shape):
    buffer = io.BytesIO()
    fields = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue()


def test_a_header_as_python_2_wrote_it_is_read_without_a_word(fake, tmp_path):
    header = npy_header((20,)).replace(b"(20,), } ", b"(20L,), }")
    content = with_y_test(fake, header + fake["y_test"].tobytes())
    path = write_file(tmp_path / "old.npz", content)
    with warnings.catch_warnings(action="error"):
        arrays = data.load_mnist(path)
    np.testing.assert_array_equal(arrays[1][1], fake["y_test"])


def test_a_missing_path_and_a_device_are_refused(tmp_path):
    match = r"there is no such file or folder\. Give an mnist\.npz"
    assert_refused(tmp_path / "x.npz", match, FileNotFoundError)
    assert_refused("/dev/null", "received a pipe, a socket or a device")


class PathLike:
    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


NO_PATHS = [3, 0, b"x.npz", b"", ["x"], [], False, np.zeros(3), PathLike(b"x.npz"), PathLike(3)]


@pytest.mark.parametrize("path", NO_PATHS)
def test_a_path_of_another_type(path):
    with pytest.raises(TypeError, match="^`path` must be text or a path; received "):
        data.load_mnist(path)


@pytest.mark.parametrize("path", ["a\0b", "x" * 100_000, "\ud800", "/" + "x/" * 50_000])
def test_a_path_that_cannot_be_is_refused_in_a_short_line(path, monkeypatch):
    for argument, variable in ((path, ""), (None, path)):
        if "\0" not in variable and "\ud800" not in variable:
            monkeypatch.setenv("MNIST_HELPERS_DATA", variable)
            with pytest.raises((OSError, ValueError)) as caught:
                data.load_mnist(argument)
            assert len(str(caught.value)) < 900
            assert str(caught.value).isprintable()
            assert "[Errno" not in str(caught.value)


on_unix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such files")


def make_pipe(path):
    os.mkfifo(path)


def make_loop(path):
    path.symlink_to(path)


@on_unix
def test_a_pipe_and_a_loop_of_links_are_refused(tmp_path):
    pipe = tmp_path / "pipe.npz"
    os.mkfifo(pipe)
    loop = tmp_path / "loop.npz"
    loop.symlink_to(loop)
    assert_refused(pipe, "received a pipe, a socket or a device")
    assert_refused(loop, "there is no such file or folder", FileNotFoundError)


@on_unix
@pytest.mark.parametrize("make", [make_pipe, os.mkdir, make_loop])
def test_only_files_count_in_a_folder(make, fake, tmp_path):
    folder = write_idx_folder(tmp_path / "idx", fake)
    make(folder / "mnist.npz")
    assert_same(data.load_mnist(folder), fake)
    (folder / IDX_NAMES["y_test"]).unlink()
    make(folder / IDX_NAMES["y_test"])
    assert_refused(folder, "nothing fits t10k-labels", FileNotFoundError)


def test_a_folder_that_cannot_be_looked_into_is_named(fake, tmp_path, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    # Root may look everywhere.
    monkeypatch.setattr(os, "scandir", denied)
    folder = write_idx_folder(tmp_path / "idx", fake)
    assert_refused(folder, "Permission denied", PermissionError)


@on_unix
def test_a_file_of_a_terabyte_is_not_read(tmp_path):
    path = write_file(tmp_path / "sparse.npz", b"PK")
    os.truncate(path, 2**40)
    assert_refused(path, "at most 67,108,864 bytes; received 1,099,511,627,776")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "received an empty file"),
        (b"hello", "an .npz archive; .* starts with b'hello'"),
        (PAGE, "like a web page .a login"),
        (idx_bytes(np.zeros(20, "uint8")), "an .npz archive; .*the folder with the four"),
        (zip_bytes({}), r"received \[\]"),
    ],
)
def test_a_file_that_is_something_else_is_refused(content, match, tmp_path):
    assert_refused(write_file(tmp_path / "x.npz", content), match)


def test_a_cut_archive_is_refused(fake, tmp_path):
    path = write_file(tmp_path / "x.npz", npz_bytes(fake)[:-30])
    assert_refused(path, "damaged or cut file .*not a zip")


def test_corrupt_bytes_are_refused(fake, tmp_path):
    content = bytearray(npz_bytes(fake))
    # In the midst of x_train's compressed bytes.
    content[2000:150_000] = b"\xff" * 148_000
    path = write_file(tmp_path / "x.npz", content)
    assert_refused(path, "received a damaged or cut one .*decompress")


def test_an_encrypted_archive_is_refused(fake, tmp_path):
    content = npz_bytes(fake)
    # The lowest bit of a member's flags says that it is encrypted, in both of its headers.
    content = content.replace(b"PK\1\2\x2d\x03\x2d\0\0\0", b"PK\1\2\x2d\x03\x2d\0\1\0")
    content = content.replace(b"PK\3\4\x2d\0\0\0", b"PK\3\4\x2d\0\1\0")
    assert_refused(write_file(tmp_path / "x.npz", content), "damaged or cut one .*encrypt")


def test_a_missing_array_is_refused(fake, tmp_path):
    del fake["y_test"]
    match = r"'y_test\.npy'\]; received \['x_train\.npy', 'y_train\.npy', 'x_test\.npy'\]"
    assert_refused(write_npz(tmp_path / "x.npz", fake), match)


WRONG_ARRAYS = {
    "an extra array": ("z", lambda arrays: arrays["y_test"], r"received .*'z\.npy'\]"),
    "a wrong shape": (
        "x_test",
        lambda arrays: arrays["x_test"][:7],
        r"x_test as uint8 \(20, 28, 28\); received uint8 \(7, 28, 28\)",
    ),
    "a wrong type": (
        "x_test",
        lambda arrays: arrays["x_test"] / 255,
        r"x_test as uint8 .*; received float64 \(20, 28, 28\)",
    ),
    "another order": (
        "x_test",
        lambda arrays: np.asfortranarray(arrays["x_test"]),
        r"x_test as uint8 .*; received uint8 \(20, 28, 28\) in Fortran order",
    ),
    "pickled objects": (
        "y_test",
        lambda arrays: np.array([{}] * 20),
        "y_test as uint8 .*received pickled objects",
    ),
    "other values": (
        "x_test",
        lambda arrays: 255 - arrays["x_test"],
        "expected MNIST's x_test; received other values in the same shape",
    ),
    "labels in another order": (
        "y_train",
        lambda arrays: arrays["y_train"][::-1].copy(),
        "expected MNIST's y_train; received other values",
    ),
}


@pytest.mark.parametrize(("name", "make", "match"), WRONG_ARRAYS.values(), ids=WRONG_ARRAYS)
def test_a_wrong_array_is_refused(name, make, match, fake, tmp_path):
    path = write_npz(tmp_path / "x.npz", fake | {name: make(fake)})
    assert_refused(path, match)


NPY_1_0 = b"\x93NUMPY\1\0"
WRONG_MEMBERS = {
    "a header of nonsense": (NPY_1_0 + b"\x10\0" + b"(" * 16, "y_test as uint8 .*no such header"),
    "an unhashable header": (
        NPY_1_0 + b"\x07\0{[]: 1}",
        "y_test as uint8 .*no such header .*unhashable",
    ),
    "a bottomless header": (
        NPY_1_0 + b"\x88\x13" + b"-" * 5000,
        "y_test as uint8 .*no such header",
    ),
    "a longer header than there is": (
        NPY_1_0 + b"\xff\xff{}",
        "y_test as uint8 .*no such header .*65535",
    ),
    "a header that may be 4 GB long": (
        b"\x93NUMPY\2\0\xff\xff\xff\xff{}",
        r"y_test as uint8 .* an .npy file; received .* starts with b'.x93NUMPY.x02",
    ),
    "a shape without end": (
        npy_header((1,) * 2000),
        r"y_test as uint8 \(20,\); received uint8 \(1, 1, 1",
    ),
    "a page": (PAGE, "y_test as uint8 .*like a web page"),
    "nothing": (b"", "y_test as uint8 .*an empty file"),
    "too few bytes": (npy_header((20,)) + bytes(5), "20 bytes of y_test; received 15 fewer"),
    "too many bytes": (npy_header((20,)) + bytes(21), "20 bytes of y_test; received more"),
}


@pytest.mark.parametrize(("content", "match"), WRONG_MEMBERS.values(), ids=WRONG_MEMBERS)
def test_a_wrong_member_is_refused(content, match, fake, tmp_path):
    assert_refused(write_file(tmp_path / "x.npz", with_y_test(fake, content)), match)


def test_a_folder_that_lacks_files_is_refused(fake, tmp_path):
    match = "four IDX files; nothing fits train-images"
    assert_refused(tmp_path / "home", match, FileNotFoundError)
    folder = write_idx_folder(tmp_path / "idx", fake)
    (folder / IDX_NAMES["y_test"]).unlink()
    assert_refused(folder, "nothing fits t10k-labels", FileNotFoundError)


WRONG_IDX_FILES = {
    "nothing": (lambda arrays: b"", "x_train .* IDX file; .*an empty file"),
    "a page": (lambda arrays: PAGE, "x_train .* IDX file; .*like a web page"),
    "a wrong type": (
        lambda arrays: b"\0\0\x0d\3" + idx_bytes(arrays["x_train"])[4:],
        "x_train .* IDX file; received a file that starts with",
    ),
    "another size": (
        lambda arrays: idx_bytes(arrays["x_test"]),
        r"x_train as uint8 \(300, 28, 28\) in an IDX file; received a file that starts with",
    ),
    "too few bytes": (
        lambda arrays: idx_bytes(arrays["x_train"])[:-1],
        "235,200 bytes of x_train; received 1 fewer",
    ),
    "too many bytes": (
        lambda arrays: idx_bytes(arrays["x_train"]) + b"x",
        "bytes of x_train; received more",
    ),
    "other values": (
        lambda arrays: idx_bytes(255 - arrays["x_train"]),
        "expected MNIST's x_train; received other values",
    ),
    "a cut gzip": (
        lambda arrays: gzip.compress(idx_bytes(arrays["x_train"]))[:-900],
        "damaged or cut one .*its end is missing",
    ),
    "a gzip with a wrong checksum": (
        lambda arrays: gzip.compress(idx_bytes(arrays["x_train"]))[:-8] + bytes(8),
        "damaged or cut one .*incorrect data check",
    ),
    "a gzip with another one behind it": (
        lambda arrays: gzip.compress(idx_bytes(arrays["x_train"])) + gzip.compress(b"x"),
        "expected a single gzipped file; received more after its end",
    ),
    "a gzip with a name that never ends": (
        lambda arrays: b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 1000,
        "damaged or cut one .*its end is missing",
    ),
    "a gzip larger than all of MNIST": (
        lambda arrays: gzip.compress(b"") + b"n" * 2**26,
        "at most 67,108,864 bytes",
    ),
}


@pytest.mark.parametrize(("make", "match"), WRONG_IDX_FILES.values(), ids=WRONG_IDX_FILES)
def test_a_wrong_idx_file_is_refused(make, match, fake, tmp_path):
    folder = write_idx_folder(tmp_path / "idx", fake)
    write_file(folder / IDX_NAMES["x_train"], make(fake))
    assert_refused(folder, match)


@contextlib.contextmanager
def little_memory(megabytes=4):
    """Check that the block takes less than so much memory."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
        assert peak < megabytes * 10**6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("shape", "n_bytes"), [((400_000_000_000,), 9), ((20,), 2**26)])
def test_an_archive_that_claims_too_much_is_not_read(shape, n_bytes, fake, tmp_path):
    content = with_y_test(fake, npy_header(shape) + bytes(n_bytes))
    assert len(content) < 400_000
    path = write_file(tmp_path / "bomb.npz", content)
    with little_memory(), pytest.raises(ValueError, match="y_test"):
        data.load_mnist(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_whose_members_unpack_all_at_once_is_refused(method, fake, tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("x_train.npy", bytes(2**23))
        for name in ("y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", npy_bytes(fake[name]))
    assert path.stat().st_size < 10**5
    with little_memory(), pytest.raises(ValueError, match="x_train stored or deflated"):
        data.load_mnist(path)


def test_an_archive_with_a_long_list_of_members_is_refused_before_it_is_read(fake, tmp_path):
    content = npz_bytes(fake)
    end = content[-22:]
    # A list entry of 46 bytes for a member without a name, a million times over.
    entry = b"PK\1\2" + bytes(42)
    entries = entry * 10**6
    lengths = struct.pack("<II", len(entries), len(content) - 22)
    path = write_file(tmp_path / "a.npz", content[:-22] + entries + end[:12] + lengths + b"\0\0")
    with little_memory(), pytest.raises(ValueError, match="received an archive made for more"):
        data.load_mnist(path)


def test_an_archive_with_a_comment_is_good(fake, tmp_path):
    path = write_npz(tmp_path / "a.npz", fake)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"c" * (2**16 - 1)
    assert_same(data.load_mnist(path), fake)


def test_a_gzip_may_end_with_zeros(fake, tmp_path):
    folder = write_idx_folder(tmp_path / "idx", fake)
    content = gzip.compress(idx_bytes(fake["x_train"])) + bytes(500)
    write_file(folder / IDX_NAMES["x_train"], content)
    assert_same(data.load_mnist(folder), fake)


@pytest.mark.parametrize(
    "content",
    [
        # The name in the header never ends; parts that hold nothing follow each other.
        b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 2**25,
        gzip.compress(b"") * 2**20,
    ],
    ids=["name", "parts"],
)
def test_a_gzip_costs_no_time_whatever_it_holds(content, fake, tmp_path):
    folder = write_idx_folder(tmp_path / "idx", fake)
    write_file(folder / IDX_NAMES["x_train"], content)
    start = time.process_time()
    with pytest.raises(ValueError, match="a single gzipped|its end is missing"):
        data.load_mnist(folder)
    # The module gzip takes 10 and 5 seconds.
    assert time.process_time() - start < 2


def test_a_folder_with_very_many_files_is_not_searched(fake, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "_MAX_NAMES", 3)
    folder = write_idx_folder(tmp_path / "idx", fake)
    assert_refused(folder, "a folder with at most 3 files; received one with more")


def test_a_gzip_that_claims_too_much_is_not_read(fake, tmp_path):
    folder = write_idx_folder(tmp_path / "idx", fake)
    content = gzip.compress(idx_bytes(fake["x_train"]) + bytes(2**26))
    write_file(folder / IDX_NAMES["x_train"], content)
    with little_memory(), pytest.raises(ValueError, match="bytes of x_train; received more"):
        data.load_mnist(folder)


# --- caches, downloads, and what goes wrong with them --------------------------------------------


@pytest.fixture
def old_page():
    """Write a page where a cache should be; return a check that nothing has touched it."""

    def write(path):
        write_file(path, PAGE)
        os.utime(path, (1e9, 1e9))

        def untouched():
            same_time = path.stat().st_mtime == 1e9
            return same_time and path.read_bytes() == PAGE and files_in(path.parent) == [path.name]

        return untouched

    return write


def test_a_bad_file_in_keras_cache_is_never_touched(fake, keras_cache, old_page, serve):
    untouched = old_page(keras_cache)
    serve(answer(npz_bytes(fake)))
    assert_same(data.load_mnist(), fake)
    assert untouched()


def test_a_bad_file_in_our_cache_is_left_alone_without_network(own_cache, old_page):
    untouched = old_page(own_cache)
    assert f"{own_cache}: expected an .npz archive" in fallback("like a web page")
    assert untouched()


@on_unix
@pytest.mark.parametrize("make", [make_pipe, os.mkdir, make_loop])
def test_a_cache_that_is_no_file_is_passed_over(make, fake, keras_cache, own_cache, serve):
    keras_cache.parent.mkdir(parents=True)
    make(keras_cache)
    own_cache.parent.mkdir(parents=True)
    os.mkfifo(own_cache)
    serve(answer(npz_bytes(fake)))
    assert_same(data.load_mnist(), fake)


def raises(error):
    def function(*_, **__):
        raise error

    return function


@pytest.mark.parametrize("answer", ["an error", "a sign"])
def test_without_a_home_the_reasons_say_so_and_nothing_is_made(
    answer, fake, tmp_path, monkeypatch, serve
):
    asked = serve(mute)
    monkeypatch.chdir(tmp_path)
    # Versions of platformdirs differ in what they say then.
    answers = {
        "an error": raises(RuntimeError("could not determine the home directory")),
        "a sign": lambda name: Path("~/.cache", name),
    }
    monkeypatch.setattr("pooch.os_cache", answers[answer])
    text = fallback("there is no home folder; set the variable HOME")
    assert text.count("there is no home folder") == 2
    assert asked == []
    assert not Path("~").exists()


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.stop.is_set():
        handler.wfile.write(bytes(2**14))


def cut_short(handler):
    answer(b"PK", **{"Content-Length": 100_000})(handler)


def trickling(handler):
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.stop.wait(0.02):
        handler.wfile.write(b"P")


def mute(handler):
    handler.server.stop.wait(60)


def endless_headers(handler):
    handler.send_response(200)
    handler.flush_headers()
    while not handler.server.stop.is_set():
        handler.wfile.write(b"X-More: more\r\n" * 100)


def endless_line(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-More: ")
    while not handler.server.stop.is_set():
        handler.wfile.write(b"x" * 2**14)


def endless_continues(handler):
    while not handler.server.stop.is_set():
        handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def empty_parts(handler):
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.end_headers()
    while not handler.server.stop.is_set():
        handler.wfile.write(gzip.compress(b"") * 100)


def dripping_headers(handler):
    handler.send_response(200)
    handler.flush_headers()
    while not handler.server.stop.wait(0.02):
        handler.wfile.write(b"X")


def chunked(handler, content):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + content)


def endless_chunk_line(handler):
    chunked(handler, b"1;")
    while not handler.server.stop.is_set():
        handler.wfile.write(b"x" * 2**14)


def endless_extensions(handler):
    chunked(handler, b"")
    while not handler.server.stop.is_set():
        handler.wfile.write((b"1;" + b"x" * 1000 + b"\r\nP\r\n") * 10)


def endless_trailers(handler):
    chunked(handler, b"0\r\n")
    while not handler.server.stop.is_set():
        handler.wfile.write(b"X-More: more\r\n" * 100)


def moved(address):
    return answer(b"", status=302, Location=address)


GZIPPED = {"Content-Encoding": "gzip"}
BESIDE = "at most 1,048,576 bytes beside the file; received more"
BAD_SERVERS = {
    "not found": (answer(b"gone", status=404), {}, "404 Client Error"),
    "login page": (answer(PAGE), {}, "received a file .* like a web page"),
    "nothing": (answer(b""), {}, "received an empty file"),
    "cut short": (cut_short, {}, "IncompleteRead|Connection broken|received a damaged"),
    "endless": (endless, {"MAX_BYTES": 2**18}, "at most 262,144 bytes; received more"),
    "bloated": (
        answer(gzip.compress(bytes(2**20)), **GZIPPED),
        {"MAX_BYTES": 2**18},
        "at most 262,144 bytes; received more",
    ),
    "not what it says": (answer(b"no gzip", **GZIPPED), {}, "while decompressing"),
    "empty parts": (empty_parts, {"MAX_BYTES": 2**18}, "at most 262,144 bytes; received more"),
    "trickling": (trickling, {"DOWNLOAD_SECONDS": 0.3}, "not finished after 0.3 seconds"),
    "mute": (mute, {"READ_SECONDS": 0.2}, "Read timed out"),
    "endless headers": (endless_headers, {}, "got more than 100 headers"),
    "an endless header": (endless_line, {}, "got more than 65536 bytes"),
    "endless continues": (endless_continues, {}, BESIDE),
    "endless extensions": (endless_extensions, {}, BESIDE),
    "endless trailers": (endless_trailers, {}, BESIDE),
    "dripping headers": (dripping_headers, {"DOWNLOAD_SECONDS": 0.3}, "not finished after"),
    "endless chunk line": (endless_chunk_line, {}, "IncompleteRead|Connection broken|line"),
    "nonsense for a chunk": (
        lambda handler: chunked(handler, b"xyz\r\n"),
        {},
        "InvalidChunk|Incom",
    ),
    "a length of 5,000 digits": (
        answer(PAGE, **{"Content-Length": "9" * 5000}),
        {},
        "IncompleteRead|Connection broken|like a web page|Exceeds the limit|Length",
    ),
    "a part": (answer(b"PK", status=206), {}, "received a damaged or cut file"),
    "no content": (answer(b"", status=204), {}, "received an empty file"),
    "not modified": (answer(b"", status=304), {}, "received an empty file"),
    "sent to a file": (moved("file:///etc/passwd"), {}, "cannot be asked"),
    "sent to nonsense": (moved("http://[::1"), {}, "cannot be asked|Invalid"),
    "twice compressed": (
        answer(gzip.compress(gzip.compress(bytes(2**26))), **{"Content-Encoding": "gzip, gzip"}),
        {},
        "not compressed, or as gzip; received gzip, gzip",
    ),
    "many times compressed": (
        answer(b"x", **{"Content-Encoding": ", ".join(["gzip"] * 100)}),
        {},
        "not compressed, or as gzip; received gzip, gzip, gzip",
    ),
}


@pytest.mark.parametrize(("reply", "limits", "match"), BAD_SERVERS.values(), ids=BAD_SERVERS)
def test_a_bad_server_is_named_and_leaves_nothing(
    reply, limits, match, own_cache, serve, monkeypatch
):
    asked = serve(reply)
    for name, value in limits.items():
        monkeypatch.setattr(data, name, value)
    # Whatever is imported on the way takes memory, too, and is not the server's fault.
    with mock.patch.dict(os.environ, MNIST_HELPERS_URL=CLOSED_PORT):
        fallback("mnist.npz: [A-Z][a-z ]+: .*Connection refused")
    with little_memory(megabytes=30):
        text = fallback(match)
    assert asked == ["/mnist.npz"]
    assert os.environ["MNIST_HELPERS_URL"] in text
    assert files_in(own_cache.parent) == []


def test_a_download_that_is_given_up_computes_no_longer(serve, monkeypatch):
    """Otherwise the thread would read for as long as the server sends."""
    monkeypatch.setattr(data, "DOWNLOAD_SECONDS", 0.3)
    fetched = []
    real_fetch = data._fetch

    def fetch(*arguments):
        fetched.append(threading.current_thread())
        real_fetch(*arguments)

    monkeypatch.setattr(data, "_fetch", fetch)
    serve(trickling)
    fallback("not finished after 0.3 seconds")
    (thread,) = fetched
    thread.join(timeout=20)
    assert not thread.is_alive()


def test_a_server_that_sends_on_without_end(own_cache, serve):
    asked = serve(moved("/mnist.npz"))
    fallback("the server sent on to other addresses more than 10 times")
    assert len(asked) == 11
    assert files_in(own_cache.parent) == []


def endless_redirect(handler):
    handler.send_response(302)
    handler.send_header("Location", "/elsewhere")
    handler.end_headers()
    while not handler.server.stop.is_set():
        handler.wfile.write(bytes(2**14))


def endless_chunked_redirect(handler):
    handler.wfile.write(
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    while not handler.server.stop.is_set():
        handler.wfile.write(b"4000\r\n" + bytes(2**14) + b"\r\n")


def mute_redirect(handler):
    answer(b"", 302, Location="/elsewhere", **{"Content-Length": 1})(handler)
    mute(handler)


REDIRECTS = {
    "endless": endless_redirect,
    "endless in chunks": endless_chunked_redirect,
    "packed": answer(gzip.compress(bytes(2**27)), 302, Location="/elsewhere", **GZIPPED),
    "mute": mute_redirect,
}


@pytest.mark.parametrize("redirect", REDIRECTS.values(), ids=REDIRECTS)
def test_what_comes_with_a_redirect_is_never_read(redirect, fake, serve, monkeypatch):
    def reply(handler):
        if handler.path == "/elsewhere":
            answer(npz_bytes(fake))(handler)
        else:
            redirect(handler)

    asked = serve(reply)
    # Reached only where it is read.
    monkeypatch.setattr(data, "DOWNLOAD_SECONDS", 10)
    with mock.patch.dict(os.environ, MNIST_HELPERS_URL=CLOSED_PORT):
        fallback("mnist.npz: [A-Z][a-z ]+: .*Connection refused")
    with little_memory(megabytes=30):
        assert_same(data.load_mnist("mnist"), fake)
    assert asked == ["/mnist.npz", "/elsewhere"]


@on_unix
def test_an_interrupt_ends_a_download_at_once_and_leaves_nothing(own_cache, serve):
    def reply(handler):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        trickling(handler)

    serve(reply)
    with pytest.raises(KeyboardInterrupt):
        data.load_mnist()
    assert files_in(own_cache.parent) == []


# --- what an address may hold that nobody should read --------------------------------------------

SECRET = "Geh3im"
LOGIN = f"user:{SECRET}@"


def assert_kept_secret(capsys):
    """Load without success, and look for the secret in all that a person or a file gets to see."""
    text = fallback("MNIST could not be had")
    with pytest.raises(FileNotFoundError) as caught:
        data.load_mnist("mnist")
    out, err = capsys.readouterr()
    for shown in (text, str(caught.value), repr(caught.value), out, err):
        assert SECRET not in shown
        assert "user" not in shown.replace("127.0.0.1", "")
    return text


def test_user_and_password_reach_the_server_and_nobody_else(fake, serve, monkeypatch, capsys):
    headers = []

    def reply(handler):
        headers.append(handler.headers["Authorization"])
        answer(npz_bytes(fake))(handler)

    asked = serve(reply)
    address = os.environ["MNIST_HELPERS_URL"]
    login = "us%20er:p%40ss%2Fw%C3%B6rd%E2%82%AC@"
    monkeypatch.setenv("MNIST_HELPERS_URL", address.replace("//", f"//{login}") + "?token=1")
    assert_same(data.load_mnist(), fake)
    assert asked == ["/mnist.npz?token=1"]
    assert base64.b64decode(headers[0].removeprefix("Basic ")).decode() == "us er:p@ss/wörd€"


@pytest.mark.parametrize(("host", "is_told"), [("127.0.0.1", True), ("localhost", False)])
def test_a_redirect_takes_the_password_to_the_same_server_alone(
    host, is_told, fake, serve, monkeypatch
):
    headers = {}

    def reply(handler):
        headers[handler.path] = handler.headers
        if handler.path == "/elsewhere":
            answer(npz_bytes(fake))(handler)
        else:
            port = handler.server.server_port
            moved(f"http://{host}:{port}/elsewhere")(handler)

    serve(reply)
    address = os.environ["MNIST_HELPERS_URL"]
    monkeypatch.setenv("MNIST_HELPERS_URL", address.replace("//", f"//{LOGIN}") + f"?{SECRET}")
    assert_same(data.load_mnist("mnist"), fake)
    assert ("Authorization" in headers["/elsewhere"]) == is_told
    assert SECRET not in str(headers["/elsewhere"])


UNUSABLE_PROXIES = {
    f"socks5://{LOGIN}127.0.0.1:1": "needs the package PySocks",
    f"http://user:a/{SECRET}@127.0.0.1:1": "as %2F",
    f"http://user:1/{SECRET}@127.0.0.1:1": "as %2F",
    f"{LOGIN}a b": "expected http://server:port",
    f"foo://{LOGIN}127.0.0.1:1": "expected http://server:port",
    f"http://{LOGIN}": "expected http://server:port",
    f"http://{LOGIN}127.0.0.1:99999": "expected http://server:port",
    f"http://{LOGIN}127.0.0.1:1": "let nothing through: .*Connection refused",
}


@pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(("proxy", "match"), UNUSABLE_PROXIES.items())
def test_a_proxy_that_cannot_be_used_is_named_as_the_cause(proxy, match, name, monkeypatch, capsys):
    # Without the package, wherever the tests run.
    monkeypatch.setattr("requests.adapters.SOCKSProxyManager", no_socks)
    monkeypatch.setenv(name, proxy)
    text = assert_kept_secret(capsys)
    assert re.search(f"correct or remove the variable {name}; the proxy there .*{match}", text)
    # Not cut off.
    assert "..." not in text


def no_socks(*_, **__):
    raise requests.exceptions.InvalidSchema("Missing dependencies for SOCKS support.")


def test_of_several_variables_the_one_that_decides_is_named(monkeypatch):
    for name in ("all_proxy", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "foo://127.0.0.1:1")
    monkeypatch.setenv("MNIST_HELPERS_URL", "https://some.invalid/mnist.npz")
    fallback("correct or remove the variable https_proxy; the proxy there cannot be used")


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_read_are_named_as_the_cause(
    name, content, tmp_path, monkeypatch
):
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(name, str(tmp_path / "ca.pem"))
    monkeypatch.setenv("MNIST_HELPERS_URL", CLOSED_PORT.replace("http:", "https:"))
    fallback(f"correct or remove the variable {name}; the certificates .* cannot be read")


def test_a_proxy_for_where_a_server_sends_on_to_is_named(serve, monkeypatch):
    monkeypatch.setenv("https_proxy", "foo://127.0.0.1:1")
    serve(moved("https://some.invalid/mnist.npz"))
    fallback("correct or remove the variable https_proxy; the proxy there cannot be used")


def test_a_proxy_that_nobody_asks_is_not_blamed(fake, serve, monkeypatch):
    monkeypatch.setenv("http_proxy", "foo://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    serve(answer(npz_bytes(fake)))
    assert_same(data.load_mnist("mnist"), fake)


def test_a_proxy_is_asked_for_the_whole_address(fake, serve, monkeypatch):
    asked = serve(answer(npz_bytes(fake)))
    monkeypatch.setenv("http_proxy", os.environ["MNIST_HELPERS_URL"])
    monkeypatch.setenv("MNIST_HELPERS_URL", "http://some.invalid/mnist.npz")
    assert_same(data.load_mnist("mnist"), fake)
    assert asked == ["http://some.invalid/mnist.npz"]


SECRETIVE = [
    (answer(b"gone", status=404), {}),
    (answer(b"gone", status=500), {}),
    (answer(PAGE), {}),
    (mute, {"READ_SECONDS": 0.1}),
    (moved(f"http://{LOGIN}127.0.0.1:1/x?signature={SECRET}"), {}),
    (moved(f"http://{LOGIN}127.0.0.1:x/"), {}),
    (moved(f"foo://{LOGIN}127.0.0.1/"), {}),
    (moved(f"/mnist.npz?signature={SECRET}"), {}),
]


@pytest.mark.parametrize(("reply", "limits"), SECRETIVE)
def test_no_failure_tells_the_password(reply, limits, serve, monkeypatch, capsys):
    serve(reply)
    for name, value in limits.items():
        monkeypatch.setattr(data, name, value)
    address = os.environ["MNIST_HELPERS_URL"]
    secretive = address.replace("//", f"//{LOGIN}") + f"?token={SECRET}#{SECRET}"
    monkeypatch.setenv("MNIST_HELPERS_URL", secretive)
    # What may be told is told: where the server is.
    assert address in assert_kept_secret(capsys)


@pytest.mark.parametrize(
    "url",
    [
        f"http://{LOGIN}127.0.0.1:1/mnist.npz?token={SECRET}",
        f"http://127.0.0.1:1/mnist.npz?a=user&token={SECRET}#{SECRET}",
        f"http://{LOGIN}127.0.0.1:x/",
        f"http://{LOGIN}[::1/",
        f"http://{LOGIN}ho\u2100st.invalid/",
        f"http://{LOGIN}a b/",
        f"http://{LOGIN}",
        f"http://user:{SECRET}/x@127.0.0.1:1/",
        f"http://user:1/{SECRET}@127.0.0.1:1/",
        f"http://user:1?{SECRET}@127.0.0.1:1/",
        f"http://user:1#{SECRET}@127.0.0.1:1/",
        f"http://user:{SECRET}@x@127.0.0.1:1/?mail=user@b&token={SECRET}",
        f"{LOGIN}127.0.0.1/mnist.npz",
        f"//{LOGIN}127.0.0.1/mnist.npz",
        f"ftp://{LOGIN}127.0.0.1/mnist.npz",
        f"file://{LOGIN}/etc/passwd",
        f"mnist.npz?token={SECRET}",
        f"\x1b]0;{LOGIN}\x07",
    ],
)
def test_no_address_tells_the_password(url, monkeypatch, capsys):
    monkeypatch.setenv("MNIST_HELPERS_URL", url)
    assert_kept_secret(capsys)


ODD_ADDRESSES = [
    "",
    " ",
    "http://exa mple/",
    "file:///etc/passwd",
    "ftp://127.0.0.1/x",
    "http://",
    "http:///x",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:-1/",
    "http://[::1",
    "http://\udcff/",
    "http://ö\u2100/",
    "http://127.0.0.1:1/\x1b[31m\r\nX: y",
    "http://127.0.0.1:1/" + "x" * 100_000,
    "//127.0.0.1",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("url", ODD_ADDRESSES, ids=range(len(ODD_ADDRESSES)))
def test_any_address_gives_a_reason_in_a_short_line(url, own_cache, monkeypatch):
    monkeypatch.setenv("MNIST_HELPERS_URL", url)
    monkeypatch.setattr(data, "URL", CLOSED_PORT)
    text = fallback("MNIST could not be had")
    lines = text.splitlines()
    # What is wrong, three places with their reasons, and what to do.
    assert len(lines) == 5
    assert all(line.isprintable() and len(line) < 700 for line in lines)
    assert files_in(own_cache.parent) == []


def test_a_download_of_other_values_is_refused(fake, own_cache, serve):
    serve(answer(npz_bytes(fake | {"y_test": fake["y_test"] + 1})))
    fallback("expected MNIST's y_test; received other values")
    assert files_in(own_cache.parent) == []


def test_a_name_look_up_that_hangs(own_cache, monkeypatch):
    release = threading.Event()
    # While coverage traces, Python 3.11 waits for the thread that is told to end.
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(5))
    monkeypatch.setattr(data, "DOWNLOAD_SECONDS", 0.3)
    monkeypatch.setenv("MNIST_HELPERS_URL", "http://some.invalid/mnist.npz")
    try:
        fallback("not finished after 0.3 seconds")
    finally:
        release.set()
    assert files_in(own_cache.parent) == []


def test_an_abandoned_download_hangs_up(own_cache, serve, monkeypatch):
    go_on = threading.Event()
    finished = threading.Event()
    outcomes = []

    def reply(handler):
        handler.send_response(200)
        handler.end_headers()
        # As much as the download reads at once, so that it has begun to write.
        handler.wfile.write(bytes(2**17))
        go_on.wait(60)
        try:
            for _ in range(1000):
                handler.wfile.write(bytes(2**16))
            outcomes.append("all was sent")
        except OSError:
            outcomes.append("the other end hung up")
        finished.set()

    serve(reply)
    monkeypatch.setattr(data, "MAX_BYTES", 2**40)
    monkeypatch.setattr(data, "DOWNLOAD_SECONDS", 0.3)
    fallback("not finished after 0.3 seconds")
    go_on.set()
    assert finished.wait(60)
    assert outcomes == ["the other end hung up"]
    assert files_in(own_cache.parent) == []


def test_a_look_up_that_hangs_does_not_keep_python_from_ending():
    code = (
        "import socket, time; socket.getaddrinfo = lambda *a, **k: time.sleep(600)\n"
        "from mnist_helpers import data; data.DOWNLOAD_SECONDS = 0.3\n"
        "try: data.load_mnist('mnist')\n"
        "except FileNotFoundError as error: print(error)\n"
    )
    environment = os.environ | {"MNIST_HELPERS_URL": "http://some.invalid/mnist.npz"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        timeout=60,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "not finished after 0.3 seconds" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/x", "mnist.npz", "http://127.0.0.1:x/", "http://"]
)
def test_an_address_that_is_none(url, monkeypatch):
    monkeypatch.setenv("MNIST_HELPERS_URL", url)
    assert url in fallback("THESE DIGITS ARE NOT MNIST")


def test_the_default_address_is_keras_own(monkeypatch):
    asked = []

    def send(_, request, **__):
        asked.append(request.url)
        raise requests.ConnectionError("offline")

    monkeypatch.setattr(requests.Session, "send", send)
    monkeypatch.delenv("MNIST_HELPERS_URL")
    fallback("offline")
    assert asked == ["https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"]


def test_a_cache_that_cannot_be_written(fake, isolated, serve):
    serve(answer(npz_bytes(fake)))
    (isolated / "cache").write_bytes(b"a file where a folder should be")
    fallback(r"cache/mnist_helpers/mnist\.npz: .*(Not a directory|exists)")
    assert (isolated / "cache").read_bytes() == b"a file where a folder should be"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk(fake, own_cache, serve, monkeypatch):
    @contextlib.contextmanager
    def full_folder(parent):
        with scratch_folder(parent) as folder:
            (folder / "mnist.npz").symlink_to("/dev/full")
            yield folder

    serve(answer(npz_bytes(fake)))
    monkeypatch.setattr(data, "scratch_folder", full_folder)
    fallback("No space left on device")
    assert files_in(own_cache.parent) == []


HALF_A_DOWNLOAD = """
import sys
from mnist_helpers.scratch import scratch_folder
with scratch_folder(sys.argv[1]) as folder:
    (folder / "mnist.npz").write_bytes(b"half")
    print("half", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_download_has_left_is_removed_by_the_next(fake, own_cache, serve):
    own_cache.parent.mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-c", HALF_A_DOWNLOAD, str(own_cache.parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"half\n"
        process.kill()
    assert len(files_in(own_cache.parent)) > 0
    serve(answer(npz_bytes(fake)))
    data.load_mnist()
    assert files_in(own_cache.parent) == ["mnist.npz"]


def test_a_disk_that_fills_up_at_the_end(fake, own_cache, serve, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    serve(answer(npz_bytes(fake)))
    write_file(own_cache, b"old")
    monkeypatch.setattr(os, "replace", full)
    fallback("No space left on device")
    assert files_in(own_cache.parent) == ["mnist.npz"]
    assert own_cache.read_bytes() == b"old"


def test_a_good_download_counts_even_where_it_cannot_take_its_place(
    fake, own_cache, serve, monkeypatch
):
    moves = []

    def busy(source, target):
        moves.append((source.parent.parent, target))
        raise PermissionError(13, "another process reads it")

    serve(answer(npz_bytes(fake)))
    monkeypatch.setattr(os, "replace", busy)
    assert_same(data.load_mnist(), fake)
    # From beside the target: only within one file system is a move atomic.
    assert moves == [(own_cache.parent, own_cache)]
    assert files_in(own_cache.parent) == []


def test_many_downloads_at_once_leave_one_good_file(fake, own_cache, serve):
    n_downloads = 8
    content = npz_bytes(fake)
    all_ask = threading.Barrier(n_downloads)

    def reply(handler):
        all_ask.wait(60)
        answer(content)(handler)

    asked = serve(reply)
    with ThreadPool(n_downloads) as pool:
        results = pool.map(data.load_mnist, ["mnist"] * n_downloads)
    for loaded in results:
        assert_same(loaded, fake)
    assert len(asked) == n_downloads
    assert files_in(own_cache.parent) == ["mnist.npz"]
    assert own_cache.read_bytes() == content


# --- whatever a file holds -----------------------------------------------------------------------

bounded = settings(max_examples=100, derandomize=True, database=None, deadline=None)

SMALL_SHAPES = {"x_train": (3, 28, 28), "y_train": (3,), "x_test": (2, 28, 28), "y_test": (2,)}
SMALL = {name: np.full(shape, 7, np.uint8) for name, shape in SMALL_SHAPES.items()}
SMALL_TABLE = {
    name: (array.shape, hashlib.sha256(array.tobytes()).hexdigest())
    for name, array in SMALL.items()
}
CONTAINERS = {
    "deflated.npz": npz_bytes(SMALL),
    "stored.npz": zip_bytes({f"{name}.npy": npy_bytes(array) for name, array in SMALL.items()}),
    IDX_NAMES["x_test"]: idx_bytes(SMALL["x_test"]),
    IDX_NAMES["y_train"]: gzip.compress(idx_bytes(SMALL["y_train"])),
}
# Where bytes are changed, as a share of the length: anywhere, and often at either end.
PLACES = st.one_of(st.floats(0, 1), st.floats(0, 0.02), st.floats(0.9, 1))
CHANGES = st.lists(st.tuples(PLACES, st.integers(0, 6), st.binary(max_size=6)), max_size=4)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


@bounded
@given(name=st.sampled_from(sorted(CONTAINERS)), changes=CHANGES)
def test_any_file_is_exactly_mnist_or_refused_with_the_cause(damaged, name, changes):
    content = CONTAINERS[name]
    for share, n_removed, added in changes:
        place = round(share * len(content))
        content = content[:place] + added + content[place + n_removed :]
    path = damaged / name
    if not name.endswith(".npz"):
        path = write_idx_folder(damaged / "idx", SMALL)
        write_file(path / name, content)
    else:
        write_file(path, content)
    with mock.patch.object(data, "_ARRAYS", SMALL_TABLE):
        try:
            loaded = data.load_mnist(path)
        except (ValueError, FileNotFoundError) as error:
            assert str(error).startswith(f"{path}: ")
            assert str(error).isprintable()
            assert len(str(error)) < 900
            return
    assert_same(loaded, SMALL)


# --- what is said of them ------------------------------------------------------------------------


def test_the_bundled_digits():
    dataset = data.describe(data.load_mnist("digits"))
    assert dataset == {
        "name": "bundled digits",
        "train": 1500,
        "test": 297,
        "sha256": "06d36b07ac2c9debea7d034828cf09c37aaa9d4677c62b5a7931020a1715847c",
        "text": "bundled digits: 1,500 training and 297 test digits "
        "(scikit-learn's copy of the UCI digits, brought to 28×28)",
    }
    assert json.loads(json.dumps(dataset)) == dataset


def test_the_bundled_digits_look_like_mnists():
    from sklearn.datasets import load_digits

    (x_train, y_train), (x_test, y_test) = data.load_mnist("digits")
    for array in (x_train, y_train, x_test, y_test):
        assert array.dtype == np.uint8
    assert x_train.shape == (1500, 28, 28)
    assert x_test.shape == (297, 28, 28)
    images = np.concatenate([x_train, x_test])
    labels = np.concatenate([y_train, y_test])
    assert (labels == load_digits().target).all()
    assert images.max() == 255
    assert images.min() == 0
    total = images.sum(axis=(1, 2))
    for axis in (1, 2):
        center = images.sum(axis=axis) @ np.arange(28) / total
        assert (abs(center - 14) <= 0.5).all()
    heights = (images.max(axis=2) > 0).sum(axis=1)
    assert heights.min() >= 18
    assert heights.max() <= 20


@pytest.mark.slow
def test_in_a_notebook_the_warning_stands_alone():
    cell = nbformat.v4.new_code_cell("from mnist_helpers.data import load_mnist; load_mnist();")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    NotebookClient(notebook, timeout=60).execute()
    (output,) = cell.outputs
    assert output.name == "stderr"
    assert "THESE DIGITS ARE NOT MNIST" in output.text
    assert output.text.count("Warning") == 1


def test_other_digits_are_unknown():
    (x_train, y_train), (x_test, y_test) = data.load_mnist("digits")
    arrays = [x_train[::2], y_train[::2], x_test, y_test]
    dataset = data.describe((arrays[:2], arrays[2:]))
    assert dataset == {
        "name": "unknown digits",
        "train": 750,
        "test": 297,
        "sha256": hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest(),
        "text": "unknown digits: 750 training and 297 test digits",
    }


def test_one_changed_pixel_is_told():
    _, (x_test, _) = loaded = data.load_mnist("digits")
    x_test[5, 14, 14] ^= 1
    assert data.describe(loaded)["name"] == "unknown digits"


def test_importing_costs_little():
    code = (
        "import sys; import mnist_helpers; assert 'numpy' not in sys.modules\n"
        "import mnist_helpers.data; print(*sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert "mnist_helpers.data" in imported
    heavy = {"keras", "tensorflow", "matplotlib", "sklearn", "scipy"}
    late = {"pooch", "requests", "PIL", "tqdm"}
    assert imported.isdisjoint(heavy | late)
