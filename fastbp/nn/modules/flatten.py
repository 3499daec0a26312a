"""PyTorch's place of the reshaping layers."""

from fastbp.layers.pytorch import Flatten
from fastbp.nn.activations import Unflatten

__all__ = ["Flatten", "Unflatten"]
