"""The kernels by name; "relu_forward" is a family's function with its row."""

import functools
from pathlib import Path

from fastbp.operations.activations import ACTIVATIONS
from fastbp.operations.losses import LOSSES

#: Numbers that a row is tried with, as it calls them.
NUMBERS = {
    "slope": 0.2, "beta": 1.5, "threshold": 2.0, "below": 0.7, "scale": 0.37, "alpha": 0.95,
    "low": -0.8, "high": 0.6, "at": 0.1, "value": -0.5, "delta": 0.7, "quantile": 0.8, "none": None,
}  # fmt: skip
FAMILIES = {"activation": ACTIVATIONS, "loss": LOSSES}


def named(module, name):
    """A module's function, or the one of a family with its first argument."""
    if hasattr(module, name):
        return getattr(module, name)
    row, _, way = name.rpartition("_")
    family = "loss" if row.endswith("_loss") else "activation"
    return functools.partial(getattr(module, f"{family}_{way}"), row.removesuffix("_loss"))


def table():
    """The rows as docs/kernels.md has them."""
    lines = ["| name | numbers | `read` of backward |", "|---|---|---|"]
    for row in ACTIVATIONS.values():
        numbers = ", ".join(f"`{number}`" for number in row.numbers)
        lines.append(f"| `{row.name}` | {numbers} | the {'out' * row.reads_output or 'in'}put |")
    lines += ["", "| name | numbers | `y` of backward |", "|---|---|---|"]
    for row in LOSSES.values():
        numbers = ", ".join(f"`{number}`" for number in row.numbers)
        lines.append(f"| `{row.name}` | {numbers} | {'kept by forward' if row.kept else '`x`'} |")
    return "\n".join(lines)


def written(page):
    """A page with the table between its two comments."""
    before, begin, rest = page.partition("<!-- activations -->\n")
    _, end, after = rest.partition("<!-- end of activations -->")
    return f"{before}{begin}{table()}\n{end}{after}"


PAGE = Path(__file__).parents[1] / "docs" / "kernels.md"

if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
