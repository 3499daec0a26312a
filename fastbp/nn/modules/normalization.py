"""PyTorch's place of the layer normalisation."""

from fastbp.nn.weighted import LayerNorm

__all__ = ["LayerNorm"]
