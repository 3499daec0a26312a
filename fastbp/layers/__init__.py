"""Layers: thin classes over the kernels, with the book's names.

`forward(x)` keeps what `backward(dout)` needs; `evaluate(x)` computes the same in evaluation
mode and keeps nothing.  Layers read the current contents of their arrays at every call.

`base` has what they share, and each kind a file; `pytorch` has those with PyTorch's arguments,
loaded when they are asked for.
"""

from fastbp import losses
from fastbp.layers.activations import Gelu, Identity, LeakyRelu, ReLU, Relu, Sigmoid, Softplus, Tanh
from fastbp.layers.affine import Affine, Linear
from fastbp.layers.arithmetic import AddLayer, MulLayer
from fastbp.layers.base import Layer
from fastbp.layers.dropout import Dropout
from fastbp.layers.embedding import Embeddings
from fastbp.layers.flatten import Flatten
from fastbp.layers.normalization import BatchNorm1d, BatchNormalization
from fastbp.losses import *  # noqa: F403

__all__ = [
    "AddLayer",
    "Affine",
    "BatchNorm1d",
    "BatchNormalization",
    "Dropout",
    "Embeddings",
    "Flatten",
    "Gelu",
    "Identity",
    "Layer",
    "LeakyRelu",
    "Linear",
    "MulLayer",
    "ReLU",
    "Relu",
    "Sigmoid",
    "Softplus",
    "Tanh",
]
__all__ += losses.__all__
