"""What functions of tensors are handed in, checked."""

from __future__ import annotations

from typing import Any

from fastbp import checks
from fastbp._kernels.autograd import TensorBase, operation


def tensor_of(who: str, name: Any, value: Any) -> Any:
    """A Tensor."""
    return checks.instance(who, name, value, TensorBase, "a Tensor")


def in_range(who: str, what: Any, index: Any, n: Any) -> None:
    """Refuses indices outside of 0..n - 1."""
    wrong = index[(index < 0) | (index >= n)]
    if wrong.size:
        raise IndexError(f"{who} expects {what} 0..{n - 1}; got {wrong[0]}, which is out of range.")


def quick(function: Any) -> Any:
    """A function that has a compiled form of its plain cases, which is tried first."""
    return operation(checks.explained(function))
