"""Sparse rows: a first affine layer multiplies by their entries only, as by dense rows."""

import warnings
from itertools import pairwise

import numpy as np
import pytest

from fastbp import SGD, AdaGrad, Adam, AdamW, BatchNormalization, Linear, Relu, RMSprop, Sequential, Trainer
from fastbp.optim.rule import OPTIMIZERS as RULES
from fastbp.training import plans

sparse = pytest.importorskip("scipy.sparse")

OPTIMIZERS = {
    "sgd": lambda: SGD(lr=0.01),
    "momentum": lambda: SGD(lr=0.01, momentum=0.9),
    "nesterov": lambda: SGD(lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.01),
    "decay": lambda: SGD(lr=0.01, weight_decay=0.01),
    "adagrad": lambda: AdaGrad(lr=0.01),
    "rmsprop": lambda: RMSprop(lr=0.01, eps=1e-5),  # else a gradient of roundings is a whole step
    "adam": lambda: Adam(lr=0.01),
    "adamw": lambda: AdamW(lr=0.01, weight_decay=0.1),
    "amsgrad": lambda: Adam(lr=0.01, amsgrad=True),
    **{name: RULES[name] for name in ("adadelta", "adamax", "nadam", "radam", "lion")},
}


def text(n, n_in, rng, dtype="f4", density=0.1):
    """Rows of which one is empty, and classes."""
    dense = rng.standard_normal((n, n_in)) * (rng.random((n, n_in)) < density)
    dense[n // 2] = 0
    return sparse.csr_matrix(dense.astype(dtype)), rng.integers(0, 4, n)


def network(n_in, hidden=(17,), dtype="f4", first=()):
    sizes = [n_in, *hidden, 4]
    layers = list(first)
    for k, (a, b) in enumerate(pairwise(sizes)):
        layers += [Linear(a, b, seed=k, dtype=np.dtype(dtype).name), Relu()]
    return Sequential(*layers[:-1], loss="softmax_cross_entropy")


def assert_alike(net, twin, dtype):
    tolerance = 2e-5 if np.dtype(dtype).itemsize == 4 else 1e-12
    for name, p in twin.params.items():
        np.testing.assert_allclose(net.params[name], p, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("hidden", [(), (1,), (8, 5), (50,), (67,)], ids=str)
def test_every_rule_goes_as_by_dense_rows(name, hidden, dtype):
    rng = np.random.default_rng(0)
    rows, t = text(83, 131, rng, dtype)
    for n, batch_size in ((6, 1), (20, 5), (83, 40)):
        net, twin = network(131, hidden, dtype), network(131, hidden, dtype)
        for one, x in ((net, rows[:n]), (twin, rows[:n].toarray())):
            one.fit(x, t[:n], epochs=1, batch_size=batch_size, optimizer=OPTIMIZERS[name](), seed=1)
        assert_alike(net, twin, dtype)


@pytest.mark.parametrize("clip", [{"clip_norm": 0.01}, {"clip_value": 1e-3}], ids=str)
def test_clipped_gradients_go_as_by_dense_rows(clip, dtype):
    rows, t = text(60, 90, np.random.default_rng(0), dtype)
    net, twin = network(90, dtype=dtype), network(90, dtype=dtype)
    for one, x in ((net, rows), (twin, rows.toarray())):
        one.fit(x, t, epochs=2, batch_size=20, optimizer=SGD(lr=0.1), seed=1, **clip)
    assert_alike(net, twin, dtype)


@pytest.mark.parametrize("values", ["float32", "float64", "uint8", "int32", "bool"])
def test_entries_of_every_type(values):
    rng = np.random.default_rng(0)
    dense = rng.integers(0, 2, (30, 40)) * rng.integers(0, 2, (30, 40))
    t = rng.integers(0, 4, 30)
    net, twin = network(40), network(40)
    assert Trainer(net, SGD(lr=0.1), 30).step(sparse.csr_array(dense.astype(values)), t) == (
        pytest.approx(Trainer(twin, SGD(lr=0.1), 30).step(dense.astype("f4"), t), rel=1e-6)
    )
    assert_alike(net, twin, "f4")


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_bits_depend_on_the_number_of_threads_alone(name):
    rows, t = text(400, 900, np.random.default_rng(0))
    nets = [network(900, (64,)) for _ in range(3)]
    for net, n_threads in zip(nets, (1, 3, 3), strict=True):
        net.fit(rows, t, epochs=1, batch_size=100, optimizer=OPTIMIZERS[name](), seed=1, n_threads=n_threads)
    assert_alike(nets[0], nets[1], "f4")
    for key, p in nets[1].params.items():
        assert p.tobytes() == nets[2].params[key].tobytes()


def test_a_first_layer_that_is_not_affine_has_dense_rows(dtype):
    rows, t = text(50, 30, np.random.default_rng(0), dtype)
    nets = []
    for x in (rows, rows.toarray()):
        net = network(30, dtype=dtype, first=[BatchNormalization(*np.ones((2, 30), dtype))])
        net.fit(x, t, epochs=2, batch_size=10, optimizer=Adam(), seed=1, validation_data=(x, t))
        nets.append(net)
    for name, p in nets[1].params.items():
        assert nets[0].params[name].tobytes() == p.tobytes()
    assert nets[0].history.val_loss == nets[1].history.val_loss


def test_plain_sgd_writes_to_rows_with_entries_only():
    rows = sparse.csr_array(([1.0, 2.0], ([0, 1], [3, 77])), shape=(2, 100))
    net = network(100)
    before = net.params["W1"].copy()
    Trainer(net, SGD(lr=0.1), 2).step(rows, [0, 1])
    changed = (net.params["W1"] != before).any(1)
    assert set(np.flatnonzero(changed)) <= {3, 77}
    assert changed.any()


def test_batches_of_more_entries_than_those_before():
    rng = np.random.default_rng(0)
    net, twin = network(300), network(300)
    trainer, other = Trainer(net, Adam(), 64), Trainer(twin, Adam(), 64)
    for density in (0.01, 0.2, 0.0, 0.9):
        rows, t = text(64, 300, rng, density=density)
        assert trainer.step(rows, t) == pytest.approx(other.step(rows.toarray(), t), rel=1e-5)
        assert trainer.step(rows.toarray(), t) == pytest.approx(other.step(rows, t), rel=1e-5)
    assert_alike(net, twin, "f4")


def test_rows_that_a_batch_has_twice():
    rows, t = text(8, 50, np.random.default_rng(0), density=0.5)
    net, twin = network(50), network(50)
    order = np.array([3] * 12 + [5] * 8)
    assert rows.nnz < rows[order[:16]].nnz  # more entries than all rows have
    trainer = Trainer(net, SGD(lr=0.1), 16)
    losses = np.empty(2)
    x = plans.rows_of("fit", rows, ("affine", 50, None))
    trainer.epoch(x, t, None, order, losses)
    other = Trainer(twin, SGD(lr=0.1), 16)
    for part in (order[:16], order[16:]):
        other.step(rows[part].toarray(), t[part])
    trainer.sync()
    assert_alike(net, twin, "f4")


def test_longer_rows_written_by_a_callback_are_refused():
    rows, t = text(40, 60, np.random.default_rng(0), density=0.05)
    rows.indices, rows.indptr = rows.indices.astype(np.int64), rows.indptr.astype(np.int64)
    net = network(60)
    seen = []

    def spoil(net, history):
        seen.append({name: p.copy() for name, p in net.params.items()})
        rows.indptr[1] = rows.indptr[-1]

    with pytest.raises(ValueError, match="stay in their range; got others"):
        net.fit(rows, t, epochs=2, batch_size=4, optimizer=SGD(), callbacks=[spoil], shuffle=False)
    for name, p in net.params.items():
        np.testing.assert_array_equal(p, seen[0][name])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_values_that_overflow_leave_all_as_it_was(name):
    rows = sparse.csr_array(([1e30, 1e30], ([0, 1], [3, 7])), shape=(2, 20), dtype="f4")
    net = Sequential(Linear(20, 1, seed=0), loss="squared_error")
    net.params["W1"][...] = 0
    trainer = Trainer(net, OPTIMIZERS[name](), 2)
    seen = None
    with pytest.raises(FloatingPointError):
        for _ in range(10):
            trainer.sync()
            seen = net.params["W1"].copy()
            trainer.step(rows, [[1e10], [-1e10]])
    assert np.isfinite(seen).all()
    np.testing.assert_array_equal(net.params["W1"], seen)


def test_several_entries_of_one_element_are_bounded_as_their_sum():
    """A bound by the squares of the entries, each alone, is a thousand times too low."""
    many = 1_000_000
    rows = sparse.csr_array((np.full(many, 1e15, "f4"), np.zeros(many, int), [0, many]), shape=(1, 2))
    net = Sequential(Linear(2, 1, seed=0), loss="squared_error")
    net.params["W1"][...] = 0
    with pytest.raises(FloatingPointError, match="weights, states and statistics after an update"):
        Trainer(net, SGD(lr=1.0), 1).step(rows, [[4e17]])
    assert not net.params["W1"].any()


def test_predictions_losses_and_validation_take_sparse_rows(dtype):
    rows, t = text(700, 60, np.random.default_rng(0), dtype)
    net, dense = network(60, dtype=dtype), rows.toarray()
    tolerance = {"rtol": 1e-5, "atol": 1e-6}
    for form in (rows, rows.tocsc(), rows.tocoo(), rows.astype("f8"), sparse.csr_array(rows)):
        np.testing.assert_allclose(net.predict(form), net.predict(dense), **tolerance)
    assert net.predict(rows).dtype == dtype
    np.testing.assert_allclose(net.predict_proba(rows), net.predict_proba(dense), **tolerance)
    assert net.loss(rows, t) == pytest.approx(net.loss(dense, t), rel=1e-5)
    assert net.accuracy(rows, t) == net.accuracy(dense, t)
    history, other = (
        network(60, dtype=dtype).fit(x, t, epochs=1, optimizer=SGD(), seed=0, validation_data=(x, t))
        for x in (rows, dense)
    )
    assert history.val_loss == pytest.approx(other.val_loss, rel=1e-5)


def test_predictions_refuse_sparse_rows_that_do_not_fit():
    net = network(60)
    with pytest.raises(ValueError, match="60 features; got x of shape"):
        net.predict(sparse.csr_array((3, 61)))
    with pytest.raises(TypeError, match="real numbers"):
        net.predict(sparse.csr_array((3, 60), dtype=complex))
    with pytest.raises(TypeError, match="toarray"):
        net.gradient(sparse.csr_array((3, 60)), [0, 1, 2])
    layer = Linear(60, 2, seed=0).eval()
    for one in (layer, Sequential(layer).eval()):
        assert one.forward(sparse.csr_array((3, 60))).shape == (3, 2)
        assert layer.x is None
        with pytest.raises(RuntimeError, match="forward of dense rows; got one of a sparse matrix"):
            one.backward(np.ones((3, 2)))


def test_many_columns_take_no_memory_of_the_batch(run_python):
    """200 rows of 2^19 columns would be 420 MB of panels; W, its momentum and copies are 34."""
    code = """
import resource, sys
import numpy as np, scipy.sparse as sp
from fastbp import SGD, Linear, Sequential, Trainer
n_in = 1 << 19
rng = np.random.default_rng(0)
x = sp.csr_array((np.ones(4000, "f4"), rng.integers(0, n_in, 4000), np.arange(0, 4001, 20)),
                 shape=(200, n_in))
net = Sequential(Linear(n_in, 2, seed=0), loss="softmax_cross_entropy")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
Trainer(net, SGD(lr=0.01, momentum=0.9), 200).step(x, np.zeros(200, np.int64))
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
grown = grown / 1024 if sys.platform != "darwin" else grown / 1024**2
assert grown < 150, grown
"""
    pytest.importorskip("resource")
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_estimators_go_as_by_dense_rows(solver):
    pytest.importorskip("sklearn")
    from fastbp.estimators import MLPClassifier

    rows, t = text(300, 200, np.random.default_rng(0), "f8")
    model, twin = (MLPClassifier((20,), solver=solver, max_iter=10, tol=0, random_state=0) for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(rows, t)
        twin.fit(rows.toarray(), t)
    assert model.loss_ == pytest.approx(twin.loss_, rel=1e-6)
    np.testing.assert_allclose(model.coefs_[0], twin.coefs_[0], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(model.predict_proba(rows), twin.predict_proba(rows.toarray()), rtol=1e-5)


def odd_memory(rows, kind):
    """The same matrix with room behind its entries, or with arrays of every other place."""
    if kind == "spare":
        rows.data = np.append(rows.data, [7, 7, 7]).astype(rows.dtype)
        rows.indices = np.append(rows.indices, [0, 1, 10**6]).astype(rows.indices.dtype)
    else:
        rows.data, rows.indices = (np.repeat(each, 2)[::2] for each in (rows.data, rows.indices))
    return rows


@pytest.mark.parametrize("kind", ["spare", "strided"])
def test_entries_lie_as_scipy_lets_them(kind):
    rng = np.random.default_rng(0)
    rows, t = text(60, 50, rng)
    dense = rows.toarray()
    rows = odd_memory(rows, kind)
    net, twin = network(50), network(50)
    net.fit(rows, t, epochs=2, batch_size=16, optimizer=Adam(), seed=0)
    twin.fit(dense, t, epochs=2, batch_size=16, optimizer=Adam(), seed=0)
    assert_alike(net, twin, "f4")
    np.testing.assert_allclose(net.predict(rows), net.predict(dense), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["spare", "strided"])
def test_estimators_take_entries_as_scipy_lets_them_lie(kind):
    pytest.importorskip("sklearn")
    from fastbp.estimators import MLPClassifier

    rows, t = text(60, 50, np.random.default_rng(0), "f8")
    dense = rows.toarray()
    rows = odd_memory(rows, kind)
    model, twin = (MLPClassifier((8,), random_state=0) for _ in range(2))
    model.partial_fit(rows, t, classes=np.unique(t))
    twin.partial_fit(dense, t, classes=np.unique(t))
    np.testing.assert_allclose(model.coefs_[0], twin.coefs_[0], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(model.predict_proba(rows), twin.predict_proba(dense), rtol=1e-5)
