"""Sums through memory that the ranks of a machine share; here the ranks are threads."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from ranks import on_ranks

from fastbp import communicators
from fastbp._kernels.windows import Windows


def windows_of(size, nbytes):
    """Those of each of so many ranks."""
    memory = [np.zeros(nbytes, np.uint8) for _ in range(size)]
    barrier = threading.Barrier(size)
    return [Windows(memory, rank, barrier.wait) for rank in range(size)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_sums_in_the_order_of_the_ranks(size, streams, dtype):
    """To the bit on all ranks, for any length, and time after time in the same windows."""
    ranks = windows_of(size, 1 << 17)
    rng = np.random.default_rng(size)
    for n in (0, 1, 15, 16, 17, 1000, 1024 * size + 3, 16384):
        buffers = rng.standard_normal((size, n)).astype(dtype)
        expected = buffers[0].copy()
        for other in buffers[1:]:
            expected += other

        def sum_of(comm, buffers=buffers):
            ranks[comm.rank].streams = streams
            ranks[comm.rank].sum(buffers[comm.rank])

        assert on_ranks(size, sum_of) == [None] * size
        assert all(np.array_equal(buffer, expected) for buffer in buffers), n


def test_rows_beside_a_buffer_stay():
    """Not a byte around it is written, wherever it begins."""
    one, other = windows_of(2, 1 << 12)
    ranks = {0: one, 1: other}
    memory = np.ones((2, 200), np.float32)
    on_ranks(2, lambda comm: ranks[comm.rank].sum(memory[comm.rank, 7:190]))
    assert np.all(memory[:, 7:190] == 2) and np.all(memory[:, :7] == 1) and np.all(memory[:, 190:] == 1)


def test_what_windows_do_not_take():
    (windows,) = windows_of(1, 64)
    with pytest.raises(ValueError, match="at most 64 bytes; got 68"):
        windows.sum(np.zeros(17, np.float32))
    with pytest.raises(ValueError, match="float32 or float64; got int64"):
        windows.sum(np.zeros(2, np.int64))
    with pytest.raises(TypeError, match="as a NumPy array; got list"):
        windows.sum([1.0])
    windows.close()
    with pytest.raises(ValueError, match="at most -1 bytes; got 4"):
        windows.sum(np.zeros(1, np.float32))
    with pytest.raises(ValueError, match="rank below 1; got 1"):
        Windows([np.zeros(8, np.uint8)], 1, print)
    with pytest.raises(ValueError, match="equal windows"):
        Windows([np.zeros(8, np.uint8), np.zeros(16, np.uint8)], 0, print)


def test_memory_that_is_too_small_is_not_taken(monkeypatch):
    """Linux ends a process that writes into shared memory beyond what there is."""
    pytest.importorskip("mpi4py")
    monkeypatch.setattr(communicators, "_shared_memory", lambda: 1000)
    node = SimpleNamespace(Get_size=lambda: 2, Free=lambda: None)
    comm = SimpleNamespace(
        Get_attr=lambda key: None, Get_size=lambda: 2, Split_type=lambda kind: node, allreduce=lambda value, op: value
    )
    assert communicators._windows_of(comm, 1 << 20) is None
