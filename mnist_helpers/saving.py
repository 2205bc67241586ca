"""Models as files: written whole or not at all, and read without running code from the file."""

import io
import json
import math
import os
import re
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from mnist_helpers.foreign_files import ForeignFileError, check_zip_list, open_plain
from mnist_helpers.keras_settings import keras_defaults
from mnist_helpers.messages import escape, quote
from mnist_helpers.scratch import flush_to_disk, scratch_folder

# Bounds on what the parts of a model file may claim, so that a small file cannot fill the memory.
# The tutorial's networks take at most 15 kB of JSON, 7 levels deep, and 3 MB in all (measured).
_MAX_JSON_BYTES = 1_000_000
_MAX_JSON_DEPTH = 200
_MAX_TOTAL_BYTES = 2**27
# In float32, as many bytes. There are several copies in memory while they are read: 1.7 GB, of a
# file of 200 MB.
_MAX_WEIGHTS = 2**25
# Each weight takes a byte or more in the file; a model may have so many that are not stored.
_UNSTORED_WEIGHTS = 1_000_000
# A step is half a millisecond: a layer that is called once more. To make a layer or a metric takes
# up to 20, another object 1, and the optimizer takes as many again. Keras builds a Sequential anew
# with each of its layers: a thousand in a file of 10 kB took minutes. With the most, loading takes
# 2 s. The tutorial's networks take at most 1,500, ResNet50 4,400 and a Sequential of 40
# convolutions, compiled, 3,700 (measured).
_MAX_STEPS = 5_000
_STEPS_TO_MAKE = 20
_QUICK_MODULES = (
    "keras.initializers",
    "keras.regularizers",
    "keras.constraints",
    "keras.losses",
    "keras.src.ops.numpy",
)
# Shapes with 150,000 sides took most of a minute.
_MAX_LIST = 1_000
# Keras stores two arrays for most layers, and its optimizers two for each of these.
_MAX_ARRAYS = 5_000
# Some first values, such as orthogonal ones, take as many multiplications as a product of matrices.
_MAX_MULTIPLICATIONS = 10**11
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
# Each layer of these is built once. In others it may be built anew with each that follows it.
_BUILT_ONCE = ("Functional", "Model")
_CONFIG = "config.json"
_WEIGHTS_FILE = "model.weights.h5"

# A string that nobody closes ends with the text; otherwise each quote in it would be tried as a
# beginning, in a time that grows with the square of the length.
_JSON_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_JSON_BRACKET = re.compile(rb"[\[\]{}]")

# What a network for pictures is made of: in each module, the classes a file may name.
# None of them computes when it is built, or grows with a number other than as weights, which are
# counted. Operations on tensors, lookups, recurrent layers, metrics with many thresholds and the
# like do: with them, a file of 20 kB filled the memory.
_MODELS = "Sequential Functional Model DTypePolicy InputLayer"
_LAYERS = """
    InputLayer Dense Flatten Reshape Permute RepeatVector Identity Activation ActivityRegularization
    Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose
    DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D
    MaxPooling1D MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D
    GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
    GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
    Dropout AlphaDropout GaussianDropout GaussianNoise
    SpatialDropout1D SpatialDropout2D SpatialDropout3D
    BatchNormalization LayerNormalization GroupNormalization RMSNormalization UnitNormalization
    ReLU LeakyReLU PReLU ELU Softmax Add Subtract Multiply Average Maximum Minimum Concatenate Dot
    Rescaling Resizing CenterCrop ZeroPadding1D ZeroPadding2D ZeroPadding3D
    Cropping1D Cropping2D Cropping3D UpSampling1D UpSampling2D UpSampling3D
    RandomFlip RandomRotation RandomTranslation RandomZoom RandomShear RandomCrop RandomErasing
    RandomContrast RandomBrightness
"""
_OPTIMIZERS = """
    SGD RMSprop Adam AdamW Adamax Adadelta Adagrad Adafactor Nadam Ftrl Lion Lamb LossScaleOptimizer
"""
_SCHEDULES = """
    CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay PiecewiseConstantDecay
    PolynomialDecay
"""
# Most metrics have the name of a loss.
_LOSSES_AND_METRICS = """
    function BinaryCrossentropy CategoricalCrossentropy SparseCategoricalCrossentropy
    BinaryFocalCrossentropy CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy
    Hinge SquaredHinge CategoricalHinge CosineSimilarity Dice Tversky Huber KLDivergence LogCosh
    LogCoshError Poisson MeanSquaredError RootMeanSquaredError MeanSquaredLogarithmicError
    MeanAbsoluteError MeanAbsolutePercentageError Mean Sum MeanMetricWrapper F1Score FBetaScore
    Accuracy BinaryAccuracy CategoricalAccuracy SparseCategoricalAccuracy TopKCategoricalAccuracy
    SparseTopKCategoricalAccuracy Precision Recall TruePositives TrueNegatives FalsePositives
    FalseNegatives
"""
_INITIALIZERS = """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones
    Orthogonal RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros
    IdentityInitializer OrthogonalInitializer
"""
_ALLOWED = {
    "keras": _MODELS,
    "keras.models": _MODELS,
    "keras.src.models.functional": _MODELS,
    "keras.layers": _LAYERS,
    "keras.optimizers": _OPTIMIZERS,
    "keras.optimizers.schedules": _SCHEDULES,
    "keras.losses": _LOSSES_AND_METRICS,
    "keras.metrics": _LOSSES_AND_METRICS,
    "keras.activations": "function",
    # Where Keras looks a function up among its activations, losses and the like.
    "builtins": "function",
    "keras.initializers": _INITIALIZERS,
    "keras.regularizers": "L1 L2 L1L2 OrthogonalRegularizer",
    "keras.constraints": "MaxNorm MinMaxNorm NonNeg UnitNorm",
    # Written as +, -, * and / between tensors.
    "keras.src.ops.numpy": "Add Subtract Multiply Divide TrueDivide",
}
# An argument of a call that is the output of another layer.
_TENSOR = "__keras_tensor__"
_QUICK_CLASSES = ("DTypePolicy", "function", _TENSOR)

_HDF5 = "Keras' old HDF5 format can carry code: load it where it was made and use save_model"
_PICKLE = "opening a pickle runs whatever is in it: use save_model where it was made"
_WEIGHTS = "it has weights but no architecture: build the model, then call its load_weights"
_UNKNOWN = "use save_model where it was made"
# In this order, because .weights.h5 ends in .h5 too.
_REFUSED = {".weights.h5": _WEIGHTS, ".h5": _HDF5, ".hdf5": _HDF5, ".pkl": _PICKLE}


@contextmanager
def atomic_write(path):
    """Give a temporary path; what is written there becomes `path` when the block succeeds.

    Missing folders are made. When the block raises, or the computer stops, `path` is as it was.

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
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with atomic_write(f"{folder}/page.html") as part:
    ...     _ = part.write_text("all of it")
    >>> Path(folder, "page.html").read_text()
    'all of it'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside `path`, because a move is atomic only within one file system.
    with scratch_folder(path.parent) as folder:
        part = folder / path.name
        yield part
        # Otherwise a power cut could leave an empty file under the final name.
        flush_to_disk(part)
        os.replace(part, path)
        flush_to_disk(path.parent)


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
    >>> import keras, tempfile
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
    PermissionError
        If you may not read it.
    ValueError
        If it is no file, has another format, is damaged or far too large, claims more than it
        holds, or needs anything but Keras' usual parts of a network for pictures and what this
        program has registered with Keras.

    Examples
    --------
    >>> import keras, tempfile
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> load_model(save_model(model, tempfile.mkdtemp(), "mlp")).count_params()
    10
    """
    path = Path(path)
    _check_format(path)
    config = _check_archive(path)
    with keras_defaults():
        import keras

    try:
        _check_weights(path)
        _check_memory(path, config)
        # Keras' safe mode refuses lambdas, pickles and SavedModels, and imports no other package.
        model = keras.saving.load_model(path, safe_mode=True)
    except (_BadModelError, PermissionError):
        raise
    except Exception as error:
        # Besides ValueError and TypeError it has been seen to raise KeyError, ModuleNotFoundError,
        # RecursionError and HDF5's OSError.
        raise _BadModelError(
            f"{path} is damaged or needs code that is not Keras' own, which could do anything. "
            f"Keras says: {_first_reason(error)} Copy the file again, or build the model from "
            "Keras' own layers and save it with save_model."
            # Keras' whole message would be shown too, with all that the file put into it.
        ) from None
    if not isinstance(model, keras.Model):
        kind = type(model).__name__
        raise _BadModelError(f"{path} must hold a model; it holds a {kind}: use save_model")
    return model


class _BadModelError(ValueError):
    """A file is refused, for a reason that is said already."""

    def __init__(self, message):
        # Of names in the file, and its own, which could otherwise steer a terminal.
        super().__init__(escape(message))


def _check_format(path):
    """Refuse whatever is no zip archive with the suffix .keras, each with the reason."""
    try:
        with open_plain(path) as file:
            if path.suffix != ".keras":
                reason = _reason_against(path.name)
                raise _BadModelError(f"a .keras file is needed; received {path.name}: {reason}")
            _check_list(path, file)
    except (_BadModelError, PermissionError):
        raise
    except ForeignFileError as error:
        if path.is_dir():
            raise _BadModelError(
                f"{path} is a folder (a SavedModel?), which can carry code: use save_model"
            ) from error
        raise _BadModelError(f"{path} must be a file; it is {error}") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(
            escape(f"there is no model at {path}: train it first, or check the path")
        ) from error
    except (OSError, ValueError) as error:
        # Too long, a loop of links, a null character, or what the file system cannot spell.
        reason = getattr(error, "strerror", None) or error
        raise _BadModelError(f"{quote(repr(str(path)))} is no path of a file: {reason}") from error


def _check_list(path, file):
    try:
        check_zip_list(file)
    except ForeignFileError as error:
        raise _BadModelError(
            f"{path} is no whole .keras file, but {error}: copy or save it again"
        ) from error


def _reason_against(file_name):
    for suffix, reason in _REFUSED.items():
        if file_name.endswith(suffix):
            return reason
    return _UNKNOWN


def _check_archive(path):
    """Refuse parts that are too large or too deep, before any is parsed; return the configuration.

    The configuration is a dict.
    """
    with _open_archive(path) as archive:
        _check_members(path, archive.infolist())
        text = archive.read(_CONFIG)
    depth = _nesting_depth(text)
    if depth > _MAX_JSON_DEPTH:
        raise _BadModelError(
            f"{path}: its {_CONFIG} may be nested {_MAX_JSON_DEPTH} levels deep; "
            f"received {depth:,}: save the model again, with save_model"
        )
    try:
        config = json.loads(text)
    except ValueError as error:
        raise _BadModelError(f"{path} is damaged or needs code: {_CONFIG} is no JSON") from error
    if not isinstance(config, dict):
        raise _BadModelError(f"{path} is damaged or needs code: {_CONFIG} holds no model")
    return config


@contextmanager
def _open_archive(path):
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (_BadModelError, PermissionError):
        raise
    except Exception as error:
        # For a damaged file, zipfile and zlib each raise errors of their own.
        raise _BadModelError(f"{path} is no whole .keras file: copy or save it again") from error


def _check_members(path, members):
    """Compare the sizes that the zip directory declares; zipfile never reads beyond them."""
    for member in members:
        # Keras compresses nothing, zip programs deflate; others may need gigabytes to unpack.
        if member.compress_type not in _COMPRESSIONS:
            raise _BadModelError(f"{path} must be stored or deflated: save it with save_model")
        if member.filename.endswith(".json"):
            _check_size(path, member.filename, member.file_size, _MAX_JSON_BYTES)
    total = sum(member.file_size for member in members)
    _check_size(path, "content", total, _MAX_TOTAL_BYTES)


def _check_size(path, part, size, limit):
    if size > limit:
        raise _BadModelError(
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


def _first_reason(error):
    """Say the error that the others came from: Keras wraps it once for each nested object."""
    seen = set()
    # An error may come back to itself.
    while error.__context__ is not None and id(error) not in seen:
        seen.add(id(error))
        error = error.__context__
    try:
        text = str(error)
    except Exception:
        text = type(error).__name__
    return quote(text) or type(error).__name__


# --- what a model would take --------------------------------------------------------------------


def _check_weights(path):
    """Refuse weights that are not plain numbers in the file itself, as many as it claims."""
    import h5py

    with zipfile.ZipFile(path) as archive:
        if _WEIGHTS_FILE not in archive.namelist():
            # A file without weights, or with those of another format, is Keras' to refuse.
            return
        content = archive.read(_WEIGHTS_FILE)
    with h5py.File(io.BytesIO(content), "r") as file:
        claimed = _count_bytes(path, file)
    if claimed > len(content):
        raise _BadModelError(
            f"{path} is damaged or needs code: its weights claim {claimed:,} bytes of "
            f"{len(content):,}: copy or save it again"
        )


def _count_bytes(path, file):
    """Add up what the datasets of an HDF5 file claim to hold."""
    import h5py

    sizes = []
    parts = []

    def look(name, entry):
        parts.append(name)
        if len(parts) > 2 * _MAX_ARRAYS:
            raise _BadModelError(
                f"{path}: its weights may be at most {_MAX_ARRAYS:,} arrays, in as many groups; "
                "received more: save a smaller model"
            )
        if not isinstance(entry, h5py.Dataset):
            return
        # Lists and texts may claim more than their size says. Chunks may be compressed, and larger
        # than the array; Keras writes none.
        is_plain = entry.dtype.kind in "biuf" and entry.chunks is None
        if not is_plain or entry.is_virtual or entry.external:
            raise _BadModelError(
                f"{path}: the weights {quote(name)} must be numbers in the file itself, in "
                f"one piece; received {quote(str(entry.dtype))}, in chunks of {entry.chunks}: "
                "save the model again, with save_model"
            )
        sizes.append(math.prod(entry.shape) * entry.dtype.itemsize)

    # Each object is visited once, whatever links lead to it; links to other files are not followed.
    file.visititems(look)
    return sum(sizes)


def _check_memory(path, config):
    """Refuse a model that has far more weights than its file; none of them is made for that."""
    _check_parts(path, config)
    n_steps = _steps_to_make(config) + _count_calls(config, {})
    if n_steps > _MAX_STEPS:
        raise _BadModelError(
            f"{path}: the model may take at most {_MAX_STEPS:,} steps to build, which are about 40 "
            f"layers in a Sequential, or 200 in a functional model; received {n_steps:,}: build it "
            "again with fewer layers"
        )
    with zipfile.ZipFile(path) as archive:
        n_stored = sum(member.file_size for member in archive.infolist())
    # Keras keeps for each thread which names are taken, and which variables it has yet to make:
    # those of this thread vanish with it.
    with ThreadPoolExecutor(1) as thread:
        shapes = thread.submit(_list_shapes, config).result()
    n_weights = sum(math.prod(shape) for shape in shapes)
    limit = min(_MAX_WEIGHTS, n_stored + _UNSTORED_WEIGHTS)
    if n_weights > limit:
        raise _BadModelError(
            f"{path}: the model may have at most {limit:,} weights, because its file holds "
            f"{n_stored:,} bytes; received {n_weights:,}: save the model again, with save_model"
        )
    for shape in shapes:
        _check_multiplications(path, shape)


def _check_parts(path, config):
    """Refuse what a network for pictures is not made of, before Keras makes any of it."""
    left = [config]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left += value
            if len(value) > _MAX_LIST:
                raise _refusal(path, f"a list of {len(value):,} entries")
        if not isinstance(value, dict):
            continue
        left += value.values()
        if "class_name" in value and not _is_allowed(value):
            name = value.get("registered_name") or value["class_name"]
            raise _refusal(path, quote(f"{name} of {value.get('module')}"))
        nodes = value.get("inbound_nodes")
        if isinstance(nodes, list) and not all(_is_call_with_tensor(node) for node in nodes):
            raise _refusal(path, "a layer that is called with constants")


def _refusal(path, named):
    return _BadModelError(
        f"{path} needs {named}, which load_model does not allow. A model may have Keras' usual "
        "layers for pictures (dense, convolution, pooling, dropout, normalization, activation, "
        "merging, simple augmentation), optimizers, losses and plain metrics: build it from "
        "these and save it with save_model"
    )


def _is_allowed(value):
    """Say whether an object's class is on the list, or registered by this program."""
    with keras_defaults():
        import keras

    name = value["class_name"]
    if name == _TENSOR:
        return True
    if str(value.get("registered_name")) in keras.saving.get_custom_objects():
        return True
    module = str(value.get("module"))
    if name not in _ALLOWED.get(module, "").split():
        return False
    # A list as the mean, say, of random numbers would be spread over the array's other sides.
    config = value.get("config")
    is_initializer = module == "keras.initializers" and isinstance(config, dict)
    return not (is_initializer and any(isinstance(item, list) for item in config.values()))


def _is_call_with_tensor(node):
    """Say whether a call takes another layer's output; Keras computes any other call at once."""
    if not isinstance(node, dict):
        return False
    args = node.get("args")
    kwargs = node.get("kwargs")
    return isinstance(args, list) and isinstance(kwargs, dict) and _has_tensor([args, kwargs])


def _has_tensor(value):
    if isinstance(value, list):
        return any(_has_tensor(item) for item in value)
    if not isinstance(value, dict):
        return False
    if "class_name" in value:
        return value["class_name"] == _TENSOR and "config" in value
    return any(_has_tensor(item) for item in value.values())


def _steps_to_make(value):
    """Count what it takes to make each object of a configuration once."""
    if isinstance(value, list):
        return sum(_steps_to_make(item) for item in value)
    if not isinstance(value, dict):
        return 0
    steps = sum(_steps_to_make(item) for item in value.values())
    if _is_layer(value):
        steps += _STEPS_TO_MAKE
    elif "class_name" in value:
        steps += 1
    # The optimizer makes variables of its own for each weight, also for those of a model within
    # that is compiled, too.
    if value.get("compile_config"):
        steps *= 2
    return steps


def _is_layer(value):
    """Say whether this describes a layer, a model, or what takes as long to make."""
    if "class_name" not in value or value["class_name"] in _QUICK_CLASSES:
        return False
    return value.get("module") not in _QUICK_MODULES


def _count_calls(value, shared):
    """Count how often Keras calls layers, at most, to build what a configuration describes.

    `shared` keeps the calls of the layers that are described once and used in several places.
    """
    if isinstance(value, list):
        return sum(_count_calls(item, shared) for item in value)
    if not isinstance(value, dict):
        return 0
    calls = 0
    for name, item in value.items():
        if name != "inbound_nodes":
            calls += _count_calls(item, shared)
    if _is_layer(value):
        calls = 1 + calls * _times_built(value)
    shared_id = value.get("shared_object_id")
    if isinstance(shared_id, int):
        # What is said in the other places does not count.
        calls = max(calls, shared.get(shared_id, 0))
        shared[shared_id] = calls
    # A layer of a functional model is called once for each of these.
    nodes = value.get("inbound_nodes")
    if isinstance(nodes, list):
        calls *= max(1, len(nodes))
    return calls


def _times_built(value):
    """Return how many times, at most, Keras builds each of an object's layers."""
    config = value.get("config")
    if value["class_name"] in _BUILT_ONCE or not isinstance(config, dict):
        return 1
    layers = config.get("layers")
    if not isinstance(layers, list):
        return 1
    return max(1, len(layers))


def _list_shapes(config):
    """Build a model whose variables have shapes and no values, and return the shapes."""
    with keras_defaults():
        import keras

    config, compile_configs = _split_off_compilation(config)
    # In this scope, Keras remembers how to make a variable, and makes it later, or never.
    with keras.StatelessScope(initialize_variables=False):
        parts = [keras.saving.deserialize_keras_object(config, safe_mode=True)]
        for compile_config in compile_configs:
            metrics = [compile_config.get("metrics"), compile_config.get("weighted_metrics")]
            parts += keras.tree.flatten(
                keras.saving.deserialize_keras_object(metrics, safe_mode=True)
            )
    return [variable.shape for part in parts for variable in getattr(part, "variables", [])]


def _check_multiplications(path, shape):
    """Refuse a matrix that would take long to fill with first values that are orthogonal."""
    if len(shape) > 1 and math.prod(shape) * min(shape) > _MAX_MULTIPLICATIONS:
        raise _BadModelError(
            f"{path}: the number of a layer's weights, times their smallest side, may be at most "
            f"{_MAX_MULTIPLICATIONS:,}; received the shape {tuple(shape)}"
        )


def _split_off_compilation(config):
    """Return a copy of a configuration that is not compiled, and how it was to be compiled.

    An optimizer cannot be built without its variables. It has a few for each weight.
    """
    compile_configs = []

    def copy(value):
        if isinstance(value, list):
            return [copy(item) for item in value]
        if not isinstance(value, dict):
            return value
        if isinstance(value.get("compile_config"), dict):
            compile_configs.append(value["compile_config"])
        items = {}
        for name, item in value.items():
            if name != "compile_config":
                items[name] = copy(item)
        return items

    return copy(config), compile_configs
