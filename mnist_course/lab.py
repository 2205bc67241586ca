"""``make lab``: JupyterLab on your own copies of the notebooks, closed to others on this machine.

By itself JupyterLab talks to its kernels over ports of this machine, where every local user can
listen to the code and the outputs. Here both sides meet in a folder that only its owner may enter.
"""

import sys

if __name__ == "__main__":
    from mnist_course.signals import leave_on_interrupt

    leave_on_interrupt()

import os
import signal
import tempfile
from pathlib import Path

from mnist_course.kernel_limits import SILENCING_VARIABLES
from mnist_course.signals import run_program
from mnist_course.work import NOTEBOOKS, WORK, copy_notebooks, describe
from mnist_helpers.library_settings import can_write
from mnist_helpers.scratch import refuse_foreign_folder, scratch_folder

# As long as the name of a scratch folder.
SCRATCH_NAME = ".mnist-0123-01234567"

# Bytes that macOS allows; Linux allows four more.
MAX_SOCKET_PATH = 103
# After the folder comes kernel-, 36 characters, -ipc- and a number.
SOCKET_NAME_LENGTH = len("/kernel-") + 36 + len("-ipc-10")
# Where the temporary folder's path is too long for a socket, as macOS' may be.
SHORT_FOLDER = os.path.join(os.sep, "tmp")

# The classes of JupyterLab that reach kernels. Settings for a class win over settings for those
# that it is made from, wherever they stand: so these are the last ones, which are really used.
KERNEL_CLASS = "ServerKernelManager"
KERNELS_CLASS = "AsyncMappingKernelManager"

# What a kernel says of itself. JupyterLab's debugger opens a port that any local user can reach,
# and debugpy, which listens there, runs what it is told: so it is not offered. Of the kernel's
# own ports one remains, which takes in what its child processes print; who knows nothing of its
# random key gets nothing out of it and nothing in.
KERNEL_METADATA = {"debugger": False, "supported_encryption": ["curve"]}

# Where programs keep a user's settings, by the variable that names another place.
SETTINGS_FOLDERS = {
    "JUPYTER_CONFIG_DIR": "~/.jupyter",
    "JUPYTER_DATA_DIR": "~/.local/share/jupyter",
    "IPYTHONDIR": "~/.ipython",
    "MPLCONFIGDIR": "~/.config/matplotlib",
    "KERAS_HOME": "~/.keras",
}


def main(arguments=None):
    """Open JupyterLab, and return the exit status: 2 when that could not be done.

    It is 130 or more when a signal has stopped it before JupyterLab was there.

    Parameters
    ----------
    arguments : list of str, optional
        More options for JupyterLab. The default is the command line's.
    """
    if arguments is None:
        arguments = sys.argv[1:]
    return run_program("make lab", lambda: _open(arguments))


def _open(arguments):
    try:
        copy_notebooks(NOTEBOOKS, WORK)
        parent = _temporary_folder()
        refuse_foreign_folder(parent)
        with scratch_folder(parent) as folder:
            _prepare_environment(folder)
            _run_jupyterlab([*_options(folder), *arguments])
    except OSError as error:
        raise OSError(describe(error)) from None
    return 0


# --- a folder of one's own ---------------------------------------------------------------------


def _temporary_folder():
    """Return the folder for temporary files, or a shorter one where sockets need it."""
    parent = tempfile.gettempdir()
    if not _fits_sockets(Path(parent, SCRATCH_NAME)) and os.access(SHORT_FOLDER, os.W_OK):
        return SHORT_FOLDER
    return parent


# --- JupyterLab --------------------------------------------------------------------------------


def _options(folder):
    """Return JupyterLab's options; those that a user adds come later and win."""
    options = [
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={WORK.resolve()}",
        "--ServerApp.identity_provider_class=mnist_course.lab_identity.TokenIdentityProvider",
    ]
    if _fits_sockets(folder):
        return [*options, f"--{KERNEL_CLASS}.transport=ipc"]
    print(
        "make lab: kernels are reached over encrypted ports, because sockets are not to be had "
        f"in {folder}",
        file=sys.stderr,
    )
    return [*options, f"--{KERNELS_CLASS}.transport_encryption=auto"]


def _fits_sockets(folder):
    """Say whether the paths of a kernel's sockets are short enough, where there are any."""
    if os.name != "posix":
        return False
    return len(os.fsencode(folder)) + SOCKET_NAME_LENGTH <= MAX_SOCKET_PATH


def _prepare_environment(folder):
    """Set what JupyterLab, its kernels and its terminals inherit."""
    _replace_unwritable_folders(folder)
    _write_kernel(folder / "share" / "kernels" / "python3")
    for name in SILENCING_VARIABLES:
        os.environ.pop(name, None)
    # Connection files have the kernels' keys, and the server's file its token.
    os.environ["JUPYTER_RUNTIME_DIR"] = str(folder)
    # The first place where kernels are looked for. What a user has named comes later.
    _put_first("JUPYTER_PATH", folder / "share")
    _put_first("PATH", Path(sys.executable).parent)


def _put_first(name, place):
    places = [str(place)]
    if os.environ.get(name):
        places.append(os.environ[name])
    os.environ[name] = os.pathsep.join(places)


def _write_kernel(folder):
    """Describe the kernel python3: it is this very Python, whatever else is installed."""
    from ipykernel.kernelspec import write_kernel_spec

    # -P: until IPython has started, no file beside the notebook, such as a learner's own random.py,
    # is imported instead of Python's; the kernel would die of it without a word.
    overrides = {"metadata": KERNEL_METADATA}
    write_kernel_spec(str(folder), overrides=overrides, python_arguments=["-P"])


def _run_jupyterlab(options):
    # A terminal that is closed ends JupyterLab as `kill` does, with its kernels; but not when it
    # was started by nohup, which ignores the signal.
    if os.name == "posix" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    from jupyterlab.labapp import main as run_jupyterlab

    run_jupyterlab(options)


# --- a home that cannot be used ----------------------------------------------------------------


def _replace_unwritable_folders(folder):
    """Let programs keep their files in `folder` where the user's home does not take them."""
    home = os.path.expanduser("~")
    if not os.path.isabs(home) or not os.path.isdir(home):
        os.environ["HOME"] = str(folder)
        print(
            f"make lab: there is no home folder here ({home!r}); settings are kept in a temporary "
            "folder, until JupyterLab ends. Set HOME to a folder of yours to keep them",
            file=sys.stderr,
        )
        return
    replaced = []
    for variable, usual in SETTINGS_FOLDERS.items():
        place = os.environ.get(variable) or os.path.expanduser(usual)
        if not can_write(place):
            os.environ[variable] = str(folder / variable.lower())
            replaced.append(place)
    if replaced:
        print(
            f"make lab: {', '.join(replaced)} cannot be written; settings are kept in a temporary "
            "folder, until JupyterLab ends",
            file=sys.stderr,
        )


if __name__ == "__main__":
    sys.exit(main())
