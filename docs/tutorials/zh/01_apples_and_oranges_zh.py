r"""
用手算一张计算图
================

苹果每个 100 元，买 2 个；橘子每个 150 元，买 3 个；消费税 10%。要付多少钱？如果苹果贵了 1 元，
要多付多少？后一个问题问的是导数，而误差反向传播法一次就能求出所有的导数。
"""

# %%
# 节点只知道自己的输入
# --------------------
#
# 乘法 :math:`z = x y` 的导数是 :math:`\partial z / \partial x = y` 和
# :math:`\partial z / \partial y = x`，所以乘法节点要记住两个输入。加法节点把传来的值原样传下去。
# 这就是“局部计算”：不管整张图有多复杂，每个节点只做与自己有关的计算。

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
# 从右向左
# --------
#
# 支付金额对自己的导数是 1。每个节点把右边传来的值乘上自己的局部导数，再传给左边：
# 这就是链式法则，一次一个节点。

d_both, d_tax = tax_node.backward(1.0)
d_apple_price, d_orange_price = sum_node.backward(d_both)
d_apple, d_apples = apple_node.backward(d_apple_price)
d_orange, d_oranges = orange_node.backward(d_orange_price)
print(
    f"by an apple's price {d_apple:.1f}, by their number {d_apples:.0f}, by the tax {d_tax:.0f}"
)

# %%
# 苹果每贵 1 元，就要多付 2.2 元。试一试：

print(f"{((apple + 1) * apples + orange * oranges) * tax - price:.1f}")

# %%
# 不写 backward 也一样
# --------------------
#
# 张量记得自己是怎样算出来的。 :func:`fastbp.graph.draw` 在箭头上方写值，在下方写导数。

import fastbp
from fastbp import graph

names = {"apple": apple, "apples": apples, "orange": orange, "oranges": oranges, "tax": tax}
names = {name: fastbp.tensor(value, requires_grad=True) for name, value in names.items()}
price = (names["apple"] * names["apples"] + names["orange"] * names["oranges"]) * names["tax"]
graph.draw(price, {**names, "price": price})
