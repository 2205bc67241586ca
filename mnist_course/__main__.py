"""Run, sweep, read, check and pack the notebooks of a course in reading handwritten digits."""

# This module imports nothing but the standard library before a command starts. So `--help` works
# where nothing else is installed, and the doctor can say there what is missing.
import os
import sys

# Its place in the path of modules is settled before that changes.
import mnist_helpers  # noqa: F401


def _put_working_folder_last():
    """Let no file of the working folder hide a module: a learner's own random.py may lie there.

    ``python -m`` puts that folder first. It stays the last, in which the course itself is found
    where it is not installed.
    """
    try:
        is_first = os.path.samefile(sys.path[0] or ".", os.getcwd())
    except OSError:
        # A working folder that has been deleted hides nothing.
        return
    if is_first:
        sys.path.append(sys.path.pop(0))


if __name__ == "__main__":
    _put_working_folder_last()
    from mnist_course.signals import leave_on_interrupt

    leave_on_interrupt()

import argparse  # noqa: E402
import contextlib  # noqa: E402
import warnings  # noqa: E402

from mnist_course.failed_imports import explain_failed_import  # noqa: E402
from mnist_course.signals import (  # noqa: E402
    INTERRUPTED,
    Stopped,
    raise_on_interrupt,
    stop_on_signals,
)
from mnist_course.terminal import (  # noqa: E402
    HOME_ADVICE,
    LONGEST_MESSAGE,
    guard_output,
    has_home,
    one_line,
    printable,
    shorten,
)
from mnist_helpers.library_settings import writable_settings  # noqa: E402

_REFUSED = 2
_NEXT_LINE = "\n  "
# Commands whose kernels import what lies in the folder where they start.
_WITH_KERNELS = ("run", "sweep")


def main(arguments=None):
    """Run one command.

    Parameters
    ----------
    arguments : list of str, optional
        The words after the program's name. The default is the command line's.

    Returns
    -------
    int
        The exit status:

        ====  ===================================================================================
        0     all went well
        1     a notebook, a run or a picture failed, or the doctor found something to mend
        2     the command could not do what was asked, or its output could not be written
        130   it was interrupted
        141   whoever read its output, such as ``head``, has stopped reading
        129   the terminal was closed (SIGHUP)
        143   it was told to end (SIGTERM)
        ====  ===================================================================================

    Raises
    ------
    SystemExit
        With 0 after ``--help``, 2 when the arguments cannot be understood, and 2 or 141 when the
        output cannot be written.
    """
    with guard_output():
        return _run_command(arguments)


def _run_command(arguments):
    _forget_settings_of_tqdm()
    # Kernels and workers are never to wait for somebody to type something.
    os.environ.pop("PYTHONINSPECT", None)
    options = _build_parser().parse_args(arguments)
    warnings.showwarning = _print_warning
    if not _has_working_folder():
        _print_message("the folder that you are in has been deleted: go to another one with cd")
        return _REFUSED
    if options.name in _WITH_KERNELS and not has_home():
        _print_message(HOME_ADVICE)
        return _REFUSED
    try:
        raise_on_interrupt()
        with stop_on_signals(), writable_settings():
            status = options.command(options)
        if status == 1 and options.name in _WITH_KERNELS:
            _name_hiding_files()
        return status
    except ModuleNotFoundError as error:
        _print_message(
            f"{error.name} is missing: install the course with all it needs, "
            "in its folder: pip install -e '.[course]'"
        )
        _name_hiding_files()
        return _REFUSED
    except Stopped as stopped:
        # After a hang-up there is nobody left to tell.
        with contextlib.suppress(OSError):
            print(file=sys.stderr)
            _print_message(f"stopped by {stopped.signal_name}; what was finished is kept")
        return stopped.status
    except KeyboardInterrupt:
        # The terminal has just shown ^C: the message starts on a line of its own.
        print(file=sys.stderr)
        _print_message("interrupted; what was finished is kept")
        return INTERRUPTED
    except MemoryError:
        _print_message("there is not enough memory: close other programs and notebooks")
        return _REFUSED
    except Exception as error:
        cause = explain_failed_import(error)
        if cause:
            _print_message(cause)
            return _REFUSED
        if _is_meant_for_the_user(error):
            _print_message(_text_of(error))
            _name_hiding_files(_search_path())
            return _REFUSED
        if sys.flags.dev_mode:
            raise
        name = type(error).__name__
        if _name_hiding_files():
            _print_message(f"{name}: {_one_line(error)}")
            return _REFUSED
        _print_message(
            f"{name}: {_one_line(error)} (this is a fault of the course: please report it, with "
            "what the same command prints after python -P -X dev -m mnist_course)"
        )
        return _REFUSED


def _forget_settings_of_tqdm():
    """Take out variables that change progress bars; one that is no number would stop everything."""
    for name in list(os.environ):
        if name.startswith("TQDM_") and name != "TQDM_DISABLE":
            del os.environ[name]


def _one_line(error):
    return " ".join(str(error).split()) or "it says nothing more"


def _is_meant_for_the_user(error):
    """Tell whether an error says what was wrong with what the command was given."""
    # Python's own RuntimeErrors say nothing of the kind.
    is_mistake = isinstance(error, (RecursionError, NotImplementedError))
    return isinstance(error, (ValueError, OSError, RuntimeError)) and not is_mistake


def _text_of(error):
    """Return what an error says, without the number that the system puts in front of it."""
    if isinstance(error, OSError) and error.strerror:
        if error.filename is None:
            return str(error.strerror)
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def _has_working_folder():
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def _search_path():
    """Return the folders of the variable PYTHONPATH, where Python looks before its own."""
    return [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]


def _name_hiding_files(folders=None):
    """Name the files that are imported instead of what a notebook needs, and tell whether any are.

    Parameters
    ----------
    folders : list of str, optional
        Where to look. The default is the working folder, and those of PYTHONPATH.
    """
    from mnist_course.hiding import find_hiding_files

    if folders is None:
        folders = [os.getcwd(), *_search_path()]
    sentences = find_hiding_files(folders)
    for sentence in sentences:
        _print_message(sentence)
    return bool(sentences)


def _print_message(message):
    # Some messages of ours go on in further lines, which are indented. So no name or error's text
    # that a message quotes can pass for a line of its own.
    lines = shorten(str(message)).split(_NEXT_LINE)
    text = _NEXT_LINE.join(printable(line) for line in lines)
    print(f"mnist-course: {text}", file=sys.stderr)


def _print_warning(message, category, filename, lineno, file=None, line=None):
    """Print a warning as a message of the program, without the line of code it comes from."""
    _print_message(message)


class _Parser(argparse.ArgumentParser):
    """A parser that answers with a line, whatever it was given."""

    def error(self, message):
        super().error(one_line(message, LONGEST_MESSAGE))


def _build_parser():
    parser = _Parser(prog="mnist-course", description=__doc__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_sweep(commands)
    _add_collect(commands)
    _add_read(commands)
    _add_doctor(commands)
    _add_handout(commands)
    _add_kit(commands)
    return parser


def _not_empty(text):
    """Return a folder's name as it is; an empty one, as of an unset variable, is a slip."""
    if not text:
        raise argparse.ArgumentTypeError("a folder's name is expected; received ''")
    return text


def _add_command(commands, name, about, command):
    """Add a subcommand whose summary and description are the same; return its parser."""
    parser = commands.add_parser(name, help=about, description=about)
    parser.set_defaults(command=command, name=name)
    return parser


# --- run ---------------------------------------------------------------------------------------


def _add_run(commands):
    about = "run notebooks with other parameters, and make pages of them"
    parser = _add_command(commands, "run", about, _run)
    parser.add_argument(
        "notebooks",
        nargs="*",
        metavar="NOTEBOOK",
        help="a path, or a name in notebooks/ (default: all numbered ones there)",
    )
    parser.add_argument(
        "-p",
        dest="parameters",
        action="append",
        default=[],
        metavar="name=value",
        help="a parameter, for every notebook that runs: -p epochs=2 -p dropout=1e-1 "
        "-p hidden_units=[64,32]; may be given several times",
    )
    parser.add_argument(
        "--output",
        default="results",
        type=_not_empty,
        metavar="DIR",
        help="where executed notebooks and pages go (default: results)",
    )


def _run(options):
    from mnist_course.run import command

    return command(options)


# --- sweep and collect -------------------------------------------------------------------------


def _add_sweep(commands):
    about = "run a notebook once for each point of a grid, on all cores or on a cluster"
    parser = _add_command(commands, "sweep", about, _sweep)
    _add_grid(parser)
    _add_workers(parser)
    parser.add_argument(
        "--output",
        type=_not_empty,
        metavar="DIR",
        help="where results go (default: results/sweep/NOTEBOOK)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check everything and list the runs, but start none",
    )
    parser.add_argument(
        "--retry-failed",
        action="store_true",
        help="repeat the runs that failed before",
    )
    parser.add_argument(
        "--yes",
        action="store_true",
        help="allow more than 1,000 runs",
    )


def _add_grid(parser):
    parser.add_argument(
        "notebook",
        metavar="NOTEBOOK",
        help="a path, or a name in notebooks/",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="name=values",
        help="a parameter and its values, separated by commas: --set epochs=1,2 --set seed=0:5 "
        "(that is 0 to 4) --set conv_filters=[30,15],[16,8]; all combinations are run",
    )
    parser.add_argument(
        "--params",
        metavar="FILE",
        help="a YAML file with a grid, or a list of grids",
    )


def _add_workers(parser):
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="how many runs go on at once (default: as many as suit the cores)",
    )
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="threads of each run (default: as many as suit the cores)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help="the longest that one run may take (default: no limit)",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="run on the Dask cluster with this scheduler",
    )
    parser.add_argument(
        "--tls-ca-file",
        metavar="FILE",
        help="for --scheduler: the authority's certificate (PEM)",
    )
    parser.add_argument(
        "--tls-cert",
        metavar="FILE",
        help="for --scheduler: your certificate (PEM)",
    )
    parser.add_argument(
        "--tls-key",
        metavar="FILE",
        help="for --scheduler: your certificate's key (PEM)",
    )


def _sweep(options):
    from mnist_course.sweep.command import sweep_command

    return sweep_command(options)


def _add_collect(commands):
    about = "write runs.csv and the table of all runs in a sweep's folder, finished or not"
    parser = _add_command(commands, "collect", about, _collect)
    parser.add_argument(
        "folder",
        type=_not_empty,
        metavar="DIR",
        help="where the sweep's results are",
    )


def _collect(options):
    from mnist_course.sweep.command import collect_command

    return collect_command(options)


# --- read --------------------------------------------------------------------------------------


def _add_read(commands):
    about = "read your own digits: pictures of one digit each, drawn or photographed"
    parser = _add_command(commands, "read", about, _read)
    parser.add_argument(
        "pictures",
        nargs="+",
        metavar="PICTURE",
        help="a picture file, such as a PNG or a JPEG",
    )
    parser.add_argument(
        "--explain",
        metavar="OUT.png",
        help="draw there how each picture became the network's input, and what it was read as",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print JSON, for programs",
    )


def _read(options):
    from mnist_course.read import command

    return command(options)


# --- doctor, handout and kit -------------------------------------------------------------------


def _add_doctor(commands):
    about = "check that this computer is ready, and say how long each notebook will take"
    parser = _add_command(commands, "doctor", about, _doctor)
    parser.add_argument(
        "--data",
        default="",
        metavar="DATA",
        help="the digits to check: an mnist.npz, a folder with MNIST, or the word digits "
        "(default: those that a notebook takes)",
    )


def _doctor(options):
    from mnist_course.doctor import command

    return command(options)


def _add_handout(commands):
    about = "write the notebooks for learners and for the instructor into dist/"
    _add_command(commands, "handout", about, _handout)


def _handout(options):
    from mnist_course.handout import command

    return command(options)


def _add_kit(commands):
    about = "build dist/kit, a folder that installs the course where no network is"
    parser = _add_command(commands, "kit", about, _kit)
    parser.add_argument(
        "--install-dataset",
        metavar="FILE",
        help="build nothing; put this mnist.npz where the notebooks look for it",
    )


def _kit(options):
    from mnist_course.kit import command

    return command(options)


if __name__ == "__main__":
    sys.exit(main())
