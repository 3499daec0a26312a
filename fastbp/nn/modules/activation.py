"""PyTorch's place of the activations."""

from fastbp.layers import activations
from fastbp.layers.activations import *  # noqa: F403
from fastbp.layers.pytorch import GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Softmin, Softplus, Tanh
from fastbp.nn.activations import GLU
from fastbp.nn.weighted import PReLU

__all__ = [
    "GELU",
    "GLU",
    "LeakyReLU",
    "LogSoftmax",
    "PReLU",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "Softmin",
    "Softplus",
    "Tanh",
]
__all__ += activations.__all__
