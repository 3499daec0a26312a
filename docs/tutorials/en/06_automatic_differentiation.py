r"""
Automatic differentiation
=========================

Whoever writes only the way forward gets the way back for nothing: a tensor remembers which operation it came from.
The names are PyTorch's.
"""

# %%
# From a small expression to its gradient
# ---------------------------------------

import fastbp
from fastbp import graph

x = fastbp.tensor(2.0, requires_grad=True)
y = fastbp.tensor(3.0, requires_grad=True)
z = x * y + fastbp.exp(x)
graph.draw(z, {"x": x, "y": y, "z": z})

# %%
# :math:`\partial z / \partial x = y + e^x` and :math:`\partial z / \partial y = x`.  ``grad_fn`` is the last node;
# ``backward`` goes from there to the left and leaves the derivatives in ``grad``.

import math

print("made by", type(z.grad_fn).__name__)
z.backward()
print(f"dz/dx {x.grad.item():.4f}   y + exp(x) {3 + math.exp(2):.4f}")
print(f"dz/dy {y.grad.item():.4f}   x          {2:.4f}")

# %%
# Branches that meet
# ------------------
#
# ``v`` goes into both sides of the multiplication.  Each sends back a derivative, and they are **added**, as the chain
# rule for several ways demands.  For the same reason a second ``backward`` adds to what is there; training loops
# therefore empty ``grad`` before each step.

v = fastbp.tensor(3.0, requires_grad=True)
for expected in (6, 12):
    (v * v).backward()
    print("grad", v.grad.item(), "expected", expected)
v.grad = None

# %%
# Without a record
# ----------------
#
# Inside ``no_grad`` nothing is remembered, and ``detach`` cuts a tensor off: there, derivatives end.

with fastbp.no_grad():
    print("no_grad:", (v * v).requires_grad)
w = v * v.detach()  # one of the two is a constant
w.backward()
print("d (v c) / dv =", v.grad.item(), "where c = v = 3")

# %%
# Arrays, and a fit without a formula
# -----------------------------------
#
# The numbers may be arrays.  Here :math:`\hat y = w_1 x^2 + w_2 x + b` is fitted to five points; nobody
# derives anything.

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
# A loss of a whole network
# -------------------------
#
# Every operation of a small network is such a node; with layers of ``fastbp.nn`` it is the same.  Here is the
# :math:`y - t` of a softmax, derived by nobody.

scores = fastbp.tensor([[1.0, 2.0, 0.5]], requires_grad=True)
loss = fastbp.nn.functional.cross_entropy(scores, fastbp.tensor([1]))
loss.backward()
with fastbp.no_grad():
    probabilities = fastbp.softmax(scores, dim=1)
print("y    ", probabilities.numpy().round(3))
print("y - t", scores.grad.numpy().round(3))

# %%
# **Try it:** ``fastbp.autograd.grad(z, [x, y])`` returns derivatives and leaves ``grad`` alone.  Second derivatives
# (``create_graph=True``) are not there; the message says so.
