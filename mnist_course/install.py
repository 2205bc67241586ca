"""Install what a lock lists into ``.venv``; the environment of before stays until that is done.

``make`` and the kit's ``install`` call this with any Python from 3.11 to 3.13, so it needs the
standard library alone. An environment cannot be moved, because its programs know its path. So each
one is made in a folder of its own, ``.venv.12345678``, and ``.venv`` is a link to the last one that
was finished: it changes in one step. Whatever stops this, and whenever, ``.venv`` works as before.
"""

import os
import sys

if __name__ == "__main__":
    # It is started by its path, where nothing need be installed. The project's folder comes last,
    # so that no file of somebody's own in it, such as random.py, hides one of Python's.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    from mnist_course.signals import leave_on_interrupt

    leave_on_interrupt()

import argparse
import ast
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from mnist_course.signals import run_program

_FAILED = 1

# -P: no file of this folder, such as somebody's own random.py, is imported instead of Python's.
_MODULE = ["-P", "-m"]

LOG = Path("install.log")
LOCK_FILE = Path(".venv-lock")
PROJECT_FILE = Path("pyproject.toml")
SHOWN_LINES = 9

# What an environment keeps in itself: the folder it was made for, with the version of its Python;
# a copy of each lock, and of the project's file, once that is installed; a mark while packages are
# added, since pip takes half a package for a whole one when it was stopped; and a mark that it may
# be removed when no link leads to it, for a folder of somebody's own may have such a name.
MADE = "made"
ADDING = "adding"
OURS = "made-by-the-course"

# Pip's settings that say how packages are reached. Every other one, such as `user`, `target` or
# `constraint`, would change what is installed and where: none reaches in, from wherever it comes.
REACHING = frozenset(
    """
    cache-dir cert client-cert default-timeout extra-index-url find-links index-url keyring-provider
    no-cache-dir no-index proxy resume-retries retries timeout trusted-host
    """.split()
)
# The later ones win, as pip has it.
SECTIONS = ["global", "download", "install", ":env:"]


class InstallError(RuntimeError):
    """What stopped the installation, in a sentence for the user."""


def main(arguments=None):
    """Install what is missing, and return the exit status: 1 after a message when that failed.

    It is 130 or more when a signal has stopped it.
    """
    parser = argparse.ArgumentParser(prog="mnist_course.install", description=__doc__)
    parser.add_argument("lock", type=Path, help="a file with the versions and hashes of packages")
    parser.add_argument("--environment", type=Path, default=Path(".venv"), help="default: .venv")
    parser.add_argument("--extra", help="an extra of the project, which no lock holds")
    parser.add_argument("--wheels", type=Path, help="a folder with all packages: use no network")
    options = parser.parse_args(arguments)
    return run_program("The installation", lambda: _install(options))


def _install(options):
    try:
        with _one_at_a_time():
            Installer(options).install()
    except InstallError as error:
        print(error, file=sys.stderr)
        return _FAILED
    except OSError as error:
        print(f"The installation did not reach its end: {error}. {_advice()}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        print(f"The installation was stopped. {_advice()}", file=sys.stderr)
        raise
    return 0


def _advice():
    return "What was there before is as it was. Run this again once the cause is mended."


@contextmanager
def _one_at_a_time():
    """Wait until no other process installs in this folder."""
    with open(LOCK_FILE, "w") as file:
        if os.name == "posix":
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("Another installation goes on in this folder; waiting for its end ...")
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Installer:
    """Makes one environment what it should be."""

    def __init__(self, options):
        self.link = options.environment
        self.lock = options.lock
        self.extra = options.extra
        self.wheels = options.wheels

    def install(self):
        """Do what is missing: nothing, the project alone, more packages, or all anew."""
        self.remove_leftovers()
        if self.is_sound() and self.has(self.lock) and not self.has_other_extra():
            self.install_project(self.link)
        elif self.is_sound() and self.can_be_added():
            self.say()
            self.add()
        else:
            self.say()
            self.make_anew()

    def say(self):
        print(
            f"Installing what {self.lock} lists into {self.link} (up to 3 GB on disk, a few "
            "minutes) ...",
            flush=True,
        )

    # --- what is there ---

    def is_sound(self):
        """Say whether the environment was made for this folder and its Python is still there."""
        try:
            made = (self.link / MADE).read_bytes()
        except OSError:
            return False
        return made == description(program_of(self.link))

    def has(self, file):
        """Say whether what this file asks for is installed."""
        try:
            return (self.link / file.name).read_bytes() == file.read_bytes()
        except OSError:
            return False

    def has_other_extra(self):
        """Say whether the extra may be another than the one installed, which nothing pins."""
        return bool(self.extra) and not self.has(PROJECT_FILE)

    def can_be_added(self):
        """Say whether the lock holds all that is installed, and more."""
        # requirements-dev.lock holds all of requirements.lock, in the same versions.
        base = Path("requirements.lock")
        is_base = not (self.link / self.lock.name).exists() and self.lock != base
        return is_base and not self.extra and self.has(base) and not (self.link / ADDING).exists()

    def remove_leftovers(self):
        """Remove the environments that no link leads to: given up, or replaced."""
        for folder in Path().glob(f"{self.link.name}.????????"):
            if _is_ours(folder) and not _is_same(folder, self.link):
                shutil.rmtree(folder, ignore_errors=True)

    # --- what is done ---

    def add(self):
        """Install more packages into the environment; those that are there stay as they are."""
        (self.link / ADDING).touch()
        self.install_lock(self.link)
        self.install_project(self.link)
        (self.link / ADDING).unlink()

    def make_anew(self):
        """Make an environment, and put it in the place of the one before when it is complete."""
        folder = Path(tempfile.mkdtemp(prefix=f"{self.link.name}.", dir="."))
        try:
            (folder / OURS).touch()
            self.make_bare(folder)
            self.install_lock(folder)
            self.install_project(folder)
            (folder / MADE).write_bytes(description(program_of(folder)))
            # Power may fail: all is on the disk before the link leads there.
            if hasattr(os, "sync"):
                os.sync()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        point(self.link, folder)
        self.remove_leftovers()

    def make_bare(self, folder):
        # mkdtemp lets nobody else in; a course may be installed for others.
        folder.chmod(0o777 & ~_umask())
        made = subprocess.run([sys.executable, *_MODULE, "venv", folder])
        if made.returncode != 0:
            raise InstallError(
                "No environment could be made here, for the reason above: copy this folder onto "
                "the computer's own disk, then run this again."
            )

    def install_lock(self, folder):
        self.pip(folder, "--require-hashes", "-r", self.lock)
        if self.lock.name == "requirements-dev.lock":
            shutil.copyfile("requirements.lock", folder / "requirements.lock")
        shutil.copyfile(self.lock, folder / self.lock.name)

    def install_project(self, folder):
        """Install the project itself, if its file is another than before."""
        kept = folder / PROJECT_FILE
        if kept.exists() and kept.read_bytes() == PROJECT_FILE.read_bytes():
            return
        # Until it is installed whole, it counts as not installed.
        kept.unlink(missing_ok=True)
        # A file with hashes refuses `-e .`, so the project comes second. Its build back end is in
        # the lock: no network is needed.
        project = "."
        options = ["--no-deps"]
        if self.extra:
            project = f".[{self.extra}]"
            options = []
        self.pip(folder, *options, "--no-build-isolation", "-e", project)
        shutil.copyfile(PROJECT_FILE, kept)

    def pip(self, folder, *arguments):
        """Let the environment's pip install something; its last lines are shown when it fails."""
        pip = [program_of(folder), *_MODULE, "pip"]
        environment = bare_environment()
        if not self.wheels:
            environment = pip_environment(pip)
        # Without bytecode, every `import keras` would take some 8 seconds.
        command = [*pip, "install", "--compile", "--progress-bar", "off"]
        if self.wheels:
            command += ["--no-index", "--find-links", self.wheels]
        with open(LOG, "wb") as log:
            run = subprocess.run(
                [*command, *arguments], env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        if run.returncode != 0:
            raise InstallError(_explain_failure())
        LOG.unlink(missing_ok=True)


def _explain_failure():
    text = LOG.read_text("utf-8", errors="replace")
    lines = [line for line in text.splitlines() if "gnoring" not in line]
    print("\n".join(lines[-SHOWN_LINES:]), file=sys.stderr)
    if "DO NOT MATCH THE HASHES" in text:
        return "A file in wheels is damaged, or one that was downloaded; pip names it above."
    return (
        "The installation did not reach its end: pip's last lines are above, all of them in "
        f"{LOG}. {_advice()}"
    )


# --- environments ------------------------------------------------------------------------------


def program_of(folder):
    """Return the Python of an environment, as an absolute path."""
    if os.name == "nt":
        return os.path.abspath(folder / "Scripts" / "python.exe")
    return os.path.abspath(folder / "bin" / "python")


def description(program):
    """Return what an environment is made for: this folder, and the version of its Python.

    Parameters
    ----------
    program : str
        The environment's Python.

    Returns
    -------
    bytes
        The folder's path need not be UTF-8. Empty when the program does not run.
    """
    # The Makefile asks in the same words.
    code = 'import sys; print("%d.%d" % sys.version_info[:2])'
    try:
        run = subprocess.run([program, "-c", code], capture_output=True, text=True)
    except OSError:
        return b""
    if run.returncode != 0:
        return b""
    return os.fsencode(f"{os.path.realpath('.')}\n{run.stdout.strip()}\n")


def point(link, folder):
    """Let a link lead to a folder, in one step where the system can do that.

    Parameters
    ----------
    link, folder : pathlib.Path
        Both in the current folder, so that the whole can be moved.
    """
    if link.is_dir() and not link.is_symlink():
        # Made by an earlier version, or by hand. From now on it is one of ours, to be removed.
        (link / OURS).touch()
        link.rename(_unused_name(link))
    if os.name == "nt":
        # Links need a right that few have; junctions do not. They are removed as folders are.
        if link.exists():
            os.rmdir(link)
        subprocess.run(["cmd", "/c", "mklink", "/J", link, folder], check=True, capture_output=True)
        return
    part = _unused_name(link)
    part.symlink_to(folder.name)
    os.replace(part, link)


def _unused_name(link):
    folder = tempfile.mkdtemp(prefix=f"{link.name}.", dir=".")
    os.rmdir(folder)
    return Path(folder)


def _is_ours(folder):
    """Say whether a folder is an environment that was made here, or the empty beginning of one."""
    if not folder.is_dir() or folder.is_symlink():
        return False
    marks = [folder / OURS, folder / MADE]
    return any(mark.exists() for mark in marks) or not any(folder.iterdir())


def _is_same(folder, link):
    return link.exists() and os.path.samefile(folder, link)


def _umask():
    umask = os.umask(0)
    os.umask(umask)
    return umask


# --- pip's settings ----------------------------------------------------------------------------


def bare_environment():
    """Return this process' environment variables without those of pip; pip reads no file either."""
    environment = {}
    for name, value in os.environ.items():
        if not name.upper().startswith("PIP_"):
            environment[name] = value
    environment["PIP_CONFIG_FILE"] = os.devnull
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    return environment


def pip_environment(pip):
    """Return environment variables under which pip reaches packages as its user has set it.

    Parameters
    ----------
    pip : list of str
        The command that starts pip.

    Returns
    -------
    dict of str to str

    Raises
    ------
    InstallError
        If pip cannot read one of its files.
    """
    listing = subprocess.run([*pip, "config", "list"], capture_output=True, text=True)
    if listing.returncode != 0:
        reason = listing.stderr.strip().splitlines()[-1:]
        raise InstallError(f"pip cannot read its own settings: {' '.join(reason)}. {_advice()}")
    environment = bare_environment()
    for name, value in reaching_settings(listing.stdout).items():
        environment[f"PIP_{name.replace('-', '_').upper()}"] = value
    return environment


def reaching_settings(listing):
    r"""Read out of ``pip config list`` how packages are reached.

    Parameters
    ----------
    listing : str

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> reaching_settings("global.timeout='9'\n:env:.timeout='5'\ninstall.user='true'")
    {'timeout': '5'}
    """
    found = {}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in SECTIONS and name in REACHING:
            found[SECTIONS.index(section), name] = ast.literal_eval(value)
    return {name: found[section, name] for section, name in sorted(found)}


if __name__ == "__main__":
    sys.exit(main())
