"""Distances of rows as modules: the functions of `margins` with their options kept."""

from __future__ import annotations

import sys
from typing import Any

from fastbp import checks
from fastbp.functional import margins
from fastbp.modules import Module

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class CosineSimilarity(Module):
    """x1 · x2 over the product of their lengths, along a dimension.

    Examples
    --------
    >>> from fastbp.autograd import tensor
    >>> CosineSimilarity()(tensor([[1.0, 0.0]]), tensor([[3.0, 4.0]]))
    tensor([0.6000])
    """

    def __init__(self, dim: Any = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim: Any = checks.integer("CosineSimilarity", "dim", dim, least=-sys.maxsize)
        self.eps: Any = checks.number("CosineSimilarity", "eps", eps, least=0)

    def forward(self, x1: Any, x2: Any) -> Any:
        """The cosines."""
        return margins.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The norm of x1 - x2 + eps along the last dimension.

    Parameters
    ----------
    p, eps : float
    keepdim : bool

    Examples
    --------
    >>> from fastbp.autograd import tensor
    >>> PairwiseDistance()(tensor([[3.0, 4.0]]), tensor([[0.0, 0.0]]))
    tensor([5.0000])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm: Any = checks.number("PairwiseDistance", "p", p)
        self.eps: Any = checks.number("PairwiseDistance", "eps", eps, least=0)
        self.keepdim: Any = checks.flag("PairwiseDistance", "keepdim", keepdim)

    def forward(self, x1: Any, x2: Any) -> Any:
        """The distances."""
        return margins.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
