"""
What a network makes of categories
==================================

Bicycles that are hired: how many, depends on the day of the week and on the hour, which come as mere numbers of
categories.  :class:`fastbp.Embeddings` gives every category two numbers that are trained.  Nobody has told the network
that Saturday is like Sunday, or what a rush hour is: categories come to lie beside each other that act alike.  Hours of
the commuters go up, those of the afternoon down, and the heap on the left is the night.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastbp import Embeddings, Linear, Relu, Sequential

rng = np.random.default_rng(0)
day, hour = rng.integers(7, size=8000), rng.integers(24, size=8000)


def peak(at, width):
    """A rise and fall around an hour."""
    return np.exp(-(((hour - at) / width) ** 2))


working = peak(8, 1.5) + peak(17, 2)
free = 0.8 * peak(14, 4)
hired = np.where(day < 5, working, free) + 0.1 * rng.normal(size=8000)
x = np.stack([day, hour], axis=1)

net = Sequential(
    Embeddings([7, 24], widths=2, init=0.01, seed=0),
    Linear(4, 40, seed=1),
    Relu(),
    Linear(40, 1, seed=2),
    loss="squared_error",
)
net.fit(x, hired, epochs=60, batch_size=50, optimizer="adam", seed=0, n_threads=1)
left_over = np.mean((net.predict(x)[:, 0] - hired) ** 2)
print(f"squared error {left_over:.4f}, of which the noise has {0.1**2:.4f}")

days = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"]
figure, panels = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
for axes, table, names in zip(
    panels, net.layers[0].tables, (days, range(24)), strict=True
):
    axes.scatter(*table.T, s=12, color="#E69F00")
    for place, name in zip(table, names, strict=True):
        axes.annotate(name, place, (3, 3), textcoords="offset points", fontsize=11)
    axes.margins(0.15)
    axes.locator_params(nbins=5)
panels[0].set_title("days")
panels[1].set_title("hours")
plt.show()
