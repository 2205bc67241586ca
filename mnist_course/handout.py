"""The notebooks as they are handed out: learners get no answers, teachers get everything."""

import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import nbformat

from mnist_course.notebooks import hide_paths, strip_outputs


@contextmanager
def atomic_folder(path):
    """Give a new folder; it takes the place of `path` when the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as beside:
        part = Path(beside, path.name)
        part.mkdir()
        yield part
        if path.exists():
            path.rename(Path(beside, f"{path.name} before"))
        part.rename(path)


def write_learner(source, target):
    """Write a folder's numbered notebooks into another, without solutions and outputs."""
    for path, notebook in _read(source):
        notebook.cells = [c for c in notebook.cells if "solution" not in c.metadata.get("tags", [])]
        strip_outputs(notebook)
        nbformat.write(notebook, target / path.name)


def write_instructor(source, target):
    """Write them with solutions open, outputs, and notes from ``TEACHING.md``, which goes along."""
    guide = source / "TEACHING.md"
    notes = read_notes(guide.read_text("utf-8") if guide.exists() else "")
    for path, notebook in _read(source):
        if not (note := notes.get(path.stem, "").strip()):
            place = f"`### {path.stem}` in `## Notebook notes`"
            raise ValueError(f"TEACHING.md has no note on {path.stem}: write it under {place}")
        note = nbformat.v4.new_markdown_cell(f"**For the teacher**\n\n{note}", id="teacher-note")
        notebook.cells.insert(1, note)
        nbformat.write(notebook, target / path.name)
    shutil.copyfile(guide, target / guide.name)


def read_notes(guide):
    """Return {notebook: note} of a guide: what stands in `## Notebook notes` under `### name`."""
    notes, section, name, fenced = {}, "", "", False
    for line in guide.splitlines():
        fenced ^= line.startswith("```")
        heading = None if fenced else re.fullmatch("(#+) +(.+?) *", line)
        level = len(heading[1]) if heading else 0
        if not level:
            notes[name] = notes.get(name, "") + line + "\n"
        elif level < 3:
            section, name = heading[2], ""
        elif level == 3:
            name = heading[2] if section == "Notebook notes" else ""
        elif name:
            raise ValueError(f"a note has no headings; in TEACHING.md that on {name} has {line!r}")
    return notes


def _read(source):
    paths = sorted(source.glob("[0-9]*.ipynb"))
    if not paths:
        raise FileNotFoundError(f"there is no numbered notebook in {source.resolve()}")
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            cell.metadata.pop("jupyter", None)  # it folds solutions
            if cell.cell_type == "code":
                cell.outputs = nbformat.from_dict(hide_paths(cell.outputs))
        yield path, notebook


def command(options):
    """Run ``mnist-course handout``; return its exit status."""
    source = Path("notebooks")
    dist = Path("dist")
    with atomic_folder(dist / "learner") as learner, atomic_folder(dist / "instructor") as teacher:
        write_learner(source, learner)
        write_instructor(source, teacher)
    print("dist/learner/ and dist/instructor/ are written.")
    return 0
