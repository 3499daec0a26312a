"""Small data sets, split into a training and a test part.

Every set is ``(x_train, t_train), (x_test, t_test)``: rows are samples, ``x`` is float32 and C-contiguous,
``t`` holds int64 class indices or, on request, float32 one-hot rows; of a regression, float32 columns. Nothing
is downloaded: `bundled` are scikit-learn's, `mnist` reads IDX files, `drawn` follow a formula.
"""

from fastbp.datasets.bundled import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from fastbp.datasets.drawn import circles, moons, spiral
from fastbp.datasets.labels import one_hot
from fastbp.datasets.mnist import load_mnist, read_idx

__all__ = [
    "circles",
    "load_breast_cancer",
    "load_diabetes",
    "load_digits",
    "load_iris",
    "load_mnist",
    "load_wine",
    "moons",
    "one_hot",
    "read_idx",
    "spiral",
]
