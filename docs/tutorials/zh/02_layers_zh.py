r"""
各层的反向传播
==============

层就是数值换成了数组的节点。这一篇推导组成神经网络的四种层的梯度，并且把每个公式都和 fastbp 算出来的数放在一起比较：
不必相信任何人，看数字就行。
"""


# %%
# 设 :math:`L` 是损失，一个数；:math:`\partial L / \partial Y` 是它对 :math:`Y` 各个元素的导数组成的数组，形状和 :math:`Y` 相同。
# ``backward`` 接收对本层输出的导数 ``dout``，返回对本层输入的导数。每一行是一个样本：``x`` 的形状是 (n, n_in)，``W`` 是 (n_in, n_out)。

import matplotlib.pyplot as plt
import numpy as np

from fastbp.layers import Affine, Relu, Sigmoid, SoftmaxWithLoss

rng = np.random.default_rng(0)


def compare(name, formula, computed):
    """Print how far the formula is from fastbp's numbers."""
    print(
        f"{name:<6} {formula.shape!s:<8} largest difference {np.abs(formula - computed).max():.0e}"
    )


# %%
# ReLU 层
# -------
#
# .. math::
#
#    y = \begin{cases} x & (x > 0) \\ 0 & (x \le 0) \end{cases}
#    \qquad
#    \frac{\partial y}{\partial x} = \begin{cases} 1 & (x > 0) \\ 0 & (x \le 0) \end{cases}
#
# 每个元素都是一个独立的节点，像一个开关：正向传播时接通的，反向传播时上游的值原样通过；断开的，什么也传不过去。

x = rng.standard_normal((3, 4))
dout = rng.standard_normal((3, 4))

relu = Relu()
y = relu.forward(x)
compare("dx", dout * (x > 0), relu.backward(dout))

# %%
# Sigmoid 层
# ----------
#
# :math:`y = 1 / (1 + e^{-x})` 由四个节点组成：乘以 −1、exp、加 1、取倒数。从右往左看：
#
# * 取倒数 :math:`y = 1/u` 的导数是 :math:`-1/u^2 = -y^2`；
# * 加法节点把上游的值原样传下去；
# * :math:`e^v` 的导数是 :math:`e^v`，这里就是 :math:`e^{-x}`；
# * 乘以 −1 的节点改变符号，正好和前面的负号抵消。
#
# 把它们乘起来，再代入 :math:`e^{-x} = (1 - y) / y`，得到
#
# .. math:: \frac{\partial y}{\partial x} = y^2 e^{-x} = y\,(1 - y)
#
# 可见反向传播只用到输出，不必记住输入。计算图最左端的导数也是这个数：

import fastbp
from fastbp import graph

v = fastbp.tensor(0.5, requires_grad=True)
w = 1 / (1 + fastbp.exp(v * -1))
print(f"y (1 - y) = {w.item() * (1 - w.item()):.3f}")
graph.draw(w, {"x": v, "y": w})

# %%

sigmoid = Sigmoid()
y = sigmoid.forward(x)
compare("dx", dout * y * (1 - y), sigmoid.backward(dout))

# %%
# 两个函数和它们的导数。sigmoid 的导数最大也只有 1/4，所以穿过十层 sigmoid 之后，梯度最多剩下 :math:`4^{-10}`，
# 也就是百万分之一左右。现在的隐藏层多用 ReLU，原因就在这里。

line = np.linspace(-5, 5, 401)
figure, axes = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained", sharex=True)
for name, layer, colour in (
    ("relu", Relu(), "#0072B2"),
    ("sigmoid", Sigmoid(), "#D55E00"),
):
    axes[0].plot(
        line, np.minimum(layer.forward(line[None])[0], 2), color=colour, label=name
    )
    axes[1].plot(
        line, layer.backward(np.ones((1, len(line))))[0], color=colour, label=name
    )
axes[0].set(xlabel="x", ylabel="y", ylim=(-0.1, 1.6))
axes[1].set(xlabel="x", ylabel=r"$\partial y\,/\,\partial x$")
axes[0].legend(frameon=False)
plt.show()

# %%
# Affine 层
# ---------
#
# .. math:: Y = X W + b, \qquad Y_{rj} = \sum_i X_{ri} W_{ij} + b_j
#
# :math:`W_{ij}` 参与了每一行 :math:`r` 的 :math:`Y_{rj}`，系数是 :math:`X_{ri}`。一个数被用了多次，各条路上传回来的导数就要加起来：
#
# .. math::
#
#    \frac{\partial L}{\partial W_{ij}} = \sum_r \frac{\partial L}{\partial Y_{rj}} X_{ri}
#    \quad\Longrightarrow\quad
#    \frac{\partial L}{\partial W} = X^\mathsf{T} \frac{\partial L}{\partial Y}
#
# 同理，:math:`X_{ri}` 参与了每个输出 :math:`j`，系数是 :math:`W_{ij}`；:math:`b_j` 参与了每一行，系数是 1：
#
# .. math::
#
#    \frac{\partial L}{\partial X} = \frac{\partial L}{\partial Y} W^\mathsf{T}
#    \qquad\qquad
#    \frac{\partial L}{\partial b} = \sum_r \frac{\partial L}{\partial Y_{r\,\cdot}}
#
# 记不住的时候就核对形状：要得到 :math:`(n_\text{in}, n_\text{out})`，只能是 :math:`(n_\text{in}, n) \cdot (n, n_\text{out})`。
# （有的课程把样本放在列里，写成 :math:`\mathrm{d}W = \mathrm{d}Z\,A^\mathsf{T}`，只是转置了一下，意思完全一样。）

W, b = rng.standard_normal((4, 2)), rng.standard_normal(2)
affine = Affine(W, b)
affine.forward(x)
dout = rng.standard_normal((3, 2))
dx = affine.backward(dout)
compare("dx", dout @ W.T, dx)
compare("dW", x.T @ dout, affine.dW)
compare("db", dout.sum(axis=0), affine.db)

# %%
# 两个 Affine 层之间如果没有激活函数，就等于一个 Affine 层：:math:`(X W_1 + b_1) W_2 + b_2 = X (W_1 W_2) + (b_1 W_2 + b_2)`。
# “深”靠的是夹在中间的非线性。

W2, b2 = rng.standard_normal((2, 3)), rng.standard_normal(3)
two = Affine(W2, b2).forward(Affine(W, b).forward(x))
compare("two", Affine(W @ W2, b @ W2 + b2).forward(x), two)

# %%
# Softmax-with-Loss 层：为什么是 y − t
# ------------------------------------
#
# softmax 把得分变成概率，交叉熵误差给出一行的损失：
#
# .. math:: y_k = \frac{e^{a_k}}{\sum_j e^{a_j}} \qquad\qquad L = -\sum_k t_k \log y_k
#
# 把前式代入后式，对数和指数互相抵消。又因为一行的监督数据加起来等于 1，所以
#
# .. math:: L = -\sum_k t_k a_k + \log \sum_j e^{a_j}
#
# 对 :math:`a_k` 求导，前一项得 :math:`-t_k`，后一项得 :math:`e^{a_k} / \sum_j e^{a_j}`，正好又是 :math:`y_k`。因此
#
# .. math:: \frac{\partial L}{\partial a_k} = y_k - t_k
#
# 即“预测的概率”减去“真实的概率”。这么漂亮的结果不是凑巧：交叉熵误差本来就是为 softmax 设计的。
# 一个 mini-batch 的损失是各行损失的平均，所以还要除以行数。

scores, t = rng.standard_normal((3, 4)), np.array([0, 3, 1])
softmax = SoftmaxWithLoss()
loss = softmax.forward(scores, t)

e = np.exp(
    scores - scores.max(axis=1, keepdims=True)
)  # the same quotient, and no overflow
y, rows = e / e.sum(axis=1, keepdims=True), np.eye(4)[t]
compare("loss", -(rows * np.log(y)).sum(axis=1).mean(), loss)
compare("dx", (y - rows) / len(t), softmax.backward())

# %%
# 取一行画出来，正确的类别是 2：偏高的往下压，正确的往上抬，加起来正好是 0。

one, true = scores[:1], np.array([2])
softmax.forward(one, true)
push = softmax.backward()[0]
figure, axes = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained")
axes[0].bar(range(4), softmax.y[0], color="#0072B2", label="y")
axes[0].bar(range(4), np.eye(4)[2], fill=False, edgecolor="black", label="t")
axes[0].legend(frameon=False)
axes[1].bar(range(4), push, color="#D55E00")
axes[1].axhline(0, color="black", linewidth=0.8)
axes[1].set(ylabel="y - t")
for each in axes:
    each.set(xlabel="class", xticks=range(4))
plt.show()

# %%
# 逻辑回归：最小的神经网络
# ------------------------
#
# 只有一个输出的 Affine 层，后面接 sigmoid 和它的损失。它的梯度也是 :math:`y - t`，因为 sigmoid 就是两个类别的 softmax：
#
# .. math::
#
#    L = -t \log y - (1 - t) \log (1 - y), \qquad
#    \frac{\partial L}{\partial y} = -\frac{t}{y} + \frac{1 - t}{1 - y} = \frac{y - t}{y (1 - y)}, \qquad
#    \frac{\partial L}{\partial x} = \frac{y - t}{y (1 - y)} \cdot y (1 - y) = y - t
#
# sigmoid 那个会变得很小的导数，在这里恰好约掉了。先完全手写，更新 200 次：

x = rng.standard_normal((200, 2))
t = (x @ [[2.0], [-3.0]] + 0.5 + 0.5 * rng.standard_normal((200, 1)) > 0).astype(float)
w, bias = np.zeros((2, 1)), np.zeros(1)
for _ in range(200):
    y = 1 / (1 + np.exp(-(x @ w + bias)))
    dz = (y - t) / len(t)
    w -= 1.0 * (x.T @ dz)
    bias -= 1.0 * dz.sum(axis=0)
print("by hand :", w.ravel().round(6), bias.round(6))

# %%
# 再用现成的层：

from fastbp.layers import SigmoidWithLoss

layer, last = Affine(np.zeros((2, 1)), np.zeros(1)), SigmoidWithLoss()
for _ in range(200):
    last.forward(layer.forward(x), t)
    layer.backward(last.backward())
    layer.W -= 1.0 * layer.dW
    layer.b -= 1.0 * layer.db
print("layers  :", layer.W.ravel().round(6), layer.b.round(6))
print(f"accuracy: {((layer.forward(x) > 0) == t).mean():.3f}")

# %%
# **试一试：** 把损失换成概率的平方误差 :math:`(y - t)^2`。它对 :math:`x` 的梯度是 :math:`2 (y - t)\,y (1 - y)`，
# 在 sigmoid 平坦的地方，网络错得再离谱也几乎学不动。
