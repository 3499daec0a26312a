"""Cells as numbers: plain ones many at a time, and those that are dressed as people write them."""

from __future__ import annotations

import functools
import math
import re
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from fastbp._typing import Array

__all__ = ["CURRENCY", "DECIMALS", "MYRIADS", "PADDING", "dressed", "plain"]

DECIMALS = ".,"
#: (number, unit, digits) of a cell; see `dressed`.
Read: TypeAlias = tuple[float, str, str]
_BLOCK = 1 << 14  # cells at a time, whose digits stay in the L2 cache
_WIDEST = 24  # characters of a plain number
_LONGEST = 64  # characters of any number
_MOST_DIGITS = 19  # of an unsigned integer of 64 bits
PADDING = _WIDEST  # characters behind a text's end, that may be looked at
_OUTSIDE = 0  # in place of what stands behind a cell
_TENS = 10 ** np.arange(9, dtype=np.uint64)
_EXACT = 1 << 53  # no float64 beyond has all integers
_POWERS = 10.0 ** np.arange(23)  # exact in float64
#: Where a long double has 64 bits of fraction, a quotient of integers in it is rounded twice only
#: beside the middle between two float64.
_LONG = np.finfo(np.longdouble).nmant == 63
_LONG_POWERS = np.longdouble(10) ** np.arange(23)

CURRENCY = (
    r"(?:R|US|A|C|NZ|HK|NT|S)?\$|[€£¥￥₹₩₽₺₪₴฿]|EUR|USD|GBP|CHF|JPY|CNY|RMB|INR|BRL|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF"
    r"|zł|Kč|Ft|kr\.?|Fr\.|元"
)
#: What counts behind a number, as powers of ten.
MYRIADS = {"万": 4, "亿": 8}
_SIGN = r"[-+\u2212\u2013]"
#: Before and behind: sign, currency, percent, an accountant's brackets.
_FORM = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>{_SIGN})?\s*(?P<before>{CURRENCY})?\s*(?P<inner>{_SIGN})?"
    rf"(?P<core>[.,]?\d[\d.,'\u2019 \u00a0\u202f\u2009]*(?:[eE][-+]?\d+)?)"
    rf"(?P<myriad>[{''.join(MYRIADS)}])?(?P<after>[-\u2013])?\s*(?P<behind>{CURRENCY}|%)?\s*(?P<close>\))?"
)
_CORE = {
    mark: re.compile(
        rf"(?P<whole>[1-9]\d{{0,2}}(?:(?P<apart>[{other}'\u2019 \u00a0\u202f\u2009])\d{{3}}(?:(?P=apart)\d{{3}})*)"
        rf"|{more}\d*)(?:{re.escape(mark)}(?P<part>\d*))?(?P<power>[eE][-+]?\d+)?"
    )
    for mark, other, more in ((".", ",", r"[1-9]\d?(?:,\d\d)+,\d{3}|"), (",", ".", ""))  # the lakhs of India
}
_NO_DIGITS = re.compile(r"\D")


def plain(codes: Array, starts: Array, ends: Array, mark: str = ".") -> tuple[Array, Array, bool] | None:
    """Cells of digits as float64, rounded as Python's float rounds them.

    Parameters
    ----------
    codes : numpy.ndarray
        A text's characters as numbers, uint8, and `PADDING` others behind them.
    starts, ends : numpy.ndarray
        (n,), the places of the cells in it.
    mark : str
        That of decimals.

    Returns
    -------
    values : numpy.ndarray
        (n,) float64, NaN where a cell is empty.
    rest : numpy.ndarray
        Places of the cells that are no digits with at most a sign and a mark, or too many of them.
    pointed : bool
        Whether there is a mark in a cell.

    None in place of all three for cells that are something else.
    """
    lengths = ends - starts
    if lengths.max() > _WIDEST:
        return None
    # The eight characters from each on, as the text lies; behind its end there are as many more.
    words = np.ndarray(len(codes) - 7, np.uint64, codes, strides=(1,))
    values = np.empty(len(starts))
    known = np.empty(len(starts), bool)
    pointed = False
    for first in range(0, len(starts), _BLOCK):
        part = slice(first, first + _BLOCK)
        values[part], known[part], has_point = _block(words, starts[part], lengths[part], ord(mark))
        pointed |= has_point
        if not first and not known[part].any():
            return None
    return values, np.flatnonzero(~known), pointed


def _block(words, starts, lengths, mark):
    n, width, least = len(starts), int(lengths.max()), int(lengths.min())
    mantissa = np.zeros(n, np.uint64)
    digits, decimals = np.zeros(n, np.uint8), np.zeros(n, np.uint8)
    point, bad, minus = np.zeros(n, bool), np.zeros(n, bool), np.zeros(n, bool)
    for place in range(width):
        if place % 8 == 0:  # eight characters by one look into the text
            eight = np.ascontiguousarray(words[starts + place].view(np.uint8).reshape(n, 8).T)
            number, before = np.zeros(n, np.uint32), digits.copy()
        code = eight[place % 8]
        if place >= least:
            code[lengths <= place] = _OUTSIDE
        digit = code - np.uint8(48)
        is_digit = digit < 10
        digit *= is_digit
        other = ~is_digit
        number *= is_digit * np.uint8(9) + np.uint8(1)
        number += digit
        digits += is_digit
        if point.any():
            decimals += is_digit & point
        if other.any():
            is_mark = code == mark
            bad |= is_mark & point
            point |= is_mark
            other &= ~is_mark & (code != _OUTSIDE)
            if place == 0:
                minus = code == 45
                other &= ~minus & (code != 43)
            bad |= other
        if place % 8 == 7 or place == width - 1:
            mantissa = mantissa * _TENS[digits - before] + number
    known = ~bad & (digits > 0) & (digits <= _MOST_DIGITS)
    scale = np.minimum(decimals, _MOST_DIGITS)
    small = mantissa < _EXACT
    values = mantissa.astype(np.float64) / _POWERS[scale]
    known &= small | (point & _LONG)
    large = np.flatnonzero(known & ~small)
    if large.size:
        quotient = mantissa[large].astype(np.longdouble) / _LONG_POWERS[scale[large]]
        beyond = quotient.view(np.uint64)[::2] & np.uint64(0x7FF)  # what float64 has no place for
        values[large] = quotient.astype(np.float64)
        known[large[np.abs(beyond.astype(np.int64) - 0x400) <= 1]] = False
    np.negative(values, out=values, where=minus)
    empty = lengths == 0
    values[empty] = np.nan
    return values, known | empty, bool((point & known).any())


@functools.lru_cache(1)
def _form(cell):  # which is asked for each mark
    return _FORM.fullmatch(cell)


def dressed(cell: str, mark: str) -> Read | None:
    """A cell as (number, unit, digits) with this decimal mark, or None where it is none.

    The unit is a currency's sign, "%" or ""; `digits` are an integer's, "" where it is none.

    Examples
    --------
    >>> dressed("$1,234.50", "."), dressed("1.234,5 %", ","), dressed("1,234.5", ",")
    ((1234.5, '$', ''), (1234.5, '%', ''), None)
    """
    form = _form(cell) if len(cell) <= _LONGEST else None
    if form is None or (form["open"] is None) != (form["close"] is None) or (form["before"] and form["behind"]):
        return None
    written = form["core"].rstrip()
    no_cents = form["after"] is not None and written[-1] in DECIMALS  # as 5,- €
    if no_cents and written[-1] != mark:
        return None
    signs = [sign for sign in form.group("sign", "inner") if sign] + ["-"] * (
        form["after"] is not None and not no_cents
    )
    if len(signs) > 1:
        return None
    core = _CORE[mark].fullmatch(written)
    if core is None or not (core["whole"] or core["part"]):
        return None
    whole = _NO_DIGITS.sub("", core["whole"])
    power = int((core["power"] or "e0")[1:]) + MYRIADS.get(form["myriad"], 0)
    value = float(f"{whole or '0'}.{core['part'] or '0'}e{power}")
    minus = (form["open"] is not None) != (signs not in ([], ["+"]))
    digits = whole if core["part"] is None and not core["power"] and not form["myriad"] else ""
    return math.copysign(value, -1 if minus else 1), form["before"] or form["behind"] or "", digits
