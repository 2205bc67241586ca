"""The command ``handout``: write the notebooks for learners and for the instructor.

Learners get no solutions and no outputs; the instructor gets everything, and notes on teaching.
"""

import os
import re
from pathlib import Path

import nbformat

from mnist_course.files import atomic_folder, read_file, reading
from mnist_course.notebooks import NUMBERED, hide_paths, load_notebook, strip_outputs
from mnist_course.work import describe

SOURCE = Path("notebooks")
LEARNER = Path("dist/learner")
INSTRUCTOR = Path("dist/instructor")

GUIDE_NAME = "TEACHING.md"
# JupyterLab keeps copies there of the notebooks that were opened.
CHECKPOINTS = ".ipynb_checkpoints"
# Where the guide has its notes on notebooks: each under a heading with the notebook's name.
NOTES_SECTION = "Notebook notes"
SECTION_LEVEL = 2
NOTE_LEVEL = 3
NOTE_TITLE = "**For the teacher**"
NOTE_ID = "teacher-note"


def command(options):
    """Run ``mnist-course handout`` and return its exit status."""
    for folder in (LEARNER, INSTRUCTOR):
        _refuse_others_files(folder)
    try:
        # Both folders or none: the first one takes its place only after both were written.
        with atomic_folder(LEARNER) as learner, atomic_folder(INSTRUCTOR) as instructor:
            write_learner(SOURCE, learner)
            write_instructor(SOURCE, instructor)
    except OSError as error:
        raise OSError(describe(error, LEARNER.parent)) from None
    print(f"{LEARNER.as_posix()}/ and {INSTRUCTOR.as_posix()}/ are written.")
    return 0


def _refuse_others_files(folder):
    """Refuse to make a folder anew that holds what no hand-out does: it would be lost."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if not path.match(NUMBERED) and path.name not in (GUIDE_NAME, CHECKPOINTS):
            raise ValueError(
                f"{path.as_posix()} is no hand-out, and {folder.as_posix()} is made anew each "
                "time: move it elsewhere first"
            )


def write_learner(source, target):
    """Write a folder's numbered notebooks into another one, without solutions and outputs.

    Parameters
    ----------
    source, target : pathlib.Path
        Both folders exist.

    Raises
    ------
    FileNotFoundError
        If `source` has no numbered notebook.
    OSError, ValueError
        If a notebook cannot be read or written; the error names it.
    """
    for path in _find_numbered(source):
        notebook = _read_unfolded(path)
        notebook.cells = [cell for cell in notebook.cells if not _is_solution(cell)]
        strip_outputs(notebook)
        nbformat.write(notebook, target / path.name)


def write_instructor(source, target):
    """Write a folder's numbered notebooks into another one, with solutions open and with outputs.

    After its title, each notebook has the note on it from ``TEACHING.md``, which goes along too.

    Parameters
    ----------
    source, target : pathlib.Path
        Both folders exist.

    Raises
    ------
    FileNotFoundError
        If `source` has no numbered notebook.
    OSError, ValueError
        If a notebook or ``TEACHING.md`` cannot be read or written; the error names it. Or if
        ``TEACHING.md`` has no note on one of the notebooks.
    """
    guide = source / GUIDE_NAME
    text = _decode(read_file(guide), guide)
    notes = read_notes(text)
    for path in _find_numbered(source):
        note = notes.get(path.stem, "").strip()
        if not note:
            place = f"`### {path.stem}` in `## {NOTES_SECTION}`"
            raise ValueError(f"{GUIDE_NAME} has no note on {path.stem}: write it under {place}")
        notebook = _read_unfolded(path)
        cell = nbformat.v4.new_markdown_cell(f"{NOTE_TITLE}\n\n{note}", id=NOTE_ID)
        notebook.cells.insert(1, cell)
        nbformat.write(notebook, target / path.name)
    (target / guide.name).write_bytes(text.encode())


def read_notes(guide):
    r"""Read the notes on notebooks out of a guide for teachers.

    Parameters
    ----------
    guide : str
        Markdown. A note stands in the section ``## Notebook notes``, under a heading of its own,
        such as ``### 01_dense_network``; it has no headings in it.

    Returns
    -------
    dict of str to str
        The notes by their headings.

    Raises
    ------
    ValueError
        If there is a heading in a note.

    Examples
    --------
    >>> read_notes("## Notebook notes\n### 00_start_here\nAsk first.\n## More\nText.")
    {'00_start_here': 'Ask first.\n'}
    """
    notes = {}
    # The note that the line belongs to: "" outside of notes.
    name = ""
    in_notes_section = False
    in_code = False
    for line in guide.splitlines():
        if line.startswith("```"):
            in_code = not in_code
        heading = re.fullmatch("(#+) +(.+?) *", line)
        # In a block of code such a line is a comment.
        if heading is None or in_code:
            if name:
                notes[name] += line + "\n"
            continue
        level = len(heading[1])
        title = heading[2]
        if level <= SECTION_LEVEL:
            in_notes_section = title == NOTES_SECTION
            name = ""
        elif level == NOTE_LEVEL and in_notes_section:
            name = title
            notes.setdefault(name, "")
        elif name:
            raise ValueError(
                f"a note has no headings; in {GUIDE_NAME} that on {name} has {line!r}: "
                "make it bold text"
            )
    return notes


def _find_numbered(folder):
    paths = []
    if os.path.lexists(folder):
        with reading(folder):
            paths = sorted(path for path in folder.iterdir() if path.match(NUMBERED))
    if not paths:
        raise FileNotFoundError(
            f"there is no numbered notebook in {folder}: start this in the course's own folder"
        )
    return paths


def _decode(content, path):
    try:
        # Some editors put a byte-order mark in front.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8 ({error}): save it as UTF-8") from None


def _read_unfolded(path):
    """Read a notebook, unfold its cells, and hide paths that tell whose computer it was."""
    notebook = load_notebook(path)
    for cell in notebook.cells:
        # JupyterLab keeps here that a solution is folded.
        cell.metadata.pop("jupyter", None)
        if cell.cell_type == "code":
            cell.outputs = nbformat.from_dict(hide_paths(cell.outputs))
    return notebook


def _is_solution(cell):
    return "solution" in cell.metadata.get("tags", [])
