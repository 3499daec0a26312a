"""What a training saw, and when it has seen enough: `History` and `EarlyStopping`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from fastbp import checks
from fastbp.training import plans

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastbp._typing import Array, Path
    from fastbp.modules import Module

    Monitor: TypeAlias = Literal["val_loss", "val_accuracy", "train_loss", "train_accuracy", "loss", "accuracy"]

__all__ = ["EarlyStopping", "History"]


@dataclasses.dataclass(eq=False)
class History:
    """What `fit` saw, a number per epoch; accuracies are empty for a regression.

    Attributes
    ----------
    train_loss, train_accuracy : list of float
        Means over the epoch's rows as they were trained (weighted, where there are weights).
    val_loss, val_accuracy : list of float
        Of the validation set after each epoch.
    lr : list of float
        Learning rate at each epoch's end.
    seconds : list of float
        Seconds of each epoch, validation and callbacks included.
    batch_loss : list of numpy.ndarray
        The mean loss of each batch, an array per epoch.
    seed : int
        What `fit` was given, or drew.
    stopped_by : str
        "epochs", "early_stopping", "callback", "max_seconds", "interrupt" or "error".
    """

    train_loss: list[float] = dataclasses.field(default_factory=list)
    val_loss: list[float] = dataclasses.field(default_factory=list)
    train_accuracy: list[float] = dataclasses.field(default_factory=list)
    val_accuracy: list[float] = dataclasses.field(default_factory=list)
    lr: list[float] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)
    batch_loss: list[Array] = dataclasses.field(default_factory=list)
    seed: int = 0
    stopped_by: str = "epochs"

    def __len__(self) -> int:
        return len(self.train_loss)

    def __eq__(self, other: object) -> bool:
        """Whether two trainings saw the same numbers, seconds too."""
        if not isinstance(other, History):
            return NotImplemented
        ours, theirs = (vars(h) | {"batch_loss": [losses.tolist() for losses in h.batch_loss]} for h in (self, other))
        return ours == theirs

    __hash__: None = None  # type: ignore[assignment]

    def plot(self, path: Path | None = None) -> Figure:
        """Draw the curves of loss and accuracy; a file where `path` says so.

        Parameters
        ----------
        path : str, os.PathLike or None

        Returns
        -------
        matplotlib.figure.Figure
        """
        from fastbp import plots

        names = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
        curves = {name: getattr(self, name) for name in names if getattr(self, name)}
        return plots.learning_curves(curves, path)

    def _repr_html_(self) -> str:
        from fastbp import charts, markup

        said = markup.preformatted(self)
        return f"{charts.learning_curves(vars(self))}{said}" if len(self) else said

    def __repr__(self) -> str:
        if not len(self):
            return "History(no epochs)"
        last = [
            f"{name}={getattr(self, name)[-1]:.4g}"
            for name in ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
            if getattr(self, name)
        ]
        return f"History({len(self)} epochs, {', '.join(last)}, stopped by {self.stopped_by})"


class EarlyStopping:
    """Ends `fit` when a number of the history has not improved for some epochs.

    Parameters
    ----------
    patience : int
        Epochs without improvement.
    monitor : {"val_loss", "val_accuracy", "train_loss", "train_accuracy"} or callable
        "loss" and "accuracy" are those of training, as Keras calls them.  Or a function
        ``monitor(net)`` of the network after each epoch, of whose number more is better, as an F1
        score of rows that were kept from training.
    min_delta : float
        What counts as an improvement.
    restore_best : bool
        Give the network the parameters of its best epoch at the end.

    Raises
    ------
    ValueError, TypeError
        For a patience below 1 or another monitor.

    Examples
    --------
    >>> EarlyStopping(patience=3).patience
    3
    """

    best_layers: Sequence[Module]
    best: float
    best_epoch: int

    MONITORS = ("val_loss", "val_accuracy", "train_loss", "train_accuracy")

    def __init__(
        self,
        patience: int = 10,
        monitor: Monitor | Callable[[Any], float] = "val_loss",
        min_delta: float = 0.0,
        restore_best: bool = True,
    ) -> None:
        self.patience: int = checks.integer("EarlyStopping", "patience", patience, least=1)
        self.monitor: Any = monitor
        if not callable(monitor):
            named = isinstance(monitor, str) and monitor in ("loss", "accuracy")
            name = f"train_{monitor}" if named else monitor
            self.monitor = checks.choice("EarlyStopping", "monitor", name, self.MONITORS)
        self.min_delta: float = checks.number("EarlyStopping", "min_delta", min_delta, least=0)
        self.restore_best: bool = checks.flag("EarlyStopping", "restore_best", restore_best)
        self.start()

    def start(self) -> None:
        """Forget an earlier training."""
        self.best = -math.inf
        self.best_epoch = 0
        self.best_arrays: dict[str, Array] | None = None
        self.best_layers = ()

    def should_stop(self, net: Module, history: History, score: float | None = None) -> bool:
        """Look at the last epoch, keep the network's arrays where it is the best one.

        `score` is what a monitor that is a function has made of the network.
        """
        if score is None:
            value = getattr(history, self.monitor)[-1]
            score = value if self.monitor.endswith("accuracy") else -value
        epoch = len(history) - 1
        if score > self.best + self.min_delta:  # false for NaN
            if self.restore_best:
                self.best_layers = net.layers
                arrays = plans.arrays_of(net.layers)
                self.best_arrays = {name: array.copy() for name, array in arrays.items()}
            self.best, self.best_epoch = score, epoch  # last: Ctrl-C above has it done again
        return self.is_over(history)

    def is_over(self, history: History) -> bool:
        """Whether the best epoch lies too far back."""
        return len(history) - 1 - self.best_epoch >= self.patience

    def config(self) -> dict[str, Any]:
        """What has to agree where a training goes on."""
        name = getattr(self.monitor, "__qualname__", type(self.monitor).__name__)
        monitor = f"the function {name}" if callable(self.monitor) else self.monitor
        return {"monitor": monitor, "min_delta": self.min_delta, "restore_best": self.restore_best}

    def restore(self, net: Module) -> None:
        """Put the best epoch's arrays back."""
        if self.best_arrays is None:
            return
        layers = self.best_layers or net.layers  # of the network that was trained, whatever it has
        plans.fill(plans.arrays_of(layers), self.best_arrays)
        self.best_arrays, self.best_layers = None, ()
