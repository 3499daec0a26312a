"""`MLPClassifier` and `MLPRegressor` beside scikit-learn's: numbers, attributes, errors."""

import copy
import itertools
import pickle
import signal
import threading
import time
import warnings
from inspect import signature

import joblib
import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn import datasets, neural_network
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import estimators
from fastbp._kernels import isa
from fastbp.estimators import forward

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
BOTH = (neural_network, estimators)
#: Of a loss curve, relative; chaotic digits of many steps of float32 are behind it.
CURVE = {"float64": 1e-11, "float32": 2e-4}


def digits(n=600):
    X, y = datasets.load_digits(return_X_y=True)
    return X[:n] / 16, y[:n]


def regression(targets=2):
    X, y = datasets.make_regression(300, 10, n_targets=targets, random_state=0)
    return X, y / 100


def multilabel():
    return datasets.make_multilabel_classification(200, random_state=0)


DATA = {
    "multiclass": lambda: ("MLPClassifier", *digits()),
    "binary": lambda: ("MLPClassifier", digits()[0], digits()[1] > 4),
    "strings": lambda: ("MLPClassifier", digits()[0], np.array(list("abcdefghij"))[digits()[1]]),
    "multilabel": lambda: ("MLPClassifier", *multilabel()),
    "regression": lambda: ("MLPRegressor", *regression(1)),
    "several outputs": lambda: ("MLPRegressor", *regression()),
}
SETTINGS = {
    "adam": {},
    "adam, large epsilon": {"epsilon": 0.1, "beta_1": 0.5, "beta_2": 0.9, "alpha": 1.0},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.02},
    "sgd, invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.5, "power_t": 0.3},
    "sgd, adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "tol": 0.1,
        "n_iter_no_change": 2,
        "learning_rate_init": 0.02,
        "nesterovs_momentum": False,
    },
    "sgd, plain": {
        "solver": "sgd",
        "momentum": 0.0,
        "alpha": 0.0,
        "activation": "logistic",
        "shuffle": False,
        "batch_size": 77,
    },
    "two layers": {"hidden_layer_sizes": (17, 33), "activation": "tanh", "batch_size": 32},
    "no hidden layer": {"hidden_layer_sizes": (), "activation": "logistic"},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 3, "activation": "identity"},
}


def fitted(kind, X, y, *, weights=None, **settings):
    """Both libraries' estimators, fitted."""
    settings = {"hidden_layer_sizes": (20,), "max_iter": 15, "random_state": 3} | settings
    if sklearn.__version__ < "1.9" and y.dtype.kind == "U" and "early_stopping" in settings:
        pytest.skip("this scikit-learn cannot stop early with strings")
    return [getattr(b, kind)(**settings).fit(X, y, sample_weight=weights) for b in BOTH]


def assert_same_training(theirs, ours, dtype):
    close = CURVE[np.dtype(dtype).name]
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=close)
    assert ours.n_iter_ == theirs.n_iter_ and ours.t_ == theirs.t_
    for name in ("validation_scores_", "best_validation_score_", "best_loss_", "loss_"):
        a, b = getattr(ours, name), getattr(theirs, name)
        assert (a is None) == (b is None), name
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-6 if dtype == "float64" else 1e-2)
    if dtype == "float64":
        for a, b in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)


# --- the same numbers -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("data", DATA)
def test_a_seed_gives_scikit_learns_curve(data, settings, dtype):
    kind, X, y = DATA[data]()
    settings = SETTINGS[settings]
    theirs, ours = fitted(kind, X.astype(dtype), y, **settings)
    assert_same_training(theirs, ours, dtype)
    assert {a.dtype for a in ours.coefs_ + ours.intercepts_} == {np.dtype(dtype)}


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("settings", ["adam", "sgd", "early stopping"])
def test_sample_weights_give_scikit_learns_curve(data, settings):
    kind, X, y = DATA[data]()
    weights = np.random.default_rng(0).random(len(X)) + 0.1
    assert_same_training(*fitted(kind, X, y, weights=weights, **SETTINGS[settings]), "float64")


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_lbfgs_finds_scikit_learns_weights(data, activation):
    kind, X, y = DATA[data]()
    theirs, ours = fitted(kind, X, y, solver="lbfgs", activation=activation, max_iter=8, alpha=0.1)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-8)
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-4, atol=1e-6)


def test_lbfgs_of_many_rows_goes_part_by_part():
    X, y = digits(1797)
    weights = np.random.default_rng(0).random(len(X))
    weights[1024:] = 0  # a part without any weight
    for w in (None, weights):
        theirs, ours = fitted("MLPClassifier", X, y, weights=w, solver="lbfgs", max_iter=6)
        assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-9)


@pytest.mark.parametrize("settings", ["adam", "sgd", "early stopping"])
@pytest.mark.parametrize("targets", [1, 2])
def test_poisson_loss_gives_scikit_learns_curve(settings, targets):
    X, y = regression(targets)
    settings = SETTINGS[settings] | {"loss": "poisson"}
    y = np.round(np.abs(y) * 3)
    theirs, ours = fitted("MLPRegressor", X, y, **settings)
    assert_same_training(theirs, ours, "float64")
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6)
    assert ours.out_activation_ == "exp"


def test_saturated_probabilities_cost_what_they_cost_there():
    X, y = digits()
    for target in (y, y > 4):
        for dtype in ("float32", "float64"):
            settings = {"solver": "sgd", "learning_rate_init": 0.05, "max_iter": 4}
            theirs, ours = fitted("MLPClassifier", (60 * X).astype(dtype), target, **settings)
            assert max(theirs.loss_curve_) > 5
            np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=2e-2)


@pytest.mark.parametrize("seed", [3, None, "state"])
@pytest.mark.parametrize("data", DATA)
def test_partial_fits_go_scikit_learns_way(data, seed):
    kind, X, y = DATA[data]()
    models = []
    for library in BOTH:
        given = np.random.RandomState(5) if seed == "state" else seed
        model = getattr(library, kind)(hidden_layer_sizes=(20,), random_state=given, solver="sgd")
        np.random.seed(7)  # noqa: NPY002 - what a random_state of None takes
        for k in range(6):
            rows = slice(30 * k, 30 * k + (25, 7, 1)[k % 3])
            classes = np.unique(y) if y.ndim == 1 else np.arange(y.shape[1])
            extra = {"classes": classes} if kind == "MLPClassifier" and k == 0 else {}
            weights = np.linspace(1, 2, len(X[rows])) if k == 4 else None
            model.partial_fit(X[rows], y[rows], sample_weight=weights, **extra)
        models.append(model)
    assert_same_training(*models, "float64")
    np.testing.assert_array_equal(
        *(np.round(m.predict(X), 9) if kind == "MLPRegressor" else m.predict(X) for m in models)
    )


def test_partial_fit_after_fit_and_after_a_pickle_goes_on():
    X, y = digits()
    theirs, ours = fitted("MLPClassifier", X, y, max_iter=4)
    reference = copy.deepcopy(ours)
    ours = pickle.loads(pickle.dumps(ours))
    for model in (theirs, ours, reference):
        for _ in range(3):
            model.partial_fit(X[:50], y[:50])
    assert_same_training(theirs, ours, "float64")
    np.testing.assert_array_equal(ours.coefs_[0], reference.coefs_[0])


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_warm_start_goes_scikit_learns_way(solver):
    X, y = digits()
    models = fitted("MLPClassifier", X, y, warm_start=True, max_iter=4, solver=solver)
    for model in models:
        model.fit(X, y)
        model.set_params(max_iter=2, alpha=0.1).fit(X, y)
    assert_same_training(*models, "float64")


def test_verbose_prints_what_scikit_learn_prints(capsys):
    X, y = digits(200)
    for settings in (
        {"verbose": True, "early_stopping": True, "tol": 1e9, "n_iter_no_change": 2},
        {
            "verbose": True,
            "solver": "sgd",
            "learning_rate": "adaptive",
            "tol": 1.0,
            "n_iter_no_change": 1,
            "learning_rate_init": 1e-5,
            "max_iter": 30,
        },
    ):
        printed = []
        for library in BOTH:
            library.MLPClassifier((5,), random_state=0, **settings).fit(X, y)
            printed.append(capsys.readouterr().out)
        assert "Stopping" in printed[0]
        assert printed[1] == printed[0]


# --- predictions ----------------------------------------------------------------------------


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predictions_are_scikit_learns_in_value_and_dtype(data, dtype):
    kind, X, y = DATA[data]()
    theirs, ours = fitted(kind, X.astype(dtype), y, max_iter=3, solver="sgd")
    ours.coefs_ = [W.copy() for W in theirs.coefs_]
    ours.intercepts_ = [b.copy() for b in theirs.intercepts_]
    methods = ["predict"]
    if kind == "MLPClassifier":
        methods += ["predict_proba", "predict_log_proba"]
    for method in methods:
        for other in (
            X.astype(dtype),
            X[:1],
            np.asfortranarray(X),
            X.astype("f4"),
            X.tolist(),
            sparse.csr_matrix(X),
            sparse.csc_array(X),
        ):
            want, got = (getattr(m, method)(other) for m in (theirs, ours))
            assert got.dtype == want.dtype and got.shape == want.shape
            if want.dtype.kind == "f":
                np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)
            else:
                np.testing.assert_array_equal(got, want)
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), rel=1e-6)


def test_many_rows_are_predicted_part_by_part():
    X, y = digits()
    model = estimators.MLPClassifier((20,), max_iter=2).fit(X, y)
    many = np.tile(X, (15, 1))
    assert len(many) > forward.SPARSE_ROWS > forward.ROWS
    np.testing.assert_array_equal(model.predict_proba(many)[:600], model.predict_proba(X))
    for kind in (sparse.csr_matrix, sparse.csc_matrix):
        got = model.predict_proba(kind(many))
        np.testing.assert_allclose(got, model.predict_proba(many), rtol=1e-12)


def test_csc_rows_are_not_cut_out_one_part_after_another(monkeypatch):
    X, y = digits()
    model = estimators.MLPClassifier((20,), max_iter=2).fit(X, y)
    many = sparse.csc_matrix(np.tile(X, (15, 1)))

    def refuse(*_):
        raise AssertionError("went through all entries for some rows")

    monkeypatch.setattr(sparse.csc_matrix, "__getitem__", refuse)
    model.predict_proba(many)


def test_writing_into_the_weights_holds_for_predict_and_partial_fit():
    X, y = digits(100)
    model = estimators.MLPClassifier((20,), max_iter=2, random_state=0, solver="sgd").fit(X, y)
    before = model.predict_proba(X)
    model.coefs_[0] *= 0
    model.intercepts_[0][...] = 0
    zeroed = model.predict_proba(X)
    assert not np.allclose(before, zeroed)
    assert np.ptp(zeroed, axis=0).max() == 0
    kept = model.coefs_[0]
    model.partial_fit(X[:1], y[:1])
    assert model.coefs_[0] is kept
    assert np.abs(model.coefs_[0]).max() < 0.1
    model.coefs_[1] = np.asfortranarray(model.coefs_[1].astype("f4"))
    model.predict(X)
    model.partial_fit(X[:1], y[:1])


def test_csr_rows_train_as_dense_ones_and_are_never_made_dense_whole(monkeypatch):
    X, y = digits()
    dense = estimators.MLPClassifier((20,), max_iter=5, random_state=0).fit(X, y)
    for kind in (sparse.csr_matrix, sparse.csr_array, sparse.csc_array):
        rows = kind(X)

        def refuse(*_, **__):
            raise AssertionError("made dense")

        for name in ("toarray", "todense"):
            monkeypatch.setattr(type(rows), name, refuse)
        for settings in ({}, {"early_stopping": True}, {"solver": "lbfgs", "max_iter": 3}):
            model = estimators.MLPClassifier((20,), random_state=0, **{"max_iter": 5} | settings)
            model.fit(rows, y).predict(rows)
            if not settings:
                np.testing.assert_array_equal(model.coefs_[0], dense.coefs_[0])
        monkeypatch.undo()


def test_data_frames_give_feature_names_and_their_warnings():
    pandas = pytest.importorskip("pandas")
    X, y = digits(100)
    frame = pandas.DataFrame(X, columns=[f"pixel {k}" for k in range(64)])
    model = estimators.MLPClassifier((5,), max_iter=2, early_stopping=True).fit(frame, y)
    assert list(model.feature_names_in_) == list(frame.columns)
    model.predict(frame)
    with pytest.warns(UserWarning, match="valid feature names"):
        model.predict(X)


def test_ctrl_c_while_a_plan_is_made_loses_no_state(monkeypatch):
    """The plan of a model from a pickle is made by its first partial_fit."""
    from fastbp.estimators import solver

    interrupts = [KeyboardInterrupt]

    class Interrupted(solver.engine.Plan):
        def write(self, *arrays):
            if interrupts:
                raise interrupts.pop()
            super().write(*arrays)

    X, y = digits(200)
    model = estimators.MLPClassifier((20,), random_state=0).partial_fit(X, y, classes=range(10))
    model, twin = pickle.loads(pickle.dumps(model)), model
    monkeypatch.setattr(solver.engine, "Plan", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(X, y)
    model.partial_fit(X, y)
    twin.partial_fit(X, y)
    for array, same in zip(model.coefs_, twin.coefs_, strict=True):
        np.testing.assert_array_equal(array, same)


def test_ctrl_c_while_coefs_are_read_back_leaves_those_of_the_last_step(monkeypatch):
    from fastbp.estimators.solver import Solver

    X, y = digits(200)
    model = estimators.MLPClassifier((20,), random_state=0).partial_fit(X, y, classes=range(10))
    twin = copy.deepcopy(model).partial_fit(X, y)
    own, looks = Solver._own, itertools.count()

    def interrupted(solver, array):
        if next(looks) == 3:  # at the last of the four arrays
            raise KeyboardInterrupt
        return own(solver, array)

    monkeypatch.setattr(Solver, "_own", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(X, y)
    for array, same in zip([*model.coefs_, *model.intercepts_], [*twin.coefs_, *twin.intercepts_], strict=True):
        np.testing.assert_array_equal(array, same)


# --- attributes, clones, pickles ------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"solver": "lbfgs"}, {"early_stopping": True}])
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_fitted_attributes_are_scikit_learns(kind, settings):
    X, y = digits(200)
    theirs, ours = fitted(kind, X, y, max_iter=2, **settings)
    own = {"norms_"}
    public = [{name for name in vars(m) if name.endswith("_") and name[0] != "_"} for m in (theirs, ours)]
    assert public[0] == public[1] - own
    for name in ("n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name)


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_parameters_start_as_scikit_learns(kind):
    theirs, ours = (getattr(library, kind) for library in BOTH)
    known = theirs().get_params()
    mine = ours().get_params()
    assert {name: mine[name] for name in known} == known
    places = list(signature(theirs).parameters)
    assert list(signature(ours).parameters)[: len(places)] == places
    for name, parameter in signature(ours).parameters.items():
        theirs_kind = signature(theirs).parameters.get(name, parameter).kind
        assert parameter.kind == theirs_kind and (name in places or theirs_kind.name[0] == "K")


def test_a_pickle_does_not_grow_with_the_steps():
    X, y = digits(200)
    sizes = []
    for epochs in (2, 40):
        model = estimators.MLPClassifier((20,), max_iter=epochs, tol=0, n_iter_no_change=99)
        model.fit(X, y)
        model.loss_curve_ = []
        sizes.append(len(pickle.dumps(model)))
    assert abs(sizes[1] - sizes[0]) < 50
    for _ in range(50):
        model.partial_fit(X[:5], y[:5])
    model.loss_curve_ = []
    assert abs(len(pickle.dumps(model)) - sizes[0]) < 50


@pytest.mark.parametrize("name", [name for name in isa.usable() if name != isa.in_use()])
def test_a_pickle_loads_under_another_instruction_set(name, run_python, tmp_path):
    X, y = digits(200)
    model = estimators.MLPClassifier((20,), max_iter=5, random_state=0).fit(X, y)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    np.save(tmp_path / "X.npy", X)
    code = """
import pickle, numpy as np
model, X = pickle.load(open("model.pkl", "rb")), np.load("X.npy")
np.save("proba.npy", model.predict_proba(X))
model.partial_fit(X[:20], np.arange(20) % 10)
np.save("W.npy", model.coefs_[0])
"""
    done = run_python("-c", code, FASTBP_ISA=name)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "proba.npy"), model.predict_proba(X), rtol=1e-9)
    model.partial_fit(X[:20], np.arange(20) % 10)
    np.testing.assert_allclose(np.load(tmp_path / "W.npy"), model.coefs_[0], rtol=1e-6, atol=1e-9)


def test_copies_are_apart():
    X, y = digits(200)
    model = estimators.MLPRegressor(hidden_layer_sizes=20, max_iter=5, random_state=0).fit(X, y)
    before = model.predict(X)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin.predict(X), before)
        twin.partial_fit(X, 1.0 * y)
        np.testing.assert_array_equal(model.predict(X), before)
    assert not hasattr(clone(model), "coefs_")
    assert clone(model).get_params() == model.get_params()


def test_joblib_maps_a_model_from_disk(tmp_path):
    X, y = digits(200)
    model = estimators.MLPClassifier((20,), max_iter=5, random_state=0).fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert not mapped.coefs_[0].flags.writeable
    np.testing.assert_array_equal(mapped.predict_proba(X), model.predict_proba(X))
    mapped.partial_fit(X[:20], y[:20])
    model.partial_fit(X[:20], y[:20])
    np.testing.assert_array_equal(mapped.coefs_[0], model.coefs_[0])


def test_a_grid_search_over_processes_in_a_pipeline():
    X, y = digits(300)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), estimators.MLPClassifier((10,), random_state=0)),
        {"mlpclassifier__alpha": [1e-4, 1e-2], "mlpclassifier__activation": ["relu", ("tanh",)]},
        n_jobs=2,
        cv=2,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert search.fit(X, y).best_score_ > 0.7


def test_read_only_rows_train():
    X, y = digits(100)
    X.flags.writeable = y.flags.writeable = False
    model = estimators.MLPClassifier((5,), max_iter=2).fit(X, y)
    model.partial_fit(X, y).predict(X)


def test_threads_fit_at_the_same_time():
    X, y = digits(300)
    models = [estimators.MLPClassifier((20,), random_state=0, max_iter=20) for _ in range(4)]
    threads = [threading.Thread(target=m.fit, args=(X, y)) for m in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({m.coefs_[0].tobytes() for m in models}) == 1


# --- ends -----------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_ctrl_c_keeps_what_was_learned(solver):
    X, y = digits()
    model = estimators.MLPClassifier(
        (200, 200),
        solver=solver,
        max_iter=10**6,
        tol=0,
        n_iter_no_change=10**6,
        max_fun=10**6,
        alpha=0.0 if solver == "adam" else 1.0,
    )
    timer = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
    calls = []

    def interrupt(_):
        calls.append(1)
        if len(calls) == 5 and solver == "lbfgs":
            raise KeyboardInterrupt
        if len(calls) == 5:
            timer.start()  # however slow the machine is, there are iterations before it

    model.callbacks = interrupt
    if solver == "lbfgs":
        model.tol = 1e-300
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, y)
    timer.cancel()
    assert model.n_iter_ >= 4 and model.score(X, y) > 0.3


@pytest.mark.parametrize("restore_best", [None, True])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_control_c_before_the_first_epoch_leaves_the_weights(method, restore_best, monkeypatch):
    X, y = regression(1)
    model = estimators.MLPRegressor(
        hidden_layer_sizes=(4,), max_iter=5, warm_start=True, restore_best=restore_best, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    before = copy.deepcopy(model.coefs_)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastbp.estimators.solver.Solver.load", interrupted)
    with pytest.raises(KeyboardInterrupt):
        getattr(model, method)(X, y)
    for W, kept in zip(model.coefs_, before, strict=True):
        np.testing.assert_array_equal(W, kept)


def test_max_iter_holds_whoever_sets_it_while_a_training_runs():
    X, y = regression(1)
    model = estimators.MLPRegressor(hidden_layer_sizes=(4,), max_iter=6, random_state=0)

    def schedule(epochs):
        model.max_iter = 3
        return 1.0

    model.schedule = schedule
    with pytest.warns(ConvergenceWarning, match=r"iterations \(3\)"):
        model.fit(X, y)
    assert model.n_iter_ == 3


def test_callbacks_of_an_epoch_may_mend_what_others_wrote():
    X, y = regression(1)

    def spoil(model):
        model.max_iter = "none"

    def mend(model):
        model.max_iter = 2

    model = estimators.MLPRegressor(hidden_layer_sizes=(4,), max_iter=6, random_state=0, callbacks=[spoil, mend])
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    assert model.n_iter_ == 2


def test_a_diverging_fit_ends_as_scikit_learns():
    X, y = regression(1)
    settings = {"solver": "sgd", "learning_rate_init": 1e3, "max_iter": 30, "random_state": 0}
    messages = []
    for library in BOTH:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(ValueError, match="non-finite parameter weights") as caught:
                library.MLPRegressor(hidden_layer_sizes=20, **settings).fit(1e3 * X, y)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_an_unfinished_fit_warns_as_scikit_learns(solver):
    X, y = digits(200)
    for library in BOTH:
        with pytest.warns(ConvergenceWarning, match="converge"):
            library.MLPClassifier((5,), solver=solver, max_iter=3).fit(X, y)


# --- errors ---------------------------------------------------------------------------------

BAD = [
    ("hidden_layer_sizes", -1),
    ("hidden_layer_sizes", (3, 0)),
    ("alpha", -1.0),
    ("alpha", "a"),
    ("batch_size", 0),
    ("batch_size", 2.5),
    ("learning_rate", "fast"),
    ("learning_rate_init", 0.0),
    ("learning_rate_init", np.nan),
    ("power_t", -1),
    ("max_iter", 0),
    ("max_iter", 1.5),
    ("shuffle", "yes"),
    ("shuffle", 1),
    ("random_state", -3),
    ("random_state", "seed"),
    ("tol", -1e-3),
    ("verbose", -1),
    ("verbose", None),
    ("warm_start", None),
    ("momentum", 2),
    ("momentum", -0.1),
    ("nesterovs_momentum", 3),
    ("early_stopping", "no"),
    ("validation_fraction", 1.0),
    ("validation_fraction", -0.1),
    ("beta_1", 1.0),
    ("beta_2", 1.5),
    ("epsilon", 0),
    ("epsilon", -1e-8),
    ("n_iter_no_change", 0),
    ("n_iter_no_change", 2.5),
    ("max_fun", 0),
    ("activation", "swish"),
    ("solver", "newton"),
    ("activation", 3),
]


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("name, value", BAD)
def test_bad_parameters_get_scikit_learns_errors(kind, name, value):
    X, y = digits(50)
    messages = []
    for library in BOTH:
        with pytest.raises((ValueError, TypeError)) as caught:
            getattr(library, kind)(**{name: value}).fit(X, y)
        assert isinstance(caught.value, ValueError)
        messages.append(str(caught.value).split("{")[0].replace("np.float64", ""))
    assert messages[1] == messages[0]


def test_bad_data_get_scikit_learns_errors():
    X, y = digits(50)
    nan = X.copy()
    nan[3, 4] = np.nan
    cases = [
        lambda m: m.fit(nan, y),
        lambda m: m.fit(X[:40], y),
        lambda m: m.fit(X[0], y),
        lambda m: m.fit(X, X[:, 0] + 0.5),
        lambda m: m.fit(X, y).predict(X[:, :5]),
        lambda m: m.fit(X, y).predict(nan),
        lambda m: m.fit(X, y).predict(X[0]),
        lambda m: m.fit(X, y, sample_weight=np.ones(3)),
        lambda m: m.fit(X[:0], y[:0]),
        lambda m: m.fit(X, None),
        lambda m: m.fit(X, y).partial_fit(X, y + 20),
        lambda m: m.partial_fit(X, y),
        lambda m: m.partial_fit(X, y, classes=[0, 1]),
        lambda m: m.fit(X, y).partial_fit(X, y, classes=[7]),
        lambda m: m.fit(X, y).partial_fit(X[:, :7], y),
        lambda m: m.set_params(early_stopping=True).partial_fit(X, y, classes=range(10)),
        lambda m: m.set_params(early_stopping=True).fit(X[:10], y[:10] > 4),
        lambda m: m.set_params(warm_start=True).fit(X, y).fit(X, y % 5),
    ]
    for case in cases:
        errors = []
        for library in BOTH:
            with pytest.raises(Exception) as caught:
                case(library.MLPClassifier((5,), max_iter=2))
            errors.append((type(caught.value), str(caught.value)))
        assert errors[1] == errors[0]


def test_bad_sample_weights_are_refused():
    X, y = digits(50)
    for bad, words in ((np.ones((50, 2)), "must be 1D array or scalar"), (0, "non-zero"), (np.full(50, np.nan), "NaN")):
        with pytest.raises(ValueError, match=words):
            estimators.MLPClassifier((5,), max_iter=2).fit(X, y, sample_weight=bad)
    whole = estimators.MLPClassifier((5,), max_iter=2, random_state=0).fit(X, y)
    scaled = estimators.MLPClassifier((5,), max_iter=2, random_state=0, alpha=4e-4)
    scaled.fit(X, y, sample_weight=4)
    np.testing.assert_allclose(scaled.coefs_[0], whole.coefs_[0], rtol=1e-9)


def test_an_estimator_that_is_not_fitted_says_so():
    for model in (estimators.MLPClassifier(), estimators.MLPRegressor()):
        for call in (model.predict, model.hidden):
            with pytest.raises(NotFittedError):
                call([[1.0]])
        with pytest.raises(NotFittedError):
            model.to_sequential()


def test_partial_fit_is_not_there_with_lbfgs():
    for kind in (estimators.MLPClassifier, estimators.MLPRegressor):
        assert not hasattr(kind(solver="lbfgs"), "partial_fit")
        assert hasattr(kind(), "partial_fit")


def test_quick_rows_are_checked_too():
    """Small batches skip scikit-learn's validation only where it would change nothing."""
    X, y = digits(100)
    model = estimators.MLPClassifier((5,), max_iter=2, random_state=0).fit(X, y)
    weights = model.coefs_[0].copy()
    for bad in (X[:5, :-1], np.full((5, 64), np.nan), np.full((5, 64), np.inf), X[:4], X[0]):
        with pytest.raises(ValueError):
            model.partial_fit(bad, y[:5])
    for bad in (np.full(5, 77), y[:5] + 0.5, ["a"] * 5):
        with pytest.raises((ValueError, TypeError)):
            model.partial_fit(X[:5], bad)
    np.testing.assert_array_equal(model.coefs_[0], weights)
    begin = time.perf_counter()
    for _ in range(20):
        model.partial_fit(X[:5], y[:5])
    assert time.perf_counter() - begin < 5
