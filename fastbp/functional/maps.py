"""The affine map of tensors, rows of a table, and classes as rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbp import checks
from fastbp._kernels import autograd as core
from fastbp.autograd import tensor  # noqa: F401  (in the examples)
from fastbp.autograd.arguments import in_range, tensor_of
from fastbp.checks import explained

__all__ = ["embedding", "linear", "one_hot"]


@explained
def linear(input: Any, weight: Any, bias: Any = None) -> Any:
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
def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Any:
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
def one_hot(tensor: Any, num_classes: Any = -1) -> Any:  # noqa: F811
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
