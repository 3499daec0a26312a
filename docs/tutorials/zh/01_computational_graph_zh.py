r"""
手算一张计算图
==============

苹果 100 元一个，买 2 个；橘子 150 元一个，买 3 个；消费税 10%。一共要付多少钱？如果苹果涨价，金额又会怎么变？
后一个问题问的是导数，而误差反向传播法能把所有的导数一次求出来。
"""


# %%
# 节点只管自己的输入
# ------------------
#
# 在 *计算图* 里，每个运算是一个节点，数值沿着箭头流动。节点不需要了解全局：根据输入算出输出，交给下一个节点就行了。
# 这就是 *局部计算*，不管图有多大，它都够用，而且两个方向都成立：
#
# * **正向传播**：从左到右，传递数值；
# * **反向传播**：从右到左，传递最终结果的导数，每个节点把传回来的值乘上自己的局部导数。
#
# 乘法 :math:`z = x y` 的局部导数是 :math:`\partial z / \partial x = y`、:math:`\partial z / \partial y = x`。
# 反向时要乘的是“另一个”输入，也就是把两个输入“翻转”过来，所以乘法节点必须记住它们。加法 :math:`z = x + y` 的两个局部导数都是 1，
# 上游传来什么就原样传下去，什么也不用记。


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
# 书上的两个例子：:math:`10 \times 5` 和 :math:`10 + 5`，上游传回来的都是 1.3。

times, plus = Multiplication(), Addition()
print("x y  :", times.forward(10, 5), times.backward(1.3))
print("x + y:", plus.forward(10, 5), plus.backward(1.3))

# %%
# 从左到右
# --------
#
# ``fastbp.layers`` 里有同样的两个层，名字和书上一样。每个节点各用一个对象，因为每个节点都有自己要记住的输入。

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
# 从右到左
# --------
#
# 金额对自己的导数是 1。从它出发，按与正向相反的顺序依次经过各个节点。

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
# 苹果每个贵 1 元，就要多付 2.2 元。验证一下：

print(f"{((apple + 1) * apples + orange * oranges) * tax - price:.1f}")

# %%
# 消费税的导数是 650，苹果的是 2.2，但不能因此说税的“影响更大”。那里的“增加 1”意味着税率变成 110%，而苹果贵 1 元，几乎还是原来的价钱。
# 导数是有单位的，量纲不同的导数不能相互比较。

# %%
# 把图画出来
# ----------
#
# 张量会记住自己是怎么算出来的。:func:`fastbp.graph.draw` 把正向的数值写在箭头上方，把反向传回来的导数用红色写在箭头下方。

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
# 链式法则
# --------
#
# 为什么可以把局部导数连乘起来？设 :math:`z = t^2`，:math:`t = x + y`。链式法则说：复合函数的导数等于构成它的各个函数的导数之积，
#
# .. math:: \frac{\partial z}{\partial x} = \frac{\partial z}{\partial t}\,\frac{\partial t}{\partial x}
#           = 2t \cdot 1 = 2 (x + y)
#
# 右边的每个因子正好属于一个节点：平方节点传回 :math:`1 \cdot 2t`，加法节点再乘以 1。

x, y = fastbp.tensor(3.0, requires_grad=True), fastbp.tensor(1.0, requires_grad=True)
z = (x + y) ** 2
graph.draw(z, {"x": x, "y": y, "z": z})

# %%
# 和公式的结果一样：

z.backward()
print("backward:", x.grad.item(), "  2 (x + y):", 2 * (x.item() + y.item()))

# %%
# 为什么要“反向”
# --------------
#
# 也可以把五个输入逐个挪动一点点，再重新算一遍金额，这就是 *数值微分*：有几个输入，就要把图走几遍。反向传播只走一遍就得到全部五个导数，
# 因为传到加法节点的 1.1 由两种水果共用。神经网络要求导的不是五个输入，而是几十万个权重，这时就是几秒和几天的差别。
#
# **试一试：** 改成 ``apples = 4``，哪些导数会变，哪些不变？先想好再运行。提示：乘法节点传回的是“另一个”输入。
