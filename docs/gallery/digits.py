"""
Digits that are read, and those that are not
============================================

One hidden layer of a hundred units reads handwritten digits.  Above are digits that it has never seen, with what it
says; below those that it gets wrong and is surest of: many of them a person would have to look at twice.

The digits are MNIST's where the environment variable ``FASTBP_DATA`` names its folder, and else the smaller ones of
scikit-learn.
"""

import os

import matplotlib.pyplot as plt
import numpy as np

from fastbp import Linear, Relu, Sequential
from fastbp.datasets import load_digits, load_mnist

mnist = "FASTBP_DATA" in os.environ
(x, t), (x_test, t_test) = load_mnist() if mnist else load_digits()
n_pixels = x.shape[1]
side = round(n_pixels**0.5)

net = Sequential(
    Linear(n_pixels, 100, seed=0),
    Relu(),
    Linear(100, 10, seed=1),
    loss="softmax_cross_entropy",
)
net.fit(x, t, epochs=5 if mnist else 30, batch_size=32, seed=0, n_threads=1)
print(f"{len(x)} digits of {side} x {side} pixels to learn from")
print(f"right: {net.accuracy(x_test, t_test):.1%} of {len(x_test)} others")

chances = net.predict_proba(x_test)
said = chances.argmax(axis=1)
sure = chances.max(axis=1)
wrong = np.flatnonzero(said != t_test)
surest = wrong[np.argsort(-sure[wrong], kind="stable")][:8]

figure, panels = plt.subplots(2, 8, figsize=(8, 2.9), layout="constrained")
for axes, row in zip(panels.ravel(), [*range(8), *surest], strict=False):
    axes.imshow(x_test[row].reshape(side, side), cmap="gray_r")
    truth = "" if said[row] == t_test[row] else f", is {t_test[row]}"
    axes.set_title(
        f"{said[row]}{truth}", fontsize=10, color="red" if truth else "black"
    )
for axes in panels.ravel():
    axes.set_axis_off()
plt.show()
