"""`Communicator`: what a training on several ranks asks of MPI, torch.distributed or one's own.

A rank is one of the processes (or threads) that train the same network together.  This library
opens no socket and starts no process: it is handed a communicator of an engine that does.
"""

from __future__ import annotations

import math
import os
import shutil
import timeit
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from fastbp import checks

__all__ = ["Communicator", "communicator_of"]

#: Bytes from which on shared memory is the quicker way: waiting twice takes longer than MPI's sum of fewer.
LEAST_SHARED = 1 << 14
#: Bytes by which windows try how to write, at most.
TRIED = 1 << 22


@runtime_checkable
class Communicator(Protocol):
    """What trains on several ranks: two collective operations on buffers.

    A communicator of mpi4py and a group of torch.distributed (gloo) are taken as they are; any other
    object with these four names is, too.

    Attributes
    ----------
    rank : int
        The number of this rank, from 0 to size - 1.
    size : int
        How many there are.

    Notes
    -----
    All ranks make the same calls in the same order, and each call waits for the others.  A buffer is
    a contiguous, writable `numpy.ndarray` of one dimension, of the same length and dtype on all
    ranks: float32 or float64 for `allreduce`, and uint8 too for `broadcast`.  All ranks have to get
    the same bits, and the same again in another run.  A call that raises ends the training on its
    rank, and the communicator is not called again.

    Examples
    --------
    Ranks that are threads of one process:

    >>> import threading
    >>> class Thread:
    ...     def __init__(self, rank, board, barrier):
    ...         self.rank, self.size = rank, barrier.parties
    ...         self.board, self.barrier = board, barrier
    ...     def allreduce(self, buffer):
    ...         self.board[self.rank] = buffer.copy()
    ...         self.barrier.wait()
    ...         buffer[:] = sum(self.board[1:], start=self.board[0])
    ...         self.barrier.wait()
    ...     def broadcast(self, buffer, root):
    ...         if self.rank == root:
    ...             self.board[root] = buffer.copy()
    ...         self.barrier.wait()
    ...         buffer[:] = self.board[root]
    ...         self.barrier.wait()
    >>> board, barrier = [None, None], threading.Barrier(2)
    >>> isinstance(Thread(0, board, barrier), Communicator)
    True
    >>> def double(comm):
    ...     numbers = np.ones(3)
    ...     comm.allreduce(numbers)
    ...     return numbers
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as pool:
    ...     list(pool.map(double, [Thread(r, board, barrier) for r in range(2)]))
    [array([2., 2., 2.]), array([2., 2., 2.])]
    """

    rank: int
    size: int

    def allreduce(self, buffer: np.ndarray[Any, Any], /) -> object:
        """Make `buffer` the sum of all ranks' buffers, in place."""

    def broadcast(self, buffer: np.ndarray[Any, Any], root: int, /) -> object:
        """Make `buffer` that of the rank `root`, in place."""


if TYPE_CHECKING:  # by what tells them from others, as neither library need be there

    class MPICommunicator(Protocol):
        def Get_rank(self) -> int: ...

        def Get_size(self) -> int: ...

        def Allreduce(self, sendbuf: Any, recvbuf: Any, /) -> object: ...

        def Bcast(self, buf: Any, root: int, /) -> object: ...

    class ProcessGroup(Protocol):
        def rank(self) -> int: ...

        def size(self) -> int: ...

    #: What trainings take as `comm`.
    AnyCommunicator: TypeAlias = Communicator | MPICommunicator | ProcessGroup


class _MPI:
    """A communicator of mpi4py, by its calls on buffers: the others pickle.

    Attributes
    ----------
    compiled : callable
        Sums gradients without a line of Python's code, so that no signal comes in between.
    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self.broadcast = comm.Bcast
        self.allreduce = self.compiled = partial(comm.Allreduce, MPI.IN_PLACE)
        self._comm = comm

    def reserve(self, nbytes: int) -> None:
        """Sum gradients, which have so many bytes, through memory that the ranks share, if they do.

        On one machine that takes half of the time of MPI's own Allreduce, whose ranks copy twice.
        """
        windows = _windows_of(self._comm, nbytes) if nbytes >= LEAST_SHARED else None
        if windows is not None:
            self.compiled = windows.sum


def _windows_of(comm, nbytes):
    """Windows of so many bytes of the ranks of one machine; None where they have no such memory.

    They belong to the communicator, and are freed with it.
    """
    from mpi4py import MPI

    from fastbp._kernels.windows import Windows

    kept = comm.Get_attr(_kept_windows())
    for _, windows in kept or ():
        if windows.nbytes >= nbytes:
            return windows
    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    room = float(_shared_memory() if node.Get_size() == comm.Get_size() else 0)
    node.Free()
    nbytes = 1 << (nbytes - 1).bit_length()  # so that a few larger ones do for whatever comes
    if comm.allreduce(room, MPI.MIN) < 2 * nbytes * comm.Get_size():
        return None
    window = MPI.Win.Allocate_shared(nbytes, comm=comm)
    views = [np.asarray(window.Shared_query(r)[0]) for r in range(comm.Get_size())]
    windows = Windows(views, comm.Get_rank(), comm.Barrier)
    seconds = [comm.allreduce(_seconds(windows, streams), MPI.MAX) for streams in (False, True)]
    windows.streams = seconds[True] < seconds[False]
    if kept is None:
        comm.Set_attr(_kept_windows(), kept := [])
    kept.append((window, windows))
    return windows


def _seconds(windows, streams):
    """Of a sum in windows, written in one way or the other; the result is the same."""
    windows.streams = streams
    buffer = np.ones(min(windows.nbytes, TRIED) // 4, np.float32)
    return min(timeit.repeat(lambda: windows.sum(buffer), number=1, repeat=5))


@lru_cache(maxsize=1)
def _kept_windows():
    """The key under which a communicator keeps its windows."""
    from mpi4py import MPI

    def free(comm, key, kept):
        for window, windows in kept:
            windows.close()
            window.Free()

    return MPI.Comm.Create_keyval(delete_fn=free)


def _shared_memory():
    """Free bytes of the memory that processes share: Linux ends one that takes more of it."""
    return shutil.disk_usage("/dev/shm").free if os.path.isdir("/dev/shm") else math.inf


class _Torch:
    """A process group of torch.distributed, by its own methods: they know of no global group."""

    def __init__(self, group: Any) -> None:
        import torch

        self._tensor, self._group = torch.from_numpy, group
        self.rank, self.size = group.rank(), group.size()

    def allreduce(self, buffer: np.ndarray[Any, Any]) -> None:
        self._group.allreduce(self._tensor(buffer)).wait()

    def broadcast(self, buffer, root):
        self._group.broadcast(self._tensor(buffer), root).wait()


def communicator_of(who: str, comm: Any) -> Communicator:
    """The `Communicator` of what a caller handed in.

    Raises
    ------
    TypeError, ValueError
        For what is none, or has a rank or a size that cannot be.
    """
    if hasattr(comm, "Allreduce") and hasattr(comm, "Bcast"):
        if getattr(comm, "is_inter", False):
            raise ValueError(f"{who} expects comm within one group of ranks; got an intercommunicator.")
        comm = _MPI(comm)
    elif type(comm).__module__.partition(".")[0] == "torch" and hasattr(comm, "allreduce"):
        comm = _Torch(comm)
    elif not isinstance(comm, Communicator):
        raise TypeError(
            f"{who} expects comm as a communicator of mpi4py, a group of torch.distributed, or an object with rank, "
            f"size, allreduce and broadcast; got {checks.shown(comm)}."
        )
    size = checks.integer(who, "comm.size", comm.size, least=1)
    checks.integer(who, "comm.rank", comm.rank, 0, size - 1)
    return comm
