"""A training run on this processor against plain NumPy: `python train.py [expected set]`.

Prints the instruction set and the largest error of the trained weights for each dtype; ends with
1 when one is over the table's tolerance or another set was picked.
"""

import ast
import json
import sys
from pathlib import Path

import numpy as np

import fastbp
from fastbp._kernels import isa

ROWS, BATCH, EPOCHS, LR = 96, 32, 10, 0.1


def tolerances():
    """The row "training" of the table in conftest.py, read without importing pytest."""
    tree = ast.parse((Path(__file__).parents[1] / "conftest.py").read_text())
    (table,) = (n.value for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "TOLERANCES")
    return ast.literal_eval(table)["training"]


def by_numpy(x, t, params):
    """The weights after training tanh, sigmoid and softmax layers by gradient descent."""
    W1, b1, W2, b2, W3, b3 = (p.copy() for p in params)
    for first in [*range(0, ROWS, BATCH)] * EPOCHS:
        x_i, t_i = x[first : first + BATCH], t[first : first + BATCH]
        h1 = np.tanh(x_i @ W1 + b1)
        h2 = 1 / (1 + np.exp(-(h1 @ W2 + b2)))
        z = np.exp(h2 @ W3 + b3)
        d3 = z / z.sum(axis=1, keepdims=True)
        d3[np.arange(BATCH), t_i] -= 1
        d3 /= BATCH
        d2 = d3 @ W3.T * h2 * (1 - h2)
        d1 = d2 @ W2.T * (1 - h1 * h1)
        for p, g in (
            (W1, x_i.T @ d1),
            (b1, d1.sum(0)),
            (W2, h1.T @ d2),
            (b2, d2.sum(0)),
            (W3, h2.T @ d3),
            (b3, d3.sum(0)),
        ):
            p -= LR * g
    return W1, b1, W2, b2, W3, b3


def error(dtype):
    """The largest difference of fit's weights from NumPy's, as a share of the largest weight."""
    rng = np.random.default_rng(7)
    x = rng.standard_normal((ROWS, 20)).astype(dtype)
    t = rng.integers(0, 5, ROWS)
    net = fastbp.Sequential(
        fastbp.Linear(20, 37, dtype=dtype, seed=1),
        fastbp.Tanh(),
        fastbp.Linear(37, 18, dtype=dtype, seed=2),
        fastbp.Sigmoid(),
        fastbp.Linear(18, 5, dtype=dtype, seed=3),
        loss="softmax_cross_entropy",
    )
    desired = by_numpy(x, t, list(net.params.values()))
    net.fit(x, t, epochs=EPOCHS, batch_size=BATCH, optimizer=fastbp.SGD(lr=LR), shuffle=False)
    pairs = list(zip(net.params.values(), desired, strict=True))
    scale = max(np.abs(d).max() for _, d in pairs)
    return float(max(np.abs(a - d).max() for a, d in pairs) / scale)


def main(expected=None):
    """Train in both dtypes; returns the exit status."""
    found = {dtype: error(dtype) for dtype in ("float32", "float64")}
    good = all(found[dtype] <= most for dtype, most in tolerances().items())
    print(json.dumps({"isa": isa.in_use(), "numpy": np.__version__, **found}))
    return 0 if good and expected in (None, isa.in_use()) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
