"""DeZero's way: `Variable` over NumPy's arrays, whose functions note who made them."""

import numpy as np


class Variable:
    def __init__(self, data, parents=(), pull=None):
        self.data, self.grad, self.parents, self.pull = data, None, parents, pull

    def backward(self):
        order, seen = [], set()

        def visit(v):
            if v not in seen:
                seen.add(v)
                for parent in v.parents:
                    visit(parent)
                order.append(v)

        visit(self)
        self.grad = np.ones_like(self.data)
        for v in reversed(order):
            for parent, g in zip(v.parents, v.pull(v.grad) if v.pull else (), strict=False):
                parent.grad = g if parent.grad is None else parent.grad + g

    def cleargrad(self):
        self.grad = None


def linear(x, W, b):
    def pull(g):
        return g @ W.data.T, x.data.T @ g, g.sum(axis=0)

    return Variable(x.data @ W.data + b.data, (x, W, b), pull)


def sigmoid(x):
    y = np.tanh(x.data * 0.5) * 0.5 + 0.5
    return Variable(y, (x,), lambda g: (g * y * (1 - y),))


def mean_squared_error(x0, x1):
    diff = x0.data - x1.data

    def pull(g):
        gx = g * diff * (2 / len(diff))
        return gx, -gx

    return Variable((diff**2).sum() / len(diff), (x0, x1), pull)


class Linear:
    def __init__(self, in_size, out_size, W):
        self.W, self.b = Variable(W), Variable(np.zeros(out_size, W.dtype))

    def __call__(self, x):
        return linear(x, self.W, self.b)


def step(layers, x, y, lr):
    """One iteration of a training: sigmoids between the layers, and the mean squared error."""
    h = x
    for layer in layers[:-1]:
        h = sigmoid(layer(h))
    loss = mean_squared_error(y, layers[-1](h))
    params = [p for layer in layers for p in (layer.W, layer.b)]
    for p in (*params, x, y):
        p.cleargrad()
    loss.backward()
    for p in params:
        p.data -= lr * p.grad
    return loss
