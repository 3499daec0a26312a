"""Types that annotations share.  For type checkers alone: who uses them imports them under TYPE_CHECKING."""

import os
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbp._kernels.autograd import TensorBase

if TYPE_CHECKING:
    from fastbp._kernels.autograd import Tensor, device, dtype


class Samples(Protocol):
    """Samples by their index: a data set, or what is like one."""

    def __getitem__(self, index: Any, /) -> Any: ...


class Sparse(Protocol):
    """A sparse matrix of scipy's."""

    @property
    def nnz(self) -> int: ...


Array: TypeAlias = NDArray[Any]
#: Rows as scikit-learn takes them.
Features: TypeAlias = ArrayLike | Sparse
#: What becomes an array, or is a tensor.
TensorLike: TypeAlias = ArrayLike | TensorBase
#: A number, or what stands for one in every element.
Number: TypeAlias = float | np.number[Any]
Shape: TypeAlias = int | Sequence[int]
Dim: TypeAlias = int | Sequence[int] | None
#: A dtype of tensors, or of NumPy's, or Python's type or a name for one.
DTypeLike: TypeAlias = "dtype | np.dtype[Any] | type[bool | int | float | np.generic] | str"
#: Where tensors live: the CPU.
Device: TypeAlias = "device | str | None"
Seed: TypeAlias = int | np.integer[Any] | np.random.Generator | None
Path: TypeAlias = str | os.PathLike[str]
File: TypeAlias = Path | IO[bytes]
FloatDType: TypeAlias = Literal["float32", "float64"] | np.dtype[Any] | type[np.floating[Any]]
Reduction: TypeAlias = Literal["none", "mean", "sum"]
Schedule: TypeAlias = Callable[[float], float]
Callback: TypeAlias = Callable[..., Any]
#: Of targets and outputs: each row's loss, and its gradient by the outputs.
RowLoss: TypeAlias = Callable[[Array, Array], tuple[Array, Array]]
#: A function of tensors that gives one.
TensorFunction: TypeAlias = Callable[..., "Tensor"]
