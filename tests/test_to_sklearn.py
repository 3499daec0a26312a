"""Estimators as scikit-learn's own: the same predictions, and what goes on from them."""

import pickle
import warnings

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")

from scipy.sparse import csr_matrix  # noqa: E402
from sklearn import neural_network  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.model_selection import cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from fastbp.estimators import MLPClassifier, MLPRegressor  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs failed")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 5))
LABELS = np.array(["a", "b", "c"])[RNG.integers(0, 3, 60)]
TARGETS = {
    "three classes": LABELS,
    "two classes": LABELS == "a",
    "one class": np.repeat("a", 60),
    "labels": RNG.integers(0, 2, (60, 3)),
    "sparse labels": csr_matrix(RNG.integers(0, 2, (60, 3))),
}
SETTINGS = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.01},
    "plain sgd": {"solver": "sgd", "momentum": 0.0},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    "lbfgs": {"solver": "lbfgs"},
    "early stopping": {"early_stopping": True},
    "no hidden": {"hidden_layer_sizes": ()},
    "tanh": {"activation": "tanh", "hidden_layer_sizes": [6, 5, 4]},
    "each layer": {"activation": ("logistic", "logistic"), "hidden_layer_sizes": (6, 5)},
}


def fitted(kind, y, **settings):
    settings = {"hidden_layer_sizes": (6,), "random_state": 0, "max_iter": 4, **settings}
    return kind(**settings).fit(X, y)


def require_like(theirs, ours):
    """The same predictions and public attributes."""
    got, expected = theirs.predict(X), ours.predict(X)
    assert type(got) is type(expected) and got.dtype == expected.dtype
    if hasattr(got, "toarray"):
        got, expected = got.toarray(), expected.toarray()
    if isinstance(ours, MLPClassifier):
        assert np.array_equal(got, expected)
        np.testing.assert_allclose(theirs.predict_proba(X), ours.predict_proba(X), rtol=1e-9)
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-9)
    for name in vars(ours):
        if name.endswith("_") and name not in ("norms_", "coefs_", "intercepts_"):
            np.testing.assert_equal(getattr(theirs, name), getattr(ours, name), name)
    own = {name for name in vars(ours) if name.endswith("_")} - {"norms_"}
    assert {name for name in vars(theirs) if name.endswith("_")} == own


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("target", TARGETS)
def test_a_classifier_goes_and_comes_back(target, setting):
    if target == "one class" and setting == "early stopping":
        pytest.skip("its validation rows have one class")
    ours = fitted(MLPClassifier, TARGETS[target], **SETTINGS[setting])
    theirs = ours.to_sklearn()
    assert type(theirs) is neural_network.MLPClassifier
    require_like(theirs, ours)
    back = MLPClassifier.from_sklearn(theirs)
    require_like(theirs, back)
    assert (vars(back).keys() & vars(ours).keys()) >= {name for name in vars(ours) if name.endswith("_")}
    mine, other = ours.get_params(), back.get_params()
    assert {k for k in mine if mine[k] != other[k]} <= ({"activation"} if setting == "each layer" else set())


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_a_regressor_goes_and_comes_back(loss, n_outputs, setting):
    y = np.abs(X[:, 0] if n_outputs == 1 else X[:, :2])
    ours = fitted(MLPRegressor, y, loss=loss, **SETTINGS[setting])
    theirs = ours.to_sklearn()
    assert type(theirs) is neural_network.MLPRegressor and theirs.loss == loss
    require_like(theirs, ours)
    require_like(theirs, MLPRegressor.from_sklearn(theirs))


@pytest.mark.parametrize("setting", ["adam", "sgd", "plain sgd", "invscaling", "each layer"])
def test_partial_fit_goes_on_with_the_same_optimiser(setting):
    settings = {"hidden_layer_sizes": (6,), "random_state": 0, "shuffle": False, **SETTINGS[setting]}
    ours = MLPClassifier(**settings)
    for _ in range(3):
        ours.partial_fit(X, LABELS, classes=["a", "b", "c"])
    theirs = ours.to_sklearn()
    for _ in range(3):
        ours.partial_fit(X, LABELS)
        theirs.partial_fit(X, LABELS)
    for one, other in zip(theirs.coefs_ + theirs.intercepts_, ours.coefs_ + ours.intercepts_, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(theirs.loss_curve_, ours.loss_curve_, rtol=1e-9)


def test_it_is_a_copy():
    ours = fitted(MLPRegressor, X[:, 0])
    before, steps = ours.predict(X), ours._optimizer.steps
    theirs = ours.to_sklearn()
    theirs.partial_fit(X, X[:, 0])
    assert np.array_equal(ours.predict(X), before) and ours._optimizer.steps == steps
    assert len(theirs.loss_curve_) == len(ours.loss_curve_) + 1


def test_warm_starts_with_early_stopping_keep_the_weights():
    ours = fitted(MLPClassifier, LABELS, early_stopping=True, warm_start=True, tol=10, n_iter_no_change=1)
    theirs = ours.to_sklearn()
    score = theirs.score(X, LABELS)
    theirs.best_validation_score_ = 1.0  # which nothing passes
    theirs.fit(X, LABELS)
    assert theirs.score(X, LABELS) == score


def test_pickles_clones_and_pipelines():
    theirs = fitted(MLPClassifier, LABELS).to_sklearn()
    again = pickle.loads(pickle.dumps(theirs))
    assert np.array_equal(again.predict(X), theirs.predict(X))
    assert len(cross_val_score(make_pipeline(StandardScaler(), theirs), X, LABELS, cv=2)) == 2
    assert clone(theirs).get_params() == theirs.get_params()


def test_names_of_columns_go_too():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcde"))
    ours = MLPRegressor(hidden_layer_sizes=(4,), random_state=0, max_iter=3).fit(frame, X[:, 0])
    theirs = ours.to_sklearn()
    assert theirs.feature_names_in_.tolist() == list("abcde")
    np.testing.assert_allclose(theirs.predict(frame), ours.predict(frame))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_batch_normalisation_is_folded_into_the_weights(dtype):
    ours = MLPClassifier((6, 5), batch_norm=True, random_state=0, max_iter=20).fit(X.astype(dtype), LABELS)
    with pytest.warns(UserWarning, match="leaves out batch_norm, which scikit-learn has not"):
        theirs = ours.to_sklearn()
    assert theirs.coefs_[0].dtype == dtype
    rows = X.astype(dtype)
    tolerance = 1e-5 if dtype == "float32" else 1e-10
    np.testing.assert_allclose(theirs.predict_proba(rows), ours.predict_proba(rows), rtol=tolerance)
    theirs.partial_fit(rows, LABELS)


def test_what_concerns_training_alone_is_left_out_by_name():
    ours = fitted(MLPRegressor, X[:, 0], loss="huber", solver="adamw", dropout=0.1, n_threads=1)
    with pytest.warns(UserWarning) as caught:
        theirs = ours.to_sklearn()
    (one,) = caught
    assert one.filename == __file__
    assert str(one.message) == (
        "MLPRegressor.to_sklearn leaves out solver='adamw', for which it takes 'adam', loss='huber', for which it "
        "takes 'squared_error', dropout, which scikit-learn has not: the predictions are the same, a training that "
        "goes on is not."
    )
    assert (theirs.solver, theirs.loss) == ("adam", "squared_error")
    np.testing.assert_allclose(theirs.predict(X), ours.predict(X))
    theirs.partial_fit(X, X[:, 0])


def test_what_cannot_go_is_refused():
    with pytest.raises(ValueError, match=r"to_sklearn expects one activation .* got 'gelu'\.$"):
        fitted(MLPRegressor, X[:, 0], activation="gelu").to_sklearn()
    with pytest.raises(ValueError, match=r"in all hidden layers; got 'relu', 'tanh'\.$"):
        fitted(MLPRegressor, X[:, 0], hidden_layer_sizes=(4, 4), activation=("tanh", "relu")).to_sklearn()
    with pytest.raises(NotFittedError):
        MLPRegressor().to_sklearn()
    by_hand = MLPClassifier()
    by_hand.coefs_, by_hand.intercepts_, by_hand.out_activation_ = [np.ones((2, 3))], [np.zeros(3)], "softmax"
    with pytest.raises(ValueError, match="expects classes_ beside coefs_"):
        by_hand.to_sklearn()


def test_weights_put_in_by_hand_go():
    ours = MLPRegressor(hidden_layer_sizes=(7,))
    ours.coefs_, ours.intercepts_ = [np.ones((2, 3)), np.ones((3, 1))], [np.zeros(3), np.ones(1)]
    ours.out_activation_ = "identity"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        theirs = ours.to_sklearn()
    assert theirs.predict([[1.0, 2.0]]) == ours.predict([[1.0, 2.0]]) == [10.0]


@pytest.mark.parametrize("options", [{"standardize": True}, {"missing": "median", "add_indicator": True}])
@pytest.mark.parametrize("hidden", [(), (4,)], ids=["no hidden", "hidden"])
def test_what_rows_go_through_is_within_the_weights(hidden, options):
    """For rows as they come, of which no value is missing; targets in their own unit."""
    x, y = 100 * X + 7, 1e4 * X[:, 0] + 5e5
    if "missing" in options:
        x = X.copy()
        x[::7, 2] = np.nan
    options = {**options, "hidden_layer_sizes": hidden, "max_iter": 30, "random_state": 0}
    for model, t in ((MLPRegressor(**options), y), (MLPClassifier(**options), LABELS)):
        model.fit(x, t)
        with pytest.warns(UserWarning, match="leaves out .*(standardize|missing)"):
            theirs = model.to_sklearn()
        whole = x[~np.isnan(x).any(axis=1)]
        if t is y:
            np.testing.assert_allclose(theirs.predict(whole), model.predict(whole), rtol=1e-6)
        else:
            np.testing.assert_allclose(theirs.predict_proba(whole), model.predict_proba(whole), rtol=1e-6)
        assert not hasattr(theirs, "x_scale_") and not hasattr(theirs, "x_fill_")


@pytest.mark.parametrize("options", [{"loss": "gaussian"}, {"loss": "quantile", "quantile": [0.1, 0.9]}], ids=str)
def test_several_outputs_of_a_target_have_no_place(options):
    model = MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, **options).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="one output for each target; got loss='"):
        model.to_sklearn()
