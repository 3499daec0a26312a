"""The functional forms of layers and losses, on Tensors, with PyTorch's names and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastbp import functional
from fastbp.functional import *  # noqa: F403
from fastbp.missing import attribute_error

__all__ = functional.__all__


if not TYPE_CHECKING:  # where a name that is missing is an error

    def __getattr__(name: str) -> Any:
        raise attribute_error("fastbp.nn.functional", name)
