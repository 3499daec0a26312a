"""The text of an array as PyTorch prints it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from fastbp._typing import Array

#: Digits after the point, the number of elements above which long dimensions are shortened,
#: how many are shown at each of their ends, columns, and scientific notation (None: as needed).
OPTIONS: dict[str, Any] = {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "sci_mode": None}
_DEFAULTS = dict(OPTIONS)
_PROFILES: dict[str, dict[str, Any]] = {
    "default": _DEFAULTS,
    "short": {**_DEFAULTS, "precision": 2, "edgeitems": 2},
    "full": {**_DEFAULTS, "threshold": math.inf},
}


def set_printoptions(
    precision: int | None = None,
    threshold: int | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: Literal["default", "short", "full"] | None = None,
    sci_mode: bool | None = None,
) -> None:
    """How tensors are printed, by PyTorch's names; what is None stays as it is.

    Parameters
    ----------
    precision : int
        Digits after the point.
    threshold : int
        Elements above which long dimensions are shortened.
    edgeitems : int
        Elements shown at each end of a shortened dimension.
    linewidth : int
        Columns of a line.
    profile : {"default", "short", "full"}
        All of them together.
    sci_mode : bool
        Scientific notation: always or never; None leaves it to the numbers.
    """
    if profile is not None:
        OPTIONS.update(_PROFILES[profile])
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    OPTIONS.update({name: value for name, value in given.items() if value is not None})
    OPTIONS["sci_mode"] = sci_mode


def text(x: Array, prefix: str = "tensor(", suffixes: Sequence[str] = ()) -> str:
    """``tensor([...], suffix, ...)``, broken into lines.

    Parameters
    ----------
    x : numpy.ndarray
    prefix : str
        What the numbers stand behind; further lines are indented by its length.
    suffixes : sequence of str
        Such as "requires_grad=True".

    Examples
    --------
    >>> print(text(np.array([[1.0, 2.5], [-3.0, 4.0]])))
    tensor([[ 1.0000,  2.5000],
            [-3.0000,  4.0000]])
    """
    indent = len(prefix)
    out = prefix + numbers(x, indent)
    column = len(out) - out.rfind("\n") + 1
    for suffix in suffixes:
        if column + len(suffix) + 2 > OPTIONS["linewidth"]:
            out += ",\n" + " " * indent + suffix
            column = indent + len(suffix)
        else:
            out += ", " + suffix
            column += len(suffix) + 2
    return out + ")"


def numbers(x: Array, indent: int = 0) -> str:
    """The brackets and the numbers alone; further lines are indented."""
    if x.size == 0:
        return "[]"
    edge = OPTIONS["edgeitems"] if x.size > OPTIONS["threshold"] else math.inf
    return _nested(x, indent, edge, *_writer(_shown(x, edge)))


def _shown(x, edge):
    """The elements of an array that are printed."""
    for axis, n in enumerate(x.shape):
        if n > 2 * edge:
            x = np.take(x, [*range(edge), *range(n - edge, n)], axis)
    return x.ravel()


def _writer(shown):
    """The width of a number, and a function to its text, of one notation for all."""
    if shown.dtype.kind != "f":
        width = max(len(str(value)) for value in shown.tolist())
        return width, lambda value: str(value).rjust(width)
    finite = shown[np.isfinite(shown) & (shown != 0)].astype(np.float64)
    whole = bool((finite == np.ceil(finite)).all())
    digits = OPTIONS["precision"]
    scientific = _scientific(np.abs(finite))

    def write(value):
        if scientific or not whole:
            return f"{value:.{digits}{'e' if scientific else 'f'}}"
        # The point tells a float; nan and inf need none.
        return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"

    width = max((len(write(value)) for value in finite.tolist()), default=1)
    return width, lambda value: write(value).rjust(width)


def _scientific(sizes):
    if sizes.size == 0:
        return False
    if OPTIONS["sci_mode"] is not None:
        return OPTIONS["sci_mode"]
    least, most = float(sizes.min()), float(sizes.max())
    return most / least > 1000 or most > 1e8 or least < 1e-4


def _nested(x, indent, edge, width, write):
    if x.ndim == 0:
        return write(x.item())
    if x.ndim == 1:
        return _row(x, indent, edge, width, write)
    rows = [_nested(row, indent + 1, edge, width, write) for row in _ends(x, edge)]
    if len(x) > 2 * edge:
        rows.insert(edge, "...")
    return "[" + ("," + "\n" * (x.ndim - 1) + " " * (indent + 1)).join(rows) + "]"


def _row(x, indent, edge, width, write):
    cells = [write(value) for value in _ends(x, edge).tolist()]
    per_line = max(1, (OPTIONS["linewidth"] - indent) // (width + 2))
    if len(x) > 2 * edge:
        cells.insert(edge, " ...")
    lines = [", ".join(cells[i : i + per_line]) for i in range(0, len(cells), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _ends(x, edge):
    return x if len(x) <= 2 * edge else np.concatenate([x[:edge], x[-edge:]])
