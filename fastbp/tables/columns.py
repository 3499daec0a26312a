"""A table as its columns, each of one kind: what readers give, and what is prepared for a network."""

from typing import Any, Literal, NamedTuple

import numpy as np

from fastbp import checks

__all__ = ["Column", "Columns"]

Kind = Literal["number", "boolean", "date", "text"]


class Column(NamedTuple):
    """A column of a table.

    Attributes
    ----------
    name : str
    kind : {"number", "boolean", "date", "text"}
    values : numpy.ndarray
        (n_rows,): float64 of numbers and booleans (0 and 1), NaN where they are missing;
        datetime64[s] of dates, NaT where missing; object of texts, str or None.
    whole : bool
        Whether these are numbers without a fraction, written without one; where some are
        missing, pandas writes 1.0 of them, which is whole too.
    identifies : bool
        Whether the values are all different and name the rows, as an id does: nothing to learn
        from.
    words : tuple of str or None
        Of booleans that are texts: how false and true are written, where that is "no" and "yes" and
        the like, each in one way.
    """

    name: str
    kind: Kind
    values: np.ndarray[Any, Any]
    whole: bool = False
    identifies: bool = False
    words: tuple[str, str] | None = None


class Columns(NamedTuple):
    """A table by its columns.

    Attributes
    ----------
    columns : tuple of Column
    source : str
        What it was read from, for messages.
    lines : numpy.ndarray or None
        (n_rows,) int64, the line of the file in which each row begins.
    notes : tuple of str
        What was understood of the file, a sentence each.
    dropped : tuple of str
        Those of the notes that tell of rows that were left out.
    """

    columns: tuple[Column, ...]
    source: str = "a table"
    lines: np.ndarray[Any, Any] | None = None
    notes: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def n_rows(self) -> int:
        return len(self.columns[0].values) if self.columns else 0

    def column(self, name: str) -> Column:
        """The column of that name; ValueError where there is none."""
        if name not in self.names:
            shown = ", ".join(map(checks.shown, self.names[:20]))
            raise ValueError(f"column expects the name of one of {shown}; got {checks.shown(name)}.")
        return self.columns[self.names.index(name)]
