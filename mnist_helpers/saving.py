"""Models as files: written whole or not at all, and read only when nothing in them is code."""

import json
import os
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path

_CONFIG_BYTES = 10_000_000  # the tutorial's models have a few kB
_HDF5 = "Keras' old HDF5 format can carry code: load it where it was made and use save_model"
_PICKLE = "opening a pickle runs whatever is in it: use save_model where it was made"
_WEIGHTS = "it has weights but no architecture: build the model, then call its load_weights"
_REFUSED = {".weights.h5": _WEIGHTS, ".h5": _HDF5, ".hdf5": _HDF5, ".pkl": _PICKLE}
_CODE = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}
_VALUES = {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"}


@contextmanager
def atomic_write(path):
    """Give a temporary path; what is written there becomes `path` when the block succeeds.

    Missing folders are made. When the block raises, `path` is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside `path`, so that replacing stays on one file system.
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
        part = Path(folder) / path.name
        yield part
        os.replace(part, path)


def save_model(model, results_dir, name):
    """Save a Keras model as ``results_dir/name.keras``, whole or not at all.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ValueError
        If `name` has a folder or a model file's suffix.
    """
    if not name.strip(".") or Path(name).name != name or name.endswith((".keras", *_REFUSED)):
        raise ValueError(f"`name` must have no folder and no suffix, as 'dense'; received {name!r}")
    path = Path(results_dir) / f"{name}.keras"
    with atomic_write(path) as part:
        model.save(part)
    return path


def load_model(path):
    """Load a model from a ``.keras`` file that holds nothing but Keras' own classes.

    Returns
    -------
    keras.Model
        Compiled, when it was saved so.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file; if it is of another format, damaged, or needs code that is not
        Keras' own, which is seen before anything is built.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no model at {path}: train it first, or check the path")
    if path.is_dir():
        raise ValueError(
            f"{path} is a folder (a SavedModel?), which can carry code: use save_model"
        )
    if path.suffix != ".keras":
        reasons = [reason for end, reason in _REFUSED.items() if path.name.endswith(end)]
        reason = (reasons or ["use save_model where it was made"])[0]
        raise ValueError(f"a .keras file is needed; received {path.name}: {reason}")
    _refuse_code(path)
    import keras

    try:
        return keras.saving.load_model(path, safe_mode=True)
    except TypeError as error:  # a function whose name Keras does not know
        raise ValueError(f"{path} needs code that is not in Keras: {error}") from None


def _refuse_code(path):
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > _CONFIG_BYTES:
                raise ValueError(f"{path}: its config.json has more than {_CONFIG_BYTES:,} bytes")
            waiting = [json.loads(archive.read("config.json"))]
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError, RecursionError):
        raise ValueError(f"{path} is no whole .keras file: copy or save it again") from None
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, dict):
            waiting += item.values()
            if "class_name" in item and not _is_keras(item):
                name = item.get("config" if item["class_name"] == "function" else "class_name")
                raise ValueError(
                    f"{path} needs code to load ({name!r}, from module {item.get('module')!r}), "
                    "which could do anything: build the model from Keras' own layers instead"
                )


def _is_keras(item):
    name, module = str(item["class_name"]), str(item.get("module")).split(".")[0]
    if name == "function":  # Keras' own are `relu`, a registered one is `package>name`
        return module in ("builtins", "keras") and ">" not in str(item.get("config"))
    # Keras looks a registered name up before it looks at the module.
    registered = item.get("registered_name") not in (None, name)
    return name in _VALUES or (module == "keras" and name not in _CODE and not registered)
