"""Write golden_tensor.json: what PyTorch computes and prints for the cases of tensor_cases.py.

Run it where PyTorch is installed; the tests read the numbers and need none:

    python tests/golden/make_golden_tensor.py
"""

import json
from pathlib import Path

import tensor_cases as cases
import torch

HERE = Path(__file__).parent


def numbers(name):
    value, gradients = cases.computed(torch, name)
    return {"value": value.tolist(), "gradients": [g.tolist() for g in gradients]}


def promoted():
    """The dtype of a sum, and of a quotient, by the operands' dtypes and dimensions."""
    table = {}
    for a in cases.OPERANDS:
        for b in cases.OPERANDS:
            x, y = (eval(code, {"t": torch}) for code in (a, b))
            if not isinstance(x, torch.Tensor) and not isinstance(y, torch.Tensor):
                continue
            table[f"{a} + {b}"] = str((x + y).dtype).removeprefix("torch.")
            table[f"{a} / {b}"] = str((x / y).dtype).removeprefix("torch.")
    return table


def main():
    golden = {
        "torch": torch.__version__,
        "cases": {name: numbers(name) for name in cases.CASES},
        "printed": {code: repr(eval(code, {"t": torch})) for code in cases.PRINTED},
        "promoted": promoted(),
    }
    (HERE / "golden_tensor.json").write_text(json.dumps(golden, indent=0) + "\n")


if __name__ == "__main__":
    main()
