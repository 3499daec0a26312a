"""
A sine, learned a row at a time
===============================

Rows come one after another and are not kept: each is one step of a :class:`fastbp.Trainer`, which is a
compiled call.  The curves show what the network thinks after some hundred rows.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastbp import Adam, Linear, Sequential, Tanh, Trainer

net = Sequential(
    Linear(1, 32, seed=0), Tanh(), Linear(32, 1, seed=1), loss="squared_error"
)
trainer = Trainer(net, Adam(lr=0.01))

rng = np.random.default_rng(0)
x = np.linspace(-3, 3, 200, dtype="float32")[:, np.newaxis]
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
axes.plot(x, np.sin(2 * x), color="black", linewidth=2, label="the sine")
seen = 0
for until, colour in ((200, "#E69F00"), (1000, "#56B4E9"), (8000, "#D55E00")):
    for _ in range(seen, until):
        row = rng.uniform(-3, 3, (1, 1)).astype("float32")
        trainer.step(row, np.sin(2 * row) + 0.1 * rng.normal(size=(1, 1)))
    seen = until
    trainer.sync()
    error = np.abs(net.predict(x) - np.sin(2 * x)).mean()
    print(f"{seen:>5} rows: off by {error:.2f} in the mean")
    axes.plot(x, net.predict(x), color=colour, label=f"after {seen} rows")
axes.legend(frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1))
plt.show()
