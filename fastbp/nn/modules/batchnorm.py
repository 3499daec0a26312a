"""PyTorch's place of the batch normalisation."""

from fastbp.nn.weighted import BatchNorm1d

__all__ = ["BatchNorm1d"]
