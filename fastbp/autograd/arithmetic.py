"""Operations on two tensors or a tensor and a number: PyTorch's promotion, comparisons, matmul."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fastbp import checks, dtypes
from fastbp._kernels import autograd as core
from fastbp.autograd.tensor import as_tensor, held, named, native, refuse_gradient

if TYPE_CHECKING:
    from fastbp._typing import Array, Number, TensorFunction, TensorLike
    from fastbp.autograd.tensor import Tensor

ADD, SUBTRACT, MULTIPLY, DIVIDE = range(4)
UFUNCS = (np.add, np.subtract, np.multiply, np.true_divide)


def operand(value: object) -> Any:
    """A tensor, or a Python number; None for anything else."""
    if isinstance(value, core.TensorBase | float | int):
        return value
    if isinstance(value, np.generic):
        value = value.item()
        return value if isinstance(value, float | int) else None
    if isinstance(value, np.ndarray):
        return core.new(native(value))
    return None


def common_dtype(*values: core.TensorBase | float) -> dtypes.dtype:
    """The dtype of a result of tensors and numbers."""
    return dtypes.promoted(
        [(v.dtype, v.array.ndim) for v in values if isinstance(v, core.TensorBase)],
        [v for v in values if not isinstance(v, core.TensorBase)],
    )


def in_dtype(value: core.TensorBase | float, dtype: dtypes.dtype) -> Array:
    """The array of a tensor or number in a dtype; integers wrap around as in C."""
    array = value.array if isinstance(value, core.TensorBase) else np.asarray(value)
    return array if array.dtype == dtype.dtype else core.quiet(array.astype, (dtype.dtype,))


def computed(ufunc: Callable[..., Any], *arrays: Array) -> Array:
    """``ufunc(*arrays)`` as an array, with the words of ours for shapes that do not fit."""
    try:
        return np.asarray(core.quiet(ufunc, arrays))
    except ValueError:
        raise RuntimeError(core.not_broadcastable(*(a.shape for a in arrays[-2:]))) from None


def both(who: str, x: TensorLike, y: TensorLike) -> Any:
    """The two operands of a function as tensors or numbers."""
    pair = operand(x), operand(y)
    if pair[0] is None or pair[1] is None:
        wrong = x if pair[0] is None else y
        raise TypeError(f"{who} expects tensors or numbers; got {checks.shown(wrong)} of type {type(wrong).__name__}.")
    return pair


def binary(operation: int, x: Any, y: Any) -> Any:
    """x and y by one of the four operations, where the compiled core leaves it to NumPy."""
    x, y = operand(x), operand(y)
    if x is None or y is None:
        return NotImplemented
    if operation == DIVIDE and not isinstance(x, core.TensorBase) and y.is_floating_point():
        return y.reciprocal() * x
    dtype = common_dtype(x, y)
    if operation == DIVIDE and not dtype.is_floating_point:
        dtype = dtypes.get_default_dtype()
    if operation == SUBTRACT:
        _no_bools_apart(x, y)
    a, b = in_dtype(x, dtype), in_dtype(y, dtype)
    out = computed(UFUNCS[operation], a, b)
    x, y = (v if isinstance(v, core.TensorBase) else core.new(w) for v, w in ((x, a), (y, b)))
    return core.result_of_two(operation, x, y, out)


def _no_bools_apart(x, y):
    if any(isinstance(v, bool) or getattr(v, "dtype", None) is dtypes.bool_ for v in (x, y)):
        raise RuntimeError("Subtraction expects numbers; got a bool tensor or bool: use ^, ~ or logical_xor().")


def matrix_product(x: Any, y: Any) -> Any:
    """x @ y, where one of them is an array."""
    if isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
        return as_tensor(x) @ as_tensor(y)
    return NotImplemented


# --- the four by name -----------------------------------------------------------------------


def add(input: Tensor, other: TensorLike, *, alpha: Number = 1) -> Tensor:
    """input + alpha * other

    Examples
    --------
    >>> add(as_tensor([1.0]), as_tensor([2.0]), alpha=10)
    tensor([21.])
    """
    x, y = both("add", input, other)
    return x + (y if alpha == 1 else _scaled("add", x, y, alpha))


def _scaled(who, x, y, alpha):
    dtype = common_dtype(x, y)
    if isinstance(alpha, float) and not dtype.is_floating_point:
        raise RuntimeError(f"{who} expects alpha as an integer for a result of {dtype!r}; got {alpha}.")
    if not isinstance(y, core.TensorBase):
        return y * alpha
    return (y.to(dtype) * alpha).to(dtype)  # there the product has room; of bools it is an integer


def sub(input: Tensor, other: TensorLike, *, alpha: Number = 1) -> Tensor:
    """input - alpha * other"""
    x, y = both("sub", input, other)
    _no_bools_apart(x, y)
    return x - (y if alpha == 1 else _scaled("sub", x, y, alpha))


def mul(input: Tensor, other: TensorLike) -> Tensor:
    """input * other"""
    x, y = both("mul", input, other)
    return x * y


def div(input: Tensor, other: TensorLike, *, rounding_mode: Literal["trunc", "floor"] | None = None) -> Tensor:
    """input / other, rounded to whole numbers where `rounding_mode` is "floor" or "trunc"."""
    x, y = both("div", input, other)
    if rounding_mode is None:
        return x / y
    if rounding_mode in ("floor", "trunc"):
        with core.no_grad():
            floor = rounding_mode == "floor"
            out = floor_divide(x, y).array if floor else _truncated("div", x, y)
        return core.node("DivBackward2", out, _tensors(x, y), _no_slope)
    raise ValueError(f"div expects rounding_mode as None, 'floor' or 'trunc'; got {checks.shown(rounding_mode)}.")


def _no_slope(saved, dout, needs):
    return np.zeros_like(dout), np.zeros_like(dout)


def _truncated(who, x, y):
    """x / y rounded towards 0, of integers without a float between."""
    _, _, a, b = _divided(who, x, y)
    if a.dtype.kind == "f":
        return np.trunc(computed(np.true_divide, a, b))
    down = computed(np.floor_divide, a, b)
    return down + ((down < 0) & (down * b != a))


def rsub(input: Tensor, other: TensorLike) -> Tensor:
    """other - input"""
    return other - input


def _by_dtype(who, x, y):
    """Both operands in their common dtype."""
    x, y = both(who, x, y)
    dtype = common_dtype(x, y)
    return x, y, in_dtype(x, dtype), in_dtype(y, dtype)


def _chosen(who, x, y):
    """As `_by_dtype`, where the result is made of the operands: numbers have to fit in."""
    x, y = both(who, x, y)
    dtype = common_dtype(x, y)
    return x, y, *(_fitting(who, "numbers", v, dtype) for v in (x, y))


def _fitting(who, name, value, dtype):
    if isinstance(value, core.TensorBase):
        return in_dtype(value, dtype)
    return held(who, np.asarray(value), dtype, name)


def _tensors(*values):
    """What a node takes as inputs: None for a number."""
    return tuple(v if isinstance(v, core.TensorBase) else None for v in values)


def _divided(who, input, other):
    """As `_by_dtype`, for what is left of a division."""
    x, y, a, b = _by_dtype(who, input, other)
    if a.dtype.kind == "b":
        raise RuntimeError(f"{who} expects numbers; got bools.")
    if a.dtype.kind != "f" and not np.all(b):
        raise RuntimeError("Division of integers expects a divisor other than 0; got 0.")
    return x, y, a, b


def floor_divide(input: Tensor, other: TensorLike) -> Tensor:
    """input // other, rounded down; backward refuses it, as it has no gradient."""
    x, y, a, b = _divided("floor_divide", input, other)
    return core.node("NotImplemented", computed(np.floor_divide, a, b), _tensors(x, y), _no_gradient)


def _no_gradient(saved, dout, needs):
    raise RuntimeError(
        "backward expects operations that have a gradient; got floor_divide, which has none: detach() its input."
    )


def remainder(input: Tensor, other: TensorLike) -> Tensor:
    """input % other, of the divisor's sign."""
    x, y, a, b = _divided("remainder", input, other)
    return core.node("RemainderBackward0", computed(np.remainder, a, b), _tensors(x, y), _remainder_gradient, (a, b))


def _remainder_gradient(saved, dout, needs):
    a, b = saved
    return dout, -dout * core.quiet(np.floor_divide, (a, b)) if needs[1] else None


def fmod(input: Tensor, other: TensorLike) -> Tensor:
    """The remainder of input / other of the dividend's sign."""
    x, y, a, b = _divided("fmod", input, other)
    return core.node("FmodBackward0", computed(np.fmod, a, b), _tensors(x, y), _fmod_gradient, (a, b))


def _fmod_gradient(saved, dout, needs):
    a, b = saved
    return dout, -dout * np.trunc(core.quiet(np.true_divide, (a, b))) if needs[1] else None


def power(x: Any, y: Any) -> Any:
    """x ** y, where the compiled core leaves it to NumPy."""
    x, y = operand(x), operand(y)
    if x is None or y is None:
        return NotImplemented
    dtype = common_dtype(x, y)
    if not dtype.is_floating_point and np.any((y.array if isinstance(y, core.TensorBase) else y) < 0):
        raise RuntimeError("Powers of integers expect exponents of at least 0; got a negative one.")
    a, b = in_dtype(x, dtype), in_dtype(y, dtype)
    out = computed(np.power, a, b)
    if dtype is dtypes.bool_:
        out = out.astype(bool)
    return core.node("PowBackward1", out, _tensors(x, y), _power_gradient, (a, b, out))


def _power_gradient(saved, dout, needs):
    a, b, out = saved
    da = db = None
    if needs[0]:
        da = core.quiet(lambda: np.where(b == 0, 0, dout * b * np.power(a, b - 1)), ())
    if needs[1]:
        db = core.quiet(lambda: np.where((a == 0) & (b >= 0), 0, dout * out * np.log(a)), ())
    return da, db


def pow_(input: Tensor, exponent: TensorLike) -> Tensor:
    """input ** exponent, element by element."""
    return input**exponent


def atan2(input: Tensor, other: TensorLike) -> Tensor:
    """The angle of the point (other, input)."""
    y, x = both("atan2", input, other)
    dtype = common_dtype(y, x)
    dtype = dtype if dtype.is_floating_point else dtypes.get_default_dtype()
    a, b = in_dtype(y, dtype), in_dtype(x, dtype)
    return core.node("Atan2Backward0", computed(np.arctan2, a, b), _tensors(y, x), _atan2_gradient, (a, b))


def _atan2_gradient(saved, dout, needs):
    return core.quiet(_atan2_slopes, (*saved, dout))


def _atan2_slopes(a, b, dout):
    square = a * a + b * b
    scale = np.where(square == 0, 0, dout / square)
    return scale * b, -scale * a


# --- extremes -------------------------------------------------------------------------------


def _extreme(name, ufunc, loses):
    label = name.capitalize() + "Backward0"

    def gradient(saved, dout, needs):
        a, b = saved
        shared = np.where(a == b, dout / 2, dout)  # of a NaN, both get all
        return np.where(loses(a, b), 0, shared), np.where(loses(b, a), 0, shared)

    def function(input, other):
        x, y, a, b = _chosen(name, input, other)
        return core.node(label, computed(ufunc, a, b), _tensors(x, y), gradient, (a, b))

    doc = f"The {name} of two tensors, element by element; a tie's gradient is halved."
    return named(function, name, doc)


maximum: TensorFunction = _extreme("maximum", np.maximum, np.less)
minimum: TensorFunction = _extreme("minimum", np.minimum, np.greater)


# --- comparisons ----------------------------------------------------------------------------


def _comparison(name, ufunc, sign):
    def function(input, other):
        _, _, a, b = _by_dtype(name, input, other)
        return core.new(computed(ufunc, a, b))

    return named(function, name, f"Where input {sign} other, as a bool tensor.")


eq: TensorFunction = _comparison("eq", np.equal, "==")
ne: TensorFunction = _comparison("ne", np.not_equal, "!=")
lt: TensorFunction = _comparison("lt", np.less, "<")
le: TensorFunction = _comparison("le", np.less_equal, "<=")
gt: TensorFunction = _comparison("gt", np.greater, ">")
ge: TensorFunction = _comparison("ge", np.greater_equal, ">=")


def operator_of(function: Any) -> Any:
    """A comparison as an operator: what is no operand is left to the other side."""

    def compare(self, other):
        return NotImplemented if operand(other) is None else function(self, other)

    return compare


def _logical(name, ufunc, sign):
    def function(input, other):
        x, y = both(name, input, other)
        a, b = (in_dtype(v, dtypes.bool_) for v in (x, y))
        return core.new(computed(ufunc, a, b))

    return named(function, name, f"Where input {sign} other hold, as a bool tensor.")


logical_and: TensorFunction = _logical("logical_and", np.logical_and, "and")
logical_or: TensorFunction = _logical("logical_or", np.logical_or, "or")
logical_xor: TensorFunction = _logical("logical_xor", np.logical_xor, "or else")


def logical_not(input: Tensor) -> Tensor:
    """Where input is 0, as a bool tensor."""
    return core.new(np.logical_not(input.array))


def _bitwise(name, ufunc, sign):
    def function(input, other):
        _, _, a, b = _by_dtype(name, input, other)
        if a.dtype.kind == "f":
            raise RuntimeError(f"{name} expects bools or integers; got {a.dtype}.")
        return core.new(computed(ufunc, a, b))

    return named(function, name, f"input {sign} other, of bools or integers.")


bitwise_and: TensorFunction = _bitwise("bitwise_and", np.bitwise_and, "&")
bitwise_or: TensorFunction = _bitwise("bitwise_or", np.bitwise_or, "|")
bitwise_xor: TensorFunction = _bitwise("bitwise_xor", np.bitwise_xor, "^")


def bitwise_not(input: Tensor) -> Tensor:
    """~input, of bools or integers."""
    if input.is_floating_point():
        raise RuntimeError(f"bitwise_not expects bools or integers; got {input.dtype!r}.")
    return core.new(np.asarray(np.invert(input.array)))


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and the same numbers."""
    return input.array.shape == other.array.shape and bool((input.array == other.array).all())


def isclose(
    input: Tensor, other: TensorLike, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Tensor:
    """Where ``|input - other| <= atol + rtol |other|``."""
    x, y = both("isclose", input, other)
    a, b = (v.array if isinstance(v, core.TensorBase) else v for v in (x, y))
    return core.new(np.asarray(core.quiet(np.isclose, (a, b, rtol, atol, equal_nan))))


def allclose(
    input: Tensor, other: TensorLike, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether `isclose` holds everywhere."""
    return bool(isclose(input, other, rtol, atol, equal_nan).array.all())


# --- products -------------------------------------------------------------------------------


def matmul(input: Tensor, other: TensorLike) -> Tensor:
    """The product of matrices, of stacks of them, and of vectors.

    Raises
    ------
    RuntimeError
        For dtypes that differ, or shapes that do not fit.

    Examples
    --------
    >>> matmul(as_tensor([[1.0, 2.0]]), as_tensor([3.0, 4.0]))
    tensor([11.])
    """
    return input @ other


def _product(name, dims, form):
    def function(input, other):
        x, y = as_tensor(input), as_tensor(other)
        if (x.array.ndim, y.array.ndim) != dims:
            raise RuntimeError(f"{name} expects {form}; got shapes {x.array.shape} and {y.array.shape}.")
        return x @ y

    return named(function, name, f"The product of {form}.")


mm: TensorFunction = _product("mm", (2, 2), "two matrices")
mv: TensorFunction = _product("mv", (2, 1), "a matrix and a vector")
dot: TensorFunction = _product("dot", (1, 1), "two vectors")
bmm: TensorFunction = _product("bmm", (3, 3), "two stacks of matrices")


def outer(input: Tensor, other: Tensor) -> Tensor:
    """Every element of one vector times every element of another."""
    shapes = [as_tensor(vector).array.shape for vector in (input, other)]
    if any(len(shape) != 1 for shape in shapes):
        raise RuntimeError(f"outer expects two vectors; got shapes {shapes[0]} and {shapes[1]}.")
    return input.unsqueeze(1) * other.unsqueeze(0)


# --- choice ---------------------------------------------------------------------------------


def where(condition: Tensor, input: TensorLike | None = None, other: TensorLike | None = None) -> Any:
    """`input` where the condition holds, and `other` elsewhere; alone, the places as indices.

    Examples
    --------
    >>> where(as_tensor([True, False]), 1.0, as_tensor([5.0, 6.0]))
    tensor([1., 6.])
    """
    if input is None:
        return tuple(core.new(i) for i in np.nonzero(np.atleast_1d(condition.array)))
    x, y, a, b = _chosen("where", input, other)
    mask = as_tensor(condition)
    chosen = mask.array
    if chosen.dtype.kind != "b":
        raise RuntimeError(f"where expects condition as a bool tensor; got {chosen.dtype}.")
    out = computed(np.where, chosen, a, b)
    return core.node("WhereBackward0", out, _tensors(x, y), _where_gradient, (mask,))


def _where_gradient(saved, dout, needs):
    (chosen,) = saved
    zero = dout.dtype.type(0)
    return (np.where(chosen, dout, zero) if needs[0] else None, np.where(chosen, zero, dout) if needs[1] else None)


def masked_fill(input: Tensor, mask: Tensor, value: TensorLike) -> Tensor:
    """`value` where the mask holds, and input elsewhere."""
    value = both("masked_fill", input, value)[1]
    if isinstance(value, core.TensorBase):
        if value.array.ndim:
            raise RuntimeError(
                f"masked_fill expects value as a number or a 0-d tensor; got shape "
                f"{value.array.shape}: where() takes tensors."
            )
        value = value.to(input.dtype)
    else:
        value = core.new(_fitting("masked_fill", "value", value, input.dtype))
    return where(mask, value, input)


def clamp(input: Tensor, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
    """input, or the nearer bound where it is beyond one.

    Examples
    --------
    >>> clamp(as_tensor([-1.0, 0.5, 2.0]), 0, 1)
    tensor([0.0000, 0.5000, 1.0000])
    """
    if min is None and max is None:
        raise RuntimeError("clamp expects min or max; got neither.")
    bounds = [both("clamp", input, b)[1] for b in (min, max) if b is not None]
    dtype = common_dtype(input, *bounds)
    x = in_dtype(input, dtype)
    low, high = (
        None if b is None else _fitting("clamp", name, operand(b), dtype) for name, b in (("min", min), ("max", max))
    )
    out = x
    if low is not None:
        out = computed(np.maximum, out, low)
    if high is not None:
        out = computed(np.minimum, out, high)
    if out is x:
        out = x.copy()
    inputs = _tensors(input, *(b for b in (min, max)))
    return core.node("ClampBackward1", out, inputs, _clamp_gradient, (x, low, high))


def _clamp_gradient(saved, dout, needs):
    x, low, high = saved
    above = True if low is None else x >= low  # not of a NaN
    below = True if high is None else x <= high
    under = False if low is None else x < low
    over = False if high is None else x > high
    return (
        np.where(above & below, dout, 0),
        np.where(under & ~np.asarray(over), dout, 0) if needs[1] else None,
        np.where(over, dout, 0) if needs[2] else None,
    )


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 below 0 and of NaN, 1 above, and `values` at 0, of input's dtype; without a gradient."""
    refuse_gradient("heaviside", input, values)
    if input.dtype is not values.dtype:
        raise RuntimeError(f"heaviside expects values of input's dtype {input.dtype!r}; got {values.dtype!r}.")
    x, v = input.array, values.array
    return core.new(computed(np.where, x == 0, v, (x > 0).astype(x.dtype)))
