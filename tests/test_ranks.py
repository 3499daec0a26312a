"""Training on several ranks, threads of one process: one machine's numbers, whatever is trained."""

import contextlib
import itertools
import math

import numpy as np
import pytest
from ranks import ThreadRank, on_ranks, results
from test_fuzz_networks import LAYERS, LOSSES, NORMS

import fastbp
from fastbp import SGD, Adam, Dropout, EarlyStopping, Linear, Relu, Sequential, Tanh, Trainer, nn, reference
from fastbp.losses import MultiTaskLoss
from fastbp.operations.losses import LOSSES as ROWS
from fastbp.optim.rule import OPTIMIZERS
from fastbp.training.checkpoints import Checkpoint
from fastbp.training.ranks import Ranks

SIZES = [1, 2, 3, 7]
#: How far one machine may be off after an epoch, in the parameters' own unit.
NEAR = {"float32": 5e-6, "float64": 1e-11}
N_IN, N_OUT = 6, 5


def network(dtype="float32", *middle, loss="softmax_cross_entropy", width=9):
    middle = middle or (Tanh(),)
    layers = Linear(N_IN, width, dtype=dtype, seed=0), *middle, Linear(width, N_OUT, dtype=dtype, seed=1)
    return Sequential(*layers, loss=loss)


def rows(n=43, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, N_IN)).astype("f4").astype(dtype), rng.integers(0, N_OUT, n)


def numbers_of(net):
    """All that a training has changed in a network: parameters and running statistics."""
    return {name: array.numpy().copy() for name, array in net.state_dict().items()}


def fitted(net, x, t, **options):
    """What a fit makes of a network, and its history; an option that is a class or a lambda is called."""
    options = {"epochs": 2, "batch_size": 8, "seed": 3, "optimizer": lambda: SGD(lr=0.1)} | options
    for name in ("optimizer", "early_stopping"):
        if callable(options.get(name)):
            options[name] = options[name]()
    history = net.fit(x, t, **options)
    return numbers_of(net), history


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert array.dtype == other[name].dtype and array.tobytes() == other[name].tobytes(), name


def assert_near(found, expected, dtype, times=1):
    for name, array in expected.items():
        error = np.abs(found[name] - array).max(initial=0) / max(1, np.abs(array).max(initial=0))
        assert error <= times * NEAR[np.dtype(dtype).name], (name, error)


def assert_near_history(found, expected, dtype):
    """The same number of epochs and batches, and losses to rounding; accuracies may lose a tie."""
    assert (len(found), found.stopped_by, found.seed) == (len(expected), expected.stopped_by, expected.seed)
    near = 1e-4 if np.dtype(dtype) == np.float32 else 1e-10
    for ours, theirs in zip(found.batch_loss, expected.batch_loss, strict=True):
        assert ours == pytest.approx(theirs, rel=near, abs=near)
    for name in ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "lr"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=near, abs=near), name


def on_each(size, make, x, t, **options):
    """Train on so many ranks; what one of them has, where all have the same bits and history."""
    found = results(size, lambda comm: fitted(make(), x, t, comm=comm, **options))
    for net, history in found[1:]:
        assert_same_bits(net, found[0][0])
        assert history == found[0][1]
    return found[0]


def assert_agree(make, x, t, dtype, sizes=(2, 7), **options):
    """Training on ranks comes to one machine's numbers; all of them where there are several."""
    alone, history = fitted(make(), x, t, **options)
    for size in sizes:
        net, seen = on_each(size, make, x, t, **options)
        assert_near(net, alone, dtype)
        assert_near_history(seen, history, dtype)
    return net, seen


# --- one machine's numbers ------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(LAYERS.keys() - NORMS))
def test_every_layer(kind, dtype):
    assert_agree(lambda: network(dtype, LAYERS[kind](9, dtype)), *rows(dtype=dtype), dtype, [3])


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss(name, dtype):
    x, t = rows(dtype=dtype)
    if name == "soft rows":
        t = np.random.default_rng(1).random((len(x), N_OUT)).astype(dtype)
        t /= t.sum(axis=1, keepdims=True)
    elif name != "softmax":
        right = np.eye(N_OUT, dtype=dtype)[t]
        t = 2 * right - 1 if ROWS[name].targets == "signs" else right
    assert_agree(lambda: network(dtype, loss=LOSSES[name]()), x, t, dtype)


def test_several_tasks(dtype):
    x, t = rows(dtype=dtype)
    numbers = np.random.default_rng(1).standard_normal((len(x), 2)).astype(dtype)
    parts = [("softmax_cross_entropy", 3), ("squared_error", 2)]
    weights = np.arange(len(x)) % 3
    targets = t % 3, numbers
    make = lambda: network(dtype, loss=MultiTaskLoss(parts, weights=[1, 0.5]))  # noqa: E731
    assert_agree(make, x, targets, dtype, [2, 3], sample_weight=weights)
    assert_agree(make, x, targets, dtype, [3], validation_data=(x[:11], (targets[0][:11], numbers[:11])))


OPTIONS = {"momentum": 0.9, "weight_decay": 0.01, "nesterov": True, "amsgrad": True}


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "with options"])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer(name, plain, dtype):
    takes = OPTIMIZERS[name]().defaults
    options = {} if plain else {option: value for option, value in OPTIONS.items() if option in takes}
    # Else the first steps divide rounding by rounding, where a gradient is nearly none.
    options |= {"eps": 1e-3} if "eps" in takes else {}

    def optimizer():
        return OPTIMIZERS[name](lr=0.01, **options)

    assert_agree(lambda: network(dtype), *rows(dtype=dtype), dtype, [3], optimizer=optimizer)


WEIGHTS = np.random.default_rng(5).integers(0, 4, 43) / 2


@pytest.mark.parametrize(
    "options",
    [
        {"sample_weight": WEIGHTS},
        {"class_weight": {0: 2.0, 3: 0.0}},
        {"class_weight": "balanced"},
        {"class_weight": "balanced", "sample_weight": WEIGHTS},
        {"clip_norm": 0.05},
        {"clip_value": 0.003},
        {"clip_norm": 0.1, "clip_value": 0.01, "sample_weight": WEIGHTS},
        {"schedule": lambda done: 0.5**done},
        {"shuffle": False},
        {"batch_size": 1},
        {"batch_size": 2},
        {"batch_size": 43},
        {"batch_size": 1000},
        {"n_threads": 2},
        {"n_threads": 3, "batch_size": 30},
        {"validation_data": rows(29, seed=1)},
        {"validation_data": rows(2, seed=1)},
        {"validation_data": rows(600, seed=1)},
        {"epochs": 0},
        {"ema_decay": 0.9},
        {"ema_decay": 0.5, "validation_data": rows(29, seed=1), "clip_norm": 0.1},
    ],
    ids=lambda options: ", ".join(f"{name} {value if np.isscalar(value) else ''}" for name, value in options.items()),
)
def test_every_option(options, dtype):
    def make():
        return network(dtype, Relu(), Dropout(0.3))

    assert_agree(make, *rows(dtype=dtype), dtype, [1, 2, 7], **options)


def test_weights_of_none_in_whole_batches(dtype):
    """A batch without weight is no step, on one machine and on several."""
    weights = np.repeat([1.0, 0.0, 2.0], [8, 8, 27])
    assert_agree(lambda: network(dtype), *rows(dtype=dtype), dtype, sample_weight=weights, shuffle=False)


@pytest.mark.parametrize("form", ["CSR", "uint8", "memmap", "other float", "Fortran"])
def test_every_form_of_rows(form, dtype, tmp_path):
    x, t = rows(dtype=dtype)
    if form == "CSR":
        sparse = pytest.importorskip("scipy.sparse")
        x[np.random.default_rng(2).random(x.shape) < 0.7] = 0
        x = sparse.csr_matrix(x)
    elif form == "uint8":
        x = np.random.default_rng(2).integers(0, 4, x.shape).astype("u1")
    elif form == "memmap":
        x.tofile(tmp_path / "x")
        x = np.memmap(tmp_path / "x", dtype, "r", shape=x.shape)
    elif form == "other float":
        x = x.astype("f8" if dtype == "float32" else "f4")
    else:
        x = np.asfortranarray(x)
    assert_agree(lambda: network(dtype), x, t, dtype, validation_data=(x[:11], t[:11]))


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_fewer_rows_than_ranks(n, dtype):
    for batch_size in (1, 3, 7):
        make = lambda: network(dtype, Dropout(0.4))  # noqa: E731
        assert_agree(make, *rows(n, dtype), dtype, batch_size=batch_size)


def test_the_same_run_twice_has_the_same_bits(dtype):
    for size in SIZES:
        runs = [on_each(size, lambda: network(dtype, Relu(), Dropout(0.3)), *rows(dtype=dtype)) for _ in range(2)]
        assert_same_bits(runs[0][0], runs[1][0])
        for one, other in zip(runs[0][1].batch_loss, runs[1][1].batch_loss, strict=True):
            assert one.tobytes() == other.tobytes()


def test_ranks_begin_with_the_first_ones_parameters_states_and_seed():
    """Also of an optimiser that has trained before, and of a seed that is drawn."""

    def train(comm):
        net, optimizer = network(), Adam()
        if comm is None or comm.rank == 0:
            net.fit(*rows(), epochs=1, batch_size=8, optimizer=optimizer, seed=0)
        else:
            net = Sequential(*[Linear(6, 9, seed=comm.rank), Tanh(), Linear(9, 5)], loss="softmax_cross_entropy")
        return fitted(net, *rows(), optimizer=lambda: optimizer, seed=None if comm else seed, comm=comm)

    found = results(3, train)
    seed = found[0][1].seed
    for net, history in found:
        assert history.seed == seed
        assert_same_bits(net, found[0][0])
    assert_near(found[0][0], train(None)[0], "float32")


@pytest.mark.parametrize("kind", sorted(NORMS))
def test_normalisations_take_the_statistics_of_a_ranks_rows(kind, dtype):
    """So ranks with the very same rows come to one machine's numbers; others to means of theirs."""

    def make():
        return network(dtype, LAYERS[kind](9, dtype), Tanh())

    x, t = rows(40, dtype)
    alone, history = fitted(make(), x, t, batch_size=8)
    for size in (2, 3):
        found, seen = on_each(size, make, x, t, batch_size=8 * size, rows="own")
        assert_near(found, alone, dtype)
        assert_near_history(seen, history, dtype)
        once, twice = (on_each(size, make, x, t, batch_size=20) for _ in range(2))
        assert_same_bits(once[0], twice[0])


def test_a_normalisation_refuses_a_rank_with_one_row():
    errors = on_ranks(3, lambda comm: fitted(network("float32", nn.BatchNorm1d(9)), *rows(5), batch_size=1, comm=comm))
    assert {type(error) for error in errors} == {ValueError, fastbp.RankError}
    for error in errors:
        assert "at least 2 rows of each batch on each rank" in str(error)


def test_a_normalisation_has_no_single_rows_where_there_are_two():
    for n in range(2, 9):  # of ranks with rows for one part too few, some have none
        results(3, lambda comm, n=n: fitted(network("float32", nn.BatchNorm1d(9)), *rows(n), batch_size=n, comm=comm))


# --- rows of their own ----------------------------------------------------------------------

UNEVEN = [[20, 23], [1, 42], [0, 43], [43, 0], [14, 15, 14], [0, 1, 42], [1, 0, 0], [6, 6, 6, 7, 6, 6, 6], [1] * 7]


def own(counts, rank, x, t, *others):
    """A rank's rows."""
    begin = sum(counts[:rank])
    part = slice(begin, begin + counts[rank])
    return [None if each is None else each[part] for each in (x, t, *others)]


def fit_own(counts, make, x, t, weights=None, held_out=None, **options):
    """Train on rows of each rank's own; what all of them have."""

    def train(comm):
        ours, labels, shares = own(counts, comm.rank, x, t, weights)
        more = {}
        if held_out is not None:
            share = len(held_out[0]) if comm.rank == 0 else 0
            more["validation_data"] = tuple(each[:share] for each in held_out)
        return fitted(make(), ours, labels, sample_weight=shares, rows="own", comm=comm, **more, **options)

    found = results(len(counts), train)
    for net, history in found[1:]:
        assert_same_bits(net, found[0][0])
        assert history == found[0][1]
    return found[0]


@pytest.mark.parametrize("counts", UNEVEN, ids=str)
def test_one_batch_of_everyones_rows_is_one_machines(counts, dtype):
    """A step of all rows does not depend on who has which."""
    x, t = rows(sum(counts), dtype)
    for weighted, class_weight in itertools.product([False, True], [None, "balanced"]):
        options = {"batch_size": 1000, "shuffle": False, "class_weight": class_weight}
        weights = WEIGHTS[: len(x)] + 0.5 if weighted else None
        held_out = rows(13, dtype, seed=1)
        make = lambda: network(dtype, Dropout(0.3))  # noqa: E731
        alone, history = fitted(make(), x, t, sample_weight=weights, validation_data=held_out, **options)
        net, seen = fit_own(counts, make, x, t, weights, held_out, **options)
        assert_near(net, alone, dtype)
        assert_near_history(seen, history, dtype)


@pytest.mark.parametrize("counts", UNEVEN, ids=str)
def test_uneven_rows_train_to_the_same_bits_again(counts):
    x, t = rows(sum(counts))
    for batch_size in (1, 5, 16):
        runs = [fit_own(counts, network, x, t, batch_size=batch_size) for _ in range(2)]
        assert_same_bits(runs[0][0], runs[1][0])
        assert len(runs[0][1].batch_loss[0]) == math.ceil(len(x) / batch_size)


def test_no_rows_at_all_are_refused_on_all_ranks():
    for error in on_ranks(3, lambda comm: fitted(network(), *rows(0), rows="own", comm=comm)):
        assert "at least one row in x" in str(error)


# --- averages -------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [2, 3, 100])
@pytest.mark.parametrize("counts", [[20, 23], [14, 15, 14], [43, 0], [0, 1, 42]], ids=str)
def test_averages_are_the_means_of_trainings_apart(every, counts, dtype):
    """A loop by hand: each rank trains alone from the average on, which rows weigh."""
    x, t = rows(sum(counts), dtype)
    batch_size, epochs = 9, 2
    found, history = fit_own(
        counts,
        lambda: network(dtype),
        x,
        t,
        optimizer=lambda: SGD(lr=0.1, momentum=0.9),
        batch_size=batch_size,
        epochs=epochs,
        average_every=every,
    )
    size, n_batches = len(counts), math.ceil(len(x) / batch_size)
    nets = [network(dtype) for _ in range(size)]
    rules = [SGD(lr=0.1, momentum=0.9) for _ in range(size)]
    for epoch in range(epochs):
        since = np.zeros(size)
        for k in range(n_batches):
            for rank, (net, rule) in enumerate(zip(nets, rules, strict=True)):
                ours, labels = own(counts, rank, x, t)
                order = np.arange(len(ours))
                if len(ours) > 1:
                    reference.epoch_order(order, 3, epoch)
                part = order[len(ours) * k // n_batches : len(ours) * (k + 1) // n_batches]
                since[rank] += len(part)
                if len(part):
                    rule.update(net.params, net.gradient(ours[part], labels[part]))
            if (k + 1) % every == 0 or k + 1 == n_batches:
                shares = (since / since.sum()).tolist()
                for name in nets[0].params:
                    mean = sum(share * net.params[name] for share, net in zip(shares, nets, strict=True))
                    states = [rule.states.get(name, [np.zeros_like(mean)])[0] for rule in rules]
                    state = sum(share * each for share, each in zip(shares, states, strict=True))
                    for net, rule in zip(nets, rules, strict=True):
                        net.params[name][...] = mean
                        if name in rule.states:
                            rule.states[name][0][...] = state
                        else:
                            rule.states[name] = [state.copy()]
                since[:] = 0
    assert_near(found, numbers_of(nets[0]), dtype)
    assert len(history.train_loss) == epochs


def test_averages_of_all_rows_are_the_same_again(dtype):
    for size in SIZES:
        options = {"average_every": 3, "validation_data": rows(29, dtype, seed=1), "sample_weight": WEIGHTS}
        runs = [on_each(size, lambda: network(dtype, Dropout(0.3)), *rows(dtype=dtype), **options) for _ in range(2)]
        assert_same_bits(runs[0][0], runs[1][0])


# --- what ends or follows an epoch ----------------------------------------------------------


@pytest.mark.parametrize("restore_best", [True, False])
@pytest.mark.parametrize("monitor", EarlyStopping.MONITORS)
def test_early_stopping(monitor, restore_best, dtype):
    options = {
        "early_stopping": lambda: EarlyStopping(2, monitor, 0.2, restore_best),
        "validation_data": rows(29, dtype, seed=1),
        "epochs": 12,
        "optimizer": lambda: SGD(lr=0.8),
    }
    _, history = assert_agree(lambda: network(dtype), *rows(dtype=dtype), dtype, [2, 3], **options)
    assert len(history) < 12 and history.stopped_by == "early_stopping"


def write_parameters(net, history):
    net.params["0.weight" if "0.weight" in net.params else next(iter(net.params))][...] *= 0.5


def test_a_callback_may_write_parameters_states_and_options(dtype):
    def train(comm):
        optimizer = Adam(eps=1e-3)

        def callback(net, history):
            calls.append(comm and comm.rank)
            net.params["W2"][...] *= 0.5
            net.layers[0].W = net.layers[0].W * 0.8  # another array
            optimizer.lr *= 0.7
            optimizer.betas = (0.8, 0.9)
            for name, states in optimizer.states.items():
                for state in states:
                    state *= 0.9
                assert net.params[name].shape == states[0].shape

        return fitted(
            network(dtype), *rows(dtype=dtype), epochs=3, optimizer=optimizer, callbacks=[callback], comm=comm
        )

    calls = []
    alone, history = train(None)
    for size in SIZES:
        calls.clear()
        found = results(size, train)
        assert calls == [0, 0, 0]
        for net, seen in found:
            assert_same_bits(net, found[0][0])
            assert seen == found[0][1]
        assert_near(found[0][0], alone, dtype)
        assert_near_history(found[0][1], history, dtype)


def test_a_callback_may_set_the_rate_of_the_trainer(dtype):
    def halve(net, history):
        net.trainer.lr /= 2

    _, history = assert_agree(lambda: network(dtype), *rows(dtype=dtype), dtype, epochs=3, callbacks=[halve])
    assert history.lr == [0.1, 0.05, 0.025]


def test_a_callback_ends_training_on_all_ranks():
    for size in SIZES:
        _, history = on_each(size, network, *rows(), epochs=9, callbacks=[lambda net, history: len(history) == 3])
        assert (len(history), history.stopped_by) == (3, "callback")


def test_a_callback_that_changes_a_layer_is_refused_on_all_ranks():
    def train(comm):
        net = network("float32", Dropout(0.2))
        callbacks = [lambda net, history: setattr(net.layers[1], "dropout_ratio", 0.5)]
        return fitted(net, *rows(), callbacks=callbacks, comm=comm)

    for error in on_ranks(3, train):
        assert "expects callbacks that change parameters" in str(error)


@pytest.mark.parametrize("average_every", [1, 4])
def test_the_first_ranks_time_ends_training_on_all(average_every):
    """Each rank has limits of its own, of which the first one's counts."""

    def train(comm):
        seconds = 0.2 if comm.rank == 0 else 1e9
        return fitted(network(), *rows(), epochs=10**6, max_seconds=seconds, average_every=average_every, comm=comm)

    found = results(3, train)
    for net, history in found:
        assert history.stopped_by == "max_seconds"
        assert history == found[0][1]
        assert_same_bits(net, found[0][0])
    for net, history in results(2, lambda comm: fitted(network(), *rows(), max_seconds=0, comm=comm)):
        assert (len(history), history.stopped_by) == (0, "max_seconds")
        assert_same_bits(net, numbers_of(network()))


# --- checkpoints ----------------------------------------------------------------------------


class Interrupt:
    """Ctrl-C on one rank, before one of its exchanges."""

    def __init__(self, monkeypatch, rank, at):
        self.seen, look = 0, Ranks.look

        def interrupted(ranks):
            look(ranks)
            if ranks.rank == rank:
                self.seen += 1
                if self.seen == at:
                    raise KeyboardInterrupt

        monkeypatch.setattr(Ranks, "look", interrupted)


def everything(dtype="float32"):
    return {
        "epochs": 3,
        "batch_size": 7,
        "optimizer": lambda: Adam(lr=0.01, eps=1e-3),
        "validation_data": rows(29, dtype, seed=1),
        "early_stopping": lambda: EarlyStopping(5),
        "schedule": lambda done: 0.8**done,
        "sample_weight": WEIGHTS,
    }


def train_on(size, path_of=None, make=network, catch=(), **options):
    """On one machine without a communicator, or on so many ranks; what one of them has."""

    def train(comm):
        net = make()
        with contextlib.suppress(*catch):
            return fitted(net, *rows(), comm=comm, **options)
        return numbers_of(net), net.history

    found = [train(None)] if size is None else results(size, train)
    for net, _ in found[1:]:
        assert_same_bits(net, found[0][0])
    return found[0]


@pytest.mark.parametrize("after", [None, 1, 2, 3])
@pytest.mark.parametrize("before", [None, 2, 3])
def test_a_training_goes_on_with_another_number_of_ranks(before, after, tmp_path, monkeypatch):
    """Written amid an epoch, on Ctrl-C; to the bit with as many ranks."""
    make = lambda: network("float64", Dropout(0.2))  # noqa: E731
    options, path = everything("float64"), tmp_path / "file"
    undisturbed, history = train_on(after, make=make, **options)
    for every in (4, None):
        with monkeypatch.context() as patch:
            if before is None:

                def schedule(done):
                    if done > 1:
                        raise KeyboardInterrupt
                    return 0.8**done

                interrupted = options | {"schedule": schedule}
            else:
                Interrupt(patch, before - 1, 45)
                interrupted = options
            train_on(before, make=make, catch=[KeyboardInterrupt], checkpoint=path, every=every, **interrupted)
        found, seen = train_on(after, make=make, checkpoint=path, every=every, resume=path, **options)
        if before == after:
            assert_same_bits(found, undisturbed)
        assert_near(found, undisturbed, "float64")
        assert_near_history(seen, history, "float64")


@pytest.mark.parametrize("size", [2, 3])
def test_control_c_at_any_step_leaves_a_whole_checkpoint(size, tmp_path, monkeypatch):
    """On each rank; to the bit of a training that nobody disturbed."""
    path = tmp_path / "file"
    undisturbed, _ = train_on(size, **everything())
    rng, steps = np.random.default_rng(size), set()
    for rank in range(size):
        for at in rng.integers(15, 48, 4):
            with monkeypatch.context() as patch:
                interrupt = Interrupt(patch, rank, at)
                train_on(size, catch=[KeyboardInterrupt], checkpoint=path, every=2, **everything())
                assert interrupt.seen >= at
            arrays, _ = fastbp.files.read_safetensors("test", path)
            steps.add(int(arrays["progress.reached"][0]))
            found, _ = train_on(size, resume=path, **everything())
            assert_same_bits(found, undisturbed)
            path.unlink()
    assert len(steps) > 1


@pytest.mark.parametrize("rank", [0, 1])
def test_control_c_beside_a_callback_does_not_have_it_called_again(rank, tmp_path, monkeypatch):
    """Whatever it is that the ranks tell each other just then."""

    def shrink(net, history):
        net.params["W1"][...] *= 0.5

    path, options = tmp_path / "file", {"epochs": 2, "batch_size": 20, "callbacks": [shrink]}
    undisturbed, _ = train_on(2, **options)
    written = 0
    for at in range(8, 40):
        with monkeypatch.context() as patch:
            interrupt = Interrupt(patch, rank, at)
            on_ranks(2, lambda comm: fitted(network(), *rows(), checkpoint=path, comm=comm, **options))
        if interrupt.seen < at:
            break
        if path.exists():
            assert_same_bits(train_on(2, resume=path, **options)[0], undisturbed)
            path.unlink()
            written += 1
    assert written > 5


@pytest.mark.parametrize("average_every", [1, 3])
@pytest.mark.parametrize("counts", [[14, 15, 14], [0, 43], [1, 0, 0], [2, 1, 1, 2, 1]], ids=str)
def test_checkpoints_of_rows_of_their_own(counts, average_every, tmp_path):
    """Amid an epoch too, whatever each rank's parts of a batch are."""
    x, t = rows(sum(counts))
    for batch_size, every in ((5, 7), (2, 5)):
        options = {"batch_size": batch_size, "average_every": average_every, "every": every}
        whole, history = fit_own(counts, network, x, t, epochs=3, checkpoint=tmp_path / "whole", **options)
        assert [len(losses) for losses in history.batch_loss] == [math.ceil(len(x) / batch_size)] * 3
        path = tmp_path / "part"
        with enough(1), pytest.raises(_Enough):
            fit_own(counts, network, x, t, epochs=3, checkpoint=path, **options)
        found, seen = fit_own(counts, network, x, t, epochs=3, checkpoint=path, resume=path, **options)
        assert_same_bits(found, whole)
        assert [losses.tolist() for losses in seen.batch_loss] == [losses.tolist() for losses in history.batch_loss]


def test_rows_of_their_own_are_dealt_anew_between_epochs_only(tmp_path):
    """Amid one some rows would be trained twice, and some never."""
    x, t = rows(40)
    between, amid = tmp_path / "between", tmp_path / "amid"
    options = {"batch_size": 10, "optimizer": lambda: SGD(lr=0.1)}
    fit_own([20, 20], network, x, t, epochs=1, checkpoint=between, **options)
    with enough(1), pytest.raises(_Enough):
        fit_own([20, 20], network, x, t, epochs=1, checkpoint=amid, every=2, **options)
    for counts in ([10, 30], [10, 20, 10]):
        _, history = fit_own(counts, network, x, t, epochs=3, resume=between, **options)
        assert len(history) == 3
        with pytest.raises(
            (ValueError, fastbp.RankError), match=r"expects \[20, 20\] rows on its ranks, as .* amid an"
        ):
            fit_own(counts, network, x, t, epochs=3, resume=amid, **options)


class _Enough(Exception):
    pass


@contextlib.contextmanager
def enough(writes):
    """Fail behind the writing of so many checkpoints."""
    write, left = Checkpoint.write, iter(range(writes - 1))

    def writing(checkpoint, *arguments):
        write(checkpoint, *arguments)
        if checkpoint.writes and next(left, None) is None:
            raise _Enough

    Checkpoint.write = writing
    try:
        yield
    finally:
        Checkpoint.write = write


# --- every row once -------------------------------------------------------------------------


class Alone(ThreadRank):
    """A rank that says what it is told of the others."""

    def __init__(self, rank, counts):
        self.rank, self.size, self.counts = rank, len(counts), counts

    def allreduce(self, buffer):
        buffer[self.size :] = self.counts


def parts_of(counts, batch_size, rows):
    found = []
    for rank, n in enumerate(counts):
        ranks = Ranks("fit", Alone(rank, counts), rows)
        total = sum(counts) if rows == "own" else n
        found.append(ranks.parts(n, [*range(0, total, batch_size), total]))
    return np.array(found)


def test_every_row_is_trained_once_an_epoch():
    """200 random cases of rows, batches and ranks."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        size, batch_size = rng.integers(2, 9), int(rng.integers(1, 40))
        n = int(rng.integers(1, 120))
        parts = parts_of([n] * size, batch_size, "all")
        ends = np.minimum(np.arange(1, parts.shape[1] + 1) * batch_size, n)
        assert (parts[0, :, 0] == ends - np.diff(ends, prepend=0)).all()  # as one machine's batches
        assert (parts[-1, :, 1] == ends).all() and (parts[1:, :, 0] == parts[:-1, :, 1]).all()
        assert (parts[:, :, 1] - parts[:, :, 0] <= -(-batch_size // size)).all()
        counts = rng.integers(0, rng.choice([2, 10, 60]), size)
        counts[rng.integers(size)] += not counts.any()
        own = parts_of(counts, batch_size, "own")
        assert own.shape[1] == -(-counts.sum() // batch_size)
        assert (own[:, 0, 0] == 0).all() and (own[:, -1, 1] == counts).all()
        assert (own[:, 1:, 0] == own[:, :-1, 1]).all()
        sizes = own[:, :, 1] - own[:, :, 0]
        assert (np.ptp(sizes, axis=1) <= 1).all()
        for both in (parts, own):
            sizes = both[:, :, 1] - both[:, :, 0]
            assert (both[:, :, 3] == sizes.sum(axis=0)).all()
            assert (both[:, :, 2] == sizes.cumsum(axis=0) - sizes).all()


@pytest.mark.parametrize("form", ["all", "own"])
def test_every_row_is_seen_once_in_fits(form):
    """The losses of an epoch are sums over rows of which each has a number of its own."""
    rng = np.random.default_rng(1)
    for _ in range(40):
        size, batch_size = int(rng.integers(2, 6)), int(rng.integers(1, 20))
        counts = rng.integers(0, 9, size)
        counts[0] += not counts.any()
        n = int(counts.sum())
        digits = np.eye(n, dtype=np.float64)

        def train(comm, counts=counts, n=n, digits=digits, batch_size=batch_size):
            net = Sequential(nn.Linear(n, 1, bias=False, dtype=np.float64), loss="absolute_error")
            net.layers[0].W[...] = 0
            ours = own(counts, comm.rank, digits, 2.0 ** np.arange(n)[:, np.newaxis])
            data = ours if form == "own" else (digits, 2.0 ** np.arange(n)[:, np.newaxis])
            # Of a row of zeros but one the gradient is in one place: who trains says so there.
            _, history = fitted(
                net, *data, epochs=2, batch_size=batch_size, optimizer=SGD(lr=0.0), rows=form, comm=comm
            )
            return history

        for history in results(size, train):
            assert [round(loss * n) for loss in history.train_loss] == [2**n - 1] * 2


# --- steps by hand --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "split", [[8], [4, 4], [1, 7], [0, 8], [8, 0], [3, 2, 3], [0, 0, 8], [1, 1, 1, 2, 1, 1, 1]], ids=str
)
@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_steps_by_hand_are_one_machines(split, optimizer, dtype):
    """Equal and unequal rows, dropout's masks, and the loss that each rank is told."""
    x, t = rows(40, dtype)

    def train(comm):
        net = network(dtype, Relu(), Dropout(0.4))
        trainer = Trainer(net, optimizer(lr=0.01), batch_size=8, seed=5, clip_norm=0.3, comm=comm)
        losses = []
        for begin in range(0, 40, 8):
            batch = x[begin : begin + 8], t[begin : begin + 8]
            losses.append(trainer.step(*(own(split, comm.rank, *batch) if comm else batch)))
        assert trainer.steps == 5
        trainer.close()
        return numbers_of(net), losses

    alone, told = train(None)
    found = results(len(split), train)
    for net, losses in found:
        assert losses == found[0][1] == pytest.approx(told, rel=1e-5 if dtype == "float32" else 1e-12)
        assert_same_bits(net, found[0][0])
    assert_near(found[0][0], alone, dtype, times=4)


def test_a_step_without_any_rows_changes_nothing():
    def train(comm):
        net = network()
        trainer = Trainer(net, SGD(lr=0.1), batch_size=8, comm=comm)
        loss = trainer.step(*rows(0))
        return loss, trainer.steps, numbers_of(net)

    for loss, steps, net in results(3, train):
        assert (loss, steps) == (0.0, 0)
        assert_same_bits(net, numbers_of(network()))


def test_a_step_that_one_rank_refuses_is_none_on_all_and_the_next_one_is_one():
    """The ranks are where they were, so who catches the error goes on."""
    x, t = rows(40)

    def train(comm):
        net = network()
        trainer = Trainer(net, SGD(lr=0.1), batch_size=8, comm=comm)
        before = numbers_of(net)
        with pytest.raises(Exception) as caught:
            trainer.step(x[:8, :3] if comm.rank == 1 else x[:8], t[:8])
        assert_same_bits(numbers_of(net), before)
        loss = trainer.step(x[:8], t[:8])
        return caught.value, loss, trainer.steps

    found = results(3, train)
    assert isinstance(found[1][0], ValueError)
    for rank in (0, 2):
        assert isinstance(found[rank][0], fastbp.RankError)
        assert "rank 1 failed: ValueError" in str(found[rank][0])
    assert len({(loss, steps) for _, loss, steps in found}) == 1 and found[0][2] == 1
