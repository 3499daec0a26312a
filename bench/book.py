"""The layers as the book writes them, in NumPy; `bench.quickest` has its quickest forms.

Saito, Deep Learning from Scratch (2016), chapter 5, with three of its faults put right: softmax
is taken row by row, its exponentials are computed once, and the sigmoid loss averages.
"""

import numpy as np


class Affine:
    def __init__(self, W, b):
        self.W = W
        self.b = b

    def forward(self, x):
        self.x = x
        return np.dot(x, self.W) + self.b

    def backward(self, dout):
        dx = np.dot(dout, self.W.T)
        self.dW = np.dot(self.x.T, dout)
        self.db = np.sum(dout, axis=0)
        return dx


class Relu:
    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dout[self.mask] = 0  # the book's own, in place; quicker than on a copy
        return dout


class Sigmoid:
    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self, dout):
        return dout * (1.0 - self.out) * self.out


class Tanh:
    def forward(self, x):
        self.out = np.tanh(x)
        return self.out

    def backward(self, dout):
        return dout * (1.0 - self.out**2)


class BatchNormalization:
    def __init__(self, gamma, beta, momentum=0.9):
        self.gamma = gamma
        self.beta = beta
        self.momentum = momentum
        self.running_mean = np.zeros_like(beta)
        self.running_var = np.zeros_like(beta)

    def forward(self, x):
        mu = x.mean(axis=0)
        xc = x - mu
        var = np.mean(xc**2, axis=0)
        self.std = np.sqrt(var + 1e-6)
        self.xn = xc / self.std
        self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mu
        self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var
        return self.gamma * self.xn + self.beta

    def backward(self, dout):
        self.dbeta = dout.sum(axis=0)
        self.dgamma = np.sum(self.xn * dout, axis=0)
        dxn = self.gamma * dout
        dxc = dxn / self.std
        dstd = -np.sum(dxn * self.xn / self.std, axis=0)
        dxc += self.xn * dstd / len(dout)
        return dxc - np.sum(dxc, axis=0) / len(dout)


class Dropout:
    def __init__(self, dropout_ratio=0.5):
        self.dropout_ratio = dropout_ratio
        self.rng = np.random.default_rng(0)

    def forward(self, x):
        self.mask = self.rng.random(x.shape, x.dtype) > self.dropout_ratio
        return x * self.mask / (1 - self.dropout_ratio)  # inverted, as the kernel is


def softmax(x):
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def cross_entropy_error(y, t):
    return -np.sum(np.log(y[np.arange(len(t)), t] + 1e-7)) / len(t)


class SoftmaxWithLoss:
    def forward(self, x, t):
        self.t = t
        self.y = softmax(x)
        return cross_entropy_error(self.y, t)

    def backward(self, dout=1):
        dx = self.y.copy()
        dx[np.arange(len(self.t)), self.t] -= 1
        return dx / len(self.t)


class SigmoidWithLoss:
    def forward(self, x, t):
        self.t = t
        self.y = 1 / (1 + np.exp(-x))
        return -np.mean(t * np.log(self.y + 1e-7) + (1 - t) * np.log(1 - self.y + 1e-7))

    def backward(self, dout=1):
        return (self.y - self.t) / self.t.size


class MeanSquaredError:
    def forward(self, y, t):
        self.difference = y - t
        return np.mean(self.difference**2)

    def backward(self, dout=1):
        return 2 / self.difference.size * self.difference


# Optimisers: one parameter, in place.


def sgd(param, grad, v, lr, momentum):
    v *= momentum
    v += grad
    param -= lr * v


def adagrad(param, grad, h, lr, eps):
    h += grad * grad
    param -= lr * grad / (np.sqrt(h) + eps)


def rmsprop(param, grad, h, lr, alpha, eps):
    h *= alpha
    h += (1 - alpha) * grad * grad
    param -= lr * grad / (np.sqrt(h) + eps)


def adam(param, grad, m, v, lr, beta1, beta2, eps, step):
    m += (1 - beta1) * (grad - m)
    v += (1 - beta2) * (grad**2 - v)
    rate = lr / (1 - beta1**step)
    param -= rate * m / (np.sqrt(v) / np.sqrt(1 - beta2**step) + eps)


class TwoLayerNet:
    """The book's class over the layers of a module: this one, or `fastbp.layers`."""

    def __init__(self, layers, params):
        self.params = params
        self.layers = {
            "Affine1": layers.Affine(params["W1"], params["b1"]),
            "Relu1": layers.Relu(),
            "Affine2": layers.Affine(params["W2"], params["b2"]),
        }
        self.last_layer = layers.SoftmaxWithLoss()

    def loss(self, x, t):
        for layer in self.layers.values():
            x = layer.forward(x)
        return self.last_layer.forward(x, t)

    def gradient(self, x, t):
        self.loss(x, t)
        dout = self.last_layer.backward(1)
        for layer in reversed(self.layers.values()):
            dout = layer.backward(dout)
        first, second = self.layers["Affine1"], self.layers["Affine2"]
        return {"W1": first.dW, "b1": first.db, "W2": second.dW, "b2": second.db}
