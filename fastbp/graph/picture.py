"""A picture of lines, shapes and texts, as SVG, PNG and DOT."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from fastbp import checks, files, fonts
from fastbp.graph import text

FONTS = ("Helvetica", "Arial", "DejaVu Sans")  # of SVG; text.width knows the widest
SUFFIXES = (".svg", ".png", ".dot")


@dataclass
class Shape:
    """A rectangle with round corners; with corners of half its height it is a circle."""

    x: float
    y: float
    width: float
    height: float
    corner: float
    fill: str
    stroke: str

    @property
    def box(self) -> tuple[Any, Any, Any, Any]:
        """(left, top, right, bottom)"""
        return self.x, self.y, self.x + self.width, self.y + self.height


@dataclass
class Text:
    """A line of text; x is its middle, y its base."""

    x: float
    y: float
    content: str
    size: float
    colour: str
    bold: bool = False

    @property
    def box(self) -> tuple[Any, Any, Any, Any]:
        """(left, top, right, bottom)"""
        half = text.width(self.content, self.size) / 2
        return self.x - half, self.y - 0.78 * self.size, self.x + half, self.y + 0.24 * self.size


@dataclass
class Line:
    """Straight pieces of two points and cubic curves of four, each from where the last ended."""

    pieces: list[tuple[tuple[float, float], ...]]
    colour: str
    head: bool = True


HEAD = (7.0, 3.2)  # length and half the width of an arrow's head


@dataclass
class Picture:
    """A drawn graph: inline in notebooks, `save` for a file, `to_dot` for Graphviz.

    Attributes
    ----------
    width, height : float
        In pixels of the SVG.
    lines, shapes, texts : list
        What is drawn, in this order.
    """

    width: float
    height: float
    dot: str = field(repr=False)
    lines: list[Line] = field(default_factory=list, repr=False)
    shapes: list[Shape] = field(default_factory=list, repr=False)
    texts: list[Text] = field(default_factory=list, repr=False)

    def save(self, path: Path) -> None:
        """Write the picture to a file, whole or not at all, as the end of its name says.

        Parameters
        ----------
        path : str or os.PathLike
            Ending in .svg, .png (which needs matplotlib) or .dot.
        """
        suffix = suffix_of("save", path)
        checks.path_to_write("save", path)
        if suffix == ".png":
            _write_png(self, path)
        else:
            content = self.to_svg() if suffix == ".svg" else self.to_dot()
            files.write_whole(path, content.encode())

    def to_dot(self) -> Any:
        """The graph in Graphviz's language, with the same labels."""
        return self.dot

    def to_svg(self) -> str:
        """The picture as SVG text."""
        named = ", ".join(f"'{f}'" if " " in f else f for f in FONTS)
        w, h = _short(self.width), _short(self.height)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" '
            f'viewBox="0 0 {w} {h}" role="img" font-family="{named}, sans-serif" '
            'text-anchor="middle">',
            "<title>Computational graph</title>",
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            *map(_svg_line, self.lines),
            *map(_svg_shape, self.shapes),
            *map(_svg_text, self.texts),
            "</svg>\n",
        ]
        return "\n".join(parts)

    def _repr_svg_(self) -> str:
        return self.to_svg()

    def _repr_html_(self) -> str:
        return self.to_svg()


def suffix_of(who: str, path: Any) -> Any:
    """The end of a file's name, which has to be one that can be written."""
    suffix = Path(os.fsdecode(checks.path(who, path))).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"{who} expects path to end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}; got {os.fspath(path)!r}."
        )
    return suffix


# --- SVG ------------------------------------------------------------------------------------


def _short(number):
    return f"{number:.1f}".rstrip("0").rstrip(".")


def _points(points):
    return " ".join(f"{_short(x)} {_short(y)}" for x, y in points)


def _svg_line(line):
    path = f"M{_points(line.pieces[0][:1])}" + "".join(
        ("L" if len(piece) == 2 else "C") + _points(piece[1:]) for piece in line.pieces
    )
    drawn = f'<path d="{path}" fill="none" stroke="{line.colour}" stroke-width="1.3"/>'
    if line.head:
        drawn += f'<path d="M{_points(head_of(line))}Z" fill="{line.colour}"/>'
    return drawn


def head_of(line: Any) -> list[Any]:
    """The triangle at an arrow's end, which points to the right."""
    x, y = line.pieces[-1][-1]
    return [(x, y), (x - HEAD[0], y - HEAD[1]), (x - HEAD[0], y + HEAD[1])]


def _svg_shape(s):
    return (
        f'<rect x="{_short(s.x)}" y="{_short(s.y)}" width="{_short(s.width)}" '
        f'height="{_short(s.height)}" rx="{_short(s.corner)}" fill="{s.fill}" '
        f'stroke="{s.stroke}" stroke-width="1.3"/>'
    )


def _svg_text(t):
    weight = ' font-weight="bold"' if t.bold else ""
    return (
        f'<text x="{_short(t.x)}" y="{_short(t.y)}" font-size="{_short(t.size)}" '
        f'fill="{t.colour}"{weight}>{escape(t.content)}</text>'
    )


# --- PNG ------------------------------------------------------------------------------------


def _write_png(picture, path):
    """Draw with matplotlib, twice as large as the SVG's pixels."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.patches import PathPatch, Polygon
        from matplotlib.path import Path as Curve
    except ImportError:
        raise checks.missing_extra("matplotlib", "A picture as PNG") from None
    families = ["DejaVu Sans", *fonts.families("A picture as PNG", "".join(t.content for t in picture.texts))]
    figure = Figure(figsize=(picture.width / 100, picture.height / 100), dpi=200)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, picture.width), ylim=(picture.height, 0))
    axes.set_axis_off()
    points = 0.72  # in a pixel, of which 100 make an inch
    for line in picture.lines:
        axes.add_patch(
            PathPatch(
                _curve(Curve, line.pieces), fill=False, edgecolor=line.colour, linewidth=1.3 * points, capstyle="butt"
            )
        )
        if line.head:
            axes.add_patch(Polygon(head_of(line), facecolor=line.colour, linewidth=0))
    for s in picture.shapes:
        axes.add_patch(
            PathPatch(
                _curve(Curve, outline_of(s)), facecolor=s.fill, zorder=2, edgecolor=s.stroke, linewidth=1.3 * points
            )
        )
    for t in picture.texts:
        axes.text(
            t.x,
            t.y,
            t.content,
            size=t.size * points,
            color=t.colour,
            ha="center",
            va="baseline",
            weight="bold" if t.bold else "normal",
            family=families,
            zorder=3,
            parse_math=False,
        )
    files.write_figure(path, figure)


def _curve(kind, pieces):
    """matplotlib's path of straight pieces and cubic curves."""
    vertices, codes = [pieces[0][0]], [kind.MOVETO]
    for piece in pieces:
        vertices += piece[1:]
        codes += [kind.LINETO] if len(piece) == 2 else [kind.CURVE4] * 3
    return kind(vertices, codes)


def outline_of(shape: Any) -> Any:
    """The pieces of a shape's outline, clockwise; a corner is a quarter of a circle."""
    left, top, right, bottom = shape.box
    r = shape.corner
    k = 0.5523 * r  # to the control points of the curve nearest to it
    corners = [(right, top, 1, 0), (right, bottom, 0, 1), (left, bottom, -1, 0), (left, top, 0, -1)]
    pieces: list[tuple] = []
    at = left + r, top
    for x, y, dx, dy in corners:  # reached in direction (dx, dy), left to its right
        start, end = (x - dx * r, y - dy * r), (x - dy * r, y + dx * r)
        pieces.append((at, start))
        pieces.append((start, (start[0] + dx * k, start[1] + dy * k), (end[0] + dy * k, end[1] - dx * k), end))
        at = end
    return pieces
