"""Batch normalisation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp._kernels import engine, prediction
from fastbp._kernels.autograd import new
from fastbp.backend import kernels
from fastbp.layers.base import LayerOfTwoModes, restored

if TYPE_CHECKING:
    from fastbp._typing import Array, FloatDType

#: Added to the variance: the book's 10e-7.
EPS = 1e-6


class BatchNormalization(LayerOfTwoModes):
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
    eps : float
        Added to the variance: 1e-6, the book's 10e-7.
    dgamma, dbeta : numpy.ndarray or None
        Gradients of the last backward.

    Raises
    ------
    ValueError, TypeError
        For arrays that do not fit each other; from forward, for x with another number of features.

    Notes
    -----
    x of shape (n,) is one sample; more than two dimensions are flattened behind the first.  A batch
    of one row has no variance: its output is beta, and its gradient 0.

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

    param_names: tuple[str, ...] = ("gamma", "beta")
    tensor_names: tuple[str, ...] = ("weight", "bias")
    buffer_names: tuple[str, ...] = ("running_mean", "running_var")
    kind: str | None = "batch_norm"
    node_name = "NativeBatchNormBackward0"
    eps: Any = checks.Checked(checks.number, least=0)
    momentum: Any = checks.Checked(checks.number, least=0, most=1)
    sample_variance = False  # the running variance, by n - 1
    as_in_the_book = True  # a batch of one row trains, and axes behind the first are joined

    def __init__(
        self,
        gamma: Array,
        beta: Array,
        momentum: float = 0.9,
        running_mean: Array | None = None,
        running_var: Array | None = None,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        self._gamma = checks.parameter(who, "gamma", gamma, ndim=1)
        shape = self._gamma.shape
        self._beta = checks.same_shape(who, "beta", checks.parameter(who, "beta", beta, ndim=1), shape, "gamma")
        self.momentum = momentum
        self.eps = EPS
        self._running = []
        for name, value in (("running_mean", running_mean), ("running_var", running_var)):
            array = np.zeros(shape, self._gamma.dtype) if value is None else value
            array = checks.writable_parameter(who, name, checks.parameter(who, name, array, 1))
            self._running.append(checks.same_shape(who, name, array, shape, "gamma"))
        vars(self).update(dgamma=None, dbeta=None)

    @property
    def gamma(self) -> Any:
        """Scale, (n,); the very array."""
        self.sync()
        return self._gamma

    @gamma.setter
    def gamma(self, value: Any) -> None:
        self.sync()
        self._gamma = self._replacement("gamma", value)
        self.renew_tensors()

    @property
    def beta(self) -> Any:
        """Shift, (n,); the very array."""
        self.sync()
        return self._beta

    @beta.setter
    def beta(self, value: Any) -> None:
        self.sync()
        self._beta = self._replacement("beta", value)
        self.renew_tensors()

    @property
    def kind_number(self) -> Any:
        return self.eps

    def plan_arrays(self) -> dict[Any, Any]:
        pair = self._gamma, self._beta
        return {engine.PARAMETERS: pair, engine.RUNNING: tuple(self._running)}

    def plan_entry(self, width: Any) -> tuple[Any, Any, Any, Any, Any, Any]:
        n = len(self._gamma)
        return (self.kind, n, n, self.eps, self.old_share, self.sample_variance)

    @property
    def old_share(self) -> Any:
        """The share of the old running statistics at each forward in training."""
        return self.momentum

    def _replacement(self, name, value):
        who = type(self).__name__
        value = checks.parameter(who, name, value, ndim=1)
        return checks.same_shape(who, name, value, self._gamma.shape, "before")

    @property
    def running_mean(self) -> Any:
        """Mean for evaluation, (n,)."""
        self.sync()
        return self._running[0]

    @property
    def running_var(self) -> Any:
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
        if len({array.shape for array in arrays}) > 1:
            for name, array in zip(names, arrays, strict=True):
                checks.same_shape(who, name, array, self._gamma.shape, "gamma")
        return [checks.floats(who, name, array, dtype) for name, array in zip(names, arrays, strict=True)]

    def _as_rows(self, shape):
        """(n_samples, n) of an x of this shape, of one sample or of images too."""
        n = len(self._gamma)
        if len(shape) == 1 or (len(shape) > 2 and self.as_in_the_book):
            rows = (1, shape[0]) if len(shape) == 1 else (shape[0], math.prod(shape[1:]))
        else:
            rows = shape
        if len(rows) != 2 or rows[1] != n:
            raise ValueError(
                f"{type(self).__name__} expects x of shape (n_samples, {n}); got x of shape {tuple(shape)}."
            )
        return rows

    def _deviation(self, gamma, var):
        return np.sqrt(var + gamma.dtype.type(self.eps))

    def link(self) -> Any:
        return prediction.NORMALISE, 0.0, 0.0, self.evaluation_arrays

    def evaluation_arrays(self) -> tuple[Any, Any, Any]:
        """mean, factor and beta of (x - mean) factor + beta, in evaluation mode."""
        gamma, beta, mean, var = self._arrays()
        return mean, gamma / self._deviation(gamma, var), beta

    def run(
        self, x: Any, training: Any
    ) -> tuple[Any, tuple[Any, Any, Any, Any, Any]] | tuple[Any, tuple[Any, Any, Any]]:
        who = type(self).__name__
        gamma, beta, mean, var = self._arrays()
        x = checks.floats(who, "x", x, gamma.dtype)
        shape = x.shape
        if len(shape) != 2 or shape[1] != len(gamma):
            x = x.reshape(self._as_rows(shape))
        if not training:
            deviation = self._deviation(gamma, var)
            out = (x - mean) * (gamma / deviation) + beta
            return out.reshape(shape), (x, mean, deviation, gamma, shape)
        if len(x) == 1 and not self.as_in_the_book:
            raise ValueError(f"{who} expects at least 2 rows in training, to have a variance; got 1.")
        out, normal = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
        inverse = np.empty(len(gamma), x.dtype)
        if len(x):
            kernels().batch_norm_forward(
                x, gamma, beta, out, normal, inverse, mean, var, self.eps, self.old_share, self.sample_variance
            )
            for kept, new in zip(self._running, (mean, var), strict=True):
                if kept is not new:
                    kept[...] = new
        if len(shape) != 2:
            out, normal = out.reshape(shape), normal.reshape(shape)
        return out, (normal, inverse, gamma)

    def pullback(self, saved: Any, dout: Any, need_dx: bool = True) -> tuple[Any, tuple[Any, Any]]:
        if len(saved) == 5:  # of a forward in evaluation mode: the statistics are constants
            x, mean, deviation, gamma, shape = saved
            dout = checks.gradient_of(type(self).__name__, dout, shape, x.dtype).reshape(x.shape)
            dx = (dout * (gamma / deviation)).reshape(shape)
            return dx, ((dout * ((x - mean) / deviation)).sum(axis=0), dout.sum(axis=0))
        normal, inverse, gamma = saved
        shape = normal.shape
        dout = checks.gradient_of(type(self).__name__, dout, shape, normal.dtype)
        if len(shape) != 2:
            rows = normal.size // len(gamma), len(gamma)
            dout, normal = dout.reshape(rows), normal.reshape(rows)
        dx = np.empty(normal.shape, normal.dtype)
        dgamma, dbeta = np.zeros(gamma.shape, gamma.dtype), np.zeros(gamma.shape, gamma.dtype)
        if len(dout):
            kernels().batch_norm_backward(dout, normal, inverse, gamma, dx, dgamma, dbeta)
        return dx if len(shape) == 2 else dx.reshape(shape), (dgamma, dbeta)

    def tensor_views(self) -> dict[str, Any]:
        mean, var = self._running
        return {"weight": self._gamma, "bias": self._beta, "running_mean": mean, "running_var": var}

    def adopt(self, arrays: Any) -> None:
        self._gamma, self._beta, *running = arrays.values()
        self._running = [array.astype(self._gamma.dtype, copy=False) for array in running]
        self.renew_tensors()

    def on_tensor(self, x: Any) -> Any:
        if self.training:
            return super().on_tensor(x)
        self.sync()
        weight, bias = self.trained_tensors()
        mean, var = (new(array) for array in self._running)
        shape = x.array.shape
        rows = x.reshape(self._as_rows(shape))
        out = (rows - mean) / (var + self.eps).sqrt() * weight + bias
        return out if len(shape) == 2 else out.reshape(shape)

    def config(self) -> dict[Any, Any]:
        changed = {} if self.eps == EPS else {"eps": self.eps}
        return {"momentum": self.momentum, **changed}

    @classmethod
    def restore(cls, config: Any, state: Any) -> Any:
        layer = cls(
            state["weight"].copy(),
            state["bias"].copy(),
            config["momentum"],
            state["running_mean"].copy(),
            state["running_var"].copy(),
        )
        layer.eps = config.get("eps", EPS)
        return layer


class BatchNorm1d(BatchNormalization):
    """Batch normalisation that initialises itself, with PyTorch's numbers.

    Parameters
    ----------
    num_features : int
    eps : float
        Added to the variance.
    momentum : float
        PyTorch's: the share of the new running statistics (the attribute is the book's).
    dtype : {"float32", "float64"}

    Raises
    ------
    ValueError, TypeError
        For no features or another dtype; from forward, for a batch of one row, or x that is not of
        shape (n_samples, n) or, of one sample, (n,).

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

    sample_variance = True
    as_in_the_book = False

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, dtype: FloatDType = "float32"
    ) -> None:
        n = checks.integer("BatchNorm1d", "num_features", num_features, least=1)
        dtype = checks.float_dtype("BatchNorm1d", dtype)
        share = checks.number("BatchNorm1d", "momentum", momentum, 0, 1)
        super().__init__(np.ones(n, dtype), np.zeros(n, dtype), 1 - share, np.zeros(n, dtype), np.ones(n, dtype))
        self._share = share
        self.eps = eps

    def config(self) -> dict[str, Any]:
        return {
            "num_features": len(self._gamma),
            "eps": self.eps,
            "momentum": self._share if 1 - self._share == self.old_share else 1 - self.old_share,
        }

    @classmethod
    def restore(cls, config: Any, state: Any) -> Any:
        return restored(cls, config, state)
