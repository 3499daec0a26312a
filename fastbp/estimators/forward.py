"""A fitted network's outputs for many rows, from the arrays that the user sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp.backend import kernels
from fastbp.estimators.parameters import ACTIVATIONS

if TYPE_CHECKING:
    from fastbp._typing import Array
    from fastbp.estimators.preparing import Preparation

#: Rows that go through all layers together, so that they stay in the caches; and sparse ones,
#: of which SciPy takes as long to cut out some as to multiply a few thousand.
ROWS, SPARSE_ROWS = 1024, 8192
#: Output activations: those that a training gives, and scikit-learn's others.
FINISHES = ("identity", "softmax", "logistic", "exp", "relu", "tanh")
#: Of a batch normalisation, as PyTorch's.
NORM_EPS = 1e-5


def outputs(
    x: Any,
    coefs: Sequence[Array],
    intercepts: Sequence[Array],
    norms: Sequence[Array],
    activations: list[str],
    n_layers: int | None = None,
    prepare: Preparation | None = None,
) -> Array:
    """The last layer's outputs before its activation, or those of hidden layer `n_layers`.

    Parameters
    ----------
    x : (n, n_in) array or sparse matrix
    coefs, intercepts : sequences of arrays
    norms : list of (4, width)
        gamma, beta, mean and variance of each hidden layer, or empty.
    activations : list of str
        Of the hidden layers.
    n_layers : int or None
        How many layers x goes through; None for all.
    prepare : Preparation or None
        What rows go through before the first.

    Returns
    -------
    numpy.ndarray
        Of the dtype that NumPy's promotion gives x and the coefficients, float64 at most.
    """
    n_layers = len(coefs) if n_layers is None else n_layers
    dtype = x.dtype
    for W in coefs:
        own = getattr(W, "dtype", checks.FLOAT64)
        if own is not dtype:
            dtype = np.result_type(dtype, own)
    if dtype not in (checks.FLOAT64, checks.FLOAT32):
        dtype = checks.FLOAT32 if dtype == np.float16 else checks.FLOAT64
        x = x.astype(dtype)
    layers = [
        (checks.floats("coefs_", "W", W, dtype), checks.floats("intercepts_", "b", b, dtype))
        for W, b in zip(coefs[:n_layers], intercepts, strict=False)
    ]
    n, is_sparse = x.shape[0], hasattr(x, "tocsr")
    rows = SPARSE_ROWS if is_sparse else ROWS
    if n <= rows:
        return _through(x if prepare is None else prepare(x, dtype), layers, norms, activations, dtype)
    if is_sparse:
        x = x.tocsr()  # of CSC, whose rows are cut out by a walk through all entries
    out = np.empty((n, layers[-1][0].shape[1]), dtype)
    for start in range(0, n, rows):
        part = slice(start, start + rows)
        some = x[part] if prepare is None else prepare(x[part], dtype)
        out[part] = _through(some, layers, norms, activations, dtype)
    return out


def _through(x, layers, norms, activations, dtype):
    k = kernels()
    for place, (W, b) in enumerate(layers):
        if hasattr(x, "tocsr"):
            x = np.ascontiguousarray(x @ W, dtype)
            x += b
        else:
            out = np.empty((x.shape[0], W.shape[1]), dtype)
            k.affine_forward(checks.floats("predict", "X", x, dtype), W, b, out)
            x = out
        if place == len(activations):
            break
        if norms:
            gamma, beta, mean, variance = norms[place].astype(dtype)
            x -= mean
            x *= gamma / np.sqrt(variance + NORM_EPS)
            x += beta
        layer = ACTIVATIONS[activations[place]]()
        if layer.kind is not None:
            flat = x.reshape(-1)
            k.activation_forward(layer.row.name, flat, flat, *layer.numbers)
    return x


def finish(z: Array, out_activation: str | None) -> Array:
    """The output activation, in place; a ValueError for another than `FINISHES`."""
    if out_activation == "softmax":
        kernels().softmax_forward(z, z)
    elif out_activation == "exp":
        np.exp(z, out=z)
    elif out_activation not in FINISHES:
        raise ValueError(
            f"An estimator expects out_activation_ beside coefs_ as one of "
            f"{', '.join(map(repr, FINISHES))}; got {out_activation!r}."
        )
    elif out_activation != "identity":
        flat = z.reshape(-1)
        kernels().activation_forward(ACTIVATIONS[out_activation].kind, flat, flat)
    return z
