"""`fit` with what is left out: optimisers by name, a share for validation, names of classes, any metric."""

import numpy as np
import pytest
from ranks import results

from fastbp import SGD, Adam, EarlyStopping, Linear, Relu, Sequential
from fastbp.datasets import load_iris


def network(n_out=3, seed=0):
    return Sequential(Linear(4, 8, seed=seed), Relu(), Linear(8, n_out, seed=seed + 1), loss="softmax_cross_entropy")


@pytest.fixture(scope="module")
def iris():
    return load_iris()[0]


@pytest.fixture
def named(iris):
    x, t = iris
    return x, np.array(["setosa", "versicolor", "virginica"])[t]


def parameters(net):
    return [array.copy() for array in net.params.values()]


def assert_same(one, other):
    for a, b in zip(parameters(one), parameters(other), strict=True):
        np.testing.assert_array_equal(a, b)


# --- defaults and names ---------------------------------------------------------------------


@pytest.mark.parametrize("optimizer, same", [(None, Adam()), ("adam", Adam()), ("sgd", SGD())])
def test_an_optimizer_by_name(iris, optimizer, same):
    ours, theirs = network(), network()
    history = ours.fit(*iris, optimizer=optimizer, seed=0)
    assert len(history) == 10
    theirs.fit(*iris, epochs=10, optimizer=same, batch_size=32, seed=0)
    assert_same(ours, theirs)


def test_another_optimizer_is_refused(iris):
    with pytest.raises(ValueError, match=r"expects optimizer as one of .*; got 'adm', which is near 'adam'"):
        network().fit(*iris, optimizer="adm")
    with pytest.raises(TypeError, match="expects optimizer as an optimiser"):
        network().fit(*iris, optimizer=0.1)


# --- a share for validation -----------------------------------------------------------------


def test_a_share_of_each_class_is_kept(iris):
    """The same numbers as with these rows by hand, in the order of the seed."""
    x, t = iris
    net = network()
    history = net.fit(x, t, epochs=3, validation_split=0.2, seed=5)
    assert len(history.val_loss) == len(history.val_accuracy) == 3
    from fastbp.datasets.splits import held_out

    held = held_out("it", "share", 0.2, t, 5)
    counts, of_class = np.bincount(t[held]), np.bincount(t)
    assert np.abs(counts - 0.2 * of_class).max() <= 0.5
    other = network()
    kept = np.flatnonzero(~held)
    again = other.fit(x[kept], t[kept], epochs=3, validation_data=(x[held], t[held]), seed=5)
    assert_same(net, other)
    assert again.val_loss == history.val_loss


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("kind", ["csr", "uint8", "regression"])
def test_rows_of_any_kind_are_split(kind, shuffle):
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(0)
    x = (rng.random((50, 4)) < 0.3).astype("f4")
    t = rng.integers(0, 3, 50)
    net = network()
    if kind == "regression":
        net, t = Sequential(Linear(4, 1, seed=0), loss="squared_error"), rng.standard_normal((50, 1)).astype("f4")
    rows = sparse.csr_matrix(x) if kind == "csr" else x.astype("u1") if kind == "uint8" else x
    history = net.fit(rows, t, epochs=2, validation_split=0.1, seed=0, shuffle=shuffle, sample_weight=np.ones(50))
    assert len(history.val_loss) == 2
    assert len(history.batch_loss[0]) == 2  # 45 rows in batches of 32


def test_ranks_split_alike(iris):
    def train(comm):
        net = network()
        return net.fit(*iris, epochs=2, validation_split=0.2, seed=1, comm=comm), parameters(net)

    alone, expected = train(None)
    for history, arrays in results(2, train):
        np.testing.assert_allclose(history.val_loss, alone.val_loss, rtol=1e-5)
        for a, b in zip(arrays, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_split_goes_on_from_a_file(iris, tmp_path):
    path, options = tmp_path / "file", {"validation_split": 0.25, "seed": 3}
    whole, part = network(), network()
    whole.fit(*iris, epochs=4, **options)
    part.fit(*iris, epochs=2, checkpoint=path, **options)
    again = network()
    again.fit(*iris, epochs=4, resume=path, **options)
    assert_same(again, whole)
    with pytest.raises(ValueError, match="expects the seed of the first training"):
        network().fit(*iris, epochs=4, resume=path, validation_split=0.25)
    with pytest.raises(ValueError, match="expects rows 90, as the training"):
        network().fit(*iris, epochs=4, resume=path, seed=3)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, np.nan])
def test_a_share_that_is_none(iris, share):
    with pytest.raises(ValueError, match="validation_split"):
        network().fit(*iris, validation_split=share)


def test_a_share_of_too_few_rows():
    x = np.zeros((3, 4), "f4")
    with pytest.raises(ValueError, match=r"keeps at least one row and leaves one; got 0.01 of 3 rows"):
        network().fit(x, [0, 1, 2], validation_split=0.01)
    with pytest.raises(ValueError, match="validation_data or validation_split; got both"):
        network().fit(x, [0, 1, 2], validation_split=0.5, validation_data=(x, [0, 1, 2]))


# --- names of classes -----------------------------------------------------------------------


def test_names_of_classes(named, iris, tmp_path):
    """Sorted they are the outputs; the network, its copies and its file keep them."""
    pytest.importorskip("safetensors")
    x, t = named
    net, plain = network(), network()
    history = net.fit(x, t, epochs=30, seed=0, validation_data=(x, t))
    plain.fit(*iris, epochs=30, seed=0)
    assert_same(net, plain)
    assert net.classes == ("setosa", "versicolor", "virginica")
    assert net.accuracy(x, t) == plain.accuracy(*iris) == history.val_accuracy[-1]
    assert net.loss(x, t) == plain.loss(*iris)
    assert np.mean(net.classify(x) == t) == net.accuracy(x, t)
    assert net.classify(x[0]) == net.classify(x[:1])[0]
    np.testing.assert_array_equal(plain.classify(x), plain.predict(x).argmax(axis=1))
    net.save(tmp_path / "net.safetensors")
    loaded = Sequential.load(tmp_path / "net.safetensors")
    assert loaded.classes == net.classes
    np.testing.assert_array_equal(loaded.classify(x), net.classify(x))
    import copy

    assert copy.deepcopy(net).classes == net.classes
    net.fit(x, list(t), epochs=1)  # the names that it has


def test_names_go_on_from_a_file(named, tmp_path):
    x, t = named
    net, path = network(), tmp_path / "file"
    net.fit(x, t, epochs=2, seed=0, checkpoint=path)
    again, whole = network(), network()
    again.fit(x, t, epochs=4, seed=0, resume=path)
    whole.fit(x, t, epochs=4, seed=0)
    assert_same(again, whole)
    with pytest.raises(ValueError, match="classes"):
        network().fit(x, np.char.add("a ", t), epochs=4, seed=0, resume=path)


def test_names_on_ranks(named):
    """The names of all ranks' rows, also where each has only some of them."""
    x, t = named

    def train(comm):
        net = network()
        part = np.argsort(t, kind="stable")[comm.rank :: 2] if comm.rank else np.flatnonzero(t == "setosa")
        net.fit(x[part], t[part], epochs=1, seed=0, comm=comm, rows="own")
        return net.classes

    assert results(2, train) == [("setosa", "versicolor", "virginica")] * 2


def test_names_that_do_not_fit(named):
    x, t = named
    net = network(2)
    with pytest.raises(ValueError, match="as many classes as the network has outputs, 2; got 3 different texts"):
        net.fit(x, t)
    assert net.classes is None
    net = network()
    with pytest.raises(TypeError, match=r"real numbers, which classes, t = np\.unique"):
        net.accuracy(x[:2], ["setosa", "setosa"])
    net.fit(x, t, epochs=1)
    with pytest.raises(ValueError, match=r"among the network's classes 'setosa', .*; got 'rose' at row 1"):
        net.accuracy(x[:2], ["setosa", "rose"])
    with pytest.raises(ValueError, match="among the network's classes"):
        net.fit(x[:2], ["setosa", "rose"], epochs=1)
    with pytest.raises((TypeError, ValueError)):
        net.fit(x[:2], ["setosa", 1], epochs=1)
    with pytest.raises(TypeError, match="real numbers"):
        Sequential(Linear(4, 1), loss="squared_error").fit(x, t)


# --- any metric -----------------------------------------------------------------------------


def test_a_function_decides(iris):
    """More is better; the best epoch's weights come back."""
    seen, scores = [], iter([0.1, 0.5, 0.3, 0.4, 0.2, 0.9])

    def score(net):
        seen.append(parameters(net))
        return next(scores)

    net = network()
    history = net.fit(*iris, epochs=9, seed=0, early_stopping=EarlyStopping(3, score))
    assert history.stopped_by == "early_stopping" and len(history) == 5
    for array, best in zip(parameters(net), seen[1], strict=True):
        np.testing.assert_array_equal(array, best)


def test_a_function_that_gives_no_number(iris):
    with pytest.raises(TypeError, match="what early_stopping's monitor returns as a number"):
        network().fit(*iris, early_stopping=EarlyStopping(3, lambda net: None))


def test_the_first_ranks_function_decides(iris):
    def train(comm):
        scores = iter([1.0, 0.5, 0.25, 0.125] if comm.rank == 0 else [1.0, 2.0, 3.0, 4.0])
        stopping = EarlyStopping(2, lambda net: next(scores))
        net = network()
        history = net.fit(*iris, epochs=4, seed=0, comm=comm, early_stopping=stopping)
        return len(history), stopping.best_epoch, parameters(net)

    (n, best, arrays), (n_other, best_other, others) = results(2, train)
    assert (n, best) == (n_other, best_other) == (3, 0)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, others, strict=True))
