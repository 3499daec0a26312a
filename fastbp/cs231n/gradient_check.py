"""Numerical gradients, and how far two arrays are apart, as the course's notebooks measure them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp.gradcheck import numerical_gradient

if TYPE_CHECKING:
    from fastbp._typing import Array, ArrayLike

__all__ = ["eval_numerical_gradient", "eval_numerical_gradient_array", "rel_error"]


def eval_numerical_gradient(f: Callable[..., Any], x: Array, verbose: bool = True, h: float = 0.00001) -> Array:
    """The gradient of f by x from central differences: `fastbp.numerical_gradient`.

    Parameters
    ----------
    f : callable
        ``f(x)`` returns one number; it may read the array elsewhere.
    x : numpy.ndarray
        Floating; each element is changed while f runs, and gets back its every bit.
    verbose : bool
        Print each element.
    h : float
        The step.

    Returns
    -------
    numpy.ndarray
        float64, of x's shape.

    Raises
    ------
    ValueError, TypeError
        For what `fastbp.numerical_gradient` refuses.

    Examples
    --------
    >>> eval_numerical_gradient(lambda x: np.sum(x**2), np.array([3.0, 4.0]), verbose=False).round(6)
    array([6., 8.])
    """
    grad = numerical_gradient(f, x, h)
    if checks.flag("eval_numerical_gradient", "verbose", verbose):
        for ix in np.ndindex(grad.shape):
            print(ix, grad[ix])
    return grad


def eval_numerical_gradient_array(f: Callable[..., Any], x: Array, df: ArrayLike, h: float = 1e-5) -> Array:
    """The gradient of ``sum(f(x) df)`` by x, for an f that gives an array.

    Parameters
    ----------
    f : callable
        ``f(x)`` returns an array of df's shape.
    x : numpy.ndarray
        Floating; each element is changed while f runs, and gets back its every bit.
    df : array_like
        The gradient by f's output.
    h : float
        The step.

    Returns
    -------
    numpy.ndarray
        float64, of x's shape.

    Raises
    ------
    ValueError, TypeError
        For another shape of df, and what `fastbp.numerical_gradient` refuses.

    Examples
    --------
    >>> x = np.array([3.0, 4.0])
    >>> eval_numerical_gradient_array(lambda x: x**2, x, np.array([1.0, 10.0])).round(6)
    array([ 6., 80.])
    """
    who = "eval_numerical_gradient_array"
    checks.function(who, "f", f, "a function of x")
    at_x = np.array(f(x), np.float64)
    df = checks.same_shape(who, "df", checks.floats(who, "df", df, checks.FLOAT64), at_x.shape, "f(x)")
    # From the differences: of two whole sums the digits that differ would be the last ones.
    return numerical_gradient(lambda x: float(np.sum((f(x) - at_x) * df)), x, h)


def rel_error(x: Any, y: Any) -> float:
    """The largest of ``|x - y| / max(1e-8, |x| + |y|)``.

    Parameters
    ----------
    x, y : array_like
        Of one shape.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        For unlike shapes, and what is no number.

    Examples
    --------
    >>> rel_error(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    0.5
    """
    x, y = checks.floats("rel_error", "x", x), checks.floats("rel_error", "y", y)
    checks.same_shape("rel_error", "y", y, x.shape, "x")
    if not x.size:
        raise ValueError("rel_error expects at least one number; got none.")
    return float(np.max(np.abs(x - y) / np.maximum(1e-8, np.abs(x) + np.abs(y))))
