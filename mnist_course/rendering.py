"""The process that makes a page's HTML with nbconvert, within limits of time and memory.

Somebody else's notebook can ask for more than all time there is: parsers of Markdown, of code and
of HTML take a time that grows with the square of what they read (80,000 times ``[``: 17 seconds),
or worse, and new cases are found with each version. So they work in a process that is ended when
a page takes too long. `pages` then shows the notebook as it was written, which costs next to
nothing.
"""

import atexit
import html
import importlib.metadata
import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import unquote

from mnist_course.markup import clean_markup, shorten_text, takes_too_long

TEMPLATES = Path(__file__).parent / "template"

# A page of the course takes 0.3 to 0.9 seconds.
MAX_CPU_SECONDS = 5
# For systems without a limit of CPU time, and for a process that waits; starting takes 2 seconds.
MAX_WALL_SECONDS = 60
# A page of the course takes 0.25 GB.
MAX_MEMORY = 2_000_000_000

# Longer ones are shown as they were written, so that one cell does not use up a page's time: of
# the worst ones, this many take a second. The longest cell of the course has 2,700 characters.
MAX_STYLED_CHARACTERS = 15_000
SHOWN_AS_WRITTEN = "[Shown as it was written: there is too much of it for more.]"

# Longer texts are shown without their colors.
MAX_COLORED_CHARACTERS = 50_000

# What is wider does not fit on a phone, and scrolls there: characters in a line.
MAX_LINE_LENGTH = 30

# The first of these that an output has is in the page; scripts and widgets never are.
OUTPUT_TYPES = [
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/plain",
]

# One of the files that nbconvert is installed with, below ``share/jupyter``.
TEMPLATE_OF_NBCONVERT = ("nbconvert", "templates", "base", "null.j2")
ATTACHMENT = "attachment:"

# The Tab key stops here, so that the arrow keys can scroll; screen readers say the label.
TAB_STOP = 'tabindex="0" role="group" aria-label="{label}"'

# Between the two processes: how many bytes of JSON follow. An empty text is no page.
LENGTH = struct.Struct("<Q")
# -I: no variable and nothing in the current folder reaches in. Modules are found as they are here.
PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from mnist_course.rendering import serve
serve()
"""


# --- this end: the process that asks ------------------------------------------------------------


class _Renderer:
    """The second process, and the pipes to it; it is kept, since nbconvert takes long to import."""

    def __init__(self):
        self._process = None
        self._owner = None
        # Pages of several threads are made one after the other.
        self._lock = threading.Lock()

    def ask(self, request):
        """Return the HTML of a page, or None if it cannot be made within the limits."""
        message = json.dumps(request).encode("ascii")
        with self._lock:
            try:
                return self._ask(message)
            except (OSError, EOFError):
                # It was ended, or no process can be started.
                self.stop()
            except BaseException:
                # After Ctrl-C, the rest of this answer would be taken for the next one.
                self.stop()
                raise
        return None

    def _ask(self, message):
        # A copy that `os.fork` made leaves the process to the one that started it.
        is_ours = self._owner == os.getpid()
        if self._process is None or not is_ours or self._process.poll() is not None:
            self.stop()
            self._process = _start()
            self._owner = os.getpid()
        process = self._process
        # Killing it is what ends every wait for it, on all systems.
        timer = threading.Timer(MAX_WALL_SECONDS, process.kill)
        timer.daemon = True
        timer.start()
        try:
            process.stdin.write(LENGTH.pack(len(message)))
            process.stdin.write(message)
            process.stdin.flush()
            return json.loads(_receive(process.stdout)) or None
        finally:
            timer.cancel()

    def stop(self):
        """End the process; the next page starts a new one."""
        process = self._process
        self._process = None
        if process is not None and self._owner == os.getpid():
            process.kill()
            # What was not sent cannot be sent any more: closing would try.
            process.stdin.detach().close()
            process.stdout.close()
            process.wait()


_renderer = _Renderer()
atexit.register(_renderer.stop)


def render_page(request):
    """Make the HTML of a page in the second process.

    Parameters
    ----------
    request : dict
        As `make_page` takes it; JSON can hold all of it.

    Returns
    -------
    str or None
        None if that takes more than the limits allow, or fails.
    """
    return _renderer.ask(request)


def _start():
    # "" is the current folder.
    folders = [os.path.abspath(folder) for folder in sys.path]
    return subprocess.Popen(
        [sys.executable, "-I", "-c", PROGRAM, json.dumps(folders)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Parsers tell there what is odd about a notebook.
        stderr=subprocess.DEVNULL,
        # Any folder but the current one, which Windows could not remove as long as it runs.
        cwd=Path(__file__).parent,
        # Ctrl-C is for the process that asks.
        start_new_session=True,
    )


def _receive(pipe):
    (length,) = LENGTH.unpack(_read_all(pipe, LENGTH.size))
    return _read_all(pipe, length)


def _read_all(pipe, size):
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return data


# --- the other end: the process that makes pages ------------------------------------------------


def serve():
    """Make pages until the other end is closed."""
    requests = sys.stdin.buffer
    # Nothing else may come between the answers.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _limit_memory()
    while True:
        try:
            message = _receive(requests)
        except (EOFError, struct.error):
            return
        _limit_time()
        reply = json.dumps(_make_or_fail(message)).encode("ascii")
        replies.write(LENGTH.pack(len(reply)))
        replies.write(reply)
        replies.flush()


def _make_or_fail(message):
    try:
        return make_page(json.loads(message))
    except Exception:
        # The parsers of what strangers have written raise errors of many kinds.
        return ""


def _limit_time():
    # Windows has no such timer.
    if hasattr(signal, "setitimer"):
        # What ran before this one may have left the signal ignored or blocked.
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPROF])
        signal.setitimer(signal.ITIMER_PROF, MAX_CPU_SECONDS)


def _limit_memory():
    try:
        import resource
    except ModuleNotFoundError:
        # Windows: there, the limits of a notebook's size have to do.
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = MAX_MEMORY
    if most != resource.RLIM_INFINITY:
        limit = min(limit, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))


def make_page(request):
    """Make the HTML of a page, whatever that takes.

    Parameters
    ----------
    request : dict
        ``title``, a str; ``cells``, as `pages` prepares them; and ``outcome``, that of the run.

    Returns
    -------
    str
    """
    import nbformat

    notebook = nbformat.v4.new_notebook(metadata={"title": request["title"]})
    notebook.cells = nbformat.from_dict(request["cells"])
    resources = {"outcome": request["outcome"]}
    body, _ = _make_exporter().from_notebook_node(notebook, resources)
    return _add_tab_stops(body)


def _make_exporter():
    """Return nbconvert's exporter with our template; nothing of the user's own is in it."""
    from nbconvert import HTMLExporter

    class PageExporter(HTMLExporter):
        def get_prefix_root_dirs(self):
            # Jupyter would look into JUPYTER_PATH and the home directory first: a template `lab`
            # there would replace the one that ours extends.
            return [str(_installed_share())]

    exporter = PageExporter(
        template_name="page",
        extra_template_basedirs=[str(TEMPLATES)],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        sanitize_html=True,
        filters={"highlight_code": _color_code},
    )
    # nbconvert's own would take tables apart. Prose, outputs and code all go through it.
    exporter.register_filter("clean_html", _clean)
    exporter.register_filter("markdown2html", _make_markdown_filter())
    # It serves old notebooks alone, and takes links to a folder `files` apart.
    exporter.register_filter("strip_files_prefix", _leave)
    exporter.register_filter("ansi2html", _color_text)
    exporter.config.NbConvertBase.display_data_priority = OUTPUT_TYPES
    return exporter


def _installed_share():
    """Return the folder ``share/jupyter`` that nbconvert was installed with."""
    # Not always in `sys.prefix`: a user's own packages lie elsewhere.
    for file in importlib.metadata.files("nbconvert") or []:
        if file.parts[-4:] == TEMPLATE_OF_NBCONVERT:
            return Path(file.locate()).resolve().parents[3]
    return Path(sys.prefix, "share", "jupyter")


# --- filters of the template --------------------------------------------------------------------


class _OwnMarkup(str):
    """HTML of our own, or cleaned already."""


def _clean(text):
    if isinstance(text, _OwnMarkup):
        return text
    return clean_markup(text)


def _leave(text):
    return text


def _as_written(text):
    """Return HTML that shows a text as it is, with a sentence that says so."""
    text = html.escape(shorten_text(text))
    sentence = f'<p class="cell-name">{SHOWN_AS_WRITTEN}</p>'
    return _OwnMarkup(f'{sentence}\n<div class="highlight"><pre>{text}</pre></div>')


def _color_code(source, metadata=None):
    """Return code as HTML, with colors if it is not too long."""
    from nbconvert.filters import Highlight2HTML

    if len(source) > MAX_STYLED_CHARACTERS:
        return _as_written(source)
    # Not to be cleaned: it holds nothing but what Pygments has escaped, and a tag for each word.
    return _OwnMarkup(Highlight2HTML()(source, metadata=metadata))


def _make_markdown_filter():
    import jinja2
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class PageRenderer(IPythonRenderer):
        def image(self, text, url, title=None):
            if not url.startswith(ATTACHMENT):
                return super().image(text, url, title)
            name = url.removeprefix(ATTACHMENT)
            # JupyterLab writes a space as %20.
            for known in (name, unquote(name)):
                if self.attachments.get(known):
                    return super().image(text, ATTACHMENT + known, title)
            return f"{text} [the picture {html.escape(unquote(name))} is not in the notebook]"

    @jinja2.pass_context
    def convert(context, source):
        """Return Markdown as clean HTML if it is not too long."""
        if len(source) > MAX_STYLED_CHARACTERS:
            return _as_written(source)
        attachments = context.get("cell", {}).get("attachments", {})
        renderer = PageRenderer(escape=False, attachments=attachments)
        markup = MarkdownWithMath(renderer=renderer).render(source)
        if takes_too_long(markup):
            return _as_written(source)
        return _OwnMarkup(clean_markup(markup))

    return convert


def _color_text(text):
    """Return a text output as HTML; a long one loses its colors, and its end.

    The time that nbconvert takes for colors grows with the square of the length: 160,000 colored
    lines took a minute.
    """
    from nbconvert.filters import ansi2html, strip_ansi

    if len(text) > MAX_COLORED_CHARACTERS:
        text = shorten_text(strip_ansi(text))
    return ansi2html(text)


def _add_tab_stops(body):
    """Let the Tab key stop where arrow keys may have to scroll, on a phone at least."""
    text_stop = TAB_STOP.format(label="Text")
    figure_stop = TAB_STOP.format(label="Figure")
    table_stop = TAB_STOP.format(label="Table")

    def add_to_wide_text(match):
        block = match[0]
        text = html.unescape(re.sub("<[^>]*>", "", block))
        if any(len(line) > MAX_LINE_LENGTH for line in text.splitlines()):
            block = block.replace("<pre", f"<pre {text_stop}", 1)
        return block

    # nbconvert lets the key stop at every cell.
    body = re.sub(r'(<div\b[^>]*) tabindex="0"', r"\1", body)
    body = re.sub(r"<pre\b.*?</pre>", add_to_wide_text, body, flags=re.DOTALL)
    body = re.sub(r"(<div [^>]*\bwide\b[^>]*)>", rf"\1 {figure_stop}>", body)
    body = re.sub(r"<table\b", f'<div class="table" {table_stop}><table', body)
    return body.replace("</table>", "</table></div>")
