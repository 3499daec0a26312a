"""PyTorch's place of `Adagrad`."""

from fastbp.optim.rules import Adagrad

__all__ = ["Adagrad"]
