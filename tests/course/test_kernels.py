"""What happens to a notebook's kernel: who may reach it, and when it is ended."""

import gc
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from jupyter_client import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop
from support.notebooks import code, output_text, record_cell, write
from support.sweep_stub import gone, wait_until

from mnist_course.kernels import NOT_FOR_KERNELS, TOO_MUCH, Execution
from mnist_course.notebooks import read_notebook
from mnist_course.run import execute, write_executed
from mnist_helpers.scratch import scratch_folder

pytestmark = pytest.mark.slow

TELL_CONNECTION = """\
import os
from ipykernel.connect import get_connection_info
info = get_connection_info(unpack=True)
if info['transport'] == 'ipc':
    print(oct(os.stat(os.path.dirname(info['ip'])).st_mode & 0o777))
else:
    print(info['transport'], info['ip'], 'curve_publickey' in info)"""

NOT_STARTED = "the kernel did not start: Kernel died before replying to kernel_info"

# Python reads a module of this name at its start; this one lets the first kernels end at once.
FAIL_AT_FIRST = """\
import os, pathlib, sys
if 'kernel_program' in ' '.join(sys.orig_argv):
    with open({file!r}, 'a') as starts:
        starts.write('.')
    if os.path.getsize({file!r}) <= {failures}:
        os.write(2, b'Traceback: at home\\nKernelError: no luck\\n')
        os._exit(1)
"""


def run(folder, *cells, **options):
    notebook = read_notebook(write(folder / "01_stub.ipynb", *cells, record_cell()))
    executed, outcome = execute(notebook, "01_stub", parameters={}, **options)
    write_executed(executed, folder / "copy.ipynb")
    return outcome


@pytest.mark.parametrize("long", [False, True], ids=["sockets", "ports"])
def test_no_other_user_reaches_or_overhears_a_kernel(tmp_path, monkeypatch, long):
    # The path of `tmp_path` may be too long for a socket already.
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        expected = "0o700\n"
        if long:
            place = place / ("x" * 100)
            place.mkdir()
            expected = "tcp 127.0.0.1 True\n"
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        outcome = run(tmp_path, code(TELL_CONNECTION))
        assert outcome["error"] is None and list(place.iterdir()) == []
    assert output_text(tmp_path / "copy.ipynb") == expected


TELL_SETTINGS = f"""\
import os, sys
print(sys.executable, user_setting)
print([name for name in {list(NOT_FOR_KERNELS)!r} if name in os.environ])"""


def test_a_kernel_is_this_python_whatever_a_user_has_set(tmp_path, monkeypatch):
    kernel = tmp_path / "kernels" / "python3"
    kernel.mkdir(parents=True)
    spec = {"argv": ["/bin/false"], "display_name": "another", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    profile = tmp_path / "profile_default"
    (profile / "startup").mkdir(parents=True)
    setting = "user_setting = 'the user's'"
    for path in (profile / "startup" / "a.py", tmp_path / "startup.py"):
        path.write_text(setting)
    for name in ("ipython_config.py", "ipython_kernel_config.py"):
        (profile / name).write_text(f"c.InteractiveShellApp.exec_lines = [{setting!r}]")
    for name in NOT_FOR_KERNELS:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "startup.py"))
    # With one of these, IPython does not answer, or ends at once.
    for name in ("SOURCE_DATE_EPOCH", "IPYTHON_SUPPRESS_CONFIG_ERRORS"):
        monkeypatch.setenv(name, "no number")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.delenv("JUPYTER_PREFER_ENV_PATH", raising=False)
    monkeypatch.setenv("JUPYTER_DEFAULT_PROVISIONER_NAME", "another")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    cell = code("user_setting = globals().get('user_setting')\n" + TELL_SETTINGS)
    assert run(tmp_path, cell, timeout=60)["error"] is None
    # MPLBACKEND is there again: ipykernel has set it.
    assert output_text(tmp_path / "copy.ipynb") == f"{sys.executable} None\n['MPLBACKEND']\n"


@pytest.mark.parametrize(
    ("failures", "error"),
    [(2, None), (3, f"{NOT_STARTED}: KernelError: no luck")],
    ids=["at last", "never"],
)
def test_a_kernel_that_does_not_start_is_tried_three_times(tmp_path, failures, error):
    starts = tmp_path / "starts"
    module = FAIL_AT_FIRST.format(file=str(starts), failures=failures)
    (tmp_path / "sitecustomize.py").write_text(module)
    outcome = run(tmp_path, environment={"PYTHONPATH": str(tmp_path)})
    assert outcome["error"] == error
    assert outcome["started"] == (error is None)
    assert starts.read_text() == "..."


# Python reads a module of this name at its start; this one lets the first kernel take for ever.
WAIT_AT_FIRST = """\
import os, sys, time
if 'kernel_program' in ' '.join(sys.orig_argv):
    with open({file!r}, 'a') as starts:
        starts.write('.')
    if os.path.getsize({file!r}) == 1:
        time.sleep(3600)
"""


def test_a_kernel_that_takes_too_long_to_start_gets_another_try(tmp_path, monkeypatch):
    starts = tmp_path / "starts"
    (tmp_path / "sitecustomize.py").write_text(WAIT_AT_FIRST.format(file=str(starts)))
    start_seconds = Execution.start_seconds
    # The first time it is the shortest; then, as long as ever.
    seconds = [1]
    monkeypatch.setattr(
        Execution, "start_seconds", lambda self: seconds.pop() if seconds else start_seconds(self)
    )
    outcome = run(tmp_path, environment={"PYTHONPATH": str(tmp_path)})
    assert outcome["error"] is None and outcome["started"]
    assert starts.read_text() == ".."


def test_a_kernel_that_cannot_be_ended_as_usual_is_ended_all_the_same(tmp_path, monkeypatch):
    pids = tmp_path / "pids"
    module = f"""\
import os, sys, time
if 'kernel_program' in ' '.join(sys.orig_argv):
    with open({str(pids)!r}, 'a') as file:
        print(os.getpid(), file=file)
    time.sleep(3600)
"""
    (tmp_path / "sitecustomize.py").write_text(module)

    async def fail(manager, **options):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(AsyncKernelManager, "shutdown_kernel", fail)
    monkeypatch.setattr(Execution, "start_seconds", lambda self: 5)
    outcome = run(tmp_path, environment={"PYTHONPATH": str(tmp_path)})
    assert outcome["error"].startswith("the run could not go on: Too many open files")
    (pid,) = pids.read_text().split()
    wait_until(lambda: gone(int(pid)))


def test_no_line_is_lost_however_fast_they_come(tmp_path):
    n_lines = 10_000
    lines = f"for number in range({n_lines}): print(number, flush=True)"
    assert run(tmp_path, code(lines, "lines"))["error"] is None
    (cell,) = [one for one in read_notebook(tmp_path / "copy.ipynb").cells if "lines" in tags(one)]
    text = "".join(output.text for output in cell.outputs)
    assert text.split() == [str(number) for number in range(n_lines)]


def tags(cell):
    return cell.metadata.get("tags", [])


def test_a_kernel_has_minutes_to_start_unless_the_run_has_fewer():
    options = {"name": "01", "folder": None, "environment": {}, "bar": False}
    assert Execution(deadline=None, **options).start_seconds() >= 180
    soon = time.monotonic() + 5
    assert Execution(deadline=soon, **options).start_seconds() <= 5


def test_an_event_loop_that_runs_in_another_thread_is_left_alone(tmp_path):
    # A thread of Dask's begins with a copy of the context in which such a loop is kept.
    loop = ensure_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        assert run(tmp_path)["error"] is None
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def test_after_a_time_out_nothing_waits_any_more(tmp_path, caplog):
    wait = code("import time\ntime.sleep(30)", "wait")
    thread = threading.Thread(target=run, args=(tmp_path, wait), kwargs={"timeout": 3})
    thread.start()
    thread.join()
    # asyncio complains when what waited is cleared away.
    gc.collect()
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


@pytest.mark.parametrize("timeout", [0.001, 3], ids=["before the first cell", "in a cell"])
def test_the_time_out_is_for_the_whole_run(tmp_path, timeout):
    outcome = run(tmp_path, code("import time\ntime.sleep(30)", "wait"), timeout=timeout)
    assert outcome["error"] == f"time-out: the run was not done after {timeout} seconds"
    assert outcome["record"] is None


# As long as this computes, no other thread of the kernel gets its turn. Only Linux ends it even so.
WITHOUT_END = "pathlib.Path('busy').touch()\nmax(range(10**12))"
if sys.platform != "linux":
    WITHOUT_END = "pathlib.Path('busy').touch()\nimport time\ntime.sleep(600)"
STOPS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}


@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
def test_a_stopped_command_leaves_no_kernel_and_no_files(tmp_path, monkeypatch, number):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    write(
        tmp_path / "notebooks" / "01_long.ipynb",
        code("import os, pathlib\npathlib.Path('pid').write_text(str(os.getpid()))"),
        code(WITHOUT_END, "wait"),
    )
    log = tmp_path / "log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "mnist_course", "run"],
            cwd=tmp_path,
            stderr=stderr,
            # Started in the background of a shell, the tests have been told to ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    wait_until((tmp_path / "busy").exists, seconds=60)
    bar = log.read_text()
    process.send_signal(number)
    process.wait(timeout=60)
    error = log.read_text()
    assert "01_long: wait" in bar
    assert process.returncode == STOPS[number] and "Traceback" not in error
    if number == signal.SIGTERM:
        assert error.endswith("mnist-course: stopped by SIGTERM; what was finished is kept\n")
    wait_until(lambda: gone(int((tmp_path / "pid").read_text())), seconds=20)
    if number == signal.SIGKILL:
        # Nobody could remove it; the next command does.
        assert list(temporary.iterdir())
        with scratch_folder(temporary):
            pass
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "runtime").exists()
    assert [path.name for path in (tmp_path / "results").iterdir()] == [".lock"]


def test_a_cell_that_prints_without_end_is_ended_and_says_so(tmp_path):
    endless = """\
while True:
    try:
        print('\\n' * 1_000_000)
    except BaseException:
        pass"""
    notebook = read_notebook(write(tmp_path / "01_stub.ipynb", code(endless, "endless")))
    _, outcome = execute(notebook, "01_stub", parameters={}, timeout=300)
    assert outcome["error"] == f"TooMuchOutput: {TOO_MUCH}"
    assert outcome["cell"] == "endless"
