"""Write golden_nn.json: what PyTorch computes for nn_cases.py, in float64.

Run it where PyTorch is installed; the tests read the numbers and need none:

    python tests/golden/make_golden_nn.py
"""

import json
import warnings
from pathlib import Path

import nn_cases
import torch


def main():
    warnings.simplefilter("ignore")
    golden = {}
    for name, case in nn_cases.CASES.items():
        out, grads = nn_cases.evaluate(torch, torch.from_numpy, torch.nn, torch.nn.functional, case, "float64")
        golden[name] = [out.tolist(), [None if g is None else g.tolist() for g in grads]]
    path = Path(__file__).parent / "golden_nn.json"
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(v)}" for name, v in golden.items())
    text = f'{{"torch": "{torch.__version__}", "cases": {{\n{lines}\n}}}}\n'
    path.write_text(text)


if __name__ == "__main__":
    main()
