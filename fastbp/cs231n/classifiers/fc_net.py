"""The course's fully connected networks: a dict `params`, and `loss(X, y)`, which gives the gradients."""

from __future__ import annotations

# ruff: noqa: NPY002  (the course draws from NumPy's global generator)
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fastbp import checks
from fastbp.cs231n.layer_utils import (
    affine_backward,
    affine_bn_relu_backward,
    affine_bn_relu_forward,
    affine_forward,
    affine_ln_relu_backward,
    affine_ln_relu_forward,
    affine_relu_backward,
    affine_relu_forward,
    dropout_backward,
    dropout_forward,
    softmax_loss,
)
from fastbp.cs231n.layers import labels

if TYPE_CHECKING:
    from fastbp._typing import Array, FloatDType

__all__ = ["FullyConnectedNet", "TwoLayerNet"]

#: Forward and backward of a hidden layer by its normalisation.
_BLOCKS: dict[str | None, tuple[Callable[..., Any], Callable[..., Any]]] = {
    None: (affine_relu_forward, affine_relu_backward),
    "batchnorm": (affine_bn_relu_forward, affine_bn_relu_backward),
    "layernorm": (affine_ln_relu_forward, affine_ln_relu_backward),
}


class FullyConnectedNet:
    """{affine - [batch or layer norm] - relu - [dropout]} x (L - 1) - affine - softmax.

    Parameters
    ----------
    hidden_dims : sequence of int
        The widths of the hidden layers.
    input_dim, num_classes : int
    dropout_keep_ratio : float
        The probability to keep; 1 is no dropout.
    normalization : {None, "batchnorm", "layernorm"}
    reg : float
        Adds ``reg / 2 sum(W^2)`` of each W to the loss.
    weight_scale : float
        The standard deviation of the initial weights.
    dtype : {numpy.float32, numpy.float64}
        Of the parameters and all computation.
    seed : int or None
        Draws the same masks of dropout at each call, as a gradient check needs.

    Attributes
    ----------
    params : dict
        Arrays by name: ``W1, b1, ...``, with a normalisation ``gamma1, beta1, ...`` too.
    bn_params : list of dict
        Of each hidden layer with a normalisation.
    dropout_param : dict

    Raises
    ------
    ValueError, TypeError
        For sizes that are none, and an unknown normalisation or dtype.

    Examples
    --------
    >>> np.random.seed(0)
    >>> model = FullyConnectedNet([8, 8], input_dim=4, num_classes=3, normalization="batchnorm")
    >>> X, y = np.random.randn(5, 2, 2), np.array([0, 1, 2, 0, 1])
    >>> loss, grads = model.loss(X, y)
    >>> sorted(grads) == sorted(model.params)
    True
    >>> model.loss(X).shape
    (5, 3)
    """

    def __init__(
        self,
        hidden_dims: Sequence[int],
        input_dim: int = 3 * 32 * 32,
        num_classes: int = 10,
        dropout_keep_ratio: float = 1,
        normalization: Literal[None, "batchnorm", "layernorm"] | None = None,
        reg: float = 0.0,
        weight_scale: float = 1e-2,
        dtype: FloatDType = np.float32,
        seed: int | None = None,
    ) -> None:
        who = type(self).__name__
        hidden_dims = checks.sequence(who, "hidden_dims", hidden_dims, "integers")
        for place, width in enumerate(hidden_dims):
            checks.integer(who, f"hidden_dims[{place}]", width, 1)
        checks.integer(who, "input_dim", input_dim, 1)
        checks.integer(who, "num_classes", num_classes, 1)
        if normalization is not None:
            checks.choice(who, "normalization", normalization, ("batchnorm", "layernorm"))
        keep = checks.positive(who, "dropout_keep_ratio", dropout_keep_ratio)
        checks.number(who, "dropout_keep_ratio", keep, 0, 1)
        self.normalization = normalization
        self.use_dropout: bool = keep != 1
        self.reg: float = checks.number(who, "reg", reg, least=0)
        self.num_layers: int = 1 + len(hidden_dims)
        self.dtype: np.dtype[Any] = checks.float_dtype(who, dtype)
        self.dropout_param: dict[str, Any] = {"mode": "train", "p": keep} if self.use_dropout else {}
        if self.use_dropout and seed is not None:
            self.dropout_param["seed"] = checks.integer(who, "seed", seed, 0, checks.MOST_SEED)
        self.bn_params: list[dict[str, Any]] = [{"mode": "train"} for _ in hidden_dims] if normalization else []
        scale = checks.number(who, "weight_scale", weight_scale, least=0)
        self.params: dict[str, Array] = {}
        for k, (n_in, n_out) in enumerate(pairwise([input_dim, *hidden_dims, num_classes]), start=1):
            self.params[f"W{k}"] = (scale * np.random.randn(n_in, n_out)).astype(self.dtype)
            self.params[f"b{k}"] = np.zeros(n_out, self.dtype)
            if normalization and k < self.num_layers:
                self.params[f"gamma{k}"] = np.ones(n_out, self.dtype)
                self.params[f"beta{k}"] = np.zeros(n_out, self.dtype)

    def loss(self, X: Any, y: Any = None) -> Any:
        """The scores, or with labels the loss and its gradients.

        Parameters
        ----------
        X : array_like
            (N, d1, ..., dk)
        y : array_like or None
            (N,), labels as integers.

        Returns
        -------
        numpy.ndarray
            Without y the scores (N, C), computed as in the test.
        (float, dict)
            With y the loss, computed as in training, and the gradients by the names of `params`.

        Raises
        ------
        ValueError, TypeError
            For an X or a y that does not fit.
        """
        who, last = f"{type(self).__name__}.loss", self.num_layers
        X = checks.floats(who, "X", X, self.dtype)
        n_in = len(self.params["W1"])
        if X.ndim == 0 or math.prod(X.shape[1:]) != n_in:
            raise ValueError(
                f"{who} expects X of shape (N, d1, ..., dk) with {checks.plural(n_in, 'number')} in each sample; "
                f"got {X.shape}."
            )
        if y is not None:  # before the running statistics change
            y = labels(who, y, len(X), len(self.params[f"b{last}"]))
        mode = "test" if y is None else "train"
        for param in (self.dropout_param, *self.bn_params):
            param["mode"] = mode
        params, caches = self.params, []
        forward, backward = _BLOCKS[self.normalization]
        out = X
        for k in range(1, last):
            norm = (params[f"gamma{k}"], params[f"beta{k}"], self.bn_params[k - 1]) if self.normalization else ()
            out, cache = forward(out, params[f"W{k}"], params[f"b{k}"], *norm)
            out, mask = dropout_forward(out, self.dropout_param) if self.use_dropout else (out, None)
            caches.append((cache, mask))
        scores, cache = affine_forward(out, params[f"W{last}"], params[f"b{last}"])
        if mode == "test":
            return scores
        loss, dout = softmax_loss(scores, y)
        grads = {}
        dout, grads[f"W{last}"], grads[f"b{last}"] = affine_backward(dout, cache)
        for k in range(last - 1, 0, -1):
            cache, mask = caches.pop()
            if self.use_dropout:
                dout = dropout_backward(dout, mask)
            dout, *by_parameter = backward(dout, cache)
            grads.update(zip((f"W{k}", f"b{k}", f"gamma{k}", f"beta{k}"), by_parameter, strict=False))
        if self.reg:
            for k in range(1, last + 1):
                W = params[f"W{k}"]
                loss += 0.5 * self.reg * float(np.sum(W * W, dtype=np.float64))
                grads[f"W{k}"] += self.dtype.type(self.reg) * W
        return loss, grads


class TwoLayerNet(FullyConnectedNet):
    """affine - relu - affine - softmax, in float64.

    Parameters
    ----------
    input_dim, hidden_dim, num_classes : int
    weight_scale : float
        The standard deviation of the initial weights.
    reg : float
        Adds ``reg / 2 sum(W^2)`` of each W to the loss.

    Examples
    --------
    >>> sorted(TwoLayerNet(input_dim=4, hidden_dim=8, num_classes=3).params)
    ['W1', 'W2', 'b1', 'b2']
    """

    def __init__(
        self,
        input_dim: int = 3 * 32 * 32,
        hidden_dim: int = 100,
        num_classes: int = 10,
        weight_scale: float = 1e-3,
        reg: float = 0.0,
    ) -> None:
        checks.integer("TwoLayerNet", "hidden_dim", hidden_dim, 1)
        super().__init__([hidden_dim], input_dim, num_classes, reg=reg, weight_scale=weight_scale, dtype=np.float64)
