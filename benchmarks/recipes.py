"""The recipes of notebook 06, from its cells tagged `recipe`: what is read is what is measured."""

from pathlib import Path
from types import SimpleNamespace

import nbformat

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "06_faster_and_further.ipynb"


def load_recipes():
    """Run the notebook's cells tagged `recipe` and return what they define."""
    names = {}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if "recipe" in cell.metadata.get("tags", []):
            exec(cell.source, names)
    return SimpleNamespace(**names)
