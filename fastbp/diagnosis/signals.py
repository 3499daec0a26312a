"""Findings about what goes forward and back through the layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastbp.diagnosis.data import ENOUGH_ROWS
from fastbp.diagnosis.passes import Seen
from fastbp.diagnosis.report import Finding
from fastbp.diagnosis.structure import range_of
from fastbp.diagnosis.subjects import row_of
from fastbp.operations.activations import ACTIVATIONS

__all__ = ["findings", "sizes_of_gradients"]

#: A slope below this share of its greatest counts as none: of a sigmoid outputs below 0.013 and above 0.987, of tanh
#: beyond 0.975.  Glorot & Bengio (2010), section 3, call saturated what lies at the ends so.
FLAT = 0.05
#: A layer is saturated where as many outputs lie there as of sums with this deviation, where a good start has 1, and
#: raw measures in centimetres up to 4: 38 % of a sigmoid, as of the book's, whose weights have the deviation 1 (section
#: 6.2.2), 66 % of a tanh.
WIDE_SUMS = 5.0
#: A thousandfold between two layers: 0.25^5, five sigmoids at their best, whose slope is at most 1/4; a rate that
#: suits one layer moves the other not at all.
RATIO = 1e-3
#: Between a start by He or Xavier and one from which signals fade or grow, within few layers.
TOO_SMALL, TOO_LARGE = 0.3, 3.0
#: The square root of the largest number: whose square is infinite.
NEAR_THE_END = {4: 1e18, 8: 1e150}


def findings(subject: Any, found: Any) -> Any:
    """The findings of a `Pass`."""
    overflow = _overflow(subject, found)
    if overflow:
        return overflow
    result = []
    for each, row, words in _activations(subject, found):
        result += _dead(each, row, words) + _saturated(each, row, words)
    dead = [f for f in result if f.kind == "dead_units" and f.value == 1]
    if not dead:
        result += _gradients(subject, found)
    return result + _biases_only(found)


def _overflow(subject, found):
    for part in subject.parts:
        for name, array in (("weights", part.weights), ("biases", part.bias)):
            if array is not None and not np.isfinite(array).all():
                n = int((~np.isfinite(array)).sum())
                sentence = (
                    f"{n} of the {name} of {part.words} {'is' if n == 1 else 'are'} NaN or infinite, from a step "
                    "before that was too large: begin anew with a tenth of the learning rate, or clip gradients "
                    "(clip_norm=1)."
                )
                return [Finding("overflow", part.place, part.title, float(n), sentence)]
    for each in found.seen:
        out = each.out
        if out.dtype.kind != "f" or not out.size:
            continue
        largest = float(np.nanmax(np.abs(out))) if not np.isnan(out).all() else np.inf
        if not np.isfinite(out).all() or largest > NEAR_THE_END.get(out.dtype.itemsize, 1e18):
            size = "numbers that are not finite" if not np.isfinite(out).all() else f"numbers of size {largest:.2g}"
            sentence = (
                f"{each.part.words[:1].upper()}{each.part.words[1:]} gives {size} for finite rows, at the end of "
                f"{out.dtype}: its weights or inputs are far too large (a rate too high, exp or a power of raw "
                "numbers?), so normalise x and begin anew with a smaller rate."
            )
            return [Finding("overflow", each.part.place, each.part.title, largest, sentence)]
    if found.loss is not None and not np.isfinite(found.loss):
        sentence = (
            f"The loss is {found.loss} though all outputs are finite: they are too far from the targets for its "
            "numbers, or it takes the logarithm of 0, so take a loss on logits and scale the targets."
        )
        return [Finding("overflow", None, "", found.loss, sentence)]
    return []


def _activations(subject, found):
    """The hidden activations: what each saw, its row, and its words; functions of tensors by what they gave."""
    places = [place for place, each in enumerate(found.seen) if each.part.role == "affine"]
    if not places:
        return
    last = places[-1]
    before = None
    for each in found.seen[: last + 1]:
        row = row_of(each.part.layer)
        if row is not None:
            before = None
            if each.out.ndim >= 2:
                yield each, row, each.part.words
        elif each.part.role == "affine":
            if before is not None and subject.on_tensors and each.x.shape == before.out.shape:
                guessed = _guessed(before.out, each.x)
                if guessed is not None:
                    yield (
                        Seen(before.part, before.out, each.x),
                        guessed,
                        f"{guessed[0].name} behind {before.part.words}",
                    )
            before = each


def _guessed(before, after):
    """The activation that makes one array of another, among the most common."""
    for name in ("relu", "sigmoid", "tanh"):
        row = ACTIVATIONS[name]
        if np.allclose(row.value(before), after, rtol=1e-3, atol=1e-6):
            return row, ()
    return None


def _dead(each, row, words):
    """Units of a rectifier that are 0 in all rows.

    Behind many layers the rows point almost the same way, and a unit of random weights is then off for all of them
    with probability 1/2: of n units, more than 1/2 + 3/2/sqrt(n) are three standard deviations more.
    """
    kind, numbers = row
    is_rectifier = kind.name == "relu" or (kind.name == "hardtanh" and tuple(numbers) == (0.0, 6.0))
    if not is_rectifier or len(each.out) < ENOUGH_ROWS:
        return []
    rows = each.out.reshape(-1, each.out.shape[-1])
    dead = ~(rows != 0).any(axis=0)
    n, share = dead.size, float(dead.mean())
    if share < 1 and share <= 0.5 + 1.5 / np.sqrt(n):
        return []
    part = each.part
    more = "nothing goes through it and no layer before it gets a gradient" if share == 1 else "they get no gradient"
    sentence = (
        f"{int(dead.sum())} of {n} units of {words} are dead, 0 for all {len(rows)} rows: {more}; a step with too "
        "high a rate, a negative bias or unscaled inputs push them there, so begin anew with a tenth of the rate, "
        "inputs of size 1 and init='he', or take LeakyRelu."
    )
    return [Finding("dead_units", part.place, part.title, share, sentence)]


def _saturated(each, row, words):
    kind, numbers = row
    low, high = range_of(kind, numbers)
    if not (np.isfinite(low) and np.isfinite(high)) or (low == 0 and high == 6):
        return []
    v = np.asarray(each.out if kind.reads_output else each.x, np.float64)
    slopes = np.abs(kind.gradient(np.ones_like(v), v, *numbers))
    greatest = float(np.abs(kind.gradient(np.ones(1), kind.value(np.zeros(1), *numbers), *numbers))[0])
    if not kind.reads_output:
        greatest = float(np.abs(kind.gradient(np.ones(1), np.zeros(1), *numbers))[0])
    share = float(np.mean(slopes < FLAT * greatest))
    z = np.linspace(0, 20, 4001)
    flat = np.abs(kind.gradient(np.ones_like(z), kind.value(z, *numbers) if kind.reads_output else z, *numbers))
    begin = float(z[np.argmax(flat < FLAT * greatest)])
    if share <= math.erfc(begin / (WIDE_SUMS * math.sqrt(2))):
        return []
    sentence = (
        f"{share:.0%} of the outputs of {words} lie at its ends ({low:g} and {high:g}), where its slope is nearly 0 "
        "and gradients stop: weights or inputs are too large, so normalise x and begin with init='xavier' (a "
        "deviation of 1/sqrt(n_in)), or take a smaller rate."
    )
    return [Finding("saturated", each.part.place, each.part.title, share, sentence)]


def sizes_of_gradients(found: Any) -> Any:
    """(what an affine layer saw, the root mean square over rows of the norm of the gradient by its output)."""
    result = []
    for each in found.seen:
        if each.part.role == "affine" and each.dout is not None:
            rows = np.asarray(each.dout, np.float64).reshape(-1, each.dout.shape[-1])
            result.append((each, float(np.sqrt((rows**2).sum(axis=1).mean()))))
    return result


def _gradients(subject, found):
    """The norm of the gradient by a layer's output, which a good start keeps (He et al., 2015, section 2.2)."""
    sizes = sizes_of_gradients(found)
    if len(sizes) < 2 or not all(np.isfinite(size) for _, size in sizes):
        return []
    last = sizes[-1][1]
    if last == 0:
        return []
    each, size = min(sizes[:-1], key=lambda pair: pair[1])
    if size / last < RATIO:
        part = each.part
        sentence = (
            f"The gradient shrinks to {size / last:.1e} of itself on its way from {sizes[-1][0].part.words} back to "
            f"{part.words}, which hardly learns: {_why_small(subject, found)}."
        )
        return [Finding("vanishing_gradients", part.place, part.title, size / last, sentence)]
    each, size = max(sizes[:-1], key=lambda pair: pair[1])
    if size * RATIO > last:
        part = each.part
        place, ratio = _start(subject, max)
        why = (
            f"weights of {place.words} are {ratio:.3g} times as large as He's start has them"
            if place
            else "weights grow"
        )
        sentence = (
            f"The gradient grows {size / last:.1e}-fold on its way from {sizes[-1][0].part.words} back to "
            f"{part.words}: {why}, so begin with init='he', put BatchNormalization between the layers, or clip "
            "(clip_norm=1)."
        )
        return [Finding("exploding_gradients", part.place, part.title, size / last, sentence)]
    return []


def _start(subject, choose):
    """The hidden affine layer whose weights differ most from He's start, and how many times; None where none does."""
    ratios = []
    for part in subject.parts:
        W = part.weights
        if part.role == "affine" and W is not None:
            ratios.append((part, float(np.sqrt(np.mean(np.square(W, dtype=np.float64))) / np.sqrt(2 / len(W)))))
    return choose(ratios, key=lambda pair: pair[1]) if ratios else (None, 1.0)


def _why_small(subject, found):
    part, ratio = _start(subject, min)
    if part is not None and ratio < TOO_SMALL:
        deviation = np.sqrt(2 / len(part.weights))
        return (
            f"the weights of {part.words} are {ratio:.2g} times as large as they should begin, so start with "
            f"init='he', a deviation of sqrt(2 / n_in) = {deviation:.2g}"
        )
    rows = [row for _, row, _ in _activations(subject, found)]
    sigmoids = sum(row[0].name in ("sigmoid", "hardsigmoid") for row in rows)
    if sigmoids * 2 > len(rows):
        return (
            f"each of {sigmoids} sigmoids lets at most a quarter through, so take Relu or Tanh, fewer layers, or "
            "BatchNormalization between them"
        )
    return (
        "the activations on the way are at their flat ends, so begin with smaller weights (init='xavier'), normalise "
        "x, or put BatchNormalization between the layers"
    )


def _biases_only(found):
    """A layer that sees 0 only: its weights' gradient is 0, its biases' is not."""
    for each in found.seen:
        dW, db = each.grads.get("W"), each.grads.get("b")
        if dW is None or db is None or len(each.x) < 2:
            continue
        if not np.any(dW) and np.any(db):
            part = each.part
            sentence = (
                f"Of {part.words} the biases alone get a gradient, as all its inputs are 0: it says the same of "
                "every row, so look at the layer before (dead units, weights of 0) or, of the first, at x."
            )
            return [Finding("biases_only", part.place, part.title, float(np.abs(db).max()), sentence)]
    return []
