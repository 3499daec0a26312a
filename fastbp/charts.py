"""Pictures of a table's training as SVG: matplotlib's import takes longer than the training of most tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import files, scores

if TYPE_CHECKING:
    from fastbp._typing import Array, Path

__all__ = ["calibration", "importances", "learning_curves", "residuals"]

#: Okabe and Ito's colours, for all eyes.
_BLUE, _GREEN = "#0072B2", "#009E73"
#: Of a panel in pixels: its width and height, and what lies left of it and below it.
_WIDTH, _HEIGHT, _LEFT, _BELOW = 340, 250, 100, 62
_TOP, _RIGHT = 34, 26
#: Points that are drawn at most, evenly taken.
_MOST_POINTS = 2000
#: Classes whose names and counts are written.
_MOST_NAMED = 12


# --- the pictures ---------------------------------------------------------------------------


def learning_curves(history: Mapping[str, Any], path: Path) -> None:
    """Write loss beside accuracy, over the epochs.

    Parameters
    ----------
    history : mapping of str to sequence of float
        One number per epoch under ``train_loss``, and any of ``val_loss``, ``train_accuracy`` and
        ``val_accuracy``.
    path : str, os.PathLike
        The file, written whole or not at all.
    """
    panels: list[_Panel] = []
    for quantity in ("loss", "accuracy"):
        curves = {part: np.asarray(history.get(f"{part}_{quantity}", ()), np.float64) for part in ("train", "val")}
        values = np.concatenate(list(curves.values()))
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        n = max(map(len, curves.values()))
        ends = (0.0, float(values.max())) if quantity == "loss" else (float(values.min()), 1.0)
        panel = _Panel(len(panels), (1, max(n, 2)), ends, "Epoch", quantity.capitalize())
        for place, (part, name, colour) in enumerate((("train", "train", _BLUE), ("val", "validation", _GREEN))):
            if len(curves[part]):
                panel.line(np.arange(1, n + 1), curves[part], colour, dots=n == 1)
                panel.legend(place, name, colour)
        panels.append(panel)
    _write(path, panels, "Learning curves")


def residuals(y: Any, t: Any, name: Any, path: Any) -> None:
    """Write predictions (n,) against true values (n,) of a target, and what is left of them."""
    low, high = float(min(y.min(), t.min())), float(max(y.max(), t.max()))
    name = _plain(name)
    against = _Panel(0, (low, high), (low, high), f"Predicted {name}", f"True {name}")
    against.line([low, high], [low, high], "#999999")
    against.points(y, t)
    counts, edges = np.histogram(y - t, bins=30)
    spread = _Panel(1, (float(edges[0]), float(edges[-1])), (0, int(counts.max())), "Predicted minus true", "Rows")
    for count, left, right in zip(counts, edges, edges[1:], strict=False):
        spread.bar((left, right), (0, count))
    _write(path, [against, spread], "Residuals")


def calibration(p: Array, t: Array, classes: list[Any], path: Path) -> None:
    """Write how often a class is right that was given a probability, and the confusion of classes.

    Parameters
    ----------
    p : numpy.ndarray
        (n, n_classes) probabilities.
    t : numpy.ndarray
        (n,) class indices.
    classes : list
        Their names.
    path : str, os.PathLike
    """
    said, right = p.max(axis=1), p.argmax(axis=1) == t
    bins = np.minimum((said * 10).astype(int), 9)
    filled = [k for k in range(10) if (bins == k).any()]
    curve = _Panel(0, (0, 1), (0, 1), "Probability", "Share that is right")
    curve.line([0, 1], [0, 1], "#999999")
    chances, hits = ([each[bins == k].mean() for k in filled] for each in (said, right))
    curve.line(chances, hits, _BLUE, dots=True)
    n = len(classes)
    counts = _Panel(1, (0, n), (n, 0), "Predicted", "True", ticks=False)
    table = scores.confusion(p, t)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    for row, column in np.argwhere(table):
        share = shares[row, column]
        red, green, blue = (round(255 + share * (c - 255)) for c in (8, 69, 148))
        counts.bar((column, column + 1), (row, row + 1), f"rgb({red},{green},{blue})")
        if n <= _MOST_NAMED:
            counts.text(column + 0.5, row + 0.5, int(table[row, column]), "white" if share > 0.5 else "black")
    if n <= _MOST_NAMED:
        names = [_plain(each, 11 if n < 5 else 7) for each in classes]
        for k, name in enumerate(names):
            counts.tick_x(k + 0.5, name)
            counts.tick_y(k + 0.5, name)
    _write(path, [curve, counts], "Calibration and confusion")


def importances(names: list[str], means: Array, deviations: Array, score: str, path: Path, most: int = 20) -> None:
    """Write what a score loses where a column's values are shuffled, the largest first.

    Parameters
    ----------
    names : list of str
    means, deviations : numpy.ndarray
        (n_columns,)
    score : str
    path : str, os.PathLike
    most : int
        Columns that are drawn.
    """
    n = min(len(names), most)
    means, deviations = means[:n], deviations[:n]
    ends = min(0.0, float((means - deviations).min())), max(0.0, float((means + deviations).max()))
    panel = _Panel(0, ends, (n, 0), f"Loss of {score} where shuffled", "", ticks="x", left=200, height=24 * n)
    for k in range(n):
        panel.bar(sorted((0.0, float(means[k]))), (k + 0.15, k + 0.85))
        panel.line([means[k] - deviations[k], means[k] + deviations[k]], [k + 0.5, k + 0.5], "black")
        panel.tick_y(k + 0.5, _plain(names[k]))
    _write(path, [panel], "Importances of columns")


# --- a panel --------------------------------------------------------------------------------


class _Panel:
    """Axes from `x` to `y`, pairs of their ends, and what is drawn between them.

    `place` counts panels from the left; `ticks` says which axes have numbers.
    """

    def __init__(
        self,
        place: Any,
        x: Any,
        y: Any,
        x_label: Any,
        y_label: Any,
        *,
        ticks: Any = "xy",
        left: Any = _LEFT,
        height: Any = _HEIGHT,
    ) -> None:
        self.x, self.y = (_widened(*ends) for ends in (x, y))
        self.left, self.height = place * (_LEFT + _WIDTH + _RIGHT) + left, height
        self.parts: list[str] = []
        middle = self.left + _WIDTH / 2, _TOP + height / 2
        for value in _ticks(*self.x) if ticks and "x" in ticks else ():
            self._rule(self._across(value), _TOP, 0, height)
            self.tick_x(value, _number(value))
        for value in _ticks(*self.y) if ticks and "y" in ticks else ():
            self._rule(self.left, self._down(value), _WIDTH, 0)
            self.tick_y(value, _number(value))
        self.frame = (
            f'<path d="M{self.left} {_TOP}v{height}h{_WIDTH}" fill="none" stroke="black"/>'
            f'<text x="{middle[0]:g}" y="{_TOP + height + 44}">{escape(x_label)}</text>'
            f'<text transform="translate({self.left - left + 16} {middle[1]:g}) rotate(-90)">{escape(y_label)}</text>'
        )

    def _across(self, x):
        return round(self.left + _WIDTH * (x - self.x[0]) / (self.x[1] - self.x[0]), 1)

    def _down(self, y):
        return round(_TOP + self.height * (1 - (y - self.y[0]) / (self.y[1] - self.y[0])), 1)

    def _rule(self, x, y, across, down):
        self.parts.append(f'<path d="M{x} {y}l{across} {down}" stroke="#e5e5e5"/>')

    def line(self, x: Any, y: Any, colour: Any, dots: bool = False) -> None:
        """A line through the finite ones of some points, which may be shown."""
        ends = [(self._across(a), self._down(b)) for a, b in zip(x, y, strict=False) if math.isfinite(b)]
        path = "L".join(f"{a} {b}" for a, b in ends)
        self.parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        if dots:
            self.parts += [f'<circle cx="{a}" cy="{b}" r="3.5" fill="{colour}"/>' for a, b in ends]

    def points(self, x: Any, y: Any) -> None:
        """Points, of many an even choice; lines without length, which round ends make dots."""
        step = -(-len(x) // _MOST_POINTS)
        path = "".join(
            f"M{self._across(a)} {self._down(b)}h0" for a, b in zip(x[::step].tolist(), y[::step].tolist(), strict=True)
        )
        self.parts.append(
            f'<path d="{path}" stroke="{_BLUE}" stroke-width="4" stroke-linecap="round" stroke-opacity="0.6"/>'
        )

    def bar(self, x: Any, y: Any, colour: Any = _BLUE) -> None:
        """A rectangle between two pairs of ends."""
        left, right = (self._across(each) for each in x)
        bottom, top = sorted((self._down(each) for each in y), reverse=True)
        size = f'width="{right - left:.1f}" height="{bottom - top:.1f}"'
        self.parts.append(f'<rect x="{left}" y="{top}" {size} fill="{colour}"/>')

    def text(self, x: Any, y: Any, content: Any, colour: Any) -> None:
        """A text in the middle of a place."""
        where = f'x="{self._across(x)}" y="{self._down(y) + 4}"'
        self.parts.append(f'<text {where} font-size="10" fill="{colour}">{escape(str(content))}</text>')

    def tick_x(self, x: Any, content: Any) -> None:
        """A text below the axis."""
        where = f'x="{self._across(x)}" y="{_TOP + self.height + 18}"'
        self.parts.append(f'<text {where} font-size="11">{escape(content)}</text>')

    def tick_y(self, y: Any, content: Any) -> None:
        """A text left of the axis."""
        where = f'x="{self.left - 7}" y="{self._down(y) + 4}"'
        self.parts.append(f'<text {where} font-size="11" text-anchor="end">{escape(content)}</text>')

    def legend(self, place: Any, name: Any, colour: Any) -> None:
        """A curve's name, above the panel, where no curve runs through it."""
        x = self.left + 110 * place
        self.parts.append(
            f'<path d="M{x} {_TOP - 16}h22" stroke="{colour}" stroke-width="1.6"/>'
            f'<text x="{x + 28}" y="{_TOP - 12}" text-anchor="start">{name}</text>'
        )


def _write(path, panels, title):
    width = max(panel.left for panel in panels) + _WIDTH + _RIGHT
    height = _TOP + panels[0].height + _BELOW
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" font-family="Helvetica, Arial, \'DejaVu Sans\', sans-serif" font-size="12" text-anchor="middle">'
    )
    drawn = [part for panel in panels for part in (*panel.parts, panel.frame)]
    lines = [head, f"<title>{title}</title>", '<rect width="100%" height="100%" fill="white"/>', *drawn, "</svg>\n"]
    files.write_whole(path, "\n".join(lines).encode())


def _widened(low, high):
    """The ends of an axis, which differ."""
    if low != high:
        return low, high
    return low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2


def _ticks(low, high):
    """Round numbers between two ends, four to nine."""
    rough = abs(high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(each for each in (1, 2, 5, 10) if each * power >= 0.999 * rough)
    first, last = sorted((low, high))
    return [k * step for k in range(math.ceil(first / step - 1e-9), math.floor(last / step + 1e-9) + 1)]


def _number(value):
    return f"{value:.6g}".replace("-", "−")


def _plain(name, most=24):
    """A name as one line that XML may hold, not too long."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(str(name).split()))
    return text if len(text) <= most else f"{text[: most - 1]}…"
