"""`Copies`: arrays of the user's of which a plan has copies, and who has the newer numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fastbp import checks

if TYPE_CHECKING:
    from fastbp._typing import Array
    from fastbp.training.trainer import Trainer

__all__ = ["Copies"]


class Copies:
    """Arrays of the user's of which a plan has copies, and who has the newer numbers.

    A plan counts its steps in `changes`, and keeps in a count of its own (`counter`) how many there
    were when the arrays were as new::

                                     a step
               as new as the plan's ---------> older than the plan's
            (counter equals `changes`) <--------- (counter is behind)
                 |            ^          give
      who looked |            | take, before the
        may have |            | next step
      written    v            |
               newer than the plan's (looks the same: so each step takes them again)

    `take` at any time makes the arrays count.

    Parameters
    ----------
    plan : Trainer
    counter : {"synced", "fetched"}
        The plan's attribute.
    parts : callable
        Gives the user's arrays as they are now, as (place, part, pair of arrays); of an embedding one.
    """

    def __init__(
        self, plan: Trainer, counter: Literal["synced", "fetched"], parts: Callable[[], Iterable[Any]]
    ) -> None:
        self._plan, self._counter, self._parts = plan, counter, parts
        self._sources: list = []
        self.taken: list = []  # the arrays that were last taken

    def memory(self) -> list[Array]:
        """The arrays of all parts as they are now."""
        return [array for *_, pair in self._parts() for array in pair]

    def write(self) -> None:
        """Overwrite the plan's numbers with those of the arrays that were last taken."""
        dtype = self._plan.dtype
        for place, part, pair in self._sources:
            arrays = [checks.floats("Trainer", "parameter", array, dtype) for array in pair]
            self._plan.write(place, part, *arrays)

    def take(self) -> None:
        """Overwrite the plan's numbers; the arrays are as new from here on."""
        changes = self._plan.changes  # of another thread, meanwhile: the next look fetches them
        self._sources = list(self._parts())
        self.taken = [array for *_, pair in self._sources for array in pair]
        self.write()
        setattr(self._plan, self._counter, changes)

    def give(self, then: Callable[[int], object]) -> None:
        """Overwrite the arrays with the plan's numbers, all of one step, where these are newer.

        ``then(n)`` is called before the arrays count as new, `n` changes later than before.
        """
        changes = self._plan.changes  # another thread may step meanwhile: the next look gives again
        newer = changes - getattr(self._plan, self._counter)
        if not newer:
            return
        parts = list(self._parts())
        new = [[np.empty(array.shape, self._plan.dtype) for array in pair] for *_, pair in parts]
        self._plan.read_all(
            [(place, part, *values, None)[:4] for (place, part, _), values in zip(parts, new, strict=True)]
        )
        for (*_, pair), values in zip(parts, new, strict=True):
            for array, value in zip(pair, values, strict=True):
                array[...] = value
        then(newer)
        setattr(self._plan, self._counter, changes)
