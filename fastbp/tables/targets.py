"""What is to be predicted: classes with their names, or numbers in their unit."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from fastbp import checks
from fastbp.tables import features

if TYPE_CHECKING:
    from fastbp._typing import Array
    from fastbp.tables.columns import Column, Columns

__all__ = ["TASKS", "Classes", "Numbers", "target_of"]

TASKS: tuple[Literal["classification"], Literal["regression"]] = ("classification", "regression")
#: Whole numbers are classes from 0 or 1 on without a gap, up to so many; else they are amounts.
MOST_NUMBERED = 10
#: Rows of a class on average, below which different values are no classes.
FEWEST_ROWS = 3


@dataclasses.dataclass(frozen=True)
class Classes:
    """A target of classes, which keep their names: texts, numbers or bools."""

    kind: ClassVar[str] = "classes"
    name: str
    classes: tuple[Any, ...]

    def __post_init__(self) -> None:
        kinds = {type(each) for each in self.classes}
        if len(self.classes) < 2 or len(kinds) > 1 or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"the classes {checks.shown(self.classes)}")

    @property
    def n_outputs(self) -> int:
        return len(self.classes)

    def document(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "classes": list(self.classes)}

    @property
    def source_kind(self) -> str:
        """The kind of the column, as `Column` has it."""
        return {str: "text", bool: "boolean"}.get(type(self.classes[0]), "number")

    def transform(self, column: Column, table: Columns) -> Array:
        """Class indices (n_rows,); a class that the training had not is refused."""
        texts = isinstance(self.classes[0], str)
        values = features.texts_of(column, self.classes) if texts else _bare(column, self.classes, table)
        places = {each: place for place, each in enumerate(self.classes)}
        codes = np.array([places.get(value, -1) for value in values], np.int64)
        if (codes < 0).any():
            row = int((codes < 0).argmax())
            expected = f"one of the classes {features.listed(self.classes)}"
            raise features.unexpected(table, column, expected, row, features.shown(values[row]))
        return codes

    def inverse(self, codes: Array) -> Array:
        """The classes (n_rows,) of indices: int64, float64, bool or, for texts, object."""
        return self.array()[codes]

    def array(self) -> Array:
        """The classes as an array."""
        return np.array(self.classes, object if isinstance(self.classes[0], str) else None)


@dataclasses.dataclass(frozen=True)
class Numbers:
    """A target of numbers, standardised for the network."""

    kind: ClassVar[str] = "numbers"
    name: str
    mean: float
    scale: float

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ValueError(f"the scale {self.scale}")

    def document(self) -> dict[str, Any]:
        return {"kind": self.kind, **dataclasses.asdict(self)}

    n_outputs = 1
    source_kind = "number"

    def transform(self, column: Column, table: Columns) -> Array:
        """Standardised numbers (n_rows, 1)."""
        values = features.numbers_of(column, table, False)
        return features.standardised(values, self.mean, self.scale)[:, np.newaxis]

    def inverse(self, outputs: Array) -> Array:
        """Numbers (n_rows,) in the target's unit, of standardised ones (n_rows, 1); inf beyond float64."""
        with np.errstate(over="ignore"):
            return np.asarray(outputs, np.float64).reshape(len(outputs)) * self.scale + self.mean


KINDS = {kind.kind: kind for kind in (Classes, Numbers)}


def target_of(column: Column, table: Columns, task: str | None = None) -> tuple[Classes | Numbers, str]:
    """The target, and a sentence that says how it was understood.

    Parameters
    ----------
    column : Column
        Without missing values.
    table : Columns
        For messages.
    task : {"classification", "regression"}, optional
        By default texts, bools, and whole numbers of two values or from 0 or 1 up to at most 10
        without a gap are classes, where they have three rows or more on average.
    """
    where = f"column {checks.shown(column.name)} of {table.source}"
    if column.kind == "date":
        raise ValueError(f"a target expects numbers or classes in {where}; got dates.")
    if not len(column.values):
        raise ValueError(f"a target expects values in {where}; got none.")
    values = sorted(set(column.values.tolist())) if column.kind == "text" else np.unique(column.values).tolist()
    few = len(values) * FEWEST_ROWS <= len(column.values)
    said = f"{column.name} has {len(values)} different "
    if task is None:
        task, why = _decided(column, values, few)
        said += why
    else:
        said = f"{column.name} as --task or task= says"
    if len(values) < 2:
        what = "two classes" if task == "classification" else "two different numbers"
        raise ValueError(f"{task} expects at least {what} in {where}; got only {checks.shown(values[0])}.")
    if task == "classification":
        if not few:
            raise ValueError(
                f"classification expects at least {FEWEST_ROWS} rows of a class on average in {where}; got "
                f"{len(values)} different values in {len(column.values)} rows, as {checks.shown(values[0])}."
            )
        if column.words:
            values = sorted(column.words)
        elif column.kind == "boolean":
            values = [bool(value) for value in values]
        elif column.kind == "number" and all(value.is_integer() for value in values):
            values = [int(value) for value in values]
        return Classes(column.name, tuple(values)), said
    if column.kind == "text":
        raise ValueError(f"regression expects numbers in {where}; got {checks.shown(column.values[0])}.")
    if not np.isfinite(column.values).all():
        row = int((~np.isfinite(column.values)).argmax())
        raise features.unexpected(table, column, "finite numbers", row, f"{column.values[row]}")
    mean, scale, _ = features.standardise(column.values)
    return Numbers(column.name, mean, scale), said


def _decided(column, values, few):
    """The task, and what of the values says so."""
    if column.kind == "text":
        return TASKS[0], "texts"
    if column.kind == "boolean":
        return TASKS[0], "truth values"
    whole = all(float(value).is_integer() for value in values)
    if not whole:
        return TASKS[1], "numbers"
    count = len(values)
    numbered = values[0] in (0, 1) and values[-1] - values[0] == count - 1 and count <= MOST_NUMBERED
    if few and count > 1 and (count == 2 or numbered):
        return TASKS[0], f"whole numbers, {values[0]:g} to {values[-1]:g}; as amounts: --task regression"
    cure = "; as classes: --task classification" if few and count <= 2 * MOST_NUMBERED else ""
    return TASKS[1], f"whole numbers, {values[0]:g} to {values[-1]:g}{cure}"


def _bare(column, classes, table):
    """A column's values as numbers or bools, to be looked for among the classes."""
    if isinstance(classes[0], bool):
        return features.numbers_of(column, table, True).tolist()  # 1.0 == True
    return features.numbers_of(column, table, False).tolist()
