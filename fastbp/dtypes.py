"""The dtypes of tensors, and PyTorch's rules for what comes of two of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastbp._typing import DTypeLike


class dtype:
    """A dtype of tensors, such as `fastbp.float32`; ``np.dtype(fastbp.float32)`` is NumPy's.

    Attributes
    ----------
    dtype : numpy.dtype
    is_floating_point : bool
    itemsize : int
        Bytes of an element.
    """

    __slots__ = ("category", "dtype", "is_floating_point", "itemsize", "name")

    def __init__(self, name: str) -> None:
        self.name: str = name
        self.dtype: np.dtype[Any] = np.dtype(name)
        self.category: int = "biuf".index(self.dtype.kind) - (self.dtype.kind in "uf")
        self.is_floating_point: bool = self.dtype.kind == "f"
        self.itemsize: int = self.dtype.itemsize

    def __repr__(self) -> str:
        return f"fastbp.{self.name}"

    def __reduce__(self) -> tuple[Callable[[str], dtype], tuple[str]]:
        return _named, (self.name,)


NAMES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
BY_NAME = {name: dtype(name) for name in NAMES}
BY_NUMPY = {kind.dtype: kind for kind in BY_NAME.values()}
#: PyTorch's other names.
ALIASES = {
    "half": "float16",
    "float": "float32",
    "double": "float64",
    "short": "int16",
    "int": "int32",
    "long": "int64",
}
bool_: dtype = BY_NAME["bool"]
int64: dtype = BY_NAME["int64"]
float32: dtype = BY_NAME["float32"]
float64: dtype = BY_NAME["float64"]
_default: dtype = float32


def _named(name: str) -> dtype:
    return BY_NAME[name]


def get_default_dtype() -> dtype:
    """The dtype of tensors made of Python floats.

    Examples
    --------
    >>> get_default_dtype()
    fastbp.float32
    """
    return _default


def set_default_dtype(d: DTypeLike) -> None:
    """Make `d`, float32 or float64, the dtype of tensors made of Python floats."""
    global _default
    d = as_dtype("set_default_dtype", d)
    if not d.is_floating_point:
        raise TypeError(f"set_default_dtype expects a floating point dtype; got {d!r}.")
    _default = d


def as_dtype(who: str, value: DTypeLike) -> dtype:
    """A dtype of ours: it may be NumPy's, a name, or Python's bool, int and float."""
    if isinstance(value, dtype):
        return value
    try:
        if not isinstance(value, str | type | np.dtype):  # NumPy asks others for their dtype
            raise TypeError
        return BY_NUMPY[np.dtype(ALIASES.get(value, value) if isinstance(value, str) else value)]
    except (TypeError, ValueError, KeyError):
        raise TypeError(
            f"{who} expects dtype as one of fastbp's, such as fastbp.float32; got {' '.join(repr(value).split())[:60]}."
        ) from None


def promote_types(a: dtype, b: dtype) -> dtype:
    """The dtype of a result of two tensors of dtypes `a` and `b`.

    Examples
    --------
    >>> promote_types(BY_NAME["int64"], BY_NAME["float32"])
    fastbp.float32
    """
    for each in (a, b):
        if not isinstance(each, dtype):
            raise TypeError(f"promote_types expects two dtypes; got one of type {type(each).__name__}.")
    if a is b:
        return a
    if a.is_floating_point != b.is_floating_point:
        return a if a.is_floating_point else b
    return BY_NUMPY[np.promote_types(a.dtype, b.dtype)]


def of_number(value: float) -> dtype:
    """The dtype that a Python number counts as."""
    if isinstance(value, bool):
        return bool_
    return int64 if isinstance(value, int) else _default


def promoted(tensors: Iterable[tuple[dtype, int]], numbers: Iterable[float]) -> dtype:
    """The dtype of a result of several operands.

    Numbers and tensors without dimensions count only where their category (bool, int or
    float) is higher.

    Parameters
    ----------
    tensors : iterable of (dtype, ndim)
    numbers : iterable of Python numbers
    """
    with_dims = without = number = None
    for kind, ndim in tensors:
        if ndim:
            with_dims = kind if with_dims is None else promote_types(with_dims, kind)
        else:
            without = kind if without is None else promote_types(without, kind)
    for value in numbers:
        kind = of_number(value)
        number = kind if number is None else promote_types(number, kind)
    return _higher(with_dims, _higher(without, number))


def _higher(first, second):
    if first is None or second is None:
        return second if first is None else first
    return second if second.category > first.category else first
