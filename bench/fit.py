"""`net.fit` on MNIST beside the book's training loop: ``python -m bench.fit``.

784-50-10, batches of 100, learning rate 0.1, 17 epochs: once by `Sequential.fit`, once by the
book's loop and class over NumPy's quickest forms of its layers, both in float32.  The book's own
program has float64 weights and its own forms, which are slower: ``--dtype float64 --layers book``.
Loading and converting the data is not timed.  The book's loop runs for fewer epochs, half of them
before fastbp's training and half after it, and the ratio is that of the times of one epoch.
"""

import argparse
import os
import time

import numpy as np

import fastbp
from bench import ROOT, book, measure, quickest

BATCH, LR, SIZES = 100, 0.1, (784, 50, 10)


def data():
    """MNIST from FASTBP_DATA, or from the data folder beside the checkout."""
    beside = ROOT.parent / "shared" / "data"
    return fastbp.datasets.load_mnist(os.environ.get("FASTBP_DATA", beside))


def first_weights():
    """The book's: deviation 0.01, biases 0; float64."""
    rng = np.random.default_rng(0)
    n_in, hidden, n_out = SIZES
    return {
        "W1": 0.01 * rng.standard_normal((n_in, hidden)),
        "b1": np.zeros(hidden),
        "W2": 0.01 * rng.standard_normal((hidden, n_out)),
        "b2": np.zeros(n_out),
    }


def train_ours(x, t, epochs):
    """The trained network and the seconds it took."""
    W1, b1, W2, b2 = (array.astype(np.float32) for array in first_weights().values())
    net = fastbp.Sequential(fastbp.Affine(W1, b1), fastbp.Relu(), fastbp.Affine(W2, b2), loss=fastbp.SoftmaxWithLoss())
    start = time.perf_counter()
    net.fit(x, t, epochs=epochs, batch_size=BATCH, optimizer=fastbp.SGD(lr=LR), seed=0, n_threads=1)
    return net, time.perf_counter() - start


class Book:
    """The book's training loop, an epoch at a time."""

    def __init__(self, x, t, dtype="float32", layers=quickest):
        self.x, self.t = x.astype(dtype), t
        params = {name: array.astype(dtype) for name, array in first_weights().items()}
        self.net = book.TwoLayerNet(layers, params)
        self.rng = np.random.default_rng(0)

    def train(self, epochs):
        """The seconds it took."""
        start = time.perf_counter()
        for _ in range(epochs * len(self.x) // BATCH):
            batch = self.rng.choice(len(self.x), BATCH)
            grads = self.net.gradient(self.x[batch], self.t[batch])
            for key, grad in grads.items():
                self.net.params[key] -= LR * grad
        return time.perf_counter() - start


def run(split, epochs=17, book_epochs=2, **how):
    """Seconds of fastbp's training, and of as much of the book's; `how` goes to `Book`."""
    (x, t), (x_test, t_test) = split
    train_ours(x[:BATCH], t[:BATCH], 1)  # the first call pays for what is loaded late
    theirs = Book(x, t, **how)
    seconds = theirs.train(book_epochs // 2)
    net, ours = train_ours(x, t, epochs)
    seconds += theirs.train(book_epochs - book_epochs // 2)
    return {
        "epochs": epochs,
        "book_epochs": book_epochs,
        "fastbp": ours,
        "book": seconds / book_epochs * epochs,
        "accuracy": net.accuracy(x_test, t_test),
    }


def show(row):
    scaled = "" if row["book_epochs"] == row["epochs"] else f", from {row['book_epochs']} of them"
    print(f"test accuracy {row['accuracy']:.4f} after {row['epochs']} epochs")
    print(
        f"fastbp: {measure.seconds_text(row['fastbp'])}; "
        f"the book's loop: {measure.seconds_text(row['book'])}{scaled}; "
        f"ratio {row['book'] / row['fastbp']:.1f}"
    )


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.fit", description=__doc__)
    parser.add_argument("--epochs", type=int, default=17)
    parser.add_argument("--book-epochs", type=int, default=2, help="of the book's loop")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="its")
    parser.add_argument("--layers", choices=("quickest", "book"), default="quickest", help="its")
    measure.add_options(parser)
    options = measure.parsed(parser, arguments)
    split = data()
    measure.ready()
    epochs = (2, 2) if options.quick else (options.epochs, options.book_epochs)
    layers = {"quickest": quickest, "book": book}[options.layers]
    show(run(split, *epochs, dtype=options.dtype, layers=layers))


if __name__ == "__main__":
    main()
