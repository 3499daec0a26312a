"""Whether held-out rows look as if they had missed a transformation of the training rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastbp.estimators.batches import dtype_of

#: Rows that are looked at, of each side; and how many tell something, of the training, held out.
ROWS, FEWEST, FEWEST_HELD_OUT = 2000, 20, 5
#: How many of the training rows' deviations off a mean is far: what a trend in time stays below,
#: and more still where few rows make the mean.
FAR = 4.0
#: The share of the rows that lies beyond all training rows in a feature that is far off.
BEYOND = 0.25
#: The share of the varying features that has to be far off.
SHARE = 0.2
#: A single feature is enough where its mean is so many deviations off, and half its rows beyond.
VERY_FAR = 50.0


def foreign(x: Any, held_out: Any) -> int:
    """How many features of the held-out rows lie on another scale than the training rows'.

    A feature counts where its mean is many deviations off the training rows' mean and many rows
    lie outside their range.  So constant features tell nothing, nor do zeros and ones, however
    rare, nor a few outliers.

    Parameters
    ----------
    x, held_out : (n, n_features) arrays or sparse matrices

    Returns
    -------
    int
        0 where too few lie there to mean anything.
    """
    x, held_out = (rows[:: max(1, rows.shape[0] // ROWS)] for rows in (x, held_out))
    x = x.astype(dtype_of(x), copy=False)
    n = held_out.shape[0]
    if x.shape[0] < FEWEST or n < FEWEST_HELD_OUT:
        return 0
    with np.errstate(all="ignore"):
        low, high, mean, deviation = _moments(x)
        rounding = 16 * np.finfo(x.dtype).eps * np.maximum(np.abs(low), np.abs(high))
        varies = high - low > np.maximum(rounding, 1e-150)  # whose squares are above 0
        off = np.abs(_moments(held_out)[2] - mean) / deviation
    beyond = _share_beyond(held_out, low, high)
    far = varies & (off > FAR * (1 + 2 / math.sqrt(n))) & (beyond >= BEYOND)
    if far.sum() >= SHARE * varies.sum():
        return int(far.sum())
    return int((far & (off > VERY_FAR) & (beyond >= 0.5)).sum())


def _moments(rows):
    """The least, the largest, the mean and the deviation of each feature, in float64."""
    if not hasattr(rows, "tocsr"):
        return (
            rows.min(axis=0),
            rows.max(axis=0),
            rows.mean(axis=0, dtype=np.float64),
            rows.std(axis=0, dtype=np.float64),
        )
    rows = rows.tocsr().astype(np.float64)
    squares = rows.multiply(rows).mean(axis=0)
    low, high, mean, square = (
        np.asarray(row.toarray() if hasattr(row, "toarray") else row).ravel()
        for row in (rows.min(axis=0), rows.max(axis=0), rows.mean(axis=0), squares)
    )
    return low, high, mean, np.sqrt(np.maximum(square - mean**2, 0))


def _share_beyond(rows, low, high):
    """The share of the rows below `low` or above `high`, of each feature."""
    if not hasattr(rows, "tocoo"):
        return ((rows < low) | (rows > high)).mean(axis=0)
    stored = rows.tocoo()
    at, n = stored.col, len(low)
    beyond = (stored.data < low[at]) | (stored.data > high[at])
    zeros = (low > 0) | (high < 0)
    counts = np.bincount(at[beyond], minlength=n)
    return (counts + zeros * (rows.shape[0] - np.bincount(at, minlength=n))) / rows.shape[0]
