"""Findings about the layers in their order, their weights, and what the last one can give."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from fastbp.diagnosis.data import AMOUNTS
from fastbp.diagnosis.report import Finding
from fastbp.diagnosis.subjects import row_of
from fastbp.operations.activations import ACTIVATIONS

__all__ = ["findings", "last_of", "of_output", "range_of"]

#: An input beyond all that a layer sees; an output below a thousandth of it is bounded.
FAR = 1e4
#: How far from it numbers may be that count as the ends of a range, and rows as sums of 1.
CLOSE = 1e-3


def findings(subject: Any) -> list[Any]:
    """Units that are alike; layers that the model does not know."""
    return [*_symmetric(subject)]


def _symmetric(subject):
    """Hidden units of the same weights, in and out, get the same gradients for ever (Rumelhart et al., 1986).

    Where the weights that lead out of them differ, the first step parts them; the last layer's units differ by their
    targets.
    """
    affine = [part for part in subject.parts if part.role == "affine" and part.weights is not None]
    for part, behind in pairwise(affine):
        W, b = part.weights, part.bias
        alike = W.shape[1] > 1 and _alike(W.T) and _alike(behind.weights) and (b is None or _alike(b))
        if alike and len(behind.weights) == W.shape[1]:
            n = W.shape[1]
            what = "0" if not W.any() else f"{W.flat[0]:.3g}" if (W.flat[0] == W).all() else "the same"
            sentence = (
                f"All {n} units of {part.words} have the same weights ({what}), so they get the same gradients and "
                "stay one unit for ever: begin with random weights, as Linear's init='he' or 0.01 * "
                "np.random.randn(n_in, n_out)."
            )
            return [Finding("symmetric_units", part.place, part.title, float(n), sentence)]
    return []


def _alike(array):
    """Whether all rows are the first, to rounding."""
    return np.isfinite(array).all() and np.allclose(array, array[:1], rtol=1e-5, atol=0)


def range_of(row: Any, numbers: Any) -> tuple[float, float]:
    """(low, high) of an activation's values; infinite where it goes on."""
    with np.errstate(all="ignore"):
        ends = row.value(np.array([-FAR, -1.0, 0.0, 1.0, FAR]), *numbers)
        inner = row.value(np.linspace(-5, 5, 201), *numbers)
    low, high = min(ends.min(), inner.min()), max(ends.max(), inner.max())
    return float(-np.inf if low < -FAR / 1000 else low), float(np.inf if high > FAR / 1000 else high)


def last_of(subject: Any, found: Any) -> Any:
    """What the last layer is, as (role, its row and numbers, its part or None)."""
    if subject.on_tensors:
        name = found.last.lower().replace("_", "").removeprefix("native")
        row = next((row for key, row in ACTIVATIONS.items() if row.node == f"{found.last}Backward0"), None)
        part = found.seen[-1].part if found.seen else None
        part = part if part is not None and np.array_equal(found.seen[-1].out, found.y) else None
        if name in ("softmax", "logsoftmax"):
            return ("softmax" if name == "softmax" else "log_softmax"), None, part
        own = None if part is None else row_of(part.layer)
        return ("activation", own or (row, ()), part) if own or (row and not row.numbers) else ("other", None, part)
    for part in reversed(subject.parts):
        if part.role not in ("same", "dropout"):
            return part.role, row_of(part.layer), part
    return "other", None, None


def of_output(subject: Any, found: Any, t: Any) -> list[Any]:
    """What stands before the loss, and between the layers."""
    return [*_before_loss(subject, found, t), *_between(subject, found)]


def _before_loss(subject, found, t):
    role, row, part = last_of(subject, found)
    place, title = (None, "") if part is None else (part.place, part.title)
    words = f"The last layer, {part.words}," if part is not None else "The last function of the model"
    y = found.y
    family = subject.family
    if not np.isfinite(y).all() or y.ndim < 2:
        return []
    if family == "softmax":
        sums = y.sum(axis=1)
        if role == "softmax" or (
            y.shape[1] > 1 and len(y) > 1 and y.min() >= 0 and np.abs(sums - 1).max() < CLOSE and role != "activation"
        ):
            sentence = (
                f"{words} is a softmax, and the loss has one of its own: of probabilities between 0 and 1 it makes "
                "nearly equal ones, and gradients fade, so take the softmax away (predict_proba gives probabilities)."
            )
            return [Finding("softmax_twice", place, title, float(np.abs(sums).max()), sentence)]
    if family == "nll" and y.shape[1] > 1:
        off = float(np.abs(np.log(np.exp(y - y.max(axis=1, keepdims=True)).sum(axis=1)) + y.max(axis=1)).max())
        if off > CLOSE:
            sentence = (
                "NLLLoss takes log-probabilities, whose exp sums to 1, and the outputs' is off by up to "
                f"{np.exp(off):.3g} times: the loss can fall without end, so put LogSoftmax behind the last layer, "
                "or take CrossEntropyLoss."
            )
            return [Finding("log_softmax_missing", place, title, off, sentence)]
    if family == "sigmoid" and role == "activation" and row is not None and row[0].name in ("sigmoid", "hardsigmoid"):
        sentence = (
            f"{words} is a sigmoid, and the loss has one of its own: sigmoid(sigmoid(x)) lies between 0.5 and 0.73, "
            "so the loss cannot fall below 0.31 where targets are 1 and 0.69 where they are 0; take the sigmoid away."
        )
        return [Finding("sigmoid_twice", place, title, 0.73, sentence)]
    if row is None:
        if role == "softmax" and family in ("sigmoid", *AMOUNTS):
            return _unreachable(words, place, title, t, 0.0, 1.0) if family in AMOUNTS else []
        return []
    low, high = range_of(*row)
    if family in ("softmax", "sigmoid") and (low > -FAR / 1000 or high < FAR / 1000):
        value = high if np.isfinite(high) else low
        sides = f"between {low:.2g} and {high:.2g}" if np.isfinite(high) and np.isfinite(low) else f"above {low:.2g}"
        if not np.isfinite(low):
            sides = f"below {high:.2g}"
        sentence = (
            f"{words} gives numbers {sides} only, and the loss takes logits, which may be any: the network cannot be "
            "sure of an answer, and where the activation is flat it gets no gradient, so end with the affine layer."
        )
        return [Finding("bounded_output", place, title, value, sentence)]
    if family in AMOUNTS:
        return _unreachable(words, place, title, t, low, high)
    return []


def _unreachable(words, place, title, t, low, high):
    """Targets beyond what the last activation gives; its ends count as reached."""
    if t is None or t.dtype.kind not in "fiub":
        return []
    least, most = float(t.min()), float(t.max())
    room = CLOSE * max(1.0, abs(least), abs(most))
    if low - room <= least and most <= high + room:
        return []
    outside = float(np.mean((t < low - room) | (t > high + room)))
    sentence = (
        f"{words} gives numbers from {low:.3g} to {high:.3g}, and t runs from {least:.3g} to {most:.3g}: "
        f"{outside:.0%} of the targets cannot be reached, so end a regression with the affine layer, or scale t into "
        "the range."
    )
    return [Finding("bounded_output", place, title, outside, sentence)]


def _between(subject, found):
    """Affine layers of which one's output is the next one's input: together they are one.

    Not where the first one's width is below its neighbours', as in a factorised matrix.
    """
    before = None
    for each in found.seen:
        if each.part.role == "activation" and not _is_linear(each):
            before = None
        if each.part.role != "affine":
            continue
        if before is not None and each.x.shape == before.out.shape and np.array_equal(each.x, before.out):
            n_hidden = before.out.shape[-1]
            if n_hidden >= min(before.x.shape[-1], each.out.shape[-1]):
                sentence = (
                    f"Between {before.part.words} and {each.part.words} there is no activation, so the two are one "
                    f"affine map and the {n_hidden} units between them add nothing: put a Relu there."
                )
                return [Finding("no_activation", before.part.place, before.part.title, float(n_hidden), sentence)]
        before = each
    return []


def _is_linear(each):
    row = row_of(each.part.layer)
    return row is not None and row[0].name == "identity"
