"""PyTorch's place of the linear layers."""

from fastbp.layers.pytorch import Identity, Linear

__all__ = ["Identity", "Linear"]
