"""CSV files as arrays, read and checked."""

import contextlib
import csv
import io
import itertools
import re
from typing import NamedTuple

import numpy as np

from fastbp import checks

__all__ = ["Table", "read_csv"]

MAX_CATEGORIES = 50  # of a column of texts
_SNIFFED = 1 << 16  # characters, below csv's own limit of a field
#: What numbers are dressed in elsewhere: separators of thousands, units, an accountant's brackets.
_DRESS = str.maketrans({"\u2212": "-"} | dict.fromkeys(" \u00a0\u202f\u2009'\u2019,%$€£¥()\0", ""))
_INTEGER = re.compile(r"[+-]?\d{1,19}")  # most of these are an int64


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

    x: np.ndarray
    names: list[str]
    target: np.ndarray
    column: str


# --- reading --------------------------------------------------------------------------------


def read_csv(path, target):
    r"""Read a CSV file of numbers and texts, whose first line names the columns.

    Parameters
    ----------
    path : str or os.PathLike
        UTF-8, with or without a byte-order mark; fields separated by commas, semicolons or
        tabs, which is found out.
    target : str
        The column to predict.

    Returns
    -------
    Table
        A column is numeric if more than half of its fields are numbers; the others are texts.

    Raises
    ------
    ValueError
        For a file that is empty, without rows or not UTF-8, a column without a name or with
        another's, an unknown target, a row with fields too many or too few, an empty field, a
        text, NaN or inf in a numeric column, numbers with a decimal comma, separators of
        thousands, signs of currencies or percent, or more than 50 different texts in a feature.
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
    name = checks.regular_file("read_csv", checks.path("read_csv", path))
    (header, *rows), (_, *lines) = _rows(name)
    if target not in header:
        raise ValueError(
            f"{name} expects the target to be one of its columns {_listed(header)}; got "
            f"{'none' if target is None else repr(target)}."
        )
    if len(header) == 1:
        raise ValueError(f"{name} expects a column beside the target {target!r}; got none.")
    columns = {
        column: _column(name, column, cells, lines)
        for column, cells in zip(header, zip(*rows, strict=True), strict=True)
    }
    t = columns.pop(target)
    names: list[str] = []
    parts = []
    for column, values in columns.items():
        if values.dtype != object:
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
    return Table(np.hstack(parts).astype(np.float64), names, t, f"column {target!r} of {name}")


def _rows(name):
    """The rows, header first, as lists of fields, and the line in which each begins."""
    with open(name, "rb") as file:
        data = file.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{name} expects text in UTF-8; got byte 0x{error.object[error.start]:02x} in line {line}."
        ) from None
    rows: list[list[str]] = []
    lines = []
    line = 1
    reader = _reader(text, _delimiter(text), strict=True)
    try:
        for row in reader:
            row = [field.strip() for field in row]
            if len(row) > 1 or any(row):  # not a blank line
                if rows and len(row) != len(rows[0]):
                    raise ValueError(
                        f"{name} expects {checks.plural(len(rows[0]), 'field')} in line {line}, "
                        f"as in its header; got {len(row)}."
                    )
                rows.append(row)
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{name} expects well-formed CSV; got in line {line}: {error}.") from None
    if not rows:
        raise ValueError(f"{name} expects a header and rows; got an empty file.")
    _check_header(name, rows[0], lines[0])
    if len(rows) == 1:
        raise ValueError(f"{name} expects rows below its header; got none.")
    return rows, lines


def _reader(text, delimiter, strict):
    lines = io.StringIO(text, newline="")
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=strict)


def _delimiter(text):
    """The one that gives header and first row the same number of fields, and the most."""

    def merit(delimiter):
        rows = filter(None, _reader(text[:_SNIFFED], delimiter, strict=False))
        widths = [len(row) for row in itertools.islice(rows, 2)]
        return len(widths) == 2 and widths[0] == widths[1] > 1, widths[:1]

    return max(",;\t", key=merit)


def _check_header(name, header, line):
    places: dict[str, int] = {}
    for place, column in enumerate(header):
        if not column:
            raise ValueError(
                f"{name} expects a name for every column in line {line}; got none for "
                f"column {place + 1} of {len(header)}."
            )
        if places.setdefault(column, place) != place:
            raise ValueError(
                f"{name} expects different names of columns in line {line}; "
                f"got {checks.shown(column)} for columns {places[column] + 1} and {place + 1}."
            )


def _column(name, column, cells, lines):
    """A column's numbers as int64 or float64, or its texts as objects."""

    def refuse(expected, row, came):
        raise ValueError(f"{name} expects {expected} in line {lines[row]}, column {checks.shown(column)}; got {came}.")

    if "" in cells:
        refuse("a value", cells.index(""), "an empty field")
    numbers = [_number(cell) for cell in cells]
    n_texts = numbers.count(None)
    if 2 * n_texts >= len(cells):
        commas = [row for row, cell in enumerate(cells) if "," in cell]
        if commas and all(_number(cell.replace(",", ".")) is not None for cell in cells):
            refuse("numbers with a decimal point", commas[0], checks.shown(cells[commas[0]]))
        if all(_number(cell.translate(_DRESS)) is not None for cell in cells):
            row = numbers.index(None)
            refuse("plain numbers, as -1234.5,", row, checks.shown(cells[row]))
        return np.array(cells, object)
    if n_texts:
        row = numbers.index(None)
        refuse("a number, as in most other lines,", row, checks.shown(cells[row]))
    values = np.array(numbers, np.float64)
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        refuse("a finite number", row, checks.shown(cells[row]))
    if all(_INTEGER.fullmatch(cell) for cell in cells):
        with contextlib.suppress(OverflowError):
            return np.array(list(map(int, cells)), np.int64)  # beyond 2^53 no float64 is exact
    return values


def _number(text):
    try:
        return None if "_" in text else float(text)  # Python's own 1_000 is a text
    except ValueError:
        return None


def _listed(names, most=20):
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(map(checks.shown, names[:most])) + more
