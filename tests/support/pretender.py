"""A Python that only pretends: it notes what it is asked, for tests of what calls a Python.

It makes environments whose Python is a copy of itself. Environment variables tell it how to be:

VERSION      the version that it gives for its own, as 3.12
NO_VENV      1: it lacks the module venv
VENV_FAILS   1: it makes an environment, and then says that this failed
PIP          how its pip ends: "offline", "hashes" (they do not match) and "full" (the disk) before
             anything is installed; "killed" in the midst, together with what called it
NO_DIGITS    1: the kit's digits cannot be installed
ILL          1: the doctor finds something to mend
"""

import re

PRETENDER = """\
#!/bin/sh
case "$*" in
  *version_info*) echo "${VERSION:-DEFAULT_VERSION}"; exit ;;
  *ensurepip*) exit ${NO_VENV:-0} ;;
  "-c ") exit ;;
esac
echo "$*" >> calls
case "$*" in
  "-m venv .venv")
    mkdir -p .venv/bin && cp "$0" .venv/bin/python
    exit ${VENV_FAILS:-0} ;;
  "-m pip install "*)
    case "${PIP:-well}" in
      offline) echo "ERROR: no network"; exit 1 ;;
      hashes) echo "THESE PACKAGES DO NOT MATCH THE HASHES FROM" > install.log; exit 1 ;;
      full) echo "No space left on device" >&2; exit 1 ;;
    esac
    echo "Installing collected packages: a, b"
    case "${PIP:-well}" in
      killed) kill -9 $PPID ;;
    esac ;;
  *--install-dataset*) exit ${NO_DIGITS:-0} ;;
  *doctor) exit ${ILL:-0} ;;
esac
"""


def write_pretender(path, version):
    """Write the program; it says that it is this version of Python."""
    path.write_text(PRETENDER.replace("DEFAULT_VERSION", version), "utf-8")
    path.chmod(0o755)


def read_calls(folder):
    """Return, in short, what a pretending Python was asked in this folder since the last time."""
    notes = folder / "calls"
    if not notes.exists():
        return []
    lines = notes.read_text("utf-8").splitlines()
    notes.unlink()
    return [re.sub(r"^-m |pip install .*(-r|-e) ", "", line) for line in lines]
