"""Activations of tensors: of each element, and softmax and its kin."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from fastbp import checks
from fastbp._kernels import autograd as core
from fastbp.autograd import log_softmax as _log_softmax
from fastbp.autograd import (
    sigmoid,
    tanh,
    tensor,  # noqa: F401  (in the examples)
    where,
)
from fastbp.autograd import softmax as _softmax
from fastbp.autograd.arguments import quick, tensor_of
from fastbp.autograd.elementwise import activation
from fastbp.autograd.elementwise import relu as _relu
from fastbp.autograd.inplace import changed
from fastbp.autograd.reductions import one_axis
from fastbp.autograd.tensor import as_tensor, named
from fastbp.checks import explained
from fastbp.operations import activations as rows

if TYPE_CHECKING:
    from fastbp._typing import TensorFunction

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
]


@explained
def relu(input: Any, inplace: bool = False) -> Any:
    """max(x, 0), element by element.

    With `inplace`, here and below, the tensor itself becomes the result, as by `relu_`; a leaf
    that requires grad is refused.

    Examples
    --------
    >>> relu(tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return _in_place("relu", input, _relu) if inplace else _relu(input)


def _in_place(who, input, function, *arguments):
    return changed(tensor_of(who, "input", input), function, *arguments)


def _activation(name, input, *numbers, inplace=False):
    row = rows.ACTIVATIONS[name]
    if inplace:
        return _in_place(name, input, activation, row, *map(float, numbers))
    return activation(input, row, *map(float, numbers)) if numbers else activation(input, row)


def _plain(name, formula):
    """An activation without numbers, which takes no `inplace`."""

    def function(input):
        return _activation(name, input)

    return explained(named(function, name, formula))


def _in_place_too(name, formula):
    def function(input, inplace=False):
        return _activation(name, input, inplace=inplace)

    return explained(named(function, name, formula))


silu: TensorFunction = _in_place_too("silu", "x sigmoid(x).")
mish: TensorFunction = _in_place_too("mish", "x tanh(softplus(x)).")
hardsigmoid: TensorFunction = _in_place_too("hardsigmoid", "x / 6 + 1/2 between 0 and 1.")
hardswish: TensorFunction = _in_place_too("hardswish", "x hardsigmoid(x).")
logsigmoid: TensorFunction = _plain("logsigmoid", "log(sigmoid(x)).")
softsign: TensorFunction = _plain("softsign", "``x / (1 + |x|)``.")
tanhshrink: TensorFunction = _plain("tanhshrink", "x - tanh(x).")


def _of_any_dtype(name, input, *numbers):
    """One that leaves integers integers."""
    x = input if isinstance(input, core.TensorBase) else as_tensor(input)
    if x.array.dtype.kind in "iu":
        return core.new(rows.value(name, x.array, numbers))
    return _activation(name, x, *numbers)


@explained
def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """x above 0, negative_slope * x below.

    Examples
    --------
    >>> leaky_relu(tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    return _activation("leaky_relu", input, negative_slope, inplace=inplace)


@explained
def gelu(input: Any, approximate: Any = "none") -> Any:
    """x Phi(x), Phi the normal distribution function, or its approximation by "tanh".

    Examples
    --------
    >>> gelu(tensor([1.0]))
    tensor([0.8413])
    """
    checks.choice("gelu", "approximate", approximate, ("none", "tanh"))
    return _activation("gelu_tanh" if approximate == "tanh" else "gelu", input)


@explained
def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """log(1 + exp(beta x)) / beta, and x where beta x is above the threshold.

    Examples
    --------
    >>> softplus(tensor([0.0]))
    tensor([0.6931])
    """
    return _activation("softplus_of", input, beta, threshold)


@explained
def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """x above 0, alpha (exp(x) - 1) below.

    Examples
    --------
    >>> elu(tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return _activation("elu", input, alpha, 1, inplace=inplace)


@explained
def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """x above 0, alpha (exp(x / alpha) - 1) below."""
    if alpha == 0:
        raise ValueError("celu expects alpha other than 0, which it divides by; got 0.")
    return _activation("celu", input, alpha, inplace=inplace)


@explained
def selu(input: Any, inplace: bool = False) -> Any:
    """The scaled `elu` that keeps mean 0 and variance 1 (Klambauer et al., 2017)."""
    if inplace:
        return _in_place("selu", input, selu)
    return _activation("elu", input, rows.SELU_SCALE * rows.SELU_ALPHA, rows.SELU_SCALE)


@explained
def hardtanh(input: Any, min_val: Any = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    """x between min_val and max_val, and the nearer of them beyond.

    Examples
    --------
    >>> hardtanh(tensor([-3.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """
    if not min_val < max_val:
        raise ValueError(f"hardtanh expects min_val below max_val; got {min_val} and {max_val}.")
    if inplace:
        return _in_place("hardtanh", input, hardtanh, min_val, max_val)
    return _of_any_dtype("hardtanh", input, min_val, max_val)


@explained
def relu6(input: Any, inplace: bool = False) -> Any:
    """x between 0 and 6, and the nearer of them beyond."""
    return hardtanh(input, 0.0, 6.0, inplace)


@explained
def threshold(input: Any, threshold: Any, value: Any, inplace: bool = False) -> Any:
    """x above a threshold, and `value` below."""
    if inplace:
        return _in_place("threshold", input, _threshold, threshold, value)
    return _threshold(input, threshold, value)


def _threshold(input, at, value):
    return _of_any_dtype("threshold", input, at, value)


@explained
def prelu(input: Any, weight: Any) -> Any:
    """The input, and below 0 weight times the input.

    Parameters
    ----------
    input : Tensor, (N, C) or (N, C, ...)
    weight : Tensor, (1,) or (C,)

    References
    ----------
    He et al., Delving deep into rectifiers (2015).

    Examples
    --------
    >>> prelu(tensor([-2.0, 3.0]), tensor([0.25]))
    tensor([-0.5000,  3.0000])
    """
    tensor_of("prelu", "weight", weight)
    n = weight.numel()
    if n > 1 and input.ndim > 1 and input.shape[1] == n and weight.ndim == 1:
        weight = weight.reshape((n,) + (1,) * (input.ndim - 2))
    elif n != 1:
        raise RuntimeError(
            f"prelu expects weight of 1 element, or one for each of input's columns "
            f"in dimension 1; got shapes {tuple(weight.shape)} and "
            f"{tuple(input.shape)}."
        )
    return where(input > 0, input, weight.reshape(-1)[0] * input if n == 1 else weight * input)


@explained
def glu(input: Any, dim: Any = -1) -> Any:
    """One half of a dimension times sigmoid of the other, a gated linear unit.

    References
    ----------
    Dauphin et al., Language modeling with gated convolutional networks (2017).

    Examples
    --------
    >>> glu(tensor([2.0, 0.0]))
    tensor([1.])
    """
    length = input.shape[one_axis("glu", input.array, dim)]
    if length % 2:
        raise RuntimeError(f"glu expects a dimension of even length; got {length}.")
    a, b = input.chunk(2, dim)
    return a * b.sigmoid()


# --- over a dimension -----------------------------------------------------------------------


def _dimension(who, input, dim):
    if dim is not None:
        return dim
    warnings.warn(
        f"{who} expects dim, the dimension that sums to 1; got None, which is taken as PyTorch takes it.",
        UserWarning,
        stacklevel=4,
    )
    return 0 if input.ndim in (0, 1, 3) else 1


@quick
def softmax(input: Any, dim: Any = None, dtype: Any = None) -> Any:
    """exp(x) / sum(exp(x)) over a dimension.

    Examples
    --------
    >>> softmax(tensor([[0.0, 0.0]]), dim=1)
    tensor([[0.5000, 0.5000]])
    """
    return _softmax(input, _dimension("softmax", input, dim), dtype)


@explained
def softmin(input: Any, dim: Any = None, dtype: Any = None) -> Any:
    """softmax of -x."""
    return _softmax(-input, _dimension("softmin", input, dim), dtype)


@quick
def log_softmax(input: Any, dim: Any = None, dtype: Any = None) -> Any:
    """x - log(sum(exp(x))) over a dimension."""
    return _log_softmax(input, _dimension("log_softmax", input, dim), dtype)
