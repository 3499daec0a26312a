"""`Ranks`: the ranks of a training, which rows each has, and what they agree on.

All ranks go through the same meetings in the same order.  A meeting begins by each rank saying
whether it is well: so whoever fails, wherever that is, goes to one more meeting, where the others
are or will be, and says so; then all of them raise.  Inside an epoch the plan exchanges gradients,
with a word of the same kind behind them.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np

from fastbp import checks
from fastbp._kernels import engine, isa
from fastbp.training.checkpoints import difference

if TYPE_CHECKING:
    from fastbp._typing import Array, ArrayLike
    from fastbp.communicators import AnyCommunicator

__all__ = ["ALONE", "RankError", "Ranks"]

#: How a rank is: well, or what made it leave.
WELL, FAILED, INTERRUPTED, NOT_FINITE = range(4)
#: Signals for which programs have handlers.
DEFERRED = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
#: Bytes of what a rank that failed says of it.
TOLD = 2000


class RankError(RuntimeError):
    """Another rank failed, or the exchange with the others did, which ends the training on all."""


class Ranks:
    """The ranks of a training; of one rank alone where there is no communicator.

    Parameters
    ----------
    who : str
        Whom errors name.
    comm : Communicator or None
        As a user hands it in.
    rows : {"all", "own"}
        Whether every rank has all rows, or has rows of its own.

    Attributes
    ----------
    rank, size : int
    parted : bool
        Whether the ranks have parted over an error, which all of them know.
    lost : bool
        Whether the communicator has failed, which is not called again.
    sharing : int
        How many ranks run on this rank's very cores, once they have agreed.
    compiled : callable or None
        Sums the gradients over the ranks without a line of Python's code.
    """

    parted: bool
    lost: bool
    rank: int
    size: int
    sharing: int

    def __init__(self, who: str, comm: AnyCommunicator | None, rows: Literal["all", "own"] = "all") -> None:
        self.who = who
        self.rank, self.size = 0, 1
        self.parted = self.lost = False
        self._comm: Any = None
        self.sharing = 1
        self._pending: list = []
        self._handlers: dict = {}
        if comm is not None:
            from fastbp.communicators import communicator_of

            self._comm = found = communicator_of(who, comm)
            self.rank, self.size = int(found.rank), int(found.size)
            self._allreduce, self._broadcast = found.allreduce, found.broadcast
        self.own: bool = self.size > 1 and isinstance(rows, str) and rows == "own"

    def __bool__(self) -> bool:
        """Whether there are others."""
        return self.size > 1

    @property
    def compiled(self) -> Callable[..., object] | None:
        return getattr(self._comm, "compiled", None)

    # --- meetings ---------------------------------------------------------------------------

    def meet(self, error: BaseException | None = None, number: float = 0.0) -> Array:
        """Wait for all ranks; each one's `number`, (size,) float64.

        Raises
        ------
        RankError
            Where another rank fails.  KeyboardInterrupt or FloatingPointError where it met those.
        """
        if not self:
            return np.array([number], np.float64)
        if error is None:
            try:
                self.look()
            except BaseException as pending:
                error = pending
        said = np.zeros(2 * self.size)
        said[self.rank], said[self.size + self.rank] = _kind_of(error), number
        try:
            self.allreduce(said)
            told = _told(error)
            failed = np.flatnonzero(said[: self.size])
            if len(failed):
                self._call(self._broadcast, told, int(failed[0]))
        except RankError:
            if error is not None:
                raise error from None
            raise
        if not len(failed):
            return said[self.size :]
        self.parted = True
        if error is not None:
            raise error
        raise self._error_of(int(failed[0]), said[failed[0]], bytes(told).rstrip(b"\0").decode(errors="replace"))

    def part(self, error: Any) -> None:
        """Tell the others why this rank leaves, or hear why another did; always raises."""
        if self.parted:
            raise error
        self.meet(error)
        self.parted = True
        raise FloatingPointError(
            f"Training expects a finite loss; got one that is not as the sum of {self.size} ranks', each of which "
            "is finite: all is as before; try a smaller lr or clip_norm=1."
        )

    def leave(self, error: BaseException) -> None:
        """Tell the others why this rank leaves, unless they know."""
        if self and not self.parted:
            with suppress(BaseException):
                self.meet(error)

    def _error_of(self, rank, kind, told):
        if kind == INTERRUPTED:
            return KeyboardInterrupt(f"{self.who} ended on all {self.size} ranks, as rank {rank} was interrupted.")
        if kind == NOT_FINITE:
            return FloatingPointError(f"{told.removeprefix('FloatingPointError: ')} (on rank {rank} of {self.size}).")
        return RankError(f"{self.who} ended on all {self.size} ranks, as rank {rank} failed: {told}.")

    @contextmanager
    def together(self) -> Iterator[None]:
        """A block that ends on all ranks alike: by an error, where one of them has one.

        Signals that Python handles wait for the next meeting or exchange meanwhile: one that came
        between two of them would leave the others waiting.
        """
        if not self:
            yield
            return
        self.parted = self.lost
        self.defer()
        try:
            try:
                yield
                if not self.parted:
                    self.meet()
            except BaseException as error:
                self.leave(error)
                raise
        finally:
            self.listen()
        self.look()

    # --- signals ----------------------------------------------------------------------------

    def defer(self) -> None:
        """Keep signals for `look`; they come to the main thread alone."""
        if threading.current_thread() is not threading.main_thread():
            return
        import signal

        for number in [getattr(signal, name) for name in DEFERRED if hasattr(signal, name)]:
            handler = signal.getsignal(number)
            if callable(handler):
                self._handlers[number] = handler
                signal.signal(number, lambda number, frame: self._pending.append(number))

    def listen(self) -> None:
        """Handle signals as they come again."""
        import signal

        handlers, self._handlers = self._handlers, {}
        for number, handler in handlers.items():
            signal.signal(number, handler)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """A block of the user's functions, in which signals are handled as they come."""
        deferred = bool(self._handlers)
        self.listen()
        try:
            yield
        finally:
            if deferred:
                self.defer()

    def look(self) -> None:
        """Handle the signals that have waited."""
        while self._pending:
            import signal

            number = self._pending.pop(0)
            handler = self._handlers.get(number) or signal.getsignal(number)
            if callable(handler):
                handler(number, None)

    # --- what they tell each other ----------------------------------------------------------

    def sum(self, array: ArrayLike) -> Array:
        """The sum of all ranks' arrays of float64."""
        array = np.array(array, np.float64)
        if self:
            self.meet()
            self.allreduce(array.reshape(-1))
        return array

    def tell(self, thing: Any) -> Any:
        """The first rank's thing, on all of them."""
        return self._tell(thing, 0) if self else thing

    def gather(self, thing: Any) -> list[Any]:
        """The things of all ranks, in their order."""
        return [self._tell(thing, rank) for rank in range(self.size)] if self else [thing]

    def _tell(self, thing, root):
        import pickle

        data = np.frombuffer(pickle.dumps(thing), np.uint8).copy() if self.rank == root else None
        length = int(self.meet(number=0 if data is None else len(data))[root])
        data = np.empty(length, np.uint8) if data is None else data
        self._call(self._broadcast, data, root)
        return thing if self.rank == root else pickle.loads(data.tobytes())

    def reserve(self, nbytes: int) -> None:
        """Prepare for gradients of so many bytes; all ranks wait for each other."""
        if self.compiled is not None:
            self.meet()
            self._call(self._comm.reserve, nbytes)

    def share_plan(self, plan: engine.Plan) -> None:
        """Overwrite a plan's parameters, statistics, states and steps with the first rank's."""
        plan.steps = self.tell(plan.steps)
        for part in (engine.PARAMETERS, engine.RUNNING, *_states_of(plan)):
            self._call(self._broadcast, plan.flat(part), 0)

    def mean_losses(self, losses: Array, weights: Array | list[float]) -> None:
        """Overwrite batches' mean losses of this rank's rows, of such weights, with those of all."""
        sums, totals = np.split(self.sum(np.concatenate([losses * weights, weights])), 2)
        losses[:] = np.divide(sums, totals, out=np.zeros_like(sums), where=totals != 0)

    def share_arrays(self, arrays: Iterable[Array]) -> None:
        """Overwrite arrays with the first rank's."""
        if not self:
            return
        self.meet()
        for array in arrays:
            data = np.array(array, order="C").reshape(-1)  # the user's may lie in any order
            self._call(self._broadcast, data.view(np.uint8), 0)
            if self.rank:
                array[...] = data.reshape(array.shape)

    def allreduce(self, buffer: Array) -> None:
        """Make `buffer` the sum of all ranks', in place."""
        self._call(self._allreduce, buffer)

    def _call(self, function, *arguments):
        if self.lost:
            raise RankError(f"{self.who} lost the other ranks before.")
        try:
            function(*arguments)
        except BaseException as broken:
            self.lose(broken)

    def lose(self, broken: BaseException) -> NoReturn:
        """Call the communicator no more, which raised this."""
        self.lost = self.parted = True
        raise RankError(f"{self.who} lost the other ranks: {_words(broken)}.") from broken

    def agree(self, setting: Any) -> None:
        """Refuse a rank whose setting, as JSON has it, is not the first one's.

        Raises
        ------
        ValueError
            On a rank with another one; RankError on the others.
        """
        if not self:
            return
        import json

        self.sharing = self._sharing()
        common = {
            "the call": self.who,
            "fastbp": sys.modules["fastbp"].__version__,
            "the instruction set": isa.in_use(),
        }
        ours = json.loads(json.dumps([common, setting], default=float))
        found = difference("", self.tell(ours), ours)
        error = None
        if found is not None:
            name, theirs, own = found[0].partition("].")[2], *map(checks.shown, found[1:])
            cure = f", so set FASTBP_ISA={min(found[1:])}" if name == "the instruction set" else ""
            error = ValueError(f"{self.who} expects {name} of rank 0, {theirs}, on all ranks; got {own}{cure}.")
        self.meet(error)

    def _sharing(self):
        import platform
        import zlib

        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        place = float(zlib.crc32(repr((platform.node(), cores)).encode()))
        return int(np.count_nonzero(self.meet(number=place) == place))

    # --- rows -------------------------------------------------------------------------------

    def total(self, counts: Any) -> Any:
        """What is counted in all rows, of which this rank has those that it counted in."""
        return self.sum(counts) if self.own else counts

    def counts(self, n: int) -> list[int] | None:
        """How many rows each rank has of its own, of which this one has n; None where all have all."""
        return self.meet(number=n).astype(np.int64).tolist() if self.own else None

    def share(self, n: int) -> slice:
        """The rows of n that this rank looks at in an evaluation."""
        return slice(0, n) if self.own else self.share_of_all(n)

    def share_of_all(self, n: int) -> slice:
        """The share of n rows that all have of which this rank sees to."""
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def parts(self, n: int, edges: Sequence[int] | Array, least: int = 1) -> Array:
        """The rank's rows of each batch of an epoch, as `Plan.epoch` takes them: (n_batches, 5).

        With all rows on every rank, each batch is cut into as many parts as there are ranks.  With
        rows of its own, each rank goes over them in as many nearly equal parts as all rows together
        make batches, so that nobody waits for a batch that another one lacks.

        Parameters
        ----------
        n : int
            This rank's rows.
        edges : sequence of int
            Where each batch of all rows begins, and their number.
        least : int
            Rows of a part that is not empty, where there are as many: a batch normalisation needs 2.
        """
        edges = np.asarray(edges)
        if self.own:  # (ranks, batches + 1): where each rank's parts begin
            counts = np.array(self.counts(n))[:, np.newaxis]
            own = _cut(counts, np.arange(len(edges)), len(edges) - 1, least)
            sizes = np.diff(own)
            rows, before, behind = (sizes[:r].sum(axis=0) for r in (self.size, self.rank, self.rank + 1))
            begin = own[self.rank, :-1]
        else:
            rows = np.diff(edges)
            before, behind = (_cut(rows, r, self.size, least) for r in (self.rank, self.rank + 1))
            begin = edges[:-1] + before
        return np.stack([begin, begin + behind - before, before, rows, edges[1:]], axis=1)

    def require_several(self, parts: Array) -> None:
        """Refuse single rows for a batch normalisation, which have no variance."""
        if self and 1 in np.diff(parts[:, :2]):
            raise ValueError(
                f"{self.who} expects at least 2 rows of each batch on each rank, or none, for batch normalisation, "
                f"which takes the statistics of a rank's rows; got 1 of {parts[:, 3].max()} on rank {self.rank} of "
                f"{self.size}."
            )

    def place_of(self, n: int) -> int:
        """The place of the first of this rank's n rows among those of all ranks."""
        return int(self.meet(number=n)[: self.rank].sum())

    # --- what a plan asks for ---------------------------------------------------------------

    def enter(self, over: bool) -> bool:
        """All ranks begin an epoch; whether the first one's time is over."""
        return bool(self.meet(number=over)[0])

    def average(self, plan: engine.Plan, weight: float, over: bool) -> bool | None:
        """Average the plans' parameters and states, by the weight of the rows since the last time.

        Returns whether the first rank's time is over; or None, where a rank's weight is NaN, as its
        loss is: nothing is averaged then.
        """
        weights = self.meet(number=weight)
        if np.isnan(weights).any():
            return None
        self._average(plan, [engine.PARAMETERS, *_states_of(plan)], weights)
        return bool(self.meet(number=over)[0])

    def average_statistics(self, plan: engine.Plan, weight: float) -> None:
        """Average the running statistics of normalisations, by the weight of each rank's rows."""
        if self and len(plan.flat(engine.RUNNING)):
            self._average(plan, [engine.RUNNING], self.meet(number=weight))

    def _average(self, plan, parts, weights):
        total = weights.sum()
        if total == 0:
            return
        for part in parts:
            flat = plan.flat(part)
            flat *= flat.dtype.type(weights[self.rank] / total)
            self.allreduce(flat)

    def require_same(self, plan: engine.Plan) -> None:
        """Refuse parameters that are not the same bits on all ranks.

        Raises
        ------
        RankError
        """
        if not self:
            return
        words = plan.flat(engine.PARAMETERS).view(np.uint32)
        sums = self.meet(number=float(np.add.reduce(words, dtype=np.uint64) % (1 << 52)))
        other = np.flatnonzero(sums != sums[0])
        if len(other):
            error = RankError(
                f"{self.who} expects the same parameters on all ranks after an epoch; got others on rank {other[0]} "
                "than on rank 0, whose communicator gave them other sums."
            )
            self.meet(error)


def _cut(n, k, of, least):
    """Where the k-th of so many nearly equal parts of n rows begins; n behind the last."""
    return np.where(k == of, n, n // least * k // of * least)


def _states_of(plan):
    return range(engine.FIRST_STATE, engine.FIRST_STATE + plan.n_states)


def _kind_of(error):
    if error is None:
        return WELL
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return NOT_FINITE if isinstance(error, FloatingPointError) else FAILED


def _words(error):
    return f"{type(error).__name__}: {error}".rstrip(" :.")


def _told(error):
    """What a rank says of its error: (TOLD,) uint8."""
    told = np.zeros(TOLD, np.uint8)
    if error is not None:
        data = np.frombuffer(_words(error).encode(errors="replace")[:TOLD], np.uint8)
        told[: len(data)] = data
    return told


#: For trainings without a communicator.
ALONE = Ranks("fit", None)
