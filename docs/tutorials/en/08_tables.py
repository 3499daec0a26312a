r"""
A table, from file to prediction
================================

A CSV file with gaps and words in it, and one column to be predicted: what stands between the two is done by
:class:`fastbp.TableModel`, and said.
"""

# %%
# A file as they are: prices of flats, with missing cells and a column of towns.

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
# Train
# -----
#
# Numbers are standardised, a gap becomes the median with a column that says so, and a word a column of 0 and 1 for
# each value.  A part of the rows ends the training in time, another one judges it.

from fastbp import TableModel

model = TableModel(epochs=60, patience=10, seed=0).fit(path, "price")
print(*model.notes, sep="\n")

# %%
# A score says little by itself; beside it stands that of the baseline, which always says the mean.

for name, scores in (
    ("network", model.scores["test"]),
    ("baseline", model.scores["baseline"]["test"]),
):
    print(
        f"{name:<9}", ", ".join(f"{key} {value:.3g}" for key, value in scores.items())
    )

# %%
# What matters
# ------------
#
# A column's values are shuffled among the rows, which cuts it off from the target.  The more the score loses, the more
# the network relies on it.

import matplotlib.pyplot as plt

found = model.importances(path)
figure, axes = plt.subplots(figsize=(6, 2.2), layout="constrained")
axes.barh(
    found.names[::-1], found.means[::-1], xerr=found.deviations[::-1], color="#0072B2"
)
axes.set_xlabel(f"loss of {found.score} where shuffled")
plt.show()

# %%
# Predict
# -------
#
# New rows in any order of columns.  What the training never saw is said, too.

rows = {
    "town": ["Rome", "Bonn", "Lima"],
    "size": [80.0, 80.0, 80.0],
    "year": [1990, None, 1990],
}
print(model.predict(rows).round(-3))
print(*model.warnings, sep="\n")

# %%
# Save, and leave
# ---------------
#
# The file has the preprocessing with the network.  :func:`fastbp.export.to_c` writes both as one file of C, without
# any dependency; ``to_onnx`` writes ONNX in the same way.

model.save(os.path.join(folder.name, "flats.safetensors"))
again = TableModel.load(os.path.join(folder.name, "flats.safetensors"))
print("the same predictions:", bool((again.predict(rows) == model.predict(rows)).all()))

# %%
# On the command line:
#
# .. code-block:: console
#
#    $ fastbp train flats.csv --target price
#    $ fastbp predict model.safetensors new.csv
#    $ fastbp export model.safetensors model.c        # or model.onnx

folder.cleanup()

# %%
# **Try it:** leave the town out with ``ignore=["town"]``.  How much does the score lose, and is it what the picture
# said?
