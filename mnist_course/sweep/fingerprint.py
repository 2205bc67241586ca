"""What a run is: the same fingerprint means that the same program ran on the same digits."""

import functools
import hashlib
import json
import os
import warnings
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mnist_course
import mnist_helpers
from mnist_helpers.data import describe, load_mnist

# Parameters that say where things are, not what is run.
PLACES = ("data", "results_dir")
_PROJECT = "mnist-helpers"
# The project's extra with what runs the notebooks, such as papermill.
_EXTRA = "course"
# What Keras does when nobody says otherwise.
_KERAS_DEFAULTS = {
    "backend": "tensorflow",
    "floatx": "float32",
    "epsilon": 1e-7,
    "image_data_format": "channels_last",
    "nnx_enabled": False,
}
_KERAS_CHOICES = {
    "floatx": ["float16", "float32", "float64"],
    "image_data_format": ["channels_last", "channels_first"],
}
# Of Keras 2: settings files from then are still there.
_OLD_BACKENDS = ("theano", "cntk", "plaidml.keras.backend")
# Other variables that change numbers. Which device a run computes on may differ from worker to
# worker, as CUDA_VISIBLE_DEVICES does where each has a graphics card of its own.
_NUMBER_VARIABLES = (
    "JAX_DEFAULT_DTYPE_BITS",
    "JAX_DEFAULT_MATMUL_PRECISION",
    "JAX_ENABLE_X64",
    "KERAS_TORCH_DEVICE",
    "NVIDIA_TF32_OVERRIDE",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
)
_PROGRAM_DIGITS = 8
_PARAMETERS_DIGITS = 16


def describe_environment(data):
    """Describe what a result depends on besides the notebook, on the computer that calls this.

    Parameters
    ----------
    data : str
        Which digits, as `load_mnist` takes it.

    Returns
    -------
    dict
        `version` and `source`, as `describe_package` returns them; `backend`, the name of the one
        that Keras will use; `settings`, the others of `keras_settings`, and variables that change
        numbers, by name; `packages`, the version of each package this project needs, by name;
        `dataset`, as ``data.describe`` returns it; and `dataset_warning`, why the digits are not
        MNIST's, or an empty text. All values are plain, so that they can be sent and stored.

    Raises
    ------
    ValueError, OSError
        If `load_mnist` refuses `data`, or Keras' settings are damaged.
    """
    settings = keras_settings()
    backend = settings.pop("backend")
    for name in _NUMBER_VARIABLES:
        settings[name] = os.environ.get(name)
    dataset, dataset_warning = _describe_dataset(data)
    return {
        **describe_package(),
        "backend": backend,
        "settings": settings,
        "packages": _installed_versions(_PROJECT, backend),
        "dataset": dataset,
        "dataset_warning": dataset_warning,
    }


def try_to_describe(data):
    """Do what `describe_environment` does, on a worker.

    Parameters
    ----------
    data : str
        As `describe_environment` takes it.

    Returns
    -------
    dict or str
        Why it could not be done, in one line. An exception that reaches the command is one of
        Dask's, then, and says that the worker was lost.
    """
    try:
        return describe_environment(data)
    except Exception as error:
        text = " ".join(str(error).split())
        return text or type(error).__name__


def describe_package():
    """Describe this project's code, of which both packages decide what a run does.

    Returns
    -------
    dict of str to str
        `version`, and `source`: the sha256 of all Python files of mnist_helpers and mnist_course.

    Examples
    --------
    >>> len(describe_package()["source"])
    64
    """
    checksum = hashlib.sha256()
    for package in (mnist_helpers, mnist_course):
        folder = Path(package.__file__).parent
        for path in sorted(folder.rglob("*.py")):
            content = path.read_bytes()
            name = f"{package.__name__}/{path.relative_to(folder).as_posix()}"
            # With its length before it, no content can pass for the end of one file and the
            # start of the next.
            checksum.update(f"{name} {len(content)}\n".encode())
            checksum.update(content)
    return {"version": mnist_helpers.__version__, "source": checksum.hexdigest()}


def compare_environments(received, expected):
    """Say where two environments differ.

    Parameters
    ----------
    received, expected : dict
        As `describe_environment` returns them.

    Returns
    -------
    str
        The first difference, in words; empty if a run would give the same result in both.
    """
    version = received["version"]
    if version != expected["version"]:
        return f"it has mnist_helpers {version}, not {expected['version']}"
    if received["source"] != expected["source"]:
        return f"the code of its mnist_helpers {version} or of its mnist_course differs"
    if received["backend"] != expected["backend"]:
        return f"its back end is {received['backend']}, not {expected['backend']}"
    for name, value in expected["settings"].items():
        received_value = received["settings"][name]
        if received_value != value:
            return f"its setting of {name} is {received_value!r}, not {value!r}"
    for name in sorted(set(received["packages"]) | set(expected["packages"])):
        received_version = received["packages"].get(name, "no")
        expected_version = expected["packages"].get(name, "no")
        if received_version != expected_version:
            return f"it has {received_version} {name}, not {expected_version}"
    if received["dataset"]["sha256"] != expected["dataset"]["sha256"]:
        return f"it has {received['dataset']['name']}, not {expected['dataset']['name']}"
    return ""


def program_fingerprint(notebook, environment):
    """Name a program: a notebook's code and all else that decides a result, save its parameters.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
    environment : dict
        As `describe_environment` returns it.

    Returns
    -------
    str
        8 hexadecimal digits. Prose, outputs and execution counts do not change them.
    """
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    parts = [
        code,
        environment["source"],
        environment["backend"],
        environment["settings"],
        environment["packages"],
        environment["dataset"]["sha256"],
    ]
    return _hash(parts, _PROGRAM_DIGITS)


def run_key(program, parameters):
    """Name one run of a program.

    Parameters
    ----------
    program : str
        As `program_fingerprint` returns it.
    parameters : dict of str to object
        All of the notebook's parameters, defaults too. `data` and `results_dir` do not count.

    Returns
    -------
    str
        ``"program-parameters"``, where `parameters` stands for 16 hexadecimal digits.

    Examples
    --------
    >>> run_key("01234567", {"seed": 1})
    '01234567-a4bbadc1c78966d2'
    >>> run_key("01234567", {"seed": 1, "data": "digits"})
    '01234567-a4bbadc1c78966d2'
    """
    values = {name: value for name, value in parameters.items() if name not in PLACES}
    return f"{program}-{_hash(values, _PARAMETERS_DIGITS)}"


def _hash(value, n_digits):
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:n_digits]


# A worker describes its environment before each run: reading the digits takes a second.
@functools.cache
def _describe_dataset(data):
    """Return what `describe` says of these digits, and what `load_mnist` warned about."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = describe(load_mnist(data))
    messages = [str(warning.message) for warning in caught]
    return dataset, "".join(messages)


def keras_settings():
    """Read what decides how Keras computes, without importing Keras, which takes seconds.

    As Keras does, it looks into the file ``keras.json`` and at the variables that begin with KERAS.

    Returns
    -------
    dict
        `backend` (a name), `floatx`, `epsilon`, `image_data_format`, `nnx_enabled`, and
        `max_epochs` and `max_steps_per_epoch`, which are None where nothing limits a training.

    Raises
    ------
    ValueError, OSError
        If Keras could not take the settings, or would pass over a file that is damaged. The
        message names the file or the variable.
    """
    path = _keras_file()
    settings = {**_KERAS_DEFAULTS, **_read_keras_file(path)}
    backend_cause = str(path)
    if os.environ.get("KERAS_BACKEND"):
        settings["backend"] = os.environ["KERAS_BACKEND"]
        backend_cause = "the variable KERAS_BACKEND"
    if settings["backend"] in _OLD_BACKENDS:
        raise ValueError(
            f"{backend_cause} asks for the back end {settings['backend']!r}, which Keras has not "
            'had since 2023: write "tensorflow" there'
        )
    if "KERAS_NNX_ENABLED" in os.environ:
        settings["nnx_enabled"] = os.environ["KERAS_NNX_ENABLED"].lower() in ("true", "1")
    for name in ("max_epochs", "max_steps_per_epoch"):
        settings[name] = _read_limit(f"KERAS_{name.upper()}")
    return settings


def _keras_file():
    """Find the file with Keras' settings, where Keras looks for it."""
    home = os.environ.get("KERAS_HOME")
    if home is None:
        user_home = os.path.expanduser("~")
        if not os.access(user_home, os.W_OK):
            user_home = "/tmp"
        home = os.path.join(user_home, ".keras")
    return Path(os.path.expanduser(os.path.join(home, "keras.json")))


def _read_keras_file(path):
    """Read those settings of a file that decide results; none, if there is no file."""
    if not path.exists():
        return {}
    if not path.is_file():
        raise ValueError(f"{path} must be a file with Keras' settings: move away what is there")
    try:
        content = json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} must be JSON with Keras' settings ({error}): mend or delete it"
        ) from None
    if not isinstance(content, dict):
        raise ValueError(
            f"{path} must be a JSON object with Keras' settings; received "
            f"{type(content).__name__}: mend or delete it"
        )
    settings = {name: content[name] for name in _KERAS_DEFAULTS if name in content}
    for name, value in settings.items():
        _check_keras_setting(path, name, value)
    return settings


def _check_keras_setting(path, name, value):
    choices = _KERAS_CHOICES.get(name)
    if choices is not None and value not in choices:
        expected = " or ".join(choices)
    elif type(value) is not type(_KERAS_DEFAULTS[name]):
        expected = f"such as {_KERAS_DEFAULTS[name]!r}"
    else:
        return
    raise ValueError(f"{path}: {name} must be {expected}; received {value!r}: mend or delete it")


def _refuse_constant(text):
    raise ValueError(f"{text} is no number")


def _read_limit(variable):
    text = os.environ.get(variable)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise ValueError(
            f"the variable {variable} must be a whole number; received {text!r}: unset it"
        ) from None


@functools.cache
def _installed_versions(*names):
    """Return the versions of these packages and of all that they require, by name."""
    versions = {}
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in versions:
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError:
            # Such as a back end that is not installed: the run will say so.
            continue
        versions[name] = package.version
        waiting += _required_names(name, package.requires or [])
    return versions


def _required_names(name, lines):
    """Return the names of the packages that a package requires on this computer."""
    extra = _EXTRA if name == _PROJECT else ""
    required = []
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            required.append(requirement.name)
    return required
