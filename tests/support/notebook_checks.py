"""What every notebook must keep to: each check takes a notebook and returns its complaints."""

import ast
import re
import statistics

from mnist_helpers.record import read_record
from support.project import ROOT

# Short cells and some prose for each line are what makes these notebooks a lesson.
MEDIAN_LINES = 5
MAX_LINES = 25
# The complete program is there to be read in one piece.
PROGRAM_LINES = 39
MIN_WORDS_PER_LINE = 8
MAX_WORDS_PER_LINE = 20
MAX_CODE_CELLS_IN_A_ROW = 3

# A text alternative says less than this only if it says nothing.
MIN_ALTERNATIVE_LENGTH = 40
MIN_ALTERNATIVE_WORDS = 6

# Larger files are slow to open and to compare.
MAX_CHARACTERS = 1_500_000

IGNORE = "nbval-ignore-output"
# Tags that would let a broken cell pass.
HIDING_TAGS = {"nbval-skip", "nbval-raises-exception", "raises-exception"}

PLACEHOLDER = re.compile(
    r"no description|without a description|placeholder|\btodo\b|\btbd\b|lorem ipsum|untitled"
    r"|<figure|figure size|alt(ernative)? text|to be described|description of the"
)
TITLE = re.compile(r"""(?:set_title\(|suptitle\(|\btitle=)\s*f?["']([^"'{]+)""")
MACHINE_PATH = re.compile(r"/(?:home|root|Users|tmp)/[\w./-]*|[A-Z]:\\\\\w+")

# Parameters that say where things are, not what is run; a record leaves them out.
PLACES = {"data", "results_dir"}
# What a complete program leaves out: it stores nothing, and ends as the article does, on the test
# digits.
NOT_IN_PROGRAMS = {"results_dir", "evaluate_on"}
# A parameter, and the call of which it is an argument; without a call every notebook needs it.
PARAMETER_USES = {
    "seed": "",
    "data": "",
    "validation_fraction": ".fit(",
    "results_dir": "save_model(",
}

# The first article's cell names, in its order.
ARTICLE_CELLS = [
    "environment",
    "device",
    "imports",
    "train-test-split",
    "plot-examples",
    "pixel-distribution",
    "input-formatting",
    "y-value-counts",
    "one-hot-encoding",
    "nn-setup",
    "compile-model",
    "train-model",
    "evaluate",
    "evaluate-examples",
]

# The one notebook that runs others, and so needs the machinery.
SWEEPING_NOTEBOOK = "03_which_architecture"


# --- reading a notebook ------------------------------------------------------------------------

# A file of this project in prose, as `benchmarks/recipes.py`.
PROJECT_PATH = re.compile(r"\b(?:benchmarks|mnist_helpers|mnist_course|notebooks|tests)/[\w./-]+\w")


def tags(cell):
    return cell.metadata.get("tags", [])


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "markdown"]


def tagged(notebook, tag):
    return [cell for cell in code_cells(notebook) if tag in tags(cell)]


def lines(cell):
    return [line for line in cell.source.splitlines() if line.strip()]


def printed(cell):
    return "".join(output.get("text", "") for output in cell.outputs)


def words_of(text):
    """Return a text's words in small letters, so that texts compare whatever their punctuation."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def read_parameters_cell(notebook):
    """Return the defaults of the `parameters` cell and the complaints about it."""
    cells = tagged(notebook, "parameters")
    if len(cells) != 1:
        return {}, [f"{len(cells)} cells are tagged parameters; there must be one"]
    values = {}
    complaints = []
    for line in lines(cells[0]):
        match = re.fullmatch(r"([a-z][a-z0-9_]*) = ([^=#]+)  # ([^=#]+)", line)
        try:
            values[match[1]] = ast.literal_eval(match[2])
        except (TypeError, ValueError, SyntaxError):
            complaints.append(
                f"parameters: not `name = literal  # meaning` with no further = or #: {line}"
            )
    return values, complaints


# --- prose and sizes ---------------------------------------------------------------------------


def check_headings(notebook):
    prose = "\n".join(cell.source for cell in markdown_cells(notebook))
    titles = re.findall(r"^# .+", prose, re.MULTILINE)
    complaints = []
    if len(titles) != 1:
        complaints.append(f"{len(titles)} titles; there must be one")
    if not notebook.cells[0].source.startswith("# "):
        complaints.append("the first cell is not the title")
    return complaints


def check_sizes(notebook):
    complaints = []
    n_lines = [len(lines(cell)) for cell in code_cells(notebook)]
    median = statistics.median(n_lines)
    if median > MEDIAN_LINES:
        complaints.append(f"code cells have a median of {median} lines")
    for cell in code_cells(notebook):
        limit = PROGRAM_LINES if "complete-program" in tags(cell) else MAX_LINES
        if len(cell.source.splitlines()) > limit:
            complaints.append(f"{cell.id}: over {limit} lines")
    n_words = sum(len(cell.source.split()) for cell in markdown_cells(notebook))
    words_per_line = n_words / sum(n_lines)
    if not MIN_WORDS_PER_LINE <= words_per_line <= MAX_WORDS_PER_LINE:
        complaints.append(f"{words_per_line:.1f} words of prose for each line of code")
    return complaints


def check_prose_between(notebook):
    in_a_row = 0
    for cell in notebook.cells:
        in_a_row = in_a_row + 1 if cell.cell_type == "code" else 0
        if in_a_row > MAX_CODE_CELLS_IN_A_ROW:
            return [f"{cell.id}: more than {MAX_CODE_CELLS_IN_A_ROW} code cells without prose"]
    return []


# --- what was run ------------------------------------------------------------------------------


def check_executed(notebook):
    cells = code_cells(notebook)
    counts = [cell.execution_count for cell in cells]
    complaints = []
    if counts != list(range(1, len(counts) + 1)):
        complaints.append(f"cells are not executed once, in order: {counts}")
    for cell in cells:
        complaints += _check_outputs(cell)
    return complaints


def _check_outputs(cell):
    complaints = []
    for output in cell.outputs:
        if output.output_type == "error" or output.get("name") == "stderr":
            complaints.append(f"{cell.id}: an error or something on stderr is stored")
    if "check" in tags(cell) and cell.outputs:
        complaints.append(f"{cell.id}: a check prints something")
    shows_something = "print(" in cell.source or "plotting.show(" in cell.source
    if shows_something and not cell.outputs:
        complaints.append(f"{cell.id}: has no stored output")
    return complaints


def check_ignored(notebook, name, listed):
    """`listed`: lines of ignored_cells.txt."""
    allowed = set()
    for line in listed:
        notebook_name, _, cell_name = line.partition(":")[0].partition(" ")
        if notebook_name == name:
            allowed.add(cell_name)
    ignored = {tags(cell)[0] for cell in tagged(notebook, IGNORE)}
    complaints = [f"{tag} is ignored but not on the list" for tag in ignored - allowed]
    complaints += [f"{tag} is on the list but not ignored" for tag in allowed - ignored]
    return complaints


def check_nothing_hidden(notebook):
    """Nothing that nbval takes for leave to pass over a cell; tags are in small letters."""
    complaints = []
    for cell in code_cells(notebook):
        comments = re.findall(r"#\s*(?:NBVAL|PYTEST)_\w+", cell.source)
        hiding = HIDING_TAGS.intersection(tags(cell))
        capitalized = [tag for tag in tags(cell) if tag != tag.lower()]
        complaints += [f"{cell.id}: {mark}" for mark in [*comments, *hiding, *capitalized]]
    return complaints


def check_parameters(notebook):
    values, complaints = read_parameters_cell(notebook)
    code = "\n".join(cell.source for cell in code_cells(notebook))
    for name, use in PARAMETER_USES.items():
        if use in code and name not in values:
            complaints.append(f"parameters: {name} is missing")
    programs = tagged(notebook, "complete-program")
    # The last cell records a parameter, and a batch does not execute the complete program: a
    # parameter that only these use would be recorded and change nothing.
    steps = [cell for cell in code_cells(notebook)[:-1] if cell not in programs]
    used_in_steps = _names_read(steps)
    used_in_programs = _names_read(programs)
    for name in values:
        if name not in used_in_steps:
            complaints.append(f"parameters: {name} is never used, but perhaps in a program")
        elif programs and name not in used_in_programs and name not in NOT_IN_PROGRAMS:
            complaints.append(f"complete-program: it does not use the parameter {name}")
    return complaints


def _names_read(cells):
    """Return the names of the variables that these cells read."""
    names = set()
    for cell in cells:
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                names.add(node.id)
    return names


def check_paths(notebook):
    """Name the files of this project that the prose speaks of and that are not there."""
    complaints = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for path in PROJECT_PATH.findall(cell.source):
                if not (ROOT / path).exists():
                    complaints.append(f"{cell.id}: there is no {path}")
    return complaints


def check_record(notebook):
    last_cell = code_cells(notebook)[-1]
    if "record_run(" not in last_cell.source:
        return ["the last code cell does not call record_run"]
    values, _ = read_parameters_cell(notebook)
    expected = {name: value for name, value in values.items() if name not in PLACES}
    complaints = []
    for name in sorted(set(expected) ^ _recorded_names(last_cell)):
        complaints.append(f"{name} is not both in the parameters cell and in record_run's")
    record = read_record(notebook)
    if record is None:
        return [*complaints, "no record is stored"]
    if record["digits"]["name"] != "MNIST":
        complaints.append(f"stored on {record['digits']['text']}, not on MNIST")
    stored = record["parameters"]
    for name in sorted(set(expected) | set(stored)):
        default = expected.get(name, "nothing")
        recorded = stored.get(name, "nothing")
        if recorded != default:
            complaints.append(
                f"{name}: the parameters cell has {default!r} and the stored record {recorded!r}: "
                "store the outputs again (make notebooks)"
            )
    return complaints


def _recorded_names(cell):
    """Return the names in the dict that a cell gives to `record_run` as parameters."""
    for node in ast.walk(ast.parse(cell.source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "record_run":
            for keyword in node.keywords:
                if keyword.arg == "parameters" and isinstance(keyword.value, ast.Dict):
                    return {ast.literal_eval(key) for key in keyword.value.keys}
    return set()


# --- figures -----------------------------------------------------------------------------------


def check_figures(notebook):
    """Each picture's alternative says something: no placeholder, not its title, not another."""
    complaints = []
    heading = ""
    earlier = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            headings = re.findall(r"^#+ +(.+)$", cell.source, re.MULTILINE)
            heading = headings[-1] if headings else heading
            continue
        titles = [words_of(title) for title in [heading, *TITLE.findall(cell.source)]]
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                alternative = output.metadata.get("image/png", {}).get("alt", "").strip()
                faults = _check_alternative(alternative, titles, earlier)
                if IGNORE not in tags(cell) and output.data["text/plain"] != alternative:
                    faults.append("the text beside the figure is not its alternative")
                complaints += [f"{cell.id}: {fault}: {alternative!r}" for fault in faults]
                earlier.append(words_of(alternative))
    return complaints


def _check_alternative(alternative, titles, earlier):
    words = words_of(alternative)
    faults = []
    is_short = len(alternative) < MIN_ALTERNATIVE_LENGTH
    if is_short or len(words.split()) < MIN_ALTERNATIVE_WORDS:
        faults.append("a figure without a text alternative")
    if PLACEHOLDER.search(alternative.casefold()):
        faults.append("a placeholder for a text alternative")
    for title in filter(None, titles):
        # A title may occur in it, where enough else is said.
        if title in words and len(words.replace(title, "")) < MIN_ALTERNATIVE_LENGTH:
            faults.append("the text alternative repeats a title")
    if any(words in other or other in words for other in earlier):
        faults.append("the text alternative repeats another")
    return faults


# --- what must not be stored -------------------------------------------------------------------


def check_privacy(notebook, text):
    """`text`: the notebook's file as it is."""
    paths = sorted(set(MACHINE_PATH.findall(text)))
    complaints = [f"a path of somebody's machine is stored: {path}" for path in paths]
    if len(text) > MAX_CHARACTERS:
        complaints.append(f"{len(text):,} characters")
    if notebook.metadata.kernelspec.name != "python3":
        complaints.append(f"kernel {notebook.metadata.kernelspec.name}, not python3")
    left = set()
    for cell in notebook.cells:
        # What folds a solution is the only metadata beside the tags that was meant.
        meant = {"tags", "jupyter"} if "solution" in tags(cell) else {"tags"}
        left |= set(cell.metadata) - meant
    if left:
        complaints.append(f"cells carry metadata that a run left: {sorted(left)}")
    return complaints


def check_solutions(notebook):
    folded = {"source_hidden": True, "outputs_hidden": True}
    complaints = []
    for cell in tagged(notebook, "solution"):
        if cell.metadata.get("jupyter") != folded:
            complaints.append(f"{cell.id}: a solution that is not folded")
        # JupyterLab shows the first line of a folded cell.
        if not cell.source.startswith("# Solution\n"):
            complaints.append(f"{cell.id}: the first line of a solution must be `# Solution`")
        if not printed(cell).startswith("Right. "):
            complaints.append(f"{cell.id}: its solution is not right")
    return complaints


# --- code --------------------------------------------------------------------------------------


def check_test_set(notebook):
    """No test digits in any `fit`, but where the misuse is shown."""
    complaints = []
    for cell in code_cells(notebook):
        if "misuse-demo" in tags(cell):
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "fit":
                arguments = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
                tests = sorted(name for name in arguments if "test" in name)
                complaints += [f"{cell.id}: {name} goes into fit" for name in tests]
    return complaints


def check_imports(notebook, name):
    """A lesson needs `mnist_helpers` alone; only the notebook that runs others imports more."""
    if name == SWEEPING_NOTEBOOK:
        return []
    complaints = []
    for cell in code_cells(notebook):
        modules = set()
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.ImportFrom):
                modules.add(node.module or "")
            elif isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
        if any(module.split(".")[0] == "mnist_course" for module in modules):
            complaints.append(f"{cell.id}: imports mnist_course")
    return complaints


def check_article_names(notebook):
    """The first article's cell names, each once and in its order."""
    names = []
    for cell in code_cells(notebook):
        names += [tag for tag in tags(cell) if tag in ARTICLE_CELLS]
    if names == ARTICLE_CELLS:
        return []
    return [f"cell names are {names}"]
