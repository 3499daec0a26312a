r"""
The computational graph by hand
===============================

Two apples at 100 and three oranges at 150, and a tax of 10 %: what is to be paid, and what would change if an
apple were dearer?  The second question is a derivative, and backpropagation is the way to all of them at once.
"""

# %%
# A node knows its own inputs and nothing else
# --------------------------------------------
#
# In a *computational graph* each operation is a node, and numbers travel along the arrows.  A node never sees the
# whole: it takes what comes in and hands on what goes out.  This *local computation* is all that is needed, however
# large the graph is, and it holds in both directions:
#
# * **forward**, from left to right, the values;
# * **backward**, from right to left, the derivatives of the last number: each node multiplies what comes back by
#   its own, local derivative.
#
# A multiplication :math:`z = x y` has :math:`\partial z / \partial x = y` and :math:`\partial z / \partial y = x`.
# So it hands back what it got times the *other* input, and has to remember both.  An addition :math:`z = x + y` has
# :math:`\partial z / \partial x = \partial z / \partial y = 1`: it hands on what it gets, and need not remember
# anything.


class Multiplication:
    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y

    def backward(self, dout):
        return dout * self.y, dout * self.x


class Addition:
    def forward(self, x, y):
        return x + y

    def backward(self, dout):
        return dout, dout


# %%
# Two examples, as the book has them: from :math:`10 \times 5` and from :math:`10 + 5`, where 1.3 comes back.

times, plus = Multiplication(), Addition()
print("x y  :", times.forward(10, 5), times.backward(1.3))
print("x + y:", plus.forward(10, 5), plus.backward(1.3))

# %%
# From the left to the right
# --------------------------
#
# ``fastbp.layers`` has the same two under the book's names.  One object for each node, as each has its own inputs to
# remember.

from fastbp.layers import AddLayer, MulLayer

apple, apples, orange, oranges, tax = 100.0, 2.0, 150.0, 3.0, 1.1
apple_node, orange_node, sum_node, tax_node = (
    MulLayer(),
    MulLayer(),
    AddLayer(),
    MulLayer(),
)

apple_price = apple_node.forward(apple, apples)
orange_price = orange_node.forward(orange, oranges)
both = sum_node.forward(apple_price, orange_price)
price = tax_node.forward(both, tax)
print(f"{apple_price:.0f} + {orange_price:.0f} = {both:.0f}, with tax {price:.0f}")

# %%
# From the right to the left
# --------------------------
#
# The price's derivative by itself is 1.  With that the way back begins, through the nodes in the opposite order.

d_both, d_tax = tax_node.backward(1.0)
d_apple_price, d_orange_price = sum_node.backward(d_both)
d_orange, d_oranges = orange_node.backward(d_orange_price)
d_apple, d_apples = apple_node.backward(d_apple_price)

found = {
    "apple": d_apple,
    "apples": d_apples,
    "orange": d_orange,
    "oranges": d_oranges,
    "tax": d_tax,
}
for name, derivative in found.items():
    print(f"d price / d {name:<8}{derivative:>6.1f}")

# %%
# Were an apple 1 dearer, 2.2 more would be to be paid.  Tried:

print(f"{((apple + 1) * apples + orange * oranges) * tax - price:.1f}")

# %%
# The tax's 650 is no "larger influence" than the apple's 2.2.  A tax that is larger by 1 is one of 110 %; an apple
# that is dearer by 1 is nearly the same apple.  Derivatives have units, and those with different units are not
# compared.

# %%
# The picture
# -----------
#
# A tensor remembers how it came about.  :func:`fastbp.graph.draw` shows the values above the arrows, and below them,
# in red, the derivatives that come back.

import fastbp
from fastbp import graph

values = {
    "apple": apple,
    "apples": apples,
    "orange": orange,
    "oranges": oranges,
    "tax": tax,
}
names = {
    name: fastbp.tensor(value, requires_grad=True) for name, value in values.items()
}
total = (names["apple"] * names["apples"] + names["orange"] * names["oranges"]) * names[
    "tax"
]
graph.draw(total, {**names, "price": total})

# %%
# The chain rule
# --------------
#
# Why may the local derivatives be multiplied?  Let :math:`z = t^2` with :math:`t = x + y`.  The chain rule says
#
# .. math:: \frac{\partial z}{\partial x} = \frac{\partial z}{\partial t}\,\frac{\partial t}{\partial x}
#           = 2t \cdot 1 = 2 (x + y)
#
# and each factor belongs to one node.  The square hands back :math:`1 \cdot 2t`, the addition that times 1.

x, y = fastbp.tensor(3.0, requires_grad=True), fastbp.tensor(1.0, requires_grad=True)
z = (x + y) ** 2
graph.draw(z, {"x": x, "y": y, "z": z})

# %%
# The formula gives the same:

z.backward()
print("backward:", x.grad.item(), "  2 (x + y):", 2 * (x.item() + y.item()))

# %%
# Why backwards
# -------------
#
# One could also move each of the five inputs a little and compute the price again: *numerical differentiation*.  It
# needs a pass through the graph for each input.  Backpropagation finds all five in one, because what has come back
# to the sum, 1.1, serves both fruits.  A network has not five inputs but some hundred thousand weights, and there it
# is the difference between seconds and days.
#
# **Try it:** put ``apples = 4``.  Which derivatives change, and which do not?  Find out before you run it: a
# multiplication hands back the *other* input.
