"""The way *Deep Learning from Scratch* writes a network: your own class, your own loop.

The class holds its arrays in a dictionary and its layers in an OrderedDict.  The layers keep
the very arrays of the dictionary, so that `params[key] -= ...` trains them.  Weights are
float64, as NumPy makes them; images are float32, as they are read.
"""

from collections import OrderedDict
from itertools import pairwise

import numpy as np

from fastbp.datasets import load_digits
from fastbp.layers import *  # noqa: F403 - the book's own import


class MultiLayerNet:
    """Affine layers with Relu between them, and a softmax with its loss at the end."""

    def __init__(self, *sizes, weight_init_std=0.1, seed=0):
        rng = np.random.default_rng(seed)
        self.params = {}
        self.layers = OrderedDict()
        for k, (n_in, n_out) in enumerate(pairwise(sizes), start=1):
            W = self.params[f"W{k}"] = weight_init_std * rng.standard_normal((n_in, n_out))
            b = self.params[f"b{k}"] = np.zeros(n_out)
            self.layers[f"Affine{k}"] = Affine(W, b)  # noqa: F405
            self.layers[f"Relu{k}"] = Relu()  # noqa: F405
        self.layers.popitem()  # no Relu behind the last Affine
        self.last_layer = SoftmaxWithLoss()  # noqa: F405

    def predict(self, x):
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def loss(self, x, t):
        return self.last_layer.forward(self.predict(x), t)

    def accuracy(self, x, t):
        return np.mean(self.predict(x).argmax(axis=1) == t.argmax(axis=1))

    def gradient(self, x, t):
        self.loss(x, t)
        dout = self.last_layer.backward(1)
        for layer in reversed(self.layers.values()):
            dout = layer.backward(dout)
        affines = [layer for name, layer in self.layers.items() if name.startswith("Affine")]
        return {
            name: grad
            for k, layer in enumerate(affines, start=1)
            for name, grad in ((f"W{k}", layer.dW), (f"b{k}", layer.db))
        }


def main():
    (x_train, t_train), (x_test, t_test) = load_digits(one_hot_label=True)
    network = MultiLayerNet(64, 50, 10)
    rng = np.random.default_rng(0)
    lr, batch_size, iters_num = 0.1, 100, 2000

    for i in range(iters_num):
        batch = rng.choice(len(x_train), batch_size)
        grad = network.gradient(x_train[batch], t_train[batch])
        for key in network.params:
            network.params[key] -= lr * grad[key]
        if (i + 1) % 500 == 0:
            print(
                f"iteration {i + 1}  train {network.accuracy(x_train, t_train):.4f}"
                f"  test {network.accuracy(x_test, t_test):.4f}"
            )
    return network.accuracy(x_test, t_test)


if __name__ == "__main__":
    main()
