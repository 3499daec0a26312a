"""`Epochs`: the one loop of all trainings by epochs, and the options that they share."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fastbp import checks
from fastbp.training.progress import Bar

if TYPE_CHECKING:
    from fastbp._typing import Array, Callback, Schedule

__all__ = ["Epochs", "Options", "Training"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What every training by epochs is asked for; who makes one has checked it.

    Attributes
    ----------
    who : str
        Whom errors name.
    epochs : int
        Epochs in all, with those that an earlier run of the training did.
    shuffle, progress : bool
    schedule : callable or None
        Factor of the learning rate by the epochs done.
    callbacks : tuple of callable
    max_seconds : float or None
    """

    who: str
    epochs: int
    shuffle: bool = True
    schedule: Schedule | None = None
    callbacks: Sequence[Callback] = ()
    progress: bool = False
    max_seconds: float | None = None


class Training:
    """What `Epochs` runs: a network's training, or an estimator's.

    Its methods are called in the order in which they stand here.
    """

    def begin(self, epochs: Epochs) -> None:
        """What may fail before the first epoch; `epochs.done` is 0 until this sets it."""

    def shuffle(self, order: Array, epoch: int) -> None:
        """Bring row numbers, an array of int64, into the order of this epoch."""
        raise NotImplementedError

    def train(self, epochs: Epochs) -> bool:
        """One epoch, in the order of its rows and in the seconds left; whether it is whole.

        Sets `epochs.stopped_by` where there is nothing to look at.
        """
        raise NotImplementedError

    def look(self) -> None:
        """Note what the epoch has made of the network, on validation rows too."""

    def text(self) -> str:
        """What the bar says."""
        raise NotImplementedError

    def verdict(self) -> str | None:
        """Why training ends for want of improvement, or None."""
        return None

    def call(self, callback: Callback) -> bool | None:
        """Call a user's function; whether it ends the training."""
        raise NotImplementedError

    def called(self) -> None:
        """All callbacks of an epoch were called."""

    def agreed(self, stop: str | None) -> str | None:
        """Why training ends after this epoch, or None, as several ranks have it all alike."""
        return stop

    def end_epoch(self, whole: bool, last: bool) -> None:
        """An epoch is over, `whole` or cut short by the deadline; `last` where no other follows."""

    def takes(self, error: BaseException) -> bool:
        """Whether the training ends with what it has, in place of this exception."""
        return False

    def close(self, stopped_by: str) -> None:
        """The training is over, however it ended."""


class Epochs:
    """Epochs of a training, until they are done or something ends them.

    Parameters
    ----------
    options : Options
        A training may put others in their place as it goes.
    n_rows : int

    Attributes
    ----------
    done : int
        Epochs that are over.
    order : numpy.ndarray
        (n_rows,) int64: the rows in the order of this epoch.
    stopped_by : str or None
        "epochs", "callback", "max_seconds", "interrupt", "error", or the training's own reason.

    Raises
    ------
    ImportError
        For a bar without tqdm.
    """

    done: int

    def __init__(self, options: Options, n_rows: int) -> None:
        self.options = options
        self.done = 0
        self.order: Array = np.arange(n_rows, dtype=np.int64)
        self.stopped_by: str | None = None
        self._deadline = math.inf
        self._bar = Bar(options.who, options.epochs) if options.progress else None

    def run(self, training: Training) -> str:
        """Train; returns why it ended."""
        if self.options.max_seconds is not None:
            self._deadline = time.monotonic() + self.options.max_seconds
        begun = False
        try:
            training.begin(self)
            if self._bar is not None:
                self._bar.start(self.done)
            begun = True
            while self.stopped_by is None and self.done < self.options.epochs:
                self._run_one(training)
            self.stopped_by = self.stopped_by or "epochs"
        except BaseException as error:
            self.stopped_by = "interrupt" if isinstance(error, KeyboardInterrupt) else "error"
            if not (begun and training.takes(error)):
                raise
        finally:
            training.close(self.stopped_by or "error")
            if self._bar is not None:
                self._bar.close(training.text)
        return self.stopped_by

    def _run_one(self, training):
        if self.options.shuffle and len(self.order) > 1:
            training.shuffle(self.order, self.done)
        whole = training.train(self)
        if self.stopped_by is not None:
            return
        training.look()
        if self._bar is not None:
            self._bar.epoch(training.text)
        stop = training.verdict()
        for callback in self.options.callbacks:
            if training.call(callback):
                stop = stop or "callback"
        if self.options.callbacks:
            training.called()
        if not whole or self.seconds_left() <= 0:
            stop = stop or "max_seconds"
        stop = training.agreed(stop)
        self.done += 1
        training.end_epoch(whole, stop is not None or self.done >= self.options.epochs)
        self.stopped_by = stop

    def seconds_left(self) -> float:
        """Until the deadline; inf without one."""
        return self._deadline - time.monotonic()

    def rates(self, lr: float, epoch: int, n_batches: int) -> Array | None:
        """The learning rate of each batch, (n_batches,) float64; None without a schedule."""
        schedule = self.options.schedule
        if schedule is None:
            return None
        return lr * np.array([self._factor(schedule, epoch + k / n_batches) for k in range(n_batches)])

    def _factor(self, schedule, epochs):
        """The user's schedule after so many epochs."""
        who = self.options.who
        try:
            value = schedule(epochs)
        except Exception as error:
            told = f"{type(error).__name__}: {error}".rstrip(" .:")
            raise ValueError(
                f"{who} expects schedule to take the epochs done; at {epochs:g} it raised {told}."
            ) from error
        return checks.number(who, "schedule to return a factor", value, least=0)
