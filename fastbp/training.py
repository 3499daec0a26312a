"""Training: a list of layers and a loss compiled to a `Plan`, step by step or by `fit`."""

import dataclasses
import itertools
import math
import os
import sys
import threading
import time

import numpy as np

from fastbp import checkpoints, checks, init, plots
from fastbp._kernels import engine
from fastbp.layers import Affine, BatchNormalization, Layer
from fastbp.optim import Optimizer
from fastbp.threads import threads_for

__all__ = ["EarlyStopping", "History", "Trainer", "fit"]

#: Rows of one evaluation of the validation set, so that it takes little memory.
EVALUATION_ROWS = 256

#: Held while networks change hands: of two threads that take one, the second finds the first.
_hands = threading.RLock()
if hasattr(os, "register_at_fork"):  # else a child might find it held by a thread that it lacks
    os.register_at_fork(
        before=_hands.acquire, after_in_parent=_hands.release, after_in_child=_hands.release
    )


class Trainer(engine.Plan):
    """Trains a network step by step, each step in one compiled call.

    Parameters
    ----------
    net : Sequential
        With a loss of the library.
    optimizer : Optimizer
        Its numbers hold from here on (but for `lr`, an attribute of the trainer); its state
        goes on where it was.
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
        The learning rate of the next step.
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
    While a trainer steps, the current parameters are in the trainer.  The network's methods,
    `net.params` and the layers' attributes fetch them first, into the very arrays that the
    user holds; `sync` does it by hand.  After writing into those arrays by hand, call
    `reload`.  One network has one trainer: making another one ends the first.

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

    def __new__(
        cls, net, optimizer, batch_size=32, n_threads=None, seed=None,
        clip_norm=None, clip_value=None,
    ):  # fmt: skip
        checks.instance(
            "Trainer", "optimizer", optimizer, Optimizer, "an optimiser, as SGD(lr=0.1)"
        )
        _require_own("Trainer", "an optimiser", optimizer, _OPTIMIZERS)
        if not hasattr(net, "layers"):
            raise TypeError(f"Trainer expects net as a Sequential; got {checks.shown(net)}.")
        batch_size = checks.integer("Trainer", "batch_size", batch_size, least=1)
        for name, limit in (("clip_norm", clip_norm), ("clip_value", clip_value)):
            if limit is not None and checks.number("Trainer", name, limit, least=0) == 0:
                raise ValueError(f"Trainer expects {name} above 0, or None; got {limit}.")
        entries, _ = _plan_entries(net)
        dtype = _parameters_dtype(net)
        operations = 6 * batch_size * sum(n_in * n_out for _, n_in, n_out, *_ in entries)
        loss_layer = net.loss_layer
        if loss_layer is not None:
            _require_own("Trainer", "a loss", loss_layer, _LOSSES)
        parameters = list(net.params.items())
        for name, array in parameters:
            checks.writable_parameter("Trainer", f"params[{name!r}]", array)
        for (name, array), (other, another) in itertools.combinations(parameters, 2):
            if np.shares_memory(array, another):  # the plan trains copies: one would be lost
                raise ValueError(
                    f"Trainer expects parameters in memory of their own; got {name} and {other} "
                    "in the same."
                )
        return super().__new__(
            cls,
            entries,
            None if loss_layer is None else loss_layer.kind,
            batch_size,
            dtype == np.float64,
            optimizer.rule,
            optimizer.n_states,
            clip_norm is not None,
            getattr(loss_layer, "delta", 1.0),
            threads_for(operations, n_threads),
        )

    def __init__(
        self, net, optimizer, batch_size=32, n_threads=None, seed=None,
        clip_norm=None, clip_value=None,
    ):  # fmt: skip
        self.net = net
        self.optimizer = optimizer
        self.seed = init.seed_of("Trainer", seed)
        self.set_rule(
            **optimizer.numbers(), clip_value=clip_value or 0.0, clip_norm=clip_norm or 0.0
        )
        _, self._places = _plan_entries(net)
        self.dtype = _parameters_dtype(net)
        with _hands:
            arrays, states = self._arrays_by_name(), self._states()
            optimizer.steps_of(arrays)  # may refuse them
            for layer, _ in self._places:
                if layer._trainer is not None:  # of this network, or of another with this layer
                    layer._trainer.close()
            self.steps = optimizer.steps_of(arrays)
            self.reload()
            self._reload_states(states)
            for layer, _ in self._places:
                layer._trainer = self
            net.trainer = self
            optimizer.held_by(self)

    # --- where the parameters are -----------------------------------------------------------

    def reload(self):
        """Take the parameters from the user's arrays, after writing into them by hand."""
        changes = self.changes  # of another thread, meanwhile: the next look fetches them
        for layer, place in self._places:
            layer.take_data()
            W, b = self._arrays_of(layer)
            self.write(place, engine.PARAMETERS, *self._native(W, b))
            if isinstance(layer, BatchNormalization):
                self.write(place, engine.RUNNING, *self._native(*layer._running))
        self.synced = changes

    def reload_states(self):
        """Take the optimiser's states, and how many steps it has done, as `reload` does."""
        with _hands:
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
        with _hands:
            changes = self.changes  # another thread may step meanwhile: the next look fetches again
            if changes == self.synced:
                return
            for layer, place in self._places:
                self._fetch(place, engine.PARAMETERS, self._arrays_of(layer))
                if isinstance(layer, BatchNormalization):
                    self._fetch(place, engine.RUNNING, layer._running)
            self.optimizer.set_steps(self._arrays_by_name(), self.steps)
            self.synced = changes

    def close(self):
        """Write everything back, and let go of the network; the trainer steps no more."""
        with _hands:
            if self.closed:
                return
            try:
                self.shut()  # first, so that a step of another thread is refused, not lost
                self.fetch()
            except BaseException:
                self.closed = False
                raise
            for layer, _ in self._places:
                layer._trainer = None
            self.net.trainer = None

    def fetch(self):
        """Write what is newer in the trainer, parameters and states, into the user's arrays."""
        with _hands:
            self.sync()
            self.fetch_states()

    def fetch_states(self):
        """Write the optimiser's states back, where newer, and how many steps it has done."""
        with _hands:
            changes = self.changes
            if changes == self._fetched:
                return
            if changes != self.synced:  # else sync has set them
                self.optimizer.set_steps(self._arrays_by_name(), self.steps)
            for place, pairs in self._states():
                for k, pair in enumerate(zip(*pairs, strict=True)):
                    self._fetch(place, engine.FIRST_STATE + k, pair)
            self._fetched = changes

    def arrays(self):
        """The user's arrays of the network and of the optimiser's states, by PyTorch's names."""
        arrays = arrays_of(self.net)
        for (layer, _), (_, pairs) in zip(self._places, self._states(), strict=True):
            place = self.net.layers.index(layer)
            for name, states in zip(layer.state(), pairs, strict=False):  # a bias may be none
                for kind, state in zip(self.optimizer.state_names, states, strict=False):
                    arrays[f"optimizer.{place}.{name}.{kind}"] = state.T
        return arrays

    def restore(self, arrays, steps, lr):
        """Go on from other contents of `arrays`, after so many steps."""
        with _hands:
            own = self.arrays()
            before = {name: array.copy() for name, array in own.items()}
            try:
                _fill(own, arrays)
            except BaseException:  # Ctrl-C: all or nothing
                _fill(own, before)
                raise
            self.steps, self.lr = steps, lr
            self.optimizer.set_steps(self._arrays_by_name(), steps)
            self.reload()
            self._reload_states(self._states())

    def _arrays_of(self, layer):
        return [getattr(layer, "_" + name) for name in layer.param_names]

    def _native(self, *arrays):
        return [checks.floats("Trainer", "parameter", array, self.dtype) for array in arrays]

    def _fetch(self, place, part, arrays):
        new = [np.empty(array.shape, self.dtype) for array in arrays]
        self.read(place, part, *new)
        for array, values in zip(arrays, new, strict=True):
            array[...] = values

    def _arrays_by_name(self):
        return {name: array for _, held in self._held() for name, array in held if name is not None}

    def _states(self):
        """The optimiser's states: each layer's place, and a list of arrays for W and for b.

        No more than the plan has, whatever momentum the optimiser was given since.
        """
        n = min(self.n_states, self.optimizer.n_states)
        return [
            (
                place,
                [
                    self.optimizer.state_of(name, array)[:n]
                    if name is not None
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
        names = {place: name for name, place in self.net.params.places().items()}
        for layer, place in self._places:
            trained = ("W",) if not getattr(layer, "has_bias", True) else layer.param_names
            yield (
                place,
                [
                    (names[layer, name] if name in trained else None, array)
                    for name, array in zip(layer.param_names, self._arrays_of(layer), strict=True)
                ],
            )

    # --- what the plan asks for -------------------------------------------------------------

    def converted(self, x, t, weights):
        x = _rows_of("Trainer", x, self.n_in, self.dtype)
        n_rows = len(x)
        loss_layer = self.net.loss_layer
        if loss_layer is not None:
            t = _targets_of("Trainer", loss_layer, t, n_rows, self.n_out, self.dtype)
        if weights is not None:
            weights = checks.floats("Trainer", "weights", weights, self.dtype)
            checks.same_shape("Trainer", "weights", weights, (n_rows,), "x has rows")
        return x, t, weights

    def diverged(self, loss, layer, when=None):
        first = "all layers' outputs are finite"
        if layer >= 0:
            held = [i for i, one in enumerate(self.net.layers) if one.kind is not None]
            place = held[layer]
            first = f"the first layer with such an output is {self.net.layers[place]!r} ({place})"
        return FloatingPointError(
            f"Training expects a finite loss; got {loss} in {when or f'step {self.steps + 1}'}, "
            f"where {first}; try a smaller lr or clip_norm=1, and look for NaN and inf in x and t."
        )


def _fill(arrays, values):
    for name, array in arrays.items():
        array[...] = values[name]


def arrays_of(net):
    """A network's arrays under the names that they have in its file, as views."""
    return {
        f"{place}.{name}": array
        for place, layer in enumerate(net.layers)
        if isinstance(layer, Layer)
        for name, array in layer.state().items()
    }


def _plan_entries(net):
    """The plan's description of each layer, and (layer, place in the plan) of the trained."""
    _require_unhooked("the network", net)
    entries: list[tuple] = []
    places: list[tuple[Layer, int]] = []
    width = None
    for number, layer in enumerate(net.layers):
        _require_own("Trainer", f"a layer at place {number}", layer, _LAYERS)
        _require_unhooked(f"{layer!r} at place {number}", layer)
        if layer.kind is None:
            continue
        for name, tensor in layer._parameters.items():
            if tensor is not None and not tensor.requires_grad:
                raise ValueError(
                    f"Trainer expects parameters that are all trained; got {name} of {layer!r} at "
                    f"place {number} with requires_grad=False, so train by a loop over Tensors."
                )
        if layer.kind not in engine.LAYER_KINDS:
            raise TypeError(
                f"Trainer expects layers that the training engine holds; got {layer!r} at place "
                f"{number}, so train by a loop over Tensors, or by gradient and update."
            )
        if isinstance(layer, Affine):
            n_in, n_out = layer._W.shape
        elif isinstance(layer, BatchNormalization):
            n_in = n_out = len(layer._gamma)
        elif width is None:
            raise ValueError(
                f"Trainer expects the first layer to say its width, as Linear does; "
                f"got {layer!r} at place {number}."
            )
        else:
            n_in = n_out = width
        if width not in (None, n_in):
            raise ValueError(
                f"Trainer expects {width} inputs at place {number}, as the layer before has "
                f"outputs; got {layer!r}."
            )
        width = n_out
        if layer.param_names:
            places.append((layer, len(entries)))
        entries.append(
            (
                layer.kind, n_in, n_out, layer.kind_number,
                getattr(layer, "old_share", 0.0),
                getattr(layer, "unbiased", not getattr(layer, "has_bias", True)),
            )
        )  # fmt: skip
    if not places:
        raise ValueError("Trainer expects a layer with parameters; got none.")
    return entries, places


#: Where classes are defined whose methods the engine stands for.
_LAYERS = ("fastbp.layers", "fastbp.nn")
_LOSSES = ("fastbp.losses",)
_OPTIMIZERS = ("fastbp.optim",)


def _require_own(who, what, thing, modules):
    """Refuse a user's own class, a subclass too: the engine would not run its methods."""
    where = f"{type(thing).__module__}."
    if not any(where.startswith(f"{module}.") for module in modules):
        raise TypeError(
            f"{who} expects {what} of the library's own; got {thing!r}, whose methods it would "
            "not run, so train by gradient and update."
        )


def _require_unhooked(shown, module):
    if module._hooks is not None:
        raise ValueError(
            f"Trainer expects layers without forward hooks, which it would not call; got one of "
            f"{shown}, so remove it or train by a loop over Tensors."
        )


def _parameters_dtype(net):
    """The one dtype of all parameters: float64 where they differ."""
    return np.result_type(*(array.dtype.newbyteorder("=") for array in net.params.values()))


def _rows_of(who, x, n_in, dtype):
    """Rows for the engine: dense float32, float64 or uint8, or SparseRows."""
    if hasattr(x, "tocsr"):
        if x.format != "csr":
            x = checks.sparse(who, "x", x).tocsr()
        if x.shape[1] != n_in:
            raise ValueError(
                f"{who} expects x with {checks.plural(n_in, 'feature')}; got x of shape {x.shape}."
            )
        data = checks.floats(who, "x", x.data)
        indices, indptr = (np.ascontiguousarray(each, np.int64) for each in (x.indices, x.indptr))
        try:
            return engine.SparseRows(data, indices, indptr, n_in)  # which looks at all indices
        except ValueError:
            checks.sparse(who, "x", x)  # the same, named; at ten times the cost
            raise
    if type(x) is np.ndarray and x.dtype == np.uint8:
        x = np.ascontiguousarray(x)
    elif isinstance(x, engine.SparseRows):
        return x
    else:
        x = checks.floats(who, "x", x)
    shape = x.shape
    if x.ndim == 1:
        x = x.reshape(1, -1)
    elif x.ndim > 2:
        x = x.reshape(len(x), int(np.prod(shape[1:])))
    if x.ndim != 2 or x.shape[1] != n_in:
        raise ValueError(
            f"{who} expects x with {checks.plural(n_in, 'feature')}; got x of shape {shape}."
        )
    return x


def _targets_of(who, loss_layer, t, n_rows, n_out, dtype):
    """Targets for the engine: int64 class indices, or rows of the plan's dtype."""
    if loss_layer.kind == "softmax":
        return checks.class_targets(who, t, (n_rows, n_out), dtype, one_sample=n_rows == 1)
    y = np.empty((n_rows, n_out), dtype)
    t = checks.numbers(who, "t", t)
    if n_rows == 1 and t.shape == (n_out,):
        t = t.reshape(1, n_out)
    if loss_layer.kind == "sigmoid":
        return checks.binary_targets(who, t, y)
    return checks.values_like(who, t, y)


# --- fit ------------------------------------------------------------------------------------


@dataclasses.dataclass
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

    train_loss: list = dataclasses.field(default_factory=list)
    val_loss: list = dataclasses.field(default_factory=list)
    train_accuracy: list = dataclasses.field(default_factory=list)
    val_accuracy: list = dataclasses.field(default_factory=list)
    lr: list = dataclasses.field(default_factory=list)
    seconds: list = dataclasses.field(default_factory=list)
    batch_loss: list = dataclasses.field(default_factory=list)
    seed: int = 0
    stopped_by: str = "epochs"

    def __len__(self):
        return len(self.train_loss)

    def plot(self, path=None):
        """Draw the curves of loss and accuracy; a file where `path` says so.

        Parameters
        ----------
        path : str, os.PathLike or None

        Returns
        -------
        matplotlib.figure.Figure
        """
        names = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
        curves = {name: getattr(self, name) for name in names if getattr(self, name)}
        return plots.learning_curves(curves, path)

    def __repr__(self):
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
    monitor : {"val_loss", "val_accuracy", "train_loss", "train_accuracy"}
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

    MONITORS = ("val_loss", "val_accuracy", "train_loss", "train_accuracy")

    def __init__(self, patience=10, monitor="val_loss", min_delta=0.0, restore_best=True):
        self.patience = checks.integer("EarlyStopping", "patience", patience, least=1)
        self.monitor = checks.choice("EarlyStopping", "monitor", monitor, self.MONITORS)
        self.min_delta = checks.number("EarlyStopping", "min_delta", min_delta, least=0)
        self.restore_best = bool(restore_best)
        self.start()

    def start(self):
        """Forget an earlier training."""
        self.best = -math.inf
        self.best_epoch = 0
        self.best_arrays = None

    def should_stop(self, net, history):
        """Look at the last epoch, keep the network's arrays where it is the best one."""
        value = getattr(history, self.monitor)[-1]
        score = value if self.monitor.endswith("accuracy") else -value
        epoch = len(history) - 1
        if score > self.best + self.min_delta:  # false for NaN
            if self.restore_best:
                self.best_arrays = {name: a.copy() for name, a in arrays_of(net).items()}
            self.best, self.best_epoch = score, epoch  # last: Ctrl-C above has it done again
        return self.is_over(history)

    def is_over(self, history):
        """Whether the best epoch lies too far back."""
        return len(history) - 1 - self.best_epoch >= self.patience

    def config(self):
        """What has to agree where a training goes on."""
        return {
            "monitor": self.monitor,
            "min_delta": self.min_delta,
            "restore_best": self.restore_best,
        }

    def restore(self, net):
        """Put the best epoch's arrays back."""
        if self.best_arrays is None:
            return
        for name, array in arrays_of(net).items():
            array[...] = self.best_arrays[name]
        self.best_arrays = None


def fit(
    net, x, t, *, epochs, optimizer, batch_size=32, validation_data=None, shuffle=True, seed=None,
    sample_weight=None, class_weight=None, schedule=None, early_stopping=None, clip_norm=None,
    clip_value=None, callbacks=(), progress=False, max_seconds=None, n_threads=None,
    checkpoint=None, every=None, resume=None,
):  # fmt: skip
    """Train `net`; see `Sequential.fit`."""
    who = "fit"
    loss_layer = net.loss_layer_for(who)
    _require_own(who, "a loss", loss_layer, _LOSSES)
    epochs = checks.integer(who, "epochs", epochs, least=0)
    batch_size = checks.integer(who, "batch_size", batch_size, least=1)
    if max_seconds is not None:
        max_seconds = checks.number(who, "max_seconds", max_seconds, least=0)
    entries, _ = _plan_entries(net)
    dtype, n_in, n_out = _parameters_dtype(net), entries[0][1], entries[-1][2]
    x = _rows_of(who, x, n_in, dtype)
    n = len(x)
    if n == 0:
        raise ValueError(f"{who} expects at least one row in x; got none.")
    t = _targets_of(who, loss_layer, t, n, n_out, dtype)
    weights = _weights_of(who, sample_weight, class_weight, loss_layer, t, (n, n_out), dtype)
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
    bar = _progress_bar(epochs) if progress else None
    trainer = Trainer(net, optimizer, batch_size, n_threads, seed, clip_norm, clip_value)
    if early_stopping is not None:
        early_stopping.start()
    history = History(seed=seed)
    deadline = None if max_seconds is None else time.monotonic() + max_seconds
    n_batches = math.ceil(n / batch_size)
    at = checkpoints.Progress(0, n_batches)
    whole = False  # whether `at` is where the arrays are
    try:
        if saved is not None:
            at = saved.restore(trainer, history, early_stopping, n_batches)
        whole = True
        net.history = history
        if bar is not None:
            bar.update(at.epoch)
        if early_stopping is not None and len(history) and early_stopping.is_over(history):
            history.stopped_by = "early_stopping"
            return history
        while at.epoch < epochs:
            epoch = at.epoch
            order = np.arange(n, dtype=np.int64)
            if shuffle:
                np.random.default_rng([seed % 2**32, seed >> 32, epoch]).shuffle(order)
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
    for name, array in arrays_of(net).items():
        if array.dtype.itemsize < dtype.itemsize:  # the plan's numbers would be rounded
            raise ValueError(
                f"fit expects arrays of one dtype, {dtype}, where it writes or reads a checkpoint; "
                f"got {array.dtype} in {name}."
            )
    checks.instance("fit", "optimizer", optimizer, Optimizer, "an optimiser, as SGD(lr=0.1)")
    _require_own("fit", "an optimiser", optimizer, _OPTIMIZERS)
    clips = {
        name: None if limit is None else checks.number("fit", name, limit, least=0)
        for name, limit in (("clip_norm", clip_norm), ("clip_value", clip_value))
    }
    architecture = net.architecture()
    for layer in architecture["layers"]:
        if layer["type"] == "Linear":  # which a file gives back as an Affine
            layer["type"] = "Affine"
    return {
        **architecture,
        "dtype": dtype.name,
        "optimizer": {"type": type(optimizer).__name__, **optimizer.numbers()},
        "rows": len(x),
        "batch_size": batch_size,
        "shuffle": bool(shuffle),
        **clips,
        "validation_rows": None if validation_data is None else len(validation_data[0]),
        "early_stopping": None if early_stopping is None else early_stopping.config(),
        "checksum of x, t and weights": checkpoints.checksum(x, t, weights),
    }


def _callables(who, callbacks):
    try:
        callbacks = tuple(callbacks)
    except TypeError:
        callbacks = (None,)
    if not all(map(callable, callbacks)):
        raise TypeError(
            f"{who} expects callbacks as a sequence of functions of (net, history); got another."
        )
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
        trainer.sync()
        stop = callback(net, history)
        if trainer.changes == trainer.synced and not trainer.closed:
            trainer.reload()  # what it wrote into the parameters
        if stop:
            return "callback"
    return None


def _weights_of(who, sample_weight, class_weight, loss_layer, t, shape, dtype):
    """The rows' weights, or None where all are 1."""
    if sample_weight is None and class_weight is None:
        return None
    n, n_classes = shape
    weights = np.ones(n)
    if sample_weight is not None:
        weights = checks.floats(who, "sample_weight", sample_weight, checks.FLOAT64)
        checks.same_shape(who, "sample_weight", weights, (n,), "x has rows")
    if class_weight is not None:
        if loss_layer.kind != "softmax":
            raise ValueError(
                f"{who} expects class_weight with SoftmaxWithLoss; got {loss_layer!r}."
            )
        classes = t if t.ndim == 1 else t.argmax(axis=1)
        if isinstance(class_weight, str) and class_weight == "balanced":
            counts = np.bincount(classes, minlength=n_classes)
            by_class = n / (np.count_nonzero(counts) * np.maximum(counts, 1))
        else:
            if isinstance(class_weight, str) or not np.iterable(class_weight):
                raise TypeError(
                    f"{who} expects class_weight as a weight per class or 'balanced'; "
                    f"got {checks.shown(class_weight)}."
                )
            by_class = np.ones(n_classes)
            if not hasattr(class_weight, "items"):
                class_weight = list(class_weight)
                if len(class_weight) != n_classes:
                    raise ValueError(
                        f"{who} expects class_weight with {checks.plural(n_classes, 'weight')}, "
                        f"one per class; got {len(class_weight)}."
                    )
                class_weight = dict(enumerate(class_weight))
            for key, value in class_weight.items():
                place = checks.integer(who, "class_weight's class", key, 0, n_classes - 1)
                by_class[place] = checks.number(who, f"class_weight[{key}]", value, least=0)
        weights = weights * by_class[classes]
    if not np.isfinite(weights).all() or weights.min() < 0 or not weights.any():
        raise ValueError(
            f"{who} expects weights that are finite, not negative and not all zero; got values "
            f"from {weights.min():g} to {weights.max():g}."
        )
    return checks.weights_of_rows(who, weights, dtype)


# --- validation -----------------------------------------------------------------------------


def _validation_of(net, data, n_in, n_out, dtype):
    try:
        x, t = data
    except (TypeError, ValueError):
        raise ValueError(
            f"fit expects validation_data as a pair (x, t); got {type(data).__name__}."
        ) from None
    if hasattr(x, "tocsr"):
        x = x.toarray()
    x = _rows_of("validation_data", x, n_in, dtype)
    if len(x) == 0:
        raise ValueError("fit expects at least one row in validation_data; got none.")
    return x, _targets_of("validation_data", net.loss_layer, t, len(x), n_out, dtype)


def _validate(net, history, x, t):
    """Loss and accuracy of the validation set, some rows at a time."""
    loss = correct = 0.0
    loss_layer = net.loss_layer
    for start in range(0, len(x), EVALUATION_ROWS):
        part = slice(start, start + EVALUATION_ROWS)
        rows = len(x[part])
        y = net.predict(x[part])
        loss += loss_layer.evaluate(y, t[part]) * rows
        if loss_layer.classifies:
            correct += loss_layer.accuracy(y, t[part]) * rows
    history.val_loss.append(loss / len(x))
    if loss_layer.classifies:
        history.val_accuracy.append(correct / len(x))


def _progress_bar(epochs):
    try:
        import tqdm
    except ImportError:
        raise checks.missing_extra("tqdm", "fit(progress=True)") from None
    return tqdm.tqdm(total=epochs, unit="epoch", disable=sys.stderr is None)


def _postfix(history):
    names = {"train_loss": "loss", "train_accuracy": "accuracy", "val_loss": "val_loss",
             "val_accuracy": "val_accuracy"}  # fmt: skip
    return ", ".join(
        f"{short} {getattr(history, name)[-1]:.4f}"
        for name, short in names.items()
        if getattr(history, name)
    )
