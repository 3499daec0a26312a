"""Sparse text in fastbp's MLPClassifier and in scikit-learn's: ``python -m bench.sparse``.

CSR rows with 40 entries each, 5 classes, hidden layers (50,): 4000 rows of 20,000 words, and 1000
rows of 2^20 hashed features.  Both train with the same arrangement from the same random state, and
have to have the same first losses before anything is timed.  Each runs in processes of its own, in
turn, which tell the time of an epoch (or an iteration of L-BFGS) and the memory that `fit` took at
most.  ``--write`` stores both and puts the table into docs/coming-from-scikit-learn.md.
"""

import argparse
import statistics
import warnings

import numpy as np

from bench import ROOT, measure, memory, report

RESULTS = ROOT / "bench" / "results" / "sparse.json"
PAGE = ROOT / "docs" / "coming-from-scikit-learn.md"
MARKS = "<!-- sparse:begin -->", "<!-- sparse:end -->"
ENTRIES, CLASSES = 40, 5
#: Name: rows, features.
TEXTS = {"text": (4000, 20_000), "hashed": (1000, 2**20)}
SMALL = {"text": (400, 2000), "hashed": (100, 2**14)}
#: What the estimators are given beside the solver.
SOLVERS = {
    "sgd": {"learning_rate_init": 0.01, "momentum": 0.0},
    "sgd, momentum": {"learning_rate_init": 0.01, "momentum": 0.9},
    "adam": {"learning_rate_init": 0.001},
    "lbfgs": {},
}
EPOCHS = 3
#: Of the first loss.
TOLERANCE = 1e-3


def text(rows, features):
    """(X, y): words of a class are more frequent in its rows."""
    from scipy.sparse import csr_matrix

    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, rows)
    common = rng.integers(0, features, (rows, ENTRIES))
    own = common // CLASSES * CLASSES + y[:, None]  # one of the class's words
    words = np.where(rng.random(common.shape) < 0.3, own, common) % features
    numbers = rng.random(words.size, "f4") + 0.5
    X = csr_matrix((numbers, words.ravel(), np.arange(0, words.size + 1, ENTRIES)), (rows, features))
    X.sum_duplicates()
    return X, y


def classifier(library):
    if library == "fastbp":
        from fastbp.estimators import MLPClassifier
    else:
        from sklearn.neural_network import MLPClassifier
    return MLPClassifier


def prepared(library, solver, shape, epochs):
    """`fit` for so many epochs, which gives the losses and how many epochs there were."""
    measure.pin()
    warnings.simplefilter("ignore")  # that it did not converge
    X, y = text(*shape)
    settings = {
        "hidden_layer_sizes": (50,),
        "random_state": 0,
        "max_iter": epochs,
        "tol": 0.0,
        "n_iter_no_change": epochs + 1,
        "solver": solver.partition(",")[0],
    }
    settings |= SOLVERS[solver]
    small = text(50, 100)
    classifier(library)(**settings | {"max_iter": 1}).fit(*small)  # what is loaded late
    model = classifier(library)(**settings)

    def call():
        model.fit(X, y)
        first = model.loss_curve_[0] if hasattr(model, "loss_curve_") else model.loss_
        return float(first), model.n_iter_

    return call


LIBRARIES = ("fastbp", "scikit-learn")


def run(texts=TEXTS, solvers=tuple(SOLVERS), rounds=5, epochs=EPOCHS):
    """A row for each text and solver."""
    rows = []
    for name, shape in texts.items():
        for solver in solvers:
            rows.append(one(name, shape, solver, rounds, epochs))
            print("  ".join(cells(rows[-1])), flush=True)
    return rows


def one(name, shape, solver, rounds, epochs):
    """Seconds of an epoch and bytes, medians of `rounds` processes each."""
    require_alike(shape, solver)
    found = {library: [] for library in LIBRARIES}
    for _ in range(rounds):
        for library, taken in found.items():
            (_, n_iter), seconds, nbytes = memory.apart(prepared, library, solver, shape, epochs)
            taken.append((seconds / n_iter, nbytes))
    row = {"name": name, "shape": shape, "solver": solver}
    for library, taken in found.items():
        seconds, nbytes = map(statistics.median, zip(*taken, strict=True))
        row[library] = {"seconds": seconds, "bytes": nbytes}
    return row


def require_alike(shape, solver):
    """The losses of one epoch, in which both have taken the same rows and steps."""
    losses = [memory.apart(prepared, library, solver, shape, 1)[0][0] for library in LIBRARIES]
    if not np.isclose(*losses, rtol=TOLERANCE, atol=0):
        raise ArithmeticError(f"bench.sparse expects the same first loss of both by {solver}; got {losses}.")


# --- the table ------------------------------------------------------------------------------

HEADER = [
    "rows x features, solver",
    "epoch: fastbp",
    "scikit-learn",
    "ratio",
    "memory: fastbp",
    "scikit-learn",
    "of scikit-learn's",
]


def cells(row):
    ours, theirs = (row[library] for library in LIBRARIES)
    seconds = [measure.seconds_text(side["seconds"]) for side in (ours, theirs)]
    nbytes = [f"{side['bytes'] / 1e6:.0f} MB" for side in (ours, theirs)]
    return [
        "{:,} x {:,}".format(*row["shape"]) + f", {row['solver']}",
        *seconds,
        f"{theirs['seconds'] / ours['seconds']:.2f}",
        *nbytes,
        f"{ours['bytes'] / theirs['bytes']:.2f}",
    ]


def markdown(results):
    says = (
        f"### Sparse text\n\nCSR rows of float32 with {ENTRIES} entries, {CLASSES} classes, hidden "
        "layers (50,), the same arrangement and first losses. Measured on "
        f"{measure.described(results['machine'])}. Medians of processes in turn: an epoch, or an "
        "iteration of L-BFGS, and the memory that `fit` took at most beside the data."
    )
    return f"{says}\n\n{report.table(HEADER, map(cells, results['rows']))}"


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.sparse", description=__doc__)
    measure.add_options(parser, write=f"store it and put the table into {PAGE.name}")
    parser.add_argument(
        "--solvers",
        nargs="+",
        choices=tuple(SOLVERS),
        default=list(SOLVERS),
        help="L-BFGS on hashed features takes most of the time, and 17 GB",
    )
    options = measure.parsed(parser, arguments)
    import sklearn.neural_network  # noqa: F401  # to be described

    results = {"machine": measure.ready(write=options.write)}
    how = {"texts": SMALL, "rounds": 1, "epochs": 1} if options.quick else {}
    results["rows"] = run(solvers=options.solvers, **how)
    measure.print_table(HEADER, [cells(row) for row in results["rows"]])
    if options.write:
        measure.store(RESULTS, results)
        report.write(PAGE, markdown(results), *MARKS)


if __name__ == "__main__":
    main()
