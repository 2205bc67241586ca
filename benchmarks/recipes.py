"""The recipes of notebook 06, from its cells tagged `recipe`: what is read is what is measured."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import nbformat

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "06_faster_and_further.ipynb"


def load_recipes(old="", new=""):
    """Run the notebook's cells tagged `recipe` and return what they define.

    With `old` and `new` the one place in them that reads `old` reads `new` instead.
    """
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    source = "\n".join(cell.source for cell in cells if "recipe" in cell.metadata.get("tags", []))
    if old:
        if source.count(old) != 1:
            raise ValueError(f"{old!r} must stand once in the recipes; {source.count(old)} found.")
        source = source.replace(old, new)
    names = {}
    exec(source, names)
    return SimpleNamespace(**names)


def side_by_side(train, runs):
    """Give what `train` returns for each run, a tuple; as many at a time as there are cores.

    Each has one thread: so both cores of a pair train more than when they share every batch.
    """
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as workers:
        yield from workers.map(train, *zip(*runs, strict=True))
