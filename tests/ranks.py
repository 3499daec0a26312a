"""Ranks for tests: threads of one process that train together, and processes of mpiexec."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import fastbp

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


def program_of(name):
    """Where a program is: beside this Python, or wherever the shell finds it; None where it is not."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def mpiexec(size):
    """The command that starts so many ranks of MPI; skips the test where there is none."""
    pytest.importorskip("mpi4py")
    if program_of("mpiexec") is None:
        pytest.skip("mpiexec is not installed")
    return [program_of("mpiexec"), "-n", str(size)]


def run_program(size, text, *arguments, folder, patience=120):
    """Run a program's text on so many ranks of MPI, which have to end well; what they printed."""
    path = [str(Path(fastbp.__file__).resolve().parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [*mpiexec(size), sys.executable, "-c", text, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        told, _ = process.communicate(timeout=patience)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, told
    return told
