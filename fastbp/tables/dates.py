"""Texts as dates and times."""

from __future__ import annotations

import contextlib
import re
from functools import partial
from typing import Any

import numpy as np

from fastbp.tables.shapes import shapes, whole_numbers

__all__ = ["ISO", "UNDECIDED", "dates", "firsts_of_shapes", "is_like_one"]

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_NAMED = (
    r"(?P<{}>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_TIME = (
    r"(?:(?:\s+|T)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?\s*(?P<half>[ap]\.?m\.?)?"
    r"\s*(?P<zone>Z|UTC|GMT|[-+]\d{2}(?::?\d{2})?)?)?"
)
#: Year first, day first with points, month by its name, and a number before a number.
_DATE = re.compile(
    r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+)?(?:"
    r"(?P<y1>\d{4})(?P<s1>[-/.])(?P<m1>\d{1,2})(?:(?P=s1)(?P<d1>\d{1,2}))?"
    r"|(?P<d2>\d{1,2})\.(?P<m2>\d{1,2})\.(?P<y2>\d{4})"
    r"|(?P<d6>\d{2})\.(?P<m6>\d{2})\.(?P<y6>\d{2})"
    rf"|{_NAMED.format('m3')}\.?\s+(?P<d3>\d{{1,2}}),?\s+(?P<y3>\d{{4}})"
    rf"|(?P<d4>\d{{1,2}})[-\s.]+{_NAMED.format('m4')}[-\s.,]+(?P<y4>\d{{4}}|\d{{2}})"
    rf"|{_NAMED.format('m7')}[-\s.,]+(?P<y7>\d{{4}})"
    r"|(?P<a>\d{1,2})(?P<s5>[-/])(?P<b>\d{1,2})(?P=s5)(?P<y5>\d{4}|\d{2})"
    ")" + _TIME,
    re.IGNORECASE,
)
ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?")  # as NumPy reads it
#: Years, months and days of China and Japan.
_NAMED_BEHIND = re.compile(r"(\d{4})\s*年\s*(\d{1,2})\s*月(?:\s*(\d{1,2})\s*[日号])?")
_LONGEST = 64  # characters of any date
_FIGURE, _BLANK = re.compile(r"\d"), re.compile(r"\s")
#: What `dates` says of the order of day and month.
UNDECIDED = "undecided"


def is_like_one(text: str) -> bool:
    """Whether a text has the form of a date, which may still have no such day."""
    found = _DATE.fullmatch(_plain(text)) if len(text) <= _LONGEST else None
    return found is not None and not (found["m1"] and not found["d1"])  # 1234-56 may be anything


def firsts_of_shapes(texts):
    """The first place of each shape among texts: what one of a shape is, all are, as far as forms go."""
    return shapes(_characters(texts))[0].tolist()


def dates(texts):
    """Texts as datetime64[s] in UTC, NaT where one is no date, and the order of their numbers.

    Parameters
    ----------
    texts : list of str

    Returns
    -------
    values : numpy.ndarray
    order : {"day first", "month first", "undecided", None}
        Of dates such as 3/4/2020; None where there are none, or the order makes no difference.
    short : bool
        Whether a year has two figures, which are read as 1969 to 2068.

    Examples
    --------
    >>> dates(["2020-02-29", "2020-02-30", "2020-01-01T12:00+02:00"])[0].astype(str).tolist()
    ['2020-02-29T00:00:00', 'NaT', '2020-01-01T10:00:00']
    >>> dates(["3/4/2020", "13/4/2020"])[1]
    'day first'
    """
    if all(map(ISO.fullmatch, texts)):
        with contextlib.suppress(ValueError):  # of a day or hour that there is not
            return np.array(texts, "datetime64[s]"), None, False
    characters = _characters(texts)
    firsts, places = shapes(characters)
    values = np.full(len(texts), np.datetime64("NaT"), "datetime64[s]")
    found = []  # rows of a shape, its match, and the numbers of a group in each row
    for place, first in enumerate(firsts.tolist()):
        match = _DATE.fullmatch(characters[first].tobytes().rstrip(b"\0").decode("ascii"))
        if match:
            rows = np.flatnonzero(places == place)
            found.append((rows, match, partial(_number, characters, rows, match)))
    pairs = [(number("a"), number("b")) for _, match, number in found if match["a"]]
    order = None
    if pairs:
        a, b = map(np.concatenate, zip(*pairs, strict=True))
        day_first, month_first = (a > 12).any(), (b > 12).any()
        if day_first == month_first and (a != b).any():
            order = UNDECIDED
        elif day_first or month_first:
            order = "day first" if day_first else "month first"
        short = [number("y5").max() for _, match, number in found if match["a"] and len(match["y5"]) == 2]
        if short and order != "month first" and max(short) <= 31:  # the first may be the year's
            order = UNDECIDED
    for rows, match, number in found:
        values[rows] = _times(match, number, order)
    return values, order, any(len(match[_year(match)]) == 2 for _, match, _ in found)


def _characters(texts):
    """(n, width) uint8: texts in ASCII, the figures and blanks of all scripts among them, and none that is too long."""
    plain = ["" if len(text) > _LONGEST else _plain(text) for text in texts]
    array = np.array([text.encode("ascii", "replace") for text in plain])
    return array.view(np.uint8).reshape(len(texts), -1)


def _plain(text):
    if text.isascii():
        return text
    found = _NAMED_BEHIND.match(text)
    if found:
        text = "-".join(filter(None, found.groups())) + text[found.end() :]
    return _BLANK.sub(" ", _FIGURE.sub(_as_ascii, text))


def _as_ascii(figure):
    return str(int(figure[0]))


def _number(characters, rows, match, group):
    """The figures of a group of a match as a number, in each row of its shape."""
    start = match.start(group)
    places = [start + place for place, each in enumerate(match[group]) if each.isdigit()]
    return whole_numbers(characters[rows[:, np.newaxis], places])


def _year(match):
    """The group of the year."""
    return next(key for key in ("y1", "y2", "y3", "y4", "y5", "y6", "y7") if match[key])


def _times(match, number, order):
    """Times in UTC of a shape's rows."""
    year = number(_year(match))
    day: Any = 1
    hour = minute = second = offset = np.zeros_like(year)
    if match["a"]:
        a, b = number("a"), number("b")
        month_first = (order == "month first") | ((order == UNDECIDED) & (b > 12))  # a date at least
        day, month = np.where(month_first, b, a), np.where(month_first, a, b)
    else:
        named = match["m3"] or match["m4"] or match["m7"]
        if named:
            month = np.full_like(year, _MONTHS.index(named[:3].lower()) + 1)
        else:
            month = number(next(key for key in ("m1", "m2", "m6") if match[key]))
        for key in ("d1", "d2", "d3", "d4", "d6"):
            if match[key]:
                day = number(key)
    if match["m1"] and not match["d1"]:
        month = np.where((year >= 1800) & (year < 2200), month, 0)  # which is none: this is a number of something
    if len(match[_year(match)]) == 2:  # as POSIX reads it
        year = 1900 + year + 100 * (year < 69)
    if match["hour"]:
        hour, minute = number("hour"), number("minute")
        second = number("second") if match["second"] else second
    if match["half"]:
        hour = np.where((hour >= 1) & (hour <= 12), hour % 12 + 12 * (match["half"][0].lower() == "p"), 99)
    zone = match["zone"]
    if zone and zone[0] in "-+":
        hours, minutes = (number("zone"), 0) if len(zone) == 3 else np.divmod(number("zone"), 100)
        offset = (hours * 3600 + minutes * 60) * (-1 if zone[0] == "-" else 1)
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    sound = (month >= 1) & (month <= 12) & (day >= 1) & (days.astype("datetime64[M]") == months)
    sound &= (hour < 24) & (minute < 60) & (second <= 60)
    times = days.astype("datetime64[s]") + (hour * 3600 + minute * 60 + second - offset)
    times[~sound] = np.datetime64("NaT")
    return times
