"""PyTorch's place of `Parameter`."""

from fastbp.autograd import Parameter

__all__ = ["Parameter"]
