"""Sums, extremes, orders and counts over dimensions."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from fastbp import checks
from fastbp._kernels import autograd as core
from fastbp.autograd.arithmetic import maximum, minimum
from fastbp.autograd.elementwise import _sign, floats_of
from fastbp.autograd.tensor import as_tensor, dimension, named, refuse_gradient

if TYPE_CHECKING:
    from fastbp._typing import Array, Dim, DTypeLike, Number, TensorFunction
    from fastbp.autograd.tensor import Tensor

quiet = core.quiet


def axes_of(who: str, x: Array, dim: Dim) -> tuple[int, ...] | None:
    """Dimensions counted from the front; None where all are meant."""
    if dim is None or (isinstance(dim, tuple | list) and not dim):
        return None
    dims = tuple(dim) if isinstance(dim, tuple | list) else (dim,)
    axes = tuple([dimension(who, d, x.ndim) for d in dims])
    if len(set(axes)) < len(axes):
        raise RuntimeError(f"{who} expects every dim once; got {dims}.")
    return axes if x.ndim else ()


def one_axis(who: str, x: Array, dim: int) -> int:
    """One dimension counted from the front."""
    return dimension(who, dim, x.ndim)


def spread(reduced: Array, x: Array, axes: tuple[int, ...] | None) -> Array:
    """A result of a reduction with its dimensions again, of length 1."""
    if axes is None:
        return np.reshape(reduced, (1,) * x.ndim)
    return np.reshape(reduced, [1 if i in axes else n for i, n in enumerate(x.shape)])


# --- sums -----------------------------------------------------------------------------------


def sum_(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: DTypeLike | None = None) -> Tensor:
    """The sum of all elements, or over dimensions; bools and integers give int64.

    Examples
    --------
    >>> sum_(as_tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1)
    tensor([3., 7.])
    """
    x = input if dtype is None else input.to(dtype)
    array = x.array
    axes = axes_of("sum", array, dim)
    if array.dtype.kind == "f":
        return core.reduce_sum(x, axes, keepdim, False)
    if dtype is None:
        array = array.astype(np.int64)
    return core.new(np.asarray(array.sum(axes, dtype=array.dtype, keepdims=keepdim)))


def mean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: DTypeLike | None = None) -> Tensor:
    """The mean of all elements, or over dimensions; floats only.

    Examples
    --------
    >>> mean(as_tensor([1.0, 2.0]))
    tensor(1.5000)
    """
    x = input if dtype is None else input.to(dtype)
    if x.array.dtype.kind != "f":
        raise RuntimeError(f"mean expects a tensor of floating point dtype; got {x.dtype!r}.")
    return core.reduce_sum(x, axes_of("mean", x.array, dim), keepdim, True)


def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: DTypeLike | None = None) -> Tensor:
    """The product of all elements, or over one dimension; bools and integers give int64."""
    x = input if dtype is None else input.to(dtype)
    array = x.array
    if array.dtype.kind != "f" and dtype is None:
        array = array.astype(np.int64)
    along = None if dim is None else one_axis("prod", array, dim)
    given = array if array.ndim else array.reshape(1)
    result = np.asarray(quiet(np.prod, (given, along), {"keepdims": bool(keepdim), "dtype": given.dtype}))
    if along is not None and not array.ndim:
        result = result.reshape(())
    return core.node("ProdBackward0", result, (x,), _prod_gradient, (given, along))


def _prod_gradient(saved, dout, needs):
    """The product of all others, without a division: zeros may be among them."""
    return quiet(_products_of_others, (*saved, dout))


def _products_of_others(x, axis, dout):
    rows = x.reshape(1, -1) if axis is None else np.moveaxis(x, axis, -1)
    before = np.ones_like(rows)
    after = np.ones_like(rows)
    np.cumprod(rows[..., :-1], axis=-1, out=before[..., 1:])
    np.cumprod(rows[..., :0:-1], axis=-1, out=after[..., -2::-1])
    others = before * after
    others = others.reshape(x.shape) if axis is None else np.moveaxis(others, -1, axis)
    return (others * spread(dout, x, None if axis is None else (axis,)),)


def cumsum(input: Tensor, dim: int, *, dtype: DTypeLike | None = None) -> Tensor:
    """Sums of all elements so far along a dimension; bools and integers give int64."""
    x, array, axis = _running("cumsum", input, dim, dtype)
    wide = array.astype(np.float64) if array.dtype.kind == "f" else array
    out = wide if array.ndim == 0 else quiet(np.cumsum, (wide, axis, wide.dtype))
    out = out.astype(array.dtype) if array.dtype.itemsize == 8 else quiet(out.astype, (array.dtype,))
    return core.node("CumsumBackward0", out, (x,), _cumsum_gradient, (axis,))


def _cumsum_gradient(saved, dout, needs):
    (axis,) = saved
    if dout.ndim == 0:
        return (dout,)
    return (np.flip(quiet(np.cumsum, (np.flip(dout, axis), axis)), axis),)


def _running(who, input, dim, dtype):
    x = input if dtype is None else input.to(dtype)
    array = x.array
    if array.dtype.kind != "f" and dtype is None:
        array = array.astype(np.int64)
    return x, array, one_axis(who, array, dim)


def cumprod(input: Tensor, dim: int, *, dtype: DTypeLike | None = None) -> Tensor:
    """Products of all elements so far along a dimension; without a gradient.

    Raises
    ------
    NotImplementedError
        For a tensor that requires grad.
    """
    refuse_gradient("cumprod", input)
    _, array, axis = _running("cumprod", input, dim, dtype)
    if array.ndim == 0:
        return core.new(array.copy())
    return core.new(quiet(np.cumprod, (array, axis, array.dtype)))


def var(
    input: Tensor,
    dim: Dim = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: int | None = None,
    ddof: Number | None = None,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """The variance over dimensions: squares from the mean, summed and divided by n - 1.

    Parameters
    ----------
    unbiased : bool, default True
        Divide by n - 1, not n.
    correction : int, optional
        What is taken from n, in place of `unbiased`; NumPy calls it `ddof`.
    dtype : dtype, optional
        What the tensor is converted to before.
    """
    return _variance("var", input, dim, unbiased, keepdim, correction, ddof, dtype)


def std(
    input: Tensor,
    dim: Dim = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: Number | None = None,
    ddof: Number | None = None,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """The square root of `var`."""
    return _variance("std", input, dim, unbiased, keepdim, correction, ddof, dtype)


def _variance(who, input, dim, unbiased, keepdim, correction, ddof, dtype):
    if isinstance(dim, bool | np.bool):  # std(False)
        dim, unbiased = None, dim
    unbiased = checks.flag(who, "unbiased", unbiased, or_none=True)
    if (unbiased is not None) + (correction is not None) + (ddof is not None) > 1:
        raise TypeError(f"{who} expects one of unbiased, correction and ddof; got several.")
    given = next((c for c in (correction, ddof) if c is not None), int(unbiased is not False))
    correction = checks.number(who, "correction", given)
    if dtype is not None:
        input = input.to(dtype)
    x = input.array
    if x.dtype.kind != "f":
        raise RuntimeError(f"{who} expects a tensor of floating point dtype; got {input.dtype!r}.")
    axes = axes_of(who, x, dim)
    if x.dtype.itemsize == 2:
        x = x.astype(np.float32)
    n = x.size if axes is None else math.prod(x.shape[a] for a in axes)
    centred = quiet(np.subtract, (x, core.summed(x, axes, True) / x.dtype.type(n))) if x.size else x
    scale = x.dtype.type(1 / (n - correction) if n > correction else np.inf)
    squares = core.summed(quiet(np.square, (centred,)), axes, bool(keepdim))
    out = np.asarray(quiet(np.multiply, (squares, scale)))
    if who == "std":
        out = np.asarray(np.sqrt(out))
    if out.dtype != input.array.dtype:
        out = np.asarray(quiet(out.astype, (input.array.dtype,)))
    return core.node(
        who.capitalize() + "Backward0",
        out,
        (input,),
        _variance_gradient,
        (centred, axes, scale, out if who == "std" else None),
    )


def _variance_gradient(saved, dout, needs):
    centred, axes, scale, std_ = saved
    if np.isinf(scale):  # of no degree of freedom, PyTorch's gradient has no sign
        centred = np.abs(centred)
    dout = dout * 2 if std_ is None else quiet(lambda: np.where(std_ == 0, 0, dout / std_), ())
    return (quiet(lambda: centred * scale * spread(dout, centred, axes), ()),)


def norm(
    input: Tensor,
    p: Number | Literal["fro", "nuc"] = "fro",
    dim: Dim = None,
    keepdim: bool = False,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """``sum(|x| ** p) ** (1 / p)``; for inf the largest absolute value.

    Examples
    --------
    >>> norm(as_tensor([3.0, 4.0]))
    tensor(5.)
    """
    x = input if dtype is None else input.to(dtype)
    array = x.array
    if array.dtype.kind != "f":
        raise RuntimeError(f"norm expects a tensor of floating point dtype; got {x.dtype!r}.")
    axes = axes_of("norm", array, dim)
    usual = p is None or (isinstance(p, str) and p == "fro")
    p = 2.0 if usual else checks.number("norm", "p", p, finite=False)
    if math.isinf(p) or p < 0:
        _not_empty("norm", array, axes)
    sizes = np.abs(array if array.itemsize > 2 else array.astype(np.float32))
    of_one = (array.size if axes is None else math.prod(array.shape[a] for a in axes)) == 1
    if p == math.inf:
        out = sizes.max(axes, keepdims=keepdim)
    elif p == -math.inf:
        out = sizes.min(axes, keepdims=keepdim)
    elif p == 0:
        out = (sizes != 0).sum(axes, keepdims=keepdim).astype(array.dtype)
    elif p == 1 or of_one:  # whose powers may be beyond the dtype
        out = core.summed(sizes, axes, keepdim)
    elif p == 2:
        out = np.sqrt(core.summed(quiet(np.square, (sizes,)), axes, keepdim))
    else:
        out = quiet(lambda: core.summed(sizes**p, axes, keepdim) ** (1 / p), ())
    out = np.asarray(out)
    if out.dtype != x.array.dtype:
        out = quiet(out.astype, (x.array.dtype,))
    return core.node("LinalgVectorNormBackward0", out, (x,), _norm_gradient, (array, axes, p, out))


def _norm_gradient(saved, dout, needs):
    x, axes, p, out = saved
    dout, out = spread(dout, x, axes), spread(out, x, axes)
    if p == 0:
        return (np.zeros_like(x),)
    if math.isinf(p):
        there = (np.abs(x) == out) | np.isnan(x)
        shared = quiet(np.divide, (dout, there.sum(axes, keepdims=True, dtype=dout.dtype)))
        return (quiet(np.multiply, (_sign(x), shared * there)),)
    if p == 1:
        return (dout * _sign(x),)
    if p == 2:
        return (dout * quiet(lambda: np.where(out == 0, 0, x / out), ()),)
    slope = quiet(lambda: np.sign(x) * np.abs(x) ** (p - 1) / out ** (p - 1), ())
    return (dout * np.where((out == 0) | ((x == 0) & (p < 1)), 0, slope),)


def logsumexp(input: Tensor, dim: Dim, keepdim: bool = False) -> Tensor:
    """``log(sum(exp(x)))`` over dimensions, exact for large x."""
    x, array = floats_of(input)
    axes = axes_of("logsumexp", array, dim)
    top = array.max(axes, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    terms = quiet(lambda: np.exp(array - top), ())
    out = np.asarray(quiet(np.log, (core.summed(terms, axes, True),)) + top)
    shaped = out if keepdim else np.squeeze(out, axes) if axes != () else out
    return core.node("LogsumexpBackward0", np.array(shaped), (x,), _logsumexp_gradient, (array, out, axes))


def _logsumexp_gradient(saved, dout, needs):
    x, out, axes = saved
    return (quiet(lambda: spread(dout, x, axes) * np.exp(x - out), ()),)


# --- extremes -------------------------------------------------------------------------------


class ValuesIndices(NamedTuple):
    """What an extreme or an order over a dimension gives."""

    values: Tensor
    indices: Tensor

    def __repr__(self) -> str:
        kind = type(self).__name__
        return f"fastbp.return_types.{kind}(\nvalues={self.values!r},\nindices={self.indices!r})"


PAIRS = {kind: type(kind, (ValuesIndices,), {"__slots__": ()}) for kind in ("max", "min", "median", "sort", "topk")}


def _not_empty(who, x, axes):
    """There is no extreme of nothing."""
    if not x.size and (axes is None or any(x.shape[a] == 0 for a in axes)):
        raise RuntimeError(f"{who} expects at least one element; got shape {x.shape}.")


def _no_keepdim(who, keepdim):
    if keepdim:
        raise TypeError(f"{who} expects keepdim beside a dim only; got keepdim={keepdim} alone.")


def _shared_gradient(saved, dout, needs):
    """Those that are the extreme share the gradient."""
    x, out, axes = saved
    there = x == spread(out, x, axes)
    there |= np.isnan(x) & np.isnan(spread(out, x, axes)) if x.dtype.kind == "f" else False
    shared = quiet(np.divide, (spread(dout, x, axes), there.sum(axes, keepdims=True, dtype=dout.dtype)))
    return (np.where(there, shared, 0),)


def _alone_gradient(saved, dout, needs):
    """As `_shared_gradient`, but NaN where the extreme is NaN, as PyTorch has it here."""
    x, out, axes = saved
    there = x == spread(out, x, axes)
    shared = quiet(np.divide, (spread(dout, x, axes) * there, there.sum(axes, keepdims=True, dtype=dout.dtype)))
    return (shared,)


def _taken_gradient(saved, dout, needs):
    """Each value's gradient goes back to where it was taken from."""
    shape, indices, axis = saved
    dx = np.zeros(shape, dout.dtype)
    if dx.ndim == 0:
        return (dout,)
    np.put_along_axis(dx, indices, dout.reshape(indices.shape), axis)
    return (dx,)


def _over(who, label, x, indices, axis, keepdim):
    """The values at `indices`, which have the dimension still, and the indices themselves."""
    array = x.array
    if array.ndim == 0:
        values = array.copy()
    else:
        values = np.take_along_axis(array, indices, axis)
        if not keepdim:
            values = values.squeeze(axis)
    out = core.node(label, values, (x,), _taken_gradient, (array.shape, indices, axis))
    return PAIRS[who](out, core.new(indices.reshape(values.shape).copy()))


def _extreme(who, ufunc, arg, of_two):
    def function(input, dim=None, keepdim=False, *, other=None):
        if isinstance(dim, core.TensorBase) or other is not None:
            return of_two(input, dim if other is None else other)
        x = input.array
        if dim is None:
            _no_keepdim(who, keepdim)
            _not_empty(who, x, None)
            value = np.asarray(ufunc.reduce(x, None))
            return core.node(who.capitalize() + "Backward1", value, (input,), _shared_gradient, (input, value, None))
        along = one_axis(who, x, dim)
        _not_empty(who, x, (along,) if x.ndim else None)
        places = arg(x, along if x.ndim else None, keepdims=True)
        return _over(
            who,
            who.capitalize() + "Backward0",
            input,
            np.asarray(places, np.int64).reshape(() if not x.ndim else places.shape),
            along,
            bool(keepdim),
        )

    doc = f"""The {who}imum of all elements, over a dimension, or of two tensors.

    Over a dimension it is a pair (values, indices).
    """
    return named(function, who, doc)


max_: TensorFunction = _extreme("max", np.maximum, np.argmax, maximum)
min_: TensorFunction = _extreme("min", np.minimum, np.argmin, minimum)


def _alone(who, ufunc):
    def function(input, dim=(), keepdim=False):
        x = input.array
        axes = axes_of(who, x, dim)
        _not_empty(who, x, axes)
        value = np.asarray(ufunc.reduce(x, axes, keepdims=keepdim))
        return core.node(who.capitalize() + "Backward0", value, (input,), _alone_gradient, (input, value, axes))

    doc = f"The {who[1:]}imum over dimensions; equal ones share the gradient."
    return named(function, who, doc)


amax: TensorFunction = _alone("amax", np.maximum)
amin: TensorFunction = _alone("amin", np.minimum)


def _place(who, ufunc):
    def function(input, dim=None, keepdim=False):
        x = as_tensor(input).array
        _no_bools(who, x)
        along = None if dim is None else one_axis(who, x, dim)
        _not_empty(who, x, None if along is None else (along,))
        if x.ndim == 0:
            return core.new(np.array(0))
        places = ufunc(x, along, keepdims=bool(keepdim))
        return core.new(np.asarray(places, np.int64))

    doc = f"Where the {who[3:]}imum is: its first index, in the flat tensor or a dim."
    return named(function, who, doc)


argmax: TensorFunction = _place("argmax", np.argmax)
argmin: TensorFunction = _place("argmin", np.argmin)


def _truth(name, ufunc, doc):
    def function(input, dim=None, keepdim=False):
        x = input.array
        none = isinstance(dim, tuple | list) and not dim  # here, as in PyTorch, not all
        axes = () if none else axes_of(name, x, dim)
        found = np.asarray(ufunc(x, axes, keepdims=bool(keepdim)))
        return core.new(found.astype(x.dtype) if x.dtype == np.uint8 else found)

    return named(function, name, f"{doc}, at all or over dimensions: a bool, of uint8 a uint8.")


any_: TensorFunction = _truth("any", np.any, "Whether an element is not 0")
all_: TensorFunction = _truth("all", np.all, "Whether no element is 0")


def _no_bools(who, x):
    if x.dtype.kind == "b":
        raise RuntimeError(f"{who} expects numbers; got a bool tensor.")


def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor | ValuesIndices:
    """The lower median of all elements, or over a dimension as a pair (values, indices)."""
    x = input.array
    _no_bools("median", x)
    if dim is None:
        _no_keepdim("median", keepdim)
        _not_empty("median", x, None)
        flat = x.reshape(-1)
        value = flat[_middle(flat, 0)].reshape(())
        return core.node("MedianBackward0", value, (input,), _shared_gradient, (input, value, None))
    axis = one_axis("median", x, dim)
    _not_empty("median", x, (axis,) if x.ndim else None)
    return _over("median", "MedianBackward1", input, _middle(x, axis), axis, keepdim)


def _middle(x, axis):
    """The place of the lower median; of the first NaN, where there is one."""
    order = _order(x, axis, False)
    places = np.take(order, [(order.shape[axis] - 1) // 2], axis)
    if x.dtype.kind != "f" or not np.isnan(x).any():
        return places
    missing = np.isnan(np.atleast_1d(x))
    return np.where(missing.any(axis, keepdims=True), missing.argmax(axis, keepdims=True), places)


# --- order ----------------------------------------------------------------------------------


def _order(x, axis, descending):
    """The places of sorted elements; equal ones stay in order."""
    if not descending:
        return np.argsort(x, axis, kind="stable")
    return np.flip(x.shape[axis] - 1 - np.argsort(np.flip(x, axis), axis, kind="stable"), axis)


def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> ValuesIndices:
    """The elements in order over a dimension, and where they were, as (values, indices).

    Equal ones stay in order, whether `stable` asks for it or not.

    Examples
    --------
    >>> sort(as_tensor([3.0, 1.0, 2.0])).indices
    tensor([1, 2, 0])
    """
    axis = one_axis("sort", input.array, dim)
    if input.array.ndim == 0:
        return PAIRS["sort"](input.clone(), core.new(np.array(0)))
    places = np.ascontiguousarray(_order(input.array, axis, descending))
    return _over("sort", "SortBackward0", input, places, axis, True)


def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """Where the elements are that are in order over a dimension."""
    return sort(input.detach(), dim, descending).indices


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesIndices:
    """The k largest (or smallest) elements over a dimension, as (values, indices).

    They are in order, whether `sorted` asks for it or not.

    Raises
    ------
    RuntimeError
        For a k beyond the dimension's length.
    """
    x = np.atleast_1d(input.array)
    _no_bools("topk", x)
    axis = one_axis("topk", x, dim)
    if checks.integer("topk", "k", k, -sys.maxsize) not in range(x.shape[axis] + 1):
        raise RuntimeError(f"topk expects k between 0 and {x.shape[axis]}; got {k}.")
    places = np.ascontiguousarray(np.take(_order(x, axis, largest), np.arange(k), axis))
    return _over("topk", "TopkBackward0", input, places, axis, True)


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Tensor | tuple[Tensor, ...]:
    """The different elements in order, and as wanted their places and numbers.

    Always in order, so that `sorted` asks for nothing more.
    """
    refuse_gradient("unique", input)
    found: Any = np.unique(  # type: ignore[call-overload]
        input.array, return_inverse=return_inverse, return_counts=return_counts, axis=dim, equal_nan=False
    )
    return tuple(core.new(f) for f in found) if isinstance(found, tuple) else core.new(found)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often every integer from 0 occurs, or the sum of the weights where it does.

    Weights of float32 give float32, others float64; they have no gradient.
    """
    if input.array.dtype.kind not in "iu":
        raise RuntimeError(f"bincount expects input of integers; got {input.dtype!r}.")
    if input.array.ndim != 1 or (input.array < 0).any():
        raise RuntimeError(f"bincount expects input as a vector of integers of at least 0; got {checks.shown(input)}.")
    if weights is None:
        return core.new(np.bincount(input.array, None, minlength))
    refuse_gradient("bincount", weights)
    w = weights.array
    if w.shape != input.array.shape:
        raise RuntimeError(f"bincount expects weights of input's shape {input.array.shape}; got {w.shape}.")
    sums = np.bincount(input.array, w, minlength)
    return core.new(sums.astype(w.dtype if w.dtype == np.float32 else np.float64))


def nonzero(input: Tensor, as_tuple: bool = False) -> Tensor | tuple[Tensor, ...]:
    """The indices of the elements that are not 0, a row for each."""
    if as_tuple:
        return tuple(core.new(i) for i in np.nonzero(np.atleast_1d(input.array)))
    return core.new(np.argwhere(input.array))


def count_nonzero(input: Tensor, dim: Dim = None) -> Tensor:
    """How many elements are not 0."""
    axes = axes_of("count_nonzero", input.array, dim)
    return core.new(np.asarray(np.count_nonzero(input.array, axes), np.int64))
