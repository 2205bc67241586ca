"""What a run is: the same fingerprint means that the same program ran on the same digits."""

import functools
import hashlib
import json
import platform
import warnings
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mnist_course
import mnist_helpers
from mnist_course.errors import reason_of
from mnist_helpers.data import BundledDigitsWarning, describe, load_mnist
from mnist_helpers.keras_settings import check_settings, read_settings
from mnist_helpers.variables import number_variables

# Parameters that say where things are, not what is run.
PLACES = ("data", "results_dir")
_PROJECT = "mnist-helpers"
# The project's extra with what runs the notebooks, such as papermill.
_EXTRA = "course"
# What lies in our packages and decides nothing: words, and what Python compiles.
_NO_PROGRAM = (".md", ".txt", ".pyc")
# Limits on training, which no kernel of a run is given.
_NOT_FOR_KERNELS = ("max_epochs", "max_steps_per_epoch")
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
        that Keras will use; `settings`, the others that Keras takes from its user, and the
        variables that change numbers (see `mnist_helpers.variables`), by name; `packages`, the
        version of each package this project needs, and Python's without its last number, by name;
        `dataset`, as ``data.describe`` returns it; and `dataset_warning`, why the digits are not
        MNIST's, or an empty text. All values are plain, so that they can be sent and stored.

    Raises
    ------
    ValueError, OSError
        If `load_mnist` refuses `data`, or Keras' settings are damaged.
    """
    settings, file = read_settings()
    check_settings(settings, file)
    backend = settings.pop("backend")
    for name in _NOT_FOR_KERNELS:
        del settings[name]
    dataset, dataset_warning = _describe_dataset(data)
    return {
        **describe_package(),
        "backend": backend,
        "settings": settings | number_variables(),
        "packages": {"Python": _python_version(), **_installed_versions(_PROJECT, backend)},
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
        return reason_of(error)


def describe_package():
    """Describe this project's code and data, of which both packages decide what a run does.

    Returns
    -------
    dict of str to str
        `version`, and `source`: the sha256 of all files of mnist_helpers and mnist_course, such as
        the trained networks, except hidden ones and prose.

    Examples
    --------
    >>> len(describe_package()["source"])
    64
    """
    checksum = hashlib.sha256()
    for package in (mnist_helpers, mnist_course):
        folder = Path(package.__file__).parent
        for path in sorted(folder.rglob("*")):
            place = path.relative_to(folder).as_posix()
            # Jupyter and editors leave hidden folders and files.
            is_hidden = "/." in f"/{place}"
            if is_hidden or path.suffix in _NO_PROGRAM or not path.is_file():
                continue
            content = path.read_bytes()
            name = f"{package.__name__}/{place}"
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
    for name in sorted(set(received["settings"]) | set(expected["settings"])):
        received_text = _setting_text(received["settings"], name)
        expected_text = _setting_text(expected["settings"], name)
        if received_text != expected_text:
            return f"its setting of {name} is {received_text}, not {expected_text}"
    for name in sorted(set(received["packages"]) | set(expected["packages"])):
        received_version = received["packages"].get(name, "no")
        expected_version = expected["packages"].get(name, "no")
        if received_version != expected_version:
            return f"it has {received_version} {name}, not {expected_version}"
    if received["dataset"]["sha256"] != expected["dataset"]["sha256"]:
        return f"it has {received['dataset']['name']}, not {expected['dataset']['name']}"
    return ""


def _setting_text(settings, name):
    if name in settings:
        return repr(settings[name])
    return "unset"


def program_fingerprint(notebook, environment):
    """Name a program: a notebook's code and all else that decides a result, save its parameters.

    Tags of code are part of it: papermill and nbclient obey some (``parameters``,
    ``skip-execution``), and a failure is told by the name that another gives its cell.

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
    code = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            code.append([cell.source, cell.metadata.get("tags", [])])
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
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", BundledDigitsWarning)
        dataset = describe(load_mnist(data))
    messages = [str(warning.message) for warning in caught]
    return dataset, "".join(messages)


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


def _python_version():
    """Return Python's version without the number of its mends, which change no result."""
    major, minor, _ = platform.python_version_tuple()
    return f"{major}.{minor}"


def _required_names(name, lines):
    """Return the names of the packages that a package requires on this computer."""
    extra = _EXTRA if name == _PROJECT else ""
    required = []
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            required.append(requirement.name)
    return required
