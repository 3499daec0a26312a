"""PyTorch's place of `SGD`."""

from fastbp.optim.rules import SGD

__all__ = ["SGD"]
