"""What functions of tensors are handed in, checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from fastbp import checks
from fastbp._kernels.autograd import TensorBase, operation

if TYPE_CHECKING:
    from fastbp._typing import Array
    from fastbp.autograd.tensor import Tensor


F = TypeVar("F", bound="Callable[..., Any]")


def tensor_of(who: str, name: str, value: Tensor) -> Tensor:
    """A Tensor."""
    return checks.instance(who, name, value, TensorBase, "a Tensor")


def in_range(who: str, what: str, index: Array, n: int) -> None:
    """Refuses indices outside of 0..n - 1."""
    wrong = index[(index < 0) | (index >= n)]
    if wrong.size:
        raise IndexError(f"{who} expects {what} 0..{n - 1}; got {wrong[0]}, which is out of range.")


def quick(function: F) -> F:
    """A function that has a compiled form of its plain cases, which is tried first."""
    return operation(checks.explained(function))
