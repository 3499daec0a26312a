"""scikit-learn's MLPClassifier and fastbp's on the same digits: one import differs."""

import time

import numpy as np
from sklearn import neural_network
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import estimators


def fitted(library, X, y, **settings):
    """A pipeline of the library's classifier, and the seconds of its fit."""
    model = make_pipeline(StandardScaler(), library.MLPClassifier(random_state=0, **settings))
    start = time.perf_counter()
    model.fit(X, y)
    return model, time.perf_counter() - start


def main():
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    curves, scores = {}, {}
    for library in (neural_network, estimators):
        model, seconds = fitted(library, X, y, early_stopping=True)
        mlp = model[-1]
        curves[library], scores[library] = mlp.loss_curve_, model.score(X_test, y_test)
        print(f"{library.__name__:24}{mlp.n_iter_} epochs in {seconds:.2f} s, test accuracy {scores[library]:.4f}")
    ours, theirs = np.array(curves[estimators]), np.array(curves[neural_network])
    print(f"largest difference of the loss curves: {np.abs(ours / theirs - 1).max():.1e}")

    model, seconds = fitted(
        estimators,
        X,
        y,
        activation="gelu",
        dropout=0.2,
        label_smoothing=0.1,
        restore_best=True,
        learning_rate_init=0.003,
    )
    print(
        f"{'with gelu and dropout':24}{model[-1].n_iter_} epochs in {seconds:.2f} s, "
        f"test accuracy {model.score(X_test, y_test):.4f}"
    )
    return ours, theirs, scores


if __name__ == "__main__":
    main()
