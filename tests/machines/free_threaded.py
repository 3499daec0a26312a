"""fastbp on a free-threaded Python: `python free_threaded.py [seconds]`.

Imports every module and sees that the GIL stays off; then threads use one network at once, and
networks of their own, as the documentation allows.
"""

import importlib
import pkgutil
import sys
import threading
import time

import numpy as np

import fastbp

OPTIONAL = ["sklearn", "scikit-learn", "matplotlib", "tqdm", "safetensors"]
WORKERS = 8


def import_everything():
    """Import all of fastbp; the modules whose optional packages are missing are returned."""
    missing = []
    for module in pkgutil.walk_packages(fastbp.__path__, "fastbp."):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            if not any(name in str(error) for name in OPTIONAL):
                raise
            missing.append(module.name)
        assert not sys._is_gil_enabled(), f"{module.name} has turned the GIL on"
    return missing


def in_threads(work, seconds):
    """Run work(number of the thread) in many threads, again and again; raise the first error."""
    errors, counts, end = [], [0] * WORKERS, time.monotonic() + seconds

    def run(worker):
        try:
            while time.monotonic() < end and not errors:
                work(worker)
                counts[worker] += 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return sum(counts)


def network(seed=0):
    """A small network and rows for it."""
    rng = np.random.default_rng(0)
    net = fastbp.Sequential(
        fastbp.Linear(20, 40, seed=seed),
        fastbp.Relu(),
        fastbp.Linear(40, 5, seed=seed + 1),
        loss="softmax_cross_entropy",
    )
    return net, rng.standard_normal((60, 20)).astype("f4"), rng.integers(0, 5, 60)


def bits(net):
    """The parameters' bytes."""
    return [array.tobytes() for array in net.params.values()]


def one_trainer(seconds):
    """Steps of one trainer from all threads: each is done whole, or refused."""
    net, x, t = network()
    trainer = fastbp.Trainer(net, fastbp.SGD(lr=0.01), 60, 1)
    done = [0] * WORKERS

    def work(worker):
        try:
            trainer.step(x, t)
        except RuntimeError as error:
            assert "one thread at a time" in str(error), error
        else:
            done[worker] += 1

    tries = in_threads(work, seconds)
    assert trainer.steps == sum(done), (trainer.steps, sum(done))
    twin, x, t = network()
    one = fastbp.Trainer(twin, fastbp.SGD(lr=0.01), 60, 1)
    for _ in range(sum(done)):
        one.step(x, t)
    trainer.close()
    one.close()
    assert bits(net) == bits(twin), "two steps overlapped"
    return f"{sum(done)} steps, {tries - sum(done)} refused"


def own_networks(seconds):
    """A network for each thread: the bits are those of one thread."""
    net, x, t = network()
    net.fit(x, t, epochs=2, optimizer=fastbp.Adam(), seed=0)
    desired = bits(net)

    def work(worker):
        own, x, t = network()
        own.fit(x, t, epochs=2, optimizer=fastbp.Adam(), seed=0)
        assert bits(own) == desired

    return f"{in_threads(work, seconds)} fits"


def one_network_evaluated(seconds):
    """Predictions of one network from all threads."""
    net, x, _ = network()
    desired = net.predict(x).tobytes()

    def work(worker):
        assert net.predict(x).tobytes() == desired

    return f"{in_threads(work, seconds)} predictions"


def one_weight_in_many_graphs(seconds):
    """Graphs of tensors that share a leaf without a gradient, each thread its own backward."""
    rng = np.random.default_rng(0)
    x = fastbp.tensor(rng.standard_normal((6, 4)))
    W = rng.standard_normal((4, 3))

    def gradient():
        w = fastbp.tensor(W, requires_grad=True)
        ((x @ w).relu() * 2).sum().backward()
        return w.grad.numpy().tobytes()

    desired = gradient()

    def work(worker):
        assert gradient() == desired

    return f"{in_threads(work, seconds)} graphs"


def main(seconds="2"):
    """Import, then the four ways of using threads; returns the exit status."""
    if getattr(sys, "_is_gil_enabled", lambda: True)():
        print("this Python has its GIL; nothing was shown")
        return 1
    print("not imported, as a package is missing:", import_everything() or "none")
    for way in (one_trainer, own_networks, one_network_evaluated, one_weight_in_many_graphs):
        print(f"{way.__name__}: {way(float(seconds))}")
    assert not sys._is_gil_enabled()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
