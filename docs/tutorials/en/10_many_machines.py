r"""
Many machines
=============

One training on several ranks: each takes its share of every batch, the gradients are summed, and all make the same
step.  Here the ranks are threads, so that it can be seen on one machine; with MPI it is one argument.
"""

# %%
# Why it is the same training
# ---------------------------
#
# The loss of a batch is a mean over its rows, so its gradient is a sum over rows:
#
# .. math:: \frac{\partial L}{\partial W} = \frac1n \sum_{r=1}^{n} \frac{\partial L_r}{\partial W}
#           = \frac1n \Big( \sum_{r \in \text{rank } 0} + \sum_{r \in \text{rank } 1} + \dots \Big)
#
# Sum the parts, and every rank has the gradient of the whole batch.  That sum over the ranks is called *allreduce*.
#
# A communicator of one's own
# ---------------------------
#
# :class:`fastbp.communicators.Communicator` is two operations on buffers.  Between threads they are a list on
# which everybody puts his array, and a barrier at which everybody waits.

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np


class Thread:
    def __init__(self, rank, board, barrier):
        self.rank, self.size = rank, barrier.parties
        self.board, self.barrier = board, barrier

    def allreduce(self, buffer):
        self.board[self.rank] = buffer.copy()
        self.barrier.wait()
        buffer[:] = sum(
            self.board[1:], start=self.board[0]
        )  # in the order of the ranks: the same bits for all
        self.barrier.wait()

    def broadcast(self, buffer, root):
        if self.rank == root:
            self.board[root] = buffer.copy()
        self.barrier.wait()
        buffer[:] = self.board[root]
        self.barrier.wait()


def on_ranks(function, size):
    board, barrier = [None] * size, threading.Barrier(size)
    with ThreadPoolExecutor(size) as pool:
        return list(
            pool.map(function, [Thread(rank, board, barrier) for rank in range(size)])
        )


# %%
# One rank, two and four
# ----------------------

from fastbp import Linear, Momentum, Relu, Sequential
from fastbp.datasets import load_digits

(x, t), (x_test, t_test) = load_digits()


def train(comm=None):
    net = Sequential(
        Linear(64, 50, seed=1),
        Relu(),
        Linear(50, 10, seed=2),
        loss="softmax_cross_entropy",
    )
    optimizer = Momentum(lr=0.05)
    history = net.fit(
        x,
        t,
        epochs=8,
        batch_size=64,
        optimizer=optimizer,
        seed=0,
        comm=comm,
        n_threads=1,
    )
    return net, history.train_loss


one, curve = train()
curves = {1: curve}
for size in (2, 4):
    ranks = on_ranks(train, size)
    nets = [net for net, _ in ranks]
    curves[size] = ranks[0][1]
    first = nets[0].params["W1"]
    same = all(net.params["W1"].tobytes() == first.tobytes() for net in nets)
    difference = np.abs(first - one.params["W1"]).max()
    print(f"{size} ranks: all have the same bits {same}; to one rank {difference:.0e}")
    print(
        f"         test accuracy {nets[0].accuracy(x_test, t_test):.4f}, one rank {one.accuracy(x_test, t_test):.4f}"
    )

# %%
# The ranks agree to the bit.  To one rank the difference is rounding, as sums are added up in another order.

import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
for (size, curve), width, colour in zip(
    curves.items(), (6, 3, 1), ("#56B4E9", "#D55E00", "black"), strict=True
):
    axes.plot(
        range(1, 9),
        curve,
        color=colour,
        linewidth=width,
        label=f"{size} rank{'s' * (size > 1)}",
    )
axes.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
axes.legend(frameon=False)
plt.show()

# %%
# On machines
# -----------
#
# The script of one machine with ``comm=MPI.COMM_WORLD``:
#
# .. code-block:: python
#
#    from mpi4py import MPI
#
#    comm = MPI.COMM_WORLD
#    net.fit(x, t, epochs=8, batch_size=256, optimizer=Momentum(lr=0.1), seed=0, comm=comm)
#    if comm.rank == 0:
#        net.save("digits.safetensors")
#
# .. code-block:: console
#
#    $ mpiexec -n 2 python -m mpi4py train.py               # two processes of one machine
#    $ srun --ntasks=8 --cpus-per-task=16 python train.py   # a cluster with Slurm
#    $ mpiexec -n 2 fastbp train mnist --mpi                # the command
#
# A group of torch.distributed goes as well (``comm=torch.distributed.group.WORLD``, started by ``torchrun``).
#
# It pays where each rank has enough rows of a batch that its arithmetic takes longer than the exchange: with a network
# of 784-50-10 some hundred rows a rank on one machine.  :doc:`/many-machines` has the measurements.
#
# **Try it:** let only rank 1 call ``train`` with another ``seed``.  The error says what differs, and on which rank.
