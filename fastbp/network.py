"""`Sequential`: a network as a list of layers and a loss, with the book's methods."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, Never, Protocol, Self, TypeAlias

import numpy as np

from fastbp import architecture, checks
from fastbp._kernels import prediction
from fastbp._kernels.autograd import TensorBase
from fastbp._kernels.changes import note, noted
from fastbp.layers import Affine, Embeddings, Flatten, Layer, Linear, activations
from fastbp.layers.base import takes_train_flg
from fastbp.losses import Loss, SoftmaxWithLoss, loss_of
from fastbp.modules import Module
from fastbp.parameters import Parameters, is_foreign, require_named
from fastbp.threads import threads_for
from fastbp.training import labels, plans
from fastbp.training.fit import fit

#: Names of activations and losses, for type checkers; a test compares.
ActivationName: TypeAlias = Literal[
    "relu", "sigmoid", "tanh", "linear", "leaky_relu", "softplus", "gelu", "elu", "celu", "selu", "silu", "mish",
    "hardtanh", "relu6", "hardsigmoid", "hardswish", "logsigmoid", "softsign", "tanhshrink",
]  # fmt: skip
LossName: TypeAlias = Literal[
    "softmax_cross_entropy", "sigmoid_cross_entropy", "hinge", "focal", "squared_error", "absolute_error", "huber",
    "quantile", "gaussian", "poisson", "log_cosh",
]  # fmt: skip

if TYPE_CHECKING:
    from fastbp._typing import Array, ArrayLike, Callback, Features, File, FloatDType, Path, Schedule, Seed
    from fastbp.communicators import AnyCommunicator
    from fastbp.diagnosis import Diagnosis
    from fastbp.optim import Optimizer
    from fastbp.training.history import EarlyStopping, History
    from fastbp.training.plans import ClassWeight
    from fastbp.training.trainer import Trainer

    class LayerLike(Protocol):
        def forward(self, x: Any, /) -> Any: ...

        def backward(self, dout: Any, /) -> Any: ...

    class LossLike(Protocol):
        def forward(self, x: Any, t: Any, /) -> Any: ...

        def backward(self) -> Any: ...

    AnyLoss: TypeAlias = LossLike | Module | type[Loss | Module] | LossName
    #: Of pairs (x, t), for one epoch or for each.
    Batches: TypeAlias = Iterable[Any] | Callable[[], Iterable[Any]]

__all__ = ["Parameters", "Sequential"]

#: Names of `Sequential.from_config` and of the command line.
ACTIVATIONS = activations.LAYERS
#: What is called as a module is, with its hooks.
_CALLS = (Module.__call__, Layer.__call__)
#: Held while a module of the user's own is in evaluation mode for `predict`.
_modes = threading.RLock()
#: Rows that `predict` converts at a time.
BLOCK = 1024


class Parts(dict):
    """The parts of a network by name; it notes each change, so that `layers` follows them."""


def _noting(name):
    def method(self, *args, **keywords):
        note()
        return getattr(dict, name)(self, *args, **keywords)

    return method


for _name in ("__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update"):
    setattr(Parts, _name, _noting(_name))


class Sequential(Module):
    """Layers, one after the other, and a loss.

    Parameters
    ----------
    *layers : Layer
        Any object with ``forward(x)`` and ``backward(dout)`` will do: it names its arrays in
        `param_names`, or has each one's gradient beside it from the beginning, as `dW` beside
        `W`.  A Sequential among them stands for its layers.  Other modules compute on Tensors
        only.  An OrderedDict names the layers, as PyTorch's does.
    loss : Loss, its class, its name, or None
        Names are the keys of `fastbp.losses.LOSSES`, as "softmax_cross_entropy"; None will do for
        a network that only predicts.

    Attributes
    ----------
    params : Parameters
        Live mapping of ``W1, b1, W2, ...``; the k-th Affine owns ``Wk`` and ``bk``.
    layers : tuple
        With those of a Sequential within in its place.
    loss_layer : Loss or None
    history : History or None
        Of the last `fit`, however it ended.
    trainer : Trainer or None
        Who trains the network now, and has its current parameters.

    Raises
    ------
    TypeError, ValueError
        For an object that is no layer, layers whose widths do not follow on each other, or an
        unknown loss.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 5.7.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.layers import Linear, Relu, SoftmaxWithLoss
    >>> net = Sequential(Linear(2, 8, seed=0), Relu(), Linear(8, 3, seed=1),
    ...                  loss=SoftmaxWithLoss())
    >>> x, t = np.ones((5, 2), "float32"), np.array([0, 1, 2, 0, 1])
    >>> net.predict(x).shape
    (5, 3)
    >>> sorted(net.gradient(x, t))
    ['W1', 'W2', 'b1', 'b2']
    >>> before = net.loss(x, t)
    >>> for key, grad in net.gradient(x, t).items():
    ...     net.params[key] -= 0.1 * grad
    >>> net.loss(x, t) < before
    True
    """

    #: The names of the outputs' classes, where targets were texts.
    classes: tuple[str, ...] | None = None
    loss_layer: Any
    history: History | None
    trainer: Trainer | None

    def __init__(
        self, *layers: Module | LayerLike | Mapping[str, Module | LayerLike], loss: AnyLoss | None = None
    ) -> None:
        super().__init__()
        if len(layers) == 1 and isinstance(layers[0], Mapping):
            parts: dict[str, Any] = dict(layers[0])
        elif len(layers) == 1 and isinstance(layers[0], list | tuple):
            raise TypeError(
                "Sequential expects its layers one by one, as in Sequential(*layers); "
                f"got a {type(layers[0]).__name__}."
            )
        else:
            parts = {str(place): layer for place, layer in enumerate(layers)}
        vars(self).update(
            history=None,
            trainer=None,
            loss_layer=_loss_layer(loss),
            _saved=None,  # what each layer's backward needs of the last forward
            _layers=(),
            _params=Parameters(()),
            _seen=None,  # the count of changes when the parts were last looked at
            _foreign=(),  # the layers of one's own that do not name their arrays
            _flow=(),  # the layers, and whether each is run by its run and pullback
            _compiled=None,  # what predicts in one call; nothing where a layer is of another kind
            _plain=True,  # whether nothing else is called: no hook, no forward of a part's own
            _replaced=None,  # whose hook gave another output in the last forward
            _modules=Parts(),
        )
        self._require_layers(parts)
        _require_widths(_leaves_of(parts))
        self._modules.update(parts)

    @staticmethod
    def _require_layers(parts):
        """Refuse what cannot be a part."""
        for place, layer in enumerate(_leaves_of(parts)):
            if isinstance(layer, Loss) or (isinstance(layer, type) and issubclass(layer, Loss)):
                raise TypeError(
                    f"Sequential expects its loss by name, as in Sequential(*layers, loss=...); "
                    f"got {layer!r} among the layers."
                )
            if isinstance(layer, type) or not _is_layer(layer):
                raise TypeError(
                    f"Sequential expects layers, objects with forward(x) and backward(dout); "
                    f"got {checks.shown(layer)} at place {place}"
                    + (", a class: call it." if isinstance(layer, type) else ".")
                )
        others = [leaf for leaf in _leaves_of(parts) if not isinstance(leaf, Module)]
        for place, layer in enumerate(others):
            if any(layer is other for other in others[:place]):
                raise ValueError(
                    "Sequential expects an object with forward(x) and backward(dout), which keeps "
                    f"what backward needs, at one place only; got {layer!r} again."
                )

    def _arrange(self, parts):
        """Take `parts`, by name, as what the network is made of."""
        self._require_layers(parts)
        self._modules.clear()
        self._modules.update(parts)

    @property
    def layers(self) -> tuple[Any, ...]:
        """The layers in their order, with those of a Sequential within in its place."""
        if self._seen != noted():
            self._look_at_parts()
        return self._layers

    @property
    def params(self) -> Parameters:
        """The parameters by the book's names."""
        if self._seen != noted():
            self._look_at_parts()
        return self._params

    def _look_at_parts(self):
        """Follow the parts, which may have been changed in their table, and within parts."""
        count = noted()
        layers = tuple(_leaves_of(self._modules))
        own = vars(self)
        modules = [module for module in self.modules() if isinstance(module, Sequential)]
        own["_foreign"] = tuple(filter(is_foreign, layers))
        own["_flow"] = [(layer, _is_functional(layer)) for layer in layers]
        own["_plain"] = all(
            getattr(each, "_hooks", None) is None and not _own_passes(each) for each in (*modules, *layers)
        )
        links = [_link_of(layer) if functional else None for layer, functional in own["_flow"]]
        if len(layers) != len(self._layers) or any(map(_differ, layers, self._layers)):
            self._require_layers(self._modules)
            own.update(_layers=layers, _params=Parameters(layers, self._params), _saved=None)
        found = () if None in links else filter(None, links)
        compiled = prediction.Layers(found, threads_for, count)
        own["_seen"], own["_compiled"] = count, compiled
        return compiled  # another thread may put one in its place, with arrays of before

    def __setattr__(self, name: str, value: Any) -> None:
        """A module set by a name is the part of that name; the loss is no part."""
        if name == "loss_layer":
            note()
            vars(self)[name] = _loss_layer(value)
        elif name == "loss" and (value is None or isinstance(value, str) or hasattr(value, "forward")):
            raise TypeError(
                f"{type(self).__name__} expects its loss as loss_layer, as loss(x, t) is a method; got "
                f"{checks.shown(value)} set as loss: net.loss_layer = ... sets it."
            )
        elif name in vars(self).get("_modules", ()):
            self.register_module(name, value)
        else:
            super().__setattr__(name, value)

    def register_module(self, name: str, module: Any) -> None:
        """Add a layer under a name, or put another in its place."""
        self._require_name(f"{type(self).__name__}.add_module", name, "_modules")
        parts = {**self._modules, name: module}
        self._require_layers(parts)
        self._modules[name] = module

    add_module = register_module

    def append(self, module: Module | LayerLike) -> Self:
        """Add a layer at the end."""
        self.register_module(str(len(self._modules)), module)
        return self

    def extend(self, modules: Iterable[Module | LayerLike]) -> Self:
        """Add several layers at the end."""
        modules = checks.sequence("Sequential.extend", "modules", modules, "layers")
        places = range(len(self._modules), len(self._modules) + len(modules))
        self._arrange({**self._modules, **dict(zip(map(str, places), modules, strict=True))})
        return self

    def insert(self, index: int, module: Module | LayerLike) -> Self:
        """Add a layer before another; the places are counted anew."""
        parts = list(self._modules.values())
        index = checks.integer("Sequential.insert", "index", index, -len(parts), len(parts))
        parts.insert(index, module)
        self._arrange({str(place): part for place, part in enumerate(parts)})
        return self

    def __setitem__(self, index: int | str, module: Module | LayerLike) -> None:
        name = index if isinstance(index, str) else list(self._modules)[index]
        self.register_module(name, module)

    def __delitem__(self, index: int | str | slice) -> None:
        parts = list(self._modules.values())
        del parts[list(self._modules).index(index) if isinstance(index, str) else index]
        self._arrange({str(place): part for place, part in enumerate(parts)})

    @classmethod
    def from_config(
        cls,
        config: Iterable[tuple[int, int, str]],
        loss: AnyLoss | None = None,
        dtype: FloatDType = "float32",
        seed: Seed = None,
    ) -> Self:
        """A network from a list of (inputs, outputs, activation).

        Parameters
        ----------
        config : sequence of (int, int, str)
            Activations are the keys of `fastbp.layers.activations.LAYERS`, as "relu"; "linear" is
            none.  Weights start with He's deviation before a relu and with Xavier's before the
            others, biases at 0.
        loss : Loss, its class, its name, or None
        dtype : {"float32", "float64"}
        seed : int, numpy.random.Generator or None

        Returns
        -------
        Sequential

        Raises
        ------
        ValueError, TypeError
            For widths that do not follow on each other, or an unknown activation.

        Examples
        --------
        >>> net = Sequential.from_config([(2, 8, "tanh"), (8, 1, "linear")], "squared_error")
        >>> net.summary()
        Sequential
          0  Affine    2 -> 8       24
          1  Tanh                    0
          2  Affine    8 -> 1        9
          3  Identity                0
        loss MeanSquaredError, 33 parameters, float32
        """
        config = checks.sequence("from_config", "config", config, "rows (inputs, outputs, activation)")
        if not isinstance(seed, np.random.Generator):
            seed = None if seed is None else checks.integer("from_config", "seed", seed, 0, checks.MOST_SEED)
        rng = np.random.default_rng(seed)
        layers = []
        width = None
        for place, row in enumerate(config):
            try:
                n_in, n_out, activation = row
            except (TypeError, ValueError):
                raise ValueError(
                    f"from_config expects rows (inputs, outputs, activation); got {checks.shown(row)} at place {place}."
                ) from None
            checks.choice("from_config", "activation", activation, tuple(ACTIVATIONS))
            if width not in (None, n_in):
                raise ValueError(
                    f"from_config expects {width} inputs at place {place}, as the layer before has outputs; got {n_in}."
                )
            scale = "he" if activation == "relu" else "xavier"
            layers += [Linear(n_in, n_out, scale, dtype, rng), ACTIVATIONS[activation]()]
            width = n_out
        return _made_of(cls, "from_config", layers, loss)

    def held_by(self, trainer: Trainer | None) -> None:
        """From here on this trainer, or None, has the newest parameters."""
        vars(self)["trainer"] = trainer

    def __getstate__(self) -> dict[str, Any]:
        left_out = {
            "trainer": None,
            "_saved": None,
            "_seen": None,
            "_layers": (),
            "_flow": (),
            "_foreign": (),
            "_compiled": None,
            "_replaced": None,
        }
        return self.__dict__ | left_out | {"_params": Parameters(())}

    # --- the layers -------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __getitem__(self, index: Any) -> Any:
        """A part, by place or by name; for a slice a network of some, under their names."""
        if isinstance(index, str):
            return self._modules[index]
        if isinstance(index, slice):
            return type(self)(dict(list(self._modules.items())[index]))
        return list(self._modules.values())[index]

    def part_lines(self) -> list[str]:
        lines = [f"({name}): {part!r}" for name, part in self._modules.items()]
        return lines if self.loss_layer is None else [*lines, f"(loss): {self.loss_layer!r}"]

    def summary(self) -> None:
        """Print the layers, their sizes and their numbers of parameters."""
        rows = self._summary_rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        print(type(self).__name__)
        for row in rows:
            place, name, sizes, count = map(str.ljust, row, widths)
            print(f"  {place}  {name}  {sizes}  {count.strip():>{max(widths[3], 7)}}")
        print(self._summary_line(rows))

    def _repr_html_(self) -> str:
        from fastbp import markup

        rows = self._summary_rows()
        caption = f"{type(self).__name__}: {self._summary_line(rows)}"
        return markup.table(rows, ("", "layer", "sizes", "parameters"), caption)

    def _summary_rows(self):
        """(place, name, sizes, number of parameters) of each layer, as texts."""
        rows = []
        for i, layer in enumerate(self.layers):
            names = getattr(layer, "trained_names", self.params.names[layer])
            count = sum(getattr(layer, name).size for name in names)
            config = layer.config() if isinstance(layer, Layer) else {}
            sizes = ""
            if "in_features" in config:
                sizes = f"{config['in_features']} -> {config['out_features']}"
            # A Linear is an Affine once it has its weights.
            name = "Affine" if isinstance(layer, Affine) else type(layer).__name__
            rows.append((str(i), name, sizes, f"{count:,}"))
        return rows

    def _summary_line(self, rows):
        total = sum(int(count.replace(",", "")) for *_, count in rows)
        dtypes = sorted({str(array.dtype) for array in self.params.values()})
        loss = type(self.loss_layer).__name__ if self.loss_layer is not None else "none"
        return f"loss {loss}, {total:,} parameters" + (", " if dtypes else "") + ", ".join(dtypes)

    # --- evaluation -------------------------------------------------------------------------

    def predict(self, x: Features) -> Array:
        """The network's output for x, in evaluation mode.

        Parameters
        ----------
        x : array_like or SciPy sparse matrix
            (n_samples, n_features), or (n_features,) for one sample.  A sparse matrix stays so
            for a first affine layer; others refuse it.

        Returns
        -------
        numpy.ndarray
            (n_samples, n_outputs), or (n_outputs,).  With a softmax or sigmoid loss these are
            the logits.
        """
        compiled = self._compiled
        if compiled is None or compiled.count != noted():
            compiled = self._look_at_parts()
        if not self._plain:
            return self._walk("predict", self, x, _evaluated)
        out = compiled.predict(x)
        if out is not None:
            return out
        if compiled and _are_rows_to_convert(x, self._layers):
            return self._predict_by_blocks(x)
        y: Any = x
        for layer, functional in self._flow:
            y = layer.evaluate(y) if functional else _evaluated(layer, y)
        return y

    def _predict_by_blocks(self, x):
        """`predict` of rows that have to be converted: some at a time, so that no copy is whole."""
        rows = getattr(x, "iloc", x)
        n = len(x)
        edges = np.linspace(0, n, -(-n // BLOCK) + 1).astype(int)  # no row stays alone
        out = None
        for begin, end in pairwise(edges):
            y = self.predict(rows[begin:end])
            if out is None:
                out = np.empty((n, *y.shape[1:]), y.dtype)
            out[begin:end] = y
        return out

    def _walk(self, method, part, x, run):
        """The output of a part for x: `run` of its layers, and what its hooks make of it."""
        own = _own_passes(part)
        if own:
            raise TypeError(
                f"Sequential.{method} expects networks with the library's own passes; got "
                f"{own[0]} of {type(part).__name__} replaced, which it would not call, so call "
                "the network itself, on Tensors."
            )
        if isinstance(part, Sequential):
            out = x
            for child in part:
                out = self._walk(method, child, out, run)
        else:
            out = run(part, x)
        if getattr(part, "_hooks", None) is None:
            return out
        given = part._hooked((x,), out)
        if given is not out and method == "forward":
            vars(self)["_replaced"] = part
        return given

    def loss(self, x: Features, t: ArrayLike) -> float:
        """The mean loss of predictions for x against targets t, in evaluation mode."""
        loss_layer = self.loss_layer_for("loss")
        evaluate = loss_layer.evaluate if isinstance(loss_layer, Loss) else loss_layer.forward
        y = self.predict(x)
        if np.size(y) == 0:
            raise ValueError("Sequential.loss expects at least one sample; got none.")
        return evaluate(y, self._indices_of("loss", t))

    def accuracy(self, x: Features, t: ArrayLike) -> float:
        """The share of samples that are classified rightly, between 0 and 1.

        Parameters
        ----------
        x : array_like
            (n_samples, n_features)
        t : array_like
            Class indices (n_samples,) or one-hot rows; for a sigmoid loss, targets of the
            output's shape, of which every element counts.

        Raises
        ------
        ValueError
            For a loss that does not classify, or no samples.
        """
        loss_layer = SoftmaxWithLoss() if self.loss_layer is None else self.loss_layer
        y = self.predict(x)
        if y.size == 0:
            raise ValueError("Sequential.accuracy expects at least one sample; got none.")
        return loss_layer.accuracy(y, self._indices_of("accuracy", t))

    def _indices_of(self, method, t):
        """Targets, of which names of classes become indices."""
        if self.classes is None or not labels.are_names(t):
            return t
        return labels.indices_of(f"Sequential.{method}", self.classes, t)

    def classify(self, x: Features) -> Array:
        """The most probable class of each sample, for a network with a classification loss.

        Parameters
        ----------
        x : array_like
            (n_samples, n_features), or (n_features,) for one sample.

        Returns
        -------
        numpy.ndarray
            (n_samples,), or a number for one sample: names of classes where the network was trained
            with names, else int64.  Of outputs through a sigmoid each is a class of its own: their
            shape, 1 where it is the more probable.

        Raises
        ------
        ValueError
            For a network without a loss, or with one that does not classify.

        Examples
        --------
        >>> import numpy as np
        >>> from fastbp import Linear, Sequential
        >>> net = Sequential(Linear(1, 2, seed=0), loss="softmax_cross_entropy")
        >>> history = net.fit([[-1.0], [1.0]], ["low", "high"], epochs=500, batch_size=2, seed=0)
        >>> net.classify([[-2.0], [3.0]]).tolist()
        ['low', 'high']
        """
        probabilities = self.predict_proba(x)
        if self.loss_layer.kind != "softmax":
            return (probabilities > 0.5).astype(np.int64)
        found = probabilities.argmax(axis=-1)
        return found if self.classes is None else np.array(self.classes)[found]

    def predict_proba(self, x: Features) -> Array:
        """The probabilities of the classes, for a network with a classification loss.

        Parameters
        ----------
        x : array_like
            (n_samples, n_features), or (n_features,) for one sample.

        Returns
        -------
        numpy.ndarray
            Softmax of the outputs, or their sigmoid; of the outputs' shape.

        Raises
        ------
        ValueError
            For a network without a loss, or with one that does not classify.
        """
        return self.loss_layer_for("predict_proba").probabilities(self.predict(x))

    def diagnose(
        self,
        x: ArrayLike,
        t: ArrayLike | None = None,
        *,
        optimizer: Optimizer | None = None,
        batch_size: int | None = None,
    ) -> Diagnosis:
        """Why the network does not learn, as `fastbp.diagnose` finds it; the network is as before.

        Parameters
        ----------
        x : array_like
            (n_samples, n_features), the rows that it is trained on.
        t : array_like or None
            Their targets, as `fit` takes them.
        optimizer : Optimizer or None
            What it is trained by: its rate is seen beside the sizes of weights and gradients.
        batch_size : int or None
            Rows of a step.

        Returns
        -------
        Diagnosis
            True where something was found; its findings one by one, causes first.

        Raises
        ------
        ValueError, TypeError
            For rows that the network does not take, none, or another number of targets.

        Examples
        --------
        >>> import numpy as np
        >>> from fastbp import Linear, Relu, Sequential
        >>> net = Sequential(Linear(2, 8, seed=0), Relu(), Linear(8, 3, seed=1), loss="softmax_cross_entropy")
        >>> x, t = np.random.default_rng(0).standard_normal((99, 2)), np.arange(99) % 3
        >>> net.diagnose(x, t)
        Nothing found in 3 layers and 99 rows.
        >>> net.diagnose(1000 * x, t)[0].kind
        'inputs_not_normalised'
        """
        from fastbp.diagnosis import diagnose

        return diagnose(self, x, t, optimizer=optimizer, batch_size=batch_size)

    # --- training ---------------------------------------------------------------------------

    def forward(self, x: Any) -> Any:
        """The output for x; of an array it keeps what `backward` needs.

        In training mode, where `eval` has not been called.  A Tensor's output is a Tensor.
        """
        if isinstance(x, TensorBase):
            try:
                for part in self._modules.values():
                    x = part(x)
            except TypeError:
                self._require_called_parts()
                raise
            return x
        return self._forward(x)

    def _require_called_parts(self):
        """Refuse parts that a Tensor cannot go through, as the book's own layers."""
        for name, part in self._modules.items():
            if not callable(part):
                raise TypeError(
                    "Sequential expects modules where x is a Tensor; got a "
                    f"{type(part).__name__} at place {name}, which takes arrays alone."
                ) from None

    def _forward(self, x):
        saved: list = []

        def run(layer, x):
            kept = None
            if _is_functional(layer):
                x, kept = layer.run(x, layer.training)
            else:
                x = layer.forward(x)
            saved.append(kept)
            return x

        if self._seen != noted():
            self._look_at_parts()
        own = vars(self)
        own["_replaced"] = None
        if not self._plain:
            x = self._walk("forward", self, x, run)
            own["_saved"] = saved
            return x
        for layer, functional in self._flow:
            if functional:
                x, kept = layer.run(x, layer.training)
            else:
                x, kept = layer.forward(x), None
            saved.append(kept)
        own["_saved"] = saved
        return x

    def backward(self, dout: ArrayLike) -> Any:
        """The gradient by the last forward's x, from that by its output.

        The layers have their parameters' gradients as `dW`, `db`, ...
        """
        return self._backward(dout, 0, need_dx=True)

    def _backward(self, dout, first, need_dx):
        """Down to the layer at place `first`; without `need_dx` that layer leaves out its dx."""
        layers = self.layers
        checks.forward_was_called(type(self).__name__, self._saved)
        assert self._saved is not None
        if self._replaced is not None:
            raise ValueError(
                "Sequential.backward expects forward hooks that return None, as it does not know "
                f"the gradient of another output; got one of {self._replaced!r}, so compute on "
                "Tensors."
            )
        # Those gone through, where one stands at several places and its gradients add up.
        done: set | None = set() if len(set(layers)) < len(layers) else None
        for place in range(len(layers) - 1, first - 1, -1):
            layer = layers[place]
            if _is_functional(layer):
                dout, grads = layer.pullback(self._saved[place], dout, need_dx or place > first)
                if done is not None and layer in done:
                    kept = [getattr(layer, "d" + name) for name in layer.param_names]
                    grads = tuple(map(np.add, kept, grads))
                elif done is not None:
                    done.add(layer)
                layer.keep_gradients(grads)
            else:
                _require_backward(layer)
                dout = layer.backward(dout)
        return dout

    def gradient(self, x: Features, t: ArrayLike) -> dict[str, Array]:
        """The mean loss's gradients by the parameters, by backpropagation.

        Parameters
        ----------
        x : array_like
            (n_samples, n_features), at least one sample.
        t : array_like
            Targets as the loss takes them.

        Returns
        -------
        dict of str to numpy.ndarray
            Of the keys and shapes of `params`; each layer has its own as `dW` and `db` too.

        Raises
        ------
        ValueError
            For no samples, or a network without a loss.
        """
        if self._seen != noted():
            self._look_at_parts()
        own = {layer: dict(vars(layer)) for layer in self._foreign}
        grads = self._gradient(x, t)
        for layer, before in own.items():
            require_named(layer, before, self.params.names[layer])
        return grads

    def _gradient(self, x, t):
        """`gradient`, whatever arrays of one's own layers `params` does not know."""
        loss_layer = self.loss_layer_for("gradient")
        y = self._forward(x)
        if np.size(y) == 0:
            raise ValueError("Sequential.gradient expects at least one sample; got none.")
        loss_layer.forward(y, t)
        # Nobody needs the gradient by the network's input: below the first layer with
        # parameters the sweep ends, and that layer leaves out its dx.
        self._backward(loss_layer.backward(), self._first_trained(), need_dx=False)
        return {key: getattr(layer, "d" + name) for key, (layer, name) in self.params._places.items()}

    def fit(
        self,
        x: Features | Batches,
        t: ArrayLike | None = None,
        *,
        epochs: int = 10,
        optimizer: Optimizer | str | None = None,
        batch_size: int | None = None,
        validation_data: tuple[Features, ArrayLike] | None = None,
        validation_split: float | None = None,
        shuffle: bool = True,
        seed: Seed = None,
        sample_weight: ArrayLike | None = None,
        class_weight: ClassWeight | None = None,
        schedule: Schedule | None = None,
        early_stopping: EarlyStopping | None = None,
        ema_decay: float | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        callbacks: Sequence[Callback] = (),
        progress: bool = False,
        max_seconds: float | None = None,
        n_threads: int | None = None,
        checkpoint: Path | None = None,
        every: int | None = None,
        resume: Path | None = None,
        comm: AnyCommunicator | None = None,
        rows: Literal["all", "own"] = "all",
        average_every: int = 1,
        **unknown: Never,  # refused by all ranks alike, and by type checkers
    ) -> History:
        """Train by mini-batches, each step in one compiled call.

        ``fit(x, t)`` alone trains for 10 epochs by Adam.

        Parameters
        ----------
        x : array_like or SciPy sparse matrix
            (n_samples, n_features), float32, float64 or uint8 as they are; more dimensions are flattened
            behind the first, as `Affine` does it.  Of CSR rows a first
            affine layer takes the entries only; before another one they are made dense a batch
            at a time.  Or, without t, batches that are made elsewhere, pairs (x, t): a DataLoader,
            another iterable, or a function that returns one for each epoch.  They are trained as
            they come, without the options that speak of all rows.
        t : array_like
            Targets as the loss takes them.  For the softmax's, texts are the names of classes, too:
            sorted, they are `classes`, which the network keeps and `save` writes.
        epochs : int
        optimizer : Optimizer, str or None
            As ``SGD(lr=0.1)`` or ``Adam()``; "sgd" or "adam" is one with its own defaults, and None
            is Adam, made anew in each call.
        batch_size : int or None
            Rows of a step, 32 by default; the last, shorter batch of an epoch is trained too.
        validation_data : (x, t) or None
            Evaluated after each epoch.
        validation_split : float or None
            Share of the rows that is kept from training and evaluated after each epoch instead: drawn
            by the seed, and of class indices as many of each class. Only these rows are copied.
        shuffle : bool
            The order is a function of (seed, epoch).
        seed : int or None
            Of the order and the dropout masks; None draws one (`history.seed`).
        sample_weight : array_like or None
            (n_samples,); losses are sums of weighted losses over the sum of the weights.
        class_weight : dict, sequence, "balanced" or None
            A weight per class, for `SoftmaxWithLoss`; a row of probabilities has that of its most
            probable class.
        schedule : callable or None
            Factor of the learning rate by the epochs done; see `fastbp.optim`.
        early_stopping : EarlyStopping or None
        ema_decay : float or None
            Of at least 0 and below 1, as 0.999: after each step the average of the weights is decay
            times itself and the rest of them, from the first step's on.  Validation, early stopping
            and the network at the end have the averages; training and callbacks its own weights.
        clip_norm, clip_value : float or None
            Clip the gradients, by their joint norm or each element.
        callbacks : sequence of callable
            ``callback(net, history)`` after each epoch, with current weights, into which it may
            write; True ends, None and False go on, and anything else is refused.
        progress : bool
            A progress bar.
        max_seconds : float or None
            No further step begins after them.
        n_threads : int or None
            None: one for small steps, else the cores the process may use.
        checkpoint : str, os.PathLike or None
            A file that is written, whole or not at all, after each epoch, at the end, and on
            Ctrl-C and SystemExit: parameters, the optimiser's state, seed, position and history, and
            the averages of `ema_decay`, which ``Sequential.load(path, ema=True)`` reads.
        every : int or None
            Write it after so many steps, in place of each epoch.
        resume : str, os.PathLike or None
            Go on from such a file, bit for bit as if never stopped, with the same data and
            arguments; `epochs` may be larger, and seed=None takes the file's.
        comm : Communicator or None
            Train together with other ranks: a communicator of mpi4py, a group of torch.distributed
            or a `fastbp.Communicator`.  All ranks make the same call, and begin with the first one's
            parameters; it alone shows progress, calls callbacks and writes the file.
        rows : {"all", "own"}
            Whether all ranks pass the same rows, of which each takes its part of every batch, with
            one machine's numbers; or each passes rows of its own, any number of them.
        average_every : int
            Steps that each rank makes of its own rows before parameters and states are averaged; 1
            sums the gradients of each step instead.

        Returns
        -------
        History

        Raises
        ------
        ValueError, TypeError
            For what does not fit, the file of another training or a damaged one too, before
            anything has changed.
        OSError
            For a file that is not there, or cannot be written.
        FloatingPointError
            For a loss that is not finite, naming the epoch, the batch and the layer; the
            weights are those before that batch.
        KeyboardInterrupt
            On Ctrl-C, with the weights written back and `history` kept.
        RankError
            Where another rank failed, and on which.

        Examples
        --------
        >>> import numpy as np
        >>> from fastbp import SGD, Sequential
        >>> net = Sequential.from_config([(1, 8, "tanh"), (8, 1, "linear")],
        ...                              loss="squared_error", seed=0)
        >>> x = np.linspace(-1, 1, 64, dtype="float32").reshape(-1, 1)
        >>> history = net.fit(x, x**2, epochs=200, batch_size=16, optimizer=SGD(lr=0.1), seed=0)
        >>> history.train_loss[-1] < 0.01
        True
        """
        options = {name: value for name, value in locals().items() if name not in ("self", "x", "t", "unknown")}
        return fit(self, x, t, options | unknown)

    def _first_trained(self):
        """The place of the first layer that has parameters (or is the user's own)."""
        for place, layer in enumerate(self.layers):
            if not _is_functional(layer) or layer.param_names:
                return place
        return len(self.layers)

    def loss_layer_for(self, method: str) -> Any:
        """The loss, which `method` needs."""
        if self.loss_layer is None:
            raise ValueError(
                f"Sequential.{method} expects a network with a loss, as in "
                "Sequential(..., loss=SoftmaxWithLoss()); got loss=None."
            )
        if isinstance(self.loss_layer, Loss):
            self.loss_layer.follow()
        return self.loss_layer

    # --- files ------------------------------------------------------------------------------

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name, part in self._modules.items():
            if not isinstance(part, Module) and self.params.names[part]:
                raise TypeError(
                    "Sequential.state_dict expects parameters that modules hold; got "
                    f"{', '.join(self.params.names[part])} of {type(part).__name__} at place "
                    f"{prefix}{name}, which is none: keep dict(net.params)."
                )

    def save(self, path: File) -> None:
        """Write the parameters and the architecture as a safetensors file.

        Parameters
        ----------
        path : str, os.PathLike or file opened for bytes
            A path is written whole or not at all.

        Raises
        ------
        TypeError
            For a network with layers of the user's own.
        ValueError
            For a parameter that is NaN.
        OSError
            For a path that cannot be written to, or no room for the file; what was there stays.
        RuntimeError
            While another thread is training the network in a `Trainer` or `fit`.
        ImportError
            Without safetensors.

        Notes
        -----
        All parameters are of one moment, as `fastbp.save` has it.
        """
        architecture.write(self, path)

    def architecture(self) -> dict[str, Any]:
        """The layers and the loss as JSON has them, without their arrays.

        Returns
        -------
        dict
            What `save` writes beside the parameters.

        Raises
        ------
        TypeError
            For a network with layers of the user's own.

        Examples
        --------
        >>> Sequential(Linear(2, 1), loss="squared_error").architecture()["loss"]
        {'type': 'MeanSquaredError'}
        """
        return architecture.described(self, Sequential)

    @classmethod
    def load(cls, path: File, *, ema: bool = False) -> Self:
        """The network that `save` wrote, or that of a checkpoint of `fit`.

        Parameters
        ----------
        path : str, os.PathLike or file opened for bytes
        ema : bool
            Of a checkpoint of ``fit(ema_decay=...)``, which has both: the average of the weights, by
            which validation went, instead of the weights that are trained.

        Returns
        -------
        Sequential
            With the same predictions, to the bit.

        Raises
        ------
        ValueError
            For a file that is not such a network, is damaged, holds NaN, was written by a newer
            version, or has no average where `ema` asks for it.
        ImportError
            Without safetensors.
        """
        layers, loss, tell = architecture.read(path, Sequential, checks.flag("Sequential.load", "ema", ema))
        net = _made_of(cls, "load", layers, loss)
        tell(net)
        return net


def _are_rows_to_convert(x, layers):
    """Whether x is more rows than a block, of numbers and of the width that the layers take."""
    frame = hasattr(x, "iloc") and hasattr(x, "dtypes")
    if not (frame or (isinstance(x, np.ndarray) and not np.ma.isMaskedArray(x))):
        return False
    if x.ndim != 2 or len(x) <= BLOCK:
        return False
    kinds = {getattr(dtype, "kind", "O") for dtype in (x.dtypes if frame else (x.dtype,))}
    first = next(layer for layer in layers if isinstance(layer, Affine | Embeddings))
    if isinstance(first, Embeddings):  # whose errors name the row
        return False
    return kinds <= set("fiub") and x.shape[1] == first.plan_entry(None)[1]


def _is_functional(layer):
    """Whether a layer is run by its run and pullback, which keep nothing on it."""
    return (
        isinstance(layer, Layer)
        and not layer.has_own_passes()
        and vars(layer).keys().isdisjoint(("forward", "backward"))
    )


def _link_of(layer):
    """A layer's `link`, unless it is evaluated in a way of its own."""
    owner = next(each for each in type(layer).__mro__ if "link" in vars(each))
    passes = ("run", "evaluate")
    own = any(getattr(type(layer), name) is not getattr(owner, name) for name in passes)
    return None if own or not vars(layer).keys().isdisjoint(passes) else layer.link()


def _own_passes(module):
    """What of a network's passes, or a layer's ``__call__``, is put in the library's place."""
    if not isinstance(module, Sequential):
        called = isinstance(module, Module) and type(module).__call__ not in _CALLS
        return ["__call__"] * called
    own = checks.methods_of_its_own(module, __name__)
    return [name for name in own if name in plans.PASSES - {"gradient", "loss", "predict"}]


def _evaluated(layer, x):
    """A layer's output in evaluation mode, in which one of the user's own is for this call."""
    if _is_functional(layer):
        return layer.evaluate(x)
    told = {"train_flg": False} if takes_train_flg(layer) else {}
    if not isinstance(layer, Module):
        return layer.forward(x, **told)
    with _modes:
        training = [module for module in layer.modules() if module.training]
        try:
            _set_training(training, False)
            return layer.forward(x, **told)
        finally:
            _set_training(training, True)


def _set_training(modules, mode):
    for module in modules:
        object.__setattr__(module, "training", mode)  # nothing that a trainer has to look at


def _is_layer(layer):
    """Whether an object may be a part: a module, or it has the book's two methods."""
    return isinstance(layer, Module) or (
        callable(getattr(layer, "forward", None)) and callable(getattr(layer, "backward", None))
    )


def _require_backward(layer):
    """Refuse the built-in backward of a layer that was given another forward."""
    given = vars(layer) if isinstance(layer, Layer) else ()
    if "forward" in given and "backward" not in given and type(layer).backward is Layer.backward:
        raise TypeError(
            f"{type(layer).__name__} expects a backward of its own, as it has a forward of its "
            "own; got none, so set one or train by a loop over Tensors."
        )


def _leaves_of(parts):
    """The layers of parts by name, with those of a network in its place."""
    return [leaf for part in parts.values() for leaf in (part.layers if isinstance(part, Sequential) else (part,))]


def _differ(one, other):
    return one is not other


def _require_widths(layers):
    """Refuse affine layers, one after the other, of which one has not as many inputs as it gets.

    Between them only layers count that are known to leave the last dimension as it is.
    """
    before: tuple[int, int, Layer] | None = None
    for place, layer in enumerate(layers):
        if not _is_functional(layer) or isinstance(layer, Flatten):
            before = None
        elif isinstance(layer, Affine):
            n_in, n_out = layer.W.shape
            if before is not None and before[1] != n_in:
                raise ValueError(
                    f"Sequential expects {before[1]} inputs at place {place}, as {before[2]!r} at "
                    f"place {before[0]} has outputs; got {layer!r}."
                )
            before = place, n_out, layer
        elif isinstance(layer, Embeddings):
            before = place, layer.n_out, layer


def _loss_layer(loss):
    """The loss as an object: given as one, as its class, or by name."""
    loss = loss_of("Sequential", loss)
    passes = [getattr(loss, name, None) for name in ("forward", "backward")]
    if loss is not None and (isinstance(loss, Layer) or not all(map(callable, passes))):
        raise TypeError(f"Sequential expects loss with forward(x, t) and backward(); got {checks.shown(loss)}.")
    return loss


def _made_of(cls, method, layers, loss):
    """A network of this class, which may be a user's own."""
    try:
        inspect.signature(cls).bind(*layers, loss=loss)
    except TypeError:
        raise TypeError(
            f"{cls.__name__}.{method} expects a class that is made as Sequential(*layers, "
            "loss=...) is; got one whose __init__ takes other arguments, so call "
            f"Sequential.{method}, or load_state_dict of an object of its own."
        ) from None
    return cls(*layers, loss=loss)
