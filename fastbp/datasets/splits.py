"""Rows that are kept from training."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from fastbp import checks
from fastbp.datasets.labels import Split, one_hot

__all__ = ["held_out", "split_of"]

if TYPE_CHECKING:
    from fastbp._typing import Array


def held_out(who: str, name: str, share: float, groups: Array, seed: int) -> Array:
    """Draw a share of the rows, about the same of each group.

    Parameters
    ----------
    name : str
        Of the argument that said the share.
    share : float
        Between 0 and 1.
    groups : numpy.ndarray
        (n_rows,) int64 from 0, as of class indices.
    seed : int

    Returns
    -------
    numpy.ndarray
        (n_rows,) bool: which rows are drawn.

    Raises
    ------
    ValueError
        Where none would be drawn, or all.

    Examples
    --------
    >>> drawn = held_out("fit", "validation_split", 0.25, np.array([0, 0, 0, 0, 1, 1, 1, 1]), seed=0)
    >>> int(drawn[:4].sum()), int(drawn[4:].sum())
    (1, 1)
    """
    counts = np.bincount(groups)
    wanted = np.rint(share * counts).astype(int)
    if not wanted.any():  # groups of few rows each
        wanted, counts, groups = np.rint([share * len(groups)]).astype(int), np.array([len(groups)]), groups * 0
    if not 0 < wanted.sum() < len(groups):
        raise ValueError(
            f"{who} expects {name} that keeps at least one row and leaves one; got {share:g} of "
            f"{checks.plural(len(groups), 'row')}."
        )
    order = np.random.default_rng(seed).permutation(len(groups))
    by_group = np.argsort(groups[order], kind="stable")  # the same on every machine
    place = np.arange(len(groups)) - np.repeat(np.cumsum(counts) - counts, counts)  # within its group
    drawn = np.empty(len(groups), bool)
    drawn[order[by_group]] = place < np.repeat(wanted, counts)
    return drawn


def split_of(
    who: str,
    x: np.ndarray,
    t: np.ndarray,
    test_size: float,
    seed: int | np.random.Generator,
    one_hot_label: bool = False,
) -> Split:
    """Split rows, shuffled, with the share `test_size` of every class in the test part.

    Parameters
    ----------
    x : numpy.ndarray
        (n_rows, n_features).
    t : numpy.ndarray
        (n_rows,) integers that have every class of 0..k-1; of floats, (n_rows, 1), all rows are one class.
    test_size : float
        Between 0 and 1, rounded to whole rows of each class.
    seed : int or numpy.random.Generator
    one_hot_label : bool

    Returns
    -------
    (x_train, t_train), (x_test, t_test)
        x and floats as float32, class indices as int64, or float32 (n, k).

    Raises
    ------
    ValueError
        Some class has no row to train or none to test.

    Examples
    --------
    >>> train, test = split_of("a set", np.arange(8.0)[:, None], np.arange(8) % 2, 0.25, seed=0)
    >>> train[0].shape, test[1].tolist()
    ((6, 1), [0, 1])
    """
    one_hot_label = checks.flag(who, "one_hot_label", one_hot_label)
    if not isinstance(seed, np.random.Generator):
        seed = checks.integer(who, "seed", seed, 0, checks.MOST_SEED)
    classes = t if t.dtype.kind in "iu" else np.zeros(len(t), int)
    counts = np.bincount(classes)
    # Share 0 stands for any other value: it fails the check below, with the same message.
    share = test_size if isinstance(test_size, Real) and 0 < test_size < 1 else 0
    test_counts = np.rint(share * counts).astype(int)
    if not ((test_counts > 0) & (test_counts < counts)).all():
        raise ValueError(
            f"{who} expects test_size between 0 and 1 such that every class has training and "
            f"test rows; got {checks.shown(test_size)} of {len(t)} rows."
        )
    order = np.random.default_rng(seed).permutation(len(t))
    in_test = np.zeros(len(t), bool)
    for label, count in enumerate(test_counts):
        in_test[np.flatnonzero(classes[order] == label)[:count]] = True
    x = x.astype(np.float32)
    t = one_hot(t) if one_hot_label else t.astype(np.float32 if t.dtype.kind == "f" else np.int64)
    return (x[order[~in_test]], t[order[~in_test]]), (x[order[in_test]], t[order[in_test]])
