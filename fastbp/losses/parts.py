"""Losses of parts: some columns by one loss, some by another, each with its factor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp.losses.base import ROW_LOSSES, mean
from fastbp.losses.classes import SoftmaxWithLoss
from fastbp.operations.losses import LOSSES as ROWS
from fastbp.operations.losses import gaussian

if TYPE_CHECKING:
    from fastbp._typing import Array


def _columns(parts, x, *others):
    """Of each part (loss, number, factor), and its columns of some arrays, contiguous."""
    begin = 0
    for kind, number, width, factor in parts:
        some = slice(begin, begin + width)
        yield kind, number, factor, some, [np.ascontiguousarray(array[:, some]) for array in (x, *others)]
        begin += width


def _part_of(kind, number, pair, scale):
    """The sum of a part's losses, and their gradient by x times scale."""
    x, t = pair
    if kind == "gaussian":
        values, slopes = gaussian(x, t, number)
        return values.sum(), (scale * slopes).astype(x.dtype)
    loss = SoftmaxWithLoss(number) if kind == "softmax" else ROW_LOSSES[kind](*[number] * bool(ROWS[kind].numbers))
    n = len(x) if kind == "softmax" else x.size
    value, y = loss._value(x, t)
    return n * value, loss._gradient(y, t, n * scale)


def value_of(parts: Any, x: Array, t: Array) -> float:
    """The mean over the rows of the parts' sums, times their factors."""
    found = _columns(parts, x, t)
    total = sum(factor * _part_of(kind, number, pair, 1.0)[0] for kind, number, factor, _, pair in found)
    return float(mean(total, len(x)))


def gradient_of(parts: Any, x: Array, t: Array, dout: float) -> Array:
    dx = np.empty_like(x)
    for kind, number, factor, some, pair in _columns(parts, x, t):
        dx[:, some] = _part_of(kind, number, pair, mean(dout, len(x)) * factor)[1]
    return dx
