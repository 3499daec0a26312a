"""PyTorch's place of the dropout."""

from fastbp.nn.activations import Dropout

__all__ = ["Dropout"]
