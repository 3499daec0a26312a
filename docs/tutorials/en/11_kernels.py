r"""
Reading the kernels
===================

Nearly all time of a training goes into products of matrices.  This is how one is made here: panels, tiles, registers.
The same in NumPy stands beside it, and is compared.
"""

# %%
# .. math:: C_{rj} = \sum_k A_{rk} B_{kj}
#
# Three loops.  The arithmetic is not what takes the time; it is bringing the numbers to where they are multiplied.  A
# processor multiplies *vectors*, of 16 float32 with AVX-512, has some 32 *registers* for them, and reads from memory in
# lines of 64 bytes.  So the product is cut to fit.
#
# Panels
# ------
#
# A *panel* holds NR columns of a matrix, two vectors wide, row after row.  Whoever goes down a panel reads memory in
# its order.  The last panel is filled up with zeros, so that nothing has to ask where the matrix ends.

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
# Tiles
# -----
#
# A *tile* is some rows of C times the width of a panel: as many as the registers can hold.  For each step along K one
# row of B's panel is read, and one number of A for each row of the tile; each is used as often as the other is long.

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
# Drawn: a tile of C (orange), the rows of A and the panel of B that it needs (blue), and the step along K that is made
# just now (dark).

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
# The product
# -----------


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
# The bias is the value that the registers start with: no second pass over the output.
#
# Why tiles
# ---------
#
# A tile of MR × NR makes MR · NR multiplications with each step, and reads MR + NR numbers.  The higher and wider it
# is, the less is read for a multiplication, until the registers are full.

for rows, width in ((1, 1), (1, 32), (6, 16), (14, 32)):
    print(
        f"{rows:2} x {width:2}: {rows * width / (rows + width):5.2f} multiplications for each number read"
    )

# %%
# The other two products
# ----------------------
#
# Backward needs two more, and both are made of the same tiles:
#
# .. math:: \frac{\partial L}{\partial X} = \frac{\partial L}{\partial Y} W^\mathsf{T}, \qquad
#           \frac{\partial L}{\partial W} = X^\mathsf{T} \frac{\partial L}{\partial Y}
#
# For the first the panels of W are transposed in registers; for the second the tile goes along *columns* of X in place
# of rows, so that nothing is transposed.  With plain SGD the tile of the second starts from W itself, and adds
# :math:`-\eta\,\partial L / \partial W` to it: the gradient never reaches memory.

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
# In the source: ``fastbp/_kernels/arithmetic/tiles.h`` has the tiles, ``gemm.h`` the panels and the three products, and
# ``fastbp/reference.py`` the twin in NumPy of every kernel, the text to read first.
#
# **Try it:** put ``MR = 1``.  The result is the same; how many numbers are now read for each multiplication?
