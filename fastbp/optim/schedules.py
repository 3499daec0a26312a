"""Schedules of the learning rate, as `fit` takes them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fastbp import checks

if TYPE_CHECKING:
    from fastbp._typing import Schedule

__all__ = ["CosineDecay", "InverseScaling", "StepDecay", "WarmUp"]

# A schedule is a function of the epochs done (a float, at each step) that gives the factor of
# the optimiser's learning rate.


class StepDecay:
    """The learning rate times `factor` after every `every` epochs.

    Parameters
    ----------
    every : int
    factor : float

    Examples
    --------
    >>> [StepDecay(every=2, factor=0.5)(epoch) for epoch in (0, 1.9, 2, 4)]
    [1.0, 1.0, 0.5, 0.25]
    """

    def __init__(self, every: int, factor: float = 0.1) -> None:
        self.every: int = checks.integer("StepDecay", "every", every, least=1)
        self.factor: float = checks.number("StepDecay", "factor", factor, least=0)

    def __call__(self, epoch: float) -> float:
        epoch = checks.number("StepDecay", "epoch", epoch, least=0)
        return self.factor ** (epoch // self.every)


class CosineDecay:
    """From 1 down to `least` over `epochs`, along half a cosine.

    Parameters
    ----------
    epochs : int
    least : float

    References
    ----------
    Loshchilov & Hutter, SGDR: stochastic gradient descent with warm restarts (2017).

    Examples
    --------
    >>> [round(CosineDecay(epochs=10)(epoch), 4) for epoch in (0, 5, 10)]
    [1.0, 0.5, 0.0]
    """

    def __init__(self, epochs: int, least: float = 0.0) -> None:
        self.epochs: int = checks.integer("CosineDecay", "epochs", epochs, least=1)
        self.least: float = checks.number("CosineDecay", "least", least, least=0)

    def __call__(self, epoch: float) -> float:
        epoch = checks.number("CosineDecay", "epoch", epoch, least=0)
        share = min(epoch / self.epochs, 1)
        return self.least + (1 - self.least) * 0.5 * (1 + math.cos(math.pi * share))


class WarmUp:
    """From 0 up to 1 over `epochs`, then another schedule from its beginning.

    Parameters
    ----------
    epochs : float
    then : callable or None

    Examples
    --------
    >>> [WarmUp(2, then=StepDecay(1, 0.5))(epoch) for epoch in (0, 1, 2, 3)]
    [0.0, 0.5, 1.0, 0.5]
    """

    def __init__(self, epochs: float, then: Schedule | None = None) -> None:
        self.epochs: float = checks.number("WarmUp", "epochs", epochs, least=0)
        if then is not None:
            checks.function("WarmUp", "then", then, "a schedule")
        self.then = then

    def __call__(self, epoch: float) -> float:
        epoch = checks.number("WarmUp", "epoch", epoch, least=0)
        if epoch < self.epochs:
            return epoch / self.epochs
        return 1.0 if self.then is None else self.then(epoch - self.epochs)


class InverseScaling:
    """``1 / (1 + epoch) ** power``.

    Parameters
    ----------
    power : float

    Examples
    --------
    >>> [InverseScaling(0.5)(epoch) for epoch in (0, 3)]
    [1.0, 0.5]
    """

    def __init__(self, power: float = 0.5) -> None:
        self.power: float = checks.number("InverseScaling", "power", power, least=0)

    def __call__(self, epoch: float) -> float:
        epoch = checks.number("InverseScaling", "epoch", epoch, least=0)
        return 1 / (1 + epoch) ** self.power
