"""`net.fit` on MNIST beside the book's training loop: ``python -m bench.fit``.

784-50-10, batches of 100, learning rate 0.1, 17 epochs: once by `Sequential.fit` in float32,
once by the book's class over its NumPy layers in float64.  Its images are in float64 too, or in
float32, as the book's own program has them, which is slower.  Loading and converting the data
is not timed.  The book's loop runs for fewer epochs, half of them before fastbp's training and
half after it, and the ratio is that of the times of one epoch.
"""

import argparse
import os
import time

import numpy as np

import fastbp
from bench import ROOT, book, measure

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
        "W1": 0.01 * rng.standard_normal((n_in, hidden)), "b1": np.zeros(hidden),
        "W2": 0.01 * rng.standard_normal((hidden, n_out)), "b2": np.zeros(n_out),
    }  # fmt: skip


def train_ours(x, t, epochs):
    """The trained network and the seconds it took."""
    W1, b1, W2, b2 = (array.astype(np.float32) for array in first_weights().values())
    net = fastbp.Sequential(
        fastbp.Affine(W1, b1), fastbp.Relu(), fastbp.Affine(W2, b2), loss=fastbp.SoftmaxWithLoss()
    )
    start = time.perf_counter()
    net.fit(x, t, epochs=epochs, batch_size=BATCH, optimizer=fastbp.SGD(lr=LR), seed=0, n_threads=1)
    return net, time.perf_counter() - start


class Book:
    """The book's training loop, an epoch at a time."""

    def __init__(self, x, t, images):
        self.x, self.t = x.astype(images), t
        self.net = book.TwoLayerNet(book, first_weights())
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


def run(split, epochs=17, book_epochs=2, images="float64"):
    """Seconds of fastbp's training, and of as much of the book's; the test accuracy."""
    (x, t), (x_test, t_test) = split
    train_ours(x[:BATCH], t[:BATCH], 1)  # the first call pays for what is loaded late
    theirs = Book(x, t, images)
    seconds = theirs.train(book_epochs // 2)
    net, ours = train_ours(x, t, epochs)
    seconds += theirs.train(book_epochs - book_epochs // 2)
    return {
        "epochs": epochs, "book_epochs": book_epochs, "fastbp": ours,
        "book": seconds / book_epochs * epochs, "accuracy": net.accuracy(x_test, t_test),
    }  # fmt: skip


def show(row):
    scaled = "" if row["book_epochs"] == row["epochs"] else f", from {row['book_epochs']} of them"
    print(f"test accuracy {row['accuracy']:.4f} after {row['epochs']} epochs")
    print(f"fastbp, float32: {measure.seconds_text(row['fastbp'])}; "
          f"the book's NumPy, float64: {measure.seconds_text(row['book'])}{scaled}; "
          f"ratio {row['book'] / row['fastbp']:.1f}")  # fmt: skip


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.fit", description=__doc__)
    parser.add_argument("--epochs", type=int, default=17)
    parser.add_argument("--book-epochs", type=int, default=2, help="of the book's loop")
    parser.add_argument("--book-images", choices=("float32", "float64"), default="float64")
    options = parser.parse_args(arguments)
    split = data()
    measure.ready()
    show(run(split, options.epochs, options.book_epochs, options.book_images))


if __name__ == "__main__":
    main()
