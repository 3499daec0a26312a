"""fastbp: trains multilayer perceptrons on CPUs by backpropagation, compiled.

The book's vocabulary: `fastbp.layers`, `fastbp.losses`, `fastbp.optim` and `Sequential`, and all
names of its scripts in `fastbp.book`, those of its second volume in `fastbp.book2`; CS231n's
functions and networks are in `fastbp.cs231n`.
`fastbp.tensor` and the functions of `fastbp.autograd` are PyTorch's vocabulary, `fastbp.estimators`
has scikit-learn's.  `fastbp.datasets` reads data, `fastbp.gradient_check` checks gradients, and
`fastbp.reference` is the NumPy text of every compiled kernel.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

try:
    from fastbp import _kernels  # noqa: F401
except ImportError as error:
    missing = getattr(error, "name", None) or ""
    if isinstance(error, ModuleNotFoundError) and missing.startswith("fastbp._kernels."):
        error = ImportError(
            f"fastbp's compiled kernels are missing from {__path__[0]!r}: this is a source tree "
            "without them, so either build it with pip install -e . in its top folder, or start "
            "Python in another folder to import an installed fastbp."
        )
    program = os.path.basename(sys.argv[0]) if getattr(sys, "argv", None) else ""
    words = zip(sys.orig_argv, sys.orig_argv[1:], strict=False)
    if program in ("fastbp", "fastbp.exe") or (program == "-m" and ("-m", "fastbp") in words):
        # the command, which has one line for every error
        print("fastbp:", error, file=sys.stderr)
        raise SystemExit(2) from None
    raise error from None

from fastbp import backend, init, layers, losses, network, optim, reference, training
from fastbp.backend import use
from fastbp.layers import *  # noqa: F403
from fastbp.missing import attribute_error
from fastbp.network import Sequential
from fastbp.optim import *  # noqa: F403
from fastbp.threads import set_num_threads
from fastbp.training import history, trainer
from fastbp.training.history import EarlyStopping, History
from fastbp.training.trainer import Trainer

__version__ = "0.1.0"
# The places of `History`, `EarlyStopping` and `Trainer` in programs and pickles made before.
sys.modules |= {"fastbp.history": history, "fastbp.trainer": trainer}

__all__ = [
    "EarlyStopping",
    "History",
    "Sequential",
    "Trainer",
    "__version__",
    "backend",
    "init",
    "layers",
    "losses",
    "network",
    "optim",
    "reference",
    "set_num_threads",
    "training",
    "use",
    *layers.__all__,
    *optim.__all__,
]


#: Loaded when touched, so that the import costs little more than NumPy's.
_ON_DEMAND = {
    "Communicator": ("fastbp.communicators", "Communicator"),
    "Diagnosis": ("fastbp.diagnosis", "Diagnosis"),
    "TableModel": ("fastbp.table_model", "TableModel"),
    "tune": ("fastbp.tuning", "tune"),
    "RankError": ("fastbp.training.ranks", "RankError"),
    "TrainingWarning": ("fastbp.diagnosis", "TrainingWarning"),
    "autograd": ("fastbp.autograd", None),
    "book": ("fastbp.book", None),
    "book2": ("fastbp.book2", None),
    "cs231n": ("fastbp.cs231n", None),
    "datasets": ("fastbp.datasets", None),
    "diagnose": ("fastbp.diagnosis", "diagnose"),
    "diagnosis": ("fastbp.diagnosis", None),
    "estimators": ("fastbp.estimators", None),
    "export": ("fastbp.export", None),
    "nn": ("fastbp.nn", None),
    "summary": ("fastbp.summaries", "summary"),
    "gradient_check": ("fastbp.gradcheck", "gradient_check"),
    "graph": ("fastbp.graph", None),
    "lr_finder": ("fastbp.training.rates", "lr_finder"),
    "load": ("fastbp.files", "load"),
    "numerical_gradient": ("fastbp.gradcheck", "numerical_gradient"),
    "plots": ("fastbp.plots", None),
    "save": ("fastbp.files", "save"),
    "tables": ("fastbp.tables", None),
    "utils": ("fastbp.utils", None),
}
# The book and the course have others under the same names, and the estimators need scikit-learn.
__all__ += [name for name in _ON_DEMAND if name not in ("book", "book2", "cs231n", "estimators")]


def __getattr__(name: Any) -> Any:
    if name in _ON_DEMAND:
        module, attribute = _ON_DEMAND[name]
        value = importlib.import_module(module)
        if attribute is not None:
            value = getattr(value, attribute)
    else:
        value = _of_tensors(name)
    globals()[name] = value
    return value


def _of_tensors(name):
    """A function or dtype of `fastbp.autograd`, such as `fastbp.tensor` and `fastbp.float32`."""
    if not name.startswith("_"):
        autograd = importlib.import_module("fastbp.autograd")
        if name in autograd.EXPORTED:
            return getattr(autograd, name)
    raise attribute_error("fastbp", name)


def __dir__() -> list[str]:
    autograd = importlib.import_module("fastbp.autograd")
    return sorted({*globals(), *_ON_DEMAND, *autograd.EXPORTED})
