"""`lr_finder`: a short training at growing rates, which tells the rate to begin with."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks, init
from fastbp.backend import kernels
from fastbp.optim.rule import rule_of
from fastbp.training import labels, plans
from fastbp.training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastbp._typing import ArrayLike, Path
    from fastbp.modules import Module
    from fastbp.optim import Optimizer

__all__ = ["LRFinder", "lr_finder"]

#: A smoothed loss so many times the least one has left the valley.
DIVERGED = 4.0
#: Share of the earlier losses in the smoothed one.
SMOOTHING = 0.9
#: Losses at either end whose slope says little.
FIRST, LAST = 10, 5
#: Share of the steps on either side over which a slope goes: between neighbours it is that of their batches.
REACH = 0.1


@dataclasses.dataclass(frozen=True)
class LRFinder:
    """What `lr_finder` saw.

    Attributes
    ----------
    lrs, losses : numpy.ndarray
        (n_steps,) float64: the rate of each step, and its loss before the step.
    smoothed : numpy.ndarray
        (n_steps,) float64: a mean of the losses until then, the newer ones weighing more.
    suggestion : float
        The rate around which the smoothed loss falls most steeply over the logarithm of the rate: over a fifth of the
        steps, as between two it is their batches that differ.
    """

    lrs: np.ndarray[Any, Any]
    losses: np.ndarray[Any, Any]
    smoothed: np.ndarray[Any, Any]
    suggestion: float

    def plot(self, path: Path | None = None) -> Figure:
        """Draw the losses over the rates, with the suggestion; a file where `path` says so.

        Parameters
        ----------
        path : str, os.PathLike or None

        Returns
        -------
        matplotlib.figure.Figure
        """
        from fastbp import plots

        return plots.learning_rates(self.lrs, self.losses, self.smoothed, self.suggestion, path)

    def __repr__(self) -> str:
        return f"LRFinder({len(self.lrs)} steps, suggestion={self.suggestion:.2g})"


def lr_finder(
    net: Module,
    x: ArrayLike,
    t: ArrayLike,
    optimizer: Optimizer | str | None = None,
    *,
    batch_size: int = 32,
    lr_min: float = 1e-6,
    lr_max: float = 10.0,
    n_steps: int = 200,
    seed: int = 0,
) -> LRFinder:
    """Train a copy of a network at rates that grow from step to step, and see where the loss falls.

    It ends early where the smoothed loss has left the valley, above four times the least one.

    Parameters
    ----------
    net : Sequential
        With a loss; nothing of it changes.
    x, t : array_like
        Rows and targets as `Sequential.fit` takes them.
    optimizer : Optimizer, str or None
        What will train the network, as `fit` takes it; its rate is not looked at.
    batch_size : int
        As `fit` will have it: the best rate depends on it.
    lr_min, lr_max : float
        The first rate and the last one, between which they grow by a factor.
    n_steps : int
    seed : int
        Of the order of the rows and the masks of dropout.

    Returns
    -------
    LRFinder

    Raises
    ------
    ValueError, TypeError
        For what does not fit, or a loss that never falls.

    Notes
    -----
    L. N. Smith, Cyclical learning rates for training neural networks, 2017.

    Examples
    --------
    >>> from fastbp import SGD, Linear, Relu, Sequential
    >>> from fastbp.datasets import load_digits
    >>> (x, t), _ = load_digits()
    >>> net = Sequential(Linear(64, 50, seed=0), Relu(), Linear(50, 10, seed=1),
    ...                  loss="softmax_cross_entropy")
    >>> found = lr_finder(net, x, t, SGD())
    >>> bool(0.001 < found.suggestion < 1)
    True
    """
    who = "lr_finder"
    checks.integer(who, "batch_size", batch_size, least=1)
    checks.integer(who, "n_steps", n_steps, least=FIRST + LAST + 5)
    lr_min = checks.number(who, "lr_min", lr_min, least=0)
    lr_max = checks.number(who, "lr_max", lr_max, least=0)
    if not 0 < lr_min < lr_max:
        raise ValueError(f"{who} expects 0 < lr_min < lr_max; got {lr_min:g} and {lr_max:g}.")
    seed = init.seed_of(who, seed)
    if not hasattr(net, "loss_layer_for"):
        raise TypeError(f"{who} expects net as a Sequential; got {checks.shown(net)}.")
    loss_layer = net.loss_layer_for(who)
    description = plans.described(net, who)
    if loss_layer.kind == "softmax" and labels.are_names(t):
        t = labels.indices_of(who, net.classes or labels.classes_of(who, t, description.n_out, lambda one: [one]), t)
    rows = plans.rows_of(who, x, description.entries[0])
    n = len(rows)
    if n == 0:
        raise ValueError(f"{who} expects at least one row in x; got none.")
    t = plans.targets_of(who, loss_layer, t, n, description.n_out, description.dtype)
    x = x.tocsr() if hasattr(x, "tocsr") else rows
    lrs = np.geomspace(lr_min, lr_max, n_steps)
    losses = _losses(copy.deepcopy(net), x, t, rule_of(who, copy.deepcopy(optimizer)), min(batch_size, n), lrs, seed)
    smoothed = _smoothed(losses)
    lrs = lrs[: len(losses)]
    return LRFinder(lrs, losses, smoothed, _steepest(who, lrs, smoothed))


def _losses(net, x, t, optimizer, batch_size, lrs, seed):
    """The loss of each step until one leaves the valley."""
    n, losses = len(t), []
    order, at, epoch = np.arange(n, dtype=np.int64), n, 0
    trainer = Trainer(net, optimizer, batch_size, n_threads=None, seed=seed)
    try:
        for lr in lrs:
            if at + batch_size > n:
                kernels().epoch_order(order, seed, epoch)
                at, epoch = 0, epoch + 1
            rows = order[at : at + batch_size]
            at += batch_size
            trainer.lr = float(lr)
            # Targets are the engine's already, which a step would take for the user's.
            loss = np.empty(1)
            trainer.epoch(x[rows], t[rows], None, np.arange(len(rows)), loss, np.zeros(4))
            if trainer.stopped_by_loss:  # the step that was too long; it is no longer looked for
                break
            losses.append(loss[0])
            smoothed = _smoothed(losses)
            if len(losses) > FIRST and smoothed[-1] > DIVERGED * smoothed.min():
                break
    finally:
        trainer.close()
    return np.array(losses)


def _smoothed(losses):
    """The exponential mean of the losses, without its bias towards its beginning."""
    mean, found = 0.0, []
    for step, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        found.append(mean / (1 - SMOOTHING**step))
    return np.array(found)


def _steepest(who, lrs, smoothed):
    """The rate at which the smoothed loss falls most."""
    inner = slice(FIRST, max(len(lrs) - LAST, FIRST + 3))
    n = len(lrs[inner])
    if n < 3:
        raise ValueError(
            f"{who} expects rates at which training goes well for some steps; got a loss that leaves the valley after "
            f"{checks.plural(len(lrs), 'step')}: take a smaller lr_min."
        )
    reach = max(1, int(REACH * n))
    falls, ways = (each[2 * reach :] - each[: -2 * reach] for each in (smoothed[inner], np.log(lrs[inner])))
    slopes = falls / ways
    if not slopes.min() < 0:
        raise ValueError(
            f"{who} expects a loss that falls at some rate between {lrs[0]:g} and {lrs[-1]:g}; got none: take another "
            "lr_min and lr_max, or more steps."
        )
    return float(lrs[inner][reach + np.argmin(slopes)])
