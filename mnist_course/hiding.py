"""Files that hide modules: a learner's own ``random.py`` is imported instead of Python's."""

import os
import pkgutil
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
from pathlib import Path

PROJECT = Path(__file__).parents[1]
OWN_MODULES = ("conftest", "mnist_course", "mnist_helpers")


def find_hiding_files(folders):
    """Find files that Python would import from these folders instead of what the course needs.

    Notebooks look for modules in their own folder first, so there a file ``keras.py`` is what
    ``import keras`` gives. No list of names is needed: a file hides a module if there would be
    one of this name without it.

    Parameters
    ----------
    folders : list of str or pathlib.Path
        Such as the one where notebooks lie.

    Returns
    -------
    list of str
        A sentence for each file, with what to do.

    Examples
    --------
    >>> find_hiding_files(["no/such/folder"])
    []
    """
    sentences = []
    for folder in folders:
        for module in pkgutil.iter_modules([str(folder)]):
            if _is_project(folder) and module.name in OWN_MODULES:
                continue
            if _exists_elsewhere(module.name, folder):
                spec = module.module_finder.find_spec(module.name)
                # A folder, a pipe or a link to nothing of that name is listed, but not imported.
                if spec is None or spec.origin is None:
                    continue
                file = spec.origin
                if module.ispkg:
                    file = os.path.dirname(file)
                sentences.append(
                    f"{file} is imported instead of the module {module.name}: rename it"
                )
    return sentences


def _is_project(folder):
    return os.path.realpath(folder) == os.path.realpath(PROJECT)


def _exists_elsewhere(name, folder):
    """Tell whether `import name` would find a module if `folder` were not there."""
    # Python takes these from itself and looks in no folder.
    if BuiltinImporter.find_spec(name) or FrozenImporter.find_spec(name):
        return False
    here = os.path.realpath(folder)
    elsewhere = [path for path in sys.path if os.path.realpath(path) != here]
    spec = PathFinder.find_spec(name, elsewhere)
    # A mere folder of this name has no loader: it is no module, but would do for one.
    return spec is not None and spec.origin is not None
