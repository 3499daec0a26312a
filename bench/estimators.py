"""fastbp's estimators beside scikit-learn's: ``python -m bench.estimators``.

Speed: whole calls of `fit` on MNIST and digits, of `predict` and `partial_fit` for few rows, and
a grid search over two processes; medians of runs in turn.  Quality: the mean test score over
seeds, for every data set and solver, at equal settings.  ``--write`` stores both in
bench/results and puts the tables into docs/coming-from-scikit-learn.md.
"""

import argparse
import json
import os
import statistics
import time
import warnings
from functools import partial

import numpy as np
import sklearn
from sklearn import datasets, neural_network
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.preprocessing import StandardScaler

from bench import ROOT, fit, measure, report
from fastbp import estimators

RESULTS = ROOT / "bench" / "results" / "estimators.json"
PAGE = ROOT / "docs" / "coming-from-scikit-learn.md"
BEGIN, END = "<!-- estimators:begin -->", "<!-- estimators:end -->"
LIBRARIES = {"fastbp": estimators, "scikit-learn": neural_network}
SOLVERS = ("sgd", "adam", "lbfgs")
SEEDS = 5
EPOCHS = 4  # of MNIST

# --- speed ----------------------------------------------------------------------------------


def in_turn(functions, rounds):
    """Median seconds of one call of each, a round of all after the other; for long calls."""
    seconds = []
    for _ in range(rounds):
        taken = []
        for function in functions:
            start = time.perf_counter()
            function()
            taken.append(time.perf_counter() - start)
        seconds.append(taken)
    return [statistics.median(column) for column in zip(*seconds, strict=True)]


def row(name, pair):
    """A row of the table: seconds of both."""
    return {"name": name, **dict(zip(LIBRARIES, pair, strict=True))}


def fits(X, y, rounds, **settings):
    """Seconds of `fit` of both classifiers."""
    models = [library.MLPClassifier(random_state=0, **settings) for library in LIBRARIES.values()]
    return in_turn([partial(model.fit, X, y) for model in models], rounds)


def mnist_rows(rounds, quick):
    (x, t), _ = fit.data()
    x, t = (x[:2000], t[:2000]) if quick else (x, t)
    rows = []
    for hidden in ((50,), (512, 256)):
        for dtype in ("float32", "float64"):
            pair = fits(
                x.astype(dtype),
                t,
                rounds,
                hidden_layer_sizes=hidden,
                solver="sgd",
                batch_size=100,
                learning_rate_init=0.1,
                max_iter=EPOCHS,
            )
            name = f"MNIST, {hidden}, sgd, batch 100, {dtype}: fit, {EPOCHS} epochs"
            rows.append(row(name, pair))
    return rows


def digits_rows(rounds, quick):
    X, y = datasets.load_digits(return_X_y=True)
    settings = {"max_iter": 5} if quick else {}
    rows = [row("digits, the defaults, float64: fit", fits(X / 16, y, rounds, **settings))]
    how = measure.repetitions(quick)
    models = [library.MLPClassifier(max_iter=10, random_state=0).fit(X / 16, y) for library in LIBRARIES.values()]
    calls = {
        "predict, 1 row": lambda m: m.predict(X[:1]),
        "predict_proba, 1 row": lambda m: m.predict_proba(X[:1]),
        "predict, 1797 rows": lambda m: m.predict(X),
        "partial_fit, 1 row": lambda m: m.partial_fit(X[:1], y[:1]),
        "partial_fit, 32 rows": lambda m: m.partial_fit(X[:32], y[:32]),
    }
    for name, call in calls.items():
        pair = measure.alternate(*[partial(call, model) for model in models], **how)
        rows.append(row(f"digits, {name}", pair))
    return rows


def grid_row(rounds, quick):
    """24 fits over 2 processes, which share the cores that this one was started on."""
    X, y = datasets.load_digits(return_X_y=True)
    grid = {"alpha": [1e-4, 1e-2], "hidden_layer_sizes": [(50,), (100,)], "learning_rate_init": [1e-3, 1e-2]}
    searches = [
        GridSearchCV(library.MLPClassifier(random_state=0, max_iter=3 if quick else 50), grid, cv=3, n_jobs=2)
        for library in LIBRARIES.values()
    ]
    for search in searches:  # starts the processes, which are kept
        search.fit(X[:200] / 16, y[:200])
    name = f"digits, grid search of 24 fits, 2 processes on {len(os.sched_getaffinity(0))} core(s)"
    return row(name, in_turn([partial(search.fit, X / 16, y) for search in searches], rounds))


def speed(rounds, quick, cores):
    rows = mnist_rows(rounds, quick) + digits_rows(rounds, quick)
    pinned = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        return [*rows, grid_row(rounds, quick)]
    finally:
        os.sched_setaffinity(0, pinned)


# --- quality --------------------------------------------------------------------------------


def data_sets():
    """(name, class, X, y) of bundled and generated data."""
    load = {"return_X_y": True}
    return [
        ("iris", "MLPClassifier", *datasets.load_iris(**load)),
        ("wine", "MLPClassifier", *datasets.load_wine(**load)),
        ("breast cancer", "MLPClassifier", *datasets.load_breast_cancer(**load)),
        ("digits", "MLPClassifier", *datasets.load_digits(**load)),
        ("moons", "MLPClassifier", *datasets.make_moons(1000, noise=0.25, random_state=0)),
        (
            "clusters",
            "MLPClassifier",
            *datasets.make_classification(1500, 20, n_informative=10, n_classes=4, random_state=0),
        ),
        ("labels", "MLPClassifier", *datasets.make_multilabel_classification(1000, 20, n_classes=4, random_state=0)),
        ("diabetes", "MLPRegressor", *datasets.load_diabetes(**load)),
        ("friedman", "MLPRegressor", *datasets.make_friedman1(1000, noise=1.0, random_state=0)),
        ("linear", "MLPRegressor", *datasets.make_regression(800, 15, n_targets=2, noise=20.0, random_state=0)),
    ]


def scores(kind, solver, X, y, seed):
    """The test score of each library's estimator."""
    X, X_test, y, y_test = train_test_split(X, y, random_state=seed)
    scaler = StandardScaler().fit(X)
    if kind == "MLPRegressor":
        mean, deviation = y.mean(axis=0), y.std(axis=0)
        y, y_test = (y - mean) / deviation, (y_test - mean) / deviation
    settings = {"sgd": {"learning_rate_init": 0.01}, "adam": {}, "lbfgs": {"alpha": 10.0}}[solver]
    found = []
    for library in LIBRARIES.values():
        model = getattr(library, kind)(
            hidden_layer_sizes=(50,), solver=solver, random_state=seed, max_iter=150, **settings
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(scaler.transform(X), y)
        found.append(float(model.score(scaler.transform(X_test), y_test)))
    return found


def quality(quick):
    rows = []
    for name, kind, X, y in data_sets()[: 2 if quick else None]:
        for solver in SOLVERS:
            found = [scores(kind, solver, X, y, seed) for seed in range(1 if quick else SEEDS)]
            means = [float(np.mean(column)) for column in zip(*found, strict=True)]
            rows.append({"name": name, "solver": solver, **dict(zip(LIBRARIES, means, strict=True))})
    return rows


def difference(row):
    """How far fastbp's mean score lies from scikit-learn's, as a share of it."""
    return row["fastbp"] / row["scikit-learn"] - 1


# --- tables ---------------------------------------------------------------------------------


def speed_cells(row):
    ratio = row["scikit-learn"] / row["fastbp"]
    seconds = [measure.seconds_text(row[library]) for library in LIBRARIES]
    return [row["name"], *seconds, f"{ratio:.1f}"]


def quality_cells(row):
    means = [f"{row[library]:.4f}" for library in LIBRARIES]
    return [f"{row['name']}, {row['solver']}", *means, f"{100 * difference(row):+.2f} %"]


SPEED_HEADER = ["", *LIBRARIES, "ratio"]
QUALITY_HEADER = ["data, solver", *LIBRARIES, "difference"]


def page_text(results):
    """What stands between the markers of the page."""
    furthest = max(abs(difference(row)) for row in results["quality"])
    return "\n\n".join(
        [
            f"Measured on {measure.described(results['machine'])}. Medians of runs in turn; the "
            "last row takes two processes of one thread each.",
            report.table(SPEED_HEADER, map(speed_cells, results["speed"])),
            f"Mean test scores of {SEEDS} seeds at equal settings; the largest difference is {100 * furthest:.2f} %.",
            report.table(QUALITY_HEADER, map(quality_cells, results["quality"])),
        ]
    )


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.estimators", description=__doc__)
    parser.add_argument("--only", choices=("speed", "quality"))
    parser.add_argument("--rounds", type=int, default=3, help="runs of each long call")
    measure.add_options(parser, write=f"store the results and put them into {PAGE.name}")
    options = measure.parsed(parser, arguments)
    if options.write and options.only:
        parser.error("--write expects both parts, of one run; got --only.")
    cores = os.sched_getaffinity(0)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results["machine"] = measure.ready(write=options.write)
    warnings.filterwarnings("ignore", category=sklearn.exceptions.ConvergenceWarning)
    os.environ["PYTHONWARNINGS"] = "ignore"  # of the grid search's processes
    if options.only != "quality":
        rounds = 1 if options.quick else options.rounds
        results["speed"] = speed(rounds, options.quick, cores)
        measure.print_table(SPEED_HEADER, list(map(speed_cells, results["speed"])))
    if options.only != "speed":
        results["quality"] = quality(options.quick)
        measure.print_table(QUALITY_HEADER, list(map(quality_cells, results["quality"])))
    if options.write:
        measure.store(RESULTS, results)
        report.write(PAGE, page_text(results), BEGIN, END)


if __name__ == "__main__":
    main()
