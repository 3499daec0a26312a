"""Tables split into training and test rows, standardised."""

from typing import NamedTuple

import numpy as np

from fastbp import checks
from fastbp.tables.reading import Table

__all__ = ["Prepared", "prepare"]

TASKS = ("classification", "regression")
TEST_SHARE = 0.2
MAX_INTEGER_CLASSES = 20  # more different integers are amounts, not classes


class Prepared(NamedTuple):
    """Rows to train and to test with, as `prepare` returns them.

    Attributes
    ----------
    train, test : tuple of numpy.ndarray
        x (n_rows, n_features), and t: class indices (n_rows,), or for a regression
        standardised numbers (n_rows, 1).
    classes : numpy.ndarray or None
        What the indices stand for; None for a regression.
    mean, scale : float
        ``t * scale + mean`` are a regression's targets as they were.
    """

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    classes: np.ndarray | None
    mean: float = 0.0
    scale: float = 1.0


def prepare(table, task=None, seed=0):
    """Split a table into four fifths to train with and one fifth to test with, standardised.

    Features, and the targets of a regression, get the mean 0 and the standard deviation 1 of
    the training rows; features that are constant there become 0.

    Parameters
    ----------
    table : Table
    task : {"classification", "regression"}, optional
        By default texts, and integers of at most 20 different values that appear three times or
        more on average, are classes.
    seed : int
        Of the split, which keeps the shares of the classes.

    Returns
    -------
    Prepared

    Raises
    ------
    ValueError
        For a target that is the same everywhere, texts in a regression's, too few rows, or
        features that are NaN or inf.
    TypeError
        For what is no Table, or no seed.

    Examples
    --------
    >>> x = np.arange(20.0).reshape(10, 2)
    >>> table = Table(x, ["a", "b"], np.array([0, 1] * 5), "column 'odd' of numbers.csv")
    >>> data = prepare(table)
    >>> data.classes, data.train[0].shape, sorted(data.test[1].tolist())
    (array([0, 1]), (8, 2), [0, 1])
    >>> bool(abs(data.train[0].mean(axis=0)).max() < 1e-12)
    True
    """
    checks.instance("prepare", "table", table, Table, "a Table, as read_csv returns it")
    checks.integer("prepare", "seed", seed, 0, checks.MOST_SEED)
    x = checks.floats("prepare", "table.x", table.x, checks.FLOAT64)
    if not np.isfinite(x).all():
        raise ValueError("prepare expects table.x of finite numbers; got NaN or inf.")
    values, classes_of_rows = np.unique(table.target, return_inverse=True)
    texts = table.target.dtype == object
    if task is None:
        few = min(MAX_INTEGER_CLASSES, max(1, len(table.target) // 3))
        classifies = texts or (table.target.dtype.kind == "i" and len(values) <= few)
        task = TASKS[0] if classifies else TASKS[1]
    checks.choice("prepare", "task", task, TASKS)
    if len(values) == 1:
        what = "two classes" if task == "classification" else "two different numbers"
        raise ValueError(
            f"{task} expects at least {what} in {table.column}; got only {checks.shown(values.tolist()[0])}."
        )
    if task == "classification":
        train, test = _split(table.column, classes_of_rows, seed)
        t, mean, scale = classes_of_rows.astype(np.int64), 0.0, 1.0
    elif texts:
        raise ValueError(f"regression expects numbers in {table.column}; got {checks.shown(table.target[0])}.")
    else:
        train, test = _split(table.column, np.zeros(len(table.x), int), seed)
        t = table.target.astype(np.float64)[:, np.newaxis]
        power = int(np.frexp(np.abs(t).max())[1])  # of 2, so that squares lose and overflow nothing
        t = np.ldexp(t, -power)
        mean = t[train].mean()
        deviation = t[train].std() or np.ldexp(1.0, -power)
        t = (t - mean) / deviation
        mean, scale = float(np.ldexp(mean, power)), float(np.ldexp(deviation, power))
    x = _standardised(x, train)
    classes = values if task == "classification" else None
    return Prepared((x[train], t[train]), (x[test], t[test]), classes, mean, scale)


def _split(column, groups, seed):
    """Shuffled numbers of the training and the test rows, the share of each group the same."""
    counts = np.bincount(groups)
    test_counts = np.rint(TEST_SHARE * counts).astype(int)
    if not test_counts.any():
        raise ValueError(
            "a split expects at least 3 rows, or 3 of some class, to keep a fifth for the test; "
            f"got {checks.plural(len(groups), 'row')} for {column}."
        )
    order = np.random.default_rng(seed).permutation(len(groups))
    by_group = np.argsort(groups[order], kind="stable")  # the same on every machine
    rank = np.arange(len(groups)) - np.repeat(np.cumsum(counts) - counts, counts)
    in_test = np.empty(len(groups), bool)
    in_test[by_group] = rank < np.repeat(test_counts, counts)
    return order[~in_test], order[in_test]


def _standardised(x, train):
    """x (n, d) with mean 0 and deviation 1 in the training rows."""
    largest = np.abs(x[train]).max(axis=0)
    # So no square overflows or vanishes, and a constant is exactly 1, without a deviation.
    x = x / np.where(largest > 0, largest, 1)
    mean, deviation = x[train].mean(axis=0), x[train].std(axis=0)
    return (x - mean) / np.where(deviation > 0, deviation, np.inf)
