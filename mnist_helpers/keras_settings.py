"""Importing Keras with its own defaults, whatever the settings of the person at the keyboard say.

Keras takes its float type, its image format and more from a file, and limits on training from
variables. One forgotten word there changes every result of the course, and nothing tells.
"""

# Only the standard library: the doctor reads the settings where Keras itself is missing.
import contextlib
import importlib.util
import json
import os
import reprlib
import sys
import tempfile
from pathlib import Path

from mnist_helpers.foreign_files import ForeignFileError, open_plain
from mnist_helpers.library_settings import matplotlib_defaults, set_variables

# The back ends that can train a network.
BACKENDS = ("tensorflow", "jax", "torch")

DEFAULTS = {
    "floatx": "float32",
    "epsilon": 1e-7,
    "image_data_format": "channels_last",
    "nnx_enabled": False,
    "max_epochs": None,
    "max_steps_per_epoch": None,
}
DEFAULT_BACKEND = "tensorflow"
DEFAULT_POLICY = "float32"

# Keras takes these from its file,
FILE_SETTINGS = ("backend", "floatx", "epsilon", "image_data_format", "nnx_enabled")
# and these from environment variables, which outrank the file.
VARIABLES = {
    "backend": "KERAS_BACKEND",
    "nnx_enabled": "KERAS_NNX_ENABLED",
    "max_epochs": "KERAS_MAX_EPOCHS",
    "max_steps_per_epoch": "KERAS_MAX_STEPS_PER_EPOCH",
}
# With other values in the file, Keras cannot be imported.
ACCEPTED = {
    "floatx": ("float16", "float32", "float64"),
    "image_data_format": ("channels_last", "channels_first"),
}

_STDERR_DESCRIPTOR = 2
# Keras writes less than 200.
_MAX_FILE_BYTES = 1_000_000


class KerasSettingsError(ValueError):
    """The user's settings keep Keras from starting; the message names the file or the variable."""


@contextlib.contextmanager
def keras_defaults(*, keep_messages=False):
    """Import Keras in this block: with Keras' own defaults, and without start-up messages.

    Whatever Keras' settings file (``~/.keras/keras.json``) and the variables ``KERAS_…`` say,
    floats are float32, epsilon is 1e-7, the channels of images come last, and nothing limits
    epochs or steps. Of the user's settings only the back end is kept. Where Keras was imported
    before, nothing is changed: what you have set since then stays.

    TensorFlow's C++ code writes several lines to standard error when it is first imported,
    whatever the log level says. They are dropped; if the block raises, they are shown after all.

    Parameters
    ----------
    keep_messages : bool
        Whether to show the messages in any case: a program that may crash in this block needs
        them, because then nobody is left to show them.

    Raises
    ------
    KerasSettingsError
        If the settings keep Keras from starting, such as a back end that is not installed.

    Examples
    --------
    >>> with keras_defaults():
    ...     import keras
    >>> keras.config.floatx()
    'float32'
    """
    if "keras" in sys.modules:
        yield
        return
    settings, file = read_settings()
    check_settings(settings, file)
    variables = {
        "KERAS_HOME": str(file.parent),
        "KERAS_BACKEND": settings["backend"],
        "KERAS_NNX_ENABLED": "false",
        "KERAS_MAX_EPOCHS": None,
        "KERAS_MAX_STEPS_PER_EPOCH": None,
    }
    messages = contextlib.nullcontext() if keep_messages else _silence_stderr()
    # Keras imports matplotlib, and ends where that ends.
    with messages, set_variables(variables), matplotlib_defaults():
        yield
    keras = sys.modules.get("keras")
    if keras is not None:
        if not hasattr(keras, "config"):
            raise ImportError(f"{keras.__file__} is not Keras, but has its name: rename it")
        # Nothing has used them so far: Keras looks at them when a layer is made, not before.
        keras.config.set_floatx(DEFAULTS["floatx"])
        keras.config.set_epsilon(DEFAULTS["epsilon"])
        keras.config.set_image_data_format(DEFAULTS["image_data_format"])


def read_settings():
    """Read what Keras would take from its user's settings.

    Returns
    -------
    settings : dict of str to object
        ``backend`` and all names of `DEFAULTS`. Limits from variables are text, as written there.
    file : pathlib.Path
        Keras' settings file, which need not exist.

    Raises
    ------
    KerasSettingsError
        If the file cannot be read or holds no object.

    Examples
    --------
    >>> settings, file = read_settings()
    >>> file.name
    'keras.json'
    """
    # Where the home folder cannot be written, Keras itself would take one in the folder for
    # temporary files. Anybody can make that, and decide for others. `keras_defaults` sends Keras
    # to this one instead.
    folder = os.environ.get("KERAS_HOME") or os.path.join(_home(), ".keras")
    file = Path(os.path.expanduser(folder), "keras.json")
    settings = {"backend": DEFAULT_BACKEND} | DEFAULTS
    stored = _read_file(file)
    for name in FILE_SETTINGS:
        if name in stored:
            settings[name] = stored[name]
    for name, variable in VARIABLES.items():
        if os.environ.get(variable):
            settings[name] = os.environ[variable]
    if isinstance(settings["nnx_enabled"], str):
        # As Keras understands the variable.
        settings["nnx_enabled"] = settings["nnx_enabled"].lower() in ("true", "1")
    return settings, file


def check_settings(settings, file):
    """Check that Keras can be imported with these settings.

    Parameters
    ----------
    settings, file
        As `read_settings` returns them.

    Raises
    ------
    KerasSettingsError
        Naming the file or the variable, and what mends it.

    Examples
    --------
    >>> check_settings({"backend": "tensorflow"} | DEFAULTS, Path("keras.json"))
    """
    backend = settings["backend"]
    source = name_source("backend", file)
    if backend not in BACKENDS:
        raise KerasSettingsError(
            f"{source} names the back end {reprlib.repr(backend)}, but the course runs on "
            f"{', '.join(BACKENDS)}: write one of these there"
        )
    if backend != DEFAULT_BACKEND and not _is_installed(backend):
        raise KerasSettingsError(
            f"{source} names the back end {backend!r}, which is not installed: "
            f"write {DEFAULT_BACKEND} there, or install {backend}"
        )
    for name, accepted in ACCEPTED.items():
        if settings[name] not in accepted:
            raise KerasSettingsError(
                f"{file}: {name!r} must be one of {', '.join(accepted)}; "
                f"received {reprlib.repr(settings[name])}; mend it, or remove the file"
            )
    if not isinstance(settings["epsilon"], float):
        raise KerasSettingsError(
            f"{file}: 'epsilon' must be a number with a decimal point; "
            f"received {reprlib.repr(settings['epsilon'])}; mend it, or remove the file"
        )


def overridden_settings():
    """Say which of the user's settings the course does not follow, and where each stands.

    Returns
    -------
    list of str

    Raises
    ------
    KerasSettingsError
        As `read_settings` does.
    """
    settings, file = read_settings()
    overridden = []
    for name, default in DEFAULTS.items():
        if settings[name] != default:
            value = reprlib.repr(settings[name])
            overridden.append(f"{name} = {value} in {name_source(name, file)}")
    return overridden


def name_source(name, file):
    """Return where a setting comes from: the variable, where it is set, or else the file.

    Parameters
    ----------
    name : str
        A setting, such as ``"backend"``.
    file : pathlib.Path
        As `read_settings` returns it.

    Returns
    -------
    str

    Examples
    --------
    >>> name_source("floatx", Path("keras.json"))
    'keras.json'
    """
    variable = VARIABLES.get(name)
    if variable and os.environ.get(variable):
        return f"the variable {variable}"
    return str(file)


def current_settings():
    """Return the settings that Keras has now, for the record of a run.

    Returns
    -------
    dict of str to str, float, int or None
        ``floatx``, ``dtype_policy``, ``epsilon``, ``image_data_format``, ``max_epochs`` and
        ``max_steps_per_epoch``; empty where this program has not imported Keras.
    """
    # Importing Keras here would record settings that the run has not used.
    keras = sys.modules.get("keras")
    if keras is None:
        return {}
    return {
        "floatx": keras.config.floatx(),
        # Layers follow this one; it is the float type until somebody sets another.
        "dtype_policy": keras.config.dtype_policy().name,
        "epsilon": keras.config.epsilon(),
        "image_data_format": keras.config.image_data_format(),
        "max_epochs": keras.config.max_epochs(),
        "max_steps_per_epoch": keras.config.max_steps_per_epoch(),
    }


def _home():
    home = os.path.expanduser("~")
    if os.path.isabs(home):
        return home
    # A user without a home folder. Nothing can lie in this one, and nothing is written there.
    return os.devnull


def _read_file(file):
    """Return what Keras' settings file says; {} where it says nothing."""
    cure = "mend it, or remove it"
    # As Keras asks: what lies in a folder that this user may not enter does not exist either.
    if not os.path.exists(file):
        return {}
    try:
        with open_plain(file) as opened:
            content = opened.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        reason = error.strerror or error
        raise KerasSettingsError(f"{file}, Keras' settings file: {reason}: {cure}") from None
    except ForeignFileError as error:
        raise KerasSettingsError(
            f"{file}, Keras' settings file, must be a plain file; it is {error}: {cure}"
        ) from None
    if len(content) > _MAX_FILE_BYTES:
        raise KerasSettingsError(
            f"{file}, Keras' settings file, may have at most {_MAX_FILE_BYTES:,} bytes: {cure}"
        )
    try:
        stored = json.loads(content.decode("utf-8"))
    except ValueError:
        # Neither text nor JSON: Keras passes over it, too. Another program may be writing it.
        return {}
    except RecursionError:
        stored = None
    if not isinstance(stored, dict):
        raise KerasSettingsError(
            f"{file}, Keras' settings file, must hold an object like "
            f'{{"backend": "tensorflow"}}: {cure}'
        )
    return stored


def _is_installed(module):
    return module in sys.modules or importlib.util.find_spec(module) is not None


@contextlib.contextmanager
def _silence_stderr():
    # The log level still matters for the messages that come later.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with contextlib.ExitStack() as stack:
        try:
            # C++ code writes to the file descriptor itself, past Python's sys.stderr.
            real_stderr = os.dup(_STDERR_DESCRIPTOR)
            stack.callback(os.close, real_stderr)
            messages = stack.enter_context(tempfile.TemporaryFile())
        except OSError:
            # No folder for temporary files, or no standard error: then the messages are shown.
            messages = None
        if messages is None:
            yield
            return
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(messages.fileno(), _STDERR_DESCRIPTOR)
        try:
            yield
        except BaseException:
            messages.seek(0)
            os.write(real_stderr, messages.read())
            raise
        finally:
            os.dup2(real_stderr, _STDERR_DESCRIPTOR)
