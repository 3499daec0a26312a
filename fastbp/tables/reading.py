"""Files of tables as columns: CSV and its kin, packed or not, and Parquet."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from fastbp import checks
from fastbp.tables import cells, dates, encodings, frames, kinds, numbers, totals
from fastbp.tables.amounts import amounts
from fastbp.tables.columns import Columns

if TYPE_CHECKING:
    from fastbp._typing import Path

__all__ = ["Table", "columns_of", "read", "read_csv"]

MAX_CATEGORIES = 50  # of a column of texts
_MANY = 256  # rows from which on arrays are quicker than Python's own loops
_FEW = 32  # rows that show what most are
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}[.,]\d{3}")
_INDEX = re.compile(r"(Unnamed: ?[\d.]+)?")


class Table(NamedTuple):
    """What `read_csv` returns.

    Attributes
    ----------
    x : numpy.ndarray
        float64 (n_rows, n_features), numbers as they are and texts one-hot.
    names : list of str
        Of the features; "column=text" where one-hot.
    target : numpy.ndarray
        (n_rows,), int64, float64 or, for texts, object.
    column : str
        Column and file of the target, for messages.
    """

    x: np.ndarray[Any, Any]
    names: list[str]
    target: np.ndarray[Any, Any]
    column: str


# --- columns --------------------------------------------------------------------------------


def read(
    path: Any,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    decimal: Literal[".", ","] | None = None,
    header: bool = True,
    ignore: str | Sequence[str] = (),
    texts: str | Sequence[str] = (),
    kinds_of: Mapping[str, str] | None = None,
    otherwise: str | None = None,
    progress: Callable[[int], object] | None = None,
) -> Columns:
    r"""Read a table of a file, and find out what its columns are.

    What a cell is follows from all cells of its column.  Numbers may have a decimal comma,
    separators of thousands, a currency's sign or percent; booleans are true and false, yes and no,
    ja and nein, t and f, y and n, while 0 and 1 are numbers; dates are ISO's, 31.12.2020,
    12/31/2020, 31/12/2020, Dec 31 2020, with times and zones, which become UTC; everything else is
    text, and so are whole numbers with leading zeros, which are codes.  Cells that are empty, or NA,
    N/A, NaN, null, None, \N, ?, a point or a dash, or an error of Excel's as #DIV/0!, are missing.
    Among whole numbers, such as 136A or a word that recurs make all of them texts, and among numbers
    and dates unknown and its like are missing.  Lines above the names that begin with #, lines below
    that repeat the names, and a last one of totals are left out.  `notes` say so.  What could be read
    in two ways is refused.

    Parameters
    ----------
    path : str, os.PathLike or file opened for bytes
        Text with a row a line and cells apart by commas, semicolons, tabs, bars or blanks, of
        which quotes may stand around each; gzip of it; or Parquet, which pyarrow reads.
    encoding : str, optional
        Python's name of the text's encoding; by default UTF-8, UTF-16, Windows-1252 or GB 18030,
        which is found out.
    delimiter : str, optional
        What stands between cells; found out by default.
    decimal : {".", ","}, optional
        The decimal mark; found out by default.
    header : bool
        Whether the first row names the columns.  Without names they are column1, column2, ...
    ignore : str or sequence of str
        Names of columns that are left out, whatever is in them.
    texts : str or sequence of str
        Names of columns that are texts, though they look like numbers or dates.
    kinds_of : dict of str to str, optional
        Kinds of columns that are known; names that the file has not do no harm.  "ignored" is one,
        too: texts, whatever is in them.
    otherwise : str, optional
        The kind of the columns that `kinds_of` has not; found out by default.
    progress : callable, optional
        ``progress(n)`` is called with each further number of rows that is read, as tqdm's
        `update`.

    Returns
    -------
    Columns
        In the file's order.  A first column that is the index of rows, without a name as pandas
        writes it, is left out, and `notes` say so.

    Raises
    ------
    ValueError
        In one sentence with line and column: for a file without rows, rows of different lengths,
        quotes that do not close, zero bytes, an encoding that is not recognised, columns without a
        name or with another's, a first row of data where names are expected, unknown names in
        `ignore` or `texts`, a text or infinity in a column of measurements, or what can be read in two ways.
    OSError
        For a file that cannot be read.
    ImportError
        For Parquet without pyarrow.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".csv", encoding="utf-8") as file:
    ...     _ = file.write("size;sold;price\n1,5;yes;1.234,50 €\nNA;no;99,00 €\n")
    ...     file.flush()
    ...     table = read(file.name)
    >>> [(column.name, column.kind, column.values.tolist()) for column in table.columns]
    [('size', 'number', [1.5, nan]), ('sold', 'boolean', [1.0, 0.0]), ('price', 'number', [1234.5, 99.0])]
    >>> table.notes[0]
    "Columns 'size', 'price': read with a decimal comma."
    """
    who = "read"
    opened = hasattr(path, "read")
    name = _name_of(path) if opened else checks.path_to_read(who, path)
    _check_options(who, encoding, delimiter, decimal, kinds_of, otherwise)
    header = checks.flag(who, "header", header)
    ignore, texts = (
        [each] if isinstance(each, str) else checks.sequence(who, option, each, "names of columns")
        for option, each in (("ignore", ignore), ("texts", texts))
    )
    kinds_of = {**(kinds_of or {}), **dict.fromkeys(texts, "text")}
    if progress is not None:
        checks.function(who, "progress", progress, "a function of a number of rows")
    with contextlib.nullcontext(path) if opened else open(name, "rb") as file:
        data = file.read()
    if not isinstance(data, bytes):
        raise TypeError(f"{who} expects a file opened for bytes; got {path!r}.")
    if data.startswith(b"PAR1"):
        return frames.of_parquet(name, data, ignore, kinds_of, otherwise, progress)  # whose texts are such
    text, note = encodings.decoded(name, encodings.unpacked(name, data), encoding)
    del data
    grid = cells.grid(name, text, delimiter)
    grid = _without_repeated_names(grid) if header else grid
    names, first, notes = _names(name, grid, header)
    grid, doubts = totals.without(grid, first)
    lines = grid.lines[first:]
    place = kinds.Place(name, lines)
    kept = _kept(name, names, ignore)
    _refuse_unknown(name, names, "be texts", texts)
    steps = _steps(progress, len(lines), 2 * len(kept))
    raws = [_raw(grid, column, first, names[column], decimal) for column in kept if next(steps)]
    known = kinds.known_of(names, kinds_of, otherwise)
    done, heard = kinds.columns(raws, place, decimal, grid.delimiter, known, steps)
    said = [note] if note else []
    return Columns(tuple(done), name, lines, (*said, *grid.notes, *grid.dropped, *notes, *doubts, *heard), grid.dropped)


def columns_of(data, names=None, kinds_of=None, otherwise=None) -> Columns:
    """Columns of a file, a frame or arrays.

    Parameters
    ----------
    data : path, file opened for bytes, frame of pandas or polars, table of pyarrow, dict, list of dicts or array
        A dict of sequences; an array is structured, or (n_rows, n_columns).  What is text in it is looked
        at as in a file: numbers, booleans and dates that are written
        as texts are such.
    names : sequence of str, optional
        Of the columns, in place of those of `data`.
    kinds_of : dict of str to str, optional
        Kinds of columns that are known.
    otherwise : str, optional
        The kind of the others, as `read` has it.

    Returns
    -------
    Columns

    Raises
    ------
    TypeError
        For what is none of these, or a column of other values than numbers, booleans, dates and
        texts.
    ValueError
        As `read`, with rows counted from 0 in place of lines.

    Examples
    --------
    >>> table = columns_of({"size": [1, 2, None], "sold": ["yes", "no", "yes"]})
    >>> [(column.name, column.kind, column.whole) for column in table.columns]
    [('size', 'number', True), ('sold', 'boolean', False)]
    """
    if isinstance(data, str | os.PathLike) or hasattr(data, "read"):
        table = read(data, kinds_of=kinds_of, otherwise=otherwise)
        if names is None:
            return table
        return table._replace(
            columns=tuple(
                column._replace(name=new)
                for column, new in zip(table.columns, frames.checked_names(names, len(table.columns)), strict=True)
            )
        )
    _check_options("columns_of", None, None, None, kinds_of, otherwise)
    return frames.of_object(data, names, kinds_of, otherwise)


def _name_of(file):
    """An opened file's, for messages."""
    name = getattr(file, "name", None)
    return {"<stdin>": "standard input", None: "a file"}.get(name, str(name))


def _steps(progress, n_rows, n):
    """True n times, of each of which `progress` is told its share of the rows."""
    for number in range(n):
        if progress is not None:
            progress(n_rows * (number + 1) // n - n_rows * number // n)
        yield True


def _check_options(who, encoding, delimiter, decimal, kinds_of, otherwise):
    if encoding is not None:
        try:
            "".encode(encoding)
            b"".decode(encoding)
        except (LookupError, TypeError, ValueError):
            raise ValueError(
                f"{who} expects encoding as the name of one, as 'utf-8'; got {checks.shown(encoding)}."
            ) from None
    if delimiter is not None and (
        not isinstance(delimiter, str)
        or len(delimiter) != 1
        or delimiter in '"\r\n\0'
        or delimiter.isalnum()
        or not delimiter.isascii()
    ):
        raise ValueError(
            f"{who} expects delimiter as one character of ASCII, no letter, digit or quote; got "
            f"{checks.shown(delimiter)}."
        )
    if decimal is not None:
        checks.choice(who, "decimal", decimal, tuple(numbers.DECIMALS))
        if decimal == delimiter:
            raise ValueError(f"{who} expects decimal and delimiter to differ; got {decimal!r} for both.")
    for kind in () if kinds_of is None else checks.mapping(who, "kinds_of", kinds_of).values():
        checks.choice(who, "kinds_of", kind, kinds.KINDS)
    if otherwise is not None:
        checks.choice(who, "otherwise", otherwise, kinds.KINDS)


def _names(name, grid, header):
    """Names of the columns, None where one is left out, the first row of data, and notes."""
    width, n_rows = grid.starts.shape
    if not header:
        return [f"column{number}" for number in range(1, width + 1)], 0, []
    names: list[str | None] = [*grid.row(0)]
    notes = []
    for place in (0, *range(width - 1, 0, -1)) if "" in names or str(names[0]).startswith("Unnamed") else ():
        own = names[place]
        if own and not (place == 0 and _INDEX.fullmatch(own) and _counts(grid.strings(0, slice(1, None)))):
            continue
        if place == 0:
            own = f", {own!r}," if own else ""
            notes.append(f"The first column{own} has no name of its own and is left out as an index.")
        elif any(grid.strings(place, slice(1, None))):
            continue
        else:
            notes.append(f"Column {place + 1} has neither a name nor a value and is left out.")
        names[place] = None
    if _refuse_data(name, grid, names):
        notes.append("The first line's 0, 1, 2, ... are taken for names of columns, as pandas writes them.")
    places: dict[str, int] = {}
    for place, column in enumerate(names):
        if column == "":
            raise ValueError(
                f"{name} expects a name for every column in line {grid.lines[0]}; got none for "
                f"column {place + 1} of {width}."
            )
        if column is not None and places.setdefault(column, place) != place:
            raise ValueError(
                f"{name} expects different names of columns in line {grid.lines[0]}; "
                f"got {checks.shown(column)} for columns {places[column] + 1} and {place + 1}."
            )
    if n_rows == 1:
        raise ValueError(f"{name} expects rows below its header; got none.")
    return names, 1, notes


def _without_repeated_names(grid):
    """The grid without rows below the first that are the same, as files one behind another have them."""
    starts, ends = grid.starts, grid.ends
    if len(starts) < 2:
        return grid
    lengths, firsts = ends - starts, grid.codes[starts]
    alike = ((lengths == lengths[:, :1]) & (firsts == firsts[:, :1])).all(axis=0)
    names = grid.row(0)
    repeated = [row for row in np.flatnonzero(alike)[1:].tolist() if grid.row(row) == names]
    if not repeated or any(map(kinds.is_number, names)):
        return grid
    where = ", ".join(str(grid.lines[row]) for row in repeated[:5]) + ", ..." * (len(repeated) > 5)
    return grid.without(repeated, f"Line{'s' * (len(repeated) > 1)} {where}: the names of columns once more, left out.")


def _counts(texts):
    """Whether texts count from 0 or 1."""
    first = texts[0] if texts and texts[0] in ("0", "1") else None
    return first is not None and texts == [str(int(first) + number) for number in range(len(texts))]


def _refuse_data(name, grid, names):
    """Refuse names that are those of a row of data: numbers above numbers, or texts that recur below.

    True where they are 0, 1, 2, ..., as pandas names columns; as data, of more than two columns, that
    is not to be expected.
    """
    named = [(place, each) for place, each in enumerate(names) if each is not None]
    figures = [(place, each) for place, each in named if kinds.is_number(each)]
    for place, each in named if len(named) < _MANY else ():
        if dates.is_like_one(each) and all(map(dates.is_like_one, grid.strings(place, slice(1, 1 + _FEW)))):
            raise ValueError(
                f"{name} expects names of columns in line {grid.lines[0]}, or header=False (--no-header), which reads "
                f"it as data; got {checks.shown(each)} above dates."
            )
    if not figures:
        below = slice(1, 1 + _FEW)
        some = named[:_FEW]
        recurring = [each for place, each in some if each in grid.strings(place, below)]
        if len(recurring) > 1 and 2 * len(recurring) >= len(some):
            raise ValueError(
                f"{name} expects names of columns in line {grid.lines[0]}, or header=False (--no-header), which reads "
                f"it as data; got {checks.shown(recurring[0])}, which is a cell below, too."
            )
        return False
    if [each for _, each in named] == [str(number) for number in range(len(named))] and len(names) > 2:
        return True
    below = slice(1, 1 + _MANY)
    recurs = len(figures) == len(named)
    for place, each in named:
        texts = {text for text in grid.strings(place, below) if text.casefold() not in kinds.MISSING}
        if kinds.is_number(each):
            if not texts or not all(map(kinds.is_number, texts)):
                return False
        elif each in texts:
            recurs = True
    index = names[0] is None and not grid.strings(0, slice(1))[0]  # above which there is no name
    if (index or not recurs) and _may_name([each for _, each in figures]):
        return False
    raise ValueError(
        f"{name} expects names of columns in line {grid.lines[0]}, or header=False (--no-header), which reads it as "
        f"data; got {checks.shown(figures[0][1])} above numbers."
    )


def _may_name(figures):
    """Whether figures beside texts may name columns: years, or three or more at the same distance."""
    if not all(re.fullmatch("[0-9]{1,15}", each) for each in figures):
        return False
    whole = [int(each) for each in figures]
    apart = {after - before for before, after in itertools.pairwise(whole)}
    return all(1900 <= each <= 2100 for each in whole) or (len(whole) > 2 and len(apart) == 1 and apart != {0})


def _kept(name, names, ignore):
    """Places of the columns that are not ignored."""
    known = _refuse_unknown(name, names, "ignore", ignore)
    left_out = set(ignore)
    kept = [place for place, each in enumerate(names) if each is not None and each not in left_out]
    if not kept:
        raise ValueError(f"{name} expects at least one column that is not left out; got {listed(known) or 'none'}.")
    return kept


def _refuse_unknown(name, names, what, asked):
    """The names that there are; ValueError where others are asked for."""
    known = [each for each in names if each is not None]
    unknown = [each for each in asked if each not in known]
    if unknown:
        raise ValueError(
            f"{name} expects columns to {what} among its own, {listed(known)}; got {checks.shown(unknown[0])}"
            f"{checks.meant(unknown[0], known)}."
        )
    return known


def _raw(grid, column, first, name, decimal):
    """A column's numbers where nearly all cells are plain, and its texts when they are asked for."""

    def texts():
        return grid.distinct(column, slice(first, None))

    if grid.starts.shape[1] - first >= _MANY:
        for mark in numbers.DECIMALS if decimal is None else decimal:
            found = _numbers(grid, column, first, mark)
            if found is None:
                continue
            values, pointed = found
            if not pointed and _have_leading_zeros(grid, grid.starts[column, first:], grid.ends[column, first:]):
                break
            if pointed and decimal is None:
                few = grid.strings(column, slice(first, first + _FEW))
                if _may_be_thousands(few, mark) and _may_be_thousands(texts()[0], mark):
                    break
            said = (kinds.COMMA,) if pointed and mark == "," else ()
            return kinds.Raw(name, values, not pointed, texts, mark if pointed else None, said)
        dressed = amounts(grid, column, first, decimal or numbers.DECIMALS)
        if dressed is not None:
            values, whole, mark, heard = dressed
            return kinds.Raw(name, values, whole, texts, mark, tuple(heard))
    return kinds.Raw(name, None, False, texts)


def _numbers(grid, column, first, mark):
    """A column's numbers, and whether any of them is written with a mark or a power; or None."""
    found = numbers.plain(grid.codes, grid.starts[column, first:], grid.ends[column, first:], mark)
    if found is None:
        return None
    values, rest, pointed = found
    for row, cell in zip(rest.tolist(), grid.strings(column, first + rest), strict=True):
        if cell.casefold() in kinds.MISSING:
            values[row] = np.nan
            continue
        number = kinds.number_in(cell, mark)
        if number is None or number[1] or number[2] or kinds.apart(cell, mark):  # dressed, or an integer of many digits
            return None
        values[row] = number[0]
        pointed = True
    return values, pointed


def _have_leading_zeros(grid, starts, ends):
    return bool(((grid.codes[starts] == ord("0")) & (ends - starts > 1)).any())


def _may_be_thousands(texts, mark):
    """Whether marks may be those of thousands in all cells that have one."""
    return all(_THOUSANDS.fullmatch(text) for text in texts if mark in text)


def listed(names: Sequence[str], most: int = 20) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(map(checks.shown, names[:most])) + more


# --- tables ---------------------------------------------------------------------------------


def read_csv(path: Path, target: str) -> Table:
    r"""Read a file as `read` does, its texts one-hot, and a column to predict.

    Parameters
    ----------
    path : str or os.PathLike
    target : str
        The column to predict.

    Returns
    -------
    Table

    Raises
    ------
    ValueError
        As `read`, and for an unknown target, no other column, a missing value, a date, or more
        than 50 different texts in a feature.
    OSError
        For a file that cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
    ...     _ = file.write("size,colour,price\n1,red,3.5\n2,blue,4.5\n")
    ...     file.flush()
    ...     table = read_csv(file.name, target="price")
    >>> table.names
    ['size', 'colour=blue', 'colour=red']
    >>> table.x
    array([[1., 0., 1.],
           [2., 1., 0.]])
    >>> table.target
    array([3.5, 4.5])
    """
    table = read(checks.path_to_read("read_csv", path))
    name, lines = table.source, table.lines
    assert lines is not None
    if target not in table.names:
        raise ValueError(
            f"{name} expects the target to be one of its columns {listed(table.names)}; got "
            f"{'none' if target is None else repr(target)}."
        )
    if len(table.columns) == 1:
        raise ValueError(f"{name} expects a column beside the target {target!r}; got none.")
    names: list[str] = []
    parts = []
    for column, kind, values, *_ in table.columns:
        place = kinds.Place(name, lines)
        missing = values == None if kind == "text" else np.isnan(values)  # noqa: E711
        if missing.any():
            line = lines[np.flatnonzero(missing)[0]]
            raise ValueError(f"{name} expects a value in line {line}, column {checks.shown(column)}; got none.")
        if kind == "date":
            raise place.refusal("numbers or texts", 0, column, str(values[0]))
        if column == target:
            continue
        if kind != "text":
            names.append(column)
            parts.append(values[:, np.newaxis])
            continue
        categories = sorted(set(values))
        if len(categories) > MAX_CATEGORIES:
            raise ValueError(
                f"{name} expects at most {MAX_CATEGORIES} different texts in column "
                f"{checks.shown(column)}, which become a feature each; got {len(categories)}, "
                f"as {checks.shown(values[0])} in line {lines[0]}."
            )
        names += [f"{column}={category}" for category in categories]
        parts.append(values[:, np.newaxis] == np.array(categories, object))
    t = table.column(target)
    whole = t.kind == "boolean" or (t.whole and np.abs(t.values).max() <= 1 << 53)
    values = t.values.astype(np.int64) if whole else t.values
    return Table(np.hstack(parts).astype(np.float64), names, values, f"column {target!r} of {name}")
