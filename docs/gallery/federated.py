"""
Three that learn together and keep their rows
=============================================

Each of three ranks has a ring of the spiral, and no rows of the others.  Alone it knows its own ring only.  Averaged
every few steps, weights go between the ranks, rows never do, and each ends with a network that knows all rings: that
is federated averaging, by ``rows="own"`` and ``average_every``.  Here ranks are threads, and two operations on arrays
are all that they need of each other.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import matplotlib.pyplot as plt
import numpy as np

from fastbp import Adam, Linear, Sequential, Tanh
from fastbp.datasets import spiral


class Rank:
    """A :class:`fastbp.Communicator` between threads."""

    def __init__(self, rank, board, barrier):
        self.rank, self.size = rank, barrier.parties
        self.board, self.barrier = board, barrier

    def allreduce(self, buffer):
        self.board[self.rank] = buffer.copy()
        self.barrier.wait()
        buffer[:] = sum(self.board[1:], start=self.board[0])
        self.barrier.wait()

    def broadcast(self, buffer, root):
        if self.rank == root:
            self.board[root] = buffer.copy()
        self.barrier.wait()
        buffer[:] = self.board[root]
        self.barrier.wait()


(x, t), test = spiral(900, noise=0.15)
ring = np.minimum(3 * np.hypot(*x.T), 2.99).astype(int)


def trained(rank, comm=None):
    """A network of a rank's own rows, with the others or alone."""
    layers = Linear(2, 32, seed=0), Tanh(), Linear(32, 3, seed=1)
    net = Sequential(*layers, loss="softmax_cross_entropy")
    options = {"batch_size": 30, "optimizer": Adam(lr=0.01), "seed": 0, "n_threads": 1}
    if comm:
        options |= {"batch_size": 90, "comm": comm, "rows": "own", "average_every": 5}
    net.fit(x[ring == rank], t[ring == rank], epochs=300, **options)
    return net


board, barrier = [None] * 3, threading.Barrier(3)
with ThreadPoolExecutor(3) as pool:
    ranks = [Rank(rank, board, barrier) for rank in range(3)]
    together, *_ = pool.map(trained, range(3), ranks)
nets = {f"rank {rank} alone": trained(rank) for rank in range(3)}
nets["together"] = together

side = np.linspace(-1.1, 1.1, 150, dtype="float32")
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
colours = ["#0072B2", "#E69F00", "#009E73"]
figure, panels = plt.subplots(1, 4, figsize=(10, 2.9), layout="constrained")
for rank, (axes, (name, net)) in enumerate(zip(panels, nets.items(), strict=True)):
    classes = net.classify(grid).reshape(150, 150)
    axes.contourf(side, side, classes, [-0.5, 0.5, 1.5, 2.5], colors=colours, alpha=0.3)
    rows = ring == rank if rank < 3 else ring >= 0
    for k, colour in enumerate(colours):
        axes.scatter(*x[rows & (t == k)].T, s=4, color=colour)
    axes.set_aspect("equal")
    axes.set_title(f"{name}: {net.accuracy(*test):.0%}")
    print(axes.get_title(), "of all rings' test rows are right")
plt.show()
