"""*Neural Networks from Scratch*: layers that leave their `output` and `dinputs`, Adam, and its `Model`."""
# ruff: noqa: NPY002  (it draws from NumPy's global generator)

import numpy as np


class Layer_Dense:
    def __init__(self, n_inputs, n_neurons):
        self.weights = 0.01 * np.random.randn(n_inputs, n_neurons)
        self.biases = np.zeros((1, n_neurons))

    def forward(self, inputs, training=True):
        self.inputs = inputs
        self.output = inputs @ self.weights + self.biases

    def backward(self, dvalues):
        self.dweights = self.inputs.T @ dvalues
        self.dbiases = dvalues.sum(axis=0, keepdims=True)
        self.dinputs = dvalues @ self.weights.T


class Activation_ReLU:
    def forward(self, inputs, training=True):
        self.inputs = inputs
        self.output = np.maximum(0, inputs)

    def backward(self, dvalues):
        self.dinputs = dvalues.copy()
        self.dinputs[self.inputs <= 0] = 0


class Activation_Softmax_Loss_CategoricalCrossentropy:
    def forward(self, inputs, y_true):
        e = np.exp(inputs - inputs.max(axis=1, keepdims=True))
        self.output = e / e.sum(axis=1, keepdims=True)
        return -np.log(np.clip(self.output[np.arange(len(inputs)), y_true], 1e-7, 1 - 1e-7)).mean()

    def backward(self, dvalues, y_true):
        self.dinputs = dvalues.copy()
        self.dinputs[np.arange(len(dvalues)), y_true] -= 1
        self.dinputs /= len(dvalues)


class Optimizer_Adam:
    def __init__(self, learning_rate=0.001, epsilon=1e-7, beta_1=0.9, beta_2=0.999):
        self.learning_rate, self.epsilon, self.beta_1, self.beta_2 = learning_rate, epsilon, beta_1, beta_2
        self.iterations = 0

    def update_params(self, layer):
        if not hasattr(layer, "kept"):
            layer.kept = {name: [np.zeros_like(getattr(layer, name))] * 2 for name in ("weights", "biases")}
        t = self.iterations + 1
        for name, (m, v) in layer.kept.items():
            grad = getattr(layer, f"d{name}")
            m = self.beta_1 * m + (1 - self.beta_1) * grad
            v = self.beta_2 * v + (1 - self.beta_2) * grad**2
            layer.kept[name] = m, v
            move = m / (1 - self.beta_1**t) / (np.sqrt(v / (1 - self.beta_2**t)) + self.epsilon)
            setattr(layer, name, getattr(layer, name) - self.learning_rate * move)


def step(layers, loss, optimizer, X, y):
    """One iteration of its training loop; the loss."""
    out = X
    for layer in layers:
        layer.forward(out, training=True)
        out = layer.output
    value = loss.forward(out, y)
    loss.backward(loss.output, y)
    dinputs = loss.dinputs
    for layer in reversed(layers):
        layer.backward(dinputs)
        dinputs = layer.dinputs
    for layer in layers:
        if hasattr(layer, "weights"):
            optimizer.update_params(layer)
    optimizer.iterations += 1
    return value
