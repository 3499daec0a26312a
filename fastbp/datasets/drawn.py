"""Points in the plane whose classes no straight line parts, drawn by a formula and noise."""

from __future__ import annotations

import numpy as np

from fastbp import checks
from fastbp.datasets.labels import Split
from fastbp.datasets.splits import split_of

__all__ = ["circles", "moons", "spiral"]


def spiral(
    n: int = 300,
    classes: int = 3,
    noise: float = 0.2,
    *,
    test_size: float = 0.2,
    seed: int = 0,
    one_hot_label: bool = False,
) -> Split:
    """Draw arms that wind around each other, one for each class.

    The points of arm k of c lie at ``(r sin a, r cos a)``, with r in equal steps from 0 to 1 and
    ``a = 2 pi k / c + 4 r + noise z``, z normal.

    Parameters
    ----------
    n : int
        Points of all arms, at least two of each; arms differ by at most one.
    classes : int
        Number of arms, at least 2.
    noise : float
        Deviation of the angle, in radians.
    test_size : float
        Share of every class that goes to the test part, between 0 and 1, rounded to whole rows.
    seed : int
        Seed of noise and shuffle; the same seed gives the same points.
    one_hot_label : bool
        Return labels as one-hot rows instead of class indices.

    Returns
    -------
    (x_train, t_train), (x_test, t_test)
        ``x`` : float32 (rows, 2), within the unit circle.
        ``t`` : int64 (rows,), the arms 0..classes-1, or float32 (rows, classes).

    Raises
    ------
    ValueError
        There are fewer than two points of a class, the noise is negative, or `test_size` leaves some class
        without training or without test rows.

    References
    ----------
    Karpathy, CS231n: Convolutional Neural Networks for Visual Recognition, "Minimal neural network case
    study", whose arms begin 4 radians apart.

    Examples
    --------
    >>> from fastbp.datasets import spiral
    >>> (x_train, t_train), (x_test, t_test) = spiral(300, classes=3)
    >>> x_train.shape, x_test.shape, float((x_train**2).sum(axis=1).max()) <= 1.001
    ((240, 2), (60, 2), True)
    """
    classes = checks.integer("spiral", "classes", classes, 2, checks.MOST_SEED)
    n, noise, rng = _drawn("spiral", n, classes, noise, seed)
    t = np.arange(n) % classes
    r = (np.arange(n) // classes) / (np.bincount(t)[t] - 1)
    a = 2 * np.pi * t / classes + 4 * r + noise * rng.normal(size=n)
    return split_of("spiral", np.stack([r * np.sin(a), r * np.cos(a)], axis=1), t, test_size, rng, one_hot_label)


def moons(
    n: int = 200, noise: float = 0.1, *, test_size: float = 0.2, seed: int = 0, one_hot_label: bool = False
) -> Split:
    """Draw two half circles that reach into each other.

    With a in equal steps from 0 to pi the points of class 0 lie at ``(cos a, sin a)`` and those of class 1 at
    ``(1 - cos a, 1/2 - sin a)``; normal noise is added to both coordinates.

    Parameters
    ----------
    n : int
        Points of both classes, at least 4; the classes differ by at most one.
    noise : float
        Deviation of the noise, where the radius is 1.
    test_size : float
        Share of every class that goes to the test part, between 0 and 1, rounded to whole rows.
    seed : int
        Seed of noise and shuffle; the same seed gives the same points.
    one_hot_label : bool
        Return labels as one-hot rows instead of class indices.

    Returns
    -------
    (x_train, t_train), (x_test, t_test)
        ``x`` : float32 (rows, 2).
        ``t`` : int64 (rows,), 0 above and 1 below, or float32 (rows, 2).

    Raises
    ------
    ValueError
        There are fewer than two points of a class, the noise is negative, or `test_size` leaves some class
        without training or without test rows.

    References
    ----------
    scikit-learn's ``make_moons``, which has the same points without noise.

    Examples
    --------
    >>> from fastbp.datasets import moons
    >>> (x_train, t_train), (x_test, t_test) = moons(200)
    >>> x_train.shape, x_train.dtype, t_test.shape
    ((160, 2), dtype('float32'), (40,))
    """
    n, noise, rng = _drawn("moons", n, 2, noise, seed)
    t = np.arange(n) % 2
    a = np.pi * (np.arange(n) // 2) / (np.bincount(t)[t] - 1)
    x = np.where(t, [1 - np.cos(a), 0.5 - np.sin(a)], [np.cos(a), np.sin(a)]).T
    return split_of("moons", x + noise * rng.normal(size=(n, 2)), t, test_size, rng, one_hot_label)


def circles(
    n: int = 200,
    noise: float = 0.05,
    factor: float = 0.5,
    *,
    test_size: float = 0.2,
    seed: int = 0,
    one_hot_label: bool = False,
) -> Split:
    """Draw two circles, one within the other.

    With a in equal steps around the circle the points of class 0 lie at ``(cos a, sin a)`` and those of class
    1 at `factor` times that; normal noise is added to both coordinates.

    Parameters
    ----------
    n : int
        Points of both classes, at least 4; the classes differ by at most one.
    noise : float
        Deviation of the noise, where the outer radius is 1.
    factor : float
        Radius of the inner circle, between 0 and 1.
    test_size : float
        Share of every class that goes to the test part, between 0 and 1, rounded to whole rows.
    seed : int
        Seed of noise and shuffle; the same seed gives the same points.
    one_hot_label : bool
        Return labels as one-hot rows instead of class indices.

    Returns
    -------
    (x_train, t_train), (x_test, t_test)
        ``x`` : float32 (rows, 2).
        ``t`` : int64 (rows,), 0 outside and 1 inside, or float32 (rows, 2).

    Raises
    ------
    ValueError
        There are fewer than two points of a class, the noise is negative, `factor` is not between 0 and 1, or
        `test_size` leaves some class without training or without test rows.

    References
    ----------
    scikit-learn's ``make_circles``, which has the same points without noise.

    Examples
    --------
    >>> from fastbp.datasets import circles
    >>> (x_train, t_train), _ = circles(200, noise=0.0)
    >>> radius = (x_train**2).sum(axis=1) ** 0.5
    >>> sorted(set(radius.round(3).tolist()))
    [0.5, 1.0]
    """
    factor = checks.number("circles", "factor", factor, 0, 1)
    n, noise, rng = _drawn("circles", n, 2, noise, seed)
    t = np.arange(n) % 2
    a = 2 * np.pi * (np.arange(n) // 2) / np.bincount(t)[t]
    x = (np.where(t, factor, 1) * [np.cos(a), np.sin(a)]).T
    return split_of("circles", x + noise * rng.normal(size=(n, 2)), t, test_size, rng, one_hot_label)


def _drawn(who: str, n: int, classes: int, noise: float, seed: int) -> tuple[int, float, np.random.Generator]:
    """The number of points, the noise and what it is drawn from."""
    n = checks.integer(who, "n", n, 2 * classes)
    checks.fits_memory(who, "points and coordinates", (n, 8))
    noise = checks.number(who, "noise", noise, 0)
    if not isinstance(seed, np.random.Generator):
        seed = checks.integer(who, "seed", seed, 0, checks.MOST_SEED)
    return n, noise, np.random.default_rng(seed)
