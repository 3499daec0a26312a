"""Write golden_views.json: what PyTorch computes for drawn programs of views and in-place changes.

Run it where PyTorch is installed; the tests read the programs and the numbers and need none:

    python tests/golden/make_golden_views.py

A program's lines are drawn one by one; a line that PyTorch refuses is left out.
"""

import json
import random
import re
import warnings
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
PROGRAMS = 400
LEAVES = [
    "w = T.tensor(np.arange(1.0, 7.0).reshape(2, 3), requires_grad=True)",
    "u = T.tensor(np.arange(1.0, 4.0), requires_grad=True)",
    "v0 = w.clone()",
    "v1 = u * 2",
    "v2 = T.zeros(2, 3, dtype=T.float64)",
]
VIEWS = """{a}.expand(3, *{a}.shape)
{a}.expand(2, 2, 3)
{a}.expand_as({b})
{a}.unsqueeze(0).expand(2, *[-1] * {a}.ndim)
{a}[:1].expand(3, 3)
{a}.broadcast_to((2, 3))
{a}.unsqueeze(-1).expand(*{a}.shape, 2).transpose(0, -1)
{a}[0]
{a}[..., 1:]
{a}[..., ::2]
{a}[:, None]
{a}.transpose(0, -1)
{a}.T
{a}.movedim(0, -1)
{a}.permute(*range({a}.ndim)[::-1])
{a}.reshape(-1)
{a}.view(3, -1)
{a}.view_as({b})
{a}.flatten()
{a}.unflatten(0, (1, -1))
{a}.unsqueeze(1)
{a}.squeeze()
{a}.narrow(-1, 0, 2)
{a}.select(0, 1)
{a}.detach()
{a}.contiguous()""".splitlines()
CHANGES = """{a}.mul_(2.0)
{a}.add_({b})
{a}.mul_({b})
{a}.zero_()
{a}.fill_(3.0)
{a}.copy_({b})
{a}[0] = {b}
{a}[..., 0] = 5.0
{a}[..., :2] *= 3.0
{a}.clamp_(max=3.0)
{a}.div_(2)
{a}.pow_(2)
{a}.masked_fill_({a} > 3, 0.5)
{a}[{a} > 2] = 1.5
{a} += {b}
{a}.neg_()""".splitlines()
RESULTS = "{a} * {b}\n{a} + {b}\n{a} * {a}\n{a}.sum(0)\nT.cat([{a}, {a}])\n{a}.clone()".splitlines()


def drawn(rng):
    """A program that PyTorch takes, with its numbers."""
    lines, names = list(LEAVES), ["v0", "v1", "v2"]
    place = {"T": torch, "np": np}
    exec("\n".join(lines), place)
    for _ in range(rng.randint(3, 10)):
        kinds = rng.choices([VIEWS, CHANGES, RESULTS], [5, 3, 2])[0]
        line = rng.choice(kinds).format(a=rng.choice(names), b=rng.choice([*names, "u"]))
        name = f"v{len(names)}"
        if kinds is not CHANGES:
            line = f"{name} = {line}"
        try:
            trial = {"T": torch, "np": np}
            exec("\n".join([*lines, line]), trial)
        except (RuntimeError, IndexError, TypeError, UserWarning):
            continue
        if kinds is CHANGES and 0 in trial[line[: re.search(r"\W", line).start()]].stride():
            continue  # PyTorch fills expanded memory all the same, fastbp refuses to
        lines.append(line)
        if kinds is not CHANGES:
            names.append(name)
    terms = [f"{i + 1}.0 * ({name} * {name}).sum()" for i, name in enumerate(names) if rng.random() < 0.7]
    lines.append("loss = " + (" + ".join(terms) or f"{names[-1]}.sum()"))
    place = {"T": torch, "np": np}
    try:
        exec("\n".join(lines), place)
        place["loss"].backward()
    except (RuntimeError, UserWarning):
        return None
    gradients = [None if place[w].grad is None else place[w].grad.tolist() for w in ("w", "u")]
    return {"lines": lines, "loss": place["loss"].item(), "gradients": gradients}


def main():
    warnings.simplefilter("error")  # of what PyTorch is about to refuse
    rng = random.Random(1)
    programs = []
    while len(programs) < PROGRAMS:
        program = drawn(rng)
        if program and abs(program["loss"]) < 1e12:
            programs.append(program)
    golden = {"torch": torch.__version__, "programs": programs}
    (HERE / "golden_views.json").write_text(json.dumps(golden, indent=0) + "\n")


if __name__ == "__main__":
    main()
