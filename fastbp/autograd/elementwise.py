"""Functions of every element, with their derivatives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fastbp import checks, dtypes
from fastbp._kernels import autograd as core
from fastbp.autograd.tensor import as_tensor, dimension, named, quietly
from fastbp.backend import kernels
from fastbp.operations.activations import ACTIVATIONS

if TYPE_CHECKING:
    from fastbp._typing import Array, DTypeLike, TensorFunction, TensorLike
    from fastbp.autograd.tensor import Tensor
    from fastbp.operations.activations import Activation

quiet: TensorFunction = core.quiet


def floats_of(input: TensorLike) -> tuple[core.TensorBase, Array]:
    """The tensor of what is handed in, and its array as floats: integers in the default dtype."""
    x = input if isinstance(input, core.TensorBase) else as_tensor(input)
    array = x.array
    return x, array if array.dtype.kind == "f" else array.astype(dtypes.get_default_dtype().dtype)


def _title(name):
    return "".join(part.capitalize() for part in name.split("_")) + "Backward0"


def _function(name, formula, compute, gradient, of="x"):
    """A function of every element.

    `gradient` makes dx of dout and the input, or of dout and the output where `of` is "out".
    """
    label = _title(name)

    def backward(saved, dout, needs):
        return (quiet(gradient, (dout, saved[0])),)

    def function(input):
        x, array = floats_of(input)
        out = np.asarray(quiet(compute, (array,)))
        # What is kept of the input is the tensor itself where it needed no conversion.
        saved = out if of == "out" else x if array is x.array else array
        return core.node(label, out, (x,), backward, (saved,))

    return named(function, name, f"{formula}, element by element.")


def _half_log(dout, x, base):
    return dout / (x * dout.dtype.type(base))


exp: TensorFunction = _function("exp", "exp(x)", np.exp, lambda d, y: d * y, "out")
expm1: TensorFunction = _function("expm1", "exp(x) - 1", np.expm1, lambda d, y: d * (y + 1), "out")
exp2: TensorFunction = _function("exp2", "2 ** x", np.exp2, lambda d, y: d * y * y.dtype.type(math.log(2)), "out")
log: TensorFunction = _function("log", "The natural logarithm of x", np.log, lambda d, x: d / x)
log2: TensorFunction = _function(
    "log2", "The logarithm of x to base 2", np.log2, lambda d, x: _half_log(d, x, math.log(2))
)
log10: TensorFunction = _function(
    "log10", "The logarithm of x to base 10", np.log10, lambda d, x: _half_log(d, x, math.log(10))
)
log1p: TensorFunction = _function("log1p", "log(1 + x)", np.log1p, lambda d, x: d / (x + 1))
sqrt: TensorFunction = _function("sqrt", "The square root of x", np.sqrt, lambda d, y: d / (2 * y), "out")
rsqrt: TensorFunction = _function("rsqrt", "1 / sqrt(x)", lambda x: 1 / np.sqrt(x), lambda d, y: d * y**3 / -2, "out")
reciprocal: TensorFunction = _function("reciprocal", "1 / x", lambda x: 1 / x, lambda d, y: -d * (y * y), "out")
sin: TensorFunction = _function("sin", "The sine of x", np.sin, lambda d, x: d * np.cos(x))
cos: TensorFunction = _function("cos", "The cosine of x", np.cos, lambda d, x: -d * np.sin(x))
tan: TensorFunction = _function("tan", "The tangent of x", np.tan, lambda d, y: d * (1 + y * y), "out")
asin: TensorFunction = _function("asin", "The arcsine of x", np.arcsin, lambda d, x: d / np.sqrt(1 - x * x))
acos: TensorFunction = _function("acos", "The arccosine of x", np.arccos, lambda d, x: -d / np.sqrt(1 - x * x))
atan: TensorFunction = _function("atan", "The arctangent of x", np.arctan, lambda d, x: d / (1 + x * x))
sinh: TensorFunction = _function("sinh", "The hyperbolic sine of x", np.sinh, lambda d, x: d * np.cosh(x))
cosh: TensorFunction = _function("cosh", "The hyperbolic cosine of x", np.cosh, lambda d, x: d * np.sinh(x))


# --- by the library's own kernels -----------------------------------------------------------


def _ready(array):
    flags = array.flags
    return array.dtype in checks.FLOATS and flags.c_contiguous and flags.aligned and array.size


def activation(input: TensorLike, row: Activation, *numbers: float) -> Tensor:
    """The activation of a tensor: a row of `operations.activations`, with its numbers."""
    if isinstance(input, core.TensorBase):
        found = core.activation(row.kind, input, *numbers)
        if found is not None:
            return found
    x, floats = floats_of(input)
    array = checks.floats(row.name, "input", floats)
    out = np.empty(array.shape, array.dtype)
    kernels().activation_forward(row.name, array.reshape(-1), out.reshape(-1), *numbers)
    out = out.astype(floats.dtype, copy=False)
    read = out if row.reads_output else x if floats is x.array else floats
    return core.node(row.node, out, (x,), _pull_back, (read, row.name, numbers))


def _pull_back(saved, dout, needs):
    read, name, numbers = saved
    read = checks.floats(name, "input", read)
    dout = checks.floats(name, "dout", dout, read.dtype)
    dx = np.empty(read.shape, read.dtype)
    kernels().activation_backward(name, dout.reshape(-1), read.reshape(-1), dx.reshape(-1), *numbers)
    return (dx,)


def _by_kernel(name, formula):
    row = ACTIVATIONS[name]

    def function(input):
        return activation(input, row)

    return named(function, name, f"{formula}, element by element.")


tanh: TensorFunction = _by_kernel("tanh", "The hyperbolic tangent of x")
sigmoid: TensorFunction = _by_kernel("sigmoid", "1 / (1 + exp(-x))")
erf: TensorFunction = _by_kernel("erf", "The error function of x")


def relu(input: TensorLike) -> Tensor:
    """max(x, 0), element by element."""
    if isinstance(input, core.TensorBase) and not input.dtype.is_floating_point:
        _no_bools("relu", input)
        return core.new(np.maximum(input.array, 0))
    return activation(input, ACTIVATIONS["relu"])


# --- of any dtype ---------------------------------------------------------------------------


KINDS = {"uif": "numbers", "f": "floats", "buif": "numbers or bools"}


def _sign(x):
    """0 of NaN."""
    return x if x.dtype.kind == "b" else np.subtract(x > 0, x < 0, dtype=x.dtype)


def _of_any(name, formula, compute, gradient, kinds="uif"):
    """As `_function`; integers stay integers, and `gradient` may be None where it is 0.

    Bools are refused.
    """
    label = _title(name)

    def backward(saved, dout, needs):
        return (quiet(gradient, (dout, *saved)) if gradient else np.zeros_like(dout),)

    def function(input):
        x = input if isinstance(input, core.TensorBase) else as_tensor(input)
        if x.array.dtype.kind not in kinds:
            raise RuntimeError(f"{name} expects {KINDS[kinds]}; got a tensor of {x.dtype!r}.")
        saved = (x,) if gradient else ()
        return core.node(label, np.asarray(quiet(compute, (x.array,))), (x,), backward, saved)

    return named(function, name, f"{formula}, element by element.")


abs_: TensorFunction = _of_any("abs", "The absolute value of x", np.abs, lambda d, x: d * _sign(x))
sign: TensorFunction = _of_any("sign", "-1, 0 or 1, as x is; 0 of NaN", _sign, None, "buif")
floor: TensorFunction = _of_any("floor", "x rounded down", np.floor, None)
ceil: TensorFunction = _of_any("ceil", "x rounded up", np.ceil, None)
trunc: TensorFunction = _of_any("trunc", "x rounded towards 0", np.trunc, None)
square: TensorFunction = _of_any(
    "square", "x * x", lambda x: np.square(x, dtype="q" if x.dtype == bool else None), lambda d, x: d * (2 * x), "buif"
)
frac: TensorFunction = _of_any("frac", "What x has behind the point", lambda x: x - np.trunc(x), lambda d, x: d, "f")


def round_(input: Tensor, *, decimals: int = 0) -> Tensor:
    """x rounded to the nearest number of so many decimals, halves to the even one."""
    x = input if isinstance(input, core.TensorBase) else as_tensor(input)
    _no_bools("round", x)
    out = np.asarray(np.round(x.array, decimals))
    return core.node("RoundBackward0", out, (x,), lambda s, dout, n: (np.zeros_like(dout),))


def _no_bools(who, x):
    if x.dtype is dtypes.bool_:
        raise RuntimeError(f"{who} expects numbers; got a bool tensor.")


def neg(input: Tensor) -> Tensor:
    """-x, element by element."""
    return -input


def positive(input: Tensor) -> Tensor:
    """x itself."""
    _no_bools("positive", checks.instance("positive", "input", input, core.TensorBase, "a Tensor"))
    return input


# --- questions ------------------------------------------------------------------------------


def _question(ufunc, formula):
    def function(input):
        return core.new(np.asarray(ufunc(input.array)))

    return named(function, ufunc.__name__, f"Where x is {formula}, as a bool tensor.")


isnan: TensorFunction = _question(np.isnan, "not a number")
isinf: TensorFunction = _question(np.isinf, "infinite")
isfinite: TensorFunction = _question(np.isfinite, "finite")


def nan_to_num(input: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """x with numbers in place of NaN and the infinite ones."""
    array = input.array
    for name, value in ("nan", nan), ("posinf", posinf), ("neginf", neginf):
        checks.unmasked("nan_to_num", name, value)
    out = np.asarray(np.nan_to_num(array, nan=nan, posinf=posinf, neginf=neginf))
    finite = np.isfinite(array)
    return core.node(
        "NanToNumBackward0", out, (input,), lambda s, dout, n: (quiet(np.multiply, (dout, *s)),), (finite,)
    )


# --- over a dimension -----------------------------------------------------------------------


def _with_axis(who, input, dim, dtype):
    if dtype is not None:
        input = input.to(dtype)
    if dim is None:
        raise TypeError(f"{who} expects dim, the dimension that sums to 1; got None.")
    x, array = floats_of(input)
    if array is not x.array:
        raise RuntimeError(f"{who} expects a tensor of floating point dtype; got {x.dtype!r}.")
    axis = dimension(who, dim, array.ndim)
    return (x, array, axis) if array.ndim else (x, array.reshape(1), axis)


def _shaped(out, x):
    """The very array, so that a node that saves it sees it change; a 0-d one is a view."""
    return out if x.array.ndim else out.reshape(())


def _softmax(x, axis):
    out = np.exp(x - x.max(axis, keepdims=True, initial=-np.inf))
    out /= out.sum(axis, keepdims=True)
    return out


def log_softmax_of(x: Array, axis: int) -> Array:
    """``x - log(sum(exp(x)))`` of an array."""
    out = x - x.max(axis, keepdims=True, initial=-np.inf)
    out -= np.log(np.exp(out).sum(axis, keepdims=True))
    return out


def softmax(input: Tensor, dim: int | None = None, dtype: DTypeLike | None = None) -> Tensor:
    """``exp(x) / sum(exp(x))`` over a dimension.

    Examples
    --------
    >>> softmax(as_tensor([[0.0, 0.0]]), dim=1)
    tensor([[0.5000, 0.5000]])
    """
    x, array, axis = _with_axis("softmax", input, dim, dtype)
    n = array.shape[axis]
    if axis == array.ndim - 1 and _ready(array):
        out = np.empty_like(array)
        kernels().softmax_forward(array.reshape(-1, n), out.reshape(-1, n))
    else:
        out = quiet(_softmax, (array, axis))
    return core.node("SoftmaxBackward0", _shaped(out, x), (x,), _softmax_gradient, (out, axis))


@quietly
def _softmax_gradient(saved, dout, needs):
    out, axis = saved
    g = dout.reshape(out.shape) * out
    return ((g - out * g.sum(axis, keepdims=True)).reshape(dout.shape),)


def log_softmax(input: Tensor, dim: int | None = None, dtype: DTypeLike | None = None) -> Tensor:
    """``x - log(sum(exp(x)))`` over a dimension."""
    x, array, axis = _with_axis("log_softmax", input, dim, dtype)
    n = array.shape[axis]
    if axis == array.ndim - 1 and _ready(array):
        out = np.empty_like(array)
        kernels().softmax_forward(array.reshape(-1, n), out.reshape(-1, n))
        core.log_softmax_of(array.reshape(-1, n), out.reshape(-1, n))
    else:
        out = quiet(log_softmax_of, (array, axis))
    return core.node("LogSoftmaxBackward0", _shaped(out, x), (x,), _log_softmax_gradient, (out, axis))


@quietly
def _log_softmax_gradient(saved, dout, needs):
    out, axis = saved
    g = dout.reshape(out.shape)
    return ((g - np.exp(out) * g.sum(axis, keepdims=True)).reshape(dout.shape),)
