"""The command ``read``: says which digits are in pictures."""

# The command line imports this module to show its help: only the standard library, until it runs.
import json
import sys
from pathlib import Path

MOST_EXPLAINED = 30
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
        If more than `MOST_EXPLAINED` pictures are to be explained.
    """
    from mnist_helpers.reading import read_inputs

    n_pictures = len(options.pictures)
    if options.explain and n_pictures > MOST_EXPLAINED:
        raise ValueError(
            f"--explain draws at most {MOST_EXPLAINED} pictures; received {n_pictures}"
        )
    inputs, steps, faults = _prepare(options.pictures, keep_steps=bool(options.explain))
    answers = read_inputs(list(inputs.values()))
    predictions = dict(zip(inputs, answers, strict=True))
    if options.json:
        _print_json(options.pictures, predictions, faults)
    else:
        _print_lines(options.pictures, predictions, faults)
    if options.explain and predictions:
        _explain(steps, predictions, options.explain)
    if faults:
        return 1
    return 0


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

    width = max(len(path) for path in paths)
    for path in paths:
        if path in faults:
            _print_message(f"{path}: {faults[path]}")
        else:
            print(f"{path:<{width}}  {in_words(predictions[path])}")


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

    from mnist_helpers.reading import STEP_WIDTH, plot_reading, strip_widths

    with_ink = [path for path in steps if steps[path]]
    for path in steps:
        if path not in with_ink:
            _print_message(f"{path} shows no ink, there is nothing to explain")
    if not with_ink:
        return
    n_steps = len(steps[with_ink[0]])
    widths = strip_widths(n_steps)
    size = (STEP_WIDTH * sum(widths), ROW_HEIGHT * len(with_ink))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(with_ink), len(widths), squeeze=False, width_ratios=widths)
    for row, path in zip(grid, with_ink, strict=True):
        plot_reading(steps[path], predictions[path], row)
        row[0].set_xlabel(Path(path).name)
    figure.savefig(file)
    _print_message(f"{file} is drawn")


def _print_message(message):
    print(f"mnist-course: {message}", file=sys.stderr)
