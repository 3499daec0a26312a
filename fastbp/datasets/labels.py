"""Class indices as rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastbp import checks

__all__ = ["one_hot"]

Split = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def one_hot(t: ArrayLike, n_classes: int | None = None) -> np.ndarray:
    """Turn class indices into rows that are 1 at the class and 0 elsewhere.

    Parameters
    ----------
    t : array_like of int, shape (N,)
        Class indices, each in 0..n_classes-1.
    n_classes : int, optional
        Number of columns, at least 1; by default the largest index plus one.

    Returns
    -------
    ndarray of float32, shape (N, n_classes)

    Raises
    ------
    TypeError
        `t` holds something other than integers.
    ValueError
        `t` is not one-dimensional or holds an index out of range, `t` is empty and `n_classes` is
        not given, or `n_classes` is not a positive integer.

    Examples
    --------
    >>> from fastbp.datasets import one_hot
    >>> one_hot([2, 0])
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    is_integer = isinstance(n_classes, (int, np.integer)) and not isinstance(n_classes, bool)
    if n_classes is not None and not (is_integer and n_classes > 0):
        raise ValueError(f"one_hot expects n_classes as a positive integer; got {checks.shown(n_classes)}.")
    checks.unmasked("one_hot", "t", t)
    t = checks.rectangular("one_hot", "t", t)
    indices = "indices from 0 up" if n_classes is None else f"indices 0..{n_classes - 1}"
    expected = f"one_hot expects t as class {indices} of shape (N,)"
    if t.ndim != 1:
        raise ValueError(f"{expected}; got shape {t.shape}.")
    if n_classes is not None:
        checks.fits_memory("one_hot", "rows and n_classes", (max(len(t), 1), n_classes))
    if t.size == 0:  # of any dtype, for an empty list arrives as float64
        if n_classes is None:
            raise ValueError("one_hot expects n_classes when t is empty; got None.")
        return np.zeros((0, n_classes), np.float32)
    if t.dtype.kind not in "iu":
        raise TypeError(f"{expected}; got dtype {t.dtype}.")
    wrong = (t < 0) if n_classes is None else (t < 0) | (t >= n_classes)
    if wrong.any():
        row = wrong.argmax()
        raise ValueError(f"{expected}; got {t[row]} at row {row}.")
    rows = np.zeros((len(t), int(t.max()) + 1 if n_classes is None else n_classes), np.float32)
    rows[np.arange(len(t)), t] = 1
    return rows
