"""A network trained on the partitions of a Dask array, each worker on those that it holds.

Dask says where the rows lie and starts one task on each of those workers; the tasks make a group of
gloo among themselves (`pip install '.[dask]' torch`), and `fit` trains over it.  The rows stay where
they are, and the scheduler sees none of the steps.
"""

import socket
from datetime import timedelta

import dask.array as da
import numpy as np
from dask import delayed
from dask.distributed import Client, LocalCluster, get_worker, wait

from fastbp import Linear, Momentum, Relu, Sequential
from fastbp.datasets import load_digits

PATIENCE = timedelta(seconds=60)


def free_address():
    """An address of this worker's, and a port that nobody listens at."""
    host = get_worker().address.rpartition("//")[2].rpartition(":")[0]
    with socket.socket() as listener:
        listener.bind((host, 0))
        return listener.getsockname()[:2]


def train_part(pairs, rank, size, address):
    """One rank's training, in a task of a worker; all ranks return the same weights."""
    from torch.distributed import ProcessGroupGloo, TCPStore

    store = TCPStore(*address, size, is_master=rank == 0, timeout=PATIENCE)
    group = ProcessGroupGloo(store, rank, size, PATIENCE)
    x, t = map(np.concatenate, zip(*pairs, strict=True))
    net = Sequential(Linear(64, 50, seed=1), Relu(), Linear(50, 10, seed=2), loss="softmax_cross_entropy")
    history = net.fit(
        x, t, epochs=20, batch_size=64, optimizer=Momentum(lr=0.1), seed=0, comm=group, rows="own", n_threads=1
    )
    return net, history.train_loss[-1], len(x)


def train(client, x, t):
    """Train on all workers that hold partitions of x and t; each rank's (net, last loss, rows)."""
    parts = zip(*(array.to_delayed().ravel() for array in (x, t)), strict=True)
    pairs = client.compute([delayed(pair) for pair in parts])
    wait(pairs)
    at = {}  # which worker holds what, in an order that does not change
    for pair in pairs:
        at.setdefault(min(client.who_has(pair)[pair.key]), []).append(pair)
    workers = sorted(at)
    address = client.submit(free_address, workers=workers[0], pure=False).result()
    ranks = [
        client.submit(train_part, at[worker], rank, len(workers), address, workers=worker, pure=False, retries=0)
        for rank, worker in enumerate(workers)
    ]
    return client.gather(ranks)


def main():
    (x_train, t_train), (x_test, t_test) = load_digits()
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=40) as cluster,
        Client(cluster) as client,
    ):
        x, t = (da.from_array(array, chunks=(180, *array.shape[1:])) for array in (x_train, t_train))
        ranks = train(client, x, t)
    nets, losses, rows = zip(*ranks, strict=True)
    print(f"{len(ranks)} ranks of {' and '.join(map(str, rows))} rows, loss {losses[0]:.4f} on each")
    print(f"test accuracy {nets[0].accuracy(x_test, t_test):.2f}")
    return ranks


if __name__ == "__main__":
    main()
