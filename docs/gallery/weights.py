"""
What the weights look like
==========================

Without a hidden layer each digit has one weight for each pixel, which is a picture: red where ink speaks for the
digit, blue where it speaks against, white where it says nothing.  Above, the weights have grown as they liked, and the
strongest serve single rows, at the edge.  Below they have a price, the decay, and what is left are the strokes: the
hole of the zero is blue.  It costs some of the test rows.

The digits are MNIST's where the environment variable ``FASTBP_DATA`` names its folder, and else the smaller ones of
scikit-learn.
"""

import os

import matplotlib.pyplot as plt
import numpy as np

from fastbp import AdamW, Linear, Sequential
from fastbp.datasets import load_digits, load_mnist

mnist = "FASTBP_DATA" in os.environ
(x, t), test = load_mnist() if mnist else load_digits()
n_pixels = x.shape[1]
side = round(n_pixels**0.5)

figure, panels = plt.subplots(2, 10, figsize=(9, 2.3), layout="constrained")
for decay, row in zip((0, 2), panels, strict=True):
    net = Sequential(Linear(n_pixels, 10, seed=0), loss="softmax_cross_entropy")
    adam = AdamW(lr=0.003, weight_decay=decay)
    epochs = 5 if mnist else 100
    net.fit(x, t, epochs=epochs, batch_size=32, optimizer=adam, seed=0, n_threads=1)
    print(f"decay {decay}: {net.accuracy(*test):.1%} of the test rows are right")
    weights = net.params["W1"].T  # (10, n_pixels)
    most = np.abs(weights).max()
    for digit, axes in enumerate(row):
        picture = weights[digit].reshape(side, side)
        axes.imshow(picture, cmap="RdBu_r", vmin=-most, vmax=most)
        axes.set_axis_off()
    row[0].set_title(f"decay {decay}", fontsize=10, loc="left")
plt.show()
