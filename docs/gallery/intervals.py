"""
A prognosis with its interval
=============================

How far will the diabetes of a patient have gone in a year?  Ten measures leave much open, and a single number would
hide it.  A network with three outputs, trained by the pinball loss, gives an interval in which four of five patients
should lie.  Each bar is one patient that it has not seen, in the order of the middle prognosis; the dot is what came.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastbp import Adam, Linear, QuantileLoss, Sequential, Tanh
from fastbp.datasets import load_diabetes

(x, t), (x_test, t_test) = load_diabetes()
net = Sequential(
    Linear(10, 16, seed=0),
    Tanh(),
    Linear(16, 3, seed=1),
    loss=QuantileLoss((0.1, 0.5, 0.9)),
)
scale = t.std()
net.fit(x, (t - t.mean()) / scale, epochs=30, optimizer=Adam(lr=0.003), seed=0)

low, middle, high = np.sort(t.mean() + scale * net.predict(x_test), axis=1).T
came = t_test[:, 0]
inside = (low <= came) & (came <= high)
print(f"{inside.mean():.0%} of {len(came)} patients lie in their interval of 80 %")

order = np.argsort(middle)
place = np.arange(len(order))
figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
axes.vlines(place, low[order], high[order], color="#56B4E9", alpha=0.6, linewidth=4)
axes.plot(place, middle[order], "_", color="#0072B2", label="the middle prognosis")
for which, colour, name in (
    (inside, "black", "inside"),
    (~inside, "#D55E00", "outside"),
):
    shown = which[order]
    axes.scatter(place[shown], came[order][shown], s=10, color=colour, label=name)
axes.set(xlabel="patients", ylabel="progress of the disease in a year", xticks=[])
axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
plt.show()
