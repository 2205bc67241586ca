"""The commands: ``python -m mnist_helpers --help``."""

import argparse
import sys
import warnings

from mnist_helpers.classroom import doctor
from mnist_helpers.own_digits.command import add_read


def main(arguments=None):
    """Run a command.

    Parameters
    ----------
    arguments : list of str, optional
        By default the command line's.

    Returns
    -------
    int
        0 when all went well, 1 when a notebook failed or the doctor found what must be mended, 2
        when the user asked for what cannot be or what is needed is not there, 130 when interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m mnist_helpers", description=__doc__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_doctor(commands)
    add_read(commands)
    # The doctor runs even where what the others import is missing; reading need not wait for it.
    if arguments[:1] not in (["doctor"], ["read"]):
        from mnist_helpers.sweep.command import add_collect, add_sweep

        _add_run(commands)
        add_sweep(commands)
        add_collect(commands)
    options = parser.parse_args(arguments)
    warnings.showwarning = _warn
    try:
        return options.command(options)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"mnist_helpers: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nmnist_helpers: interrupted; what was finished is kept", file=sys.stderr)
        return 130


def _warn(message, *_):
    print(f"mnist_helpers: {message}", file=sys.stderr)


def _add_doctor(commands):
    about = "check that this computer is ready, and say how long each notebook will take"
    commands.add_parser("doctor", help=about, description=about).set_defaults(command=_doctor)


def _doctor(options):
    return int(doctor.examine()["lines_to_mend"] > 0)


def _add_run(commands):
    about = "run notebooks with other parameters, and make pages of them"
    run = commands.add_parser("run", help=about, description=about)
    run.add_argument(
        "notebooks",
        nargs="*",
        metavar="NOTEBOOK",
        help="a path, or a name in notebooks/ (default: all numbered ones there)",
    )
    run.add_argument(
        "-p",
        dest="parameters",
        action="append",
        default=[],
        metavar="name=value",
        help="a parameter, for every notebook run: -p epochs=2 -p dropout=1e-1 "
        "-p hidden_units=[64,32]; may be given several times",
    )
    run.add_argument(
        "--output",
        default="results",
        metavar="DIR",
        help="where executed notebooks and pages go (default: results)",
    )
    run.set_defaults(command=_run)


def _run(options):
    from mnist_helpers.batch.parameters import split_assignments
    from mnist_helpers.batch.run import run_notebooks
    from mnist_helpers.pages import summarise

    parameters = split_assignments("-p", options.parameters)
    outcomes = run_notebooks(options.notebooks, parameters=parameters, output=options.output)
    table = [("notebook", "seconds", "result", "digits"), *map(summarise, outcomes)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for notebook, seconds, *rest in table:
        rest = "  ".join(f"{text:<{width}}" for text, width in zip(rest, widths[2:], strict=True))
        print(f"{notebook:<{widths[0]}}  {seconds:>{widths[1]}}  {rest}".rstrip())
    print(f"\nPages: {options.output}/index.html")
    return int(any(outcome["error"] for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
