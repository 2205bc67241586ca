"""The kit: what is in it, what its scripts do, and that it works where no network is.

The tests marked `kit` build it with all its wheels and install from it; `make test-kit` runs them.
"""

import errno
import html.parser
import json
import os
import platform
import re
import shutil
import socket
import string
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from support.handouts import learner_faults, machine_names, names_found
from support.pretender import read_calls, write_pretender
from support.project import NOTEBOOKS, ROOT

from mnist_course import kit as kit_module
from mnist_course.kit import (
    FILES,
    command,
    copy_project,
    download_wheels,
    fill_page,
    install_dataset,
    make_kit,
    pack_dataset,
)
from mnist_course.notebooks import read_outcome
from mnist_helpers.data import load_mnist

KIT_FILES = ROOT / "mnist_course/kit_files"
SCRIPTS = {path.name: path.read_text("utf-8") for path in KIT_FILES.iterdir()}
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
HERE = f"{platform.system()} {platform.machine()}"


# --- what is in it -----------------------------------------------------------------------------


def file_names(folder):
    """Return the names of all files in a folder, without bytecode."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {path.relative_to(folder).as_posix() for path in paths}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a kit as it is before its wheels and digits come."""
    folder = tmp_path_factory.mktemp("files")
    copy_project(folder)
    fill_page(folder)
    return folder


def test_it_has_what_a_learner_needs_and_no_more(files):
    expected = {
        "mnist_helpers",
        "mnist_course",
        "notebooks",
        "pyproject.toml",
        "requirements.lock",
        "LICENSE",
        "README.md",
        "made-for.txt",
        *SCRIPTS,
    }
    assert {path.name for path in files.iterdir()} == expected
    for package in ("mnist_helpers", "mnist_course"):
        assert file_names(files / package) == file_names(ROOT / package)
    assert not list(files.rglob("__pycache__"))
    assert not list(files.rglob("*.pyc"))
    assert (files / "made-for.txt").read_text() == f"{VERSION} {HERE}\n"


def test_its_notebooks_are_the_learners(files):
    names = {path.name for path in (files / "notebooks").iterdir()}
    assert names == {path.name for path in NOTEBOOKS}
    for path in NOTEBOOKS:
        copy = nbformat.read(files / "notebooks" / path.name, 4)
        assert learner_faults(copy, nbformat.read(path, 4)) == []


def test_nothing_in_it_names_this_machine(files):
    names = machine_names()
    for path in files.rglob("*"):
        if path.is_file():
            text = path.read_text("utf-8", errors="ignore")
            assert names_found(text, names) == [], path.relative_to(files)


def test_without_all_packages_there_is_no_kit(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(kit_module, "ROOT", tmp_path)
    (tmp_path / "requirements.lock").write_text(f"no-such==1 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(OSError, match="pip could not download what requirements.lock lists"):
        download_wheels(tmp_path / "wheels")
    assert "no-such" in capfd.readouterr().err

    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "older").touch()
    monkeypatch.setattr(kit_module, "copy_project", lambda kit: (kit / "half").touch())
    with pytest.raises(OSError, match="pip could not download"):
        make_kit(tmp_path / "kit")
    assert [path.name for path in (tmp_path / "kit").iterdir()] == ["older"]


# --- the digits --------------------------------------------------------------------------------


def test_a_kit_has_mnist_only_where_it_can_be_had(tmp_path, monkeypatch):
    def nowhere(path):
        raise FileNotFoundError("MNIST could not be had")

    monkeypatch.setattr(kit_module, "load_mnist", nowhere)
    for variable in ("", "digits"):
        monkeypatch.setenv("MNIST_HELPERS_DATA", variable)
        pack_dataset(tmp_path / "mnist.npz")
    # Somebody has said where it is.
    monkeypatch.setenv("MNIST_HELPERS_DATA", "no/such/mnist.npz")
    with pytest.raises(FileNotFoundError):
        pack_dataset(tmp_path / "mnist.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return our cache's file, in a loader that takes only what holds the word good."""

    def load(path):
        if "good" not in Path(path).read_text():
            raise ValueError(f"{path}: not MNIST")

    monkeypatch.setattr(kit_module, "load_mnist", load)
    monkeypatch.setattr(kit_module.pooch, "os_cache", lambda name: tmp_path / name)
    return tmp_path / "mnist_helpers" / "mnist.npz"


@pytest.mark.parametrize(
    ("there", "ours", "kept"),
    [
        (None, "good", "good"),
        ("good", "good, newer", "good"),
        ("good", "bad", "good"),
        ("bad", "good", "good"),
        ("bad", "worse", "bad"),
        (None, "bad", None),
    ],
)
def test_good_digits_are_put_into_place_and_never_overwritten(cache, tmp_path, there, ours, kept):
    if there:
        cache.parent.mkdir()
        cache.write_text(there)
    (tmp_path / "kit.npz").write_text(ours)
    if kept == "good":
        install_dataset(tmp_path / "kit.npz")
    else:
        with pytest.raises(ValueError, match="kit.npz: not MNIST"):
            install_dataset(tmp_path / "kit.npz")
    assert (cache.read_text() if cache.exists() else None) == kept


def test_the_command_installs_the_digits_and_builds_nothing(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(kit_module, "make_kit", lambda target: pytest.fail("it builds a kit"))
    (tmp_path / "kit.npz").write_text("good")
    assert command(SimpleNamespace(install_dataset=str(tmp_path / "kit.npz"))) == 0
    assert cache.read_text() == "good"


def test_the_command_builds_the_kit_in_dist(monkeypatch, capsys):
    built = []

    def build(target):
        built.append(target)
        return 1234

    monkeypatch.setattr(kit_module, "make_kit", build)
    assert command(SimpleNamespace(install_dataset=None)) == 0
    assert built == [Path("dist/kit")]
    assert capsys.readouterr().out.endswith("dist/kit/ has 1,234 MB: open its START-HERE.html\n")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "copy the whole folder to where you may write"),
        (errno.EROFS, "copy the whole folder to where you may write"),
        (errno.ENOSPC, "free some disk space"),
        (errno.EEXIST, "give what has that name another one"),
    ],
)
def test_where_it_cannot_be_written_one_line_says_so_and_the_kit_of_before_stays(
    tmp_path, monkeypatch, number, words
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dist/kit").mkdir(parents=True)
    (tmp_path / "dist/kit/older").touch()

    def fail(kit):
        (kit / "half").touch()
        raise OSError(number, os.strerror(number), str(kit / "half"))

    monkeypatch.setattr(kit_module, "copy_project", fail)
    with pytest.raises(OSError, match=words) as caught:
        command(SimpleNamespace(install_dataset=None))
    assert "half cannot be written" in str(caught.value) and "\n" not in str(caught.value)
    assert file_names(tmp_path / "dist") == {"kit/older"}


def test_what_is_read_only_here_can_be_written_in_the_kit(tmp_path, monkeypatch):
    source = tmp_path / "mnist_course"
    (source / "kit_files").mkdir(parents=True)
    for path in (source / "kit_files/start", source / "a.py"):
        path.write_text("text")
        path.chmod(0o444)
    (source / "kit_files/start").chmod(0o555)
    for folder in (source / "kit_files", source):
        folder.chmod(0o555)
    (tmp_path / "kit").mkdir()
    kit_module._copy_files(source, tmp_path / "kit")
    kit_module._copy_files(source / "kit_files", tmp_path / "kit")
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "kit").rglob("*")}
    assert [name for name, mode in modes.items() if not mode & 0o200] == []
    assert modes["start"] & 0o100 and not modes["a.py"] & 0o100
    for folder in (source, source / "kit_files"):
        folder.chmod(0o755)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such files")
@pytest.mark.parametrize("kind", ["pipe", "nothing"])
def test_what_of_the_course_cannot_be_read_is_named(tmp_path, monkeypatch, kind):
    root = tmp_path / "course"
    root.mkdir()
    for package in kit_module.PACKAGES:
        (root / package / "kit_files").mkdir(parents=True)
    words = r"LICENSE cannot be read \(No such file or directory\): put it back"
    for name in FILES:
        (root / name).touch()
    (root / "LICENSE").unlink()
    if kind == "pipe":
        os.mkfifo(root / "mnist_course" / "a.py")
        words = r"a.py cannot be read \(it is a pipe, a socket or a device, not a file\)"
    monkeypatch.setattr(kit_module, "ROOT", root)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match=words):
        command(SimpleNamespace(install_dataset=None))
    assert file_names(tmp_path / "dist") == set()


@pytest.mark.parametrize("kind", ["fifo", "folder", "text", "nothing"])
def test_what_is_no_mnist_is_refused_in_one_line(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(kit_module.pooch, "os_cache", lambda name: tmp_path / name)
    path = tmp_path / "mnist.npz"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("no digits")
    with pytest.raises((OSError, ValueError)) as caught:
        command(SimpleNamespace(install_dataset=str(path)))
    assert "mnist.npz" in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "mnist_helpers/mnist.npz").exists()


# --- the page ----------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    """Collects what a page has: tags, attributes, and texts by the tag around them."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.attributes = {}
        self.texts = []
        self.around = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes |= {(tag, name): value for name, value in attributes}
        self.around = tag

    def handle_data(self, data):
        self.texts.append((self.around, data))


def page_faults(text):
    page = Page(text)
    faults = []
    levels = [int(tag[1]) for tag in page.tags if re.fullmatch("h[1-6]", tag)]
    if page.attributes.get(("html", "lang")) != "en":
        faults.append("no language")
    if page.tags.count("title") != 1 or page.tags.count("main") != 1:
        faults.append("not one title, or not one main part")
    steps = [after - before for before, after in zip(levels, levels[1:], strict=False)]
    if levels[:1] != [1] or levels.count(1) != 1 or max(steps, default=0) > 1:
        faults.append(f"headings {levels}")
    if {"script", "img", "iframe", "link"} & set(page.tags):
        faults.append("it fetches or runs something")
    if {name for _, name in page.attributes} & {"src", "href"}:
        faults.append("it leads elsewhere")
    if string.Template.pattern.search(text):
        faults.append("a gap is not filled")
    return faults


def test_the_page_is_whole_and_accessible(files):
    text = (files / "START-HERE.html").read_text("utf-8")
    assert page_faults(text) == []
    shown = " ".join(data for _, data in Page(text).texts)
    size = re.search(r"this folder has (\d+) MB", shown)
    assert f"{HERE} and Python {VERSION}" in shown and 0 < int(size[1]) < 20
    assert "Digits: the 1,797 of scikit-learn, not MNIST." in " ".join(shown.split())
    assert "not on macOS" in shown and "have not run this on Windows" in shown


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (' lang="en"', "", "no language"),
        ("<h2>", "<h3>", "headings"),
        ("<main>", "", "main part"),
        ("</main>", "<script></script></main>", "fetches or runs"),
        ("</main>", '<a href="https://example.org">x</a></main>', "elsewhere"),
        ("</main>", "$size</main>", "a gap"),
    ],
)
def test_a_fault_in_the_page_is_seen(files, old, new, fault):
    text = (files / "START-HERE.html").read_text("utf-8")
    assert old in text and fault in "\n".join(page_faults(text.replace(old, new)))


def test_the_page_names_the_digits(tmp_path):
    shutil.copy(KIT_FILES / "START-HERE.html", tmp_path)
    (tmp_path / "mnist.npz").write_bytes(bytes(2_000_000))
    assert fill_page(tmp_path) == 2
    text = (tmp_path / "START-HERE.html").read_text("utf-8")
    assert "<strong>Digits:</strong> MNIST.</p>" in text and "this folder has 2 MB" in text


def test_every_script_that_is_named_exists_and_every_failure_has_its_advice():
    page = SCRIPTS["START-HERE.html"]
    commands = re.findall(r"<pre><code>(?:sh|powershell .+ -File) (.+?)</code>", page)
    assert commands == ["install", "start", "install.ps1", "start.ps1"]
    for name, text in SCRIPTS.items():
        mentioned = set(re.findall(r"(?:\bsh|-File) ((?:start|install)(?:\.ps1)?)", text))
        assert mentioned, name
        assert mentioned <= set(SCRIPTS), name
    for title in (
        "is needed and",
        "This kit was made for",
        "The digits could not be put into place",
        "start with MEND",
    ):
        assert title in page.replace("starts", "start"), title
        assert title in SCRIPTS["install"] and title in SCRIPTS["install.ps1"], title
    # Both scripts leave the installation to this.
    installer = (ROOT / "mnist_course/install.py").read_text("utf-8")
    for title in ("No environment could be made here", "A file in wheels"):
        assert title in page and title in installer, title


# --- the scripts -------------------------------------------------------------------------------


def test_the_scripts_for_posix_and_windows_do_the_same():
    steps = [
        "made-for.txt",
        "-P mnist_course/install.py requirements.lock --wheels wheels",
        "-P -m mnist_course kit --install-dataset mnist.npz",
        "-P -m mnist_course doctor",
    ]
    for text in (SCRIPTS["install"], SCRIPTS["install.ps1"]):
        places = [text.index(step) for step in steps]
        assert places == sorted(places)


def test_jupyterlab_starts_as_make_starts_it():
    for text in (SCRIPTS["start"], SCRIPTS["start.ps1"], (ROOT / "Makefile").read_text("utf-8")):
        assert re.search(r"\.venv[/\\](bin|Scripts)[/\\]python -P -m mnist_course\.lab ", text)
        assert "JUPYTER_PREFER_ENV_PATH" in text


def test_windows_reads_its_scripts_in_any_encoding():
    assert SCRIPTS["install.ps1"].isascii() and SCRIPTS["start.ps1"].isascii()


needs_sh = pytest.mark.skipif(
    not shutil.which("sh") and os.environ.get("CI") != "true", reason="there is no sh here"
)

INSTALL_DATASET = "mnist_course kit --install-dataset mnist.npz"
CALLS = ["venv .venv", "requirements.lock", ".", "mnist_course doctor"]


@pytest.fixture
def folder(tmp_path):
    """Return a kit's folder, with a space in its name, and beside it a Python that pretends."""
    folder = tmp_path / "a kit"
    shutil.copytree(KIT_FILES, folder)
    (folder / "mnist_course").mkdir()
    for name in (
        "mnist_course/__init__.py",
        "mnist_course/install.py",
        "mnist_course/signals.py",
        *FILES,
    ):
        shutil.copy(ROOT / name, folder / name)
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "01 a.ipynb").write_text("new")
    (folder / "made-for.txt").write_text(f"3.99 {HERE}\n")
    (tmp_path / "bin").mkdir()
    write_pretender(tmp_path / "bin" / "python3.99", "3.99")
    return folder


def script(folder, name, *arguments, cwd=None, **settings):
    path = f"{Path(cwd or '.', folder).parent}/bin:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path} | settings
    command = ["sh", folder / name, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


@needs_sh
@pytest.mark.parametrize("name", ["install", "start"])
def test_the_shell_understands_its_scripts(name):
    run = subprocess.run(["sh", "-n", KIT_FILES / name], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


@needs_sh
@pytest.mark.parametrize(
    ("made_for", "settings", "words"),
    [
        (f"3.98 {HERE}", {}, 'Python 3.98 is needed and was not found, and "python3'),
        ("3.99 Windows AMD64", {}, f"made for Windows AMD64 and this computer is {HERE}:"),
        (f"3.99 {HERE}", {"VERSION": "3.9"}, "Python 3.99 is needed and was not found"),
        (f"3.99 {HERE}", {"NO_VENV": "1"}, "apt install python3.99-venv"),
    ],
)
def test_a_computer_that_will_not_do_gets_one_sentence(folder, made_for, settings, words):
    (folder / "made-for.txt").write_text(f"{made_for}\n")
    run = script(folder, "install", **settings)
    assert run.returncode == 1
    assert run.stdout == ""
    (sentence,) = run.stderr.splitlines()
    assert words in sentence
    assert read_calls(folder) == []
    assert not (folder / ".venv").exists()


@needs_sh
def test_it_installs_in_order_and_is_quick_the_second_time(folder):
    run = script(folder, "install", cwd=folder)
    assert run.returncode == 0 and run.stderr == ""
    assert run.stdout.splitlines()[-1] == "Ready. To open the notebooks: sh start"
    assert read_calls(folder) == CALLS
    assert script(folder, "install", cwd="/").returncode == 0
    assert read_calls(folder) == CALLS[3:]

    (folder / "mnist.npz").touch()
    assert script(folder, "install").returncode == 0
    assert read_calls(folder) == [INSTALL_DATASET, CALLS[3]]


@needs_sh
def test_what_is_half_done_or_moved_is_made_anew(folder):
    assert script(folder, "install", PIP="killed").returncode != 0
    assert read_calls(folder) == CALLS[:2]
    assert script(folder, "start").returncode == 1
    assert script(folder, "install").returncode == 0
    assert read_calls(folder) == CALLS

    # Killed again, while a later lock is installed: what worked before works on.
    with open(folder / "requirements.lock", "a") as lock:
        lock.write("# more\n")
    assert script(folder, "install", PIP="killed").returncode != 0
    read_calls(folder)
    assert script(folder, "start").returncode == 0
    read_calls(folder)
    assert script(folder, "install").returncode == 0
    assert read_calls(folder) == CALLS

    moved = folder.rename(folder.with_name("elsewhere"))
    assert script(moved, "start").returncode == 1
    assert script(moved, "install").returncode == 0
    assert read_calls(moved) == CALLS
    (moved / ".venv/bin/python").unlink()
    assert script(moved, "install").returncode == 0
    assert read_calls(moved) == CALLS


@needs_sh
@pytest.mark.parametrize(
    ("settings", "last", "words"),
    [
        ({"VENV_FAILS": "1"}, "venv .venv", "onto the computer's own disk"),
        ({"PIP": "hashes"}, "requirements.lock", "A file in wheels is damaged"),
        ({"PIP": "full"}, "requirements.lock", "What was there before is as it was"),
        (
            {"NO_DIGITS": "1"},
            "mnist_course kit --install-dataset mnist.npz",
            "digits could not be put",
        ),
        ({"ILL": "1"}, "mnist_course doctor", "the lines that start with MEND"),
    ],
)
def test_the_first_failure_stops_it_with_a_sentence(folder, settings, last, words):
    (folder / "mnist.npz").touch()
    run = script(folder, "install", **settings)
    assert run.returncode == 1
    assert words in run.stderr and "Ready" not in run.stdout
    assert run.stderr.splitlines()[-1].endswith(("START-HERE.html says what to do.", ".html."))
    assert read_calls(folder)[-1] == last


@needs_sh
def test_start_opens_jupyterlab_where_it_is_installed(folder):
    run = script(folder, "start")
    assert run.returncode == 1
    assert run.stderr == "Nothing is installed here yet: run sh install first.\n"
    assert not (folder / "work").exists()
    script(folder, "install")
    read_calls(folder)
    assert script(folder, "start", "--no-browser", cwd="/").returncode == 0
    assert read_calls(folder) == ["mnist_course.lab --no-browser"]


@needs_sh
@pytest.mark.parametrize("name", ["install", "start"])
def test_no_variable_leads_a_script_to_another_folder(folder, name):
    # CDPATH counts where the script is called by a path without a dot at its beginning.
    other = folder.parent / "other"
    (other / folder.name).mkdir(parents=True)
    script(folder, "install")
    read_calls(folder)
    run = script(Path(folder.name), name, cwd=folder.parent, CDPATH=str(other))
    assert (run.returncode, run.stderr) == (0, "")
    assert read_calls(folder) != []


# --- the whole kit, with no network ------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Build the kit, with all wheels, from the package index."""
    target = tmp_path_factory.mktemp("dist") / "kit"
    size = make_kit(target)
    yield target, size
    shutil.rmtree(target)


def without_network():
    """Return a command's prefix: no network, and nothing but the home folder can be written.

    Where the system gives no such thing, it is empty.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        return []
    missing = [tool for tool in ("unshare", "ip", "mount") if not shutil.which(tool)]
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"missing on this system: {', '.join(missing)}")
    steps = [
        "ip link set lo up",
        'mount --bind "$HOME" "$HOME"',
        "mount -o remount,bind,ro /",
        'cd "$PWD"',
        'exec "$@"',
    ]
    if missing:
        return []
    prefix = ["unshare", "--net", "--mount", "sh", "-c", " && ".join(steps), "sh"]
    trial = subprocess.run([*prefix, "true"], env=os.environ | {"HOME": "/proc"})
    return prefix if trial.returncode == 0 else []


class Computer:
    """A computer that has never seen the tutorial and has no network; it ends with the tests."""

    def __init__(self, home):
        self.home = home
        self.prefix = without_network()
        foreign = ("PIP_", "MNIST_HELPERS_", "XDG_", "KERAS_", "JUPYTER_", "PYTHON", "TF_")
        self.environment = {}
        for name, value in os.environ.items():
            if not name.startswith(foreign):
                self.environment[name] = value
        self.environment["HOME"] = str(home)
        self.environment["PATH"] = f"{Path(sys._base_executable).parent}:{os.environ['PATH']}"
        if not self.prefix:
            for name in ("http_proxy", "https_proxy", "all_proxy"):
                self.environment[name] = "http://127.0.0.1:9"
            self.environment["no_proxy"] = "127.0.0.1,localhost"

    def run(self, folder, *command, seconds=900):
        return subprocess.run(
            [*self.prefix, *command],
            cwd=folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )


@pytest.fixture(scope="module")
def computer(tmp_path_factory):
    home = tmp_path_factory.mktemp("a home")
    yield Computer(home)
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def installed(whole, computer):
    """Install from a copy of the kit; return the copy's folder, and what was said."""
    folder = computer.home / "class room" / "the kit"
    shutil.copytree(whole[0], folder)
    return folder, computer.run(folder, "sh", "install")


def python(computer, folder, *arguments, **options):
    return computer.run(folder, ".venv/bin/python", *arguments, **options)


def has_mnist():
    try:
        load_mnist("mnist")
    except FileNotFoundError:
        return False
    return True


@pytest.mark.kit
def test_the_whole_kit_fits_on_a_stick(whole):
    folder, size = whole
    print(f"the kit has {size} MB")
    assert 500 < size < 1500
    assert page_faults((folder / "START-HERE.html").read_text("utf-8")) == []
    wheels = list((folder / "wheels").iterdir())
    assert all(path.suffix == ".whl" for path in wheels)
    # The project itself is installed last, without a network: its build back end must be there.
    assert [path for path in wheels if path.name.startswith("hatchling-")]
    assert (folder / "mnist.npz").exists() == has_mnist()


@pytest.mark.kit
def test_the_computer_has_no_network(computer):
    if not computer.prefix:
        pytest.skip("this system gives no network of one's own; every index is disabled instead")
    devices = computer.run("/", "cat", "/proc/net/dev").stdout.splitlines()[2:]
    assert [line.split(":")[0].strip() for line in devices] == ["lo"]
    assert computer.run(ROOT, "touch", "x").returncode != 0
    assert computer.run(computer.home, "touch", "x").returncode == 0


@pytest.mark.kit
def test_it_installs_and_the_doctor_is_content(installed, computer):
    folder, run = installed
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1] == "Ready. To open the notebooks: sh start"
    doctor = python(computer, folder, "-m", "mnist_course", "doctor")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert "MEND" not in doctor.stdout
    by_name = computer.run(folder, ".venv/bin/mnist-course", "--help")
    assert by_name.returncode == 0, by_name.stderr
    name = "MNIST" if has_mnist() else "bundled digits"
    assert re.search(rf"Digits: {name}: [\d,]+ training", doctor.stdout), doctor.stdout
    # Without bytecode it would start slowly.
    assert list((folder / ".venv").rglob("keras/**/*.pyc"))
    # With this file JupyterLab does not ask whether it may fetch news.
    assert list((folder / ".venv/etc").rglob("default_setting_overrides.json"))


@pytest.mark.kit
def test_notebooks_run_to_their_ends(installed, computer):
    folder, _ = installed
    names = ["01_dense_network", "02_convolutional_network"]
    run = python(computer, folder, "-m", "mnist_course", "run", *names, "-p", "epochs=1")
    assert run.returncode == 0, run.stdout + run.stderr
    for name in names:
        outcome = read_outcome(folder / "results" / f"{name}.ipynb")
        assert outcome["error"] is None
        digits = outcome["record"]["digits"]["name"]
        assert digits == ("MNIST" if has_mnist() else "bundled digits")


SERVE = """
import json, subprocess, sys, time, urllib.request
options = ["--no-browser", "--allow-root", "--IdentityProvider.token=word"]
server = subprocess.Popen(["sh", "start", *options, f"--ServerApp.port={sys.argv[1]}"])
try:
    for _ in range(240):
        try:
            url = f"http://127.0.0.1:{sys.argv[1]}/api/contents?token=word"
            print(urllib.request.urlopen(url).read().decode())
            break
        except OSError:
            time.sleep(0.5)
finally:
    server.terminate()
    server.wait()
"""


@pytest.mark.kit
def test_jupyterlab_opens_the_learners_copies(installed, computer):
    folder, _ = installed
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    run = python(computer, folder, "-c", SERVE, str(port), seconds=200)
    listed = {item["name"] for item in json.loads(run.stdout)["content"]}
    assert listed == {path.name for path in (folder / "notebooks").iterdir()}


@pytest.mark.kit
def test_a_second_installation_keeps_what_is_there(installed, computer):
    folder, _ = installed
    (folder / "work").mkdir(exist_ok=True)
    (folder / "work" / "mine.txt").write_text("mine")
    made = (folder / ".venv/pyvenv.cfg").stat().st_mtime_ns
    run = computer.run(folder, "sh", "install")
    assert run.returncode == 0, run.stdout + run.stderr
    assert (folder / ".venv/pyvenv.cfg").stat().st_mtime_ns == made
    assert (folder / "work" / "mine.txt").read_text() == "mine"


@pytest.mark.kit
def test_a_damaged_wheel_is_refused(whole, computer):
    folder = computer.home / "damaged"
    shutil.copytree(whole[0], folder)
    (wheel,) = (folder / "wheels").glob("zict-*.whl")
    content = bytearray(wheel.read_bytes())
    content[len(content) // 2] ^= 1
    wheel.write_bytes(content)
    run = computer.run(folder, "sh", "install")
    assert run.returncode == 1
    assert "DO NOT MATCH THE HASHES" in run.stderr and wheel.name in run.stderr
    assert "A file in wheels is damaged" in run.stderr
    assert not list((folder / ".venv").rglob("numpy"))
    assert computer.run(folder, "sh", "start").returncode == 1
