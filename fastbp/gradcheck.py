"""Numerical gradients, and the check of backpropagation against them.

Nothing here knows the layers: a network is what has ``params``, ``loss`` and ``gradient``, a
layer what has ``forward`` and ``backward``, a kink what changes a layer's ``mask``.
"""

import copy
import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastbp import checks
from fastbp._kernels.autograd import TensorBase, new

__all__ = ["GradientReport", "gradient_check", "numerical_gradient"]

_WHO = "gradient_check"
_EPS = float(np.finfo(np.float64).eps)
#: Elements smaller than this share of their parameter's largest are judged as if so large.
_FLOOR = 0.1
#: Steps tried, in units of h, where the first one disagrees.
_LADDER = (1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4)


def numerical_gradient(f, x, h=1e-4):
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
        raise TypeError(
            f"{who} expects x as a NumPy array, which it changes in place; got {_kind(x)}."
        )
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
            raise ValueError(
                f"{who} expects h to change every element of x; got h {h:g} for {old:g} at "
                f"{list(index)}."
            )
        up, down, width = _both_sides(lambda: _number(who, "f", f(x)), array, index, h)
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


@dataclass(frozen=True, repr=False)
class GradientReport:
    """What `gradient_check` found; true if it passed.

    Attributes
    ----------
    passed : bool
    largest_relative_error : float
        Over all coordinates that were checked; inf where there is a `problem`.
    parameter : str
        The parameter in which it was found; "x" is the input.
    index : tuple of int or None
        The element; None for a step through all elements of the parameter at once.
    analytic, numeric : float
        Both derivatives there, by backpropagation and by differences.
    checked : int
        Coordinates that were compared.
    kinks : int
        Coordinates that were left out, because the loss has a kink within the step there.
    mean_absolute_difference : dict of str to float
        Of the coordinates checked, by parameter.
    tolerance : float
    problem : str
        Why nothing could be compared, if so; else empty.
    """

    passed: bool
    largest_relative_error: float
    parameter: str
    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    checked: int
    kinks: int
    mean_absolute_difference: dict[str, float]
    tolerance: float
    problem: str = ""

    def __bool__(self):
        return self.passed

    def __str__(self):
        place = f"{self.parameter}{list(self.index) if self.index else ''}"
        if self.index is None:
            place += ", all elements at once"
        rows = {
            "largest error": f"{self.largest_relative_error:.1e} relative, "
            f"tolerance {self.tolerance:.0e}",
            "found at": f"{place}: analytic {self.analytic:.6e}, numeric {self.numeric:.6e}",
            "problem": self.problem,
            "checked": f"{checks.plural(self.checked, 'coordinate')}; "
            f"{checks.plural(self.kinks, 'kink')} skipped",
            "mean |difference|": ", ".join(
                f"{name} {value:.1e}" for name, value in self.mean_absolute_difference.items()
            ),
        }
        for name in ("largest error", "found at") if self.problem else ("problem",):
            del rows[name]
        lines = [f"gradient check {'passed' if self.passed else 'FAILED'}"]
        for name, text in rows.items():
            wrapped = textwrap.wrap(text, 80, max_lines=3, placeholder=" ...")
            for head, line in zip([name, "", ""], wrapped, strict=False):
                lines.append(f"  {head:<17}  {line}")
        return "\n".join(lines)

    __repr__ = __str__


def gradient_check(
    net_or_layer,
    x,
    t=None,
    *,
    full=False,
    n_samples=40,
    tolerance=1e-5,
    h=1e-6,
    seed=0,
):
    """Compare the gradients of backpropagation with numerical ones, in float64.

    Parameters
    ----------
    net_or_layer : Sequential, layer, loss or network of one's own
        A network of one's own has ``params`` (a mapping of float64 arrays), ``loss(x, t)`` and
        ``gradient(x, t)`` (a mapping with the same keys), as the book's.  A layer is checked
        through the sum of its outputs times fixed random numbers, by its input ``"x"`` and by
        its parameters and those of the layers that it holds: those of its ``param_names``, every
        array ``W`` beside which it keeps a ``dW`` (``d_W``, ``grad_W`` or ``W_grad``), and the
        floating arrays of ``params`` beside ``grads``, two dicts or lists.  A loss is checked by
        its input.  A module that computes on Tensors, or a Sequential with one, is checked by the
        gradients of its Tensors.
    x : array_like
        Floating; taken as float64.  Input of the network, layer or loss.
    t : array_like
        Targets, for a network or a loss.
    full : bool
        Check every coordinate, in place of a sample.
    n_samples : int
        Coordinates of each parameter in a sample: half of them those with the largest
        gradient, the others drawn.  One more step, through all elements of the parameter at
        once, sees errors in the elements that were left out.
    tolerance : float
        Largest relative error that passes.
    h : float
        Step, relative to an element above 1 and absolute below.
    seed : int, numpy.random.Generator or None
        Of the sample and the random numbers.

    Returns
    -------
    GradientReport
        True if the check passed.  It does not pass if the loss or a gradient is not finite, if
        a gradient is missing or of the wrong shape, or if a parameter has only kinks.

    Raises
    ------
    TypeError, ValueError
        For an integer or empty x, missing or superfluous targets, parameters of a network of
        one's own that are not float64, active dropout or another loss that changes from call
        to call, a loss of one's own that evaluates where `gradient` trains otherwise, nothing to
        check, or an object that is no network, layer or loss.

    Notes
    -----
    Everything runs on a deep copy, whose parameters are made float64 first (not those of a
    network of one's own); the object itself, its arrays and what it keeps stay as they are.
    Layers compute in the mode that they are in, which `train` and `eval` set.

    The error of a coordinate with the analytic derivative a and the numerical one n is
    ``|a - n| / max(|a| + |n|, 0.1 m)``, where m is the largest derivative of its parameter.
    So it does not depend on the scale of the loss, exact zeros pass, and small elements beside
    large ones do not fail from rounding.

    A coordinate is skipped and counted where a unit changes the side of its kink between x - h
    and x + h: where the ``mask`` of a layer changes.  Where a coordinate disagrees, differences
    with smaller and larger steps are taken, and the steadiest is used; their forward and
    backward differences and their change with the step say how far off it may be.  If that
    explains the disagreement, as at the kinks of a network of one's own, the coordinate is
    skipped and counted too.  A parameter of which every coordinate was skipped is tried again
    with a smaller h.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import Affine, Linear, Relu, Sequential, SoftmaxWithLoss
    >>> rng = np.random.default_rng(0)
    >>> x, t = rng.standard_normal((5, 3)), np.array([0, 1, 1, 0, 1])
    >>> net = Sequential(Linear(3, 4, seed=0), Relu(), Linear(4, 2, seed=1),
    ...                  loss=SoftmaxWithLoss())
    >>> report = gradient_check(net, x, t)
    >>> report.passed, report.checked, report.kinks
    (True, 26, 0)

    A layer with a mistake in it:

    >>> class Doubled(Affine):
    ...     def backward(self, dout):
    ...         return 2 * super().backward(dout)
    >>> report = gradient_check(Doubled(np.ones((3, 2)), np.zeros(2)), x)
    >>> report.passed, report.parameter, round(report.analytic / report.numeric, 6)
    (False, 'x', 2.0)
    """
    n_samples = checks.integer(_WHO, "n_samples", n_samples, least=1)
    tolerance = checks.positive(_WHO, "tolerance", tolerance)
    h = checks.positive(_WHO, "h", h)
    full = checks.flag(_WHO, "full", full)
    if not (seed is None or isinstance(seed, np.random.Generator)):
        seed = checks.integer("gradient_check", "seed", seed, 0, checks.MOST_SEED)
    rng = np.random.default_rng(seed)
    arrays, f, gradients = _subject(net_or_layer, x, t, rng)
    if not arrays:
        raise ValueError(
            f"{_WHO} expects a network with parameters; got none in {_name(net_or_layer)}."
        )
    terms, *_ = f()
    if not np.isfinite(terms).all():
        return _failure(next(iter(arrays)), f"the loss is {float(np.sum(terms))}", tolerance)
    again, *_ = f()
    if not np.allclose(terms, again, rtol=1e-9, atol=0):
        raise ValueError(
            f"{_WHO} expects a loss that is the same at every call, so without active dropout "
            f"or other noise; got {np.sum(terms):g} and then {np.sum(again):g}."
        )
    differences = _Differences(f, tolerance, h)
    analytic = gradients()
    reports = []
    for name, array in arrays.items():
        gradient = analytic[name]
        problem = _gradient_problem(name, gradient, array.shape)
        if problem:
            reports.append(_failure(name, problem, tolerance))
            continue
        gradient = np.array(gradient, np.float64)
        report = differences.coordinates(
            name, array, gradient, _sample(gradient, None if full else n_samples, rng), h
        )
        if report.passed and report.checked + report.kinks < array.size:
            draws = rng.standard_normal(array.shape)
            report = differences.all_at_once(report, array, gradient, draws)
        reports.append(report)
    return _joined(reports)


# --- differences ----------------------------------------------------------------------------


class _Differences:
    """Difference quotients of f, and the reports made of them.

    `f` returns numbers whose sum is the loss (their differences round less than the loss's
    own), the sides on which the units are of their kinks, and the size of the numbers that the
    loss is made of, as far as known.
    """

    def __init__(self, f, tolerance, h):
        self.f = f
        self.terms, _, size = f()
        self.tolerance = tolerance
        self.h = h
        # How far a difference of two losses may be off by rounding.
        self.grain = 64 * _EPS * max(np.max(np.abs(self.terms)), size)

    def slope(self, array, index, direction, step):
        """The slope of f along `direction`, the jump between its two sides, a kink or not."""
        (up, up_sides, _), (down, down_sides, _), _ = _both_sides(
            self.f, array, index, step * direction
        )  # fmt: skip
        with np.errstate(invalid="ignore", over="ignore"):
            slope = np.sum(up - down) / (2 * step)
            jump = np.sum(up - self.terms + (down - self.terms)) / step
        kink = any((p != q).any() for p, q in zip(up_sides, down_sides, strict=True))
        return slope, jump, kink

    def steadiest(self, array, index, direction, step):
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

    def error(self, analytic, numeric, floor):
        """The relative error; inf where a derivative is not finite."""
        size = np.maximum(np.abs(analytic) + np.abs(numeric), floor)
        with np.errstate(invalid="ignore"):
            error = np.abs(analytic - numeric) / np.where(size == 0, 1, size)
        return np.where(np.isfinite(error), error, np.inf)

    def refined(self, analytic, numeric, floor, array, index, direction, step):
        """The steadiest slope, its error, and whether f is too rough to call that an error."""
        steady, doubt, rounding = self.steadiest(array, index, direction, step)
        if doubt < np.inf:
            numeric = steady
        error = self.error(analytic, numeric, max(floor, rounding / self.tolerance))
        return numeric, error, bool(abs(analytic - numeric) <= doubt)

    def coordinates(self, name, array, gradient, indices, h):
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
            better, error, rough = self.refined(
                analytic[i], numeric[i], floor, array, indices[i], 1.0, steps[i]
            )
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
            return _failure(
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

    def all_at_once(self, report, array, gradient, draws):
        """The report, failed if a step through all elements disagrees."""
        direction = draws * np.maximum(1, np.abs(array))
        along = gradient * direction
        analytic, floor = along.sum(), _FLOOR * np.linalg.norm(along)
        numeric, _, kink = self.slope(array, ..., direction, self.h)
        error, rough = self.error(analytic, numeric, floor), False
        if kink or error > self.tolerance:
            numeric, error, rough = self.refined(
                analytic, numeric, floor, array, ..., direction, self.h
            )
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


def _sample(gradient, n, rng):
    """Indices: all of them, or half with the largest gradient and half drawn."""
    if n is None or n >= gradient.size:
        return list(np.ndindex(gradient.shape))
    largest = np.argsort(-np.abs(gradient), axis=None, kind="stable")[: n // 2]
    others = np.delete(np.arange(gradient.size), largest)
    flat = np.sort(np.concatenate([largest, rng.choice(others, n - n // 2, replace=False)]))
    return list(zip(*np.unravel_index(flat, gradient.shape), strict=True))


def _gradient_problem(name, gradient, shape):
    """What is wrong with a gradient at first sight."""
    if gradient is None:
        return f"there is no gradient of {name}"
    if np.shape(gradient) != shape:
        return f"the gradient of {name} has shape {np.shape(gradient)}, and {name} {shape}"
    if not np.isfinite(gradient).all():
        return f"the gradient of {name} is not finite"
    return ""


def _failure(name, problem, tolerance, kinks=0):
    return GradientReport(
        False, np.inf, name, None, np.nan, np.nan, 0, kinks, {name: np.nan}, tolerance, problem
    )


def _joined(reports):
    """One report of those on the single parameters."""
    worst = max(reports, key=lambda report: report.largest_relative_error)
    return GradientReport(
        **{
            **vars(worst),
            "passed": all(reports),
            "checked": sum(report.checked for report in reports),
            "kinks": sum(report.kinks for report in reports),
            "mean_absolute_difference": {
                name: difference
                for report in reports
                for name, difference in report.mean_absolute_difference.items()
            },
        }
    )


# --- what is checked ------------------------------------------------------------------------
#
# Each of these returns (arrays, f, gradients): the arrays to change in place, by name; f() for
# `_Differences`; and gradients(), the analytic ones by the same names.  x is copied for every
# forward, because a layer of the user's own may write into what it is given.


def _subject(original, x, t, rng):
    """What is checked of a network, layer or loss: see above."""
    if isinstance(original, type):
        raise TypeError(
            f"{_WHO} expects a network, layer or loss, not its class; got {original!r}."
        )
    x = _input(x)
    subject = _copied(original)
    _refuse_dropout(subject)
    is_network = all(hasattr(subject, name) for name in ("params", "loss", "gradient"))
    if is_network and not (t is None and getattr(subject, "loss_layer", subject) is None):
        if t is None:
            raise ValueError(f"{_WHO} expects t, the targets of {_name(subject)}; got None.")
        t = _copied(t)
        if not (hasattr(subject, "loss_layer") and hasattr(subject, "layers")):
            return _network(subject, x, t)
        if any(_takes_tensors(layer) for layer in subject.layers):
            return _module(subject, x, rng, subject.loss_layer_for("gradient"), t)
        return _sequential(subject, x, t)
    if _takes_tensors(subject) or any(map(_takes_tensors, getattr(subject, "layers", ()))):
        if t is not None:
            raise TypeError(
                f"{_WHO} expects no t for {_name(subject)}, which has no loss; "
                f"got a t of type {_name(t)}."
            )
        return _module(subject, x, rng)
    if not (hasattr(subject, "forward") and hasattr(subject, "backward")):
        raise TypeError(
            f"{_WHO} expects a network with params, loss and gradient, or a layer or loss with "
            f"forward and backward; got {_kind(original)}."
        )
    if t is None:
        if not _takes(subject.forward, x):
            raise ValueError(f"{_WHO} expects t, the targets of {_name(subject)}; got None.")
        return _layer(subject, x, rng)
    if not _takes(subject.forward, x, t):
        raise TypeError(
            f"{_WHO} expects no t for {_name(subject)}, whose forward takes x alone; "
            f"got a t of type {type(t).__name__}."
        )
    return _loss(subject, x, _copied(t))


def _layer(layer, x, rng):
    """A layer, through the sum of its outputs times random numbers."""
    factors = rng.standard_normal(np.shape(layer.forward(x.copy())))

    def sweep():
        layer.forward(x.copy())
        return layer.backward(factors.copy())

    parameters = _parameters(layer, "", sweep)

    def f():
        out = _float64_output(layer, layer.forward(x.copy()))
        return out * factors, _sides(getattr(layer, "mask", None)), 0

    def gradients():
        for parameter in parameters.values():
            parameter.forget_gradient()
        dx = sweep()
        return {"x": dx, **{name: each.gradient for name, each in parameters.items()}}

    return {"x": x, **{name: each.array for name, each in parameters.items()}}, f, gradients


def _loss(loss, x, t):
    """A loss, by its input."""

    def f():
        return _loss_value(loss, "forward", loss.forward(x.copy(), t)), [], np.max(np.abs(x))

    def gradients():
        loss.forward(x.copy(), t)
        return {"x": loss.backward()}

    return {"x": x}, f, gradients


def _sequential(net, x, t):
    """A network of layers and a loss, through its layers in the modes that they are in."""
    parameters = {}
    # A layer of one's own is checked whether it names its arrays or not.
    gradient = net.gradient if _has_own(net, "gradient") else net._gradient
    names = {(id(layer), name): key for key, (layer, name) in net.params.places().items()}
    for place, layer in enumerate(net.layers):
        found = _parameters(layer, f"layers[{place}].", lambda: gradient(x.copy(), t))
        for key, parameter in found.items():
            parameters[names.get((id(parameter.owner), parameter.name), key)] = parameter

    own_loss = _has_own(net, "loss") or _has_own(net, "predict")
    if own_loss and not _has_own(net, "predict"):
        evaluated, trained = net.predict(x.copy()), net.forward(x.copy())
        if not np.allclose(evaluated, trained, rtol=1e-9, atol=0):
            raise ValueError(
                f"{_WHO} expects {_name(net)}.loss, which evaluates, to be what gradient trains; "
                "got layers that compute otherwise in training, as batch normalisation does: "
                "call eval() first."
            )

    def f():
        if own_loss:
            return _loss_value(net, "loss", net.loss(x.copy(), t)), [], 0
        out, sides = x.copy(), []
        for layer in net.layers:
            if _runs_without_memory(layer):  # as in the network's own gradient
                out = _float64_output(layer, layer.run(out, layer.training)[0])
                sides += _sides(out <= 0 if hasattr(layer, "mask") else None)
            else:
                out = _float64_output(layer, layer.forward(out))
                sides += _sides(getattr(layer, "mask", None))
        loss = _loss_value(net.loss_layer, "forward", net.loss_layer.forward(out, t))
        return loss, sides, np.max(np.abs(out))

    def gradients():
        for parameter in parameters.values():
            parameter.forget_gradient()
        found = gradient(x.copy(), t)
        return {
            key: found.get(key) if key in net.params else parameter.gradient
            for key, parameter in parameters.items()
        }

    return {key: parameter.array for key, parameter in parameters.items()}, f, gradients


def _module(module, x, rng, loss=None, t=None):
    """A module that computes on Tensors, by their gradients; with a loss, by its parameters alone.

    Without one it is checked through the sum of its outputs times random numbers.
    """
    module.double()
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}

    def output(tensor):
        out = module(tensor)
        if not isinstance(out, TensorBase):
            raise TypeError(f"{_WHO} expects {_name(module)} to give a Tensor; got {_kind(out)}.")
        return out, _float64_output(module, np.array(out.array))

    factors = rng.standard_normal(output(new(x.copy()))[1].shape)

    def f():
        _, out = output(new(x.copy()))
        if loss is None:
            return out * factors, [], 0
        return _loss_value(loss, "forward", loss.forward(out, t)), [], np.max(np.abs(out))

    def gradients():
        module.zero_grad()
        tensor = new(x.copy(), requires_grad=True)
        out, array = output(tensor)
        if loss is None:
            dout = factors
        else:
            loss.forward(array, t)
            dout = loss.backward()
        if out.requires_grad:
            out.backward(new(dout))
        found = {"x": tensor, **parameters}
        return {  # no gradient is one of 0, as for what the output does not depend on
            name: np.zeros(each.array.shape) if each.grad is None else each.grad.array
            for name, each in found.items()
        }

    arrays = {name: parameter.array for name, parameter in parameters.items()}
    return arrays if loss else {"x": x, **arrays}, f, gradients


def _network(net, x, t):
    """A network of the user's own."""
    if not isinstance(net.params, Mapping):
        raise TypeError(
            f"{_WHO} expects params as a mapping of names to arrays; "
            f"got {type(net.params).__name__}."
        )
    for name, array in net.params.items():
        if not isinstance(array, np.ndarray) or array.dtype.newbyteorder("=") != checks.FLOAT64:
            raise TypeError(
                f"{_WHO} expects params[{name!r}] as an array of float64, since differences in "
                f"less are too coarse; got {_kind(array)}."
            )

    def f():
        return _loss_value(net, "loss", net.loss(x.copy(), t)), [], 0

    def gradients():
        found = net.gradient(x.copy(), t)
        if not isinstance(found, Mapping):
            raise TypeError(
                f"{_WHO} expects gradient(x, t) to return a mapping of names to arrays; "
                f"got {_kind(found)}."
            )
        return {name: found.get(name) for name in net.params}

    return dict(net.params), f, gradients


@dataclass(frozen=True)
class _Parameter:
    """An array that is trained and its gradient: items of a dict or list, or attributes."""

    owner: Any
    name: Any
    gradient_owner: Any
    gradient_name: Any
    adds_up: bool = False  # whether backward adds to the gradient that is there

    @property
    def array(self):
        return _read(self.owner, self.name)

    @property
    def gradient(self):
        return _read(self.gradient_owner, self.gradient_name)

    def make_float64(self):
        array = np.array(self.array, np.float64)
        if isinstance(self.owner, dict | list):
            self.owner[self.name] = array
        else:
            setattr(self.owner, self.name, array)

    def forget_gradient(self):
        if self.adds_up:
            self.gradient[...] = 0


def _read(owner, name):
    if isinstance(owner, dict):
        return owner.get(name)
    if isinstance(owner, list):
        return owner[name] if name < len(owner) else None
    return getattr(owner, name, None)


def _parameters(layer, prefix, sweep):
    """What is trained in a layer and in the parts within it, by name, as float64.

    `sweep` runs forward and backward, before which a user's own layer has no gradients.
    """
    for _, part in _parts(layer, prefix):  # else float32 within would make the differences coarse
        for name in getattr(part, "param_names", ()):
            setattr(part, name, np.array(getattr(part, name), np.float64))
    sweep()
    found = {
        key: parameter
        for path, part in _parts(layer, prefix)
        for key, parameter in _own_parameters(part, path).items()
    }
    before = {key: (each.array, np.copy(each.gradient)) for key, each in found.items()}
    sweep()
    kept = {}
    for key, each in found.items():
        array, gradient = before[key]
        if each.array is not array:  # kept for backward, and replaced by every forward
            continue
        new_gradient = each.gradient
        adds_up = isinstance(new_gradient, np.ndarray) and not np.array_equal(
            new_gradient, gradient, equal_nan=True
        )
        kept[key] = replace(each, adds_up=adds_up)
        kept[key].make_float64()
    return kept


def _parts(thing, path, seen=None):
    """A layer and the layers that it holds, in attributes, lists and dicts, and where."""
    seen = {} if seen is None else seen
    if id(thing) in seen:
        return
    seen[id(thing)] = thing
    if callable(getattr(thing, "forward", None)) and callable(getattr(thing, "backward", None)):
        yield path, thing
        held = vars(thing).items() if hasattr(thing, "__dict__") else ()
        inner = [(f"{path}{name}", value) for name, value in held]
    elif isinstance(thing, dict | list | tuple):
        items = thing.items() if isinstance(thing, dict) else enumerate(thing)
        inner = [(f"{path.removesuffix('.')}[{name}]", value) for name, value in items]
    else:
        return
    for inner_path, value in inner:
        yield from _parts(value, f"{inner_path}.", seen)


def _own_parameters(part, path):
    """Those that a layer names, and its arrays beside which it keeps a gradient (W and dW)."""
    names = getattr(part, "trained_names", getattr(part, "param_names", ()))
    found = {f"{path}{name}": _Parameter(part, name, part, f"d{name}") for name in names}
    kept = vars(part) if hasattr(part, "__dict__") else {}
    for name, value in kept.items():
        if name in ("x", "y", "out") or not _is_floating(value):  # not trained
            continue
        for other in (f"d{name}", f"d_{name}", f"grad_{name}", f"{name}_grad"):
            if other in kept and name not in names:
                found[f"{path}{name}"] = _Parameter(part, name, part, other)
    params, grads = kept.get("params"), kept.get("grads")
    if isinstance(params, dict | list) and isinstance(grads, dict | list):
        for name in params if isinstance(params, dict) else range(len(params)):
            if _is_floating(params[name]) and not any(
                params[name] is each.array for each in found.values()
            ):
                found[f"{path}params[{name!r}]"] = _Parameter(params, name, grads, name)
    return found


def _is_floating(value):
    return isinstance(value, float | np.floating) or (
        isinstance(value, np.ndarray) and value.dtype.kind == "f"
    )


def _runs_without_memory(layer):
    """Whether the network runs a layer by `run`, not by a forward of the user's own."""
    return hasattr(layer, "run") and not layer.has_own_passes()


def _takes_tensors(thing):
    """Whether it is a module that computes on Tensors alone."""
    return hasattr(thing, "named_parameters") and not hasattr(thing, "backward")


def _sides(mask):
    """A layer's mask, if it is one, as a list of one."""
    return [mask] if isinstance(mask, np.ndarray) and mask.dtype == bool else []


def _has_own(net, method):
    """Whether the user's subclass brings such a method of its own: a loss with a penalty."""
    package = __name__.partition(".")[0]
    return getattr(type(net), method).__module__.partition(".")[0] != package


def _takes(function, *arguments):
    """Whether a function can be called with these arguments."""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # a builtin, which does not say
        pass
    return True


def _refuse_dropout(subject):
    """Refuses dropout with a ratio above 0, in training mode."""
    held = list(vars(subject).values()) if hasattr(subject, "__dict__") else []
    for value in list(held):
        if isinstance(value, Mapping):
            held += value.values()
        elif isinstance(value, list | tuple):
            held += value
    for part in (subject, *held):
        if hasattr(part, "dropout_ratio") or type(part).__name__ == "Dropout":
            ratios = (getattr(part, name, None) for name in ("dropout_ratio", "ratio", "rate", "p"))
            ratio = next((r for r in ratios if r is not None), "unknown")
            training = getattr(subject, "training", True) and getattr(part, "training", True)
            if training and ratio != 0:
                raise ValueError(
                    f"{_WHO} expects a network without active dropout, which makes the loss "
                    f"random; got {type(part).__name__} with ratio {ratio}: check without it, "
                    "or after eval()."
                )


# --- what users hand in ---------------------------------------------------------------------


def _input(x):
    """x as a float64 array that may be changed."""
    array = checks.floats(_WHO, "x", x)
    dtype = checks.numbers(_WHO, "x", x).dtype
    if dtype.kind != "f":
        raise TypeError(f"{_WHO} expects x of floating dtype; got {dtype}.")
    if array.size == 0:
        raise ValueError(f"{_WHO} expects x with at least one element; got shape {array.shape}.")
    return np.array(array, np.float64)


def _copied(value):
    try:
        return copy.deepcopy(value)
    except Exception as error:
        raise TypeError(
            f"{_WHO} expects an object that copy.deepcopy can copy, since it works on a copy; "
            f"got {_name(value)}, which cannot be copied ({error})."
        ) from error


def _number(who, what, value):
    """What a function returned, as one float."""
    array = np.asarray(value)
    if array.ndim or array.dtype.kind not in "fiub":
        raise TypeError(f"{who} expects {what} to return one real number; got {_kind(value)}.")
    return float(array)


def _loss_value(owner, method, value):
    what = f"{_name(owner)}.{method}"
    number = _number(_WHO, what, value)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.itemsize < 8:
        raise TypeError(f"{_WHO} expects {what} to compute in float64; got {value.dtype}.")
    return number


def _float64_output(layer, out):
    """A layer's output, which has to be computed in float64."""
    if not isinstance(out, np.ndarray | np.generic) or out.dtype != checks.FLOAT64:
        raise TypeError(
            f"{_WHO} expects {_name(layer)} to give an array of float64 for one of float64; "
            f"got {_kind(out)}."
        )
    return out


def _name(value):
    return type(value).__name__


def _kind(value):
    """An array by dtype and shape, anything else by its type."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} of shape {value.shape}"
    return f"{value!r}" if value is None else f"a {_name(value)}"
