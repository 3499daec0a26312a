"""The losses over pairs of elements: of each the formula in NumPy, and its gradient.

Names, numbers and what is kept are those of the rows in ``_kernels/operations.h``; the tests hold
these formulas and the kernels to each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastbp._kernels.losses import losses
from fastbp.operations.activations import sigmoid

_COMPILED = losses()

#: What targets may be: whether each is, and what is said where one is not.
TARGETS: dict[str, tuple[Callable[..., Any], str]] = {
    "numbers": (lambda t: t == t, "numbers"),
    "shares": (lambda t: (t >= 0) & (t <= 1), "between 0 and 1"),
    "bits": (lambda t: (t == 0) | (t == 1), "of 0 and 1"),
    "signs": (lambda t: np.abs(t) == 1, "of -1 and 1"),
    "rates": (lambda t: t >= 0, "of at least 0"),
}


@dataclass(frozen=True)
class Loss:
    """A row.

    Parameters
    ----------
    name : str
        The kernel's and the engine's.
    value : callable
        ``value(x, t, *numbers)``, element by element.
    slope : callable
        ``slope(y, t, *numbers)``, the derivative by x of each; y is x, or what is kept of it.
    numbers : tuple of str
        What its numbers are called.
    kept : callable or None
        ``kept(x)``, what the gradient reads in the place of x.
    targets : str
        A key of `TARGETS`.

    Attributes
    ----------
    kind : int
        Its number in C.
    """

    name: str
    value: Callable[..., Any]
    slope: Callable[..., Any]
    numbers: tuple[str, ...] = ()
    kept: Callable[..., Any] | None = None
    targets: str = "numbers"
    kind: int = field(init=False)

    def __post_init__(self) -> Any:
        vars(self).update(kind=_COMPILED[self.name][0])


def _huber(x, t, delta):
    d = np.abs(x - t)
    return np.where(d <= delta, 0.5 * d * d, delta * (d - 0.5 * delta))


def _quantile(x, t, quantile):
    d = x - t
    return np.where(d > 0, (1 - quantile) * d, -quantile * d)


def _log_cosh(x, t):
    """By cosh(d) = 1 + (1 - e)^2 / (2 e), e = exp(-|d|), near 0."""
    d = np.abs(x - t)
    e = np.expm1(-d)
    near = np.log1p(0.5 * e * e * np.exp(np.minimum(d, 1)))
    return np.where(d < 1, near, d + np.log1p(np.exp(-2 * d)) - np.log(2))


def _focal_parts(x, t, gamma):
    """z, the logit of the target's side, and (1 - sigmoid(z))^gamma."""
    z = (2 * t - 1) * x.astype(np.float64)
    return z, np.exp(-gamma * np.logaddexp(0, z)) if gamma else np.ones_like(z)


def _focal(x, t, gamma):
    z, factor = _focal_parts(x, t, gamma)
    return np.where(factor == 0, 0, factor * np.logaddexp(0, -z))


def _focal_slope(y, t, gamma):
    z, factor = _focal_parts(y, t, gamma)
    right = sigmoid(z)
    return (1 - 2 * t) * factor * (sigmoid(-z) + np.where(right == 0, 0, gamma * right * np.logaddexp(0, -z)))


def _sigmoid(x, t):
    """max(x, 0) - x t + log(1 + exp(-|x|))"""
    return np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))


def _poisson(x, t):
    """Half the deviance, t log(t / y) - t + y with y = exp(x); 0 log 0 is 0."""
    log_ratio = np.log(np.where(t == 0, 1, t), dtype=np.float64) - x
    constants = np.where(t == 0, 0, t * log_ratio) - t
    rates = np.exp(x)
    # Of inf - inf it is inf, as it is never below 0.
    return np.where((constants == -np.inf) & (rates == np.inf), np.inf, constants + rates)


def gaussian(x: Any, t: Any, eps: Any) -> tuple[Any, Any]:
    """The negative log likelihood less a constant, of pairs of a mean and a variance's logarithm.

    ``(log(v) + (mean - t)^2 / v) / 2`` of each, with v = exp(log variance) + eps, and its slope by x: no
    row, as it is not of pairs of an element and its target; t has each target twice.
    """
    x, t = (array.astype(np.float64) for array in (x, t))
    d, e = (x - t)[:, ::2], np.exp(x[:, 1::2])
    v = e + eps
    slope = np.empty_like(x)
    slope[:, ::2], slope[:, 1::2] = d / v, 0.5 * (e / v) * (1 - d / v * d)
    return 0.5 * (np.log(v) + d / v * d), slope


ROWS = [
    Loss("squared", lambda x, t: (x - t) ** 2, lambda y, t: 2 * (y - t)),
    Loss(
        "absolute",
        lambda x, t: np.abs(x - t),
        lambda y, t: np.sign(y - t),  # 0 where they are equal
    ),
    Loss("huber", _huber, lambda y, t, delta: np.clip(y - t, -delta, delta), numbers=("delta",)),
    Loss(
        "quantile", _quantile, lambda y, t, q: np.where(y > t, 1 - q, np.where(y < t, -q, y - t)), numbers=("quantile",)
    ),
    Loss("log_cosh", _log_cosh, lambda y, t: np.tanh(y - t)),
    Loss(
        "hinge",
        lambda x, t: np.maximum(1 - t * x, 0),
        lambda y, t: np.where(t * y < 1, -t, np.where(t * y >= 1, 0, t * y)),
        targets="signs",
    ),
    Loss("focal", _focal, _focal_slope, ("gamma",), targets="bits"),
    Loss("sigmoid", _sigmoid, lambda y, t: y - t, kept=sigmoid, targets="shares"),
    Loss("poisson", _poisson, lambda y, t: y - t, kept=np.exp, targets="rates"),
]
LOSSES = {row.name: row for row in sorted(ROWS, key=lambda row: row.kind)}
