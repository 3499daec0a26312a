r"""
自动微分
========

只要写出正向传播，反向传播就自动有了：张量记得自己来自哪个运算。函数和方法的名字与 PyTorch 相同。
"""


# %%
# 从一个小式子到它的梯度
# ----------------------

import fastbp
from fastbp import graph

x = fastbp.tensor(2.0, requires_grad=True)
y = fastbp.tensor(3.0, requires_grad=True)
z = x * y + fastbp.exp(x)
graph.draw(z, {"x": x, "y": y, "z": z})

# %%
# :math:`\partial z / \partial x = y + e^x`，:math:`\partial z / \partial y = x`。 ``grad_fn`` 是最后一个节点，
# ``backward`` 从那里往左走，把导数留在 ``grad`` 里。

import math

print("made by", type(z.grad_fn).__name__)
z.backward()
print(f"dz/dx {x.grad.item():.4f}   y + exp(x) {3 + math.exp(2):.4f}")
print(f"dz/dy {y.grad.item():.4f}   x          {2:.4f}")

# %%
# 分叉与汇合
# ----------
#
# ``v`` 用在了两处，每一处都传回一个导数，它们 **相加**，这正是有多条路径时链式法则的要求。同样，再调用一次 ``backward``
# 也是累加上去；所以训练循环每一步之前都要清空 ``grad``。

v = fastbp.tensor(3.0, requires_grad=True)
for expected in (6, 12):
    (v * v).backward()
    print("grad", v.grad.item(), "expected", expected)
v.grad = None

# %%
# 不记录计算
# ----------
#
# 在 ``no_grad`` 里什么也不记；``detach`` 把张量从计算图上断开，导数到那里为止。

with fastbp.no_grad():
    print("no_grad:", (v * v).requires_grad)
w = v * v.detach()  # one of the two is a constant
w.backward()
print("d (v c) / dv =", v.grad.item(), "where c = v = 3")

# %%
# 换成数组：不推公式也能拟合
# --------------------------
#
# 标量也可以换成数组。这里用 :math:`\hat y = w_1 x^2 + w_2 x + b` 拟合五个点，一个导数也不用手推。

points = fastbp.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
heights = fastbp.tensor([8.0, 19.0, 36.0, 59.0, 88.0])
w1, w2, b = (fastbp.tensor(1.0, requires_grad=True) for _ in range(3))
losses = []
for _ in range(4000):
    loss = ((points * points * w1 + points * w2 + b - heights) ** 2).mean()
    loss.backward()
    losses.append(loss.item())
    with fastbp.no_grad():
        for parameter in (w1, w2, b):
            parameter -= 0.003 * parameter.grad
            parameter.grad = None
print(
    f"{w1.item():.2f} x^2 + {w2.item():.2f} x + {b.item():.2f}, loss {losses[-1]:.4f}"
)

# %%

import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(6, 2.8), layout="constrained")
axes.semilogy(losses, color="#0072B2")
axes.set(xlabel="step", ylabel="loss")
plt.show()

# %%
# 整个网络的损失
# --------------
#
# 小网络里的每个运算都是这样的节点，用 ``fastbp.nn`` 的层也一样。下面得到的就是 softmax 的 :math:`y - t`，没有人动手推导。

scores = fastbp.tensor([[1.0, 2.0, 0.5]], requires_grad=True)
loss = fastbp.nn.functional.cross_entropy(scores, fastbp.tensor([1]))
loss.backward()
with fastbp.no_grad():
    probabilities = fastbp.softmax(scores, dim=1)
print("y    ", probabilities.numpy().round(3))
print("y - t", scores.grad.numpy().round(3))

# %%
# **试一试：** ``fastbp.autograd.grad(z, [x, y])`` 直接返回导数，不动 ``grad``。二阶导数（ ``create_graph=True`` ）不支持，
# 错误信息会说明。
