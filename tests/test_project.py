"""The project agrees with itself: imports, locks, settings, sizes, and what make does.

Each check is a function that returns complaints, so that it is tried on planted mistakes too.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from mnist_helpers.evaluation import measured

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
DEV_LOCK = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
DEPENDENCIES = PYPROJECT["project"]["dependencies"]
EXTRAS = PYPROJECT["project"]["optional-dependencies"]

# Which of the eight teaching modules may import which: one way only.
MAY_IMPORT = {
    "data": set(),
    "preprocessing": set(),
    "models": set(),
    "evaluation": {"preprocessing"},
    "plotting": {"evaluation", "preprocessing"},
    "training": {"evaluation", "plotting", "preprocessing"},
    "pictures": set(),
    "drawing": {"evaluation", "models", "pictures", "plotting", "preprocessing"},
}
SUBPACKAGES = {  # lines at most
    "batch": 700,
    "classroom": 700,
    "exercises": 400,
    "own_digits": 400,
    "pages": 200,
    "sweep": 1000,
}
BACKENDS = {"jax", "tensorflow", "torch"}
NOT_IMPORTED = {  # declared all the same, because
    "cryptography": "distributed makes the certificates of a sweep with it",
    "ipykernel": "it is the kernel that runs the notebooks",
    "ipython": "the notebooks run in it, and display comes from it",
    "ipywidgets": "tqdm, which pooch imports, warns in a notebook that has none",
    "jinja2": "the templates of the exported pages are written in it",
    "jupyterlab": "make lab starts it",
    "notebook": "the pad is tried in it too",
    "nbval": "pytest runs the notebooks with it",
    "ruff": "make test calls it",
    "tensorflow": "it is Keras' default back end",
    "uv": "make lock calls it",
}


# --- imports and declared dependencies ---------------------------------------------------------


def source(path):
    """Return the Python code of a module, or of all code cells of a notebook."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    lines = "\n".join("".join(cell["source"]) for cell in cells).splitlines()
    return "\n".join(line for line in lines if not line.startswith(("%", "!")))


def sources(*folders):
    """Return {path: code} of all modules and notebooks in these folders of the project."""
    paths = [p for folder in folders for p in (ROOT / folder).rglob("*") if p.is_file()]
    return {
        path.relative_to(ROOT).as_posix(): source(path)
        for path in sorted(paths)
        if path.suffix in {".py", ".ipynb"} and ".ipynb_checkpoints" not in path.parts
    }


def imports(code):
    """Return the dotted names that code imports, lazily or not; relative ones as of the package."""
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = ("mnist_helpers",) if node.level else ()
            package = ".".join((*start, *filter(None, [node.module])))
            names |= {f"{package}.{alias.name}" for alias in node.names}
    return names


def third_party(code):
    """Return the distributions that code imports from, as {module: possible distributions}."""
    modules = {name.split(".")[0] for name in imports(code)}
    ours = {
        path.stem for folder in ("tests", "benchmarks") for path in (ROOT / folder).glob("*.py")
    }
    known = packages_distributions()
    return {
        module: {canonicalize_name(name) for name in known.get(module, [module])}
        for module in modules - ours - {"mnist_helpers"} - sys.stdlib_module_names
    }


def names_of(requirements):
    return {canonicalize_name(Requirement(line).name) for line in requirements}


def undeclared(files, declared):
    return [
        f"{path} imports {module}, which pyproject.toml does not declare for it"
        for path, code in files.items()
        for module, distributions in third_party(code).items()
        if not distributions & declared
    ]


def unused(files, declared):
    used = {
        name for code in files.values() for names in third_party(code).values() for name in names
    }
    return [
        f"{name} is declared and nothing imports it"
        for name in sorted(declared - used - set(NOT_IMPORTED))
    ]


def test_every_import_is_declared_and_everything_declared_is_used():
    ours = sources("mnist_helpers", "notebooks")
    checks = sources("tests", "benchmarks")
    dev = names_of(EXTRAS["dev"])
    assert ours and checks
    assert undeclared(ours, names_of(DEPENDENCIES)) == []
    assert undeclared(checks, names_of(DEPENDENCIES) | dev | BACKENDS) == []
    assert unused({**ours, **checks}, names_of(DEPENDENCIES) | dev) == []


def test_an_undeclared_or_unused_dependency_is_seen():
    lazy = (
        "import os\ndef f():\n    from sklearn.svm import SVC\n    import yaml.nodes, numpy as np\n"
    )
    assert undeclared({"a.py": lazy}, {"numpy", "scikit-learn"}) == [
        "a.py imports yaml, which pyproject.toml does not declare for it"
    ]
    assert undeclared({"a.py": lazy}, {"numpy", "pyyaml", "scikit-learn"}) == []
    assert undeclared({"a.py": "import no_such_module"}, set()) != []
    assert unused({"a.py": lazy}, {"numpy", "pandas", "ruff"}) == [
        "pandas is declared and nothing imports it"
    ]


def test_imports_are_read_from_a_notebook(tmp_path):
    code = {"cell_type": "code", "source": ["%matplotlib inline\n", "import yaml\n", "!ls"]}
    text = {"cell_type": "markdown", "source": ["import nothing"]}
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": [text, code]}), encoding="utf-8")
    assert imports(source(tmp_path / "a.ipynb")) == {"yaml"}


# --- locks -------------------------------------------------------------------------------------


def pins(lock):
    """Return {name: version} of a lock, which has one line for each, its continuations joined."""
    lines = lock.replace("\\\n", " ").splitlines()
    lines = [line.split(" --hash")[0].split(" #")[0] for line in lines]
    requirements = [Requirement(line) for line in lines if line and line[0].isalnum()]
    return {canonicalize_name(r.name): str(r.specifier).lstrip("=") for r in requirements}


def lock_faults(lock):
    faults, seen = [], set()
    if re.search(r"://|(^|\s)(-i|-f|--[\w-]*index[\w-]*|--find-links|--trusted-host)\b", lock):
        faults.append("an index or another address is named")
    for line in lock.replace("\\\n", " ").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = re.match(r"([\w.-]+)==([^\s;*]+)( ;|\s|$)", line)
        if not found:
            faults.append(f"{line[:40]!r} pins no version")
            continue
        name = canonicalize_name(found[1])
        if name in seen:
            faults.append(f"{name} is pinned twice")
        if not re.search(r"--hash=sha256:[0-9a-f]{64}(\s|$)", line):
            faults.append(f"{name} has no sha256 hash")
        seen.add(name)
    return faults


def range_faults(requirements, lock):
    """Compare declared ranges with what the lock pins."""
    pinned, faults = pins(lock), []
    for requirement in map(Requirement, requirements):
        version = pinned.get(canonicalize_name(requirement.name))
        if version is None:
            faults.append(f"{requirement.name} is not in the lock")
        elif version not in requirement.specifier:
            faults.append(f"{requirement} does not allow {version}, which the lock pins")
    return faults


def superset_faults(lock, dev_lock):
    """Say where having the dev lock installed would not satisfy the learner's."""
    pinned, dev = pins(lock), pins(dev_lock)
    return [
        f"{name} is {version} in one lock and {dev.get(name, 'absent')} in the other"
        for name, version in pinned.items()
        if dev.get(name) != version
    ]


def test_the_locks():
    build = PYPROJECT["build-system"]["requires"]
    assert PYPROJECT["dependency-groups"]["build"] == build
    assert len(pins(LOCK)) > 100
    assert lock_faults(LOCK) == lock_faults(DEV_LOCK) == []
    assert range_faults(DEPENDENCIES + build, LOCK) == []
    assert range_faults(DEPENDENCIES + build + EXTRAS["dev"], DEV_LOCK) == []
    assert superset_faults(LOCK, DEV_LOCK) == []
    backends = {"jax", "jaxlib", "torch"}  # these bring gigabytes, and are chosen by hand
    assert not backends & (set(pins(LOCK)) | set(pins(DEV_LOCK)))


HASH = f"--hash=sha256:{'0' * 64}"
GOOD = f"""\
a==1.0 \\
    {HASH} \\
    {HASH}
    # via b
b-c==2.1 ; os_name == 'nt' \\
    {HASH}
"""


@pytest.mark.parametrize(
    ("mistake", "complaint"),
    [
        (GOOD.replace("a==1.0 ", "a "), "pins no version"),
        (GOOD.replace("a==1.0", "a>=1.0"), "pins no version"),
        (GOOD.replace("a==1.0", "a==1.*"), "pins no version"),
        (GOOD.replace("a==1.0", "a @ file:a.whl"), "pins no version"),
        (GOOD + f"B_c==2.2 {HASH}\n", "b-c is pinned twice"),
        (GOOD + f"b-c==2.1 ; os_name != 'nt' {HASH}\n", "b-c is pinned twice"),
        (GOOD + "d==1.0\n", "d has no sha256 hash"),
        (GOOD + f"d==1.0 {HASH[:-1]}\n", "d has no sha256 hash"),
        (GOOD + "d==1.0 --hash=md5:00\n", "d has no sha256 hash"),
        ("--index" + "-url example.org\n" + GOOD, "an index"),
        ("--extra-index" + "-url=example.org\n" + GOOD, "an index"),
        ("-i example.org\n" + GOOD, "an index"),
        (GOOD + "    # from https://example.org/simple\n", "an index"),
    ],
)
def test_a_mistake_in_a_lock_is_seen(mistake, complaint):
    assert mistake != GOOD and lock_faults(GOOD) == []
    assert complaint in "\n".join(lock_faults(mistake))


def test_a_version_that_does_not_fit_is_seen():
    assert range_faults(["a>=1,<2", "B.C~=2.0"], GOOD) == []
    assert range_faults(["d"], GOOD) == ["d is not in the lock"]
    assert range_faults(["a>1"], GOOD) == ["a>1 does not allow 1.0, which the lock pins"]
    assert superset_faults(GOOD, GOOD + f"d==1.0 {HASH}\n") == []
    assert superset_faults(GOOD, GOOD.replace("b-c==2.1", "b-c==2.2")) == [
        "b-c is 2.1 in one lock and 2.2 in the other"
    ]
    assert superset_faults(GOOD + f"d==1.0 {HASH}\n", GOOD) == [
        "d is 1.0 in one lock and absent in the other"
    ]


# --- settings that are written down more than once ---------------------------------------------


def conda_faults(text, requires_python):
    environment = yaml.safe_load(text)
    *conda, last = environment["dependencies"]
    faults = []
    if environment["name"] != "mnist-keras":
        faults.append("the environment is not called mnist-keras")
    if sorted(re.split("[=<> ]", line)[0] for line in conda) != ["pip", "python"]:
        faults.append("conda gives more or less than python and pip")
    python = re.search(r"^python=(\d+\.\d+)$", "\n".join(conda), re.MULTILINE)
    if not python or python[1] not in SpecifierSet(requires_python):
        faults.append(f"python is not one of {requires_python}")
    if last != {"pip": ["-r requirements.lock"]}:
        faults.append("pip does not take exactly the lock")
    return faults


CONDA = (ROOT / "environment.yml").read_text(encoding="utf-8")


def test_environment_yml():
    assert conda_faults(CONDA, PYPROJECT["project"]["requires-python"]) == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("name: mnist-keras", "name: keras", "not called"),
        ("  - pip\n", "  - pip\n  - numpy\n", "more or less"),
        ("  - pip\n", "", "more or less"),
        ("python=3.12", "python=3.14", "not one of"),
        ("python=3.12", "python", "not one of"),
        ("-r requirements.lock", "-r requirements-dev.lock", "exactly the lock"),
        ("      - -r requirements.lock", "      - -r requirements.lock\n      - keras", "exactly"),
    ],
)
def test_a_mistake_in_environment_yml_is_seen(old, new, complaint):
    assert old in CONDA
    assert complaint in "\n".join(conda_faults(CONDA.replace(old, new), ">=3.11,<3.14"))


def python_faults(requires_python, classifiers, makefile, readme):
    """Compare the places that say which Pythons will do."""
    minors = [f"3.{n}" for n in range(30) if f"3.{n}" in SpecifierSet(requires_python)]
    faults = []
    if classifiers != [f"Programming Language :: Python :: {minor}" for minor in minors]:
        faults.append("the classifiers name other Pythons than requires-python")
    if f" in {' | '.join(minors)}) " not in makefile:
        faults.append("the Makefile checks for other Pythons than requires-python")
    if not re.search(rf"{re.escape(minors[0])}\b.*\b{re.escape(minors[-1])}\b", readme):
        faults.append(f"README.md does not say Python {minors[0]} to {minors[-1]}")
    return faults


def test_the_same_pythons_are_named_everywhere():
    project = PYPROJECT["project"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    given = project["requires-python"], project["classifiers"], makefile, readme
    assert python_faults(*given) == []
    assert len(python_faults(">=3.12,<3.14", *given[1:])) == 3


def test_the_readmes_table_is_the_measured_one():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for network in ("dense", "convolutional"):
        (line,) = [text for text in readme.splitlines() if text.startswith(f"| {network}, ")]
        for column, fraction in ((2, 0.1), (3, 0.0)):
            part = {"network": network, "validation_fraction": fraction}
            rows = [row for row in measured("articles") if part.items() <= row.items()]
            scores = sorted(100 * row["test_accuracy"] for row in rows)
            found = f"{scores[2]:.2f} % ({scores[0]:.2f} to {scores[-1]:.2f})"
            assert line.split("|")[column].strip() == found


def test_extras_and_version():
    assert set(EXTRAS) == {"dev", "gpu", "jax", "torch"}
    (gpu,) = map(Requirement, EXTRAS["gpu"])
    (plain,) = [r for r in map(Requirement, DEPENDENCIES) if r.name == "tensorflow"]
    assert (gpu.name, gpu.extras, gpu.specifier) == (plain.name, {"and-cuda"}, plain.specifier)

    version = re.search(
        r'^__version__ = "(.+)"$', (ROOT / "mnist_helpers/__init__.py").read_text(), re.MULTILINE
    )
    assert version[1] == PYPROJECT["project"]["version"]


def test_the_project_is_installed_the_same_way_everywhere():
    for name in ("Makefile", "environment.yml", "postBuild"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "--no-deps --no-build-isolation -e ." in text, name
    for name in (".ci/run", "postBuild"):
        assert os.access(ROOT / name, os.X_OK), f"{name} must be executable"


# --- the house: sizes, who imports whom, places ------------------------------------------------


def size_faults(root):
    def lines(path):
        return len(path.read_text(encoding="utf-8").splitlines())

    package = root / "mnist_helpers"
    modules = {name: package / f"{name}.py" for name in MAY_IMPORT}
    eight = {name: lines(path) for name, path in modules.items() if path.exists()}
    sizes = [(f"{name}.py", count, 250) for name, count in eight.items()]
    sizes += [("the eight teaching modules", sum(eight.values()), 1650)]
    for name, limit in SUBPACKAGES.items():
        sizes += [(name, sum(map(lines, (package / name).rglob("*.py"))), limit)]
    sizes += [("README.md", lines(root / "README.md"), 119)]
    faults = [
        f"{what}: {count} lines, {limit} at most" for what, count, limit in sizes if count > limit
    ]
    more = {path.stem for path in package.glob("*.py")} - set(MAY_IMPORT) - {"__init__", "__main__"}
    return faults + [f"{name}.py has no place in the design" for name in sorted(more)]


def import_faults(modules):
    """Say which of the teaching modules, {name: code}, import what they may not know."""
    faults = []
    for name, code in modules.items():
        names = imports(code)
        ours = {n.split(".")[1] for n in names if n.startswith("mnist_helpers.")}
        known = {*SUBPACKAGES, *MAY_IMPORT} - MAY_IMPORT[name]
        forbidden = ours & known | {n.split(".")[0] for n in names} & BACKENDS
        if name in {"data", "preprocessing", "models", "evaluation"}:
            forbidden |= {n.split(".")[0] for n in names} & {"matplotlib"}
        faults += [f"{name} may not import {other}" for other in sorted(forbidden)]
    return faults


def place_faults(files, here):
    """Say which files, {path: text}, name a place that only exists on one machine."""
    faults = []
    own = r"(?<![\w./-])(?:" + "|".join(map(re.escape, here)) + r")(?![\w-])"
    homes = r"(?<![\w./-])/(?:home|Users)/\w+|\b[A-Z]:\\+Users\\"
    for path, text in files.items():
        if "../" + "shared" in text and path != ".ci/run":
            faults.append(f"{path} names a folder beside the project")
        # Tests of what hides such paths need examples.
        if re.search(own, text) or not path.startswith("tests/") and re.search(homes, text):
            faults.append(f"{path} names an absolute path of one machine")
    return faults


def test_sizes_imports_and_places():
    assert size_faults(ROOT) == []
    modules = {path.stem: source(path) for path in (ROOT / "mnist_helpers").glob("[a-z]*.py")}
    assert import_faults(modules) == []
    for path, code in sources("notebooks").items():
        assert not {name.split(".")[0] for name in imports(code)} & BACKENDS, path

    folders = [ROOT / name for name in ("mnist_helpers", "notebooks", "tests", "benchmarks", ".ci")]
    paths = [*ROOT.glob("*"), *(path for folder in folders for path in folder.rglob("*"))]
    files = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8", errors="ignore")
        for path in paths
        if path.is_file() and path.suffix not in {".pyc", ".keras"}
    }
    here = {str(place) for place in (Path.home(), ROOT) if place != Path("/")}
    assert place_faults(files, here) == []


def test_what_breaks_the_house_rules_is_seen(tmp_path):
    for name in MAY_IMPORT:
        module = tmp_path / "mnist_helpers" / f"{name}.py"
        module.parent.mkdir(exist_ok=True)
        module.write_text("#\n" * (251 if name == "data" else 200), encoding="utf-8")
    for name, limit in SUBPACKAGES.items():
        (tmp_path / "mnist_helpers" / name).mkdir()
        module = tmp_path / "mnist_helpers" / name / "a.py"
        module.write_text("#\n" * (limit + 1), encoding="utf-8")
    (tmp_path / "mnist_helpers" / "utils.py").touch()
    (tmp_path / "README.md").write_text("\n" * 120, encoding="utf-8")
    assert [fault.split(":")[0].split(" has")[0] for fault in size_faults(tmp_path)] == [
        *("data.py", "the eight teaching modules", *SUBPACKAGES, "README.md", "utils.py")
    ]

    assert import_faults({"training": "import keras\nfrom mnist_helpers import plotting"}) == []
    for name, code in {
        "data": "def f():\n    from mnist_helpers.preprocessing import to_vectors",
        "plotting": "from . import data",
        "evaluation": "import matplotlib.pyplot as plt",
        "models": "import tensorflow as tf",
        "training": "from .batch.record import save_record",
        "drawing": "import mnist_helpers.training",
    }.items():
        assert len(import_faults({name: code})) == 1, name

    beside, home = "../" + "shared/data", "/home" + "/ada"
    here = {"/src/mnist"}
    assert place_faults({".ci/run": beside, "a": "/src/mnist-2 ~/x /usr/bin"}, here) == []
    assert place_faults({"tests/test_a.py": home, "b": "a/home/b"}, here) == []
    for text in (beside, f"in {home}/x", "C:\\" + "Users\\ada", "at /src/mnist/a"):
        assert len(place_faults({"README.md": text}, here)) == 1, text


def test_importing_the_package_imports_nothing_of_others():
    code = (
        "import sys; before = set(sys.modules); import mnist_helpers\n"
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(run.stdout.split())
    assert "mnist_helpers" in imported
    assert imported & set(packages_distributions()) <= {"mnist_helpers"}
    assert run.stderr == ""


# --- make, with a Python that only pretends ----------------------------------------------------

needs_make = pytest.mark.skipif(
    not shutil.which("make") and os.environ.get("CI") != "true", reason="there is no make here"
)
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

# It notes what it is asked, and makes environments whose Python is a copy of itself.
# PIP tells how its pip ends: by itself, before it has installed anything, or in the midst.
PRETENDER = """\
#!/bin/sh
case "$*" in
  *version_info*) echo "${VERSION:-3.12}"; exit ;;
  *ensurepip*) exit ${NO_VENV:-0} ;;
esac
echo "$*" >> calls
case "$*" in
  "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python; exit ${VENV_FAILS:-0} ;;
  "-m pip install "*)
    case "${PIP:-well}" in offline) echo "ERROR: no network"; exit 1 ;; esac
    echo "Installing collected packages: a, b"
    case "${PIP:-well}" in killed) kill -9 $PPID; esac ;;
esac
"""


@pytest.fixture
def folder(tmp_path):
    """Return a folder, with a space in its name, that holds what make needs."""
    folder = tmp_path / "a folder"
    (folder / "notebooks").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy2(ROOT / name, folder)
    (folder / "python").write_text(PRETENDER, encoding="utf-8")
    (folder / "python").chmod(0o755)
    return folder


def make(folder, *arguments, python="./python", **settings):
    outer = ("MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS", "PYTHON", "ARGS")
    environment = {key: value for key, value in os.environ.items() if key not in outer}
    return subprocess.run(
        ["make", "-C", folder, "--no-print-directory", *arguments, f"PYTHON={python}"],
        env=environment | settings,
        capture_output=True,
        text=True,
        check=False,
    )


def calls(folder):
    """Return, in short, what the pretending Python was asked since the last time."""
    asked = (folder / "calls").read_text().splitlines() if (folder / "calls").exists() else []
    (folder / "calls").unlink(missing_ok=True)
    return [re.sub(r"^-m |pip install .*(-r|-e) ", r"", line) for line in asked]


FIRST = ["venv .venv", "requirements.lock", ".", "mnist_helpers run"]


@needs_make
def test_make_help_lists_every_target(folder):
    targets = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
    phony = set(re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[1].split())
    assert targets == phony - {"FORCE"} and {"run", "test", "lab"} < targets
    shown = make(folder)
    assert {line.split()[1] for line in shown.stdout.splitlines()} == targets
    assert shown.stdout == make(folder, "help").stdout
    assert all(len(line.split()) > 4 for line in shown.stdout.splitlines())


@needs_make
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"VERSION": "3.10"}, "is Python 3.10"),
        ({"VERSION": "3.14"}, "is Python 3.14"),
        ({"VERSION": "2.7"}, "is Python 2.7"),
        ({"python": "no-such-python"}, '"no-such-python" does not run'),
        ({"NO_VENV": "1"}, "apt install python3.12-venv"),
        ({"VENV_FAILS": "1"}, "could not make a virtual environment"),
    ],
)
def test_a_python_that_will_not_do_gets_one_clear_sentence(folder, settings, words):
    run = make(folder, "run", **settings)
    sentence, own = run.stderr.splitlines()
    assert run.returncode != 0 and run.stdout == ""
    assert words in sentence and own.startswith("make: ***")
    if "VENV_FAILS" not in settings:
        assert "make run PYTHON=python3.12" in sentence
    assert not (folder / ".venv").exists()
    assert make(folder, "run").returncode == 0


@needs_make
def test_the_environment_is_made_once_and_again_when_it_must(folder):
    assert make(folder, "run").returncode == 0
    assert calls(folder) == FIRST
    make(folder, "run")
    assert calls(folder) == ["mnist_helpers run"]

    make(folder, ".venv/ready-dev")
    assert calls(folder) == ["requirements-dev.lock", "."]
    make(folder, "run", ".venv/ready-dev")  # what the tests need satisfies the notebooks
    assert calls(folder) == ["mnist_helpers run"]

    later = (folder / ".venv/ready").stat().st_mtime + 10
    os.utime(folder / "requirements.lock", (later, later))
    make(folder, "run")
    assert calls(folder) == FIRST[1:]

    moved = folder.rename(folder.with_name("elsewhere"))
    make(moved, "run")
    assert calls(moved) == FIRST
    (moved / ".venv/bin/python").unlink()
    make(moved, "run")
    assert calls(moved) == FIRST


@needs_make
def test_an_installation_that_was_stopped_is_done_again(folder):
    run = make(folder, "run", PIP="offline")
    assert run.returncode != 0 and "ERROR: no network" in run.stderr
    assert calls(folder) == FIRST[:2]
    make(folder, "run")  # nothing was installed yet, so what is there will do
    assert calls(folder) == FIRST[1:]

    assert make(folder, ".venv/ready-dev", PIP="killed").returncode != 0
    assert calls(folder) == ["requirements-dev.lock"]
    make(folder, ".venv/ready-dev")  # half a package may be there
    assert calls(folder) == ["venv .venv", "requirements-dev.lock", "."]


@needs_make
def test_working_copies_are_never_overwritten(folder):
    tracked, work = folder / "notebooks", folder / "work"
    (tracked / "01 a.ipynb").write_text("new")
    assert make(folder, "work").returncode == 0
    assert (work / "01 a.ipynb").read_text() == "new"

    (work / "01 a.ipynb").write_text("mine")
    (work / "notes.txt").write_text("mine")
    (tracked / "02_b.ipynb").write_text("new")
    make(folder, "work")
    assert (work / "01 a.ipynb").read_text() == "mine"
    assert (work / "02_b.ipynb").read_text() == "new"

    for count in (1, 2):  # the second one may come within the same second
        assert make(folder, "reset").returncode == 0
        assert len(list(folder.glob("work-*"))) == count
        assert (work / "01 a.ipynb").read_text() == "new" and not (work / "notes.txt").exists()
        (work / "01 a.ipynb").write_text("mine")
    kept = [path.read_text() for path in folder.glob("work-*/01 a.ipynb")]
    assert kept == ["mine", "mine"]
    assert not list(folder.glob("*/work"))

    make(folder, "clean")
    assert (work / "01 a.ipynb").read_text() == "mine"
