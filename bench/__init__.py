"""Benches of fastbp: one core, one thread, compiled code only.

``python -m bench.layers``, ``bench.elementwise`` and ``bench.startup`` print tables of the same
work in NumPy, ``bench.grid`` of training steps in other libraries, ``bench.fit`` of a training,
``bench.autograd`` of the smallest step that tensors take, ``bench.processes`` of trainings in
several processes at once;
``python -m bench.report --write`` puts a run into README.md; ``pytest bench`` runs
pytest-benchmark.  All need ``pip install '.[bench]'``.
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
if "numpy" not in sys.modules:
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))

# What is timed is the source tree where it is compiled for this Python, and else an installed
# fastbp, which Python, started in the top folder, would pass over for the tree.
if "fastbp" not in sys.modules:
    _others = [folder for folder in sys.path if Path(folder).resolve() != ROOT]
    _compiled = any(ROOT.glob(f"fastbp/_kernels/*{EXTENSION_SUFFIXES[0]}"))
    sys.path[:] = [str(ROOT), *_others] if _compiled else [*_others, str(ROOT)]
