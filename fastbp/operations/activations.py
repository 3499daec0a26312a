"""The activations: of each the formula in NumPy, its gradient, and what others call it.

Names, numbers and what a gradient reads are those of the rows in ``_kernels/operations.h``; the
tests hold these formulas and the kernels to each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastbp._kernels.activations import activations

#: Klambauer et al., Self-normalizing neural networks (2017).
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
_ROOT_2_OVER_PI = math.sqrt(2 / math.pi)
_CUBE = 0.044715  # of the approximate gelu

_COMPILED = activations()


@dataclass(frozen=True)
class Activation:
    """A row.

    Parameters
    ----------
    name : str
        The kernel's, the engine's and a file's.
    value : callable
        ``value(x, *numbers)``, element by element, in x's dtype.
    gradient : callable
        ``gradient(d, v, *numbers)``: d times the derivative, of v, the output or the input.
    numbers : tuple of str
        What its numbers are called, in their order.
    node : str
        PyTorch's name of its node in a graph.

    Attributes
    ----------
    kind : int
        Its number in C.
    reads_output : bool
        Whether the gradient is computed from the output, and else from the input.
    """

    name: str
    value: Callable[..., Any]
    gradient: Callable[..., Any]
    numbers: tuple[str, ...] = ()
    node: str = ""
    kind: int = field(init=False)
    reads_output: bool = field(init=False)

    def __post_init__(self) -> None:
        kind, reads_output, _ = _COMPILED[self.name]
        node = self.node or "".join(map(str.capitalize, self.name.split("_"))) + "Backward0"
        vars(self).update(kind=kind, reads_output=reads_output, node=node)


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), from exp(-|x|) so that nothing overflows."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e / (1 + e), 1 / (1 + e))


def _softplus(x):
    """log(1 + exp(x))"""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


#: The C library's, in float64, element by element.
erf, erfc = (np.vectorize(f, otypes=[np.float64]) for f in (math.erf, math.erfc))


def _normal_distribution(x):
    """Phi(x), by the C library's erfc, and to first order what rounding took from its argument."""
    x = np.clip(x.astype(np.float64), -100, 100)  # beyond, it is 0 or 1 all the same
    z = -x * math.sqrt(0.5)
    lost = (-x * np.sqrt(np.longdouble(0.5)) - z).astype(np.float64)
    return 0.5 * erfc(z) - lost * np.exp(-z * z) / math.sqrt(math.pi)


def _gelu(x):
    """x Phi(x), Phi the normal distribution function; its limit 0 at -inf."""
    return np.maximum(x, -100) * _normal_distribution(x)


def _gelu_gradient(d, v):
    """Phi(v) + v phi(v), phi the normal density; its limits 0 and 1 at +-inf."""
    v = np.clip(v.astype(np.float64), -100, 100)
    return d * (_normal_distribution(v) + v * np.exp(-0.5 * v * v) / math.sqrt(2 * math.pi))


def _gelu_inner(x):
    """2 u, of which x (1 + tanh(u)) / 2 = x sigmoid(2 u) is Hendrycks & Gimpel's approximation."""
    return 2 * _ROOT_2_OVER_PI * (x + _CUBE * x**3)


def _gelu_tanh_gradient(d, v):
    v = np.clip(v, -100, 100)
    u = _gelu_inner(v)
    slope = 2 * _ROOT_2_OVER_PI * (1 + 3 * _CUBE * v * v)
    return d * (sigmoid(u) + v * sigmoid(u) * sigmoid(-u) * slope)


def _celu_gradient(d, v, alpha):
    return np.where(v > 0, d, d * np.exp(np.minimum(v, 0) / alpha))


def _silu_gradient(d, v):
    """d (s + v s (1 - s)), s = sigmoid(v)"""
    s = sigmoid(v)
    return d * (s + v * s * sigmoid(-v))


def _mish(x):
    """x tanh(log(1 + exp(x)))"""
    return x * np.tanh(np.logaddexp(x, 0))


def _mish_gradient(d, v):
    """d (t + v sigmoid(v) / cosh(z)^2), t = tanh(z), z = log(1 + exp(v))"""
    z = np.logaddexp(v.astype(np.float64), 0)
    return d * (np.tanh(z) + v * sigmoid(v) * np.cosh(z) ** -2.0)


def _hardswish_slope(v):
    return np.where(v <= -3, 0, np.where(v >= 3, 1, v / 3 + 0.5))


def _softsign_gradient(d, v):
    """d / (1 + |v|)^2, and NaN where the value, inf / inf, is."""
    divisor = 1 + np.abs(v)
    return d * (divisor / divisor) / divisor / divisor


ROWS = [
    # A NaN lets d through, as in the book.
    Activation("relu", lambda x: np.maximum(x, 0), lambda d, v: np.where(v <= 0, 0, d)),
    Activation("sigmoid", sigmoid, lambda d, v: d * (1 - v) * v),
    Activation("tanh", np.tanh, lambda d, v: d * (1 - v * v)),
    Activation("identity", np.array, lambda d, v: d),
    Activation(
        "leaky_relu",
        lambda x, slope: np.where(x > 0, x, slope * x),
        lambda d, v, slope: np.where(v > 0, d, slope * d),
        ("slope",),
    ),
    Activation("softplus", _softplus, lambda d, v: d * sigmoid(v)),
    Activation(
        "softplus_of",
        lambda x, beta, threshold: np.where(beta * x > threshold, x, _softplus(beta * x) / beta),
        lambda d, v, beta, threshold: np.where(beta * v > threshold, d, d * sigmoid(beta * v)),
        ("beta", "threshold"),
        node="SoftplusBackward0",
    ),
    Activation("gelu", _gelu, _gelu_gradient),
    Activation("gelu_tanh", lambda x: x * sigmoid(_gelu_inner(x)), _gelu_tanh_gradient, node="GeluBackward0"),
    # "below" is scale times alpha.
    Activation(
        "elu",
        lambda x, a, scale: np.where(x > 0, scale * x, a * np.expm1(np.minimum(x, 0))),
        lambda d, v, a, scale: d * np.where(v > 0, scale, a * np.exp(np.minimum(v, 0))),
        ("below", "scale"),
    ),
    Activation(
        "celu",
        lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha)),
        _celu_gradient,
        ("alpha",),
    ),
    Activation("silu", lambda x: x * sigmoid(x), _silu_gradient),
    Activation("mish", _mish, _mish_gradient),
    # Derivatives at kinks are PyTorch's.
    Activation("hardtanh", np.clip, lambda d, v, low, high: np.where((v <= low) | (v >= high), 0, d), ("low", "high")),
    Activation("hardsigmoid", lambda x: np.clip(x + 3, 0, 6) / 6, lambda d, v: np.where((v > -3) & (v < 3), d, 0) / 6),
    Activation("hardswish", lambda x: x * np.clip(x + 3, 0, 6) / 6, lambda d, v: d * _hardswish_slope(v)),
    Activation("logsigmoid", lambda x: -_softplus(-x), lambda d, v: d * sigmoid(-v), node="LogSigmoidBackward0"),
    Activation("softsign", lambda x: x / (1 + np.abs(x)), _softsign_gradient, node="DivBackward0"),
    Activation("tanhshrink", lambda x: x - np.tanh(x), lambda d, v: d * np.tanh(v) * np.tanh(v), node="SubBackward0"),
    Activation(
        "threshold",
        lambda x, at, below: np.where(x <= at, below, x),  # NaN goes through
        lambda d, v, at, below: np.where(v <= at, 0, d),
        ("at", "value"),
    ),
    Activation("erf", erf, lambda d, v: d * (2 / math.sqrt(math.pi) * np.exp(-v * v))),
]
ACTIVATIONS = {row.name: row for row in sorted(ROWS, key=lambda row: row.kind)}


def value(name: Any, x: Any, numbers: Any = ()) -> Any:
    """The activation of x, in x's dtype, without NumPy's warnings."""
    numbers = [x.dtype.type(number) for number in numbers]
    with np.errstate(all="ignore"):
        return np.asarray(ACTIVATIONS[name].value(x, *numbers)).astype(x.dtype, copy=False)


def gradient(name: Any, d: Any, v: Any, numbers: Any = ()) -> Any:
    """The gradient by the input, from that by the output and what the row reads."""
    numbers = [v.dtype.type(number) for number in numbers]
    with np.errstate(all="ignore"):
        return np.asarray(ACTIVATIONS[name].gradient(d, v, *numbers)).astype(v.dtype, copy=False)
