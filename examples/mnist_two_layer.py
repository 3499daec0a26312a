"""The two-layer net on MNIST: its gradients checked, then 10000 steps on batches of 100.

The check compares backpropagation with numerical gradients, in float64: for the book's mean
difference over every weight, and for `gradient_check`'s relative error over a sample of them.
"""

import argparse
import time

import numpy as np

from fastbp import SGD, Sequential, gradient_check, numerical_gradient
from fastbp.datasets import load_mnist
from fastbp.layers import Linear, Relu, SoftmaxWithLoss


def two_layer_net(hidden=50, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    return Sequential(
        Linear(784, hidden, dtype=dtype, seed=rng),
        Relu(),
        Linear(hidden, 10, dtype=dtype, seed=rng),
        loss=SoftmaxWithLoss(),
    )


def mean_differences(net, x, t):
    """The mean absolute difference from the numerical gradient, for each parameter."""
    grad = net.gradient(x, t)
    return {
        key: np.abs(grad[key] - numerical_gradient(lambda _: net.loss(x, t), array)).mean()
        for key, array in net.params.items()
    }


def train(net, train_set, test_set, iterations, batch_size=100, lr=0.1, seed=0):
    """Accuracy on both parts after each epoch, printed and returned."""
    x, t = train_set
    rng = np.random.default_rng(seed)
    sgd = SGD(lr=lr)
    epoch = max(len(x) // batch_size, 1)
    accuracies = []
    for i in range(1, iterations + 1):
        batch = rng.choice(len(x), batch_size)
        sgd.update(net.params, net.gradient(x[batch], t[batch]))
        if i % epoch == 0 or i == iterations:
            accuracies.append((net.accuracy(x, t), net.accuracy(*test_set)))
            print("iteration {:5}  train {:.4f}  test {:.4f}".format(i, *accuracies[-1]))
    return accuracies


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", metavar="DIR", help="folder of the IDX files ($FASTBP_DATA)")
    parser.add_argument("--hidden", type=int, default=50)
    parser.add_argument("--iterations", type=int, default=10000)
    options = parser.parse_args(argv)
    train_set, test_set = load_mnist(options.data)

    x, t = train_set[0][:3], train_set[1][:3]
    differences = mean_differences(two_layer_net(options.hidden, "float64"), x, t)
    for key, difference in differences.items():
        print(f"{key}  mean difference {difference:.1e}")
    net = two_layer_net(options.hidden)
    print(gradient_check(net, x, t))

    start = time.perf_counter()
    accuracies = train(net, train_set, test_set, options.iterations)
    print(f"{time.perf_counter() - start:.1f} s")
    return differences, accuracies


if __name__ == "__main__":
    main()
