"""Whether this computer is ready for the course: one line for each thing that must be right."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import warnings
from importlib import metadata
from pathlib import Path

from mnist_helpers import in_notebook

_PROJECT, _PACKAGE = Path(__file__).parents[1], "mnist-helpers"
_LOCK = next(_PROJECT.glob("requirements.lock"), None)


def check_environment(data=""):
    """Check this computer: print a line for each thing that must be right.

    It begins with OK; with NOTE, when all works and there is something to know; or with MEND, and
    then it ends with what mends it. Returns a dict with ``lines_to_mend``, ``updates_per_second``
    of a small training (or None), and the ``data`` to go on with, for ``load_mnist``.
    """
    facts = dict(lines_to_mend=0, updates_per_second=None, data=data, digits="bundled digits")
    for what, check in _CHECKS.items():
        try:
            word, found = check(facts)
        except Exception as error:  # whatever it is, the other checks go on
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            word, found = "MEND", f"this could not be checked ({reason}): {_install()}"
        print(f"{word:<5} {what}: {found}", flush=True)
        facts["lines_to_mend"] += word == "MEND"
    return facts


def command(options):
    """Run ``mnist-course doctor``; return its exit status."""
    outcome = check_environment(options.data)
    return int(outcome["lines_to_mend"] > 0)


def train():
    """Print, as JSON, which Keras this is and then how fast it trains notebook 01's network."""
    import keras
    import numpy as np

    from mnist_helpers import data, models, preprocessing

    backend = keras.config.backend()
    device = str(keras.ops.zeros(1).device).rpartition("device:")[2].lower()
    version = f"{keras.__version__} on {backend} {sys.modules[backend].__version__}"
    print(json.dumps({"keras": f"{version}, device: {device}"}), flush=True)
    (images, labels), _ = data.load_mnist("digits")  # always here, and others take as long
    images, labels = (np.tile(part[:1280].T, 5).T for part in (images, labels))  # long epochs
    part = preprocessing.to_vectors(preprocessing.scale_pixels(images)), labels
    model = models.build_mlp()
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(*part, batch_size=128, verbose=0)  # the first updates are slower
    updates, start = 0, time.perf_counter()
    while (seconds := time.perf_counter() - start) < 1:
        model.fit(*part, batch_size=128, verbose=0)
        updates += 50
    print(json.dumps({"updates_per_second": updates / seconds}))


def _check_python(facts):
    version = "{}.{}.{}".format(*sys.version_info)
    try:
        needed = metadata.metadata(_PACKAGE)["Requires-Python"]
    except metadata.PackageNotFoundError:
        own = _command("-m", "pip", "install", "--no-deps", "--no-build-isolation", "-e", _PROJECT)
        act = f"{_install()} ; {own}" if _environment()[0] == sys.prefix else "see the next line"
        return "MEND", f"{version}, and {_PACKAGE} is not installed in it: {act}"
    from packaging.specifiers import SpecifierSet

    if version in SpecifierSet(needed):
        return "OK", f"{version}, and {needed} is needed"
    return "MEND", f"{version}, but {needed} is needed: install 3.12 and make .venv anew with it"


def _check_kernel(facts):
    (wanted, _), program, prefix = _environment(), sys.executable, sys.prefix
    if in_notebook():
        act = f"close this JupyterLab and start the course's: {_command('-m', 'jupyterlab')}"
    elif not os.path.samefile(prefix, wanted):
        act = f"run {_command('-m', 'mnist_course', 'doctor')}"
    else:
        from jupyter_client import KernelManager

        kernel = KernelManager(kernel_name="python3")
        program, code = kernel.format_kernel_cmd()[0], "import sys; print(sys.prefix)"
        prefix = _run(code, program).stdout.strip() if shutil.which(program) else ""
        act = f"rename the folder {kernel.kernel_spec.resource_dir}, whose kernel.json names it"
    if prefix and os.path.samefile(prefix, wanted):
        return "OK", f"{program} belongs to {wanted}, as it should"
    return "MEND", f"{program} belongs to {prefix or 'nothing that runs'}, not to {wanted}: {act}"


def _check_packages(facts):
    from packaging.requirements import Requirement

    lines = _LOCK.read_text("utf-8").splitlines() if _LOCK else metadata.requires(_PACKAGE)
    needed = [Requirement(line.rstrip(" \\")) for line in lines if line[:1].isalnum()]
    needed = [r for r in needed if not r.marker or r.marker.evaluate({"extra": ""})]
    faults = [fault for fault in map(_fault, needed) if fault]
    source = f"{_LOCK.name if _LOCK else _PACKAGE} asks"
    if not faults:
        return "OK", f"{len(needed)} installed, all as {source}"
    shown = ", ".join(faults[:3]) + f" and {len(faults) - 3} more" * (len(faults) > 3)
    return "MEND", f"{len(faults)} of {len(needed)} are not as {source} ({shown}): {_install()}"


def _fault(requirement):
    try:
        package = metadata.distribution(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} is missing"
    if not (package.read_text("METADATA") and package.read_text("RECORD")):  # pip's last
        return f"{requirement.name} is half installed"
    fits = requirement.specifier.contains(package.version, prereleases=True)
    return "" if fits else f"{requirement.name} is {package.version}, not {requirement.specifier}"


def _check_keras(facts):
    # In a process whose noise, and whose end, stay its own.
    run = _run("from mnist_course import doctor; doctor.train()")
    facts["said"] = (run.stderr.strip().splitlines() or ["no reason was given"])[-1]
    for line in run.stdout.splitlines():
        facts |= json.loads(line) if line.startswith('{"') else {}
    if "keras" in facts:
        return "OK", facts["keras"]
    other = os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow"
    act = "set the variable KERAS_BACKEND to tensorflow" if other else _install()
    return "MEND", f"{facts['said']} (status {run.returncode}): {act}"


def _check_digits(facts):
    from mnist_helpers.data import describe, load_mnist

    data, facts["data"] = facts["data"], "digits"
    with warnings.catch_warnings(record=True) as notices:
        warnings.simplefilter("always")
        try:
            digits = describe(load_mnist(data))
        except (OSError, ValueError) as error:
            return "MEND", " ".join(str(error).split())  # it ends with what mends it
    if notices:
        *_, reason, act = str(notices[0].message).splitlines()
        return "NOTE", f"{digits['text']}, for MNIST could not be had ({reason[4:]}): {act}"
    facts |= {"data": data, "digits": digits["name"]}
    return "OK", digits["text"]


def _check_room(facts):
    import psutil
    from distributed.system import MEMORY_LIMIT  # a container may have less than the computer

    rows, memory = _measured(facts), min(psutil.virtual_memory().available, MEMORY_LIMIT)
    free = {"disk": shutil.disk_usage(".").free / 1e6, "memory": memory / 1e6}
    needed = {"disk": sum(r["disk_mb"] for r in rows), "memory": max(r["peak_mb"] for r in rows)}
    text = "{:,.0f} MB of {} are free and {:,.0f} needed"
    found = ", ".join(text.format(free[kind], kind, needed[kind]) for kind in free)
    if all(free[kind] >= needed[kind] for kind in free):
        return "OK", found
    return "MEND", f"{found}: delete files, or close other programs and notebooks"


def _check_time(facts):
    speed, times = facts["updates_per_second"], []
    if speed is None:
        return "MEND", f"nothing was trained ({facts.get('said')}): mend Keras, or restart"
    for row in _measured(facts):
        seconds = row["seconds"] * row["updates_per_second"] / speed
        times.append(f"{row['notebook'][:2]} {seconds / 60:.1f}")
    found = f"{speed:.0f} updates in a second of training; minutes for each notebook, about: "
    return "OK", found + ", ".join(times)


def _measured(facts):
    from mnist_helpers.tables import load_table

    return [row for row in load_table("notebooks") if row["digits"] == facts["digits"]]


def _environment():
    """Return the environment that the course is meant to run in, and its Python."""
    here = Path(sys.prefix)
    if here.parent == _PROJECT and here.name.startswith(".venv-"):  # another back end's
        return sys.prefix, sys.executable
    names = ["VIRTUAL_ENV"] * (_PROJECT.name != "site-packages")
    if names and os.environ.get("CONDA_DEFAULT_ENV") != "base":  # nobody chose that one
        names += ["CONDA_PREFIX"]
    for place in filter(None, (_PROJECT / ".venv", *map(os.environ.get, names))):
        program = Path(place, "Scripts/python.exe" if os.name == "nt" else "bin/python")
        if program.exists():
            return str(place), str(program)
    return sys.prefix, sys.executable


def _command(*words):
    words = [str(w).removeprefix(os.getcwd() + os.sep) for w in (_environment()[1], *words)]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _install():
    if _LOCK is None:
        return "install the course again, as it was installed the first time"
    wheels = _LOCK.with_name("wheels")  # which a kit brings, for there is no network
    offline = ["--no-index", "--find-links", wheels] * wheels.is_dir()
    return _command("-m", "pip", "install", *offline, "--require-hashes", "-r", _LOCK)


def _run(code, program=sys.executable):
    options = {"capture_output": True, "text": True, "errors": "replace", "timeout": 300}
    return subprocess.run([program, "-c", code], stdin=subprocess.DEVNULL, **options)


_CHECKS = {"Python": _check_python, "Kernel": _check_kernel, "Packages": _check_packages}
_CHECKS |= {"Keras": _check_keras, "Digits": _check_digits, "Room": _check_room}
_CHECKS |= {"Time": _check_time}
