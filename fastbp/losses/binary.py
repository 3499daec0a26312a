"""Losses of truth values: of logits, of margins, of rare ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fastbp import checks
from fastbp.backend import kernels
from fastbp.losses.elementwise import ElementwiseLoss

if TYPE_CHECKING:
    from fastbp._typing import Array

__all__ = ["FocalLoss", "HingeLoss", "SigmoidWithLoss"]


class SigmoidWithLoss(ElementwiseLoss, row="sigmoid", name="sigmoid_cross_entropy"):
    """Sigmoid and binary cross-entropy: ``mean(max(x, 0) - x t + log(1 + exp(-|x|)))``.

    The mean is over all elements; targets lie between 0 and 1 and have the logits' shape.

    Parameters
    ----------
    output_weights : sequence of float or None
        The weight of each column of the targets; the mean over a row is by them.

    Attributes
    ----------
    loss : float
        The last forward's loss, in nats.
    y, t : numpy.ndarray
        The last forward's sigmoid and targets, of x's shape.

    Raises
    ------
    ValueError, TypeError
        From forward, for targets of another shape or outside of [0, 1].  RuntimeError from
        backward before forward.

    References
    ----------
    Saito, Deep Learning from Scratch 2 (2018), section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> loss = SigmoidWithLoss()
    >>> round(loss.forward(np.array([[0.0], [2.0]]), np.array([[0.0], [1.0]])), 4)
    0.41
    >>> loss.backward().round(4)
    array([[ 0.25  ],
           [-0.0596]])
    """

    classifies = True

    def _checked(self, who, t, like):
        return checks.binary_targets(who, t, like)

    def accuracy(self, x: Array, t: Array) -> float:
        x, t, _ = self._prepare(x, t)
        return self._share((x > 0) == (t > 0.5))

    def probabilities(self, x: Array) -> Array:
        y = np.empty(x.shape, x.dtype)
        kernels().activation_forward("sigmoid", x.reshape(-1), y.reshape(-1))
        return y


class HingeLoss(ElementwiseLoss, row="hinge", name="hinge"):
    """Hinge loss: ``mean(max(1 - t x, 0))``, of targets -1 and 1.

    The mean is over all elements; the derivative where t x = 1 is taken as 0.

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
        From forward, for targets of another shape, or other than -1 and 1.  RuntimeError from
        backward before forward.

    References
    ----------
    Cortes & Vapnik, Support-vector networks (1995).

    Examples
    --------
    >>> import numpy as np
    >>> loss = HingeLoss()
    >>> loss.forward(np.array([0.5, 2.0]), np.array([-1.0, 1.0]))
    0.75
    >>> loss.backward()
    array([0.5, 0. ])
    """


class FocalLoss(ElementwiseLoss, row="focal", name="focal"):
    """Focal loss: ``mean(-(1 - y)^gamma log(y))``, y the sigmoid at the target's side.

    Binary cross-entropy in which what is classified well counts less: y = sigmoid(x) where t is 1,
    and 1 - sigmoid(x) where it is 0; gamma 0 is `SigmoidWithLoss`.  The mean is over all elements.

    Parameters
    ----------
    gamma : float
        Of at least 0.
    output_weights : sequence of float or None
        The weight of each column of the targets; the mean over a row is by them.

    Attributes
    ----------
    loss : float
        The last forward's loss.
    y, t : numpy.ndarray
        The last logits and targets, of x's shape.

    Raises
    ------
    ValueError, TypeError
        For a gamma below 0; from forward, for targets of another shape, or other than 0 and 1.
        RuntimeError from backward before forward.

    References
    ----------
    Lin et al., Focal loss for dense object detection (2017).

    Examples
    --------
    >>> import numpy as np
    >>> loss = FocalLoss(gamma=2.0)
    >>> round(loss.forward(np.array([0.0, 2.0]), np.array([0.0, 1.0])), 4)
    0.0875
    >>> loss.backward().round(4)
    array([ 0.1491, -0.0024])
    """

    options: tuple[str, ...] = ("gamma", "output_weights")
    classifies = True
    gamma: checks.Checked = checks.Checked(checks.number, least=0)

    def __init__(self, gamma: float = 2.0, *, output_weights: Sequence[float] | None = None) -> None:
        super().__init__(output_weights=output_weights)
        self.gamma = gamma

    @property
    def kind_number(self) -> float:  # type: ignore[override]
        return self.gamma

    accuracy = SigmoidWithLoss.accuracy
    probabilities = SigmoidWithLoss.probabilities
