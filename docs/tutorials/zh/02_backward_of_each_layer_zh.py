r"""
各层的误差反向传播
==================

神经网络是一串层。每一层从右边得到损失对自己输出的导数 :math:`G = \partial L / \partial Y`，
要由它算出损失对输入的导数，和对自己权重的导数。下面是书中的四种层：先推导公式，再和库里的数值对照。
"""

# %%
# 仿射层（Affine）: :math:`Y = X W + b`
# --------------------------------------
#
# 写成元素是 :math:`y_{rj} = \sum_i x_{ri} w_{ij} + b_j`。损失通过所有行 r 的输出 :math:`y_{rj}` 依赖于
# :math:`w_{ij}`，而 :math:`\partial y_{rj} / \partial w_{ij} = x_{ri}`：
#
# .. math::
#     \frac{\partial L}{\partial w_{ij}} = \sum_r x_{ri} g_{rj}, \qquad
#     \frac{\partial L}{\partial b_j} = \sum_r g_{rj}, \qquad
#     \frac{\partial L}{\partial x_{ri}} = \sum_j g_{rj} w_{ij}
#
# 这些求和就是矩阵乘积： :math:`dW = X^T G`， :math:`db` 是 G 各行之和， :math:`dX = G W^T`。
# 矩阵的形状只允许这一种写法，这也是记住它们的办法。

import numpy as np

from fastbp.layers import Affine, Relu, Sigmoid, SoftmaxWithLoss

rng = np.random.default_rng(0)
X, W, b = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
G = rng.normal(size=(4, 2))

layer = Affine(W, b)
Y = layer.forward(X)
dX = layer.backward(G)
print("Y ", np.abs(Y - (X @ W + b)).max())
print("dX", np.abs(dX - G @ W.T).max())
print("dW", np.abs(layer.dW - X.T @ G).max())
print("db", np.abs(layer.db - G.sum(axis=0)).max())

# %%
# ReLU: :math:`y = \max(x, 0)`
# ----------------------------
#
# x 大于 0 时导数是 1，其余是 0：像一道门，让梯度通过，或者不让。在 0 这一点没有导数，按惯例取 0。

relu = Relu()
relu.forward(Y)
print("relu", np.abs(relu.backward(G) - G * (Y > 0)).max())

# %%
# Sigmoid: :math:`y = 1 / (1 + e^{-x})`
# -------------------------------------
#
# .. math::
#     \frac{dy}{dx} = \frac{e^{-x}}{(1 + e^{-x})^2}
#                   = \frac{1}{1 + e^{-x}} \cdot \frac{e^{-x}}{1 + e^{-x}} = y (1 - y)
#
# 所以反向传播只需要输出。这个值最大是 1/4：经过十层之后，梯度最多只剩百万分之一，
# 这就是由 sigmoid 组成的网络很难加深的原因。

sigmoid = Sigmoid()
out = sigmoid.forward(Y)
print("sigmoid", np.abs(sigmoid.backward(G) - G * out * (1 - out)).max())

# %%
# Softmax-with-Loss 层：为什么是 :math:`y - t`
# --------------------------------------------
#
# 对一行数据， :math:`y_k = e^{x_k} / S`，其中 :math:`S = \sum_j e^{x_j}`，损失是交叉熵误差
# :math:`L = -\sum_k t_k \log y_k`。代入：
#
# .. math::
#     L = -\sum_k t_k (x_k - \log S) = \log S - \sum_k t_k x_k
#
# 因为 t 之和是 1。而 :math:`\partial \log S / \partial x_k = e^{x_k} / S = y_k`，所以
#
# .. math::
#     \frac{\partial L}{\partial x_k} = y_k - t_k
#
# 指数全都消去了。一个小批量的损失是各行的平均，所以梯度要除以行数，只除一次。

loss = SoftmaxWithLoss()
logits, t = rng.normal(size=(4, 3)), np.array([0, 2, 1, 1])
value = loss.forward(logits, t)
y = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
one_hot = np.eye(3)[t]
print("loss", abs(value + np.log(y[np.arange(4), t]).mean()))
print("gradient", np.abs(loss.backward() - (y - one_hot) / 4).max())

# %%
# 把梯度画出来
# ------------
#
# 每一行的梯度把正确类别的概率往上拉，把其他类别往下推，错多少就推多少；一行之和是 0。

import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 4, figsize=(9, 2.4), sharey=True, layout="constrained")
for r, place in enumerate(axes):
    colours = ["#D55E00" if k == t[r] else "#0072B2" for k in range(3)]
    place.bar(range(3), 4 * loss.backward()[r], color=colours)
    place.axhline(0, color="black", linewidth=0.8)
    place.set_xticks(range(3))
    place.set_title(f"row {r}, class {t[r]}")
axes[0].set_ylabel("y - t")
plt.show()
