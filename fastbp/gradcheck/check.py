"""`gradient_check`: the gradients of backpropagation beside the numerical ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp.gradcheck.differences import Differences
from fastbp.gradcheck.report import failure, joined
from fastbp.gradcheck.subjects import subject_of
from fastbp.gradcheck.words import WHO, name_of

if TYPE_CHECKING:
    from fastbp._typing import ArrayLike


def gradient_check(
    net_or_layer: Any,
    x: ArrayLike,
    t: ArrayLike | None = None,
    *,
    full: bool = False,
    n_samples: int = 40,
    tolerance: float = 1e-5,
    h: float = 1e-6,
    seed: int | np.random.Generator | None = 0,
) -> Any:
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
    n_samples = checks.integer(WHO, "n_samples", n_samples, least=1)
    tolerance = checks.positive(WHO, "tolerance", tolerance)
    h = checks.positive(WHO, "h", h)
    full = checks.flag(WHO, "full", full)
    if not (seed is None or isinstance(seed, np.random.Generator)):
        seed = checks.integer("gradient_check", "seed", seed, 0, checks.MOST_SEED)
    rng = np.random.default_rng(seed)
    arrays, f, gradients = subject_of(net_or_layer, x, t, rng)
    if not arrays:
        raise ValueError(f"{WHO} expects a network with parameters; got none in {name_of(net_or_layer)}.")
    terms, *_ = f()
    if not np.isfinite(terms).all():
        return failure(next(iter(arrays)), f"the loss is {float(np.sum(terms))}", tolerance)
    again, *_ = f()
    if not np.allclose(terms, again, rtol=1e-9, atol=0):
        raise ValueError(
            f"{WHO} expects a loss that is the same at every call, so without active dropout "
            f"or other noise; got {np.sum(terms):g} and then {np.sum(again):g}."
        )
    differences = Differences(f, tolerance, h)
    analytic = gradients()
    reports = []
    for name, array in arrays.items():
        gradient = analytic[name]
        problem = _gradient_problem(name, gradient, array.shape)
        if problem:
            reports.append(failure(name, problem, tolerance))
            continue
        gradient = np.array(gradient, np.float64)
        report = differences.coordinates(name, array, gradient, _sample(gradient, None if full else n_samples, rng), h)
        if report.passed and report.checked + report.kinks < array.size:
            draws = rng.standard_normal(array.shape)
            report = differences.all_at_once(report, array, gradient, draws)
        reports.append(report)
    return joined(reports)


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
