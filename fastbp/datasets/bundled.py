"""Data sets that scikit-learn brings, split by class."""

from __future__ import annotations

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from fastbp import checks
from fastbp.datasets.labels import Split, one_hot

__all__ = ["load_digits", "load_iris"]


def load_digits(*, test_size: float = 0.2, seed: int = 0, one_hot_label: bool = False) -> Split:
    """Load scikit-learn's 1797 handwritten digits, 8 x 8 pixels each.

    Parameters
    ----------
    test_size : float
        Share of every class that goes to the test part, between 0 and 1, rounded to whole rows.
    seed : int
        Seed of the shuffle; the same seed gives the same split.
    one_hot_label : bool
        Return labels as one-hot rows instead of class indices.

    Returns
    -------
    (x_train, t_train), (x_test, t_test)
        ``x`` : float32 (n, 64), grey levels from 0 (paper) to 1 (ink).
        ``t`` : int64 (n,), the digits 0..9, or float32 (n, 10).

    Raises
    ------
    ImportError
        scikit-learn cannot be imported.
    ValueError
        `test_size` leaves some class without training or without test rows.

    Examples
    --------
    >>> from fastbp.datasets import load_digits
    >>> (x_train, t_train), (x_test, t_test) = load_digits()
    >>> x_train.shape, t_train.shape, x_test.shape
    ((1438, 64), (1438,), (359, 64))
    """
    x, t = _from_sklearn("load_digits")
    return _split("load_digits", x / 16, t, test_size, seed, one_hot_label)


def load_iris(
    classes: ArrayLike | None = None, *, test_size: float = 0.2, seed: int = 0, one_hot_label: bool = False
) -> Split:
    """Load scikit-learn's iris flowers, 50 of each of three species.

    Parameters
    ----------
    classes : sequence of int, optional
        Species to keep, distinct indices among 0 (setosa), 1 (versicolor) and 2 (virginica). Their
        labels become 0..k-1 in the order given. All three species by default.
    test_size : float
        Share of every class that goes to the test part, between 0 and 1, rounded to whole rows.
    seed : int
        Seed of the shuffle; the same seed gives the same split.
    one_hot_label : bool
        Return labels as one-hot rows instead of class indices.

    Returns
    -------
    (x_train, t_train), (x_test, t_test)
        ``x`` : float32 (n, 4), length and width of sepal, then of petal, in centimetres.
        ``t`` : int64 (n,), indices 0..k-1, or float32 (n, k), for k classes.

    Raises
    ------
    ImportError
        scikit-learn cannot be imported.
    ValueError
        `classes` is not a sequence of distinct indices among 0..2, or `test_size` leaves some class
        without training or without test rows.

    Examples
    --------
    >>> from fastbp.datasets import load_iris
    >>> (x_train, t_train), (x_test, t_test) = load_iris(classes=(0, 1))
    >>> x_train.shape, x_test.shape, t_train.min(), t_train.max()
    ((80, 4), (20, 4), np.int64(0), np.int64(1))
    """
    kept = checks.rectangular("load_iris", "classes", (0, 1, 2) if classes is None else classes)
    if (
        kept.ndim != 1
        or kept.size == 0
        or kept.dtype.kind not in "iu"
        or not np.isin(kept, (0, 1, 2)).all()
        or len(np.unique(kept)) < len(kept)
    ):
        raise ValueError(
            f"load_iris expects classes as distinct indices among 0..2, such as (0, 1); got {checks.shown(classes)}."
        )
    x, t = _from_sklearn("load_iris")
    is_class = t[:, None] == kept
    rows = is_class.any(axis=1)
    t = is_class[rows].argmax(axis=1)
    return _split("load_iris", x[rows], t, test_size, seed, one_hot_label)


def _from_sklearn(loader: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError(
            f"{loader} expects scikit-learn, which pip install 'fastbp[all]' brings; got none that can be imported."
        ) from error
    return getattr(datasets, loader)(return_X_y=True)


def _split(loader: str, x: np.ndarray, t: np.ndarray, test_size: float, seed: int, one_hot_label: bool) -> Split:
    """Split rows of x and t, shuffled; t holds every class of 0..k-1."""
    one_hot_label = checks.flag(loader, "one_hot_label", one_hot_label)
    train, test = _stratified_rows(loader, t, test_size, seed)
    x = x.astype(np.float32)
    t = one_hot(t) if one_hot_label else t.astype(np.int64)
    return (x[train], t[train]), (x[test], t[test])


def _stratified_rows(loader: str, t: np.ndarray, test_size: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return shuffled row numbers for training and for test."""
    counts = np.bincount(t)
    # Share 0 stands for any other value: it fails the check below, with the same message.
    share = test_size if isinstance(test_size, Real) and 0 < test_size < 1 else 0
    test_counts = np.rint(share * counts).astype(int)
    if not ((test_counts > 0) & (test_counts < counts)).all():
        raise ValueError(
            f"{loader} expects test_size between 0 and 1 such that every class has training and "
            f"test rows; got {checks.shown(test_size)}."
        )
    if not isinstance(seed, np.random.Generator):
        seed = checks.integer(loader, "seed", seed, 0, checks.MOST_SEED)
    order = np.random.default_rng(seed).permutation(len(t))
    in_test = np.zeros(len(t), bool)
    for label, count in enumerate(test_counts):
        in_test[np.flatnonzero(t[order] == label)[:count]] = True
    return order[~in_test], order[in_test]
