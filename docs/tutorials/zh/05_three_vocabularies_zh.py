r"""
同一个网络，三套词汇：鸢尾花与手写数字
======================================

同一个网络，分别用书上的写法、PyTorch 的写法和 scikit-learn 的写法来训练。三套写法背后是同一个引擎，用你熟悉的那一套就好。
"""


# %%
# 鸢尾花：150 朵花，四个测量值，三个品种。

import numpy as np

from fastbp.datasets import load_iris

(x_train, t_train), (x_test, t_test) = load_iris()
mean, deviation = x_train.mean(axis=0), x_train.std(axis=0)
x_train, x_test = (x_train - mean) / deviation, (x_test - mean) / deviation
print(x_train.shape, x_test.shape)

# %%
# 书上的写法
# ----------

from fastbp import SGD, Linear, Relu, Sequential, SoftmaxWithLoss

net = Sequential(
    Linear(4, 10, seed=1), Relu(), Linear(10, 3, seed=2), loss=SoftmaxWithLoss()
)
start = {name: array.copy() for name, array in net.params.items()}
for _ in range(200):
    gradients = net.gradient(x_train, t_train)
    for name in ("W1", "b1", "W2", "b2"):
        net.params[name] -= 0.5 * gradients[name]
print(
    f"loss {net.loss(x_train, t_train):.4f}, test accuracy {net.accuracy(x_test, t_test):.4f}"
)

# %%
# PyTorch 的写法
# --------------
#
# ``Linear.weight`` 的形状是 (n_out, n_in)，所以把初始权重转置一下，就能从同样的起点出发。

import fastbp
from fastbp import nn, optim

model = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 3))
with fastbp.no_grad():
    for layer, number in ((model[0], 1), (model[2], 2)):
        layer.weight.copy_(fastbp.tensor(start[f"W{number}"].T.copy()))
        layer.bias.copy_(fastbp.tensor(start[f"b{number}"]))

criterion, optimizer = nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.5)
x, t = fastbp.tensor(x_train), fastbp.tensor(t_train)
for _ in range(200):
    optimizer.zero_grad()
    loss = criterion(model(x), t)
    loss.backward()
    optimizer.step()
with fastbp.no_grad():
    loss = criterion(model(x), t).item()
    accuracy = (
        (model(fastbp.tensor(x_test)).argmax(dim=1) == fastbp.tensor(t_test))
        .float()
        .mean()
        .item()
    )
print(f"loss {loss:.4f}, test accuracy {accuracy:.4f}")

# %%
# scikit-learn 的写法
# -------------------
#
# 它的类用 ``random_state`` 自己抽取初始权重，所以损失会不一样。

from fastbp.estimators import MLPClassifier

classifier = MLPClassifier(
    (10,),
    solver="sgd",
    learning_rate_init=0.5,
    momentum=0.0,
    alpha=0.0,
    batch_size=len(x_train),
    max_iter=200,
    n_iter_no_change=200,
    random_state=0,
)
import warnings

with warnings.catch_warnings():  # 200 steps are what was wanted, converged or not
    warnings.simplefilter("ignore")
    classifier.fit(x_train, t_train)
print(
    f"loss {classifier.loss_:.4f}, test accuracy {classifier.score(x_test, t_test):.4f}"
)

# %%
# 手写数字
# --------
#
# MNIST 的四个文件不随库发布。环境变量 ``FASTBP_DATA`` 指定了它们的文件夹时就读取；否则改用 scikit-learn 自带的 1797 张 8 × 8 像素的手写数字。

import os

from fastbp.datasets import load_digits, load_mnist

if os.environ.get("FASTBP_DATA"):
    name, ((x_train, t_train), (x_test, t_test)) = "MNIST", load_mnist()
else:
    name, ((x_train, t_train), (x_test, t_test)) = (
        "digits (MNIST's files are not here)",
        load_digits(),
    )
print(name, x_train.shape)

# %%

import matplotlib.pyplot as plt

side = int(np.sqrt(x_train.shape[1]))
figure, axes = plt.subplots(2, 8, figsize=(7, 2.1), layout="constrained")
for axis, image, label in zip(axes.flat, x_test, t_test, strict=False):
    axis.imshow(image.reshape(side, side), cmap="gray_r")
    axis.set_title(label, fontsize=9)
    axis.axis("off")
plt.show()

# %%
# 书上的网络用 ``fit``，整个循环都是编译好的；PyTorch 的写法用自己的数据加载器和循环；scikit-learn 的写法用它的类。
# 每种都训练 20 个 epoch。

from fastbp.utils.data import DataLoader, TensorDataset

n_in, lr = x_train.shape[1], 0.1
book = Sequential(
    Linear(n_in, 50, seed=1), Relu(), Linear(50, 10, seed=2), loss=SoftmaxWithLoss()
)
history = book.fit(
    x_train,
    t_train,
    epochs=20,
    batch_size=50,
    optimizer=SGD(lr=lr),
    validation_data=(x_test, t_test),
    seed=0,
)
print(f"book         {book.accuracy(x_test, t_test):.3f}")

# %%

fastbp.manual_seed(0)
model = nn.Sequential(nn.Linear(n_in, 50), nn.ReLU(), nn.Linear(50, 10))
optimizer = optim.SGD(model.parameters(), lr=lr)
rows = TensorDataset(fastbp.tensor(x_train), fastbp.tensor(t_train))
for _ in range(20):
    for x, t in DataLoader(rows, batch_size=50, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(x), t)
        loss.backward()
        optimizer.step()
with fastbp.no_grad():
    guessed = model(fastbp.tensor(x_test)).argmax(dim=1).numpy()
print(f"PyTorch      {(guessed == t_test).mean():.3f}")

# %%

options = {
    "solver": "sgd",
    "momentum": 0.0,
    "alpha": 0.0,
    "batch_size": 50,
    "max_iter": 20,
    "random_state": 0,
}
classifier = MLPClassifier((50,), learning_rate_init=lr, **options)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    classifier.fit(x_train, t_train)
print(f"scikit-learn {classifier.score(x_test, t_test):.3f}")

# %%
# 三者的差别只来自随机数：初始权重和数据的顺序是各自抽取的。

history.plot()

# %%
# **试一试：** 给三种写法都加上 ``momentum=0.9``，这个词在三套词汇里都一样。
