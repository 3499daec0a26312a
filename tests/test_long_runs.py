"""Long runs: steps by the million keep the twin's numbers, their memory and their count.

float32 and float64 trainings part ways after many steps, as any rounding does in them.  So what is
held is each step: from the weights of that moment, the next step is the NumPy twin's in float64.
"""

import os

import numpy as np
import pytest

import fastbp
from fastbp import SGD, Adam, Linear, Relu, Sequential, Trainer

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def resident():
    """Bytes of memory that the process holds."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * PAGE
    except OSError:
        pytest.skip("needs /proc")


def online(dtype="float32", seed=0):
    """The benches' smallest work: 8-64-64-4, a row a step."""
    return Sequential(
        Linear(8, 64, dtype=dtype, seed=seed),
        Relu(),
        Linear(64, 64, dtype=dtype, seed=seed + 1),
        Relu(),
        Linear(64, 4, dtype=dtype, seed=seed + 2),
        loss="softmax_cross_entropy",
    )


def rows(n, seed=0):
    """Rows that can be learned, but not by heart."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 8)).astype("f4")
    return x, (2 * (x[:, 0] > 0) + (x[:, 1] * x[:, 2] > 0)).astype(np.int64)


def copy_in_float64(net):
    twin = online("float64")
    for name, array in net.params.items():
        twin.params[name][...] = array
    return twin


def require_one_step_of_the_twin(trainer, optimizer, x, t, tolerance):
    """The trainer's next step is that of the NumPy kernels in float64, from the same weights."""
    net = trainer.net
    twin, before = copy_in_float64(net), {k: v.copy() for k, v in net.params.items()}
    with fastbp.use("reference"):
        optimizer.update(twin.params, twin.gradient(x.astype("f8"), t))
    trainer.step(x, t)
    for name, array in net.params.items():
        assert np.isfinite(array).all()
        scale = np.abs(before[name]).max() + np.abs(twin.params[name] - before[name]).max()
        assert np.abs(array - twin.params[name]).max() <= tolerance("product", "float32") * scale


def run_online(steps, looks, tolerance):
    """`steps` steps of a row each, looked at `looks` times; the growth of memory in bytes."""
    net, n = online(), 5_000
    x, t = rows(n)
    x_test, t_test = rows(2_000, seed=1)
    trainer = Trainer(net, SGD(lr=0.005), batch_size=1, seed=0)
    first, seen, losses, memory = net.loss(x_test, t_test), 0, [], []
    order, batch_losses = np.arange(n), np.empty(n)
    for look in range(looks):
        while seen < steps * (look + 1) // looks:
            position, *_ = trainer.epoch(x, t, None, order, batch_losses)
            assert position == n and not trainer.stopped_by_loss
            seen += n
        row = look % n
        require_one_step_of_the_twin(trainer, SGD(lr=0.005), x[row : row + 1], t[row : row + 1], tolerance)
        losses.append(net.loss(x_test, t_test))
        memory.append(resident())
    assert trainer.steps == seen + looks
    assert np.isfinite(losses).all() and max(losses) < first
    assert net.accuracy(x_test, t_test) > 0.8
    return memory[-1] - memory[len(memory) // 5]


def test_many_online_steps_keep_the_twins_numbers_and_their_memory(tolerance):
    assert run_online(300_000, 30, tolerance) <= 1 << 20


@pytest.mark.slow
def test_ten_million_online_steps_keep_the_twins_numbers_and_their_memory(tolerance):
    assert run_online(10_000_000, 100, tolerance) <= 1 << 20


def run_step_by_step(steps):
    """As `run_online`, by calls of `step`: the growth of memory."""
    net, (x, t) = online(), rows(1_000)
    trainer = Trainer(net, SGD(lr=0.005), batch_size=1)
    pairs = [(x[k : k + 1], t[k : k + 1]) for k in range(1_000)]
    middle = 0
    for k in range(steps // 1_000):
        for pair in pairs:
            trainer.step(*pair)
        if k == steps // 5_000:
            middle = resident()
    assert trainer.steps == steps // 1_000 * 1_000
    assert all(np.isfinite(array).all() for array in net.params.values())
    return resident() - middle


def test_many_calls_of_step_keep_their_memory():
    assert run_step_by_step(100_000) <= 1 << 20


@pytest.mark.slow
def test_ten_million_calls_of_step_keep_their_memory():
    assert run_step_by_step(10_000_000) <= 1 << 20


# --- the count of steps ---------------------------------------------------------------------


@pytest.mark.parametrize("steps", [10**7, 2**31 - 2, 2**31 - 1, 2**31, 2**32 + 5, 2**53])
def test_adam_counts_beyond_32_bits(steps, dtype, tolerance):
    """The step after so many is the formula's, with its number to the power of the betas."""
    net = online(dtype.name)
    beta_2 = 1 - 1e-9  # whose power still changes at 2^31
    trainer = Trainer(net, Adam(lr=0.01, betas=(0.9, beta_2)), batch_size=16)
    trainer.steps = steps
    x, t = rows(16)
    before = {name: array.astype("f8") for name, array in net.params.items()}
    grads = {name: g.astype("f8") for name, g in copy_in_float64(net).gradient(x, t).items()}
    trainer.step(x, t)
    assert trainer.steps == steps + 1
    for name, array in net.params.items():
        g = grads[name]
        m = 0.1 * g / -np.expm1((steps + 1) * np.log(0.9))
        v = (1 - beta_2) * g * g / -np.expm1((steps + 1) * np.log1p(beta_2 - 1))
        step = 0.01 * m / (np.sqrt(v) + 1e-8)
        sure = np.abs(g) > 1e-3 * np.abs(g).max()
        scale = np.abs(before[name]) + np.abs(step) + 1e-9
        error = np.abs(array - (before[name] - step)) / scale
        assert error[sure].max() < 100 * tolerance("training", dtype), name


def test_dropout_masks_differ_beyond_32_bits_of_steps():
    """Steps 2^32 apart have masks of their own."""
    x, t = rows(64)
    losses = []
    for steps in (5, 5, 2**32 + 5, 2**33 + 5):
        net = Sequential(
            Linear(8, 32, seed=0), fastbp.Dropout(0.5), Linear(32, 4, seed=1), loss="softmax_cross_entropy"
        )
        trainer = Trainer(net, SGD(lr=0.1), batch_size=64, seed=3)
        trainer.steps = steps
        losses.append(trainer.step(x, t))
    assert losses[0] == losses[1] and len(set(losses)) == 3


# --- partial_fit ----------------------------------------------------------------------------


def run_partial_fit(calls):
    """Growth of memory over calls of `partial_fit` on 32 rows, and the estimator."""
    MLPClassifier = pytest.importorskip("fastbp.estimators").MLPClassifier
    x, t = rows(3_200)
    model = MLPClassifier((64, 64), learning_rate_init=1e-4, random_state=0)
    parts = [slice(k, k + 32) for k in range(0, len(x), 32)]
    middle = 0
    for k in range(calls):
        part = parts[k % len(parts)]
        model.partial_fit(x[part], t[part], classes=np.arange(4) if k == 0 else None)
        if k == calls // 5:
            middle = resident()
    growth = resident() - middle  # of these calls; `score` has scratch of its own
    assert model.t_ == 32 * calls and len(model.loss_curve_) == calls
    assert all(np.isfinite(W).all() for W in model.coefs_)
    assert model.score(*rows(2_000, seed=1)) > 0.8
    return growth


def test_many_calls_of_partial_fit_keep_their_memory():
    # `loss_curve_` grows by a number a call, as scikit-learn's does: some 40 bytes.
    assert run_partial_fit(2_000) <= (1 << 20) + 48 * 2_000


@pytest.mark.slow
def test_an_hour_of_scikit_learns_partial_fit_keeps_its_memory():
    """3.1 million calls: what takes scikit-learn an hour, at its 1.15 ms a call."""
    assert run_partial_fit(3_100_000) <= (1 << 20) + 48 * 3_100_000
