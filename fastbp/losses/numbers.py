"""Losses of numbers: their mean, median and quantiles, their spread, their counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastbp import checks
from fastbp.losses.elementwise import Choosing, ElementwiseLoss
from fastbp.operations.losses import LOSSES as ROWS
from fastbp.operations.losses import Loss as Row

__all__ = [
    "GaussianLoss",
    "HuberLoss",
    "LogCoshLoss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "PoissonLoss",
    "QuantileLoss",
]


class MeanSquaredError(ElementwiseLoss, row="squared", name="squared_error"):
    """Squared error: ``mean((x - t)^2)`` over all elements.

    Parameters
    ----------
    output_weights : sequence of float or None
        The weight of each column of the targets; the mean over a row is by them.

    Attributes
    ----------
    loss : float
        The last forward's loss, in the squared unit of x.
    y, t : numpy.ndarray
        The last predictions and targets, of x's shape.

    Raises
    ------
    ValueError, TypeError
        From forward, for targets of another shape: an (n,) target against an (n, 1) output is
        refused, where broadcasting would average n x n differences.  RuntimeError from
        backward before forward.

    References
    ----------
    Bishop, Pattern Recognition and Machine Learning (2006), section 5.2, with the mean in
    place of half the sum.

    Examples
    --------
    >>> import numpy as np
    >>> loss = MeanSquaredError()
    >>> loss.forward(np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    2.0
    >>> loss.backward()
    array([0., 2.])
    """


class MeanAbsoluteError(ElementwiseLoss, row="absolute", name="absolute_error"):
    """Absolute error: ``mean(|x - t|)`` over all elements; its derivative at 0 is taken as 0.

    Parameters
    ----------
    output_weights : sequence of float or None
        The weight of each column of the targets; the mean over a row is by them.

    Attributes
    ----------
    loss : float
        The last forward's loss, in the unit of x.
    y, t : numpy.ndarray
        The last predictions and targets, of x's shape.

    Raises
    ------
    ValueError, TypeError
        From forward, for targets of another shape.  RuntimeError from backward before forward.

    References
    ----------
    Boyd & Vandenberghe, Convex Optimization (2004), section 6.1.

    Examples
    --------
    >>> import numpy as np
    >>> loss = MeanAbsoluteError()
    >>> loss.forward(np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    1.0
    >>> loss.backward()
    array([0. , 0.5])
    """


class HuberLoss(ElementwiseLoss, row="huber", name="huber"):
    """Huber's loss: ``mean(d^2 / 2)`` where ``|d| <= delta``, else ``delta (|d| - delta / 2)``.

    The mean is over all elements, d = x - t.

    Parameters
    ----------
    delta : float
        Where the parabola goes over into a line, in the unit of x.
    output_weights : sequence of float or None
        The weight of each column of the targets; the mean over a row is by them.

    Attributes
    ----------
    loss : float
        The last forward's loss, in the squared unit of x.
    y, t : numpy.ndarray
        The last predictions and targets, of x's shape.

    Raises
    ------
    ValueError, TypeError
        For a delta that is not above 0; from forward, for targets of another shape.
        RuntimeError from backward before forward.

    References
    ----------
    Huber, Robust estimation of a location parameter (1964).

    Examples
    --------
    >>> import numpy as np
    >>> loss = HuberLoss(delta=1.0)
    >>> loss.forward(np.array([1.0, 3.0]), np.array([1.0, 0.0]))
    1.25
    >>> loss.backward()
    array([0. , 0.5])
    """

    options: tuple[str, ...] = ("delta", "output_weights")
    delta: checks.Checked = checks.Checked(checks.positive)

    def __init__(self, delta: float = 1.0, *, output_weights: Sequence[float] | None = None) -> None:
        super().__init__(output_weights=output_weights)
        self.delta = delta

    @property
    def kind_number(self) -> float:  # type: ignore[override]
        return self.delta


def _quantiles(who, name, given):
    """One quantile, or a tuple of several in the order of their size."""
    if isinstance(given, str) or not np.iterable(given):
        return checks.number(who, name, given, least=0, most=1)
    several = tuple(checks.number(who, name, one, least=0, most=1) for one in given)
    if not several or sorted(set(several)) != list(several):
        raise ValueError(f"{who} expects several quantiles in the order of their size; got {checks.shown(given)}.")
    return several


class QuantileLoss(ElementwiseLoss, row="quantile", name="quantile"):
    """Quantile, or pinball, loss: ``mean(max(quantile (t - x), (1 - quantile) (x - t)))``.

    The predictions that make it least are that quantile of the targets.  The mean is over all
    elements; the derivative where x = t is taken as 0.

    Parameters
    ----------
    quantile : float or sequence of float
        Between 0 and 1.  Several are for one network with an output for each: the first outputs are
        the quantiles of the first column of the targets.  ``np.sort(net.predict(x), axis=1)``
        has those of one column without crossings.
    quantiles : sequence of float or None
        Another name of `quantile`.
    output_weights : sequence of float or None
        The weight of each column of the targets; the mean over a row is by them.

    Attributes
    ----------
    loss : float
        The last forward's loss, in the unit of x.
    y, t : numpy.ndarray
        The last predictions and targets, of x's shape; of several quantiles each target is there
        as often.

    Raises
    ------
    ValueError, TypeError
        For a quantile out of range; from forward, for targets of another shape.
        RuntimeError from backward before forward.

    References
    ----------
    Koenker & Bassett, Regression quantiles (1978).

    Examples
    --------
    >>> import numpy as np
    >>> loss = QuantileLoss(0.9)
    >>> round(loss.forward(np.array([1.0, 3.0]), np.array([2.0, 1.0])), 4)
    0.55
    >>> loss.backward()
    array([-0.45,  0.05])
    >>> several = QuantileLoss(quantiles=(0.1, 0.5, 0.9))
    >>> round(several.forward(np.array([[1.0, 2.0, 3.0]]), np.array([2.0])), 4)
    0.0667
    """

    options: tuple[str, ...] = ("quantile", "output_weights")
    quantile: Choosing = Choosing(_quantiles)

    def __init__(
        self,
        quantile: float | Sequence[float] = 0.5,
        *,
        quantiles: Sequence[float] | None = None,
        output_weights: Sequence[float] | None = None,
    ) -> None:
        if quantiles is not None and quantile != 0.5:
            raise TypeError("QuantileLoss expects quantile or quantiles, which mean the same; got both.")
        self.quantile = quantile if quantiles is None else quantiles
        super().__init__(output_weights=output_weights)

    @property
    def kind_number(self) -> float:  # type: ignore[override]
        return self.quantile

    @property
    def _per_target(self):  # type: ignore[override]
        return len(self.quantile) if isinstance(self.quantile, tuple) else 1

    def _is_parted(self):
        return isinstance(self.quantile, tuple) or super()._is_parted()

    def _of_target(self):
        several = self.quantile if isinstance(self.quantile, tuple) else (self.quantile,)
        return [(self.kind, one, 1, 1 / len(several)) for one in several]


class GaussianLoss(ElementwiseLoss, name="gaussian"):
    """Gaussian negative log-likelihood: ``mean((log v + (m - t)^2 / v) / 2)``, v the variance.

    A network has two outputs for each column of the targets, one beside the other: the mean m and the
    logarithm of the variance, v = exp(x) + eps; ``net.predict(x)[:, ::2]`` are the means, and
    ``np.exp(0.5 * net.predict(x)[:, 1::2])`` the standard deviations.  The mean is over the elements
    of the targets; the constant log(2 pi) / 2 is left out, as PyTorch does.

    Parameters
    ----------
    eps : float
        Above 0: what is added to the variances, in the squared unit of the targets.
    output_weights : sequence of float or None
        The weight of each column of the targets; the mean over a row is by them.

    Attributes
    ----------
    loss : float
        The last forward's loss, in nats.
    y, t : numpy.ndarray
        The last predictions, and the targets, of which each is there twice.

    Raises
    ------
    ValueError, TypeError
        For an eps that is not above 0; from forward, for an odd number of outputs, and targets of
        another shape than (n_samples, n_outputs / 2), or (n_samples,) of one.  RuntimeError from
        backward before forward.

    References
    ----------
    Nix & Weigend, Estimating the mean and variance of the target probability distribution (1994).

    Examples
    --------
    >>> import numpy as np
    >>> loss = GaussianLoss()
    >>> round(loss.forward(np.array([[1.0, 0.0], [2.0, np.log(4.0)]]), np.array([2.0, 2.0])), 3)
    0.597
    >>> np.abs(loss.backward().round(3))
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """

    kind = "gaussian"
    row: Row = ROWS["squared"]  # whose targets are numbers, too
    options: tuple[str, ...] = ("eps", "output_weights")
    eps: checks.Checked = checks.Checked(checks.positive)
    _per_target = 2

    def __init__(self, eps: float = 1e-6, *, output_weights: Sequence[float] | None = None) -> None:
        super().__init__(output_weights=output_weights)
        self.eps = eps

    @property
    def kind_number(self) -> float:  # type: ignore[override]
        return self.eps

    def _is_parted(self):
        return True

    def _of_target(self):
        return [(self.kind, self.eps, 2, 1.0)]


class PoissonLoss(ElementwiseLoss, row="poisson", name="poisson"):
    """Half the Poisson deviance: ``mean(t log(t / y) - t + y)``, ``y = exp(x)``.

    The predictions x are logarithms of rates y, the targets counts or others of at least 0; 0 log 0
    is 0.  The mean is over all elements.

    Parameters
    ----------
    output_weights : sequence of float or None
        The weight of each column of the targets; the mean over a row is by them.

    Attributes
    ----------
    loss : float
        The last forward's loss.
    y, t : numpy.ndarray
        The last rates and targets, of x's shape.

    Raises
    ------
    ValueError, TypeError
        From forward, for targets of another shape or below 0.  RuntimeError from backward before
        forward.

    References
    ----------
    McCullagh & Nelder, Generalized linear models (1989), section 2.3.

    Examples
    --------
    >>> import numpy as np
    >>> loss = PoissonLoss()
    >>> loss.forward(np.array([0.0, 0.0]), np.array([0.0, 1.0]))
    0.5
    >>> loss.backward()
    array([0.5, 0. ])
    """


class LogCoshLoss(ElementwiseLoss, row="log_cosh", name="log_cosh"):
    """The logarithm of the difference's hyperbolic cosine: ``mean(log(cosh(x - t)))``.

    Half the square near 0 and a line far from it, as Huber's, but smooth.  The mean is over all
    elements.

    Parameters
    ----------
    output_weights : sequence of float or None
        The weight of each column of the targets; the mean over a row is by them.

    Attributes
    ----------
    loss : float
        The last forward's loss.
    y, t : numpy.ndarray
        The last predictions and targets, of x's shape.

    Raises
    ------
    ValueError, TypeError
        From forward, for targets of another shape.  RuntimeError from backward before forward.

    References
    ----------
    Green, Iteratively reweighted least squares for maximum likelihood estimation (1984).

    Examples
    --------
    >>> import numpy as np
    >>> loss = LogCoshLoss()
    >>> round(loss.forward(np.array([1.0, 2.0]), np.array([1.0, 0.0])), 4)
    0.6625
    >>> loss.backward().round(4)
    array([0.   , 0.482])
    """
