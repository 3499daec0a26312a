"""Checkpoints of `fit`: one file with all that a training needs to go on as if never stopped."""

from __future__ import annotations

import dataclasses
import math
import os
import reprlib
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks, files

if TYPE_CHECKING:
    from fastbp._typing import Array, Path
    from fastbp.training.history import EarlyStopping, History
    from fastbp.training.trainer import Trainer

__all__ = ["AVERAGE", "KEY", "Checkpoint", "Progress", "checksum", "difference", "is_another_file", "read"]

#: The key of the metadata, beside the network's own.
KEY = "fastbp.checkpoint"
#: What the names of averages begin with.
AVERAGE = "average."
#: 2: the orders of the epochs come from `epoch_order`; 1: from NumPy's generator.
_VERSION = 2
#: The lists of a history that have a number per epoch.
_PER_EPOCH = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "lr", "seconds")
#: About how many rows of x `checksum` reads.
_ROWS_READ = 1024


class Progress:
    """Where a training is: so many whole epochs, and a part of the next one.

    Attributes
    ----------
    epoch : int
        Whole epochs done, validation and callbacks included.
    reached : (4,) numpy.ndarray
        What `Plan.epoch` has done of the next one: the position, and the sums until there.
    losses : (n_batches,) numpy.ndarray
        Of its batches; NaN where not done.
    """

    def __init__(self, epoch: int, n_batches: int, seconds: float = 0.0) -> None:
        self.epoch = epoch
        self.reached: Array = np.zeros(4)
        self.losses: Array = np.full(n_batches, np.nan)
        self._begun = time.perf_counter() - seconds

    @property
    def position(self) -> int:
        """Rows done in this epoch."""
        return int(self.reached[0])

    @property
    def seconds(self) -> float:
        """Spent on this epoch."""
        return time.perf_counter() - self._begun


def checksum(x: Any, t: Array, weights: Array | None = None) -> int:
    """A number that tells data from other data: of t, the weights and about 1000 rows of x."""
    if hasattr(x, "indptr"):  # SparseRows, or SciPy's
        apart = max(1, len(x.data) // _ROWS_READ)
        parts = [x.indptr, x.data[::apart], x.indices[::apart]]
    else:
        parts = [x[:: max(1, len(x) // _ROWS_READ)]]
    return files.crc32(*parts, t, *([] if weights is None else [weights]))


# --- writing --------------------------------------------------------------------------------


class Checkpoint:
    """The file of a training.

    Parameters
    ----------
    path : str or os.PathLike
    every : int or None
        Steps from one writing to the next; None writes after each epoch.
    setting : dict
        What another training has to share to go on from the file, as JSON has it.
    writes : bool
        Whether this rank does; of several ranks one does.
    counts : list of int or None
        How many rows each rank has of its own.

    Raises
    ------
    TypeError, ValueError
        For another kind of path, or an `every` below 1.
    OSError
        For a folder that is not there or cannot be written to.
    """

    setting: dict[str, Any]
    writes: bool
    counts: list[int] | None

    def __init__(
        self,
        path: Path,
        every: int | None,
        setting: dict[str, Any],
        writes: bool = True,
        counts: list[int] | None = None,
    ) -> None:
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"fit expects checkpoint as the path of a file; got {path!r}.")
        if writes:
            files.require_writable("fit", checks.path("fit", path, "checkpoint"))
        self.path: str = os.path.abspath(os.fsdecode(path))  # wherever a callback may change to
        self.every: int | None = None if every is None else checks.integer("fit", "every", every, least=1)
        self.setting, self.writes, self.counts = setting, writes, counts
        if writes:
            files.remove_leftovers(self.path)

    def is_due(self, batches: int, n_batches: int) -> bool:
        """Whether to write after so many batches of the whole training."""
        return batches % (self.every or n_batches) == 0

    def next_due(self, progress: Progress) -> int:
        """The batch of this epoch behind which to write."""
        n_batches, done = len(progress.losses), self._batches(progress)
        every = self.every or n_batches
        return done + every - (progress.epoch * n_batches + done) % every

    def _batches(self, progress):
        return _batches(progress.position, self.setting["batch_size"])

    def write(
        self, trainer: Trainer, history: History, progress: Progress, early_stopping: EarlyStopping | None
    ) -> None:
        """Write where the training is, whole or not at all.

        Raises
        ------
        FloatingPointError
            For parameters or states that are NaN.
        OSError
            Where the file cannot be written; the one before stays.
        """
        import json

        if not self.writes:
            return
        trainer.fetch()
        epoch, done = progress.epoch, self._batches(progress)
        arrays = trainer.arrays()
        if early_stopping is not None and early_stopping.best_arrays is not None:
            arrays |= {f"best.{name}": a for name, a in early_stopping.best_arrays.items()}
        if trainer.averages_begun:
            with trainer.averaged():
                arrays |= {f"{AVERAGE}{name}": array.copy() for name, array in _averaged(trainer.arrays()).items()}
        arrays = files.snapshot(arrays)
        for name, array in arrays.items():
            if array.dtype.kind == "f" and np.isnan(array).any():
                raise FloatingPointError(
                    f"Training expects numbers to write into a checkpoint; got NaN in {name} after "
                    f"step {trainer.steps}, so {self.path!r} stays as it was."
                )
        arrays |= {f"history.{name}": np.array(getattr(history, name)[:epoch], np.float64) for name in _PER_EPOCH}
        batch_loss = np.array(history.batch_loss[:epoch], np.float64)
        arrays["history.batch_loss"] = batch_loss.reshape(epoch, len(progress.losses))
        arrays["progress.reached"] = progress.reached
        arrays["progress.losses"] = progress.losses[:done]
        state: dict[str, Any] = {
            "seed": trainer.seed,
            "epoch": epoch,
            "steps": trainer.steps,
            "lr": trainer.lr,
            "seconds": progress.seconds,
            "best": None,
            "best_epoch": 0,
        }
        if self.counts is not None:
            state["counts"] = self.counts
        if early_stopping is not None and early_stopping.best > -math.inf:
            state |= {"best": early_stopping.best, "best_epoch": early_stopping.best_epoch}
        text = json.dumps({"version": _VERSION, "setting": self.setting, "state": state})
        metadata = {"fastbp": json.dumps(trainer.net.architecture()), KEY: text}
        files.write_safetensors("fit", self.path, arrays, metadata)


def _averaged(arrays):
    """Those of a network's arrays of which there may be an average: not the optimiser's."""
    return {name: array for name, array in arrays.items() if not name.startswith("optimizer.")}


def is_another_file(path: Path) -> bool:
    """Whether a file with something in it lies there that is no checkpoint, whole or damaged."""
    if not os.path.isfile(path) or os.path.getsize(path) == 0:
        return False
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")  # of safetensors' header
        return KEY.encode() not in file.read(min(size, 1 << 24))


def _batches(position, batch_size):
    return -(-position // batch_size)


# --- reading --------------------------------------------------------------------------------


def read(path: Path, setting: dict[str, Any]) -> Saved:
    """The checkpoint in a file, of a training with the same setting.

    Raises
    ------
    ValueError
        For a file that is no checkpoint, is damaged or of another version, and for another
        training's; in one sentence.
    OSError
        For a file that cannot be read.
    """
    import json

    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"fit expects resume as the path of a checkpoint; got {path!r}.")
    shown = repr(os.fspath(path))
    arrays, metadata = files.read_safetensors("fit(resume=...)", path)
    if KEY not in metadata:
        raise ValueError(f"fit expects resume as a file that fit(checkpoint=...) wrote; got {shown}, which is none.")
    try:
        whole = checks.json_of(metadata[KEY])
        version = whole["version"]
    except MemoryError:
        raise
    except Exception as error:
        raise _damaged(shown, error) from error
    if version == 1:
        raise ValueError(
            f"fit expects a checkpoint of version {_VERSION}, whose epochs go through the rows in "
            f"today's order; got version 1 in {shown}, so go on with the fastbp that wrote it, or "
            "begin anew from the weights that Sequential.load reads there."
        )
    if version != _VERSION:
        raise ValueError(
            f"fit expects a checkpoint of version {_VERSION}; got version "
            f"{reprlib.repr(version)} in {shown}, written by another fastbp."
        )
    try:
        if files.CHECKSUM not in metadata:
            raise ValueError("it has no checksum")
        theirs, state = whole["setting"], whole["state"]
        saved = Saved(shown, arrays, **{name: state[name] for name in _STATE}, counts=state.get("counts"))
    except MemoryError:
        raise
    except Exception as error:
        raise _damaged(shown, error) from error
    found = difference("setting", theirs, checks.json_of(json.dumps(setting)))
    if found is not None:
        name, expected, came = (found[0], *map(reprlib.repr, found[1:]))
        raise ValueError(
            f"fit expects {name.removeprefix('setting.')} {expected}, as the training in {shown} has; got {came}."
        )
    try:
        saved.check(setting["rows"], setting["batch_size"])
    except MemoryError:
        raise
    except Exception as error:
        raise _damaged(shown, error) from error
    return saved


def _damaged(shown, error):
    return ValueError(f"fit expects a whole checkpoint in {shown}; got {type(error).__name__}: {error!s:.200}.")


def difference(name: str, theirs: Any, ours: Any) -> tuple[str, Any, Any] | None:
    """(name, their value, our value) of the first difference of two JSON values, or None."""
    if type(theirs) is not type(ours):
        return name, theirs, ours
    if isinstance(ours, list) and len(ours) == len(theirs):
        pairs = [(f"{name}[{k}]", *pair) for k, pair in enumerate(zip(theirs, ours, strict=True))]
    elif isinstance(ours, dict):  # what one of them has not stands there as None
        pairs = [(f"{name}.{key}", theirs.get(key), ours.get(key)) for key in {**ours, **theirs}]
    else:
        return None if theirs == ours else (name, theirs, ours)
    return next(filter(None, (difference(*pair) for pair in pairs)), None)


@dataclasses.dataclass
class Saved:
    """What stands in a checkpoint."""

    shown: str
    arrays: dict
    seed: int
    epoch: int
    steps: int
    lr: float
    seconds: float
    best: float | None
    best_epoch: int
    counts: list | None

    def check(self, n_rows: int, batch_size: int) -> None:
        """Whether all numbers are possible ones, and agree."""
        who, n_batches = "it", _batches(n_rows, batch_size)
        checks.integer(who, "seed", self.seed, 0, 2**64 - 1)
        checks.integer(who, "epoch", self.epoch, 0, 2**53)
        checks.integer(who, "steps", self.steps, 0, 2**53)
        checks.integer(who, "best_epoch", self.best_epoch, 0, self.epoch)
        checks.number(who, "lr", self.lr, 0)
        checks.number(who, "seconds", self.seconds, 0)
        if self.best is not None:
            checks.number(who, "best", self.best)
        reached = self._floats("progress.reached", (4,))
        position = int(reached[0])
        if (
            position != reached[0]
            or not 0 <= position <= n_rows
            or not (position == n_rows or position % batch_size == 0)
        ):
            raise ValueError(f"progress.reached begins with {reached[0]}")
        if not np.isfinite(reached).all():
            raise ValueError("progress.reached is not finite")
        self._floats("progress.losses", (_batches(position, batch_size),))
        self._floats("history.batch_loss", (self.epoch, n_batches))
        for name in _PER_EPOCH:
            lengths = (self.epoch,) if name in ("train_loss", "lr", "seconds") else (0, self.epoch)
            self._floats(f"history.{name}", *((n,) for n in lengths))

    def seed_of(self, seed: int | None) -> int:
        """The training's seed, where fit was given none or the same."""
        if seed not in (None, self.seed):
            raise ValueError(f"fit expects seed {self.seed}, as the training in {self.shown} has; got {seed}.")
        return self.seed

    def require_epochs(self, epochs: int) -> None:
        """Refuse to go on to what was passed already."""
        begun = self.epoch + bool(self.arrays["progress.reached"][0])
        if epochs < begun:
            raise ValueError(
                f"fit expects epochs of at least {begun}, which the training in {self.shown} has begun; got {epochs}."
            )

    def require_counts(self, counts: list[int] | None) -> None:
        """Refuse rows of other ranks' own amid an epoch: it would train some twice, and some never."""
        if counts is not None and self.counts != counts and 0 < self.arrays["progress.reached"][0] < sum(counts):
            raise ValueError(
                f"fit expects {self.counts} rows on its ranks, as the training in {self.shown} has amid an epoch; got "
                f"{counts}, so go on from a checkpoint of an epoch's end."
            )

    def _floats(self, name, *shapes):
        array = self.arrays[name]
        if array.dtype != np.float64 or array.shape not in shapes:
            raise ValueError(f"{name} is {array.dtype} of shape {array.shape}")
        return array

    def restore(
        self, trainer: Trainer, history: History, early_stopping: EarlyStopping | None, n_batches: int
    ) -> Progress:
        """Bring a training to where this one was, or change nothing; returns its `Progress`."""
        own = trainer.arrays()
        best = {}
        if early_stopping is not None and self.best is not None and early_stopping.restore_best:
            best = {f"best.{n}": a for n, a in own.items() if not n.startswith("optimizer.")}
        averages = {}
        if trainer.averages is not None and any(name.startswith(AVERAGE) for name in self.arrays):
            averages = {f"{AVERAGE}{name}": array for name, array in _averaged(own).items()}
        expected = {**own, **best, **averages}
        mine = {name: array for name, array in self.arrays.items() if not name.startswith(("history.", "progress."))}
        for name in sorted(expected.keys() | mine.keys()):
            there, here = mine.get(name), expected.get(name)
            if there is None or here is None or _kind(there) != _kind(here):
                raise ValueError(f"fit expects {name} as {_shown(here)} in {self.shown}; got {_shown(there)}.")
            checks.no_nan("fit", f"{name} of {self.shown}", there)
        trainer.restore({name: mine[name] for name in own}, self.steps, self.lr)
        if averages:
            trainer.take_averages({name.removeprefix(AVERAGE): mine[name] for name in averages})
        if early_stopping is not None and self.best is not None:
            early_stopping.best, early_stopping.best_epoch = float(self.best), self.best_epoch
            early_stopping.best_arrays = {n.removeprefix("best."): mine[n] for n in best} or None
        for name in _PER_EPOCH:
            setattr(history, name, self.arrays[f"history.{name}"].tolist())
        history.batch_loss = list(self.arrays["history.batch_loss"])
        progress = Progress(self.epoch, n_batches, float(self.seconds))
        progress.reached[:] = self.arrays["progress.reached"]
        losses = self.arrays["progress.losses"]
        progress.losses[: len(losses)] = losses
        return progress


_STATE = ("seed", "epoch", "steps", "lr", "seconds", "best", "best_epoch")


def _kind(array):
    return array.dtype.newbyteorder("="), array.shape


def _shown(array):
    return "nothing" if array is None else f"{array.dtype} of shape {array.shape}"
