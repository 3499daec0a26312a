"""Small data sets, split into a training and a test part.

Every loader returns ``(x_train, t_train), (x_test, t_test)``: rows are samples, ``x`` is float32
and C-contiguous, ``t`` holds int64 class indices or, on request, float32 one-hot rows. Nothing is
downloaded: `bundled` are scikit-learn's, `mnist` reads IDX files.
"""

from fastbp.datasets.bundled import load_digits, load_iris
from fastbp.datasets.labels import one_hot
from fastbp.datasets.mnist import load_mnist, read_idx

__all__ = ["load_digits", "load_iris", "load_mnist", "one_hot", "read_idx"]
