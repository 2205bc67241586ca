"""The teaching guide names only what exists, adds up, and tells the numbers that were measured.

Each check is a function that returns complaints, so that it is tried on planted mistakes too. A
mistake is planted by a rule or added to the guide: sentences may be reworded without a change here.
"""

import ast
import builtins
import importlib
import re

import nbformat
import pytest
from support.project import NOTEBOOKS as NOTEBOOK_PATHS
from support.project import ROOT

from mnist_course.__main__ import main
from mnist_course.handout import read_notes
from mnist_helpers.models import load_pretrained, read_card
from mnist_helpers.saving import load_model
from mnist_helpers.tables import load_table

GUIDE = (ROOT / "notebooks" / "TEACHING.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
NOTEBOOKS = [path.stem for path in NOTEBOOK_PATHS]

# A measured time or size may differ so much on the reader's computer; the guide may, too.
MEASURED_FACTOR = 1.5
MIN_NOTE_WORDS = 100
TABLE_HEAD_LINES = 2

NOTEBOOK_NAME = r"\b\d\d_[a-z_]+\b"
ITALIC = r"(?<!\*)\*([^*]+)\*(?!\*)"
BREAKS = ("Break", "Feedback")
NOT_RUN = "*(not run by us)*"
NOT_RUN_WORDS = "JupyterHub|Binder|Windows|macOS|HTTPS_PROXY|CUDA_\\w+|TF_FORCE_\\w+|shared server"

# Variables that other programs read, not ours.
FOREIGN_VARIABLES = {
    "CUDA_VISIBLE_DEVICES",
    "HTTPS_PROXY",
    "OMP_NUM_THREADS",
    "ONEDNN_MAX_CPU_ISA",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_FORCE_GPU_ALLOW_GROWTH",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
}
FOREIGN_NAMES = {"c.Spawner.environment", "c.Spawner.mem_limit", "sigmoid", "mnist.npz"}
# What the project's commands write, so that it is not in the repository.
BUILT = (
    "dist/kit/",
    "dist/learner/",
    "dist/instructor/",
    "results/",
    ".venv/",
    "work/",
    "index.html",
)
# Spans in code letters that begin so have checks of their own.
CHECKED_ELSEWHERE = r"[A-Z_]+(=|$)|make |python3 |sh " + "|" + NOTEBOOK_NAME


# --- the project -------------------------------------------------------------------------------


def read_sources(cell_type):
    """Return the sources of each notebook's cells of one type, joined."""
    sources = {}
    for path in NOTEBOOK_PATHS:
        cells = nbformat.read(path, as_version=4).cells
        chosen = [cell.source for cell in cells if cell.cell_type == cell_type]
        sources[path.stem] = "\n".join(chosen)
    return sources


def read_packages():
    texts = []
    for package in ("mnist_helpers", "mnist_course"):
        texts += [path.read_text("utf-8") for path in sorted((ROOT / package).rglob("*.py"))]
    return "\n".join(texts)


CODE = read_sources("code")
PROSE = read_sources("markdown")
PACKAGES = read_packages()
HEADINGS = {name: re.findall(r"^#+ (.+)$", text, re.MULTILINE) for name, text in PROSE.items()}
EXERCISES = {
    name: re.findall(r"^### (\d\. .+)$", text.partition("\n## Exercises\n")[2], re.MULTILINE)
    for name, text in PROSE.items()
}


# --- reading the guide -------------------------------------------------------------------------


def without_code_blocks(guide):
    return re.sub(r"^```.*?^```$", "", guide, flags=re.MULTILINE | re.DOTALL)


def code_spans(guide):
    return re.findall(r"`([^`\n]+)`", without_code_blocks(guide))


def section(guide, title):
    match = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", guide, re.MULTILINE | re.DOTALL)
    return match[1] if match else ""


def table_lines(guide, title):
    """Return the lines of the only table in a section, without its head."""
    lines = [line for line in section(guide, title).splitlines() if line.startswith("|")]
    return lines[TABLE_HEAD_LINES:]


def cells_of(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def table(guide, title):
    """Return the rows of the only table in a section, each a list of texts."""
    return [cells_of(line) for line in table_lines(guide, title)]


# --- what the guide names ----------------------------------------------------------------------


def check_notebooks(guide):
    names = set(re.findall(NOTEBOOK_NAME, guide))
    return [f"there is no {name}" for name in names.difference(NOTEBOOKS)]


def check_headings(guide):
    """In italics stand headings of a notebook that the line names, or whose note it is."""
    complaints = []
    note = ""
    for line in without_code_blocks(guide).splitlines():
        if line.startswith("#"):
            note = line.strip("# ") if line.startswith("### ") else ""
        named = re.findall(NOTEBOOK_NAME, line) or [note]
        names = [name for name in named if name in NOTEBOOKS]
        known = set()
        for name in names:
            known.update(HEADINGS[name])
        for words in re.findall(ITALIC, line):
            # Questions to the class and remarks in brackets are in italics, too.
            if words[0] not in '"(' and words not in known:
                place = ", ".join(names) or "any notebook"
                complaints.append(f"no heading {words!r} in {place}")
    return complaints


def check_exercises(guide):
    """The note on each notebook names all its exercises, in their order."""
    complaints = []
    notes = read_notes(guide)
    for name, exercises in EXERCISES.items():
        named = re.findall(r"^- \*(\d\. [^*]+)\*", notes.get(name, ""), re.MULTILINE)
        if named != exercises:
            complaints.append(f"{name}: its exercises are {exercises}, the note has {named}")
    return complaints


def check_make(guide):
    targets = set(re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[1].split())
    matches = [re.match(r"make ([a-z-]+)", span) for span in code_spans(guide)]
    named = {match[1] for match in matches if match}
    return [f"make has no target {name}" for name in named - targets]


def check_commands(guide, commands):
    named = set(re.findall(r"\bmnist[-_]course ([a-z]+)", guide))
    return [f"mnist_course has no command {name}" for name in named - commands]


def check_variables(guide):
    named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", guide)) - FOREIGN_VARIABLES
    return [f"nothing reads {name}" for name in named if f'"{name}"' not in PACKAGES]


def check_names(guide):
    """Names in code letters: a file of the project, or a word of its code."""
    complaints = []
    known = set(re.findall(r"\w+", "\n".join([*CODE.values(), PACKAGES])))
    known.update(dir(builtins))
    for span in set(code_spans(guide)) - FOREIGN_NAMES:
        if re.match(CHECKED_ELSEWHERE, span) or span.startswith(BUILT):
            continue
        path = span.removeprefix("python ")
        if (ROOT / path).exists():
            continue
        if re.fullmatch(r"[\w./-]*[/.][a-z]+/?", path):
            complaints.append(f"there is no file {path}")
            continue
        unknown = set(re.findall(r"[A-Za-z_]\w*", span)) - known
        complaints += [f"{word!r} of `{span}` occurs nowhere" for word in unknown]
    return complaints


def check_links(guide):
    titles = re.findall(r"^#+ (.+)$", without_code_blocks(guide), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    complaints = []
    for target in re.findall(r"\]\(([^)]+)\)", guide):
        path, _, anchor = target.partition("#")
        is_file = (ROOT / "notebooks" / path).exists()
        if not is_file or (anchor and anchor not in anchors):
            complaints.append(f"the link to {target} leads nowhere")
    return complaints


def check_code(guide):
    """The blocks of Python import what exists and use what the notebook before them has."""
    complaints = []
    notebook = ""
    for part in re.split(r"^(```python\n.*?^```)$", guide, flags=re.MULTILINE | re.DOTALL):
        if part.startswith("```python"):
            block = part.removeprefix("```python").removesuffix("```")
            complaints += check_block(block, notebook)
        else:
            notebook = ([notebook] + re.findall(NOTEBOOK_NAME, part))[-1]
    return complaints


def check_block(block, notebook):
    complaints = []
    known = set(re.findall(r"\w+", CODE[notebook])) | set(dir(builtins))
    used = set()
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.Name):
            used.add(node.id)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for alias in node.names:
                known.add(alias.name)
                if not hasattr(module, alias.name):
                    complaints.append(f"{node.module} has no {alias.name}")
    return complaints + [f"{word} is not in {notebook}" for word in used - known]


# --- what the guide promises -------------------------------------------------------------------


def check_plan(guide, title, total):
    complaints = []
    clock = 0
    for row in table(guide, title):
        at = row[0]
        minutes = int(row[1])
        block = row[2]
        if at != f"{clock // 60}:{clock % 60:02}":
            complaints.append(f"{title}: {block!r} begins at {at}, after {clock} minutes")
        if not re.search(NOTEBOOK_NAME, block) and block not in BREAKS:
            complaints.append(f"{title}: {block!r} names no notebook")
        clock += minutes
    if clock != total:
        complaints.append(f"{title}: {clock} minutes")
    return complaints


def check_notes(guide):
    try:
        notes = read_notes(guide)
    except ValueError as error:
        return [f"the notes cannot be read: {error}"]
    short = [name for name in NOTEBOOKS if len(notes.get(name, "").split()) < MIN_NOTE_WORDS]
    return [f"no note on {name}" for name in short]


def check_not_run(guide):
    complaints = []
    for line in guide.splitlines():
        is_heading = line.startswith("#")
        if re.search(NOT_RUN_WORDS, line) and not is_heading and NOT_RUN not in line:
            complaints.append(f"run by us? {line}")
    return complaints


# --- what the guide measured -------------------------------------------------------------------


def read_amount(text):
    """Read `about 2 min`, `about 40 s` or `about 1.5 GB`, in seconds or MB."""
    number, unit = re.fullmatch(r"about ([\d.]+) (s|min|GB)", text).groups()
    return float(number) * {"s": 1, "min": 60, "GB": 1000}[unit]


def check_times(guide, rows):
    """`rows`: what was measured."""
    measured = {(row["notebook"], row["digits"]): row for row in rows}
    complaints = []
    listed = []
    for cell, mnist_time, bundled_time, memory in table(guide, "Running times"):
        name = cell.strip("`")
        listed.append(name)
        mnist = measured.get((name, "MNIST"))
        bundled = measured.get((name, "bundled digits"))
        if mnist is None or bundled is None:
            complaints.append(f"{name} was not measured")
            continue
        pairs = [
            (mnist_time, mnist["seconds"]),
            (bundled_time, bundled["seconds"]),
            (memory, max(mnist["peak_mb"], bundled["peak_mb"])),
        ]
        for text, value in pairs:
            if not 1 / MEASURED_FACTOR <= read_amount(text) / value <= MEASURED_FACTOR:
                complaints.append(f"{name}: {text} in the guide, {value} measured")
    if listed != NOTEBOOKS:
        complaints.append("not all notebooks have their running time")
    return complaints


def accuracy_ends(rows, notebook):
    """Return the lowest and the highest accuracy of a notebook's runs, as texts."""
    percents = [100 * row["test_accuracy"] for row in rows if row["notebook"] == notebook]
    return f"{min(percents):.2f} %", f"{max(percents):.2f} %"


def check_reproducibility(guide, rows):
    title = "Two laptops that disagree"
    expected = []
    for row in rows:
        same = "yes" if row["weights_as"] == "default" else "no"
        scores = [f"{row['test_accuracy']:.4f}", f"{row['test_loss']:.6f}"]
        expected.append([f"`{row['notebook']}`", row["setting"], *scores, same])
    complaints = []
    listed = table(guide, title)
    if listed != expected:
        complaints.append(f"measured {expected}, the guide has {listed}")
    paragraphs = section(guide, title).splitlines()
    for name in {row["notebook"] for row in rows}:
        low, high = accuracy_ends(rows, name)
        if not any(low in paragraph and high in paragraph for paragraph in paragraphs):
            complaints.append(f"{name} lies between {low} and {high}")
    return complaints


def check_pretrained(guide):
    expected = []
    for name in ("mlp", "cnn"):
        card = read_card(name)
        mnist = card["accuracy"]["MNIST, test"]["share"]
        bundled = card["accuracy"]["bundled, all"]["share"]
        shares = [f"{100 * mnist:.2f} %", f"{100 * bundled:.1f} %"]
        expected.append([f'`"{name}"`', f"`{card['notebook']}`", *shares])
    listed = table(guide, "Who fell behind")
    return [] if listed == expected else [f"the cards say {expected}, the guide {listed}"]


CHECKS = {
    "notebooks": check_notebooks,
    "headings": check_headings,
    "exercises": check_exercises,
    "make": check_make,
    "variables": check_variables,
    "names": check_names,
    "links": check_links,
    "code": check_code,
    "two hours": lambda guide: check_plan(guide, "Two hours", 120),
    "three hours": lambda guide: check_plan(guide, "Three hours", 180),
    "notes": check_notes,
    "not run": check_not_run,
    "times": lambda guide: check_times(guide, load_table("notebooks")),
    "reproducibility": lambda guide: check_reproducibility(guide, load_table("reproducibility")),
    "pretrained": check_pretrained,
}


@pytest.mark.parametrize("name", CHECKS)
def test_the_guide_is_right(name):
    assert CHECKS[name](GUIDE) == []


def test_the_guides_commands_exist(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = set(re.findall(r"^    ([a-z]+) ", capsys.readouterr().out, re.MULTILINE))
    assert {"run", "sweep", "collect", "doctor"} <= commands
    assert check_commands(GUIDE, commands) == []
    for words in ("`.venv/bin/mnist-course doktor`", "`python -m mnist_course doktor`"):
        complaints = check_commands(GUIDE + words, commands)
        assert complaints == ["mnist_course has no command doktor"]


# --- mistakes ----------------------------------------------------------------------------------


def add(text):
    """Return what adds a paragraph to a guide; it becomes part of the last note."""
    return lambda guide: f"{guide}\n\n{text}\n"


def add_to_note(notebook, text):
    """Return what puts a paragraph at the beginning of a notebook's note."""
    heading = f"\n### {notebook}\n"
    return lambda guide: guide.replace(heading, f"{heading}\n{text}\n\n")


def change_cell(title, row, column, text):
    """Return what puts another text into one cell of a section's table."""

    def plant(guide):
        line = table_lines(guide, title)[row]
        cells = cells_of(line)
        cells[column] = text
        return replace_line(guide, title, line, f"| {' | '.join(cells)} |")

    return plant


def replace_line(guide, title, line, new):
    old_section = section(guide, title)
    return guide.replace(old_section, old_section.replace(line, new))


def change_minutes(title, row, more):
    """Return what makes a block of a plan longer, without moving the blocks after it."""
    minutes = int(table(GUIDE, title)[row][1])
    return change_cell(title, row, 1, f"{minutes + more}")


def rename_break(title):
    blocks = [cells[2] for cells in table(GUIDE, title)]
    return change_cell(title, blocks.index("Break"), 2, "Rest")


def drop_the_last_row(title):
    return lambda guide: replace_line(guide, title, table_lines(guide, title)[-1] + "\n", "")


def rename_an_exercise(guide):
    """Give another name to the first exercise that a plan names."""
    exercise = re.search(r"\*\d\. [^*]+\*", section(guide, "Two hours"))[0]
    return replace_line(guide, "Two hours", exercise, "*1. Predict: another*")


def shorten_an_exercise(guide):
    """Give another name to an exercise in a notebook's note."""
    return re.sub(r"^- \*2\. [^*]+\*", "- *2. Predict*", guide, count=1, flags=re.MULTILINE)


def drop_an_exercise(guide):
    return re.sub(r"^- \*1\. .*\n", "", guide, count=1, flags=re.MULTILINE)


def rename_a_note(guide):
    return guide.replace("\n### 03_which_architecture\n", "\n### 03_which_design\n")


def claim_a_run(guide):
    """Take the mark from the first line that tells of something we have not run."""
    lines = guide.splitlines()
    for number, line in enumerate(lines):
        if re.search(NOT_RUN_WORDS, line) and NOT_RUN in line:
            lines[number] = line.replace(NOT_RUN, "")
            break
    return "\n".join(lines)


def change_the_interval(guide):
    """Tell another lowest accuracy, wherever notebook 01's stands."""
    low, _ = accuracy_ends(load_table("reproducibility"), "01_dense_network")
    return guide.replace(low, "90.00 %")


def heading_of_another_notebook():
    headings = set(HEADINGS["01_dense_network"]) - set(HEADINGS["02_convolutional_network"])
    return f"*{sorted(headings)[0]}*"


def python_block(source):
    return f"```python\n{source}\n```"


@pytest.mark.parametrize(
    ("name", "plant", "complaint"),
    [
        ("notebooks", add("See `04_error_hospital`."), "no 04_error_hosp"),
        ("headings", add("`01_dense_network`, *No such heading*"), "'No such heading' in 01_dense"),
        ("headings", add_to_note("00_start_here", "*No such heading*"), "heading' in 00_start"),
        (
            "headings",
            add_to_note("02_convolutional_network", heading_of_another_notebook()),
            "in 02_convolutional_network",
        ),
        ("headings", rename_an_exercise, "'1. Predict: another'"),
        ("exercises", shorten_an_exercise, "the note has"),
        ("exercises", drop_an_exercise, "the note has"),
        ("make", add("`make hand-out`"), "no target hand-out"),
        ("variables", add("`MNIST_HELPERS_DIGITS=1 make lab`"), "MNIST_HELPERS_DIGITS"),
        ("variables", add("`HTTPS_PROXIES`"), "nothing reads HTTPS_PROXIES"),
        ("names", add("`environment.yaml`"), "no file environment.yaml"),
        ("names", add("`python benchmarks/nothing.py`"), "no file benchmarks/nothing.py"),
        ("names", add('`load_trained("cnn")`'), "'load_trained' of"),
        ("names", add("`n_epoch = 5`"), "'n_epoch' of"),
        ("links", add("[laptops](#three-laptops)"), "leads nowhere"),
        ("links", add("[the kit](../kit.md)"), "../kit.md leads nowhere"),
        ("code", add(python_block("from mnist_helpers.models import load")), "models has no load"),
        (
            "code",
            add("`01_dense_network`\n\n" + python_block("save_model(net, results_dir)")),
            "net is not in 01_dense_network",
        ),
        (
            "code",
            add_to_note("02_convolutional_network", python_block("answer_to_all")),
            "answer_to_all is not in 02_convolutional_network",
        ),
        ("two hours", change_minutes("Two hours", 3, more=5), " begins at "),
        ("two hours", change_minutes("Two hours", -1, more=5), "125 minutes"),
        ("three hours", rename_break("Three hours"), "'Rest' names no notebook"),
        ("three hours", change_minutes("Three hours", -1, more=1), "181 minutes"),
        ("notes", rename_a_note, "no note on 03_which_arch"),
        ("notes", add_to_note("00_start_here", "#### Skip"), "the notes cannot be read"),
        ("not run", add("It works on a Windows machine."), "It works on a Windows machine."),
        ("not run", claim_a_run, "run by us?"),
        ("times", change_cell("Running times", 1, 1, "about 92 min"), "92 min in the guide"),
        ("times", change_cell("Running times", 1, 3, "about 9 GB"), "9 GB in the guide"),
        ("times", change_cell("Running times", 4, 0, "`05_more`"), "05_more was not measured"),
        ("times", drop_the_last_row("Running times"), "not all notebooks"),
        (
            "reproducibility",
            change_cell("Two laptops that disagree", 1, 1, "default as well"),
            "the guide has",
        ),
        ("reproducibility", change_the_interval, "01_dense_network lies between"),
        ("pretrained", change_cell("Who fell behind", 0, 0, '`"dense"`'), "the cards say"),
        ("pretrained", change_cell("Who fell behind", 1, 2, "99.99 %"), "the cards say"),
    ],
)
def test_a_mistake_in_the_guide_is_seen(name, plant, complaint):
    check = CHECKS[name]
    new_complaints = set(check(plant(GUIDE))) - set(check(GUIDE))
    assert complaint in "\n".join(new_complaints)


def test_the_guides_way_to_catch_up_ends_at_a_model_that_can_be_evaluated(tmp_path, capsys):
    blocks = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    (block,) = [block for block in blocks if "load_pretrained" in block]
    names = {"results_dir": tmp_path}
    exec(block, names)
    assert str(read_card("mlp")["accuracy"]["MNIST, test"]) in capsys.readouterr().out
    # As the notebook's next cell does.
    model = load_model(names["path"])
    assert model.loss
    weights = model.get_weights()
    pretrained = load_pretrained("mlp").get_weights()
    for saved, shipped in zip(weights, pretrained, strict=True):
        assert (saved == shipped).all()
