"""How much the cells of a run may put out: a kernel and the command that started it agree on it.

It stands apart because the command imports no part of a kernel: papermill's progress bar would take
the command for a notebook, and show nothing.
"""

# Bytes of all outputs of a run. A notebook with many pictures puts out a few MB; one file that is
# larger is read by no command (`files.MAX_BYTES`), and takes several times as much memory.
MAX_OUTPUT_BYTES = 100_000_000
# The exit status of a kernel that has ended itself because it has put out more: none that a program
# would take for its own, and no signal's either.
TOO_MUCH_OUTPUT = 91
