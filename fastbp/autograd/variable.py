"""PyTorch's place of `Variable`."""

from fastbp.autograd import Variable

__all__ = ["Variable"]
