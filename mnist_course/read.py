"""The command ``read``: says which digits are in pictures."""

import json
import sys
from pathlib import Path

MOST_EXPLAINED = 30


def add_read(commands):
    """Add the command to a parser's."""
    about = "read your own digits: pictures of one digit each, drawn or photographed"
    read = commands.add_parser("read", help=about, description=about)
    read.add_argument("pictures", nargs="+", metavar="PICTURE", help="a PNG, JPEG, … file")
    read.add_argument(
        "--explain",
        metavar="OUT.png",
        help="draw there how each picture became the network's input, and what it made of it",
    )
    read.add_argument("--json", action="store_true", help="print JSON, for programs")
    read.set_defaults(command=_read)


def _read(options):
    from mnist_helpers import silence_stderr
    from mnist_helpers.reading import prepare_or_blank, read_inputs

    if options.explain and len(options.pictures) > MOST_EXPLAINED:
        n = len(options.pictures)
        raise ValueError(f"--explain draws at most {MOST_EXPLAINED} pictures; received {n}")
    inputs, faults = {}, {}
    for path in options.pictures:
        try:
            inputs[path] = prepare_or_blank(path)
        except (OSError, ValueError) as error:
            faults[path] = getattr(error, "strerror", None) or str(error)
    with silence_stderr():
        readings = dict(zip(inputs, read_inputs([*inputs.values()]), strict=True))
    (_print_json if options.json else _print_lines)(options.pictures, readings, faults)
    if options.explain and readings:
        _explain(readings, options.explain)
    return int(bool(faults))


def _print_lines(paths, readings, faults):
    from mnist_helpers.reading import in_words

    width = max(map(len, paths))
    for path in paths:
        if path in faults:
            print(f"mnist_helpers: {path}: {faults[path]}", file=sys.stderr)
        else:
            print(f"{path:<{width}}  {in_words(readings[path])}")


def _print_json(paths, readings, faults):
    rows = []
    for path in paths:
        row = {"picture": path, "error": faults.get(path)}
        if path in readings:
            answer = readings[path]
            row |= {"digit": answer.digit, "confidence": round(answer.confidence, 4)}
            row |= {"runner_up": answer.runner_up}
            row |= {"probabilities": [round(float(p), 4) for p in answer.probabilities]}
        rows.append(row)
    print(json.dumps(rows, indent=2))


def _explain(readings, file):
    from matplotlib.figure import Figure

    from mnist_helpers.drawing import NoInkError, prepare_drawing
    from mnist_helpers.reading import plot_reading

    shown = {}
    for path in readings:
        try:
            _, shown[path] = prepare_drawing(path, steps=True)
        except NoInkError:
            print(
                f"mnist_helpers: {path} shows no ink, there is nothing to explain", file=sys.stderr
            )
    if not shown:
        return
    names = next(iter(shown.values()))
    widths = [1] * len(names) + [1.9]
    figure = Figure(figsize=(1.55 * sum(widths), 2.1 * len(shown)), layout="constrained")
    grid = figure.subplots(len(shown), len(widths), squeeze=False, width_ratios=widths)
    for row, (path, steps) in zip(grid, shown.items(), strict=True):
        plot_reading(steps, readings[path], row)
        row[0].set_xlabel(Path(path).name)
    figure.savefig(file)
    print(f"mnist_helpers: {file} is drawn", file=sys.stderr)
