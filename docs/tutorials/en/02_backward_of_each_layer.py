r"""
Backpropagation through each layer
==================================

A network is a chain of layers.  Each gets the derivative of the loss by its output, :math:`G = \partial L /
\partial Y`, and has to make the derivative by its input of it, and by its own weights.  Here are the four layers of
the book, each with its derivation and with the numbers of the library beside the formula.
"""

# %%
# Affine: :math:`Y = X W + b`
# ---------------------------
#
# Written for one element, :math:`y_{rj} = \sum_i x_{ri} w_{ij} + b_j`.  The loss depends on :math:`w_{ij}` by way of
# the outputs :math:`y_{rj}` of all rows r, and :math:`\partial y_{rj} / \partial w_{ij} = x_{ri}`:
#
# .. math::
#     \frac{\partial L}{\partial w_{ij}} = \sum_r x_{ri} g_{rj}, \qquad
#     \frac{\partial L}{\partial b_j} = \sum_r g_{rj}, \qquad
#     \frac{\partial L}{\partial x_{ri}} = \sum_j g_{rj} w_{ij}
#
# These sums are products of matrices: :math:`dW = X^T G`, :math:`db` the sum of G's rows, :math:`dX = G W^T`.  The
# shapes leave no other choice, which is a way to remember them.

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
# The derivative is 1 where x was above 0 and 0 elsewhere: a gate, which lets the gradient through or does not.  At 0
# itself there is no derivative; 0 is taken, as everybody does.

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
# So backward needs the output alone.  It is at most 1/4: behind ten such layers at most a millionth of the gradient
# is left, which is why networks of sigmoids do not like to be deep.

sigmoid = Sigmoid()
out = sigmoid.forward(Y)
print("sigmoid", np.abs(sigmoid.backward(G) - G * out * (1 - out)).max())

# %%
# Softmax with loss: why :math:`y - t`
# ------------------------------------
#
# Of one row, :math:`y_k = e^{x_k} / S` with :math:`S = \sum_j e^{x_j}`, and the loss is the cross-entropy
# :math:`L = -\sum_k t_k \log y_k`.  Put in:
#
# .. math::
#     L = -\sum_k t_k (x_k - \log S) = \log S - \sum_k t_k x_k
#
# as the t add up to 1.  And :math:`\partial \log S / \partial x_k = e^{x_k} / S = y_k`, so
#
# .. math::
#     \frac{\partial L}{\partial x_k} = y_k - t_k
#
# All the exponentials are gone.  Of a batch the loss is the mean over its rows, which divides the gradient by their
# number, once.

loss = SoftmaxWithLoss()
logits, t = rng.normal(size=(4, 3)), np.array([0, 2, 1, 1])
value = loss.forward(logits, t)
y = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
one_hot = np.eye(3)[t]
print("loss", abs(value + np.log(y[np.arange(4), t]).mean()))
print("gradient", np.abs(loss.backward() - (y - one_hot) / 4).max())

# %%
# The gradient in a picture
# -------------------------
#
# Each row's gradient pulls the probability of the right class up and pushes the others down, by as much as they are
# wrong; the parts of a row add up to nothing.

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
