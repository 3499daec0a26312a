"""Modules without parameters that no network's file holds."""

import sys

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

    def __init__(self, dim, unflattened_size):
        super().__init__()
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, input):
        """The reshaped input."""
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self):
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class GLU(Module):
    """One half of a dimension times sigmoid of the other, a gated linear unit.

    Examples
    --------
    >>> from fastbp.autograd import zeros
    >>> GLU()(zeros(5, 6)).shape
    fastbp.Size([5, 3])
    """

    def __init__(self, dim=-1):
        super().__init__()
        self.dim = checks.integer("GLU", "dim", dim, least=-sys.maxsize)

    def forward(self, input):
        """The gated half."""
        return functional.glu(input, self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"
