"""The kernels by name; "relu_forward" is a family's function with its row."""

import functools
from pathlib import Path

from fastbp.operations.activations import ACTIVATIONS

#: Numbers that a row is tried with, as it calls them.
NUMBERS = {
    "slope": 0.2, "beta": 1.5, "threshold": 2.0, "below": 0.7, "scale": 0.37, "alpha": 0.95,
    "low": -0.8, "high": 0.6, "at": 0.1, "value": -0.5,
}  # fmt: skip
FAMILIES = {"activation": ACTIVATIONS}


def named(module, name):
    """A module's function, or the one of a family with its first argument."""
    if hasattr(module, name):
        return getattr(module, name)
    row, _, way = name.rpartition("_")
    (family,) = (family for family, rows in FAMILIES.items() if row in rows)
    return functools.partial(getattr(module, f"{family}_{way}"), row)


def table():
    """The activations as docs/kernels.md has them."""
    lines = ["| name | numbers | `read` of backward |", "|---|---|---|"]
    for row in ACTIVATIONS.values():
        numbers = ", ".join(f"`{number}`" for number in row.numbers)
        lines.append(f"| `{row.name}` | {numbers} | the {'out' * row.reads_output or 'in'}put |")
    return "\n".join(lines)


def written(page):
    """A page with the table between its two comments."""
    before, begin, rest = page.partition("<!-- activations -->\n")
    _, end, after = rest.partition("<!-- end of activations -->")
    return f"{before}{begin}{table()}\n{end}{after}"


PAGE = Path(__file__).parents[1] / "docs" / "kernels.md"

if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
