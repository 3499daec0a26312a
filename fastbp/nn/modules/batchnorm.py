"""PyTorch's place of the batch normalisation."""

from fastbp.layers.pytorch import BatchNorm1d

__all__ = ["BatchNorm1d"]
