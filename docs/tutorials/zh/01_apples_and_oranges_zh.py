r"""
用手算一张计算图
===============================

Two apples at 100 and three oranges at 150, and a tax of 10 %: what is to be paid, and what would change if an
apple were dearer?  The second question is a derivative, and backpropagation is the way to all of them at once.
"""

# %%
# A node knows its inputs and nothing else
# ----------------------------------------
#
# A multiplication :math:`z = x y` has :math:`\partial z / \partial x = y` and :math:`\partial z / \partial y = x`,
# so that it has to remember both inputs.  An addition hands on what it gets.

from fastbp.layers import AddLayer, MulLayer

apple, apples, orange, oranges, tax = 100.0, 2.0, 150.0, 3.0, 1.1
apple_node, orange_node, tax_node = MulLayer(), MulLayer(), MulLayer()
sum_node = AddLayer()

apple_price = apple_node.forward(apple, apples)
orange_price = orange_node.forward(orange, oranges)
both = sum_node.forward(apple_price, orange_price)
price = tax_node.forward(both, tax)
print(f"to be paid: {price:.0f}")

# %%
# From the right to the left
# --------------------------
#
# The price's derivative by itself is 1.  Each node multiplies what comes back by its own derivative: the chain rule,
# one node at a time.

d_both, d_tax = tax_node.backward(1.0)
d_apple_price, d_orange_price = sum_node.backward(d_both)
d_apple, d_apples = apple_node.backward(d_apple_price)
d_orange, d_oranges = orange_node.backward(d_orange_price)
print(
    f"by an apple's price {d_apple:.1f}, by their number {d_apples:.0f}, by the tax {d_tax:.0f}"
)

# %%
# Were an apple 1 dearer, 2.2 more would be to be paid.  Tried:

print(f"{((apple + 1) * apples + orange * oranges) * tax - price:.1f}")

# %%
# The same, without writing backward
# ----------------------------------
#
# A tensor remembers how it came about.  :func:`fastbp.graph.draw` shows the values above the arrows, and the
# derivatives below them.

import fastbp
from fastbp import graph

names = {
    "apple": apple,
    "apples": apples,
    "orange": orange,
    "oranges": oranges,
    "tax": tax,
}
names = {
    name: fastbp.tensor(value, requires_grad=True) for name, value in names.items()
}
price = (names["apple"] * names["apples"] + names["orange"] * names["oranges"]) * names[
    "tax"
]
graph.draw(price, {**names, "price": price})
