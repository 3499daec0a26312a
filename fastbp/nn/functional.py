"""The functional forms of layers and losses, on Tensors, with PyTorch's names and numbers."""

from fastbp import functional
from fastbp.functional import *  # noqa: F403
from fastbp.missing import attribute_error

__all__ = functional.__all__


def __getattr__(name):
    raise attribute_error("fastbp.nn.functional", name)
