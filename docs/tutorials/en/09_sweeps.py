r"""
Sweeps
======

How wide, how fast, with how much decay?  Many small trainings answer that, and as none waits for another, threads are
enough: a training gives up Python's lock.
"""

# %%
# A grid, in threads
# ------------------
#
# ``MLPClassifier`` is scikit-learn's estimator, and its search takes it as it is.

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
# The scores do not depend on the threads, not in one bit:

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
# The rate matters far more than the decay, which is usual.
#
# A search that gives up early
# ----------------------------
#
# A grid gives the hopeless the same time as the good.  :func:`fastbp.tune` draws the options, trains most trials for a
# few epochs only, and lets the best third go on with three times as many, rung by rung.  It takes a table:
#
# .. code-block:: python
#
#    from fastbp import tune
#
#    found = tune("flats.csv", "price", minutes=10)
#
# or ``fastbp tune flats.csv --target price --minutes 10``.  :doc:`/sweeps` has the other back ends: processes, Dask,
# Ray and Optuna.
#
# The last word
# -------------
#
# The best of many scores is too good, as it was chosen for being good.  The rows that no trial has seen say what it
# is worth.

print(
    f"in the search {searches[1].best_score_:.4f}, on the test rows {searches[1].score(x_test, t_test):.4f}"
)

# %%
# **Try it:** which rate is best for ``solver="sgd"``?  Widen the grid until the best one is not at its rim.
