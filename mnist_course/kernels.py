"""Executing a notebook with papermill, in a kernel that is this Python and nobody else reaches.

Importing this module takes a second, for papermill: `mnist_course.run` waits until it needs it.
"""

import asyncio
import contextvars
import logging
import math
import os
import sys
import time
import warnings
from dataclasses import dataclass

import nbformat
import papermill
from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.utils import run_sync
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines

from mnist_course.kernel_limits import MAX_OUTPUT_BYTES, SILENCING_VARIABLES, TOO_MUCH_OUTPUT
from mnist_course.notebooks import cell_name
from mnist_helpers.scratch import scratch_folder

ENGINE_NAME = "mnist_course"
PROGRAM = "mnist_course.kernel_program"

MAX_STARTS = 3

# A start takes a second; from a cold or busy disk, Python and IPython have taken over a minute.
START_SECONDS = 300

# Systems allow little more than 100 characters, and jupyter_client adds a number to the path.
MAX_SOCKET_PATH = 99

# On a busy machine, a cell's outputs come seconds after its end; nbclient waits for 4.
OUTPUT_TIMEOUT = 60

# Not 0, which nbclient takes for no time-out at all.
SHORTEST_TIMEOUT = 0.001

# What a user may have set for other work, and what would change a run unseen.
NOT_FOR_KERNELS = (
    # Keras would train for less than the record says.
    "KERAS_MAX_EPOCHS",
    "KERAS_MAX_STEPS_PER_EPOCH",
    # Figures would not be kept.
    "MPLBACKEND",
    # The checks in notebooks are asserts, which this takes out.
    "PYTHONOPTIMIZE",
    # TensorFlow would behave as its first version did.
    "TF2_BEHAVIOR",
    # IPython runs the file that this one names.
    "PYTHONSTARTUP",
    # Warnings could become errors.
    "PYTHONWARNINGS",
    *SILENCING_VARIABLES,
    # All cells would have one name, by which tracebacks find their lines.
    "IPYKERNEL_CELL_NAME",
)

TOO_MUCH = (
    f"the cells have put out more than {MAX_OUTPUT_BYTES // 1_000_000} MB, which no notebook can "
    "hold: let the last one print less"
)

# Failures are told once, in the table of `mnist-course run`, not in a log besides.
_silent_log = logging.getLogger(f"{__name__}.silent")
_silent_log.setLevel(logging.CRITICAL + 1)


class KernelNotStarted(RuntimeError):
    """The kernel has not answered, in any of its starts; no cell has run."""


class TooMuchOutput(RuntimeError):
    """The cells have put out more than is kept; the kernel has ended itself."""


@dataclass
class Execution:
    """A notebook to execute, and what has come of it, also when it fails."""

    # For the progress bar.
    name: str
    # Where the kernel works; None for where this process does.
    folder: str | os.PathLike | None
    # Variables for the kernel, beside this process'.
    environment: dict[str, str]
    # When the kernel is ended, in seconds of `time.monotonic`; None for never.
    deadline: float | None
    # Whether a bar names each cell.
    bar: bool

    # With its outputs; None until papermill has prepared it.
    notebook: nbformat.NotebookNode | None = None
    # Whether the kernel has answered.
    started: bool = False
    # The cell that has failed, and the kernel's message about it.
    failed_cell: nbformat.NotebookNode | None = None
    error_message: dict | None = None

    def is_over(self):
        """Say whether the deadline has passed."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def remaining_seconds(self):
        """Return the seconds until the deadline, at least a moment; None where there is none."""
        if self.deadline is None:
            return None
        return max(SHORTEST_TIMEOUT, self.deadline - time.monotonic())

    def start_seconds(self):
        """Return how long a kernel may take to answer, in whole seconds as nbclient wants them."""
        return math.ceil(min(START_SECONDS, self.remaining_seconds() or START_SECONDS))


class _ThisPython(KernelSpecManager):
    """Knows one kernel: the Python that runs this, whatever is installed under its name."""

    def get_kernel_spec(self, kernel_name):
        # Without -P, a learner's own types.py in the folder would end the kernel as it starts.
        spec = KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())
        spec.argv = [sys.executable, "-P", "-m", PROGRAM, "-f", "{connection_file}"]
        # Otherwise a variable may name another way to start it.
        spec.metadata["kernel_provisioner"] = {"provisioner_name": "local-provisioner"}
        return spec


class KernelEngine(Engine):
    """What papermill runs a notebook with: its own client, with options that it does not offer.

    `papermill.execute_notebook` hands the keyword arguments that it does not know on to here.
    """

    @classmethod
    def execute_managed_notebook(
        cls, nb_man, kernel_name, *, execution, connection, stderr, environment, **_
    ):
        """Execute the notebook of `nb_man`, and tell `execution` what comes of it."""
        execution.notebook = nb_man.nb
        # papermill notes there where the notebook came from, which here is all of it.
        for key in ("input_path", "output_path"):
            nb_man.nb.metadata.papermill.pop(key, None)

        kernel_processes = []

        def note_start(notebook):
            execution.started = True
            kernel_processes.append(manager.provisioner.process)

        def note_error(cell, cell_index, execute_reply):
            execution.failed_cell = cell
            execution.error_message = execute_reply["content"]

        def name_cell_in_bar(cell, cell_index):
            if nb_man.pbar is not None:
                name = cell_name(cell, cell_index + 1)
                nb_man.pbar.set_description(f"Executing {execution.name}: {name}")

        manager = AsyncKernelManager(
            kernel_name=kernel_name, kernel_spec_manager=_ThisPython(), **connection
        )
        client = PapermillNotebookClient(
            nb_man,
            km=manager,
            on_notebook_start=note_start,
            on_cell_error=note_error,
            on_cell_start=name_cell_in_bar,
            timeout_func=lambda cell: execution.remaining_seconds(),
            startup_timeout=execution.start_seconds(),
            iopub_timeout=OUTPUT_TIMEOUT,
            # Otherwise a cell tagged `raises-exception` would fail only after all the others.
            force_raise_errors=True,
            # To end a kernel politely takes up to 3 seconds; nothing of it is needed any more.
            shutdown_kernel="immediate",
            log=_silent_log,
            # What a kernel logs when it is interrupted says nothing of the notebook.
            extra_arguments=["--log-level=CRITICAL"],
        )
        try:
            # nbclient ends only kernels of its own making, unless it is told to clean up.
            client.execute(cwd=execution.folder, env=environment, stderr=stderr, cleanup_kc=True)
        except RuntimeError:
            # nbclient says that the kernel has died, and not with which status.
            if any(process.returncode == TOO_MUCH_OUTPUT for process in kernel_processes):
                raise TooMuchOutput(TOO_MUCH) from None
            raise
        finally:
            _kill_kernel(manager)
            run_sync(_end_tasks)()
            # A command that is stopped while the kernel starts has left nbclient no time to.
            if manager.has_kernel:
                run_sync(manager.shutdown_kernel)(now=True)


def _kill_kernel(manager):
    """End the kernel's process, if nbclient has left it, whatever else cannot be done.

    All other ways open files, and fail where no more may be opened.
    """
    process = getattr(manager.provisioner, "process", None)
    if process is not None:
        process.kill()


async def _end_tasks():
    """End what nbclient still waits for after a time-out; asyncio would complain of it."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


papermill_engines.register(ENGINE_NAME, KernelEngine)


def execute_notebook(notebook, parameters, execution):
    """Execute a notebook; nothing is written but what its cells write.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        It stays as it is.
    parameters : dict of str to object
    execution : Execution
        How it is executed. When this function returns or raises, it says what has come of it.

    Raises
    ------
    Exception
        papermill's or nbclient's, if a cell fails, the kernel dies or the time is up.
    KernelNotStarted
        If the kernel does not start.
    OSError
        If there is no room for temporary files.
    """
    for attempt in range(MAX_STARTS):
        with scratch_folder() as private_folder:
            connection = _encrypted_ports()
            # Two kernels that start at once may be given the same port; of sockets, never.
            if attempt == 0 and _can_use_sockets(private_folder):
                connection = _private_sockets(private_folder)
            # It holds the kernel's key; elsewhere, it would stay when this process is killed.
            connection["connection_file"] = str(private_folder / "connection.json")
            # jupyter_core keeps its event loop in a context variable. A thread of Dask's begins
            # with a copy of another thread's variables, whose loop may be running just now.
            context = contextvars.Context()
            complaint = context.run(
                _try_to_execute, notebook, parameters, execution, private_folder, connection
            )
        if complaint is None:
            return
        if execution.is_over():
            break
    raise KernelNotStarted(f"the kernel did not start: {complaint}")


def _try_to_execute(notebook, parameters, execution, private_folder, connection):
    """Execute the notebook.

    Returns
    -------
    str or None
        None, or why the kernel did not start: with the last line of what it has said.
    """
    stderr_path = private_folder / "stderr.txt"
    bar = {"desc": f"Executing {execution.name}", "file": sys.stderr} if execution.bar else False
    with open(stderr_path, "w", encoding="utf-8") as stderr, warnings.catch_warnings():
        # nbformat warns of cells without an id, which it then gives them.
        warnings.simplefilter("ignore")
        try:
            papermill.execute_notebook(
                notebook,
                None,
                parameters,
                engine_name=ENGINE_NAME,
                kernel_name="python3",
                language="python",
                progress_bar=bar,
                execution=execution,
                connection=connection,
                stderr=stderr,
                environment=_kernel_environment(execution.environment, private_folder),
            )
        except RuntimeError as error:
            # jupyter_client has no class of its own for a kernel that does not start.
            if execution.started:
                raise
            reason = str(error)
        else:
            return None
    said = stderr_path.read_text(encoding="utf-8", errors="replace").strip()
    if said:
        return f"{reason}: {said.splitlines()[-1]}"
    return reason


def _kernel_environment(variables, private_folder):
    """Return the variables of a kernel: this process', `variables`, and no settings for others."""
    environment = dict(os.environ)
    for name in NOT_FOR_KERNELS:
        environment.pop(name, None)
    environment |= variables
    # Here IPython finds no start-up files and no configuration of the user's.
    environment["IPYTHONDIR"] = str(private_folder / "ipython")
    # A kernel that is ended takes along what it has put there.
    temporary = private_folder / "tmp"
    temporary.mkdir()
    for name in ("TMPDIR", "TEMP", "TMP"):
        environment[name] = str(temporary)
    return environment


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
