"""Views of one memory, copies, and tensors put together or taken apart."""

from __future__ import annotations

import itertools
import math
import operator
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fastbp import checks, dtypes
from fastbp._kernels import autograd as core
from fastbp.autograd.arithmetic import common_dtype, in_dtype
from fastbp.autograd.reductions import one_axis
from fastbp.autograd.tensor import (
    Tensor,
    as_tensor,  # noqa: F401  (in the examples)
    dimension,
    named,
    on_cpu,
    refuse_gradient,
)

if TYPE_CHECKING:
    from fastbp._typing import Device, Dim, DTypeLike, Shape, TensorFunction

# --- views ----------------------------------------------------------------------------------


def sizes(arguments: Sequence[Any]) -> tuple[int, ...]:
    """``(2, 3)`` of ``f(2, 3)``, ``f((2, 3))`` and ``f([2, 3])``."""
    if len(arguments) == 1 and not hasattr(arguments[0], "__index__"):
        arguments = arguments[0]
    return tuple([operator.index(n) for n in arguments])


def sizes_given(who: str, shape: Sequence[Any], size: Shape | None) -> tuple[int, ...]:
    """A shape as positional arguments, or as the keyword `size`."""
    if (size is None) == (not shape):
        raise TypeError(f"{who} expects a shape, as arguments or as size; got {'both' if shape else 'neither'}.")
    return sizes(shape if size is None else (size,))


def reshape(input: Tensor, *shape: Shape) -> Tensor:
    """The elements in another shape, of which one length may be -1: a view where it can be.

    Examples
    --------
    >>> reshape(as_tensor([1, 2, 3, 4]), (2, -1))
    tensor([[1, 2],
            [3, 4]])
    """
    shape = sizes(shape)
    x = input.array
    try:
        out = x.reshape(shape)
        if out.shape != shape and min(shape) < -1:  # NumPy takes any negative length as -1
            raise ValueError
    except ValueError:
        raise RuntimeError(f"reshape expects a shape of {x.size} elements; got {shape}.") from None
    if out is x:
        out = x.view()
    if x.size and not np.may_share_memory(x, out):
        out.flags.writeable = not core.is_turned(input)
        return core.node("UnsafeViewBackward0", out, (input,), _reshape_gradient, (x.shape,))
    return core.reshaped("ViewBackward0", input, out)


def _reshape_gradient(saved, dout, needs):
    return (dout.reshape(saved[0]),)


def view(input: Tensor, *shape: Shape | dtypes.dtype) -> Tensor:
    """The elements in another shape and the same memory; a dtype as `shape` reads the bytes anew.

    Raises
    ------
    RuntimeError
        Where the memory would have to be copied: `reshape` does that.

    Notes
    -----
    A layer's weight, which is transposed in memory, is copied all the same, as programs flatten
    their parameters so; the copy can only be read, that of `reshape` and the like too.
    """
    if len(shape) == 1 and isinstance(shape[0], dtypes.dtype):
        return core.new(input.array.view(shape[0].dtype))
    shape = sizes(shape)
    out = reshape(input, shape)
    if out.array.size and not np.may_share_memory(input.array, out.array):
        if core.is_turned(input):
            return out
        raise RuntimeError(
            "view expects a shape that fits the memory; got a tensor that has to be copied: use reshape()."
        )
    return out


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """A view of another tensor's shape."""
    return view(input, other.array.shape)


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """The elements in another tensor's shape."""
    return reshape(input, other.array.shape)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Neighbouring dimensions as one.

    Examples
    --------
    >>> flatten(as_tensor(np.zeros((2, 3, 4))), 1).shape
    fastbp.Size([2, 12])
    """
    shape = input.array.shape or (1,)
    start, end = (one_axis("flatten", input.array, d) for d in (start_dim, end_dim))
    if start > end:
        raise RuntimeError(f"flatten expects start_dim before end_dim; got {start_dim} and {end_dim}.")
    if start == end and input.array.ndim:
        return input
    return reshape(input, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension."""
    return reshape(input, -1)


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dimension as several."""
    shape = input.array.shape
    axis, n = _rows("unflatten", input, dim)
    sizes = tuple(sizes)
    known = -math.prod(sizes)  # where one of them is -1
    if -1 in sizes and known > 0 and n % known == 0:
        sizes = tuple([n // known if length == -1 else length for length in sizes])
    return reshape(input, (*shape[:axis], *sizes, *shape[axis + 1 :]))


def squeeze(input: Tensor, dim: Dim = None) -> Tensor:
    """Without the dimensions of length 1, or without those named."""
    x = input.array
    dims = range(x.ndim) if dim is None else dim if isinstance(dim, tuple | list) else (dim,)
    axes = tuple([a for a in (one_axis("squeeze", x, d) for d in dims) if x.ndim and x.shape[a] == 1])
    name = "SqueezeBackward0" if dim is None else "SqueezeBackward1"
    return core.reshaped(name, input, np.squeeze(x, axes))


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With another dimension of length 1, at place `dim`.

    Examples
    --------
    >>> unsqueeze(as_tensor([1, 2]), 1).shape
    fastbp.Size([2, 1])
    """
    x = input.array
    place = dimension("unsqueeze", dim, x.ndim + 1)
    return core.reshaped("UnsqueezeBackward0", input, np.expand_dims(x, place))


def permute(input: Tensor, *dims: Shape) -> Tensor:
    """The dimensions in another order."""
    dims = sizes(dims)
    axes = tuple([one_axis("permute", input.array, d) for d in dims])
    if sorted(axes) != list(range(input.array.ndim)):
        raise RuntimeError(f"permute expects every one of {input.array.ndim} dims once; got {dims}.")
    return core.permuted("PermuteBackward0", input, axes)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged."""
    a, b = (one_axis("transpose", input.array, d) for d in (dim0, dim1))
    axes = list(range(input.array.ndim))
    if axes:
        axes[a], axes[b] = axes[b], axes[a]
    return core.permuted("TransposeBackward0", input, tuple(axes))


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; a vector as it is."""
    if input.array.ndim > 2:
        raise RuntimeError(f"t expects at most 2 dimensions; got {input.array.ndim}.")
    return core.permuted("TBackward0", input, tuple(reversed(range(input.array.ndim))))


def _mT(input):
    """The last two dimensions exchanged."""
    return transpose(input, -2, -1)


def movedim(input: Tensor, source: Shape, destination: Shape) -> Tensor:
    """Dimensions moved to other places: one, or as many as each of two tuples names."""
    pairs = [sizes((places,)) for places in (source, destination)]
    sources, ends = ([one_axis("movedim", input.array, d) for d in places] for places in pairs)
    if not len(sources) == len(ends) == len(set(sources)) == len(set(ends)):
        raise RuntimeError(
            f"movedim expects source and destination as many different dims; got {source} and {destination}."
        )
    order = [d for d in range(input.array.ndim) if d not in sources]
    if input.array.ndim:
        for end, d in sorted(zip(ends, sources, strict=True)):
            order.insert(end, d)
    return core.permuted("PermuteBackward0", input, tuple(order))


def expand(input: Tensor, *shape: Shape) -> Tensor:
    """Dimensions of length 1 repeated without a copy; -1 keeps a length."""
    shape, x = sizes(shape), input.array
    ahead = len(shape) - x.ndim
    full = [x.shape[i - ahead] if n == -1 and i >= ahead else n for i, n in enumerate(shape)]
    if (
        ahead < 0
        or min(full, default=0) < 0
        or any(n not in (1, to) for n, to in zip(x.shape, full[ahead:], strict=True))
    ):
        raise RuntimeError(f"expand expects a shape that {x.shape} broadcasts to; got {shape}.")
    checks.fits_memory("expand", "lengths", full)
    return core.view("ExpandBackward0", input, core.expanded(x, tuple(full)), _as_it_is)


def _as_it_is(saved, dout, needs):
    return (dout,)


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """Expanded to another tensor's shape."""
    return expand(input, other.array.shape)


def broadcast_to(input: Tensor, shape: Shape) -> Tensor:
    """Expanded to a shape."""
    return expand(input, shape)


# --- copies ---------------------------------------------------------------------------------


def clone(input: Tensor) -> Tensor:
    """A copy that gradients flow through."""
    copy = input.array.copy("C" if core.is_turned(input) else "K")
    return core.node("CloneBackward0", copy, (input,), _as_it_is)


def contiguous(input: Tensor) -> Tensor:
    """The tensor itself where its elements lie in order in memory, and else such a copy."""
    if input.array.flags.c_contiguous:
        return input
    copy = input.array.copy()
    copy.flags.writeable = not core.is_turned(input)
    return core.node("CloneBackward0", copy, (input,), _as_it_is)


def repeat(input: Tensor, *repeats: Shape) -> Tensor:
    """The whole tensor so many times along every dimension."""
    repeats, x = sizes(repeats), input.array
    if len(repeats) < x.ndim:
        raise RuntimeError(f"repeat expects at least {x.ndim} numbers; got {repeats}.")
    if min(repeats, default=0) < 0:
        raise RuntimeError(f"repeat expects numbers of at least 0; got {repeats}.")
    return core.node("RepeatBackward0", np.tile(x, repeats), (input,), _repeat_gradient, (x.shape, repeats))


def _repeat_gradient(saved, dout, needs):
    shape, repeats = saved
    shape = (1,) * (len(repeats) - len(shape)) + shape
    apart = [n for pair in zip(repeats, shape, strict=True) for n in pair]
    return (dout.reshape(apart).sum(tuple(range(0, len(apart), 2))),)


def repeat_interleave(input: Tensor, repeats: Shape | Tensor, dim: int | None = None) -> Tensor:
    """Every element so many times."""
    x = input if dim is not None else reshape(input, -1)
    axis = one_axis("repeat_interleave", x.array, dim or 0)
    counts = checks.numbers("repeat_interleave", "repeats", getattr(repeats, "array", repeats))
    n = x.array.shape[axis] if x.ndim else 1
    if counts.dtype.kind not in "iu" or counts.size not in (1, n) or (counts < 0).any():
        raise RuntimeError(
            f"repeat_interleave expects repeats as one integer of at least 0, or "
            f"{n} of them; got {checks.shown(repeats)}."
        )
    return x.index_select(axis, core.new(np.repeat(np.arange(x.array.shape[axis]), counts)))


DTYPE_NAMES = (*dtypes.BY_NAME, *dtypes.ALIASES)


def to(
    input: Tensor,
    *arguments: Any,
    dtype: DTypeLike | None = None,
    device: Device = None,
    copy: bool = False,
    non_blocking: bool = False,
) -> Tensor:
    """The tensor in a dtype, of another tensor or by name; the only device is the CPU.

    There is no other device to wait for, whatever `non_blocking` says; `copy` gives a new tensor
    where the dtype is the same, too.

    Examples
    --------
    >>> to(as_tensor([1, 2]), "float64")
    tensor([1., 2.], dtype=fastbp.float64)
    """
    flags = [argument for argument in arguments if isinstance(argument, bool)]
    if len(flags) > 2:
        raise TypeError(f"to expects at most non_blocking and copy as bools; got {len(flags)}.")
    copy = flags[1] if len(flags) == 2 else copy
    for argument in arguments:
        if isinstance(argument, core.TensorBase):
            dtype = argument.dtype
        elif isinstance(argument, dtypes.dtype | np.dtype | type) or argument in DTYPE_NAMES:
            dtype = argument
        elif not isinstance(argument, bool):
            device = argument
    on_cpu("to", device)
    kind = input.dtype if dtype is None else dtypes.as_dtype("to", dtype)
    if kind is input.dtype:
        return clone(input) if copy else input
    inputs = (input,) if kind.is_floating_point else ()  # integers and bools have no gradient
    return core.node("ToCopyBackward0", in_dtype(input, kind), inputs, _as_it_is)


def _conversion(name, kind):
    def function(input):
        return to(input, kind)

    return named(function, name, f"The tensor as {kind.name}.")


CONVERSIONS = {
    name: _conversion(name, dtypes.BY_NAME[kind])
    for name, kind in {**dtypes.ALIASES, "bool": "bool", "byte": "uint8", "char": "int8"}.items()
}


def type_(input: Tensor, dtype: DTypeLike | None = None) -> Tensor | str:
    """The tensor in a dtype, or without one its dtype's name as PyTorch writes it."""
    if dtype is None:
        names = {
            "float32": "Float",
            "float64": "Double",
            "int64": "Long",
            "int32": "Int",
            "bool": "Bool",
            "uint8": "Byte",
            "int8": "Char",
            "int16": "Short",
            "float16": "Half",
        }
        return f"torch.{names[input.dtype.name]}Tensor"
    kinds = {
        "FloatTensor": "float32",
        "DoubleTensor": "float64",
        "LongTensor": "int64",
        "IntTensor": "int32",
        "BoolTensor": "bool",
        "ByteTensor": "uint8",
    }
    name = getattr(dtype, "__name__", str(dtype)).rpartition(".")[2]
    return to(input, dtype=kinds.get(name, dtype))


def type_as(input: Tensor, other: Tensor) -> Tensor:
    """The tensor in another one's dtype."""
    return to(input, other.dtype)


def cpu(input: Tensor) -> Tensor:
    """The tensor itself."""
    return input


# --- together and apart ---------------------------------------------------------------------


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors one after the other along a dimension.

    Examples
    --------
    >>> cat([as_tensor([1, 2]), as_tensor([3])])
    tensor([1, 2, 3])
    """
    tensors = list(tensors)
    if not tensors:
        raise RuntimeError("cat expects at least one tensor; got an empty list.")
    for one in tensors:
        if not isinstance(one, core.TensorBase):
            raise TypeError(f"cat expects tensors; got {checks.shown(one)}.")
    kept = [x for x in tensors if x.array.shape != (0,)] or tensors
    axis = one_axis("cat", kept[0].array, dim)
    dtype = common_dtype(*tensors)
    try:
        out = np.concatenate([in_dtype(x, dtype) for x in kept], axis)
    except ValueError:
        shapes = ", ".join(str(x.array.shape) for x in kept)
        raise RuntimeError(f"cat expects shapes that are the same but for dimension {dim}; got {shapes}.") from None
    ends = np.cumsum([x.array.shape[axis] for x in kept])[:-1].tolist()
    return core.node("CatBackward0", out, tuple(kept), _cat_gradient, (ends, axis))


def _cat_gradient(saved, dout, needs):
    ends, axis = saved
    return tuple(np.split(dout, ends, axis))


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape along a new dimension.

    Examples
    --------
    >>> stack([as_tensor([1, 2]), as_tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    tensors = tuple(tensors)
    if not tensors:
        raise RuntimeError("stack expects at least one tensor; got an empty list.")
    if len({x.array.shape for x in tensors}) > 1:
        shapes = ", ".join(str(x.array.shape) for x in tensors)
        raise RuntimeError(f"stack expects tensors of one shape; got {shapes}.")
    place = dimension("stack", dim, tensors[0].array.ndim + 1)
    dtype = common_dtype(*tensors)
    out = np.stack([in_dtype(x, dtype) for x in tensors], place)
    return core.node("StackBackward0", out, tensors, _stack_gradient, (place,))


def _stack_gradient(saved, dout, needs):
    return tuple(np.moveaxis(dout, saved[0], 0))


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors side by side."""
    tensors = [x.reshape(1) if x.array.ndim == 0 else x for x in tensors]
    return cat(tensors, 0 if tensors[0].array.ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors one above the other."""
    return cat([x.reshape(1, -1) if x.array.ndim < 2 else x for x in tensors], 0)


def _rows(who, input, dim, error=RuntimeError):
    """A dimension counted from the front and its length, which a 0-d tensor lacks."""
    if not input.array.ndim:
        raise error(f"{who} expects a tensor of at least one dimension; got a 0-d tensor.")
    axis = one_axis(who, input.array, dim)
    return axis, input.array.shape[axis]


def split(input: Tensor, split_size_or_sections: Shape, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of so many rows each, or of the lengths named."""
    axis, n = _rows("split", input, dim)
    lengths = split_size_or_sections
    if lengths == 0 < n or min([lengths] if isinstance(lengths, int) else lengths, default=0) < 0:
        least = 1 if lengths == 0 else 0
        raise RuntimeError(f"split expects lengths of at least {least}; got {lengths}.")
    if isinstance(lengths, int):
        lengths = [min(lengths, n - i) for i in range(0, n, max(lengths, 1))] or [0]
    elif sum(lengths) != n:
        raise RuntimeError(f"split expects lengths that add up to {n}; got {list(lengths)}.")
    ends = np.cumsum([0, *lengths]).tolist()
    ahead = (slice(None),) * axis
    return tuple([input[(*ahead, slice(a, b))] for a, b in itertools.pairwise(ends)])


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most so many views of equal length, the last one perhaps shorter."""
    n = _rows("chunk", input, dim)[1]
    if chunks < 1:
        raise RuntimeError(f"chunk expects chunks of at least 1; got {chunks}.")
    return split(input, -(-n // chunks) or [0] * chunks, dim)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The views along a dimension, without it."""
    axis, n = _rows("unbind", input, dim, IndexError)
    return tuple([input[(slice(None),) * axis + (i,)] for i in range(n)])


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`length` rows from `start` on, as a view."""
    axis, n = _rows("narrow", input, dim)
    ahead = (slice(None),) * axis
    start = operator.index(start)
    start += n if start < 0 else 0
    if not (0 <= start <= n and 0 <= length <= n - start):
        raise RuntimeError(
            f"narrow expects start and length within the {n} rows of dim {dim}; got {start} and {length}."
        )
    return input[(*ahead, slice(start, start + length))]


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """Row `index` of a dimension, as a view."""
    return input[(slice(None),) * one_axis("select", input.array, dim) + (index,)]


def flip(input: Tensor, *dims: Shape) -> Tensor:
    """The elements of dimensions in reverse, as a copy."""
    axes = tuple([one_axis("flip", input.array, d) for d in sizes(dims)])
    if len(set(axes)) < len(axes):
        raise RuntimeError(f"flip expects every dim once; got {sizes(dims)}.")
    axes = axes if input.array.ndim else ()
    return core.node(
        "FlipBackward0", np.flip(input.array, axes).copy(), (input,), lambda saved, dout, needs: (np.flip(dout, axes),)
    )


def roll(input: Tensor, shifts: Shape, dims: Dim = None) -> Tensor:
    """The elements moved round along dimensions; without these, of the flat tensor."""
    many, places = (sizes((v,)) for v in (shifts, () if dims is None else dims))
    if len(many) != max(len(places), 1):
        raise RuntimeError(f"roll expects as many shifts as dims; got {shifts} and {dims}.")
    back = -shifts if isinstance(shifts, int) else tuple(-s for s in shifts)
    return core.node(
        "RollBackward0",
        np.roll(input.array, shifts, dims),
        (input,),
        lambda saved, dout, needs: (np.roll(dout, back, dims),),
    )


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A matrix with a vector on its diagonal, or a matrix's diagonal."""
    x = input.array
    if x.ndim not in (1, 2):
        raise RuntimeError(f"diag expects a vector or a matrix; got shape {x.shape}.")
    if x.ndim == 1:
        return core.node(
            "DiagEmbedBackward0", np.diag(x, diagonal), (input,), lambda saved, dout, needs: (np.diag(dout, diagonal),)
        )
    rows = np.arange(x.shape[0])
    columns = rows + diagonal
    inside = (columns >= 0) & (columns < x.shape[1])
    key, shape = (rows[inside], columns[inside]), x.shape

    def gradient(saved, dout, needs):
        dx = np.zeros(shape, dout.dtype)
        dx[key] = dout
        return (dx,)

    return core.node("DiagonalBackward0", x[key], (input,), gradient)


def _triangle(name, ufunc):
    def function(input, diagonal=0):
        diagonal = checks.integer(name, "diagonal", diagonal, -sys.maxsize)
        if input.array.ndim < 2:
            raise RuntimeError(f"{name} expects at least 2 dimensions; got {input.array.ndim}.")
        return core.node(
            name.capitalize() + "Backward0",
            ufunc(input.array, diagonal),
            (input,),
            lambda saved, dout, needs: (ufunc(dout, diagonal),),
        )

    side = "lower" if name == "tril" else "upper"
    return named(function, name, f"The {side} triangle of a matrix; 0 elsewhere.")


tril: TensorFunction = _triangle("tril", np.tril)
triu: TensorFunction = _triangle("triu", np.triu)


def meshgrid(*tensors: Tensor, indexing: Literal["ij", "xy"] = "ij") -> tuple[Tensor, ...]:
    """The coordinates of a grid, one tensor for each direction."""
    if len(tensors) == 1 and not isinstance(tensors[0], Tensor):
        tensors = tensors[0]
    refuse_gradient("meshgrid", *tensors)
    grids = np.meshgrid(*[x.array for x in tensors], indexing=indexing)
    return tuple(core.new(np.ascontiguousarray(g)) for g in grids)


def numel(input: Tensor) -> int:
    """Number of elements."""
    return input.array.size


def __getattr__(name: str) -> Any:
    """What is `indexing`'s, at the place that pickles made before have."""
    from fastbp.autograd import indexing

    return getattr(indexing, name)
