"""`fit`: a network's training by epochs, and the file with which it goes on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence, Set
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks, init
from fastbp._kernels import engine
from fastbp.backend import kernels
from fastbp.optim.rule import rule_of
from fastbp.threads import MOST_THREADS
from fastbp.training import checkpoints, labels, plans
from fastbp.training.epochs import Epochs, Options, Training
from fastbp.training.history import EarlyStopping, History
from fastbp.training.ranks import Ranks
from fastbp.training.trainer import require_steps, trainer_of

if TYPE_CHECKING:
    from fastbp._typing import Array, ArrayLike, Callback, Path
    from fastbp.losses import Loss
    from fastbp.modules import Module
    from fastbp.optim.rule import Rule
    from fastbp.training.trainer import Trainer

__all__ = ["FitOptions", "fit"]

#: Rows of one evaluation of the validation set, so that it takes little memory.
EVALUATION_ROWS = 256
#: Steps below which a training is a trial, and the share of the first batch's loss above which it came to nothing.
TRIAL, NOT_FALLEN = 50, 0.98
#: Rows that are looked at where it did.
ROWS_OF_DIAGNOSIS = 128


@dataclasses.dataclass(frozen=True, kw_only=True)
class FitOptions(Options):
    """What `Sequential.fit` takes beside the data, checked; see there, also for the defaults."""

    who: str = dataclasses.field(default="fit", init=False)
    epochs: int
    optimizer: Rule
    batch_size: int
    validation_data: tuple[Any, ArrayLike] | None
    validation_split: float | None
    seed: int | None
    sample_weight: ArrayLike | None
    class_weight: plans.ClassWeight | None
    early_stopping: EarlyStopping | None
    clip_norm: float | None
    clip_value: float | None
    ema_decay: float | None
    n_threads: int | None
    checkpoint: Path | None
    every: int | None
    resume: Path | None
    rows: str
    average_every: int

    def __post_init__(self) -> None:
        who, schedule, seed = self.who, self.schedule, self.seed
        vars(self).update(
            epochs=checks.integer(who, "epochs", self.epochs, least=0),
            batch_size=32 if self.batch_size is None else checks.integer(who, "batch_size", self.batch_size, least=1),
            shuffle=checks.flag(who, "shuffle", self.shuffle),
            progress=checks.flag(who, "progress", self.progress),
            callbacks=_callables(who, self.callbacks),
            optimizer=rule_of(who, self.optimizer),
            rows=checks.choice(who, "rows", self.rows, ("all", "own")),
            average_every=checks.integer(who, "average_every", self.average_every, least=1),
        )
        if self.n_threads is not None:
            vars(self).update(n_threads=checks.integer(who, "n_threads", self.n_threads, 1, MOST_THREADS))
        if self.ema_decay is not None:
            self._check_average()
        if self.max_seconds is not None:
            seconds = checks.number(who, "max_seconds", self.max_seconds, least=0)
            vars(self).update(max_seconds=seconds)
        if schedule is not None and not callable(schedule):
            raise TypeError(f"{who} expects schedule as a function of the epochs done; got {checks.shown(schedule)}.")
        require_steps(who, self.optimizer, self.batch_size, self.clip_norm, self.clip_value)
        if self.early_stopping is not None:
            checks.instance(who, "early_stopping", self.early_stopping, EarlyStopping, "an EarlyStopping")
        if self.validation_split is not None:
            self._check_split()
        if self.every is not None and self.checkpoint is None:
            raise ValueError(f"{who} expects every with a checkpoint; got every={self.every!r} without.")
        if seed is not None:
            vars(self).update(seed=init.seed_of(who, seed))

    def _check_average(self):
        decay = checks.number(self.who, "ema_decay", self.ema_decay, least=0)
        if decay >= 1:
            raise ValueError(f"{self.who} expects ema_decay below 1, as 0.999, or None; got {decay:g}.")
        if self.average_every > 1:
            raise ValueError(
                f"{self.who} expects average_every=1 beside ema_decay, so that all ranks have the same weights after "
                f"each step; got {self.average_every}."
            )

    def _check_split(self):
        who = self.who
        share = checks.number(who, "validation_split", self.validation_split, least=0)
        if not 0 < share < 1:
            raise ValueError(f"{who} expects validation_split above 0 and below 1, or None; got {share:g}.")
        if self.validation_data is not None:
            raise ValueError(f"{who} expects validation_data or validation_split; got both.")
        if self.resume is not None and self.seed is None:
            raise ValueError(
                f"{who} expects the seed of the first training where it goes on with a validation_split, which draws "
                "its rows by it; got None: it is history.seed."
            )

    def require_monitored(self, validation: tuple[Any, Array] | None, loss_layer: Loss) -> None:
        """Refuse early stopping by a number that the history will not have."""
        monitor = None if self.early_stopping is None else self.early_stopping.monitor
        if monitor is None or callable(monitor):
            return
        if monitor.startswith("val") and validation is None:
            raise ValueError(f"{self.who} expects validation_data where early_stopping monitors {monitor}; got None.")
        if monitor.endswith("accuracy") and not loss_layer.classifies:
            raise ValueError(
                f"{self.who} expects a classification loss where early_stopping monitors {monitor}; got {loss_layer!r}."
            )


# So that Python's words for a wrong keyword name it.
FitOptions.__init__.__qualname__ = "Sequential.fit"


def fit(net: Module, x: Any, t: Any, options: dict[str, Any]) -> History:
    """Train `net` by options, a dictionary of them; see `Sequential.fit`."""
    if t is None:
        from fastbp.training import loaders

        if loaders.gives_batches(x, t):
            return loaders.fit_batches(net, x, options)
    ranks = Ranks("fit", options.pop("comm"), options["rows"])
    with ranks.together():
        training, epochs = _prepared(net, x, t, FitOptions(**options), ranks)
        epochs.run(training)
    if not ranks and training.looks_vain():
        from fastbp.diagnosis.after_fit import speak

        rows, targets = training.some_rows()
        speak(net, rows, targets, training.trainer.optimizer, training.rows.batch_size)
    return training.history


def _prepared(net, x, t, options, ranks):
    """All before the first epoch: a training, and the epochs that it goes through."""
    who = options.who
    if ranks:
        ranks.agree(_asked(options))
    loss_layer = net.loss_layer_for(who)
    description = plans.described(net, who)
    dtype, n_out = description.dtype, description.n_out
    given, x = x, plans.rows_of(who, x, description.entries[0])
    n = len(x)
    if ranks.total(n) == 0:
        raise ValueError(f"{who} expects at least one row in x; got none.")
    classes, named = net.classes, loss_layer.kind == "softmax" and labels.are_names(t)
    if ranks.meet(number=named).any():  # of which all ranks know
        found = labels.classes_of(who, t, n_out, ranks.gather)
        classes = found if classes is None else classes
        t = labels.indices_of(who, classes, t)
    t = plans.targets_of(who, loss_layer, t, n, n_out, dtype)
    weights = plans.weights_of(
        who, options.sample_weight, options.class_weight, loss_layer, t, (n, n_out), dtype, ranks.total
    )
    seed, kept, validation = options.seed, None, None
    if options.validation_split is not None:
        from fastbp.datasets.splits import held_out

        seed = ranks.tell(init.seed_of(who, seed))
        groups = t if t.ndim == 1 else np.zeros(n, np.int64)
        held = held_out(who, "validation_split", options.validation_split, groups, seed)
        kept = np.flatnonzero(~held)
        validation = (given.tocsr() if hasattr(given, "tocsr") else x)[held], t[held]
        n = len(kept)
    elif options.validation_data is not None:
        validation = validation_of(net, options.validation_data, classes, description, ranks)
    n_rows = int(ranks.total(n))
    batch_size = min(options.batch_size, n_rows)
    normalises = any(entry[0] == "batch_norm" for entry in description.entries)
    if normalises and not ranks and 1 in (batch_size, n_rows % batch_size):
        raise ValueError(
            f"{who} expects batches of at least 2 rows for batch normalisation; got a "
            f"batch of 1 with {n_rows} rows and batch_size {batch_size}."
        )
    parts, most = None, batch_size
    if ranks:
        parts = ranks.parts(n, [*range(0, n_rows, batch_size), n_rows], 2 if normalises else 1)
        most = max(1, int(np.diff(parts[:, :2]).max()))
        if normalises:
            ranks.require_several(parts)
    options.require_monitored(validation, loss_layer)
    if ranks:
        ranks.agree(_found(description, (x, t, weights), classes, validation, ranks))
    saved, file = None, None
    if options.checkpoint is not None or options.resume is not None:
        data = None if ranks.own else (x, t, weights)
        setting = _setting(options, description, data, n_rows, batch_size, validation)
        if classes is not None:
            setting["classes"] = list(classes)
        counts = ranks.counts(n)
        if options.checkpoint is not None:
            file = checkpoints.Checkpoint(options.checkpoint, options.every, setting, ranks.rank == 0, counts)
        if options.resume is not None:
            saved = ranks.tell(checkpoints.read(options.resume, setting) if ranks.rank == 0 else None)
            seed = saved.seed_of(seed)
            saved.require_epochs(options.epochs)
            saved.require_counts(counts)
    if seed is None:
        seed = ranks.tell(init.seed_of(who, None))
    # Who is not the first shows and calls nothing.
    shown = options if ranks.rank == 0 else dataclasses.replace(options, progress=False, callbacks=())
    epochs = Epochs(shown, n)
    trainer = trainer_of(
        description,
        options.optimizer,
        most,
        options.n_threads,
        seed,
        options.clip_norm,
        options.clip_value,
        ranks,
        options.average_every,
    )
    rows = Rows(x, t, weights, n_rows, batch_size, parts, kept)
    vars(net)["classes"] = classes
    return NetworkTraining(trainer, rows, validation, options, file, saved), epochs


class Rows:
    """The rows of a training, and which of them a batch has.

    Attributes
    ----------
    x, t, weights
        This rank's, as a plan takes them.
    n, batch_size : int
        Rows in all, and of a batch, on all ranks.
    parts : (n_batches, 5) numpy.ndarray or None
        Of several ranks, this one's rows of each batch of an epoch, see `Ranks.parts`.
    kept : numpy.ndarray or None
        The rows of x that are trained on, where a part of them is for validation.
    """

    x: Any
    t: Any
    weights: Array | None
    kept: Array | None
    n: int
    batch_size: int
    parts: Any

    def __init__(
        self, x: Any, t: Any, weights: Array | None, n: int, batch_size: int, parts: Array | None, kept: Array | None
    ) -> None:
        self.x, self.t, self.weights, self.kept = x, t, weights, kept
        self.n, self.batch_size, self.parts = n, batch_size, parts

    def weights_of(self, order: Array, begin: int, end: int) -> Array:
        """The weight of this rank's rows in each batch from begin to end."""
        parts = self.parts[begin:end, :2]
        if self.weights is None:
            return np.diff(parts)[:, 0].astype(np.float64)
        return np.array([self.weights[order[i:j]].sum(dtype=np.float64) for i, j in parts])


def _asked(options):
    """What all ranks have to be asked alike, as JSON has it."""
    stopping = options.early_stopping
    named = ["rows", "average_every", "epochs", "batch_size", "shuffle", "seed", "clip_norm", "clip_value", "every"]
    named += ["validation_split", "ema_decay"]
    given = ("checkpoint", "resume", "schedule", "validation_data", "sample_weight")
    return {
        **{name: getattr(options, name) for name in named},
        **{name: getattr(options, name) is not None for name in given},
        "callbacks": bool(options.callbacks),
        "class_weight": repr(options.class_weight),
        "optimizer": {"type": type(options.optimizer).__name__, **options.optimizer.numbers()},
        "early_stopping": None if stopping is None else {**stopping.config(), "patience": stopping.patience},
    }


def _found(description, data, classes, validation, ranks):
    """What of a network and of rows has to be the same on all ranks, as JSON has it."""
    x, t, weights = data
    found = {
        "dtype": description.dtype.name,
        "the network": [description.entries, description.loss],
        "x": "sparse" if isinstance(x, engine.SparseRows) else x.dtype.name,
        "t": [t.dtype.name, *t.shape[1:]],
        "classes": classes,
    }
    if ranks and not ranks.own:
        found["rows of x"] = len(x)
        found["the checksum of x, t and weights"] = checkpoints.checksum(x, t, weights)
        found["the checksum of validation_data"] = None if validation is None else checkpoints.checksum(*validation)
    return found


def _callables(who, callbacks):
    expected = f"{who} expects callbacks as a sequence of functions of (net, history); got"
    if not np.iterable(callbacks):
        cure = ": [callbacks] is one" if callable(callbacks) else ""
        raise TypeError(f"{expected} {checks.described(callbacks)}{cure}.")
    callbacks = tuple(callbacks)
    for callback in callbacks:
        if not callable(callback):
            raise TypeError(f"{expected} {checks.described(callback)} among them.")
    return callbacks


def _setting(options, description, data, n_rows, batch_size, validation):
    """What a training has to share with one that it goes on with, as JSON has it.

    Without the checksums of rows where each rank has its own: other ranks will have others.
    """
    net, dtype = description.net, description.dtype
    for name, array in plans.arrays_of(net.layers).items():
        if array.dtype.itemsize < dtype.itemsize:  # the plan's numbers would be rounded
            raise ValueError(
                f"fit expects arrays of one dtype, {dtype}, where it writes or reads a checkpoint; "
                f"got {array.dtype} in {name}."
            )
    limits = {"clip_norm": options.clip_norm, "clip_value": options.clip_value}
    stopping = options.early_stopping
    architecture = net.architecture()
    architecture.pop("classes", None)
    architecture.pop("evaluating", None)  # without effect on the layers that fit takes so
    for layer in architecture["layers"]:
        layer.pop("kept", None)  # fit has a seed of its own
        if layer["type"] == "Linear":  # which a file gives back as an Affine
            layer["type"] = "Affine"
    return {
        **architecture,
        "dtype": dtype.name,
        "optimizer": {"type": type(options.optimizer).__name__, **options.optimizer.numbers()},
        "rows": n_rows,
        "batch_size": batch_size,
        "shuffle": options.shuffle,
        **{name: None if limit is None else float(limit) for name, limit in limits.items()},
        "checksum of validation_data": None if None in (validation, data) else checkpoints.checksum(*validation),
        "early_stopping": None if stopping is None else stopping.config(),
        **({} if options.validation_split is None else {"validation_split": float(options.validation_split)}),
        **({} if options.ema_decay is None else {"ema_decay": float(options.ema_decay)}),
        "checksum of x, t and weights": None if data is None else checkpoints.checksum(*data),
    }


class NetworkTraining(Training):
    """A network's training in a `Trainer`, with its history and its file.

    Parameters
    ----------
    trainer : Trainer
    rows : Rows
    validation : (x, t) or None
    options : FitOptions
    file : checkpoints.Checkpoint or None
        Where the training is written to.
    saved : checkpoints.Saved or None
        Where it goes on from.
    """

    rows: Rows
    validation: tuple[Any, Array] | None
    early_stopping: EarlyStopping | None
    calls: bool
    file: Any
    saved: checkpoints.Saved | None
    ema_decay: float | None

    net: Module
    trainer: Trainer
    ranks: Ranks | None
    averages: bool
    at: checkpoints.Progress
    whole: bool

    def __init__(
        self,
        trainer: Trainer,
        rows: Rows,
        validation: tuple[Any, Array] | None,
        options: FitOptions,
        file: checkpoints.Checkpoint | None,
        saved: checkpoints.Saved | None,
    ) -> None:
        self.net, self.trainer, self.ranks = trainer.net, trainer, trainer.ranks
        self.rows, self.validation = rows, validation
        self.early_stopping, self.calls = options.early_stopping, bool(options.callbacks)
        self.averages = trainer.ranks is not None and options.average_every > 1
        self.file, self.saved, self.ema_decay = file, saved, options.ema_decay
        self.history: History = History(seed=trainer.seed)
        self.at = checkpoints.Progress(0, math.ceil(rows.n / rows.batch_size))  # no batch where they are made elsewhere
        self.whole = False  # whether `at` is where the arrays are

    def begin(self, epochs: Epochs) -> None:
        if self.early_stopping is not None:
            self.early_stopping.start()
        if self.ema_decay is not None:
            self.trainer.keep_averages(self.ema_decay)
        if self.saved is not None:
            self.at = self.saved.restore(self.trainer, self.history, self.early_stopping, len(self.at.losses))
        self.whole = True
        vars(self.net)["history"] = self.history
        epochs.done = self.at.epoch
        if self.rows.kept is not None:
            epochs.order[:] = self.rows.kept
        stopping = self.early_stopping
        if stopping is not None and len(self.history) and stopping.is_over(self.history):
            epochs.stopped_by = "early_stopping"

    def shuffle(self, order: Array, epoch: int) -> None:
        kernels().epoch_order(order, self.trainer.seed, epoch)
        if self.rows.kept is not None:
            order[:] = self.rows.kept[order]

    def train(self, epochs: Epochs) -> bool:
        """The rest of an epoch, into the history."""
        trainer, at, n_batches = self.trainer, self.at, len(self.at.losses)
        lrs = epochs.rates(trainer.optimizer.lr, at.epoch, n_batches)
        while True:
            stop = n_batches if self.file is None else min(n_batches, self.file.next_due(at))
            self._steps(epochs, stop, lrs)
            done = self._batches_done()
            if trainer.stopped_by_loss:
                self._diverged(done)
            if done == n_batches:
                break
            if self.file is not None:
                self.write()
            if done < stop:
                break
        if done:
            self._record(at.losses[:done], *at.reached[1:].tolist())
        else:  # no time for a single batch
            epochs.stopped_by = "max_seconds"
        self.whole = done == n_batches
        return self.whole

    def _diverged(self, batch):
        """The error of a batch whose loss, or update, is not finite: of several ranks all raise."""
        trainer, losses = self.trainer, self.at.losses
        loss = losses[batch] if batch < len(losses) else math.nan
        error: Any = None
        if self.ranks is None or trainer.to_blame:
            n = min(self.rows.batch_size, self.rows.n - self.at.position)
            if self.ranks is not None:
                n = int(np.diff(self.rows.parts[min(batch, len(losses) - 1), :2])[0])
            when = f"epoch {self.at.epoch + 1}, batch {batch + 1}"
            error = trainer.diverged(loss, trainer.first_non_finite(n), when)
        if self.ranks is None:
            raise error
        self.ranks.part(error)

    def _batches_done(self):
        return -(-self.at.position // self.rows.batch_size)

    def _steps(self, epochs, stop, lrs):
        """Go on to the batch `stop` of this epoch, or to where the time is over."""
        rows, at, seconds = self.rows, self.at, epochs.seconds_left()
        if self.ranks is None:
            order = epochs.order[: rows.batch_size * stop]
            self.trainer.epoch(rows.x, rows.t, rows.weights, order, at.losses, at.reached, lrs, seconds)
            return
        begin = self._batches_done()
        losses, reached = at.losses, at.reached
        if self.averages:  # what each rank does of its own is added up behind
            self.whole = False
            losses, reached = losses.copy(), np.array([at.position, 0.0, 0.0, 0.0])
        self.trainer.epoch(
            rows.x,
            rows.t,
            rows.weights,
            epochs.order,
            losses,
            reached,
            lrs,
            seconds if self.ranks.rank == 0 else math.inf,
            parts=rows.parts[:stop],
        )
        if self.trainer.stopped_by_loss:
            at.losses[:], at.reached[0] = losses, reached[0]
            return
        if self.averages:
            at.reached[0] = reached[0]
            end = self._batches_done()
            weights = rows.weights_of(epochs.order, begin, end)
            at.losses[begin:end] = losses[begin:end]
            self.ranks.mean_losses(at.losses[begin:end], weights)
            at.reached[1:] += self.ranks.sum(reached[1:])
            self.whole = True
        self.ranks.average_statistics(self.trainer, len(epochs.order))

    def _record(self, losses, loss, correct, weight):
        history, loss_layer = self.history, self.net.loss_layer
        history.batch_loss.append(losses)
        history.train_loss.append(loss / weight if weight else 0.0)
        if loss_layer.classifies:
            per_row = 1 if loss_layer.kind == "softmax" else self.trainer.n_out
            history.train_accuracy.append(correct / (weight * per_row) if weight else 0.0)
        history.lr.append(self.trainer.lr)

    def look(self) -> None:
        if self.ranks is not None:
            self.ranks.require_same(self.trainer)
        if self.validation is not None:
            x, t = self.validation
            with self._averaged():
                _validate(self.net, self.history, x, t, self.ranks)
        self.history.seconds.append(self.at.seconds)

    def _averaged(self):
        """Within it the network has the averages of its parameters, where these are kept."""
        trainer = self.trainer
        return trainer.averaged() if trainer.averages_begun and not trainer.closed else nullcontext()

    def text(self) -> str:
        names = {
            "train_loss": "loss",
            "train_accuracy": "accuracy",
            "val_loss": "val_loss",
            "val_accuracy": "val_accuracy",
        }
        return ", ".join(
            f"{short} {getattr(self.history, name)[-1]:.4f}"
            for name, short in names.items()
            if getattr(self.history, name)
        )

    def verdict(self) -> str | None:
        stopping = self.early_stopping
        if stopping is None:
            return None
        with self._averaged():
            over = stopping.should_stop(self.net, self.history, self._own_score(stopping))
        return "early_stopping" if over else None

    def _own_score(self, stopping):
        """What a user's function makes of the network, where it is one that decides."""
        if not callable(stopping.monitor):
            return None
        with self.ranks.listening() if self.ranks else nullcontext():
            score = checks.number(
                "fit", "what early_stopping's monitor returns", stopping.monitor(self.net), finite=False
            )
        return self.ranks.tell(score) if self.ranks else score

    def call(self, callback: Callback) -> bool | None:
        trainer = self.trainer
        trainer.fetch()
        with self.ranks.listening() if self.ranks else nullcontext():
            returned = callback(self.net, self.history)
        ends = checks.flag("fit", "what a callback returns", returned, or_none=True)
        if trainer.changes == trainer.synced and not trainer.closed:
            trainer.reload_states()  # what it wrote; parameters are taken by the next step
        return ends

    def agreed(self, stop: str | None) -> str | None:
        if self.ranks is None:
            self.history.seconds[-1] = self.at.seconds
            return stop
        self.whole = not self.calls  # a file of now would have them called again
        stop, self.history.seconds[-1] = self.ranks.tell((stop, self.at.seconds))
        if self.calls:
            self._follow_first(self.ranks)
        return stop

    def _follow_first(self, ranks):
        """Take what the first rank's callbacks wrote."""
        trainer, groups = self.trainer, self.trainer.optimizer.param_groups
        entries, _ = plans.entries_of(self.net)
        own = [entries, plans.loss_of(self.net, entries[-1][2])]
        options = [{name: value for name, value in group.items() if name != "params"} for group in groups]
        theirs, options, lr = ranks.tell((own, options, trainer.lr))
        if theirs != own:
            raise ValueError(
                "fit expects callbacks that change parameters, states and options of the optimiser, which the other "
                "ranks follow; got one that changed a layer or the loss on rank 0, so change it in a callback on one "
                "rank, or between two calls of fit."
            )
        trainer.fetch()
        ranks.share_arrays(trainer.arrays().values())
        if ranks.rank:
            for group, theirs in zip(groups, options, strict=True):
                group.update(theirs)
            trainer.reload_states()
            trainer.lr = lr

    def end_epoch(self, whole: bool, last: bool) -> None:
        if not whole:
            return
        n_batches = len(self.at.losses)
        self.at = checkpoints.Progress(self.at.epoch + 1, n_batches)
        self.whole = True
        due = self.at.epoch * n_batches
        if self.file is not None and (last or self.file.is_due(due, n_batches)):
            self.write()

    def write(self) -> None:
        self.file.write(self.trainer, self.history, self.at, self.early_stopping)

    def takes(self, error: BaseException) -> bool:
        if self.ranks is not None:
            self.ranks.leave(error)
        asked = isinstance(error, KeyboardInterrupt | SystemExit)
        if asked and self.file is not None and self.whole:  # of several ranks all are here
            self.write()
        return False

    def looks_vain(self) -> bool:
        """Whether the losses alone make one ask what is wrong: they have not fallen, or are those of guessing."""
        history, rows = self.history, self.rows
        steps = sum(map(len, history.batch_loss))
        if steps < TRIAL or len(history) < 2 or rows.weights is not None or isinstance(rows.x, engine.SparseRows):
            return False
        last, softmax = history.train_loss[-1], self.net.loss_layer.kind == "softmax"
        guess = math.log(self.trainer.n_out) if softmax else math.inf
        return not last < NOT_FALLEN * min(history.batch_loss[0][0], guess)

    def some_rows(self) -> tuple[Array, Array]:
        """A few rows that it was trained on, and their targets: drawn, as classes may follow each other in turn."""
        rows = self.rows
        places = np.arange(len(rows.x)) if rows.kept is None else rows.kept
        if len(places) > ROWS_OF_DIAGNOSIS:
            places = np.sort(np.random.default_rng(0).choice(places, ROWS_OF_DIAGNOSIS, replace=False))
        return rows.x[places], rows.t[places]

    def close(self, stopped_by: str) -> None:
        self.history.stopped_by = stopped_by
        trainer = self.trainer
        if not trainer.closed:
            trainer.close()
            if trainer.averages_begun:
                trainer.give_averages()
        if self.early_stopping is not None:
            self.early_stopping.restore(self.net)


# --- validation -----------------------------------------------------------------------------


def validation_of(
    net: Module, data: Any, classes: Sequence[str] | None, description: plans.Description, ranks: Ranks
) -> tuple[Any, Array]:
    """The rows and targets of `validation_data`, of whose texts the network has the `classes`."""
    try:
        if isinstance(data, Mapping | Set):  # whose elements are keys, or in no order
            raise TypeError
        x, t = data
    except (TypeError, ValueError):
        several = isinstance(data, tuple | list)
        came = checks.plural(len(data), "value") if several else type(data).__name__
        raise ValueError(f"fit expects validation_data as a pair (x, t); got {came}.") from None
    rows = plans.rows_of("validation_data", x, description.entries[0])
    n = len(rows)
    if ranks.total(n) == 0:
        raise ValueError("fit expects at least one row in validation_data; got none.")
    if net.loss_layer.kind == "softmax" and labels.are_names(t):
        t = labels.indices_of("validation_data", classes, t)
    t = plans.targets_of("validation_data", net.loss_layer, t, n, description.n_out, description.dtype)
    return (x.tocsr() if hasattr(x, "tocsr") else rows), t


def _dense(net, x):
    """Some rows as `predict` takes them: sparse ones stay so where an affine layer comes first."""
    first = next(filter(None, (layer.kind for layer in net.layers)))
    return x.toarray() if hasattr(x, "tocsr") and first != "affine" else x


def _validate(net, history, x, t, ranks=None):
    """Loss and accuracy of the validation set, some rows at a time; of several ranks each a share."""
    sums = np.zeros(3)  # of the loss, of what is classified rightly, of the rows
    loss_layer, n = net.loss_layer, x.shape[0]
    share = slice(0, n) if ranks is None else ranks.share(n)
    for start in range(share.start, share.stop, EVALUATION_ROWS):
        part = slice(start, min(start + EVALUATION_ROWS, share.stop))
        y = net.predict(_dense(net, x[part]))
        sums[0] += loss_layer.evaluate_taken(y, t[part]) * len(y)
        if loss_layer.classifies:
            sums[1] += loss_layer.accuracy(y, t[part]) * len(y)
        sums[2] += len(y)
    if ranks is not None:
        sums = ranks.sum(sums)
    loss, correct, n = sums.tolist()
    history.val_loss.append(loss / n)
    if loss_layer.classifies:
        history.val_accuracy.append(correct / n)
