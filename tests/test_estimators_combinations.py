"""The estimators' own parameters side by side: the page's table, and what a bad call leaves."""

import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn import datasets, neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from fastbp.estimators import MLPClassifier, MLPRegressor
from fastbp.estimators.solver import Solver

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
PAGE = Path(__file__).parents[1] / "docs" / "coming-from-scikit-learn.md"
SETTINGS = {"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0}


def iris():
    X, y = datasets.load_iris(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


def half_square(y, outputs):
    return 0.5 * np.square(outputs - y).sum(axis=1), outputs - y


def given():
    rng = np.random.default_rng(0)
    return [rng.normal(size=s) for s in ((4, 8), (8, 3))], [np.zeros(8), np.zeros(3)]


# --- the table ------------------------------------------------------------------------------

#: For each row of the table: parameters, and whether they change the weights that are learned.
ROWS = {
    "`activation` of each layer": [({"activation": ("gelu",)}, True)],
    "`dropout`": [({"dropout": 0.5}, True)],
    "`batch_norm`": [({"batch_norm": True}, True)],
    "`loss`, a function": [({"loss": half_square}, True)],
    "`label_smoothing`": [({"label_smoothing": 0.3}, True)],
    "`class_weight`, a dictionary": [({"class_weight": {0: 9.0, 1: 1.0, 2: 0.1}}, True)],
    '`class_weight="balanced"`': [({"class_weight": "balanced"}, False)],
    "`scoring`": [({"scoring": "f1_macro"}, False), ({"scoring": "neg_log_loss"}, False)],
    "`restore_best=True`": [({"restore_best": True}, False)],
    "`callbacks`": [({"callbacks": []}, False)],
    "`progress`": [({"progress": True}, False)],
    "`schedule`": [({"schedule": lambda epochs: 0.5}, True)],
    "`max_seconds`": [({"max_seconds": 1000}, False)],
    "`n_threads`": [({"n_threads": 2}, False)],
    "`init`, `coefs_init`": [({"init": "he"}, True), ({"coefs_init": given()}, True)],
    "`standardize`": [({"standardize": True}, False)],
    "`missing`, `add_indicator`": [({"missing": "mean", "add_indicator": True}, False)],
    "`early_stopping`": [({"early_stopping": True}, False)],
    "`validation_data`": [({}, False)],
}
COLUMNS = ["fit", "early_stopping", "validation_data", "lbfgs", "partial_fit"]


def table():
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    head = next(i for i, line in enumerate(lines) if line.startswith("| parameter "))
    for line in lines[head + 2 :]:
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        if len(cells) != len(COLUMNS):
            return
        yield name, dict(zip(COLUMNS, cells, strict=True))


TABLE = dict(table())
CELLS = [(name, column, cells[column]) for name, cells in TABLE.items() for column in COLUMNS]


def train(column, name="", **parameters):
    """A classifier trained as a column of the table says."""
    X, y = iris()
    settings = SETTINGS | parameters
    data = {"validation_data": (X[::3], y[::3])} if name == "`validation_data`" else {}
    if column == "partial_fit":
        before = {
            key: settings.pop(key) for key in list(settings) if key in ("early_stopping", "scoring", "class_weight")
        }
        model = MLPClassifier(**settings).partial_fit(X, y, classes=[0, 1, 2])
        return model.set_params(**before).partial_fit(X, y, **data)
    if column == "validation_data":
        data["validation_data"] = (X[::3], y[::3])
    if column == "early_stopping":
        settings["early_stopping"] = True
    if column == "lbfgs":
        settings["solver"] = "lbfgs"
    return MLPClassifier(**settings).fit(X, y, **data)


def test_the_table_has_a_row_for_each_parameter():
    assert set(TABLE) == set(ROWS)


@pytest.mark.parametrize("name, column, cell", CELLS)
def test_a_cell_of_the_table_is_true(name, column, cell):
    if name == "`progress`":
        pytest.importorskip("tqdm")
    for parameters, changes in ROWS[name]:
        if cell == "error":
            expected = TypeError if (name, column) == ("`validation_data`", "partial_fit") else (ValueError)
            with pytest.raises(expected) as caught:
                train(column, name, **parameters)
            said = str(caught.value)
            assert re.search(r"MLPClassifier|partial_fit", said) and "\n" not in said
            word = re.sub(r"[`=].*", "", name.strip("`"))
            assert word in said
            continue
        model = train(column, name, **parameters)
        assert np.isfinite(model.coefs_[0]).all() and model.loss_ > 0
        if changes:
            plain = train(column)
            assert not np.allclose(model.coefs_[0], plain.coefs_[0], rtol=1e-3)


@pytest.mark.parametrize("column", COLUMNS)
def test_callbacks_come_as_often_as_the_table_says(column):
    seen = []
    model = train(column, callbacks=lambda m: seen.append(m.loss_))
    assert len(seen) == (2 if column == "partial_fit" else model.n_iter_)


@pytest.mark.parametrize(
    "bad, words",
    [
        ({"init": "he", "coefs_init": given()}, "init=None beside coefs_init"),
        ({"loss": half_square, "n_threads": 2}, "n_threads of None or 1 beside a function for loss"),
        ({"loss": half_square, "label_smoothing": 0.1}, "loss='log_loss' beside label_smoothing"),
        ({"schedule": abs, "learning_rate": "invscaling"}, "learning_rate='constant' beside a sched"),
        ({"scoring": "accuracy"}, "scoring beside early_stopping=True or validation_data in fit"),
        ({"batch_norm": True, "batch_size": 1}, "batches of at least 2 rows for batch_norm.*_size=1 "),
    ],
)
def test_what_does_not_go_together_says_so(bad, words):
    with pytest.raises(ValueError, match=f"MLPClassifier expects {words}"):
        MLPClassifier(**SETTINGS, **bad).fit(*iris())


def test_a_partial_fit_that_diverges_keeps_the_weights_where_asked():
    X, y = iris()
    model = MLPRegressor(**SETTINGS, solver="sgd", restore_best=True).fit(X, 1.0 * y)
    with pytest.warns(ConvergenceWarning, match="not finite"):
        model.partial_fit(1e200 * X, 1.0 * y)
    assert np.isfinite(model.predict(X)).all()
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        model.set_params(restore_best=False).partial_fit(1e200 * X, 1.0 * y)


# --- batch normalisation's last row ----------------------------------------------------------


@pytest.mark.parametrize("loss", ["squared_error", half_square])
@pytest.mark.parametrize("rows, batch_size", [(41, 8), (9, 8), (201, "auto"), (3, 2)])
def test_a_row_left_over_joins_the_batch_before(loss, rows, batch_size, monkeypatch):
    X, y = iris()
    X, y = np.vstack([X, X])[:rows], np.hstack([y, y])[:rows].astype(float)
    size = 200 if batch_size == "auto" else batch_size
    asked = []

    def schedule(epochs):
        asked.append(epochs)
        return 1.0

    settings = {**SETTINGS, "batch_norm": True, "shuffle": False, "alpha": 0.0, "max_iter": 1}
    model = MLPRegressor(loss, **settings, batch_size=batch_size, schedule=schedule).fit(X, y)
    n_batches = rows // size
    assert asked == [k / n_batches for k in range(n_batches)]
    assert model.t_ == rows
    by_hand = MLPRegressor(loss, **settings, batch_size=size)
    losses = []
    for k in range(n_batches):
        part = slice(k * size, rows if k == n_batches - 1 else (k + 1) * size)
        by_hand.batch_size = part.stop - part.start
        by_hand.partial_fit(X[part], y[part])
        losses.append(by_hand.loss_ * by_hand.batch_size)
    assert model.loss_ == pytest.approx(sum(losses) / rows, rel=1e-9)
    for own, other in zip([*model.coefs_, *model.norms_], [*by_hand.coefs_, *by_hand.norms_], strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-7, atol=1e-10)


# --- time -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"solver": "lbfgs"},
        {"early_stopping": True},
        {"loss": half_square},
        {"restore_best": True},
        {"batch_norm": True, "batch_size": 149},
    ],
    ids=lambda settings: " ".join(settings) or "defaults",
)
def test_no_time_at_all_makes_one_step(settings):
    X, y = iris()
    model = MLPRegressor(**SETTINGS | settings, max_seconds=0)
    with pytest.warns(ConvergenceWarning, match=r"Maximum time \(0 s\) reached"):
        model.fit(X, 1.0 * y)
    assert np.isfinite(model.loss_) and model.n_iter_ == 1
    assert np.isfinite(model.predict(X)).all()
    if settings.get("solver") != "lbfgs":
        assert model.loss_curve_ == [model.loss_]
        model.set_params(early_stopping=False)
        assert model.partial_fit(X, 1.0 * y).loss_ > 0


def test_a_callback_that_ends_lbfgs_raises_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MLPClassifier(**SETTINGS, solver="lbfgs", callbacks=lambda m: True).fit(*iris())


# --- errors of the user's functions -----------------------------------------------------------


def raises(*_):
    raise KeyError("mine")


@pytest.mark.parametrize(
    "parameters, error, words",
    [
        ({"schedule": raises}, ValueError, "expects schedule .*; at 0 it raised KeyError: 'mine'"),
        ({"schedule": lambda e: "fast"}, TypeError, "expects schedule to return a factor"),
        ({"schedule": lambda e: -1.0}, ValueError, "expects schedule to return a factor .* got -1"),
        ({"schedule": lambda e: np.nan}, ValueError, "expects schedule to return a factor .* got nan"),
        ({"scoring": raises}, ValueError, "expects scoring .* raised KeyError: 'mine'"),
        ({"scoring": "roc_auc"}, ValueError, "expects scoring .*'roc_auc' raised ValueError: multi_c"),
        ({"scoring": lambda m, X, y: "good"}, TypeError, "scoring to return a number; got 'good'"),
        ({"scoring": lambda m, X, y: None}, TypeError, "scoring to return a number; got None"),
        ({"scoring": lambda m, X, y: [1, 2]}, TypeError, r"scoring to return a number; got \[1, 2\]"),
        ({"scoring": lambda m, X, y: {"a": 1}}, TypeError, "scoring to return a number; got {'a': 1}"),
        ({"loss": lambda y, z: (z[:, 0], z.astype(str))}, ValueError, "gradient .* of dtype <U"),
        ({"loss": raises}, ValueError, "expects loss.* raised KeyError: 'mine'"),
        ({"init": "nope"}, ValueError, "MLPClassifier expects init as one of 'he'"),
        ({"init": -1}, ValueError, "MLPClassifier expects init as a finite number"),
        ({"init": [1]}, TypeError, "MLPClassifier expects init as a number"),
    ],
)
def test_errors_of_the_users_functions_name_them(parameters, error, words):
    X, y = iris()
    model = MLPClassifier(**SETTINGS, **parameters)
    with pytest.raises(error, match=words) as caught:
        model.fit(X, y, **({"validation_data": (X, y)} if "scoring" in parameters else {}))
    assert "MLPClassifier" in str(caught.value)


def test_an_error_in_a_callback_passes_through_and_keeps_what_was_learned():
    class Stop(Exception):
        pass

    def stop(model):
        if model.n_iter_ == 3:
            raise Stop

    X, y = iris()
    for solver in ("adam", "lbfgs"):
        model = MLPClassifier(**SETTINGS, solver=solver, callbacks=stop)
        with pytest.raises(Stop):
            model.fit(X, y)
        same = MLPClassifier(**SETTINGS | {"max_iter": 3}, solver=solver).fit(X, y)
        np.testing.assert_allclose(model.coefs_[0], same.coefs_[0], rtol=1e-9)


def nan_in(pair):
    pair[0][1][0, 0] = np.nan
    return pair


@pytest.mark.parametrize(
    "bad, words",
    [
        (nan_in(given()), "expects coefs_init of finite numbers; got NaN or inf"),
        ((given()[0], given()[1][:1]), "expects coefs_init as .coefs, inter.*shorter"),
        (given()[0][:1], "expects coefs_init as .coefs, inter"),
        (3, "expects coefs_init as .coefs, inter"),
        (([W.T for W in given()[0]], given()[1]), "expects coefs_init as .* of the shapes .* got"),
        (([[[1, 2], [3]]], [[1]]), "expects coefs_init as .coefs, inter"),
        (([W.astype(str) for W in given()[0]], given()[1]), "expects coefs_init of real numbers"),
        (([1j * W for W in given()[0]], given()[1]), "expects coefs_init of real numbers"),
    ],
)
def test_weights_to_start_from_are_checked(bad, words):
    with pytest.raises((ValueError, TypeError), match=f"MLPClassifier {words}"):
        MLPClassifier(**SETTINGS, coefs_init=bad).fit(*iris())


# --- a bad call changes nothing ---------------------------------------------------------------

X_BAD = np.full((150, 4), np.nan)
BAD_CALLS = {
    "rows": lambda m, X, y: m.fit(X_BAD, y),
    "other classes": lambda m, X, y: m.partial_fit(X, y + 7),
    "told other classes": lambda m, X, y: m.partial_fit(X, y, classes=[7, 8]),
    "validation data": lambda m, X, y: m.fit(X, y % 2, validation_data=(X[:, :2], y)),
    "validation classes": lambda m, X, y: m.fit(X, y % 2, validation_data=(X, y)),
    "validation pair": lambda m, X, y: m.fit(X, y % 2, validation_data=X),
    "weights": lambda m, X, y: m.fit(X, y % 2, sample_weight=np.ones(3)),
    "parameter": lambda m, X, y: m.set_params(alpha=-1).fit(X, y),
    "too few to validate": lambda m, X, y: m.set_params(early_stopping=True).fit(X[50:55], y[:5]),
    "coefs_init": lambda m, X, y: m.set_params(coefs_init=3).fit(X[:, :2], y),
    "early stopping": lambda m, X, y: m.set_params(early_stopping=True).partial_fit(X, y),
    "other layers": lambda m, X, y: m.set_params(hidden_layer_sizes=3).partial_fit(X, y),
    "a batch of one": lambda m, X, y: m.set_params(batch_norm=True).fit(X[:1], y[:1]),
    "weights that cancel": lambda m, X, y: m.fit(X, y, (-1.0) ** np.arange(150)),
    "weights that cancel, partial": lambda m, X, y: m.partial_fit(X, y, (-1.0) ** np.arange(150), classes=[0, 1, 2]),
    "weights that cancel, L-BFGS": lambda m, X, y: m.set_params(solver="lbfgs").fit(X, y, (-1.0) ** np.arange(150)),
    "one row that weighs": lambda m, X, y: m.set_params(early_stopping=True).fit(X, y, np.arange(150) == 75),
}


@pytest.mark.parametrize("call", BAD_CALLS)
@pytest.mark.parametrize("fitted", [True, False])
def test_a_bad_call_changes_nothing(call, fitted):
    X, y = iris()
    model = MLPClassifier(**SETTINGS)
    if fitted:
        model.fit(X, y)
        proba = model.predict_proba(X)
    parameters = set(model.get_params())
    before = {name: value for name, value in vars(model).items() if name not in parameters}
    with pytest.raises((ValueError, TypeError)):
        BAD_CALLS[call](model, X, y)
    after = {name: value for name, value in vars(model).items() if name not in parameters}
    assert set(after) == set(before)
    assert all(after[name] is before[name] for name in before)
    if fitted:
        np.testing.assert_array_equal(model.predict_proba(X), proba)
        again = MLPClassifier(**SETTINGS).fit(X, y).partial_fit(X, y)
        model.set_params(**{**again.get_params()}).partial_fit(X, y)
        np.testing.assert_array_equal(model.coefs_[0], again.coefs_[0])


@pytest.mark.parametrize("row", range(12))
def test_a_part_of_the_rows_without_weight_is_refused(row):
    X, y = np.random.default_rng(0).random((12, 2)), np.arange(12) % 2
    model = MLPClassifier(early_stopping=True, validation_fraction=0.5, random_state=0)
    with pytest.raises(ValueError, match=r"weights of the (training|validation) rows .* got 0 over"):
        model.fit(X, y, sample_weight=np.arange(12) == row)
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("call", ["validation data", "too few to validate", "a batch of one", "one row that weighs"])
@pytest.mark.parametrize("random_state", [np.random.RandomState(0), None], ids=["own", "NumPy's"])
def test_a_bad_call_takes_back_what_it_drew(call, random_state):
    X, y = iris()
    model = MLPClassifier(**SETTINGS | {"random_state": random_state})
    stream = check_random_state(random_state)
    before = stream.get_state()
    with pytest.raises(ValueError):
        BAD_CALLS[call](model, X, y)
    assert all(map(np.array_equal, before, stream.get_state()))


def no_room(*args):
    raise MemoryError


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("lacking", ["tqdm", "memory"])
def test_what_is_lacking_for_a_training_changes_nothing(lacking, method, monkeypatch):
    X, y = iris()
    model = MLPClassifier(**SETTINGS).fit(X[:100], y[:100] + 1).set_params(progress=True)
    before, proba = dict(vars(model)), model.predict_proba(X)
    with monkeypatch.context() as patched, pytest.raises((ImportError, MemoryError)):
        if lacking == "tqdm":
            patched.setitem(sys.modules, "tqdm", None)
        else:
            patched.setattr(Solver, "plan", no_room)
        getattr(model, method)(X[:100], y[:100] + 1)
    assert all(vars(model)[name] is value for name, value in before.items())
    np.testing.assert_array_equal(model.predict_proba(X), proba)


def test_lbfgs_without_room_changes_nothing(monkeypatch):
    X, y = iris()
    model = MLPClassifier(**SETTINGS, solver="lbfgs").fit(X, y)
    before = dict(vars(model))
    monkeypatch.setattr(Solver, "plan", no_room)
    with pytest.raises(MemoryError):
        model.fit(X[:, :2], y % 2)
    assert all(vars(model)[name] is value for name, value in before.items())


def test_class_weights_are_those_of_all_classes_in_every_batch():
    X, y = iris()
    model = MLPClassifier(**SETTINGS, class_weight={2: 3.0})
    for rows in (slice(0, 10), slice(100, 110)):
        model.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
    same = MLPClassifier(**SETTINGS).partial_fit(X[:10], y[:10], classes=[0, 1, 2])
    same.partial_fit(X[100:110], y[100:110], sample_weight=np.full(10, 3.0))
    np.testing.assert_array_equal(model.coefs_[0], same.coefs_[0])


@pytest.mark.parametrize("bad", [{7: 1.0}, {0: "much"}, {0: np.inf}, [{0: 1}], {0: None}], ids=str)
def test_bad_class_weights_are_named(bad):
    with pytest.raises(ValueError, match="MLPClassifier expects class_weight"):
        MLPClassifier(**SETTINGS, class_weight=bad).fit(*iris())


@pytest.mark.parametrize("first, then", [("squared_error", "poisson"), ("poisson", "huber")])
def test_a_loss_of_another_output_does_not_go_on(first, then):
    X, y = iris()
    model = MLPRegressor(**SETTINGS, loss=first, warm_start=True).fit(X, y)
    predicted = model.predict(X)
    model.set_params(loss=then)
    for go_on in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=f"MLPRegressor expects a loss .* got '{then}'"):
            go_on(X, y)
    np.testing.assert_array_equal(model.predict(X), predicted)
    model.set_params(warm_start=False).fit(X, y)


def test_activations_changed_after_a_fit_have_to_fit_the_layers():
    X, y = iris()
    model = MLPClassifier(**SETTINGS).fit(X, y).set_params(activation=("relu", "tanh"))
    with pytest.raises(ValueError, match="activation for each of 1 hidden layer; got 2"):
        model.predict(X)


def test_from_sklearn_predicts_labels_sparse_where_they_were():
    X, y = iris()
    labels = sparse.csr_matrix(np.eye(3, dtype=int)[y])
    for target, kind in ((labels, sparse.csr_matrix), (labels.toarray(), np.ndarray)):
        theirs = neural_network.MLPClassifier(**SETTINGS).fit(X, target)
        assert type(theirs.predict(X)) is type(MLPClassifier.from_sklearn(theirs).predict(X)) is kind


def test_validation_data_are_named():
    X, y = iris()
    with pytest.raises(ValueError, match=r"MLPRegressor expects validation_data .* 2 outputs, not"):
        MLPRegressor(**SETTINGS).fit(X, 1.0 * y, validation_data=(X, np.c_[y, y]))
    for bad in ((X[:, :3], y), (X, y[:5]), (X, y + 30), (X_BAD, y)):
        with pytest.raises(ValueError, match="MLPClassifier expects validation_data of the train"):
            MLPClassifier(**SETTINGS).fit(X, y, validation_data=bad)
