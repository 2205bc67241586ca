"""The command ``doctor``: it tells whether this computer is ready for the course."""

# The doctor must start where packages are missing, for it is the one to say so. That is why what
# does not come with Python is imported inside the functions.
import json
import math
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mnist_course.failed_imports import quoted_variables
from mnist_course.hiding import find_hiding_files
from mnist_course.terminal import HOME_ADVICE, has_home, printable, shorten

PROJECT = Path(__file__).parents[1]
PACKAGE = "mnist-helpers"
EXTRA = "course"
BYTES_PER_MB = 1e6

# The training that is timed: notebook 01's network on 6,400 images, so 50 updates in each epoch.
BATCH_SIZE = 128
N_IMAGES = 1280
N_COPIES = 5
UPDATES_PER_EPOCH = N_IMAGES * N_COPIES // BATCH_SIZE
SECONDS_OF_TRAINING = 1

# TensorFlow may take minutes to start right after it was installed.
SECONDS_TO_WAIT = 300
FAULTS_TO_NAME = 3


@dataclass(frozen=True)
class CheckResult:
    """What a check says.

    Attributes
    ----------
    status : str
        ``"OK"``; ``"NOTE"``, when all works and there is something to know; or ``"MEND"``.
    text : str
        What was found and, after ``"MEND"``, what mends it.
    updates_per_second : float or None
        `check_keras`: how fast a small network trained; None when nothing was trained.
    last_words : str
        `check_keras`: the last line of the errors, which says why nothing was trained.
    data : str
        `check_dataset`: what `load_mnist` takes to load digits that are sound.
    dataset_name : str
        `check_dataset`: the name of these digits.
    """

    status: str
    text: str
    updates_per_second: float | None = None
    last_words: str = ""
    data: str = "digits"
    dataset_name: str = "bundled digits"


def command(options):
    """Run ``mnist-course doctor`` and return its exit status."""
    outcome = check_environment(options.data)
    if outcome["lines_to_mend"] > 0:
        return 1
    return 0


def check_environment(data=""):
    """Check this computer, and print one line for each thing that must be right.

    A line begins with OK; with NOTE, when all works and there is something to know; or with MEND,
    and then it ends with what mends it.

    Parameters
    ----------
    data : str
        Which digits to check, as `load_mnist` takes it.

    Returns
    -------
    dict
        ``lines_to_mend`` (int), ``updates_per_second`` of a small training (float, or None when
        nothing was trained), and ``data``, with which `load_mnist` gives sound digits.
    """
    python_check = _report("Python", check_python)
    kernel_check = _report("Kernel", check_kernel)
    packages_check = _report("Packages", check_packages)
    names_check = _report("Names", check_names)
    folders_check = _report("Folders", check_folders)
    keras_check = _report("Keras", check_keras)
    figures_check = _report("Figures", check_figures)
    dataset_check = _report("Digits", check_dataset, data)
    dataset_name = dataset_check.dataset_name
    room_check = _report("Room", check_room, dataset_name)
    time_check = _report(
        "Time",
        check_time,
        keras_check.updates_per_second,
        dataset_name,
        keras_check.last_words,
    )
    checks = [
        python_check,
        kernel_check,
        packages_check,
        names_check,
        folders_check,
        keras_check,
        figures_check,
        dataset_check,
        room_check,
        time_check,
    ]
    return {
        "lines_to_mend": sum(check.status == "MEND" for check in checks),
        "updates_per_second": keras_check.updates_per_second,
        "data": dataset_check.data,
    }


def _report(subject, check, *arguments):
    """Make a check, print its line and return its result, whatever goes wrong in the check."""
    try:
        result = check(*arguments)
    except Exception as error:
        # On a broken computer anything may be raised; the other checks go on.
        reason = f"{type(error).__name__}: {_one_line(error)}"
        result = CheckResult("MEND", f"this could not be checked ({reason}): {_advice(reason)}")
    text = printable(shorten(result.text))
    print(f"{result.status:<5} {subject}: {text}", flush=True)
    return result


def _one_line(error):
    return " ".join(str(error).split())


# --- Python, the kernel and the packages -------------------------------------------------------


def check_python():
    """Check that the course is installed in this Python, and that its version will do.

    Returns
    -------
    CheckResult
    """
    version = ".".join(str(number) for number in sys.version_info[:3])
    try:
        needed = metadata.metadata(PACKAGE)["Requires-Python"]
    except metadata.PackageNotFoundError:
        advice = "see the next line"
        course_folder, _ = find_environment()
        if course_folder == sys.prefix:
            advice = f"{_install_command()} ; {_install_project_command()}"
        return CheckResult("MEND", f"{version}, and {PACKAGE} is not installed in it: {advice}")
    from packaging.specifiers import SpecifierSet

    if version in SpecifierSet(needed):
        return CheckResult("OK", f"{version}, and {needed} is needed")
    advice = "install 3.12 and make .venv anew with it"
    return CheckResult("MEND", f"{version}, but {needed} is needed: {advice}")


def check_kernel():
    """Check that notebooks run in the environment that the course is installed in.

    Returns
    -------
    CheckResult
    """
    course_folder, _ = find_environment()
    program = sys.executable
    folder = sys.prefix
    # jupyter_client sets this variable for a kernel, and what the kernel starts inherits it. The
    # kernel's Python is then this one.
    if "JPY_PARENT_PID" in os.environ:
        start = _shell_command("-m", "jupyterlab")
        advice = f"close this JupyterLab and start the course's: {start}"
    elif not os.path.samefile(folder, course_folder):
        advice = f"run {_shell_command('-P', '-m', 'mnist_course', 'doctor')}"
    else:
        try:
            program, folder, spec_folder = _python3_kernel()
        except _BadKernelError as error:
            return CheckResult("MEND", str(error))
        advice = f"rename the folder {spec_folder}, whose kernel.json names it"

    if folder and os.path.samefile(folder, course_folder):
        return CheckResult("OK", f"{program} belongs to {course_folder}, as it should")
    owner = folder or "nothing that runs"
    return CheckResult("MEND", f"{program} belongs to {owner}, not to {course_folder}: {advice}")


class _BadKernelError(ValueError):
    """Jupyter cannot start what is installed as python3; the text ends with what mends it."""


def _python3_kernel():
    """Return what Jupyter starts as python3: its program, environment and specification's folder.

    The environment is "" where the program is missing or is no Python.
    """
    from jupyter_client import KernelManager

    manager = KernelManager(kernel_name="python3")
    # Where none is installed, this is ipykernel's own folder.
    folder = manager.kernel_spec_manager.find_kernel_specs()["python3"]
    try:
        program = _start_command(manager)[0]
    except Exception as error:
        # Whatever stands in the file, reading it may raise anything.
        reason = f"{type(error).__name__}: {_one_line(error)}"
        sentences = find_hiding_files(_kernel_folders())
        if sentences:
            # The fault lies in what was imported to read it.
            raise _BadKernelError(sentences[0]) from error
        raise _BadKernelError(
            f"{folder}{os.sep}kernel.json does not say how to start Python ({reason}): "
            f"rename the folder {folder}"
        ) from error
    environment = ""
    if shutil.which(program):
        # -I: of the program alone, with nothing from the working folder.
        environment = _run([program, "-I", "-c", "import sys; print(sys.prefix)"]).stdout.strip()
    return program, environment, folder


def _start_command(manager):
    command = manager.kernel_spec.argv
    if not command or not isinstance(command, list):
        raise ValueError('"argv" must be a list of words')
    return manager.format_kernel_cmd()


def check_packages():
    """Check that all packages are installed, as the lock or else the course's metadata asks.

    Returns
    -------
    CheckResult
    """
    lock = find_lock()
    if lock:
        lines = lock.read_text("utf-8").splitlines()
        source = f"{lock.name} asks"
    else:
        lines = metadata.requires(PACKAGE)
        source = f"{PACKAGE} asks"
    requirements = _read_requirements(lines)
    faults = []
    for requirement in requirements:
        fault = _package_fault(requirement)
        if fault:
            faults.append(fault)
    if not faults:
        return CheckResult("OK", f"{len(requirements)} installed, all as {source}")
    examples = ", ".join(faults[:FAULTS_TO_NAME])
    if len(faults) > FAULTS_TO_NAME:
        examples += f" and {len(faults) - FAULTS_TO_NAME} more"
    count = f"{len(faults)} of {len(requirements)}"
    return CheckResult("MEND", f"{count} are not as {source} ({examples}): {_install_command()}")


def _read_requirements(lines):
    """Return the requirements of a lock's or a package's lines that hold on this computer."""
    from packaging.requirements import Requirement

    requirements = []
    for line in lines:
        # The other lines of a lock are comments, and hashes, which are indented.
        if not line[:1].isalnum():
            continue
        requirement = Requirement(line.rstrip(" \\"))
        if requirement.marker is None or requirement.marker.evaluate({"extra": EXTRA}):
            requirements.append(requirement)
    return requirements


def _package_fault(requirement):
    """Say what is wrong with an installed package, or return ""."""
    name = requirement.name
    try:
        package = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return f"{name} is missing"
    # pip writes these two last: without them it was stopped midway.
    if not package.read_text("METADATA") or not package.read_text("RECORD"):
        return f"{name} is half installed"
    if requirement.specifier.contains(package.version, prereleases=True):
        return ""
    return f"{name} is {package.version}, not {requirement.specifier}"


# --- Keras -------------------------------------------------------------------------------------


def check_keras():
    """Check that Keras can be imported, and measure how fast it trains.

    Returns
    -------
    CheckResult
        With ``updates_per_second`` and ``last_words``. When Keras can be imported and does not
        train, the status is OK; then `check_time` gives the reason.
    """
    from mnist_helpers.keras_settings import KerasSettingsError, check_settings, read_settings

    try:
        check_settings(*read_settings())
    except KerasSettingsError as error:
        # The message ends with what mends it.
        return CheckResult("MEND", str(error), last_words="Keras cannot start, see above")
    # In another process, so that neither a crash nor the libraries' messages reach this one.
    run = _run_python("from mnist_course import doctor; doctor.print_training_speed()")
    measured = {}
    for line in run.stdout.splitlines():
        # Libraries print lines of their own.
        if line.startswith('{"'):
            measured |= json.loads(line)
    last_words = _last_words(run)
    updates_per_second = measured.get("updates_per_second")
    if "keras" not in measured:
        text = f"{last_words} (status {run.returncode}): {_advice(last_words)}"
        return CheckResult("MEND", text, updates_per_second, last_words)
    return _keras_result(measured["keras"], updates_per_second, last_words)


def _keras_result(text, updates_per_second, last_words):
    """Return the result for a Keras that works, with a note on settings that are not followed."""
    from mnist_helpers.keras_settings import overridden_settings

    overridden = overridden_settings()
    if not overridden:
        return CheckResult("OK", text, updates_per_second, last_words)
    note = f"{text}; the course does not follow your settings: {', '.join(overridden)}"
    return CheckResult("NOTE", note, updates_per_second, last_words)


def print_training_speed():
    """Print, as JSON, which Keras this is and then how fast it trains notebook 01's network."""
    from mnist_helpers.keras_settings import keras_defaults

    with keras_defaults(keep_messages=True):
        import keras

    backend = keras.config.backend()
    backend_version = sys.modules[backend].__version__
    device = str(keras.ops.zeros(1).device).rpartition("device:")[2].lower()
    text = f"{keras.__version__} on {backend} {backend_version}, device: {device}"
    print(json.dumps({"keras": text}), flush=True)
    print(json.dumps({"updates_per_second": _train_briefly()}))


def _train_briefly():
    """Train notebook 01's network for a second; return how many updates it made in a second."""
    import numpy as np

    from mnist_helpers import data, models, preprocessing

    # The bundled digits are always there, and training on MNIST takes as long.
    (images, labels), _ = data.load_mnist("digits")
    images = np.concatenate([images[:N_IMAGES]] * N_COPIES)
    labels = np.concatenate([labels[:N_IMAGES]] * N_COPIES)
    inputs = preprocessing.to_vectors(preprocessing.scale_pixels(images))
    model = models.build_mlp()
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    # The first epoch is not timed: Keras compiles the network in it.
    model.fit(inputs, labels, batch_size=BATCH_SIZE, verbose=0)
    updates = 0
    seconds = 0
    start = time.perf_counter()
    while seconds < SECONDS_OF_TRAINING:
        model.fit(inputs, labels, batch_size=BATCH_SIZE, verbose=0)
        updates += UPDATES_PER_EPOCH
        seconds = time.perf_counter() - start
    return updates / seconds


# --- files, folders and figures ----------------------------------------------------------------


def check_names():
    """Check that no file is imported instead of a module that the notebooks need.

    Returns
    -------
    CheckResult
    """
    sentences = find_hiding_files(_kernel_folders())
    if not sentences:
        return CheckResult("OK", "no file of yours is imported instead of a module")
    text = "; ".join(sentences[:FAULTS_TO_NAME])
    if len(sentences) > FAULTS_TO_NAME:
        text += f"; and {len(sentences) - FAULTS_TO_NAME} more"
    return CheckResult("MEND", text)


def _kernel_folders():
    """Return the folders where kernels look for modules before they look into the environment."""
    candidates = [Path.cwd(), PROJECT / "notebooks", PROJECT / "work"]
    for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        if entry:
            candidates.append(Path(entry))
    folders = []
    for folder in candidates:
        if folder.resolve() not in folders:
            folders.append(folder.resolve())
    return folders


def check_folders():
    """Check that files can be written where Jupyter and the notebooks write them.

    Returns
    -------
    CheckResult
    """
    if not has_home():
        return CheckResult("MEND", HOME_ADVICE)
    home = os.path.expanduser("~")
    try:
        temporary = tempfile.gettempdir()
    except OSError as error:
        advice = "set the variable TMPDIR to a folder that you can write"
        return CheckResult("MEND", f"no folder for temporary files ({error}): {advice}")
    places = {"HOME": home, "TMPDIR": temporary}
    for variable, folder in places.items():
        fault = _writing_fault(folder)
        if fault:
            advice = f"set the variable {variable} to a folder that you can write"
            return CheckResult("MEND", f"{folder} cannot be written ({fault}): {advice}")
    fault = _writing_fault(os.curdir)
    if fault:
        advice = "start in another folder, or give run and sweep another with --output"
        return CheckResult("NOTE", f"{os.getcwd()} cannot be written ({fault}): {advice}")
    return CheckResult("OK", f"{home}, {temporary} and {os.getcwd()} can be written")


def _writing_fault(folder):
    """Try to write a file in a folder; return what is wrong, or ""."""
    try:
        # Also on a full disk, not only without permission.
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0")
    except OSError as error:
        return error.strerror or str(error)
    return ""


def check_figures():
    """Check that matplotlib draws, whatever its settings on this computer say.

    Returns
    -------
    CheckResult
    """
    from mnist_helpers.library_settings import find_matplotlib_file

    # In another process, so that neither a crash nor a wait for ever reaches this one.
    run = _run_python("from mnist_course import doctor; doctor.draw_figure()")
    if run.returncode != 0:
        last_words = _last_words(run)
        text = f"{last_words} (status {run.returncode}): {_advice(last_words)}"
        return CheckResult("MEND", text)
    # The first line says with what it draws; another one, what it has passed over.
    notes = run.stdout.splitlines()
    file = find_matplotlib_file()
    if file is not None:
        notes.append(f"it does not follow your settings in {file}")
    status = "OK"
    if len(notes) > 1:
        status = "NOTE"
    return CheckResult(status, "; ".join(notes))


def draw_figure():
    """Draw a figure in the course's style, and print with which matplotlib."""
    from mnist_helpers.library_settings import matplotlib_defaults

    with matplotlib_defaults():
        import matplotlib

    # A screen is not needed, and may be missing.
    matplotlib.use("agg")
    from mnist_helpers import plotting

    plotting.use_style()
    ax = plotting.plot_probabilities([0.1] * 10)
    plotting.png_bundle(ax.figure, "Ten bars of the same height, one for each digit.")
    print(f"matplotlib {matplotlib.__version__} draws them in the course's own style")
    backend = os.environ.get("MPLBACKEND") or "agg"
    try:
        matplotlib.rcParams["backend"] = backend
    except ValueError:
        print(f"it knows no back end {backend}, which the variable MPLBACKEND names: unset it")


# --- the digits, and room and time for the notebooks -------------------------------------------


def check_dataset(data=""):
    """Check that the digits can be loaded.

    Parameters
    ----------
    data : str
        Which digits, as `load_mnist` takes it.

    Returns
    -------
    CheckResult
        With ``data`` and ``dataset_name``: those of the bundled digits when others are wanting.

    Examples
    --------
    >>> check_dataset("digits").dataset_name
    'bundled digits'
    """
    from mnist_helpers.data import BundledDigitsWarning, describe, load_mnist

    with warnings.catch_warnings(record=True) as caught:
        # Others, such as of a file that something else forgot to close, say nothing of the digits.
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", BundledDigitsWarning)
        try:
            dataset = describe(load_mnist(data))
        except (OSError, ValueError) as error:
            # The message ends with what mends it.
            return CheckResult("MEND", _one_line(error))
    if not caught:
        return CheckResult("OK", dataset["text"], data=data, dataset_name=dataset["name"])
    # load_mnist's warning has a line for each place it tried, and ends with what to do.
    lines = str(caught[0].message).splitlines()
    reason = lines[-2].removeprefix("  - ")
    advice = lines[-1]
    text = f"{dataset['text']}, for MNIST could not be had ({reason}): {advice}"
    return CheckResult("NOTE", text)


def check_room(dataset_name):
    """Check that disk and memory will do for all notebooks.

    Parameters
    ----------
    dataset_name : str
        The digits that the notebooks use: ``"MNIST"`` or ``"bundled digits"``.

    Returns
    -------
    CheckResult
    """
    import psutil
    from distributed.system import MEMORY_LIMIT

    rows = _measured_notebooks(dataset_name)
    # Whole megabytes, and compared as such: else 15 MB may be free, 15 needed, and too little.
    needed_disk = math.ceil(sum(row["disk_mb"] for row in rows))
    needed_memory = math.ceil(max(row["peak_mb"] for row in rows))
    free_disk = int(shutil.disk_usage(".").free / BYTES_PER_MB)
    # A container may be given less memory than its computer has.
    free_memory = int(min(psutil.virtual_memory().available, MEMORY_LIMIT) / BYTES_PER_MB)
    text = (
        f"{free_disk:,} MB of disk are free and {needed_disk:,} needed, "
        f"{free_memory:,} MB of memory are free and {needed_memory:,} needed"
    )
    if free_disk >= needed_disk and free_memory >= needed_memory:
        return CheckResult("OK", text)
    return CheckResult("MEND", f"{text}: delete files, or close other programs and notebooks")


def check_time(updates_per_second, dataset_name, last_words=""):
    """Say how long each notebook will take, judging by the speed of a small training.

    Parameters
    ----------
    updates_per_second : float or None
        What `check_keras` measured.
    dataset_name : str
        The digits that the notebooks use: ``"MNIST"`` or ``"bundled digits"``.
    last_words : str
        Why nothing was trained, if nothing was.

    Returns
    -------
    CheckResult

    Examples
    --------
    >>> check_time(None, "MNIST", "no such device").text
    'nothing was trained (no such device): mend Keras, or restart'
    """
    if updates_per_second is None:
        return CheckResult("MEND", f"nothing was trained ({last_words}): mend Keras, or restart")
    times = []
    for row in _measured_notebooks(dataset_name):
        seconds = row["seconds"] * row["updates_per_second"] / updates_per_second
        number = row["notebook"].partition("_")[0]
        times.append(f"{number} {seconds / 60:.1f}")
    speed = f"{updates_per_second:.0f} updates in a second of training"
    return CheckResult("OK", f"{speed}; minutes for each notebook, about: {', '.join(times)}")


def _measured_notebooks(dataset_name):
    """Return the measured time, memory and disk of each notebook on these digits."""
    from mnist_helpers.tables import load_table

    return [row for row in load_table("notebooks") if row["digits"] == dataset_name]


# --- the environment, and commands for the user to type ----------------------------------------


def find_environment():
    """Find the environment that the course is meant to run in.

    Returns
    -------
    folder, program : str
        The environment's folder, and its Python.
    """
    folder = Path(sys.prefix)
    # The tests on other back ends run in .venv-jax and .venv-torch.
    if folder.parent == PROJECT and folder.name.startswith(".venv-"):
        return sys.prefix, sys.executable
    for candidate in _candidate_environments():
        if os.name == "nt":
            program = Path(candidate, "Scripts", "python.exe")
        else:
            program = Path(candidate, "bin", "python")
        if program.exists():
            return str(candidate), str(program)
    return sys.prefix, sys.executable


def _candidate_environments():
    """Return the folders where the course's environment may lie, the likeliest first."""
    candidates = [PROJECT / ".venv"]
    # A package that was not installed in place lies in the very environment it belongs to.
    if PROJECT.name == "site-packages":
        return candidates
    if os.environ.get("VIRTUAL_ENV"):
        candidates.append(os.environ["VIRTUAL_ENV"])
    # Conda activates its environment "base" by itself: nobody chose it for the course.
    is_base = os.environ.get("CONDA_DEFAULT_ENV") == "base"
    if os.environ.get("CONDA_PREFIX") and not is_base:
        candidates.append(os.environ["CONDA_PREFIX"])
    return candidates


def find_lock():
    """Return the path of the project's lock, or None where the course has none beside it."""
    lock = PROJECT / "requirements.lock"
    if lock.exists():
        return lock
    return None


def _install_command():
    """Return the command that installs all packages, or a sentence where there is no lock."""
    lock = find_lock()
    if lock is None:
        return "install the course again, as it was installed the first time"
    options = []
    # A kit brings the packages along, because it is for a computer without a network.
    wheels = lock.with_name("wheels")
    if wheels.is_dir():
        options = ["--no-index", "--find-links", wheels]
    return _shell_command("-m", "pip", "install", *options, "--require-hashes", "-r", lock)


def _install_project_command():
    options = ["--no-deps", "--no-build-isolation"]
    return _shell_command("-m", "pip", "install", *options, "-e", PROJECT)


def _shell_command(*arguments):
    """Return a command of the course's Python, with paths as short as they can be typed here."""
    _, program = find_environment()
    here = os.getcwd() + os.sep
    words = [str(word).removeprefix(here) for word in (program, *arguments)]
    if os.name == "nt":
        return subprocess.list2cmdline(words)
    return shlex.join(words)


def _advice(last_words=""):
    """Return what mends a failure of libraries.

    That is a home, a variable that is unset, a file's new name, or an installation.
    """
    if not has_home():
        return HOME_ADVICE
    variables = quoted_variables(last_words)
    if variables:
        return f"unset the variable {' or '.join(variables)}"
    sentences = find_hiding_files(_kernel_folders())
    if sentences:
        return sentences[0]
    return _install_command()


def _run_python(code):
    """Run code of this package in a process of its own."""
    # -P: a file of the working folder is not imported there; `check_names` looks for these.
    # The course comes last: it is found where it is not installed, and hides nothing.
    path = f"import sys; sys.path.append({str(PROJECT)!r}); "
    return _run([sys.executable, "-P", "-c", path + code])


def _run(command):
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS_TO_WAIT,
    )


def _last_words(run):
    """Return the last line of a process' errors, which says what went wrong."""
    lines = run.stderr.strip().splitlines()
    if not lines:
        return "no reason was given"
    return lines[-1]
