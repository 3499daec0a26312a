"""PyTorch's place of the losses."""

from fastbp.nn import losses
from fastbp.nn.losses import *  # noqa: F403

__all__ = [*losses.__all__]
