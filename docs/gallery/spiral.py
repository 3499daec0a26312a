"""
The spiral
==========

Three arms that wind around each other: no straight line parts them, and one hidden layer of thirty units does.
The background is what the network says at each place.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastbp import Linear, Relu, Sequential
from fastbp.datasets import spiral

(x, arms), test = spiral(300, noise=0.1)

net = Sequential(
    Linear(2, 30, seed=1), Relu(), Linear(30, 3, seed=2), loss="softmax_cross_entropy"
)
history = net.fit(x, arms, epochs=1500, batch_size=30, optimizer="adam", seed=0)
right = net.accuracy(*test)
print(
    f"right: {right:.0%} of {len(test[0])} others, after {sum(history.seconds):.1f} s"
)

side = np.linspace(-1.1, 1.1, 200, dtype="float32")
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
figure, axes = plt.subplots(figsize=(5, 5), layout="constrained")
colours = ["#0072B2", "#E69F00", "#009E73"]
axes.contourf(
    side, side, net.classify(grid).reshape(200, 200), levels=[-0.5, 0.5, 1.5, 2.5],
    colors=colours, alpha=0.3,
)  # fmt: skip
for k, colour in enumerate(colours):
    axes.scatter(*x[arms == k].T, s=12, color=colour)
axes.set_aspect("equal")
plt.show()
