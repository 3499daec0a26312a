"""Tensors of given numbers: zeros, ranges, identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastbp import checks, dtypes
from fastbp._kernels import autograd as core
from fastbp.autograd.shapes import sizes, sizes_given
from fastbp.autograd.tensor import held, lengths, named, on_cpu, to_array

if TYPE_CHECKING:
    from fastbp._typing import ArrayLike, Device, DTypeLike, Number, Shape, TensorFunction, TensorLike
    from fastbp.autograd.tensor import Tensor


def _kind(who, dtype, default=None):
    if dtype is not None:
        return dtypes.as_dtype(who, dtype)
    return default or dtypes.get_default_dtype()


def _filled(name, number, doc):
    def function(*shape, size=None, dtype=None, requires_grad=False, device=None):
        on_cpu(name, device)
        shape = sizes_given(name, shape, size)
        if any(n < 0 for n in shape):
            raise RuntimeError(f"{name} expects lengths of at least 0; got {shape}.")
        checks.fits_memory(name, "lengths", shape)
        return core.new(np.full(shape, number, _kind(name, dtype).dtype), requires_grad)

    return named(function, name, doc)


zeros: TensorFunction = _filled("zeros", 0, "A tensor of zeros of a shape.")
ones: TensorFunction = _filled("ones", 1, "A tensor of ones of a shape.")
empty: TensorFunction = _filled("empty", 0, "A tensor of a shape, of numbers that nobody should rely on (zeros).")


def full(
    size: Shape,
    fill_value: TensorLike,
    *,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: Device = None,
) -> Tensor:
    """A tensor of one number, of a shape."""
    on_cpu("full", device)
    if isinstance(fill_value, core.TensorBase | np.generic):
        fill_value = fill_value.item()
    if not isinstance(fill_value, bool | int | float):
        raise TypeError(f"full expects fill_value as a number; got {checks.shown(fill_value)}.")
    kind = _kind("full", dtype, dtypes.of_number(fill_value))
    number = held("full", np.asarray(fill_value), kind, "fill_value")
    return core.new(np.full(sizes((size,)), number, kind.dtype), requires_grad)


def like(make: TensorFunction) -> TensorFunction:
    """`make` of another tensor's shape and dtype."""

    def function(input, *, dtype=None, requires_grad=False, device=None):
        return make(input.array.shape, dtype=dtype or input.dtype, requires_grad=requires_grad, device=device)

    name = make.__name__
    return named(function, f"{name}_like", f"`{name}` of another tensor's shape and dtype.")


zeros_like: TensorFunction
ones_like: TensorFunction
empty_like: TensorFunction
zeros_like, ones_like, empty_like = map(like, (zeros, ones, empty))


def full_like(
    input: Tensor,
    fill_value: TensorLike,
    *,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: Device = None,
) -> Tensor:
    """One number in another tensor's shape and dtype."""
    return full(input.array.shape, fill_value, dtype=dtype or input.dtype, requires_grad=requires_grad, device=device)


def _new(name):
    def function(input, *shape, size=None, dtype=None, requires_grad=False, device=None):
        make = globals()[name]  # the public one, which words the errors of shapes
        return make(*shape, size=size, dtype=dtype or input.dtype, requires_grad=requires_grad, device=device)

    return named(function, f"new_{name}", f"`{name}` of this tensor's dtype.")


new_zeros: TensorFunction
new_ones: TensorFunction
new_empty: TensorFunction
new_zeros, new_ones, new_empty = map(_new, ("zeros", "ones", "empty"))


def new_full(
    input: Tensor,
    size: Shape,
    fill_value: TensorLike,
    *,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: Device = None,
) -> Tensor:
    """One number in this tensor's dtype."""
    return full(size, fill_value, dtype=dtype or input.dtype, requires_grad=requires_grad, device=device)


def new_tensor(
    input: Tensor,
    data: ArrayLike | Tensor,
    *,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: Device = None,
) -> Tensor:
    """A tensor of this one's dtype."""
    on_cpu("new_tensor", device)
    return core.new(to_array(data, _kind("new_tensor", dtype, input.dtype), "new_tensor"), requires_grad)


def _single(who, value):
    """A number of Python's in the place of an array or a tensor of one."""
    checks.unmasked(who, "numbers", value)
    return value.item() if hasattr(value, "item") else value


def arange(
    start: float | Tensor,
    end: float | Tensor | None = None,
    step: Number = 1,
    *,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: Device = None,
) -> Tensor:
    """Numbers from start, each a step further, and before end; ``arange(end)`` from 0.

    Examples
    --------
    >>> arange(3), arange(0, 1, 0.25)
    (tensor([0, 1, 2]), tensor([0.0000, 0.2500, 0.5000, 0.7500]))
    """
    on_cpu("arange", device)
    if end is None:
        start, end = 0, start
    start, end, step = (_single("arange", v) for v in (start, end, step))
    named = zip(("start", "end", "step"), (start, end, step), strict=True)
    start, end, step = (v if isinstance(v, int) else checks.number("arange", name, v) for name, v in named)
    if step == 0 or (end - start) / step < 0:
        raise RuntimeError(f"arange expects a step that leads from {start} to {end}; got {step}.")
    whole = all(isinstance(v, int) for v in (start, end, step))
    kind = _kind("arange", dtype, dtypes.int64 if whole else None)
    count = int(np.ceil((end - start) / step))
    checks.fits_memory("arange", "lengths", (count,))
    numbers = start + step * np.arange(count, dtype=np.int64 if whole else np.float64)  # type: ignore[operator]
    return core.new(numbers.astype(kind.dtype), requires_grad)


def linspace(
    start: float | Tensor,
    end: float | Tensor,
    steps: int,
    *,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: Device = None,
) -> Tensor:
    """So many numbers at equal distances from start to end, both of them included.

    Examples
    --------
    >>> linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    on_cpu("linspace", device)
    start, end = (_single("linspace", v) for v in (start, end))
    numbers = np.linspace(start, end, checks.integer("linspace", "steps", steps, 0))
    return core.new(numbers.astype(_kind("linspace", dtype).dtype), requires_grad)


def logspace(
    start: float | Tensor,
    end: float | Tensor,
    steps: int,
    base: float = 10.0,
    *,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
    device: Device = None,
) -> Tensor:
    """`base` to the powers of `linspace`."""
    on_cpu("logspace", device)
    start, end = (_single("logspace", v) for v in (start, end))
    numbers = np.logspace(start, end, checks.integer("logspace", "steps", steps, 0), base=base)
    return core.new(numbers.astype(_kind("logspace", dtype).dtype), requires_grad)


def eye(
    n: int, m: int | None = None, *, dtype: DTypeLike | None = None, requires_grad: bool = False, device: Device = None
) -> Tensor:
    """The identity matrix."""
    on_cpu("eye", device)
    n = checks.integer("eye", "n", n, 0)
    m = None if m is None else checks.integer("eye", "m", m, 0)
    return core.new(np.eye(n, m, dtype=_kind("eye", dtype).dtype), requires_grad)


def _of_kind(name, kind):
    def function(*data):
        if len(data) == 1 and not isinstance(data[0], int):
            return core.new(to_array(data[0], dtypes.BY_NAME[kind], name))
        return core.new(np.zeros(lengths(name, data or (0,)), dtypes.BY_NAME[kind].dtype))

    return named(function, name, f"A {kind} tensor of numbers, or of a shape.")


FloatTensor: TensorFunction = _of_kind("FloatTensor", "float32")
DoubleTensor: TensorFunction = _of_kind("DoubleTensor", "float64")
LongTensor: TensorFunction = _of_kind("LongTensor", "int64")
IntTensor: TensorFunction = _of_kind("IntTensor", "int32")
BoolTensor: TensorFunction = _of_kind("BoolTensor", "bool")
ByteTensor: TensorFunction = _of_kind("ByteTensor", "uint8")
