"""PyTorch's place of `AdamW`."""

from fastbp.optim.rules import AdamW

__all__ = ["AdamW"]
