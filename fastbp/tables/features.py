"""How a column of each kind becomes numbers for a network, and how that is written down."""

from __future__ import annotations

import dataclasses
import sys
import typing
import zlib
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

import numpy as np

from fastbp import checks

if TYPE_CHECKING:
    from fastbp._typing import Array
    from fastbp.tables.columns import Column, Columns

__all__ = ["KINDS", "Category", "Coded", "Date", "Hashed", "Number", "read", "standardise", "standardised"]

#: What is further from the mean than so many deviations counts as so far: float32 squares it still.
_FARTHEST = 1e12
_FAR = 100  # deviations, beyond which a number is like none of the training's
_SECONDS_A_YEAR = 365.2425 * 86400
#: NumPy counts the seconds of dates to a year beyond it.
_LAST_YEAR = 2.9e11
#: Words of a reader's booleans, where the training saw them among others as texts.
_TRUE, _FALSE = ("true", "yes", "ja", "t", "y", "1", "on"), ("false", "no", "nein", "f", "n", "0", "off")


# --- numbers as such ------------------------------------------------------------------------


def standardise(values: Array) -> tuple[float, float, float]:
    """(mean, deviation, median) of finite numbers, in float64, where no square overflows.

    The deviation of a constant is 1, so that it becomes 0.
    """
    power = int(np.frexp(np.abs(values).max(initial=0))[1])
    small = np.ldexp(values, -power)  # of 2, so that nothing is lost
    deviation = 0.0 if small.min() == small.max() else float(small.std())
    numbers = float(small.mean()), deviation, float(np.median(small))
    mean, deviation, median = (float(np.ldexp(number, power)) for number in numbers)
    return mean, deviation if deviation > 0 else 1.0, median


def standardised(values: Array, mean: float, scale: float) -> Array:
    """(values - mean) / scale."""
    with np.errstate(over="ignore"):
        away = values - mean
        far = np.isinf(away)
        if far.any():  # of opposite signs at the end of what float64 holds
            away[far] = 2 * ((values[far] / 2 - mean / 2) / scale)
            away[~far] /= scale
        else:
            away /= scale
    return np.clip(away, -_FARTHEST, _FARTHEST)


# --- the kinds ------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Encoding:
    """What all kinds share: the column's name, and their fields as JSON."""

    kind: ClassVar[str]
    name: str

    @property
    def source_kind(self) -> str:
        """The kind of the column, as `Column` has it."""
        return "text"

    def document(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        return {"kind": self.kind, **dataclasses.asdict(self)}

    def _require(self, holds, what):
        if not holds:
            raise ValueError(f"column {checks.shown(self.name)} with {what}")


@dataclasses.dataclass(frozen=True)
class Number(_Encoding):
    """Standardised; missing ones are the median, and have a column that says so."""

    kind = "number"
    mean: float
    scale: float
    median: float
    indicator: bool
    boolean: bool

    def __post_init__(self) -> None:
        self._require(self.scale > 0, f"scale {self.scale}")

    @classmethod
    def of(cls, column: Column) -> Self:
        missing = np.isnan(column.values)
        mean, scale, median = standardise(column.values[~missing])
        return cls(column.name, mean, scale, median, bool(missing.any()), column.kind == "boolean")

    @property
    def source_kind(self) -> str:
        return "boolean" if self.boolean else "number"

    @property
    def names(self) -> list[str]:
        return [self.name, f"{self.name} missing"][: 1 + self.indicator]

    @property
    def done(self) -> str:
        filled = f", missing ones {self.median:g}" if self.indicator else ""
        return ("0 and 1, standardised" if self.boolean else "standardised") + filled

    def encode(self, column: Column, table: Columns, out: Array, strict: bool) -> str:
        values = numbers_of(column, table, self.boolean)
        missing = np.isnan(values)
        if strict and not self.indicator and missing.any():
            raise unexpected(table, column, "a value, as in training", int(missing.argmax()), "none")
        out[:, 0] = standardised(np.where(missing, self.median, values), self.mean, self.scale)
        if self.indicator:
            out[:, 1] = missing
        absent = "" if self.indicator else _absent(missing, f"taken as {self.median:g}")
        return "; ".join(filter(None, [absent, _distant(values, out[:, 0])]))


@dataclasses.dataclass(frozen=True)
class Category(_Encoding):
    """A column of 0 and 1 for each text, and one for those that are missing."""

    kind = "category"
    categories: tuple[str, ...]
    indicator: bool

    def __post_init__(self) -> None:
        self._require(len(self.categories) > 0, "no categories")
        self._require(len(set(self.categories)) == len(self.categories), "a category twice")

    @classmethod
    def of(cls, column: Column) -> Self:
        present = set(column.values.tolist())
        return cls(column.name, tuple(sorted(present - {None})), None in present)

    @property
    def names(self) -> list[str]:
        own = [f"{self.name}={category}" for category in self.categories]
        return own + [f"{self.name} missing"] * self.indicator

    @property
    def done(self) -> str:
        return f"one-hot, {len(self.categories)} columns" + (" and one of missing" if self.indicator else "")

    def encode(self, column: Column, table: Columns, out: Array, strict: bool) -> str:
        places, note = self._places(column, table, strict, "all zeros")
        known = np.flatnonzero(places >= 0)
        out[:] = 0
        out[known, places[known]] = 1
        return note

    def _places(self, column, table, strict, taken):
        """Of each row the place of its category, behind them all of none; -1 of others, and what is said of these."""
        texts = texts_of(column, self.categories)
        own: dict[str | None, int] = {category: k for k, category in enumerate(self.categories)}
        if self.indicator:
            own[None] = len(self.categories)
        places = np.array([own.get(text, -1) for text in texts], np.intp)
        other = places < 0
        if not other.any():
            return places, ""
        row = int(other.argmax())
        if strict:
            expected = f"one of {listed(self.categories)}"
            raise unexpected(table, column, expected, row, shown(texts[row]))
        count = checks.plural(int(other.sum()), "row")
        return places, f"{count} with none of the categories of the training, as {shown(texts[row])}: {taken}"


@dataclasses.dataclass(frozen=True)
class Coded(Category):
    """One column of codes, for a layer of embeddings: 1 and on are categories, behind them what is missing.

    0 is every other text, and what is missing where the training missed none.
    """

    kind = "coded"

    @property
    def size(self) -> int:
        """How many codes there are."""
        return 1 + len(self.categories) + self.indicator

    @property
    def names(self) -> list[str]:
        return [self.name]

    @property
    def done(self) -> str:
        return f"embedded, {len(self.categories)} categories" + (" and one of missing" if self.indicator else "")

    def encode(self, column: Column, table: Columns, out: Array, strict: bool) -> str:
        places, note = self._places(column, table, strict, "taken as their mean")
        out[:, 0] = places + 1
        return note


@dataclasses.dataclass(frozen=True)
class Hashed(_Encoding):
    """Texts of many values: one column of each, by its checksum, is +1 or -1."""

    kind = "hashed"
    width: int
    indicator: bool

    def __post_init__(self) -> None:
        self._require(1 < self.width <= 1 << 16, f"{self.width} columns")

    @classmethod
    def of(cls, column: Column) -> Self:
        present = set(column.values.tolist())
        width = 1 << min(10, max(8, (4 * len(present) - 1).bit_length()))  # so that few share a column
        return cls(column.name, width, None in present)

    @property
    def names(self) -> list[str]:
        own = [f"{self.name}#{k}" for k in range(self.width)]
        return own + [f"{self.name} missing"] * self.indicator

    @property
    def done(self) -> str:
        return f"hashed into {self.width} columns" + (" and one of missing" if self.indicator else "")

    def encode(self, column: Column, table: Columns, out: Array, strict: bool) -> str:
        texts = texts_of(column, ())
        out[:] = 0
        places: dict[str | None, int] = {}
        codes = np.array([places.setdefault(text, len(places)) for text in texts], np.intp)
        rows = np.zeros((len(places), out.shape[1]))
        for text, code in places.items():
            if text is None:
                rows[code, self.width :] = 1
                continue
            checksum = zlib.crc32(text.encode("utf-8", "surrogatepass"))
            rows[code, (checksum >> 1) % self.width] = 1 - 2 * (checksum & 1)
        for begin in range(0, len(codes), 4096):  # so that no copy is whole
            out[begin : begin + 4096] = rows[codes[begin : begin + 4096]]
        return ""


@dataclasses.dataclass(frozen=True)
class Date(_Encoding):
    """The year with its fraction, standardised; sine and cosine of its parts that come again."""

    kind = "date"
    mean: float
    scale: float
    median: float
    indicator: bool
    cycles: tuple[str, ...]

    def __post_init__(self) -> None:
        self._require(self.scale > 0, f"scale {self.scale}")
        self._require(abs(self.median) < _LAST_YEAR, f"the year {self.median:g}")
        known = set(self.cycles) <= set(_CYCLES) and len(set(self.cycles)) == len(self.cycles)
        self._require(known, f"parts {self.cycles}")

    @classmethod
    def of(cls, column: Column) -> Self:
        missing = np.isnat(column.values)
        dates = column.values[~missing]
        cycles = tuple(name for name, part in _CYCLES.items() if len(np.unique(part(dates))) > 1)
        mean, scale, median = standardise(_years(dates))
        return cls(column.name, mean, scale, median, bool(missing.any()), cycles)

    @property
    def source_kind(self) -> str:
        return "date"

    @property
    def names(self) -> list[str]:
        waves = [f"{self.name} {cycle} {wave}" for cycle in self.cycles for wave in ("sin", "cos")]
        return [f"{self.name} year", *waves] + [f"{self.name} missing"] * self.indicator

    @property
    def done(self) -> str:
        return ", ".join(["year", *(f"sine and cosine of {cycle}" for cycle in self.cycles)])

    def encode(self, column: Column, table: Columns, out: Array, strict: bool) -> str:
        dates = _dates_of(column, table)
        missing = np.isnat(dates)
        if strict and not self.indicator and missing.any():
            raise unexpected(table, column, "a date, as in training", int(missing.argmax()), "none")
        years = np.where(missing, self.median, _years(dates))
        out[:, 0] = standardised(years, self.mean, self.scale)
        middle = np.datetime64(round((self.median - 1970) * _SECONDS_A_YEAR), "s")
        there = np.where(missing, middle, dates)
        for place, cycle in enumerate(self.cycles):
            angle = 2 * np.pi * _CYCLES[cycle](there)
            out[:, 1 + 2 * place], out[:, 2 + 2 * place] = np.sin(angle), np.cos(angle)
        if self.indicator:
            out[:, -1] = missing
        return "" if self.indicator else _absent(missing, f"taken as {middle}")


def _years(dates):
    return np.where(np.isnat(dates), np.nan, dates.astype(np.int64) / _SECONDS_A_YEAR) + 1970


#: Parts of dates that come again, as shares of their round.
_CYCLES = {
    "month": lambda dates: dates.astype("M8[M]").astype(np.int64) % 12 / 12,
    "day": lambda dates: (dates.astype("M8[D]") - dates.astype("M8[M]").astype("M8[D]")).astype(np.int64) / 31,
    "weekday": lambda dates: (dates.astype("M8[D]").astype(np.int64) + 3) % 7 / 7,  # 0 on Mondays
    "hour": lambda dates: dates.astype(np.int64) % 86400 / 86400,
}
Encoding: TypeAlias = Number | Category | Hashed | Date
KINDS = {kind.kind: kind for kind in (Number, Category, Coded, Hashed, Date)}


# --- columns of other kinds than in training -------------------------------------------------


def numbers_of(column: Column, table: Columns, boolean: bool) -> Array:
    """A column's numbers, NaN where they are missing."""
    values = column.values
    if column.kind == "text" and boolean:
        words = dict.fromkeys(_TRUE, 1.0) | dict.fromkeys(_FALSE, 0.0) | {None: np.nan}
        codes = [words.get(text and text.strip().lower()) for text in values]
        if None not in codes:
            return np.array(codes, np.float64)
        row = codes.index(None)
        raise unexpected(table, column, "true or false, as in training", row, shown(values[row]))
    if column.kind in ("text", "date"):
        present = np.array([value is not None for value in values]) if column.kind == "text" else ~np.isnat(values)
        if present.any():
            row = int(present.argmax())
            raise unexpected(table, column, "numbers, as in training", row, shown(values[row]))
        return np.full(len(values), np.nan)
    if boolean and column.kind == "number":
        wrong = ~np.isnan(values) & (values != 0) & (values != 1)
        if wrong.any():
            row = int(wrong.argmax())
            raise unexpected(table, column, "true or false, as in training", row, f"{values[row]:g}")
    return values


def texts_of(column: Column, categories: Collection[str]) -> list[str | None]:
    """A column's texts, None where they are missing: as the training has read its cells."""
    values = column.values
    if column.kind == "text":
        return values.tolist()
    if column.kind == "date":
        return [None if np.isnat(date) else str(date).replace("T00:00:00", "") for date in values]
    if column.kind == "boolean":
        if column.words and {*column.words} <= {*categories}:
            no, yes = column.words
        else:
            spelt = {c.lower(): c for c in categories}
            pair = zip(_TRUE, _FALSE, strict=True)
            yes, no = next(((y, n) for y, n in pair if y in spelt or n in spelt), ("True", "False"))
            yes, no = spelt.get(yes, yes), spelt.get(no, no)
        return [{1.0: yes, 0.0: no}.get(value) for value in values.tolist()]
    return [None if value != value else _as_text(value, categories) for value in values.tolist()]


def _as_text(number, categories):
    """A number as its cell may have been; what the training knew goes before."""
    whole = str(int(number)) if number.is_integer() else repr(number)
    return whole if whole in categories or repr(number) not in categories else repr(number)


def _dates_of(column, table):
    if column.kind == "date":
        return column.values
    values = column.values
    present = np.array([value is not None and value == value for value in values.tolist()], bool)
    if present.any():
        row = int(present.argmax())
        raise unexpected(table, column, "dates, as in training", row, shown(values[row]))
    return np.full(len(values), "NaT", "M8[s]")


def _distant(values, deviations):
    """A note of numbers that are like none of the training's, as of another unit."""
    far = np.abs(deviations) > _FAR
    if not far.any():
        return ""
    rows = checks.plural(int(far.sum()), "row")
    return f"{rows} more than {_FAR} deviations from the mean of the training, as {values[far][0]:g}"


def _absent(missing, what):
    return f"{checks.plural(int(missing.sum()), 'row')} without a value, {what}" if missing.any() else ""


def unexpected(table: Columns, column: Column, expected: str, row: int, came: str) -> ValueError:
    where = f"line {table.lines[row]}" if table.lines is not None else f"row {row}"
    return ValueError(
        f"{table.source} expects {expected}, in column {checks.shown(column.name)}; got {came} in {where}."
    )


def shown(value: object) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else checks.shown(str(value))


def listed(names: Sequence[object], most: int = 20) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(map(checks.shown, names[:most])) + more


# --- read -----------------------------------------------------------------------------------


def read(document: Any, kinds: Any) -> Any:
    """The object of one of some classes that a JSON object with its "kind" describes.

    Raises
    ------
    ValueError
        For another kind, and fields too many, missing, or of other types.
    """
    if not isinstance(document, dict):
        raise ValueError(f"{checks.shown(document)} in place of an object")
    fields = dict(document)
    kind = kinds.get(fields.pop("kind", None)) if isinstance(document.get("kind"), str) else None
    if kind is None:
        raise ValueError(f"the kind {checks.shown(document.get('kind'))}")
    hints = typing.get_type_hints(kind)
    expected = {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    if fields.keys() != expected.keys():
        odd = sorted(fields.keys() ^ expected.keys())[0]
        raise ValueError(f"{odd!r} of a {kind.kind}, {'too many' if odd in fields else 'which is missing'}")
    for name, value in fields.items():
        if not _IS[expected[name]](value):
            raise ValueError(f"{name} {checks.shown(value)} of a {kind.kind}")
    for name, value in fields.items():
        if expected[name] is float or isinstance(value, list):
            fields[name] = float(value) if expected[name] is float else tuple(value)
    return kind(**fields)


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_class(value):
    """Whether it is a number as an array has it."""
    return _is_number(value) and (isinstance(value, float) or abs(value) < 1 << 63)


_IS: dict[Any, Callable[[Any], bool]] = {
    str: lambda value: isinstance(value, str),
    bool: lambda value: isinstance(value, bool),
    int: lambda value: isinstance(value, int) and not isinstance(value, bool),
    float: _is_number,
    tuple[str, ...]: lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    tuple[Any, ...]: lambda value: (
        isinstance(value, list) and all(isinstance(each, str | bool) or _is_class(each) for each in value)
    ),
}
