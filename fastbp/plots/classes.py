"""Pictures of what a classifier says: regions of the plane, and the confusion of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp._kernels.autograd import no_grad
from fastbp.modules import Module, evaluating
from fastbp.plots import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastbp._typing import Path

#: Classes whose counts are written into the confusion matrix.
_MOST_WRITTEN = 20
#: Classes that colours tell apart.
_MOST_CLASSES = 20
#: Points of the plane that are asked at a time.
_BLOCK = 10000


def decision_boundary(
    net: Any, x: Any, t: Any, path: Path | None = None, *, names: Sequence[str] = ("x1", "x2"), resolution: int = 300
) -> Figure:
    """The regions of the plane in which a classifier says each class, below the rows.

    Parameters
    ----------
    net : Sequential, Module, estimator or function
        With `classify`, `predict`, or of an array (m, 2).  Scores (m, n_classes) say the class of
        the largest; one output says class 1 above 0.5, or above 0 where some lie outside [0, 1];
        other results are the classes themselves.
    x : array_like
        (n, 2)
    t : array_like
        (n,) classes, as indices or names; or one-hot rows (n, n_classes).
    path : str or os.PathLike, optional
        File to write, as `learning_curves` has it.
    names : (str, str)
        Of the two features.
    resolution : int
        Points of the plane along each side.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError, TypeError
        For rows of another width than 2, targets of another length, more than 20 classes, or a
        name whose characters no installed font has.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> from fastbp import Linear, Sequential
    >>> net = Sequential(Linear(2, 2, seed=0), loss="softmax_cross_entropy")
    >>> figure = decision_boundary(net, [[0.0, 1.0], [1.0, 0.0]], [0, 1])
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['0', '1']
    """
    who = "decision_boundary"
    x = checks.floats(who, "x", x)
    if x.ndim != 2 or x.shape[1] != 2 or not len(x) or not np.isfinite(x).all():
        raise ValueError(f"{who} expects x of finite numbers, of shape (n, 2); got shape {x.shape}.")
    t = _classes(who, "t", t)
    checks.same_shape(who, "t", t, (len(x),), "x has rows")
    names = [figures.label(name) for name in checks.sequence(who, "names", names, "the two features' names")]
    if len(names) != 2:
        raise ValueError(f"{who} expects names of two features; got {len(names)}.")
    n = checks.integer(who, "resolution", resolution, 2, 5000)
    low, high = x.min(axis=0).astype(np.float64), x.max(axis=0).astype(np.float64)
    margin = np.where(high > low, 0.08 * (high - low), 0.5)
    low, high = low - margin, high + margin
    across, up = (np.linspace(a, b, n) for a, b in zip(low, high, strict=True))
    plane = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2).astype(x.dtype)
    said = _said(who, net, plane, t)
    classes, t, said = _coded(who, t, said)
    if len(classes) > _MOST_CLASSES:
        raise ValueError(f"{who} expects at most {_MOST_CLASSES} classes; got {len(classes)}.")
    figure = figures.figure(who, path, 4.6, 4.0)
    axes = figure.add_subplot()
    _draw_regions(axes, across, up, said.reshape(n, n), _colours(len(classes)))
    for k, (one, colour) in enumerate(zip(classes.tolist(), _colours(len(classes)), strict=True)):
        rows = t == k
        if rows.any():
            axes.scatter(*x[rows].T, s=16, color=colour, edgecolors="white", linewidths=0.5, label=figures.label(one))
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel=names[0], ylabel=names[1])
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=min(5, len(classes)), handletextpad=0.1)
    return figures.written(who, path, figure)


def _classes(who, name, t):
    """Classes (n,) as indices or names."""
    t = np.asarray(t)
    if t.dtype.kind == "f":
        checks.no_nan(who, name, t)
    if t.ndim == 2 and t.shape[1] > 1:
        t = t.argmax(axis=1)
    t = t.reshape(len(t)) if t.ndim == 2 else t
    if t.ndim != 1 or not len(t):
        raise ValueError(f"{who} expects {name} as classes (n,) or rows of scores (n, n_classes); got shape {t.shape}.")
    if t.dtype.kind == "f":
        if not (t == np.round(t)).all():
            raise ValueError(f"{who} expects {name} as classes, whole numbers or names; got numbers between them.")
        t = t.astype(np.int64)
    return t.astype(str) if t.dtype.kind == "O" else t.astype(np.int64) if t.dtype.kind in "biu" else t


def _union(t, said):
    return np.unique(np.concatenate([t, said]))


def _coded(who, t, said):
    """All classes, sorted, and both arrays as places among them."""
    if t.dtype.kind in "iu" or said.dtype.kind not in "iu":
        classes = _union(t, said)
        return classes, *(np.searchsorted(classes, each.astype(classes.dtype)) for each in (t, said))
    classes = np.unique(t)  # an index counts them in this order
    if said.min() < 0 or said.max() >= len(classes):
        strange = said[(said < 0) | (said >= len(classes))][0]
        raise ValueError(f"{who} expects t with each class that net has; got {len(classes)} and class {strange}.")
    return classes, np.searchsorted(classes, t), said


def _said(who, net, plane, t):
    """The class of each point, an index or a name; where scores say it, classes `t` count from 0, too."""
    out = np.concatenate([np.asarray(_answered(who, net, plane[k : k + _BLOCK])) for k in range(0, len(plane), _BLOCK)])
    if out.ndim == 2 and out.shape[1] == 1:
        out = out[:, 0]
    if out.ndim not in (1, 2) or len(out) != len(plane):
        raise ValueError(
            f"{who} expects net to give a class or scores for each of {len(plane)} rows; got shape {out.shape}."
        )
    if out.dtype.kind == "f":
        checks.no_nan(who, "the scores that net gives", out)
    scored = out.ndim == 2 or (out.dtype.kind == "f" and not (out == np.round(out)).all())
    n = out.shape[1] if out.ndim == 2 else 2
    if scored and t.dtype.kind in "iu" and not (t.min() >= 0 and t.max() < n):
        strange = t[(t < 0) | (t >= n)][0]
        raise ValueError(f"{who} expects t as classes 0 to {n - 1}, as net gives scores of {n}; got {strange}.")
    if out.ndim == 2:
        return out.argmax(axis=1)
    if scored:
        return (out > (0.5 if out.min() >= 0 and out.max() <= 1 else 0)).astype(np.int64)
    return out.astype(np.int64) if out.dtype.kind in "fbiu" else out.astype(str) if out.dtype.kind == "O" else out


def _answered(who, net, rows):
    if hasattr(net, "classify") and getattr(getattr(net, "loss_layer", None), "classifies", False):
        return net.classify(rows)
    if hasattr(net, "predict"):
        return net.predict(rows)
    if isinstance(net, Module):
        from fastbp.autograd import tensor

        kind = next((p.dtype for p in net.parameters()), None)
        with evaluating(net), no_grad():
            return net(tensor(rows, dtype=kind)).numpy()
    return checks.function(who, "net", net, "a network, an estimator or a function of rows")(rows)


def _colours(n):
    if n <= len(figures.COLOURS):
        return list(figures.COLOURS[:n])
    from matplotlib import colormaps

    return [colormaps["tab20"](k) for k in range(n)]


def _draw_regions(axes, across, up, said, colours):
    from matplotlib.colors import to_rgb

    pale = np.array([[0.7 + 0.3 * part for part in to_rgb(colour)] for colour in colours])
    steps = (across[1] - across[0]) / 2, (up[1] - up[0]) / 2
    extent = (across[0] - steps[0], across[-1] + steps[0], up[0] - steps[1], up[-1] + steps[1])
    axes.imshow(pale[said], extent=extent, origin="lower", aspect="auto", interpolation="nearest", zorder=0)
    for k in np.unique(said):
        if (said != k).any():
            axes.contour(across, up, said == k, levels=[0.5], colors="0.35", linewidths=0.7, zorder=1)


def confusion_matrix(y: Any, t: Any, classes: Sequence[Any] | None = None, path: Path | None = None) -> Figure:
    """How many rows of each true class were said to be of each class.

    A cell's colour is its share of the true class, the row.

    Parameters
    ----------
    y : array_like
        (n,) predicted classes, as indices or names; or scores (n, n_classes).
    t : array_like
        (n,) true classes.
    classes : sequence of str, optional
        Their names by the index; by default the classes that come, sorted.
    path : str or os.PathLike, optional
        File to write, as `learning_curves` has it.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError, TypeError
        For lengths that differ, classes without a name, or a name whose characters no installed
        font has.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> figure = confusion_matrix([0, 1, 1, 1], [0, 1, 1, 0], classes=["cat", "dog"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1', '1', '0', '2']
    """
    who = "confusion_matrix"
    wide = np.ndim(y) == 2 and np.shape(y)[1] > 1 and np.shape(y)[1]
    y, t = _classes(who, "y", y), _classes(who, "t", t)
    checks.same_shape(who, "y", y, t.shape, "t")
    if (y.dtype.kind in "iu") != (t.dtype.kind in "iu"):
        raise TypeError(f"{who} expects y and t both as indices or both as names; got {y.dtype} and {t.dtype}.")
    if y.dtype.kind in "iu" and (wide or classes is not None):
        names = list(range(wide)) if classes is None else checks.sequence(who, "classes", classes, "names of classes")
        both = _union(y, t)
        if both[0] < 0 or both[-1] >= len(names):
            raise ValueError(f"{who} expects classes with a name for each index; got {len(names)} and {both[-1]}.")
    else:
        known = _union(y, t) if classes is None else np.asarray(checks.sequence(who, "classes", classes, "names"))
        if len(np.unique(known)) < len(known):
            raise ValueError(f"{who} expects classes with different names; got {checks.shown(known.tolist())}.")
        strange = np.setdiff1d(_union(y, t), known)
        if len(strange):
            raise ValueError(f"{who} expects classes with every class that comes; got none for {strange[0]!r}.")
        order = np.argsort(known)
        y, t = (order[np.searchsorted(known, each, sorter=order)] for each in (y, t))
        names = known.tolist()
    n = len(names)
    table = np.bincount(t * n + y, minlength=n * n).reshape(n, n)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    side = min(1.8 + 0.42 * n, 12)
    figure = figures.figure(who, path, max(3.4, side + 0.8), max(3.0, side))
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if n <= _MOST_WRITTEN:
        for row, column in np.ndindex(n, n):
            colour = "white" if shares[row, column] > 0.5 else "0.15" if table[row, column] else "0.7"
            axes.text(column, row, str(table[row, column]), ha="center", va="center", color=colour, fontsize=9)
        named = [figures.label(name, 16) for name in names]
        tilted = max(map(len, named)) > 4
        axes.set_xticks(range(n), named, rotation=40 * tilted, ha="right" if tilted else "center")
        axes.set_yticks(range(n), named)
    axes.set(xlabel="Predicted", ylabel="True")
    axes.tick_params(length=0)
    return figures.written(who, path, figure)
