"""From a graph to its picture: sizes, colours, and the ways of the arrows."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import Any

from fastbp.graph import layout, text, wrapping
from fastbp.graph.picture import HEAD, Line, Picture, Shape, Text

MARGIN = 14.0
NAME, SYMBOL, LABEL = 14.0, 15.0, 12.5  # sizes of letters
RADIUS = 18.0  # of an operation's circle
PORT = 9.0  # between the heads of arrows at one vertex
INK, ARROW, BACKWARD = "#1a1a1a", "#5f6b7a", "#c2410c"
FILL = {"input": "#e3eefb", "constant": "#f1f1ee", "operation": "#ffffff", "end": "#fdf3dc"}
STROKE = {"input": "#7aa5d8", "constant": "#b9b9b0", "operation": "#27496d", "end": "#d9b65c"}


def drawn(graph: Any) -> Any:
    """The picture of a graph."""
    into = [0] * len(graph.vertices)
    for arrow in graph.arrows:
        into[arrow.target] += 1
    places = layout.place(
        graph,
        [_vertex_size(*v) for v in zip(graph.vertices, into, strict=True)],
        [_label_size(arrow) for arrow in graph.arrows],
    )
    pieces, connectors = wrapping.wrap(places)
    picture = Picture(places.width + 2 * MARGIN, places.height + 2 * MARGIN, _dot(graph))
    for cell in {*places.vertices, *(c for chains in pieces for chain in chains for c in chain)}:
        cell.x, cell.y = cell.x + MARGIN, cell.y + MARGIN
    edges = [(left + MARGIN, right + MARGIN) for left, right in places.columns]
    ports = _ports(graph, places)
    for arrow, (*leaving, chain), port in zip(graph.arrows, pieces, ports, strict=True):
        for first in leaving:  # the row
            end = first[-1].x - first[-1].width / 2, first[-1].y
            picture.lines.append(Line(_way(first, end, edges), ARROW, head=False))
        head = graph.vertices[arrow.target].kind != "fork"
        picture.lines.append(Line(_way(chain, port, edges), ARROW, head))
    for cell in connectors:
        left, top = cell.x - cell.width / 2, cell.y - cell.height / 2
        picture.shapes.append(Shape(left, top, cell.width, cell.height, cell.height / 2, "#ffffff", ARROW))
        low = cell.y + 0.35 * wrapping.LETTERS
        picture.texts.append(Text(cell.x, low, str(cell.number), wrapping.LETTERS, ARROW))
    for vertex, cell in zip(graph.vertices, places.vertices, strict=True):
        _draw_vertex(picture, vertex, cell)
    for arrow, label in zip(graph.arrows, places.labels, strict=True):
        _draw_label(picture, arrow, label)
    return picture


# --- vertices -------------------------------------------------------------------------------


def _vertex_size(vertex, arrows_in):
    if vertex.kind == "fork":
        return 6.0, 6.0
    if not vertex.text:  # an input without a name, or an end
        return (8.0, 8.0) if vertex.kind == "input" else (0.0, 4.0)
    if vertex.kind != "operation":
        return text.width(vertex.text, NAME) + 16, NAME + 12
    height = max(2 * RADIUS, PORT * (2 * arrows_in if arrows_in < 4 else arrows_in + 1))
    return max(2 * RADIUS, text.width(vertex.text, SYMBOL) + 14), height


def _draw_vertex(picture, vertex, cell):
    kind, size = vertex.kind, NAME
    corner, fill, stroke = 5.0, FILL.get(kind, ARROW), STROKE.get(kind, ARROW)
    if kind == "fork":
        corner = 3.0
    elif not vertex.text:
        if kind == "end":
            return
        corner = 4.0
    elif kind == "operation":
        corner, size = RADIUS, 19.0 if vertex.text in ("+", "−", "×", "/") else SYMBOL
    left, top = cell.x - cell.width / 2, cell.y - cell.height / 2
    picture.shapes.append(Shape(left, top, cell.width, cell.height, corner, fill, stroke))
    if vertex.text:
        picture.texts.append(Text(cell.x, cell.y + 0.35 * size, vertex.text, size, INK))


# --- labels ---------------------------------------------------------------------------------


def _label_size(arrow):
    if not arrow.above and not arrow.below:
        return 12.0, 6.0
    width = max(text.width(arrow.above, LABEL), text.width(arrow.below, LABEL)) + 6
    return max(24.0, width), 2 * (LABEL + 6)


def _draw_label(picture, arrow, cell):
    if arrow.above:
        picture.texts.append(Text(cell.x, cell.y - 5.5, arrow.above, LABEL, INK))
    if arrow.below:
        low = cell.y + 5 + 0.76 * LABEL
        picture.texts.append(Text(cell.x, low, arrow.below, LABEL, BACKWARD, bold=True))


# --- arrows ---------------------------------------------------------------------------------


def _ports(graph, places):
    """Of each arrow the point where it ends: side by side at the left of its target."""
    coming: list[list[int]] = [[] for _ in graph.vertices]
    for i, arrow in enumerate(graph.arrows):
        coming[arrow.target].append(i)
    ports = [(0.0, 0.0)] * len(graph.arrows)
    for vertex, cell, arrows in zip(graph.vertices, places.vertices, coming, strict=True):
        arrows.sort(key=lambda i: places.labels[i].y)
        level = [k for k, i in enumerate(arrows) if abs(places.labels[i].y - cell.y) < 0.5]
        for k, i in enumerate(arrows):
            if len(arrows) < 4:  # one that lies level stays so
                up = 1.4 * PORT * (k - (level[0] if level else (len(arrows) - 1) / 2))
            else:
                up = PORT * (k - (len(arrows) - 1) / 2)
            x = cell.x - cell.width / 2
            if vertex.kind == "operation":  # the corner's circle
                beyond = max(0.0, abs(up) - (cell.height / 2 - RADIUS))
                x += RADIUS - (RADIUS**2 - beyond**2) ** 0.5
            ports[i] = x, cell.y + up
    return ports


def _way(chain, port, edges):
    """Level within the columns, in curves between them."""
    x, y = chain[0].x + chain[0].width / 2, chain[0].y
    pieces: list[tuple] = []
    for cell, following in pairwise(chain):
        right = edges[cell.column][1]
        if right > x:
            pieces.append(((x, y), (right, y)))
        x, level = edges[following.column][0], following.y
        if following is chain[-1]:
            level = port[1]
            if port[0] == x:  # room for the head, which is level
                x -= HEAD[0]
        if abs(level - y) < 0.05:
            pieces.append(((right, y), (x, y)))
        else:
            middle = (right + x) / 2
            pieces.append(((right, y), (middle, y), (middle, level), (x, level)))
        y = level
    pieces.append(((x, y), port))
    return pieces


# --- DOT ------------------------------------------------------------------------------------


def _dot(graph):
    shapes = {"input": "box", "constant": "plaintext", "operation": "circle", "fork": "point", "end": "plaintext"}
    lines = ["digraph {", "  rankdir=LR", '  node [fontname="Helvetica"]', '  edge [fontname="Helvetica"]']
    for v, vertex in enumerate(graph.vertices):
        name = vertex.text.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'  {v} [shape={shapes[vertex.kind]}, label="{name}"]')
    for arrow in graph.arrows:
        above, below = escape(arrow.above), escape(arrow.below)
        if below:
            below = f'<font color="{BACKWARD}"><b>{below}</b></font>'
        label = "<br/>".join(filter(None, (above, below)))
        lines.append(f"  {arrow.source} -> {arrow.target}" + (f" [label=<{label}>]" * bool(label)))
    return "\n".join([*lines, "}", ""])
