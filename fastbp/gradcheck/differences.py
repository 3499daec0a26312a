"""Difference quotients: of a function by an array, and of a loss that is checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp.gradcheck.report import GradientReport, failure
from fastbp.gradcheck.words import described, number

if TYPE_CHECKING:
    from fastbp._typing import Array

_EPS = float(np.finfo(np.float64).eps)
#: Elements smaller than this share of their parameter's largest are judged as if so large.
_FLOOR = 0.1
#: Steps tried, in units of h, where the first one disagrees.
_LADDER = (1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4)


def numerical_gradient(f: Callable[..., Any], x: Array, h: float = 1e-4) -> Array:
    """The gradient of f by x from central differences, element by element.

    ``(f(x + h) - f(x - h)) / 2h``, where for 2h the distance between the two numbers that the
    dtype really holds is taken.

    Parameters
    ----------
    f : callable
        ``f(x)`` returns one real number.  It may ignore its argument and read the array
        elsewhere, as the book's ``lambda W: net.loss(x, t)`` does.
    x : numpy.ndarray
        Floating, of any shape and strides.  Each element is changed in place while f runs,
        and gets back its every bit, also when f raises.  Only float64 is accurate: in float32
        the result is good for two or three digits.
    h : float
        Step, in the unit of x.

    Returns
    -------
    numpy.ndarray
        float64, of x's shape.

    Raises
    ------
    TypeError
        For an x that is no floating array, or an f that does not return one number.
    ValueError
        For a read-only x, an h not above 0, or an element so large that h does not change it.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 4.4.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([3.0, 4.0])
    >>> numerical_gradient(lambda x: np.sum(x**2), x).round(6)
    array([6., 8.])
    """
    who = "numerical_gradient"
    checks.function(who, "f", f, "a function of x")
    if not isinstance(x, np.ndarray):
        raise TypeError(f"{who} expects x as a NumPy array, which it changes in place; got {described(x)}.")
    if x.dtype.kind != "f":
        raise TypeError(f"{who} expects x of floating dtype; got {x.dtype}.")
    if not x.flags.writeable:
        raise ValueError(f"{who} expects x to be writable; got a read-only array.")
    h = checks.positive(who, "h", h)
    array = np.asarray(x)  # the same memory, also for a subclass with indexing of its own
    gradient = np.empty(x.shape, np.float64)
    for index in np.ndindex(x.shape):
        old = array[index]
        if old + h == old - h:
            raise ValueError(f"{who} expects h to change every element of x; got h {h:g} for {old:g} at {list(index)}.")
        up, down, width = _both_sides(lambda: number(who, "f", f(x)), array, index, h)
        gradient[index] = (up - down) / width
    return gradient


def _both_sides(f, array, index, step):
    """f() with array[index] raised and lowered by `step`, and the distance between the two.

    `index` may be one element's or Ellipsis, and `step` of the same shape.
    """
    old = array[index].copy()
    try:
        array[index] = old + step
        high = np.float64(array[index])
        up = f()
        array[index] = old - step
        low = np.float64(array[index])
        down = f()
    finally:
        array[index] = old
    return up, down, high - low


class Differences:
    """Difference quotients of f, and the reports made of them.

    `f` returns numbers whose sum is the loss (their differences round less than the loss's
    own), the sides on which the units are of their kinks, and the size of the numbers that the
    loss is made of, as far as known.
    """

    terms: Any

    def __init__(self, f: Any, tolerance: Any, h: Any) -> None:
        self.f = f
        self.terms, _, size = f()
        self.tolerance = tolerance
        self.h = h
        # How far a difference of two losses may be off by rounding.
        self.grain: Any = 64 * _EPS * max(np.max(np.abs(self.terms)), size)

    def slope(self, array: Any, index: Any, direction: Any, step: Any) -> tuple[Any, Any, Any]:
        """The slope of f along `direction`, the jump between its two sides, a kink or not."""
        (up, up_sides, _), (down, down_sides, _), _ = _both_sides(self.f, array, index, step * direction)
        with np.errstate(invalid="ignore", over="ignore"):
            slope = np.sum(up - down) / (2 * step)
            jump = np.sum(up - self.terms + (down - self.terms)) / step
        kink = any((p != q).any() for p, q in zip(up_sides, down_sides, strict=True))
        return slope, jump, kink

    def steadiest(self, array: Any, index: Any, direction: Any, step: Any) -> Any:
        """The slope from the best of several steps, how far off it may be, and its rounding.

        For a smooth f, a step ten times as large leaves the slope as it is and makes the jump
        ten times as large.  At a kink within the step, whatever its place, one or the other
        misses this by more than the kink puts the slope off.
        """
        tried = []
        for factor in _LADDER:
            slope, jump, kink = self.slope(array, index, direction, factor * step)
            if kink:
                break
            tried.append((slope, jump, self.grain / (factor * step)))
        best = np.nan, np.inf, 0.0
        for (before, *_), (slope, jump, rounding), (after, jump_after, _) in zip(
            tried, tried[1:], tried[2:], strict=False
        ):
            with np.errstate(invalid="ignore"):
                doubt = abs(slope - before) + abs(slope - after) + abs(jump - jump_after / 10)
            if doubt + rounding < best[1]:
                best = slope, doubt + rounding, rounding
        return best

    def error(self, analytic: Any, numeric: Any, floor: Any) -> Any:
        """The relative error; inf where a derivative is not finite."""
        size = np.maximum(np.abs(analytic) + np.abs(numeric), floor)
        with np.errstate(invalid="ignore"):
            error = np.abs(analytic - numeric) / np.where(size == 0, 1, size)
        return np.where(np.isfinite(error), error, np.inf)

    def refined(
        self, analytic: Any, numeric: Any, floor: Any, array: Any, index: Any, direction: Any, step: Any
    ) -> tuple[Any, Any, bool]:
        """The steadiest slope, its error, and whether f is too rough to call that an error."""
        steady, doubt, rounding = self.steadiest(array, index, direction, step)
        if doubt < np.inf:
            numeric = steady
        error = self.error(analytic, numeric, max(floor, rounding / self.tolerance))
        return numeric, error, bool(abs(analytic - numeric) <= doubt)

    def coordinates(self, name: Any, array: Any, gradient: Any, indices: Any, h: Any) -> Any:
        """The report on some elements of one parameter."""
        steps = [h * max(1.0, abs(float(array[index]))) for index in indices]
        slopes = [self.slope(array, i, 1.0, step) for i, step in zip(indices, steps, strict=True)]
        analytic = np.array([gradient[index] for index in indices])
        numeric = np.array([slope for slope, _, _ in slopes])
        kinks = np.array([kink for _, _, kink in slopes])
        floor = _FLOOR * max(np.abs(gradient).max(), np.abs(numeric[~kinks]).max(initial=0))
        errors = np.where(kinks, 0, self.error(analytic, numeric, floor))
        suspects = np.argsort(-errors, kind="stable")[: np.sum(errors > self.tolerance / 10)]
        for place, i in enumerate(suspects):
            better, error, rough = self.refined(analytic[i], numeric[i], floor, array, indices[i], 1.0, steps[i])
            if error < errors[i]:
                numeric[i], errors[i] = better, error
            if errors[i] > self.tolerance and rough:
                kinks[i], errors[i] = True, 0
            elif errors[i] > self.tolerance:  # one is enough: leave the others out
                errors[suspects[place + 1 :]] = 0
                break
        if kinks.all():
            if h > self.h / 1000:
                return self.coordinates(name, array, gradient, indices, h / 10)
            return failure(
                name,
                f"nothing of {name} could be checked, since the loss has a kink at each of the "
                f"{len(kinks)} coordinates tried: take another x",
                self.tolerance,
                len(kinks),
            )
        worst = int(np.argmax(np.where(kinks, -1, errors)))
        return GradientReport(
            passed=bool(errors[worst] <= self.tolerance),
            largest_relative_error=float(errors[worst]),
            parameter=name,
            index=tuple(map(int, indices[worst])),
            analytic=float(analytic[worst]),
            numeric=float(numeric[worst]),
            checked=int(np.sum(~kinks)),
            kinks=int(np.sum(kinks)),
            mean_absolute_difference={name: float(np.abs(analytic - numeric)[~kinks].mean())},
            tolerance=self.tolerance,
        )

    def all_at_once(self, report: Any, array: Any, gradient: Any, draws: Any) -> Any:
        """The report, failed if a step through all elements disagrees."""
        direction = draws * np.maximum(1, np.abs(array))
        along = gradient * direction
        analytic, floor = along.sum(), _FLOOR * np.linalg.norm(along)
        numeric, _, kink = self.slope(array, ..., direction, self.h)
        error, rough = self.error(analytic, numeric, floor), False
        if kink or error > self.tolerance:
            numeric, error, rough = self.refined(analytic, numeric, floor, array, ..., direction, self.h)
        if rough or error <= self.tolerance:
            return report
        return GradientReport(
            **{
                **vars(report),
                "passed": False,
                "largest_relative_error": float(error),
                "index": None,
                "analytic": float(analytic),
                "numeric": float(numeric),
            }
        )
