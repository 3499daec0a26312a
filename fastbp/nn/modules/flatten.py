"""PyTorch's place of the reshaping layers."""

from fastbp.nn.activations import Flatten, Unflatten

__all__ = ["Flatten", "Unflatten"]
