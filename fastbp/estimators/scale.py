"""Whether held-out rows look as if they had missed a transformation of the training rows."""

import math

import numpy as np

#: Rows that are looked at, of each side; fewer training rows than `FEWEST` tell nothing.
ROWS, FEWEST = 2000, 10
#: How many of the training rows' deviations off a mean is far: more than a trend in time brings,
#: and more still where few rows make the mean.
FAR = 4.0
#: The share of the varying features that has to be far off.
SHARE = 0.2
#: A single feature is enough where its mean is so many deviations off, and half its rows are.
VERY_FAR = 50.0


def foreign(x, held_out):
    """How many features of the held-out rows lie on another scale than the training rows'.

    A feature counts where its mean is many deviations off the training rows' mean and outside
    their range.  So constant features tell nothing, and zeros and ones never count, however rare.

    Parameters
    ----------
    x, held_out : (n, n_features) arrays or sparse matrices

    Returns
    -------
    int
        0 where too few lie there to mean anything.
    """
    x, held_out = (rows[:: max(1, rows.shape[0] // ROWS)] for rows in (x, held_out))
    n = held_out.shape[0]
    if x.shape[0] < FEWEST:
        return 0
    with np.errstate(all="ignore"):
        low, high, mean, deviation = _moments(x)
        center = _moments(held_out)[2]
        varies = high - low > 16 * np.finfo(x.dtype).eps * np.maximum(np.abs(low), np.abs(high))
        off = np.abs(center - mean) / deviation
        far = varies & (off > FAR * (1 + 2 / math.sqrt(n))) & ((center < low) | (center > high))
    if far.sum() >= SHARE * varies.sum():
        return int(far.sum())
    single = np.flatnonzero(far & (off > VERY_FAR))
    rows = held_out[:, single]
    middle = np.median(rows.toarray() if hasattr(rows, "toarray") else rows, axis=0)
    gone = (middle < low[single]) | (middle > high[single])
    return int(gone.sum()) if n >= FEWEST else 0


def _moments(rows):
    """The least, the largest, the mean and the deviation of each feature, in float64."""
    if not hasattr(rows, "tocsr"):
        return (
            rows.min(axis=0), rows.max(axis=0), rows.mean(axis=0, dtype=np.float64),
            rows.std(axis=0, dtype=np.float64),
        )  # fmt: skip
    rows = rows.tocsr().astype(np.float64)
    squares = rows.multiply(rows).mean(axis=0)
    low, high, mean, square = (
        np.asarray(row.toarray() if hasattr(row, "toarray") else row).ravel()
        for row in (rows.min(axis=0), rows.max(axis=0), rows.mean(axis=0), squares)
    )
    return low, high, mean, np.sqrt(np.maximum(square - mean**2, 0))
