"""The command ``read``: says which digits are in pictures."""

# The command line imports this module to show its help: only the standard library, until it runs.
import json
import os
import sys
import warnings
from pathlib import Path

from mnist_course.terminal import printable

MOST_EXPLAINED = 30
# Characters of a file's name in the figure: more would reach into the next column.
MOST_OF_NAME = 24
# Inches of a row in the figure that explains; a little more than the strip, for the file's name.
ROW_HEIGHT = 2.1
# Digits after the decimal point of probabilities in JSON.
DECIMALS = 4


def command(options):
    """Read pictures, and print what each one was read as.

    Pictures that cannot be read are named on stderr; the others are read all the same.

    Parameters
    ----------
    options : argparse.Namespace
        ``pictures``, a list of paths as str; ``explain``, where to draw how each picture became
        the network's input, or None; ``json``, whether to print JSON instead of lines.

    Returns
    -------
    int
        0 when all pictures could be read, 1 otherwise: the exit status.

    Raises
    ------
    ValueError
        If more than `MOST_EXPLAINED` pictures are to be explained, or if the figure cannot be
        drawn where it is wanted.
    """
    from mnist_helpers.reading import read_inputs

    is_explained = options.explain is not None
    if is_explained:
        # Before the work, not after it.
        _check_explanation(options.pictures, options.explain)
    inputs, steps, faults = _prepare(options.pictures, keep_steps=is_explained)
    answers = read_inputs(list(inputs.values()))
    predictions = dict(zip(inputs, answers, strict=True))
    if options.json:
        _print_json(options.pictures, predictions, faults)
    else:
        _print_lines(options.pictures, predictions, faults)
    if is_explained and predictions:
        _explain(steps, predictions, options.explain)
    if faults:
        return 1
    return 0


def _check_explanation(pictures, file):
    """Refuse a figure of too many pictures, or in a place where none can be drawn."""
    if len(pictures) > MOST_EXPLAINED:
        raise ValueError(
            f"--explain draws at most {MOST_EXPLAINED} pictures; received {len(pictures)}"
        )
    path = Path(file)
    shown = printable(file)
    formats = _drawable_formats()
    if path.suffix.lower() not in formats:
        raise ValueError(
            f"--explain needs a file whose name ends in {', '.join(formats)}; received {shown!r}"
        )
    _check_place(path)
    for picture in pictures:
        # The same name, a link, or the same file under another name.
        if path.exists() and os.path.exists(picture) and path.samefile(picture):
            raise ValueError(f"--explain would overwrite the picture {shown}: give another name")


def _check_place(path):
    """Refuse what is no file, what no file can replace, and a place in no folder."""
    shown = printable(str(path))
    if path.is_symlink() and not path.exists():
        raise ValueError(
            f"--explain writes a file; {shown} is a link to nothing: remove it, or give another "
            "name"
        )
    if path.exists() and not path.is_file():
        raise ValueError(f"--explain writes a file; {shown} is a folder, a pipe or a device")
    # Folders that are missing are made.
    folder = path.parent
    while not os.path.lexists(folder):
        folder = folder.parent
    place = printable(str(folder))
    if not folder.is_dir():
        raise ValueError(f"{shown} cannot be written, because {place} is no folder: give another")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(
            f"{shown} cannot be written: {place} is a folder in which you may not write"
        )


def _drawable_formats():
    """Return the suffixes of the files that matplotlib writes, the most usual one first."""
    from mnist_helpers.library_settings import matplotlib_defaults

    with matplotlib_defaults():
        from matplotlib.figure import Figure

    formats = set(Figure().canvas.get_supported_filetypes())
    # PGF needs a TeX.
    others = sorted(formats - {"png", "pgf"})
    return [f".{name}" for name in ["png", *others]]


def _prepare(paths, *, keep_steps):
    """Return three dicts by path: the inputs, the steps to them, and what is wrong with a file."""
    from mnist_helpers.reading import prepare_or_blank

    inputs = {}
    steps = {}
    faults = {}
    for path in paths:
        try:
            x, steps_of_one = prepare_or_blank(path, steps=True)
        except OSError as error:
            # Without the number and the path that `str` adds; the path is printed before it.
            faults[path] = error.strerror or str(error)
        except ValueError as error:
            faults[path] = str(error)
        else:
            inputs[path] = x
            # The steps are large: of a thousand pictures, half a gigabyte.
            if keep_steps:
                steps[path] = steps_of_one
    return inputs, steps, faults


def _print_lines(paths, predictions, faults):
    from mnist_helpers.reading import in_words

    shown = {path: printable(path) for path in paths}
    width = max(len(name) for name in shown.values())
    for path in paths:
        if path in faults:
            _print_message(f"{path}: {faults[path]}")
        else:
            print(f"{shown[path]:<{width}}  {in_words(predictions[path])}")


def _print_json(paths, predictions, faults):
    rows = []
    for path in paths:
        if path in faults:
            rows.append({"picture": path, "error": faults[path]})
        else:
            rows.append(_to_row(path, predictions[path]))
    print(json.dumps(rows, indent=2))


def _to_row(path, prediction):
    probabilities = [round(float(p), DECIMALS) for p in prediction.probabilities]
    return {
        "picture": path,
        "error": None,
        "digit": prediction.digit,
        "confidence": round(prediction.confidence, DECIMALS),
        "runner_up": prediction.runner_up,
        "probabilities": probabilities,
    }


def _explain(steps, predictions, file):
    """Draw a row for each picture that shows ink: its steps, and the probabilities."""
    # Not pyplot: a figure of its own needs no display, and nothing has to be closed.
    from matplotlib.figure import Figure

    from mnist_helpers.plotting import course_style
    from mnist_helpers.reading import STEP_WIDTH, plot_reading, strip_widths
    from mnist_helpers.saving import atomic_write

    with_ink = [path for path in steps if steps[path]]
    for path in steps:
        if path not in with_ink:
            _print_message(f"{path} shows no ink, there is nothing to explain")
    if not with_ink:
        return
    n_steps = len(steps[with_ink[0]])
    widths = strip_widths(n_steps)
    size = (STEP_WIDTH * sum(widths), ROW_HEIGHT * len(with_ink))
    with course_style():
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(with_ink), len(widths), squeeze=False, width_ratios=widths)
        for row, path in zip(grid, with_ink, strict=True):
            plot_reading(steps[path], predictions[path], row)
            # A dollar in a file's name begins no formula.
            row[0].set_xlabel(_name_in_figure(path), parse_math=False)
        # A character that the figure's font lacks is drawn as a box: matplotlib warns of each.
        try:
            with atomic_write(file) as part, warnings.catch_warnings(action="ignore"):
                figure.savefig(part)
        except OSError as error:
            # Without the path that `str` adds: it may be that of a temporary file.
            raise OSError(f"{file} cannot be written: {error.strerror or error}") from error
    _print_message(f"{file} is drawn")


def _name_in_figure(path):
    name = printable(Path(path).name)
    if len(name) > MOST_OF_NAME:
        return name[: MOST_OF_NAME - 1] + "…"
    return name


def _print_message(message):
    print(f"mnist-course: {printable(message)}", file=sys.stderr)
