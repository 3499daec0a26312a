"""The compiled kernels; `fastbp.reference` has a NumPy twin of each under the same name."""

from fastbp._kernels.activations import (
    identity_backward,
    identity_forward,
    relu_backward,
    relu_forward,
    sigmoid_backward,
    sigmoid_forward,
    tanh_backward,
    tanh_forward,
)
from fastbp._kernels.affine import affine_backward, affine_forward, bias_sum
from fastbp._kernels.losses import (
    sigmoid_cross_entropy_backward,
    sigmoid_cross_entropy_forward,
    soft_cross_entropy_backward,
    soft_cross_entropy_forward,
    softmax_cross_entropy_backward,
    softmax_cross_entropy_forward,
    softmax_forward,
    squared_error_backward,
    squared_error_forward,
)
from fastbp._kernels.optim import sgd_update

__all__ = [
    "affine_backward",
    "affine_forward",
    "bias_sum",
    "identity_backward",
    "identity_forward",
    "relu_backward",
    "relu_forward",
    "sgd_update",
    "sigmoid_backward",
    "sigmoid_cross_entropy_backward",
    "sigmoid_cross_entropy_forward",
    "sigmoid_forward",
    "soft_cross_entropy_backward",
    "soft_cross_entropy_forward",
    "softmax_cross_entropy_backward",
    "softmax_cross_entropy_forward",
    "softmax_forward",
    "squared_error_backward",
    "squared_error_forward",
    "tanh_backward",
    "tanh_forward",
]
