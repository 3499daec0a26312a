r"""
A training step in NumPy, and the compiled one
==============================================

A network of two layers is forty lines of NumPy.  Here they stand, with nothing left out, beside the compiled step:
the same numbers, and the time of both.
"""

# %%
# A step is four things: take some rows at random (a *mini-batch*), compute the loss, go back through the layers for
# the gradients, and move every parameter a little against its gradient, :math:`W \leftarrow W - \eta\, \partial L /
# \partial W`.  These are repeated.

import time

import matplotlib.pyplot as plt
import numpy as np


class TwoLayerNet:
    """Affine, relu, affine, softmax with loss."""

    def __init__(self, params):
        self.params = {name: array.copy() for name, array in params.items()}

    def scores(self, x):
        p = self.params
        return np.maximum(x @ p["W1"] + p["b1"], 0) @ p["W2"] + p["b2"]

    def gradient(self, x, t):
        """The loss and its gradients by all parameters."""
        p = self.params
        # forward
        hidden = np.maximum(x @ p["W1"] + p["b1"], 0)
        scores = hidden @ p["W2"] + p["b2"]
        scores -= scores.max(axis=1, keepdims=True)
        y = np.exp(scores)
        y /= y.sum(axis=1, keepdims=True)
        rows = np.arange(len(t))
        loss = -np.log(y[rows, t]).mean()
        # backward
        dscores = y
        dscores[rows, t] -= 1
        dscores /= len(t)
        dhidden = dscores @ p["W2"].T * (hidden > 0)
        return loss, {
            "W1": x.T @ dhidden,
            "b1": dhidden.sum(axis=0),
            "W2": hidden.T @ dscores,
            "b2": dscores.sum(axis=0),
        }

    def step(self, x, t, lr):
        loss, grads = self.gradient(x, t)
        for name, gradient in grads.items():
            self.params[name] -= lr * gradient
        return loss


# %%
# The same network, compiled
# --------------------------
#
# The digits, 8 × 8 pixels, in float32.  Both networks start with the same weights.

from fastbp import SGD, Linear, Relu, Sequential, Trainer
from fastbp.datasets import load_digits

(x_train, t_train), (x_test, t_test) = load_digits()
net = Sequential(
    Linear(64, 50, seed=1), Relu(), Linear(50, 10, seed=2), loss="softmax_cross_entropy"
)
by_hand = TwoLayerNet(net.params)
lr, batch, steps = 0.1, 100, 500

# %%
# First one gradient.  What differs is the last bit of float32, because sums are added up in another order.

_, grads = by_hand.gradient(x_train[:batch], t_train[:batch])
for name, gradient in net.gradient(x_train[:batch], t_train[:batch]).items():
    print(
        f"{name}: {gradient.shape!s:<9} largest difference {np.abs(gradient - grads[name]).max():.0e}"
    )

# %%
# Then 500 steps on the same mini-batches.  :class:`fastbp.Trainer` makes a step of the network, its loss and the
# optimiser, all in one compiled call.

rng = np.random.default_rng(0)
batches = rng.integers(0, len(x_train), (steps, batch))

begin = time.perf_counter()
losses = [by_hand.step(x_train[rows], t_train[rows], lr) for rows in batches]
numpy_seconds = time.perf_counter() - begin

trainer = Trainer(net, optimizer=SGD(lr=lr), batch_size=batch, n_threads=1)
begin = time.perf_counter()
compiled = [trainer.step(x_train[rows], t_train[rows]) for rows in batches]
compiled_seconds = time.perf_counter() - begin

print("step   by hand   compiled")
for step in (0, 1, 9, 99, 499):
    print(f"{step + 1:4}   {losses[step]:.5f}   {compiled[step]:.5f}")
print(
    f"largest difference of the losses: {max(abs(a - b) for a, b in zip(losses, compiled, strict=True)):.0e}"
)

# %%
# The two curves lie on each other, which is the picture of a right gradient.

figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.plot(losses, color="#0072B2", linewidth=3, label="40 lines of NumPy")
axes.plot(compiled, "--", color="#D55E00", linewidth=1.2, label="compiled")
axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
axes.legend(frameon=False)
plt.show()

# %%
# And the time of a step, on the machine that built this page:

print(f"NumPy    {1e6 * numpy_seconds / steps:6.0f} µs")
print(
    f"compiled {1e6 * compiled_seconds / steps:6.0f} µs, {numpy_seconds / compiled_seconds:.1f} times as quick"
)

# %%
# The arithmetic is the same in both.  What the compiled step saves is all else: a call for each operation, a new array
# for each result, and a way through memory for every one of them.  The weights stay in the order in which the kernels
# read them, a relu is done while its sums are in registers, and the gradient of a weight is added to the weight without
# ever being written down.
#
# As accurate, too:

for name, scores in (
    ("by hand", by_hand.scores(x_test)),
    ("compiled", net.predict(x_test)),
):
    print(f"{name:<9} test accuracy {(scores.argmax(axis=1) == t_test).mean():.4f}")

# %%
# **Try it:** :meth:`~fastbp.Sequential.fit` has the loop over the epochs, too.  Put
# ``net.fit(x_train, t_train, epochs=20, batch_size=100, optimizer=SGD(lr=0.1), seed=0)`` in place of it.
