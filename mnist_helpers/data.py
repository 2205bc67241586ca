"""Where the digits come from, and the proof that they are the right ones.

A download runs in a thread of its own: a name look-up can hang for minutes, no time limit of a
library reaches it, and of all that Python offers only a thread can be left behind.
"""

import contextlib
import errno
import fnmatch
import hashlib
import http.client
import io
import itertools
import math
import multiprocessing
import os
import re
import ssl
import sys
import threading
import warnings
import zipfile
import zlib
from multiprocessing.pool import ThreadPool
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.lib import format as npy_format

from mnist_helpers.foreign_files import ForeignFileError, check_zip_list, open_plain
from mnist_helpers.library_settings import tqdm_defaults
from mnist_helpers.messages import quote
from mnist_helpers.scratch import scratch_folder
from mnist_helpers.threads import end_thread

URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"

CONNECT_SECONDS = 5
READ_SECONDS = 20
DOWNLOAD_SECONDS = 300
# A download that is done sooner shows no progress bar.
BAR_DELAY_SECONDS = 1
# A server may send on to another address so many times.
MAX_REDIRECTS = 10
# The four arrays take 55 MB, not even compressed.
MAX_BYTES = 2**26
_CHUNK_BYTES = 2**16
# Headers, and the lines between the parts of a file, take at most 10 bytes for each kilobyte.
MAX_LINE_BYTES = 2**20
# No file is so long that its length has more.
_MAX_LENGTH_DIGITS = 20

# The shape of each array, and the sha256 of its values.
_ARRAYS = {
    "x_train": (
        (60000, 28, 28),
        "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    ),
    "y_train": (
        (60000,),
        "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    ),
    "x_test": (
        (10000, 28, 28),
        "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    ),
    "y_test": (
        (10000,),
        "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    ),
}
# The original files. Some copies have a dot before "idx", some a hyphen; some end in .gz.
_IDX_PATTERNS = {
    "x_train": "train-images?idx3*",
    "y_train": "train-labels?idx1*",
    "x_test": "t10k-images?idx3*",
    "y_test": "t10k-labels?idx1*",
}
_ZIP_MAGIC = b"PK"
# These unpack a little at a time. Others, which numpy never writes, unpack all that they are given.
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_GZIP_MAGIC = b"\x1f\x8b"
# So zlib is told that a gzip header comes first.
_GZIP_WBITS = 16 + zlib.MAX_WBITS
# A folder with the original files has four.
_MAX_NAMES = 100_000
_NPY_MAGIC = npy_format.magic(1, 0)
# The third byte of an IDX file says what its values are: 8 is for uint8.
_IDX_UINT8 = 8

# Datasets by the sha256 of all four arrays, in the order above.
_DATASET_NAMES = {
    "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16": "MNIST",
    "06d36b07ac2c9debea7d034828cf09c37aaa9d4677c62b5a7931020a1715847c": "bundled digits",
}

_N_BUNDLED_TRAIN = 1500
# scikit-learn's digits have gray levels from 0 to 16.
_BUNDLED_MAX_GRAY = 16
# As in MNIST, a digit fills 20 of the 28 rows, and its center of mass lies at (14, 14).
_IMAGE_SIZE = 28
_DIGIT_SIZE = 20
_CENTER = 14

_FORMS = "an mnist.npz or the folder with the four original IDX files"


class BundledDigitsWarning(UserWarning):
    """The digits are not MNIST's, because MNIST could not be had."""


def load_mnist(path=None):
    """Load MNIST, or, when it cannot be had, the digits that ship with scikit-learn.

    They come from the first of these that has them: `path`; the environment variable
    ``MNIST_HELPERS_DATA``; Keras' own cache, which is only read; our cache; a download into our
    cache, from the address in ``MNIST_HELPERS_URL`` if that is set; scikit-learn, with a warning.

    Parameters
    ----------
    path : str or path-like, optional
        An ``.npz`` file, or a folder with ``mnist.npz`` or the four original IDX files (gzipped or
        not). Two words have a meaning of their own: ``"digits"`` takes the bundled digits on
        purpose, ``"mnist"`` searches but never falls back on them. ``""`` is the same as None.

    Returns
    -------
    (x_train, y_train), (x_test, y_test) : tuples of ndarray of uint8
        Images of shape (n, 28, 28), 0 is background and 255 full ink, and labels of shape (n,),
        0 to 9. MNIST has 60,000 and 10,000 in the original order. The bundled 1,797 are split in
        the order in which they ship: the first 1,500 are for training, the last 297 for testing.

    Raises
    ------
    FileNotFoundError, OSError, ValueError
        If the place named is missing, unreadable or not exactly MNIST; if ``"mnist"`` is nowhere.
    TypeError
        If `path` is neither text nor path-like.

    Notes
    -----
    MNIST: Yann LeCun, Corinna Cortes, Christopher J. C. Burges; CC BY-SA 3.0.
    Optical recognition of handwritten digits (UCI): E. Alpaydin, C. Kaynak; CC BY 4.0.

    Examples
    --------
    >>> (x_train, y_train), (x_test, y_test) = load_mnist("digits")
    >>> x_train.shape
    (1500, 28, 28)
    """
    if path is not None and not _is_text_or_path(path):
        raise TypeError(f"`path` must be text or a path; received {quote(repr(path))}")
    source = _choose_source(path, os.environ.get("MNIST_HELPERS_DATA", ""))
    if source == "digits":
        return _bundled_digits()
    if source not in ("", "mnist"):
        return _read_source(source)
    try:
        return _search()
    except FileNotFoundError as error:
        if source == "mnist":
            raise
        message = f"THESE DIGITS ARE NOT MNIST but 1,797 that ship with scikit-learn. {error}"
    # Python shows a warning once for each place; this filter shows it after a second call too. It
    # is appended, so that a filter that somebody set still decides.
    warnings.filterwarnings("always", category=BundledDigitsWarning, append=True)
    warnings.warn(message, BundledDigitsWarning, stacklevel=2)
    return _bundled_digits()


def describe(arrays):
    """Say which digits these are, and how many.

    Parameters
    ----------
    arrays : tuple
        What `load_mnist` returned.

    Returns
    -------
    dict
        ``name`` ("MNIST", "bundled digits" or "unknown digits"), ``train`` and ``test`` (int),
        ``sha256`` over the bytes of the four arrays, and a ``text`` that says it.

    Examples
    --------
    >>> dataset = describe(load_mnist("digits"))
    >>> dataset["name"], dataset["train"], dataset["test"]
    ('bundled digits', 1500, 297)
    """
    (x_train, y_train), (x_test, y_test) = arrays
    digest = hashlib.sha256()
    for array in (x_train, y_train, x_test, y_test):
        digest.update(np.ascontiguousarray(array))
    sha256 = digest.hexdigest()
    name = _DATASET_NAMES.get(sha256, "unknown digits")
    text = f"{name}: {len(x_train):,} training and {len(x_test):,} test digits"
    if name == "bundled digits":
        text += " (scikit-learn's copy of the UCI digits, brought to 28×28)"
    return {
        "name": name,
        "train": len(x_train),
        "test": len(x_test),
        "sha256": sha256,
        "text": text,
    }


def _is_text_or_path(path):
    try:
        # A path-like may give bytes, which a Path cannot be made from.
        return isinstance(os.fspath(path), str)
    except TypeError:
        return False


def _choose_source(path, variable):
    """Return what decides where the digits come from: the argument or the variable."""
    # The argument "mnist" gives way to a path in the variable, where only MNIST can be.
    if path == "mnist" and variable not in ("", "digits"):
        return variable
    if path:
        return path
    return variable


def _read_source(source):
    """Read the file or folder that somebody named, and say what to do if it cannot be read."""
    try:
        return _read(Path(os.path.expanduser(source)))
    except (OSError, ValueError) as error:
        cure = f"Give {_FORMS}, or leave `path` and MNIST_HELPERS_DATA empty for a download."
        # Some kinds of ValueError, such as a UnicodeEncodeError, cannot be made from a text alone.
        kind = ValueError if isinstance(error, ValueError) else type(error)
        # The system's own errors begin with a number, which helps nobody.
        reason = re.sub(r"^\[\w+ \d+\] ", "", str(error))
        raise kind(f"{quote(source)}: {quote(reason)}. {cure}") from None


# --- where MNIST may be --------------------------------------------------------------------------


def _search():
    """Try each place where MNIST may be; raise FileNotFoundError with all the reasons."""
    keras_home = os.environ.get("KERAS_HOME") or "~/.keras"
    keras_cache = Path(os.path.expanduser(keras_home), "datasets", "mnist.npz")
    own_cache = _own_cache()
    url = os.environ.get("MNIST_HELPERS_URL") or URL
    attempts = [
        (f"{keras_cache}", lambda: _read(keras_cache)),
        (f"{own_cache}", lambda: _read(_in_a_home(own_cache))),
        (f"{_public(url)} into {own_cache}", lambda: _download(url, _in_a_home(own_cache))),
    ]
    reasons = ""
    for description, load in attempts:
        try:
            return load()
        except Exception as error:
            # Whatever went wrong, the next place may do.
            reason = quote(error) or type(error).__name__
            reasons += f"\n  - {quote(description)}: {reason}"
    advice = f'Go online, set MNIST_HELPERS_DATA to {_FORMS}, or take load_mnist("digits").'
    raise FileNotFoundError(f"MNIST could not be had:{reasons}\n{advice}")


def _own_cache():
    # It imports tqdm, as below.
    with tqdm_defaults():
        import pooch

    try:
        folder = pooch.os_cache("mnist_helpers")
    except RuntimeError:
        # So say newer versions of what pooch asks when nobody has told them of a home.
        folder = Path("~", ".cache", "mnist_helpers")
    return folder / "mnist.npz"


def _in_a_home(path):
    """Return a path, unless it lies in a home folder that nobody knows."""
    # Older versions leave "~" as it is, which would be a folder of that name in this one.
    if path.parts[0] == "~":
        raise FileNotFoundError("there is no home folder; set the variable HOME to one")
    return path


# --- addresses that may hold a password ----------------------------------------------------------


def _public(address):
    """Return what of an address may be printed and stored: no user, no password, no query."""
    try:
        parts, _ = _split_address(address)
    except ValueError:
        # Who can tell where the password in it begins?
        if "@" in address:
            return "the address in MNIST_HELPERS_URL"
        return re.split("[?#]", address)[0]
    return parts._replace(query="", fragment="").geturl()


def _split_address(address):
    """Take an address apart.

    Returns
    -------
    parts : urllib.parse.SplitResult
        Without user and password.
    user_and_password : tuple of bytes, or None

    Raises
    ------
    ValueError
        If it is none for a download. Nothing of the address is repeated.
    """
    expected = "expected an address that begins with http:// or https:// and the name of a server"
    try:
        parts = urlsplit(address.strip())
        # The port is looked at only when it is asked for.
        is_complete = parts.hostname is not None and parts.port != 0
    except ValueError:
        raise ValueError(expected) from None
    if parts.scheme not in ("http", "https") or not is_complete:
        raise ValueError(expected)
    # A password with a slash makes its first half a port, which the libraries' errors repeat.
    if "@" in parts.path + parts.query + parts.fragment:
        raise ValueError(
            "write the signs / ? # @ of a password as %2F %3F %23 %40, and @ elsewhere"
        )
    login, at, server = parts.netloc.rpartition("@")
    if not at:
        return parts, None
    user, _, password = login.partition(":")
    # In bytes, because requests knows no letters beyond Latin-1.
    user_and_password = (os.fsencode(unquote(user)), os.fsencode(unquote(password)))
    return parts._replace(netloc=server), user_and_password


def _without_addresses(error):
    """Say why an address could not be asked, without what libraries repeat of it.

    It is not always ours: a server may send on to an address that is signed.
    """
    import requests

    unusable = (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.MissingSchema,
    )
    if isinstance(error, unusable):
        return "this address, or the one that the server sends on to, cannot be asked"
    text, _, _ = str(_root_cause(error)).partition(" for url: ")
    # The name of a class, and of the server, which stands in the line already.
    text = re.sub(r"^\w+\(host=[^)]*\): ", "", text)
    return re.sub(r"\S*(://|[?@])\S*", "...", text)


def _root_cause(error):
    """Return what an error of requests hides: the socket's message is in error.args[0].reason."""
    if not error.args:
        return error
    cause = getattr(error.args[0], "reason", error)
    # Where a proxy cannot be reached, one deeper still.
    return getattr(cause, "original_error", cause)


# --- a download ----------------------------------------------------------------------------------


def _download(url, target):
    """Download MNIST, check it, and only then put it where `target` says."""
    with tqdm_defaults():
        from tqdm import tqdm

    target.parent.mkdir(parents=True, exist_ok=True)
    bar = tqdm(
        desc="mnist.npz", unit="B", unit_scale=True, delay=BAR_DELAY_SECONDS, file=sys.stdout
    )
    # Beside the target, because a move is atomic only within one file system. The folder is
    # private: of several downloads at once, each has its own file.
    with scratch_folder(target.parent) as folder, bar:
        part = folder / "mnist.npz"
        _fetch_within_time(url, part, bar)
        arrays = _read(part)
        # Windows does not replace a file that another process is reading.
        with contextlib.suppress(PermissionError):
            os.replace(part, target)
    return arrays


def _fetch_within_time(url, part, bar):
    """Run `_fetch` in a thread, and leave it behind when the time is up."""
    threads = []
    with ThreadPool(1) as pool:
        job = pool.apply_async(_fetch_in_thread, (url, part, bar, threads))
        try:
            job.get(DOWNLOAD_SECONDS)
        except multiprocessing.TimeoutError:
            raise TimeoutError(f"not finished after {DOWNLOAD_SECONDS} seconds") from None
        finally:
            # A server that never comes to an end would keep it computing for ever.
            for thread in list(threads):
                end_thread(thread)


def _fetch_in_thread(url, part, bar, threads):
    """Run `_fetch`; its thread stands in the list `threads` meanwhile."""
    thread = threading.get_ident()
    threads.append(thread)
    try:
        _fetch(url, part, bar)
    except SystemExit:
        # From `end_thread`: nobody waits for this thread any more.
        return
    finally:
        threads.remove(thread)


def _fetch(url, part, bar):
    """Write what an address gives into the file `part`, and tell the progress bar."""
    received = 0
    with _ask(url) as response, part.open("wb") as file:
        _check_status(response)
        encoding = _find_encoding(response.headers)
        bar.total = _declared_size(response.headers)
        # Not unpacked by a library, which gives nothing back as long as empty parts follow.
        for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=False):
            received += len(chunk)
            if received > MAX_BYTES:
                raise _data_error(f"at most {MAX_BYTES:,} bytes", "more")
            file.write(chunk)
            bar.update(len(chunk))
    if encoding == "gzip":
        content = _unpack(part.read_bytes(), MAX_BYTES)
        if len(content) > MAX_BYTES:
            raise _data_error(f"at most {MAX_BYTES:,} bytes", "more")
        part.write_bytes(content)


def _find_encoding(headers):
    """Return how what comes is packed for the way: "gzip" or "identity"."""
    encoding = headers.get("Content-Encoding", "").strip().lower() or "identity"
    if encoding not in ("identity", "gzip"):
        raise _data_error("an answer that is not compressed, or as gzip", encoding)
    return encoding


def _ask(url):
    """Return a server's answer; its content has not been read yet."""
    import requests

    parts, user_and_password = _split_address(url)
    try:
        with requests.Session() as session:
            _bound_lines(session)
            request = requests.Request(
                "GET",
                parts.geturl(),
                auth=user_and_password,
                headers={"Accept-Encoding": "identity"},
                hooks={"response": _close_redirect},
            )
            return _follow(session, session.prepare_request(request))
    except _SettingError:
        raise
    except Exception as error:
        raise ConnectionError(_without_addresses(error)) from None


class _BoundedLines(io.BufferedReader):
    """What a server sends, with a limit to what is read of it line by line."""

    n_bytes = 0

    def readline(self, size=-1):
        line = super().readline(size)
        self.n_bytes += len(line)
        if self.n_bytes > MAX_LINE_BYTES:
            raise _data_error(f"at most {MAX_LINE_BYTES:,} bytes beside the file", "more")
        return line


class _BoundedResponse(http.client.HTTPResponse):
    """An answer that cannot go on without an end and without a file.

    http.client limits headers, but neither "100 Continue" answers nor, as urllib3, what may stand
    in the lines between the parts of a file and after it.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fp = _BoundedLines(self.fp.detach())


def _bound_lines(session):
    """Let a session read each answer as a `_BoundedResponse`."""
    import requests

    class Adapter(requests.adapters.HTTPAdapter):
        def get_connection_with_tls_context(self, *args, **kwargs):
            pool = super().get_connection_with_tls_context(*args, **kwargs)
            bounded = {"response_class": _BoundedResponse}
            pool.ConnectionCls = type("BoundedConnection", (pool.ConnectionCls,), bounded)
            return pool

    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter())


def _close_redirect(response, **_):
    """Hang up on a server that sends on: what else it says is never read."""
    # Otherwise requests would read and unpack it all, which may be gigabytes.
    if response.is_redirect:
        response.close()


def _follow(session, request):
    """Send a request, and then what requests makes of each redirect; return the last answer."""
    for _ in range(1 + MAX_REDIRECTS):
        response = _send(session, request)
        # It holds the password only if the server is still the same.
        request = response.next
        if request is None:
            return response
    raise ConnectionError(f"the server sent on to other addresses more than {MAX_REDIRECTS} times")


def _send(session, request):
    """Send one request, through the proxy that the environment names for its address."""
    import requests

    settings = session.merge_environment_settings(request.url, {}, True, None, None)
    proxy = requests.utils.select_proxy(request.url, settings["proxies"])
    if proxy:
        _check_proxy(proxy, request.url)
    # Only a variable names a file.
    if request.url.startswith("https:") and isinstance(settings["verify"], str):
        _check_certificates(settings["verify"])
    timeout = (CONNECT_SECONDS, READ_SECONDS)
    try:
        return session.send(request, timeout=timeout, allow_redirects=False, **settings)
    except requests.exceptions.ProxyError as error:
        fault = f"let nothing through: {_without_addresses(error)}"
        raise _SettingError(_describe_proxy(proxy, request.url, fault)) from None


# --- proxies, whose address may hold a password, too, and certificates ---------------------------


class _SettingError(ConnectionError):
    """A variable of the user's is the cause; of a proxy, the text names at most server and port."""


def _check_certificates(file):
    """Refuse a file or folder of certificates that cannot be used."""
    try:
        if os.path.isdir(file):
            return
        ssl.create_default_context(cafile=file)
    except OSError as error:
        variables = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        name = next(name for name in variables if os.environ.get(name))
        reason = error.strerror or str(error)
        raise _SettingError(
            f"correct or remove the variable {name}; the certificates that it names cannot be "
            f"read ({reason})"
        ) from None


def _check_proxy(proxy, url):
    """Refuse a proxy that cannot be used; requests' errors would seem to be about the server."""
    import requests

    try:
        # With the steps that requests takes itself when it sends.
        address = requests.utils.prepend_scheme_if_needed(proxy, "http")
        _, _, rest = address.partition("://")
        # Half of a password with a slash would be the name of a server, which errors repeat.
        _split_address(f"http://{rest}")
        requests.adapters.HTTPAdapter().proxy_manager_for(address)
    except requests.exceptions.InvalidSchema:
        fault = "is a SOCKS one, which needs the package PySocks; expected http://server:port"
        raise _SettingError(_describe_proxy(proxy, url, fault)) from None
    except Exception:
        fault = (
            "cannot be used: expected http://server:port or http://name:password@server:port, "
            "the signs / ? # @ of a password as %2F %3F %23 %40"
        )
        raise _SettingError(_describe_proxy(proxy, url, fault)) from None


def _describe_proxy(proxy, url, fault):
    return f"correct or remove {_proxy_origin(proxy, url)}; the proxy there {fault}"


def _proxy_origin(proxy, url):
    """Say where the address of the proxy for `url` stands."""
    # Several may name the same proxy: the one for http:// or https:// alone decides.
    for decisive in (f"{urlsplit(url).scheme}_proxy", "all_proxy"):
        for name, value in os.environ.items():
            if name.lower() == decisive and value == proxy:
                return f"the variable {name}"
    # On Windows and macOS, they are asked where no variable is set.
    return "the proxy setting of this system"


def _check_status(response):
    try:
        response.raise_for_status()
    except OSError as error:
        raise ConnectionError(_without_addresses(error)) from None


def _declared_size(headers):
    """Return how many bytes the server says will come, or None where it says nothing of use."""
    length = headers.get("Content-Length", "")
    if not length.isdecimal() or len(length) > _MAX_LENGTH_DIGITS:
        return None
    return int(length)


# --- reading and checking ------------------------------------------------------------------------


def _read(path):
    """Read and check the four arrays; the caller adds the place to what is raised."""
    npz_path = path
    try:
        if path.is_dir():
            npz_path = path / "mnist.npz"
        if npz_path.is_file():
            x_train, y_train, x_test, y_test = _read_npz(npz_path)
        elif path.is_dir():
            x_train, y_train, x_test, y_test = _read_idx(path)
        elif path.exists():
            raise _data_error(_FORMS, "a pipe, a socket or a device")
        else:
            raise FileNotFoundError("there is no such file or folder")
    except ForeignFileError as error:
        raise _data_error(_FORMS, str(error)) from error
    except Exception as error:
        # For damage, zipfile, zlib and others each raise an error of their own; these are
        # ours or the system's. Other subclasses, such as UnicodeDecodeError, mean damage too.
        if type(error) in (ValueError, FileNotFoundError, PermissionError):
            raise
        # A damaged zip points to a place before the file's beginning.
        if type(error) is OSError and error.errno != errno.EINVAL:
            raise
        raise _data_error("whole files", f"a damaged or cut one ({error!r})") from error
    return (x_train, y_train), (x_test, y_test)


def _read_npz(path):
    """Return the four arrays of an .npz file."""
    arrays = []
    with open_plain(path) as file:
        start = file.peek(64)
        if not start.startswith(_ZIP_MAGIC):
            raise _data_error("an .npz archive", _describe_start(start))
        _check_size(file)
        check_zip_list(file)
        with zipfile.ZipFile(file) as archive:
            _check_members(archive.namelist())
            for name in _ARRAYS:
                method = archive.getinfo(f"{name}.npy").compress_type
                if method not in _ZIP_METHODS:
                    raise _data_error(f"{name} stored or deflated", f"compression method {method}")
                with archive.open(f"{name}.npy") as member:
                    _check_npy_header(member, name)
                    arrays.append(_read_values(member, name))
    return arrays


def _check_size(file):
    size = os.fstat(file.fileno()).st_size
    if size > MAX_BYTES:
        raise _data_error(f"at most {MAX_BYTES:,} bytes", f"{size:,}")


def _check_members(members):
    expected = [f"{name}.npy" for name in _ARRAYS]
    if sorted(members) != sorted(expected):
        raise _data_error(f"the arrays {expected}", str(members)[:200])


def _read_idx(folder):
    """Return the four arrays of a folder with the original files."""
    arrays = []
    # Not `glob`, which finds nothing where it may not look.
    with os.scandir(folder) as entries:
        names = [entry.name for entry in itertools.islice(entries, _MAX_NAMES + 1)]
    if len(names) > _MAX_NAMES:
        raise _data_error(f"a folder with at most {_MAX_NAMES:,} files", "one with more")
    for name, pattern in _IDX_PATTERNS.items():
        candidates = sorted(folder / fitting for fitting in fnmatch.filter(names, pattern))
        paths = [path for path in candidates if path.is_file()]
        if not paths:
            raise FileNotFoundError(f"expected mnist.npz or four IDX files; nothing fits {pattern}")
        with open_plain(paths[0]) as file:
            stream = file
            if file.peek(2).startswith(_GZIP_MAGIC):
                _check_size(file)
                shape, _ = _ARRAYS[name]
                size = _idx_header_size(shape) + math.prod(shape)
                stream = io.BytesIO(_unpack(file.read(), size))
            _check_idx_header(stream, name)
            arrays.append(_read_values(stream, name))
    return arrays


def _unpack(packed, most):
    """Return what gzipped bytes hold, or a byte more than `most`."""
    # Not the module gzip: of a name in the header that never ends, it reads each byte for itself,
    # and it reads on and on where empty parts follow each other.
    unpacker = zlib.decompressobj(wbits=_GZIP_WBITS)
    content = unpacker.decompress(packed, most + 1)
    if len(content) <= most and not unpacker.eof:
        raise _data_error("whole files", "a damaged or cut one (its end is missing)")
    # Some programs fill up with zeros.
    if unpacker.unused_data.strip(b"\0"):
        raise _data_error("a single gzipped file", "more after its end")
    return content


def _idx_header_size(shape):
    # Four bytes, and four for each axis.
    return 4 + 4 * len(shape)


def _expected_array(name):
    shape, _ = _ARRAYS[name]
    return f"{name} as uint8 {shape}"


def _check_npy_header(stream, name):
    """Read the header of an .npy file; refuse any but the one that MNIST's array has."""
    expected = _expected_array(name)
    start = stream.read(len(_NPY_MAGIC))
    # Only version 1.0 is read, whose header has 64 KB at most; later ones may claim 4 GB.
    if start != _NPY_MAGIC:
        raise _data_error(f"{expected} in an .npy file", _describe_start(start))
    try:
        # NumPy warns of headers that Python 2 has written, and reads them well.
        with warnings.catch_warnings(action="ignore"):
            shape, is_fortran, dtype = npy_format.read_array_header_1_0(stream)
    except Exception as error:
        # A header is Python text: there are many errors that parsing it may raise.
        raise _data_error(expected, f"no such header ({str(error)[:80]})") from error
    expected_shape, _ = _ARRAYS[name]
    if shape == expected_shape and dtype == np.uint8 and not is_fortran:
        return
    kind = str(dtype)
    if dtype.hasobject:
        kind = "pickled objects"
    received = f"{kind} {str(shape)[:60]}"
    if is_fortran:
        received += " in Fortran order"
    raise _data_error(expected, received)


def _check_idx_header(stream, name):
    """Read the header of an IDX file; refuse any but the one that MNIST's array has."""
    shape, _ = _ARRAYS[name]
    # Two zeros, the type of the values, the number of axes; then each axis' length, big-endian.
    sizes = np.array(shape, ">u4")
    expected = bytes([0, 0, _IDX_UINT8, len(shape)]) + sizes.tobytes()
    start = stream.read(len(expected))
    if start != expected:
        raise _data_error(f"{_expected_array(name)} in an IDX file", _describe_start(start))


def _read_values(stream, name):
    """Read no more than the array's own bytes, whatever the container claims."""
    shape, sha256 = _ARRAYS[name]
    values = np.empty(shape, np.uint8)
    missing = values.size - stream.readinto(values)
    expected = f"{values.size:,} bytes of {name}"
    if missing > 0:
        raise _data_error(expected, f"{missing:,} fewer")
    if stream.read(1):
        raise _data_error(expected, "more")
    if hashlib.sha256(values).hexdigest() != sha256:
        raise _data_error(f"MNIST's {name}", "other values in the same shape")
    return values


def _data_error(expected, received):
    return ValueError(f"expected {expected}; received {received}")


def _describe_start(start):
    """Say what a file is, judging by its first bytes."""
    if not start:
        return "an empty file"
    text = f"a file that starts with {start[:16]!r}"
    # A byte order mark and blanks may precede the first tag.
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        text += " like a web page (a login or error page, saved in its place?)"
    return text


# --- the digits that ship with scikit-learn ------------------------------------------------------


def _bundled_digits():
    """Bring scikit-learn's 8×8 digits to MNIST's form, and split them."""
    from sklearn.datasets import load_digits

    bundled = load_digits()
    gray = (bundled.images * 255 // _BUNDLED_MAX_GRAY).astype(np.uint8)
    images = np.stack([_in_mnist_form(image) for image in gray])
    labels = bundled.target.astype(np.uint8)
    train = slice(None, _N_BUNDLED_TRAIN)
    test = slice(_N_BUNDLED_TRAIN, None)
    return (images[train], labels[train]), (images[test], labels[test])


def _in_mnist_form(gray):
    """Enlarge a small gray image, and move its center of mass to where MNIST has it."""
    from PIL import Image

    size = (_DIGIT_SIZE, _DIGIT_SIZE)
    large = Image.fromarray(gray).resize(size, Image.Resampling.BICUBIC)
    ink = np.asarray(large, int)
    positions = np.arange(_DIGIT_SIZE)
    center_row = ink.sum(axis=1) @ positions / ink.sum()
    center_column = ink.sum(axis=0) @ positions / ink.sum()
    top = _CENTER - round(center_row)
    left = _CENTER - round(center_column)
    image = np.zeros((_IMAGE_SIZE, _IMAGE_SIZE), np.uint8)
    image[top : top + _DIGIT_SIZE, left : left + _DIGIT_SIZE] = ink
    return image
