"""Elements of tensors by their places: read, written, gathered and scattered."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp._kernels import autograd as core
from fastbp.autograd.arithmetic import both, operand
from fastbp.autograd.reductions import one_axis
from fastbp.autograd.tensor import as_tensor, held

if TYPE_CHECKING:
    from fastbp._typing import Number, TensorLike
    from fastbp.autograd.tensor import Tensor


def _plain_index(index):
    """An index as NumPy takes it, and whether it makes a view."""
    if isinstance(index, core.TensorBase):
        index = index.array
        if index.dtype.kind == "f":
            raise IndexError(f"An index expects integers or bools; got a tensor of {index.dtype}.")
        if index.ndim == 0 and index.dtype.kind != "b":
            return int(index), True
        if index.dtype == np.uint8:
            index = index.astype(bool)
        return index, False
    if index is None or index is Ellipsis:
        return index, True
    if isinstance(index, slice):
        parts = (index.start, index.stop, index.step)
        return slice(*[None if p is None else operator.index(p) for p in parts]), True
    if isinstance(index, bool):
        return index, False
    if isinstance(index, int | np.integer):
        return int(index), True
    if isinstance(index, range):
        return np.arange(index.start, index.stop, index.step), False
    if isinstance(index, list | tuple):
        for each in index:
            checks.unmasked("Indexing", "an index", each)
        array = np.array([i.array if isinstance(i, core.TensorBase) else i for i in index])
        return (array if array.size else array.astype(np.int64)), False
    checks.unmasked("Indexing", "an index", index)
    return np.asarray(index), False


def _index(index):
    """(view, index as NumPy takes it, whether it makes a view, PyTorch's name of its last step).

    An integer beside tensors chooses first, in PyTorch: `view` does so, and the index goes on.
    """
    parts = index if isinstance(index, tuple) else (index,)
    plain = [_plain_index(part) for part in parts]
    key = tuple([part for part, _ in plain])
    if not all(is_view for _, is_view in plain):
        if not any(is_view and isinstance(part, int) for part, is_view in plain):
            return Ellipsis, key, False, "IndexBackward0"
        view, rest = [], []
        for part, is_view in plain:
            if not is_view:
                array = np.asarray(part)
                view += [slice(None)] * (array.ndim if array.dtype.kind == "b" else 1)
                rest.append(part)
            else:
                view.append(part)
                if not isinstance(part, int):
                    rest.append(part if part is Ellipsis else slice(None))
        end = () if Ellipsis in view else (Ellipsis,)  # so that it is a view and never a number
        return (*view, *end), tuple(rest), False, "IndexBackward0"
    name = "AliasBackward0"
    for part in key:
        if part is None:
            name = "UnsqueezeBackward0"
        elif isinstance(part, int):
            name = "SelectBackward0"
        elif part is not Ellipsis and part != slice(None):
            name = "SliceBackward0"
    if Ellipsis not in key:
        key = (*key, Ellipsis)  # with it, NumPy gives a view and never a number
    return Ellipsis, key, True, name


def _kept(key):
    """An index as it is now: the caller may change its arrays before backward."""
    return tuple([part.copy() if isinstance(part, np.ndarray) else part for part in key])


def _index_gradient(saved, dout, needs):
    shape, view, key, is_view = saved
    dx = np.zeros(shape, dout.dtype)
    if is_view or all(np.asarray(k).dtype.kind == "b" for k in key):
        dx[view][key] = dout
    else:
        np.add.at(dx[view], key, dout)  # an element may have been taken several times
    return (dx,)


def _getitem(self, index):
    """self[index]: ints, slices, None and Ellipsis give a view, lists and tensors a copy."""
    x = self.array
    view, key, is_view, name = _index(index)
    if is_view:
        return core.view(name, self, x[key], _index_gradient, (x.shape, view, key, True))
    saved = (x.shape, view, _kept(key), False) if self.requires_grad else ()
    return core.node(name, np.asarray(x[view][key]), (self,), _index_gradient, saved)


def _setitem(self, index, value):
    """self[index] = value, which is recorded where one of them requires grad."""
    self._may_change()
    view, key, is_view, _ = _index(index)
    given = value
    value = operand(value) if not isinstance(value, list | tuple) else as_tensor(value)
    if value is None:
        raise TypeError(f"Item assignment expects a tensor, an array or a number; got {checks.described(given)}.")
    if not isinstance(value, core.TensorBase):
        value = core.new(held("Item assignment", np.asarray(value), self.dtype, "a number"))
    tensor = value
    old = self.array
    part = old[view][key]
    ahead = max(tensor.array.ndim - part.ndim, 0)
    try:
        if ahead and tensor.array.shape[:ahead] == (1,) * ahead:
            tensor = tensor.reshape(tensor.array.shape[ahead:])
        new = np.broadcast_to(tensor.array, part.shape)
    except ValueError:
        raise RuntimeError(
            f"Item assignment expects a value that broadcasts to {part.shape}; got shape {tensor.array.shape}."
        ) from None
    if core.is_grad_enabled() and (self.requires_grad or tensor.requires_grad):
        before = self._snapshot()
        out = old.copy("K")
        out[view][key] = new.astype(old.dtype)
        name = "CopySlices" if is_view else "IndexPutBackward0"
        saved = view, _kept(key)
        self._rebase(core.node(name, out, (before, tensor), _setitem_gradient, saved))
        return
    old[view][key] = core.quiet(new.astype, (old.dtype,))
    self._bump()


def _setitem_gradient(saved, dout, needs):
    view, key = saved
    d_before = None
    if needs[0]:
        d_before = dout.copy()
        d_before[view][key] = 0
    return d_before, dout[view][key] if needs[1] else None


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The rows of a dimension that the vector `index` names."""
    axis = one_axis("index_select", input.array, dim)
    places = _places("index_select", index, *input.array.shape[axis : axis + 1])
    if places.ndim > 1:
        raise IndexError(f"index_select expects index as a vector; got shape {places.shape}.")
    if input.array.ndim == 0:
        if places.size != 1:
            raise RuntimeError(f"index_select expects index of one element beside a 0-d tensor; got {places.size}.")
        return input.clone()
    return input[(slice(None),) * axis + (np.atleast_1d(places),)]


def _places(who, index, n=1, least=0):
    """Integers as rows of a dimension of length n."""
    places = index.array if isinstance(index, core.TensorBase) else (checks.numbers(who, "index", index))
    if places.dtype.kind not in "iu":
        raise RuntimeError(f"{who} expects index of integers; got {places.dtype}.")
    if (places < least).any():
        raise IndexError(f"{who} expects index of at least {least}; got {places.min()}.")
    if (places >= n).any():
        raise IndexError(f"{who} expects index below {n}, the length of its dimension; got {places.max()}.")
    return places


def _along(who, input, dim, index):
    """The dimension and the places in it, of `gather` and `scatter`."""
    x = input.array
    axis = one_axis(who, x, dim)
    places = _places(who, index, *x.shape[axis : axis + 1])
    if places.size and (
        max(places.ndim, 1) != max(x.ndim, 1) or any(i != axis and n > x.shape[i] for i, n in enumerate(places.shape))
    ):
        raise RuntimeError(
            f"{who} expects index of input's {x.ndim} dimensions, and but for dim {dim} no longer "
            f"than {x.shape}; got shape {places.shape}."
        )
    return axis, places


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """``input[i, index[i, j]]`` for dim 1, and likewise for others."""
    axis, places = _along("gather", input, dim, index)
    x = input.array
    if not places.size or x.ndim == 0:
        return input.reshape(-1)[np.zeros_like(places)]
    # NumPy's function needs the other dimensions to be as long as the index's.
    part = tuple([slice(None) if i == axis else slice(n) for i, n in enumerate(places.shape)])
    out = np.take_along_axis(x[part], places, axis)
    return core.node("GatherBackward0", out, (input,), _gather_gradient, (x.shape, index, axis))


def _gather_gradient(saved, dout, needs):
    shape, places, axis = saved
    dx = np.zeros(shape, dout.dtype)
    key = list(np.ogrid[tuple(slice(n) for n in places.shape)])
    key[axis] = places
    np.add.at(dx, tuple(key), dout)
    return (dx,)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask, broadcast with input, holds, in one dimension."""
    chosen = checks.instance("masked_select", "mask", mask, core.TensorBase, "a Tensor").array
    if chosen.dtype.kind != "b":
        raise RuntimeError(f"masked_select expects mask as a bool tensor; got {chosen.dtype}.")
    try:
        shape = np.broadcast_shapes(input.array.shape, chosen.shape)
    except ValueError:
        raise RuntimeError(core.not_broadcastable(input.array.shape, chosen.shape)) from None
    return input.expand(shape)[mask.expand(shape)].reshape(-1)


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements of the flat tensor that `index` names; negative ones count from its end."""
    places = _places("take", index, input.array.size, -input.array.size)
    return input.reshape(-1)[places]


def scatter(
    input: Tensor, dim: int, index: Tensor, src: Tensor | None = None, value: TensorLike | None = None
) -> Tensor:
    """A copy whose ``[i, index[i, j]]`` (for dim 1) are `src`'s elements, or the number `value`.

    Examples
    --------
    >>> scatter(as_tensor([[0.0, 0.0], [0.0, 0.0]]), 1, as_tensor([[0], [1]]), 1.0)
    tensor([[1., 0.],
            [0., 1.]])
    """
    if (src is None) == (value is None):
        raise TypeError(f"scatter expects src or value; got {'neither' if src is None else 'both'}.")
    key, source = _scattered("scatter", input, dim, index, value if src is None else src)
    out = input.array.copy()
    out[key] = source.array
    return core.node("ScatterBackward0", out, (input, source), _setitem_gradient, (Ellipsis, _kept(key)))


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy to whose ``[i, index[i, j]]`` (for dim 1) `src`'s elements are added.

    Examples
    --------
    >>> scatter_add(as_tensor([0.0, 0.0]), 0, as_tensor([0, 1, 1]), as_tensor([1.0, 2.0, 3.0]))
    tensor([1., 5.])
    """
    checks.instance("scatter_add", "src", src, core.TensorBase, "a Tensor")
    key, source = _scattered("scatter_add", input, dim, index, src)
    out = input.array.copy()
    np.add.at(out, key, source.array)
    return core.node("ScatterAddBackward0", out, (input, source), _added_gradient, (_kept(key),))


def _added_gradient(saved, dout, needs):
    (key,) = saved
    return dout, dout[key] if needs[1] else None


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Number = 1) -> Tensor:
    """A copy to whose rows of a dimension, named by `index`, alpha times source's are added.

    Examples
    --------
    >>> index_add(as_tensor([0.0, 0.0]), 0, as_tensor([0, 0]), as_tensor([1.0, 2.0]))
    tensor([3., 0.])
    """
    checks.instance("index_add", "source", source, core.TensorBase, "a Tensor")
    axis = one_axis("index_add", input.array, dim)
    places = np.atleast_1d(_places("index_add", index, *input.array.shape[axis : axis + 1]))
    shape = (*input.array.shape[:axis], places.size, *input.array.shape[axis + 1 :])
    if source.dtype is not input.dtype or source.array.shape != shape or places.ndim > 1:
        raise RuntimeError(
            f"index_add expects index as a vector, and source of {input.dtype!r} and the shape "
            f"{shape}; got {source.dtype!r} of shape {source.array.shape}."
        )
    key: Any = (slice(None),) * axis + (places,)
    out = input.array.copy()
    np.add.at(out, key, (source if alpha == 1 else source * alpha).array)
    return core.node("IndexAddBackward0", out, (input, source), _index_add_gradient, (_kept(key), alpha))


def _index_add_gradient(saved, dout, needs):
    key, alpha = saved
    return dout, dout[key] * dout.dtype.type(alpha) if needs[1] else None


def _scattered(who, input, dim, index, src):
    """The places of `index` as NumPy takes them, and what goes there as a tensor."""
    axis, places = _along(who, input, dim, index)
    whole = isinstance(src, core.TensorBase)
    if whole and (
        src.dtype is not input.dtype
        or src.ndim != input.ndim
        or any(n > m for n, m in zip(places.shape, src.array.shape, strict=False))
    ):
        raise RuntimeError(
            f"{who} expects src of input's dtype {input.dtype!r} and {input.ndim} dimensions, "
            f"none shorter than index's {places.shape}; got {src.dtype!r} of shape "
            f"{src.array.shape}."
        )
    key = list(np.ogrid[tuple(slice(n) for n in places.shape)])
    key[axis : axis + 1] = [places] * len(key[axis : axis + 1])
    if whole:
        return tuple(key), src[tuple(slice(n) for n in places.shape)]
    number = np.asarray(both(who, input, src)[1])
    return tuple(key), core.new(np.full(places.shape, held(who, number, input.dtype, "src")))
