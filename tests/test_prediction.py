"""`predict` in one call is what the layers give one after the other."""

import itertools
import threading

import numpy as np
import pytest

import fastbp
from fastbp import Sequential, layers
from fastbp.layers import (
    BatchNorm1d,
    Dropout,
    Embeddings,
    Flatten,
    Gelu,
    Identity,
    LeakyRelu,
    Linear,
    Relu,
    Sigmoid,
    Softplus,
    Tanh,
)

BETWEEN = [
    lambda n, dtype: [Relu()],
    lambda n, dtype: [BatchNorm1d(n, dtype=dtype), Tanh()],
    lambda n, dtype: [Dropout(0.5), LeakyRelu(0.2)],
    lambda n, dtype: [Sigmoid(), Softplus()],
    lambda n, dtype: [Gelu(), Identity()],
    lambda n, dtype: [],
]


def network(sizes, dtype, between, last=()):
    rng = np.random.default_rng(1)
    parts = [Flatten()]
    for k, (n, m) in enumerate(itertools.pairwise(sizes)):
        parts += [Linear(n, m, dtype=dtype, seed=k), *between(m, dtype)]
    for part in parts:
        if isinstance(part, BatchNorm1d):
            for array in (part.gamma, part.beta, part.running_mean):
                array[...] = rng.standard_normal(len(array))
            part.running_var[...] = rng.random(len(part.gamma)) + 0.5
    return Sequential(*parts, *last)


def by_layers(net, x):
    for layer in net.layers:
        x = layer.evaluate(x)
    return x


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("sizes", [(4, 3), (3, 20, 5), (8, 64, 64, 4), (20, 7, 1)])
def test_predict_is_the_layers_in_turn(sizes, between, dtype):
    net = network(sizes, dtype, between)
    rng = np.random.default_rng(0)
    for rows in (1, 2, 31, 256, 257, 700):
        x = rng.standard_normal((rows, sizes[0])).astype(dtype)
        kept = x.copy()
        y = net.predict(x)
        np.testing.assert_allclose(y, by_layers(net, x), 2e-5, 2e-6)
        assert y.dtype == dtype and y.shape == (rows, sizes[-1])
        np.testing.assert_array_equal(x, kept)
        with fastbp.use("reference"):
            np.testing.assert_allclose(y, net.predict(x), 1e-3, 1e-4)


# --- tables of categories -------------------------------------------------------------------

SIZES = [7, 1, 300]


def of_categories(dtype="float32", numeric=2, behind=True):
    first = Embeddings(SIZES, [5, 1, 16], numeric, dtype=dtype, seed=0)
    rest = [Linear(22 + numeric, 9, dtype=dtype, seed=1), Tanh(), Linear(9, 2, dtype=dtype, seed=2)] if behind else []
    return Sequential(Flatten(), first, *rest)


def categories(n, dtype="float32", numeric=2):
    rng = np.random.default_rng(0)
    return np.column_stack([*(rng.integers(0, m, n) for m in SIZES), *rng.standard_normal((numeric, n))]).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("numeric", [0, 2])
@pytest.mark.parametrize("behind", [True, False], ids=["affine", "alone"])
def test_tables_of_categories_are_the_layers_in_turn(dtype, numeric, behind):
    net = of_categories(dtype, numeric, behind)
    for rows in (1, 2, 256, 257, 5000):
        for given in {dtype, "float32"}:
            x = categories(rows, given, numeric)
            kept = x.copy()
            assert net._look_at_parts().predict(x) is not None
            np.testing.assert_allclose(net.predict(x), by_layers(net, x), 1e-5, 1e-5)
            assert x.tobytes() == kept.tobytes()


@pytest.mark.parametrize("wrong", [7, -1, 0.5, np.nan, np.inf, -np.inf, 1e30])
def test_what_is_no_category_is_named_with_its_row(wrong):
    net = of_categories()
    for rows in (1, 700, 5000):
        for dtype in ("float32", "float64"):
            x = categories(rows, dtype)
            x[-1, 0] = wrong
            with pytest.raises(
                ValueError, match=rf"whole numbers from 0 to 6 in column 0 of x; got .* row {rows - 1}\."
            ):
                net.predict(x)


def test_writes_into_tables_count():
    net = of_categories()
    x = categories(5)
    before = net.predict(x)
    net.layers[1].tables[2][...] *= 3
    assert not np.allclose(net.predict(x), before)
    np.testing.assert_allclose(net.predict(x), by_layers(net, x), 1e-5, 1e-5)
    net.layers[1].E = np.ones_like(net.layers[1].E)
    np.testing.assert_allclose(net.predict(x), by_layers(net, x), 1e-5, 1e-5)
    trainer = fastbp.Trainer(Sequential(*net.layers[1:], loss="softmax_cross_entropy"), fastbp.SGD(lr=0.1), 5, seed=0)
    trainer.step(x, np.arange(5) % 2)
    np.testing.assert_allclose(net.predict(x), by_layers(net, x), 1e-5, 1e-5)
    net.layers[1].tables[0][...] = np.nan
    assert np.isnan(net.predict(x)).all()


@pytest.mark.parametrize("make", [lambda x: x.astype("i8"), lambda x: x.tolist(), lambda x: x[0], lambda x: x[:0]])
def test_other_rows_of_categories_go_layer_by_layer(make):
    x = make(categories(6))
    net = of_categories()
    np.testing.assert_allclose(net.predict(x), by_layers(net, x), 1e-5, 1e-5)
    with pytest.raises(ValueError, match="5 features"):
        net.predict(categories(6)[:, :4])


def test_rows_of_float32_under_weights_of_float64():
    net = network((30, 20, 4), "float64", BETWEEN[0])
    x = np.random.default_rng(0).standard_normal((1000, 30)).astype("f4")
    y = net.predict(x)
    np.testing.assert_array_equal(net._compiled.predict(x), y)  # it was taken
    np.testing.assert_allclose(y, by_layers(net, x.astype("f8")), 1e-12, 1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.astype(">f4"),
        np.asfortranarray,
        lambda x: x.tolist(),
        lambda x: x[0],
        lambda x: x.reshape(6, 2, 4),
        lambda x: x[:0],
        lambda x: x[::-1],
        lambda x: x.astype("f8"),
        lambda x: x.astype("u1"),
    ],
)
def test_other_rows_go_layer_by_layer(make):
    net = network((8, 16, 3), "float32", BETWEEN[0])
    x = make(np.random.default_rng(0).random((6, 8)).astype("f4") * 9)
    np.testing.assert_allclose(net.predict(x), by_layers(net, x), 1e-5, 1e-5)


def test_rows_of_another_width_are_refused_as_before():
    net = network((8, 16, 3), "float32", BETWEEN[0])
    with pytest.raises(ValueError, match="8 features"):
        net.predict(np.zeros((2, 9), "f4"))


def test_what_changed_since_counts():
    net = network((8, 16, 3), "float32", BETWEEN[2])
    x = np.random.default_rng(0).standard_normal((5, 8)).astype("f4")
    before = net.predict(x)
    net.params["W1"][...] *= 2  # in place
    assert not np.allclose(net.predict(x), before)
    np.testing.assert_allclose(net.predict(x), by_layers(net, x), 1e-5, 1e-5)
    first = net.layers[1]
    first.W = np.asfortranarray(first.W + 1)  # not as the kernels read it
    np.testing.assert_allclose(net.predict(x), by_layers(net, x), 1e-5, 1e-5)
    net.layers[3].slope = 0.9
    np.testing.assert_allclose(net.predict(x), by_layers(net, x), 1e-5, 1e-5)
    trainer = fastbp.Trainer(Sequential(*net.layers, loss="softmax_cross_entropy"), fastbp.SGD(lr=0.1), 5, seed=0)
    trainer.step(x, np.arange(5) % 3)
    np.testing.assert_allclose(net.predict(x), by_layers(net, x), 1e-5, 1e-5)


def test_a_layer_of_ones_own_and_a_hook_are_called():
    class Doubled(layers.Relu):
        def run(self, x, training):
            out, saved = super().run(x, training)
            return 2 * out, saved

    net = network((4, 4), "float32", BETWEEN[5], last=[Relu()])
    own = network((4, 4), "float32", BETWEEN[5], last=[Doubled()])
    x = np.random.default_rng(0).standard_normal((3, 4)).astype("f4")
    np.testing.assert_allclose(own.predict(x), 2 * net.predict(x))
    before = net.predict(x)
    net.layers[-1].register_forward_hook(lambda module, given, out: out + 1)
    np.testing.assert_allclose(net.predict(x), before + 1)


def test_threads_predict_at_once():
    net = network((30, 64, 5), "float32", BETWEEN[1])
    x = np.random.default_rng(0).standard_normal((3000, 30)).astype("f4")
    want, wrong = net.predict(x), []

    def run():
        wrong.extend(1 for _ in range(20) if not np.array_equal(net.predict(x), want))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_several_threads_give_what_one_gives(dtype):
    net = network((30, 64, 5), dtype, BETWEEN[1])
    x = np.random.default_rng(0).standard_normal((3001, 30)).astype("f4")
    try:
        fastbp.set_num_threads(1)
        want = net.predict(x)
        for n in (2, 3, 7):
            fastbp.set_num_threads(n)
            np.testing.assert_array_equal(net.predict(x), want)
    finally:
        fastbp.set_num_threads(None)


@pytest.mark.parametrize("as_tensors", [False, True])
def test_predict_follows_arrays_that_are_put_in(as_tensors):
    net = network((4, 4), "float32", BETWEEN[5], last=[Relu()])
    x = np.ones((1, 4), "f4")
    if as_tensors:
        list(net.parameters())
    for k in (1, 2):
        net.predict(x)
        layer = net.layers[-2]
        layer.W, layer.b = np.full((4, 4), k, "f4"), np.zeros(4, "f4")
        assert net.predict(x)[0, 0] == 4 * k
        layer.W += 1  # in place, and put back
        assert net.predict(x)[0, 0] == 4 * (k + 1)
    next(net.parameters()).data = fastbp.ones(4, 4)
    assert net.predict(x)[0, 0] == 4


def test_a_slow_thread_does_not_bring_back_arrays_of_before(monkeypatch):
    net = Sequential(layers.Affine(np.zeros((4, 4), "f4"), np.zeros(4, "f4")), Relu())
    x = np.ones((1, 4), "f4")
    net.predict(x)
    found, goes_on = threading.Event(), threading.Event()
    reader = threading.Thread(target=lambda: net.predict(x))
    link = Relu.link

    def slow_link(layer):
        if threading.current_thread() is reader:  # which has the arrays of the layer before
            found.set()
            goes_on.wait(60)
        return link(layer)

    monkeypatch.setattr(Relu, "link", slow_link)
    net[0].b = np.full(4, 1, "f4")
    reader.start()
    found.wait(60)
    net[0].b = np.full(4, 2, "f4")
    assert net.predict(x)[0, 0] == 2
    goes_on.set()
    reader.join()
    assert net.predict(x)[0, 0] == 2
