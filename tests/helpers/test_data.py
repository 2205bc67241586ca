"""Where digits come from, what is refused, and that nothing here reaches a real network."""

import contextlib
import gzip
import hashlib
import http.server
import io
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import tracemalloc
import warnings
import zipfile

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from mnist_helpers import data

REAL = os.environ.get("MNIST_HELPERS_DATA", "")  # read before `isolated` takes it away
NAMES = ("x_train", "y_train", "x_test", "y_test")
IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte",
       "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")  # fmt: skip


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
    monkeypatch.setenv("MNIST_HELPERS_URL", "http://127.0.0.1:1/mnist.npz")
    return home


@pytest.fixture
def mnist_file():
    if not pathlib.Path(REAL).is_file():
        pytest.skip("real MNIST is not at MNIST_HELPERS_DATA")
    return REAL


@pytest.fixture
def ours(isolated):
    return isolated / "cache" / "mnist_helpers" / "mnist.npz"


@pytest.fixture
def theirs(isolated):
    return isolated / ".keras" / "datasets" / "mnist.npz"


@pytest.fixture
def fake(monkeypatch):
    """Put small arrays in MNIST's place, so that what is checked does not need the real one."""
    random = np.random.default_rng(0)
    arrays = {}
    for name, shape in zip(NAMES, ((300, 28, 28), (300,), (20, 28, 28), (20,)), strict=True):
        arrays[name] = random.integers(0, 256, shape, dtype=np.uint8)
    table = {name: (a.shape, hashlib.sha256(a.tobytes()).hexdigest()) for name, a in arrays.items()}
    monkeypatch.setattr(data, "_ARRAYS", table)
    return arrays


def npz(path, arrays):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return path


def npz_bytes(arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def idx_bytes(array):
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return struct.pack(">HBB", 0, 8, array.ndim) + sizes + array.tobytes()


def idx_folder(folder, arrays, *, dotted=False, gzipped=False):
    folder.mkdir()
    for name, file in zip(NAMES, IDX, strict=True):
        content, file = idx_bytes(arrays[name]), file.replace("-idx", ".idx") if dotted else file
        if gzipped:
            content, file = gzip.compress(content), f"{file}.gz"
        (folder / file).write_bytes(content)
    return folder


def same(loaded, arrays):
    (x_train, y_train), (x_test, y_test) = loaded
    for array, name in zip((x_train, y_train, x_test, y_test), NAMES, strict=True):
        np.testing.assert_array_equal(array, arrays[name], strict=True)
    return True


def is_bundled(loaded):
    return data.describe(loaded)["name"] == "bundled digits"


@pytest.fixture
def serve(monkeypatch):
    """Start a loopback server that answers with `reply(handler)`; return the paths asked for."""
    stop = threading.Event()
    started = []

    def start(reply):
        asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                with contextlib.suppress(OSError):  # the client may hang up, and some have to
                    reply(self)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.stop = stop
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        started.append(server)
        monkeypatch.setenv("MNIST_HELPERS_URL", f"http://127.0.0.1:{server.server_port}/mnist.npz")
        return asked

    yield start
    stop.set()
    for server in started:
        server.shutdown()
        server.server_close()


def answer(content, status=200, pause=0.0, piece=None):
    """Make a reply that sends the content, in pieces if asked."""

    def reply(handler):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        size = piece or len(content) or 1
        for i in range(0, len(content), size):
            if handler.server.stop.wait(pause):
                return
            handler.wfile.write(content[i : i + size])
            handler.wfile.flush()

    return reply


def fallback(match):
    """Load, and return the text of the warning, which has to match."""
    with pytest.warns(data.BundledDigitsWarning, match=match) as caught:
        assert is_bundled(data.load_mnist())
    (text,) = [str(w.message) for w in caught if w.category is data.BundledDigitsWarning]
    return text


def files_in(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# Where digits come from


def test_the_argument_comes_before_the_variable(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_HELPERS_DATA", str(tmp_path / "missing.npz"))
    path = npz(tmp_path / "a.npz", fake)
    assert same(data.load_mnist(str(path)), fake)
    assert same(data.load_mnist(path), fake)
    assert is_bundled(data.load_mnist("digits"))


@pytest.mark.parametrize("path", [None, ""])
def test_the_variable_comes_before_the_caches(path, fake, tmp_path, theirs, monkeypatch):
    npz(theirs, fake)
    monkeypatch.setenv("MNIST_HELPERS_DATA", str(npz(tmp_path / "b.npz", fake)))
    read, places = data._read, []
    monkeypatch.setattr(data, "_read", lambda place: places.append(place.name) or read(place))
    assert same(data.load_mnist(path), fake)
    assert places == ["b.npz"]


def test_what_the_variable_names_is_never_passed_over(fake, tmp_path, theirs, monkeypatch):
    npz(theirs, fake)
    monkeypatch.setenv("MNIST_HELPERS_DATA", str(tmp_path / "missing.npz"))
    with pytest.raises(FileNotFoundError, match=r"missing\.npz: there is no such file or folder"):
        data.load_mnist()


def test_keras_cache_comes_before_ours(fake, theirs, ours, monkeypatch, serve):
    asked = serve(answer(npz_bytes(fake)))
    npz(theirs, fake)
    npz(ours, fake)
    read, places = data._read, []
    monkeypatch.setattr(data, "_read", lambda place: places.append(place) or read(place))
    assert same(data.load_mnist(), fake)
    assert (places, asked) == ([theirs], [])


def test_keras_home_is_where_keras_keeps_its_cache(fake, tmp_path, theirs, monkeypatch):
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"not here")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "k"))
    path = npz(tmp_path / "k" / "datasets" / "mnist.npz", fake)
    assert same(data.load_mnist("mnist"), fake)
    path.unlink()
    with pytest.raises(FileNotFoundError) as caught:
        data.load_mnist("mnist")
    assert str(path) in str(caught.value) and str(theirs) not in str(caught.value)


def test_our_cache_comes_before_a_download(fake, ours, serve):
    asked = serve(answer(npz_bytes(fake)))
    npz(ours, fake)
    assert same(data.load_mnist(), fake)
    assert asked == []


def test_a_download_is_kept(fake, ours, serve, capsys):
    content = npz_bytes(fake)
    asked = serve(answer(content))
    assert same(data.load_mnist(), fake)
    assert same(data.load_mnist(), fake)
    assert asked == ["/mnist.npz"]
    assert ours.read_bytes() == content and files_in(ours.parent) == ["mnist.npz"]
    assert capsys.readouterr() == ("", "")


def test_a_long_download_shows_its_progress_on_stdout_alone(fake, serve, capsys):
    content = npz_bytes(fake)
    serve(answer(content, pause=0.3, piece=len(content) // 5))
    assert same(data.load_mnist(), fake)
    out, err = capsys.readouterr()
    assert "mnist.npz" in out and "100%" in out and err == ""


def test_a_bad_file_in_our_cache_is_replaced_by_a_good_download(fake, ours, serve):
    content = npz_bytes(fake)
    serve(answer(content))
    ours.parent.mkdir(parents=True)
    ours.write_bytes(content[:100])
    assert same(data.load_mnist(), fake)
    assert ours.read_bytes() == content


def test_without_network_the_bundled_digits_come_with_the_reasons(theirs, ours):
    text = fallback("THESE DIGITS ARE NOT MNIST")
    assert f"{theirs}: there is no such file" in text
    assert "http://127.0.0.1:1/mnist.npz" in text and "Connection refused" in text
    assert "Max retries" not in text and " object at 0x" not in text
    assert "MNIST_HELPERS_DATA" in text and 'load_mnist("digits")' in text
    assert files_in(ours.parent) == []


def test_the_warning_points_at_the_caller():
    with pytest.warns(data.BundledDigitsWarning) as caught:
        data.load_mnist()
    assert caught[0].filename == __file__


def test_the_warning_comes_each_time_and_obeys_a_filter():
    code = (
        "import warnings; from mnist_helpers import data\n"
        "for i in range(4): data.load_mnist()\n"
        "warnings.simplefilter('ignore'); data.load_mnist()\n"
        "warnings.simplefilter('error')\n"
        "try: data.load_mnist()\n"
        "except data.BundledDigitsWarning: print('raised')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.count("THESE DIGITS ARE NOT MNIST") == 4
    assert done.stdout == "raised\n"


# The two words


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_digits_takes_the_bundled_ones_without_a_warning(how, fake, theirs, monkeypatch):
    npz(theirs, fake)
    if how == "variable":
        monkeypatch.setenv("MNIST_HELPERS_DATA", "digits")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert is_bundled(data.load_mnist("digits" if how == "argument" else None))


WORDS = [("mnist", ""), ("mnist", "digits"), ("mnist", "mnist"), (None, "mnist"), ("", "mnist")]


@pytest.mark.parametrize("argument, variable", WORDS)
def test_mnist_searches_and_never_falls_back(argument, variable, fake, theirs, monkeypatch):
    monkeypatch.setenv("MNIST_HELPERS_DATA", variable)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FileNotFoundError, match="MNIST could not be had") as caught:
            data.load_mnist(argument)
        assert "Connection refused" in str(caught.value)
        npz(theirs, fake)
        assert same(data.load_mnist(argument), fake)


def test_mnist_as_argument_takes_a_path_from_the_variable(fake, tmp_path, theirs, monkeypatch):
    npz(theirs, fake)
    monkeypatch.setenv("MNIST_HELPERS_DATA", str(tmp_path / "missing.npz"))
    with pytest.raises(FileNotFoundError, match=r"missing\.npz"):
        data.load_mnist("mnist")
    npz(tmp_path / "missing.npz", fake)
    theirs.unlink()
    assert same(data.load_mnist("mnist"), fake)


# What a path may be


def test_the_home_sign_is_expanded(fake, isolated, monkeypatch):
    npz(isolated / "a.npz", fake)
    assert same(data.load_mnist("~/a.npz"), fake)
    monkeypatch.setenv("MNIST_HELPERS_DATA", "~/a.npz")
    assert same(data.load_mnist(), fake)


@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("gzipped", [False, True])
def test_a_folder_of_idx_files(dotted, gzipped, fake, tmp_path):
    folder = idx_folder(tmp_path / "idx", fake, dotted=dotted, gzipped=gzipped)
    assert same(data.load_mnist(folder), fake)


def test_a_folder_with_an_npz(fake, tmp_path):
    npz(tmp_path / "folder" / "mnist.npz", fake)
    assert same(data.load_mnist(tmp_path / "folder"), fake)


def test_another_container_with_the_same_values_is_good(fake, tmp_path):
    np.savez(tmp_path / "plain.npz", **dict(reversed(fake.items())))
    loaded = data.load_mnist(tmp_path / "plain.npz")
    assert same(loaded, fake)
    loaded[0][0][0] = 0  # writable, as Keras' are


def test_real_mnist_and_the_published_hashes_of_its_idx_files(mnist_file, tmp_path):
    loaded = data.load_mnist(mnist_file)
    (x_train, y_train), (x_test, y_test) = loaded
    arrays = dict(zip(NAMES, (x_train, y_train, x_test, y_test), strict=True))
    folder = idx_folder(tmp_path / "idx", arrays)
    assert [hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in IDX] == [
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ]
    assert same(data.load_mnist(folder), arrays)
    description = data.describe(loaded)
    assert description.pop("sha256").startswith("06b0d1f1")
    text = "MNIST: 60,000 training and 10,000 test digits"
    assert description == {"name": "MNIST", "train": 60000, "test": 10000, "text": text}


# What is refused


def header_of(shape, descr="|u1"):
    buffer = io.BytesIO()
    fields = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue()


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def with_member(path, arrays, content, name="y_test.npy"):
    """Write an archive in which one member is replaced by these bytes."""
    buffers = {}
    for key, array in arrays.items():
        buffers[f"{key}.npy"] = io.BytesIO()
        np.save(buffers[f"{key}.npy"], array)
    members = {key: buffer.getvalue() for key, buffer in buffers.items()} | {name: content}
    return zipped(path, members.items())


def damaged(path, arrays):
    content = bytearray(npz_bytes(arrays))
    content[2000:150_000] = b"\xff" * 148_000  # in the midst of x_train's compressed bytes
    path.write_bytes(content)
    return path


def replaced(folder, arrays, content, file=IDX[0]):
    idx_folder(folder, arrays)
    (folder / file).write_bytes(content)
    return folder


def without(folder, arrays):
    idx_folder(folder, arrays)
    (folder / IDX[3]).unlink()
    return folder


def written(path, content):
    path.write_bytes(content)
    return path


PAGE = b"\xef\xbb\xbf\r\n <!DOCTYPE html><html><title>Log in to the campus network</title></html>"
MAGIC = b"\x93NUMPY\1\0"
PICKLED = {"y_test": np.array([{}] * 20)}
WRONG = {
    "no such path": (
        lambda p, a: p, FileNotFoundError, r"there is no such file or folder\. Give an mnist\.npz"),
    "a device": (lambda p, a: "/dev/null", FileNotFoundError, "no such file or folder"),
    "an empty file": (lambda p, a: written(p, b""), ValueError, "received an empty file"),
    "a text": (
        lambda p, a: written(p, b"hello"), ValueError, "an .npz archive; .* starts with b'hello'"),
    "a login page": (lambda p, a: written(p, PAGE), ValueError, "like a web page .a login"),
    "one IDX file": (
        lambda p, a: written(p, idx_bytes(a["y_test"])), ValueError,
        "expected an .npz archive; .*the folder with the four"),
    "a cut archive": (
        lambda p, a: written(p, npz_bytes(a)[:-30]), ValueError, "damaged or cut one .*not a zip"),
    "corrupt deflate data": (damaged, ValueError, "received a damaged or cut one .*decompress"),
    "an encrypted archive": (
        lambda p, a: written(p, npz_bytes(a).replace(
            b"PK\1\2\x2d\x03\x2d\0\0\0", b"PK\1\2\x2d\x03\x2d\0\1\0").replace(
            b"PK\3\4\x2d\0\0\0", b"PK\3\4\x2d\0\1\0")), ValueError, "damaged or cut one .*encrypt"),
    "no arrays": (lambda p, a: zipped(p, []), ValueError, r"received \[\]"),
    "a missing array": (
        lambda p, a: npz(p, {k: a[k] for k in NAMES[:3]}), ValueError,
        r"'y_test\.npy'\]; received \['x_train\.npy', 'y_train\.npy', 'x_test\.npy'\]"),
    "an extra array": (
        lambda p, a: npz(p, a | {"z": a["y_test"]}), ValueError, r"received .*'z\.npy'\]"),
    "a wrong shape": (
        lambda p, a: npz(p, a | {"x_test": a["x_test"][:7]}), ValueError,
        r"x_test as uint8 \(20, 28, 28\); received uint8 \(7, 28, 28\)"),
    "a wrong type": (
        lambda p, a: npz(p, a | {"x_test": a["x_test"] / 255}), ValueError,
        r"x_test as uint8 .*; received float64 \(20, 28, 28\)"),
    "another order": (
        lambda p, a: npz(p, a | {"x_test": np.asfortranarray(a["x_test"])}), ValueError,
        r"x_test as uint8 .*; received uint8 \(20, 28, 28\) in Fortran order"),
    "pickled objects": (
        lambda p, a: npz(p, a | PICKLED), ValueError, "y_test as uint8 .*received pickled objects"),
    "a header of nonsense": (
        lambda p, a: with_member(p, a, MAGIC + b"\x10\0" + b"(" * 16), ValueError,
        "y_test as uint8 .*no such header"),
    "an unhashable header": (
        lambda p, a: with_member(p, a, MAGIC + b"\x07\0{[]: 1}"), ValueError,
        "y_test as uint8 .*no such header .*unhashable"),
    "a bottomless header": (
        lambda p, a: with_member(p, a, MAGIC + b"\x88\x13" + b"-" * 5000), ValueError,
        "y_test as uint8 .*no such header"),
    "a longer header than there is": (
        lambda p, a: with_member(p, a, MAGIC + b"\xff\xff{}"), ValueError,
        "y_test as uint8 .*no such header .*65535"),
    "a header that may be 4 GB long": (
        lambda p, a: with_member(p, a, b"\x93NUMPY\2\0\xff\xff\xff\xff{}"), ValueError,
        r"y_test as uint8 .* an .npy file; received .* starts with b'.x93NUMPY.x02"),
    "a shape without end": (
        lambda p, a: with_member(p, a, header_of((1,) * 2000)), ValueError,
        r"y_test as uint8 \(20,\); received uint8 \(1, 1, 1"),
    "a member that is a page": (
        lambda p, a: with_member(p, a, PAGE), ValueError, "y_test as uint8 .*like a web page"),
    "an empty member": (
        lambda p, a: with_member(p, a, b""), ValueError, "y_test as uint8 .*an empty file"),
    "too few bytes": (
        lambda p, a: with_member(p, a, header_of((20,)) + bytes(5)), ValueError,
        "20 bytes of y_test; received 15 fewer"),
    "too many bytes": (
        lambda p, a: with_member(p, a, header_of((20,)) + bytes(21)), ValueError,
        "20 bytes of y_test; received more"),
    "other values": (
        lambda p, a: npz(p, a | {"x_test": 255 - a["x_test"]}), ValueError,
        "expected MNIST's x_test; received other values in the same shape"),
    "swapped labels": (
        lambda p, a: npz(p, a | {"y_train": a["y_train"][::-1].copy()}), ValueError,
        "expected MNIST's y_train; received other values"),
    "an empty folder": (
        lambda p, a: p.parent, FileNotFoundError, "four IDX files; nothing fits train-images"),
    "a folder that lacks one": (without, FileNotFoundError, "nothing fits t10k-labels"),
    "an empty IDX file": (
        lambda p, a: replaced(p, a, b""), ValueError, "x_train .* IDX file; .*an empty file"),
    "a page for an IDX file": (
        lambda p, a: replaced(p, a, PAGE), ValueError, "x_train .* IDX file; .*like a web page"),
    "a wrong magic": (
        lambda p, a: replaced(p, a, b"\0\0\x0d\3" + idx_bytes(a["x_train"])[4:]), ValueError,
        "x_train .* IDX file; received a file that starts with"),
    "another size": (
        lambda p, a: replaced(p, a, idx_bytes(a["x_test"])), ValueError,
        r"x_train as uint8 \(300, 28, 28\) in an IDX file; received a file that starts with"),
    "a cut IDX file": (
        lambda p, a: replaced(p, a, idx_bytes(a["x_train"])[:-1]), ValueError,
        "235,200 bytes of x_train; received 1 fewer"),
    "a long IDX file": (
        lambda p, a: replaced(p, a, idx_bytes(a["x_train"]) + b"x"), ValueError,
        "bytes of x_train; received more"),
    "other values in an IDX file": (
        lambda p, a: replaced(p, a, idx_bytes(255 - a["x_train"])), ValueError,
        "expected MNIST's x_train; received other values"),
    "a cut gzip": (
        lambda p, a: replaced(p, a, gzip.compress(idx_bytes(a["x_train"]))[:-900]), ValueError,
        "damaged or cut one .*end-of-stream"),
    "a gzip with a wrong checksum": (
        lambda p, a: replaced(p, a, gzip.compress(idx_bytes(a["x_train"]))[:-8] + bytes(8)),
        ValueError, "damaged or cut one .*CRC"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_one_clear_error(case, fake, tmp_path):
    make, kind, match = WRONG[case]
    path = make(tmp_path / "folder.npz", fake)
    if case == "an empty folder":
        path = tmp_path / "home"
    with pytest.raises(kind, match=match) as caught:
        data.load_mnist(path)
    message = str(caught.value)
    assert type(caught.value) is kind and caught.value.__suppress_context__
    assert message.startswith(f"{path}: ") and message.endswith("for a download.")
    assert len(message) < 700


@pytest.mark.parametrize("path", [3, b"x.npz", ["x"]])
def test_a_path_of_another_type(path):
    with pytest.raises(TypeError):
        data.load_mnist(path)


@pytest.mark.parametrize("shape, claim", [((400_000_000_000,), 9), ((20,), 2**26)])
def test_an_archive_that_claims_too_much_is_not_read(shape, claim, fake, tmp_path):
    path = with_member(tmp_path / "bomb.npz", fake, header_of(shape) + bytes(claim))
    assert path.stat().st_size < 400_000
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="y_test"):
            data.load_mnist(path)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_a_gzip_that_claims_too_much_is_not_read(fake, tmp_path):
    content = gzip.compress(idx_bytes(fake["x_train"]) + bytes(2**26))
    folder = replaced(tmp_path / "idx", fake, content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="bytes of x_train; received more"):
            data.load_mnist(folder)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


# Caches, downloads, and what goes wrong with them


def test_a_bad_file_in_keras_cache_is_never_touched(fake, theirs, serve):
    serve(answer(npz_bytes(fake)))
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(PAGE)
    os.utime(theirs, (1e9, 1e9))
    assert same(data.load_mnist(), fake)
    assert theirs.read_bytes() == PAGE and theirs.stat().st_mtime == 1e9
    assert files_in(theirs.parent) == ["mnist.npz"]


def test_a_bad_file_in_our_cache_is_left_alone_without_network(ours):
    ours.parent.mkdir(parents=True)
    ours.write_bytes(PAGE)
    os.utime(ours, (1e9, 1e9))
    assert f"{ours}: expected an .npz archive" in fallback("like a web page")
    assert ours.read_bytes() == PAGE and ours.stat().st_mtime == 1e9
    assert files_in(ours.parent) == ["mnist.npz"]


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.stop.is_set():
        handler.wfile.write(bytes(2**14))


def cut_short(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b"PK")


def never(handler):
    handler.server.stop.wait(60)


BAD_SERVERS = {
    "not found": (answer(b"gone", status=404), {}, "404 Client Error"),
    "login page": (answer(PAGE), {}, "received a file .* like a web page"),
    "nothing": (answer(b""), {}, "received an empty file"),
    "cut short": (cut_short, {}, "IncompleteRead|Connection broken|received a damaged"),
    "endless": (endless, {"MAX_BYTES": 2**18}, "at most 262,144 bytes; received more"),
    "trickling": (
        answer(bytes(4000), pause=0.02, piece=1), {"DOWNLOAD_SECONDS": 0.4},
        "not finished after 0.4 seconds"),
    "mute": (never, {"READ_SECONDS": 0.2}, "Read timed out"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_SERVERS)
def test_a_bad_server_is_named_and_leaves_nothing(case, ours, serve, monkeypatch):
    reply, limits, match = BAD_SERVERS[case]
    asked = serve(reply)
    for name, value in limits.items():
        monkeypatch.setattr(data, name, value)
    text = fallback(match)
    assert asked == ["/mnist.npz"]
    assert os.environ["MNIST_HELPERS_URL"] in text
    assert files_in(ours.parent) == []


def test_a_download_of_other_values_is_refused(fake, ours, serve):
    serve(answer(npz_bytes(fake | {"y_test": fake["y_test"] + 1})))
    fallback("expected MNIST's y_test; received other values")
    assert files_in(ours.parent) == []


def test_a_name_look_up_that_hangs(ours, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(60))
    monkeypatch.setattr(data, "DOWNLOAD_SECONDS", 0.3)
    monkeypatch.setenv("MNIST_HELPERS_URL", "http://some.invalid/mnist.npz")
    try:
        fallback("not finished after 0.3 seconds")
    finally:
        release.set()
    assert files_in(ours.parent) == []


def test_a_look_up_that_hangs_does_not_keep_python_from_ending():
    code = (
        "import socket, time; socket.getaddrinfo = lambda *a, **k: time.sleep(600)\n"
        "from mnist_helpers import data; data.DOWNLOAD_SECONDS = 0.3\n"
        "try: data.load_mnist('mnist')\n"
        "except FileNotFoundError as error: print(error)\n"
    )
    environment = os.environ | {"MNIST_HELPERS_URL": "http://some.invalid/mnist.npz"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, timeout=60,
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert "not finished after 0.3 seconds" in done.stdout and done.stderr == ""


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/x", "mnist.npz", "http://127.0.0.1:x/", "http://"]
)
def test_an_address_that_is_none(url, monkeypatch):
    monkeypatch.setenv("MNIST_HELPERS_URL", url)
    assert url in fallback("THESE DIGITS ARE NOT MNIST")


def test_the_default_address_is_keras_own(monkeypatch):
    asked = []
    monkeypatch.delenv("MNIST_HELPERS_URL")
    monkeypatch.setattr(data, "_download", lambda url, _: asked.append(url) or {}["stop"])
    fallback("stop")
    assert asked == ["https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"]


def test_a_cache_that_cannot_be_written(fake, isolated, serve):
    serve(answer(npz_bytes(fake)))
    (isolated / "cache").write_bytes(b"a file where a folder should be")
    fallback(r"cache/mnist_helpers/mnist\.npz: .*(Not a directory|exists)")
    assert (isolated / "cache").read_bytes() == b"a file where a folder should be"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk(fake, ours, serve, monkeypatch):
    class Full(tempfile.TemporaryDirectory):
        def __enter__(self):
            os.symlink("/dev/full", os.path.join(self.name, "mnist.npz"))
            return self.name

    serve(answer(npz_bytes(fake)))
    monkeypatch.setattr(tempfile, "TemporaryDirectory", Full)
    fallback("No space left on device")
    assert files_in(ours.parent) == []


def test_a_disk_that_fills_up_at_the_end(fake, ours, serve, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    serve(answer(npz_bytes(fake)))
    ours.parent.mkdir(parents=True)
    ours.write_bytes(b"old")
    monkeypatch.setattr(os, "replace", full)
    fallback("No space left on device")
    assert files_in(ours.parent) == ["mnist.npz"] and ours.read_bytes() == b"old"


def test_a_good_download_counts_even_where_it_cannot_take_its_place(fake, ours, serve, monkeypatch):
    moves = []

    def busy(source, target):
        moves.append((source.parent.parent, target))
        raise PermissionError(13, "another process reads it")

    serve(answer(npz_bytes(fake)))
    monkeypatch.setattr(os, "replace", busy)
    assert same(data.load_mnist(), fake)
    assert moves == [(ours.parent, ours)]  # beside it: only on one disk is a move atomic
    assert files_in(ours.parent) == []


def test_twenty_processes_at_once_leave_one_good_file(fake, ours, serve):
    content, together = npz_bytes(fake), threading.Barrier(20)
    slowly = answer(content, pause=0.02, piece=len(content) // 10)

    def reply(handler):
        together.wait(120)  # until all twenty ask
        slowly(handler)

    asked = serve(reply)
    code = (
        "import json, sys; from mnist_helpers import data\n"
        "table = json.loads(sys.argv[1])\n"
        "data._ARRAYS = {name: (tuple(shape), sha) for name, (shape, sha) in table.items()}\n"
        "print(data.describe(data.load_mnist('mnist'))['sha256'])\n"
    )
    command = [sys.executable, "-c", code, json.dumps(data._ARRAYS)]
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(20)
    ]
    outputs = [child.communicate(timeout=120) for child in children]
    expected = hashlib.sha256(b"".join(fake[name].tobytes() for name in NAMES)).hexdigest()
    assert [(out.split()[-1], err) for out, err in outputs] == [(expected, "")] * 20
    assert len(asked) == 20
    assert files_in(ours.parent) == ["mnist.npz"] and ours.read_bytes() == content


# What is said of them


def test_the_bundled_digits():
    loaded = data.load_mnist("digits")
    description = data.describe(loaded)
    assert description == {
        "name": "bundled digits",
        "train": 1500,
        "test": 297,
        "sha256": "06d36b07ac2c9debea7d034828cf09c37aaa9d4677c62b5a7931020a1715847c",
        "text": "bundled digits: 1,500 training and 297 test digits "
        "(scikit-learn's copy of the UCI digits, brought to 28×28)",
    }
    assert json.loads(json.dumps(description)) == description


def test_the_bundled_digits_look_like_mnists():
    from sklearn.datasets import load_digits

    (x_train, y_train), (x_test, y_test) = data.load_mnist("digits")
    assert {array.dtype for array in (x_train, y_train, x_test, y_test)} == {np.dtype("uint8")}
    assert x_train.shape == (1500, 28, 28) and x_test.shape == (297, 28, 28)
    images, labels = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
    assert (labels == load_digits().target).all()
    assert images.max() == 255 and images.min() == 0
    total = images.sum(axis=(1, 2))
    for axis in (1, 2):
        center = images.sum(axis=axis) @ np.arange(28) / total
        assert (abs(center - 14) <= 0.5).all()
    rows = (images.max(axis=2) > 0).sum(axis=1)
    assert 18 <= rows.min() and rows.max() <= 20


def test_in_a_notebook_the_warning_stands_alone():
    cell = nbformat.v4.new_code_cell("from mnist_helpers.data import load_mnist; load_mnist();")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    NotebookClient(notebook, timeout=60).execute()
    (output,) = cell.outputs
    assert output.name == "stderr" and "THESE DIGITS ARE NOT MNIST" in output.text
    assert output.text.count("Warning") == 1


def test_other_digits_are_unknown():
    (x_train, y_train), (x_test, y_test) = data.load_mnist("digits")
    description = data.describe(((x_train[::2], y_train[::2]), (x_test, y_test)))
    values = [x_train[::2], y_train[::2], x_test, y_test]
    sha256 = hashlib.sha256(b"".join(array.tobytes() for array in values)).hexdigest()
    text = "unknown digits: 750 training and 297 test digits"
    expected = {"name": "unknown digits", "train": 750, "test": 297, "sha256": sha256, "text": text}
    assert description == expected


def test_one_changed_pixel_is_told():
    loaded = data.load_mnist("digits")
    loaded[1][0][5, 14, 14] ^= 1
    assert data.describe(loaded)["name"] == "unknown digits"


def test_importing_costs_little():
    code = (
        "import sys; import mnist_helpers; assert 'numpy' not in sys.modules\n"
        "import mnist_helpers.data; print(*sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"keras", "tensorflow", "matplotlib", "sklearn", "scipy", "pooch", "requests", "PIL",
             "tqdm"}  # fmt: skip
    assert "mnist_helpers.data" in done.stdout.split()
    assert heavy.isdisjoint(done.stdout.split())
