"""Scripts as strangers write them: each runs with scikit-learn's class and with ours."""

import numpy as np
import pytest
from scipy import sparse
from sklearn import datasets, neural_network
from sklearn.exceptions import ConvergenceWarning

from fastbp import estimators

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ("MLPClassifier", "MLPRegressor")
SETTINGS = {"hidden_layer_sizes": (8, 6), "max_iter": 8, "random_state": 0}


def iris():
    X, y = datasets.load_iris(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


def both(kind, **settings):
    modules = (estimators, neural_network)
    return [getattr(module, kind)(**(SETTINGS | settings)) for module in modules]


def assert_same_training(ours, theirs):
    for name in ("coefs_", "intercepts_"):
        for own, other in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-6)
    assert ours.n_iter_ == theirs.n_iter_


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("changed", [{"activation": "tanh"}, {"activation": "identity"}])
def test_partial_fit_follows_set_params(kind, solver, changed):
    X, y = iris()
    ours, theirs = both(kind, solver=solver)
    for model in (ours, theirs):
        model.fit(X, y).set_params(**changed).partial_fit(X, y).partial_fit(X, y)
    assert_same_training(ours, theirs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "settings, changed",
    [
        ({"solver": "sgd", "learning_rate": "invscaling"}, {"power_t": 2.0}),
        ({"solver": "sgd", "learning_rate": "invscaling"}, {"learning_rate_init": 0.1}),
        ({"solver": "sgd", "learning_rate": "invscaling"}, {"learning_rate": "constant"}),
        ({"solver": "sgd", "learning_rate": "invscaling"}, {"solver": "adam"}),
        ({"solver": "adam"}, {"solver": "sgd", "learning_rate": "invscaling"}),
        ({"solver": "adam"}, {"solver": "sgd", "learning_rate": "adaptive", "tol": 9.0}),
        ({"solver": "sgd"}, {"learning_rate": "adaptive", "tol": 9.0}),
    ],
)
def test_partial_fit_keeps_the_rates_of_its_optimiser(kind, settings, changed):
    X, y = iris()
    ours, theirs = both(kind, n_iter_no_change=1, **settings)
    for model in (ours, theirs):
        model.fit(X, y).set_params(**changed)
        for _ in range(4):
            model.partial_fit(X, y)
    assert_same_training(ours, theirs)


def test_partial_fit_follows_dropout_with_the_state_of_before():
    X, y = iris()
    model = estimators.MLPClassifier(**SETTINGS).fit(X, y)
    steps, states = model._optimizer._steps_done(), model._optimizer.states()
    model.set_params(dropout=(0.0, 0.5), learning_rate_init=1.0).partial_fit(X, y)
    solver = model._optimizer
    assert [entry[0] for entry in solver.entries].count("dropout") == 1
    assert solver._steps_done() == steps + 1
    assert solver.learning_rate == 0.001  # as scikit-learn's optimiser keeps it
    for (*_, (W, _)), (*_, (before, _)) in zip(solver.states()[::2], states[::2], strict=True):
        assert np.corrcoef(W.ravel(), before.ravel())[0, 1] > 0.5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_after_lbfgs_is_the_solvers_own(kind, solver):
    X, y = iris()
    X = X.astype("float32")
    model = getattr(estimators, kind)(**SETTINGS, solver="lbfgs").fit(X, y)
    start = ([W.copy() for W in model.coefs_], [b.copy() for b in model.intercepts_])
    fresh = getattr(estimators, kind)(**SETTINGS, solver=solver, coefs_init=start)
    told = {"classes": [0, 1, 2]} if kind == "MLPClassifier" else {}
    model.set_params(solver=solver)
    for _ in range(3):
        model.partial_fit(X, y)
        fresh.partial_fit(X, y, **told)
    assert model.coefs_[0].dtype == np.float32
    np.testing.assert_array_equal(model.coefs_[0], fresh.coefs_[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("ends", [(-1, -2), (-0.5, -1), (-0.2, 2)], ids=str)
def test_negative_sample_weights_are_taken_as_scikit_learn_takes_them(kind, solver, ends):
    X, y = iris()
    weights = np.random.default_rng(0).permutation(np.linspace(*ends, len(y)))
    ours, theirs = (model.fit(X, y, weights) for model in both(kind, solver=solver))
    assert_same_training(ours, theirs)


@pytest.mark.parametrize("kind", KINDS)
def test_a_warm_start_with_early_stopping_does_not_stand_still(kind):
    X, y = iris()
    ours, theirs = both(kind, early_stopping=True, warm_start=True, max_iter=2)
    for _ in range(5):
        ours.fit(X, y)
        theirs.fit(X, y)
        assert_same_training(ours, theirs)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_warm_start_of_lbfgs_has_scikit_learns_attributes(kind):
    X, y = iris()
    ours, theirs = (
        {name for name in vars(model.fit(X, y).fit(X, y)) if name.endswith("_")}
        for model in both(kind, solver="lbfgs", warm_start=True)
    )
    assert ours - {"norms_"} == theirs


@pytest.mark.parametrize("second", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("first", [np.float32, np.float64, np.uint8])
def test_a_warm_start_of_lbfgs_goes_on_with_rows_of_another_dtype(first, second):
    """Its arrays are of the rows' dtype, and the weights of before are of the other's."""
    X, y = iris()
    rows = np.abs(10 * X)
    model = estimators.MLPClassifier(**SETTINGS, solver="lbfgs", warm_start=True)
    model.fit(rows.astype(first), y).fit(rows.astype(second), y)
    assert model.coefs_[0].dtype == (np.float32 if second == np.float32 else np.float64)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_going_on_from_lbfgs_has_every_attribute(early_stopping):
    X, y = iris()
    settings = {"warm_start": True, "early_stopping": early_stopping}
    ours, fresh = both("MLPClassifier", **settings)
    ours.set_params(solver="lbfgs").fit(X, y).set_params(solver="adam").fit(X, y)
    for name in ("best_loss_", "validation_scores_", "best_validation_score_"):
        assert (getattr(ours, name) is None) == (getattr(fresh.fit(X, y), name) is None)


@pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.csc_matrix, sparse.coo_matrix])
def test_sparse_labels_are_predicted_sparse(make):
    X, y = iris()
    labels = make(np.eye(3, dtype=int)[y])
    ours, theirs = (model.fit(X, labels).predict(X) for model in both("MLPClassifier"))
    assert type(ours) is type(theirs)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours.toarray(), theirs.toarray())
    ours, theirs = (model.partial_fit(X, labels, classes=range(3)).predict(X) for model in both("MLPClassifier"))
    assert type(ours) is type(theirs)
    np.testing.assert_array_equal(ours.toarray(), theirs.toarray())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_long_doubles_are_predicted(kind, dtype):
    X, y = iris()
    ours, theirs = (model.fit(X.astype(dtype), y) for model in both(kind))
    long = ours.predict(X.astype(np.longdouble))
    np.testing.assert_allclose(long, theirs.predict(X.astype(np.longdouble)), rtol=1e-4)


def test_lbfgs_with_a_loss_that_is_not_finite_warns():
    X, y = iris()
    for model in both("MLPRegressor", solver="lbfgs"):
        with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"), np.errstate(all="ignore"):
            model.fit(X * 1e200, y)


@pytest.mark.parametrize(
    "y, came",
    [
        (np.array(["0", "1", "2"]), "dtype <U1"),
        (np.array(["2020-01-01", "2021-01-01", "2022-01-01"], "M8[D]"), "dtype datetime64"),
        (sparse.csr_matrix(np.eye(3)), "a sparse matrix"),
    ],
)
def test_regression_takes_numbers_only(y, came):
    y = y[iris()[1]]
    with pytest.raises(TypeError, match=f"MLPRegressor expects y as an array of numbers; .*{came}"):
        estimators.MLPRegressor().fit(iris()[0], y)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name, value, same",
    [
        ("dropout", np.float64(0.2), 0.2),
        ("dropout", np.float32(0.5), 0.5),
        ("dropout", np.array(0.2), 0.2),
        ("batch_norm", np.True_, True),
        ("restore_best", np.True_, True),
        ("progress", np.False_, False),
    ],
)
def test_numbers_out_of_an_array_are_numbers(kind, name, value, same):
    X, y = iris()
    model, plain = (getattr(estimators, kind)(**SETTINGS, **{name: one}).fit(X, y) for one in (value, same))
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))


@pytest.mark.parametrize(
    "kind, bad, words",
    [
        ("MLPClassifier", {"scoring": "nope"}, "'nope' is not a valid scoring value"),
        ("MLPClassifier", {"scoring": ["accuracy"]}, "expects scoring as a scorer's name or a funct"),
        ("MLPClassifier", {"class_weight": "x"}, "'class_weight' parameter of MLPClassifier must be"),
        ("MLPClassifier", {"class_weight": 3}, "'class_weight' parameter of MLPClassifier must be"),
        ("MLPClassifier", {"class_weight": {0: np.nan}}, "expects class_weight to give finite weigh"),
        ("MLPClassifier", {"class_weight": {0: 0, 1: 0, 2: 0}}, "class_weight .* and not all 0"),
        ("MLPRegressor", {"scoring": 3}, "expects scoring as a scorer's name or a function"),
        ("MLPRegressor", {"n_threads": 10**6}, "expects n_threads of at most 1024; got 1000000"),
    ],
)
@pytest.mark.parametrize("more", [{}, {"early_stopping": True}, {"solver": "lbfgs"}])
def test_bad_values_are_refused_before_any_training(kind, bad, words, more):
    X, y = iris()
    model = getattr(estimators, kind)(**SETTINGS, **bad, **more)
    with pytest.raises((ValueError, TypeError), match=words):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_loss_of_ones_own_that_writes_into_its_targets_does_not_reach_the_callers(solver):
    def spoiling(y, outputs):
        y -= outputs
        return (y * y).sum(axis=1), -2 * y

    X, y = iris()
    targets = y.astype(float)
    settings = {**SETTINGS, "solver": solver, "shuffle": False}
    model = estimators.MLPRegressor(**settings, loss=spoiling).fit(X, targets)
    np.testing.assert_array_equal(targets, y)
    assert np.isfinite(model.loss_)
