"""Layers with parameters: `Linear`, `BatchNorm1d`, `LayerNorm`, `PReLU`, `Embedding`."""

import math

import numpy as np

from fastbp import checks, dtypes, layers
from fastbp.autograd import Parameter, Tensor, empty, ones, zeros
from fastbp.autograd.random import stream
from fastbp.autograd.tensor import on_cpu
from fastbp.layers.base import Listed, restored
from fastbp.modules import Module
from fastbp.nn import functional, init

__all__ = ["BatchNorm1d", "Embedding", "LayerNorm", "Linear", "PReLU"]


def _float_dtype(who, dtype, device):
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

    weight = Listed("_parameters")
    bias = Listed("_parameters")

    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        n_in = checks.integer("Linear", "in_features", in_features, least=1)
        n_out = checks.integer("Linear", "out_features", out_features, least=1)
        checks.fits_memory("Linear", "in_features and out_features", (n_in, n_out))
        kind = _float_dtype("Linear", dtype, device)
        super().__init__(np.empty((n_in, n_out), kind), np.zeros(n_out, kind))
        self.in_features, self.out_features = n_in, n_out
        self.has_bias = checks.flag("Linear", "bias", bias)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw the initial values anew."""
        bound = 1 / math.sqrt(len(self.W))
        rng = stream(None)
        self.W[...] = rng.uniform(-bound, bound, self._W.shape[::-1]).T
        if self.has_bias:
            self.b[...] = rng.uniform(-bound, bound, self._b.shape)

    def config(self):
        return {**super().config(), "bias": self.has_bias}

    def extra_repr(self):
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.has_bias}"
        )

    @classmethod
    def restore(cls, config, state):
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

    weight = Listed("_parameters")
    bias = Listed("_parameters")
    running_mean = Listed("_buffers")
    running_var = Listed("_buffers")
    num_batches_tracked = Listed("_buffers")
    affine = checks.Checked(_only_true)
    track_running_stats = checks.Checked(_only_true)
    buffer_names = (*layers.BatchNorm1d.buffer_names, "num_batches_tracked")

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True,
                 track_running_stats=True, device=None, dtype=None):  # fmt: skip
        if momentum is None:
            raise ValueError("BatchNorm1d expects momentum as a number, as the cumulative average "
                             "is not offered; got None.")  # fmt: skip
        super().__init__(num_features, eps, momentum, _float_dtype("BatchNorm1d", dtype, device))
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._batches = np.zeros((), np.int64)
        self.reset_parameters()

    @property
    def num_features(self):
        """C."""
        return len(self._gamma)

    @property
    def old_share(self):
        """The share of the old running statistics: `momentum` is that of the new ones."""
        return 1 - self.momentum

    def reset_running_stats(self):
        """Forget the batches seen."""
        self.sync()
        self._running[0][...], self._running[1][...], self._batches[...] = 0, 1, 0

    def reset_parameters(self):
        """As it was made."""
        self.reset_running_stats()
        self.gamma[...], self.beta[...] = 1, 0

    def run(self, x, training):
        out, saved = super().run(x, training)
        if training:
            self.count_batches(1)
        return out, saved

    def count_batches(self, n):
        self._batches[...] += n

    def on_tensor(self, x):
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

    def tensor_views(self):
        return {**super().tensor_views(), "num_batches_tracked": self._batches}

    def adopt(self, arrays):
        self._batches = arrays.pop("num_batches_tracked")
        super().adopt(arrays)

    def config(self):
        return {"num_features": self.num_features, "eps": self.eps, "momentum": self.momentum}

    def extra_repr(self):
        return (f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine=True, "
                "bias=True, track_running_stats=True")  # fmt: skip

    @classmethod
    def restore(cls, config, state):
        return restored(cls, config, state)


class LayerNorm(Module):
    """The last dimensions of each sample to mean 0 and variance 1, times weight, plus bias.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        The last dimensions.
    eps : float
    elementwise_affine, bias : bool
        Whether there is a weight, and a bias.
    device : "cpu"
    dtype : dtype, optional

    References
    ----------
    Ba et al., Layer normalization (2016).

    Examples
    --------
    >>> LayerNorm(3)
    LayerNorm((3,), eps=1e-05, elementwise_affine=True, bias=True)
    """

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True,
                 device=None, dtype=None):  # fmt: skip
        super().__init__()
        kind = _float_dtype("LayerNorm", dtype, device)
        shape = normalized_shape if hasattr(normalized_shape, "__iter__") else (normalized_shape,)
        self.normalized_shape = tuple(
            [checks.integer("LayerNorm", "normalized_shape", n, least=1) for n in shape]
        )
        checks.fits_memory("LayerNorm", "normalized_shape", self.normalized_shape)
        self.eps = checks.number("LayerNorm", "eps", eps, least=0)
        self.elementwise_affine = elementwise_affine = checks.flag(
            "LayerNorm", "elementwise_affine", elementwise_affine
        )
        bias = checks.flag("LayerNorm", "bias", bias)
        weight = Parameter(ones(self.normalized_shape, dtype=kind)) if elementwise_affine else None
        bias = Parameter(zeros(self.normalized_shape, dtype=kind)) if weight is not None and (
            bias) else None  # fmt: skip
        self.register_parameter("weight", weight)
        self.register_parameter("bias", bias)
        self.reset_parameters()

    def reset_parameters(self):
        """As it was made."""
        for parameter, value in ((self.weight, 1.0), (self.bias, 0.0)):
            if parameter is not None:
                init.constant_(parameter, value)

    def forward(self, input):
        """The normalised input."""
        return functional.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class PReLU(Module):
    """The input, and below 0 a trained factor times the input.

    Parameters
    ----------
    num_parameters : int
        1, or the columns of the input, each with a factor of its own.
    init : float
        Of the factors; weight decay draws them towards 0.
    device : "cpu"
    dtype : dtype, optional

    References
    ----------
    He et al., Delving deep into rectifiers (2015).

    Examples
    --------
    >>> PReLU()
    PReLU(num_parameters=1)
    """

    def __init__(self, num_parameters=1, init=0.25, device=None, dtype=None):
        super().__init__()
        kind = _float_dtype("PReLU", dtype, device)
        self.num_parameters = checks.integer("PReLU", "num_parameters", num_parameters, least=1)
        checks.fits_memory("PReLU", "num_parameters", (self.num_parameters,))
        self.init = checks.number("PReLU", "init", init)
        self.weight = Parameter(ones(self.num_parameters, dtype=kind) * self.init)

    def reset_parameters(self):
        """As it was made."""
        init.constant_(self.weight, self.init)

    def forward(self, input):
        """The activated input."""
        return functional.prelu(input, self.weight)

    def extra_repr(self):
        return f"num_parameters={self.num_parameters}"


class Embedding(Module):
    """A table of vectors, looked up by index.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
    padding_idx : int, optional
        A row of zeros that is not trained.
    max_norm : None
    norm_type : 2.0
    scale_grad_by_freq, sparse : False
        No others are offered: gradients are dense, and `weight` is scaled by hand.
    device : "cpu"
    dtype : dtype, optional

    Examples
    --------
    >>> from fastbp.autograd import tensor
    >>> Embedding(10, 3)(tensor([[1, 2]])).shape
    fastbp.Size([1, 2, 3])
    """

    def __init__(self, num_embeddings, embedding_dim, padding_idx=None, max_norm=None,
                 norm_type=2.0, scale_grad_by_freq=False, sparse=False, device=None,
                 dtype=None):  # fmt: skip
        super().__init__()
        self._refuse(max_norm, norm_type, scale_grad_by_freq, sparse)
        self.num_embeddings = checks.integer("Embedding", "num_embeddings", num_embeddings, 1)
        self.embedding_dim = checks.integer("Embedding", "embedding_dim", embedding_dim, 1)
        checks.fits_memory("Embedding", "num_embeddings and embedding_dim",
                           (self.num_embeddings, self.embedding_dim))  # fmt: skip
        if padding_idx is not None:
            n = self.num_embeddings
            padding_idx = checks.integer("Embedding", "padding_idx", padding_idx, -n, n - 1) % n
        self.padding_idx = padding_idx
        kind = _float_dtype("Embedding", dtype, device)
        self.weight = Parameter(empty(num_embeddings, embedding_dim, dtype=kind))
        self.reset_parameters()

    @staticmethod
    def _refuse(max_norm, norm_type, scale_grad_by_freq, sparse):
        flags = {"scale_grad_by_freq": scale_grad_by_freq, "sparse": sparse}
        for name, value in flags.items():
            if checks.flag("Embedding", name, value):
                raise NotImplementedError(
                    f"Embedding expects {name}=False, as its gradients are dense sums; got "
                    f"{checks.shown(value)}: leave it away."
                )
        if max_norm is not None or norm_type != 2.0:
            raise NotImplementedError(
                "Embedding expects max_norm=None and norm_type=2.0; got "
                f"{checks.shown(max_norm)} and {checks.shown(norm_type)}: scale weight.data after "
                "each step."
            )

    def reset_parameters(self):
        """Draw the initial values anew, from the standard normal distribution."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.array[self.padding_idx] = 0

    @classmethod
    def from_pretrained(cls, embeddings, freeze=True, padding_idx=None):
        """A table of given vectors, trained unless `freeze`."""
        checks.instance("Embedding", "embeddings", embeddings, Tensor, "a Tensor")
        if embeddings.ndim != 2:
            raise ValueError("Embedding expects embeddings of shape (num_embeddings, "
                             f"embedding_dim); got {tuple(embeddings.shape)}.")  # fmt: skip
        count, width = embeddings.shape
        self = cls(count, width, padding_idx)
        self.weight = Parameter(
            embeddings, requires_grad=not checks.flag("Embedding", "freeze", freeze)
        )
        return self

    def forward(self, input):
        """The vectors of the indices."""
        return functional.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self):
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
