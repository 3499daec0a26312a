r"""
多台机器
========

几个进程（rank）一起训练一个网络：各自负责每个 mini-batch 的一部分，梯度相加，然后各自做同样的更新。这里用线程充当 rank，
在一台机器上就能看清楚；换成 MPI 只需要多写一个参数。
"""


# %%
# 为什么还是同一个训练
# --------------------
#
# 一个 mini-batch 的损失是各行损失的平均，所以它的梯度是对各行求和：
#
# .. math:: \frac{\partial L}{\partial W} = \frac1n \sum_{r=1}^{n} \frac{\partial L_r}{\partial W}
#           = \frac1n \Big( \sum_{r \in \text{rank } 0} + \sum_{r \in \text{rank } 1} + \dots \Big)
#
# 把各部分加起来，每个 rank 就都有了整个 mini-batch 的梯度。这种跨 rank 的求和叫 *allreduce* 。
#
# 自己写一个通信器
# ----------------
#
# :class:`fastbp.communicators.Communicator` 就是对缓冲区的两个操作。在线程之间，一个供大家存放数组的列表，
# 加上一道让大家互相等待的屏障（barrier），就够了。

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
# 一个、两个、四个 rank
# ---------------------

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
# 各个 rank 的权重每一位都相同。和一个 rank 相比只有舍入误差，因为求和的顺序不同。

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
# 用真正的多台机器
# ----------------
#
# 在一台机器的脚本里加上 ``comm=MPI.COMM_WORLD`` ：
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
#    $ mpiexec -n 2 python -m mpi4py train.py               # 一台机器上的两个进程
#    $ srun --ntasks=8 --cpus-per-task=16 python train.py   # 用 Slurm 的集群
#    $ mpiexec -n 2 fastbp train mnist --mpi                # 命令行
#
# torch.distributed 的进程组也可以（ ``comm=torch.distributed.group.WORLD`` ，用 ``torchrun`` 启动）。
#
# 每个 rank 分到的行数足够多、计算时间超过通信时间，才划得来；784-50-10 的网络在一台机器上每个 rank 要有几百行。
# 测量结果见 :doc:`/many-machines` 。
#
# **试一试：** 只让 rank 1 用另一个 ``seed`` 调用 ``train`` ，错误信息会说清楚哪里不同、在哪个 rank 上。
