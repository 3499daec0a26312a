"""Changes of a tensor's own numbers: the methods whose names end in an underscore.

A change is refused on a leaf that requires grad while operations are recorded; where it is
recorded, the tensor takes over the history of the operation.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp._kernels import autograd as core
from fastbp.autograd import arithmetic, combined, elementwise, indexing, random
from fastbp.autograd.tensor import held, named

if TYPE_CHECKING:
    from fastbp._typing import Array, Number, TensorFunction, TensorLike
    from fastbp.autograd.random import Generator
    from fastbp.autograd.tensor import Tensor

OPERATIONS = ("add", "sub", "mul", "div")


def changed(self: Tensor, function: TensorFunction, *arguments: Any, **keywords: Any) -> Tensor:
    """self with the numbers of ``function(self, ...)``, and its history where it is recorded."""
    self._may_change()
    if "out" in keywords:
        raise TypeError("An in-place operation expects no out, as its tensor is that; got one.")
    given = (self, *arguments, *keywords.values())
    tensors = [each for each in given if isinstance(each, core.TensorBase)]
    recorded = core.is_grad_enabled() and any(t.requires_grad for t in tensors)
    if recorded:
        result = function(self._snapshot(), *arguments, **keywords)
    else:
        with core.no_grad():
            result = function(self, *arguments, **keywords)
    if result is NotImplemented:
        raise TypeError(
            f"An in-place operation expects a tensor, an array or a number; got {checks.shown(arguments[0])}."
        )
    if result.array.shape != self.array.shape:
        raise RuntimeError(
            f"An in-place operation expects a result of its tensor's shape "
            f"{self.array.shape}; got {result.array.shape}."
        )
    if result.dtype.category > self.dtype.category:
        raise RuntimeError(
            f"An in-place operation expects a result that can be cast to its "
            f"tensor's dtype {self.dtype!r}; got {result.dtype!r}."
        )
    if recorded:
        return self._rebase(result)
    core.quiet(np.copyto, (self.array, result.array), {"casting": "unsafe"})
    self._bump()
    return self


def change(operation: int, self: Tensor, other: TensorLike) -> Tensor:
    """self op= other, where the compiled core leaves it to NumPy."""
    return changed(self, getattr(arithmetic, OPERATIONS[operation]), other)


def view_changed(self: Tensor, base: Tensor, result: Tensor) -> Tensor:
    """A recorded change of a view: its base takes over the history, and it becomes a new view."""
    place = _place(self, base)
    base._may_change()
    before = base._snapshot()
    core.quiet(np.copyto, (self.array, result.array), {"casting": "unsafe"})
    base._rebase(core.node("CopySlices", base.array.copy(), (before, result), _slices_gradient, place))
    return view_renewed(self, base)


def view_renewed(self: Tensor, base: Tensor) -> Tensor:
    """A view whose base has another history since it was made: a new one of the same memory."""
    place = _place(self, base)
    with core.enable_grad():
        new = core.node("AsStridedBackward0", self.array, (base,), _strided_gradient, place)
    return self._renew(new)


def _place(view, base):
    """Where a base and its view lie: the bytes in all, and of each its offset, shape, strides."""
    arrays = base.array, view.array
    (first, end), (start, stop) = map(np.lib.array_utils.byte_bounds, arrays)
    if arrays[1].size and not first <= start <= stop <= end:
        raise RuntimeError(
            "A recorded in-place operation on a view or its base expects both to share memory "
            "still; got one whose data was set since: clone() the view first."
        )
    places = [(a.__array_interface__["data"][0] - first, a.shape, a.strides) for a in arrays]
    return end - first, *places


def _placed(buffer, place, dtype):
    """The part of a buffer of bytes that an array is."""
    offset, shape, strides = place
    if not math.prod(shape):
        return np.empty(shape, dtype)
    return np.lib.stride_tricks.as_strided(buffer[offset:].view(dtype), shape, strides)


def _parts(place, dtype):
    """Zeros in memory as the base and the view share it, and the part that each of them is."""
    buffer = np.zeros(place[0], np.uint8)
    return [_placed(buffer, each, dtype) for each in place[1:]]


def _slices_gradient(place, dout, needs):
    d_base, d_view = _parts(place, dout.dtype)
    d_base[...] = dout
    d_part = d_view.copy()
    d_view[...] = 0
    return d_base, d_part


def _strided_gradient(place, dout, needs):
    """Elements of a view that are one number in memory add up."""
    dx, d_view = _parts(place, dout.dtype)
    if not dout.size:
        return (dx,)
    same = tuple([i for i, step in enumerate(d_view.strides) if step == 0])
    d_view[tuple([0 if i in same else slice(None) for i in range(dout.ndim)])] = dout.sum(same)
    return (dx,)


def _method(name, function, doc):
    def method(self, *arguments, **keywords):
        return changed(self, function, *arguments, **keywords)

    return named(method, name, doc)


def public(module: ModuleType, name: str) -> TensorFunction:
    """A function by its public name; where Python has that name, it ends in an underscore."""
    return getattr(module, name, None) or getattr(module, name + "_")


_BY_FUNCTION = {
    **{
        name: public(arithmetic, name)
        for name in (
            "add",
            "sub",
            "mul",
            "div",
            "floor_divide",
            "remainder",
            "fmod",
            "pow",
            "clamp",
            "masked_fill",
            "bitwise_and",
            "bitwise_or",
            "bitwise_xor",
            "bitwise_not",
            "logical_and",
            "logical_or",
            "logical_xor",
            "logical_not",
            "eq",
            "ne",
            "lt",
            "le",
            "gt",
            "ge",
            "atan2",
        )
    },
    **{
        name: public(elementwise, name)
        for name in (
            "exp",
            "expm1",
            "log",
            "log2",
            "log10",
            "log1p",
            "sqrt",
            "rsqrt",
            "reciprocal",
            "sin",
            "cos",
            "tan",
            "tanh",
            "sigmoid",
            "relu",
            "abs",
            "sign",
            "floor",
            "ceil",
            "trunc",
            "square",
            "round",
            "neg",
            "nan_to_num",
        )
    },
    **{name: public(combined, name) for name in ("addcmul", "addcdiv", "lerp", "addmm", "clamp_min", "clamp_max")},
    **{name: public(indexing, name) for name in ("scatter", "scatter_add", "index_add")},
}
METHODS = {name + "_": _method(name + "_", function, f"`{name}` in place.") for name, function in _BY_FUNCTION.items()}


def _constant(self, value):
    if arithmetic.operand(value) is None or getattr(value, "ndim", False):
        raise TypeError(f"fill_ expects value as a number or a 0-d tensor; got {checks.shown(value)}.")
    array = (
        value.array if isinstance(value, core.TensorBase) else (held("fill_", np.asarray(value), self.dtype, "value"))
    )
    out = np.empty_like(self.array)
    core.quiet(np.copyto, (out, array), {"casting": "unsafe"})
    inputs = (self, value if isinstance(value, core.TensorBase) else None)
    return core.node("FillBackward0", out, inputs, _fill_gradient)


def _fill_gradient(saved, dout, needs):
    return np.zeros_like(dout), dout if needs[1] else None


def fill_(self: Tensor, value: TensorLike) -> Tensor:
    """Set all elements to one number."""
    return changed(self, _constant, value)


def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Set all elements to those of another tensor, converted and broadcast.

    There is no other device to wait for, whatever `non_blocking` says.
    """
    return changed(self, _copied, src)


def _copied(self, src):
    checks.instance("copy_", "src", src, core.TensorBase, "a Tensor")
    out = np.empty_like(self.array)
    try:
        np.broadcast_to(src.array, out.shape)
        core.quiet(np.copyto, (out, src.array), {"casting": "unsafe"})
    except ValueError:
        raise RuntimeError(
            f"copy_ expects src of a shape that broadcasts to {out.shape}; got {src.array.shape}."
        ) from None
    return core.node("CopyBackwards", out, (self, src), _fill_gradient)


def _drawn(name, draw, doc):
    def method(self, *arguments, generator=None, **keywords):
        self._may_change()
        if not self.is_floating_point():
            raise RuntimeError(f"{name} expects a tensor of floating point dtype; got {self.dtype!r}.")
        numbers = draw(random.stream(generator), self.array.shape, *arguments, **keywords)
        return _drawn_into(self, numbers)

    return named(method, name, doc)


def _drawn_into(self, numbers):
    return changed(self, _copied, core.new(np.asarray(numbers, self.array.dtype)))


def _uniform(rng, shape, low=0.0, high=1.0, **named):
    """PyTorch calls the bounds from and to, of which one is a word of Python's."""
    low, high = named.pop("from", low), named.pop("to", high)
    if named:
        raise TypeError(f"uniform_ expects from and to; got {', '.join(named)}.")
    if low > high:
        raise ValueError(f"uniform_ expects from of at most to; got {low} and {high}.")
    return rng.uniform(low, high, shape)


def _normal(rng, shape, mean=0.0, std=1.0):
    std = checks.number("normal_", "std", std, least=0)
    return rng.normal(mean, std, shape)


METHODS["uniform_"] = _drawn("uniform_", _uniform, "Draw all elements evenly between two numbers.")
METHODS["normal_"] = _drawn("normal_", _normal, "Draw all elements from a normal distribution.")


def bernoulli_(self: Tensor, p: Number | Tensor = 0.5, generator: Generator | None = None) -> Tensor:
    """Draw 0 or 1 for all elements, 1 with probability p."""
    self._may_change()
    if isinstance(p, core.TensorBase):
        random.probable("bernoulli_", p.array)
        chance: Array | float = np.broadcast_to(p.array, self.array.shape)
    else:
        chance = checks.number("bernoulli_", "p", p, 0, 1)
    drawn = random.stream(generator).random(self.array.shape) < chance
    return _drawn_into(self, drawn)


METHODS.update(fill_=fill_, copy_=copy_, bernoulli_=bernoulli_)
METHODS = {name: core.operation(checks.explained(method, name), name) for name, method in METHODS.items()}
