"""Losses of distances, rankings, spreads and counts, made of functions of tensors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fastbp import checks
from fastbp._kernels import autograd as core
from fastbp.autograd import (
    full_like,
    maximum,
    minimum,
    tensor,  # noqa: F401  (in the examples)
    where,
)
from fastbp.autograd.arguments import tensor_of
from fastbp.checks import explained
from fastbp.functional.criteria import reduction_of

if TYPE_CHECKING:
    from fastbp.autograd import Tensor

__all__ = [
    "cosine_embedding_loss",
    "cosine_similarity",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "pairwise_distance",
    "poisson_nll_loss",
    "triplet_margin_loss",
]


def _reduced(loss, reduction):
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


@explained
def cosine_similarity(x1: Any, x2: Any, dim: Any = 1, eps: float = 1e-8) -> Any:
    """x1 · x2 over the product of their lengths, along a dimension.

    Examples
    --------
    >>> cosine_similarity(tensor([[1.0, 0.0]]), tensor([[3.0, 4.0]]))
    tensor([0.6000])
    """
    x1, x2 = (x.broadcast_to(np.broadcast_shapes(x1.shape, x2.shape)) for x in (x1, x2))
    lengths = x1.norm(2, dim).clamp(min=eps) * x2.norm(2, dim).clamp(min=eps)
    return (x1 * x2).sum(dim) / lengths


@explained
def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """The norm of x1 - x2 + eps along the last dimension."""
    return (x1 - x2 + eps).norm(p, -1, keepdim=keepdim)


@explained
def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: Any = None,
    reduce: Any = None,
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Any:
    """max(d(anchor, positive) - d(anchor, negative) + margin, 0), d being `pairwise_distance`.

    Parameters
    ----------
    anchor, positive, negative : Tensor, (N, D) or (D,)
    margin : float
    p, eps : float
        Of the distance.
    swap : bool
        Whether the negative's distance is the smaller one from the anchor and the positive.
    reduction : {"mean", "sum", "none"}

    References
    ----------
    Balntas et al., Learning local feature descriptors with triplets (2016).

    Examples
    --------
    >>> a = tensor([[0.0, 0.0]])
    >>> triplet_margin_loss(a, a + 3.0, a + 1.0)
    tensor(3.8284)
    """
    reduction = reduction_of("triplet_margin_loss", reduction, size_average, reduce)
    margin = checks.number("triplet_margin_loss", "margin", margin)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = minimum(far, pairwise_distance(positive, negative, p, eps))
    near = pairwise_distance(anchor, positive, p, eps)
    return _reduced((margin + near - far).clamp(min=0), reduction)


@explained
def cosine_embedding_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Any:
    """1 - cos of pairs whose target is 1, and max(cos - margin, 0) where it is -1.

    Parameters
    ----------
    input1, input2 : Tensor, (N, D) or (D,)
    target : Tensor, (N,) or ()
    margin : float
        From -1 to 1.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> x, y = tensor([[3.0, 4.0]]), tensor([[1.0, 0.0]])
    >>> cosine_embedding_loss(x, y, tensor([1]))
    tensor(0.4000)
    """
    who = "cosine_embedding_loss"
    reduction = reduction_of(who, reduction, size_average, reduce)
    margin = checks.number(who, "margin", margin)
    _signs(who, target, input1.shape[:-1])
    squares = [(x * x).sum(-1) + 1e-12 for x in (input1, input2)]
    cosine = (input1 * input2).sum(-1) / (squares[0] * squares[1]).sqrt()
    return _reduced(where(target == 1, 1 - cosine, (cosine - margin).clamp(min=0)), reduction)


def _signs(who, target, shape):
    """Refuses a target that is not 1 or -1 for each pair."""
    tensor_of(who, "target", target)
    if target.shape != shape:
        raise RuntimeError(f"{who} expects target of shape {tuple(shape)}; got {tuple(target.shape)}.")
    wrong = target[(target != 1) & (target != -1)]
    if wrong.numel():
        raise ValueError(f"{who} expects target as 1 or -1; got {wrong.reshape(-1)[0].item()}.")


@explained
def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Any:
    """max(-target (input1 - input2) + margin, 0): of target 1, input1 is to be the larger.

    Parameters
    ----------
    input1, input2, target : Tensor
        Of one shape, or shapes that broadcast.
    margin : float
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> margin_ranking_loss(tensor([1.0, 3.0]), tensor([2.0, 1.0]), tensor([1.0, 1.0]))
    tensor(0.5000)
    """
    who = "margin_ranking_loss"
    reduction = reduction_of(who, reduction, size_average, reduce)
    margin = checks.number(who, "margin", margin)
    tensor_of(who, "target", target)
    return _reduced((-target * (input1 - input2) + margin).clamp(min=0), reduction)


@explained
def hinge_embedding_loss(
    input: Any,
    target: Any,
    margin: float = 1.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Any:
    """The input where the target is 1, and max(margin - input, 0) where it is -1.

    Parameters
    ----------
    input, target : Tensor, (...)
    margin : float
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> hinge_embedding_loss(tensor([2.0, 0.25]), tensor([1, -1]))
    tensor(1.3750)
    """
    who = "hinge_embedding_loss"
    reduction = reduction_of(who, reduction, size_average, reduce)
    margin = checks.number(who, "margin", margin)
    _signs(who, target, input.shape)
    return _reduced(where(target == 1, input, (margin - input).clamp(min=0)), reduction)


@explained
def gaussian_nll_loss(
    input: Any,
    target: Any,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Any:
    """(log var + (input - target)² / var) / 2: -log p of a normal distribution.

    Parameters
    ----------
    input, target : Tensor, (N, ...)
        Means, and what was observed.
    var : Tensor or float
        Variances, of input's shape, with a last dimension of 1, or without it.  Below `eps` they
        count as that, and their gradient is the one there.
    full : bool
        Whether log(2 pi) / 2 is added.
    eps : float
    reduction : {"mean", "sum", "none"}

    References
    ----------
    Nix and Weigend, Estimating the mean and variance of the target probability distribution (1994).

    Examples
    --------
    >>> gaussian_nll_loss(tensor([1.0]), tensor([3.0]), tensor([4.0]))
    tensor(1.1931)
    """
    who = "gaussian_nll_loss"
    reduction = reduction_of(who, reduction)
    eps = checks.positive(who, "eps", eps)
    if not isinstance(var, core.TensorBase):
        var = full_like(input, checks.number(who, "var", var))
    if var.shape == input.shape[:-1] != input.shape:
        var = var.unsqueeze(-1)
    if var.shape not in (input.shape, (*input.shape[:-1], 1)):
        raise ValueError(
            f"{who} expects var of input's shape {tuple(input.shape)}, or with a last "
            f"dimension of 1 or none; got {tuple(var.shape)}."
        )
    if (var < 0).any():
        raise ValueError(f"{who} expects var of at least 0; got {var.min().item():.6g}.")
    var = var + (maximum(var, full_like(var, eps)) - var).detach()
    loss = 0.5 * (var.log() + (input - target) ** 2 / var)
    return _reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


@explained
def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    size_average: Any = None,
    eps: float = 1e-8,
    reduce: Any = None,
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Any:
    """exp(input) - target input, or input - target log(input + eps): -log p of Poisson's counts.

    Parameters
    ----------
    input : Tensor, (...)
        Logarithms of the rates, or where `log_input` is False the rates.
    target : Tensor, (...)
        Counts.
    full : bool
        Whether Stirling's approximation of log(target!) is added for counts above 1.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> poisson_nll_loss(tensor([0.0]), tensor([3.0]))
    tensor(1.)
    """
    who = "poisson_nll_loss"
    reduction = reduction_of(who, reduction, size_average, reduce)
    tensor_of(who, "target", target)
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        counts = target.clamp(min=1)
        stirling = counts * counts.log() - counts + 0.5 * (2 * math.pi * counts).log()
        loss = loss + where(target > 1, stirling, 0)
    return _reduced(loss, reduction)
