"""What all pictures share: an empty figure, its file, its axes, its names."""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING, Any

from fastbp import checks, files, fonts
from fastbp.charts import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fastbp._typing import Path

#: Okabe and Ito's colours, for all eyes.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")


def figure(who: str, path: Path | None, width: float = 4.6, height: float = 3.4) -> Any:
    """An empty figure of so many inches, once it is known that it can be written."""
    if path is not None and not hasattr(path, "write"):
        checks.path_to_write(who, path)
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError:
        raise checks.missing_extra("matplotlib", who) from None
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)  # inches
    made = Figure(figsize=(width, height), dpi=150, layout=layout)
    # A notebook knows figures of pyplot only.
    made._repr_png_ = functools.partial(_png, made)  # type: ignore[attr-defined]
    return made


def _png(drawn):
    written_ = io.BytesIO()
    drawn.savefig(written_, format="png")
    return written_.getvalue()


def written(who: str, path: Path | None, drawn: Figure) -> Figure:
    """The figure, with fonts that have its characters, also in a file where `path` says so."""
    from matplotlib.text import Text

    for text in drawn.findobj(Text):
        if not text.get_text().isascii():
            text.set_fontfamily(fonts.families(who, text.get_text()))
    if path is not None:
        files.write_figure(path, drawn)
    return drawn


def label(name: object, most: int = 24) -> str:
    """A user's name as a label: one line, not too long, without mathematics."""
    return plain(name, most).replace("$", r"\$")


def bare(axes: Axes) -> None:
    """A grid behind the curves, and no frame at the top and the right."""
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
