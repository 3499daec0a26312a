"""Initial values: every function fills a tensor in place, unrecorded, and returns it.

Numbers are drawn from the stream of `fastbp.manual_seed`, or from a `generator`.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from fastbp import checks
from fastbp._kernels.autograd import TensorBase
from fastbp.autograd.random import stream
from fastbp.checks import explained
from fastbp.operations.activations import erfc

__all__ = [
    "calculate_gain",
    "constant_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]


def _filled(who, tensor, numbers):
    checks.instance(who, "tensor", tensor, TensorBase, "a Tensor")
    tensor.array[...] = numbers
    tensor._bump()
    return tensor


def _drawn(who, tensor):
    """The shape of a tensor that can hold numbers with digits behind the point."""
    shape = _shape(who, tensor)
    if tensor.array.dtype.kind != "f":
        raise TypeError(f"{who} expects a tensor of float32 or float64; got {tensor.dtype}.")
    return shape


def _shape(who, tensor, ndim=None):
    shape = checks.instance(who, "tensor", tensor, TensorBase, "a Tensor").array.shape
    if ndim is not None and len(shape) != ndim:
        raise ValueError(f"{who} expects a tensor of {ndim} dimensions; got shape {shape}.")
    return shape


@explained
def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Any:
    """Evenly between a and b.

    Examples
    --------
    >>> from fastbp.autograd import zeros
    >>> bool((uniform_(zeros(3), 1.0, 2.0) >= 1.0).all())
    True
    """
    shape = _drawn("uniform_", tensor)
    a, b = (checks.number("uniform_", name, v) for name, v in (("a", a), ("b", b)))
    if a > b:
        raise ValueError(f"uniform_ expects a of at most b; got {a} and {b}.")
    return _filled("uniform_", tensor, stream(generator).uniform(a, b, shape))


@explained
def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Any:
    """From the normal distribution."""
    shape = _drawn("normal_", tensor)
    mean = checks.number("normal_", "mean", mean)
    std = checks.number("normal_", "std", std, least=0)
    return _filled("normal_", tensor, stream(generator).normal(mean, std, shape))


@explained
def trunc_normal_(
    tensor: Any, mean: float = 0.0, std: float = 1.0, a: Any = -2.0, b: float = 2.0, generator: Any = None
) -> Any:
    """From the normal distribution between a and b: draws beyond them are drawn again."""
    shape, rng = _drawn("trunc_normal_", tensor), stream(generator)
    low, high = (a - mean) / std, (b - mean) / std
    if not low < high:
        raise ValueError(f"trunc_normal_ expects a below b; got {a} and {b}.")

    # By the inverse of the distribution function, found by bisection over all at once.
    def cdf(z):
        return 0.5 * erfc(-z / math.sqrt(2))

    wanted = rng.uniform(cdf(low), cdf(high), shape)
    left, right = np.full(shape, max(low, -40.0)), np.full(shape, min(high, 40.0))
    for _ in range(60 if wanted.size else 0):
        middle = (left + right) / 2
        below = cdf(middle) < wanted
        left, right = np.where(below, middle, left), np.where(below, right, middle)
    return _filled("trunc_normal_", tensor, np.clip(mean + std * (left + right) / 2, a, b))


@explained
def constant_(tensor: Any, val: Any) -> Any:
    """One number everywhere.

    Examples
    --------
    >>> from fastbp.autograd import zeros
    >>> constant_(zeros(2), 0.5)
    tensor([0.5000, 0.5000])
    """
    checks.unmasked("constant_", "val", val)
    if np.ndim(val):
        raise TypeError(f"constant_ expects val as one number; got {checks.described(val)}.")
    return _filled("constant_", tensor, val)


@explained
def ones_(tensor: Any) -> Any:
    """1 everywhere."""
    return _filled("ones_", tensor, 1)


@explained
def zeros_(tensor: Any) -> Any:
    """0 everywhere."""
    return _filled("zeros_", tensor, 0)


@explained
def eye_(tensor: Any) -> Any:
    """1 on the diagonal of a matrix, 0 beside it."""
    return _filled("eye_", tensor, np.eye(*_shape("eye_", tensor, 2)))


def _fans(who, tensor):
    """Numbers of inputs and outputs: of (out, in, ...) the rest counts for both."""
    shape = _shape(who, tensor)
    if len(shape) < 2:
        raise ValueError(
            f"{who} expects a tensor of at least 2 dimensions, to have numbers of "
            f"inputs and outputs; got shape {shape}."
        )
    rest = math.prod(shape[2:])
    return shape[1] * rest, shape[0] * rest


@explained
def calculate_gain(nonlinearity: str, param: float | None = None) -> Any:
    """The factor of a deviation that fits the activation behind it.

    Parameters
    ----------
    nonlinearity : str
        "linear", "sigmoid", "tanh", "relu", "leaky_relu" or "selu".
    param : float, optional
        The slope of "leaky_relu", by default 0.01.

    Examples
    --------
    >>> round(calculate_gain("relu"), 4)
    1.4142
    """
    slope = 0.01 if param is None else param
    gains = {
        "linear": 1.0,
        "conv1d": 1.0,
        "conv2d": 1.0,
        "conv3d": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "selu": 0.75,
        "leaky_relu": None,
    }
    checks.choice("calculate_gain", "nonlinearity", nonlinearity, tuple(gains))
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + checks.number("calculate_gain", "param", slope) ** 2))
    return gains[nonlinearity]


@explained
def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """Evenly between ±gain sqrt(6 / (in + out)).

    References
    ----------
    Glorot & Bengio, Understanding the difficulty of training deep feedforward neural networks
    (2010).
    """
    bound = gain * math.sqrt(6 / sum(_fans("xavier_uniform_", tensor)))
    return uniform_(tensor, -bound, bound, generator)


@explained
def xavier_normal_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """Normal with deviation gain sqrt(2 / (in + out))."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(_fans("xavier_normal_", tensor))), generator)


def _kaiming(who, tensor, a, mode, nonlinearity):
    checks.choice(who, "mode", mode, ("fan_in", "fan_out"))
    if 0 in _shape(who, tensor):
        warnings.warn(f"{who} expects a tensor with elements; got none.", UserWarning, stacklevel=3)
        return 0.0
    fan = _fans(who, tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


@explained
def kaiming_uniform_(
    tensor: Any, a: Any = 0, mode: Any = "fan_in", nonlinearity: Any = "leaky_relu", generator: Any = None
) -> Any:
    """Evenly between ±gain sqrt(3 / fan), fan the number of inputs or outputs.

    References
    ----------
    He et al., Delving deep into rectifiers (2015).

    Examples
    --------
    >>> from fastbp.autograd import zeros
    >>> bool((kaiming_uniform_(zeros(3, 6)).abs() <= 1).all())
    True
    """
    bound = math.sqrt(3) * _kaiming("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


@explained
def kaiming_normal_(
    tensor: Any, a: Any = 0, mode: Any = "fan_in", nonlinearity: Any = "leaky_relu", generator: Any = None
) -> Any:
    """Normal with deviation gain / sqrt(fan), fan the number of inputs or outputs."""
    std = _kaiming("kaiming_normal_", tensor, a, mode, nonlinearity)
    return normal_(tensor, 0.0, std, generator)


@explained
def orthogonal_(tensor: Any, gain: Any = 1, generator: Any = None) -> Any:
    """Rows, or columns where there are fewer, at right angles, of length `gain`.

    References
    ----------
    Saxe et al., Exact solutions to the nonlinear dynamics of learning (2014).
    """
    _drawn("orthogonal_", tensor)
    _fans("orthogonal_", tensor)
    gain = checks.number("orthogonal_", "gain", gain)
    shape = tensor.array.shape
    rows, columns = shape[0], math.prod(shape[1:])
    flat = stream(generator).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(flat)
    q *= np.sign(np.diag(r))  # evenly distributed
    return _filled("orthogonal_", tensor, gain * (q if rows >= columns else q.T).reshape(shape))


@explained
def sparse_(tensor: Any, sparsity: Any, std: float = 0.01, generator: Any = None) -> Any:
    """Normal, with the share `sparsity` of each column at 0."""
    _drawn("sparse_", tensor)
    rows, columns = _shape("sparse_", tensor, 2)
    zero = math.ceil(checks.number("sparse_", "sparsity", sparsity, 0, 1) * rows)
    rng = stream(generator)
    numbers = rng.normal(0.0, std, (rows, columns))
    for column in range(columns):
        numbers[rng.permutation(rows)[:zero], column] = 0
    return _filled("sparse_", tensor, numbers)
