"""`Layer`: two functions without memory, and how they serve arrays, tensors and files."""

import numpy as np

from fastbp import checks
from fastbp._kernels.autograd import TensorBase, adopt, new, node
from fastbp.modules import Module


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
    #: The layer's name in the training engine; None passes its input through.
    kind: str | None = None
    #: The number that goes with it: a slope, a ratio, an eps.
    kind_number = 0.0
    #: The name of its node in a graph, as PyTorch has it.
    node_name = "LayerBackward0"

    @property
    def trained_names(self):
        """Those of `param_names` that are trained: a bias may be none."""
        return self.param_names

    __setattr__ = object.__setattr__  # a layer names its parts itself

    @classmethod
    def has_own_passes(cls):
        """Whether a user's subclass has its own forward or backward, so that they have to run."""
        own = cls.forward not in (Layer.forward, LayerOfTwoModes.forward)
        return own or cls.backward is not Layer.backward

    def __init__(self):
        super().__init__()
        self._saved = None
        self._trainer = None  # who has the layer's current parameters, while training
        self._views: list = []  # the arrays of its tensors, as they were made

    def __getstate__(self):
        self.sync()
        # A copy of a view no longer shares memory: no view, so that the tensors' are taken.
        return self.__dict__ | {"_trainer": None, "_views": [None] * len(self._views)}

    def sync(self):
        """Fetch the parameters that a trainer has, if it has newer ones, or a tensor's new data."""
        trainer = self._trainer
        if trainer is not None and trainer.dirty:
            trainer.sync()
        self.take_data()

    def take_data(self):
        """Take the array of a tensor whose data was replaced."""
        for tensor, view in zip(self._parameters.values(), self._views, strict=True):
            if tensor.array is not view:
                self.adopt([tensor.array for tensor in self._parameters.values()])
                break

    def loaded(self):
        """Hand what was written into its arrays to the trainer, which has copies of them."""
        if self._trainer is not None:
            self._trainer.reload()

    # --- its parameters as tensors ----------------------------------------------------------

    def own_parameters(self):
        """The parameters by PyTorch's names: tensors that share the layer's arrays."""
        if self.param_names and not self._parameters:
            from fastbp.autograd import Parameter, from_numpy

            self.sync()
            views = self.tensor_views()
            self._parameters = {
                name: Parameter(from_numpy(view))
                for name, view in zip(self.state(), views, strict=False)
            }
            self._views = views
        elif self._parameters:
            self.sync()
        return self._parameters

    def own_buffers(self):
        """What PyTorch keeps in a state dict beside the parameters."""
        others = list(self.state().items())[len(self.param_names) :]
        return {name: new(array) for name, array in others}

    def tensor_views(self):
        """The arrays of `param_names` in the layout of the tensors."""
        return []

    def adopt(self, arrays):
        """Take the arrays that tensors were given as the layer's own."""
        raise NotImplementedError

    def renew_tensors(self):
        """Point the tensors to the layer's arrays, after those were replaced."""
        if self._parameters:
            self._views = self.tensor_views()
            for place, tensor in enumerate(self._parameters.values()):
                if _same_memory(tensor.array, self._views[place]):  # another layer may share it
                    self._views[place] = tensor.array
                else:
                    adopt(tensor, self._views[place], tensor.requires_grad)

    def tensor_gradients(self, grads):
        """The gradients of `param_names` in the layout of the tensors."""
        return grads

    def on_tensor(self, x):
        """The layer's output for a Tensor, as a node of the graph."""
        parameters = tuple(self.own_parameters().values())
        out, kept = self.run(x.array, self.training)
        return node(self.node_name, out, (x, *parameters), pull_back, (self, kept, x, *parameters))

    def run(self, x, training):
        """The output, and what `pullback` needs of it."""
        raise NotImplementedError

    def pullback(self, saved, dout, need_dx=True):
        """The gradient by x (None without `need_dx`), and a tuple of those by the parameters."""
        raise NotImplementedError

    def forward(self, x):
        """The layer's output for x; keeps what `backward` needs."""
        if isinstance(x, TensorBase):
            return self.on_tensor(x)
        out, self._saved = self.run(x, self.training)
        return out

    def evaluate(self, x):
        """The layer's output for x in evaluation mode; keeps nothing."""
        return self.run(x, False)[0]

    def backward(self, dout):
        """The loss's gradient by x, from `dout`, that by the last forward's output.

        Overwrites the gradients of the layer's parameters (`dW`, `db`).
        """
        if self._saved is None:
            checks.forward_was_called(type(self).__name__, None)
        dx, grads = self.pullback(self._saved, dout)
        if grads:
            self.keep_gradients(grads)
        return dx

    def keep_gradients(self, grads):
        """Store the parameters' gradients as `dW`, `db`, ..."""
        for name, grad in zip(self.param_names, grads, strict=True):
            setattr(self, "d" + name, grad)

    def config(self):
        """The arguments, apart from arrays, that make such a layer again."""
        return {}

    def state(self):
        """The layer's arrays under PyTorch's names and shapes, as views."""
        return {}

    @classmethod
    def restore(cls, config, state):
        """The layer that `config` and `state` describe."""
        return cls(**config)

    def __call__(self, x):
        out = self.forward(x)
        return out if self._hooks is None else self._hooked((x,), out)

    def extra_repr(self):
        return ", ".join(f"{k}={v!r}" for k, v in self.config().items())


class LayerOfTwoModes(Layer):
    """A layer that computes otherwise in training, as the book's forward is told each time."""

    def forward(self, x, train_flg=None):
        """The layer's output for x; keeps what `backward` needs.

        Parameters
        ----------
        x : array_like or Tensor
        train_flg : bool or None
            The book's: whether to compute as in training; None takes the layer's own mode, which
            `train` and `eval` set.
        """
        if train_flg is None:
            return super().forward(x)
        who = f"{type(self).__name__}.forward"
        checks.instance(who, "train_flg", train_flg, bool | np.bool, "a bool")
        if isinstance(x, TensorBase):
            raise TypeError(
                f"{who} expects train_flg beside an array; got a Tensor, for which train() and "
                "eval() set the mode."
            )
        out, self._saved = self.run(x, bool(train_flg))
        return out


def restored(cls, config, state):
    """A layer that makes its own arrays, filled from a file once their sizes are known to agree."""
    sizes = ("out_features", "in_features", "num_features")
    described = tuple(config[size] for size in sizes if size in config)
    checks.same_shape(cls.__name__, "weight", state["weight"], described, "described")
    layer = cls(**config, dtype=state["weight"].dtype)
    for name, array in layer.state().items():
        checks.same_shape(cls.__name__, name, state[name], array.shape, "described")
        np.copyto(array, state[name], casting="same_kind")
    return layer


def _same_memory(x, y):
    return x.dtype == y.dtype and x.__array_interface__ == y.__array_interface__


def pull_back(saved, dout, needs):
    """The gradients by a layer's input and its tensors; `saved` also holds what may not change."""
    layer, kept = saved[:2]
    dx, grads = layer.pullback(kept, dout, needs[0])
    return dx, *layer.tensor_gradients(grads)
