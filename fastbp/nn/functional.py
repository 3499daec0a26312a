"""The functional forms of layers and losses, on Tensors, with PyTorch's names and numbers."""

import numpy as np

from fastbp import checks
from fastbp._kernels import autograd as core
from fastbp.autograd import (
    sigmoid,
    tanh,
    tensor,  # noqa: F401  (in the examples)
    where,
)
from fastbp.autograd.arguments import in_range, tensor_of
from fastbp.autograd.elementwise import activation
from fastbp.autograd.elementwise import relu as _relu
from fastbp.autograd.inplace import changed
from fastbp.autograd.reductions import one_axis
from fastbp.autograd.tensor import as_tensor, named
from fastbp.checks import explained
from fastbp.layers.functions import dropout, log_softmax, softmax, softmin
from fastbp.missing import attribute_error
from fastbp.nn import criteria, margins
from fastbp.nn.criteria import *  # noqa: F403
from fastbp.nn.margins import *  # noqa: F403
from fastbp.operations import activations as rows

__all__ = [
    "batch_norm",
    "celu",
    "dropout",
    "elu",
    "embedding",
    "gelu",
    "glu",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "mish",
    "normalize",
    "one_hot",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
]
__all__ += criteria.__all__
__all__ += margins.__all__


# --- linear maps ----------------------------------------------------------------------------


@explained
def linear(input, weight, bias=None):
    """input weightᵀ + bias, over the last dimension.

    Parameters
    ----------
    input : Tensor, (..., in_features)
    weight : Tensor, (out_features, in_features)
    bias : Tensor, (out_features,), optional

    Raises
    ------
    RuntimeError
        For shapes that do not fit, or another dtype than the weight's.

    Examples
    --------
    >>> linear(tensor([[1.0, 2.0]]), tensor([[3.0, 4.0]]), tensor([0.5]))
    tensor([[11.5000]])
    """
    out = core.affine(tensor_of("linear", "input", input), weight, bias)
    if out is not None:
        return out
    x, w = input.array, weight.array
    if x.dtype != w.dtype:
        raise RuntimeError(f"linear expects input of its weight's dtype, {weight.dtype!r}; got {input.dtype!r}.")
    if bias is not None and tensor_of("linear", "bias", bias).array.dtype != w.dtype:
        raise RuntimeError(f"linear expects bias of its weight's dtype, {weight.dtype!r}; got {bias.dtype!r}.")
    if x.ndim == 0 or w.ndim not in (1, 2) or x.shape[-1] != w.shape[-1]:
        raise RuntimeError(
            f"linear expects input with {checks.plural(w.shape[-1], 'feature')} in its last "
            f"dimension, as weight of shape {w.shape} has; got shape {x.shape}."
        )
    if w.ndim == 2 and x.ndim != 2:
        out = linear(input.reshape(-1, w.shape[1]), weight, bias)
        return out.reshape(*x.shape[:-1], len(w))
    out = input @ weight.T if w.ndim == 2 else input @ weight
    return out if bias is None else out + bias


@explained
def embedding(input, weight, padding_idx=None):
    """The rows of `weight` at the indices in `input`.

    Parameters
    ----------
    input : Tensor of int64, any shape
    weight : Tensor, (num_embeddings, embedding_dim)
    padding_idx : int, optional
        A row that gets no gradient.

    Examples
    --------
    >>> embedding(tensor([1, 0]), tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.]])
    """
    index = _indices("embedding", tensor_of("embedding", "input", input).array)
    if weight.requires_grad:
        index = index.copy()  # the caller may change it before backward
    n = len(weight.array)
    in_range("embedding", "indices", index, n)
    if padding_idx is not None:
        padding_idx = checks.integer("embedding", "padding_idx", padding_idx, -n, n - 1) % n

    def backward(saved, dout, needs):
        dW = np.zeros(weight_shape, dout.dtype)
        np.add.at(dW, index, dout)
        if padding_idx is not None:
            dW[padding_idx] = 0
        return (dW,)

    weight_shape = weight.array.shape
    return core.node("EmbeddingBackward0", weight.array[index], (weight,), backward)


@explained
def one_hot(tensor, num_classes=-1):  # noqa: F811
    """Rows of 0 with a 1 at each class, int64; as many classes as there are for -1.

    Examples
    --------
    >>> one_hot(tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    index = _indices("one_hot", tensor_of("one_hot", "tensor", tensor).array)
    if num_classes == -1:
        if not index.size:
            raise RuntimeError("one_hot expects num_classes for a tensor without elements; got -1.")
        num_classes = int(index.max()) + 1
    in_range("one_hot", "classes", index, num_classes)
    return core.new((index[..., np.newaxis] == np.arange(num_classes)).astype(np.int64))


def _indices(who, array):
    if array.dtype.kind not in "iu":
        raise RuntimeError(f"{who} expects indices of an integer dtype; got {array.dtype}.")
    return array.astype(np.int64, copy=False)


# --- activations ----------------------------------------------------------------------------


@explained
def relu(input, inplace=False):
    """max(x, 0), element by element.

    With `inplace`, here and below, the tensor itself becomes the result, as by `relu_`; a leaf
    that requires grad is refused.

    Examples
    --------
    >>> relu(tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return _in_place("relu", input, _relu) if inplace else _relu(input)


def _in_place(who, input, function, *arguments):
    return changed(tensor_of(who, "input", input), function, *arguments)


def _activation(name, input, *numbers, inplace=False):
    row = rows.ACTIVATIONS[name]
    if inplace:
        return _in_place(name, input, activation, row, *map(float, numbers))
    return activation(input, row, *map(float, numbers)) if numbers else activation(input, row)


def _plain(name, formula):
    """An activation without numbers, which takes no `inplace`."""

    def function(input):
        return _activation(name, input)

    return explained(named(function, name, formula))


def _in_place_too(name, formula):
    def function(input, inplace=False):
        return _activation(name, input, inplace=inplace)

    return explained(named(function, name, formula))


silu = _in_place_too("silu", "x sigmoid(x).")
mish = _in_place_too("mish", "x tanh(softplus(x)).")
hardsigmoid = _in_place_too("hardsigmoid", "x / 6 + 1/2 between 0 and 1.")
hardswish = _in_place_too("hardswish", "x hardsigmoid(x).")
logsigmoid = _plain("logsigmoid", "log(sigmoid(x)).")
softsign = _plain("softsign", "x / (1 + |x|).")
tanhshrink = _plain("tanhshrink", "x - tanh(x).")


def _of_any_dtype(name, input, *numbers):
    """One that leaves integers integers."""
    x = input if isinstance(input, core.TensorBase) else as_tensor(input)
    if x.array.dtype.kind in "iu":
        return core.new(rows.value(name, x.array, numbers))
    return _activation(name, x, *numbers)


@explained
def leaky_relu(input, negative_slope=0.01, inplace=False):
    """x above 0, negative_slope * x below.

    Examples
    --------
    >>> leaky_relu(tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    return _activation("leaky_relu", input, negative_slope, inplace=inplace)


@explained
def gelu(input, approximate="none"):
    """x Phi(x), Phi the normal distribution function, or its approximation by "tanh".

    Examples
    --------
    >>> gelu(tensor([1.0]))
    tensor([0.8413])
    """
    checks.choice("gelu", "approximate", approximate, ("none", "tanh"))
    return _activation("gelu_tanh" if approximate == "tanh" else "gelu", input)


@explained
def softplus(input, beta=1.0, threshold=20.0):
    """log(1 + exp(beta x)) / beta, and x where beta x is above the threshold.

    Examples
    --------
    >>> softplus(tensor([0.0]))
    tensor([0.6931])
    """
    return _activation("softplus_of", input, beta, threshold)


@explained
def elu(input, alpha=1.0, inplace=False):
    """x above 0, alpha (exp(x) - 1) below.

    Examples
    --------
    >>> elu(tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return _activation("elu", input, alpha, 1, inplace=inplace)


@explained
def celu(input, alpha=1.0, inplace=False):
    """x above 0, alpha (exp(x / alpha) - 1) below."""
    if alpha == 0:
        raise ValueError("celu expects alpha other than 0, which it divides by; got 0.")
    return _activation("celu", input, alpha, inplace=inplace)


@explained
def selu(input, inplace=False):
    """The scaled `elu` that keeps mean 0 and variance 1 (Klambauer et al., 2017)."""
    if inplace:
        return _in_place("selu", input, selu)
    return _activation("elu", input, rows.SELU_SCALE * rows.SELU_ALPHA, rows.SELU_SCALE)


@explained
def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """x between min_val and max_val, and the nearer of them beyond.

    Examples
    --------
    >>> hardtanh(tensor([-3.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """
    if not min_val < max_val:
        raise ValueError(f"hardtanh expects min_val below max_val; got {min_val} and {max_val}.")
    if inplace:
        return _in_place("hardtanh", input, hardtanh, min_val, max_val)
    return _of_any_dtype("hardtanh", input, min_val, max_val)


@explained
def relu6(input, inplace=False):
    """x between 0 and 6, and the nearer of them beyond."""
    return hardtanh(input, 0.0, 6.0, inplace)


@explained
def threshold(input, threshold, value, inplace=False):
    """x above a threshold, and `value` below."""
    if inplace:
        return _in_place("threshold", input, _threshold, threshold, value)
    return _threshold(input, threshold, value)


def _threshold(input, at, value):
    return _of_any_dtype("threshold", input, at, value)


# --- regularisation and normalisation -------------------------------------------------------


@explained
def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """Each column (dimension 1) to mean 0 and variance 1, times weight, plus bias.

    In training by the batch's mean and variance, and the running ones move towards them by the
    share `momentum`; else by the running ones.

    Parameters
    ----------
    input : Tensor, (N, C) or (N, C, L)
    running_mean, running_var : Tensor, (C,), or None
        Changed in training.

    Examples
    --------
    >>> x = tensor([[1.0], [3.0]])
    >>> batch_norm(x, None, None, training=True, eps=0.0)
    tensor([[-1.],
            [ 1.]])
    """
    momentum = checks.number("batch_norm", "momentum", momentum, least=0, most=1)
    n_channels = tensor_of("batch_norm", "input", input).array.shape[1:2]
    for name, value in (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    ):
        if value is not None:
            checks.same_shape(
                "batch_norm", name, tensor_of("batch_norm", name, value).array, n_channels, "input's channels are"
            )
    axes = (0, *range(2, input.ndim))
    shape = (1, -1, *(1 for _ in axes[1:]))
    if training:
        n = input.numel() // input.shape[1]
        if n <= 1:
            raise ValueError(
                f"batch_norm expects more than 1 value per channel in training; got shape {tuple(input.shape)}."
            )
        mean = input.mean(axes, keepdim=True)
        centred = input - mean
        var = (centred * centred).mean(axes, keepdim=True)
    else:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm expects running_mean and running_var in evaluation; got None.")
        centred, var = input - running_mean.reshape(shape), running_var.reshape(shape)
    out = centred / (var + eps).sqrt()
    if weight is not None:
        out = out * weight.reshape(shape)
    if bias is not None:
        out = out + bias.reshape(shape)
    if training:  # when nothing can fail any more
        with core.no_grad():
            for kept, new, scale in ((running_mean, mean, 1.0), (running_var, var, n / (n - 1))):
                if kept is not None:
                    kept.mul_(1 - momentum).add_(new.reshape(-1) * (momentum * scale))
    return out


@explained
def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """The last dimensions of each sample to mean 0 and variance 1, times weight, plus bias.

    References
    ----------
    Ba et al., Layer normalization (2016).

    Examples
    --------
    >>> layer_norm(tensor([[1.0, 3.0]]), (2,), eps=0.0)
    tensor([[-1.,  1.]])
    """
    shape = tuple(normalized_shape)
    x = tensor_of("layer_norm", "input", input).array
    if not input.is_floating_point():
        raise RuntimeError(f"layer_norm expects input of a float dtype; got {input.dtype!r}.")
    for name, value in ("weight", weight), ("bias", bias):
        if value is not None and (
            tensor_of("layer_norm", name, value).array.shape != shape or value.array.dtype != x.dtype
        ):
            raise RuntimeError(
                f"layer_norm expects {name} of shape {shape} and input's dtype; got "
                f"{value.dtype!r} {value.array.shape}."
            )
    if not shape or x.shape[x.ndim - len(shape) :] != shape:
        raise RuntimeError(f"layer_norm expects input whose last dimensions are {shape}; got shape {x.shape}.")
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    normal, inverse, out = core.quiet(_layer_norm, (x, axes, weight, bias, eps))
    return core.node(
        "NativeLayerNormBackward0", out, (input, weight, bias), _layer_norm_gradient, (normal, inverse, axes, weight)
    )


def _layer_norm(x, axes, weight, bias, eps):
    """The normalised x, the inverse deviation, and the result."""
    if not x.size:  # which has no mean
        return x, x, x.copy()
    normal = x - x.mean(axes, keepdims=True)
    inverse = 1 / np.sqrt((normal * normal).mean(axes, keepdims=True) + x.dtype.type(eps))
    normal *= inverse
    out = normal if weight is None else normal * weight.array
    out = out.copy() if out is normal else out
    if bias is not None:
        out += bias.array
    return normal, inverse, out


def _layer_norm_gradient(saved, dout, needs):
    return core.quiet(_layer_norm_slopes, (*saved, dout, needs))


def _layer_norm_slopes(normal, inverse, axes, weight, dout, needs):
    if not dout.size:
        return dout, dout * normal, dout
    g = dout if weight is None else dout * weight
    dx = inverse * (g - g.mean(axes, keepdims=True) - normal * (g * normal).mean(axes, keepdims=True))
    return dx, dout * normal if needs[1] else None, dout


@explained
def normalize(input, p=2.0, dim=1, eps=1e-12):
    """x over its norm along a dimension.

    Examples
    --------
    >>> normalize(tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    return input / input.norm(p, dim, keepdim=True).clamp(min=eps)


@explained
def prelu(input, weight):
    """The input, and below 0 weight times the input.

    Parameters
    ----------
    input : Tensor, (N, C) or (N, C, ...)
    weight : Tensor, (1,) or (C,)

    References
    ----------
    He et al., Delving deep into rectifiers (2015).

    Examples
    --------
    >>> prelu(tensor([-2.0, 3.0]), tensor([0.25]))
    tensor([-0.5000,  3.0000])
    """
    tensor_of("prelu", "weight", weight)
    n = weight.numel()
    if n > 1 and input.ndim > 1 and input.shape[1] == n and weight.ndim == 1:
        weight = weight.reshape((n,) + (1,) * (input.ndim - 2))
    elif n != 1:
        raise RuntimeError(
            f"prelu expects weight of 1 element, or one for each of input's columns "
            f"in dimension 1; got shapes {tuple(weight.shape)} and "
            f"{tuple(input.shape)}."
        )
    return where(input > 0, input, weight.reshape(-1)[0] * input if n == 1 else weight * input)


@explained
def glu(input, dim=-1):
    """One half of a dimension times sigmoid of the other, a gated linear unit.

    References
    ----------
    Dauphin et al., Language modeling with gated convolutional networks (2017).

    Examples
    --------
    >>> glu(tensor([2.0, 0.0]))
    tensor([1.])
    """
    length = input.shape[one_axis("glu", input.array, dim)]
    if length % 2:
        raise RuntimeError(f"glu expects a dimension of even length; got {length}.")
    a, b = input.chunk(2, dim)
    return a * b.sigmoid()


def __getattr__(name):
    raise attribute_error("fastbp.nn.functional", name)
