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

import numpy as np

# --- affine ---------------------------------------------------------------------------------


def affine_forward(x, W, b, out):
    """out = x W + b."""
    np.matmul(x, W, out=out)
    out += b


def affine_backward(dout, x, W, dx, dW, db):
    """dx = dout W^T;  dW = x^T dout;  db = sum of dout's rows.  dx may be None."""
    if dx is not None:
        np.matmul(dout, W.T, out=dx)
    np.matmul(x.T, dout, out=dW)
    bias_sum(dout, db)


def bias_sum(dout, db):
    """db = sum of dout's rows."""
    np.sum(dout, axis=0, out=db)


# --- activations ----------------------------------------------------------------------------


def relu_forward(x, out):
    """out = max(x, 0); NaN stays NaN."""
    np.maximum(x, 0, out=out)


def relu_backward(dout, out, dx):
    """dx = dout where out > 0, else 0 (a NaN lets dout through, as in the book)."""
    np.copyto(dx, np.where(out <= 0, 0, dout))


def sigmoid_forward(x, out):
    """out = 1 / (1 + exp(-x)), from exp(-|x|) so that nothing overflows."""
    e = np.exp(-np.abs(x))
    np.copyto(out, np.where(x < 0, e / (1 + e), 1 / (1 + e)))


def sigmoid_backward(dout, out, dx):
    """dx = dout * out * (1 - out)."""
    np.copyto(dx, dout * (1 - out) * out)


def tanh_forward(x, out):
    """out = tanh(x)."""
    np.tanh(x, out=out)


def tanh_backward(dout, out, dx):
    """dx = dout * (1 - out^2)."""
    np.copyto(dx, dout * (1 - out * out))


def identity_forward(x, out):
    """out = x."""
    np.copyto(out, x)


def identity_backward(dout, out, dx):
    """dx = dout."""
    np.copyto(dx, dout)


# --- losses ---------------------------------------------------------------------------------


def _log_sum_exp(x):
    """log sum_j exp(x[r, j]) as a column, and each row's greatest element."""
    greatest = x.max(axis=1, keepdims=True)
    return greatest + np.log(np.exp(x - greatest).sum(axis=1, keepdims=True, dtype=np.float64))


def softmax_forward(x, y):
    """y[r, j] = exp(x[r, j]) / sum_k exp(x[r, k])."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    np.copyto(y, e / e.sum(axis=1, keepdims=True))


def softmax_cross_entropy_forward(x, t, y):
    """-sum_r log softmax(x[r])[t[r]], and y = softmax(x)."""
    _require_indices(t, x.shape[1])
    loss = (_log_sum_exp(x)[:, 0] - x[np.arange(len(t)), t]).sum(dtype=np.float64)
    softmax_forward(x, y)
    return float(loss)


def softmax_cross_entropy_backward(y, t, scale, dx):
    """dx = scale (y - onehot(t))."""
    _require_indices(t, y.shape[1])
    onehot = np.zeros_like(y)
    onehot[np.arange(len(t)), t] = 1
    np.copyto(dx, y.dtype.type(scale) * (y - onehot))


def soft_cross_entropy_forward(x, t, y):
    """-sum_r sum_j t[r, j] log softmax(x[r])[j], and y = softmax(x).  0 log 0 is 0."""
    log_y = x - _log_sum_exp(x)
    loss = -np.where(t == 0, 0, t * log_y).sum(dtype=np.float64)
    softmax_forward(x, y)
    return float(loss)


def soft_cross_entropy_backward(y, t, scale, dx):
    """dx = scale (y - t)."""
    np.copyto(dx, y.dtype.type(scale) * (y - t))


def sigmoid_cross_entropy_forward(x, t, y):
    """Sum of max(x, 0) - x t + log(1 + exp(-|x|)), and y = sigmoid(x)."""
    losses = np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))
    sigmoid_forward(x, y)
    return float(losses.sum(dtype=np.float64))


def sigmoid_cross_entropy_backward(y, t, scale, dx):
    """dx = scale (y - t)."""
    np.copyto(dx, y.dtype.type(scale) * (y - t))


def squared_error_forward(y, t):
    """Sum of (y - t)^2."""
    return float(np.square(y.astype(np.float64) - t).sum())


def squared_error_backward(y, t, scale, dx):
    """dx = 2 scale (y - t)."""
    np.copyto(dx, y.dtype.type(2 * scale) * (y - t))


def _require_indices(t, n_classes):
    bad = np.flatnonzero((t < 0) | (t >= n_classes))
    if bad.size:
        r = bad[0]
        raise ValueError(f"t expects class indices 0..{n_classes - 1}; got {t[r]} at row {r}")


# --- update rules ---------------------------------------------------------------------------


def sgd_update(param, grad, velocity, lr, momentum, nesterov, weight_decay):
    """d = grad + weight_decay param;  v = momentum v + d;  param -= lr v.

    With `nesterov`, param -= lr (d + momentum v).  Without a velocity, v = d.
    """
    real = param.dtype.type
    d = grad + real(weight_decay) * param
    if velocity is not None:
        velocity *= real(momentum)
        velocity += d
        d = d + real(momentum) * velocity if nesterov else velocity
    elif momentum:
        raise ValueError("sgd_update expects a velocity where momentum is not 0")
    param -= real(lr) * d
