"""A picture of a loss around the ways of optimisers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp.plots import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastbp._typing import ArrayLike, Path

#: Of the ways' extent, what lies around them.
_MARGIN = 0.25
#: Heights beyond are drawn as this one; matplotlib's contours end at 1e250.
_FARTHEST = 1e200


def loss_surface(
    loss: Any,
    paths: Mapping[str, Any] | None = None,
    path: Path | None = None,
    *,
    x: ArrayLike | None = None,
    t: ArrayLike | None = None,
    span: float = 1.0,
    resolution: int = 41,
    seed: int = 0,
) -> Figure:
    """Contours of a loss over a plane, and the ways that optimisers took.

    A function is drawn over its two numbers.  A network is drawn over a plane of its parameters: the
    two principal components of the ways, or without ways two random directions through the
    parameters, whose columns have the weights' lengths (Li et al., 2018).

    Parameters
    ----------
    loss : function of two numbers, or Sequential
        A network needs x and t, and stays as it is.
    paths : mapping of str to sequence, optional
        The points of each way in their order: pairs (n, 2) for a function; for a network
        `params`, copied: ``{name: array.copy() for name, array in net.params.items()}``.
    path : str or os.PathLike, optional
        File to write, as `learning_curves` has it.
    x, t : array_like, optional
        Rows and targets, of which a network's loss is taken.
    span : float
        Without ways, how far the plane goes to each side.
    resolution : int
        Points along each side at which the loss is taken.
    seed : int
        Of the random directions.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError, TypeError
        For ways of another shape, a network without a loss, x or t, or a loss that is finite nowhere.
    ImportError
        Without matplotlib.

    References
    ----------
    Li, Xu, Taylor, Studer and Goldstein, Visualizing the loss landscape of neural nets (2018).

    Examples
    --------
    >>> ways = {"SGD": [(-7.0, 2.0), (-6.0, -1.0), (-5.0, 0.5)]}
    >>> figure = loss_surface(lambda x, y: x**2 / 20 + y**2, ways)
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['SGD']
    """
    who = "loss_surface"
    n = checks.integer(who, "resolution", resolution, 3, 1000)
    span = checks.positive(who, "span", span)
    seed = checks.integer(who, "seed", seed, 0, checks.MOST_SEED)
    if paths is not None and not hasattr(paths, "items"):
        raise TypeError(f"{who} expects paths as a mapping of names to points; got {checks.described(paths)}.")
    given = {name: checks.sequence(who, "paths", points, "points") for name, points in (paths or {}).items()}
    if not all(given.values()):
        raise ValueError(f"{who} expects paths of at least one point; got one of none.")
    if hasattr(loss, "params"):
        height, ways, labels = _of_network(who, loss, given, x, t, seed)
    else:
        checks.function(who, "loss", loss, "a function of two numbers, or a network with params")
        if x is not None or t is not None:
            raise TypeError(f"{who} expects x and t beside a network; got them beside a function.")
        height, labels = lambda a, b: float(loss(a, b)), ("x", "y")
        ways = {name: checks.floats(who, "paths", points) for name, points in given.items()}
        for way in ways.values():
            if way.ndim != 2 or way.shape[1] != 2:
                raise ValueError(f"{who} expects paths of pairs, (n, 2), for a function; got shape {way.shape}.")
    low, high = _ends(ways, span)
    across, up = (np.linspace(a, b, n) for a, b in zip(low, high, strict=True))
    with np.errstate(all="ignore"):
        heights = np.array([[height(a, b) for a in across] for b in up])
    if not np.isfinite(heights).any():
        raise ValueError(f"{who} expects a loss that is finite somewhere in the plane; got none.")
    figure = figures.figure(who, path, 5.2, 4.0)
    axes = figure.add_subplot()
    _draw_heights(figure, axes, across, up, heights)
    colours = [colour for colour in figures.COLOURS if colour != "#0072B2"]
    for k, (name, way) in enumerate(ways.items()):
        look = {"color": colours[k % len(colours)], "markersize": 3, "linewidth": 1.4}
        axes.plot(*way.T, "o-", label=figures.label(name), **look)
        axes.plot(*way[-1], "*", color=look["color"], markersize=11, markeredgecolor="white", zorder=3)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel=labels[0], ylabel=labels[1])
    if ways:
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=min(4, len(ways)))
    return figures.written(who, path, figure)


def _ends(ways, span):
    """The lower and upper corner of the plane."""
    if not ways:
        return np.full(2, -span), np.full(2, span)
    every = np.concatenate(list(ways.values()))
    every = every[np.isfinite(every).all(axis=1)]
    if not len(every):
        raise ValueError("loss_surface expects paths of finite numbers; got none.")
    low, high = every.min(axis=0), every.max(axis=0)
    most = max(high - low) or span
    margin = np.maximum(_MARGIN * (high - low), 0.1 * most)
    return low - margin, high + margin


def _draw_heights(figure, axes, across, up, heights):
    heights = np.where(np.isfinite(heights), np.clip(heights, -_FARTHEST, _FARTHEST), np.nan)
    finite = heights[np.isfinite(heights)]
    low, high = float(finite.min()), float(np.quantile(finite, 0.98))
    # Denser where the loss is small, as the heights of a valley are.
    parts = np.linspace(0, 1, 21) ** 2
    levels = low + (high - low) * parts
    if not (np.diff(levels) > 0).all():  # it is flat, but for rounding
        levels = low + (abs(low) or 1.0) * parts
    shown = axes.contourf(across, up, np.ma.masked_invalid(heights), levels=levels, cmap="Blues", extend="max")
    axes.contour(across, up, np.ma.masked_invalid(heights), levels=levels, colors="white", linewidths=0.4)
    figure.colorbar(shown, ax=axes, label="Loss", format="%.3g")


# --- a network's plane ----------------------------------------------------------------------


def _of_network(who, net, given, x, t, seed):
    """The loss at a place of the plane, the ways there, and what the axes are called."""
    if x is None or t is None or getattr(net, "loss_layer", None) is None:
        raise ValueError(f"{who} expects x and t beside a network with a loss; got a network without one of them.")
    names = list(net.params)
    now = _vector(who, net, names, net.params)
    points = {
        name: np.stack([_vector(who, net, names, point) for point in each]).astype(np.float64)
        for name, each in given.items()
    }
    if points:
        sound = [each[np.isfinite(each).all(axis=1)] for each in points.values()]  # of ways that diverged, too
        if not any(map(len, sound)):
            raise ValueError(f"{who} expects paths of finite numbers; got none.")
        middle = np.concatenate([each[-1:] for each in sound]).mean(axis=0)
        every = np.concatenate(sound) - middle
        _, sizes, rows = np.linalg.svd(every, full_matrices=False)
        if len(rows) < 2 or not sizes[0]:
            raise ValueError(f"{who} expects paths of at least two different points; got one.")
        directions = rows[:2]
        labels = "First principal component", "Second principal component"
    else:
        middle = now.astype(np.float64)
        rng = np.random.default_rng(seed)
        directions = np.stack([_random_direction(net, names, rng) for _ in range(2)])
        labels = "First random direction", "Second random direction"
    ways = {name: (each - middle) @ directions.T for name, each in points.items()}
    judged = copy.deepcopy(net)

    def height(a, b):
        place, start = middle + a * directions[0] + b * directions[1], 0
        for name in names:
            array = judged.params[name]
            judged.params[name] = place[start : start + array.size].reshape(array.shape).astype(array.dtype)
            start += array.size
        return float(judged.loss(x, t))

    return height, ways, labels


def _vector(who, net, names, params):
    """All parameters in one row."""
    if not hasattr(params, "keys") or set(params.keys()) != set(names):
        raise ValueError(f"{who} expects points with the network's parameters {', '.join(names)}; got others.")
    for name in names:
        checks.same_shape(who, name, np.asarray(params[name]), net.params[name].shape, "the network's")
    return np.concatenate([np.ravel(params[name]) for name in names])


def _random_direction(net, names, rng):
    """Normal numbers whose columns have the lengths of the weights' columns; none along biases."""
    parts = []
    for name in names:
        W = np.asarray(net.params[name], np.float64)
        part = rng.normal(size=W.shape) if W.ndim == 2 else np.zeros(W.shape)
        if W.ndim == 2:
            part *= np.linalg.norm(W, axis=0) / np.maximum(np.linalg.norm(part, axis=0), 1e-12)
        parts.append(part.ravel())
    return np.concatenate(parts)
