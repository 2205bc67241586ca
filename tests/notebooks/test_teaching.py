"""The teaching guide names only what exists, adds up, and tells the numbers that were measured.

Each check is a function that returns complaints, so that it is tried on planted mistakes too.
"""

import ast
import builtins
import importlib
import re

import nbformat
import pytest
from support.project import ROOT

from mnist_course.__main__ import main
from mnist_course.handout import read_notes
from mnist_helpers.models import load_pretrained, read_card
from mnist_helpers.saving import load_model
from mnist_helpers.tables import load_table

GUIDE = (ROOT / "notebooks/TEACHING.md").read_text(encoding="utf-8")
NOTEBOOKS = {
    path.stem: nbformat.read(path, as_version=4)
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
}
PROSE = {
    name: "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for name, notebook in NOTEBOOKS.items()
}
CODE = {
    name: "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    for name, notebook in NOTEBOOKS.items()
}
PACKAGE = "\n".join(
    path.read_text(encoding="utf-8") for path in (ROOT / "mnist_helpers").rglob("*.py")
)
EXERCISES = {
    name: re.findall(r"^### (\d\. .+)$", text.partition("\n## Exercises\n")[2], re.MULTILINE)
    for name, text in PROSE.items()
}
HEADINGS = {name: re.findall(r"^#+ (.+)$", text, re.MULTILINE) for name, text in PROSE.items()}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

NOTEBOOK = r"\b\d\d_[a-z_]+\b"
NOT_RUN = "*(not run by us)*"
NOT_RUN_WORDS = "JupyterHub|Binder|Windows|macOS|HTTPS_PROXY|CUDA_\\w+|TF_FORCE_\\w+|shared server"
# Variables that other programs read, not ours.
FOREIGN_VARIABLES = {
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "TF_ENABLE_ONEDNN_OPTS"),
    *("TF_FORCE_GPU_ALLOW_GROWTH", "CUDA_VISIBLE_DEVICES", "ONEDNN_MAX_CPU_ISA"),
    *("OMP_NUM_THREADS", "HTTPS_PROXY"),
}
FOREIGN_NAMES = {"c.Spawner.environment", "c.Spawner.mem_limit", "sigmoid", "mnist.npz"}
BUILT = (
    "dist/kit/",
    "dist/learner/",
    "dist/instructor/",
    "results/",
    ".venv/",
    "work/",
    "index.html",
)


def plain(guide):
    """Drop the blocks of code, line by line, so that line numbers stay."""
    return re.sub(r"^```.*?^```$", "", guide, flags=re.MULTILINE | re.DOTALL)


def spans(guide):
    return re.findall(r"`([^`\n]+)`", plain(guide))


def section(guide, title):
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", guide, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def table(guide, title):
    """Return the rows of the only table in a section, each a list of texts."""
    lines = [line for line in section(guide, title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


# --- what the guide names ----------------------------------------------------------------------


def check_notebooks(guide):
    return [f"there is no {name}" for name in set(re.findall(NOTEBOOK, guide)) - set(NOTEBOOKS)]


def check_headings(guide):
    """In italics stand headings of a notebook that the line names, or whose note it is."""
    complaints, note = [], ""
    for line in plain(guide).splitlines():
        if line.startswith("#"):
            note = line.strip("# ") if line.startswith("### ") else ""
        names = [name for name in re.findall(NOTEBOOK, line) or [note] if name in NOTEBOOKS]
        known = {heading for name in names for heading in HEADINGS[name]}
        for words in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", line):
            if words[0] not in '"(' and words not in known:
                complaints.append(f"no heading {words!r} in {', '.join(names) or 'any notebook'}")
    return complaints


def check_exercises(guide):
    """The note on each notebook names all its exercises, in their order."""
    complaints, notes = [], read_notes(guide)
    for name, exercises in EXERCISES.items():
        named = re.findall(r"^- \*(\d\. [^*]+)\*", notes.get(name, ""), re.MULTILINE)
        if named != exercises:
            complaints.append(f"{name}: its exercises are {exercises}, the note has {named}")
    return complaints


def check_make(guide):
    targets = set(re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[1].split())
    named = {found[1] for span in spans(guide) if (found := re.match(r"make ([a-z-]+)", span))}
    return [f"make has no target {name}" for name in named - targets]


def commands(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    return set(re.findall(r"^    ([a-z]+) ", capsys.readouterr().out, re.MULTILINE))


def check_commands(guide, known):
    named = set(re.findall(r"\bmnist[-_]course ([a-z]+)", guide))
    return [f"mnist_course has no command {name}" for name in named - known]


def check_variables(guide):
    named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", guide)) - FOREIGN_VARIABLES
    return [f"nothing reads {name}" for name in named if f'"{name}"' not in PACKAGE]


def check_names(guide):
    """Names in code letters: a file of the project, or a word of its code."""
    complaints = []
    known = set(re.findall(r"\w+", "\n".join([*CODE.values(), PACKAGE]))) | set(dir(builtins))
    for span in set(spans(guide)) - FOREIGN_NAMES:
        if re.match(r"[A-Z_]+(=|$)|make |python3 |sh " + "|" + NOTEBOOK, span):
            continue  # others check these
        if span.startswith(BUILT) or (ROOT / span.removeprefix("python ")).exists():
            continue
        if re.fullmatch(r"[\w./-]*[/.][a-z]+/?", span):
            complaints.append(f"there is no file {span}")
            continue
        words = set(re.findall(r"[A-Za-z_]\w*", span))
        complaints += [f"{word!r} of `{span}` occurs nowhere" for word in words - known]
    return complaints


def check_links(guide):
    titles = re.findall(r"^#+ (.+)$", plain(guide), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    complaints = []
    for target in re.findall(r"\]\(([^)]+)\)", guide):
        path, _, anchor = target.partition("#")
        if not (ROOT / "notebooks" / path).exists() or anchor and anchor not in anchors:
            complaints.append(f"the link to {target} leads nowhere")
    return complaints


def check_code(guide):
    """The blocks of Python import what exists and use what the notebook before them has."""
    complaints, name = [], ""
    for part in re.split(r"^(```python\n.*?^```)$", guide, flags=re.MULTILINE | re.DOTALL):
        if not part.startswith("```python"):
            name = ([name] + re.findall(NOTEBOOK, part))[-1]
            continue
        tree = ast.parse(part[10:-3])
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        imported = {alias.name: node.module for node in nodes for alias in node.names}
        for word, module in imported.items():
            if not hasattr(importlib.import_module(module), word):
                complaints.append(f"{module} has no {word}")
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        there = set(re.findall(r"\w+", CODE[name])) | set(dir(builtins)) | set(imported)
        complaints += [f"{word} is not in {name}" for word in used - there]
    return complaints


# --- what the guide promises -------------------------------------------------------------------


def check_plan(guide, title, total):
    complaints, clock = [], 0
    for at, minutes, block, *_ in table(guide, title):
        if at != f"{clock // 60}:{clock % 60:02}":
            complaints.append(f"{title}: {block!r} begins at {at}, after {clock} minutes")
        if not re.search(NOTEBOOK, block) and block not in ("Break", "Feedback"):
            complaints.append(f"{title}: {block!r} names no notebook")
        clock += int(minutes)
    return complaints if clock == total else [*complaints, f"{title}: {clock} minutes"]


def check_notes(guide):
    try:
        notes = read_notes(guide)
    except ValueError as error:
        return [str(error)]
    return [f"no note on {name}" for name in NOTEBOOKS if len(notes.get(name, "").split()) < 100]


def check_not_run(guide):
    return [
        f"run by us? {line}"
        for line in guide.splitlines()
        if re.search(NOT_RUN_WORDS, line) and line[0] != "#" and NOT_RUN not in line
    ]


# --- what the guide measured -------------------------------------------------------------------


def amount(text):
    """Read `about 2 min`, `about 40 s` or `about 1.5 GB`, in seconds or MB."""
    number, unit = re.fullmatch(r"about ([\d.]+) (s|min|GB)", text).groups()
    return float(number) * {"s": 1, "min": 60, "GB": 1000}[unit]


def check_times(guide, rows):
    """`rows`: what was measured; the guide may be half as much again, or so much below."""
    found = {(row["notebook"], row["digits"]): row for row in rows}
    complaints, listed = [], table(guide, "Running times")
    for cell, mnist, bundled, memory in listed:
        name = cell.strip("`")
        both = [found.get((name, digits)) for digits in ("MNIST", "bundled digits")]
        if None in both:
            complaints.append(f"{name} was not measured")
            continue
        pairs = [(mnist, both[0]["seconds"]), (bundled, both[1]["seconds"])]
        pairs.append((memory, max(row["peak_mb"] for row in both)))
        for text, true in pairs:
            if not 1 / 1.5 <= amount(text) / true <= 1.5:
                complaints.append(f"{name}: {text} in the guide, {true} measured")
    if [row[0].strip("`") for row in listed] != list(NOTEBOOKS):
        complaints.append("not all notebooks have their running time")
    return complaints


def check_sameness(guide, rows):
    expected = [
        [
            f"`{row['notebook']}`",
            row["setting"],
            f"{row['test_accuracy']:.4f}",
            f"{row['test_loss']:.6f}",
            "yes" if row["weights_as"] == "default" else "no",
        ]
        for row in rows
    ]
    listed = table(guide, "Two laptops that disagree")
    complaints = [] if listed == expected else [f"measured {expected}, the guide has {listed}"]
    for name in {row["notebook"] for row in rows}:
        scores = [100 * row["test_accuracy"] for row in rows if row["notebook"] == name]
        words = f"between {min(scores):.2f} % and {max(scores):.2f} %"
        complaints += [] if words in guide else [f"{name} lies {words}"]
    return complaints


def check_pretrained(guide):
    expected = []
    for name in ("mlp", "cnn"):
        card = read_card(name)
        shares = [card["accuracy"][d]["share"] for d in ("MNIST, test", "bundled, all")]
        texts = [f"{100 * shares[0]:.2f} %", f"{100 * shares[1]:.1f} %"]
        expected.append([f'`"{name}"`', f"`{card['notebook']}`", *texts])
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
    "sameness": lambda guide: check_sameness(guide, load_table("reproducibility")),
    "pretrained": check_pretrained,
}


@pytest.mark.parametrize("name", CHECKS)
def test_the_guide(name):
    assert CHECKS[name](GUIDE) == []


def test_the_guides_commands(capsys):
    known = commands(capsys)
    assert {"run", "sweep", "collect"} <= known and check_commands(GUIDE, known) == []
    planted = GUIDE.replace("mnist-course doctor", "mnist-course doktor")
    assert check_commands(planted, known) == ["mnist_course has no command doktor"]


@pytest.mark.parametrize(
    ("name", "old", "new", "complaint"),
    [
        ("notebooks", "`04_error_clinic`, *3", "`04_error_hospital`, *3", "no 04_error_hosp"),
        ("headings", "*Load the digits* to", "*Load the data* to", "no heading 'Load the data'"),
        ("headings", "*Curves*", "*Train the network*", "no heading 'Train the network' in 02"),
        ("headings", "*1. Predict: a larger batch*,", "*1. Predict: more*,", "'1. Predict: more'"),
        ("exercises", "- *2. Predict: smaller windows* ", "- *2. Predict* ", "the note has"),
        ("exercises", "- *4. Stretch: the average digit*", "- More:", "00_start_here: its"),
        ("make", "`make handout`", "`make hand-out`", "no target hand-out"),
        (
            "variables",
            "MNIST_HELPERS_DATA=digits",
            "MNIST_HELPERS_DIGITS=1",
            "MNIST_HELPERS_DIGITS",
        ),
        ("variables", "`HTTPS_PROXY`", "`HTTPS_PROXIES`", "nothing reads HTTPS_PROXIES"),
        ("names", "`environment.yml`", "`environment.yaml`", "no file environment.yaml"),
        ("names", '`load_pretrained("cnn")`', '`load_trained("cnn")`', "'load_trained' of"),
        ("names", "`epochs = 5`", "`n_epoch = 5`", "'n_epoch' of"),
        ("links", "](#two-laptops", "](#three-laptops", "leads nowhere"),
        (
            "links",
            "the kit has scripts",
            "[the kit](../kit.md) has scripts",
            "../kit.md leads nowhere",
        ),
        ("code", "import load_pretrained, read", "import load, read", "models has no load"),
        (
            "code",
            "save_model(model, results_dir",
            "save_model(net, results_dir",
            "net is not in 01",
        ),
        ("code", "response.shape\n", "answer_to_all\n", "answer_to_all is not in 02"),
        ("two hours", "| 0:45 | 20 |", "| 0:45 | 25 |", "'Break' begins at 1:05, after 70"),
        ("two hours", "| 1:55 | 5 | Feedback", "| 1:55 | 10 | Feedback", "125 minutes"),
        ("three hours", "| 2:25 | 5 | Break |", "| 2:25 | 5 | Rest |", "'Rest' names no notebook"),
        ("three hours", "| 2:55 | 5 | Feedback", "| 2:55 | 6 | Feedback", "181 minutes"),
        ("notes", "### 03_which_architecture", "### 03_which_design", "no note on 03_which_arch"),
        ("notes", "**Skip** exercises 2 and 4,", "#### Skip\n", "a note has no headings"),
        ("not run", "one such machine", "one Windows machine", "one Windows machine"),
        ("not run", f"keeps nothing. {NOT_RUN}", "keeps nothing.", "keeps nothing"),
        ("times", "`01_dense_network` | about ", "`01_dense_network` | about 9", "in the guide"),
        ("times", "| `04_error_clinic` | about", "| `05_more` | about", "05_more was not measured"),
        ("sameness", "| default again |", "| default as well |", "the guide has"),
        ("sameness", "together lie between", "together lie near", "01_dense_network lies between"),
        ("pretrained", '| `"mlp"` |', '| `"dense"` |', "the cards say"),
    ],
)
def test_a_mistake_in_the_guide_is_seen(name, old, new, complaint):
    assert old in GUIDE
    found = set(CHECKS[name](GUIDE.replace(old, new))) - set(CHECKS[name](GUIDE))
    assert complaint in "\n".join(found)


def test_the_guides_way_to_catch_up_ends_at_a_model_that_can_be_evaluated(tmp_path, capsys):
    blocks = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    (block,) = [block for block in blocks if "load_pretrained" in block]
    names = {"results_dir": tmp_path}
    exec(block, names)
    assert str(read_card("mlp")["accuracy"]["MNIST, test"]) in capsys.readouterr().out
    model = load_model(names["path"])  # as the notebook's next cell does
    weights = zip(model.get_weights(), load_pretrained("mlp").get_weights(), strict=True)
    assert model.loss and all((a == b).all() for a, b in weights)
