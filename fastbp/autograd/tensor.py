"""`Tensor`: what surrounds the compiled core, and how it is made, read, printed and pickled."""

from __future__ import annotations

import functools
import operator
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import TYPE_CHECKING, Any, NoReturn, Self, SupportsIndex, TypeVar

import numpy as np

from fastbp import checks, dtypes
from fastbp._kernels import autograd as core
from fastbp._kernels.changes import note
from fastbp.autograd import printing

if TYPE_CHECKING:
    from fastbp._kernels.autograd import Backward
    from fastbp._typing import Array, ArrayLike, Device, DTypeLike, TensorLike

F = TypeVar("F", bound="Callable[..., Any]")

__all__ = ["Parameter", "Size", "Tensor", "as_tensor", "device", "from_numpy", "is_tensor", "tensor"]


class Size(tuple[int, ...]):
    """The shape of a tensor.

    Examples
    --------
    >>> tensor([[1, 2], [3, 4]]).shape
    fastbp.Size([2, 2])
    """

    __slots__ = ()

    def numel(self) -> int:
        """Number of elements."""
        return int(np.prod(self, dtype=np.int64))

    def __repr__(self) -> str:
        return f"fastbp.Size({list(self)})"

    def __getitem__(self, index: Any) -> Any:
        part = tuple.__getitem__(self, index)
        return Size(part) if isinstance(index, slice) else part

    def __add__(self, other: Any) -> Size:
        return Size(tuple.__add__(self, tuple(other)))


class device:
    """Where tensors live: ``device("cpu")``.

    Raises
    ------
    RuntimeError
        For another place.

    Examples
    --------
    >>> device("cpu")
    device(type='cpu')
    """

    __slots__ = ()
    type = "cpu"
    index = None

    def __init__(self, name: device | str = "cpu", index: int | None = None) -> None:
        if str(name).split(":")[0] != "cpu":
            raise RuntimeError(f"device expects 'cpu', where all tensors live; got {checks.shown(name)}.")

    def __repr__(self) -> str:
        return "device(type='cpu')"

    def __str__(self) -> str:
        return "cpu"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device)

    def __hash__(self) -> int:
        return hash(device)


CPU = device()


def _of_dim(who, numbers, dim):
    """One of the numbers, which stand for dimensions."""
    try:
        return numbers[dim]
    except (IndexError, TypeError) as error:
        n = len(numbers)
        raise type(error)(
            f"{who} expects dim as an integer between {-n} and {n - 1}; got {checks.shown(dim)}."
        ) from None


def lengths(who: str, shape: Iterable[int]) -> tuple[int, ...]:
    """A shape whose elements memory could hold."""
    shape = tuple([checks.integer(who, "lengths", n, least=0) for n in shape])
    checks.fits_memory(who, "lengths", shape)
    return shape


class Tensor(core.TensorBase):
    """An array that remembers the operations it came from.

    Made by `tensor`, `zeros`, `randn` and the other functions; ``Tensor([1, 2])`` makes one of
    the default dtype, ``Tensor(2, 3)`` one of that shape, of numbers that are not set.

    Examples
    --------
    >>> w = tensor([1.0, 2.0], requires_grad=True)
    >>> loss = (w * w).sum()
    >>> loss
    tensor(5., grad_fn=<SumBackward0>)
    >>> loss.backward()
    >>> w.grad
    tensor([2., 4.])
    """

    __slots__ = ()
    is_parameter = False
    #: NumPy leaves array * tensor to the tensor.
    __array_priority__ = 1000

    def __new__(cls, *data: Any) -> Self:
        self = core.TensorBase.__new__(cls)
        if len(data) == 1 and not isinstance(data[0], int):
            value = data[0]
            if isinstance(value, core.TensorBase):
                array = value.array.copy()
            elif isinstance(value, Size):
                array = np.zeros(value, dtypes.get_default_dtype().dtype)
            else:
                array = to_array(value, dtypes.get_default_dtype(), "Tensor")
        else:
            array = np.zeros(lengths("Tensor", data or (0,)), dtypes.get_default_dtype().dtype)
        return core.adopt(self, array)

    # --- reading

    def _repr_html_(self) -> str:
        from fastbp import markup

        return markup.preformatted(repr(self))

    def __repr__(self) -> str:
        suffixes = []
        x = self.array
        dtype = self.dtype
        if x.size == 0 and x.ndim != 1:
            suffixes.append(f"size={tuple(x.shape)}")
        usual = [dtypes.get_default_dtype()]
        if x.size:
            usual += [dtypes.int64, dtypes.bool_]
        if dtype not in usual:
            suffixes.append(f"dtype={dtype!r}")
        if self.grad_fn is not None:
            suffixes.append(f"grad_fn=<{self.grad_fn.name()}>")
        elif self.requires_grad:
            suffixes.append("requires_grad=True")
        return printing.text(x, "tensor(", suffixes)

    def __format__(self, spec: str) -> str:
        if self.array.ndim == 0 and spec:
            return format(self.item(), spec)
        if spec:
            raise TypeError(
                f"A format such as {spec!r} expects a 0-d tensor; got one of shape "
                f"{self.array.shape}: item() gives the number of one element."
            )
        return str(self.item()) if self.array.ndim == 0 else repr(self)

    def __bool__(self) -> bool:
        if self.array.size != 1:
            raise RuntimeError(
                "bool expects a tensor of one element, as the truth of several is ambiguous; "
                f"got shape {self.array.shape}."
            )
        return bool(self.array.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if self.array.dtype.kind not in "iub" or self.array.size != 1:
            raise TypeError(
                f"An index expects a tensor of one integer; got one of {self.dtype!r} and shape {self.array.shape}."
            )
        return int(self.array.item())

    def __len__(self) -> int:
        if self.array.ndim == 0:
            raise TypeError("len expects a tensor with dimensions; got a 0-d tensor.")
        return len(self.array)

    def __iter__(self) -> Iterator[Tensor]:
        if self.array.ndim == 0:
            raise TypeError("Iteration expects a tensor with dimensions; got a 0-d tensor.")
        return (self[i] for i in range(len(self.array)))

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, core.TensorBase | bool | int | float | np.number | np.bool):
            raise TypeError(f"in expects a tensor or a number before it; got {_what(value)}.")
        value = value.array if isinstance(value, core.TensorBase) else value
        return bool((self.array == value).any())

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __array__(self, dtype: np.typing.DTypeLike | None = None, copy: bool | None = None) -> Array:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __array_wrap__(self, array: Array, context: object = None, return_scalar: bool = False) -> Tensor:
        return core.new(native(np.asarray(array)))

    def __dir__(self) -> list[str]:
        return sorted({*dir(type(self)), *getattr(self, "__dict__", {})})

    def tolist(self) -> Any:
        """The numbers in nested lists; of a 0-d tensor the number."""
        return self.array.tolist()

    def size(self, dim: Any = None) -> Any:
        """The shape, or the length of one dimension."""
        return self.shape if dim is None else _of_dim("size", self.array.shape, dim)

    def stride(self, dim: Any = None) -> Any:
        """Steps between neighbours, in elements."""
        steps = tuple(s // self.array.itemsize for s in self.array.strides)
        return steps if dim is None else _of_dim("stride", steps, dim)

    def element_size(self) -> int:
        """Bytes of an element."""
        return self.array.itemsize

    def data_ptr(self) -> int:
        """Address of the first element."""
        return self.array.ctypes.data

    def is_contiguous(self) -> bool:
        """Whether the elements lie in memory one after the other."""
        return self.array.flags.c_contiguous

    def is_floating_point(self) -> bool:
        """Whether the elements are floats."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Never: there are no complex tensors."""
        return False

    @property
    def is_cuda(self) -> bool:
        """Never: all tensors live in main memory."""
        return False

    @property
    def is_sparse(self) -> bool:
        """Never: every element is in memory."""
        return False

    @property
    def device(self) -> device:
        """``device("cpu")``."""
        return CPU

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.array.nbytes

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return self.array.itemsize

    @property
    def _version(self):
        return self._version_changes

    def cuda(self, *args: object, **keywords: object) -> NoReturn:
        """Refused: all tensors live in main memory."""
        raise RuntimeError("cuda expects a GPU, where fastbp computes on CPUs only; got none: use cpu().")

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call `hook` with the gradient in every backward; what it returns takes its place.

        Returns
        -------
        RemovableHandle
            With `remove()`.
        """
        if not self.requires_grad:
            raise RuntimeError("register_hook expects a tensor that requires grad; got one that does not.")
        checks.function("register_hook", "hook", hook, "a function of the gradient")
        note()
        return RemovableHandle(*self._add_hook(hook))

    # --- copies

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if not self.is_leaf:
            raise RuntimeError(
                "deepcopy expects a tensor that the user made; got the result of an operation: use detach() first."
            )
        if id(self) in memo:
            return memo[id(self)]
        copy = core.adopt(core.TensorBase.__new__(type(self)), self.array.copy("K"), self.requires_grad)
        memo[id(self)] = copy
        if self.grad is not None and not self.is_parameter:  # a copied model begins anew
            copy.grad = self.grad.__deepcopy__(memo)
        copy.__dict__.update(self.__dict__)
        return copy

    def __copy__(self) -> Self:
        return core.adopt(core.TensorBase.__new__(type(self)), self.array, self.requires_grad)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, tuple[Any, Any, Any]]:
        if not self.is_leaf:
            raise RuntimeError(
                "pickle expects a tensor that the user made; got the result of an operation: use detach() first."
            )
        return _rebuilt, (type(self), self.array, self.requires_grad)


class Parameter(Tensor):
    """A tensor that is trained: set as a module's attribute, it is among its `parameters`.

    Parameters
    ----------
    data : Tensor, optional
        Shares its memory.
    requires_grad : bool

    Examples
    --------
    >>> Parameter(tensor([1.0, 2.0]))
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    """

    __slots__ = ()
    is_parameter = True

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Self:
        if data is None:
            data = Tensor()
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter expects data as a Tensor; got {_what(data)}.")
        requires_grad = checks.flag("Parameter", "requires_grad", requires_grad)
        if requires_grad and not data.is_floating_point():
            raise RuntimeError(f"Parameter expects data of floating point dtype; got {data.dtype!r}.")
        return core.adopt(core.TensorBase.__new__(cls), data.array, requires_grad)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


def _rebuilt(cls, array, requires_grad):
    return core.adopt(core.TensorBase.__new__(cls), array, requires_grad)


class RemovableHandle:
    """Takes a hook back."""

    def __init__(self, hooks: list[Any], entry: Any) -> None:
        self._hooks, self._entry = hooks, entry

    def remove(self) -> None:
        """Call the hook no more."""
        if self._entry in self._hooks:
            self._hooks.remove(self._entry)


# --- dimensions -----------------------------------------------------------------------------


def dimension(who: str, dim: int, n: int) -> int:
    """One of n dimensions, counted from the front; what has none counts as one with one."""
    if type(dim) is not int:
        if isinstance(dim, bool | np.bool) or not hasattr(dim, "__index__"):
            raise TypeError(f"{who} expects dim as an integer; got {checks.shown(dim)}.")
        dim = operator.index(dim)
    n = n or 1
    if not -n <= dim < n:
        raise IndexError(f"{who} expects dim between {-n} and {n - 1}; got {dim}.")
    return dim % n


# --- from other things ----------------------------------------------------------------------


def native(array: Array | np.generic) -> Array:
    """The array in native byte order and a dtype that tensors have, of no subclass."""
    if type(array) is not np.ndarray:
        if np.ma.is_masked(array):
            raise ValueError(
                "A tensor expects an array without masked elements; got "
                f"{np.count_nonzero(np.ma.getmaskarray(array))} of them."
            )
        array = np.asarray(array)  # a matrix keeps its two dimensions, whatever is done to it
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype in dtypes.BY_NUMPY:
        return array
    kind = array.dtype.kind
    if kind in "iu" and array.dtype.itemsize == 8 and kind == "i":
        return array.astype(np.int64)
    raise TypeError(f"A tensor expects bools, integers or floats of at most 64 bits; got numpy dtype {array.dtype}.")


def to_array(data: Any, dtype: dtypes.dtype | None, who: str) -> Array:
    """A new array of what a user hands in, of `dtype` or, where it is None, of PyTorch's."""
    if isinstance(data, core.TensorBase):
        data = data.array
    if isinstance(data, np.ndarray | np.generic):
        return np.array(native(data), None if dtype is None else dtype.dtype)
    if isinstance(data, float | int):
        return held(who, np.asarray(data), dtype or dtypes.of_number(data))
    array = core.plain_numbers(data)
    if array is not None:
        found = dtypes.BY_NUMPY[array.dtype]
        found = dtypes.get_default_dtype() if found.is_floating_point else found
    else:
        plain, found = _inferred(who, data, _depth(data))
        try:
            array = np.array(plain)
        except ValueError as error:
            raise ValueError(
                f"{who} expects data as a number or a rectangular list or array; got rows of different lengths."
            ) from error
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{who} expects data of real numbers; got {_what(data)}.")
    return held(who, array, dtype or found)


def _depth(data):
    """Dimensions of nested lists, as the first elements have them; a tensor is a number."""
    depth = 0
    while not isinstance(data, core.TensorBase | str | bytes) and hasattr(data, "__len__"):
        if getattr(data, "ndim", 1) == 0:
            break
        depth += 1
        if not len(data):
            break
        data = next(iter(data))
    return depth


def _inferred(who, data, depth):
    """Nested lists without tensors, and the dtype that all their numbers promote to."""
    if isinstance(data, core.TensorBase | np.ndarray):
        array = data.array if isinstance(data, core.TensorBase) else native(data)
        if array.size == 1:
            array = array.reshape((1,) * depth)
        elif isinstance(data, core.TensorBase) and array.ndim != depth:
            raise ValueError(
                f"{who} expects tensors of one element in a list; got one of shape "
                f"{array.shape}: stack() puts tensors together."
            )
        return array, dtypes.BY_NUMPY[array.dtype]
    if isinstance(data, np.generic):  # before float, which NumPy's float64 is
        return data, dtypes.BY_NUMPY[native(np.asarray(data)).dtype]
    if isinstance(data, float | int):
        return data, dtypes.of_number(data)
    if isinstance(data, str | bytes | Set | Mapping) or not hasattr(data, "__len__"):
        raise TypeError(f"{who} expects data of real numbers; got {_what(data)}.")
    if not len(data):
        return [], dtypes.get_default_dtype()
    parts = [_inferred(who, each, depth - 1) for each in data]
    kind = parts[0][1]
    for _, other in parts[1:]:
        kind = dtypes.promote_types(kind, other)
    return [part for part, _ in parts], kind


def held(who: str, array: Array, dtype: dtypes.dtype, name: str = "data") -> Array:
    """Python's numbers in a dtype; integers and NaN that it does not hold are refused."""
    if array.dtype == dtype.dtype:
        return array
    if dtype.dtype.kind in "iu" and array.dtype.kind != "b":
        bounds = np.iinfo(dtype.dtype)  # its maximum plus 1 is exact as a float, too
        outside = array[~np.asarray((array >= bounds.min) & (array < bounds.max + 1), bool)]
        if outside.size:  # NaN, too
            raise RuntimeError(
                f"{who} expects {name} within the range of {dtype!r}; got {checks.shown(outside.tolist()[0])}."
            )
    try:
        cast = core.quiet(array.astype, (dtype.dtype,))
        if name != "data" and array.ndim == 0 and np.isinf(cast) and np.isfinite(array):
            raise OverflowError
        return cast
    except OverflowError:  # an integer beyond float64, or one number beyond float32
        raise RuntimeError(
            f"{who} expects {name} within the range of {dtype!r}; got {checks.shown(array.item())}."
        ) from None


def _what(data):
    return f"{checks.shown(data)} of type {type(data).__name__}"


def on_cpu(who: str, place: device | str | None) -> None:
    """Refuses a device that is not the CPU."""
    if place is not None and not isinstance(place, device):
        device(place)


def tensor(
    data: ArrayLike | Tensor,
    *,
    dtype: DTypeLike | None = None,
    device: device | str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of a copy of numbers.

    Parameters
    ----------
    data : number, nested list, array or Tensor
    dtype : dtype, optional
        By default that of an array, the default dtype of Python floats, int64 or bool.
    device : "cpu"
    requires_grad : bool, default False
        Whether backward fills its `grad`.

    Examples
    --------
    >>> tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    >>> tensor(0.5, requires_grad=True)
    tensor(0.5000, requires_grad=True)
    """
    on_cpu("tensor", device)
    if dtype is not None:
        dtype = dtypes.as_dtype("tensor", dtype)
    if isinstance(data, core.TensorBase):
        warnings.warn("tensor(source) copies a tensor; source.clone().detach() says so.", UserWarning, stacklevel=2)
    return core.new(to_array(data, dtype, "tensor"), requires_grad)


def as_tensor(data: TensorLike, dtype: DTypeLike | None = None, device: Device = None) -> Tensor:
    """`data` as a tensor: itself, or sharing an array's memory, where that is possible.

    Examples
    --------
    >>> as_tensor(np.ones(2))
    tensor([1., 1.], dtype=fastbp.float64)
    """
    on_cpu("as_tensor", device)
    if dtype is not None:
        dtype = dtypes.as_dtype("as_tensor", dtype)
    if isinstance(data, core.TensorBase):
        found: Any = data
        return found if dtype is None or dtype is data.dtype else found.to(dtype)
    if isinstance(data, np.ndarray):
        data = native(data)
        return core.new(data if dtype is None else data.astype(dtype.dtype, copy=False))
    return core.new(to_array(data, dtype, "as_tensor"))


def from_numpy(array: Array) -> Tensor:
    """A tensor that shares an array's memory.

    Raises
    ------
    TypeError
        For what is not an array, or one of a dtype that tensors do not have.

    Examples
    --------
    >>> x = np.zeros(2)
    >>> t = from_numpy(x)
    >>> x[0] = 1
    >>> t
    tensor([1., 0.], dtype=fastbp.float64)
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy expects a numpy.ndarray; got {_what(array)}.")
    if not array.dtype.isnative:
        raise ValueError(f"from_numpy expects an array of native byte order; got {array.dtype.str!r}.")
    return core.new(native(array))


def refuse_gradient(who: str, *tensors: Tensor) -> None:
    """Refuse tensors whose gradient an operation would lose."""
    if core.is_grad_enabled() and any(t.requires_grad for t in tensors):
        raise NotImplementedError(
            f"{who} has no gradient and expects a tensor that does not require grad; got one that "
            "does: detach() it, or compute under no_grad."
        )


def quietly(gradient: Backward) -> Backward:
    """A node's gradient without NumPy's warnings; one that calls no kernels.

    What `fastbp.use` says does not hold within: see `quiet`.
    """

    @functools.wraps(gradient)
    def told(saved, dout, needs):
        return core.quiet(gradient, (saved, dout, needs))

    return told


def named(function: F, name: str, doc: str) -> F:
    """A function that was made by a rule, with its public name and its text."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def is_tensor(value: object) -> bool:
    """Whether `value` is a Tensor.

    Examples
    --------
    >>> is_tensor(tensor(1.0)), is_tensor(1.0)
    (True, False)
    """
    return isinstance(value, core.TensorBase)
