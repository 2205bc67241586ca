"""Where the digits come from, and the proof that they are the right ones."""

import contextlib
import gzip
import hashlib
import os
import sys
import tempfile
import types
import warnings
import zipfile
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
CONNECT_SECONDS, READ_SECONDS, DOWNLOAD_SECONDS = 5, 20, 300
MAX_BYTES = 2**26  # the four arrays, not even compressed, are 55 MB

_ARRAYS = dict(  # shape, and sha256 of the values
    x_train=((60000, 28, 28), "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757"),
    y_train=((60000,), "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13"),
    x_test=((10000, 28, 28), "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161"),
    y_test=((10000,), "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5"),
)
_IDX = "train-images?idx3*", "train-labels?idx1*", "t10k-images?idx3*", "t10k-labels?idx1*"
_KNOWN = {  # by the sha256 of all four, in this order
    "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16": "MNIST",
    "06d36b07ac2c9debea7d034828cf09c37aaa9d4677c62b5a7931020a1715847c": "bundled digits",
}
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
        not). Two words stand for themselves: ``"digits"`` takes the bundled digits on purpose,
        ``"mnist"`` searches but never falls back on them. ``""`` is the same as None.

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

    Notes
    -----
    MNIST: Yann LeCun, Corinna Cortes, Christopher J. C. Burges; CC BY-SA 3.0.
    Optical recognition of handwritten digits (UCI): E. Alpaydin, C. Kaynak; CC BY 4.0.
    """
    variable = os.environ.get("MNIST_HELPERS_DATA", "")
    # The argument "mnist" gives way to a path in the variable, which can only be MNIST's.
    named = path if path and (path != "mnist" or variable in ("", "digits")) else variable
    if named == "digits":
        return _bundled_digits()
    if named not in ("", "mnist"):
        try:
            return _read(Path(os.path.expanduser(named)))
        except (OSError, ValueError) as error:
            cure = f"Give {_FORMS}, or leave `path` and MNIST_HELPERS_DATA empty for a download."
            raise type(error)(f"{named}: {error}. {cure}") from None
    try:
        return _search()
    except FileNotFoundError as error:
        if named == "mnist":
            raise
        message = f"THESE DIGITS ARE NOT MNIST but 1,797 that ship with scikit-learn. {error}"
    # Appended, so that a second call shows it too, and a filter that somebody set still decides.
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
    """
    (x_train, y_train), (x_test, y_test) = arrays
    digest = hashlib.sha256()
    for array in (x_train, y_train, x_test, y_test):
        digest.update(np.ascontiguousarray(array))
    name = _KNOWN.get(digest.hexdigest(), "unknown digits")
    text = f"{name}: {len(x_train):,} training and {len(x_test):,} test digits"
    if name == "bundled digits":
        text += " (scikit-learn's copy of the UCI digits, brought to 28×28)"
    counts = {"train": len(x_train), "test": len(x_test)}
    return {"name": name, **counts, "sha256": digest.hexdigest(), "text": text}


def _search():
    import pooch

    theirs = os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras") + "/datasets/mnist.npz"
    ours = pooch.os_cache("mnist_helpers") / "mnist.npz"
    url = os.environ.get("MNIST_HELPERS_URL") or URL
    reasons = ["MNIST could not be had:"]
    for read, *place in (_read, Path(theirs)), (_read, ours), (_download, url, ours):
        try:
            return read(*place)
        except Exception as error:  # whatever it is, the next place is tried
            cause = getattr((*error.args, None)[0], "reason", error)  # requests wraps the cause
            reasons.append(f"{' into '.join(map(str, place))}: {cause}")
    advice = f'\nGo online, set MNIST_HELPERS_DATA to {_FORMS}, or take load_mnist("digits").'
    raise FileNotFoundError("\n  - ".join(reasons) + advice)


def _download(url, target):
    import pooch
    from tqdm import tqdm

    def update(_):  # by the file's size, since pooch counts a short chunk as a whole one
        if (size := part.stat().st_size) > MAX_BYTES:
            raise _fault(f"at most {MAX_BYTES:,} bytes", "more")
        bar.total = progress.total or None
        bar.update(size - bar.n)

    progress = types.SimpleNamespace(update=update, reset=lambda: None, close=lambda: None)
    fetch = pooch.HTTPDownloader(progress, 2**16, timeout=(CONNECT_SECONDS, READ_SECONDS))
    target.parent.mkdir(parents=True, exist_ok=True)
    parts = tempfile.TemporaryDirectory(dir=target.parent, ignore_cleanup_errors=True)
    bar = tqdm(desc="mnist.npz", unit="B", unit_scale=True, delay=1, file=sys.stdout)
    # Only a thread can be left alone when a look-up hangs; the missing folder ends it later.
    with parts as folder, bar, ThreadPool(1) as pool:
        part = Path(folder, "mnist.npz")
        job = pool.apply_async(fetch, (url, part, None))
        job.wait(DOWNLOAD_SECONDS)
        if not job.ready():
            raise TimeoutError(f"not finished after {DOWNLOAD_SECONDS} seconds")
        job.get()
        arrays = _read(part)
        with contextlib.suppress(PermissionError):  # on Windows, while another process reads it
            os.replace(part, target)
        return arrays


def _fault(expected, came):
    if isinstance(came, bytes):
        page = came.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
        came = f"a file that starts with {came[:16]!r}" if came else "an empty file"
        came += " like a web page (a login or error page, saved in its place?)" * page
    return ValueError(f"expected {expected}; received {came}")


def _read(path):
    """Read and check the four arrays; the caller adds the place to what is raised."""
    npz = path / "mnist.npz" if path.is_dir() else path
    if not (npz.is_file() or path.is_dir()):
        raise FileNotFoundError("there is no such file or folder")
    try:
        arrays = tuple(_read_npz(npz) if npz.is_file() else _read_idx(path))
    except Exception as error:  # zipfile, zlib, gzip and others have each their own for damage
        if type(error) in (ValueError, FileNotFoundError, PermissionError):
            raise
        raise _fault("whole files", f"a damaged or cut one ({error!r})") from error
    return arrays[:2], arrays[2:]


def _read_npz(path):
    with path.open("rb") as file:
        if not file.peek(64).startswith(b"PK"):
            raise _fault("an .npz archive", file.peek(64))
        with zipfile.ZipFile(file) as archive:
            expected, members = [f"{name}.npy" for name in _ARRAYS], archive.namelist()
            if sorted(members) != sorted(expected):
                raise _fault(f"the arrays {expected}", f"{members}"[:200])
            return [_take(name, archive.open(f"{name}.npy"), _skip_npy) for name in _ARRAYS]


def _read_idx(folder):
    for name, pattern in zip(_ARRAYS, _IDX, strict=True):
        found = sorted(filter(Path.is_file, folder.glob(pattern)))
        if not found:
            raise FileNotFoundError(f"expected mnist.npz or four IDX files; nothing fits {pattern}")
        with found[0].open("rb") as file:
            zipped = file.peek(2).startswith(b"\x1f\x8b")
            yield _take(name, gzip.open(file) if zipped else file, _skip_idx)


def _skip_npy(stream, shape, expected):
    if (start := stream.read(8)) != npy.magic(1, 0):
        raise _fault(f"{expected} in an .npy file", start)
    try:
        came, fortran, dtype = npy.read_array_header_1_0(stream)  # of 64 KB at most
    except Exception as error:  # whatever a header may make NumPy's and Python's parsers raise
        raise _fault(expected, f"no such header ({str(error)[:80]})") from error
    if (came, fortran, dtype) != (shape, False, np.uint8):
        kind = "pickled objects" if dtype.hasobject else dtype
        raise _fault(expected, f"{kind} {str(came)[:60]}{' in Fortran order' * fortran}")


def _skip_idx(stream, shape, expected):
    header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
    if (start := stream.read(len(header))) != header:
        raise _fault(f"{expected} in an IDX file", start)


def _take(name, stream, skip_header):
    """Read no more than the array's own bytes, whatever the container claims."""
    shape, sha256 = _ARRAYS[name]
    skip_header(stream, shape, f"{name} as uint8 {shape}")
    values = np.empty(shape, np.uint8)
    if (left := values.size - stream.readinto(values)) or stream.read(1):
        raise _fault(f"{values.size:,} bytes of {name}", f"{left:,} fewer" if left else "more")
    if hashlib.sha256(values).hexdigest() != sha256:
        raise _fault(f"MNIST's {name}", "other values in the same shape")
    return values


def _bundled_digits():
    from PIL import Image
    from sklearn.datasets import load_digits

    small = load_digits()
    images, labels = np.zeros((len(small.images), 28, 28), np.uint8), small.target.astype(np.uint8)
    for image, gray in zip(images, (small.images * 255 // 16).astype(np.uint8), strict=True):
        ink = np.asarray(Image.fromarray(gray).resize((20, 20), Image.Resampling.BICUBIC), int)
        # As in MNIST, the center of mass comes to lie at (14, 14).
        top, left = (14 - round(ink.sum(axis) @ np.arange(20) / ink.sum()) for axis in (1, 0))
        image[top : top + 20, left : left + 20] = ink
    return (images[:1500], labels[:1500]), (images[1500:], labels[1500:])
