"""What data of other kinds take beside themselves: rows are converted some at a time."""

import tracemalloc

import numpy as np
import pytest

from fastbp import SGD, BatchNorm1d, Dropout, Flatten, Linear, Relu, Sequential, Trainer
from fastbp.training import plans

N, M = 20_000, 60
RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 9, (N, M), np.uint8)
T = RNG.integers(0, 3, N)
#: Bytes that outputs, row numbers, losses and a block's rows take, for each number of x.
REST = 1.0


def frame(x):
    return pytest.importorskip("pandas").DataFrame(x)


def memory_map(tmp_path):
    path = tmp_path / "x"
    BYTES.tofile(path)
    return np.memmap(path, np.uint8, "r", shape=(N, M))


#: x, and the bytes a number that a training may copy: rows in any order are read as rows.
FORMS = {
    "float32": (lambda _: BYTES.astype(np.float32), 0),
    "uint8": (lambda _: BYTES, 0),
    "uint8 memory map": (memory_map, 0),
    "uint8 by columns": (lambda _: np.asfortranarray(BYTES), 1),
    "uint8 frame": (lambda _: frame(BYTES), 1),
    "float32 by columns": (lambda _: np.asfortranarray(BYTES.astype(np.float32)), 4),
    "float64 by columns": (lambda _: np.asfortranarray(BYTES.astype(np.float64)), 8),
    "float64 frame": (lambda _: frame(BYTES.astype(np.float64)), 8),
    "float32 strided": (lambda _: np.repeat(BYTES, 2, axis=1).astype(np.float32)[:, ::2], 4),
}


def peak(function):
    """The most bytes that a call had, for each number of x; a first one may import."""
    function()
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1] / (N * M)
    finally:
        tracemalloc.stop()


def network():
    return Sequential(
        Flatten(),
        Linear(M, 8, seed=0),
        BatchNorm1d(8),
        Relu(),
        Dropout(0.1),
        Linear(8, 3, seed=1),
        loss="softmax_cross_entropy",
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_network_copies_no_more_than_rows_to_train(form, tmp_path):
    x, copied = FORMS[form][0](tmp_path), FORMS[form][1]
    net = network()
    for use in (net.predict, net.predict_proba, lambda x: net.accuracy(x, T)):
        assert peak(lambda use=use: use(x)) < REST
    optimizer = SGD(lr=1e-3)
    assert peak(lambda: net.fit(x, T, epochs=1, optimizer=optimizer)) < copied + REST
    assert np.isfinite(net.history.train_loss).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n", [1025, 2048, 2049, N])
def test_rows_by_blocks_are_predicted_as_all_at_once(form, n, tmp_path):
    x, net = FORMS[form][0](tmp_path)[:n], network()
    expected = net.predict(np.array(x, np.float32, order="C"))
    assert net.predict(x).dtype == expected.dtype
    np.testing.assert_allclose(net.predict(x), expected, rtol=1e-5, atol=1e-6)


def test_errors_of_many_rows_are_those_of_all():
    net = network()
    with pytest.raises(ValueError, match=r"60 features .* got x of shape \(20000, 59\)"):
        net.predict(np.asfortranarray(BYTES[:, 1:]))
    with pytest.raises(ValueError, match="got 20000 of them"):
        net.predict(np.ma.MaskedArray(np.ones((N, M)), np.full((N, M), np.arange(M) == 0)))


@pytest.mark.parametrize("form", FORMS)
def test_an_estimator_copies_no_more_than_rows_to_train(form, tmp_path):
    estimators = pytest.importorskip("fastbp.estimators")
    x, copied = FORMS[form][0](tmp_path), FORMS[form][1]
    model = estimators.MLPClassifier((8,), max_iter=2, random_state=0, tol=0.0)
    with pytest.warns(Warning, match="Maximum iterations"):
        assert peak(lambda: model.fit(x, T)) < copied + REST
    for use in (model.predict, model.predict_proba, lambda x: model.score(x, T)):
        assert peak(lambda use=use: use(x)) < REST
    assert peak(lambda: model.partial_fit(x, T)) < copied + REST


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("more", [{}, {"early_stopping": True}], ids=["", "early stopping"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("form", ["array", "frame", "sparse", "memory map"])
def test_bytes_are_their_float64(solver, name, more, form, tmp_path):
    """The weights of a fit, and of a partial_fit behind it, are those of X.astype(float64)."""
    estimators = pytest.importorskip("fastbp.estimators")
    sparse = pytest.importorskip("scipy.sparse")
    n = 500
    forms = {
        "array": np.array,
        "frame": frame,
        "sparse": sparse.csr_matrix,
        "memory map": lambda _: memory_map(tmp_path)[:n],
    }
    x, t = forms[form](BYTES[:n]), T[:n]
    results = []
    for rows in (x, x.astype(np.float64)):
        model = getattr(estimators, name)(hidden_layer_sizes=(7,), solver=solver, max_iter=4, random_state=3, **more)
        model.fit(rows, t)
        values = [model.predict(rows), *model.coefs_, *model.intercepts_]
        if solver != "lbfgs" and not more:
            model.partial_fit(rows, t)
            values += [*model.coefs_, model.score(rows, t)]
        assert all(W.dtype == np.float64 for W in model.coefs_)
        results.append([np.asarray(value).tobytes() for value in values])
    assert results[0] == results[1]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_scorer_of_ones_own_sees_float64():
    """Arithmetic on bytes would wrap around."""
    estimators = pytest.importorskip("fastbp.estimators")
    seen = []

    def scoring(model, X, y):
        seen.append(X.dtype)
        return model.score(X, y)

    model = estimators.MLPClassifier((4,), max_iter=1, early_stopping=True, scoring=scoring)
    model.fit(BYTES[:200], T[:200])
    assert seen and all(dtype == np.float64 for dtype in seen)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_bytes_that_missed_a_scaling_are_told():
    estimators = pytest.importorskip("fastbp.estimators")
    model = estimators.MLPClassifier((4,), max_iter=1)
    with pytest.warns(UserWarning, match="missed a transformation"):
        model.fit(BYTES[:300] / 9.0, T[:300], validation_data=(BYTES[300:500] + 20, T[300:500]))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_number_that_is_none_is_found_in_the_last_rows(bad):
    estimators = pytest.importorskip("fastbp.estimators")
    x = BYTES[:3000].astype(np.float64)
    model = estimators.MLPClassifier((4,), max_iter=1, random_state=0).fit(x, T[:3000])
    x[-1, -1] = bad
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        model.predict(x)


# --- parameters that share memory ---------------------------------------------------------------


BASE = np.zeros((10, 10))


@pytest.mark.parametrize(
    "arrays, found",
    [
        ({"a": BASE[:8], "b": BASE[1], "c": BASE[9]}, "a and b"),
        ({"a": BASE[9], "b": BASE[5:7], "c": BASE[1:8], "d": BASE[0]}, "b and c"),
        ({"a": BASE[:, 0], "b": BASE[:, 1], "c": BASE[:, 2:], "d": BASE[3, 3:4]}, "c and d"),
        ({"a": BASE, "b": BASE.T}, "a and b"),
        ({"a": BASE[::-1][:2], "b": BASE[9:, 9:]}, "a and b"),
        ({"a": BASE[:, 0], "b": BASE[:, 1], "c": BASE[:, 2:], "d": np.zeros(3), "e": BASE[:0]}, None),
    ],
)
def test_parameters_that_share_memory_are_found(arrays, found):
    if found is None:
        plans.require_apart("Trainer", arrays.items())
        return
    for pairs in (arrays.items(), list(arrays.items())[::-1]):
        first, second = found.split(" and ")[:: 1 if pairs == arrays.items() else -1]
        with pytest.raises(ValueError, match=f"got {first} and {second} in the same"):
            plans.require_apart("Trainer", pairs)


def test_a_trainer_of_many_layers_compares_few_of_them(monkeypatch):
    """Comparing each array with each other took 160 ms at 400 layers."""
    compared, shares_memory = [], np.shares_memory
    monkeypatch.setattr(np, "shares_memory", lambda *pair: compared.append(1) or shares_memory(*pair))
    n = 300
    net = Sequential(*(Linear(2, 2, seed=k) for k in range(n)), loss="squared_error")
    Trainer(net, SGD(lr=0.1))
    assert len(compared) < 5 * n
