r"""
带预测区间的回归
================

单独一个预测值看不出有多大把握。网络也可以预测分位数，或者一个正态分布：给出一个区间，它说真实值有多大概率落在里面，就真有那么大的概率。
"""


# %%
# 一条曲线，噪声从左到右越来越大。

import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, (1200, 1))
y = np.sin(4 * x[:, 0]) + (0.1 + 0.3 * (x[:, 0] + 1)) * rng.standard_normal(1200)
x_train, y_train, x_test, y_test = x[:800], y[:800], x[800:], y[800:]

# %%
# 几个分位数
# ----------
#
# 分位数损失
#
# .. math:: L_q(y, \hat y) = \max\big(q\,(y - \hat y),\ (1 - q)\,(\hat y - y)\big)
#
# 在“目标值低于预测值的比例恰好是 :math:`q`”时最小：目标在预测之上时斜率是 :math:`-q` ，在预测之下时是 :math:`1 - q` ，
# 这时两者的平均正好抵消。一个网络为每个分位数配一个输出，预测值会排好序，所以几条曲线不会交叉。

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
# 正态分布
# --------
#
# 用 ``loss="gaussian"`` 时，网络输出均值 :math:`\mu` 和方差 :math:`\sigma^2` 的对数，损失是负对数似然（略去常数）：
#
# .. math:: L = \tfrac12 \log \sigma^2 + \frac{(y - \mu)^2}{2 \sigma^2}
#
# 它比分位数多一个假设：噪声服从正态分布。正态分布有 90% 落在 :math:`\mu \pm 1.645\,\sigma` 之内。

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
# 说话算数吗？
# ------------
#
# 在网络没见过的数据里，应该有大约 90% 落在区间内。

low, _, high = pinball.predict(x_test).T
mean, deviation = normal.predict(x_test, return_std=True)
print(f"quantiles {((low <= y_test) & (y_test <= high)).mean():.3f}")
print(f"gaussian  {(np.abs(y_test - mean) <= 1.645 * deviation).mean():.3f}")

# %%
# 而且不只是平均起来如此：区间的宽度跟着噪声走。

for begin, end in ((-1, 0), (0, 1)):
    part = (x_test[:, 0] >= begin) & (x_test[:, 0] < end)
    inside = (np.abs(y_test - mean) <= 1.645 * deviation)[part].mean()
    print(
        f"x from {begin:2} to {end}: mean deviation {deviation[part].mean():.2f}, inside {inside:.2f}"
    )

# %%
# **试一试：** 把噪声换成偏态的 ``rng.exponential(size=1200)``，两种方法里哪一种还说话算数？
