r"""
梯度确认，以及它能发现什么
==========================

梯度写错了，训练往往照常进行：损失照样下降，只是降得少一些，于是没有人追究。所以凡是手写的梯度，都要和数值微分的结果比一比。
这一篇故意埋下几个错误（都在正式出版的书里出现过），看看梯度确认怎么说。
"""


# %%
# 数值微分
# --------
#
# .. math:: \frac{\partial f}{\partial x} \approx \frac{f(x + h) - f(x - h)}{2h}
#
# 泰勒展开的偶次项互相抵消，所以中心差分的误差是 :math:`h^2` 量级；而 :math:`(f(x + h) - f(x)) / h` 的误差是 :math:`h` 量级。
# 但 :math:`h` 并非越小越好：两个几乎相等的数相减会丢掉有效数字，剩下的误差还要再除以 :math:`h`。

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
# 在 float64 里，最好的 :math:`h` 在 :math:`10^{-5}` 附近；在 float32 里连三位有效数字都剩不下。所以不管网络自己是什么类型，
# :func:`fastbp.gradient_check` 都用 float64 计算。
#
# 一个正确的网络
# --------------

from fastbp import Linear, Relu, Sequential, gradient_check
from fastbp.layers import Affine, Sigmoid, SoftmaxWithLoss

rng = np.random.default_rng(0)
x, t = rng.standard_normal((8, 5)), rng.integers(0, 3, 8)
net = Sequential(
    Linear(5, 6, seed=1), Relu(), Linear(6, 3, seed=2), loss="softmax_cross_entropy"
)
print(gradient_check(net, x, t, full=True))

# %%
# sigmoid 的梯度：该用 y，却用了 x
# --------------------------------
#
# 导数是 :math:`y (1 - y)`，其中的 :math:`y` 是 *输出*。如果把输入传给了 ``sigmoid_grad(y)`` 这样的函数（或者反过来），公式没错，数却错了。


class SigmoidOfInput:
    def forward(self, x):
        self.x = x
        return 1 / (1 + np.exp(-x))

    def backward(self, dout):
        return dout * self.x * (1 - self.x)


print(gradient_check(SigmoidOfInput(), x))

# %%
# 损失除了两次，或者一次也没除
# ----------------------------
#
# 损失是整个 mini-batch 的平均，所以梯度要除以行数，而且只除一次。多除一次或者忘了除，方向还是对的，长度却错了：看上去像是学习率没选好，
# 而且差多少倍还随 mini-batch 的大小而变。


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
# 比值直接说出了原因：一共 8 行，所以是 1/8 和 8。
#
# Batch Normalization：忘了方差那条路
# -----------------------------------
#
# .. math:: \mu = \frac1n \sum_r x_r, \qquad \sigma^2 = \frac1n \sum_r (x_r - \mu)^2, \qquad
#           y_r = \frac{x_r - \mu}{\sqrt{\sigma^2 + \varepsilon}}
#
# :math:`x_r` 到输出有三条路：直接的一条，经过均值的一条，经过方差的一条。记 :math:`g = \partial L / \partial y`，三条路之和是
#
# .. math:: \frac{\partial L}{\partial x_r} = \frac{1}{\sqrt{\sigma^2 + \varepsilon}}
#           \Big(g_r - \frac1n \sum_s g_s - \frac{y_r}{n} \sum_s g_s y_s \Big)
#
# 如果把 :math:`\sigma` 当成常数，就丢了最后一项。


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
# 忘了求和
# --------
#
# 偏置加到了每一行上，所以它的梯度是对各行求和。写成平均，形状照样对得上。


class MeanOfBias(Affine):
    def backward(self, dout):
        dx = super().backward(dout)
        self.db = dout.mean(axis=0)
        return dx


report = gradient_check(MeanOfBias(rng.standard_normal((5, 3)), np.zeros(3)), x)
print(report)

# %%
# ``found at`` 指出误差最大的是哪个参数，也就知道该去看哪一行代码。
#
# 不检查的话，看得出来吗？
# ------------------------
#
# 很难：300 步之后，两者的损失相差不到百分之一，而且都在下降。梯度确认花的那一秒钟，就值在这里。


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
# **试一试：** 自己写一个带 ``forward`` 和 ``backward`` 的层（比如 :math:`y = x^3`），交给 :func:`fastbp.gradient_check`。
