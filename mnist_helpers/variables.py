"""Environment variables that change the numbers a program computes.

Somebody sets one for other work, and from then on each training comes to other results. So they
are part of what a run is: they are recorded, and a sweep tells runs apart by them.
"""

import os
from fnmatch import fnmatchcase

# Patterns of names, and what the variables of such names decide. Of TensorFlow's they are many:
# Terraform's names begin with TF_ as well, and its variables may hold passwords.
NUMBER_VARIABLES = {
    "ATEN_*": "PyTorch: which instructions of the processor are used",
    "BLIS_*": "BLIS, matrices: which instructions are used",
    "CUBLAS*": "NVIDIA, matrices: whether the same comes out twice, and how sums are rounded",
    "CUDNN_*": "NVIDIA, networks: the same",
    "DNNL_*": "oneDNN, under its earlier name",
    "DYLD_*": "macOS: which libraries are loaded, among them those of mathematics",
    "GLIBC_TUNABLES": "Linux' own mathematics: which instructions are used",
    "JAX_*": "JAX: random numbers, the precision of floats, what is compiled",
    "KERAS_TORCH_DEVICE": "Keras on PyTorch: whether a graphics card rounds in its own way",
    "KMP_DETERMINISTIC_REDUCTION": "Intel's threads: in which order sums are made",
    "LD_AUDIT": "Linux: which libraries are loaded, among them those of mathematics",
    "LD_LIBRARY_PATH": "the same",
    "LD_PRELOAD": "the same",
    "MKL_*": "Intel, matrices: which instructions are used, and in which order sums are made",
    "NPY_*": "NumPy: which instructions are used",
    "NVIDIA_TF32_OVERRIDE": "NVIDIA: whether floats are rounded to 10 bits",
    "ONEDNN_*": "oneDNN, networks: which instructions are used, and whether floats are rounded",
    "OPENCV_*": "OpenCV, pictures: which instructions are used",
    "OPENBLAS_*": "OpenBLAS, matrices: which instructions are used",
    "PYTORCH_*": "PyTorch: what happens where a device lacks an operation",
    "TF_AUTO*": "TensorFlow: whether floats are rounded, which way of computing is tried out",
    "TF_CONV*": "TensorFlow, convolutions: how sums are rounded",
    "TF_CUBLAS*": "TensorFlow on NVIDIA, matrices: which way of computing is taken",
    "TF_CUDNN_*": "TensorFlow on NVIDIA, networks: the same, and whether it comes out twice",
    "TF_DEBUG_CUDNN_*": "the same",
    "TF_DETERMINISTIC_*": "TensorFlow: whether the same comes out twice",
    "TF_DISABLE_*": "TensorFlow: what is compiled, whether the same comes out twice",
    "TF_ENABLE_*": "TensorFlow: oneDNN, and ways of computing convolutions",
    "TF_FP16_*": "TensorFlow: how sums are rounded",
    "TF_JITRT_FLAGS": "TensorFlow: what is compiled",
    "TF_MATMUL_*": "TensorFlow, matrices: which way of computing is tried out",
    "TF_MKL_*": "TensorFlow: oneDNN, under its earlier name",
    "TF_ONEDNN_*": "TensorFlow: oneDNN",
    "TF_SET_ONEDNN_*": "TensorFlow: whether oneDNN rounds floats",
    "TF_USE_*": "TensorFlow: which way of computing is taken, which Keras",
    "TF_XLA_*": "TensorFlow: what is compiled",
    "TORCHDYNAMO_*": "PyTorch: what is compiled",
    "TORCHINDUCTOR_*": "PyTorch: what is compiled",
    "TORCH_*": "PyTorch: how floats are rounded",
    "XLA_*": "XLA, the compiler of TensorFlow and JAX",
}

# Of these, the names of variables that change no number. Which device computes, and with how many
# threads, may differ from run to run by design: a sweep decides it for each of its workers.
OTHER_VARIABLES = {
    "*_ALLOC_CONF": "how memory is taken",
    "*_CACHE*": "where compiled code is kept",
    "*_DUMP*": "what is written for debugging",
    "*_LOG*": "what is told",
    "*_NUM_*THREADS": "threads",
    "*_THREADS_NUM": "threads",
    "*_VERBOSE": "what is told",
    "DYLD_PRINT_*": "what is told",
    "JAX_*PLATFORM*": "which device computes",
    "JAX_COORDINATOR_*": "how several machines meet",
    "JAX_TRACEBACK_FILTERING": "what is told",
    "TORCH_HOME": "where files are kept",
    "XLA_PYTHON_CLIENT_*": "how memory is taken",
}

# In LD_LIBRARY_PATH, importing cv2 adds a folder of its own, for child processes.
_LIBRARY_PATH = "LD_LIBRARY_PATH"
_PART_OF_CV2 = "/cv2/"


def number_variables():
    """Return the variables of this process that change numbers.

    Returns
    -------
    dict of str to str
        Values by name, sorted; empty variables count as well. See `NUMBER_VARIABLES`. Of
        LD_LIBRARY_PATH, what Python's own packages add does not count, nor where it is empty.

    Examples
    --------
    >>> os.environ["NPY_DISABLE_CPU_FEATURES"] = "AVX2"
    >>> number_variables()["NPY_DISABLE_CPU_FEATURES"]
    'AVX2'
    >>> del os.environ["NPY_DISABLE_CPU_FEATURES"]
    """
    found = {}
    for name, value in sorted(os.environ.items()):
        if _matches(name, NUMBER_VARIABLES) and not _matches(name, OTHER_VARIABLES):
            # Bytes that are no text could be neither recorded nor compared on another computer.
            found[name] = value.encode("utf-8", "backslashreplace").decode("utf-8")
    if _LIBRARY_PATH in found:
        folders = found[_LIBRARY_PATH].split(":")
        folders = [folder for folder in folders if folder and _PART_OF_CV2 not in folder]
        found[_LIBRARY_PATH] = ":".join(folders)
        # Empty, it adds nothing to where libraries are looked for.
        if not folders:
            del found[_LIBRARY_PATH]
    return found


def _matches(name, patterns):
    return any(fnmatchcase(name, pattern) for pattern in patterns)
