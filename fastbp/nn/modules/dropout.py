"""PyTorch's place of the dropout."""

from fastbp.layers.pytorch import Dropout

__all__ = ["Dropout"]
