"""Who imports whom, and whether pyproject.toml declares it.

Each check is a function that returns complaints, so that it is tried on planted mistakes too.
"""

import ast
import functools
import json
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.project import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEPENDENCIES = PROJECT["dependencies"]
EXTRAS = PROJECT["optional-dependencies"]

PACKAGES = ("mnist_helpers", "mnist_course")
BACKENDS = {"jax", "tensorflow", "torch"}

# Which module of `mnist_helpers` may import which others of it. One that is not named here has no
# place in the design: see CONTRIBUTING.md.
MAY_IMPORT = {
    "foreign_files": set(),
    "library_settings": {"scratch"},
    "keras_settings": {"foreign_files", "library_settings"},
    "messages": set(),
    "data": {"foreign_files", "library_settings", "messages", "scratch", "threads"},
    "preprocessing": {"keras_settings"},
    "models": {"keras_settings"},
    "tables": set(),
    "variables": set(),
    "record": {"keras_settings", "variables"},
    "scratch": set(),
    "saving": {"foreign_files", "keras_settings", "messages", "scratch"},
    "failures": {"keras_settings"},
    "augmentation": {"keras_settings", "preprocessing"},
    "evaluation": {"preprocessing"},
    "plotting": {"evaluation", "library_settings", "preprocessing"},
    "training": {"evaluation", "keras_settings", "library_settings", "plotting", "preprocessing"},
    "decoder": {"foreign_files"},
    "pictures": {"decoder"},
    "drawing": {"pictures", "preprocessing"},
    "reading": {"drawing", "keras_settings", "library_settings", "models", "preprocessing"},
    "diagnosis": {"models", "preprocessing"},
    "pad": set(),
    "threads": set(),
    "exercises": {"models", "tables", "threads"},
}
WITHOUT_PLOTS = {
    "data",
    "preprocessing",
    "models",
    "evaluation",
    "tables",
    "record",
    "saving",
    "scratch",
}

NOT_IMPORTED = {  # declared all the same, because
    "cryptography": "distributed makes the certificates of a sweep with it",
    "check-jsonschema": "a test calls it on the workflows",
    "ipykernel": "it is the kernel that runs the notebooks",
    "ipython": "the notebooks run in it, and display comes from it",
    "ipywidgets": "tqdm, which papermill imports, warns in a notebook that has none",
    "jinja2": "the templates of the exported pages are written in it",
    "jupyterlab": "make lab starts it",
    "notebook": "the pad is tried in it too",
    "nbval": "pytest runs the notebooks with it",
    "pytest-cov": ".ci/run measures with it what the tests cover",
    "pytest-xdist": "make test runs on several cores with it",
    "ruff": "make test calls it",
    "tensorflow": "it is Keras' default back end",
    "uv": "make lock calls it",
    "zizmor": "a test calls it on the workflows",
}


# --- reading imports ---------------------------------------------------------------------------


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
    found = {}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".py", ".ipynb"} and ".ipynb_checkpoints" not in path.parts:
                found[path.relative_to(ROOT).as_posix()] = source(path)
    return found


def imports(code):
    """Return the dotted names that code imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write imports in full, not relative ones"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def top_level(code):
    return {name.split(".")[0] for name in imports(code)}


def test_imports_are_read_from_a_notebook(tmp_path):
    code = {"cell_type": "code", "source": ["%matplotlib inline\n", "import yaml\n", "!ls"]}
    text = {"cell_type": "markdown", "source": ["import nothing"]}
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": [text, code]}), encoding="utf-8")
    assert imports(source(tmp_path / "a.ipynb")) == {"yaml"}


# --- one direction -----------------------------------------------------------------------------


def module_name(path):
    """Return the dotted name of a module, given its path from the project's root."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def import_graph(files):
    """Return {module: the modules among `files` that it imports}, for {path: code}."""
    modules = {module_name(path): code for path, code in files.items()}
    graph = {}
    for module, code in modules.items():
        graph[module] = set()
        for name in imports(code):
            # `from package import name` may name a module or what stands in the package itself.
            imported = name if name in modules else name.rpartition(".")[0]
            if imported in modules and imported != module:
                graph[module].add(imported)
    return graph


def find_circles(graph):
    """Return the modules from which an arrow leads back to themselves, each with its way."""
    circles = []

    def follow(path):
        for imported in sorted(graph[path[-1]]):
            if imported == path[0]:
                circles.append(" -> ".join([*path, imported]))
            elif imported not in path:
                follow([*path, imported])

    for module in sorted(graph):
        follow([module])
    return circles


def direction_faults(files):
    """Say which modules import in a circle, or from mnist_helpers back to mnist_course."""
    graph = import_graph(files)
    faults = find_circles(graph)
    for module, imported in graph.items():
        package = module.split(".")[0]
        if package == "mnist_helpers":
            faults += [
                f"{module} may not import {other}"
                for other in sorted(imported)
                if other.startswith("mnist_course")
            ]
    return faults


def helper_faults(modules):
    """Say which modules of `mnist_helpers`, {name: code}, import what they may not know."""
    faults = []
    for name, code in modules.items():
        if name not in MAY_IMPORT:
            faults.append(f"{name}.py has no place in the design")
            continue
        imported = {
            other.split(".")[1] for other in imports(code) if other.startswith("mnist_helpers.")
        }
        forbidden = (imported & set(MAY_IMPORT)) - MAY_IMPORT[name]
        if name in WITHOUT_PLOTS:
            forbidden |= top_level(code) & {"matplotlib"}
        faults += [f"{name} may not import {other}" for other in sorted(forbidden)]
    return faults


def test_imports_go_one_way():
    assert direction_faults(sources(*PACKAGES)) == []


def test_each_module_of_the_lesson_knows_what_it_may():
    modules = {}
    for path in (ROOT / "mnist_helpers").glob("[a-z]*.py"):
        modules[path.stem] = source(path)
    assert helper_faults(modules) == []


def test_no_back_end_is_called_directly():
    for path, code in sources(*PACKAGES, "notebooks").items():
        assert not top_level(code) & BACKENDS, path


def test_only_notebook_03_needs_the_machinery():
    users = [
        path for path, code in sources("notebooks").items() if "mnist_course" in top_level(code)
    ]
    assert users == ["notebooks/03_which_architecture.ipynb"]


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"mnist_helpers/a.py": "import mnist_course.b"}, "mnist_helpers.a may not import"),
        ({"mnist_helpers/a.py": "def f():\n    from mnist_course import b"}, "may not import"),
        (
            {"mnist_course/a.py": "from mnist_course import b"},
            "mnist_course.a -> mnist_course.b -> mnist_course.a",
        ),
        ({"mnist_course/a.py": "def f():\n    import mnist_course.b"}, "-> mnist_course.b ->"),
        (
            {
                "mnist_course/a.py": "import mnist_course.c",
                "mnist_course/c.py": "import mnist_course.b",
            },
            "mnist_course.a -> mnist_course.c -> mnist_course.b -> mnist_course.a",
        ),
    ],
)
def test_an_arrow_back_up_or_a_circle_is_seen(files, complaint):
    innocent = {"mnist_course/b.py": "from mnist_course.a import x", "mnist_helpers/d.py": ""}
    assert direction_faults(innocent | {"mnist_course/a.py": "import mnist_helpers.d"}) == []
    assert complaint in "\n".join(direction_faults(innocent | files))


@pytest.mark.parametrize(
    ("name", "code", "complaint"),
    [
        (
            "data",
            "def f():\n    from mnist_helpers.preprocessing import x",
            "data may not import pre",
        ),
        ("plotting", "from mnist_helpers import data", "plotting may not import data"),
        ("evaluation", "import matplotlib.pyplot as plt", "evaluation may not import matplotlib"),
        ("drawing", "import mnist_helpers.training", "drawing may not import training"),
        ("utils", "", "utils.py has no place in the design"),
    ],
)
def test_what_a_module_may_not_know_is_seen(name, code, complaint):
    assert helper_faults({"training": "import keras\nfrom mnist_helpers import plotting"}) == []
    assert complaint in "\n".join(helper_faults({name: code}))


def test_importing_a_package_imports_nothing_of_others():
    code = (
        "import sys; before = set(sys.modules); import mnist_helpers, mnist_course\n"
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(run.stdout.split())
    assert imported >= set(PACKAGES)
    assert imported & set(distributions()) <= set(PACKAGES)
    assert run.stderr == ""


# --- declared dependencies ---------------------------------------------------------------------


@functools.cache  # it reads the metadata of everything that is installed
def distributions():
    return packages_distributions()


def third_party(code):
    """Return the distributions that code imports from, as {module: possible distributions}."""
    ours = {*PACKAGES, "campaign", "support"}
    ours |= {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    found = {}
    for module in top_level(code) - ours - sys.stdlib_module_names:
        names = distributions().get(module, [module])
        found[module] = {canonicalize_name(name) for name in names}
    return found


def names_of(requirements):
    return {canonicalize_name(Requirement(line).name) for line in requirements}


def undeclared(files, declared):
    return [
        f"{path} imports {module}, which pyproject.toml does not declare for it"
        for path, code in files.items()
        for module, possible in third_party(code).items()
        if not possible & declared
    ]


def unused(files, declared):
    used = set()
    for code in files.values():
        for possible in third_party(code).values():
            used |= possible
    return [
        f"{name} is declared and nothing imports it"
        for name in sorted(declared - used - set(NOT_IMPORTED))
    ]


def test_every_import_is_declared_and_everything_declared_is_used():
    lesson = sources("mnist_helpers", "notebooks")
    machinery = sources("mnist_course")
    checks = sources("tests", "benchmarks") | {"conftest.py": source(ROOT / "conftest.py")}
    assert lesson and machinery and checks
    base = names_of(DEPENDENCIES)
    course = base | names_of(EXTRAS["course"])
    dev = course | names_of(EXTRAS["dev"])
    assert undeclared(lesson, base) == []
    assert undeclared(machinery, course) == []
    assert undeclared(checks, dev | BACKENDS) == []
    assert unused(lesson, base) == []
    assert unused(lesson | machinery, course) == []
    assert unused(lesson | machinery | checks, dev) == []


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
