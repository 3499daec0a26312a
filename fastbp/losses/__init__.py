"""Losses: thin classes over the kernels, with the book's attributes.

Each takes (prediction, target), averages, and gives the gradient of the average.  `base` is what all
share, `classes`, `binary` and `numbers` are those of as many kinds of targets, the last two over
`elementwise`, and `tasks` those of several kinds, over `parts`.
"""

from fastbp.losses.base import LOSSES, Loss, loss_of  # noqa: F401
from fastbp.losses.binary import FocalLoss, HingeLoss, SigmoidWithLoss
from fastbp.losses.classes import SoftmaxWithLoss, cross_entropy_error, softmax
from fastbp.losses.numbers import (
    GaussianLoss,
    HuberLoss,
    LogCoshLoss,
    MeanAbsoluteError,
    MeanSquaredError,
    PoissonLoss,
    QuantileLoss,
)
from fastbp.losses.tasks import MultiTaskLoss

__all__ = [
    "FocalLoss",
    "GaussianLoss",
    "HingeLoss",
    "HuberLoss",
    "LogCoshLoss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "MultiTaskLoss",
    "PoissonLoss",
    "QuantileLoss",
    "SigmoidWithLoss",
    "SoftmaxWithLoss",
    "cross_entropy_error",
    "softmax",
]
