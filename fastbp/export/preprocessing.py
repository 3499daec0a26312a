"""What is done to the columns of a table before a network and to its outputs behind it, as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastbp import checks


class Feature(NamedTuple):
    """One input of a network, made of a column of numbers.

    It is ``(v - shift) / scale``, v being the column's number; `missing` in the place of NaN; 1 or 0
    for whether it is NaN; or 1 or 0 for whether it equals a number.

    Parameters
    ----------
    column : int
        Its place among the columns.
    shift, scale : float
        In the column's unit.
    missing : float or None
        In the place of NaN; None leaves NaN.
    indicator : bool
        v is whether the column is NaN.
    equals : float or None
        v is whether the column is this number, as the code of a category.
    categories : int or None
        v is -1 where the column is none of 0, 1, ..., up to below this, as that of a category which the
        table of an embedding has not.
    """

    column: int
    shift: float = 0.0
    scale: float = 1.0
    missing: float | None = None
    indicator: bool = False
    equals: float | None = None
    categories: int | None = None


class Preprocessing(NamedTuple):
    """How a row of columns becomes a network's inputs, and its outputs the target.

    Parameters
    ----------
    features : sequence of Feature
        The network's inputs, in their order.
    columns : sequence of str
        The columns' names; of none there are as many as the features name.
    shift, scale : float or sequence of float
        The target is ``output * scale + shift``; one for all outputs, or one for each.

    Examples
    --------
    An age that may be missing, whether it was, and a flag that is left as it is:

    >>> columns = Preprocessing([Feature(0, 40, 12, missing=38), Feature(0, indicator=True), Feature(1)])
    >>> columns.apply([[float("nan"), 1.0], [52.0, 0.0]]).round(3)
    array([[-0.167,  1.   ,  1.   ],
           [ 1.   ,  0.   ,  0.   ]])
    """

    features: Sequence[Feature]
    columns: Sequence[str] = ()
    shift: float | Sequence[float] = 0.0
    scale: float | Sequence[float] = 1.0

    @property
    def n_columns(self) -> Any:
        """How many columns a row has."""
        return len(self.columns) or 1 + max(feature.column for feature in self.features)

    def arrays(self) -> tuple[Any, Any, Any, Any, Any, Any, Any]:
        """The features' fields as arrays; NaN where `missing`, `equals` or `categories` is None."""
        column, shift, scale, missing, indicator, equals, categories = zip(*self.features, strict=True)

        def numbers(values):
            return np.array([np.nan if value is None else value for value in values], np.float64)

        return (
            np.array(column, np.int64),
            numbers(shift),
            numbers(scale),
            numbers(missing),
            np.array(indicator, bool),
            numbers(equals),
            numbers(categories),
        )

    def apply(self, rows: Any) -> Any:
        """The network's inputs, (n, len(features)) in float64, of rows (n, n_columns)."""
        who = "Preprocessing.apply"
        rows = checks.floats(who, "rows", rows, checks.FLOAT64)
        checked(who, self)
        if rows.ndim != 2 or rows.shape[1] != self.n_columns:
            raise ValueError(f"{who} expects rows of shape (n, {self.n_columns}); got {rows.shape}.")
        column, shift, scale, missing, indicator, equals, categories = self.arrays()
        values = rows[:, column]
        absent = np.isnan(values)
        own = (values >= 0) & (values < categories) & (values == np.floor(values))
        values = np.where(own | absent | np.isnan(categories), values, -1.0)
        filled = np.where(absent, missing, values)
        filled = np.where(np.isnan(equals), filled, values == equals)
        return (np.where(indicator, absent, filled) - shift) / scale

    def restore(self, outputs: Any) -> Any:
        """The target, in its own unit, of a network's outputs."""
        outputs = checks.floats("Preprocessing.restore", "outputs", outputs, checks.FLOAT64)
        for name in ("scale", "shift"):
            size = np.size(getattr(self, name))
            if size not in (1, *outputs.shape[-1:]):
                raise ValueError(
                    f"Preprocessing.restore expects outputs of {checks.plural(size, 'column')}, as {name} has; got "
                    f"{outputs.shape}."
                )
        return outputs * np.asarray(self.scale) + np.asarray(self.shift)


def checked(who: str, preprocessing: Any) -> Any:
    """A `Preprocessing` that can be computed, with lists; None stays None.

    Raises
    ------
    TypeError, ValueError
        For another object, no features, a column that is not there, or numbers that are not finite.
    """
    if preprocessing is None:
        return None
    checks.instance(who, "preprocessing", preprocessing, Preprocessing, "a Preprocessing")
    features = checks.sequence(who, "features of preprocessing", preprocessing.features, "Features")
    if not features:
        raise ValueError(f"{who} expects at least one feature of preprocessing; got none.")
    names = checks.sequence(who, "columns of preprocessing", preprocessing.columns, "names")
    for name in names:
        checks.instance(who, "a name among columns", name, str, "a str")
    most = len(names) - 1 if names else 2**31 - 2
    for place, feature in enumerate(features):
        what = f"feature {place} of preprocessing"
        checks.instance(who, what, feature, Feature, "a Feature")
        checks.integer(who, f"column of {what}", feature.column, 0, most)
        checks.number(who, f"shift of {what}", feature.shift)
        if checks.number(who, f"scale of {what}", feature.scale) == 0:
            raise ValueError(f"{who} expects scale of {what} other than 0, which it divides by; got 0.")
        checks.flag(who, f"indicator of {what}", feature.indicator)
        for name in ("missing", "equals"):
            if getattr(feature, name) is not None:
                checks.number(who, f"{name} of {what}", getattr(feature, name))
        if feature.categories is not None:
            checks.integer(who, f"categories of {what}", feature.categories, 1)
            if feature.missing is None:
                raise ValueError(f"{who} expects missing beside categories of {what}; got none.")
        if feature.indicator + (feature.missing is not None) + (feature.equals is not None) > 1:
            raise ValueError(f"{who} expects one of missing, indicator and equals of {what}; got several.")
    for name in ("shift", "scale"):
        values = checks.floats(who, f"{name} of preprocessing", np.atleast_1d(getattr(preprocessing, name)))
        if values.ndim > 1 or not np.isfinite(values).all():
            raise ValueError(
                f"{who} expects {name} of preprocessing as a finite number, or one for each output; got "
                f"{checks.shown(getattr(preprocessing, name))}."
            )
    return preprocessing._replace(features=list(features), columns=list(names))
