"""Logistic regression: one Affine layer and a sigmoid loss find the w and b behind noisy labels.

The chain rule by hand says that the mean loss has the gradients x^T (a - y) / N and
mean(a - y), where a = sigmoid(x w + b); backpropagation has to agree.
"""

import numpy as np

from fastbp.layers import Affine, Sigmoid, SigmoidWithLoss

TRUE_W, TRUE_B = np.array([[2.0], [-3.0]]), 0.5


def noisy_labels(n=4000, seed=0):
    """Points (n, 2) and labels (n, 1), each 1 with the probability sigmoid(x w + b)."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2))
    probability = Sigmoid().forward(x @ TRUE_W + TRUE_B)
    return x, (rng.random((n, 1)) < probability).astype(float)


def gradients_by_hand(x, y, w, b):
    """The gradients of the mean loss by w and b."""
    a = 1 / (1 + np.exp(-(x @ w + b)))
    return x.T @ (a - y) / len(x), (a - y).mean(axis=0)


def main():
    x, y = noisy_labels()
    w, b = np.zeros((2, 1)), np.zeros(1)
    affine, loss = Affine(w, b), SigmoidWithLoss()

    largest = 0.0
    for _ in range(500):
        loss.forward(affine.forward(x), y)
        affine.backward(loss.backward())
        dw, db = gradients_by_hand(x, y, w, b)
        largest = max(largest, np.abs(affine.dW - dw).max(), np.abs(affine.db - db).max())
        w -= affine.dW  # lr 1; the layer keeps these very arrays
        b -= affine.db

    print(f"loss {loss.loss:.4f}")
    print(f"w {w.ravel().round(2)}, from data made with {TRUE_W.ravel()}")
    print(f"b {b.round(2)}, from data made with [{TRUE_B}]")
    print(f"largest difference from the gradients by hand: {largest:.0e}")
    return w, b, largest


if __name__ == "__main__":
    main()
