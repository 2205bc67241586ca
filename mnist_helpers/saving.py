"""Models as files: written whole or not at all, and read without running code from the file."""

import os
import re
import tempfile
import textwrap
import zipfile
from contextlib import contextmanager
from pathlib import Path

from mnist_helpers.keras_settings import keras_defaults

# Bounds on what the parts of a model file may claim, so that a small file cannot fill the memory.
# The tutorial's networks take at most 15 kB of JSON, 7 levels deep, and 3 MB in all (measured).
_MAX_JSON_BYTES = 10_000_000
_MAX_JSON_DEPTH = 200
_MAX_TOTAL_BYTES = 2**30
# How much of Keras' own message is quoted: the rest of it is the whole configuration.
_QUOTED_CHARACTERS = 160

_JSON_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_JSON_BRACKET = re.compile(rb"[\[\]{}]")

_HDF5 = "Keras' old HDF5 format can carry code: load it where it was made and use save_model"
_PICKLE = "opening a pickle runs whatever is in it: use save_model where it was made"
_WEIGHTS = "it has weights but no architecture: build the model, then call its load_weights"
_UNKNOWN = "use save_model where it was made"
# In this order, because .weights.h5 ends in .h5 too.
_REFUSED = {".weights.h5": _WEIGHTS, ".h5": _HDF5, ".hdf5": _HDF5, ".pkl": _PICKLE}


@contextmanager
def atomic_write(path):
    """Give a temporary path; what is written there becomes `path` when the block succeeds.

    Missing folders are made. When the block raises, `path` is as it was.

    Parameters
    ----------
    path : str or path-like
        The file to write or to replace.

    Yields
    ------
    pathlib.Path
        A file of the same name in a temporary folder beside `path`.

    Examples
    --------
    >>> folder = tempfile.mkdtemp()
    >>> with atomic_write(f"{folder}/page.html") as part:
    ...     _ = part.write_text("all of it")
    >>> Path(folder, "page.html").read_text()
    'all of it'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside `path`, because a move is atomic only within one file system.
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
        part = Path(folder) / path.name
        yield part
        os.replace(part, path)


def save_model(model, results_dir, name):
    """Save a Keras model as ``results_dir/name.keras``, whole or not at all.

    Parameters
    ----------
    model : keras.Model
    results_dir : str or path-like
        The folder; it is made when it is missing.
    name : str
        The file's name, without a folder and without a suffix.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ValueError
        If `name` has a folder or a model file's suffix.

    Examples
    --------
    >>> import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> save_model(model, tempfile.mkdtemp(), "mlp").name
    'mlp.keras'
    """
    is_plain = Path(name).name == name and name.strip(".") != ""
    if not is_plain or name.endswith((".keras", *_REFUSED)):
        raise ValueError(f"`name` must have no folder and no suffix, as 'mlp'; received {name!r}")
    path = Path(results_dir) / f"{name}.keras"
    with atomic_write(path) as part:
        model.save(part)
    return path


def load_model(path):
    """Load a model from a ``.keras`` file, without running any code that the file brings along.

    Parameters
    ----------
    path : str or path-like
        A file that `save_model`, or Keras' own ``model.save``, has written.

    Returns
    -------
    keras.Model
        Compiled, when it was saved so.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file has another format, is damaged or far too large, or needs classes or functions
        that are neither Keras' own nor registered with Keras by this program.

    Examples
    --------
    >>> import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> load_model(save_model(model, tempfile.mkdtemp(), "mlp")).count_params()
    10
    """
    path = Path(path)
    _check_format(path)
    _check_bounds(path)
    with keras_defaults():
        import keras

    try:
        # Keras' safe mode refuses lambdas, pickles and SavedModels, and imports no other package.
        return keras.saving.load_model(path, safe_mode=True)
    except Exception as error:
        # Besides ValueError and TypeError it has been seen to raise KeyError, ModuleNotFoundError,
        # RecursionError and HDF5's OSError.
        reason = textwrap.shorten(str(_first_error(error)), _QUOTED_CHARACTERS, placeholder=" …")
        raise ValueError(
            f"{path} is damaged or needs code that is not Keras' own, which could do anything. "
            f"Keras says: {reason} Copy the file again, or build the model from Keras' own layers "
            "and save it with save_model."
        ) from error


def _check_format(path):
    """Refuse whatever is not a file with the suffix .keras, each with the reason."""
    if not path.exists():
        raise FileNotFoundError(f"there is no model at {path}: train it first, or check the path")
    if path.is_dir():
        raise ValueError(
            f"{path} is a folder (a SavedModel?), which can carry code: use save_model"
        )
    if path.suffix != ".keras":
        reason = _reason_against(path.name)
        raise ValueError(f"a .keras file is needed; received {path.name}: {reason}")


def _reason_against(file_name):
    for suffix, reason in _REFUSED.items():
        if file_name.endswith(suffix):
            return reason
    return _UNKNOWN


def _check_bounds(path):
    """Refuse a model file whose parts are too large or too deep, before any of it is parsed."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(path, archive.infolist())
            config = archive.read("config.json")
    except (PermissionError, ValueError):
        raise
    except Exception as error:
        # For a damaged file, zipfile, zlib, bz2 and lzma each raise an error of their own.
        raise ValueError(f"{path} is no whole .keras file: copy or save it again") from error
    depth = _nesting_depth(config)
    if depth > _MAX_JSON_DEPTH:
        raise ValueError(
            f"{path}: its config.json may be nested {_MAX_JSON_DEPTH} levels deep; "
            f"received {depth:,}: save the model again, with save_model"
        )


def _check_sizes(path, members):
    """Compare the sizes that the zip directory declares; zipfile never reads beyond them."""
    total = 0
    for member in members:
        total += member.file_size
        if member.filename.endswith(".json"):
            _check_size(path, member.filename, member.file_size, _MAX_JSON_BYTES)
    _check_size(path, "content", total, _MAX_TOTAL_BYTES)


def _check_size(path, part, size, limit):
    if size > limit:
        raise ValueError(
            f"{path}: its {part} may have at most {limit:,} bytes; received {size:,}: "
            "save the model again, with save_model"
        )


def _nesting_depth(json_bytes):
    """Count how many brackets of a JSON text are open at once, at the deepest place."""
    depth = 0
    deepest = 0
    # Brackets within a string open and close nothing.
    for bracket in _JSON_BRACKET.findall(_JSON_STRING.sub(b"", json_bytes)):
        if bracket in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest


def _first_error(error):
    """Return the error that the others came from: Keras wraps it once for each nested object."""
    while error.__context__ is not None:
        error = error.__context__
    return error
