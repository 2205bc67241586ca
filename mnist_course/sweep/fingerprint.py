"""What a run is: the same identity means that the same program ran on the same digits."""

import functools
import hashlib
import json
import os
import re
import warnings
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

import mnist_helpers
from mnist_helpers.data import describe, load_mnist

PLACES = ("data", "results_dir")  # where things are, not what is run


def describe_environment(data):
    """Describe, here where it is called, what a result depends on beside the notebook.

    Returns a dict of plain values: version and source (sha256) of mnist_helpers, backend, packages
    (name to version of all that it needs, as the lock pins them), digits (what ``data.describe``
    says) and notice (why they are not MNIST's, or empty). `load_mnist` raises if it refuses `data`.
    """
    digits, notice = _describe_dataset(data)
    backend = _backend()
    return describe_package() | {
        "backend": backend,
        "packages": _installed("mnist-helpers", backend),
        "digits": digits,
        "notice": notice,
    }


def describe_package():
    """Return the version of mnist_helpers, and the sha256 of its source."""
    package = Path(mnist_helpers.__file__).parent
    found = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        content = path.read_bytes()
        found.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode() + content)
    return {"version": mnist_helpers.__version__, "source": found.hexdigest()}


def program_fingerprint(notebook, environment):
    """Name a notebook's code with all else that decides a result, but for its parameters.

    `environment` is what `describe_environment` returned. Returns 8 hexadecimal digits.
    """
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    parts = [environment[key] for key in ("source", "backend", "packages")]
    return _shorten([code, *parts, environment["digits"]["sha256"]], 8)


def run_key(program, parameters):
    """Name a run of a program: ``"program-parameters"``, the latter as 16 hexadecimal digits.

    `parameters` are all of the notebook's, defaults too; those that only say where things are do
    not count.
    """
    values = {name: value for name, value in parameters.items() if name not in PLACES}
    return f"{program}-{_shorten(values, 16)}"


def _shorten(value, digits):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:digits]


@functools.cache
def _describe_dataset(data):
    with warnings.catch_warnings(record=True) as notices:
        warnings.simplefilter("always")
        digits = describe(load_mnist(data))
    return digits, "".join(str(notice.message) for notice in notices)


def _backend():
    """Find out which back end Keras would take, without importing it."""
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"]
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    try:
        return json.loads((Path(home) / "keras.json").read_text(encoding="utf-8"))["backend"]
    except (OSError, ValueError, KeyError):
        return "tensorflow"


@functools.cache
def _installed(*names):
    """Map these distributions and all that they require to their versions."""
    waiting, found = list(names), {}
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError:  # for another system, or an extra that is not installed
            continue
        found[name] = package.version
        # The project's own extra holds what runs the notebooks, such as papermill.
        extra = "course" if name == "mnist-helpers" else ""
        for line in package.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                waiting.append(requirement.name)
    return found
