"""What kernels and the commands that start them agree on.

It stands apart because a command imports no part of a kernel: papermill's progress bar would take
the command for a notebook, and show nothing. And `make lab` needs no papermill.
"""

# Bytes of all outputs of a run. A notebook with many pictures puts out a few MB; one file that is
# larger is read by no command (`files.MAX_BYTES`), and takes several times as much memory.
MAX_OUTPUT_BYTES = 100_000_000
# The exit status of a kernel that has ended itself because it has put out more: none that a program
# would take for its own, and no signal's either.
TOO_MUCH_OUTPUT = 91

# Set to what they do not expect, these let IPython answer nothing, or end at once.
SILENCING_VARIABLES = (
    "IPYTHON_SUPPRESS_CONFIG_ERRORS",
    "SOURCE_DATE_EPOCH",
    "TRAITLETS_APPLICATION_RAISE_CONFIG_FILE_ERROR",
)
