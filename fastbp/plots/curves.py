"""Pictures of plain lists of numbers: losses over epochs, rates and options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastbp import checks
from fastbp.plots import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastbp._typing import Array, Path

__all__ = ["learning_curves", "learning_rates", "trials"]

#: Key in a history, name in the legend, line, colour (Okabe and Ito's, for all eyes).
_PARTS = (("train", "train", "-", "#0072B2"), ("val", "validation", "--", "#009E73"), ("test", "test", "--", "#D55E00"))


def learning_curves(history: Mapping[str, Sequence[float]], path: Path | None = None) -> Figure:
    """Loss beside accuracy, over the epochs.

    Parameters
    ----------
    history : mapping of str to sequence of float
        One number per epoch under any of ``train_loss``, ``val_loss``, ``test_loss``,
        ``train_accuracy``, ``val_accuracy``, ``test_accuracy``; other keys are left out.
        Accuracies lie between 0 and 1.
    path : str or os.PathLike, optional
        File to write, whole or not at all, whose name ends in .png, .svg or another format of
        matplotlib's.

    Returns
    -------
    matplotlib.figure.Figure
        One panel where only losses or only accuracies are given.  It belongs to no window and
        leaves matplotlib's state alone.

    Raises
    ------
    ValueError, TypeError
        For no such list, lists without epochs or of different lengths.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> figure = learning_curves({"train_loss": [0.9, 0.5], "test_loss": [1.0, 0.7]})
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['Loss']
    """
    panels = _panels(history)
    figure = figures.figure("learning_curves", path, 4.6 * len(panels))
    for place, (quantity, curves) in enumerate(panels.items(), start=1):
        _draw(figure.add_subplot(1, len(panels), place), quantity, curves)
    return figures.written("learning_curves", path, figure)


def learning_rates(
    lrs: Sequence[float] | Array,
    losses: Sequence[float] | Array,
    smoothed: Sequence[float] | Array,
    suggestion: float,
    path: Path | None = None,
) -> Figure:
    """Losses over the learning rates that were tried, with the suggested one.

    Parameters
    ----------
    lrs, losses, smoothed : sequence of float
        Of one length.
    suggestion : float
        One of the rates.
    path : str or os.PathLike, optional
        File to write, as `learning_curves` has it.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> figure = learning_rates([0.01, 0.1, 1.0], [3.0, 1.0, 5.0], [3.0, 1.5, 4.0], 0.1)
    >>> figure.axes[0].get_xscale()
    'log'
    """
    figure = figures.figure("learning_rates", path, 6.0)
    axes = figure.add_subplot()
    axes.plot(lrs, losses, color="0.75", linewidth=1, label="loss of a step")
    axes.plot(lrs, smoothed, color="#0072B2", linewidth=1.8, label="smoothed")
    axes.axvline(suggestion, color="#D55E00", linestyle="--", label=f"suggestion {suggestion:.2g}")
    axes.set_xscale("log")
    low = min(0, *smoothed)
    top = low + 1.5 * (max(smoothed[0], min(smoothed)) - low)
    axes.set_ylim(1.05 * low, top if top > low else low + 1)  # what diverges leaves the picture
    axes.set_xlabel("Learning rate")
    axes.set_ylabel("Loss")
    figures.bare(axes)
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return figures.written("learning_rates", path, figure)


def trials(found: Sequence[Any], ranges: Sequence[str], path: Path | None = None) -> Figure:
    """The losses of a sweep's trials over each of the numbers that they differ in.

    Parameters
    ----------
    found : sequence of (epochs, loss, options)
        Options are a dict; trials that went further are drawn darker.
    ranges : sequence of str
        The options to draw, on logarithmic axes.
    path : str or os.PathLike, optional
        File to write, as `learning_curves` has it.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> figure = trials([(4, 0.5, {"lr": 0.1}), (12, 0.3, {"lr": 0.01})], ["lr"])
    >>> [axes.get_xlabel() for axes in figure.axes]
    ['lr']
    """
    figure = figures.figure("trials", path, 3.45 * len(ranges))
    most = max(epochs for epochs, *_ in found)
    shown = sorted((each for each in found if abs(each[1]) < float("inf")), key=lambda trial: trial[0])
    axes = None
    for place, name in enumerate(ranges, start=1):
        axes = figure.add_subplot(1, len(ranges), place, sharey=axes)
        colours = [(0.0, 0.45, 0.7, 0.25 + 0.75 * epochs / most) for epochs, *_ in shown]
        axes.scatter(
            [options[name] for *_, options in shown], [loss for _, loss, _ in shown], c=colours, s=22, linewidths=0
        )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(name)
        if place == 1:
            axes.set_ylabel("Validation loss")
        figures.bare(axes)
    return figures.written("trials", path, figure)


def _panels(history):
    """{"loss": [(name, line, colour, values), ...], "accuracy": [...]}, checked."""
    checks.instance("learning_curves", "history", history, Mapping, "a mapping of lists")
    panels: dict[str, list] = {}
    lengths = {}
    for quantity in ("loss", "accuracy"):
        for part, *look in _PARTS:
            key = f"{part}_{quantity}"
            if key in history:
                values = checks.floats("learning_curves", key, history[key])
                if values.ndim != 1:
                    raise ValueError(
                        f"learning_curves expects {key} as a list of one number per epoch; got shape {values.shape}."
                    )
                panels.setdefault(quantity, []).append((*look, values))
                lengths[key] = len(values)
    if not any(lengths.values()):
        raise ValueError(
            "learning_curves expects a history with train_loss, test_loss, train_accuracy or "
            f"test_accuracy of at least one epoch; got {', '.join(map(str, history)) or 'none'}"
            f"{' without epochs' if lengths else ''}."
        )
    if len(set(lengths.values())) > 1:
        came = ", ".join(f"{key} of {n}" for key, n in lengths.items())
        raise ValueError(f"learning_curves expects lists of one length; got {came}.")
    return panels


def _draw(axes, quantity, curves):
    """One panel: the curves of a quantity, labelled."""
    from matplotlib.ticker import MaxNLocator

    n_epochs = len(curves[0][-1])
    for name, line, colour, values in curves:
        if n_epochs == 1:  # one point makes no line; rings show a point beneath them
            fill = "full" if line == "-" else "none"
            axes.plot(1, values[0], "o", color=colour, fillstyle=fill, markersize=8, label=name)
        else:
            axes.plot(range(1, n_epochs + 1), values, line, color=colour, label=name, linewidth=1.8)
    margin = 0.5 if n_epochs == 1 else min(0.5, 0.02 * (n_epochs - 1))  # no tick at epoch 0
    axes.set_xlim(1 - margin, n_epochs + margin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    _set_heights(axes, quantity, [value for *_, values in curves for value in values])
    axes.set_xlabel("Epoch")
    axes.set_ylabel(quantity.capitalize())
    figures.bare(axes)
    # Above the panel, where no curve runs through it.
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(curves))


def _set_heights(axes, quantity, values):
    """A loss stands on 0; an accuracy ends at 1, with a margin so that 1 is seen."""
    finite = [float(value) for value in values if abs(value) < float("inf")]  # nor NaN
    if quantity == "accuracy":
        low = max(0, 1 - 1.1 * (1 - min([0.95, *finite])))
        axes.set_ylim(low, 1 + 0.03 * (1 - low))
    elif finite and min(finite) >= 0:
        axes.set_ylim(0, 1.05 * max(finite) or 1)
