"""Pictures of what is in a network: weights as images and as a graph, histograms of its layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import autograd, charts, checks
from fastbp.modules import Module, evaluating
from fastbp.plots import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastbp._typing import ArrayLike, Path

#: Lines of a graph of weights at most, so that they can be told apart.
_MOST_EDGES = 2000
#: Layers of a picture of histograms.
_MOST_LAYERS = 12
_BINS = 40


def weights(net: Any, path: Path | None = None, *, shape: tuple[int, ...] | None = None, n_units: int = 64) -> Figure:
    """The first layer's weights, an image for each unit.

    All images have one scale, with 0 in the middle: red is positive, blue negative.

    Parameters
    ----------
    net : Sequential, Module, estimator with `coefs_`, or array_like
        An array is the weights themselves, (n_in, n_units).
    path : str or os.PathLike, optional
        File to write, as `learning_curves` has it.
    shape : (int, int), optional
        Rows and columns of an image; by default a square.
    n_units : int
        Units that are drawn at most, the first ones.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError, TypeError
        For no layer with weights, or a shape of another number of inputs.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> figure = weights(np.arange(8.0).reshape(4, 2), shape=(2, 2))
    >>> [len(axes.get_images()) for axes in figure.axes[:2]]
    [1, 1]
    """
    who = "weights"
    W = _matrices(who, net)[0][0]
    n = min(W.shape[1], checks.integer(who, "n_units", n_units, 1))
    if shape is None:
        side = round(len(W) ** 0.5)
        if side * side != len(W):
            raise ValueError(f"{who} expects shape=(rows, columns) for {len(W)} inputs, which are no square; got none.")
        shape = side, side
    shape = tuple(checks.integer(who, "shape", length, 1) for length in checks.sequence(who, "shape", shape, "lengths"))
    if len(shape) != 2 or shape[0] * shape[1] != len(W):
        raise ValueError(f"{who} expects shape as rows and columns of {len(W)} inputs; got {shape}.")
    columns = min(n, max(1, round((1.5 * n * shape[0] / shape[1]) ** 0.5)))
    rows = -(-n // columns)
    height = 0.75 * shape[0] / shape[1]
    figure = figures.figure(who, path, max(2.4, 0.75 * columns + 1), max(1.2, height * rows + 0.2))
    most = float(abs(W[:, :n]).max()) or 1.0
    for k in range(n):
        axes = figure.add_subplot(rows, columns, k + 1)
        image = axes.imshow(W[:, k].reshape(shape), cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest")
        axes.set_axis_off()
    figure.colorbar(image, ax=figure.axes, fraction=0.04, pad=0.02)
    return figures.written(who, path, figure)


def network(
    net: Any, path: Path | None = None, *, inputs: Sequence[str] | None = None, outputs: Sequence[str] | None = None
) -> Figure:
    """A small network as a graph, whose lines are coloured by the weights and nodes by the biases.

    Red is positive, blue negative, and a thicker line a larger weight.

    Parameters
    ----------
    net : Sequential, Module, or estimator with `coefs_` and `intercepts_`
        Of at most 2000 weights.
    path : str or os.PathLike, optional
        File to write, as `learning_curves` has it.
    inputs, outputs : sequence of str, optional
        Names of the inputs and of the outputs.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError, TypeError
        For no layer with weights, too many of them, layers that do not follow on each other, or
        names of another number.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> from fastbp import Linear, Relu, Sequential
    >>> figure = network(Sequential(Linear(2, 3, seed=0), Relu(), Linear(3, 1, seed=1)), outputs=["y"])
    >>> len(figure.axes[0].collections[0].get_segments())  # 2 x 3 + 3 x 1
    9
    """
    who = "network"
    layers = _matrices(who, net)
    widths = [layers[0][0].shape[0], *(W.shape[1] for W, _ in layers)]
    if any(len(W) != width for (W, _), width in zip(layers, widths, strict=False)):
        raise ValueError(f"{who} expects layers that follow on each other; got {[W.shape for W, _ in layers]}.")
    total = sum(W.size for W, _ in layers)
    if total > _MOST_EDGES:
        raise ValueError(f"{who} expects at most {_MOST_EDGES} weights, to tell them apart; got {total}.")
    named = [_names(who, "inputs", inputs, widths[0]), _names(who, "outputs", outputs, widths[-1])]
    figure = figures.figure(who, path, 1.7 * len(widths) + 1.6, min(9.0, max(2.6, 0.42 * max(widths) + 0.6)))
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import LineCollection
    from matplotlib.colors import Normalize

    axes = figure.add_subplot()
    gap = max(widths) - 1
    heights = [gap / 2 - (np.arange(n) - (n - 1) / 2) * (max(1.0, 0.6 * gap / n) if n > 1 else 1) for n in widths]
    most = max(float(abs(W).max()) for W, _ in layers) or 1.0
    colours, scale = colormaps["RdBu_r"], Normalize(-most, most)
    ends, values = [], []
    for k, (W, _) in enumerate(layers):
        for i, j in np.ndindex(W.shape):
            ends.append([(k, heights[k][i]), (k + 1, heights[k + 1][j])])
            values.append(W[i, j])
    order = np.argsort(np.abs(values))  # the largest on top
    ends, shares = [ends[i] for i in order], np.asarray(values)[order] / most
    lines = LineCollection(ends, colors=colours(scale(shares * most)), linewidths=0.3 + 2.2 * abs(shares), zorder=1)
    axes.add_collection(lines)
    biases = [np.zeros(widths[0]), *(np.zeros(W.shape[1]) if b is None else b for W, b in layers)]
    size = min(180.0, 9000 / max(widths) / max(1, max(widths) / 20))
    for k, (y, b) in enumerate(zip(heights, biases, strict=True)):
        fill = ["white"] * len(y) if k == 0 else colours(scale(b))
        axes.scatter([k] * len(y), y, s=size, c=fill, edgecolors="0.25", linewidths=0.8, zorder=2)
    for k, names, side in ((0, named[0], "right"), (len(widths) - 1, named[1], "left")):
        for y, name in zip(heights[k], names, strict=False):
            axes.annotate(
                name, (k, y), (-11 if side == "right" else 11, 0), textcoords="offset points", ha=side, va="center"
            )
    axes.set_xlim(-0.25, len(widths) - 0.75)
    axes.margins(y=0.08)
    axes.set_axis_off()
    figure.colorbar(ScalarMappable(scale, colours), ax=axes, fraction=0.04, pad=0.06, label="Weight, bias")
    return figures.written(who, path, figure)


def histograms(net: Any, x: ArrayLike, t: ArrayLike | None = None, path: Path | None = None) -> Figure:
    """Activations, weights and gradients of each layer as histograms.

    A column is a layer with weights; its activations are what it hands to the next one, behind its
    activation function.  The network is evaluated, and nothing of it changes.

    Parameters
    ----------
    net : Sequential or Module
        `Snapshots` draws them over the epochs of a training.
    x : array_like, (n, n_features)
    t : array_like, optional
        Targets, for the gradients by the weights of a network with a loss; of frozen weights there are none.
    path : str or os.PathLike, optional
        File to write, as `learning_curves` has it.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError, TypeError
        For a network without weights, or of more than 12 layers; for t without a loss.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> from fastbp import Linear, Relu, Sequential
    >>> net = Sequential(Linear(2, 3, seed=0), Relu(), Linear(3, 2, seed=1), loss="softmax_cross_entropy")
    >>> figure = histograms(net, [[0.0, 1.0], [1.0, 0.0]], [0, 1])
    >>> [axes.get_title() for axes in figure.axes[:2]], [axes.get_ylabel() for axes in figure.axes[::2]]
    (['0 Linear', '2 Linear'], ['Activations', 'Weights', 'Gradients'])
    """
    return _histograms("histograms", [(0, _snapshot("histograms", net, x, t))], path)


class Snapshots:
    """A callback of `fit` that keeps the histograms of every epoch.

    Parameters
    ----------
    x : array_like, (n, n_features)
        Rows to evaluate; some hundred are enough.
    t : array_like, optional
        Their targets, for the gradients.

    Raises
    ------
    ValueError, TypeError
        From the call, as `histograms` has them.

    Examples
    --------
    >>> from fastbp import Linear, Sequential
    >>> net = Sequential(Linear(2, 2, seed=0), loss="softmax_cross_entropy")
    >>> seen = Snapshots([[0.0, 1.0], [1.0, 0.0]], [0, 1])
    >>> history = net.fit([[0.0, 1.0], [1.0, 0.0]], [0, 1], epochs=3, callbacks=[seen], seed=0)
    >>> len(seen), [axes.get_ylabel() for axes in seen.histograms().axes]
    (3, ['Activations', 'Weights', 'Gradients'])
    """

    def __init__(self, x: ArrayLike, t: ArrayLike | None = None) -> None:
        self.x, self.t = x, t
        self._kept: list = []

    def __call__(self, net: Any, history: object = None) -> None:
        """Keep what the network has now."""
        self._kept.append((len(self) + 1, _snapshot("Snapshots", net, self.x, self.t)))

    def __len__(self) -> int:
        return len(self._kept)

    def histograms(self, path: Path | None = None) -> Figure:
        """Draw activations, weights and gradients of each layer over the epochs.

        A column of a panel is an epoch's histogram, the darker the more numbers.

        Parameters
        ----------
        path : str or os.PathLike, optional

        Returns
        -------
        matplotlib.figure.Figure
        """
        if not self._kept:
            raise ValueError("Snapshots.histograms expects epochs that were seen; got none: hand fit callbacks=[it].")
        return _histograms("Snapshots.histograms", self._kept, path)


def _histograms(who, kept, path):
    """A row of panels for each quantity, with a histogram or, of several times, columns of colour."""
    first = kept[0][1]
    n = len(first["Activations"])
    figure = figures.figure(who, path, max(3.2, 1.9 * n + 0.8), 1.6 * len(first) + 0.5)
    for row, quantity in enumerate(first):
        for k in range(n):
            axes = figure.add_subplot(len(first), n, row * n + k + 1)
            times = [(time, seen[quantity][k][1]) for time, seen in kept]
            (_bars if len(times) == 1 else _over_time)(axes, times)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=7)
            if row == 0:
                axes.set_title(figures.label(first[quantity][k][0]), fontsize=9)
            if k == 0:
                axes.set_ylabel(quantity, fontsize=9)
            if len(times) > 1 and row == len(first) - 1:
                axes.set_xlabel("Epoch", fontsize=9)
    return figures.written(who, path, figure)


def _finite(values):
    """In float64, whose steps are finer than a histogram's, and whose distances are finite."""
    return np.clip(values[np.isfinite(values)].astype(np.float64), -charts.FARTHEST, charts.FARTHEST)


def _bars(axes, times):
    values = _finite(times[0][1])
    n_bins = _BINS if len(values) > _BINS else len(values).bit_length() + 1  # Sturges's, of few
    axes.hist(values, bins=charts.bars(values, n_bins) if len(values) else 1, color=figures.COLOURS[0])
    axes.set_yticks([])
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3), useMathText=True)
    axes.xaxis.get_offset_text().set_fontsize(7)


def _over_time(axes, times):
    every = np.concatenate([_finite(values) for _, values in times])
    edges = charts.bars(every if len(every) else np.array([0.0, 1.0]), _BINS)
    shares = []
    for _, values in times:
        counts, _ = np.histogram(_finite(values), edges)
        shares.append(counts / max(1, counts.max()))
    extent = (times[0][0] - 0.5, times[-1][0] + 0.5, edges[0], edges[-1])
    axes.imshow(
        np.array(shares).T ** 0.5, extent=extent, origin="lower", aspect="auto", cmap="Blues", interpolation="nearest"
    )
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)
    axes.yaxis.get_offset_text().set_fontsize(7)


# --- what is in a network -------------------------------------------------------------------


def _matrices(who, net):
    """(W (n_in, n_out), b (n_out,) or None) of each layer with weights."""
    if hasattr(net, "coefs_"):
        found = list(zip(net.coefs_, net.intercepts_, strict=True))
    elif isinstance(net, Module):
        found = [(W.detach().numpy().T, None if b is None else b.detach().numpy()) for _, W, b in _weighted(net)]
    else:
        W = checks.floats(who, "net", net)
        found = [(W, None)] if W.ndim == 2 and W.size else []
    if not found:
        raise ValueError(f"{who} expects a network with a layer of weights, or an array of two axes; got none.")
    return [(np.asarray(W), b) for W, b in found]


def _weighted(net):
    """(layer, its weight, its bias or None) of each layer with a matrix of weights, in their order."""
    found = []
    for part in net.modules():
        own = dict(part.named_parameters(recurse=False))
        if "weight" in own and own["weight"].ndim == 2:
            found.append((part, own["weight"], own.get("bias")))
    return found


def _snapshot(who, net, x, t):
    """{quantity: [(layer's name, numbers (n,)), ...]}, copies."""
    checks.instance(who, "net", net, Module, "a network")
    weighted = _weighted(net)
    if not 1 <= len(weighted) <= _MOST_LAYERS:
        raise ValueError(f"{who} expects a network of 1 to {_MOST_LAYERS} layers with weights; got {len(weighted)}.")
    parts, weights_ = [part for part, *_ in weighted], [W for _, W, _ in weighted]
    x = autograd.tensor(checks.floats(who, "x", x), dtype=weights_[0].dtype)
    leaves = {id(part): name for name, part in net.named_modules() if not part._modules}
    calls: list = []

    def note(part, given, out):
        calls.append((part, out.detach().numpy().ravel().copy()))

    handles = [part.register_forward_hook(note) for part in net.modules() if id(part) in leaves]
    try:
        with evaluating(net):
            out = net(x)
    finally:
        for handle in handles:
            handle.remove()
    activations: dict = {}
    current = None
    for part, values in calls:
        current = part if any(part is each for each in parts) else current
        if current is not None:
            activations[id(current)] = values
    names = [f"{leaves[id(part)]} {part.type_name()}" for part in parts]
    seen = {
        "Activations": [activations.get(id(part), np.zeros(0)) for part in parts],
        "Weights": [W.detach().numpy().ravel().copy() for W in weights_],
    }
    if t is not None:
        loss = getattr(net, "loss_layer", None)
        if loss is None:
            raise ValueError(f"{who} expects t beside a network with a loss; got one without.")
        trained = [W for W in weights_ if W.requires_grad]
        gradients = autograd.grad(loss.forward(out, np.asarray(t)), trained) if trained else ()
        of = dict(zip(map(id, trained), gradients, strict=True))
        seen["Gradients"] = [of[id(W)].numpy().ravel() if id(W) in of else np.zeros(0) for W in weights_]
    return {quantity: list(zip(names, arrays, strict=True)) for quantity, arrays in seen.items()}


def _names(who, which, names, n):
    if names is None:
        return []
    names = checks.sequence(who, which, names, "names")
    if len(names) != n:
        raise ValueError(f"{who} expects {which} of {n} names; got {len(names)}.")
    return [figures.label(name) for name in names]
