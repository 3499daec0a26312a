"""A training on batches that are made elsewhere: by a DataLoader, an iterable or a function."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks, init
from fastbp.training import plans
from fastbp.training.epochs import Epochs
from fastbp.training.fit import FitOptions, NetworkTraining, Rows, validation_of
from fastbp.training.ranks import ALONE
from fastbp.training.trainer import trainer_of

if TYPE_CHECKING:
    from fastbp._typing import Array
    from fastbp.modules import Module
    from fastbp.training.history import History
    from fastbp.training.trainer import Trainer

__all__ = ["fit_batches", "gives_batches"]

#: Options that say something of all rows, or of a place among them.
OF_ROWS = (
    "batch_size", "sample_weight", "class_weight", "validation_split", "checkpoint", "every", "resume", "comm",
    "rows", "average_every",
)  # fmt: skip
#: Of these, where it is not None, what they are where nobody says anything.
UNSAID = {"rows": "all", "average_every": 1}


def gives_batches(x: Any, t: Any) -> bool:
    """Whether this is no array, and gives pairs (x, t)."""
    if t is not None or isinstance(x, np.ndarray | list | tuple | str | bytes | dict | set) or x is None:
        return False
    if hasattr(x, "__array__") or hasattr(x, "tocsr") or hasattr(x, "shape"):
        return False
    return callable(x) or hasattr(x, "__iter__") or hasattr(x, "__next__")


class Batches:
    """The batches of each epoch.

    Parameters
    ----------
    source : iterable, or callable
        Of pairs (x, t), from the beginning for each epoch; or a function that returns such an
        iterable, called for each epoch.
    epochs : int

    Raises
    ------
    ValueError
        For an iterator and several epochs: it is spent after one.
    """

    who: str
    source: Any
    peeked: Any

    def __init__(self, who: str, source: Iterable[Any] | Callable[[], Iterable[Any]], epochs: int) -> None:
        if hasattr(source, "__next__") and epochs > 1:
            raise ValueError(
                f"{who} expects batches for each of {epochs} epochs; got an iterator, which is spent after one: pass "
                "what makes it, a function or a DataLoader."
            )
        self.who, self.source = who, source
        self._first = iter(self._begun())
        self.peeked = next(self._first, None)
        if self.peeked is None:
            raise ValueError(f"{who} expects at least one batch of {checks.shown(source)}; got none.")

    def _begun(self):
        return self.source() if callable(self.source) and not hasattr(self.source, "__iter__") else self.source

    def __len__(self) -> int:
        """How many an epoch has; a TypeError where the source does not say."""
        return len(self.source)

    def epoch(self) -> Generator[Any, None, None]:
        """The batches of the next epoch, as they come."""
        if self._first is not None:
            first, self._first = self._first, None
            yield self.peeked
            self.peeked = None
            yield from first
        else:
            yield from self._begun()


def fit_batches(net: Module, source: Iterable[Any] | Callable[[], Iterable[Any]], options: dict[str, Any]) -> History:
    """`Sequential.fit` of batches that are made elsewhere; see there."""
    who = FitOptions.who
    given = [name for name in OF_ROWS if not _is_unsaid(name, options[name])]
    if given:
        raise ValueError(
            f"{who} expects {given[0]} with rows x and their targets t; got it with batches, which are taken as they "
            "come."
        )
    asked = FitOptions(**{name: value for name, value in options.items() if name != "comm"})
    loss_layer = net.loss_layer_for(who)
    description = plans.described(net, who)
    validation = None
    if asked.validation_data is not None:
        validation = validation_of(net, asked.validation_data, net.classes, description, ALONE)
    asked.require_monitored(validation, loss_layer)
    batches = Batches(who, source, asked.epochs)
    if asked.schedule is not None and not hasattr(source, "__len__"):
        raise ValueError(f"{who} expects batches whose number len tells, for a schedule; got {checks.shown(source)}.")
    x, _ = _pair(who, batches.peeked)
    most = max(len(plans.rows_of(who, x, description.entries[0])), _size_of(source))
    seed = init.seed_of(who, asked.seed)
    trainer = trainer_of(
        description, asked.optimizer, most, asked.n_threads, seed, asked.clip_norm, asked.clip_value, ALONE, 1
    )
    training = BatchTraining(trainer, batches, description, validation, asked)
    Epochs(dataclasses.replace(asked, shuffle=False), 0).run(training)
    return training.history


def _is_unsaid(name, value):
    return value is None or (name in UNSAID and value == UNSAID[name])


def _size_of(source):
    """Rows of a batch, where the source says so."""
    size = getattr(source, "batch_size", None)
    return size if isinstance(size, int) else 0


def _pair(who, batch):
    try:
        x, t = batch
    except (TypeError, ValueError):
        raise ValueError(f"{who} expects each batch as a pair (x, t); got {checks.described(batch)}.") from None
    return x, t


class BatchTraining(NetworkTraining):
    """A network's training on `Batches`."""

    batches: Batches
    description: plans.Description

    def __init__(
        self,
        trainer: Trainer,
        batches: Batches,
        description: plans.Description,
        validation: tuple[Any, Array] | None,
        options: FitOptions,
    ) -> None:
        super().__init__(trainer, Rows(None, None, None, 0, 1, None, None), validation, options, None, None)
        self.batches, self.description = batches, description

    def train(self, epochs: Epochs) -> bool:
        trainer, who = self.trainer, self.batches.who
        losses, sums, whole = [], np.zeros(3), True
        lrs = epochs.rates(trainer.optimizer.lr, self.at.epoch, len(self.batches)) if epochs.options.schedule else None
        with closing(self.batches.epoch()) as batches:
            for number, batch in enumerate(batches):
                if epochs.seconds_left() <= 0:
                    whole = False
                    break
                x, t = self._arrays(batch, number)
                loss, reached = np.full(1, math.nan), np.zeros(4)
                rates = None if lrs is None else lrs[min(number, len(lrs) - 1) :][:1].copy()
                trainer.epoch(x, t, None, np.arange(len(x)), loss, reached, rates)
                if trainer.stopped_by_loss:
                    when = f"epoch {self.at.epoch + 1}, batch {number + 1}"
                    raise trainer.diverged(loss[0], trainer.first_non_finite(len(x)), when)
                losses.append(loss[0])
                sums += reached[1:]
        if not losses and whole:
            raise ValueError(f"{who} expects at least one batch in epoch {self.at.epoch + 1}; got none.")
        if losses:
            self._record(np.array(losses), *sums.tolist())
        else:
            epochs.stopped_by = "max_seconds"
        return whole

    def _arrays(self, batch, number):
        """A batch's rows and targets, as a plan takes them."""
        who, found = self.batches.who, self.description
        x, t = _pair(who, batch)
        x = plans.rows_of(who, x, found.entries[0])
        n = len(x)
        if n > self.trainer.batch_size:
            raise ValueError(
                f"{who} expects batches of at most {checks.plural(self.trainer.batch_size, 'row')}, as the first one "
                f"has or batch_size of what gives them says; got {n} in batch {number + 1}."
            )
        if n == 0:
            raise ValueError(f"{who} expects at least one row in each batch; got none in batch {number + 1}.")
        return x, plans.targets_of(who, self.net.loss_layer, t, n, found.n_out, found.dtype)
