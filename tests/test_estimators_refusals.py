"""Nothing unsaid: what an estimator does not do as it was asked, it refuses or tells."""

import pickle
import re
import warnings
from inspect import signature

import numpy as np
import pytest
from scipy import sparse
from sklearn import datasets, neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import LabelBinarizer

from fastbp import estimators
from fastbp.estimators import MLPClassifier, MLPRegressor, base, lbfgs, parameters

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1"),
]

SETTINGS = {"hidden_layer_sizes": (6,), "max_iter": 6, "random_state": 0}
KINDS = ("MLPClassifier", "MLPRegressor")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
CLASSES = np.arange(60) % 3


def same(one, other):
    return all(map(np.array_equal, one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_))


# --- methods of scikit-learn's classes ----------------------------------------------------------


def test_the_methods_are_those_of_scikit_learns_classes():
    kinds = [neural_network.MLPClassifier, neural_network.MLPRegressor]
    own = {name for kind in kinds for name in vars(kind)} | set(vars(kinds[0].__mro__[2]))
    methods = {name for name in own if re.match("_[a-z]", name)} - {"_abc_impl", "_sklearn_auto"}
    methods = {name for name in methods if callable(getattr(kinds[0], name, None))}
    assert methods - {"_get_default_requests"} <= base.THEIR_METHODS
    assert not base.THEIR_METHODS & {*dir(MLPClassifier), *dir(MLPRegressor)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sorted(base.THEIR_METHODS))
@pytest.mark.parametrize("on_instance", [False, True])
def test_a_method_that_is_not_called_is_told_once(kind, name, on_instance):
    def method(*_, **__):
        raise AssertionError

    cls = getattr(estimators, kind)
    if on_instance:
        model = cls(**SETTINGS)
        setattr(model, name, method)
    else:
        mixin = type("Mixin", (), {name: method})
        model = type("Mine", (mixin, cls), {})(**SETTINGS)
    with pytest.warns(UserWarning, match=f"{type(model).__name__} has {name}, which") as caught:
        model.fit(X, CLASSES)
    assert len([w for w in caught if w.category is UserWarning]) == 1
    assert caught[0].filename == __file__
    model.predict(X)
    model.partial_fit(X, CLASSES)


def test_a_subclass_of_ones_own_is_no_matter():
    class Mine(MLPRegressor):
        def _helper(self):
            return 1

        def fit(self, X, y, **keywords):
            return super().fit(X, y, **keywords)

    Mine(**SETTINGS).fit(X, X[:, 0])
    MLPRegressor(**SETTINGS).fit(X, X[:, 0])


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_subclass_may_make_a_parameter_a_property(solver):
    class Mine(MLPRegressor):
        @property
        def alpha(self):
            return self.penalty / 2

        @alpha.setter
        def alpha(self, value):
            self.penalty = 2 * value

    seen = []
    given = {**SETTINGS, "alpha": 0.5, "solver": solver, "callbacks": lambda m: seen.append(m.alpha)}
    mine = Mine(**given).fit(X, X[:, 0])
    same = MLPRegressor(**given).fit(X, X[:, 0])
    np.testing.assert_array_equal(mine.coefs_[0], same.coefs_[0])
    assert set(seen) == {0.5}
    if solver == "adam":
        mine.partial_fit(X, X[:, 0])
    mine.set_params(alpha=-1)
    with pytest.raises(ValueError, match="The 'alpha' parameter of Mine must be"):
        mine.fit(X, X[:, 0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["fit", "partial_fit", "predict", "hidden", "to_sequential"])
def test_a_wrong_keyword_names_the_class(kind, method):
    cls = getattr(estimators, kind)
    model = cls(**SETTINGS).fit(X, CLASSES)
    with pytest.raises(TypeError, match=rf"^{kind}\.{method}\(\) got an unexpected keyword"):
        getattr(model, method)(**{name: X for name in ("X",) if method != "to_sequential"}, typo=1)
    with pytest.raises(TypeError, match=rf"^{kind}.__init__\(\) got an unexpected keyword"):
        cls(typo=1)
    assert cls.fit.__doc__ and signature(cls.fit) == signature(base.MLP.fit)
    assert pickle.loads(pickle.dumps(cls.fit)) is cls.fit


# --- parameters that change ---------------------------------------------------------------------


def test_every_parameter_is_live_or_not():
    names = {*signature(MLPClassifier).parameters, *signature(MLPRegressor).parameters}
    assert names == parameters.NAMES
    assert parameters.LIVE_OF_LBFGS < parameters.LIVE < parameters.NAMES


CHANGES = {
    "learning_rate_init": 0.5,
    "alpha": 5.0,
    "momentum": 0.1,
    "nesterovs_momentum": False,
    "beta_1": 0.1,
    "beta_2": 0.1,
    "epsilon": 0.5,
    "max_iter": 3,
    "shuffle": False,
    "learning_rate": "invscaling",
    "power_t": 3.0,
}
READ_BY = {
    "sgd": {"momentum", "nesterovs_momentum", "learning_rate"},
    "adam": {"beta_1", "beta_2", "epsilon"},
    "adamw": {"beta_1", "beta_2", "epsilon"},
    "rmsprop": {"beta_2", "epsilon"},
    "adagrad": {"epsilon"},
}


@pytest.mark.parametrize("solver", READ_BY)
@pytest.mark.parametrize("name", CHANGES)
def test_a_callback_changes_a_training(solver, name):
    def change(model):
        if model.n_iter_ == 2:
            model.set_params(**{name: CHANGES[name]})

    settings = {**SETTINGS, "solver": solver, "batch_size": 20}
    plain = MLPClassifier(**settings).fit(X, CLASSES)
    changed = MLPClassifier(**settings, callbacks=change).fit(X, CLASSES)
    read = READ_BY[solver] | {"learning_rate_init", "alpha", "max_iter", "shuffle"}
    assert same(plain, changed) is (name not in read)


def test_a_rate_of_a_callback_is_the_rate_of_what_follows():
    def change(model):
        if model.n_iter_ == 3:
            model.learning_rate_init = 0.2

    settings = {**SETTINGS, "solver": "sgd", "momentum": 0.0, "shuffle": False}
    model = MLPRegressor(**settings, callbacks=change).fit(X, X[:, 0])
    by_hand = MLPRegressor(**settings | {"max_iter": 3}).fit(X, X[:, 0])
    by_hand.set_params(warm_start=True, learning_rate_init=0.2).fit(X, X[:, 0])
    np.testing.assert_allclose(model.coefs_[0], by_hand.coefs_[0], rtol=1e-9)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_momentum_may_begin_in_a_callback(solver):
    model = MLPRegressor(**SETTINGS, solver=solver, momentum=0.0)
    model.set_params(callbacks=lambda m: m.set_params(momentum=0.9)).fit(X, X[:, 0])
    assert np.isfinite(model.loss_)
    assert model.n_iter_ == SETTINGS["max_iter"]  # set_params returns the model, which ends nothing


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("returned", [3, "stop", 0.5, [True], np.ones(1)])
def test_a_callback_returns_true_false_or_none(solver, returned):
    model = MLPRegressor(**SETTINGS, solver=solver, callbacks=lambda m: returned)
    with pytest.raises(TypeError, match="expects what a callback returns as True, False or None"):
        model.fit(X, X[:, 0])
    model.set_params(callbacks=lambda m: np.bool(True)).fit(X, X[:, 0])
    assert model.n_iter_ == 1


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize(
    "name, value",
    [
        ("hidden_layer_sizes", (3,)),
        ("activation", "tanh"),
        ("batch_size", 7),
        ("early_stopping", True),
        ("solver", "adagrad"),
        ("random_state", 3),
        ("n_threads", 1),
        ("class_weight", {0: 2.0}),
        ("label_smoothing", 0.2),
        ("restore_best", True),
        ("max_seconds", 3),
        ("callbacks", None),
        ("coefs_init", 3),
        ("dropout", 0.5),
    ],
)
def test_a_callback_may_not_change_what_a_training_began_with(solver, name, value):
    model = MLPClassifier(**SETTINGS, solver=solver)
    model.callbacks = lambda m: m.set_params(**{name: value})
    with pytest.raises(ValueError, match=f"MLPClassifier expects callbacks to leave {name} as it"):
        model.fit(X, CLASSES)
    assert np.isfinite(model.predict_proba(X)).all()


def test_bad_values_and_weights_of_a_callback_are_refused():
    model = MLPClassifier(**SETTINGS, callbacks=lambda m: m.set_params(alpha=-1))
    with pytest.raises(ValueError, match="'alpha' parameter of MLPClassifier must be"):
        model.fit(X, CLASSES)

    def narrow(model):
        model.coefs_ = [model.coefs_[0][:2], model.coefs_[1]]

    with pytest.raises(ValueError, match="MLPClassifier expects the layers"):
        MLPClassifier(**SETTINGS, callbacks=narrow).fit(X, CLASSES)

    def as_tuples(model):
        model.coefs_, model.intercepts_ = tuple(model.coefs_), tuple(model.intercepts_)

    plain = MLPClassifier(**SETTINGS).fit(X, CLASSES)
    assert same(plain, MLPClassifier(**SETTINGS, callbacks=as_tuples).fit(X, CLASSES))

    def write(model):
        model.coefs_[0][...] = 0

    with pytest.raises(ValueError, match=r"leave coefs_ and intercepts_ as they are .*'lbfgs'"):
        MLPClassifier(**SETTINGS, solver="lbfgs", callbacks=write).fit(X, CLASSES)


@pytest.mark.parametrize(
    "solver, name, value",
    [
        ("adam", "learning_rate_init", 0.5),
        ("sgd", "momentum", 0.1),
        ("sgd", "power_t", 2.0),
        ("adam", "solver", "sgd"),
        ("rmsprop", "beta_2", 0.5),
        ("adagrad", "epsilon", 0.1),
    ],
)
def test_partial_fit_says_what_its_optimiser_keeps(solver, name, value):
    first = {"classes": [0, 1, 2]}
    plain, changed = (MLPClassifier(**SETTINGS, solver=solver).partial_fit(X, CLASSES, **first) for _ in range(2))
    changed.set_params(**{name: value})
    with pytest.warns(ConvergenceWarning, match=f"goes on with its optimiser's {name}=") as caught:
        changed.partial_fit(X, CLASSES)
    assert caught[0].filename == __file__ and len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        changed.partial_fit(X, CLASSES)
        plain.partial_fit(X, CLASSES).partial_fit(X, CLASSES)
    assert same(plain, changed)  # as scikit-learn's


@pytest.mark.parametrize(
    "solver, name, value", [("adam", "alpha", 9.0), ("adamw", "alpha", 0.9), ("sgd", "alpha", 1.0)]
)
def test_partial_fit_reads_the_penalty(solver, name, value):
    first = {"classes": [0, 1, 2]}
    plain, changed = (MLPClassifier(**SETTINGS, solver=solver).partial_fit(X, CLASSES, **first) for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        changed.set_params(**{name: value}, n_threads=1).partial_fit(X, CLASSES)
    assert not same(plain.partial_fit(X, CLASSES), changed)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("name", ["learning_rate", "learning_rate_init"])
def test_the_rate_of_the_optimiser_is_set_as_scikit_learns(solver, name):
    if (solver, name) != ("adam", "learning_rate"):  # which its next step there computes anew
        models = []
        for library in (estimators, neural_network):
            model = library.MLPRegressor(**SETTINGS, solver=solver).partial_fit(X, X[:, 0])
            for own in {name, "learning_rate"} if solver == "sgd" else {name}:
                setattr(model._optimizer, own, 0.1)
            models.append(model.partial_fit(X, X[:, 0]))
        np.testing.assert_allclose(models[0].coefs_[0], models[1].coefs_[0], rtol=1e-9)
    model = MLPRegressor(**SETTINGS, solver=solver).partial_fit(X, X[:, 0])
    with pytest.raises(AttributeError, match="_optimizer has no attribute 'momentum'"):
        model._optimizer.momentum = 0.3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", [{"batch_norm": True}, {"dropout": 0.5}])
def test_what_works_on_hidden_layers_needs_one(kind, given):
    model = getattr(estimators, kind)(**SETTINGS | {"hidden_layer_sizes": ()}, **given)
    with pytest.raises(ValueError, match=f"{kind} expects hidden layers beside {next(iter(given))}"):
        model.fit(X, CLASSES)


# --- numbers that are none ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", "rmsprop", "adagrad", "adamw"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_no_training_returns_weights_that_are_not_finite(kind, solver, early_stopping):
    t = CLASSES if kind == "MLPClassifier" else X[:, 0]
    extremes = [
        (X * 1e30, t, None),
        (X * 1e200, t, None),
        (X.astype("f4") * 1e19, t, None),
        (X, t, np.full(60, 1e-300)),
        (X, t, np.full(60, 5e-324)),
        (X, t, np.full(60, 1e300)),
        (X.astype("f4"), t, np.full(60, 1e-44)),
        (X, t * 1e300 if t is not CLASSES else t, None),
    ]
    for rows, y, weights in extremes:
        for rate in (0.001, 1e10):
            model = getattr(estimators, kind)(
                **SETTINGS, solver=solver, early_stopping=early_stopping, learning_rate_init=rate
            )
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                try:
                    model.fit(rows, y, sample_weight=weights)
                except ValueError as error:
                    assert re.search("non-finite|not all zero|finite", str(error))
                    continue
            assert all(np.isfinite(array).all() for array in model.coefs_ + model.intercepts_)
            if not np.isfinite(model.loss_):
                assert any("not finite" in str(w.message) or "lbfgs" in str(w.message) for w in caught)


def test_best_weights_that_are_not_finite_are_no_result():
    def spoil(model):
        model.coefs_[0][...] = np.nan

    def score(model, X, y):
        return float(np.isnan(model.coefs_[0]).any())  # likes them

    model = MLPClassifier(**SETTINGS, early_stopping=True, scoring=score, callbacks=spoil)
    with (
        pytest.warns(RuntimeWarning, match="training of MLPClassifier reached a loss that is not"),
        pytest.raises(ValueError, match="non-finite parameter weights"),
    ):
        model.fit(X, CLASSES)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 60, 3000])
def test_a_prediction_that_overflows_says_so(kind, dtype, n):
    model = getattr(estimators, kind)(**SETTINGS).fit(X.astype(dtype), CLASSES)
    model.coefs_[1] *= 1e4
    rows = np.resize(X.astype(dtype), (n, 4)) * (1e36 if dtype == "float32" else 1e306)
    with pytest.warns(RuntimeWarning, match=f"{kind} predicts by outputs .* overflow {dtype}"):
        model.predict(rows)
    model.predict(rows / 1e9)


# --- L-BFGS of many outputs ---------------------------------------------------------------------


@pytest.mark.parametrize("n_outputs", [999, 1000, 1500])
@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_lbfgs_moves_however_many_outputs_there_are(n_outputs, loss):
    targets = np.tanh(X @ np.random.default_rng(1).normal(size=(4, n_outputs)))
    settings = {"hidden_layer_sizes": (20,), "random_state": 0, "solver": "lbfgs"}
    model = MLPRegressor(loss, **settings, max_iter=30, alpha=0.01).fit(X, targets)
    assert model.n_iter_ == 30
    d = model.predict(X) - targets
    rows = 0.5 * d**2 if loss == "squared_error" else np.where(np.abs(d) < 1, 0.5 * d**2, np.abs(d) - 0.5)
    penalty = 0.5 * 0.01 * sum((W**2).sum() for W in model.coefs_) / 60
    assert model.loss_ == pytest.approx(rows.mean() + penalty, rel=1e-9)
    assert model.score(X, targets) > 0.8


@pytest.mark.parametrize("n_outputs", [2, 30, lbfgs.MOST_AVERAGED])
def test_lbfgs_is_scikit_learns_up_to_500_outputs(n_outputs):
    targets = np.tanh(X @ np.random.default_rng(1).normal(size=(4, n_outputs)))
    ours, theirs = (
        library.MLPRegressor(**SETTINGS, solver="lbfgs").fit(X, targets) for library in (estimators, neural_network)
    )
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-6)
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-9)


def test_lbfgs_reports_to_callbacks_what_it_reports_in_the_end():
    seen = []
    targets = np.tanh(X @ np.random.default_rng(1).normal(size=(4, 600)))
    model = MLPRegressor(**SETTINGS, solver="lbfgs", callbacks=lambda m: seen.append(m.loss_))
    model.fit(X, targets)
    assert model.loss_ == seen[-1] < seen[0]


# --- weights put in by hand ---------------------------------------------------------------------

W = [RNG.normal(size=(4, 6)), RNG.normal(size=(6, 3))]
B = [RNG.normal(size=6), RNG.normal(size=3)]
#: What scikit-learn's trainings need beside.
STARTED = {"t_": 0, "loss_curve_": [], "best_loss_": np.inf, "_no_improvement_count": 0, "validation_scores_": None}


def by_hand(library, kind, out, coefs=W, intercepts=B, **attributes):
    model = getattr(library, kind)(**SETTINGS)
    given = {"coefs_": coefs, "intercepts_": intercepts, "n_layers_": 3, "out_activation_": out}
    vars(model).update(given | {"n_outputs_": len(intercepts[-1])} | attributes)
    return model


@pytest.mark.parametrize("out", ["identity", "tanh", "relu", "logistic", "softmax", "exp"])
@pytest.mark.parametrize("form", [list, tuple])
@pytest.mark.parametrize("dtypes", ["dd", "ff", "fd", "df", "ii"])
def test_weights_put_in_by_hand_predict_as_scikit_learns(out, form, dtypes):
    pairs = zip(W, B, dtypes, strict=True)
    arrays = [((2 * w).astype(dtype), b.astype(dtype)) for w, b, dtype in pairs]
    coefs, intercepts = map(form, zip(*arrays, strict=True))
    for rows in (X, X.astype("f4"), X[:1]):
        ours, theirs = (
            by_hand(library, "MLPRegressor", out, coefs, intercepts).predict(rows)
            for library in (estimators, neural_network)
        )
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("labels", [["a", "b", "c"], range(3)])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_classes_put_in_by_hand(labels, n_outputs):
    coefs, intercepts = [W[0], W[1][:, :n_outputs]], [B[0], B[1][:n_outputs]]
    labels = list(labels)[: max(2, n_outputs)]
    out = "softmax" if n_outputs == 3 else "logistic"
    binarizer = LabelBinarizer().fit(labels)
    ours, theirs = (
        by_hand(library, "MLPClassifier", out, coefs, intercepts, _label_binarizer=binarizer)
        for library in (estimators, neural_network)
    )
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)
    named = by_hand(estimators, "MLPClassifier", out, coefs, intercepts, classes_=labels)
    np.testing.assert_array_equal(named.predict(X), theirs.predict(X))
    assert named.score(X, theirs.predict(X)) == 1


@pytest.mark.parametrize("kind, out", [("MLPRegressor", "identity"), ("MLPClassifier", "softmax")])
@pytest.mark.parametrize("form", [list, tuple])
def test_a_training_goes_on_from_weights_put_in_by_hand(kind, out, form):
    y = np.array(["a", "b", "c"])[CLASSES] if kind == "MLPClassifier" else X[:, :3]
    classes = {}
    if kind == "MLPClassifier":
        classes = {"classes_": np.array(["a", "b", "c"])}
        classes["_label_binarizer"] = LabelBinarizer().fit(classes["classes_"])
    kept = [w.copy() for w in W]
    ours = by_hand(estimators, kind, out, form(W), form(B), **classes)
    theirs = by_hand(neural_network, kind, out, [w.copy() for w in W], [b.copy() for b in B], **classes, **STARTED)
    for model in (ours, theirs):
        model.partial_fit(X, y).partial_fit(X, y)
    for own, other in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-9)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X)) if classes else None
    for solver in ("adam", "lbfgs"):
        ours = by_hand(estimators, kind, out, form(W), form(B), **classes)
        ours.set_params(warm_start=True, solver=solver).fit(X, y)
        assert ours.n_features_in_ == 4 and np.isfinite(ours.loss_)
    assert all(map(np.array_equal, kept, W))  # the caller's arrays


@pytest.mark.parametrize(
    "change, words",
    [
        ({"intercepts": B[:1]}, "MLPClassifier expects as many intercepts_ as coefs_"),
        ({"n_layers_": 4}, "n_layers_ one above; got 2 coefs_, 2 intercepts_ and n_layers_=4"),
        ({"coefs": [W[0], W[1][:5]]}, "MLPClassifier expects coefs_ and intercepts_ of shapes"),
        ({"intercepts": [B[0][:2], B[1]]}, "MLPClassifier expects coefs_ and intercepts_ of shapes"),
        ({"out": "sigmoid"}, "expects out_activation_ .* 'logistic'.*; got 'sigmoid'"),
        ({"out": None}, "expects out_activation_ .*; got None"),
        ({"classes_": None}, "MLPClassifier.predict expects classes_ beside coefs_"),
        ({"classes_": ["a", "b"]}, "MLPClassifier.predict expects classes_ of the 3 outputs; got 2"),
    ],
)
def test_weights_put_in_by_hand_that_do_not_fit(change, words):
    given = {"out": "softmax", "coefs": W, "intercepts": B, "classes_": ["a", "b", "c"]} | change
    if given["classes_"] is None:
        del given["classes_"]
    model = by_hand(estimators, "MLPClassifier", **given)
    with pytest.raises(ValueError, match=words):
        model.predict(X)
    with pytest.raises(ValueError, match="X has 3 features, but MLPRegressor is expecting 4"):
        by_hand(estimators, "MLPRegressor", "identity").predict(X[:, :3])


@pytest.mark.parametrize("use", ["predict", "hidden", "to_sequential"])
def test_an_activation_that_is_none_is_told_by_predictions_too(use):
    model = MLPClassifier(**SETTINGS).fit(X, CLASSES).set_params(activation="swish")
    with pytest.raises(ValueError, match=r"MLPClassifier expects activation as one of .* 'swish'"):
        getattr(model, use)(*() if use == "to_sequential" else (X,))


def test_sparse_weights_put_in_by_hand_are_told_as_such():
    model = MLPClassifier(**SETTINGS).fit(X, CLASSES)
    model.coefs_[0] = sparse.csr_array(model.coefs_[0])
    with pytest.raises(TypeError, match=r"coefs_ expects W .* got a sparse matrix"):
        model.predict(X)


@pytest.mark.parametrize("kind", KINDS)
def test_tuples_in_a_fitted_estimator_train_on(kind):
    model, plain = (getattr(estimators, kind)(**SETTINGS).fit(X, CLASSES) for _ in range(2))
    model.coefs_, model.intercepts_ = tuple(model.coefs_), tuple(model.intercepts_)
    assert same(model.partial_fit(X, CLASSES), plain.partial_fit(X, CLASSES))


# --- class_weight ---------------------------------------------------------------------------------


def test_a_class_weight_may_name_classes_that_a_fold_lacks():
    X, y = datasets.load_iris(return_X_y=True)  # sorted: each fold lacks a class
    weights = {0: 1.0, 1: 2.0, 2: 3.0}
    model = MLPClassifier(**SETTINGS, class_weight=weights)
    assert np.isfinite(cross_val_score(model, X, y, cv=3)).all()
    few = y < 2
    same_weights = MLPClassifier(**SETTINGS, class_weight={0: 1.0, 1: 2.0}).fit(X[few], y[few])
    assert same(model.fit(X[few], y[few]), same_weights)
    for bad in ({0: 1.0, 7: 3.0}, {"a": 1.0}):  # some class has none: a slip, as scikit-learn says
        with pytest.raises(ValueError, match=r"expects class_weight .* not in class_w"):
            MLPClassifier(**SETTINGS, class_weight=bad).fit(X, y)


# --- what stands for no number ------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_masked_elements_are_no_data(kind):
    masked, weights = np.ma.masked_array(X, X > 1), np.ma.masked_array(np.ones(60), CLASSES == 1)
    model = getattr(estimators, kind)(**SETTINGS)
    for call in (
        lambda: model.fit(masked, CLASSES),
        lambda: model.fit(X, np.ma.masked_array(CLASSES, CLASSES == 1)),
        lambda: model.fit(X, CLASSES, sample_weight=weights),
        lambda: model.fit(X, CLASSES).predict(masked),
        lambda: model.fit(X, CLASSES).score(masked, CLASSES),
    ):
        with pytest.raises(ValueError, match=f"{kind} expects .* without masked elements; got"):
            call()
    model.fit(np.ma.masked_array(X), CLASSES)  # which masks nothing


def test_missing_targets_are_told_as_such():
    y = np.where(CLASSES == 1, None, X[:, 0].astype(object))
    with pytest.raises(ValueError, match="expects y without missing values"):
        MLPRegressor(**SETTINGS).fit(X, y)


def test_targets_beyond_the_dtype_are_told_as_such():
    with pytest.raises(ValueError, match="expects y within the range of float32"):
        MLPRegressor(**SETTINGS).fit(X.astype("f4"), np.full(60, 1e300))


@pytest.mark.parametrize("weight", ["balanced", b"1"])
def test_a_weight_of_all_rows_is_a_number(weight):
    with pytest.raises(TypeError, match="MLPClassifier expects sample_weight as a number; got"):
        MLPClassifier(**SETTINGS).fit(X, CLASSES, sample_weight=weight)


@pytest.mark.parametrize("dtype", ["f2", "u1", "i8"])
def test_predictions_of_other_dtypes_raise_no_warning_of_their_own(dtype):
    model = MLPClassifier(**SETTINGS).fit(X, CLASSES)
    rows = np.full((9, 4), 200).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (model.predict(rows) == model.predict(rows.astype("f8"))).all()


@pytest.mark.parametrize("sizes", [[5.0], (True,), [[5]], ["5"], np.array([2.5])], ids=repr)
def test_sizes_of_layers_are_integers(sizes):
    with pytest.raises(TypeError, match="MLPClassifier expects hidden_layer_sizes of integers"):
        MLPClassifier(sizes).fit(X, CLASSES)


def test_weights_of_classes_are_not_negative():
    with pytest.raises(ValueError, match="class_weight to give finite weights that are not neg"):
        MLPClassifier(**SETTINGS, class_weight={0: -1, 1: 1, 2: 1}).fit(X, CLASSES)


def test_a_score_that_is_no_number_does_not_bring_back_the_first_weights():
    settings = SETTINGS | {"early_stopping": True, "scoring": lambda model, X, y: np.nan}
    with pytest.raises(ValueError, match="scoring to return a number; got NaN"):
        MLPClassifier(**settings).fit(X, CLASSES)
    with pytest.raises(ValueError, match=r"at least 2 rows in validation_data, as R\^2 has no"):
        MLPRegressor(**SETTINGS).fit(X, CLASSES, validation_data=(X[:1], CLASSES[:1]))
    MLPRegressor(**SETTINGS, scoring="neg_mean_squared_error").fit(X, CLASSES, validation_data=(X[:1], CLASSES[:1]))
