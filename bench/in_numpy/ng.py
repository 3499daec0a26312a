"""Ng's functions: samples are columns, W is (n_out, n_in), and forward gives (A, cache)."""

import numpy as np


def linear_activation_forward(A_prev, W, b, activation):
    Z = W @ A_prev + b
    A = np.maximum(0, Z) if activation == "relu" else 1 / (1 + np.exp(-Z))
    return A, ((A_prev, W, b), Z)


def linear_activation_backward(dA, cache, activation):
    (A_prev, W, _), Z = cache
    if activation == "relu":
        dZ = dA * (Z > 0)
    else:
        s = 1 / (1 + np.exp(-Z))
        dZ = dA * s * (1 - s)
    m = A_prev.shape[1]
    return W.T @ dZ, dZ @ A_prev.T / m, dZ.sum(axis=1, keepdims=True) / m


def compute_cost(AL, Y):
    return float(-np.mean(Y * np.log(AL) + (1 - Y) * np.log(1 - AL)))


def step(X, Y, parameters, learning_rate, forward=linear_activation_forward, backward=linear_activation_backward):
    """One iteration of the course's model: L - 1 times relu, then sigmoid; its cost."""
    L = len(parameters) // 2
    A, caches = X, []
    for k in range(1, L + 1):
        activation = "relu" if k < L else "sigmoid"
        A, cache = forward(A, parameters[f"W{k}"], parameters[f"b{k}"], activation)
        caches.append((cache, activation))
    dA = -(Y / A - (1 - Y) / (1 - A))
    for k in range(L, 0, -1):
        dA, dW, db = backward(dA, *caches[k - 1])
        parameters[f"W{k}"] = parameters[f"W{k}"] - learning_rate * dW
        parameters[f"b{k}"] = parameters[f"b{k}"] - learning_rate * db
    return compute_cost(A, Y)
