"""Rows that are kept from training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastbp import checks

if TYPE_CHECKING:
    from fastbp._typing import Array

__all__ = ["held_out"]


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
