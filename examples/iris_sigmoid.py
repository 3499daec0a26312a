"""Setosa or versicolor: a 4-5-5-1 network of sigmoid layers, trained on the whole of iris at once.

Every iteration takes all the training rows, so the loss falls smoothly.  It hardly moves for the
first two hundred iterations: behind two layers of sigmoids, small weights have small gradients.
"""

import argparse

import numpy as np

from fastbp import SGD, Sequential, datasets
from fastbp.layers import Linear, Sigmoid, SigmoidWithLoss


def iris_net(seed=0, std=0.1):
    """4-5-5-1 with sigmoids, its weights drawn around 0 with the deviation `std`."""
    rng = np.random.default_rng(seed)
    return Sequential(
        Linear(4, 5, std, seed=rng),
        Sigmoid(),
        Linear(5, 5, std, seed=rng),
        Sigmoid(),
        Linear(5, 1, std, seed=rng),
        loss=SigmoidWithLoss(),
    )


def train(net, train_set, test_set, iterations=400, lr=0.5):
    """The curves of full-batch gradient descent."""
    sgd = SGD(lr=lr)
    history = {"train_loss": [], "train_accuracy": [], "test_accuracy": []}
    for _ in range(iterations):
        sgd.update(net.params, net.gradient(*train_set))
        history["train_loss"].append(net.loss(*train_set))
        history["train_accuracy"].append(net.accuracy(*train_set))
        history["test_accuracy"].append(net.accuracy(*test_set))
    return history


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=400)
    parser.add_argument("--out", metavar="FILE", help="plot the curves into this file")
    options = parser.parse_args(argv)

    # A network with one output wants its targets as a column, (n, 1).
    parts = datasets.load_iris(classes=(0, 1))
    train_set, test_set = ((x, t.reshape(-1, 1)) for x, t in parts)
    history = train(iris_net(), train_set, test_set, options.iterations)
    for i in range(0, options.iterations, 50):
        print(
            "iteration {:3}  loss {:.4f}  train {:.4f}  test {:.4f}".format(
                i, *(curve[i] for curve in history.values())
            )
        )
    print("at the end     loss {:.4f}  train {:.4f}  test {:.4f}".format(*(curve[-1] for curve in history.values())))
    if options.out:
        from fastbp import plots

        plots.learning_curves(history, options.out)
    return history


if __name__ == "__main__":
    main()
