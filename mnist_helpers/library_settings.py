"""Importing libraries with their own defaults, whatever the settings of their user say.

A file ``matplotlibrc`` that is no text, a pipe in its place, a variable ``MPLBACKEND`` with a name
that matplotlib does not know, or ``TQDM_MININTERVAL=abc``: each ends an import, and with it all
that needs the library. Keras needs matplotlib.
"""

# Only the standard library: Keras' settings are read where all else is missing.
import contextlib
import importlib.util
import os
import sys
from pathlib import Path

from mnist_helpers.scratch import scratch_folder

_MATPLOTLIB_FILE = "matplotlibrc"


@contextlib.contextmanager
def set_variables(variables):
    """Set environment variables during a block.

    Parameters
    ----------
    variables : dict of str to str or None
        None takes a variable away.

    Examples
    --------
    >>> with set_variables({"LESSON": "1"}):
    ...     os.environ["LESSON"]
    '1'
    >>> "LESSON" in os.environ
    False
    """
    before = {name: os.environ.get(name) for name in variables}
    _write_variables(variables)
    try:
        yield
    finally:
        _write_variables(before)


def _write_variables(variables):
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def tqdm_defaults():
    """Import tqdm, or what needs it, in this block: with tqdm's own defaults.

    Returns
    -------
    context manager

    Examples
    --------
    >>> with set_variables({"TQDM_MININTERVAL": "abc"}), tqdm_defaults():
    ...     from tqdm import tqdm
    """
    return set_variables({name: None for name in os.environ if name.startswith("TQDM_")})


@contextlib.contextmanager
def matplotlib_defaults():
    """Import matplotlib in this block: with its own defaults, without the files of its user.

    The back end that the variable ``MPLBACKEND`` names is kept, if matplotlib knows it. Where
    matplotlib was imported before, nothing is changed.

    Examples
    --------
    >>> with matplotlib_defaults():
    ...     import matplotlib
    >>> matplotlib.rcParams["text.usetex"]
    False
    """
    folder = _find_matplotlib_defaults()
    # Whoever needs a matplotlib that cannot be imported is told so at the import itself.
    with contextlib.suppress(ImportError):
        if "matplotlib" not in sys.modules and folder is not None:
            _import_matplotlib(folder)
    yield


def find_matplotlib_file():
    """Return the file with settings that matplotlib would read for its user.

    Returns
    -------
    pathlib.Path or None
        None where there is none. It may be a pipe, or otherwise nothing to be read.

    Examples
    --------
    >>> file = find_matplotlib_file()
    >>> file is None or file.exists()
    True
    """
    candidates = [Path(_MATPLOTLIB_FILE).absolute()]
    variable = os.environ.get("MATPLOTLIBRC")
    if variable:
        candidates += [Path(variable), Path(variable, _MATPLOTLIB_FILE)]
    candidates.append(_matplotlib_folder() / _MATPLOTLIB_FILE)
    for candidate in candidates:
        # As matplotlib asks.
        if os.path.exists(candidate) and not os.path.isdir(candidate):
            return candidate
    return None


def _matplotlib_folder():
    """Return where matplotlib keeps what its user has set."""
    if os.environ.get("MPLCONFIGDIR"):
        return Path(os.environ["MPLCONFIGDIR"]).absolute()
    home = os.path.expanduser("~")
    if sys.platform.startswith(("linux", "freebsd")):
        config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
        return Path(config, "matplotlib")
    return Path(home, ".matplotlib")


def _find_matplotlib_defaults():
    """Return the folder of matplotlib's own settings; None where there is none."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "mpl-data"
    # Somebody's own file matplotlib.py has no such folder.
    if (folder / _MATPLOTLIB_FILE).is_file():
        return folder
    return None


def _import_matplotlib(folder):
    variables = {"MPLBACKEND": None, "MATPLOTLIBRC": str(folder)}
    with _leave_settings(folder), set_variables(variables):
        import matplotlib

        # Style sheets of the user are read at once, too. For this moment, where matplotlib looks
        # for them it finds its own.
        real_function = matplotlib.get_configdir
        matplotlib.get_configdir = matplotlib.get_data_path
        try:
            import matplotlib.style
        finally:
            matplotlib.get_configdir = real_function
    backend = os.environ.get("MPLBACKEND")
    if backend:
        with contextlib.suppress(ValueError):
            matplotlib.rcParams["backend"] = backend


def _leave_settings(folder):
    """Work in another folder, if there are settings in this one: they outrank all others."""
    if os.path.exists(_MATPLOTLIB_FILE):
        return contextlib.chdir(folder)
    return contextlib.nullcontext()


@contextlib.contextmanager
def writable_settings():
    """Let libraries that make a folder of their user's in a block find one that can be written.

    Where the home takes none, IPython leaves a folder in the system's place for temporary files
    each time, and both IPython and matplotlib say so in lines of their own.

    Examples
    --------
    >>> with writable_settings():
    ...     from IPython.paths import get_ipython_dir
    ...     os.access(os.path.dirname(get_ipython_dir()), os.W_OK)
    True
    """
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    places = {
        "IPYTHONDIR": [os.environ.get("IPYTHONDIR") or os.path.expanduser("~/.ipython")],
        "MPLCONFIGDIR": [_matplotlib_folder()],
    }
    if not os.environ.get("MPLCONFIGDIR"):
        places["MPLCONFIGDIR"].append(os.path.join(cache, "matplotlib"))
    variables = []
    for name, folders in places.items():
        if not all(can_write(folder) for folder in folders):
            variables.append(name)
    if not variables:
        yield
        return
    with contextlib.ExitStack() as stack:
        # Where nothing at all can be written, the command itself says so.
        with contextlib.suppress(OSError):
            scratch = stack.enter_context(scratch_folder())
            folders = {name: str(scratch / name.lower()) for name in variables}
            stack.enter_context(set_variables(folders))
        yield


def can_write(place):
    """Say whether files can be made in a folder, or in one above it that exists already.

    Parameters
    ----------
    place : str or path-like

    Returns
    -------
    bool

    Examples
    --------
    >>> can_write(os.path.join(os.devnull, "folder"))
    False
    """
    place = os.path.abspath(place)
    while not os.path.lexists(place):
        place = os.path.dirname(place)
    return os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK)
