"""Activations of a training step in NumPy, in place, in arrays made beforehand.

`ACTIVATIONS[name](shape, dtype)` gives (forward, backward): ``forward(z)`` turns z into y,
``backward(dz, y)`` multiplies dz by the derivative there.
"""

import numpy as np
from scipy.special import expit, ndtr


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


def of_slope(value, slope):
    """An activation by its value and its slope at z, which is kept."""

    def made(shape, dtype):
        kept = np.empty(shape, dtype)

        def forward(z):
            np.copyto(kept, z)
            np.copyto(z, value(kept))

        def backward(dz, y):
            dz *= slope(kept)

        return forward, backward

    return made


def elu(scale, alpha):
    def value(z):
        return scale * np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))

    def slope(z):
        return scale * np.where(z > 0, 1, alpha * np.exp(np.minimum(z, 0)))

    return of_slope(value, slope)


def clipped(low, high):
    return of_slope(lambda z: np.clip(z, low, high), lambda z: (z > low) & (z < high))


def mish_slope(z):
    t = np.tanh(np.logaddexp(z, 0))
    return t + z * expit(z) * (1 - t * t)


def hard_swish_slope(z):
    return np.where(np.abs(z) < 3, z / 3 + 0.5, z > 0)


ACTIVATIONS = {
    "relu": relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "gelu": gelu,
    "softplus": softplus,
    "silu": of_slope(lambda z: z * expit(z), lambda z: expit(z) * (1 + z * expit(-z))),
    "mish": of_slope(lambda z: z * np.tanh(np.logaddexp(z, 0)), mish_slope),
    "elu": elu(1.0, 1.0),
    "selu": elu(1.0507009873554805, 1.6732632423543772),
    "celu": elu(1.0, 1.0),
    "log_sigmoid": of_slope(lambda z: -np.logaddexp(-z, 0), lambda z: expit(-z)),
    "hard_tanh": clipped(-1, 1),
    "relu6": clipped(0, 6),
    "hard_swish": of_slope(lambda z: z * np.clip(z / 6 + 0.5, 0, 1), hard_swish_slope),
    "hard_sigmoid": of_slope(lambda z: np.clip(z / 6 + 0.5, 0, 1), lambda z: (np.abs(z) < 3) / 6),
    "soft_sign": of_slope(lambda z: z / (1 + np.abs(z)), lambda z: 1 / np.square(1 + np.abs(z))),
}
