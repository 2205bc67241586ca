"""The kit: a folder from which the tutorial is installed and used where no network is."""

import os
import platform
import shutil
import string
import subprocess
import sys
from pathlib import Path

import numpy as np
import pooch

from mnist_course.handout import atomic_folder, write_learner
from mnist_helpers.data import load_mnist
from mnist_helpers.saving import atomic_write

ROOT = Path(__file__).parents[1]
PYTHON = "{}.{}".format(*sys.version_info)
SYSTEM = f"{platform.system()} {platform.machine()}"


def make_kit(target):
    """Build the kit for computers like this one; return its size in MB."""
    with atomic_folder(target) as kit:
        copy_project(kit)
        download_wheels(kit / "wheels")
        pack_dataset(kit / "mnist.npz")
        return fill_page(kit)


def copy_project(kit):
    """Copy the learners' notebooks, what runs them, and the scripts that install and start it."""
    ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    shutil.copytree(ROOT / "mnist_helpers", kit / "mnist_helpers", ignore=ignored)
    shutil.copytree(Path(__file__).parent / "kit_files", kit, dirs_exist_ok=True)
    for name in ("pyproject.toml", "requirements.lock", "LICENSE", "README.md"):
        shutil.copyfile(ROOT / name, kit / name)
    (kit / "notebooks").mkdir()
    write_learner(ROOT / "notebooks", kit / "notebooks")
    (kit / "made-for.txt").write_text(f"{PYTHON} {SYSTEM}\n", "utf-8")


def download_wheels(folder):
    """Download the packages of the lock from where pip gets them; it checks their hashes."""
    command = [sys.executable, "-m", "pip", "download", "-qq", "--only-binary", ":all:"]
    command += ["--require-hashes", "-r", ROOT / "requirements.lock", "-d", folder]
    if subprocess.run(command).returncode:
        raise OSError("pip could not download what requirements.lock lists, as it says above")


def pack_dataset(path):
    """Write MNIST into an ``.npz`` file, where this computer has it or can get it."""
    try:
        train, test = load_mnist("mnist")
    except FileNotFoundError:
        if os.environ.get("MNIST_HELPERS_DATA", "") not in ("", "digits"):
            raise
        return
    np.savez_compressed(path, x_train=train[0], y_train=train[1], x_test=test[0], y_test=test[1])


def fill_page(kit):
    """Fill the gaps in the page of instructions; return the kit's size in MB."""
    size = round(sum(path.stat().st_size for path in kit.rglob("*")) / 1e6)
    digits = "MNIST" if (kit / "mnist.npz").exists() else "the 1,797 of scikit-learn, not MNIST"
    page, facts = kit / "START-HERE.html", dict(python=PYTHON, system=SYSTEM, digits=digits)
    page.write_text(string.Template(page.read_text("utf-8")).substitute(facts, size=size), "utf-8")
    return size


def install_dataset(path):
    """Put the kit's digits where `load_mnist` finds them, unless good ones lie there."""
    place = pooch.os_cache("mnist_helpers") / "mnist.npz"
    try:
        load_mnist(place)
    except (OSError, ValueError):
        load_mnist(path)  # refuses what is not MNIST
        with atomic_write(place) as part:
            shutil.copyfile(path, part)


def command(options):
    """Run ``mnist-course kit``; return its exit status."""
    if options.install_dataset:
        install_dataset(options.install_dataset)
    else:
        size = make_kit(Path("dist/kit"))
        print(f"dist/kit/ has {size:,} MB: open its START-HERE.html")
    return 0
