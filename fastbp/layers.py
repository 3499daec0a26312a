"""Layers: thin classes over the kernels, with the book's names.

`forward(x)` keeps what `backward(dout)` needs; `evaluate(x)` computes the same in evaluation
mode and keeps nothing.  Layers read the current contents of their arrays at every call.
"""

import numpy as np

from fastbp import checks, init
from fastbp._kernels import autograd as core
from fastbp._kernels.autograd import TensorBase, adopt, new, node
from fastbp.backend import kernels
from fastbp.losses import (
    HuberLoss,
    MeanAbsoluteError,
    MeanSquaredError,
    SigmoidWithLoss,
    SoftmaxWithLoss,
    cross_entropy_error,
    softmax,
)
from fastbp.modules import Module

__all__ = [
    "AddLayer",
    "Affine",
    "BatchNorm1d",
    "BatchNormalization",
    "Dropout",
    "Flatten",
    "Gelu",
    "HuberLoss",
    "Identity",
    "Layer",
    "LeakyRelu",
    "Linear",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "MulLayer",
    "ReLU",
    "Relu",
    "Sigmoid",
    "SigmoidWithLoss",
    "SoftmaxWithLoss",
    "Softplus",
    "Tanh",
    "cross_entropy_error",
    "softmax",
]


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

    __setattr__ = object.__setattr__  # a layer names its parts itself

    @classmethod
    def has_own_passes(cls):
        """Whether a user's subclass has its own forward or backward, so that they have to run."""
        return cls.forward is not Layer.forward or cls.backward is not Layer.backward

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
        return node(self.node_name, out, (x, *parameters), _pull_back, (self, kept, x, *parameters))

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


def _pull_back(saved, dout, needs):
    """The gradients by a layer's input and its tensors; `saved` also holds what may not change."""
    layer, kept = saved[:2]
    dx, grads = layer.pullback(kept, dout, needs[0])
    return dx, *layer.tensor_gradients(grads)


class Affine(Layer):
    """Fully connected layer: ``out = x W + b``.

    Parameters
    ----------
    W : numpy.ndarray
        (n_in, n_out), float32 or float64.  The layer keeps the very array and reads its
        current contents at every call.
    b : numpy.ndarray
        (n_out,), likewise.

    Attributes
    ----------
    dW, db : numpy.ndarray or None
        Gradients of the last backward, of the shapes of W and b.
    x : numpy.ndarray or None
        The last forward's input as (n_samples, n_in).

    Raises
    ------
    ValueError, TypeError
        For arrays that do not fit each other, integer weights, an axis of length 0; from
        forward, for x with another number of features; from backward, for another shape of
        dout.  RuntimeError from backward before forward.

    Notes
    -----
    The dtype of W and b decides (float64 where they differ), and x is converted to it.  x of
    shape (n_in,) is one sample and gives (n_out,); more than two dimensions are flattened
    behind the first, and `backward` restores them.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 5.6.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Affine(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.zeros(3))
    >>> layer.forward(np.array([[1.0, 1.0]]))
    array([[5., 7., 9.]])
    >>> layer.backward(np.array([[1.0, 0.0, 1.0]]))
    array([[ 4., 10.]])
    >>> layer.dW
    array([[1., 0., 1.],
           [1., 0., 1.]])
    """

    param_names = ("W", "b")
    kind = "affine"
    has_bias = True  # whether b is trained
    node_name = "AddmmBackward0"

    def __init__(self, W, b):
        super().__init__()
        self._W = checks.parameter("Affine", "W", W, ndim=2)
        self._b = checks.same_shape(
            "Affine", "b", checks.parameter("Affine", "b", b, ndim=1), (self._W.shape[1],),
            f"W is {self._W.shape}",
        )  # fmt: skip
        self._look_at_arrays()
        self.dW = None
        self.db = None

    @property
    def W(self):
        """Weights, (n_in, n_out); the very array."""
        if self._trainer is not None or self._views:
            self.sync()
        return self._W

    @W.setter
    def W(self, value):
        self.sync()
        value = checks.parameter("Affine", "W", value, ndim=2)
        self._W = checks.same_shape("Affine", "W", value, self._W.shape, "before")
        self._look_at_arrays()

    @property
    def b(self):
        """Bias, (n_out,); the very array."""
        if self._trainer is not None or self._views:
            self.sync()
        return self._b

    @b.setter
    def b(self, value):
        self.sync()
        value = checks.parameter("Affine", "b", value, ndim=1)
        self._b = checks.same_shape("Affine", "b", value, self._b.shape, "before")
        self._look_at_arrays()

    @property
    def x(self):
        """The last forward's input as (n_samples, n_in)."""
        return self._saved and self._saved[0]

    @property
    def weight(self):
        """The weights as PyTorch has them: the view ``W.T``, (n_out, n_in)."""
        return self.W.T

    def _look_at_arrays(self):
        """Note whether the kernels can read both arrays where they lie (contents may change)."""
        W, b = self._W, self._b
        self.renew_tensors()
        self._pair: tuple = ()
        # NumPy's own dtype object: that of an unpickled array is equal, but another one.
        self._dtype = np.dtype(np.result_type(W, b).type)
        self._ready = all(
            array.dtype == self._dtype and array.flags.c_contiguous and array.flags.aligned
            for array in (W, b)
        )

    def _ready_arrays(self):
        """W and b as the kernels take them."""
        if self._trainer is not None or self._views:
            self.sync()
        W, b = self._W, self._b
        if self._ready:
            return W, b
        dtype = self._dtype
        return checks.floats("Affine", "W", W, dtype), checks.floats("Affine", "b", b, dtype)

    def run(self, x, training):
        W, b = self._ready_arrays()
        dtype = self._dtype
        if checks.ready(x, dtype) and x.ndim == 2 and x.shape[1] == W.shape[0]:
            shape = x.shape
        else:
            x, shape = checks.rows(type(self).__name__, x, W.shape, dtype)
        out = np.empty((len(x), W.shape[1]), dtype)
        kernels().affine_forward(x, W, b, out)
        return (out[0] if len(shape) == 1 else out), (x, shape)

    def pullback(self, saved, dout, need_dx=True):
        x, shape = saved
        W = self._ready_arrays()[0]
        dtype, n_out = self._dtype, W.shape[1]
        out_shape = (n_out,) if len(shape) == 1 else (len(x), n_out)
        dout = checks.gradient_of(type(self).__name__, dout, out_shape, dtype)
        if len(shape) == 1:
            dout = dout.reshape(1, n_out)
        if x.dtype is not dtype:  # a parameter of another dtype was put in since forward
            x = x.astype(dtype)
        dx = np.empty(x.shape, dtype) if need_dx else None
        dW = np.empty(W.shape, dtype)
        db = np.empty(n_out, dtype)
        kernels().affine_backward(dout, x, W, dx, dW, db)
        if dx is not None and len(shape) != 2:
            dx = dx.reshape(shape)
        return dx, (dW, db)

    def keep_gradients(self, grads):
        self.dW, self.db = grads

    def tensor_views(self):
        return [self._W.T, self._b]

    def tensor_gradients(self, grads):
        dW, db = grads
        return dW.T, db

    def adopt(self, arrays):
        weight, b = (
            checks.same_shape(type(self).__name__, name, array, shape, "before")
            for name, array, shape in zip(
                ("weight", "bias"), arrays, (self._W.shape[::-1], self._b.shape), strict=True
            )
        )
        self._W = np.ascontiguousarray(weight.T)
        self._b = np.ascontiguousarray(b)
        self._look_at_arrays()

    def on_tensor(self, x):
        """PyTorch's linear map: of the last dimension, in the weights' dtype."""
        weight, bias = self.tensors()
        out = core.affine(x, weight, bias)
        return self._on_any_tensor(x, weight, bias) if out is None else out

    def tensors(self):
        """The weight and the bias (None where there is none) as they are now."""
        pair = self._pair
        if pair and self._trainer is None:
            (weight, bias), views = pair, self._views
            if weight.array is views[0] and (bias is None or bias.array is views[1]):
                return pair
        parameters = self.own_parameters()
        self._pair = parameters["weight"], parameters.get("bias")
        return self._pair

    def _on_any_tensor(self, x, weight, bias):
        array, (n_out, n_in) = x.array, weight.array.shape
        if array.dtype != weight.array.dtype:
            raise RuntimeError(
                f"{type(self).__name__} expects x of its weights' dtype, {weight.dtype!r}; "
                f"got {x.dtype!r}: x.to(...) or the layer's own to(...) converts."
            )
        if array.ndim == 0 or array.shape[-1] != n_in:
            raise RuntimeError(
                f"{type(self).__name__} expects x with {checks.plural(n_in, 'feature')} "
                f"in its last dimension; got x of shape {array.shape}."
            )
        if array.ndim != 2:
            return self.on_tensor(x.reshape(-1, n_in)).reshape(*array.shape[:-1], n_out)
        parameters = tuple(self.own_parameters().values())
        out, kept = self.run(array, self.training)
        return node(self.node_name, out, (x, *parameters), _pull_back, (self, kept, x, *parameters))

    def config(self):
        return {"in_features": self._W.shape[0], "out_features": self._W.shape[1]}

    def state(self):
        return {"weight": self.W.T, "bias": self.b}

    @classmethod
    def restore(cls, config, state):
        shape = (config["out_features"], config["in_features"])
        checks.same_shape("Affine", "weight", state["weight"], shape, "described")
        return Affine(np.ascontiguousarray(state["weight"].T), state["bias"].copy())


class Linear(Affine):
    """An `Affine` layer that initialises itself.

    Parameters
    ----------
    in_features, out_features : int
        Numbers of inputs and outputs.
    init : {"he", "xavier", "lecun", "zeros"} or float
        See `fastbp.init.weights`; a number is the standard deviation.  The bias starts at 0.
    dtype : {"float32", "float64"}
    seed : int, numpy.random.Generator or None

    Raises
    ------
    ValueError, TypeError
        For features below 1, an unknown init or dtype.

    Examples
    --------
    >>> Linear(64, 10, seed=0)
    Linear(in_features=64, out_features=10)
    """

    def __init__(self, in_features, out_features, init="he", dtype="float32", seed=None):
        n_in = checks.integer("Linear", "in_features", in_features, least=1)
        n_out = checks.integer("Linear", "out_features", out_features, least=1)
        W = _initial_weights(n_in, n_out, init, dtype, seed)
        super().__init__(W, np.zeros(n_out, W.dtype))


_initial_weights = init.weights


class _Activation(Layer):
    """An element-wise function; `pullback` needs its output, or its input."""

    _forward_kernel: str
    _backward_kernel: str
    _needs_input = False
    #: Its number among the activations that are compiled for tensors.
    _compiled: int

    def __init_subclass__(cls, kernel=None, **kwargs):
        super().__init_subclass__(**kwargs)
        if kernel:
            if kernel != "identity":
                cls.kind = kernel
                cls._compiled = getattr(core, kernel.upper())
            cls.node_name = "".join(map(str.capitalize, kernel.split("_"))) + "Backward0"
            cls._forward_kernel, cls._backward_kernel = f"{kernel}_forward", f"{kernel}_backward"

    @property
    def out(self):
        """The last forward's output."""
        return self._saved and self._saved[0]

    def _arguments(self):
        """What the kernels take beside the arrays."""
        return ()

    def on_tensor(self, x):
        out = core.activation(self._compiled, x, self.kind_number)
        if out is None:
            out = super().on_tensor(x if x.is_floating_point() else x.float())
        return out

    def run(self, x, training):
        x = checks.floats(type(self).__name__, "x", x)
        out = np.empty(x.shape, x.dtype)
        forward = getattr(kernels(), self._forward_kernel)
        forward(x.reshape(-1), out.reshape(-1), *self._arguments())
        return out, (out, x if self._needs_input else out)

    def pullback(self, saved, dout, need_dx=True):
        if not need_dx:
            return None, ()
        out, needed = saved
        dout = checks.gradient_of(type(self).__name__, dout, out.shape, out.dtype)
        dx = np.empty(out.shape, out.dtype)
        backward = getattr(kernels(), self._backward_kernel)
        backward(dout.reshape(-1), needed.reshape(-1), dx.reshape(-1), *self._arguments())
        return dx, ()


class Relu(_Activation, kernel="relu"):
    """Rectified linear unit: ``max(x, 0)``; its derivative at 0 is taken as 0.

    NaN stays NaN.  `backward` leaves `dout` alone, where the book's overwrites it.

    Parameters
    ----------
    inplace : bool
        PyTorch's, without effect: x is never written to.

    Attributes
    ----------
    mask : numpy.ndarray of bool or None
        True where the last forward's input was 0 or below.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 5.5.1.

    Examples
    --------
    >>> import numpy as np
    >>> relu = Relu()
    >>> relu.forward(np.array([[1.0, -0.5], [-2.0, 3.0]]))
    array([[1., 0.],
           [0., 3.]])
    >>> relu.mask
    array([[False,  True],
           [ True, False]])
    >>> relu.backward(np.ones((2, 2)))
    array([[1., 0.],
           [0., 1.]])
    """

    shown_name = "ReLU"  # as PyTorch's texts have it

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = bool(inplace)

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""

    @property
    def mask(self):
        """True where the last forward's input was 0 or below."""
        return None if self._saved is None else self._saved[0] <= 0


ReLU = Relu


class Sigmoid(_Activation, kernel="sigmoid"):
    """Logistic function: ``1 / (1 + exp(-x))``, without overflow for any x.

    Attributes
    ----------
    out : numpy.ndarray or None
        The last forward's output.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 5.5.2.

    Examples
    --------
    >>> import numpy as np
    >>> sigmoid = Sigmoid()
    >>> sigmoid.forward(np.array([0.0, -1000.0]))
    array([0.5, 0. ])
    >>> sigmoid.backward(np.array([1.0, 1.0]))
    array([0.25, 0.  ])
    """


class Tanh(_Activation, kernel="tanh"):
    """Hyperbolic tangent: ``tanh(x)``; its derivative is ``1 - tanh(x)^2``.

    Attributes
    ----------
    out : numpy.ndarray or None
        The last forward's output.

    References
    ----------
    LeCun et al., Efficient BackProp (1998).

    Examples
    --------
    >>> import numpy as np
    >>> Tanh().forward(np.array([0.0, 100.0]))
    array([0., 1.])
    """


class Identity(_Activation, kernel="identity"):
    """The linear activation: ``x``.

    Examples
    --------
    >>> import numpy as np
    >>> Identity().forward(np.array([1.0, -2.0]))
    array([ 1., -2.])
    """

    def on_tensor(self, x):
        return x


class LeakyRelu(_Activation, kernel="leaky_relu"):
    """Leaky rectified linear unit: ``x`` above 0, ``slope * x`` below.

    Parameters
    ----------
    slope : float
        Of at least 0.

    References
    ----------
    Maas et al., Rectifier nonlinearities improve neural network acoustic models (2013).

    Examples
    --------
    >>> import numpy as np
    >>> LeakyRelu(0.1).forward(np.array([1.0, -2.0]))
    array([ 1. , -0.2])
    """

    _needs_input = True

    def __init__(self, slope=0.01):
        super().__init__()
        self.slope = self.kind_number = checks.number("LeakyRelu", "slope", slope, least=0)

    def _arguments(self):
        return (self.slope,)

    def config(self):
        return {"slope": self.slope}


class Softplus(_Activation, kernel="softplus"):
    """Softplus: ``log(1 + exp(x))``, without overflow for any x.

    References
    ----------
    Dugas et al., Incorporating second-order functional knowledge (2001).

    Examples
    --------
    >>> import numpy as np
    >>> Softplus().forward(np.array([0.0, -1000.0])).round(4)
    array([0.6931, 0.    ])
    """

    _needs_input = True


class Gelu(_Activation, kernel="gelu"):
    """Gaussian error linear unit: ``x Phi(x)``, exact, Phi the normal distribution function.

    References
    ----------
    Hendrycks & Gimpel, Gaussian error linear units (2016).

    Examples
    --------
    >>> import numpy as np
    >>> Gelu().forward(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.8413])
    """

    _needs_input = True


class Dropout(Layer):
    """Inverted dropout: in training ``x / (1 - dropout_ratio)``, or 0 with that probability.

    The scaling is done in training, where the book does it in evaluation.

    Parameters
    ----------
    dropout_ratio : float
        Between 0 and 1, 1 left out.
    seed : int or None
        Chooses the masks of `forward`; None draws one.  Training by a `Trainer` or `fit` has
        its own seed.

    Attributes
    ----------
    mask : numpy.ndarray of bool or None
        True where the last forward kept x.

    References
    ----------
    Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting (2014).

    Examples
    --------
    >>> import numpy as np
    >>> dropout = Dropout(0.5, seed=0)
    >>> dropout.forward(np.ones(6))
    array([2., 0., 0., 2., 2., 0.])
    >>> dropout.evaluate(np.ones(6))
    array([1., 1., 1., 1., 1., 1.])
    """

    kind = "dropout"
    node_name = "NativeDropoutBackward0"

    def __init__(self, dropout_ratio=0.5, seed=None):
        super().__init__()
        ratio = checks.number("Dropout", "dropout_ratio", dropout_ratio, least=0, most=1)
        if ratio == 1:
            raise ValueError("Dropout expects dropout_ratio below 1; got 1.")
        self.dropout_ratio = self.kind_number = ratio
        self.seed = init.seed_of("Dropout", seed)
        self._steps = 0

    def _mask(self, x, key):
        out = np.empty(x.shape, x.dtype)
        kernels().dropout(x.reshape(-1), out.reshape(-1), key, self.dropout_ratio)
        return out

    @property
    def mask(self):
        """True where the last forward kept x."""
        if self._saved is None:
            return None
        shape, dtype, key = self._saved
        return self._mask(np.ones(shape, dtype), key) != 0

    def run(self, x, training):
        x = checks.floats("Dropout", "x", x)
        if not training:
            return x, None
        key = kernels().dropout_key(self.seed, self._steps, 0)
        self._steps += 1
        return self._mask(x, key), (x.shape, x.dtype, key)

    def on_tensor(self, x):
        return super().on_tensor(x) if self.training else x

    def pullback(self, saved, dout, need_dx=True):
        shape, dtype, key = saved
        return self._mask(checks.gradient_of("Dropout", dout, shape, dtype), key), ()

    def config(self):
        return {"dropout_ratio": self.dropout_ratio}


class BatchNormalization(Layer):
    """Batch normalisation: each column to mean 0 and variance 1, times gamma, plus beta.

    In training with the batch's mean and variance; in evaluation with the running ones, which
    become ``momentum * running + (1 - momentum) * batch`` at each forward.

    Parameters
    ----------
    gamma, beta : numpy.ndarray
        (n,), float32 or float64; the very arrays.
    momentum : float
        The book's: the share of the old running statistics.
    running_mean, running_var : numpy.ndarray or None
        (n,); None starts at 0, as the book does.

    Attributes
    ----------
    dgamma, dbeta : numpy.ndarray or None
        Gradients of the last backward.

    Raises
    ------
    ValueError, TypeError
        For arrays that do not fit each other; from forward, for a batch of one row.

    References
    ----------
    Ioffe & Szegedy, Batch normalization (2015); Saito, Deep Learning from Scratch (2016),
    section 6.3.

    Examples
    --------
    >>> import numpy as np
    >>> layer = BatchNormalization(np.ones(1), np.zeros(1))
    >>> layer.forward(np.array([[1.0], [3.0]])).round(4)
    array([[-1.],
           [ 1.]])
    """

    param_names = ("gamma", "beta")
    kind = "batch_norm"
    node_name = "NativeBatchNormBackward0"
    kind_number = 1e-6  # eps, the book's 10e-7
    unbiased = False  # the running variance, by n - 1

    def __init__(self, gamma, beta, momentum=0.9, running_mean=None, running_var=None):
        super().__init__()
        who = type(self).__name__
        self._gamma = checks.parameter(who, "gamma", gamma, ndim=1)
        shape = self._gamma.shape
        self._beta = checks.same_shape(
            who, "beta", checks.parameter(who, "beta", beta, ndim=1), shape, "gamma"
        )
        self.momentum = checks.number(who, "momentum", momentum, least=0, most=1)
        self._running = []
        for name, value in (("running_mean", running_mean), ("running_var", running_var)):
            array = np.zeros(shape, self._gamma.dtype) if value is None else value
            array = checks.writable_parameter(who, name, checks.parameter(who, name, array, 1))
            self._running.append(checks.same_shape(who, name, array, shape, "gamma"))
        self.dgamma = None
        self.dbeta = None

    @property
    def gamma(self):
        """Scale, (n,); the very array."""
        self.sync()
        return self._gamma

    @gamma.setter
    def gamma(self, value):
        self.sync()
        self._gamma = self._replacement("gamma", value)
        self.renew_tensors()

    @property
    def beta(self):
        """Shift, (n,); the very array."""
        self.sync()
        return self._beta

    @beta.setter
    def beta(self, value):
        self.sync()
        self._beta = self._replacement("beta", value)
        self.renew_tensors()

    @property
    def old_share(self):
        """The share of the old running statistics at each forward in training."""
        return self.momentum

    def _replacement(self, name, value):
        who = type(self).__name__
        value = checks.parameter(who, name, value, ndim=1)
        return checks.same_shape(who, name, value, self._gamma.shape, "before")

    @property
    def running_mean(self):
        """Mean for evaluation, (n,)."""
        self.sync()
        return self._running[0]

    @property
    def running_var(self):
        """Variance for evaluation, (n,)."""
        self.sync()
        return self._running[1]

    def _arrays(self):
        """gamma, beta and the running statistics as the kernels take them."""
        self.sync()
        dtype = np.result_type(self._gamma, self._beta).newbyteorder("=")
        names = ("gamma", "beta", "running_mean", "running_var")
        arrays = (self._gamma, self._beta, *self._running)
        who = type(self).__name__
        return [
            checks.floats(who, name, array, dtype)
            for name, array in zip(names, arrays, strict=True)
        ]

    def run(self, x, training):
        who = type(self).__name__
        gamma, beta, mean, var = self._arrays()
        x = checks.floats(who, "x", x, gamma.dtype)
        if x.ndim != 2 or x.shape[1] != len(gamma):
            raise ValueError(
                f"{who} expects x of shape (n_samples, {len(gamma)}); got x of shape {x.shape}."
            )
        if not training:
            scale = gamma / np.sqrt(var + gamma.dtype.type(self.kind_number))
            return (x - mean) * scale + beta, None
        if len(x) == 1:
            raise ValueError(
                f"{who} expects at least 2 rows in training, to have a variance; got 1."
            )
        out, normal = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
        inverse = np.empty(len(gamma), x.dtype)
        if len(x):
            kernels().batch_norm_forward(
                x, gamma, beta, out, normal, inverse, mean, var,
                self.kind_number, self.old_share, self.unbiased,
            )  # fmt: skip
            for kept, new in zip(self._running, (mean, var), strict=True):
                if kept is not new:
                    kept[...] = new
        return out, (normal, inverse, gamma)

    def pullback(self, saved, dout, need_dx=True):
        normal, inverse, gamma = saved
        dout = checks.gradient_of(type(self).__name__, dout, normal.shape, normal.dtype)
        dx = np.empty(normal.shape, normal.dtype)
        dgamma, dbeta = np.zeros(gamma.shape, gamma.dtype), np.zeros(gamma.shape, gamma.dtype)
        if len(dout):
            kernels().batch_norm_backward(dout, normal, inverse, gamma, dx, dgamma, dbeta)
        return dx, (dgamma, dbeta)

    def tensor_views(self):
        return [self._gamma, self._beta]

    def adopt(self, arrays):
        self._gamma, self._beta = (
            np.ascontiguousarray(checks.same_shape(
                type(self).__name__, name, array, self._gamma.shape, "before"
            ))
            for name, array in zip(("weight", "bias"), arrays, strict=True)
        )  # fmt: skip
        self._running = [array.astype(self._gamma.dtype, copy=False) for array in self._running]
        self.renew_tensors()

    def on_tensor(self, x):
        if self.training:
            return super().on_tensor(x)
        weight, bias = self.own_parameters().values()
        mean, var = (new(array) for array in self._running)
        return (x - mean) / (var + self.kind_number).sqrt() * weight + bias

    def config(self):
        return {"momentum": self.momentum}

    def state(self):
        self.sync()
        return {
            "weight": self._gamma,
            "bias": self._beta,
            "running_mean": self._running[0],
            "running_var": self._running[1],
        }

    @classmethod
    def restore(cls, config, state):
        return cls(
            state["weight"].copy(),
            state["bias"].copy(),
            config["momentum"],
            state["running_mean"].copy(),
            state["running_var"].copy(),
        )


class BatchNorm1d(BatchNormalization):
    """Batch normalisation that initialises itself, with PyTorch's numbers.

    Parameters
    ----------
    num_features : int
    eps : float
        Added to the variance.
    momentum : float
        PyTorch's: the share of the new running statistics.
    dtype : {"float32", "float64"}

    Raises
    ------
    ValueError, TypeError
        For no features or another dtype.

    Notes
    -----
    Running statistics start at 0 and 1, and their variance is that by n - 1.

    Examples
    --------
    >>> import numpy as np
    >>> BatchNorm1d(3).forward(np.arange(6, dtype="float32").reshape(2, 3)).round(3)
    array([[-1., -1., -1.],
           [ 1.,  1.,  1.]], dtype=float32)
    """

    unbiased = True

    def __init__(self, num_features, eps=1e-5, momentum=0.1, dtype="float32"):
        n = checks.integer("BatchNorm1d", "num_features", num_features, least=1)
        dtype = checks.float_dtype("BatchNorm1d", dtype)
        share = self._share = checks.number("BatchNorm1d", "momentum", momentum, 0, 1)
        super().__init__(
            np.ones(n, dtype), np.zeros(n, dtype), 1 - share, np.zeros(n, dtype), np.ones(n, dtype)
        )
        self.kind_number = checks.number("BatchNorm1d", "eps", eps, least=0)

    def config(self):
        return {
            "num_features": len(self._gamma),
            "eps": self.kind_number,
            "momentum": self._share,
        }

    @classmethod
    def restore(cls, config, state):
        return restored(cls, config, state)


class Flatten(Layer):
    """Flattens everything behind the first axis; `backward` restores the shape.

    Examples
    --------
    >>> import numpy as np
    >>> flatten = Flatten()
    >>> flatten.forward(np.zeros((10, 1, 28, 28))).shape
    (10, 784)
    >>> flatten.backward(np.zeros((10, 784))).shape
    (10, 1, 28, 28)
    """

    def on_tensor(self, x):
        return x.flatten(1) if x.ndim > 1 else x

    def run(self, x, training):
        x = checks.floats("Flatten", "x", x)
        if x.ndim == 0:
            raise ValueError("Flatten expects x with at least one axis; got a scalar.")
        out = x if x.ndim <= 2 else x.reshape(x.shape[0], int(np.prod(x.shape[1:])))
        return out, (x.shape, out.shape, out.dtype)

    def pullback(self, saved, dout, need_dx=True):
        shape, out_shape, dtype = saved
        return checks.gradient_of("Flatten", dout, out_shape, dtype).reshape(shape), ()


class MulLayer:
    """The node ``x * y`` of a computational graph; numbers keep their type.

    Raises
    ------
    RuntimeError
        From backward before forward.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 5.4.1.

    Examples
    --------
    >>> node = MulLayer()
    >>> node.forward(100, 2)
    200
    >>> node.backward(1.1)
    (2.2, 110.00000000000001)
    """

    def __init__(self):
        self.x = None
        self.y = None

    def forward(self, x, y):
        """The product x * y."""
        x, y = checks.real("MulLayer", "x", x), checks.real("MulLayer", "y", y)
        out = x * y
        self.x, self.y = x, y
        return out

    def backward(self, dout):
        """The gradients by x and by y."""
        checks.forward_was_called("MulLayer", self.x)
        dout = checks.real("MulLayer.backward", "dout", dout)
        return dout * self.y, dout * self.x


class AddLayer:
    """The node ``x + y`` of a computational graph; numbers keep their type.

    References
    ----------
    Saito, Deep Learning from Scratch (2016), section 5.4.2.

    Examples
    --------
    >>> node = AddLayer()
    >>> node.forward(200, 450)
    650
    >>> node.backward(1.1)
    (1.1, 1.1)
    """

    def forward(self, x, y):
        """The sum x + y."""
        return checks.real("AddLayer", "x", x) + checks.real("AddLayer", "y", y)

    def backward(self, dout):
        """The gradients by x and by y."""
        dout = checks.real("AddLayer.backward", "dout", dout)
        return dout * 1, dout * 1
