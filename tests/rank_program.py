"""What several ranks run under mpiexec or torchrun, for test_ranks_processes."""

import contextlib
import os
import signal
import sys
from pathlib import Path

import numpy as np

from fastbp import SGD, Adam, Dropout, EarlyStopping, Linear, RankError, Relu, Sequential, Trainer, communicators
from fastbp.communicators import communicator_of
from fastbp.training.ranks import Ranks

EPOCHS, BATCH, ROWS, EVERY = 4, 7, 47, 3
#: Exchanges of a training, about: a step has one, and an epoch some more.
EXCHANGES = EPOCHS * 7


class Wrong(Exception):
    pass


def world():
    """The ranks of this job, by the engine that started it."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        from datetime import timedelta

        import torch.distributed as distributed

        distributed.init_process_group("gloo", timeout=timedelta(seconds=60))
        return distributed.group.WORLD
    from mpi4py import MPI

    return MPI.COMM_WORLD


def network(dtype="float32"):
    layers = Linear(6, 8, dtype=dtype, seed=0), Relu(), Dropout(0.2), Linear(8, 4, dtype=dtype, seed=1)
    return Sequential(*layers, loss="softmax_cross_entropy")


def rows(dtype="float32", n=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 6)).astype("f4").astype(dtype), rng.integers(0, 4, n)


def fit(comm, dtype="float32", **options):
    """The parameters after a training, and its history."""
    net = network(dtype)
    defaults = {"epochs": EPOCHS, "batch_size": BATCH, "seed": 3, "optimizer": Adam(eps=1e-3), "comm": comm}
    history = net.fit(*rows(dtype), **defaults | options)
    return [array.copy() for array in net.params.values()], history


def cases(dtype):
    """Options of trainings whose numbers are one machine's."""
    return [
        {},
        {"optimizer": SGD(lr=0.1), "clip_norm": 0.1, "class_weight": "balanced"},
        {"validation_data": rows(dtype, 19, 1), "early_stopping": EarlyStopping(1), "schedule": lambda done: 0.9**done},
    ]


def stepped(comm, dtype):
    """The same by hand: one row on the first rank, and none from the third on."""
    ours = communicator_of("it", comm) if comm is not None else None
    net, (x, t) = network(dtype), rows(dtype)
    trainer = Trainer(net, SGD(lr=0.1), batch_size=BATCH, seed=3, comm=comm)
    for begin in range(0, 42, BATCH):
        part = slice(begin, begin + BATCH)
        if ours is not None:
            part = [slice(begin, begin + 1), slice(begin + 1, begin + BATCH), slice(0, 0)][min(ours.rank, 2)]
        trainer.step(x[part], t[part])
    trainer.close()
    return list(net.params.values())


def numbers(comm):
    """All that the ranks have to agree about with one machine, by names."""
    found = {}
    for dtype in ("float32", "float64"):
        for k, options in enumerate(cases(dtype)):
            arrays, history = fit(comm, dtype, **options)
            found |= {f"{dtype} {k} {i}": array for i, array in enumerate(arrays)}
            found[f"{dtype} {k} loss"] = np.array(history.train_loss)
        found |= {f"{dtype} steps {i}": array for i, array in enumerate(stepped(comm, dtype))}
    return found


@contextlib.contextmanager
def disturbed(comm, rank, at, action):
    """Something happens on one rank, before one of its exchanges."""
    look, seen = Ranks.look, iter(range(1, 10**9))
    here = communicator_of("it", comm).rank == rank

    def looking(ranks):
        if here and next(seen) == at:
            action()
        look(ranks)

    Ranks.look = looking
    try:
        yield
    finally:
        Ranks.look = look


def exit_by(number, frame):
    sys.exit(5)


def fail():
    raise Wrong("so")


def by(number):
    """A signal to this very process."""
    return lambda: os.kill(os.getpid(), number)


ACTIONS = {
    "exit": lambda: os._exit(3),
    "kill": by(signal.SIGKILL),
    "stop": by(getattr(signal, "SIGSTOP", signal.SIGTERM)),
}


def require_same(comm, what, arrays, bits=None):
    """Fail where ranks have other bits than each other, or than `bits`."""
    own = b"".join(array.tobytes() for array in arrays)
    all_bits = Ranks("it", comm).gather(own)
    assert all(each == (bits or own) for each in all_bits), what
    return own


def survive(comm, folder):
    """Errors that all ranks hear of, after which the same ranks train on."""
    ours = Ranks("it", comm)
    path = folder / "survived"
    undisturbed = require_same(comm, "undisturbed", fit(comm)[0])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, exit_by)
    kinds = {KeyboardInterrupt: by(signal.SIGINT), SystemExit: by(signal.SIGTERM), Wrong: fail}
    rng = np.random.default_rng(ours.size)
    for rank in range(ours.size):
        for kind, action in kinds.items():
            error, at = None, int(rng.integers(EXCHANGES // 2, EXCHANGES))
            try:
                with disturbed(comm, rank, at, action):
                    fit(comm, checkpoint=path, every=EVERY)
            except BaseException as raised:
                error = raised
            if ours.rank == rank or kind is KeyboardInterrupt:
                assert type(error) is kind, repr(error)
            else:
                assert type(error) is RankError, repr(error)
            assert ours.rank == rank or f"as rank {rank} " in str(error), repr(error)
            what = f"{kind.__name__} on rank {rank}"
            require_same(comm, what, fit(comm, checkpoint=path, every=EVERY, resume=path)[0], undisturbed)
    return undisturbed


def main(command, folder, *arguments):
    folder, comm = Path(folder), world()
    rank = communicator_of("it", comm).rank
    (folder / f"pid{rank}").write_text(str(os.getpid()))
    if command == "numbers":
        found = numbers(comm)
        require_same(comm, "numbers", found.values())
        if rank == 0:
            np.savez(folder / "numbers.npz", **found)
    communicators.LEAST_SHARED = 0  # from here on through shared memory, where the ranks have it
    if command == "die":
        action, who, at = arguments
        path = folder / action
        with disturbed(comm, int(who), int(at), ACTIONS[action]):
            fit(comm, checkpoint=path, every=EVERY)
    elif command == "interrupted":

        def say(net, history):
            if len(history) == 20:
                (folder / "goes on").touch()

        fit(comm, epochs=10**6, checkpoint=folder / "file", every=99, callbacks=[say])
    elif command == "numbers":
        found = numbers(comm)
        require_same(comm, "numbers", found.values())
        if rank == 0:
            np.savez(folder / "shared.npz", **found)
            if hasattr(comm, "Get_attr") and comm.Get_attr(communicators._kept_windows()):
                (folder / "shares memory").touch()
        if "survive" in arguments:
            bits = survive(comm, folder)
            for path in sorted(folder.glob("*.checkpoint")):
                require_same(comm, str(path), fit(comm, resume=path)[0], bits)
    elif command == "restarted":
        path, again = folder / "file", int(os.environ["TORCHELASTIC_RESTART_COUNT"])
        with disturbed(comm, 1, EXCHANGES, by(signal.SIGKILL) if again == 0 else int):
            arrays, _ = fit(comm, checkpoint=path, every=EVERY, resume=path if path.exists() else None)
        assert again == 1
        require_same(comm, "restarted", arrays, require_same(comm, "undisturbed", fit(comm)[0]))
    if rank == 0:
        (folder / f"{command} done").touch()


if __name__ == "__main__":
    main(*sys.argv[1:])
