"""What is timed: the same work, in fastbp and in NumPy."""

from functools import partial

import numpy as np
from scipy.special import ndtr

from bench import book, quickest
from fastbp import Sequential, _kernels, layers

DTYPES = ("float32", "float64")
#: Rows of the activations that are timed beside NumPy.
BENCHED = ("identity", "relu", "sigmoid", "tanh", "leaky_relu", "softplus", "gelu", "elu", "silu", "mish")
BENCHED_LOSSES = ("sigmoid", "squared", "absolute", "huber", "quantile", "poisson")
FAMILIES = ("activation_forward", "activation_backward", "loss_forward", "loss_backward", "update")
#: Of no numbers alone; rows of tables have `bench.embedding`.
OTHERS = ("dropout_key", "embedding_backward", "embedding_forward", "epoch_order")
#: Every other kernel over arrays of numbers.
KERNELS = (
    *(f"{name}_{way}" for name in BENCHED for way in ("forward", "backward")),
    *(f"{name}_loss_{way}" for name in BENCHED_LOSSES for way in ("forward", "backward")),
    *(name for name in _kernels.__all__ if name not in (*OTHERS, *FAMILIES)),
    *(f"{name}_update" for name in ("sgd", "adagrad", "rmsprop", "adam")),
)
#: Two-layer net of the book on MNIST.
NET = {"batch": 100, "n_in": 784, "hidden": 50, "n_out": 10}


def normal(shape, dtype, seed=0):
    """Numbers of mean 0 and deviation 1."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def classes(n, n_classes):
    """n class indices."""
    return np.random.default_rng(1).integers(0, n_classes, n)


# --- kernels --------------------------------------------------------------------------------


def bias_sum_pair(rows, n_out, dtype):
    """The bias sum: (ours, theirs, outputs), as in `elementwise_pairs`."""
    dout, db, theirs = normal((rows, n_out), dtype), *np.empty((2, n_out), dtype)
    ones = np.ones(rows, dtype)
    return lambda: _kernels.bias_sum(dout, db), lambda: np.dot(ones, dout, out=theirs), (db,)


def elementwise_pairs(n, dtype):
    """Activation kernels over n elements: name -> (ours, theirs, outputs).

    `ours` is the call of a kernel, which writes `outputs`; `theirs` is NumPy's, which returns
    the same, written into an array that was there, too.
    """
    x, dout = normal((2, n), dtype)
    out, dx, copy = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    rectified, mask = np.maximum(x, 0), x > 0
    squashed, tangent = 1 / (1 + np.exp(-x)), np.tanh(x)

    def copied(source):
        np.copyto(copy, source)
        return copy

    def sigmoid():
        np.negative(x, out=copy)
        np.exp(copy, out=copy)
        np.add(copy, 1, out=copy)
        return np.reciprocal(copy, out=copy)

    def sigmoid_pullback():
        np.subtract(1, squashed, out=copy)
        np.multiply(copy, squashed, out=copy)
        return np.multiply(copy, dout, out=copy)

    def tanh_pullback():
        np.multiply(tangent, tangent, out=copy)
        np.subtract(1, copy, out=copy)
        return np.multiply(copy, dout, out=copy)

    def gelu_slope():
        return ndtr(x) + x * (np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi))

    def silu_pullback():
        y = 1 / (1 + np.exp(-x))
        return dout * y * (1 + x * (1 - y))

    def mish_pullback():
        t = np.tanh(np.logaddexp(x, 0))
        return dout * (t + x / (1 + np.exp(-x)) * (1 - t * t))

    k, slope, dropout = _kernels, 0.01, book.Dropout(0.5)
    key = k.dropout_key(0, 0, 0)
    return {
        "identity_forward": (lambda: k.activation_forward("identity", x, out), lambda: copied(x), (out,)),
        "identity_backward": (lambda: k.activation_backward("identity", dout, x, dx), lambda: copied(dout), (dx,)),
        "relu_forward": (lambda: k.activation_forward("relu", x, out), lambda: np.maximum(x, 0, out=copy), (out,)),
        "relu_backward": (
            lambda: k.activation_backward("relu", dout, rectified, dx),
            lambda: np.multiply(dout, mask, out=copy),
            (dx,),
        ),
        "sigmoid_forward": (lambda: k.activation_forward("sigmoid", x, out), sigmoid, (out,)),
        "sigmoid_backward": (lambda: k.activation_backward("sigmoid", dout, squashed, dx), sigmoid_pullback, (dx,)),
        "tanh_forward": (lambda: k.activation_forward("tanh", x, out), lambda: np.tanh(x, out=copy), (out,)),
        "tanh_backward": (lambda: k.activation_backward("tanh", dout, tangent, dx), tanh_pullback, (dx,)),
        "leaky_relu_forward": (
            lambda: k.activation_forward("leaky_relu", x, out, slope),
            lambda: np.where(x > 0, x, slope * x),
            (out,),
        ),
        "leaky_relu_backward": (
            lambda: k.activation_backward("leaky_relu", dout, x, dx, slope),
            lambda: np.where(x > 0, dout, slope * dout),
            (dx,),
        ),
        "softplus_forward": (lambda: k.activation_forward("softplus", x, out), lambda: np.logaddexp(x, 0), (out,)),
        "softplus_backward": (
            lambda: k.activation_backward("softplus", dout, x, dx),
            lambda: dout / (1 + np.exp(-x)),
            (dx,),
        ),
        "gelu_forward": (lambda: k.activation_forward("gelu", x, out), lambda: x * ndtr(x), (out,)),
        "gelu_backward": (lambda: k.activation_backward("gelu", dout, x, dx), lambda: dout * gelu_slope(), (dx,)),
        "elu_forward": (
            lambda: k.activation_forward("elu", x, out, 1.0, 1.0),
            lambda: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
            (out,),
        ),
        "elu_backward": (
            lambda: k.activation_backward("elu", dout, x, dx, 1.0, 1.0),
            lambda: dout * np.exp(np.minimum(x, 0)),
            (dx,),
        ),
        "silu_forward": (lambda: k.activation_forward("silu", x, out), lambda: x / (1 + np.exp(-x)), (out,)),
        "silu_backward": (lambda: k.activation_backward("silu", dout, x, dx), silu_pullback, (dx,)),
        "mish_forward": (lambda: k.activation_forward("mish", x, out), lambda: x * np.tanh(np.logaddexp(x, 0)), (out,)),
        "mish_backward": (lambda: k.activation_backward("mish", dout, x, dx), mish_pullback, (dx,)),
        "dropout": (lambda: k.dropout(x, out, key, 0.5), lambda: dropout.forward(x), (out,)),
    }


def kernel_pairs(rows, n_in, n_out, dtype):
    """Every kernel, as in `elementwise_pairs`; losses are summed, not averaged."""
    x, W, b = normal((rows, n_in), dtype), normal((n_in, n_out), dtype), normal(n_out, dtype)
    dout, logits = normal((2, rows, n_out), dtype)
    out, dx, dW, db = np.empty_like(dout), np.empty_like(x), np.empty_like(W), np.empty_like(b)
    t, soft = classes(rows, n_out), book.softmax(dout)
    y, d = np.empty_like(logits), np.empty_like(logits)
    turned = np.empty((n_out, n_in), dtype)
    probabilities, scale = book.softmax(logits), 1 / rows
    z, z_soft, z_y, z_p, z_d = (a.reshape(-1) for a in (logits, soft, y, probabilities, d))
    grad, lr, momentum = dout.reshape(-1), 1e-6, 0.9
    param, state, state_2 = (np.full(grad.size, n, dtype) for n in (1, 0, 0))  # ours
    params, states, states_2 = param.copy(), state.copy(), state_2.copy()  # theirs
    gamma, beta, inverse = np.ones_like(b), np.zeros_like(b), np.empty_like(b)
    dgamma, dbeta, running = np.empty_like(b), np.empty_like(b), np.zeros((2, n_out), dtype)
    norm, normed = book.BatchNormalization(gamma, beta), book.BatchNormalization(gamma, beta)
    normed.forward(logits)
    inverse_std = 1 / normed.std

    def affine_backward():
        return np.dot(dout, W.T), np.dot(x.T, dout), np.sum(dout, axis=0)

    def softmax_cross_entropy():
        p = book.softmax(logits)
        return -np.sum(np.log(p[np.arange(rows), t])), p

    def softmax_cross_entropy_backward():
        result = probabilities.copy()
        result[np.arange(rows), t] -= 1
        return result * scale

    def soft_cross_entropy():
        p = book.softmax(logits)
        return -np.sum(soft * np.log(p)), p

    def sigmoid_cross_entropy():
        p = 1 / (1 + np.exp(-z))
        return -np.sum(z_soft * np.log(p) + (1 - z_soft) * np.log(1 - p)), p

    def batch_norm_forward():
        out = norm.forward(logits)
        return out, norm.xn, 1 / norm.std, norm.running_mean, norm.running_var

    def batch_norm_backward():
        return normed.backward(dout), normed.dgamma, normed.dbeta

    def huber():
        d = np.abs(z - z_soft)
        return np.sum(np.where(d <= 0.5, 0.5 * d * d, 0.5 * (d - 0.25)))

    def quantile():
        d = z - z_soft
        return np.sum(np.where(d > 0, 0.2 * d, -0.8 * d))

    def poisson():
        p = np.exp(z)
        return np.sum(z_soft * np.log(z_soft / p) - z_soft + p), p

    def updated(rule, states, *numbers):
        rule(params, grad, *states, *numbers)
        return params, *states

    k = _kernels
    return elementwise_pairs(rows * n_out, dtype) | {
        "bias_sum": bias_sum_pair(rows, n_out, dtype),
        "transpose": (lambda: k.transpose(W, turned), lambda: W.T.copy(), (turned,)),
        "affine_forward": (lambda: k.affine_forward(x, W, b, out), lambda: np.dot(x, W) + b, (out,)),
        "affine_backward": (lambda: k.affine_backward(dout, x, W, dx, dW, db), affine_backward, (dx, dW, db)),
        "softmax_forward": (lambda: k.softmax_forward(logits, y), lambda: book.softmax(logits), (y,)),
        "softmax_cross_entropy_forward": (
            lambda: k.softmax_cross_entropy_forward(logits, t, y),
            softmax_cross_entropy,
            (y,),
        ),
        "softmax_cross_entropy_backward": (
            lambda: k.softmax_cross_entropy_backward(probabilities, t, scale, d),
            softmax_cross_entropy_backward,
            (d,),
        ),
        "soft_cross_entropy_forward": (lambda: k.soft_cross_entropy_forward(logits, soft, y), soft_cross_entropy, (y,)),
        "soft_cross_entropy_backward": (
            lambda: k.soft_cross_entropy_backward(probabilities, soft, scale, d),
            lambda: (probabilities - soft) * scale,
            (d,),
        ),
        "sigmoid_loss_forward": (lambda: k.loss_forward("sigmoid", z, z_soft, z_y), sigmoid_cross_entropy, (z_y,)),
        "sigmoid_loss_backward": (
            lambda: k.loss_backward("sigmoid", z_p, z_soft, scale, z_d),
            lambda: (z_p - z_soft) * scale,
            (z_d,),
        ),
        "squared_loss_forward": (
            lambda: k.loss_forward("squared", z, z_soft, None),
            lambda: np.sum((z - z_soft) ** 2),
            (),
        ),
        "squared_loss_backward": (
            lambda: k.loss_backward("squared", z, z_soft, scale, z_d),
            lambda: 2 * scale * (z - z_soft),
            (z_d,),
        ),
        "absolute_loss_forward": (
            lambda: k.loss_forward("absolute", z, z_soft, None),
            lambda: np.sum(np.abs(z - z_soft)),
            (),
        ),
        "absolute_loss_backward": (
            lambda: k.loss_backward("absolute", z, z_soft, scale, z_d),
            lambda: scale * np.sign(z - z_soft),
            (z_d,),
        ),
        "huber_loss_forward": (lambda: k.loss_forward("huber", z, z_soft, None, 0.5), huber, ()),
        "huber_loss_backward": (
            lambda: k.loss_backward("huber", z, z_soft, scale, z_d, 0.5),
            lambda: scale * np.clip(z - z_soft, -0.5, 0.5),
            (z_d,),
        ),
        "quantile_loss_forward": (lambda: k.loss_forward("quantile", z, z_soft, None, 0.8), quantile, ()),
        "quantile_loss_backward": (
            lambda: k.loss_backward("quantile", z, z_soft, scale, z_d, 0.8),
            lambda: scale * np.where(z > z_soft, 0.2, -0.8),
            (z_d,),
        ),
        "poisson_loss_forward": (lambda: k.loss_forward("poisson", z, z_soft, z_y), poisson, (z_y,)),
        "poisson_loss_backward": (
            lambda: k.loss_backward("poisson", z, z_soft, scale, z_d),
            lambda: scale * (z - z_soft),
            (z_d,),
        ),
        "batch_norm_forward": (
            lambda: k.batch_norm_forward(logits, gamma, beta, y, d, inverse, *running, 1e-6, norm.momentum, False),
            batch_norm_forward,
            (y, d, inverse, *running),
        ),
        "batch_norm_backward": (
            lambda: k.batch_norm_backward(dout, normed.xn, inverse_std, gamma, d, dgamma, dbeta),
            batch_norm_backward,
            (d, dgamma, dbeta),
        ),
        "sgd_update": (
            lambda: k.update("momentum", param, grad, state, lr=lr, momentum=momentum, dampening=0),
            lambda: updated(book.sgd, [states], lr, momentum),
            (param, state),
        ),
        "adagrad_update": (
            lambda: k.update("adagrad", param, grad, state, lr=lr, eps=1e-7, lr_decay=0),
            lambda: updated(book.adagrad, [states], lr, 1e-7),
            (param, state),
        ),
        "rmsprop_update": (
            lambda: k.update("rmsprop", param, grad, state, lr=lr, beta_2=0.99, eps=1e-7),
            lambda: updated(book.rmsprop, [states], lr, 0.99, 1e-7),
            (param, state),
        ),
        "adam_update": (
            lambda: k.update("adam", param, grad, state, state_2, lr=lr, beta_1=0.9, beta_2=0.999, eps=1e-7),
            lambda: updated(book.adam, [states, states_2], lr, 0.9, 0.999, 1e-7, 1),
            (param, state, state_2),
        ),
    }


# --- layers ---------------------------------------------------------------------------------

#: Who has the layers: we, the book as it stands, and NumPy at its quickest.
SIDES = {"fastbp": layers, "book": book, "numpy": quickest}

ACTIVATIONS = ("Relu", "Sigmoid", "Tanh")
LOSSES = ("SoftmaxWithLoss", "SigmoidWithLoss", "MeanSquaredError")
#: Identity, Flatten, AddLayer and MulLayer have no arithmetic of arrays to compare.
LAYERS = ("Affine", *ACTIVATIONS, *LOSSES)


def layer_sides(name, batch, n_in, n_out, dtype):
    """One layer: the passes of each side, by its name, and ours with its inputs.

    An Affine is (n_in, n_out); the others take arrays of (batch, n_out).
    """
    x, dout = normal((2, batch, n_out), dtype)
    inputs, arrays = (x,), ()
    if name == "Affine":
        inputs = (normal((batch, n_in), dtype),)
        arrays = normal((n_in, n_out), dtype), normal(n_out, dtype)
    elif name == "SoftmaxWithLoss":
        inputs = x, classes(batch, n_out)
    elif name in LOSSES:
        inputs = x, (dout > 0).astype(dtype)
    sides = {side: getattr(module, name)(*arrays) for side, module in SIDES.items()}
    timed = {
        # a copy: the book's Relu overwrites its own
        side: passes(layer, inputs, 1 if name in LOSSES else dout.copy())
        for side, layer in sides.items()
    }
    if name == "Affine":
        timed["expressions"] = expressions(*inputs, *arrays, dout)
    return timed, (sides["fastbp"], *inputs)


def expressions(x, W, b, dout):
    """The affine map and its gradients as NumPy's expressions alone, without a layer."""

    def forward():
        return np.dot(x, W) + b

    def backward():
        return np.dot(x.T, dout), np.sum(dout, axis=0), np.dot(dout, W.T)

    def both():
        forward()
        return backward()

    return {"forward": forward, "backward": backward, "forward + backward": both}


def passes(layer, inputs, dout):
    """What is timed of a layer, by name."""

    def forward():
        return layer.forward(*inputs)

    def backward():
        return layer.backward(dout)

    def both():
        layer.forward(*inputs)
        return layer.backward(dout)

    forward()
    return {"forward": forward, "backward": backward, "forward + backward": both}


def net_sides(dtype):
    """`gradient` of the two-layer net: name -> side -> call, and our net with its data.

    Ours once as `Sequential` and once as the book's class over our layers; theirs is the
    book's class over NumPy's.
    """
    n_in, hidden, n_out = (NET[name] for name in ("n_in", "hidden", "n_out"))
    x = np.random.default_rng(0).random((NET["batch"], n_in)).astype(dtype)
    t = classes(NET["batch"], n_out)
    params = {
        "W1": 0.01 * normal((n_in, hidden), dtype),
        "b1": np.zeros(hidden, dtype),
        "W2": 0.01 * normal((hidden, n_out), dtype),
        "b2": np.zeros(n_out, dtype),
    }
    nets = {side: book.TwoLayerNet(module, params) for side, module in SIDES.items()}
    ours = nets["fastbp"].layers.values()
    sequential = Sequential(*ours, loss=layers.SoftmaxWithLoss())
    calls = {side: partial(net.gradient, x, t) for side, net in nets.items()}
    return {"Sequential": calls | {"fastbp": partial(sequential.gradient, x, t)}, "the book's class": calls}, (
        sequential,
        x,
        t,
    )
