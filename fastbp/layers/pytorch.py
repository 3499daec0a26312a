"""Layers with PyTorch's arguments, where these are not the book's: `fastbp.nn` has them.

They lie here, below the networks, whose files name them.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from fastbp import checks, dtypes, layers
from fastbp.autograd import (
    from_numpy,
    grad,
    zeros,  # noqa: F401  (in the examples)
)
from fastbp.autograd.random import stream
from fastbp.autograd.tensor import on_cpu
from fastbp.functional import activations as functions
from fastbp.functional import random
from fastbp.layers import Identity, ReLU, Sigmoid, Tanh, activations
from fastbp.layers.activations import *  # noqa: F403
from fastbp.layers.activations import ActivationLayer
from fastbp.layers.base import Listed, restored
from fastbp.operations.activations import ACTIVATIONS

#: With those that are the book's.
__all__ = [
    "GELU",
    "BatchNorm1d",
    "Dropout",
    "Flatten",
    "Identity",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "Softmin",
    "Softplus",
    "Tanh",
]
__all__ += activations.__all__


def float_dtype(who: str, dtype: Any, device: Any) -> Any:
    """NumPy's dtype of new parameters."""
    on_cpu(who, device)
    kind = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(who, dtype)
    return checks.float_dtype(who, kind.dtype)


def _only_true(who, name, value):
    if not checks.flag(who, name, value):
        raise ValueError(f"{who} expects {name}=True, as no other is offered; got {value!r}.")
    return True


class Linear(layers.Affine):
    """x weightᵀ + bias: `fastbp.layers.Affine` with PyTorch's arguments and initial values.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
        Without it the book's `b` is an array of zeros that is never trained.
    device : "cpu"
    dtype : dtype, optional
        float32 or float64, by default the default dtype.

    Attributes
    ----------
    weight : Parameter, (out_features, in_features)
        It and `bias` share their memory with the book's `W`, which is its transpose, and `b`.
    bias : Parameter, (out_features,), or None

    Raises
    ------
    ValueError, TypeError
        For features below 1, or another dtype.

    Notes
    -----
    Both start evenly distributed between ±1/sqrt(in_features), drawn from the stream of
    `fastbp.manual_seed`.

    Examples
    --------
    >>> layer = Linear(4, 3)
    >>> layer
    Linear(in_features=4, out_features=3, bias=True)
    >>> layer(zeros(2, 4)).shape
    fastbp.Size([2, 3])
    >>> layer(np.zeros((2, 4), "float32")).shape
    (2, 3)
    """

    in_features: Any
    out_features: Any

    weight: Any = Listed("_parameters")
    bias: Any = Listed("_parameters")

    def __init__(
        self, in_features: Any, out_features: Any, bias: Any = True, device: Any = None, dtype: Any = None
    ) -> None:
        n_in = checks.integer("Linear", "in_features", in_features, least=1)
        n_out = checks.integer("Linear", "out_features", out_features, least=1)
        checks.fits_memory("Linear", "in_features and out_features", (n_in, n_out))
        kind = float_dtype("Linear", dtype, device)
        super().__init__(np.empty((n_in, n_out), kind), np.zeros(n_out, kind))
        self.in_features, self.out_features = n_in, n_out
        self.has_bias: Any = checks.flag("Linear", "bias", bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial values anew."""
        bound = 1 / math.sqrt(len(self.W))
        rng = stream(None)
        self.W[...] = rng.uniform(-bound, bound, self._W.shape[::-1]).T
        if self.has_bias:
            self.b[...] = rng.uniform(-bound, bound, self._b.shape)

    def config(self) -> dict[Any, Any]:
        return {**super().config(), "bias": self.has_bias}

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.has_bias}"

    @classmethod
    def restore(cls, config: Any, state: Any) -> Any:
        return restored(cls, config, state)


class BatchNorm1d(layers.BatchNorm1d):
    """Batch normalisation of (N, C) or (N, C, L) with PyTorch's arguments.

    Parameters
    ----------
    num_features : int
        C.
    eps : float
        Added to the variance.
    momentum : float
        The share of the new running statistics.
    affine, track_running_stats : True
    device : "cpu"
    dtype : dtype, optional

    Attributes
    ----------
    weight, bias : Parameter, (C,)
        They share their memory with the book's `gamma` and `beta`.
    running_mean, running_var : Tensor, (C,)
    num_batches_tracked : Tensor of int64
        Of the batches that it has seen in training, by forward or by `fit`.

    Raises
    ------
    ValueError, TypeError
        For no features, another dtype, or affine or track_running_stats False.

    Examples
    --------
    >>> norm = BatchNorm1d(2)
    >>> norm
    BatchNorm1d(2, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    >>> list(norm.state_dict())
    ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked']
    """

    weight: Any = Listed("_parameters")
    bias: Any = Listed("_parameters")
    running_mean: Any = Listed("_buffers")
    running_var: Any = Listed("_buffers")
    num_batches_tracked: Any = Listed("_buffers")
    affine: Any = checks.Checked(_only_true)
    track_running_stats: Any = checks.Checked(_only_true)
    buffer_names: Any = (*layers.BatchNorm1d.buffer_names, "num_batches_tracked")

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Literal["cpu"] | None = None,
        dtype: Any = None,
    ) -> None:
        if momentum is None:
            raise ValueError(
                "BatchNorm1d expects momentum as a number, as the cumulative average is not offered; got None."
            )
        super().__init__(num_features, eps, momentum, float_dtype("BatchNorm1d", dtype, device))
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._batches = np.zeros((), np.int64)
        self.reset_parameters()

    @property
    def num_features(self) -> int:
        """C."""
        return len(self._gamma)

    @property
    def old_share(self) -> Any:
        """The share of the old running statistics: `momentum` is that of the new ones."""
        return 1 - self.momentum

    def reset_running_stats(self) -> None:
        """Forget the batches seen."""
        self.sync()
        self._running[0][...], self._running[1][...], self._batches[...] = 0, 1, 0

    def reset_parameters(self) -> None:
        """As it was made."""
        self.reset_running_stats()
        self.gamma[...], self.beta[...] = 1, 0

    def run(self, x: Any, training: Any) -> tuple[Any, Any]:
        out, saved = super().run(x, training)
        if training:
            self.count_batches(1)
        return out, saved

    def count_batches(self, n: Any) -> None:
        self._batches[...] += n

    def on_tensor(self, x: Any) -> Any:
        if x.ndim == 3:
            n, c, length = x.shape
            rows = super().on_tensor(x.permute(0, 2, 1).reshape(-1, c))
            return rows.reshape(n, length, c).permute(0, 2, 1)
        if x.ndim != 2 or x.array.shape[1] != self.num_features:
            raise ValueError(
                f"BatchNorm1d expects x of shape (N, {self.num_features}) or "
                f"(N, {self.num_features}, L); got {tuple(x.shape)}."
            )
        return super().on_tensor(x)

    def tensor_views(self) -> dict[Any, Any]:
        return {**super().tensor_views(), "num_batches_tracked": self._batches}

    def adopt(self, arrays: Any) -> None:
        self._batches = arrays.pop("num_batches_tracked")
        super().adopt(arrays)

    def config(self) -> dict[str, Any]:
        return {"num_features": self.num_features, "eps": self.eps, "momentum": self.momentum}

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine=True, "
            "bias=True, track_running_stats=True"
        )

    @classmethod
    def restore(cls, config: Any, state: Any) -> Any:
        return restored(cls, config, state)


class Softplus(ActivationLayer, row="softplus_of"):
    """log(1 + exp(beta x)) / beta, and x where beta x is above the threshold.

    Parameters
    ----------
    beta, threshold : float

    Examples
    --------
    >>> Softplus()(np.array([0.0])).round(4)
    array([0.6931])
    """

    beta: Any = checks.Checked(checks.as_number)
    threshold: Any = checks.Checked(checks.as_number, finite=False)

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold

    @property
    def pair(self) -> tuple[float, float]:  # type: ignore[override]
        return float(self.beta), float(self.threshold)

    def config(self) -> dict[str, Any]:
        return {"beta": self.beta, "threshold": self.threshold}


class LeakyReLU(layers.LeakyRelu):
    """x above 0, negative_slope * x below: `fastbp.layers.LeakyRelu` with PyTorch's arguments.

    Parameters
    ----------
    negative_slope : float
        Of at least 0.
    inplace : bool
        A Tensor handed in becomes the result; an array is never written to.

    Examples
    --------
    >>> LeakyReLU(0.1)
    LeakyReLU(negative_slope=0.1)
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(negative_slope)
        self.inplace: Any = checks.flag(type(self).__name__, "inplace", inplace)

    @property
    def negative_slope(self) -> Any:
        """The slope below 0."""
        return self.slope

    @negative_slope.setter
    def negative_slope(self, value: Any) -> None:
        self.slope: Any = checks.number(type(self).__name__, "negative_slope", value, least=0)

    def config(self) -> dict[str, Any]:
        return {"negative_slope": self.slope}

    def extra_repr(self) -> Any:
        return f"negative_slope={self.slope}" + (", inplace=True" if self.inplace else "")


class GELU(layers.Gelu):
    """x Phi(x), Phi the normal distribution function, or its approximation by "tanh".

    Parameters
    ----------
    approximate : {"none", "tanh"}

    Examples
    --------
    >>> GELU()(np.array([1.0])).round(4)
    array([0.8413])
    """

    approximate: Any = checks.Checked(checks.choice, ("none", "tanh"))

    def __init__(self, approximate: Literal["none", "tanh"] = "none") -> None:
        super().__init__()
        self.approximate = approximate

    @property
    def row(self) -> Any:  # type: ignore[override]
        return ACTIVATIONS[self.kind]

    @property
    def kind(self) -> str:  # type: ignore[override]
        return "gelu" if self.approximate == "none" else "gelu_tanh"

    def config(self) -> dict[str, Any]:
        return {"approximate": self.approximate}


class Dropout(layers.Dropout):
    """In training x / (1 - p), or 0 with probability p.

    Parameters
    ----------
    p : float
        Between 0 and 1.
    inplace : bool
        A Tensor handed in becomes the result; an array is never written to.

    Notes
    -----
    Masks are drawn from the stream of `fastbp.manual_seed`; those of `fit` from its own seed.

    Examples
    --------
    >>> Dropout(0.2)
    Dropout(p=0.2, inplace=False)
    """

    kept_names: tuple[str, ...] = ()

    dropout_ratio: Any = checks.Checked(lambda who, _, p: random.probability(who, p))

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__(p, seed=0)
        self.inplace: Any = checks.flag(type(self).__name__, "inplace", inplace)

    @property
    def p(self) -> Any:
        """The probability that an element becomes 0."""
        return self.dropout_ratio

    @p.setter
    def p(self, value: Any) -> None:
        self.dropout_ratio = value

    @property
    def kind(self) -> str:  # type: ignore[override]
        return "dropout" if self.dropout_ratio < 1 else "dropout of everything"

    def on_tensor(self, x: Any) -> Any:
        return random.dropout(x, self.p, self.training, self.inplace)

    def run(
        self, x: Any, training: Any
    ) -> tuple[Any, tuple[Any, Any, Any]] | tuple[Any, tuple[Any, Any, None]] | tuple[Any, tuple[Any, Any, bool]]:
        x = checks.floats("Dropout", "x", x)
        if not training:
            return x, (x.shape, x.dtype, None)
        if self.p == 1:
            return np.zeros_like(x), (x.shape, x.dtype, False)
        key = random.drawn_key()
        return self._mask(x, key), (x.shape, x.dtype, key)

    def pullback(self, saved: Any, dout: Any, need_dx: bool = True) -> Any:
        if saved[2] is False:
            dout = checks.gradient_of("Dropout", dout, *saved[:2])
            return np.zeros_like(dout), ()
        return super().pullback(saved, dout, need_dx)

    def config(self) -> dict[str, Any]:
        return {"p": self.p}

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Flatten(layers.Flatten):
    """Joins some dimensions into one: by default all behind the first.

    Parameters
    ----------
    start_dim, end_dim : int
        The first and the last of them.  The training engine takes 1 and -1 only.

    Examples
    --------
    >>> Flatten()(np.zeros((10, 28, 28))).shape
    (10, 784)
    """

    start_dim: int
    end_dim: int

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    @property
    def kind(self) -> str | None:  # type: ignore[override]
        return None if (self.start_dim, self.end_dim) == (1, -1) else "flatten of other dimensions"

    def on_tensor(self, x: Any) -> Any:
        return x.flatten(self.start_dim, self.end_dim)

    def run(self, x: Any, training: Any) -> Any:
        if self.kind is None:
            return super().run(x, training)
        x = checks.floats("Flatten", "x", x)
        start, end = self.start_dim % x.ndim, self.end_dim % x.ndim
        out = x.reshape(*x.shape[:start], -1, *x.shape[end + 1 :])
        return out, (x.shape, out.shape, out.dtype)

    def config(self) -> dict[str, Any]:
        return {"start_dim": self.start_dim, "end_dim": self.end_dim}


class _OverDimension(layers.Layer):
    """A function that joins the elements along `dim`."""

    def __init__(self, dim: Any = None) -> None:
        super().__init__()
        self.dim = dim

    def _outputs(self, x):
        raise NotImplementedError

    def on_tensor(self, x: Any) -> Any:
        return self._outputs(x)

    def run(self, x: Any, training: Any) -> tuple[Any, tuple[Any, Any]]:
        """On arrays by way of a tensor, whose graph is what `pullback` needs."""
        x = from_numpy(checks.floats(type(self).__name__, "x", x)).requires_grad_()
        out = self._outputs(x)
        return out.numpy(force=True).copy(), (x, out)

    def pullback(self, saved: Any, dout: Any, need_dx: bool = True) -> tuple[Any, tuple[()]]:
        x, out = saved
        dout = checks.gradient_of(type(self).__name__, dout, out.array.shape, out.array.dtype)
        (dx,) = grad(out, x, from_numpy(dout), retain_graph=True)
        return dx.numpy(), ()

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim}

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_OverDimension):
    """exp(x) / sum(exp(x)) over a dimension.

    Parameters
    ----------
    dim : int, optional
        None is PyTorch's guess, with a warning.

    Examples
    --------
    >>> Softmax(dim=1)(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    """

    kind: str | None = "softmax as a layer"

    def _outputs(self, x):
        return functions.softmax(x, self.dim)


class Softmin(_OverDimension):
    """`Softmax` of -x."""

    kind: str | None = "softmin as a layer"

    def _outputs(self, x):
        return functions.softmin(x, self.dim)


class LogSoftmax(_OverDimension):
    """x - log(sum(exp(x))) over a dimension.

    Examples
    --------
    >>> LogSoftmax(dim=1)(np.array([[0.0, 0.0]])).round(4)
    array([[-0.6931, -0.6931]])
    """

    kind: str | None = "log-softmax as a layer"

    def _outputs(self, x):
        return functions.log_softmax(x, self.dim)
