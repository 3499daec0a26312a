r"""
Regression with intervals
=========================

A single number does not say how sure it is.  A network can also predict quantiles, or a normal distribution: an
interval in which the truth lies as often as it claims.
"""

# %%
# A curve whose noise grows from left to right.

import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, (1200, 1))
y = np.sin(4 * x[:, 0]) + (0.1 + 0.3 * (x[:, 0] + 1)) * rng.standard_normal(1200)
x_train, y_train, x_test, y_test = x[:800], y[:800], x[800:], y[800:]

# %%
# Several quantiles
# -----------------
#
# The pinball loss
#
# .. math:: L_q(y, \hat y) = \max\big(q\,(y - \hat y),\ (1 - q)\,(\hat y - y)\big)
#
# is least where a share :math:`q` of the targets lies below the prediction: at the optimum its slope, which is
# :math:`-q` below the target and :math:`1 - q` above it, cancels in the mean.  One network has an output for each
# quantile, and the predictions are sorted, so that no two cross.

from fastbp.estimators import MLPRegressor

quantiles = (0.05, 0.5, 0.95)
options = {
    "hidden_layer_sizes": (32, 32),
    "standardize": True,
    "learning_rate_init": 0.005,
    "max_iter": 150,
    "n_iter_no_change": 150,
    "random_state": 0,
    "tol": 0.0,
}
import warnings

with warnings.catch_warnings():  # all 150 epochs are wanted
    warnings.simplefilter("ignore")
    pinball = MLPRegressor(loss="quantile", quantile=quantiles, **options).fit(
        x_train, y_train
    )
    normal = MLPRegressor(loss="gaussian", **options).fit(x_train, y_train)

# %%
# A normal distribution
# ---------------------
#
# With ``loss="gaussian"`` the network has a mean :math:`\mu` and the logarithm of a variance :math:`\sigma^2`, and
# the loss is the negative log likelihood, but for a constant
#
# .. math:: L = \tfrac12 \log \sigma^2 + \frac{(y - \mu)^2}{2 \sigma^2}
#
# It claims more than quantiles do, that the noise is normal.  Of a normal distribution 90 % lie within
# :math:`\mu \pm 1.645\,\sigma`.

line = np.linspace(-1, 1, 200)[:, None]
low, middle, high = pinball.predict(line).T
mean, deviation = normal.predict(line, return_std=True)

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", sharey=True)
for axis, title, (lower, centre, upper) in (
    (axes[0], "quantiles 0.05, 0.5, 0.95", (low, middle, high)),
    (
        axes[1],
        "gaussian, 90 %",
        (mean - 1.645 * deviation, mean, mean + 1.645 * deviation),
    ),
):
    axis.plot(x_test, y_test, ".", color="0.6", markersize=3)
    axis.fill_between(
        line[:, 0], lower, upper, color="#0072B2", alpha=0.25, linewidth=0
    )
    axis.plot(line, centre, color="#0072B2")
    axis.plot(line, np.sin(4 * line), "--", color="#D55E00", linewidth=1)
    axis.set(title=title, xlabel="x", ylim=(-3, 3))
axes[0].set_ylabel("y")
plt.show()

# %%
# Do they keep their word?
# ------------------------
#
# Of rows that the networks have not seen, about 90 % should lie inside.

low, _, high = pinball.predict(x_test).T
mean, deviation = normal.predict(x_test, return_std=True)
print(f"quantiles {((low <= y_test) & (y_test <= high)).mean():.3f}")
print(f"gaussian  {(np.abs(y_test - mean) <= 1.645 * deviation).mean():.3f}")

# %%
# And everywhere, not only on average: the width follows the noise.

for begin, end in ((-1, 0), (0, 1)):
    part = (x_test[:, 0] >= begin) & (x_test[:, 0] < end)
    inside = (np.abs(y_test - mean) <= 1.645 * deviation)[part].mean()
    print(
        f"x from {begin:2} to {end}: mean deviation {deviation[part].mean():.2f}, inside {inside:.2f}"
    )

# %%
# **Try it:** make the noise skewed, ``rng.exponential(size=1200)``.  Which of the two still keeps its word?
