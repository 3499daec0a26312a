"""Normalisations of tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbp import checks
from fastbp._kernels import autograd as core
from fastbp.autograd import tensor  # noqa: F401  (in the examples)
from fastbp.autograd.arguments import tensor_of
from fastbp.checks import explained

__all__ = ["batch_norm", "layer_norm", "normalize"]


@explained
def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Each column (dimension 1) to mean 0 and variance 1, times weight, plus bias.

    In training by the batch's mean and variance, and the running ones move towards them by the
    share `momentum`; else by the running ones.

    Parameters
    ----------
    input : Tensor, (N, C) or (N, C, L)
    running_mean, running_var : Tensor, (C,), or None
        Changed in training.

    Examples
    --------
    >>> x = tensor([[1.0], [3.0]])
    >>> batch_norm(x, None, None, training=True, eps=0.0)
    tensor([[-1.],
            [ 1.]])
    """
    momentum = checks.number("batch_norm", "momentum", momentum, least=0, most=1)
    n_channels = tensor_of("batch_norm", "input", input).array.shape[1:2]
    for name, value in (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    ):
        if value is not None:
            checks.same_shape(
                "batch_norm", name, tensor_of("batch_norm", name, value).array, n_channels, "input's channels are"
            )
    axes = (0, *range(2, input.ndim))
    shape = (1, -1, *(1 for _ in axes[1:]))
    if training:
        n = input.numel() // input.shape[1]
        if n <= 1:
            raise ValueError(
                f"batch_norm expects more than 1 value per channel in training; got shape {tuple(input.shape)}."
            )
        mean = input.mean(axes, keepdim=True)
        centred = input - mean
        var = (centred * centred).mean(axes, keepdim=True)
    else:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm expects running_mean and running_var in evaluation; got None.")
        centred, var = input - running_mean.reshape(shape), running_var.reshape(shape)
    out = centred / (var + eps).sqrt()
    if weight is not None:
        out = out * weight.reshape(shape)
    if bias is not None:
        out = out + bias.reshape(shape)
    if training:  # when nothing can fail any more
        with core.no_grad():
            for kept, new, scale in ((running_mean, mean, 1.0), (running_var, var, n / (n - 1))):
                if kept is not None:
                    kept.mul_(1 - momentum).add_(new.reshape(-1) * (momentum * scale))
    return out


@explained
def layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """The last dimensions of each sample to mean 0 and variance 1, times weight, plus bias.

    References
    ----------
    Ba et al., Layer normalization (2016).

    Examples
    --------
    >>> layer_norm(tensor([[1.0, 3.0]]), (2,), eps=0.0)
    tensor([[-1.,  1.]])
    """
    shape = tuple(normalized_shape)
    x = tensor_of("layer_norm", "input", input).array
    if not input.is_floating_point():
        raise RuntimeError(f"layer_norm expects input of a float dtype; got {input.dtype!r}.")
    for name, value in ("weight", weight), ("bias", bias):
        if value is not None and (
            tensor_of("layer_norm", name, value).array.shape != shape or value.array.dtype != x.dtype
        ):
            raise RuntimeError(
                f"layer_norm expects {name} of shape {shape} and input's dtype; got "
                f"{value.dtype!r} {value.array.shape}."
            )
    if not shape or x.shape[x.ndim - len(shape) :] != shape:
        raise RuntimeError(f"layer_norm expects input whose last dimensions are {shape}; got shape {x.shape}.")
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    normal, inverse, out = core.quiet(_layer_norm, (x, axes, weight, bias, eps))
    return core.node(
        "NativeLayerNormBackward0", out, (input, weight, bias), _layer_norm_gradient, (normal, inverse, axes, weight)
    )


def _layer_norm(x, axes, weight, bias, eps):
    """The normalised x, the inverse deviation, and the result."""
    if not x.size:  # which has no mean
        return x, x, x.copy()
    normal = x - x.mean(axes, keepdims=True)
    inverse = 1 / np.sqrt((normal * normal).mean(axes, keepdims=True) + x.dtype.type(eps))
    normal *= inverse
    out = normal if weight is None else normal * weight.array
    out = out.copy() if out is normal else out
    if bias is not None:
        out += bias.array
    return normal, inverse, out


def _layer_norm_gradient(saved, dout, needs):
    return core.quiet(_layer_norm_slopes, (*saved, dout, needs))


def _layer_norm_slopes(normal, inverse, axes, weight, dout, needs):
    if not dout.size:
        return dout, dout * normal, dout
    g = dout if weight is None else dout * weight
    dx = inverse * (g - g.mean(axes, keepdims=True) - normal * (g * normal).mean(axes, keepdims=True))
    return dx, dout * normal if needs[1] else None, dout


@explained
def normalize(input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12) -> Any:
    """x over its norm along a dimension.

    Examples
    --------
    >>> normalize(tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    return input / input.norm(p, dim, keepdim=True).clamp(min=eps)
