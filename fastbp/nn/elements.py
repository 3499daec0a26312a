"""Activations by their names: of a kernel, or of every element a value and a slope, in NumPy.

`functional` makes nodes of them and `activations` layers.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastbp._kernels.autograd import quiet
from fastbp.backend import kernels

SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
ROOT_2_OVER_PI = 0.79788456080286535588  # of the approximate gelu
CUBE = 0.044715


def _sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def _softplus(x, beta, threshold):
    z = beta * x
    return np.where(z > threshold, x, np.log1p(np.exp(np.minimum(z, threshold))) / beta)


def _gelu_inner(x):
    return np.tanh(ROOT_2_OVER_PI * (x + CUBE * x**3))


def _gelu_tanh_slope(x):
    inner = _gelu_inner(x)
    return 0.5 * (
        1 + inner + x * (1 - inner * inner) * ROOT_2_OVER_PI * (1 + 3 * CUBE * x * x)
    )  # fmt: skip


def _softsign_slope(divisor):
    """NaN where the value, inf / inf, is."""
    return divisor / divisor * divisor**-2.0


ELEMENTS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]]
#: Name: (value of x and the arguments, slope of the same); derivatives at kinks are PyTorch's.
ELEMENTS = {
    "celu": (lambda x, a: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0) / a)),
             lambda x, a: np.where(x > 0, 1, np.exp(np.minimum(x, 0) / a))),
    "gelu_tanh": (lambda x: 0.5 * x * (1 + _gelu_inner(x)), _gelu_tanh_slope),
    "softplus": (_softplus, lambda x, beta, threshold: np.where(
        beta * x > threshold, 1, _sigmoid(beta * x))),
    "hardtanh": (np.clip, lambda x, low, high: (x > low) & (x < high)),
    "hardsigmoid": (lambda x: np.clip(x + 3, 0, 6) / 6, lambda x: ((x > -3) & (x < 3)) / 6),
    "hardswish": (lambda x: x * np.clip(x + 3, 0, 6) / 6, lambda x: np.where(
        x <= -3, 0, np.where(x >= 3, 1, x / 3 + 0.5))),
    "logsigmoid": (lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))),
                   lambda x: _sigmoid(-x)),
    "softsign": (lambda x: x / (1 + np.abs(x)), lambda x: _softsign_slope(1 + np.abs(x))),
    "tanhshrink": (lambda x: x - np.tanh(x), lambda x: np.tanh(x) ** 2),
    "threshold": (lambda x, at, value: np.where(x <= at, value, x),  # NaN goes through
                  lambda x, at, value: ~(x <= at)),
}  # fmt: skip


#: Name: the kernel, and the numbers that it takes of the arguments.
KERNELS: dict[str, tuple[str, Callable[..., tuple[float, ...]]]]
KERNELS = {
    "elu": ("elu", lambda alpha: (alpha, 1.0)),
    "selu": ("elu", lambda: (SELU_ALPHA, SELU_SCALE)),
    "silu": ("silu", lambda: ()),
    "mish": ("mish", lambda: ()),
}


def value(name, x, arguments=()):
    """The function of a contiguous array of floats, in its dtype."""
    if name in KERNELS:
        kernel, numbers = KERNELS[name]
        out = np.empty_like(x)
        forward = getattr(kernels(), kernel + "_forward")
        forward(x.reshape(-1), out.reshape(-1), *numbers(*arguments))
        return out
    return np.asarray(quiet(ELEMENTS[name][0], (x, *arguments))).astype(x.dtype, copy=False)


def pullback(name, x, dout, arguments=()):
    """The gradient by x."""
    if name in KERNELS:
        kernel, numbers = KERNELS[name]
        dx = np.empty_like(x)
        backward = getattr(kernels(), kernel + "_backward")
        backward(dout.reshape(-1), x.reshape(-1), dx.reshape(-1), *numbers(*arguments))
        return dx
    slope = quiet(ELEMENTS[name][1], (x, *arguments))
    dx = np.where(slope, dout, 0) if slope.dtype == bool else quiet(np.multiply, (dout, slope))
    return np.asarray(dx).astype(x.dtype, copy=False)
