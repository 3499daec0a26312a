"""Sweeps over estimators: the same numbers on all of joblib's back ends, few threads, few bytes."""

import functools
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp import threads

pytest.importorskip("sklearn")
import joblib
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_score

from fastbp.estimators import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # of networks that are not done, and of the back ends
    pytest.mark.skipif(os.name == "nt", reason="workers are started by fork"),
]
JOBS = 2
RNG = np.random.default_rng(0)
X = RNG.standard_normal((240, 12))
Y = RNG.integers(0, 3, 240)
CLASSIFIER = MLPClassifier((10,), max_iter=4, random_state=0)
REGRESSOR = MLPRegressor(hidden_layer_sizes=(6, 5), max_iter=3, random_state=1, early_stopping=True, dropout=0.1)
#: Whose steps are worth several threads, but for what it says.
LARGE = MLPClassifier((600, 600), max_iter=1, batch_size=120, random_state=2, n_threads=1)


def searched(search, t):
    search.fit(X, t)
    found = search.best_estimator_.coefs_
    return [search.cv_results_["mean_test_score"], search.cv_results_["std_test_score"], *found]


def grid():
    return searched(GridSearchCV(CLASSIFIER, {"alpha": [0.1, 1e-4], "solver": ["adam", "lbfgs"]}, cv=2), Y)


def halving():
    grid = {"hidden_layer_sizes": [(3,), (5,), (4, 4), (9,)], "solver": ["sgd", "adam"]}
    return searched(HalvingGridSearchCV(REGRESSOR, grid, cv=2, random_state=0, min_resources=60), X @ np.arange(12.0))


def cross():
    return [cross_val_score(CLASSIFIER, X, Y, cv=4), cross_val_score(REGRESSOR, X, X[:, 0] - X[:, 1], cv=3)]


def large():
    return [cross_val_score(LARGE, X, Y, cv=2)]


def study():
    """Trials in turn, whose folds are the back end's."""
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=3)
    return [np.array([trial.value for trial in study.trials])]


def objective(trial):
    options = {
        "alpha": trial.suggest_float("alpha", 1e-6, 1, log=True),
        "hidden_layer_sizes": (trial.suggest_int("width", 3, 20),),
    }
    return cross_val_score(clone(CLASSIFIER).set_params(**options), X, Y, cv=2).mean()


SWEEPS = {sweep.__name__: sweep for sweep in (grid, halving, cross, large, study)}


def in_bytes(sweep):
    return [np.asarray(values).tobytes() for values in SWEEPS[sweep]()]


@functools.cache
def alone(sweep):
    with joblib.parallel_config(n_jobs=1):
        return in_bytes(sweep)


@pytest.fixture(scope="module", autouse=True)
def importable():
    """Workers find the fastbp under test."""
    with pytest.MonkeyPatch.context() as patch:
        home = str(Path(fastbp.__file__).resolve().parents[1])
        patch.setenv("PYTHONPATH", home, prepend=os.pathsep)
        patch.delenv("OMP_NUM_THREADS", raising=False)
        yield


@pytest.fixture(scope="module")
def dask():
    distributed = pytest.importorskip("dask.distributed")
    cluster = distributed.LocalCluster(n_workers=JOBS, threads_per_worker=1, dashboard_address=None, silence_logs=50)
    with cluster, distributed.Client(cluster, timeout=60):
        yield


@pytest.fixture(scope="module")
def ray():
    pytest.importorskip("ray")
    import ray
    from ray.util.joblib import register_ray

    ray.init(num_cpus=JOBS, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    register_ray()
    yield
    ray.shutdown()


@pytest.fixture(scope="module", params=["loky", "threading", "dask", pytest.param("ray", marks=pytest.mark.slow)])
def backend(request):
    if request.param in ("dask", "ray"):
        request.getfixturevalue(request.param)
    return request.param


@pytest.mark.parametrize("sweep", SWEEPS)
def test_scores_are_those_of_one_job_to_the_bit(sweep, backend):
    with joblib.parallel_config(backend=backend, n_jobs=JOBS):
        assert in_bytes(sweep) == alone(sweep)


def test_trials_in_threads_give_the_scores_of_their_parameters():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=6, n_jobs=3)
    assert len(study.trials) == 6
    for trial in study.trials:
        assert trial.value == objective(optuna.trial.FixedTrial(trial.params))


def test_workers_take_their_share_of_the_cores(backend):
    """Of joblib's threads, which share this process, each step may take all cores; see docs/sweeps.md."""
    with joblib.parallel_config(backend=backend, n_jobs=JOBS):
        taken = joblib.Parallel()(joblib.delayed(threads.threads_for)(1e12) for _ in range(JOBS))
        assert joblib.Parallel()([joblib.delayed(threads.threads_for)(1e12, 1)] * JOBS) == [1] * JOBS
    cores = threads.available_threads()
    assert taken == [cores] * JOBS if backend == "threading" else sum(taken) <= max(JOBS, cores)


# --- bytes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_an_estimator_that_is_not_fitted_is_a_short_pickle(kind):
    assert len(pickle.dumps(kind(hidden_layer_sizes=(100, 50), max_iter=7))) < 1500


@pytest.mark.parametrize("solver, states", [("lbfgs", 0), ("sgd", 1), ("adam", 2)])
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_fitted_pickle_has_weights_and_what_the_solver_goes_on_from(kind, solver, states):
    x = np.repeat(X, 20, axis=0)
    model = kind(hidden_layer_sizes=(300,), solver=solver, max_iter=3, random_state=0).fit(x, np.repeat(Y, 20))
    weights = sum(array.nbytes for array in (*model.coefs_, *model.intercepts_))
    assert len(pickle.dumps(model)) < (1 + states) * weights + 3000


def fit_and_score(model, x, t):
    """What a worker is given, and the most bytes that it had besides, for each byte of x."""
    import tracemalloc
    import warnings

    warnings.simplefilter("ignore")
    model.fit(x[:2000], t[:2000])  # which imports
    tracemalloc.start()
    try:
        model.fit(x, t)
        model.score(x, t)
        return type(x).__name__, x.flags.writeable, tracemalloc.get_traced_memory()[1] / x.nbytes
    finally:
        tracemalloc.stop()


fit_and_score.__module__ = "__main__"  # sent as it is: workers do not find this module


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_data_are_sent_once_and_taken_as_they_lie(dtype):
    """A worker maps joblib's file of the rows into its memory, and the training reads it there."""
    x, t = RNG.integers(0, 9, (40_000, 100)).astype(dtype), RNG.integers(0, 3, 40_000)
    options = {"hidden_layer_sizes": (8,), "batch_size": 200, "max_iter": 1, "random_state": 0}
    with joblib.parallel_config(backend="loky", n_jobs=JOBS):
        found = joblib.Parallel()(
            joblib.delayed(fit_and_score)(kind(**options), x, t) for kind in (MLPClassifier, MLPRegressor)
        )
    for kind, writeable, most in found:
        # Targets, their order, outputs and rows that are looked at take some numbers a row.
        assert kind == "memmap" and not writeable and most * x.itemsize < 1


def test_workers_take_the_threads_that_joblib_gives_them():
    """Last, as loky starts other workers for it."""
    cores = threads.available_threads()
    with joblib.parallel_config(backend="loky", n_jobs=JOBS, inner_max_num_threads=2):
        taken = joblib.Parallel()(joblib.delayed(threads.threads_for)(1e12) for _ in range(JOBS))
    assert taken == [min(2, cores)] * JOBS
