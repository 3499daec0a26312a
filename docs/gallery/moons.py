"""
Two moons, and how many units they need
=======================================

A hidden unit of a relu layer bends the border between the classes once.  One unit leaves a straight line, three make
the corners that the moons ask for, and with thirty the border is smooth.  White is where the network is undecided.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastbp import Linear, Relu, Sequential
from fastbp.datasets import moons

(x, t), test = moons(500, noise=0.12, seed=0)
across, up = np.linspace(-1.7, 2.7, 220), np.linspace(-1.2, 1.7, 150)
grid = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)

figure, panels = plt.subplots(1, 3, figsize=(9, 2.8), layout="constrained", sharey=True)
for units, axes in zip((1, 3, 30), panels, strict=True):
    net = Sequential(
        Linear(2, units, seed=3),
        Relu(),
        Linear(units, 2, seed=4),
        loss="softmax_cross_entropy",
    )
    net.fit(x, t, epochs=400, batch_size=40, seed=0)
    right = net.accuracy(*test)
    chance = net.predict_proba(grid)[:, 1].reshape(len(up), len(across))
    axes.imshow(
        chance, cmap="RdBu_r", alpha=0.7, vmin=0, vmax=1, origin="lower",
        extent=(across[0], across[-1], up[0], up[-1]), interpolation="bilinear",
    )  # fmt: skip
    for k, colour in enumerate(("#0072B2", "#D55E00")):
        axes.scatter(*x[t == k].T, s=5, color=colour)
    name = f"{units} unit{'s' if units > 1 else ''}: {right:.0%}"
    axes.set_title(name)
    print(name, "of the test rows are right")
plt.show()
