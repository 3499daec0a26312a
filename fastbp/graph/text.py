"""What stands on a picture: numbers and shapes as short text, and how wide a text is."""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np

LONGEST = 28  # characters of an array that is written as its numbers
EXACT = 16  # and of one whose numbers are not rounded any further

#: Width of characters in ems, at least that of Helvetica, Arial, and DejaVu Sans, the widest;
#: of digits and brackets in bold as well.
_WIDTHS = {
    0.3: "'IJijl",
    0.4: " ,-./:;\\ft|",
    0.5: '!"*_`r²()[]',
    0.6: "?FLcksvxyz",
    0.7: "$0123456789ABCEKPRSTVXYZabdeghnopqu{}",
    0.8: "&DGHNOQU",
    0.9: "#+<=>M^w~−×",
    1.0: "%@Wm",
}
_WIDTH_OF = {c: ems for ems, characters in _WIDTHS.items() for c in characters}


def width(text: Any, size: Any) -> Any:
    """Width of a text in letters of a size, in the size's unit, never too small.

    Examples
    --------
    >>> width("dot", 10)
    18.0
    """
    return size * sum(_WIDTH_OF.get(c) or (1.1 if unicodedata.east_asian_width(c) in "WF" else 0.9) for c in text)


def number(value, digits=5):
    """A number in at most so many significant digits, or a whole one of up to seven.

    Examples
    --------
    >>> [number(v) for v in (2.2000000000000002, 110, -0.5, 1e-7, 123456.0, 0.196612)]
    ['2.2', '110', '−0.5', '1e−7', '123456', '0.19661']
    """
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    value = float(value)
    if value == 0:
        return "0"
    text = f"{value:.0f}" if value.is_integer() and abs(value) < 1e7 else f"{value:.{digits}g}"
    digits, e, exponent = text.partition("e")
    return (digits + e + (str(int(exponent)) if e else "")).replace("-", "−")


def numbers(array: Any) -> Any:
    """A number, or an array as its numbers where they are few, and as its shape where not.

    Numbers that would take much room have three significant digits, or two.

    Examples
    --------
    >>> numbers(1.5), numbers(np.arange(3)), numbers(np.ones((100, 50)))
    ('1.5', '[0, 1, 2]', '(100, 50)')
    >>> numbers(np.array([0.09003, 0.24473, -0.33476]))
    '[0.09, 0.245, −0.335]'
    """
    array = np.asarray(array)
    if array.size == 1:
        return number(array.item())
    for digits, most in ((5, EXACT), (3, LONGEST), (2, LONGEST)):
        text = _listed(array.tolist(), digits) if 0 < array.size <= LONGEST else ""
        if 0 < len(text) <= most:
            return text
    return str(array.shape)


def _listed(values, digits):
    if isinstance(values, list):
        return f"[{', '.join(_listed(each, digits) for each in values)}]"
    return number(values, digits)
