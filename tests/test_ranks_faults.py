"""What goes wrong on one of several ranks: all end, each with a sentence that says where it was."""

import gc
import re
import threading
import time
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from ranks import ThreadRank, on_ranks, results

from fastbp import SGD, Adam, BatchNorm1d, Dropout, Linear, RankError, Relu, Sequential, Tanh, Trainer
from fastbp.training import ranks as training_ranks
from fastbp.training.ranks import Ranks

SIZE = 3
#: Seconds within which all ranks have ended, on a machine that does other things too.
SOON = 5


def network(*middle, n_in=6, n_out=4, dtype="float32", loss="softmax_cross_entropy"):
    layers = Linear(n_in, 8, dtype=dtype, seed=0), *(middle or [Tanh()]), Linear(8, n_out, dtype=dtype, seed=1)
    return Sequential(*layers, loss=loss)


def rows(n=30, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 6)).astype("f4"), rng.integers(0, 4, n)


def fit(comm, net=None, x=None, t=None, **options):
    data = rows()
    net = network() if net is None else net
    options = {"epochs": 3, "batch_size": 7, "seed": 0, "optimizer": SGD(lr=0.1), "comm": comm} | options
    return net.fit(data[0] if x is None else x, data[1] if t is None else t, **options)


def errors(function, size=SIZE):
    """Each rank's error, of which all have one, soon."""
    begun = time.perf_counter()
    found = on_ranks(size, function)
    assert time.perf_counter() - begun < SOON
    for error in found:
        assert isinstance(error, BaseException), error
        assert "\n" not in str(error) and (str(error)[-1] == "." or "argument" in str(error)), str(error)
    return found


def assert_blames(found, rank, kind, words):
    """The rank has the error itself, the others one that names it and says the same."""
    assert type(found[rank]) is kind and re.search(words, str(found[rank])), found[rank]
    for other, error in enumerate(found):
        if other != rank:
            assert type(error) is RankError, repr(error)
            assert f"ended on all {len(found)} ranks, as rank {rank} failed: {kind.__name__}: " in str(error)
            assert re.search(words, str(error)), str(error)


# --- what a rank is asked for, or has -------------------------------------------------------


@pytest.mark.parametrize("rank", range(SIZE))
@pytest.mark.parametrize(
    "options, words",
    [
        ({"x": rows()[0][:, :5]}, r"6"),
        ({"x": rows()[0][:29]}, r"29|30"),
        ({"t": rows()[1] + 9}, r"expects"),
        ({"t": "text"}, r"expects"),
        ({"batch_size": 0}, r"expects batch_size"),
        ({"epochs": "many"}, r"expects epochs"),
        ({"optimizer": None}, r"expects optimizer"),
        ({"sample_weight": -np.ones(30)}, r"expects sample_weight"),
        ({"validation_data": (1, 2, 3)}, r"expects validation_data"),
        ({"checkpoint": "/nowhere/at/all"}, r"."),
        ({"net": Sequential(Linear(6, 4))}, r"with a loss"),
        ({"unknown": 1}, r"unknown"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_one_rank_cannot_take(options, words, rank):
    """Asked of all ranks alike where it has to be, else refused by the rank, or as a difference."""
    for error in errors(lambda comm: fit(comm, **options if comm.rank == rank else {})):
        assert type(error) in (RankError, ValueError, TypeError, OSError, FileNotFoundError)
        assert "rank" in str(error) or re.search(words, str(error))
        assert "lost the other ranks" not in str(error)


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize(
    "words, options",
    [
        ("seed of rank 0, 0, on all ranks; got 1", lambda: {"seed": 1}),
        ("seed of rank 0, 0, on all ranks; got None", lambda: {"seed": None}),
        ("batch_size of rank 0, 7, on all ranks; got 8", lambda: {"batch_size": 8}),
        ("epochs of rank 0, 3, on all ranks; got 4", lambda: {"epochs": 4}),
        ("shuffle of rank 0", lambda: {"shuffle": False}),
        ("rows of rank 0, 'all', on all ranks; got 'own'", lambda: {"rows": "own"}),
        ("average_every of rank 0, 1, on all ranks; got 2", lambda: {"average_every": 2}),
        ("clip_norm of rank 0", lambda: {"clip_norm": 1.0}),
        ("optimizer.lr of rank 0, 0.1, on all ranks; got 0.2", lambda: {"optimizer": SGD(lr=0.2)}),
        ("optimizer.type of rank 0", lambda: {"optimizer": Adam()}),
        ("schedule of rank 0", lambda: {"schedule": lambda done: 1.0}),
        ("validation_data of rank 0", lambda: {"validation_data": rows()}),
        ("class_weight of rank 0", lambda: {"class_weight": "balanced"}),
        ("dtype of rank 0, 'float32', on all ranks; got 'float64'", lambda: {"net": network(dtype="float64")}),
        ("the network", lambda: {"net": network(Relu())}),
        ("the network", lambda: {"net": network(Tanh(), Dropout(0.1))}),
        ("the network", lambda: {"net": network(loss="squared_error"), "t": np.eye(4)[rows()[1]]}),
        ("x of rank 0, 'float32', on all ranks; got 'float64'", lambda: {"x": rows()[0].astype("f8")}),
        ("x of rank 0, 'float32', on all ranks; got 'uint8'", lambda: {"x": rows()[0].astype("u1")}),
        ("t", lambda: {"t": np.eye(4)[rows()[1]]}),
        ("rows of x of rank 0, 30, on all ranks; got 20", lambda: dict(zip("xt", rows(20), strict=True))),
        ("the checksum of x, t and weights", lambda: {"x": rows()[0] + 1}),
        ("the checksum of x, t and weights", lambda: {"t": (rows()[1] + 1) % 4}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_the_first_ranks(words, options, rank):
    """Before the first step: the network is as it was."""
    nets = [network() for _ in range(SIZE)]

    def train(comm):
        return fit(comm, **({"net": nets[comm.rank]} | (options() if comm.rank == rank else {})))

    assert_blames(errors(train), rank, ValueError, words)
    for net in nets:
        for name, array in network().params.items():
            assert (net.params[name] == array).all()


class Local:
    """What is one thing on a rank, and another on the others, by the thread that asks."""

    def __init__(self, rank, one, other):
        self.here, self.rank, self.one, self.other = threading.local(), rank, one, other

    def __call__(self):
        return self.one if getattr(self.here, "rank", None) == self.rank else self.other


@pytest.mark.parametrize("form", ["fit", "Trainer"])
def test_other_versions_and_instruction_sets(form, monkeypatch):
    version, isa = Local(1, "0.0.1", "1.0.0"), Local(2, "v4", "v3")

    class Package:
        __version__ = property(lambda self: version())

    def train(comm):
        version.here.rank = isa.here.rank = comm.rank
        if form == "fit":
            return fit(comm)
        return Trainer(network(), SGD(lr=0.1), comm=comm)

    with monkeypatch.context() as patch:
        patch.setattr(training_ranks, "sys", SimpleNamespace(modules={"fastbp": Package()}))
        assert_blames(errors(train), 1, ValueError, r"expects fastbp of rank 0, '1.0.0', on all ranks; got '0.0.1'")
    with monkeypatch.context() as patch:
        patch.setattr(training_ranks, "isa", SimpleNamespace(in_use=isa))
        words = r"expects the instruction set of rank 0, 'v3', on all ranks; got 'v4', so set FASTBP_ISA=v3"
        assert_blames(errors(train), 2, ValueError, words)


def test_trainers_that_are_not_alike():
    others = [
        ("optimizer", lambda comm: Trainer(network(), Adam(), comm=comm, seed=0)),
        ("seed", lambda comm: Trainer(network(), SGD(lr=0.1), comm=comm, seed=1)),
        ("the network", lambda comm: Trainer(network(Relu()), SGD(lr=0.1), comm=comm, seed=0)),
        ("clip_norm", lambda comm: Trainer(network(), SGD(lr=0.1), comm=comm, seed=0, clip_norm=1)),
        ("a Sequential", lambda comm: Trainer(3, SGD(lr=0.1), comm=comm, seed=0)),
        ("the call of rank 0, 'Trainer', on all ranks; got 'fit'", lambda comm: fit(comm)),
    ]
    for words, other in others:

        def train(comm, other=other):
            return other(comm) if comm.rank == 1 else Trainer(network(), SGD(lr=0.1), comm=comm, seed=0)

        found = errors(train)
        assert words in str(found[1])
        for rank in (0, 2):
            assert "rank 1 failed" in str(found[rank])


@pytest.mark.parametrize(
    "comm", [3, "world", object(), SimpleNamespace(rank=0, size=2)], ids=["a number", "a name", "an object", "no calls"]
)
def test_what_is_no_communicator(comm):
    for call in (lambda: fit(comm), lambda: Trainer(network(), SGD(lr=0.1), comm=comm)):
        with pytest.raises(TypeError, match=r"expects comm as a communicator of mpi4py, a group of torch.distributed"):
            call()


@pytest.mark.parametrize("rank, size", [(2, 2), (-1, 2), (0, 0), ("a", 2), (0, 1.5)])
def test_ranks_that_cannot_be(rank, size):
    comm = SimpleNamespace(rank=rank, size=size, allreduce=lambda buffer: None, broadcast=lambda buffer, root: None)
    with pytest.raises((TypeError, ValueError), match=r"expects comm\.(rank|size)"):
        fit(comm)


def test_a_communicator_of_one_rank_is_none_at_all():
    """It is not called."""

    def refuse(*arguments):
        raise AssertionError

    comm = SimpleNamespace(rank=0, size=1, allreduce=refuse, broadcast=refuse)
    one, other = network(), network()
    assert fit(comm, one).train_loss == fit(None, other).train_loss
    for name, array in one.params.items():
        assert array.tobytes() == other.params[name].tobytes()


# --- while they train -----------------------------------------------------------------------


def spoil(rank, at, what):
    """Rows of each rank's own, of which one rank's are not good any more from an epoch on."""

    def train(comm):
        x, t = (each.copy() for each in rows(30, seed=comm.rank))
        data[comm.rank] = (x, t)

        def callback(net, history):
            if len(history) == 1:
                before.append({name: array.copy() for name, array in net.params.items()})
                what(*data[rank], at)

        net = nets[comm.rank] = network()
        return fit(comm, net, x, t, rows="own", batch_size=21, callbacks=[callback], shuffle=False)

    data, before, nets = {}, [], {}
    return errors(train), before, nets


def set_nan(x, t, at):
    x[at] = np.nan


def set_class(x, t, at):
    t[at] = 77


@pytest.mark.parametrize("rank", range(SIZE))
def test_nan_on_one_rank_ends_all_with_the_weights_before(rank):
    """In the second epoch's first batch, so that these are the epoch's."""
    found, [before], nets = spoil(rank, 2, set_nan)
    for other, error in enumerate(found):
        assert type(error) is FloatingPointError
        assert "got nan in epoch 2, batch 1, where the first layer with such an output is Linear" in str(error)
        assert (f"(on rank {rank} of {SIZE})." in str(error)) == (other != rank)
    for net in nets.values():
        for name, array in net.params.items():
            assert array.tobytes() == before[name].tobytes()
        assert net.history.stopped_by == "error"


@pytest.mark.parametrize("average_every", [1, 3])
@pytest.mark.parametrize("rank", range(SIZE))
def test_nan_at_any_step_leaves_the_weights_of_the_step_before(rank, average_every):
    """As one that ends there without it."""
    x, t = rows(90)
    parts = [slice(30 * r, 30 * (r + 1)) for r in range(SIZE)]
    for batch in (0, 1, 3, 4):  # of five, of 6 rows a rank

        def train(comm, nets, bad=True, batch=batch):
            ours, net = x[parts[comm.rank]].copy(), nets[comm.rank]
            if bad and comm.rank == rank:
                ours[6 * batch + 1] = np.nan
            options = {"rows": "own", "batch_size": 18, "shuffle": False, "average_every": average_every}
            labels = t[parts[comm.rank]]
            if not bad:
                ours, labels = ours[: 6 * batch], labels[: 6 * batch]
            return fit(comm, net, ours, labels, epochs=1, optimizer=SGD(lr=0.1, momentum=0.9), **options)

        nets = [network() for _ in range(SIZE)]
        for error in errors(lambda comm, train=train, nets=nets: train(comm, nets)):
            assert type(error) is FloatingPointError and "got nan" in str(error)
        after = [{name: array.copy() for name, array in net.params.items()} for net in nets]
        if average_every == 1:
            nets = [network() for _ in range(SIZE)]
            if batch:
                results(SIZE, lambda comm, train=train, nets=nets: train(comm, nets, bad=False))
            for net, found in zip(nets, after, strict=True):
                for name, array in net.params.items():
                    assert array.tobytes() == found[name].tobytes()
        for found in after:
            assert all(np.isfinite(array).all() for array in found.values())


@pytest.mark.parametrize("average_every", [1, 2])
def test_an_update_that_is_not_finite_is_none_on_all(average_every):
    """The sum of the ranks' gradients overflows, and no rank's alone."""

    def train(comm):
        net = nets[comm.rank] = network(loss="squared_error")
        t = np.full((30, 4), 1e19, "f4")
        return fit(comm, net, t=t, optimizer=SGD(lr=1e30), average_every=average_every)

    nets = {}
    for error in errors(train):
        assert type(error) is FloatingPointError
    for net in nets.values():
        assert all(np.isfinite(array).all() for array in net.params.values())


@pytest.mark.parametrize("at", [0, 13, 29])
@pytest.mark.parametrize("rank", range(SIZE))
def test_what_is_written_into_one_ranks_rows(rank, at):
    found, _, _ = spoil(rank, at, set_class)
    assert_blames(found, rank, ValueError, "expects class indices")


class Wrong(Exception):
    pass


@pytest.mark.parametrize(
    "error", [Wrong("this"), Wrong(), KeyboardInterrupt(), SystemExit(3), MemoryError(), GeneratorExit()], ids=repr
)
def test_an_error_of_a_callback(error):
    def callback(net, history):
        if len(history) == 2:
            raise error

    found = on_ranks(SIZE, lambda comm: fit(comm, callbacks=[callback]))
    assert found[0] is error
    for other in found[1:]:
        if isinstance(error, KeyboardInterrupt):
            assert type(other) is KeyboardInterrupt
            assert str(other) == "fit ended on all 3 ranks, as rank 0 was interrupted."
        else:
            assert type(other) is RankError
            assert f"as rank 0 failed: {type(error).__name__}" in str(other)


@pytest.mark.parametrize("rank", range(SIZE))
@pytest.mark.parametrize("epoch", [0, 1])
def test_an_error_of_one_ranks_schedule(rank, epoch):
    def train(comm):
        def schedule(done):
            if comm.rank == rank and done >= epoch:
                raise Wrong("so")
            return 1.0

        return fit(comm, schedule=schedule)

    assert_blames(errors(train), rank, ValueError, "schedule to take the epochs done; at .* it raised Wrong: so")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, Wrong])
@pytest.mark.parametrize("rank", range(SIZE))
def test_a_signal_on_one_rank_at_any_exchange(rank, kind, monkeypatch):
    look = Ranks.look
    for at in (1, 2, 5, 11, 17, 18, 22, 30):
        seen = []

        def looking(ranks, at=at, seen=seen):
            look(ranks)
            if ranks.rank == rank:
                seen.append(None)
                if len(seen) == at:
                    raise kind

        monkeypatch.setattr(Ranks, "look", looking)
        found = on_ranks(SIZE, fit)
        assert type(found[rank]) is kind
        for other, error in enumerate(found):
            if other != rank:
                assert type(error) is (kind if kind is KeyboardInterrupt else RankError), repr(error)
                assert f"as rank {rank} " in str(error)


def test_random_trainings_that_something_ends():
    """On all ranks, by an error that says which it was; or on none, and these have the same bits."""
    rng, look, ended = np.random.default_rng(0), Ranks.look, 0
    for case in range(60):
        size, kind = int(rng.integers(2, 6)), (KeyboardInterrupt, SystemExit, Wrong)[case % 3]
        rank, at, seen = rng.integers(size), rng.integers(1, 60), []
        counts = rng.integers(0, 12, size)
        counts[0] += 1
        x, t = rows(int(counts.sum()))
        if case % 4 == 0:
            x[rng.integers(len(x))] = np.nan
        own, averages = case % 2, int(rng.choice([1, 1, 2, 5]))
        options = {"batch_size": int(rng.integers(1, 20)), "average_every": averages}
        if rng.integers(2):
            options["validation_data"] = rows(9)
        if rng.integers(2):
            options["callbacks"] = [lambda net, history: net.params["W1"].fill(0.01)]

        def train(comm, x=x, t=t, counts=counts, own=own, options=options):
            begin = counts[: comm.rank].sum() if own else 0
            part = slice(begin, begin + counts[comm.rank] if own else None)
            net = network(Relu(), Dropout(0.2))
            fit(comm, net, x[part], t[part], rows="own" if own else "all", optimizer=Adam(), **options)
            return b"".join(array.tobytes() for array in net.params.values())

        def looking(ranks, rank=rank, at=at, seen=seen, kind=kind):
            look(ranks)
            if ranks.rank == rank and len(seen) < at:
                seen.append(None)
                if len(seen) == at:
                    raise kind("so")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Ranks, "look", looking)
            begun = time.perf_counter()
            found = on_ranks(size, train)
        assert time.perf_counter() - begun < SOON
        failed = [isinstance(each, BaseException) for each in found]
        if failed[rank] and sum(failed) == 1:  # behind the last meeting: it is as after fit
            assert type(found[rank]) is kind and len(seen) == at
        elif any(failed):
            assert all(failed)
            ended += 1
            for error in found:
                assert type(error) in (kind, FloatingPointError) or f"as rank {rank} failed: {kind.__name__}" in str(
                    error
                )
        else:
            assert len(set(found)) == 1
    assert ended > 20


# --- communicators --------------------------------------------------------------------------


class Breaking(ThreadRank):
    """A rank whose call number `at` raises, on which the others' do too, as gloo's and MPI's."""

    def __init__(self, comm, rank, at):
        vars(self).update(vars(comm))
        self.breaks = self.rank == rank, at
        self.ended = False

    def _count(self):
        assert not self.ended  # who was told goes nowhere any more
        if self.breaks == (True, self.calls + 1):
            self.ended = True
            self.barrier.abort()
            raise ConnectionError("closed by peer")

    def allreduce(self, buffer):
        self._count()
        self._try(super().allreduce, buffer)

    def broadcast(self, buffer, root):
        self._count()
        self._try(super().broadcast, buffer, root)

    def _try(self, function, *arguments):
        try:
            function(*arguments)
        except threading.BrokenBarrierError:
            self.ended = True
            raise ConnectionError("closed by peer") from None


@pytest.mark.parametrize("average_every", [1, 2])
@pytest.mark.parametrize("rank", range(SIZE))
def test_an_exchange_that_fails(rank, average_every):
    """At any call of a whole training: an error on all ranks, and none calls again."""
    most = results(SIZE, lambda comm: fit(comm, epochs=1, average_every=average_every) and comm.calls)[0]
    assert most > 20
    for at in range(1, most + 1):
        found = errors(lambda comm, at=at: fit(Breaking(comm, rank, at), epochs=1, average_every=average_every))
        for error in found:
            assert type(error) is RankError
            assert "lost the other ranks: ConnectionError: closed by peer" in str(error)


def test_ranks_that_are_lost_are_not_called_again():
    """Not by the next step either."""

    def train(comm):
        trainer = Trainer(network(Tanh(), Dropout(0.2)), SGD(lr=0.1), batch_size=7, seed=0, comm=Breaking(comm, 1, 60))
        raised = []
        for _ in range(40):
            try:
                trainer.step(*rows(7))
            except RankError as error:
                raised.append(str(error))
        return trainer.steps, raised

    found = results(SIZE, train)
    for steps, raised in found:
        assert len(raised) == 40 - steps > 1
        assert "lost the other ranks: ConnectionError: closed by peer" in raised[0]
        assert set(raised[1:]) == {"Trainer lost the other ranks before."}


class Drifting(ThreadRank):
    """A rank that is given sums of its own."""

    def __init__(self, comm):
        vars(self).update(vars(comm))

    def allreduce(self, buffer):
        super().allreduce(buffer)
        if self.rank == 1 and len(buffer) > 50:
            buffer[0] = np.nextafter(buffer[0], 2)


@pytest.mark.parametrize("average_every", [1, 2])
def test_a_communicator_that_gives_one_rank_other_sums(average_every):
    found = errors(lambda comm: fit(Drifting(comm), average_every=average_every))
    for error in found:
        assert type(error) is RankError
        assert str(error).startswith(
            "fit expects the same parameters on all ranks after an epoch; got others on rank 1"
        )


def test_an_error_beside_a_broken_exchange_is_the_ranks_own():
    """What it did wrong is told, not that it could not tell the others."""

    def train(comm):
        return fit(Breaking(comm, 1, 1), **({"batch_size": -1} if comm.rank == 1 else {}))

    found = errors(train)
    assert type(found[1]) is ValueError and "batch_size" in str(found[1])


# --- steps by hand --------------------------------------------------------------------------


@pytest.mark.parametrize("middle", [(Tanh(),), (Tanh(), Dropout(0.3))], ids=["plain", "dropout"])
@pytest.mark.parametrize("rank", range(SIZE))
def test_a_step_that_one_rank_cannot_make(rank, middle):
    """All raise, nothing has changed, and the next step is one."""
    x, t = rows(7)
    bad = [
        (ValueError, lambda: (x[:, :3], t)),
        (ValueError, lambda: (x, t + 9)),
        (ValueError, lambda: (x, t[:3])),
        (ValueError, lambda: rows(8)),
        (TypeError, lambda: (None, t)),
        (FloatingPointError, lambda: (x * np.float32(np.nan), t)),
    ]

    def train(comm):
        net = network(*middle)
        trainer = Trainer(net, SGD(lr=0.1, momentum=0.9), batch_size=7, seed=0, comm=comm)
        raised = []
        for _, data in bad:
            before = {name: array.copy() for name, array in net.params.items()}
            try:
                trainer.step(*(data() if comm.rank == rank else (x, t)))
            except Exception as error:
                raised.append(error)
            for name, array in net.params.items():
                assert array.tobytes() == before[name].tobytes()
            trainer.step(x, t)
        assert trainer.steps == len(bad)
        return raised, [array.copy() for array in net.params.values()]

    found = results(SIZE, train)
    for raised, arrays in found:
        assert len(raised) == len(bad)
        for array, first in zip(arrays, found[0][1], strict=True):
            assert array.tobytes() == first.tobytes()
    for (kind, _), *raised in zip(bad, *(raised for raised, _ in found), strict=True):
        if kind is FloatingPointError:
            for other, error in enumerate(raised):
                assert type(error) is kind and (f"(on rank {rank} of {SIZE})." in str(error)) == (other != rank)
        else:
            assert isinstance(raised[rank], kind)
            assert_blames(raised, rank, type(raised[rank]), "expects")


def test_a_closed_trainer_on_one_rank():
    def train(comm):
        trainer = Trainer(network(), SGD(lr=0.1), batch_size=7, comm=comm)
        if comm.rank == 1:
            trainer.close()
        return trainer.step(*rows(7))

    found = errors(train)
    assert type(found[1]) is RuntimeError and all("rank 1 failed" in str(found[rank]) for rank in (0, 2))


@pytest.mark.parametrize("form", ["fit", "Trainer"])
def test_statistics_that_overflow_on_one_rank(form):
    """They are of its own rows: the others have to hear before they update."""
    x = np.random.default_rng(0).standard_normal((16, 2)).astype("f4")
    t = np.arange(16) % 2
    big = x * np.float32(1e25)

    def train(comm):
        own = (x[8:], big[:8])[comm.rank], t[:8]
        net = Sequential(BatchNorm1d(2), Linear(2, 2, seed=1), loss="softmax_cross_entropy")
        before = {name: array.copy() for name, array in net.params.items()}
        try:
            if form == "fit":
                net.fit(*own, epochs=2, batch_size=8, optimizer=SGD(lr=0.1), seed=0, comm=comm, rows="own")
            else:
                Trainer(net, SGD(lr=0.1), batch_size=8, comm=comm).step(*own)
        finally:
            assert all(np.array_equal(before[name], array) for name, array in net.params.items())

    found = errors(train, 2)
    assert all(isinstance(error, FloatingPointError) for error in found), found


def test_steps_without_weight_count_on_all_ranks():
    x, t = rows(40)
    weights = np.where(np.arange(40) % 8 >= 4, 0.0, 1.0)

    def train(comm):
        optimizer = Adam()
        network().fit(
            x,
            t,
            epochs=2,
            batch_size=8,
            shuffle=False,
            seed=0,
            average_every=2,
            optimizer=optimizer,
            sample_weight=weights,
            comm=comm,
        )
        return optimizer.steps

    assert len({str(steps) for steps in results(2, train)}) == 1


@pytest.mark.parametrize("form", ["fit", "Trainer"])
def test_a_network_is_freed_after_it(form):
    def train(comm):
        net = network()
        if form == "fit":
            fit(comm, net)
        else:
            Trainer(net, SGD(lr=0.1), batch_size=30, comm=comm).step(*rows())
        return weakref.ref(net)

    found = results(2, train)
    gc.collect()
    assert [reference() for reference in found] == [None, None]
