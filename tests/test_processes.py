"""Processes and threads around a training: forks, pools, many threads, what the process keeps."""

import itertools
import os
import pickle
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastbp
from fastbp import SGD, Adam, Linear, Relu, Sequential, Trainer

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="needs /proc")

#: A module for fresh interpreters and their children: trainings whose bits are compared.
WORK = '''
import os, signal, sys, threading
import numpy as np
from fastbp import Adam, Dropout, Linear, Relu, SGD, Sequential, Trainer

def data(rows=400, width=30, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, width)).astype("f4"), rng.integers(0, 5, rows)

def network(seed=0, width=120):
    return Sequential(Linear(30, width, seed=seed), Relu(), Dropout(0.2),
                      Linear(width, 5, seed=seed + 1), loss="softmax_cross_entropy")

def bits(net):
    return b"".join(array.tobytes() for array in net.params.values())

def fit(seed=0, n_threads=2, callbacks=()):
    net = network(seed)
    net.fit(*data(), epochs=3, batch_size=100, optimizer=Adam(), seed=seed, n_threads=n_threads,
            callbacks=callbacks)
    return bits(net)

def wait(child):
    """A child's exit code; a child that hangs ends by its alarm."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
'''


@pytest.fixture
def run_script(run_python, tmp_path):
    """run_script(code, **environment): the code after `from work import *`, as a program."""
    (tmp_path / "work.py").write_text(WORK)

    def run(code, timeout=120, **environment):
        (tmp_path / "program.py").write_text("from work import *\n" + code)
        done = run_python("-W", "ignore", "program.py", timeout=timeout, **environment)
        assert done.returncode == 0, (done.returncode, done.stdout[-500:], done.stderr[-2000:])
        return done.stdout

    return run


# --- forks ----------------------------------------------------------------------------------


@needs_fork
def test_forks_in_the_midst_of_another_threads_steps(run_script):
    """The parent's other thread goes on, and the children train; the busy network says so."""
    run_script("""
expected = fit()
rng = np.random.default_rng(0)
x, t = rng.standard_normal((2000, 300)).astype("f4"), rng.integers(0, 5, 2000)
big = Sequential(Linear(300, 200, seed=0), Relu(), Linear(200, 5, seed=1),
                 loss="softmax_cross_entropy")
trainer = Trainer(big, SGD(lr=0.01), 2000, n_threads=2)
stop, steps = threading.Event(), []
def train():
    while not stop.is_set():
        steps.append(trainer.step(x, t))
thread = threading.Thread(target=train)
thread.start()
for _ in range(15):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            assert fit() == expected
            try:
                big.predict(x[:3])
            except RuntimeError as error:  # forked in the midst of a step
                assert "one thread at a time" in str(error)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
    assert wait(child) == 0
    assert fit() == expected
before = len(steps)
stop.set()
thread.join(60)
assert not thread.is_alive() and before > 0 and np.isfinite(steps).all()
""")


@needs_fork
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_fork_in_a_callback_lets_both_go_on(n_threads, run_script):
    run_script(f"""
expected = fit(3, {n_threads})
children = []
def fork(net, history):
    if len(history) == 1:
        children.append(os.fork())
        if children[-1] == 0:
            signal.alarm(60)
same = fit(3, {n_threads}, [fork]) == expected
if children[0] == 0:
    os._exit(0 if same and fit(4, {n_threads}) != expected else 1)
assert same and wait(children[0]) == 0
""")


@needs_fork
def test_a_fork_from_another_thread_than_the_main_one(run_script):
    run_script("""
expected = fit()
codes = []
def forks():
    assert fit() == expected
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if fit() == expected else 1)
    codes.append(wait(child))
for _ in range(3):
    thread = threading.Thread(target=forks)
    thread.start()
    thread.join(60)
assert codes == [0] * 3 and fit() == expected
""")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_of_processes_give_the_bits_of_one(method, run_script):
    """Of all three kinds, after steps in several threads here, with threads in the children."""
    run_script(f"""
import multiprocessing
from multiprocessing.pool import ThreadPool
def nested(seeds):
    with ThreadPool(2) as pool:
        return pool.map(fit, seeds)
if __name__ == "__main__":
    if {method!r} not in multiprocessing.get_all_start_methods():
        sys.exit(0)
    expected = [fit(seed) for seed in range(4)]
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        assert pool.map_async(fit, range(4)).get(60) == expected
        assert pool.map_async(nested, [[0, 1], [2, 3]]).get(60) == [expected[:2], expected[2:]]
    assert fit(2) == expected[2]
""")


def test_joblibs_workers_give_the_bits_of_one(run_script):
    pytest.importorskip("sklearn")
    run_script("""
import joblib
from fastbp import threads
from fastbp.estimators import MLPClassifier
x, t = data()
def estimate(seed):
    model = MLPClassifier((40,), max_iter=3, random_state=seed, n_threads=2).fit(x, t)
    return b"".join(W.tobytes() for W in model.coefs_)
def cores(_):
    return threads.threads_for(1e12)
if __name__ == "__main__":
    for function in (fit, estimate):
        expected = [function(seed) for seed in range(4)]
        for backend in ("loky", "threading", "multiprocessing"):
            done = joblib.Parallel(2, backend=backend)(map(joblib.delayed(function), range(4)))
            assert done == expected, backend
    both = joblib.Parallel(2, backend="loky")(map(joblib.delayed(cores), range(2)))
    assert sum(both) <= max(2, len(os.sched_getaffinity(0))), both
""")


@needs_fork
def test_a_fork_beside_torch(run_script):
    pytest.importorskip("torch")
    run_script("""
import torch
torch.set_num_threads(2)
(torch.ones(400, 400) @ torch.ones(400, 400)).sum()
expected = fit()
child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(0 if fit() == expected else 1)
assert wait(child) == 0 and fit() == expected
assert (torch.ones(400, 400) @ torch.ones(400, 400)).sum() == 400**3
assert torch.get_num_threads() == 2
""")


# --- threads --------------------------------------------------------------------------------


def data(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, 20)).astype("f4"), rng.integers(0, 5, rows)


def network(seed=0, width=64):
    return Sequential(
        Linear(20, width, seed=seed), Relu(), Linear(width, 5, seed=seed + 1), loss="softmax_cross_entropy"
    )


def bits(net):
    return b"".join(array.tobytes() for array in net.params.values())


@pytest.mark.parametrize("n_threads", [1, 2])
def test_sixteen_threads_step_sixteen_networks(n_threads):
    x, t = data()

    def train(seed):
        trainer = Trainer(network(seed), Adam(), 300, n_threads)
        losses = [trainer.step(x, t) for _ in range(20)]
        return losses, bits(trainer.net)

    one_by_one = [train(seed) for seed in range(16)]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(train, range(16))) == one_by_one


def test_sixteen_threads_predict_with_one_network():
    """`predict` is re-entrant: of a network as it is, and of one whose trainer is ahead of it."""
    x, t = data(2_000)
    net = network()
    trainer = Trainer(net, SGD(lr=0.1), 300)
    for _ in range(3):
        trainer.step(x[:300], t[:300])
        start = threading.Barrier(16)

        def predict(k, start=start):
            start.wait(30)
            return [net.predict(x[k:]).tobytes() for k in range(k % 4, 8)]

        with ThreadPoolExecutor(16) as pool:
            together = list(pool.map(predict, range(16)))
        assert together == [[net.predict(x[k:]).tobytes() for k in range(k % 4, 8)] for k in range(16)]


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_an_estimator_predicts_in_sixteen_threads():
    MLPClassifier = pytest.importorskip("fastbp.estimators").MLPClassifier
    x, t = data()
    model = MLPClassifier((30,), max_iter=3, random_state=0).fit(x, t)
    expected = model.predict_proba(x).tobytes()
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda _: model.predict_proba(x).tobytes(), range(64))) == {expected}


def test_a_failing_thread_leaves_the_others_and_its_network_whole():
    x, t = data()
    expected = [None] * 8
    for seed in range(8):
        net = network(seed)
        net.fit(x, t, epochs=3, optimizer=SGD(lr=0.1), seed=0, n_threads=2)
        expected[seed] = bits(net)

    def fail(net, history):
        raise LookupError("of a callback")

    def train(seed):
        net = network(seed)
        if seed % 2:
            with pytest.raises(LookupError):
                net.fit(x, t, epochs=3, optimizer=SGD(lr=0.1), seed=1, callbacks=[fail])
            with pytest.raises(ValueError):
                net.fit(x, t[:5], epochs=3, optimizer=SGD(lr=0.1))
            net = network(seed)
        net.fit(x, t, epochs=3, optimizer=SGD(lr=0.1), seed=0, n_threads=2)
        return bits(net)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(train, range(8))) == expected


def test_a_training_within_a_callback():
    """Of another network it goes; of the same one the inner training ends the outer."""
    x, t = data()
    alone, net, inner = network(0), network(0), network(7)
    alone.fit(x, t, epochs=3, optimizer=SGD(lr=0.1), seed=0, n_threads=2)
    net.fit(
        x,
        t,
        epochs=3,
        optimizer=SGD(lr=0.1),
        seed=0,
        n_threads=2,
        callbacks=[lambda *_: inner.fit(x, t, epochs=1, optimizer=SGD(lr=0.1), n_threads=2) and 0],
    )
    assert bits(net) == bits(alone)
    with pytest.raises(RuntimeError, match="closed, by another Trainer or fit"):
        net.fit(
            x,
            t,
            epochs=3,
            optimizer=SGD(lr=0.1),
            seed=0,
            callbacks=[lambda *_: net.fit(x, t, epochs=1, optimizer=SGD(lr=0.1)) and 0],
        )
    assert np.isfinite(net.loss(x, t))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
def test_a_signals_handler_finds_the_network_between_two_steps(tmp_path):
    """In the midst of an epoch it saves and predicts, as on a cluster, and no thread comes between.

    A training of the same network ends the one that it interrupted.
    """
    x, t = data(50_000)
    found, refused = [], []

    def fit(handler):
        net = network(0, 256)

        def handle(*_):
            if net.trainer is not None:
                handler(net)
            signal.setitimer(signal.ITIMER_REAL, 0.03)

        before = signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        try:
            net.fit(x, t, epochs=4, optimizer=Adam(), seed=0, n_threads=2)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        return bits(net)

    def step(trainer):
        try:
            trainer.step(x[:8], t[:8])
        except RuntimeError as error:
            refused.append(error)

    def look(net):
        found.append(net.trainer.busy)
        pickle.loads(pickle.dumps(net)).predict(x[:8])
        net.save(tmp_path / "net")
        assert bits(Sequential.load(tmp_path / "net")) == bits(net)
        if net.trainer.busy:
            thread = threading.Thread(target=step, args=[net.trainer])
            thread.start()
            thread.join()

    assert fit(look) == fit(lambda net: None)
    assert any(found) and len(refused) == sum(found)
    with pytest.raises(RuntimeError, match="closed, by another Trainer or fit"):
        fit(lambda net: net.fit(x, t, epochs=1, optimizer=SGD(lr=0.1)))


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs POSIX")
def test_ctrl_c_while_other_threads_train(run_script):
    """It reaches the main thread; the others' trainings end whole."""
    run_script("""
import time
expected = [fit(seed) for seed in range(4)]
results, started = {}, threading.Barrier(5)
def train(seed):
    started.wait(30)
    for _ in range(5):
        results[seed] = fit(seed)
threads = [threading.Thread(target=train, args=[seed]) for seed in range(4)]
for thread in threads:
    thread.start()
net = network(9)
threading.Timer(0.3, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)).start()
started.wait(30)
try:
    net.fit(*data(), epochs=10**9, optimizer=Adam(), n_threads=2)
except KeyboardInterrupt:
    assert net.history.stopped_by == "interrupt" and np.isfinite(net.loss(*data()))
else:
    raise AssertionError("not interrupted")
for thread in threads:
    thread.join(60)
assert [results[seed] for seed in range(4)] == expected
""")


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_interpreter_ends_while_a_daemon_trains(n_threads, run_script):
    for seconds in (0.0, 0.05):
        run_script(f"""
import time
def train(seed):
    network(seed).fit(*data(), epochs=10**9, batch_size=400, optimizer=Adam(),
                      n_threads={n_threads})
for seed in range(3):
    threading.Thread(target=train, args=[seed], daemon=True).start()
time.sleep({seconds})
""")


def test_a_subinterpreter_imports_or_refuses_and_harms_nothing(run_script):
    run_script("""
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
expected = fit()
other = interpreters.create()
try:
    failure = interpreters.run_string(other, "import fastbp")
except interpreters.RunFailedError as error:
    failure = error
if failure is not None:
    assert "ImportError" in str(failure) or "interpreter" in str(failure), failure
interpreters.destroy(other)
assert fit() == expected
""")


# --- cores that others use ------------------------------------------------------------------


@needs_proc
def test_networks_by_the_thousand_share_a_few_threads_and_files(run_script):
    run_script(
        """
def count():
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))
x, t = data(100)
fit()
before = count()
trainers = [Trainer(network(width=20), SGD(lr=0.1), 100, n_threads=2) for _ in range(1000)]
for trainer in trainers:
    trainer.step(x, t)
assert count() == before, (before, count())
assert count()[0] <= max(2, os.cpu_count()) + threading.active_count()
""",
        OPENBLAS_NUM_THREADS="1",
        OMP_NUM_THREADS="1",
    )


@needs_fork
def test_threads_without_cores_cost_no_processor_time(run_script):
    """Eight processes of two threads each: little more processor time than of one thread each.

    Barriers that spin took several times as much.
    """
    run_script("""
import multiprocessing, time
from fastbp import Linear, Sequential
rng = np.random.default_rng(0)
x, t = rng.standard_normal((640, 300)).astype("f4"), rng.integers(0, 10, 640)
def child(n_threads, begin, results):
    net = Sequential(Linear(300, 200, seed=0), Relu(), Linear(200, 10, seed=1),
                     loss="softmax_cross_entropy")
    net.fit(x, t, epochs=1, batch_size=64, optimizer=SGD(lr=0.01), n_threads=n_threads)
    begin.wait()
    start = time.process_time()
    net.fit(x, t, epochs=20, batch_size=64, optimizer=SGD(lr=0.01), n_threads=n_threads)
    results.put(time.process_time() - start)
def seconds(n_threads):
    context = multiprocessing.get_context("fork")
    begin, results = context.Barrier(8), context.SimpleQueue()
    processes = [context.Process(target=child, args=(n_threads, begin, results)) for _ in range(8)]
    for process in processes:
        process.start()
    total = sum(results.get() for _ in processes)
    for process in processes:
        process.join()
    return total
ratios = []
for _ in range(5):
    ratios.append(seconds(2) / seconds(1))
    if min(ratios) < 1.3:
        break
else:
    raise AssertionError(ratios)
""")


# --- what the process keeps -----------------------------------------------------------------


def test_import_and_fit_leave_the_process_as_it_was(run_python):
    """Locale, signals, filters, random numbers, the environment, cores, rounding, errno."""
    code = """
import ctypes, decimal, locale, os, random, signal, sys, threading, warnings
import numpy as np
tiny = np.array([1e-45], "f4")
def state():
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    return {
        "locale": locale.setlocale(locale.LC_ALL), "environment": dict(os.environ),
        "signals": [signal.getsignal(s) for s in sorted(signal.valid_signals())],
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, []),
        "filters": list(warnings.filters), "errors": np.geterr(), "print": np.get_printoptions(),
        "numpy": np.random.get_state()[1].tobytes(), "random": random.getstate(),
        "affinity": affinity, "recursion": sys.getrecursionlimit(), "decimal": decimal.getcontext(),
        "switch": sys.getswitchinterval(), "threads": threading.active_count(),
        "folder": os.getcwd(), "umask": (os.umask(0o22), os.umask(0o22))[1],
        "hooks": (sys.excepthook, threading.excepthook, sys.displayhook, sys.stdout),
        "subnormals": (float(tiny[0] * np.float32(1)) > 0, (tiny * 1 > 0).all(),
                       (np.full(64, 5e-324) * 1 > 0).all(), 5e-324 * 1.0 > 0),
    }
before = state()
assert all(before["subnormals"])
import fastbp
imported = state()
from fastbp import Adam, Linear, Sequential
rng = np.random.default_rng(0)
for n_threads in (1, 2, None):
    net = Sequential(Linear(600, 300, seed=0), Linear(300, 5, seed=1), loss="softmax_cross_entropy")
    net.fit(rng.standard_normal((128, 600)).astype("f4"), rng.integers(0, 5, 128), epochs=3,
            batch_size=64, optimizer=Adam(), n_threads=n_threads, seed=0)
    net.predict(np.ones((3, 600), "f4"))
trained = state()
for name in before:
    assert before[name] == imported[name], f"import changed {name}"
    assert before[name] == trained[name], f"fit changed {name}"
"""
    for environment in ({"OMP_NUM_THREADS": "2"}, {"LC_ALL": "C"}):
        done = run_python("-W", "error", "-c", code, **environment)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr[-2000:]


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_subnormals_survive_in_all_threads(n_threads, dtype):
    """Every weight becomes a subnormal gradient times the rate, whoever makes it."""
    least = np.finfo(dtype).smallest_subnormal
    x = np.full((64, 512), 1000 * least, dtype)
    for _ in range(20):
        W = np.zeros((512, 4), dtype)
        net = Sequential(fastbp.Affine(W, np.zeros(4, dtype)), loss="softmax_cross_entropy")
        Trainer(net, SGD(lr=1.0), 64, n_threads).step(x, np.zeros(64, np.int64))
        net.predict(x[:1])
        assert (W[:, 0] > 0).all() and (W[:, 1:] < 0).all()


IMPORTS = ["numpy", "torch", "sklearn.neural_network", "scipy.sparse", "fastbp"]
USES = """
import sys
import {imports}
import numpy as np, scipy.sparse, sklearn.neural_network, torch, fastbp
from fastbp.estimators import MLPClassifier
rng = np.random.default_rng(0)
x, t = rng.standard_normal((90, 20)).astype("f4"), rng.integers(0, 3, 90)
net = fastbp.Sequential(fastbp.Linear(20, 300, seed=0), fastbp.Relu(),
                        fastbp.Linear(300, 3, seed=1), loss="softmax_cross_entropy")
W = [torch.tensor(p.copy(), requires_grad=True) for p in net.params.values()]
net.fit(x, t, epochs=1, batch_size=90, shuffle=False, optimizer=fastbp.SGD(lr=0.1), n_threads=2)
y = torch.relu(torch.tensor(x) @ W[0] + W[1]) @ W[2] + W[3]
torch.nn.functional.cross_entropy(y, torch.tensor(t)).backward()
for mine, theirs in zip(net.params.values(), W):
    np.testing.assert_allclose(mine, (theirs - 0.1 * theirs.grad).detach(), rtol=1e-4, atol=1e-6)
how = dict(hidden_layer_sizes=(9,), max_iter=2, random_state=0)
import warnings
warnings.simplefilter("ignore")
mine = MLPClassifier(**how).fit(x, t)
theirs = sklearn.neural_network.MLPClassifier(**how).fit(x, t)
np.testing.assert_allclose(mine.loss_curve_, theirs.loss_curve_, rtol=1e-4)
assert (scipy.sparse.csr_array(x) @ np.ones(20, "f4")).shape == (90,)
assert np.float32(1e-45) * np.float32(1) > 0 and np.linalg.inv(np.eye(50)).sum() == 50
"""


def require_imports(order, run_python, threads):
    for module in ("torch", "sklearn", "scipy"):
        pytest.importorskip(module)
    code = USES.format(imports=", ".join(order))
    environment = {"OMP_NUM_THREADS": threads} if threads else {}
    done = run_python("-c", code, **environment)
    assert done.returncode == 0, (order, done.stderr[-2000:])


@pytest.mark.parametrize("order", [IMPORTS, IMPORTS[::-1]], ids=["first", "last"])
def test_imports_first_and_last(order, run_python):
    require_imports(order, run_python, None)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [None, "1"])
@pytest.mark.parametrize("order", list(itertools.permutations(IMPORTS)), ids=",".join)
def test_imports_in_every_order(order, threads, run_python):
    require_imports(order, run_python, threads)


# --- leaks ----------------------------------------------------------------------------------


def use_everything_once(k):
    """Plans, tensors, a fit, and errors at several depths."""
    x, t = data(16)
    net = network(width=8)
    net.fit(x, t, epochs=1, batch_size=8, optimizer=SGD(lr=0.1), seed=0, n_threads=1 + k % 2)
    trainer = Trainer(net, Adam(), 8)
    trainer.step(x[:8], t[:8])
    y = fastbp.tensor(x, requires_grad=True)
    (y * y).sum().backward()
    for wrong in (
        lambda: net.fit(x, t[:3], epochs=1, optimizer=SGD(lr=0.1)),
        lambda: net.fit(x, t + 99, epochs=1, optimizer=SGD(lr=0.1)),
        lambda: net.fit(x * np.nan, t, epochs=1, optimizer=SGD(lr=0.1), n_threads=2),
        lambda: trainer.step(x, t),
        lambda: Trainer(net, SGD(lr=0.1), 0),
        lambda: y @ y,
        lambda: net.predict(x[:, :3]),
    ):
        with pytest.raises((ValueError, TypeError, RuntimeError, FloatingPointError)):
            wrong()


def growth_of_memory(rounds):
    import gc

    def resident():
        gc.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    for k in range(max(100, rounds // 5)):
        use_everything_once(k)
    before = resident()
    for k in range(rounds):
        use_everything_once(k)
    return resident() - before


@needs_proc
def test_fits_and_errors_leak_no_memory():
    assert growth_of_memory(400) <= 1 << 19


@needs_proc
@pytest.mark.slow
def test_ten_thousand_fits_and_errors_leak_no_memory():
    assert growth_of_memory(10_000) <= 1 << 20


@needs_proc
def test_fits_and_forks_leak_no_files(run_script):
    run_script("""
def files():
    return len(os.listdir("/proc/self/fd"))
before = files()
for k in range(1000):
    Trainer(network(width=9), SGD(lr=0.1), 100, n_threads=1 + k % 2).step(*data(100))
    if k % 100 == 0:
        child = os.fork()
        if child == 0:
            os._exit(0)
        wait(child)
assert files() == before
""")
