"""Write golden_optim.json: what PyTorch computes for the programs of optim_cases.py.

Run it where PyTorch is installed; the tests read the numbers and need none:

    python tests/golden/make_golden_optim.py
"""

import json
from pathlib import Path

import optim_cases
import torch


def main():
    golden = {name: program(torch) for name, program in optim_cases.CASES.items()}
    path = Path(__file__).parent / "golden_optim.json"
    path.write_text(json.dumps({"torch": torch.__version__, "cases": golden}, indent=0) + "\n")


if __name__ == "__main__":
    main()
