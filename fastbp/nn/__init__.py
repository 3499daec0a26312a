"""PyTorch's names of layers, losses and containers.

A layer called on an array is the book's `forward`; called on a Tensor it makes a node of the
graph.  Where a layer of the book means the same, it has PyTorch's name here: ``nn.ReLU is
fastbp.Relu``.  PyTorch's places of them, as `fastbp.nn.modules.linear`, are loaded when touched.
"""

import importlib

from fastbp.autograd import Parameter
from fastbp.layers import Identity, ReLU, Sigmoid, Tanh
from fastbp.missing import attribute_error
from fastbp.modules import Module
from fastbp.network import Sequential
from fastbp.nn import functional, init, utils
from fastbp.nn.activations import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    Dropout,
    Flatten,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    ReLU6,
    SiLU,
    Softmax,
    Softmin,
    Softplus,
    Softsign,
    Tanhshrink,
    Threshold,
    Unflatten,
)
from fastbp.nn.containers import ModuleDict, ModuleList, ParameterDict, ParameterList
from fastbp.nn.distances import CosineSimilarity, PairwiseDistance
from fastbp.nn.losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CosineEmbeddingLoss,
    CrossEntropyLoss,
    GaussianNLLLoss,
    HingeEmbeddingLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MarginRankingLoss,
    MSELoss,
    NLLLoss,
    PoissonNLLLoss,
    SmoothL1Loss,
    TripletMarginLoss,
)
from fastbp.nn.weighted import BatchNorm1d, Embedding, LayerNorm, Linear, PReLU

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "CosineEmbeddingLoss",
    "CosineSimilarity",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianNLLLoss",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "Identity",
    "KLDivLoss",
    "L1Loss",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "MarginRankingLoss",
    "Mish",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "PReLU",
    "PairwiseDistance",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "PoissonNLLLoss",
    "ReLU",
    "ReLU6",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "TripletMarginLoss",
    "Unflatten",
    "functional",
    "init",
    "utils",
]


def __getattr__(name):
    if name in ("modules", "parameter"):
        return importlib.import_module(f"fastbp.nn.{name}")
    raise attribute_error("fastbp.nn", name)
