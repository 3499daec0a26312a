"""Data sets that scikit-learn brings, split by class."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastbp import checks
from fastbp.datasets.labels import Split
from fastbp.datasets.splits import split_of

__all__ = ["load_breast_cancer", "load_diabetes", "load_digits", "load_iris", "load_wine"]


def load_digits(*, test_size: float = 0.2, seed: int = 0, one_hot_label: bool = False) -> Split:
    """Load scikit-learn's 1797 handwritten digits, 8 x 8 pixels each.

    Parameters
    ----------
    test_size : float
        Share of every class that goes to the test part, between 0 and 1, rounded to whole rows.
    seed : int
        Seed of the shuffle; the same seed gives the same split.
    one_hot_label : bool
        Return labels as one-hot rows instead of class indices.

    Returns
    -------
    (x_train, t_train), (x_test, t_test)
        ``x`` : float32 (n, 64), grey levels from 0 (paper) to 1 (ink).
        ``t`` : int64 (n,), the digits 0..9, or float32 (n, 10).

    Raises
    ------
    ImportError
        scikit-learn cannot be imported.
    ValueError
        `test_size` leaves some class without training or without test rows.

    Examples
    --------
    >>> from fastbp.datasets import load_digits
    >>> (x_train, t_train), (x_test, t_test) = load_digits()
    >>> x_train.shape, t_train.shape, x_test.shape
    ((1438, 64), (1438,), (359, 64))
    """
    x, t = _from_sklearn("load_digits")
    return split_of("load_digits", x / 16, t, test_size, seed, one_hot_label)


def load_iris(
    classes: ArrayLike | None = None, *, test_size: float = 0.2, seed: int = 0, one_hot_label: bool = False
) -> Split:
    """Load scikit-learn's iris flowers, 50 of each of three species.

    Parameters
    ----------
    classes : sequence of int, optional
        Species to keep, distinct indices among 0 (setosa), 1 (versicolor) and 2 (virginica). Their
        labels become 0..k-1 in the order given. All three species by default.
    test_size : float
        Share of every class that goes to the test part, between 0 and 1, rounded to whole rows.
    seed : int
        Seed of the shuffle; the same seed gives the same split.
    one_hot_label : bool
        Return labels as one-hot rows instead of class indices.

    Returns
    -------
    (x_train, t_train), (x_test, t_test)
        ``x`` : float32 (n, 4), length and width of sepal, then of petal, in centimetres.
        ``t`` : int64 (n,), indices 0..k-1, or float32 (n, k), for k classes.

    Raises
    ------
    ImportError
        scikit-learn cannot be imported.
    ValueError
        `classes` is not a sequence of distinct indices among 0..2, or `test_size` leaves some class
        without training or without test rows.

    Examples
    --------
    >>> from fastbp.datasets import load_iris
    >>> (x_train, t_train), (x_test, t_test) = load_iris(classes=(0, 1))
    >>> x_train.shape, x_test.shape, t_train.min(), t_train.max()
    ((80, 4), (20, 4), np.int64(0), np.int64(1))
    """
    kept = checks.rectangular("load_iris", "classes", (0, 1, 2) if classes is None else classes)
    if (
        kept.ndim != 1
        or kept.size == 0
        or kept.dtype.kind not in "iu"
        or not np.isin(kept, (0, 1, 2)).all()
        or len(np.unique(kept)) < len(kept)
    ):
        raise ValueError(
            f"load_iris expects classes as distinct indices among 0..2, such as (0, 1); got {checks.shown(classes)}."
        )
    x, t = _from_sklearn("load_iris")
    is_class = t[:, None] == kept
    rows = is_class.any(axis=1)
    t = is_class[rows].argmax(axis=1)
    return split_of("load_iris", x[rows], t, test_size, seed, one_hot_label)


def load_wine(*, standardize: bool = True, test_size: float = 0.2, seed: int = 0, one_hot_label: bool = False) -> Split:
    """Load scikit-learn's 178 analyses of wines from three growers.

    Parameters
    ----------
    standardize : bool
        Subtract each column's mean and divide by its deviation, both of the training rows.
    test_size : float
        Share of every class that goes to the test part, between 0 and 1, rounded to whole rows.
    seed : int
        Seed of the shuffle; the same seed gives the same split.
    one_hot_label : bool
        Return labels as one-hot rows instead of class indices.

    Returns
    -------
    (x_train, t_train), (x_test, t_test)
        ``x`` : float32 (n, 13), alcohol to proline, about -2 to 2, or in the units of the analysis.
        ``t`` : int64 (n,), the growers 0..2, or float32 (n, 3).

    Raises
    ------
    ImportError
        scikit-learn cannot be imported.
    ValueError
        `test_size` leaves some class without training or without test rows.

    Examples
    --------
    >>> from fastbp.datasets import load_wine
    >>> (x_train, t_train), (x_test, t_test) = load_wine()
    >>> x_train.shape, x_test.shape, float(abs(x_train.mean(axis=0)).max()) < 1e-6
    ((142, 13), (36, 13), True)
    """
    return _table("load_wine", standardize, test_size, seed, one_hot_label)


def load_breast_cancer(
    *, standardize: bool = True, test_size: float = 0.2, seed: int = 0, one_hot_label: bool = False
) -> Split:
    """Load scikit-learn's 569 tumours, measured under the microscope, malignant or benign.

    Parameters
    ----------
    standardize : bool
        Subtract each column's mean and divide by its deviation, both of the training rows.
    test_size : float
        Share of every class that goes to the test part, between 0 and 1, rounded to whole rows.
    seed : int
        Seed of the shuffle; the same seed gives the same split.
    one_hot_label : bool
        Return labels as one-hot rows instead of class indices.

    Returns
    -------
    (x_train, t_train), (x_test, t_test)
        ``x`` : float32 (n, 30), mean, error and worst of ten measures of the cells' nuclei, about -2 to 2,
        or as they were measured.
        ``t`` : int64 (n,), 0 malignant and 1 benign, or float32 (n, 2).

    Raises
    ------
    ImportError
        scikit-learn cannot be imported.
    ValueError
        `test_size` leaves some class without training or without test rows.

    Examples
    --------
    >>> from fastbp.datasets import load_breast_cancer
    >>> (x_train, t_train), (x_test, t_test) = load_breast_cancer()
    >>> x_train.shape, x_test.shape
    ((456, 30), (113, 30))
    """
    return _table("load_breast_cancer", standardize, test_size, seed, one_hot_label)


def load_diabetes(*, standardize: bool = True, test_size: float = 0.2, seed: int = 0) -> Split:
    """Load scikit-learn's 442 patients with diabetes: a regression.

    Parameters
    ----------
    standardize : bool
        Subtract each column's mean and divide by its deviation, both of the training rows. Targets stay
        as they are.
    test_size : float
        Share of the rows that goes to the test part, between 0 and 1, rounded to whole rows.
    seed : int
        Seed of the shuffle; the same seed gives the same split.

    Returns
    -------
    (x_train, t_train), (x_test, t_test)
        ``x`` : float32 (n, 10), age, sex, body mass index, blood pressure and six serum values, about -2 to
        2, or as they were measured.
        ``t`` : float32 (n, 1), the disease's progress after a year, 25 to 346; an output of a network is
        sooner there where it is divided by 100.

    Raises
    ------
    ImportError
        scikit-learn cannot be imported.
    ValueError
        `test_size` leaves no training or no test rows.

    Examples
    --------
    >>> from fastbp.datasets import load_diabetes
    >>> (x_train, t_train), (x_test, t_test) = load_diabetes()
    >>> x_train.shape, t_train.shape, t_train.dtype
    ((354, 10), (354, 1), dtype('float32'))
    """
    return _table("load_diabetes", standardize, test_size, seed, scaled=False)


def _table(
    loader: str, standardize: bool, test_size: float, seed: int, one_hot_label: bool = False, **options: bool
) -> Split:
    """A set whose columns have units of their own."""
    standardize = checks.flag(loader, "standardize", standardize)
    x, t = _from_sklearn(loader, **options)
    if t.dtype.kind == "f":
        t = t[:, np.newaxis]
    (x_train, t_train), (x_test, t_test) = split_of(loader, x, t, test_size, seed, one_hot_label)
    if standardize:
        mean, deviation = x_train.mean(axis=0, dtype=np.float64), x_train.std(axis=0, dtype=np.float64)
        deviation = np.where(deviation > 0, deviation, 1)  # of few rows
        x_train, x_test = (((x - mean) / deviation).astype(np.float32) for x in (x_train, x_test))
    return (x_train, t_train), (x_test, t_test)


def _from_sklearn(loader: str, **options: bool) -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError(
            f"{loader} expects scikit-learn, which pip install 'fastbp[all]' brings; got none that can be imported."
        ) from error
    return getattr(datasets, loader)(return_X_y=True, **options)
