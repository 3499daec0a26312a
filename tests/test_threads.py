"""Threads within a step, networks in several threads, forks."""

import os
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastbp
from fastbp import SGD, Adam, Linear, Relu, Sequential, Trainer, threads
from fastbp.layers import BatchNorm1d, Dropout, SoftmaxWithLoss


def network(width=64, seed=0, dtype="float32", dropout=0.0):
    return Sequential(
        Linear(20, width, dtype=dtype, seed=seed),
        BatchNorm1d(width, dtype=dtype),
        Relu(),
        Dropout(dropout),
        Linear(width, 5, dtype=dtype, seed=seed + 1),
        loss=SoftmaxWithLoss,
    )


def data(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, 20)).astype("f4"), rng.integers(0, 5, rows)


def bits(net):
    return {name: array.tobytes() for name, array in net.params.items()}


@pytest.fixture(autouse=True)
def default_threads():
    yield
    fastbp.set_num_threads(None)


# --- how many -------------------------------------------------------------------------------


def test_small_steps_take_one_thread_and_large_ones_all():
    assert threads.threads_for(1e6) == 1
    assert threads.threads_for(1e9) == threads.available_threads() >= 1
    assert threads.threads_for(1e6, 3) == threads.threads_for(1e9, 3) == 3


def test_set_num_threads_holds_until_it_is_taken_back():
    fastbp.set_num_threads(3)
    assert threads.threads_for(1e3) == threads.threads_for(1e9) == 3
    assert threads.threads_for(1e9, 2) == 2
    fastbp.set_num_threads(None)
    assert threads.threads_for(1e3) == 1
    for bad in (0, -1, 1.5, "two"):
        with pytest.raises((ValueError, TypeError), match="n_threads"):
            fastbp.set_num_threads(bad)
    assert threads.threads_for(1e3) == 1


def test_set_num_threads_gives_the_bits_of_n_threads():
    x, t = data()
    net, twin, other = network(), network(), network()
    net.fit(x, t, epochs=1, batch_size=50, optimizer=Adam(), seed=0, n_threads=2)
    fastbp.set_num_threads(2)
    twin.fit(x, t, epochs=1, batch_size=50, optimizer=Adam(), seed=0)
    assert bits(net) == bits(twin)
    fastbp.set_num_threads(1)
    other.fit(x, t, epochs=1, batch_size=50, optimizer=Adam(), seed=0, n_threads=2)
    assert bits(net) == bits(other)


def test_affinity_and_omp_num_threads_are_honoured(run_python):
    code = "from fastbp import threads; print(threads.available_threads())"
    assert run_python("-c", code, OMP_NUM_THREADS="1").stdout == "1\n"
    if hasattr(os, "sched_setaffinity"):
        core = min(os.sched_getaffinity(0))
        pinned = f"import os; os.sched_setaffinity(0, {{{core}}}); {code}"
        assert run_python("-c", pinned, OMP_NUM_THREADS="8").stdout == "1\n"


def test_all_cores_are_available_where_nothing_limits_them(run_python):
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("needs sched_getaffinity")
    code = "from fastbp import threads; print(threads.available_threads())"
    cores = len(os.sched_getaffinity(0))
    expected = max(1, min(cores, threads._container_quota()))
    assert run_python("-c", code, OMP_NUM_THREADS=str(cores)).stdout == f"{expected}\n"


@pytest.mark.parametrize(
    "limits",
    [{"OMP_THREAD_LIMIT": "1"}, {"OMP_DYNAMIC": "true"}, {"OMP_NUM_THREADS": "1"}, {"OMP_MAX_ACTIVE_LEVELS": "0"}],
    ids=str,
)
def test_a_step_is_whole_with_fewer_threads_than_asked_for(limits, run_python):
    code = """
import numpy as np
from fastbp import Adam, BatchNorm1d, Linear, Relu, Sequential
rng = np.random.default_rng(0)
x, t = rng.standard_normal((90, 20)).astype("f4"), rng.integers(0, 5, 90)
results = []
for n_threads in (1, 2, 16):
    net = Sequential(Linear(20, 100, seed=0), BatchNorm1d(100), Relu(), Linear(100, 5, seed=1),
                     loss="softmax_cross_entropy")
    history = net.fit(x, t, epochs=2, batch_size=30, optimizer=Adam(eps=1e-3), seed=0,
                      n_threads=n_threads)
    results.append((history.train_loss, net.params["W1"], net.params["W2"]))
for result in results[1:]:
    for actual, desired in zip(result, results[0]):
        np.testing.assert_allclose(actual, desired, rtol=1e-3, atol=1e-5)
"""
    done = run_python("-c", code, **limits)
    assert done.returncode == 0, done.stderr[-2000:]


# --- one network ----------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="one core")
def test_helpers_are_woken_on_other_cores_than_the_step_s(run_python):
    code = """
    import os, time
    import numpy as np
    from fastbp import SGD, Linear, Sequential, Trainer
    before, mine = set(os.listdir("/proc/self/task")), os.sched_getaffinity(0)
    net = Sequential(Linear(64, 64, seed=0), loss="softmax_cross_entropy")
    trainer = Trainer(net, SGD(lr=0.1), batch_size=64, n_threads=2)
    x, t = np.ones((64, 64), "f4"), np.zeros(64, "i8")
    def cores_of_the_helper(expected):
        until = time.monotonic() + 60
        while time.monotonic() < until:  # a step wakes it unless cores were short just now
            trainer.step(x, t)
            time.sleep(0.02)  # it sleeps by then
            (helper,) = set(os.listdir("/proc/self/task")) - before
            if expected(os.sched_getaffinity(int(helper))):
                return True
        return False
    print(cores_of_the_helper(lambda its: len(mine - its) == 1), os.sched_getaffinity(0) == mine)
    one = {min(mine)}
    os.sched_setaffinity(0, one)
    print(cores_of_the_helper(lambda its: its == one))
    os.sched_setaffinity(0, mine)
    print(cores_of_the_helper(lambda its: len(mine - its) == 1))
    """
    done = run_python("-c", textwrap.dedent(code), OPENBLAS_NUM_THREADS="1")
    assert done.stdout.split() == ["True"] * 4, done.stderr


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_the_same_threads_give_the_same_bits(n_threads, dropout, dtype):
    def train():
        net = network(dtype=dtype, dropout=dropout)
        net.fit(*data(), epochs=3, batch_size=64, optimizer=Adam(), seed=1, n_threads=n_threads)
        return bits(net)

    first = train()
    assert all(train() == first for _ in range(5))


def test_the_dropout_masks_do_not_depend_on_the_threads():
    x, t = data()
    losses = []
    for n_threads in (1, 2, 5):
        trainer = Trainer(network(dropout=0.5), SGD(lr=0.1), 300, n_threads, seed=3)
        losses.append([trainer.step(x, t) for _ in range(5)])
    np.testing.assert_allclose(losses[1:], [losses[0]] * 2, rtol=1e-4)


def big():
    rng = np.random.default_rng(0)
    net = Sequential(Linear(300, 200, seed=0), Relu(), Linear(200, 10, seed=1), loss=SoftmaxWithLoss)
    return net, rng.standard_normal((20_000, 300)).astype("f4"), rng.integers(0, 10, 20_000)


def test_two_fits_of_one_network_at_once_are_refused():
    net, x, t = big()
    started, errors, histories = threading.Event(), [], []

    def look(net, history):
        started.set()

    def train():
        histories.append(net.fit(x, t, epochs=6, optimizer=SGD(lr=0.01), callbacks=[look], seed=0))

    thread = threading.Thread(target=train)
    thread.start()
    assert started.wait(20)
    time.sleep(0.02)  # into the midst of the next epoch
    try:
        for use in (lambda: net.fit(x, t, epochs=1, optimizer=SGD(lr=0.01)), lambda: Trainer(net, SGD(lr=0.01))):
            try:
                use()
            except RuntimeError as error:
                errors.append(str(error))
    finally:
        thread.join(60)
    assert len(errors) == 2 and all("one thread at a time" in e for e in errors), errors
    assert len(histories) == 1 and len(histories[0]) == 6
    twin = big()[0]
    twin.fit(x, t, epochs=6, optimizer=SGD(lr=0.01), seed=0)
    assert bits(net) == bits(twin)


def test_two_steps_of_one_trainer_at_once_are_refused():
    net, x, t = big()
    trainer = Trainer(net, SGD(lr=0.01), 20_000, 1)
    steps, errors = [], []

    def train():
        for _ in range(5):
            try:
                steps.append(trainer.step(x, t))
            except RuntimeError as error:
                errors.append(str(error))

    workers = [threading.Thread(target=train) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert errors and all("one thread at a time" in e for e in errors)
    assert trainer.steps == len(steps) == 15 - len(errors) > 0
    assert np.isfinite(trainer.step(x, t))


def test_fits_of_one_network_that_begin_together_are_refused_or_whole():
    """Each ends before the next begins, or says so: the steps of none that returns are lost."""
    x, t = data(8)
    net, after = network(), []
    for _ in range(10):
        after.append(bits(net))
        net.fit(x, t, epochs=1, optimizer=SGD(lr=0.1), shuffle=False)

    def train(net, start, done):
        start.wait(20)
        try:
            net.fit(x, t, epochs=3, optimizer=SGD(lr=0.1), shuffle=False)
            done.append(True)
        except RuntimeError as error:
            assert "one thread at a time" in str(error) or "closed" in str(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(300):
            net, start, done = network(), threading.Barrier(3), []
            with ThreadPoolExecutor(3) as pool:
                list(pool.map(lambda _, given=(net, start, done): train(*given), range(3)))
            assert bits(net) in after[3 * len(done) :] and net.trainer is None
    finally:
        sys.setswitchinterval(interval)


def test_a_step_amid_a_look_is_seen_by_the_next_look(monkeypatch):
    x, t = data()
    net, optimizer = network(), Adam()
    trainer = Trainer(net, optimizer, 300)
    trainer.step(x, t)

    def step_of_another_thread(*_):
        monkeypatch.undo()
        trainer.step(x, t)

    monkeypatch.setattr(optimizer, "set_steps", step_of_another_thread)
    net.predict(x)
    twin = network()
    two_steps = Trainer(twin, Adam(), 300)
    for _ in range(2):
        two_steps.step(x, t)
    assert bits(net) == bits(twin) and optimizer.steps == 2


def test_a_step_amid_a_look_at_the_states_is_seen_by_the_next_look(monkeypatch):
    x, t = data()
    optimizers = []
    for amid in (True, False):
        net = network()
        optimizers.append(Adam(net.parameters()))
        trainer = Trainer(net, optimizers[-1], 300)
        trainer.step(x, t)
        if not amid:
            trainer.step(x, t)
            continue

        def then_a_step_of_another_thread(plan, places, trainer=trainer):
            monkeypatch.undo()
            plan.read_all(places)
            trainer.step(x, t)

        monkeypatch.setattr(Trainer, "read_all", then_a_step_of_another_thread)
        optimizers[0].state_dict()
    one, other = (optimizer.state_dict()["state"] for optimizer in optimizers)
    for place, kept in one.items():
        for name, state in kept.items():
            np.testing.assert_array_equal(state, other[place][name])


def test_looking_at_a_network_while_another_thread_trains_it_does_no_harm():
    net, x, t = big()
    stop, seen = threading.Event(), []

    def look():
        while not stop.is_set():
            try:
                seen.append(np.isfinite(net.predict(x[:5])).all())
            except RuntimeError as error:
                seen.append("one thread at a time" in str(error))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        net.fit(x, t, epochs=4, optimizer=SGD(lr=0.01), seed=0)
    finally:
        stop.set()
        thread.join(60)
    assert seen and all(seen)
    twin = big()[0]
    twin.fit(x, t, epochs=4, optimizer=SGD(lr=0.01), seed=0)
    assert bits(net) == bits(twin)


# --- many networks --------------------------------------------------------------------------


@pytest.mark.parametrize("n_threads", [1, 2])
def test_networks_in_threads_keep_their_bits(n_threads):
    x, t = data()

    def train(seed):
        net = network(seed=seed)
        net.fit(x, t, epochs=3, batch_size=25, optimizer=Adam(), seed=seed, n_threads=n_threads)
        return bits(net)

    one_by_one = [train(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(train, range(8)))
    assert together == one_by_one


def test_other_threads_run_while_a_network_trains():
    """Training holds no GIL: a counter in Python goes on within one call of `epoch`."""
    net, x, t = big()
    count, stop = [0], threading.Event()

    def run():
        while not stop.is_set():
            count[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=run)
    thread.start()
    trainer = Trainer(net, SGD(lr=0.01), 20_000, 1)
    try:
        before = count[0]
        start = time.perf_counter()
        for _ in range(3):
            trainer.step(x, t)
        seconds, during = time.perf_counter() - start, count[0] - before
    finally:
        stop.set()
        thread.join()
    assert during >= 0.05 * seconds / 0.001


def test_networks_in_threads_scale():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if cores < 2 or os.getloadavg()[0] > cores - 1:
        pytest.skip("needs two idle cores")
    _, x, t = big()

    def train(seed):
        net = Sequential(Linear(300, 200, seed=seed), Relu(), Linear(200, 10, seed=1), loss=SoftmaxWithLoss)
        net.fit(x, t, epochs=3, batch_size=100, optimizer=SGD(lr=0.01), seed=0, n_threads=1)

    def seconds(workers):
        start = time.perf_counter()
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(train, range(2)))
        return time.perf_counter() - start

    seconds(2)
    assert min(seconds(2) for _ in range(3)) < 0.8 * min(seconds(1) for _ in range(3))


# --- forks ----------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_child_forked_after_a_step_trains_and_so_does_its_parent(n_threads, run_python):
    # In a process of its own, which has one thread of Python.
    code = f"""
import os, signal
import numpy as np
from fastbp import SGD, Linear, Relu, Sequential, Trainer
rng = np.random.default_rng(0)
x, t = rng.standard_normal((200, 20)).astype("f4"), rng.integers(0, 5, 200)
net = Sequential(Linear(20, 64, seed=0), Relu(), Linear(64, 5, seed=1),
                 loss="softmax_cross_entropy")
trainer = Trainer(net, SGD(lr=0.1), 200, n_threads={n_threads})
for _ in range(3):
    trainer.step(x, t)
signal.alarm(20)
read, write = os.pipe()
child = os.fork()
losses = [trainer.step(x, t) for _ in range(3)]
if child == 0:
    signal.alarm(20)
    grandchild = os.fork()
    signal.alarm(20)
    losses.append(trainer.step(x, t))
    if grandchild == 0:
        os._exit(0)
    assert os.waitpid(grandchild, 0)[1] == 0
    os.write(write, repr(losses[:3]).encode())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert os.read(read, 1000).decode() == repr(losses), losses
trainer.step(x, t)
"""
    done = run_python("-W", "ignore", "-c", code, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:] or done.returncode
