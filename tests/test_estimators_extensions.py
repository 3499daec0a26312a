"""What `MLPClassifier` and `MLPRegressor` have beyond scikit-learn's."""

import math
import pickle
import sys
import time

import numpy as np
import pytest
from scipy import sparse
from scipy.special import erfc
from sklearn import datasets, neural_network
from sklearn.metrics import f1_score, log_loss
from sklearn.utils.class_weight import compute_sample_weight

import fastbp
from fastbp.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def digits(n=600):
    X, y = datasets.load_digits(return_X_y=True)
    return X[:n] / 16, y[:n]


def curve(n=400, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 2))
    return X, np.sin(3 * X[:, 0]) + X[:, 1] ** 2 + 0.1 * rng.standard_normal(n)


# --- layers ---------------------------------------------------------------------------------

ACTIVATIONS = {
    "identity": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "softplus": lambda z: np.logaddexp(0, z),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "gelu": lambda z: 0.5 * z * erfc(-z / math.sqrt(2)),
}


@pytest.mark.parametrize("first", ACTIVATIONS)
@pytest.mark.parametrize("second", ["relu", "gelu"])
def test_an_activation_for_each_layer(first, second):
    X, y = curve()
    model = MLPRegressor(
        hidden_layer_sizes=(30, 20), activation=(first, second), learning_rate_init=0.01, random_state=0
    ).fit(X, y)
    assert model.score(X, y) > 0.5
    h = ACTIVATIONS[first](X @ model.coefs_[0] + model.intercepts_[0])
    np.testing.assert_allclose(model.hidden(X, 0), h, rtol=1e-9, atol=1e-12)
    h = ACTIVATIONS[second](h @ model.coefs_[1] + model.intercepts_[1])
    np.testing.assert_allclose(model.hidden(X), h, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        model.predict(X), (h @ model.coefs_[2] + model.intercepts_[2])[:, 0], rtol=1e-9, atol=1e-12
    )


def test_hidden_names_the_layers_that_are_there():
    model = MLPClassifier((7, 5), max_iter=2).fit(*digits(100))
    assert model.hidden(digits(100)[0], -2).shape == (100, 7)
    for layer in (2, -3, "last", 1.5, True, slice(1)):
        with pytest.raises(ValueError, match="hidden expects layer as the number of a hidden"):
            model.hidden(digits(100)[0], layer)
    model = MLPClassifier((), max_iter=2).fit(*digits(100))
    with pytest.raises(ValueError, match="expects a network with hidden layers; got none"):
        model.hidden(digits(100)[0])


def test_dropout_trains_without_some_and_predicts_with_all():
    X, y = digits()
    settings = {"hidden_layer_sizes": (50,), "max_iter": 40, "random_state": 0}
    plain, dropped, again = (MLPClassifier(**settings, dropout=rate).fit(X, y) for rate in (0.0, 0.5, 0.5))
    assert dropped.loss_ > 1.5 * plain.loss_
    assert dropped.score(X, y) > 0.85
    np.testing.assert_array_equal(dropped.coefs_[0], again.coefs_[0])
    np.testing.assert_array_equal(dropped.predict_proba(X), dropped.predict_proba(X))
    two = MLPClassifier((20, 20), dropout=(0.0, 0.3), max_iter=2, random_state=0).fit(X, y)
    assert [entry[0] for entry in two._optimizer.entries].count("dropout") == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_batch_norm_normalises_by_what_it_saw(dtype):
    X, y = digits()
    X = (100 * X + 50).astype(dtype)
    settings = {"max_iter": 20, "learning_rate_init": 0.01, "random_state": 0}
    model = MLPClassifier((30, 20), **settings, batch_norm=True).fit(X, y)
    assert model.score(X, y) > 0.95
    assert [norm.shape for norm in model.norms_] == [(4, 30), (4, 20)]
    assert model.norms_[0].dtype == dtype
    gamma, beta, mean, variance = model.norms_[0]
    z = X @ model.coefs_[0] + model.intercepts_[0]
    normal = gamma * (z - mean) / np.sqrt(variance + 1e-5) + beta
    np.testing.assert_allclose(model.hidden(X, 0), np.maximum(normal, 0), rtol=1e-2, atol=1e-3)
    assert np.abs(mean - z.mean(axis=0)).max() < 0.5 * z.std()
    model = pickle.loads(pickle.dumps(model)).partial_fit(X[:50], y[:50])
    assert np.isfinite(model.predict_proba(X)).all()
    with pytest.raises(ValueError, match="batches of at least 2 rows for batch_norm"):
        model.partial_fit(X[:1], y[:1])


def test_first_weights_by_name_and_given():
    X, y = digits()
    model = MLPClassifier((50,), init="he", max_iter=1, learning_rate_init=1e-9, random_state=0)
    model.fit(X, y)
    assert model.coefs_[0].std() == pytest.approx(math.sqrt(2 / 64), rel=0.05)
    assert np.abs(model.intercepts_[0]).max() < 1e-6
    given = ([W.copy() for W in model.coefs_], [b + 1 for b in model.intercepts_])
    kept = [W.copy() for W in given[0]]
    model.set_params(init=None, coefs_init=given).fit(X, y)
    np.testing.assert_allclose(model.intercepts_[0], 1, atol=1e-6)
    np.testing.assert_array_equal(given[0][0], kept[0])
    for bad in ((given[0], given[1][:1]), 3, ([W.T for W in given[0]], given[1]), given[0]):
        with pytest.raises(ValueError, match="expects coefs_init as"):
            model.set_params(coefs_init=bad).fit(X, y)


# --- losses ---------------------------------------------------------------------------------


def test_robust_losses_pass_over_outliers():
    X, y = curve()
    spoilt = y.copy()
    spoilt[::15] += 30
    scores = {}
    for loss in ("squared_error", "absolute_error", "huber", "quantile"):
        model = MLPRegressor(
            loss=loss,
            hidden_layer_sizes=50,
            learning_rate_init=0.01,
            random_state=0,
            early_stopping=False,
            huber_delta=0.3,
        )
        scores[loss] = model.fit(X, spoilt).score(X, y)
    assert scores.pop("squared_error") < 0 < 0.9 < min(scores.values())


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_a_quantile_lies_above_its_share(quantile):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (2000, 1))
    y = X[:, 0] + rng.exponential(1, 2000)
    model = MLPRegressor(loss="quantile", quantile=quantile, random_state=0, max_iter=60, learning_rate_init=0.01).fit(
        X, y
    )
    assert np.mean(y < model.predict(X)) == pytest.approx(quantile, abs=0.05)


@pytest.mark.parametrize(
    "loss, value",
    [
        ("absolute_error", lambda d: np.abs(d)),
        ("quantile", lambda d: np.where(d > 0, 0.2 * d, -0.8 * d)),
        ("huber", lambda d: np.where(np.abs(d) <= 0.7, 0.5 * d * d, 0.7 * (np.abs(d) - 0.35))),
    ],
)
def test_a_loss_is_its_mean_and_the_penalty(loss, value):
    X, y = curve(100)
    y = np.column_stack([y, -y])
    model = MLPRegressor(
        loss=loss, quantile=0.8, huber_delta=0.7, alpha=2.0, max_iter=1, learning_rate_init=1e-12, random_state=0
    ).fit(X, y)
    penalty = sum(np.square(W).sum() for W in model.coefs_) / len(X)
    assert model.loss_ == pytest.approx(value(model.predict(X) - y).mean() + penalty, rel=1e-9)


def test_label_smoothing_keeps_probabilities_from_the_ends():
    X, y = digits()
    for target in (y, y > 4):
        sure, smooth = (
            MLPClassifier(max_iter=100, random_state=0, label_smoothing=share).fit(X, target) for share in (0.0, 0.2)
        )
        assert sure.predict_proba(X).max() > 0.99 > smooth.predict_proba(X).max()
        assert smooth.score(X, target) > 0.95
    with pytest.raises(ValueError, match="label_smoothing"):
        MLPClassifier(label_smoothing=2).fit(X, y)


def half_square(y, outputs):
    d = outputs - y
    return 0.5 * np.square(d).sum(axis=1), d


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs", "adamw"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_loss_of_ones_own_trains_as_the_same_one_inside(solver, weighted):
    X, y = curve()
    weights = np.random.default_rng(0).random(len(X)) if weighted else None
    inside, own = (
        MLPRegressor(loss=loss, solver=solver, max_iter=6, random_state=0, alpha=0.01).fit(X, y, sample_weight=weights)
        for loss in ("squared_error", half_square)
    )
    assert own.loss_ == pytest.approx(inside.loss_, rel=1e-9)
    np.testing.assert_allclose(own.coefs_[0], inside.coefs_[0], rtol=1e-6, atol=1e-9)


def test_a_loss_of_ones_own_classifies():
    def hinge(y, outputs):
        sign = 2 * y - 1
        margin = np.maximum(0, 1 - sign * outputs)
        return margin.sum(axis=1), -sign * (margin > 0)

    X, y = digits()
    for target in (y, y > 4):
        model = MLPClassifier(loss=hinge, learning_rate_init=0.01, max_iter=40, random_state=0)
        assert model.fit(X, target).score(X, target) > 0.95


def test_a_loss_of_ones_own_that_returns_something_else_is_refused():
    X, y = curve(50)
    for bad in (lambda y, z: 3.0, lambda y, z: (1.0, z), lambda y, z: (z, z), lambda z: z):
        with pytest.raises((ValueError, TypeError), match="to return each row's loss"):
            MLPRegressor(loss=bad, max_iter=2).fit(X, y)


def test_class_weights_are_sample_weights():
    X, y = digits()
    y = (y == 0).astype(int)
    for class_weight in ("balanced", {0: 1.0, 1: 5.0}):
        weighted = MLPClassifier((20,), class_weight=class_weight, max_iter=5, random_state=0)
        same = MLPClassifier((20,), max_iter=5, random_state=0)
        weighted.fit(X, y)
        same.fit(X, y, sample_weight=compute_sample_weight(class_weight, y))
        np.testing.assert_array_equal(weighted.coefs_[0], same.coefs_[0])
    weighted.partial_fit(X[:20], y[:20])
    with pytest.raises(ValueError, match="class_weight as a dictionary"):
        weighted.set_params(class_weight="balanced").partial_fit(X, y)


@pytest.mark.parametrize("labels", ["two", "four", "several", "several, sparse"])
def test_balanced_weights_are_those_of_repeated_rows(labels):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    y = {"two": np.arange(40) % 5 == 0, "four": np.arange(40) % 7 % 4}.get(labels)
    if y is None:
        y = (rng.random((40, 3)) > 0.7).astype(int)
    times = rng.integers(0, 3, 40)
    if y.ndim == 1:
        y = np.r_[y, y.max()]  # a row that does not count
        X, times = np.r_[X, X[:1]], np.r_[times, 0]
    settings = {"shuffle": False, "max_iter": 5, "random_state": 0}
    weighted, repeated = (MLPClassifier((4,), class_weight="balanced", **settings) for _ in "12")
    rows = np.repeat(np.arange(len(X)), times)
    repeated.fit(X[rows], y[rows])
    weighted.fit(X, sparse.csr_matrix(y) if "sparse" in labels else y, sample_weight=times)
    np.testing.assert_allclose(weighted.coefs_[0], repeated.coefs_[0], rtol=1e-9)


def test_balanced_weights_of_a_class_without_any():
    X, y = np.random.default_rng(0).normal(size=(30, 3)), np.arange(30) % 7 % 3
    some = y > 0
    settings = {"alpha": 1.0, "max_iter": 3, "shuffle": False, "random_state": 0}
    weighted, fewer = (MLPClassifier((4,), class_weight="balanced", **settings) for _ in "12")
    weighted.fit(X, y, sample_weight=some)
    given = compute_sample_weight("balanced", y[some])
    fewer.set_params(class_weight=None).fit(X, y, np.bincount(np.flatnonzero(some), given, 30))
    np.testing.assert_allclose(weighted.coefs_[0], fewer.coefs_[0], rtol=1e-9)


# --- training -------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["rmsprop", "adagrad", "adamw"])
def test_more_solvers_learn(solver):
    X, y = digits()
    model = MLPClassifier(solver=solver, learning_rate_init=0.01, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.98
    again = pickle.loads(pickle.dumps(model))
    for one in (model, again):
        one.partial_fit(X[:50], y[:50])
    np.testing.assert_array_equal(model.coefs_[0], again.coefs_[0])


def test_adamw_decays_weights_only_and_apart_from_the_loss():
    X, y = digits(100)
    X = np.zeros_like(X)  # no gradient for the first weights
    model = MLPClassifier(
        (5,), solver="adamw", alpha=0.5, learning_rate_init=0.01, max_iter=1, random_state=0, init="he"
    )
    start = MLPClassifier(
        (5,), solver="adamw", alpha=0.0, learning_rate_init=0.01, max_iter=1, random_state=0, init="he"
    )
    W = start.fit(X, y).coefs_[0]
    np.testing.assert_allclose(model.fit(X, y).coefs_[0], (1 - 0.01 * 0.5) * W, rtol=1e-12)
    np.testing.assert_array_equal(model.intercepts_[0], start.intercepts_[0])
    assert model.loss_ == start.loss_


def test_validation_data_any_scorer_and_the_best_weights():
    X, y = digits()
    X_val, y_val = X[400:], y[400:]
    model = MLPClassifier(
        (20,), early_stopping=True, scoring="f1_macro", random_state=0, learning_rate_init=0.01, n_iter_no_change=5
    ).fit(X[:400], y[:400], validation_data=(X_val, y_val))
    scores = model.validation_scores_
    assert len(scores) == model.n_iter_ == len(model.loss_curve_)
    best = f1_score(y_val, model.predict(X_val), average="macro")
    assert best == max(scores) == model.best_validation_score_
    whole = MLPClassifier((20,), random_state=0, max_iter=5).fit(X, y)
    watched = MLPClassifier((20,), random_state=0, max_iter=5, scoring="neg_log_loss")
    watched.fit(X, y, validation_data=(X_val, y_val))  # all rows train, and are only watched
    np.testing.assert_array_equal(watched.coefs_[0], whole.coefs_[0])
    assert watched.validation_scores_[-1] == pytest.approx(-log_loss(y_val, watched.predict_proba(X_val)))
    for bad in (3, (X, y, y), (X[:, :3], y), (X, y[:5]), (X, y + 30)):
        with pytest.raises(ValueError):
            watched.fit(X, y, validation_data=bad)


def test_scorers_raise_no_warning_of_names():
    pandas = pytest.importorskip("pandas")
    X, y = digits(200)
    frame = pandas.DataFrame(X, columns=[f"x{k}" for k in range(64)])
    model = MLPClassifier((5,), early_stopping=True, scoring="accuracy", max_iter=3)
    assert len(model.fit(frame, y).validation_scores_) == 3


def test_restore_best_without_validation_goes_by_the_loss():
    X, y = curve(100)
    settings = {
        "solver": "sgd",
        "learning_rate_init": 0.9,
        "momentum": 0.9,
        "max_iter": 12,
        "tol": 0.0,
        "random_state": 1,
        "n_iter_no_change": 50,
        "batch_size": 10,
    }
    seen = []
    model = MLPRegressor(**settings, restore_best=True, callbacks=lambda m: seen.append(m.coefs_[0].copy())).fit(X, y)
    best = int(np.argmin(model.loss_curve_))
    assert 0 < best < len(seen) - 1
    np.testing.assert_array_equal(model.coefs_[0], seen[best - 1])  # the epoch began with them
    falling = MLPRegressor(restore_best=True, max_iter=5, random_state=0).fit(X, y)
    usual = MLPRegressor(max_iter=5, random_state=0).fit(X, y)
    assert usual.loss_ == usual.best_loss_
    np.testing.assert_array_equal(falling.coefs_[0], usual.coefs_[0])
    last = MLPRegressor(**settings, restore_best=False).fit(X, y)
    np.testing.assert_array_equal(last.coefs_[0], seen[-1])


def test_a_diverging_fit_keeps_the_best_weights_where_asked():
    X, y = curve(100)
    epochs = []

    def faster(epoch):
        return 1.0 if epoch < 3 else 1e200

    model = MLPRegressor(solver="sgd", restore_best=True, schedule=faster, random_state=0, callbacks=epochs.append)
    with pytest.warns(UserWarning, match="not finite"):
        model.fit(X, y)
    assert len(epochs) >= 3 and np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.loss_curve_[:3]).all()


def test_callbacks_see_current_weights_and_end_the_training():
    X, y = digits()
    seen = []

    def look(model):
        seen.append(model.score(X, y))
        return len(seen) == 4

    for solver in ("adam", "lbfgs"):
        seen.clear()
        model = MLPClassifier((20,), solver=solver, callbacks=[look], random_state=0).fit(X, y)
        assert len(seen) == model.n_iter_ == 4
        assert seen[-1] == model.score(X, y) > seen[0]


def test_what_a_callback_writes_into_the_weights_holds():
    def clip(model):
        for array in (*model.coefs_, *model.intercepts_, *model.norms_):
            np.clip(array, -0.05, 0.05, out=array)

    def double(model):
        model.coefs_ = [2 * W for W in model.coefs_]

    X, y = digits(200)
    settings = {"hidden_layer_sizes": (20,), "random_state": 0, "batch_norm": True, "max_iter": 1}
    model = MLPClassifier(**settings | {"max_iter": 3}, callbacks=clip).fit(X, y)
    assert max(np.abs(W).max() for W in model.coefs_) == 0.05
    by_hand = MLPClassifier(**settings).partial_fit(X, y, classes=range(10))
    calling = MLPClassifier(**settings, callbacks=double).partial_fit(X, y, classes=range(10))
    double(by_hand)
    for one in (by_hand, calling.set_params(callbacks=None)):
        one.partial_fit(X, y)
    np.testing.assert_array_equal(by_hand.coefs_[0], calling.coefs_[0])


def test_a_schedule_sets_the_rate_of_each_step():
    X, y = digits(400)
    asked = []

    def schedule(epochs):
        asked.append(epochs)
        return 0.0

    model = MLPClassifier((5,), schedule=schedule, max_iter=2, random_state=0, init="he").fit(X, y)
    start = MLPClassifier((5,), learning_rate_init=1e-300, max_iter=1, random_state=0, init="he")
    np.testing.assert_array_equal(model.coefs_[0], start.fit(X, y).coefs_[0])
    assert asked == [0.0, 0.5, 1.0, 1.5]
    model.set_params(schedule=fastbp.CosineDecay(epochs=20), max_iter=20).fit(X, y)
    assert model._optimizer.learning_rate < 1e-4


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_max_seconds_ends_the_training(solver):
    X, y = digits(1700)
    model = MLPClassifier(
        (300,), solver=solver, max_seconds=0.2, max_iter=10**6, tol=0, n_iter_no_change=10**6, max_fun=10**6
    )
    begin = time.perf_counter()
    model.fit(X, y)
    assert time.perf_counter() - begin < 3
    assert model.n_iter_ >= 1 and model.score(X, y) > 0.2  # 0.1 is chance


def test_progress_shows_a_bar(capsys, monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    MLPClassifier((5,), max_iter=3, progress=True).fit(*digits(100))
    assert "3/3" in capsys.readouterr().err


def test_progress_without_stderr_shows_none(monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", None)
    assert MLPClassifier((5,), max_iter=3, progress=True).fit(*digits(100)).n_iter_ == 3


def test_threads_give_the_same_numbers():
    X, y = digits()
    one, two = (MLPClassifier((40,), max_iter=5, random_state=0, n_threads=n).fit(X, y) for n in (1, 2))
    np.testing.assert_allclose(two.coefs_[0], one.coefs_[0], rtol=1e-6, atol=1e-9)


# --- elsewhere ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"activation": "logistic"},
        {"batch_norm": True},
        {"dropout": 0.2},
        {"activation": ("gelu", "leaky_relu"), "hidden_layer_sizes": (7, 5)},
    ],
    ids=str,
)
def test_to_sequential_predicts_the_same(settings):
    X, y = digits(300)
    settings = {"hidden_layer_sizes": (9,), "max_iter": 3, "random_state": 0} | settings
    for target in (y, y > 4):
        model = MLPClassifier(**settings).fit(X, target)
        net = model.to_sequential()
        proba = net.predict_proba(X)
        want = model.predict_proba(X)
        np.testing.assert_allclose(proba, want if proba.shape[1] > 1 else want[:, 1:], rtol=1e-9)
        net.params["W1"] *= 0
        np.testing.assert_array_equal(model.predict_proba(X), want)
    model.set_params(hidden_layer_sizes=())  # of the next fit
    np.testing.assert_array_equal(model.to_sequential().predict_proba(X), proba)
    for loss in ("squared_error", "huber", "absolute_error", "quantile"):
        model = MLPRegressor(loss, **settings).fit(X, y)
        net = model.to_sequential()
        np.testing.assert_allclose(net.predict(X)[:, 0], model.predict(X), rtol=1e-9)
        assert net.loss(X, y.astype(float)[:, np.newaxis]) >= 0


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_from_sklearn_predicts_and_trains_on(solver):
    X, y = digits(300)
    for kind, target in ((MLPClassifier, y), (MLPClassifier, y > 4), (MLPRegressor, 1.0 * y)):
        theirs = getattr(neural_network, kind.__name__)(
            hidden_layer_sizes=(9,), max_iter=5, solver=solver, random_state=0
        )
        theirs.fit(X, target)
        ours = kind.from_sklearn(theirs)
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)
        assert ours.get_params()["max_iter"] == 5 and ours.loss_ == theirs.loss_
        ours.coefs_[0] *= 0
        assert np.abs(theirs.coefs_[0]).max() > 0
        if solver == "adam":
            ours.partial_fit(X, target)
        with pytest.raises(TypeError, match="from_sklearn expects fitted"):
            kind.from_sklearn(ours)


def test_from_sklearn_of_subclasses_on_both_sides():
    class Mine(MLPClassifier):
        pass

    class Narrow(MLPClassifier):
        def __init__(self, width=3):
            super().__init__((width,))

    class Theirs(neural_network.MLPClassifier):
        def __init__(self, width=3):
            super().__init__((width,), max_iter=5)
            self.width = width

    X, y = digits(300)
    theirs = Theirs(4).fit(X, y)
    ours = Mine.from_sklearn(theirs)
    assert type(ours) is Mine and ours.hidden_layer_sizes == (4,)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)
    with pytest.raises(TypeError, match=r"Narrow.from_sklearn expects a class whose constructor"):
        Narrow.from_sklearn(theirs)


# --- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad, words",
    [
        ({"activation": ("relu", "tanh")}, "activation for each of 1 hidden layer; got 2"),
        ({"activation": ("swish",)}, "expects activation as one of"),
        ({"dropout": 1.0}, "dropout below 1"),
        ({"dropout": -0.5}, "dropout between 0 and 1"),
        ({"dropout": (0.1, 0.1)}, "dropout for each of 1 hidden layer; got 2"),
        ({"dropout": "much"}, "dropout as a number"),
        ({"dropout": 0.5, "solver": "lbfgs"}, "dropout with a stochastic solver"),
        ({"batch_norm": True, "solver": "lbfgs"}, "batch_norm with a stochastic solver"),
        ({"schedule": abs, "solver": "lbfgs"}, "schedule with a stochastic solver"),
        ({"progress": True, "solver": "lbfgs"}, "progress with a stochastic solver"),
        ({"schedule": abs, "learning_rate": "adaptive"}, "learning_rate='constant' beside"),
        ({"schedule": 3}, "schedule as a function"),
        ({"schedule": lambda e: -1}, "factor"),
        ({"callbacks": 3}, "callbacks as functions"),
        ({"callbacks": [3]}, "callbacks as functions"),
        ({"callbacks": iter([print])}, "callbacks as functions of .*list of them; got <list_it"),
        ({"n_threads": 0}, "n_threads of at least 1"),
        ({"max_seconds": -1}, "max_seconds"),
        ({"restore_best": "yes"}, "restore_best as one of"),
        ({"batch_norm": 1}, "batch_norm as one"),
        ({"progress": None}, "progress as one of"),
        ({"init": "glorot"}, "init as one of"),
        ({"scoring": "beauty"}, "scoring"),
        ({"loss": "hinge"}, "'loss' parameter"),
    ],
    ids=lambda v: v if isinstance(v, str) else next(iter(v)),
)
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_bad_values_of_parameters_that_scikit_learn_lacks_are_named(kind, bad, words):
    X, y = digits(50)
    model = kind(hidden_layer_sizes=(5,), max_iter=2, early_stopping="scoring" in bad)
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        model.set_params(**bad).fit(X, y)
    assert "\n" not in str(caught.value) or "scoring" in bad


def test_lbfgs_takes_no_validation_data():
    X, y = digits(50)
    with pytest.raises(ValueError, match="validation_data with a stochastic solver"):
        MLPClassifier((5,), solver="lbfgs").fit(X, y, validation_data=(X, y))


def test_bad_numbers_of_losses_are_named():
    X, y = curve(50)
    for bad in ({"quantile": 1.5}, {"huber_delta": -1}, {"quantile": "half"}):
        with pytest.raises((ValueError, TypeError), match=next(iter(bad))):
            MLPRegressor(**bad).fit(X, y)
    with pytest.raises(ValueError, match="y of at least 0 for loss='poisson'"):
        MLPRegressor("poisson").fit(X, y)


def test_going_on_with_other_layers_is_refused():
    X, y = digits(100)
    model = MLPClassifier((5,), warm_start=True, max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match="expects the layers"):
        model.set_params(hidden_layer_sizes=(6,)).fit(X, y)
    with pytest.raises(ValueError, match="batch_norm as in the training"):
        model.set_params(hidden_layer_sizes=(5,), batch_norm=True).fit(X, y)
