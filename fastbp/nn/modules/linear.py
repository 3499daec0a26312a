"""PyTorch's place of the linear layers."""

from fastbp.layers import Identity
from fastbp.nn.weighted import Linear

__all__ = ["Identity", "Linear"]
