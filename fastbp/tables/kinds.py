"""What columns of texts are: numbers, booleans, dates or texts, and what names their rows."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from fastbp import checks
from fastbp.tables import dates, numbers
from fastbp.tables.columns import Column

if TYPE_CHECKING:
    from fastbp._typing import Array

__all__ = [
    "COMMA",
    "KINDS",
    "MISSING",
    "Place",
    "Raw",
    "apart",
    "columns",
    "dress",
    "identifies",
    "is_number",
    "is_whole",
    "number_in",
]

#: A kind of what nothing is learnt from: texts, whatever they are.
IGNORED = "ignored"
KINDS = ("number", "boolean", "date", "text", IGNORED)
#: What stands for no value, in small letters.
MISSING = frozenset(
    {"", "na", "n/a", "n.a.", "#n/a", "#na", "<na>", "nan", "-nan", "null", "(null)", "\\n", "none", "nat", "?"}
    | {"-", "--", "\u2013", "\u2014", ".", "..", "...", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"}
    | {"0000-00-00", "0000-00-00 00:00:00"}  # MySQL's
    | {"#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!"}  # Excel's
)
#: What says as much among numbers and dates, and among texts is one.
_UNKNOWN = frozenset(
    {
        "unknown",
        "missing",
        "not available",
        "not applicable",
        "no data",
        "undefined",
        "tba",
        "tbd",
        "n.d.",
        "n.v.",
        "nil",
        "blank",
        "(blank)",
    }
    | {"unbekannt", "k.a.", "k. a.", "keine angabe", "inconnu", "desconocido", "sconosciuto", "未知"}
)
_BOOLEANS = (("false", "true"), ("no", "yes"), ("nein", "ja"), ("f", "t"), ("n", "y"))
_ALONE = 2  # of these may be one value without the other
_MOST_SPELLINGS = 12  # of two words
_LARGEST = 1 << 53  # no float64 beyond has all integers
_MOST_EXACT = 15  # digits that any float64 has
_APART = {
    mark: re.compile(rf"\d[{other}'\u2019 \u00a0\u202f\u2009]\d{{3}}(?!\d)") for mark, other in ((".", ","), (",", "."))
}
_NUMBER_BEGINS = re.compile(
    rf"['\"\u2018\u201c]?[-+(\u2212\u2013\s]{{0,4}}(?:{numbers.CURRENCY})?[-+\u2212\u2013\s]{{0,4}}[.,]?(?:\d|inf)",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"(?:(?:1?\d{1,2}|2[0-4]\d|25[0-5])(?:\.(?!$)|$)){4}")  # of a machine
_DIGIT = re.compile(r"\d|inf", re.IGNORECASE)  # of numbers and dates
_ID_NAME = re.compile(r"(?i:(?:^|.*[_\s.\-])(?:id|ids|uuid|guid|index|key))|.*[a-z](?:Id|ID)|(?i:unnamed: ?[\d.]+)")
_ID_TEXT = re.compile(r"[A-Za-z]{0,6}[-_#/ ]?\d+|[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
_FEWEST_IDS = 10  # that show a pattern
_CODES = 10  # different texts among numbers, and their share, that make these codes, as those of tickets
_CODES_SHARE = 0.1
_CODE = re.compile(r"[A-Za-z]{1,6}[-_#/.]?\d+|\d+[-_#/]?(?![kKmM])[A-Za-z]")  # beside numbers, but 5k, which is one
COMMA = "read with a decimal comma"
_FEW = 20  # different numbers that are categories where a word beside them recurs as they do
_RECURS = 3


class Place(NamedTuple):
    """Where cells stand, for messages: in lines of a file, or rows of a table counted from 0."""

    source: str
    lines: np.ndarray[Any, Any] | None = None

    @property
    def rows(self) -> str:
        return "rows" if self.lines is None else "lines"

    def of(self, row):
        return row if self.lines is None else self.lines[row]

    def refusal(self, expected, row, column, came, cure=""):
        where = f"{self.rows[:-1]} {self.of(row)}"
        cure = cure if self.lines is not None else ""  # which is an option of files
        return ValueError(
            f"{self.source} expects {expected} in {where}, column {checks.shown(column)}; got "
            f"{checks.shown(came)}{cure}."
        )


class Raw(NamedTuple):
    """A column as it came: its numbers, or None and its texts.

    Attributes
    ----------
    name : str
    values : numpy.ndarray or None
        (n_rows,) of float64; where they have points, these are surely decimal ones.
    whole : bool
        Whether these are written as integers.
    texts : callable
        texts() gives the different texts in their order, of which `MISSING` are no values, and of each
        row the place of its own among them, as `cells.distinct`.
    mark : str or None
        The decimal mark of the numbers, where they tell it.
    said : tuple of str
        What was understood of them.
    """

    name: str
    values: np.ndarray[Any, Any] | None
    whole: bool
    texts: Callable[[], tuple[list[str], np.ndarray[Any, Any]]]
    mark: str | None = None
    said: tuple[str, ...] = ()


class _Texts:
    """A column's texts, each different one once, and what they are with either decimal mark."""

    def __init__(self, raw: Raw) -> None:
        self.name = raw.name
        self.cells, self.places = raw.texts()
        counts = np.bincount(self.places, minlength=len(self.cells)).tolist()
        self.counts = dict(zip(self.cells, counts, strict=True))
        self.known = [cell for cell in self.cells if cell.casefold() not in MISSING]
        self.total = self.weight(cell for cell in self.known if cell.casefold() not in _UNKNOWN)
        self.numbers: dict[str, dict[str, numbers.Read]] = {mark: {} for mark in numbers.DECIMALS}
        self.mark: str | None = None  # until somebody looks
        with_digits = [cell for cell in self.known if _DIGIT.search(cell)]
        self.may_count = 2 * self.weight(with_digits) > self.total  # be numbers or dates

    def weight(self, cells: Iterable[str]) -> int:
        return sum(self.counts[cell] for cell in cells)

    def look(self) -> None:
        """Find the numbers, and the marks that only one makes numbers of: those that are sure."""
        if all(map(_ADDRESS.fullmatch, self.known)):  # each part of which is three digits, perhaps
            return
        for cell in filter(_NUMBER_BEGINS.match, self.known):
            for mark in numbers.DECIMALS:
                found = number_in(cell, mark)
                if found is not None:
                    self.numbers[mark][cell] = found
        point, comma = (self.numbers[mark] for mark in numbers.DECIMALS)
        self.sure = [mark for mark, own, other in ((".", point, comma), (",", comma, point)) if own.keys() - other]
        self.open = [cell for cell in self.known if cell in point and cell in comma and point[cell] != comma[cell]]
        marks = self.sure if len(self.sure) == 1 else numbers.DECIMALS
        self.mark = max(marks, key=lambda mark: self.weight(self.numbers[mark]))

    @property
    def mostly_numbers(self) -> bool:
        either = {cell for own in self.numbers.values() for cell in own}
        return self.mark is not None and 2 * self.weight(either) > self.total

    def first(self, cells: Iterable[str]) -> int:
        """The row of the first of these."""
        cells = set(cells)
        among = np.array([cell in cells for cell in self.cells])
        return int(among[self.places].argmax())

    def at(self, row: int) -> str:
        return self.cells[self.places[row]]

    def spread(self, table: Mapping[str, Any], missing: Any, dtype: Any) -> Array:
        """Each row's value of a table of the different texts."""
        return np.fromiter((table.get(cell, missing) for cell in self.cells), dtype, len(self.cells))[self.places]


def begins_with_zero(cell: str) -> bool:
    """Whether a text is written as a code, as 007 in the figures of any script; 0 € and 0% are not."""
    return cell[:2].isdecimal() and len(cell) > 1 and int(cell[0]) == 0


def is_number(text: str) -> bool:
    """Whether a text is a number, with either decimal mark."""
    return any(number_in(text, mark) is not None for mark in numbers.DECIMALS)


def number_in(cell: str, mark: str) -> numbers.Read | None:
    """(number, unit, digits) of a text, or None."""
    if mark == "." and "_" not in cell:  # Python's own 1_000 is a text
        try:
            value = float(cell)
        except ValueError:
            return numbers.dressed(cell, mark)
        return None if math.isnan(value) else (value, "", cell.lstrip("+-") if cell.lstrip("+-").isdigit() else "")
    return numbers.dressed(cell, mark)


def columns(
    raws: list[Raw],
    place: Place,
    mark: Literal[".", ",", None] | None = None,
    delimiter: str | None = None,
    kinds: dict[str, str] | None = None,
    steps: Iterator[object] | None = None,
) -> tuple[list[Column], list[str]]:
    """Columns of their kinds, and sentences on what was understood.

    Parameters
    ----------
    raws : list of Raw
    place : Place
    mark : {".", ",", None}
        The decimal mark; None finds it out.
    delimiter : str or None
        Of the file: with commas between cells, 1,234 is a thousand.
    kinds : dict of str to str, optional
        Kinds of columns that are known.
    steps : iterator, optional
        Is taken one step further at each column.

    Returns
    -------
    columns : list of Column
    notes : list of str

    Raises
    ------
    ValueError
        For a text among numbers or dates, infinity, or what may be read in two ways.
    """
    kinds = kinds or {}
    texts = {}
    for raw in raws:
        if raw.values is None or kinds.get(raw.name) in ("text", "date", IGNORED):
            texts[raw.name] = _Texts(raw)
    for column in texts.values():
        if kinds.get(column.name) == "number" or (
            column.may_count and column.name not in kinds and not _are_dates(column.known)
        ):
            column.look()
    counted = [column for column in texts.values() if column.mostly_numbers]
    of_others = None
    if mark is None and any(column.sure or column.open for column in counted):
        of_others = _mark_of_all(counted, raws)
    notes: list[str] = []
    done = []
    heard: dict[str, list[str]] = {}
    for raw in raws:
        if steps is not None:
            next(steps)
        if raw.name in texts:
            column = _column(texts[raw.name], place, (mark, of_others, delimiter), kinds.get(raw.name), heard)
        else:
            column = _plain(raw, kinds.get(raw.name), place, heard)
        done.append(column)
    for place_, column in enumerate(done):
        first = place_ == 0 and len(done) > 2
        if column.name not in kinds and identifies(column, first):
            done[place_] = column._replace(identifies=True)
            heard.setdefault("names each row, as an id does", []).append(column.name)
    for what, names in heard.items():
        shown = ", ".join(map(checks.shown, names[:9])) + (f", ... ({len(names)} in all)" if len(names) > 9 else "")
        notes.append(f"Column{'s' * (len(names) > 1)} {shown}: {what}.")
    return done, notes


def _are_dates(texts):
    """Whether all have the form of a date, and of nothing else."""
    if not dates.is_like_one(texts[0]):
        return False
    few = [texts[first] for first in dates.firsts_of_shapes(texts)]
    return all(map(dates.is_like_one, few)) and not any(map(is_number, few))


def known_of(names, kinds, otherwise):
    """The kinds that are known of some columns, and of the others one for all, or none."""
    return {**({} if otherwise is None else dict.fromkeys(names, otherwise)), **(kinds or {})}


def _mark_of_all(counted, raws):
    """The decimal mark that all columns agree on which are sure of theirs, or None."""
    found = {mark for column in counted if len(column.sure) == 1 for mark in column.sure}
    found |= {raw.mark for raw in raws if raw.values is not None and raw.mark}
    return found.pop() if len(found) == 1 else None


def _plain(raw, kind, place, heard):
    values = raw.values
    bad = np.flatnonzero(np.isinf(values))
    if bad.size:
        raise place.refusal("a finite number", bad[0], raw.name, _cell(raw, bad[0]))
    missing = np.isnan(values)
    if kind == "boolean":
        bad = np.flatnonzero(~missing & (values != 0) & (values != 1))
        if bad.size:
            raise place.refusal("a boolean", bad[0], raw.name, _cell(raw, bad[0]))
        return Column(raw.name, "boolean", values)
    if missing.all():
        heard.setdefault("without values", []).append(raw.name)
    for what in raw.said:
        heard.setdefault(what, []).append(raw.name)
    return Column(raw.name, "number", values, is_whole(values, raw.whole))


def _cell(raw, row):
    cells, places = raw.texts()
    return cells[places[row]]


def is_whole(values: Array, written: bool) -> bool:
    """Whether numbers are integers; pandas gives a point to those of a column with missing ones."""
    missing = np.isnan(values)
    whole = values[~missing] if missing.any() else values
    return bool((written or missing.any()) and whole.size and (whole == np.rint(whole)).all())


def _column(column, place, marks, kind, heard):
    """The Column of texts."""
    if kind in ("text", IGNORED):
        return _text(column)
    if not column.known:
        heard.setdefault("without values", []).append(column.name)
        missing = np.full(len(column.places), np.nan)
        return Column(column.name, kind or "number", missing.astype("datetime64[s]") if kind == "date" else missing)
    if kind in (None, "boolean"):
        values = _booleans(column, place, kind)
        if values is not None:
            return Column(column.name, "boolean", values, words=_words(column))
    if kind == "number" or (kind is None and column.mostly_numbers):
        return _numbers(column, place, marks, kind, heard)
    if kind == "date" or (kind is None and column.may_count):
        found = _dates(column, place, kind, heard)
        if found is not None:
            return found
    if (
        kind is None
        and column.may_count
        and 2 * column.weight(filter(_NUMBER_BEGINS.match, column.known)) > column.total
    ):
        heard.setdefault("texts, though most of them begin with numbers", []).append(column.name)
    return _text(column)


def _text(column):
    known = set(column.known)
    values = np.array([*(cell if cell in known else None for cell in column.cells), None], object)
    return Column(column.name, "text", values[column.places])


def _booleans(column, place, kind):
    if kind is None and len(column.known) > _MOST_SPELLINGS:
        return None
    table = {cell: cell.casefold() for cell in column.known}
    words = set(table.values())
    for number, (no, yes) in enumerate(_BOOLEANS):
        if number == 0 and words & {no, yes}:  # beside which 0 and 1 are the same
            words -= {"0", "1"}
        if words == {no, yes} or (words <= {no, yes} and (number < _ALONE or kind)):
            return column.spread({cell: word in (yes, "1") for cell, word in table.items()}, np.nan, np.float64)
    if kind is None:
        return None
    if words <= {"0", "1", "0.0", "1.0"}:
        return column.spread({cell: float(cell) for cell in table}, np.nan, np.float64)
    some = [
        cell
        for cell, word in table.items()
        if word not in ["0", "1", "true", "false", "yes", "no", "ja", "nein", "t", "f", "y", "n"]
    ]
    row = column.first(some or column.known)
    raise place.refusal("a boolean, as true or no,", row, column.name, column.at(row))


def _words(column):
    """What stands for false and for true, where both have one spelling, and words that are not just these."""
    spelt = {cell.casefold(): cell for cell in column.known}
    pairs = [pair for pair in _BOOLEANS[1:] if len(column.known) == 2 and spelt.keys() == {*pair}]
    return (spelt[pairs[0][0]], spelt[pairs[0][1]]) if pairs else None


def _numbers(column, place, marks, kind, heard):
    name = column.name
    mark, of_others, delimiter = marks

    def refuse(expected, cells, cure=""):
        row = column.first(cells)
        return place.refusal(expected, row, name, column.at(row), cure)

    mark = mark or _mark(column, of_others, delimiter, refuse, heard)
    table = column.numbers[mark]
    others = _known_others(column, table, heard)
    if others and kind is None and _are_codes(column, table, others):
        where = f"{place.rows[:-1]} {place.of(column.first(others))}"
        heard.setdefault(f"texts, though most are numbers, as {checks.shown(others[0])} in {where} is none", []).append(
            name
        )
        return _text(column)
    if others:
        most = f"as in most other {place.rows}," if kind is None else "as expected of this column,"
        cure = ": a missing value is written NA"
        if kind is None:
            cure += ", texts= (--text) keeps all as texts, ignore= (--ignore) leaves them out"
            if column.first(others) == 0 and column.weight(others) == 1:
                cure = ": a second line of names, or one of units, is to be deleted; else" + cure[1:]
        raise refuse(f"a number, {most}", others, cure)
    infinite = [cell for cell, (value, _, _) in table.items() if math.isinf(value)]
    if infinite:
        raise refuse("a finite number", infinite)
    units: dict[str, str] = {}
    for cell, (_, unit, _) in table.items():
        units.setdefault(unit, cell)
    signs = units.keys() - {""}
    plain = [cell for cell, (value, unit, _) in table.items() if not unit and value]
    if len(signs) > 1:
        raise refuse(f"one unit, {' or '.join(sorted(signs))},", list(units.values())[1:])
    if "%" in signs and plain:
        raise refuse(f"percent, as in other {place.rows},", plain)
    large = [
        cell
        for cell, (value, _, digits) in table.items()
        if digits and abs(value) >= _LARGEST and int(digits) != int(abs(value))
    ]
    if large and kind is None:
        heard.setdefault("whole numbers beyond 2^53, which float64 cannot tell apart, are kept as texts", []).append(
            name
        )
        return _text(column)
    if large:
        raise refuse("a number that float64 holds", large)
    whole = all(number[2] for number in table.values())
    if whole and kind is None and any(map(begins_with_zero, table)):
        heard.setdefault("codes with leading zeros, which are kept as texts", []).append(name)
        return _text(column)
    for what in dress(units, table, mark):
        heard.setdefault(what, []).append(name)
    values = column.spread({cell: number[0] for cell, number in table.items()}, np.nan, np.float64)
    return Column(name, "number", values, is_whole(values, whole))


def dress(units, cells, mark):
    """What is to be said of how numbers are written."""
    cells = [*cells]
    said = ["in percent, so that 5% is 5" if unit == "%" else f"amounts of {unit}" for unit in units if unit]
    if mark == "," and any("," in cell for cell in cells):
        said.append(COMMA)
    if any(apart(cell, mark) for cell in cells):
        said.append("read with separators of thousands")
    for sign, power in numbers.MYRIADS.items():
        if any(sign in cell for cell in cells):
            said.append(f"{sign} is read as 10^{power}")
    return said


def _known_others(column, good, heard):
    """What is not among the good cells, and no word for a missing value; such words are told of."""
    others = [cell for cell in column.known if cell not in good]
    words = [cell for cell in others if cell.casefold() in _UNKNOWN]
    if words:
        heard.setdefault(f"{', '.join(map(checks.shown, words))} count{'s' * (len(words) == 1)} as missing", []).append(
            column.name
        )
    return [cell for cell in others if cell not in words]


def _are_codes(column, table, others):
    """Whether a column of numbers and others is one of codes or categories, as 135 and 136A, or 1, 2 and U.

    Where measurements are to be expected, or the other cell may be a unit below the names, it is none.
    """
    if len(others) >= _CODES and column.weight(others) >= _CODES_SHARE * column.total:
        return True
    if not all(cell.isdigit() for cell in table):
        return False
    if all(map(_CODE.fullmatch, others)):
        return not (others[0][0].isalpha() and column.weight(others) == 1 and column.first(others) == 0)
    few = len(table) <= _FEW and column.weight(table) >= _RECURS * len(table)
    return few and all(column.counts[cell] >= _RECURS and not _DIGIT.search(cell) for cell in others)


def _mark(column, of_others, delimiter, refuse, heard):
    """A column's decimal mark: its own where it shows one, or that of the other columns."""
    if column.sure or not column.open:
        return column.mark
    if of_others:
        return of_others
    commas = [cell for cell in column.open if "," in cell]
    if commas and delimiter != ",":
        raise refuse("numbers to read in one way only", commas, ": decimal= (--decimal) names the mark of decimals")
    if not commas and delimiter == ";":
        heard.setdefault("its point is taken for that of decimals, which decimal=',' changes", []).append(column.name)
    return "."


def apart(cell, mark):
    """Whether a number has separators of thousands."""
    return _APART[mark].search(cell) is not None


def _dates(column, place, kind, heard):
    values, order, short = dates.dates(column.known)
    table = dict(zip(column.known, values, strict=True))
    sound = [cell for cell, good in zip(column.known, ~np.isnat(values), strict=True) if good]
    if kind is None and 2 * column.weight(sound) <= column.total:
        like = list(filter(dates.is_like_one, column.known))
        if 2 * column.weight(like) <= column.total:
            return None
    others = _known_others(column, set(sound), heard)
    if others:
        row = column.first(others)
        raise place.refusal(f"a date, as in most other {place.rows},", row, column.name, column.at(row))
    if order == dates.UNDECIDED:
        row = column.first(sound)
        cure = ": ISO's 2020-12-31 tells it, and ignore= (--ignore) leaves the column out"
        raise place.refusal("dates that tell whether day or month comes first", row, column.name, column.at(row), cure)
    if order:
        heard.setdefault(f"dates with the {order}", []).append(column.name)
    if short:
        heard.setdefault("dates whose years of two figures are read as 1969 to 2068", []).append(column.name)
    return Column(column.name, "date", column.spread(table, np.datetime64("NaT"), "datetime64[s]"))


def identifies(column: Column, first: bool) -> bool:
    """Whether values name their rows: all different, and an id by name, by form or by counting.

    `first` says that the column stands before others, where tables have what counts the rows.
    """
    values = column.values
    n = len(values)
    if n < 2 or not (column.kind == "text" or (column.kind == "number" and column.whole)):
        return False
    named = _ID_NAME.fullmatch(column.name) is not None
    if column.kind == "number":
        if np.isnan(values).any():
            return False
        counts = first and n >= _FEWEST_IDS and values[0] in (0, 1) and (np.diff(values) == 1).all()
        return bool(counts) or (named and len(np.unique(values)) == n)
    long = str(values[0]).isdigit() and len(str(values[0])) > _MOST_EXACT  # no float64 tells these apart
    if n < _FEWEST_IDS and not (named or long):
        return False
    if values[0] is None or len(set(values.tolist())) < n or None in values.tolist():
        return False
    return named or all(map(_ID_TEXT.fullmatch, values.tolist()))
