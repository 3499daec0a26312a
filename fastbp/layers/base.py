"""`Layer`: two functions without memory, and how they serve arrays, tensors and files."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp._kernels.autograd import TensorBase, adopt, node
from fastbp._kernels.changes import note
from fastbp.modules import Module

if TYPE_CHECKING:
    from fastbp._typing import ArrayLike
    from fastbp.autograd import Tensor


def _is_ours(cls):
    return cls.__module__.partition(".")[0] == "fastbp"


def runs(forward: Any) -> Any:
    """Mark a `forward` that, of arrays, gives what `run` does, as `evaluate` and `fit` rely on."""
    forward.runs = True
    return forward


class Layer(Module):
    """What all layers share.

    A layer is two functions without memory: ``run(x, training) -> (out, saved)`` and
    ``pullback(saved, dout, need_dx) -> (dx, grads)``, the gradients in the order of
    `param_names`.  `forward` and `backward` are these two with `saved` kept on the layer.  On a
    Tensor they make a node of the graph, which keeps `saved`, so that one layer may serve at
    several places.
    """

    #: Names of the attributes that are trained; the gradient of `W` is left in `dW`.
    param_names: tuple[str, ...] = ()
    #: PyTorch's names of these, in the same order, and of the arrays that are kept but not trained.
    tensor_names: tuple[str, ...] = ()
    buffer_names: tuple[str, ...] = ()
    #: Those of them that may be None.
    optional: tuple[str, ...] = ()
    #: Attributes, whole numbers, that a file keeps beside `config` and `state`.
    kept_names: tuple[str, ...] = ()
    #: The layer's name in the training engine; None passes its input through.
    kind: str | None = None
    #: The name of its node in a graph, as PyTorch has it.
    node_name: str = "LayerBackward0"

    def __init_subclass__(cls, **keywords: Any) -> None:
        """A forward of one's own has another gradient than the layer's: none, or one's own too."""
        super().__init_subclass__(**keywords)
        if not _is_ours(cls):
            _require_attributes_alone(cls)
        if not hasattr(cls.forward, "runs") and cls.backward is Layer.backward:
            cls.backward = _no_backward  # type: ignore[method-assign]

    @property
    def trained_names(self) -> Any:
        """Those of `param_names` that are trained: a bias may be none."""
        return self.param_names

    @classmethod
    def has_own_passes(cls) -> bool:
        """Whether a user's subclass has its own forward or backward, so that they have to run."""
        return not hasattr(cls.forward, "runs") or cls.backward is not Layer.backward

    def __init__(self) -> None:
        super().__init__()
        own = vars(self)
        own["_saved"] = None
        own["_trainer"] = None  # who has the layer's current parameters, while training
        own["_views"] = None  # the arrays of its tensors when last looked at, once there are any

    def __getstate__(self) -> dict[str, Any]:
        self.sync()
        # A copy of a view no longer shares memory: no view, so that the tensors' are taken.
        views = self._views and dict.fromkeys(self._views, False)
        return self.__dict__ | {"_trainer": None, "_views": views}

    def sync(self, whole: bool = True) -> None:
        """Fetch the parameters that a trainer has, if it has newer ones, or a tensor's new data.

        Raises
        ------
        AttributeError
            Where one was deleted, unless not `whole`.
        """
        trainer = self._trainer
        if trainer is not None and trainer.dirty:
            trainer.sync()
        if self._views:
            self.take_data(whole)

    def take_data(self, whole: bool = True, take: bool = True) -> bool:
        """Take the array of a tensor that was put in, or whose data was replaced.

        Returns
        -------
        bool
            Whether there was one; without `take` it is only looked for.
        """
        own = self.__dict__
        parameters, buffers = own["_parameters"], own["_buffers"]
        for name, view in (own["_views"] or {}).items():
            tensor = parameters.get(name) if name in parameters else buffers.get(name)
            if (None if tensor is None else tensor.array) is not view:
                if take and (whole or not self._lacking()):
                    self.lay_out()
                    tensors = self.own_tensors()
                    self.adopt({name: _array(tensor) for name, tensor in tensors.items()})
                return True
        return False

    def loaded(self) -> None:
        """Hand what was written into its arrays to the trainer, which has copies of them."""
        if self._trainer is not None:
            self._trainer.reload()

    # --- its arrays as tensors --------------------------------------------------------------

    @property
    def _parameters(self):  # type: ignore[override]
        """Its parameters by PyTorch's names: tensors that share the layer's arrays."""
        return self._table("_parameters")

    @property
    def _buffers(self):  # type: ignore[override]
        """What PyTorch keeps in a state dict beside the parameters, likewise."""
        return self._table("_buffers")

    def _table(self, name):
        self.sync(whole=False)
        if self._trainer is not None:
            note()  # whoever looks at it may change it
        if self._views is None:
            self._make_tensors()
        return vars(self)[name]

    def _make_tensors(self):
        """The tensors of the layer's own arrays, when somebody first looks at them."""
        own = vars(self)
        views = own["_views"] = self.tensor_views()
        note()
        if not views:
            return
        from fastbp.autograd import Parameter, from_numpy

        made = {name: None if view is None else from_numpy(view) for name, view in views.items()}
        parameters = {name: made.pop(name) for name in self.tensor_names}
        for name, tensor in parameters.items():
            parameters[name] = None if tensor is None else Parameter(tensor)
        own["_parameters"] = parameters | own["_parameters"]
        own["_buffers"] = made | own["_buffers"]

    def own_tensors(self) -> dict[Any, Any]:
        """The tensors of the layer's own arrays by name; None for a bias that there is not.

        What stands in the place of a parameter that was deleted may be any tensor.
        """
        if self._views is None:
            self._make_tensors()
        lacking = self._lacking()
        if lacking:
            raise AttributeError(
                f"{type(self).__name__} expects its {lacking[0]}; got none, as it was deleted, so set it again."
            )
        own = vars(self)
        listed = own | own["_parameters"] | own["_buffers"]
        return {name: listed[name] for name in (*self.tensor_names, *self.buffer_names)}

    def _lacking(self):
        """The names that were deleted."""
        own = vars(self)
        listed = own.keys() | own["_parameters"].keys() | own["_buffers"].keys()
        return [name for name in (*self.tensor_names, *self.buffer_names) if name not in listed]

    def trained_tensors(self) -> tuple[()] | tuple[Any, ...]:
        """The tensors of `tensor_names` that there are, after `sync`."""
        if not self.tensor_names:
            return ()
        if self._views is None:
            self._make_tensors()
        own = self.__dict__
        listed = own["_parameters"]
        tensors = [listed[name] if name in listed else own[name] for name in self.tensor_names]
        return tuple([tensor for tensor in tensors if tensor is not None])

    def __setattr__(self, name: str, value: Any) -> None:
        """What stands for one of the layer's arrays has to be one that it can take."""
        if name in self.tensor_names or name in self.buffer_names:
            self._require_array(name, value)
        super().__setattr__(name, value)

    def _require_array(self, name, value):
        who = type(self).__name__
        if isinstance(value, TensorBase):
            view = self.tensor_views()[name]
            ndim = 1 if view is None else view.ndim
            if value.array.ndim != ndim:
                raise ValueError(
                    f"{who} expects {name} with {checks.plural(ndim, 'dimension')}; got one of "
                    f"shape {value.array.shape}."
                )
            if name in self.tensor_names:
                checks.parameter(who, name, value.array, ndim)
            self._table("_parameters")  # made before the first is replaced
        elif isinstance(getattr(type(self), name), Listed) and (value is not None or name not in self.optional):
            kind = "Parameter" if name in self.tensor_names else "Tensor"
            raise TypeError(f"{who} expects {name} as a {kind}; got {type(value).__name__}.")
        else:
            self._table("_parameters")

    def tensor_views(self) -> dict[Any, Any]:
        """The arrays by `tensor_names` and `buffer_names`, in the layout of the tensors."""
        return {}

    def lay_out(self) -> Any:
        """Bring arrays that nobody else holds into the layout that the kernels read."""

    def adopt(self, arrays: Any) -> Any:
        """Take the arrays that tensors were given as the layer's own."""
        raise NotImplementedError

    def renew_tensors(self) -> None:
        """Point the tensors to the layer's arrays, after those were replaced."""
        if self._views:
            views = self.tensor_views()
            for name, tensor in self.own_tensors().items():
                if tensor is None:
                    continue
                if _same_memory(tensor.array, views[name]):  # another layer may share it
                    views[name] = tensor.array
                else:
                    adopt(tensor, views[name], tensor.requires_grad)
            vars(self)["_views"] = views

    def tensor_gradients(self, grads: Any) -> Any:
        """The gradients of `param_names` in the layout of the tensors."""
        return grads

    def on_tensor(self, x: Any) -> Any:
        """The layer's output for a Tensor, as a node of the graph."""
        out, kept = self.run(x.array, self.training)
        parameters = self.trained_tensors()
        return node(self.node_name, out, (x, *parameters), pull_back, (self, kept, x, *parameters))

    def run(self, x: Any, training: Any) -> Any:
        """The output, and what `pullback` needs of it."""
        raise NotImplementedError

    def pullback(self, saved: Any, dout: Any, need_dx: bool = True) -> Any:
        """The gradient by x (None without `need_dx`), and a tuple of those by the parameters."""
        raise NotImplementedError

    @runs
    def forward(self, x: Any) -> Any:
        """The layer's output for x; keeps what `backward` needs."""
        if isinstance(x, TensorBase):
            return self.on_tensor(x)
        out, self.__dict__["_saved"] = self.run(x, self.training)
        return out

    def evaluate(self, x: Any) -> Any:
        """The layer's output for x in evaluation mode; keeps nothing."""
        return self.run(x, False)[0]

    def link(self) -> None:
        """(kind, a, b, arrays) for `prediction.Layers`, until a change is noted.

        () where evaluation changes nothing; `arrays`, or what they are when called, are two or
        three.

        None for a layer that is evaluated by itself.
        """
        return None

    def backward(self, dout: Any) -> Any:
        """The loss's gradient by x, from `dout`, that by the last forward's output.

        Overwrites the gradients of the layer's parameters (`dW`, `db`).
        """
        if self._saved is None:
            checks.forward_was_called(type(self).__name__, None)
        dx, grads = self.pullback(self._saved, dout)
        if grads:
            self.keep_gradients(grads)
        return dx

    def keep_gradients(self, grads: Any) -> None:
        """Store the parameters' gradients as `dW`, `db`, ..."""
        own = vars(self)
        for name, grad in zip(self.param_names, grads, strict=True):
            own["d" + name] = grad

    @property
    def kind_number(self) -> float:
        """The number that goes with its kind: a slope, a ratio, an eps."""
        return 0.0

    def plan_entry(self, width: Any) -> tuple[Any, Any, Any, Any, float, bool] | None:
        """The layer as the training engine takes it, behind `width` outputs (None: not known).

        Returns
        -------
        (kind, n_in, n_out, a, b, flag) or None
            As `engine.Plan` takes it; None where the layer passes its input through.  What the
            engine does not hold has a kind that it does not know.
        """
        kind = self.kind
        return None if kind is None else (kind, width, width, self.kind_number, 0.0, False)

    def plan_arrays(self) -> dict[Any, Any]:
        """What a plan has copies of: pairs of arrays by `engine.PARAMETERS` and the like.

        As they lie in the layer, whatever a trainer has, those of `param_names` first.
        """
        return {}

    def count_batches(self, n: Any) -> Any:
        """`n` more batches were trained, for a layer that counts them."""

    def plan_holder(self) -> Any:
        """The trainer that has the layer's parameters, or None."""
        return self._trainer

    def held_by(self, trainer: Any) -> None:
        """From here on this trainer, or None, has the newest parameters."""
        self.__dict__["_trainer"] = trainer
        note()

    def config(self) -> dict[Any, Any]:
        """The arguments, apart from arrays, that make such a layer again."""
        return {}

    def state(self) -> dict[Any, Any]:
        """The layer's arrays under PyTorch's names and shapes, as views."""
        self.sync()
        return {name: view for name, view in self.tensor_views().items() if view is not None}

    @classmethod
    def restore(cls, config: Any, state: Any) -> Any:
        """The layer that `config` and `state` describe."""
        return cls(**config)

    def __call__(self, x: Any) -> Any:
        out = self.forward(x)
        return out if self._hooks is None else self._hooked((x,), out)

    def extra_repr(self) -> str:
        return ", ".join(f"{k}={v!r}" for k, v in self.config().items())


class LayerOfTwoModes(Layer):
    """A layer that computes otherwise in training, as the book's forward is told each time."""

    @runs
    def forward(self, x: ArrayLike | Tensor, train_flg: bool | None = None) -> Any:
        """The layer's output for x; keeps what `backward` needs.

        Parameters
        ----------
        x : array_like or Tensor
        train_flg : bool or None
            The book's: whether to compute as in training; None takes the layer's own mode, which
            `train` and `eval` set.
        """
        if train_flg is None:  # as in Layer.forward, without a call more
            if isinstance(x, TensorBase):
                return self.on_tensor(x)
            out, self.__dict__["_saved"] = self.run(x, self.training)
            return out
        who = f"{type(self).__name__}.forward"
        train_flg = checks.flag(who, "train_flg", train_flg)
        if isinstance(x, TensorBase):
            raise TypeError(
                f"{who} expects train_flg beside an array; got a Tensor, for which train() and eval() set the mode."
            )
        out, self.__dict__["_saved"] = self.run(x, train_flg)
        return out


def takes_train_flg(layer: Any) -> bool:
    """Whether an object's forward is told the mode at each call, as the book's classes are."""
    return "train_flg" in _arguments_of(getattr(layer.forward, "__func__", layer.forward))


@functools.lru_cache(256)
def _arguments_of(function):
    try:
        return frozenset(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # a function without a signature
        return frozenset()


def restored(cls: Any, config: Any, state: Any) -> Any:
    """A layer that makes its own arrays, filled from a file once their sizes are known to agree."""
    sizes = ("out_features", "in_features", "num_features")
    described = tuple(config[size] for size in sizes if size in config)
    checks.same_shape(cls.__name__, "weight", state["weight"], described, "described")
    layer = cls(**config, dtype=state["weight"].dtype)
    for name, array in layer.state().items():
        checks.same_shape(cls.__name__, name, state[name], array.shape, "described")
        np.copyto(array, state[name], casting="same_kind")
    return layer


class Listed:
    """An attribute that is found in a module's table, where a base class has another of its name.

    It has no ``__set__``, so that what the module has under the name by itself comes first.
    """

    def __init__(self, table: Any) -> None:
        self._table = table

    def __set_name__(self, owner: Any, name: Any) -> None:
        self._name = name

    def __get__(self, module: Any, owner: Any = None) -> Any:
        if module is None:
            return self
        table = getattr(module, self._table)
        if self._name not in table:
            raise AttributeError(f"{owner.__name__!r} object has no attribute {self._name!r}")
        return table[self._name]


def _require_attributes_alone(cls):
    """Refuse what a class puts in the place of an attribute, from which the kernels read."""
    names = {*cls.param_names, *cls.tensor_names, *cls.buffer_names}
    for base in filter(_is_ours, cls.__mro__):
        names.update(
            name
            for name, value in vars(base).items()
            if isinstance(value, checks.Checked) or getattr(value, "fset", None)
        )
    for name in sorted(names):
        owner = next((base for base in cls.__mro__ if name in vars(base)), None)
        if owner is not None and not _is_ours(owner):
            raise TypeError(
                f"{cls.__name__} expects another name for an attribute of its own than that of "
                f"one of the library's, which its layers compute with; got {name!r}."
            )


def _no_backward(self, dout):
    raise TypeError(
        f"{type(self).__name__} expects a backward of its own, as it has a forward of its own; got "
        "none, so write one or train by a loop over Tensors."
    )


def _array(tensor):
    return None if tensor is None else tensor.array


def _same_memory(x, y):
    return x.dtype == y.dtype and x.__array_interface__ == y.__array_interface__


def pull_back(saved: Any, dout: Any, needs: Any) -> Any:
    """The gradients by a layer's input and its tensors; `saved` also holds what may not change."""
    layer, kept = saved[:2]
    dx, grads = layer.pullback(kept, dout, needs[0])
    return dx, *layer.tensor_gradients(grads)
