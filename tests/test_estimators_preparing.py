"""The estimators' `standardize`, `missing` and `add_indicator`, beside scikit-learn's pipelines."""

import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastbp.estimators import MLPClassifier, MLPRegressor, batches, preparing
from fastbp.training.ranks import ALONE

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
    pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1"),
]
RNG = np.random.default_rng(0)
#: Features of all sizes, and one constant; targets far from 0.
X = RNG.normal(size=(300, 5)) * [1, 100, 1e4, 1e-5, 0] + [0, 5, 1e6, 0, 7.3]
Y = X[:, 0] * 1e5 + X[:, 1] * 1e3 + 3e6
CLASSES = np.digitize(X[:, 0], [-0.4, 0.4])
HOLES = np.where(RNG.random(X.shape) < 0.1, np.nan, X)
HOLES[:, 4] = 7.3
SETTINGS = {"hidden_layer_sizes": (10,), "max_iter": 8, "random_state": 0}


def same(one, other):
    arrays = ((*model.coefs_, *model.intercepts_) for model in (one, other))
    return all(np.array_equal(a, b) for a, b in zip(*arrays, strict=True))


def close(one, other, rtol=1e-6):
    for a, b in zip((*one.coefs_, *one.intercepts_), (*other.coefs_, *other.intercepts_), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


# --- standardize ----------------------------------------------------------------------------


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_regressor_is_a_scaler_before_and_behind(solver, several):
    y = np.stack([Y, -3 * X[:, 1]], axis=1) if several else Y
    model = MLPRegressor(solver=solver, standardize=True, **SETTINGS).fit(X, y)
    before, behind = StandardScaler().fit(X), StandardScaler().fit(y.reshape(len(y), -1))
    t = behind.transform(y.reshape(len(y), -1))
    plain = MLPRegressor(solver=solver, **SETTINGS).fit(before.transform(X), t if several else t[:, 0])
    close(model, plain)
    np.testing.assert_allclose(model.x_mean_, before.mean_, rtol=1e-12, atol=1e-20)
    np.testing.assert_allclose(model.x_scale_, before.scale_)
    expected = behind.inverse_transform(plain.predict(before.transform(X)).reshape(len(y), -1))
    np.testing.assert_allclose(model.predict(X), expected if several else expected[:, 0], rtol=1e-8)
    np.testing.assert_allclose(model.hidden(X), plain.hidden(before.transform(X)), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float64", "float32", "uint8", "csr"])
def test_a_classifier_is_a_pipeline(dtype):
    x = sparse.random(300, 5, 0.4, format="csr", random_state=0) if dtype == "csr" else RNG.random((300, 5)) * 200
    x = x if dtype == "csr" else x.astype(dtype)
    model = MLPClassifier(standardize=True, **SETTINGS).fit(x, CLASSES)
    plain = MLPClassifier(**SETTINGS)
    pipe = make_pipeline(StandardScaler(with_mean=dtype != "csr"), plain).fit(x, CLASSES)
    tolerance = 1e-3 if dtype == "float32" else 1e-6
    close(model, plain, tolerance)
    np.testing.assert_allclose(model.predict_proba(x), pipe.predict_proba(x), rtol=tolerance)
    assert model.coefs_[0].dtype == ("float32" if dtype == "float32" else "float64")
    if dtype == "csr":
        assert not model.x_mean_.any()
        np.testing.assert_allclose(model.predict_proba(x), model.predict_proba(x.toarray()))


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_validation_rows_tell_no_scale(kind):
    y = CLASSES if kind is MLPClassifier else Y
    model = kind(standardize=True, early_stopping=True, **SETTINGS).fit(X, y)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert not np.array_equal(model.x_mean_, X.mean(axis=0))  # of 270 rows
    given = kind(standardize=True, **SETTINGS).fit(X[:200], y[:200], validation_data=(X[200:], y[200:]))
    np.testing.assert_allclose(given.x_mean_, X[:200].mean(axis=0), rtol=1e-9)
    assert given.validation_scores_[-1] == pytest.approx(given.score(X[200:], y[200:]))


def test_the_first_rows_settle_the_scale():
    model = MLPRegressor(standardize=True, **SETTINGS)
    with pytest.raises(ValueError, match="expects several rows in its first call with standardize=True"):
        model.partial_fit(X[:1], Y[:1])
    assert not hasattr(model, "coefs_")
    for rows in (slice(0, 100), slice(100, 300)):
        model.partial_fit(X[rows], Y[rows])
        np.testing.assert_allclose(model.x_mean_, X[:100].mean(axis=0), rtol=1e-9)
        np.testing.assert_allclose(model.y_mean_, Y[:100].mean())
    model.set_params(warm_start=True).fit(X[100:], Y[100:])
    np.testing.assert_allclose(model.y_scale_, Y[:100].std())
    with pytest.raises(ValueError, match="MLPRegressor expects standardize as in the training it goes on with; got F"):
        model.set_params(standardize=False).fit(X, Y)
    model.set_params(warm_start=False).fit(X, Y)
    assert not hasattr(model, "x_scale_") and not hasattr(model, "y_scale_")
    with pytest.raises(ValueError, match="expects missing as in the training it goes on with; got 'mean'"):
        model.set_params(warm_start=True, missing="mean").fit(X, Y)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("layers", [(), (6, 4)])
def test_it_leaves_as_a_network_of_the_rows_as_they_are(kind, layers):
    y = CLASSES if kind is MLPClassifier else np.stack([Y, X[:, 1]], axis=1)
    settings = SETTINGS | {"hidden_layer_sizes": layers}
    model = kind(standardize=True, missing="mean", add_indicator=True, **settings).fit(HOLES, y)
    out = model.to_sequential().predict(X)
    if kind is MLPClassifier:
        np.testing.assert_allclose(out - out[:, :1], np.log(model.predict_proba(X) / model.predict_proba(X)[:, :1]))
    else:
        np.testing.assert_allclose(out, model.predict(X), rtol=1e-9)


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix])
def test_a_training_by_dense_rows_takes_sparse_ones_as_the_same_numbers(form):
    holes = HOLES[:200].copy()
    holes[50:] = np.nan_to_num(X[50:200])
    model = MLPClassifier(standardize=True, missing="mean", add_indicator=True, **SETTINGS).fit(holes, CLASSES[:200])
    assert np.array_equal(model.predict_proba(form(X)), model.predict_proba(X))
    other = pickle.loads(pickle.dumps(model)).partial_fit(form(X), CLASSES)
    close(model.partial_fit(X, CLASSES), other, 1e-12)


def test_it_is_pickled_and_cloned():
    model = MLPRegressor(standardize=True, missing="median", **SETTINGS).fit(HOLES, Y)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(HOLES), model.predict(HOLES))
    assert clone(model).standardize is True and clone(model).missing == "median"
    again.partial_fit(HOLES, Y)


def test_counts_stay_counts():
    y = np.random.default_rng(0).poisson(np.exp(1 + 0.5 * X[:, 0]))
    model = MLPRegressor("poisson", standardize=True, **SETTINGS).fit(X, y)
    assert not hasattr(model, "y_scale_") and (model.predict(X) > 0).all()


def test_large_rows_are_made_ready_some_batches_at_a_time(monkeypatch):
    settings = SETTINGS | {"standardize": True, "missing": "mean", "batch_size": 32, "early_stopping": True}
    whole = MLPRegressor(dropout=0.2, **settings).fit(HOLES, Y, np.arange(1.0, 301))
    monkeypatch.setattr(batches, "COPIED", 0)
    monkeypatch.setattr(batches, "PIECE", 5 * 70)
    monkeypatch.setattr(preparing, "SOME", 5 * 40)
    parts = MLPRegressor(dropout=0.2, **settings).fit(HOLES, Y, np.arange(1.0, 301))
    close(whole, parts, 1e-9)
    np.testing.assert_allclose(parts.loss_curve_, whole.loss_curve_)


def test_no_square_overflows_and_rounding_is_no_deviation():
    far = np.array([[1e200], [-1e200], [3e200], [1e300]]) * [1, 1e-300, 1e-500, 1]
    far[:, 2], far[:, 3] = 0.1, 0.1
    far[0, 3] = np.nextafter(0.1, 1)
    mean, scale = preparing.scales(far, None, None, ALONE)
    reference = np.array(far[:, :2] / [1e300, 1]).std(axis=0) * [1e300, 1]
    np.testing.assert_allclose(scale, [*reference, 1, 1])
    assert mean[2] == 0.1
    assert np.isfinite(MLPRegressor(standardize=True, **SETTINGS).fit(far, far[:, 0]).predict(far)).all()


@pytest.mark.parametrize("how", ["mean", "median"])
def test_weights_are_repetitions(how):
    weights = np.random.default_rng(0).integers(0, 4, len(X))
    often = HOLES.repeat(weights, axis=0)
    fill = preparing.fills(how, HOLES, None, weights, ALONE)
    of_often = np.nanmean(often, axis=0) if how == "mean" else np.nanmedian(often, axis=0)
    np.testing.assert_allclose(fill, of_often, rtol=1e-12)
    scales = preparing.scales(HOLES, None, weights, ALONE, fill)
    np.testing.assert_allclose(scales, preparing.scales(often, None, None, ALONE, fill), rtol=1e-12)
    some = sparse.csr_matrix(np.nan_to_num(HOLES) * (HOLES > 0))
    for a, b in zip(
        preparing.scales(some, np.arange(200), weights, ALONE),
        preparing.scales(some[:200].toarray().repeat(weights[:200], axis=0), None, None, ALONE),
        strict=True,
    ):
        np.testing.assert_allclose(a, b if a.any() else 0, rtol=1e-9)


# --- missing values -------------------------------------------------------------------------


@pytest.mark.parametrize("indicator", [False, True])
@pytest.mark.parametrize("how", ["mean", "median"])
def test_missing_values_are_an_imputers(how, indicator):
    model = MLPClassifier(missing=how, add_indicator=indicator, **SETTINGS).fit(HOLES, CLASSES)
    imputer = SimpleImputer(strategy=how, add_indicator=indicator)
    plain = MLPClassifier(**SETTINGS)
    pipe = make_pipeline(imputer, plain).fit(HOLES, CLASSES)
    close(model, plain)
    np.testing.assert_allclose(model.x_fill_, imputer.statistics_)
    np.testing.assert_allclose(model.predict_proba(HOLES), pipe.predict_proba(HOLES), rtol=1e-6)
    assert model.x_marked_.tolist() == ([0, 1, 2, 3] if indicator else [])
    assert model.n_features_in_ == 5 and len(model.coefs_[0]) == 5 + 4 * indicator


def test_a_data_frame_with_missing_cells_and_a_feature_without_any_value():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(HOLES, columns=list("abcde"))
    frame["e"] = np.nan
    frame["f"] = pandas.array([1, None, 3] * 100, dtype="Int64")
    model = MLPRegressor(missing="median", standardize=True, **SETTINGS).fit(frame, Y)
    assert model.x_fill_[4] == 0 and model.x_fill_[5] == 2 and np.isfinite(model.predict(frame)).all()


def test_without_it_the_error_is_scikit_learns():
    cure = r"^Input X contains NaN"
    with pytest.raises(ValueError, match=cure):
        MLPClassifier().fit(HOLES, CLASSES)
    model = MLPClassifier(missing="mean", **SETTINGS).fit(HOLES, CLASSES)
    with pytest.raises(ValueError, match=cure):
        model.set_params(missing="refuse").fit(HOLES, CLASSES)
    assert model.predict(HOLES).shape == (300,)  # which fitted attributes decide
    assert MLPClassifier(missing="mean").__sklearn_tags__().input_tags.allow_nan
    assert not MLPClassifier().__sklearn_tags__().input_tags.allow_nan
    some = sparse.csr_matrix(X)
    some.data[3] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.predict(some)
    infinite = X.copy()
    infinite[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        model.predict(infinite)


@pytest.mark.parametrize(
    "parameters, words",
    [
        ({"standardize": 1}, "expects standardize as one of True, False; got 1"),
        ({"missing": "zero"}, "expects missing as one of .*'median'.*; got 'zero'"),
        ({"add_indicator": True}, "expects missing='median' or 'mean' beside add_indicator"),
        ({"standardize": True, "callbacks": lambda m: m.set_params(standardize=False)}, "callbacks to leave standard"),
    ],
)
def test_bad_values_are_refused(parameters, words):
    with pytest.raises((TypeError, ValueError), match=words):
        MLPClassifier(**SETTINGS, **parameters).fit(X, CLASSES)


def test_scales_put_in_by_hand_have_to_fit():
    model = MLPRegressor(standardize=True, **SETTINGS).fit(X, Y)
    model.x_mean_ = np.zeros(3)
    with pytest.raises(ValueError, match=r"expects x_mean_ of the 5 features that the others have; got shape \(3,\)"):
        model.predict(X)


def test_rows_handed_in_are_not_written_to():
    x, y = HOLES.copy(), Y.copy()
    x.flags.writeable = y.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        MLPRegressor(standardize=True, missing="mean", add_indicator=True, **SETTINGS).fit(x, y).predict(x)


CHECKS = parametrize_with_checks(
    [
        MLPClassifier(max_iter=50, standardize=True, missing="median"),
        MLPRegressor(max_iter=50, standardize=True, missing="mean", add_indicator=True),
    ]
)


@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_scikit_learns_check_of_prepared_rows(estimator, check):
    check(estimator)
