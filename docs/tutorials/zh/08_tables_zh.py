r"""
一张表：从文件到预测
====================

一个 CSV 文件，有缺失值，有文字，还有一列需要预测。从文件到预测之间的事都由 :class:`fastbp.TableModel` 来做，而且做了什么都会说明。
"""


# %%
# 文件就是平常见到的样子：公寓价格，有缺失的单元格，有一列城市。

import csv
import os
import tempfile

import numpy as np

rng = np.random.default_rng(0)
n = 600
size = rng.uniform(30, 150, n)
town = rng.choice(["Bonn", "Oslo", "Rome"], n, p=[0.5, 0.3, 0.2])
year = rng.integers(1900, 2024, n)
base = np.select([town == "Oslo", town == "Rome"], [90_000, 40_000], 0)
price = base + 3000 * size + 400 * (year - 1900) + 15_000 * rng.standard_normal(n)

folder = tempfile.TemporaryDirectory()
path = os.path.join(folder.name, "flats.csv")
with open(path, "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["size", "town", "year", "price"])
    for k in range(n):
        age = "" if rng.random() < 0.1 else year[k]  # one in ten is missing
        writer.writerow([f"{size[k]:.1f}", town[k], age, f"{price[k]:.0f}"])
with open(path) as file:
    print(*file.read().split("\n")[:4], sep="\n")

# %%
# 训练
# ----
#
# 数值列做标准化；缺失值用中位数填补，并另加一列标明“这里缺”；文字列的每个取值变成一列 0 和 1。一部分行用来决定何时停止，另一部分行用来打分。

from fastbp import TableModel

model = TableModel(epochs=60, patience=10, seed=0).fit(path, "price")
print(*model.notes, sep="\n")

# %%
# 单看一个分数说明不了什么，所以旁边放上基准的分数：基准对每一行都回答平均值。

for name, scores in (
    ("network", model.scores["test"]),
    ("baseline", model.scores["baseline"]["test"]),
):
    print(
        f"{name:<9}", ", ".join(f"{key} {value:.3g}" for key, value in scores.items())
    )

# %%
# 哪一列重要
# ----------
#
# 把一列的值在各行之间随机打乱，它和目标的联系就断了。分数掉得越多，说明网络越依赖这一列。

import matplotlib.pyplot as plt

found = model.importances(path)
figure, axes = plt.subplots(figsize=(6, 2.2), layout="constrained")
axes.barh(
    found.names[::-1], found.means[::-1], xerr=found.deviations[::-1], color="#0072B2"
)
axes.set_xlabel(f"loss of {found.score} where shuffled")
plt.show()

# %%
# 预测
# ----
#
# 新数据的列可以按任何顺序排列。训练时没见过的值会报告出来。

rows = {
    "town": ["Rome", "Bonn", "Lima"],
    "size": [80.0, 80.0, 80.0],
    "year": [1990, None, 1990],
}
print(model.predict(rows).round(-3))
print(*model.warnings, sep="\n")

# %%
# 保存与导出
# ----------
#
# 文件里既有网络也有预处理。:func:`fastbp.export.to_c` 把两者写成一个不依赖任何库的 C 文件； ``to_onnx`` 同样写成 ONNX。

model.save(os.path.join(folder.name, "flats.safetensors"))
again = TableModel.load(os.path.join(folder.name, "flats.safetensors"))
print("the same predictions:", bool((again.predict(rows) == model.predict(rows)).all()))

# %%
# 命令行：
#
# .. code-block:: console
#
#    $ fastbp train flats.csv --target price
#    $ fastbp predict model.safetensors new.csv
#    $ fastbp export model.safetensors model.c        # 或者 model.onnx

folder.cleanup()

# %%
# **试一试：** 用 ``ignore=["town"]`` 去掉城市那一列。分数掉了多少？和图上说的一致吗？
