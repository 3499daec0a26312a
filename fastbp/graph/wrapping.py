"""Rows of a graph that is too wide for a page, joined by numbered circles as in flowcharts."""

from dataclasses import dataclass

from fastbp.graph import text
from fastbp.graph.layout import BETWEEN, Cell

WIDEST = 1460.0  # of a row's columns
NARROWEST = 0.6  # of the widest, for a row that ends where few arrows pass
APART = 40.0  # from a row to the next
HEIGHT = 14.0  # of a circle; arrows that pass lie 16 apart
LETTERS = 9.0  # size of its number


@dataclass(eq=False)
class Connector(Cell):
    """Where an arrow leaves a row, or goes on in a later one under the same number."""

    number: int = 0


def wrap(places):
    """Break a layout into rows, in place.

    Parameters
    ----------
    places : Layout
        Its cells and columns are moved; what arrows pass through is left as it is.

    Returns
    -------
    pieces : list of list of list of Cell
        Of each arrow its chain, or where it leaves a row the chains to and from its connectors.
    connectors : list of Connector
    """
    rows = _rows(places)
    pieces = [[chain] for chain in places.chains]
    if len(rows) == 1:
        return pieces, []
    n = len(places.columns)
    row_of = [r for r, (first, end) in enumerate(rows) for _ in range(first, end)]
    leaving: dict[Cell, Connector] = {}  # of each cell from which arrows go to other rows
    coming = []
    for i, chain in enumerate(places.chains):
        first, last = row_of[chain[0].column], row_of[chain[-1].column]
        if first == last:
            continue
        before = [cell for cell in chain if row_of[cell.column] == first]
        after = [cell for cell in chain if row_of[cell.column] == last]
        left = before[-1]
        if left not in leaving:
            leaving[left] = _connector(n + 2 * first + 1, left.y, 1 + len(leaving))
        coming.append(_connector(n + 2 * last, after[0].y, leaving[left].number))
        pieces[i] = [[*before, leaving[left]], [coming[-1], *after]]
    connectors = [*leaving.values(), *coming]
    drawn = {cell for chains in pieces for chain in chains for cell in chain} | set(places.vertices)
    _stack(places, rows, [[c for c in drawn if _row(c, row_of, n) == r] for r in range(len(rows))])
    return pieces, connectors


def _connector(column, y, number):
    return Connector(column, max(HEIGHT, text.width(str(number), LETTERS) + 4), HEIGHT, y=y, number=number)


def _row(cell, row_of, n):
    return (cell.column - n) // 2 if cell.column >= n else row_of[cell.column]


def _rows(places):
    """(first column, end) of each row; it ends behind vertices, where the fewest arrows pass."""
    columns = places.columns
    passing = [0] * len(columns)
    for chain in places.chains:
        for column in range(chain[0].column, chain[-1].column):
            passing[column] += 1
    rows, first = [], 0
    while columns[-1][1] - columns[first][0] > WIDEST:
        widths = {c: columns[c][1] - columns[first][0] for c in range(first + first % 2, len(columns) - 1, 2)}
        fit = [c for c, width in widths.items() if width <= WIDEST] or [first + first % 2]
        good = [c for c in fit if widths[c] >= NARROWEST * WIDEST] or fit[-1:]
        last = min(good, key=lambda c: (passing[c], -c))
        rows.append((first, last + 1))
        first = last + 1
    return [*rows, (first, len(columns))]


def _stack(places, rows, cells_of):
    """Move the rows below each other, with columns of connectors at both of their sides."""
    edges, ends, top = list(places.columns), [], 0.0
    for r, ((first, end), cells) in enumerate(zip(rows, cells_of, strict=True)):
        room = max((c.width for c in cells if isinstance(c, Connector)), default=0.0)
        by = (room + BETWEEN if r else 0.0) - edges[first][0]
        edges[first:end] = [(left + by, right + by) for left, right in edges[first:end]]
        behind = edges[end - 1][1] + BETWEEN
        ends += [(0.0, room), (behind, behind + room)]
        down = top - min(c.y - c.height / 2 for c in cells)
        for cell in cells:
            cell.y += down
            cell.x = sum(ends[cell.column - len(edges)]) / 2 if isinstance(cell, Connector) else cell.x + by
        top = max(c.y + c.height / 2 for c in cells) + APART
    places.columns = [*edges, *ends]
    places.width = max(cell.x + cell.width / 2 for cells in cells_of for cell in cells)
    places.height = top - APART
