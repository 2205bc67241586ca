"""The workers of a sweep: processes on this machine, or a Dask cluster that is there already."""

import logging
import warnings
from contextlib import contextmanager

from mnist_course.sweep.fingerprint import describe_environment, describe_package
from mnist_course.sweep.worker import compare

KERNEL_BYTES = 2e9  # on MNIST, a kernel of notebook 02 takes 1.5e9
_DASK_SETTINGS = {
    # Dask looks at itself a hundred times a second and keeps its messages, each with a notebook.
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.worker.memory.monitor-interval": "5s",
    "distributed.worker.profile.enabled": False,
    "distributed.admin.log-length": 100,
    "distributed.admin.low-level-log-length": 100,
    # By default, a worker that is just being started again when Dask looks is given up.
    "distributed.deploy.lost-worker-timeout": "1000 days",
}
# Ctrl-C reaches all processes of a terminal; the workers are ended by the first of them.
_IGNORE_SIGINT = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
_SECONDS = 60  # to wait for a scheduler, and for its first worker


def check_number(name, number):
    """Raise a ValueError unless an option is None or above 0."""
    if number is not None and not number > 0:
        raise ValueError(f"{name} must be above 0; received {number}")


def fit_machine(workers=None, threads=None):
    """Choose how many runs go side by side on this machine, and the threads of each.

    Together they use each core once, and no more memory than there is. By default a run has one
    thread, since small networks gain more from a second run than from a second thread.
    """
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    check_number("workers", workers)
    check_number("threads", threads)
    if workers is None:
        room = max(1, int(MEMORY_LIMIT // KERNEL_BYTES))
        workers = min(max(1, CPU_COUNT // (threads or 1)), room)
    return workers, threads or max(1, CPU_COUNT // workers)


def local_cluster(workers=None, threads=None):
    """Prepare workers on this machine, which live as long as a ``with`` block.

    Only this machine can reach them, and only with certificates made for this one time.

    Parameters
    ----------
    workers : int, optional
        How many runs go side by side.
    threads : int, optional
        Threads of each run's computations. See `fit_machine` for both.

    Returns
    -------
    context manager
        It gives a distributed.Client and the number of threads.

    Raises
    ------
    ValueError
        If a number is not above 0.
    """
    return _local_cluster(*fit_machine(workers, threads))


@contextmanager
def _local_cluster(workers, threads):
    import dask
    from distributed import Client, Nanny, Scheduler, SpecCluster
    from distributed.security import Security

    security, quiet = Security.temporary(), logging.CRITICAL
    place = {"host": "127.0.0.1", "protocol": "tls://", "security": security}
    # Each has an HTTP server all the same, which without an address would serve every network.
    place |= {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    # One run at a time for each. Dask's limit of memory is off: it does not see the kernels.
    worker = place | {
        "nthreads": 1,
        "memory_limit": 0,
        "silence_logs": quiet,
        "preload": _IGNORE_SIGINT,
    }
    with dask.config.set(_DASK_SETTINGS):
        cluster = SpecCluster(
            scheduler={"cls": Scheduler, "options": place | {"port": 0}},
            workers={number: {"cls": Nanny, "options": worker} for number in range(workers)},
            security=security,
            silence_logs=quiet,
        )
        with cluster, Client(cluster) as client:
            yield client, threads


def join_cluster(address, *, threads=None, tls_ca_file=None, tls_cert=None, tls_key=None):
    """Prepare to join a Dask cluster that others started and others end.

    Parameters
    ----------
    address : str or distributed.deploy.Cluster
        The scheduler's, such as ``"tls://10.0.0.1:8786"``, or what one of Dask's packages for
        Slurm, Kubernetes and others made.
    threads : int, optional
        Threads of each run's computations, by default 1.
    tls_ca_file, tls_cert, tls_key : path-like, optional
        PEM files. What is not given is taken from Dask's configuration.

    Returns
    -------
    context manager
        It gives a distributed.Client and the number of threads, or raises a ConnectionError if no
        scheduler answers.

    Raises
    ------
    ValueError
        If `threads` is not above 0.
    """
    check_number("threads", threads)
    files = {"tls_ca_file": tls_ca_file, "tls_client_cert": tls_cert, "tls_client_key": tls_key}
    given = {name: str(file) for name, file in files.items() if file is not None}
    return _join_cluster(address, threads or 1, given)


@contextmanager
def _join_cluster(address, threads, tls):
    from distributed import Client
    from distributed.security import Security

    place = getattr(address, "scheduler_address", address)
    if not place.startswith("tls://"):
        warnings.warn(
            f"{place} is not a tls:// address: whoever can reach that port, or the network on "
            "the way, can read what is sent and run any program on the workers and here",
            stacklevel=4,
        )
    # What goes wrong is told once, by us.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        security = Security(**tls) if tls else None
        client = Client(address, security=security, timeout=_SECONDS / 4)
    except (OSError, RuntimeError) as error:  # the latter when one side alone has certificates
        raise ConnectionError(
            f"no scheduler answers at {place} ({error}): check that it runs, the address, and "
            "that its certificates are the ones given here"
        ) from None
    with client:
        yield client, threads


def check_workers(client, data):
    """Ask all workers for their `describe_environment`, and return it if it is the same everywhere.

    Raises a ConnectionError if there is no worker, and a RuntimeError if one lacks mnist_helpers,
    has another one than this process, differs from the others, or has not the digits `data` names.
    """
    try:
        client.wait_for_workers(1, timeout=_SECONDS)
    except TimeoutError:
        raise ConnectionError(f"no worker joined the scheduler in {_SECONDS} seconds") from None
    found = client.run(describe_environment, data, on_error="return")
    good = [answer for answer in found.values() if isinstance(answer, dict)]
    expected = good[0] | describe_package() if good else {}
    faults = []
    for worker, answer in found.items():
        if isinstance(answer, dict):
            fault = compare(answer, expected)
        elif "No module named 'mnist_" in str(answer):
            fault = "it has no mnist_helpers: install this project there too"
        else:
            fault = str(answer)
        faults += [f"\n  {worker}: {fault}"] if fault else []
    if faults:
        raise RuntimeError(f"nothing was run, for workers must be alike:{''.join(faults)}")
    return expected
