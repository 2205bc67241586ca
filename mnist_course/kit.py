"""The command ``kit``: build a folder from which the course is installed where no network is."""

import os
import platform
import stat
import string
import subprocess
import sys
from pathlib import Path

import numpy as np
import pooch

from mnist_course.files import atomic_folder, read_file, reading
from mnist_course.handout import write_learner
from mnist_course.install import pip_environment
from mnist_course.work import describe
from mnist_helpers.data import load_mnist
from mnist_helpers.saving import atomic_write

ROOT = Path(__file__).parents[1]
KIT = Path("dist/kit")
PACKAGES = ["mnist_helpers", "mnist_course"]
# README.md and LICENSE go along because pyproject.toml names them: without them pip would refuse.
FILES = ["pyproject.toml", "requirements.lock", "LICENSE", "README.md"]
# What Python and JupyterLab leave behind on this computer.
NOT_COPIED = ["__pycache__", ".ipynb_checkpoints"]
PAGE_NAME = "START-HERE.html"
BYTES_PER_MB = 1e6
EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH

# What the kit is made for. Its install script compares both with the computer it runs on.
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SYSTEM = f"{platform.system()} {platform.machine()}"


def command(options):
    """Run ``mnist-course kit`` and return its exit status."""
    try:
        if options.install_dataset:
            install_dataset(options.install_dataset)
            return 0
        print("Downloading all packages (0.8 GB, a minute or more) ...", flush=True)
        size = make_kit(KIT)
    except OSError as error:
        raise OSError(describe(error, KIT)) from None
    print(f"{KIT.as_posix()}/ has {size:,} MB: open its {PAGE_NAME}")
    return 0


def make_kit(target):
    """Build the kit for computers like this one.

    Parameters
    ----------
    target : pathlib.Path
        The folder to write or to replace. When something fails, it is as it was.

    Returns
    -------
    int
        The kit's size in MB.

    Raises
    ------
    OSError
        If a package cannot be downloaded.
    """
    with atomic_folder(target) as kit:
        copy_project(kit)
        download_wheels(kit / "wheels")
        pack_dataset(kit / "mnist.npz")
        # Last, because the page says how large the kit is.
        return fill_page(kit)


def copy_project(kit):
    """Copy the learners' notebooks, what runs them, and the scripts that install and start it.

    Parameters
    ----------
    kit : pathlib.Path
        An existing folder.
    """
    for package in PACKAGES:
        _copy_files(ROOT / package, kit / package)
    # The scripts and the page of instructions lie at the kit's top, where they are seen first.
    _copy_files(ROOT / "mnist_course" / "kit_files", kit)
    for name in FILES:
        (kit / name).write_bytes(read_file(ROOT / name))
    notebooks = kit / "notebooks"
    notebooks.mkdir()
    write_learner(ROOT / "notebooks", notebooks)
    (kit / "made-for.txt").write_text(f"{PYTHON} {SYSTEM}\n", "utf-8")


def _copy_files(source, target):
    """Copy a folder's files; whoever gets them may write them, and may run what is a program.

    Not by `shutil.copytree`, which makes copies of read-only files and folders read-only.
    """
    target.mkdir(exist_ok=True)
    with reading(source):
        paths = sorted(source.iterdir())
    for path in paths:
        copy = target / path.name
        if path.name in NOT_COPIED:
            continue
        if path.is_dir():
            _copy_files(path, copy)
        else:
            copy.write_bytes(read_file(path))
            copy.chmod(copy.stat().st_mode | path.stat().st_mode & EXECUTABLE)


def download_wheels(folder):
    """Download the packages of the lock from where pip gets them; pip checks their hashes.

    Parameters
    ----------
    folder : pathlib.Path
        Where the wheels go.

    Raises
    ------
    OSError
        If pip does not get all of them. It has said why on standard error.
    """
    lock = ROOT / "requirements.lock"
    # -P: no file of this folder hides a module of Python's.
    pip = [sys.executable, "-P", "-m", "pip"]
    # Nothing of a user's own settings, such as a platform or a constraint, may change the kit.
    environment = pip_environment(pip)
    download = ["download", "-qq", "-r", lock, "-d", folder]
    # The computer that installs the kit may have no compiler, so wheels are needed.
    options = ["--only-binary", ":all:", "--require-hashes"]
    run = subprocess.run([*pip, *download, *options], env=environment)
    if run.returncode != 0:
        raise OSError("pip could not download what requirements.lock lists, as it says above")


def pack_dataset(path):
    """Write MNIST into an ``.npz`` file, if this computer has it or can get it.

    Parameters
    ----------
    path : pathlib.Path
        The file to write.

    Raises
    ------
    OSError, ValueError
        If ``MNIST_HELPERS_DATA`` names a file or a folder without MNIST.
    """
    try:
        train, test = load_mnist("mnist")
    except FileNotFoundError:
        # A kit without MNIST will do, except for somebody who said where it is.
        if os.environ.get("MNIST_HELPERS_DATA", "") not in ("", "digits"):
            raise
        return
    x_train, y_train = train
    x_test, y_test = test
    np.savez_compressed(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


def fill_page(kit):
    """Fill the gaps in the page of instructions.

    Parameters
    ----------
    kit : pathlib.Path
        A kit that is complete otherwise.

    Returns
    -------
    int
        The kit's size in MB.
    """
    n_bytes = sum(path.stat().st_size for path in kit.rglob("*"))
    size = round(n_bytes / BYTES_PER_MB)
    digits = "the 1,797 of scikit-learn, not MNIST"
    if (kit / "mnist.npz").exists():
        digits = "MNIST"
    page = kit / PAGE_NAME
    template = string.Template(page.read_text("utf-8"))
    text = template.substitute(python=PYTHON, system=SYSTEM, digits=digits, size=size)
    page.write_text(text, "utf-8")
    return size


def install_dataset(path):
    """Put the kit's digits where `load_mnist` finds them, unless good ones are there already.

    Parameters
    ----------
    path : str or path-like
        The kit's ``mnist.npz``.

    Raises
    ------
    OSError, ValueError
        If `path` is not exactly MNIST, or the place cannot be written.
    """
    place = pooch.os_cache("mnist_helpers") / "mnist.npz"
    try:
        load_mnist(place)
    except (OSError, ValueError):
        # This raises an error when the kit's file is not MNIST.
        load_mnist(path)
        with atomic_write(place) as part:
            part.write_bytes(read_file(path))
