"""PyTorch's place of the base class."""

from fastbp.modules import Module

__all__ = ["Module"]
