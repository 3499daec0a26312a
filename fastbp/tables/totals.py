"""Rows at the end of a table that sum up the others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from fastbp.tables import kinds, numbers

if TYPE_CHECKING:
    from fastbp.tables.cells import Grid

__all__ = ["without"]

#: What such a row is called.
_WORDS = frozenset(
    {"total", "totals", "grand total", "sum", "average", "avg", "mean", "summe", "gesamt", "gesamtsumme", "insgesamt"}
    | {"mittelwert", "durchschnitt", "totale", "total général", "somme", "moyenne", "suma", "media", "合计", "总计"}
)
_FEWEST = 3  # rows, and different numbers, that show a sum
_SAME = 1e-3  # of rounded numbers


def without(grid: Grid, first: int) -> tuple[Grid, list[str]]:
    """The grid without rows of sums or means at its end, and sentences on rows that may be such.

    They have a word for it that is in no other row of its column, and beside it a sum or a mean or
    nothing, or numbers above it.

    Parameters
    ----------
    grid : Grid
    first : int
        The row that data begin with.
    """
    end = len(grid.lines)
    found = []  # from the last row on
    while end > first:
        row = grid.row(end - 1)
        column = next((column for column, cell in enumerate(row) if _is_word(cell)), None)
        if column is None and any(row):
            break
        end -= 1
        if column is not None:
            found.append((end, column, row))
    above = slice(first, end)
    dropped, doubts = [], []
    for number, column, row in found[::-1]:
        others = grid.strings(column, above)
        if len(others) < _FEWEST or any(map(_is_word, others)):
            return grid, []  # it is a category
        is_total = (
            not any(row[:column] + row[column + 1 :])
            or all(map(kinds.is_number, others))
            or any(_sums_up(cell, grid.strings(place, above)) for place, cell in enumerate(row) if place != column)
        )
        said = f"Line {grid.lines[number]}, with {row[column]!r} in column {column + 1}, is taken for a "
        if is_total:
            dropped.append((number, f"{said}total of the others and left out."))
        else:
            doubts.append(f"{said}row of data.")
    for number, note in dropped[::-1]:
        grid = grid.without(number, note)
    return grid, doubts


def _is_word(cell):
    return cell.casefold().rstrip(" :") in _WORDS


def _sums_up(cell, others):
    """Whether a cell is the sum or the mean of others."""
    others = [each for each in others if each.casefold() not in kinds.MISSING]
    for mark in numbers.DECIMALS if kinds.is_number(cell) else ():
        found: list[Any] = [kinds.number_in(each, mark) for each in (cell, *others)]
        if None in found:
            continue
        value, *values = (each[0] for each in found)
        if len(set(values)) >= _FEWEST and value:
            whole = math.fsum(values)
            return any(math.isclose(value, each, rel_tol=_SAME) for each in (whole, whole / len(values)))
    return False
