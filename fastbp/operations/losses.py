"""The losses over pairs of elements: of each the formula in NumPy, and its gradient.

Names, numbers and what is kept are those of the rows in ``_kernels/operations.h``; the tests hold
these formulas and the kernels to each other.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastbp._kernels.losses import losses
from fastbp.operations.activations import sigmoid

_COMPILED = losses()


@dataclass(frozen=True)
class Loss:
    """A row.

    Parameters
    ----------
    name : str
        The kernel's and the engine's.
    total : callable
        ``total(x, t, *numbers)``, the sum over the elements.
    slope : callable
        ``slope(y, t, *numbers)``, the derivative by x of each; y is x, or what is kept of it.
    numbers : tuple of str
        What its numbers are called.
    kept : callable or None
        ``kept(x)``, what the gradient reads in the place of x.

    Attributes
    ----------
    kind : int
        Its number in C.
    """

    name: str
    total: Callable[..., Any]
    slope: Callable[..., Any]
    numbers: tuple[str, ...] = ()
    kept: Callable[..., Any] | None = None
    kind: int = field(init=False)

    def __post_init__(self):
        vars(self).update(kind=_COMPILED[self.name][0])


def _difference(x, t):
    return x.astype(np.float64) - t


def _huber(x, t, delta):
    d = np.abs(_difference(x, t))
    return np.where(d <= delta, 0.5 * d * d, delta * (d - 0.5 * delta)).sum()


def _quantile(x, t, quantile):
    d = _difference(x, t)
    return np.where(d > 0, (1 - quantile) * d, -quantile * d).sum()


def _log_cosh(x, t):
    """By cosh(d) = 1 + (1 - e)^2 / (2 e), e = exp(-|d|), near 0."""
    d = np.abs(_difference(x, t))
    e = np.expm1(-d)
    near = np.log1p(0.5 * e * e * np.exp(np.minimum(d, 1)))
    return np.where(d < 1, near, d + np.log1p(np.exp(-2 * d)) - np.log(2)).sum()


def _hinge(x, t):
    return np.maximum(1 - t.astype(np.float64) * x, 0).sum()


def _sigmoid(x, t):
    """max(x, 0) - x t + log(1 + exp(-|x|))"""
    losses = np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))
    return losses.sum(dtype=np.float64)


def _poisson(x, t):
    """Half the deviance, t log(t / y) - t + y with y = exp(x); 0 log 0 is 0."""
    log_ratio = np.log(np.where(t == 0, 1, t), dtype=np.float64) - x
    constants = np.where(t == 0, 0, t * log_ratio) - t
    rates = np.exp(x)
    total = (constants + rates).sum(dtype=np.float64)
    # Of inf - inf it is inf, as no element's loss is below 0.
    numbers = not (np.isnan(constants).any() or np.isnan(rates).any())
    return np.inf if np.isnan(total) and numbers else total


ROWS = [
    Loss("squared", lambda x, t: np.square(_difference(x, t)).sum(), lambda y, t: 2 * (y - t)),
    Loss(
        "absolute",
        lambda x, t: np.abs(_difference(x, t)).sum(),
        lambda y, t: np.sign(y - t),  # 0 where they are equal
    ),
    Loss("huber", _huber, lambda y, t, delta: np.clip(y - t, -delta, delta), numbers=("delta",)),
    Loss(
        "quantile",
        _quantile,
        lambda y, t, q: np.where(y > t, 1 - q, np.where(y < t, -q, y - t)),
        numbers=("quantile",),
    ),
    Loss("log_cosh", _log_cosh, lambda y, t: np.tanh(y - t)),
    Loss("hinge", _hinge, lambda y, t: np.where(t * y < 1, -t, np.where(t * y >= 1, 0, t * y))),
    Loss("sigmoid", _sigmoid, lambda y, t: y - t, kept=sigmoid),
    Loss("poisson", _poisson, lambda y, t: y - t, kept=np.exp),
]
LOSSES = {row.name: row for row in sorted(ROWS, key=lambda row: row.kind)}
