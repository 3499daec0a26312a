"""A NumPy twin of every compiled kernel: the same name, the same arguments, plain arithmetic.

This is the text to read first: each function is the formula that the kernel of its name
computes, and the tests hold the kernel to it.  Outputs are arguments and are overwritten;
inputs are left alone.  Losses are sums over the samples; averaging is left to `scale`.

>>> import numpy as np
>>> x, W, b = np.array([[1.0, 2.0]]), np.array([[1.0], [10.0]]), np.array([0.5])
>>> out = np.empty((1, 1))
>>> affine_forward(x, W, b, out)
>>> out
array([[21.5]])
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbp.operations import activations, losses, rules

# --- affine ---------------------------------------------------------------------------------


def affine_forward(x: Any, W: Any, b: Any, out: Any) -> None:
    """out = x W + b."""
    np.matmul(x, W, out=out)
    out += b


def affine_backward(dout: Any, x: Any, W: Any, dx: Any, dW: Any, db: Any) -> None:
    """dx = dout W^T;  dW = x^T dout;  db = sum of dout's rows.  dx may be None."""
    if dx is not None:
        np.matmul(dout, W.T, out=dx)
    np.matmul(x.T, dout, out=dW)
    bias_sum(dout, db)


def bias_sum(dout: Any, db: Any) -> None:
    """db = sum of dout's rows."""
    np.sum(dout, axis=0, out=db)


def transpose(x: Any, out: Any) -> None:
    """out = x with rows and columns exchanged."""
    out[...] = x.T


# --- embedding ------------------------------------------------------------------------------


def _numbers(places, widths):
    """Where each number of the rows that begin at `places` lies, beside each other: (rows, sum of widths)."""
    columns = [places[:, c, None] + np.arange(width) for c, width in enumerate(widths)]
    return np.concatenate(columns, axis=1) if columns else np.empty((len(places), 0), np.int64)


def embedding_forward(W: Any, places: Any, widths: Any, out: Any) -> None:
    """out = the numbers of W from places[r, c] on, widths[c] of them, the columns beside each other."""
    numbers = _numbers(places, widths)
    out[:, : numbers.shape[1]] = W[numbers]


def embedding_backward(dout: Any, places: Any, widths: Any, dW: Any) -> None:
    """dW = the sums of dout by the place from which embedding_forward took each number."""
    numbers = _numbers(places, widths)
    dW[...] = 0
    np.add.at(dW, numbers, dout[:, : numbers.shape[1]])


# --- activations ----------------------------------------------------------------------------


def activation_forward(name: Any, x: Any, out: Any, *numbers: Any) -> None:
    """out = the activation of that name of x; the formulas are rows of `operations.activations`."""
    np.copyto(out, activations.value(name, x, numbers))


def activation_backward(name: Any, dout: Any, read: Any, dx: Any, *numbers: Any) -> None:
    """dx = dout times the derivative; `read` is the output or the input, as the row says."""
    np.copyto(dx, activations.gradient(name, dout, read, numbers))


# --- dropout --------------------------------------------------------------------------------


def _mix64(z):
    """splitmix64's finaliser, in Python integers."""
    mask = (1 << 64) - 1
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
    return z ^ (z >> 31)


def dropout_key(seed: Any, step: Any, layer: Any) -> Any:
    """The key of one layer's mask in one step, of 64 bits."""
    mask, golden = (1 << 64) - 1, 0x9E3779B97F4A7C15
    z = _mix64((seed + golden) & mask)
    z = _mix64(z ^ ((step + golden) & mask))
    return _mix64(z ^ ((layer + golden) & mask))


def dropout(x: Any, out: Any, key: Any, ratio: Any) -> None:
    """out = x / (1 - ratio), or 0 with probability ratio; element i's draw is a hash of i."""
    h = np.arange(x.size, dtype=np.uint32) ^ np.uint32(key & 0xFFFFFFFF)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B)
    h ^= h >> np.uint32(16)
    h += np.uint32(key >> 32)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D)
    h ^= h >> np.uint32(15)
    threshold = np.uint32(min(ratio * 2**32, 2**32 - 1))
    np.copyto(out, np.where(h < threshold, 0, x * x.dtype.type(1 / (1 - ratio))))


# --- the order of an epoch ---------------------------------------------------------------------


def _draw_below(n, state):
    """One of 0 .. n - 1 and splitmix64's next state: the product's upper 64 bits (Lemire 2019)."""
    while True:
        state = (state + 0x9E3779B97F4A7C15) & (1 << 64) - 1
        upper, lower = divmod(_mix64(state) * n, 1 << 64)
        if lower >= (1 << 64) % n:  # else some numbers would come more often
            return upper, state


def epoch_order(order: Any, seed: Any, epoch: Any) -> None:
    """order = 0 .. n - 1 shuffled: row i to a place of 0 .. i, and what stood there to place i."""
    state = dropout_key(seed, epoch, (1 << 64) - 1)  # of a layer that no network has
    for i in range(len(order)):
        place, state = _draw_below(i + 1, state)
        order[i] = order[place]
        order[place] = i


# --- batch normalisation --------------------------------------------------------------------


def batch_norm_forward(
    x: Any,
    gamma: Any,
    beta: Any,
    out: Any,
    normal: Any,
    inverse: Any,
    running_mean: Any,
    running_var: Any,
    eps: Any,
    momentum: Any,
    sample_variance: Any,
) -> None:
    """normal = (x - mean) / sqrt(var + eps);  out = gamma normal + beta; columns by themselves.

    The running statistics become momentum running + (1 - momentum) new.
    """
    mean, var = x.mean(axis=0), x.var(axis=0)
    np.copyto(inverse, 1 / np.sqrt(var + x.dtype.type(eps)))
    np.copyto(normal, (x - mean) * inverse)
    np.copyto(out, gamma * normal + beta)
    if sample_variance and len(x) > 1:
        var = var * x.dtype.type(len(x) / (len(x) - 1))
    old, new = x.dtype.type(momentum), x.dtype.type(1 - momentum)
    np.copyto(running_mean, old * running_mean + new * mean)
    np.copyto(running_var, old * running_var + new * var)


def batch_norm_backward(dout: Any, normal: Any, inverse: Any, gamma: Any, dx: Any, dgamma: Any, dbeta: Any) -> None:
    """dgamma = sum_r dout normal;  dbeta = sum_r dout;
    dx = gamma inverse (dout - (dbeta + normal dgamma) / rows).
    """
    np.sum(dout * normal, axis=0, out=dgamma)
    np.sum(dout, axis=0, out=dbeta)
    np.copyto(dx, gamma * inverse * (dout - (dbeta + normal * dgamma) / len(dout)))


# --- losses ---------------------------------------------------------------------------------


def _log_sum_exp(x):
    """log sum_j exp(x[r, j]) as a column, and each row's greatest element."""
    greatest = x.max(axis=1, keepdims=True)
    return greatest + np.log(np.exp(x - greatest).sum(axis=1, keepdims=True, dtype=np.float64))


def softmax_forward(x: Any, y: Any) -> None:
    """y[r, j] = exp(x[r, j]) / sum_k exp(x[r, k])."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    np.copyto(y, e / e.sum(axis=1, keepdims=True))


def softmax_cross_entropy_forward(x: Any, t: Any, y: Any) -> float:
    """-sum_r log softmax(x[r])[t[r]], and y = softmax(x)."""
    _require_indices(t, x.shape[1])
    loss = (_log_sum_exp(x)[:, 0] - x[np.arange(len(t)), t]).sum(dtype=np.float64)
    softmax_forward(x, y)
    return float(loss)


def softmax_cross_entropy_backward(y: Any, t: Any, scale: Any, dx: Any) -> None:
    """dx = scale (y - onehot(t))."""
    _require_indices(t, y.shape[1])
    onehot = np.zeros_like(y)
    onehot[np.arange(len(t)), t] = 1
    np.copyto(dx, y.dtype.type(scale) * (y - onehot))


def soft_cross_entropy_forward(x: Any, t: Any, y: Any) -> float:
    """-sum_r sum_j t[r, j] log softmax(x[r])[j], and y = softmax(x).  0 log 0 is 0."""
    log_y = x - _log_sum_exp(x)
    loss = -(t * np.where(t == 0, 0, log_y)).sum(dtype=np.float64)
    softmax_forward(x, y)
    return float(loss)


def soft_cross_entropy_backward(y: Any, t: Any, scale: Any, dx: Any) -> None:
    """dx = scale (y - t)."""
    np.copyto(dx, y.dtype.type(scale) * (y - t))


def loss_forward(name: Any, x: Any, t: Any, y: Any, *numbers: Any) -> float:
    """The sum of the loss of that name; the formulas are rows of `operations.losses`."""
    row = losses.LOSSES[name]
    with np.errstate(all="ignore"):
        # What keeps y computes in its dtype, as it reads it.
        total = row.value(x if row.kept else x.astype(np.float64), t, *numbers).sum(dtype=np.float64)
        if row.kept:
            np.copyto(y, row.kept(x))
    return float(total)


def loss_backward(name: Any, y: Any, t: Any, scale: Any, dx: Any, *numbers: Any) -> None:
    """dx = scale times the derivative; y is what forward kept, or x."""
    with np.errstate(all="ignore"):
        slope = losses.LOSSES[name].slope(y, t, *numbers)
        np.copyto(dx, y.dtype.type(scale) * slope, casting="same_kind")


def _require_indices(t, n_classes):
    bad = np.flatnonzero((t < 0) | (t >= n_classes))
    if bad.size:
        r = bad[0]
        raise ValueError(f"t expects class indices 0..{n_classes - 1}; got {t[r]} at row {r}")


# --- update rules ---------------------------------------------------------------------------


def update(
    name: Any,
    param: Any,
    grad: Any,
    *states: Any,
    lr: Any,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    step: Any = 1,
    **numbers: Any,
) -> None:
    """param and its states change as the rule of that name, a row of `operations.rules`, has it."""
    rules.update(name, param, grad, states, lr, weight_decay, decoupled, step, numbers)
