"""How good predictions are, and a baseline's beside them."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["confusion", "of_classes", "of_numbers"]


def of_classes(p: Any, t: Any) -> dict[str, Any]:
    """Scores of probabilities (n, n_classes) against class indices (n,).

    Returns
    -------
    dict of str to float
        ``accuracy``; ``balanced_accuracy`` and ``f1``, means over the classes that have rows (for
        `f1` or predictions); ``roc_auc``, of the second of two classes or the mean of each class
        against the rest; ``log_loss`` in nats; ``brier``, the mean over rows of the squared
        distance to the true class's row of 0 and 1 (of two classes half of it, the usual one).

    Notes
    -----
    scikit-learn's numbers, which the tests compare.

    Examples
    --------
    >>> scores = of_classes(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 1]))
    >>> scores["accuracy"], scores["roc_auc"], round(scores["brier"], 3)
    (1.0, 1.0, 0.085)
    """
    n, n_classes = p.shape
    p = np.asarray(p, np.float64)
    table = confusion(p, t)
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
        "log_loss": float(-np.log(np.maximum(own, np.finfo(np.float64).tiny)).mean()),
        "brier": float(squares.mean() / (2 if n_classes == 2 else 1)),
    }


def confusion(p: Any, t: Any) -> Any:
    """Rows by true class (rows) and predicted class (columns): (n_classes, n_classes) int64."""
    n_classes = p.shape[1]
    return np.bincount(t * n_classes + p.argmax(axis=1), minlength=n_classes**2).reshape(n_classes, n_classes)


def of_numbers(y: Any, t: Any) -> dict[str, Any]:
    """Scores of numbers (n,) against the true ones (n,), in their unit.

    Returns
    -------
    dict of str to float
        ``mae``, ``rmse``, and ``r2``, NaN for true ones that are all the same.

    Examples
    --------
    >>> of_numbers(np.array([1.0, 3.0]), np.array([1.0, 2.0]))
    {'mae': 0.5, 'rmse': 0.7071067811865476, 'r2': -1.0}
    """
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
