"""The loss of one class of several, and what it is made of: softmax and cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp._kernels import passes
from fastbp._kernels.autograd import operation
from fastbp.backend import kernels
from fastbp.losses.base import LOSSES, Loss, mean

if TYPE_CHECKING:
    from fastbp._typing import Array, ArrayLike, DTypeLike, TensorLike

__all__ = ["SoftmaxWithLoss", "cross_entropy_error", "softmax"]


class SoftmaxWithLoss(Loss):
    """Softmax and cross-entropy: ``-mean_r sum_j t[r, j] log softmax(x[r])[j]``.

    The mean is over the rows. It is exact (log-sum-exp of each row), where the book takes
    ``log(y + 1e-7)``.

    Parameters
    ----------
    label_smoothing : float
        Between 0 and 1: the share of each target that all classes have alike, as PyTorch has it.

    Attributes
    ----------
    loss : float
        The last forward's loss, in nats.
    y : numpy.ndarray
        The last forward's softmax, of x's shape.
    t : numpy.ndarray
        The last targets, int64 (n_samples,) or rows (n_samples, n_classes).

    Raises
    ------
    ValueError, TypeError
        From forward, for class indices out of range, of a floating dtype or as a column, and
        for rows that do not sum to 1.  RuntimeError from backward before forward.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 5.6.3 and appendix A; Szegedy et al.,
    Rethinking the inception architecture for computer vision (2016), section 7.

    Examples
    --------
    >>> import numpy as np
    >>> loss = SoftmaxWithLoss()
    >>> round(loss.forward(np.array([[0.0, 0.0], [0.0, 2.0]]), np.array([0, 1])), 4)
    0.41
    >>> loss.backward().round(4)
    array([[-0.25  ,  0.25  ],
           [ 0.0596, -0.0596]])
    """

    kind = "softmax"
    classifies = True
    _pass = passes.SOFTMAX
    options: tuple[str, ...] = ("label_smoothing",)

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    @property
    def label_smoothing(self) -> float:
        """The share of each target that all classes have alike."""
        return self.kind_number

    @label_smoothing.setter
    def label_smoothing(self, value: float) -> None:
        self.kind_number = checks.number(type(self).__name__, "label_smoothing", value, 0, 1)

    def config(self) -> dict[str, Any]:
        return super().config() if self.label_smoothing else {}

    def targets(self, who: str, t: ArrayLike, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        return checks.class_targets(who, t, shape, dtype, one_sample=shape[0] == 1)

    def _shares(self, t, like):
        """Targets as the kernels take them: classes, or rows of shares, smoothed."""
        smoothing, n = like.dtype.type(self.label_smoothing), like.shape[1]
        if not smoothing:
            return t
        shares = np.full(like.shape, smoothing / n, like.dtype)
        if t.ndim == 2:
            return shares + (1 - smoothing) * t
        shares[np.arange(len(t)), t] += 1 - smoothing
        return shares

    def _prepare(self, x, t):
        who = type(self).__name__
        x = checks.floats(who, "x", x)
        shape = x.shape
        if len(shape) == 1:
            x = x.reshape(1, -1)
        if x.ndim != 2 or x.shape[1] == 0:
            raise ValueError(f"{who} expects x of shape (n_samples, n_classes); got {shape}.")
        t = checks.class_targets(who, t, x.shape, x.dtype, one_sample=len(shape) == 1)
        return x, t, shape

    def _value(self, x, t):
        y, t = np.empty(x.shape, x.dtype), self._shares(t, x)
        if t.ndim == 1:
            total = kernels().softmax_cross_entropy_forward(x, t, y)
        else:
            total = kernels().soft_cross_entropy_forward(x, t, y)
        return mean(total, len(x)), y

    def accuracy(self, x: Array, t: Array) -> float:
        x, t, _ = self._prepare(x, t)
        if t.ndim == 2:
            t = t.argmax(axis=1)
        return self._share(x.argmax(axis=1) == t)

    def probabilities(self, x: Array) -> Array:
        return softmax(x)

    def _gradient(self, y, t, dout):
        if y.ndim == 1:
            y = y[np.newaxis]
        dx, t = np.empty(y.shape, y.dtype), self._shares(t, y)
        scale = mean(dout, len(y))
        if t.ndim == 1:
            kernels().softmax_cross_entropy_backward(y, t, scale, dx)
        else:
            kernels().soft_cross_entropy_backward(y, t, scale, dx)
        return dx


LOSSES["softmax_cross_entropy"] = SoftmaxWithLoss


@operation
def softmax(x: TensorLike, dim: int | None = None, dtype: DTypeLike | None = None, *, axis: int | None = None) -> Any:
    """Softmax of each row: ``exp(x[r, j]) / sum_k exp(x[r, k])``.

    Parameters
    ----------
    x : array_like or Tensor
        Shape (n_samples, n_classes) or (n_classes,); a Tensor may have any.
    dim, dtype : int, dtype
        Of a Tensor only: the dimension that sums to 1, and the dtype of the result.
    axis : int
        Another name of `dim`.

    Returns
    -------
    numpy.ndarray
        Of x's shape; each row sums to 1.

    Raises
    ------
    ValueError
        For another number of dimensions, or no classes.
    TypeError
        For both dim and axis, or one of them or a dtype beside an array.

    Examples
    --------
    >>> softmax([[0.0, 0.0], [1000.0, 0.0]])
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    if hasattr(x, "requires_grad"):
        from fastbp import autograd

        if dim is not None and axis is not None:
            raise TypeError("softmax expects dim or axis, which mean the same; got both.")
        return autograd.softmax(x, axis if dim is None else dim, dtype)
    if dim is not None or axis is not None or dtype is not None:
        raise TypeError("softmax expects dim, axis and dtype beside a Tensor only; got an array, whose rows sum to 1.")
    x = checks.floats("softmax", "x", x)
    if x.ndim not in (1, 2) or x.shape[-1] == 0:
        raise ValueError(f"softmax expects x of shape (n_samples, n_classes); got {x.shape}.")
    y = np.empty(x.shape, x.dtype)
    n_classes = x.shape[-1]
    kernels().softmax_forward(x.reshape(-1, n_classes), y.reshape(-1, n_classes))
    return y


def cross_entropy_error(y: ArrayLike, t: ArrayLike) -> float:
    """Cross-entropy of probabilities: ``-mean_r sum_j t[r, j] log y[r, j]``.

    `SoftmaxWithLoss` computes softmax and this in one, exactly; here a probability of 0 at the
    right class gives inf.

    Parameters
    ----------
    y : array_like
        Probabilities, (n_samples, n_classes) or (n_classes,).
    t : array_like
        Class indices (n_samples,), or one-hot or soft rows of y's shape.

    Returns
    -------
    float
        In nats, averaged over the rows.

    Raises
    ------
    ValueError, TypeError
        For targets that do not fit, and numbers in y that are below 0 or above 1.

    Examples
    --------
    >>> round(cross_entropy_error([[0.5, 0.5], [0.2, 0.8]], [0, 1]), 4)
    0.4581
    """
    who = "cross_entropy_error"
    y = checks.floats(who, "y", y)
    one_sample = y.ndim == 1
    rows = y[np.newaxis] if one_sample else y
    if rows.ndim != 2:
        raise ValueError(f"{who} expects y of shape (n_samples, n_classes); got {y.shape}.")
    if y.size and (y.min() < 0 or y.max() > 1 + checks.ROW_SUM_TOLERANCE):
        raise ValueError(
            f"{who} expects y of probabilities, as softmax(x) gives; got numbers from {y.min():g} to {y.max():g}."
        )
    t = checks.class_targets(who, t, rows.shape, y.dtype, one_sample)
    with np.errstate(divide="ignore"):
        log_y = np.log(rows)
    if t.ndim == 1:
        return float(-log_y[np.arange(len(t)), t].mean(dtype=np.float64))
    return float(-(t * np.where(t == 0, 0, log_y)).sum(dtype=np.float64) / len(t))
