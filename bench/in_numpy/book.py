"""The book's TwoLayerNet of chapter 5 in NumPy, its layers as `bench.book` has them."""
# ruff: noqa: NPY002  (it draws from NumPy's global generator)

import numpy as np

from bench.book import Affine, Relu


class TwoLayerNet:
    def __init__(self, input_size, hidden_size, output_size, weight_init_std=0.01):
        self.params = {
            "W1": weight_init_std * np.random.randn(input_size, hidden_size),
            "b1": np.zeros(hidden_size),
            "W2": weight_init_std * np.random.randn(hidden_size, output_size),
            "b2": np.zeros(output_size),
        }
        self.affine1 = Affine(self.params["W1"], self.params["b1"])
        self.relu = Relu()
        self.affine2 = Affine(self.params["W2"], self.params["b2"])

    def gradient(self, x, t):
        a = self.affine2.forward(self.relu.forward(self.affine1.forward(x)))
        e = np.exp(a - a.max(axis=1, keepdims=True))
        dout = e / e.sum(axis=1, keepdims=True)
        dout[np.arange(len(t)), t] -= 1
        self.affine1.backward(self.relu.backward(self.affine2.backward(dout / len(t))))
        return {"W1": self.affine1.dW, "b1": self.affine1.db, "W2": self.affine2.dW, "b2": self.affine2.db}
