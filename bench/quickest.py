"""The book's layers in the quickest forms of NumPy, with the same calls and results.

Where another line computes the same and was measured to be quicker, it stands here: a product with
ones for a sum, `maximum` and a product with the mask for writing through a mask (up to 15 times
quicker), operations in place for temporary arrays.
"""

from functools import lru_cache

import numpy as np

from bench import book


@lru_cache
def ones(shape, dtype):
    """Made once, as those who take sums by products do."""
    return np.ones(shape, dtype)


class Affine(book.Affine):
    def forward(self, x):
        self.x = x
        out = x.dot(self.W)
        out += self.b
        return out

    def backward(self, dout):
        dx = dout.dot(self.W.T)
        self.dW = self.x.T.dot(dout)
        self.db = ones(len(dout), dout.dtype).dot(dout)
        return dx


class Relu:
    def forward(self, x):
        self.mask = x > 0
        return np.maximum(x, 0)

    def backward(self, dout):
        dout *= self.mask  # in place, as the book's
        return dout


def sigmoid(x):
    y = np.negative(x)
    np.exp(y, out=y)
    y += 1
    return np.reciprocal(y, out=y)


class Sigmoid:
    def forward(self, x):
        self.out = sigmoid(x)
        return self.out

    def backward(self, dout):
        dx = 1 - self.out
        dx *= self.out
        dx *= dout
        return dx


class Tanh(book.Tanh):
    def backward(self, dout):
        dx = self.out * self.out
        np.subtract(1, dx, out=dx)
        dx *= dout
        return dx


def softmax(x):
    y = x - np.maximum.reduce(x, axis=1, keepdims=True)
    np.exp(y, out=y)
    y /= y.dot(ones((x.shape[1], 1), x.dtype))
    return y


class SoftmaxWithLoss:
    def forward(self, x, t):
        self.t, self.rows = t, np.arange(len(t))
        self.y = softmax(x)
        return -np.log(self.y[self.rows, t] + 1e-7).sum() / len(t)

    def backward(self, dout=1):
        dx = self.y.copy()
        dx[self.rows, self.t] -= 1
        dx /= len(self.t)
        return dx


class SigmoidWithLoss:
    def forward(self, x, t):
        self.t = t
        self.y = sigmoid(x)
        y, t = self.y.ravel(), t.ravel()
        return -(t.dot(np.log(y + 1e-7)) + (1 - t).dot(np.log((1 + 1e-7) - y))) / t.size

    def backward(self, dout=1):
        dx = self.y - self.t
        dx /= self.t.size
        return dx


class MeanSquaredError:
    def forward(self, y, t):
        self.difference = y - t
        flat = self.difference.ravel()
        return flat.dot(flat) / flat.size

    def backward(self, dout=1):
        return 2 / self.difference.size * self.difference
