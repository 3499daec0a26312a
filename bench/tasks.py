"""What every library has to train: networks, batches, first weights, and the order of rows."""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

import fastbp

#: name: (batch, sizes of the layers).  One output is fitted by squared error, the others are
#: classes of a softmax.
WORKLOADS = {
    "iris": (112, (4, 10, 10, 3)),
    "online": (1, (8, 64, 64, 4)),
    "rl": (32, (8, 64, 64, 4)),
    "dlfs": (100, (784, 50, 10)),
    "mnist512": (128, (784, 512, 256, 10)),
    "tab": (512, (100, 256, 256, 2)),
    "wide1024": (256, (1024, 1024, 1024, 1024, 10)),
    "wide2048": (1024, (2048, 2048, 2048, 10)),
}
#: Networks that fill no vector, have one layer, or very wide, narrow, or many ones.
ODD = {
    "odd": (37, (23, 77, 133, 5)),
    "squares": (64, (30, 128, 64, 1)),
    "linear": (256, (1000, 10)),
    "narrow": (1024, (16, 16, 16, 16, 2)),
    "long": (8, (4096, 128, 2)),
    "deep": (128, (32,) * 21),
}
ACTIVATIONS = ("relu", "sigmoid", "tanh", "gelu", "softplus")
#: Those that scikit-learn and the book have not; the names are JAX's.
NEWER = ("silu", "mish", "elu", "selu", "celu", "log_sigmoid", "hard_tanh", "relu6")
NEWER += ("hard_swish", "hard_sigmoid", "soft_sign")


class CannotExpress(Exception):
    """The library has no such training step; the message says why."""


class NotCompiled(CannotExpress):
    """It has one, which could not be compiled here."""


@dataclass
class Task:
    """Batches, a network with its first weights, and how it is trained.

    With `batches` the rows are those of an epoch of so many, taken in the order in which `fit`
    takes them; without, they are one batch, and what is done is a step.
    """

    batch: int
    sizes: tuple
    dtype: str = "float32"
    activation: str = "relu"
    optimizer: str = "sgd"
    lr: float = 0.1
    threads: int = 1
    batches: int | None = None
    x: np.ndarray = field(init=False)
    t: np.ndarray = field(init=False)
    params: list = field(init=False)

    def __post_init__(self):
        rng = np.random.default_rng(0)
        rows = self.batch * (self.batches or 1)
        self.x = rng.standard_normal((rows, self.sizes[0])).astype(self.dtype)
        if self.squares:
            self.t = rng.standard_normal((rows, 1)).astype(self.dtype)
        else:
            self.t = rng.integers(0, self.sizes[-1], rows)
        gain = 2 if self.activation in ("relu", "gelu") else 1
        self.params = []
        for n_in, n_out in zip(self.sizes, self.sizes[1:], strict=False):
            W = np.sqrt(gain / n_in) * rng.standard_normal((n_in, n_out))
            self.params += [W.astype(self.dtype), np.zeros(n_out, self.dtype)]
        self.params[-2] *= 0.1  # no softmax saturates, whose logarithm scikit-learn cuts off

    @property
    def squares(self):
        """Whether the loss is the mean squared error."""
        return self.sizes[-1] == 1

    @property
    def flop(self):
        """Operations of the products of a step; the first layer needs no dx."""
        pairs = list(zip(self.sizes, self.sizes[1:], strict=False))
        return self.batch * (6 * sum(a * b for a, b in pairs) - 2 * pairs[0][0] * pairs[0][1])

    @property
    def order(self):
        """The rows of each batch of an epoch: (batches, batch)."""
        return order_of_fit(len(self.x)).reshape(self.batches, self.batch)

    def copies(self):
        return [a.copy() for a in self.params]

    def exact(self):
        """The same task in float64, to compare with."""
        exact = Task(self.batch, self.sizes, "float64", self.activation, self.optimizer, self.lr, batches=self.batches)
        exact.x, exact.params = self.x.astype("f8"), [p.astype("f8") for p in self.params]
        exact.t = self.t.astype("f8") if self.squares else self.t
        return exact


@lru_cache(maxsize=1)
def order_of_fit(n):
    """The order in which `fit` with seed 0 takes n rows in its first epoch: (n,) int64.

    Its losses show it: the loss of row i is i where nothing is learnt, and a batch is a row.
    """
    net = fastbp.Sequential(fastbp.Affine(np.ones((1, 1)), np.zeros(1)), loss=fastbp.MeanSquaredError())
    x = np.sqrt(np.arange(n, dtype="f8"))[:, None]
    history = net.fit(x, np.zeros_like(x), epochs=1, batch_size=1, optimizer=fastbp.SGD(lr=0.0), seed=0)
    order = np.rint(np.concatenate(history.batch_loss)).astype("i8")
    if not np.array_equal(np.sort(order), np.arange(n)):
        raise ArithmeticError(f"bench expects fit to take each of {n} rows once; got another order.")
    return order
