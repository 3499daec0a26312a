"""Layers in a row, as the course's networks use them; with them the names of `layers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastbp.cs231n import layers
from fastbp.cs231n.layers import *  # noqa: F403
from fastbp.cs231n.layers import (
    affine_backward,
    affine_forward,
    batchnorm_backward,
    batchnorm_forward,
    layernorm_backward,
    layernorm_forward,
    relu_backward,
    relu_forward,
)

if TYPE_CHECKING:
    from fastbp._typing import Array, ArrayLike

__all__ = [
    "affine_bn_relu_backward",
    "affine_bn_relu_forward",
    "affine_ln_relu_backward",
    "affine_ln_relu_forward",
    "affine_relu_backward",
    "affine_relu_forward",
]
__all__ += layers.__all__


def affine_relu_forward(x: ArrayLike, w: ArrayLike, b: ArrayLike) -> tuple[Array, tuple[Any, ...]]:
    """`affine_forward`, then `relu_forward`; (out, cache).

    Examples
    --------
    >>> import numpy as np
    >>> affine_relu_forward(np.ones((1, 1)), np.array([[2.0, -2.0]]), np.zeros(2))[0]
    array([[2., 0.]])
    """
    a, fc_cache = affine_forward(x, w, b)
    out, relu_cache = relu_forward(a)
    return out, (fc_cache, relu_cache)


def affine_relu_backward(dout: ArrayLike, cache: Any) -> tuple[Array, ...]:
    """The gradients dx, dw, db of `affine_relu_forward`."""
    fc_cache, relu_cache = layers.parts("affine_relu_backward", cache, 2)
    return affine_backward(relu_backward(dout, relu_cache), fc_cache)


def affine_bn_relu_forward(
    x: ArrayLike, w: ArrayLike, b: ArrayLike, gamma: ArrayLike, beta: ArrayLike, bn_param: dict[str, Any]
) -> tuple[Array, tuple[Any, ...]]:
    """`affine_forward`, `batchnorm_forward`, `relu_forward`; (out, cache)."""
    return _normalised(batchnorm_forward, x, w, b, gamma, beta, bn_param)


def affine_bn_relu_backward(dout: ArrayLike, cache: Any) -> tuple[Array, ...]:
    """The gradients dx, dw, db, dgamma, dbeta of `affine_bn_relu_forward`."""
    return _normalised_backward("affine_bn_relu_backward", batchnorm_backward, dout, cache)


def affine_ln_relu_forward(
    x: ArrayLike, w: ArrayLike, b: ArrayLike, gamma: ArrayLike, beta: ArrayLike, ln_param: dict[str, Any]
) -> tuple[Array, tuple[Any, ...]]:
    """`affine_forward`, `layernorm_forward`, `relu_forward`; (out, cache)."""
    return _normalised(layernorm_forward, x, w, b, gamma, beta, ln_param)


def affine_ln_relu_backward(dout: ArrayLike, cache: Any) -> tuple[Array, ...]:
    """The gradients dx, dw, db, dgamma, dbeta of `affine_ln_relu_forward`."""
    return _normalised_backward("affine_ln_relu_backward", layernorm_backward, dout, cache)


def _normalised(norm, x, w, b, gamma, beta, param):
    a, fc_cache = affine_forward(x, w, b)
    n, norm_cache = norm(a, gamma, beta, param)
    out, relu_cache = relu_forward(n)
    return out, (fc_cache, norm_cache, relu_cache)


def _normalised_backward(who, norm, dout, cache):
    fc_cache, norm_cache, relu_cache = layers.parts(who, cache, 3)
    dn, dgamma, dbeta = norm(relu_backward(dout, relu_cache), norm_cache)
    return *affine_backward(dn, fc_cache), dgamma, dbeta
