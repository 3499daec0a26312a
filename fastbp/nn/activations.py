"""Modules without parameters that no network's file holds."""

from __future__ import annotations

import sys
from typing import Any

from fastbp import checks, functional
from fastbp.layers.pytorch import *  # noqa: F403  (the place that pickles made before have)
from fastbp.modules import Module

__all__ = ["GLU", "Unflatten"]


class Unflatten(Module):
    """Splits a dimension into several.

    Examples
    --------
    >>> from fastbp.autograd import zeros
    >>> Unflatten(1, (2, 3))(zeros(5, 6)).shape
    fastbp.Size([5, 2, 3])
    """

    dim: Any
    unflattened_size: Any

    def __init__(self, dim: Any, unflattened_size: Any) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, input: Any) -> Any:
        """The reshaped input."""
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class GLU(Module):
    """One half of a dimension times sigmoid of the other, a gated linear unit.

    Examples
    --------
    >>> from fastbp.autograd import zeros
    >>> GLU()(zeros(5, 6)).shape
    fastbp.Size([5, 3])
    """

    def __init__(self, dim: Any = -1) -> None:
        super().__init__()
        self.dim: Any = checks.integer("GLU", "dim", dim, least=-sys.maxsize)

    def forward(self, input: Any) -> Any:
        """The gated half."""
        return functional.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
