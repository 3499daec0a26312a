"""Texts as dates and times."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import numpy as np

__all__ = ["ISO", "UNDECIDED", "dates", "is_like_one"]

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
_LONGEST = 64  # characters of any date
#: What `dates` says of the order of day and month.
UNDECIDED = "undecided"


def is_like_one(text: Any) -> bool:
    """Whether a text has the form of a date, which may still have no such day."""
    found = _DATE.fullmatch(text) if len(text) <= _LONGEST else None
    return found is not None and not (found["m1"] and not found["d1"])  # 1234-56 may be anything


def dates(texts: list[str]) -> tuple[Any, Any] | tuple[Any, None]:
    """Texts as datetime64[s] in UTC, NaT where one is no date, and the order of their numbers.

    Parameters
    ----------
    texts : list of str

    Returns
    -------
    values : numpy.ndarray
    order : {"day first", "month first", "undecided", None}
        Of dates such as 3/4/2020; None where there are none, or the order makes no difference.

    Examples
    --------
    >>> dates(["2020-02-29", "2020-02-30", "2020-01-01T12:00+02:00"])[0].astype(str).tolist()
    ['2020-02-29T00:00:00', 'NaT', '2020-01-01T10:00:00']
    >>> dates(["3/4/2020", "13/4/2020"])[1]
    'day first'
    """
    if all(map(ISO.fullmatch, texts)):
        with contextlib.suppress(ValueError):  # of a day or hour that there is not
            return np.array(texts, "datetime64[s]"), None
    matches = [_DATE.fullmatch(text) if len(text) <= _LONGEST else None for text in texts]
    found = [each for each in matches if each]
    pairs = [(int(each["a"]), int(each["b"])) for each in found if each["a"]]
    order = None
    if pairs:
        day_first = any(a > 12 for a, _ in pairs)
        month_first = any(b > 12 for _, b in pairs)
        if day_first == month_first and any(a != b for a, b in pairs):
            order = UNDECIDED
        elif day_first or month_first:
            order = "day first" if day_first else "month first"
        short = [int(each["y5"]) for each in found if each["a"] and len(each["y5"]) == 2]
        if short and order != "month first" and max(short) <= 31:  # the first may be the year's
            order = UNDECIDED
    rows = np.array([_numbers(each, order) for each in found], np.int64).reshape(-1, 7)
    year, month, day, hour, minute, second, offset = rows.T
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    sound = (month >= 1) & (month <= 12) & (day >= 1) & (days.astype("datetime64[M]") == months)
    sound &= (hour < 24) & (minute < 60) & (second <= 60)
    times = days.astype("datetime64[s]") + (hour * 3600 + minute * 60 + second - offset)
    times[~sound] = np.datetime64("NaT")
    values = np.full(len(texts), np.datetime64("NaT"), "datetime64[s]")
    values[[each is not None for each in matches]] = times
    return values, order


def _numbers(found, order):
    """Year, month, day, hour, minute, second, and seconds before UTC, of a match."""
    year = next(found[key] for key in ("y1", "y2", "y3", "y4", "y5", "y6", "y7") if found[key])
    if found["a"]:
        month_first = order == "month first" or (order == UNDECIDED and int(found["b"]) > 12)  # a date at least
        day, month = (found["b"], found["a"]) if month_first else (found["a"], found["b"])
    else:
        month = found["m1"] or found["m2"] or found["m6"]
        named = found["m3"] or found["m4"] or found["m7"]
        if named:
            month = _MONTHS.index(named[:3].lower()) + 1
        day = found["d1"] or found["d2"] or found["d3"] or found["d4"] or found["d6"] or 1
    if found["m1"] and not found["d1"] and not 1800 <= int(year) < 2200:
        month = 0  # which is none: this is a number of something
    hour = int(found["hour"] or 0)
    if found["half"]:
        hour = 99 if not 1 <= hour <= 12 else hour % 12 + 12 * (found["half"][0].lower() == "p")
    zone, offset = found["zone"], 0
    if zone and zone[0] in "-+":
        digits = zone[1:].replace(":", "").ljust(4, "0")
        offset = (int(digits[:2]) * 3600 + int(digits[2:]) * 60) * (-1 if zone[0] == "-" else 1)
    if len(year) == 2:  # as POSIX reads it
        year = 1900 + int(year) + 100 * (int(year) < 69)
    return int(year), int(month), int(day), hour, int(found["minute"] or 0), int(found["second"] or 0), offset
