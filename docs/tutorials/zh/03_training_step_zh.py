r"""
一步训练：NumPy 与编译版
========================

一个两层的神经网络，用 NumPy 写只要四十行。这里一行不省地写出来，和编译好的一步放在一起比较：数值相同，用时各是多少。
"""


# %%
# 一步训练有四件事：随机选出一部分数据（*mini-batch*，小批量），计算损失，沿各层反向传播求出梯度，再让每个参数朝梯度的反方向移动一点，
# 即 :math:`W \leftarrow W - \eta\, \partial L / \partial W`。然后重复。

import time

import matplotlib.pyplot as plt
import numpy as np


class TwoLayerNet:
    """Affine, relu, affine, softmax with loss."""

    def __init__(self, params):
        self.params = {name: array.copy() for name, array in params.items()}

    def scores(self, x):
        p = self.params
        return np.maximum(x @ p["W1"] + p["b1"], 0) @ p["W2"] + p["b2"]

    def gradient(self, x, t):
        """The loss and its gradients by all parameters."""
        p = self.params
        # forward
        hidden = np.maximum(x @ p["W1"] + p["b1"], 0)
        scores = hidden @ p["W2"] + p["b2"]
        scores -= scores.max(axis=1, keepdims=True)
        y = np.exp(scores)
        y /= y.sum(axis=1, keepdims=True)
        rows = np.arange(len(t))
        loss = -np.log(y[rows, t]).mean()
        # backward
        dscores = y
        dscores[rows, t] -= 1
        dscores /= len(t)
        dhidden = dscores @ p["W2"].T * (hidden > 0)
        return loss, {
            "W1": x.T @ dhidden,
            "b1": dhidden.sum(axis=0),
            "W2": hidden.T @ dscores,
            "b2": dscores.sum(axis=0),
        }

    def step(self, x, t, lr):
        loss, grads = self.gradient(x, t)
        for name, gradient in grads.items():
            self.params[name] -= lr * gradient
        return loss


# %%
# 同一个网络，编译版
# ------------------
#
# 数据是 8 × 8 像素的手写数字，float32。两个网络从相同的权重出发。

from fastbp import SGD, Linear, Relu, Sequential, Trainer
from fastbp.datasets import load_digits

(x_train, t_train), (x_test, t_test) = load_digits()
net = Sequential(
    Linear(64, 50, seed=1), Relu(), Linear(50, 10, seed=2), loss="softmax_cross_entropy"
)
by_hand = TwoLayerNet(net.params)
lr, batch, steps = 0.1, 100, 500

# %%
# 先看一次梯度。差别只在 float32 的最后一位，因为求和的顺序不同。

_, grads = by_hand.gradient(x_train[:batch], t_train[:batch])
for name, gradient in net.gradient(x_train[:batch], t_train[:batch]).items():
    print(
        f"{name}: {gradient.shape!s:<9} largest difference {np.abs(gradient - grads[name]).max():.0e}"
    )

# %%
# 再用同样的 mini-batch 更新 500 次。:class:`fastbp.Trainer` 把网络、损失和优化器的一步合成一次编译好的调用。

rng = np.random.default_rng(0)
batches = rng.integers(0, len(x_train), (steps, batch))

begin = time.perf_counter()
losses = [by_hand.step(x_train[rows], t_train[rows], lr) for rows in batches]
numpy_seconds = time.perf_counter() - begin

trainer = Trainer(net, optimizer=SGD(lr=lr), batch_size=batch, n_threads=1)
begin = time.perf_counter()
compiled = [trainer.step(x_train[rows], t_train[rows]) for rows in batches]
compiled_seconds = time.perf_counter() - begin

print("step   by hand   compiled")
for step in (0, 1, 9, 99, 499):
    print(f"{step + 1:4}   {losses[step]:.5f}   {compiled[step]:.5f}")
print(
    f"largest difference of the losses: {max(abs(a - b) for a, b in zip(losses, compiled, strict=True)):.0e}"
)

# %%
# 两条曲线完全重合，这正是梯度正确时该有的样子。

figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.plot(losses, color="#0072B2", linewidth=3, label="40 lines of NumPy")
axes.plot(compiled, "--", color="#D55E00", linewidth=1.2, label="compiled")
axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
axes.legend(frameon=False)
plt.show()

# %%
# 每一步的时间（在生成本页的机器上测得）：

print(f"NumPy    {1e6 * numpy_seconds / steps:6.0f} µs")
print(
    f"compiled {1e6 * compiled_seconds / steps:6.0f} µs, {numpy_seconds / compiled_seconds:.1f} times as quick"
)

# %%
# 两边做的计算是一样的。编译版省下的是计算以外的一切：NumPy 的每个运算都是一次调用，每个结果都是一个新数组，都要在内存里走一个来回。
# 在编译版里，权重一直按内核读取的顺序存放，ReLU 趁结果还在寄存器里时就做完了，权重的梯度不写进内存，直接更新到权重上。
#
# 识别精度也一样：

for name, scores in (
    ("by hand", by_hand.scores(x_test)),
    ("compiled", net.predict(x_test)),
):
    print(f"{name:<9} test accuracy {(scores.argmax(axis=1) == t_test).mean():.4f}")

# %%
# **试一试：** :meth:`~fastbp.Sequential.fit` 连 epoch 的循环也包办了。把上面的循环换成
# ``net.fit(x_train, t_train, epochs=20, batch_size=100, optimizer=SGD(lr=0.1), seed=0)``。
