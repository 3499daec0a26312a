"""`Trainer`: a network compiled to a `Plan`, trained step by step."""

import math
import operator
import os
import threading
import weakref
from typing import Any

import numpy as np

from fastbp import checks, init
from fastbp._kernels import engine
from fastbp.layers import BatchNormalization
from fastbp.optim import Optimizer
from fastbp.threads import threads_for
from fastbp.training import plans

__all__ = ["Trainer", "require_steps", "trainer_of"]

#: Held while networks change hands: of two threads that take one, the second finds the first.  And
#: while parameters are fetched, so that who holds it finds those of one step.
hands = threading.RLock()
if hasattr(os, "register_at_fork"):  # else a child might find it held by a thread that it lacks
    os.register_at_fork(
        before=hands.acquire, after_in_parent=hands.release, after_in_child=hands.release
    )
#: Those that have a network, of which two may hold the same memory.
_open: weakref.WeakSet = weakref.WeakSet()


def _structure(entry):
    """What of a layer's entry is not a number that may change."""
    kind, n_in, n_out, _, _, flag = entry
    return kind, n_in, n_out, bool(flag)


def _are_same(objects, others):
    """Whether two sequences are of the very same objects."""
    return len(objects) == len(others) and all(map(operator.is_, objects, others))


def require_steps(who, optimizer, batch_size, clip_norm, clip_value):
    """Refuse an optimiser, a batch size or limits of gradients that no step goes by."""
    checks.instance(who, "optimizer", optimizer, Optimizer, "an optimiser, as SGD(lr=0.1)")
    plans.require_own(who, "an optimiser", optimizer, plans.OPTIMIZERS)
    checks.integer(who, "batch_size", batch_size, least=1)
    for name, limit in (("clip_norm", clip_norm), ("clip_value", clip_value)):
        if limit is not None and checks.number(who, name, limit, least=0) == 0:
            raise ValueError(f"{who} expects {name} above 0, or None; got {limit}.")


class _Fixed:
    """What a trainer is made from, once and for all; kept as `_name`.

    Not in `vars(trainer)` under its name: once somebody has looked at an object's `__dict__`, its
    methods are found in the slow way, at each step.
    """

    def __set_name__(self, owner, name):
        self._name = name

    def __get__(self, trainer, owner=None):
        return self if trainer is None else getattr(trainer, f"_{self._name}")

    def __set__(self, trainer, value):
        raise AttributeError(
            f"Trainer expects {self._name} when it is made; got an assignment later: make another."
        )


class Trainer(engine.Plan):
    """Trains a network step by step, each step in one compiled call.

    Parameters
    ----------
    net : Sequential
        With a loss of the library.
    optimizer : Optimizer
        Its state goes on where it was.
    batch_size : int
        The most rows of a step.
    n_threads : int or None
        None: one for small steps, else the cores the process may use.
    seed : int or None
        Chooses the dropout masks.
    clip_norm, clip_value : float or None
        Clip the gradients, by their joint norm or each element.

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

    net, optimizer, dtype = _Fixed(), _Fixed(), _Fixed()
    n_threads, clip_norm, clip_value = _Fixed(), _Fixed(), _Fixed()

    def __new__(
        cls, net, optimizer, batch_size=32, n_threads=None, seed=None,
        clip_norm=None, clip_value=None,
    ):  # fmt: skip
        if not hasattr(net, "layers"):
            raise TypeError(f"Trainer expects net as a Sequential; got {checks.shown(net)}.")
        require_steps("Trainer", optimizer, batch_size, clip_norm, clip_value)
        return cls._compiled(
            plans.described(net), optimizer, operator.index(batch_size), n_threads,
            init.seed_of("Trainer", seed), clip_norm, clip_value,
        )  # fmt: skip

    def __init__(self, *args, **keywords):
        """Take what `__new__`, which was given the same, has checked."""
        self._take(*self.made_from)

    @classmethod
    def _compiled(
        cls, description, optimizer, batch_size, n_threads, seed, clip_norm, clip_value
    ):  # fmt: skip
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
            clip_norm is not None,
            number,
            threads_for(6 * batch_size * operations, n_threads),
        )
        trainer.made_from = description, optimizer, n_threads, seed, clip_norm, clip_value
        return trainer

    def _take(self, description, optimizer, n_threads, seed, clip_norm, clip_value):
        """Take a network from whoever trained it before."""
        self._entries, self._places = description.entries, description.places
        self._loss, self._dtype = description.loss, description.dtype
        self._net = net = description.net
        self._optimizer, self._n_threads = optimizer, n_threads
        self._clip_norm, self._clip_value = clip_norm, clip_value
        self.seed = seed
        self._clips: dict = {"clip_value": clip_value or 0.0, "clip_norm": clip_norm or 0.0}
        self._numbers: dict = optimizer.numbers()
        self.set_rule(**self._numbers, **self._clips)
        # What it was made from: the network may get other layers meanwhile.
        self._layers = net.layers
        self._names = {place: name for name, place in net.params.places().items()}
        with hands:
            optimizer.sync()
            arrays, states = self._arrays_by_name(), self._states()
            optimizer.steps_of(arrays)  # may refuse them
            self._tensors = {name: optimizer.holder(array)[1] for name, array in arrays.items()}
            for layer, _ in self._places:
                if layer._trainer is not None:  # of this network, or of another with this layer
                    layer._trainer.close()
            self._end_others()
            self.steps = optimizer.steps_of(arrays)
            self.reload()
            self._reload_states(states)
            self._members = optimizer.members()
            _open.add(self)
            for layer, _ in self._places:
                vars(layer)["_trainer"] = self  # nothing that a trainer has to look at
            vars(net)["trainer"] = self
            optimizer.held_by(self)

    def _memory(self):
        """The arrays that it has a copy of."""
        running = (getattr(layer, "_running", ()) for layer, _ in self._places)
        held = (self._arrays_of(layer) for layer, _ in self._places)
        return [array for arrays in (*held, *running) for array in arrays]

    def _end_others(self):
        """Close trainers that have copies of the same memory, as each would pass by the other's."""
        arrays = self._memory()
        self._homes = homes = frozenset().union(*map(plans.memory_of, arrays))
        for other in [each for each in _open if each is not self and not each.closed]:
            if not homes.isdisjoint(other._homes) and plans.share_memory(arrays, other._memory()):
                other.close()

    # --- what has changed since -----------------------------------------------------------

    def look_again(self):
        """Take the numbers that layers, loss and optimiser have now, or refuse other changes.

        Raises
        ------
        TypeError, ValueError
            For what only a new trainer can train.
        """
        self._take_data()
        replaced = not _are_same(self._memory(), self._taken)
        entries, _ = plans.entries_of(self.net)
        loss = plans.loss_of(self.net)
        numbers = self.optimizer.numbers()
        plans.require_own("Trainer", "an optimiser", self.optimizer, plans.OPTIMIZERS)
        same = _are_same(self.net.layers, self._layers)
        if not same or list(map(_structure, entries)) != list(map(_structure, self._entries)):
            raise ValueError(
                "Trainer expects the layers that it was made for; got others since, so make a new "
                "Trainer."
            )
        if loss[0] != self._loss[0]:
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
        self.adjust_loss(loss[1])
        self._numbers = numbers

    def _take_data(self):
        """Let layers take what was put in the place of their arrays, which get the newest first."""
        if any(layer.take_data(take=False) for layer, _ in self._places):
            self.sync()
            for layer, _ in self._places:
                layer.take_data(whole=False)

    # --- where the parameters are -----------------------------------------------------------

    def reload(self):
        """Take the parameters from the user's arrays, after writing into them by hand."""
        changes = self.changes  # of another thread, meanwhile: the next look fetches them
        for layer, _ in self._places:
            layer.take_data()
        self._taken = self._memory()
        self._sources = [
            (place, part, *arrays)
            for layer, place in self._places
            for part, arrays in self._parts_of(layer)
        ]
        self.take_arrays()
        self.synced = changes

    def take_arrays(self):
        for place, part, *arrays in self._sources:
            self.write(place, part, *self._native(*arrays))

    def reload_states(self):
        """Take the optimiser's states, and how many steps it has done, as `reload` does."""
        with hands:
            self._take_data()
            arrays, states = self._arrays_by_name(), self._states()
            steps = self.optimizer.steps_of(arrays)
            self.sync()  # the parameters, which have the steps before
            self.steps = steps
            self.optimizer.set_steps(arrays, steps)
            self._reload_states(states)

    def _reload_states(self, states):
        changes = self.changes
        for place, pairs in states:
            for k, pair in enumerate(zip(*pairs, strict=True)):
                self.write(place, engine.FIRST_STATE + k, *self._native(*pair))
        self._fetched = changes

    def sync(self):
        """Write the parameters back into the user's arrays.

        Raises
        ------
        RuntimeError
            While another thread is training the network.
        """
        with hands:
            changes = self.changes  # another thread may step meanwhile: the next look fetches again
            if changes == self.synced:
                return
            parts = [(place, *part) for layer, place in self._places
                     for part in self._parts_of(layer)]  # fmt: skip
            new = [(place, part, *self._like(arrays)) for place, part, arrays in parts]
            self.read_all(new)  # at once, so that all are of one step
            for (*_, arrays), (_, _, *values) in zip(parts, new, strict=True):
                for array, value in zip(arrays, values, strict=True):
                    array[...] = value
            for layer, _ in self._places:
                layer.take_data(whole=False)
            self._count_batches(changes - self.synced)
            self._set_steps()
            self.synced = changes

    def _count_batches(self, n):
        """Tell the layers that count batches of `n` more."""
        for layer, _ in self._places:
            if isinstance(layer, BatchNormalization):
                layer.count_batches(n)

    def close(self):
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
                vars(layer)["_trainer"] = None
            vars(self.net)["trainer"] = None

    def fetch(self):
        """Write what is newer in the trainer, parameters and states, into the user's arrays."""
        with hands:
            self.sync()
            self.fetch_states()

    def fetch_states(self):
        """Write the optimiser's states back, where newer, and how many steps it has done."""
        with hands:
            changes = self.changes
            if changes == self._fetched:
                return
            self._take_data()
            if changes != self.synced:  # else sync has set them
                self._set_steps()
            for place, pairs in self._states(kept_only=True):
                for k, pair in enumerate(zip(*pairs, strict=True)):
                    new = self._like(pair)
                    self.read(place, engine.FIRST_STATE + k, *new)
                    for array, values in zip(pair, new, strict=True):
                        array[...] = values
            self._fetched = changes

    def arrays(self):
        """The user's arrays of the network and of the optimiser's states, by PyTorch's names."""
        arrays = plans.arrays_of(self._layers)
        for (layer, _), (_, pairs) in zip(self._places, self._states(), strict=True):
            place = self._layers.index(layer)
            for name, states in zip(layer.state(), pairs, strict=False):  # a bias may be none
                for kind, state in zip(self.optimizer.state_names, states, strict=False):
                    arrays[f"optimizer.{place}.{name}.{kind}"] = state.T
        return arrays

    def restore(self, arrays, steps, lr):
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
            self._reload_states(self._states())

    def _parts_of(self, layer):
        """What of a layer the plan has a copy of: its name there, and the arrays."""
        yield engine.PARAMETERS, self._arrays_of(layer)
        if isinstance(layer, BatchNormalization):
            yield engine.RUNNING, layer._running

    def _arrays_of(self, layer):
        return [getattr(layer, "_" + name) for name in layer.param_names]

    def _native(self, *arrays):
        return [checks.floats("Trainer", "parameter", array, self.dtype) for array in arrays]

    def _like(self, arrays):
        return [np.empty(array.shape, self.dtype) for array in arrays]

    def _arrays_by_name(self):
        return {name: array for _, held in self._held() for name, array in held if name is not None}

    def _is_kept(self, name, array):
        """Whether the optimiser has the parameter that it had when the trainer was made."""
        return self.optimizer.holder(array)[1] is self._tensors[name]

    def _set_steps(self):
        arrays = self._arrays_by_name().items()
        kept = {name: array for name, array in arrays if self._is_kept(name, array)}
        self.optimizer.set_steps(kept, self.steps)

    def _states(self, kept_only=False):
        """The optimiser's states: each layer's place, and a list of arrays for W and for b.

        No more than the plan has, whatever momentum the optimiser was given since.
        """
        n = min(self.n_states, self.optimizer.n_states)
        return [
            (
                place,
                [
                    self.optimizer.state_of(name, array)[:n]
                    if name is not None and (not kept_only or self._is_kept(name, array))
                    else [np.zeros_like(array)] * n
                    for name, array in held
                ],
            )
            for place, held in self._held()
        ]

    def _held(self):
        """Each layer's place, and the names and arrays of W and b.

        The plan has a bias of zeros where a layer has none: its name is None.
        """
        for layer, place in self._places:
            trained = ("W",) if not getattr(layer, "has_bias", True) else layer.param_names
            yield (
                place,
                [
                    (self._names[layer, name] if name in trained else None, array)
                    for name, array in zip(layer.param_names, self._arrays_of(layer), strict=True)
                ],
            )

    # --- what the plan asks for -------------------------------------------------------------

    def converted(self, x, t, weights):
        dtype, loss_layer = self._dtype, self._net.loss_layer
        x = plans.rows_of("Trainer", x, self.n_in, dtype)
        n_rows = len(x)
        if loss_layer is not None:
            t = plans.targets_of("Trainer", loss_layer, t, n_rows, self.n_out, dtype)
        if weights is not None:
            weights = checks.floats("Trainer", "weights", weights, dtype)
            checks.same_shape("Trainer", "weights", weights, (n_rows,), "x has rows")
        return x, t, weights

    def diverged(self, loss, layer, when=None):
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


def trainer_of(description, optimizer, batch_size, *options):
    """A `Trainer` of what was checked before: a `plans.Description`, and by `require_steps`."""
    trainer: Any = Trainer._compiled(description, optimizer, batch_size, *options)
    trainer._take(*trainer.made_from)
    return trainer
