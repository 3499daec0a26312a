"""Ranks for tests: threads of one process that train together."""

import threading
from concurrent.futures import ThreadPoolExecutor

#: Seconds after which a rank that waits for another one gives up: no test hangs.
PATIENCE = 20


class ThreadRank:
    """A `fastbp.Communicator` of a thread."""

    def __init__(self, rank, board, barrier):
        self.rank, self.size = rank, barrier.parties
        self.board, self.barrier = board, barrier
        self.calls = 0

    def allreduce(self, buffer):
        self.calls += 1
        self.board[self.rank] = buffer.copy()
        self.barrier.wait(PATIENCE)
        assert len({(part.shape, part.dtype) for part in self.board}) == 1
        buffer[:] = sum(self.board[1:], start=self.board[0])
        self.barrier.wait(PATIENCE)

    def broadcast(self, buffer, root):
        self.calls += 1
        self.board[self.rank] = buffer.copy()
        self.barrier.wait(PATIENCE)
        assert len({(part.shape, part.dtype) for part in self.board}) == 1
        buffer[:] = self.board[root]
        self.barrier.wait(PATIENCE)


def on_ranks(size, function):
    """What function(comm) returns or raises on each of so many ranks, in their order."""
    board, barrier = [None] * size, threading.Barrier(size)

    def run(rank):
        try:
            return function(ThreadRank(rank, board, barrier))
        except BaseException as error:
            return error

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(run, range(size)))


def results(size, function):
    """The same, where no rank may raise."""
    found = on_ranks(size, function)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return found
