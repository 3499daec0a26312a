"""The affine map: `Affine` around arrays that it is given, `Linear` around its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks, init
from fastbp._kernels import autograd as core
from fastbp._kernels import engine, passes, prediction
from fastbp._kernels.autograd import TensorBase, adopt, node
from fastbp._kernels.changes import note
from fastbp.backend import kernels
from fastbp.layers.base import Layer, pull_back, runs
from fastbp.modules import Readable

if TYPE_CHECKING:
    from fastbp._typing import Array


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
    behind the first, and `backward` restores them.  `evaluate`, and with it a network's `predict`,
    `loss` and `accuracy`, takes SciPy's sparse matrices too.

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

    param_names: tuple[str, ...] = ("W", "b")
    tensor_names: tuple[str, ...] = ("weight", "bias")
    optional: tuple[str, ...] = ("bias",)
    kind: str | None = "affine"
    has_bias: bool = True  # whether b is trained; else it is zeros
    node_name: str = "AddmmBackward0"

    def __init__(self, W: Array, b: Array) -> None:
        super().__init__()
        self._W = checks.parameter("Affine", "W", W, ndim=2)
        self._b = checks.parameter("Affine", "b", b, ndim=1)
        self._require_pair()
        self._look_at_arrays()
        vars(self).update(dW=None, db=None)

    @property
    def W(self) -> Any:
        """Weights, (n_in, n_out); the very array."""
        if self._trainer is not None or self._views:
            self.sync()
        return self._W

    @W.setter
    def W(self, value: Any) -> None:
        self.sync()
        if value is self._W:  # as W -= lr * dW puts it back
            return
        value = checks.parameter("Affine", "W", value, ndim=2)
        self._W = checks.same_shape("Affine", "W", value, self._W.shape, "before")
        self._look_at_arrays()

    @property
    def b(self) -> Any:
        """Bias, (n_out,); the very array."""
        if self._trainer is not None or self._views:
            self.sync()
        return self._b

    @b.setter
    def b(self, value: Any) -> None:
        self.sync()
        value = checks.parameter("Affine", "b", value, ndim=1)
        if not self.has_bias and value.any():
            raise ValueError(f"{type(self).__name__} expects no b, as it has bias=False; got one.")
        if value is self._b:
            return
        self._b = checks.same_shape("Affine", "b", value, self._b.shape, "before")
        self._look_at_arrays()

    @Readable
    def x(self) -> Any:
        """The last forward's input as (n_samples, n_in)."""
        return self._saved[0] if self._saved else None

    @property
    def weight(self) -> Any:
        """The weights as PyTorch has them: the view ``W.T``, (n_out, n_in)."""
        return self.W.T

    @property
    def trained_names(self) -> Any:
        return self.param_names[: 1 + self.has_bias]

    def _require_pair(self):
        shape, b = self._W.shape, self._b
        turned = ": W is (n_in, n_out), as W.T" if b.shape == shape[:1] != shape[1:] else ""
        checks.same_shape("Affine", "b", b, shape[1:], f"W is {shape}", turned)

    def _look_at_arrays(self):
        """Note whether the kernels can read both arrays where they lie (contents may change)."""
        W, b = self._W, self._b
        note()  # of a network's compiled evaluation
        self.renew_tensors()
        # NumPy's own dtype object: that of an unpickled array is equal, but another one.
        self._dtype = np.dtype(np.result_type(W, b).type)
        self._fits = b.shape == W.shape[1:] and W.dtype == b.dtype == self._dtype
        self._ready = self._fits and all(array.flags.c_contiguous and array.flags.aligned for array in (W, b))

    def _ready_arrays(self):
        """W and b as the kernels take them."""
        if self._trainer is not None or self._views:
            self.sync()
        if not self._ready:
            self._require_pair()
        W, b = self._W, self._b
        if self._ready:
            return W, b
        dtype = self._dtype
        return checks.floats("Affine", "W", W, dtype), checks.floats("Affine", "b", b, dtype)

    def run(self, x: Any, training: Any) -> Any:
        if self._trainer is not None or self._views:
            self.sync()
        out = passes.affine_forward(x, self._W, self._b)
        return self._run_any(x, training) if out is None else (out, (x, x.shape))

    def _run_any(self, x, training):
        """`run` of what is no plain matrix, or by weights that are none."""
        if not training and hasattr(x, "tocsr"):
            return self._of_sparse(x), ()
        W, b = self._ready_arrays()
        dtype = self._dtype
        if checks.ready(x, dtype) and x.ndim == 2 and x.shape[1] == W.shape[0]:
            shape = x.shape
        else:
            x, shape = checks.rows(type(self).__name__, x, W.shape, dtype)
        out = np.empty((len(x), W.shape[1]), dtype)
        kernels().affine_forward(x, W, b, out)
        return (out[0] if len(shape) == 1 else out), (x, shape)

    def _of_sparse(self, x):
        """The output for a sparse matrix, which SciPy multiplies as it is."""
        who, (W, b) = type(self).__name__, self._ready_arrays()
        if x.ndim != 2 or x.shape[1] != W.shape[0]:
            raise checks.other_width(who, x.shape, W.shape[0])
        x = checks.sparse(who, "x", x).tocsr()
        checks.floats(who, "x", x.data)
        return np.ascontiguousarray(x.astype(self._dtype, copy=False) @ W) + b

    def pullback(self, saved: Any, dout: Any, need_dx: bool = True) -> Any:
        if not saved:
            raise RuntimeError(
                f"{type(self).__name__}.backward expects a forward of dense rows; got one of a "
                "sparse matrix, which toarray() makes dense."
            )
        x, shape = saved
        if self._trainer is not None or self._views:
            self.sync()
        if len(shape) == 2 and self.has_bias and self._fits:
            grads = passes.affine_backward(dout, x, self._W, need_dx)
            if grads is not None:
                return grads[0], grads[1:]
        return self._pull_back_any(x, shape, dout, need_dx)

    def _pull_back_any(self, x, shape, dout, need_dx):
        """`pullback` of what is no plain matrix, or by weights that are none."""
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
        if not self.has_bias:
            db[...] = 0
        if dx is not None and len(shape) != 2:
            dx = dx.reshape(shape)
        return dx, (dW, db)

    def link(self) -> Any:
        # Without a trainer and tensors, whose coming is noted, as another W or b is.
        still = self._trainer is None and not self._views
        return prediction.AFFINE, 0.0, 0.0, (self._W, self._b) if still else self.evaluation_arrays

    def evaluation_arrays(self) -> tuple[Any, Any]:
        """W and b, as they lie."""
        self.sync()
        return self._W, self._b

    def keep_gradients(self, grads: Any) -> None:
        own = vars(self)
        own["dW"], own["db"] = grads

    def tensor_views(self) -> dict[str, Any]:
        return {"weight": self._W.T, "bias": self._b if self.has_bias else None}

    def tensor_gradients(self, grads: Any) -> tuple[Any, Any] | tuple[Any]:
        dW, db = grads
        return (dW.T, db) if self.has_bias else (dW.T,)

    def lay_out(self) -> None:
        """Exchange rows and columns of a weight in memory, where nobody else holds it."""
        weight = vars(self)["_parameters"].get("weight")
        if weight is not None and not weight.array.flags.f_contiguous and core.is_sole(weight):
            adopt(weight, np.asfortranarray(weight.array), weight.requires_grad)

    def adopt(self, arrays: Any) -> None:
        weight, bias = arrays["weight"], arrays["bias"]
        self._W = weight.T
        self.has_bias = bias is not None
        self._b = np.zeros(len(weight), weight.dtype) if bias is None else bias
        self._look_at_arrays()

    @runs
    def forward(self, x: Any) -> Any:
        """The layer's output for x; keeps what `backward` needs.

        Of a tensor PyTorch's linear map: of the last dimension, in the weights' dtype.
        """
        if not isinstance(x, TensorBase):  # as in Layer.forward, without a call more
            out, self.__dict__["_saved"] = self.run(x, self.training)
            return out
        weight, bias = self.tensors()
        out = core.affine(x, weight, bias)
        return self._on_any_tensor(x, weight, bias) if out is None else out

    def tensors(self) -> tuple[Any, Any]:
        """The weight and the bias (None where there is none) as they are now."""
        own = self.__dict__  # once: an attribute of a module costs as much as a product of 4 x 10
        views = own["_views"]
        if views and own["_trainer"] is None:
            table = own["_parameters"]
            try:
                weight, bias = table["weight"], table["bias"]
                if weight.array is views["weight"] and (
                    views["bias"] is None if bias is None else bias.array is views["bias"]
                ):
                    return weight, bias
            except KeyError:  # deleted; a tensor that is no parameter may stand in its place
                pass
        self.sync()
        tensors = self.own_tensors()
        return tensors["weight"], tensors["bias"]

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
            return Affine.forward(self, x.reshape(-1, n_in)).reshape(*array.shape[:-1], n_out)
        out, kept = self.run(array, self.training)
        parameters = self.trained_tensors()
        return node(self.node_name, out, (x, *parameters), pull_back, (self, kept, x, *parameters))

    def plan_arrays(self) -> dict[Any, Any]:
        return {engine.PARAMETERS: (self._W, self._b)}

    def plan_entry(self, width: Any) -> tuple[Any, Any, Any, float, float, bool]:
        n_in, n_out = self._W.shape
        return (self.kind, n_in, n_out, 0.0, 0.0, not self.has_bias)

    def config(self) -> Any:
        sizes = {"in_features": self._W.shape[0], "out_features": self._W.shape[1]}
        return sizes if self.has_bias else sizes | {"bias": False}

    @classmethod
    def restore(cls, config: Any, state: Any) -> Any:
        shape = (config["out_features"], config["in_features"])
        checks.same_shape("Affine", "weight", state["weight"], shape, "described")
        W = np.ascontiguousarray(state["weight"].T)
        has_bias = config.get("bias", True)
        layer = Affine(W, state["bias"].copy() if has_bias else np.zeros(shape[0], W.dtype))
        layer.has_bias = has_bias
        return layer


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
    bias : bool
        Without it `b` is an array of zeros that is never trained.

    Raises
    ------
    ValueError, TypeError
        For features below 1, an unknown init or dtype.

    Examples
    --------
    >>> Linear(64, 10, seed=0)
    Linear(in_features=64, out_features=10)
    """

    def __init__(
        self,
        in_features: Any,
        out_features: Any,
        init: Any = "he",
        dtype: Any = "float32",
        seed: Any = None,
        *,
        bias: Any = True,
    ) -> None:
        n_in = checks.integer("Linear", "in_features", in_features, least=1)
        n_out = checks.integer("Linear", "out_features", out_features, least=1)
        if isinstance(init, bool):
            raise TypeError(f"Linear expects init as a name or a number; got {init}: bias={init} is by name.")
        W = _initial_weights(n_in, n_out, init, dtype, seed)
        super().__init__(W, np.zeros(n_out, W.dtype))
        self.has_bias: Any = checks.flag("Linear", "bias", bias)


_initial_weights = init.weights
