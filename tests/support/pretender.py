"""A Python that only pretends: it notes what it is asked, for tests of what calls a Python.

It makes environments whose Python is a copy of itself. Environment variables tell it how to be:

VERSION      the version that it gives for its own, as 3.12
NO_VENV      1: it lacks the module venv
VENV_FAILS   1: it makes an environment, and then says that this failed
PIP          how its pip ends: "offline", "hashes" (they do not match) and "full" (the disk) before
             anything is installed; "killed" in the midst, together with what called it; "stopped"
             when what called it is told to end; "slow" after a second
NO_DIGITS    1: the kit's digits cannot be installed
ILL          1: the doctor finds something to mend
"""

import re
import sys

PRETENDER = """\
#!/bin/sh
case "$*" in
  *version_info*) echo "${VERSION:-DEFAULT_VERSION}"; exit ;;
  *ensurepip*) exit ${NO_VENV:-0} ;;
  "-c ") exit ;;
  *"pip config list") exit ;;
  *mnist_course/install.py*|*mnist_course/work.py*) exec REAL -c 'ACT' "$0" "$@" ;;
esac
echo "$*" >> calls
case "$*" in
  "-P -m venv "*)
    mkdir -p "$4/bin" && cp "$0" "$4/bin/python"
    exit ${VENV_FAILS:-0} ;;
  "-P -m pip install "*)
    case "${PIP:-well}" in
      offline) echo "ERROR: no network"; exit 1 ;;
      hashes) echo "THESE PACKAGES DO NOT MATCH THE HASHES FROM"; exit 1 ;;
      full) echo "No space left on device" >&2; exit 1 ;;
    esac
    [ "${PIP:-well}" != slow ] || sleep 1
    echo "Installing collected packages: a, b"
    case "${PIP:-well}" in
      killed) kill -9 $PPID ;;
      stopped) kill -TERM $PPID; sleep 9 ;;
    esac ;;
  *--install-dataset*) exit ${NO_DIGITS:-0} ;;
  *doctor) exit ${ILL:-0} ;;
esac
"""


# What installs and copies is the true program; it takes the pretending Python for its own.
ACT = (
    "import runpy, sys; sys.executable = sys.argv[1]; "
    'sys.argv = [word for word in sys.argv[2:] if word not in ("-I", "-P", "-S")]; '
    'runpy.run_path(sys.argv[0], run_name="__main__")'
)


def write_pretender(path, version):
    """Write the program; it says that it is this version of Python."""
    text = PRETENDER.replace("DEFAULT_VERSION", version)
    path.write_text(text.replace("REAL", f"'{sys.executable}'").replace("ACT", ACT), "utf-8")
    path.chmod(0o755)


def read_calls(folder):
    """Return, in short, what a pretending Python was asked in this folder since the last time."""
    notes = folder / "calls"
    if not notes.exists():
        return []
    lines = notes.read_text("utf-8").splitlines()
    notes.unlink()
    lines = [re.sub(r"^-P -m |pip install .*(-r|-e) ", "", line) for line in lines]
    # Each environment has a folder of its own.
    return [re.sub(r"^venv (\.venv.*)\..{8}$", r"venv \1", line) for line in lines]
