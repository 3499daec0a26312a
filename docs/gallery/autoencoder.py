"""
Sixty-four pixels in two numbers
================================

A network that has to give back its own input, through a layer of two units: what passes there is all that it may keep
of a digit.  On the left every digit is a point, where the network puts it without having been told what it is; on
the right the second half of the network draws what it thinks of at each place.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastbp import Linear, Relu, Sequential, Sigmoid, Tanh
from fastbp.datasets import load_digits

(x, t), (x_test, t_test) = load_digits()
encoder = [Linear(64, 64, seed=0), Relu(), Linear(64, 2, seed=1), Tanh()]
decoder = [Linear(2, 64, seed=2), Relu(), Linear(64, 64, seed=3), Sigmoid()]
both = Sequential(*encoder, *decoder, loss="squared_error")
both.fit(x, x, epochs=150, batch_size=32, seed=0, optimizer="adam", n_threads=1)

error = np.mean((both.predict(x_test) - x_test) ** 2)
mean = np.mean((x.mean(axis=0) - x_test) ** 2)
print(f"of the pixels' variance {1 - error / mean:.0%} comes back, of unseen digits")

codes = Sequential(*encoder).predict(x_test)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.5), layout="constrained")
for digit in range(10):
    points = codes[t_test == digit]
    left.scatter(*points.T, s=14, color=plt.cm.tab10(digit))
    left.text(*np.median(points, axis=0), digit, fontsize=16, weight="bold")

side = np.linspace(-0.95, 0.95, 11, dtype="float32")
places = np.stack(np.meshgrid(side, side[::-1]), axis=-1).reshape(-1, 2)
images = Sequential(*decoder).predict(places).reshape(11, 11, 8, 8)
images = images.transpose(0, 2, 1, 3).reshape(88, 88)
right.imshow(images, cmap="gray_r", extent=(-1, 1, -1, 1))
for axes in (left, right):
    axes.set_aspect("equal")
    axes.set(xlim=(-1.02, 1.02), ylim=(-1.02, 1.02))
plt.show()
