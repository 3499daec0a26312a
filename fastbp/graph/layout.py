"""Places for the vertices, arrows and labels of a graph, so that nothing lies on another.

The method of Sugiyama, Tagawa and Toda (1981): vertices stand in columns by their longest path
from the inputs; the order in a column is that of fewest crossings, by barycentres; heights are
those that bend the arrows least.  Between two columns of vertices stands one of labels, and an
arrow has a cell of its own in every column that it passes.  So whatever is drawn lies in a cell,
cells of a column do not overlap, and between the columns there are curves only.
"""

from __future__ import annotations

from bisect import bisect, insort
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

ROUNDS = 24  # of ordering, and of shifting
PATIENCE = 4  # rounds of ordering that undo no crossing
GAP = 12.0  # between the cells of a column
BETWEEN = 18.0  # from a column to the next, at least
LEFT = 3  # columns that arrows of inputs may pass in all, for the inputs to stand at the left


@dataclass(eq=False)
class Cell:
    """A vertex, a label, or the passage of an arrow."""

    column: int
    width: float
    height: float
    vertex: int = -1  # the number of the vertex that it is
    arrow: int = -1  # the number of the arrow whose label it is
    before: list[Link] = field(default_factory=list)
    after: list[Link] = field(default_factory=list)
    x: float = 0.0  # of its middle
    y: float = 0.0
    place: int = 0  # in its column, from above


@dataclass(eq=False)
class Link:
    """What joins two cells of neighbouring columns; the weight is how straight it wants to be."""

    left: Cell
    right: Cell
    weight: float


@dataclass
class Layout:
    """Cells of the vertices, and of each arrow those that it passes, the label among them."""

    vertices: list[Cell]
    chains: list[list[Cell]]
    labels: list[Cell]
    columns: list[tuple[float, float]]  # left and right edge
    width: float
    height: float


def place(graph: Any, vertex_sizes: list[Any], label_sizes: list[Any]) -> Any:
    """The layout of a graph.

    Parameters
    ----------
    graph : Graph
        Vertices in an order in which arrows lead forward.
    vertex_sizes, label_sizes : list of (width, height)
        Of each vertex, and of the label of each arrow.
    """
    layers = layers_of(graph)
    vertices = [
        Cell(2 * layer, width, height, vertex=v)
        for v, (layer, (width, height)) in enumerate(zip(layers, vertex_sizes, strict=True))
    ]
    led = {arrow.target for arrow in graph.arrows if _is_main(graph, arrow)}
    chains, labels = [], []
    for i, (arrow, (width, height)) in enumerate(zip(graph.arrows, label_sizes, strict=True)):
        first, last = vertices[arrow.source], vertices[arrow.target]
        weight = 1.0
        if not _is_main(graph, arrow):  # an input at the side of a main line does not bend it
            weight = 0.2 if arrow.target in led else 3.0
        # The label stands before the target, where the arrows of its other inputs are, too.
        label = Cell(last.column - 1, width, height, arrow=i)
        passages = [Cell(c, 0, 4) for c in range(first.column + 1, last.column - 1)]
        chain = [first, *passages, label, last]
        for left, right in pairwise(chain):
            inner = left is not first and right is not last
            link = Link(left, right, 8 if inner else weight)
            left.after.append(link)
            right.before.append(link)
        chains.append(chain)
        labels.append(label)
    columns = _in_columns(graph, vertices, chains)
    _order(graph, columns)
    _shift(columns, _bodies(graph, vertices, chains))
    edges = _spread(columns)
    lowest = max(c.y + c.height / 2 for column in columns for c in column)
    return Layout(vertices, chains, labels, edges, edges[-1][1], lowest)


# --- columns --------------------------------------------------------------------------------


def layers_of(graph: Any) -> Any:
    """The longest path to each vertex; constants, and inputs of deep graphs, by their users."""
    n = len(graph.vertices)
    into: list[list[int]] = [[] for _ in range(n)]
    out_of: list[list[int]] = [[] for _ in range(n)]
    for arrow in graph.arrows:
        into[arrow.target].append(arrow.source)
        out_of[arrow.source].append(arrow.target)
    order = _forward(into, out_of)
    layers = [0] * n
    for v in order:
        layers[v] = 1 + max((layers[u] for u in into[v]), default=-1)
    kinds = [vertex.kind for vertex in graph.vertices]
    passed = sum(
        layers[arrow.target] - layers[arrow.source] - 1 for arrow in graph.arrows if kinds[arrow.source] == "input"
    )
    near = {"constant"} if passed <= LEFT else {"constant", "input"}
    loose: set[int] = set()  # what comes from those alone
    for v in order:
        if kinds[v] in near or (into[v] and loose.issuperset(into[v])):
            loose.add(v)
    for v in reversed(order):
        if v in loose and out_of[v]:
            layers[v] = min(layers[u] for u in out_of[v]) - 1
    return layers


def _forward(into, out_of):
    """The vertices, each behind all that lead to it."""
    missing = [len(sources) for sources in into]
    order = [v for v, m in enumerate(missing) if not m]
    for v in order:  # the list grows
        for u in out_of[v]:
            missing[u] -= 1
            if not missing[u]:
                order.append(u)
    return order


def _in_columns(graph, vertices, chains):
    """The cells by column, from above in the order of a walk back from the end."""
    into: list[list] = [[] for _ in vertices]
    for arrow, chain in zip(graph.arrows, chains, strict=True):
        into[arrow.target].append((arrow.source, chain))
    columns: list[list[Cell]] = [[] for _ in range(1 + max(cell.column for cell in vertices))]
    seen = set()
    waiting: list[tuple[int, list[Cell]]] = [(v, []) for v, vertex in enumerate(graph.vertices) if vertex.kind == "end"]
    while waiting:
        v, passed = waiting.pop()
        for cell in passed:
            columns[cell.column].append(cell)
        if v not in seen:
            seen.add(v)
            columns[vertices[v].column].append(vertices[v])
            waiting += [(u, chain[1:-1]) for u, chain in reversed(into[v])]
    return columns


# --- the order in a column ------------------------------------------------------------------


def _order(graph, columns):
    """Sort each column so that few arrows cross, keeping the best order of several rounds."""
    target_of = {}  # labels whose order is that of the inputs
    for i, arrow in enumerate(graph.arrows):
        if graph.vertices[arrow.target].ordered:
            target_of[i] = arrow.target
    for column in columns:
        _settle(column, target_of)
    best, fewest = [list(column) for column in columns], _crossings(columns)
    found = 0  # the turn in which the best order was found
    for turn in range(ROUNDS):
        if not fewest or turn - found > PATIENCE:
            break
        forward = turn % 2 == 0
        for column in columns if forward else reversed(columns):
            column.sort(key=lambda cell: _barycentre(cell, forward))
            _settle(column, target_of)
        for column in columns:
            _exchange(column, target_of)
        now = _crossings(columns)
        if now < fewest:
            best, fewest, found = [list(column) for column in columns], now, turn
    for column, cells in zip(columns, best, strict=True):
        column[:] = cells
        _number(column)


def _barycentre(cell, forward):
    neighbours = [link.left.place for link in cell.before] if forward else [link.right.place for link in cell.after]
    return sum(neighbours) / len(neighbours) if neighbours else cell.place


def _number(column):
    for place, cell in enumerate(column):
        cell.place = place


def _settle(column, target_of):
    """Where the order of an operation's inputs matters, have their labels in that order."""
    places: dict[int, list[int]] = {}
    for place, cell in enumerate(column):
        if cell.arrow in target_of:
            places.setdefault(target_of[cell.arrow], []).append(place)
    for where in places.values():
        cells = sorted((column[place] for place in where), key=lambda cell: cell.arrow)
        for place, cell in zip(where, cells, strict=True):
            column[place] = cell
    _number(column)


def _exchange(column, target_of):
    """Exchange neighbours in a column while that undoes crossings."""
    changed = True
    while changed:
        changed = False
        for i in range(len(column) - 1):
            upper, lower = column[i : i + 2]
            target = target_of.get(upper.arrow)
            if target is not None and target == target_of.get(lower.arrow):
                continue
            if _crossed(lower, upper) < _crossed(upper, lower):
                column[i : i + 2] = lower, upper
                upper.place, lower.place = i + 1, i
                changed = True


def _crossed(upper, lower):
    """Crossings of the links of two cells, were they in this order."""
    return sum(a.left.place > b.left.place for a in upper.before for b in lower.before) + sum(
        a.right.place > b.right.place for a in upper.after for b in lower.after
    )


def _crossings(columns):
    total = 0
    for column in columns:
        ends: list[int] = []
        for cell in column:
            rights = sorted(link.right.place for link in cell.after)
            total += sum(len(ends) - bisect(ends, right) for right in rights)
            for right in rights:
                insort(ends, right)
    return total


# --- heights and widths ---------------------------------------------------------------------


def _shift(columns, bodies):
    """Give cells the heights at which arrows bend least, in the order that they have.

    The cells of a body have one height; a body is drawn to those it is linked with.
    """
    bodies = _without_cycles(columns, bodies)
    above, body_of = _above(columns, bodies)
    order = _from_above(above)
    heights = [0.0] * len(bodies)
    for b in order:
        heights[b] = max((heights[u] + apart for u, apart in above[b].items()), default=0.0)
    near: list[list[tuple[int, float]]] = [[] for _ in bodies]
    for cell, b in body_of.items():
        for link in cell.after:
            other = body_of[link.right]
            if other != b:
                near[b].append((other, link.weight))
                near[other].append((b, link.weight))
    weights = [sum(w for _, w in links) or 1e-3 for links in near]
    for _ in range(ROUNDS):
        wanted = [
            sum(w * heights[o] for o, w in links) / weights[b] if links else heights[b] for b, links in enumerate(near)
        ]
        # Half the way, or two that are drawn to each other would only change places.
        wanted = [(y + z) / 2 for y, z in zip(wanted, heights, strict=True)]
        heights = _apart(wanted, weights, above, order)
    for cell, b in body_of.items():
        cell.y = heights[b]
    top = min(cell.y - cell.height / 2 for cell in body_of)
    for cell in body_of:
        cell.y -= top


def _bodies(graph, vertices, chains):
    """Lists of cells that should lie on one straight line.

    A vertex and its arrow up to the target, and the target itself, if it is a fork, or if the
    arrow is the only one that comes to it from another operation.
    """
    into: list[list[int]] = [[] for _ in vertices]
    for i, arrow in enumerate(graph.arrows):
        into[arrow.target].append(i)
    body_of = {cell: [cell] for cell in vertices}
    for i in sorted(range(len(chains)), key=lambda i: vertices[graph.arrows[i].source].column):
        arrow, inner = graph.arrows[i], chains[i][1:-1]
        if graph.vertices[arrow.source].kind == "fork":
            body = list(inner)
        else:
            body = body_of[vertices[arrow.source]]
            body += inner
        main = [k for k in into[arrow.target] if _is_main(graph, graph.arrows[k])]
        main = main or into[arrow.target]
        if main == [i]:
            body.append(vertices[arrow.target])
            body_of[vertices[arrow.target]] = body
        body_of.update(dict.fromkeys(inner, body))
    return list({id(body): body for body in body_of.values()}.values())


def _is_main(graph, arrow):
    """Whether an arrow comes from an operation, directly or by a fork."""
    return graph.vertices[arrow.source].kind in ("operation", "fork")


def _without_cycles(columns, bodies):
    """Bodies cut where they cross, so that each is above or below another throughout."""
    body_of = {cell: b for b, body in enumerate(bodies) for cell in body}
    cuts = set()
    for column, following in pairwise(columns):
        places = {body_of[cell]: cell.place for cell in following}
        kept: list[int] = []
        for b in (body_of[cell] for cell in column if body_of[cell] in places):
            while kept and places[kept[-1]] > places[b] and (len(bodies[kept[-1]]) <= len(bodies[b])):
                cuts.add((kept.pop(), column[0].column))
            if kept and places[kept[-1]] > places[b]:
                cuts.add((b, column[0].column))
            else:
                kept.append(b)
    pieces: list[list[Cell]] = []
    for b, body in enumerate(bodies):
        pieces.append([])
        for cell in sorted(body, key=lambda cell: cell.column):
            pieces[-1].append(cell)
            if (b, cell.column) in cuts:
                pieces.append([])
    while cycle := _cycle(_above(columns, pieces)[0]):  # of three and more
        longest = max(cycle, key=lambda b: len(pieces[b]))
        half = len(pieces[longest]) // 2
        pieces[longest : longest + 1] = pieces[longest][:half], pieces[longest][half:]
    return pieces


def _above(columns, bodies):
    """For each body those above it and how far they have to be; and the body of each cell."""
    body_of = {cell: b for b, body in enumerate(bodies) for cell in body}
    above: list[dict[int, float]] = [{} for _ in bodies]
    for column in columns:
        for upper, lower in pairwise(column):
            apart = (upper.height + lower.height) / 2 + GAP
            u, b = body_of[upper], body_of[lower]
            above[b][u] = max(apart, above[b].get(u, 0.0))
    return above, body_of


def _from_above(above):
    """Bodies, each behind all that have to be above it; those of cycles are missing."""
    below: list[list[int]] = [[] for _ in above]
    for b, uppers in enumerate(above):
        for u in uppers:
            below[u].append(b)
    return _forward(above, below)


def _cycle(above):
    """Bodies each of which has to be above the next, and the last above the first; or none."""
    left = set(range(len(above))) - set(_from_above(above))
    if not left:
        return []
    walked, b = [], min(left)
    while b not in walked:
        walked.append(b)
        b = next(u for u in above[b] if u in left)
    return walked[walked.index(b) :]


def _apart(wanted, weights, above, order):
    """The heights near the wanted ones, in squares, at which bodies do not overlap.

    Dwyer, Marriott and Stuckey (2005), "Fast node overlap removal": bodies are placed from above,
    and one that would overlap those above it is joined with them to a cluster, at the mean.
    """
    cluster_of = {}
    offset = [0.0] * len(wanted)
    for body in order:
        cluster = _Cluster([body], wanted[body] * weights[body], weights[body])
        cluster_of[body] = cluster
        while True:
            worst, joint = 1e-9, None
            for b in cluster.bodies:
                for u, apart in above[b].items():
                    other = cluster_of[u]
                    if other is not cluster:
                        lack = other.height + offset[u] + apart - cluster.height - offset[b]
                        if lack > worst:
                            worst, joint = lack, (u, b, apart)
            if joint is None:
                break
            u, b, apart = joint
            other, by = cluster_of[u], offset[b] - apart - offset[u]
            for k in other.bodies:
                offset[k] += by
                cluster_of[k] = cluster
            cluster.bodies += other.bodies
            cluster.total += other.total - by * other.weight
            cluster.weight += other.weight
    heights = [cluster_of[b].height + offset[b] for b in range(len(wanted))]
    for b in order:  # what rounding has left
        heights[b] = max([heights[b], *(heights[u] + apart for u, apart in above[b].items())])
    return heights


@dataclass(eq=False)
class _Cluster:
    """Bodies that touch, each at an offset from the cluster's height."""

    bodies: list[int]
    total: float  # of weight times (wanted height - offset)
    weight: float

    @property
    def height(self) -> Any:
        return self.total / self.weight


def _spread(columns):
    """Set columns side by side, further apart where arrows are steep; their edges."""
    edges, left = [], 0.0
    for column in columns:
        right = left + max(cell.width for cell in column)
        for cell in column:
            cell.x = (left + right) / 2
            if cell.vertex >= 0 and not cell.before:  # inputs stand at the arrow's beginning
                cell.x = right - cell.width / 2
        edges.append((left, right))
        steep = max((abs(link.left.y - link.right.y) for c in column for link in c.after), default=0)
        left = right + min(BETWEEN + 0.25 * steep, 5 * BETWEEN)
    return edges
