"""`fit(checkpoint=..., resume=...)`: stopped anywhere, a training goes on to the same bits."""

import contextlib
import json
import os
import signal
import time

import numpy as np
import pytest

import fastbp
from fastbp import SGD, AdaGrad, Adam, AdamW, EarlyStopping, NAdam, RMSprop, Sequential, files, nn, optim
from fastbp._kernels import isa
from fastbp.layers import BatchNorm1d, BatchNormalization, Dropout, Linear, Relu, Tanh
from fastbp.training import checkpoints, plans

safetensors = pytest.importorskip("safetensors.numpy")

PER_EPOCH = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "lr")


def plain(dtype="float32"):
    return Sequential(
        Linear(6, 9, seed=0, dtype=dtype), Tanh(), Linear(9, 4, seed=1, dtype=dtype), loss="softmax_cross_entropy"
    )


def with_everything():
    return Sequential(
        Linear(6, 9, seed=0),
        BatchNormalization(np.ones(9, "f4"), np.zeros(9, "f4")),
        Relu(),
        Dropout(0.3),
        Linear(9, 9, seed=2),
        BatchNorm1d(9),
        Dropout(0.2),
        Linear(9, 4, seed=1),
        loss="softmax_cross_entropy",
    )


def of_nn(bias=True):
    net = Sequential(
        nn.Linear(6, 9, bias=bias), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 4), loss=nn.CrossEntropyLoss()
    )
    rng = np.random.default_rng(7)
    for array in net.params.values():
        array[...] = rng.normal(0, 0.5, array.shape)
    return net


def regression():
    return Sequential(Linear(6, 9, seed=0), Relu(), Linear(9, 2, seed=1), loss="huber")


def rows(n=47, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 6)).astype("f4"), rng.integers(0, 4, n)


class Adams:
    """Adam over a network's own tensors."""

    def __new__(cls, net):
        return Adam(net.parameters(), lr=0.01)


X, T = rows()
VALIDATION = rows(19, seed=1)
RULES = {
    "sgd": lambda net: SGD(lr=0.1),
    "momentum": lambda net: SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adagrad": lambda net: AdaGrad(lr=0.05, initial_accumulator_value=0.1),
    "rmsprop": lambda net: RMSprop(lr=0.01, momentum=0.5),
    "adam": lambda net: Adam(lr=0.01),
    "adamw": lambda net: AdamW(lr=0.01),
    "amsgrad": lambda net: Adam(lr=0.01, amsgrad=True),
    "nadam": lambda net: NAdam(lr=0.01),
    "tensors": Adams,
}


def csr():
    sparse = pytest.importorskip("scipy.sparse")
    return sparse.csr_matrix(np.where(np.abs(X) < 1, 0, X))


def halve_at_epoch_2(net, history):
    """As a plateau's rule does: the trainer's learning rate is a part of the training."""
    if len(history) == 2:
        net.trainer.lr /= 2


#: (network, x, t, rule, options of fit); the options are functions, made anew for each fit.
CASES = {rule: (plain, lambda: X, T, rule, {}) for rule in RULES} | {
    "float64": (lambda: plain("float64"), lambda: X, T, "adam", {}),
    "dropout and batch norm": (with_everything, lambda: X, T, "adam", {}),
    "nn": (of_nn, lambda: X, T, "momentum", {}),
    "nn without a bias": (lambda: of_nn(False), lambda: X, T, "adagrad", {}),
    "nn tensors": (of_nn, lambda: X, T, "tensors", {}),
    "regression": (regression, lambda: X, X[:, :2], "momentum", {}),
    "validation": (plain, lambda: X, T, "sgd", {"validation_data": lambda: VALIDATION}),
    "sample weights": (
        plain,
        lambda: X,
        T,
        "sgd",
        {"sample_weight": lambda: np.random.default_rng(3).integers(0, 3, 47)},
    ),
    "a batch without weight": (
        with_everything,
        lambda: X,
        T,
        "adam",
        {"sample_weight": lambda: np.r_[np.zeros(10), np.ones(37)], "shuffle": lambda: False},
    ),
    "class weights": (plain, lambda: X, T, "sgd", {"class_weight": lambda: "balanced"}),
    "soft targets": (plain, lambda: X, np.eye(4)[T], "sgd", {}),
    "schedule": (plain, lambda: X, T, "adam", {"schedule": lambda: optim.CosineDecay(4)}),
    "clip norm": (plain, lambda: X, T, "momentum", {"clip_norm": lambda: 0.1}),
    "clip value": (plain, lambda: X, T, "adam", {"clip_value": lambda: 0.01}),
    "uint8": (plain, lambda: (X * 50).astype("u1"), T, "momentum", {}),
    "sparse": (plain, csr, T, "adam", {"validation_data": lambda: (csr(), T)}),
    "a callback's lr": (plain, lambda: X, T, "sgd", {"callbacks": lambda: [halve_at_epoch_2]}),
    "early stopping": (
        plain,
        lambda: X,
        T,
        "adam",
        {"validation_data": lambda: VALIDATION, "early_stopping": lambda: EarlyStopping(2)},
    ),
    "early stopping's last": (
        plain,
        lambda: X,
        T,
        "adam",
        {"validation_data": lambda: VALIDATION, "early_stopping": lambda: EarlyStopping(1, restore_best=False)},
    ),
}


def train(case, **more):
    """A fresh network and optimiser, trained; (network, optimiser, history)."""
    make, x, t, rule, options = CASES[case]
    net = make()
    optimizer = RULES[rule](net)
    arguments = {"epochs": 4, "batch_size": 10, "seed": 5, "n_threads": 1}
    arguments |= {name: value() for name, value in options.items()} | more
    history = net.fit(x(), t, optimizer=optimizer, **arguments)
    return net, optimizer, history


def states_of(optimizer):
    if optimizer.states:
        return {f"{n}.{k}": a for n, all_ in optimizer.states.items() for k, a in enumerate(all_)}
    return {f"{k}.{n}": a.array for k, kept in enumerate(optimizer.state.values()) for n, a in kept.items()}


def assert_same(one, other):
    """The same bits: weights, running statistics, states, steps, history but for seconds."""
    (net, optimizer, history), (net2, optimizer2, history2) = one, other
    for a, b in ((plans.arrays_of(net), plans.arrays_of(net2)), (states_of(optimizer), states_of(optimizer2))):
        assert a.keys() == b.keys()
        for name in a:
            assert a[name].dtype == b[name].dtype and a[name].tobytes() == b[name].tobytes(), name
    assert optimizer.steps == optimizer2.steps
    for name in PER_EPOCH:
        assert getattr(history, name) == getattr(history2, name), name
        assert all(type(v) is float for v in getattr(history2, name))
    assert len(history.batch_loss) == len(history2.batch_loss)
    for a, b in zip(history.batch_loss, history2.batch_loss, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(history2.seconds) == len(history2) and min(history2.seconds) > 0
    assert (history.seed, history.stopped_by) == (history2.seed, history2.stopped_by)


@pytest.fixture
def written(monkeypatch):
    """The contents of all files that are written."""
    contents = []
    whole = files.arrays.write_whole

    def write(path, data):
        contents.append(data)
        whole(path, data)

    monkeypatch.setattr(files.arrays, "write_whole", write)
    return contents


# --- to the same bits -----------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_a_training_goes_on_from_every_step_to_the_same_bits(case, tmp_path, written):
    straight = train(case)
    path = tmp_path / "run"
    assert_same(straight, train(case, checkpoint=path, every=1))
    stops = list(written)
    assert len(stops) == 5 * len(straight[2])  # a file after each step
    for data in stops:
        path.write_bytes(data)
        assert_same(straight, train(case, resume=path))
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_file_and_a_damaged_checkpoint_are_written_over(tmp_path):
    path, x, t = tmp_path / "file", np.ones((4, 6), "f4"), np.zeros(4, "i8")
    path.write_bytes(b"")
    for _ in range(2):
        plain().fit(x, t, epochs=1, optimizer=SGD(lr=0.1), checkpoint=path)
        assert path.stat().st_size > 1000
        path.write_bytes(path.read_bytes()[:-20])


def test_a_training_goes_on_from_each_epoch_by_default(tmp_path, written):
    straight = train("dropout and batch norm")
    assert_same(straight, train("dropout and batch norm", checkpoint=tmp_path / "run"))
    assert len(written) == 4
    (tmp_path / "run").write_bytes(written[1])
    assert_same(straight, train("dropout and batch norm", resume=tmp_path / "run"))


@pytest.mark.parametrize(("every", "writings"), [(1, 20), (3, 7), (5, 4), (7, 3), (100, 1)])
def test_every_counts_the_steps_of_the_whole_training(every, writings, tmp_path, written):
    train("sgd", checkpoint=tmp_path / "run", every=every)
    assert len(written) == writings


def test_a_resumed_training_writes_on_at_the_same_steps(tmp_path, written):
    path = tmp_path / "run"
    straight = train("adam", checkpoint=path, every=3)
    stops = list(written)
    path.write_bytes(stops[2])
    written.clear()
    assert_same(straight, train("adam", checkpoint=path, every=3, resume=path))
    assert len(written) == len(stops) - 3


def test_more_epochs_go_on_from_the_end_of_a_training(tmp_path):
    train("momentum", epochs=2, checkpoint=tmp_path / "run")
    assert_same(train("momentum"), train("momentum", resume=tmp_path / "run"))


def test_the_seed_is_the_checkpoints(tmp_path):
    train("dropout and batch norm", seed=None, epochs=2, checkpoint=tmp_path / "run", every=3)
    one = train("dropout and batch norm", seed=None, resume=tmp_path / "run")
    assert_same(one, train("dropout and batch norm", seed=one[2].seed))


def test_what_early_stopping_ended_stays_ended_unless_it_has_more_patience(tmp_path):
    path = tmp_path / "run"
    given = {"epochs": 30, "validation_data": VALIDATION}
    stopped = train("adam", early_stopping=EarlyStopping(2), checkpoint=path, **given)
    assert stopped[2].stopped_by == "early_stopping" and len(stopped[2]) < 30
    assert_same(stopped, train("adam", early_stopping=EarlyStopping(2), resume=path, **given))
    straight = train("adam", early_stopping=EarlyStopping(4), **given)
    assert len(straight[2]) > len(stopped[2])
    on = train("adam", early_stopping=EarlyStopping(4), resume=path, **given)
    assert_same(straight, on)


def test_training_itself_is_the_same_with_a_checkpoint_and_without(tmp_path):
    assert_same(train("rmsprop"), train("rmsprop", checkpoint=tmp_path / "run", every=2))


def test_threads_that_share_the_work_go_on_to_the_same_bits(tmp_path, written):
    """On as many threads as before."""
    path = tmp_path / "run"
    straight = train("dropout and batch norm", n_threads=2, epochs=2, checkpoint=path, every=3)
    path.write_bytes(written[1])  # after 6 of the 10 steps
    assert_same(straight, train("dropout and batch norm", n_threads=2, epochs=2, resume=path))


@pytest.mark.parametrize("other", [{"FASTBP_ISA": "v2"}, {"THREADS": "2"}])
def test_on_other_machines_a_training_goes_on_to_rounding(other, tmp_path, run_python):
    if "FASTBP_ISA" in other and isa.in_use() == "plain":
        pytest.skip("has one instruction set only")
    code = """
import os, sys; sys.path.insert(0, sys.argv[2])
import test_checkpoint
test_checkpoint.train("float64", epochs=2, checkpoint=sys.argv[1],
                      n_threads=int(os.environ.get("THREADS", 1)))
"""
    done = run_python("-c", code, str(tmp_path / "run"), os.path.dirname(__file__), **other)
    assert done.returncode == 0, done.stderr
    straight, on = train("float64"), train("float64", resume=tmp_path / "run")
    for name, array in straight[0].params.items():
        np.testing.assert_allclose(on[0].params[name], array, rtol=1e-9, atol=1e-12)


# --- stopped from outside -------------------------------------------------------------------


def large():
    """60 epochs of 63 steps: long enough to be stopped in many times, on a quick machine too."""
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(4000, 40)).astype("f4"), rng.integers(0, 3, 4000)
    net = Sequential(Linear(40, 60, seed=0), Relu(), Dropout(0.2), Linear(60, 3, seed=1), loss="softmax_cross_entropy")
    optimizer = Adam()

    def fit(**more):
        arguments = {
            "epochs": 60,
            "batch_size": 64,
            "seed": 1,
            "n_threads": 1,
            "validation_data": (x[:100], t[:100]),
        } | more
        return net, optimizer, net.fit(x, t, optimizer=optimizer, **arguments)

    return fit


def again(path):
    return path if os.path.exists(path) else None


def test_max_seconds_stops_in_the_midst_of_epochs(tmp_path):
    path, partial, rng = tmp_path / "run", 0, np.random.default_rng(0)
    for _ in range(10_000):
        seconds = rng.uniform(0.001, 0.005)
        one = large()(checkpoint=path, every=10**6, resume=again(path), max_seconds=seconds)
        if one[2].stopped_by == "epochs":
            break
        partial += len(one[2].batch_loss[-1]) < 63 if len(one[2]) else 0
    assert partial
    assert_same(large()(), one)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
def test_control_c_leaves_a_checkpoint_of_the_last_step(tmp_path):
    """At random moments: in steps, in writing, in the validation, between them."""
    path = tmp_path / "run"
    rng = np.random.default_rng(0)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    interrupted, positions = 0, []
    try:
        for _ in range(10_000):
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.002, 0.05))
            with contextlib.suppress(KeyboardInterrupt):
                one = large()(checkpoint=path, every=50, resume=again(path))
                signal.setitimer(signal.ITIMER_REAL, 0)
                break
            signal.setitimer(signal.ITIMER_REAL, 0)
            interrupted += 1
            positions.append(again(path) and int(arrays(path)["progress.reached"][0]))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted and any(positions)
    assert_same(large()(), one)
    assert list(tmp_path.iterdir()) == [path]


def test_control_c_in_a_callback_has_the_callback_called_again(tmp_path):
    calls = []

    def callback(net, history):
        calls.append(len(history))
        if len(calls) == 2:
            raise KeyboardInterrupt

    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train("early stopping", seed=7, checkpoint=path, every=1000, callbacks=[callback])
    again = train("early stopping", seed=7, resume=path, callbacks=[callback])
    assert calls == [1, 2, 2, 3, 4]  # early stopping ends the fourth epoch
    assert_same(train("early stopping", seed=7), again)


def test_control_c_while_a_checkpoint_is_taken_over_takes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "run"
    train("early stopping", checkpoint=path)
    make, x, t, rule, options = CASES["early stopping"]
    net, fill = make(), plans.fill
    before = {name: array.copy() for name, array in plans.arrays_of(net).items()}

    def interrupted(arrays, values):
        monkeypatch.setattr(plans, "fill", fill)
        first = next(iter(arrays))
        fill({first: arrays[first]}, values)
        assert (arrays[first] != before[first]).any()
        raise KeyboardInterrupt

    monkeypatch.setattr(plans, "fill", interrupted)
    with pytest.raises(KeyboardInterrupt):
        net.fit(
            x(),
            t,
            epochs=4,
            batch_size=10,
            seed=5,
            optimizer=RULES[rule](net),
            resume=path,
            **{name: value() for name, value in options.items()},
        )
    for name, array in plans.arrays_of(net).items():
        np.testing.assert_array_equal(array, before[name])


def test_an_exit_writes_as_control_c_does_and_an_error_does_not(tmp_path):
    for error, writes in ((SystemExit, True), (ZeroDivisionError, False)):

        def callback(net, history, error=error):
            raise error

        path = tmp_path / error.__name__
        with pytest.raises(error):
            train("sgd", checkpoint=path, callbacks=[callback], every=1000)
        assert path.exists() == writes


KILLED = """
import json, os, random, signal, sys, time
import numpy as np
from fastbp import Adam, Dropout, Linear, Relu, Sequential

path, kills = sys.argv[1], int(sys.argv[2])
x = np.random.default_rng(0).normal(size=(300, 8)).astype("f4")
t = (x[:, 0] > 0).astype(int)

def network():
    return Sequential(Linear(8, 30, seed=0), Relu(), Dropout(0.2), Linear(30, 2, seed=1),
                      loss="softmax_cross_entropy")

def fit(net, epochs, **more):
    return net.fit(x, t, epochs=epochs, optimizer=Adam(), batch_size=32, seed=3, n_threads=1,
                   **more)

def again():
    return path if os.path.exists(path) else None

def steps_of_the_file():
    Sequential.load(path)  # which is whole
    data = open(path, "rb").read()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(header["__metadata__"]["fastbp.checkpoint"])["state"]["steps"]

EPOCHS = 4 + 20 * kills  # long enough to be killed in, on a quick machine too
random.seed(kills)
killed = steps = advanced = leftovers = 0
while killed < kills:
    child = os.fork()
    if child == 0:
        fit(network(), EPOCHS, checkpoint=path, every=1, resume=again())
        os._exit(0)
    time.sleep(0.02 + random.expovariate(1 / 0.08))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        print("ended after", killed)
        break
    killed += 1
    leftovers += any(name.endswith(".part") for name in os.listdir(os.path.dirname(path)))
    if again():
        before, steps = steps, steps_of_the_file()
        assert steps >= before, "went back"
        advanced += steps > before
last = network()
one = fit(last, EPOCHS, checkpoint=path, resume=again())
straight = network()
other = fit(straight, EPOCHS)
assert one.train_loss == other.train_loss and len(one) == EPOCHS
for key in straight.params:
    assert straight.params[key].tobytes() == last.params[key].tobytes(), key
print(f"killed={killed} advanced={advanced} steps={steps} in_writing={leftovers}")
print(sorted(os.listdir(os.path.dirname(path))))
"""


def killed(kills, run_python, tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    done = run_python("-c", KILLED, str(folder / "run"), str(kills), timeout=3000)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()[-2:]
    print(first)
    counts = dict(word.split("=") for word in first.split())
    assert int(counts["killed"]) == kills or "ended after" in done.stdout
    assert second == "['run']", "what killed writings left is removed"
    return {name: int(n) for name, n in counts.items()}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_random_moments_a_training_ends_with_the_same_bits(run_python, tmp_path):
    assert killed(6, run_python, tmp_path)["killed"] >= 3


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_a_hundred_times(run_python, tmp_path):
    counts = killed(120, run_python, tmp_path)
    assert counts["killed"] >= 100 and counts["in_writing"] >= 10


def test_the_training_of_another_process_goes_on(run_python, tmp_path):
    code = """
import sys; sys.path.insert(0, sys.argv[2])
import test_checkpoint
test_checkpoint.train("dropout and batch norm", epochs=2, checkpoint=sys.argv[1], every=3)
"""
    done = run_python("-c", code, str(tmp_path / "run"), os.path.dirname(__file__))
    assert done.returncode == 0, done.stderr
    straight = train("dropout and batch norm")
    assert_same(straight, train("dropout and batch norm", resume=tmp_path / "run"))


# --- what is in the file --------------------------------------------------------------------


def arrays(path):
    return safetensors.load(path.read_bytes())


def header(path):
    data = path.read_bytes()
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]


def test_a_checkpoint_is_a_network_file_too(tmp_path):
    path = tmp_path / "run"
    net, _, _ = train("dropout and batch norm", checkpoint=path)
    loaded = Sequential.load(path)
    assert loaded.predict(X).tobytes() == net.predict(X).tobytes()
    straight = train("dropout and batch norm", epochs=6)
    loaded.fit(X, T, epochs=6, batch_size=10, optimizer=Adam(lr=0.01), n_threads=1, resume=path)
    assert loaded.predict(X).tobytes() == straight[0].predict(X).tobytes()


def test_pytorch_reads_the_weights(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    net, _, _ = train("adam", checkpoint=tmp_path / "run")
    theirs = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.Tanh(), torch.nn.Linear(9, 4))
    missing, unexpected = theirs.load_state_dict(load_file(tmp_path / "run"), strict=False)
    assert not missing
    assert {n.split(".")[0] for n in unexpected} == {"optimizer", "history", "progress"}
    with torch.no_grad():
        np.testing.assert_allclose(theirs(torch.tensor(X)), net.predict(X), rtol=1e-4, atol=1e-6)


def test_the_metadata_is_json_and_nothing_is_pickled(tmp_path):
    train("early stopping", checkpoint=tmp_path / "run", every=3)
    metadata = header(tmp_path / "run")
    assert set(metadata) == {"fastbp", "fastbp.checkpoint", "fastbp.crc32"}

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    for key in ("fastbp", "fastbp.checkpoint"):
        json.loads(metadata[key], parse_constant=refuse)
    assert not any(metadata[key].startswith(("\x80", "PK")) for key in metadata)


# --- refused --------------------------------------------------------------------------------


def snapshot(net, optimizer):
    return (
        {n: a.tobytes() for n, a in plans.arrays_of(net).items()},
        optimizer.steps,
        {n: a.tobytes() for n, a in states_of(optimizer).items()},
    )


OTHERS = {
    "batch_size": (lambda: {"batch_size": 11}, "batch_size 10.*got 11"),
    "shuffle": (lambda: {"shuffle": False}, "shuffle True.*got False"),
    "seed": (lambda: {"seed": 6}, "seed 5.*got 6"),
    "a class": (lambda: {"optimizer": AdamW(lr=0.01)}, "optimizer"),
    "a number": (lambda: {"optimizer": Adam(lr=0.02)}, r"optimizer.lr 0.01.*got 0.02"),
    "clip_norm": (lambda: {"clip_norm": 1}, "clip_norm None.*got 1.0"),
    "clip_value": (lambda: {"clip_value": 2}, "clip_value None.*got 2.0"),
    "rows": (lambda: {"x": X[:40], "t": T[:40]}, "rows 47.*got 40"),
    "x": (lambda: {"x": X + 1}, "checksum of x, t and weights"),
    "t": (lambda: {"t": (T + 1) % 4}, "checksum of x, t and weights"),
    "weights": (lambda: {"sample_weight": np.arange(47)}, "checksum of x, t and weights"),
    "validation": (lambda: {"validation_data": VALIDATION}, "checksum of validation_data None"),
    "early stopping": (lambda: {"early_stopping": EarlyStopping(monitor="train_loss")}, "early_stopping None"),
    "epochs": (lambda: {"epochs": 1}, "epochs of at least 2.*got 1"),
    "a layer": (
        lambda: {"net": Sequential(Linear(6, 9), Relu(), Linear(9, 4), loss="softmax_cross_entropy")},
        r"layers\[1\].type",
    ),
    "widths": (
        lambda: {"net": Sequential(Linear(6, 8), Tanh(), Linear(8, 4), loss="softmax_cross_entropy")},
        r"layers\[0\].out_features 9.*got 8",
    ),
    "a loss": (
        lambda: {
            "net": Sequential(Linear(6, 9), Tanh(), Linear(9, 4), loss="sigmoid_cross_entropy"),
            "t": np.eye(4)[T],
        },
        "loss.type",
    ),
    "dtype": (lambda: {"net": plain("float64")}, "dtype 'float32'.*got 'float64'"),
    "no such file": (lambda: {"resume": "/nowhere/run"}, None),
    "no path": (lambda: {"resume": 5}, "resume as the path"),
    "every alone": (lambda: {"every": 5}, "every with a checkpoint"),
    "every 0": (lambda: {"every": 0, "checkpoint": "run2"}, "every of at least 1"),
    "a folder": (lambda: {"checkpoint": "."}, None),
    "no folder": (lambda: {"checkpoint": "nowhere/run"}, None),
    "no checkpoint path": (lambda: {"checkpoint": 1.5}, "checkpoint as the path"),
    "clip of text": (lambda: {"clip_norm": "a"}, "clip_norm as a number"),
    "clip of 0": (lambda: {"clip_norm": 0}, None),
}


@pytest.mark.parametrize("case", OTHERS)
def test_another_training_is_refused_before_anything_changes(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "run"
    train("adam", epochs=2, checkpoint=path, every=3)
    before = path.read_bytes()
    given = {
        "net": plain(),
        "x": X,
        "t": T,
        "optimizer": Adam(lr=0.01),
        "epochs": 4,
        "seed": 5,
        "batch_size": 10,
        "n_threads": 1,
        "resume": path,
    }
    good = dict(given)
    make, message = OTHERS[case]
    given |= make()
    if given["net"] is not good["net"]:
        good["net"] = plain()
    net, optimizer = given.pop("net"), given["optimizer"]
    net.fit(X, given["t"] if len(given["t"]) == 47 else T, epochs=1, optimizer=SGD(lr=0.1))
    history, kept = net.history, snapshot(net, optimizer)
    with pytest.raises((ValueError, TypeError, OSError)) as caught:
        net.fit(**given)
    text = str(caught.value)
    assert message is None or ("fit expects" in text and text.endswith(".") and ". " not in text)
    if message is not None:
        caught.match(message)
    assert net.history is history and net.trainer is None
    assert snapshot(net, optimizer) == kept
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    assert_same(train("adam"), train("adam", resume=path))


def test_other_validation_data_of_as_many_rows_is_refused(tmp_path):
    path, (x, t) = tmp_path / "run", VALIDATION
    train("adam", epochs=2, checkpoint=path, validation_data=(x, t))
    with pytest.raises(ValueError, match="checksum of validation_data"):
        train("adam", resume=path, validation_data=(x + 1, t))
    train("adam", resume=path, validation_data=(x, t))


def test_a_changed_row_among_many_is_found_by_its_target():
    x, t = rows(10_000)
    crc = checkpoints.checksum(x, t, None)
    t[777] += 1
    assert checkpoints.checksum(x, t, None) != crc
    start = time.perf_counter()
    checkpoints.checksum(np.zeros((60_000, 784), "f4"), np.zeros(60_000, int), None)
    assert time.perf_counter() - start < 1


def test_nan_is_not_written(tmp_path):
    path = tmp_path / "run"
    train("sgd", checkpoint=path)
    before = path.read_bytes()

    def spoil(net, history):
        net.params["b1"][0] = np.nan
        net.trainer.reload()

    with pytest.raises(FloatingPointError, match=r"NaN in 0.bias after step 5"):
        train("sgd", checkpoint=path, callbacks=[spoil])
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_ends_training_and_leaves_the_checkpoint(call, tmp_path, monkeypatch):
    path = tmp_path / "run"
    train("sgd", epochs=2, checkpoint=path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        train("sgd", checkpoint=path, resume=path)
    monkeypatch.undo()
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    assert_same(train("sgd"), train("sgd", resume=path))


@pytest.mark.parametrize("option", ["checkpoint", "resume"])
def test_arrays_of_two_dtypes_are_refused(option, tmp_path):
    """They are trained in float64, of which their own file would keep half of the digits."""
    net = Sequential(Linear(6, 9, seed=0, dtype="float64"), Linear(9, 4, seed=1), loss="huber")
    path = tmp_path / "run"
    with pytest.raises(ValueError, match=r"one dtype, float64, .*got float32 in 1\.weight"):
        net.fit(X, X[:, :4], epochs=1, optimizer=SGD(lr=0.1), **{option: path})
    assert not path.exists()


def test_leftovers_of_dead_processes_are_removed_and_no_others(tmp_path, run_python):
    dead = int(run_python("-c", "import os; print(os.getpid())").stdout)
    names = {
        f"run.{dead}.1.part": False,
        f"run.{os.getpid()}.1.part": False,
        f"run.{10**30}.1.part": False,
        f"run.{os.getppid()}.1.part": True,
        f"other.{dead}.1.part": True,
        "run.part": True,
        "run": True,
    }
    for name in names:
        (tmp_path / name).touch()
    train("sgd", checkpoint=tmp_path / "run")
    assert {p.name for p in tmp_path.iterdir()} == {name for name, stays in names.items() if stays}


def test_a_training_elsewhere_whose_file_has_a_like_name_removes_nothing(tmp_path, monkeypatch):
    one, other = (tmp_path / f"{'hidden=64-' * 6}lr={lr}" for lr in (0.1, 0.2))
    replace = os.replace

    def meanwhile(partial, target):
        with monkeypatch.context() as elsewhere:  # another machine does not know our processes
            elsewhere.setattr(files.whole, "_is_another", lambda _: False)
            elsewhere.setattr(files.whole, "_partials", set())
            files.remove_leftovers(other)
        replace(partial, target)

    monkeypatch.setattr(os, "replace", meanwhile)
    train("sgd", checkpoint=one)
    assert list(tmp_path.iterdir()) == [one]


def test_a_callback_may_change_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    train("sgd", checkpoint="run", callbacks=[lambda *_: os.chdir(tmp_path / "other")])
    assert_same(train("sgd", epochs=5), train("sgd", epochs=5, resume=tmp_path / "run"))
    assert not list((tmp_path / "other").iterdir())


def test_without_a_checkpoint_nothing_of_it_runs(monkeypatch):
    for name in ("Checkpoint", "read", "checksum"):
        monkeypatch.setattr(checkpoints, name, None)
    assert len(train("adam")[2]) == 4


def test_without_safetensors_fit_says_what_to_install(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"fit needs safetensors"):
        train("sgd", checkpoint=tmp_path / "run")
    assert fastbp.Sequential is Sequential
