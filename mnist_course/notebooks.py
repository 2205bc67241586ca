"""Notebooks as files: find and read them, name their cells, and read the outcome of a run."""

import contextlib
import hashlib
import json
import os
import re
import sys
import tempfile
import warnings
from pathlib import Path

import nbformat
import nbformat.reader

from mnist_course.files import read_file
from mnist_course.terminal import one_line
from mnist_helpers.record import format_metrics, read_record

# The course's notebooks are numbered; other notebooks beside them are somebody's own.
NUMBERED = "[0-9]*.ipynb"
NOTEBOOKS = Path("notebooks")
PROJECT_NOTEBOOKS = Path(__file__).parents[1] / "notebooks"

# The version of the format of notebooks that Jupyter has written since 2015.
FORMAT = 4
CELL_TYPES = ("code", "markdown", "raw")
# A lesson has some fifty. Each one takes time in papermill, even if it is empty: 100,000 took
# minutes.
MAX_CELLS = 10_000

# Lists and objects of JSON within each other. Notebooks have some ten; copying takes a few calls
# of a function for each, and Python allows a thousand.
MAX_DEPTH = 100
# JSON can hold half of a pair that is one character; a file cannot, and so no copy is written.
SURROGATE = re.compile("[\ud800-\udfff]")
LONE_HALF = "a lone surrogate"

GET_IT_AGAIN = "get it again from where it came"
MEND_IT = "mend it in Jupyter, or get it again"

# These tags are for tools; each other tag is the name of its cell.
TOOL_TAGS = [
    "check",
    "complete-program",
    "exercise",
    "injected-parameters",
    "misuse-demo",
    "parameters",
    "raises-exception",
    "solution",
]
TOOL_TAG_PREFIX = "nbval-"
# Characters of a cell's name: tables have a column of them.
MAX_CELL_NAME = 100

# A kernel has a folder of its own for temporary files, in a scratch folder with a random name.
SCRATCH_FOLDER = r"(?:[/\\]\.mnist-[\w-]+(?:[/\\]tmp)?)?"

# The key under which an executed notebook's metadata holds the outcome of its run.
OUTCOME_KEY = "mnist_helpers"
# In that outcome: the checksum of the cells.
CELLS_KEY = "cells"


def find_notebooks(names):
    """Find notebooks by path or by name.

    Parameters
    ----------
    names : list of str or pathlib.Path
        A name is looked for in this folder, then in ``notebooks/``, then in the ``notebooks/`` of
        this project. When empty, all numbered notebooks of ``notebooks/`` are meant.

    Returns
    -------
    list of pathlib.Path

    Raises
    ------
    FileNotFoundError
        If there is no such notebook, or none at all.

    Examples
    --------
    >>> find_notebooks(["01_dense_network"])[0].name
    '01_dense_network.ipynb'
    """
    numbered = sorted(NOTEBOOKS.glob(NUMBERED))
    paths = numbered
    if names:
        paths = [_find_notebook(str(name)) for name in names]
    missing = [str(path) for path in paths if not _is_there(path)]
    wanted = " or ".join(missing)
    if not paths:
        wanted = "to run"
    if wanted:
        known = ", ".join(path.stem for path in numbered) or "none"
        raise FileNotFoundError(f"there is no notebook {wanted}; notebooks/ here has: {known}")
    return paths


def _is_there(path):
    """Say whether there is something of this name; what it is, reading it will tell."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        # A name with a null character is none.
        return False
    except OSError:
        return True
    return True


def _find_notebook(name):
    for folder in (Path(), NOTEBOOKS, PROJECT_NOTEBOOKS):
        for path in folder.glob(NUMBERED):
            if path.stem == name:
                return path
    return Path(name)


def load_notebook(path):
    """Read a notebook, whoever wrote it; what is wrong with the file is told in one line.

    Parameters
    ----------
    path : str or pathlib.Path

    Returns
    -------
    nbformat.NotebookNode
        Of format 4; each cell has an id of its own.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is no notebook that Jupyter can read.

        Both name the file and what to do.

    Examples
    --------
    >>> load_notebook(find_notebooks(["01_dense_network"])[0]).nbformat
    4
    """
    try:
        text = _read_text(path)
        _check_content(text)
        # nbformat warns of cells without ids, or with the same, and mends them.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            notebook = nbformat.reader.reads(text)
            # nbformat.reads would write what is not valid to a log, in many lines, and go on.
            nbformat.validate(notebook, relax_add_props=True)
        return notebook
    except OSError:
        raise
    except _NoNotebookError as error:
        reason = str(error)
    except nbformat.ValidationError as error:
        reason = f"it is no valid notebook ({_first_line(error)}): {GET_IT_AGAIN}"
    except (RecursionError, MemoryError):
        reason = f"it holds more than there is room for: {GET_IT_AGAIN}"
    except Exception:
        # What is JSON, but no notebook, makes nbformat raise errors of many kinds.
        reason = f"it is no notebook: {GET_IT_AGAIN}"
    raise ValueError(f"{path} cannot be read: {reason}")


class _NoNotebookError(Exception):
    """What is wrong with a file, and what to do."""


def _read_text(path):
    """Return the text of a notebook's file."""
    # A link to nothing is there, and reading it says so.
    if not os.path.lexists(path):
        raise FileNotFoundError(f"there is no notebook {path}")
    try:
        # Some editors put a byte-order mark in front, which JSON does not have.
        return read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _NoNotebookError(
            f"it is no text in UTF-8 (byte {error.start:,}): {GET_IT_AGAIN}"
        ) from None


def _check_content(text):
    """Refuse JSON that is no notebook of a format that can be read."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise _NoNotebookError(f"it is no JSON ({_first_line(error)}): {GET_IT_AGAIN}") from None
    major = content.get("nbformat") if isinstance(content, dict) else None
    if type(major) is not int or not isinstance(content.get("metadata"), dict):
        raise _NoNotebookError(f"it is no notebook: {GET_IT_AGAIN}")
    if major < FORMAT:
        raise _NoNotebookError(
            f"it is of an old notebook format ({major}): open it in JupyterLab, and save it"
        )
    if major > FORMAT:
        raise _NoNotebookError(
            f"it is of notebook format {major}, and {FORMAT} is the newest that is known here: "
            "save it with an older Jupyter"
        )
    _check_values(content)
    cells = content.get("cells")
    if not isinstance(cells, list):
        raise _NoNotebookError(f"it has no list of cells: {GET_IT_AGAIN}")
    if len(cells) > MAX_CELLS:
        raise _NoNotebookError(
            f"it has {len(cells):,} cells, and at most {MAX_CELLS:,} are taken: split it"
        )
    for number, cell in enumerate(cells, 1):
        _check_cell(cell, f"its cell {number}")


def _check_cell(cell, place):
    cell_type = cell.get("cell_type") if isinstance(cell, dict) else None
    if cell_type not in CELL_TYPES:
        raise _NoNotebookError(f"{place} is not of the type {' or '.join(CELL_TYPES)}: {MEND_IT}")
    source = cell.get("source")
    pieces = source if isinstance(source, list) else [source]
    if not all(isinstance(piece, str) for piece in pieces):
        raise _NoNotebookError(f"{place} has a source that is no text: {MEND_IT}")


def _check_values(content):
    """Refuse what is nested too deep to be copied, and what no file can hold."""
    level = [content]
    for _ in range(MAX_DEPTH):
        below = []
        for value in level:
            if isinstance(value, dict):
                below += [*value.keys(), *value.values()]
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str) and SURROGATE.search(value):
                raise _NoNotebookError(f"it holds half a character, {LONE_HALF}: {MEND_IT}")
        level = below
    if level:
        raise _NoNotebookError(f"it holds more than {MAX_DEPTH} lists in each other: {MEND_IT}")


def _first_line(error):
    return one_line(str(error).partition("\n")[0])


def read_notebook(path):
    """Read a notebook to run it; a cell tagged `complete-program` becomes prose.

    Such a cell repeats the steps of the cells before it: to be read, not to be trained twice.

    Parameters
    ----------
    path : str or pathlib.Path

    Returns
    -------
    nbformat.NotebookNode

    Raises
    ------
    OSError, ValueError
        As `load_notebook` does.

    Examples
    --------
    >>> read_notebook(find_notebooks(["01_dense_network"])[0]).nbformat
    4
    """
    notebook = load_notebook(path)
    for index, cell in enumerate(notebook.cells):
        if "complete-program" in cell.metadata.get("tags", []):
            notebook.cells[index] = nbformat.v4.new_markdown_cell(
                f"````python\n{cell.source}\n````", id=cell.id, metadata=cell.metadata
            )
    return notebook


def cell_name(cell, number):
    """Name a cell by its first tag that is not for tools, or else by its number.

    Parameters
    ----------
    cell : nbformat.NotebookNode
    number : int
        The first cell of a notebook has number 1.

    Returns
    -------
    str

    Examples
    --------
    >>> cell = nbformat.v4.new_code_cell("1 + 1", metadata={"tags": ["check", "add"]})
    >>> cell_name(cell, 3)
    'add'
    >>> cell_name(nbformat.v4.new_code_cell("1 + 1"), 3)
    'cell 3'
    """
    for tag in cell.metadata.get("tags", []):
        is_for_tools = tag in TOOL_TAGS or tag.startswith(TOOL_TAG_PREFIX)
        # A table has a line for each name, and a page an address.
        is_name = 0 < len(tag) <= MAX_CELL_NAME and tag.isprintable()
        if is_name and not is_for_tools:
            return tag
    return f"cell {number}"


def strip_outputs(notebook):
    """Take the outputs and execution counts out of a notebook's code cells, in place.

    Examples
    --------
    >>> cell = nbformat.v4.new_code_cell("1 + 1", execution_count=5)
    >>> strip_outputs(nbformat.v4.new_notebook(cells=[cell]))
    >>> cell.execution_count is None
    True
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
            cell.execution_count = None


def hide_paths(value, folder="."):
    """Replace this computer's folders in a text, or in every text within lists and dicts.

    Parameters
    ----------
    value : object
        A dict's pictures are left as they are.
    folder : str or pathlib.Path
        A folder that becomes ``.``, as this process' own does; the home directory becomes ``~``.

    Returns
    -------
    object
        A copy, in which dicts are plain dicts.

    Examples
    --------
    >>> hide_paths(["a.png", f"see {Path.cwd()}/a.png"])
    ['a.png', 'see ./a.png']
    """
    names = {}
    # Where two of these are one folder, the later name holds.
    for find_place, name in (
        (tempfile.gettempdir, "tmp"),
        (lambda: sys.prefix, "environment"),
        (Path.home, "~"),
        (Path.cwd, "."),
        (Path(folder).resolve, "."),
    ):
        # A user may have no home, and a computer no folder for temporary files.
        with contextlib.suppress(OSError, RuntimeError):
            names[str(find_place())] = name
    # A file system's root would be found in every path.
    places = [place for place in names if len(place) > 1]
    # A folder comes before the folder that it lies in.
    places.sort(key=len, reverse=True)
    return _replace_places(value, {place: names[place] for place in places})


def _replace_places(value, names):
    """Replace the keys of `names` by their values, one after the other."""
    if isinstance(value, list):
        return [_replace_places(item, names) for item in value]
    if isinstance(value, dict):
        replaced = {}
        for key, item in value.items():
            # In a picture's base64 text, a short folder such as "/a" would be found by chance.
            is_picture = key.startswith("image/")
            replaced[key] = item if is_picture else _replace_places(item, names)
        return replaced
    if isinstance(value, str):
        for place, name in names.items():
            pattern = re.escape(place)
            if name == "tmp":
                pattern += SCRATCH_FOLDER
            # One folder's name may begin another's: "ann" is not to be found in "anna".
            value = re.sub(rf"{pattern}(?![\w.-])", name, value)
    return value


def is_edited(executed):
    """Tell whether somebody has changed the cells of an executed notebook since it was written.

    Parameters
    ----------
    executed : nbformat.NotebookNode

    Returns
    -------
    bool
        False also if no run has written it, or one of a version that kept no checksum.

    Examples
    --------
    >>> is_edited(nbformat.v4.new_notebook())
    False
    """
    outcome = executed.metadata.get(OUTCOME_KEY)
    if not isinstance(outcome, dict) or CELLS_KEY not in outcome:
        return False
    return outcome[CELLS_KEY] != cells_checksum(executed)


def cells_checksum(notebook):
    """Return the sha256 of what is written in a notebook's cells; outputs do not count.

    Examples
    --------
    >>> cells_checksum(nbformat.v4.new_notebook())[:8]
    '4f53cda1'
    """
    cells = [[cell.cell_type, cell.source] for cell in notebook.cells]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def read_outcome(path):
    """Read the outcome of a run from the executed notebook.

    Parameters
    ----------
    path : str or pathlib.Path

    Returns
    -------
    dict
        ``notebook``, its name; ``record``, or None; ``seconds``, None if the run was cut short;
        ``cell``, the name of the last cell that ran, and ``error``, both None after a good run;
        and ``started``, False when the kernel did not start.

    Examples
    --------
    >>> read_outcome(find_notebooks(["01_dense_network"])[0])["notebook"]
    '01_dense_network'
    """
    notebook = read_if_possible(Path(path))
    try:
        record = read_record(notebook)
    except ValueError:
        # The error of the run says what is wrong with the record.
        record = None
    run = notebook.metadata.get(OUTCOME_KEY)
    if not _is_outcome(run):
        run = {}
    return {
        "notebook": Path(path).stem,
        "record": record,
        "seconds": run.get("seconds"),
        "cell": run.get("cell"),
        "error": run.get("error"),
        "started": run.get("started"),
    }


def read_if_possible(path):
    """Read a notebook; one that is damaged, or not there, has no cells.

    Examples
    --------
    >>> read_if_possible("no/such.ipynb").cells
    []
    """
    try:
        return load_notebook(path)
    except (OSError, ValueError):
        return nbformat.v4.new_notebook()


def _is_outcome(run):
    """Say whether metadata of somebody's notebook are what a run has left there."""
    if not isinstance(run, dict) or not isinstance(run.get("seconds"), int | float):
        return False
    return all(isinstance(run.get(key), str | None) for key in ("cell", "error"))


def outcome_texts(outcome):
    """Put the outcome of a run into the four texts of a table.

    Parameters
    ----------
    outcome : dict
        As `read_outcome` returns it; its ``seconds`` must be known.

    Returns
    -------
    list of str
        Notebook, seconds, result and digits.

    Examples
    --------
    >>> error = "ValueError: no such layer"
    >>> outcome = {"notebook": "01", "record": None, "seconds": 1.5, "cell": "fit", "error": error}
    >>> outcome_texts(outcome)
    ['01', '1.5', 'FAILED in fit: ValueError: no such layer', 'not recorded']
    """
    metrics = {}
    dataset_text = "not recorded"
    if outcome["record"]:
        metrics = outcome["record"]["metrics"]
        # What follows in parentheses says where the digits come from: too much for a table.
        dataset_text = outcome["record"]["digits"]["text"].partition(" (")[0]
    if outcome["error"]:
        place = f" in {outcome['cell']}" if outcome["cell"] else ""
        result = f"FAILED{place}: {outcome['error']}"
    else:
        result = ", ".join(f"{name} {value}" for name, value in format_metrics(metrics))
    return [outcome["notebook"], f"{outcome['seconds']:.1f}", result, dataset_text]
