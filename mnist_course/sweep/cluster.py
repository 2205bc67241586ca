"""The workers of a sweep: processes on this machine, or a Dask cluster that is there already."""

import atexit
import errno
import logging
import os
import re
import signal
import socket
import sys
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

from mnist_course.errors import reason_of
from mnist_course.run import check_temporary_folder
from mnist_course.sweep.fingerprint import (
    compare_environments,
    describe_package,
    try_to_describe,
)
from mnist_helpers.scratch import scratch_folder

# Measured: on MNIST, a kernel of notebook 02 takes 1.5e9.
KERNEL_BYTES = 2e9
_MAX_WORKERS = 1_000
_MAX_THREADS = 1_000
# A year. Who wants no limit leaves the option out.
MAX_SECONDS = 31_536_000
CONNECT_SECONDS = 15
_LOCAL_HOST = "127.0.0.1"
# Within a machine it takes less than a millisecond.
_LOCAL_SECONDS = 5
_FIRST_WORKER_SECONDS = 60
# Without a protocol before it, Dask takes plain TCP.
_ADDRESS = re.compile(r"(?:(?:tls|tcp|ucx|ws|wss)://)?[^\s/]+:(\d+)")
_MAX_PORT = 65_535
# How often workers are started, and asked what they have, before they are given up.
_MAX_TRIES = 3
_WHY_LOST = (
    "it was killed, perhaps by the system, as happens when memory runs short. Close other programs "
    "or take fewer workers, then give the same command again"
)
SCHEDULER_LOST = (
    "the scheduler does not answer any more. What was finished is kept: start the scheduler "
    "and its workers again, then the same command, which goes on where this one stopped"
)
# What to do where the system has refused something to a worker that starts.
_START_ADVICE = {
    errno.EMFILE: "allow more open files (ulimit -n 1024), or take fewer workers",
    errno.ENFILE: "close other programs, or take fewer workers",
    errno.EFBIG: "allow larger files (ulimit -f unlimited)",
    errno.EAGAIN: "allow more processes (ulimit -u), close other programs, or take fewer workers",
    errno.ENOMEM: "close other programs, or take fewer workers",
    errno.ENOSPC: "make room in the folder for temporary files, or name another in TMPDIR",
}
# Where programs put temporary files, on all systems.
_TEMPORARY_VARIABLES = ("TMPDIR", "TEMP", "TMP")


def check_number(name, number, largest):
    """Check an option that may be left out but must not be zero or less.

    Parameters
    ----------
    name : str
    number : float or None
    largest : float
        What is beyond it is a slip of the finger, or infinity.

    Raises
    ------
    ValueError
        Unless `number` is None, or above 0 and not above `largest`.

    Examples
    --------
    >>> check_number("timeout", 0, MAX_SECONDS)
    Traceback (most recent call last):
    ValueError: timeout must be above 0; received 0
    """
    if number is None:
        return
    # NaN is not above 0 either.
    if not number > 0:
        raise ValueError(f"{name} must be above 0; received {number}")
    if number > largest:
        raise ValueError(f"{name} must not be above {largest:,}; received {number}")


def fit_machine(workers=None, threads=None):
    """Choose how many runs go on at once on this machine, and how many threads each has.

    A number that is given is kept, whatever the machine has. A number that is left out is chosen
    such that the threads of all runs together are no more than the cores, and the runs together
    need no more memory than there is; but it is at least 1.

    Parameters
    ----------
    workers : int, optional
        How many runs go on at once.
    threads : int, optional
        The threads of each run. With both numbers left out, it is 1 unless memory is scarce:
        small networks gain more from a second run than from a second thread.

    Returns
    -------
    workers, threads : int

    Raises
    ------
    ValueError
        If a number is not above 0.

    Examples
    --------
    >>> fit_machine(workers=3, threads=5)
    (3, 5)
    """
    check_number("workers", workers, _MAX_WORKERS)
    check_number("threads", threads, _MAX_THREADS)
    _import_dask()
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    if workers is None:
        fit_cores = CPU_COUNT // (threads or 1)
        fit_memory = int(MEMORY_LIMIT // KERNEL_BYTES)
        workers = max(1, min(fit_cores, fit_memory))
    if threads is None:
        threads = max(1, CPU_COUNT // workers)
    return workers, threads


def _import_dask():
    """Import Dask, which reads the user's settings; say in one line where they may be wrong."""
    try:
        import distributed  # noqa: F401
    except (ImportError, OSError):
        # It is not whole, or the system is short of something.
        raise
    except Exception as error:
        # What is set to another type than Dask expects raises errors of many kinds.
        places = [name for name in sorted(os.environ) if name.startswith("DASK_")]
        places.append("the files in ~/.config/dask and /etc/dask")
        raise ValueError(
            f"Dask does not start with the settings that it finds ({type(error).__name__}: "
            f"{reason_of(error)}): mend or remove them; they come from {', '.join(places)}"
        ) from None


def local_cluster(workers=None, threads=None):
    """Prepare workers on this machine, which live as long as a ``with`` block.

    Only this machine can reach them, and only with certificates made for this one time. Their
    files lie in a temporary folder that only this user can enter. Dask's settings, from a user's
    files or variables, do not count.

    Parameters
    ----------
    workers, threads : int, optional
        How many runs go on at once, and the threads of each: see `fit_machine`.

    Returns
    -------
    context manager
        It gives a distributed.Client and the number of threads.

    Raises
    ------
    ValueError, OSError
        If a number is not above 0, the folder for temporary files cannot be used, or programs of
        this machine cannot reach each other.
    """
    check_temporary_folder()
    _check_loopback()
    # The numbers are checked now, not when the block begins: by then, a sweep has made its folder.
    return _local_cluster(*fit_machine(workers, threads))


def _check_loopback():
    """Check that a program of this machine can reach another, for which Dask would wait minutes."""
    try:
        with socket.create_server((_LOCAL_HOST, 0)) as server:
            socket.create_connection(server.getsockname(), timeout=_LOCAL_SECONDS).close()
    except OSError as error:
        raise OSError(
            f"workers could not be reached on this machine itself ({_LOCAL_HOST}: "
            f"{reason_of(error)}): switch its loopback interface on (on Linux, ip link set lo up), "
            "or ask whoever runs this machine or container"
        ) from None


@contextmanager
def _local_cluster(workers, threads):
    import dask
    from distributed import Client

    from mnist_course.sweep.servers import private_settings

    before = tempfile.tempdir
    # What this process, the workers and their kernels leave when they are killed goes away with
    # this folder, or with the next sweep.
    with scratch_folder() as folder, dask.config.set(private_settings(str(folder))):
        # Dask writes the certificates' keys into temporary files while it reads them.
        tempfile.tempdir = str(folder)
        try:
            with (
                _loop_without_ctrl_c() as loop,
                _start_workers(workers, str(folder), loop) as cluster,
                Client(cluster) as client,
            ):
                yield client, threads
        finally:
            tempfile.tempdir = before
            # Dask puts its servers' folders there, and leaves them where others came before them.
            # Once they are gone, another user could make them anew, with modules to be imported.
            sys.path[:] = [path for path in sys.path if not path.startswith(str(folder))]


@contextmanager
def _loop_without_ctrl_c():
    """Give an event loop for Dask, in a thread that Ctrl-C does not reach.

    Ctrl-C reaches all processes of a terminal. Those that this thread starts inherit that they hear
    nothing of it, also while they import what they need; the command is what ends them.
    """
    from distributed.utils import LoopRunner

    runner = LoopRunner()
    with _ctrl_c_blocked():
        # A thread begins with the signals blocked that are blocked where it is started.
        runner.start()
    # What a stopped start leaves behind, asyncio would tell in many lines.
    log = logging.getLogger("asyncio")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield runner.loop
    except Exception:
        log.setLevel(level)
        raise
    else:
        log.setLevel(level)
    finally:
        # After Ctrl-C or a signal the program ends, and asyncio stays silent until then.
        runner.stop()


@contextmanager
def _ctrl_c_blocked():
    if not hasattr(signal, "pthread_sigmask"):
        # Windows.
        yield
        return
    _start_resource_tracker()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_resource_tracker():
    """Start Python's helper that cleans up after processes that were killed.

    Started with the first worker, it would let that worker hear of Ctrl-C; and what it cleans up,
    it would tell in many lines.
    """
    from multiprocessing import resource_tracker

    # Processes that Python starts inherit these.
    sys.warnoptions.append("ignore:resource_tracker")
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.pop()


def _start_workers(n_workers, folder, loop):
    """Start a scheduler, and workers in processes of their own, whose files lie in `folder`.

    Returns
    -------
    context manager
    """
    from distributed import Nanny, SpecCluster
    from distributed.deploy.spec import close_clusters
    from distributed.security import Security

    from mnist_course.sweep.servers import PrivateScheduler, PrivateWorker

    # This cluster is closed by its `with` block. When Python ends, Dask would try once more, and
    # show a traceback where a signal has stopped it halfway.
    atexit.unregister(close_clusters)
    security = Security.temporary()
    place = {
        "host": _LOCAL_HOST,
        "protocol": "tls://",
        "security": security,
        "dashboard": False,
    }
    worker = {
        **place,
        "worker_class": PrivateWorker,
        "local_directory": folder,
        "env": dict.fromkeys(_TEMPORARY_VARIABLES, folder),
        # One run at a time for each.
        "nthreads": 1,
        # Dask's own limit is off: it does not see the kernels.
        "memory_limit": 0,
        "silence_logs": logging.CRITICAL,
    }
    for _ in range(_MAX_TRIES):
        try:
            return SpecCluster(
                scheduler={"cls": PrivateScheduler, "options": {**place, "port": 0}},
                workers={number: {"cls": Nanny, "options": worker} for number in range(n_workers)},
                security=security,
                silence_logs=logging.CRITICAL,
                loop=loop,
            )
        except RuntimeError as error:
            # Dask says no more than that the nanny, who looks after a worker, did not start.
            reason = error
            refused = _find_system_error(error)
            if refused:
                raise OSError(_describe_refused(refused)) from None
    raise RuntimeError(
        f"nothing was run, for a worker ended while it started, {_MAX_TRIES} times in a row "
        f"({reason}): {_WHY_LOST}. A script of your own must call sweep below "
        '`if __name__ == "__main__":`, because each worker imports it'
    )


def _find_system_error(error):
    """Return the first of the errors that led to this one in which the system says no, or None."""
    while error is not None:
        # That another process has ended is no refusal, and may be good the next time.
        is_end = isinstance(error, (ConnectionError, ProcessLookupError, ChildProcessError))
        if isinstance(error, OSError) and error.errno and not is_end:
            return error
        error = error.__cause__ or error.__context__
    return None


def _describe_refused(error):
    reason = reason_of(error)
    advice = _START_ADVICE.get(error.errno, "see to it, then give the same command again")
    names = [name for name, value in os.environ.items() if value and value == error.filename]
    if names:
        # Such as SSLKEYLOGFILE.
        reason = f"{error.filename}: {reason}"
        advice = f"unset the variable {names[0]}, which names that file"
    return f"nothing was run, for the workers cannot start ({reason}): {advice}"


def join_cluster(address, *, threads=None, tls_ca_file=None, tls_cert=None, tls_key=None):
    """Prepare to join a Dask cluster that others started and others end.

    How private it is was decided where its scheduler and workers were started. On machines that
    others use too, start them with certificates (``--tls-ca-file``, ``--tls-cert``, ``--tls-key``;
    the address begins with tls://), with ``--local-directory`` naming a folder of mode 700 (by
    default Dask takes one in the temporary folder whoever made it), and without web servers
    (``--no-dashboard`` leaves ones that tell how the cluster is doing; they tell nothing once the
    variables ``DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES`` and
    ``DASK_DISTRIBUTED__WORKER__HTTP__ROUTES`` are ``[]``).

    Parameters
    ----------
    address : str or distributed.deploy.Cluster
        The scheduler's address, such as ``"tls://10.0.0.1:8786"``, or what one of Dask's packages
        for Slurm, Kubernetes and others made.
    threads : int, optional
        Threads of each run's computations, by default 1.
    tls_ca_file, tls_cert, tls_key : path-like, optional
        PEM files. Those that are left out are taken from Dask's configuration.

    Returns
    -------
    context manager
        It gives a distributed.Client and the number of threads, or raises a ConnectionError if no
        scheduler answers.

    Raises
    ------
    ValueError
        If `threads` is not above 0, or `address` or a file cannot be what is needed.
    """
    check_number("threads", threads, _MAX_THREADS)
    if isinstance(address, str):
        _check_address(address)
    files = {
        "tls_ca_file": tls_ca_file,
        "tls_client_cert": tls_cert,
        "tls_client_key": tls_key,
    }
    given = {name: str(file) for name, file in files.items() if file is not None}
    for file in given.values():
        # Dask reads each several times: a pipe would be empty then.
        if not Path(file).is_file():
            raise ValueError(f"there is no certificate or key in {file}: name a PEM file")
    return _join_cluster(address, threads or 1, given)


def _check_address(address):
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match[1]) > _MAX_PORT:
        raise ValueError(
            f"a scheduler's address must be such as tls://10.0.0.1:8786; received {address!r}"
        )


@contextmanager
def _join_cluster(address, threads, tls):
    _import_dask()
    from distributed import Client

    security = None
    if isinstance(address, str):
        security = _read_certificates(address, tls)
    scheduler = getattr(address, "scheduler_address", address)
    if not scheduler.startswith("tls://"):
        warnings.warn(
            f"{scheduler} is not a tls:// address: whoever can reach that port, or the network on "
            "the way, can read what is sent and run any program on the workers and here",
            # The line that calls `sweep`.
            stacklevel=5,
        )
    # Dask would log what goes wrong in many lines; our exceptions say it in one.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = Client(address, security=security, timeout=CONNECT_SECONDS)
    except (OSError, RuntimeError, ValueError) as error:
        # It is a RuntimeError when only one of both sides has certificates.
        raise ConnectionError(
            f"no scheduler answers at {scheduler} ({reason_of(error)}): check that it runs, the "
            "address, and that its certificates are the ones given here"
        ) from None
    with client:
        yield client, threads


def _read_certificates(address, tls):
    """Return what Dask needs to know of the certificates, or raise a ValueError."""
    from distributed.security import Security

    try:
        security = Security(**tls)
        context = security.get_connection_args("client").get("ssl_context")
    except OSError as error:
        raise ValueError(
            f"the certificates or their key cannot be used ({reason_of(error)}): three PEM files "
            "are needed, --tls-ca-file, --tls-cert and --tls-key"
        ) from None
    if context is None and address.startswith("tls://"):
        raise ValueError(
            f"{address} asks for certificates: name them with --tls-ca-file, --tls-cert and "
            "--tls-key (tls_ca_file, tls_cert and tls_key in Python)"
        )
    return security


def check_workers(client, data):
    """Check that all workers are alike: that a run would give the same result on each.

    Parameters
    ----------
    client : distributed.Client
    data : str
        Which digits the runs read, as `load_mnist` takes it.

    Returns
    -------
    dict
        The `describe_environment` of all workers.

    Raises
    ------
    ConnectionError
        If there is no worker, if workers are lost again and again while they are asked, or if the
        scheduler is lost.
    RuntimeError
        If a worker lacks this project or the digits, if its code is not the same as this
        process's, or if it differs from the other workers.
    """
    for _ in range(_MAX_TRIES):
        answers = _ask_workers(client, data)
        lost = [worker for worker, answer in answers.items() if _is_lost(answer)]
        # All workers can be lost between the moment when one was there and the question.
        if answers and not lost:
            return _compare_workers(answers)
    names = ", ".join(lost) or "all workers"
    raise ConnectionError(
        f"nothing was run, for contact to a worker was lost at the start, {_MAX_TRIES} times in a "
        f"row ({names}): {_WHY_LOST}"
    )


def _ask_workers(client, data):
    """Return each worker's answer, by its address."""
    from distributed import CancelledError
    from distributed.comm import CommClosedError

    try:
        client.wait_for_workers(1, timeout=_FIRST_WORKER_SECONDS)
        # Of a worker that does not answer, the answer is the exception.
        return client.run(try_to_describe, data, on_error="return")
    except TimeoutError:
        raise ConnectionError(
            f"no worker joined the scheduler in {_FIRST_WORKER_SECONDS} seconds"
        ) from None
    except (CancelledError, CommClosedError) as error:
        raise ConnectionError(SCHEDULER_LOST) from error


def _is_lost(answer):
    # Dask's errors of connections are OSErrors; those of the function itself come back as text.
    return isinstance(answer, OSError)


def _compare_workers(answers):
    """Return the environment of all workers, or raise a RuntimeError."""
    environments = [answer for answer in answers.values() if isinstance(answer, dict)]
    expected = {}
    if environments:
        # This process needs no back end and no digits of its own, but it must send the same code.
        expected = {**environments[0], **describe_package()}
    faults = {}
    for worker, answer in answers.items():
        fault = _find_fault(answer, expected)
        if fault:
            faults[worker] = fault
    if not faults:
        return expected
    if len(faults) == len(answers) and len(set(faults.values())) == 1:
        raise RuntimeError(f"nothing was run, for this holds for all workers: {fault}")
    lines = [f"\n  {worker}: {fault}" for worker, fault in faults.items()]
    raise RuntimeError(f"nothing was run, for workers must be alike:{''.join(lines)}")


def _find_fault(answer, expected):
    """Say what is wrong with a worker's answer, or return an empty text."""
    if isinstance(answer, dict):
        return compare_environments(answer, expected)
    if isinstance(answer, str):
        return answer
    # Dask may wrap the exception into another.
    if "No module named 'mnist_" in str(answer):
        return "it has no mnist_helpers: install this project there too"
    if "Can't get attribute" in str(answer):
        return "it has another version of this project: install this one there too"
    return f"{type(answer).__name__}: {reason_of(answer)}"
