"""The kernels by name; "relu_forward" is a family's function with its row."""

import functools
from pathlib import Path

from fastbp.operations.activations import ACTIVATIONS
from fastbp.operations.losses import LOSSES
from fastbp.operations.rules import RULES

#: Numbers that a row is tried with, as it calls them; others with 0.7.
NUMBERS = {
    "slope": 0.2,
    "beta": 1.5,
    "threshold": 2.0,
    "below": 0.7,
    "scale": 0.37,
    "alpha": 0.95,
    "low": -0.8,
    "high": 0.6,
    "at": 0.1,
    "value": -0.5,
    "delta": 0.7,
    "quantile": 0.8,
    "none": None,
    "momentum": 0.9,
    "dampening": 0.3,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "eps": 1e-5,
    "lr_decay": 0.02,
    "momentum_decay": 0.004,
}
FAMILIES = {"activation": ACTIVATIONS, "loss": LOSSES}


def named(module, name):
    """A module's function, or the one of a family with its first argument."""
    if hasattr(module, name):
        return getattr(module, name)
    row, _, way = name.rpartition("_")
    if way == "update":
        return functools.partial(_update, module.update, RULES[row])
    family = "loss" if row.endswith("_loss") else "activation"
    return functools.partial(getattr(module, f"{family}_{way}"), row.removesuffix("_loss"))


def update_arguments(row):
    """The arguments of a rule's update in their order, as words of the tests' tables."""
    kept = (f"{name}{'*' if name in NEVER_NEGATIVE else '+'}n" for name in row.states)
    return " ".join(("param+n grad:n", *kept, "lr weight_decay decoupled step", *row.numbers))


#: States of rules that are sums of squares, or the greatest of sizes.
NEVER_NEGATIVE = ("sum", "square_avg", "acc_delta", "exp_avg_sq", "max_exp_avg_sq", "exp_inf")


def _update(update, row, param, grad, *rest):
    states, rest = rest[: len(row.states)], rest[len(row.states) :]
    names = ("lr", "weight_decay", "decoupled", "step", *row.numbers)
    update(row.name, param, grad, *states, **dict(zip(names, rest, strict=True)))


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
    lines += ["", "| name | numbers | states |", "|---|---|---|"]
    for row in RULES.values():
        numbers, states = (", ".join(f"`{n}`" for n in names) for names in (row.numbers, row.states))
        lines.append(f"| `{row.name}` | {numbers} | {states} |")
    return "\n".join(lines)


def written(page):
    """A page with the table between its two comments."""
    before, begin, rest = page.partition("<!-- activations -->\n")
    _, end, after = rest.partition("<!-- end of activations -->")
    return f"{before}{begin}{table()}\n{end}{after}"


PAGE = Path(__file__).parents[1] / "docs" / "kernels.md"

if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
