"""How good predictions are, and a baseline's beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastbp import checks

if TYPE_CHECKING:
    from fastbp._typing import Array, ArrayLike

__all__ = ["confusion", "of_classes", "of_numbers"]

#: What a probability of 0 counts as where its class is the true one, as in scikit-learn.
_SURE = np.finfo(np.float64).eps


def of_classes(p: ArrayLike, t: ArrayLike) -> dict[str, float]:
    """Scores of probabilities against the true classes.

    Parameters
    ----------
    p : array_like
        (n, n_classes): rows that sum to 1.
    t : array_like
        (n,): class indices.

    Returns
    -------
    dict of str to float
        ``accuracy``; ``balanced_accuracy`` and ``f1``, means over the classes that have rows (for
        `f1` or predictions); ``roc_auc``, of the second of two classes or the mean of each class
        against the rest; ``log_loss`` in nats; ``brier``, the mean over rows of the squared
        distance to the true class's row of 0 and 1 (of two classes half of it, the usual one).
        NaN of `roc_auc` where there is one class only.

    Raises
    ------
    ValueError, TypeError
        For rows that are no probabilities, and for classes that these have no column of.

    Notes
    -----
    scikit-learn's numbers, which the tests compare.

    Examples
    --------
    >>> scores = of_classes(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 1]))
    >>> scores["accuracy"], scores["roc_auc"], round(scores["brier"], 3)
    (1.0, 1.0, 0.085)
    """
    p, t = _judged("of_classes", p, t)
    n, n_classes = p.shape
    table = _counts(p, t)
    hits, true, said = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        recalls = hits[true > 0] / true[true > 0]
        some = true + said > 0
        f1 = 2 * hits[some] / (true + said)[some]
    own = p[np.arange(n), t]
    squares = (p**2).sum(axis=1) - own**2 + (1 - own) ** 2
    columns = [1] if n_classes == 2 else range(n_classes)
    areas = [_roc_auc(p[:, k], t == k) for k in columns]
    return {
        "accuracy": float(hits.sum() / n),
        "balanced_accuracy": float(recalls.mean()),
        "f1": float(f1.mean()),
        "roc_auc": float(np.mean([area for area in areas if area == area] or [np.nan])),
        "log_loss": float(-np.log(np.clip(own, _SURE, 1 - _SURE)).mean()),
        "brier": float(squares.mean() / (2 if n_classes == 2 else 1)),
    }


def confusion(p: ArrayLike, t: ArrayLike) -> Array:
    """Rows by true class (rows) and predicted class (columns): (n_classes, n_classes) int64.

    `p` and `t` as `of_classes` takes them.

    Examples
    --------
    >>> confusion([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]], [0, 1, 0])
    array([[1, 1],
           [0, 1]])
    """
    return _counts(*_judged("confusion", p, t))


def _judged(who, p, t) -> tuple[Array, Array]:
    """Probabilities in float64 and class indices of as many rows."""
    p = checks.floats(who, "p", p, checks.FLOAT64)
    if p.ndim != 2 or p.shape[0] < 1 or p.shape[1] < 2:
        raise ValueError(
            f"{who} expects p as probabilities of shape (n_rows, n_classes), of a row and two classes or more; got "
            f"{p.shape}."
        )
    off = np.abs(p.sum(axis=1, keepdims=True) - 1)
    wrong = ~((p >= -checks.ROW_SUM_ROUNDING) & (off <= checks.ROW_SUM_TOLERANCE))  # true of NaN
    if wrong.any():
        row = int(wrong.any(axis=1).argmax())
        raise ValueError(
            f"{who} expects p as rows of probabilities, not negative, that sum to 1; got "
            f"{checks.shown(p[row].tolist())} at row {row}."
        )
    t = checks.numbers(who, "t", t)
    if t.shape != (len(p),):
        cure = ", which t.argmax(axis=1) makes of rows of 0 and 1" if t.shape == p.shape else ""
        raise ValueError(f"{who} expects t as class indices of shape ({len(p)},){cure}; got {t.shape}.")
    return p, checks.class_targets(who, t, p.shape, p.dtype)


def _counts(p, t):
    n_classes = p.shape[1]
    return np.bincount(t * n_classes + p.argmax(axis=1), minlength=n_classes**2).reshape(n_classes, n_classes)


def of_numbers(y: ArrayLike, t: ArrayLike) -> dict[str, float]:
    """Scores of predicted numbers against the true ones, in their unit.

    Parameters
    ----------
    y, t : array_like
        (n,): the predicted and the true numbers.

    Returns
    -------
    dict of str to float
        ``mae``, ``rmse``, and ``r2``, NaN for true ones that are all the same.

    Raises
    ------
    ValueError, TypeError
        For other shapes, NaN, and true numbers that are not finite.

    Examples
    --------
    >>> of_numbers(np.array([1.0, 3.0]), np.array([1.0, 2.0]))
    {'mae': 0.5, 'rmse': 0.7071067811865476, 'r2': -1.0}
    """
    who = "of_numbers"
    vectors: list[Array] = [checks.floats(who, name, value, checks.FLOAT64) for name, value in (("y", y), ("t", t))]
    y, t = vectors
    for name, array in (("y", y), ("t", t)):
        if array.ndim != 1 or not len(array):
            cure = (
                f", which {name}.ravel() makes (n,)" if array.size and array.size == max(array.shape, default=0) else ""
            )
            raise ValueError(f"{who} expects {name} as numbers of shape (n,), one or more; got {array.shape}{cure}.")
        checks.no_nan(who, name, array)
    checks.same_shape(who, "y", y, t.shape, "t")
    if not np.isfinite(t).all():
        raise ValueError(f"{who} expects finite numbers in t; got inf.")
    unit = float(np.abs(t).max(initial=0)) or 1.0  # so that no square overflows or vanishes
    y, t = y / unit, t / unit
    error = y - t
    squares, total = float((error**2).sum()), float(((t - t.mean()) ** 2).sum())
    return {
        "mae": float(np.abs(error).mean() * unit),
        "rmse": float(np.sqrt(squares / len(t)) * unit),
        "r2": 1 - squares / total if total > 0 else float("nan"),
    }


def _roc_auc(score, positive):
    """The chance that a positive row has a higher score than another, ties by half."""
    n_positive = int(positive.sum())
    n_others = len(positive) - n_positive
    if not n_positive or not n_others:
        return float("nan")
    _, places, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_others))
