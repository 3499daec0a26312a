"""`fit`: epochs of a network's training, their ends, and the file with which they go on."""

import math
import time
from collections.abc import Mapping, Set

import numpy as np

from fastbp import checkpoints, checks, init, plans
from fastbp.backend import kernels
from fastbp.history import EarlyStopping, History
from fastbp.optim import Optimizer
from fastbp.progress import progress_bar
from fastbp.trainer import Trainer

__all__ = ["fit"]

#: Rows of one evaluation of the validation set, so that it takes little memory.
EVALUATION_ROWS = 256


def fit(
    net, x, t, *, epochs, optimizer, batch_size=32, validation_data=None, shuffle=True, seed=None,
    sample_weight=None, class_weight=None, schedule=None, early_stopping=None, clip_norm=None,
    clip_value=None, callbacks=(), progress=False, max_seconds=None, n_threads=None,
    checkpoint=None, every=None, resume=None,
):  # fmt: skip
    """Train `net`; see `Sequential.fit`."""
    who = "fit"
    loss_layer = net.loss_layer_for(who)
    plans.require_own(who, "a loss", loss_layer, plans.LOSSES)
    loss_layer.follow()
    epochs = checks.integer(who, "epochs", epochs, least=0)
    batch_size = checks.integer(who, "batch_size", batch_size, least=1)
    shuffle = checks.flag(who, "shuffle", shuffle)
    progress = checks.flag(who, "progress", progress)
    if max_seconds is not None:
        max_seconds = checks.number(who, "max_seconds", max_seconds, least=0)
    entries, _ = plans.entries_of(net)
    dtype, n_in, n_out = plans.dtype_of(net), entries[0][1], entries[-1][2]
    x = plans.rows_of(who, x, n_in, dtype)
    n = len(x)
    if n == 0:
        raise ValueError(f"{who} expects at least one row in x; got none.")
    t = plans.targets_of(who, loss_layer, t, n, n_out, dtype)
    weights = plans.weights_of(who, sample_weight, class_weight, loss_layer, t, (n, n_out), dtype)
    batch_size = min(batch_size, n)
    if 1 in (batch_size, n % batch_size) and any(entry[0] == "batch_norm" for entry in entries):
        raise ValueError(
            f"{who} expects batches of at least 2 rows for batch normalisation; got a batch of 1 "
            f"with {n} rows and batch_size {batch_size}."
        )
    if validation_data is not None:
        validation_data = _validation_of(net, validation_data, n_in, n_out, dtype)
    if early_stopping is not None:
        checks.instance(who, "early_stopping", early_stopping, EarlyStopping, "an EarlyStopping")
        if early_stopping.monitor.startswith("val") and validation_data is None:
            raise ValueError(
                f"{who} expects validation_data where early_stopping monitors "
                f"{early_stopping.monitor}; got None."
            )
        if early_stopping.monitor.endswith("accuracy") and not loss_layer.classifies:
            raise ValueError(
                f"{who} expects a classification loss where early_stopping monitors "
                f"{early_stopping.monitor}; got {loss_layer!r}."
            )
    callbacks = _callables(who, callbacks)
    if schedule is not None and not callable(schedule):
        raise TypeError(
            f"{who} expects schedule as a function of the epochs done; got "
            f"{checks.shown(schedule)}."
        )
    seed = None if seed is None and resume is not None else init.seed_of(who, seed)
    if every is not None and checkpoint is None:
        raise ValueError(f"{who} expects every with a checkpoint; got every={every!r} without.")
    saved = file = None
    if checkpoint is not None or resume is not None:
        setting = _setting(
            net, optimizer, dtype, x, t, weights, batch_size, shuffle, clip_norm, clip_value,
            validation_data, early_stopping,
        )  # fmt: skip
        if checkpoint is not None:
            file = checkpoints.Checkpoint(checkpoint, every, setting)
        if resume is not None:
            saved = checkpoints.read(resume, setting)
            seed = saved.seed_of(seed)
            saved.require_epochs(epochs)
    bar = progress_bar(who, epochs) if progress else None
    trainer = Trainer(net, optimizer, batch_size, n_threads, seed, clip_norm, clip_value)
    if early_stopping is not None:
        early_stopping.start()
    history = History(seed=seed)
    deadline = None if max_seconds is None else time.monotonic() + max_seconds
    n_batches = math.ceil(n / batch_size)
    order = np.arange(n, dtype=np.int64)
    at = checkpoints.Progress(0, n_batches)
    whole = False  # whether `at` is where the arrays are
    try:
        if saved is not None:
            at = saved.restore(trainer, history, early_stopping, n_batches)
        whole = True
        vars(net)["history"] = history
        if bar is not None:
            bar.update(at.epoch)
        if early_stopping is not None and len(history) and early_stopping.is_over(history):
            history.stopped_by = "early_stopping"
            return history
        while at.epoch < epochs:
            epoch = at.epoch
            if shuffle:
                kernels().epoch_order(order, seed, epoch)
            whole = _train_epoch(
                trainer, history, x, t, weights, order, at, schedule, deadline, file,
                early_stopping,
            )  # fmt: skip
            if validation_data is not None and len(history) > epoch:
                _validate(net, history, *validation_data)
            if len(history) == epoch:  # no time for a single batch
                history.stopped_by = "max_seconds"
                break
            history.seconds.append(at.seconds)
            if bar is not None:
                bar.set_postfix_str(_postfix(history))
                bar.update()
            stop = _after_epoch(net, trainer, history, early_stopping, callbacks)
            history.seconds[-1] = at.seconds
            if not whole or (deadline is not None and time.monotonic() >= deadline):
                stop = stop or "max_seconds"
            if whole:
                at = checkpoints.Progress(epoch + 1, n_batches)
                last = stop or at.epoch == epochs
                if file is not None and (last or file.is_due(at.epoch * n_batches, n_batches)):
                    file.write(trainer, history, at, early_stopping)
            if stop:
                history.stopped_by = stop
                break
    except BaseException as error:
        history.stopped_by = "interrupt" if isinstance(error, KeyboardInterrupt) else "error"
        if file is not None and whole and isinstance(error, KeyboardInterrupt | SystemExit):
            file.write(trainer, history, at, early_stopping)
        raise
    finally:
        trainer.close()
        if early_stopping is not None:
            early_stopping.restore(net)
        if bar is not None:
            bar.close()
    return history


def _setting(
    net, optimizer, dtype, x, t, weights, batch_size, shuffle, clip_norm, clip_value,
    validation_data, early_stopping,
):  # fmt: skip
    """What a training has to share with one that it goes on with, as JSON has it."""
    for name, array in plans.arrays_of(net.layers).items():
        if array.dtype.itemsize < dtype.itemsize:  # the plan's numbers would be rounded
            raise ValueError(
                f"fit expects arrays of one dtype, {dtype}, where it writes or reads a checkpoint; "
                f"got {array.dtype} in {name}."
            )
    checks.instance("fit", "optimizer", optimizer, Optimizer, "an optimiser, as SGD(lr=0.1)")
    plans.require_own("fit", "an optimiser", optimizer, plans.OPTIMIZERS)
    clips = {
        name: None if limit is None else checks.number("fit", name, limit, least=0)
        for name, limit in (("clip_norm", clip_norm), ("clip_value", clip_value))
    }
    architecture = net.architecture()
    architecture.pop("evaluating", None)  # without effect on the layers that fit takes so
    for layer in architecture["layers"]:
        layer.pop("kept", None)  # fit has a seed of its own
        if layer["type"] == "Linear":  # which a file gives back as an Affine
            layer["type"] = "Affine"
    return {
        **architecture,
        "dtype": dtype.name,
        "optimizer": {"type": type(optimizer).__name__, **optimizer.numbers()},
        "rows": len(x),
        "batch_size": batch_size,
        "shuffle": shuffle,
        **clips,
        "checksum of validation_data": (
            None if validation_data is None else checkpoints.checksum(*validation_data)
        ),
        "early_stopping": None if early_stopping is None else early_stopping.config(),
        "checksum of x, t and weights": checkpoints.checksum(x, t, weights),
    }


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


def _train_epoch(
    trainer, history, x, t, weights, order, at, schedule, deadline, file, early_stopping
):  # fmt: skip
    """The rest of an epoch into the history; False where the deadline cut it short."""
    batch_size, n_batches, epoch = trainer.batch_size, len(at.losses), at.epoch
    lrs = None
    if schedule is not None:
        lrs = trainer.optimizer.lr * np.array(
            [
                checks.number("fit", "the schedule's factor", schedule(epoch + k / n_batches), 0)
                for k in range(n_batches)
            ]
        )
    while True:
        stop = len(order)
        if file is not None:
            stop = min(stop, batch_size * file.next_due(at, batch_size))
        seconds = math.inf if deadline is None else deadline - time.monotonic()
        position, loss, correct, weight = trainer.epoch(
            x, t, weights, order[:stop], at.losses, at.reached, lrs, seconds
        )
        if position < stop and trainer.stopped_by_loss:
            done = position // batch_size
            rows = min(batch_size, stop - position)
            when = f"epoch {epoch + 1}, batch {done + 1}"
            raise trainer.diverged(at.losses[done], trainer.first_non_finite(rows), when)
        if position == len(order):
            done = n_batches
            break
        if file is not None:
            file.write(trainer, history, at, early_stopping)
        if position < stop:
            done = position // batch_size
            break
    if done == 0:
        return False
    loss_layer = trainer.net.loss_layer
    history.batch_loss.append(at.losses[:done])
    history.train_loss.append(loss / weight if weight else 0.0)
    if loss_layer.classifies:
        per_row = 1 if loss_layer.kind == "softmax" else trainer.n_out
        history.train_accuracy.append(correct / (weight * per_row) if weight else 0.0)
    history.lr.append(trainer.lr)
    return done == n_batches


def _after_epoch(net, trainer, history, early_stopping, callbacks):
    """Why training ends after this epoch, or None."""
    if early_stopping is not None and early_stopping.should_stop(net, history):
        return "early_stopping"
    for callback in callbacks:
        trainer.fetch()
        stop = checks.flag("fit", "what a callback returns", callback(net, history), or_none=True)
        if trainer.changes == trainer.synced and not trainer.closed:
            trainer.reload_states()  # what it wrote; parameters are taken by the next step
        if stop:
            return "callback"
    return None


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


def _postfix(history):
    names = {"train_loss": "loss", "train_accuracy": "accuracy", "val_loss": "val_loss",
             "val_accuracy": "val_accuracy"}  # fmt: skip
    return ", ".join(
        f"{short} {getattr(history, name)[-1]:.4f}"
        for name, short in names.items()
        if getattr(history, name)
    )
