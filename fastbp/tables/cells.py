"""The text of a table as a grid of cells, by their places in it."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastbp import checks
from fastbp.tables import numbers

__all__ = ["Grid", "distinct", "grid"]

DELIMITERS = ",;\t|"
_RARE = "^~:\x01\x1f"  # which are to be named
_SNIFFED = 1 << 16  # characters, below csv's own limit of a field
_SNIFFED_ROWS = 21
_SOME = 0.2  # of words, which are cells where so many are numbers
_LONGEST = 131_072  # characters of a cell, csv's own limit
_MANY = 256  # rows from which on arrays are quicker than Python's own loops
_WIDEST = 32  # characters of cells that are compared as arrays
_MASKS = (np.tri(9, 8, -1, np.uint8) * np.uint8(255)).view(np.uint64).ravel()  # of the first 0 to 8 characters
_FOREIGN = 255  # stands for all characters beyond it, in arrays
_LONGEST_NUMBER = 64  # characters, beyond which nobody asks
_TRIMMED = 1000  # blanks at either end of a cell
_TOLD = re.compile(r"sep=([^\w\"\r\n])(?:\r\n|\r|\n)", re.IGNORECASE | re.ASCII)  # as Excel writes it
_ENDING_BLANKS = re.compile(r" +(?=[\r\n]|$)")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")
_APART = re.compile(r"[-+]?\d{1,3}(?: \d{3})+")  # thousands
_COUNTED = 3  # rows that show that numbers are those of the rows
_NUMERIC = re.compile(r"[-+]?[\d.,' ]*\d[\d.]*\s*%?|")


class Grid(NamedTuple):
    """Cells, the first row's too, which may be names.

    Attributes
    ----------
    text : str
    codes : numpy.ndarray
        The text's characters as numbers, uint8, with `numbers.PADDING` zeros behind them.
    starts, ends : numpy.ndarray
        (n_columns, n_rows) of int64, the places in `text` of each cell.
    lines : numpy.ndarray
        (n_rows,) int64, the line in which each row begins.
    delimiter : str
    notes : tuple of str
    dropped : tuple of str
        What is to be said of rows that were left out.
    """

    text: str
    codes: np.ndarray[Any, Any]
    starts: np.ndarray[Any, Any]
    ends: np.ndarray[Any, Any]
    lines: np.ndarray[Any, Any]
    delimiter: str
    notes: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    def without(self, rows, note):
        """The grid without some rows, of which a sentence tells."""
        kept = np.ones(len(self.lines), bool)
        kept[rows] = False
        starts, ends, lines = self.starts[:, kept], self.ends[:, kept], self.lines[kept]
        return self._replace(starts=starts, ends=ends, lines=lines, dropped=(*self.dropped, note))

    def strings(self, column: int, rows: slice | np.ndarray[Any, Any] = slice(None)) -> list[str]:
        """The cells of a column as a list of str, without blanks around them."""
        text = self.text
        places = zip(self.starts[column, rows].tolist(), self.ends[column, rows].tolist(), strict=True)
        return [text[start:end].strip() for start, end in places]

    def distinct(self, column: int, rows: slice = slice(None)) -> tuple[list[str], np.ndarray[Any, Any]]:
        """The different cells of a column in their order, and of each row the place of its own among them."""
        starts, ends = self.starts[column, rows], self.ends[column, rows]
        lengths = ends - starts
        if len(starts) < _MANY or lengths.max() > _WIDEST or self.codes.max() == _FOREIGN:
            return distinct(self.strings(column, rows))
        words = np.ndarray(len(self.codes) - 7, np.uint64, self.codes, strides=(1,))
        firsts = np.zeros(0, np.int64)
        places = None
        for passed in range(0, max(1, int(lengths.max())), 8):  # eight characters at a time
            word = words[np.minimum(starts + passed, len(words) - 1)] & _MASKS[np.clip(lengths - passed, 0, 8)]
            keys, firsts, own = np.unique(word, return_index=True, return_inverse=True)
            if places is not None:
                _, firsts, own = np.unique(places * len(keys) + own, return_index=True, return_inverse=True)
            places = own
        order = np.argsort(firsts)
        text = self.text
        firsts = firsts[order]
        found = zip(starts[firsts].tolist(), ends[firsts].tolist(), strict=True)
        texts, merged = distinct([text[start:end].strip() for start, end in found])  # without foreign blanks
        back = np.empty_like(order)
        back[order] = merged
        return texts, back[places]

    def row(self, row: int) -> list[str]:
        return [self.text[a:b].strip() for a, b in zip(self.starts[:, row], self.ends[:, row], strict=True)]


class _Fields(NamedTuple):
    """All fields of a text in a row, and of each row how many they are and where it begins."""

    text: str
    codes: np.ndarray[Any, Any]
    starts: np.ndarray[Any, Any]
    ends: np.ndarray[Any, Any]
    widths: np.ndarray[Any, Any]
    lines: np.ndarray[Any, Any]
    blank: np.ndarray[Any, Any]


def distinct(texts: Sequence[str]) -> tuple[list[str], np.ndarray[Any, Any]]:
    """The different ones of texts in their order, and of each the place of its own among them."""
    places: dict[str, int] = {}
    own = np.fromiter((places.setdefault(text, len(places)) for text in texts), np.int64, len(texts))
    return list(places), own


def grid(name: str, text: str, delimiter: str | None = None) -> Grid:
    r"""The cells of a text.

    Rows end with a line, cells with a delimiter, and neither within quotes.  Blank lines are left
    out, and so are a delimiter at the end of every row, and lines above the first row that begin
    with # and have another number of cells.

    Parameters
    ----------
    name : str
        The file's, for messages.
    text : str
    delimiter : str, optional
        One of ``, ; tab |``, or blanks, by default, which is found out.

    Returns
    -------
    Grid

    Raises
    ------
    ValueError
        For no rows, rows of different lengths, quotes that do not close or stand around whole lines,
        zero bytes, or a cell of more than 131,072 characters.

    Examples
    --------
    >>> g = grid("it.csv", 'a;b\n1;"x;y"\n')
    >>> g.delimiter, g.row(1), g.lines.tolist()
    (';', ['1', 'x;y'], [1, 2])
    """
    text = text.removesuffix("\n").removesuffix("\r").removesuffix("\x1a")  # DOS's end of a file
    told = _TOLD.match(text)
    if told and delimiter in (None, told[1]):
        text, delimiter = text[told.end() - 1 :], told[1]
    notes: tuple[str, ...] = ()
    text, n_comments = _without_comments(text, delimiter or DELIMITERS)
    if n_comments:
        notes = (f"The first {checks.plural(n_comments, 'line')}, with # before the text, left out as remarks.",)
    found_out = delimiter is None
    if delimiter is None:
        delimiter = _delimiter(name, text)
        if delimiter == " ":
            notes = (*notes, "Its cells are apart by blanks.")
    original = text
    if delimiter == " ":
        fields = _parsed(name, _ENDING_BLANKS.sub("", text), delimiter)
    else:
        fields = _places(text, delimiter) or _parsed(name, text, delimiter)
    text, codes, starts, ends, widths, lines, blank = fields
    firsts = np.cumsum(widths) - widths
    if blank.all():
        raise ValueError(f"{name} expects a header and rows; got an empty file.")
    if blank.any():
        firsts, widths, lines = firsts[~blank], widths[~blank], lines[~blank]
    width = int(widths[0])
    if width == 1 and found_out:
        _refuse_quoted_lines(name, [text[starts[place] : ends[place]] for place in firsts[:_SNIFFED_ROWS].tolist()])
    others = np.unique(widths[1:])
    extra = 0
    if (others == width + 1).all() and others.size:
        last = firsts[1:] + width
        if (starts[last] == ends[last]).all():
            notes = (*notes, "Each row below the first ends with a delimiter, which is left out.")
            others = others[:0]
        elif _are_names([text[starts[place] : ends[place]] for place in firsts[1:].tolist()]):
            extra = 1  # R writes names of rows, which have no name themselves
    if (others != width + extra).any():
        row = 1 + int(np.flatnonzero(widths[1:] != width)[0])
        zero = original.find("\0")
        if zero >= 0:
            raise ValueError(f"{name} expects text; got a zero byte in line {1 + original.count(chr(10), 0, zero)}.")
        cure = ": a title above the names of columns is to be deleted, and a cell with the delimiter quoted"
        raise ValueError(
            f"{name} expects {checks.plural(width, 'field')} in line {lines[row]}, as in line {lines[0]}; "
            f"got {widths[row]}{cure * (width == 1)}."
        )
    if len(starts) == width * len(lines):
        starts, ends = (each.reshape(-1, width).T for each in (starts, ends))
    else:
        index = firsts + np.arange(width + extra)[:, np.newaxis]
        if extra:
            index[:, 0] = np.maximum(index[:, 0] - 1, 0)
        starts, ends = starts[index], ends[index]
        if extra:
            ends[0, 0] = starts[0, 0]  # the name that is not there
    lengths = ends - starts
    if lengths.max() > _LONGEST:
        row = int(np.flatnonzero((lengths > _LONGEST).any(axis=0))[0])
        raise ValueError(
            f"{name} expects well-formed CSV; got in line {lines[row]}: field larger than {_LONGEST} characters."
        )
    zero = text.find("\0")
    for column, row in np.argwhere((starts <= zero) & (zero < ends)).tolist() if zero >= 0 else ():
        raise ValueError(f"{name} expects text; got a zero byte in line {lines[row]}, column {column + 1}.")
    return Grid(text, codes, starts, ends, lines, delimiter, notes)


def _refuse_quoted_lines(name, cells):
    """Refuse one column whose cells have a delimiter each: whole lines may stand in quotes."""
    for delimiter in DELIMITERS:
        counts = {cell.count(delimiter) for cell in cells}
        if len(cells) > 1 and len(counts) == 1 and counts != {0}:
            raise ValueError(
                f"{name} expects quotes around cells; got them around each line, as {checks.shown(cells[0])}: where "
                "that is one cell, another delimiter= (--delimiter) tells it."
            )


def _without_comments(text, delimiters):
    """The text with its first lines that begin with # emptied, and how many these are.

    A line with as many cells as the one below has the names of columns.
    """
    lines = _LINE.findall(text[:_SNIFFED]) if text.startswith("#") else []
    n = 0
    for line, below in itertools.pairwise(lines):
        if not line.startswith("#"):
            break
        if not below.startswith("#"):
            counts = {each: below.count(each) for each in delimiters if each in below}
            if not counts or any(line.count(each) == count for each, count in counts.items()):
                break
        n += 1
    return "\n" * n + text[sum(map(len, lines[:n])) :], n


def _are_names(texts):
    """Whether texts are all different, and none a number, which may be half of 1,5, but counts the rows."""
    if len(texts) >= _COUNTED and texts == [str(number) for number in range(1, len(texts) + 1)]:
        return True
    return len(set(texts)) == len(texts) and not any(map(_is_numeric, texts))


def _is_numeric(text):
    return len(text) < _LONGEST_NUMBER and _NUMERIC.fullmatch(text) is not None


def _codes(text):
    """A text's characters as numbers of 8 bits, of which the last are zeros behind its end."""
    try:
        return np.frombuffer(text.encode("latin-1") + bytes(numbers.PADDING), np.uint8)
    except UnicodeEncodeError:
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        return np.concatenate([np.minimum(codes, _FOREIGN).astype(np.uint8), np.zeros(numbers.PADDING, np.uint8)])


def _places(text, delimiter):
    """The fields where quotes stand around whole fields or nowhere, or None."""
    if not text.endswith(("\n", "\r")):
        text += "\n"
    codes = _codes(text)
    separator = ord(delimiter)
    is_mark = codes == separator
    for each in '\n\r"':
        if each in text:
            is_mark |= codes == ord(each)
    marks = np.flatnonzero(is_mark)
    kinds = codes[marks]
    # A carriage return before a line feed ends a row, too; what it leaves to the other is blank.
    ends_line = (kinds == 10) | ((kinds == 13) & (codes[marks + 1] != 10))
    lines_ended = np.cumsum(ends_line)
    quotes = kinds == 34
    n_quotes = None
    if quotes.any():
        n_quotes = np.cumsum(quotes)
        if n_quotes[-1] % 2:
            return None
        kept = ~quotes & (n_quotes % 2 == 0)
        marks, kinds, lines_ended = marks[kept], kinds[kept], lines_ended[kept]
        n_quotes = np.diff(n_quotes[kept], prepend=0)
    starts, ends = np.concatenate([[0], marks[:-1] + 1]), marks.copy()
    _trim(codes, starts, ends)
    last = np.flatnonzero(kinds != separator)  # of each row
    widths = np.diff(last, prepend=-1)
    lines = 1 + np.concatenate([[0], lines_ended[last[:-1]]])
    blank = (widths == 1) & (starts == ends)[last]  # an empty text in quotes is none
    if n_quotes is not None:
        quoted = np.flatnonzero(n_quotes)
        first, past = starts[quoted], ends[quoted]
        if not ((n_quotes[quoted] == 2) & (codes[first] == 34) & (codes[past - 1] == 34)).all():
            return None
        starts[quoted] += 1
        ends[quoted] -= 1
    return _Fields(text, codes, starts, ends, widths, lines, blank)


def _trim(codes, starts, ends):
    """Move the places, in place, past blanks."""
    for places, step, look in ((starts, 1, 0), (ends, -1, -1)):
        found = codes[places + look]  # of the first place, which nothing is before, the zero at the end
        live = np.flatnonzero(((found == 32) | (found == 9)) & (starts < ends))
        for _ in range(_TRIMMED):
            if not live.size:
                break
            places[live] += step
            found = codes[places[live] + look]
            live = live[((found == 32) | (found == 9)) & (starts[live] < ends[live])]


def _parsed(name, text, delimiter):
    """The fields as Python's csv finds them, with quotes within quotes, and within fields."""
    cells: list[str] = []
    widths, lines, blank = [], [], []
    line = 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        for row in reader:
            widths.append(len(row))
            lines.append(line)
            blank.append(not row or (row == [""] and widths[0] > 1))
            cells += row
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"{name} expects well-formed CSV; got in line {line}: {str(error).removesuffix('.')}."
        ) from None
    lengths = np.fromiter(map(len, cells), np.int64, len(cells))
    ends = np.cumsum(lengths)
    text = "".join(cells) + "\n"
    return _Fields(text, _codes(text), ends - lengths, ends, *map(np.array, (widths, lines, blank)))


def _delimiter(name, text):
    """The one that gives the most rows as many fields as the first, and the most numbers.

    A blank where none does, but all rows have as many words, of which some are numbers.
    """
    second = text.find("\n", text.find("\n") + 1)
    head = text[: max(_SNIFFED, second + 1)]

    def merit(delimiter):
        text = _ENDING_BLANKS.sub("", head) if delimiter == " " else head
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        try:
            rows = list(itertools.islice(filter(None, reader), _SNIFFED_ROWS + 1))
        except csv.Error:
            return 0, 0.0, 0.0, 0
        if len(head) < len(text) or len(rows) > _SNIFFED_ROWS:  # the last may be cut
            rows = rows[:-1]
        first, *rows = rows or [[]]
        width = len(first)
        if width < 2:
            return 0, 0.0, 0.0, 0
        same = sum(len(row) in (width, width + 1) for row in rows) / max(1, len(rows))
        flat = [cell.strip() for row in rows for cell in row]
        numeric = sum(map(_is_numeric, flat)) / max(1, len(flat))
        return 1, same, numeric, width

    merits = {delimiter: merit(delimiter) for delimiter in DELIMITERS if delimiter in head}
    best = max(merits, key=lambda each: merits[each], default=DELIMITERS[0])
    rivals = [each for each in merits if merits[each][:3] == merits[best][:3] and merits[each][1] == 1]
    if len(rivals) > 1:
        raise ValueError(
            f"{name} expects one delimiter, or delimiter= (--delimiter) that names it; got "
            f"{' and '.join(map(repr, rivals))}, which both part all of the first rows alike."
        )
    if not merits.get(best, (0,))[0]:
        lines = list(filter(None, map(str.strip, head.splitlines()[: _SNIFFED_ROWS + 1])))
        there, same, numeric, _ = merit(" ")
        if there and same == 1 and numeric >= _SOME and not all(map(_APART.fullmatch, lines[1:])):
            return " "
        for rare in _RARE:
            counts = {line.count(rare) for line in lines}
            if len(lines) > 1 and len(counts) == 1 and counts != {0}:
                raise ValueError(
                    f"{name} expects a comma, semicolon, tab or bar between cells, or delimiter= (--delimiter) that "
                    f"names another; got none of them, and {rare!r} in each line."
                )
    return best
