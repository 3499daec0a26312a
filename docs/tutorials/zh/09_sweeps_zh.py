r"""
超参数搜索
==========

层要多宽，学习率要多大，权值衰减要多强？这要靠许多次小规模的训练来回答。它们互不依赖，所以用线程就够了：训练时会释放 Python 的全局锁（GIL）。
"""


# %%
# 用线程搜索网格
# --------------
#
# ``MLPClassifier`` 就是 scikit-learn 的估计器，可以直接交给它的搜索。

import time
import warnings

import joblib
import numpy as np
from sklearn.model_selection import GridSearchCV

from fastbp.datasets import load_digits
from fastbp.estimators import MLPClassifier

(x_train, t_train), (x_test, t_test) = load_digits()
grid = {"alpha": [1e-4, 1e-1, 1.0], "learning_rate_init": [3e-4, 1e-3, 3e-3, 1e-2]}
model = MLPClassifier((32,), max_iter=10, random_state=0, n_threads=1)

seconds, searches = {}, {}
for jobs in (1, 2):
    search = GridSearchCV(model, grid, cv=3)
    begin = time.perf_counter()
    with warnings.catch_warnings(), joblib.parallel_config("threading", n_jobs=jobs):
        warnings.simplefilter("ignore")  # ten epochs are enough to compare
        searches[jobs] = search.fit(x_train, t_train)
    seconds[jobs] = time.perf_counter() - begin
print(
    ", ".join(
        f"{jobs} thread{'s' * (jobs > 1)}: {each:.1f} s"
        for jobs, each in seconds.items()
    )
)
print("best:", searches[1].best_params_)

# %%
# 分数与线程数无关，每一位都相同：

one, two = (searches[jobs].cv_results_["mean_test_score"] for jobs in (1, 2))
print("the same scores:", bool((one == two).all()))

# %%

import matplotlib.pyplot as plt

table = one.reshape(len(grid["alpha"]), -1)
figure, axes = plt.subplots(figsize=(5.5, 2.8), layout="constrained")
picture = axes.imshow(table, cmap="viridis")
for (row, column), score in np.ndenumerate(table):
    colour = "white" if score < table.mean() else "black"
    axes.text(column, row, f"{score:.3f}", ha="center", va="center", color=colour)
axes.set_xticks(range(table.shape[1]), grid["learning_rate_init"])
axes.set_yticks(range(table.shape[0]), grid["alpha"])
axes.set(xlabel="learning_rate_init", ylabel="alpha")
figure.colorbar(picture, label="accuracy")
plt.show()

# %%
# 学习率的影响远大于权值衰减，通常都是如此。
#
# 尽早放弃没有希望的组合
# ----------------------
#
# 网格搜索给没有希望的组合和好的组合一样多的时间。:func:`fastbp.tune` 随机抽取超参数，大多数只训练几个 epoch，最好的三分之一再用三倍的
# epoch 继续，一轮一轮淘汰。它接受一张表：
#
# .. code-block:: python
#
#    from fastbp import tune
#
#    found = tune("flats.csv", "price", minutes=10)
#
# 或者 ``fastbp tune flats.csv --target price --minutes 10`` 。其他后端（进程、Dask、Ray、Optuna）见 :doc:`/sweeps` 。
#
# 最后的分数
# ----------
#
# 许多分数里最好的那个总是偏高，因为它正是因为高才被选中的。它到底有多好，要看任何一次尝试都没见过的测试数据。

print(
    f"in the search {searches[1].best_score_:.4f}, on the test rows {searches[1].score(x_test, t_test):.4f}"
)

# %%
# **试一试：** 对 ``solver="sgd"`` 哪个学习率最好？把网格扩大，直到最好的值不在网格的边缘。
