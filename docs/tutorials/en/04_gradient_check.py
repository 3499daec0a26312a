r"""
The gradient check, and what it finds
=====================================

A wrong gradient rarely stops a training: the loss still falls, only less far, and nobody asks why.  So every gradient
written by hand is compared with a numerical one.  Here some mistakes that stand in printed books are planted, and the
check is asked what it says to each.
"""

# %%
# The numerical gradient
# ----------------------
#
# .. math:: \frac{\partial f}{\partial x} \approx \frac{f(x + h) - f(x - h)}{2h}
#
# The error of this quotient is of the order :math:`h^2`, as the even terms of Taylor's series cancel, whereas that of
# :math:`(f(x + h) - f(x)) / h` is of the order :math:`h`.  But a smaller :math:`h` is not always better: a difference
# of two nearly equal numbers loses digits, and what is left of them is divided by :math:`h`.

import matplotlib.pyplot as plt
import numpy as np

steps = 10.0 ** np.arange(-13, 0.1, 0.25)
exact = np.exp(1.0)
central = np.abs((np.exp(1 + steps) - np.exp(1 - steps)) / (2 * steps) - exact)
forward = np.abs((np.exp(1 + steps) - np.exp(1.0)) / steps - exact)
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.loglog(steps, forward, color="#D55E00", label="(f(x + h) - f(x)) / h")
axes.loglog(
    steps,
    np.maximum(central, 1e-13),
    color="#0072B2",
    label="(f(x + h) - f(x - h)) / 2h",
)
axes.set(xlabel="h", ylabel="error of the derivative of exp at 1")
axes.legend(frameon=False)
plt.show()

# %%
# In float64 the best :math:`h` lies near :math:`10^{-5}`.  In float32 hardly three digits would be left, so
# :func:`fastbp.gradient_check` computes in float64 whatever the network's own dtype is.
#
# A network that is right
# -----------------------

from fastbp import Linear, Relu, Sequential, gradient_check
from fastbp.layers import Affine, Sigmoid, SoftmaxWithLoss

rng = np.random.default_rng(0)
x, t = rng.standard_normal((8, 5)), rng.integers(0, 3, 8)
net = Sequential(
    Linear(5, 6, seed=1), Relu(), Linear(6, 3, seed=2), loss="softmax_cross_entropy"
)
print(gradient_check(net, x, t, full=True))

# %%
# A sigmoid's gradient from x instead of y
# ----------------------------------------
#
# The slope is :math:`y (1 - y)` with the *output* :math:`y`.  A function ``sigmoid_grad(y)`` that is handed the input,
# or the other way round, is right in its formula and wrong in its number.


class SigmoidOfInput:
    def forward(self, x):
        self.x = x
        return 1 / (1 + np.exp(-x))

    def backward(self, dout):
        return dout * self.x * (1 - self.x)


print(gradient_check(SigmoidOfInput(), x))

# %%
# A loss that is divided twice, or not at all
# -------------------------------------------
#
# The loss is a mean over the batch, so its gradient is divided by the number of rows: once.  Divided again, or never,
# it points in the right direction with a wrong length.  That looks like a learning rate which was chosen badly, and
# it changes with the size of the batch.


class DividedTwice(SoftmaxWithLoss):
    def backward(self, dout=1.0):
        return super().backward(dout) / len(self.y)


class NeverDivided(SoftmaxWithLoss):
    def backward(self, dout=1.0):
        return super().backward(dout) * len(self.y)


scores = rng.standard_normal((8, 3))
for loss in (SoftmaxWithLoss(), DividedTwice(), NeverDivided()):
    report = gradient_check(loss, scores, t)
    quotient = report.analytic / report.numeric
    print(
        f"{type(loss).__name__:<16} passed {report.passed!s:<6} analytic / numeric {quotient:.3f}"
    )

# %%
# The quotient tells the cause: 1/8 and 8, with 8 rows.
#
# A batch normalisation that forgets the variance's path
# ------------------------------------------------------
#
# .. math:: \mu = \frac1n \sum_r x_r, \qquad \sigma^2 = \frac1n \sum_r (x_r - \mu)^2, \qquad
#           y_r = \frac{x_r - \mu}{\sqrt{\sigma^2 + \varepsilon}}
#
# :math:`x_r` reaches the output on three ways: directly, by the mean and by the variance.  With
# :math:`g = \partial L / \partial y` the sum of all three is
#
# .. math:: \frac{\partial L}{\partial x_r} = \frac{1}{\sqrt{\sigma^2 + \varepsilon}}
#           \Big(g_r - \frac1n \sum_s g_s - \frac{y_r}{n} \sum_s g_s y_s \Big)
#
# Whoever takes :math:`\sigma` for a constant loses the last term.


class Normalization:
    def __init__(self, with_variance):
        self.with_variance = with_variance

    def forward(self, x):
        self.inverse = 1 / np.sqrt(x.var(axis=0) + 1e-5)
        self.y = (x - x.mean(axis=0)) * self.inverse
        return self.y

    def backward(self, dout):
        dx = dout - dout.mean(axis=0)
        if self.with_variance:
            dx = dx - self.y * (dout * self.y).mean(axis=0)
        return dx * self.inverse


for with_variance in (True, False):
    print(gradient_check(Normalization(with_variance), x))

# %%
# A sum that was forgotten
# ------------------------
#
# The bias is added to every row, so its gradient is the sum over the rows.  A mean in its place gives the right shape.


class MeanOfBias(Affine):
    def backward(self, dout):
        dx = super().backward(dout)
        self.db = dout.mean(axis=0)
        return dx


report = gradient_check(MeanOfBias(rng.standard_normal((5, 3)), np.zeros(3)), x)
print(report)

# %%
# ``found at`` says in which parameter the largest error is, and so which line to read.
#
# Would one have noticed?
# -----------------------
#
# Hardly: after 300 steps the two losses differ by less than a hundredth, and both fall.  That is why the check is
# worth its second.


def curve(with_variance):
    data = np.random.default_rng(1)
    x = data.standard_normal((256, 5))
    t = (np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] > 0).astype(int)
    layers = (
        Linear(5, 16, seed=1),
        Normalization(with_variance),
        Sigmoid(),
        Linear(16, 2, seed=2),
    )
    last, losses = SoftmaxWithLoss(), []
    for _ in range(300):
        out = x
        for layer in layers:
            out = layer.forward(out)
        losses.append(last.forward(out, t))
        dout = last.backward()
        for layer in reversed(layers):
            dout = layer.backward(dout)
        for layer in (layers[0], layers[3]):
            layer.W -= 0.5 * layer.dW
            layer.b -= 0.5 * layer.db
    return losses


figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.plot(curve(True), color="#0072B2", label="right")
axes.plot(curve(False), "--", color="#D55E00", label="without the variance's path")
axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
axes.legend(frameon=False)
plt.show()

# %%
# **Try it:** write a layer of your own with ``forward`` and ``backward`` (:math:`y = x^3`, say), and hand it to
# :func:`fastbp.gradient_check`.
