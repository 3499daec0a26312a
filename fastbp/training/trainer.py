"""`Trainer`: a network compiled to a `Plan`, trained step by step."""

from __future__ import annotations

import math
import operator
import os
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import numpy as np

from fastbp import checks, init
from fastbp._kernels import engine
from fastbp.optim import Optimizer
from fastbp.optim.rule import rule_of
from fastbp.threads import threads_for
from fastbp.training import plans
from fastbp.training.copies import Copies
from fastbp.training.ranks import Ranks

if TYPE_CHECKING:
    from fastbp._typing import Array
    from fastbp.communicators import AnyCommunicator
    from fastbp.modules import Module
    from fastbp.optim.rule import Rule

__all__ = ["Trainer", "require_steps", "trainer_of"]

T = TypeVar("T")

#: Held while networks change hands: of two threads that take one, the second finds the first.  And
#: while parameters are fetched, so that who holds it finds those of one step.
hands = threading.RLock()
if hasattr(os, "register_at_fork"):  # else a child might find it held by a thread that it lacks
    os.register_at_fork(before=hands.acquire, after_in_parent=hands.release, after_in_child=hands.release)
#: Those that have a network, of which two may hold the same memory.
_open: weakref.WeakSet = weakref.WeakSet()


def _structure(entry):
    """What of a layer's entry is not a number that may change."""
    kind, n_in, n_out, _, _, detail = entry
    return kind, n_in, n_out, detail


def _are_same(objects, others):
    """Whether two sequences are of the very same objects."""
    return len(objects) == len(others) and all(map(operator.is_, objects, others))


def require_steps(
    who: str, optimizer: Optimizer, batch_size: int, clip_norm: float | None, clip_value: float | None
) -> None:
    """Refuse an optimiser, a batch size or limits of gradients that no step goes by."""
    checks.instance(who, "optimizer", optimizer, Optimizer, "an optimiser, as SGD(lr=0.1)")
    plans.require_own(who, "an optimiser", optimizer, plans.OPTIMIZERS)
    checks.integer(who, "batch_size", batch_size, least=1)
    for name, limit in (("clip_norm", clip_norm), ("clip_value", clip_value)):
        if limit is not None and checks.number(who, name, limit, least=0) == 0:
            raise ValueError(f"{who} expects {name} above 0, or None; got {limit}.")


class _Fixed(Generic[T]):
    """What a trainer is made from, once and for all; kept as `_name`.

    Not in `vars(trainer)` under its name: once somebody has looked at an object's `__dict__`, its
    methods are found in the slow way, at each step.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, trainer: Trainer, owner: type | None = None) -> T:
        return self if trainer is None else getattr(trainer, f"_{self._name}")

    def __set__(self, trainer: Trainer, value: T) -> None:
        raise AttributeError(f"Trainer expects {self._name} when it is made; got an assignment later: make another.")


class Trainer(engine.Plan):
    """Trains a network step by step, each step in one compiled call.

    Parameters
    ----------
    net : Sequential
        With a loss of the library.
    optimizer : Optimizer, str or None
        Its state goes on where it was; "sgd" or "adam" is one with its own defaults, None is Adam.
    batch_size : int
        The most rows of a step.
    n_threads : int or None
        None: one for small steps, else the cores the process may use.
    seed : int or None
        Chooses the dropout masks.
    clip_norm, clip_value : float or None
        Clip the gradients, by their joint norm or each element.
    comm : Communicator or None
        Train together with other ranks, see `fastbp.Communicator`: each calls `step` with rows of its
        own, none too, and all make one step over these rows, with the first one's parameters at first.

    Attributes
    ----------
    lr : float
        The learning rate of the next step; a later change of the optimiser's wins.
    steps : int
        Steps done.
    nbytes : int
        Bytes of the plan's memory; nothing else is allocated while it trains.

    Raises
    ------
    TypeError, ValueError
        For a layer or a loss that the engine does not hold, and which.

    Notes
    -----
    A step sees what has changed since: rates and other numbers of the optimiser, slopes, ratios
    and the like of layers and loss.  What a trainer cannot follow, as another layer, a hook or a
    frozen parameter, is refused by the next step; its parameters stay in reach.

    While a trainer steps, the current parameters are in the trainer.  The network's methods,
    `net.params`, the layers' attributes and `optimizer.state` fetch them first, into the very
    arrays that the user holds; `fetch` does it by hand.  What is then written into them, or put in
    their place, the next step takes.  Into arrays that one kept over a step write after `fetch`;
    after writing into the optimiser's states, call `reload_states`.  One network has one trainer:
    making another one ends the first, also where two networks share memory, or an optimiser
    without parameters of its own keeps states by name.  A trainer that goes with its network,
    without `close`, takes with it what nobody has fetched.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import SGD, Linear, Relu, Sequential, Trainer
    >>> net = Sequential(Linear(2, 8, seed=0), Relu(), Linear(8, 2, seed=1),
    ...                  loss="softmax_cross_entropy")
    >>> x, t = np.array([[0.0, 1.0], [1.0, 0.0]], "float32"), np.array([0, 1])
    >>> trainer = Trainer(net, SGD(lr=0.5), batch_size=2)
    >>> losses = [trainer.step(x, t) for _ in range(50)]
    >>> losses[-1] < losses[0]
    True
    >>> net.accuracy(x, t)
    1.0
    """

    steps: int
    lr: float

    net: _Fixed[Module] = _Fixed()
    optimizer: _Fixed[Rule] = _Fixed()
    dtype: _Fixed[np.dtype[Any]] = _Fixed()
    n_threads: _Fixed[int | None] = _Fixed()
    clip_norm: _Fixed[float | None] = _Fixed()
    clip_value: _Fixed[float | None] = _Fixed()

    def __new__(
        cls,
        net: Module,
        optimizer: Optimizer | str | None = None,
        batch_size: int = 32,
        n_threads: int | None = None,
        seed: int | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        comm: AnyCommunicator | None = None,
    ) -> Self:
        ranks = Ranks("Trainer", comm)
        with ranks.together():
            if not hasattr(net, "layers"):
                raise TypeError(f"Trainer expects net as a Sequential; got {checks.shown(net)}.")
            optimizer = rule_of("Trainer", optimizer)
            require_steps("Trainer", optimizer, batch_size, clip_norm, clip_value)
            description = plans.described(net)
            if ranks:
                ranks.agree(_agreement(description, optimizer, seed, clip_norm, clip_value))
            return cls._compiled(description, optimizer, operator.index(batch_size), n_threads, clip_norm, ranks)

    def __init__(
        self,
        net: Module,
        optimizer: Optimizer | str | None = None,
        batch_size: int = 32,
        n_threads: int | None = None,
        seed: int | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        comm: AnyCommunicator | None = None,
    ) -> None:
        _, ranks, named = self.made_from
        if optimizer is None or isinstance(optimizer, str):
            optimizer = named  # a subclass may hand on another one than it was given
        with ranks.together():
            seed = ranks.tell(init.seed_of("Trainer", seed))
            self._take(optimizer, n_threads, seed, clip_norm, clip_value)
            self._join(ranks)

    @classmethod
    def _compiled(cls, description, optimizer, batch_size, n_threads, clip_norm, ranks):
        """The plan alone, which has taken nothing yet."""
        operations = sum(n_in * n_out for _, n_in, n_out, *_ in description.entries)
        loss, number = description.loss
        trainer = engine.Plan.__new__(
            cls,
            description.entries,
            loss,
            batch_size,
            description.dtype == np.float64,
            optimizer.n_states,
            clip_norm is not None or bool(ranks),
            number,
            threads_for(6 * batch_size * operations, n_threads, ranks.sharing),
        )
        trainer.made_from = description, ranks, optimizer
        return trainer

    def _take(self, optimizer, n_threads, seed, clip_norm, clip_value):
        """Take the network from whoever trained it before."""
        description, *_ = self.made_from
        self._entries, self._places = description.entries, description.places
        self._loss, self._dtype = description.loss, description.dtype
        self._net = net = description.net
        self._optimizer, self._n_threads = optimizer, n_threads
        self._clip_norm, self._clip_value = clip_norm, clip_value
        self.seed: int = seed
        self._clips: dict = {"clip_value": clip_value or 0.0, "clip_norm": clip_norm or 0.0}
        self._numbers: dict = optimizer.numbers()
        self.set_rule(**self._numbers, **self._clips)
        # What it was made from: the network may get other layers meanwhile.
        self._layers = net.layers
        self._names = {place: name for name, place in net.params.places().items()}
        self._parameters = Copies(self, "synced", self._parts)
        self._states = Copies(self, "fetched", self._parts_of_states)
        with hands:
            optimizer.sync()
            arrays = self._arrays_by_name()
            optimizer.steps_of(arrays)  # may refuse them
            self._tensors = {name: optimizer.holder(array)[1] for name, array in arrays.items()}
            self._states.memory()  # begins them; may refuse them, too
            for layer, _ in self._places:
                other = layer.plan_holder()
                if other is not None:  # of this network, or of another with this layer
                    other.close()
            self._end_others()
            self.steps = optimizer.steps_of(arrays)
            self.reload()
            self._states.take()
            self._members = optimizer.members()
            _open.add(self)
            for layer, _ in self._places:
                layer.held_by(self)
            net.held_by(self)
            optimizer.held_by(self)

    def _join(self, ranks, average_every=1):
        """Train with other ranks, from the first one's parameters and states."""
        if not ranks:
            return
        arrays = self.arrays()
        ranks.share_arrays(arrays.values())
        self.restore(arrays, *ranks.tell((self.steps, self.lr)))
        self.join(ranks, average_every)

    def _end_others(self):
        """Close trainers that have copies of the same memory, as each would pass by the other's."""
        arrays = self._parameters.memory()
        self._homes = homes = frozenset().union(*map(plans.memory_of, arrays))
        for other in [each for each in _open if each is not self and not each.closed]:
            if not homes.isdisjoint(other._homes) and plans.share_memory(arrays, other._parameters.memory()):
                other.close()

    # --- what has changed since -----------------------------------------------------------

    def look_again(self) -> None:
        """Take the numbers that layers, loss and optimiser have now, or refuse other changes.

        Raises
        ------
        TypeError, ValueError
            For what only a new trainer can train.
        """
        self._take_data()
        replaced = not _are_same(self._parameters.memory(), self._parameters.taken)
        entries, _ = plans.entries_of(self.net)
        loss = plans.loss_of(self.net, entries[-1][2])
        numbers = self.optimizer.numbers()
        plans.require_own("Trainer", "an optimiser", self.optimizer, plans.OPTIMIZERS)
        same = _are_same(self.net.layers, self._layers)
        if not same or list(map(_structure, entries)) != list(map(_structure, self._entries)):
            raise ValueError(
                "Trainer expects the layers that it was made for; got others since, so make a new Trainer."
            )
        if loss[0] != self._loss[0] or (loss[0] == "parts" and loss != self._loss):
            raise ValueError(
                f"Trainer expects the loss that it was made for; got {self.net.loss_layer!r} "
                "since, so make a new Trainer."
            )
        dtype = plans.dtype_of(self.net)
        if dtype != self.dtype:
            raise ValueError(
                f"Trainer expects parameters of {self.dtype}, as when it was made; got {dtype} "
                "since, so make a new Trainer."
            )
        if self.optimizer.n_states > self.n_states:
            chosen = ", ".join(f"{name}={value}" for name, value in self.optimizer.chosen.items())
            raise ValueError(
                f"Trainer expects {type(self.optimizer).__name__} to keep no more of a parameter "
                f"than when it was made; got {chosen} since, so make a new Trainer."
            )
        members = self.optimizer.members()
        if replaced or not _are_same(members, self._members):
            arrays = self._arrays_by_name()
            self.optimizer.steps_of(arrays)  # may not hold them
            others = [name for name, array in arrays.items() if not self._is_kept(name, array)]
            if others:
                raise ValueError(
                    "Trainer expects the parameters that it was made for; got another in the place "
                    f"of {others[0]} since, so make a new Trainer."
                )
            self._members = members
        if replaced:
            with hands:
                self._end_others()
                self.reload()
        lr = self.lr if numbers["lr"] == self._numbers["lr"] else numbers["lr"]
        self.set_rule(**numbers | {"lr": lr}, **self._clips)
        for place, (*_, a, b, _) in enumerate(entries):
            self.adjust(place, a, b)
        if loss[0] != "parts":
            self.adjust_loss(loss[1])
        self._numbers = numbers

    def _take_data(self):
        """Let layers take what was put in the place of their arrays, which get the newest first."""
        if any(layer.take_data(take=False) for layer, _ in self._places):
            self.sync()
            for layer, _ in self._places:
                layer.take_data(whole=False)

    # --- where the parameters are -----------------------------------------------------------

    def reload(self) -> None:
        """Take the parameters from the user's arrays, after writing into them by hand."""
        for layer, _ in self._places:
            layer.take_data()
        self._parameters.take()

    def take_arrays(self) -> None:
        self._parameters.write()

    def reload_states(self) -> None:
        """Take the optimiser's states, and how many steps it has done, as `reload` does."""
        with hands:
            self._take_data()
            arrays = self._arrays_by_name()
            steps = self.optimizer.steps_of(arrays)
            self.sync()  # the parameters, which have the steps before
            self.steps = steps
            self.optimizer.set_steps(arrays, steps)
            self._states.take()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it the user's arrays have the average of the parameters, in the place of those."""
        kept = self.give_averages()
        try:
            yield
        finally:
            for array, values in kept:
                array[...] = values

    def give_averages(self) -> list[tuple[Array, Array]]:
        """Write the average of the parameters into the user's arrays; each, and what it had before."""
        with hands:
            self.sync()
            pairs = [(place, pair) for place, part, pair in self._parts() if part == engine.PARAMETERS]
            arrays = [array for _, pair in pairs for array in pair]
            kept = [(array, array.copy()) for array in arrays]
            for array, values in zip(arrays, self._values_of(self.averages, pairs), strict=True):
                array[...] = values
        return kept

    def _values_of(self, flat, pairs):
        """What some layers' arrays would be if `flat` were the plan's parameters."""
        own = self.flat(engine.PARAMETERS)
        kept = own.copy()
        found = [(place, [np.empty(array.shape, self.dtype) for array in pair]) for place, pair in pairs]
        own[:] = flat
        try:
            self.read_all([(place, engine.PARAMETERS, *values, None)[:4] for place, values in found])
        finally:
            own[:] = kept
        return [array for _, values in found for array in values]

    def take_averages(self, averages: Mapping[str, Array]) -> None:
        """Go on from an average of the parameters, arrays by the names of `arrays`."""
        own = {name: array for name, array in self.arrays().items() if name in averages}
        kept = {name: array.copy() for name, array in own.items()}
        plans.fill(own, averages)
        self.reload()
        self.averages[:] = self.flat(engine.PARAMETERS)
        self.averages_begun = True
        plans.fill(own, kept)
        self.reload()

    def sync(self) -> None:
        """Write the parameters back into the user's arrays.

        Raises
        ------
        RuntimeError
            While another thread is training the network.
        """
        with hands:
            self._parameters.give(self._is_given)

    def _is_given(self, n):
        """The layers' arrays have been written to, `n` steps later than before."""
        for layer, _ in self._places:
            layer.take_data(whole=False)
            layer.count_batches(n)
        self._set_steps()

    def close(self) -> None:
        """Write everything back, and let go of the network; the trainer steps no more."""
        with hands:
            if self.closed:
                return
            try:
                self.shut()  # first, so that a step of another thread is refused, not lost
                self.fetch()
            except BaseException:
                self.closed = False
                raise
            _open.discard(self)
            for layer, _ in self._places:
                layer.held_by(None)
            self.net.held_by(None)

    def fetch(self) -> None:
        """Write what is newer in the trainer, parameters and states, into the user's arrays."""
        with hands:
            self.sync()
            self.fetch_states()

    def fetch_states(self) -> None:
        """Write the optimiser's states back, where newer, and how many steps it has done."""
        with hands:
            if self.changes != self.fetched:
                self._take_data()
                self._states.give(self._are_given)

    def _are_given(self, n):
        """The optimiser's states have been written to."""
        if self.dirty:  # else sync has set them
            self._set_steps()

    def arrays(self) -> dict[str, Array]:
        """The user's arrays of the network and of the optimiser's states, by PyTorch's names."""
        arrays = plans.arrays_of(self._layers)
        kinds = self.optimizer.state_names
        for place, part, pair in self._parts_of_states():
            layer = next(layer for layer, where in self._places if where == place)
            for name, state in zip(layer.state(), pair, strict=False):  # a bias may be none
                number = self._layers.index(layer)
                arrays[f"optimizer.{number}.{name}.{kinds[part - engine.FIRST_STATE]}"] = state.T
        return arrays

    def restore(self, arrays: Mapping[str, Array], steps: int, lr: float) -> None:
        """Go on from other contents of `arrays`, after so many steps."""
        with hands:
            own = self.arrays()
            before = {name: array.copy() for name, array in own.items()}
            try:
                plans.fill(own, arrays)
            except BaseException:  # Ctrl-C: all or nothing
                plans.fill(own, before)
                raise
            self.steps, self.lr = steps, lr
            self.optimizer.set_steps(self._arrays_by_name(), steps)
            self.reload()
            self._states.take()

    def _parts(self):
        """(place, part, pair of arrays) of all that the plan has a copy of."""
        for layer, place in self._places:
            for part, pair in layer.plan_arrays().items():
                yield place, part, pair

    def _arrays_by_name(self):
        return {name: array for _, held in self._held() for name, array in held if name is not None}

    def _is_kept(self, name, array):
        """Whether the optimiser has the parameter that it had when the trainer was made."""
        return self.optimizer.holder(array)[1] is self._tensors[name]

    def _set_steps(self):
        arrays = self._arrays_by_name().items()
        kept = {name: array for name, array in arrays if self._is_kept(name, array)}
        self.optimizer.set_steps(kept, self.steps)

    def _parts_of_states(self):
        """(place, part, pair of arrays) of the optimiser's states.

        No more than the plan has, whatever momentum the optimiser was given since; zeros of
        parameters that it holds no more.
        """
        n = min(self.n_states, self.optimizer.n_states)
        for place, held in self._held():
            states = [
                self.optimizer.state_of(name, array)[:n]
                if name is not None and self._is_kept(name, array)
                else [np.zeros_like(array)] * n
                for name, array in held
            ]
            for k, pair in enumerate(zip(*states, strict=True)):
                yield place, engine.FIRST_STATE + k, pair

    def _held(self):
        """Each layer's place, and the names and arrays of W and b.

        The plan has a bias of zeros where a layer has none: its name is None.
        """
        for layer, place in self._places:
            trained, pair = layer.trained_names, layer.plan_arrays()[engine.PARAMETERS]
            names = [self._names[layer, n] if n in trained else None for n in layer.param_names]
            yield place, list(zip(names, pair, strict=True))

    # --- what the plan asks for -------------------------------------------------------------

    def converted(self, x: Any, t: Any, weights: Any) -> tuple[Any, Any, Any]:
        dtype, loss_layer = self._dtype, self._net.loss_layer
        x = plans.rows_of("Trainer", x, self._entries[0])
        n_rows = len(x)
        if loss_layer is not None:
            t = plans.targets_of("Trainer", loss_layer, t, n_rows, self.n_out, dtype)
        if weights is not None:
            weights = checks.floats("Trainer", "weights", weights, dtype)
            checks.same_shape("Trainer", "weights", weights, (n_rows,), "x has rows")
        return x, t, weights

    def diverged(self, loss: float, layer: Any, when: str | None = None) -> FloatingPointError:
        held = [i for i, one in enumerate(self._layers) if one.kind is not None]
        when = when or f"step {self.steps + 1}"
        if math.isfinite(loss):
            which = "the gradient's norm is not"
            if self.overflowed >= 0:
                place = held[self.overflowed]
                layer = self._layers[place]
                which = f"the first layer that would hold NaN or inf is {layer!r} ({place})"
            return FloatingPointError(
                f"Training expects finite weights, states and statistics after an update; got a "
                f"loss of {loss} in {when}, where {which}: all is as before; try a smaller lr or "
                "clip_norm=1, and look for large numbers in x and t."
            )
        first = "all layers' outputs are finite"
        if layer >= 0:
            place = held[layer]
            first = f"the first layer with such an output is {self._layers[place]!r} ({place})"
        return FloatingPointError(
            f"Training expects a finite loss; got {loss} in {when}, "
            f"where {first}; try a smaller lr or clip_norm=1, and look for NaN and inf in x and t."
        )


def trainer_of(
    description: plans.Description,
    optimizer: Rule,
    batch_size: int,
    n_threads: int | None,
    seed: int,
    clip_norm: float | None,
    clip_value: float | None,
    ranks: Ranks,
    average_every: int,
) -> Trainer:
    """A `Trainer` of what was checked before: a `plans.Description`, and by `require_steps`."""
    trainer: Trainer = Trainer._compiled(description, optimizer, batch_size, n_threads, clip_norm, ranks)
    trainer._take(optimizer, n_threads, seed, clip_norm, clip_value)
    trainer._join(ranks, average_every)
    return trainer


def _agreement(description, optimizer, seed, clip_norm, clip_value):
    """What has to be the same on all ranks, as JSON has it."""
    return {
        "dtype": description.dtype.name,
        "the network": [description.entries, description.loss],
        "optimizer": {"type": type(optimizer).__name__, **optimizer.numbers()},
        "seed": seed,
        "clip_norm": clip_norm,
        "clip_value": clip_value,
    }
