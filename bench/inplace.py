"""Activations of a training step in NumPy, in place, in arrays made beforehand.

`ACTIVATIONS[name](shape, dtype)` gives (forward, backward): ``forward(z)`` turns z into y,
``backward(dz, y)`` multiplies dz by the derivative there.
"""

import numpy as np
from scipy.special import ndtr


def relu(shape, dtype):
    mask = np.empty(shape, bool)

    def forward(z):
        np.maximum(z, 0, out=z)

    def backward(dz, y):
        np.greater(y, 0, out=mask)
        dz *= mask

    return forward, backward


def sigmoid(shape, dtype):
    spare = np.empty(shape, dtype)

    def forward(z):
        np.negative(z, out=z)
        np.exp(z, out=z)
        z += 1
        np.reciprocal(z, out=z)

    def backward(dz, y):
        np.subtract(1, y, out=spare)
        dz *= y
        dz *= spare

    return forward, backward


def tanh(shape, dtype):
    spare = np.empty(shape, dtype)

    def forward(z):
        np.tanh(z, out=z)

    def backward(dz, y):
        np.multiply(y, y, out=spare)
        np.subtract(1, spare, out=spare)
        dz *= spare

    return forward, backward


def softplus(shape, dtype):
    """log(1 + exp(z)); its derivative, the sigmoid of z, is 1 - exp(-y)."""
    spare = np.empty(shape, dtype)

    def forward(z):
        np.logaddexp(z, 0, out=z)

    def backward(dz, y):
        np.negative(y, out=spare)
        np.expm1(spare, out=spare)
        np.negative(spare, out=spare)
        dz *= spare

    return forward, backward


def gelu(shape, dtype):
    """z Phi(z), with Phi the normal distribution's; its derivative is Phi(z) + z phi(z)."""
    kept, cumulative, density = (np.empty(shape, dtype) for _ in range(3))

    def forward(z):
        np.copyto(kept, z)
        ndtr(z, out=cumulative)
        z *= cumulative

    def backward(dz, y):
        np.multiply(kept, kept, out=density)
        np.multiply(density, -0.5, out=density)
        np.exp(density, out=density)
        np.multiply(density, 1 / np.sqrt(2 * np.pi).item(), out=density)
        np.multiply(density, kept, out=density)
        np.add(density, cumulative, out=density)
        dz *= density

    return forward, backward


ACTIVATIONS = {"relu": relu, "sigmoid": sigmoid, "tanh": tanh, "gelu": gelu, "softplus": softplus}
