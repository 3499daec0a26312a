"""A network from a list of (inputs, outputs, activation): tanh layers fit a surface.

Squared error, shuffled mini-batches, and the loss on the training and on the test part after
every epoch.
"""

import numpy as np

from fastbp import SGD, Sequential

LAYERS = [(2, 16, "tanh"), (16, 16, "tanh"), (16, 1, "linear")]


def surface(n, rng):
    """Points (n, 2) of a square and heights (n, 1): sin(2 x0) x1, with a little noise."""
    x = rng.uniform(-1, 1, (n, 2))
    height = np.sin(2 * x[:, :1]) * x[:, 1:]
    return x, height + 0.02 * rng.standard_normal((n, 1))


def shuffled_batches(x, t, size, rng):
    order = rng.permutation(len(x))
    for start in range(0, len(x), size):
        rows = order[start : start + size]
        yield x[rows], t[rows]


def train(net, train_set, test_set, epochs=100, batch_size=20, lr=0.1, seed=0):
    """The mean squared error on both parts after each epoch."""
    rng = np.random.default_rng(seed)
    sgd = SGD(lr=lr)
    history = {"train_loss": [], "test_loss": []}
    for _ in range(epochs):
        for x, t in shuffled_batches(*train_set, size=batch_size, rng=rng):
            sgd.update(net.params, net.gradient(x, t))
        history["train_loss"].append(net.loss(*train_set))
        history["test_loss"].append(net.loss(*test_set))
    return history


def main():
    rng = np.random.default_rng(0)
    train_set, test_set = surface(500, rng), surface(200, rng)
    net = Sequential.from_config(LAYERS, loss="squared_error", seed=0)
    net.summary()
    history = train(net, train_set, test_set)
    for epoch in range(9, len(history["train_loss"]), 10):
        train_loss, test_loss = (curve[epoch] for curve in history.values())
        print(f"epoch {epoch + 1:3}  train loss {train_loss:.5f}  test loss {test_loss:.5f}")
    return history


if __name__ == "__main__":
    main()
