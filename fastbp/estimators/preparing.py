"""Rows made ready for the first layer: missing values filled in, features standardised.

What is learned lies in attributes of the estimator, so that it is pickled, cloned and seen as all
else: `x_fill_` and `x_marked_`, `x_mean_` and `x_scale_`, and of a regressor's targets `y_mean_` and
`y_scale_`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks

if TYPE_CHECKING:
    from fastbp._typing import Array
    from fastbp.training.ranks import Ranks

#: Numbers that are looked at together, so that they stay in a cache; and of a file, in which the rows are
#: gone through for several columns at once.
SOME, MANY = 2**16, 2**24
#: What an estimator may have learned of its rows and targets.
LEARNED = ("x_fill_", "x_marked_", "x_mean_", "x_scale_", "y_mean_", "y_scale_")


class Preparation:
    """What rows go through before the first layer.

    Parameters
    ----------
    fill : (n_features,) numpy.ndarray or None
        What stands for missing values.
    marked : numpy.ndarray of int
        The features of which a column more tells where they were missing.
    mean, scale : (n_features,) numpy.ndarray or None
        What is subtracted, and what the rest is divided by.
    """

    fill: Array | None
    marked: Array
    mean: Any
    scale: Array | None

    def __init__(self, fill: Array | None, marked: Array, mean: Array | None, scale: Array | None) -> None:
        self.fill, self.marked, self.mean, self.scale = fill, marked, mean, scale

    @property
    def n_more(self) -> int:
        """How many columns the rows get."""
        return len(self.marked)

    def __call__(self, x: Any, dtype: np.dtype[Any]) -> Any:
        """Copies of the rows, ready, in a dtype; sparse ones stay so where they are divided only."""
        if hasattr(x, "tocsr") and (self.n_more or (self.mean is not None and self.mean.any())):
            x = x.toarray()  # of a training by dense rows
        if hasattr(x, "tocsr"):
            x = x.tocsr().astype(dtype)  # a copy
            if self.scale is not None:
                x.data /= self.scale[x.indices]
            return x
        out = np.empty((len(x), x.shape[1] + self.n_more), dtype)
        if x.size <= SOME:
            self._make_ready(x, out)
            return out
        for rows in _stretches(len(x), x.shape[1]):
            self._make_ready(x[rows], out[rows])
        return out

    def _make_ready(self, x, out):
        """Some rows, in float64 on the way, so that each number is rounded once."""
        n = x.shape[1]
        x = x.astype(np.float64)
        if self.fill is not None:
            missing = np.isnan(x)
            out[:, n:] = missing[:, self.marked]
            np.copyto(x, self.fill, where=missing)
        if self.scale is not None:
            x -= self.mean
            x /= self.scale
        out[:, :n] = x

    def folded(self, W: Array, b: Array) -> tuple[Array, Array]:
        """W and b of a first layer that takes rows as they came, of which no value is missing."""
        n = len(W) - self.n_more
        own, b = W[:n].astype(np.float64), b.astype(np.float64)
        if self.scale is not None:
            own /= self.scale[:, np.newaxis]
            b -= self.mean @ own
        return own.astype(W.dtype), b.astype(W.dtype)


def of(model: Any) -> Preparation | None:
    """What a model's rows go through, by its attributes; None where they go as they are."""
    own = model.__dict__
    if "x_scale_" not in own and "x_fill_" not in own:
        return None
    fill, marked, mean, scale = (own.get(name) for name in LEARNED[:4])
    n = len(fill if scale is None else scale)
    for name, values in zip(LEARNED, (fill, None, mean, scale), strict=False):
        if values is not None and np.shape(values) != (n,):
            raise ValueError(
                f"{type(model).__name__} expects {name} of the {checks.plural(n, 'feature')} that the others have; "
                f"got shape {np.shape(values)}."
            )
    return Preparation(fill, np.zeros(0, np.intp) if marked is None else marked, mean, scale)


# --- what is learned ------------------------------------------------------------------------


def marked(x: Array, ranks: Ranks) -> Array:
    """The features that have missing values, in any rank's rows."""
    some = np.zeros(x.shape[1], bool)
    for rows in _stretches(*x.shape):
        some |= np.isnan(x[rows]).any(axis=0)
    return np.flatnonzero(np.any(ranks.gather(some), axis=0) if ranks.own else some)


def fills(how: str, x: Any, order: Array | None, weights: Array | None, ranks: Ranks) -> Array:
    """The means or medians of the features' values, by their rows' weights; 0 of a feature without any."""
    if hasattr(x, "tocsr"):
        return np.zeros(x.shape[1])
    if how == "mean":
        return _moments(lambda: _parts(x, order, weights), x.shape[1], ranks, complete=False)[0]
    rows = slice(None) if order is None else np.sort(order)
    n = x.shape[0] if order is None else len(order)
    own = None if weights is None else np.abs(weights[rows]).astype(np.float64)
    if ranks.own and weights is not None:
        own = np.concatenate(ranks.gather(own))
    found = []
    some = max(1, MANY // max(1, n))
    for start in range(0, x.shape[1], some):
        for column in np.ascontiguousarray(x[rows, start : start + some].T, np.float64):
            found.append(_median(np.concatenate(ranks.gather(column)) if ranks.own else column, own))
    return ranks.tell(np.array(found))


def _median(values, weights):
    """The weighted median of those that are no NaN; 0 of none, and of equal weights NumPy's."""
    known = ~np.isnan(values) if weights is None else ~np.isnan(values) & (weights > 0)
    values = values[known]
    if not len(values):
        return 0.0
    if weights is None:
        return np.median(values)
    order = np.argsort(values)
    values, below = values[order], np.cumsum(weights[known][order])
    low, high = np.searchsorted(below, below[-1] / 2, "left"), np.searchsorted(below, below[-1] / 2, "right")
    return 0.5 * values[low] + 0.5 * values[min(high, len(values) - 1)]


def scales(
    x: Any, order: Array | None, weights: Array | None, ranks: Ranks, fill: Array | None = None
) -> tuple[Array, Array]:
    """Means and deviations of the features by their rows' weights; of sparse rows 0 for the means.

    A deviation that is but rounding is 1, and the mean of a constant is the constant itself.
    """
    is_sparse = hasattr(x, "tocsr")
    if is_sparse:
        mean, deviation, size = _sparse_moments(x, order, weights, ranks)
    else:
        mean, deviation, size = _moments(lambda: _parts(x, order, weights, fill), x.shape[1], ranks)
    eps = np.finfo(x.dtype if x.dtype.kind == "f" else np.float64).eps
    return np.zeros_like(mean) if is_sparse else mean, np.where(deviation > 8 * eps * size, deviation, 1.0)


def _moments(parts, n, ranks, complete=True):
    """Mean, deviation and largest size of n features, in float64, without squares that overflow.

    `parts` gives an iterator of (rows, weights), which are written to; where they are not complete, NaN
    is what is not there.
    """
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    for rows, _ in parts():
        low, high = np.fmin(low, np.fmin.reduce(rows)), np.fmax(high, np.fmax.reduce(rows))
    if ranks.own:
        low, high = (np.array(ranks.gather(bound)) for bound in (low, high))
        low, high = low.min(axis=0), high.max(axis=0)
    none = low > high
    low, high = np.where(none, 0, low), np.where(none, 0, high)
    size = np.maximum(np.abs(low), np.abs(high))
    # Powers of two, which round nothing, bring numbers to sizes of at most 1 where some are extreme.
    extreme = ((size > 1e100) | ((size < 1e-100) & (size > 0))).any()
    exponent = np.frexp(size)[1] if extreme else np.zeros(n, int)

    def scaled():
        for rows, weights in parts():
            if extreme:
                np.ldexp(rows, -exponent, rows)
            known = None if complete else ~np.isnan(rows)
            if known is not None:
                np.copyto(rows, 0, where=~known)
            yield rows, weights, known

    total, sums = np.zeros((2, n))
    for rows, weights, known in scaled():
        total += weights.sum() if complete else weights @ known
        sums += weights @ rows
    total, sums = ranks.total(np.array([total, sums]))
    over = np.where(total > 0, total, 1)
    centre = np.where(low == high, np.ldexp(low, -exponent), sums / over)
    squares = np.zeros(n)
    for rows, weights, known in scaled():
        rows -= centre
        rows *= rows if complete else rows * known
        squares += weights @ rows
    squares = ranks.total(squares)
    return ranks.tell((np.ldexp(centre, exponent), np.ldexp(np.sqrt(squares / over), exponent), size))


def _stretches(n, width):
    """Slices of some of n rows."""
    some = max(1, SOME // max(1, width))
    for start in range(0, n, some):
        yield slice(start, start + some)


def _parts(x, order, weights, fill=None):
    """Some rows at a time, as copies of float64, and their weights."""
    order = None if order is None else np.sort(order)  # as they lie in a file
    for rows in _stretches(x.shape[0] if order is None else len(order), x.shape[1]):
        rows = rows if order is None else order[rows]
        part = np.array(x[rows], np.float64)
        if fill is not None:
            np.copyto(part, fill, where=np.isnan(part))
        yield part, np.ones(len(part)) if weights is None else np.abs(weights[rows]).astype(np.float64)


def _sparse_moments(x, order, weights, ranks):
    """`_moments` of sparse rows, whose zeros are counted."""
    x = (x if order is None else x[order]).tocsr().astype(np.float64)  # a copy
    x.sum_duplicates()
    n, at = x.shape[1], x.indices
    weights = np.ones(x.shape[0]) if weights is None else np.abs(weights if order is None else weights[order])
    size = abs(x).max(axis=0).toarray().ravel() if x.shape[0] else np.zeros(n)
    size = np.max(ranks.gather(size), axis=0) if ranks.own else size
    exponent = np.frexp(size)[1]
    values, weights = np.ldexp(x.data, -exponent[at]), weights.astype(np.float64)
    total, of_entries = float(ranks.total(weights.sum())), np.repeat(weights, np.diff(x.indptr))
    stored, sums = ranks.total(np.array([np.bincount(at, some, n) for some in (of_entries, of_entries * values)]))
    centre = sums / total
    squares = ranks.total(np.bincount(at, of_entries * (values - centre[at]) ** 2, n))
    squares += np.maximum(total - stored, 0) * centre**2
    return ranks.tell((np.ldexp(centre, exponent), np.ldexp(np.sqrt(squares / total), exponent), size))
