"""Classes by their names: what a network's targets may be in place of indices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks

if TYPE_CHECKING:
    from fastbp._typing import Array

__all__ = ["are_names", "classes_of", "indices_of"]


def are_names(t: Any) -> bool:
    """Whether targets are texts, one for each row."""
    if not isinstance(t, np.ndarray):
        if isinstance(t, str | bytes) or not np.iterable(t) or hasattr(t, "tocsr"):
            return False
        first = next(iter(t), None)
        if not isinstance(first, str):
            return False
        t = np.asarray(t, object) if isinstance(t, list | tuple) else np.asarray(t)
    return t.ndim == 1 and len(t) > 0 and (t.dtype.kind in "UT" or (t.dtype == object and isinstance(t[0], str)))


def classes_of(who: str, t: Any, n_classes: int, gather: Callable[[Any], list[Any]]) -> tuple[str, ...]:
    """The names that targets have, sorted: a tuple of str.

    Parameters
    ----------
    n_classes : int
        The network's outputs.
    gather : callable
        gather(thing) gives that of all ranks.

    Raises
    ------
    ValueError
        For more names than outputs, or what is no text.
    """
    others = [name for name in t if not isinstance(name, str)]
    if others:
        raise ValueError(f"{who} expects t as texts throughout; got {checks.shown(others[0])} among them.")
    names = sorted(set().union(*gather({str(name) for name in t})))
    if len(names) > n_classes:
        raise ValueError(
            f"{who} expects at most as many classes as the network has outputs, {n_classes}; got "
            f"{len(names)} different texts in t, as {checks.shown(names[0])}."
        )
    return tuple(names)


def indices_of(who: str, classes: Sequence[str] | None, t: Any) -> Array:
    """The places of names among the classes: (n_rows,) int64.

    Raises
    ------
    ValueError
        For another name, or a network that was not trained with names.
    """
    if classes is None:
        raise ValueError(
            f"{who} expects class indices, as the network has no names of classes; got texts in t, as "
            f"{checks.shown(next(iter(t)))}: fit(x, t) with texts gives it names."
        )
    places = {name: place for place, name in enumerate(classes)}
    found = [places.get(name) if isinstance(name, str) else None for name in t]
    if None in found:
        row = found.index(None)
        raise ValueError(
            f"{who} expects t among the network's classes {', '.join(map(checks.shown, classes[:20]))}; got "
            f"{checks.shown(list(t)[row])} at row {row}."
        )
    return np.array(found, np.int64)
