"""HTML of what notebooks show: tables and texts, with everything escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["preformatted", "table"]


def table(rows: Iterable[Sequence[object]], header: Sequence[object] = (), caption: object = "") -> str:
    """A table under a line of text; the first column is in bold.

    Parameters
    ----------
    rows : iterable of sequences
    header : sequence of str
    caption : str

    Examples
    --------
    >>> table([("a < b", 1)], caption="One row")
    '<p>One row</p><table><tr><th style="text-align:left">a &lt; b</th><td style="text-align:left">1</td></tr></table>'
    """
    lines = [_row(row, "td") for row in rows]
    if header and lines:
        lines.insert(0, _row(header, "th"))
    said = f"<p>{escape(str(caption))}</p>" if caption else ""
    return f"{said}<table>{''.join(lines)}</table>" if lines else said


def _row(cells, kind):
    first, *others = (escape(str(cell)) for cell in cells)
    left = "".join(f'<{kind} style="text-align:left">{cell}</{kind}>' for cell in others)
    return f'<tr><th style="text-align:left">{first}</th>{left}</tr>'


def preformatted(text: object) -> str:
    """A text whose columns stay below each other.

    Examples
    --------
    >>> preformatted("a < b")
    '<pre>a &lt; b</pre>'
    """
    return f"<pre>{escape(str(text))}</pre>"
