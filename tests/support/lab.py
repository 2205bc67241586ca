"""A learner's JupyterLab, started for a test, and a page of it that asks no other host."""

import json
import os
import re
import shlex
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from support.project import ROOT

# In milliseconds, for a machine that is busy.
TIMEOUT = 100_000
FOREIGN = ("JUPYTER", "IPYTHON", "XDG_", "PYTHON", "MNIST_HELPERS", "KERAS", "MPL")
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}

RESTORED = """async () => {
    await window.jupyterapp?.restored;
    return Boolean(window.jupyterapp);
}"""
OPENED = """async name => {
    const panel = window.jupyterapp.shell.currentWidget;
    if (panel?.context?.path !== name) return false;
    await panel.context.ready;
    await panel.sessionContext.ready;
    await panel.sessionContext.session.kernel.info;
    return true;
}"""
# Noted while it runs: how many pictures the training's cell shows at a time, and which.
RUN = """() => {
    const app = window.jupyterapp;
    const cells = [...app.shell.currentWidget.context.model.cells];
    const outputs = cells.find(cell => cell.metadata.tags?.includes("train-model"))?.outputs;
    window.seen = {most: 0, pictures: new Set()};
    outputs?.changed.connect(() => {
        const shown = outputs.toJSON().map(output => output.data?.["image/png"]).filter(Boolean);
        window.seen.most = Math.max(window.seen.most, shown.length);
        shown.forEach(picture => window.seen.pictures.add(picture));
    });
    app.commands.execute("notebook:run-all-cells").then(() => { window.done = true; });
}"""
# The widget of the first cell that has a tag, scrolled to.
CELL = """async tag => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    const found = notebook.widgets.findIndex(each => each.model.metadata.tags?.includes(tag));
    await notebook.scrollToItem(found, "center");
    return notebook.widgets[found].node;
}"""
CELLS = "() => window.jupyterapp.shell.currentWidget.context.model.toJSON().cells"


@contextmanager
def learners_lab(folder):
    """Start what `make lab` starts, on `folder`/work, for somebody whose home is empty."""
    home = folder / "home"
    home.mkdir()
    work = folder / "work"
    work.mkdir(exist_ok=True)
    runtime = home / "runtime"
    command = _lab_command(work)
    with open(folder / "server.log", "w") as log:
        server = psutil.Popen(command, env=_lab_environment(home), stdout=log, stderr=log)
    try:
        address = _wait_for(server, runtime / f"jpserver-{server.pid}.json", log.name)
        yield SimpleNamespace(process=server, home=home, work=work, **address)
    finally:
        family = [server]
        if server.poll() is None:
            family += server.children(recursive=True)
            server.terminate()
        for left in psutil.wait_procs(family, timeout=30)[1]:
            left.kill()


def _lab_command(work):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    options = re.search(r"-m jupyterlab \\\n(.+) \$\(ARGS\)", makefile)[1]
    learners = shlex.split(options.replace("$$PWD/work", str(work)))
    for_the_test = [
        "--ServerApp.port=0",
        "--no-browser",
        "--allow-root",
        "--LabApp.expose_app_in_browser=True",
        "--JupyterNotebookApp.expose_app_in_browser=True",
    ]
    return [sys.executable, "-m", "jupyterlab", *learners, *for_the_test]


def _lab_environment(home):
    environment = {}
    for name, value in os.environ.items():
        if not name.startswith(FOREIGN):
            environment[name] = value
    scripts = str(Path(sys.executable).parent)
    return environment | {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "MNIST_HELPERS_DATA": "digits",
        "PATH": os.pathsep.join([scripts, os.environ["PATH"]]),
    }


def _wait_for(server, file, log):
    """Return the server's url and token, which stand in a file of its own."""
    end = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < end:
        text = file.read_text() if file.exists() else ""
        # It is empty for a moment after it was made.
        if text:
            server_info = json.loads(text)
            return {"url": server_info["url"], "token": server_info["token"]}
        time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start: {Path(log).read_text()[-2000:]}")


@contextmanager
def open_page(browser, lab, address="lab?reset", **options):
    """Open JupyterLab; afterwards: nothing was asked of another host, no kernel goes on."""
    options = {"viewport": {"width": 1200, "height": 900}} | options
    page = browser.new_page(**options)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    page.goto(f"{lab.url}{address}&token={lab.token}")
    wait_until(page, RESTORED)
    yield page
    page.evaluate("window.jupyterapp.serviceManager.sessions.shutdownAll()")
    page.close()
    here = (lab.url, lab.url.replace("http", "ws"), "data:", "blob:")
    assert asked
    assert [url for url in asked if not url.startswith(here)] == []
    # These two the server would pass on to other hosts.
    assert [url for url in asked if "/lab/api/news" in url or "/lab/api/update" in url] == []


def wait_until(page, asynchronous, argument=None):
    """Wait until the function says so; Playwright's own waiting takes any promise for a yes."""
    end = time.monotonic() + TIMEOUT / 1000
    while not page.evaluate(asynchronous, argument):
        if time.monotonic() > end:
            pytest.fail(f"This did not come true: {asynchronous}")
        page.wait_for_timeout(50)


def open_notebook(page, name):
    page.locator(".jp-DirListing-item", has_text=name).dblclick()
    wait_until(page, OPENED, name)
