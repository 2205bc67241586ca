"""Which environment variables change the numbers that a program computes."""

import os

import pytest

from mnist_helpers.variables import NUMBER_VARIABLES, OTHER_VARIABLES, number_variables

# Each changed a result in somebody's hands, or says in its library's documents that it does.
CHANGE_NUMBERS = """
    DYLD_INSERT_LIBRARIES DYLD_LIBRARY_PATH LD_AUDIT LD_LIBRARY_PATH LD_PRELOAD OPENCV_CPU_DISABLE
    GLIBC_TUNABLES ATEN_CPU_CAPABILITY BLIS_ARCH_TYPE CUBLAS_WORKSPACE_CONFIG CUDNN_CONV_WSCAP_DBG
    DNNL_MAX_CPU_ISA JAX_DEFAULT_DTYPE_BITS JAX_DEFAULT_MATMUL_PRECISION JAX_DEFAULT_PRNG_IMPL
    JAX_DISABLE_JIT JAX_ENABLE_X64 JAX_NUMPY_DTYPE_PROMOTION JAX_RANDOM_SEED_OFFSET
    JAX_THREEFRY_PARTITIONABLE KERAS_TORCH_DEVICE KMP_DETERMINISTIC_REDUCTION MKL_CBWR
    MKL_DEBUG_CPU_TYPE MKL_ENABLE_INSTRUCTIONS NPY_DISABLE_CPU_FEATURES NVIDIA_TF32_OVERRIDE
    ONEDNN_DEFAULT_FPMATH_MODE ONEDNN_MAX_CPU_ISA OPENBLAS_CORETYPE
    PYTORCH_ENABLE_MPS_FALLBACK TF_CUDNN_DETERMINISTIC TF_CUDNN_USE_AUTOTUNE
    TF_DETERMINISTIC_OPS TF_ENABLE_ONEDNN_OPTS TF_USE_LEGACY_KERAS TF_XLA_FLAGS
    TORCHINDUCTOR_FREEZING TORCH_ALLOW_TF32_CUBLAS_OVERRIDE XLA_FLAGS
""".split()
CHANGE_NONE = """
    CUDA_VISIBLE_DEVICES HOME JAX_COMPILATION_CACHE_DIR JAX_LOG_COMPILES JAX_PLATFORMS
    KERAS_BACKEND MKL_NUM_THREADS ONEDNN_VERBOSE OPENBLAS_NUM_THREADS OMP_NUM_THREADS PATH
    DYLD_PRINT_LIBRARIES LD_DEBUG OPENCV_FOR_THREADS_NUM OPENCV_LOG_LEVEL
    PYTORCH_CUDA_ALLOC_CONF TF_CLI_CONFIG_FILE TF_TOKEN_example_com TF_VAR_password
    TF_CPP_MIN_LOG_LEVEL TF_FORCE_GPU_ALLOW_GROWTH
    TF_NUM_INTEROP_THREADS TF_NUM_INTRAOP_THREADS TORCHINDUCTOR_CACHE_DIR TORCH_HOME TORCH_LOGS
    XLA_PYTHON_CLIENT_PREALLOCATE
""".split()


@pytest.fixture
def no_variables(monkeypatch):
    for name in number_variables():
        monkeypatch.delenv(name)


@pytest.mark.parametrize("name", CHANGE_NUMBERS)
@pytest.mark.usefixtures("no_variables")
def test_what_changes_numbers_counts(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert number_variables() == {name: "1"}


@pytest.mark.parametrize("name", CHANGE_NONE)
@pytest.mark.usefixtures("no_variables")
def test_what_changes_none_does_not_count(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert number_variables() == {}


@pytest.mark.skipif(os.name != "posix", reason="elsewhere, variables are text")
@pytest.mark.usefixtures("no_variables")
def test_bytes_that_are_no_text_become_text(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", os.fsdecode(b"\xff"))
    assert number_variables() == {"XLA_FLAGS": r"\udcff"}


@pytest.mark.usefixtures("no_variables")
def test_what_cv2_adds_for_its_child_processes_does_not_count(monkeypatch):
    added = "/opt/lib/python3.12/site-packages/cv2/../../lib64"
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{added}:")
    assert number_variables() == {}
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{added}:/opt/math:/opt/more")
    assert number_variables() == {"LD_LIBRARY_PATH": "/opt/math:/opt/more"}


def test_each_pattern_has_its_reason():
    assert all([*NUMBER_VARIABLES.values(), *OTHER_VARIABLES.values()])
