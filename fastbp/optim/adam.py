"""PyTorch's place of `Adam`."""

from fastbp.optim.rules import Adam

__all__ = ["Adam"]
