"""The workers of a sweep: how many, who can reach them, and that they must be alike."""

import contextlib
import errno
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
from distributed import Client, LocalCluster
from distributed.comm import CommClosedError
from support.project import ROOT
from support.sweep_stub import finished, gone, logs, read_log, tls_files, wait_until

import mnist_helpers
from mnist_course.sweep import join_cluster, local_cluster, sweep
from mnist_course.sweep.cluster import check_workers, fit_machine
from mnist_course.sweep.fingerprint import describe_environment

WITHOUT_PROJECT = (
    "import sys\nsys.modules['mnist_course'] = None\nfrom dask.__main__ import main\nmain()"
)


def test_workers_times_threads_fit_the_cores(monkeypatch):
    monkeypatch.setattr("dask.system.CPU_COUNT", 8)
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", 64e9)
    assert fit_machine() == (8, 1)
    assert fit_machine(workers=2) == (2, 4)
    assert fit_machine(threads=4) == (2, 4)
    assert fit_machine(threads=20) == (1, 20)
    assert fit_machine(workers=3, threads=5) == (3, 5)
    assert fit_machine(workers=20) == (20, 1)
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", 5e9)
    assert fit_machine() == (2, 4)
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", 1e9)
    assert fit_machine() == (1, 8)


@pytest.mark.parametrize("numbers", [{"workers": 0}, {"threads": -1}])
def test_numbers_that_are_not_above_0_are_refused(numbers):
    with pytest.raises(ValueError, match="must be above 0"):
        local_cluster(**numbers)


def test_a_cluster_that_another_package_made_is_joined_with_its_own_certificates(recwarn):
    options = {"processes": False, "protocol": "tls://", "dashboard_address": None}
    with LocalCluster(1, security=True, **options) as made:
        with join_cluster(made, threads=3) as (client, threads):
            assert threads == 3
            assert client.submit(sum, [1, 2]).result() == 3
    assert not [warning for warning in recwarn if "tls" in str(warning.message)]


def test_no_scheduler_there_is_said_in_one_line(folder, cluster, monkeypatch):
    monkeypatch.setattr("mnist_course.sweep.cluster.CONNECT_SECONDS", 1)
    with pytest.raises(ConnectionError) as error:
        with join_cluster(cluster.address, **tls_files(folder)):
            pass
    assert f"no scheduler answers at {cluster.address}" in str(error.value)
    assert "\n" not in str(error.value)


def test_certificates_that_are_missing_or_none_are_told_in_one_line(folder):
    (folder / "junk.pem").write_text("junk")
    files = tls_files(folder)
    for given, message in [
        ({}, "tls://127.0.0.1:9 asks for certificates: name them with --tls-ca-file"),
        ({"tls_ca_file": files["tls_ca_file"]}, "asks for certificates: name them"),
        (files | {"tls_key": folder / "junk.pem"}, "certificates or their key cannot be used"),
        (files | {"tls_ca_file": folder / "junk.pem"}, "certificates or their key cannot be used"),
    ]:
        with pytest.raises(ValueError) as error:
            with join_cluster("tls://127.0.0.1:9", **given):
                pass
        assert message in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [("[", "A dask config file at"), ("logging: {version: 99}", "Unsupported version: 99")],
)
def test_settings_with_which_dask_does_not_start_are_told_in_one_line(tmp_path, content, reason):
    (tmp_path / "bad.yaml").write_text(content)
    run = subprocess.run(
        [sys.executable, "-c", "from mnist_course.sweep import local_cluster; local_cluster()"],
        env=os.environ | {"DASK_CONFIG": str(tmp_path / "bad.yaml"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    line = run.stderr.splitlines()[-1]
    assert line.startswith("ValueError: Dask does not start with the settings that it finds (")
    assert reason in line and "they come from DASK_CONFIG" in line


def test_a_machine_whose_programs_cannot_reach_each_other_is_told_at_once(monkeypatch):
    def refuse(*address, **options):
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(OSError) as refused:
        local_cluster(1, 1)
    assert "127.0.0.1: Network is unreachable): switch its loopback interface on" in str(
        refused.value
    )


@pytest.mark.slow
def test_what_the_system_refuses_to_a_worker_is_told_with_its_cause(tmp_path, monkeypatch):
    missing = str(tmp_path / "none" / "keys")
    monkeypatch.setenv("SSLKEYLOGFILE", missing)
    with pytest.raises(OSError) as refused, local_cluster(1, 1):
        pass
    assert str(refused.value) == (
        f"nothing was run, for the workers cannot start ({missing}: No such file or directory): "
        "unset the variable SSLKEYLOGFILE, which names that file"
    )


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.EMFILE, "ulimit -n"), (errno.EFBIG, "ulimit -f"), (errno.EIO, "see to it")],
)
def test_dask_errors_that_hide_the_cause_are_searched_for_it(monkeypatch, number, advice):
    def fail(**options):
        # As Dask does: an assertion fails while an error is dealt with.
        assertion = AssertionError()
        assertion.__context__ = OSError(number, "the cause")
        raise RuntimeError("Nanny failed to start.") from assertion

    monkeypatch.setattr("distributed.SpecCluster", fail)
    with pytest.raises(OSError, match=rf"cannot start \(the cause\): .*{advice}"):
        with local_cluster(1, 1):
            pass


def list_listening():
    """List the addresses at which this process and those it started take connections."""
    this = psutil.Process()
    addresses = []
    for process in (this, *this.children(recursive=True)):
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                addresses.append(connection.laddr)
    return addresses


@pytest.mark.slow
def test_nothing_listens_beyond_this_machine_and_nothing_answers_without_certificates():
    before = list_listening()
    paths_before = list(sys.path)
    with local_cluster(2, 1) as (client, threads):
        assert threads == 1
        # One run at a time for each worker.
        assert sorted(client.nthreads().values()) == [1, 1]
        addresses = [address for address in list_listening() if address not in before]
        # The scheduler, and for each worker itself and the process that looks after it.
        assert len(addresses) == 5
        assert {address.ip for address in addresses} == {"127.0.0.1"}
        scheduler = client.scheduler.address
        assert scheduler.startswith("tls://")
        with pytest.raises(OSError):
            Client(scheduler.replace("tls://", "tcp://"), timeout=1)
        for address in addresses:
            with pytest.raises((urllib.error.HTTPError, OSError)):
                urllib.request.urlopen(f"http://127.0.0.1:{address.port}/status", timeout=2)
        assert sys.path != paths_before
        sys.path.insert(0, "added")
    sys.path.remove("added")
    # Nobody can make Dask's folders anew and have modules loaded from there.
    assert sys.path == paths_before


def find_workers():
    """Return the processes of a local cluster's workers, however young they are."""
    workers = []
    for child in psutil.Process().children():
        # A child that has just been killed is a zombie, or gone, and has no command line.
        with contextlib.suppress(psutil.NoSuchProcess):
            if "spawn_main" in " ".join(child.cmdline()):
                workers.append(child)
    return workers


class StubClient:
    """A client of Dask whose workers give these answers, one after the other."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def wait_for_workers(self, n_workers, timeout):
        pass

    def run(self, function, data, on_error):
        return self.answers.pop(0)


LOST = CommClosedError("in <TLS>: Stream is closed")


def test_a_worker_that_is_lost_while_it_is_asked_is_asked_again():
    environment = describe_environment("digits")
    client = StubClient({"a": environment, "b": LOST}, {}, {"a": environment, "c": environment})
    assert check_workers(client, "digits") == environment
    assert client.answers == []


@pytest.mark.parametrize("answers", [{"tls://x:1": LOST}, {"tls://x:1": TimeoutError()}, {}])
def test_a_worker_that_is_lost_again_and_again_is_told_as_that(answers):
    with pytest.raises(ConnectionError) as error:
        check_workers(StubClient(answers, answers, answers), "digits")
    assert "contact to a worker was lost at the start, 3 times in a row" in str(error.value)
    assert "alike" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (ImportError("No module named 'mnist_course'"), "it has no mnist_helpers: install"),
        (AttributeError("Can't get attribute 'x'"), "it has another version of this project: in"),
        (RuntimeError("AttributeError(\"Can't get attribute 'x'\")"), "it has another version of"),
        (RuntimeError("a\nb"), "RuntimeError: a b"),
    ],
)
def test_a_worker_without_this_code_is_told_as_that(answer, fault):
    answers = {"a": describe_environment("digits"), "b": answer}
    with pytest.raises(RuntimeError) as error:
        check_workers(StubClient(answers), "digits")
    head, line = str(error.value).splitlines()
    assert head == "nothing was run, for workers must be alike:"
    assert line.startswith(f"  b: {fault}")


def test_a_fault_of_all_workers_is_told_once():
    with pytest.raises(RuntimeError) as error:
        check_workers(StubClient({"a": "no such file", "b": "no such file"}), "digits")
    expected = "nothing was run, for this holds for all workers: no such file"
    assert str(error.value) == expected


@pytest.mark.slow
def test_workers_that_are_killed_at_the_start_are_replaced():
    before = find_workers()

    def kill_first_worker():
        wait_until(lambda: [process for process in find_workers() if process not in before])
        for process in find_workers():
            if process not in before:
                process.kill()
                before.append(process)

    killer = threading.Thread(target=kill_first_worker)
    killer.start()
    with local_cluster(1, 1) as (client, _):
        killer.join()
        (worker,) = [process for process in find_workers() if process not in before]
        # So it cannot answer before it is killed.
        worker.suspend()
        threading.Timer(1, worker.kill).start()
        assert check_workers(client, "digits")["dataset"]["name"] == "bundled digits"
        assert gone(worker.pid)


@pytest.mark.slow
def test_a_worker_that_is_away_for_long_comes_back():
    before = find_workers()
    with local_cluster(1, 1) as (client, _):
        (worker,) = [process for process in find_workers() if process not in before]
        worker.kill()
        before.append(worker)
        wait_until(lambda: [process for process in find_workers() if process not in before])
        (restarted,) = [process for process in find_workers() if process not in before]
        restarted.suspend()
        # Dask looks for a lost worker once, after 15 seconds, and by default gives it up then.
        with pytest.raises(TimeoutError):
            client.wait_for_workers(1, timeout=17)
        restarted.resume()
        assert client.submit(int, "7").result(timeout=60) == 7


@pytest.mark.slow
def test_workers_that_are_not_alike_stop_the_sweep_before_it_starts(folder, cluster):
    other = folder / "other" / "mnist_helpers"
    shutil.copytree(Path(mnist_helpers.__file__).parent, other)
    code = (other / "__init__.py").read_text()
    (other / "__init__.py").write_text(code.replace(mnist_helpers.__version__, "0.1"))
    cluster.scheduler()
    cluster.worker(MNIST_HELPERS_DATA="digits")
    cluster.worker(MNIST_HELPERS_DATA="digits", start=("-c", WITHOUT_PROJECT))
    cluster.worker(MNIST_HELPERS_DATA="digits", PYTHONPATH=f"{other.parent}{os.pathsep}{ROOT}")
    cluster.worker(MNIST_HELPERS_DATA=str(folder / "nothing.npz"))
    wait_until(lambda: all("Registered" in log for log in logs(folder, 1, 2, 3, 4)))
    with pytest.raises(RuntimeError) as error:
        sweep(
            folder / "stub.ipynb",
            {"seed": 1},
            output=folder / "out",
            cluster=join_cluster(cluster.address, **tls_files(folder)),
        )
    head, *faults = str(error.value).splitlines()
    assert head == "nothing was run, for workers must be alike:"
    assert len(faults) == 3
    text = "\n".join(faults)
    assert "it has no mnist_helpers: install this project there too" in text
    assert f"it has mnist_helpers 0.1, not {mnist_helpers.__version__}" in text
    assert "nothing.npz" in text
    assert "Traceback" not in text
    assert read_log(folder) == []
    assert finished(folder) == []


@pytest.mark.slow
def test_what_the_command_itself_leaves_lies_in_the_private_folder_too(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with local_cluster(1, 1):
        assert Path(tempfile.gettempdir()).parent == tmp_path
        assert [path.name[: len(".mnist-")] for path in tmp_path.iterdir()] == [".mnist-"]
    assert tempfile.gettempdir() == str(tmp_path)
    assert list(tmp_path.iterdir()) == []
