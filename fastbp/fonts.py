"""Fonts of matplotlib's for the characters of a text, Chinese among them."""

from __future__ import annotations

__all__ = ["CJK", "families"]

#: Fonts with Chinese characters, in this order.
CJK = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "SimHei",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
)

#: It has a box for every character.
_BOXES = "Last Resort High-Efficiency"


def families(who: str, text: str) -> list[str]:
    """Names of installed fonts which have, one after the other, all characters of a text.

    The user's own of matplotlib's settings come first, then DejaVu Sans, which matplotlib brings.

    Raises
    ------
    ValueError
        For a character that no font has.
    """
    from matplotlib import font_manager, rcParams

    paths = {entry.name: entry.fname for entry in font_manager.fontManager.ttflist if entry.name != _BOXES}
    names = [*rcParams["font.family"], "DejaVu Sans", *(name for name in CJK if name in paths)]
    missing = {c for c in text if not c.isspace()}
    for name in names:
        missing -= _held(paths.get(name) or _path(name), missing)
    for name in sorted(paths.keys() - set(names)) if missing else ():
        held = _held(paths[name], missing)
        missing -= held
        names += [name] * bool(held)
    if missing:
        raise ValueError(
            f"{who} expects a font with the characters of its names; none that is installed has "
            f"{''.join(sorted(missing))[:20]!r}: install one, such as Noto Sans CJK, or write other names."
        )
    return names


def _path(name):
    """Of a family such as sans-serif."""
    from matplotlib import font_manager

    return font_manager.findfont(font_manager.FontProperties(family=[name]))


def _held(path, characters):
    from matplotlib import font_manager

    font = font_manager.get_font(path)
    return {c for c in characters if font.get_char_index(ord(c))}
