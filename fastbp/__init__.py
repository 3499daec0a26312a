"""fastbp: trains multilayer perceptrons on CPUs by backpropagation, compiled.

The book's vocabulary: `fastbp.layers`, `fastbp.losses`, `fastbp.optim` and `Sequential`.
`fastbp.datasets` reads data, `fastbp.gradient_check` checks gradients, and
`fastbp.reference` is the NumPy text of every compiled kernel.
"""

try:
    from fastbp import _kernels  # noqa: F401
except ModuleNotFoundError as error:
    if error.name is None or not error.name.startswith("fastbp._kernels."):
        raise
    raise ImportError(
        f"fastbp's compiled kernels are missing from {__path__[0]!r}: this is a source tree "
        "without them, so either build it with pip install -e . in its top folder, or start "
        "Python in another folder to import an installed fastbp."
    ) from None

from fastbp import (
    backend,
    datasets,
    init,
    layers,
    losses,
    network,
    optim,
    reference,
    training,
)
from fastbp.backend import use
from fastbp.gradcheck import gradient_check, numerical_gradient
from fastbp.layers import *  # noqa: F403
from fastbp.network import Sequential
from fastbp.optim import *  # noqa: F403
from fastbp.threads import set_num_threads
from fastbp.training import EarlyStopping, History, Trainer

__version__ = "0.1.0"

__all__ = [
    "EarlyStopping",
    "History",
    "Sequential",
    "Trainer",
    "__version__",
    "backend",
    "datasets",
    "gradient_check",
    "init",
    "layers",
    "losses",
    "network",
    "numerical_gradient",
    "optim",
    "reference",
    "set_num_threads",
    "training",
    "use",
    *layers.__all__,
    *optim.__all__,
]
