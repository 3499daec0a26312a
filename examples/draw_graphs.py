"""Pictures of computational graphs: apples and oranges, a sigmoid, and a network of two layers.

Writes three SVG files, as they stand in the documentation.
"""

import argparse
from pathlib import Path

import fastbp
from fastbp import graph

F64 = fastbp.float64  # so that the loss is the same to its last printed digit everywhere


def number(value):
    """A number whose derivative is wanted."""
    return fastbp.tensor(value, requires_grad=True)


def apples_and_oranges():
    """Two apples and three oranges, with a tax of 10 %."""
    apple, apples, orange, oranges, tax = map(number, (100.0, 2.0, 150.0, 3.0, 1.1))
    price = (apple * apples + orange * oranges) * tax
    return price, {"apple": apple, "apples": apples, "orange": orange, "oranges": oranges, "tax": tax, "price": price}


def sigmoid():
    """1 / (1 + exp(-x)) as its operations."""
    x = number(0.5)
    y = 1 / (1 + fastbp.exp(x * -1))
    return y, {"x": x, "y": y}


def two_layers():
    """A network of two layers and its squared error, for a batch of 100 rows."""
    random = fastbp.Generator().manual_seed(0)
    x = fastbp.rand(100, 784, generator=random, dtype=F64)
    t = fastbp.rand(100, 10, generator=random, dtype=F64)
    W1 = (0.01 * fastbp.randn(784, 50, generator=random, dtype=F64)).requires_grad_()
    W2 = (0.1 * fastbp.randn(50, 10, generator=random, dtype=F64)).requires_grad_()
    b1 = fastbp.zeros(50, dtype=F64, requires_grad=True)
    b2 = fastbp.zeros(10, dtype=F64, requires_grad=True)
    hidden = fastbp.relu(x @ W1 + b1)
    loss = ((hidden @ W2 + b2 - t) ** 2).mean()
    return loss, {"x": x, "W1": W1, "b1": b1, "W2": W2, "b2": b2, "t": t, "loss": loss}


FIGURES = (apples_and_oranges, sigmoid, two_layers)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(), metavar="FOLDER")
    folder = parser.parse_args(arguments).out
    for figure in FIGURES:
        out, names = figure()
        path = folder / f"{figure.__name__.replace('_', '-')}.svg"
        graph.draw(out, names, path)
        print(f"written {path}")


if __name__ == "__main__":
    main()
