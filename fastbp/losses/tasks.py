"""`MultiTaskLoss`: several kinds of outputs in one network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp.losses.base import LOSSES, Loss, loss_of
from fastbp.losses.parts import gradient_of, value_of

if TYPE_CHECKING:
    from fastbp._typing import Array, ArrayLike
    from fastbp.losses.base import Parts

__all__ = ["MultiTaskLoss"]


class MultiTaskLoss(Loss):
    """Several losses, each of some outputs: ``sum_k weights[k] loss_k``.

    Parameters
    ----------
    parts : sequence of (loss, n_outputs)
        Each a loss, its class or its name, and how many of the network's outputs are its own, in
        their order.
    weights : sequence of float or None
        The factor of each; None is 1.

    Attributes
    ----------
    losses : tuple of Loss
    widths : tuple of int
        Outputs of each.
    weights : tuple of float
    loss : float
        The last forward's loss.
    y, t : numpy.ndarray
        The last predictions, and the targets, of their shape.

    Raises
    ------
    ValueError, TypeError
        For parts that are no such pairs; from forward, for targets that do not fit.  RuntimeError
        from backward before forward.

    Notes
    -----
    Targets are a tuple of each part's, as it takes them, or a structured array of as many fields;
    or an array of columns, in which a softmax's part has one column of class indices.  `split` gives
    each part's columns of predictions, `each` its loss.

    References
    ----------
    Caruana, Multitask learning (1997).

    Examples
    --------
    >>> import numpy as np
    >>> loss = MultiTaskLoss([("softmax_cross_entropy", 2), ("squared_error", 1)], weights=[1, 0.5])
    >>> x = np.array([[0.0, 0.0, 3.0], [0.0, 2.0, 1.0]])
    >>> t = np.array([0, 1]), np.array([1.0, 1.0])
    >>> round(loss.forward(x, t), 4)
    1.41
    >>> loss.backward().round(4)
    array([[-0.25  ,  0.25  ,  1.    ],
           [ 0.0596, -0.0596,  0.    ]])
    >>> [round(float(value), 4) for value in loss.each(x, t)]
    [0.41, 2.0]
    >>> loss.forward(x, np.array([[0, 1.0], [1, 1.0]])) == loss.forward(x, t)
    True
    """

    kind = "parts"

    def __init__(self, parts: Sequence[tuple[Any, int]], weights: Sequence[float] | None = None) -> None:
        super().__init__()
        who = "MultiTaskLoss"
        parts = checks.sequence(who, "parts", parts, "pairs (loss, number of outputs)")
        pairs = [_pair_of(who, place, part) for place, part in enumerate(parts)]
        if not pairs:
            raise ValueError(f"{who} expects at least one part; got none.")
        self.losses: tuple[Any, ...]
        self.widths: tuple[int, ...]
        self.losses, self.widths = map(tuple, zip(*pairs, strict=True))
        weights = checks.output_weights(who, "weights", [1.0] * len(pairs) if weights is None else weights)
        if len(weights) != len(pairs):
            raise ValueError(f"{who} expects a weight for each of {len(pairs)} parts; got {len(weights)}.")
        self.weights = weights
        self.parts(sum(self.widths))  # whose widths may not fit

    def config(self) -> dict[str, Any]:
        parts = [
            [{"type": type(loss).__name__, **loss.config()}, width]
            for loss, width in zip(self.losses, self.widths, strict=True)
        ]
        return {"parts": parts, "weights": list(self.weights)}

    def __repr__(self) -> str:
        parts = ", ".join(map(str, zip(self.losses, self.widths, strict=True)))
        return f"MultiTaskLoss([{parts}], weights={list(self.weights)})"

    def follow(self) -> None:
        for loss in self.losses:
            loss.follow()

    def parts(self, n_out: int) -> Parts | None:
        if n_out != sum(self.widths):
            raise ValueError(
                f"MultiTaskLoss expects predictions with {sum(self.widths)} outputs, those of its parts "
                f"{self.widths} together; got {n_out}."
            )
        found = []
        for loss, width, weight in zip(self.losses, self.widths, self.weights, strict=True):
            within = loss.parts(width)
            if within is None:
                mean = 1.0 if loss.kind == "softmax" else 1.0 / width
                within = [(loss.kind, loss.kind_number, width, mean)]
            found += [(*part, weight * factor) for *part, factor in within]
        return tuple(found)

    def split(self, x: ArrayLike) -> tuple[Array, ...]:
        """The columns of each part, of predictions (n_samples, n_outputs), as views."""
        x = checks.floats("MultiTaskLoss", "x", x)
        if not x.ndim:
            raise ValueError("MultiTaskLoss expects x of shape (n_samples, n_outputs); got ().")
        self.parts(x.shape[-1])
        return tuple(np.split(x, np.cumsum(self.widths[:-1]), axis=-1))

    def each(self, x: ArrayLike, t: Any) -> list[float]:
        """The mean loss of each part, without its weight."""
        x, t, _ = self._prepare(x, t)
        pairs = zip(self.split(x), self.split(t), strict=True)
        return [loss.evaluate_taken(*pair) for loss, pair in zip(self.losses, pairs, strict=True)]

    def targets(self, who: str, t: ArrayLike, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        self.parts(shape[1])
        out, begin = np.empty(shape, dtype), 0
        for place, (loss, width, given) in enumerate(zip(self.losses, self.widths, self._given(who, t), strict=True)):
            found = loss.targets(f"{who} of part {place}", given, (shape[0], width), dtype)
            if found.ndim == 1:
                found = found[:, np.newaxis] == np.arange(width)
            out[:, begin : begin + width] = found
            begin += width
        return out

    def _given(self, who, t):
        """Each part's targets."""
        n = len(self.losses)
        if isinstance(t, np.ndarray) and t.dtype.names:
            t = tuple(t[name] for name in t.dtype.names)
        if isinstance(t, tuple):
            if len(t) != n:
                raise ValueError(f"{who} expects t as a tuple of the targets of {n} parts; got {len(t)}.")
            return t
        t = checks.numbers(who, "t", t)
        softmax = [loss.kind == "softmax" for loss in self.losses]
        widths = [
            1 if one else width // getattr(loss, "_per_target", 1)
            for one, loss, width in zip(softmax, self.losses, self.widths, strict=True)
        ]
        if t.ndim == 1 and len(t) == sum(widths) and n > 1:
            t = t[np.newaxis]  # one sample
        if t.ndim != 2 or t.shape[1] != sum(widths):
            raise ValueError(
                f"{who} expects t as a tuple of each part's targets, or with {sum(widths)} columns, {widths} of its "
                f"parts; got an array of shape {t.shape}."
            )
        columns = np.split(t, np.cumsum(widths[:-1]), axis=1)
        return [_indices(who, some[:, 0]) if one else some for one, some in zip(softmax, columns, strict=True)]

    def _prepare(self, x, t):
        x = checks.floats("MultiTaskLoss", "x", x)
        rows = x[np.newaxis] if x.ndim == 1 else x
        if rows.ndim != 2:
            raise ValueError(f"MultiTaskLoss expects x of shape (n_samples, n_outputs); got {x.shape}.")
        return rows, self.targets("MultiTaskLoss", t, rows.shape, x.dtype), x.shape

    def evaluate_taken(self, x: Array, t: Array) -> float:
        return value_of(self.parts(x.shape[1]), x, t)

    def _value(self, x, t):
        return self.evaluate_taken(x, t), x

    def _gradient(self, y, t, dout):
        y = y.reshape(t.shape)
        return gradient_of(self.parts(y.shape[1]), y, t, dout)


def _pair_of(who, place, part):
    """A part as a loss, and its number of outputs."""
    pair = checks.sequence(who, f"parts[{place}]", part, "a pair (loss, number of outputs)")
    if len(pair) != 2:
        raise ValueError(f"{who} expects parts[{place}] as a pair (loss, number of outputs); got {checks.shown(part)}.")
    loss, width = pair
    if isinstance(loss, dict):  # of a file
        options = dict(loss)
        loss = {each.__name__: each for each in LOSSES.values()}[options.pop("type")](**options)
    loss = loss_of(who, loss)
    if (
        not isinstance(loss, Loss)
        or isinstance(loss, MultiTaskLoss)
        or not type(loss).__module__.startswith("fastbp.losses.")
    ):
        raise TypeError(f"{who} expects losses of the library's own, one within each part; got {checks.shown(loss)}.")
    return loss, checks.integer(who, f"the number of outputs of parts[{place}]", width, least=1)


def _indices(who, column):
    """A column of numbers as class indices."""
    if column.dtype.kind == "f":
        whole = np.isfinite(column) & (column == np.rint(column))
        if not whole.all():
            raise ValueError(f"{who} expects class indices in the softmax's column of t; got {column[~whole][0]:g}.")
        return column.astype(np.int64)
    return column
