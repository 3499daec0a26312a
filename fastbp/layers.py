"""Layers: thin classes over the kernels, with the book's names.

`forward(x)` keeps what `backward(dout)` needs; `evaluate(x)` computes the same in evaluation
mode and keeps nothing.  Layers read the current contents of their arrays at every call.
"""

import numpy as np

from fastbp import checks, init
from fastbp.backend import kernels
from fastbp.losses import (
    MeanSquaredError,
    SigmoidWithLoss,
    SoftmaxWithLoss,
    cross_entropy_error,
    softmax,
)

__all__ = [
    "AddLayer",
    "Affine",
    "Flatten",
    "Identity",
    "Layer",
    "Linear",
    "MeanSquaredError",
    "MulLayer",
    "ReLU",
    "Relu",
    "Sigmoid",
    "SigmoidWithLoss",
    "SoftmaxWithLoss",
    "Tanh",
    "cross_entropy_error",
    "softmax",
]


class Layer:
    """What all layers share.

    A layer is two functions without memory: ``apply(x, training) -> (out, saved)`` and
    ``pullback(saved, dout, need_dx) -> (dx, grads)``, the gradients in the order of
    `param_names`.  `forward` and `backward` are these two with `saved` kept on the layer.
    """

    #: Names of the attributes that are trained; the gradient of `W` is left in `dW`.
    param_names: tuple[str, ...] = ()

    def __init__(self):
        self._saved = None

    def apply(self, x, training):
        """The output, and what `pullback` needs of it."""
        raise NotImplementedError

    def pullback(self, saved, dout, need_dx=True):
        """The gradient by x (None without `need_dx`), and a tuple of those by the parameters."""
        raise NotImplementedError

    def forward(self, x):
        """The layer's output for x; keeps what `backward` needs."""
        out, self._saved = self.apply(x, True)
        return out

    def evaluate(self, x):
        """The layer's output for x in evaluation mode; keeps nothing."""
        return self.apply(x, False)[0]

    def backward(self, dout):
        """The loss's gradient by x, from `dout`, that by the last forward's output.

        Overwrites the gradients of the layer's parameters (`dW`, `db`).
        """
        checks.forward_was_called(type(self).__name__, self._saved)
        dx, grads = self.pullback(self._saved, dout)
        self.keep_gradients(grads)
        return dx

    def keep_gradients(self, grads):
        """Store the parameters' gradients as `dW`, `db`, ..."""
        for name, grad in zip(self.param_names, grads, strict=True):
            setattr(self, "d" + name, grad)

    def config(self):
        """The arguments, apart from arrays, that make such a layer again."""
        return {}

    def __call__(self, x):
        return self.forward(x)

    def __repr__(self):
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.config().items())
        return f"{type(self).__name__}({arguments})"


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

    def __init__(self, W, b):
        super().__init__()
        self._W = checks.parameter("Affine", "W", W, ndim=2)
        self._b = checks.same_shape(
            "Affine", "b", checks.parameter("Affine", "b", b, ndim=1), (self._W.shape[1],),
            f"W is {self._W.shape}",
        )  # fmt: skip
        self.dW = None
        self.db = None

    @property
    def W(self):
        """Weights, (n_in, n_out); the very array."""
        return self._W

    @W.setter
    def W(self, value):
        value = checks.parameter("Affine", "W", value, ndim=2)
        self._W = checks.same_shape("Affine", "W", value, self._W.shape, "before")

    @property
    def b(self):
        """Bias, (n_out,); the very array."""
        return self._b

    @b.setter
    def b(self, value):
        value = checks.parameter("Affine", "b", value, ndim=1)
        self._b = checks.same_shape("Affine", "b", value, self._b.shape, "before")

    @property
    def x(self):
        """The last forward's input as (n_samples, n_in)."""
        return self._saved and self._saved[0]

    @property
    def weight(self):
        """The weights as PyTorch has them: the view ``W.T``, (n_out, n_in)."""
        return self._W.T

    def _parameters(self):
        """W and b as the kernels take them."""
        W, b = self._W, self._b
        dtype = W.dtype
        if b.dtype is not dtype or not dtype.isnative:
            dtype = np.result_type(W, b).newbyteorder("=")
        return checks.floats("Affine", "W", W, dtype), checks.floats("Affine", "b", b, dtype)

    def apply(self, x, training):
        W, b = self._parameters()
        n_in, n_out = W.shape
        x, shape = checks.rows(type(self).__name__, x, n_in, W.dtype)
        out = np.empty((len(x), n_out), W.dtype)
        kernels().affine_forward(x, W, b, out)
        return (out[0] if len(shape) == 1 else out), (x, shape)

    def pullback(self, saved, dout, need_dx=True):
        x, shape = saved
        W, b = self._parameters()
        n_rows, n_out = len(x), W.shape[1]
        out_shape = (n_out,) if len(shape) == 1 else (n_rows, n_out)
        dout = checks.gradient_of(type(self).__name__, dout, out_shape, W.dtype)
        if len(shape) == 1:
            dout = dout.reshape(1, n_out)
        if x.dtype is not W.dtype:  # a parameter of another dtype was put in since forward
            x = x.astype(W.dtype)
        dx = np.empty(x.shape, W.dtype) if need_dx else None
        dW = np.empty(W.shape, W.dtype)
        db = np.empty(b.shape, W.dtype)
        kernels().affine_backward(dout, x, W, dx, dW, db)
        if need_dx and len(shape) != 2:
            dx = dx.reshape(shape)
        return dx, (dW, db)

    def config(self):
        return {"in_features": self._W.shape[0], "out_features": self._W.shape[1]}


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
    """An element-wise function whose gradient needs only its output."""

    def __init_subclass__(cls, kernel=None, **kwargs):
        super().__init_subclass__(**kwargs)
        if kernel:
            cls._forward_kernel, cls._backward_kernel = f"{kernel}_forward", f"{kernel}_backward"

    @property
    def out(self):
        """The last forward's output."""
        return self._saved

    def apply(self, x, training):
        x = checks.floats(type(self).__name__, "x", x)
        out = np.empty(x.shape, x.dtype)
        getattr(kernels(), self._forward_kernel)(x.reshape(-1), out.reshape(-1))
        return out, out

    def pullback(self, saved, dout, need_dx=True):
        if not need_dx:
            return None, ()
        out = saved
        dout = checks.gradient_of(type(self).__name__, dout, out.shape, out.dtype)
        dx = np.empty(out.shape, out.dtype)
        getattr(kernels(), self._backward_kernel)(
            dout.reshape(-1), out.reshape(-1), dx.reshape(-1)
        )
        return dx, ()


class Relu(_Activation, kernel="relu"):
    """Rectified linear unit: ``max(x, 0)``; its derivative at 0 is taken as 0.

    NaN stays NaN.  `backward` leaves `dout` alone, where the book's overwrites it.

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

    @property
    def mask(self):
        """True where the last forward's input was 0 or below."""
        return None if self._saved is None else self._saved <= 0


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

    def apply(self, x, training):
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
        self.x = x
        self.y = y
        return x * y

    def backward(self, dout):
        """The gradients by x and by y."""
        checks.forward_was_called("MulLayer", self.x)
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
        return x + y

    def backward(self, dout):
        """The gradients by x and by y."""
        return dout * 1, dout * 1
