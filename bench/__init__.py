"""Benches of fastbp: one core, one thread, compiled code only.

``python -m bench.layers``, ``bench.elementwise`` and ``bench.startup`` print tables of the same
work in NumPy, ``bench.grid`` of training steps and epochs in other libraries,
``bench.activations`` of epochs with every activation, ``bench.predict`` of outputs beside
onnxruntime, ``bench.embedding`` of columns of categories beside PyTorch, ``bench.mixed`` of float32
rows under float64 weights, ``bench.export`` of networks as C, ``bench.life`` of whole commands
and ``bench.sparse`` of sparse text beside scikit-learn, ``bench.fit`` of a training, ``bench.autograd``
of the smallest step that tensors take,
``bench.processes`` of trainings in several processes at once, ``bench.ranks`` of one training on
several ranks, ``bench.sweeps`` of many small networks beside `jax.vmap`,
``bench.trees`` of this tree beside another, ``bench.schools`` of the schools' own NumPy code beside
the same over fastbp;
``python -m bench.tables`` makes every table of README.md and docs anew; ``pytest bench`` runs
pytest-benchmark.  All need ``pip install '.[bench]'``.

Every process of a bench begins here, before NumPy: what would hold a library to slower kernels,
or to more threads, is taken out of the environment, which the libraries read when they are loaded.
"""

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: Read by the BLAS libraries when they are loaded, so they have to be set before NumPy is.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
#: What the benches set beside them: both are read when PyTorch and JAX are imported.
OWN = {"TORCHINDUCTOR_COMPILE_THREADS": "1", "JAX_PLATFORMS": "cpu"}
#: What threadpoolctl and scikit-learn set when they are imported.
OTHERS = {"KMP_DUPLICATE_LIB_OK": "True", "KMP_INIT_AT_FORK": "FALSE"}
#: The beginnings of the variables with which a library is held to something slower.
SETTINGS = (
    "OPENBLAS_",
    "GOTO_",
    "MKL_",
    "BLIS_",
    "NVPL_",
    "ARMPL_",
    "VECLIB_",
    "BLAS_",
    "NPY_",
    "OMP_",
    "GOMP_",
    "KMP_",
    "ATEN_",
    "ONEDNN_",
    "DNNL_",
    "TORCH",
    "PYTORCH_",
    "JAX_",
    "XLA_",
    "SKLEARN_",
    "ORT_",
    "FASTBP_ISA",
)
#: Read when a process starts, before Python can take them out: with one of these set a bench
#: prints its tables, and refuses to write them.
AT_START = (
    "LD_PRELOAD",
    "DYLD_INSERT_LIBRARIES",
    "GLIBC_TUNABLES",
    "MALLOC_",
    "PYTHONMALLOC",
    "PYTHONDEVMODE",
    "PYTHONTRACEMALLOC",
    "PYTHONDEBUG",
    "PYTHON_GIL",
    "PYTHON_JIT",
)
#: Names the library with which a bench itself answers MKL's vendor check in a peer's process.
UNLOCKED = "FASTBP_BENCH_UNLOCKED"
#: Names the instruction set to which ``--isa`` holds every library alike.
HELD_TO = "FASTBP_BENCH_ISA"
_ABOVE_V3 = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR X86_V4"
#: What each library calls that set.
LEVELS = {
    "v3": {
        "FASTBP_ISA": "v3",
        "OPENBLAS_CORETYPE": "Haswell",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": _ABOVE_V3,
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
    }
}


def settings():
    """The variables of the environment that hold a library down: name to value."""
    known = dict.fromkeys(THREAD_VARIABLES, "1") | OWN | OTHERS
    known["LD_PRELOAD"] = os.environ.get(UNLOCKED)
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith(SETTINGS + AT_START) and known.get(name) != value
    }


def _free():
    """Leave the libraries to the processor, or hold them all to the set of `HELD_TO`."""
    for name in settings():
        if not name.startswith(AT_START):
            del os.environ[name]
    os.environ.update({**dict.fromkeys(THREAD_VARIABLES, "1"), **OWN})
    if level := os.environ.get(HELD_TO):
        if level not in LEVELS:
            raise SystemExit(f"{HELD_TO} expects one of {', '.join(LEVELS)}; got {level}.")
        os.environ.update(LEVELS[level])


if "numpy" not in sys.modules:  # else it is too late, and `bench.kernels` tells
    _free()
#: What still holds a library down; later the libraries set variables of their own.
HELD = settings()

# What is timed is the source tree where it is compiled for this Python, and else an installed
# fastbp, which Python, started in the top folder, would pass over for the tree.
if "fastbp" not in sys.modules:
    _others = [folder for folder in sys.path if Path(folder).resolve() != ROOT]
    _compiled = any(ROOT.glob(f"fastbp/_kernels/*{EXTENSION_SUFFIXES[0]}"))
    sys.path[:] = [str(ROOT), *_others] if _compiled else [*_others, str(ROOT)]
