"""A learner's JupyterLab, started for a test, and a page of it that asks no other host."""

import asyncio
import json
import os
import re
import socket
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from jupyter_client.session import Session
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from support.project import ROOT

# In milliseconds, for a machine that is busy.
TIMEOUT = 100_000
FOREIGN = ("JUPYTER", "IPYTHON", "XDG_", "PYTHON", "MNIST_HELPERS", "KERAS", "MPL")
COMMAND = [sys.executable, "-P", "-m", "mnist_course.lab"]
FOR_THE_TEST = [
    "--ServerApp.port=0",
    "--no-browser",
    "--allow-root",
    "--LabApp.expose_app_in_browser=True",
    "--JupyterNotebookApp.expose_app_in_browser=True",
]
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
def learners_lab(folder, *options, **settings):
    """Start what `make lab` starts, in `folder`, for somebody whose home is empty."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    work = folder / "work"
    environment = _lab_environment(home) | settings
    with open(folder / "server.log", "w") as log:
        server = psutil.Popen(
            [*COMMAND, *FOR_THE_TEST, *options], cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        url, token = _wait_for(server, Path(log.name))
        yield SimpleNamespace(
            process=server, home=home, work=work, log=Path(log.name), url=url, token=token
        )
    finally:
        family = [server]
        if server.poll() is None:
            family += server.children(recursive=True)
            server.terminate()
        for left in psutil.wait_procs(family, timeout=30)[1]:
            left.kill()


def _lab_environment(home):
    environment = {}
    for name, value in os.environ.items():
        if not name.startswith(FOREIGN):
            environment[name] = value
    return environment | {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "MNIST_HELPERS_DATA": "digits",
        # The test works in a folder that has no packages.
        "PYTHONPATH": str(ROOT),
    }


def _wait_for(server, log):
    """Return the server's url and token, from the address that it tells people to open."""
    end = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < end:
        shown = re.search(r"(http://127\.0\.0\.1:(\d+)/)lab\?token=(\w+)", log.read_text())
        # On a busy machine it tells its address a moment before it answers there.
        if shown and _answers(int(shown[2])):
            return shown[1], shown[3]
        time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start: {log.read_text()[-2000:]}")


def _answers(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def ask(lab, path, data=None):
    """Return the server's answer to a request; one with data is sent by POST."""
    headers = {"Authorization": f"token {lab.token}"}
    request = urllib.request.Request(f"{lab.url}{path}", data, headers)
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def run_in_kernel(lab, kernel, code):
    """Execute code in a kernel of the server, and return what it printed."""
    return asyncio.run(_run_in_kernel(lab, kernel, code))


async def _run_in_kernel(lab, kernel, code):
    address = f"{lab.url.replace('http', 'ws')}api/kernels/{kernel}/channels?session_id=test"
    headers = {"Authorization": f"token {lab.token}"}
    socket = await websocket_connect(HTTPRequest(address, headers=headers))
    session = Session()
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    message = session.msg("execute_request", content) | {"channel": "shell", "buffers": []}
    await socket.write_message(json.dumps(message, default=str))
    printed = []
    while True:
        answer = json.loads(await asyncio.wait_for(socket.read_message(), TIMEOUT / 1000))
        if answer["parent_header"].get("msg_id") != message["header"]["msg_id"]:
            continue
        printed.append(answer["content"].get("text", ""))
        if answer["content"].get("execution_state") == "idle":
            socket.close()
            return "".join(printed)


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
