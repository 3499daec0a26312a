"""Layers as pairs of functions: forward gives ``(out, cache)``, and backward takes that cache.

The dtype of the weights decides, and x is converted to it; what has no weights computes in x's.
"""

from __future__ import annotations

# ruff: noqa: NPY002  (the course draws from NumPy's global generator)
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastbp import checks
from fastbp._kernels import passes
from fastbp.backend import kernels
from fastbp.operations.activations import ACTIVATIONS

if TYPE_CHECKING:
    from fastbp._typing import Array, ArrayLike

__all__ = [
    "affine_backward",
    "affine_forward",
    "batchnorm_backward",
    "batchnorm_backward_alt",
    "batchnorm_forward",
    "dropout_backward",
    "dropout_forward",
    "layernorm_backward",
    "layernorm_forward",
    "relu_backward",
    "relu_forward",
    "softmax_loss",
    "svm_loss",
]

_RELU = ACTIVATIONS["relu"].kind


def parts(who: str, cache: Any, n: Any, kind: Any = tuple) -> Any:
    """The n parts of a cache."""
    if not isinstance(cache, kind) or len(cache) != n:
        forward = who.replace("backward_alt", "backward").replace("backward", "forward")
        came = f"a tuple of {checks.plural(len(cache), 'part')}" if type(cache) is tuple else checks.shown(cache)
        raise TypeError(f"{who} expects cache as {forward} gives it; got {came}.")
    return cache


def _gradient(who, dout, shape, dtype):
    """`dout` as the kernels take it."""
    return checks.same_shape(who, "dout", checks.floats(who, "dout", dout, dtype), shape, "forward's output")


# --- the affine map -----------------------------------------------------------------------------


def _affine_arrays(who, x, w, b):
    """x as rows (N, D), w and b as the kernels take them."""
    w, b = checks.floats(who, "w", w), checks.floats(who, "b", b)
    if w.ndim != 2 or 0 in w.shape:
        raise ValueError(f"{who} expects w of shape (D, M) without an empty axis; got {w.shape}.")
    checks.same_shape(who, "b", b, w.shape[1:], f"w is {w.shape}")
    dtype = np.dtype(np.result_type(w, b).type)
    w, b, x = (checks.floats(who, name, each, dtype) for name, each in (("w", w), ("b", b), ("x", x)))
    if x.ndim == 0 or math.prod(x.shape[1:]) != w.shape[0]:
        raise ValueError(
            f"{who} expects x of shape (N, d1, ..., dk) with {checks.plural(w.shape[0], 'number')} in each sample, "
            f"as w is {w.shape}; got {x.shape}."
        )
    return x.reshape(len(x), w.shape[0]), w, b


def affine_forward(x: Any, w: Any, b: Any) -> tuple[Any, tuple[Any, Any, Any]]:
    """``out = x w + b``, of each sample as a row.

    Parameters
    ----------
    x : array_like
        (N, d1, ..., dk), whose d1 ... dk = D.
    w : array_like
        (D, M)
    b : array_like
        (M,)

    Returns
    -------
    out : numpy.ndarray
        (N, M), of the dtype of w and b, float64 where they differ.
    cache : tuple
        (x, w, b), the very objects.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not fit each other, and what is no number.

    Examples
    --------
    >>> x, w, b = np.ones((2, 1, 3)), np.arange(6.0).reshape(3, 2), np.array([0.5, 0.0])
    >>> out, cache = affine_forward(x, w, b)
    >>> out
    array([[6.5, 9. ],
           [6.5, 9. ]])
    """
    out = passes.affine_forward(x, w, b)
    if out is None:  # of other shapes, dtypes or layouts
        rows, W, bias = _affine_arrays("affine_forward", x, w, b)
        out = np.empty((len(rows), W.shape[1]), W.dtype)
        kernels().affine_forward(rows, W, bias, out)
    return out, (x, w, b)


def affine_backward(dout: ArrayLike, cache: tuple[Any, ...]) -> Any:
    """The gradients by x, w and b.

    Parameters
    ----------
    dout : array_like
        (N, M), the loss's gradient by `out`.
    cache : tuple
        Of `affine_forward`.

    Returns
    -------
    dx, dw, db : numpy.ndarray
        Of the shapes of x, w and b.

    Raises
    ------
    ValueError, TypeError
        For another cache, and a dout of another shape.

    Examples
    --------
    >>> out, cache = affine_forward(np.ones((1, 2)), np.array([[1.0], [3.0]]), np.zeros(1))
    >>> dx, dw, db = affine_backward(np.array([[2.0]]), cache)
    >>> dx
    array([[2., 6.]])
    """
    x, w, b = parts("affine_backward", cache, 3)
    grads = passes.affine_backward(dout, x, w, True)
    if grads is not None:
        return grads
    rows, W, bias = _affine_arrays("affine_backward", x, w, b)
    dout = _gradient("affine_backward", dout, (len(rows), len(bias)), W.dtype)
    dx, dw, db = (np.empty(each.shape, W.dtype) for each in (rows, W, bias))
    kernels().affine_backward(dout, rows, W, dx, dw, db)
    return dx.reshape(np.shape(x)), dw, db


# --- relu ---------------------------------------------------------------------------------------


def relu_forward(x: ArrayLike) -> tuple[Any, Any]:
    """``max(x, 0)``; the cache is x.

    Parameters
    ----------
    x : array_like
        Of any shape.

    Returns
    -------
    out : numpy.ndarray
        Of x's shape, float32 for float32, else float64.
    cache : array_like
        x

    Raises
    ------
    TypeError
        For what is no number.

    Examples
    --------
    >>> relu_forward(np.array([-1.0, 2.0]))[0]
    array([0., 2.])
    """
    out = passes.activation_forward(_RELU, x, 0.0, 0.0)
    if out is None:
        array = checks.floats("relu_forward", "x", x)
        out = np.empty(array.shape, array.dtype)
        kernels().activation_forward("relu", array.reshape(-1), out.reshape(-1))
    return out, x


def relu_backward(dout: Any, cache: Any) -> Array:
    """`dout` where x was above 0, else 0.

    Parameters
    ----------
    dout : array_like
        Of x's shape.
    cache : array_like
        Of `relu_forward`.

    Returns
    -------
    numpy.ndarray
        The gradient by x.

    Raises
    ------
    ValueError, TypeError
        For a dout of another shape than x, and what is no number.

    Examples
    --------
    >>> relu_backward(np.array([5.0, 6.0]), np.array([-1.0, 2.0]))
    array([0., 6.])
    """
    dx = passes.activation_backward(_RELU, dout, cache, 0.0, 0.0)
    if dx is None:
        x = checks.floats("relu_backward", "cache", cache)
        dout = _gradient("relu_backward", dout, x.shape, x.dtype)
        dx = np.empty(x.shape, x.dtype)
        kernels().activation_backward("relu", dout.reshape(-1), x.reshape(-1), dx.reshape(-1))
    return dx


# --- normalisations -----------------------------------------------------------------------------


class _BatchNorm(NamedTuple):
    """What the gradient of a batch normalisation needs."""

    normal: np.ndarray  # (N, D), before gamma and beta
    inverse: np.ndarray  # (D,), one over the deviation
    gamma: np.ndarray
    mode: str


class _LayerNorm(NamedTuple):
    """What the gradient of a layer normalisation needs."""

    normal: np.ndarray  # (N, D), before gamma and beta
    inverse: np.ndarray  # (N, 1), one over the deviation
    gamma: np.ndarray


def _columns(who, x, gamma, beta):
    """x (N, D), gamma and beta (D,), as the kernels take them."""
    gamma, beta = checks.floats(who, "gamma", gamma), checks.floats(who, "beta", beta)
    dtype = np.dtype(np.result_type(gamma, beta).type)
    x, gamma, beta = (
        checks.floats(who, name, each, dtype) for name, each in (("x", x), ("gamma", gamma), ("beta", beta))
    )
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"{who} expects x of shape (N, D) without an empty axis; got {x.shape}.")
    for name, each in (("gamma", gamma), ("beta", beta)):
        checks.same_shape(who, name, each, x.shape[1:], f"x is {x.shape}")
    return x, gamma, beta


def _mode(who, name, param):
    """param["mode"], "train" or "test"."""
    checks.mapping(who, name, param)
    return checks.choice(who, f"{name}['mode']", param.get("mode"), ("train", "test"))


def _eps(who, name, param):
    checks.mapping(who, name, param)
    return checks.number(who, f"{name}['eps']", param.get("eps", 1e-5), least=0)


def batchnorm_forward(x: Any, gamma: Any, beta: Any, bn_param: Any) -> tuple[Any, Any]:
    """Each column of x to mean 0 and variance 1, times gamma, plus beta.

    In training by the batch's mean and variance, in the test by the running ones.

    Parameters
    ----------
    x : array_like
        (N, D)
    gamma, beta : array_like
        (D,)
    bn_param : dict
        "mode" ("train" or "test"), "eps" (1e-5), "momentum" (0.9, the share of the old running
        statistics), "running_mean" and "running_var" ((D,), zeros at first).  Training puts new
        arrays in the place of the last two.

    Returns
    -------
    out : numpy.ndarray
        (N, D), of the dtype of gamma and beta.
    cache : tuple

    Raises
    ------
    ValueError, TypeError
        For shapes that do not fit each other, a mode that is none, and what is no number.

    References
    ----------
    Ioffe & Szegedy, Batch normalization (2015).

    Examples
    --------
    >>> bn_param = {"mode": "train"}
    >>> out, _ = batchnorm_forward(np.array([[1.0], [3.0]]), np.ones(1), np.zeros(1), bn_param)
    >>> out.round(3)
    array([[-1.],
           [ 1.]])
    >>> bn_param["running_mean"]
    array([0.2])
    """
    who = "batchnorm_forward"
    mode, eps = _mode(who, "bn_param", bn_param), _eps(who, "bn_param", bn_param)
    momentum = checks.number(who, "bn_param['momentum']", bn_param.get("momentum", 0.9), 0, 1)
    x, gamma, beta = _columns(who, x, gamma, beta)
    running = {}
    for name in ("running_mean", "running_var"):
        array = checks.floats(who, f"bn_param[{name!r}]", bn_param.get(name, np.zeros_like(gamma)), x.dtype)
        running[name] = checks.same_shape(who, f"bn_param[{name!r}]", array, gamma.shape, "gamma").copy()
    mean, var = running.values()
    if mode == "test":
        inverse = 1 / np.sqrt(var + x.dtype.type(eps))
        normal = (x - mean) * inverse
        return gamma * normal + beta, _BatchNorm(normal, inverse, gamma, mode)
    out, normal, inverse = np.empty_like(x), np.empty_like(x), np.empty_like(gamma)
    kernels().batch_norm_forward(x, gamma, beta, out, normal, inverse, mean, var, eps, momentum, False)
    bn_param.update(running)
    return out, _BatchNorm(normal, inverse, gamma, mode)


def batchnorm_backward(dout: Any, cache: Any) -> tuple[Any, Any, Any]:
    """The gradients by x, gamma and beta.

    Parameters
    ----------
    dout : array_like
        (N, D)
    cache : tuple
        Of `batchnorm_forward`; of one in the test, where the running statistics are constants.

    Returns
    -------
    dx : numpy.ndarray
        (N, D)
    dgamma, dbeta : numpy.ndarray
        (D,)

    Raises
    ------
    ValueError, TypeError
        For another cache, and a dout of another shape.

    Examples
    --------
    >>> x = np.array([[1.0], [3.0]])
    >>> out, cache = batchnorm_forward(x, np.ones(1), np.zeros(1), {"mode": "train"})
    >>> dx, dgamma, dbeta = batchnorm_backward(np.array([[1.0], [2.0]]), cache)
    >>> dbeta
    array([3.])
    """
    normal, inverse, gamma, mode = parts("batchnorm_backward", cache, 4, _BatchNorm)
    dout = _gradient("batchnorm_backward", dout, normal.shape, normal.dtype)
    if mode == "test":
        return dout * (gamma * inverse), (dout * normal).sum(axis=0), dout.sum(axis=0)
    dx, dgamma, dbeta = np.empty_like(normal), np.empty_like(gamma), np.empty_like(gamma)
    kernels().batch_norm_backward(dout, normal, inverse, gamma, dx, dgamma, dbeta)
    return dx, dgamma, dbeta


#: The course's second derivation of the same numbers.
batchnorm_backward_alt = batchnorm_backward


def layernorm_forward(x: Any, gamma: Any, beta: Any, ln_param: Any) -> tuple[Any, Any]:
    """Each row of x to mean 0 and variance 1, times gamma, plus beta.

    Parameters
    ----------
    x : array_like
        (N, D)
    gamma, beta : array_like
        (D,)
    ln_param : dict
        "eps" (1e-5).

    Returns
    -------
    out : numpy.ndarray
        (N, D), of the dtype of gamma and beta.
    cache : tuple

    Raises
    ------
    ValueError, TypeError
        For shapes that do not fit each other, and what is no number.

    References
    ----------
    Ba et al., Layer normalization (2016).

    Examples
    --------
    >>> layernorm_forward(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2), {})[0].round(3)
    array([[-1.,  1.]])
    """
    who = "layernorm_forward"
    eps = _eps(who, "ln_param", ln_param)
    x, gamma, beta = _columns(who, x, gamma, beta)
    normal = x - x.mean(axis=1, keepdims=True)
    inverse = 1 / np.sqrt(np.square(normal).mean(axis=1, keepdims=True) + x.dtype.type(eps))
    normal *= inverse
    return gamma * normal + beta, _LayerNorm(normal, inverse, gamma)


def layernorm_backward(dout: Any, cache: Any) -> tuple[Any, Any, Any]:
    """The gradients by x, gamma and beta.

    Parameters
    ----------
    dout : array_like
        (N, D)
    cache : tuple
        Of `layernorm_forward`.

    Returns
    -------
    dx : numpy.ndarray
        (N, D)
    dgamma, dbeta : numpy.ndarray
        (D,)

    Raises
    ------
    ValueError, TypeError
        For another cache, and a dout of another shape.

    Examples
    --------
    >>> out, cache = layernorm_forward(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2), {})
    >>> layernorm_backward(np.array([[1.0, 2.0]]), cache)[2]
    array([1., 2.])
    """
    normal, inverse, gamma = parts("layernorm_backward", cache, 3, _LayerNorm)
    dout = _gradient("layernorm_backward", dout, normal.shape, normal.dtype)
    d = dout * gamma
    dx = inverse * (d - d.mean(axis=1, keepdims=True) - normal * (d * normal).mean(axis=1, keepdims=True))
    return dx, (dout * normal).sum(axis=0), dout.sum(axis=0)


# --- dropout ------------------------------------------------------------------------------------


def dropout_forward(x: Any, dropout_param: Any) -> tuple[Any, tuple[Any, Any]] | tuple[Any, tuple[Any, None]]:
    """In training ``x / p``, or 0 with probability ``1 - p``; in the test x.

    Parameters
    ----------
    x : array_like
        Of any shape.
    dropout_param : dict
        "mode" ("train" or "test"), "p" (the probability to keep, above 0 and at most 1), and
        "seed", which draws the same mask at each call; else NumPy's global generator draws one.

    Returns
    -------
    out : numpy.ndarray
        Of x's shape; in the test x itself.
    cache : tuple
        (dropout_param, mask); the mask is 0 or 1 / p, and None in the test.

    Raises
    ------
    ValueError, TypeError
        For a mode that is none, p out of its bounds, and what is no number.

    References
    ----------
    Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting (2014).

    Examples
    --------
    >>> out, cache = dropout_forward(np.ones(6), {"mode": "train", "p": 0.5, "seed": 0})
    >>> out
    array([2., 0., 0., 2., 2., 0.])
    """
    who = "dropout_forward"
    mode = _mode(who, "dropout_param", dropout_param)
    p = checks.number(who, "dropout_param['p']", dropout_param.get("p"), 0, 1)
    if 1 - p == 1:
        raise ValueError(f"{who} expects dropout_param['p'], the probability to keep, above 0; got {p:g}.")
    x = checks.floats(who, "x", x)
    if mode == "test":
        return x, (dropout_param, None)
    seed = dropout_param.get("seed")
    if seed is None:
        seed = np.random.randint(2**63)
    seed = checks.integer(who, "dropout_param['seed']", seed, 0, checks.MOST_SEED)
    ones, mask = np.ones(x.size, x.dtype), np.empty(x.size, x.dtype)
    kernels().dropout(ones, mask, kernels().dropout_key(seed, 0, 0), 1 - p)
    mask = mask.reshape(x.shape)
    return x * mask, (dropout_param, mask)


def dropout_backward(dout: Any, cache: Any) -> Array:
    """The gradient by x: `dout` times the mask; after a forward in the test `dout`.

    Parameters
    ----------
    dout : array_like
        Of x's shape.
    cache : tuple
        Of `dropout_forward`.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ValueError, TypeError
        For another cache, and a dout of another shape.

    Examples
    --------
    >>> out, cache = dropout_forward(np.ones(6), {"mode": "train", "p": 0.5, "seed": 0})
    >>> dropout_backward(np.ones(6), cache)
    array([2., 0., 0., 2., 2., 0.])
    """
    _, mask = parts("dropout_backward", cache, 2)
    if mask is None:
        return checks.floats("dropout_backward", "dout", dout)
    return _gradient("dropout_backward", dout, mask.shape, mask.dtype) * mask


# --- losses -------------------------------------------------------------------------------------


def labels(who: str, y: Any, n: Any, n_classes: Any) -> Any:
    """n labels as int64, each one of 0 .. n_classes - 1."""
    y = checks.same_shape(who, "y", checks.indices(who, "y", y), (n,), "a label for each row")
    if n and (y.min() < 0 or y.max() >= n_classes):
        place = int(np.flatnonzero((y < 0) | (y >= n_classes))[0])
        raise ValueError(f"{who} expects labels 0..{n_classes - 1} in y; got {y[place]} at place {place}.")
    return np.require(y, np.int64, ("C", "A"))


def _scores(who, x, y):
    """Scores (N, C) and labels (N,) of int64."""
    x = checks.floats(who, "x", x)
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"{who} expects x of shape (N, C) without an empty axis; got {x.shape}.")
    return x, labels(who, y, *x.shape)


def softmax_loss(x: Any, y: Any) -> tuple[Any, Any]:
    """The mean cross-entropy of softmax, and its gradient.

    Parameters
    ----------
    x : array_like
        (N, C), scores.
    y : array_like
        (N,), labels as integers.

    Returns
    -------
    loss : float
        In nats; exact (log-sum-exp of each row), also where a probability rounds to 0.
    dx : numpy.ndarray
        (N, C)

    Raises
    ------
    ValueError, TypeError
        For labels that do not fit, and what is no number.

    Examples
    --------
    >>> loss, dx = softmax_loss(np.array([[0.0, 0.0]]), np.array([1]))
    >>> round(loss, 4)
    0.6931
    >>> dx
    array([[ 0.5, -0.5]])
    """
    x, y = _scores("softmax_loss", x, y)
    probabilities, dx = np.empty_like(x), np.empty_like(x)
    loss = kernels().softmax_cross_entropy_forward(x, y, probabilities) / len(x)
    kernels().softmax_cross_entropy_backward(probabilities, y, 1 / len(x), dx)
    return loss, dx


def svm_loss(x: Any, y: Any) -> tuple[float, Any]:
    """The mean multiclass hinge loss, ``sum_j max(0, x[j] - x[y] + 1)`` over j != y, and its gradient.

    Parameters
    ----------
    x : array_like
        (N, C), scores.
    y : array_like
        (N,), labels as integers.

    Returns
    -------
    loss : float
    dx : numpy.ndarray
        (N, C)

    Raises
    ------
    ValueError, TypeError
        For labels that do not fit, and what is no number.

    References
    ----------
    Weston & Watkins, Support vector machines for multi-class pattern recognition (1999).

    Examples
    --------
    >>> loss, dx = svm_loss(np.array([[1.0, 1.5, -2.0]]), np.array([0]))
    >>> loss
    1.5
    >>> dx
    array([[-1.,  1.,  0.]])
    """
    x, y = _scores("svm_loss", x, y)
    rows = np.arange(len(x))
    margins = np.maximum(x - x[rows, y][:, np.newaxis] + 1, 0)
    margins[rows, y] = 0
    dx = (margins > 0).astype(x.dtype)
    dx[rows, y] = -dx.sum(axis=1)
    dx /= len(x)
    return float(margins.sum(dtype=np.float64) / len(x)), dx
