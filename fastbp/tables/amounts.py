"""Columns of numbers that are dressed as people write them, a shape at a time."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp.tables import kinds, numbers
from fastbp.tables.shapes import shapes, whole_numbers

if TYPE_CHECKING:
    from fastbp._typing import Array
    from fastbp.tables.cells import Grid

__all__ = ["amounts"]

_MOST_SHAPES = 64
_MOST_DIGITS = 15  # below 2^53, so that a quotient by a power of ten is rounded once
_FEW = 32  # cells that show whether a column may be one of numbers
_POWER = re.compile(rf"\d[eE][-+]?\d|[{''.join(numbers.MYRIADS)}]")
_FOREIGN = 255  # stands for all characters beyond it


def amounts(grid: Grid, column: int, first: int, marks: str) -> tuple[Array, bool, str | None, list[str]] | None:
    """A column of the grid as numbers, where each cell says by itself what it is; else None.

    What needs a look at other columns, or an error's words, is left to those who look at each cell.

    Parameters
    ----------
    grid : Grid
    column : int
    first : int
        The row that data begin with.
    marks : str
        Decimal marks that may be.

    Returns
    -------
    values : numpy.ndarray
        (n_rows,) float64, NaN where one is missing.
    whole : bool
        Whether they are written as integers.
    mark : str or None
        That of the decimals, where the cells tell it.
    said : list of str
        What was understood.
    """
    starts, ends = grid.starts[column, first:], grid.ends[column, first:]
    lengths = ends - starts
    width = int(lengths.max())
    few = grid.strings(column, slice(first, first + _FEW))
    if not 0 < width <= numbers.PADDING or not all(map(_may_be_one, few)):
        return None
    characters = grid.codes[starts[:, np.newaxis] + np.arange(width)]
    characters[np.arange(width) >= lengths[:, np.newaxis]] = 0
    firsts, places = shapes(characters)
    if len(firsts) > _MOST_SHAPES or not _same_signs(grid.text, starts, characters, firsts, places):
        return None
    cells = grid.strings(column, first + firsts)
    known = [place for place, cell in enumerate(cells) if cell.casefold() not in kinds.MISSING]
    if any(cell.count(".") == 3 for cell in cells):  # which may be addresses of machines
        return None
    found: dict[str, list[Any]] = {mark: [kinds.number_in(cells[place], mark) for place in known] for mark in marks}
    good = [mark for mark in marks if None not in found[mark]]
    if not known or not good or any(found[mark] != found[good[0]] for mark in good):
        return None
    mark = good[0]
    units = {unit for _, unit, _ in found[mark]}
    whole = all(digits for *_, digits in found[mark])
    if (
        len(units - {""}) > 1
        or units > {"%"}
        or (whole and any(kinds.begins_with_zero(cells[place]) for place in known))
    ):
        return None
    values = np.full(len(starts), np.nan)
    for place, (value, _, digits) in zip(known, found[mark], strict=True):
        cell, row = cells[place], firsts[place]
        rows = np.flatnonzero(places == place)
        figures = np.flatnonzero(characters[row] - np.uint8(48) < 10)
        if len(figures) > _MOST_DIGITS or _POWER.search(cell):
            return None
        n_decimals = 0 if digits else sum(map(str.isdigit, cell.rpartition(mark)[2]))
        quotient = whole_numbers(characters[rows[:, np.newaxis], figures]) / 10.0**n_decimals
        values[rows] = math.copysign(1, value) * quotient
        if values[row] != value:
            return None
    told = mark if len(good) < len(marks) or len(marks) == 1 else None
    return values, whole, told, kinds.dress(units, (cells[place] for place in known), mark)


def _may_be_one(cell):
    return cell.casefold() in kinds.MISSING or kinds.is_number(cell)


def _same_signs(text, starts, characters, firsts, places):
    """Whether the cells of a shape have the same characters where arrays have a stand-in for them."""
    for shape, place in np.argwhere(characters[firsts] == _FOREIGN).tolist():
        if len({text[at] for at in (starts[places == shape] + place).tolist()}) > 1:
            return False
    return True
