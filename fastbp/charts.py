"""Pictures of a table's training as SVG: matplotlib's import takes longer than the training of most tables."""

from __future__ import annotations

import math
import sys
import unicodedata
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from fastbp import files, scores

if TYPE_CHECKING:
    from fastbp._typing import Array, Path

__all__ = ["calibration", "importances", "learning_curves", "residuals", "width_of"]

#: Okabe and Ito's colours, for all eyes.
_BLUE, _GREEN = "#0072B2", "#009E73"
#: Of a panel in pixels: its width and height, and what lies left of it and below it.
_WIDTH, _HEIGHT, _LEFT, _BELOW = 340, 250, 100, 62
#: What slanted texts take more of it.
_SLANTED = 36
_TOP, _RIGHT = 34, 26
#: Bars of residuals.
_BINS = 30
#: Points that are drawn at most, evenly taken.
_MOST_POINTS = 2000
#: Classes whose names and counts are written, and signs of a name.
_MOST_NAMED, _MOST_SIGNS = 12, 12
#: Pixels of a sign of an axis.
_SIGN = 6.5
#: Numbers beyond are drawn as these are, whose distances and sums are finite, too.
FARTHEST = sys.float_info.max / 64


# --- the pictures ---------------------------------------------------------------------------


def learning_curves(history, path=None):
    """Loss beside accuracy, over the epochs, as the text of an SVG.

    Parameters
    ----------
    history : mapping of str to sequence of float
        One number per epoch under ``train_loss``, and any of ``val_loss``, ``train_accuracy`` and
        ``val_accuracy``.
    path : str, os.PathLike or None
        A file to write, whole or not at all.

    Returns
    -------
    str
    """
    panels: list[_Panel] = []
    for quantity in ("loss", "accuracy"):
        curves = {part: np.asarray(history.get(f"{part}_{quantity}", ()), np.float64) for part in ("train", "val")}
        values = np.concatenate(list(curves.values()))
        if not len(values):
            continue
        finite = values[np.isfinite(values)]
        n = max(map(len, curves.values()))
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        ends = (min(low, 0.0), max(high, 0.0)) if quantity == "loss" else (low, 1.0)
        panel = _Panel(len(panels), (1, max(n, 2)), ends, "Epoch", quantity.capitalize(), whole="x")
        for place, (part, name, colour) in enumerate((("train", "train", _BLUE), ("val", "validation", _GREEN))):
            if len(curves[part]):
                panel.line(np.arange(1, n + 1), curves[part], colour, dots=n == 1)
                panel.legend(place, name, colour)
        if not len(finite):
            panel.text((1 + max(n, 2)) / 2, 0.5, "not finite", "black")
        panels.append(panel)
    if not panels:
        raise ValueError("learning_curves expects a history with losses or accuracies; got none.")
    return _write(path, panels, "Learning curves")


def residuals(y: Array, t: Array, name: str, path: Path) -> None:
    """Write predictions (n,) against true values (n,) of a target, and what is left of them."""
    y, t = (np.clip(each, -FARTHEST, FARTHEST) for each in (y, t))
    low, high = float(min(y.min(), t.min())), float(max(y.max(), t.max()))
    name = plain(name)
    against = _Panel(0, (low, high), (low, high), f"Predicted {name}", f"True {name}")
    against.line([low, high], [low, high], "#999999")
    against.points(y, t)
    wrong = y - t
    edges = bars(wrong, _BINS)
    counts, _ = np.histogram(wrong, edges)
    ends = (float(edges[0]), float(edges[-1])), (0, int(counts.max()))
    spread = _Panel(1, *ends, "Predicted minus true", "Rows", whole="y")
    for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True):
        spread.bar((left, right), (0, count))
    _write(path, [against, spread], "Residuals")


def calibration(p: Array, t: Array, classes: Sequence[object], path: Path) -> None:
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
    names = [plain(each, _MOST_SIGNS) for each in classes] if n <= _MOST_NAMED else []
    slanted = max(map(width_of, names), default=0) * _SIGN > _WIDTH / n
    counts = _Panel(1, (0, n), (n, 0), "Predicted", "True", ticks="", slanted=slanted)
    table = scores.confusion(p, t)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    for row, column in np.argwhere(table):
        share = shares[row, column]
        red, green, blue = (round(255 + share * (c - 255)) for c in (8, 69, 148))
        counts.bar((column, column + 1), (row, row + 1), f"rgb({red},{green},{blue})")
        if names:
            counts.text(column + 0.5, row + 0.5, int(table[row, column]), "white" if share > 0.5 else "black")
    for k, name in enumerate(names):
        counts.tick_x(k + 0.5, name)
        counts.tick_y(k + 0.5, name)
    _write(path, [curve, counts], "Calibration and confusion")


def importances(names: list[str], means: Array, deviations: Array, score: str, path: Path, most: int = 20) -> None:
    """Write what a score loses where a column's values are shuffled, the largest first.

    A loss of NaN is that of a score which the rows do not define, as R^2 of equal numbers.

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
    known = ~np.isnan(means)
    ends = [float(np.min(means - deviations, initial=0, where=known))]
    ends.append(float(np.max(means + deviations, initial=0, where=known)))
    panel = _Panel(0, ends, (n, 0), f"Loss of {score} where shuffled", "", ticks="x", left=200, height=24 * n)
    for k in range(n):
        if math.isnan(means[k]):
            panel.text(sum(panel.x) / 2, k + 0.5, "not defined", "black")
        else:
            panel.bar(sorted((0.0, float(means[k]))), (k + 0.15, k + 0.85))
            panel.line([means[k] - deviations[k], means[k] + deviations[k]], [k + 0.5, k + 0.5], "black")
        panel.tick_y(k + 0.5, plain(names[k]))
    _write(path, [panel], "Importances of columns")


# --- a panel --------------------------------------------------------------------------------


class _Panel:
    """Axes from `x` to `y`, pairs of their ends, and what is drawn between them.

    `place` counts panels from the left; `ticks` says which axes have numbers, `whole` which have no
    fractions, `slanted` whether the texts below are.
    """

    def __init__(
        self, place, x, y, x_label, y_label, *, ticks="xy", whole="", slanted=False, left=_LEFT, height=_HEIGHT
    ):
        self.x, self.y = (_widened(*ends) for ends in (x, y))
        self.left, self.height = place * (_LEFT + _WIDTH + _RIGHT) + left, height
        self.slanted, self.below = slanted, _BELOW + (_SLANTED if slanted else 0)
        self.parts = []
        middle = self.left + _WIDTH / 2, _TOP + height / 2
        labels = _labels(self.x, "x" in whole) if "x" in ticks else {}
        apart = _WIDTH / max(len(labels), 1)
        for place, (value, text) in enumerate(labels.items()):
            self._rule(self._across(value), _TOP, 0, height)
            if place % math.ceil((len(text) + 1) * _SIGN / apart) == 0:
                self.tick_x(value, text)
        for value, text in _labels(self.y, "y" in whole).items() if "y" in ticks else ():
            self._rule(self.left, self._down(value), _WIDTH, 0)
            self.tick_y(value, text)
        self.frame = (
            f'<path d="M{self.left} {_TOP}v{height}h{_WIDTH}" fill="none" stroke="black"/>'
            f'<text x="{middle[0]:g}" y="{_TOP + height + self.below - 18}">{escape(x_label)}</text>'
            f'<text transform="translate({self.left - left + 16} {middle[1]:g}) rotate(-90)">{escape(y_label)}</text>'
        )

    def _across(self, x):
        return round(self.left + _WIDTH * ((x - self.x[0]) / (self.x[1] - self.x[0])), 1)

    def _down(self, y):
        return round(_TOP + self.height * (1 - (y - self.y[0]) / (self.y[1] - self.y[0])), 1)

    def _rule(self, x, y, across, down):
        self.parts.append(f'<path d="M{x} {y}l{across} {down}" stroke="#e5e5e5"/>')

    def line(self, x: Array | Sequence[float], y: Array | Sequence[float], colour: str, dots: bool = False) -> None:
        """A line through the finite ones of some points, which may be shown."""
        ends = [(self._across(a), self._down(b)) for a, b in zip(x, y, strict=False) if math.isfinite(b)]
        if not ends:
            return
        path = "L".join(f"{a} {b}" for a, b in ends)
        self.parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        if dots:
            self.parts += [f'<circle cx="{a}" cy="{b}" r="3.5" fill="{colour}"/>' for a, b in ends]

    def points(self, x: Array, y: Array) -> None:
        """Points, of many an even choice; lines without length, which round ends make dots."""
        step = -(-len(x) // _MOST_POINTS)
        path = "".join(
            f"M{self._across(a)} {self._down(b)}h0" for a, b in zip(x[::step].tolist(), y[::step].tolist(), strict=True)
        )
        self.parts.append(
            f'<path d="{path}" stroke="{_BLUE}" stroke-width="4" stroke-linecap="round" stroke-opacity="0.6"/>'
        )

    def bar(self, x: Sequence[float], y: Sequence[float], colour: str = _BLUE) -> None:
        """A rectangle between two pairs of ends."""
        left, right = (self._across(each) for each in x)
        bottom, top = sorted((self._down(each) for each in y), reverse=True)
        size = f'width="{right - left:.1f}" height="{bottom - top:.1f}"'
        self.parts.append(f'<rect x="{left}" y="{top}" {size} fill="{colour}"/>')

    def text(self, x: float, y: float, content: object, colour: str) -> None:
        """A text in the middle of a place."""
        where = f'x="{self._across(x)}" y="{self._down(y) + 4}"'
        self.parts.append(f'<text {where} font-size="10" fill="{colour}">{escape(str(content))}</text>')

    def tick_x(self, x: float, content: str) -> None:
        """A text below the axis."""
        x, y = self._across(x), _TOP + self.height + 18
        where = f'transform="translate({x} {y}) rotate(-35)" text-anchor="end"' if self.slanted else f'x="{x}" y="{y}"'
        self.parts.append(f'<text {where} font-size="11">{escape(content)}</text>')

    def tick_y(self, y: float, content: str) -> None:
        """A text left of the axis."""
        where = f'x="{self.left - 7}" y="{self._down(y) + 4}"'
        self.parts.append(f'<text {where} font-size="11" text-anchor="end">{escape(content)}</text>')

    def legend(self, place: int, name: str, colour: str) -> None:
        """A curve's name, above the panel, where no curve runs through it."""
        x = self.left + 110 * place
        self.parts.append(
            f'<path d="M{x} {_TOP - 16}h22" stroke="{colour}" stroke-width="1.6"/>'
            f'<text x="{x + 28}" y="{_TOP - 12}" text-anchor="start">{name}</text>'
        )


def _write(path, panels, title):
    width = max(panel.left for panel in panels) + _WIDTH + _RIGHT
    height = _TOP + panels[0].height + max(panel.below for panel in panels)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" font-family="Helvetica, Arial, \'DejaVu Sans\', sans-serif" font-size="12" text-anchor="middle">'
    )
    drawn = [part for panel in panels for part in (*panel.parts, panel.frame)]
    lines = [head, f"<title>{title}</title>", '<rect width="100%" height="100%" fill="white"/>', *drawn, "</svg>\n"]
    svg = "\n".join(lines)
    if path is not None:
        files.write_whole(path, svg.encode())
    return svg


def bars(values, most):
    """The edges of a histogram of numbers: equal steps, or one bar where they differ by rounding alone.

    Numbers beyond `FARTHEST` are to be clipped to it.

    Examples
    --------
    >>> bars(np.array([0.0, 1.0]), 2).tolist(), bars(np.array([3.0, 3.0]), 2).tolist()
    ([0.0, 0.5, 1.0], [1.5, 4.5])
    """
    low, high = float(values.min()), float(values.max())
    edges = np.linspace(low, high, most + 1)
    return edges if (np.diff(edges) > 0).all() else np.array(_widened(low, high))


def _widened(low, high):
    """The ends of an axis, which differ."""
    if low != high:
        return low, high
    return low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2


def _labels(ends, whole):
    """Round numbers between two ends, four to nine of them or fewer whole ones, and how they are written."""
    first, last = sorted(ends)
    rough = max((last - first) / 5, whole, sys.float_info.min)
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(each for each in (1, 2, 5, 10) if each * power >= 0.999 * rough)
    values = [k * step for k in range(math.ceil(first / step - 1e-9), math.floor(last / step + 1e-9) + 1)]
    digits = max(6, math.ceil(math.log10(max(abs(first), abs(last)) / step)) + 1)  # that tell them apart
    return {value: f"{value:.{digits}g}".replace("-", "−") for value in values}


def plain(name, most=24):
    """A name as one line that XML may hold; of one that is too wide its beginning and its end."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(str(name).split()))
    if width_of(text) <= most:
        return text
    end = most // 3
    head = next(text[:k] for k in range(most, 0, -1) if width_of(text[:k]) < most - end)
    return f"{head}…{next(text[-k:] for k in range(end, 0, -1) if width_of(text[-k:]) <= end)}"


def width_of(text):
    """Signs of a text, of which Chinese ones are as wide as two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
