"""PyTorch's names of layers, losses and containers.

A layer called on an array is the book's `forward`; called on a Tensor it makes a node of the
graph.  Where a layer of the book means the same, it has PyTorch's name here: ``nn.ReLU is
fastbp.Relu``.  `weighted`, `activations`, `containers`, `distances` and `losses` have what else
is a module; `functional` names the functions.  PyTorch's places of them, as
`fastbp.nn.modules.linear`, are files of one import, as type checkers and pickles look there, and
loaded when touched.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from fastbp import functional as functions
from fastbp.autograd import Parameter
from fastbp.layers import pytorch
from fastbp.layers.pytorch import *  # noqa: F403
from fastbp.missing import attribute_error
from fastbp.modules import Module
from fastbp.network import Sequential
from fastbp.nn import activations, containers, distances, functional, init, losses, utils, weighted
from fastbp.nn.activations import *  # noqa: F403
from fastbp.nn.containers import *  # noqa: F403
from fastbp.nn.distances import *  # noqa: F403
from fastbp.nn.losses import *  # noqa: F403
from fastbp.nn.weighted import *  # noqa: F403

# Where pickles made before look for functions.
sys.modules |= {f"{__name__}.criteria": functions.criteria, f"{__name__}.margins": functions.margins}

__all__ = ["Module", "Parameter", "Sequential", "functional", "init", "utils"]
__all__ += pytorch.__all__
__all__ += activations.__all__
__all__ += containers.__all__
__all__ += distances.__all__
__all__ += losses.__all__
__all__ += weighted.__all__


if not TYPE_CHECKING:  # where a name that is missing is an error

    def __getattr__(name: str) -> Any:
        if name in ("modules", "parameter"):
            return importlib.import_module(f"fastbp.nn.{name}")
        raise attribute_error("fastbp.nn", name)
