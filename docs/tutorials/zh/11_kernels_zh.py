r"""
读懂内核
========

训练的时间几乎都花在矩阵乘积上。这一篇讲这里的矩阵乘积是怎么做的：面板、分块、寄存器。旁边是用 NumPy 写的同样的算法，并和内核的结果比较。
"""


# %%
# .. math:: C_{rj} = \sum_k A_{rk} B_{kj}
#
# 三重循环而已。费时间的不是运算，而是把数搬到做乘法的地方。处理器一次乘一个 *向量* （AVX-512 是 16 个 float32），
# 能放向量的 *寄存器* 大约有 32 个，从内存里一次读 64 字节。所以要把乘积切成合适的大小。
#
# 面板
# ----
#
# 一个 *面板* 存放矩阵的 NR 列，也就是两个向量宽，一行接一行。沿着面板往下走，就是按顺序读内存。最后一个面板用零补齐，
# 这样就不必处处判断矩阵到哪里为止。

import numpy as np

NR = 8  # 32 in the kernel: two vectors of 16


def pack(matrix):
    """The panels (n_panels, rows, NR) of a matrix."""
    rows, n = matrix.shape
    panels = np.zeros((-(-n // NR), rows, NR), matrix.dtype)
    for p, panel in enumerate(panels):
        part = matrix[:, p * NR : (p + 1) * NR]
        panel[:, : part.shape[1]] = part
    return panels


# %%
# 分块
# ----
#
# 一个 *分块* 是 C 的若干行乘一个面板的宽度，寄存器能放多少就取多少。沿 K 每走一步，读 B 的面板的一行，再为分块的每一行读 A 的一个数；
# 读进来的每个数都会用上很多次。

MR = 6  # up to 14 in the kernel with 32 registers, 6 with 16


def tile(a, b, start):
    """Start + A B for a (MR, K) and a panel b (K, NR); `c` are the registers."""
    c = np.broadcast_to(start, (len(a), NR)).copy()
    for k in range(len(b)):
        row = b[k]  # read once
        for m in range(len(a)):
            c[m] += (
                a[m, k] * row
            )  # one number times a vector: no number of C goes to memory
    return c


# %%
# 画成图：橙色是 C 的一个分块，蓝色是它需要的 A 的几行和 B 的一个面板，深色是沿 K 正在走的这一步。

import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle

M, K, N, step = 18, 14, 24, 5
figure, axis = plt.subplots(figsize=(8, 5.6), layout="constrained")
axis.set_aspect("equal")
axis.axis("off")
left, top = K + 4, K + 4


def box(x, y, width, height, **options):
    axis.add_patch(Rectangle((x, y), width, height, **options))


for x, y, width, height, name in (
    (0, top, K, M, "A"),
    (left, 0, N, K, "B"),
    (left, top, N, M, "C"),
):
    box(x, y, width, height, facecolor="0.96", edgecolor="0.3")
    axis.text(
        x + width / 2, y - 0.6, f"{name}  ({height}, {width})", ha="center", va="bottom"
    )
box(0, top + MR, K, MR, facecolor="#9ECAE9", edgecolor="none")
box(left + NR, 0, NR, K, facecolor="#9ECAE9", edgecolor="none")
box(left + NR, top + MR, NR, MR, facecolor="#F5A45B", edgecolor="black")
box(step, top + MR, 1, MR, facecolor="#0B4F8A", edgecolor="none")
box(left + NR, step, NR, 1, facecolor="#0B4F8A", edgecolor="none")
for x in range(0, N + 1, NR):
    axis.plot([left + x] * 2, [0, K], color="0.3", linewidth=0.8)
    axis.plot([left + x] * 2, [top, top + M], color="0.3", linewidth=0.8)
for y in range(0, M + 1, MR):
    axis.plot([left, left + N], [top + y] * 2, color="0.3", linewidth=0.8)
axis.text(left + 1.5 * NR, top + 1.5 * MR, "tile: registers", ha="center", va="center")
axis.text(left + 1.5 * NR, K + 0.2, "panel", ha="center", va="top")
axis.set(xlim=(-1, left + N + 1), ylim=(top + M + 1, -3))
plt.show()

# %%
# 乘积
# ----


def product(A, B, bias):
    """A B + bias by panels and tiles."""
    C = np.empty((len(A), B.shape[1]), A.dtype)
    starts = pack(bias[None])[:, 0]
    for p, panel in enumerate(pack(B)):
        for r in range(0, len(A), MR):
            columns = C[r : r + MR, p * NR : (p + 1) * NR]
            columns[...] = tile(A[r : r + MR], panel, starts[p])[:, : columns.shape[1]]
    return C


rng = np.random.default_rng(0)
A, B, bias = (
    rng.standard_normal((20, 30)),
    rng.standard_normal((30, 21)),
    rng.standard_normal(21),
)

from fastbp import _kernels, reference

out, twin = np.empty((20, 21)), np.empty((20, 21))
_kernels.affine_forward(A, B, bias, out)
reference.affine_forward(A, B, bias, twin)
print(f"tiles to NumPy's product:    {np.abs(product(A, B, bias) - twin).max():.0e}")
print(f"kernel to its twin in NumPy: {np.abs(out - twin).max():.0e}")

# %%
# 偏置就是寄存器的初值：不需要再遍历一次输出。
#
# 为什么要分块
# ------------
#
# MR × NR 的分块每走一步做 MR · NR 次乘法，只读 MR + NR 个数。分块越高越宽，每次乘法摊到的读取就越少，直到寄存器用完为止。

for rows, width in ((1, 1), (1, 32), (6, 16), (14, 32)):
    print(
        f"{rows:2} x {width:2}: {rows * width / (rows + width):5.2f} multiplications for each number read"
    )

# %%
# 另外两个乘积
# ------------
#
# 反向传播还需要两个乘积，用的是同样的分块：
#
# .. math:: \frac{\partial L}{\partial X} = \frac{\partial L}{\partial Y} W^\mathsf{T}, \qquad
#           \frac{\partial L}{\partial W} = X^\mathsf{T} \frac{\partial L}{\partial Y}
#
# 前一个在寄存器里把 W 的面板转置；后一个让分块沿 X 的 *列* 而不是行前进，什么都不用转置。用普通的 SGD 时，后一个的分块从 W 本身开始，
# 直接加上 :math:`-\eta\,\partial L / \partial W` ：梯度根本不进内存。

W, dout = rng.standard_normal((30, 21)), rng.standard_normal((20, 21))
dx, dW, db = np.empty_like(A), np.empty_like(W), np.empty(21)
_kernels.affine_backward(dout, A, W, dx, dW, db)
updated = np.empty_like(W)
for p, panel in enumerate(pack(-0.1 * dout)):
    for r in range(0, len(W), MR):
        part = updated[r : r + MR, p * NR : (p + 1) * NR]
        start = pack(W)[p, r : r + MR]
        part[...] = tile(A.T[r : r + MR], panel, start)[:, : part.shape[1]]
print(f"W - 0.1 dW in one pass: {np.abs(updated - (W - 0.1 * dW)).max():.0e}")

# %%
# 源码中，``fastbp/_kernels/arithmetic/tiles.h`` 是分块，``gemm.h`` 是面板和三个乘积；``fastbp/reference.py`` 是每个内核的 NumPy 版本，
# 建议先读它。
#
# **试一试：** 改成 ``MR = 1``，结果不变。现在每次乘法要读几个数？
