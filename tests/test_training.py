"""`fit` and `Trainer`: the same as a loop by hand, what they refuse, and how they end."""

import copy
import gc
import os
import pickle
import signal
import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest

import fastbp
from fastbp import SGD, AdaGrad, Adam, AdamW, EarlyStopping, History, Linear, RMSprop, Sequential, Trainer
from fastbp.layers import (
    Affine,
    BatchNorm1d,
    BatchNormalization,
    Dropout,
    Flatten,
    Gelu,
    HuberLoss,
    Identity,
    Layer,
    LeakyRelu,
    MeanAbsoluteError,
    MeanSquaredError,
    Relu,
    Sigmoid,
    SigmoidWithLoss,
    SoftmaxWithLoss,
    Softplus,
    Tanh,
)

RULES = {
    "SGD": lambda: SGD(lr=0.1),
    "momentum": lambda: SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "AdaGrad": lambda: AdaGrad(lr=0.02, eps=1e-2),
    "RMSprop": lambda: RMSprop(lr=0.003, eps=1e-3, momentum=0.5),
    "Adam": lambda: Adam(lr=0.003, eps=1e-3),
    "AdamW": lambda: AdamW(lr=0.003, eps=1e-3),
}
NETS = {
    "one layer": lambda dtype: [Linear(9, 4, dtype=dtype, seed=0)],
    "book": lambda dtype: [
        Flatten(),
        Linear(9, 20, dtype=dtype, seed=0),
        Sigmoid(),
        Linear(20, 4, dtype=dtype, seed=1),
        Identity(),
    ],
    "normalised": lambda dtype: [
        BatchNorm1d(9, dtype=dtype),
        Linear(9, 33, dtype=dtype, seed=0),
        BatchNormalization(np.ones(33, dtype), np.zeros(33, dtype)),
        Relu(),
        Dropout(0.0),
        Linear(33, 4, dtype=dtype, seed=1),
    ],
    "everything": lambda dtype: [
        Linear(9, 17, dtype=dtype, seed=0),
        Gelu(),
        Tanh(),
        Dropout(0.0),
        Relu(),
        Linear(17, 35, dtype=dtype, seed=1),
        Linear(35, 8, dtype=dtype, seed=2),
        Softplus(),
        LeakyRelu(0.1),
        BatchNorm1d(8, dtype=dtype),
        Linear(8, 4, dtype=dtype, seed=3),
    ],
}
LOSSES = {
    "softmax": SoftmaxWithLoss,
    "one-hot": SoftmaxWithLoss,
    "sigmoid": SigmoidWithLoss,
    "squared": MeanSquaredError,
    "absolute": MeanAbsoluteError,
    "huber": lambda: HuberLoss(0.5),
}


def small(dtype="float32", loss="softmax", kind="book"):
    return Sequential(*NETS[kind](dtype), loss=LOSSES[loss]())


def data(loss="softmax", dtype="float32", rows=47):
    rng = np.random.default_rng(rows)
    x = rng.standard_normal((rows, 9)).astype(dtype)
    if loss == "softmax":
        return x, rng.integers(0, 4, rows)
    if loss == "one-hot":
        return x, np.eye(4, dtype=dtype)[rng.integers(0, 4, rows)]
    if loss == "sigmoid":
        return x, (rng.random((rows, 4)) < 0.5).astype(dtype)
    return x, rng.standard_normal((rows, 4)).astype(dtype)


def weights_of(net):
    return {name: array.copy() for name, array in net.params.items()}


def bits(net):
    return {name: array.tobytes() for name, array in net.params.items()}


def by_hand(net, optimizer, x, t, batch_size, epochs=1):
    for _ in range(epochs):
        for start in range(0, len(x), batch_size):
            rows = slice(start, start + batch_size)
            optimizer.update(net.params, net.gradient(x[rows], t[rows]))


@pytest.fixture(scope="session")
def assert_same(tolerance):
    """Two networks have the same parameters, within the table's tolerance for a training."""

    def check(net, twin):
        for name, desired in twin.params.items():
            actual = net.params[name]
            assert actual.dtype == desired.dtype
            error = np.abs(actual - desired).max() / max(np.abs(desired).max(), 0.1)
            assert error <= tolerance("training", actual.dtype), f"{name} is off by {error:.3g}"

    return check


# --- fit = a loop by hand -------------------------------------------------------------------


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", NETS)
def test_fit_equals_a_loop_over_the_layers(kind, loss, rule, n_threads, dtype, assert_same):
    x, t = data(loss, dtype)
    net, twin = small(dtype, loss, kind), small(dtype, loss, kind)
    history = net.fit(x, t, epochs=1, batch_size=10, optimizer=RULES[rule](), shuffle=False, n_threads=n_threads)
    by_hand(twin, RULES[rule](), x, t, 10)
    assert_same(net, twin)
    assert [len(b) for b in history.batch_loss] == [5]
    for layer, other in zip(net.layers, twin.layers, strict=True):
        if isinstance(layer, BatchNormalization):
            np.testing.assert_allclose(layer.running_mean, other.running_mean, rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(layer.running_var, other.running_var, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 2, 46, 47, 48, 1000])
def test_fit_for_any_batch_size(batch_size, dtype, assert_same):
    x, t = data()
    net, twin = small(dtype), small(dtype)
    history = net.fit(x, t, epochs=1, batch_size=batch_size, optimizer=SGD(lr=0.1), shuffle=False)
    by_hand(twin, SGD(lr=0.1), x, t, batch_size)
    assert_same(net, twin)
    assert len(history.batch_loss[0]) == -(-47 // batch_size)


@pytest.mark.parametrize("rule", RULES)
def test_the_optimizers_state_goes_on(rule, dtype, assert_same):
    """Over two fits, a trainer, a loop by hand and a trainer again, all with one optimiser."""
    x, t = data()
    net, twin = small(dtype), small(dtype)
    optimizer, other = RULES[rule](), RULES[rule]()
    for epochs in (1, 2):
        net.fit(x, t, epochs=epochs, batch_size=20, optimizer=optimizer, shuffle=False)
    trainer = Trainer(net, optimizer, 47)
    for _ in range(3):
        trainer.step(x, t)
    trainer.close()
    by_hand(net, optimizer, x, t, 47, epochs=2)
    trainer = Trainer(net, optimizer, 47)
    trainer.step(x, t)
    trainer = Trainer(net, optimizer, 47)
    trainer.step(x, t)
    trainer.close()

    by_hand(twin, other, x, t, 20, epochs=3)
    by_hand(twin, other, x, t, 47, epochs=7)
    assert optimizer.steps == other.steps == 16
    assert_same(net, twin)
    for name, states in other.states.items():
        for actual, desired in zip(optimizer.states[name], states, strict=True):
            np.testing.assert_allclose(actual, desired, rtol=1e-3, atol=1e-4)


def test_shuffling_goes_through_every_row_once_an_epoch():
    """With a weight for each row, the sum of the batches' losses does not depend on the order."""
    x, t = data("squared")
    net = small(loss="squared")
    before = net.loss(x, t)
    history = net.fit(x, t, epochs=3, batch_size=1, optimizer=SGD(lr=0.0), seed=3)
    for losses in history.batch_loss:
        assert np.mean(losses) == pytest.approx(before, rel=1e-5)
    first, second, _ = history.batch_loss
    np.testing.assert_allclose(np.sort(first), np.sort(second), rtol=1e-6)
    assert (first != second).any()


# --- rows and targets in any form -----------------------------------------------------------

FORMS = {
    "Fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "reversed": lambda x: x[::-1].copy()[::-1],
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "list": lambda x: x.tolist(),
    "three axes": lambda x: x.reshape(-1, 3, 3),
    "integers": lambda x: x.astype(np.int32),
    "float64": lambda x: x.astype(np.float64),
    "uint8": lambda x: x.astype(np.uint8),
    "uint8, strided": lambda x: np.repeat(x, 2, axis=1)[:, ::2].astype(np.uint8),
    "float16": lambda x: x.astype(np.float16),
}


@pytest.mark.parametrize("form", FORMS)
def test_rows_may_lie_anyhow_and_are_left_alone(form, dtype):
    x, t = data()
    x = np.abs(np.rint(2 * x))  # small whole numbers, which all these types hold
    odd = FORMS[form](x)
    net, twin = small(dtype), small(dtype)
    if isinstance(odd, np.ndarray):
        kept = odd.copy()
        odd.flags.writeable = False
    twin.fit(x.astype(dtype), t, epochs=2, batch_size=10, optimizer=SGD(lr=0.1), seed=0)
    net.fit(odd, t, epochs=2, batch_size=10, optimizer=SGD(lr=0.1), seed=0)
    assert bits(net) == bits(twin)
    if isinstance(odd, np.ndarray):
        np.testing.assert_array_equal(odd, kept)
    trainer, other = (Trainer(n, SGD(lr=0.1), 47) for n in (net, twin))
    assert trainer.step(odd, t) == other.step(x.astype(dtype), t)


def test_rows_from_a_memory_map(tmp_path):
    x, t = data()
    x.tofile(tmp_path / "x.bin")
    mapped = np.memmap(tmp_path / "x.bin", x.dtype, "r", shape=x.shape)
    net, twin = small(), small()
    for one, rows in ((net, mapped), (twin, x)):
        one.fit(rows, t, epochs=1, batch_size=10, optimizer=SGD(lr=0.1), seed=0)
    assert bits(net) == bits(twin)


@pytest.mark.parametrize("form", ["csr_array", "csr_matrix", "csc_array", "coo_array"])
def test_sparse_rows_train_as_dense_ones(form, dtype):
    sparse = pytest.importorskip("scipy.sparse")
    x, t = data(dtype=dtype)
    x[x < 0.3] = 0
    x[5] = 0
    rows = getattr(sparse, form)(x)
    net, twin = small(dtype), small(dtype)
    history, other = (
        one.fit(some, t, epochs=2, batch_size=10, optimizer=Adam(), seed=0, validation_data=(some, t))
        for one, some in ((net, rows), (twin, x))
    )
    assert bits(net) == bits(twin)
    assert history.val_loss == pytest.approx(other.val_loss, rel=1e-6)
    assert Trainer(net, SGD(), 47).step(rows, t) == Trainer(twin, SGD(), 47).step(x, t)


def test_sparse_rows_with_repeated_and_unsorted_columns():
    sparse = pytest.importorskip("scipy.sparse")
    x = sparse.csr_array((np.ones(5, "f4"), np.array([3, 0, 0, 8, 1]), np.array([0, 3, 3, 5])), shape=(3, 9))
    net, twin = small(), small()
    assert Trainer(net, SGD(), 3).step(x, [0, 1, 2]) == pytest.approx(
        Trainer(twin, SGD(), 3).step(x.toarray(), [0, 1, 2]), rel=1e-6
    )


def test_one_hot_rows_train_as_class_indices(dtype, assert_same):
    x, t = data(dtype=dtype)
    net, twin = small(dtype), small(dtype)
    first = net.fit(x, t, epochs=2, batch_size=10, optimizer=SGD(lr=0.1), seed=0)
    second = twin.fit(x, np.eye(4)[t], epochs=2, batch_size=10, optimizer=SGD(lr=0.1), seed=0)
    assert_same(net, twin)
    assert first.train_accuracy == second.train_accuracy
    np.testing.assert_allclose(first.train_loss, second.train_loss, rtol=1e-5)


# --- weights --------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_weights_0_and_2_drop_and_double_rows(loss, dtype, assert_same):
    x, t = data(loss, dtype)
    weights = np.random.default_rng(0).integers(0, 3, len(x))
    repeated = np.repeat(np.arange(len(x)), weights)
    net, twin = small(dtype, loss), small(dtype, loss)
    history = net.fit(x, t, epochs=3, batch_size=47, optimizer=SGD(lr=0.1), sample_weight=weights, shuffle=False)
    other = twin.fit(x[repeated], t[repeated], epochs=3, batch_size=200, optimizer=SGD(lr=0.1), shuffle=False)
    assert_same(net, twin)
    np.testing.assert_allclose(history.train_loss, other.train_loss, rtol=1e-4)
    np.testing.assert_allclose(history.train_accuracy, other.train_accuracy, rtol=1e-6)


def test_weights_scaled_together_change_nothing(dtype, assert_same):
    x, t = data(dtype=dtype)
    weights = np.random.default_rng(0).random(len(x))
    net, twin = small(dtype), small(dtype)
    for one, factor in ((net, 1.0), (twin, 1000.0)):
        one.fit(x, t, epochs=2, batch_size=10, optimizer=SGD(lr=0.1), seed=0, sample_weight=factor * weights)
    assert_same(net, twin)


def test_a_batch_whose_weights_are_all_0_is_passed_over():
    x, t = data()
    weights = np.ones(47)
    weights[10:20] = 0
    net, twin = small(), small()
    history = net.fit(x, t, epochs=1, batch_size=10, optimizer=SGD(lr=0.1), shuffle=False, sample_weight=weights)
    kept = np.r_[0:10, 20:47]
    other = twin.fit(x[kept], t[kept], epochs=1, batch_size=10, optimizer=SGD(lr=0.1), shuffle=False)
    np.testing.assert_allclose(net.params["W1"], twin.params["W1"], rtol=1e-5, atol=1e-6)
    assert history.train_loss[0] == pytest.approx(other.train_loss[0], rel=1e-5)


@pytest.mark.parametrize("form", ["indices", "one-hot"])
def test_class_weights_are_sample_weights(form, assert_same):
    x, t = data()
    given = t if form == "indices" else np.eye(4)[t]
    counts = np.bincount(t, minlength=4)
    cases = [
        ({0: 2.0, 3: 0.5}, np.array([2, 1, 1, 0.5])[t]),
        ([1, 2, 3, 4], np.array([1, 2, 3, 4])[t]),
        ("balanced", (47 / (4 * counts))[t]),
    ]
    for class_weight, weights in cases:
        net, twin = small(), small()
        common = {"epochs": 2, "batch_size": 10, "seed": 0}
        net.fit(x, given, optimizer=SGD(lr=0.1), class_weight=class_weight, **common)
        twin.fit(x, given, optimizer=SGD(lr=0.1), sample_weight=weights, **common)
        assert_same(net, twin)
        net.fit(x, given, optimizer=SGD(lr=0.1), class_weight=class_weight, sample_weight=weights, **common)
        twin.fit(x, given, optimizer=SGD(lr=0.1), sample_weight=weights**2, **common)
        assert_same(net, twin)


# --- history, validation, callbacks ---------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_history_holds_a_number_per_epoch(loss, dtype):
    x, t = data(loss, dtype)
    net = small(dtype, loss)
    seen = []

    def look(given, history):
        assert given is net and history is net.history
        classifies = loss in ("softmax", "one-hot", "sigmoid")
        assert history.val_loss[-1] == pytest.approx(net.loss(x[:30], t[:30]), rel=1e-6)
        if classifies:
            assert history.val_accuracy[-1] == pytest.approx(net.accuracy(x[:30], t[:30]))
        seen.append((len(history), weights_of(net)["W1"]))

    history = net.fit(
        x,
        t,
        epochs=3,
        batch_size=10,
        optimizer=SGD(lr=0.05),
        callbacks=[look],
        validation_data=(x[:30], t[:30]),
        seed=4,
    )
    assert history is net.history and isinstance(history, History)
    assert [n for n, _ in seen] == [1, 2, 3]
    assert (seen[0][1] != seen[1][1]).any() and (seen[-1][1] == net.params["W1"]).all()
    assert len(history) == 3 and history.seed == 4 and history.stopped_by == "epochs"
    for name in ("train_loss", "val_loss", "lr", "seconds", "batch_loss"):
        assert len(getattr(history, name)) == 3
    accuracies = 3 if loss in ("softmax", "one-hot", "sigmoid") else 0
    assert len(history.train_accuracy) == len(history.val_accuracy) == accuracies
    assert history.lr == [0.05] * 3 and min(history.seconds) > 0
    sizes = [10, 10, 10, 10, 7]
    for mean, losses in zip(history.train_loss, history.batch_loss, strict=True):
        assert mean == pytest.approx(np.average(losses, weights=sizes), rel=1e-6)
    assert "3 epochs" in repr(history) and "no epochs" in repr(History())


@pytest.mark.parametrize("loss", ["softmax", "one-hot", "sigmoid"])
def test_train_accuracy_is_that_of_the_rows_as_they_were_trained(loss, dtype):
    x, t = data(loss, dtype)
    net = small(dtype, loss)
    history = net.fit(x, t, epochs=1, batch_size=10, optimizer=SGD(lr=0.0))
    assert history.train_accuracy == [pytest.approx(net.accuracy(x, t))]
    assert history.train_loss == [pytest.approx(net.loss(x, t), rel=1e-5)]


def test_validation_of_more_rows_than_one_evaluation():
    x, t = data(rows=2500)
    net = small()
    history = net.fit(x[:40], t[:40], epochs=1, optimizer=SGD(lr=0.1), validation_data=(x, t))
    assert history.val_loss[0] == pytest.approx(net.loss(x, t), rel=1e-6)
    assert history.val_accuracy[0] == pytest.approx(net.accuracy(x, t))


def test_a_callback_that_gives_true_ends_training():
    net = small()
    history = net.fit(*data(), epochs=9, optimizer=SGD(lr=0.1), callbacks=[lambda net, history: len(history) == 2])
    assert len(history) == 2 and history.stopped_by == "callback"


@pytest.mark.parametrize("returned", [12, "stop", 0.5, [True], np.ones(1)])
def test_what_a_callback_returns_is_true_false_or_none(returned):
    """A file's write, as the last of a lambda, returned a number, which ended the training."""
    net = small()
    with pytest.raises(TypeError, match="fit expects what a callback returns as True, False or"):
        net.fit(*data(), epochs=3, optimizer=SGD(lr=0.1), callbacks=[lambda *_: returned])
    for value, epochs in ((np.bool(True), 1), (True, 1), (None, 3), (False, 3), (np.bool(False), 3)):
        net.fit(*data(), epochs=3, optimizer=SGD(lr=0.1), callbacks=[lambda *_, v=value: v])
        assert len(net.history) == epochs


@pytest.mark.parametrize(
    "option, words",
    [
        ({"callbacks": print}, r"of type builtin_function_or_method: \[callbacks\] is one"),
        ({"callbacks": None}, "got None of type NoneType"),
        ({"callbacks": [print, 3]}, "got 3 of type int among them"),
        ({"validation_data": {"x": 1, "t": 2}}, r"a pair \(x, t\); got dict"),
        ({"validation_data": (1, 2, 3)}, r"a pair \(x, t\); got 3 values"),
    ],
)
def test_options_of_fit_tell_what_came(option, words):
    with pytest.raises((TypeError, ValueError), match=words):
        small().fit(*data(), epochs=1, optimizer=SGD(lr=0.1), **option)


def test_an_error_in_a_callback_leaves_a_network_that_can_go_on():
    net, x = small(), data()[0]

    def fail(net, history):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        net.fit(*data(), epochs=9, optimizer=SGD(lr=0.1), callbacks=[fail])
    assert len(net.history) == 1 and net.trainer is None
    before = net.predict(x)
    net.fit(*data(), epochs=1, optimizer=SGD(lr=0.1))
    assert (net.predict(x) != before).any()


@pytest.mark.parametrize("restore", [True, False])
def test_early_stopping_after_patience_epochs_without_a_better_one(restore):
    x, t = data(rows=60)
    t = np.random.default_rng(1).integers(0, 4, 60)  # nothing to learn but noise
    states = []
    net = small()
    stopping = EarlyStopping(patience=3, restore_best=restore)
    history = net.fit(
        x[:30],
        t[:30],
        epochs=400,
        batch_size=10,
        optimizer=Adam(lr=0.05),
        seed=0,
        validation_data=(x[30:], t[30:]),
        early_stopping=stopping,
        callbacks=[lambda net, history: states.append(weights_of(net))],
    )
    assert history.stopped_by == "early_stopping"
    best = int(np.argmin(history.val_loss))
    assert stopping.best_epoch == best and len(history) == best + 4
    value = net.loss(x[30:], t[30:])
    expected = history.val_loss[best if restore else -1]
    assert value == pytest.approx(expected, rel=1e-6)
    if restore:
        for name, array in states[best].items():
            np.testing.assert_array_equal(net.params[name], array)
    again = net.fit(
        x[:30], t[:30], epochs=2, optimizer=SGD(lr=0.0), validation_data=(x[30:], t[30:]), early_stopping=stopping
    )
    assert len(again) == 2  # the earlier training is forgotten


def test_early_stopping_restores_running_statistics_too():
    x, t = data(rows=60)
    net = small(kind="normalised")
    seen = []
    net.fit(
        x,
        t,
        epochs=40,
        batch_size=20,
        optimizer=Adam(lr=0.1),
        seed=0,
        validation_data=(x[::-1], np.roll(t, 7)),
        early_stopping=EarlyStopping(2),
        callbacks=[lambda net, history: seen.append(net.layers[0].running_mean.copy())],
    )
    best = int(np.argmin(net.history.val_loss))
    np.testing.assert_array_equal(net.layers[0].running_mean, seen[best])


def test_min_delta_and_monitors():
    x, t = data()
    for monitor in EarlyStopping.MONITORS:
        stopping = EarlyStopping(patience=2, monitor=monitor, min_delta=1e9)
        history = small().fit(x, t, epochs=9, optimizer=SGD(lr=0.01), validation_data=(x, t), early_stopping=stopping)
        assert len(history) == 3


def test_a_validation_loss_that_is_not_a_number_is_never_the_best():
    x, t = data()
    bad = x.copy()
    bad[0] = np.nan
    stopping = EarlyStopping(patience=2)
    before = small()
    net = small()
    history = net.fit(x, t, epochs=9, optimizer=SGD(lr=0.1), validation_data=(bad, t), early_stopping=stopping)
    assert len(history) <= 3 and not np.isnan(stopping.best)
    assert (net.params["W1"] != before.params["W1"]).any()


def test_progress_shows_loss_and_accuracy(capsys, monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    net = small()
    net.fit(*data(), epochs=3, optimizer=SGD(lr=0.1), progress=True, validation_data=data())
    shown = capsys.readouterr()
    assert shown.out == ""
    for word in ("3/3", f"loss {net.history.train_loss[-1]:.4f}", "accuracy", "val_loss"):
        assert word in shown.err


@pytest.mark.parametrize("kind", ["book", "normalised"])
def test_what_a_callback_writes_into_the_parameters_holds(kind, tmp_path):
    def clip(net, history):
        for name in net.params:
            np.clip(net.params[name], -0.05, 0.05, out=net.params[name])

    def trained(epochs, **options):
        net = small(kind=kind)
        optimizer = SGD(lr=0.1, momentum=0.9)
        net.fit(*data(), epochs=epochs, batch_size=47, optimizer=optimizer, seed=0, **options)
        return net

    whole = trained(4, callbacks=[clip])
    by_hand, optimizer = small(kind=kind), SGD(lr=0.1, momentum=0.9)
    for _ in range(4):
        by_hand.fit(*data(), epochs=1, batch_size=47, optimizer=optimizer, seed=0, shuffle=False)
        clip(by_hand, None)
    for name in whole.params:
        np.testing.assert_allclose(whole.params[name], by_hand.params[name], rtol=1e-4, atol=1e-6)
    path = tmp_path / "run"
    trained(2, callbacks=[clip], checkpoint=path)
    again = trained(4, callbacks=[clip], resume=path)
    assert again.predict(data()[0]).tobytes() == whole.predict(data()[0]).tobytes()


def test_progress_is_drawn_a_few_times_a_second_and_not_into_a_log(capsys, monkeypatch):
    pytest.importorskip("tqdm")
    small().fit(*data(), epochs=300, progress=True)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    begin = time.perf_counter()
    small().fit(*data(), epochs=300, progress=True)
    shown = capsys.readouterr().err
    assert "300/300" in shown and shown.count("\r") < 6 + (time.perf_counter() - begin) / 0.1


def test_progress_without_stderr_shows_none(monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", None)
    assert len(small().fit(*data(), epochs=3, optimizer=SGD(lr=0.1), progress=True)) == 3


def test_max_seconds_ends_in_the_midst_of_an_epoch():
    x, t = data(rows=200_000)
    net = small()
    start = time.perf_counter()
    history = net.fit(x, t, epochs=1000, batch_size=1, optimizer=SGD(lr=1e-3), max_seconds=0.15)
    assert 0.1 < time.perf_counter() - start < 1.5
    assert history.stopped_by == "max_seconds"
    assert len(history) == len(history.seconds) == len(history.train_loss)


@pytest.mark.parametrize("seconds", [0, 1e-9])
def test_no_time_at_all_leaves_everything_as_it_was(seconds):
    net, twin = small(), small()
    history = net.fit(*data(), epochs=3, optimizer=SGD(lr=0.1), max_seconds=seconds, validation_data=data())
    assert history.stopped_by == "max_seconds"
    names = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "lr", "seconds")
    assert {len(getattr(history, name)) for name in names} == {len(history)}
    if len(history) == 0:
        assert bits(net) == bits(twin)


def test_no_epochs_change_nothing():
    net, twin = small(), small()
    history = net.fit(*data(), epochs=0, optimizer=SGD(lr=0.1))
    assert len(history) == 0 and bits(net) == bits(twin)


# --- determinism ----------------------------------------------------------------------------


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_same_seed_gives_the_same_bits(dropout, n_threads, dtype):
    def train(seed):
        net = Sequential(
            Linear(9, 40, dtype=dtype, seed=0),
            Relu(),
            Dropout(dropout),
            Linear(40, 4, dtype=dtype, seed=1),
            loss=SoftmaxWithLoss,
        )
        history = net.fit(*data(), epochs=3, batch_size=10, optimizer=Adam(), seed=seed, n_threads=n_threads)
        return bits(net), history.train_loss

    first, again, other = train(7), train(7), train(8)
    assert first == again
    assert first[0] != other[0]
    assert train(2**63 + 1)[0] != train(1)[0]


def test_a_drawn_seed_can_be_used_again():
    net, twin = small(), small()
    seed = net.fit(*data(), epochs=2, batch_size=10, optimizer=SGD(lr=0.1)).seed
    twin.fit(*data(), epochs=2, batch_size=10, optimizer=SGD(lr=0.1), seed=seed)
    assert bits(net) == bits(twin)


def test_dropout_masks_differ_between_steps_layers_and_seeds():
    x, t = np.ones((50, 9), "f4"), np.zeros((50, 4), "f4")

    def losses(seed):
        net = Sequential(Linear(9, 33, seed=0), Dropout(0.5), Linear(33, 4, seed=1), loss="squared_error")
        trainer = Trainer(net, SGD(lr=0.0), 50, seed=seed)
        return [trainer.step(x, t) for _ in range(4)]

    first = losses(0)
    assert len(set(first)) == 4 and first == losses(0)
    assert not set(first) & set(losses(1))


# --- where the parameters are ---------------------------------------------------------------


def test_everything_sees_the_trainers_parameters_in_the_very_arrays(dtype, tmp_path):
    pytest.importorskip("safetensors")
    x, t = data(dtype=dtype)
    W, b = Linear(9, 4, dtype=dtype, seed=0).W, np.zeros(4, dtype)
    norm = BatchNorm1d(4, dtype=dtype)
    looks = {
        "params": lambda net: net.params["W1"],
        "items": lambda net: dict(net.params.items())["W1"],
        "layer": lambda net: net.layers[0].W,
        "bias": lambda net: net.layers[0].b,
        "weight": lambda net: net.layers[0].weight,
        "gamma": lambda net: net.layers[1].gamma,
        "running": lambda net: net.layers[1].running_mean,
        "predict": lambda net: net.predict(x),
        "evaluate": lambda net: net.layers[0].evaluate(x),
        "forward": lambda net: net.forward(x),
        "gradient": lambda net: net.gradient(x, t),
        "loss": lambda net: net.loss(x, t),
        "accuracy": lambda net: net.accuracy(x, t),
        "predict_proba": lambda net: net.predict_proba(x),
        "state_dict": lambda net: net.state_dict(),
        "save": lambda net: net.save(tmp_path / "net"),
        "summary": lambda net: net.summary(),
        "slice": lambda net: net[:1].predict(x),
        "deepcopy": copy.deepcopy,
        "pickle": pickle.dumps,
        "sync": lambda net: net.trainer.sync(),
        "close": lambda net: net.trainer.close(),
    }
    for name, look in looks.items():
        W_, b_ = W.copy(), b.copy()
        net = Sequential(Affine(W_, b_), copy.deepcopy(norm), loss=SoftmaxWithLoss)
        twin = Sequential(Affine(W.copy(), b.copy()), copy.deepcopy(norm), loss=SoftmaxWithLoss)
        trainer = Trainer(net, SGD(lr=0.1), 47)
        trainer.step(x, t)
        look(net)
        by_hand(twin, SGD(lr=0.1), x, t, 47)
        np.testing.assert_allclose(W_, twin.layers[0].W, rtol=1e-4, atol=1e-6, err_msg=name)
        assert net.layers[0].W is W_ and net.params["W1"] is W_, name
        assert net.layers[0].b is b_ and not np.array_equal(W_, W)


def test_reload_takes_what_was_written_by_hand(assert_same):
    x, t = data()
    net, twin = small(), small()
    trainer = Trainer(net, SGD(lr=0.1), 47)
    other = SGD(lr=0.1)
    for _ in range(3):
        trainer.step(x, t)
        net.params["W1"][...] *= 0.5
        net.params["b2"] = np.arange(4)
        trainer.reload()
        by_hand(twin, other, x, t, 47)
        twin.params["W1"][...] *= 0.5
        twin.params["b2"] = np.arange(4)
    trainer.step(x, t)
    by_hand(twin, other, x, t, 47)
    assert_same(net, twin)


def test_reload_takes_the_data_that_a_parameter_was_given():
    x, t = data()
    nets = []
    for replaces in (True, False):
        net = small()
        trainer = Trainer(net, SGD(lr=0.1), 47)
        trainer.step(x, t)
        weight = next(net.parameters())
        new = fastbp.full(weight.shape, 0.3)
        if replaces:
            weight.data = new
        else:
            weight.data.copy_(new)
        trainer.reload()
        trainer.step(x, t)
        nets.append(net)
    for ours, theirs in zip(*(net.parameters() for net in nets), strict=True):
        assert fastbp.equal(ours, theirs)
    assert np.array_equal(nets[0].predict(x), nets[1].predict(x))


def test_a_loaded_state_is_trained_on_by_the_trainer_and_in_a_callback(assert_same):
    x, t = data()
    net, twin, start = small(), small(), small().state_dict()
    trainer = Trainer(net, SGD(lr=0.1), 47)
    trainer.step(x, t)
    net.load_state_dict(start)
    trainer.step(x, t)
    Trainer(twin, SGD(lr=0.1), 47).step(x, t)
    assert_same(net, twin)

    def go_back(net, history):
        net.load_state_dict(start)

    net, twin = small(), small()
    for each, epochs, callbacks in ((net, 2, [go_back]), (twin, 0, [])):
        each.fit(x, t, epochs=epochs, optimizer=SGD(lr=0.1), callbacks=callbacks)
    assert_same(net, twin)


def copies_of_optimizers(net, optimizer):
    """Pickled, copied and by its state dict: each with a network of its own."""
    yield pickle.loads(pickle.dumps((net, optimizer)))
    yield copy.deepcopy((net, optimizer))
    if optimizer.param_groups[0]["params"]:
        twin = copy.deepcopy(net)
        other = type(optimizer)(twin.parameters())
        other.load_state_dict(optimizer.state_dict())
        yield twin, other


@pytest.mark.parametrize("of_tensors", [False, True])
def test_an_optimizer_that_is_kept_while_it_trains_has_its_states(of_tensors, assert_same):
    x, t = data()
    net, kept = small(), []
    optimizer = Adam(net.parameters()) if of_tensors else Adam()

    def keep(net, history):
        kept[:] = copies_of_optimizers(net, optimizer)

    net.fit(x, t, epochs=3, optimizer=optimizer, callbacks=[keep], seed=0)
    assert len(kept) == 2 + of_tensors
    net.fit(x, t, epochs=1, optimizer=optimizer, seed=1)
    for twin, other in kept:
        twin.fit(x, t, epochs=1, optimizer=other, seed=1)
        assert_same(net, twin)


def test_a_state_that_is_loaded_while_it_trains_is_gone_on_from(assert_same):
    x, t = data()
    nets = small(), small()
    optimizers = [Adam(net.parameters()) for net in nets]
    starts = [
        (net.state_dict(), copy.deepcopy(o.state_dict()))
        for net, o in zip(map(copy.deepcopy, nets), optimizers, strict=True)
    ]
    trainers = [Trainer(net, o, 47) for net, o in zip(nets, optimizers, strict=True)]
    for _ in range(2):
        trainers[0].step(x, t)
    nets[0].load_state_dict(starts[0][0])
    optimizers[0].load_state_dict(starts[0][1])
    for trainer in trainers:
        trainer.step(x, t)
    assert_same(*nets)
    assert optimizers[0].state_dict()["state"][0]["step"].item() == 1


def test_a_state_that_its_trainer_refuses_changes_nothing(assert_same):
    x, t = data()
    nets = small(), small()
    trainers = []
    for net in nets:
        optimizer = Adam(net.parameters())
        trainers.append(Trainer(net, optimizer, 47))
        trainers[-1].step(x, t)
        if net is nets[0]:
            state = copy.deepcopy(optimizer.state_dict())
            state["state"][0]["step"] += 1
            state["param_groups"][0]["lr"] = 0.5
            with pytest.raises(ValueError, match="as many steps with each parameter; got 1 and 2"):
                optimizer.load_state_dict(state)
            assert optimizer.lr == 0.001 and optimizer.state_dict()["state"][0]["step"] == 1
        trainers[-1].step(x, t)
    assert_same(*nets)


def test_a_state_without_a_count_of_steps_leaves_the_count():
    """The next step draws no dropout mask anew."""
    x, t = data()
    net = small()
    optimizer = SGD(net.parameters(), lr=0.1)
    trainer = Trainer(net, optimizer, 47)
    trainer.step(x, t)
    optimizer.load_state_dict(optimizer.state_dict())
    assert trainer.steps == optimizer.steps == 1


def test_a_new_array_in_a_layer_keeps_what_else_was_trained():
    x, t = data()
    net, twin = small(), small()
    trainer, other = Trainer(net, SGD(lr=0.1), 47), Trainer(twin, SGD(lr=0.1), 47)
    trainer.step(x, t)
    other.step(x, t)
    net.layers[1].W = np.ones((9, 20), "f4")
    trainer.reload()
    assert (net.params["W1"] == 1).all()
    np.testing.assert_array_equal(net.params["W2"], twin.params["W2"])
    np.testing.assert_array_equal(net.params["b1"], twin.params["b1"])


@pytest.mark.parametrize("power", [50, 58, 60, 61, 62, 63])
def test_a_batch_beyond_all_memory_is_refused(power):
    """Also where its bytes, counted with 64 bits, would seem to be few."""
    with pytest.raises(ValueError, match="fits into memory"):
        Trainer(small(), SGD(lr=0.1), 2**power - (power == 63))


def test_what_is_written_after_a_second_ctrl_c_holds(monkeypatch):
    """It came while `fit` wrote back: nothing of that fit is written over it later."""
    x, t = data()
    net, optimizer = small(), Adam()

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        fetch = Trainer.fetch
        patch.setattr(Trainer, "fetch", lambda trainer: (fetch(trainer), interrupt()))
        with pytest.raises(KeyboardInterrupt):
            net.fit(x, t, epochs=1, optimizer=optimizer)
    for array in net.params.values():
        array[...] = 0.25
    net.fit(x, t, epochs=0, optimizer=optimizer)
    assert all((array == 0.25).all() for array in net.params.values())


def test_a_second_trainer_ends_the_first():
    x, t = data()
    net, twin = small(), small()
    first = Trainer(net, SGD(lr=0.1), 47)
    first.step(x, t)
    second = Trainer(net, SGD(lr=0.1), 47)
    for use in (lambda: first.step(x, t), lambda: first.step(x[:1], t[:1])):
        with pytest.raises(RuntimeError, match="closed"):
            use()
    second.step(x, t)
    assert net.trainer is second
    first.close()
    assert net.trainer is second
    other = Trainer(twin, SGD(lr=0.1), 47)
    other.step(x, t)
    other.step(x, t)
    assert bits(net) == bits(twin)
    net.fit(x, t, epochs=1, optimizer=SGD(lr=0.1))
    with pytest.raises(RuntimeError, match="closed"):
        second.step(x, t)


def test_a_layer_in_two_networks_has_one_trainer():
    x, t = data()
    shared = Linear(9, 12, seed=0)
    net = Sequential(shared, Relu(), Linear(12, 4, seed=1), loss=SoftmaxWithLoss)
    other = Sequential(shared, Tanh(), Linear(12, 4, seed=2), loss=SoftmaxWithLoss)
    first = Trainer(net, SGD(lr=0.1), 47)
    first.step(x, t)
    trained = shared.W.copy()
    second = Trainer(other, SGD(lr=0.1), 47)
    np.testing.assert_array_equal(shared.W, trained)
    second.step(x, t)
    with pytest.raises(RuntimeError, match="closed"):
        first.step(x, t)
    kept = shared.W.copy()
    assert (kept != trained).any()
    first.close()
    np.testing.assert_array_equal(shared.W, kept)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_a_network_is_copied_in_the_midst_of_training(copied):
    x, t = data()
    net = small(kind="normalised")
    trainer = Trainer(net, SGD(lr=0.1), 47)
    trainer.step(x, t)
    twin = copied(net)
    assert twin.trainer is None and twin.layers[0] is not net.layers[0]
    np.testing.assert_array_equal(twin.predict(x), net.predict(x))
    before = bits(twin)
    trainer.step(x, t)
    assert bits(twin) == before
    Trainer(twin, SGD(lr=0.1), 47).step(x, t)
    assert bits(twin) == bits(net)
    assert np.isfinite(trainer.step(x, t))


def test_parameters_of_odd_layouts_and_dtypes_are_trained_in_place(assert_same):
    x, t = data()
    W = np.asfortranarray(Linear(9, 4, seed=0).W)
    wide = np.zeros((4, 2), "f4")
    net = Sequential(Affine(W, wide[:, 0]), loss=SoftmaxWithLoss)
    twin = Sequential(Linear(9, 4, seed=0), loss=SoftmaxWithLoss)
    for one in (net, twin):
        one.fit(x, t, epochs=2, batch_size=10, optimizer=Adam(), seed=0)
    assert net.params["W1"] is W and (wide[:, 1] == 0).all()
    assert_same(net, twin)
    mixed = Sequential(Affine(W.astype("f8"), np.zeros(4, "f4")), loss=SoftmaxWithLoss)
    mixed.fit(x, t, epochs=1, optimizer=Adam())
    assert mixed.params["W1"].dtype == "f8" and mixed.params["b1"].dtype == "f4"


# --- how it ends ----------------------------------------------------------------------------


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("kind", ["book", "normalised"])
def test_nan_in_x_stops_at_once(kind, n_threads):
    x, t = data()
    x[25, 3] = np.nan
    net, twin = small(kind=kind), small(kind=kind)
    with pytest.raises(FloatingPointError) as caught:
        net.fit(x, t, epochs=3, batch_size=10, optimizer=SGD(lr=0.1), shuffle=False, n_threads=n_threads)
    message = str(caught.value)
    first = next(layer for layer in net.layers if not isinstance(layer, Flatten))
    for word in ("epoch 1", "batch 3", type(first).__name__, f"({net.layers.index(first)})", "lr"):
        assert word in message
    twin.fit(x[:20], t[:20], epochs=1, batch_size=10, optimizer=SGD(lr=0.1), shuffle=False, n_threads=n_threads)
    assert bits(net) == bits(twin)
    for layer, other in zip(net.layers, twin.layers, strict=True):
        if isinstance(layer, BatchNormalization):
            np.testing.assert_array_equal(layer.running_mean, other.running_mean)
            np.testing.assert_array_equal(layer.running_var, other.running_var)
    assert net.trainer is None and net.history.stopped_by != "epochs"
    net.fit(x[:20], t[:20], epochs=1, optimizer=SGD(lr=0.1))


@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_a_step_on_nan_changes_nothing(clip_norm, dtype):
    x, t = data(dtype=dtype)
    bad = x.copy()
    bad[3, 3] = np.inf
    net, twin = small(dtype), small(dtype)
    trainer = Trainer(net, Adam(), 47, clip_norm=clip_norm)
    other = Trainer(twin, Adam(), 47, clip_norm=clip_norm)
    trainer.step(x, t)
    other.step(x, t)
    bad[3, 4] = -np.inf  # inf - inf
    with pytest.raises(FloatingPointError, match=r"step 2.*Linear"):
        trainer.step(bad, t)
    assert trainer.steps == 1 and bits(net) == bits(twin)
    assert trainer.step(x, t) == other.step(x, t)
    assert bits(net) == bits(twin)


@pytest.mark.parametrize("loss", ["squared", "softmax"])
def test_a_huge_learning_rate_diverges_with_an_error(loss):
    x, t = data(loss)
    net = Sequential(Linear(9, 20, seed=0), Relu(), Linear(20, 4, seed=1), loss=LOSSES[loss]())
    with pytest.raises(FloatingPointError, match=r"epoch \d+, batch \d+.*smaller lr"):
        net.fit(x, t, epochs=100, batch_size=10, optimizer=SGD(lr=1e20))


def test_a_schedule_that_is_not_a_number_is_refused():
    net, twin = small(), small()
    with pytest.raises((ValueError, FloatingPointError)):
        net.fit(*data(), epochs=1, optimizer=SGD(lr=0.1), schedule=lambda epoch: float("nan"))
    assert bits(net) == bits(twin)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_control_c_ends_fit_and_keeps_what_was_learnt():
    x, t = data(rows=20_000)
    net, before = small(), small()
    late = []
    while not late or (min(late) >= 0.1 and len(late) < 5):  # the machine may be busy
        sent = []

        def interrupt(sent=sent):
            time.sleep(0.2)
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            net.fit(x, t, epochs=100_000, batch_size=10, optimizer=SGD(lr=1e-3))
        late.append(time.perf_counter() - sent[0])
        thread.join()
    assert min(late) < 0.1
    assert net.trainer is None and net.history.stopped_by == "interrupt"
    assert len(net.history) > 0 and (net.params["W1"] != before.params["W1"]).any()
    net.fit(x, t, epochs=1, optimizer=SGD(lr=0.1))


# --- refusals, before anything has changed --------------------------------------------------

X, T = data()


class Double(Layer):
    def run(self, x, training):
        return 2 * x, None

    def pullback(self, saved, dout, need_dx=True):
        return 2 * dout, ()


class LoudRelu(Relu):
    def run(self, x, training):
        return super().run(3 * x, training)


class Plain:
    def forward(self, x):
        return x

    def backward(self, dout):
        return dout


class OwnLoss:
    def forward(self, x, t):
        return 1.0

    def backward(self):
        return np.zeros((1, 4))


class DoubledError(MeanSquaredError):
    def _value(self, x, t):
        value, y = super()._value(x, t)
        return 2 * value, y


class SignDescent(SGD):
    def _kernel(self, group, param, grad, states, step):
        param -= self.lr * np.sign(grad)


def frozen():
    W = np.ones((9, 4), "f4")
    W.flags.writeable = False
    return Sequential(Affine(W, np.zeros(4, "f4")), loss=SoftmaxWithLoss)


def with_layer(layer):
    return lambda: Sequential(Linear(9, 20, seed=0), layer, Linear(20, 4, seed=1), loss=SoftmaxWithLoss)


GOOD = {"x": X, "t": T, "epochs": 1, "optimizer": SGD(lr=0.1)}


def misfit():
    net = Sequential(Linear(9, 5), Linear(5, 4), loss=SoftmaxWithLoss)
    net[1] = Linear(6, 4)
    return net


REFUSED = {
    "batch_size 0": (small, {"batch_size": 0}, "batch_size.*at least 1; got 0"),
    "batch_size -1": (small, {"batch_size": -1}, "batch_size.*at least 1; got -1"),
    "batch_size 1.5": (small, {"batch_size": 1.5}, "batch_size.*integer"),
    "epochs -1": (small, {"epochs": -1}, "epochs.*at least 0; got -1"),
    "epochs 1.5": (small, {"epochs": 1.5}, "epochs.*integer"),
    "lengths": (small, {"t": T[:-1]}, r"\(47,\).*got \(46,\)"),
    "no rows": (small, {"x": X[:0], "t": T[:0]}, "at least one row"),
    "width": (small, {"x": X[:, :8]}, r"9 features.*\(47, 8\)"),
    "strings": (small, {"x": np.full((47, 9), "a")}, "real numbers"),
    "ragged": (small, {"x": [[1, 2], [3]]}, "different lengths"),
    "None": (small, {"x": None}, "None"),
    "class 4": (small, {"t": np.r_[T[:-1], 4]}, r"0\.\.3.*got 4 at row 46"),
    "class -1": (small, {"t": np.r_[T[:-1], -1]}, r"0\.\.3.*got -1"),
    "float classes": (small, {"t": T.astype(float)}, "integers"),
    "column": (small, {"t": T[:, np.newaxis]}, "ravel"),
    "rows of 2": (small, {"t": np.full((47, 4), 0.5)}, "sum to 1"),
    "flat targets": (lambda: small(loss="squared"), {"t": T.astype(float)}, r"\(47, 4\)"),
    "t above 1": (lambda: small(loss="sigmoid"), {"t": np.full((47, 4), 2.0)}, "between 0 and 1"),
    "optimiser class": (small, {"optimizer": SGD}, "optimizer"),
    "optimiser name": (small, {"optimizer": "adm"}, "optimizer"),
    "optimiser of ones own": (small, {"optimizer": SignDescent(lr=0.1)}, "SignDescent"),
    "weights' length": (small, {"sample_weight": np.ones(46)}, "sample_weight"),
    "negative weights": (small, {"sample_weight": -np.ones(47)}, "not negative"),
    "weights 0": (small, {"sample_weight": np.zeros(47)}, "not all zero"),
    "weights vanish": (small, {"sample_weight": np.full(47, 1e-60)}, "not all zero in float32"),
    "weights overflow": (small, {"sample_weight": np.full(47, 1e60)}, "finite, .* in float32"),
    "weights nan": (small, {"sample_weight": np.full(47, np.nan)}, "finite"),
    "class weights": (lambda: small(loss="squared"), {"t": data("squared")[1], "class_weight": {}}, "class_weight"),
    "class weight word": (small, {"class_weight": "even"}, "class_weight"),
    "class weight number": (small, {"class_weight": 0.5}, "class_weight"),
    "validation": (small, {"validation_data": X}, "validation_data"),
    "validation width": (small, {"validation_data": (X[:, :3], T)}, "validation_data"),
    "validation rows": (small, {"validation_data": (X[:0], T[:0])}, "validation_data"),
    "early stopping": (small, {"early_stopping": 3}, "early_stopping"),
    "nothing to monitor": (small, {"early_stopping": EarlyStopping()}, "validation_data"),
    "accuracy of a regression": (
        lambda: small(loss="squared"),
        {"t": data("squared")[1], "early_stopping": EarlyStopping(monitor="train_accuracy")},
        "classification",
    ),
    "schedule": (small, {"schedule": 0.1}, "schedule"),
    "callbacks": (small, {"callbacks": print}, "callbacks"),
    "clip_norm": (small, {"clip_norm": -1}, "clip_norm"),
    "clip_value": (small, {"clip_value": -1}, "clip_value"),
    "n_threads": (small, {"n_threads": 0}, "n_threads"),
    "max_seconds": (small, {"max_seconds": -1}, "max_seconds"),
    "seed": (small, {"seed": -1}, "seed"),
    "a batch of one to normalise": (lambda: small(kind="normalised"), {"batch_size": 46}, "batch of 1"),
    "no loss": (lambda: Sequential(Linear(9, 4)), {}, "loss"),
    "activation first": (
        lambda: Sequential(Relu(), Linear(9, 4), loss=SoftmaxWithLoss),
        {},
        "first layer.*ReLU.*place 0",
    ),
    "no parameters": (lambda: Sequential(Flatten(), loss=SoftmaxWithLoss), {}, "parameters"),
    "widths": (misfit, {}, "5 inputs at place 1"),
    "ones own layer": (with_layer(Plain()), {}, "place 1.*Plain"),
    "ones own Layer": (with_layer(Double()), {}, "place 1.*Double"),
    "ones own Relu": (with_layer(LoudRelu()), {}, "place 1.*LoudRelu"),
    "ones own loss": (lambda: Sequential(Linear(9, 4, seed=0), loss=OwnLoss()), {}, "OwnLoss"),
    "ones own error": (
        lambda: Sequential(Linear(9, 4, seed=0), loss=DoubledError()),
        {"t": data("squared")[1]},
        "DoubledError",
    ),
    "read-only": (frozen, {}, "read-only"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_fit_refuses_in_one_sentence_before_anything_changes(case):
    make, options, message = REFUSED[case]
    net = make()
    before = bits(net)
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        net.fit(**GOOD | options)
    assert "\n" not in str(caught.value)
    assert net.trainer is None and net.history is None
    assert bits(net) == before


@pytest.mark.parametrize(
    "case",
    ["ones own layer", "ones own Layer", "ones own Relu", "read-only", "ones own loss", "activation first", "widths"],
)
def test_a_trainer_refuses_what_it_cannot_hold(case):
    make, _, message = REFUSED[case]
    net = make()
    with pytest.raises((ValueError, TypeError), match=message):
        Trainer(net, SGD(lr=0.1))
    assert net.trainer is None


def test_a_refused_trainer_leaves_the_earlier_one():
    x, t = data()
    net = small()
    trainer = Trainer(net, SGD(lr=0.1), 47)
    for bad in (
        lambda: Trainer(net, SGD(lr=0.1), 0),
        lambda: Trainer(net, "adamant"),
        lambda: Trainer(net, SGD(lr=0.1), n_threads=-1),
        lambda: Trainer(net, SGD(lr=0.1), seed=-1),
        lambda: Trainer(net, SGD(lr=0.1), clip_value=-1),
        lambda: net.fit(x, t, epochs=-1, optimizer=SGD(lr=0.1)),
    ):
        with pytest.raises((ValueError, TypeError)):
            bad()
        assert net.trainer is trainer
        trainer.step(x, t)


@pytest.mark.parametrize("rule", ["momentum", "AdaGrad", "RMSprop", "Adam"])
def test_an_optimizer_of_another_network_is_refused(rule, run_python):
    # In a process of its own: a state of another size must not be read beyond its end.
    code = f"""
import numpy as np
from fastbp import *
optimizer = {{"momentum": SGD(lr=0.1, momentum=0.9), "AdaGrad": AdaGrad(), "RMSprop": RMSprop(),
             "Adam": Adam()}}[{rule!r}]
def net(n):
    return Sequential(Linear(n, 3 * n, seed=0), Linear(3 * n, 3), loss="softmax_cross_entropy")
net(2).fit(np.ones((5, 2)), [0, 1, 2, 0, 1], epochs=1, optimizer=optimizer)
big = net(500)
before = big.params["W1"].copy()
for train in (lambda: Trainer(big, optimizer),
              lambda: big.fit(np.ones((5, 500)), [0, 1, 2, 0, 1], epochs=1, optimizer=optimizer)):
    try:
        train()
    except ValueError as error:
        assert "new optimiser" in str(error), error
    else:
        raise SystemExit("it was taken")
    assert big.trainer is None and (big.params["W1"] == before).all()
"""
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr[-2000:] or done.returncode


def test_a_step_of_one_row_with_batch_normalisation_is_refused():
    x, t = data()
    net = small(kind="normalised")
    trainer, before = Trainer(net, SGD(lr=0.1), 10), bits(net)
    with pytest.raises(ValueError, match="at least 2 rows"):
        trainer.step(x[:1], t[:1])
    assert bits(net) == before and trainer.steps == 0


def test_a_refused_step_changes_nothing_and_the_trainer_goes_on():
    x, t = data()
    net = small()
    trainer, before = Trainer(net, SGD(lr=0.1), 20), bits(net)
    for bad in (
        (x, t),
        (x[:5], t[:4]),
        (x[:5, :3], t[:5]),
        (x[:5], t[:5] + 9),
        (x[:5], None),
        (None, t[:5]),
        (x[:5], t[:5] * 0.5),
        (x[:5], "abcde"),
    ):
        with pytest.raises((ValueError, TypeError)):
            trainer.step(*bad)
    assert bits(net) == before and trainer.steps == 0
    trainer.step(x[:5], t[:5])
    assert bits(net) != before


def test_early_stopping_checks_its_arguments():
    for bad in ({"patience": 0}, {"monitor": "lost"}, {"min_delta": -1}, {"patience": 1.5}):
        with pytest.raises((ValueError, TypeError), match=next(iter(bad))):
            EarlyStopping(**bad)


# --- memory ---------------------------------------------------------------------------------


def test_steps_allocate_nothing_that_stays():
    x, t = data()
    net = small(kind="everything")
    trainer = Trainer(net, Adam(), 47)
    for _ in range(50):
        trainer.step(x, t)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(1000):
            trainer.step(x, t)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1000 and peak - before < 10_000


def test_trainers_give_their_memory_back(run_python):
    code = """
import gc
import numpy as np
from fastbp import Adam, Linear, Sequential, Trainer
def resident():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
x, t = np.ones((64, 500), "f4"), np.zeros(64, int)
net = Sequential(Linear(500, 1000), Linear(1000, 10), loss="softmax_cross_entropy")
sizes = []
for k in range(80):  # at first the C library keeps some blocks for later
    Trainer(net, Adam(), 64).step(x, t)
    gc.collect()
    sizes.append(resident())
assert max(sizes[60:]) - max(sizes[:45]) < 10, sizes
"""
    if not os.path.exists("/proc/self/status"):
        pytest.skip("needs /proc")
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", ["float32", "uint8"])
def test_fit_takes_its_plan_and_20_megabytes_at_most(kind, run_python):
    if not os.path.exists("/proc/self/status"):
        pytest.skip("needs /proc")
    code = f"""
import numpy as np
from fastbp import SGD, Linear, Relu, Sequential, Trainer
def memory(name):
    for line in open("/proc/self/status"):
        if line.startswith(name):
            return int(line.split()[1]) / 1024
x, t = np.ones((60000, 784), {kind!r}), np.arange(60000) % 10
net = Sequential(Linear(784, 50), Relu(), Linear(50, 10), loss="softmax_cross_entropy")
plan = Trainer(net, SGD(lr=0.01), 100).nbytes / 2**20
before = memory("VmRSS")
net.fit(x, t, epochs=1, batch_size=100, optimizer=SGD(lr=1e-6),
        validation_data=(x[:9999], t[:9999]))
assert memory("VmHWM") - before < plan + 20, (memory("VmHWM") - before, plan)
"""
    # Address sanitizer, where that is built in, would keep 256 MB of what is freed.
    keep_little = "detect_leaks=0:quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
    options = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), keep_little]))
    done = run_python("-c", code, ASAN_OPTIONS=options)
    assert done.returncode == 0, done.stderr


def test_nbytes_is_known_beforehand_and_grows_with_the_batch():
    net = small()
    sizes = [Trainer(net, Adam(), batch).nbytes for batch in (1, 32, 1024)]
    assert sizes == sorted(sizes) and sizes[-1] > 1024 * (9 + 20 + 4) * 4
    assert Trainer(net, SGD(lr=0.1), 1).nbytes < sizes[0]


# --- other ----------------------------------------------------------------------------------


def test_predict_proba_of_both_kinds_of_classification(dtype):
    x, t = data(dtype=dtype)
    net = small(dtype)
    net.fit(x, t, epochs=2, optimizer=Adam())
    p, y = net.predict_proba(x), net.predict(x)
    assert p.dtype == dtype
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    e = np.exp(y - y.max(axis=1, keepdims=True))
    np.testing.assert_allclose(p, e / e.sum(axis=1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(net.predict_proba(x[0]), p[0], rtol=1e-5)
    binary = small(dtype, "sigmoid")
    np.testing.assert_allclose(binary.predict_proba(x), 1 / (1 + np.exp(-binary.predict(x))), rtol=1e-5)
    for net in (small(dtype, "squared"), Sequential(Linear(9, 4, dtype=dtype))):
        with pytest.raises(ValueError, match="predict_proba"):
            net.predict_proba(x)


def test_fit_learns_what_can_be_learnt(dtype):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 2)).astype(dtype)
    t = (x[:, 0] * x[:, 1] > 0).astype(int)
    net = Sequential(
        Linear(2, 32, dtype=dtype, seed=0), Relu(), Linear(32, 2, dtype=dtype, seed=1), loss=SoftmaxWithLoss
    )
    history = net.fit(x, t, epochs=60, batch_size=20, optimizer=Adam(lr=0.01), seed=0)
    assert history.train_accuracy[-1] > 0.97 and history.train_loss[-1] < 0.2


def test_the_trainer_has_a_learning_rate_that_can_be_set():
    x, t = data()
    net = small()
    trainer = Trainer(net, SGD(lr=0.1), 47)
    assert trainer.lr == 0.1
    trainer.lr = 0.0
    before = bits(net)
    trainer.step(x, t)
    assert bits(net) == before
    with pytest.raises(TypeError):
        trainer.lr = "fast"


def test_fit_under_the_reference_backend_uses_the_same_numbers(assert_same):
    net, twin = small(), small()
    net.fit(*data(), epochs=1, batch_size=10, optimizer=Adam(), seed=0)
    with fastbp.use("reference"):
        twin.fit(*data(), epochs=1, batch_size=10, optimizer=Adam(), seed=0)
    assert_same(net, twin)


def test_fit_refuses_a_frozen_layer():
    net, twin = small(), small()
    next(net.parameters()).requires_grad_(False)
    with pytest.raises(ValueError, match=r"weight of Linear.*requires_grad=False"):
        net.fit(*data(), epochs=1, optimizer=SGD(lr=0.1))
    assert bits(net) == bits(twin)


@pytest.mark.parametrize("of", [lambda net: net, lambda net: net.layers[0]], ids=["net", "layer"])
def test_fit_refuses_hooks_that_it_would_not_call(of):
    net = Sequential(Linear(2, 2, seed=0), loss="softmax_cross_entropy")
    handle = of(net).register_forward_hook(lambda module, inputs, output: output * 0)
    with pytest.raises(ValueError, match=r"without forward hooks.*; got one of"):
        net.fit(np.ones((4, 2)), [0, 1, 0, 1], epochs=1, optimizer=SGD(lr=0.1))
    handle.remove()
    net.fit(np.ones((4, 2)), [0, 1, 0, 1], epochs=1, optimizer=SGD(lr=0.1))


def test_fit_refuses_an_option_that_was_written_into_the_groups():
    optimizer = fastbp.SGD(lr=0.1)
    optimizer.param_groups[0]["lr"] = float("nan")
    net = fastbp.Sequential(fastbp.Linear(2, 2, seed=0), loss="softmax_cross_entropy")
    before = net.params["W1"].copy()
    with pytest.raises(ValueError, match="SGD expects lr as a finite number"):
        net.fit(np.ones((3, 2)), [0, 1, 0], epochs=1, optimizer=optimizer)
    np.testing.assert_array_equal(net.params["W1"], before)


def test_steps_that_are_set_by_hand_lose_no_training(assert_same):
    x, t = data()
    net, twin = small(), small()
    for each in (net, twin):
        trainer = Trainer(each, SGD(lr=0.1, momentum=0.9), 47)
        trainer.step(x, t)
        if each is net:
            trainer.steps = 0  # what they were when the trainer began
        trainer.close()
    assert_same(net, twin)


@pytest.mark.parametrize("of_tensors", [False, True])
@pytest.mark.parametrize("momenta", [(0.0, 0.9), (0.9, 0.0)])
def test_a_momentum_that_is_set_while_it_trains(momenta, of_tensors, tmp_path):
    """The plan has the states that the rule had at its beginning: more are refused."""
    x, t = data()
    net = small()
    params = [net.parameters()] if of_tensors else []
    optimizer = fastbp.SGD(*params, lr=0.1, momentum=momenta[0])
    seen = []

    def change(net, history):
        optimizer.momentum = momenta[1]
        seen.append(bits(net))

    kept = {"checkpoint": tmp_path / "checkpoint", "every": 1}
    train = {"epochs": 2, "optimizer": optimizer, "callbacks": [change], "seed": 0, **kept}
    if momenta[0]:
        net.fit(x, t, **train)
        assert len(seen) == 2 and seen[0] != seen[1]
    else:
        with pytest.raises(ValueError, match=r"momentum=0\.9 since, so make a new Trainer"):
            net.fit(x, t, **train)
        assert len(seen) == 1 and bits(net) == seen[0]


def test_a_sparse_matrix_with_room_to_spare_keeps_it():
    sparse = pytest.importorskip("scipy.sparse")
    x = sparse.csc_matrix(np.eye(4))
    x.data, x.indices = np.r_[x.data, 7.0], np.r_[x.indices, np.int32(1)]  # beyond indptr's end
    data_of_x = x.data
    net = Sequential(Linear(4, 2, seed=0), loss="softmax_cross_entropy")
    net.fit(x, [0, 1, 0, 1], epochs=1, optimizer=SGD(lr=0.1))
    assert x.data is data_of_x


# --- what is asked for once --------------------------------------------------------------------


def test_a_subclass_of_trainer_passes_on_what_it_likes():
    class Careful(Trainer):
        def __init__(self, net, optimizer, **options):
            super().__init__(net, SGD(lr=0.5), seed=5, clip_value=0.001)

    trainer = Careful(Sequential(Linear(2, 2), loss="squared_error"), SGD(lr=0.1))
    assert (trainer.seed, trainer.clip_value, trainer.optimizer.lr) == (5, 0.001, 0.5)


@pytest.mark.parametrize("wrong", ["epoch", "who", "self"])
def test_a_keyword_that_fit_does_not_have_is_refused(wrong):
    net = Sequential(Linear(2, 2), loss="squared_error")
    with pytest.raises(TypeError, match=f"{wrong}"):
        net.fit(np.ones((3, 2)), np.ones((3, 2)), epochs=1, optimizer=SGD(lr=0.1), **{wrong: "x"})


def test_every_callback_is_called_after_every_epoch():
    net = Sequential(Linear(2, 2, seed=0), loss="squared_error")
    seen = []
    callbacks = [lambda *_: seen.append("a") or True, lambda *_: seen.append("b")]
    x = np.ones((3, 2), "f4")
    history = net.fit(x, x, epochs=3, optimizer=SGD(lr=0.1), callbacks=callbacks)
    assert seen == ["a", "b"] and history.stopped_by == "callback"


def test_a_schedule_that_raises_is_told_of_in_one_sentence():
    net = Sequential(Linear(2, 2), loss="squared_error")
    x = np.ones((3, 2), "f4")
    with pytest.raises(ValueError, match="fit expects schedule to take the epochs done; at 0 it raised ZeroDivis"):
        net.fit(x, x, epochs=1, optimizer=SGD(lr=0.1), schedule=lambda epochs: 1 / 0)
    assert net.history.stopped_by == "error" and net.trainer is None
