r"""
Backpropagation through each layer
==================================

A layer is a node whose numbers are arrays.  Here the gradients of the four layers that make a network are derived,
and each formula is compared with what fastbp computes: nothing has to be believed.
"""

# %%
# Let :math:`L` be the loss, one number, and write :math:`\partial L / \partial Y` for the array of its derivatives by
# the elements of :math:`Y`.  It has :math:`Y`'s shape.  ``backward`` gets it for the layer's output, as ``dout``, and
# returns it for the layer's input.  Rows are samples: ``x`` is (n, n_in), ``W`` is (n_in, n_out).

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
# ReLU
# ----
#
# .. math::
#
#    y = \begin{cases} x & (x > 0) \\ 0 & (x \le 0) \end{cases}
#    \qquad
#    \frac{\partial y}{\partial x} = \begin{cases} 1 & (x > 0) \\ 0 & (x \le 0) \end{cases}
#
# Every element is a node of its own.  Where the switch was on, what comes back goes through; where it was off,
# nothing does.

x = rng.standard_normal((3, 4))
dout = rng.standard_normal((3, 4))

relu = Relu()
y = relu.forward(x)
compare("dx", dout * (x > 0), relu.backward(dout))

# %%
# Sigmoid
# -------
#
# :math:`y = 1 / (1 + e^{-x})` is four nodes: times −1, exp, plus 1, and the reciprocal.  Backward, from the right to
# the left:
#
# * the reciprocal :math:`y = 1/u` has the derivative :math:`-1/u^2 = -y^2`;
# * the addition hands on what it gets;
# * :math:`e^v` has the derivative :math:`e^v`, here :math:`e^{-x}`;
# * the multiplication by −1 turns the sign.
#
# Together, with :math:`e^{-x} = (1 - y) / y`,
#
# .. math:: \frac{\partial y}{\partial x} = y^2 e^{-x} = y\,(1 - y)
#
# so the output alone is enough, and the input may be forgotten.  The graph has the same number at its left end:

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
# Both slopes.  The sigmoid's is 1/4 at most: behind ten layers of sigmoids at most :math:`4^{-10}`, a millionth, of a
# gradient is left.  That is the reason why hidden layers have relus nowadays.

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
# Affine
# ------
#
# .. math:: Y = X W + b, \qquad Y_{rj} = \sum_i X_{ri} W_{ij} + b_j
#
# :math:`W_{ij}` takes part in :math:`Y_{rj}` of every row :math:`r`, with the factor :math:`X_{ri}`.  A number that is
# used several times gets the sum of what comes back on all its ways:
#
# .. math::
#
#    \frac{\partial L}{\partial W_{ij}} = \sum_r \frac{\partial L}{\partial Y_{rj}} X_{ri}
#    \quad\Longrightarrow\quad
#    \frac{\partial L}{\partial W} = X^\mathsf{T} \frac{\partial L}{\partial Y}
#
# :math:`X_{ri}` takes part in :math:`Y_{rj}` of every output :math:`j`, with the factor :math:`W_{ij}`, and
# :math:`b_j` in that of every row, with the factor 1:
#
# .. math::
#
#    \frac{\partial L}{\partial X} = \frac{\partial L}{\partial Y} W^\mathsf{T}
#    \qquad\qquad
#    \frac{\partial L}{\partial b} = \sum_r \frac{\partial L}{\partial Y_{r\,\cdot}}
#
# The shapes leave no other choice, which is the way to remember it: :math:`(n_\text{in}, n_\text{out})` comes out of
# :math:`(n_\text{in}, n) \cdot (n, n_\text{out})` only.  (Courses that keep samples as columns have
# :math:`\mathrm{d}W = \mathrm{d}Z\,A^\mathsf{T}`: the same, transposed.)

W, b = rng.standard_normal((4, 2)), rng.standard_normal(2)
affine = Affine(W, b)
affine.forward(x)
dout = rng.standard_normal((3, 2))
dx = affine.backward(dout)
compare("dx", dout @ W.T, dx)
compare("dW", x.T @ dout, affine.dW)
compare("db", dout.sum(axis=0), affine.db)

# %%
# Two affine layers without an activation between them are one: :math:`(X W_1 + b_1) W_2 + b_2 = X (W_1 W_2) + (b_1 W_2
# + b_2)`.  Depth comes from what stands between.

W2, b2 = rng.standard_normal((2, 3)), rng.standard_normal(3)
two = Affine(W2, b2).forward(Affine(W, b).forward(x))
compare("two", Affine(W @ W2, b @ W2 + b2).forward(x), two)

# %%
# Softmax with loss: why y − t
# ----------------------------
#
# Softmax makes probabilities of scores, the cross-entropy the loss of a row:
#
# .. math:: y_k = \frac{e^{a_k}}{\sum_j e^{a_j}} \qquad\qquad L = -\sum_k t_k \log y_k
#
# Put the first into the second.  The logarithm undoes the exponential, and as the targets of a row add up to 1,
#
# .. math:: L = -\sum_k t_k a_k + \log \sum_j e^{a_j}
#
# The derivative by :math:`a_k` of the first part is :math:`-t_k`; that of the second is
# :math:`e^{a_k} / \sum_j e^{a_j}`, which is :math:`y_k` again.  So
#
# .. math:: \frac{\partial L}{\partial a_k} = y_k - t_k
#
# the probability that was said minus the one that is true.  Nothing was tuned: the loss and softmax fit each other.
# The loss of a batch is the mean of its rows' losses, hence the division by their number.

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
# Drawn for one row, whose true class is 2: what is too high is pushed down, and the true one up, and the pushes add
# up to 0.

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
# Logistic regression, the smallest network
# -----------------------------------------
#
# One affine layer with one output, and a sigmoid with its loss.  The gradient is :math:`y - t` here too, since a
# sigmoid is the softmax of two classes:
#
# .. math::
#
#    L = -t \log y - (1 - t) \log (1 - y), \qquad
#    \frac{\partial L}{\partial y} = -\frac{t}{y} + \frac{1 - t}{1 - y} = \frac{y - t}{y (1 - y)}, \qquad
#    \frac{\partial L}{\partial x} = \frac{y - t}{y (1 - y)} \cdot y (1 - y) = y - t
#
# The slope of the sigmoid, which becomes so small, cancels.  Written by hand, 200 steps:

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
# The same with the layers:

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
# **Try it:** replace the loss by the squared error of the probability, :math:`(y - t)^2`.  Its gradient by :math:`x`
# is :math:`2 (y - t)\,y (1 - y)`: where the sigmoid is flat, a network that is quite wrong learns next to nothing.
