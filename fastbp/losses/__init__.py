"""Losses: thin classes over the kernels, with the book's attributes.

Each takes (prediction, target), averages, and gives the gradient of the average.  `base` is what all
share, `classes`, `binary` and `numbers` are those of as many kinds of targets, the last two over
`elementwise`, and `tasks` those of several kinds, over `parts`.
"""

# ruff: noqa: F401, F403, F405
from fastbp.losses.base import LOSSES, Loss, loss_of
from fastbp.losses.binary import *
from fastbp.losses.classes import *
from fastbp.losses.numbers import *
from fastbp.losses.tasks import *

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
