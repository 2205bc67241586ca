"""Executing a notebook with papermill, in a kernel that no other user of this machine reaches.

Importing this module takes a second, for papermill: `mnist_course.run` waits until it needs it.
"""

import contextvars
import logging
import os
import tempfile
import time
import warnings
from pathlib import Path

import nbformat
import papermill
from jupyter_client import AsyncKernelManager
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines

from mnist_course.notebooks import cell_name

ENGINE_NAME = "mnist_course"

MAX_STARTS = 3

# Systems allow little more than 100 characters, and jupyter_client adds a number to the path.
MAX_SOCKET_PATH = 99

# On a busy machine, a cell's outputs come seconds after its end; nbclient waits for 4.
OUTPUT_TIMEOUT = 60

# Not 0, which nbclient takes for no time-out at all.
SHORTEST_TIMEOUT = 0.001

# Failures are told once, in the table of `mnist-course run`, not in a log besides.
_silent_log = logging.getLogger(f"{__name__}.silent")
_silent_log.setLevel(logging.CRITICAL + 1)


class KernelEngine(Engine):
    """What papermill runs a notebook with: its own client, with options that it does not offer.

    `papermill.execute_notebook` hands the keyword arguments that it does not know on to here.
    """

    @classmethod
    def execute_managed_notebook(
        cls, nb_man, kernel_name, *, connection, folder, environment, stderr, deadline, **_
    ):
        """Execute the notebook of `nb_man`, which saves the copy as cells begin and end."""

        def name_cell_in_bar(cell, cell_index):
            if nb_man.pbar is not None:
                notebook_name = Path(nb_man.output_path).stem
                name = cell_name(cell, cell_index + 1)
                nb_man.pbar.set_description(f"Executing {notebook_name}: {name}")

        def remaining_seconds(cell):
            if deadline is None:
                return None
            return max(SHORTEST_TIMEOUT, deadline - time.monotonic())

        client = PapermillNotebookClient(
            nb_man,
            km=AsyncKernelManager(kernel_name=kernel_name, **connection),
            on_cell_start=name_cell_in_bar,
            timeout_func=remaining_seconds,
            iopub_timeout=OUTPUT_TIMEOUT,
            # Otherwise a cell tagged `raises-exception` would fail only after all the others.
            force_raise_errors=True,
            # To end a kernel politely takes up to 3 seconds; nothing of it is needed any more.
            shutdown_kernel="immediate",
            log=_silent_log,
            # What a kernel logs when it is interrupted says nothing of the notebook.
            extra_arguments=["--log-level=CRITICAL"],
        )
        # nbclient ends only kernels of its own making, unless it is told to clean up.
        client.execute(cwd=folder, env=environment, stderr=stderr, cleanup_kc=True)


papermill_engines.register(ENGINE_NAME, KernelEngine)


def execute_notebook(notebook, copy, parameters, *, folder, environment, deadline, bar):
    """Execute a notebook into the file `copy`, which is saved whenever a cell begins or ends.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
    copy : pathlib.Path
    parameters : dict of str to object
    folder : path-like or None
        Where the kernel works; None for where this process does.
    environment : dict of str to str
        All of the kernel's environment variables.
    deadline : float or None
        When the kernel is ended, in seconds of `time.monotonic`.
    bar : bool or dict
        Whether a progress bar names each cell; a dict holds options for tqdm.

    Raises
    ------
    Exception
        papermill's or nbclient's, if a cell fails, the kernel dies or the time is up.
    RuntimeError
        If the kernel does not start.
    """
    # The kernel named python3 is this environment's, whatever else is installed for this user.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    options = {
        "folder": folder,
        "environment": environment,
        "deadline": deadline,
        "progress_bar": bar,
    }
    for attempt in range(MAX_STARTS):
        # papermill would keep a notebook object given as input in the output's metadata.
        nbformat.write(notebook, copy)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as private_folder:
            connection = _encrypted_ports()
            # Two kernels that start at once may be given the same port; of sockets, never.
            if attempt == 0 and _can_use_sockets(private_folder):
                connection = _private_sockets(private_folder)
            # jupyter_core keeps its event loop in a context variable. A thread of Dask's begins
            # with a copy of another thread's variables, whose loop may be running just now.
            context = contextvars.Context()
            complaint = context.run(
                _try_to_execute,
                copy,
                parameters,
                private_folder,
                connection=connection,
                **options,
            )
        if complaint is None:
            return
    raise RuntimeError(f"the kernel did not start: {complaint}")


def _try_to_execute(copy, parameters, private_folder, **options):
    """Execute the notebook in the file `copy`.

    Returns
    -------
    str or None
        None, or the last line of what the kernel said when it did not start.
    """
    # papermill takes paths for format strings.
    path = str(copy).replace("{", "{{").replace("}", "}}")
    stderr_path = Path(private_folder, "stderr.txt")
    with open(stderr_path, "w", encoding="utf-8") as stderr, warnings.catch_warnings():
        # nbformat warns of cells without an id, which it then gives them.
        warnings.simplefilter("ignore")
        try:
            papermill.execute_notebook(
                path,
                path,
                parameters,
                engine_name=ENGINE_NAME,
                kernel_name="python3",
                language="python",
                stderr=stderr,
                **options,
            )
        except RuntimeError as error:
            # jupyter_client has no class of its own for a kernel that ends at its start.
            if "before replying" not in str(error):
                raise
        else:
            return None
    said = stderr_path.read_text(encoding="utf-8", errors="replace").strip()
    if not said:
        return "it gave no reason"
    return said.splitlines()[-1]


def _can_use_sockets(private_folder):
    return os.name == "posix" and len(_socket_path(private_folder)) <= MAX_SOCKET_PATH


def _socket_path(private_folder):
    return f"{private_folder}/kernel"


def _private_sockets(private_folder):
    """Let a kernel be reached only through a folder that only this user may enter."""
    return {"transport": "ipc", "ip": _socket_path(private_folder)}


def _encrypted_ports():
    """Let a kernel be reached through ports, so that no other user of this machine listens in."""
    return {"transport_encryption": "auto"}
