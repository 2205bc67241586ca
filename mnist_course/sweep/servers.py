"""Dask's scheduler and workers without what another user of this machine could reach or change.

Importing this module takes a second, for Dask: `sweep.cluster` waits until it needs it.
"""

import signal
import tempfile

import dask
from distributed import Scheduler, Worker

_SETTINGS = {
    # Dask looks at itself a hundred times a second and keeps its messages, each with a notebook.
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.worker.memory.monitor-interval": "5s",
    "distributed.worker.profile.enabled": False,
    "distributed.admin.log-length": 100,
    "distributed.admin.low-level-log-length": 100,
    # By default, Dask gives up a worker that happens to be restarting when Dask looks.
    "distributed.deploy.lost-worker-timeout": "1000 days",
}


def private_settings(folder):
    """Return Dask's settings for a cluster whose files lie in a private folder.

    They are Dask's own defaults and ours. A user's settings, from files or variables, do not count:
    they could load code into the workers, or turn off the certificates.

    Parameters
    ----------
    folder : str
        By default, Dask's files lie in a folder whose name is known beforehand, and Dask takes it
        whoever made it.

    Returns
    -------
    dict
        For `dask.config.set`.

    Examples
    --------
    >>> private_settings("/private")["temporary-directory"]
    '/private'
    """
    defaults = dask.config.merge(*dask.config.defaults)
    return {**defaults, **_SETTINGS, "temporary-directory": folder}


class _NoWebServer:
    """A part of a Dask cluster that has no web server.

    Dask's would listen on a port of its own, without certificates, for whoever is on this machine;
    no setting turns it off.
    """

    def start_http_server(self, routes, dashboard_address, default_port=0, ssl_options=None):
        """Start none."""


class PrivateScheduler(_NoWebServer, Scheduler):
    """A scheduler that is reached with certificates only."""


class PrivateWorker(_NoWebServer, Worker):
    """A worker that is reached with certificates only.

    It does what Dask would do with a `preload` text, which it writes into a file for everybody to
    find: Ctrl-C reaches all processes of a terminal, and the workers ignore it, because the command
    ends them.
    """

    def __init__(self, *args, **kwargs):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if hasattr(signal, "pthread_sigmask"):
            # It was blocked while this process started; its kernels are to hear of it.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        # Asked again, Python names the folder in the variable TMPDIR, which has been set by now.
        tempfile.tempdir = None
        super().__init__(*args, **kwargs)
