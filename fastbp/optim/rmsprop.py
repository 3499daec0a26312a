"""PyTorch's place of `RMSprop`."""

from fastbp.optim.rules import RMSprop

__all__ = ["RMSprop"]
