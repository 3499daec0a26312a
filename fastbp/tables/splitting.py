"""The rows of a table in parts, to train, to stop in time and to judge by."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fastbp import checks

if TYPE_CHECKING:
    from fastbp._typing import Array

__all__ = ["split"]


def split(
    n: int,
    shares: Sequence[float],
    seed: int,
    *,
    classes: Array | None = None,
    groups: Array | None = None,
    times: Array | None = None,
) -> list[Array]:
    """Row numbers of each part.

    Parameters
    ----------
    n : int
    shares : sequence of float
        Of the parts behind the first one, which has the rest.
    seed : int
    classes : numpy.ndarray of int64, optional
        (n,): each part has about the share of each.
    groups : numpy.ndarray of int64, optional
        (n,): rows of one group are in one part.
    times : numpy.ndarray, optional
        (n,): later parts have later rows.

    Returns
    -------
    list of numpy.ndarray
        Shuffled; the parts of `times` in their order.

    Examples
    --------
    >>> [part.tolist() for part in split(6, [1 / 3], 0, times=np.arange(6)[::-1])]
    [[5, 4, 3, 2], [1, 0]]
    """
    rng = np.random.default_rng(seed)
    if times is not None:
        order = np.argsort(times, kind="stable")
        counts = [round(n * share) for share in shares]
        edges = np.cumsum([n - sum(counts), *counts])[:-1]
        return np.split(order, edges)
    order = rng.permutation(n)
    if groups is not None:
        return _by_groups(order, groups, shares)
    strata = np.zeros(n, np.int64) if classes is None else classes
    parts = np.zeros(n, np.int64)
    by_class = order[np.argsort(strata[order], kind="stable")]  # the same on every machine
    begin = 0
    for count in np.bincount(strata):
        taken = 0
        for place, share in enumerate(shares, start=1):
            here = round(count * share)
            parts[by_class[begin + taken : begin + taken + here]] = place
            taken += here
        begin += count
    return [order[parts[order] == place] for place in range(len(shares) + 1)]


def _by_groups(order, groups, shares):
    """Whole groups, in a drawn order, each to the part that lacks most."""
    counts = np.bincount(groups)
    _, first = np.unique(groups[order], return_index=True)
    drawn = groups[order][np.sort(first)]
    drawn = drawn[np.argsort(-counts[drawn], kind="stable")]
    wanted = len(groups) * np.array([1 - sum(shares), *shares])
    place_of = np.zeros(len(counts), np.int64)
    for group in drawn:
        place = int(np.argmax(wanted))
        place_of[group] = place
        wanted[place] -= counts[group]
    parts = place_of[groups]
    return [order[parts[order] == place] for place in range(len(wanted))]


def require_rows(source: str, parts: Collection[Array], names: Collection[str]) -> None:
    """Refuse a split of which a part that is needed has no row."""
    for part, name in zip(parts, names, strict=True):
        if not len(part):
            raise ValueError(
                f"a split expects rows for each of {', '.join(names)}; got none for the {name} part of "
                f"{checks.plural(sum(map(len, parts)), 'row')} of {source}."
            )
