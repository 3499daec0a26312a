"""A library that builds its step when told, and times it when told, in a process of its own.

Libraries disturb each other within a process: their threads spin beside each other's work, each
reads its settings once, and only a process that begins with the answer to MKL's vendor check has
it.  So every library has its own, on the same cores, and works while the others wait for a word.
"""

import multiprocessing
import os
from contextlib import ExitStack, contextmanager
from functools import partial
from timeit import Timer
from unittest import mock

from bench import kernels, measure, unlocked
from bench.epochs import EPOCHS
from bench.peers import PEERS
from bench.tasks import CannotExpress

#: Those whose process has more in its environment.
ENVIRONMENTS = {"PyTorch unlocked": unlocked.environment, "PyTorch bf16": unlocked.environment}


class Here:
    """A library in this process."""

    def __init__(self, peer):
        self.peer = peer

    def begin(self, task, pinned=True):
        """Build its step, or its epoch where the task has one."""
        if task.batches:
            if self.peer not in EPOCHS:
                raise CannotExpress("it has no epoch of given rows from given weights")
            self.call, self.weights = EPOCHS[self.peer](task)
        else:
            step, self.weights, x, t = PEERS[self.peer](task)
            self.call = partial(step, x, t)
        if pinned:
            measure.pin(task.threads)  # now the library is there

    def first(self):
        """The loss and the weights after one call."""
        loss = self.call()
        loss = loss.item() if hasattr(loss, "item") else loss  # an array of 0 dimensions
        return loss, [array.copy() for array in self.weights()]

    def timeit(self, count):
        """Seconds of so many calls."""
        return Timer(self.call).timeit(count)

    def about(self):
        """Versions, kernels and what holds one down, of the libraries of this process."""
        return {"versions": kernels.versions(), "kernels": kernels.in_use(), "held": kernels.held()}

    def close(self):
        pass


class Apart:
    """The same in a process of its own, which begins when it is first asked."""

    def __init__(self, peer):
        self.peer, self.process = peer, None
        self.open = ExitStack()

    def _start(self):
        with ExitStack() as before:
            more = ENVIRONMENTS.get(self.peer)
            more = before.enter_context(more()) if more else {}
            context = multiprocessing.get_context("spawn")
            self.pipe, theirs = context.Pipe()
            process = context.Process(target=serve, args=(self.peer, theirs), daemon=True)
            with mock.patch.dict(os.environ, more):
                process.start()
            theirs.close()
            self.process, self.open = process, before.pop_all()

    def _ask(self, name, *arguments):
        if self.process is None:
            self._start()
        try:
            self.pipe.send((name, arguments))
            done, result = self.pipe.recv()
        except (EOFError, ConnectionError):
            raise RuntimeError(f"bench expects {self.peer} to answer from a process of its own; got its end.") from None
        if not done:
            raise result
        return result

    def begin(self, task):
        self._ask("begin", task)

    def first(self):
        return self._ask("first")

    def timeit(self, count):
        return self._ask("timeit", count)

    def about(self):
        return self._ask("about")

    def close(self):
        if self.process is not None:
            self.pipe.close()
            self.process.join()
        self.open.close()


def serve(peer, pipe):
    """Answer until the pipe is closed; what a library has no way for is an answer, too."""
    side = Here(peer)
    while True:
        try:
            name, arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = True, getattr(side, name)(*arguments)
        except (ImportError, CannotExpress) as error:
            answer = False, error
        pipe.send(answer)


@contextmanager
def sides(names):
    """`Apart` of each, by name, until the block ends."""
    opened = {peer: Apart(peer) for peer in names}
    try:
        yield opened
    finally:
        for side in opened.values():
            side.close()


def described(sides, about):
    """`measure.machine` with what the sides tell of their libraries.

    Where a side's process has a setting of the bench's, its library goes by the side's name.
    """
    about = {name: about[name] for name in about} | {name: dict(about[name]) for name in ("versions", "kernels")}
    for peer, side in sides.items():
        if side.process is None:
            continue
        own = side.about()
        about["held"] = list(dict.fromkeys([*about["held"], *own["held"]]))
        about["versions"] |= own["versions"]
        if peer in ENVIRONMENTS:
            about["kernels"][peer] = own["kernels"]["PyTorch"]
        else:
            about["kernels"] |= own["kernels"]
    return about
