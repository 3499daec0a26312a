"""Validation rows of the caller's: `X_val` and `y_val` beside `validation_data`."""

import warnings

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, make_scorer, r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler

from fastbp.estimators import MLPClassifier, MLPRegressor, scale

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SETTINGS = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}
UNTRANSFORMED = "look as if they had missed a transformation of X"


def parts(load=datasets.load_breast_cancer):
    return train_test_split(*load(return_X_y=True), random_state=0)


def piped(model, **asked):
    """A pipeline that transforms X_val as X."""
    return Pipeline([("scale", StandardScaler()), ("model", model.set_fit_request(**asked))], transform_input=["X_val"])


def test_a_pipeline_transforms_the_validation_rows():
    X, X_val, y, y_val = parts()
    by_hand = StandardScaler().fit(X)
    with sklearn.config_context(enable_metadata_routing=True):
        model = MLPClassifier(**SETTINGS, early_stopping=True)
        pipe = piped(model, X_val=True, y_val=True).fit(X, y, X_val=X_val, y_val=y_val)
    fitted = pipe[-1]
    same = MLPClassifier(**SETTINGS, early_stopping=True).fit(
        by_hand.transform(X), y, validation_data=(by_hand.transform(X_val), y_val)
    )
    assert fitted.validation_scores_ == same.validation_scores_
    assert fitted.best_validation_score_ == max(fitted.validation_scores_)
    assert fitted.best_validation_score_ == pipe.score(X_val, y_val) > 0.7
    np.testing.assert_array_equal(fitted.coefs_[0], same.coefs_[0])


@pytest.mark.parametrize("scoring", [None, "accuracy", make_scorer(accuracy_score)])
def test_weights_of_the_validation_rows_weigh_their_score(scoring):
    X, X_val, y, y_val = parts(datasets.load_iris)
    weights = np.where(y_val == 0, 10.0, 0.1)
    model = MLPClassifier(**SETTINGS, scoring=scoring)
    model.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weights)
    want = accuracy_score(y_val, model.predict(X_val), sample_weight=weights)
    assert model.validation_scores_[-1] == pytest.approx(want)
    assert want != pytest.approx(model.score(X_val, y_val))
    numbers = MLPRegressor(**SETTINGS, early_stopping=True)
    numbers.fit(X, y * 1.0, X_val=X_val, y_val=y_val * 1.0, sample_weight_val=weights)
    want = r2_score(y_val, numbers.predict(X_val), sample_weight=weights)
    assert numbers.best_validation_score_ == pytest.approx(want)


def test_weights_are_routed_through_a_pipeline():
    X, X_val, y, y_val = parts()
    weights = np.where(y_val == 0, 10.0, 0.1)
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = piped(MLPClassifier(**SETTINGS), X_val=True, y_val=True, sample_weight_val=True)
        pipe.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weights)
    want = accuracy_score(y_val, pipe.predict(X_val), sample_weight=weights)
    assert pipe[-1].validation_scores_[-1] == pytest.approx(want)


def test_weights_of_a_split_weigh_a_scoring_of_ones_own():
    X, y = datasets.load_iris(return_X_y=True)
    seen = []

    def scoring(model, X, y, sample_weight=None):
        seen.append(sample_weight)
        return balanced_accuracy_score(y, model.predict(X), sample_weight=sample_weight)

    weights = np.arange(150) + 1.0
    MLPClassifier(**SETTINGS, early_stopping=True, scoring=scoring).fit(X, y, weights)
    assert all(set(some) <= set(weights) and len(some) == 15 for some in seen)


def test_a_scoring_that_takes_no_weights_is_refused_beside_them():
    X, y = datasets.load_iris(return_X_y=True)
    settings = {"early_stopping": True, "scoring": lambda model, X, y: 1.0}
    MLPClassifier(**SETTINGS, **settings).fit(X, y)
    for call in (
        lambda: MLPClassifier(**SETTINGS, **settings).fit(X, y, np.ones(150)),
        lambda: MLPClassifier(**SETTINGS, **settings, class_weight="balanced").fit(X, y),
        lambda: MLPClassifier(**SETTINGS, **settings).fit(X, y, X_val=X, y_val=y, sample_weight_val=y + 1),
    ):
        with pytest.raises(TypeError, match="MLPClassifier expects scoring to take sample_weight"):
            call()


@pytest.mark.parametrize(
    "keywords, words",
    [
        ({"X_val": 1}, "MLPClassifier expects X_val and y_val together; got X_val without y_val"),
        ({"y_val": 1}, "MLPClassifier expects X_val and y_val together; got y_val without X_val"),
        ({"sample_weight_val": 1}, "expects sample_weight_val beside X_val and y_val"),
        ({"X_val": 1, "y_val": 1, "validation_data": 1}, "expects validation rows as .*; got both"),
        ({"sample_weight_val": 1, "validation_data": 1}, "expects validation rows as .*; got both"),
    ],
)
def test_validation_rows_given_by_half_or_twice_are_refused(keywords, words):
    X, y = datasets.load_iris(return_X_y=True)
    values = {"X_val": X, "y_val": y, "sample_weight_val": y + 1.0, "validation_data": (X, y)}
    with pytest.raises(ValueError, match=words):
        MLPClassifier(**SETTINGS).fit(X, y, **{name: values[name] for name in keywords})


@pytest.mark.parametrize(
    "change, words",
    [
        ({"X_val": np.ones((150, 3))}, "X_val, .* X has 3 features"),
        ({"y_val": np.arange(150)}, r"X_val, y_val and .* kind; got .* expects y of the class"),
        ({"y_val": np.zeros(3)}, "y_val .* inconsistent numbers of samples"),
        ({"X_val": np.full((150, 4), np.nan)}, "X_val, .* contains NaN"),
        ({"sample_weight_val": np.ones(3)}, "sample_weight_val .* sample_weight.shape"),
        ({"sample_weight_val": np.zeros(150)}, "sample_weight_val .* at least one non-zero"),
    ],
)
def test_bad_validation_rows_are_named_and_change_nothing(change, words):
    X, y = datasets.load_iris(return_X_y=True)
    model = MLPClassifier(**SETTINGS)
    with pytest.raises(ValueError, match=words):
        model.fit(X, y, **{"X_val": X, "y_val": y} | change)
    assert not hasattr(model, "coefs_")
    with pytest.raises(ValueError, match="expects X_val with a stochastic solver"):
        MLPClassifier(solver="lbfgs").fit(X, y, X_val=X, y_val=y)


def test_validation_data_of_three_say_so():
    X, y = datasets.load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=r"as a pair \(X, y\); got tuple of 3\.$"):
        MLPClassifier(**SETTINGS).fit(X, y, validation_data=(X, y, y))


# --- rows of another scale --------------------------------------------------------------------


@pytest.mark.parametrize("scaler", [StandardScaler, MinMaxScaler, MaxAbsScaler])
@pytest.mark.parametrize("load", ["breast_cancer", "wine", "digits", "diabetes"])
@pytest.mark.parametrize("form", [np.asarray, np.float32, sparse.csr_matrix, sparse.csc_array])
def test_untransformed_validation_rows_warn(scaler, load, form):
    options = {"scaled": False} if load == "diabetes" else {}
    X, y = getattr(datasets, f"load_{load}")(return_X_y=True, **options)
    X, X_val, y, y_val = train_test_split(X, y, random_state=0, test_size=0.2)
    scaler = scaler().fit(X)
    kind = MLPRegressor if load == "diabetes" else MLPClassifier
    rows = form(scaler.transform(X))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
        kind(**SETTINGS).fit(rows, y, X_val=form(scaler.transform(X_val)), y_val=y_val)
        kind(**SETTINGS).fit(rows, y, X_val=form(scaler.transform(X_val[:3])), y_val=y_val[:3])
    with pytest.warns(UserWarning, match=f"{kind.__name__} {UNTRANSFORMED}.*transform_input"):
        kind(**SETTINGS).fit(rows, y, X_val=form(X_val), y_val=y_val)


def test_a_pipeline_that_passes_validation_data_by_warns_where_it_is():
    X, X_val, y, y_val = parts()
    pipe = make_pipeline(StandardScaler(), MLPClassifier(**SETTINGS))
    with pytest.warns(UserWarning, match=UNTRANSFORMED):
        pipe.fit(X, y, mlpclassifier__validation_data=(X_val, y_val))
    with pytest.warns(UserWarning, match=UNTRANSFORMED) as caught:
        MLPClassifier(**SETTINGS).fit(X / 1e3, y, validation_data=(X_val, y_val))
    assert caught[0].filename == __file__


def draw(kind, n, d, rng):
    return {
        "normal": lambda: rng.normal(5, 1, (n, d)),
        "heavy tails": lambda: rng.standard_cauchy((n, d)),
        "lognormal": lambda: rng.lognormal(0, 2, (n, d)),
        "one-hot, rare": lambda: 1.0 * (rng.random((n, d)) < 0.01),
        "counts, rare": lambda: 1.0 * rng.poisson(0.05, (n, d)),
        "rare, of any size": lambda: (rng.random((n, d)) < 0.02) * rng.lognormal(0, 2, (n, d)),
        "nearly constant": lambda: 1e6 + 1e-9 * rng.normal(size=(n, d)),
        "huge": lambda: 1e300 * rng.normal(size=(n, d)),
        "tiny": lambda: 1e-300 * rng.normal(size=(n, d)),
    }[kind]()


KINDS = [
    "normal",
    "heavy tails",
    "lognormal",
    "one-hot, rare",
    "counts, rare",
    "rare, of any size",
    "nearly constant",
    "huge",
    "tiny",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_rows_drawn_alike_hardly_ever_look_foreign(kind, form):
    rng = np.random.default_rng(0)
    hits = 0
    for n, m, d in [(20, 1, 5), (20, 5, 5), (100, 1, 1), (300, 10, 40), (40, 400, 3)] * 20:
        with np.errstate(all="raise"):
            hits += scale.foreign(form(draw(kind, n, d, rng)), form(draw(kind, m, d, rng))) > 0
    assert hits <= (2 if kind == "heavy tails" else 0)


def test_what_varies_not_and_what_grows_do_not_look_foreign():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(50, 1))
    constant = np.hstack([noise, np.zeros((50, 3))])
    assert not scale.foreign(constant, constant + np.array([0, 9, 9, 9]))
    time = np.arange(1000.0).reshape(-1, 1)
    assert not scale.foreign(time[:900], time[900:])
    by_size = np.sort(rng.normal(size=(200, 3)), axis=0)
    assert not scale.foreign(by_size[:150], by_size[150:])
    assert scale.foreign(np.hstack([noise] * 20), np.hstack([noise] * 19 + [noise + 500])) == 1


# --- everything beside it ---------------------------------------------------------------------


def test_what_follows_a_fit_with_validation_rows():
    X, X_val, y, y_val = parts(datasets.load_iris)
    model = MLPClassifier(**SETTINGS, restore_best=True)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert model.score(X_val, y_val) == model.best_validation_score_
    assert len(model.validation_scores_) == model.n_iter_
    model.partial_fit(X, y)
    assert len(model.validation_scores_) == len(model.loss_curve_) - 1
    model.set_params(warm_start=True).fit(X, y, X_val=X_val, y_val=y_val)
    assert len(model.validation_scores_) == len(model.loss_curve_) - 1
    assert model.best_validation_score_ == max(model.validation_scores_)
    model.set_params(warm_start=False).fit(X, y)
    assert model.validation_scores_ is None and model.best_validation_score_ is None
    with pytest.raises(TypeError, match=r"MLPClassifier.partial_fit\(\) got an unexpected keyword"):
        model.partial_fit(X, y, X_val=X_val)


def test_a_model_of_scikit_learns_beside_ours_in_a_routed_pipeline():
    X, y = datasets.load_iris(return_X_y=True)
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(StandardScaler(), LogisticRegression(), transform_input=["X_val"])
        with pytest.raises(TypeError):
            pipe.fit(X, y, X_val=X, y_val=y)


def test_class_weights_weigh_rows_that_are_drawn_and_not_those_given():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 3)), np.arange(80) % 5 == 0
    settings = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
    weighted = MLPClassifier(**settings, class_weight={False: 1, True: 50}, early_stopping=True)
    same = MLPClassifier(**settings, early_stopping=True)
    weighted.fit(X, y)
    assert weighted.validation_scores_ == same.fit(X, y, np.where(y, 50, 1)).validation_scores_
    weighted.fit(X, y, X_val=X, y_val=y)
    assert weighted.best_validation_score_ == weighted.score(X, y)
