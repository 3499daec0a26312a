"""Estimators on several ranks: one machine's numbers, whatever a parameter says."""

import pickle
import time

import numpy as np
import pytest
from ranks import on_ranks, results

pytest.importorskip("sklearn")
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from fastbp import RankError
from fastbp.estimators import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind.__module__}.{kind.__name__}") for kind in (ConvergenceWarning,)
]
RNG = np.random.default_rng(0)
X = RNG.standard_normal((203, 6))
SCORES = X @ RNG.standard_normal((6, 3))
LABELS = np.array(["a", "b", "c"])[SCORES.argmax(axis=1)]
NUMBERS = SCORES[:, 0] + 0.1 * RNG.standard_normal(203)
WEIGHTS = RNG.random(203)


def squares(y, outputs):
    """A loss of one's own."""
    return np.square(outputs - y).sum(axis=1) / 2, outputs - y


def shrink(model):
    model.coefs_[0] *= 0.9
    model.learning_rate_init *= 0.9
    return model.n_iter_ == 3


CLASSIFIERS = {
    "adam": {},
    "sgd": {"solver": "sgd"},
    "lbfgs": {"solver": "lbfgs"},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.5, "tol": 1},
    "early stopping": {"early_stopping": True},
    "a scorer": {"early_stopping": True, "scoring": "f1_macro"},
    "restored": {"restore_best": True},
    "dropout": {"dropout": 0.2},
    "balanced": {"class_weight": "balanced"},
    "class weights": {"class_weight": {"a": 2.0, "b": 1.0, "c": 0.5}},
    "smoothed": {"label_smoothing": 0.1},
    "callbacks": {"callbacks": [shrink]},
    "schedule": {"schedule": lambda epochs: 1 / (1 + epochs)},
    "not shuffled": {"shuffle": False},
    "time": {"max_seconds": 60.0},
    "threads": {"n_threads": 2},
}
REGRESSORS = {
    "squares": {},
    "lbfgs": {"solver": "lbfgs"},
    "early stopping": {"early_stopping": True},
    "huber": {"loss": "huber"},
    "quantiles": {"loss": "quantile", "quantile": [0.1, 0.9], "standardize": True},
    "gaussian": {"loss": "gaussian", "standardize": True},
    "own loss": {"loss": squares},
    "own loss by lbfgs": {"loss": squares, "solver": "lbfgs"},
    "standardised": {"standardize": True, "early_stopping": True},
    "standardised, lbfgs": {"standardize": True, "solver": "lbfgs"},
}
CASES = [(MLPClassifier, name, CLASSIFIERS[name]) for name in CLASSIFIERS]
CASES += [(MLPRegressor, name, REGRESSORS[name]) for name in REGRESSORS]


def made(kind, **parameters):
    return kind(hidden_layer_sizes=(8, 5), random_state=0, **{"max_iter": 6, "batch_size": 32} | parameters)


def targets_of(kind):
    return LABELS if kind is MLPClassifier else NUMBERS


def arrays_of(model):
    return [*model.coefs_, *model.intercepts_, *model.norms_]


def require_one_machines(models, one, tolerance=1e-9):
    """All ranks have the same bits, and one machine's numbers."""
    for model in models:
        for array, first in zip(arrays_of(model), arrays_of(models[0]), strict=True):
            assert np.array_equal(array, first)
        assert model.n_iter_ == one.n_iter_
        assert getattr(model, "loss_curve_", None) == getattr(models[0], "loss_curve_", None)
        assert getattr(model, "validation_scores_", None) == getattr(one, "validation_scores_", None)
    for array, expected in zip(arrays_of(models[0]), arrays_of(one), strict=True):
        np.testing.assert_allclose(array, expected, rtol=tolerance, atol=tolerance)
    losses = [getattr(model, "loss_", 0.0) for model in (*models, one)]
    assert len(set(losses[:-1])) == 1
    assert losses[0] == pytest.approx(losses[-1], rel=max(tolerance, 1e-9))


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(("kind", "name", "parameters"), CASES, ids=[f"{k.__name__}-{n}" for k, n, _ in CASES])
def test_ranks_have_one_machines_numbers(kind, name, parameters, size):
    y = targets_of(kind)
    one = made(kind, **parameters).fit(X, y)
    models = results(size, lambda comm: made(kind, **parameters).fit(X, y, comm=comm))
    require_one_machines(models, one)


@pytest.mark.parametrize("data", ["float32", "uint8", "csr", "weights", "validation"])
def test_every_kind_of_rows(data):
    x, keywords, tolerance = X, {}, 1e-9
    if data in ("float32", "uint8"):
        x, tolerance = (np.abs(X) * 50).astype(data), 1e-5
    elif data == "csr":
        x = sp.csr_matrix(X * (np.abs(X) > 0.5))
    elif data == "weights":
        keywords = {"sample_weight": WEIGHTS}
    else:
        keywords = {"X_val": X[:50], "y_val": LABELS[:50], "sample_weight_val": WEIGHTS[:50]}
    one = made(MLPClassifier).fit(x, LABELS, **keywords)
    models = results(3, lambda comm: made(MLPClassifier).fit(x, LABELS, comm=comm, **keywords))
    require_one_machines(models, one, tolerance)


@pytest.mark.parametrize("labels", ["two", "several"])
def test_one_output_and_several_labels(labels):
    y = LABELS == "a" if labels == "two" else (SCORES > 0).astype(int)
    for parameters in ({}, {"class_weight": "balanced"}, {"early_stopping": True}):
        one = made(MLPClassifier, **parameters).fit(X, y)
        models = results(2, lambda comm, p=parameters: made(MLPClassifier, **p).fit(X, y, comm=comm))
        require_one_machines(models, one)


def test_partial_fit_goes_on_on_all_ranks_and_alone():
    def train(comm=None):
        model = made(MLPClassifier)
        for k in range(4):
            rows = slice(50 * k, 50 * k + 50)
            model.partial_fit(X[rows], LABELS[rows], classes=["a", "b", "c"], comm=comm)
        return model

    one, models = train(), results(3, train)
    require_one_machines(models, one)
    models[0].partial_fit(X[:50], LABELS[:50])  # no other rank is asked
    one.partial_fit(X[:50], LABELS[:50])
    require_one_machines(models[:1], one)
    pickle.loads(pickle.dumps(models[1])).partial_fit(X[:50], LABELS[:50])


def test_warm_start_begins_with_the_first_ranks_weights():
    def train(comm):
        model = made(MLPClassifier, warm_start=True).fit(X, LABELS)
        model.coefs_[0] += comm.rank
        return model.fit(X, LABELS, comm=comm)

    one = made(MLPClassifier, warm_start=True).fit(X, LABELS).fit(X, LABELS)
    require_one_machines(results(2, train), one)


def test_first_rank_draws_where_nothing_is_said():
    models = results(3, lambda comm: made(MLPClassifier).set_params(random_state=None).fit(X, LABELS, comm=comm))
    require_one_machines(models, models[0])


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (MLPClassifier, {}),
        (MLPClassifier, {"early_stopping": True}),
        (MLPClassifier, {"early_stopping": True, "scoring": "f1_macro"}),
        (MLPClassifier, {"class_weight": "balanced"}),
        (MLPClassifier, {"solver": "lbfgs"}),
        (MLPClassifier, {"batch_norm": True}),
        (MLPRegressor, {"early_stopping": True}),
        (MLPRegressor, {"loss": squares}),
    ],
)
def test_rows_of_their_own(kind, parameters):
    """Uneven ones, none too, sorted by class, so that no rank sees all of them."""
    y, edges = targets_of(kind), (0, 50, 50, 203)
    order = np.argsort(y)
    if "early_stopping" in parameters:  # whose held-out rows would lack what was trained
        order = np.arange(203)

    def train(comm):
        rows = order[edges[comm.rank] : edges[comm.rank + 1]]
        return made(kind, **parameters).fit(X[rows], y[rows], comm=comm, rows="own")

    models = results(3, train)
    require_one_machines(models, models[0])
    if kind is MLPClassifier:
        assert list(models[1].classes_) == ["a", "b", "c"]


def test_rows_of_their_own_by_lbfgs_are_one_machines():
    edges = (0, 50, 50, 203)

    def train(comm):
        rows = slice(edges[comm.rank], edges[comm.rank + 1])
        return made(MLPRegressor, solver="lbfgs").fit(X[rows], NUMBERS[rows], comm=comm, rows="own")

    require_one_machines(results(3, train), made(MLPRegressor, solver="lbfgs").fit(X, NUMBERS))


@pytest.mark.parametrize("rows", ["dense", "csr"])
@pytest.mark.parametrize("how", ["median", "mean"])
def test_rows_of_their_own_are_prepared_as_one_machines(rows, how):
    holes = X.copy()
    holes[::7, 2] = holes[60::9, 4] = np.nan
    if rows == "csr":
        holes = sp.csr_matrix(X * (np.abs(X) > 0.5))
    parameters = {"standardize": True, "missing": how, "add_indicator": True, "solver": "lbfgs"}
    edges = (0, 50, 50, 203)

    def train(comm):
        own = slice(edges[comm.rank], edges[comm.rank + 1])
        model = made(MLPRegressor, **parameters)
        return model.fit(holes[own], NUMBERS[own], WEIGHTS[own], comm=comm, rows="own")

    one = made(MLPRegressor, **parameters).fit(holes, NUMBERS, WEIGHTS)
    models = results(3, train)
    require_one_machines(models, one)
    for name in ("x_fill_", "x_marked_", "x_mean_", "x_scale_", "y_mean_", "y_scale_"):
        np.testing.assert_allclose(getattr(models[2], name), getattr(one, name), rtol=1e-12)


def test_averaged_weights():
    models = results(2, lambda comm: made(MLPClassifier).fit(X, LABELS, comm=comm, average_every=3))
    require_one_machines(models, models[0])
    one = made(MLPClassifier).fit(X, LABELS)
    assert models[0].loss_ == pytest.approx(one.loss_, rel=0.05)


def test_normalisation_takes_a_ranks_rows():
    models = results(2, lambda comm: made(MLPClassifier, batch_norm=True).fit(X, LABELS, comm=comm))
    require_one_machines(models, models[0])
    assert len(models[0].norms_) == 2


FAULTS = {
    "another alpha": lambda comm: made(MLPClassifier, alpha=0.1 + (comm.rank == 1)).fit(X, LABELS, comm=comm),
    "another width": lambda comm: made(MLPClassifier).fit(X[:, : 6 - (comm.rank == 1)], LABELS, comm=comm),
    "other rows": lambda comm: made(MLPClassifier).fit(X[comm.rank == 1 :], LABELS[comm.rank == 1 :], comm=comm),
    "another dtype": lambda comm: made(MLPClassifier).fit(
        X.astype("f4" if comm.rank == 1 else "f8"), LABELS, comm=comm
    ),
    "another class": lambda comm: made(MLPClassifier).fit(
        X, np.where(LABELS == "a", "d" if comm.rank == 1 else "a", LABELS), comm=comm
    ),
    "another seed": lambda comm: (
        made(MLPClassifier).set_params(random_state=int(comm.rank == 1)).fit(X, LABELS, comm=comm)
    ),
    "no number": lambda comm: made(MLPClassifier).fit(np.where(comm.rank == 1, np.nan, X), LABELS, comm=comm),
    "a bad parameter": lambda comm: made(MLPClassifier, alpha=-(comm.rank == 1)).fit(X, LABELS, comm=comm),
    "a loss that fails": lambda comm: made(MLPRegressor, loss=failing if comm.rank == 1 else squares).fit(
        X, NUMBERS, comm=comm
    ),
    "average_every": lambda comm: made(MLPClassifier, solver="lbfgs").fit(
        X, LABELS, comm=comm, average_every=1 + (comm.rank == 1)
    ),
}


def failing(y, outputs):
    raise OSError("no such loss")


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_end_all_ranks_and_change_nothing(fault):
    found = on_ranks(3, FAULTS[fault])
    assert isinstance(found[1], ValueError | TypeError), found
    for other in (found[0], found[2]):
        assert isinstance(other, RankError)
        assert "rank 1 failed" in str(other)


def test_failing_callback_is_told_to_the_others():
    def fail(model):
        raise OSError("disk full")

    found = on_ranks(2, lambda comm: made(MLPClassifier, callbacks=[fail]).fit(X, LABELS, comm=comm))
    assert isinstance(found[0], OSError)
    assert str(found[1]) == "MLPClassifier ended on all 2 ranks, as rank 0 failed: OSError: disk full."


def test_interrupt_keeps_the_weights_on_all_ranks():
    def interrupt(model):
        if model.n_iter_ == 2:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted"):
        models = results(2, lambda comm: made(MLPClassifier, callbacks=[interrupt]).fit(X, LABELS, comm=comm))
    assert [model.n_iter_ for model in models] == [2, 2]
    require_one_machines(models, models[0])


def test_only_the_first_rank_prints(capsys):
    results(3, lambda comm: made(MLPClassifier, verbose=True).fit(X, LABELS, comm=comm))
    assert capsys.readouterr().out.count("Iteration 1,") == 1


def test_diverging_training_is_alike():
    parameters = {"solver": "sgd", "learning_rate_init": 1e30, "restore_best": True}
    one = made(MLPRegressor, **parameters).fit(X, NUMBERS)
    models = results(2, lambda comm: made(MLPRegressor, **parameters).fit(X, NUMBERS, comm=comm))
    require_one_machines(models, one)


# --- what ranks would once have been apart by ------------------------------------------------


def small(kind=MLPRegressor, **parameters):
    return made(kind, **{"max_iter": 4, "batch_size": 4} | parameters)


def test_a_larger_part_on_one_rank_makes_no_other_meeting():
    def train(comm):
        model = small(MLPRegressor)
        for n in (4, 5):  # of which the second rank alone has more in the second
            model.partial_fit(X[:n], NUMBERS[:n], comm=comm)
        return model

    require_one_machines(results(2, train), train(None))


def test_a_rank_without_rows_has_weights_and_validation_rows_too():
    def train(comm):
        rows = slice(0, 40) if comm.rank == 0 else slice(0, 0)
        held_out = {"X_val": X[rows], "y_val": NUMBERS[rows], "sample_weight_val": WEIGHTS[rows]}
        model = small(MLPRegressor)
        return model.fit(X[rows], NUMBERS[rows], WEIGHTS[rows], comm=comm, rows="own", **held_out)

    models = results(2, train)
    require_one_machines(models, models[0])


@pytest.mark.parametrize(
    "other",
    [
        {"rows": "own"},
        {"average_every": 2},
        {"sample_weight": WEIGHTS},
        {"X_val": X, "y_val": NUMBERS},
        {"X_val": X, "y_val": NUMBERS, "sample_weight_val": WEIGHTS},
    ],
    ids=lambda other: " ".join(other),
)
def test_another_call_on_a_rank_is_refused(other):
    base = {"X_val": X, "y_val": NUMBERS} if "sample_weight_val" in other else {}
    found = on_ranks(2, lambda comm: small().fit(X, NUMBERS, comm=comm, **(other if comm.rank else base)))
    assert isinstance(found[0], RankError) and isinstance(found[1], ValueError), found
    assert "rank 1 failed" in str(found[0])


def test_fit_on_one_rank_and_partial_fit_on_another():
    found = on_ranks(2, lambda comm: (small().fit if comm.rank == 0 else small().partial_fit)(X, NUMBERS, comm=comm))
    assert isinstance(found[1], ValueError) and "partial_fit of rank 0" in str(found[1])


def test_interrupt_of_lbfgs_ends_all_ranks():
    def interrupt(model):
        raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted"):
        models = results(2, lambda comm: small(solver="lbfgs", callbacks=[interrupt]).fit(X, NUMBERS, comm=comm))
    assert all(np.isfinite(array).all() for model in models for array in arrays_of(model))


@pytest.mark.parametrize("name", ["scoring", "schedule"])
def test_callbacks_of_ranks_cannot_change_functions(name):
    def change(model):
        setattr(model, name, "r2" if name == "scoring" else lambda epochs: 0.5)

    found = on_ranks(
        2, lambda comm: small(callbacks=[change], early_stopping=name == "scoring").fit(X, NUMBERS, comm=comm)
    )
    assert isinstance(found[0], ValueError) and f"leave {name} as it is" in str(found[0])
    assert isinstance(found[1], RankError)


def test_a_callback_that_needs_a_state_on_all_ranks():
    def change(model):
        model.momentum = 0.9

    def train(comm=None):
        return small(solver="sgd", momentum=0, callbacks=[change]).fit(X, NUMBERS, comm=comm)

    require_one_machines(results(2, train), train())


@pytest.mark.parametrize("loss", ["squared_error", squares])
@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_weights_of_nothing_and_of_less(solver, loss):
    weights = np.ones(203)
    weights[:100] = 0  # all of the first rank's
    if solver == "sgd":
        weights[100:140:2] = -1  # parts whose sums are 0

    def train(comm=None):
        model = small(solver=solver, loss=loss, shuffle=False, learning_rate_init=1e-3)
        return model.fit(X, NUMBERS, weights, comm=comm)

    require_one_machines(results(2, train), train(), 1e-7)


def test_time_over_amid_an_epoch_of_own_rows():
    def ones(y, outputs):
        time.sleep(0.05)
        return np.ones(len(y)), np.zeros_like(outputs)

    def train(comm):
        rows = slice(0, 6) if comm.rank == 0 else slice(6, 9)
        model = small(loss=ones, max_seconds=0.12, batch_size=2, alpha=0)
        return model.fit(X[rows], NUMBERS[rows], comm=comm, rows="own")

    for model in results(2, train):
        assert model.loss_ == 1.0


def test_averaged_trainings_that_diverge_keep_the_best():
    parameters = {"solver": "sgd", "learning_rate_init": 1e60, "restore_best": True}
    models = results(2, lambda comm: small(**parameters).fit(X, NUMBERS, comm=comm, average_every=2))
    require_one_machines(models, models[0])
    assert all(np.isfinite(array).all() for array in arrays_of(models[0]))


def test_an_update_that_is_not_finite_is_told_alike():
    found = on_ranks(
        2, lambda comm: small(loss=squares, solver="sgd", learning_rate_init=1e250).fit(X, NUMBERS, comm=comm)
    )
    with pytest.raises(FloatingPointError):
        small(loss=squares, solver="sgd", learning_rate_init=1e250).fit(X, NUMBERS)
    assert all(isinstance(error, FloatingPointError) for error in found), found
