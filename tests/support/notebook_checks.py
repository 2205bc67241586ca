"""What every notebook must keep to: each check takes a notebook and returns its complaints."""

import ast
import re
import statistics

from mnist_helpers.record import read_record

MAX_LINES, MEDIAN_LINES, PROGRAM_LINES = 25, 5, 39
WORDS_PER_LINE = (8, 20)
IGNORE = "nbval-ignore-output"
PLACEHOLDER = re.compile(
    r"no description|without a description|placeholder|\btodo\b|\btbd\b|lorem ipsum|untitled"
    r"|<figure|figure size|alt(ernative)? text|to be described|description of the"
)
TITLE = re.compile(r"""(?:set_title\(|suptitle\(|\btitle=)\s*f?["']([^"'{]+)""")
PLACES = {"data", "results_dir"}  # parameters that say where things are, not what is run


def tags(cell):
    return cell.metadata.get("tags", [])


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(notebook, tag):
    return [cell for cell in code_cells(notebook) if tag in tags(cell)]


def lines(cell):
    return [line for line in cell.source.splitlines() if line.strip()]


def check_headings(notebook):
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    titles = re.findall(r"^# .+", prose, re.MULTILINE)
    complaints = [] if len(titles) == 1 else [f"{len(titles)} titles; there must be one"]
    if not notebook.cells[0].source.startswith("# "):
        complaints.append("the first cell is not the title")
    return complaints


def check_sizes(notebook):
    complaints = []
    counts = [len(lines(cell)) for cell in code_cells(notebook)]
    if statistics.median(counts) > MEDIAN_LINES:
        complaints.append(f"code cells have a median of {statistics.median(counts)} lines")
    for cell in code_cells(notebook):
        limit = PROGRAM_LINES if "complete-program" in tags(cell) else MAX_LINES
        if len(cell.source.splitlines()) > limit:
            complaints.append(f"{cell.id}: over {limit} lines")
    kinds = "".join("c" if cell.cell_type == "code" else "m" for cell in notebook.cells)
    if "cccc" in kinds:
        complaints.append("more than three code cells without prose")
    words = sum(len(cell.source.split()) for cell in notebook.cells if cell.cell_type == "markdown")
    share = words / sum(counts)
    if not WORDS_PER_LINE[0] <= share <= WORDS_PER_LINE[1]:
        complaints.append(f"{share:.1f} words of prose for each line of code")
    return complaints


def check_executed(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    complaints = []
    if counts != list(range(1, len(counts) + 1)):
        complaints.append(f"cells are not executed once, in order: {counts}")
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "error" or output.get("name") == "stderr":
                complaints.append(f"{cell.id}: an error or something on stderr is stored")
        if "check" in tags(cell) and cell.outputs:
            complaints.append(f"{cell.id}: a check prints something")
        prints = "print(" in cell.source or "plotting.show(" in cell.source
        if prints and not cell.outputs:
            complaints.append(f"{cell.id}: has no stored output")
    return complaints


def check_ignored(notebook, name, listed):
    """`listed`: lines of ignored_cells.txt."""
    allowed = {line.split(":")[0] for line in listed if line and not line.startswith("#")}
    allowed = {entry.split()[1] for entry in allowed if entry.split()[0] == name}
    ignored = {tags(cell)[0] for cell in tagged(notebook, IGNORE)}
    complaints = [f"{tag} is ignored but not on the list" for tag in ignored - allowed]
    complaints += [f"{tag} is on the list but not ignored" for tag in allowed - ignored]
    for cell in code_cells(notebook):
        markers = re.findall(r"#\s*(?:NBVAL|PYTEST)_\w+", cell.source)
        hidden = {"nbval-skip", "nbval-raises-exception", "raises-exception"} & set(tags(cell))
        odd = [tag for tag in tags(cell) if tag != tag.lower()]
        complaints += [f"{cell.id}: {mark}" for mark in [*markers, *hidden, *odd]]
    return complaints


def read_parameters_cell(notebook):
    """Return the defaults of the `parameters` cell and the complaints about it."""
    cells = tagged(notebook, "parameters")
    if len(cells) != 1:
        return {}, [f"{len(cells)} cells are tagged parameters; there must be one"]
    values, complaints = {}, []
    for line in lines(cells[0]):
        match = re.fullmatch(r"([a-z_]+) = ([^=#]+)  # ([^=#]+)", line)
        try:
            values[match[1]] = ast.literal_eval(match[2])
        except (TypeError, ValueError, SyntaxError):
            complaints.append(f"parameters: not `name = literal  # meaning`: {line}")
    return values, complaints


def check_parameters(notebook):
    values, complaints = read_parameters_cell(notebook)
    code = "\n".join(cell.source for cell in code_cells(notebook))
    wanted = {"seed": "", "data": "", "validation_fraction": ".fit(", "results_dir": "save_model("}
    complaints += [
        f"parameters: {name} is missing"
        for name, use in wanted.items()
        if use in code and name not in values
    ]
    return complaints


def check_record(notebook):
    cell = code_cells(notebook)[-1]
    if "record_run(" not in cell.source:
        return ["the last code cell does not call record_run"]
    record = read_record(notebook)
    if record is None:
        return ["no record is stored"]
    complaints = []
    if record["digits"]["name"] != "MNIST":
        complaints.append(f"stored on {record['digits']['text']}, not on MNIST")
    expected = {k: v for k, v in read_parameters_cell(notebook)[0].items() if k not in PLACES}
    if record["parameters"] != expected:
        complaints.append(f"recorded parameters {record['parameters']} are not the cell's")
    return complaints


def plain(text):
    return " ".join(re.findall(r"\w+", text.casefold()))


def check_figures(notebook):
    """Each picture's alternative says something: no placeholder, not its title, not another."""
    complaints, heading, seen = [], "", []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            heading = [heading, *re.findall(r"^#+ +(.+)$", cell.source, re.MULTILINE)][-1]
            continue
        titles = [plain(title) for title in (heading, *TITLE.findall(cell.source)) if plain(title)]
        for output in cell.outputs:
            if "image/png" not in output.get("data", {}):
                continue
            alt = output.metadata.get("image/png", {}).get("alt", "").strip()
            words = plain(alt)
            if len(alt) < 40 or len(words.split()) < 6:
                complaints.append(f"{cell.id}: a figure without a text alternative: {alt!r}")
            if PLACEHOLDER.search(alt.casefold()):
                complaints.append(f"{cell.id}: a placeholder for a text alternative: {alt!r}")
            if any(title in words and len(words.replace(title, "")) < 40 for title in titles):
                complaints.append(f"{cell.id}: the text alternative repeats a title: {alt!r}")
            if any(words in other or other in words for other in seen):
                complaints.append(f"{cell.id}: the text alternative repeats another: {alt!r}")
            if IGNORE not in tags(cell) and output.data["text/plain"] != alt:
                complaints.append(f"{cell.id}: the text beside the figure is not its alternative")
            seen.append(words)
    return complaints


def check_privacy(notebook, text):
    """`text`: the notebook's file as it is."""
    paths = re.findall(r"/(?:home|root|Users|tmp)/[\w./-]*|[A-Z]:\\\\\w+", text)
    complaints = [f"a path of somebody's machine is stored: {path}" for path in sorted(set(paths))]
    if len(text) > 1_500_000:
        complaints.append(f"{len(text):,} characters")
    if notebook.metadata.kernelspec.name != "python3":
        complaints.append(f"kernel {notebook.metadata.kernelspec.name}, not python3")
    extra = {
        key
        for cell in notebook.cells
        for key in cell.metadata
        if key != "tags" and not (key == "jupyter" and "solution" in tags(cell))
    }
    if extra:
        complaints.append(f"cells carry metadata that a run left: {sorted(extra)}")
    return complaints


def check_solutions(notebook):
    folded = {"source_hidden": True, "outputs_hidden": True}
    complaints = []
    for cell in tagged(notebook, "solution"):
        if cell.metadata.get("jupyter") != folded:
            complaints.append(f"{cell.id}: a solution that is not folded")
        if not cell.source.startswith(
            "# Solution\n"
        ):  # JupyterLab shows a folded cell's first line
            complaints.append(f"{cell.id}: the first line of a solution must be `# Solution`")
        if not "".join(output.get("text", "") for output in cell.outputs).startswith("Right. "):
            complaints.append(f"{cell.id}: its solution is not right")
    return complaints


def check_test_set(notebook):
    """No test digits in any `fit`, but where the misuse is shown."""
    complaints = []
    for cell in code_cells(notebook):
        if "misuse-demo" in tags(cell):
            continue
        for call in ast.walk(ast.parse(cell.source)):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "fit":
                names = {node.id for node in ast.walk(call) if isinstance(node, ast.Name)}
                complaints += [
                    f"{cell.id}: {name} goes into fit" for name in sorted(names) if "test" in name
                ]
    return complaints


ARTICLE_CELLS = [
    *("environment", "device", "imports", "train-test-split", "plot-examples"),
    *("pixel-distribution", "input-formatting", "y-value-counts", "one-hot-encoding", "nn-setup"),
    *("compile-model", "train-model", "evaluate", "evaluate-examples"),
]


def check_article_names(notebook):
    """The first article's cell names, each once and in its order."""
    names = [tag for cell in code_cells(notebook) for tag in tags(cell) if tag in ARTICLE_CELLS]
    return [] if names == ARTICLE_CELLS else [f"cell names are {names}"]
