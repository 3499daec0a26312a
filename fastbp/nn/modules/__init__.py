"""PyTorch's places of the layers, losses and containers: the very objects of `fastbp.nn`."""

from fastbp.nn.modules import (
    activation,
    batchnorm,
    container,
    distance,
    dropout,
    flatten,
    linear,
    loss,
    module,
    normalization,
    sparse,
)
from fastbp.nn.modules.activation import *  # noqa: F403
from fastbp.nn.modules.batchnorm import *  # noqa: F403
from fastbp.nn.modules.container import *  # noqa: F403
from fastbp.nn.modules.distance import *  # noqa: F403
from fastbp.nn.modules.dropout import *  # noqa: F403
from fastbp.nn.modules.flatten import *  # noqa: F403
from fastbp.nn.modules.linear import *  # noqa: F403
from fastbp.nn.modules.loss import *  # noqa: F403
from fastbp.nn.modules.module import *  # noqa: F403
from fastbp.nn.modules.normalization import *  # noqa: F403
from fastbp.nn.modules.sparse import *  # noqa: F403

__all__ = [
    *activation.__all__,
    *batchnorm.__all__,
    *container.__all__,
    *distance.__all__,
    *dropout.__all__,
    *flatten.__all__,
    *linear.__all__,
    *loss.__all__,
    *module.__all__,
    *normalization.__all__,
    *sparse.__all__,
]
