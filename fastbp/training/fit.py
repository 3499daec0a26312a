"""`fit`: a network's training by epochs, and the file with which it goes on."""

import dataclasses
import math
from collections.abc import Mapping, Set
from typing import Any

import numpy as np

from fastbp import checks, init
from fastbp.backend import kernels
from fastbp.training import checkpoints, plans
from fastbp.training.epochs import Epochs, Options, Training
from fastbp.training.history import EarlyStopping, History
from fastbp.training.trainer import require_steps, trainer_of

__all__ = ["FitOptions", "fit"]

#: Rows of one evaluation of the validation set, so that it takes little memory.
EVALUATION_ROWS = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class FitOptions(Options):
    """What `Sequential.fit` takes beside the data, checked; see there."""

    who: str = dataclasses.field(default="fit", init=False)
    optimizer: Any
    batch_size: int = 32
    validation_data: Any = None
    seed: Any = None
    sample_weight: Any = None
    class_weight: Any = None
    early_stopping: EarlyStopping | None = None
    clip_norm: float | None = None
    clip_value: float | None = None
    n_threads: int | None = None
    checkpoint: Any = None
    every: int | None = None
    resume: Any = None

    def __post_init__(self):
        who, schedule, seed = self.who, self.schedule, self.seed
        vars(self).update(
            epochs=checks.integer(who, "epochs", self.epochs, least=0),
            batch_size=checks.integer(who, "batch_size", self.batch_size, least=1),
            shuffle=checks.flag(who, "shuffle", self.shuffle),
            progress=checks.flag(who, "progress", self.progress),
            callbacks=_callables(who, self.callbacks),
        )
        if self.max_seconds is not None:
            seconds = checks.number(who, "max_seconds", self.max_seconds, least=0)
            vars(self).update(max_seconds=seconds)
        if schedule is not None and not callable(schedule):
            raise TypeError(f"{who} expects schedule as a function of the epochs done; got {checks.shown(schedule)}.")
        require_steps(who, self.optimizer, self.batch_size, self.clip_norm, self.clip_value)
        if self.early_stopping is not None:
            checks.instance(who, "early_stopping", self.early_stopping, EarlyStopping, "an EarlyStopping")
        if self.every is not None and self.checkpoint is None:
            raise ValueError(f"{who} expects every with a checkpoint; got every={self.every!r} without.")
        if seed is not None or self.resume is None:  # else it is the file's
            vars(self).update(seed=init.seed_of(who, seed))


# So that Python's words for a wrong keyword name it.
FitOptions.__init__.__qualname__ = "Sequential.fit"


def fit(net, x, t, options):
    """Train `net`; see `Sequential.fit`."""
    who = options.who
    loss_layer = net.loss_layer_for(who)
    description = plans.described(net, who)
    dtype, n_in, n_out = description.dtype, description.n_in, description.n_out
    x = plans.rows_of(who, x, n_in, dtype)
    n = len(x)
    if n == 0:
        raise ValueError(f"{who} expects at least one row in x; got none.")
    t = plans.targets_of(who, loss_layer, t, n, n_out, dtype)
    weights = plans.weights_of(who, options.sample_weight, options.class_weight, loss_layer, t, (n, n_out), dtype)
    batch_size = _batch_size_of(options, description.entries, n)
    validation = None
    if options.validation_data is not None:
        validation = _validation_of(net, options.validation_data, n_in, n_out, dtype)
    _require_monitored(options, validation, loss_layer)
    seed, saved, file = options.seed, None, None
    if options.checkpoint is not None or options.resume is not None:
        setting = _setting(options, description, x, t, weights, batch_size, validation)
        if options.checkpoint is not None:
            file = checkpoints.Checkpoint(options.checkpoint, options.every, setting)
        if options.resume is not None:
            saved = checkpoints.read(options.resume, setting)
            seed = saved.seed_of(seed)
            saved.require_epochs(options.epochs)
    epochs = Epochs(options, n)
    trainer = trainer_of(
        description, options.optimizer, batch_size, options.n_threads, seed, options.clip_norm, options.clip_value
    )
    training = NetworkTraining(trainer, (x, t, weights), validation, options, file, saved)
    epochs.run(training)
    return training.history


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


def _batch_size_of(options, entries, n):
    """The rows of a batch, no more than there are."""
    batch_size = min(options.batch_size, n)
    if 1 in (batch_size, n % batch_size) and any(entry[0] == "batch_norm" for entry in entries):
        raise ValueError(
            f"{options.who} expects batches of at least 2 rows for batch normalisation; got a "
            f"batch of 1 with {n} rows and batch_size {batch_size}."
        )
    return batch_size


def _require_monitored(options, validation, loss_layer):
    """Refuse early stopping by a number that the history will not have."""
    if options.early_stopping is None:
        return
    monitor = options.early_stopping.monitor
    if monitor.startswith("val") and validation is None:
        raise ValueError(f"{options.who} expects validation_data where early_stopping monitors {monitor}; got None.")
    if monitor.endswith("accuracy") and not loss_layer.classifies:
        raise ValueError(
            f"{options.who} expects a classification loss where early_stopping monitors {monitor}; got {loss_layer!r}."
        )


def _setting(options, description, x, t, weights, batch_size, validation):
    """What a training has to share with one that it goes on with, as JSON has it."""
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
    architecture.pop("evaluating", None)  # without effect on the layers that fit takes so
    for layer in architecture["layers"]:
        layer.pop("kept", None)  # fit has a seed of its own
        if layer["type"] == "Linear":  # which a file gives back as an Affine
            layer["type"] = "Affine"
    return {
        **architecture,
        "dtype": dtype.name,
        "optimizer": {"type": type(options.optimizer).__name__, **options.optimizer.numbers()},
        "rows": len(x),
        "batch_size": batch_size,
        "shuffle": options.shuffle,
        **{name: None if limit is None else float(limit) for name, limit in limits.items()},
        "checksum of validation_data": (None if validation is None else checkpoints.checksum(*validation)),
        "early_stopping": None if stopping is None else stopping.config(),
        "checksum of x, t and weights": checkpoints.checksum(x, t, weights),
    }


class NetworkTraining(Training):
    """A network's training in a `Trainer`, with its history and its file.

    Parameters
    ----------
    trainer : Trainer
    data : (x, t, weights)
        As a plan takes them.
    validation : (x, t) or None
    options : FitOptions
    file : checkpoints.Checkpoint or None
        Where the training is written to.
    saved : checkpoints.Saved or None
        Where it goes on from.
    """

    def __init__(self, trainer, data, validation, options, file, saved):
        self.net, self.trainer = trainer.net, trainer
        self.data, self.validation = data, validation
        self.early_stopping = options.early_stopping
        self.file, self.saved = file, saved
        self.history = History(seed=trainer.seed)
        self.at = checkpoints.Progress(0, math.ceil(len(data[0]) / trainer.batch_size))
        self.whole = False  # whether `at` is where the arrays are

    def begin(self, epochs):
        if self.early_stopping is not None:
            self.early_stopping.start()
        if self.saved is not None:
            self.at = self.saved.restore(self.trainer, self.history, self.early_stopping, len(self.at.losses))
        self.whole = True
        vars(self.net)["history"] = self.history
        epochs.done = self.at.epoch
        stopping = self.early_stopping
        if stopping is not None and len(self.history) and stopping.is_over(self.history):
            epochs.stopped_by = "early_stopping"

    def shuffle(self, order, epoch):
        kernels().epoch_order(order, self.trainer.seed, epoch)

    def train(self, epochs):
        """The rest of an epoch, into the history."""
        trainer, at, order = self.trainer, self.at, epochs.order
        batch_size, n_batches = trainer.batch_size, len(at.losses)
        lrs = epochs.rates(trainer.optimizer.lr, at.epoch, n_batches)
        while True:
            stop = len(order)
            if self.file is not None:
                stop = min(stop, batch_size * self.file.next_due(at, batch_size))
            position, *sums = trainer.epoch(*self.data, order[:stop], at.losses, at.reached, lrs, epochs.seconds_left())
            done = -(-position // batch_size)
            if position < stop and trainer.stopped_by_loss:
                rows = min(batch_size, stop - position)
                when = f"epoch {at.epoch + 1}, batch {done + 1}"
                raise trainer.diverged(at.losses[done], trainer.first_non_finite(rows), when)
            if position == len(order):
                break
            if self.file is not None:
                self.write()
            if position < stop:
                break
        if done:
            self._record(at.losses[:done], *sums)
        else:  # no time for a single batch
            epochs.stopped_by = "max_seconds"
        self.whole = done == n_batches
        return self.whole

    def _record(self, losses, loss, correct, weight):
        history, loss_layer = self.history, self.net.loss_layer
        history.batch_loss.append(losses)
        history.train_loss.append(loss / weight if weight else 0.0)
        if loss_layer.classifies:
            per_row = 1 if loss_layer.kind == "softmax" else self.trainer.n_out
            history.train_accuracy.append(correct / (weight * per_row) if weight else 0.0)
        history.lr.append(self.trainer.lr)

    def look(self):
        if self.validation is not None:
            _validate(self.net, self.history, *self.validation)
        self.history.seconds.append(self.at.seconds)

    def text(self):
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

    def verdict(self):
        stopping = self.early_stopping
        if stopping is not None and stopping.should_stop(self.net, self.history):
            return "early_stopping"
        return None

    def call(self, callback):
        trainer = self.trainer
        trainer.fetch()
        returned = callback(self.net, self.history)
        ends = checks.flag("fit", "what a callback returns", returned, or_none=True)
        if trainer.changes == trainer.synced and not trainer.closed:
            trainer.reload_states()  # what it wrote; parameters are taken by the next step
        return ends

    def end_epoch(self, whole, last):
        self.history.seconds[-1] = self.at.seconds
        if not whole:
            return
        n_batches = len(self.at.losses)
        self.at = checkpoints.Progress(self.at.epoch + 1, n_batches)
        due = self.at.epoch * n_batches
        if self.file is not None and (last or self.file.is_due(due, n_batches)):
            self.write()

    def write(self):
        self.file.write(self.trainer, self.history, self.at, self.early_stopping)

    def takes(self, error):
        asked = isinstance(error, KeyboardInterrupt | SystemExit)
        if asked and self.file is not None and self.whole:
            self.write()
        return False

    def close(self, stopped_by):
        self.history.stopped_by = stopped_by
        self.trainer.close()
        if self.early_stopping is not None:
            self.early_stopping.restore(self.net)


# --- validation -----------------------------------------------------------------------------


def _validation_of(net, data, n_in, n_out, dtype):
    try:
        if isinstance(data, Mapping | Set):  # whose elements are keys, or in no order
            raise TypeError
        x, t = data
    except (TypeError, ValueError):
        several = isinstance(data, tuple | list)
        came = checks.plural(len(data), "value") if several else type(data).__name__
        raise ValueError(f"fit expects validation_data as a pair (x, t); got {came}.") from None
    rows = plans.rows_of("validation_data", x, n_in, dtype)
    n = len(rows)
    if n == 0:
        raise ValueError("fit expects at least one row in validation_data; got none.")
    t = plans.targets_of("validation_data", net.loss_layer, t, n, n_out, dtype)
    return (x.tocsr() if hasattr(x, "tocsr") else rows), t


def _dense(net, x):
    """Some rows as `predict` takes them: sparse ones stay so where an affine layer comes first."""
    first = next(filter(None, (layer.kind for layer in net.layers)))
    return x.toarray() if hasattr(x, "tocsr") and first != "affine" else x


def _validate(net, history, x, t):
    """Loss and accuracy of the validation set, some rows at a time."""
    loss = correct = 0.0
    loss_layer = net.loss_layer
    n = x.shape[0]
    for start in range(0, n, EVALUATION_ROWS):
        part = slice(start, start + EVALUATION_ROWS)
        y = net.predict(_dense(net, x[part]))
        rows = len(y)
        loss += loss_layer.evaluate(y, t[part]) * rows
        if loss_layer.classifies:
            correct += loss_layer.accuracy(y, t[part]) * rows
    history.val_loss.append(loss / n)
    if loss_layer.classifies:
        history.val_accuracy.append(correct / n)
